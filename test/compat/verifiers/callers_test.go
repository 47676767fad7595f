// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verifiers_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/test/kit/memory"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const callers = "../../../docs/call"

func TestDocumentedCallersKeepAndRenewTheirToken(t *testing.T) {
	keepAndRenew(t, documented())
}

// documented are the callers that run without a build of minutes.
func documented() map[string]func(t *testing.T) *exec.Cmd {
	return map[string]func(t *testing.T) *exec.Cmd{
		"Go, the client module": func(t *testing.T) *exec.Cmd { return example(t, "caller") },
		"Go, x/oauth2": func(t *testing.T) *exec.Cmd {
			program := filepath.Join(t.TempDir(), "caller")
			if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, callers+"/go").CombinedOutput(); err != nil {
				t.Fatalf("build: %v: %s", err, output)
			}
			return exec.CommandContext(t.Context(), program)
		},
		"Node": func(t *testing.T) *exec.Cmd {
			if _, err := exec.LookPath("node"); err != nil {
				missing(t, "node")
			}
			return exec.CommandContext(t.Context(), "node", callers+"/node/call.mjs")
		},
		"Python": func(t *testing.T) *exec.Cmd {
			return exec.CommandContext(t.Context(), "/usr/bin/python3", callers+"/python/call.py")
		},
	}
}

// TestDocumentedCallersTrustWhatTheSecretSays runs each caller where ca.crt is for
// internal_token_url alone, and where the Secret has no ca.crt because a CA of the system signed
// the certificate.
func TestDocumentedCallersTrustWhatTheSecretSays(t *testing.T) {
	programs := documented()
	programs["curl"] = func(t *testing.T) *exec.Cmd {
		script, err := filepath.Abs(callers + "/curl/call.sh")
		world.Must(t, err)
		return exec.CommandContext(t.Context(), "sh", "-c", `exec sh "$0" "$API_URL"`, script)
	}
	trustWhatTheSecretSays(t, programs, "ca.crt is for internal_token_url", "the system's CAs")
}

// trustWhatTheSecretSays runs each caller with each of the named settings.
func trustWhatTheSecretSays(t *testing.T, programs map[string]func(t *testing.T) *exec.Cmd, settings ...string) {
	t.Helper()
	for name, program := range programs {
		for _, setting := range settings {
			t.Run(name+", "+setting, func(t *testing.T) {
				hallpass, tokenURL, caFile := serve(t)
				client := hallpass.Register("first", "read")
				secret := mountedSecret{dir: t.TempDir(), tokenURL: tokenURL, caFile: caFile}
				environment := append(os.Environ(), "HALLPASS_DIR="+secret.dir, "INTERVAL=0.05", "NODE_EXTRA_CA_CERTS="+filepath.Join(secret.dir, "ca.crt"))
				if setting == "the system's CAs" {
					secret.caFile = ""
					environment = append(environment, "SSL_CERT_FILE="+caFile, "CURL_CA_BUNDLE="+caFile, "NODE_EXTRA_CA_CERTS="+caFile)
				} else {
					// of an authority that is not in ca.crt
					public := httptest.NewTLSServer(http.NotFoundHandler())
					t.Cleanup(public.Close)
					secret.tokenURL, secret.internalURL = public.URL+"/oauth2/token", tokenURL
				}
				secret.write(t, client, hallpass.Secret(client))
				api := startAPI(t, hallpass, client)
				caller := program(t)
				caller.Env = slices.Concat(environment, []string{"API_URL=" + api.url})
				stop := begin(t, caller)
				world.Eventually(t, name+" calls the API", func() bool { return len(api.tokens(client)) > 0 })
				stop()
			})
		}
	}
}

func TestTheDocumentedSpringCallerKeepsAndRenewsItsToken(t *testing.T) {
	if testing.Short() {
		t.Skip("make long")
	}
	spring := map[string]func(t *testing.T) *exec.Cmd{
		"Java, Spring": func(t *testing.T) *exec.Cmd { return java(t, callers+"/java", "caller") },
	}
	keepAndRenew(t, spring)
	trustWhatTheSecretSays(t, spring, "ca.crt is for internal_token_url")
}

// keepAndRenew starts each caller with a wrong secret. It continues, uses one token for several
// calls, reads the files again when the API refuses the token, and replaces tokens that are about
// to expire.
func keepAndRenew(t *testing.T, programs map[string]func(t *testing.T) *exec.Cmd) {
	t.Helper()
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			hallpass, tokenURL, caFile := serve(t)
			first, second, brief := hallpass.Register("first", "read"), hallpass.Register("second", "read"), hallpass.Register("brief", "read")
			// callers replace it at least ten seconds before it expires
			hallpass.SetTokenLifetime(brief, 5*time.Second)
			secret := mountedSecret{dir: t.TempDir(), tokenURL: tokenURL, caFile: caFile}
			secret.write(t, first, "hp_wrong")
			api := startAPI(t, hallpass, first)
			caller := program(t)
			caller.Env = append(os.Environ(), "HALLPASS_DIR="+secret.dir, "API_URL="+api.url, "INTERVAL=0.05", "NODE_EXTRA_CA_CERTS="+caFile)
			stop := begin(t, caller)
			world.Eventually(t, name+" asks with the wrong secret", func() bool { return strings.Contains(hallpass.Audit.String(), `"WrongSecret"`) })

			secret.write(t, first, hallpass.Secret(first))
			world.Eventually(t, name+" calls the API five times", func() bool { return len(api.tokens(first)) >= 5 })
			if tokens := slices.Compact(api.tokens(first)); len(tokens) != 1 {
				t.Errorf("%d tokens for several calls", len(tokens))
			}

			secret.write(t, second, hallpass.Secret(second))
			api.refuse(first)
			world.Eventually(t, name+" reads the files again", func() bool { return len(api.tokens(second)) > 0 })

			secret.write(t, brief, hallpass.Secret(brief))
			api.refuse(second)
			world.Eventually(t, name+" replaces tokens before they expire", func() bool { return len(slices.Compact(api.tokens(brief))) >= 3 })
			stop()
		})
	}
}

func TestTheDocumentedCronJobCallsWithOneToken(t *testing.T) {
	hallpass, tokenURL, caFile := serve(t)
	client := hallpass.Register("first", "read")
	secret := mountedSecret{dir: t.TempDir(), tokenURL: tokenURL, caFile: caFile}
	api := startAPI(t, hallpass, client)
	run := func() error {
		script, err := filepath.Abs(callers + "/curl/call.sh")
		world.Must(t, err)
		job := exec.CommandContext(t.Context(), "sh", script, api.url, api.url+"/again")
		job.Env = append(os.Environ(), "HALLPASS_DIR="+secret.dir)
		output, err := job.CombinedOutput()
		t.Logf("%s", output)
		return err
	}
	secret.write(t, client, "hp_wrong")
	if run() == nil {
		t.Error("the job succeeds with a wrong secret")
	}
	secret.write(t, client, hallpass.Secret(client))
	world.Must(t, run())
	if tokens := api.tokens(client); len(tokens) != 2 || tokens[0] != tokens[1] {
		t.Errorf("%d calls, want two with one token", len(tokens))
	}
	api.refuse(client)
	if run() == nil {
		t.Error("the job succeeds although the API refuses its token")
	}
}

// serve starts a token server without clients.
func serve(t *testing.T) (hallpass *memory.Server, tokenURL, caFile string) {
	t.Helper()
	listener := memory.Listen(t)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	world.Must(t, err)
	issuer := "https://localhost:" + port
	hallpass = memory.New(t, issuer)
	return hallpass, issuer + "/oauth2/token", hallpass.Serve(listener)
}

// begin starts a program, which runs until stop.
func begin(t *testing.T, program *exec.Cmd) (stop func()) {
	t.Helper()
	var output strings.Builder
	program.Stdout, program.Stderr = &output, &output
	world.Must(t, program.Start())
	var once sync.Once
	stop = func() {
		once.Do(func() {
			_ = program.Process.Kill()
			_ = program.Wait()
		})
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("it printed: %s", output.String())
		}
	})
	return stop
}

// mountedSecret is the directory of a mounted Secret. Like the kubelet it replaces all files at
// once. It has no entry for an empty field.
type mountedSecret struct{ dir, tokenURL, internalURL, caFile string }

func (m mountedSecret) write(t *testing.T, clientID, secret string) {
	t.Helper()
	entries := map[string]string{"client_id": clientID, "client_secret": secret, "token_url": m.tokenURL}
	if m.internalURL != "" {
		entries["internal_token_url"] = m.internalURL
	}
	if m.caFile != "" {
		ca, err := os.ReadFile(m.caFile)
		world.Must(t, err)
		entries["ca.crt"] = string(ca)
	}
	world.Mount(t, m.dir, entries)
}

// api accepts the tokens of some clients, and remembers them in their order.
type api struct {
	url string

	mu       sync.Mutex
	refused  map[string]bool
	accepted map[string][]string
}

func startAPI(t *testing.T, hallpass *memory.Server, introspector string) *api {
	t.Helper()
	a := &api{refused: map[string]bool{}, accepted: map[string][]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		var caller struct {
			Active   bool   `json:"active"`
			ClientID string `json:"client_id"`
		}
		err := json.Unmarshal(hallpass.Introspect(introspector, token), &caller)
		a.mu.Lock()
		defer a.mu.Unlock()
		if err != nil || !caller.Active || a.refused[caller.ClientID] {
			// RFC 6750 section 3.1
			w.Header().Set("WWW-Authenticate", `Bearer realm="orders", error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		a.accepted[caller.ClientID] = append(a.accepted[caller.ClientID], token)
	}))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// tokens are those of a client that were accepted.
func (a *api) tokens(clientID string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.accepted[clientID])
}

// refuse answers 401 to the tokens of a client from now on.
func (a *api) refuse(clientID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused[clientID] = true
}
