// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFieldsSayWhatSurprises checks the reference of the fields for what users have asked
// about.
func TestFieldsSayWhatSurprises(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	// the first of the kinds
	_, fields, _ := strings.Cut(string(content), "\n## OAuth2Client\n")
	texts := map[string]string{}
	for line := range strings.Lines(fields) {
		if cells := strings.SplitN(line, " | ", 3); len(cells) == 3 && texts[cells[0]] == "" {
			texts[cells[0]] = cells[2]
		}
	}
	for field, wants := range map[string][]string{
		"spec.access":                     {"in spec.defaultResource they are called namespace and name"},
		"spec.defaultResource":            {"in spec.access they are called resourceNamespace and resourceName"},
		"spec.access[].resourceName":      {"In spec.defaultResource this field is called name"},
		"spec.access[].resourceNamespace": {"In spec.defaultResource this field is called namespace"},
		"spec.clientID":                   {"must not begin with user: or system:, percent-encoded or not"},
		"spec.secret.keys.caCertificate":  {"absent if every machine trusts the certificate", "only for connections to internal\\_token\\_url"},
		"spec.secret.template":            {"$(internal\\_token\\_url) and $(ca.crt) are empty"},
	} {
		for _, want := range wants {
			if text := texts["| `"+field+"`"]; !strings.Contains(text, want) {
				t.Errorf("%s does not say %q: %s", field, want, text)
			}
		}
	}
}
