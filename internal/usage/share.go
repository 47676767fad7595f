// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"cmp"
	"maps"
	"slices"
)

// FairShare returns the most that each of several amounts may be, so that together they are at most
// room: an amount below it stays as it is, and only larger ones are reduced.
func FairShare(amounts []int, room int) int {
	ascending := slices.Sorted(slices.Values(amounts))
	share := 0
	for i, amount := range ascending {
		share = max(0, room) / (len(ascending) - i)
		if amount > share {
			return share
		}
		room -= amount
	}
	return share
}

// Held is a thing in a table that several owners share.
type Held[O comparable, T any] struct {
	Thing T
	Owner O
	// Size is the room that it takes.
	Size int
	// At orders the things of an owner: the one with the least leaves first.
	At int64
}

// Excess returns the things that have to leave a table so that the others fit into a room: the
// oldest ones of the owners that have more than a fair share. An owner with no more than its share
// loses none. What leaves is in the order of At, and so is the table afterwards.
func Excess[O comparable, T any](table []Held[O, T], room int) (excess []T) {
	owned, taken := map[O]int{}, 0
	for i := range table {
		owned[table[i].Owner] += table[i].Size
		taken += table[i].Size
	}
	if taken <= room {
		return nil
	}
	share := FairShare(slices.Collect(maps.Values(owned)), room)
	slices.SortStableFunc(table, func(a, b Held[O, T]) int { return cmp.Compare(a.At, b.At) })
	for i := range table {
		thing := &table[i]
		// before all owners are at their shares, where a share is less than one thing
		if taken <= room {
			break
		}
		if owned[thing.Owner] > share {
			owned[thing.Owner] -= thing.Size
			taken -= thing.Size
			excess = append(excess, thing.Thing)
		}
	}
	return excess
}
