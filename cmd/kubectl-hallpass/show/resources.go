// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// Resources is the table of OAuth2Resources.
func Resources(resources []v1alpha1.OAuth2Resource, now time.Time) *metav1.Table {
	type resource = v1alpha1.OAuth2Resource
	return table([]column[resource]{
		{"Name", false, func(r *resource, _ time.Time) string { return r.Name }},
		{"Health", false, func(r *resource, _ time.Time) string { return ResourceHealth(r) }},
		{"Scopes", false, func(r *resource, _ time.Time) string { return strconv.Itoa(len(r.Spec.Scopes)) }},
		{"Clients", false, func(r *resource, _ time.Time) string {
			if r.Status.Clients == nil {
				return "-"
			}
			return strconv.Itoa(int(*r.Status.Clients))
		}},
		{"Granted To", false, func(r *resource, _ time.Time) string { return grantedTo(r) }},
		{"Age", false, func(r *resource, now time.Time) string { return ago(r.CreationTimestamp, now) }},
		{"Identifier", true, func(r *resource, _ time.Time) string { return orDash(r.Status.Identifier) }},
		{"Display Name", true, func(r *resource, _ time.Time) string { return orDash(r.Spec.DisplayName) }},
		{"Scope Names", true, func(r *resource, _ time.Time) string { return joined(scopeNames(r)) }},
	}, resources, now)
}

// ResourceHealth is one word on an OAuth2Resource: Ready, or why it is not.
func ResourceHealth(r *v1alpha1.OAuth2Resource) string {
	return health(r.DeletionTimestamp != nil, r.Generation, r.Status.ObservedGeneration, r.Status.Conditions)
}

func scopeNames(r *v1alpha1.OAuth2Resource) []v1alpha1.Scope {
	var names []v1alpha1.Scope
	for _, s := range r.Spec.Scopes {
		names = append(names, s.Name)
	}
	return names
}

// grantedTo are the namespaces that grants name, and the selectors, each once.
func grantedTo(r *v1alpha1.OAuth2Resource) string {
	var all []string
	for _, g := range r.Spec.Grants {
		for _, source := range sources(g.From) {
			if !slices.Contains(all, source) {
				all = append(all, source)
			}
		}
	}
	return joined(all)
}

// sources are the namespaces of a grant: by name, or by their labels.
func sources(from v1alpha1.GrantSource) []string {
	if len(from.Namespaces) > 0 {
		var all []string
		for _, n := range from.Namespaces {
			all = append(all, string(n))
		}
		return all
	}
	return []string{labels(from.NamespaceSelector)}
}

// labels are a selector as kubectl writes it.
func labels(m v1alpha1.LabelMatch) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(m.MatchLabels)) {
		all = append(all, key+"="+string(m.MatchLabels[key]))
	}
	return strings.Join(all, ",")
}
