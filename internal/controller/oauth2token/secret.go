// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The default names of the entries of a token's Secret.
const (
	keyToken         = "token"
	keyTokenType     = "token_type"
	keyExpiresAt     = "expires_at"
	keyAuthorization = "authorization"
	keyCACertificate = "ca.crt"

	bearer = "Bearer"
)

func secretName(object *v1alpha1.OAuth2Token) string {
	if object.Spec.Secret.Name != "" {
		return object.Spec.Secret.Name
	}
	return object.Name
}

// findSecret reads the Secret from the cache, which holds Secrets of our type alone.
func (r *Reconciler) findSecret(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	return r.readSecret(ctx, r.Secrets, object, w)
}

func (r *Reconciler) readSecret(ctx context.Context, from client.Reader, object *v1alpha1.OAuth2Token, w *world) error {
	w.secret, w.value = nil, oauth2.Secret{}
	var secret corev1.Secret
	err := from.Get(ctx, types.NamespacedName{Namespace: object.Namespace, Name: secretName(object)}, &secret)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read Secret %s/%s: %w", object.Namespace, secretName(object), err)
	}
	ours := secret.Type == v1alpha1.SecretTypeToken
	if ours {
		if ours, err = ownerOf(object).Owns(ctx, r.Live, &secret); err != nil {
			return err
		}
	}
	if !ours {
		w.condition = new(v1alpha1.TokenSecretConflict(secret.Name))
		return nil
	}
	w.secret = &secret
	w.value = w.tokenIn(&secret, output.Entry(object.Spec.Secret.Keys.Token, keyToken))
	return nil
}

// tokenIn is the token in a Secret of ours. Where its entry is not there because the spec has just renamed it, it is the one under
// the name before: a new name is no reason for a new token.
func (w *world) tokenIn(secret *corev1.Secret, name string) oauth2.Secret {
	if value, there := secret.Data[name]; there {
		return oauth2.NewSecret(string(value))
	}
	for _, data := range secret.Data {
		value := oauth2.NewSecret(string(data))
		if _, found := w.record.Find(value); found {
			return value
		}
	}
	return oauth2.Secret{}
}

// renderData renders the entries around a token. The condition says why it cannot be done.
func renderData(object *v1alpha1.OAuth2Token, w *world) (map[string][]byte, *metav1.Condition) {
	keys := object.Spec.Secret.Keys
	data, values := map[string][]byte{}, map[string]string{}
	for _, entry := range []struct {
		renamed     v1alpha1.SecretKey
		name, value string
	}{
		{keys.Token, keyToken, w.value.Reveal()},
		{keys.TokenType, keyTokenType, bearer},
		{keys.ExpiresAt, keyExpiresAt, w.current.ExpiresAt.Format(time.RFC3339)},
		{keys.Authorization, keyAuthorization, bearer + " " + w.value.Reveal()},
		{keys.CACertificate, keyCACertificate, w.ca},
	} {
		values[entry.name] = entry.value
		if entry.name != keyCACertificate || entry.value != "" {
			data[output.Entry(entry.renamed, entry.name)] = []byte(entry.value)
		}
	}
	rendered, bad, err := output.Expand(object.Spec.Secret.Template, values, data)
	if err != nil {
		return nil, new(v1alpha1.InvalidTemplate(bad, err.Error()))
	}
	maps.Copy(data, rendered)
	return data, nil
}

// checkTemplates finds out whether the Secret can be rendered before anything is made for it.
func (*Reconciler) checkTemplates(_ context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	_, w.condition = renderData(object, w)
	return nil
}

// renderSecret is the Secret as it should be; checkTemplates has said that it can be.
func renderSecret(object *v1alpha1.OAuth2Token, w *world) *corev1.Secret {
	data, _ := renderData(object, w)
	meta := output.Meta(ownerOf(object), secretName(object), object.Spec.Secret.Labels, object.Spec.Secret.Annotations)
	meta.OwnerReferences = []metav1.OwnerReference{ownerOf(object).Reference()}
	return &corev1.Secret{ObjectMeta: meta, Type: v1alpha1.SecretTypeToken, Data: data}
}

// writeSecret writes the Secret on the version that was read.
func (r *Reconciler) writeSecret(ctx context.Context, w *world, wanted *corev1.Secret) error {
	err := output.WriteSecret(ctx, r.Client, w.secret, wanted)
	if err == nil || errors.Is(err, output.ErrAltered) {
		w.secret = wanted
	}
	return err
}

// applySecret brings the derived parts of the Secret up to date, on the version that was read, and removes those under names that are
// not used any more.
func (r *Reconciler) applySecret(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	if w.found {
		wanted := renderSecret(object, w)
		if w.secret == nil || !output.SameSecret(w.secret, wanted) || !output.SameOwners(w.secret, wanted) {
			if err := r.writeSecret(ctx, w, wanted); err != nil {
				return err
			}
		}
	}
	former, err := r.formerSecrets(ctx, object)
	if err != nil {
		return err
	}
	for i := range former {
		err := r.Client.Delete(ctx, &former[i], client.Preconditions{UID: &former[i].UID, ResourceVersion: &former[i].ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("remove Secret %s/%s, which was replaced by %s: %w", object.Namespace, former[i].Name, secretName(object), err)
		}
	}
	return nil
}

// inherit takes the token of a Secret under a former name: a Secret that is only called otherwise needs no new token in it.
func (r *Reconciler) inherit(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	if w.secret != nil {
		return nil
	}
	former, err := r.formerSecrets(ctx, object)
	if err != nil {
		return err
	}
	for i := range former {
		for _, data := range former[i].Data { // its entries may have been called otherwise, too
			value := oauth2.NewSecret(string(data))
			if _, found := w.record.Find(value); found {
				w.value = value
				return nil
			}
		}
	}
	return nil
}

// formerSecrets are Secrets of this token under names that it does not use any more. They are found by what they say themselves.
func (r *Reconciler) formerSecrets(ctx context.Context, object *v1alpha1.OAuth2Token) ([]corev1.Secret, error) {
	var cached corev1.SecretList
	if err := r.Secrets.List(ctx, &cached, client.InNamespace(object.Namespace)); err != nil {
		return nil, fmt.Errorf("list the Secrets of OAuth2Token %s/%s: %w", object.Namespace, object.Name, err)
	}
	var former []corev1.Secret
	for i := range cached.Items {
		if cached.Items[i].Name == secretName(object) || cached.Items[i].Annotations[v1alpha1.AnnotationToken] != object.Name {
			continue
		}
		ours, err := ownerOf(object).Owns(ctx, r.Live, &cached.Items[i])
		if err != nil {
			return nil, err
		}
		if ours {
			former = append(former, cached.Items[i])
		}
	}
	return former, nil
}
