// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// replayEntries bounds the assertions that a replica remembers, about 10 MiB. Only assertions that
// are signed by a registered key get in, and each leaves after a minute at the most.
const replayEntries = 128 << 10

// replays remembers the assertions that were used until they expire, so that each is used once.
type replays struct {
	mu    sync.Mutex
	used  map[revocation.ID]time.Time
	swept time.Time
}

// use stores an assertion. fresh means that it was not used before; room, that it could be stored.
// Without room nothing is known, and the assertion must be refused.
func (r *replays) use(key revocation.ID, expiresAt, now time.Time) (fresh, room bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if end, there := r.used[key]; there && now.Before(end) {
		return false, true
	}
	if now.Sub(r.swept) >= time.Second {
		r.swept = now
		for key, end := range r.used {
			if !now.Before(end) {
				delete(r.used, key)
			}
		}
	}
	if len(r.used) >= replayEntries {
		return false, false
	}
	r.used[key] = expiresAt
	return true, true
}
