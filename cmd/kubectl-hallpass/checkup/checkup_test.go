// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package checkup_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/checkup"
	"github.com/hallpass-dev/hallpass/internal/keyring"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func expect(t *testing.T, f checkup.Finding, state checkup.State, says string) {
	t.Helper()
	if f.State != state || !strings.Contains(f.Sentence, says) {
		t.Errorf("%s; want %s and %q", f.Text(), state, says)
	}
	if f.State == checkup.Problem && f.Do == "" {
		t.Errorf("a problem without what to do: %s", f.Text())
	}
}

func TestClock(t *testing.T) {
	expect(t, checkup.Clock(now, now.Add(20*time.Second)), checkup.OK, "agrees")
	expect(t, checkup.Clock(now, now.Add(-2*time.Minute)), checkup.Problem, "differ by 2m0s")
	expect(t, checkup.Clock(now, now.Add(2*time.Minute)), checkup.Problem, "differ by 2m0s")
}

func deployment(wanted, ready, updated int32, image string) *appsv1.Deployment {
	d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &wanted}, Status: appsv1.DeploymentStatus{ReadyReplicas: ready, UpdatedReplicas: updated}}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Image: image}}
	return d
}

func TestReplicas(t *testing.T) {
	expect(t, checkup.Replicas("manager", deployment(2, 2, 2, "ghcr.io/a/manager:v1.2.3")), checkup.OK, "2 of 2 replicas are ready, of version v1.2.3")
	expect(t, checkup.Replicas("manager", deployment(2, 2, 1, "manager:v1")), checkup.OK, "upgrade")
	expect(t, checkup.Replicas("manager", deployment(2, 1, 2, "manager:v1")), checkup.Problem, "1 of 2")
	expect(t, checkup.Replicas("manager", deployment(0, 0, 0, "manager:v1")), checkup.Problem, "0 of 0")
	expect(t, checkup.Replicas("manager", nil), checkup.Problem, "no Deployment")
}

func TestVersions(t *testing.T) {
	for image, want := range map[string]string{
		"ghcr.io:5000/a/manager:v1": "v1", "ghcr.io:5000/a/manager": "latest", "a/manager@sha256:abc": "sha256:abc", "a/manager:v1@sha256:abc": "sha256:abc",
	} {
		if got := checkup.Version(deployment(1, 1, 1, image)); got != want {
			t.Errorf("%s is of version %s, want %s", image, got, want)
		}
	}
	expect(t, checkup.Versions("v1", "v1", "v1"), checkup.OK, "v1")
	expect(t, checkup.Versions("v1", "v1", "v2"), checkup.Problem, "v1 and v2")
	expect(t, checkup.Versions("v1", "v2", "v2"), checkup.Problem, "runs v2.")
	expect(t, checkup.Versions("v1"), checkup.Unknown, "not known")
}

func TestKeys(t *testing.T) {
	ring, err := keyring.New(now)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, checkup.Keys(ring, now), checkup.OK, "A key of ES256 signs.")
	expect(t, checkup.Keys(ring, now.Add(-time.Hour)), checkup.Problem, "No key signs")
	expect(t, checkup.Keys(keyring.Ring{}, now), checkup.Problem, "No key signs")
}

func TestCertificate(t *testing.T) {
	certificate := func(from, until time.Duration) []byte {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(from), NotAfter: now.Add(until)}
		made, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made})
	}
	const day = 24 * time.Hour
	expect(t, checkup.Certificate(certificate(-day, 30*day), now), checkup.OK, "valid until 2026-12-29T12:00:00Z")
	expect(t, checkup.Certificate(certificate(-day, 2*day), now), checkup.Problem, "should have been renewed")
	expect(t, checkup.Certificate(certificate(-2*day, -day), now), checkup.Problem, "expired at")
	expect(t, checkup.Certificate(certificate(day, 2*day), now), checkup.Problem, "not valid yet")
	expect(t, checkup.Certificate(nil, now), checkup.Problem, "holds none")
	expect(t, checkup.Certificate([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), now), checkup.Problem, "cannot be read")
}

func TestIssuers(t *testing.T) {
	issuer := func(name string, conditions ...metav1.Condition) v1alpha1.OAuth2TrustedIssuer {
		return v1alpha1.OAuth2TrustedIssuer{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.OAuth2TrustedIssuerStatus{Conditions: conditions}}
	}
	fine := []v1alpha1.OAuth2TrustedIssuer{issuer("a", v1alpha1.IssuerTrusted()), issuer("b", v1alpha1.IssuerIsSuspended()), issuer("c")}
	expect(t, checkup.Issuers(nil), checkup.OK, "There are none")
	expect(t, checkup.Issuers(fine), checkup.OK, "issuers: 3")
	f := checkup.Issuers(append(fine, issuer("d", v1alpha1.IssuerConflict("a")), issuer("e", v1alpha1.OwnIssuer())))
	expect(t, f, checkup.Problem, "2 of 5 are not ready, and their JWTs are refused: d (IssuerConflict), e (OwnIssuer).")
	if f.Do != "kubectl hallpass describe issuer d" {
		t.Errorf("to do: %s", f.Do)
	}
}
