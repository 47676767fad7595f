// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/servingcert"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// A manager starts on a node whose clock is 31 days ahead, and reads all there is. It ends no
// secret, no token, no key, no certificate and no revocation, and makes what is asked for. When its
// clock is right again, all continues.
func TestAManagerWhoseClockIsAheadEndsNothing(t *testing.T) {
	c := apply(t, "clock", newClient("app"))
	replaced := credentials(t, c)
	rotateAs(t, c, "before")
	api := credentials(t, c)
	fixed := minted(t, newToken("clock", "fixed", "app", v1alpha1.TokenFixed))
	fresh := minted(t, newToken("clock", "fresh", "app", v1alpha1.TokenRefreshing))
	keys := kids(t)
	authority := bundle(t)

	startManager(t, 31*24*time.Hour)
	defer startManager(t, 0)
	revoked := map[string]bool{}
	for i := range 20 {
		object := revoke(t, fmt.Sprintf("clock-%d", i), nil, time.Now().Add(time.Hour).Truncate(time.Second))
		for _, id := range idsOf(t, object) {
			revoked[id] = true
		}
	}
	rotateAs(t, c, "meanwhile")
	made := credentials(t, apply(t, "clock", newClient("made-meanwhile")))
	fetch(t, made)
	eventually(t, "small batches of revocations are merged", func() bool {
		var all v1alpha1.TokenRevocationList
		must(t, cluster.List(t.Context(), &all, client.InNamespace(installation.RegistryNamespace)))
		for i := range all.Items {
			if strings.HasPrefix(all.Items[i].Name, "merged-") {
				return true
			}
		}
		return false
	})
	nothingEnded := func() {
		t.Helper()
		for what, secret := range map[string]*corev1.Secret{"in the first overlap": replaced, "in the second overlap": api, "made meanwhile": made} {
			if status := request(t, string(secret.Data["client_id"]), string(secret.Data["client_secret"])); status != http.StatusOK {
				t.Errorf("a secret %s: %d", what, status)
			}
		}
		for what, token := range map[string]string{"Fixed": fixed, "Refreshing": fresh} {
			if asked(t, api, token)["active"] != true {
				t.Errorf("the %s token is not active", what)
			}
		}
		after := kids(t)
		for kid, verifies := range keys {
			if verifies && !after[kid] {
				t.Errorf("key %s is gone", kid)
			}
		}
		if !strings.Contains(bundle(t), authority) {
			t.Error("the authority that callers trust is gone")
		}
		if certificate := servingCertificate(t); time.Now().Before(certificate.NotBefore) || time.Now().After(certificate.NotAfter) {
			t.Errorf("the serving certificate is valid from %s to %s", certificate.NotBefore, certificate.NotAfter)
		}
		var all v1alpha1.TokenRevocationList
		must(t, cluster.List(t.Context(), &all, client.InNamespace(installation.RegistryNamespace)))
		left := map[string]bool{}
		for i := range all.Items {
			for _, id := range idsOf(t, all.Items[i]) {
				left[id] = true
			}
		}
		for id := range revoked {
			if !left[id] {
				t.Errorf("the revocation of %s was deleted", id)
			}
		}
	}
	nothingEnded()

	startManager(t, 0)
	update(t, c, func() { c.Spec.Scopes = append(c.Spec.Scopes, "write") })
	eventually(t, "the manager goes on", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return c.Status.ObservedGeneration == c.Generation
	})
	if len(c.Status.Credentials) != 3 {
		t.Errorf("%d secrets are accepted, want 3", len(c.Status.Credentials))
	}
	nothingEnded()
}

// startManager stops the manager and starts one whose clock is ahead.
func startManager(t *testing.T, ahead time.Duration) {
	t.Helper()
	must(t, hallpass.StopManager())
	hallpass.Clock = nil
	if ahead != 0 {
		began := time.Now()
		hallpass.Clock = apiclock.NewBy(func() apiclock.Instant {
			return apiclock.Instant{Wall: time.Now().Round(0).Add(ahead), Run: time.Since(began)}
		})
	}
	must(t, hallpass.StartManager(context.WithoutCancel(t.Context())))
}

// rotateAs has a client get another secret.
func rotateAs(t *testing.T, c *v1alpha1.OAuth2Client, request string) {
	t.Helper()
	update(t, c, func() { c.Annotations = map[string]string{v1alpha1.AnnotationRotate: request} })
	eventually(t, "the secret is rotated", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return c.Status.Rotation.HandledRequest == request
	})
}

// kids are the keys in the ring, of which one signs.
func kids(t *testing.T) map[string]bool {
	t.Helper()
	ring, err := registration.DecodeKeys(get(t, &corev1.Secret{}, installation.RegistryNamespace, registration.KeysSecretName).Data)
	must(t, err)
	if _, err := ring.SigningKey(time.Now()); err != nil {
		t.Error(err)
	}
	found := map[string]bool{}
	for _, key := range ring.Keys() {
		found[key.ID()] = key.State(time.Now()) != keyring.Gone
	}
	return found
}

func bundle(t *testing.T) string {
	t.Helper()
	return get(t, &corev1.ConfigMap{}, installation.SystemNamespace, servingcert.BundleConfigMapName).Data["ca.crt"]
}

func servingCertificate(t *testing.T) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(get(t, &corev1.Secret{}, installation.SystemNamespace, servingcert.ServingSecretName).Data[corev1.TLSCertKey])
	certificate, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	return certificate
}

// idsOf are the tokens that a TokenRevocation revokes.
func idsOf(t *testing.T, object v1alpha1.TokenRevocation) (ids []string) {
	t.Helper()
	_, batch, err := revocation.Read(&object)
	must(t, err)
	for _, token := range batch.Tokens {
		ids = append(ids, token.ID.String())
	}
	return ids
}
