// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// served is the part of a schema that can refuse a value.
type served struct {
	Type       string             `json:"type"`
	Pattern    string             `json:"pattern"`
	Enum       []string           `json:"enum"`
	Required   []string           `json:"required"`
	Properties map[string]*served `json:"properties"`
	Items      *served            `json:"items"`
	Values     *served            `json:"additionalProperties"`
	MinLength  *float64           `json:"minLength"`
	MaxLength  *float64           `json:"maxLength"`
	MinItems   *float64           `json:"minItems"`
	MaxItems   *float64           `json:"maxItems"`
	Minimum    *float64           `json:"minimum"`
	Maximum    *float64           `json:"maximum"`
	Rules      []struct {
		Rule string `json:"rule"`
	} `json:"x-kubernetes-validations"`
}

// TestNoSchemaIsNarrowedWithoutANote compares what is served with the baseline release. A field
// that is gone, or that refuses what it accepted, is named in docs/upgrade-notes.md.
func TestNoSchemaIsNarrowedWithoutANote(t *testing.T) {
	notes := read(t, "docs/upgrade-notes.md")
	before, err := filepath.Glob("testdata/37318f4/*.yaml")
	if err != nil || len(before) != 5 {
		t.Fatalf("%d definitions of the baseline: %v", len(before), err)
	}
	for _, file := range before {
		old := servedBy(t, read(t, filepath.Join("test/compat/docs", file)))
		current := servedBy(t, read(t, "config/crd/bases/"+filepath.Base(file)))
		for _, path := range narrowed(old, current, "") {
			if !strings.Contains(notes, "`"+path+"`") {
				t.Errorf("%s narrows `%s`, and docs/upgrade-notes.md does not name it", filepath.Base(file), path)
			}
		}
	}
}

func TestEachWayToNarrowASchemaIsFound(t *testing.T) {
	old := `{type: object, properties: {a: {type: string, maxLength: 9, minLength: 1, enum: [x, y]}, b: {type: array, items: {type: string}, maxItems: 3}, c: {type: integer}}}`
	for from, to := range map[string]string{
		"maxLength: 9": "maxLength: 8", "minLength: 1": "minLength: 2", "[x, y]": "[x]", "{type: string}": "{type: integer}", "maxItems: 3": "maxItems: 2, minItems: 1",
		"c: {type: integer}": "d: {type: integer}", "{type: integer}": "{type: integer, minimum: 1}", "{type: object": "{type: object, required: [c]",
		"items: {type: string}": "items: {type: string, pattern: a}", "b: {": "b: {x-kubernetes-validations: [{rule: a}], ",
	} {
		if len(narrowed(schemaFrom(t, old), schemaFrom(t, strings.Replace(old, from, to, 1)), "")) == 0 {
			t.Errorf("%q in the place of %q is not found", to, from)
		}
	}
	for from, to := range map[string]string{"maxLength: 9": "maxLength: 10", "[x, y]": "[x, y, z]", "c: {": "e: {type: string}, c: {", "maxItems: 3": "maxItems: 4"} {
		if diff := cmp.Diff([]string(nil), narrowed(schemaFrom(t, old), schemaFrom(t, strings.Replace(old, from, to, 1)), "")); diff != "" {
			t.Errorf("%q in the place of %q (-want +got):\n%s", to, from, diff)
		}
	}
}

func servedBy(t *testing.T, definition string) *served {
	t.Helper()
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPI *served `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal([]byte(definition), &crd); err != nil {
		t.Fatal(err)
	}
	return crd.Spec.Versions[0].Schema.OpenAPI
}

func schemaFrom(t *testing.T, text string) *served {
	t.Helper()
	var schema served
	if err := yaml.UnmarshalStrict([]byte(text), &schema); err != nil {
		t.Fatal(err)
	}
	return &schema
}

// narrowed are the paths at which current refuses what old accepts.
func narrowed(old, current *served, path string) []string {
	if current == nil || refusesMore(old, current) {
		return []string{strings.TrimPrefix(path, ".")}
	}
	var paths []string
	for name, property := range old.Properties {
		paths = append(paths, narrowed(property, current.Properties[name], path+"."+name)...)
	}
	if old.Items != nil {
		paths = append(paths, narrowed(old.Items, current.Items, path+"[]")...)
	}
	if old.Values != nil {
		paths = append(paths, narrowed(old.Values, current.Values, path+".*")...)
	}
	slices.Sort(paths)
	return paths
}

// refusesMore reports whether a schema refuses more than another one, what is below its fields
// aside.
func refusesMore(old, current *served) bool {
	for _, rule := range current.Rules {
		if !slices.Contains(old.Rules, rule) {
			return true
		}
	}
	for _, name := range current.Required {
		if _, known := old.Properties[name]; known && !slices.Contains(old.Required, name) {
			return true
		}
	}
	for _, value := range old.Enum {
		if len(current.Enum) > 0 && !slices.Contains(current.Enum, value) {
			return true
		}
	}
	return old.Type != current.Type || current.Pattern != "" && current.Pattern != old.Pattern || len(old.Enum) == 0 && len(current.Enum) > 0 ||
		above(current.MinLength, old.MinLength) || above(current.MinItems, old.MinItems) || above(current.Minimum, old.Minimum) ||
		below(current.MaxLength, old.MaxLength) || below(current.MaxItems, old.MaxItems) || below(current.Maximum, old.Maximum)
}

// above reports whether a lower bound is new or higher.
func above(current, old *float64) bool { return current != nil && (old == nil || *current > *old) }

// below reports whether an upper bound is new or lower.
func below(current, old *float64) bool { return current != nil && (old == nil || *current < *old) }
