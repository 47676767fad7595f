// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// A login that was taken over has the token of its service account, each ticket, ID token and code
// that it carries, and the client secret at the provider. By these it makes up no person, moves no
// code, and gets nothing at another endpoint. What it reads is in cmd/login and in e2e.TestRights.
func TestATakenOverLogin(t *testing.T) {
	const evil = "https://evil.example.com/callback"
	begin := func(w *peopleWorld, id string) *loginport.Attempt {
		begun, err := w.login.Begin(w.t.Context(), loginport.BeginRequest{Query: w.query(id)})
		if err != nil || begun.Attempt == nil {
			w.t.Fatalf("%+v %v", begun, err)
		}
		return begun.Attempt
	}
	finish := func(w *peopleWorld, ticket, token loginport.Opaque) (code, refused string) {
		finished, err := w.login.Finish(w.t.Context(), loginport.FinishRequest{Ticket: ticket, IDToken: token})
		if err != nil {
			w.t.Fatal(err)
		}
		if finished.Refusal != nil {
			return "", finished.Refusal.Reason
		}
		back, err := url.Parse(string(finished.Redirect))
		if err != nil {
			w.t.Fatal(err)
		}
		return back.Query().Get("code"), back.Query().Get("error")
	}
	// by a name of the play, what it gets: nothing if it is empty
	for name, play := range map[string]func(w *peopleWorld) (got, refused string){
		"an ID token that it signs": func(w *peopleWorld) (string, string) {
			a := begin(w, portal)
			w.corp = newSigner(w.t, jws.ES256)
			return finish(w, a.Ticket, w.idToken(a))
		},
		"the ID token of a person who has logged in": func(w *peopleWorld) (string, string) {
			carried := w.idToken(begin(w, portal))
			return finish(w, begin(w, portal).Ticket, carried)
		},
		"the ID token of a person for another client": func(w *peopleWorld) (string, string) {
			carried := w.idToken(begin(w, portal))
			return finish(w, begin(w, native).Ticket, carried)
		},
		"a ticket that it changes": func(w *peopleWorld) (string, string) {
			a := begin(w, portal)
			changed := []byte(a.Ticket)
			changed[len(changed)/2] ^= 1
			return finish(w, loginport.Opaque(changed), w.idToken(a))
		},
		"a ticket that it makes up": func(w *peopleWorld) (string, string) {
			return finish(w, "hpl_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", w.idToken(begin(w, portal)))
		},
		"a ticket with which a person began an hour ago": func(w *peopleWorld) (string, string) {
			a := begin(w, portal)
			token := w.idToken(a)
			w.now = w.now.Add(time.Hour)
			w.bearer = w.pageToken(nil)
			return finish(w, a.Ticket, token)
		},
		"a redirect to its own host": func(w *peopleWorld) (string, string) {
			query := strings.Replace(w.query(portal), url.QueryEscape(portalBack), url.QueryEscape(evil), 1)
			begun, err := w.login.Begin(w.t.Context(), loginport.BeginRequest{Query: query})
			if err != nil || begun.Refusal == nil {
				return begun.Redirect, "accepted"
			}
			return "", begun.Refusal.Reason
		},
		"a code of a public client, without the verifier": func(w *peopleWorld) (string, string) {
			code := w.code(native).Get("code")
			_, issued := w.fetch(native, url.Values{
				"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {strings.Repeat("x", 43)}, "redirect_uri": {nativeBack},
			})
			if _, honest := w.redeem(native, code); honest.Access == "" {
				w.t.Errorf("the code is used up: %+v", honest)
			}
			return issued.Access, issued.Error
		},
		"a code of a client that authenticates, at a public client": func(w *peopleWorld) (string, string) {
			code := w.code(portal).Get("code")
			_, issued := w.fetch(native, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {pkce}, "redirect_uri": {portalBack}})
			if _, honest := w.redeem(portal, code); honest.Access == "" {
				w.t.Errorf("the code is used up: %+v", honest)
			}
			return issued.Access, issued.Error
		},
		"the token of its service account as a client assertion": func(w *peopleWorld) (string, string) {
			_, issued := w.answer(withAssertion(w.bearer))
			return issued.Access, issued.Error
		},
		"a token of its service account for clients": func(w *peopleWorld) (string, string) {
			_, issued := w.answer(withAssertion(w.pageToken(map[string]any{"aud": []string{testIssuer}})))
			return issued.Access, issued.Error
		},
		"a ticket in the place of a code": func(w *peopleWorld) (string, string) {
			_, issued := w.redeem(portal, string(begin(w, portal).Ticket))
			return issued.Access, issued.Error
		},
		"a code in the place of a refresh token": func(w *peopleWorld) (string, string) {
			_, issued := w.fetch(portal, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {w.code(portal).Get("code")}})
			return issued.Access, issued.Error
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPeopleWorld(t)
			if got, refused := play(w); got != "" || refused == "" {
				t.Errorf("it gets %q, refused as %q: %v", got, refused, w.lastAudit())
			}
		})
	}
	w := newPeopleWorld(t)
	for _, path := range []string{oauth2.TokenPath, oauth2.IntrospectionPath, oauth2.RevocationPath, oauth2.RevocationFeedPath} {
		answer := w.do(call{path: path, body: "token=x&grant_type=client_credentials", header: http.Header{"Authorization": {"Bearer " + w.bearer}}})
		if answer.Code != http.StatusUnauthorized {
			t.Errorf("%s with the token of login: %d %s", path, answer.Code, answer.Body)
		}
	}
}
