// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Each place where a tenant's text stands beside ours has a rule and a test, and the tests are
// there.
func TestEveryPlaceOfATenantsTextHasATest(t *testing.T) {
	_, table, found := strings.Cut(read(t, "docs/names.md"), "## Every place")
	if !found {
		t.Fatal("docs/names.md has no table of places")
	}
	tests := testSources(t)
	places := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 3 || strings.HasPrefix(cells[0], "| place") {
			continue
		}
		places++
		named := regexp.MustCompile("`(?:(\\w+)[.])?((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(cells[2], -1)
		if len(named) == 0 {
			t.Errorf("no test shows what is said of %s", cells[0])
		}
		for _, test := range named {
			pkg := test[1]
			if pkg == "" {
				pkg = "tokenserver"
			}
			if !strings.Contains(tests[pkg], "func "+test[2]+"(") {
				t.Errorf("there is no %s in %s", test[2], pkg)
			}
		}
	}
	if places < 15 {
		t.Errorf("%d places; does this test still read the page right?", places)
	}
}

// The upgrade notes have a command that finds what is left out, by the lists of the code.
func TestTheUpgradeNotesKnowTheReservedNames(t *testing.T) {
	page := read(t, "docs/upgrade-notes.md")
	list := regexp.MustCompile(`(?s)\nreserved="(.*?)"`).FindStringSubmatch(page)
	if list == nil {
		t.Fatal("docs/upgrade-notes.md has no list of reserved names")
	}
	if diff := cmp.Diff(slices.Concat(oauth2.ReservedClaims, oauth2.AuthorizationClaims), strings.Fields(list[1])); diff != "" {
		t.Errorf("the code and the page (-code +page):\n%s", diff)
	}
	if !strings.Contains(page, "\nauthorities='"+oauth2.ReservedClaimAuthorities+"'\n") {
		t.Error("the page has another expression of reserved authorities than the code")
	}
	names := read(t, "docs/names.md")
	for _, authority := range firstGroups(`([a-z0-9-]+(?:\[[.]\][a-z0-9-]+)+)`, oauth2.ReservedClaimAuthorities) {
		if host := strings.ReplaceAll(authority, "[.]", "."); !strings.Contains(names, host) {
			t.Errorf("docs/names.md does not say that %s is reserved", host)
		}
	}
}

// Every reason of a condition about claims is explained where claims are.
func TestEveryReasonAboutClaimsIsExplained(t *testing.T) {
	page := read(t, "docs/authentication.md")
	reasons := firstGroups(`ReasonClaim\w+ = "(\w+)"`, sources(t, "api/v1alpha1"))
	if !slices.Equal(reasons, []string{"ClaimReserved", "ClaimNotAllowed"}) {
		t.Fatalf("the API has %q; does this test still read it right?", reasons)
	}
	for _, reason := range reasons {
		if !strings.Contains(page, "| `"+reason+"` |") {
			t.Errorf("docs/authentication.md does not explain %s", reason)
		}
	}
}
