// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Patch writes the status of an object if wanted differs from current, which points into the object. It
// reports whether it did.
func Patch[S any](ctx context.Context, c client.Client, o client.Object, current *S, wanted S) (bool, error) {
	if equality.Semantic.DeepEqual(*current, wanted) {
		return false, nil
	}
	from := client.MergeFrom(o.DeepCopyObject().(client.Object)) //nolint:forcetypeassert,errcheck // the copy has the type of the object
	*current = wanted
	if err := c.Status().Patch(ctx, o, from); err != nil {
		kind, _ := c.GroupVersionKindFor(o)
		return false, fmt.Errorf("write status of %s %s: %w", kind.Kind, client.ObjectKeyFromObject(o), err)
	}
	return true, nil
}
