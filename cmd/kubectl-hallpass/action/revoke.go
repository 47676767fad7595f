// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// RevokeClient revokes the tokens of a client that were issued so far, in the way that the caller
// may go: by the spec of the client, or else by a TokenRevocation in the namespace registry. Where
// neither is allowed, the error names both.
func RevokeClient(
	ctx context.Context, c *cluster.Client, client *v1alpha1.OAuth2Client, registry string, now time.Time, options cluster.Options,
) (*unstructured.Unstructured, error) {
	revoked, forbidden := Merge(ctx, c, cluster.Clients(), client.Name, change.RevokeTokens(now), options)
	if !apierrors.IsForbidden(forbidden) {
		return revoked, forbidden
	}
	revoked, err := CreateRevocation(ctx, c.In(registry), v1alpha1.RevocationSelector{ClientID: client.ClientID()}, now, options)
	if apierrors.IsForbidden(err) {
		return nil, fmt.Errorf("neither way is open to you. To change the client: %w. To create a TokenRevocation: %w", forbidden, err)
	}
	return revoked, err
}

// CreateRevocation creates a TokenRevocation of what was issued so far, as an administrator of the
// cluster may.
func CreateRevocation(
	ctx context.Context, c *cluster.Client, selector v1alpha1.RevocationSelector, now time.Time, options cluster.Options,
) (*unstructured.Unstructured, error) {
	selector.IssuedBefore = new(metav1.NewTime(change.RevocationTime(now)))
	object, err := cluster.Unstructured(cluster.Revocations(), &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, GenerateName: "kubectl-hallpass-"},
		Spec:       v1alpha1.TokenRevocationSpec{Selector: selector},
	})
	if err != nil {
		return nil, err
	}
	return c.Create(ctx, cluster.Revocations(), object, options)
}
