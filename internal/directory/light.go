// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"runtime/debug"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// A reflector holds a whole list before it hands it over. Of 100,000 Secrets that would be three hundred megabytes, so it is
// told to hold what is left of each object once it was read: cache.TransformingStore.

// tidyDelay is how long after a list it has become garbage.
const tidyDelay = time.Second

// tidy gives back the memory that reading a list took, several times what is kept of it. Lists are read at the start and when a
// watch was lost for long.
func tidy() { time.AfterFunc(tidyDelay, debug.FreeOSMemory) }

// lightRegistration is what is left of the Secret of a registration: the client, or why it cannot be read.
type lightRegistration struct {
	metav1.ObjectMeta

	client packed
	err    error
	// dropped are the claims that decoding left out.
	dropped []string
}

// lightOwner is what is left of an OAuth2Client.
type lightOwner struct {
	metav1.ObjectMeta

	// place is where it stands in memory: the hash of its name.
	place    hash
	owner    oauth2.Owner
	clientID string
}

// lightMeta is what a reflector asks an object for, and when it was made.
func lightMeta(o metav1.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: o.GetNamespace(), Name: o.GetName(), ResourceVersion: o.GetResourceVersion(), CreationTimestamp: o.GetCreationTimestamp(),
	}
}

// Transformer implements cache.TransformingStore.
func (s secretStore) Transformer() cache.TransformFunc {
	return func(object any) (any, error) {
		if secret, ok := object.(*corev1.Secret); ok && secret.Type == registration.SecretType {
			return readRegistration(secret), nil
		}
		return object, nil
	}
}

// Transformer implements cache.TransformingStore.
func (s ownerStore) Transformer() cache.TransformFunc {
	return func(object any) (any, error) { return lightOwnerOf(object), nil }
}

// lightOwnerOf is what is left of an OAuth2Client; anything else stays what it is.
func lightOwnerOf(object any) any {
	if c, ok := object.(*v1alpha1.OAuth2Client); ok {
		return &lightOwner{lightMeta(c), hashOf(ownerName(c.Namespace, c.Name)), ownerOf(c), c.ClientID()}
	}
	return object
}
