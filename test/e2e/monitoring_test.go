// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

var metricName = regexp.MustCompile(`\b(?:hallpass|controller_runtime|leader_election|process)_[a-z0-9_]+`)

// exported are the names of all metrics of the running token server and manager, with those that a
// histogram has.
func exported(t *testing.T) map[string]bool {
	t.Helper()
	secret := credentials(t, apply(t, "monitored", newClient(strings.ToLower(t.Name()))))
	token := fetch(t, secret)
	post(t, secret, "introspection_url", url.Values{"token": {token}})
	revoking := secret.DeepCopy()
	revoking.Data["url"] = []byte(hallpass.Issuer.URL(oauth2.RevocationPath))
	post(t, revoking, "url", url.Values{"token": {token}})
	// which is inactive by now
	post(t, secret, "introspection_url", url.Values{"token": {token}})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, hallpass.Ops+"/metrics", http.NoBody)
	must(t, err)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	served, err := io.ReadAll(response.Body)
	must(t, err)
	problems, err := promlint.New(strings.NewReader(string(served))).Lint()
	must(t, err)
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "hallpass_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
	names := map[string]bool{
		// counted by the first manager of the process, which may have ended before there
		// was a client or an issuer
		"hallpass_clients": true, "hallpass_trusted_issuers": true, "hallpass_records_memory_namespace_bytes": true,
		// client-go's, where there is an election; the manager of these tests has none
		"leader_election_master_status": true,
		// of login, which does not run here
		"hallpass_login_requests_total": true, "hallpass_login_build_info": true,
	}
	for _, line := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(string(served), -1) {
		addMetric(names, line[1], line[2])
	}
	families, err := metrics.Registry.Gather()
	must(t, err)
	for _, family := range families {
		addMetric(names, family.GetName(), strings.ToLower(family.GetType().String()))
	}
	return names
}

func addMetric(names map[string]bool, name, kind string) {
	names[name] = true
	if kind == "histogram" {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			names[name+suffix] = true
		}
	}
}

type alertRule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// TestEveryAlertHasAPageAndAsksForMetricsThatThereAre; make alerts tests what they do.
func TestEveryAlertHasAPageAndAsksForMetricsThatThereAre(t *testing.T) {
	names := exported(t)
	content, err := os.ReadFile(filepath.Join(root(), "config/monitoring/alerts.yaml"))
	must(t, err)
	var rules struct {
		Groups []struct {
			Rules []alertRule `json:"rules"`
		} `json:"groups"`
	}
	must(t, yaml.UnmarshalStrict(content, &struct {
		Groups any `json:"groups"`
	}{}))
	must(t, yaml.Unmarshal(content, &rules))
	pages, err := filepath.Glob(filepath.Join(root(), "docs/alerts/*.md"))
	must(t, err)
	if len(rules.Groups) != 1 || len(rules.Groups[0].Rules) != len(pages) || len(pages) < 10 {
		t.Fatalf("%d pages for %d groups of rules", len(pages), len(rules.Groups))
	}
	for _, rule := range rules.Groups[0].Rules {
		page, err := os.ReadFile(filepath.Join(root(), "docs/alerts", rule.Alert+".md"))
		if err != nil || !strings.Contains(string(page), "## What to do\n\n1. ") {
			t.Errorf("%s has no page that says what to do: %v", rule.Alert, err)
		}
		if !strings.HasSuffix(rule.Annotations["runbook_url"], "/docs/alerts/"+rule.Alert+".md") || rule.Annotations["summary"] == "" || rule.For == "" {
			t.Errorf("%s: %+v", rule.Alert, rule)
		}
		if severity := rule.Labels["severity"]; severity != "critical" && severity != "warning" && severity != "info" {
			t.Errorf("%s has the severity %q", rule.Alert, severity)
		}
		askedFor(t, names, rule.Alert, rule.Expr)
	}
}

func askedFor(t *testing.T, names map[string]bool, who, expression string) {
	t.Helper()
	asked := metricName.FindAllString(expression, -1)
	if len(asked) == 0 {
		t.Errorf("%s asks for no metric: %s", who, expression)
	}
	for _, name := range asked {
		if !names[name] {
			t.Errorf("%s asks for %s, which neither process exports", who, name)
		}
	}
}

// TestEveryMetricIsWatchedAndExplained: each metric of Hallpass is in an alert or on the dashboard,
// and in a page; each controller that runs is in the alert on failures.
func TestEveryMetricIsWatchedAndExplained(t *testing.T) {
	var watched, explained strings.Builder
	for _, pattern := range []string{"config/monitoring/alerts.yaml", "config/monitoring/dashboard.json"} {
		content, err := os.ReadFile(filepath.Join(root(), pattern))
		must(t, err)
		watched.Write(content)
	}
	pages, err := filepath.Glob(filepath.Join(root(), "docs/*.md"))
	must(t, err)
	for _, page := range pages {
		content, err := os.ReadFile(page)
		must(t, err)
		explained.Write(content)
	}
	count := 0
	for name := range exported(t) {
		if !strings.HasPrefix(name, "hallpass_") || regexp.MustCompile(`_(sum|count|bucket)$`).MatchString(name) {
			continue
		}
		count++
		word := regexp.MustCompile(`\b` + name + `(_bucket|_sum|_count)?\b`)
		if !word.MatchString(watched.String()) {
			t.Errorf("neither an alert nor the dashboard asks for %s", name)
		}
		if !word.MatchString(explained.String()) {
			t.Errorf("no page explains %s", name)
		}
	}
	if count < 25 {
		t.Errorf("%d metrics; does this test still find all?", count)
	}
	alert := regexp.MustCompile(`controller_runtime_reconcile_errors_total(\{[^}]*\})?`).FindStringSubmatch(watched.String())
	if alert == nil || alert[1] != "" {
		t.Errorf("the alert on failures leaves controllers out: %v", alert)
	}
}

type dashboardPanel struct {
	ID      int    `json:"id"`
	Type    string `json:"type"`
	Title   string `json:"title"`
	GridPos struct{ H, W, X, Y int }
	Targets []struct {
		RefID string `json:"refId"`
		Expr  string `json:"expr"`
	} `json:"targets"`
	Datasource struct {
		UID string `json:"uid"`
	} `json:"datasource"`
}

// TestTheDashboardShowsMetricsThatThereAre checks what Grafana needs of a dashboard: identities,
// places that do not overlap, queries with a name each, and a data source that is chosen where it
// is imported.
func TestTheDashboardShowsMetricsThatThereAre(t *testing.T) {
	names := exported(t)
	content, err := os.ReadFile(filepath.Join(root(), "config/monitoring/dashboard.json"))
	must(t, err)
	var dashboard struct {
		UID           string           `json:"uid"`
		Title         string           `json:"title"`
		SchemaVersion int              `json:"schemaVersion"`
		Panels        []dashboardPanel `json:"panels"`
	}
	must(t, json.Unmarshal(content, &dashboard))
	if dashboard.UID == "" || dashboard.Title == "" || dashboard.SchemaVersion < 36 || len(dashboard.Panels) < 20 {
		t.Errorf("the dashboard %q %q of schema %d has %d panels", dashboard.UID, dashboard.Title, dashboard.SchemaVersion, len(dashboard.Panels))
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] || panel.ID == 0 || panel.Title == "" {
			t.Errorf("the panel %d %q has no identity of its own", panel.ID, panel.Title)
		}
		ids[panel.ID] = true
		for x := panel.GridPos.X; x < panel.GridPos.X+panel.GridPos.W; x++ {
			for y := panel.GridPos.Y; y < panel.GridPos.Y+panel.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s is where %s is, or outside", panel.Title, other)
				}
				taken[[2]int{x, y}] = panel.Title
			}
		}
		if panel.Type == "row" {
			continue
		}
		if panel.Datasource.UID != "${datasource}" || len(panel.Targets) == 0 {
			t.Errorf("%s has the data source %q and %d queries", panel.Title, panel.Datasource.UID, len(panel.Targets))
		}
		for _, target := range panel.Targets {
			askedFor(t, names, panel.Title, target.Expr)
			if target.RefID == "" {
				t.Errorf("%s has a query without a name", panel.Title)
			}
		}
	}
}
