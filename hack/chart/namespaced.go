// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// The roles of an installation for chosen namespaces, below config/: what the manager may do in its
// own two namespaces beside the roles that it has there anyway, and what it may do in each of the
// users'.
const (
	managerRole = "rbac/manager_role.yaml"
	ownRoles    = "namespaced/manager.yaml"
	tenantRole  = "namespaced/tenant/manager.yaml"
)

type rule struct {
	APIGroups       []string `json:"apiGroups,omitempty"`
	NonResourceURLs []string `json:"nonResourceURLs,omitempty"`
	ResourceNames   []string `json:"resourceNames,omitempty"`
	Resources       []string `json:"resources,omitempty"`
	Verbs           []string `json:"verbs"`
}

// kind is as much of a CustomResourceDefinition as it takes to know where its objects are.
type kind struct {
	Spec struct {
		Scope string `json:"scope"`
		Names struct {
			Plural string `json:"plural"`
		} `json:"names"`
	} `json:"spec"`
}

func (k kind) clusterScoped() bool { return k.Spec.Scope == "Cluster" }

func readKind(file string) (kind, error) {
	var k kind
	content, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(content, &k)
	}
	if err != nil {
		return kind{}, fmt.Errorf("read a kind: %w", err)
	}
	return k, nil
}

// writeNamespacedRoles derives them from the manager's ClusterRole: the same rules, without what
// belongs to no namespace.
func writeNamespacedRoles(root string) error {
	rules, err := clusterRules(filepath.Join(root, managerRole))
	if err != nil {
		return err
	}
	notInNamespaces, err := clusterScoped(root)
	if err != nil {
		return err
	}
	var tenant, own []rule
	for _, r := range rules {
		resources := slices.DeleteFunc(slices.Clone(r.Resources), func(name string) bool {
			plural, _, _ := strings.Cut(name, "/")
			return slices.Contains(notInNamespaces, plural)
		})
		if len(resources) == 0 {
			continue
		}
		tenant = append(tenant, rule{APIGroups: r.APIGroups, Resources: resources, Verbs: r.Verbs})
		if slices.Contains(resources, "secrets") {
			own = append(own, rule{APIGroups: r.APIGroups, Resources: []string{"secrets"}, Verbs: r.Verbs})
		}
	}
	granted := grant("hallpass-manager-secrets", "hallpass-system", own) + "---\n" + grant("hallpass-manager-secrets", "hallpass-registry", own)
	const comment = "# Generated from config/rbac by hack/chart. %s\n"
	return errors.Join(
		writeFile(filepath.Join(root, ownRoles), fmt.Sprintf(comment, "The registrations and keys, and the certificates.")+granted),
		writeFile(filepath.Join(root, tenantRole), fmt.Sprintf(comment, "What the manager does in a namespace of users.")+grant("hallpass-manager", "", tenant)),
	)
}

// clusterRules are those of the one ClusterRole in a file.
func clusterRules(file string) ([]rule, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the manager's role: %w", err)
	}
	for document := range strings.SplitSeq(string(content), "---\n") {
		var role struct {
			Kind  string `json:"kind"`
			Rules []rule `json:"rules"`
		}
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			return nil, fmt.Errorf("read the manager's role: %w", err)
		}
		if role.Kind == "ClusterRole" {
			return role.Rules, nil
		}
	}
	return nil, fmt.Errorf("%s has no ClusterRole", file)
}

// clusterScoped are the resources of a manager's rules that belong to no namespace.
func clusterScoped(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, "crd", "bases", "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("list the kinds: %w", err)
	}
	names := []string{"namespaces"}
	for _, file := range files {
		k, err := readKind(file)
		if err != nil {
			return nil, err
		}
		if k.clusterScoped() {
			names = append(names, k.Spec.Names.Plural)
		}
	}
	return names, nil
}

// grant is a Role and its binding to the manager's account; without a namespace a kustomization
// sets it.
func grant(name, namespace string, rules []rule) string {
	where := ""
	if namespace != "" {
		where = "  namespace: " + namespace + "\n"
	}
	meta := "metadata:\n  name: " + name + "\n" + where + `  labels:
    app.kubernetes.io/name: hallpass
    app.kubernetes.io/component: manager
    app.kubernetes.io/part-of: hallpass
`
	listed, err := yaml.Marshal(map[string]any{"rules": rules})
	if err != nil {
		panic(err) // lists of strings have a form in YAML
	}
	return "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n" + meta + string(listed) +
		"---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n" + meta +
		`roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: ` + name + `
subjects:
- kind: ServiceAccount
  name: hallpass-manager
  namespace: hallpass-system
`
}

func writeFile(file, text string) error {
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write what is generated: %w", err)
	}
	return nil
}
