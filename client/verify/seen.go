// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import "sync/atomic"

// verdict is a token whose signature is good.
type verdict struct {
	raw    string // raw and the claims are substrings of one string
	claims Claims
	keyID  string
	// key is the one that signed it. A key of the same kid that is another one verifies nothing
	// of it.
	key *publicKey
	// until is the second from which on the token is not accepted.
	until int64
	// epoch is that of the keys and revocations by which it was checked last.
	epoch atomic.Uint64
}

// maxSeen is how many tokens are remembered, a power of two.
const maxSeen = 1 << 14

// seen are tokens that were verified before. A token has two places, by the end of its signature,
// which is as good as random; in a full pair it replaces another one. Only a token whose signature
// is good gets there, so that only clients with tokens fill it. A look-up takes no lock.
type seen [maxSeen]atomic.Pointer[verdict]

// minLength is less than any token has.
const minLength = 16

// place returns the first place of a token; the other one is place^1.
func place(raw string) int {
	end := raw[len(raw)-9:]
	mixed := (uint64(end[0]) | uint64(end[1])<<8 | uint64(end[2])<<16 | uint64(end[3])<<24 |
		uint64(end[4])<<32 | uint64(end[5])<<40 | uint64(end[6])<<48 | uint64(end[7])<<56) * 0x9e3779b97f4a7c15
	return int(mixed >> (64 - 14))
}

// get returns what is known of a token, or nil.
func (s *seen) get(raw string) *verdict {
	if len(raw) < minLength {
		return nil
	}
	at := place(raw)
	if v := s[at].Load(); v != nil && v.raw == raw {
		return v
	}
	if v := s[at^1].Load(); v != nil && v.raw == raw {
		return v
	}
	return nil
}

// put remembers a token. The one that was there moves to the other place.
func (s *seen) put(v *verdict) {
	at := place(v.raw)
	if before := s[at].Swap(v); before != nil && before.raw != v.raw {
		s[at^1].Store(before)
	}
}

// drop removes a token that will never be good again.
func (s *seen) drop(v *verdict) {
	at := place(v.raw)
	s[at].CompareAndSwap(v, nil)
	s[at^1].CompareAndSwap(v, nil)
}
