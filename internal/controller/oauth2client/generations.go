// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"fmt"
	"io"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// generationKeys has the key by which Secrets prove the generation of their values.
type generationKeys struct {
	cached    client.Client
	live      client.Reader
	namespace string
	random    io.Reader
	memory    *generationKey
}

// generationKey remembers the key. If its Secret is lost, the same key is stored again.
type generationKey struct {
	mu   sync.Mutex
	made *credential.GenerationKey
}

// read reads the key. Where the registry has none, it is the one that the manager remembers, or one
// that proves nothing: a read writes nothing, so that no refusal keeps it from what it reports. A
// damaged key proves nothing either, unless the manager remembers it: registrations go on without
// proofs.
func (k generationKeys) read(ctx context.Context) (credential.GenerationKey, error) {
	return k.find(ctx, func() (*corev1.Secret, error) { return publish.Read(ctx, k.live, k.name()) })
}

// ensure reads the key, and makes it where the registry has none.
func (k generationKeys) ensure(ctx context.Context) (credential.GenerationKey, error) {
	return k.find(ctx, func() (*corev1.Secret, error) { return k.store(ctx) })
}

// name is where the key is stored.
func (k generationKeys) name() types.NamespacedName {
	return types.NamespacedName{Namespace: k.namespace, Name: registration.GenerationKeySecretName}
}

// find reads the key from the cache. If that lacks it, which it does too while it is late,
// otherwise finds the Secret, or nil.
func (k generationKeys) find(ctx context.Context, otherwise func() (*corev1.Secret, error)) (credential.GenerationKey, error) {
	stored, err := publish.Read(ctx, k.cached, k.name())
	k.memory.mu.Lock()
	defer k.memory.mu.Unlock()
	if stored == nil && err == nil {
		stored, err = otherwise()
	}
	if err != nil {
		return credential.GenerationKey{}, err
	}
	return k.decode(ctx, stored), nil
}

// decode is the key in its Secret, which may be nil.
func (k generationKeys) decode(ctx context.Context, stored *corev1.Secret) credential.GenerationKey {
	var key credential.GenerationKey
	var err error
	if stored != nil {
		if key, err = registration.DecodeGenerationKey(stored.Data); err == nil {
			k.memory.made = &key
			return key
		}
	}
	switch {
	case k.memory.made != nil:
		return *k.memory.made
	case err != nil:
		ctrl.LoggerFrom(ctx).Error(err, "the generation key is damaged: put it back, or delete it and another one is made")
	}
	return credential.GenerationKey{}
}

// store creates the Secret of the key unless there is one, and returns what is stored. It never
// updates it: what Secrets prove would count for nothing.
func (k generationKeys) store(ctx context.Context) (*corev1.Secret, error) {
	name := k.name()
	stored, err := publish.Read(ctx, k.live, name)
	if stored != nil || err != nil {
		return stored, err
	}
	if k.memory.made == nil {
		made, err := credential.NewGenerationKey(k.random)
		if err != nil {
			return nil, err
		}
		k.memory.made = &made
	}
	stored = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: name.Namespace, Name: name.Name, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
		},
		Type: registration.GenerationKeySecretType, Data: registration.EncodeGenerationKey(*k.memory.made),
	}
	// by another manager
	if err = k.cached.Create(ctx, stored); apierrors.IsAlreadyExists(err) {
		err = k.live.Get(ctx, name, stored)
	}
	if err != nil {
		return nil, fmt.Errorf("store Secret %s: %w", name.Name, err)
	}
	return stored, nil
}

// generations has the Secrets of a client prove which generation of its secrets they hold.
type generations struct {
	uid  string
	keys generationKeys
}

// proven returns what a Secret proves of a value in it.
func (g generations) proven(ctx context.Context, secret client.Object, value oauth2.Secret) (credential.Generation, error) {
	if secret == nil || value.Empty() {
		return credential.Generation{}, nil
	}
	text, there := secret.GetAnnotations()[v1alpha1.AnnotationGeneration]
	if !there {
		return credential.Generation{}, nil
	}
	key, err := g.keys.read(ctx)
	if err != nil {
		return credential.Generation{}, err
	}
	return key.Proven(g.uid, value, text), nil
}

// prove returns what a Secret needs to prove the generation of its value; empty for the first one.
func (g generations) prove(ctx context.Context, value oauth2.Secret, generation credential.Generation) (string, error) {
	if generation.Number == 0 {
		return "", nil
	}
	key, err := g.keys.ensure(ctx)
	if err != nil {
		return "", err
	}
	return key.Prove(g.uid, value, generation), nil
}
