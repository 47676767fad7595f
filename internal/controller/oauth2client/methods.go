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
type byGenerated struct {
	bySecret

	generations generations
}

func (byGenerated) source() secretSource { return secretGenerated }

// look reads the secret in the Secret. If its entry or its Secret has just been renamed, it is the
// one under the former name. So it is if the Secret has a value that is not current: a Secret of
// before that could not be deleted may have the name.
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
		f.generation, err = m.generations.proven(ctx, f.object, f.value)
	case !live:
		f.unknown, err = m.unknown(ctx, s)
	}
	record, policy := s.record(), policyOf(m.client)
	if err != nil || !live || f.object != nil && record.Inherits(f.value, f.generation, policy, s.at) && !record.Replaced(f.value, policy, s.at) {
		return f, err
	}
	value, proven, err := m.inherit(ctx, s)
	if f.object == nil || record.Inherits(value, proven, policy, s.at) && !record.Replaced(value, policy, s.at) {
		f.value, f.generation, f.elsewhere = value, proven, true
	}
	return f, err
}

// inherit finds the value in a Secret under a former name, and what that proves of it. A late cache
// may lack that Secret: a first one with the client's name is not remembered, and where the
// registration was lost or restored, only the status has the name. A former Secret that could not
// be deleted may have a value that was replaced: it counts only if no other has a current one.
func (m byGenerated) inherit(ctx context.Context, s seen) (value oauth2.Secret, proven credential.Generation, err error) {
	m.written.Remembered = slices.Clone(s.names)
	if len(s.names) == 0 && len(s.record().Verifiers) > 0 {
		m.written.Remembered = []string{m.client.Name}
	}
	if reported := m.client.Status.Secret.Name; reported != "" && !slices.Contains(m.written.Remembered, reported) {
		m.written.Remembered = append(m.written.Remembered, reported)
	}
	record, policy := s.record(), policyOf(m.client)
	var second oauth2.Secret
	var ofSecond, ofThis credential.Generation
	var unproven error
	value, err = m.written.Inherit(ctx, func(from client.Object, value oauth2.Secret) bool {
		ofThis, unproven = m.generations.proven(ctx, from, value)
		inherits := unproven == nil && record.Inherits(value, ofThis, policy, s.at)
		if unproven != nil || inherits && !record.Replaced(value, policy, s.at) {
			return true
		}
		if second.Empty() && (inherits || record.MayBeFirst(value, s.at)) {
			second, ofSecond = value, ofThis
		}
		return false
	})
	switch err = errors.Join(err, unproven); {
	case err != nil:
		return oauth2.Secret{}, credential.Generation{}, err
	case value.Empty():
		return second, ofSecond, nil
	}
	return value, ofThis, nil
}

// write has the Secret prove the generation of its value.
func (m byGenerated) write(ctx context.Context, stored client.Object, d decision) (_ client.Object, err error) {
	if m.written.Generation, err = m.generations.prove(ctx, d.plan.Value, d.plan.Generation); err != nil {
		return stored, err
	}
	// the key is damaged
	if m.written.Generation == "" && d.plan.Generation.Number > 0 && stored != nil {
		m.written.Generation = stored.GetAnnotations()[v1alpha1.AnnotationGeneration]
	}
	return m.written.Write(ctx, stored, d.data)
}

// remember adds the name of each Secret that the cache lacks, because no other Secret has its
// value: the registration may have been lost or restored, and then it has none of the names. A
// first Secret with the client's name is left out, so that most registrations have no names; see
// inherit.
func (m byGenerated) remember(s seen) []string {
	return m.remembered(s, s.uncached && (m.written.Name != m.client.Name || !s.unknown))
}

// unknown reports whether the cache has nothing of a client. Then no live read is needed, because
// whatever is there after all refuses the writes. It is needed for a chosen client_id, which may be
// another client's, for a retained Secret, which would outlive a client that was just deleted, and
// where the client was registered by its status: the registration is lost then, and of two
// creates the one that is not refused would register another secret than applications hold.
func (m byGenerated) unknown(ctx context.Context, s seen) (bool, error) {
	registered := wasRegistered(m.client) || len(m.client.Status.Credentials) > 0
	if s.stored != nil || m.client.Spec.ClientID != "" || m.written.Retained || registered {
		return false, nil
	}
	known, err := m.written.Known(ctx)
	return !known, err
}

// plan looks live before a secret is minted, before one that was replaced is current again, and
// before the status has another name, because the cache may be behind. The status is evidence where
// the registration is lost, as in wasRegistered: only it knows which request to rotate was carried
// out, under which name the value is, and which generation it has if its Secret proves none.
func (m byGenerated) plan(s seen, p credential.Policy) (credential.Plan, action) {
	reported := m.client.Status
	plan := credential.Next(s.record(), credential.Seen{
		Live: s.live, Present: s.object != nil, Value: s.value, Generation: s.generation, Uses: s.uses, Reported: reportedOf(reported, s.held),
		Unhandled: reported.ObservedGeneration > 0 && reported.Rotation.HandledRequest != p.Request,
	}, p, s.at)
	switch {
	case s.live, plan.Reason == credential.None && !s.record().Replaced(s.value, p, s.at) && !m.reportedElsewhere():
		return plan, apply
	case s.expected:
		return plan, await
	case s.unknown:
		return plan, create
	}
	return plan, lookLive
}

// reportedOf is what the status reports of the secrets of a client whose registration was lost.
func reportedOf(reported v1alpha1.OAuth2ClientStatus, registered bool) credential.Reported {
	if registered {
		return credential.Reported{}
	}
	r := credential.Reported{Generation: reported.Rotation.Generation}
	for _, listed := range reported.Credentials {
		if listed.ExpiresAt.IsZero() {
			r.Current = listed.ID
		}
	}
	return r
}

// reportedElsewhere reports whether the status has another name for the Secret than the spec. What
// the cache has under the name of the spec may have been deleted, when the client got the other
// one.
func (m byGenerated) reportedElsewhere() bool {
	reported := m.client.Status.Secret.Name
	return reported != "" && reported != m.written.Name
}

// byDeclared is a client secret in a Secret of the user's own, which is only read. What is written
// is a ConfigMap of that name with the other entries.
type byDeclared struct {
	bySecret

	declared client.Reader
}

func (byDeclared) source() secretSource { return secretDeclared }

// items adds nothing: a ConfigMap has no secret.
func (byDeclared) items(oauth2.Secret) []output.Item { return nil }

// look reads the Secret from a cache that holds labelled Secrets alone. While it cannot be used,
// the last good secret stays registered, and a Secret that was generated before stays in place. A
// ConfigMap of another owner is no obstacle.
func (m byDeclared) look(ctx context.Context, s seen, live bool) (found, error) {
	f, err := m.base.look(ctx, s, live)
	if err != nil {
		return f, err
	}
	if f.obstacle != nil {
		f.conflict, f.obstacle = new(v1alpha1.ConfigMapNotWritten(m.written.Name)), nil
	}
	m.other.Remembered = s.names
	former, _, err := m.other.Former(ctx)
	if err != nil {
		return f, err
	}
	for _, o := range former {
		f.former = append(f.former, o.GetName())
	}
	f.value, f.obstacle, err = m.read(ctx, s, m.declared)
	if live && err == nil && s.record().Replaced(f.value, policyOf(m.client), s.at) {
		f.value, f.obstacle, err = m.read(ctx, s, m.written.Live)
	}
	if f.obstacle != nil && len(f.former) > 0 {
		f.obstacle.Message += " " + v1alpha1.GeneratedStays(f.former[0])
	}
	return f, err
}

// read returns the client secret in the Secret, or the condition with the reason why there is none.
func (m byDeclared) read(ctx context.Context, s seen, from client.Reader) (oauth2.Secret, *metav1.Condition, error) {
	var none oauth2.Secret
	key := types.NamespacedName{Namespace: m.client.Namespace, Name: secretName(m.client)}
	var secret corev1.Secret
	err := from.Get(ctx, key, &secret)
	if apierrors.IsNotFound(err) || err == nil && secret.Labels[v1alpha1.LabelCredentials] != "true" {
		obstacle, err := m.explainMissing(ctx, key, len(m.keep(s).Record.Verifiers) > 0)
		return none, obstacle, err
	}
	if err != nil {
		return none, nil, fmt.Errorf("read Secret %s: %w", key, err)
	}
	keys := m.client.Spec.Secret.Keys
	entry := output.Entry(keys.ClientSecret, keyClientSecret)
	value := oauth2.NewSecret(string(secret.Data[entry]))
	if len(secret.Data[entry]) == 0 {
		return none, new(v1alpha1.SecretKeyNotFound(key.Name, entry)), nil
	}
	if err := oauth2.CheckDeclaredSecret(value); err != nil {
		return none, new(v1alpha1.SecretTooWeak(key.Name, err.Error())), nil
	}
	if id, there := secret.Data[output.Entry(keys.ClientID, keyClientID)]; there && string(id) != m.client.ClientID() {
		return none, new(v1alpha1.ClientIDMismatch(key.Name, m.client.ClientID())), nil
	}
	return value, nil, nil
}

// explainMissing distinguishes a Secret that is not there from one that lacks the label, and one
// that is not there yet from one that was deleted: what that held is still accepted.
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

// plan looks live before the ConfigMap is created: the cache has none that are not ours. It does so
// before a secret that was replaced is current again, too.
func (byDeclared) plan(s seen, p credential.Policy) (credential.Plan, action) {
	plan := credential.Next(s.record(), credential.Seen{Declared: true, Present: true, Value: s.value, Uses: s.uses}, p, s.at)
	if !s.live && (s.object == nil && s.conflict == nil || s.record().Replaced(s.value, p, s.at)) {
		return plan, lookLive
	}
	return plan, apply
}

// removeFormer keeps a ConfigMap under a former name until there is one under the new name.
func (m byDeclared) removeFormer(ctx context.Context, s seen) (copies []string, err error) {
	if s.conflict == nil {
		return m.base.removeFormer(ctx, s)
	}
	m.other.Remembered = s.names
	return m.other.RemoveFormer(ctx, s.object)
}

// remember adds nothing: of that name there is a Secret of the user, too, and the ConfigMap has an
// owner reference.
func (byDeclared) remember(s seen) []string { return s.names }

// byKeys is private_key_jwt: the client has keys of its own, and a Secret without a secret.
type byKeys struct{ base }

// compile reads the keys of the spec. A set without a key that can be used is an obstacle: what the
// client had before differs from its spec. Keys that are not for us are ignored (RFC 7517 section
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
	if registered.Credentials.Keys, err = jws.PackKeys(set.Keys...); err != nil {
		return new(v1alpha1.InvalidJWKS(fmt.Sprintf("use spec.authentication.privateKeyJWT.jwks: %v", err))), nil
	}
	return nil, incomplete
}

// ready names the keys that are ignored. Those of RSA that are too expensive have a condition.
func (m byKeys) ready() metav1.Condition {
	set, err := jws.ParseKeySet([]byte(m.client.Spec.Authentication.PrivateKeyJWT.JWKS))
	if err != nil {
		return v1alpha1.RegisteredKeys()
	}
	var ignored []string
	for _, err := range set.Unusable {
		if !errors.Is(err, jws.ErrCostlyKey) {
			ignored = append(ignored, err.Error())
		}
	}
	return v1alpha1.RegisteredKeys(ignored...)
}

// The service accounts that clients authenticate as; of each only the metadata is read.
//
// +kubebuilder:rbac:groups="",resources=serviceaccounts,verbs=get;list;watch

// A client that authenticates by its service account has nothing to hide: what it needs to know is
// in a ConfigMap, under the name that a Secret would have. Of the ConfigMaps of the users none is
// read or written but those that carry our label.
//
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;update;delete

// indexByAccount finds the clients that authenticate as a service account.
const indexByAccount = v1alpha1.FieldServiceAccount

// byAccount is the token of a service account.
type byAccount struct{ base }

// identify reads the UID of the account, which tokens are compared with: an account that is deleted
// and created again is another one.
func (m byAccount) identify(ctx context.Context) (string, error) {
	key := types.NamespacedName{Namespace: m.client.Namespace, Name: m.client.Spec.Authentication.ServiceAccount.Name}
	// the cache may lack one that came with the client
	for _, from := range []client.Reader{m.written.Cached, m.written.Live} {
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

// compile registers the account. Without a UID no caller is admitted as the client.
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
