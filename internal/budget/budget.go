// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package budget limits how often something is done, by a hierarchy of keys: for example by caller,
// and by all callers together. The algorithm is GCRA, the generic cell rate algorithm: of each key
// it stores one instant, the theoretical arrival time (TAT).
//
// # Shares
//
// A level that all requests have in common may guarantee a share to each holder, the caller that
// causes the cost. The rest of the level is lent. Each request is decided in this order:
//
//  1. If the share of its holder has something left, the request passes, and the share pays. The
//     level pays too. If it has nothing left, it owes, and lends nothing until that is paid; it
//     never owes more than its burst.
//  2. Otherwise the holder borrows: the request passes if the level has something left, which pays.
//
// So no holder loses its share to others: the TAT of a share moves by the requests of its holder
// alone, and rule 1 asks for nothing else. Whatever GCRA with the share's burst and interval would
// admit of a holder's requests is admitted here, in any order with the requests of others.
//
// The sum is bounded. Rule 2 admits in any time t at most what the level has, Burst + t/Interval,
// and rule 1 at most the shares of the holders. While the level owes less than its burst, it has
// paid for all shares, and the sum is at most 2*Burst + t/Interval: shares that are less than the
// level's rate add nothing to that rate.
//
// A holder has an entry in a table while its share is in use: while its TAT is in the future. Such
// an entry is never evicted for one of the same network, and one that is not in use has nothing to
// lose. So a holder keeps its share whatever keys are made up; a new holder for which there is no
// entry can only borrow. Who has thousands of addresses can fill the table: if Share.Sources is
// set, a new holder then takes the entry of a source whose network has at least two more in its set
// than the one of the new holder. The source that loses its entry may have its share once more.
// Holders of different classes, such as authenticated and unauthenticated ones, have different
// tables.
//
// The package has no clock and does no I/O: now is an argument.
package budget

import (
	"cmp"
	"hash/maphash"
	"sync"
	"time"
)

// Level is a limit on each key of one kind: Burst requests at once, and one more in each Interval.
type Level struct {
	Burst    int
	Interval time.Duration
	// Shared means that all requests have the same key, whatever they name.
	Shared bool
	// Shares are what a shared level guarantees to each holder, by its class. Without a burst
	// it guarantees nothing.
	Shares []Share
}

// Share is what is guaranteed to a holder: Burst requests at once, and one more in each Interval.
type Share struct {
	Burst    int
	Interval time.Duration
	// Sources are set if the holders are sources, by Sources.Of or the address alone: then the
	// networks of sources have shares of the table.
	Sources *Sources
}

// Key is whose budget a request spends at a level: that of Who, for What. Either may be empty.
// Class separates kinds of names. At a shared level Who is the holder of a share.
type Key struct {
	Level, Class int
	Who, What    string
}

// Decision is the result of Take.
type Decision struct {
	OK bool
	// Level is the level that refused, and Wait the time after which it has something left. Of
	// several levels it is the one with the longest wait.
	Level int
	Wait  time.Duration
}

// Budget is a bounded table of TATs for each level. A hash, whose seeds are secret, assigns a key
// to a set of entries. If other keys occupy the set, the key with the earliest TAT is evicted,
// because it has the most left; of a table of shares none that is in use is. So a new key costs
// what a known one does, and the garbage collector has nothing to scan.
type Budget struct {
	seeds [2]maphash.Seed

	mu     sync.Mutex
	levels []table
	began  time.Time // an hour before the first request
}

// limit is a burst and an interval in nanoseconds.
type limit struct{ burst, interval int64 }

type table struct {
	limit

	shared bool
	sets   [][ways]entry
	shares []shares
}

// shares are the TATs of the holders of one class.
type shares struct {
	limit

	sources *Sources
	sets    [][shareWays]entry
	// networks are those of the entries, if the holders are sources.
	networks [][shareWays]networks
}

// networks are the hashes of the widest network of a source, and of the next one in it.
type networks struct{ wide, narrow uint32 }

// entry is the TAT of a key, in nanoseconds of the budget.
type entry struct {
	key uint64
	tat int64
}

// A table has 16,384 entries. Those of shares are in wider sets: with 1,000 holders, one in 10^13
// finds its set full.
const (
	sets      = 4 << 10
	ways      = 4
	shareSets = 1 << 10
	shareWays = 16
)

// maxKeys is the number of keys of one Take: one for each level.
const maxKeys = 4

// New makes a Budget. A Key names a level by its place in the list.
func New(levels ...Level) *Budget {
	b := &Budget{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	for _, level := range levels {
		t := table{limit: limitOf(level.Burst, level.Interval), shared: level.Shared}
		if t.sets = make([][ways]entry, 1); !level.Shared {
			t.sets = make([][ways]entry, sets)
		}
		for _, share := range level.Shares {
			s := shares{limit: limitOf(share.Burst, share.Interval)}
			if share.Burst > 0 {
				s.sets = make([][shareWays]entry, shareSets)
				if s.sources = share.Sources; s.sources != nil {
					s.networks = make([][shareWays]networks, shareSets)
				}
			}
			t.shares = append(t.shares, s)
		}
		b.levels = append(b.levels, t)
	}
	return b
}

func limitOf(burst int, interval time.Duration) limit {
	return limit{int64(burst) * int64(interval), int64(interval)}
}

// change is what a request changes at a level if it passes: the entry of its key, and the one of
// its holder if the share pays.
type change struct {
	of, holder       *entry
	after, heldAfter entry
	// network is that of the entry of a holder who is new in it; nil if none is kept.
	network *networks
	around  networks
}

// Take spends one request of each key, or none if one of the keys has nothing left. The keys are of
// different levels, and at most four.
func (b *Budget) Take(now time.Time, keys ...Key) Decision {
	var changes [maxKeys]change
	decision := Decision{OK: true}
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.at(now)
	for i, key := range keys {
		var wait time.Duration
		if changes[i], wait = b.judge(key, at); wait > decision.Wait {
			decision = Decision{Level: key.Level, Wait: wait}
		}
	}
	if decision.OK {
		for i := range keys {
			*changes[i].of = changes[i].after
			if changes[i].holder != nil {
				*changes[i].holder = changes[i].heldAfter
			}
			if changes[i].network != nil {
				*changes[i].network = changes[i].around
			}
		}
	}
	return decision
}

// Has reports whether a request of the key would pass. It spends nothing.
func (b *Budget) Has(now time.Time, key Key) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, wait := b.judge(key, b.at(now))
	return wait <= 0
}

// at is a time in nanoseconds since an hour before the first request, by the monotonic clock where
// the time has its reading: what was spent while the clock was ahead must not refuse for longer.
func (b *Budget) at(now time.Time) int64 {
	if b.began.IsZero() {
		b.began = now.Add(-time.Hour)
	}
	return int64(now.Sub(b.began))
}

// judge decides about one key. It changes nothing; a wait refuses.
func (b *Budget) judge(key Key, at int64) (c change, wait time.Duration) {
	level, sum := &b.levels[key.Level], b.sum(key)
	named := sum
	if level.shared {
		named = 0
	}
	c.of = level.find(named)
	tat := c.of.tatOf(named, at)
	c.after = entry{named, tat + level.interval}
	wait = level.wait(tat, at)
	if key.Class >= len(level.shares) || level.shares[key.Class].sets == nil {
		return c, wait
	}
	share := &level.shares[key.Class]
	set := sum % uint64(len(share.sets))
	way := share.find(set, sum, at)
	if share.sources != nil && (way < 0 || share.sets[set][way].key != sum) {
		c.around = share.around(b.seeds[0], key.Who)
		if way < 0 {
			way = share.crowded(set, c.around)
		}
		if way >= 0 {
			c.network = &share.networks[set][way]
		}
	}
	if way < 0 {
		return c, wait
	}
	holder := &share.sets[set][way]
	held := holder.tatOf(sum, at)
	if early := share.wait(held, at); early > 0 {
		c.network = nil
		return c, min(early, wait)
	}
	c.holder, c.heldAfter = holder, entry{sum, held + share.interval}
	c.after.tat = max(tat, min(c.after.tat, at+2*level.burst)) // it owes a burst at the most
	return c, 0
}

func (b *Budget) sum(key Key) uint64 {
	const odd = 0x9e3779b97f4a7c15
	return maphash.String(b.seeds[0], key.Who) ^ maphash.String(b.seeds[1], key.What) + uint64(key.Class)*odd //nolint:gosec // it counts from zero
}

// wait is the time until one more request is admitted, or none that is positive.
func (l limit) wait(tat, at int64) time.Duration {
	return time.Duration(tat + l.interval - l.burst - at)
}

// tatOf is the TAT of a key that has the entry or may have it.
func (e *entry) tatOf(key uint64, at int64) int64 {
	if e.key == key {
		return max(at, e.tat)
	}
	return at
}

// find returns the entry of a key, or the one that the key may have.
func (t *table) find(key uint64) *entry {
	set := &t.sets[key%uint64(len(t.sets))]
	place := &set[0]
	for i := range set {
		if set[i].key == key {
			return &set[i]
		}
		if set[i].tat < place.tat {
			place = &set[i]
		}
	}
	return place
}

// find returns the place of a holder in its set, or one that is not in use; -1 if all are.
func (s *shares) find(set, key uint64, at int64) int {
	free := -1
	for i := range s.sets[set] {
		if s.sets[set][i].key == key {
			return i
		}
		if s.sets[set][i].tat <= at {
			free = i
		}
	}
	return free
}

// around returns the networks of a source. One that is compared alone has a network of its own.
func (s *shares) around(seed maphash.Seed, source string) networks {
	around, depth, alone := s.sources.around(sourceOf(source))
	if alone || depth < 2 {
		own := uint32(maphash.String(seed, source)) //nolint:gosec // a part of it
		return networks{own, own}
	}
	return networks{uint32(maphash.Comparable(seed, around[0])), uint32(maphash.Comparable(seed, around[1]))} //nolint:gosec // as above
}

// crowded returns the place in a full set that a new holder takes: that of the source with the
// earliest TAT, of the narrow network with the most entries in the wide one with the most. It
// returns -1 where that network has not at least two more than the one of the new holder.
func (s *shares) crowded(set uint64, to networks) int {
	var wide, narrow [shareWays]int // entries of the same networks as each
	own := struct{ wide, narrow int }{}
	all := &s.networks[set]
	for i := range all {
		for j := range all {
			if all[i].wide == all[j].wide {
				wide[i]++
				if all[i].narrow == all[j].narrow {
					narrow[i]++
				}
			}
		}
		if all[i].wide == to.wide {
			own.wide++
			if all[i].narrow == to.narrow {
				own.narrow++
			}
		}
	}
	most := -1
	for i := range all {
		has, wants := wide[i], own.wide
		if all[i].wide == to.wide {
			has, wants = narrow[i], own.narrow
		}
		if has < wants+2 {
			continue
		}
		if most < 0 || cmp.Or(cmp.Compare(wide[i], wide[most]), cmp.Compare(narrow[i], narrow[most]), //nolint:gosec // most is no less than 0 there
			cmp.Compare(s.sets[set][most].tat, s.sets[set][i].tat)) > 0 {
			most = i
		}
	}
	return most
}
