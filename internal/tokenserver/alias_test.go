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

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The commands of docs/migrate.md, in the order in which they stand there: what one answers is what
// the next ones send. Login runs the address of the authorization endpoint.
func TestCommandsOfTheMigrationPage(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl")
	}
	page, err := os.ReadFile("../../docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	aliases := Aliases{Token: aliasesIn(page, "token"), Introspection: aliasesIn(page, "introspection"), Revocation: aliasesIn(page, "revocation")}
	people := newPeopleWorld(t, func(s *settings) { s.Aliases = aliases }).running(t)
	pods := newClusterWorld(t, newSigner(t, jws.ES256), func(s *settings) { s.Aliases, s.PasswordGrant = aliases, true })
	files := t.TempDir()
	token := filepath.Join(files, "token")
	if err := os.WriteFile(token, []byte(pods.sign(pods.signer, "", nil)), 0o600); err != nil {
		t.Fatal(err)
	}
	back := people.code(portal)
	values := map[string]string{
		"REDIRECT": portalBack, "CODE": back.Get("code"), "VERIFIER": pkce, "/var/run/secrets/hallpass.dev/token": token,
	}
	commands := regexp.MustCompile("(?m)^curl .+$").FindAllString(string(page), -1)
	if len(commands) != 11 {
		t.Fatalf("the page has %d commands", len(commands))
	}
	for i, command := range commands {
		w, id := people.world, reporting
		switch {
		case strings.Contains(command, "grant_type=password"):
			w = pods.world
		case regexp.MustCompile("CODE|REFRESH").MatchString(command):
			id = portal
		}
		plain, encrypted := httptest.NewServer(w.handler), httptest.NewTLSServer(w.handler)
		defer plain.Close()
		defer encrypted.Close()
		ca, server := filepath.Join(files, "ca.pem"), encrypted.URL
		pemCA := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: encrypted.Certificate().Raw})
		if err := os.WriteFile(ca, pemCA, 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(command, "http://") {
			server = plain.URL
		}
		values["HOST:PORT"], values["SECRET"], values["ID"] = regexp.MustCompile("//(.+)").FindStringSubmatch(server)[1], w.secrets[id], id
		path := regexp.MustCompile(`PORT(/\S+)`).FindStringSubmatch(command)[1]
		for name, value := range values {
			command = regexp.MustCompile(`(^|\W)`+name+`\b`).ReplaceAllString(command, "${1}"+value)
		}
		run := exec.CommandContext(t.Context(), "sh", "-c", command)
		run.Env = []string{"CURL_CA_BUNDLE=" + ca, "PATH=" + filepath.Dir(curl)}
		out, err := run.Output()
		want := `\{"access_token":"([\w.-]+)","token_type":"Bearer","expires_in":3600,"scope":"read write"\}`
		switch {
		case strings.HasSuffix(path, "introspectToken"):
			want = `^\{"active":true,.*"client_id":"` + reporting + `"`
		case strings.HasSuffix(path, "revokeToken"):
			want = "^$"
		case id == portal:
			want = `\{"access_token":"([\w.-]+)","token_type":"Bearer","expires_in":3600,"refresh_token":"([\w.-]+)","scope":"orders.read"\}`
		}
		found := regexp.MustCompile(want).FindSubmatch(out)
		if err != nil || found == nil {
			t.Errorf("command %d, %s: %v: %s: %v", i+1, path, err, out, w.lastAudit())
		}
		for j, name := range []string{"TOKEN", "REFRESH"} {
			if len(found) > j+1 {
				values[name] = string(found[j+1])
			}
		}
		if strings.HasSuffix(path, "revokeToken") && w.lastAudit()["outcome"] != "revoked" {
			t.Errorf("command %d, %s: %v", i+1, path, w.lastAudit())
		}
	}
}

// aliasesIn are the aliases of an endpoint on a page.
func aliasesIn(page []byte, endpoint string) (paths []string) {
	for _, flag := range regexp.MustCompile("--"+endpoint+`-endpoint-alias=(\S+)`).FindAllStringSubmatch(string(page), -1) {
		paths = append(paths, flag[1])
	}
	return paths
}

func TestAliasesAreServedOnlyWhenConfigured(t *testing.T) {
	const alias = "/services/oauth2/token.pxp"
	with := newWorld(t, func(c *settings) { c.Aliases.Token = []string{alias} })
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
