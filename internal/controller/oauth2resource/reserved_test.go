// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2resource

import (
	"bytes"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// TestTheRecordOfAReservedIdentifierIsDeleted unless a newer version wrote it.
func TestTheRecordOfAReservedIdentifierIsDeleted(t *testing.T) {
	const identifier = "https://kubernetes.default.svc"
	for name, c := range map[string]struct {
		form  string
		newer bool
	}{
		"of this version":    {`"version":1`, false},
		"of a newer version": {`"version":99,"minReader":1`, true},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := registration.EncodeResource(oauth2.Resource{Identifier: identifier, UID: "u", Namespace: "shop", Name: "api", Scopes: []string{"read"}})
			if err != nil {
				t.Fatal(err)
			}
			for key, document := range data {
				data[key] = bytes.Replace(document, []byte(`"version":1`), []byte(c.form), 1)
			}
			stored := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: registration.Namespace, Name: registration.ResourceSecretName(identifier)},
				Type:       registration.ResourceSecretType, Data: data,
			}
			cluster := fake.NewClientBuilder().WithObjects(stored).Build()
			issuer, err := oauth2.ParseIssuer("https://hallpass.test", false)
			if err != nil {
				t.Fatal(err)
			}
			r := &Reconciler{Client: cluster, Policy: &policy.Source{Issuer: issuer}, ReservedIdentifiers: []string{identifier}}
			object := &v1alpha1.OAuth2Resource{Spec: v1alpha1.OAuth2ResourceSpec{Identifier: identifier}}
			if err := r.checkIdentifier(t.Context(), object, &state{stored: stored, held: true}); errors.Is(err, wire.ErrNewer) != c.newer {
				t.Errorf("%v", err)
			}
			err = cluster.Get(t.Context(), client.ObjectKeyFromObject(stored), &corev1.Secret{})
			if client.IgnoreNotFound(err) != nil || (err == nil) != c.newer {
				t.Errorf("the record: %v", err)
			}
		})
	}
}
