// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const bearerGrant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"

// asGrant is the body of a token request whose grant is an assertion.
func asGrant(assertion string) string { return bearerGrant + "&assertion=" + assertion }

// allow lets clients use both grant types.
func (w *world) allow(ids ...string) {
	for _, id := range ids {
		w.dir.known[id].Client.GrantTypes = oauth2.ClientCredentials | oauth2.JWTBearer
	}
}

// refused is the error of an answer.
func refused(t *testing.T, body []byte) (code, description string) {
	t.Helper()
	var refusal struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(body, &refusal); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return refusal.Error, refusal.Description
}

func TestAnAssertionIsAGrant(t *testing.T) {
	t.Run("of the key of a client", func(t *testing.T) {
		for _, algorithm := range []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA} {
			w, signer := newWorld(t), newSigner(t, algorithm)
			w.registerKeys(keyed, signer)
			w.allow(keyed)
			answer := w.do(call{body: asGrant(w.assertion(signer, "JWT", nil)) + "&scope=read"})
			if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), `"scope":"read"`) {
				t.Errorf("%s: %d %s: %v", algorithm, answer.Code, answer.Body, w.lastAudit())
			}
			if line := w.lastAudit(); line["method"] != "private_key_jwt" || line["credential"] != signer.Public().ID || line["client_id"] != keyed {
				t.Errorf("audit line %v", line)
			}
		}
	})
	t.Run("of a service account, without a client_id", func(t *testing.T) {
		w := newAccountWorld(t)
		w.allow(podded)
		answer := w.do(call{body: asGrant(w.sign(w.signer, "", nil))})
		if answer.Code != http.StatusOK || w.lastAudit()["method"] != "service_account_jwt" || w.cluster.reviewed != 1 {
			t.Errorf("%d %s: %v, %d reviews", answer.Code, answer.Body, w.lastAudit(), w.cluster.reviewed)
		}
	})
	t.Run("of a trusted issuer", func(t *testing.T) {
		w := newCIWorld(t)
		w.allow(ciClient)
		answer := w.do(call{body: asGrant(w.sign(w.signer, "JWT", nil)) + "&client_id=" + ciClient})
		if answer.Code != http.StatusOK || w.lastAudit()["method"] != "federated_jwt" {
			t.Errorf("%d %s: %v", answer.Code, answer.Body, w.lastAudit())
		}
	})
}

// Each mistake is refused for the reason for which a client assertion is refused.
func TestABadAssertionIsABadGrant(t *testing.T) {
	signer, other := newSigner(t, jws.ES256), newSigner(t, jws.ES256)
	changed := func(name string, value any) func(w *world) string {
		return func(w *world) string { return w.assertion(signer, "JWT", map[string]any{name: value}) }
	}
	for name, assertion := range map[string]func(w *world) string{
		"another's key":               func(w *world) string { return w.assertion(other, "JWT", nil) },
		"a tampered signature":        func(w *world) string { return tamper(w.assertion(signer, "JWT", nil)) },
		"the type of an access token": func(w *world) string { return w.assertion(signer, oauth2.TokenType, nil) },
		"an access token":             func(w *world) string { return w.token(reporting) },
		"another issuer":              changed("iss", reporting),
		"no subject":                  changed("sub", nil),
		"an unknown subject":          changed("sub", unheardOf),
		"a subject that has a secret": changed("sub", reporting),
		"another audience":            changed("aud", "https://other.test"),
		"two audiences":               changed("aud", []string{testIssuer, "https://other.test"}),
		"no end":                      changed("exp", nil),
		"an end that has come":        changed("exp", noon.Add(-time.Minute).Unix()),
		"a day":                       changed("exp", noon.Add(24*time.Hour).Unix()),
		"made in the future":          changed("iat", noon.Add(61*time.Second).Unix()),
		"no id":                       changed("jti", nil),
		"no JWT":                      func(*world) string { return "abc" },
	} {
		t.Run(name, func(t *testing.T) {
			var reasons [2]any
			for i, body := range []func(string) string{withAssertion, asGrant} {
				w := newWorld(t)
				w.registerKeys(keyed, signer)
				w.allow(keyed)
				answer := w.do(call{body: body(assertion(w))})
				reasons[i] = w.lastAudit()["reason"]
				if i == 0 {
					continue
				}
				code, description := refused(t, answer.Body.Bytes())
				if answer.Code != http.StatusBadRequest || code != "invalid_grant" || !strings.HasPrefix(description, "the assertion is not accepted") {
					t.Errorf("%d %s", answer.Code, answer.Body)
				}
				if got := answer.Header().Get("WWW-Authenticate"); got != "" {
					t.Errorf("WWW-Authenticate: %s", got)
				}
			}
			if reasons[0] != reasons[1] || reasons[0] == nil {
				t.Errorf("as a client assertion %v, as a grant %v", reasons[0], reasons[1])
			}
		})
	}
}

func TestTheGrantOfAnAssertionHasItAlone(t *testing.T) {
	w, signer := newWorld(t, func(c *settings) { c.TokenByGet = true }), newSigner(t, jws.ES256)
	w.registerKeys(keyed, signer)
	w.allow(keyed)
	good := w.assertion(signer, "JWT", nil)
	beside := "send no other credential beside it"
	for name, c := range map[string]struct {
		call call
		says string
	}{
		"no assertion":                     {call{body: bearerGrant}, "assertion is missing"},
		"an empty one":                     {call{body: asGrant("")}, "assertion is missing"},
		"a client assertion in its place":  {call{body: strings.Replace(withAssertion(good), grant, bearerGrant, 1)}, beside},
		"a client assertion beside it":     {call{body: asGrant(good) + "&client_assertion=" + good}, beside},
		"the type of one beside it":        {call{body: asGrant(good) + "&client_assertion_type=" + url.QueryEscape(oauth2.AssertionType)}, beside},
		"a client secret beside it":        {call{body: asGrant(good) + "&" + w.post(reporting)}, beside},
		"Basic beside it":                  {call{body: asGrant(good), basic: reporting}, beside},
		"a Bearer token beside it":         {call{body: asGrant(good), header: http.Header{"Authorization": {"Bearer abc"}}}, beside},
		"two of them":                      {call{body: asGrant(good) + "&assertion=" + good}, "more than once"},
		"one in a URL":                     {call{method: http.MethodGet, path: oauth2.TokenPath + "?" + asGrant(good)}, "credentials do not belong in a URL"},
		"one in a URL with a right secret": {call{method: http.MethodGet, path: oauth2.TokenPath + "?" + grant + "&assertion=" + good, basic: reporting}, "credentials do not belong in a URL"},
	} {
		answer := w.do(c.call)
		if code, description := refused(t, answer.Body.Bytes()); answer.Code != http.StatusBadRequest || code != "invalid_request" || !strings.Contains(description, c.says) {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
	if answer := w.do(call{body: asGrant(good)}); answer.Code != http.StatusOK {
		t.Errorf("the assertion was used up: %d %s", answer.Code, answer.Body)
	}
}

// The assertion of a grant authenticates at no other endpoint.
func TestAnAssertionIsNoGrantElsewhere(t *testing.T) {
	for _, path := range []string{oauth2.IntrospectionPath, oauth2.RevocationPath, oauth2.RevocationFeedPath} {
		w, signer := newWorld(t), newSigner(t, jws.ES256)
		w.registerKeys(keyed, signer)
		w.allow(keyed)
		answer := w.do(call{path: path, body: asGrant(w.assertion(signer, "JWT", nil)) + "&token=x"})
		if answer.Code != http.StatusUnauthorized || w.lastAudit()["reason"] != string(oauth2.ReasonNoCredentials) {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
}

func TestAClientNeedsTheGrantTypeOfItsRequest(t *testing.T) {
	for name, c := range map[string]struct {
		has    oauth2.GrantTypes
		bearer bool
		want   int
	}{
		"an assertion, of a client without grant types":   {0, true, http.StatusBadRequest},
		"an assertion, of a client with it":               {oauth2.JWTBearer, true, http.StatusOK},
		"client credentials, of a client without them":    {oauth2.JWTBearer, false, http.StatusBadRequest},
		"client credentials, of a client with both":       {oauth2.ClientCredentials | oauth2.JWTBearer, false, http.StatusOK},
		"client credentials, of one without grant types":  {0, false, http.StatusOK},
		"an assertion, of a client with both grant types": {oauth2.ClientCredentials | oauth2.JWTBearer, true, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			w, signer := newWorld(t), newSigner(t, jws.ES256)
			w.registerKeys(keyed, signer)
			w.dir.known[keyed].Client.GrantTypes = c.has
			body := withAssertion
			if c.bearer {
				body = asGrant
			}
			answer := w.do(call{body: body(w.assertion(signer, "JWT", nil))})
			if answer.Code != c.want {
				t.Fatalf("%d %s", answer.Code, answer.Body)
			}
			if c.want == http.StatusOK {
				return
			}
			code, description := refused(t, answer.Body.Bytes())
			if code != "unauthorized_client" || !strings.Contains(description, "spec.grantTypes") || w.lastAudit()["reason"] != string(oauth2.ReasonGrantTypeNotAllowed) {
				t.Errorf("%s: %v", answer.Body, w.lastAudit())
			}
			if answer := w.do(call{path: oauth2.IntrospectionPath, body: withAssertion(w.assertion(signer, "JWT", nil)) + "&token=x"}); answer.Code != http.StatusOK {
				t.Errorf("introspection, which is no grant: %d %s", answer.Code, answer.Body)
			}
		})
	}
}

// One table has the assertions that were used, whichever way they came.
func TestAnAssertionIsUsedOnceBothWays(t *testing.T) {
	for name, ways := range map[string][2]func(string) string{
		"as a grant, and then as a client assertion": {asGrant, withAssertion},
		"as a client assertion, and then as a grant": {withAssertion, asGrant},
		"as a grant twice":                           {asGrant, asGrant},
	} {
		w, signer := newWorld(t), newSigner(t, jws.ES256)
		w.registerKeys(keyed, signer)
		w.allow(keyed)
		once := w.assertion(signer, "JWT", nil)
		if answer := w.do(call{body: ways[0](once)}); answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
		answer := w.do(call{body: ways[1](once)})
		if answer.Code == http.StatusOK || w.lastAudit()["reason"] != string(oauth2.ReasonAssertionReplayed) {
			t.Errorf("%s, the second time: %d %s", name, answer.Code, answer.Body)
		}
	}
}

// An issuer whose JWTs are accepted once has the same table.
func TestAJWTOfAnIssuerIsUsedOnceBothWays(t *testing.T) {
	w := newCIWorld(t)
	w.allow(ciClient)
	w.trusted.Once = true
	once := w.sign(w.signer, "JWT", nil)
	if answer := w.do(call{body: fromCI(once)}); answer.Code != http.StatusOK {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	answer := w.do(call{body: asGrant(once) + "&client_id=" + ciClient})
	if code, _ := refused(t, answer.Body.Bytes()); code != "invalid_grant" || w.lastAudit()["reason"] != string(oauth2.ReasonAssertionReplayed) {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

// The grant is no second budget: neither of tokens nor of failed attempts.
func TestTheLimitsAreThoseOfClientAssertions(t *testing.T) {
	w, signer := newWorld(t, func(c *settings) { c.ClientRate = 1 }), newSigner(t, jws.ES256)
	w.registerKeys(keyed, signer)
	w.allow(keyed)
	numbered := func(i int) string {
		return w.assertion(signer, "JWT", map[string]any{"jti": strconv.Itoa(i), "exp": noon.Add(time.Minute).Unix()})
	}
	for i := range clientBurstSeconds {
		body := withAssertion(numbered(i))
		if i%2 == 0 {
			body = asGrant(numbered(i))
		}
		if answer := w.do(call{body: body}); answer.Code != http.StatusOK {
			t.Fatalf("%d: %d %s", i, answer.Code, answer.Body)
		}
	}
	for _, body := range []string{asGrant(numbered(98)), withAssertion(numbered(99))} {
		if answer := w.do(call{body: body}); answer.Code != http.StatusTooManyRequests {
			t.Errorf("beyond the rate: %d %s", answer.Code, answer.Body)
		}
	}
	w.now = w.now.Add(time.Second)
	if answer := w.do(call{body: asGrant(numbered(98))}); answer.Code != http.StatusOK {
		t.Errorf("a throttled assertion was used up: %d %s", answer.Code, answer.Body)
	}
	failing := newWorld(t)
	failing.registerKeys(keyed, signer)
	failing.allow(keyed)
	for i := range failureBurst {
		body := withAssertion
		if i%2 == 0 {
			body = asGrant
		}
		failing.do(call{body: body(failing.assertion(newSigner(t, jws.ES256), "JWT", nil))})
	}
	if answer := failing.do(call{body: asGrant(failing.assertion(newSigner(t, jws.ES256), "JWT", nil))}); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("beyond the failed attempts: %d %s", answer.Code, answer.Body)
	}
}

// A pod whose token the cluster no longer honours has a bad grant.
func TestTheTokenOfADeletedPodIsABadGrant(t *testing.T) {
	w := newAccountWorld(t)
	w.allow(podded)
	w.cluster.verdict = oauth2.Dishonoured
	answer := w.do(call{body: asGrant(w.sign(w.signer, "", nil))})
	if code, _ := refused(t, answer.Body.Bytes()); answer.Code != http.StatusBadRequest || code != "invalid_grant" || w.lastAudit()["reason"] != string(oauth2.ReasonAccountTokenEnded) {
		t.Errorf("%d %s: %v", answer.Code, answer.Body, w.lastAudit())
	}
	w.cluster.verdict = oauth2.Honoured
	w.register("shop.second")
	second := w.dir.known["shop.second"].Client
	second.Credentials = w.dir.known[podded].Client.Credentials
	w.dir.source["shop.second"] = w.dir.known["shop.second"]
	w.now = w.now.Add(time.Minute)
	answer = w.do(call{body: asGrant(w.sign(w.signer, "", nil))})
	if code, _ := refused(t, answer.Body.Bytes()); answer.Code != http.StatusBadRequest || code != "invalid_request" {
		t.Errorf("a token that means two clients: %d %s", answer.Code, answer.Body)
	}
}
