// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credential decides about the secrets of a client and about minted tokens. A new
// value is recorded before it is written to the user's Secret. That it is in the Secret is the
// commit point: until then it is pending, and what the Secret had before stays current.
//
// The package is pure, as keyring is for keys: values in, values out, and the time is an argument.
// It does not depend on Kubernetes, nor on how records are stored.
package credential

import (
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
)

// Time is the present time as far as it is known, because a clock may be wrong for a while. What is
// due is due by Earliest, and waits begin at Latest. What has ended is dropped once that is
// certain, because a value that is off the record is lost: see Past.
type Time = keyring.Time

// agreement is how soon clocks that do not agree are compared again.
const agreement = time.Minute

const (
	// PendingLife is how long a value may take from its record to its Secret.
	PendingLife = 5 * time.Minute
	// YoungFor is how long the same value is tried again: its last write may take a minute.
	YoungFor = PendingLife - time.Minute
)

// commit drops what has ended by past, but not the one at current: the index of the value in the
// user's Secret, or -1. If there is such a value, become changes each that is left and returns
// whether it stays.
func commit[C interface{ Live(now time.Time) bool }](all []C, current int, past time.Time, become func(c C, isCurrent bool) (C, bool)) []C {
	var left []C
	for i, c := range all {
		stays := i == current || c.Live(past)
		if stays && current >= 0 {
			c, stays = become(c, i == current)
		}
		if stays {
			left = append(left, c)
		}
	}
	return left
}

// evict removes as many as are too many of those that may be removed, the first of an order first.
// Without an order it removes those that stand first.
func evict[C any](all []C, surplus int, may func(C) bool, order func(a, b C) int) []C {
	all = slices.Clone(all)
	for ; surplus > 0; surplus-- {
		first := -1
		for i, c := range all {
			if may(c) && (first < 0 || order != nil && order(c, all[first]) < 0) {
				first = i
			}
		}
		if first < 0 {
			break
		}
		all = slices.Delete(all, first, first+1)
	}
	return all
}
