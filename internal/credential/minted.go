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

// maxCommitted bounds the tokens on record that reached the Secret. It leaves room for one that is on its way there.
const maxCommitted = oauth2.MaxMinted - 1

// SettleMinted makes the record tell the truth about the value in the Secret, which is where the commit point is. It reports the token that
// the value is, if it is one. Tokens that are over are dropped, unless it is the one in the Secret, whose end is to be told; so are
// those that never reached the Secret, and, where the one that did was to stand alone, all others. Of those that did before it, the
// newest stay.
func SettleMinted(m oauth2.Minted, value oauth2.Secret, now time.Time) (oauth2.Minted, oauth2.MintedToken, bool) {
	current, found := m.Find(value)
	found = found && !value.Empty()
	var kept []oauth2.MintedToken
	before := 0
	for _, t := range m.Tokens {
		switch isCurrent := found && t.ID == current.ID; {
		case isCurrent:
			t.Alone = false
			before = len(kept)
			kept = append(kept, t)
		case found && current.Alone, !now.Before(t.ExpiresAt):
		case found && t.IssuedAt.After(current.IssuedAt) && now.Sub(t.IssuedAt) > PendingLife:
		default:
			kept = append(kept, t)
		}
	}
	m.Tokens = slices.Delete(kept, 0, max(0, before+1-maxCommitted))
	current.Alone = false
	return m, current, found
}

// ProposeMinted adds a token that is about to be written to the Secret, unless it is on record already. Only one that never reached the Secret
// makes room for it: readers hold the others. current is the one in the Secret; without it nobody knows more than that the newest of as many
// as there may be is none of those.
func ProposeMinted(m oauth2.Minted, t oauth2.MintedToken, current string) oauth2.Minted {
	tokens := slices.Clone(m.Tokens)
	if i := slices.IndexFunc(tokens, hasID(t.ID)); i >= 0 {
		tokens[i] = t
		m.Tokens = tokens
		return m
	}
	if len(tokens) >= oauth2.MaxMinted {
		oldest := slices.IndexFunc(tokens, hasID(current)) + 1
		if current == "" {
			oldest = maxCommitted
		}
		tokens = slices.Delete(tokens, oldest, min(oldest+1, len(tokens)))
	}
	tokens = append(tokens, t)
	m.Tokens = tokens
	return m
}

// CommittedMinted is a record without the tokens that were proposed after the one in the Secret and before the one that has taken its place.
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

// Renewal is when a Refreshing token is replaced: between a third and a half of its life, so that a manager which is away for half of
// it leaves no reader with a token that has expired. Where in between, the UID of its object picks, so that tokens which were made
// together drift apart.
func Renewal(t oauth2.MintedToken, uid string) time.Time {
	life := t.ExpiresAt.Sub(t.IssuedAt)
	sum := sha256.Sum256([]byte(uid))
	part := int64(binary.BigEndian.Uint16(sum[:])) // of 1<<16
	return t.IssuedAt.Add(life/3 + time.Duration(int64(life/6)*part>>16))
}

// Warning is when the end of a Fixed token is announced: two weeks ahead, or when a quarter of its life is left if that is later.
func Warning(t oauth2.MintedToken) time.Time {
	ahead := min(14*24*time.Hour, t.ExpiresAt.Sub(t.IssuedAt)/4)
	return t.ExpiresAt.Add(-ahead)
}
