// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package signingkeys

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// stored is a Secret of keys and the ring in it; both are empty, but for the name, where there is none.
type stored struct {
	secret *corev1.Secret
	ring   keyring.Ring
}

// read reads a Secret of keys. Where it wraps keyring.ErrUnreadable, the Secret is returned with the error.
func (r *Reconciler) read(ctx context.Context, name string) (stored, error) {
	s := stored{secret: &corev1.Secret{}}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: r.RegistryNamespace, Name: name}, s.secret)
	if apierrors.IsNotFound(err) {
		s.secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.RegistryNamespace, Name: name}}
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read the signing keys: %w", err)
	}
	s.ring, err = registration.DecodeKeys(s.secret.Data)
	return s, err
}

// write brings a Secret to a ring, with the resourceVersion that the ring was decided on: of two managers one gets a
// conflict, looks again and finds nothing to do.
func (r *Reconciler) write(ctx context.Context, s stored, ring keyring.Ring) error {
	data, err := registration.EncodeKeys(ring)
	if err != nil {
		return err
	}
	if maps.EqualFunc(s.secret.Data, data, bytes.Equal) {
		return nil
	}
	secret := s.secret.DeepCopy()
	secret.Data = data
	if secret.ResourceVersion != "" {
		err = r.Client.Update(ctx, secret)
	} else {
		secret.Labels, secret.Type = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}, registration.KeysSecretType
		err = r.Client.Create(ctx, secret)
	}
	if err != nil {
		return fmt.Errorf("write the signing keys to %s: %w", secret.Name, err)
	}
	return nil
}
