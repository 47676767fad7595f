// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/verdict"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

const audience = "https://hallpass.example.com/resources/orders/orders-api"

// ready is a client that is ready and asks for scopes of its own namespace and of an API.
func ready() *v1alpha1.OAuth2Client {
	c := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: "reporting", Namespace: "shop", UID: "uid-1", CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))}}
	registered := v1alpha1.Registered()
	c.Status.Conditions = []metav1.Condition{registered}
	c.Status.Grants = []v1alpha1.GrantStatus{
		{Audience: "https://hallpass.example.com/ns/shop", Scopes: []v1alpha1.ScopeGrant{{Name: "read", Decision: "Granted"}, {Name: "admin", Decision: "NotAllowedByPolicy"}}},
		{
			Audience: audience, Resource: v1alpha1.ResourceReference{Namespace: "orders", Name: "orders-api"},
			Scopes: []v1alpha1.ScopeGrant{
				{Name: "orders.read", Decision: "Granted"}, {Name: "orders.write", Decision: "NotAllowedByResource"}, {Name: "orders.x", Decision: "ScopeNotDefined"},
				{Name: "orders.y", Decision: "SomethingNew"},
			},
		},
		{Resource: v1alpha1.ResourceReference{Namespace: "shop", Name: "gone"}, Scopes: []v1alpha1.ScopeGrant{{Name: "a", Decision: "ResourceNotFound"}}},
	}
	return c
}

// withLogin makes a client one for people, and for its own tokens if it has other grant types, that
// is not ready.
func withLogin(ready metav1.Condition, others ...v1alpha1.GrantType) func(*v1alpha1.OAuth2Client) {
	return func(c *v1alpha1.OAuth2Client) {
		c.Spec.GrantTypes = slices.Concat(others, []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode})
		c.Status.Conditions = []metav1.Condition{ready}
	}
}

func TestOfClient(t *testing.T) {
	for name, c := range map[string]struct {
		change       func(*v1alpha1.OAuth2Client)
		request      verdict.Request
		reason, says string
		does         string
	}{
		"nothing is wrong":                              {nil, verdict.Request{}, "", "for https://hallpass.example.com/ns/shop, with scope read", "Not granted there: admin."},
		"a scope that is granted":                       {nil, verdict.Request{Resource: audience, Scopes: []string{"orders.read"}}, "", audience, ""},
		"a resource by its name":                        {nil, verdict.Request{Resource: "orders/orders-api"}, "", audience, ""},
		"a scope the owner withholds":                   {nil, verdict.Request{Resource: "orders/orders-api", Scopes: []string{"orders.read", "orders.write"}}, "NotAllowedByResource", `does not grant the scope "orders.write"`, "grant orders-api --namespace orders --to shop --scopes orders.write"},
		"a scope nobody defines":                        {nil, verdict.Request{Resource: "orders/orders-api", Scopes: []string{"orders.x"}}, "ScopeNotDefined", "does not define", "spec.scopes"},
		"a decision of a later build":                   {nil, verdict.Request{Resource: "orders/orders-api", Scopes: []string{"orders.y"}}, "SomethingNew", "SomethingNew", "older than the cluster"},
		"a policy":                                      {nil, verdict.Request{Scopes: []string{"admin"}}, "NotAllowedByPolicy", "OAuth2Policy", "administrator"},
		"a scope it does not ask for":                   {nil, verdict.Request{Scopes: []string{"other"}}, "ScopeNotGranted", `does not ask for the scope "other"`, "spec.scopes"},
		"a resource of its namespace that is not there": {nil, verdict.Request{Resource: "gone"}, "ResourceNotFound", "does not exist", "create resource gone"},
		"a resource it does not ask for":                {nil, verdict.Request{Resource: "orders/other"}, "TargetNotGranted", "spec.access does not name it", "orders/orders-api"},
		"the default resource": {func(c *v1alpha1.OAuth2Client) {
			c.Spec.DefaultResource = v1alpha1.ResourceReference{Namespace: "orders", Name: "orders-api"}
		}, verdict.Request{Scopes: []string{"orders.write"}}, "NotAllowedByResource", "orders.write", "grant"},
		"suspended": {func(c *v1alpha1.OAuth2Client) { c.Spec.State = v1alpha1.ClientSuspended }, verdict.Request{}, "Suspended", "suspended", "kubectl hallpass resume reporting --namespace shop"},
		"not ready": {func(c *v1alpha1.OAuth2Client) {
			c.Status.Conditions = []metav1.Condition{v1alpha1.ClientIDConflict("x")}
		}, verdict.Request{}, "ClientIDConflict", "is taken", ""},
		"a login that is missing beside its own tokens": {withLogin(v1alpha1.LoginNotInstalled(), v1alpha1.GrantClientCredentials), verdict.Request{}, "", "with scope read", "People cannot log in for it: This installation has no login"},
		"a redirect beside its own tokens":              {withLogin(v1alpha1.RedirectNotAllowed("https://a.test", 0), v1alpha1.GrantJWTBearer), verdict.Request{}, "", "with scope read", "People cannot log in for it: The OAuth2Policies"},
		"the issuer of logins beside its own tokens":    {withLogin(v1alpha1.LoginIssuerNotFound("corp"), v1alpha1.GrantClientCredentials), verdict.Request{}, "", "with scope read", "People cannot log in for it"},
		"the issuer of its own JWTs": {func(c *v1alpha1.OAuth2Client) {
			withLogin(v1alpha1.LoginIssuerNotFound("corp"), v1alpha1.GrantClientCredentials)(c)
			c.Spec.Authentication.Method = v1alpha1.ByFederatedToken
		}, verdict.Request{}, "IssuerNotFound", "no OAuth2TrustedIssuer", ""},
		"a login that is missing alone": {withLogin(v1alpha1.LoginNotInstalled()), verdict.Request{}, "LoginNotAvailable", "no login", ""},
		"not handled":                   {func(c *v1alpha1.OAuth2Client) { c.Status = v1alpha1.OAuth2ClientStatus{} }, verdict.Request{}, "Progressing", "not handled", "kubectl hallpass wait"},
		"changed since":                 {func(c *v1alpha1.OAuth2Client) { c.Generation = 2 }, verdict.Request{}, "Progressing", "not handled", "kubectl hallpass wait"},
		"being deleted":                 {func(c *v1alpha1.OAuth2Client) { c.DeletionTimestamp = new(metav1.NewTime(now)) }, verdict.Request{}, "ClientDeleted", "deleted", ""},
		"no scope at all":               {func(c *v1alpha1.OAuth2Client) { c.Status.Grants = nil }, verdict.Request{}, "", "without scopes", ""},
		"nothing granted":               {func(c *v1alpha1.OAuth2Client) { c.Status.Grants[0].Scopes = c.Status.Grants[0].Scopes[1:] }, verdict.Request{}, "NotAllowedByPolicy", "admin", ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := ready()
			if c.change != nil {
				c.change(client)
			}
			expect(t, verdict.OfClient(client, c.request), c.reason, c.says, c.does)
		})
	}
}

func expect(t *testing.T, v verdict.Verdict, reason, says, does string) {
	t.Helper()
	if v.Allowed != (reason == "") || v.Reason != reason || !strings.Contains(v.Sentence, says) || !strings.Contains(v.Do, does) {
		t.Errorf("allowed %t, %s: %s -> %s\nwant reason %q, %q and %q", v.Allowed, v.Reason, v.Sentence, v.Do, reason, says, does)
	}
}

func jwt(claims string) oauth2.Secret {
	encode := base64.RawURLEncoding.EncodeToString
	return oauth2.NewSecret(encode([]byte(`{"alg":"ES256"}`)) + "." + encode([]byte(claims)) + "." + encode([]byte("signature")))
}

func TestOfToken(t *testing.T) {
	sound := fmt.Sprintf(`{"iss":"https://hallpass.example.com","aud":%q,"client_id":"shop.reporting","client_uid":"uid-1","scope":"orders.read","iat":%d,"exp":%d}`,
		audience, now.Add(-time.Minute).Unix(), now.Add(time.Minute).Unix())
	for name, c := range map[string]struct {
		claims       string
		client       *v1alpha1.OAuth2Client
		at           time.Time
		reason, says string
	}{
		"nothing is wrong":    {sound, ready(), now, "", "valid until 2026-11-29T12:01:00Z"},
		"expired":             {sound, ready(), now.Add(time.Minute), "TokenExpired", "2026-11-29T12:01:00Z"},
		"expired comes first": {sound, nil, now.Add(time.Hour), "TokenExpired", "expired"},
		"no client":           {sound, nil, now, "OwnerGone", "shop.reporting"},
		"another client":      {strings.Replace(sound, "uid-1", "uid-0", 1), ready(), now, "TokenClientChanged", "deleted and created again"},
		"suspended":           {sound, changed(func(c *v1alpha1.OAuth2Client) { c.Spec.State = v1alpha1.ClientSuspended }), now, "Suspended", "suspended"},
		"revoked":             {sound, changed(func(c *v1alpha1.OAuth2Client) { c.Spec.RevokeTokensIssuedBefore = new(metav1.NewTime(now)) }), now, "TokenRevoked", "revokes"},
		"issued after that": {sound, changed(func(c *v1alpha1.OAuth2Client) {
			c.Spec.RevokeTokensIssuedBefore = new(metav1.NewTime(now.Add(-time.Hour)))
		}), now, "", "Nothing"},
		"a scope is withdrawn": {strings.Replace(sound, `"orders.read"`, `"orders.read orders.write"`, 1), ready(), now, "InsufficientScope", "orders.write"},
	} {
		t.Run(name, func(t *testing.T) {
			claims, err := verdict.ReadClaims(jwt(c.claims))
			if err != nil {
				t.Fatal(err)
			}
			expect(t, verdict.OfToken(claims, c.client, c.at), c.reason, c.says, "")
		})
	}
}

func changed(change func(*v1alpha1.OAuth2Client)) *v1alpha1.OAuth2Client {
	c := ready()
	change(c)
	return c
}

func TestWhatIsNoTokenIsRefused(t *testing.T) {
	for _, text := range []string{"", "a.b.c", "Bearer x", "eyJhbGciOiJFUzI1NiJ9.e30", jwt(`{}`).Reveal(), jwt(`[]`).Reveal(), jwt(`{"client_id":"a"`).Reveal()} {
		if claims, err := verdict.ReadClaims(oauth2.NewSecret(text)); err == nil {
			t.Errorf("%q is taken for a token of %q", text, claims.ClientID)
		}
	}
}

func TestOfOpaque(t *testing.T) {
	token := func(change func(*v1alpha1.OAuth2Token)) *v1alpha1.OAuth2Token {
		made := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Name: "dashboard"}}
		made.Status.ExpiresAt = metav1.NewTime(now.Add(time.Hour))
		made.Status.Conditions = []metav1.Condition{v1alpha1.TokenIssued(v1alpha1.TokenFixed, "dashboard")}
		if change != nil {
			change(made)
		}
		return made
	}
	for name, c := range map[string]struct {
		token        *v1alpha1.OAuth2Token
		reason, says string
	}{
		"nothing is wrong": {token(nil), "", "dashboard"},
		"none":             {nil, "TokenUnknown", "No OAuth2Token"},
		"expired":          {token(func(t *v1alpha1.OAuth2Token) { t.Status.ExpiresAt = metav1.NewTime(now) }), "TokenExpired", "expired"},
		"being deleted":    {token(func(t *v1alpha1.OAuth2Token) { t.DeletionTimestamp = new(metav1.NewTime(now)) }), "TokenOwnerGone", "deleted"},
		"not issued": {token(func(t *v1alpha1.OAuth2Token) {
			t.Status.Conditions = []metav1.Condition{v1alpha1.TokenClientNotFound("reporting")}
		}), "ClientNotFound", "does not exist"},
		"not handled": {token(func(t *v1alpha1.OAuth2Token) { t.Status = v1alpha1.OAuth2TokenStatus{} }), "Progressing", "not handled"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, verdict.OfOpaque(c.token, now), c.reason, c.says, "") })
	}
}

func TestADecisionIsFoundByItsRequest(t *testing.T) {
	log := `{"time":"2026-11-29T11:59:00Z","level":"INFO","msg":"decision","request_id":"aaa","endpoint":"token","outcome":"allowed","status":200,"client_id":"shop.a"}
something else with bbb in it
{"msg":"credential","request_id":"bbb"}
{"time":"2026-11-29T12:00:00Z","msg":"decision","request_id":"bbb","caller_request_id":"ccc","endpoint":"token","outcome":"refused","status":401,"source":"10.0.0.7","client_id":"shop.a","reason":"WrongSecret","repeated":7}
{"time":"2026-11-29T12:00:01Z","msg":"decision","request_id":"ddd","endpoint":"introspect","outcome":"allowed","status":200,"token_denial":"TokenExpired"}
`
	for id, want := range map[string]struct{ reason, says, does string }{
		"aaa": {"", "of client shop.a to the endpoint token at 2026-11-29T11:59:00Z was allowed with status 200", ""},
		"bbb": {"WrongSecret", "from 10.0.0.7 to the endpoint token at 2026-11-29T12:00:00Z was refused with status 401. The line stands for 7 refusals", "Read client_id and client_secret"},
		"ccc": {"WrongSecret", "refused", ""},
		"ddd": {"TokenExpired", "is not active", "docs/audit.md has under Reasons what to do about TokenExpired"},
	} {
		d, err := verdict.FindDecision(strings.NewReader(log), id)
		if err != nil || d == nil {
			t.Fatalf("%s: %v, %v", id, d, err)
		}
		expect(t, verdict.OfDecision(*d), want.reason, want.says, want.does)
	}
	if d, err := verdict.FindDecision(strings.NewReader(log), "eee"); d != nil || err != nil {
		t.Errorf("a request that is not in the log: %v, %v", d, err)
	}
	if _, err := verdict.FindDecision(strings.NewReader(strings.Repeat("x", 2<<20)), "x"); err == nil {
		t.Error("a line without an end is read")
	}
}
