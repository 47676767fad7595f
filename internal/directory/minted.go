// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"fmt"
	"sync"

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
	records table[*oauth2.Minted]
	owners  table[*oauth2.MintedOwner]
	// held are the UIDs of OAuth2Tokens that were gone before etcd was restored: see restored.go. They stay gone.
	held sync.Map
}

// The OAuth2Tokens themselves are read for what denies.
//
// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2tokens,verbs=get;list;watch

// Minted is what memory has of the OAuth2Token whose opaque tokens have that id.
func (d *Directory) Minted(opaqueID string) oauth2.MintedRecord {
	m, _ := d.minted.records.get(hashOf(registration.OpaqueSecretName(opaqueID)))
	if m == nil {
		return oauth2.MintedRecord{}
	}
	owner, _ := d.minted.owners.get(hashOf(ownerName(m.Namespace, m.Name)))
	return oauth2.MintedRecord{Minted: m, Owner: owner}
}

// LookUpMinted asks the API server itself, as LookUp does about clients.
func (d *Directory) LookUpMinted(ctx context.Context, opaqueID string) (oauth2.MintedRecord, error) {
	asked := d.now()
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
	if d.revived(resourceTokens, ownerName(m.Namespace, m.Name), string(object.UID), asked) {
		return oauth2.MintedRecord{}, errSetBack
	}
	return oauth2.MintedRecord{Minted: &m, Owner: mintedOwnerOf(&object)}, nil
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
	if err != nil {
		s.minted.records.remove(hashOf(secret.Name))
		s.log.Error("cannot read the record of an OAuth2Token; its tokens are refused", "secret", secret.Name, "error", err)
		return
	}
	s.minted.records.put(hashOf(secret.Name), &m)
}

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
		return &lightToken{lightMeta(token), mintedOwnerOf(token)}
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
		s.depart(resourceTokens, name, before.UID)
	}
	if owner.Terminating {
		s.depart(resourceTokens, name, owner.UID)
	}
	if _, held := s.minted.held.Load(owner.UID); held {
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
	s.depart(resourceTokens, name, light.owner.UID)
	s.minted.owners.remove(name)
	return nil
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
		s.depart(resourceTokens, name, owner.UID)
	}
	return nil
}

func (tokenStore) Resync() error { return nil }
