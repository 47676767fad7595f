// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"maps"
	"slices"
)

// maxMerged bounds the consents that are merged, and the scopes of one that are compared: each is a
// bit. An OAuth2Resource has half as many grants, and no grant has more scopes.
const maxMerged = 64

// MergeConsents returns consents that grant the same in less room. Those with the same labels of
// clients name each namespace once, with all its scopes, unless the scopes would take more room
// than that saves.
func MergeConsents(consents []Consent) []Consent {
	var merged []Consent
	for _, group := range byLabels(consents) {
		if parts := mergeGroup(group); roomOf(parts) < roomOf(group) {
			group = parts
		}
		merged = append(merged, group...)
	}
	return merged
}

// byLabels groups consents by the labels of clients, in the order in which they appear.
func byLabels(consents []Consent) (groups [][]Consent) {
	for _, consent := range consents {
		at := slices.IndexFunc(groups, func(group []Consent) bool {
			return len(group) < maxMerged && maps.Equal(group[0].ClientLabels, consent.ClientLabels)
		})
		if at < 0 {
			groups, at = append(groups, nil), len(groups)
		}
		groups[at] = append(groups[at], consent)
	}
	return groups
}

// mergeGroup makes one consent of the namespaces that the same consents of a group name.
func mergeGroup(group []Consent) []Consent {
	named := map[string]uint64{} // the consents that name a namespace, as bits
	for i, consent := range group {
		for _, namespace := range consent.Namespaces {
			named[namespace] |= 1 << i
		}
	}
	namespaces := map[uint64][]string{}
	for _, namespace := range slices.Sorted(maps.Keys(named)) {
		namespaces[named[namespace]] = append(namespaces[named[namespace]], namespace)
	}
	parts := make([]Consent, 0, len(namespaces))
	for _, by := range slices.Sorted(maps.Keys(namespaces)) {
		parts = append(parts, Consent{Namespaces: namespaces[by], ClientLabels: group[0].ClientLabels, Scopes: scopesOf(group, by)})
	}
	return parts
}

// scopesOf are the scopes of some consents of a group, each once.
func scopesOf(group []Consent, some uint64) (scopes []string) {
	for i, consent := range group {
		if some&(1<<i) != 0 {
			scopes = append(scopes, consent.Scopes...)
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// roomOf is about the room that consents take in a record, in bytes.
func roomOf(consents []Consent) (room int) {
	const around = len(`"",`)
	for _, consent := range consents {
		for _, text := range slices.Concat(consent.Namespaces, consent.Scopes) {
			room += len(text) + around
		}
		for key, value := range consent.ClientLabels {
			room += len(key) + len(value) + 2*around
		}
	}
	return room
}

// KeepConsents removes from consents the namespaces that were not granted all their scopes before.
func KeepConsents(consents, before []Consent) []Consent {
	var kept []Consent
	for _, consent := range consents {
		granted := grantedBefore(consent, before)
		all := uint64(1)<<min(len(consent.Scopes), maxMerged) - 1
		consent.Namespaces = slices.DeleteFunc(slices.Clone(consent.Namespaces), func(namespace string) bool {
			return len(consent.Scopes) > maxMerged || granted[namespace] != all
		})
		if len(consent.Namespaces) > 0 {
			kept = append(kept, consent)
		}
	}
	return kept
}

// grantedBefore finds the namespaces whose clients with the labels of a consent were granted some
// of its scopes, as bits in their order.
func grantedBefore(consent Consent, before []Consent) map[string]uint64 {
	granted := map[string]uint64{}
	for _, was := range before {
		if !carries(consent.ClientLabels, was.ClientLabels) {
			continue // it did not select all clients that this one does
		}
		var scopes uint64
		for i, scope := range consent.Scopes {
			if slices.Contains(was.Scopes, scope) {
				scopes |= 1 << i
			}
		}
		for _, namespace := range was.Namespaces {
			granted[namespace] |= scopes
		}
	}
	return granted
}
