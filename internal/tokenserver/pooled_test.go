// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// torn is a body of which half arrives before the caller gives up.
type torn struct {
	io.Reader

	hangUp func()
}

func (b *torn) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		b.hangUp()
	}
	return n, err
}

// Buffers, records and places are used again: no request gets what is of another one, also while
// callers hang up in the middle of a body.
func TestNoRequestHasWhatIsOfAnother(t *testing.T) {
	w := newCompany(t)
	server := httptest.NewUnstartedServer(w.handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	const callers, rounds = 8, 24
	ask := func(ctx context.Context, id, body string, secret bool) (*http.Response, error) {
		var reader io.Reader = strings.NewReader(body)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if !secret {
			reader = &torn{strings.NewReader(body[:len(body)/2]), cancel}
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+oauth2.TokenPath, reader)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Request-ID", id)
		r.SetBasicAuth(reporting, w.secrets[reporting])
		answer, err := server.Client().Do(r)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		answer.Body = io.NopCloser(strings.NewReader(string(text)))
		return answer, err
	}
	var all sync.WaitGroup
	for caller := range callers {
		assertions := make([]string, rounds)
		for round := range assertions {
			who := fmt.Sprintf("c%d-r%d", caller, round)
			assertions[round] = w.vouch(w.signer, oauth2.IdentityAssertionType, map[string]any{"sub": who, "jti": "jag-" + who})
		}
		all.Go(func() {
			for round, assertion := range assertions {
				who := fmt.Sprintf("c%d-r%d", caller, round)
				// some bodies fit the first buffer, and some do not
				filling := strings.Repeat("x", (round%4)*700)
				body := url.Values{"grant_type": {oauth2.GrantJWTBearer}, "assertion": {assertion}, "filling": {filling}}.Encode()
				_, _ = ask(t.Context(), "torn-"+who, body, false) //nolint:bodyclose // ask has closed it
				answer, err := ask(t.Context(), who, body, true)  //nolint:bodyclose // ask has closed it
				if err != nil {
					t.Errorf("%s: %v", who, err)
					continue
				}
				var token struct {
					Value string `json:"access_token"`
				}
				if err := json.NewDecoder(answer.Body).Decode(&token); err != nil || answer.StatusCode == http.StatusServiceUnavailable {
					continue // it fetches tokens too fast
				}
				claims, err := w.validate(token.Value, w.now)
				if err != nil || claims.Subject != "user:corp:"+who {
					t.Errorf("%s has a token of %v: %d %v", who, claims, answer.StatusCode, err)
				}
			}
		})
	}
	all.Wait()
	server.Close()
	allowed := 0
	for line := range strings.Lines(w.audit.String()) {
		var fields struct {
			Outcome string `json:"outcome"`
			Caller  string `json:"caller_request_id"`
			Subject string `json:"sub"`
			JTI     string `json:"subject_jti"`
		}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if fields.Outcome != "allowed" {
			continue
		}
		if allowed++; fields.Subject != "user:corp:"+fields.Caller || fields.JTI != "jag-"+fields.Caller {
			t.Errorf("the line of %s: %s", fields.Caller, line)
		}
	}
	if allowed < callers {
		t.Errorf("%d tokens alone", allowed)
	}
}
