// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// After a rollback both processes meet a registration that a newer manager wrote: one that they
// cannot read, and then one that they can. The client keeps its client_id, the secret in its
// overlap, and all that is on record.
func TestARegistrationOfANewerVersionOutlivesARollback(t *testing.T) {
	must(t, hallpass.StopManager())
	hallpass.AllowClientID = true
	t.Cleanup(func() {
		must(t, hallpass.StopManager())
		hallpass.AllowClientID = false
		must(t, hallpass.StartManager(context.WithoutCancel(t.Context())))
	})
	must(t, hallpass.StartManager(context.WithoutCancel(t.Context())))
	holder := newClient("holder")
	holder.Spec.ClientID = "held-by-a-newer-version"
	apply(t, "versions", holder)
	replaced := credentials(t, holder)
	update(t, holder, func() { holder.Annotations = map[string]string{v1alpha1.AnnotationRotate: "1"} })
	eventually(t, "the secret is rotated", func() bool {
		return !bytes.Equal(credentials(t, holder).Data["client_secret"], replaced.Data["client_secret"])
	})
	current := credentials(t, holder)
	accepted := func(status int) bool {
		id := holder.Spec.ClientID
		return request(t, id, string(current.Data["client_secret"])) == status && request(t, id, string(replaced.Data["client_secret"])) == status
	}
	eventually(t, "both secrets are accepted", func() bool { return accepted(http.StatusOK) })
	// The status is written last: a manager that ends before has more to write than what is on
	// record.
	eventually(t, "the status shows both secrets", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(holder), holder))
		return len(holder.Status.Credentials) == 2
	})

	must(t, hallpass.StopManager())
	own := stored(t, holder)
	newer := own.DeepCopy()
	newer.Data["client.json"] = bytes.Replace(own.Data["client.json"], []byte(`"version":1`), []byte(`"version":7`), 1)
	must(t, cluster.Update(t.Context(), newer))
	rival := newClient("rival")
	rival.Namespace, rival.Spec.ClientID = "versions", holder.Spec.ClientID
	must(t, cluster.Create(t.Context(), rival))
	must(t, hallpass.StartManager(context.WithoutCancel(t.Context())))
	condition(t, rival, metav1.ConditionFalse, v1alpha1.ReasonClientIDConflict)
	condition(t, holder, metav1.ConditionFalse, v1alpha1.ReasonNewerVersion)
	if len(holder.Status.Credentials) != 2 {
		t.Errorf("the status has lost the secrets: %+v", holder.Status.Credentials)
	}
	eventually(t, "a registration that cannot be read is answered 503", func() bool { return accepted(http.StatusServiceUnavailable) })
	sameData(t, newer)

	newer.Data["client.json"] = bytes.Replace(own.Data["client.json"], []byte(`"version":1`), []byte(`"version":7,"minReader":1,"later":true`), 1)
	must(t, cluster.Update(t.Context(), newer))
	eventually(t, "a newer registration that can be read is honoured", func() bool { return accepted(http.StatusOK) })
	condition(t, holder, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	readable := stored(t, holder)
	update(t, holder, func() { holder.Spec.Scopes = []v1alpha1.Scope{"write"} })
	condition(t, holder, metav1.ConditionFalse, v1alpha1.ReasonNewerVersion)
	sameData(t, readable)
	if !accepted(http.StatusOK) {
		t.Error("what is on record is not in force")
	}

	restored := stored(t, holder)
	restored.Data = own.Data
	must(t, cluster.Update(t.Context(), restored))
	condition(t, holder, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	condition(t, rival, metav1.ConditionFalse, v1alpha1.ReasonClientIDConflict)
	eventually(t, "the manager writes its own version", func() bool { return bytes.Contains(stored(t, holder).Data["client.json"], []byte(`"write"`)) })
	if !accepted(http.StatusOK) {
		t.Error("a secret was lost")
	}
}

// stored is the registration of a client.
func stored(t *testing.T, c *v1alpha1.OAuth2Client) *corev1.Secret {
	t.Helper()
	var found corev1.Secret
	must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.SecretName(c.ClientID())}, &found))
	return &found
}

// sameData wants the data of a Secret to be as they were written.
func sameData(t *testing.T, written *corev1.Secret) {
	t.Helper()
	var found corev1.Secret
	must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(written), &found))
	if !maps.EqualFunc(written.Data, found.Data, bytes.Equal) {
		t.Errorf("the manager wrote over %s", written.Name)
	}
}
