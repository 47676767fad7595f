// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl_test

import (
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// TestEveryListHasTheFlagsOfKubectl lists objects of each kind in each form.
func TestEveryListHasTheFlagsOfKubectl(t *testing.T) {
	namespaces(t, "listed", "listed-too")
	for _, namespace := range []string{"listed", "listed-too"} {
		shell{}.ok(t, "create client one --namespace "+namespace+" --display-name 'Number One' --scopes read")
		shell{}.ok(t, "create resource one --namespace "+namespace+" --display-name 'Number One' --scopes read")
		shell{}.ok(t, "create token one --namespace "+namespace+" --client one")
	}
	shell{}.ok(t, "create client two --namespace listed")
	shell{}.ok(t, "create resource two --namespace listed")
	shell{}.ok(t, "create token two --namespace listed --client two")
	trust(t, "one", "https://one.listed.example.com", nil)
	trust(t, "two", "https://two.listed.example.com", nil)
	for noun, kind := range map[string]string{
		"clients": "oauth2client", "resources": "oauth2resource", "tokens": "oauth2token", "issuers": "oauth2trustedissuer",
	} {
		t.Run(noun, func(t *testing.T) {
			must(t, installation.Kubectl(t.Context(), shared.Plane, "label", kind, "one", "team=a", "--namespace", "listed"))
			everywhere := 2
			if noun == "issuers" {
				everywhere = 1
			}
			for flags, want := range map[string]struct {
				lines int
				says  []string
			}{
				"":                  {3, []string{"NAME ", "one ", "two "}},
				"one":               {2, []string{"one "}},
				"--no-headers":      {2, []string{"one "}},
				"--output name":     {2, []string{kind + ".hallpass.dev/one\n", kind + ".hallpass.dev/two\n"}},
				"--output wide":     {3, []string{"AGE "}},
				"--selector team=a": {2, []string{"one "}},
				"--show-labels":     {3, []string{"LABELS\n", "team=a\n"}},
				"-l team=b":         {0, nil},
				"--output jsonpath='{range .items[*]}{.metadata.name}{\"\\n\"}{end}'": {2, []string{"one\n", "two\n"}},
				"one --output jsonpath={.metadata.labels.team}":                       {-1, []string{"a"}},
				"-o json one two":           {-1, []string{`"kind": "List"`, `"name": "two"`}},
				"-o yaml":                   {-1, []string{"kind: List\n", "name: two\n"}},
				"-A --no-headers -l team=a": {1, []string{"one "}},
			} {
				r := shell{}.run(t, "get "+noun+" --namespace listed "+flags, "")
				if lines := strings.Count(r.out, "\n"); r.code != app.ExitOK || want.lines >= 0 && lines != want.lines {
					t.Errorf("%s: exit %d, %d lines and not %d:\n%s%s", flags, r.code, lines, want.lines, r.out, r.err)
				}
				for _, text := range want.says {
					if !strings.Contains(r.out, text) {
						t.Errorf("%s: %q is missing:\n%s", flags, text, r.out)
					}
				}
			}
			if r := (shell{}).run(t, "get "+noun+" --all-namespaces --output name", ""); strings.Count(r.out, "/one\n") != everywhere {
				t.Errorf("of all namespaces:\n%s%s", r.out, r.err)
			}
		})
	}
}
