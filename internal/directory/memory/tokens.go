// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"iter"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/restore"
)

// Token is an OAuth2Token: what it has that can deny.
type Token struct {
	Place     Place
	Tenant    Tenant
	Owner     *oauth2.MintedOwner
	Fixed     bool
	CreatedAt time.Time
}

// Sighting returns the object without its content.
func (t Token) Sighting() Sighting { return Sighting{t.Place, t.Owner.UID, t.Owner.Terminating} }

// mintedOwner is the OAuth2Token that owns minted tokens.
type mintedOwner struct {
	*oauth2.MintedOwner

	from Tenant
}

func (o mintedOwner) identity() (uid string, isTerminating bool) {
	if o.MintedOwner == nil {
		return "", false
	}
	return o.UID, o.Terminating
}

func (o mintedOwner) refused() mintedOwner {
	return mintedOwner{&oauth2.MintedOwner{UID: o.UID, Terminating: true, ClientName: o.ClientName, Scopes: o.Scopes}, o.from}
}

func (o mintedOwner) tenant() Tenant { return o.from }

// Tokens is the store of OAuth2Tokens, which own the records of minted tokens.
type Tokens struct {
	objects[mintedOwner]

	owners     table[mintedOwner]
	minted     *minted
	quarantine quarantine
}

// Resurrected reports whether an OAuth2Token that was deleted or terminating is there again.
func (t *Tokens) Resurrected(token Token) bool { return t.isResurrected(token.Sighting()) }

// Apply stores an OAuth2Token. The tokens of one that is terminating are gone.
func (t *Tokens) Apply(token Token) {
	t.ended(t.apply(token.Place, mintedOwner{token.Owner, token.Tenant})...)
}

// Remove removes an OAuth2Token that was deleted.
func (t *Tokens) Remove(token Token) {
	t.remove(token.Place, token.Tenant, token.Owner.UID)
	t.ended(token.Owner.UID)
}

// ended records that OAuth2Tokens are gone, or about to go, which ends their quarantine.
func (t *Tokens) ended(uids ...string) {
	for _, uid := range uids {
		t.minted.bury(t.minted.of(uid))
		t.quarantine.Delete(uid)
	}
}

// Replace stores a whole list. What is not listed is gone.
func (t *Tokens) Replace(list iter.Seq[Token], at restore.List) {
	if !at.Lost.IsZero() {
		for token := range list {
			t.quarantineRestored(token, at)
		}
	}
	t.ended(t.replace(func(yield func(Place, mintedOwner) bool) {
		list(func(token Token) bool { return yield(token.Place, mintedOwner{token.Owner, token.Tenant}) })
	}, at.Saved)...)
}

// quarantineRestored quarantines a resurrected OAuth2Token of a restored list.
func (t *Tokens) quarantineRestored(token Token, at restore.List) {
	if token.Owner.Terminating {
		return
	}
	before := t.owners.get(token.Place)
	isKnown := before.MintedOwner != nil && before.UID == token.Owner.UID
	if t.isResurrected(token.Sighting()) || isKnown && before.Terminating || !isKnown && !madeSince(token.CreatedAt, at.Lost) {
		t.refuse(token, at)
		if !at.Waiting {
			t.revive(token.Sighting(), mintedOwner{token.Owner, token.Tenant})
		}
	}
}

// refuse refuses an OAuth2Token until its record is written anew, and revokes its tokens of before.
func (t *Tokens) refuse(token Token, at restore.List) {
	held, stored := quarantined{}, t.minted.of(token.Owner.UID)
	t.minted.revokeForgotten(stored, storedMinted{}, at.Lost)
	if !at.Waiting {
		held.since = t.quarantine.listedAfter(at.Restores)
	}
	if held.since != 0 && stored.version > held.since {
		return
	}
	if !token.Fixed {
		held.until = t.now().Add(quarantineTime)
	}
	t.quarantine.Store(token.Owner.UID, held)
}

// Lookup returns the minted tokens of an opaque id, and their owner.
func (t *Tokens) Lookup(opaqueID string) oauth2.MintedRecord {
	m := t.minted.byOpaqueID(opaqueID)
	if m.Minted == nil {
		return oauth2.MintedRecord{}
	}
	owner := t.owners.get(PlaceOf(m.Namespace, m.Name)).MintedOwner
	return oauth2.MintedRecord{Minted: m.Minted, Owner: t.quarantine.refused(owner, m.version, t.now())}
}

// WasTerminating returns the UID of the owner of an opaque id, and whether it is terminating.
func (t *Tokens) WasTerminating(opaqueID string) (uid string, isTerminating bool) {
	m := t.minted.byOpaqueID(opaqueID)
	if m.Minted == nil {
		return "", false
	}
	return t.owners.get(PlaceOf(m.Namespace, m.Name)).identity()
}

// Judge returns the owner of a record that was looked up, as terminating if it is quarantined.
func (t *Tokens) Judge(owner *oauth2.MintedOwner, version uint64) *oauth2.MintedOwner {
	return t.quarantine.refused(owner, version, t.now())
}
