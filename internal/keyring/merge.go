// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"slices"
	"time"
)

// Merge combines the ring that a reader holds with one that it reads. The ring that was read
// decides which key signs, because a replica that starts now has no other, unless none of its keys
// signs now. The other keys verify until they are gone: a Secret that was deleted, restored or
// truncated must not refuse tokens. A taint in either withdraws the key from both.
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

// withoutLostSuccessors returns the keys, with those prolonged whose successor is withdrawn.
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

// signsWithout reports whether a key of a ring signs at an instant, other than the tainted ones.
func signsWithout(ring Ring, taints []Taint, now time.Time) bool {
	ring.tainted = taints
	return slices.ContainsFunc(ring.keys, func(k *SigningKey) bool { return k.State(now) == Active && !ring.isTainted(k.ID()) })
}
