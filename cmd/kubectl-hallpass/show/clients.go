// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Clients is the table of OAuth2Clients.
func Clients(clients []v1alpha1.OAuth2Client, now time.Time) *metav1.Table {
	type client = v1alpha1.OAuth2Client
	return table([]column[client]{
		{"Name", false, func(c *client, _ time.Time) string { return c.Name }},
		{"Client ID", false, func(c *client, _ time.Time) string { return c.ClientID() }},
		{"Health", false, func(c *client, _ time.Time) string { return ClientHealth(c) }},
		{"Grants", false, func(c *client, _ time.Time) string { return grants(c) }},
		{"Last Used", false, func(c *client, now time.Time) string { return ago(c.Status.LastUsedAt, now) }},
		{"Age", false, func(c *client, now time.Time) string { return ago(c.CreationTimestamp, now) }},
		{"Display Name", true, func(c *client, _ time.Time) string { return orDash(c.Spec.DisplayName) }},
		{"Method", true, func(c *client, _ time.Time) string { return string(Method(c)) }},
		{"Secret", true, func(c *client, _ time.Time) string { return orDash(c.Status.Secret.Name) }},
		{"Next Rotation", true, func(c *client, now time.Time) string { return until(c.Status.Rotation.NextAt, now) }},
		{"May Call", true, func(c *client, _ time.Time) string { return joined(c.Status.Resources) }},
	}, clients, now)
}

// ClientHealth is one word on a client: Ready, or why it is not.
func ClientHealth(c *v1alpha1.OAuth2Client) string {
	return health(c.DeletionTimestamp != nil, c.Generation, c.Status.ObservedGeneration, c.Status.Conditions)
}

// Method is how a client authenticates.
func Method(c *v1alpha1.OAuth2Client) v1alpha1.AuthenticationMethod {
	if c.Spec.Authentication.Method == "" {
		return v1alpha1.ByClientSecret
	}
	return c.Spec.Authentication.Method
}

// Granted are the numbers of scopes that a client is granted, and of those that it asks for.
func Granted(c *v1alpha1.OAuth2Client) (granted, asked int) {
	for _, g := range c.Status.Grants {
		for _, s := range g.Scopes {
			asked++
			if s.Decision == string(oauth2.Granted) {
				granted++
			}
		}
	}
	return granted, asked
}

// grants are the granted scopes among those that are asked for: 2/3.
func grants(c *v1alpha1.OAuth2Client) string {
	granted, asked := Granted(c)
	if asked == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", granted, asked)
}

// UnusedClients are the clients that were created before an instant and not used since, those that
// were unused for longest first.
func UnusedClients(clients []v1alpha1.OAuth2Client, since time.Time) []v1alpha1.OAuth2Client {
	return unused(clients, since, func(c v1alpha1.OAuth2Client) (created, used metav1.Time) {
		return c.CreationTimestamp, c.Status.LastUsedAt
	})
}

// UnusedTokens is UnusedClients for OAuth2Tokens.
func UnusedTokens(tokens []v1alpha1.OAuth2Token, since time.Time) []v1alpha1.OAuth2Token {
	return unused(tokens, since, func(t v1alpha1.OAuth2Token) (created, used metav1.Time) {
		return t.CreationTimestamp, t.Status.LastUsedAt
	})
}

func unused[T any](all []T, since time.Time, times func(T) (created, used metav1.Time)) []T {
	last := func(o T) time.Time {
		created, used := times(o)
		if used.IsZero() {
			return created.Time
		}
		return used.Time
	}
	kept := slices.DeleteFunc(slices.Clone(all), func(o T) bool {
		created, _ := times(o)
		return !created.Time.Before(since) || !last(o).Before(since)
	})
	slices.SortStableFunc(kept, func(a, b T) int { return last(a).Compare(last(b)) })
	return kept
}
