// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// What was denied before etcd was restored stays denied although no object says so: tokens that were issued until then, in
// revocation.State, and OAuth2Tokens, here. A whole cluster may be in quarantine, so each step is linear in it, and requests take none
// of its locks.

// heldFor is how long a selector stays in quarantine: until every JWT that was issued before it has expired.
const heldFor = oauth2.MaxTokenLifetime + time.Hour

// heldPrefix begins the names of selectors in quarantine; names of objects have no slash.
const heldPrefix = "restored/"

// heldToken is an OAuth2Token in quarantine.
type heldToken struct {
	// until is when its quarantine ends. That of a Fixed one, whose tokens may live for months, has no end.
	until time.Time
	// since is the resourceVersion after which its record was written anew, after the restore was noticed; zero while the registry was not
	// listed since.
	since uint64
}

// quarantineToken refuses an OAuth2Token unless its record was written anew, and in any case each token of it that was refused before.
func (s tokenStore) quarantineToken(listed *lightToken, heard time.Time) {
	held, stored := heldToken{}, s.minted.recordOf(listed.owner.UID)
	s.revokeForgotten(stored, storedMinted{}, heard)
	if !s.source(resourceSecrets).isDistrusted() && !s.notices.isWaiting() { // it was listed since the restore was noticed
		held.since = s.minted.listed.Load()
	}
	if held.since != 0 && stored.version > held.since {
		return
	}
	if !listed.fixed {
		held.until = s.now().Add(heldFor)
	}
	s.minted.held.Store(listed.owner.UID, held)
}

// revokeForgotten revokes those tokens of a record that were gone, and those that were forgotten: they are not known, and old.
func (d *Directory) revokeForgotten(record, known storedMinted, heard time.Time) {
	for _, token := range record.tokens() {
		if !known.has(token.ID) && (d.departed.has(tokenIdentity(token.ID)) || !madeSince(token.IssuedAt, heard)) {
			d.revokeMinted(token)
		}
	}
}

// revokeMinted revokes one token in the memory of this replica until it expires.
func (d *Directory) revokeMinted(token oauth2.MintedToken) {
	d.revocations.Revoke(revocation.NewEntry(revocation.IDOf(token.ID), token.ExpiresAt), d.now())
}

// ended reports whether a quarantine is over, beside the version of the record.
func (h heldToken) ended(version uint64, now time.Time) bool {
	return h.since != 0 && version > h.since || !h.until.IsZero() && !now.Before(h.until)
}

// refused is an OAuth2Token as it counts: one in quarantine is as good as deleted.
func (m *minted) refused(owner *oauth2.MintedOwner, version uint64, now time.Time) *oauth2.MintedOwner {
	if owner == nil {
		return nil
	}
	value, _ := m.held.Load(owner.UID)
	held, isHeld := value.(heldToken)
	if !isHeld || held.ended(version, now) {
		return owner
	}
	return &oauth2.MintedOwner{UID: owner.UID, Terminating: true, ClientName: owner.ClientName, Scopes: owner.Scopes}
}

// written ends the quarantine of an OAuth2Token whose record was written anew.
func (m *minted) written(uid string, version uint64, now time.Time) {
	value, _ := m.held.Load(uid)
	if held, isHeld := value.(heldToken); isHeld && held.ended(version, now) {
		m.held.Delete(uid)
	}
}

// rewind forgets after which version a record was written anew: the registry was restored once more.
func (m *minted) rewind() { m.setSince(func(heldToken) bool { return true }, 0) }

// list takes note that the registry was listed at a version.
func (m *minted) list(version uint64) {
	m.listed.Store(version)
	m.setSince(func(held heldToken) bool { return held.since == 0 }, version)
}

func (m *minted) setSince(applies func(heldToken) bool, version uint64) {
	m.held.Range(func(uid, value any) bool {
		if held, ok := value.(heldToken); ok && applies(held) {
			held.since = version
			m.held.Store(uid, held)
		}
		return true
	})
}

// end ends the quarantine of the OAuth2Tokens whose JWTs have expired.
func (m *minted) end(now time.Time) {
	m.held.Range(func(uid, value any) bool {
		if held, ok := value.(heldToken); ok && held.ended(0, now) {
			m.held.Delete(uid)
		}
		return true
	})
}

// allHeld is what is in quarantine, by UID.
func (m *minted) allHeld() map[string]heldToken {
	all := map[string]heldToken{}
	m.held.Range(func(uid, value any) bool {
		text, isText := uid.(string)
		if held, ok := value.(heldToken); ok && isText {
			all[text] = held
		}
		return true
	})
	return all
}

// recordOf is the record of the OAuth2Token of a UID, if memory has it.
func (m *minted) recordOf(uid string) storedMinted {
	stored, _ := m.records.get(hashOf(registration.TokenSecretName(uid)))
	return stored
}

// holdAgain takes over what a process before this one had in quarantine.
func (d *Directory) holdAgain(p *picture) {
	quarantined := map[string]revocation.Selector{}
	for name, selector := range p.selectors {
		if strings.HasPrefix(name, heldPrefix) {
			quarantined[name] = selector
		}
	}
	d.revocations.Quarantine(quarantined)
	for uid, held := range p.held {
		d.minted.held.Store(uid, held)
	}
	for _, owner := range p.mintedOwners { // an earlier build wrote that those in quarantine are terminating
		if _, isHeld := p.held[owner.UID]; isHeld {
			owner.Terminating = false
		}
	}
}

// release ends what was in quarantine for long enough.
func (d *Directory) release() {
	if d.Heard().IsZero() {
		return // the records of opaque tokens are not known yet
	}
	d.minted.end(d.now())
	issued := d.now().Add(-heldFor)
	if ending := d.revocations.Quarantined(issued); len(ending) > 0 {
		d.revokeOpaque(ending)
		d.revocations.EndQuarantine(issued)
	}
}

// revokeOpaque revokes each opaque token that selectors revoke: it may live for longer than they are in quarantine.
func (d *Directory) revokeOpaque(selectors map[string]revocation.Selector) {
	var selected revocation.State
	selected.Quarantine(selectors)
	d.minted.records.each(func(m storedMinted) {
		if !m.Opaque {
			return
		}
		before := selected.RevokedBefore(m.ClientID, m.Namespace)
		for _, token := range m.Tokens {
			if token.IssuedAt.Before(before) {
				d.revokeMinted(token)
			}
		}
	})
}
