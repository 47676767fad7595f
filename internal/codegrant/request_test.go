// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package codegrant_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// verifier and challenge are the example of RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

const authorize = "response_type=code&client_id=shop.web&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&state=xyz&code_challenge=" + challenge + "&code_challenge_method=S256"

func refusalOf(err error) (code oauth2.ErrorCode, reason oauth2.Reason) {
	if refusal, ok := errors.AsType[*oauth2.Error](err); ok {
		return refusal.Code, refusal.Reason
	}
	return "", ""
}

func TestAuthorizationRequests(t *testing.T) {
	with := func(more string) string { return authorize + more }
	without := func(part string) string {
		if !strings.Contains(authorize, part) {
			t.Fatalf("the request has no %s", part)
		}
		return strings.Replace(authorize, part, "", 1)
	}
	instead := func(part, other string) string { return without(part) + other }
	const pkce = "&code_challenge=" + challenge
	for name, c := range map[string]struct {
		query  string
		page   oauth2.Reason // of a refusal that the person sees
		code   oauth2.ErrorCode
		reason oauth2.Reason // of a refusal that the client learns
	}{
		"the usual one": {query: authorize},
		"with scopes, a resource and what is unknown": {query: with("&scope=orders.read+openid&resource=https%3A%2F%2Forders.example&nonce=n&display=page&max_age=60&ui_locales=de&x=y")},
		"with the response mode that is usual":        {query: with("&response_mode=query")},
		"with prompts that change nothing":            {query: with("&prompt=login+select_account")},
		"with parameters that have no value":          {query: with("&scope=&resource=&request=&response_mode=&prompt=")},
		"without state":                               {query: without("&state=xyz")},
		"without redirect_uri":                        {query: without("&redirect_uri=https%3A%2F%2Fapp.example%2Fcb")},

		"nothing":                               {query: "", page: oauth2.ReasonMalformedRequest},
		"no client_id":                          {query: without("&client_id=shop.web"), page: oauth2.ReasonMalformedRequest},
		"client_id twice":                       {query: with("&client_id=shop.web"), page: oauth2.ReasonMalformedRequest},
		"redirect_uri twice":                    {query: with("&redirect_uri=https%3A%2F%2Fevil.example"), page: oauth2.ReasonMalformedRequest},
		"redirect_uri twice, one of it encoded": {query: with("&redirect%5Furi=https%3A%2F%2Fevil.example"), page: oauth2.ReasonMalformedRequest},
		"a client_id with a space":              {query: instead("client_id=shop.web", "&client_id=shop+web"), page: oauth2.ReasonUnknownClient},
		"a client_id of 321 letters":            {query: instead("client_id=shop.web", "&client_id="+strings.Repeat("a", 321)), page: oauth2.ReasonUnknownClient},
		"a broken encoding":                     {query: with("&x=%zz"), page: oauth2.ReasonMalformedRequest},
		"bytes that are no text":                {query: with("&x=%ff"), page: oauth2.ReasonMalformedRequest},
		"33 parameters":                         {query: with(manyParameters(33 - 6)), page: oauth2.ReasonMalformedRequest},
		"64 KiB":                                {query: with("&x=" + strings.Repeat("x", 64<<10)), page: oauth2.ReasonMalformedRequest},
		"the scope 100 times":                   {query: with(strings.Repeat("&scope=a", 100)), page: oauth2.ReasonMalformedRequest},

		"state twice":                        {query: with("&state=abc"), code: oauth2.InvalidRequest, reason: oauth2.ReasonMalformedRequest},
		"what is unknown twice":              {query: with("&x=1&x=1"), code: oauth2.InvalidRequest, reason: oauth2.ReasonMalformedRequest},
		"no response_type":                   {query: without("response_type=code&"), code: oauth2.InvalidRequest, reason: oauth2.ReasonMalformedRequest},
		"the implicit grant":                 {query: instead("response_type=code", "&response_type=token"), code: oauth2.UnsupportedResponseType, reason: oauth2.ReasonRequestNotSupported},
		"the hybrid flow":                    {query: instead("response_type=code", "&response_type=code+id_token"), code: oauth2.UnsupportedResponseType, reason: oauth2.ReasonRequestNotSupported},
		"another case":                       {query: instead("response_type=code", "&response_type=Code"), code: oauth2.UnsupportedResponseType, reason: oauth2.ReasonRequestNotSupported},
		"an answer in the fragment":          {query: with("&response_mode=fragment"), code: oauth2.InvalidRequest, reason: oauth2.ReasonRequestNotSupported},
		"an answer as form":                  {query: with("&response_mode=form_post"), code: oauth2.InvalidRequest, reason: oauth2.ReasonRequestNotSupported},
		"a request object":                   {query: with("&request=eyJ"), code: oauth2.RequestNotSupported, reason: oauth2.ReasonRequestNotSupported},
		"a pushed request":                   {query: with("&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A1"), code: oauth2.RequestURINotSupported, reason: oauth2.ReasonRequestNotSupported},
		"a registration":                     {query: with("&registration=%7B%7D"), code: oauth2.RegistrationUnsupported, reason: oauth2.ReasonRequestNotSupported},
		"prompt none":                        {query: with("&prompt=none"), code: oauth2.LoginRequired, reason: oauth2.ReasonRequestNotSupported},
		"prompt none and another":            {query: with("&prompt=consent+none"), code: oauth2.LoginRequired, reason: oauth2.ReasonRequestNotSupported},
		"no PKCE":                            {query: strings.Split(authorize, "&code_challenge=")[0], code: oauth2.InvalidRequest, reason: oauth2.ReasonPKCENeeded},
		"no challenge beside the method":     {query: without(pkce), code: oauth2.InvalidRequest, reason: oauth2.ReasonPKCENeeded},
		"no method, which means plain":       {query: without("&code_challenge_method=S256"), code: oauth2.InvalidRequest, reason: oauth2.ReasonPKCENeeded},
		"the method plain":                   {query: instead("&code_challenge_method=S256", "&code_challenge_method=plain"), code: oauth2.InvalidRequest, reason: oauth2.ReasonPKCENeeded},
		"the method in another case":         {query: instead("&code_challenge_method=S256", "&code_challenge_method=s256"), code: oauth2.InvalidRequest, reason: oauth2.ReasonPKCENeeded},
		"a challenge that is empty":          {query: instead(pkce, "&code_challenge="), code: oauth2.InvalidRequest, reason: oauth2.ReasonPKCENeeded},
		"a challenge that is no hash":        {query: instead(pkce, "&code_challenge=abc"), code: oauth2.InvalidRequest, reason: oauth2.ReasonPKCENeeded},
		"a challenge with padding":           {query: instead(pkce, pkce+"%3D"), code: oauth2.InvalidRequest, reason: oauth2.ReasonPKCENeeded},
		"a challenge that has bits too much": {query: instead(pkce, "&code_challenge="+challenge[:42]+"N"), code: oauth2.InvalidRequest, reason: oauth2.ReasonPKCENeeded},
		"a challenge with a line break":      {query: instead(pkce, "&code_challenge="+challenge[:42]+"%0A"), code: oauth2.InvalidRequest, reason: oauth2.ReasonPKCENeeded},
		"a scope with a quotation mark":      {query: with("&scope=%22a%22"), code: oauth2.InvalidScope, reason: oauth2.ReasonMalformedRequest},
		"two spaces in scope":                {query: with("&scope=a++b"), code: oauth2.InvalidScope, reason: oauth2.ReasonMalformedRequest},
		"two resources":                      {query: with("&resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example"), code: oauth2.InvalidTarget, reason: oauth2.ReasonTargetNotGranted},
		"a resource that is no URI":          {query: with("&resource=orders"), code: oauth2.InvalidTarget, reason: oauth2.ReasonTargetNotGranted},
		"a resource with a fragment":         {query: with("&resource=https%3A%2F%2Fa.example%23x"), code: oauth2.InvalidTarget, reason: oauth2.ReasonTargetNotGranted},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := codegrant.ParseRequest(c.query)
			if _, reason := refusalOf(err); reason != c.page || (err == nil) != (c.page == "") {
				t.Fatalf("shown as a page because of %q, want %q: %v", reason, c.page, err)
			}
			if err != nil {
				return
			}
			err = request.Check()
			if code, reason := refusalOf(err); code != c.code || reason != c.reason || (err == nil) != (c.code == "") {
				t.Errorf("refused with %s because of %q, want %s and %q: %v", code, reason, c.code, c.reason, err)
			}
		})
	}
}

func manyParameters(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("&p" + string(rune('a'+i)) + "=")
	}
	return b.String()
}

func TestWhatARequestAsksFor(t *testing.T) {
	got, err := codegrant.ParseRequest(authorize + "&scope=orders.read+openid+orders.read&resource=https%3A%2F%2Forders.example&prompt=login+consent")
	want := codegrant.Request{
		ClientID: "shop.web", RedirectURI: "https://app.example/cb", State: "xyz", Scopes: []string{"orders.read", "openid"}, Resource: "https://orders.example",
		Challenge: challenge, AskConsent: true,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(codegrant.Request{})); diff != "" || err != nil || got.Check() != nil {
		t.Errorf("%v, %v\n%s", err, got.Check(), diff)
	}
	// the client learns what is wrong with the state that it sent once
	got, err = codegrant.ParseRequest(authorize + "&scope=a&scope=b")
	if err != nil || got.Check() == nil || got.State != "xyz" {
		t.Errorf("state %q, %v, %v", got.State, err, got.Check())
	}
	got, err = codegrant.ParseRequest(authorize + "&state=other")
	if err != nil || got.State != "" {
		t.Errorf("of two states, %q is answered: %v", got.State, err)
	}
}

func TestProofKeys(t *testing.T) {
	if !codegrant.ProvesVerifier(challenge, verifier) {
		t.Error("the example of RFC 7636 is refused")
	}
	for name, c := range map[string][2]string{
		"another verifier":                 {challenge, strings.Replace(verifier, "d", "e", 1)},
		"the challenge itself, as plain":   {challenge, challenge},
		"nothing":                          {challenge, ""},
		"nothing for nothing":              {"", ""},
		"42 characters":                    {challengeOf(verifier[:42]), verifier[:42]},
		"129 characters":                   {challengeOf(strings.Repeat("a", 129)), strings.Repeat("a", 129)},
		"a character that is reserved":     {challengeOf(verifier + "="), verifier + "="},
		"a letter beyond ASCII":            {challengeOf(verifier + "ä"), verifier + "ä"},
		"a challenge that begins the same": {challenge[:42], verifier},
		"a challenge with padding":         {challenge + "=", verifier},
	} {
		if codegrant.ProvesVerifier(c[0], c[1]) {
			t.Errorf("%s proves the challenge", name)
		}
	}
	for _, good := range []string{strings.Repeat("a", 43), strings.Repeat("~", 128), "-._~" + verifier} {
		if !codegrant.ProvesVerifier(challengeOf(good), good) {
			t.Errorf("%s does not prove its challenge", good)
		}
	}
}

func TestANonceIsThatOfOneTicket(t *testing.T) {
	one, other := codegrant.Nonce("hpl_one"), codegrant.Nonce("hpl_other")
	if one == other || one != codegrant.Nonce("hpl_one") || len(one) != 43 || url.QueryEscape(one) != one {
		t.Errorf("the nonces are %q and %q", one, other)
	}
}

// FuzzParseRequest compares what is read with what net/url reads.
func FuzzParseRequest(f *testing.F) {
	f.Add(authorize)
	f.Add(authorize + "&scope=a+b&resource=https%3A%2F%2Fa.example&prompt=none")
	f.Add(authorize + "&redirect_uri=x;client_id=y")
	f.Add("client_id=a&client%5fid=b&=&&&=x")
	client := clientWith("https://app.example/cb", "http://127.0.0.1/cb")
	f.Fuzz(func(t *testing.T, query string) {
		request, err := codegrant.ParseRequest(query)
		if err != nil {
			if request.ClientID != "" {
				t.Errorf("refused, and read as %+v", request)
			}
			return
		}
		values, err := url.ParseQuery(query)
		// net/url refuses semicolons, which are text here
		if err != nil && !strings.Contains(query, ";") {
			t.Fatalf("%q is read, and net/url refuses it: %v", query, err)
		}
		if err == nil && (values.Get("client_id") != request.ClientID || len(values["client_id"]) != 1 || len(values["redirect_uri"]) > 1) {
			t.Errorf("%q is read as %+v", query, request)
		}
		if request.Check() == nil && (len(request.Challenge) != 43 || err == nil && values.Get("response_type") != "code") {
			t.Errorf("%q is accepted as %+v", query, request)
		}
		if uri, err := request.Redirect(client); err == nil && uri != "https://app.example/cb" && !strings.HasPrefix(uri, "http://127.0.0.1") {
			t.Errorf("%q is sent to %q", query, uri)
		}
	})
}
