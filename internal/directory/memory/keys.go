// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
)

// keys are the signing keys. A ring that is gone or cannot be read is no instruction: a replica keeps the one that it has.
type keys struct {
	ring  atomic.Pointer[keyring.Ring]
	write sync.Mutex
	// before is the ring of a snapshot. It serves nothing, but what was withdrawn in it is withdrawn from what is read first.
	before keyring.Ring
}

func (k *keys) get() keyring.Ring {
	if ring := k.ring.Load(); ring != nil {
		return *ring
	}
	return keyring.Ring{}
}

// take stores the ring that the watch brought; it decides who signs.
func (k *keys) take(ring keyring.Ring, now time.Time) {
	k.write.Lock()
	defer k.write.Unlock()
	ring = keyring.Merge(k.known(), ring, now)
	k.ring.Store(&ring)
}

func (k *keys) known() keyring.Ring {
	if known := k.get(); !known.Empty() {
		return known
	}
	return k.before
}

// learn adds the keys that verify from a ring that was looked up. The watch alone, which knows the order of events, decides who signs.
func (k *keys) learn(ring keyring.Ring, now time.Time) keyring.Ring {
	k.write.Lock()
	defer k.write.Unlock()
	if known := k.known(); !known.Empty() {
		ring = keyring.Merge(ring, known, now)
	}
	k.ring.Store(&ring)
	return ring
}
