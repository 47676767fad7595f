// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// world is what one look found, brought forward by each step.
type world struct {
	policy credential.Policy
	// ceilings are what policies let the client have at most, grants what becomes of each scope that it asks for.
	ceilings oauth2.Ceilings
	grants   []v1alpha1.GrantStatus
	// ca is the CA that clients need, in PEM; empty if it is not ours.
	ca []byte
	// registration is as it should be by now; stored is the object it was read from or written to.
	registration registration.Registration
	stored       *corev1.Secret
	// held says that what was stored is this very client's, not what a dead one left under its id.
	held bool
	// secret is the user's Secret, if it is there and the client's; value is the client secret in it.
	secret *corev1.Secret
	value  oauth2.Secret
	// configMap is what a client with a service account has in the place of a Secret.
	configMap *corev1.ConfigMap
	// condition is why the client is not ready; nil if nothing is in its way.
	condition *metav1.Condition
	// keysCondition is why some of the client's keys are left out; nil if none is.
	keysCondition *metav1.Condition
	// claimsCondition is about the custom claims; nil if there are none.
	claimsCondition *metav1.Condition
	// due is when the next rotation comes; blocked, that it waits until then.
	due     time.Time
	blocked bool
	// keysChangeAt is when the key may change that signs for a client which asks for an algorithm.
	keysChangeAt time.Time
	// declared is the id of a declared secret that has just taken the place of another.
	declared string
	// announced says that an event has told of the secret that was written.
	announced bool
	// expired are the ids of the secrets whose time is over, retired those that ended because nobody uses them.
	expired, retired []string
	// kept is why watched secrets live on, by their ids, and evidenceAt when that may change.
	kept       map[string]kept
	evidenceAt time.Time
}

// ensureCredential makes sure that the value in the Secret is registered, and mints a new one where there is none, where it
// is not one of ours, or where a rotation is due.
func (r *Reconciler) ensureCredential(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	if byServiceAccount(c) {
		return r.checkConfigMap(ctx, c, w)
	}
	if w.registration.Client.KeysOnly {
		if w.secret != nil {
			return nil
		}
		return r.readSecret(ctx, r.Live, c, w) // it is about to be created; the cache does not see Secrets of other types
	}
	if r.settleCredential(w) == "" {
		r.firsts.seen(c)
		w.dropCommitted(&r.proposals, r.Clock.Now())
		return nil
	}
	if r.firsts.unseen(c, r.Clock.Now()) {
		return errUnseen
	}
	unheardOf, err := r.unheardOf(ctx, c, w)
	if err != nil {
		return err
	}
	if unheardOf {
		return r.mintFirst(ctx, c, w)
	}
	// Something random is about to be made: decide on what is there now, not on what the cache remembers.
	if err := r.checkAlive(ctx, c); err != nil {
		return err
	}
	if err := r.readSecret(ctx, r.Live, c, w); err != nil || w.condition != nil {
		return err
	}
	if w.secret == nil {
		if err := r.inherit(ctx, c, w); err != nil {
			return err
		}
	}
	r.adopt(w)
	reason := r.settleCredential(w)
	w.dropCommitted(&r.proposals, r.Clock.Now())
	if reason == "" {
		return nil
	}
	return r.mint(ctx, c, w, reason)
}

// settleCredential brings registration and schedule in line with the value in the Secret, and says why a new one is needed:
// the reason of the event that will tell of it, or "".
func (r *Reconciler) settleCredential(w *world) string {
	now := r.Clock.Now()
	before := w.registration.Client.Verifiers
	settled, found := settle(w.registration, w.value, w.policy, now)
	if !found {
		if len(before) == 0 && w.secret == nil {
			return reasonCreated
		}
		return reasonRepaired
	}
	w.registration = settled
	w.noteExpired(before, now)
	w.due, w.blocked = credential.Schedule(recordOf(settled), w.policy, now)
	if w.due.IsZero() || w.due.After(now) || w.blocked {
		return ""
	}
	return reasonRotated
}

// adopt registers the value in the Secret where it never was, or where the registration was lost: the Secret is the only place that has it.
func (r *Reconciler) adopt(w *world) {
	now := r.Clock.Now()
	if len(w.registration.Client.Verifiers) > 0 && !justCreated(w.registration, now) {
		return
	}
	if _, known := settle(w.registration, w.value, w.policy, now); known {
		return
	}
	if found, err := oauth2.ParseClientSecret(w.value); err == nil {
		w.registration = propose(w.registration, found, w.policy, now)
	}
}

// proposed is a client secret that is on its way to its Secret, and when it was made.
type proposed struct {
	oauth2.Credential
	at time.Time
}

// propose registers a new client secret as pending; publishing it is left to the caller. While one that was made here is young it is that
// one: an attempt that failed is repeated with the same value, and writes the registration no second time.
func (r *Reconciler) propose(c *v1alpha1.OAuth2Client, w *world) (oauth2.Credential, error) {
	now := r.Clock.Now()
	made, young := r.proposals.Get(c.UID, now)
	if !young {
		minted, err := oauth2.NewClientSecret(r.Random)
		if err != nil {
			return oauth2.Credential{}, err
		}
		made = proposed{minted, now}
		r.proposals.Put(c.UID, made, now.Add(credential.YoungFor))
	}
	w.registration = propose(w.registration, made.Credential, w.policy, made.at)
	return made.Credential, nil
}

// dropCommitted forgets the value that is on its way once it is in the Secret, whatever the answer to its write was: when that Secret is
// deleted, another value takes its place.
func (w *world) dropCommitted(proposals *attempt.Proposals[proposed], now time.Time) {
	uid := types.UID(w.policy.UID)
	made, young := proposals.Get(uid, now)
	if young && oauth2.DigestSecret(w.policy.UID, made.Value) == oauth2.DigestSecret(w.policy.UID, w.value) {
		proposals.Drop(uid)
	}
}

// mint makes a new secret in the order that loses none: registered as pending, then written to the user's Secret, which is
// the commit point; the caller publishes what is settled after it.
func (r *Reconciler) mint(ctx context.Context, c *v1alpha1.OAuth2Client, w *world, reason string) error {
	minted, err := r.propose(c, w)
	if err != nil {
		return err
	}
	if err := r.publish(ctx, c, w); err != nil {
		return err
	}
	w.value = minted.Value
	if err := r.writeSecret(ctx, w, r.renderSecret(c, w)); err != nil {
		return err
	}
	r.proposals.Drop(c.UID)
	if w.registration.Rotation.First == minted.ID {
		reason = reasonCreated // its registration was written at once, and its Secret could not be
	}
	r.announceMinted(c, reason, minted.ID)
	w.announced = true
	now := r.Clock.Now()
	before := w.registration.Client.Verifiers
	w.registration, _ = settle(w.registration, w.value, w.policy, now)
	w.noteExpired(before, now)
	w.due, w.blocked = credential.Schedule(recordOf(w.registration), w.policy, now)
	return nil
}
