// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

const (
	// shards divide the objects, so that requests of different clients rarely share a lock.
	shards = 64
	// maxSubjects bounds the objects, some 40 MB. Only authenticated ones are stored.
	maxSubjects = 256 << 10
	// keepMinutes is how long a use is stored. The status has it long before.
	keepMinutes = 9 * 24 * 60
)

// Gatherer stores the last uses of objects. Note is safe for concurrent use: for a known object and
// secret it takes a read lock, writes once a minute, and allocates nothing.
type Gatherer struct {
	shards   [shards]shard
	subjects atomic.Int64
	// from is the minute since which no use is missing.
	from atomic.Uint32
}

type shard struct {
	mu       sync.RWMutex
	subjects map[usage.Key]*subject
}

// subject is one object. Most have one secret, which is a part of it, so that the garbage collector
// has little to follow.
type subject struct {
	issued, presented atomic.Uint32
	credentials       stampedCredential
	stale             [len(oauth2.StaleUses)]atomic.Pointer[stampedStale]
}

// stampedCredential is a secret in a list; its id is empty if there is none. id and next change
// under the lock of the shard.
type stampedCredential struct {
	id   string
	at   atomic.Uint32
	next *stampedCredential
}

type stampedStale struct {
	count atomic.Uint64
	at    atomic.Uint32
	last  atomic.Pointer[staleDetail]
}

type staleDetail struct{ credential, source string }

// NewGatherer returns a Gatherer that lacks no use from a minute on.
func NewGatherer(from usage.Minute) *Gatherer {
	g := &Gatherer{}
	for i := range g.shards {
		g.shards[i].subjects = map[usage.Key]*subject{}
	}
	g.from.Store(uint32(from))
	return g
}

// Note stores a use.
func (g *Gatherer) Note(u oauth2.Use) {
	if u.Subject == "" {
		return
	}
	key, minute := usage.KeyOf(u.Subject), uint32(usage.MinuteOf(u.At))
	home := &g.shards[int(key[0])%shards]
	if !home.note(key, u, minute) {
		g.add(home, key, u, minute)
	}
}

// note stores a use of a known object and secret. It holds the lock, so that the object is not
// forgotten meanwhile.
func (h *shard) note(key usage.Key, u oauth2.Use, minute uint32) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	s := h.subjects[key]
	return s != nil && s.note(u, minute)
}

// add stores a use of a new object or secret.
func (g *Gatherer) add(home *shard, key usage.Key, u oauth2.Use, minute uint32) {
	home.mu.Lock()
	defer home.mu.Unlock()
	s := home.subjects[key]
	if s == nil {
		if g.subjects.Load() >= maxSubjects {
			advance(&g.from, minute+1) // there is no room: up to now something is missing
			return
		}
		g.subjects.Add(1)
		s = &subject{}
		home.subjects[key] = s
	}
	if !usage.Printable(u.Credential, usage.MaxCredentialID) {
		u.Credential = ""
	}
	if u.Credential != "" {
		s.addCredential(u.Credential)
	}
	s.note(u, minute)
}

// note reports whether it found a place for the secret.
func (s *subject) note(u oauth2.Use, minute uint32) bool {
	if u.Credential != "" {
		c := s.credential(u.Credential)
		if c == nil {
			return false
		}
		advance(&c.at, minute)
	}
	if u.Issued {
		advance(&s.issued, minute)
	}
	if u.Presented {
		advance(&s.presented, minute)
	}
	if u.Stale != "" {
		s.noteStale(u, minute)
	}
	return true
}

// advance moves a stamp forward. Mostly it writes nothing, so that other cores keep their caches.
func advance(stamp *atomic.Uint32, minute uint32) {
	for {
		before := stamp.Load()
		if before >= minute || stamp.CompareAndSwap(before, minute) {
			return
		}
	}
}

func (s *subject) credential(id string) *stampedCredential {
	for c := &s.credentials; c != nil; c = c.next {
		if c.id == id {
			return c
		}
	}
	return nil
}

// addCredential adds a secret. It replaces the least recently used if there are too many; see
// usage.Seen.AtMost.
func (s *subject) addCredential(id string) {
	if s.credential(id) != nil {
		return
	}
	place, last, count := &s.credentials, &s.credentials, 1
	for ; last.next != nil; count++ {
		if last = last.next; last.at.Load() < place.at.Load() {
			place = last
		}
	}
	if s.credentials.id != "" && count < usage.MaxCredentials {
		last.next = &stampedCredential{}
		place = last.next
	}
	place.id = strings.Clone(id)
	place.at.Store(0)
}

func (s *subject) noteStale(u oauth2.Use, minute uint32) {
	index := slices.Index(oauth2.StaleUses[:], u.Stale)
	if index < 0 {
		return
	}
	if s.stale[index].Load() == nil {
		s.stale[index].CompareAndSwap(nil, &stampedStale{}) // another request may be first
	}
	stale := s.stale[index].Load()
	stale.count.Add(1)
	if stale.at.Load() < minute {
		advance(&stale.at, minute)
		last := &staleDetail{credential: strings.Clone(u.Credential)}
		if usage.Printable(u.Source, usage.MaxSource) {
			last.source = strings.Clone(u.Source)
		}
		stale.last.Store(last)
	}
}

// Entries returns all uses, sorted by key, and the minute since which none is missing. It forgets
// old ones.
func (g *Gatherer) Entries(now usage.Minute) (entries []usage.Entry, from usage.Minute) {
	if now > keepMinutes {
		advance(&g.from, uint32(now-keepMinutes))
	}
	entries = make([]usage.Entry, 0, g.subjects.Load())
	for i := range g.shards {
		entries = g.shards[i].entries(entries, now, &g.subjects)
	}
	slices.SortFunc(entries, func(a, b usage.Entry) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return entries, usage.Minute(g.from.Load()) // read last: what was lost while this was being put together is accounted for
}

func (h *shard) entries(entries []usage.Entry, now usage.Minute, subjects *atomic.Int64) []usage.Entry {
	var forgotten []usage.Key
	h.mu.RLock()
	for key, s := range h.subjects {
		seen := s.seen()
		if now > keepMinutes && seen.Latest() < now-keepMinutes {
			forgotten = append(forgotten, key)
			continue
		}
		entries = append(entries, usage.Entry{Key: key, Seen: seen})
	}
	h.mu.RUnlock()
	if len(forgotten) == 0 {
		return entries
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, key := range forgotten {
		if s := h.subjects[key]; s != nil && s.seen().Latest() < now-keepMinutes {
			delete(h.subjects, key)
			subjects.Add(-1)
		}
	}
	return entries
}

func (s *subject) seen() usage.Seen {
	seen := usage.Seen{Issued: usage.Minute(s.issued.Load()), Presented: usage.Minute(s.presented.Load())}
	for c := &s.credentials; c != nil && c.id != ""; c = c.next {
		seen.Credentials = append(seen.Credentials, usage.Credential{ID: c.id, At: usage.Minute(c.at.Load())})
	}
	for i := range s.stale {
		stale := s.stale[i].Load()
		if stale == nil {
			continue
		}
		told := usage.Stale{Use: oauth2.StaleUses[i], Count: stale.count.Load(), At: usage.Minute(stale.at.Load())}
		if told.At == 0 {
			continue // it is being noted right now
		}
		if last := stale.last.Load(); last != nil {
			told.Credential, told.Source = last.credential, last.source
		}
		seen.Stale = append(seen.Stale, told)
	}
	return seen
}
