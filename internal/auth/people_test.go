// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	portal   = "shop.portal" // with a secret
	native   = "shop.native" // public
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	browser  = "192.0.2.7"
	back     = "https://portal.example.com/callback"
	loopback = "http://127.0.0.1/callback"
)

// batches is a store of revocations that fails as long as a test wants.
type batches struct {
	mu      sync.Mutex
	away    bool
	written []revocation.Batch
}

func (b *batches) WriteRevocations(_ context.Context, _ string, batch revocation.Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return errAway
	}
	b.written = append(b.written, batch)
	return nil
}

// people is an installation in which persons log in at corp for two clients of shop.
type people struct {
	*world

	corp  *jws.Signer
	store *batches
}

// withPeople runs a test in a bubble: the journal writes at once by its clock.
func withPeople(t *testing.T, test func(t *testing.T, w *people)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &people{store: &batches{}, corp: newSigner(t)}
		var journal *revocation.Journal
		w.world = newWorld(t, func(c *auth.Config) {
			journal = revocation.NewJournal(w.store, c.Now, func(bool, int) {}, slog.New(slog.DiscardHandler))
			c.Journal = journal
		})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { journal.Run(ctx) })
		defer running.Wait()
		defer stop()
		keys, err := jws.PackKeys(w.corp.Public())
		must(t, err)
		w.memory.issuers = map[string]*oauth2.TrustedIssuer{"corp": {
			Name: "corp", UID: "corp-uid", Issuer: "https://corp.example.org", Uses: oauth2.UsePerson, Keys: oauth2.IssuerKeys{Set: keys},
			Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}},
			Login:       &oauth2.Login{ClientID: "hallpass", SecretName: "corp", Scopes: []string{"openid"}},
		}}
		api := *w.memory.resources[0]
		api.Scopes = []string{"orders.read", "orders.write"}
		api.Users = []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: []string{"orders.read", "orders.write"}}}
		w.memory.resources[0] = &api
		for id, redirect := range map[string]string{portal: back, native: loopback} {
			w.register(id)
			w.change(id, func(c *oauth2.Client, _ *oauth2.Owner) {
				c.GrantTypes = oauth2.AuthorizationCode
				c.Access = []oauth2.Access{{Resource: oauth2.ObjectName{Namespace: "orders", Name: "api"}, Scopes: []string{"orders.read", "orders.write"}}}
				c.DefaultResource = oauth2.ObjectName{Namespace: "orders", Name: "api"}
				c.Codes = &oauth2.Codes{RedirectURIs: []string{redirect}, Refresh: oauth2.Refreshing{Lifetime: 8 * time.Hour}}
				if id == native {
					c.Credentials = oauth2.Credentials{Public: true}
				}
			})
		}
		w.source = w.memory.clone()
		test(t, w)
	})
}

// pass moves the clock while nothing reads it.
func (w *people) pass(d time.Duration) {
	synctest.Wait()
	w.now = w.now.Add(d)
}

// setAway has the source and the store fail with an error, or work again.
func (w *people) setAway(err error) {
	synctest.Wait()
	w.away, w.store.away = err, err != nil
}

func (w *people) logins() auth.Logins { return auth.Logins{Authority: w.Authority} }

func (w *people) grants() auth.Grants { return auth.Grants{Authority: w.Authority} }

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// query is an authorization request of a client, changed by pairs of names and values. Without a
// value a parameter is left out.
func query(id string, changes ...string) string {
	redirect := map[string]string{portal: back, native: "http://127.0.0.1:49152/callback"}[id]
	form := url.Values{
		"response_type": {"code"}, "client_id": {id}, "redirect_uri": {redirect}, "state": {"st&te"},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}, "scope": {"orders.read"},
	}
	for pair := range slices.Chunk(changes, 2) {
		if form.Del(pair[0]); pair[1] != "" {
			form.Set(pair[0], pair[1])
		}
	}
	return form.Encode()
}

// begin begins a login that is accepted.
func (w *people) begin(id string, changes ...string) *auth.LoginAttempt {
	w.t.Helper()
	step, err := w.logins().Begin(w.t.Context(), query(id, changes...), browser)
	must(w.t, err)
	return step.Attempt
}

// idToken is an ID token of corp for a login, with changed claims.
func (w *people) idToken(attempt *auth.LoginAttempt, changes ...any) oauth2.Secret {
	w.t.Helper()
	claims := map[string]any{
		"iss": "https://corp.example.org", "aud": "hallpass", "sub": "alice", "nonce": attempt.Nonce, "iat": w.now.Unix(), "exp": w.now.Add(time.Minute).Unix(),
	}
	for pair := range slices.Chunk(changes, 2) {
		name, _ := pair[0].(string)
		claims[name] = pair[1]
	}
	return oauth2.NewSecret(w.sign(w.corp, claims))
}

// code logs alice in, and returns the code of the redirect.
func (w *people) code(id string, changes ...string) string {
	w.t.Helper()
	attempt := w.begin(id, changes...)
	step, err := w.logins().Finish(w.t.Context(), attempt.Ticket, w.idToken(attempt), 0, browser)
	must(w.t, err)
	return answered(w.t, step).Get("code")
}

// answered are the parameters of a redirect.
func answered(t testing.TB, step auth.LoginStep) url.Values {
	t.Helper()
	u, err := url.Parse(step.Redirect.Reveal())
	must(t, err)
	return u.Query()
}

// as are the credentials of a client with further parameters.
func (w *people) as(id string, form url.Values) auth.Credentials {
	w.t.Helper()
	form.Set("client_id", id)
	if w.memory.clients[id].Client == nil || !w.memory.clients[id].Client.Credentials.Public {
		form.Set("client_secret", w.secrets[id])
	}
	parsed, err := oauth2.ParseForm(form.Encode())
	must(w.t, err)
	return auth.Credentials{Form: parsed, Public: true, Source: browser, At: w.now}
}

// redeem redeems a code for a client.
func (w *people) redeem(id, code string, changes ...string) (auth.Issued, error) {
	w.t.Helper()
	redirect := map[string]string{portal: back, native: "http://127.0.0.1:49152/callback"}[id]
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {redirect}}
	for pair := range slices.Chunk(changes, 2) {
		if form.Del(pair[0]); pair[1] != "" {
			form.Set(pair[0], pair[1])
		}
	}
	credentials := w.as(id, form)
	caller, err := w.Authenticate(w.t.Context(), credentials)
	if err != nil {
		return auth.Issued{}, err
	}
	request, err := codegrant.ParseRedemption(credentials.Form)
	if err != nil {
		return auth.Issued{}, err
	}
	return w.grants().Redeem(w.t.Context(), &caller, request)
}

// refresh refreshes the grant of a client.
func (w *people) refresh(id string, token oauth2.Secret, changes ...string) (auth.Issued, error) {
	w.t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.Reveal()}}
	for pair := range slices.Chunk(changes, 2) {
		form.Set(pair[0], pair[1])
	}
	credentials := w.as(id, form)
	caller, err := w.Authenticate(w.t.Context(), credentials)
	if err != nil {
		return auth.Issued{}, err
	}
	request, err := codegrant.ParseRefreshing(credentials.Form)
	if err != nil {
		return auth.Issued{}, err
	}
	return w.grants().Refresh(w.t.Context(), &caller, request)
}

// introspected is the denial of a token at the API, "" if it is good.
func (w *people) introspected(issued auth.Issued) oauth2.Reason {
	w.t.Helper()
	result, err := w.introspect(gateway, issued.Value.Reveal())
	must(w.t, err)
	return result.Denial
}

func TestAPersonLogsIn(t *testing.T) {
	for id, wantConsent := range map[string]bool{portal: true, native: true} {
		t.Run(id, func(t *testing.T) {
			withPeople(t, func(t *testing.T, w *people) {
				begun := w.begin(id, "scope", "openid orders.read orders.delete offline_access")
				want := oauth2.Offer{Audience: w.ordersAPI, Scopes: []string{"orders.read"}, LeftOut: []string{"orders.delete"}, ConsentNeeded: wantConsent}
				if diff := cmp.Diff(want, begun.Offer); diff != "" {
					t.Error("(-want +got):\n" + diff)
				}
				resumed, err := w.logins().Resume(t.Context(), begun.Ticket, browser)
				must(t, err)
				if resumed.Attempt.Nonce != begun.Nonce || resumed.Attempt.Ticket.Reveal() != begun.Ticket.Reveal() || resumed.Attempt.Issuer.Name != "corp" {
					t.Errorf("another attempt is resumed: %+v", resumed.Attempt)
				}
				step, err := w.logins().Finish(t.Context(), begun.Ticket, w.idToken(begun), 0, browser)
				must(t, err)
				answer := answered(t, step)
				if answer.Get("state") != "st&te" || answer.Get("iss") != w.Issuer.String() || answer.Get("error") != "" {
					t.Errorf("redirected to %s", step.Redirect.Reveal())
				}
				issued, err := w.redeem(id, answer.Get("code"))
				must(t, err)
				claims := issued.Claims
				got := []any{claims.Subject, claims.ClientID, claims.Audience, claims.Scopes, len(claims.GrantID), issued.Trail.GrantID == claims.GrantID}
				if diff := cmp.Diff([]any{"user:corp:alice", id, w.ordersAPI, []string{"orders.read"}, 22, true}, got); diff != "" {
					t.Error("(-want +got):\n" + diff)
				}
				if denial := w.introspected(issued); denial != "" {
					t.Errorf("the token is denied: %s", denial)
				}
				w.pass(30 * time.Minute)
				next, err := w.refresh(id, issued.Refresh)
				must(t, err)
				if next.Claims.GrantID != claims.GrantID || next.Claims.Subject != claims.Subject || next.Refresh.Empty() {
					t.Errorf("refreshed to %+v", next.Claims)
				}
				if rotated := next.Refresh.Reveal() != issued.Refresh.Reveal(); rotated != (id == native) {
					t.Errorf("the refresh token is replaced: %t", rotated)
				}
			})
		})
	}
}

// A person is sent nowhere unless the redirect URI is proven, and what else is wrong is reported to
// the client.
func TestAuthorizationRequests(t *testing.T) {
	type want struct {
		redirected bool
		code       oauth2.ErrorCode
		reason     oauth2.Reason
	}
	page := func(code oauth2.ErrorCode, reason oauth2.Reason) want { return want{false, code, reason} }
	report := func(code oauth2.ErrorCode, reason oauth2.Reason) want { return want{true, code, reason} }
	redirectPage := page(oauth2.InvalidRequest, oauth2.ReasonRedirectNotAllowed)
	for name, c := range map[string]struct {
		query  string
		change func(w *people)
		want   want
	}{
		"as they have to be":            {query(portal), nil, want{}},
		"without a resource or a scope": {query(portal, "scope", ""), nil, want{}},
		"with the resource":             {query(portal, "resource", "https://hallpass.test/resources/orders/api"), nil, want{}},
		"without a redirect URI":        {query(portal, "redirect_uri", ""), nil, want{}},
		"without a state":               {query(portal, "state", ""), nil, want{}},
		"any port of the loopback address": {
			query(native, "redirect_uri", "http://127.0.0.1:1/callback"), nil, want{},
		},
		"of no client":     {query("shop.unknown"), nil, page(oauth2.InvalidClient, oauth2.ReasonUnknownClient)},
		"without a client": {query(portal, "client_id", ""), nil, page(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest)},
		"with two clients": {query(portal) + "&client_id=" + native, nil, page(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest)},
		"of a program":     {query(reporting, "redirect_uri", back), nil, page(oauth2.UnauthorizedClient, oauth2.ReasonGrantTypeNotAllowed)},
		"with two redirects": {
			query(portal) + "&redirect_uri=" + url.QueryEscape("https://evil.example.com"), nil, page(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest),
		},
		"the redirect of another client": {query(portal, "redirect_uri", loopback), nil, redirectPage},
		"a longer path":                  {query(portal, "redirect_uri", back+"/more"), nil, redirectPage},
		"another case of the host":       {query(portal, "redirect_uri", "https://Portal.example.com/callback"), nil, redirectPage},
		"a port":                         {query(portal, "redirect_uri", "https://portal.example.com:443/callback"), nil, redirectPage},
		"a fragment":                     {query(portal, "redirect_uri", back+"#x"), nil, redirectPage},
		"a query":                        {query(portal, "redirect_uri", back+"?next=https://evil.example.com"), nil, redirectPage},
		"userinfo":                       {query(portal, "redirect_uri", "https://portal.example.com@evil.example.com/callback"), nil, redirectPage},
		"a path that leaves":             {query(portal, "redirect_uri", "https://portal.example.com/callback/../open"), nil, redirectPage},
		"localhost for its address":      {query(native, "redirect_uri", "http://localhost:49152/callback"), nil, redirectPage},
		"a script":                       {query(portal, "redirect_uri", "javascript:alert(1)"), nil, redirectPage},
		"of a suspended client": {
			query(portal), func(w *people) { w.suspend(portal) }, page(oauth2.UnauthorizedClient, oauth2.ReasonSuspended),
		},
		"for another response":     {query(portal, "response_type", "token"), nil, report(oauth2.UnsupportedResponseType, oauth2.ReasonRequestNotSupported)},
		"without PKCE":             {query(portal, "code_challenge", ""), nil, report(oauth2.InvalidRequest, oauth2.ReasonPKCENeeded)},
		"with the plain challenge": {query(portal, "code_challenge_method", "plain"), nil, report(oauth2.InvalidRequest, oauth2.ReasonPKCENeeded)},
		"without a method":         {query(portal, "code_challenge_method", ""), nil, report(oauth2.InvalidRequest, oauth2.ReasonPKCENeeded)},
		"without a login":          {query(portal, "prompt", "none"), nil, report(oauth2.LoginRequired, oauth2.ReasonRequestNotSupported)},
		"a state twice":            {query(portal) + "&state=x", nil, report(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest)},
		"for no scope that is granted": {
			query(portal, "scope", "orders.delete"), nil, report(oauth2.InvalidScope, oauth2.ReasonScopeNotGranted),
		},
		"for another resource": {
			query(portal, "resource", "https://hallpass.test/ns/shop"), nil, report(oauth2.InvalidTarget, oauth2.ReasonTargetNotGranted),
		},
		"a state that fits no cookie": {query(portal, "state", strings.Repeat("s", 3<<10)), nil, report(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest)},
		"where the API does not consent to persons": {query(portal), func(w *people) {
			api := *w.memory.resources[0]
			api.Users = nil
			w.memory.resources[0] = &api
			w.source.resources[0] = &api
		}, report(oauth2.InvalidTarget, oauth2.ReasonTargetNotGranted)},
		"where the issuer is suspended": {query(portal), func(w *people) {
			w.changeIssuer(func(i *oauth2.TrustedIssuer) { i.Suspended = true })
		}, report(oauth2.AccessDenied, oauth2.ReasonLoginNotAvailable)},
		"where two issuers could be meant": {query(portal), func(w *people) {
			other := *w.memory.issuers["corp"]
			other.Name = "other"
			w.memory.issuers["other"] = &other
		}, report(oauth2.AccessDenied, oauth2.ReasonLoginNotAvailable)},
	} {
		t.Run(name, func(t *testing.T) {
			withPeople(t, func(t *testing.T, w *people) {
				if c.change != nil {
					c.change(w)
				}
				step, err := w.logins().Begin(t.Context(), c.query, browser)
				if c.want == (want{}) {
					if err != nil || step.Attempt == nil || !step.Redirect.Empty() {
						t.Fatalf("%v", err)
					}
					return
				}
				got := want{redirected: !step.Redirect.Empty(), code: codeOf(err), reason: oauth2.ReasonOf(err)}
				if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(want{})); diff != "" || step.Attempt != nil {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
				if !got.redirected {
					return
				}
				answer := answered(t, step)
				if answer.Get("error") != string(c.want.code) || answer.Get("iss") != w.Issuer.String() || answer.Has("code") {
					t.Errorf("redirected to %s", step.Redirect.Reveal())
				}
			})
		})
	}
}

// suspend suspends a client in memory and at the source.
func (w *people) suspend(id string) {
	w.change(id, func(_ *oauth2.Client, o *oauth2.Owner) { o.Suspended = true })
	w.source.clients[id] = w.memory.clients[id]
}

func (w *people) changeIssuer(change func(*oauth2.TrustedIssuer)) {
	issuer := *w.memory.issuers["corp"]
	change(&issuer)
	w.memory.issuers["corp"], w.source.issuers["corp"] = &issuer, &issuer
}

// What an attacker who has taken over login, or a client, can send.
func TestNobodyMakesUpAPerson(t *testing.T) {
	for name, c := range map[string]struct {
		token  func(w *people, attempt *auth.LoginAttempt) oauth2.Secret
		reason oauth2.Reason
	}{
		"an ID token of another login": {func(w *people, _ *auth.LoginAttempt) oauth2.Secret {
			return w.idToken(w.begin(portal))
		}, oauth2.ReasonIDTokenNonce},
		"an ID token for the login of another client": {func(w *people, _ *auth.LoginAttempt) oauth2.Secret {
			return w.idToken(w.begin(native))
		}, oauth2.ReasonIDTokenNonce},
		"a nonce of its own": {func(w *people, a *auth.LoginAttempt) oauth2.Secret {
			return w.idToken(a, "nonce", "n")
		}, oauth2.ReasonIDTokenNonce},
		"an ID token for another client of the provider": {func(w *people, a *auth.LoginAttempt) oauth2.Secret {
			return w.idToken(a, "aud", "evil")
		}, oauth2.ReasonIDTokenAudience},
		"an ID token of another issuer": {func(w *people, a *auth.LoginAttempt) oauth2.Secret {
			return w.idToken(a, "iss", "https://evil.example.org")
		}, oauth2.ReasonWrongIDToken},
		"a key of its own": {func(w *people, a *auth.LoginAttempt) oauth2.Secret {
			w.corp = newSigner(w.t)
			return w.idToken(a)
		}, oauth2.ReasonIDTokenKeyUnknown},
		"an old ID token": {func(w *people, a *auth.LoginAttempt) oauth2.Secret {
			return w.idToken(a, "iat", w.now.Add(-time.Hour).Unix())
		}, oauth2.ReasonIDTokenExpired},
		"no JWT": {func(*people, *auth.LoginAttempt) oauth2.Secret { return oauth2.NewSecret("alice") }, oauth2.ReasonWrongIDToken},
		"a token of Hallpass": {func(w *people, _ *auth.LoginAttempt) oauth2.Secret {
			return oauth2.NewSecret(w.token(w.now, w.shop(), "read"))
		}, oauth2.ReasonIDTokenKeyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			withPeople(t, func(t *testing.T, w *people) {
				attempt := w.begin(portal)
				step, err := w.logins().Finish(t.Context(), attempt.Ticket, c.token(w, attempt), 0, browser)
				if oauth2.ReasonOf(err) != c.reason || step.Redirect.Empty() || answered(t, step).Has("code") {
					t.Errorf("%v %s", err, step.Redirect.Reveal())
				}
			})
		})
	}
}

// A ticket is for one request, and for ten minutes.
func TestTicketsAreSealed(t *testing.T) {
	for name, ticket := range map[string]func(w *people, ticket string) string{
		"a changed byte":        func(_ *people, ticket string) string { return flip(ticket) },
		"a code":                func(w *people, _ string) string { return w.code(portal) },
		"a text":                func(*people, string) string { return "ticket" },
		"nothing":               func(*people, string) string { return "" },
		"after ten minutes":     func(w *people, ticket string) string { w.pass(10 * time.Minute); return ticket },
		"of other sealing keys": func(w *people, ticket string) string { w.sealing = newWorld(w.t).sealing; return ticket },
	} {
		t.Run(name, func(t *testing.T) {
			withPeople(t, func(t *testing.T, w *people) {
				attempt := w.begin(portal)
				sealed := oauth2.NewSecret(ticket(w, attempt.Ticket.Reveal()))
				for what, use := range map[string]func() (auth.LoginStep, error){
					"resume": func() (auth.LoginStep, error) { return w.logins().Resume(t.Context(), sealed, browser) },
					"finish": func() (auth.LoginStep, error) {
						return w.logins().Finish(t.Context(), sealed, w.idToken(attempt), 0, browser)
					},
					"end": func() (auth.LoginStep, error) {
						return w.logins().Finish(t.Context(), sealed, oauth2.Secret{}, auth.EndedByPerson, browser)
					},
				} {
					if step, err := use(); oauth2.ReasonOf(err) != oauth2.ReasonTicketRefused || !step.Redirect.Empty() || step.Attempt != nil {
						t.Errorf("%s: %v", what, err)
					}
				}
			})
		})
	}
}

func flip(sealed string) string {
	last := sealed[len(sealed)-2]
	return sealed[:len(sealed)-2] + map[bool]string{true: "B", false: "A"}[last == 'A'] + sealed[len(sealed)-1:]
}

// How a login ends without a person.
func TestTheEndsOfALogin(t *testing.T) {
	for ended, want := range map[auth.Ended]oauth2.ErrorCode{
		auth.EndedByPerson: oauth2.AccessDenied, auth.EndedByProvider: oauth2.AccessDenied, auth.ProviderAway: oauth2.TemporarilyUnavailable,
		auth.ProviderUnusable: oauth2.ServerError,
	} {
		withPeople(t, func(t *testing.T, w *people) {
			attempt := w.begin(portal)
			step, err := w.logins().Finish(t.Context(), attempt.Ticket, oauth2.Secret{}, ended, browser)
			if err == nil || answered(t, step).Get("error") != string(want) || answered(t, step).Get("state") != "st&te" {
				t.Errorf("%d: %v %s", ended, err, step.Redirect.Reveal())
			}
			w.suspend(portal)
			if step, err = w.logins().Finish(t.Context(), attempt.Ticket, oauth2.Secret{}, ended, browser); err == nil || !step.Redirect.Empty() {
				t.Errorf("a suspended client: %v %s", err, step.Redirect.Reveal())
			}
		})
	}
}

func TestCodesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		redeem func(w *people) (auth.Issued, error)
		code   oauth2.ErrorCode
		reason oauth2.Reason
	}{
		"to another client": {func(w *people) (auth.Issued, error) {
			return w.redeem(native, w.code(portal), "redirect_uri", back)
		}, oauth2.InvalidGrant, oauth2.ReasonCodeRefused},
		"to a client of the same name": {func(w *people) (auth.Issued, error) {
			code := w.code(portal)
			w.change(portal, func(c *oauth2.Client, o *oauth2.Owner) {
				c.UID, o.UID = "another", "another"
				c.Credentials.Verifiers = []oauth2.Verifier{{ID: "x", Digest: oauth2.DigestSecret("another", oauth2.NewSecret(w.secrets[portal])), CreatedAt: noon}}
			})
			return w.redeem(portal, code)
		}, oauth2.InvalidGrant, oauth2.ReasonCodeRefused},
		"with another redirect URI": {func(w *people) (auth.Issued, error) {
			return w.redeem(native, w.code(native), "redirect_uri", "http://127.0.0.1:49153/callback")
		}, oauth2.InvalidGrant, oauth2.ReasonCodeRefused},
		"without its redirect URI": {func(w *people) (auth.Issued, error) {
			return w.redeem(native, w.code(native), "redirect_uri", "")
		}, oauth2.InvalidGrant, oauth2.ReasonCodeRefused},
		"with another verifier": {func(w *people) (auth.Issued, error) {
			return w.redeem(native, w.code(native), "code_verifier", strings.Repeat("x", 43))
		}, oauth2.InvalidGrant, oauth2.ReasonWrongVerifier},
		"with the challenge as verifier": {func(w *people) (auth.Issued, error) {
			return w.redeem(native, w.code(native), "code_verifier", challengeOf(verifier))
		}, oauth2.InvalidGrant, oauth2.ReasonWrongVerifier},
		"without a verifier": {func(w *people) (auth.Issued, error) {
			return w.redeem(native, w.code(native), "code_verifier", "")
		}, oauth2.InvalidRequest, oauth2.ReasonPKCENeeded},
		"without a code": {func(w *people) (auth.Issued, error) {
			return w.redeem(native, w.code(native), "code", "")
		}, oauth2.InvalidRequest, oauth2.ReasonMalformedRequest},
		"after a minute": {func(w *people) (auth.Issued, error) {
			code := w.code(native)
			w.pass(time.Minute)
			return w.redeem(native, code)
		}, oauth2.InvalidGrant, oauth2.ReasonCodeExpired},
		"for another resource": {func(w *people) (auth.Issued, error) {
			return w.redeem(native, w.code(native), "resource", "https://hallpass.test/ns/shop")
		}, oauth2.InvalidTarget, oauth2.ReasonTargetNotGranted},
		"with a changed byte": {func(w *people) (auth.Issued, error) {
			return w.redeem(native, flip(w.code(native)))
		}, oauth2.InvalidGrant, oauth2.ReasonCodeRefused},
		"that are tickets": {func(w *people) (auth.Issued, error) {
			return w.redeem(native, w.begin(native).Ticket.Reveal())
		}, oauth2.InvalidGrant, oauth2.ReasonCodeRefused},
		"without the secret of the client": {func(w *people) (auth.Issued, error) {
			code := w.code(portal)
			w.secrets[portal] = strings.Repeat("x", 43)
			return w.redeem(portal, code)
		}, oauth2.InvalidClient, oauth2.ReasonWrongSecret},
	} {
		t.Run(name, func(t *testing.T) {
			withPeople(t, func(t *testing.T, w *people) {
				_, err := c.redeem(w)
				if err == nil || codeOf(err) != c.code || oauth2.ReasonOf(err) != c.reason {
					t.Errorf("%v, for %s", err, oauth2.ReasonOf(err))
				}
				if len(w.redeemed) > 0 {
					t.Error("the code is used up")
				}
			})
		})
	}
}

// The second use of a code ends what the first one gave (RFC 6749 section 4.1.2).
func TestACodeIsRedeemedOnce(t *testing.T) {
	withPeople(t, func(t *testing.T, w *people) {
		code := w.code(native)
		issued, err := w.redeem(native, code)
		must(t, err)
		if _, err := w.redeem(native, code); oauth2.ReasonOf(err) != oauth2.ReasonCodeUsed || codeOf(err) != oauth2.InvalidGrant {
			t.Errorf("%v", err)
		}
		if denial := w.introspected(issued); denial != oauth2.ReasonTokenRevoked {
			t.Errorf("its token: %q", denial)
		}
		if _, err := w.refresh(native, issued.Refresh); oauth2.ReasonOf(err) != oauth2.ReasonGrantEnded {
			t.Errorf("its refresh token: %v", err)
		}
		if len(w.store.written) == 0 {
			t.Error("the end is not durable")
		}
	})
}

// A code is not used up by a request that is answered with Retry-After.
func TestACodeOutlivesARefusalForNow(t *testing.T) {
	withPeople(t, func(t *testing.T, w *people) {
		code, ring := w.code(native), w.memory.ring
		w.memory.ring, w.source.ring = keyring.Ring{}, keyring.Ring{}
		if _, err := w.redeem(native, code); codeOf(err) != oauth2.TemporarilyUnavailable {
			t.Errorf("without a signing key: %v", err)
		}
		w.memory.ring, w.source.ring = ring, ring
		if _, err := w.redeem(native, code); err != nil {
			t.Errorf("the code is lost: %v", err)
		}
	})
}

// A login continues while the API server is away, and redeeming answers Retry-After.
func TestALoginWithoutTheAPIServer(t *testing.T) {
	withPeople(t, func(t *testing.T, w *people) {
		refreshed, err := w.redeem(native, w.code(native))
		must(t, err)
		w.setAway(errAway)
		code := w.code(native)
		for what, use := range map[string]func() (auth.Issued, error){
			"redeem": func() (auth.Issued, error) { return w.redeem(native, code) },
			"rotate": func() (auth.Issued, error) { return w.refresh(native, refreshed.Refresh) },
		} {
			if _, err := use(); codeOf(err) != oauth2.TemporarilyUnavailable {
				t.Errorf("%s: %v", what, err)
			}
		}
		w.setAway(nil)
		time.Sleep(time.Minute) //nolint:forbidigo // of the bubble: the journal tries again
		if _, err := w.redeem(native, code); err != nil {
			t.Errorf("the code is lost: %v", err)
		}
		w.pass(10 * time.Minute)
		if _, err := w.refresh(native, refreshed.Refresh); err != nil {
			t.Errorf("the refresh token is lost: %v", err)
		}
	})
}

func TestRefreshTokensRotate(t *testing.T) {
	withPeople(t, func(t *testing.T, w *people) {
		first, err := w.redeem(native, w.code(native))
		must(t, err)
		w.pass(10 * time.Minute)
		second, err := w.refresh(native, first.Refresh)
		must(t, err)
		w.pass(30 * time.Second)
		again, err := w.refresh(native, first.Refresh) // the answer was lost
		must(t, err)
		w.pass(10 * time.Minute)
		third, err := w.refresh(native, again.Refresh)
		must(t, err)
		w.pass(10 * time.Minute)
		if _, err := w.refresh(native, second.Refresh); oauth2.ReasonOf(err) != oauth2.ReasonRefreshReused {
			t.Errorf("a copy of a refresh token: %v", err)
		}
		if _, err := w.refresh(native, third.Refresh); oauth2.ReasonOf(err) != oauth2.ReasonGrantEnded {
			t.Errorf("the grant after the reuse: %v", err)
		}
		for name, issued := range map[string]auth.Issued{"second": second, "third": third} {
			if denial := w.introspected(issued); denial != oauth2.ReasonTokenRevoked {
				t.Errorf("the %s token: %q", name, denial)
			}
		}
	})
}

func TestRefreshTokensHaveALimit(t *testing.T) {
	withPeople(t, func(t *testing.T, w *people) {
		w.change(portal, func(c *oauth2.Client, _ *oauth2.Owner) {
			codes := *c.Codes
			codes.Refresh = oauth2.Refreshing{Lifetime: 8 * time.Hour, Idle: time.Hour, Limited: true, Max: 2}
			c.Codes = &codes
		})
		issued, err := w.redeem(portal, w.code(portal))
		must(t, err)
		for range 2 {
			w.pass(30 * time.Minute)
			if issued, err = w.refresh(portal, issued.Refresh); err != nil {
				t.Fatal(err)
			}
		}
		if !issued.Refresh.Empty() {
			t.Error("there is a refresh token after the last refresh")
		}
		issued, err = w.redeem(portal, w.code(portal))
		must(t, err)
		w.pass(time.Hour)
		if _, err := w.refresh(portal, issued.Refresh); oauth2.ReasonOf(err) != oauth2.ReasonRefreshExpired {
			t.Errorf("an idle grant: %v", err)
		}
	})
}

func TestRefreshTokensAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		refresh func(w *people, token oauth2.Secret) (auth.Issued, error)
		code    oauth2.ErrorCode
		reason  oauth2.Reason
	}{
		"to another client": {func(w *people, token oauth2.Secret) (auth.Issued, error) {
			return w.refresh(portal, token)
		}, oauth2.InvalidGrant, oauth2.ReasonRefreshRefused},
		"for more scopes": {func(w *people, token oauth2.Secret) (auth.Issued, error) {
			return w.refresh(native, token, "scope", "orders.read orders.write")
		}, oauth2.InvalidScope, oauth2.ReasonScopeNotGranted},
		"for another resource": {func(w *people, token oauth2.Secret) (auth.Issued, error) {
			return w.refresh(native, token, "resource", "https://hallpass.test/ns/shop")
		}, oauth2.InvalidTarget, oauth2.ReasonTargetNotGranted},
		"at the end of the grant": {func(w *people, token oauth2.Secret) (auth.Issued, error) {
			w.pass(8 * time.Hour)
			return w.refresh(native, token)
		}, oauth2.InvalidGrant, oauth2.ReasonRefreshExpired},
		"that are codes": {func(w *people, _ oauth2.Secret) (auth.Issued, error) {
			return w.refresh(native, oauth2.NewSecret(w.code(native)))
		}, oauth2.InvalidGrant, oauth2.ReasonRefreshRefused},
		"with a changed byte": {func(w *people, token oauth2.Secret) (auth.Issued, error) {
			return w.refresh(native, oauth2.NewSecret(flip(token.Reveal())))
		}, oauth2.InvalidGrant, oauth2.ReasonRefreshRefused},
	} {
		t.Run(name, func(t *testing.T) {
			withPeople(t, func(t *testing.T, w *people) {
				issued, err := w.redeem(native, w.code(native))
				must(t, err)
				if _, err := c.refresh(w, issued.Refresh); err == nil || codeOf(err) != c.code || oauth2.ReasonOf(err) != c.reason {
					t.Errorf("%v, for %s", err, oauth2.ReasonOf(err))
				}
				if _, err := w.refresh(native, issued.Refresh); err != nil && c.reason != oauth2.ReasonRefreshExpired {
					t.Errorf("the honest client is refused: %v", err)
				}
			})
		})
	}
}

// What ends a login half-way and a grant later.
func TestWhatEndsAGrant(t *testing.T) {
	for name, end := range map[string]func(w *people){
		"its client is suspended": func(w *people) { w.suspend(native) },
		"its issuer is suspended": func(w *people) {
			w.changeIssuer(func(i *oauth2.TrustedIssuer) { i.Suspended = true })
		},
		"its issuer was made anew": func(w *people) {
			w.changeIssuer(func(i *oauth2.TrustedIssuer) { i.UID = "another" })
		},
		"its issuer no longer lets the namespace use it": func(w *people) {
			w.changeIssuer(func(i *oauth2.TrustedIssuer) { i.Delegations = nil })
		},
		"no person logs in at its issuer any more": func(w *people) {
			w.changeIssuer(func(i *oauth2.TrustedIssuer) { i.Login = nil })
		},
		"its API no longer consents": func(w *people) {
			api := *w.memory.resources[0]
			api.Users = nil
			w.memory.resources[0], w.source.resources[0] = &api, &api
		},
		"its client lost the grant type": func(w *people) {
			w.change(native, func(c *oauth2.Client, _ *oauth2.Owner) { c.GrantTypes, c.Codes = oauth2.TokenExchange, nil })
			w.source.clients[native] = w.memory.clients[native]
		},
		"its person is revoked": func(w *people) {
			w.revoked.Select("revoked", revocation.Selector{Subject: "user:corp:alice", IssuedBefore: w.now.Add(time.Second)})
		},
		"the persons of its issuer are revoked": func(w *people) {
			w.revoked.Select("revoked", revocation.Selector{IssuerName: "corp", IssuedBefore: w.now.Add(time.Second)})
		},
		"its client is revoked": func(w *people) {
			w.revoked.Select("revoked", revocation.Selector{ClientID: native, IssuedBefore: w.now.Add(time.Second)})
		},
		"a backup was restored": func(w *people) { w.restored = w.now.Add(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			withPeople(t, func(t *testing.T, w *people) {
				code := w.code(native)
				issued, err := w.redeem(native, w.code(native))
				must(t, err)
				w.pass(time.Second)
				end(w)
				if _, err := w.redeem(native, code); err == nil {
					t.Error("a code is redeemed")
				}
				if _, err := w.refresh(native, issued.Refresh); err == nil {
					t.Error("a refresh token is accepted")
				}
			})
		})
	}
}

// A client that is suspended while its person logs in gets no code.
func TestASuspendedClientGetsNoCode(t *testing.T) {
	withPeople(t, func(t *testing.T, w *people) {
		attempt := w.begin(native)
		w.suspend(native)
		for what, use := range map[string]func() (auth.LoginStep, error){
			"resume": func() (auth.LoginStep, error) { return w.logins().Resume(t.Context(), attempt.Ticket, browser) },
			"finish": func() (auth.LoginStep, error) {
				return w.logins().Finish(t.Context(), attempt.Ticket, w.idToken(attempt), 0, browser)
			},
		} {
			if step, err := use(); oauth2.ReasonOf(err) != oauth2.ReasonSuspended || !step.Redirect.Empty() {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// A public client has its client_id alone, and only where codes and refresh tokens are served.
func TestPublicClients(t *testing.T) {
	withPeople(t, func(t *testing.T, w *people) {
		named := w.as(native, url.Values{})
		caller, err := w.Authenticate(t.Context(), named)
		must(t, err)
		if caller.Trail.Used != (auth.Used{}) {
			t.Error("a caller that knows a client_id counts as a use of the client")
		}
		for name, change := range map[string]func(c *auth.Credentials){
			"at another endpoint": func(c *auth.Credentials) { c.Public = false },
			"with a secret": func(c *auth.Credentials) {
				c.Form = form(t, "client_id="+native+"&client_secret="+strings.Repeat("x", 43))
			},
			"with Basic":               func(c *auth.Credentials) { c.Authorization = []string{"Basic c2hvcC5uYXRpdmU6eA=="} },
			"that is unknown":          func(c *auth.Credentials) { c.Form = form(t, "client_id=shop.unknown") },
			"that has to authenticate": func(c *auth.Credentials) { c.Form = form(t, "client_id="+portal) },
		} {
			credentials := named
			change(&credentials)
			if _, err := w.Authenticate(t.Context(), credentials); err == nil || codeOf(err) != oauth2.InvalidClient {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Throttles count a public client by person, and not before a code proves one.
func TestPersonsAreThrottledOneByOne(t *testing.T) {
	withPeople(t, func(t *testing.T, w *people) {
		var admitted []string
		counting := rate{&admitted}
		credentials := w.as(native, url.Values{"code": {w.code(native)}, "code_verifier": {verifier}, "redirect_uri": {"http://127.0.0.1:49152/callback"}})
		credentials.Rate = counting
		caller, err := w.Authenticate(t.Context(), credentials)
		must(t, err)
		if len(admitted) > 0 {
			t.Errorf("counted %v before a person is known", admitted)
		}
		request, err := codegrant.ParseRedemption(credentials.Form)
		must(t, err)
		_, err = w.grants().Redeem(t.Context(), &caller, request)
		must(t, err)
		if !slices.Equal(admitted, []string{native + " user:corp:alice"}) {
			t.Errorf("counted %v", admitted)
		}
	})
}

type rate struct{ of *[]string }

func (r rate) Allow(client *oauth2.Client, person oauth2.Person, _ time.Time) error {
	*r.of = append(*r.of, client.ID+" "+person.String())
	return nil
}
