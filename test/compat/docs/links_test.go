// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLinksLeadSomewhere checks the files and the anchors that pages link to.
func TestLinksLeadSomewhere(t *testing.T) {
	checked := 0
	for _, page := range markdown(t) {
		links := linksOf(read(t, page))
		checked += len(links)
		for _, link := range links {
			if problem := follow(t, page, link); problem != "" {
				t.Errorf("%s links to %s: %s", page, link, problem)
			}
		}
	}
	if checked < 500 {
		t.Errorf("%d links; does this test still read them right?", checked)
	}
}

// TestTextsNamePagesThatThereAre checks the pages that messages, comments, manifests and scripts
// name, and their anchors.
func TestTextsNamePagesThatThereAre(t *testing.T) {
	named := regexp.MustCompile(`\bdocs/[\w./-]+\.md(#[\w-]+)?`)
	checked := 0
	for _, dir := range []string{"api", "charts", "cmd", "config", "hack", "internal", "test"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "prose") {
				// the first has files of before, and the second pages that it makes
				return fs.SkipDir
			}
			if err != nil || !slices.Contains([]string{".go", ".yaml", ".json", ".sh", ".txt", ".tpl"}, filepath.Ext(path)) {
				return err
			}
			text, err := os.ReadFile(path)
			for _, link := range named.FindAllString(string(text), -1) {
				checked++
				if problem := follow(t, "README.md", link); problem != "" {
					t.Errorf("%s names %s: %s", path, link, problem)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if checked < 100 {
		t.Errorf("%d pages are named; does this test still find them?", checked)
	}
}

func TestAnchorsAreThoseOfTheSite(t *testing.T) {
	page := "# The `Ready` condition: True, or *False*?\n\n```sh\n# no heading\n```\n\n## A [link](x.md) & more_words\n## Twice\n## Twice\n### `--flag` {#own}\n"
	want := []string{"the-ready-condition-true-or-false", "a-link--more_words", "twice", "own"}
	if diff := cmp.Diff(want, anchors(page)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	links := linksOf("[a](b.md#c), `[no](link.md)`, [d](https://example.com/e#f), [g](#h)\n```\n[no](link.md)\n```\n[![i](j.svg)](k.md)\n")
	if diff := cmp.Diff([]string{"b.md#c", "#h", "j.svg", "k.md"}, links); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for link, want := range map[string]string{
		"call-an-api.md": "", "decisions": "", "#glossary": "", "quick-start.md#no-such-heading": "there is no heading of that anchor", "no-such-page.md": "it is not there",
	} {
		if got := follow(t, "docs/glossary.md", link); got != want {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
}

// markdown are the pages of docs/ and of the root, of the chart and of the forge.
func markdown(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, dir := range []string{".", "docs", "charts", ".github"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && dir == "." && entry.IsDir() && path != filepath.Join(root, dir) {
				return fs.SkipDir
			}
			if err == nil && !entry.IsDir() && filepath.Ext(path) == ".md" {
				found = append(found, strings.TrimPrefix(path, root+"/"))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

var (
	fenced = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	quoted = regexp.MustCompile("`[^`\n]*`")
	target = regexp.MustCompile(`\]\(([^()\s]+)\)`)
)

// linksOf are the targets of the links of a page that stay in the repository.
func linksOf(page string) []string {
	var links []string
	for _, link := range target.FindAllStringSubmatch(quoted.ReplaceAllString(fenced.ReplaceAllString(page, ""), "x"), -1) {
		if !strings.Contains(link[1], "://") && !strings.HasPrefix(link[1], "mailto:") {
			links = append(links, link[1])
		}
	}
	return links
}

// follow returns what is wrong with a link of a page.
func follow(t *testing.T, page, link string) string {
	t.Helper()
	path, anchor, hasAnchor := strings.Cut(link, "#")
	if path = filepath.Join(filepath.Dir(page), path); strings.HasPrefix(link, "#") {
		path = page
	}
	if _, err := os.Stat(filepath.Join(root, path)); err != nil {
		return "it is not there"
	}
	if hasAnchor && filepath.Ext(path) == ".md" && !slices.Contains(anchors(read(t, path)), anchor) {
		return "there is no heading of that anchor"
	}
	return ""
}

var (
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.*?) *#*$`)
	own      = regexp.MustCompile(` *\{#([\w-]+)\}$`)
	linked   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	unwanted = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

// anchors are those of the headings of a page, as pymdownx.slugs and GitHub both make them: in
// lower case, without what is neither letter, digit, "_", "-" nor space, and with "-" for each
// space. The two differ in the anchor of a heading that another one has, so that one has none here.
func anchors(page string) []string {
	var all []string
	for _, h := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		text := linked.ReplaceAllString(h[1], "$1")
		slug := strings.ReplaceAll(unwanted.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
		if named := own.FindStringSubmatch(text); named != nil {
			slug = named[1]
		}
		if !slices.Contains(all, slug) {
			all = append(all, slug)
		}
	}
	return all
}
