// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// posing is the user agent of a test that has the token of an account of Hallpass: what it asks for
// is no use of a right.
const posing = "test-with-the-token-of-an-account"

// olderEvents is what was asked of an API server of another kind than that of the installation that
// the tests share.
var olderEvents []controlplane.AuditEvent

// grant is a rule that an account has, in one namespace or, where that is empty, everywhere.
type grant struct {
	namespace string
	rule      rbacv1.PolicyRule
}

// grantsOf resolves every binding of an account.
func grantsOf(ctx context.Context, account string) ([]grant, error) {
	var roleBindings rbacv1.RoleBindingList
	var clusterBindings rbacv1.ClusterRoleBindingList
	if err := errors.Join(cluster.List(ctx, &roleBindings), cluster.List(ctx, &clusterBindings)); err != nil {
		return nil, err
	}
	var all []grant
	add := func(ref rbacv1.RoleRef, namespace string) error {
		rules, err := rulesOf(ctx, ref, namespace)
		for _, rule := range rules {
			all = append(all, grant{namespace, rule})
		}
		return err
	}
	for _, binding := range roleBindings.Items {
		if bindsAccount(binding.Subjects, account) {
			if err := add(binding.RoleRef, binding.Namespace); err != nil {
				return nil, err
			}
		}
	}
	for _, binding := range clusterBindings.Items {
		if bindsAccount(binding.Subjects, account) {
			if err := add(binding.RoleRef, ""); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func rulesOf(ctx context.Context, ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, error) {
	if ref.Kind == "ClusterRole" {
		var role rbacv1.ClusterRole
		err := cluster.Get(ctx, client.ObjectKey{Name: ref.Name}, &role)
		return role.Rules, err
	}
	var role rbacv1.Role
	err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, &role)
	return role.Rules, err
}

// everyTestRuns is whether the command line leaves no test out.
func everyTestRuns() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if f := flag.Lookup(name); f == nil || f.Value.String() != "" {
			return false
		}
	}
	return true
}

// waitForUses waits until the audit log, which is written a moment after the answers, has a use of
// every right of both accounts, and returns those that it lacks.
func waitForUses(ctx context.Context) error {
	var spare []string
	err := installation.Wait(ctx, "every right was used", func() (bool, error) {
		spare = nil
		for _, account := range []string{installation.ManagerAccount, installation.TokenServerAccount} {
			unused, err := spareRights(ctx, account)
			if err != nil {
				return false, err
			}
			spare = append(spare, unused...)
		}
		return len(spare) == 0, nil
	})
	if len(spare) > 0 {
		return fmt.Errorf("rights that nothing used in all of these tests: take them from the markers, or test what needs them:\n  %s", strings.Join(spare, "\n  "))
	}
	return err
}

// spareRights are those of an account that no request used which the API server admitted. A request
// uses every right that covers it, whichever the API server found first.
func spareRights(ctx context.Context, account string) ([]string, error) {
	grants, err := grantsOf(ctx, account)
	if err != nil {
		return nil, err
	}
	events, err := hallpass.ControlPlane.AuditEvents()
	if err != nil {
		return nil, err
	}
	events = append(events, olderEvents...)
	user := "system:serviceaccount:" + installation.SystemNamespace + ":" + account
	events = slices.DeleteFunc(events, func(e controlplane.AuditEvent) bool {
		return e.User.Name != user || e.UserAgent == posing || e.Response.Code == http.StatusForbidden
	})
	var spare []string
	for _, g := range grants {
		for _, right := range g.rights() {
			if !slices.ContainsFunc(events, right.covers) {
				spare = append(spare, fmt.Sprintf("%s never used its right to %s", account, right))
			}
		}
	}
	slices.Sort(spare)
	return spare, nil
}

// right is a grant of one verb on one thing.
type right struct {
	verb, path, group, resource, subresource, name, namespace string
}

func (g grant) rights() []right {
	var all []right
	for _, verb := range g.rule.Verbs {
		for _, path := range g.rule.NonResourceURLs {
			all = append(all, right{verb: verb, path: path})
		}
		for _, group := range g.rule.APIGroups {
			for _, resource := range g.rule.Resources {
				resource, subresource, _ := strings.Cut(resource, "/")
				r := right{verb: verb, group: group, resource: resource, subresource: subresource, namespace: g.namespace}
				if len(g.rule.ResourceNames) == 0 {
					all = append(all, r)
				}
				for _, r.name = range g.rule.ResourceNames {
					all = append(all, r)
				}
			}
		}
	}
	return all
}

func (r right) covers(e controlplane.AuditEvent) bool {
	if r.path != "" {
		return e.Verb == r.verb && e.Object.Resource == "" && strings.HasPrefix(e.URI, r.path)
	}
	o := e.Object
	return e.Verb == r.verb && o.Group == r.group && o.Resource == r.resource && o.Subresource == r.subresource &&
		(r.name == "" || o.Name == r.name) && (r.namespace == "" || o.Namespace == r.namespace)
}

func (r right) String() string {
	what := r.path
	if what == "" {
		what = strings.Trim(r.group+"/"+r.resource+"/"+r.subresource, "/")
	}
	if r.name != "" {
		what += " " + r.name
	}
	if r.namespace != "" {
		what += " in " + r.namespace
	}
	return r.verb + " " + what
}
