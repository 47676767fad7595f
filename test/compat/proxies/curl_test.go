// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package proxies_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// curl ends with this code when its stream is reset before its body was taken.
const curlStreamWasReset = 92

// TestCurlGetsTheAnswerToABodyThatIsNotRead sends longer bodies than an endpoint discards.
func TestCurlGetsTheAnswerToABodyThatIsNotRead(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip(err)
	}
	w := newWorld(t)
	body := filepath.Join(t.TempDir(), "body")
	for name, c := range map[string]struct {
		method, path, contentType string
		caller                    caller
		status                    int
	}{
		"forward-auth with a token":    {http.MethodPost, oauth2.ForwardAuthPath + "?audience=" + audience(), "", w.reader, 200},
		"forward-auth without a token": {http.MethodPost, oauth2.ForwardAuthPath + "?audience=" + audience(), "", caller{}, 401},
		"a token by another method":    {http.MethodPut, oauth2.TokenPath, "", caller{}, 405},
		"a token by another type":      {http.MethodPost, oauth2.TokenPath, "text/plain", caller{}, 415},
		"a token by a form too long":   {http.MethodPost, oauth2.TokenPath, "", caller{}, 413},
		"introspection by JSON":        {http.MethodPost, oauth2.IntrospectionPath, "application/json", caller{}, 415},
		"the key set":                  {http.MethodPost, oauth2.JWKSPath, "", caller{}, 405},
		"no endpoint":                  {http.MethodPost, "/nothing", "", caller{}, 404},
	} {
		for _, version := range []string{"--http1.1", "--http2"} {
			for _, length := range []int{100 << 10, 1 << 20} {
				t.Run(fmt.Sprintf("%s, %s, %d bytes", name, version, length), func(t *testing.T) {
					if err := os.WriteFile(body, bytes.Repeat([]byte("x"), length), 0o600); err != nil {
						t.Fatal(err)
					}
					args := []string{version, "--cacert", w.caFile, "--silent", "--show-error", "--max-time", "60", "--request", c.method, "--data-binary", "@" + body,
						"--write-out", "\n%{http_code} %header{x-auth-client-id}", "https://" + w.address + c.path}
					if c.contentType != "" {
						args = append(args, "--header", "Content-Type: "+c.contentType)
					}
					if c.caller.token != "" {
						args = append(args, "--header", "Authorization: Bearer "+c.caller.token)
					}
					output, err := exec.CommandContext(t.Context(), curl, args...).Output()
					answer, result, _ := strings.Cut(string(output), "\n")
					if want := strings.TrimSpace(fmt.Sprint(c.status, " ", c.caller.id)); strings.TrimSpace(result) != want {
						t.Errorf("curl has %q %v, want %q", result, err, want)
					}
					if c.status == http.StatusOK {
						if exit, failed := err.(*exec.ExitError); err != nil && (!failed || exit.ExitCode() != curlStreamWasReset) { //nolint:errorlint // Output wraps nothing
							t.Errorf("curl: %v", err)
						}
						return
					}
					var refusal struct{ Error string }
					if unmarshal := json.Unmarshal([]byte(answer), &refusal); err != nil || unmarshal != nil || refusal.Error == "" {
						t.Errorf("the body is %q: %v, %v", answer, err, unmarshal)
					}
				})
			}
		}
	}
}
