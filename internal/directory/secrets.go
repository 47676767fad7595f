// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// registrations are the decoded registrations by client_id. ids finds the client_id of a Secret, which an event about a
// deletion, or about a Secret that cannot be read any more, does not tell.
type registrations struct {
	byID   sync.Map // client_id -> *oauth2.Client
	ids    sync.Map // Secret name -> client_id
	synced atomic.Bool
}

func (r *registrations) get(clientID string) *oauth2.Client {
	c, _ := r.byID.Load(clientID)
	registered, _ := c.(*oauth2.Client)
	return registered
}

func (r *registrations) put(secretName string, c *oauth2.Client) {
	r.ids.Store(secretName, c.ID)
	r.byID.Store(c.ID, c)
}

func (r *registrations) remove(secretName string) {
	if id, there := r.ids.LoadAndDelete(secretName); there {
		r.byID.Delete(id)
	}
}

// keys are the signing keys. A ring that is gone or cannot be read is no instruction: what a replica holds it keeps.
type keys struct {
	ring  atomic.Pointer[keyring.Ring]
	write sync.Mutex
}

func (k *keys) get() keyring.Ring {
	if ring := k.ring.Load(); ring != nil {
		return *ring
	}
	return keyring.Ring{}
}

// take takes the ring that the watch brought; it decides who signs.
func (k *keys) take(ring keyring.Ring) {
	k.write.Lock()
	defer k.write.Unlock()
	ring = keyring.Merge(k.get(), ring, time.Now())
	k.ring.Store(&ring)
}

// learn adds what verifies from a ring that was looked up. The watch alone, which knows the order of events, decides who signs.
func (k *keys) learn(ring keyring.Ring) keyring.Ring {
	k.write.Lock()
	defer k.write.Unlock()
	if held := k.get(); !held.Empty() {
		ring = keyring.Merge(ring, held, time.Now())
	}
	k.ring.Store(&ring)
	return ring
}

// secretStore is where the watch of the registry namespace arrives. The watch of one kind calls it from one goroutine.
type secretStore struct{ *Directory }

func (s secretStore) Add(object any) error {
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return fmt.Errorf("%T is not a Secret", object)
	}
	switch secret.Type {
	case registration.SecretType:
		s.register(secret)
	case registration.KeysSecretType:
		s.takeKeys(secret)
	}
	return nil
}

func (s secretStore) Update(object any) error { return s.Add(object) }

func (s secretStore) Delete(object any) error {
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return fmt.Errorf("%T is not a Secret", object)
	}
	s.clients.remove(secret.Name)
	return nil
}

// Replace takes a whole list: what is not in it is gone.
func (s secretStore) Replace(objects []any, _ string) error {
	listed := make(map[string]bool, len(objects))
	for _, object := range objects {
		if secret, ok := object.(*corev1.Secret); ok {
			listed[secret.Name] = true
		}
		if err := s.Add(object); err != nil {
			return err
		}
	}
	s.clients.ids.Range(func(name, _ any) bool {
		if secretName, ok := name.(string); ok && !listed[secretName] {
			s.clients.remove(secretName)
		}
		return true
	})
	s.clients.synced.Store(true)
	return nil
}

func (s secretStore) Resync() error { return nil }

// register takes a registration. One that cannot be read, or that stands under a name that is not its own, denies.
func (s secretStore) register(secret *corev1.Secret) {
	registered, err := registration.Decode(secret.Data)
	if err == nil && registration.SecretName(registered.Client.ID) != secret.Name {
		err = fmt.Errorf("%w: it is kept under the name of another client", registration.ErrUnreadable)
	}
	if err != nil {
		s.clients.remove(secret.Name)
		s.log.Error("cannot read a registration; its client is refused", "secret", secret.Name, "error", err)
		return
	}
	s.clients.put(secret.Name, &registered.Client)
}

func (s secretStore) takeKeys(secret *corev1.Secret) {
	if secret.Name != registration.KeysSecretName {
		return
	}
	ring, err := registration.DecodeKeys(secret.Data)
	if err != nil {
		s.log.Error("cannot read the signing keys; those known so far stay in use", "secret", secret.Name, "error", err)
		return
	}
	// A Secret that was made anew or restored is no instruction to refuse tokens either.
	s.keys.take(ring)
}
