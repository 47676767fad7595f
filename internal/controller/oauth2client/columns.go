// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"slices"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// grantedResources are the declared resources that the client has any scope of, for a column: a
// column of a list shows one value of the status.
func grantedResources(grants []v1alpha1.GrantStatus) []v1alpha1.ResourceName {
	var granted []v1alpha1.ResourceName
	for _, g := range grants {
		if g.Resource.Name != "" && decidedAs(oauth2.Granted)(g) {
			granted = append(granted, v1alpha1.ResourceName(string(g.Resource.Namespace)+"/"+g.Resource.Name))
		}
	}
	return granted
}

// currentFirst orders secrets: the current one, which has no end, and then the newest first. A
// secret that was put back is older than the one that it replaces.
func currentFirst(credentials []v1alpha1.CredentialStatus) {
	slices.SortStableFunc(credentials, func(a, b v1alpha1.CredentialStatus) int {
		if a.ExpiresAt.IsZero() != b.ExpiresAt.IsZero() {
			if a.ExpiresAt.IsZero() {
				return -1
			}
			return 1
		}
		return b.CreatedAt.Compare(a.CreatedAt.Time)
	})
}
