// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"io"
	"slices"
	"time"

	"k8s.io/utils/clock"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The reasons why a token is made. Those but the renewal are the reasons of events.
const (
	reasonCreated  = "TokenIssued"
	reasonRepaired = "SecretRepaired"
	reasonChanged  = "TokenReplaced"
	reasonRevoked  = "RevokedTokenReplaced"
	reasonRenewed  = "TokenRenewed"
)

// minter decides whether another token is needed, and makes it.
type minter struct {
	issuer    oauth2.Issuer
	random    io.Reader
	clock     clock.PassiveClock
	revoked   takenBack
	proposals attempt.Proposals[proposed]
}

// needed brings the record in line with the value in the Secret, and says why another token is needed, or "".
func (m *minter) needed(object *v1alpha1.OAuth2Token, w *world, ring keyring.Ring) string {
	now := m.clock.Now()
	w.record, w.current, w.found = credential.SettleMinted(w.record, w.value, now)
	fixed := object.Spec.Mode == v1alpha1.TokenFixed
	if !w.found {
		switch {
		case fixed && !object.Spec.ExpirationTime.After(now):
			return "" // nothing is made for a time that is over; the Secret stays as it was left
		case w.former == "" && w.secret == nil:
			return reasonCreated
		case w.former != "" && w.former != w.record.ClientUID:
			return reasonChanged
		}
		return reasonRepaired
	}
	if fixed {
		return ""
	}
	_, err := ring.VerificationKey(w.current.KeyID, now)
	w.takenBack = m.revoked.has(w.current, &w.client, now)
	switch {
	case err != nil, w.current.Audience != w.grant.Audience, !slices.Equal(w.current.Scopes, w.grant.Scopes):
		return reasonChanged
	case w.takenBack && !now.Before(w.current.IssuedAt.Add(calm)):
		return reasonRevoked
	case !now.Before(credential.Renewal(w.current, w.record.UID)):
		return reasonRenewed
	}
	return ""
}

// proposed is a token that is on its way to its Secret.
type proposed struct {
	value  oauth2.Secret
	minted oauth2.MintedToken
	// clientUID is that of the client that it speaks for.
	clientUID string
}

// proposal is the token to write: while one that was made here is young, and still what is wanted, it is that one, so that an attempt which
// failed is repeated with the same value and writes the record no second time.
func (m *minter) proposal(object *v1alpha1.OAuth2Token, w *world, ring keyring.Ring) (oauth2.Secret, oauth2.MintedToken, error) {
	now := m.clock.Now()
	if made, young := m.proposals.Get(object.UID, now); young && m.wanted(made, w, ring, now) {
		return made.value, made.minted, nil
	}
	value, minted, err := m.issue(w, ring)
	if err != nil {
		return oauth2.Secret{}, oauth2.MintedToken{}, err
	}
	until := now.Add(credential.YoungFor)
	if turn := credential.Renewal(minted, w.record.UID); turn.Before(until) {
		until = turn // a token of a minute
	}
	m.proposals.Put(object.UID, proposed{value, minted, w.client.UID}, until)
	return value, minted, nil
}

// wanted reports whether a token that was made for an earlier attempt would be made so again.
func (m *minter) wanted(made proposed, w *world, ring keyring.Ring, now time.Time) bool {
	if made.clientUID != w.client.UID || made.minted.Audience != w.grant.Audience || !slices.Equal(made.minted.Scopes, w.grant.Scopes) {
		return false
	}
	if w.record.Opaque {
		return true
	}
	_, err := ring.VerificationKey(made.minted.KeyID, now)
	return err == nil && !m.revoked.has(made.minted, &w.client, now)
}

// dropCommitted forgets the token that is on its way once it is in the Secret, whatever the answer to its write was: when that Secret is
// deleted, another one takes its place.
func (m *minter) dropCommitted(object *v1alpha1.OAuth2Token, w *world) {
	if made, young := m.proposals.Get(object.UID, m.clock.Now()); young && w.found && made.minted.ID == w.current.ID {
		m.proposals.Drop(object.UID)
	}
}

// covers reports whether a token says all that another one says.
func covers(t, other oauth2.MintedToken) bool {
	return t.Audience == other.Audience && !slices.ContainsFunc(other.Scopes, func(scope string) bool { return !slices.Contains(t.Scopes, scope) })
}

// issue makes the token with the code that the token endpoint has.
func (m *minter) issue(w *world, ring keyring.Ring) (oauth2.Secret, oauth2.MintedToken, error) {
	now := m.clock.Now()
	if w.record.Opaque {
		return oauth2.IssueOpaque(w.grant, now, m.random)
	}
	key, err := oauth2.SigningKey(&w.client, ring, now)
	if err != nil {
		return oauth2.Secret{}, oauth2.MintedToken{}, err
	}
	issuedAt, err := oauth2.IssueAt(now, m.revoked.before(&w.client))
	if err != nil {
		return oauth2.Secret{}, oauth2.MintedToken{}, err
	}
	token, err := m.issuer.Issue(&w.client, w.grant, key, issuedAt, m.random)
	if err != nil {
		return oauth2.Secret{}, oauth2.MintedToken{}, err
	}
	return token.Value, token.Minted(), nil
}
