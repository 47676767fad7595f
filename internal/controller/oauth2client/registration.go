// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// compile renders what the spec says, cut to the ceilings of the namespace, as the registered client; its verifiers are not in
// the spec.
func compile(c *v1alpha1.OAuth2Client, ceilings oauth2.Ceilings) oauth2.Client {
	compiled := oauth2.Client{
		ID:            c.ClientID(),
		UID:           string(c.UID),
		Namespace:     c.Namespace,
		Name:          c.Name,
		Suspended:     c.Spec.State == v1alpha1.ClientSuspended,
		Refused:       !ceilings.AllowMethod(string(method(c))),
		TokenLifetime: ceilings.Lifetime(c.Spec.TokenLifetime.Or(oauth2.DefaultTokenLifetime)),
		Algorithm:     jws.Algorithm(c.Spec.TokenSigningAlgorithm),
	}
	for _, scope := range c.Spec.Scopes {
		if ceilings.FreeForm(string(scope)) == oauth2.Granted {
			compiled.Scopes = append(compiled.Scopes, string(scope))
		}
	}
	compileAccess(c, &compiled)
	if c.Spec.Authentication.Method == v1alpha1.ByPrivateKeyJWT {
		compiled.KeysOnly = true
		compiled.Keys, _ = clientKeys(c) // without keys nobody gets in; findKeys says why
	}
	if byServiceAccount(c) {
		compiled.ServiceAccount = &oauth2.ServiceAccount{Name: c.Spec.Authentication.ServiceAccount.Name} // findServiceAccount has its UID
	}
	return compiled
}

// findKeys says what is wrong with the keys of a client that cannot be used. A client without any key left is refused: what it had
// before is not what its spec says.
func (r *Reconciler) findKeys(_ context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	if !w.registration.Client.KeysOnly {
		return nil
	}
	keys, err := clientKeys(c)
	switch {
	case err == nil:
	case len(keys) > 0:
		w.keysCondition = new(v1alpha1.UnsupportedRSAKey(err.Error()))
	default:
		w.condition = new(v1alpha1.InvalidJWKS(err.Error()))
	}
	return nil
}

// clientKeys reads the keys of the spec. Keys that cannot be used are an error, because their owner expects them to work. Of a set with
// RSA keys that are too expensive the others are returned beside the error: such keys were accepted once.
func clientKeys(c *v1alpha1.OAuth2Client) ([]jws.PublicKey, error) {
	set, err := jws.ParseKeySet([]byte(c.Spec.Authentication.PrivateKeyJWT.JWKS))
	if err != nil {
		return nil, fmt.Errorf("read spec.authentication.privateKeyJWT.jwks: %w", err)
	}
	for _, unusable := range set.Unusable {
		if !errors.Is(unusable, jws.ErrCostlyKey) {
			set.Keys = nil
		}
	}
	if err := errors.Join(set.Unusable...); err != nil {
		return set.Keys, fmt.Errorf("use spec.authentication.privateKeyJWT.jwks: %w", err)
	}
	return set.Keys, nil
}

// findRegistration reads what is registered under the client's id. What another live client holds stays its own; what a
// dead one left makes way.
func (r *Reconciler) findRegistration(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	cutBack(&w.registration.Client, c, oauth2.Client{}, r.Clock.Now())
	compiled := w.registration.Client
	key := types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.SecretName(compiled.ID)}
	var stored corev1.Secret
	err := r.Client.Get(ctx, key, &stored)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the registration of %s: %w", compiled.ID, err)
	}
	found, err := registration.Decode(stored.Data)
	if len(found.DroppedClaims) > 0 {
		ctrl.LoggerFrom(ctx).Info("the stored registration has claims that are not allowed; it is written without them",
			"registration", stored.Name, "claims", found.DroppedClaims)
	}
	w.held = err == nil && found.Client.ID == compiled.ID && found.Client.UID == compiled.UID
	switch {
	case err != nil, found.Client.UID == compiled.UID && !w.held:
		// Nobody can use it as it is. Its name is derived from this id, so it is this client's to write again.
		found = registration.Registration{}
	case found.Client.UID != compiled.UID:
		gone, err := r.gone(ctx, found.Client.Namespace, found.Client.Name, found.Client.UID)
		if err != nil {
			return err
		}
		if !gone {
			w.condition = new(v1alpha1.ClientIDConflict(compiled.ID))
			return nil
		}
		found = registration.Registration{} // a verifier is bound to its owner's UID: nothing of it is of use
	}
	w.stored = &stored
	cutBack(&compiled, c, found.Client, r.Clock.Now())
	if compiled.BySecret() {
		// What has ended is dropped whatever else there is to do, or be waited for.
		now := r.Clock.Now()
		w.noteExpired(found.Client.Verifiers, now)
		compiled.Verifiers = slices.DeleteFunc(found.Client.Verifiers, func(v oauth2.Verifier) bool { return !v.Live(now) })
	}
	w.registration = registration.Registration{Client: compiled, Rotation: found.Rotation}
	return nil
}

// cutBack notes until when the tokens of a client are taken back. A time to come is cut back to the instant at which it is seen first,
// which the registration keeps.
func cutBack(compiled *oauth2.Client, c *v1alpha1.OAuth2Client, registered oauth2.Client, now time.Time) {
	if c.Spec.RevokeTokensIssuedBefore == nil {
		return
	}
	compiled.RevocationAsked = c.Spec.RevokeTokensIssuedBefore.UTC()
	compiled.RevokedBefore = oauth2.CutBack(compiled.RevocationAsked, now)
	if registered.RevocationAsked.Equal(compiled.RevocationAsked) {
		compiled.RevokedBefore = registered.RevokedBefore
	}
}

// publish writes the registration if it differs from what is stored, on the version that was read.
func (r *Reconciler) publish(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	data, err := registration.Encode(w.registration)
	if err != nil {
		return err
	}
	wanted := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.RegistryNamespace,
			Name:      registration.SecretName(w.registration.Client.ID),
			Labels:    map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
			Annotations: map[string]string{
				registration.AnnotationClientID:    w.registration.Client.ID,
				v1alpha1.AnnotationClientNamespace: c.Namespace,
				v1alpha1.AnnotationClient:          c.Name,
			},
		},
		Type: registration.SecretType,
		Data: maps.Clone(data),
	}
	switch {
	case w.stored == nil:
		err = r.Client.Create(ctx, wanted)
	case output.SameSecret(w.stored, wanted):
		return nil
	case w.stored.Type != wanted.Type:
		// The type of a Secret cannot be changed. Only somebody with rights on the registry can have put it there.
		err = r.Client.Delete(ctx, w.stored, client.Preconditions{UID: &w.stored.UID, ResourceVersion: &w.stored.ResourceVersion})
		if err == nil {
			err = r.Client.Create(ctx, wanted)
		}
	default:
		wanted.ResourceVersion = w.stored.ResourceVersion
		err = r.Client.Update(ctx, wanted)
	}
	if err == nil {
		w.stored = wanted
		err = output.CheckStored(data, wanted.Data, bytes.Equal)
	}
	if err != nil {
		return fmt.Errorf("publish client %s: %w", w.registration.Client.ID, err)
	}
	return nil
}

// keepRegistration publishes what the spec says of a client whose Secret is in conflict: a suspension must hold whatever
// else is wrong. A client that does not hold its id has nothing to keep, and must not come to hold it while something is.
func (r *Reconciler) keepRegistration(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	if !w.held {
		return nil
	}
	return r.publish(ctx, c, w)
}
