// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package golden_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/test/kit/golden"
)

// presented are the credentials in a request.
type presented struct {
	header http.Header
	form   url.Values
}

// authentications are the outcomes of client authentication.
var authentications = map[string]func(w *auditFixture) presented{
	"a secret in the header": func(w *auditFixture) presented { return presented{header: w.basic("shop.reporting")} },
	"a secret in the body": func(w *auditFixture) presented {
		return presented{form: url.Values{"client_id": {"shop.reporting"}, "client_secret": {w.secrets["shop.reporting"]}}}
	},
	"no credentials": func(*auditFixture) presented { return presented{} },
	"two authentication methods": func(w *auditFixture) presented {
		return presented{w.basic("shop.reporting"), url.Values{"client_id": {"shop.reporting"}, "client_secret": {"x"}}}
	},
	"another scheme":     func(*auditFixture) presented { return presented{header: http.Header{"Authorization": {"Digest x"}}} },
	"a malformed header": func(*auditFixture) presented { return presented{header: http.Header{"Authorization": {"Basic %"}}} },
	"a secret without a client": func(*auditFixture) presented {
		return presented{form: url.Values{"client_secret": {"x"}}}
	},
	"an unknown client": func(w *auditFixture) presented {
		return presented{header: basic("shop.unknown", w.secrets["shop.reporting"])}
	},
	"a wrong secret": func(w *auditFixture) presented {
		return presented{header: basic("shop.reporting", w.secrets["shop.billing"])}
	},
	"a secret that is not decoded": func(w *auditFixture) presented {
		return presented{header: basic("shop.reporting", base64.StdEncoding.EncodeToString([]byte(w.secrets["shop.reporting"])))}
	},
	"a secret in the place of the client_id": func(w *auditFixture) presented {
		return presented{header: basic(w.secrets["shop.reporting"], w.secrets["shop.reporting"])}
	},
	"a suspended client": func(w *auditFixture) presented {
		w.reporting().Owner.Suspended = true
		return presented{header: w.basic("shop.reporting")}
	},
	"a client that a policy refuses": func(w *auditFixture) presented {
		w.reporting().Client.Refused = true
		return presented{header: w.basic("shop.reporting")}
	},
	"a client that is being deleted": func(w *auditFixture) presented {
		w.reporting().Owner.Terminating = true
		return presented{header: w.basic("shop.reporting")}
	},
	"a client whose owner is unknown": func(w *auditFixture) presented {
		w.forget(oauth2.Record{Client: w.reporting().Client})
		return presented{header: w.basic("shop.reporting")}
	},
	"a secret of a client with keys": func(w *auditFixture) presented {
		return presented{header: basic("shop.keys", w.secrets["shop.reporting"])}
	},
	"an unknown client while the API server is away": func(w *auditFixture) presented {
		w.dir.failing = errAway
		return presented{header: basic("shop.unknown", w.secrets["shop.reporting"])}
	},
	"the ninth failure in a second": func(w *auditFixture) presented {
		wrong := presented{header: basic("shop.reporting", w.secrets["shop.billing"])}
		for range 8 {
			w.send(request{method: http.MethodPost, path: oauth2.TokenPath, header: wrong.header})
		}
		w.lines.Reset()
		return wrong
	},
	"a secret that was replaced": func(w *auditFixture) presented {
		verifiers := w.reporting().Client.Credentials.Verifiers
		verifiers[0].ExpiresAt = noon.Add(time.Hour)
		return presented{header: w.basic("shop.reporting")}
	},
	"a watched secret at a replica without a usage report": func(w *auditFixture) presented {
		verifiers := w.reporting().Client.Credentials.Verifiers
		verifiers[0].ExpiresAt, verifiers[0].WatchedSince = noon.Add(time.Hour), noon.Add(-time.Hour)
		w.auth.Reports = func() bool { return false }
		return presented{header: w.basic("shop.reporting")}
	},
	"a stale directory": func(w *auditFixture) presented {
		w.auth.Stale = func() bool { return true }
		return presented{header: w.basic("shop.reporting")}
	},
	"an overloaded server": func(w *auditFixture) presented {
		w.auth.MaxInFlight = -1
		return presented{header: w.basic("shop.reporting")}
	},
	"an assertion":                 func(w *auditFixture) presented { return w.assertion(jws.EdDSA, "JWT", assertion) },
	"an assertion of another type": func(w *auditFixture) presented { return w.assertion(jws.EdDSA, "at+jwt", assertion) },
	"an assertion by another key":  func(w *auditFixture) presented { return w.assertion(jws.ES256, "JWT", assertion) },
	"an assertion without a jti": func(w *auditFixture) presented {
		return w.assertion(jws.EdDSA, "JWT", strings.Replace(assertion, `"jti":"j1",`, "", 1))
	},
	"an assertion that has expired": func(w *auditFixture) presented {
		return w.assertion(jws.EdDSA, "JWT", at(assertion, noon.Add(-time.Minute)))
	},
	"an assertion that lives too long": func(w *auditFixture) presented {
		return w.assertion(jws.EdDSA, "JWT", at(assertion, noon.Add(7*time.Minute)))
	},
	"an assertion of a client by secret": func(w *auditFixture) presented {
		return w.assertion(jws.EdDSA, "JWT", strings.ReplaceAll(assertion, "shop.keys", "shop.reporting"))
	},
	"an assertion of an unknown client": func(w *auditFixture) presented {
		return w.assertion(jws.EdDSA, "JWT", strings.ReplaceAll(assertion, "shop.keys", "shop.unknown"))
	},
	"a malformed assertion": func(*auditFixture) presented { return asserted("a.b.c", "") },
	"a replayed assertion":  usedAgain,
	"an assertion of a client with an invalid JWKS": func(w *auditFixture) presented {
		w.dir.known["shop.keys"].Client.Credentials.Keys = ""
		return w.assertion(jws.EdDSA, "JWT", assertion)
	},
	"an assertion of a suspended client": func(w *auditFixture) presented {
		w.dir.known["shop.keys"].Owner.Suspended = true
		return w.assertion(jws.EdDSA, "JWT", assertion)
	},
	"an assertion of an unknown type": func(*auditFixture) presented {
		return presented{form: url.Values{"client_assertion_type": {"urn:x"}, "client_assertion": {"a.b.c"}}}
	},
	"a pod":                     func(w *auditFixture) presented { return w.pod("shop.pod", account) },
	"a pod without a client_id": func(w *auditFixture) presented { return w.pod("", account) },
	"a pod without a client_id, of two clients": func(w *auditFixture) presented {
		w.client("shop.twin").Credentials.ServiceAccount = w.dir.known["shop.pod"].Client.Credentials.ServiceAccount
		w.dir.source = maps.Clone(w.dir.known)
		return w.pod("", account)
	},
	"a pod of another service account": func(w *auditFixture) presented {
		return w.pod("shop.pod", strings.ReplaceAll(account, "worker", "other"))
	},
	"a pod with a token for another audience": func(w *auditFixture) presented {
		return w.pod("shop.pod", strings.Replace(account, issuerOfTests, "https://other.test", 1))
	},
	"a pod with a token that has expired":  func(w *auditFixture) presented { return w.pod("shop.pod", at(account, noon)) },
	"a pod with a token of two hours":      func(w *auditFixture) presented { return w.pod("shop.pod", at(account, noon.Add(2*time.Hour))) },
	"a pod with a token of an unknown key": func(w *auditFixture) presented { w.cluster.trust.Keys.Keys = nil; return w.pod("shop.pod", account) },
	"a pod with a token of another issuer": func(w *auditFixture) presented {
		w.cluster.trust.Issuer = "https://other.test"
		return w.pod("shop.pod", account)
	},
	"a job":                   func(w *auditFixture) presented { return w.job(job, nil) },
	"a job without client_id": func(w *auditFixture) presented { return asserted(w.job(job, nil).form.Get("client_assertion"), "") },
	"a job without client_id, of two clients": func(w *auditFixture) presented {
		w.client("shop.twin").Credentials.Federated = w.dir.known["shop.ci"].Client.Credentials.Federated
		w.dir.source = maps.Clone(w.dir.known)
		return asserted(w.job(job, nil).form.Get("client_assertion"), "")
	},
	"a job without client_id, of an issuer that is not trusted": func(w *auditFixture) presented {
		return asserted(w.job(strings.Replace(job, "issuer.test", "other.test", 1), nil).form.Get("client_assertion"), "")
	},
	"a job of another subject": func(w *auditFixture) presented {
		return w.job(strings.Replace(job, "environment:prod", "environment:dev", 1), nil)
	},
	"a job of another repository": func(w *auditFixture) presented {
		return w.job(strings.Replace(job, `"74"`, `"75"`, 1), nil)
	},
	"a job of an issuer that is gone": func(w *auditFixture) presented { delete(w.dir.issuers, "github"); return w.job(job, nil) },
	"a job of an issuer that is suspended": func(w *auditFixture) presented {
		return w.job(job, func(i *oauth2.TrustedIssuer) { i.Suspended = true })
	},
	"a job of an issuer that does not let": func(w *auditFixture) presented {
		return w.job(job, func(i *oauth2.TrustedIssuer) { i.Delegations = nil })
	},
	"a job of an issuer with stale keys": func(w *auditFixture) presented {
		return w.job(job, func(i *oauth2.TrustedIssuer) { i.Keys.Until = noon })
	},
	"a job of this cluster": func(w *auditFixture) presented {
		return w.job(job, func(i *oauth2.TrustedIssuer) { i.Issuer = clusterIssuer })
	},
	"a pod of a client by secret": func(w *auditFixture) presented { return w.pod("shop.reporting", account) },
	"a pod of an unknown client":  func(w *auditFixture) presented { return w.pod("shop.unknown", account) },
	"a pod whose service account is missing": func(w *auditFixture) presented {
		w.dir.known["shop.pod"].Client.Credentials.ServiceAccount.UID = ""
		return w.pod("shop.pod", account)
	},
	"a deleted pod": func(w *auditFixture) presented {
		w.cluster.verdict = oauth2.Dishonoured
		return w.pod("shop.pod", account)
	},
	"a pod whose review is undecided": func(w *auditFixture) presented {
		w.cluster.verdict = oauth2.Undecided
		return w.pod("shop.pod", account)
	},
	"a pod while the API server is away": func(w *auditFixture) presented {
		w.cluster.verdict = oauth2.Unreachable
		return w.pod("shop.pod", account)
	},
}

// assertion and account are the claims of valid assertions; EXP is replaced by their expiration.
const (
	assertion = `{"iss":"shop.keys","sub":"shop.keys","aud":"` + issuerOfTests + `","jti":"j1","exp":EXP}`
	account   = `{"iss":"` + clusterIssuer + `","sub":"system:serviceaccount:shop:worker","aud":["` + issuerOfTests + `"],"jti":"pod-1","iat":IAT,"exp":EXP,` +
		`"kubernetes.io":{"namespace":"shop","serviceaccount":{"name":"worker","uid":"worker-uid"}}}`
	job = `{"iss":"https://issuer.test","sub":"repo:octo-org/octo-repo:environment:prod","aud":"` + issuerOfTests + `","jti":"job-1","iat":IAT,"exp":EXP,` +
		`"repository_id":"74"}`
)

// job presents a JWT of the trusted issuer of shop.ci, after a change of the issuer.
func (w *auditFixture) job(claims string, change func(*oauth2.TrustedIssuer)) presented {
	if issuer := w.dir.issuers["github"]; change != nil && issuer != nil {
		change(issuer)
	}
	return asserted(w.sign(w.key(jws.RS256), "JWT", at(claims, noon.Add(time.Minute))), "shop.ci")
}

// at sets the expiration of an assertion.
func at(claims string, end time.Time) string {
	return strings.NewReplacer("EXP", fmt.Sprint(end.Unix()), "IAT", fmt.Sprint(noon.Add(-time.Minute).Unix())).Replace(claims)
}

func asserted(value, clientID string) presented {
	form := url.Values{"client_assertion_type": {oauth2.AssertionType}, "client_assertion": {value}}
	if clientID != "" {
		form.Set("client_id", clientID)
	}
	return presented{form: form}
}

func (w *auditFixture) assertion(algorithm jws.Algorithm, typ, claims string) presented {
	return asserted(w.sign(w.key(algorithm), typ, at(claims, noon.Add(30*time.Second))), "")
}

func (w *auditFixture) pod(clientID, claims string) presented {
	return asserted(w.sign(w.key(jws.RS256), "JWT", at(claims, noon.Add(30*time.Minute))), clientID)
}

func usedAgain(w *auditFixture) presented {
	p := w.assertion(jws.EdDSA, "JWT", assertion)
	form := maps.Clone(p.form)
	form.Set("grant_type", "client_credentials")
	w.send(request{method: http.MethodPost, path: oauth2.TokenPath, form: form})
	w.lines.Reset()
	return p
}

// tokens are valid and invalid tokens of reporting.
var tokens = map[string]func(w *auditFixture) string{
	"a valid token": (*auditFixture).token,
	"a valid token that was just issued": func(w *auditFixture) string {
		return w.issue(noon, oauth2.Grant{Audience: shopAudience, Scopes: []string{"read", "write"}})
	},
	"a token without scopes": func(w *auditFixture) string {
		w.reporting().Client.Scopes = nil
		return w.issue(noon.Add(-time.Minute), oauth2.Grant{Audience: shopAudience})
	},
	"a token for a resource":    (*auditFixture).forOrders,
	"a string that is no token": func(*auditFixture) string { return "a.b.c" },
	"a wrong signature": func(w *auditFixture) string {
		head, _, _ := strings.Cut(w.token(), ".")
		other := strings.Split(w.forOrders(), ".")
		return head + "." + strings.Split(w.token(), ".")[1] + "." + other[2]
	},
	"an unknown key": func(w *auditFixture) string {
		token := w.token()
		w.dir.ring = w.otherRing()
		return token
	},
	"a withdrawn key": func(w *auditFixture) string {
		token, kid := w.token(), w.key(jws.ES256).ID()
		w.dir.ring = w.rotated(keyring.Order{Taint: []string{kid}}, jws.ES256, jws.EdDSA, jws.RS256)
		return token
	},
	"another type of token": func(w *auditFixture) string { return w.sign(w.key(jws.ES256), "JWT", w.claims(issuerOfTests)) },
	"another issuer": func(w *auditFixture) string {
		return w.sign(w.key(jws.ES256), oauth2.TokenType, w.claims("https://other.test"))
	},
	"a claim that folds to a reserved one": func(w *auditFixture) string {
		return w.sign(w.key(jws.ES256), oauth2.TokenType, strings.Replace(w.claims(issuerOfTests), "{", `{"Aud":"urn:forged",`, 1))
	},
	"invalid claims": func(w *auditFixture) string { return w.sign(w.key(jws.ES256), oauth2.TokenType, `{"iss":1}`) },
	"an expired token": func(w *auditFixture) string {
		return w.issue(noon.Add(-2*time.Hour), oauth2.Grant{Audience: shopAudience, Scopes: []string{"read"}})
	},
	"a token that is not valid yet": func(w *auditFixture) string {
		return w.issue(noon.Add(24*time.Hour), oauth2.Grant{Audience: shopAudience, Scopes: []string{"read"}})
	},
	"a client that was created again": func(w *auditFixture) string {
		token := w.token()
		w.reporting().Client.UID, w.reporting().Owner.UID = "another-uid", "another-uid"
		return token
	},
	"a revoked token": func(w *auditFixture) string {
		token := w.issued(noon.Add(-time.Minute), oauth2.Grant{Audience: shopAudience, Scopes: []string{"read"}})
		w.dir.revoked.Revoke(revocation.NewEntry(revocation.IDOf(token.Claims.ID), noon.Add(time.Hour)), revocation.Client{}, noon)
		return token.Value.Reveal()
	},
	"a client with revokeTokensIssuedBefore": func(w *auditFixture) string {
		w.reporting().Client.Revocation.Before = noon
		return w.token()
	},
	"a revoked namespace": func(w *auditFixture) string {
		w.dir.revoked.Select("all", revocation.Selector{Namespace: "shop", IssuedBefore: noon})
		return w.token()
	},
	"a client that is suspended":     func(w *auditFixture) string { w.reporting().Owner.Suspended = true; return w.token() },
	"a client that a policy refuses": func(w *auditFixture) string { w.reporting().Client.Refused = true; return w.token() },
	"a client that is being deleted": func(w *auditFixture) string { w.reporting().Owner.Terminating = true; return w.token() },
	"a client whose owner is unknown": func(w *auditFixture) string {
		token := w.token()
		w.forget(oauth2.Record{Client: w.reporting().Client})
		return token
	},
	"a deleted client": func(w *auditFixture) string { token := w.token(); w.forget(oauth2.Record{}); return token },
	"a client that cannot be looked up": func(w *auditFixture) string {
		token := w.token()
		delete(w.dir.known, "shop.reporting")
		w.dir.failing = errAway
		return token
	},
	"all scopes withdrawn": func(w *auditFixture) string {
		token := w.token()
		w.reporting().Client.Scopes = []string{"other"}
		return token
	},
	"one scope withdrawn": func(w *auditFixture) string {
		token := w.token()
		w.reporting().Client.Scopes = []string{"read"}
		return token
	},
	"a deleted resource":                 func(w *auditFixture) string { token := w.forOrders(); w.dir.resources = nil; return token },
	"a minted token":                     func(w *auditFixture) string { return w.minted(nil) },
	"a replaced minted token":            func(w *auditFixture) string { return w.minted(func(r *oauth2.MintedRecord) { r.Minted.Tokens = nil }) },
	"an unknown minted token":            func(w *auditFixture) string { return w.minted(func(r *oauth2.MintedRecord) { r.Minted = nil }) },
	"a minted token of an unknown owner": func(w *auditFixture) string { return w.minted(func(r *oauth2.MintedRecord) { r.Owner = nil }) },
	"a minted token of a terminating owner": func(w *auditFixture) string {
		return w.minted(func(r *oauth2.MintedRecord) { r.Owner.Terminating = true })
	},
	"a minted token of another client": func(w *auditFixture) string {
		return w.minted(func(r *oauth2.MintedRecord) { r.Owner.ClientName = "billing" })
	},
	"a minted token without its scopes": func(w *auditFixture) string {
		return w.minted(func(r *oauth2.MintedRecord) { r.Owner.Scopes = []string{"other"} })
	},
	"an opaque token": func(w *auditFixture) string { return w.opaque(nil) },
	"an unknown opaque token": func(w *auditFixture) string {
		return w.opaque(func(r *oauth2.MintedRecord) { *r = oauth2.MintedRecord{} })
	},
	"a replaced opaque token": func(w *auditFixture) string { return w.opaque(func(r *oauth2.MintedRecord) { r.Minted.Tokens = nil }) },
	"an expired opaque token": func(w *auditFixture) string {
		return w.opaque(func(r *oauth2.MintedRecord) { r.Minted.Tokens[0].ExpiresAt = noon.Add(-time.Minute) })
	},
	"an opaque token that is not valid yet": func(w *auditFixture) string {
		return w.opaque(func(r *oauth2.MintedRecord) { r.Minted.Tokens[0].IssuedAt = noon.Add(time.Hour) })
	},
}

func (w *auditFixture) forOrders() string {
	return w.issue(noon.Add(-time.Minute), oauth2.Grant{Audience: ordersAPI, Scopes: []string{"orders.read"}})
}

// claims are those of a valid token of an issuer.
func (w *auditFixture) claims(issuer string) string {
	return fmt.Sprintf(`{"iss":%q,"sub":"shop.reporting","aud":%q,"client_id":"shop.reporting","client_uid":"uid-of-shop.reporting","scope":"read","jti":"j","iat":%d,"exp":%d}`,
		issuer, shopAudience, noon.Unix(), noon.Add(time.Hour).Unix())
}

// rotated is the pinned ring after a rotation.
func (w *auditFixture) rotated(order keyring.Order, algorithms ...jws.Algorithm) keyring.Ring {
	return w.rotate(w.dir.ring, order, algorithms...)
}

func (w *auditFixture) otherRing() keyring.Ring {
	return w.rotate(keyring.Ring{}, keyring.Order{}, jws.ES256)
}

func (w *auditFixture) rotate(ring keyring.Ring, order keyring.Order, algorithms ...jws.Algorithm) keyring.Ring {
	w.t.Helper()
	policy := keyring.DefaultPolicy(time.Hour)
	policy.Algorithms = algorithms
	r, err := keyring.Rotate(ring, keyring.At(noon), policy, order, keyring.Generate)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Ring
}

// minted is a JWT of an OAuth2Token; change changes the record of the OAuth2Token.
func (w *auditFixture) minted(change func(*oauth2.MintedRecord)) string {
	token := w.issued(noon.Add(-time.Minute), oauth2.Grant{Audience: shopAudience, Scopes: []string{"read"}, TokenUID: printerUID})
	w.record(oauth2.MintedRecord{Minted: &oauth2.Minted{Tokens: []oauth2.MintedToken{token.Minted()}}}, change)
	return token.Value.Reveal()
}

// opaque is an opaque token of an OAuth2Token.
func (w *auditFixture) opaque(change func(*oauth2.MintedRecord)) string {
	w.t.Helper()
	value, token, err := oauth2.IssueOpaque(oauth2.Grant{
		Audience: shopAudience, Scopes: []string{"read"}, Lifetime: time.Hour, TokenUID: printerUID,
	}, noon.Add(-time.Minute), &counting{next: 50})
	if err != nil {
		w.t.Fatal(err)
	}
	w.record(oauth2.MintedRecord{Minted: &oauth2.Minted{Opaque: true, Tokens: []oauth2.MintedToken{token}}}, change)
	return value.Reveal()
}

func (w *auditFixture) record(r oauth2.MintedRecord, change func(*oauth2.MintedRecord)) {
	r.Owner = &oauth2.MintedOwner{UID: printerUID, ClientName: "reporting"}
	r.Minted.UID, r.Minted.Namespace, r.Minted.Name = printerUID, "shop", "printer"
	r.Minted.ClientID, r.Minted.ClientUID, r.Minted.ClientName = "shop.reporting", "uid-of-shop.reporting", "reporting"
	if change != nil {
		change(&r)
	}
	id := oauth2.OpaqueID(printerUID)
	w.dir.minted[id], w.dir.mintedAtSource[id] = r, r
}

// singles are the cases of one endpoint.
var singles = map[string]func(w *auditFixture){
	"token: no grant type":               tokenRequest(nil),
	"token: another grant type":          tokenRequest(url.Values{"grant_type": {"password"}}),
	"token: a scope":                     tokenRequest(url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}),
	"token: an invalid scope":            tokenRequest(url.Values{"grant_type": {"client_credentials"}, "scope": {`"`}}),
	"token: a scope that is not granted": tokenRequest(url.Values{"grant_type": {"client_credentials"}, "scope": {"admin"}}),
	"token: a resource":                  tokenRequest(url.Values{"grant_type": {"client_credentials"}, "resource": {ordersAPI}}),
	"token: another resource":            tokenRequest(url.Values{"grant_type": {"client_credentials"}, "resource": {"https://other.test"}}),
	"token: an invalid resource":         tokenRequest(url.Values{"grant_type": {"client_credentials"}, "resource": {"orders"}}),
	"token: two resources":               tokenRequest(url.Values{"grant_type": {"client_credentials"}, "resource": {"https://a.test", "https://b.test"}}),
	"token: an assertion as the grant that is no JWT": func(w *auditFixture) {
		w.send(request{method: http.MethodPost, path: oauth2.TokenPath, form: url.Values{"grant_type": {oauth2.GrantJWTBearer}, "assertion": {"x"}}})
	},
	"token: a grant type that the client does not have": func(w *auditFixture) {
		w.reporting().Client.GrantTypes = oauth2.JWTBearer
		tokenRequest(url.Values{"grant_type": {"client_credentials"}})(w)
	},
	"token: a parameter twice":       body("grant_type=client_credentials&grant_type=client_credentials"),
	"token: a body that is too long": body("x=" + strings.Repeat("y", oauth2.MaxFormBytes)),
	"token: a body of another type": func(w *auditFixture) {
		w.send(request{method: http.MethodPost, path: oauth2.TokenPath, header: http.Header{"Content-Type": {"application/json"}}, body: "{}"})
	},
	"token: by GET": func(w *auditFixture) { w.send(request{method: http.MethodGet, path: oauth2.TokenPath}) },
	"token: by GET where that is allowed": func(w *auditFixture) {
		w.doors.TokenByGet = true
		w.send(request{method: http.MethodGet, path: oauth2.TokenPath, header: w.basic("shop.reporting"), form: url.Values{"grant_type": {"client_credentials"}}})
	},
	"token: a secret in the URL": func(w *auditFixture) {
		w.doors.TokenByGet = true
		w.send(request{method: http.MethodGet, path: oauth2.TokenPath, form: url.Values{"client_id": {"shop.reporting"}, "client_secret": {"x"}}})
	},
	"token: under another path": func(w *auditFixture) {
		w.doors.Aliases.Token = []string{"/services/token"}
		w.send(request{method: http.MethodPost, path: "/services/token", header: w.basic("shop.reporting"), form: url.Values{"grant_type": {"client_credentials"}}})
	},
	"token: faster than allowed": func(w *auditFixture) {
		w.doors.ClientRate = 1
		ask := tokenRequest(url.Values{"grant_type": {"client_credentials"}})
		for range 10 {
			ask(w)
		}
		w.lines.Reset()
		ask(w)
	},
	"token: an algorithm that is not enabled": func(w *auditFixture) {
		w.dir.ring = w.otherRing()
		w.reporting().Client.Tokens.Algorithm = jws.RS256
		tokenRequest(url.Values{"grant_type": {"client_credentials"}})(w)
	},
	"token: an algorithm that is not ready": func(w *auditFixture) {
		w.dir.ring = w.rotate(w.otherRing(), keyring.Order{}, jws.ES256, jws.EdDSA)
		w.reporting().Client.Tokens.Algorithm = jws.EdDSA
		tokenRequest(url.Values{"grant_type": {"client_credentials"}})(w)
	},
	"token: no key": func(w *auditFixture) {
		w.dir.ring = keyring.Ring{}
		tokenRequest(url.Values{"grant_type": {"client_credentials"}})(w)
	},
	"token: no randomness": func(w *auditFixture) {
		w.auth.Random = iotest.ErrReader(errAway)
		tokenRequest(url.Values{"grant_type": {"client_credentials"}})(w)
	},
	"token: through a trusted proxy, with a request id and a trace": func(w *auditFixture) {
		provider := sdktrace.NewTracerProvider()
		w.audit.Tracer = provider.Tracer("golden")
		header := w.basic("shop.reporting")
		header.Set("Test-Remote-Addr", "198.51.100.9:443")
		header["X-Forwarded-For"] = []string{"203.0.113.5, 198.51.100.1"}
		header["X-Request-Id"] = []string{"from-the-caller-1"}
		header["Traceparent"] = []string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
		w.send(request{method: http.MethodPost, path: oauth2.TokenPath, header: header, form: url.Values{"grant_type": {"client_credentials"}}})
	},
	"token: from IPv6, with an invalid request id": func(w *auditFixture) {
		header := w.basic("shop.reporting")
		header.Set("Test-Remote-Addr", "[2001:db8:1:2:3::4]:443")
		header["X-Request-Id"] = []string{"a\"b"}
		header["X-Forwarded-For"] = []string{"203.0.113.5"}
		w.send(request{method: http.MethodPost, path: oauth2.TokenPath, header: header, form: url.Values{"grant_type": {"client_credentials"}}})
	},
	"introspect: no token": func(w *auditFixture) {
		w.send(request{method: http.MethodPost, path: oauth2.IntrospectionPath, header: w.basic("shop.billing")})
	},
	"introspect: by a client of another namespace": func(w *auditFixture) {
		w.send(request{method: http.MethodPost, path: oauth2.IntrospectionPath, header: w.basic("orders.gateway"), form: url.Values{"token": {w.token()}}})
	},
	"introspect: by the owner of a resource": func(w *auditFixture) {
		w.send(request{method: http.MethodPost, path: oauth2.IntrospectionPath, header: w.basic("orders.gateway"), form: url.Values{"token": {w.forOrders()}}})
	},
	"introspect: a signed answer": func(w *auditFixture) {
		header := w.basic("shop.billing")
		header["Accept"] = []string{"application/token-introspection+jwt"}
		w.send(request{method: http.MethodPost, path: oauth2.IntrospectionPath, header: header, form: url.Values{"token": {w.token()}}})
	},
	"introspect: without a certificate": func(w *auditFixture) {
		w.doors.IntrospectionAuthorities = noAuthorities
		w.send(request{method: http.MethodPost, path: oauth2.IntrospectionPath, header: w.basic("shop.billing"), form: url.Values{"token": {w.token()}}})
	},
	"revoke: no token": func(w *auditFixture) {
		w.send(request{method: http.MethodPost, path: oauth2.RevocationPath, header: w.basic("shop.reporting")})
	},
	"revoke: the token of another client": func(w *auditFixture) {
		w.send(request{method: http.MethodPost, path: oauth2.RevocationPath, header: w.basic("shop.billing"), form: url.Values{"token": {w.token()}}})
	},
	"revoke: while the journal fails": func(w *auditFixture) {
		w.store = journal{errAway}
		w.send(request{method: http.MethodPost, path: oauth2.RevocationPath, header: w.basic("shop.reporting"), form: url.Values{"token": {w.token()}}})
	},
	"revoke: faster than allowed": func(w *auditFixture) {
		w.doors.ClientRate = 1
		revoke := func() {
			w.send(request{method: http.MethodPost, path: oauth2.RevocationPath, header: w.basic("shop.reporting"), form: url.Values{"token": {"a.b.c"}}})
		}
		for range 10 {
			revoke()
		}
		w.lines.Reset()
		revoke()
	},
	"revocations: an invalid cursor": func(w *auditFixture) {
		w.send(request{method: http.MethodGet, path: oauth2.RevocationFeedPath, header: w.basic("shop.reporting"), form: url.Values{"since": {"x"}}})
	},
	"revocations: faster than allowed": func(w *auditFixture) {
		read := func() {
			w.send(request{method: http.MethodGet, path: oauth2.RevocationFeedPath, header: w.basic("shop.reporting")})
		}
		for range 150 {
			read()
		}
		w.lines.Reset()
		read()
	},
	"authorize: a login": func(w *auditFixture) {
		w.send(request{method: http.MethodGet, path: oauth2.AuthorizationPath, form: url.Values{
			"response_type": {"code"}, "client_id": {"shop.reporting"}, "redirect_uri": {"http://127.0.0.1:3000/callback"}, "state": {"x"},
		}})
	},
	"authorize: by POST":               func(w *auditFixture) { w.send(request{method: http.MethodPost, path: oauth2.AuthorizationPath}) },
	"jwks: a response has no line":     func(w *auditFixture) { w.send(request{method: http.MethodGet, path: oauth2.JWKSPath}) },
	"jwks: by POST":                    func(w *auditFixture) { w.send(request{method: http.MethodPost, path: oauth2.JWKSPath}) },
	"metadata: a response has no line": func(w *auditFixture) { w.send(request{method: http.MethodGet, path: oauth2.MetadataPath}) },
	"metadata: a resource": func(w *auditFixture) {
		w.send(request{method: http.MethodGet, path: oauth2.ResourceMetadataPath + "/resources/orders/api"})
	},
	"metadata: no such resource": func(w *auditFixture) {
		w.send(request{method: http.MethodGet, path: oauth2.ResourceMetadataPath + "/resources/orders/other"})
	},
	"none: an unknown path": func(w *auditFixture) { w.send(request{method: http.MethodGet, path: "/oauth2/other"}) },
	"none: an unclean path": func(w *auditFixture) { w.send(request{method: http.MethodPost, path: "/oauth2//token"}) },
}

func tokenRequest(form url.Values) func(w *auditFixture) {
	return func(w *auditFixture) {
		w.send(request{method: http.MethodPost, path: oauth2.TokenPath, header: w.basic("shop.reporting"), form: form})
	}
}

// exchanges are exchanges of a token for the API of orders by a client that serves the audience of
// its namespace, and an introspection of the new token.
func exchanges() map[string]func(w *auditFixture) {
	exchange := func(w *auditFixture, token string) *httptest.ResponseRecorder {
		w.dir.resources[0].Exchanged = w.dir.resources[0].Consents
		w.dir.known["shop.billing"].Client.GrantTypes = oauth2.ClientCredentials | oauth2.TokenExchange
		return w.send(request{method: http.MethodPost, path: oauth2.TokenPath, header: w.basic("shop.billing"), form: url.Values{
			"grant_type": {oauth2.GrantTokenExchange}, "subject_token": {token}, "resource": {ordersAPI},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		}})
	}
	return map[string]func(w *auditFixture){
		"exchange: a token that was sent to the client": func(w *auditFixture) { exchange(w, w.token()) },
		"exchange: a string that is no token":           func(w *auditFixture) { exchange(w, "a.b.c") },
		"exchange: its own token": func(w *auditFixture) {
			grant := oauth2.Grant{Audience: shopAudience, Scopes: []string{"read"}, Lifetime: time.Hour}
			token, err := w.issuer.Issue(w.dir.known["shop.billing"].Client, grant, w.key(jws.ES256), noon, &counting{next: 100})
			if err != nil {
				w.t.Fatal(err)
			}
			exchange(w, token.Value.Reveal())
		},
		"exchange: while a token server may not read it": func(w *auditFixture) {
			w.dir.resources[0].ExchangeHeld = true
			exchange(w, w.token())
		},
		"exchange: introspection of the new token": func(w *auditFixture) {
			var answer struct {
				Token string `json:"access_token"`
			}
			if err := json.Unmarshal(exchange(w, w.token()).Body.Bytes(), &answer); err != nil {
				w.t.Fatal(err)
			}
			w.send(request{method: http.MethodPost, path: oauth2.IntrospectionPath, header: w.basic("orders.gateway"), form: url.Values{"token": {answer.Token}}})
		},
	}
}

func body(body string) func(w *auditFixture) {
	return func(w *auditFixture) {
		w.send(request{method: http.MethodPost, path: oauth2.TokenPath, header: w.basic("shop.reporting"), body: body})
	}
}

// attempts are requests to forward-auth and ext_authz: the requirement of the proxy and the
// Authorization header.
var attempts = map[string]func(w *auditFixture) (required url.Values, authorization []string){
	"no requirement": func(w *auditFixture) (url.Values, []string) { return nil, []string{"Bearer " + w.token()} },
	"a misspelt requirement": func(w *auditFixture) (url.Values, []string) {
		return url.Values{"audience": {shopAudience}, "scopes": {"read"}}, []string{"Bearer " + w.token()}
	},
	"no token": func(*auditFixture) (url.Values, []string) {
		return url.Values{"audience": {shopAudience}, "scope": {"read"}}, nil
	},
	"another scheme": func(*auditFixture) (url.Values, []string) {
		return url.Values{"audience": {shopAudience}}, []string{"Basic x"}
	},
	"a malformed header": func(*auditFixture) (url.Values, []string) {
		return url.Values{"audience": {shopAudience}}, []string{"Bearer a b"}
	},
	"another audience": func(w *auditFixture) (url.Values, []string) {
		return url.Values{"audience": {"urn:other"}}, []string{"Bearer " + w.token()}
	},
	"a scope that is missing": func(w *auditFixture) (url.Values, []string) {
		return url.Values{"audience": {shopAudience}, "scope": {"read admin"}}, []string{"Bearer " + w.token()}
	},
	"the required scopes": func(w *auditFixture) (url.Values, []string) {
		return url.Values{"audience": {shopAudience}, "scope": {"read write"}}, []string{"Bearer " + w.token()}
	},
	"an overloaded server": func(w *auditFixture) (url.Values, []string) {
		w.auth.MaxInFlight = -1
		return url.Values{"audience": {shopAudience}}, []string{"Bearer " + w.token()}
	},
	"a stale directory": func(w *auditFixture) (url.Values, []string) {
		w.auth.Stale = func() bool { return true }
		return url.Values{"audience": {shopAudience}}, []string{"Bearer " + w.token()}
	},
	"a token for the resource": func(w *auditFixture) (url.Values, []string) {
		return url.Values{"audience": {ordersAPI}, "scope": {"orders.read"}}, []string{"Bearer " + w.forOrders()}
	},
	"a token for a deleted resource": func(w *auditFixture) (url.Values, []string) {
		token := w.forOrders()
		w.dir.resources = nil
		return url.Values{"audience": {ordersAPI}}, []string{"Bearer " + token}
	},
	"an identity that is too large": func(w *auditFixture) (url.Values, []string) {
		scopes := make([]string, 50)
		for i := range scopes {
			scopes[i] = fmt.Sprintf("scope-%02d-%s", i, strings.Repeat("x", 60))
		}
		w.reporting().Client.Scopes = scopes
		return url.Values{"audience": {shopAudience}}, []string{"Bearer " + w.issue(noon.Add(-time.Minute), oauth2.Grant{Audience: shopAudience, Scopes: scopes})}
	},
}

// forwardAuth asks over HTTP, and extAuthz over gRPC, whether a request is allowed.
func (w *auditFixture) forwardAuth(required url.Values, authorization []string) {
	w.send(request{method: http.MethodGet, path: oauth2.ForwardAuthPath, header: http.Header{"Authorization": authorization}, form: required})
}

func (w *auditFixture) extAuthz(required url.Values, authorization []string) {
	extensions, header := map[string]string{}, map[string]string{"x-request-id": "from-envoy", "x-forwarded-for": "203.0.113.5"}
	for name := range required {
		extensions[name] = required.Get(name)
	}
	if len(authorization) > 0 {
		header["authorization"] = authorization[0]
	}
	w.ask(extensions, header)
}

// auditCases are all cases: each authentication at each endpoint that authenticates clients, each
// token at each endpoint that validates tokens, and the single ones.
func auditCases() map[string]func(w *auditFixture) {
	cases, attempts := maps.Clone(singles), maps.Clone(attempts)
	for name, present := range authentications {
		for endpoint, path := range map[string]string{
			"token": oauth2.TokenPath, "introspect": oauth2.IntrospectionPath, "revoke": oauth2.RevocationPath, "revocations": oauth2.RevocationFeedPath,
		} {
			cases[endpoint+": "+name] = func(w *auditFixture) {
				p := present(w)
				form := url.Values{}
				maps.Copy(form, p.form)
				switch endpoint {
				case "token":
					form.Set("grant_type", "client_credentials")
				case "introspect", "revoke":
					form.Set("token", "a.b.c")
				}
				w.send(request{method: http.MethodPost, path: path, header: p.header, form: form})
			}
		}
	}
	maps.Copy(cases, exchanges())
	maps.Copy(cases, persons())
	maps.Copy(cases, logins())
	for name, token := range tokens {
		cases["introspect: with "+name] = func(w *auditFixture) {
			value := token(w)
			w.send(request{method: http.MethodPost, path: oauth2.IntrospectionPath, header: w.basic("shop.billing"), form: url.Values{"token": {value}}})
		}
		cases["revoke: with "+name] = func(w *auditFixture) {
			value := token(w)
			w.send(request{method: http.MethodPost, path: oauth2.RevocationPath, header: w.basic("shop.reporting"), form: url.Values{"token": {value}}})
		}
		attempts["with "+name] = func(w *auditFixture) (url.Values, []string) {
			return url.Values{"audience": {shopAudience}}, []string{"Bearer " + token(w)}
		}
	}
	for name, attempt := range attempts {
		cases["forward-auth: "+name] = func(w *auditFixture) { w.forwardAuth(attempt(w)) }
		cases["ext_authz: "+name] = func(w *auditFixture) { w.extAuthz(attempt(w)) }
	}
	return cases
}

func TestAuditLinesAreWrittenAsBefore(t *testing.T) {
	cases := auditCases()
	byEndpoint := map[string]*strings.Builder{}
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			w := newAuditFixture(t)
			cases[name](w)
			endpoint, _, _ := strings.Cut(name, ":")
			if byEndpoint[endpoint] == nil {
				byEndpoint[endpoint] = &strings.Builder{}
			}
			fmt.Fprintf(byEndpoint[endpoint], "# %s\n%s\n", name, w.written())
			all.WriteString(w.written())
		})
	}
	for endpoint, lines := range byEndpoint {
		golden.Compare(t, "audit/"+endpoint+".txt", []byte(lines.String()))
	}
	for _, reason := range reasons(t) {
		if !strings.Contains(all.String(), `"reason":"`+reason+`"`) && !strings.Contains(all.String(), `"token_denial":"`+reason+`"`) {
			t.Errorf("no audit line has the reason %s", reason)
		}
	}
}

// reasons are all reasons in the source.
func reasons(t *testing.T) []string {
	t.Helper()
	word := regexp.MustCompile(`[rR]eason\w*\s+(?:\w+\.)?Reason = "(\w+)"`)
	var found []string
	err := filepath.WalkDir("../../../internal", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path == "../../../internal/login" {
			// its reasons are those of pages: login writes no audit lines
			return fs.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range word.FindAllSubmatch(source, -1) {
			found = append(found, string(match[1]))
		}
		return err
	})
	if err != nil || len(found) < 50 {
		t.Fatalf("found %d reasons (%v); does this test still find all?", len(found), err)
	}
	return found
}
