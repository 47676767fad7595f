// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2resource

import "github.com/hallpass-dev/hallpass/api/v1alpha1"

// scopeNames are the names of the scopes, for a column: a column of a list shows one value of the
// status.
func scopeNames(scopes []v1alpha1.ScopeHolders) []v1alpha1.Scope {
	var names []v1alpha1.Scope
	for _, scope := range scopes {
		names = append(names, scope.Name)
	}
	return names
}
