// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// TestTheOwnerOfAnAPIDecidesAboutFixedTokens of another namespace, and one that exists keeps its
// end.
func TestTheOwnerOfAnAPIDecidesAboutFixedTokens(t *testing.T) {
	t.Parallel()
	r := newResource("api")
	r.Spec.Scopes = scopesNamed("read")
	r.Spec.Grants = []v1alpha1.ResourceGrant{{From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{"fixed-callers"}}, Scopes: []v1alpha1.Scope{"read"}}}
	createIn(t, "fixed-owner", r)
	eventually(t, "the resource is declared", func() bool { return isReady(t, r, func() []metav1.Condition { return r.Status.Conditions }) })
	c := newClient("printer")
	c.Spec.Access = []v1alpha1.Access{accessTo("fixed-owner", "api", "read")}
	apply(t, "fixed-callers", c)
	identifier := r.Status.Identifier

	first := newToken("fixed-callers", "first", "printer", v1alpha1.TokenFixed)
	first.Spec.Resource = identifier
	must(t, cluster.Create(t.Context(), first))
	tokenIs(t, first, v1alpha1.ReasonNotAllowedByResource)

	consent := func(longest v1alpha1.Duration) {
		eventually(t, "the owner has decided", func() bool {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(r), r))
			r.Spec.MaxFixedTokenLifetime = longest
			return cluster.Update(t.Context(), r) == nil
		})
	}
	consent("720h")
	tokenIs(t, first, v1alpha1.ReasonIssued)
	value, end := tokenIn(t, first), first.Status.ExpiresAt
	long := newToken("fixed-callers", "long", "printer", v1alpha1.TokenFixed)
	long.Spec.Resource, long.Spec.ExpirationTime = identifier, new(metav1.NewTime(time.Now().Add(31*24*time.Hour)))
	must(t, cluster.Create(t.Context(), long))
	tokenIs(t, long, v1alpha1.ReasonNotAllowedByResource)

	consent("")
	eventually(t, "the token that exists is kept", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(first), first))
		limits := meta.FindStatusCondition(first.Status.Conditions, v1alpha1.ConditionWithinLimits)
		return limits != nil && limits.Reason == v1alpha1.ReasonNotAllowedByResource
	})
	if !meta.IsStatusConditionTrue(first.Status.Conditions, v1alpha1.ConditionReady) || tokenIn(t, first) != value || !first.Status.ExpiresAt.Equal(&end) {
		t.Errorf("the token did not keep its end: %v", first.Status)
	}
	api := credentials(t, apply(t, "fixed-owner", newClient("server")))
	if body := asked(t, api, value); body["active"] != true {
		t.Errorf("the token that exists is answered %v", body)
	}

	// Where its Secret is lost no other one takes its place.
	must(t, cluster.Delete(t.Context(), get(t, &corev1.Secret{}, "fixed-callers", "first")))
	tokenIs(t, first, v1alpha1.ReasonNotAllowedByResource)
}
