// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	job        = "shop.job" // by the JWTs of a trusted issuer
	jobSubject = "repo:acme/shop:environment:prod"
	jobIssuer  = "https://issuer.example.com"
)

// newJobs has a client that names the subject of a trusted issuer.
func newJobs(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.register(job)
	w.memory.clients[job].Client.Credentials = oauth2.Credentials{Federated: &oauth2.Federated{IssuerName: "ci", Subject: jobSubject}}
	keys, err := jws.PackKeys(w.signer.Public())
	must(t, err)
	w.memory.issuers = map[string]*oauth2.TrustedIssuer{"ci": {
		Name: "ci", UID: "u", Issuer: jobIssuer, Keys: oauth2.IssuerKeys{Set: keys}, Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}},
	}}
	w.source = w.memory.clone()
	return w
}

// ofJob are credentials without a client_id: a JWT of the issuer.
func (w *world) ofJob(signer *jws.Signer, change map[string]any) auth.Credentials {
	claims := map[string]any{
		"iss": jobIssuer, "sub": jobSubject, "aud": w.Issuer.String(), "iat": w.now.Unix(), "exp": w.now.Add(time.Minute).Unix(), "jti": "example-id",
	}
	maps.Copy(claims, change)
	return auth.Credentials{Form: form(w.t, assertionType[1:]+w.sign(signer, claims)), Source: "192.0.2.1", At: w.now}
}

// lateIssuer has memory know another record of the issuer than the source.
func lateIssuer(change func(*oauth2.TrustedIssuer)) func(w *world) {
	return func(w *world) {
		late := *w.memory.issuers["ci"]
		change(&late)
		w.memory.issuers = map[string]*oauth2.TrustedIssuer{"ci": &late}
	}
}

// A JWT that names no client is asked about only where the answer could change the refusal, and
// about clients only if its signature is good.
func TestTheJWTOfAnIssuerWithoutAClientID(t *testing.T) {
	const which, first, other, issuer, issuers = "clients of shop/" + jobSubject, "client " + job, "client " + second, "issuer ci", "issuer of " + jobIssuer
	twin := func(w *world) {
		w.register(second)
		w.memory.clients[second].Client.Credentials = w.memory.clients[job].Client.Credentials
	}
	both := func(w *world) { twin(w); w.source.clients[second] = w.memory.clients[second] }
	for name, c := range map[string]struct {
		change func(w *world)
		claims map[string]any
		forged bool
		asked  []string
		reason oauth2.Reason
	}{
		"of the only client":                         {},
		"of a client that memory does not know":      {change: forget(job), asked: []string{which, first}},
		"of a subject that no client names":          {func(w *world) { forgetBoth(w, job) }, nil, false, []string{which}, oauth2.ReasonClientIDNeeded},
		"of two clients":                             {both, nil, false, []string{which, first, other}, oauth2.ReasonClientIDNeeded},
		"of a client whose twin was deleted now":     {twin, nil, false, []string{which, first}, ""},
		"of a suspended client":                      {func(w *world) { suspendBoth(w, job) }, nil, false, []string{which, first}, oauth2.ReasonSuspended},
		"of an issuer that memory does not know":     {func(w *world) { w.memory.issuers = nil }, nil, false, []string{issuers}, ""},
		"of no issuer":                               {nil, map[string]any{"iss": "https://other.example.com"}, false, []string{"issuer of https://other.example.com"}, oauth2.ReasonIssuerNotFound},
		"of an issuer with a new key":                {lateIssuer(func(i *oauth2.TrustedIssuer) { i.Keys.Set = "" }), nil, false, []string{issuer}, ""},
		"of an issuer that is active again":          {lateIssuer(func(i *oauth2.TrustedIssuer) { i.Suspended = true }), nil, false, []string{issuer}, ""},
		"of an issuer with another audience":         {lateIssuer(func(i *oauth2.TrustedIssuer) { i.Audiences = []string{"x"} }), nil, false, []string{issuer}, ""},
		"for another audience":                       {nil, map[string]any{"aud": "https://other.test"}, false, []string{issuer}, oauth2.ReasonAssertionAudience},
		"for another audience, of no client":         {func(w *world) { forgetBoth(w, job) }, map[string]any{"aud": "https://other.test"}, false, []string{issuer}, oauth2.ReasonAssertionAudience},
		"that has expired":                           {nil, map[string]any{"exp": noon.Add(-time.Hour).Unix()}, false, nil, oauth2.ReasonAssertionExpired},
		"forged":                                     {nil, nil, true, nil, oauth2.ReasonWrongAssertion},
		"forged, of no client":                       {func(w *world) { forgetBoth(w, job) }, nil, true, nil, oauth2.ReasonWrongAssertion},
		"while the source is away":                   {func(w *world) { delete(w.memory.clients, job); w.away = errors.New("away") }, nil, false, []string{which}, oauth2.ReasonLookupUnavailable},
		"of an issuer, while the source is away":     {func(w *world) { w.memory.issuers = nil; w.away = errors.New("away") }, nil, false, []string{issuers}, oauth2.ReasonLookupUnavailable},
		"of an issuer that delegates to nobody else": {func(w *world) { w.memory.issuers["ci"].Delegations = nil }, nil, false, nil, oauth2.ReasonClientIDNeeded},
	} {
		t.Run(name, func(t *testing.T) {
			w := newJobs(t)
			if c.change != nil {
				c.change(w)
			}
			credentials := w.ofJob(w.signer, c.claims)
			if c.forged { // with the key id of the issuer
				forger := newSigner(t)
				keys, err := jws.PackKeys(withID(w.signer.Public(), forger.Public()))
				must(t, err)
				w.memory.issuers["ci"].Keys.Set = keys
				credentials = w.ofJob(forger, c.claims)
			}
			caller, err := w.Authenticate(t.Context(), credentials)
			if oauth2.ReasonOf(err) != c.reason {
				t.Fatalf("got %v, want the reason %q", err, c.reason)
			}
			if err == nil && (caller.Client.ID != job || caller.Trail.ClientID != job || caller.Trail.Method != oauth2.FederatedJWT) {
				t.Errorf("it is %s, with the trail %+v", caller.Client.ID, caller.Trail)
			}
			slices.Sort(w.questions) // of two clients either comes first
			slices.Sort(c.asked)
			if diff := cmp.Diff(c.asked, w.questions); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}

// The token of a service account of another cluster is a JWT of that cluster's issuer, also if
// memory does not know the issuer yet.
func TestTheTokenOfAnotherClusterWithoutAClientID(t *testing.T) {
	const subject, issuers, other = "system:serviceaccount:jobs:nightly", "issuer of " + jobIssuer, "https://other.example.com"
	ofOther, noIssuers := map[string]any{"iss": other}, func(w *world) { w.memory.issuers = nil }
	for name, c := range map[string]struct {
		change func(w *world)
		claims map[string]any
		forged bool
		asked  []string
		reason oauth2.Reason
	}{
		"of an issuer that memory knows":         {},
		"of an issuer that memory does not know": {change: noIssuers, asked: []string{issuers}},
		"of an issuer and a client that memory does not know": {
			change: func(w *world) { noIssuers(w); delete(w.memory.clients, job) }, asked: []string{issuers, "clients of shop/" + subject, "client " + job},
		},
		"of an issuer that memory does not know, forged": {noIssuers, nil, true, []string{issuers}, oauth2.ReasonWrongAssertion},
		"of no issuer":                                      {nil, ofOther, false, []string{"issuer of " + other, "cluster"}, oauth2.ReasonAssertionKeyUnknown},
		"of an issuer that is none":                         {nil, map[string]any{"iss": "east"}, false, []string{"cluster"}, oauth2.ReasonAssertionKeyUnknown},
		"of an issuer, while the source is away":            {func(w *world) { noIssuers(w); w.away = errAway }, nil, false, []string{issuers}, oauth2.ReasonLookupUnavailable},
		"while the issuer of this cluster is not known yet": {change: func(w *world) { noIssuers(w); w.trust = oauth2.Cluster{} }, asked: []string{"cluster", issuers}},
		"of this cluster, which has another issuer now": {
			change: func(w *world) {
				w.trusted = oauth2.Cluster{Issuer: other, Keys: jws.KeySet{Keys: []jws.PublicKey{w.signer.Public()}}}
				w.memory.clients[job].Client.Namespace = "jobs"
				w.memory.clients[job].Client.Credentials = oauth2.Credentials{ServiceAccount: &oauth2.ServiceAccount{Name: "nightly", UID: "nightly-uid"}}
			},
			claims: ofOther, asked: []string{"issuer of " + other, "cluster", "review"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newJobs(t)
			w.trust.Keys.Keys = []jws.PublicKey{newSigner(t).Public()}
			w.trusted = w.trust
			w.memory.clients[job].Client.Credentials.Federated.Subject = subject
			signer := w.signer
			if c.forged { // with the key id of the issuer
				signer = newSigner(t)
				keys, err := jws.PackKeys(withID(w.signer.Public(), signer.Public()))
				must(t, err)
				w.memory.issuers["ci"].Keys.Set = keys
			}
			if c.change != nil {
				c.change(w)
			}
			claims := map[string]any{"sub": subject, "kubernetes.io": map[string]any{
				"namespace": "jobs", "serviceaccount": map[string]any{"name": "nightly", "uid": "nightly-uid"},
			}}
			maps.Copy(claims, c.claims)
			caller, err := w.Authenticate(t.Context(), w.ofJob(signer, claims))
			if oauth2.ReasonOf(err) != c.reason || err == nil && caller.Client.ID != job {
				t.Errorf("got %v, want the reason %q", err, c.reason)
			}
			if diff := cmp.Diff(c.asked, w.questions); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}

// A JWT-SVID is of its trust domain unless a trusted issuer has its iss, also if memory knows
// neither.
func TestAJWTOfATrustDomainThatMemoryDoesNotKnow(t *testing.T) {
	const subject, spire, domain = "spiffe://example.org/ns/ci/sa/deploy", "https://spire.example.org", "spiffe://example.org"
	for name, c := range map[string]struct {
		iss   any
		asked []string
	}{
		"with an iss":    {spire, []string{"issuer of " + spire, "issuer of " + domain}},
		"without an iss": {nil, []string{"issuer of " + domain}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newJobs(t)
			w.memory.issuers["ci"].Issuer, w.memory.issuers = oauth2.TrustDomainID("example.org"), nil
			w.memory.clients[job].Client.Credentials.Federated.Subject = subject
			caller, err := w.Authenticate(t.Context(), w.ofJob(w.signer, map[string]any{"iss": c.iss, "sub": subject}))
			if err != nil || caller.Client.ID != job {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(c.asked, w.questions); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}

// What is refused is reported to the client whose subject it is, if that is one client.
func TestTheRefusalOfAJWTWithoutAClientIDIsReportedToItsClient(t *testing.T) {
	w := newJobs(t)
	caller, err := w.Authenticate(t.Context(), w.ofJob(w.signer, map[string]any{"aud": "https://other.test"}))
	if err == nil || caller.Trail.ClientID != job || caller.Trail.ClientUID != "uid-of-"+job || caller.Trail.Namespace != "shop" {
		t.Errorf("%v, trail %+v", err, caller.Trail)
	}
	caller, err = w.Authenticate(t.Context(), w.ofJob(w.signer, map[string]any{"sub": "repo:acme/other"}))
	if err == nil || caller.Trail.ClientID != "" {
		t.Errorf("%v, trail %+v", err, caller.Trail)
	}
}
