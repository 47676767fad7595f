// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	issuer   = "https://hallpass.test"
	clientID = "shop.reporting"
)

// endpoint answers as the token server does, by the rules of docs/token-server.md and
// docs/authentication.md. It runs inside of a test, without a network, so that testing/synctest
// moves its time.
type endpoint struct {
	mu sync.Mutex
	// secrets end at an instant; the zero time is no end.
	secrets map[string]time.Time
	// assertions are those of files that are accepted.
	assertions map[string]bool
	key        crypto.PublicKey
	life       time.Duration
	// ahead is by how much its clock is ahead of the machine's.
	ahead time.Duration
	// fails answers a request in the place of the endpoint; it may return an error of the
	// connection.
	fails func(r *http.Request) (*httptest.ResponseRecorder, error)

	requests []url.Values
	times    []time.Time
	used     map[string]bool
	issued   map[string]time.Time // the end of each token, by the clock of the endpoint
}

func newEndpoint() *endpoint {
	return &endpoint{
		secrets: map[string]time.Time{}, assertions: map[string]bool{}, life: time.Hour,
		used: map[string]bool{}, issued: map[string]time.Time{},
	}
}

// client sends requests to the endpoint.
func (e *endpoint) client() *http.Client { return &http.Client{Transport: e} }

// RoundTrip implements http.RoundTripper.
func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.requests, e.times = append(e.requests, r.Form), append(e.times, time.Now())
	fails := e.fails
	e.mu.Unlock()
	w := httptest.NewRecorder()
	if fails != nil {
		answer, err := fails(r)
		if err != nil {
			return nil, err
		}
		if answer != nil {
			return answer.Result(), nil
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	w.Header().Set("Date", e.now().UTC().Format(http.TimeFormat))
	e.serve(w, r)
	return w.Result(), nil
}

func (e *endpoint) now() time.Time { return time.Now().Add(e.ahead) }

func (e *endpoint) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/oauth2/token" {
		refuse(w, http.StatusNotFound, "invalid_request", "there is nothing here")
		return
	}
	if !e.authenticates(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="hallpass", charset="UTF-8"`)
		refuse(w, http.StatusUnauthorized, "invalid_client", "client authentication failed")
		return
	}
	switch {
	case r.Form.Get("grant_type") != "client_credentials":
		refuse(w, http.StatusBadRequest, "unsupported_grant_type", "")
		return
	case strings.Contains(r.Form.Get("scope"), "denied"):
		refuse(w, http.StatusBadRequest, "invalid_scope", "the scope denied is not granted")
		return
	case strings.Contains(r.Form.Get("resource"), "denied"):
		refuse(w, http.StatusBadRequest, "invalid_target", "the client has no access to this resource")
		return
	}
	value := "token-" + strconv.Itoa(len(e.issued))
	e.issued[value] = e.now().Truncate(time.Second).Add(e.life)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d,"scope":"read write"}`, value, int(e.life.Seconds()))
}

func refuse(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":%q,"error_description":%q}`, code, description)
}

func (e *endpoint) authenticates(r *http.Request) bool {
	user, password, basic := r.BasicAuth()
	if basic {
		id, idErr := url.QueryUnescape(user)
		secret, secretErr := url.QueryUnescape(password)
		end, known := e.secrets[secret]
		return errors.Join(idErr, secretErr) == nil && id == clientID && known && (end.IsZero() || e.now().Before(end))
	}
	if r.Form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return false
	}
	assertion := r.Form.Get("client_assertion")
	return e.assertions[assertion] && r.Form.Get("client_id") == clientID || e.key != nil && e.signed(assertion)
}

// signed checks an assertion of private_key_jwt.
func (e *endpoint) signed(assertion string) bool {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return false
	}
	var header struct{ Alg, Typ, Kid string }
	var claims struct {
		Iss, Sub, Aud, Jti string
		Exp                int64
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !decode(parts[0], &header) || !decode(parts[1], &claims) || header.Typ != "JWT" {
		return false
	}
	input := []byte(parts[0] + "." + parts[1])
	sum := sha256.Sum256(input)
	valid := false
	switch key := e.key.(type) {
	case *ecdsa.PublicKey:
		valid = header.Alg == "ES256" && len(signature) == 64 &&
			ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	case ed25519.PublicKey:
		valid = header.Alg == "EdDSA" && ed25519.Verify(key, input, signature)
	case *rsa.PublicKey:
		valid = header.Alg == "RS256" && rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
	}
	end := time.Unix(claims.Exp, 0)
	now := e.now()
	if !valid || claims.Iss != clientID || claims.Sub != clientID || claims.Aud != issuer || claims.Jti == "" || e.used[claims.Jti] ||
		!now.Before(end.Add(time.Minute)) || end.Sub(now) > 6*time.Minute {
		return false
	}
	e.used[claims.Jti] = true
	return true
}

func decode(part string, into any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(raw, into) == nil
}

// good reports whether an API would accept a token now.
func (e *endpoint) good(value string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now().Before(e.issued[value])
}

// set changes the endpoint.
func (e *endpoint) set(change func(*endpoint)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e)
}

func (e *endpoint) asked() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.requests)
}

func (e *endpoint) last() url.Values {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests[len(e.requests)-1]
}

func (e *endpoint) instants() []time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.times)
}

// mount is a directory as the kubelet mounts a Secret.
type mount struct {
	dir     string
	version int
}

func newMount(t testing.TB, entries map[string]string) *mount {
	t.Helper()
	m := &mount{dir: t.TempDir()}
	m.write(t, entries)
	return m
}

// entries are those of a Secret with a client secret.
func entries(secret string) map[string]string {
	return map[string]string{"client_id": clientID, "client_secret": secret, "token_url": issuer + "/oauth2/token", "issuer_url": issuer}
}

// write replaces all entries at once.
func (m *mount) write(t testing.TB, entries map[string]string) {
	t.Helper()
	m.version++
	version := "..version-" + strconv.Itoa(m.version)
	must(t, os.Mkdir(filepath.Join(m.dir, version), 0o755))
	for name, content := range entries {
		must(t, os.WriteFile(filepath.Join(m.dir, version, name), []byte(content), 0o644))
		if _, err := os.Lstat(filepath.Join(m.dir, name)); err != nil {
			must(t, os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name)))
		}
	}
	before, _ := os.Readlink(filepath.Join(m.dir, "..data"))
	must(t, os.Symlink(version, filepath.Join(m.dir, "..data_tmp")))
	must(t, os.Rename(filepath.Join(m.dir, "..data_tmp"), filepath.Join(m.dir, "..data")))
	if before != "" {
		must(t, os.RemoveAll(filepath.Join(m.dir, before)))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
