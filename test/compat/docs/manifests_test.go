// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// foreign are the API groups of other projects, whose schemas are theirs.
var foreign = []string{
	"apiserver.config.k8s.io", "argoproj.io", "cert-manager.io", "gateway.envoyproxy.io", "gateway.networking.k8s.io", "helm.toolkit.fluxcd.io", "kustomize.config.k8s.io",
	"monitoring.coreos.com", "security.istio.io", "networking.istio.io", "source.toolkit.fluxcd.io", "telemetry.istio.io", "traefik.io", "bitnami.com", "external-secrets.io",
	"kafka.strimzi.io",
}

// TestEveryManifestIsValid checks each YAML document of docs/, the README and the samples: a custom
// resource of Hallpass by the JSON schema that editors use, an object of Kubernetes by its types.
func TestEveryManifestIsValid(t *testing.T) {
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	ours, theirs := 0, 0
	for where, document := range manifests(t) {
		var object map[string]any
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			t.Errorf("%s is no YAML: %v", where, err)
			continue
		}
		version, _ := object["apiVersion"].(string)
		kind, _ := object["kind"].(string)
		group, _, _ := strings.Cut(version, "/")
		switch {
		case version == "" || slices.Contains(foreign, group):
		case group == "hallpass.dev":
			ours++
			for _, problem := range violations(schemaOf(t, kind), object, kind) {
				t.Errorf("%s: %s", where, problem)
			}
		default:
			theirs++
			if _, _, err := decoder.Decode([]byte(document), nil, nil); err != nil {
				t.Errorf("%s: %v", where, err)
			}
		}
	}
	if ours < 25 || theirs < 10 {
		t.Errorf("%d custom resources and %d objects of Kubernetes; does this test still find them?", ours, theirs)
	}
}

// The schema refuses a field that there is not, a value out of bounds, and what lacks a field.
func TestTheSchemasRefuseMistakes(t *testing.T) {
	right := `{apiVersion: hallpass.dev/v1alpha1, kind: OAuth2Client, metadata: {name: a}, spec: {displayName: A, scopes: [read], state: Active}}`
	for from, to := range map[string]string{
		"scopes:": "scope:", "displayName: A": "displayName: ''", "[read]": "read", "Active": "active", "v1alpha1": "v1", "metadata: {name: a}, ": "",
		"scopes: [read]": "access: [{resourceName: a}]",
	} {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(strings.Replace(right, from, to, 1)), &object); err != nil {
			t.Fatal(err)
		}
		if len(violations(schemaOf(t, "OAuth2Client"), object, "")) == 0 {
			t.Errorf("%q in the place of %q is accepted", to, from)
		}
	}
	var object map[string]any
	if err := yaml.Unmarshal([]byte(right), &object); err != nil {
		t.Fatal(err)
	}
	if wrong := violations(schemaOf(t, "OAuth2Client"), object, ""); len(wrong) > 0 {
		t.Errorf("what is right is refused: %v", wrong)
	}
}

func schemaOf(t *testing.T, kind string) map[string]any {
	t.Helper()
	var schema map[string]any
	if err := json.Unmarshal([]byte(read(t, "docs/schemas/"+strings.ToLower(kind)+"_v1alpha1.json")), &schema); err != nil {
		t.Fatal(err)
	}
	return schema
}

// violations are what a value breaks of the part of JSON Schema that the schemas use.
func violations(schema map[string]any, value any, path string) []string {
	var wrong []string
	add := func(format string, args ...any) { wrong = append(wrong, path+": "+fmt.Sprintf(format, args...)) }
	if only, ok := schema["const"]; ok && only != value {
		add("%v is not %v", value, only)
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, value) {
		add("%v is none of %v", value, enum)
	}
	typ, _ := schema["type"].(string)
	switch value := value.(type) {
	case map[string]any:
		if typ != "object" {
			add("an object is no %s", typ)
		}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, there := value[fmt.Sprint(name)]; !there {
				add("%s is missing", name)
			}
		}
		properties, _ := schema["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if property, known := properties[name].(map[string]any); known {
				wrong = append(wrong, violations(property, value[name], path+"."+name)...)
			} else if rest, ok := schema["additionalProperties"].(map[string]any); ok {
				wrong = append(wrong, violations(rest, value[name], path+"."+name)...)
			} else if schema["additionalProperties"] == false {
				add("there is no field %s", name)
			}
		}
	case []any:
		if typ != "array" {
			add("a list is no %s", typ)
		}
		wrong = append(wrong, outside(schema, "minItems", "maxItems", float64(len(value)), path)...)
		items, _ := schema["items"].(map[string]any)
		for i, item := range value {
			wrong = append(wrong, violations(items, item, fmt.Sprintf("%s[%d]", path, i))...)
		}
	case string:
		if typ != "string" && schema["const"] == nil {
			add("text is no %s", typ)
		}
		wrong = append(wrong, outside(schema, "minLength", "maxLength", float64(utf8.RuneCountInString(value)), path)...)
		if pattern, ok := schema["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(value) {
			add("%q does not match %s", value, pattern)
		}
	case bool:
		if typ != "boolean" {
			add("a bool is no %s", typ)
		}
	case float64:
		if typ != "integer" && typ != "number" {
			add("a number is no %s", typ)
		}
		wrong = append(wrong, outside(schema, "minimum", "maximum", value, path)...)
	}
	return wrong
}

func outside(schema map[string]any, least, most string, value float64, path string) []string {
	if bound, ok := schema[least].(float64); ok && value < bound {
		return []string{fmt.Sprintf("%s: %v is below %s %v", path, value, least, bound)}
	}
	if bound, ok := schema[most].(float64); ok && value > bound {
		return []string{fmt.Sprintf("%s: %v is above %s %v", path, value, most, bound)}
	}
	return nil
}

// manifests are the YAML documents by where they are. A page has them in fences and in
// here-documents.
func manifests(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	add := func(where, text string) {
		for i, document := range strings.Split(text, "\n---\n") {
			found[fmt.Sprintf("%s, document %d", where, i+1)] = document
		}
	}
	var files []string
	for _, dir := range []string{"docs", "config/samples"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				files = append(files, strings.TrimPrefix(path, root+"/"))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fence, here := regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)^ *```$"), regexp.MustCompile(`(?ms)<<'?YAML'?[^\n]*\n(.*?)^ *YAML$`)
	for _, file := range append(files, "README.md") {
		switch filepath.Ext(file) {
		case ".yaml":
			add(file, read(t, file))
		case ".md":
			for i, block := range fence.FindAllStringSubmatch(read(t, file), -1) {
				add(fmt.Sprintf("%s, block %d", file, i+1), dedent(block[1], block[2]))
			}
			for i, block := range here.FindAllStringSubmatch(read(t, file), -1) {
				add(fmt.Sprintf("%s, here-document %d", file, i+1), dedent(regexp.MustCompile(`^ *`).FindString(block[1]), block[1]))
			}
		}
	}
	return found
}

func dedent(indent, text string) string {
	return strings.ReplaceAll("\n"+text, "\n"+indent, "\n")[1:]
}
