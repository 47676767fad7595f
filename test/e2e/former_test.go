// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// copyOf is a Secret with the metadata and the data of another one, under another name and without
// owners.
func copyOf(secret *corev1.Secret, namespace, name string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: secret.Labels, Annotations: secret.Annotations},
		Type:       secret.Type, Data: secret.Data,
	}
}

func TestACopyOfASecretIsLeftAloneWithOneEvent(t *testing.T) {
	c := apply(t, "copied", newClient("app"))
	kept := copyOf(credentials(t, c), "copied", "app-backup")
	must(t, cluster.Create(t.Context(), kept))
	ignored := func() int {
		return len(slices.DeleteFunc(eventReasons(t, c), func(reason string) bool { return reason != "CopyIgnored" }))
	}
	eventually(t, "an event reports the copy", func() bool { return ignored() == 1 })
	update(t, c, func() { c.Spec.Secret.Name = "renamed" })
	eventually(t, "the Secret has another name", func() bool {
		err := cluster.Get(t.Context(), client.ObjectKey{Namespace: "copied", Name: "app"}, &corev1.Secret{})
		return apierrors.IsNotFound(err)
	})
	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	get(t, &corev1.Secret{}, "copied", kept.Name)
	if n := ignored(); n != 1 {
		t.Errorf("%d events report the copy, want one", n)
	}
}

func TestASecretOfAnotherClientIsNotAdopted(t *testing.T) {
	production := credentials(t, apply(t, "production", newClient("app")))
	makeNamespace(t, "staging", nil)
	copied := copyOf(production, "staging", "app")
	must(t, cluster.Create(t.Context(), copied))
	c := newIn("staging", "app")
	must(t, cluster.Create(t.Context(), c))
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	if found := get(t, &corev1.Secret{}, "staging", "app"); found.ResourceVersion != copied.ResourceVersion {
		t.Error("the Secret that speaks of another client was written")
	}
	if status := request(t, "staging.app", string(production.Data["client_secret"])); status != http.StatusUnauthorized {
		t.Errorf("the secret of the other client gets %d", status)
	}
	must(t, cluster.Delete(t.Context(), copied))
	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
}

func TestASecretThatWasStrippedOfItsAnnotationIsFound(t *testing.T) {
	c := apply(t, "stripped", newClient("app"))
	before := credentials(t, c)
	strip := func(name string) {
		t.Helper()
		secret := get(t, &corev1.Secret{}, "stripped", name)
		edited(secret, func(s *corev1.Secret) { s.Annotations = nil })(t)
	}
	strip("app")
	eventually(t, "the annotation is there again", func() bool {
		return credentials(t, c).Annotations[v1alpha1.AnnotationClient] == c.Name
	})
	if after := credentials(t, c); string(after.Data["client_secret"]) != string(before.Data["client_secret"]) || after.UID != before.UID {
		t.Error("the Secret or its value was replaced")
	}
}

// TestASecretIsRenamedTwiceAtOnce, the second time before the manager can have seen what it wrote
// the first time, and keeps its value. A retained one has no owner reference, and is found by what
// the registration remembers.
func TestASecretIsRenamedTwiceAtOnce(t *testing.T) {
	for name, policy := range map[string]v1alpha1.DeletionPolicy{"deleted": v1alpha1.DeletionDelete, "retained": v1alpha1.DeletionRetain} {
		t.Run(name, func(t *testing.T) {
			c := newClient(name)
			c.Spec.Secret.DeletionPolicy, c.Spec.Rotation.Overlap = policy, "0s"
			apply(t, "renames", c)
			held := credentials(t, c)
			names := []string{name, name + "-b", name + "-c", name}
			for _, to := range names[1:] {
				update(t, c, func() { c.Spec.Secret.Name = to })
				eventually(t, "there is a Secret "+to, func() bool {
					return cluster.Get(t.Context(), client.ObjectKey{Namespace: "renames", Name: to}, &corev1.Secret{}) == nil
				})
			}
			eventually(t, "no former Secret is left", func() bool {
				return !slices.ContainsFunc(names[1:3], func(former string) bool {
					return !apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKey{Namespace: "renames", Name: former}, &corev1.Secret{}))
				})
			})
			if status, body := post(t, held, "token_url", url.Values{"grant_type": {"client_credentials"}}); status != http.StatusOK {
				t.Errorf("the secret from before the renames: %d %v", status, body)
			}
			if now := get(t, &corev1.Secret{}, "renames", name); string(now.Data["client_secret"]) != string(held.Data["client_secret"]) {
				t.Error("the renames replaced the secret")
			}
		})
	}
}
