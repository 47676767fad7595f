// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// indexByClient finds the Secrets of a client in the cache without looking at all of them.
const indexByClient = v1alpha1.AnnotationClient

// formerSecrets are Secrets of the client under names that it does not use any more, read live. They are found by what they say
// themselves: status is never an input.
func (r *Reconciler) formerSecrets(ctx context.Context, c *v1alpha1.OAuth2Client) ([]corev1.Secret, error) {
	var cached corev1.SecretList
	if err := r.Client.List(ctx, &cached, client.InNamespace(c.Namespace), client.MatchingFields{indexByClient: c.Name}); err != nil {
		return nil, fmt.Errorf("list the Secrets of OAuth2Client %s/%s: %w", c.Namespace, c.Name, err)
	}
	var former []corev1.Secret
	for i := range cached.Items {
		if cached.Items[i].Name == secretName(c) && !byServiceAccount(c) {
			continue
		}
		var secret corev1.Secret
		err := r.Live.Get(ctx, client.ObjectKeyFromObject(&cached.Items[i]), &secret)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("read Secret %s/%s: %w", c.Namespace, cached.Items[i].Name, err)
		}
		if err != nil {
			continue
		}
		ours, err := r.owns(ctx, c, &secret)
		if err != nil {
			return nil, err
		}
		if ours {
			former = append(former, secret)
		}
	}
	return former, nil
}

// inherit takes the client secret of a Secret under a former name, if it is still accepted: a Secret that is only called
// otherwise needs no new secret in it. Where the registration was lost as well, a well-formed one is taken: that Secret is
// then the only place that still has it.
func (r *Reconciler) inherit(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	former, err := r.formerSecrets(ctx, c)
	if err != nil {
		return err
	}
	for i := range former {
		for _, data := range former[i].Data { // its entries may have been called otherwise, too
			value := oauth2.NewSecret(string(data))
			_, found := settle(w.registration, value, w.policy, r.Clock.Now())
			if !found && len(w.registration.Client.Verifiers) == 0 {
				_, err := oauth2.ParseClientSecret(value)
				found = err == nil
			}
			if found {
				w.value = value
				return nil
			}
		}
	}
	return nil
}

// removeFormer removes the Secrets and ConfigMaps that are not used any more, once the one that is wanted is there.
func (r *Reconciler) removeFormer(ctx context.Context, c *v1alpha1.OAuth2Client, _ *world) error {
	former, err := r.formerSecrets(ctx, c)
	if err != nil {
		return err
	}
	for i := range former {
		secret := &former[i]
		err := r.Client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("remove Secret %s/%s, which was replaced by %s: %w", secret.Namespace, secret.Name, secretName(c), err)
		}
	}
	return r.removeFormerConfigMaps(ctx, c)
}
