// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// namedTest is how docs/threat-model.md names a test.
var namedTest = regexp.MustCompile("`(\\w+)[.]((?:Test|Fuzz)\\w+)`")

// Each threat has a test, and so has what each component can do that was taken over; the tests are
// there.
func TestEveryThreatHasATest(t *testing.T) {
	page := read(t, "docs/threat-model.md")
	tests := testSources(t)
	for _, named := range namedTest.FindAllStringSubmatch(page, -1) {
		if !strings.Contains(tests[named[1]], "func "+named[2]+"(") {
			t.Errorf("there is no %s in %s", named[2], named[1])
		}
	}
	if loose := regexp.MustCompile("`(?:Test|Fuzz)\\w*`").FindAllString(page, -1); slices.ContainsFunc(loose, func(s string) bool { return s != "`TestName`" }) {
		t.Errorf("tests without their package: %q", loose)
	}

	threats := 0
	for line := range strings.Lines(sectionOf(t, page, "## Threats")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || cells[0] == " threat" {
			continue
		}
		threats++
		if len(cells) < 3 || !namedTest.MatchString(cells[len(cells)-1]) {
			t.Errorf("no test shows that this is kept out: %s", cells[0])
		}
	}
	if threats < 60 {
		t.Errorf("%d threats; does this test still read the page right?", threats)
	}

	var components []string
	for _, part := range strings.Split(sectionOf(t, page, "## When a component is taken over"), "\n### ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		components = append(components, name)
		if _, shown, found := strings.Cut(text, "Shown by "); !found || !namedTest.MatchString(shown) {
			t.Errorf("no test shows what an attacker can do who has %s", name)
		}
		if !strings.Contains(text, "To end it: ") {
			t.Errorf("the page does not say what to do when %s is taken over", name)
		}
	}
	want := []string{
		"The token server", "The manager", "A reader of the registry", "The snapshot", "The ingress, and other proxies", "A node",
		"The administrator of a tenant's namespace",
	}
	if diff := cmp.Diff(want, components); diff != "" {
		t.Errorf("components (-want +page):\n%s", diff)
	}
}

// sectionOf is the text below a heading of the second level.
func sectionOf(t *testing.T, page, heading string) string {
	t.Helper()
	_, section, found := strings.Cut(page, "\n"+heading+"\n")
	if !found {
		t.Fatalf("the page has no %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}
