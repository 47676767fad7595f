// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
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

// entry is the name of an entry of the Secret: the user's, or the default.
func entry(name v1alpha1.SecretKey, otherwise string) string {
	if name != "" {
		return string(name)
	}
	return otherwise
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
		entry(keys.ClientID, keyClientID): []byte(values[keyClientID]),
	}
	if w.registration.Client.BySecret() {
		values[keyClientSecret] = w.value.Reveal()
		data[entry(keys.ClientSecret, keyClientSecret)] = []byte(values[keyClientSecret])
	}
	for _, optional := range r.optionalEntries(c, w) {
		values[optional.name] = optional.value
		if slices.Contains(c.Spec.Secret.Omit, optional.omit) || optional.omit == v1alpha1.OmitCACertificate && optional.value == "" {
			continue
		}
		data[entry(optional.renamed, optional.name)] = []byte(optional.value)
	}
	rendered, bad, err := expandAll(c.Spec.Secret.Template, values, data)
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

// outputMeta is what the metadata of the Secret, or of the ConfigMap, says on our part.
func outputMeta(c *v1alpha1.OAuth2Client) metav1.ObjectMeta {
	labels := map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}
	for key, value := range c.Spec.Secret.Labels {
		labels[key] = string(value)
	}
	annotations := map[string]string{v1alpha1.AnnotationClient: c.Name}
	for key, value := range c.Spec.Secret.Annotations {
		annotations[key] = string(value)
	}
	output := metav1.ObjectMeta{Namespace: c.Namespace, Name: secretName(c), Labels: labels, Annotations: annotations}
	if c.Spec.Secret.DeletionPolicy != v1alpha1.DeletionRetain {
		output.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "OAuth2Client", Name: c.Name, UID: c.UID,
			Controller: new(true), BlockOwnerDeletion: new(false),
		}}
	}
	return output
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
	w.value = clientSecretIn(&secret, entry(c.Spec.Secret.Keys.ClientSecret, keyClientSecret))
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

// owns decides whether a Secret is this client's: by type and annotation, and by an owner reference that is this client's,
// missing or dead. Backup tools strip owner references and change UIDs; a Secret of another owner is never touched.
func (r *Reconciler) owns(ctx context.Context, c *v1alpha1.OAuth2Client, secret *corev1.Secret) (bool, error) {
	if secret.Type != v1alpha1.SecretTypeClient {
		return false, nil
	}
	return r.ownsMeta(ctx, c, secret)
}

func (r *Reconciler) ownsMeta(ctx context.Context, c *v1alpha1.OAuth2Client, found client.Object) (bool, error) {
	if found.GetAnnotations()[v1alpha1.AnnotationClient] != c.Name {
		return false, nil
	}
	for _, owner := range found.GetOwnerReferences() {
		switch {
		case owner.UID == c.UID:
		case owner.Kind != "OAuth2Client" || !strings.HasPrefix(owner.APIVersion, v1alpha1.GroupVersion.Group+"/"):
			return false, nil
		default:
			dead, err := r.gone(ctx, c.Namespace, owner.Name, string(owner.UID))
			if err != nil || !dead {
				return false, err
			}
		}
	}
	return true, nil
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
	if w.secret != nil && sameSecret(w.secret, wanted) && slices.EqualFunc(w.secret.OwnerReferences, wanted.OwnerReferences, sameOwner) {
		return nil
	}
	return r.writeSecret(ctx, w, wanted)
}

// writeSecret creates the Secret, or replaces what is ours in the one that was read. Labels and annotations that others put
// there, a reloader for one, stay.
func (r *Reconciler) writeSecret(ctx context.Context, w *world, wanted *corev1.Secret) error {
	var err error
	if w.secret == nil {
		err = r.Client.Create(ctx, wanted)
	} else {
		wanted.ResourceVersion = w.secret.ResourceVersion
		wanted.Labels = merged(w.secret.Labels, wanted.Labels)
		wanted.Annotations = merged(w.secret.Annotations, wanted.Annotations)
		err = r.Client.Update(ctx, wanted)
	}
	if err != nil {
		return &outputError{kind: "Secret", name: wanted.Name, err: err}
	}
	w.secret = wanted
	return nil
}

// outputError says that the user's Secret or ConfigMap could not be written. Its message is for the user.
type outputError struct {
	kind, name string
	err        error
}

func (e *outputError) Error() string { return fmt.Sprintf("write %s %q (%v)", e.kind, e.name, e.err) }

func (e *outputError) Unwrap() error { return e.err }

func sameOwner(a, b metav1.OwnerReference) bool {
	return a.UID == b.UID && a.Name == b.Name && a.Kind == b.Kind
}

func merged(base, over map[string]string) map[string]string {
	all := maps.Clone(base)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, over)
	return all
}
