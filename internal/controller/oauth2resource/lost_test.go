// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2resource

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// TestALostRecordIsNotTakenByAResourceThatWaits: that one is reconciled first after a start of the
// manager. It has the identifier once the resource that had it is deleted, or counts no clients any
// more.
func TestALostRecordIsNotTakenByAResourceThatWaits(t *testing.T) {
	for name, c := range map[string]struct {
		// change changes the resource that had the identifier.
		change  func(holder *v1alpha1.OAuth2Resource)
		deleted bool
		waits   bool
	}{
		"the holder stays":                    {func(*v1alpha1.OAuth2Resource) {}, false, true},
		"the holder is deleted":               {func(*v1alpha1.OAuth2Resource) {}, true, false},
		"something is in its way":             {func(holder *v1alpha1.OAuth2Resource) { holder.Status.Clients = nil }, false, false},
		"the holder is of another identifier": {func(holder *v1alpha1.OAuth2Resource) { holder.Spec.Identifier += "/v2" }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			const identifier = "https://orders.test"
			resourceNamed := func(name string) *v1alpha1.OAuth2Resource {
				return &v1alpha1.OAuth2Resource{
					ObjectMeta: metav1.ObjectMeta{Namespace: "orders", Name: name, UID: types.UID(name)}, Spec: v1alpha1.OAuth2ResourceSpec{Identifier: identifier},
				}
			}
			holder, waiting := resourceNamed("holder"), resourceNamed("waiting")
			holder.Status.Clients = new(int32(0))
			c.change(holder)
			scheme := runtime.NewScheme()
			for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
				if err := add(scheme); err != nil {
					t.Fatal(err)
				}
			}
			builder := fake.NewClientBuilder().WithScheme(scheme).WithIndex(&v1alpha1.OAuth2Resource{}, indexByIdentifier, indexedIdentifier).WithObjects(waiting)
			if !c.deleted {
				builder.WithObjects(holder)
			}
			cluster := builder.Build()
			issuer, err := oauth2.ParseIssuer("https://hallpass.test", false)
			if err != nil {
				t.Fatal(err)
			}
			r := &Reconciler{
				Client: cluster, Live: cluster, RegistryNamespace: registration.Namespace,
				Policy: &policy.Source{Client: cluster, Issuer: issuer, RegistryNamespace: registration.Namespace},
			}
			s := &state{resource: oauth2.Resource{Identifier: identifier, UID: "waiting"}}
			if err := r.findRecord(t.Context(), waiting, s); err != nil {
				t.Fatal(err)
			}
			conflict := s.ready != nil && s.ready.Reason == v1alpha1.ReasonIdentifierConflict
			if conflict != c.waits || c.waits != (s.again == time.Minute) {
				t.Errorf("%+v, again in %s", s.ready, s.again)
			}
			if woken := r.waiters.Deleted(client.ObjectKeyFromObject(holder)); c.waits != (len(woken) == 1) {
				t.Errorf("%v are woken once the resource is deleted that had the identifier", woken)
			}
			own := &state{resource: oauth2.Resource{Identifier: holder.Spec.Identifier, UID: "holder"}}
			if err := r.findRecord(t.Context(), holder, own); err != nil || own.ready != nil {
				t.Errorf("the holder: %v, %+v", err, own.ready)
			}
		})
	}
}
