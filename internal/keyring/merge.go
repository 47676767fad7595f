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
// either withdraws the key from both. If nothing but withdrawn keys were read, what was held goes on.
func Merge(held, read Ring, now time.Time) (Ring, error) {
	now = instant(now)
	merged, other := read, held
	merged.tainted = unionOfTaints(held.tainted, read.tainted)
	if !slices.ContainsFunc(read.keys, func(k *SigningKey) bool { return !merged.isTainted(k.ID()) }) {
		taints := merged.tainted
		merged, other = held, read
		merged.tainted = taints
	}
	keep := max(held.keep, read.keep)
	merged.keys = slices.Clone(merged.keys)
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
