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
	revoked, forbidden := mergeIfAllowed(ctx, c, client.Name, change.RevokeTokens(now), options)
	if !apierrors.IsForbidden(forbidden) {
		return revoked, forbidden
	}
	revoked, err := CreateRevocation(ctx, c.In(registry), v1alpha1.RevocationSelector{ClientID: client.ClientID()}, now, options)
	if apierrors.IsForbidden(err) {
		return nil, fmt.Errorf("neither way is open to you. To change the client: %w. To create a TokenRevocation: %w", forbidden, err)
	}
	return revoked, err
}

// RevokeNamespace revokes the tokens of all clients of a namespace that were issued so far, in the
// way that the caller may go: by a TokenRevocation in the namespace registry, or else by the spec
// of each client. It returns what was written, also with an error.
func RevokeNamespace(
	ctx context.Context, c *cluster.Client, namespace, registry string, now time.Time, options cluster.Options,
) ([]*unstructured.Unstructured, error) {
	if _, err := c.Get(ctx, cluster.Namespaces(), namespace); apierrors.IsNotFound(err) {
		return nil, err
	}
	revoked, err := CreateRevocation(ctx, c.In(registry), v1alpha1.RevocationSelector{Namespace: namespace}, now, options)
	switch {
	case apierrors.IsForbidden(err):
		return revokeEach(ctx, c.In(namespace), now, options)
	case err != nil:
		return nil, err
	}
	return []*unstructured.Unstructured{revoked}, nil
}

// RevokePersons revokes the tokens that act for persons and were issued so far, by a
// TokenRevocation. Where it is one person, subject is the sub of its tokens; else issuerName is the
// issuer of all the persons.
func RevokePersons(
	ctx context.Context, c *cluster.Client, subject, issuerName, registry string, now time.Time, options cluster.Options,
) (*unstructured.Unstructured, error) {
	return CreateRevocation(ctx, c.In(registry), v1alpha1.RevocationSelector{Subject: subject, IssuerName: issuerName}, now, options)
}

// revokeEach revokes the tokens of each client of a namespace, as an editor of the namespace may.
func revokeEach(ctx context.Context, c *cluster.Client, now time.Time, options cluster.Options) ([]*unstructured.Unstructured, error) {
	clients, err := c.List(ctx, cluster.Clients(), metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var all []*unstructured.Unstructured
	for i := range clients.Items {
		revoked, err := mergeIfAllowed(ctx, c, clients.Items[i].GetName(), change.RevokeTokens(now), options)
		if err != nil {
			return all, fmt.Errorf("the tokens of %d of %d clients are revoked: %w", i, len(clients.Items), err)
		}
		all = append(all, revoked)
	}
	return all, nil
}

// mergeIfAllowed changes a client. A dry run without the API server asks it whether the caller may.
func mergeIfAllowed(ctx context.Context, c *cluster.Client, name string, patch change.Patch, options cluster.Options) (*unstructured.Unstructured, error) {
	if options.DryRun == cluster.ByClient {
		if err := allowed(ctx, c, Right{Verb: "patch", Kind: cluster.Clients(), Namespace: c.Namespace, Name: name}); err != nil {
			return nil, err
		}
	}
	return Merge(ctx, c, cluster.Clients(), name, patch, options)
}

// allowed returns the error of a request that the API server would forbid.
func allowed(ctx context.Context, c *cluster.Client, r Right) error {
	may, err := May(ctx, c, r)
	if err != nil || may {
		return err
	}
	return apierrors.NewForbidden(r.Kind.GVR.GroupResource(), r.Name, fmt.Errorf("you may not %s it in namespace %q", r.Verb, r.Namespace))
}

// CreateRevocation creates a TokenRevocation of what was issued so far, as an administrator of the
// cluster may.
func CreateRevocation(
	ctx context.Context, c *cluster.Client, selector v1alpha1.RevocationSelector, now time.Time, options cluster.Options,
) (*unstructured.Unstructured, error) {
	if options.DryRun == cluster.ByClient {
		if err := allowed(ctx, c, Right{Verb: "create", Kind: cluster.Revocations(), Namespace: c.Namespace}); err != nil {
			return nil, err
		}
	}
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
