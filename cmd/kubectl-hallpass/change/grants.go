// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package change makes the objects and the patches that commands send. The package is pure.
package change

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// Operation is an operation of a JSON patch (RFC 6902).
type Operation struct {
	Op    string `json:"op"`
	From  string `json:"from,omitempty"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// The operations of RFC 6902 that the plugin sends.
const (
	opAdd     = "add"
	opRemove  = "remove"
	opReplace = "replace"
)

// Access is a set of scopes for the clients of namespaces.
type Access struct {
	Namespaces []v1alpha1.NamespaceName
	Scopes     []v1alpha1.Scope
}

const grantsPath = "/spec/grants"

// grant is a grant as a patch writes it: without the empty fields.
type grant struct {
	From   source           `json:"from"`
	Scopes []v1alpha1.Scope `json:"scopes"`
}

type source struct {
	Namespaces []v1alpha1.NamespaceName `json:"namespaces"`
}

// Grant returns the operations after which the resource grants the access; none if it does already.
// The fields of other grants stay as they are, also those that this build does not know.
func Grant(r *v1alpha1.OAuth2Resource, a Access) ([]Operation, error) {
	if err := defined(r, a.Scopes); err != nil {
		return nil, err
	}
	var operations []Operation
	var fresh []grant
	for _, namespace := range unique(a.Namespaces) {
		scopes := slices.DeleteFunc(unique(a.Scopes), func(scope v1alpha1.Scope) bool { return grants(r, namespace, scope) })
		if len(scopes) == 0 {
			continue
		}
		if i := slices.IndexFunc(r.Spec.Grants, alone(namespace)); i >= 0 {
			for _, scope := range scopes {
				operations = append(operations, Operation{Op: opAdd, Path: fmt.Sprintf("%s/%d/scopes/-", grantsPath, i), Value: scope})
			}
			continue
		}
		if i := slices.IndexFunc(fresh, func(g grant) bool { return slices.Equal(g.Scopes, scopes) }); i >= 0 {
			fresh[i].From.Namespaces = append(fresh[i].From.Namespaces, namespace)
			continue
		}
		fresh = append(fresh, grant{source{[]v1alpha1.NamespaceName{namespace}}, scopes})
	}
	return append(operations, appended(r, fresh)...), nil
}

// appended are the operations that add grants to those of a resource.
func appended(r *v1alpha1.OAuth2Resource, fresh []grant) []Operation {
	if len(fresh) > 0 && len(r.Spec.Grants) == 0 {
		return []Operation{{Op: opAdd, Path: grantsPath, Value: fresh}}
	}
	var operations []Operation
	for _, g := range fresh {
		operations = append(operations, Operation{Op: opAdd, Path: grantsPath + "/-", Value: g})
	}
	return operations
}

// defined refuses scopes that the resource does not define.
func defined(r *v1alpha1.OAuth2Resource, scopes []v1alpha1.Scope) error {
	var names []string
	for _, s := range r.Spec.Scopes {
		names = append(names, string(s.Name))
	}
	for _, scope := range scopes {
		if !slices.Contains(names, string(scope)) {
			has := "it defines none"
			if len(names) > 0 {
				has = "it defines " + strings.Join(names, ", ")
			}
			return fmt.Errorf("OAuth2Resource %q does not define the scope %q: %s. Correct the name, or add the scope to spec.scopes: kubectl edit hpr %s --namespace %s",
				r.Name, scope, has, r.Name, r.Namespace)
		}
	}
	return nil
}

// byName reports whether a grant is for namespaces by their names and for all of their clients.
func byName(g v1alpha1.ResourceGrant) bool {
	return len(g.From.Namespaces) > 0 && len(g.From.ClientSelector.MatchLabels) == 0
}

// alone finds the grant for one namespace whose clients act for themselves alone.
func alone(namespace v1alpha1.NamespaceName) func(v1alpha1.ResourceGrant) bool {
	return func(g v1alpha1.ResourceGrant) bool {
		others := without(g.Subjects, []v1alpha1.GrantSubject{v1alpha1.SubjectClient})
		return byName(g) && len(others) == 0 && len(g.From.Namespaces) == 1 && g.From.Namespaces[0] == namespace
	}
}

// grants reports whether all clients of a namespace have a scope, by a grant that names it.
func grants(r *v1alpha1.OAuth2Resource, namespace v1alpha1.NamespaceName, scope v1alpha1.Scope) bool {
	return slices.ContainsFunc(r.Spec.Grants, func(g v1alpha1.ResourceGrant) bool {
		return byName(g) && g.For(v1alpha1.SubjectClient) && slices.Contains(g.From.Namespaces, namespace) && slices.Contains(g.Scopes, scope)
	})
}

// Ungrant returns the operations after which no grant that names one of the namespaces gives it one
// of the scopes; no scopes stand for all. A grant that names other namespaces too stays as it is
// for them. Grants by labels of namespaces are left alone: byLabels are their positions, from one.
func Ungrant(r *v1alpha1.OAuth2Resource, a Access) (operations []Operation, byLabels []int) {
	var copies, edits []Operation
	end, removed := len(r.Spec.Grants), 0
	// from the end, so that positions stay right
	for i, g := range slices.Backward(r.Spec.Grants) {
		rest := without(g.Scopes, a.Scopes)
		if len(rest) == len(g.Scopes) {
			continue
		}
		if len(g.From.Namespaces) == 0 {
			byLabels = append(byLabels, i+1)
			continue
		}
		path := fmt.Sprintf("%s/%d", grantsPath, i)
		others := without(g.From.Namespaces, a.Namespaces)
		switch {
		case len(others) == len(g.From.Namespaces): // it names none of them
		case len(others) > 0:
			edits = append(edits, Operation{Op: opReplace, Path: path + "/from/namespaces", Value: others})
			if len(rest) > 0 {
				copies = append(copies, copied(path, end, without(g.From.Namespaces, others), rest)...)
				end++
			}
		case len(rest) > 0:
			edits = append(edits, Operation{Op: opReplace, Path: path + "/scopes", Value: rest})
		default:
			edits = append(edits, Operation{Op: opRemove, Path: path})
			removed++
		}
	}
	slices.Reverse(byLabels)
	if removed > 0 && removed == end { // an empty list is refused
		return []Operation{{Op: opRemove, Path: grantsPath}}, byLabels
	}
	return append(copies, edits...), byLabels
}

// copied are the operations that copy a grant, with the fields that this build does not know, to
// the end of the list, for other namespaces and scopes.
func copied(path string, end int, namespaces []v1alpha1.NamespaceName, scopes []v1alpha1.Scope) []Operation {
	to := fmt.Sprintf("%s/%d", grantsPath, end)
	return []Operation{
		{Op: "copy", From: path, Path: to},
		{Op: opReplace, Path: to + "/from/namespaces", Value: namespaces},
		{Op: opReplace, Path: to + "/scopes", Value: scopes},
	}
}

// unique is a list with each of its elements once.
func unique[T comparable](all []T) []T {
	var kept []T
	for _, one := range all {
		if !slices.Contains(kept, one) {
			kept = append(kept, one)
		}
	}
	return kept
}

// without is a list without some; none stands for all.
func without[T comparable](all, some []T) []T {
	if len(some) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(all), func(one T) bool { return slices.Contains(some, one) })
}
