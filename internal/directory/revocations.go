// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

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
	object := v1alpha1.NewTokenRevocation(d.api.namespace, name, v1alpha1.NewRevocationBatch(batch.Encode()))
	object.Annotations = map[string]string{annotationWritten: time.Now().UTC().Format(writtenFormat)}
	err := d.api.hallpass.Post().Namespace(d.api.namespace).Resource(resourceRevocations).Body(object).Do(ctx).Error()
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("write revocations %s: %w", name, err)
	}
	return nil
}
