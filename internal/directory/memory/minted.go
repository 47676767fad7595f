// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// storedMinted is the record of an OAuth2Token and its resourceVersion; zero from a snapshot.
type storedMinted struct {
	*oauth2.Minted

	version uint64
}

// tokens returns those of the record, if there is one.
func (m storedMinted) tokens() []oauth2.MintedToken {
	if m.Minted == nil {
		return nil
	}
	return m.Tokens
}

func (m storedMinted) has(tokenID string) bool {
	return slices.ContainsFunc(m.tokens(), func(t oauth2.MintedToken) bool { return t.ID == tokenID })
}

// minted are the records of OAuth2Tokens by the names of their Secrets.
type minted struct {
	table[storedMinted]

	tombstones *tombstones
	revoked    *revocation.State
	past       func() time.Time
}

func (m *minted) byOpaqueID(opaqueID string) storedMinted {
	return m.get(placeOf(registration.OpaqueSecretName(opaqueID)))
}

// of returns the record of the OAuth2Token of a UID, if memory has it.
func (m *minted) of(uid string) storedMinted {
	return m.get(placeOf(registration.TokenSecretName(uid)))
}

// next stores the record that takes the place of another one. Tokens that it lacks are gone.
func (m *minted) next(place Place, next storedMinted) {
	if before := m.get(place); before.Minted != nil {
		m.bury(before, next.tokens()...)
		for _, token := range next.tokens() {
			if !before.has(token.ID) {
				m.tombstones.remove(tokenIdentity(token.ID))
			}
		}
	}
	m.put(place, next)
}

// bury records that the tokens of a record are gone, but for those that are kept, and those that
// have expired for certain.
func (m *minted) bury(record storedMinted, kept ...oauth2.MintedToken) {
	past := m.past()
	for _, token := range record.tokens() {
		if past.Before(token.ExpiresAt) && !slices.ContainsFunc(kept, func(k oauth2.MintedToken) bool { return k.ID == token.ID }) {
			m.tombstones.add(tokenIdentity(token.ID), TenantOf(record.Namespace))
		}
	}
}

// revokeForgotten revokes the unknown tokens of a record that have a tombstone or are old.
func (m *minted) revokeForgotten(record, known storedMinted, lost time.Time) {
	for _, token := range record.tokens() {
		if !known.has(token.ID) && (m.tombstones.has(tokenIdentity(token.ID)) || !madeSince(token.IssuedAt, lost)) {
			m.revoke(token)
		}
	}
}

// revoke revokes one token in this memory until it expires.
func (m *minted) revoke(token oauth2.MintedToken) {
	m.revoked.Revoke(revocation.NewEntry(revocation.IDOf(token.ID), token.ExpiresAt), revocation.Client{}, m.past())
}

// revokeOpaque revokes each opaque token that selectors revoke: it may outlive their quarantine.
func (m *minted) revokeOpaque(selectors map[string]revocation.Selector) {
	var selected revocation.State
	selected.Quarantine(selectors)
	m.each(func(_ Place, record storedMinted) {
		if !record.Opaque {
			return
		}
		before := selected.RevokedBefore(record.ClientID, record.Namespace)
		for _, token := range record.Tokens {
			if token.IssuedAt.Before(before) {
				m.revoke(token)
			}
		}
	})
}
