// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

	bearer = "Bearer"
)

func secretName(object *v1alpha1.OAuth2Token) string {
	if object.Spec.Secret.Name != "" {
		return object.Spec.Secret.Name
	}
	return object.Name
}

// target is the Secret that an OAuth2Token is delivered in.
func (r *Reconciler) target(object *v1alpha1.OAuth2Token) output.Target {
	wanted := object.Spec.Secret
	return output.Target{
		Client: r.Client, Cached: r.Secrets, Live: r.Live,
		Owner: ownerOf(object), SecretType: v1alpha1.SecretTypeToken, Name: secretName(object),
		Labels: wanted.Labels, Annotations: wanted.Annotations,
	}
}

// findSecret reads the Secret from the cache, which holds Secrets of our type alone.
func (r *Reconciler) findSecret(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	return r.readSecret(ctx, r.Secrets, object, w)
}

func (r *Reconciler) readSecret(ctx context.Context, from client.Reader, object *v1alpha1.OAuth2Token, w *world) error {
	w.value = oauth2.Secret{}
	var err error
	w.secret, err = r.target(object).Read(ctx, from)
	if errors.Is(err, output.ErrForeign) {
		w.condition = new(v1alpha1.TokenSecretConflict(secretName(object)))
		return nil
	}
	w.value = output.Value(output.Data(w.secret), output.Entry(object.Spec.Secret.Keys.Token, keyToken), w.recorded)
	return err
}

// recorded reports whether a value is a token on record.
func (w *world) recorded(value oauth2.Secret) bool {
	_, found := w.record.Find(value)
	return found
}

// render renders the entries around a token. The condition says why it cannot be done.
func (w *world) render(object *v1alpha1.OAuth2Token) (map[string][]byte, *metav1.Condition) {
	keys := object.Spec.Secret.Keys
	return output.Render([]output.Item{
		{Name: keyToken, Renamed: keys.Token, Value: w.value.Reveal()},
		{Name: keyTokenType, Renamed: keys.TokenType, Value: bearer},
		{Name: keyExpiresAt, Renamed: keys.ExpiresAt, Value: w.current.ExpiresAt.Format(time.RFC3339)},
		{Name: keyAuthorization, Renamed: keys.Authorization, Value: bearer + " " + w.value.Reveal()},
		{Name: output.KeyCACertificate, Renamed: keys.CACertificate, Value: w.ca, Omitted: w.ca == ""},
	}, object.Spec.Secret.Template)
}

// checkTemplates finds out whether the Secret can be rendered before a token is made for it.
func (*Reconciler) checkTemplates(_ context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	_, w.condition = w.render(object)
	return nil
}

// writeSecret writes the Secret if it differs, on the version that was read. checkTemplates has found that it can be rendered.
func (r *Reconciler) writeSecret(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	data, _ := w.render(object)
	var err error
	w.secret, err = r.target(object).Write(ctx, w.secret, data)
	return err
}

// applySecret brings the derived parts of the Secret up to date, and deletes the Secrets under former names.
func (r *Reconciler) applySecret(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	if w.found {
		if err := r.writeSecret(ctx, object, w); err != nil {
			return err
		}
	}
	return r.target(object).RemoveFormer(ctx)
}

// inherit takes the token of a Secret under a former name.
func (r *Reconciler) inherit(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	if w.secret != nil {
		return nil
	}
	value, err := r.target(object).Inherit(ctx, w.recorded)
	w.value = value
	return err
}
