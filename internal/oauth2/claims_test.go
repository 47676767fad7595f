// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestCustomClaimsAreChecked(t *testing.T) {
	many := make([]oauth2.Claim, oauth2.MaxCustomClaims+1)
	for i := range many {
		many[i] = oauth2.Claim{Name: string(rune('a' + i)), Value: "v"}
	}
	for name, claims := range map[string][]oauth2.Claim{
		"a claim of the token itself":    {{Name: "iss", Value: "https://evil.test"}},
		"one that gateways trust":        {{Name: "groups", Values: []string{"system:masters"}}},
		"a name twice":                   {{Name: "a", Value: "1"}, {Name: "a", Value: "2"}},
		"no name":                        {{Value: "v"}},
		"nothing to say":                 {{Name: "a"}},
		"a value and values":             {{Name: "a", Value: "1", Values: []string{"2"}}},
		"a quotation mark":               {{Name: "a", Value: "\""}},
		"a line break in a name":         {{Name: "a\n", Value: "v"}},
		"letters beyond ASCII":           {{Name: "a", Value: "ä"}},
		"more claims than a token takes": many,
		"more bytes than a token takes":  {{Name: "a", Value: strings.Repeat("v", 2048)}},
	} {
		if oauth2.CheckCustomClaims(claims) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := oauth2.CheckCustomClaims([]oauth2.Claim{{Name: "a", Value: strings.Repeat("<", 2047)}}); err != nil {
		t.Error(err)
	}
}

// The CRD refuses at apply what the token server would not sign.
func TestTheCRDReservesTheSameNames(t *testing.T) {
	crd, err := os.ReadFile("../../config/crd/bases/hallpass.dev_oauth2clients.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`(?s)!\(self in \[(.+?)\]\)`).FindSubmatch(crd)
	if rule == nil {
		t.Fatal("the CRD has no such rule")
	}
	var names []string
	for _, name := range regexp.MustCompile(`'+(\w+)'+`).FindAllSubmatch(rule[1], -1) {
		names = append(names, string(name[1]))
	}
	if diff := cmp.Diff(oauth2.ReservedClaims, names); diff != "" {
		t.Errorf("the code and the CRD (-code +CRD):\n%s", diff)
	}
}
