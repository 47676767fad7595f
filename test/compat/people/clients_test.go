// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package people_test

import (
	"bufio"
	"bytes"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/test/kit/packages"
	"github.com/hallpass-dev/hallpass/test/kit/people"
)

// library is a client library with a program that uses it.
type library struct {
	start func(t *testing.T) *exec.Cmd
	// refusal is in what it prints about an answer of another issuer.
	refusal string
}

func libraries() map[string]library {
	return map[string]library{
		"openid-client": {inNode("openid-client.mjs"), `unexpected "iss"`},
		"oauth4webapi":  {inNode("oauth4webapi.mjs"), `unexpected "iss"`},
		"Authlib": {func(t *testing.T) *exec.Cmd {
			t.Helper()
			interpreter := packages.Python(t, "test/compat/people/python", "requirements.txt")
			return exec.CommandContext(t.Context(), interpreter, filepath.Join("python", "authlib_login.py"))
		}, "iss is not the issuer"},
	}
}

func inNode(program string) func(t *testing.T) *exec.Cmd {
	return func(t *testing.T) *exec.Cmd {
		t.Helper()
		if version := packages.NodeVersion(t); version < 20 {
			t.Skipf("NOT RUN: the libraries need Node 20 or later, and this is %d", version)
		}
		dir := packages.NPM(t, "test/compat/people/node")
		command := exec.CommandContext(t.Context(), "node", program)
		command.Dir = dir
		return command
	}
}

// Each library discovers the endpoints, has a person log in with PKCE, compares the issuer in the
// answer, redeems the code, refreshes and revokes.
func TestClientLibrariesLogPeopleIn(t *testing.T) {
	s := zitadelScene(t)
	for name, l := range libraries() {
		t.Run(name, func(t *testing.T) {
			for client, back := range map[string]string{"web": webBack, "native": nativeBack} {
				t.Run(client, func(t *testing.T) {
					p := s.begin(t, l.start(t), client, back)
					address := p.read("open")
					query := parse(t, address).Query()
					if query.Get("code_challenge_method") != "S256" || query.Get("state") == "" {
						t.Errorf("it asks for %s", address)
					}
					p.write(people.NewBrowser(t, network).LogIn(address, back, s.provider).String())
					first, firstRefresh := p.readToken()
					s.isForPerson(t, first, s.namespace+"."+client)
					second, secondRefresh := p.readToken()
					s.isForPerson(t, second, s.namespace+"."+client)
					if first == second || (firstRefresh != secondRefresh) != (client == "native") {
						t.Errorf("the access token is replaced: %t, the refresh token of %s: %t", first != second, client, firstRefresh != secondRefresh)
					}
					p.write("go on")
					p.read("revoked")
					s.hasEnded(t, "the first token", first)
					s.hasEnded(t, "the second token", second)
				})
			}
			for what, change := range map[string]func(url.Values){
				"the answer of another issuer":  func(v url.Values) { v.Set("iss", "https://evil.example.com") },
				"an answer that has no issuer":  func(v url.Values) { v.Del("iss") },
				"the answer of another request": func(v url.Values) { v.Set("state", "another") },
			} {
				t.Run(what, func(t *testing.T) {
					p := s.begin(t, l.start(t), "native", nativeBack)
					query := parse(t, p.read("open")).Query()
					answer := url.Values{"code": {"a-code"}, "state": {query.Get("state")}, "iss": {shared.Hallpass.Issuer.String()}}
					change(answer)
					before := shared.Hallpass.Log.String()
					p.write(nativeBack + "?" + answer.Encode())
					said := p.fails()
					if strings.Contains(what, "issuer") && !strings.Contains(said, "iss") {
						t.Errorf("it fails because of %s", said)
					}
					if strings.Contains(strings.TrimPrefix(shared.Hallpass.Log.String(), before), `"endpoint":"token"`) {
						t.Error("it sends the code to the token server")
					}
				})
			}
		})
	}
}

// program is a client that runs.
type program struct {
	t       *testing.T
	command *exec.Cmd
	input   io.WriteCloser
	lines   *bufio.Scanner
	errors  *bytes.Buffer
}

// begin starts a program as a client of the scene.
func (s *scene) begin(t *testing.T, command *exec.Cmd, client, back string) *program {
	t.Helper()
	return launch(t, command, "CLIENT_ID="+s.namespace+"."+client, "CLIENT_SECRET="+s.clientSecret(t, client), "REDIRECT_URI="+back, "RESOURCE="+s.api)
}

// launch starts a program that trusts the token server.
func launch(t *testing.T, command *exec.Cmd, environment ...string) *program {
	t.Helper()
	p := &program{t: t, command: command, errors: &bytes.Buffer{}}
	command.Env = append(append(os.Environ(), "ISSUER="+shared.Hallpass.Issuer.String(),
		"NODE_EXTRA_CA_CERTS="+shared.Hallpass.CAFile, "SSL_CERT_FILE="+shared.Hallpass.CAFile), environment...)
	command.Stderr = p.errors
	var err error
	p.input, err = command.StdinPipe()
	must(t, err)
	output, err := command.StdoutPipe()
	must(t, err)
	p.lines = bufio.NewScanner(output)
	must(t, command.Start())
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	return p
}

// read is the rest of the next line that begins with a word.
func (p *program) read(word string) string {
	p.t.Helper()
	var before []string
	for p.lines.Scan() {
		if first, rest, _ := strings.Cut(p.lines.Text(), " "); first == word {
			return rest
		}
		before = append(before, p.lines.Text())
	}
	_ = p.command.Wait()
	p.t.Fatalf("it does not print %q: %s\n%s", word, before, p.errors)
	return ""
}

// readToken is an access token and a refresh token.
func (p *program) readToken() (access, refresh string) {
	p.t.Helper()
	access, refresh, _ = strings.Cut(p.read("token"), " ")
	return access, refresh
}

func (p *program) write(line string) {
	p.t.Helper()
	_, err := io.WriteString(p.input, line+"\n")
	must(p.t, err)
}

// fails waits until it ends, and returns the errors that it prints.
func (p *program) fails() string {
	p.t.Helper()
	for p.lines.Scan() {
		p.t.Errorf("it goes on: %s", p.lines.Text())
	}
	if err := p.command.Wait(); err == nil {
		p.t.Error("it does not fail")
	}
	return p.errors.String()
}

func parse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	return u
}
