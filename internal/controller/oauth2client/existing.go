// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"encoding/base32"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// findExisting reads the Secret that the user brought along, from a cache that holds labelled Secrets alone. Why it cannot be
// used is a condition each; whatever is wrong with it, the last good secret stays registered.
func (r *Reconciler) findExisting(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	name := secretName(c)
	key := types.NamespacedName{Namespace: c.Namespace, Name: name}
	var secret corev1.Secret
	err := r.Declared.Get(ctx, key, &secret)
	if apierrors.IsNotFound(err) {
		return r.explainMissing(ctx, key, w)
	}
	if err != nil {
		return fmt.Errorf("read Secret %s: %w", key, err)
	}
	value := oauth2.NewSecret(string(secret.Data[output.Entry(c.Spec.Secret.Keys.ClientSecret, keyClientSecret)]))
	if err := oauth2.CheckDeclaredSecret(value); err != nil {
		w.condition = new(v1alpha1.SecretTooWeak(name, err.Error()))
		return nil
	}
	named, there := secret.Data[output.Entry(c.Spec.Secret.Keys.ClientID, keyClientID)]
	if there && string(named) != c.ClientID() {
		w.condition = new(v1alpha1.ClientIDMismatch(name, c.ClientID()))
		return nil
	}
	w.secret, w.value = &secret, value
	return nil
}

// explainMissing tells a Secret that is not there from one that lacks the label.
func (r *Reconciler) explainMissing(ctx context.Context, key types.NamespacedName, w *world) error {
	var secret corev1.Secret
	err := r.Live.Get(ctx, key, &secret)
	switch {
	case apierrors.IsNotFound(err):
		w.condition = new(v1alpha1.SecretNotFound(key.Name))
	case err != nil:
		return fmt.Errorf("read Secret %s: %w", key, err)
	case secret.Labels[v1alpha1.LabelCredentials] != "true":
		w.condition = new(v1alpha1.SecretNotLabelled(key.Name))
	default: // the label came a moment ago, and with it an event is on its way
		w.condition = new(v1alpha1.Progressing(fmt.Sprintf("read Secret %q", key.Name)))
	}
	return nil
}

// registerDeclared makes the declared secret the current one. It is in its Secret already, so there is no order of writes to
// keep; the one before it ends after the overlap.
func (r *Reconciler) registerDeclared(w *world) {
	now := r.Clock.Now()
	before := w.registration.Client.Verifiers
	if _, known := settle(w.registration, w.value, w.policy, now); !known {
		id := declaredID(oauth2.DigestSecret(w.policy.UID, w.value))
		w.registration = propose(w.registration, oauth2.Credential{ID: id, Value: w.value}, w.policy, now)
		if len(before) > 0 {
			w.declared = id
		}
	}
	w.registration, _ = settle(w.registration, w.value, w.policy, now)
	w.noteExpired(before, now)
}

var declaredEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// declaredID names a secret that has no id in it, by its digest.
func declaredID(digest oauth2.Digest) string {
	if id := declaredEncoding.EncodeToString(digest[:]); len(id) > declaredIDLength {
		return id[:declaredIDLength]
	}
	return ""
}

// declaredIDLength is the length of the ids in generated secrets, too.
const declaredIDLength = 12
