// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	podded        = "shop.podded"
	clusterIssuer = "https://kubernetes.default.svc.cluster.local"
)

// fakeCluster is a Cluster that a test changes as it likes.
type fakeCluster struct {
	mu              sync.Mutex
	known           oauth2.Cluster
	source          oauth2.Cluster // what the next look-up finds
	failing         error
	asked, reviewed int
	verdict         oauth2.Verdict
	hold            chan struct{} // a review waits for it, if it is there
}

func (c *fakeCluster) Trust() oauth2.Cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}

func (c *fakeCluster) LookUpTrust(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.failing == nil {
		c.known = c.source
	}
	return c.failing
}

func (c *fakeCluster) Review(_ context.Context, token oauth2.Secret, account oauth2.UsedAccountToken, audience string) oauth2.Verdict {
	if c.hold != nil {
		<-c.hold
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reviewed++
	if token.Empty() || account.Account != "system:serviceaccount:shop:worker" || account.UID != "uid-of-worker" || audience != testIssuer {
		return oauth2.Dishonoured
	}
	return c.verdict
}

// accountWorld is a fixture with a client that authenticates as the service account worker of its
// namespace.
type accountWorld struct {
	*world

	cluster *fakeCluster
	signer  *jws.Signer
}

func newAccountWorld(t testing.TB) accountWorld {
	t.Helper()
	return newClusterWorld(t, newSigner(t, jws.ES256))
}

// newClusterWorld is one whose cluster signs in that way.
func newClusterWorld(t testing.TB, signer *jws.Signer, configure ...func(*settings)) accountWorld {
	t.Helper()
	trust := oauth2.Cluster{Issuer: clusterIssuer, Keys: jws.KeySet{Keys: []jws.PublicKey{signer.Public()}}}
	cluster := &fakeCluster{known: trust, source: trust, verdict: oauth2.Honoured}
	w := newWorld(t, append([]func(*settings){func(c *settings) { c.auth.Cluster = cluster }}, configure...)...)
	w.register(podded)
	c := w.dir.known[podded].Client
	c.Credentials.Verifiers, c.Credentials.ServiceAccount = nil, &oauth2.ServiceAccount{Name: "worker", UID: "uid-of-worker"}
	w.dir.source[podded] = w.dir.known[podded]
	return accountWorld{w, cluster, signer}
}

// claims are those of a token that the API server makes for a pod, with those of change in their
// place; nil leaves one out.
func (w accountWorld) claims(change map[string]any) map[string]any {
	claims := map[string]any{
		"iss": clusterIssuer, "sub": "system:serviceaccount:shop:worker", "aud": []string{testIssuer},
		"iat": w.now.Add(-time.Minute).Unix(), "nbf": w.now.Add(-time.Minute).Unix(), "exp": w.now.Add(59 * time.Minute).Unix(),
		"jti":           "7f2b1d1e-7a1c-4b3c-9c55-0d5a8f1f7a11",
		"kubernetes.io": kubernetesClaim("shop", "worker", "uid-of-worker"),
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

func kubernetesClaim(namespace, name, uid string) map[string]any {
	return map[string]any{
		"namespace": namespace, "pod": map[string]any{"name": "worker-0", "uid": "uid-of-pod"},
		"serviceaccount": map[string]any{"name": name, "uid": uid},
	}
}

func (w accountWorld) sign(signer *jws.Signer, typ string, change map[string]any) string {
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

func TestAPodNeedNotNameTheOnlyClientOfItsAccount(t *testing.T) {
	w := newAccountWorld(t)
	answer := w.do(call{body: withAssertion(w.sign(w.signer, "", nil))})
	if answer.Code != http.StatusOK {
		t.Fatalf("got %d %s: %v", answer.Code, answer.Body, w.lastAudit()["reason"])
	}
	line := w.lastAudit()
	if line["client_id"] != podded || line["method"] != string(oauth2.ServiceAccountJWT) || line["credential"] != "7f2b1d1e-7a1c-4b3c-9c55-0d5a8f1f7a11" {
		t.Errorf("the audit line is %v", line)
	}
}

// fromPod is the body of a token request that a pod sends.
func fromPod(token string) string { return withAssertion(token) + "&client_id=" + podded }

func TestAPodGetsATokenWithoutASecret(t *testing.T) {
	// what kube-apiserver signs with, by default
	w := newClusterWorld(t, newSigner(t, jws.RS256))
	token := w.sign(w.signer, "", nil)
	// the kubelet replaces it within the hour; until then it is sent again and again
	for range 3 {
		if answer := w.do(call{body: fromPod(token)}); answer.Code != http.StatusOK {
			t.Fatalf("got %d %s: %v", answer.Code, answer.Body, w.lastAudit()["reason"])
		}
	}
	line := w.lastAudit()
	got := map[string]any{"method": line["method"], "credential": line["credential"], "client_id": line["client_id"]}
	want := map[string]any{"method": "service_account_jwt", "credential": "7f2b1d1e-7a1c-4b3c-9c55-0d5a8f1f7a11", "client_id": podded}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit line (-want +got):\n%s", diff)
	}
	if strings.Contains(w.audit.String(), token) {
		t.Error("the token is in the audit log")
	}
	if answer := w.do(call{path: oauth2.IntrospectionPath, body: fromPod(token) + "&token=x"}); answer.Body.String() != inactive {
		t.Errorf("introspection: %d %s", answer.Code, answer.Body)
	}
	if w.cluster.reviewed != 1 {
		t.Errorf("reviewed %d times, want once", w.cluster.reviewed)
	}
}

func TestAPodsTokenMayLookLikeThis(t *testing.T) {
	w := newAccountWorld(t)
	for name, token := range map[string]string{
		"with a type":                 w.sign(w.signer, "JWT", nil),
		"an hour long":                w.sign(w.signer, "", map[string]any{"iat": w.now.Unix(), "exp": w.now.Add(time.Hour).Unix()}),
		"with a second to go":         w.sign(w.signer, "", map[string]any{"exp": w.now.Add(time.Second).Unix()}),
		"from a clock ahead of ours":  w.sign(w.signer, "", map[string]any{"nbf": w.now.Add(20 * time.Second).Unix()}),
		"without nbf and jti":         w.sign(w.signer, "", map[string]any{"nbf": nil, "jti": nil}),
		"of no pod":                   w.sign(w.signer, "", map[string]any{"kubernetes.io": map[string]any{"namespace": "shop", "serviceaccount": map[string]any{"name": "worker", "uid": "uid-of-worker"}}}),
		"with a jti that is no id":    w.sign(w.signer, "", map[string]any{"jti": strings.Repeat("a b", 100)}),
		"with claims that say naught": w.sign(w.signer, "", map[string]any{"colour": "blue"}),
	} {
		if answer := w.do(call{body: fromPod(token)}); answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s: %v", name, answer.Code, answer.Body, w.lastAudit()["reason"])
		}
	}
}

func TestAPodsTokenIsRefused(t *testing.T) {
	claim := func(name string, value any) func(w accountWorld) string {
		return func(w accountWorld) string { return fromPod(w.sign(w.signer, "", map[string]any{name: value})) }
	}
	account := func(namespace, name, uid string) func(w accountWorld) string {
		return func(w accountWorld) string {
			return fromPod(w.sign(w.signer, "", map[string]any{
				"sub": "system:serviceaccount:" + namespace + ":" + name, "kubernetes.io": kubernetesClaim(namespace, name, uid),
			}))
		}
	}
	as := func(clientID string) func(w accountWorld) string {
		return func(w accountWorld) string {
			return withAssertion(w.sign(w.signer, "", nil)) + "&client_id=" + clientID
		}
	}
	for name, c := range map[string]struct {
		body   func(w accountWorld) string
		status int
		reason oauth2.Reason
	}{
		"another cluster's issuer":             {claim("iss", "https://other.test"), 401, oauth2.ReasonWrongAssertion},
		"our own issuer":                       {claim("iss", testIssuer), 401, oauth2.ReasonWrongAssertion},
		"no issuer":                            {claim("iss", nil), 401, oauth2.ReasonWrongAssertion},
		"the API server's audience alone":      {claim("aud", []string{clusterIssuer}), 401, oauth2.ReasonAssertionAudience},
		"the API server's audience beside":     {claim("aud", []string{testIssuer, clusterIssuer}), 401, oauth2.ReasonAssertionAudience},
		"the API server's audience before":     {claim("aud", []string{clusterIssuer, testIssuer}), 401, oauth2.ReasonAssertionAudience},
		"our audience twice":                   {claim("aud", []string{testIssuer, testIssuer}), 401, oauth2.ReasonAssertionAudience},
		"our token endpoint as audience":       {claim("aud", []string{testIssuer + oauth2.TokenPath}), 401, oauth2.ReasonAssertionAudience},
		"an empty list of audiences":           {claim("aud", []string{}), 401, oauth2.ReasonAssertionAudience},
		"no audience at all":                   {claim("aud", nil), 401, oauth2.ReasonAssertionAudience},
		"an audience that is null":             {claim("aud", []any{nil}), 401, oauth2.ReasonAssertionAudience},
		"an account of another namespace":      {account("orders", "worker", "uid-of-worker"), 401, oauth2.ReasonWrongServiceAccount},
		"another account of the namespace":     {account("shop", "default", "uid-of-worker"), 401, oauth2.ReasonWrongServiceAccount},
		"an account of the same name, another": {account("shop", "worker", "uid-of-another"), 401, oauth2.ReasonWrongServiceAccount},
		"an account without a UID":             {account("shop", "worker", ""), 401, oauth2.ReasonWrongAssertion},
		"a subject of another account":         {claim("sub", "system:serviceaccount:shop:default"), 401, oauth2.ReasonWrongAssertion},
		"a subject that splits two ways":       {claim("sub", "system:serviceaccount:shop:worker:x"), 401, oauth2.ReasonWrongAssertion},
		"no claim of Kubernetes":               {claim("kubernetes.io", nil), 401, oauth2.ReasonWrongAssertion},
		"a claim of Kubernetes without an account": {
			claim("kubernetes.io", map[string]any{"namespace": "shop"}), 401, oauth2.ReasonWrongAssertion,
		},
		"two hours long":                    {claim("exp", noon.Add(119*time.Minute).Unix()), 401, oauth2.ReasonAssertionTooLong},
		"an hour and a second long":         {claim("exp", noon.Add(59*time.Minute+time.Second).Unix()), 401, oauth2.ReasonAssertionTooLong},
		"an hour long by a false issue":     {claim("iat", noon.Add(31*time.Second).Unix()), 401, oauth2.ReasonAssertionExpired},
		"an end that has come":              {claim("exp", noon.Unix()), 401, oauth2.ReasonAssertionExpired},
		"an end before its issue":           {claim("exp", noon.Add(-time.Hour).Unix()), 401, oauth2.ReasonAssertionExpired},
		"a beginning to come":               {claim("nbf", noon.Add(31*time.Second).Unix()), 401, oauth2.ReasonAssertionExpired},
		"a beginning that is a string":      {claim("nbf", "now"), 401, oauth2.ReasonWrongAssertion},
		"no end, as in a token of a Secret": {claim("exp", nil), 401, oauth2.ReasonWrongAssertion},
		"no issue":                          {claim("iat", nil), 401, oauth2.ReasonWrongAssertion},
		"a client that nobody knows":        {as(unheardOf), 401, oauth2.ReasonUnknownClient},
		"a client that has a secret":        {as(reporting), 401, oauth2.ReasonWrongMethod},
		"a client_id that is none":          {as("a%20b"), 401, oauth2.ReasonMalformedCredential},
		"no client_id, of an account that no client names": {
			func(w accountWorld) string {
				change := map[string]any{"sub": "system:serviceaccount:shop:default", "kubernetes.io": kubernetesClaim("shop", "default", "u")}
				return withAssertion(w.sign(w.signer, "", change))
			}, 401, oauth2.ReasonUnknownClient,
		},
		"no client_id, of a subject without a name": {
			func(w accountWorld) string {
				return withAssertion(w.sign(w.signer, "", map[string]any{"sub": "system:serviceaccount:shop"}))
			},
			401, oauth2.ReasonMalformedCredential,
		},
		"no client_id, of a subject without a namespace": {
			func(w accountWorld) string {
				return withAssertion(w.sign(w.signer, "", map[string]any{"sub": "system:serviceaccount::worker"}))
			},
			401, oauth2.ReasonMalformedCredential,
		},
		"no client_id, of two clients": {func(w accountWorld) string {
			w.register("shop.second")
			w.dir.known["shop.second"].Client.Credentials = w.dir.known[podded].Client.Credentials
			w.dir.source["shop.second"] = w.dir.known["shop.second"]
			return withAssertion(w.sign(w.signer, "", nil))
		}, 400, oauth2.ReasonClientIDNeeded},
		"another assertion type": {func(w accountWorld) string {
			return strings.Replace(fromPod(w.sign(w.signer, "", nil)), "jwt-bearer", "saml2-bearer", 1)
		}, 401, oauth2.ReasonWrongMethod},
		"the type of an access token": {func(w accountWorld) string {
			return fromPod(w.sign(w.signer, oauth2.TokenType, nil))
		}, 401, oauth2.ReasonWrongAssertion},
		"the type of a client's own assertion": {func(w accountWorld) string {
			return fromPod(w.sign(w.signer, "client-authentication+jwt", nil))
		}, 401, oauth2.ReasonWrongAssertion},
		"a key that the cluster does not have": {func(w accountWorld) string {
			return fromPod(w.sign(newSigner(w.t, jws.ES256), "", nil))
		}, 401, oauth2.ReasonAssertionKeyUnknown},
		"a tampered signature": {func(w accountWorld) string { return fromPod(tamper(w.sign(w.signer, "", nil))) }, 401, oauth2.ReasonWrongAssertion},
		"no signature": {func(w accountWorld) string {
			token := w.sign(w.signer, "", nil)
			return fromPod(token[:strings.LastIndex(token, ".")+1])
		}, 401, oauth2.ReasonMalformedCredential},
		"alg none": {func(w accountWorld) string {
			_, rest, _ := strings.Cut(w.sign(w.signer, "", nil), ".")
			return fromPod(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + rest)
		}, 401, oauth2.ReasonMalformedCredential},
		"another algorithm under the key's name": {func(w accountWorld) string {
			_, rest, _ := strings.Cut(w.sign(w.signer, "", nil), ".")
			header := `{"alg":"PS256","kid":"` + w.signer.Public().ID + `"}`
			return fromPod(base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest)
		}, 401, oauth2.ReasonAssertionKeyUnknown},
		"our own issuer in a cluster that has it": {func(w accountWorld) string {
			w.cluster.known.Issuer = testIssuer
			return fromPod(w.sign(w.signer, "", map[string]any{"iss": testIssuer}))
		}, 401, oauth2.ReasonWrongAssertion},
		"an account that is gone": {func(w accountWorld) string {
			w.dir.known[podded].Client.Credentials.ServiceAccount.UID = ""
			return fromPod(w.sign(w.signer, "", nil))
		}, 401, oauth2.ReasonServiceAccountNotFound},
		"a suspended client": {func(w accountWorld) string {
			w.dir.known[podded].Owner.Suspended = true
			return fromPod(w.sign(w.signer, "", nil))
		}, 401, oauth2.ReasonSuspended},
		"a token whose pod is gone": {func(w accountWorld) string {
			w.cluster.verdict = oauth2.Dishonoured
			return fromPod(w.sign(w.signer, "", nil))
		}, 401, oauth2.ReasonAccountTokenEnded},
		"a review that is refused": {func(w accountWorld) string {
			w.cluster.verdict = oauth2.Undecided
			return fromPod(w.sign(w.signer, "", nil))
		}, 503, oauth2.ReasonLookupUnavailable},
		"a secret beside it": {func(w accountWorld) string {
			return fromPod(w.sign(w.signer, "", nil)) + "&client_secret=" + strings.Repeat("x", 43)
		}, 400, oauth2.ReasonSeveralMethods},
		"a right secret of a client without one": {func(w accountWorld) string {
			c := w.dir.known[podded].Client
			c.Credentials.Verifiers = []oauth2.Verifier{{ID: "old", Digest: oauth2.DigestSecret(c.UID, oauth2.NewSecret(w.secrets[podded]))}}
			return grant + "&" + w.post(podded)
		}, 401, oauth2.ReasonWrongMethod},
		"an assertion by a key that it once had": {func(w accountWorld) string {
			signer := newSigner(w.t, jws.ES256)
			w.dir.known[podded].Client.Credentials.Keys = keysOf(signer)
			return withAssertion(w.assertion(signer, "JWT", map[string]any{"iss": podded, "sub": podded}))
		}, 401, oauth2.ReasonWrongMethod},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAccountWorld(t)
			answer := w.do(call{body: c.body(w)})
			if answer.Code != c.status || c.status == 401 && answer.Body.String() != notAuthenticated {
				t.Errorf("got %d %s", answer.Code, answer.Body)
			}
			if got := w.lastAudit()["reason"]; got != string(c.reason) {
				t.Errorf("the audit line says %v, want %s", got, c.reason)
			}
			if asItIs := oauth2.IsFinal(&oauth2.Error{Reason: c.reason}); asItIs && w.dir.lookedUp() > 0 {
				t.Errorf("%v was looked up for a token that no client could use", w.dir.asked)
			}
		})
	}
}

func TestWithoutAClusterNoPodIsLetIn(t *testing.T) {
	w := newClusterWorld(t, newSigner(t, jws.ES256), func(c *settings) { c.auth.Cluster = nil })
	if answer := w.do(call{body: fromPod(w.sign(w.signer, "", nil))}); answer.Code != http.StatusUnauthorized {
		t.Errorf("got %d %s", answer.Code, answer.Body)
	}
}

// A pod whose key a source of made-up keys does not let others look up has to wait, and one from
// elsewhere does not notice.
func TestMadeUpKeysOfTheClusterCostOthersNoLookUp(t *testing.T) {
	w := newAccountWorld(t)
	ask := func(signer *jws.Signer, source string) int {
		return w.do(call{body: fromPod(w.sign(signer, "", nil)), source: source}).Code
	}
	publish := func() *jws.Signer {
		fresh := newSigner(t, jws.ES256)
		w.cluster.source.Keys.Keys = append(w.cluster.source.Keys.Keys, fresh.Public())
		return fresh
	}
	for i := range 50 {
		want := http.StatusServiceUnavailable
		if i == 0 {
			want = http.StatusUnauthorized
		}
		if got := ask(newSigner(t, jws.ES256), "192.0.2.1:1"); got != want {
			t.Fatalf("made-up key %d: %d, want %d", i, got, want)
		}
	}
	if w.cluster.asked != 1 {
		t.Errorf("%d look-ups, want 1", w.cluster.asked)
	}
	fresh := publish()
	if got := ask(fresh, "192.0.2.1:1"); got != http.StatusServiceUnavailable {
		t.Errorf("a key that was made a moment ago, from there: %d", got)
	}
	if got := ask(fresh, "192.0.2.2:1"); got != http.StatusOK || w.cluster.asked != 2 {
		t.Errorf("a key that was made a moment ago, from elsewhere: %d after %d look-ups", got, w.cluster.asked)
	}
	w.now = w.now.Add(2 * keyInterval)
	if got := ask(publish(), "192.0.2.1:1"); got != http.StatusOK {
		t.Errorf("later, from there: %d", got)
	}
}

func TestWhileTheClustersKeysCannotBeReadNobodyIsToldNo(t *testing.T) {
	w := newAccountWorld(t)
	w.cluster.known, w.cluster.failing = oauth2.Cluster{}, errAway
	for range 3 {
		answer := w.do(call{body: fromPod(w.sign(w.signer, "", nil))})
		if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
			t.Errorf("got %d %s", answer.Code, answer.Body)
		}
	}
	if w.cluster.asked != 1 {
		t.Errorf("%d look-ups, want 1", w.cluster.asked)
	}
	w.now, w.cluster.failing = w.now.Add(lookupRetry), nil
	if answer := w.do(call{body: fromPod(w.sign(w.signer, "", nil))}); answer.Code != http.StatusOK {
		t.Errorf("when the API server is back: %d %s", answer.Code, answer.Body)
	}
}

func TestAClientThatMemoryDoesNotHaveIsLookedUpForAPodToo(t *testing.T) {
	for name, prepare := range map[string]func(w accountWorld){
		"the client is new": func(w accountWorld) { w.onlyAtSource(podded) },
		"the account is new": func(w accountWorld) {
			older := *w.dir.known[podded].Client
			older.Credentials.ServiceAccount = &oauth2.ServiceAccount{Name: "worker", UID: "uid-of-the-one-before"}
			w.dir.known[podded] = oauth2.Record{Client: &older, Owner: w.dir.known[podded].Owner}
		},
		"the method is new": func(w accountWorld) {
			older := *w.dir.known[podded].Client
			older.Credentials.ServiceAccount = nil
			w.dir.known[podded] = oauth2.Record{Client: &older, Owner: w.dir.known[podded].Owner}
		},
		"the key is new as well": func(w accountWorld) {
			w.onlyAtSource(podded)
			w.cluster.known = oauth2.Cluster{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAccountWorld(t)
			prepare(w)
			if answer := w.do(call{body: fromPod(w.sign(w.signer, "", nil))}); answer.Code != http.StatusOK {
				t.Errorf("got %d %s: %v", answer.Code, answer.Body, w.lastAudit()["reason"])
			}
		})
	}
}

func TestAVerdictCountsForFiveSeconds(t *testing.T) {
	w := newAccountWorld(t)
	body := fromPod(w.sign(w.signer, "", nil))
	say := func(after time.Duration, verdict oauth2.Verdict, status, reviews int) {
		t.Helper()
		w.now, w.cluster.verdict = w.now.Add(after), verdict
		if answer := w.do(call{body: body}); answer.Code != status || w.cluster.reviewed != reviews {
			t.Errorf("after %s: %d with %d reviews, want %d with %d", after, answer.Code, w.cluster.reviewed, status, reviews)
		}
	}
	say(0, oauth2.Honoured, 200, 1)
	say(4*time.Second, oauth2.Dishonoured, 200, 1)
	say(time.Second, oauth2.Dishonoured, 401, 2)
	say(4*time.Second, oauth2.Honoured, 401, 2)
	// No API server answers: the last answer counts, and no request waits for an answer again
	// for five seconds.
	say(time.Second, oauth2.Unreachable, 401, 3)
	say(4*time.Second, oauth2.Honoured, 401, 3)
	say(time.Second, oauth2.Honoured, 200, 4)
	say(reviewFresh, oauth2.Unreachable, 200, 5)
	say(time.Second, oauth2.Unreachable, 200, 5)
	say(reviewAway, oauth2.Dishonoured, 401, 6)
}

func TestAnAPIServerThatIsUnreachableForOneTokenIsAskedAboutTheNext(t *testing.T) {
	w := newAccountWorld(t)
	one, next := fromPod(w.sign(w.signer, "", nil)), fromPod(w.sign(w.signer, "", map[string]any{"jti": "another"}))
	say := func(body string, verdict oauth2.Verdict, status, reviews int) {
		t.Helper()
		w.cluster.verdict = verdict
		answer := w.do(call{body: body})
		if answer.Code != status || w.cluster.reviewed != reviews {
			t.Errorf("%d with %d reviews, want %d with %d", answer.Code, w.cluster.reviewed, status, reviews)
		}
		if answer.Code == http.StatusServiceUnavailable && answer.Header().Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
	say(one, oauth2.Unreachable, 200, 1)
	say(next, oauth2.Dishonoured, 401, 2)
	say(one, oauth2.Dishonoured, 200, 2) // for five seconds
	w.now = w.now.Add(reviewAway)
	say(one, oauth2.Undecided, 503, 3)
	say(next, oauth2.Undecided, 503, 4)
	say(next, oauth2.Unreachable, 401, 5) // the last verdict
	w.now = w.now.Add(reviewAway)
	say(next, oauth2.Unreachable, 401, 6)
	say(one, oauth2.Honoured, 200, 7)
	w.now = w.now.Add(reviewFresh)
	say(one, oauth2.Undecided, 503, 8) // although it was honoured a moment ago
}

func TestRequestsAtOnceShareOneReview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newAccountWorld(t)
		w.cluster.hold = make(chan struct{})
		body := fromPod(w.sign(w.signer, "", nil))
		var running sync.WaitGroup
		for range 20 {
			running.Go(func() {
				if answer := w.do(call{body: body}); answer.Code != http.StatusOK {
					t.Errorf("got %d %s", answer.Code, answer.Body)
				}
			})
		}
		synctest.Wait()
		close(w.cluster.hold)
		running.Wait()
		if w.cluster.reviewed != 1 {
			t.Errorf("%d reviews, want 1", w.cluster.reviewed)
		}
	})
}

// A token with this issuer as audience is not active at introspection: it is no access token.
func TestAPodsTokenIsNoAccessToken(t *testing.T) {
	w := newAccountWorld(t)
	body := w.post(billing) + "&token=" + url.QueryEscape(w.sign(w.signer, "", nil))
	if answer := w.do(call{path: oauth2.IntrospectionPath, body: body}); answer.Body.String() != inactive {
		t.Errorf("got %d %s", answer.Code, answer.Body)
	}
}
