// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// TestTwoManagersAtOnceLeaveOneCurrentSecret runs a second manager beside the first, without an
// election between them: the API server's AlreadyExists and Conflict are all that keeps them apart.
func TestTwoManagersAtOnceLeaveOneCurrentSecret(t *testing.T) {
	second := &installation.Running{ControlPlane: hallpass.ControlPlane, Issuer: hallpass.Issuer, Log: &installation.Log{}}
	must(t, second.StartManager(t.Context()))
	t.Cleanup(func() { must(t, second.StopManager()) })
	const clients = 10
	for i := range clients {
		c := apply(t, "two-managers", newClient(fmt.Sprintf("client-%d", i)))
		fetch(t, credentials(t, c))
		before := credentials(t, c)
		must(t, cluster.Delete(t.Context(), before))
		eventually(t, "the Secret is healed", func() bool {
			var healed corev1.Secret
			err := cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &healed)
			return err == nil && healed.UID != before.UID
		})
		fetch(t, credentials(t, c))
		eventually(t, "one secret is current", func() bool {
			stored := get(t, &corev1.Secret{}, installation.RegistryNamespace, registration.SecretName("two-managers."+c.Name))
			found, err := registration.Decode(stored.Data)
			must(t, err)
			current := 0
			for _, v := range found.Client.Credentials.Verifiers {
				if !v.Pending && v.ExpiresAt.IsZero() {
					current++
				}
			}
			if current > 1 {
				t.Fatalf("%d secrets are current", current)
			}
			return current == 1
		})
		fetch(t, credentials(t, c))
	}
}

func TestTheServingCertificateAndItsAuthorityAreMadeAgainOrHealed(t *testing.T) {
	authority := get(t, &corev1.Secret{}, installation.SystemNamespace, "hallpass-ca").Data[corev1.TLSCertKey]
	bundle := get(t, &corev1.ConfigMap{}, installation.SystemNamespace, "hallpass-ca")
	if bundle.Data["ca.crt"] != string(authority) {
		t.Error("the bundle is not the authority's certificate")
	}
	bundle.Data["ca.crt"] = "somebody else's"
	must(t, cluster.Update(t.Context(), bundle))
	healed := func() bool {
		var found corev1.ConfigMap
		err := cluster.Get(t.Context(), client.ObjectKeyFromObject(bundle), &found)
		return err == nil && found.Data["ca.crt"] == string(authority)
	}
	eventually(t, "an edited bundle is healed", healed)
	must(t, cluster.Delete(t.Context(), bundle))
	eventually(t, "a deleted bundle is published again", healed)
	serving := get(t, &corev1.Secret{}, installation.SystemNamespace, "hallpass-tokenserver-tls")
	must(t, cluster.Delete(t.Context(), serving))
	eventually(t, "a deleted serving certificate is made again", func() bool {
		var made corev1.Secret
		err := cluster.Get(t.Context(), client.ObjectKeyFromObject(serving), &made)
		return err == nil && made.UID != serving.UID && len(made.Data[corev1.TLSPrivateKeyKey]) > 0
	})
	if now := get(t, &corev1.Secret{}, installation.SystemNamespace, "hallpass-ca").Data[corev1.TLSCertKey]; string(now) != string(authority) {
		t.Error("the authority is another one: callers would have to be told")
	}
}

func TestADeletedClientLeavesNothing(t *testing.T) {
	c := apply(t, "leaving", newClient("caller"))
	must(t, cluster.Delete(t.Context(), c))
	for what, object := range map[string]client.Object{
		"its Secret":       &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "leaving", Name: "caller"}},
		"its registration": &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: registration.SecretName("leaving.caller")}},
	} {
		eventually(t, what+" is gone", func() bool {
			return apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKeyFromObject(object), object))
		})
	}
}
