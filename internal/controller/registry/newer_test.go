// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

func TestRecordsOfANewerVersionAreCountedAndStay(t *testing.T) {
	data, err := registration.EncodeResource(oauth2.Resource{Identifier: "https://api.test", UID: "u", Namespace: "shop", Name: "app", Scopes: []string{"read"}})
	own := record(t, "resource", registration.ResourceSecretType, data, err)
	newer := func(head string) *corev1.Secret {
		changed := own.DeepCopy()
		changed.Data["resource.json"] = bytes.Replace(changed.Data["resource.json"], []byte(`"version":1`), []byte(head), 1)
		return changed
	}
	keys := record(t, registration.KeysSecretName, registration.KeysSecretType, map[string][]byte{"ring.json": nil, "form.json": []byte(`{"version":99}`)}, nil)
	for name, c := range map[string]struct {
		stored *corev1.Secret
		count  int
	}{
		"a record of this version":                            {own, 0},
		"one that this version reads, of a terminating owner": {newer(`"version":99,"minReader":1`), 1},
		"one that this version cannot read":                   {newer(`"version":99`), 1},
		"the signing keys":                                    {keys, 1},
		"a damaged record, which is none of a newer version":  {newer(`version`), 0},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
				if err := add(scheme); err != nil {
					t.Fatal(err)
				}
			}
			owner := &v1alpha1.OAuth2Resource{ObjectMeta: ownerMeta("u", true)}
			cluster := fake.NewClientBuilder().WithScheme(scheme).WithObjects(c.stored.DeepCopy(), owner).Build()
			r := &Reconciler{Client: cluster, Live: cluster, Policy: &policy.Source{}, RegistryNamespace: registryNamespace}
			var stored corev1.Secret
			for range 2 {
				if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(c.stored), &stored); err != nil {
					t.Fatal(err)
				}
				if _, err := r.Reconcile(t.Context(), &stored); err != nil {
					t.Fatal(err)
				}
			}
			var after corev1.Secret
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(c.stored), &after); err != nil {
				t.Fatal(err)
			}
			if written := after.ResourceVersion != stored.ResourceVersion; written || r.Newer() != c.count {
				t.Errorf("written: %t; %d of a newer version", written, r.Newer())
			}
			r.newer.forget(t.Context(), event.DeleteEvent{Object: &stored}, nil)
			if r.Newer() != 0 {
				t.Error("a deleted record is counted")
			}
		})
	}
}
