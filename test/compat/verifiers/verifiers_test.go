// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verifiers_test runs the documented verifiers in Go, Node, Python and Java, with the
// libraries that they name, on good tokens and bad ones, and the documented callers at a token
// endpoint and an API.
package verifiers_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/test/kit/memory"
)

const docs = "../../../docs/verify"

// claims are those of a token that a verifier accepts, unless a case changes them.
func claims(issuer, audience string, expires time.Time) string {
	return fmt.Sprintf(`{"iss":%q,"sub":"shop.caller","aud":%q,"client_id":"shop.caller","client_uid":"uid-of-shop.caller","scope":"read",`+
		`"jti":"MDEyMzQ1Njc4OWFiY2RlZg","iat":%d,"exp":%d}`, issuer, audience, time.Now().Unix(), expires.Unix())
}

// issuedIn are claims with the time of issue.
func issuedIn(ahead time.Duration, claims string) string {
	return regexp.MustCompile(`"iat":\d+`).ReplaceAllString(claims, fmt.Sprintf(`"iat":%d`, time.Now().Add(ahead).Unix()))
}

func TestDocumentedVerifiersTellGoodTokensFromBad(t *testing.T) {
	tellGoodTokensFromBad(t, verifiers())
}

// Maven takes longer than the other tests, and its packages have to be there or within reach.
func TestTheDocumentedSpringVerifierTellsGoodTokensFromBad(t *testing.T) {
	if testing.Short() {
		t.Skip("make long")
	}
	tellGoodTokensFromBad(t, map[string]func(t *testing.T) *exec.Cmd{
		"Java, Spring Security": func(t *testing.T) *exec.Cmd { return java(t, filepath.Join(docs, "java"), "verifier") },
	})
}

func tellGoodTokensFromBad(t *testing.T, verifiers map[string]func(t *testing.T) *exec.Cmd) {
	t.Helper()
	listener := memory.Listen(t)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	issuer := "https://localhost:" + port
	hallpass, another := memory.New(t, issuer), memory.New(t, issuer)
	caFile := hallpass.Serve(listener)
	caller, writer := hallpass.Register("caller", "read", "write"), hallpass.Register("writer", "write")
	good := hallpass.Token(caller)
	soon := time.Now().Add(time.Hour)
	ours := claims(issuer, hallpass.Audience, soon)
	cases := []struct{ name, token, want string }{
		{"a good token", good, "passed shop.caller uid-of-shop.caller"},
		{"one that was made for this test", hallpass.Sign("at+jwt", ours), "passed shop.caller uid-of-shop.caller"},
		{"one of an issuer whose clock is 20 seconds ahead", hallpass.Sign("at+jwt", issuedIn(20*time.Second, ours)), "passed shop.caller uid-of-shop.caller"},
		{"a tampered signature", tamper(good), "refused"},
		{"no signature", good[:strings.LastIndex(good, ".")+1], "refused"},
		{"nonsense", "a.b.c", "refused"},
		{"nothing", "", "refused"},
		{"another key", another.Sign("at+jwt", ours), "refused"},
		{"another issuer", hallpass.Sign("at+jwt", claims("https://evil.test", hallpass.Audience, soon)), "refused"},
		{"another audience", hallpass.Sign("at+jwt", claims(issuer, issuer+"/ns/other", soon)), "refused"},
		{"an expired token", hallpass.Sign("at+jwt", claims(issuer, hallpass.Audience, time.Now().Add(-2*time.Minute))), "refused"},
		{"another type", hallpass.Sign("JWT", ours), "refused"},
		{"no exp", hallpass.Sign("at+jwt", strings.ReplaceAll(ours, `"exp"`, `"not_exp"`)), "refused"},
		{"no aud", hallpass.Sign("at+jwt", strings.ReplaceAll(ours, `"aud"`, `"not_aud"`)), "refused"},
		{"no client_id", hallpass.Sign("at+jwt", strings.ReplaceAll(ours, `"client_id"`, `"not_client_id"`)), "refused"},
		{"no scope", hallpass.Sign("at+jwt", strings.ReplaceAll(ours, `"scope"`, `"not_scope"`)), "refused"},
		{"a scope that has it in its name", hallpass.Sign("at+jwt", strings.ReplaceAll(ours, `"read"`, `"read-all unread"`)), "refused"},
		{"the token of a client without the scope", hallpass.Token(writer), "refused"},
		{"a good token after all of these", good, "passed shop.caller uid-of-shop.caller"},
	}
	var input strings.Builder
	for _, c := range cases {
		input.WriteString(c.token + "\n")
	}
	for name, command := range verifiers {
		t.Run(name, func(t *testing.T) {
			lines := verify(t, command(t), issuer, hallpass.Audience, caFile, input.String())
			if len(lines) != len(cases) {
				t.Fatalf("%d answers to %d tokens: %s", len(lines), len(cases), lines)
			}
			for i, c := range cases {
				if lines[i] != c.want {
					t.Errorf("%s: %s, want %s", c.name, lines[i], c.want)
				}
			}
		})
	}
}

// verifiers are the documented ones.
func verifiers() map[string]func(t *testing.T) *exec.Cmd {
	return map[string]func(t *testing.T) *exec.Cmd{
		"Go, the client module": func(t *testing.T) *exec.Cmd { return example(t, "verifier") },
		"Go, go-oidc": func(t *testing.T) *exec.Cmd {
			return exec.CommandContext(t.Context(), "go", "run", "../../../docs/verify/go")
		},
		"Node, jose":    node,
		"Python, PyJWT": pyjwt,
		"Python, Authlib": func(t *testing.T) *exec.Cmd {
			return python(t, "verify_authlib.py", "authlib")
		},
	}
}

// example builds an example of the client module, which is a module of its own.
func example(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./examples/"+name)
	build.Dir = "../../../client"
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the example %s: %v: %s", name, err, output)
	}
	return exec.CommandContext(t.Context(), program)
}

// verify runs a verifier on tokens, one a line, and returns its answers.
func verify(t *testing.T, verifier *exec.Cmd, issuer, audience, caFile, tokens string) []string {
	t.Helper()
	verifier.Env = append(os.Environ(), "ISSUER="+issuer, "AUDIENCE="+audience,
		"CA_FILE="+caFile, "NODE_EXTRA_CA_CERTS="+caFile, "SSL_CERT_FILE="+caFile)
	verifier.Stdin = strings.NewReader(tokens)
	var output, problems bytes.Buffer
	verifier.Stdout, verifier.Stderr = &output, &problems
	if err := verifier.Run(); err != nil {
		t.Fatalf("%v: %s%s", err, &output, &problems)
	}
	return strings.Split(strings.TrimSpace(output.String()), "\n")
}

// missing fails where CI runs and skips elsewhere.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what + " is not installed")
	}
	t.Skip(what + " is not installed; make test-tools installs it on Debian")
}

// pyjwt runs the documented verifier in an environment of its own, which pip makes by its
// requirements: Debian's PyJWT has no ssl_context.
func pyjwt(t *testing.T) *exec.Cmd {
	t.Helper()
	environment := t.TempDir()
	run := func(name string, arguments ...string) {
		if output, err := exec.CommandContext(t.Context(), name, arguments...).CombinedOutput(); err != nil {
			t.Logf("%s: %v: %s", name, err, output)
			missing(t, "PyJWT")
		}
	}
	run("python3", "-m", "venv", environment)
	interpreter := filepath.Join(environment, "bin", "python")
	run(interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", filepath.Join(docs, "python", "requirements.txt"))
	return exec.CommandContext(t.Context(), interpreter, filepath.Join(docs, "python", "verify_pyjwt.py"))
}

// python runs a documented verifier with Debian's Python, which has Debian's libraries.
func python(t *testing.T, file, library string) *exec.Cmd {
	t.Helper()
	if _, err := os.Stat("/usr/lib/python3/dist-packages/" + library); err != nil {
		missing(t, "python3-"+library)
	}
	return exec.CommandContext(t.Context(), "/usr/bin/python3", filepath.Join(docs, "python", file))
}

// node runs the documented verifier beside jose, which npm installs by the lock file.
func node(t *testing.T) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed") // in Debian it is 400 packages; Node comes with npm
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(docs, "node"))); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	if output, err := install.CombinedOutput(); err != nil {
		t.Logf("npm ci: %v: %s", err, output)
		missing(t, "jose")
	}
	return exec.CommandContext(t.Context(), "node", filepath.Join(dir, "verify.mjs"))
}

// java builds an application of Spring Boot with Maven, and starts it.
func java(t *testing.T, source, name string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("mvn"); err != nil {
		t.Skip("Maven is not installed")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "mvn", "--batch-mode", "--quiet", "package")
	build.Dir = dir
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("mvn package: %v: %s", err, output)
	}
	return exec.CommandContext(t.Context(), "java", "-Xmx128m", "-jar", filepath.Join(dir, "target", name+".jar"))
}

// tamper flips a bit in the middle of the signature.
func tamper(token string) string {
	i := len(token) - 20
	letter := byte('A')
	if token[i] == letter {
		letter = 'B'
	}
	return token[:i] + string(letter) + token[i+1:]
}
