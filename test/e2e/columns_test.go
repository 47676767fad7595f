// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// TestAWideListHasWholeColumns reads what kubectl get shows: the API server prints the first value
// only of a path that has several.
func TestAWideListHasWholeColumns(t *testing.T) {
	t.Parallel()
	c := newClient("reader")
	c.Spec.DisplayName = "Order reader"
	c.Spec.Authentication = v1alpha1.AuthenticationSpec{Method: v1alpha1.ByServiceAccount, ServiceAccount: v1alpha1.ServiceAccountSpec{Name: "reader"}}
	c.Spec.Secret.Name = "reader-config"
	c.Spec.Scopes = []v1alpha1.Scope{"own.a", "own.b"}
	for _, name := range []string{"orders", "bills"} {
		c.Spec.Access = append(c.Spec.Access, v1alpha1.Access{ResourceNamespace: "columns", ResourceName: name, Scopes: []v1alpha1.Scope{"read", "write"}})
	}
	for _, name := range []string{"orders", "bills"} {
		r := newResource(name)
		r.Spec.DisplayName, r.Spec.Scopes = "All "+name, scopesNamed("read", "write")
		r.Spec.Grants = []v1alpha1.ResourceGrant{{From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{"columns"}}, Scopes: []v1alpha1.Scope{"read"}}}
		createIn(t, "columns", r)
	}
	createIn(t, "columns", &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "reader"}})
	createIn(t, "columns", c)
	eventually(t, "the client has its grants", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) && len(c.Status.Resources) == 2
	})
	row := wide(t, "columns", "hpc", "reader")
	for column, want := range map[string]string{
		"CLIENT ID": "columns.reader", "READY": "True", "REASON": "Registered", "GRANTS": "NotGranted", "DISPLAY NAME": "Order reader", "SECRET": "reader-config",
		"RESOURCE": `["columns/orders","columns/bills"]`, "SCOPES": `["own.a","own.b"]`,
	} {
		if got := row[column]; got != want {
			t.Errorf("the client's %s is %q, want %q", column, got, want)
		}
	}
	eventually(t, "the resource has counted", func() bool { return wide(t, "columns", "hpr", "orders")["SCOPES"] != "" })
	for column, want := range map[string]string{"DISPLAY NAME": "All orders", "SCOPES": `["read","write"]`} {
		if got := wide(t, "columns", "hpr", "orders")[column]; got != want {
			t.Errorf("the resource's %s is %q, want %q", column, got, want)
		}
	}
}

// wide is a row of kubectl get --output wide, by column.
func wide(t *testing.T, namespace, kind, name string) map[string]string {
	t.Helper()
	lines := strings.SplitN(string(kubectl(t, "get", kind, name, "--namespace", namespace, "--output", "wide")), "\n", 3)
	row := map[string]string{}
	for rest, at := lines[0], 0; rest != ""; {
		title, _, _ := strings.Cut(rest, "   ")
		width := len(title) + len(rest[len(title):]) - len(strings.TrimLeft(rest[len(title):], " "))
		end := at + width
		if rest = rest[width:]; rest == "" { // the last column
			end = len(lines[1])
		}
		row[title] = strings.TrimSpace(lines[1][min(at, len(lines[1])):min(end, len(lines[1]))])
		at = end
	}
	return row
}
