// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// The reasons why a token is made. Those but the renewal are the reasons of events.
const (
	reasonCreated  = "TokenIssued"
	reasonRepaired = "SecretRepaired"
	reasonChanged  = "TokenReplaced"
	reasonRevoked  = "RevokedTokenReplaced"
	reasonRenewed  = "TokenRenewed"
)

// ensureToken makes sure that the value in the Secret is on record, and mints a token where it is not, or where it is time for
// another.
func (r *Reconciler) ensureToken(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	ring, err := r.ring(ctx)
	if err != nil {
		return err
	}
	if r.needed(object, w, ring) == "" {
		r.dropCommitted(object, w)
		return r.publish(ctx, object, w)
	}
	// Something random is about to be made: decide on what is there now, not on what the cache remembers.
	if err := ownerOf(object).CheckAlive(ctx, r.Live); err != nil {
		return err
	}
	if err := r.readSecret(ctx, r.Live, object, w); err != nil || w.condition != nil {
		return err
	}
	if err := r.inherit(ctx, object, w); err != nil {
		return err
	}
	reason := r.needed(object, w, ring)
	r.dropCommitted(object, w)
	if reason != "" {
		return r.mint(ctx, object, w, ring, reason)
	}
	return r.publish(ctx, object, w)
}

// needed brings the record in line with the value in the Secret, and says why another token is needed, or "".
func (r *Reconciler) needed(object *v1alpha1.OAuth2Token, w *world, ring keyring.Ring) string {
	now := r.Clock.Now()
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
	w.takenBack = r.revoked.has(w.current, &w.client, now)
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

// ring reads the signing keys.
func (r *Reconciler) ring(ctx context.Context) (keyring.Ring, error) {
	var secret corev1.Secret
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.KeysSecretName}, &secret); err != nil {
		return keyring.Ring{}, fmt.Errorf("read the signing keys: %w", err)
	}
	ring, err := registration.DecodeKeys(secret.Data)
	if err != nil {
		return keyring.Ring{}, fmt.Errorf("read the signing keys: %w", err)
	}
	return ring, nil
}

// mint makes a token in the order that leaves no reader with one that is not good: on record, then in the Secret, which is the
// commit point, then the record without those that it replaces.
func (r *Reconciler) mint(ctx context.Context, object *v1alpha1.OAuth2Token, w *world, ring keyring.Ring, reason string) error {
	value, minted, err := r.proposal(object, w, ring)
	if err != nil {
		return err
	}
	// Whoever has what was in a Secret that was deleted or changed is not to have a token, and one for another audience or with a
	// scope that was taken away is none any more. One that is merely renewed goes on to its end: readers may hold it.
	before := w.current.ID
	minted.Alone = reason == reasonRepaired || reason == reasonChanged && !covers(minted, w.current)
	w.record = credential.ProposeMinted(w.record, minted, before)
	if err := r.publish(ctx, object, w); err != nil {
		return err
	}
	w.value, w.current, w.found, w.takenBack = value, minted, true, false
	if err := r.writeSecret(ctx, object, w); err != nil {
		return err
	}
	r.proposals.Drop(object.UID)
	r.announce(object, w, reason)
	w.record, w.current, w.found = credential.SettleMinted(credential.CommittedMinted(w.record, before, minted.ID), w.value, r.Clock.Now())
	return r.publish(ctx, object, w)
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
func (r *Reconciler) proposal(object *v1alpha1.OAuth2Token, w *world, ring keyring.Ring) (oauth2.Secret, oauth2.MintedToken, error) {
	now := r.Clock.Now()
	if made, young := r.proposals.Get(object.UID, now); young && r.wanted(made, w, ring, now) {
		return made.value, made.minted, nil
	}
	value, minted, err := r.issue(w, ring)
	if err != nil {
		return oauth2.Secret{}, oauth2.MintedToken{}, err
	}
	until := now.Add(credential.YoungFor)
	if turn := credential.Renewal(minted, w.record.UID); turn.Before(until) {
		until = turn // a token of a minute
	}
	r.proposals.Put(object.UID, proposed{value, minted, w.client.UID}, until)
	return value, minted, nil
}

// wanted reports whether a token that was made for an earlier attempt would be made so again.
func (r *Reconciler) wanted(made proposed, w *world, ring keyring.Ring, now time.Time) bool {
	if made.clientUID != w.client.UID || made.minted.Audience != w.grant.Audience || !slices.Equal(made.minted.Scopes, w.grant.Scopes) {
		return false
	}
	if w.record.Opaque {
		return true
	}
	_, err := ring.VerificationKey(made.minted.KeyID, now)
	return err == nil && !r.revoked.has(made.minted, &w.client, now)
}

// dropCommitted forgets the token that is on its way once it is in the Secret, whatever the answer to its write was: when that Secret is
// deleted, another one takes its place.
func (r *Reconciler) dropCommitted(object *v1alpha1.OAuth2Token, w *world) {
	if made, young := r.proposals.Get(object.UID, r.Clock.Now()); young && w.found && made.minted.ID == w.current.ID {
		r.proposals.Drop(object.UID)
	}
}

// covers reports whether a token says all that another one says.
func covers(t, other oauth2.MintedToken) bool {
	return t.Audience == other.Audience && !slices.ContainsFunc(other.Scopes, func(scope string) bool { return !slices.Contains(t.Scopes, scope) })
}

// issue makes the token with the code that the token endpoint has.
func (r *Reconciler) issue(w *world, ring keyring.Ring) (oauth2.Secret, oauth2.MintedToken, error) {
	now := r.Clock.Now()
	if w.record.Opaque {
		return oauth2.IssueOpaque(w.grant, now, r.Random)
	}
	key, err := oauth2.SigningKey(&w.client, ring, now)
	if err != nil {
		return oauth2.Secret{}, oauth2.MintedToken{}, err
	}
	issuedAt, err := oauth2.IssueAt(now, r.revoked.before(&w.client))
	if err != nil {
		return oauth2.Secret{}, oauth2.MintedToken{}, err
	}
	token, err := r.Issuer.Issue(&w.client, w.grant, key, issuedAt, r.Random)
	if err != nil {
		return oauth2.Secret{}, oauth2.MintedToken{}, err
	}
	return token.Value, token.Minted(), nil
}

// announce writes the audit line, in the words of the token server's, and tells of a token that nobody would expect.
func (r *Reconciler) announce(object *v1alpha1.OAuth2Token, w *world, reason string) {
	r.Audit.Info("decision", "endpoint", "manager", "outcome", "allowed", "cause", reason, "client_id", w.client.ID, "jti", w.current.ID,
		"aud", w.current.Audience, "scope", strings.Join(w.current.Scopes, " "), "token", object.Namespace+"/"+object.Name)
	note := map[string]string{
		reasonCreated:  "Wrote token %s to Secret %s",
		reasonRepaired: "Wrote token %s to Secret %s, which was missing or had been changed; the one before is refused",
		reasonChanged:  "Wrote token %s to Secret %s, because what it may say, or the key that signed the one before, has changed",
		reasonRevoked:  "Wrote token %s to Secret %s, because the one before was revoked",
	}[reason]
	if note != "" {
		r.Recorder.Eventf(object, nil, corev1.EventTypeNormal, reason, "WriteSecret", note, w.current.ID, secretName(object))
	}
}

// publish writes the record if it differs from what is stored, on the version that was read.
func (r *Reconciler) publish(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	data, err := registration.EncodeToken(w.record)
	if err != nil {
		return err
	}
	w.stored, err = publish.Write(ctx, r.Client, w.stored, publish.Record{
		NamespacedName: r.recordKey(object),
		Of:             fmt.Sprintf("the record of OAuth2Token %s/%s", object.Namespace, object.Name),
		Type:           registration.TokenSecretType,
		Annotations: map[string]string{
			v1alpha1.AnnotationTokenNamespace: object.Namespace,
			v1alpha1.AnnotationToken:          object.Name,
		},
		Data: data,
	})
	return err
}
