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
// registered key get in, and each leaves some minutes after it has expired.
const (
	replayEntries = 384 << 10 // in all, about 12 MiB
	// replayLent is how many of them namespaces may have beyond their shares. What is not lent
	// is enough for the shares of 256 namespaces.
	replayLent = replayEntries / 2
	// replayShare is how many each namespace may have, whatever others use.
	replayShare = 768
	// replaySweep is the least time between two sweeps.
	replaySweep = time.Second
)

// replays remembers the assertions that were used until they expire, so that each is used once.
type replays struct {
	mu sync.Mutex
	// used has the ends of assertions by namespace and id, of 20 bytes each. A string for each
	// of them would take as much again.
	used   map[string]map[revocation.ID]uint32
	places *budget.Places // by namespace
	swept  time.Time
}

func newReplays() *replays {
	return &replays{used: map[string]map[revocation.ID]uint32{}, places: budget.NewPlaces(replayEntries, replayLent, replayShare)}
}

// use stores an assertion of a client of a namespace. It is decided by now; what expired before
// past is forgotten. fresh means that it was not used before; room, that it could be stored.
// Without room nothing is known, and the assertion must be refused.
func (r *replays) use(used revocation.Entry, namespace string, now, past time.Time) (fresh, room bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	until, there := r.used[namespace][used.ID]
	if there && !(revocation.Entry{Until: until}).Expired(now) {
		return false, true
	}
	if since := past.Sub(r.swept); since >= replaySweep || since < 0 {
		r.sweep(past)
	}
	if !there && !r.places.Enter(namespace) {
		return false, false
	}
	if r.used[namespace] == nil {
		r.used[namespace] = map[revocation.ID]uint32{}
	}
	r.used[namespace][used.ID] = max(until, used.Until)
	return true, true
}

// sweep forgets what expired before an instant.
func (r *replays) sweep(past time.Time) {
	r.swept = past
	for namespace, used := range r.used {
		for id, until := range used {
			if (revocation.Entry{Until: until}).Expired(past) {
				delete(used, id)
				r.places.Leave(namespace)
			}
		}
		if len(used) == 0 {
			delete(r.used, namespace)
		}
	}
}
