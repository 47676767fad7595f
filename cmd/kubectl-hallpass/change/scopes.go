// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package change

import (
	"fmt"
	"slices"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

const scopesPath = "/spec/scopes"

// Declaration is what an API's owner changes of an OAuth2Resource beside its grants.
type Declaration struct {
	DisplayName string
	Scopes      []v1alpha1.ResourceScope
}

// Declare are the operations that give a resource another display name and other scopes. A scope
// that a grant still has cannot be removed. Fields of a scope that this build does not know stay.
func Declare(r *v1alpha1.OAuth2Resource, d Declaration) ([]Operation, error) {
	operations := text("/spec/displayName", r.Spec.DisplayName, d.DisplayName)
	fresh := slices.Clone(d.Scopes)
	var removed []Operation
	for i, scope := range r.Spec.Scopes {
		at := slices.IndexFunc(fresh, func(s v1alpha1.ResourceScope) bool { return s.Name == scope.Name })
		path := fmt.Sprintf("%s/%d", scopesPath, i)
		if at < 0 {
			if err := ungranted(r, scope.Name); err != nil {
				return nil, err
			}
			removed = append(removed, Operation{Op: opRemove, Path: path})
			continue
		}
		operations = append(operations, text(path+"/description", scope.Description, fresh[at].Description)...)
		fresh = slices.Delete(fresh, at, at+1)
	}
	// an empty list is refused
	if len(removed) > 0 && len(removed) == len(r.Spec.Scopes) && len(fresh) == 0 {
		return append(operations, Operation{Op: opRemove, Path: scopesPath}), nil
	}
	if len(r.Spec.Scopes) == 0 && len(fresh) > 0 {
		return append(operations, Operation{Op: opAdd, Path: scopesPath, Value: fresh}), nil
	}
	for _, scope := range fresh {
		operations = append(operations, Operation{Op: opAdd, Path: scopesPath + "/-", Value: scope})
	}
	slices.Reverse(removed) // from the end, so that positions stay right
	return append(operations, removed...), nil
}

// text sets a text, or removes it if it is empty.
func text(path, before, after string) []Operation {
	switch {
	case before == after:
		return nil
	case after == "":
		return []Operation{{Op: opRemove, Path: path}}
	}
	return []Operation{{Op: opAdd, Path: path, Value: after}}
}

// ungranted refuses a scope that a grant has.
func ungranted(r *v1alpha1.OAuth2Resource, scope v1alpha1.Scope) error {
	for i, g := range r.Spec.Grants {
		if slices.Contains(g.Scopes, scope) {
			return fmt.Errorf("grant %d of OAuth2Resource %q still gives the scope %q. Take it away from the clients first, and then remove the scope", i+1, r.Name, scope)
		}
	}
	return nil
}
