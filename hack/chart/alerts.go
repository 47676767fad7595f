// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The alert rules as Prometheus reads them, and as its operator does.
const (
	alertRules     = "monitoring/alerts.yaml"
	prometheusRule = "monitoring/prometheusrule.yaml"
)

const ruleHead = `# Generated from alerts.yaml by hack/chart: change it there, and run make generate.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: hallpass
  namespace: hallpass-system
  labels:
    app.kubernetes.io/name: hallpass
    app.kubernetes.io/part-of: hallpass
spec:
`

const dashboardHead = `apiVersion: v1
kind: ConfigMap
metadata:
  name: hallpass-dashboard
  namespace: hallpass-system
  labels:
    grafana_dashboard: "1" # what Grafana's sidecar looks for
    app.kubernetes.io/name: hallpass
    app.kubernetes.io/part-of: hallpass
data:
  hallpass.json: |
`

// dashboard puts the dashboard into the ConfigMap that config/monitoring has kustomize make.
func dashboard(text string) (string, error) {
	var object strings.Builder
	object.WriteString(dashboardHead)
	for line := range strings.Lines(text) {
		object.WriteString("    " + line)
	}
	return object.String(), nil
}

func writeAlertRules(root string) error {
	content, err := os.ReadFile(filepath.Join(root, alertRules))
	if err != nil {
		return fmt.Errorf("read the alert rules: %w", err)
	}
	_, groups, found := strings.Cut(string(content), "\ngroups:\n")
	if !found {
		return fmt.Errorf("%s has no groups", alertRules)
	}
	var rule strings.Builder
	rule.WriteString(ruleHead + "  groups:\n")
	for line := range strings.Lines(groups) {
		rule.WriteString("  " + line)
	}
	return writeFile(filepath.Join(root, prometheusRule), rule.String())
}
