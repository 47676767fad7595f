// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// TestSigningKeysAreDecodedOnceAVersion: while the version is the same, the data is not read.
func TestSigningKeysAreDecodedOnceAVersion(t *testing.T) {
	rotated, err := keyring.Rotate(keyring.Ring{}, keyring.At(time.Now()), keyring.DefaultPolicy(oauth2.MaxTokenLifetime), keyring.Order{}, keyring.Generate)
	if err != nil {
		t.Fatal(err)
	}
	data, err := registration.EncodeKeys(rotated.Ring)
	if err != nil {
		t.Fatal(err)
	}
	read := func(keys *Keys, version string, data map[string][]byte) (keyring.Ring, error) {
		cluster := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme)
		if version != "" {
			cluster.WithObjects(&corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: registration.Namespace, Name: registration.KeysSecretName, UID: "u", ResourceVersion: version},
				Type:       registration.KeysSecretType, Data: data,
			})
		}
		return keys.Read(t.Context(), cluster.Build(), registration.Namespace)
	}
	var keys Keys
	if _, err := read(&keys, "", nil); !apierrors.IsNotFound(err) {
		t.Errorf("without keys: %v", err)
	}
	first, err := read(&keys, "7", data)
	if err != nil || first.Empty() {
		t.Fatalf("%v, or no keys", err)
	}
	if again, err := read(&keys, "7", nil); err != nil || again.Empty() {
		t.Errorf("the same version was decoded again: %v", err)
	}
	if _, err := read(&keys, "8", map[string][]byte{}); !errors.Is(err, keyring.ErrUnreadable) {
		t.Errorf("another version, which cannot be read: %v", err)
	}
}
