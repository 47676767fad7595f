// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"fmt"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// ensureToken makes sure that the value in the Secret is on record, and mints a token where it is not, or where it is time for
// another.
func (r *Reconciler) ensureToken(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	ring, err := r.grants.ring(ctx)
	if err != nil {
		return err
	}
	if r.minter.needed(object, s, ring) == "" {
		r.minter.dropCommitted(object, s)
		return r.publish(ctx, object, s)
	}
	// A random value is about to be made: decide on what the API server has, not on the cache.
	if err := ownerOf(object).CheckAlive(ctx, r.delivery.live); err != nil {
		return err
	}
	if err := r.delivery.readSecret(ctx, r.delivery.live, object, s); err != nil || s.condition != nil {
		return err
	}
	if err := r.delivery.inherit(ctx, object, s); err != nil {
		return err
	}
	reason := r.minter.needed(object, s, ring)
	r.minter.dropCommitted(object, s)
	if reason != "" {
		return r.mint(ctx, object, s, ring, reason)
	}
	return r.publish(ctx, object, s)
}

// mint makes a token in the order that leaves no reader with an invalid one: on record, then in the
// Secret, which is the commit point, then the record without the tokens that it replaces.
func (r *Reconciler) mint(ctx context.Context, object *v1alpha1.OAuth2Token, s *state, ring keyring.Ring, reason string) error {
	value, minted, err := r.minter.proposal(object, s, ring)
	if err != nil {
		return err
	}
	// The new token is exclusive if the Secret was deleted or changed, because the one before may have
	// leaked, and if the one before has an audience or a scope that is no longer granted. A token that is
	// merely renewed stays valid until it expires: readers may hold it.
	before := s.current.ID
	minted.Alone = reason == reasonRepaired || reason == reasonChanged && !covers(minted, s.current)
	s.record = credential.ProposeMinted(s.record, minted, before)
	if err := r.publish(ctx, object, s); err != nil {
		return err
	}
	s.value, s.current, s.found, s.revoked = value, minted, true, false
	if err := r.delivery.writeSecret(ctx, object, s); err != nil {
		return err
	}
	r.minter.proposals.Drop(object.UID)
	r.reports.announce(object, s, reason)
	s.record, s.current, s.found = credential.SettleMinted(credential.CommittedMinted(s.record, before, minted.ID), s.value, r.clock.Now())
	return r.publish(ctx, object, s)
}

// publish writes the record if it differs from what is stored, on the version that was read.
func (r *Reconciler) publish(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	data, err := registration.EncodeToken(s.record)
	if err != nil {
		return err
	}
	s.stored, err = publish.Write(ctx, r.client, s.stored, publish.Record{
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
