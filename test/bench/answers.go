// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

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
	var errs [4]error
	var identity http.Header
	_, f.JWKS, errs[0] = ask(call{method: http.MethodGet, path: oauth2.JWKSPath})
	_, f.Metadata, errs[1] = ask(call{method: http.MethodGet, path: oauth2.MetadataPath})
	_, f.Active, errs[2] = ask(introspection(w.client(0), w.seen[0]))
	identity, _, errs[3] = ask(w.forwardAuth(0))
	if err := errors.Join(errs[:]...); err != nil {
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
