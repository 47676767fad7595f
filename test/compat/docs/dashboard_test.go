// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// shape is what a JSON value may be.
type shape func(value any) error

func text(value any) error    { return is[string](value) }
func boolean(value any) error { return is[bool](value) }
func number(value any) error  { return is[float64](value) }

func is[T any](value any) error {
	if _, ok := value.(T); !ok {
		return fmt.Errorf(" is %v, which is no %T", value, *new(T))
	}
	return nil
}

func from0To(last float64) shape {
	return func(value any) error {
		if n, ok := value.(float64); !ok || n < 0 || n > last || n != math.Trunc(n) {
			return fmt.Errorf(" is %v, which is no whole number up to %v", value, last)
		}
		return nil
	}
}

func oneOf(names ...string) shape {
	return func(value any) error {
		if name, ok := value.(string); !ok || !slices.Contains(names, name) {
			return fmt.Errorf(" is %v, which is none of %v", value, names)
		}
		return nil
	}
}

func listOf(element shape) shape {
	return func(value any) error {
		all, ok := value.([]any)
		if !ok {
			return fmt.Errorf(" is %v, which is no list", value)
		}
		var wrong []error
		for i, one := range all {
			if err := element(one); err != nil {
				wrong = append(wrong, fmt.Errorf("[%d]%w", i, err))
			}
		}
		return errors.Join(wrong...)
	}
}

// object has these fields and no others. A name that ends with ? may be left out.
func object(fields map[string]shape) shape {
	return func(value any) error {
		all, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf(" is %v, which is no object", value)
		}
		unknown := maps.Clone(all)
		var wrong []error
		for name, allowed := range fields {
			name, optional := strings.CutSuffix(name, "?")
			found, there := all[name]
			delete(unknown, name)
			switch {
			case there:
				if err := allowed(found); err != nil {
					wrong = append(wrong, fmt.Errorf(".%s%w", name, err))
				}
			case !optional:
				wrong = append(wrong, fmt.Errorf(".%s is missing", name))
			}
		}
		for name := range unknown {
			wrong = append(wrong, fmt.Errorf(".%s is not known", name))
		}
		return errors.Join(wrong...)
	}
}

// dashboardShape is as much of the kind Dashboard of Grafana (v1beta1) as our dashboard uses, and
// of the options of its two kinds of panels and of queries to Prometheus. What is not in it,
// Grafana may know, but nothing here checks it.
func dashboardShape() shape {
	whole := from0To(math.MaxUint32)
	source := object(map[string]shape{"type?": text, "uid?": text})
	grid := object(map[string]shape{"h": whole, "w": from0To(24), "x": from0To(23), "y": whole})
	threshold := object(map[string]shape{"color": text, "value": func(value any) error {
		if value == nil { // minus infinity
			return nil
		}
		return number(value)
	}})
	query := object(map[string]shape{
		"refId": text, "datasource?": source, "expr": text, "legendFormat?": text, "editorMode?": oneOf("code", "builder"), "range?": boolean, "instant?": boolean,
	})
	panel := func(kind string, custom, options map[string]shape) shape {
		return object(map[string]shape{
			"type": oneOf(kind), "id?": whole, "title?": text, "description?": text, "datasource?": source, "gridPos?": grid, "targets?": listOf(query),
			"fieldConfig?": object(map[string]shape{
				"defaults": object(map[string]shape{
					"unit?": text, "min?": number, "max?": number, "custom?": object(custom),
					"thresholds?": object(map[string]shape{"mode": oneOf("absolute", "percentage"), "steps": listOf(threshold)}),
				}),
				"overrides": listOf(object(nil)),
			}),
			"options?": object(options),
		})
	}
	panels := map[string]shape{
		"row": object(map[string]shape{"type": oneOf("row"), "id": whole, "title?": text, "collapsed": boolean, "gridPos?": grid, "panels": listOf(object(nil))}),
		"stat": panel("stat", nil, map[string]shape{
			"reduceOptions": object(map[string]shape{"calcs": listOf(text), "fields?": text, "values?": boolean}),
			"colorMode?":    oneOf("value", "background", "background_solid", "none"), "graphMode?": oneOf("none", "line", "area"),
			"textMode?": oneOf("auto", "value", "value_and_name", "name", "none"),
		}),
		"timeseries": panel("timeseries",
			map[string]shape{"fillOpacity?": from0To(100), "stacking?": object(map[string]shape{"mode?": oneOf("none", "normal", "percent"), "group?": text})},
			map[string]shape{
				"legend":  object(map[string]shape{"displayMode": oneOf("list", "table", "hidden"), "placement": oneOf("bottom", "right"), "showLegend": boolean, "calcs?": listOf(text)}),
				"tooltip": object(map[string]shape{"mode": oneOf("single", "multi", "none"), "sort": oneOf("asc", "desc", "none")}),
			}),
	}
	return object(map[string]shape{
		"uid?": text, "title?": text, "description?": text, "tags?": listOf(text), "schemaVersion": from0To(math.MaxUint16), "version?": whole,
		"editable?": boolean, "refresh?": text, "timezone?": text, "graphTooltip?": from0To(2),
		"time?": object(map[string]shape{"from": text, "to": text}),
		"templating?": object(map[string]shape{"list?": listOf(object(map[string]shape{
			"name": text, "type": oneOf("datasource", "query", "interval", "custom"), "query?": text, "label?": text, "hide?": from0To(3), "refresh?": from0To(2),
			"options?": listOf(object(map[string]shape{"selected?": boolean, "text": text, "value": text})), "includeAll?": boolean, "multi?": boolean,
		}))}),
		"annotations?": object(map[string]shape{"list?": listOf(object(nil))}),
		"links?": listOf(object(map[string]shape{
			"title": text, "type": oneOf("link", "dashboards"), "icon": text, "tooltip": text, "url?": text, "tags": listOf(text),
			"asDropdown": boolean, "targetBlank": boolean, "includeVars": boolean, "keepTime": boolean,
		})),
		"panels?": listOf(func(value any) error {
			fields, _ := value.(map[string]any)
			kind, _ := fields["type"].(string)
			if panels[kind] == nil {
				return fmt.Errorf(".type is %q, which this test does not know", kind)
			}
			return panels[kind](value)
		}),
	})
}

func TestTheDashboardIsWhatGrafanaTakes(t *testing.T) {
	content, err := os.ReadFile("../../../config/monitoring/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	check := func(content string) error {
		var dashboard any
		if err := json.Unmarshal([]byte(content), &dashboard); err != nil {
			t.Fatal(err)
		}
		return dashboardShape()(dashboard)
	}
	if err := check(string(content)); err != nil {
		t.Errorf("the dashboard:\n%v", err)
	}
	for right, wrong := range map[string]string{
		`"schemaVersion": 39`: `"schemaVersion": "39"`, `"graphTooltip": 1`: `"graphTooltip": 3`, `"collapsed": false`: `"collapse": false`, `"w": 24`: `"w": 25`,
		`"type": "stat"`: `"type": "stats"`, `"mode": "absolute"`: `"mode": "abs"`, `"refId": "A"`: `"ref": "A"`, `"overrides": []`: `"overrides": {}`,
		`"icon": "doc",`: ``, `"multi": false`: `"current": {}`,
	} {
		if !strings.Contains(string(content), right) {
			t.Errorf("the dashboard has no %s", right)
		}
		if check(strings.Replace(string(content), right, wrong, 1)) == nil {
			t.Errorf("with %s in the place of %s it is taken, too", wrong, right)
		}
	}
}

// TestEachMetricOfAnAlertHasAPanel, so that an alert can be followed in the dashboard.
func TestEachMetricOfAnAlertHasAPanel(t *testing.T) {
	alerts, err := os.ReadFile("../../../config/monitoring/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile("../../../config/monitoring/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(content, &dashboard); err != nil {
		t.Fatal(err)
	}
	metric := regexp.MustCompile(`\b(hallpass|leader_election|controller_runtime)_[a-z_]+`)
	shown := map[string]bool{}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			for _, name := range metric.FindAllString(target.Expr, -1) {
				shown[name] = true
			}
		}
	}
	alerting := metric.FindAllString(string(alerts), -1)
	if len(alerting) < 20 {
		t.Errorf("the alerts name %d metrics", len(alerting))
	}
	for _, name := range alerting {
		if !shown[name] {
			t.Errorf("%s has an alert and no panel", name)
		}
	}
}
