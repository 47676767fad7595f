// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// pendingLife is how long a token may take from its record to its Secret. After that nobody has it.
const pendingLife = 5 * time.Minute

// settle makes the record tell the truth about the value in the Secret, which is where the commit point is. It reports the token that
// the value is, if it is one. Tokens that are over are dropped, unless it is the one in the Secret, whose end is to be told; so are
// those that never reached the Secret, and, where the one that did was to stand alone, all others.
func settle(m oauth2.Minted, value oauth2.Secret, now time.Time) (oauth2.Minted, oauth2.MintedToken, bool) {
	current, found := m.Find(value)
	found = found && !value.Empty()
	var kept []oauth2.MintedToken
	for _, t := range m.Tokens {
		switch isCurrent := found && t.ID == current.ID; {
		case isCurrent:
			t.Alone = false
			kept = append(kept, t)
		case found && current.Alone, !now.Before(t.ExpiresAt):
		case found && t.IssuedAt.After(current.IssuedAt) && now.Sub(t.IssuedAt) > pendingLife:
		default:
			kept = append(kept, t)
		}
	}
	m.Tokens = kept
	current.Alone = false
	return m, current, found
}

// propose adds a token that is about to be written to the Secret. The oldest make room for it.
func propose(m oauth2.Minted, t oauth2.MintedToken) oauth2.Minted {
	surplus := max(0, len(m.Tokens)+1-oauth2.MaxMinted)
	m.Tokens = append(slices.Clone(m.Tokens[surplus:]), t)
	return m
}

// renewal is when a Refreshing token is replaced: between a third and a half of its life, so that a manager which is away for half of
// it leaves no reader with a token that has expired. Where in between, the UID of its object picks, so that tokens which were made
// together drift apart.
func renewal(t oauth2.MintedToken, uid string) time.Time {
	life := t.ExpiresAt.Sub(t.IssuedAt)
	sum := sha256.Sum256([]byte(uid))
	part := int64(binary.BigEndian.Uint16(sum[:])) // of 1<<16
	return t.IssuedAt.Add(life/3 + time.Duration(int64(life/6)*part>>16))
}

// warning is when the end of a Fixed token is announced: two weeks ahead, or when a quarter of its life is left if that is later.
func warning(t oauth2.MintedToken) time.Time {
	ahead := min(14*24*time.Hour, t.ExpiresAt.Sub(t.IssuedAt)/4)
	return t.ExpiresAt.Add(-ahead)
}
