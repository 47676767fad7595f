// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	// annotationWritten is when a batch was written, to the millisecond: what the API server
	// notes is to the second.
	annotationWritten = "hallpass.dev/written-at"
	writtenFormat     = "2006-01-02T15:04:05.000Z07:00"
)

// RevocationStore writes TokenRevocations. It implements revocation.Store and
// revocation.SelectorStore.
type RevocationStore struct{ api api }

// RevocationStore returns the store of revocations in the registry.
func (d *Directory) RevocationStore() RevocationStore { return RevocationStore{d.api} }

// WriteRevocations keeps a batch for good: no error means that the API server has it. A name is
// used for one batch only, so one that is there already holds it.
func (s RevocationStore) WriteRevocations(ctx context.Context, name string, batch revocation.Batch) error {
	object := v1alpha1.NewTokenRevocation(s.api.namespace, name, v1alpha1.NewRevocationBatch(batch.Encode()))
	object.SetGenerations(batch.EncodeGenerations(), revocation.Version, revocation.OldestReader)
	object.Annotations = map[string]string{annotationWritten: time.Now().UTC().Format(writtenFormat)}
	return s.create(ctx, object)
}

// WriteSelector stores a selector under its name, which is used for it only. It has no label of
// batches: the manager deletes it by itself.
func (s RevocationStore) WriteSelector(ctx context.Context, selector revocation.Selector) error {
	return s.create(ctx, &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.api.namespace, Name: selector.Name(), Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
		},
		Spec: v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{
			ClientID: selector.ClientID, Namespace: selector.Namespace, IssuedBefore: new(metav1.NewTime(selector.IssuedBefore)),
		}},
	})
}

func (s RevocationStore) create(ctx context.Context, object *v1alpha1.TokenRevocation) error {
	err := s.api.hallpass.Post().Namespace(s.api.namespace).Resource(resourceRevocations).Body(object).Do(ctx).Error()
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("write revocations %s: %w", object.Name, err)
	}
	return nil
}
