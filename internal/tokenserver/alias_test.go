// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The commands of docs/migrate.md, as they stand there.
func TestCommandsOfTheMigrationPage(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl")
	}
	page, err := os.ReadFile("../../docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	var aliases []string
	for _, flag := range regexp.MustCompile(`--token-endpoint-alias=(\S+)`).FindAllStringSubmatch(string(page), -1) {
		aliases = append(aliases, flag[1])
	}
	if err := CheckAliases(aliases); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *settings) { c.TokenAliases = aliases })
	plain, encrypted := httptest.NewServer(w.handler), httptest.NewTLSServer(w.handler)
	defer plain.Close()
	defer encrypted.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	pemCA := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: encrypted.Certificate().Raw})
	if err := os.WriteFile(ca, pemCA, 0o600); err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("(?m)^curl .+$").FindAllString(string(page), -1)
	if len(commands) != 4 {
		t.Fatalf("the page has %d commands", len(commands))
	}
	for _, command := range commands {
		t.Run(regexp.MustCompile(`PORT(/\S+)`).FindStringSubmatch(command)[1], func(t *testing.T) {
			server := encrypted.URL
			if strings.Contains(command, "http://") {
				server = plain.URL
			}
			for name, value := range map[string]string{
				"HOST:PORT": regexp.MustCompile("//(.+)").FindStringSubmatch(server)[1], "SECRET": w.secrets[reporting], "ID": reporting,
			} {
				command = regexp.MustCompile(`\b`+name+`\b`).ReplaceAllString(command, value)
			}
			run := exec.CommandContext(t.Context(), "sh", "-c", command)
			run.Env = []string{"CURL_CA_BUNDLE=" + ca, "PATH=" + filepath.Dir(curl)}
			out, err := run.Output()
			if err != nil || !regexp.MustCompile(`\{"access_token":"[\w.-]+","token_type":"Bearer","expires_in":3600,"scope":"read write"\}`).Match(out) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func TestAliasesAreServedOnlyWhenConfigured(t *testing.T) {
	const alias = "/services/oauth2/token.pxp"
	with := newWorld(t, func(c *settings) { c.TokenAliases = []string{alias} })
	for _, path := range []string{alias, oauth2.TokenPath} {
		if answer := with.do(call{path: path, basic: reporting, body: grant}); answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	if answer := newWorld(t).do(call{path: alias, basic: reporting, body: grant}); answer.Code != http.StatusNotFound {
		t.Errorf("without the alias: %d", answer.Code)
	}
}

func TestTokenByGet(t *testing.T) {
	w := newWorld(t, func(c *settings) { c.TokenByGet = true })
	query := oauth2.TokenPath + "?" + grant
	for name, c := range map[string]struct {
		call   call
		status int
	}{
		"credentials in the header":                {call{method: http.MethodGet, path: query, basic: reporting}, 200},
		"right credentials in the query":           {call{method: http.MethodGet, path: query + "&" + w.post(reporting)}, 400},
		"credentials in the query beside a header": {call{method: http.MethodGet, path: query + "&" + w.post(reporting), basic: reporting}, 400},
		"an assertion in the query":                {call{method: http.MethodGet, path: query + "&client_assertion=" + url.QueryEscape("a.b.c")}, 400},
		"no credentials":                           {call{method: http.MethodGet, path: query}, 401},
		"a parameter twice":                        {call{method: http.MethodGet, path: query + "&" + grant, basic: reporting}, 400},
		"HEAD":                                     {call{method: http.MethodHead, path: query, basic: reporting}, 405},
		"introspection by GET":                     {call{method: http.MethodGet, path: oauth2.IntrospectionPath + "?token=a", basic: reporting}, 405},
		"POST":                                     {call{basic: reporting, body: grant}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			answer := w.do(c.call)
			if answer.Code != c.status {
				t.Errorf("got %d %s, want %d", answer.Code, answer.Body, c.status)
			}
			checkHeaders(t, answer.Header(), http.Header{"Cache-Control": {"no-store"}})
			if c.status == http.StatusMethodNotAllowed && name == "HEAD" && answer.Header().Get("Allow") != "GET, POST" {
				t.Errorf("Allow %q", answer.Header().Get("Allow"))
			}
		})
	}
	w.do(call{method: http.MethodGet, path: query, basic: reporting})
	if line := w.lastAudit(); line["outcome"] != "allowed" || line["jti"] == nil {
		t.Errorf("a token fetched by GET is audited like any other: %v", line)
	}
}

// Credentials would follow a redirect; nothing here sends one.
func TestNothingRedirects(t *testing.T) {
	w := newWorld(t)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions, http.MethodPut, "PROPFIND"} {
		for _, path := range []string{"/", "//", "//oauth2/token", "/oauth2/token/", "/oauth2//token", "/./oauth2/token", "/oauth2/../oauth2/token", "/oauth2", "/oauth2/token/.."} {
			answer := w.do(call{method: method, path: testIssuer + path, basic: reporting, body: grant})
			if answer.Code != http.StatusNotFound {
				t.Errorf("%s %s: %d", method, path, answer.Code)
			}
		}
		answer := w.do(call{method: method, path: login("x"), basic: reporting, body: grant})
		if answer.Code/100 != 4 || answer.Header().Get("Location") != "" {
			t.Errorf("%s of a login: %d to %q", method, answer.Code, answer.Header().Get("Location"))
		}
	}
}
