// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEachSentenceGetsALine(t *testing.T) {
	page := `# Title. Not broken.

One. Two of
two lines! (In brackets. Not broken.) See e.g. RFC 6749.

- First. Second with ` + "`code. Here`" + `.
  Third?
1. **Bold.** And more.

| a. B | c |

    code. Stays

` + "```sh\necho a. B\n```\n"
	want := `# Title. Not broken.

One.
Two of two lines!
(In brackets. Not broken.)
See e.g. RFC 6749.

- First.
  Second with ` + "`code. Here`" + `.
  Third?
1. **Bold.**
   And more.

| a. B | c |

    code. Stays

` + "```sh\necho a. B\n```\n"
	if diff := cmp.Diff(want, breakLines(page)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, breakLines(want)); diff != "" {
		t.Errorf("a second time (-want +got):\n%s", diff)
	}
}

func TestTheCheckFindsWhatItIsFor(t *testing.T) {
	long := strings.Repeat("word ", 31) + "end.\n"
	for name, c := range map[string]struct{ page, want string }{
		"a good page":                {"A client fetches a token.\n", ""},
		"two sentences on a line":    {"One is here. Two is here.\n", "one sentence a line"},
		"a long sentence":            {long, "sentences are long"},
		"a long sentence in a table": {"| " + strings.TrimSpace(long) + " |\n", "sentences are long"},
		"code that is no sentence":   {"```\n" + long + "```\n", ""},
		"a sentence read twice":      {"One to come means now.\n", "takes two readings"},
		"words of the left column":   {strings.Repeat("Whoever reads.\n\n", maxReplaced+1), "glossary replaces"},
		"a few words of that column": {"Whoever reads.\n", ""},
		"the glossary itself":        {strings.Repeat("Whoever reads.\n\n", maxReplaced+1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.Mkdir(filepath.Join(root, "docs"), 0o755); err != nil {
				t.Fatal(err)
			}
			page := "docs/page.md"
			if strings.HasPrefix(name, "the glossary") {
				page = "CONTRIBUTING.md"
			}
			if err := os.WriteFile(filepath.Join(root, page), []byte(c.page), 0o600); err != nil {
				t.Fatal(err)
			}
			problems, err := run(root, options{})
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(problems, "\n"); c.want == "" && all != "" || !strings.Contains(all, c.want) {
				t.Errorf("it finds %q, want %q", all, c.want)
			}
		})
	}
}

func TestLinesOfCommentsAreFilled(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("word ", 25))
	file := "package p\n\n// " + long + "\n// and more.\n//\n//\tcode " + long + "\n//nolint:x // " + long + "\n// - " + long +
		"\nvar a = `\n// " + long + "\n` // " + long + "\nfunc f() { // " + long + "\n\tg()\n\tf() // " + long + "\n\tif a { // short\n\t} else { // " + long + "\n\t}\n}\n"
	first, second := strings.TrimSpace(strings.Repeat("word ", 19)), strings.TrimSpace(strings.Repeat("word ", 6))
	inside := strings.TrimSpace(strings.Repeat("word ", 18)) + "\n\t// " + strings.TrimSpace(strings.Repeat("word ", 7))
	deeper := strings.TrimSpace(strings.Repeat("word ", 16)) + "\n\t\t// " + strings.TrimSpace(strings.Repeat("word ", 9))
	want := "package p\n\n// " + first + "\n// " + second + " and more.\n//\n//\tcode " + long + "\n//nolint:x // " + long + "\n// - " +
		first + "\n// " + second + "\nvar a = `\n// " + long + "\n` // " + long + "\nfunc f() {\n\t// " + inside + "\n\tg()\n\t// " + inside + "\n\tf()\n\tif a { // short\n\t} else {\n\t\t// " +
		deeper + "\n\t}\n}\n"
	if diff := cmp.Diff(want, wrapComments(file)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, wrapComments(want)); diff != "" {
		t.Errorf("a second time (-want +got):\n%s", diff)
	}
}

func TestCommentsOfOtherLanguagesAreFilled(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("word ", 25))
	first, rest := strings.TrimSpace(strings.Repeat("word ", 19)), strings.TrimSpace(strings.Repeat("word ", 6))
	file := "#!/bin/sh\n# " + long + "\n# and more.\n#\n#  indented " + long + "\n# key: value\necho '# " + long + "'\n"
	want := "#!/bin/sh\n# " + first + "\n# " + rest + " and more.\n#\n#  indented " + long + "\n# key: value\necho '# " + long + "'\n"
	if diff := cmp.Diff(want, wrapOther(file, "#")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCommentsAndMessagesAreChecked(t *testing.T) {
	long := strings.Repeat("word ", 25)
	many := func(s string) string { return strings.Repeat(s, maxReplaced+1) }
	for name, c := range map[string]struct{ path, file, want string }{
		"a good comment":                         {"p.go", "package p // it\n\n// F reports nothing.\nfunc F() {}\n", ""},
		"a long line":                            {"p.go", "package p\n\n// " + long + "\n", "more than 100 columns"},
		"a long line behind a statement":         {"p.go", "package p\n\nvar a int\n// " + long + "\n", "more than 100 columns"},
		"a long comment behind code":             {"p.go", "package p\n\nvar a int // " + long + "\n", "more than 100 columns"},
		"a comment behind long code":             {"p.go", "package p\n\nvar a" + strings.Repeat("a", 100) + " int // it\n", "more than 100 columns"},
		"a long line of an example":              {"p.go", "package p\n\n//\t" + long + "\nvar a int\n", "p.go:3: a line with a comment has more than 100 columns; shorten it"},
		"a long line between stars":              {"p.go", "package p\n\n/*\n" + long + "\n*/\nvar a int\n", "p.go:4: a line with a comment"},
		"a long marker of a generator":           {"p.go", "package p\n\n// +marker " + long + "\nvar a int\n", ""},
		"a long directive":                       {"p.go", "package p\n\nvar a int //nolint:x // " + long + "\n", ""},
		"a long text with slashes":               {"p.go", "package p\n\nvar a = \"// " + long + "\"\n", ""},
		"a long comment in YAML":                 {"p.yaml", "# " + long + "\na: 1\n", "more than 100 columns"},
		"a long comment behind YAML":             {"p.yaml", "a: 1 # " + long + "\n", "p.yaml:1: a line with a comment has more than 100 columns; shorten it"},
		"a long text with a sign":                {"p.yaml", "a: \"# " + long + "\"\n", ""},
		"a long comment in the Makefile":         {"Makefile", "# " + long + "\n", "more than 100 columns"},
		"a long comment in a template":           {"charts/a/templates/p.tpl", "a: 1\n{{- /* it\n " + long + "*/ -}}\n", "p.tpl:3: a line with a comment"},
		"a long comment in YAML of a template":   {"charts/a/templates/p.yaml", "# " + long + "\n", "p.yaml:1: a line with a comment"},
		"those words in a message of a template": {"charts/a/templates/p.yaml", many("{{ fail \"nobody is there\" }}\n"), "glossary replaces"},
		"those words in a generated template":    {"charts/a/templates/p.yaml", "{{- /* Generated from it */ -}}\n" + many("# nobody\n"), ""},
		"a long comment in JavaScript":           {"p.mjs", "// " + long + "\n", "more than 100 columns"},
		"words of the left column":               {"p.go", "package p\n\n" + many("// It says so.\n\n"), "glossary replaces"},
		"those words behind code":                {"p.go", "package p\n\n" + many("var _ = 0 // nobody\n"), "glossary replaces"},
		"those words in messages":                {"p.go", "package p\n\n" + many("var _ = \"nobody is there\"\n"), "glossary replaces"},
		"those words in messages of tests":       {"p_test.go", "package p\n\n" + many("var _ = \"nobody is there\"\n"), ""},
		"those words in other languages":         {"p.sh", many("# It says so.\necho\n"), "glossary replaces"},
		"those words as names":                   {"p.go", "package p\n\n" + many("var _ = \"nobody\"\n"), ""},
		"those words as names in code style":     {"p.go", "package p\n\n" + many("// It calls `judge`.\n\n"), ""},
		"the name that a comment begins with":    {"p.go", "package p\n\n" + many("// judge decides.\nfunc judge() {}\n\n"), ""},
		"another name":                           {"p.go", "package p\n\n" + many("// judge decides.\nfunc decide() {}\n\n"), "glossary replaces"},
		"a look-up":                              {"p.go", "package p\n\n" + many("// A look-up looks it up.\n\n"), ""},
		"words that are like them":               {"p.go", "package p\n\n" + many("// The world goes on.\n\n"), "glossary replaces"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, dir := range []string{"docs", filepath.Dir(c.path)} {
				if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(root, c.path), []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			problems, err := run(root, options{})
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(problems, "\n"); c.want == "" && all != "" || !strings.Contains(all, c.want) {
				t.Errorf("it finds %q, want %q", all, c.want)
			}
		})
	}
}

// What the command writes is what it accepts.
func TestWriteLeavesNothingToWrite(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("word ", 25)
	for name, text := range map[string]string{
		"p.go":      "package p\n\n// " + long + "\n\nvar a int // " + long + "\n",
		"p.sh":      "# " + long + "\necho\n",
		"docs/a.md": "One is here. Two is here.\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, write := range []bool{true, false} {
		problems, err := run(root, options{write: write})
		if err != nil {
			t.Fatal(err)
		}
		if len(problems) > 0 {
			t.Errorf("write %t: %q", write, problems)
		}
	}
}
