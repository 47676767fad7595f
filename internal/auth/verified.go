// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// MaxVerifiedBytes bounds the memory of tokens whose signature is known to be good: some 12,000 of
// them, if most have few scopes.
const MaxVerifiedBytes = 12 << 20

const (
	// verifiedEntry is what a token takes beside the text of its claims, which is shorter than
	// the token: an entry, its slot in the table, and the structure of the claims.
	verifiedEntry = 336
	// verifiedAncestor is what each ancestor of a token takes beside its text, with its actor.
	verifiedAncestor = 128
	// verifiedStep is by how much a namespace takes more or less before it changes its place
	// among the namespaces: most tokens move none.
	verifiedStep = 4 << 10
	// maxVerifiedChances is how many tokens in use are passed over for one that is not.
	maxVerifiedChances = 16
)

// verified remembers tokens whose signature was found good, or was made here: a signature that is
// good once is good for ever, and checking it is most of what an introspection costs. Nothing that
// can change is remembered: the key, the time and every denial are checked each time. A token is
// found by the hash of the whole of it, signature included.
//
// Only tokens that our keys have signed get in, so an unauthenticated caller cannot evict any. Of
// the namespaces of their clients, the one that takes the most loses a token to a new one. So a
// namespace loses none while it takes no more than its part, which is all divided by the number of
// namespaces, but for verifiedStep, and what others leave of their parts is lent.
type verified struct {
	mu sync.RWMutex
	// tokens are by the first bytes of their hashes. A token that has them in common with
	// another one is not remembered.
	tokens  map[uint64]*verifiedToken
	holders map[string]*verifiedHolder // by namespace
	most    mostVerified
	bytes   int
}

// verifiedToken is a token that is remembered. Only used and next change.
type verifiedToken struct {
	oauth2.Verified

	key   [sha256.Size]byte
	bytes int
	// used means that the token was asked for since it was last passed over.
	used atomic.Bool
	next *verifiedToken
}

// verifiedHolder has the tokens of a namespace, in a queue: the first one is the next to go.
type verifiedHolder struct {
	namespace   string
	bytes       int
	first, last *verifiedToken
	place       int // in mostVerified
	placedBy    int // what bytes was when it got the place
}

func newVerified() *verified {
	return &verified{tokens: map[uint64]*verifiedToken{}, holders: map[string]*verifiedHolder{}}
}

// get returns what was read of a token.
func (v *verified) get(token string) (oauth2.Verified, bool) {
	key := hashOf(token)
	v.mu.RLock()
	found := v.tokens[firstOf(key)]
	v.mu.RUnlock()
	if found == nil || found.key != key {
		return oauth2.Verified{}, false
	}
	// most are, and what is only read stays in the caches of all processors
	if !found.used.Load() {
		found.used.Store(true)
	}
	return found.Verified, true
}

// put remembers a token of a client in a namespace; empty if the client is not known.
func (v *verified) put(namespace, token string, read oauth2.Verified) {
	added := &verifiedToken{Verified: read, key: hashOf(token), bytes: sizeOfVerified(token, read.Claims)}
	first := firstOf(added.key)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tokens[first] != nil {
		return
	}
	holder := v.holders[namespace]
	if holder == nil {
		holder = &verifiedHolder{namespace: strings.Clone(namespace)}
		v.holders[holder.namespace] = holder
		heap.Push(&v.most, holder)
	}
	v.tokens[first] = added
	holder.push(added)
	v.weigh(holder, added.bytes)
	for v.bytes > MaxVerifiedBytes {
		v.forget(v.most[0])
	}
}

// sizeOfVerified is the memory that a token takes.
func sizeOfVerified(token string, claims *oauth2.Claims) int {
	const text, claim = 16, 56 // a string, and an oauth2.Claim
	size := len(token) + verifiedEntry + text*len(claims.Scopes) + claim*len(claims.Custom) + verifiedAncestor*len(claims.Ancestors)
	for i := range claims.Custom {
		size += text * len(claims.Custom[i].Values)
	}
	return size
}

// hashOf is the SHA-256 of a token. Most fit the buffer, and then nothing is allocated.
func hashOf(token string) [sha256.Size]byte {
	var buffer [2048]byte
	return sha256.Sum256(append(buffer[:0], token...))
}

func firstOf(key [sha256.Size]byte) uint64 { return binary.NativeEndian.Uint64(key[:]) }

// weigh adds to what a namespace takes.
func (v *verified) weigh(holder *verifiedHolder, bytes int) {
	v.bytes += bytes
	holder.bytes += bytes
	if moved := holder.bytes - holder.placedBy; moved >= verifiedStep || moved <= -verifiedStep {
		holder.placedBy = holder.bytes
		heap.Fix(&v.most, holder.place)
	}
}

// forget removes the oldest token of a namespace that was not asked for lately.
func (v *verified) forget(holder *verifiedHolder) {
	gone := holder.pop()
	for chance := 0; gone.used.Load() && chance < maxVerifiedChances; chance++ {
		gone.used.Store(false)
		holder.push(gone)
		gone = holder.pop()
	}
	delete(v.tokens, firstOf(gone.key))
	v.weigh(holder, -gone.bytes)
	if holder.first == nil {
		delete(v.holders, holder.namespace)
		heap.Remove(&v.most, holder.place)
	}
}

func (h *verifiedHolder) push(t *verifiedToken) {
	if t.next = nil; h.first == nil {
		h.first = t
	} else {
		h.last.next = t
	}
	h.last = t
}

func (h *verifiedHolder) pop() *verifiedToken {
	t := h.first
	h.first = t.next
	return t
}

// mostVerified is a heap of namespaces. The one that takes the most is the first.
type mostVerified []*verifiedHolder

// Len implements heap.Interface.
func (m mostVerified) Len() int { return len(m) }

// Less implements heap.Interface.
func (m mostVerified) Less(i, j int) bool { return m[i].placedBy > m[j].placedBy }

// Swap implements heap.Interface.
func (m mostVerified) Swap(i, j int) {
	m[i], m[j] = m[j], m[i]
	m[i].place, m[j].place = i, j
}

// Push implements heap.Interface.
func (m *mostVerified) Push(x any) {
	holder, _ := x.(*verifiedHolder)
	holder.place = len(*m)
	*m = append(*m, holder)
}

// Pop implements heap.Interface.
func (m *mostVerified) Pop() any {
	last := len(*m) - 1
	holder := (*m)[last]
	(*m)[last] = nil
	*m = (*m)[:last]
	return holder
}
