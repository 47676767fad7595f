// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// keys are the signing keys. A ring that is gone or cannot be read is no instruction: what a replica holds it keeps.
type keys struct {
	ring  atomic.Pointer[keyring.Ring]
	write sync.Mutex
	// before is what a process before this one held. Nothing is served by it, but what was withdrawn then is in whatever is read first.
	before keyring.Ring
}

func (k *keys) get() keyring.Ring {
	if ring := k.ring.Load(); ring != nil {
		return *ring
	}
	return keyring.Ring{}
}

// take takes the ring that the watch brought; it decides who signs.
func (k *keys) take(ring keyring.Ring, now time.Time) {
	k.write.Lock()
	defer k.write.Unlock()
	ring = keyring.Merge(k.held(), ring, now)
	k.ring.Store(&ring)
}

func (k *keys) held() keyring.Ring {
	if held := k.get(); !held.Empty() {
		return held
	}
	return k.before
}

// learn adds what verifies from a ring that was looked up. The watch alone, which knows the order of events, decides who signs.
func (k *keys) learn(ring keyring.Ring, now time.Time) keyring.Ring {
	k.write.Lock()
	defer k.write.Unlock()
	if held := k.held(); !held.Empty() {
		ring = keyring.Merge(ring, held, now)
	}
	k.ring.Store(&ring)
	return ring
}

// secretStore is where the watch of the registry namespace arrives. The watch of one kind calls it from one goroutine.
type secretStore struct{ *Directory }

func (s secretStore) Add(object any) error {
	if light, ok := object.(*lightRegistration); ok {
		s.register(light)
		return nil
	}
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return fmt.Errorf("%T is not a Secret", object)
	}
	switch secret.Type {
	case registration.SecretType:
		s.register(readRegistration(secret))
	case registration.ResourceSecretType:
		s.declare(secret)
	case registration.TokenSecretType:
		s.takeMinted(secret)
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
	s.records.removeClient(secret.Name)
	s.clientEpochs.put(secret.Name, nil)
	s.resources.put(secret.Name, nil)
	s.departTokens(secret.Name, storedMinted{})
	s.minted.records.remove(hashOf(secret.Name))
	return nil
}

// Replace takes a whole list: what is not in it is gone.
func (s secretStore) Replace(objects []any, version string) error {
	listed, hashes, locks := make(map[string]bool, len(objects)), make(map[hash]bool, len(objects)), make(map[hash]bool, len(objects))
	for _, object := range objects {
		if named, ok := object.(metav1.Object); ok {
			name := named.GetName()
			listed[name], hashes[hashOf(name)] = true, true
			if lock, ok := registration.LockIn(name); ok {
				locks[lock] = true
			}
		}
		if err := s.Add(object); err != nil {
			return err
		}
	}
	keep(&s.records, clientOf, locks)
	s.clientEpochs.keep(listed)
	s.resources.keep(listed)
	for _, before := range s.minted.records.keep(hashes) {
		s.departTokensOf(before, storedMinted{})
	}
	at, _ := strconv.ParseUint(version, 10, 64) // one that is no number proves no record to be newer
	s.minted.list(at)
	tidy()
	return nil
}

func (s secretStore) Resync() error { return nil }

// register takes a registration. One that cannot be read denies.
func (s secretStore) register(r *lightRegistration) {
	if r.err != nil {
		s.records.removeClient(r.Name)
		s.clientEpochs.put(r.Name, nil)
		s.log.Error("cannot read a registration; its client is refused", "secret", r.Name, "error", r.err)
		return
	}
	logDropped(s.log, r.Name, r.dropped)
	if lock, ok := registration.LockIn(r.Name); ok { // readRegistration has looked
		s.records.putClient(lock, r.client)
	}
	s.clientEpochs.put(r.Name, r.client.whole) // a client that takes tokens back has no short form
}

// logDropped says which claims of a registration were left out because they are not allowed any more. The manager writes it without.
func logDropped(log *slog.Logger, source string, dropped []string) {
	if len(dropped) > 0 {
		log.Warn("a registration has claims that are not allowed; tokens do not carry them", "source", source, "claims", dropped[:min(len(dropped), oauth2.MaxCustomClaims)])
	}
}

// readRegistration reads a registration, which must not stand under a name that is not its own.
func readRegistration(secret *corev1.Secret) *lightRegistration {
	read := &lightRegistration{ObjectMeta: lightMeta(secret)}
	registered, err := registration.Decode(secret.Data)
	switch {
	case err != nil:
		read.err = err
	case registration.SecretName(registered.Client.ID) != secret.Name:
		read.err = fmt.Errorf("%w: it is kept under the name of another client", registration.ErrUnreadable)
	default:
		read.client, read.dropped = pack(&registered.Client), registered.DroppedClaims
	}
	return read
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
	s.keys.take(ring, s.now())
}
