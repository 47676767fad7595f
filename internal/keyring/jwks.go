// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// emptySet is the JWK set of no keys.
const emptySet = `{"keys":[]}`

// JWKS is the JWK set (RFC 7517 section 5) at that instant: the public halves of all keys that are not gone. It was rendered
// when the ring was made; nobody may change it.
func (r Ring) JWKS(now time.Time) []byte {
	for _, view := range r.views {
		if view.until.IsZero() || now.Before(view.until) {
			return view.jwks
		}
	}
	return []byte(emptySet)
}

// render prepares the JWK set for each span of time in which no key goes. Which keys are in it changes at these instants
// alone: a key comes in with a ring, and leaves at an instant that the ring knows.
func render(keys []*SigningKey) ([]view, error) {
	rendered := make([]json.RawMessage, len(keys))
	var ends []time.Time
	for i, key := range keys {
		jwk, err := key.signer.Public().JWK()
		if err != nil {
			return nil, fmt.Errorf("render key %s: %w", key.ID(), err)
		}
		if rendered[i], err = json.Marshal(jwk); err != nil {
			return nil, fmt.Errorf("render key %s: %w", key.ID(), err)
		}
		ends = append(ends, key.GoneAt)
	}
	slices.SortFunc(ends, func(a, b time.Time) int {
		if a.IsZero() != b.IsZero() { // never is later than any instant
			return map[bool]int{true: 1, false: -1}[a.IsZero()]
		}
		return a.Compare(b)
	})
	var views []view
	for _, end := range slices.Compact(ends) {
		set := struct {
			Keys []json.RawMessage `json:"keys"`
		}{}
		for i, key := range keys {
			if end.IsZero() && key.GoneAt.IsZero() || !end.IsZero() && key.State(end.Add(-1)) != Gone {
				set.Keys = append(set.Keys, rendered[i])
			}
		}
		document, err := json.Marshal(set)
		if err != nil {
			return nil, fmt.Errorf("render key set: %w", err)
		}
		views = append(views, view{until: end, jwks: document})
	}
	return views, nil
}
