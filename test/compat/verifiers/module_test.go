// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verifiers_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// lines is what a program printed.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

// whole are the lines that have an end.
func (l *lines) whole() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := strings.Split(l.text.String(), "\n")
	return all[:len(all)-1]
}

// The caller and the API of the client module, with a real token server: all tokens of the caller
// are revoked three times, the API learns of it by the feed, and no call fails. A caller without
// the scope gets 403.
func TestTheExamplesOfTheClientModuleWorkTogether(t *testing.T) {
	hallpass, tokenURL, caFile := serve(t)
	owner, caller, reader := hallpass.Register("orders"), hallpass.Register("first", "orders.read"), hallpass.Register("second", "orders.list")
	dirs := map[string]string{}
	for _, client := range []string{owner, caller, reader} {
		dirs[client] = t.TempDir()
		mountedSecret{dir: dirs[client], tokenURL: tokenURL, caFile: caFile}.write(t, client, hallpass.Secret(client))
	}
	issuer := strings.TrimSuffix(tokenURL, "/oauth2/token")
	world.Must(t, os.WriteFile(filepath.Join(dirs[owner], "..data", "issuer_url"), []byte(issuer), 0o600))
	world.Must(t, os.Symlink("..data/issuer_url", filepath.Join(dirs[owner], "issuer_url")))
	address := world.FreeAddress(t)
	api := example(t, "server")
	api.Env = append(os.Environ(), "HALLPASS_DIR="+dirs[owner], "LISTEN="+address, "AUDIENCE="+hallpass.Audience)
	begin(t, api)
	world.Eventually(t, "the API has read the feed", func() bool { return strings.Contains(hallpass.Audit.String(), `"endpoint":"revocations"`) })

	printed := map[string]*lines{}
	for _, client := range []string{caller, reader} {
		program := example(t, "caller")
		program.Env = append(os.Environ(), "HALLPASS_DIR="+dirs[client], "API_URL=http://"+address+"/orders", "INTERVAL=0.05")
		printed[client] = &lines{}
		program.Stdout, program.Stderr = printed[client], printed[client]
		world.Must(t, program.Start())
		t.Cleanup(func() {
			_ = program.Process.Kill()
			_ = program.Wait()
		})
	}
	issued := func() int {
		return strings.Count(hallpass.Audit.String(), `"endpoint":"token","outcome":"allowed"`)
	}
	world.Eventually(t, "both have a token", func() bool {
		return issued() == 2 && len(printed[caller].whole()) > 0 && len(printed[reader].whole()) > 0
	})
	for round := range 3 {
		// a token of the second of its revocation would be revoked as well
		time.Sleep(time.Second)
		hallpass.Authority.Directory.Revocations().Select("leaked", revocation.Selector{ClientID: caller, IssuedBefore: time.Now()})
		world.Eventually(t, "the caller has another token", func() bool { return issued() >= 3+round })
		before := len(printed[caller].whole())
		world.Eventually(t, "it goes on", func() bool { return len(printed[caller].whole()) > before+3 })
	}
	if got := issued(); got != 5 {
		t.Errorf("%d tokens, want one for each and one more for each revocation", got)
	}
	for _, line := range printed[caller].whole() {
		if line != "200 OK" {
			t.Errorf("a call failed: %s", line)
		}
	}
	for _, line := range printed[reader].whole() {
		if line != "403 Forbidden" {
			t.Errorf("a call without the scope: %s", line)
		}
	}
}

// The module cannot import the strict reader of JSON of the token server, and has a copy of it.
// What both read has to mean the same to both.
func TestBothReadersOfJSONAreTheSame(t *testing.T) {
	const begin = "var errNotObject"
	text := func(path string) string {
		content, err := os.ReadFile(path)
		world.Must(t, err)
		_, rest, found := strings.Cut(string(content), begin)
		if !found {
			t.Fatalf("%s has no %s", path, begin)
		}
		return rest
	}
	ours := text("../../../internal/strictjson/object.go")
	theirs := text("../../../client/internal/strictjson/object.go")
	// The copy has a function of its own for the seconds.
	split := "\treturn ParseSeconds(name, raw)\n}\n\n// ParseSeconds decodes the value of a member that must be a NumericDate. The name is for the error.\nfunc ParseSeconds(name, raw string) (int64, error) {\n"
	if strings.Replace(theirs, split, "", 1) != ours || !strings.Contains(theirs, split) {
		t.Error("client/internal/strictjson/object.go is no copy of internal/strictjson/object.go: make the change in both")
	}
}
