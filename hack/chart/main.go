// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command chart writes the templates of charts/hallpass from config/, so that what is installed is
// written down once: each template is a file of config/ with the substitutions of template.go, and
// the roles of an installation for chosen namespaces are derived from the manager's role. It is run
// in the root of the repository, by make generate.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

const (
	configDir    = "config"
	templatesDir = "charts/hallpass/templates"
)

func main() {
	if err := run(configDir, templatesDir); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

// run writes every template and removes those that have no source any more.
func run(from, to string) error {
	if err := writeNamespacedRoles(from); err != nil {
		return err
	}
	if err := writeAlertRules(from); err != nil {
		return err
	}
	all := slices.Concat(templates, loginTemplates)
	kinds, err := customResources(from)
	if err != nil {
		return err
	}
	all = append(all, kinds...)
	written := map[string]bool{}
	for _, t := range all {
		rendered, err := t.render(from)
		if err != nil {
			return err
		}
		written[t.to] = true
		if err := writeFile(filepath.Join(to, t.to), rendered); err != nil {
			return err
		}
	}
	if err := writeDefaults(to); err != nil {
		return err
	}
	if err := writeReadme(filepath.Join(to, "..")); err != nil {
		return err
	}
	return removeOthers(to, written)
}

// writeDefaults writes the chart's values into a template: those that a release was made with may
// lack what is newer.
func writeDefaults(to string) error {
	content, err := os.ReadFile(filepath.Join(to, "..", "values.yaml"))
	if err != nil {
		return fmt.Errorf("read the chart's values: %w", err)
	}
	values, err := yaml.YAMLToJSON(content)
	if err != nil {
		return fmt.Errorf("read the chart's values: %w", err)
	}
	const comment = "{{- /* Generated from values.yaml: change it there, and run make generate. */ -}}\n"
	return writeFile(filepath.Join(to, "_defaults.tpl"), comment+"{{- define \"hallpass.defaults\" -}}\n"+string(values)+"\n{{- end }}\n")
}

// customResources are the templates of the kinds that config/crd lists.
func customResources(from string) ([]template, error) {
	content, err := os.ReadFile(filepath.Join(from, "crd", "kustomization.yaml"))
	if err != nil {
		return nil, fmt.Errorf("read the list of kinds: %w", err)
	}
	var kustomization struct {
		Resources []string `json:"resources"`
	}
	if err := yaml.Unmarshal(content, &kustomization); err != nil {
		return nil, fmt.Errorf("read the list of kinds: %w", err)
	}
	var kinds []template
	for _, file := range kustomization.Resources {
		kind, err := readKind(filepath.Join(from, "crd", file))
		if err != nil {
			return nil, err
		}
		when := ".Values.crds.install"
		if kind.clusterScoped() { // no process would read its objects
			when = "and .Values.crds.install (not .Values.namespaces)"
		}
		kinds = append(kinds, template{
			from: "crd/" + file, to: "crd-" + strings.TrimPrefix(filepath.Base(file), "hallpass.dev_"), when: when,
			replace: []replacement{{"\n  annotations:\n    controller-gen", keepAnnotation, 1}},
		})
	}
	return kinds, nil
}

// removeOthers removes templates that were generated from a file that is gone. Templates
// without the line "Generated from" are written by hand.
func removeOthers(dir string, written map[string]bool) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return fmt.Errorf("list the templates: %w", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read a template: %w", err)
		}
		if !written[filepath.Base(file)] && strings.HasPrefix(string(content), "{{- /* Generated from ") {
			if err := os.Remove(file); err != nil {
				return fmt.Errorf("remove a template that has no source any more: %w", err)
			}
		}
	}
	return nil
}
