// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// bySecret is what the two methods with a client secret share.
type bySecret struct{ base }

func (bySecret) keep(s seen) credential.Plan { return credential.Keep(s.record(), s.at) }

func (m bySecret) items(value oauth2.Secret) []output.Item {
	return []output.Item{{Name: keyClientSecret, Renamed: m.client.Spec.Secret.Keys.ClientSecret, Value: value.Reveal()}}
}

func (bySecret) ready() metav1.Condition { return v1alpha1.Registered() }

// byGenerated is a client secret that is made here.
type byGenerated struct{ bySecret }

// look reads the secret in the Secret. If its entry or its Secret has just been renamed, it is the
// one under the former name.
func (m byGenerated) look(ctx context.Context, s seen, live bool) (found, error) {
	m.written.Remembered = s.names
	f, err := m.base.look(ctx, s, live)
	if err != nil || f.obstacle != nil {
		return f, err
	}
	wellFormed := func(value oauth2.Secret) bool {
		_, err := oauth2.ParseClientSecret(value)
		return err == nil
	}
	f.value = output.Value(output.Data(f.object), output.Entry(m.client.Spec.Secret.Keys.ClientSecret, keyClientSecret), wellFormed)
	switch {
	case f.object != nil:
	case !live:
		f.unknown, err = m.unknown(ctx, s)
	default:
		f.value, err = m.written.Inherit(ctx, func(value oauth2.Secret) bool { return s.record().Inherits(value, policyOf(m.client), s.at) })
	}
	return f, err
}

// unknown reports whether the cache has nothing of a client. Then no live read is needed, because
// whatever is there after all refuses the writes. It is needed for a chosen client_id, which may be
// another client's, and for a retained Secret, which would outlive a client that was just deleted.
func (m byGenerated) unknown(ctx context.Context, s seen) (bool, error) {
	if s.stored != nil || m.client.Spec.ClientID != "" || m.written.Retained {
		return false, nil
	}
	known, err := m.written.Known(ctx)
	return !known, err
}

// plan looks live before a secret is minted, because the cache may be behind.
// The status is evidence in one case: where the registration is lost, only it knows which request to rotate
// was carried out.
func (m byGenerated) plan(s seen, p credential.Policy) (credential.Plan, action) {
	reported := m.client.Status
	plan := credential.Next(s.record(), credential.Seen{
		Live: s.live, Present: s.object != nil, Value: s.value, Uses: s.uses,
		Unhandled: reported.ObservedGeneration > 0 && reported.Rotation.HandledRequest != p.Request,
	}, p, s.at)
	switch {
	case plan.Reason == credential.None, s.live:
		return plan, apply
	case s.expected:
		return plan, await
	case s.unknown:
		return plan, create
	}
	return plan, lookLive
}

// byDeclared is a client secret in a Secret of the user's own, which is only read.
type byDeclared struct {
	bySecret

	declared client.Reader
}

// look reads the Secret from a cache that holds labelled Secrets alone. While it cannot be used,
// the last good secret stays registered.
func (m byDeclared) look(ctx context.Context, s seen, _ bool) (found, error) {
	key := types.NamespacedName{Namespace: m.client.Namespace, Name: m.written.Name}
	var secret corev1.Secret
	err := m.declared.Get(ctx, key, &secret)
	if err == nil && output.Reduced(&secret) {
		err = m.written.Live.Get(ctx, key, &secret)
	}
	if apierrors.IsNotFound(err) {
		obstacle, err := m.explainMissing(ctx, key, len(m.keep(s).Record.Verifiers) > 0)
		return found{obstacle: obstacle}, err
	}
	if err != nil {
		return found{}, fmt.Errorf("read Secret %s: %w", key, err)
	}
	keys := m.client.Spec.Secret.Keys
	entry := output.Entry(keys.ClientSecret, keyClientSecret)
	value := oauth2.NewSecret(string(secret.Data[entry]))
	if len(secret.Data[entry]) == 0 {
		return found{obstacle: new(v1alpha1.SecretKeyNotFound(key.Name, entry))}, nil
	}
	if err := oauth2.CheckDeclaredSecret(value); err != nil {
		return found{obstacle: new(v1alpha1.SecretTooWeak(key.Name, err.Error()))}, nil
	}
	if id, there := secret.Data[output.Entry(keys.ClientID, keyClientID)]; there && string(id) != m.client.ClientID() {
		return found{obstacle: new(v1alpha1.ClientIDMismatch(key.Name, m.client.ClientID()))}, nil
	}
	return found{object: &secret, value: value}, nil
}

// explainMissing distinguishes a Secret that is not there from one that lacks the label, and one that is not
// there yet from one that was deleted: what that held is still accepted.
func (m byDeclared) explainMissing(ctx context.Context, key types.NamespacedName, accepted bool) (*metav1.Condition, error) {
	var secret corev1.Secret
	err := m.written.Live.Get(ctx, key, &secret)
	switch {
	case apierrors.IsNotFound(err) && accepted:
		return new(v1alpha1.SecretDeleted(key.Name)), nil
	case apierrors.IsNotFound(err):
		return new(v1alpha1.SecretNotFound(key.Name)), nil
	case err != nil:
		return nil, fmt.Errorf("read Secret %s: %w", key, err)
	case secret.Labels[v1alpha1.LabelCredentials] != "true":
		return new(v1alpha1.SecretNotLabelled(key.Name)), nil
	}
	// The label came a moment ago, and with it an event is on its way.
	return new(v1alpha1.Progressing(fmt.Sprintf("read Secret %q", key.Name))), nil
}

func (byDeclared) plan(s seen, p credential.Policy) (credential.Plan, action) {
	return credential.Next(s.record(), credential.Seen{Declared: true, Present: true, Value: s.value, Uses: s.uses}, p, s.at), apply
}

// remember adds nothing: the Secret is the user's.
func (byDeclared) remember(s seen) []string { return s.names }

func (byDeclared) write(_ context.Context, stored client.Object, _ map[string][]byte) (client.Object, error) {
	return stored, nil
}

// version is empty: the Secret is not written, and a change of it wakes the controller.
func (byDeclared) version(context.Context) string { return "" }

// byKeys is private_key_jwt: the client has keys of its own, and a Secret without a secret.
type byKeys struct{ base }

// compile reads the keys of the spec. A set without a key that can be used is an obstacle: what the
// client had before is not what its spec says. Keys that are not for us are ignored (RFC 7517 section
// 5). RSA keys that are too expensive are left out and reported, because they were accepted once.
func (m byKeys) compile(registered *oauth2.Client, _ string) (obstacle, incomplete *metav1.Condition) {
	registered.Credentials.KeysOnly = true
	registered.Credentials.MaxAssertionLife = m.client.Spec.Authentication.PrivateKeyJWT.MaxAssertionLifetime.Or(0)
	set, err := jws.ParseKeySet([]byte(m.client.Spec.Authentication.PrivateKeyJWT.JWKS))
	if err != nil {
		return new(v1alpha1.InvalidJWKS(fmt.Sprintf("read spec.authentication.privateKeyJWT.jwks: %v", err))), nil
	}
	if len(set.Keys) == 0 {
		return new(v1alpha1.InvalidJWKS(fmt.Sprintf("use spec.authentication.privateKeyJWT.jwks: %v", errors.Join(set.Unusable...)))), nil
	}
	costly := slices.DeleteFunc(slices.Clone(set.Unusable), func(err error) bool { return !errors.Is(err, jws.ErrCostlyKey) })
	if len(costly) > 0 {
		incomplete = new(v1alpha1.UnsupportedRSAKey(fmt.Sprintf("use spec.authentication.privateKeyJWT.jwks: %v", errors.Join(costly...))))
	}
	registered.Credentials.Keys = set.Keys
	return nil, incomplete
}

func (byKeys) ready() metav1.Condition { return v1alpha1.RegisteredKeys() }

// The service accounts that clients authenticate as; of each only the metadata is read.
//
// +kubebuilder:rbac:groups="",resources=serviceaccounts,verbs=get;list;watch

// A client that authenticates by its service account has nothing to hide: what it needs to know is
// in a ConfigMap, under the name that a Secret would have. Of the ConfigMaps of the users none is
// read or written but those that carry our label.
//
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;update;delete

// indexByAccount finds the clients that authenticate as a service account.
const indexByAccount = "spec.authentication.serviceAccount.name"

// byAccount is the token of a service account.
type byAccount struct{ base }

// identify reads the UID of the account, which tokens are compared with: an account that is deleted
// and created again is another one.
func (m byAccount) identify(ctx context.Context) (string, error) {
	key := types.NamespacedName{Namespace: m.client.Namespace, Name: m.client.Spec.Authentication.ServiceAccount.Name}
	for _, from := range []client.Reader{m.written.Cached, m.written.Live} { // the cache may lack one that came with the client
		account := &metav1.PartialObjectMetadata{}
		account.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceAccount"))
		err := from.Get(ctx, key, account)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("read ServiceAccount %s: %w", key, err)
		}
		if account.DeletionTimestamp.IsZero() {
			return string(account.UID), nil
		}
		break
	}
	return "", nil
}

// compile registers the account. Without a UID no caller is let in as the client.
func (m byAccount) compile(registered *oauth2.Client, accountUID string) (obstacle, incomplete *metav1.Condition) {
	name := m.client.Spec.Authentication.ServiceAccount.Name
	registered.Credentials.ServiceAccount = &oauth2.ServiceAccount{Name: name, UID: accountUID}
	if accountUID == "" {
		obstacle = new(v1alpha1.ServiceAccountNotFound(name))
	}
	return obstacle, nil
}

func (m byAccount) ready() metav1.Condition {
	return v1alpha1.RegisteredServiceAccount(m.client.Spec.Authentication.ServiceAccount.Name)
}

// KeepIdentity drops what the cache of service accounts does not need: there are many of them.
func KeepIdentity(object any) (any, error) {
	account, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	return &metav1.PartialObjectMetadata{TypeMeta: account.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Namespace: account.Namespace, Name: account.Name, UID: account.UID,
		ResourceVersion: account.ResourceVersion, DeletionTimestamp: account.DeletionTimestamp,
	}}, nil
}
