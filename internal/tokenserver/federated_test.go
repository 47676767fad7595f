// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	ciClient     = "shop.ci"
	githubIssuer = "https://token.actions.githubusercontent.com"
	ciSubject    = "repo:acme/shop:environment:prod"
)

// ciWorld is a fixture with a client that authenticates by the JWTs of a trusted issuer.
type ciWorld struct {
	*world

	signer  *jws.Signer
	trusted *oauth2.TrustedIssuer
	cluster *fakeCluster
}

func newCIWorld(t testing.TB, options ...func(*settings)) ciWorld {
	t.Helper()
	signer := newSigner(t, jws.RS256)
	cluster := &fakeCluster{known: oauth2.Cluster{Issuer: clusterIssuer}}
	w := newWorld(t, append(options, func(c *settings) { c.auth.Cluster = cluster })...)
	keys, err := jws.PackKeys(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	trusted := &oauth2.TrustedIssuer{
		Name: "github", UID: "uid-of-github", Issuer: githubIssuer, Keys: oauth2.IssuerKeys{Set: keys, FetchedAt: noon.Add(-time.Hour), Until: noon.Add(time.Hour)},
		Delegations: []oauth2.Delegation{
			{Namespaces: []string{"orders"}},
			{
				Namespaces: []string{"shop"}, SubjectPrefixes: []string{"repo:acme/"},
				Claims: []oauth2.RequiredClaim{{Name: "repository_owner_id", Values: []string{"277133432"}}},
			},
		},
	}
	c := ciWorld{w, signer, trusted, cluster}
	c.registerFederated(ciClient, oauth2.Federated{
		IssuerName: "github", Subject: ciSubject,
		Claims: []oauth2.RequiredClaim{{Name: "repository_id", Values: []string{"1316584243"}}, {Name: "environment", Values: []string{"prod", "stage"}}},
	})
	c.trust()
	return c
}

// registerFederated makes a client that names JWTs of a trusted issuer.
func (w ciWorld) registerFederated(id string, f oauth2.Federated) *oauth2.Client {
	w.register(id)
	c := w.dir.known[id].Client
	c.Credentials = oauth2.Credentials{Federated: &f}
	w.dir.source[id] = w.dir.known[id]
	return c
}

// trust puts the issuer into memory and into the source.
func (w ciWorld) trust() {
	w.dir.issuers = map[string]*oauth2.TrustedIssuer{w.trusted.Name: w.trusted}
	w.dir.issuersAtSource = w.dir.issuers
}

// claims are those of a token as GitHub issues it to a job, as its documentation has them, with
// those of change in their place; nil leaves one out.
func (w ciWorld) claims(change map[string]any) map[string]any {
	claims := map[string]any{
		"iss": githubIssuer, "sub": ciSubject, "aud": testIssuer, "jti": "example-id", "ref": "refs/heads/main", "ref_protected": "true",
		"repository": "acme/shop", "repository_id": "1316584243", "repository_owner": "acme", "repository_owner_id": "277133432",
		"environment": "prod", "event_name": "workflow_dispatch", "run_attempt": "2", "runner_environment": "github-hosted",
		"iat": w.now.Unix(), "nbf": w.now.Add(-10 * time.Minute).Unix(), "exp": w.now.Add(15 * time.Minute).Unix(),
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

func (w ciWorld) sign(signer *jws.Signer, typ string, change map[string]any) string {
	w.t.Helper()
	payload, err := json.Marshal(w.claims(change))
	if err != nil {
		w.t.Fatal(err)
	}
	token, err := signer.Sign(typ, payload)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// fromCI is the body of a token request that a job sends.
func fromCI(token string) string { return withAssertion(token) + "&client_id=" + ciClient }

func TestAJobGetsATokenWithoutASecret(t *testing.T) {
	w := newCIWorld(t)
	token := w.sign(w.signer, "JWT", nil)
	for range 2 { // it may be used again until it expires
		if answer := w.do(call{body: fromCI(token)}); answer.Code != http.StatusOK {
			t.Fatalf("got %d %s: %v", answer.Code, answer.Body, w.lastAudit()["reason"])
		}
	}
	line := w.lastAudit()
	if line["client_id"] != ciClient || line["method"] != "federated_jwt" || line["credential"] != "example-id" {
		t.Errorf("the audit line is %v", line)
	}
	if strings.Contains(w.audit.String(), token) {
		t.Error("the JWT is in the audit log")
	}
}

func TestAJWTOfATrustedIssuerMayLookLikeThis(t *testing.T) {
	for name, c := range map[string]struct {
		typ    string
		change map[string]any
		before func(ciWorld)
	}{
		"without a type":                        {"", nil, nil},
		"with the type of an assertion":         {"client-authentication+jwt", nil, nil},
		"an hour long":                          {"JWT", map[string]any{"exp": noon.Add(time.Hour).Unix()}, nil},
		"with an audience in a list":            {"JWT", map[string]any{"aud": []string{testIssuer}}, nil},
		"without nbf and jti":                   {"JWT", map[string]any{"nbf": nil, "jti": nil}, nil},
		"from a clock ahead of ours":            {"JWT", map[string]any{"iat": noon.Add(50 * time.Second).Unix()}, nil},
		"that expired half a minute ago":        {"JWT", map[string]any{"iat": noon.Add(-5 * time.Minute).Unix(), "exp": noon.Add(-30 * time.Second).Unix()}, nil},
		"with another of the values of a claim": {"JWT", map[string]any{"environment": "stage"}, nil},
		"with another audience that the issuer is trusted for": {"JWT", map[string]any{"aud": "sts.example.com"}, func(w ciWorld) {
			w.trusted.Audiences = []string{"api://default", "sts.example.com"}
		}},
		"for a day, if that is allowed": {"JWT", map[string]any{"exp": noon.Add(24 * time.Hour).Unix()}, func(w ciWorld) { w.trusted.MaxLife = 24 * time.Hour }},
		"with a subject below a prefix": {"JWT", nil, func(w ciWorld) {
			f := w.dir.known[ciClient].Client.Credentials.Federated
			f.Subject, f.SubjectPrefix = "", "repo:acme/shop:"
		}},
		"with claims alone": {"JWT", nil, func(w ciWorld) { w.dir.known[ciClient].Client.Credentials.Federated.Subject = "" }},
		"with a claim that is a number or a truth value": {"JWT", map[string]any{"run_attempt": 2, "ref_protected": true}, func(w ciWorld) {
			f := w.dir.known[ciClient].Client.Credentials.Federated
			f.Claims = []oauth2.RequiredClaim{{Name: "run_attempt", Values: []string{"2"}}, {Name: "ref_protected", Values: []string{"true"}}}
		}},
		"of another cluster": {"", map[string]any{
			"iss": "https://oidc.east.example.com", "sub": "system:serviceaccount:jobs:nightly", "aud": []string{testIssuer},
			"kubernetes.io": kubernetesClaim("jobs", "nightly", "uid"),
		}, func(w ciWorld) {
			w.trusted.Issuer, w.trusted.Delegations = "https://oidc.east.example.com", []oauth2.Delegation{{Namespaces: []string{"shop"}}}
			*w.dir.known[ciClient].Client.Credentials.Federated = oauth2.Federated{IssuerName: "github", Subject: "system:serviceaccount:jobs:nightly"}
		}},
		"of a platform that signs the client_id as the subject": {"JWT", map[string]any{"sub": ciClient}, func(w ciWorld) {
			w.trusted.Delegations = []oauth2.Delegation{{Namespaces: []string{"shop"}}}
			*w.dir.known[ciClient].Client.Credentials.Federated = oauth2.Federated{IssuerName: "github", Subject: ciClient}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCIWorld(t)
			if c.before != nil {
				c.before(w)
			}
			if answer := w.do(call{body: fromCI(w.sign(w.signer, c.typ, c.change))}); answer.Code != http.StatusOK {
				t.Errorf("%d %s: %v", answer.Code, answer.Body, w.lastAudit()["reason"])
			}
		})
	}
}

// told is in an answer that describes what is wrong with the JWT.
const told = "the signature of the assertion is good"

func TestAJWTOfATrustedIssuerIsRefused(t *testing.T) {
	type refusal struct {
		body   func(w ciWorld) string
		reason oauth2.Reason
		told   bool
	}
	claim := func(name string, value any) func(w ciWorld) string {
		return func(w ciWorld) string { return fromCI(w.sign(w.signer, "JWT", map[string]any{name: value})) }
	}
	after := func(change func(w ciWorld)) func(w ciWorld) string {
		return func(w ciWorld) string {
			change(w)
			return fromCI(w.sign(w.signer, "JWT", nil))
		}
	}
	typed := func(typ string) func(w ciWorld) string {
		return func(w ciWorld) string { return fromCI(w.sign(w.signer, typ, nil)) }
	}
	as := func(clientID string) func(w ciWorld) string {
		return func(w ciWorld) string { return withAssertion(w.sign(w.signer, "JWT", nil)) + "&client_id=" + clientID }
	}
	federated := func(w ciWorld) *oauth2.Federated { return w.dir.known[ciClient].Client.Credentials.Federated }
	for name, c := range map[string]refusal{
		"of another issuer":                   {claim("iss", "https://other.test"), oauth2.ReasonWrongAssertion, false},
		"of an issuer with a slash more":      {claim("iss", githubIssuer+"/"), oauth2.ReasonWrongAssertion, false},
		"of our issuer":                       {claim("iss", testIssuer), oauth2.ReasonWrongAssertion, false},
		"without an issuer":                   {claim("iss", nil), oauth2.ReasonWrongAssertion, false},
		"without a subject":                   {claim("sub", nil), oauth2.ReasonMalformedCredential, false},
		"of another subject":                  {claim("sub", "repo:acme/shop:environment:stage"), oauth2.ReasonWrongSubject, false},
		"of a subject that is longer":         {claim("sub", ciSubject+"x"), oauth2.ReasonWrongSubject, false},
		"of another repository":               {claim("repository_id", "1"), oauth2.ReasonWrongClaim, false},
		"of another environment":              {claim("environment", "dev"), oauth2.ReasonWrongClaim, false},
		"without the claim":                   {claim("environment", nil), oauth2.ReasonWrongClaim, false},
		"with a claim that is a list":         {claim("environment", []string{"prod"}), oauth2.ReasonWrongClaim, false},
		"with a claim that is null":           {claim("environment", json.RawMessage("null")), oauth2.ReasonWrongClaim, false},
		"of another owner":                    {claim("repository_owner_id", "1"), oauth2.ReasonNotAllowedByIssuer, false},
		"for another audience":                {claim("aud", "https://github.com/acme"), oauth2.ReasonAssertionAudience, true},
		"for ours and another":                {claim("aud", []string{testIssuer, "https://github.com/acme"}), oauth2.ReasonAssertionAudience, true},
		"for ours twice":                      {claim("aud", []string{testIssuer, testIssuer}), oauth2.ReasonAssertionAudience, true},
		"for our token endpoint":              {claim("aud", testIssuer+oauth2.TokenPath), oauth2.ReasonAssertionAudience, true},
		"for no audience":                     {claim("aud", nil), oauth2.ReasonAssertionAudience, true},
		"for an audience that is null":        {claim("aud", []any{nil}), oauth2.ReasonAssertionAudience, true},
		"without an end":                      {claim("exp", nil), oauth2.ReasonWrongAssertion, true},
		"with an end that is a string":        {claim("exp", "tomorrow"), oauth2.ReasonWrongAssertion, true},
		"without its issue":                   {claim("iat", nil), oauth2.ReasonWrongAssertion, true},
		"with a beginning that is no number":  {claim("nbf", "now"), oauth2.ReasonWrongAssertion, true},
		"that has expired":                    {claim("exp", noon.Add(-time.Minute).Unix()), oauth2.ReasonAssertionExpired, true},
		"from the future":                     {claim("iat", noon.Add(61*time.Second).Unix()), oauth2.ReasonAssertionExpired, true},
		"that begins in the future":           {claim("nbf", noon.Add(61*time.Second).Unix()), oauth2.ReasonAssertionExpired, true},
		"of a day where the bound is an hour": {claim("exp", noon.Add(24*time.Hour).Unix()), oauth2.ReasonAssertionTooLong, true},
		"a second longer than an hour":        {claim("exp", noon.Add(time.Hour+time.Second).Unix()), oauth2.ReasonAssertionTooLong, true},
		"with the type of an access token":    {typed(oauth2.TokenType), oauth2.ReasonWrongAssertion, true},
		"with the type of an ID-JAG":          {typed("oauth-id-jag+jwt"), oauth2.ReasonWrongAssertion, true},
		"with a key that nobody knows": {
			func(w ciWorld) string { return fromCI(w.sign(newSigner(w.t, jws.RS256), "JWT", nil)) }, oauth2.ReasonAssertionKeyUnknown, false,
		},
		"with a tampered signature": {func(w ciWorld) string { return fromCI(tamper(w.sign(w.signer, "JWT", nil))) }, oauth2.ReasonWrongAssertion, false},
		"with alg none": {func(w ciWorld) string {
			_, rest, _ := strings.Cut(w.sign(w.signer, "JWT", nil), ".")
			return fromCI(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + rest)
		}, oauth2.ReasonMalformedCredential, false},
		"that brings its own key": {func(w ciWorld) string {
			_, rest, _ := strings.Cut(w.sign(w.signer, "JWT", nil), ".")
			return fromCI(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","jku":"https://evil.test/keys"}`)) + "." + rest)
		}, oauth2.ReasonMalformedCredential, false},
		"by an algorithm that the issuer does not use": {
			after(func(w ciWorld) { w.trusted.Algorithms = []jws.Algorithm{jws.ES256} }), oauth2.ReasonAssertionKeyUnknown, false,
		},
		"of a suspended issuer": {after(func(w ciWorld) { w.trusted.Suspended = true }), oauth2.ReasonIssuerSuspended, false},
		"of an issuer whose keys are too old": {
			after(func(w ciWorld) { w.trusted.Keys.Until = noon }), oauth2.ReasonKeysStale, false,
		},
		"of an issuer that is this cluster's": {
			after(func(w ciWorld) { w.cluster.known.Issuer = githubIssuer }), oauth2.ReasonOwnIssuer, false,
		},
		"of an issuer that is gone": {after(func(w ciWorld) { delete(w.dir.issuers, "github") }), oauth2.ReasonIssuerNotFound, false},
		"of an issuer that does not let the namespace": {
			after(func(w ciWorld) { w.trusted.Delegations = w.trusted.Delegations[:1] }), oauth2.ReasonNotAllowedByIssuer, false,
		},
		"of a client that names more than the issuer lets it": {
			after(func(w ciWorld) { federated(w).Subject, federated(w).SubjectPrefix = "", "repo:" }), oauth2.ReasonNotAllowedByIssuer, false,
		},
		"of a client with a claim that the issuer requires otherwise": {after(func(w ciWorld) {
			federated(w).Claims = append(federated(w).Claims, oauth2.RequiredClaim{Name: "repository_owner_id", Values: []string{"1"}})
		}), oauth2.ReasonNotAllowedByIssuer, false},
		"of a client that names nothing": {after(func(w ciWorld) { *federated(w) = oauth2.Federated{IssuerName: "github"} }), oauth2.ReasonNotAllowedByIssuer, false},
		"of a client that is suspended":  {after(func(w ciWorld) { w.dir.known[ciClient].Owner.Suspended = true }), oauth2.ReasonSuspended, false},
		"for a client that nobody knows": {as(unheardOf), oauth2.ReasonUnknownClient, false},
		"for a client that has a secret": {as(reporting), oauth2.ReasonWrongMethod, false},
		"for a client_id that is none":   {as("a%20b"), oauth2.ReasonMalformedCredential, false},
		"with a secret for such a client": {func(ciWorld) string {
			return grant + "&client_id=" + ciClient + "&client_secret=" + strings.Repeat("s", 40)
		}, oauth2.ReasonWrongMethod, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCIWorld(t)
			answer := w.do(call{body: c.body(w)})
			if got := w.lastAudit()["reason"]; answer.Code != http.StatusUnauthorized || got != string(c.reason) {
				t.Errorf("got %d %s: %v, want %s", answer.Code, answer.Body, got, c.reason)
			}
			if got := strings.Contains(answer.Body.String(), told); got != c.told {
				t.Errorf("the answer %s says what is wrong: %v, want %v", answer.Body, got, c.told)
			}
		})
	}
}

func TestARequestWithAJWTOfAnotherIssuerNamesItsClient(t *testing.T) {
	w := newCIWorld(t)
	answer := w.do(call{body: withAssertion(w.sign(w.signer, "JWT", nil))})
	if answer.Code != http.StatusBadRequest || w.lastAudit()["reason"] != string(oauth2.ReasonClientIDNeeded) || !strings.Contains(answer.Body.String(), "send client_id") {
		t.Errorf("got %d %s: %v", answer.Code, answer.Body, w.lastAudit()["reason"])
	}
}

// TestAClientThatClaimsASubjectFirstDoesNotTakeIt: the client_id of the request decides, so each of
// two clients with one subject gets its own tokens.
func TestAClientThatClaimsASubjectFirstDoesNotTakeIt(t *testing.T) {
	w := newCIWorld(t)
	w.registerFederated("orders.squatter", *w.dir.known[ciClient].Client.Credentials.Federated)
	token := w.sign(w.signer, "JWT", nil)
	for _, id := range []string{ciClient, "orders.squatter"} {
		answer := w.do(call{body: withAssertion(token) + "&client_id=" + id})
		if answer.Code != http.StatusOK || w.lastAudit()["client_id"] != id {
			t.Errorf("%s: %d %s: %v", id, answer.Code, answer.Body, w.lastAudit())
		}
	}
}

func TestAJWTIsAcceptedOnceWhereTheIssuerSaysSo(t *testing.T) {
	w := newCIWorld(t)
	w.trusted.Once = true
	w.registerFederated("shop.second", *w.dir.known[ciClient].Client.Credentials.Federated)
	token := w.sign(w.signer, "JWT", nil)
	if answer := w.do(call{body: fromCI(token)}); answer.Code != http.StatusOK {
		t.Fatalf("got %d %s: %v", answer.Code, answer.Body, w.lastAudit()["reason"])
	}
	for _, id := range []string{ciClient, "shop.second"} {
		answer := w.do(call{body: withAssertion(token) + "&client_id=" + id})
		if answer.Code != http.StatusUnauthorized || w.lastAudit()["reason"] != string(oauth2.ReasonAssertionReplayed) {
			t.Errorf("again for %s: %d %s: %v", id, answer.Code, answer.Body, w.lastAudit()["reason"])
		}
	}
	answer := w.do(call{body: fromCI(w.sign(w.signer, "JWT", map[string]any{"jti": nil}))})
	if w.lastAudit()["reason"] != string(oauth2.ReasonWrongAssertion) || !strings.Contains(answer.Body.String(), "jti") {
		t.Errorf("without a jti: %d %s", answer.Code, answer.Body)
	}
	if answer := w.do(call{body: fromCI(w.sign(w.signer, "JWT", map[string]any{"jti": "another"}))}); answer.Code != http.StatusOK {
		t.Errorf("with another jti: %d %s", answer.Code, answer.Body)
	}
}

// TestAnIssuerThatTheWatchHasNotBroughtIsLookedUp: a request right after Ready never fails.
func TestAnIssuerThatTheWatchHasNotBroughtIsLookedUp(t *testing.T) {
	w := newCIWorld(t)
	w.dir.issuers = nil
	delete(w.dir.known, ciClient)
	if answer := w.do(call{body: fromCI(w.sign(w.signer, "JWT", nil))}); answer.Code != http.StatusOK {
		t.Errorf("got %d %s: %v", answer.Code, answer.Body, w.lastAudit()["reason"])
	}
	// a request for a client that there is not costs the same look-ups
	before := len(w.dir.issuersAsked)
	w.do(call{body: withAssertion(w.sign(w.signer, "JWT", nil)) + "&client_id=" + unheardOf})
	if got := len(w.dir.issuersAsked) - before; got != 1 {
		t.Errorf("%d issuers were looked up for a client that nobody knows, want 1", got)
	}
}

// TestWhatATrustedIssuerAllowsNowIsLookedUp: another cluster's token of an account is refused by a
// record of the issuer that is late, and a newer one accepts it.
func TestWhatATrustedIssuerAllowsNowIsLookedUp(t *testing.T) {
	for name, change := range map[string]func(*oauth2.TrustedIssuer){
		"another audience": func(late *oauth2.TrustedIssuer) { late.Audiences = []string{"https://former.example.com"} },
		"a longer life":    func(late *oauth2.TrustedIssuer) { late.MaxLife = time.Minute },
	} {
		w := newCIWorld(t)
		w.trusted.Issuer, w.trusted.Delegations = "https://oidc.east.example.com", []oauth2.Delegation{{Namespaces: []string{"shop"}}}
		*w.dir.known[ciClient].Client.Credentials.Federated = oauth2.Federated{IssuerName: "github", Subject: "system:serviceaccount:jobs:nightly"}
		late := *w.trusted
		change(&late)
		w.dir.issuers = map[string]*oauth2.TrustedIssuer{"github": &late}
		body := fromCI(w.sign(w.signer, "", map[string]any{
			"iss": w.trusted.Issuer, "sub": "system:serviceaccount:jobs:nightly", "kubernetes.io": kubernetesClaim("jobs", "nightly", "uid"),
		}))
		if answer := w.do(call{body: body}); answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s: %v", name, answer.Code, answer.Body, w.lastAudit()["reason"])
		}
	}
}

func TestATokenOfThisClusterIsNotThatOfATrustedIssuer(t *testing.T) {
	w := newCIWorld(t)
	w.cluster.known = oauth2.Cluster{Issuer: clusterIssuer, Keys: jws.KeySet{Keys: []jws.PublicKey{w.signer.Public()}}}
	w.dir.known[ciClient].Client.Credentials.Federated.Subject = "system:serviceaccount:shop:worker"
	body := fromCI(w.sign(w.signer, "", map[string]any{
		"iss": clusterIssuer, "sub": "system:serviceaccount:shop:worker", "kubernetes.io": kubernetesClaim("shop", "worker", "uid-of-worker"),
	}))
	if answer := w.do(call{body: body}); answer.Code != http.StatusUnauthorized || w.cluster.reviewed != 0 || w.cluster.asked != 0 {
		t.Errorf("got %d %s; the cluster was asked %d times", answer.Code, answer.Body, w.cluster.reviewed+w.cluster.asked)
	}
}

// A JWT may have the name of RFC 9864, whichever of the two an issuer publishes and a spec names.
func TestAJWTOfEd25519(t *testing.T) {
	for _, name := range []jws.Algorithm{jws.EdDSA, jws.Ed25519} {
		w, signer := newCIWorld(t), newSigner(t, name)
		w.trusted.Keys.Set, w.trusted.Algorithms = packed(signer.Public()), []jws.Algorithm{jws.EdDSA}
		if answer := w.do(call{body: fromCI(w.sign(signer, "JWT", nil))}); answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s: %v", name, answer.Code, answer.Body, w.lastAudit())
		}
		w.trusted.Algorithms = []jws.Algorithm{jws.RS256}
		if answer := w.do(call{body: fromCI(w.sign(signer, "JWT", nil))}); answer.Code != http.StatusUnauthorized {
			t.Errorf("%s, where another algorithm is allowed: %d %s", name, answer.Code, answer.Body)
		}
	}
}

// delegate has the issuer delegate its JWTs to namespaces, each those of one owner.
func (w ciWorld) delegate(owners map[string]string) {
	w.trusted.Delegations = nil
	for namespace, owner := range owners {
		w.trusted.Delegations = append(w.trusted.Delegations, oauth2.Delegation{
			Namespaces: []string{namespace}, Claims: []oauth2.RequiredClaim{{Name: "repository_owner_id", Values: []string{owner}}},
		})
	}
}

// A JWT whose subject one client names needs no client_id, as a client assertion and as the grant.
func TestAJWTIdentifiesTheOnlyClientOfItsSubject(t *testing.T) {
	const owner, another = "277133432", "1"
	federated := func(w ciWorld) *oauth2.Federated { return w.dir.known[ciClient].Client.Credentials.Federated }
	for name, c := range map[string]struct {
		change func(ciWorld)
		reason oauth2.Reason // of a refusal with status 400 if it is ClientIDNeeded
	}{
		"of the only client": {func(ciWorld) {}, ""},
		"of a subject that a client of another namespace names, which it is not delegated to": {func(w ciWorld) {
			w.registerFederated("orders.squatter", *federated(w))
		}, ""},
		"of a subject that a client of another namespace names alone": {func(w ciWorld) {
			w.registerFederated("orders.squatter", *federated(w))
			delete(w.dir.known, ciClient)
			delete(w.dir.source, ciClient)
		}, oauth2.ReasonClientIDNeeded},
		"of a subject that two clients name": {func(w ciWorld) { w.registerFederated("shop.second", *federated(w)) }, oauth2.ReasonClientIDNeeded},
		"of a subject that two clients name with other claims": {func(w ciWorld) {
			w.registerFederated("shop.second", oauth2.Federated{IssuerName: "github", Subject: ciSubject})
		}, oauth2.ReasonClientIDNeeded},
		"of a subject that two clients name, one of them suspended": {func(w ciWorld) {
			w.registerFederated("shop.second", *federated(w))
			w.dir.known["shop.second"].Owner.Suspended = true
		}, oauth2.ReasonClientIDNeeded},
		"of a subject whose other client is being deleted": {func(w ciWorld) {
			w.registerFederated("shop.second", *federated(w))
			w.dir.known["shop.second"].Owner.Terminating = true
		}, ""},
		"of a subject that another client names of another issuer": {func(w ciWorld) {
			w.registerFederated("shop.second", oauth2.Federated{IssuerName: "gitlab", Subject: ciSubject})
		}, ""},
		"of a subject that another client names by a prefix": {func(w ciWorld) {
			w.registerFederated("shop.second", oauth2.Federated{IssuerName: "github", SubjectPrefix: "repo:acme/", Claims: federated(w).Claims})
		}, ""},
		"of a client that names a prefix": {func(w ciWorld) { federated(w).Subject, federated(w).SubjectPrefix = "", "repo:acme/" }, oauth2.ReasonClientIDNeeded},
		"of a client that names claims":   {func(w ciWorld) { federated(w).Subject = "" }, oauth2.ReasonClientIDNeeded},
		"of an owner whose JWTs are delegated to two namespaces": {func(w ciWorld) {
			w.delegate(map[string]string{"shop": owner, "orders": owner})
		}, oauth2.ReasonClientIDNeeded},
		"of an owner whose JWTs are delegated to none": {func(w ciWorld) { w.delegate(map[string]string{"shop": another}) }, oauth2.ReasonClientIDNeeded},
		"of a client with a claim that the JWT has otherwise": {func(w ciWorld) {
			federated(w).Claims = []oauth2.RequiredClaim{{Name: "environment", Values: []string{"stage"}}}
		}, oauth2.ReasonWrongClaim},
		"of a client that is suspended":    {func(w ciWorld) { w.dir.known[ciClient].Owner.Suspended = true }, oauth2.ReasonSuspended},
		"of an issuer that is suspended":   {func(w ciWorld) { w.trusted.Suspended = true }, oauth2.ReasonIssuerSuspended},
		"of an issuer for people":          {func(w ciWorld) { w.trusted.Uses = oauth2.UsePerson }, oauth2.ReasonNotAllowedByIssuer},
		"of an issuer with stale keys":     {func(w ciWorld) { w.trusted.Keys.Until = noon }, oauth2.ReasonKeysStale},
		"of an issuer that there is not":   {func(w ciWorld) { w.trusted.Issuer = "https://other.example.com" }, oauth2.ReasonIssuerNotFound},
		"of an issuer that is the cluster": {func(w ciWorld) { w.cluster.known.Issuer = githubIssuer }, oauth2.ReasonOwnIssuer},
	} {
		for way, body := range map[string]func(string) string{"as an assertion": withAssertion, "as the grant": asGrant} {
			t.Run(name+", "+way, func(t *testing.T) {
				w := newCIWorld(t)
				w.allow(ciClient)
				w.delegate(map[string]string{"shop": owner, "orders": another})
				c.change(w)
				answer := w.do(call{body: body(w.sign(w.signer, "JWT", nil))})
				want := http.StatusUnauthorized
				switch {
				case c.reason == "":
					want = http.StatusOK
				case c.reason == oauth2.ReasonClientIDNeeded, way == "as the grant":
					want = http.StatusBadRequest
				}
				line := w.lastAudit()
				if reason, _ := line["reason"].(string); answer.Code != want || reason != string(c.reason) {
					t.Fatalf("got %d %s: %v, want %d %s", answer.Code, answer.Body, line, want, c.reason)
				}
				if c.reason == "" && (line["client_id"] != ciClient || line["method"] != "federated_jwt") {
					t.Errorf("the audit line is %v", line)
				}
			})
		}
	}
}

// The answer to a JWT that is not good in itself does not depend on the clients that there are.
func TestAJWTThatIsNotGoodShowsNoClients(t *testing.T) {
	for name, c := range map[string]struct {
		change map[string]any
		typ    string
		reason oauth2.Reason
	}{
		"for another audience": {map[string]any{"aud": "https://other.test"}, "JWT", oauth2.ReasonAssertionAudience},
		"that has expired":     {map[string]any{"exp": noon.Add(-time.Hour).Unix(), "iat": noon.Add(-2 * time.Hour).Unix()}, "JWT", oauth2.ReasonAssertionExpired},
		"of a kind of its own": {nil, "client-authentication+jwt", ""},
		"of another subject":   {map[string]any{"sub": "repo:acme/other:x"}, "JWT", oauth2.ReasonClientIDNeeded},
		"of another signer":    {nil, "forged", oauth2.ReasonAssertionKeyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCIWorld(t)
			w.delegate(map[string]string{"shop": "277133432"})
			signer, typ := w.signer, c.typ
			if typ == "forged" {
				signer, typ = newSigner(t, jws.RS256), "JWT"
			}
			answer := w.do(call{body: withAssertion(w.sign(signer, typ, c.change))})
			if reason, _ := w.lastAudit()["reason"].(string); reason != string(c.reason) {
				t.Errorf("got %d %s: %v, want %s", answer.Code, answer.Body, w.lastAudit(), c.reason)
			}
			if strings.Contains(answer.Body.String(), ciClient) && c.reason != "" {
				t.Errorf("the answer names a client: %s", answer.Body)
			}
		})
	}
}

// Who claims a subject first does not get the JWTs of the tenant to whom it is delegated, before
// and after that one registers.
func TestASquatterGetsNoJWTWithoutAClientID(t *testing.T) {
	w := newCIWorld(t)
	w.delegate(map[string]string{"shop": "277133432", "evil": "666"})
	victim := w.dir.known[ciClient]
	delete(w.dir.known, ciClient)
	delete(w.dir.source, ciClient)
	w.registerFederated("evil.first", *victim.Client.Credentials.Federated)
	body := withAssertion(w.sign(w.signer, "JWT", nil))
	if answer := w.do(call{body: body}); answer.Code != http.StatusBadRequest {
		t.Fatalf("before the victim registers: %d %s", answer.Code, answer.Body)
	}
	if answer := w.do(call{body: body + "&client_id=evil.first"}); answer.Code != http.StatusUnauthorized {
		t.Fatalf("with its own client_id: %d %s", answer.Code, answer.Body)
	}
	w.dir.known[ciClient], w.dir.source[ciClient] = victim, victim
	if answer := w.do(call{body: body}); answer.Code != http.StatusOK || w.lastAudit()["client_id"] != ciClient {
		t.Errorf("once the victim has registered: %d %s: %v", answer.Code, answer.Body, w.lastAudit())
	}
}

// The token of a service account of another cluster needs no client_id either, and that of this
// cluster with the same name is none of it.
func TestAnAccountOfAnotherClusterNeedsNoClientID(t *testing.T) {
	const east, subject = "https://oidc.east.example.com", "system:serviceaccount:jobs:nightly"
	w := newCIWorld(t)
	w.trusted.Issuer, w.trusted.Delegations = east, []oauth2.Delegation{{Namespaces: []string{"shop"}}}
	*w.dir.known[ciClient].Client.Credentials.Federated = oauth2.Federated{IssuerName: "github", Subject: subject}
	token := func(iss string) string {
		return w.sign(w.signer, "", map[string]any{"iss": iss, "sub": subject, "kubernetes.io": kubernetesClaim("jobs", "nightly", "uid")})
	}
	if answer := w.do(call{body: withAssertion(token(east))}); answer.Code != http.StatusOK || w.lastAudit()["client_id"] != ciClient {
		t.Fatalf("%d %s: %v", answer.Code, answer.Body, w.lastAudit())
	}
	if answer := w.do(call{body: withAssertion(token(clusterIssuer))}); answer.Code == http.StatusOK || w.cluster.reviewed != 0 {
		t.Errorf("of this cluster: %d %s: %v", answer.Code, answer.Body, w.lastAudit())
	}
}

// Whatever of issuer and client the watch has not brought yet is looked up.
func TestWhatIdentifiesTheClientOfAJWTIsLookedUp(t *testing.T) {
	for name, late := range map[string]func(ciWorld){
		"the client": func(w ciWorld) { delete(w.dir.known, ciClient) },
		"the issuer": func(w ciWorld) { w.dir.issuers = nil },
		"both":       func(w ciWorld) { delete(w.dir.known, ciClient); w.dir.issuers = nil },
		"what the issuer delegates": func(w ciWorld) {
			before := *w.trusted
			before.Audiences = []string{"https://former.example.com"}
			w.dir.issuers = map[string]*oauth2.TrustedIssuer{"github": &before}
		},
	} {
		w := newCIWorld(t)
		w.delegate(map[string]string{"shop": "277133432"})
		late(w)
		if answer := w.do(call{body: withAssertion(w.sign(w.signer, "JWT", nil))}); answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s: %v", name, answer.Code, answer.Body, w.lastAudit())
		}
	}
}

// A caller that makes up JWTs has few look-ups of issuers and of clients.
func TestMadeUpJWTsWithoutAClientIDCauseFewLookUps(t *testing.T) {
	w := newCIWorld(t)
	forger := newSigner(t, jws.ES256)
	for i := range 200 {
		w.do(call{body: withAssertion(w.sign(forger, "JWT", map[string]any{"iss": fmt.Sprintf("https://made-up-%d.example.com", i)}))})
		w.do(call{body: withAssertion(w.sign(forger, "JWT", map[string]any{"sub": fmt.Sprintf("repo:acme/%d:x", i)}))})
	}
	if n := len(w.dir.issuersAsked) + len(w.dir.asked); n > 50 {
		t.Errorf("%d look-ups for 400 requests at one instant", n)
	}
}

// A JWT-SVID of a trust domain is a client assertion and a grant, with a client_id and without.
func TestAWorkloadOfATrustDomainGetsAToken(t *testing.T) {
	const subject = "spiffe://example.org/ns/ci/sa/deploy"
	for name, iss := range map[string]any{"without an iss": nil, "with the iss of SPIRE": "https://spire.example.org"} {
		w := newCIWorld(t)
		w.allow(ciClient)
		w.trusted.Issuer, w.trusted.Delegations = oauth2.TrustDomainID("example.org"), []oauth2.Delegation{{Namespaces: []string{"shop"}}}
		*w.dir.known[ciClient].Client.Credentials.Federated = oauth2.Federated{IssuerName: "github", Subject: subject}
		token := w.sign(w.signer, "JWT", map[string]any{"iss": iss, "sub": subject, "jti": nil})
		for _, body := range []string{withAssertion(token), withAssertion(token) + "&client_id=" + ciClient, asGrant(token), asGrant(token) + "&client_id=" + ciClient} {
			if answer := w.do(call{body: body}); answer.Code != http.StatusOK || w.lastAudit()["client_id"] != ciClient {
				t.Errorf("%s: %d %s: %v", name, answer.Code, answer.Body, w.lastAudit())
			}
		}
	}
}
