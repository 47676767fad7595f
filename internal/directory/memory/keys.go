// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/seal"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// Keys are the signing keys. A missing or unreadable ring leaves the present one in place.
type Keys struct {
	ring  atomic.Pointer[keyring.Ring]
	write sync.Mutex
	// before is the ring of a snapshot. It serves nothing, but keys withdrawn in it stay
	// withdrawn.
	before keyring.Ring
}

// Ring returns the signing keys.
func (k *Keys) Ring() keyring.Ring {
	if ring := k.ring.Load(); ring != nil {
		return *ring
	}
	return keyring.Ring{}
}

// take stores the ring that the watch brought; it decides who signs.
func (k *Keys) take(ring keyring.Ring, now time.Time) {
	k.write.Lock()
	defer k.write.Unlock()
	ring = keyring.Merge(k.known(), ring, now)
	k.ring.Store(&ring)
}

func (k *Keys) known() keyring.Ring {
	if known := k.Ring(); !known.Empty() {
		return known
	}
	return k.before
}

// learn adds the verification keys of a ring that was looked up. Only the watch, which knows the
// order of events, decides which key signs.
func (k *Keys) learn(ring keyring.Ring, now time.Time) keyring.Ring {
	k.write.Lock()
	defer k.write.Unlock()
	if known := k.known(); !known.Empty() {
		ring = keyring.Merge(ring, known, now)
	}
	k.ring.Store(&ring)
	return ring
}

// Sealing are the sealing keys. What is read is merged with what is known: neither a Secret that
// was deleted nor one from a backup ends a login, or brings a retired key back.
type Sealing struct {
	ring  atomic.Pointer[seal.Ring]
	write sync.Mutex
}

// Ring returns the sealing keys; it is empty where people do not log in.
func (s *Sealing) Ring() seal.Ring {
	if ring := s.ring.Load(); ring != nil {
		return *ring
	}
	return seal.Ring{}
}

// learn adds the keys of a ring. A key that is gone by an instant which is over for certain is
// dropped.
func (s *Sealing) learn(ring seal.Ring, past time.Time) {
	s.write.Lock()
	defer s.write.Unlock()
	merged := seal.Merge(s.Ring(), ring, past)
	s.ring.Store(&merged)
}

// Trust is the issuer and the keys of service account tokens, and the documents that contain them.
type Trust struct {
	oauth2.Cluster

	discovery, keys string
}

// ReadTrust reads the two documents. It skips unsupported keys (RFC 7517 section 5).
func ReadTrust(discovery, keys []byte) (*Trust, error) {
	document, err := strictjson.ParseObject(string(discovery))
	issuer := ""
	if err == nil {
		issuer, err = document.String("issuer")
	}
	if err != nil {
		return nil, fmt.Errorf("read who issues the tokens of service accounts: %w", err)
	}
	set, err := jws.ParseKeySet(keys)
	if err == nil && len(set.Keys) == 0 {
		err = errors.Join(set.Unusable...)
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys of service accounts' tokens: %w", err)
	}
	return &Trust{oauth2.Cluster{Issuer: issuer, Keys: set}, string(discovery), string(keys)}, nil
}
