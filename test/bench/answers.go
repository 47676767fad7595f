// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/bench/population"
)

// copyAnswers gives the floor the answers of the token server, so that both send the same bytes.
func (w *world) copyAnswers(ctx context.Context, f *population.Fixture) error {
	asking := w.byHTTP(plainHTTP, w.plain.plain)
	defer asking.close()
	ask := func(one call) (http.Header, string, error) {
		got, err := asking.send(ctx, one)
		if err == nil && got.status != http.StatusOK {
			err = fmt.Errorf("%s answers %d: %s", one.path, got.status, got.body)
		}
		return got.header, string(got.body), err
	}
	var errs [6]error
	var identity http.Header
	var exchanged string
	_, f.JWKS, errs[0] = ask(call{method: http.MethodGet, path: oauth2.JWKSPath})
	_, f.Metadata, errs[1] = ask(call{method: http.MethodGet, path: oauth2.MetadataPath})
	_, f.Active, errs[2] = ask(introspection(w.client(0), w.seen[0]))
	identity, _, errs[3] = ask(w.forwardAuth(0))
	f.Check, errs[4] = w.checkAnswer(ctx)
	_, exchanged, errs[5] = ask(w.exchange(w.people.GatewayOf(w.client(0)), w.seen[0]))
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if err := copyExchange(f, exchanged); err != nil {
		return err
	}
	if !strings.HasPrefix(f.Active, `{"active":true`) {
		return fmt.Errorf("a good token is said to be %s", f.Active)
	}
	f.Identity = map[string]string{}
	for name := range identity {
		if strings.HasPrefix(name, "X-Auth-") {
			f.Identity[name] = identity.Get(name)
		}
	}
	return nil
}

// copyExchange takes the token without its signature, and what follows it, of the answer to an
// exchange.
func copyExchange(f *population.Fixture, answer string) error {
	const before = `{"access_token":"`
	token, rest, found := strings.Cut(strings.TrimPrefix(answer, before), `"`)
	signature := strings.LastIndexByte(token, '.')
	if !strings.HasPrefix(answer, before) || !found || signature < 0 {
		return fmt.Errorf("a token is exchanged for %s", answer)
	}
	f.Exchanged, f.ExchangedRest = token[:signature], `"`+rest
	return nil
}

// checkAnswer is the answer to Envoy.
func (w *world) checkAnswer(ctx context.Context) ([]byte, error) {
	asking, err := w.byGRPC(w.plain.envoy)
	if err != nil {
		return nil, err
	}
	defer asking.close()
	answer, err := asking.check(ctx, w.question(0))
	if err != nil {
		return nil, err
	}
	return proto.Marshal(answer)
}
