// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/hallpass-dev/hallpass/internal/audit"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
)

const issuer = "https://hallpass.test"

// dial starts the server on loopback with TLS and connects as Envoy does.
func dial(t *testing.T, authority Authority, auditor *audit.Auditor) authv3.AuthorizationClient { //nolint:ireturn // the generated code has only this
	t.Helper()
	https := httptest.NewUnstartedServer(nil)
	https.StartTLS() // for its certificate
	defer https.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(authority, auditor, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: https.TLS.Certificates, NextProtos: []string{"h2"}})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	roots := x509.NewCertPool()
	roots.AddCert(https.Certificate())
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(
		credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: "example.com"})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return authv3.NewAuthorizationClient(connection)
}

// question is what Envoy asks about a request with these headers on a route with these context
// extensions.
func question(extensions, header map[string]string) *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		ContextExtensions: extensions,
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: "GET", Path: "/orders?audience=urn:other", Host: "orders.test", Headers: header,
		}},
	}}
}

// reply is a CheckResponse in comparable form.
type reply struct {
	code    codes.Code
	status  int
	headers map[string]string
	removed []string
}

func read(response *authv3.CheckResponse) reply {
	a := reply{code: codes.Code(response.GetStatus().GetCode()), headers: map[string]string{}} //nolint:gosec // 0 to 16
	set := response.GetOkResponse().GetHeaders()
	if denied := response.GetDeniedResponse(); denied != nil {
		a.status, set = int(denied.GetStatus().GetCode()), denied.GetHeaders()
	}
	for _, header := range set {
		a.headers[header.GetHeader().GetKey()] = header.GetHeader().GetValue()
	}
	a.removed = response.GetOkResponse().GetHeadersToRemove()
	return a
}

func TestGoodTokensPassWithTheirIdentity(t *testing.T) {
	server := memory.New(t, issuer)
	id := server.Register("reporting", "read", "write")
	client := dial(t, server.Authority, server.Auditor)
	authorization := "Bearer " + server.Token(id)
	extensions := map[string]string{"audience": server.Audience, "scope": "read"}
	for name, asked := range map[string]*authv3.CheckRequest{
		"headers in one map": question(extensions, map[string]string{
			"authorization": authorization, "x-auth-client-id": "admin", "x_auth_client_id": "admin", "x.auth-scopes": "admin", "x-auth-role": "admin",
		}),
		"raw headers": {Attributes: &authv3.AttributeContext{ContextExtensions: extensions, Request: &authv3.AttributeContext_Request{
			Http: &authv3.AttributeContext_HttpRequest{HeaderMap: &corev3.HeaderMap{Headers: []*corev3.HeaderValue{
				{Key: "authorization", RawValue: []byte(authorization)}, {Key: "x_auth_client_id", Value: "admin"},
				{Key: "x.auth-scopes", Value: "a"}, {Key: "x.auth-scopes", Value: "b"}, {Key: "x-auth-role", Value: "admin"},
			}}},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := client.Check(t.Context(), asked)
			if err != nil {
				t.Fatal(err)
			}
			got := read(response)
			fields := response.GetDynamicMetadata().AsMap()
			expires := got.headers["x-auth-expires"]
			delete(got.headers, "x-auth-expires")
			want := reply{code: codes.OK, headers: map[string]string{
				"x-auth-client-id": id, "x-auth-client-uid": memory.UID(id), "x-auth-client-namespace": "shop",
				"x-auth-scopes": "read write", "x-auth-audience": server.Audience,
				"x-auth-subject": id, "x-auth-subject-type": "client", "x-auth-user": "",
			}, removed: []string{"x-auth-role", "x.auth-scopes", "x_auth_client_id"}}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(reply{})); diff != "" || len(expires) != 10 {
				t.Errorf("expires %q, answer (-want +got):\n%s", expires, diff)
			}
			delete(fields, "jti")
			delete(fields, "iat")
			delete(fields, "exp")
			if diff := cmp.Diff(map[string]any{
				"iss": issuer, "sub": id, "sub_type": "client", "aud": server.Audience, "client_id": id, "client_uid": memory.UID(id), "client_namespace": "shop",
				"scope": "read write", "scopes": []any{"read", "write"},
				"custom": map[string]any{"team": "blue", "regions": []any{"eu", "us"}},
			}, fields); diff != "" {
				t.Error("dynamic metadata (-want +got):\n" + diff)
			}
		})
	}
	if line := server.Audit.String(); !strings.Contains(line, `"endpoint":"ext_authz","outcome":"allowed"`) {
		t.Error("no audit line: " + line)
	}
}

func TestATokenWithoutScopesHasNoEmptyScopeInTheMetadata(t *testing.T) {
	server := memory.New(t, issuer)
	asked := question(map[string]string{"audience": server.Audience}, map[string]string{"authorization": "Bearer " + server.Token(server.Register("bare"))})
	response, err := dial(t, server.Authority, server.Auditor).Check(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	fields := response.GetDynamicMetadata().AsMap()
	scope, there := fields["scope"]
	if diff := cmp.Diff([]any{}, fields["scopes"]); diff != "" || there {
		t.Errorf("scope %v, scopes (-want +got):\n%s", scope, diff)
	}
	if scopes, there := read(response).headers["x-auth-scopes"]; !there || scopes != "" {
		t.Errorf("x-auth-scopes %q, there %t; it must be there to overwrite the caller's", scopes, there)
	}
}

func TestRequestsAreRefused(t *testing.T) {
	server := memory.New(t, issuer)
	id, gone := server.Register("reporting", "read"), server.Register("gone", "read")
	client := dial(t, server.Authority, server.Auditor)
	good, suspended := "Bearer "+server.Token(id), "Bearer "+server.Token(gone)
	server.Suspend(gone)
	required := map[string]string{"audience": server.Audience, "scope": "read"}
	for name, c := range map[string]struct {
		extensions map[string]string
		header     map[string]string
		code       codes.Code
		status     int
		challenge  string
	}{
		"no context extensions":               {nil, map[string]string{"authorization": good}, codes.Unauthenticated, 401, `error="invalid_request"`},
		"a scope without an audience":         {map[string]string{"scope": "read"}, map[string]string{"authorization": good}, codes.Unauthenticated, 401, `error="invalid_request"`},
		"an empty audience":                   {map[string]string{"audience": ""}, map[string]string{"authorization": good}, codes.Unauthenticated, 401, `error="invalid_request"`},
		"a context extension misspelt":        {map[string]string{"audience": server.Audience, "scopes": "admin"}, map[string]string{"authorization": good}, codes.Unauthenticated, 401, `error="invalid_request"`},
		"no token":                            {required, nil, codes.Unauthenticated, 401, `Bearer realm="hallpass", scope="read"`},
		"two tokens that Envoy joined":        {required, map[string]string{"authorization": good + "," + good}, codes.Unauthenticated, 401, `error="invalid_request"`},
		"a token of nobody's":                 {required, map[string]string{"authorization": "Bearer a.b.c"}, codes.Unauthenticated, 401, `error="invalid_token"`},
		"the token of a suspended client":     {required, map[string]string{"authorization": suspended}, codes.Unauthenticated, 401, `error="invalid_token"`},
		"another audience":                    {map[string]string{"audience": "urn:other"}, map[string]string{"authorization": good}, codes.Unauthenticated, 401, `error="invalid_token"`},
		"a scope that the token lacks":        {map[string]string{"audience": server.Audience, "scope": "admin"}, map[string]string{"authorization": good}, codes.PermissionDenied, 403, `error="insufficient_scope"`},
		"a token in another header":           {required, map[string]string{"x-forwarded-authorization": good, "cookie": good}, codes.Unauthenticated, 401, `Bearer realm`},
		"requirements in the caller's header": {nil, map[string]string{"authorization": good, "audience": server.Audience}, codes.Unauthenticated, 401, `error="invalid_request"`},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := client.Check(t.Context(), question(c.extensions, c.header))
			if err != nil {
				t.Fatal(err)
			}
			got := read(response)
			if got.code != c.code || got.status != c.status || !strings.Contains(got.headers["www-authenticate"], c.challenge) {
				t.Errorf("got %+v", got)
			}
			if response.GetOkResponse() != nil || response.GetDynamicMetadata() != nil {
				t.Error("a refusal names somebody")
			}
		})
	}
	for name, empty := range map[string]*authv3.CheckRequest{"an empty question": {}, "no request in it": {Attributes: &authv3.AttributeContext{}}} {
		if response, err := client.Check(t.Context(), empty); err != nil || read(response).status != 401 {
			t.Errorf("%s: %v %v", name, response, err)
		}
	}
}

func TestTheRefusalOfABrowserIsAPage(t *testing.T) {
	server := memory.New(t, issuer)
	response, err := dial(t, server.Authority, server.Auditor).Check(t.Context(), question(map[string]string{"audience": server.Audience}, map[string]string{"accept": "text/html"}))
	if err != nil {
		t.Fatal(err)
	}
	if body := response.GetDeniedResponse().GetBody(); !strings.Contains(body, "<h1>401 Unauthorized</h1>") {
		t.Error(body)
	}
}

// What goes wrong inside is a refusal, and the next request finds the server as it was.
func TestAFaultOfOursIsARefusal(t *testing.T) {
	client := dial(t, faulty{}, memory.New(t, issuer).Auditor)
	for range 2 {
		response, err := client.Check(t.Context(), question(nil, nil))
		if err != nil || read(response).code != codes.Internal || read(response).status != 500 {
			t.Errorf("got %v, %v", response, err)
		}
	}
}

type faulty struct{ Authority }

func (faulty) Admit(context.Context, auth.Attempt) (auth.Result, error) { panic("a fault") }

// FuzzCheck sends requests as an unauthenticated caller in the place of Envoy can: without a good
// token nothing passes, and nothing breaks.
func FuzzCheck(f *testing.F) {
	server := memory.New(f, issuer)
	server.Register("reporting", "read")
	s := &service{authority: server.Authority, auditor: server.Auditor}
	f.Add("audience", "urn:a", "authorization", "Bearer a.b.c")
	f.Add("scope", "", "x_auth_client_id", "\xff")
	f.Fuzz(func(t *testing.T, extension, value, header, content string) {
		response, err := s.Check(t.Context(), question(map[string]string{extension: value}, map[string]string{header: content}))
		if err != nil || response.GetOkResponse() != nil || read(response).status != 401 {
			t.Errorf("got %v, %v", response, err)
		}
	})
}

// TestOnlyTheTokenAndTheRouteDecide is a metamorphic test: whatever else is in a request, the
// decision about it is the one without.
func TestOnlyTheTokenAndTheRouteDecide(t *testing.T) {
	server := memory.New(t, issuer)
	id := server.Register("reporting", "read")
	s := &service{authority: server.Authority, auditor: server.Auditor}
	good := "Bearer " + server.Token(id)
	authorizations := []string{"", good, "Bearer a.b.c", "Basic YTpi", good + "," + good}
	extensions := []map[string]string{
		{"audience": server.Audience}, {"audience": server.Audience, "scope": "read"}, {"audience": server.Audience, "scope": "admin"}, {"audience": "urn:other"}, nil,
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // cases, not secrets
	either := func(values ...string) string { return values[random.IntN(len(values))] }
	for range 5000 {
		authorization, required := authorizations[random.IntN(len(authorizations))], extensions[random.IntN(len(extensions))]
		headers := map[string]string{}
		for _, name := range []string{
			"x-forwarded-uri", "x-original-url", "x-envoy-original-path", "x-forwarded-authorization", "proxy-authorization", "cookie", "x-auth-client-id",
			"x_auth_scopes", "connection", "user-agent", "accept", "audience", "scope", "x-request-id", ":path", ":method", "traceparent",
		} {
			if random.IntN(3) == 0 {
				headers[name] = either("", "/healthz", good, "text/html", "admin", server.Audience, "kube-probe/1.37", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			}
		}
		if authorization != "" {
			headers["authorization"] = authorization
		}
		changed := question(required, headers)
		changed.Attributes.Source = &authv3.AttributeContext_Peer{Principal: either("", "spiffe://cluster.local/ns/shop/sa/admin"), Service: either("", "admin")}
		request := changed.GetAttributes().GetRequest().GetHttp()
		request.Method, request.Path = either("GET", "OPTIONS", "CONNECT", ""), either("/", "/healthz", "/a?audience="+server.Audience+"&scope=read", "")
		request.Host, request.Fragment, request.Body = either("", "hallpass.test", "evil.test"), either("", "/healthz"), either("", "access_token="+good)
		plain := question(required, nil)
		if authorization != "" {
			plain.Attributes.Request.Http.Headers = map[string]string{"authorization": authorization}
		}
		want, err := s.Check(t.Context(), plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Check(t.Context(), changed)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(decided(want), decided(got)); diff != "" {
			t.Fatalf("%v changes the decision (-plain +changed):\n%s", changed, diff)
		}
	}
}

// decided is what of an answer is the decision.
func decided(response *authv3.CheckResponse) map[string]any {
	a := read(response)
	decision := map[string]any{"code": a.code, "status": a.status, "metadata": response.GetDynamicMetadata().AsMap()}
	for name, value := range a.headers {
		if strings.HasPrefix(name, identityPrefix) || name == "www-authenticate" {
			decision[name] = value
		}
	}
	return decision
}
