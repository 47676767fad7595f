// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package codegrant_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestWhoRedeemsACode(t *testing.T) {
	type world struct {
		client  *oauth2.Client
		request codegrant.Redemption
		code    codegrant.Code
		at      time.Time
	}
	for name, c := range map[string]struct {
		change func(*world)
		code   oauth2.ErrorCode
		reason oauth2.Reason
	}{
		"its client":                                {func(*world) {}, "", ""},
		"its client, with the resource":             {func(w *world) { w.request.Resource = "https://orders.example" }, "", ""},
		"in the last moment":                        {func(w *world) { w.at = now.Add(time.Minute - time.Nanosecond) }, "", ""},
		"without redirect_uri, as asked for":        {func(w *world) { w.code.RedirectOmitted, w.request.RedirectURI = true, "" }, "", ""},
		"with redirect_uri, though it was left out": {func(w *world) { w.code.RedirectOmitted = true }, "", ""},
		"another client":                            {func(w *world) { w.client.ID = "shop.other" }, oauth2.InvalidGrant, oauth2.ReasonCodeRefused},
		"a client of the same name":                 {func(w *world) { w.client.UID = "other" }, oauth2.InvalidGrant, oauth2.ReasonCodeRefused},
		"another redirect_uri":                      {func(w *world) { w.request.RedirectURI = "https://app.example/cb/" }, oauth2.InvalidGrant, oauth2.ReasonCodeRefused},
		"no redirect_uri":                           {func(w *world) { w.request.RedirectURI = "" }, oauth2.InvalidGrant, oauth2.ReasonCodeRefused},
		"another verifier":                          {func(w *world) { w.request.Verifier = verifier + "x" }, oauth2.InvalidGrant, oauth2.ReasonWrongVerifier},
		"the challenge as verifier":                 {func(w *world) { w.request.Verifier = challenge }, oauth2.InvalidGrant, oauth2.ReasonWrongVerifier},
		"after a minute":                            {func(w *world) { w.at = now.Add(time.Minute) }, oauth2.InvalidGrant, oauth2.ReasonCodeExpired},
		"a day later":                               {func(w *world) { w.at = now.Add(24 * time.Hour) }, oauth2.InvalidGrant, oauth2.ReasonCodeExpired},
		"for another resource":                      {func(w *world) { w.request.Resource = "https://other.example" }, oauth2.InvalidTarget, oauth2.ReasonTargetNotGranted},
		"another client, a day later":               {func(w *world) { w.client.ID, w.at = "shop.other", now.Add(24*time.Hour) }, oauth2.InvalidGrant, oauth2.ReasonCodeRefused},
	} {
		t.Run(name, func(t *testing.T) {
			w := world{
				client: clientWith("https://app.example/cb"), code: codeOf(t), at: now,
				request: codegrant.Redemption{Code: oauth2.NewSecret("hpc_"), RedirectURI: "https://app.example/cb", Verifier: verifier},
			}
			c.change(&w)
			err := w.code.Check(w.client, w.request, w.at)
			if code, reason := refusalOf(err); code != c.code || reason != c.reason || (err == nil) != (c.code == "") {
				t.Errorf("refused with %s because of %q, want %s and %q: %v", code, reason, c.code, c.reason, err)
			}
		})
	}
}

func TestRequestsToRedeem(t *testing.T) {
	for body, want := range map[string]oauth2.Reason{
		"code=hpc_a&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&code_verifier=v&resource=https%3A%2F%2Fa.example": "",
		"code=hpc_a&code_verifier=v":                                                                   "",
		"redirect_uri=https%3A%2F%2Fapp.example%2Fcb&code_verifier=v":                                  oauth2.ReasonMalformedRequest,
		"code=&code_verifier=v":                                                                        oauth2.ReasonMalformedRequest,
		"code=hpc_a&redirect_uri=https%3A%2F%2Fapp.example%2Fcb":                                       oauth2.ReasonPKCENeeded,
		"code=hpc_a&code_verifier=v&resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example": oauth2.ReasonTargetNotGranted,
	} {
		request, err := codegrant.ParseRedemption(formOf(t, body))
		if _, reason := refusalOf(err); reason != want || (err == nil) != (want == "") {
			t.Errorf("%s is refused because of %q, want %q: %v", body, reason, want, err)
		}
		if err == nil && (request.Code.Reveal() != "hpc_a" || request.Verifier != "v") {
			t.Errorf("%s is read as %+v", body, request)
		}
	}
}

func formOf(t testing.TB, body string) oauth2.Form {
	t.Helper()
	form, err := oauth2.ParseForm(body)
	if err != nil {
		t.Fatal(err)
	}
	return form
}

func TestWhatACodeAndARefreshTokenAreFor(t *testing.T) {
	all := oauth2.TokenRequest{GrantType: oauth2.AuthorizationCode, Resource: "https://orders.example", Person: anna, Within: []string{"orders.read", "orders.write"}}
	if diff := cmp.Diff(all, codeOf(t).Request()); diff != "" {
		t.Error(diff)
	}
	some := all
	some.Scopes = []string{"orders.read"}
	for name, c := range map[string]struct {
		body string
		want oauth2.TokenRequest
		code oauth2.ErrorCode
	}{
		"all":                            {"", all, ""},
		"all, with the resource":         {"&resource=https%3A%2F%2Forders.example", all, ""},
		"some":                           {"&scope=orders.read", some, ""},
		"some, and what libraries send":  {"&scope=openid+orders.read+offline_access", some, ""},
		"what libraries send alone":      {"&scope=openid+profile+email+offline_access", all, ""},
		"more than the person was shown": {"&scope=orders.read+orders.delete", oauth2.TokenRequest{}, oauth2.InvalidScope},
		"another resource":               {"&resource=https%3A%2F%2Fother.example", oauth2.TokenRequest{}, oauth2.InvalidTarget},
	} {
		t.Run(name, func(t *testing.T) {
			asked, err := codegrant.ParseRefreshing(formOf(t, "refresh_token=hpf_a"+c.body))
			if err != nil || asked.Token.Reveal() != "hpf_a" {
				t.Fatal(err)
			}
			got, err := refreshOf(t).Request(asked)
			if code, _ := refusalOf(err); code != c.code || (err == nil) != (c.code == "") {
				t.Fatalf("refused with %q, want %q: %v", code, c.code, err)
			}
			if len(got.Scopes) == 0 {
				got.Scopes = nil
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for body, want := range map[string]oauth2.ErrorCode{
		"": oauth2.InvalidRequest, "refresh_token=": oauth2.InvalidRequest, "refresh_token=a&scope=%22": oauth2.InvalidScope, "refresh_token=a&resource=x": oauth2.InvalidTarget,
	} {
		if _, err := codegrant.ParseRefreshing(formOf(t, body)); err == nil {
			t.Errorf("%s is read", body)
		} else if code, _ := refusalOf(err); code != want {
			t.Errorf("%s is refused with %s, want %s", body, code, want)
		}
	}
}
