// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// maxCommitted bounds the tokens that reached the Secret. It leaves room for one on its way there.
const maxCommitted = oauth2.MaxMinted - 1

// SettleMinted brings a record in line with the Secret, and returns the token that it has. Expired
// tokens are dropped, but not the one in the Secret; so are tokens that never reached it, and all
// others if its token was to stand alone. Of those that reached it before, the newest stay.
func SettleMinted(m oauth2.Minted, value oauth2.Secret, now Time) (oauth2.Minted, oauth2.MintedToken, bool) {
	current, found := m.Find(value)
	at := -1
	if found = found && !value.Empty(); found {
		at = slices.IndexFunc(m.Tokens, hasID(current.ID))
	}
	tokens := commit(m.Tokens, at, now.Past(), func(t oauth2.MintedToken, isCurrent bool) (oauth2.MintedToken, bool) {
		if isCurrent {
			t.Exclusive = false
			return t, true
		}
		return t, !current.Exclusive && (!t.IssuedAt.After(current.IssuedAt) || now.Past().Sub(t.IssuedAt) <= PendingLife)
	})
	reached := slices.IndexFunc(tokens, hasID(current.ID)) + 1
	m.Tokens = append(evict(tokens[:reached], reached-maxCommitted, every, nil), tokens[reached:]...)
	current.Exclusive = false
	return m, current, found
}

// ProposeMinted adds a token that is about to be written to the Secret. Only one that never reached
// the Secret makes room for it: readers hold the others. current is the one in the Secret; without
// it, only the newest of a full record is known to be none of those.
func ProposeMinted(m oauth2.Minted, t oauth2.MintedToken, current string) oauth2.Minted {
	tokens := slices.Clone(m.Tokens)
	m.Tokens = tokens
	if i := slices.IndexFunc(tokens, hasID(t.ID)); i >= 0 {
		tokens[i] = t
		return m
	}
	reached := slices.IndexFunc(tokens, hasID(current)) + 1
	if current == "" {
		reached = min(maxCommitted, len(tokens))
	}
	pending := evict(tokens[reached:], len(tokens)+1-oauth2.MaxMinted, every, nil)
	m.Tokens = append(append(tokens[:reached], pending...), t)
	return m
}

func every(oauth2.MintedToken) bool { return true }

// CommittedMinted is a record without the tokens that were proposed after the one in the Secret and
// before the one that has taken its place.
func CommittedMinted(m oauth2.Minted, before, now string) oauth2.Minted {
	last := slices.IndexFunc(m.Tokens, hasID(before))
	if last < 0 {
		return m
	}
	tokens := slices.Clone(m.Tokens[:last+1])
	for _, t := range m.Tokens[last+1:] {
		if t.ID == now {
			tokens = append(tokens, t)
		}
	}
	m.Tokens = tokens
	return m
}

func hasID(id string) func(oauth2.MintedToken) bool {
	return func(t oauth2.MintedToken) bool { return t.ID == id }
}

// Renewal is when a Refreshing token is replaced: between a third and a half of its life, so that a
// manager may be away for half of it. The UID picks the instant, so that tokens drift apart.
func Renewal(t oauth2.MintedToken, uid string) time.Time {
	life := t.ExpiresAt.Sub(t.IssuedAt)
	sum := sha256.Sum256([]byte(uid))
	part := int64(binary.BigEndian.Uint16(sum[:])) // of 1<<16
	return t.IssuedAt.Add(life/3 + time.Duration(int64(life/6)*part>>16))
}

// Warning is when the end of a Fixed token is announced: two weeks or a quarter of its life ahead.
func Warning(t oauth2.MintedToken) time.Time {
	ahead := min(14*24*time.Hour, t.ExpiresAt.Sub(t.IssuedAt)/4)
	return t.ExpiresAt.Add(-ahead)
}
