// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
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

// delivery reads and writes the Secrets that tokens are delivered in.
type delivery struct {
	client  client.Client
	secrets cache.Cache
	live    client.Reader
}

// target is the Secret of an OAuth2Token.
func (d delivery) target(object *v1alpha1.OAuth2Token) output.Target {
	wanted := object.Spec.Secret
	return output.Target{
		Client: d.client, Cached: d.secrets, Live: d.live,
		Owner: ownerOf(object), SecretType: v1alpha1.SecretTypeToken, Name: secretName(object),
		Labels: wanted.Labels, Annotations: wanted.Annotations,
	}
}

// findSecret reads the Secret from the cache, which holds Secrets of our type alone.
func (d delivery) findSecret(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	return d.readSecret(ctx, d.secrets, object, w)
}

func (d delivery) readSecret(ctx context.Context, from client.Reader, object *v1alpha1.OAuth2Token, w *world) error {
	w.value = oauth2.Secret{}
	var err error
	w.secret, err = d.target(object).Read(ctx, from)
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
func checkTemplates(_ context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	_, w.condition = w.render(object)
	return nil
}

// writeSecret writes the Secret if it differs, on the version that was read. checkTemplates has found that it can be rendered.
func (d delivery) writeSecret(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	data, _ := w.render(object)
	var err error
	w.secret, err = d.target(object).Write(ctx, w.secret, data)
	return err
}

// applySecret brings the derived parts of the Secret up to date, and deletes the Secrets under former names.
func (d delivery) applySecret(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	if w.found {
		if err := d.writeSecret(ctx, object, w); err != nil {
			return err
		}
	}
	return d.target(object).RemoveFormer(ctx)
}

// inherit takes the token of a Secret under a former name.
func (d delivery) inherit(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	if w.secret != nil {
		return nil
	}
	value, err := d.target(object).Inherit(ctx, w.recorded)
	w.value = value
	return err
}
