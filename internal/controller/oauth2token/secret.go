// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"errors"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
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
	*Config

	repairs *attempt.Repairs
}

// target is the Secret of an OAuth2Token.
func (d delivery) target(object *v1alpha1.OAuth2Token) output.Target {
	wanted := object.Spec.Secret
	return output.Target{
		Client: d.Client, Cached: d.Secrets, Live: d.Live,
		Owner: ownerOf(object), SecretType: v1alpha1.SecretTypeToken, Name: secretName(object),
		Labels: wanted.Labels, Annotations: wanted.Annotations,
	}
}

func (d delivery) findSecret(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	return d.readSecret(ctx, d.Secrets, object, s)
}

func (d delivery) readSecret(ctx context.Context, from client.Reader, object *v1alpha1.OAuth2Token, s *state) error {
	s.value = oauth2.Secret{}
	var err error
	s.secret, err = d.target(object).Read(ctx, from)
	s.read = err == nil
	if errors.Is(err, output.ErrForeign) {
		s.condition = new(v1alpha1.TokenSecretConflict(secretName(object)))
		return nil
	}
	s.value = output.Value(output.Data(s.secret), output.Entry(object.Spec.Secret.Keys.Token, keyToken), s.recorded)
	return err
}

// recorded reports whether a value is a token on record.
func (s *state) recorded(value oauth2.Secret) bool {
	_, found := s.record.Find(value)
	return found
}

// render renders the entries around a token. The condition has the reason why it cannot be done.
func (s *state) render(object *v1alpha1.OAuth2Token) (map[string][]byte, *metav1.Condition) {
	keys := object.Spec.Secret.Keys
	return output.Render([]output.Item{
		{Name: keyToken, Renamed: keys.Token, Value: s.value.Reveal()},
		{Name: keyTokenType, Renamed: keys.TokenType, Value: bearer},
		{Name: keyExpiresAt, Renamed: keys.ExpiresAt, Value: s.current.ExpiresAt.Format(time.RFC3339)},
		{Name: keyAuthorization, Renamed: keys.Authorization, Value: bearer + " " + s.value.Reveal()},
		{Name: output.KeyCACertificate, Renamed: keys.CACertificate, Value: s.ca, Omitted: s.ca == ""},
	}, object.Spec.Secret.Template)
}

// checkTemplates finds out whether the Secret can be rendered before a token is made for it.
func checkTemplates(_ context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	_, s.condition = s.render(object)
	return nil
}

// writeSecret writes the Secret, which checkTemplates has found can be rendered, if it differs.
func (d delivery) writeSecret(ctx context.Context, object *v1alpha1.OAuth2Token, s *state, repair bool) error {
	data, _ := s.render(object)
	target := d.target(object)
	if repair {
		target.Client = d.repairs.Client(d.Client, object, d.Clock.Now)
	}
	var err error
	s.secret, err = target.Write(ctx, s.secret, data)
	return err
}

// applySecret brings the derived parts of the Secret up to date, and deletes the Secrets under
// former names. A late cache may have a record of before: the token in such a Secret would be taken
// for none, and an older one for the newest.
func (d delivery) applySecret(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	former, _, err := d.target(object).Former(ctx)
	if err == nil && len(former) > 0 && s.stored != nil {
		_, err = output.Unchanged(ctx, d.Live, s.stored)
	}
	if err != nil {
		return err
	}
	if s.found {
		if err := d.writeSecret(ctx, object, s, true); err != nil {
			return err
		}
	}
	s.copies, err = d.target(object).RemoveFormer(ctx, s.secret)
	return err
}

// behind reports whether a newer token than the one in the Secret may be in a Secret under a former
// name: the Secret could not be deleted when its object got that name, and has it again.
func (d delivery) behind(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) (bool, error) {
	if !s.hasOlder() {
		return false, nil
	}
	former, _, err := d.target(object).Former(ctx)
	return len(former) > 0, err
}

// hasOlder reports whether a token on record is newer than the one in the Secret. Mostly it is on
// its way there.
func (s *state) hasOlder() bool {
	held, found := s.record.Find(s.value)
	isNewer := func(t oauth2.MintedToken) bool { return t.IssuedAt.After(held.IssuedAt) }
	return found && slices.ContainsFunc(s.record.Tokens, isNewer)
}

// inherit takes the newest token of the Secrets under former names, if there is no Secret or it has
// an older one: readers hold the newest. A late cache may lack the Secret that the status names.
func (d delivery) inherit(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	if s.secret != nil && !s.hasOlder() {
		return nil
	}
	newest, _ := s.record.Find(s.value)
	target := d.target(object)
	if reported := object.Status.Secret.Name; reported != "" {
		target.Remembered = []string{reported}
	}
	_, err := target.Inherit(ctx, func(_ client.Object, value oauth2.Secret) bool {
		if t, found := s.record.Find(value); found && t.IssuedAt.After(newest.IssuedAt) {
			newest, s.value = t, value
		}
		return false
	})
	return err
}
