// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// EditResource changes an OAuth2Resource by a JSON patch that holds for the version alone that it
// was made for. If another user has changed the resource since, it is made again. It reports
// whether there was anything to change.
func EditResource(
	ctx context.Context, c *cluster.Client, name string, options cluster.Options, operations func(*v1alpha1.OAuth2Resource) ([]change.Operation, error),
) (_ *unstructured.Unstructured, changed bool, _ error) {
	for before := ""; ; {
		object, err := c.Get(ctx, cluster.Resources(), name)
		if err != nil {
			return nil, false, err
		}
		document, err := resourcePatch(object, operations)
		if err != nil || document == nil {
			return object, false, err
		}
		edited, err := c.Edit(ctx, cluster.Resources(), name, document, options)
		switch {
		case err == nil:
			return edited, true, nil
		case !apierrors.IsInvalid(err) && !apierrors.IsConflict(err), object.GetResourceVersion() == before:
			// the patch itself is refused
			return nil, false, err
		}
		before = object.GetResourceVersion()
	}
}

// resourcePatch is the JSON patch of an edit; nil if there is nothing to do.
func resourcePatch(object *unstructured.Unstructured, operations func(*v1alpha1.OAuth2Resource) ([]change.Operation, error)) ([]byte, error) {
	r, err := cluster.As[v1alpha1.OAuth2Resource](object)
	if err != nil {
		return nil, err
	}
	edits, err := operations(r)
	if err != nil || len(edits) == 0 {
		return nil, err
	}
	guard := change.Operation{Op: "test", Path: "/metadata/resourceVersion", Value: object.GetResourceVersion()}
	document, err := json.Marshal(append([]change.Operation{guard}, edits...))
	if err != nil {
		return nil, fmt.Errorf("render the patch: %w", err)
	}
	return document, nil
}
