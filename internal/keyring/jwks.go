// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"bytes"
	"slices"
	"time"
)

// view is a JWK set that is valid until the next key is gone.
type view struct {
	until time.Time // zero for the last
	jwks  []byte
}

const emptySet = `{"keys":[]}`

// JWKS returns the JWK set (RFC 7517 section 5): the public halves of the keys that are not gone.
// It was rendered with the ring; callers must not change it.
func (r Ring) JWKS(now time.Time) []byte {
	for _, view := range r.views {
		if view.until.IsZero() || now.Before(view.until) {
			return view.jwks
		}
	}
	return []byte(emptySet)
}

// render renders a JWK set for each interval between the instants at which keys go.
func render(keys []*SigningKey) []view {
	ends := make([]time.Time, 0, len(keys))
	for _, key := range keys {
		if !key.GoneAt.IsZero() {
			ends = append(ends, key.GoneAt)
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	views := make([]view, 0, len(ends)+1)
	for _, end := range append(slices.Compact(ends), time.Time{}) {
		var entries [][]byte
		for _, key := range keys {
			if key.GoneAt.IsZero() || !end.IsZero() && !key.GoneAt.Before(end) {
				entries = append(entries, key.jwk)
			}
		}
		views = append(views, view{until: end, jwks: slices.Concat([]byte(`{"keys":[`), bytes.Join(entries, []byte(",")), []byte(`]}`))})
	}
	return views
}
