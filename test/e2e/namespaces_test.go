// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// TestANamespaceFullOfClientsIsDeletedWithoutWaitingForUs deletes it while no manager runs: there
// is nothing to wait for. HALLPASS_CLIENTS sets how many there are.
func TestANamespaceFullOfClientsIsDeletedWithoutWaitingForUs(t *testing.T) {
	clients := 50
	if given, err := strconv.Atoi(os.Getenv("HALLPASS_CLIENTS")); err == nil {
		clients = given
	}
	for i := range clients {
		apply(t, "crowded", newClient(fmt.Sprintf("client-%d", i)))
	}
	must(t, hallpass.StopManager())
	must(t, cluster.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "crowded"}}))
	eventually(t, "the namespace is gone", func() bool {
		return apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKey{Name: "crowded"}, &corev1.Namespace{}))
	})
	must(t, hallpass.StartManager(t.Context()))
	eventually(t, "its registrations are swept", func() bool {
		key := client.ObjectKey{Namespace: installation.RegistryNamespace}
		for i := range clients {
			key.Name = registration.SecretName(fmt.Sprintf("crowded.client-%d", i))
			if !apierrors.IsNotFound(cluster.Get(t.Context(), key, &corev1.Secret{})) {
				return false
			}
		}
		return true
	})
}

// TestALostRegistryNamespaceComesBack loses every registration and the signing keys at once. What
// apps hold works again once the namespace is there, and tokens that are out stay good: replicas
// and manager keep the keys.
func TestALostRegistryNamespaceComesBack(t *testing.T) {
	c := apply(t, "registry-loss", newClient("caller"))
	secret := credentials(t, c)
	token := fetch(t, secret)
	must(t, cluster.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: installation.RegistryNamespace}}))
	eventually(t, "the registry namespace is gone", func() bool {
		return apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKey{Name: installation.RegistryNamespace}, &corev1.Namespace{}))
	})
	must(t, installation.Install(t.Context(), hallpass.ControlPlane, root()))
	eventually(t, "the secret that the app holds works again", func() bool {
		return request(t, string(secret.Data["client_id"]), string(secret.Data["client_secret"])) == 200
	})
	if status, body := post(t, secret, "introspection_url", map[string][]string{"token": {token}}); body["active"] != true {
		t.Errorf("a token from before the loss: %d %v, want active", status, body)
	}
}
