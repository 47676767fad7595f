// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

func TestTemplates(t *testing.T) {
	values := map[string]string{"client_id": "shop.reporting", "client_secret": "$(client_id)", "scope": strings.Repeat("s", 8<<10)}
	for name, c := range map[string]struct {
		template, want, problem string
	}{
		"plain text":                       {"plain", "plain", ""},
		"a reference":                      {"id=$(client_id);", "id=shop.reporting;", ""},
		"two references side by side":      {"$(client_id)$(client_id)", "shop.reportingshop.reporting", ""},
		"a value is not expanded again":    {"$(client_secret)", "$(client_id)", ""},
		"a dollar sign":                    {"5$$", "5$", ""},
		"an escaped reference":             {"$$(client_id)", "$(client_id)", ""},
		"a dollar sign before other text":  {"$HOME and $", "$HOME and $", ""},
		"an unknown name":                  {"$(client_secert)", "", "$(client_secert) is unknown; there are client_id, client_secret, scope"},
		"an empty name":                    {"$()", "", "is unknown"},
		"a reference that is not closed":   {"$(client_id", "", "is not closed"},
		"references that multiply too far": {strings.Repeat("$(scope)", 512), "", "more than 64 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := expand(c.template, values)
			if (err != nil) != (c.problem != "") || err != nil && !strings.Contains(err.Error(), c.problem) {
				t.Fatalf("%v, want %q", err, c.problem)
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestATemplateHidesNoOtherEntry(t *testing.T) {
	templates := map[string]v1alpha1.TemplateText{"b": "x", "a": "$(nothing)", "client_id": "x"}
	for range 10 { // the same problem each time, whatever the order of the map
		if _, bad, err := expandAll(templates, nil, map[string][]byte{"client_id": nil}); err == nil || bad != "a" {
			t.Fatalf("entry %q: %v", bad, err)
		}
	}
	delete(templates, "a")
	if _, bad, err := expandAll(templates, nil, map[string][]byte{"client_id": nil}); err == nil || bad != "client_id" {
		t.Errorf("entry %q: %v, want client_id, which the Secret has already", bad, err)
	}
}
