// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// Generation is which refresh token of a grant counts. A refresh token has the number of its
// generation. When a successor is issued, its number becomes that of the grant: a refresh token of
// an earlier one that is presented from an instant on was copied. It holds no pointer and takes 32
// bytes.
type Generation struct {
	Grant  ID
	Number uint32
	// From is the instant from which earlier generations do not count, and Until the absolute
	// end of the grant, both in seconds since 1970.
	From, Until uint32
	// Client is the number of the client that the grant was issued to, as that of an Entry.
	Client uint32
}

// Expired reports whether the grant has reached its absolute end.
func (g Generation) Expired(now time.Time) bool {
	return !now.Before(time.Unix(int64(g.Until), 0))
}

// latest returns which of two generations of one grant counts: the one with the higher number. Two
// replicas may issue a successor of one number at once, so of two instants the later one counts:
// each of their callers has until then to try again. The order in which they come does not matter.
func (g Generation) latest(other Generation) Generation {
	if order := cmp.Or(cmp.Compare(g.Number, other.Number), cmp.Compare(g.From, other.From)); order < 0 {
		g.Number, g.From = other.Number, other.From
	}
	g.Until = max(g.Until, other.Until)
	return g
}

const (
	// MaxGenerations bounds the generations of a batch: with all its lists full, and as many
	// clients in both lists of clients as it may have, a batch takes 1.5 MB.
	MaxGenerations = MaxBatch / 2
	generationSize = len(ID{}) + 3*4
	// generationsVersion is that of the stored list.
	generationsVersion = 1
)

// PackGenerations encodes the generations of the batch; nil if there are none:
//
//	version (1), number of clients, then for each client:
//	  client_id, namespace, number of generations
//	  each as the id of its grant, and its number, instant and end as four bytes each
//
// Numbers of elements are varints, and a text has its length before it. A client that is not known
// has no client_id and no namespace.
func (b Batch) PackGenerations() []byte {
	if len(b.Generations) == 0 {
		return nil
	}
	list := slices.SortedStableFunc(slices.Values(b.Generations), func(x, y Generation) int { return cmp.Compare(x.Client, y.Client) })
	var w wire.Writer
	clients := 0
	for rest := list; len(rest) > 0; clients++ {
		of := rest[0].Client
		count := slices.IndexFunc(rest, func(g Generation) bool { return g.Client != of })
		if count < 0 {
			count = len(rest)
		}
		client := b.client(of)
		w.Text(client.ID)
		w.Text(client.Namespace)
		w.Varint(int64(count))
		for _, g := range rest[:count] {
			w.Raw(string(g.Grant[:]))
			for _, n := range []uint32{g.Number, g.From, g.Until} {
				w.Bytes = binary.BigEndian.AppendUint32(w.Bytes, n)
			}
		}
		rest = rest[count:]
	}
	head := wire.Writer{Bytes: make([]byte, 0, len(w.Bytes)+4)}
	head.Byte(generationsVersion)
	head.Varint(int64(clients))
	return append(head.Bytes, w.Bytes...)
}

// EncodeGenerations returns the output of PackGenerations in base64; empty if there are none.
func (b Batch) EncodeGenerations() string {
	return base64.StdEncoding.EncodeToString(b.PackGenerations())
}

// decodeGenerations decodes the output of EncodeGenerations as UnpackGenerations does.
func (b *Batch) decodeGenerations(encoded string) error {
	packed, err := jws.DecodeBase64(encoded)
	if err != nil {
		return fmt.Errorf("%w: the generations are not base64", ErrUnreadable)
	}
	return b.UnpackGenerations(packed)
}

// UnpackGenerations decodes the output of Batch.PackGenerations into the batch, which has its other
// lists already. With an error it changes nothing.
func (b *Batch) UnpackGenerations(packed []byte) error {
	if len(packed) == 0 {
		return nil
	}
	r := wire.NewReader(string(packed))
	if version := r.Byte(); version != generationsVersion {
		return fmt.Errorf("%w: generations of version %d, this build reads %d", ErrUnreadable, version, generationsVersion)
	}
	read, known := Batch{Clients: slices.Clone(b.Clients)}, numbers{}
	for i, client := range read.Clients {
		known[client] = uint32(i + 1)
	}
	for range r.Count() {
		client, number := Client{ID: strings.Clone(r.Text()), Namespace: strings.Clone(r.Text())}, uint32(0)
		if client != (Client{}) {
			number = known.of(client, &read)
		}
		for range r.Count() {
			read.Generations = append(read.Generations, readGeneration(&r, number))
		}
	}
	if !r.Done() {
		return fmt.Errorf("%w: generations of the wrong form", ErrUnreadable)
	}
	b.Generations, b.Clients = read.Generations, read.Clients
	return nil
}

func readGeneration(r *wire.Reader, of uint32) (g Generation) {
	copy(g.Grant[:], r.Raw(len(g.Grant)))
	for _, into := range []*uint32{&g.Number, &g.From, &g.Until} {
		if raw := r.Raw(4); len(raw) == 4 {
			*into = binary.BigEndian.Uint32([]byte(raw))
		}
	}
	g.Client = of
	return g
}

// mergeGenerations adds the generations of a batch that have not expired.
func (b *Batch) mergeGenerations(from Batch, known numbers, now time.Time) {
	for _, g := range from.Generations {
		if g.Expired(now) {
			continue
		}
		if g.Client != 0 {
			g.Client = known.of(from.client(g.Client), b)
		}
		b.Generations = append(b.Generations, g)
	}
}

// latestGenerations sorts generations by grant, and keeps the one that counts of each grant.
func latestGenerations(list []Generation) []Generation {
	slices.SortFunc(list, func(a, b Generation) int {
		return cmp.Or(bytes.Compare(a.Grant[:], b.Grant[:]), cmp.Compare(b.Client, a.Client))
	})
	kept := list[:0]
	for _, g := range list {
		if last := len(kept) - 1; last >= 0 && kept[last].Grant == g.Grant {
			kept[last] = kept[last].latest(g)
			continue
		}
		kept = append(kept, g)
	}
	return kept
}

// The bounds of the grants with a generation in memory. A grant has one from its first refresh that
// rotates until its absolute end; it is never dropped earlier, because a copied refresh token would
// count again.
const (
	// maxGrants is how many there are in all: 3 MiB of memory. Namespaces have what is left of
	// lentGrants beyond their shares of grantShare each: what is never lent is enough for 32
	// whole shares, and for parts of shares beyond.
	maxGrants  = 1 << 16
	lentGrants = maxGrants * 11 / 16
	grantShare = 1 << 9
)

// generations are the generations in memory by the id of the grant, in as many parts as a snapshot
// has. The zero generations are empty.
type generations struct {
	parts [Parts]struct {
		mu sync.RWMutex
		of map[ID]Generation
	}
}

// partOf returns the index of the part of a grant: the first six bits of its random id.
func partOf(grant ID) int { return int(grant[0] >> 2) }

func (s *generations) get(grant ID) (g Generation, there bool) {
	part := &s.parts[partOf(grant)]
	part.mu.RLock()
	defer part.mu.RUnlock()
	g, there = part.of[grant]
	return g, there
}

// put adds a generation, or advances that of its grant. It reports whether the grant is new here.
func (s *generations) put(g Generation) (added bool) {
	part := &s.parts[partOf(g.Grant)]
	part.mu.Lock()
	defer part.mu.Unlock()
	if part.of == nil {
		part.of = map[ID]Generation{}
	}
	before, there := part.of[g.Grant]
	if there {
		g = before.latest(g)
	}
	part.of[g.Grant] = g
	return !there
}

// sweep removes the generations of grants that have ended, and calls removed for each. It locks one
// part at a time.
func (s *generations) sweep(now time.Time, removed func(Generation)) {
	for i := range s.parts {
		part := &s.parts[i]
		part.mu.Lock()
		for grant, g := range part.of {
			if g.Expired(now) {
				delete(part.of, grant)
				removed(g)
			}
		}
		if len(part.of) == 0 {
			part.of = nil // a map does not shrink
		}
		part.mu.Unlock()
	}
}

// part returns the generations of one of the parts, in the order of their grants.
func (s *generations) part(i int) []Generation {
	part := &s.parts[i]
	part.mu.RLock()
	defer part.mu.RUnlock()
	list := make([]Generation, 0, len(part.of))
	for _, g := range part.of {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b Generation) int { return bytes.Compare(a.Grant[:], b.Grant[:]) })
	return list
}

func (s *generations) count() (all int) {
	for i := range s.parts {
		part := &s.parts[i]
		part.mu.RLock()
		all += len(part.of)
		part.mu.RUnlock()
	}
	return all
}

// grants are the generations and the ends of grants, and what else has clients: the end of a grant
// is one of the revoked tokens.
type grants struct {
	tokens      Set
	generations generations
	holders     holders
}

// Ended reports whether a grant has ended: its id is revoked as a token is, until its absolute end.
func (r *grants) Ended(grant ID, now time.Time) bool { return r.tokens.Has(grant, now) }

// Generation returns which generation of a grant counts; there is false before its first refresh
// that rotates.
func (r *grants) Generation(grant ID, now time.Time) (g Generation, there bool) {
	g, there = r.generations.get(grant)
	if g.Client = 0; !there || g.Expired(now) {
		return Generation{}, false
	}
	return g, true
}

// Advance makes a generation of a client's grant the one that counts, in this memory only, unless
// one that counts more is known. What a caller is answered with has to be durable before: after a
// failed Journal.Advance the client has the earlier refresh token only.
func (r *grants) Advance(g Generation, of Client, now time.Time) {
	if g.Client = 0; g.Expired(now) {
		return
	}
	if of != (Client{}) {
		g.Client = r.holders.enterGrant(of)
	}
	if !r.generations.put(g) {
		r.holders.leaveGrant(g.Client)
	}
}

// RoomToAdvance returns nil if there is room for the generation of a grant of a client, and its
// refusal otherwise.
func (r *grants) RoomToAdvance(grant ID, of Client) error {
	if _, there := r.generations.get(grant); there || r.holders.hasRoomForGrant(of.Namespace) {
		return nil
	}
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: oauth2.ReasonGrantNotDurable, RetryAfter: commitRetry,
		Description: "too many logins of this namespace have refresh tokens that are replaced; the refresh token stays valid, try again later or log in again",
	}
}

// RoomToEnd returns nil if there is room for the end of a grant of a client, which is a revocation
// that is never collapsed, and its refusal otherwise.
func (r *grants) RoomToEnd(grant ID, of Client) error {
	if r.tokens.holds(grant) || r.holders.hasRoomToLast(of.Namespace) {
		return nil
	}
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: oauth2.ReasonGrantNotDurable, RetryAfter: commitRetry,
		Description: "too many logins of this namespace were ended one by one; the login has not ended, ask again until the answer is 200",
	}
}

// Grants returns how many grants have a generation in memory.
func (r *grants) Grants() int { return r.generations.count() }

// SecondsOf returns an instant as a Generation has it, rounded up.
func SecondsOf(at time.Time) uint32 {
	seconds := at.Unix()
	if at.Nanosecond() > 0 {
		seconds++
	}
	return uint32(min(max(seconds, 0), math.MaxUint32))
}
