// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The letters that RFC 6749 section 5.2 allows in error and error_description.
func TestErrorsKeepToTheLettersOfTheirClause(t *testing.T) {
	letters := regexp.MustCompile(`^[\x20-\x21\x23-\x5b\x5d-\x7e]+$`)
	w := newWorld(t)
	for name, c := range refusals(w) {
		var members map[string]string
		answer := w.do(c.call)
		if err := json.Unmarshal(answer.Body.Bytes(), &members); err != nil {
			t.Fatalf("%s: %s: %v", name, answer.Body, err)
		}
		for member, value := range members {
			if member != "error" && member != "error_description" || !letters.MatchString(value) {
				t.Errorf("%s: %s is %q", name, member, value)
			}
		}
	}
}

// Every string of the metadata that names an endpoint leads there, and no list is empty.
func TestMetadataTellsTheTruth(t *testing.T) {
	w := newWorld(t)
	answer := w.do(call{method: http.MethodGet, path: oauth2.MetadataPath})
	var document map[string]any
	if err := json.Unmarshal(answer.Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	if document["issuer"] != testIssuer || answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %s of issuer %v", answer.Code, answer.Header().Get("Content-Type"), document["issuer"])
	}
	for name, value := range document {
		switch value := value.(type) {
		case string:
			if name == "issuer" {
				continue
			}
			path, ours := strings.CutPrefix(value, testIssuer)
			method := http.MethodPost
			if name == "jwks_uri" || name == "authorization_endpoint" {
				method = http.MethodGet
			}
			if code := w.do(call{method: method, path: path}).Code; !ours || code == http.StatusNotFound || code == http.StatusMethodNotAllowed {
				t.Errorf("%s is %s, where %s gets %d", name, value, method, code)
			}
		case []any:
			if len(value) == 0 {
				t.Errorf("%s is empty", name)
			}
			for _, element := range value {
				if strings.Contains(name, "signing_alg") && (element == "none" || element == "HS256") {
					t.Errorf("%s has %v", name, element)
				}
			}
		}
	}
	if types, _ := document["response_types_supported"].([]any); slices.Contains(types, any("code")) {
		t.Error("it promises codes, which no endpoint issues")
	}
	for _, required := range []string{"token_endpoint", "jwks_uri", "authorization_endpoint", "code_challenge_methods_supported", "response_types_supported", "token_endpoint_auth_signing_alg_values_supported",
		"introspection_endpoint_auth_signing_alg_values_supported"} {
		if document[required] == nil {
			t.Errorf("%s is missing", required)
		}
	}
}

// RS256 has to be among what a server of RFC 9068 can sign with; a client gets what it asks for,
// and the key set and the metadata have all of it.
func TestTokensOfEachAlgorithm(t *testing.T) {
	w := newWorld(t)
	policy := keyring.DefaultPolicy(time.Hour)
	policy.Algorithms = []jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA}
	rotation, err := keyring.Rotate(keyring.Ring{}, keyring.At(w.now), policy, keyring.Order{}, keyring.Generate)
	if err != nil {
		t.Fatal(err)
	}
	w.dir.ring = rotation.Ring
	set, err := jws.ParseKeySet(w.do(call{method: http.MethodGet, path: oauth2.JWKSPath}).Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[jws.Algorithm]jws.Algorithm{"": jws.ES256, jws.ES256: jws.ES256, jws.RS256: jws.RS256, jws.EdDSA: jws.EdDSA} {
		w.dir.known[reporting].Client.Tokens.Algorithm = asked
		message, err := jws.Parse(w.token(reporting))
		if err != nil {
			t.Fatal(err)
		}
		if message.Header.Algorithm != want || message.Header.Type != "at+jwt" {
			t.Errorf("asked for %q: %s of type %s", asked, message.Header.Algorithm, message.Header.Type)
		}
		key, err := set.Key(message.Header)
		if err != nil {
			t.Fatalf("the key of %s is not in the set: %v", want, err)
		}
		if _, err := message.Verify(key); err != nil {
			t.Errorf("%s: %v", want, err)
		}
	}
	var metadata struct {
		IDToken, AccessToken []jws.Algorithm
	}
	document := w.do(call{method: http.MethodGet, path: oauth2.MetadataPath}).Body.Bytes()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(document, &members); err != nil {
		t.Fatal(err)
	}
	for member, list := range map[string]*[]jws.Algorithm{
		"id_token_signing_alg_values_supported": &metadata.IDToken, "access_token_signing_alg_values_supported": &metadata.AccessToken,
	} {
		if err := json.Unmarshal(members[member], list); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(policy.Algorithms, *list); diff != "" {
			t.Errorf("%s (-want +got):\n%s", member, diff)
		}
	}
}

func TestAnAlgorithmThatIsNotEnabledIsSaidSo(t *testing.T) {
	w := newWorld(t)
	w.dir.known[reporting].Client.Tokens.Algorithm = jws.RS256
	answer := w.do(call{basic: reporting, body: grant})
	if answer.Code != http.StatusBadRequest || !strings.HasPrefix(answer.Body.String(), `{"error":"unauthorized_client","error_description":"`) {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	if line := w.lastAudit(); line["reason"] != string(oauth2.ReasonAlgorithmNotEnabled) || line["client_id"] != reporting {
		t.Errorf("the audit line is %v", line)
	}
	w.dir.known[reporting].Client.Tokens.Algorithm = ""
	token := w.token(reporting)
	w.dir.known[reporting].Client.Tokens.Algorithm = jws.RS256
	if answer := w.do(w.introspect(reporting, token)); !strings.HasPrefix(answer.Body.String(), `{"active":true`) {
		t.Errorf("its older token: %s", answer.Body)
	}
}

// The payload on the wire: the claims that RFC 9068 section 2.2 requires, each of its type, and
// ours.
func TestTheClaimsOfATokenOnTheWire(t *testing.T) {
	w := newWorld(t)
	message, err := jws.Parse(w.token(reporting))
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(message.Unverified(), &claims); err != nil {
		t.Fatal(err)
	}
	if id, _ := claims["jti"].(string); len(id) != 22 {
		t.Errorf("jti is %v, want 128 bits", claims["jti"])
	}
	delete(claims, "jti")
	want := map[string]any{
		"iss": testIssuer, "sub": reporting, "aud": testIssuer + "/ns/shop", "client_id": reporting, "client_uid": "uid-of-" + reporting,
		"scope": "read write", "iat": float64(noon.Unix()), "exp": float64(noon.Add(time.Hour).Unix()),
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

// Introspection holds exp to the second on both sides, whatever lifetime the client has.
func TestIntrospectionAroundExp(t *testing.T) {
	for _, lifetime := range []time.Duration{time.Minute, 90 * time.Second, time.Hour} {
		w := newWorld(t)
		w.dir.known[reporting].Client.Tokens.Lifetime = lifetime
		token := w.token(reporting)
		for offset, active := range map[time.Duration]bool{-time.Second: true, -time.Nanosecond: true, 0: false, time.Second: false} {
			w.now = noon.Add(lifetime + offset)
			answer := w.do(w.introspect(reporting, token))
			if got := strings.HasPrefix(answer.Body.String(), `{"active":true`); got != active {
				t.Errorf("a token of %s at exp%+d ns: %s", lifetime, offset, answer.Body)
			}
		}
	}
}

// A parameter without a value is one that was left out, at both endpoints and whichever it is.
func TestParametersWithoutAValueAreLeftOut(t *testing.T) {
	w := newWorld(t)
	empty := "&scope=&resource=&client_id=&client_secret=&client_assertion=&client_assertion_type=&colour="
	if answer := w.do(call{basic: reporting, body: grant + empty}); answer.Code != http.StatusOK {
		t.Errorf("token: %d %s", answer.Code, answer.Body)
	}
	c := call{path: oauth2.IntrospectionPath, basic: reporting, body: "token=" + w.token(reporting) + "&token_type_hint=&client_secret="}
	if answer := w.do(c); !strings.HasPrefix(answer.Body.String(), `{"active":true`) {
		t.Errorf("introspection: %d %s", answer.Code, answer.Body)
	}
}

// A token is never taken from the query of the endpoints that clients call, nor is one of these a
// proxy's endpoint.
func TestTokensAreNotTakenFromURLs(t *testing.T) {
	w := newWorld(t)
	token := url.QueryEscape(w.token(reporting))
	for path, want := range map[string]int{
		oauth2.IntrospectionPath + "?token=" + token:        http.StatusBadRequest,
		oauth2.IntrospectionPath + "?access_token=" + token: http.StatusBadRequest,
	} {
		if answer := w.do(call{path: path, basic: reporting}); answer.Code != want {
			t.Errorf("%s: %d %s, want %d", path[:30], answer.Code, answer.Body, want)
		}
	}
}
