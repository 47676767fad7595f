// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"encoding/json"
	"strings"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
)

func TestDeclare(t *testing.T) {
	scope := func(name, description string) v1alpha1.ResourceScope {
		return v1alpha1.ResourceScope{Name: v1alpha1.Scope(name), Description: description}
	}
	for name, c := range map[string]struct {
		before string
		after  change.Declaration
		want   string
	}{
		"the first scope": {`{}`, change.Declaration{DisplayName: "Orders", Scopes: []v1alpha1.ResourceScope{scope("read", "Read them")}},
			`{displayName: Orders, scopes: [{name: read, description: Read them}]}`},
		"a name is removed, and the last scope": {`{displayName: Orders, scopes: [{name: read}]}`, change.Declaration{}, `{}`},
		"some stay, some go and some come": {`{scopes: [{name: a}, {name: b, description: B}, {name: c, later: kept}, {name: d}]}`,
			change.Declaration{Scopes: []v1alpha1.ResourceScope{scope("e", "E"), scope("c", "C"), scope("b", "")}},
			`{scopes: [{name: b}, {name: c, description: C, later: kept}, {name: e, description: E}]}`},
		"all are replaced":     {`{scopes: [{name: a}, {name: b}]}`, change.Declaration{Scopes: []v1alpha1.ResourceScope{scope("c", "")}}, `{scopes: [{name: c}]}`},
		"nothing is different": {`{scopes: [{name: a}]}`, change.Declaration{Scopes: []v1alpha1.ResourceScope{scope("a", "")}}, `{scopes: [{name: a}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := yaml.YAMLToJSON([]byte("spec: " + c.before))
			if err != nil {
				t.Fatal(err)
			}
			var r v1alpha1.OAuth2Resource
			if err := json.Unmarshal(document, &r); err != nil {
				t.Fatal(err)
			}
			operations, err := change.Declare(&r, c.after)
			if err != nil {
				t.Fatal(err)
			}
			if len(operations) > 0 {
				made, err := json.Marshal(operations)
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
			}
			compare(t, "spec: "+c.want, string(document))
		})
	}
}

func TestAScopeThatIsGrantedIsNotRemoved(t *testing.T) {
	r := &v1alpha1.OAuth2Resource{Spec: v1alpha1.OAuth2ResourceSpec{
		Scopes: []v1alpha1.ResourceScope{{Name: "read"}, {Name: "write"}},
		Grants: []v1alpha1.ResourceGrant{{Scopes: []v1alpha1.Scope{"read"}}},
	}}
	_, err := change.Declare(r, change.Declaration{Scopes: []v1alpha1.ResourceScope{{Name: "write"}}})
	if err == nil || !strings.Contains(err.Error(), `grant 1 of OAuth2Resource "" still gives the scope "read"`) {
		t.Errorf("a scope of a grant is removed: %v", err)
	}
}
