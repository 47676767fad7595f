// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

var rewrite = flag.Bool("update", false, "write the golden files of this package anew")

// TestTheServiceAccountsHaveTheseRightsAndNoOthers resolves every binding of the two accounts.
func TestTheServiceAccountsHaveTheseRightsAndNoOthers(t *testing.T) {
	var got strings.Builder
	for _, account := range []string{installation.ManagerAccount, installation.TokenServerAccount} {
		grants, err := grantsOf(t.Context(), account)
		must(t, err)
		var rules []string
		for _, g := range grants {
			rules = append(rules, g.lines()...)
		}
		slices.Sort(rules)
		fmt.Fprintf(&got, "%s\n  %s\n", account, strings.Join(rules, "\n  "))
	}
	golden := filepath.Join("testdata", "rights.golden")
	if *rewrite {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("rights (-want +got); go test ./test/e2e -run ServiceAccounts -update writes them anew:\n%s", diff)
	}
}

// bindsAccount also finds the groups that every service account of the namespace, or of the
// cluster, is in. What the API server grants to all authenticated users is not ours.
func bindsAccount(subjects []rbacv1.Subject, account string) bool {
	return slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool {
		switch s.Kind {
		case rbacv1.ServiceAccountKind:
			return s.Namespace == installation.SystemNamespace && s.Name == account
		case rbacv1.GroupKind:
			return s.Name == "system:serviceaccounts:"+installation.SystemNamespace
		}
		return s.Name == "system:serviceaccount:"+installation.SystemNamespace+":"+account
	})
}

// lines are how the golden file has a grant.
func (g grant) lines() []string {
	where, rule := "everywhere", g.rule
	if g.namespace != "" {
		where = "in " + g.namespace
	}
	var lines []string
	slices.Sort(rule.Verbs)
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			line := fmt.Sprintf("%s: %s", where, strings.TrimPrefix(group+"/"+resource, "/"))
			if len(rule.ResourceNames) > 0 {
				line += " " + fmt.Sprint(rule.ResourceNames)
			}
			lines = append(lines, line+": "+strings.Join(rule.Verbs, ","))
		}
	}
	for _, path := range rule.NonResourceURLs {
		lines = append(lines, fmt.Sprintf("%s: %s: %s", where, path, strings.Join(rule.Verbs, ",")))
	}
	return lines
}

// TestTheTokenServerReadsNoSecretOutsideTheRegistryAndWritesNone asks the API server itself.
func TestTheTokenServerReadsNoSecretOutsideTheRegistryAndWritesNone(t *testing.T) {
	verbs := []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
	for _, namespace := range []string{"", "default", "kube-system", "shop", installation.SystemNamespace, installation.RegistryNamespace} {
		for _, verb := range verbs {
			reads := verb == "get" || verb == "list" || verb == "watch"
			want := namespace == installation.RegistryNamespace && reads
			if got := may(t, verb, "", "secrets", namespace); got != want {
				t.Errorf("the token server may %s Secrets in namespace %q: %t, want %t", verb, namespace, got, want)
			}
			if got := may(t, verb, "hallpass.dev", "oauth2clients", namespace); got != reads {
				t.Errorf("the token server may %s OAuth2Clients in namespace %q: %t, want %t", verb, namespace, got, reads)
			}
		}
	}
	for _, c := range [][3]string{
		{"create", "", "pods"},
		{"create", "", "serviceaccounts/token"},
		{"get", "", "configmaps"},
		{"impersonate", "", "users"},
		{"escalate", "rbac.authorization.k8s.io", "clusterroles"},
		{"update", "coordination.k8s.io", "leases"},
		{"patch", "hallpass.dev", "oauth2clients/status"},
	} {
		if may(t, c[0], c[1], c[2], installation.RegistryNamespace) {
			t.Errorf("the token server may %s %s", c[0], c[2])
		}
	}
}

func may(t *testing.T, verb, group, resource, namespace string) bool {
	t.Helper()
	resource, subresource, _ := strings.Cut(resource, "/")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   "system:serviceaccount:" + installation.SystemNamespace + ":" + installation.TokenServerAccount,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + installation.SystemNamespace, "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: subresource,
		},
	}}
	if err := cluster.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}
