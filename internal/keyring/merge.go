// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"slices"
	"time"
)

// Merge is what a reader who holds a ring makes of another that it reads: the one that was read decides who signs, because
// every replica that starts now knows that one alone. What else the reader held goes on verifying until it would have been
// gone: a Secret that was deleted, restored from a backup or cut short is not an instruction to refuse tokens. A taint in
// either withdraws the key from both. If no key is left in what was read that signs now, what was held goes on.
func Merge(held, read Ring, now time.Time) Ring {
	now = instant(now)
	merged, other := read, held
	taints := unionOfTaints(held.tainted, read.tainted)
	if !signsWithout(read, taints, now) && signsWithout(held, taints, now) {
		merged, other = held, read
	}
	merged.tainted = taints
	merged.keys = withoutLostSuccessors(merged, now)
	keep := max(held.keep, read.keep)
	for _, key := range other.keys {
		if slices.ContainsFunc(merged.keys, func(k *SigningKey) bool { return k.ID() == key.ID() }) || key.State(now) == Gone {
			continue
		}
		life := key.Life
		if life.RetiredAt.IsZero() || life.RetiredAt.After(now) {
			life.RetiredAt = now
		}
		if life.ActiveAt.After(life.RetiredAt) {
			life.ActiveAt = life.RetiredAt
		}
		if life.PublishedAt.After(life.ActiveAt) {
			life.PublishedAt = life.ActiveAt
		}
		if end := now.Add(keep); life.GoneAt.IsZero() || life.GoneAt.After(end) {
			life.GoneAt = end
		}
		merged.keys = append(merged.keys, key.living(life))
	}
	return merged.prepared()
}

func unionOfTaints(a, b []Taint) []Taint {
	union := slices.Clone(a)
	for _, taint := range b {
		if !slices.ContainsFunc(union, func(t Taint) bool { return t.KeyID == taint.KeyID }) {
			union = append(union, taint)
		}
	}
	return union
}

// withoutLostSuccessors are the keys of a ring in which one whose successor is withdrawn signs until further notice.
func withoutLostSuccessors(ring Ring, now time.Time) []*SigningKey {
	keys := slices.Clone(ring.keys)
	for _, lost := range ring.keys {
		if !ring.isTainted(lost.ID()) {
			continue
		}
		for i, key := range keys {
			if key.Algorithm() == lost.Algorithm() && key.State(now) == Active && key.RetiredAt.Equal(lost.ActiveAt) {
				keys[i] = key.living(Life{PublishedAt: key.PublishedAt, ActiveAt: key.ActiveAt})
			}
		}
	}
	return keys
}

// signsWithout reports whether a ring has a key that signs at that instant and is not withdrawn.
func signsWithout(ring Ring, taints []Taint, now time.Time) bool {
	ring.tainted = taints
	return slices.ContainsFunc(ring.keys, func(k *SigningKey) bool { return k.State(now) == Active && !ring.isTainted(k.ID()) })
}
