// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// EventsOf selects the events of a client, and not those of one that had its name before.
func EventsOf(client *v1alpha1.OAuth2Client) metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: fields.Set{
		"involvedObject.kind": cluster.Clients().Name, "involvedObject.name": client.Name, "involvedObject.uid": string(client.UID),
	}.String()}
}

// SortEvents sorts events by their times, the oldest first.
func SortEvents(events []corev1.Event) {
	slices.SortStableFunc(events, func(a, b corev1.Event) int { return show.EventTime(&a).Compare(show.EventTime(&b)) })
}

// IssuerOf is the OAuth2TrustedIssuer that a client names; nil for a client of another method.
func IssuerOf(ctx context.Context, c *cluster.Client, client *v1alpha1.OAuth2Client) (*v1alpha1.OAuth2TrustedIssuer, error) {
	if show.Method(client) != v1alpha1.ByFederatedToken {
		return nil, nil //nolint:nilnil // no issuer is an answer
	}
	return cluster.Read[v1alpha1.OAuth2TrustedIssuer](ctx, c, cluster.Issuers(), client.Spec.Authentication.FederatedToken.IssuerName)
}

// TokensOf are the OAuth2Tokens of a client.
func TokensOf(ctx context.Context, c *cluster.Client, client string) ([]v1alpha1.OAuth2Token, error) {
	read, err := c.List(ctx, cluster.Tokens(), metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	all, err := cluster.All[v1alpha1.OAuth2Token](read.Items)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(t v1alpha1.OAuth2Token) bool { return t.Spec.ClientRef.Name != client }), nil
}
