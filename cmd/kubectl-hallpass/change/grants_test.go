// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
)

// edited applies operations to a resource, as the API server does, and returns spec.grants in YAML.
func edited(t *testing.T, grants string, operations func(*v1alpha1.OAuth2Resource) []change.Operation) string {
	t.Helper()
	document, err := yaml.YAMLToJSON([]byte("spec:\n  scopes: [{name: read}, {name: write}]\n" + grants))
	if err != nil {
		t.Fatal(err)
	}
	var r v1alpha1.OAuth2Resource
	if err := json.Unmarshal(document, &r); err != nil {
		t.Fatal(err)
	}
	made, err := json.Marshal(operations(&r))
	if err != nil {
		t.Fatal(err)
	}
	patch, err := jsonpatch.DecodePatch(made)
	if err != nil {
		t.Fatal(err)
	}
	if document, err = patch.Apply(document); err != nil {
		t.Fatalf("%s: %v", made, err)
	}
	var result struct {
		Spec struct {
			Grants []any `json:"grants"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(document, &result); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(result.Spec.Grants)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func access(namespaces, scopes string) change.Access {
	var a change.Access
	for n := range strings.FieldsSeq(namespaces) {
		a.Namespaces = append(a.Namespaces, v1alpha1.NamespaceName(n))
	}
	for s := range strings.FieldsSeq(scopes) {
		a.Scopes = append(a.Scopes, v1alpha1.Scope(s))
	}
	return a
}

func TestGrant(t *testing.T) {
	for name, c := range map[string]struct{ before, namespaces, scopes, want string }{
		"the first grant": {"", "shop", "read", `
			- from: {namespaces: [shop]}
			  scopes: [read]`},
		"two namespaces share one": {"", "shop web", "read write", `
			- from: {namespaces: [shop, web]}
			  scopes: [read, write]`},
		"another scope joins the grant of the namespace": {`
			  - from: {namespaces: [shop]}
			    scopes: [read]`, "shop", "write", `
			- from: {namespaces: [shop]}
			  scopes: [read, write]`},
		"what is granted already is not repeated": {`
			  - from: {namespaces: [shop, web]}
			    scopes: [read]`, "shop", "read", `
			- from: {namespaces: [shop, web]}
			  scopes: [read]`},
		"a grant for several namespaces is not widened": {`
			  - from: {namespaces: [shop, web]}
			    scopes: [read]`, "shop", "read write", `
			- from: {namespaces: [shop, web]}
			  scopes: [read]
			- from: {namespaces: [shop]}
			  scopes: [write]`},
		"a grant to some clients alone is left as it is": {`
			  - from: {namespaces: [shop], clientSelector: {matchLabels: {app: a}}}
			    scopes: [read]`, "shop", "read", `
			- from: {namespaces: [shop], clientSelector: {matchLabels: {app: a}}}
			  scopes: [read]
			- from: {namespaces: [shop]}
			  scopes: [read]`},
		"a field that this build does not know stays": {`
			  - from: {namespaces: [shop]}
			    scopes: [read]
			    later: [x]`, "shop", "write", `
			- from: {namespaces: [shop]}
			  scopes: [read, write]
			  later: [x]`},
		"a grant for exchanged tokens is left as it is": {`
			  - from: {namespaces: [shop]}
			    scopes: [read]
			    subjects: [Exchanged]`, "shop", "read write", `
			- from: {namespaces: [shop]}
			  scopes: [read]
			  subjects: [Exchanged]
			- from: {namespaces: [shop]}
			  scopes: [read, write]`},
		"a grant for both is not widened": {`
			  - from: {namespaces: [shop]}
			    scopes: [read]
			    subjects: [Client, Exchanged]`, "shop", "read write", `
			- from: {namespaces: [shop]}
			  scopes: [read]
			  subjects: [Client, Exchanged]
			- from: {namespaces: [shop]}
			  scopes: [write]`},
		"a namespace that is named twice": {"", "shop web shop", "read", `
			- from: {namespaces: [shop, web]}
			  scopes: [read]`},
	} {
		t.Run(name, func(t *testing.T) {
			compare(t, c.want, edited(t, withGrants(c.before), func(r *v1alpha1.OAuth2Resource) []change.Operation {
				operations, err := change.Grant(r, access(c.namespaces, c.scopes))
				if err != nil {
					t.Fatal(err)
				}
				return operations
			}))
		})
	}
}

func TestGrantRefusesAScopeThatIsNotDefined(t *testing.T) {
	r := &v1alpha1.OAuth2Resource{Spec: v1alpha1.OAuth2ResourceSpec{Scopes: []v1alpha1.ResourceScope{{Name: "read"}}}}
	r.Name, r.Namespace = "api", "orders"
	_, err := change.Grant(r, access("shop", "read rite"))
	if err == nil || !strings.Contains(err.Error(), `"rite": it defines read`) {
		t.Errorf("a scope that is not defined: %v", err)
	}
}

func TestUngrant(t *testing.T) {
	for name, c := range map[string]struct {
		before, namespaces, scopes, want string
		byLabels                         []int
	}{
		"all scopes of the only grant": {`
			  - from: {namespaces: [shop]}
			    scopes: [read, write]`, "shop", "", `null`, nil},
		"one scope": {`
			  - from: {namespaces: [shop]}
			    scopes: [read, write]`, "shop", "write", `
			- from: {namespaces: [shop]}
			  scopes: [read]`, nil},
		"others keep theirs": {`
			  - from: {namespaces: [shop, web]}
			    scopes: [read, write]
			    subjects: [User]
			  - from: {namespaces: [ci]}
			    scopes: [read]`, "shop", "write", `
			- from: {namespaces: [web]}
			  scopes: [read, write]
			  subjects: [User]
			- from: {namespaces: [ci]}
			  scopes: [read]
			- from: {namespaces: [shop]}
			  scopes: [read]
			  subjects: [User]`, nil},
		"several grants of one namespace, to some clients too": {`
			  - from: {namespaces: [shop]}
			    scopes: [read]
			  - from: {namespaces: [web]}
			    scopes: [read]
			  - from: {namespaces: [shop], clientSelector: {matchLabels: {app: a}}}
			    scopes: [write]`, "shop", "", `
			- from: {namespaces: [web]}
			  scopes: [read]`, nil},
		"grants by labels are named and left alone": {`
			  - from: {namespaceSelector: {matchLabels: {team: a}}}
			    scopes: [read]
			  - from: {namespaces: [shop]}
			    scopes: [read]
			  - from: {namespaceSelector: {matchLabels: {team: b}}}
			    scopes: [write]`, "shop", "read", `
			- from: {namespaceSelector: {matchLabels: {team: a}}}
			  scopes: [read]
			- from: {namespaceSelector: {matchLabels: {team: b}}}
			  scopes: [write]`, []int{1}},
		"what is not granted": {`
			  - from: {namespaces: [web]}
			    scopes: [read]`, "shop", "", `
			- from: {namespaces: [web]}
			  scopes: [read]`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var byLabels []int
			compare(t, c.want, edited(t, withGrants(c.before), func(r *v1alpha1.OAuth2Resource) (operations []change.Operation) {
				operations, byLabels = change.Ungrant(r, access(c.namespaces, c.scopes))
				return operations
			}))
			if diff := cmp.Diff(c.byLabels, byLabels); diff != "" {
				t.Errorf("grants by labels (-want +got):\n%s", diff)
			}
		})
	}
}

func withGrants(grants string) string {
	if grants == "" {
		return ""
	}
	return "  grants:" + strings.ReplaceAll(grants, "\t", "")
}

// compare compares two lists in YAML.
func compare(t *testing.T, want, got string) {
	t.Helper()
	var wanted, found any
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(want, "\t", "")), &wanted); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(got), &found); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, found); diff != "" {
		t.Errorf("grants (-want +got):\n%s", diff)
	}
}
