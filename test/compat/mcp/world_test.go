// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package mcp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
	"github.com/hallpass-dev/hallpass/test/kit/packages"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const root = "../../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	world.Must(t, err)
	return string(text)
}

// scene is a token server with a client for each method, and an address for an MCP server.
type scene struct {
	hallpass *memory.Server
	// address is host:port of the token server; caFile is what verifies its certificate.
	issuer, address, caFile string
	// resource is the URL of the MCP server, which identifies it.
	resource string
	// dir has what clients are given: a key, and a token of a service account.
	dir  string
	http *http.Client

	mu       sync.Mutex
	requests []tokenRequest
}

// server is the resource of the MCP server.
var server = oauth2.ObjectName{Namespace: "tools", Name: "mcp-server"}

func newScene(t *testing.T) *scene {
	t.Helper()
	listener := memory.Listen(t)
	w := &scene{address: listener.Addr().String(), dir: t.TempDir()}
	_, port, err := net.SplitHostPort(w.address)
	world.Must(t, err)
	w.issuer = "https://localhost:" + port
	w.hallpass = memory.New(t, w.issuer)
	w.hallpass.Handler = w.record(w.hallpass.Handler)
	w.caFile = w.hallpass.Serve(listener)
	w.resource = "http://" + world.FreeAddress(t) + "/mcp"
	w.hallpass.Declare(oauth2.Resource{
		Identifier: w.resource, UID: "uid-of-mcp", Namespace: server.Namespace, Name: server.Name, DisplayName: "Tools", Scopes: []string{"tools.call", "tools.list"},
		Consents: []oauth2.Consent{{Namespaces: []string{memory.Namespace}, Scopes: []string{"tools.call", "tools.list"}}},
		Users:    []oauth2.Consent{{Namespaces: []string{memory.Namespace}, Scopes: []string{"tools.call"}}},
	})
	for _, id := range []string{bySecret, byKey, byAccount} {
		w.hallpass.Register(strings.TrimPrefix(id, memory.Namespace+"."))
		w.hallpass.Change(id, func(c *oauth2.Client) {
			c.Access = []oauth2.Access{{Resource: server, Scopes: []string{"tools.call", "tools.list"}}}
			c.DefaultResource = server
		})
	}
	w.hallpass.AuthenticateBy(byAccount, "agent")
	w.writeKey(t)
	w.write(t, "token", w.hallpass.AccountToken("agent"))
	ca, err := os.ReadFile(w.caFile)
	world.Must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	w.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	return w
}

// newKey makes a key.
func (*scene) newKey(t *testing.T) (*ecdsa.PrivateKey, *jws.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	world.Must(t, err)
	signer, err := jws.NewSigner(jws.ES256, key)
	world.Must(t, err)
	return key, signer
}

// writeKey makes the key of the client that has one.
func (w *scene) writeKey(t *testing.T) {
	t.Helper()
	key, signer := w.newKey(t)
	registered, err := jws.PackKeys(signer.Public())
	world.Must(t, err)
	w.hallpass.Change(byKey, func(c *oauth2.Client) {
		c.Credentials = oauth2.Credentials{KeysOnly: true, Keys: registered}
	})
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	world.Must(t, err)
	w.write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})))
}

// write writes a file that clients are given, and returns its path.
func (w *scene) write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(w.dir, name)
	world.Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	world.Must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// metadata is the URL of the metadata of the MCP server (RFC 9728).
func (w *scene) metadata() string {
	return w.issuer + oauth2.ResourceMetadataPath + "/resources/" + server.Namespace + "/" + server.Name
}

// tokenRequest is what an SDK sent to the token endpoint, in the words of the table.
type tokenRequest struct{ method, clientID, resource, scope string }

// record records what is sent to the token endpoint.
func (w *scene) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if r.URL.Path == oauth2.TokenPath && r.Method == http.MethodPost {
			body, err := readBody(r)
			if err == nil {
				w.mu.Lock()
				w.requests = append(w.requests, w.describe(r.Header, body))
				w.mu.Unlock()
			}
		}
		next.ServeHTTP(answer, r)
	})
}

// sent is what an SDK sent; each of its requests has to be the same.
func (w *scene) sent(t *testing.T) tokenRequest {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.requests) == 0 {
		t.Fatal("no token was asked for")
	}
	for _, r := range w.requests {
		if r != w.requests[0] {
			t.Errorf("it sent %+v and %+v", w.requests[0], r)
		}
	}
	return w.requests[0]
}

func (w *scene) describe(header http.Header, form url.Values) tokenRequest {
	r := tokenRequest{clientID: "no", resource: "no", scope: "no"}
	if form.Has("client_id") {
		r.clientID = "yes"
	}
	switch form.Get("resource") {
	case "":
	case w.resource:
		r.resource = "yes"
	default:
		r.resource = form.Get("resource")
	}
	if scope := form.Get("scope"); scope != "" {
		r.scope = "`" + scope + "`"
	}
	switch {
	case form.Has("client_assertion"):
		r.method = w.describeAssertion(form.Get("client_assertion"))
	case form.Has("client_secret"):
		r.method = "`client_secret_post`"
	case strings.HasPrefix(header.Get("Authorization"), "Basic "):
		r.method = "`client_secret_basic`"
	}
	return r
}

// describeAssertion names the audience and the life of an assertion.
func (w *scene) describeAssertion(assertion string) string {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "no JWT"
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "no JWT"
	}
	var claims struct {
		Subject  string `json:"sub"`
		Audience any    `json:"aud"`
		Issued   int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return "no JWT"
	}
	if strings.HasPrefix(claims.Subject, "system:serviceaccount:") {
		return "the token of the pod"
	}
	audience := fmt.Sprint(claims.Audience)
	switch audience {
	case w.issuer:
		audience = "the issuer"
	case w.issuer + "/":
		audience = "the issuer and a slash"
	}
	return fmt.Sprintf("`private_key_jwt` for %s, %d s", audience, claims.Expires-claims.Issued)
}

// serveVerifying starts the MCP server of docs/mcp with a verifier of its own.
func (w *scene) serveVerifying(t *testing.T) {
	t.Helper()
	w.serve(t, w.listen(), "ISSUER="+w.issuer, "RESOURCE="+w.resource, "RESOURCE_METADATA="+w.metadata(), "CA_FILE="+w.caFile)
}

// listen is the address that the URL of the MCP server has.
func (w *scene) listen() string {
	return strings.TrimSuffix(strings.TrimPrefix(w.resource, "http://"), "/mcp")
}

// serve starts the MCP server of docs/mcp, and waits until it answers.
func (w *scene) serve(t *testing.T, listen string, environment ...string) {
	t.Helper()
	server := exec.CommandContext(t.Context(), program(t, "server"))
	server.Env = append(os.Environ(), append(environment, "LISTEN="+listen)...)
	begin(t, "the MCP server", server)
	w.await(t, "http://"+listen+"/healthz")
}

// await waits until an address answers 200.
func (w *scene) await(t *testing.T, address string) {
	t.Helper()
	world.Eventually(t, address+" answers", func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		world.Must(t, err)
		response, err := w.http.Do(request)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// serveBehindNginx starts nginx with the configuration of docs/mcp, and the MCP server behind it.
// The test has no certificate for nginx, so that callers reach it by plain HTTP.
func (w *scene) serveBehindNginx(t *testing.T) {
	t.Helper()
	const nginx = "/usr/sbin/nginx"
	if _, err := os.Stat(nginx); err != nil {
		packages.Missing(t, "nginx")
	}
	upstream := world.FreeAddress(t)
	w.serve(t, upstream)
	dir := t.TempDir()
	_, port, err := net.SplitHostPort(w.address)
	world.Must(t, err)
	scratch := "http {\n    access_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		scratch += fmt.Sprintf("    %s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	replace := strings.NewReplacer(
		"https://mcp.example.com/mcp", w.resource,
		"server hallpass-tokenserver.hallpass-system.svc:443;", "server 127.0.0.1:"+port+";", "mcp-server.tools.svc:9000", upstream,
		"hallpass-tokenserver.hallpass-system.svc", "localhost", "/etc/hallpass/ca.crt", w.caFile,
		"listen 8443 ssl;", "listen "+w.listen()+";", "ssl_certificate /etc/nginx/tls/tls.crt;", "", "ssl_certificate_key /etc/nginx/tls/tls.key;", "",
		"http {\n", scratch, "worker_processes auto;", "worker_processes 1;",
	)
	for _, file := range []string{"docs/mcp/nginx.conf", "docs/proxies/hallpass.conf"} {
		world.Must(t, os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(replace.Replace(read(t, file))), 0o600))
	}
	world.Must(t, os.Chmod(dir, 0o755))
	world.Must(t, os.Chmod(filepath.Dir(dir), 0o755))
	begin(t, "nginx", exec.CommandContext(t.Context(), nginx, "-p", dir, "-e", "stderr", "-c", "nginx.conf",
		"-g", "daemon off; error_log stderr; pid "+filepath.Join(dir, "pid")+";"))
	w.await(t, strings.Replace(w.resource, "/mcp", "/healthz", 1))
}
