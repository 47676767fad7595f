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
	// Each belongs to one part of a report.
	shards = usage.MaxParts
	// MaxBytes bounds the memory of the uses of one replica: those of 104,857 clients with one
	// secret each. Only authenticated uses are stored. Beyond it the namespaces with the
	// most lose their oldest uses, and reports name these namespaces. All uses fit into one
	// report: usage.Split.
	MaxBytes = 16 << 20
	// keepMinutes is how long a use is stored. The status has it long before.
	keepMinutes = 9 * 24 * 60
)

// What is stored takes so many bytes at most, its place in a map included. Texts longer than
// shortText count textBytes for each further byte: three times what they take, because their
// report must not be too long either.
const (
	subjectBytes    = 160
	credentialBytes = 48
	staleBytes      = 144
	shortText       = 16
	textBytes       = 3
)

// Gatherer stores the last uses of objects. Note is safe for concurrent use: for a known object and
// secret it takes a read lock, writes once a minute, and allocates nothing.
type Gatherer struct {
	shards [shards]shard
	// from is the minute since which no use is missing, but for those of losses.
	from atomic.Uint32
	// bytes is what all objects take, and most bounds it.
	bytes atomic.Int64
	most  int64
	// making is locked while a request makes room.
	making sync.Mutex

	// mu follows the lock of a shard.
	mu sync.Mutex
	// owners are the namespaces with objects, and lost is until when uses of a namespace are
	// missing.
	owners map[string]*owner
	lost   map[string]usage.Minute
}

// owner is a namespace and the number of its objects.
type owner struct {
	namespace string
	subjects  int
}

type shard struct {
	mu       sync.RWMutex
	subjects map[usage.Key]*subject
}

// subject is one object. Most have one secret, which is a part of it, so that the garbage collector
// has little to follow.
type subject struct {
	// of and bytes change under the lock of the shard.
	of    *owner
	bytes int32

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

// NewGatherer returns a Gatherer that lacks no use from a minute on. most bounds its memory in
// bytes; it is MaxBytes but in tests.
func NewGatherer(from usage.Minute, most int64) *Gatherer {
	g := &Gatherer{most: most, owners: map[string]*owner{}, lost: map[string]usage.Minute{}}
	for i := range g.shards {
		g.shards[i].subjects = map[usage.Key]*subject{}
	}
	g.from.Store(uint32(from))
	return g
}

// Note stores a use.
func (g *Gatherer) Note(u oauth2.Use) {
	if u.Subject == "" || u.Credential == "" && !u.Issued && !u.Presented && u.Stale == "" {
		return
	}
	if !usage.Printable(u.Credential, usage.MaxCredentialID) {
		u.Credential = ""
	}
	key, minute := usage.KeyOf(u.Subject), uint32(usage.MinuteOf(u.At))
	home := g.home(key)
	if home.note(key, u, minute) {
		return
	}
	g.makeRoom()
	g.add(home, key, u, minute)
}

func (g *Gatherer) home(key usage.Key) *shard { return &g.shards[usage.PartOf(key, shards)] }

// note stores a use of a known object, secret and stale use. It holds the lock, so that the object
// is not forgotten meanwhile.
func (h *shard) note(key usage.Key, u oauth2.Use, minute uint32) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	s := h.subjects[key]
	return s != nil && s.note(u, minute)
}

// add stores a use of a new object, secret or stale use.
func (g *Gatherer) add(home *shard, key usage.Key, u oauth2.Use, minute uint32) {
	home.mu.Lock()
	defer home.mu.Unlock()
	s := home.subjects[key]
	if s == nil {
		s = &subject{}
		home.subjects[key] = s
	}
	g.own(s, u.Namespace)
	s.add(u)
	s.note(u, minute)
	g.weigh(s)
}

// own charges an object to its namespace. An object of a client that was not known may have none at
// first.
func (g *Gatherer) own(s *subject, namespace string) {
	if s.of != nil && (s.of.namespace == namespace || namespace == "") {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.disown(s)
	s.of = g.owners[namespace]
	if s.of == nil {
		s.of = &owner{namespace: strings.Clone(namespace)}
		g.owners[s.of.namespace] = s.of
	}
	s.of.subjects++
}

// disown takes an object from its namespace.
func (g *Gatherer) disown(s *subject) {
	if s.of == nil {
		return
	}
	if s.of.subjects--; s.of.subjects == 0 {
		delete(g.owners, s.of.namespace)
	}
}

// weigh counts what an object takes now.
func (g *Gatherer) weigh(s *subject) {
	before := s.bytes
	s.bytes = s.size()
	g.bytes.Add(int64(s.bytes - before))
}

// forget removes an object; the shard is locked.
func (g *Gatherer) forget(home *shard, key usage.Key, s *subject) {
	delete(home.subjects, key)
	g.bytes.Add(int64(-s.bytes))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.disown(s)
}

// size is what an object takes.
func (s *subject) size() int32 {
	bytes := subjectBytes - credentialBytes
	for c := &s.credentials; c != nil; c = c.next {
		bytes += credentialBytes + textBytes*max(0, len(c.id)-shortText)
	}
	for i := range s.stale {
		if s.stale[i].Load() != nil {
			bytes += staleBytes
		}
	}
	return int32(bytes)
}

// note reports whether it found places for the secret and the stale use.
func (s *subject) note(u oauth2.Use, minute uint32) bool {
	index := slices.Index(oauth2.StaleUses[:], u.Stale)
	if index >= 0 && s.stale[index].Load() == nil {
		return false
	}
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
	if index >= 0 {
		s.stale[index].Load().note(u, minute)
	}
	return true
}

// add makes places for what is new of a use.
func (s *subject) add(u oauth2.Use) {
	if u.Credential != "" {
		s.addCredential(u.Credential)
	}
	if index := slices.Index(oauth2.StaleUses[:], u.Stale); index >= 0 && s.stale[index].Load() == nil {
		s.stale[index].Store(&stampedStale{})
	}
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

func (s *stampedStale) note(u oauth2.Use, minute uint32) {
	s.count.Add(1)
	if s.at.Load() >= minute {
		return
	}
	advance(&s.at, minute)
	last := &staleDetail{credential: strings.Clone(u.Credential)}
	if usage.Printable(u.Source, usage.MaxSource) {
		last.source = strings.Clone(u.Source)
	}
	s.last.Store(last)
}

// Report is the uses of a replica at an instant.
type Report struct {
	// Parts are those of usage.Split. Whole is false if uses had to be left out.
	Parts [][]byte
	Whole bool
	// Losses are the namespaces that lost uses, which the first part names. From is the minute
	// since which no other use is missing.
	Losses []usage.Loss
	From   usage.Minute
}

// Report returns all uses in at least so many parts. It forgets old ones. It takes the memory of
// the encoded parts, and of the entries of one.
func (g *Gatherer) Report(now usage.Minute, parts int) (report Report) {
	report.Parts, report.Whole = usage.Split(parts, func(part, n int) ([]usage.Entry, []usage.Loss) {
		entries := g.part(part, n, now)
		if part > 0 {
			return entries, nil
		}
		// last: what was lost meanwhile is accounted for
		report.Losses, report.From = g.covered(now)
		return entries, report.Losses
	})
	return report
}

// part returns the uses of the objects of a part, sorted by key, and forgets old ones.
func (g *Gatherer) part(part, n int, now usage.Minute) (entries []usage.Entry) {
	count := 0
	for i := part; i < shards; i += n {
		count += g.shards[i].count()
	}
	entries = make([]usage.Entry, 0, count)
	for i := part; i < shards; i += n {
		entries = g.entries(&g.shards[i], entries, now)
	}
	slices.SortFunc(entries, func(a, b usage.Entry) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return entries
}

func (h *shard) count() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.subjects)
}

func (g *Gatherer) entries(home *shard, entries []usage.Entry, now usage.Minute) []usage.Entry {
	var forgotten []usage.Key
	home.mu.RLock()
	for key, s := range home.subjects {
		seen := s.seen()
		if now > keepMinutes && seen.Latest() < now-keepMinutes {
			forgotten = append(forgotten, key)
			continue
		}
		entries = append(entries, usage.Entry{Key: key, Seen: seen})
	}
	home.mu.RUnlock()
	if len(forgotten) == 0 {
		return entries
	}
	home.mu.Lock()
	defer home.mu.Unlock()
	for _, key := range forgotten {
		if s := home.subjects[key]; s != nil && s.latest() < now-keepMinutes {
			g.forget(home, key, s)
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
