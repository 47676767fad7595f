// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// TestACopyFromElsewhereIsNotAdoptedByANewClient: the cache lacks the copy, so that the
// registration is written although the Secret cannot be created. It remembers the name then.
func TestACopyFromElsewhereIsNotAdoptedByANewClient(t *testing.T) {
	for _, policy := range []v1alpha1.DeletionPolicy{v1alpha1.DeletionDelete, v1alpha1.DeletionRetain} {
		t.Run(string(policy), func(t *testing.T) {
			w := newWorld(t)
			w.must(w.server.Create(t.Context(), &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "other", Annotations: map[string]string{v1alpha1.AnnotationClient: "app"}},
				Type:       v1alpha1.SecretTypeClient,
				Data:       map[string][]byte{keyClientID: []byte("elsewhere.app"), keyClientSecret: []byte("theirs")},
			}))
			c := clientOfWorld("app")
			c.Spec.Secret.Name, c.Spec.Secret.DeletionPolicy = "other", policy
			w.create(c)
			before := w.secret("other").ResourceVersion
			w.sync("OAuth2Client ")
			_, _ = w.reconcile("app")
			w.tries("app", time.Minute, time.Second)
			if ready := w.condition("app", v1alpha1.ConditionReady); ready.Reason != v1alpha1.ReasonSecretConflict {
				t.Errorf("Ready is %+v", ready)
			}
			if w.secret("other").ResourceVersion != before {
				t.Errorf("the copy was written: %q", w.writes)
			}
			w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = "third" })
			w.rest("app")
			if left := w.secret("other"); left == nil || left.ResourceVersion != before || !w.accepts("shop.app", w.value("third")) {
				t.Errorf("with another name: %q", w.writes)
			}
		})
	}
}
