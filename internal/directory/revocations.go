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
	// annotationWritten is when a batch was written, to the millisecond: what the API server notes
	// is to the second.
	annotationWritten = "hallpass.dev/written-at"
	writtenFormat     = "2006-01-02T15:04:05.000Z07:00"
)

// WriteRevocations keeps a batch for good: no error means that the API server has it. A name is
// used for one batch only, so one that is there already holds it.
func (d *Directory) WriteRevocations(ctx context.Context, name string, batch revocation.Batch) error {
	object := &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   d.api.namespace,
			Name:        name,
			Labels:      map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelRevocationBatch: name},
			Annotations: map[string]string{annotationWritten: time.Now().UTC().Format(writtenFormat)},
		},
		Spec: v1alpha1.TokenRevocationSpec{Batch: v1alpha1.RevocationBatch{
			Tokens:     v1alpha1.RevocationEntries(revocation.Encode(batch.Tokens)),
			Assertions: v1alpha1.RevocationEntries(revocation.Encode(batch.Assertions)),
			ExpiresAt:  new(metav1.NewTime(batch.ExpiresAt())),
		}},
	}
	err := d.api.hallpass.Post().Namespace(d.api.namespace).Resource(resourceRevocations).Body(object).Do(ctx).Error()
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("write revocations %s: %w", name, err)
	}
	return nil
}
