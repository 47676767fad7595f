// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package trustedissuer

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// TestARecordOfANewerVersionIsNotDeleted after a rollback: while the keys cannot be fetched, and
// where the issuer may not be trusted.
func TestARecordOfANewerVersionIsNotDeleted(t *testing.T) {
	const east, own = "https://east.test", "https://hallpass.test"
	for name, c := range map[string]struct {
		issuer, uid, form string
		kept              bool
		reason            string
	}{
		"one that this version cannot read":              {east, "u", `"version":99`, true, v1alpha1.ReasonNewerVersion},
		"one that it reads, of a deleted issuer":         {east, "before", `"version":99,"minReader":1`, true, v1alpha1.ReasonNewerVersion},
		"one that it reads, of an issuer not to trust":   {own, "u", `"version":99,"minReader":1`, true, v1alpha1.ReasonNewerVersion},
		"one of this version, of a deleted issuer":       {east, "before", `"version":2,"minReader":2`, false, v1alpha1.ReasonKeysNotFetched},
		"one of this version, of an issuer not to trust": {own, "u", `"version":2,"minReader":2`, false, v1alpha1.ReasonOwnIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.OAuth2TrustedIssuer{
				ObjectMeta: metav1.ObjectMeta{Name: "east", UID: "u"},
				Spec: v1alpha1.OAuth2TrustedIssuerSpec{
					Issuer: c.issuer, Keys: v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysInConfigMap, ConfigMap: v1alpha1.IssuerConfigMap{Name: "absent", Key: "jwks"}},
				},
			}
			r, cluster := reconcilerWith(t, own, object, recordOf(t, c.issuer, c.uid, c.form))
			for range 2 {
				if _, err := r.Reconcile(t.Context(), object); err != nil {
					t.Fatal(err)
				}
			}
			err := cluster.Get(t.Context(), r.recordKey("east"), &corev1.Secret{})
			if client.IgnoreNotFound(err) != nil || (err == nil) != c.kept {
				t.Errorf("the record: %v", err)
			}
			if ready := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionReady); ready == nil || ready.Reason != c.reason {
				t.Errorf("%+v, want %s", ready, c.reason)
			}
		})
	}
}

// recordOf is the record of an issuer, as a version with that form wrote it.
func recordOf(t *testing.T, issuer, uid, form string) *corev1.Secret {
	t.Helper()
	data, err := registration.EncodeIssuer(oauth2.TrustedIssuer{Name: "east", UID: uid, Issuer: issuer})
	if err != nil {
		t.Fatal(err)
	}
	for key, document := range data {
		data[key] = bytes.Replace(document, []byte(`"version":2`), []byte(form), 1)
		if !bytes.Contains(data[key], []byte(form)) {
			t.Fatalf("the record is %s", document)
		}
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: registration.Namespace, Name: registration.IssuerSecretName("east")},
		Type:       registration.IssuerSecretType, Data: data,
	}
}

func reconcilerWith(t *testing.T, own string, objects ...client.Object) (*Reconciler, client.Client) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	cluster := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.OAuth2TrustedIssuer{}).
		WithIndex(&v1alpha1.OAuth2TrustedIssuer{}, indexByIssuer, func(o client.Object) []string { return []string{fmt.Sprint(o.GetUID())} }).
		WithIndex(&v1alpha1.OAuth2Client{}, policy.IndexByIssuer, func(client.Object) []string { return nil }).
		Build()
	issuer, err := oauth2.ParseIssuer(own, false)
	if err != nil {
		t.Fatal(err)
	}
	return &Reconciler{
		Client: cluster, Live: cluster, Policy: &policy.Source{Client: cluster}, SystemNamespace: "hallpass-system", RegistryNamespace: registration.Namespace,
		ClusterIssuer: func(context.Context) (string, error) { return "https://cluster.test", nil },
		Issuer:        issuer, Clock: clocktesting.NewFakePassiveClock(time.Now()), Recorder: events.NewFakeRecorder(10),
	}, cluster
}
