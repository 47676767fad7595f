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
  labels:
    app.kubernetes.io/name: hallpass
    app.kubernetes.io/part-of: hallpass
spec:
`

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
