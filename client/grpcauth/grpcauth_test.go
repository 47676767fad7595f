// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package grpcauth_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hallpass-dev/hallpass/client/grpcauth"
	"github.com/hallpass-dev/hallpass/client/token"
	"github.com/hallpass-dev/hallpass/client/verify"
)

const issuer, audience = "https://hallpass.test", "urn:orders"

// hallpass issues tokens and publishes its key, without a network.
type hallpass struct {
	mu     sync.Mutex
	key    ed25519.PrivateKey
	scope  string
	issued int
	// broken is how many of the next tokens have a bad signature.
	broken int
	away   bool
}

func encode(raw string) string { return base64.RawURLEncoding.EncodeToString([]byte(raw)) }

// RoundTrip implements http.RoundTripper.
func (h *hallpass) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := httptest.NewRecorder()
	public, _ := h.key.Public().(ed25519.PublicKey)
	switch {
	case h.away:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/oauth2/jwks":
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one","x":%q}]}`, encode(string(public)))
	default:
		h.issued++
		now := time.Now().Unix()
		input := encode(`{"alg":"EdDSA","kid":"one","typ":"at+jwt"}`) + "." + encode(fmt.Sprintf(
			`{"iss":%q,"sub":"shop.a","client_id":"shop.a","aud":%q,"scope":%q,"jti":"%d","iat":%d,"exp":%d}`, issuer, audience, h.scope, h.issued, now, now+3600))
		signature := ed25519.Sign(h.key, []byte(input))
		if h.broken > 0 {
			h.broken--
			signature[5] ^= 1
		}
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600,"scope":%q}`, input+"."+encode(string(signature)), h.scope)
	}
	return w.Result(), nil
}

func (h *hallpass) set(change func(*hallpass)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *hallpass) source(t *testing.T) *token.Source {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"client_id": "shop.a", "client_secret": "secret", "token_url": issuer + "/oauth2/token"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	source, err := token.New(token.Secret(dir), token.WithHTTPClient(&http.Client{Transport: h}))
	must(t, err)
	return source
}

// callers notes who called.
type callers struct {
	healthpb.UnimplementedHealthServer

	mu  sync.Mutex
	ids []string
}

func (c *callers) note(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	claims, ok := verify.FromContext(ctx)
	if !ok {
		c.ids = append(c.ids, "nobody")
		return
	}
	c.ids = append(c.ids, claims.ClientID)
}

func (c *callers) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	c.note(ctx)
	return &healthpb.HealthCheckResponse{}, nil
}

func (c *callers) Watch(_ *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	c.note(stream.Context())
	return stream.Send(&healthpb.HealthCheckResponse{})
}

// serve starts a server that requires the scope read, and returns how to dial it.
func serve(t *testing.T, h *hallpass) (*callers, string, *x509.CertPool) {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(certified.Close)
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	verifier, err := verify.New(issuer, audience, verify.WithHTTPClient(&http.Client{Transport: h}))
	must(t, err)
	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12})),
		grpc.UnaryInterceptor(grpcauth.UnaryServer(verifier, "read")), grpc.StreamInterceptor(grpcauth.StreamServer(verifier, "read")))
	c := &callers{}
	healthpb.RegisterHealthServer(server, c)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() { server.Stop(); must(t, <-done) })
	return c, listener.Addr().String(), roots
}

func dial(t *testing.T, address string, roots *x509.CertPool, options ...grpc.DialOption) healthpb.HealthClient { //nolint:ireturn // the type that is generated
	t.Helper()
	secure := credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12})
	conn, err := grpc.NewClient(address, append(options, grpc.WithTransportCredentials(secure))...)
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close()) })
	return healthpb.NewHealthClient(conn)
}

func world(t *testing.T) *hallpass {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return &hallpass{key: key, scope: "read"}
}

func both(source *token.Source) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithUnaryInterceptor(grpcauth.UnaryClient(source)), grpc.WithStreamInterceptor(grpcauth.StreamClient(source))}
}

func call(t *testing.T, c healthpb.HealthClient) (unary, stream codes.Code) {
	t.Helper()
	_, err := c.Check(t.Context(), &healthpb.HealthCheckRequest{})
	s, streamErr := c.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if streamErr == nil {
		_, streamErr = s.Recv()
	}
	return status.Code(err), status.Code(streamErr)
}

func TestCallsWithATokenPass(t *testing.T) {
	h := world(t)
	called, address, roots := serve(t, h)
	c := dial(t, address, roots, both(h.source(t))...)
	if unary, stream := call(t, c); unary != codes.OK || stream != codes.OK {
		t.Errorf("%s, %s", unary, stream)
	}
	c = dial(t, address, roots, grpc.WithPerRPCCredentials(h.source(t)))
	if unary, stream := call(t, c); unary != codes.OK || stream != codes.OK {
		t.Errorf("%s, %s", unary, stream)
	}
	if got := strings.Join(called.ids, " "); got != strings.TrimSpace(strings.Repeat("shop.a ", 4)) {
		t.Error(got)
	}
}

func TestOtherCallsAreRefused(t *testing.T) {
	h := world(t)
	called, address, roots := serve(t, h)
	for name, values := range map[string][]string{"none": nil, "basic": {"Basic a"}, "bad": {"Bearer a.b.c"}, "several": {"Bearer a", "Bearer b"}} {
		c := dial(t, address, roots)
		ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{"authorization": values})
		if _, err := c.Check(ctx, &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.set(func(h *hallpass) { h.scope = "write" })
	if unary, stream := call(t, dial(t, address, roots, both(h.source(t))...)); unary != codes.PermissionDenied || stream != codes.PermissionDenied {
		t.Errorf("without the scope: %s, %s", unary, stream)
	}
	source := h.source(t)
	_, err := source.Token(t.Context())
	must(t, err)
	h.set(func(h *hallpass) { h.away = true })
	_, address, roots = serve(t, h) // it has no keys
	if unary, stream := call(t, dial(t, address, roots, both(source)...)); unary != codes.Unavailable || stream != codes.Unavailable {
		t.Errorf("without keys: %s, %s", unary, stream)
	}
	if len(called.ids) > 0 {
		t.Error(called.ids)
	}
}

func TestACallIsRepeatedOnceWithAnotherToken(t *testing.T) {
	for broken, want := range map[int]codes.Code{1: codes.OK, 2: codes.Unauthenticated} {
		h := world(t)
		_, address, roots := serve(t, h)
		h.set(func(h *hallpass) { h.broken = broken })
		c := dial(t, address, roots, grpc.WithUnaryInterceptor(grpcauth.UnaryClient(h.source(t))))
		if _, err := c.Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != want || h.issued != 2 {
			t.Errorf("%v after %d tokens", err, h.issued)
		}
	}
}

func TestWithoutAToken(t *testing.T) {
	h := world(t)
	_, address, roots := serve(t, h)
	empty, err := token.New(token.Secret(t.TempDir()))
	must(t, err)
	if unary, stream := call(t, dial(t, address, roots, both(empty)...)); unary != codes.Unauthenticated || stream != codes.Unauthenticated {
		t.Errorf("%s, %s", unary, stream)
	}
}
