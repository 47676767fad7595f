// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const grant = "grant_type=client_credentials"

// notAuthenticated is the one answer to every caller that is not admitted.
const notAuthenticated = `{"error":"invalid_client","error_description":"client authentication failed; status.refusals of the OAuth2Client has the reason, if such a client exists"}`

// RFC 6749 section 3.3 has no empty scope, so nothing that is answered has one.
func TestATokenWithoutScopesHasNoEmptyScope(t *testing.T) {
	w := newWorld(t)
	w.dir.known[reporting].Client.Scopes = nil
	status, body := decode(t, w.do(call{basic: reporting, body: grant}))
	token, _ := body["access_token"].(string)
	_, payload, _ := strings.Cut(token, ".")
	payload, _, _ = strings.Cut(payload, ".")
	claims, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%d %v: %v", status, body, err)
	}
	introspection := w.do(w.introspect(reporting, token)).Body.String()
	if !strings.Contains(introspection, `"active":true`) {
		t.Errorf("introspection: %s", introspection)
	}
	_, there := body["scope"]
	for where, has := range map[string]bool{
		"the answer": there, "the token": strings.Contains(string(claims), `"scope"`), "the introspection": strings.Contains(introspection, `"scope"`),
		"the audit line": strings.Contains(w.audit.String(), `"scope"`),
	} {
		if has {
			t.Errorf("%s has a scope", where)
		}
	}
}

func TestTokenEndpointIssues(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		call  call
		scope string
	}{
		"credentials in a Basic header":                     {call{basic: reporting, body: grant}, "read write"},
		"credentials in the body":                           {call{body: grant + "&" + w.post(reporting)}, "read write"},
		"some of the scopes, in the order asked for":        {call{basic: reporting, body: grant + "&scope=write+read"}, "write read"},
		"an empty scope is one that was left out":           {call{basic: reporting, body: grant + "&scope="}, "read write"},
		"the same client_id beside Basic":                   {call{basic: reporting, body: grant + "&client_id=" + reporting}, "read write"},
		"another client_id beside Basic carries no meaning": {call{basic: reporting, body: grant + "&client_id=" + billing}, "read write"},
		"the namespace's audience asked for by name":        {call{basic: reporting, body: grant + "&resource=" + url.QueryEscape(testIssuer+"/ns/shop")}, "read write"},
		"an unknown parameter is ignored":                   {call{basic: reporting, body: grant + "&colour=blue"}, "read write"},
		"a charset beside the media type": {call{basic: reporting, body: grant, header: http.Header{
			"Content-Type": {"application/x-www-form-urlencoded;charset=UTF-8"},
		}}, "read write"},
		"the scheme in another case": {call{body: grant, header: http.Header{"Authorization": {
			"bAsIc " + base64.StdEncoding.EncodeToString([]byte(reporting+":"+w.secrets[reporting])),
		}}}, "read write"},
		"form-encoded inside Basic, as RFC 6749 has it": {call{body: grant, header: http.Header{"Authorization": {
			"Basic " + base64.StdEncoding.EncodeToString([]byte("shop%2Ereporting:"+strings.ReplaceAll(w.secrets[reporting], "_", "%5F"))),
		}}}, "read write"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := w.do(c.call)
			if answer.Code != http.StatusOK {
				t.Fatalf("status %d: %s", answer.Code, answer.Body)
			}
			checkHeaders(t, answer.Header(), http.Header{
				"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"}, "X-Content-Type-Options": {"nosniff"},
			})
			var body map[string]any
			if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			token, _ := body["access_token"].(string)
			delete(body, "access_token")
			want := map[string]any{"token_type": "Bearer", "expires_in": float64(3600), "scope": c.scope}
			if diff := cmp.Diff(want, body); diff != "" {
				t.Error("answer (-want +got):\n" + diff)
			}
			claims, err := w.validate(token, w.now)
			if err != nil {
				t.Fatal(err)
			}
			claims.ID = ""
			wantClaims := &oauth2.Claims{
				Issuer: testIssuer, Subject: reporting, ClientID: reporting, ClientUID: "uid-of-" + reporting,
				Audience: testIssuer + "/ns/shop", Scopes: strings.Fields(c.scope), IssuedAt: noon, ExpiresAt: noon.Add(time.Hour),
			}
			if diff := cmp.Diff(wantClaims, claims); diff != "" {
				t.Error("claims (-want +got):\n" + diff)
			}
		})
	}
}

// refusal is one request that must not succeed, and the whole of the answer.
type refusal struct {
	call
	status int
	answer string
	reason oauth2.Reason
	extra  http.Header
}

func invalidRequest(description string) string {
	return `{"error":"invalid_request","error_description":"` + description + `"}`
}

func basicHeader(value string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(value))}}
}

func refusals(w *world) map[string]refusal {
	right, wrong := reporting+":"+w.secrets[reporting], strings.Repeat("x", 43)
	severalMethods := invalidRequest("the client is authenticated in more than one way; use one")
	twice := invalidRequest("a parameter is sent more than once; send each once")
	notForm := invalidRequest("the parameters are not application/x-www-form-urlencoded")
	mediaType := invalidRequest("send the parameters as application/x-www-form-urlencoded")
	badScope := `{"error":"invalid_scope","error_description":"scope must be scope names separated by single spaces (RFC 6749 section 3.3)"}`
	many := make([]string, oauth2.MaxFormParameters+1)
	for i := range many {
		many[i] = "p" + strconv.Itoa(i) + "=v"
	}
	return map[string]refusal{
		"no grant type":       {call{basic: reporting}, 400, invalidRequest("grant_type is missing; send grant_type=client_credentials"), oauth2.ReasonMalformedRequest, nil},
		"an empty grant type": {call{basic: reporting, body: "grant_type="}, 400, invalidRequest("grant_type is missing; send grant_type=client_credentials"), oauth2.ReasonMalformedRequest, nil},
		"another grant type": {
			call{basic: reporting, body: "grant_type=password&username=a&password=b"},
			400,
			`{"error":"unsupported_grant_type","error_description":"the grant type password is not supported, because it gives the password of a person to a program (RFC 9700 section 2.4); for what to use instead, client_credentials or a login of the person, see docs/migrate.md of Hallpass"}`, oauth2.ReasonUnsupportedGrant, nil,
		},
		"a grant type that no standard has": {
			call{basic: reporting, body: "grant_type=windows"},
			400,
			`{"error":"unsupported_grant_type","error_description":"this grant type is not supported: clients authenticate as themselves, without the login of a person; send grant_type=client_credentials"}`, oauth2.ReasonUnsupportedGrant, nil,
		},
		"a scope that is not granted": {
			call{basic: reporting, body: grant + "&scope=admin"},
			400,
			`{"error":"invalid_scope","error_description":"the scope admin is not granted to this client at its default audience; if status.grants of its OAuth2Client lists the scope for another audience, send that audience as resource; otherwise ask the owner of the API for a grant"}`, oauth2.ReasonScopeNotGranted, nil,
		},
		"the parameter of another server": {
			call{basic: reporting, body: grant + "&audience=https%3A%2F%2Forders.example.com&scope=admin"},
			400,
			`{"error":"invalid_scope","error_description":"the scope admin is not granted to this client at its default audience; if status.grants of its OAuth2Client lists the scope for another audience, ` +
				`send that audience as resource; otherwise ask the owner of the API for a grant; the parameter audience has no meaning here: send resource"}`, oauth2.ReasonScopeNotGranted, nil,
		},
		"two spaces between scopes":   {call{basic: reporting, body: grant + "&scope=read++write"}, 400, badScope, oauth2.ReasonMalformedRequest, nil},
		"a quotation mark in a scope": {call{basic: reporting, body: grant + "&scope=%22read%22"}, 400, badScope, oauth2.ReasonMalformedRequest, nil},
		"a line break in a scope":     {call{basic: reporting, body: grant + "&scope=read%0a"}, 400, badScope, oauth2.ReasonMalformedRequest, nil},
		"another namespace's audience": {
			call{basic: reporting, body: grant + "&resource=" + testIssuer + "/ns/orders"},
			400,
			`{"error":"invalid_target","error_description":"the client is granted nothing at ` + testIssuer + `/ns/orders; send as resource an audience of status.grants of its OAuth2Client, or ask the owner of the API for a grant"}`, oauth2.ReasonTargetNotGranted, nil,
		},
		"two resources": {
			call{basic: reporting, body: grant + "&resource=a&resource=b"},
			400,
			`{"error":"invalid_target","error_description":"a token is for one resource; send one resource a request"}`, oauth2.ReasonTargetNotGranted, nil,
		},

		"no credentials at all": {call{body: grant}, 401, notAuthenticated, oauth2.ReasonNoCredentials, nil},
		"a client_id alone":     {call{body: grant + "&client_id=" + reporting}, 401, notAuthenticated, oauth2.ReasonNoCredentials, nil},
		"an unknown client":     {call{body: grant, header: basicHeader(unheardOf + ":" + wrong)}, 401, notAuthenticated, oauth2.ReasonUnknownClient, nil},
		"a wrong secret":        {call{body: grant, header: basicHeader(reporting + ":" + wrong)}, 401, notAuthenticated, oauth2.ReasonWrongSecret, nil},
		"a secret that is not decoded": {
			call{body: grant, header: basicHeader(reporting + ":" + base64.StdEncoding.EncodeToString([]byte(w.secrets[reporting])))},
			401, notAuthenticated, oauth2.ReasonSecretNotDecoded, nil,
		},
		"another client's secret, not decoded": {
			call{body: grant, header: basicHeader(billing + ":" + base64.StdEncoding.EncodeToString([]byte(w.secrets[reporting])))},
			401, notAuthenticated, oauth2.ReasonWrongSecret, nil,
		},
		"another client's secret":           {call{body: grant, header: basicHeader(billing + ":" + w.secrets[reporting])}, 401, notAuthenticated, oauth2.ReasonWrongSecret, nil},
		"a suspended client":                {call{basic: suspended, body: grant}, 401, notAuthenticated, oauth2.ReasonSuspended, nil},
		"a suspended client's wrong secret": {call{body: grant, header: basicHeader(suspended + ":" + wrong)}, 401, notAuthenticated, oauth2.ReasonWrongSecret, nil},
		"a wrong secret in the body":        {call{body: grant + "&client_id=" + reporting + "&client_secret=" + wrong}, 401, notAuthenticated, oauth2.ReasonWrongSecret, nil},
		"an empty secret":                   {call{body: grant, header: basicHeader(reporting + ":")}, 401, notAuthenticated, oauth2.ReasonMalformedCredential, nil},
		"an empty client_id":                {call{body: grant, header: basicHeader(":" + wrong)}, 401, notAuthenticated, oauth2.ReasonMalformedCredential, nil},
		"Basic without a colon":             {call{body: grant, header: basicHeader("reporting")}, 401, notAuthenticated, oauth2.ReasonMalformedCredential, nil},
		"Basic that is not base64":          {call{body: grant, header: http.Header{"Authorization": {"Basic %%%"}}}, 401, notAuthenticated, oauth2.ReasonMalformedCredential, nil},
		"Basic without anything":            {call{body: grant, header: http.Header{"Authorization": {"Basic"}}}, 401, notAuthenticated, oauth2.ReasonMalformedCredential, nil},
		"a Bearer header":                   {call{body: grant, header: http.Header{"Authorization": {"Bearer abc"}}}, 401, notAuthenticated, oauth2.ReasonWrongMethod, nil},
		"a secret that is far too long":     {call{body: grant, header: basicHeader(reporting + ":" + strings.Repeat("x", 4096))}, 401, notAuthenticated, oauth2.ReasonMalformedCredential, nil},
		"a secret longer by a letter":       {call{body: grant, header: basicHeader(right + "a")}, 401, notAuthenticated, oauth2.ReasonWrongSecret, nil},
		"a secret shorter by a letter":      {call{body: grant, header: basicHeader(right[:len(right)-1])}, 401, notAuthenticated, oauth2.ReasonWrongSecret, nil},

		"credentials in header and body": {call{basic: reporting, body: grant + "&" + w.post(reporting)}, 400, severalMethods, oauth2.ReasonSeveralMethods, nil},
		"two Authorization headers": {
			call{body: grant, header: http.Header{"Authorization": {basicHeader(right).Get("Authorization"), basicHeader(right).Get("Authorization")}}},
			400, severalMethods, oauth2.ReasonSeveralMethods, nil,
		},
		"a client_secret without a client_id": {call{body: grant + "&client_secret=" + wrong}, 400, invalidRequest("client_secret is sent without client_id; send both"), oauth2.ReasonMalformedRequest, nil},

		"a parameter twice":                 {call{basic: reporting, body: grant + "&" + grant}, 400, twice, oauth2.ReasonMalformedRequest, nil},
		"an unknown parameter twice":        {call{basic: reporting, body: grant + "&a=1&a=2"}, 400, twice, oauth2.ReasonMalformedRequest, nil},
		"a parameter twice, once encoded":   {call{basic: reporting, body: grant + "&scope=read&sc%6Fpe=write"}, 400, twice, oauth2.ReasonMalformedRequest, nil},
		"a broken escape":                   {call{basic: reporting, body: "grant_type=%zz"}, 400, notForm, oauth2.ReasonMalformedRequest, nil},
		"a value that is not UTF-8":         {call{basic: reporting, body: "grant_type=%ff"}, 400, notForm, oauth2.ReasonMalformedRequest, nil},
		"a value without a name":            {call{basic: reporting, body: grant + "&=v"}, 400, notForm, oauth2.ReasonMalformedRequest, nil},
		"more parameters than anyone needs": {call{basic: reporting, body: strings.Join(many, "&")}, 400, invalidRequest("the request has more than 32 parameters; send those of the protocol alone"), oauth2.ReasonMalformedRequest, nil},
		"a body that is too long": {
			call{basic: reporting, body: grant + "&a=" + strings.Repeat("x", oauth2.MaxFormBytes)}, 413, invalidRequest("the body is longer than 64 KiB"), oauth2.ReasonMalformedRequest, nil,
		},
		"JSON": {
			call{basic: reporting, body: `{"grant_type":"client_credentials"}`, header: http.Header{"Content-Type": {"application/json"}}},
			415, mediaType, oauth2.ReasonMalformedRequest, nil,
		},
		"multipart": {
			call{basic: reporting, body: grant, header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}}, 415, mediaType, oauth2.ReasonMalformedRequest, nil,
		},
		"the right type after the wrong one": {
			call{basic: reporting, body: grant, header: http.Header{"Content-Type": {"text/plain", "application/x-www-form-urlencoded"}}}, 415, mediaType, oauth2.ReasonMalformedRequest, nil,
		},

		"GET": {
			call{method: http.MethodGet, basic: reporting, path: oauth2.TokenPath + "?" + grant},
			405,
			invalidRequest("this endpoint answers POST only"), oauth2.ReasonMalformedRequest,
			http.Header{"Allow": {"POST"}},
		},
		"DELETE": {
			call{method: http.MethodDelete, basic: reporting},
			405,
			invalidRequest("this endpoint answers POST only"), oauth2.ReasonMalformedRequest,
			http.Header{"Allow": {"POST"}},
		},
		"a path that leads nowhere": {
			call{path: "/oauth/token", basic: reporting, body: grant},
			404,
			invalidRequest("there is nothing at this path; see /.well-known/oauth-authorization-server"), oauth2.ReasonMalformedRequest, nil,
		},
		"parameters in the query instead of the body": {
			call{basic: reporting, path: oauth2.TokenPath + "?" + grant},
			400,
			invalidRequest("grant_type is missing; send grant_type=client_credentials"), oauth2.ReasonMalformedRequest, nil,
		},
		"credentials in the query": {
			call{path: oauth2.TokenPath + "?" + w.post(reporting), body: grant}, 401, notAuthenticated, oauth2.ReasonNoCredentials, nil,
		},
	}
}

func TestTokenEndpointRefuses(t *testing.T) {
	for name := range refusals(newWorld(t)) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := refusals(w)[name]
			answer := w.do(c.call)
			if answer.Code != c.status || answer.Body.String() != c.answer {
				t.Errorf("got  %d %s\nwant %d %s", answer.Code, answer.Body, c.status, c.answer)
			}
			want := http.Header{
				"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"},
				"X-Content-Type-Options": {"nosniff"}, "Www-Authenticate": nil, "Allow": nil,
			}
			if c.status == http.StatusUnauthorized {
				want.Set("WWW-Authenticate", `Basic realm="hallpass", charset="UTF-8"`)
			}
			maps.Copy(want, c.extra)
			checkHeaders(t, answer.Header(), want)
			if got := w.lastAudit()["reason"]; got != string(c.reason) {
				t.Errorf("the audit line says %v, want %s", got, c.reason)
			}
		})
	}
}

func TestExpiresInTellsTheTruth(t *testing.T) {
	w := newWorld(t)
	w.dir.known[reporting].Client.Tokens.Lifetime = 90 * time.Second
	token := w.token(reporting)
	if _, err := w.validate(token, noon.Add(89*time.Second)); err != nil {
		t.Error("one second before the end:", err)
	}
	if _, err := w.validate(token, noon.Add(90*time.Second)); err == nil {
		t.Error("the token is valid after expires_in")
	}
}

func checkHeaders(t *testing.T, got, want http.Header) {
	t.Helper()
	for name, values := range want {
		if diff := cmp.Diff(values, got.Values(name)); diff != "" && (len(values) > 0 || len(got.Values(name)) > 0) {
			t.Errorf("header %s (-want +got):\n%s", name, diff)
		}
	}
}
