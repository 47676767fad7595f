// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The default names of the entries of a user's Secret.
const (
	keyClientID         = "client_id"
	keyClientSecret     = "client_secret"
	keyIssuerURL        = "issuer_url"
	keyTokenURL         = "token_url"
	keyJWKSURL          = "jwks_url"
	keyIntrospectionURL = "introspection_url"
	keyScope            = "scope"
	keyCACertificate    = "ca.crt"
)

func secretName(c *v1alpha1.OAuth2Client) string {
	if c.Spec.Secret.Name != "" {
		return c.Spec.Secret.Name
	}
	return c.Name
}

// optionalEntries are the entries that may be renamed and left out.
func (r *Reconciler) optionalEntries(c *v1alpha1.OAuth2Client, w *world) []optionalEntry {
	keys := c.Spec.Secret.Keys
	return []optionalEntry{
		{v1alpha1.OmitIssuerURL, keys.IssuerURL, keyIssuerURL, r.Issuer.String()},
		{v1alpha1.OmitTokenURL, keys.TokenURL, keyTokenURL, r.Issuer.URL(oauth2.TokenPath)},
		{v1alpha1.OmitJWKSURL, keys.JWKSURL, keyJWKSURL, r.Issuer.URL(oauth2.JWKSPath)},
		{v1alpha1.OmitIntrospectionURL, keys.IntrospectionURL, keyIntrospectionURL, r.Issuer.URL(oauth2.IntrospectionPath)},
		{v1alpha1.OmitScope, keys.Scope, keyScope, scopeEntry(&w.registration.Client)},
		{v1alpha1.OmitCACertificate, keys.CACertificate, keyCACertificate, string(w.ca)},
	}
}

// scopeEntry is the scope to ask for at the default audience. Where that is a resource it is empty, which asks for all that is
// granted: its owner may withdraw a scope at any time, and a request that names it would then get nothing at all.
func scopeEntry(c *oauth2.Client) string {
	if c.DefaultResource != (oauth2.ObjectName{}) {
		return ""
	}
	return strings.Join(c.Scopes, " ")
}

type optionalEntry struct {
	omit    v1alpha1.OmittedEntry
	renamed v1alpha1.SecretKey
	name    string // the default, and what templates call it
	value   string
}

// renderData renders the entries of the Secret around a client secret. The condition says why it cannot be done.
func (r *Reconciler) renderData(c *v1alpha1.OAuth2Client, w *world) (map[string][]byte, *metav1.Condition) {
	keys := c.Spec.Secret.Keys
	values := map[string]string{keyClientID: w.registration.Client.ID}
	data := map[string][]byte{
		output.Entry(keys.ClientID, keyClientID): []byte(values[keyClientID]),
	}
	if w.registration.Client.BySecret() {
		values[keyClientSecret] = w.value.Reveal()
		data[output.Entry(keys.ClientSecret, keyClientSecret)] = []byte(values[keyClientSecret])
	}
	for _, optional := range r.optionalEntries(c, w) {
		values[optional.name] = optional.value
		if slices.Contains(c.Spec.Secret.Omit, optional.omit) || optional.omit == v1alpha1.OmitCACertificate && optional.value == "" {
			continue
		}
		data[output.Entry(optional.renamed, optional.name)] = []byte(optional.value)
	}
	rendered, bad, err := output.Expand(c.Spec.Secret.Template, values, data)
	if err != nil {
		return nil, new(v1alpha1.InvalidTemplate(bad, err.Error()))
	}
	maps.Copy(data, rendered)
	return data, nil
}

// checkTemplates finds out whether the Secret can be rendered before anything is made for it.
func (r *Reconciler) checkTemplates(_ context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	_, w.condition = r.renderData(c, w)
	return nil
}

// renderSecret is the Secret as it should be; checkTemplates has said that it can be.
func (r *Reconciler) renderSecret(c *v1alpha1.OAuth2Client, w *world) *corev1.Secret {
	data, _ := r.renderData(c, w)
	return &corev1.Secret{ObjectMeta: outputMeta(c), Type: v1alpha1.SecretTypeClient, Data: data}
}

// ownerOf is the client as the owner of what is written for it.
func ownerOf(c *v1alpha1.OAuth2Client) output.Owner {
	return output.Owner{NamespacedName: client.ObjectKeyFromObject(c), Kind: "OAuth2Client", Annotation: v1alpha1.AnnotationClient, UID: c.UID}
}

// outputMeta is what the metadata of the Secret, or of the ConfigMap, says on our part.
func outputMeta(c *v1alpha1.OAuth2Client) metav1.ObjectMeta {
	meta := output.Meta(ownerOf(c), secretName(c), c.Spec.Secret.Labels, c.Spec.Secret.Annotations)
	if c.Spec.Secret.DeletionPolicy != v1alpha1.DeletionRetain {
		meta.OwnerReferences = []metav1.OwnerReference{ownerOf(c).Reference()}
	}
	return meta
}

// findSecret reads the client's Secret from the cache, which holds Secrets of our type alone.
func (r *Reconciler) findSecret(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	if byServiceAccount(c) {
		return r.findConfigMap(ctx, c, w)
	}
	if declares(c) {
		return r.findExisting(ctx, c, w)
	}
	return r.readSecret(ctx, r.Client, c, w)
}

// declares reports whether the Secret is the user's own.
func declares(c *v1alpha1.OAuth2Client) bool { return c.Spec.Secret.Source == v1alpha1.SecretExisting }

func (r *Reconciler) readSecret(ctx context.Context, from client.Reader, c *v1alpha1.OAuth2Client, w *world) error {
	w.secret, w.value = nil, oauth2.Secret{}
	var secret corev1.Secret
	err := from.Get(ctx, types.NamespacedName{Namespace: c.Namespace, Name: secretName(c)}, &secret)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read Secret %s/%s: %w", c.Namespace, secretName(c), err)
	}
	ours, err := r.owns(ctx, c, &secret)
	if err != nil {
		return err
	}
	if !ours {
		w.condition = new(v1alpha1.SecretConflict(secret.Name))
		return nil
	}
	w.secret = &secret
	w.value = clientSecretIn(&secret, output.Entry(c.Spec.Secret.Keys.ClientSecret, keyClientSecret))
	return nil
}

// clientSecretIn is the client secret in a Secret of ours. Where its entry is not there because the spec has just renamed it,
// it is the one under the name before: a new name is no reason for a new secret.
func clientSecretIn(secret *corev1.Secret, name string) oauth2.Secret {
	if value, there := secret.Data[name]; there {
		return oauth2.NewSecret(string(value))
	}
	for _, other := range slices.Sorted(maps.Keys(secret.Data)) {
		if found, err := oauth2.ParseClientSecret(oauth2.NewSecret(string(secret.Data[other]))); err == nil {
			return found.Value
		}
	}
	return oauth2.Secret{}
}

// owns decides whether a Secret is this client's.
func (r *Reconciler) owns(ctx context.Context, c *v1alpha1.OAuth2Client, secret *corev1.Secret) (bool, error) {
	if secret.Type != v1alpha1.SecretTypeClient {
		return false, nil
	}
	return ownerOf(c).Owns(ctx, r.Live, secret)
}

// applyOutput brings up to date what the client gets: its ConfigMap or its Secret.
func (r *Reconciler) applyOutput(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	if byServiceAccount(c) {
		return r.applyConfigMap(ctx, c, w)
	}
	return r.applySecret(ctx, c, w)
}

// applySecret brings the derived parts of the Secret up to date, on the version that was read, or writes it under a new name.
func (r *Reconciler) applySecret(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	wanted := r.renderSecret(c, w)
	if w.secret != nil && output.SameSecret(w.secret, wanted) && output.SameOwners(w.secret, wanted) {
		return nil
	}
	return r.writeSecret(ctx, w, wanted)
}

func (r *Reconciler) writeSecret(ctx context.Context, w *world, wanted *corev1.Secret) error {
	err := output.WriteSecret(ctx, r.Client, w.secret, wanted)
	if err == nil || errors.Is(err, output.ErrAltered) {
		w.secret = wanted
	}
	return err
}
