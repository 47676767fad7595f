// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package action has what the commands and the console do in a cluster: they read credentials,
// rotate, revoke and grant by it. It prints nothing, and returns errors that explain what to do.
package action

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// Merge applies a merge patch to an object.
func Merge(
	ctx context.Context, c *cluster.Client, kind cluster.Kind, name string, patch change.Patch, options cluster.Options,
) (*unstructured.Unstructured, error) {
	document, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("render the patch: %w", err)
	}
	return c.Merge(ctx, kind, name, document, options)
}
