// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"crypto/ed25519"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// spiffeWorld is a trust domain whose workloads are clients of the namespace ci.
type spiffeWorld struct {
	signer *jws.Signer
	by     oauth2.Federation
	client *oauth2.Client
	issuer *oauth2.TrustedIssuer
}

func newSPIFFEWorld(t testing.TB) *spiffeWorld {
	t.Helper()
	signer, err := jws.NewSigner(jws.EdDSA, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := jws.PackKeys(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	w := &spiffeWorld{
		signer: signer,
		client: &oauth2.Client{ID: "ci.deploy", UID: "uid", Namespace: "ci", Name: "deploy", Credentials: oauth2.Credentials{Federated: &oauth2.Federated{
			IssuerName: "spire", SubjectPrefix: "spiffe://example.org/ns/ci/",
		}}},
		issuer: &oauth2.TrustedIssuer{
			Name: "spire", UID: "u", Issuer: oauth2.TrustDomainID("example.org"), Keys: oauth2.IssuerKeys{Set: keys}, Delegations: []oauth2.Delegation{{Namespaces: []string{"ci"}}},
		},
	}
	w.by = oauth2.Federation{
		Issuer: "https://hallpass.test", Cluster: "https://kubernetes.default.svc",
		Record:  func(string) oauth2.Record { return w.record() },
		Trusted: func(string) *oauth2.TrustedIssuer { return w.issuer },
		TrustedOf: func(iss string) *oauth2.TrustedIssuer {
			if iss == w.issuer.Issuer {
				return w.issuer
			}
			return nil
		},
		ClientsOf: func(workload oauth2.Workload) []oauth2.Record {
			if w.record().Names(workload) {
				return []oauth2.Record{w.record()}
			}
			return nil
		},
	}
	return w
}

func (w *spiffeWorld) record() oauth2.Record {
	return oauth2.Record{Client: w.client, Owner: &oauth2.Owner{UID: "uid"}}
}

// svid is a JWT-SVID with only the claims that JWT-SVID section 3 requires, but for a change; nil
// leaves a claim out.
func (w *spiffeWorld) svid(t testing.TB, typ string, change map[string]any) string {
	t.Helper()
	claims := map[string]any{"sub": "spiffe://example.org/ns/ci/sa/deploy", "aud": []string{"https://hallpass.test"}, "exp": spiffeNow.Add(5 * time.Minute).Unix()}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := w.signer.Sign(typ, payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// present authenticates a JWT, with a client_id or without.
func (w *spiffeWorld) present(t testing.TB, token, clientID string) error {
	t.Helper()
	values := url.Values{"client_assertion_type": {oauth2.AssertionType}, "client_assertion": {token}}
	if clientID != "" {
		values.Set("client_id", clientID)
	}
	form, err := oauth2.ParseForm(values.Encode())
	if err != nil {
		t.Fatal(err)
	}
	presented, err := oauth2.ParsePresented(nil, form)
	if err != nil {
		return err
	}
	foreign := presented.Foreign()
	if foreign == nil {
		return oauth2.WrongMethod()
	}
	_, _, err = w.by.Authenticate(foreign, spiffeNow)
	return err
}

var spiffeNow = time.Unix(1795435200, 0)

func TestAJWTSVIDAuthenticatesAWorkload(t *testing.T) {
	for name, c := range map[string]struct {
		typ    string
		change map[string]any
		reason oauth2.Reason
	}{
		"with what is required":                   {"", nil, ""},
		"of type JWT":                             {"JWT", nil, ""},
		"of type JOSE":                            {"JOSE", nil, ""},
		"with an iss, which has no meaning":       {"", map[string]any{"iss": "https://spire.example.org"}, ""},
		"with a time of issue":                    {"", map[string]any{"iat": spiffeNow.Unix()}, ""},
		"of another type":                         {"at+jwt", nil, oauth2.ReasonWrongAssertion},
		"of another trust domain":                 {"", map[string]any{"sub": "spiffe://example.com/ns/ci/sa/deploy"}, oauth2.ReasonWrongAssertion},
		"of a trust domain that begins alike":     {"", map[string]any{"sub": "spiffe://example.org.evil.test/ns/ci/sa/deploy"}, oauth2.ReasonWrongAssertion},
		"of another workload":                     {"", map[string]any{"sub": "spiffe://example.org/ns/other/sa/deploy"}, oauth2.ReasonWrongSubject},
		"of a workload by a path that leads away": {"", map[string]any{"sub": "spiffe://example.org/ns/ci/../other/sa/x"}, oauth2.ReasonWrongAssertion},
		"of a workload by an empty segment":       {"", map[string]any{"sub": "spiffe://example.org/ns/ci//x"}, oauth2.ReasonWrongAssertion},
		"of a workload by an encoded letter":      {"", map[string]any{"sub": "spiffe://example.org/ns/ci/%2e"}, oauth2.ReasonWrongAssertion},
		"of the trust domain itself":              {"", map[string]any{"sub": "spiffe://example.org"}, oauth2.ReasonWrongAssertion},
		"for two audiences":                       {"", map[string]any{"aud": []string{"https://hallpass.test", "x"}}, oauth2.ReasonAssertionAudience},
		"without an end":                          {"", map[string]any{"exp": nil}, oauth2.ReasonWrongAssertion},
		"that has expired":                        {"", map[string]any{"exp": spiffeNow.Add(-2 * time.Minute).Unix()}, oauth2.ReasonAssertionExpired},
		"that lives too long":                     {"", map[string]any{"exp": spiffeNow.Add(2 * time.Hour).Unix()}, oauth2.ReasonAssertionTooLong},
		"with a time of issue that is a text":     {"", map[string]any{"iat": "now"}, oauth2.ReasonWrongAssertion},
	} {
		w := newSPIFFEWorld(t)
		if got := oauth2.ReasonOf(w.present(t, w.svid(t, c.typ, c.change), "ci.deploy")); got != c.reason {
			t.Errorf("%s: %q, want %q", name, got, c.reason)
		}
	}
}

func TestAJWTSVIDNeedsNoClientIDWhereItsSubjectNamesOneClient(t *testing.T) {
	w := newSPIFFEWorld(t)
	token := w.svid(t, "", nil)
	if got := oauth2.ReasonOf(w.present(t, token, "")); got != oauth2.ReasonClientIDNeeded {
		t.Errorf("by a prefix: %q", got)
	}
	*w.client.Credentials.Federated = oauth2.Federated{IssuerName: "spire", Subject: "spiffe://example.org/ns/ci/sa/deploy"}
	for name, change := range map[string]map[string]any{"by its subject": nil, "with an iss": {"iss": "https://spire.example.org"}} {
		err := w.present(t, w.svid(t, "JOSE", change), "")
		// memory has no such issuer, and then the trust domain counts; see auth
		if change != nil {
			if oauth2.ReasonOf(err) != oauth2.ReasonIssuerNotFound {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.issuer.Delegations = append(w.issuer.Delegations, oauth2.Delegation{Namespaces: []string{"other"}, SubjectPrefixes: []string{"spiffe://example.org/ns/"}})
	if got := oauth2.ReasonOf(w.present(t, token, "")); got != oauth2.ReasonClientIDNeeded {
		t.Errorf("delegated to two namespaces: %q", got)
	}
	w.issuer.Delegations[1].SubjectPrefixes = []string{"spiffe://example.org/ns/other/"}
	if err := w.present(t, token, ""); err != nil {
		t.Errorf("where another namespace has other subjects: %v", err)
	}
}

// FuzzSPIFFEID compares the subjects that are accepted with the form of SPIFFE-ID section 2.
func FuzzSPIFFEID(f *testing.F) {
	for _, subject := range []string{
		"spiffe://example.org/ns/ci/sa/deploy", "spiffe://example.org/ns/ci/", "spiffe://example.org/ns/ci/..", "spiffe://example.org/ns/ci/...",
		"spiffe://EXAMPLE.org/ns/ci/x", "SPIFFE://example.org/ns/ci/x", "spiffe://example.org:8443/ns/ci/x", "spiffe://u@example.org/ns/ci/x",
		"spiffe://example.org/ns/ci/x?y", "spiffe://example.org/ns/ci/x#y", "spiffe://example.org/ns/ci/\u00e9", "spiffe:///ns/ci/x",
		"spiffe://example.org/ns/ci/" + strings.Repeat("a", 2048),
	} {
		f.Add(subject)
	}
	form := regexp.MustCompile(`^spiffe://example\.org/ns/ci(/[a-zA-Z0-9._-]+)+$`)
	dots := regexp.MustCompile(`/\.{1,2}(/|$)`)
	w := newSPIFFEWorld(f)
	f.Fuzz(func(t *testing.T, subject string) {
		err := w.present(t, w.svid(t, "", map[string]any{"sub": subject}), "ci.deploy")
		want := form.MatchString(subject) && !dots.MatchString(subject) && len(subject) <= 2048
		if (err == nil) != want {
			t.Errorf("%q: %v, want it accepted: %v", subject, err, want)
		}
	})
}
