// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/sha256"
	"sync"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// verifiedEntries bounds each generation of the tokens that are remembered, and verifiedBytes their
// length together: a token with many scopes takes as much as ten usual ones. Both generations take
// at most 14 MiB. Only tokens that our keys have signed get in, so an unauthenticated caller cannot
// evict any.
const (
	verifiedEntries = 8 << 10
	verifiedBytes   = 6 << 20
)

// verified remembers tokens whose signature was found good, or was made here: a signature that is
// good once is good for ever, and checking it is most of what an introspection costs. Nothing that
// can change is remembered: the key, the time and every denial are checked each time. A token is
// found by the hash of the whole of it, signature included.
type verified struct {
	mu sync.RWMutex
	// young is what was put in or asked for since old was full; when it is full itself, what is
	// left in old is forgotten.
	young, old map[[sha256.Size]byte]oauth2.Verified
	// bytes is the length of all that are young.
	bytes int
}

func newVerified() *verified {
	return &verified{young: map[[sha256.Size]byte]oauth2.Verified{}}
}

// get returns what was read of a token.
func (v *verified) get(token string) (oauth2.Verified, bool) {
	key := hashOf(token)
	v.mu.RLock()
	found, there := v.young[key]
	aged := !there
	if aged {
		found, there = v.old[key]
	}
	v.mu.RUnlock()
	if there && aged {
		v.keep(key, found, len(token))
	}
	return found, there
}

// put remembers a token.
func (v *verified) put(token string, read oauth2.Verified) {
	v.keep(hashOf(token), read, len(token))
}

// hashOf is the SHA-256 of a token. Most fit the buffer, and then nothing is allocated.
func hashOf(token string) [sha256.Size]byte {
	var buffer [1024]byte
	return sha256.Sum256(append(buffer[:0], token...))
}

func (v *verified) keep(key [sha256.Size]byte, read oauth2.Verified, length int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.young) >= verifiedEntries || v.bytes+length > verifiedBytes {
		v.young, v.old, v.bytes = make(map[[sha256.Size]byte]oauth2.Verified, verifiedEntries), v.young, 0
	}
	if _, there := v.young[key]; !there {
		v.bytes += length
	}
	v.young[key] = read
}
