// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// minLeft is how long a token from the cache is valid at least.
const minLeft = 30 * time.Second

// Cache keeps fetched tokens in files that their user alone can read.
type Cache struct{ dir string }

// NewCache makes a cache in a directory. The empty one is hallpass below the cache of the user,
// which is not among what is synchronised between machines.
func NewCache(dir string) (Cache, error) {
	dir, err := below(dir)
	if err != nil {
		return Cache{}, fmt.Errorf("%w, or add --no-cache", err)
	}
	return Cache{filepath.Join(dir, "tokens")}, nil
}

// below is a directory, or hallpass below the cache of the user.
func below(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the directory for tokens: %w. Set XDG_CACHE_HOME", err)
	}
	return filepath.Join(base, "hallpass"), nil
}

// Key names a token: by the cluster, the client and the request.
type Key struct {
	// Server and CA are the URL of the API server and its CA, so that another cluster behind
	// the same address is another one.
	Server string
	CA     []byte
	// ClientUID is that of the OAuth2Client: one that was created again is another client.
	ClientUID string
	Resource  string
	Scopes    []string
}

func (k Key) file() string {
	scopes := slices.Sorted(slices.Values(k.Scopes))
	sum := sha256.New()
	for _, part := range []string{"v1", k.Server, string(k.CA), k.ClientUID, k.Resource, strings.Join(slices.Compact(scopes), " ")} {
		_, _ = fmt.Fprintf(sum, "%d:%s", len(part), part) // a hash takes everything
	}
	return hex.EncodeToString(sum.Sum(nil)) + ".json"
}

type stored struct {
	Token     string    `json:"token"`
	Scope     string    `json:"scope"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// Get returns a token that is valid for a while. A file that others could read or have written is
// no cache.
func (c Cache) Get(k Key, now time.Time) (Token, bool) {
	var s stored
	if !read(filepath.Join(c.dir, k.file()), &s) || s.Token == "" || s.ExpiresAt.Sub(now) < minLeft {
		return Token{}, false
	}
	return Token{oauth2.NewSecret(s.Token), s.Scope, s.ExpiresAt}, true
}

// Put stores a token, and deletes those that have expired.
func (c Cache) Put(k Key, t Token, now time.Time) error {
	c.sweep(now)
	return write(c.dir, k.file(), stored{t.Value.Reveal(), t.Scope, t.ExpiresAt.UTC()})
}

// write stores a document with tokens in a file that its user alone can read. A reader sees the
// former file or the new one.
func write(dir, name string, document any) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory for tokens: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory needs the x
		return fmt.Errorf("make the directory for tokens private: %w", err)
	}
	content, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("render a token: %w", err)
	}
	file, err := os.CreateTemp(dir, ".new-*") // it has mode 0600
	if err != nil {
		return fmt.Errorf("store a token: %w", err)
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return fmt.Errorf("store a token: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

// read reads a document of write. A file that others could read or have written is none.
func read(path string, document any) bool {
	info, err := os.Lstat(path)
	if err != nil || !private(info) {
		return false
	}
	content, err := os.ReadFile(path) //nolint:gosec // a file below the cache of the user
	return err == nil && json.Unmarshal(content, document) == nil
}

// sweep deletes tokens that have expired, and files that are none.
func (c Cache) sweep(now time.Time) {
	files, err := filepath.Glob(filepath.Join(c.dir, "*.json"))
	if err != nil {
		return
	}
	for _, path := range files {
		content, err := os.ReadFile(path) //nolint:gosec // a file of the cache
		var s stored
		if err == nil && json.Unmarshal(content, &s) == nil && now.Before(s.ExpiresAt) {
			continue
		}
		_ = os.Remove(path) // the next sweep tries again
	}
}

// Clear deletes all tokens, and returns their number.
func (c Cache) Clear() (int, error) {
	return clearDir(c.dir)
}

// clearDir deletes the files of a directory, and returns how many of them are documents.
func clearDir(dir string) (int, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the directory of tokens: %w", err)
	}
	tokens := 0
	for _, entry := range entries {
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return tokens, fmt.Errorf("delete a token: %w", err)
		}
		if filepath.Ext(entry.Name()) == ".json" {
			tokens++
		}
	}
	return tokens, nil
}
