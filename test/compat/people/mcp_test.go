// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package people_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/packages"
	"github.com/hallpass-dev/hallpass/test/kit/people"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// agents is the scene of MCP clients: an MCP server, and a public client, agent. Another client has
// the URL of a metadata document as its client_id.
type agents struct {
	*scene

	// url is that of the MCP server, which identifies it.
	url string
}

// atTools is the scene of all tests of MCP clients.
var atTools struct {
	once sync.Once
	*agents
}

func newAgents(t *testing.T) *agents {
	t.Helper()
	atTools.once.Do(func() { atTools.agents = makeAgents(t) })
	if atTools.agents == nil {
		t.Fatal("the scene is not there, for the reason of an earlier test")
	}
	return atTools.agents
}

func makeAgents(t *testing.T) *agents {
	t.Helper()
	_, port, err := net.SplitHostPort(world.FreeAddress(t))
	must(t, err)
	a := &agents{scene: zitadelScene(t), url: "https://localhost:" + port + "/mcp"}
	client := `
apiVersion: hallpass.dev/v1alpha1
kind: OAuth2Client
metadata: {name: NAME, namespace: NAMESPACE}
spec:
  grantTypes: [AuthorizationCode]
  authentication: {method: None}
  redirectURIs: ["http://127.0.0.1/callback"]
  refreshTokens: {lifetime: 8h}
  loginIssuerName: PROVIDER
  access: [{resourceNamespace: NAMESPACE-tools, resourceName: server, scopes: [tools.call]}]
  clientID: ID
---`
	a.apply(t, `
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE-tools}
---
apiVersion: hallpass.dev/v1alpha1
kind: OAuth2Policy
metadata: {name: NAMESPACE-tools}
spec:
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE-tools}}
  resourceIdentifiers: ["`+a.url+`"]
---
apiVersion: hallpass.dev/v1alpha1
kind: OAuth2Resource
metadata: {name: server, namespace: NAMESPACE-tools}
spec:
  identifier: `+a.url+`
  displayName: Tools
  scopes: [{name: tools.call, description: Call tools}]
  grants:
  - {from: {namespaces: [NAMESPACE]}, scopes: [tools.call], subjects: [User]}
---`+strings.NewReplacer("NAME,", "agent,", "\n  clientID: ID", "").Replace(client)+
		strings.NewReplacer("NAME,", "document,", "ID\n", documentClient+"\n").Replace(client))
	must(t, installation.Kubectl(t.Context(), shared.Plane, "wait", "hpr", "server", "--for=condition=Ready", "--timeout=3m", "--namespace", a.namespace+"-tools"))
	a.await(t)
	return a
}

// documentClient is a client_id by a metadata document.
const documentClient = "https://agent.example.com/client.json"

// serve starts the MCP server of docs/mcp with a verifier of its own, and with the certificate of
// the token server, which is for localhost.
func (a *agents) serve(t *testing.T) {
	t.Helper()
	listen := strings.TrimSuffix(strings.TrimPrefix(a.url, "https://"), "/mcp")
	issuer, dir := shared.Hallpass.Issuer.String(), filepath.Dir(shared.Hallpass.CAFile)
	server := exec.CommandContext(t.Context(), buildGo(t, "server"))
	server.Env = append(os.Environ(), "LISTEN="+listen, "ISSUER="+issuer, "RESOURCE="+a.url, "CA_FILE="+shared.Hallpass.CAFile,
		"TLS_CERT_FILE="+filepath.Join(dir, "tls.crt"), "TLS_KEY_FILE="+filepath.Join(dir, "tls.key"),
		"RESOURCE_METADATA="+issuer+"/.well-known/oauth-protected-resource/resources/"+a.namespace+"-tools/server")
	must(t, server.Start())
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	world.Eventually(t, "the MCP server listens", func() bool {
		connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", listen)
		return err == nil && connection.Close() == nil
	})
}

// buildGo builds a program of docs/mcp.
func buildGo(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./"+name)
	build.Dir = filepath.Join(root, "docs", "mcp")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build docs/mcp/%s: %v: %s", name, err, output)
	}
	return program
}

// sdk is an SDK that has a person log in.
type sdk struct {
	name, version, provider string
	start                   func(t *testing.T) *exec.Cmd
	// listens: it takes the answer at its redirect URI.
	listens bool
	// comparesIssuer: it refuses the answer of another issuer. Refreshes: the program gets the
	// next token by the refresh token.
	comparesIssuer, refreshes bool
}

func sdks(t *testing.T) map[string]sdk {
	t.Helper()
	lock := packages.SDKs(t)
	node := func(major string) func(t *testing.T) *exec.Cmd {
		return func(t *testing.T) *exec.Cmd {
			t.Helper()
			if version := packages.NodeVersion(t); version < 20 {
				t.Skipf("NOT RUN: the SDKs need Node 20 or later, and this is %d", version)
			}
			command := exec.CommandContext(t.Context(), "node", "login.mjs", major)
			command.Dir = packages.NPM(t, "test/compat/mcp/node")
			return command
		}
	}
	python := func(major string) func(t *testing.T) *exec.Cmd {
		return func(t *testing.T) *exec.Cmd {
			t.Helper()
			interpreter := packages.Python(t, "test/compat/mcp/python", "requirements-"+major+".txt")
			return exec.CommandContext(t.Context(), interpreter, filepath.Join(root, "test", "compat", "mcp", "python", "login.py"))
		}
	}
	return map[string]sdk{
		"TypeScript 1": {"TypeScript", lock["@modelcontextprotocol/sdk"], "OAuthClientProvider", node("1"), false, false, true},
		"TypeScript 2": {"TypeScript", lock["@modelcontextprotocol/client"], "OAuthClientProvider", node("2"), false, true, true},
		"Python 1":     {"Python", lock["mcp 1"], "OAuthClientProvider", python("1"), false, false, true},
		"Python 2":     {"Python", lock["mcp 2"], "OAuthClientProvider", python("2"), false, true, true},
		"Go": {"Go", lock["go-sdk"], "AuthorizationCodeHandler", func(t *testing.T) *exec.Cmd {
			t.Helper()
			return exec.CommandContext(t.Context(), buildGo(t, "person"))
		}, true, true, false},
	}
}

// The interactive flow of each SDK goes from the 401 of an MCP server to a call with a token of a
// person, and sends what the table has.
func TestSDKsHavePeopleLogIn(t *testing.T) {
	a := newAgents(t)
	a.serve(t)
	text, err := os.ReadFile(filepath.Join(root, "docs", "mcp.md"))
	must(t, err)
	for name, s := range sdks(t) {
		t.Run(name, func(t *testing.T) {
			p := a.launch(t, s)
			address := p.read("open")
			query := parse(t, address).Query()
			p.answer(t, s, people.NewBrowser(t, network).LogIn(address, query.Get("redirect_uri"), a.provider).String())
			want := "you are " + a.namespace + ".agent, for " + a.person()
			if got := p.read("tool"); got != want {
				t.Errorf("the tool answers %q, want %q", got, want)
			}
			if s.refreshes {
				p.read("saved")
				if got := p.read("tool"); got != want {
					t.Errorf("with the next token the tool answers %q", got)
				}
			}
			row := fmt.Sprintf("| %s | %s | %s | %s | `%s` | `%s` | %s | %s |", s.name, s.version, s.provider, yes(query.Get("resource") == a.url),
				query.Get("scope"), query.Get("code_challenge_method"), yes(s.comparesIssuer), map[bool]string{true: "yes", false: "not run"}[s.refreshes])
			if !strings.Contains(string(text), row+"\n") {
				t.Errorf("docs/mcp.md lacks the row\n%s", row)
			}
		})
		t.Run(name+", with the answer of another issuer", func(t *testing.T) {
			p := a.launch(t, s)
			query := parse(t, p.read("open")).Query()
			answer := url.Values{"code": {"a-code"}, "state": {query.Get("state")}, "iss": {"https://evil.example.com"}}
			before := shared.Hallpass.Log.String()
			p.answer(t, s, query.Get("redirect_uri")+"?"+answer.Encode())
			p.ends(t)
			sent := strings.Contains(strings.TrimPrefix(shared.Hallpass.Log.String(), before), `"endpoint":"token"`)
			if sent == s.comparesIssuer {
				t.Errorf("the code is sent to the token server: %t", sent)
			}
		})
	}
}

// launch starts the program of an SDK as the client agent.
func (a *agents) launch(t *testing.T, s sdk) *program {
	t.Helper()
	return launch(t, s.start(t), "MCP_URL="+a.url, "CLIENT_ID="+a.namespace+".agent", "REDIRECT_URI="+nativeBack, "CA_FILE="+shared.Hallpass.CAFile)
}

// answer sends the person back to the program of an SDK.
func (p *program) answer(t *testing.T, s sdk, back string) {
	t.Helper()
	if !s.listens {
		p.write(back)
		return
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, back, http.NoBody)
	must(t, err)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	must(t, response.Body.Close())
}

// ends waits until the program ends, which calls no tool.
func (p *program) ends(t *testing.T) {
	t.Helper()
	for p.lines.Scan() {
		if strings.HasPrefix(p.lines.Text(), "tool ") {
			t.Errorf("it calls a tool: %s", p.lines.Text())
		}
		if strings.HasPrefix(p.lines.Text(), "open ") { // it begins again
			return
		}
	}
}

func yes(is bool) string { return map[bool]string{true: "yes", false: "no"}[is] }

// The conformance suite passes with a client that is registered, and without a warning while a
// client has a metadata document as its client_id.
func TestTheConformanceSuitePasses(t *testing.T) {
	a := newAgents(t)
	world.Eventually(t, "the metadata say that there is a client with a metadata document", func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, shared.Hallpass.Issuer.URL("/.well-known/oauth-authorization-server"), http.NoBody)
		must(t, err)
		response, err := shared.Hallpass.HTTP.Do(request)
		must(t, err)
		defer func() { _ = response.Body.Close() }()
		var metadata struct {
			Supported bool `json:"client_id_metadata_document_supported"`
		}
		must(t, json.NewDecoder(response.Body).Decode(&metadata))
		return metadata.Supported
	})
	_, port, err := net.SplitHostPort(world.FreeAddress(t))
	must(t, err)
	results := t.TempDir()
	p := launch(t, packages.Conformance(t, "authorization", "--url", shared.Hallpass.Issuer.String(), "--client-id", a.namespace+".agent",
		"--resource", a.url, "--port", port, "--output-dir", results))
	var address string
	for address == "" && p.lines.Scan() {
		if strings.HasPrefix(p.lines.Text(), loginURL) {
			address = p.lines.Text()
		}
	}
	back := "http://127.0.0.1:" + port + "/callback"
	p.answer(t, sdk{listens: true}, people.NewBrowser(t, network).LogIn(address, back, a.provider).String())
	var printed []string
	for p.lines.Scan() {
		printed = append(printed, p.lines.Text())
	}
	if err := p.command.Wait(); err != nil {
		t.Errorf("%v: %s", err, printed)
	}
	files, err := filepath.Glob(filepath.Join(results, "*", "checks.json"))
	must(t, err)
	var found []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		var checks []struct {
			ID     string `json:"id"`
			Status string `json:"status"`
		}
		must(t, json.Unmarshal(content, &checks))
		for _, c := range checks {
			found = append(found, c.ID+" "+c.Status)
		}
	}
	slices.Sort(found)
	want := []string{"authorization-code-grant SUCCESS", "authorization-server-metadata SUCCESS", "authorization-server-metadata-cimd SUCCESS"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("checks (-want +got):\n%s\n%s", diff, printed)
	}
}
