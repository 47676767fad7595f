// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

const (
	// pageSize bounds the entries of a page of the feed.
	pageSize = MaxBatch
	// feedLog bounds the revocations that are kept in order of arrival, 1.75 MiB. A reader that
	// has missed more reads the whole list again.
	feedLog = 1 << 16
	// batchWeight is as many revocations as take the memory of a batch in that order: a tenant
	// can have ten batches a second written of one revocation each.
	batchWeight = 3
)

// Cursor is the position of a reader of the feed. Its text is opaque to readers and valid at every
// replica: it is a version that all replicas see, or a position in the list of all by id.
type Cursor struct {
	// version is that up to which the reader has everything, or will have after it has read the
	// list.
	version uint64
	// listing means that the reader is in the list, at the id in from.
	listing bool
	from    ID
}

// errCursor is wrapped by every refusal of a cursor.
var errCursor = fmt.Errorf("%w: the cursor is none of the feed's", ErrUnreadable)

// ParseCursor parses a cursor; the empty one is the beginning.
func ParseCursor(text string) (Cursor, error) {
	if text == "" {
		return Cursor{listing: true}, nil
	}
	number, place, listing := strings.Cut(text, ".")
	version, err := strconv.ParseUint(number, 10, 64)
	if err != nil || strconv.FormatUint(version, 10) != number {
		return Cursor{}, errCursor
	}
	c := Cursor{version: version, listing: listing}
	if listing {
		raw, err := jws.DecodeBase64URL(place)
		if err != nil || copy(c.from[:], raw) != len(c.from) || len(raw) != len(c.from) {
			return Cursor{}, errCursor
		}
	}
	return c, nil
}

func (c Cursor) String() string {
	if c.listing {
		return strconv.FormatUint(c.version, 10) + "." + c.from.String()
	}
	return strconv.FormatUint(c.version, 10)
}

// Page is a page of the feed.
type Page struct {
	Tokens []Entry
	// Next is the cursor of the next page; More means that it has entries already.
	Next Cursor
	More bool
}

// arrivals are the latest batches in the order of their versions.
type arrivals struct {
	mu      sync.Mutex
	batches []arrival
	weight  int
	// floor is the version up to which batches may be missing, last the newest version seen.
	floor, last uint64
}

type arrival struct {
	version uint64
	tokens  []Entry
}

// weight is what the arrival counts for, in revocations.
func (a arrival) weight() int { return len(a.tokens) + batchWeight }

// note appends a batch if its version is newer than the last.
func (a *arrivals) note(version uint64, tokens []Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if version <= a.last {
		return
	}
	a.last = version
	if len(tokens) == 0 {
		return
	}
	// a part of a merged batch is in a list with room for more
	added := arrival{version, slices.Clone(tokens)}
	a.batches, a.weight = append(a.batches, added), a.weight+added.weight()
	if a.weight <= feedLog {
		return
	}
	drop := 0
	for ; a.weight > feedLog-feedLog/8; drop++ { // many at once, because all others are moved
		a.floor = a.batches[drop].version
		a.weight -= a.batches[drop].weight()
	}
	a.batches = slices.Delete(a.batches, 0, drop)
}

// resume begins at a version whose batches are not known one by one.
func (a *arrivals) resume(version uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.floor, a.last = max(a.floor, version), max(a.last, version)
}

// rewind restarts at a version that is earlier than the last: a backup was restored.
func (a *arrivals) rewind(version uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if version < a.last {
		a.batches, a.weight, a.floor, a.last = nil, 0, version, version
	}
}

// since returns a page of what arrived after a version. known is false if batches after it are
// missing.
func (a *arrivals) since(version uint64, now time.Time) (found Page, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if version < a.floor {
		return Page{}, false
	}
	found.Next = Cursor{version: max(version, a.last)}
	at, _ := slices.BinarySearchFunc(a.batches, version+1, func(b arrival, v uint64) int { return cmp.Compare(b.version, v) })
	for _, batch := range a.batches[at:] {
		if len(found.Tokens)+len(batch.tokens) > pageSize {
			found.More = true
			return found, true
		}
		found.Next.version = batch.version
		for _, token := range batch.tokens {
			if !token.Expired(now) {
				found.Tokens = append(found.Tokens, token)
			}
		}
	}
	found.Next.version = max(version, a.last)
	return found, true
}

func (a *arrivals) newest() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// Feed returns the page of revoked tokens at a cursor. A reader may continue at another replica:
// what that one has not seen yet, it lists later. The feed may list a token twice.
func (r *State) Feed(at Cursor, now time.Time) Page {
	if !at.listing {
		if found, known := r.arrivals.since(at.version, now); known {
			return found
		}
		at = Cursor{listing: true}
	}
	newest := r.arrivals.newest()
	if at.from == (ID{}) {
		at.version = newest
	}
	// The list of this replica cannot contain what it has not seen yet.
	at.version = min(at.version, newest)
	found := r.tokens.From(at.from, pageSize+1, now)
	if len(found) <= pageSize {
		return Page{Tokens: found, Next: Cursor{version: at.version}}
	}
	return Page{
		Tokens: found[:pageSize], Next: Cursor{version: at.version, listing: true, from: found[pageSize].ID}, More: true,
	}
}
