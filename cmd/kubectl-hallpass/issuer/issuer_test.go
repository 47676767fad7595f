// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/issuer"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// serve starts a token server with a handler, and an endpoint that trusts it.
func serve(t *testing.T, credentials issuer.Credentials, handler http.HandlerFunc) (*issuer.Endpoint, string) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	endpoint, err := issuer.NewEndpoint(credentials, ca, nil)
	if err != nil {
		t.Fatal(err)
	}
	return endpoint, server.URL
}

func TestFetchSendsWhatTheStandardsSay(t *testing.T) {
	for name, c := range map[string]struct {
		credentials issuer.Credentials
		want        map[string][]string
		basic       bool
	}{
		"a secret": {
			issuer.Credentials{ID: "https://a:b", Secret: oauth2.NewSecret("s c")},
			map[string][]string{"grant_type": {"client_credentials"}, "resource": {"https://api"}, "scope": {"a b"}}, true,
		},
		"an assertion": {
			issuer.Credentials{ID: "shop.a", Assertion: oauth2.NewSecret("jwt")},
			map[string][]string{
				"grant_type": {"client_credentials"}, "resource": {"https://api"}, "scope": {"a b"}, "client_id": {"shop.a"}, "client_assertion": {"jwt"},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var form map[string][]string
			var user, password string
			var basic bool
			endpoint, url := serve(t, c.credentials, func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				form = r.PostForm
				user, password, basic = r.BasicAuth()
				_, _ = w.Write([]byte(`{"access_token":"t","token_type":"Bearer","expires_in":60,"scope":"a"}`))
			})
			token, err := endpoint.Fetch(t.Context(), url, "https://api", []string{"a", "b"}, now)
			if err != nil {
				t.Fatal(err)
			}
			if token.Value.Reveal() != "t" || token.Scope != "a" || !token.ExpiresAt.Equal(now.Add(time.Minute)) {
				t.Errorf("token %q with scope %q until %s", token.Value.Reveal(), token.Scope, token.ExpiresAt)
			}
			if diff := cmp.Diff(c.want, form); diff != "" {
				t.Errorf("form (-want +got):\n%s", diff)
			}
			// RFC 6749 section 2.3.1
			if basic != c.basic || basic && (user != "https%3A%2F%2Fa%3Ab" || password != "s+c") {
				t.Errorf("Basic %t with %q and %q", basic, user, password)
			}
		})
	}
}

func TestARefusalSaysWhatTheTokenServerSaid(t *testing.T) {
	endpoint, url := serve(t, issuer.Credentials{ID: "a"}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-ID", "abc")
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_scope","error_description":"the scope x is not granted"}`))
	})
	_, err := endpoint.Fetch(t.Context(), url, "", nil, now)
	var refused *issuer.Error
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&issuer.Error{Status: 400, Code: "invalid_scope", Description: "the scope x is not granted", RequestID: "abc", RetryAfter: "3"}, refused); diff != "" {
		t.Errorf("refusal (-want +got):\n%s", diff)
	}
	if got := err.Error(); got != "the token server answers 400 invalid_scope: the scope x is not granted (request id abc); try again after 3 s" {
		t.Errorf("it says %s", got)
	}
}

func TestCredentialsFollowNoRedirect(t *testing.T) {
	called := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer other.Close()
	endpoint, url := serve(t, issuer.Credentials{ID: "a", Secret: oauth2.NewSecret("s")}, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	if _, err := endpoint.Fetch(t.Context(), url, "", nil, now); err == nil || called {
		t.Errorf("after a redirect: %v, the other server was called: %t", err, called)
	}
}

func TestAServerThatIsNotTrustedGetsNoCredentials(t *testing.T) {
	_, url := serve(t, issuer.Credentials{}, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
	endpoint, err := issuer.NewEndpoint(issuer.Credentials{ID: "a", Secret: oauth2.NewSecret("s")}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = endpoint.Fetch(t.Context(), url, "", nil, now)
	var unreachable *issuer.UnreachableError
	if err == nil || errors.As(err, &unreachable) || !strings.Contains(err.Error(), "is not trusted") {
		t.Errorf("a certificate of another CA: %v", err)
	}
	if _, err := issuer.NewEndpoint(issuer.Credentials{}, []byte("no PEM"), nil); err == nil {
		t.Error("a CA that is no PEM is accepted")
	}
}

func TestAServerThatIsNotThereIsUnreachable(t *testing.T) {
	endpoint, err := issuer.NewEndpoint(issuer.Credentials{ID: "a", Secret: oauth2.NewSecret("s3cret")}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = endpoint.Fetch(t.Context(), "https://hallpass.invalid/oauth2/token", "", nil, now)
	var unreachable *issuer.UnreachableError
	if !errors.As(err, &unreachable) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a name that no server has: %v", err)
	}
	if _, err := endpoint.Fetch(t.Context(), "::", "", nil, now); err == nil || !strings.Contains(err.Error(), "is no URL") {
		t.Errorf("what is no URL: %v", err)
	}
}

func TestTheCacheKeepsTokensForTheirUserAlone(t *testing.T) {
	dir := t.TempDir()
	cache, err := issuer.NewCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	key := issuer.Key{Server: "https://api", CA: []byte("ca"), ClientUID: "uid", Resource: "r", Scopes: []string{"b", "a", "b"}}
	token := issuer.Token{Value: oauth2.NewSecret("t"), Scope: "a b", ExpiresAt: now.Add(time.Hour)}
	if err := cache.Put(key, token, now); err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[entry.IsDir()]; err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o: %v", path, info.Mode().Perm(), want, err)
		}
		if !entry.IsDir() {
			files++
		}
		return nil
	})
	if err != nil || files != 1 {
		t.Errorf("%d files: %v", files, err)
	}
	same := key
	same.Scopes = []string{"a", "b"}
	if got, found := cache.Get(same, now); !found || got.Value.Reveal() != "t" || got.Scope != "a b" || !got.ExpiresAt.Equal(token.ExpiresAt) {
		t.Errorf("found %t: %q until %s", found, got.Value.Reveal(), got.ExpiresAt)
	}
	for name, other := range map[string]issuer.Key{
		"another server": {Server: "https://api2", CA: key.CA, ClientUID: "uid", Resource: "r", Scopes: key.Scopes},
		"another CA":     {Server: key.Server, CA: []byte("ca2"), ClientUID: "uid", Resource: "r", Scopes: key.Scopes},
		"another UID":    {Server: key.Server, CA: key.CA, ClientUID: "uid2", Resource: "r", Scopes: key.Scopes},
		"no resource":    {Server: key.Server, CA: key.CA, ClientUID: "uid", Scopes: key.Scopes},
		"fewer scopes":   {Server: key.Server, CA: key.CA, ClientUID: "uid", Resource: "r", Scopes: []string{"a"}},
	} {
		if _, found := cache.Get(other, now); found {
			t.Errorf("%s: the token is found", name)
		}
	}
	if _, found := cache.Get(key, token.ExpiresAt.Add(-20*time.Second)); found {
		t.Error("a token that is about to expire is found")
	}
	if deleted, err := cache.Clear(); deleted != 1 || err != nil {
		t.Errorf("%d deleted: %v", deleted, err)
	}
	if _, found := cache.Get(key, now); found {
		t.Error("a deleted token is found")
	}
	if deleted, err := cache.Clear(); deleted != 0 || err != nil {
		t.Errorf("%d deleted of none: %v", deleted, err)
	}
}

func TestAFileThatOthersMayReadIsNoCache(t *testing.T) {
	dir := t.TempDir()
	cache, err := issuer.NewCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	key := issuer.Key{Server: "s"}
	if err := cache.Put(key, issuer.Token{Value: oauth2.NewSecret("t"), ExpiresAt: now.Add(time.Hour)}, now); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "tokens", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.Chmod(files[0], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, found := cache.Get(key, now); found {
		t.Error("a file with mode 0644 is read")
	}
	if err := os.Rename(files[0], filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "moved"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "moved"), files[0]); err != nil {
		t.Fatal(err)
	}
	if _, found := cache.Get(key, now); found {
		t.Error("a symbolic link is followed")
	}
}

func TestExpiredTokensAreDeleted(t *testing.T) {
	dir := t.TempDir()
	cache, err := issuer.NewCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, server := range []string{"a", "b"} {
		at := now.Add(time.Duration(i) * time.Hour)
		if err := cache.Put(issuer.Key{Server: server}, issuer.Token{Value: oauth2.NewSecret("t"), ExpiresAt: at.Add(time.Minute)}, at); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := filepath.Glob(filepath.Join(dir, "tokens", "*")); len(files) != 1 {
		t.Errorf("%d files, want one: %v", len(files), err)
	}
}
