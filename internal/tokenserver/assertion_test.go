// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const keyed = "shop.keyed"

// registerKeys makes a client that has keys and no secret.
func (w *world) registerKeys(id string, signers ...*jws.Signer) {
	w.register(id)
	c := w.dir.known[id].Client
	c.Credentials.Verifiers, c.Credentials.KeysOnly = nil, true
	c.Credentials.Keys = keysOf(signers...)
	w.dir.source[id] = w.dir.known[id]
}

// keysOf are the keys that a client registers for signers.
func keysOf(signers ...*jws.Signer) jws.PackedKeys {
	var keys []jws.PublicKey
	for _, signer := range signers {
		keys = append(keys, signer.Public())
	}
	return packed(keys...)
}

func packed(keys ...jws.PublicKey) jws.PackedKeys {
	p, err := jws.PackKeys(keys...)
	if err != nil {
		panic(err)
	}
	return p
}

func newSigner(t testing.TB, algorithm jws.Algorithm) *jws.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch algorithm {
	case jws.RS256:
		key, err = rsa.GenerateKey(rand.Reader, jws.MinRSABits)
	case jws.EdDSA, jws.Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jws.NewSigner(algorithm, key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// assertion signs the claims of a good assertion, with those of change in the place of its own; nil
// leaves one out.
func (w *world) assertion(signer *jws.Signer, typ string, change map[string]any) string {
	w.t.Helper()
	claims := map[string]any{
		"iss": keyed, "sub": keyed, "aud": testIssuer, "exp": w.now.Add(time.Minute).Unix(), "iat": w.now.Unix(), "jti": rand.Text(),
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

func withAssertion(assertion string) string {
	return grant + "&client_assertion_type=" + url.QueryEscape(oauth2.AssertionType) + "&client_assertion=" + assertion
}

func TestPrivateKeyJWTOfEachAlgorithm(t *testing.T) {
	for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA, jws.Ed25519} {
		t.Run(string(algorithm), func(t *testing.T) {
			w, signer := newWorld(t), newSigner(t, algorithm)
			w.registerKeys(keyed, newSigner(t, jws.ES256), signer)
			answer := w.do(call{body: withAssertion(w.assertion(signer, "JWT", nil)) + "&client_id=" + keyed})
			if answer.Code != http.StatusOK {
				t.Errorf("got %d %s: %v", answer.Code, answer.Body, w.lastAudit())
			}
			if line := w.lastAudit(); line["method"] != "private_key_jwt" || line["credential"] != signer.Public().ID || line["client_id"] != keyed {
				t.Errorf("audit line %v", line)
			}
		})
	}
}

// PS256 is for assertions alone: Hallpass verifies it and never signs with it.
func TestPrivateKeyJWTByPS256(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, jws.MinRSABits)
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, want := range map[jws.Algorithm]int{jws.PS256: http.StatusOK, jws.RS256: http.StatusUnauthorized} {
		w := newWorld(t)
		w.registerKeys(keyed)
		w.dir.known[keyed].Client.Credentials.Keys = packed(jws.PublicKey{ID: "a", Algorithm: algorithm, Key: private.Public()})
		unsigned := w.assertion(newSigner(t, jws.ES256), "JWT", nil)
		encode := base64.RawURLEncoding.EncodeToString
		input := encode([]byte(`{"alg":"PS256","kid":"a"}`)) + "." + strings.Split(unsigned, ".")[1]
		digest := sha256.Sum256([]byte(input))
		signature, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		if err != nil {
			t.Fatal(err)
		}
		if answer := w.do(call{body: withAssertion(input + "." + encode(signature))}); answer.Code != want {
			t.Errorf("a PS256 assertion and a key for %s: %d %s", algorithm, answer.Code, answer.Body)
		}
	}
}

func TestPrivateKeyJWTMayLookLikeThis(t *testing.T) {
	w, signer := newWorld(t), newSigner(t, jws.ES256)
	w.registerKeys(keyed, signer)
	for name, assertion := range map[string]string{
		"the issuer as a list of one":   w.assertion(signer, "JWT", map[string]any{"aud": []string{testIssuer}}),
		"the type of the new draft":     w.assertion(signer, "client-authentication+jwt", nil),
		"without iat":                   w.assertion(signer, "JWT", map[string]any{"iat": nil}),
		"from a clock ahead of ours":    w.assertion(signer, "JWT", map[string]any{"nbf": w.now.Add(20 * time.Second).Unix()}),
		"with a second to go":           w.assertion(signer, "JWT", map[string]any{"exp": w.now.Add(time.Second).Unix()}),
		"with claims that mean nothing": w.assertion(signer, "JWT", map[string]any{"colour": "blue"}),
	} {
		if answer := w.do(call{body: withAssertion(assertion)}); answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s: %v", name, answer.Code, answer.Body, w.lastAudit()["reason"])
		}
	}
	if answer := w.do(call{path: oauth2.IntrospectionPath, body: withAssertion(w.assertion(signer, "JWT", nil)) + "&token=x"}); answer.Body.String() != inactive {
		t.Errorf("introspection: %d %s", answer.Code, answer.Body)
	}
}

func TestPrivateKeyJWTIsRefused(t *testing.T) {
	signer, other := newSigner(t, jws.ES256), newSigner(t, jws.ES256)
	claim := func(name string, value any) func(w *world) string {
		return func(w *world) string { return withAssertion(w.assertion(signer, "JWT", map[string]any{name: value})) }
	}
	sent := func(suffix string) func(w *world) string {
		return func(w *world) string { return withAssertion(w.assertion(signer, "JWT", nil)) + suffix }
	}
	for name, c := range map[string]struct {
		body   func(w *world) string
		status int
		reason oauth2.Reason
		rule   string // the answer has it, because the signature is good
	}{
		"another's key":                  {func(w *world) string { return withAssertion(w.assertion(other, "JWT", nil)) }, 401, oauth2.ReasonWrongAssertion, ""},
		"a tampered signature":           {func(w *world) string { return withAssertion(tamper(w.assertion(signer, "JWT", nil))) }, 401, oauth2.ReasonWrongAssertion, ""},
		"the type of an access token":    {func(w *world) string { return withAssertion(w.assertion(signer, oauth2.TokenType, nil)) }, 401, oauth2.ReasonWrongAssertion, ""},
		"an access token":                {func(w *world) string { return withAssertion(w.token(reporting)) }, 401, oauth2.ReasonWrongMethod, ""},
		"another issuer":                 {claim("iss", reporting), 401, oauth2.ReasonWrongAssertion, "iss and sub"},
		"no issuer":                      {claim("iss", nil), 401, oauth2.ReasonWrongAssertion, "iss and sub"},
		"no subject":                     {claim("sub", nil), 401, oauth2.ReasonMalformedCredential, ""},
		"an unknown subject":             {claim("sub", unheardOf), 401, oauth2.ReasonUnknownClient, ""},
		"a subject that has a secret":    {claim("sub", reporting), 401, oauth2.ReasonWrongMethod, ""},
		"no audience":                    {claim("aud", nil), 401, oauth2.ReasonWrongAssertion, "aud must"},
		"no audience in the list":        {claim("aud", []string{}), 401, oauth2.ReasonWrongAssertion, "aud must"},
		"the token endpoint as audience": {claim("aud", testIssuer+oauth2.TokenPath), 401, oauth2.ReasonWrongAssertion, "aud must"},
		"one audience more":              {claim("aud", []string{testIssuer, "https://other.test"}), 401, oauth2.ReasonWrongAssertion, "aud must"},
		"the issuer twice":               {claim("aud", []string{testIssuer, testIssuer}), 401, oauth2.ReasonWrongAssertion, "aud must"},
		"no end":                         {claim("exp", nil), 401, oauth2.ReasonWrongAssertion, "exp must be there"},
		"an end that is a string":        {claim("exp", "1795435260"), 401, oauth2.ReasonWrongAssertion, "numbers of seconds"},
		"an end that has come":           {claim("exp", noon.Add(-time.Minute).Unix()), 401, oauth2.ReasonAssertionExpired, "it has expired"},
		"an end too far ahead":           {claim("exp", noon.Add(6*time.Minute+time.Second).Unix()), 401, oauth2.ReasonAssertionExpired, "exp is more than 5m0s ahead"},
		"a beginning to come":            {claim("nbf", noon.Add(61*time.Second).Unix()), 401, oauth2.ReasonAssertionExpired, "in the future"},
		"made in the future":             {claim("iat", noon.Add(61*time.Second).Unix()), 401, oauth2.ReasonAssertionExpired, "in the future"},
		"no id":                          {claim("jti", nil), 401, oauth2.ReasonWrongAssertion, "jti must"},
		"an empty id":                    {claim("jti", ""), 401, oauth2.ReasonWrongAssertion, "jti must"},
		"an endless id":                  {claim("jti", strings.Repeat("a", 257)), 401, oauth2.ReasonWrongAssertion, "jti must"},
		"no JWT":                         {func(*world) string { return withAssertion("abc") }, 401, oauth2.ReasonMalformedCredential, ""},
		"no assertion":                   {func(*world) string { return withAssertion("") }, 401, oauth2.ReasonMalformedCredential, ""},
		"SAML": {func(w *world) string {
			return strings.Replace(sent("")(w), "jwt-bearer", "saml2-bearer", 1)
		}, 401, oauth2.ReasonWrongMethod, ""},
		"another client_id beside it": {sent("&client_id=" + reporting), 401, oauth2.ReasonWrongMethod, ""},
		"a client_secret beside it":   {sent("&client_id=" + keyed + "&client_secret=" + strings.Repeat("x", 43)), 400, oauth2.ReasonSeveralMethods, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.registerKeys(keyed, signer)
			answer := w.do(call{body: c.body(w)})
			told := answer.Body.String() == notAuthenticated
			if c.rule != "" {
				told = strings.Contains(answer.Body.String(), "the signature of the assertion is good, but ") && strings.Contains(answer.Body.String(), c.rule)
			}
			if answer.Code != c.status || c.status == 401 && !told {
				t.Errorf("got %d %s", answer.Code, answer.Body)
			}
			if got := w.lastAudit()["reason"]; got != string(c.reason) {
				t.Errorf("the audit line says %v, want %s", got, c.reason)
			}
		})
	}
}

// The libraries of callers make assertions that live for one to ten minutes, by clocks that differ
// from ours.
func TestHowLongAnAssertionMayLive(t *testing.T) {
	signer := newSigner(t, jws.ES256)
	for name, c := range map[string]struct {
		longest time.Duration
		isGrant bool
		claim   string
		at      time.Duration
		want    int
	}{
		"five minutes, and a minute for the clocks": {claim: "exp", at: 6 * time.Minute, want: 200},
		"no longer":                                                {claim: "exp", at: 6*time.Minute + time.Second, want: 401},
		"ten minutes if the client says so":                        {longest: 10 * time.Minute, claim: "exp", at: 11 * time.Minute, want: 200},
		"not longer than the client says":                          {longest: 10 * time.Minute, claim: "exp", at: 11*time.Minute + time.Second, want: 401},
		"thirty minutes, as the OpenTelemetry collector makes it":  {longest: 30 * time.Minute, isGrant: true, claim: "exp", at: 30 * time.Minute, want: 200},
		"as the grant, and a minute for the clocks":                {longest: 30 * time.Minute, isGrant: true, claim: "exp", at: 31 * time.Minute, want: 200},
		"as the grant, no longer":                                  {longest: 30 * time.Minute, isGrant: true, claim: "exp", at: 31*time.Minute + time.Second, want: 400},
		"as the grant, five minutes unless the client says more":   {isGrant: true, claim: "exp", at: 6*time.Minute + time.Second, want: 400},
		"a client assertion ten minutes, whatever the client says": {longest: 30 * time.Minute, claim: "exp", at: 11 * time.Minute, want: 200},
		"a client assertion never longer":                          {longest: 30 * time.Minute, claim: "exp", at: 11*time.Minute + time.Second, want: 401},
		"one minute if the client says so":                         {longest: time.Minute, claim: "exp", at: 2 * time.Minute, want: 200},
		"not longer than a short life":                             {longest: time.Minute, claim: "exp", at: 2*time.Minute + time.Second, want: 401},
		"it has expired for less than a minute":                    {claim: "exp", at: -59 * time.Second, want: 200},
		"it has expired for a minute":                              {claim: "exp", at: -time.Minute, want: 401},
		"it was issued by a clock that is ahead by a minute":       {claim: "iat", at: time.Minute, want: 200},
		"by more it is refused":                                    {claim: "iat", at: 61 * time.Second, want: 401},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.registerKeys(keyed, signer)
			w.dir.known[keyed].Client.Credentials.MaxAssertionLife = c.longest
			w.allow(keyed)
			body := withAssertion
			if c.isGrant {
				body = asGrant
			}
			if answer := w.do(call{body: body(w.assertion(signer, "JWT", map[string]any{c.claim: w.now.Add(c.at).Unix()}))}); answer.Code != c.want {
				t.Errorf("got %d %s", answer.Code, answer.Body)
			}
		})
	}
}

func TestAnAssertionIsRememberedAsLongAsItIsAccepted(t *testing.T) {
	w, signer := newWorld(t), newSigner(t, jws.ES256)
	w.registerKeys(keyed, signer)
	once := withAssertion(w.assertion(signer, "JWT", map[string]any{"exp": w.now.Add(5 * time.Minute).Unix()}))
	if answer := w.do(call{body: once}); answer.Code != http.StatusOK {
		t.Fatalf("got %d %s", answer.Code, answer.Body)
	}
	for w.now = w.now.Add(time.Second); w.now.Before(noon.Add(7 * time.Minute)); w.now = w.now.Add(29 * time.Second) {
		if answer := w.do(call{body: once}); answer.Code != http.StatusUnauthorized && answer.Code != http.StatusTooManyRequests {
			t.Fatalf("after %s it is accepted once more: %d %s", w.now.Sub(noon), answer.Code, answer.Body)
		}
	}
}

func TestClientsUseTheMethodThatTheyRegistered(t *testing.T) {
	w, signer := newWorld(t), newSigner(t, jws.ES256)
	w.registerKeys(keyed, signer)
	right := w.assertion(signer, "JWT", nil)
	if answer := w.do(call{basic: reporting, body: withAssertion(right)}); answer.Code != http.StatusBadRequest {
		t.Errorf("Basic beside an assertion: %d", answer.Code)
	}
	// A secret that was valid before the client changed to keys.
	c := w.dir.known[keyed].Client
	c.Credentials.Verifiers = []oauth2.Verifier{{ID: "old", Digest: oauth2.DigestSecret(c.UID, oauth2.NewSecret(w.secrets[keyed]))}}
	answer := w.do(call{basic: keyed, body: grant})
	if answer.Code != http.StatusUnauthorized || w.lastAudit()["reason"] != string(oauth2.ReasonWrongMethod) {
		t.Errorf("a secret of a client with keys: %d, %v", answer.Code, w.lastAudit()["reason"])
	}
	// And keys of one that has a secret.
	w.dir.known[reporting].Client.Credentials.Keys = c.Credentials.Keys
	answer = w.do(call{body: withAssertion(w.assertion(signer, "JWT", map[string]any{"iss": reporting, "sub": reporting}))})
	if answer.Code != http.StatusUnauthorized || w.lastAudit()["reason"] != string(oauth2.ReasonWrongMethod) {
		t.Errorf("an assertion of a client with a secret: %d, %v", answer.Code, w.lastAudit()["reason"])
	}
	w.dir.known[keyed].Owner.Suspended, w.dir.source[keyed] = true, w.dir.known[keyed]
	if w.do(call{body: withAssertion(right)}); w.lastAudit()["reason"] != string(oauth2.ReasonSuspended) {
		t.Errorf("a suspended client: %v", w.lastAudit())
	}
}

// A client that is asked to wait sends the same assertion again.
func TestAnAssertionThatIsThrottledIsNotUsedUp(t *testing.T) {
	w, signer := newWorld(t, func(c *settings) { c.ClientRate = 1 }), newSigner(t, jws.ES256)
	w.registerKeys(keyed, signer)
	send := func(jti string, want int) {
		t.Helper()
		if answer := w.do(call{body: withAssertion(w.assertion(signer, "JWT", map[string]any{"jti": jti, "exp": noon.Add(time.Minute).Unix()}))}); answer.Code != want {
			t.Errorf("%s at %s: %d %s, want %d", jti, w.now.Sub(noon), answer.Code, answer.Body, want)
		}
	}
	for i := range clientBurstSeconds {
		send(strconv.Itoa(i), http.StatusOK)
	}
	send("once", http.StatusTooManyRequests)
	w.now = w.now.Add(time.Second)
	send("once", http.StatusOK)
	w.now = w.now.Add(time.Second)
	for range 10 { // a used one that is repeated takes nothing from the client
		send("once", http.StatusUnauthorized)
	}
	send("the next", http.StatusOK)
}

func TestAssertionIsUsedOnce(t *testing.T) {
	w, signer := newWorld(t), newSigner(t, jws.ES256)
	w.registerKeys(keyed, signer)
	once := w.assertion(signer, "JWT", nil)
	for i, want := range []int{200, 401, 401} {
		if answer := w.do(call{body: withAssertion(once)}); answer.Code != want {
			t.Errorf("time %d: %d %s", i+1, answer.Code, answer.Body)
		}
	}
	if got := w.lastAudit()["reason"]; got != string(oauth2.ReasonAssertionReplayed) {
		t.Errorf("the audit line says %v", got)
	}
	if answer := w.do(call{path: oauth2.IntrospectionPath, body: withAssertion(once) + "&token=x"}); answer.Code != http.StatusUnauthorized {
		t.Errorf("at the other endpoint: %d", answer.Code)
	}
	again := w.assertion(signer, "JWT", map[string]any{"jti": "a"})
	w.do(call{body: withAssertion(again)})
	w.now = w.now.Add(2 * time.Minute)
	if answer := w.do(call{body: withAssertion(w.assertion(signer, "JWT", map[string]any{"jti": "a"}))}); answer.Code != http.StatusOK {
		t.Errorf("an id of an assertion that has long expired: %d", answer.Code)
	}
}

func TestKeysThatMemoryDoesNotHaveAreLookedUp(t *testing.T) {
	w, signer := newWorld(t), newSigner(t, jws.ES256)
	w.registerKeys(keyed, signer)
	w.onlyAtSource(keyed)
	if answer := w.do(call{body: withAssertion(w.assertion(signer, "JWT", nil))}); answer.Code != http.StatusOK {
		t.Errorf("got %d %s", answer.Code, answer.Body)
	}
}
