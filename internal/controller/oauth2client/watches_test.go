// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

func TestRevocationsOfANamespaceThatAreCollapsedWakeItsClients(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	clients := fake.NewClientBuilder().WithScheme(scheme)
	for _, namespace := range []string{"shop", "other"} {
		clients = clients.WithObjects(&v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"}})
	}
	selector := revocation.Selector{Namespace: "shop", IssuedBefore: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	collapsed := &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hallpass-registry", Name: selector.Name()},
		Spec: v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{
			Namespace: selector.Namespace, IssuedBefore: new(metav1.NewTime(selector.IssuedBefore)),
		}},
	}
	w := wakes{client: clients.Build(), registryNamespace: "hallpass-registry", memory: &memory{}}
	var woken []string
	for _, request := range w.clientsOfCollapsed(t.Context(), collapsed) {
		woken = append(woken, request.String())
	}
	if diff := cmp.Diff([]string{"shop/app"}, woken); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
