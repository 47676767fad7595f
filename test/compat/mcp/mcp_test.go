// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mcp_test has the SDKs of the Model Context Protocol (MCP) call a protected MCP server,
// unmodified and as their documentation shows. The server is the one of docs/mcp, behind nginx or
// with a verifier of its own. What each SDK sends is compared with the table of docs/mcp.md. The
// library openid-client is installed beside the SDKs, and gets tokens in further ways.
package mcp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
	"github.com/hallpass-dev/hallpass/test/kit/packages"
)

// sdk is a way of an SDK to get a token.
type sdk struct {
	name, version, provider string
	// client is the client of the scene that it acts as.
	client string
	start  func(t *testing.T, w *scene) *exec.Cmd
	// refused is what it is refused for; it is in the table, too.
	refused oauth2.Reason
}

func sdks(t *testing.T) map[string]sdk {
	t.Helper()
	lock := packages.SDKs(t)
	all := map[string]sdk{}
	for major, version := range map[string]string{"1": lock["@modelcontextprotocol/sdk"], "2": lock["@modelcontextprotocol/client"]} {
		for method, provider := range map[string]string{
			"secret": "ClientCredentialsProvider", "key": "PrivateKeyJwtProvider", "assertion": "StaticPrivateKeyJwtProvider",
		} {
			all["TypeScript "+major+", "+method] = sdk{name: "TypeScript", version: version, provider: provider, client: clients[method], start: node(major, method)}
		}
	}
	for major, version := range map[string]string{"1": lock["mcp 1"], "2": lock["mcp 2"]} {
		for method, provider := range map[string]string{
			"secret": "ClientCredentialsOAuthProvider", "post": "ClientCredentialsOAuthProvider, client_secret_post",
			"key": "PrivateKeyJWTOAuthProvider", "assertion": "PrivateKeyJWTOAuthProvider, static_assertion_provider",
		} {
			s := sdk{name: "Python", version: version, provider: provider, client: clients[method], start: python(major, method)}
			switch major + ", " + method {
			case "1, key": // it adds a slash to the issuer
				s.refused = oauth2.ReasonWrongAssertion
			case "1, post": // it sends the secret without the client_id
				s.refused = oauth2.ReasonMalformedRequest
			}
			all["Python "+major+", "+method] = s
		}
	}
	all["Go, secret"] = sdk{name: "Go", version: lock["go-sdk"], provider: "ClientCredentialsHandler", client: bySecret, start: agent("secret")}
	all["Go, pod"] = sdk{name: "Go", version: lock["go-sdk"], provider: "the agent of this page", client: byAccount, start: agent("pod")}
	return all
}

// Each SDK gets from the 401 of the server to a token and calls a tool, and sends what the table
// has.
func TestSDKsCallAnMCPServer(t *testing.T) {
	t.Parallel()
	page := read(t, "docs/mcp.md")
	for name, s := range sdks(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newScene(t)
			w.serveVerifying(t)
			output, err := run(t, s.start(t, w))
			if s.refused != "" {
				if err == nil || !strings.Contains(w.hallpass.Audit.String(), `"reason":"`+string(s.refused)+`"`) {
					t.Errorf("it is not refused because of %s: %v: %s", s.refused, err, output)
				}
			} else if err != nil || !strings.Contains(output, "you are "+s.client+"\n") {
				t.Fatalf("the tool is not called: %v: %s\nthe audit log:\n%s", err, output, w.hallpass.Audit)
			}
			if row := s.row(w.sent(t)); !strings.Contains(page, row+"\n") {
				t.Errorf("docs/mcp.md lacks the row\n%s", row)
			}
		})
	}
}

// The same answer from Hallpass, passed on by nginx.
func TestSDKsCallAnMCPServerBehindNginx(t *testing.T) {
	t.Parallel()
	all := sdks(t)
	for _, name := range []string{"TypeScript 1, secret", "TypeScript 2, key", "Python 2, assertion", "Go, secret", "Go, pod"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newScene(t)
			w.serveBehindNginx(t)
			output, err := run(t, all[name].start(t, w))
			if err != nil || !strings.Contains(output, "you are "+all[name].client+"\n") {
				t.Fatalf("the tool is not called: %v: %s\nthe audit log:\n%s", err, output, w.hallpass.Audit)
			}
		})
	}
}

// row is the row of the table for what an SDK sent.
func (s sdk) row(sent tokenRequest) string {
	answer := "a token"
	if s.refused != "" {
		answer = "refused: `" + string(s.refused) + "`"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s |", s.name, s.version, s.provider, sent.method, sent.clientID, sent.resource, sent.scope, answer)
}

// What both servers refuse, and how.
func TestTheServersRefuseOtherTokens(t *testing.T) {
	for name, serve := range map[string]func(*scene, *testing.T){"behind nginx": (*scene).serveBehindNginx, "with its own verifier": (*scene).serveVerifying} {
		t.Run(name, func(t *testing.T) {
			w := newScene(t)
			serve(w, t)
			// for the audience of its namespace
			elsewhere := w.hallpass.Register("elsewhere", "tools.call")
			w.hallpass.Change(bySecret, func(c *oauth2.Client) { c.Access[0].Scopes = []string{"tools.list"} })
			narrow := w.hallpass.Token(bySecret)
			for what, c := range map[string]struct {
				token  string
				status int
			}{
				"no token":                       {"", http.StatusUnauthorized},
				"nonsense":                       {"a.b.c", http.StatusUnauthorized},
				"a token for another audience":   {w.hallpass.Token(elsewhere), http.StatusUnauthorized},
				"a token that lacks the scope":   {narrow, http.StatusForbidden},
				"a service account's own token":  {w.hallpass.AccountToken("agent"), http.StatusUnauthorized},
				"a header that names the caller": {"", http.StatusUnauthorized},
			} {
				header := http.Header{"X-Auth-Client-Id": {"shop.admin"}, "Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
				if c.token != "" {
					header.Set("Authorization", "Bearer "+c.token)
				}
				status, challenge := w.post(t, header)
				if status != c.status {
					t.Errorf("%s: %d, want %d", what, status, c.status)
				}
				for _, want := range []string{`scope="tools.call"`, `resource_metadata="` + w.metadata() + `"`} {
					if !strings.HasPrefix(challenge, "Bearer ") || !strings.Contains(challenge, want) {
						t.Errorf("%s: the challenge is %q, without %s", what, challenge, want)
					}
				}
			}
		})
	}
}

// Clients that look for the metadata at the server itself find it there, too.
func TestNginxServesTheMetadataOfTheServer(t *testing.T) {
	w := newScene(t)
	w.serveBehindNginx(t)
	var documents [2]map[string]any
	for i, address := range []string{w.metadata(), strings.Replace(w.resource, "/mcp", "/.well-known/oauth-protected-resource/mcp", 1)} {
		status, body := w.get(t, address)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", address, status, body)
		}
		if err := json.Unmarshal(body, &documents[i]); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(documents[0], documents[1]); diff != "" {
		t.Errorf("the two documents differ:\n%s", diff)
	}
	want := map[string]any{
		"resource": w.resource, "resource_name": "Tools", "authorization_servers": []any{w.issuer}, "scopes_supported": []any{"tools.call", "tools.list"},
		"bearer_methods_supported": []any{"header"},
	}
	if diff := cmp.Diff(want, documents[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A client that wants a person to log in reports that this is not possible, and opens no browser.
func TestClientsThatWantALoginStopBeforeTheBrowser(t *testing.T) {
	t.Parallel()
	for _, major := range []string{"1", "2"} {
		t.Run("TypeScript "+major, func(t *testing.T) {
			t.Parallel()
			w := newScene(t)
			w.serveVerifying(t)
			command := node(major, "")(t, w)
			command.Args = []string{command.Args[0], "login.mjs", major}
			output, err := run(t, command)
			if err == nil || !strings.Contains(output, "does not support response type code") || strings.Contains(output, "open ") {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
}

// The conformance suite has one scenario for the metadata of authorization servers. It wants codes,
// which are not issued without login; nothing else is missing. Test/compat/people runs the suite
// with login.
func TestTheConformanceSuiteMissesTheCodeAlone(t *testing.T) {
	w := newScene(t)
	command := packages.Conformance(t, "authorization", "--url", w.issuer, "--scenario", "authorization-server-metadata-endpoint", "--verbose")
	command.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+w.caFile)
	output, err := run(t, command)
	if err == nil {
		t.Fatalf("the scenario passes, so people seem to be served: %s", output)
	}
	var found []check
	for _, c := range checks(t, output) {
		found = append(found, check{c.ID, c.Status, c.ErrorMessage})
	}
	want := []check{
		{"authorization-server-metadata", "FAILURE", `Response body does not include valid "response_types_supported" claim`},
		{"authorization-server-metadata-cimd", "WARNING", `Authorization server metadata does not include "client_id_metadata_document_supported"`},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("checks (-want +got):\n%s\n%s", diff, output)
	}
}

// check is a check of the conformance suite.
type check struct {
	ID           string `json:"id"`
	Status       string `json:"status"`
	ErrorMessage string `json:"errorMessage"`
}

// checks are those in the output of the suite, which has other lines around them.
func checks(t *testing.T, output string) []check {
	t.Helper()
	start := strings.Index(output, "[\n")
	if start < 0 {
		t.Fatalf("no checks in %s", output)
	}
	var found []check
	if err := json.NewDecoder(strings.NewReader(output[start:])).Decode(&found); err != nil {
		t.Fatalf("%v in %s", err, output)
	}
	return found
}

// run runs a program to its end, and returns what it printed.
func run(t *testing.T, program *exec.Cmd) (string, error) {
	t.Helper()
	var output bytes.Buffer
	program.Stdout, program.Stderr = &output, &output
	err := program.Run()
	return output.String(), err
}

// post sends an MCP request, and returns the status and the challenge.
func (w *scene) post(t *testing.T, header http.Header) (status int, challenge string) {
	t.Helper()
	const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize",` +
		`"params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.resource, strings.NewReader(initialize))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := w.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode, response.Header.Get("WWW-Authenticate")
}

func (w *scene) get(t *testing.T, address string) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := w.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

// The clients of the scene.
const (
	bySecret  = memory.Namespace + ".by-secret"
	byKey     = memory.Namespace + ".by-key"
	byAccount = memory.Namespace + ".agent"
)
