// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Login is a login of a person at a client: what ends it, and its tokens.
type Login struct {
	// Namespace and Client are the OAuth2Client, and ClientID is its client_id.
	Namespace, Client, ClientID string
	// Person is the sub of the access token, and Audience its aud.
	Person, Audience string
	// Token and Revocation are the endpoints, and CA verifies their certificate beside the CAs
	// of the system.
	TokenURL, RevocationURL string
	CA                      []byte
	Tokens                  Tokens
}

// Logins keeps logins in files that their user alone can read, beside the Cache.
type Logins struct{ dir string }

// NewLogins makes a store in the directory of NewCache.
func NewLogins(dir string) (Logins, error) {
	dir, err := below(dir)
	if err != nil {
		return Logins{}, err
	}
	return Logins{filepath.Join(dir, "logins")}, nil
}

// storedLogin is the form of a file.
type storedLogin struct {
	Cluster       string    `json:"cluster"`
	Namespace     string    `json:"namespace"`
	Client        string    `json:"client"`
	ClientID      string    `json:"clientID"`
	Person        string    `json:"person"`
	Audience      string    `json:"audience"`
	TokenURL      string    `json:"tokenURL"`
	RevocationURL string    `json:"revocationURL"`
	CA            []byte    `json:"ca,omitempty"`
	Token         string    `json:"token"`
	Scope         string    `json:"scope"`
	ExpiresAt     time.Time `json:"expiresAt"`
	Refresh       string    `json:"refresh,omitempty"`
}

func (s storedLogin) login() Login {
	return Login{
		Namespace: s.Namespace, Client: s.Client, ClientID: s.ClientID, Person: s.Person, Audience: s.Audience,
		TokenURL: s.TokenURL, RevocationURL: s.RevocationURL, CA: s.CA,
		Tokens: Tokens{Token{oauth2.NewSecret(s.Token), s.Scope, s.ExpiresAt}, oauth2.NewSecret(s.Refresh)},
	}
}

// cluster names the cluster of a key.
func (k Key) cluster() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(k.Server), k.Server, k.CA))
	return hex.EncodeToString(sum[:])
}

// Fresh reports whether the access token is valid for a while.
func (l Login) Fresh(now time.Time) bool { return l.Tokens.ExpiresAt.Sub(now) >= minLeft }

// Get returns the login of a request; its access token may have expired.
func (l Logins) Get(k Key) (Login, bool) {
	var s storedLogin
	if !read(filepath.Join(l.dir, k.file()), &s) || s.Token == "" {
		return Login{}, false
	}
	return s.login(), true
}

// Put stores a login in the place of the former one of the request.
func (l Logins) Put(k Key, login Login) error {
	return write(l.dir, k.file(), storedLogin{
		Cluster: k.cluster(), Namespace: login.Namespace, Client: login.Client, ClientID: login.ClientID, Person: login.Person, Audience: login.Audience,
		TokenURL: login.TokenURL, RevocationURL: login.RevocationURL, CA: login.CA,
		Token: login.Tokens.Value.Reveal(), Scope: login.Tokens.Scope, ExpiresAt: login.Tokens.ExpiresAt.UTC(), Refresh: login.Tokens.Refresh.Reveal(),
	})
}

// Delete deletes the login of a request.
func (l Logins) Delete(k Key) error {
	if err := os.Remove(filepath.Join(l.dir, k.file())); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete a login: %w", err)
	}
	return nil
}

// In returns the logins at the cluster of a key, by namespace and client.
func (l Logins) In(k Key) []Login {
	return l.list(func(s storedLogin) bool { return s.Cluster == k.cluster() })
}

// All returns all logins.
func (l Logins) All() []Login { return l.list(func(storedLogin) bool { return true }) }

func (l Logins) list(wanted func(storedLogin) bool) []Login {
	files, err := filepath.Glob(filepath.Join(l.dir, "*.json"))
	if err != nil {
		return nil
	}
	var found []Login
	for _, path := range files {
		var s storedLogin
		if read(path, &s) && wanted(s) {
			found = append(found, s.login())
		}
	}
	slices.SortStableFunc(found, func(a, b Login) int {
		return strings.Compare(a.Namespace+"/"+a.Client+" "+a.Audience, b.Namespace+"/"+b.Client+" "+b.Audience)
	})
	return found
}

// Clear deletes all logins from this machine, and returns their number.
func (l Logins) Clear() (int, error) { return clearDir(l.dir) }
