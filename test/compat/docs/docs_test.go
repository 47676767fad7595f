// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs_test compares the documentation with the code: the format of client secrets, the
// list of dependencies, and that its links lead somewhere.
package docs_test

import (
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const root = "../../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSecretFormat(t *testing.T) {
	page := read(t, "docs/secret-format.md")
	documented := regexp.MustCompile(`(?m)^ {4}(hpt\?_\[.+)$`).FindStringSubmatch(page)
	if documented == nil {
		t.Fatal("docs/secret-format.md has no regular expression on an indented line of its own")
	}
	if !strings.Contains(page, `re.compile(r"`+documented[1]+`")`) {
		t.Error("the Python example uses another expression than the page")
	}
	pattern := regexp.MustCompile(documented[1])
	for range 1000 {
		credential, err := oauth2.NewClientSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		secret := credential.Value.Reveal()
		if found := pattern.FindString("password=" + secret + "\n"); found != secret {
			t.Fatalf("the documented expression finds %d of the %d characters of a secret", len(found), len(secret))
		}
		body, check := secret[:len(secret)-9], secret[len(secret)-8:]
		if fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(body))) != check {
			t.Fatal("the checksum is not the documented one")
		}
		if !strings.Contains(page, fmt.Sprintf("It has %d characters in all", len(secret))) {
			t.Fatalf("the page does not say that a secret has %d characters", len(secret))
		}
	}
}

func TestDependenciesHaveReasons(t *testing.T) {
	page := read(t, "docs/decisions/0007-dependencies.md")
	direct := regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(read(t, "go.mod"), -1)
	if len(direct) == 0 {
		t.Fatal("go.mod has no direct dependency; does this test still read it right?")
	}
	for _, module := range direct {
		if !strings.Contains(page, "| `"+module[1]+"` | ") {
			t.Errorf("docs/decisions/0007-dependencies.md gives no reason for %s", module[1])
		}
	}
}

// Others have a kind oauth2clients as well, and kubectl takes that name for the group that is first
// in the alphabet.
func TestCommandsNameOAuth2ClientsWithoutDoubt(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"README.md", "docs/*/*.md", "docs/*/*/*.md", "hack/run/*.go", "charts/hallpass/templates/NOTES.txt"} {
		more, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, more...)
	}
	named, command := regexp.MustCompile(`\boauth2clients?(\.hallpass\.dev)?\b`), regexp.MustCompile(`(?i)kubectl`)
	commands := 0
	for _, page := range pages {
		for line := range strings.Lines(read(t, strings.TrimPrefix(page, root+"/"))) {
			if !command.MatchString(line) {
				continue
			}
			commands++
			for _, name := range named.FindAllStringSubmatch(line, -1) {
				if name[1] == "" && !strings.Contains(line, "kubectl takes `oauth2client`") {
					t.Errorf("%s says %s where it should say hpc or the full name: %s", page, name[0], line)
				}
			}
		}
	}
	if commands < 50 {
		t.Errorf("%d commands; does this test still read the pages right?", commands)
	}
}

// Each test that docs/standards.md names is there, with the row that it names, and no clause is
// without a test or a reason.
func TestStandardsNameTestsThatExist(t *testing.T) {
	page := read(t, "docs/standards.md")
	tests := testSources(t)
	test, pkg := "", "tokenserver"
	for _, named := range regexp.MustCompile("`(?:(\\w+)[.])?((?:Test|Fuzz)\\w+)?(/[^`]+)?`").FindAllStringSubmatch(page, -1) {
		if named[2] != "" {
			test, pkg = named[2], "tokenserver"
			if named[1] != "" {
				pkg = named[1]
			}
			if test != "TestX" && !strings.Contains(tests[pkg], "func "+test+"(") {
				t.Errorf("there is no %s in %s", test, pkg)
			}
		}
		row := strings.TrimPrefix(named[3], "/")
		if row != "" && named[0][1] != '.' && !strings.Contains(tests[pkg], `"`+row+`"`) {
			t.Errorf("%s in %s has no row %q", test, pkg, row)
		}
	}
	clauses := 0
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 || cells[1] == " clause " || strings.HasPrefix(cells[1], "--") {
			continue
		}
		clauses++
		if shown := cells[3]; !strings.Contains(shown, "Test") && !strings.Contains(shown, "does not apply") {
			t.Errorf("nothing shows%s: %q", cells[1], cells[2])
		}
	}
	if clauses < 80 {
		t.Errorf("%d clauses; does this test still read the page right?", clauses)
	}
}

// testSources are the test files of all packages, by the name of the directory.
func testSources(t *testing.T) map[string]string {
	t.Helper()
	tests := map[string]string{}
	for _, dir := range []string{"api", "cmd", "internal", "test"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			tests[filepath.Base(filepath.Dir(path))] += string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return tests
}
