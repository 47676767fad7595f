// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// The bounds of the assertions that a replica remembers. Only assertions that are signed by a
// registered key get in, and each leaves when it expires.
const (
	replayEntries = 128 << 10 // in all, about 12 MiB
	// replayLent is how many of them namespaces may have beyond their shares. What is not lent is
	// enough for the shares of 256 namespaces.
	replayLent = replayEntries / 2
	// replayShare is how many each namespace may have, whatever others use.
	replayShare = 256
)

// replays remembers the assertions that were used until they expire, so that each is used once.
type replays struct {
	mu     sync.Mutex
	used   map[revocation.ID]assertion
	places *budget.Places // by namespace
	swept  time.Time
}

// assertion is one that was used by a client of a namespace.
type assertion struct {
	expiresAt int64 // in Unix nanoseconds
	namespace string
}

func newReplays() *replays {
	return &replays{used: map[revocation.ID]assertion{}, places: budget.NewPlaces(replayEntries, replayLent, replayShare)}
}

// use stores an assertion. fresh means that it was not used before; room, that it could be stored.
// Without room nothing is known, and the assertion must be refused.
func (r *replays) use(key revocation.ID, namespace string, expiresAt, now time.Time) (fresh, room bool) {
	at := now.UnixNano()
	r.mu.Lock()
	defer r.mu.Unlock()
	known, there := r.used[key]
	if there && at < known.expiresAt {
		return false, true
	}
	if there {
		r.forget(key, known)
	}
	if now.Sub(r.swept) >= time.Second {
		r.swept = now
		for key, known := range r.used {
			if at >= known.expiresAt {
				r.forget(key, known)
			}
		}
	}
	if !r.places.Enter(namespace) {
		return false, false
	}
	r.used[key] = assertion{expiresAt.UnixNano(), namespace}
	return true, true
}

func (r *replays) forget(key revocation.ID, known assertion) {
	delete(r.used, key)
	r.places.Leave(known.namespace)
}
