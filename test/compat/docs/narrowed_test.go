// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// served is the part of a schema that can refuse a value.
type served struct {
	Type          string             `json:"type"`
	Pattern       string             `json:"pattern"`
	Enum          []string           `json:"enum"`
	Required      []string           `json:"required"`
	Properties    map[string]*served `json:"properties"`
	Items         *served            `json:"items"`
	Values        *served            `json:"additionalProperties"`
	MinLength     *float64           `json:"minLength"`
	MaxLength     *float64           `json:"maxLength"`
	MinItems      *float64           `json:"minItems"`
	MaxItems      *float64           `json:"maxItems"`
	MinProperties *float64           `json:"minProperties"`
	MaxProperties *float64           `json:"maxProperties"`
	Minimum       *float64           `json:"minimum"`
	Maximum       *float64           `json:"maximum"`
	ListType      string             `json:"x-kubernetes-list-type"`
	Default       any                `json:"default"`
	Rules         []struct {
		Rule string `json:"rule"`
	} `json:"x-kubernetes-validations"`
}

// TestNoSchemaIsNarrowedWithoutANote compares what is served with the baseline release. A field
// that is gone, or that refuses what it accepted, is named in docs/upgrade-notes.md. What was
// restricted is in a golden file, so that a path which has a note is not restricted once more
// unseen.
func TestNoSchemaIsNarrowedWithoutANote(t *testing.T) {
	notes := read(t, "docs/upgrade-notes.md")
	before, err := filepath.Glob("testdata/37318f4/*.yaml")
	if err != nil || len(before) != 5 {
		t.Fatalf("%d definitions of the baseline: %v", len(before), err)
	}
	var all strings.Builder
	for _, file := range before {
		name := filepath.Base(file)
		current := servedBy(t, read(t, "config/crd/bases/"+name))
		before := servedBy(t, read(t, filepath.Join("test/compat/docs", file)))
		for _, version := range slices.Sorted(maps.Keys(before)) {
			for _, n := range narrowed(before[version], current[version], "") {
				fmt.Fprintf(&all, "%s %s %s\n", name, version, n)
				if !strings.Contains(notes, "`"+n.path+"`") {
					t.Errorf("%s narrows `%s` (%s), and docs/upgrade-notes.md does not name it", name, n.path, n.by)
				}
			}
		}
	}
	if diff := gocmp.Diff(read(t, "test/compat/docs/testdata/narrowed.txt"), all.String()); diff != "" {
		t.Errorf("what was narrowed is not what testdata/narrowed.txt lists (-want +got):\n%s", diff)
	}
}

func TestEachWayToNarrowASchemaIsFound(t *testing.T) {
	old := `{type: object, properties: {a: {type: string, maxLength: 9, minLength: 1, enum: [x, y]}, b: {type: array, items: {type: string}, maxItems: 3}, c: {type: integer}}}`
	for from, to := range map[string]string{
		"maxLength: 9": "maxLength: 8", "minLength: 1": "minLength: 2", "[x, y]": "[x]", "{type: string}": "{type: integer}", "maxItems: 3": "maxItems: 2, minItems: 1",
		"c: {type: integer}": "d: {type: integer}", "{type: integer}": "{type: integer, minimum: 1}", "{type: object": "{type: object, required: [c]",
		"items: {type: string}": "items: {type: string, pattern: a}", "b: {": "b: {x-kubernetes-validations: [{rule: a}], ",
		"c: {": "d: {type: string}, c: {maximum: 3, ", "properties: {a": "required: [e], properties: {e: {type: string}, a", "maxItems: 3}": "maxItems: 3, x-kubernetes-list-type: set}",
	} {
		if len(narrowed(schemaFrom(t, old), schemaFrom(t, strings.Replace(old, from, to, 1)), "")) == 0 {
			t.Errorf("%q in the place of %q is not found", to, from)
		}
	}
	for from, to := range map[string]string{"maxLength: 9": "maxLength: 10", "[x, y]": "[x, y, z]", "c: {": "e: {type: string}, c: {", "maxItems: 3": "maxItems: 4", "properties: {a": "required: [e], properties: {e: {type: string, default: x}, a"} {
		if diff := gocmp.Diff([]narrowing(nil), narrowed(schemaFrom(t, old), schemaFrom(t, strings.Replace(old, from, to, 1)), ""), gocmp.AllowUnexported(narrowing{})); diff != "" {
			t.Errorf("%q in the place of %q (-want +got):\n%s", to, from, diff)
		}
	}
}

// servedBy are the schemas of a definition by the names of its served versions.
func servedBy(t *testing.T, definition string) map[string]*served {
	t.Helper()
	var crd struct {
		Spec struct {
			Versions []struct {
				Name   string `json:"name"`
				Served bool   `json:"served"`
				Schema struct {
					OpenAPI *served `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal([]byte(definition), &crd); err != nil {
		t.Fatal(err)
	}
	schemas := map[string]*served{}
	for _, version := range crd.Spec.Versions {
		if version.Served {
			schemas[version.Name] = version.Schema.OpenAPI
		}
	}
	return schemas
}

func schemaFrom(t *testing.T, text string) *served {
	t.Helper()
	var schema served
	if err := yaml.UnmarshalStrict([]byte(text), &schema); err != nil {
		t.Fatal(err)
	}
	return &schema
}

// narrowing is a path at which less is accepted than before, and by what.
type narrowing struct{ path, by string }

func (n narrowing) String() string { return n.path + ": " + n.by }

// narrowed is where current refuses what old accepts. The root is $.
func narrowed(old, current *served, path string) (all []narrowing) {
	at := cmp.Or(strings.TrimPrefix(path, "."), "$")
	if current == nil {
		return []narrowing{{at, "it is gone"}}
	}
	for _, by := range refusals(old, current) {
		all = append(all, narrowing{at, by})
	}
	for _, name := range slices.Sorted(maps.Keys(old.Properties)) {
		all = append(all, narrowed(old.Properties[name], current.Properties[name], path+"."+name)...)
	}
	if old.Items != nil {
		all = append(all, narrowed(old.Items, current.Items, path+"[]")...)
	}
	if old.Values != nil {
		all = append(all, narrowed(old.Values, current.Values, path+".*")...)
	}
	return all
}

// refusals are what a schema refuses more than another one, what is below its fields aside.
func refusals(old, current *served) (all []string) {
	for _, rule := range current.Rules {
		if !slices.Contains(old.Rules, rule) {
			all = append(all, "rule "+rule.Rule)
		}
	}
	for _, name := range current.Required {
		if property := current.Properties[name]; !slices.Contains(old.Required, name) && (property == nil || property.Default == nil) {
			all = append(all, "required "+name)
		}
	}
	for _, value := range old.Enum {
		if len(current.Enum) > 0 && !slices.Contains(current.Enum, value) {
			all = append(all, "enum without "+value)
		}
	}
	if len(old.Enum) == 0 && len(current.Enum) > 0 {
		all = append(all, "enum "+strings.Join(current.Enum, " "))
	}
	if old.Type != current.Type {
		all = append(all, "type "+current.Type)
	}
	if current.Pattern != "" && current.Pattern != old.Pattern {
		all = append(all, "pattern "+current.Pattern)
	}
	if current.ListType != old.ListType && (current.ListType == "set" || current.ListType == "map") {
		all = append(all, "list type "+current.ListType)
	}
	for _, bound := range []struct {
		name         string
		current, old *float64
		narrower     func(current, old *float64) bool
	}{
		{"minLength", current.MinLength, old.MinLength, above}, {"maxLength", current.MaxLength, old.MaxLength, below},
		{"minItems", current.MinItems, old.MinItems, above}, {"maxItems", current.MaxItems, old.MaxItems, below},
		{"minProperties", current.MinProperties, old.MinProperties, above}, {"maxProperties", current.MaxProperties, old.MaxProperties, below},
		{"minimum", current.Minimum, old.Minimum, above}, {"maximum", current.Maximum, old.Maximum, below},
	} {
		if bound.narrower(bound.current, bound.old) {
			all = append(all, fmt.Sprintf("%s %g", bound.name, *bound.current))
		}
	}
	return all
}

// above reports whether a lower bound is new or higher.
func above(current, old *float64) bool { return current != nil && (old == nil || *current > *old) }

// below reports whether an upper bound is new or lower.
func below(current, old *float64) bool { return current != nil && (old == nil || *current < *old) }
