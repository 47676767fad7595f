// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
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
	var errs [8]error
	var identity http.Header
	var exchanged, redeemed, refreshed string
	_, f.JWKS, errs[0] = ask(call{method: http.MethodGet, path: oauth2.JWKSPath})
	_, f.Metadata, errs[1] = ask(call{method: http.MethodGet, path: oauth2.MetadataPath})
	_, f.Active, errs[2] = ask(introspection(w.client(0), w.seen[0]))
	identity, _, errs[3] = ask(w.forwardAuth(0))
	f.Check, errs[4] = w.checkAnswer(ctx)
	_, exchanged, errs[5] = ask(w.exchange(w.people.GatewayOf(w.client(0)), w.seen[0]))
	redemption, err := redemptions(w, 0)
	if err != nil {
		return err
	}
	refresh, err := refreshes(w, 0)
	if err != nil {
		return err
	}
	_, redeemed, errs[6] = ask(redemption[0])
	_, refreshed, errs[7] = ask(refresh[0])
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	for answer, into := range map[string][2]*string{
		exchanged: {&f.Exchanged, &f.ExchangedRest}, redeemed: {&f.Redeemed, &f.RedeemedRest}, refreshed: {&f.Refreshed, &f.RefreshedRest},
	} {
		if *into[0], *into[1], err = splitAnswer(answer); err != nil {
			return err
		}
	}
	if err := w.prepareRedemption(f); err != nil {
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

// prepareRedemption gives the floor the object that it creates for a code. The token servers are
// not notified of one of that name.
func (w *world) prepareRedemption(f *population.Fixture) (err error) {
	const namespace = "team-0"
	f.Revocations, f.CA = w.api.Revocations(), w.api.CA()
	f.Redemption, err = json.Marshal(v1alpha1.NewRedemption(registration.Namespace, "floor-"+strings.Repeat("a", 32), v1alpha1.CodeRedemption{
		ClientID: namespace + ".portal-0", Namespace: namespace, GrantID: strings.Repeat("g", 22), Attempt: rand.Text(), ExpiresAt: new(metav1.Now()),
	}, v1alpha1.RecordForm{Version: revocation.Version, MinReader: revocation.OldestReader}))
	return err
}

// splitAnswer returns the token of an answer without its signature, and what follows it.
func splitAnswer(answer string) (input, after string, err error) {
	const before = `{"access_token":"`
	token, rest, found := strings.Cut(strings.TrimPrefix(answer, before), `"`)
	signature := strings.LastIndexByte(token, '.')
	if !strings.HasPrefix(answer, before) || !found || signature < 0 {
		return "", "", fmt.Errorf("the answer has no token: %s", answer)
	}
	return token[:signature], `"` + rest, nil
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
