// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// ensureToken mints a token where the value in the Secret is not on record, or where another one is
// due.
func (r *Reconciler) ensureToken(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	ring, err := r.keys.Read(ctx, r.Client, r.RegistryNamespace)
	if err != nil {
		return err
	}
	s.ring = ring
	behind, err := r.delivery.behind(ctx, object, s)
	if err != nil {
		return err
	}
	if !behind && r.minter.needed(object, s, ring) == "" {
		r.recognize(object, s)
		s.refused = r.grants.refusal(object, s)
		return r.publish(ctx, object, s)
	}
	// A random value is about to be made: decide on what the API server has, not on the cache.
	if err := ownerOf(object).CheckAlive(ctx, r.Live); err != nil {
		return err
	}
	if err := r.delivery.readSecret(ctx, r.Live, object, s); err != nil || s.condition != nil {
		return err
	}
	if err := r.delivery.inherit(ctx, object, s); err != nil {
		return err
	}
	reason := r.minter.needed(object, s, ring)
	r.recognize(object, s)
	if reason != "" {
		return r.mint(ctx, object, s, ring, reason)
	}
	s.refused = r.grants.refusal(object, s)
	return r.publish(ctx, object, s)
}

// recognize brings what is remembered and reported in line with the token in the Secret, whatever
// the answer to its write was.
func (r *Reconciler) recognize(object *v1alpha1.OAuth2Token, s *state) {
	r.minter.dropCommitted(object, s)
	r.reports.announceFound(object, s)
}

// mint makes a token in the order that leaves no reader with an invalid one: on record, then in the
// Secret, which is the commit point, then the record without the tokens that it replaces.
func (r *Reconciler) mint(ctx context.Context, object *v1alpha1.OAuth2Token, s *state, ring keyring.Ring, reason string) error {
	repair := reason == reasonRepaired
	if repair {
		if err := r.repairs.Check(object, r.Clock.Now()); err != nil {
			return err
		}
	}
	if s.unconsented != nil {
		s.condition = s.unconsented // the token that was made before is lost
		return nil
	}
	value, minted, err := r.minter.proposal(object, s, ring)
	if errors.Is(err, oauth2.ErrTokenTooLarge) {
		s.condition = new(v1alpha1.TokenTooLarge(s.grant.Audience, r.Issuer.TokenSize(&s.client, s.grant), oauth2.MaxBearer))
		return nil
	}
	if err != nil {
		return err
	}
	// The new token is exclusive if the Secret was deleted or changed, because the one before
	// may have leaked, and if the one before has an audience or a scope that is no longer
	// granted. A token that is merely renewed stays valid until it expires: readers may hold
	// it.
	before := s.current.ID
	minted.Exclusive = reason == reasonRepaired || reason == reasonChanged && !covers(minted, s.current)
	minted.Cause = reason
	s.record = credential.ProposeMinted(s.record, minted, before)
	read := s.stored
	if err := r.publish(ctx, object, s); err != nil {
		return err
	}
	r.minter.recorded(object, minted.ID)
	// the token is on record already, and another manager may have written another one
	if s.stored == read {
		if _, err := output.Unchanged(ctx, r.Live, s.stored); err != nil {
			return err
		}
	}
	s.value, s.current, s.found, s.revoked = value, minted, true, false
	if err := r.delivery.writeSecret(ctx, object, s, repair); err != nil {
		return err
	}
	r.minter.proposals.Drop(object.UID)
	r.reports.announce(object, s, reason)
	s.record, s.current, s.found = credential.SettleMinted(credential.CommittedMinted(s.record, before, minted.ID), s.value, r.time())
	return r.publish(ctx, object, s)
}

// publish writes the record if it differs from what is stored, on the version that was read.
func (r *Reconciler) publish(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	data, err := registration.EncodeToken(s.record)
	if err != nil {
		return err
	}
	before := s.stored
	s.stored, err = publish.Write(ctx, r.Client, s.stored, publish.Record{
		NamespacedName: r.recordKey(object),
		Of:             fmt.Sprintf("the record of OAuth2Token %s/%s", object.Namespace, object.Name),
		Type:           registration.TokenSecretType,
		Annotations: map[string]string{
			v1alpha1.AnnotationTokenNamespace: object.Namespace,
			v1alpha1.AnnotationToken:          object.Name,
		},
		Data: data,
		Room: r.Policy.Room,
	})
	if errors.Is(err, publish.ErrNoRoom) {
		allowance, unknown := r.Policy.Room.Allowance(ctx, r.recordKey(object).Name, object.Namespace)
		s.noRoom = new(allowance.Condition(registration.WeighToken(s.record), s.former != ""))
		return errors.Join(err, unknown)
	}
	change := recordChange{s.before, s.record, r.Clock.Now()}
	if output.MayBeDone(err) {
		r.reports.unanswered.Put(object, change, change.at)
	}
	if err == nil && s.stored != before {
		r.reports.unanswered.Drop(object.UID)
		r.reports.dropped(object, change)
		s.before = s.record.Tokens
	}
	return err
}

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
	*Config

	revoked   revocations
	proposals attempt.Proposals[proposed]
}

// needed brings the record in line with the value in the Secret, and returns the reason why another
// token is needed, or "".
func (m *minter) needed(object *v1alpha1.OAuth2Token, s *state, ring keyring.Ring) string {
	now := m.Clock.Now()
	s.record, s.current, s.found = credential.SettleMinted(s.record, s.value, m.time())
	s.settled = true
	fixed := object.Spec.Mode == v1alpha1.TokenFixed
	if !s.found {
		switch {
		case fixed && !object.Spec.ExpirationTime.After(now):
			// no token is made after its expiration time; the Secret stays as it is
			return ""
		case s.former == "" && s.secret == nil:
			return reasonCreated
		case s.former != "" && s.former != s.record.ClientUID:
			return reasonChanged
		}
		return reasonRepaired
	}
	if s.revoked = m.revoked.has(s.current, &s.client, now); fixed {
		return ""
	}
	_, err := ring.VerificationKey(s.current.KeyID, now)
	switch {
	case err != nil, s.current.Audience != s.grant.Audience, !slices.Equal(s.current.Scopes, s.grant.Scopes):
		return reasonChanged
	case s.revoked && !now.Before(s.current.IssuedAt.Add(minAge)):
		return reasonRevoked
	case !now.Before(credential.Renewal(s.current, s.record.UID)):
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
	until     time.Time
	// recorded is whether it was on record.
	recorded bool
}

// recorded notes that a proposal is on record.
func (m *minter) recorded(object *v1alpha1.OAuth2Token, id string) {
	if made, young := m.proposals.Get(object.UID, m.Clock.Now()); young && made.minted.ID == id {
		made.recorded = true
		m.proposals.Put(object, made, made.until)
	}
}

// proposal is the token to write. A young one of an earlier attempt that is still wanted is reused,
// so that a failed attempt is repeated with the same value and does not write the record again.
func (m *minter) proposal(object *v1alpha1.OAuth2Token, s *state, ring keyring.Ring) (oauth2.Secret, oauth2.MintedToken, error) {
	now := m.Clock.Now()
	if made, young := m.proposals.Get(object.UID, now); young && m.wanted(made, s, ring, now) {
		return made.value, made.minted, nil
	}
	value, minted, err := m.issue(s, ring)
	if err != nil {
		return oauth2.Secret{}, oauth2.MintedToken{}, err
	}
	until := now.Add(credential.YoungFor)
	if turn := credential.Renewal(minted, s.record.UID); turn.Before(until) {
		until = turn // a token of a minute
	}
	m.proposals.Put(object, proposed{value: value, minted: minted, clientUID: s.client.UID, until: until}, until)
	return value, minted, nil
}

// wanted reports whether a token that was made for an earlier attempt would be made so again. One
// that is off the record by now has ended, and has an audit line.
func (m *minter) wanted(made proposed, s *state, ring keyring.Ring, now time.Time) bool {
	if made.clientUID != s.client.UID || made.minted.Audience != s.grant.Audience || !slices.Equal(made.minted.Scopes, s.grant.Scopes) {
		return false
	}
	if made.recorded && !s.onRecord(made.minted.ID) || m.revoked.has(made.minted, &s.client, now) {
		return false
	}
	if s.record.Opaque {
		return true
	}
	_, err := ring.VerificationKey(made.minted.KeyID, now)
	return err == nil
}

// dropCommitted drops the proposal once it is in the Secret, whatever the answer to its write was.
// If that Secret is deleted, another token replaces it.
func (m *minter) dropCommitted(object *v1alpha1.OAuth2Token, s *state) {
	if made, young := m.proposals.Get(object.UID, m.Clock.Now()); young && s.found && made.minted.ID == s.current.ID {
		m.proposals.Drop(object.UID)
	}
}

// covers reports whether a token has everything that another one has.
func covers(t, other oauth2.MintedToken) bool {
	return t.Audience == other.Audience && !slices.ContainsFunc(other.Scopes, func(scope string) bool { return !slices.Contains(t.Scopes, scope) })
}

// issue makes the token with the code that the token endpoint has.
func (m *minter) issue(s *state, ring keyring.Ring) (oauth2.Secret, oauth2.MintedToken, error) {
	now := m.Clock.Now()
	issuedAt, err := oauth2.IssueAt(now, m.revoked.before(&s.client))
	if err != nil {
		return oauth2.Secret{}, oauth2.MintedToken{}, err
	}
	if s.record.Opaque {
		grant := s.grant
		grant.Lifetime = s.end.Sub(issuedAt.Truncate(time.Second))
		return oauth2.IssueOpaque(grant, issuedAt, m.Random)
	}
	key, err := oauth2.SigningKey(&s.client, ring, now)
	if err != nil {
		return oauth2.Secret{}, oauth2.MintedToken{}, err
	}
	token, err := m.Issuer.Issue(&s.client, s.grant, key, issuedAt, m.Random)
	if err != nil {
		return oauth2.Secret{}, oauth2.MintedToken{}, err
	}
	return token.Value, token.Minted(), nil
}
