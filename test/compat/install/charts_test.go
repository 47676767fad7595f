// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestTheValuesOfOtherChartsHaveACounterpart looks up each value that docs/platforms.md names.
func TestTheValuesOfOtherChartsHaveACounterpart(t *testing.T) {
	page := string(must1(os.ReadFile(filepath.Join(root, "docs", "platforms.md")))(t))
	_, page, found := strings.Cut(page, "\n## Values that other charts have\n")
	table, _, ends := strings.Cut(page, "\n## ")
	if !found || !ends {
		t.Fatal("docs/platforms.md has no such table")
	}
	var values map[string]any
	must(t, yaml.Unmarshal(must1(os.ReadFile(filepath.Join(root, chart, "values.yaml")))(t), &values))
	path := regexp.MustCompile("`([a-zA-Z]+(?:[.][a-zA-Z]+)*)`")
	checked := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, named := range path.FindAllStringSubmatch(cells[2], -1) {
			fields := strings.Split(named[1], ".")
			_, there, err := unstructured.NestedFieldNoCopy(values, fields...)
			if err != nil || !there && !slices.Contains([]string{"global.imagePullSecrets", "global.imageRegistry", "manager", "tokenserver"}, named[1]) {
				t.Errorf("values.yaml has no %s: %v", named[1], err)
			}
			checked++
		}
	}
	if checked < 50 {
		t.Errorf("%d values; does this test still read the table right?", checked)
	}
}

// counterpart is what values of other charts are here, or why there is none.
type counterpart struct {
	There   string
	Here    []string
	Nothing string

	pattern *regexp.Regexp
	used    bool
}

// TestEachValueOfFiveChartsHasACounterpart walks the keys of the values of other charts.
func TestEachValueOfFiveChartsHasACounterpart(t *testing.T) {
	dir := filepath.Join("testdata", "charts")
	var table struct {
		Components   map[string][]string
		Counterparts []*counterpart
	}
	must(t, yaml.UnmarshalStrict(must1(os.ReadFile(filepath.Join(dir, "counterparts.yaml")))(t), &table))
	var values map[string]any
	must(t, yaml.Unmarshal(must1(os.ReadFile(filepath.Join(root, chart, "values.yaml")))(t), &values))
	for _, c := range table.Counterparts {
		c.pattern = regexp.MustCompile("^(?:" + c.There + ")$")
		if (len(c.Here) == 0) == (c.Nothing == "") {
			t.Errorf("%s: either a value or a reason", c.There)
		}
		for _, here := range c.Here {
			if _, found, err := unstructured.NestedFieldNoCopy(values, strings.Split(here, ".")...); err != nil || !found {
				t.Errorf("%s: values.yaml has no %s", c.There, here)
			}
		}
	}
	files := must1(filepath.Glob(filepath.Join(dir, "*.txt")))(t)
	if len(files) != 5 || len(table.Components) != 5 {
		t.Fatalf("%d charts, want 5", len(files))
	}
	walked := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		for key := range strings.Lines(string(must1(os.ReadFile(file))(t))) {
			key = strings.TrimSpace(key)
			if strings.HasPrefix(key, "#") {
				continue
			}
			walked++
			bare := key
			for _, component := range table.Components[name] {
				if rest, found := strings.CutPrefix(key, component+"."); found {
					bare = rest
					break
				}
			}
			matching := slices.IndexFunc(table.Counterparts, func(c *counterpart) bool {
				return c.pattern.MatchString(bare)
			})
			if matching < 0 {
				t.Errorf("%s: %s has no counterpart and no reason", name, key)
				continue
			}
			table.Counterparts[matching].used = true
		}
	}
	for _, c := range table.Counterparts {
		if !c.used {
			t.Errorf("%s matches no value", c.There)
		}
	}
	if walked < 1000 {
		t.Errorf("%d values; does this test still read the lists right?", walked)
	}
}

// TestTheChartMayBePartOfAnother installs it as a dependency: Helm adds global, and the condition
// is a value of this chart.
func TestTheChartMayBePartOfAnother(t *testing.T) {
	whole := t.TempDir()
	must(t, os.CopyFS(filepath.Join(whole, "charts", "hallpass"), os.DirFS(filepath.Join(root, chart))))
	for name, text := range map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: platform\nversion: 0.1.0\ndependencies: [{name: hallpass, version: \"*\", condition: hallpass.enabled}]\n",
		"values.yaml": "global: {imageRegistry: mirror.example.com, imagePullSecrets: [{name: mirror}]}\nhallpass: {enabled: true, manager: {replicas: 1}}\n",
	} {
		must(t, os.WriteFile(filepath.Join(whole, name), []byte(text), 0o600))
	}
	rendered, _, err := helm(t, "", "template", "platform", whole, "--namespace", system)
	must(t, err)
	ordinary, err := template(t)
	must(t, err)
	if diff := cmp.Diff(namesOf(objects(t, ordinary)), namesOf(objects(t, rendered))); diff != "" {
		t.Errorf("as a part of another chart (-alone +part):\n%s", diff)
	}
	if !strings.Contains(rendered, "name: mirror\n") {
		t.Error("global.imagePullSecrets are not used")
	}
}
