// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestKeysArePublished(t *testing.T) {
	w := newWorld(t)
	answer := w.do(call{method: http.MethodGet, path: oauth2.JWKSPath})
	checkHeaders(t, answer.Header(), http.Header{
		"Content-Type": {"application/jwk-set+json"}, "Cache-Control": {"public, max-age=900"}, "Pragma": nil, "X-Content-Type-Options": {"nosniff"},
	})
	var set map[string][]map[string]string
	if err := json.Unmarshal(answer.Body.Bytes(), &set); err != nil {
		t.Fatal(err)
	}
	key, err := w.dir.ring.SigningKey(w.now)
	if err != nil {
		t.Fatal(err)
	}
	for _, coordinate := range []string{"x", "y"} {
		if len(set["keys"][0][coordinate]) != 43 {
			t.Errorf("%s is %q", coordinate, set["keys"][0][coordinate])
		}
		delete(set["keys"][0], coordinate)
	}
	want := map[string][]map[string]string{"keys": {{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key.ID()}}}
	if diff := cmp.Diff(want, set); diff != "" {
		t.Error("JWK set (-want +got):\n" + diff)
	}
}

func TestMetadataIsTheSameAtBothPlaces(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		answer := w.do(call{method: http.MethodGet, path: path, header: http.Header{
			"Host": {"evil.test"}, "X-Forwarded-Host": {"evil.test"}, "Forwarded": {"host=evil.test"},
		}})
		var indented bytes.Buffer
		if err := json.Indent(&indented, answer.Body.Bytes(), "", "  "); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantMetadata, indented.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		checkHeaders(t, answer.Header(), http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"public, max-age=900"}})
	}
}

const wantMetadata = `{
  "issuer": "https://hallpass.test",
  "authorization_endpoint": "https://hallpass.test/oauth2/authorize",
  "token_endpoint": "https://hallpass.test/oauth2/token",
  "introspection_endpoint": "https://hallpass.test/oauth2/introspect",
  "revocation_endpoint": "https://hallpass.test/oauth2/revoke",
  "jwks_uri": "https://hallpass.test/oauth2/jwks",
  "grant_types_supported": [
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:token-exchange"
  ],
  "authorization_grant_profiles_supported": [
    "urn:ietf:params:oauth:grant-profile:id-jag"
  ],
  "response_types_supported": [
    "none"
  ],
  "code_challenge_methods_supported": [
    "S256"
  ],
  "subject_types_supported": [
    "public"
  ],
  "token_endpoint_auth_methods_supported": [
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt"
  ],
  "token_endpoint_auth_signing_alg_values_supported": [
    "ES256",
    "RS256",
    "PS256",
    "EdDSA",
    "Ed25519"
  ],
  "introspection_endpoint_auth_methods_supported": [
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt"
  ],
  "introspection_endpoint_auth_signing_alg_values_supported": [
    "ES256",
    "RS256",
    "PS256",
    "EdDSA",
    "Ed25519"
  ],
  "revocation_endpoint_auth_methods_supported": [
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt"
  ],
  "revocation_endpoint_auth_signing_alg_values_supported": [
    "ES256",
    "RS256",
    "PS256",
    "EdDSA",
    "Ed25519"
  ],
  "id_token_signing_alg_values_supported": [
    "ES256"
  ],
  "access_token_signing_alg_values_supported": [
    "ES256"
  ],
  "introspection_signing_alg_values_supported": [
    "ES256"
  ]
}`

func TestPublicDocumentsAnswerGetAndHeadOnly(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]int{
		oauth2.JWKSPath: http.StatusOK, oauth2.MetadataPath: http.StatusOK, oauth2.DiscoveryPath: http.StatusOK, oauth2.AuthorizationPath: http.StatusBadRequest,
	} {
		if answer := w.do(call{method: http.MethodHead, path: path}); answer.Code != want {
			t.Errorf("HEAD %s: %d", path, answer.Code)
		}
		answer := w.do(call{method: http.MethodPost, path: path})
		if answer.Code != http.StatusMethodNotAllowed || answer.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d, Allow %q", path, answer.Code, answer.Header().Get("Allow"))
		}
	}
}

// auditFields is every field that an audit line may have.
var auditFields = []string{
	"time", "level", "msg", "request_id", "caller_request_id", "endpoint", "outcome", "status", "source", "reason", "token_denial", "client_id", "method", "credential",
	"jti", "token_client_id", "aud", "scope",
}

// Everything that a caller sends carries a marker; no audit line and no metric may show it, nor any
// token or secret.
func TestAuditAndMetricsHoldNoSecretAndNoUnknownField(t *testing.T) {
	const canary = "CANARY-7f3a"
	w := newWorld(t)
	token := w.token(reporting)
	w.do(w.introspect(billing, token))
	w.do(w.introspect(stranger, token))
	w.do(w.introspect(stranger, canary+"."+canary+"."+canary))
	for name := range refusals(w) {
		w.do(refusals(w)[name].call)
	}
	for _, c := range []call{
		{body: grant, header: basicHeader("shop.x:" + canary + strings.Repeat("x", 30))},
		{body: grant, header: basicHeader(canary + "é:" + canary)},
		{body: grant, header: http.Header{"Authorization": {"Bearer " + canary}}},
		{body: "client_id=shop.x&client_secret=" + canary + strings.Repeat("y", 30)},
		{body: "grant_type=" + canary, basic: reporting},
		{body: grant + "&scope=" + canary, basic: reporting},
		{body: grant + "&resource=" + canary, basic: reporting},
		{path: "/" + canary + "?" + canary, header: http.Header{"User-Agent": {canary}, "Cookie": {canary}, "X-Forwarded-For": {canary}}},
	} {
		w.do(c)
	}
	hidden := []string{canary, token, strings.Split(token, ".")[2]}
	for _, secret := range w.secrets {
		hidden = append(hidden, secret, secret[len("hp_"):][13:56])
	}
	metrics := w.metrics()
	for _, secret := range hidden {
		if strings.Contains(w.audit.String(), secret) {
			t.Errorf("the audit log shows %s", secret)
		}
		if strings.Contains(metrics, secret) {
			t.Errorf("the metrics show %s", secret)
		}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(w.audit.String()), "\n") {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Errorf("not one JSON object: %q", line)
		}
		for field := range fields {
			if !slices.Contains(auditFields, field) {
				t.Errorf("field %s is not on the list: %s", field, line)
			}
		}
	}
}

func TestAuditLineOfAnIssuedToken(t *testing.T) {
	w := newWorld(t)
	w.do(call{basic: reporting, body: grant + "&scope=read", source: "[2001:db8:1:2:3:4:5:6]:1234"})
	line := w.lastAudit()
	for _, field := range []string{"time", "jti", "request_id"} {
		if line[field] == "" {
			t.Errorf("%s is missing", field)
		}
		delete(line, field)
	}
	want := map[string]any{
		"level": "INFO", "msg": "decision", "endpoint": "token", "outcome": "allowed", "status": float64(200), "source": "2001:db8:1:2::/64", "source_address": "2001:db8:1:2:3:4:5:6",
		"client_id": reporting, "method": "client_secret_basic", "credential": w.dir.known[reporting].Client.Credentials.Verifiers[0].ID,
		"aud": testIssuer + "/ns/shop", "scope": "read",
	}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Error("audit line (-want +got):\n" + diff)
	}
}

func TestKeysAndMetadataAreCountedAndNotAudited(t *testing.T) {
	w := newWorld(t)
	w.do(call{method: http.MethodGet, path: oauth2.JWKSPath})
	w.do(call{method: http.MethodGet, path: oauth2.MetadataPath})
	if w.audit.String() != "" {
		t.Error("audited:", w.audit)
	}
}

func TestRequestsAreCountedByEndpointStatusAndReason(t *testing.T) {
	w := newWorld(t)
	w.token(reporting)
	w.token(reporting)
	w.do(call{basic: suspended, body: grant})
	w.do(call{method: http.MethodGet, path: oauth2.JWKSPath})
	var got []string
	for line := range strings.SplitSeq(w.metrics(), "\n") {
		if strings.HasPrefix(line, "hallpass_requests_total") && !strings.HasSuffix(line, " 0") {
			got = append(got, line)
		}
	}
	want := []string{
		`hallpass_requests_total{code="200",endpoint="jwks",reason=""} 1`,
		`hallpass_requests_total{code="200",endpoint="token",reason=""} 2`,
		`hallpass_requests_total{code="401",endpoint="token",reason="Suspended"} 1`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("counters (-want +got):\n" + diff)
	}
}

func TestInactiveTokensAreCountedByReason(t *testing.T) {
	w := newWorld(t)
	token := w.token(reporting)
	w.do(call{path: oauth2.IntrospectionPath, basic: reporting, body: "token=" + token})
	w.do(call{path: oauth2.IntrospectionPath, basic: stranger, body: "token=" + token})
	w.do(call{path: oauth2.IntrospectionPath, basic: stranger, body: "token=" + token})
	w.do(call{path: oauth2.IntrospectionPath, basic: reporting, body: "token=none"})
	var got []string
	for line := range strings.SplitSeq(w.metrics(), "\n") {
		if strings.HasPrefix(line, "hallpass_inactive_tokens_total") {
			got = append(got, line)
		}
	}
	want := []string{`hallpass_inactive_tokens_total{reason="NotForCaller"} 2`, `hallpass_inactive_tokens_total{reason="TokenMalformed"} 1`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("counters (-want +got):\n" + diff)
	}
}

func TestTokenRequestsAreCountedByTheNamespaceOfTheClient(t *testing.T) {
	w := newWorld(t)
	w.token(reporting)
	for _, c := range []struct{ basic, body string }{
		{reporting, "grant_type=client_credentials&scope=delete"},
		{"", "grant_type=client_credentials&client_id=" + reporting + "&client_secret=" + strings.Repeat("x", 43)},
		{"", "grant_type=client_credentials&client_id=made-up.client&client_secret=" + strings.Repeat("x", 43)},
	} {
		w.do(call{basic: c.basic, body: c.body})
	}
	w.do(w.introspect(reporting, "x"))
	got := w.metrics()
	for _, want := range []string{
		`hallpass_namespace_tokens_issued_total{namespace="shop"} 1`, `hallpass_namespace_token_requests_refused_total{namespace="shop"} 2`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(got, `namespace="made-up"`) {
		t.Error("a namespace that a caller made up has a series")
	}
}

// metrics is what Prometheus reads.
func (w *world) metrics() string {
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(w.registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, "/", nil))
	return answer.Body.String()
}
