// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/issuer"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestLoginsAreKeptForTheirUserClusterAndRequest(t *testing.T) {
	dir := t.TempDir()
	logins, err := issuer.NewLogins(dir)
	if err != nil {
		t.Fatal(err)
	}
	key := issuer.Key{Server: "https://api", CA: []byte("ca"), ClientUID: "uid", Resource: "r", Scopes: []string{"b", "a"}}
	want := issuer.Login{
		Namespace: "shop", Client: "cli", ClientID: "shop.cli", Person: "user:corp:alice", Audience: "https://orders", TokenURL: "https://hp/token", RevocationURL: "https://hp/revoke", CA: []byte("PEM"),
		Tokens: issuer.Tokens{Token: issuer.Token{Value: oauth2.NewSecret("access"), Scope: "a b", ExpiresAt: now.Add(time.Hour)}, Refresh: oauth2.NewSecret("refresh")},
	}
	if err := logins.Put(key, want); err != nil {
		t.Fatal(err)
	}
	secrets := cmp.Comparer(func(a, b oauth2.Secret) bool { return a.Reveal() == b.Reveal() })
	if got, found := logins.Get(key); !found || !cmp.Equal(want, got, secrets) {
		t.Errorf("found %t (-want +got):\n%s", found, cmp.Diff(want, got, secrets))
	}
	if got := logins.In(issuer.Key{Server: key.Server, CA: key.CA}); len(got) != 1 || got[0].Client != "cli" {
		t.Errorf("the logins of the cluster are %v", got)
	}
	for name, other := range map[string]issuer.Key{
		"another server": {Server: "https://api2", CA: key.CA, ClientUID: "uid", Resource: "r", Scopes: key.Scopes},
		"another CA":     {Server: key.Server, CA: []byte("ca2"), ClientUID: "uid", Resource: "r", Scopes: key.Scopes},
	} {
		if _, found := logins.Get(other); found || len(logins.In(other)) > 0 {
			t.Errorf("%s has the login", name)
		}
	}
	if _, found := logins.Get(issuer.Key{Server: key.Server, CA: key.CA, ClientUID: "uid2", Resource: "r", Scopes: key.Scopes}); found {
		t.Error("a client that was created again has the login")
	}
	if !want.Fresh(now) || want.Fresh(now.Add(time.Hour)) {
		t.Error("the end of the token is wrong")
	}

	files, err := filepath.Glob(filepath.Join(dir, "logins", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v, want mode 0600", info, err)
	}
	if err := os.Chmod(files[0], 0o640); err != nil {
		t.Fatal(err)
	}
	if _, found := logins.Get(key); found || len(logins.All()) > 0 {
		t.Error("a file that others can read is read")
	}
	if err := logins.Delete(key); err != nil {
		t.Error(err)
	}
	if err := logins.Delete(key); err != nil {
		t.Errorf("a login that is not there: %v", err)
	}
	if n, err := logins.Clear(); n != 0 || err != nil {
		t.Errorf("%d left, %v", n, err)
	}
}
