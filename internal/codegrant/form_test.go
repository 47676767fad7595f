// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package codegrant_test

import (
	"slices"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// FuzzTokenRequests reads the forms that clients send with codes and refresh tokens. What is read
// is what was sent, whole.
func FuzzTokenRequests(f *testing.F) {
	for _, form := range []string{
		"grant_type=authorization_code&code=hpc_x&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&code_verifier=v", "code=&code_verifier=v", "code=a&code=b",
		"grant_type=refresh_token&refresh_token=hpf_x&scope=a+b", "refresh_token=x&scope=a%22b", "refresh_token=x&resource=https://a.test&resource=https://b.test",
		"refresh_token=x&resource=relative", "code=%00&code_verifier=%ff", "code=x&code_verifier=v&redirect_uri=a%0ab",
	} {
		f.Add(form)
	}
	f.Fuzz(func(t *testing.T, text string) {
		form, err := oauth2.ParseForm(text)
		if err != nil {
			return
		}
		if r, err := codegrant.ParseRedemption(form); err == nil {
			sent := []string{form.Get("code"), form.Get("redirect_uri"), form.Get("code_verifier"), form.Get("resource")}
			if got := []string{r.Code.Reveal(), r.RedirectURI, r.Verifier, r.Resource}; !slices.Equal(got, sent) || r.Code.Empty() || r.Verifier == "" {
				t.Errorf("%q is read as %q", text, got)
			}
		}
		if r, err := codegrant.ParseRefreshing(form); err == nil {
			if r.Token.Reveal() != form.Get("refresh_token") || r.Token.Empty() || r.Resource != form.Get("resource") {
				t.Errorf("%q is read as %q at %q", text, r.Token.Reveal(), r.Resource)
			}
			if slices.ContainsFunc(r.Scopes, func(scope string) bool { return !oauth2.ValidScopeToken(scope) }) {
				t.Errorf("%q asks for %q", text, r.Scopes)
			}
		}
	})
}
