// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// rounds is how many requests a battery sends: few in every run of the tests, and as many as
// HALLPASS_BATTERY sets for the whole.
func rounds(t *testing.T) int {
	t.Helper()
	if value := os.Getenv("HALLPASS_BATTERY"); value != "" {
		n, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 3000
}

// Each class of malformed requests gets its own status and a short OAuth error, whatever is beside
// it: no 2xx and no 5xx.
func TestMalformedRequestsAreRefused(t *testing.T) {
	w := newWorld(t)
	w.registerKeys(keyed, newSigner(t, jws.ES256))
	classes := refusals(w)
	classes["an assertion that is none"] = refusal{call: call{body: withAssertion("abc")}, status: 401}
	classes["an assertion of nobody's key"] = refusal{call: call{body: withAssertion(w.assertion(newSigner(t, jws.ES256), "JWT", nil))}, status: 401}
	if len(classes) < 40 {
		t.Fatalf("%d classes", len(classes))
	}
	names := make([]string, 0, len(classes))
	for name := range classes {
		names = append(names, name)
	}
	slices.Sort(names)
	for i := range rounds(t) {
		name := names[i%len(names)]
		c := classes[name]
		c.body += "&z" + strconv.Itoa(i) + "=" + rand.Text()
		w.now = w.now.Add(failureBurst * failureInterval)
		w.audit.Reset()
		answer := w.do(c.call)
		var refused struct {
			Error string `json:"error"`
		}
		if answer.Code != c.status || answer.Body.Len() >= 512 || json.Unmarshal(answer.Body.Bytes(), &refused) != nil || refused.Error == "" {
			t.Fatalf("%s: %d %s, want %d", name, answer.Code, answer.Body, c.status)
		}
	}
}

// Nothing that was made from a token without its key is a token.
func TestForgedTokensAreInactive(t *testing.T) {
	w := newWorld(t)
	token := w.token(reporting)
	segments := strings.Split(token, ".")
	key, err := w.dir.ring.SigningKey(w.now)
	if err != nil {
		t.Fatal(err)
	}
	document := w.dir.ring.JWKS(w.now)
	encode := base64.RawURLEncoding.EncodeToString
	var forged []string
	for i := 0; i < len(token); i += 7 {
		// prefixes, suffixes, a letter lost
		forged = append(forged, token[:i], token[i+1:], token[:i]+token[i+1:])
	}
	signatures := []string{"", encode(make([]byte, 64)), encode(make([]byte, 32)), segments[2], encode([]byte{0x30, 6, 2, 1, 0, 2, 1, 0})}
	for _, algorithm := range []string{"none", "None", "", "HS256", "ES384", "RS256", "PS256", "EdDSA", "ES256"} {
		for _, more := range []string{"", `,"jwk":{}`, `,"jku":"https://evil.test"`, `,"crit":["exp"]`, `,"b64":false`, `,"alg":"none"`, `,"zip":"DEF"`} {
			header := encode([]byte(`{"alg":"` + algorithm + `","kid":"` + key.ID() + `","typ":"at+jwt"` + more + `}`))
			for _, signature := range signatures {
				if header != segments[0] || signature != segments[2] {
					forged = append(forged, header+"."+segments[1]+"."+signature)
				}
			}
			mac := hmac.New(sha256.New, document) // the public key as a shared secret
			mac.Write([]byte(header + "." + segments[1]))
			forged = append(forged, header+"."+segments[1]+"."+encode(mac.Sum(nil)))
		}
	}
	for _, claims := range []string{`{}`, `{"iss":"` + testIssuer + `"}`} {
		for _, typ := range []string{"JWT", "", oauth2.TokenType} {
			// signed by us, and still no access token
			signed, err := key.Sign(typ, []byte(claims))
			if err != nil {
				t.Fatal(err)
			}
			forged = append(forged, signed)
		}
	}
	for len(forged) < rounds(t) {
		mutated := []byte(token)
		i := mathrand.IntN(len(mutated))    //nolint:gosec // where to damage is no secret
		mutated[i] ^= 1 << mathrand.IntN(7) //nolint:gosec // as above
		forged = append(forged, string(mutated))
	}
	for _, forgery := range forged {
		if _, err := w.validate(forgery, w.now); err == nil {
			t.Fatalf("valid: %s", forgery)
		}
	}
	for _, forgery := range forged[:min(len(forged), max(1000, rounds(t)/10))] {
		answer := w.do(w.introspect(reporting, forgery))
		if forgery != "" && (answer.Code != http.StatusOK || answer.Body.String() != inactive) {
			t.Fatalf("introspection of %s: %d %s", forgery, answer.Code, answer.Body)
		}
	}
}

// door is a way to get a token by an assertion, with the client that it is from.
type door struct {
	w        *world
	sign     func() string
	clientID string
	reviewed func() int
}

// doors are those of each method that sends an assertion.
func doors(t testing.TB) map[string]door {
	signer := newSigner(t, jws.ES256)
	keys := newWorld(t)
	keys.registerKeys(keyed, signer)
	keys.allow(keyed)
	ci := newCIWorld(t)
	ci.allow(ciClient)
	ci.trusted.Keys.Until = noon.AddDate(10, 0, 0)
	nameless := newCIWorld(t)
	nameless.allow(ciClient)
	nameless.trusted.Keys.Until = noon.AddDate(10, 0, 0)
	nameless.delegate(map[string]string{"shop": "277133432", "orders": "1"})
	spire := newCIWorld(t)
	spire.allow(ciClient)
	spire.trusted.Issuer, spire.trusted.Keys.Until = oauth2.TrustDomainID("example.org"), noon.AddDate(10, 0, 0)
	spire.trusted.Delegations = []oauth2.Delegation{{Namespaces: []string{"shop"}}}
	svid := map[string]any{"iss": nil, "jti": nil, "sub": "spiffe://example.org/ns/ci/sa/deploy"}
	*spire.dir.known[ciClient].Client.Credentials.Federated = oauth2.Federated{IssuerName: "github", Subject: "spiffe://example.org/ns/ci/sa/deploy"}
	east := newCIWorld(t)
	east.allow(ciClient)
	east.trusted.Issuer, east.trusted.Keys.Until = "https://oidc.east.example.com", noon.AddDate(10, 0, 0)
	east.trusted.Delegations = []oauth2.Delegation{{Namespaces: []string{"shop"}}}
	account := map[string]any{"iss": east.trusted.Issuer, "sub": "system:serviceaccount:jobs:nightly", "kubernetes.io": kubernetesClaim("jobs", "nightly", "uid")}
	*east.dir.known[ciClient].Client.Credentials.Federated = oauth2.Federated{IssuerName: "github", Subject: "system:serviceaccount:jobs:nightly"}
	pods := newAccountWorld(t)
	pods.allow(podded)
	none := func() int { return 0 }
	return map[string]door{
		"a key":                               {keys, func() string { return keys.assertion(signer, "JWT", nil) }, "", none},
		"a trusted issuer":                    {ci.world, func() string { return ci.sign(ci.signer, "JWT", nil) }, "&client_id=" + ciClient, none},
		"a trusted issuer, without client_id": {nameless.world, func() string { return nameless.sign(nameless.signer, "JWT", nil) }, "", none},
		"a trust domain":                      {spire.world, func() string { return spire.sign(spire.signer, "JWT", svid) }, "&client_id=" + ciClient, none},
		"a trust domain, without client_id":   {spire.world, func() string { return spire.sign(spire.signer, "JWT", svid) }, "", none},
		"an account of another cluster":       {east.world, func() string { return east.sign(east.signer, "", account) }, "", none},
		"a service account":                   {pods.world, func() string { return pods.sign(pods.signer, "", nil) }, "", func() int { return pods.cluster.reviewed }},
	}
}

// forgeAssertion makes a JWT without a valid signature from a good one. other is another good one
// of the same signer, and foreign one that is signed by a key that is registered nowhere.
func forgeAssertion(random *mathrand.Rand, good, other, foreign string) string {
	encode := base64.RawURLEncoding.EncodeToString
	segments, others := strings.Split(good, "."), strings.Split(other, ".")
	switch random.IntN(6) {
	case 0:
		return foreign
	case 1:
		return good[:random.IntN(len(good))]
	case 2:
		algorithms := []string{"none", "", "HS256", "RS256", "ES256", "PS256", "EdDSA", "Ed25519", "ES384"}
		more := []string{"", `,"jwk":{}`, `,"jku":"https://evil.test"`, `,"crit":["exp"]`, `,"b64":false`, `,"typ":"JWT"`}
		header := encode([]byte(`{"alg":"` + algorithms[random.IntN(len(algorithms))] + `"` + more[random.IntN(len(more))] + `}`))
		mac := hmac.New(sha256.New, []byte(segments[2]))
		mac.Write([]byte(header + "." + segments[1]))
		return header + "." + segments[1] + "." + []string{segments[2], "", encode(mac.Sum(nil)), encode(make([]byte, 64))}[random.IntN(4)]
	case 3:
		return segments[0] + "." + segments[1] + "." + others[2]
	case 4:
		return segments[0] + "." + encode([]byte(`{"iss":"`+keyed+`","sub":"`+keyed+`","aud":"`+testIssuer+`"}`)) + "." + segments[2]
	}
	mutated := []byte(good)
	mutated[random.IntN(len(mutated))] ^= 1 << random.IntN(7)
	return string(mutated)
}

// No JWT that its key did not sign gets a token, as a client assertion or as the grant. The one
// that it was made of does.
func TestForgedAssertionsAreRefused(t *testing.T) {
	t.Parallel()
	const each = 50 // forgeries of one JWT, one a second
	for name, d := range doors(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := mathrand.New(mathrand.NewPCG(9, 8)) //nolint:gosec // forgeries are to be repeatable
			var good, other, foreign string
			for i := range rounds(t) {
				ways := []func(string) string{withAssertion, asGrant}
				if i%each == 0 {
					if good != "" && d.w.do(call{body: ways[i/each%2](good) + d.clientID}).Code != http.StatusOK {
						t.Fatalf("the JWT itself is refused: %v", d.w.lastAudit())
					}
					other = d.sign()
					d.w.now = d.w.now.Add(time.Second)
					good = d.sign()
					segments := strings.Split(good, ".")
					foreign = d.w.assertion(newSigner(t, jws.ES256), "JWT", nil)
					foreign = foreign[:strings.IndexByte(foreign, '.')] + "." + segments[1] + foreign[strings.LastIndexByte(foreign, '.'):]
				}
				d.w.now = d.w.now.Add(time.Second)
				d.w.audit.Reset()
				way, reviewed := i%2, d.reviewed()
				forged := forgeAssertion(random, good, other, foreign)
				answer := d.w.do(call{body: ways[way](forged) + d.clientID})
				// 503 while the cluster is not asked for another unknown key
				isRefusal := answer.Code >= 400 && answer.Code < 500 || answer.Code == http.StatusServiceUnavailable
				if code, _ := refused(t, answer.Body.Bytes()); !isRefusal || code == "" || way == 1 && answer.Code == http.StatusUnauthorized {
					t.Fatalf("forgery %d: %d %s: %s", i, answer.Code, answer.Body, forged)
				}
				if d.reviewed() != reviewed {
					t.Fatalf("forgery %d was reviewed: %s", i, forged)
				}
			}
		})
	}
}

// passing is a fixture in which billing exchanges tokens: some of a client for itself, and some
// that were passed on before.
type passing struct {
	*world

	inner string // the API of shop
}

func newPassing(t testing.TB) passing {
	t.Helper()
	w := passing{exchanging(t), testIssuer + "/resources/shop/inner"}
	w.dir.resources = append(w.dir.resources, &oauth2.Resource{
		Identifier: w.inner, UID: "uid-of-inner", Namespace: "shop", Name: "inner", Scopes: []string{"in"},
		Exchanged: []oauth2.Consent{{Namespaces: []string{"orders"}, Scopes: []string{"in"}}},
	})
	c := w.dir.known[stranger].Client
	c.GrantTypes = oauth2.ClientCredentials | oauth2.TokenExchange
	c.Access = []oauth2.Access{{Resource: oauth2.ObjectName{Namespace: "shop", Name: "inner"}, Scopes: []string{"in"}}}
	return w
}

// tokens are those that billing exchanges, in turn.
func (w passing) tokens(passedOn bool) string {
	w.t.Helper()
	first := w.token(reporting)
	if !passedOn {
		return first
	}
	for _, hop := range []struct{ client, target string }{{billing, ordersAPI}, {stranger, w.inner}} {
		status, body := decode(w.t, w.do(w.exchange(hop.client, first, url.Values{"resource": {hop.target}})))
		if first, _ = body["access_token"].(string); status != http.StatusOK || first == "" {
			w.t.Fatalf("%s exchanges: %d %v", hop.client, status, body)
		}
	}
	return first
}

// forgeClaims makes a token with other claims and the signature of a good one.
func forgeClaims(t *testing.T, random *mathrand.Rand, good string) string {
	t.Helper()
	segments := strings.Split(good, ".")
	payload, err := jws.DecodeBase64URL(segments[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	actor := map[string]any{"sub": billing}
	changes := []func(){
		func() { delete(claims, "act") },
		func() { delete(claims, "ancestors") },
		func() { claims["act"] = actor },
		func() { claims["act"] = map[string]any{"sub": stranger, "act": actor} },
		func() { claims["ancestors"] = []any{} },
		func() { claims["sub"] = "orders.admin" },
		func() { claims["client_id"] = "orders.admin" },
		func() { claims["exp"] = 1 << 40 },
		func() { claims["aud"] = ordersAPI },
		func() { claims["scope"] = "read write admin" },
	}
	before, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	for range 1 + random.IntN(3) {
		changes[random.IntN(len(changes))]()
	}
	forged, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	if string(forged) == string(before) {
		return segments[0] + "." + segments[1] + "."
	}
	return segments[0] + "." + base64.RawURLEncoding.EncodeToString(forged) + "." + segments[2]
}

// No token that Hallpass did not sign is exchanged, made of one of a client for itself or of one
// that was passed on. The one that it was made of is.
func TestForgedSubjectTokensAreNotExchanged(t *testing.T) {
	const each = 50
	w := newPassing(t)
	random := mathrand.New(mathrand.NewPCG(9, 22)) //nolint:gosec // forgeries are to be repeatable
	var good, other, foreign string
	for i := range rounds(t) {
		w.now = w.now.Add(time.Second)
		if i%each == 0 {
			if good != "" && w.do(w.exchange(billing, good, nil)).Code != http.StatusOK {
				t.Fatalf("the token itself is refused: %v", w.lastAudit())
			}
			good, other = w.tokens(i/each%2 == 1), w.token(stranger)
			payload, err := jws.DecodeBase64URL(strings.Split(good, ".")[1])
			if err != nil {
				t.Fatal(err)
			}
			if foreign, err = newSigner(t, jws.ES256).Sign(oauth2.TokenType, payload); err != nil {
				t.Fatal(err)
			}
		}
		w.audit.Reset()
		forged := forgeClaims(t, random, good)
		if random.IntN(2) == 0 {
			forged = forgeAssertion(random, good, other, foreign)
		}
		answer := w.do(w.exchange(billing, forged, nil))
		if code, _ := refused(t, answer.Body.Bytes()); answer.Code != http.StatusBadRequest || code != string(oauth2.InvalidRequest) {
			t.Fatalf("forgery %d: %d %s: %s", i, answer.Code, answer.Body, forged)
		}
	}
}

// No identity assertion that its issuer did not sign brings a person. The one that it was made of
// does, once.
func TestForgedIdentityAssertionsBringNoPerson(t *testing.T) {
	const each = 50
	w := newCompany(t)
	w.trusted.Keys.Until = noon.AddDate(10, 0, 0)
	random := mathrand.New(mathrand.NewPCG(9, 23)) //nolint:gosec // forgeries are to be repeatable
	stranger := newSigner(t, jws.ES256)
	var good, other, foreign string
	for i := range rounds(t) {
		w.now = w.now.Add(time.Second)
		w.audit.Reset()
		if i%each == 0 {
			if good != "" && w.do(w.bring(reporting, good, nil)).Code != http.StatusOK {
				t.Fatalf("the assertion itself is refused: %v", w.lastAudit())
			}
			id := func(name string) map[string]any { return map[string]any{"jti": name + strconv.Itoa(i)} }
			good, other = w.vouch(w.signer, oauth2.IdentityAssertionType, id("good")), w.vouch(w.signer, oauth2.IdentityAssertionType, id("other"))
			foreign = w.vouch(stranger, oauth2.IdentityAssertionType, id("good"))
		}
		forged := forgeAssertion(random, good, other, foreign)
		if random.IntN(2) == 0 {
			forged = forgeIdentity(t, random, good)
		}
		answer := w.do(w.bring(reporting, forged, nil))
		if code, _ := refused(t, answer.Body.Bytes()); answer.Code < 400 || answer.Code >= 500 || code == "" {
			t.Fatalf("forgery %d: %d %s: %s", i, answer.Code, answer.Body, forged)
		}
	}
}

// forgeIdentity makes an identity assertion with another claim and the signature of a good one.
func forgeIdentity(t *testing.T, random *mathrand.Rand, good string) string {
	t.Helper()
	segments := strings.Split(good, ".")
	payload, err := jws.DecodeBase64URL(segments[1])
	if err != nil {
		t.Fatal(err)
	}
	changes := [][2]string{
		{`"sub":"00u1:x"`, `"sub":"root"`},
		{`"sub":"00u1:x"`, `"sub":"00u1:x","sub":"root"`},
		{`"jti":"`, `"jti":"another-`},
		{`"scope":"orders.read openid"`, `"scope":"orders.read orders.write"`},
		{`"resource":"` + ordersAPI + `"`, `"resource":"https://other.test"`},
		{`"client_id":"` + reporting + `"`, `"client_id":"` + billing + `"`},
		{`"exp":1`, `"exp":2`},
	}
	change := changes[random.IntN(len(changes))]
	forged := strings.Replace(string(payload), change[0], change[1], 1)
	if forged == string(payload) {
		t.Fatalf("the assertion has not %s: %s", change[0], payload)
	}
	return segments[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(forged)) + "." + segments[2]
}

// An assertion whose claims take 64 KiB is refused before it is verified, wherever it is sent, and
// so is a token.
func TestClaimsOf64KiBAreRefused(t *testing.T) {
	w := newCompany(t)
	claims := map[string]any{"groups": strings.Repeat("g", 64<<10), "jti": "long"}
	long := w.vouch(w.signer, oauth2.IdentityAssertionType, claims)
	for name, c := range map[string]call{
		"an identity assertion": w.bring(reporting, long, nil),
		"a client assertion":    {body: withAssertion(long)},
		"a grant":               {body: asGrant(long)},
		"a subject token":       w.exchange(reporting, long, nil),
	} {
		w.audit.Reset()
		answer := w.do(c)
		if code, _ := refused(t, answer.Body.Bytes()); answer.Code < 400 || answer.Code >= 500 || code == "" || answer.Body.Len() > 512 {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
	w.do(w.introspect(stranger, long))
	if strings.Contains(w.audit.String(), "gggg") {
		t.Error("the audit line has the claims")
	}
	claims["groups"] = strings.Repeat("g", 4<<10)
	if answer := w.do(w.bring(reporting, w.vouch(w.signer, oauth2.IdentityAssertionType, claims), nil)); answer.Code != http.StatusOK {
		t.Errorf("claims of 4 KiB: %d %s", answer.Code, answer.Body)
	}
}
