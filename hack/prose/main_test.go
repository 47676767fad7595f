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
		"a good page":                 {"A client fetches a token.\n", ""},
		"two sentences on a line":     {"One is here. Two is here.\n", "one sentence a line"},
		"a long sentence":             {long, "sentences are long"},
		"a long sentence in a table":  {"| " + strings.TrimSpace(long) + " |\n", "sentences are long"},
		"code that is no sentence":    {"```\n" + long + "```\n", ""},
		"a sentence read twice":       {"One to come means now.\n", "takes two readings"},
		"words of the left column":    {strings.Repeat("Whoever reads.\n\n", maxReplaced+1), "glossary replaces"},
		"a few words of that column":  {"Whoever reads.\n", ""},
		"decisions, which may use it": {strings.Repeat("Whoever reads.\n\n", maxReplaced+1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, "docs")
			if strings.HasPrefix(name, "decisions") {
				dir = filepath.Join(dir, "decisions")
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "page.md"), []byte(c.page), 0o600); err != nil {
				t.Fatal(err)
			}
			problems, err := run(root, false, false)
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(problems, "\n"); c.want == "" && all != "" || !strings.Contains(all, c.want) {
				t.Errorf("it finds %q, want %q", all, c.want)
			}
		})
	}
}
