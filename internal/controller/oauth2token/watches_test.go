// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// TestAResourceWakesTheTokensOfTheClientsThatAskForIt and no others.
func TestAResourceWakesTheTokensOfTheClientsThatAskForIt(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	asking := &v1alpha1.OAuth2Client{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "asking"},
		Spec:       v1alpha1.OAuth2ClientSpec{Access: []v1alpha1.Access{{ResourceNamespace: "orders", ResourceName: "api"}}},
	}
	other := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "other"}}
	token := func(name, of string) *v1alpha1.OAuth2Token {
		return &v1alpha1.OAuth2Token{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name},
			Spec:       v1alpha1.OAuth2TokenSpec{ClientRef: v1alpha1.LocalClientReference{Name: of}},
		}
	}
	cluster := fake.NewClientBuilder().WithScheme(scheme).
		WithObjects(asking, other, token("a", "asking"), token("b", "asking"), token("c", "other")).
		WithIndex(&v1alpha1.OAuth2Client{}, policy.IndexByAccess, policy.AccessOf).
		WithIndex(&v1alpha1.OAuth2Token{}, indexByClient, indexedClient).Build()
	w := watches{&Config{Client: cluster, Informers: names{cluster}, RegistryNamespace: registration.Namespace}, &attempt.Backoff{}, &revocations{}}
	got := w.tokensOfRecord(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: registration.Namespace, Annotations: map[string]string{
			v1alpha1.AnnotationResourceNamespace: "orders", v1alpha1.AnnotationResource: "api",
		}},
		Type: registration.ResourceSecretType,
	})
	want := []reconcile.Request{
		{NamespacedName: types.NamespacedName{Namespace: "team", Name: "a"}}, {NamespacedName: types.NamespacedName{Namespace: "team", Name: "b"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got):\n", diff)
	}
}

// names finds names in a cluster with the indexes of the cache.
type names struct{ client.Client }

func (n names) Names(client.Object) []types.NamespacedName { return nil }

func (n names) Indexed(like client.Object, field, namespace, value string) (found []types.NamespacedName, err error) {
	var list client.ObjectList = &v1alpha1.OAuth2TokenList{}
	if _, ok := like.(*v1alpha1.OAuth2Client); ok {
		list = &v1alpha1.OAuth2ClientList{}
	}
	if err := n.List(context.Background(), list, client.InNamespace(namespace), client.MatchingFields{field: value}); err != nil {
		return nil, err
	}
	err = meta.EachListItem(list, func(item runtime.Object) error {
		if o, ok := item.(client.Object); ok {
			found = append(found, client.ObjectKeyFromObject(o))
		}
		return nil
	})
	return found, err
}
