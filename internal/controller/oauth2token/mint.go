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
func (r *Reconciler) ensureToken(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	ring, err := r.grants.ring(ctx)
	if err != nil {
		return err
	}
	if r.minter.needed(object, w, ring) == "" {
		r.minter.dropCommitted(object, w)
		return r.publish(ctx, object, w)
	}
	// Something random is about to be made: decide on what is there now, not on what the cache remembers.
	if err := ownerOf(object).CheckAlive(ctx, r.delivery.live); err != nil {
		return err
	}
	if err := r.delivery.readSecret(ctx, r.delivery.live, object, w); err != nil || w.condition != nil {
		return err
	}
	if err := r.delivery.inherit(ctx, object, w); err != nil {
		return err
	}
	reason := r.minter.needed(object, w, ring)
	r.minter.dropCommitted(object, w)
	if reason != "" {
		return r.mint(ctx, object, w, ring, reason)
	}
	return r.publish(ctx, object, w)
}

// mint makes a token in the order that leaves no reader with one that is not good: on record, then in the Secret, which is the
// commit point, then the record without those that it replaces.
func (r *Reconciler) mint(ctx context.Context, object *v1alpha1.OAuth2Token, w *world, ring keyring.Ring, reason string) error {
	value, minted, err := r.minter.proposal(object, w, ring)
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
	if err := r.delivery.writeSecret(ctx, object, w); err != nil {
		return err
	}
	r.minter.proposals.Drop(object.UID)
	r.reports.announce(object, w, reason)
	w.record, w.current, w.found = credential.SettleMinted(credential.CommittedMinted(w.record, before, minted.ID), w.value, r.clock.Now())
	return r.publish(ctx, object, w)
}

// publish writes the record if it differs from what is stored, on the version that was read.
func (r *Reconciler) publish(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	data, err := registration.EncodeToken(w.record)
	if err != nil {
		return err
	}
	w.stored, err = publish.Write(ctx, r.client, w.stored, publish.Record{
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
