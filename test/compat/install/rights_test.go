// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

var rewrite = flag.Bool("update", false, "write the golden files of this package anew")

// verbs are those of every resource.
var verbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}

// special are the further verbs that the API server asks about, and what for; some of these
// resources are served nowhere.
var special = map[string][]string{
	"users": {"impersonate"}, "groups": {"impersonate"}, "serviceaccounts": {"impersonate"}, "uids.authentication.k8s.io": {"impersonate"},
	"roles.rbac.authorization.k8s.io": {"bind", "escalate"}, "clusterroles.rbac.authorization.k8s.io": {"bind", "escalate"},
	"signers.certificates.k8s.io": {"approve", "attest", "sign"}, "priorityclasses.scheduling.k8s.io": {"use"},
}

// named are the names that rules of Hallpass single out, and one that none does, for the resources
// that they are names of.
var named = map[string][]string{
	"configmaps": {"", "hallpass-ca", "any"}, "leases.coordination.k8s.io": {"", "hallpass-manager", "any"}, "secrets": {"", "signing-keys", "any"},
}

// resource is what the API server serves, by resource[/subresource].group.
type resource struct {
	name       string
	namespaced bool
}

// TestTheAPIServerGivesTheAccountsTheseRightsAndNoOthers asks it for every verb on every resource
// that it serves, in every kind of namespace, and with a name where that makes a difference. What
// it gives to everybody is left out.
func TestTheAPIServerGivesTheAccountsTheseRightsAndNoOthers(t *testing.T) {
	for profile, dir := range map[string]string{"cluster-wide": ofKustomize, "namespaced": ofNamespaced} {
		t.Run(profile, func(t *testing.T) {
			c := share(t, dir)
			for _, namespace := range []string{"shop", "orders"} {
				c.restrict(t, namespace)
			}
			must(t, installation.Apply(t.Context(), c.ControlPlane, root, dir))
			eventually(t, func() bool {
				return len(allowed(t, c, installation.TokenServerAccount, []resource{{"oauth2clients.hallpass.dev", true}})) > 0
			},
				func() string { return "the roles are in force" })
			resources := served(t, c)
			if len(resources) < 60 {
				t.Fatalf("only %d resources: %v", len(resources), resources)
			}
			everybody := allowed(t, c, "a-stranger", resources)
			var got strings.Builder
			for _, account := range []string{installation.ManagerAccount, installation.TokenServerAccount} {
				fmt.Fprintln(&got, account)
				for _, right := range allowed(t, c, account, resources) {
					if !slices.Contains(everybody, right) {
						fmt.Fprintln(&got, "  "+right)
					}
				}
			}
			compareGolden(t, "rights-"+profile+".golden", got.String())
		})
	}
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	golden := filepath.Join("testdata", name)
	if *rewrite {
		must(t, os.WriteFile(golden, []byte(got), 0o600))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := gocmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got); go test ./test/compat/install -run APIServer -update writes it anew:\n%s", diff)
	}
}

// served are all resources and subresources, and those of the special verbs.
func served(t *testing.T, c *cluster) []resource {
	t.Helper()
	_, lists, err := c.admin.Discovery().ServerGroupsAndResources()
	must(t, err)
	found := map[resource]bool{}
	for name := range special {
		found[resource{name, name == "serviceaccounts" || strings.HasPrefix(name, "roles.")}] = true
	}
	for _, list := range lists {
		group := ""
		if before, _, versioned := strings.Cut(list.GroupVersion, "/"); versioned {
			group = "." + before
		}
		for _, r := range list.APIResources {
			found[resource{r.Name + group, r.Namespaced}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b resource) int { return strings.Compare(a.name, b.name) })
}

// allowed asks for each right in each place. The answers are sorted: a place, a resource, a name if
// it is for that one only, and the verbs.
func allowed(t *testing.T, c *cluster, account string, resources []resource) []string {
	t.Helper()
	answers := make([][]string, len(resources))
	var group errgroup.Group
	group.SetLimit(16)
	for i, r := range resources {
		group.Go(func() (err error) {
			answers[i], err = allowedOn(t, c.admin, account, r)
			return err
		})
	}
	must(t, group.Wait())
	all := slices.Concat(answers...)
	slices.Sort(all)
	return all
}

// allowedOn asks about one resource. What holds in all of the cluster, or for every name, is asked
// and reported once.
func allowedOn(t *testing.T, admin kubernetes.Interface, account string, r resource) ([]string, error) {
	t.Helper()
	places := []string{""}
	if r.namespaced {
		places = append(places, system, installation.RegistryNamespace, "shop", "default")
	}
	names := []string{""}
	if of, some := named[r.name]; some {
		names = of
	}
	var said []string
	everywhere := map[string]bool{}
	for _, place := range places {
		anyName := map[string]bool{}
		for _, name := range names {
			var granted []string
			for _, verb := range slices.Concat(verbs, special[r.name]) {
				if everywhere[verb] || anyName[verb] {
					continue
				}
				yes, err := may(t, admin, account, verb, r.name, place, name)
				if err != nil {
					return nil, err
				}
				if !yes {
					continue
				}
				granted = append(granted, verb)
				anyName[verb] = anyName[verb] || name == ""
				everywhere[verb] = everywhere[verb] || name == "" && place == ""
			}
			if len(granted) > 0 {
				said = append(said, strings.TrimSpace(cmp.Or(place, "everywhere")+": "+r.name+" "+name)+": "+strings.Join(granted, ","))
			}
		}
	}
	return said, nil
}

func may(t *testing.T, admin kubernetes.Interface, account, verb, resource, namespace, name string) (bool, error) {
	t.Helper()
	resource, group, _ := strings.Cut(resource, ".")
	resource, subresource, _ := strings.Cut(resource, "/")
	review, err := admin.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User:   "system:serviceaccount:" + system + ":" + account,
			Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + system, "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: subresource, Name: name,
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask for a right: %w", err)
	}
	return review.Status.Allowed, nil
}
