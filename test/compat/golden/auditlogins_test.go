// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package golden_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

const (
	loginBack      = "https://web.example.com/callback"
	loginVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	loginChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	loginGrant     = "AAECAwQFBgcICQoLDA0ODw"
)

// prepareLogin has persons log in at corp for shop.web, which does not authenticate.
func prepareLogin(w *auditFixture) {
	var err error
	if w.dir.sealing, _, err = (seal.Ring{}).Rotate(noon.Add(-time.Hour), noon.Add(-time.Hour), &counting{next: 50}); err != nil {
		w.t.Fatal(err)
	}
	w.doors.LoginURL = "https://login.test"
	corp := *w.dir.issuers["github"]
	corp.Name, corp.UID, corp.Issuer, corp.Uses = "corp", "corp-uid", "https://corp.test", oauth2.UsePerson
	corp.Login = &oauth2.Login{ClientID: "hallpass", SecretName: "corp", Scopes: []string{"openid"}}
	w.dir.issuers["corp"] = &corp
	w.dir.resources[0].Users = w.dir.resources[0].Consents
	c := w.client("shop.web")
	c.GrantTypes, c.Credentials.Public = oauth2.AuthorizationCode, true
	c.DefaultResource = c.Access[0].Resource
	c.Codes = &oauth2.Codes{RedirectURIs: []string{loginBack}, Refresh: oauth2.Refreshing{Lifetime: 8 * time.Hour, Limited: true, Max: 3}}
}

// call sends a message to the port for login, and returns the answer.
func (w *auditFixture) call(path string, message any) *httptest.ResponseRecorder {
	w.t.Helper()
	w.start()
	body, err := json.Marshal(message)
	if err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, path, strings.NewReader(string(body)))
	r.RemoteAddr = sourceOfTests
	r.Header.Set("Content-Type", loginport.MediaType)
	r.Header.Set("Authorization", "Bearer "+w.sign(w.key(jws.RS256), "JWT", fmt.Sprintf(
		`{"iss":%q,"sub":"system:serviceaccount:hallpass-login:login","aud":[%q],"iat":%d,"exp":%d,"kubernetes.io":`+
			`{"namespace":"hallpass-login","serviceaccount":{"name":"login","uid":"login-uid"}}}`,
		clusterIssuer, issuerOfTests+"/login", noon.Unix(), noon.Add(time.Hour).Unix())))
	answer := httptest.NewRecorder()
	w.login.ServeHTTP(answer, r)
	return answer
}

// begin begins a login by a request with changed parameters.
func (w *auditFixture) begin(changes ...string) loginport.Attempt {
	w.t.Helper()
	form := url.Values{
		"response_type": {"code"}, "client_id": {"shop.web"}, "redirect_uri": {loginBack}, "state": {"s"}, "scope": {"orders.read"},
		"code_challenge": {loginChallenge}, "code_challenge_method": {"S256"},
	}
	for pair := range slices.Chunk(changes, 2) {
		form.Set(pair[0], pair[1])
	}
	var answer loginport.BeginAnswer
	if err := json.Unmarshal(w.call(loginport.BeginPath, loginport.BeginRequest{Query: form.Encode(), Source: "203.0.113.5"}).Body.Bytes(), &answer); err != nil {
		w.t.Fatal(err)
	}
	if answer.Attempt == nil {
		return loginport.Attempt{}
	}
	return *answer.Attempt
}

// finish ends a login with an ID token of changed claims.
func (w *auditFixture) finish(changes ...any) {
	w.t.Helper()
	attempt := w.begin()
	claims := map[string]any{
		"iss": "https://corp.test", "sub": "00u1", "aud": "hallpass", "nonce": attempt.Nonce, "iat": noon.Unix(), "exp": noon.Add(time.Minute).Unix(),
	}
	for pair := range slices.Chunk(changes, 2) {
		name, _ := pair[0].(string)
		claims[name] = pair[1]
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		w.t.Fatal(err)
	}
	w.call(loginport.FinishPath, loginport.FinishRequest{
		Ticket: attempt.Ticket, IDToken: loginport.Opaque(w.sign(w.key(jws.RS256), "JWT", string(payload))), Source: "203.0.113.5",
	})
}

// sealed seals what a client sends.
func (w *auditFixture) sealed(purpose seal.Purpose, value []byte) string {
	w.t.Helper()
	sealed, err := w.dir.sealing.Seal(purpose, issuerOfTests, value, noon, &counting{next: 90})
	if err != nil {
		w.t.Fatal(err)
	}
	return sealed
}

// redeem redeems a code, changed, with changed parameters.
func (w *auditFixture) redeem(change func(*codegrant.Code), changes ...string) {
	w.t.Helper()
	code := codegrant.Code{
		ID: "000102030405060708090a0b0c0d0e0f", Grant: loginGrant, ClientID: "shop.web", ClientUID: "uid-of-shop.web", RedirectURI: loginBack,
		Challenge: loginChallenge, Resource: ordersAPI, Scopes: []string{"orders.read"}, Person: oauth2.Person{Issuer: "corp", Subject: "00u1"},
		IssuerUID: "corp-uid", AuthTime: noon, ExpiresAt: noon.Add(time.Minute),
	}
	if change != nil {
		change(&code)
	}
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"shop.web"}, "redirect_uri": {loginBack}, "code_verifier": {loginVerifier},
		"code": {w.sealed(seal.Code, code.Encode())},
	}
	for pair := range slices.Chunk(changes, 2) {
		form.Set(pair[0], pair[1])
	}
	w.send(request{method: http.MethodPost, path: oauth2.TokenPath, form: form})
}

// refresh sends a refresh token, changed, at a time after the generation that counts.
func (w *auditFixture) refresh(change func(*codegrant.Refresh)) {
	w.t.Helper()
	w.send(request{method: http.MethodPost, path: oauth2.TokenPath, form: url.Values{
		"grant_type": {"refresh_token"}, "client_id": {"shop.web"}, "refresh_token": {w.refreshToken(change)},
	}})
}

func (w *auditFixture) refreshToken(change func(*codegrant.Refresh)) string {
	w.t.Helper()
	token := codegrant.Refresh{
		Grant: loginGrant, ClientID: "shop.web", ClientUID: "uid-of-shop.web", Resource: ordersAPI, Scopes: []string{"orders.read"},
		Person: oauth2.Person{Issuer: "corp", Subject: "00u1"}, IssuerUID: "corp-uid", Began: noon.Add(-time.Hour), IssuedAt: noon.Add(-time.Hour),
		ExpiresAt: noon.Add(7 * time.Hour),
	}
	if change != nil {
		change(&token)
	}
	return w.sealed(seal.Refresh, token.Encode())
}

// counts has a generation of the grant count from an instant on.
func (w *auditFixture) counts(number uint32, from time.Time) {
	w.dir.revoked.Advance(revocation.Generation{
		Grant: revocation.IDOf(loginGrant), Number: number, From: revocation.SecondsOf(from), Until: revocation.SecondsOf(noon.Add(7 * time.Hour)),
	}, revocation.Client{ID: "shop.web", Namespace: "shop"}, noon)
}

// logins are the cases of persons who log in.
func logins() map[string]func(w *auditFixture) {
	ended := func(how loginport.Ended) func(w *auditFixture) {
		return func(w *auditFixture) {
			w.call(loginport.FinishPath, loginport.FinishRequest{Ticket: w.begin().Ticket, Ended: how, Source: "203.0.113.5"})
		}
	}
	allowed := func(change func(*oauth2.Login), changes ...any) func(w *auditFixture) {
		return func(w *auditFixture) {
			change(w.dir.issuers["corp"].Login)
			w.finish(changes...)
		}
	}
	cases := map[string]func(w *auditFixture){
		"begin, finish":         func(w *auditFixture) { w.finish() },
		"begin, resume":         func(w *auditFixture) { w.call(loginport.ResumePath, loginport.ResumeRequest{Ticket: w.begin().Ticket}) },
		"without a sealing key": func(w *auditFixture) { w.dir.sealing = seal.Ring{}; w.begin() },
		"an unknown client":     func(w *auditFixture) { w.begin("client_id", "shop.unknown") },
		"another redirect URI":  func(w *auditFixture) { w.begin("redirect_uri", "https://evil.test") },
		"another response type": func(w *auditFixture) { w.begin("response_type", "token") },
		"without PKCE":          func(w *auditFixture) { w.begin("code_challenge", "") },
		"without an issuer": func(w *auditFixture) {
			delete(w.dir.issuers, "corp")
			w.begin()
		},
		"a ticket that is none":     func(w *auditFixture) { w.call(loginport.ResumePath, loginport.ResumeRequest{Ticket: "hpl_AAAA"}) },
		"the person refuses":        ended(loginport.PersonRefused),
		"the provider refuses":      ended(loginport.ProviderRefused),
		"the provider is away":      ended(loginport.ProviderUnavailable),
		"the provider is of no use": ended(loginport.ProviderUnusable),
		"another issuer":            func(w *auditFixture) { w.finish("iss", "https://evil.test") },
		"an old ID token":           func(w *auditFixture) { w.finish("iat", noon.Add(-time.Hour).Unix()) },
		"another audience":          func(w *auditFixture) { w.finish("aud", "evil") },
		"another nonce":             func(w *auditFixture) { w.finish("nonce", "n") },
		"an unknown key":            func(w *auditFixture) { w.dir.issuers["corp"].Keys.Set = ""; w.finish() },
		"another claim":             allowed(func(l *oauth2.Login) { l.Claims = []oauth2.RequiredClaim{{Name: "hd", Values: []string{"corp.test"}}} }),
		"groups that are elsewhere": allowed(func(l *oauth2.Login) { l.Groups = []string{"staff"} }, "hasgroups", true),
		"code: redeemed":            func(w *auditFixture) { w.redeem(nil) },
		"code: that is none":        func(w *auditFixture) { w.redeem(nil, "code", "hpc_AAAA") },
		"code: that has expired":    func(w *auditFixture) { w.redeem(func(c *codegrant.Code) { c.ExpiresAt = noon }) },
		"code: used before":         func(w *auditFixture) { w.dir.redeemed = true; w.redeem(nil) },
		"code: another verifier":    func(w *auditFixture) { w.redeem(nil, "code_verifier", strings.Repeat("x", 43)) },
		"code: not written": func(w *auditFixture) {
			w.dir.redeeming = &oauth2.Error{Code: oauth2.TemporarilyUnavailable, Reason: oauth2.ReasonGrantNotDurable, RetryAfter: time.Second}
			w.redeem(nil)
		},
		"refresh":                    func(w *auditFixture) { w.refresh(nil) },
		"refresh: of another client": func(w *auditFixture) { w.refresh(func(r *codegrant.Refresh) { r.ClientID = "shop.other" }) },
		"refresh: that has expired":  func(w *auditFixture) { w.refresh(func(r *codegrant.Refresh) { r.ExpiresAt = noon }) },
		"refresh: replaced": func(w *auditFixture) {
			w.counts(2, noon.Add(30*time.Second))
			w.refresh(nil)
		},
		"refresh: reused": func(w *auditFixture) {
			w.counts(1, noon.Add(-time.Minute))
			w.refresh(nil)
		},
		"refresh: too often": func(w *auditFixture) { w.refresh(func(r *codegrant.Refresh) { r.Refreshes = 3 }) },
		"refresh: ended": func(w *auditFixture) {
			w.dir.revoked.Revoke(revocation.NewEntry(revocation.IDOf(loginGrant), noon.Add(time.Hour)), revocation.Client{}, noon)
			w.refresh(nil)
		},
		"revoke": func(w *auditFixture) {
			w.send(request{method: http.MethodPost, path: oauth2.RevocationPath, form: url.Values{"client_id": {"shop.web"}, "token": {w.refreshToken(nil)}}})
		},
	}
	prepared := map[string]func(w *auditFixture){}
	for name, test := range maps.All(cases) {
		prepared["login: "+name] = func(w *auditFixture) {
			prepareLogin(w)
			test(w)
		}
	}
	return prepared
}
