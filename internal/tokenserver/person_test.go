// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	companyIssuer = "https://idp.example.com"
	employee      = "user:corp:00u1:x"
)

// companyWorld is a fixture with an issuer of persons, for whom reporting acts at the API of
// orders.
type companyWorld struct {
	*world

	signer  *jws.Signer
	trusted *oauth2.TrustedIssuer
}

func newCompany(t testing.TB, configure ...func(*settings)) companyWorld {
	t.Helper()
	signer := newSigner(t, jws.ES256)
	keys, err := jws.PackKeys(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	configure = append(configure, func(c *settings) { c.auth.Cluster = &fakeCluster{known: oauth2.Cluster{Issuer: clusterIssuer}} })
	c := companyWorld{newWorld(t, configure...), signer, &oauth2.TrustedIssuer{
		Name: "corp", UID: "uid-of-corp", Issuer: companyIssuer, Keys: oauth2.IssuerKeys{Set: keys, FetchedAt: noon, Until: noon.Add(24 * time.Hour)}, Uses: oauth2.UsePerson,
		Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}},
	}}
	c.dir.issuers = map[string]*oauth2.TrustedIssuer{"corp": c.trusted}
	c.dir.issuersAtSource = c.dir.issuers
	api := orders()
	api.Consents = nil
	api.Users = []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: []string{"orders.read", "orders.write"}}}
	c.dir.resources = []*oauth2.Resource{api}
	c.asks(reporting)
	c.dir.known[reporting].Client.GrantTypes = oauth2.ClientCredentials | oauth2.JWTBearer
	return c
}

// vouch signs an identity assertion, with the claims of change in their place; nil leaves one out.
func (w companyWorld) vouch(signer *jws.Signer, typ string, change map[string]any) string {
	w.t.Helper()
	claims := map[string]any{
		"iss": companyIssuer, "sub": "00u1:x", "aud": testIssuer, "client_id": reporting, "jti": "jag-1", "resource": ordersAPI,
		"scope": "orders.read openid", "iat": w.now.Unix(), "exp": w.now.Add(5 * time.Minute).Unix(), "auth_time": w.now.Add(-time.Hour).Unix(),
		"email": "x@example.com", "amr": []string{"mfa"},
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	payload, err := json.Marshal(claims)
	if err != nil {
		w.t.Fatal(err)
	}
	token, err := signer.Sign(typ, payload)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// bring is the request of a client that brings an identity assertion.
func (w companyWorld) bring(id, assertion string, changes url.Values) call {
	parameters := url.Values{"grant_type": {oauth2.GrantJWTBearer}, "assertion": {assertion}}
	maps.Copy(parameters, changes)
	return call{basic: id, body: parameters.Encode()}
}

// personToken fetches a token of a person.
func (w companyWorld) personToken(change map[string]any) string {
	w.t.Helper()
	status, body := decode(w.t, w.do(w.bring(reporting, w.vouch(w.signer, oauth2.IdentityAssertionType, change), nil)))
	token, _ := body["access_token"].(string)
	if status != http.StatusOK {
		w.t.Fatalf("%d %v: %v", status, body, w.lastAudit())
	}
	return token
}

func TestAClientActsForAPerson(t *testing.T) {
	w := newCompany(t)
	assertion := w.vouch(w.signer, oauth2.IdentityAssertionType, nil)
	status, body := decode(t, w.do(w.bring(reporting, assertion, nil)))
	token, _ := body["access_token"].(string)
	delete(body, "access_token")
	if diff := cmp.Diff(map[string]any{"token_type": "Bearer", "expires_in": float64(3600), "scope": "orders.read"}, body); diff != "" || status != http.StatusOK {
		t.Fatalf("%d %v (-want +got):\n%s", status, w.lastAudit(), diff)
	}
	claims, err := w.validate(token, w.now)
	if err != nil {
		t.Fatal(err)
	}
	line := w.lastAudit()
	got := []any{line["outcome"], line["client_id"], line["sub"], line["jti"], line["subject_jti"], line["method"], line["aud"]}
	if diff := cmp.Diff([]any{"allowed", reporting, employee, claims.ID, "jag-1", "client_secret_basic", ordersAPI}, got); diff != "" {
		t.Errorf("audit line (-want +got):\n%s", diff)
	}
	if strings.Contains(w.audit.String(), assertion) || strings.Contains(w.audit.String(), "x@example.com") {
		t.Error("the audit line has the assertion or the address of the person")
	}
	_, introspected := decode(t, w.do(w.introspect(stranger, token)))
	for _, name := range []string{"jti", "iat", "exp"} {
		delete(introspected, name)
	}
	wanted := map[string]any{
		"active": true, "iss": testIssuer, "sub": employee, "sub_type": "user", "aud": ordersAPI, "client_id": reporting, "client_uid": "uid-of-" + reporting,
		"scope": "orders.read", "token_type": "Bearer",
	}
	if diff := cmp.Diff(wanted, introspected); diff != "" {
		t.Errorf("introspection (-want +got):\n%s", diff)
	}
	admitted := w.do(forward("audience="+url.QueryEscape(ordersAPI), "Bearer "+token))
	checkHeaders(t, admitted.Header(), http.Header{
		"X-Auth-Client-Id": {reporting}, "X-Auth-Subject": {employee}, "X-Auth-Subject-Type": {"user"}, "X-Auth-User": {employee}, "X-Auth-Scopes": {"orders.read"},
	})
	answer := w.do(w.bring(reporting, assertion, nil))
	if answer.Code != http.StatusBadRequest || w.lastAudit()["reason"] != string(oauth2.ReasonAssertionReplayed) || !strings.Contains(answer.Body.String(), "was used before") {
		t.Errorf("a second time: %d %s", answer.Code, answer.Body)
	}
}

// With a key the audit line has a hash of the person, the same in each line.
func TestTheAuditLineHasAHashOfThePerson(t *testing.T) {
	w := newCompany(t, func(c *settings) { c.audit.PersonKey = []byte("0123456789abcdef0123456789abcdef") })
	token := w.personToken(nil)
	hashed, _ := w.lastAudit()["sub"].(string)
	if !strings.HasPrefix(hashed, "user:corp:hmac-sha256:") || len(hashed) != len("user:corp:hmac-sha256:")+43 {
		t.Errorf("sub %q", hashed)
	}
	if answer := w.do(w.introspect(stranger, token)); !strings.Contains(answer.Body.String(), employee) || w.lastAudit()["sub"] != hashed {
		t.Errorf("%s, audit line %v", answer.Body, w.lastAudit())
	}
	if w.personTokenOf("00u2"); w.lastAudit()["sub"] == hashed || strings.Contains(w.audit.String(), "00u") {
		t.Errorf("another person: %v", w.lastAudit())
	}
}

// personTokenOf fetches a token of the person with a subject.
func (w companyWorld) personTokenOf(subject string) string {
	return w.personToken(map[string]any{"sub": subject, "jti": "jag of " + subject})
}

// What ends the trust in a person ends the tokens that are out.
func TestWhatEndsATokenOfAPerson(t *testing.T) {
	api := func(w companyWorld) *oauth2.Resource { return w.dir.resources[0] }
	for name, end := range map[string]func(companyWorld){
		"the issuer is suspended":                     func(w companyWorld) { w.trusted.Suspended = true },
		"the issuer is gone":                          func(w companyWorld) { clear(w.dir.issuers) },
		"the issuer is no longer trusted for persons": func(w companyWorld) { w.trusted.Uses = 0 },
		"the namespace may no longer use the issuer":  func(w companyWorld) { w.trusted.Delegations[0].Namespaces = []string{"orders"} },
		"the subject is outside the prefixes":         func(w companyWorld) { w.trusted.Delegations[0].SubjectPrefixes = []string{"00u2:"} },
		"the consent is for clients alone":            func(w companyWorld) { api(w).Consents, api(w).Users = api(w).Users, nil },
		"the consent is for exchanged tokens": func(w companyWorld) {
			api(w).Exchanged, api(w).ExchangedUsers, api(w).Users = api(w).Users, api(w).Users, nil
		},
		"the client has not the grant type any more": func(w companyWorld) { w.dir.known[reporting].Client.GrantTypes = oauth2.TokenExchange },
		"the client is suspended":                    func(w companyWorld) { w.dir.known[reporting].Owner.Suspended = true },
		"the tokens of the client are revoked":       func(w companyWorld) { w.dir.known[reporting].Owner.RevokedBefore = w.now },
	} {
		t.Run(name, func(t *testing.T) {
			w := newCompany(t)
			token := w.personToken(nil)
			w.now = w.now.Add(time.Minute)
			if answer := w.do(w.introspect(stranger, token)); !strings.Contains(answer.Body.String(), employee) {
				t.Fatalf("before: %s", answer.Body)
			}
			end(w)
			if answer := w.do(w.introspect(stranger, token)); answer.Body.String() != inactive {
				t.Errorf("introspection: %s", answer.Body)
			}
			if answer := w.do(forward("audience="+url.QueryEscape(ordersAPI), "Bearer "+token)); answer.Code != http.StatusUnauthorized {
				t.Errorf("forward-auth: %d", answer.Code)
			}
		})
	}
}

func TestAnIdentityAssertionIsRefused(t *testing.T) {
	type refusal struct {
		assertion func(companyWorld) string
		caller    string
		changes   url.Values
		code      oauth2.ErrorCode
		reason    oauth2.Reason
	}
	grant := func(reason oauth2.Reason, change map[string]any) refusal {
		return refusal{assertion: func(w companyWorld) string { return w.vouch(w.signer, oauth2.IdentityAssertionType, change) }, reason: reason}
	}
	afterWith := func(reason oauth2.Reason, claims map[string]any, change func(companyWorld)) refusal {
		return refusal{assertion: func(w companyWorld) string {
			change(w)
			return w.vouch(w.signer, oauth2.IdentityAssertionType, claims)
		}, reason: reason}
	}
	after := func(reason oauth2.Reason, change func(companyWorld)) refusal { return afterWith(reason, nil, change) }
	asking := func(code oauth2.ErrorCode, reason oauth2.Reason, change map[string]any, changes url.Values) refusal {
		r := grant(reason, change)
		r.code, r.changes = code, changes
		return r
	}
	other := newSigner(t, jws.ES256)
	seconds := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	for name, c := range map[string]refusal{
		"of an issuer that is not known": grant(oauth2.ReasonIssuerNotFound, map[string]any{"iss": "https://evil.test"}),
		"of an issuer with a slash more": grant(oauth2.ReasonIssuerNotFound, map[string]any{"iss": companyIssuer + "/"}),
		"of our issuer":                  grant(oauth2.ReasonIssuerNotFound, map[string]any{"iss": testIssuer}),
		"without an issuer":              grant(oauth2.ReasonWrongAssertion, map[string]any{"iss": nil}),
		"of a trusted issuer that is ours": {assertion: func(w companyWorld) string {
			w.trusted.Issuer = testIssuer
			return w.vouch(w.signer, oauth2.IdentityAssertionType, map[string]any{"iss": testIssuer})
		}, reason: oauth2.ReasonOwnIssuer},
		"of a trusted issuer that is the cluster's": {assertion: func(w companyWorld) string {
			w.trusted.Issuer = clusterIssuer
			return w.vouch(w.signer, oauth2.IdentityAssertionType, map[string]any{"iss": clusterIssuer})
		}, reason: oauth2.ReasonOwnIssuer},
		"of an issuer for clients alone":     after(oauth2.ReasonNotAllowedByIssuer, func(w companyWorld) { w.trusted.Uses = 0 }),
		"of an issuer of other namespaces":   after(oauth2.ReasonNotAllowedByIssuer, func(w companyWorld) { w.trusted.Delegations[0].Namespaces = []string{"orders"} }),
		"of a suspended issuer":              after(oauth2.ReasonIssuerSuspended, func(w companyWorld) { w.trusted.Suspended = true }),
		"of an issuer whose keys are old":    after(oauth2.ReasonKeysStale, func(w companyWorld) { w.trusted.Keys.Until = w.now }),
		"by an algorithm that is not listed": after(oauth2.ReasonAssertionKeyUnknown, func(w companyWorld) { w.trusted.Algorithms = []jws.Algorithm{jws.RS256} }),
		"signed by another key":              {assertion: func(w companyWorld) string { return w.vouch(other, oauth2.IdentityAssertionType, nil) }, reason: oauth2.ReasonAssertionKeyUnknown},
		"with a signature that is changed":   {assertion: func(w companyWorld) string { return broken(w.vouch(w.signer, oauth2.IdentityAssertionType, nil)) }, reason: oauth2.ReasonWrongAssertion},
		"of another client":                  grant(oauth2.ReasonWrongClaim, map[string]any{"client_id": billing}),
		"of no client":                       grant(oauth2.ReasonWrongClaim, map[string]any{"client_id": nil}),
		"of several clients":                 grant(oauth2.ReasonWrongClaim, map[string]any{"client_id": []string{reporting}}),
		"for another audience":               grant(oauth2.ReasonAssertionAudience, map[string]any{"aud": "https://other.test"}),
		"for two audiences":                  grant(oauth2.ReasonAssertionAudience, map[string]any{"aud": []string{testIssuer, "https://other.test"}}),
		"for no audience":                    grant(oauth2.ReasonAssertionAudience, map[string]any{"aud": nil}),
		"without a subject":                  grant(oauth2.ReasonWrongSubject, map[string]any{"sub": nil}),
		"with an empty subject":              grant(oauth2.ReasonWrongSubject, map[string]any{"sub": ""}),
		"with a subject of spaces":           grant(oauth2.ReasonWrongSubject, map[string]any{"sub": "x y"}),
		"with a subject that is too long":    grant(oauth2.ReasonWrongSubject, map[string]any{"sub": strings.Repeat("x", 256)}),
		"with a subject that is a number":    grant(oauth2.ReasonWrongSubject, map[string]any{"sub": 7}),
		"with a subject in act alone":        grant(oauth2.ReasonWrongSubject, map[string]any{"sub": nil, "act": map[string]any{"sub": "00u1:x"}}),
		"without a jti":                      grant(oauth2.ReasonWrongAssertion, map[string]any{"jti": nil}),
		"with a jti that is too long":        grant(oauth2.ReasonWrongAssertion, map[string]any{"jti": strings.Repeat("j", 257)}),
		"without exp":                        grant(oauth2.ReasonWrongAssertion, map[string]any{"exp": nil}),
		"without iat":                        grant(oauth2.ReasonWrongAssertion, map[string]any{"iat": nil}),
		"of six minutes":                     grant(oauth2.ReasonAssertionTooLong, map[string]any{"exp": seconds(6 * time.Minute)}),
		"that has expired":                   grant(oauth2.ReasonAssertionExpired, map[string]any{"iat": seconds(-6 * time.Minute), "exp": seconds(-2 * time.Minute)}),
		"from the future":                    grant(oauth2.ReasonAssertionExpired, map[string]any{"iat": seconds(2 * time.Minute), "exp": seconds(4 * time.Minute)}),
		"not yet valid":                      grant(oauth2.ReasonAssertionExpired, map[string]any{"nbf": seconds(2 * time.Minute)}),
		"that is bound to a key":             grant(oauth2.ReasonWrongClaim, map[string]any{"cnf": map[string]any{"jkt": "x"}}),
		"with authorization_details":         grant(oauth2.ReasonWrongClaim, map[string]any{"authorization_details": []any{map[string]any{"type": "x"}}}),
		"of a tenant beside that of another entry": afterWith(oauth2.ReasonNotAllowedByIssuer, map[string]any{"tenant": "t-1"}, func(w companyWorld) {
			w.trusted.Delegations[0].Claims = []oauth2.RequiredClaim{{Name: "tenant", Values: []string{"t-1"}}}
			w.trusted.Delegations = append(w.trusted.Delegations, oauth2.Delegation{
				Namespaces: []string{"orders"}, Claims: []oauth2.RequiredClaim{{Name: "tenant", Values: []string{"t-2"}}},
			})
		}),
		"of a tenant of two of one entry": afterWith(oauth2.ReasonNotAllowedByIssuer, map[string]any{"tenant": "t-1"}, func(w companyWorld) {
			w.trusted.Delegations[0].Claims = []oauth2.RequiredClaim{{Name: "tenant", Values: []string{"t-1", "t-2"}}}
		}),
		"of a tenant that no entry names":         grant(oauth2.ReasonNotAllowedByIssuer, map[string]any{"tenant": "t-1"}),
		"with a scope that is a list":             grant(oauth2.ReasonWrongClaim, map[string]any{"scope": []string{"orders.read"}}),
		"with a resource that is a number":        grant(oauth2.ReasonWrongClaim, map[string]any{"resource": 7}),
		"with an empty list of resources":         grant(oauth2.ReasonWrongClaim, map[string]any{"resource": []string{}}),
		"for an API that does not consent":        asking(oauth2.InvalidTarget, oauth2.ReasonTargetNotGranted, map[string]any{"resource": "https://other.test"}, nil),
		"for the audience of the namespace":       asking(oauth2.InvalidTarget, oauth2.ReasonTargetNotGranted, map[string]any{"resource": testIssuer + "/ns/shop"}, nil),
		"for another resource than the request's": asking(oauth2.InvalidTarget, oauth2.ReasonTargetNotGranted, nil, url.Values{"resource": {"https://other.test"}}),
		"for several resources":                   asking(oauth2.InvalidTarget, oauth2.ReasonTargetNotGranted, map[string]any{"resource": []string{ordersAPI, "https://other.test"}}, nil),
		"with fewer scopes than the request":      asking(oauth2.InvalidScope, oauth2.ReasonScopeNotGranted, nil, url.Values{"scope": {"orders.read orders.write"}}),
		"with a scope that is not granted":        asking(oauth2.InvalidScope, oauth2.ReasonScopeNotGranted, nil, url.Values{"scope": {"openid"}}),
		"with scopes that are not granted":        asking(oauth2.InvalidScope, oauth2.ReasonScopeNotGranted, map[string]any{"scope": "openid email"}, nil),
		"with an empty scope":                     asking(oauth2.InvalidScope, oauth2.ReasonScopeNotGranted, map[string]any{"scope": ""}, nil),
		"by a client without the grant type": {
			assertion: func(w companyWorld) string {
				w.dir.known[reporting].Client.GrantTypes = 0
				return w.vouch(w.signer, oauth2.IdentityAssertionType, nil)
			}, code: oauth2.UnauthorizedClient, reason: oauth2.ReasonGrantTypeNotAllowed,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCompany(t)
			if c.caller == "" {
				c.caller = reporting
			}
			if c.code == "" {
				c.code = oauth2.InvalidGrant
			}
			assertion := c.assertion(w)
			status, body := decode(t, w.do(w.bring(c.caller, assertion, c.changes)))
			if line := w.lastAudit(); status != http.StatusBadRequest || body["error"] != string(c.code) || line["reason"] != string(c.reason) {
				t.Errorf("%d %v: %v, want %s %s", status, body, line["reason"], c.code, c.reason)
			}
			if strings.Contains(w.audit.String(), assertion) {
				t.Error("the assertion is in the audit log")
			}
		})
	}
}

// broken changes the last character of a signature that is significant.
func broken(token string) string {
	at := len(token) - 4
	other := byte('A')
	if token[at] == other {
		other = 'B'
	}
	return token[:at] + string(other) + token[at+1:]
}

func TestAnIdentityAssertionMayLookLikeThis(t *testing.T) {
	for name, c := range map[string]struct {
		change  map[string]any
		changes url.Values
		before  func(companyWorld)
		scope   string
	}{
		"without scope and resource": {map[string]any{"scope": nil, "resource": nil}, url.Values{"resource": {ordersAPI}}, nil, "orders.read orders.write"},
		"the same resource twice":    {nil, url.Values{"resource": {ordersAPI}}, nil, "orders.read"},
		"one resource of a list":     {map[string]any{"resource": []string{"https://other.test", ordersAPI}}, url.Values{"resource": {ordersAPI}}, nil, "orders.read"},
		"a list of one resource":     {map[string]any{"resource": []string{ordersAPI}}, nil, nil, "orders.read"},
		"an audience in a list":      {map[string]any{"aud": []string{testIssuer}}, nil, nil, "orders.read"},
		"an actor, who decides nothing": {
			map[string]any{"act": map[string]any{"sub": "admin"}, "may_act": map[string]any{"sub": billing}}, nil, nil, "orders.read",
		},
		"a tenant that the entry names": {map[string]any{"tenant": "t-1"}, nil, func(w companyWorld) {
			w.trusted.Delegations[0].Claims = []oauth2.RequiredClaim{{Name: "tenant", Values: []string{"t-1"}}}
		}, "orders.read"},
		"an issuer for clients too": {nil, nil, func(w companyWorld) { w.trusted.Uses |= oauth2.UseClient }, "orders.read"},
		"the scope of the request":  {map[string]any{"scope": "orders.write orders.read"}, url.Values{"scope": {"orders.write"}}, nil, "orders.write"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCompany(t)
			if c.before != nil {
				c.before(w)
			}
			status, body := decode(t, w.do(w.bring(reporting, w.vouch(w.signer, oauth2.IdentityAssertionType, c.change), c.changes)))
			if status != http.StatusOK || body["scope"] != c.scope || w.lastAudit()["sub"] != employee {
				t.Errorf("%d %v: %v", status, body, w.lastAudit())
			}
		})
	}
}

// The client of an identity assertion authenticates by a credential of its own, and no assertion of
// another type brings a person.
func TestAnIdentityAssertionAuthenticatesNoClient(t *testing.T) {
	w := newCompany(t)
	assertion := w.vouch(w.signer, oauth2.IdentityAssertionType, nil)
	alone := w.bring(reporting, assertion, url.Values{"client_id": {reporting}})
	alone.basic = ""
	if answer := w.do(alone); answer.Code != http.StatusUnauthorized || w.lastAudit()["reason"] != string(oauth2.ReasonNoCredentials) {
		t.Errorf("without a credential: %d %s", answer.Code, answer.Body)
	}
	if answer := w.do(call{body: withAssertion(assertion) + "&client_id=" + reporting}); answer.Code != http.StatusUnauthorized {
		t.Errorf("as a client assertion: %d %s", answer.Code, answer.Body)
	}
	for _, typ := range []string{"", "JWT", "at+jwt", "OAUTH-ID-JAG+JWT", "application/oauth-id-jag+jwt"} {
		answer := w.do(w.bring(reporting, w.vouch(w.signer, typ, nil), nil))
		if answer.Code == http.StatusOK {
			t.Errorf("typ %q: %s", typ, answer.Body)
		}
	}
	w.trusted.Uses = 0
	w.registerForeign("shop.ci", oauth2.Federated{IssuerName: "corp", Subject: "00u1:x"})
	answer := w.do(call{body: withAssertion(w.vouch(w.signer, oauth2.IdentityAssertionType, nil)) + "&client_id=shop.ci"})
	if answer.Code != http.StatusUnauthorized {
		t.Errorf("an identity assertion in the place of a client's JWT: %d %s", answer.Code, answer.Body)
	}
	w.trusted.Uses = oauth2.UsePerson
	answer = w.do(call{body: withAssertion(w.vouch(w.signer, "JWT", nil)) + "&client_id=shop.ci"})
	if answer.Code != http.StatusUnauthorized || w.lastAudit()["reason"] != string(oauth2.ReasonNotAllowedByIssuer) {
		t.Errorf("an issuer for persons alone authenticates a client: %d %s", answer.Code, answer.Body)
	}
}

// registerForeign makes a client that names JWTs of a trusted issuer.
func (w companyWorld) registerForeign(id string, f oauth2.Federated) {
	ciWorld{world: w.world}.registerFederated(id, f)
}

// A person is revoked at once, also where a client has passed the token on, and a new token is none
// of those that are revoked.
func TestThePersonIsRevoked(t *testing.T) {
	for name, selector := range map[string]revocation.Selector{
		"the person": {Subject: employee, IssuedBefore: noon.Add(time.Second)},
		"the issuer": {IssuerName: "corp", IssuedBefore: noon.Add(time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCompany(t)
			token := w.personToken(nil)
			w.dir.revoked.Select("one", selector)
			if answer := w.do(w.introspect(stranger, token)); answer.Body.String() != inactive || w.lastAudit()["token_denial"] != string(oauth2.ReasonTokenRevoked) {
				t.Errorf("%s: %v", answer.Body, w.lastAudit())
			}
			again := w.personToken(map[string]any{"jti": "jag-2"})
			if answer := w.do(w.introspect(stranger, again)); !strings.Contains(answer.Body.String(), employee) {
				t.Errorf("a new token: %s", answer.Body)
			}
		})
	}
}

// A replica whose watch is late looks up the issuer, and not for each request.
func TestAnIssuerOfPersonsThatTheWatchHasNotBroughtIsLookedUp(t *testing.T) {
	w := newCompany(t)
	late := *w.trusted
	late.Uses = 0
	w.dir.issuersAtSource = map[string]*oauth2.TrustedIssuer{"corp": w.trusted}
	w.dir.issuers = map[string]*oauth2.TrustedIssuer{"corp": &late}
	token := w.personToken(nil)
	if answer := w.do(w.introspect(stranger, token)); !strings.Contains(answer.Body.String(), employee) {
		t.Errorf("a young token: %s", answer.Body)
	}
	w.now = w.now.Add(time.Minute)
	before := len(w.dir.issuersAsked)
	if answer := w.do(w.introspect(stranger, token)); answer.Body.String() != inactive || len(w.dir.issuersAsked) != before {
		t.Errorf("an older one: %s, %d look-ups", answer.Body, len(w.dir.issuersAsked)-before)
	}
}

// A request that is refused for another reason uses up no assertion.
func TestAnAssertionIsUsedUpByATokenAlone(t *testing.T) {
	w := newCompany(t)
	assertion := w.vouch(w.signer, oauth2.IdentityAssertionType, nil)
	w.dir.resources[0].UsersHeld = true
	answer := w.do(w.bring(reporting, assertion, nil))
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" || w.lastAudit()["reason"] != string(oauth2.ReasonTokenServersOutdated) {
		t.Fatalf("held back: %d %s", answer.Code, answer.Body)
	}
	w.dir.resources[0].UsersHeld = false
	if answer := w.do(w.bring(reporting, assertion, nil)); answer.Code != http.StatusOK {
		t.Errorf("afterwards: %d %s", answer.Code, answer.Body)
	}
}

// A client passes on the token of a person where one grant lists both subjects.
func TestATokenOfAPersonIsPassedOn(t *testing.T) {
	w := newCompany(t)
	const stockAPI = "https://stock.test"
	both := []oauth2.Consent{{Namespaces: []string{"orders"}, Scopes: []string{"stock.read"}}}
	stock := &oauth2.Resource{Identifier: stockAPI, UID: "uid-of-stock", Namespace: "stock", Name: "api", Scopes: []string{"stock.read"}, Users: both, Exchanged: both}
	w.dir.resources = append(w.dir.resources, stock)
	gateway := w.dir.known[stranger].Client
	gateway.GrantTypes = oauth2.ClientCredentials | oauth2.TokenExchange
	gateway.Access = []oauth2.Access{{Resource: oauth2.ObjectName{Namespace: "stock", Name: "api"}, Scopes: []string{"stock.read"}}}
	token := w.personToken(nil)
	to := url.Values{"resource": {stockAPI}}
	answer := w.do(w.exchange(stranger, token, to))
	if answer.Code != http.StatusBadRequest || w.lastAudit()["reason"] != string(oauth2.ReasonTargetNotGranted) || !strings.Contains(answer.Body.String(), "both Exchanged and User") {
		t.Fatalf("two grants that list one subject each: %d %s", answer.Code, answer.Body)
	}
	stock.ExchangedUsers = both
	status, body := decode(t, w.do(w.exchange(stranger, token, to)))
	passed, _ := body["access_token"].(string)
	claims, err := w.validate(passed, w.now)
	if err != nil || status != http.StatusOK || claims.Subject != employee || claims.ClientID != stranger || claims.Actors[0] != stranger || body["scope"] != "stock.read" {
		t.Fatalf("%d %v %v %+v", status, body, err, claims)
	}
	if line := w.lastAudit(); line["sub"] != employee || line["subject_jti"] == "" {
		t.Errorf("audit line %v", line)
	}
	read := func() string {
		return w.do(forward("audience="+url.QueryEscape(stockAPI), "Bearer "+passed)).Header().Get("X-Auth-User")
	}
	if w.now = w.now.Add(time.Minute); read() != employee {
		t.Error("it does not act for the person")
	}
	w.trusted.Delegations[0].Namespaces = []string{"orders"}
	if read() != "" {
		t.Error("it is good while the client that the person was brought to may not use the issuer")
	}
	w.trusted.Delegations[0].Namespaces = []string{"shop"}
	first := w.dir.known[reporting].Client
	first.GrantTypes = oauth2.TokenExchange
	if read() != "" {
		t.Error("it is good after the client that the person was brought to lost the grant type")
	}
	first.GrantTypes = oauth2.JWTBearer
	if read() != employee {
		t.Error("it is not good again")
	}
	stock.ExchangedUsers = nil
	if read() != "" {
		t.Error("it is good after the consent was withdrawn")
	}
}
