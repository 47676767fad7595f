// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

const resourceTokens = "oauth2tokens"

// minted is what is known of OAuth2Tokens: their records by the names of their Secrets, and what the objects themselves say.
type minted struct {
	records table[storedMinted]
	owners  table[*oauth2.MintedOwner]
	// held are the OAuth2Tokens in quarantine, by UID: see quarantine.go.
	held sync.Map
	// listed is the resourceVersion at which the registry was listed last.
	listed atomic.Uint64
}

// storedMinted is the record of an OAuth2Token and its resourceVersion, which is zero if it is from a snapshot.
type storedMinted struct {
	*oauth2.Minted

	version uint64
}

// tokens are those of the record, if there is one.
func (m storedMinted) tokens() []oauth2.MintedToken {
	if m.Minted == nil {
		return nil
	}
	return m.Tokens
}

func (m storedMinted) has(tokenID string) bool {
	return slices.ContainsFunc(m.tokens(), func(t oauth2.MintedToken) bool { return t.ID == tokenID })
}

// The OAuth2Tokens themselves are read for what denies.
//
// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2tokens,verbs=get;list;watch

// Minted is what memory has of the OAuth2Token whose opaque tokens have that id.
func (d *Directory) Minted(opaqueID string) oauth2.MintedRecord {
	m, there := d.minted.records.get(hashOf(registration.OpaqueSecretName(opaqueID)))
	if !there {
		return oauth2.MintedRecord{}
	}
	owner, _ := d.minted.owners.get(hashOf(ownerName(m.Namespace, m.Name)))
	return oauth2.MintedRecord{Minted: m.Minted, Owner: d.minted.refused(owner, m.version, d.now())}
}

// mintedOwner is what memory has of the OAuth2Token itself; nil if it is not known.
func (d *Directory) mintedOwner(opaqueID string) *oauth2.MintedOwner {
	m, there := d.minted.records.get(hashOf(registration.OpaqueSecretName(opaqueID)))
	if !there {
		return nil
	}
	owner, _ := d.minted.owners.get(hashOf(ownerName(m.Namespace, m.Name)))
	return owner
}

// LookUpMinted asks the API server itself, as LookUp does about clients.
func (d *Directory) LookUpMinted(ctx context.Context, opaqueID string) (oauth2.MintedRecord, error) {
	asked, before := d.now(), d.mintedOwner(opaqueID)
	if err := d.current(ctx); err != nil {
		return oauth2.MintedRecord{}, err
	}
	var secret corev1.Secret
	err := d.core.Get().Namespace(d.namespace).Resource(resourceSecrets).Name(registration.OpaqueSecretName(opaqueID)).Do(ctx).Into(&secret)
	if apierrors.IsNotFound(err) {
		return oauth2.MintedRecord{}, nil
	}
	if err != nil {
		return oauth2.MintedRecord{}, fmt.Errorf("look up the record of a token: %w", err)
	}
	m, err := mintedIn(&secret)
	if err != nil || secret.Type != registration.TokenSecretType {
		return oauth2.MintedRecord{}, nil //nolint:nilerr // what cannot be read is no record; the watch reports it
	}
	var object v1alpha1.OAuth2Token
	err = d.hallpass.Get().Namespace(m.Namespace).Resource(resourceTokens).Name(m.Name).Do(ctx).Into(&object)
	if apierrors.IsNotFound(err) {
		return oauth2.MintedRecord{Minted: &m, Owner: &oauth2.MintedOwner{}}, nil
	}
	if err != nil {
		return oauth2.MintedRecord{}, fmt.Errorf("look up the owner of a token: %w", err)
	}
	owner := mintedOwnerOf(&object)
	seen := sight(resourceTokens, hashOf(ownerName(m.Namespace, m.Name)), owner.UID, owner.Terminating)
	wasTerminating := before != nil && before.UID == owner.UID && before.Terminating
	refused, err := d.doubts(resourceTokens, seen, d.knownAt(asked, seen, wasTerminating))
	if err != nil {
		return oauth2.MintedRecord{}, err
	}
	owner.Terminating = owner.Terminating || refused
	return oauth2.MintedRecord{Minted: &m, Owner: d.minted.refused(owner, versionOf(&secret), d.now())}, nil
}

// mintedIn reads the record of an OAuth2Token, which must not stand under a name that is not its own.
func mintedIn(secret *corev1.Secret) (oauth2.Minted, error) {
	m, err := registration.DecodeToken(secret.Data)
	if err == nil && registration.TokenSecretName(m.UID) != secret.Name {
		err = fmt.Errorf("%w: it is kept under the name of another token", registration.ErrUnreadable)
	}
	return m, err
}

// takeMinted takes the record of an OAuth2Token. One that cannot be read denies.
func (s secretStore) takeMinted(secret *corev1.Secret) {
	m, err := mintedIn(secret)
	s.departTokens(secret.Name, storedMinted{Minted: &m})
	if err != nil {
		s.minted.records.remove(hashOf(secret.Name))
		s.log.Error("cannot read the record of an OAuth2Token; its tokens are refused", "secret", secret.Name, "error", err)
		return
	}
	stored := storedMinted{&m, versionOf(secret)}
	s.minted.written(m.UID, stored.version, s.now())
	s.minted.records.put(hashOf(secret.Name), stored)
}

// versionOf is the resourceVersion of an object; zero if it is no number.
func versionOf(object metav1.Object) uint64 {
	version, _ := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	return version
}

// departTokens takes note of the tokens that memory has in the record of a Secret and that the next record has not.
func (s secretStore) departTokens(secretName string, next storedMinted) {
	if before, there := s.minted.records.get(hashOf(secretName)); there {
		s.departTokensOf(before, next)
	}
}

func (d *Directory) departTokensOf(before, next storedMinted) {
	now := d.now()
	for _, token := range before.tokens() {
		if now.Before(token.ExpiresAt) && !next.has(token.ID) {
			d.departed.note(tokenIdentity(token.ID), now)
		}
	}
	for _, token := range next.tokens() {
		if !before.has(token.ID) {
			d.departed.forget(tokenIdentity(token.ID))
		}
	}
}

// tokenIdentity is the identity of a token that is on record.
func tokenIdentity(tokenID string) hash { return hashOf("minted\x00" + tokenID) }

func mintedOwnerOf(object *v1alpha1.OAuth2Token) *oauth2.MintedOwner {
	owner := &oauth2.MintedOwner{
		UID: string(object.UID), Terminating: !object.DeletionTimestamp.IsZero(), ClientName: object.Spec.ClientRef.Name,
	}
	for _, scope := range object.Spec.Scopes {
		owner.Scopes = append(owner.Scopes, string(scope))
	}
	return owner
}

// lightToken is what is left of an OAuth2Token.
type lightToken struct {
	metav1.ObjectMeta

	owner *oauth2.MintedOwner
	fixed bool
}

// tokenStore is where the watch of OAuth2Tokens arrives; of each object it keeps only what can deny.
type tokenStore struct{ *Directory }

// Transformer implements cache.TransformingStore.
func (tokenStore) Transformer() cache.TransformFunc {
	return func(object any) (any, error) { return lightTokenOf(object), nil }
}

// lightTokenOf is what is left of an OAuth2Token; anything else stays what it is.
func lightTokenOf(object any) any {
	if token, ok := object.(*v1alpha1.OAuth2Token); ok {
		return &lightToken{lightMeta(token), mintedOwnerOf(token), token.Spec.Mode == v1alpha1.TokenFixed}
	}
	return object
}

func (s tokenStore) Add(object any) error {
	light, ok := lightTokenOf(object).(*lightToken)
	if !ok {
		return fmt.Errorf("%T is not an OAuth2Token", object)
	}
	owner, name := light.owner, hashOf(ownerName(light.Namespace, light.Name))
	if before, _ := s.minted.owners.get(name); before != nil && before.UID != owner.UID {
		s.gone(name, before.UID)
	}
	if owner.Terminating {
		s.leave(name, owner.UID)
	}
	if isResurrected(s, light) {
		owner = &oauth2.MintedOwner{UID: owner.UID, Terminating: true}
	}
	s.minted.owners.put(name, owner)
	return nil
}

func (s tokenStore) Update(object any) error { return s.Add(object) }

func (s tokenStore) Delete(object any) error {
	light, ok := lightTokenOf(object).(*lightToken)
	if !ok {
		return fmt.Errorf("%T is not an OAuth2Token", object)
	}
	name := hashOf(ownerName(light.Namespace, light.Name))
	s.gone(name, light.owner.UID)
	s.minted.owners.remove(name)
	return nil
}

// gone takes note that an OAuth2Token is gone, which ends its quarantine.
func (s tokenStore) gone(name hash, uid string) {
	s.leave(name, uid)
	s.minted.held.Delete(uid)
}

// leave takes note that an OAuth2Token is gone for good, or about to go, and with it its tokens.
func (s tokenStore) leave(name hash, uid string) {
	s.depart(resourceTokens, name, uid)
	s.departTokensOf(s.minted.recordOf(uid), storedMinted{})
}

func (s tokenStore) Replace(objects []any, _ string) error {
	listed := make(map[hash]bool, len(objects))
	for _, object := range objects {
		if named, ok := object.(metav1.Object); ok {
			listed[hashOf(ownerName(named.GetNamespace(), named.GetName()))] = true
		}
		if err := s.Add(object); err != nil {
			return err
		}
	}
	for name, owner := range s.minted.owners.keep(listed) {
		s.gone(name, owner.UID)
	}
	return nil
}

func (tokenStore) Resync() error { return nil }
