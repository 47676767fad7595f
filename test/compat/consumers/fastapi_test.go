// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers_test

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/test/kit/memory"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// An API with FastAPI and PyJWT accepts good tokens and refuses bad ones, and a caller with Authlib
// calls it over the end of its tokens, rotations of its secret and rotations of the signing keys,
// until it is suspended.
func TestFastAPITakesTokens(t *testing.T) {
	interpreter := python(t, filepath.Join(docs, "fastapi", "requirements.txt"))
	listener := memory.Listen(t)
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	issuer := "https://localhost:" + port
	hallpass := memory.New(t, issuer)
	caFile := hallpass.Serve(listener)
	caller, writer := hallpass.Register("caller", "read", "write"), hallpass.Register("writer", "write")
	// Authlib replaces a token a minute before it expires
	hallpass.SetTokenLifetime(caller, 61*time.Second)

	address := world.FreeAddress(t)
	host, apiPort, _ := strings.Cut(address, ":")
	runWith(t, []string{"ISSUER=" + issuer, "AUDIENCE=" + hallpass.Audience, "CA_FILE=" + caFile}, interpreter,
		"-m", "uvicorn", "--app-dir", filepath.Join(docs, "fastapi"), "--host", host, "--port", apiPort, "app:app")
	url := "http://" + address + "/orders"
	ask := func(token string) (status int, challenge string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		must(t, err)
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, err.Error()
		}
		defer func() { _ = response.Body.Close() }()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode, response.Header.Get("WWW-Authenticate")
	}
	eventually(t, "the API answers", func() bool { status, _ := ask(""); return status == http.StatusUnauthorized })

	good := tokenClaims(t, issuer, hallpass.Audience, caller, nil)
	with := func(name string, value any) string {
		return tokenClaims(t, issuer, hallpass.Audience, caller, map[string]any{name: value})
	}
	const invalid = `Bearer error="invalid_token"`
	for what, c := range map[string]struct {
		token     string
		status    int
		challenge string
	}{
		"a good token":                   {hallpass.Token(caller), 200, ""},
		"one that was made for the test": {hallpass.Sign("at+jwt", good), 200, ""},
		"no token":                       {"", 401, "Bearer"},
		"nonsense":                       {"a.b.c", 401, invalid},
		"no signature":                   {unsigned(good), 401, invalid},
		"another key":                    {memory.New(t, issuer).Sign("at+jwt", good), 401, invalid},
		"another type":                   {hallpass.Sign("JWT", good), 401, invalid},
		"another audience":               {hallpass.Sign("at+jwt", with("aud", issuer+"/ns/other")), 401, invalid},
		"another issuer":                 {hallpass.Sign("at+jwt", with("iss", "https://evil.test")), 401, invalid},
		"an expired token":               {hallpass.Sign("at+jwt", with("exp", time.Now().Add(-time.Minute).Unix())), 401, invalid},
		"one for a person":               {hallpass.Sign("at+jwt", with("sub", "jane")), 401, invalid},
		"another scope":                  {hallpass.Token(writer), 403, `Bearer error="insufficient_scope", scope="read"`},
	} {
		if status, challenge := ask(c.token); status != c.status || challenge != c.challenge {
			t.Errorf("%s: %d %s, want %d %s", what, status, challenge, c.status, c.challenge)
		}
	}

	dir := mounted(t, hallpass, issuer, caFile, caller)
	printed := runWith(t, []string{"HALLPASS_DIR=" + dir, "API_URL=" + url, "INTERVAL=0.2"}, interpreter, filepath.Join(docs, "fastapi", "caller.py"))
	passed := func() int { return strings.Count(printed.String(), "200 {") }
	calls := func(when string) {
		before, tokens := passed(), tokensOf(hallpass, caller)
		eventually(t, "the caller goes on "+when, func() bool { return passed() > before+2 && tokensOf(hallpass, caller) > tokens+1 })
	}
	calls("at first")
	for range world.Count(t, "HALLPASS_ROTATIONS", 3) {
		remount(t, dir, issuer, caFile, caller, newSecret(t, hallpass, caller))
		calls("with the next secret")
		endFormer(hallpass, caller)
		calls("after the former secret ended")
	}
	hallpass.RotateKeys()
	calls("after the keys were rotated")
	if text := printed.String(); strings.Contains(text, "try again") || strings.Contains(text, "401") {
		t.Errorf("a call failed: %s", text)
	}
	hallpass.Suspend(caller)
	eventually(t, "a suspended client gets no tokens", func() bool { return strings.Contains(printed.String(), "invalid_client") })
}
