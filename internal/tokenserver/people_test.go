// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

const (
	loginOrigin = "https://login.test"
	portal      = "shop.portal" // with a secret
	native      = "shop.native" // public
	pkce        = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	portalBack  = "https://portal.example.com/callback?tab=1"
	nativeBack  = "http://127.0.0.1:49152/callback"
)

// pagesAccount is the service account of login.
var pagesAccount = oauth2.ObjectName{Namespace: "hallpass-login", Name: "login"}

// pagesCluster honours the tokens of login.
type pagesCluster struct {
	fakeCluster

	audiences []string
}

func (c *pagesCluster) Review(_ context.Context, _ oauth2.Secret, account oauth2.UsedAccountToken, audience string) oauth2.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reviewed++
	c.audiences = append(c.audiences, audience)
	if account.Account != "system:serviceaccount:hallpass-login:login" {
		return oauth2.Dishonoured
	}
	return c.verdict
}

// peopleWorld is a token server with the port for login. Its methods play login.
type peopleWorld struct {
	*world

	port    http.Handler
	login   loginport.Client
	cluster *pagesCluster
	signer  *jws.Signer // of the cluster
	corp    *jws.Signer // of the identity provider
	bearer  string
}

func newPeopleWorld(t testing.TB, configure ...func(*settings)) *peopleWorld {
	t.Helper()
	signer := newSigner(t, jws.ES256)
	trust := oauth2.Cluster{Issuer: clusterIssuer, Keys: jws.KeySet{Keys: []jws.PublicKey{signer.Public()}}}
	cluster := &pagesCluster{fakeCluster: fakeCluster{known: trust, source: trust, verdict: oauth2.Honoured}}
	kept := &journal{batches: map[string]revocation.Batch{}}
	w := &peopleWorld{cluster: cluster, signer: signer, corp: newSigner(t, jws.ES256), world: newWorld(t, append([]func(*settings){func(s *settings) {
		s.auth.Cluster, s.LoginURL, s.store = cluster, loginOrigin, kept
	}}, configure...)...)}
	ring, _, err := seal.Ring{}.Rotate(noon.Add(-time.Hour), noon.Add(-time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.dir.sealing = ring
	keys, err := jws.PackKeys(w.corp.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.dir.issuers = map[string]*oauth2.TrustedIssuer{"corp": {
		Name: "corp", UID: "corp-uid", Issuer: "https://corp.example.org", Uses: oauth2.UsePerson, Keys: oauth2.IssuerKeys{Set: keys}, DisplayName: "Example Corp",
		Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}}, CABundle: []byte("PEM"), AllowedCIDRs: []string{"10.0.0.0/8"},
		Login: &oauth2.Login{ClientID: "hallpass", SecretName: "corp-secret", Scopes: []string{"openid", "email"}},
	}}
	w.dir.issuersAtSource = w.dir.issuers
	w.dir.resources = append(w.dir.resources, &oauth2.Resource{
		Identifier: ordersAPI, UID: "r-uid", Namespace: "orders", Name: "api", DisplayName: "Orders", Scopes: []string{"orders.read"},
		Users: []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: []string{"orders.read"}}},
	})
	for id, redirect := range map[string]string{portal: portalBack, native: "http://127.0.0.1/callback"} {
		w.register(id)
		c := w.dir.known[id].Client
		c.GrantTypes = oauth2.AuthorizationCode
		c.DefaultResource = oauth2.ObjectName{Namespace: "orders", Name: "api"}
		c.Access = []oauth2.Access{{Resource: c.DefaultResource, Scopes: []string{"orders.read"}}}
		c.Codes = &oauth2.Codes{RedirectURIs: []string{redirect}, DisplayName: "Shop of " + id, Refresh: oauth2.Refreshing{Lifetime: 8 * time.Hour}}
		if id == native {
			c.Credentials = oauth2.Credentials{Public: true}
		}
		w.dir.source[id] = w.dir.known[id]
	}
	w.port = NewLogin(LoginConfig{Authority: w.authority, Auditor: w.auditor, Account: pagesAccount})
	w.bearer = w.pageToken(nil)
	w.login = loginport.Client{
		BaseURL: "https://port.test", HTTP: &http.Client{Transport: served{w.port}}, Token: func() (string, error) { return w.bearer, nil },
	}
	return w
}

// served answers requests by a handler.
type served struct{ handler http.Handler }

func (s served) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	r.RemoteAddr = "10.1.2.3:1234"
	s.handler.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// pageToken is the token of the service account of login, with changed claims.
func (w *peopleWorld) pageToken(change map[string]any) string {
	claims := map[string]any{
		"aud": []string{testIssuer + "/login"}, "sub": "system:serviceaccount:hallpass-login:login",
		"kubernetes.io": kubernetesClaim("hallpass-login", "login", "uid-of-login"),
	}
	maps.Copy(claims, change)
	return accountWorld{world: w.world}.sign(w.signer, "", claims)
}

func (w *peopleWorld) query(id string) string {
	sum := sha256.Sum256([]byte(pkce))
	return url.Values{
		"response_type": {"code"}, "client_id": {id}, "redirect_uri": {map[string]string{portal: portalBack, native: nativeBack}[id]}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "scope": {"orders.read orders.delete"},
	}.Encode()
}

// idToken is an ID token of the provider for an attempt.
func (w *peopleWorld) idToken(a *loginport.Attempt) loginport.Opaque {
	w.t.Helper()
	payload, err := json.Marshal(map[string]any{
		"iss": "https://corp.example.org", "aud": a.Provider.ClientID, "sub": "alice", "nonce": a.Nonce, "iat": w.now.Unix(), "exp": w.now.Add(time.Minute).Unix(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	token, err := w.corp.Sign("JWT", payload)
	if err != nil {
		w.t.Fatal(err)
	}
	return loginport.Opaque(token)
}

// code logs alice in, and returns the parameters of the redirect.
func (w *peopleWorld) code(id string) url.Values {
	w.t.Helper()
	begun, err := w.login.Begin(w.t.Context(), loginport.BeginRequest{Query: w.query(id), Source: "198.51.100.7"})
	if err != nil || begun.Attempt == nil {
		w.t.Fatalf("%+v %v: %s", begun, err, w.audit)
	}
	finished, err := w.login.Finish(w.t.Context(), loginport.FinishRequest{Ticket: begun.Attempt.Ticket, IDToken: w.idToken(begun.Attempt), Source: "198.51.100.7"})
	if err != nil {
		w.t.Fatal(err)
	}
	back, err := url.Parse(string(finished.Redirect))
	if err != nil {
		w.t.Fatal(err)
	}
	return back.Query()
}

// tokens are the answer of the token endpoint.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
	Expires int    `json:"expires_in"`
	Error   string `json:"error"`
}

// fetch sends a token request of a public client, or of another one with its secret.
func (w *peopleWorld) fetch(id string, form url.Values) (int, tokens) {
	w.t.Helper()
	c := call{body: form.Encode()}
	if id == native {
		c.body += "&client_id=" + id
	} else {
		c.basic = id
	}
	return w.answerTo(c)
}

// answer sends a token request with these parameters alone.
func (w *peopleWorld) answer(body string) (int, tokens) {
	w.t.Helper()
	return w.answerTo(call{body: body})
}

func (w *peopleWorld) answerTo(c call) (int, tokens) {
	w.t.Helper()
	answer := w.do(c)
	var got tokens
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
		w.t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	return answer.Code, got
}

func (w *peopleWorld) redeem(id, code string) (int, tokens) {
	redirect := map[string]string{portal: portalBack, native: nativeBack}[id]
	return w.fetch(id, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {pkce}, "redirect_uri": {redirect}})
}

func TestLoginCarriesAPersonToTheTokenEndpoint(t *testing.T) {
	for _, id := range []string{portal, native} {
		w := newPeopleWorld(t)
		begun, err := w.login.Begin(t.Context(), loginport.BeginRequest{Query: w.query(id), Source: "198.51.100.7"})
		if err != nil {
			t.Fatal(err)
		}
		host := map[string]string{portal: "portal.example.com", native: "127.0.0.1:49152"}[id]
		origin := map[string]string{portal: "https://portal.example.com", native: "http://127.0.0.1:49152"}[id]
		want := loginport.Attempt{
			Ticket: begun.Attempt.Ticket, ExpiresIn: 600, Nonce: begun.Attempt.Nonce,
			Provider: loginport.Provider{
				Name: "corp", DisplayName: "Example Corp", Issuer: "https://corp.example.org", ClientID: "hallpass", SecretName: "corp-secret",
				Scopes: []string{"openid", "email"}, CABundle: []byte("PEM"), AllowedCIDRs: []string{"10.0.0.0/8"},
			},
			Consent: loginport.Consent{
				Needed: true, ClientID: id, ClientName: "Shop of " + id, Namespace: "shop", RedirectHost: host, RedirectOrigin: origin, API: ordersAPI, APIName: "Orders",
				Scopes: []loginport.Scope{{Name: "orders.read"}}, LeftOut: []string{"orders.delete"},
			},
		}
		if diff := cmp.Diff(want, *begun.Attempt); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
		if size := len(begun.Attempt.Ticket); size == 0 || size > loginport.MaxTicketBytes {
			t.Errorf("a ticket of %d bytes", size)
		}
		w.now = w.now.Add(time.Minute)
		resumed, err := w.login.Resume(t.Context(), loginport.ResumeRequest{Ticket: begun.Attempt.Ticket, Source: "198.51.100.7"})
		want.ExpiresIn, want.Consent.LeftOut = 540, nil
		if diff := cmp.Diff(loginport.BeginAnswer{Attempt: &want}, resumed); diff != "" || err != nil {
			t.Errorf("%s resumed: %v (-want +got):\n%s", id, err, diff)
		}
		finished, err := w.login.Finish(t.Context(), loginport.FinishRequest{Ticket: begun.Attempt.Ticket, IDToken: w.idToken(begun.Attempt), Source: "198.51.100.7"})
		if err != nil {
			t.Fatal(err)
		}
		line := w.lastAudit()
		got := []any{line["endpoint"], line["outcome"], line["sub"], line["client_id"], line["forwarded_for"], line["source"]}
		if diff := cmp.Diff([]any{"login-finish", "allowed", "user:corp:alice", id, "198.51.100.7", "10.1.2.3"}, got); diff != "" {
			t.Errorf("%s: the audit line (-want +got):\n%s", id, diff)
		}
		back, err := url.Parse(string(finished.Redirect))
		if err != nil || back.Host != host || back.Query().Get("state") != "s" || back.Query().Get("iss") != testIssuer {
			t.Errorf("redirected to %s", string(finished.Redirect))
		}
		if id == portal && back.Query().Get("tab") != "1" {
			t.Error("the query of the redirect URI is lost")
		}
		status, issued := w.redeem(id, back.Query().Get("code"))
		if status != http.StatusOK || issued.Refresh == "" || issued.Scope != "orders.read" || issued.Expires != 3600 {
			t.Fatalf("%s: %d %+v", id, status, issued)
		}
		claims, err := w.validate(issued.Access, w.now)
		if err != nil || claims.Subject != "user:corp:alice" || claims.GrantID != w.lastAudit()["grant_id"] {
			t.Errorf("%s: %v %+v", id, err, claims)
		}
		w.now = w.now.Add(10 * time.Minute)
		if id == portal { // without a journal, which the other one needs
			if status, next := w.fetch(id, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {issued.Refresh}}); status != http.StatusOK || next.Refresh != issued.Refresh {
				t.Errorf("refreshed: %d %+v", status, next)
			}
		}
	}
}

// Only the pod of login is answered, by a token that it has for nothing else.
func TestThePortIsForLoginAlone(t *testing.T) {
	for name, c := range map[string]struct {
		bearer func(w *peopleWorld) string
		reason oauth2.Reason
	}{
		"no token": {func(*peopleWorld) string { return "" }, oauth2.ReasonNoCredentials},
		"another service account": {func(w *peopleWorld) string {
			return w.pageToken(map[string]any{"sub": "system:serviceaccount:shop:login", "kubernetes.io": kubernetesClaim("shop", "login", "uid")})
		}, oauth2.ReasonWrongServiceAccount},
		"the audience of clients": {func(w *peopleWorld) string { return w.pageToken(map[string]any{"aud": []string{testIssuer}}) }, oauth2.ReasonAssertionAudience},
		"a further audience": {func(w *peopleWorld) string {
			return w.pageToken(map[string]any{"aud": []string{testIssuer + "/login", "x"}})
		}, oauth2.ReasonAssertionAudience},
		"an expired token":         {func(w *peopleWorld) string { return w.pageToken(map[string]any{"exp": w.now.Unix()}) }, oauth2.ReasonAssertionExpired},
		"an access token":          {func(w *peopleWorld) string { return w.token(reporting) }, oauth2.ReasonMalformedCredential},
		"another key":              {func(w *peopleWorld) string { w.signer = newSigner(w.t, jws.ES256); return w.pageToken(nil) }, oauth2.ReasonAssertionKeyUnknown},
		"a pod that is gone":       {func(w *peopleWorld) string { w.cluster.verdict = oauth2.Dishonoured; return w.bearer }, oauth2.ReasonAccountTokenEnded},
		"a cluster that is unsure": {func(w *peopleWorld) string { w.cluster.verdict = oauth2.Undecided; return w.bearer }, oauth2.ReasonLookupUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{loginport.BeginPath, loginport.ResumePath, loginport.FinishPath} {
				w := newPeopleWorld(t)
				w.bearer = c.bearer(w)
				header := http.Header{}
				if w.bearer != "" {
					header.Set("Authorization", "Bearer "+w.bearer)
				}
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(`{"query":"`+w.query(portal)+`"}`))
				r.Header = header.Clone()
				r.Header.Set("Content-Type", loginport.MediaType)
				recorder := httptest.NewRecorder()
				w.port.ServeHTTP(recorder, r)
				want := http.StatusUnauthorized
				if c.reason == oauth2.ReasonLookupUnavailable {
					want = http.StatusServiceUnavailable
				}
				if recorder.Code != want || w.lastAudit()["reason"] != string(c.reason) || strings.Contains(recorder.Body.String(), "ticket") {
					t.Errorf("%s: %d %s, for %v", path, recorder.Code, recorder.Body, w.lastAudit()["reason"])
				}
			}
		})
	}
}

// The cluster is asked about the token of login once a minute, and a login continues while it is
// away.
func TestTheTokenOfLoginIsReviewedOnceAMinute(t *testing.T) {
	w := newPeopleWorld(t)
	for range 3 {
		w.code(portal)
	}
	if w.cluster.reviewed != 1 || !slices.Equal(w.cluster.audiences, []string{testIssuer + "/login"}) {
		t.Errorf("%d reviews for %v", w.cluster.reviewed, w.cluster.audiences)
	}
	w.now = w.now.Add(time.Minute)
	w.cluster.verdict = oauth2.Unreachable
	w.code(portal)
	if w.cluster.reviewed < 2 {
		t.Error("no review after a minute")
	}
	w.cluster.verdict = oauth2.Dishonoured
	if _, err := w.login.Begin(t.Context(), loginport.BeginRequest{Query: w.query(portal)}); !errors.Is(err, loginport.ErrUnauthorized) {
		t.Errorf("the pod of login is gone: %v", err)
	}
}

func TestMessagesOfThePort(t *testing.T) {
	w := newPeopleWorld(t)
	ticket := func() string {
		begun, err := w.login.Begin(t.Context(), loginport.BeginRequest{Query: w.query(portal)})
		if err != nil {
			t.Fatal(err)
		}
		return string(begun.Attempt.Ticket)
	}()
	for name, c := range map[string]struct {
		path, contentType, body string
		status                  int
	}{
		"a form":                {loginport.BeginPath, "application/x-www-form-urlencoded", "query=x", 415},
		"no JSON":               {loginport.BeginPath, loginport.MediaType, "{", 400},
		"another type":          {loginport.BeginPath, loginport.MediaType, `{"query":1}`, 400},
		"a long body":           {loginport.BeginPath, loginport.MediaType, `{"query":"` + strings.Repeat("x", loginport.MaxRequestBytes) + `"}`, 413},
		"neither of two":        {loginport.FinishPath, loginport.MediaType, `{"ticket":"` + ticket + `"}`, 400},
		"both of two":           {loginport.FinishPath, loginport.MediaType, `{"ticket":"` + ticket + `","idToken":"x","ended":"PersonRefused"}`, 400},
		"an end of its own":     {loginport.FinishPath, loginport.MediaType, `{"ticket":"` + ticket + `","ended":"Allowed"}`, 400},
		"another path":          {"/login/other", loginport.MediaType, `{}`, 404},
		"a source that is none": {loginport.BeginPath, loginport.MediaType, `{"query":"","source":"evil"}`, 200},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, c.path, strings.NewReader(c.body))
		r.Header.Set("Authorization", "Bearer "+w.bearer)
		r.Header.Set("Content-Type", c.contentType)
		recorder := httptest.NewRecorder()
		w.port.ServeHTTP(recorder, r)
		if recorder.Code != c.status {
			t.Errorf("%s: %d %s", name, recorder.Code, recorder.Body)
		}
		if line := w.lastAudit(); line["forwarded_for"] != nil {
			t.Errorf("%s: a source of %v", name, line["forwarded_for"])
		}
	}
	refused, err := w.login.Begin(t.Context(), loginport.BeginRequest{Query: "client_id=" + native})
	if err != nil || refused.Redirect != "" && refused.Refusal != nil || refused.Attempt != nil {
		t.Errorf("%+v %v", refused, err)
	}
	gone, err := w.login.Begin(t.Context(), loginport.BeginRequest{Query: "client_id=shop.unknown"})
	want := &loginport.Refusal{
		Code: "invalid_client", Description: "no application of that client_id is registered; ask those who run it", Reason: string(oauth2.ReasonUnknownClient),
	}
	if diff := cmp.Diff(loginport.BeginAnswer{Refusal: want}, gone); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// One browser leaves room for the others.
func TestLoginsAreThrottledByTheBrowser(t *testing.T) {
	w := newPeopleWorld(t)
	begin := func(source string) error {
		_, err := w.login.Begin(t.Context(), loginport.BeginRequest{Query: "client_id=" + native, Source: source})
		return err
	}
	var throttled error
	for range 5000 {
		if throttled = begin("198.51.100.7"); throttled != nil {
			break
		}
	}
	away, ok := errors.AsType[*loginport.UnavailableError](throttled)
	if !ok || away.RetryAfter < time.Second {
		t.Fatalf("%v", throttled)
	}
	if line := w.lastAudit(); line["reason"] != string(oauth2.ReasonThrottled) || line["forwarded_for"] != "198.51.100.7" {
		t.Errorf("the audit line is %v", line)
	}
	if err := begin("203.0.113.9"); err != nil {
		t.Errorf("another browser: %v", err)
	}
}

func TestTheMetadataNameLogin(t *testing.T) {
	w := newPeopleWorld(t)
	read := func() (document map[string]any) {
		if err := json.Unmarshal(w.do(call{method: http.MethodGet, path: oauth2.MetadataPath}).Body.Bytes(), &document); err != nil {
			t.Fatal(err)
		}
		return document
	}
	document := read()
	methods := []any{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	public := append(slices.Clone(methods), "none")
	for member, want := range map[string]any{
		"authorization_endpoint":                         loginOrigin + "/oauth2/authorize",
		"response_types_supported":                       []any{"code"},
		"response_modes_supported":                       []any{"query"},
		"token_endpoint_auth_methods_supported":          public,
		"revocation_endpoint_auth_methods_supported":     public,
		"introspection_endpoint_auth_methods_supported":  methods,
		"code_challenge_methods_supported":               []any{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"client_id_metadata_document_supported":          nil,
		"grant_types_supported": []any{
			"client_credentials", oauth2.GrantJWTBearer, oauth2.GrantTokenExchange, "authorization_code", "refresh_token",
		},
	} {
		if diff := cmp.Diff(want, document[member]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", member, diff)
		}
	}
	w.dir.published = true
	w.now = w.now.Add(2 * metadataFresh)
	if read()["client_id_metadata_document_supported"] != true {
		t.Error("the metadata do not have that clients publish documents")
	}
}

// Each refusal of a code or a refresh token has the code of RFC 6749 section 5.2.
func TestTheTokenEndpointRefusesCodes(t *testing.T) {
	w := newPeopleWorld(t)
	code := func() url.Values {
		return url.Values{"grant_type": {"authorization_code"}, "code": {w.code(native).Get("code")}, "code_verifier": {pkce}, "redirect_uri": {nativeBack}}
	}
	for name, c := range map[string]struct {
		id     string
		change func(form url.Values)
		status int
		code   string
	}{
		"without a code":              {native, func(form url.Values) { form.Del("code") }, 400, "invalid_request"},
		"without a verifier":          {native, func(form url.Values) { form.Del("code_verifier") }, 400, "invalid_request"},
		"another code":                {native, func(form url.Values) { form.Set("code", "hpc_AAAA") }, 400, "invalid_grant"},
		"another verifier":            {native, func(form url.Values) { form.Set("code_verifier", strings.Repeat("x", 43)) }, 400, "invalid_grant"},
		"another redirect URI":        {native, func(form url.Values) { form.Set("redirect_uri", portalBack) }, 400, "invalid_grant"},
		"another client":              {portal, func(url.Values) {}, 400, "invalid_grant"},
		"another resource":            {native, func(form url.Values) { form.Set("resource", shopAudience) }, 400, "invalid_target"},
		"a client without the type":   {reporting, func(url.Values) {}, 400, "invalid_grant"},
		"no refresh token":            {native, func(form url.Values) { form.Set("grant_type", "refresh_token") }, 400, "invalid_request"},
		"another refresh token":       {native, func(form url.Values) { form.Set("grant_type", "refresh_token"); form.Set("refresh_token", "hpf_AAAA") }, 400, "invalid_grant"},
		"a password":                  {native, func(form url.Values) { form.Set("grant_type", "password") }, 401, "invalid_client"},
		"the grant of a program":      {native, func(form url.Values) { form.Set("grant_type", "client_credentials") }, 401, "invalid_client"},
		"a token exchange":            {native, func(form url.Values) { form.Set("grant_type", oauth2.GrantTokenExchange) }, 401, "invalid_client"},
		"a secret of a public client": {native, func(form url.Values) { form.Set("client_secret", strings.Repeat("x", 43)) }, 401, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			w.now = w.now.Add(10 * time.Second)
			form := code()
			c.change(form)
			if status, got := w.fetch(c.id, form); status != c.status || got.Error != c.code {
				t.Errorf("%d %s", status, got.Error)
			}
		})
	}
	if status, got := w.fetch(native, code()); status != http.StatusOK {
		t.Errorf("%d %+v", status, got)
	}
}

// Where no people are served, the grants do not exist.
func TestWithoutLoginThereIsNoCode(t *testing.T) {
	w := newWorld(t)
	for _, grant := range []string{"authorization_code", "refresh_token"} {
		answer := w.do(call{basic: reporting, body: "grant_type=" + grant + "&code=x&code_verifier=" + pkce + "&refresh_token=x"})
		if answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), `"unsupported_grant_type"`) {
			t.Errorf("%s: %d %s", grant, answer.Code, answer.Body)
		}
		if public := w.do(call{body: "client_id=" + reporting + "&grant_type=" + grant}); public.Code != http.StatusUnauthorized {
			t.Errorf("%s without credentials: %d %s", grant, public.Code, public.Body)
		}
	}
}

// running has the revocations written until the test ends.
func (w *peopleWorld) running(t *testing.T) *peopleWorld {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.journal.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return w
}

// The revocation of any token of a grant ends all of it (RFC 7009 section 2.1).
func TestRevokingATokenEndsItsGrant(t *testing.T) {
	for name, revoked := range map[string]func(tokens) string{
		"a refresh token": func(issued tokens) string { return issued.Refresh }, "an access token": func(issued tokens) string { return issued.Access },
	} {
		for _, id := range []string{native, portal} {
			t.Run(name+" of "+id, func(t *testing.T) {
				w := newPeopleWorld(t).running(t)
				_, first := w.redeem(id, w.code(id).Get("code"))
				w.now = w.now.Add(10 * time.Minute)
				status, second := w.fetch(id, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.Refresh}})
				if status != http.StatusOK {
					t.Fatalf("%d %+v", status, second)
				}
				c := call{path: oauth2.RevocationPath, basic: stranger, body: "token=" + revoked(second)}
				if answer := w.do(c); answer.Code != http.StatusBadRequest || w.lastAudit()["reason"] != string(oauth2.ReasonTokenOfAnother) {
					t.Errorf("another client: %d %s", answer.Code, answer.Body)
				}
				if c.basic = id; id == native {
					c.basic = ""
					c.body += "&client_id=" + id
				}
				if answer := w.do(c); answer.Code != http.StatusOK || w.lastAudit()["outcome"] != "revoked" || w.lastAudit()["grant_id"] == nil {
					t.Errorf("%d %s", answer.Code, answer.Body)
				}
				for _, access := range []string{first.Access, second.Access} {
					w.register("orders.reader")
					if w.active("orders.reader", access) {
						t.Error("an access token of the grant is active")
					}
				}
				if status, got := w.fetch(id, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {second.Refresh}}); got.Error != "invalid_grant" {
					t.Errorf("the refresh token: %d %s", status, got.Error)
				}
				if answer := w.do(c); answer.Code != http.StatusOK {
					t.Errorf("again: %d %s", answer.Code, answer.Body)
				}
			})
		}
	}
}

// Refresh tokens that are not valid count as revoked (RFC 7009 section 2.2).
func TestRevokingNoRefreshToken(t *testing.T) {
	w := newPeopleWorld(t)
	for _, token := range []string{"hpf_AAAA", "hpc_AAAA", w.code(native).Get("code")} {
		if answer := w.do(call{path: oauth2.RevocationPath, body: "client_id=" + native + "&token=" + token}); answer.Code != http.StatusOK {
			t.Errorf("%d %s", answer.Code, answer.Body)
		}
	}
}

// The requests of a namespace that wait for a write leave room for those of others, and for
// requests that wait for none.
func TestRedeemingLeavesRoom(t *testing.T) {
	w := newPeopleWorld(t)
	code := w.code(native).Get("code")
	w.dir.writing = make(chan chan struct{})
	var waiting []chan struct{}
	var running sync.WaitGroup
	redeem := func() (int, tokens) { return w.redeem(native, code) }
	for range lentRedeeming + redeemingShare {
		running.Go(func() { redeem() })
		waiting = append(waiting, <-w.dir.writing)
	}
	if status, got := redeem(); status != http.StatusServiceUnavailable || got.Error != "temporarily_unavailable" {
		t.Errorf("one more of the namespace: %d %+v", status, got)
	}
	w.token(reporting) // of the same namespace
	w.token(stranger)
	for _, wait := range waiting {
		close(wait)
	}
	running.Wait()
}

// The redemptions that exist are bounded, and a client gets tokens for its code once others have
// been deleted.
func TestTooManyLoginsAreAskedToWait(t *testing.T) {
	w := newPeopleWorld(t)
	of, n := revocation.Client{ID: portal, Namespace: "shop"}, 0
	for w.dir.live.Reserve(fmt.Sprint("redeemed-", n), of) == nil {
		n++
	}
	code := w.code(portal).Get("code")
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {pkce}, "redirect_uri": {portalBack}}
	refused := w.do(call{basic: portal, body: form.Encode()})
	if refused.Code != http.StatusServiceUnavailable || refused.Header().Get("Retry-After") != "10" || w.lastAudit()["reason"] != string(oauth2.ReasonGrantNotDurable) {
		t.Errorf("after %d: %d %v %s", n, refused.Code, refused.Header(), refused.Body)
	}
	w.dir.live.Remove("redeemed-0")
	if status, issued := w.redeem(portal, code); status != http.StatusOK || issued.Access == "" {
		t.Errorf("after one was deleted: %d %+v", status, issued)
	}
}

// A public client asks nothing about tokens.
func TestAPublicClientDoesNotIntrospect(t *testing.T) {
	w := newPeopleWorld(t)
	_, issued := w.redeem(native, w.code(native).Get("code"))
	for _, path := range []string{oauth2.IntrospectionPath, oauth2.RevocationFeedPath} {
		if answer := w.do(call{path: path, body: "client_id=" + native + "&token=" + issued.Access}); answer.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
}

// FuzzLoginPort sends messages that no login would. Nothing is a fault of the server, and no
// message brings a code.
func FuzzLoginPort(f *testing.F) {
	w := newPeopleWorld(f)
	f.Add(loginport.BeginPath, `{"query":"`+w.query(portal)+`","source":"192.0.2.1"}`)
	f.Add(loginport.ResumePath, `{"ticket":"hpl_AAAA"}`)
	f.Add(loginport.FinishPath, `{"ticket":"hpl_AAAA","idToken":"a.b.c"}`)
	f.Add(loginport.FinishPath, `{"ticket":"hpl_AAAA","ended":"PersonRefused"}`)
	f.Fuzz(func(t *testing.T, path, body string) {
		if path != loginport.BeginPath && path != loginport.ResumePath {
			path = loginport.FinishPath
		}
		w.t, w.now = t, w.now.Add(10*time.Second)
		w.bearer = w.pageToken(nil)
		w.audit.Reset()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+w.bearer)
		r.Header.Set("Content-Type", loginport.MediaType)
		recorder := httptest.NewRecorder()
		w.port.ServeHTTP(recorder, r)
		if recorder.Code >= http.StatusInternalServerError || strings.Contains(recorder.Body.String(), "hpc_") {
			t.Errorf("%d %s", recorder.Code, recorder.Body)
		}
		w.lastAudit() // one line of JSON
	})
}
