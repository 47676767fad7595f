// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	// reviewFresh is how long a verdict counts without asking again.
	reviewFresh = 5 * time.Second
	// reviewAway is how long a token is not reviewed again after the API server was unreachable, so
	// that its requests do not wait for a review each.
	reviewAway = 5 * time.Second
	// reviewLimit bounds a review, within the time that a server has for its answer.
	reviewLimit = 9 * time.Second
	// reviewEntries bounds the verdicts that are remembered, about 2 MiB. Only tokens that
	// authenticate a client get in.
	reviewEntries = 16 << 10
)

// reviews asks the cluster whether it still honours tokens that authenticate their clients by what
// can be read from them, and remembers the verdicts for a short while.
type reviews struct {
	source  *source
	flights flight[verdict]

	mu      sync.Mutex
	entries map[[sha256.Size]byte]verdict
	swept   time.Time
}

// verdict is the result of the last review of a token, which counts until it is no longer fresh.
// While the cluster is unreachable the last verdict counts: a refused token stays refused.
type verdict struct {
	honoured       bool
	fresh, expires time.Time
}

func newReviews(source *source) *reviews {
	return &reviews{source: source, entries: map[[sha256.Size]byte]verdict{}}
}

// check decides whether a token that was verified here still counts. While the cluster is
// unreachable, the verification is enough: a pod must get its tokens when the API server is away,
// and the token ends within the hour. While it is undecided, the token is refused.
func (r *reviews) check(ctx context.Context, payer Payer, token oauth2.Secret, account oauth2.UsedAccountToken) error {
	key := sha256.Sum256([]byte(token.Reveal()))
	known, fresh := r.remembered(key)
	if !fresh {
		var err error
		if known, err = r.ask(ctx, key, payer, token, account); err != nil {
			return table[verdictOld].unanswered()
		}
	}
	if !known.honoured {
		return oauth2.Ended()
	}
	return nil
}

// remembered is the last verdict on a token.
func (r *reviews) remembered(key [sha256.Size]byte) (known verdict, fresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, there := r.entries[key]
	return known, there && r.source.Now().Before(known.fresh)
}

// ask has the token reviewed, once for all requests that bring it at the same time.
func (r *reviews) ask(
	ctx context.Context, key [sha256.Size]byte, payer Payer, token oauth2.Secret, account oauth2.UsedAccountToken,
) (verdict, error) {
	return r.flights.ask(ctx, hex.EncodeToString(key[:]), reviewLimit, func(ctx context.Context) (verdict, error) {
		if err := r.source.spend(table[verdictOld].once, payer, ""); err != nil {
			return verdict{}, err
		}
		found := r.source.Cluster.Review(ctx, token, account, r.source.Issuer.String())
		if r.source.Reviewed != nil {
			r.source.Reviewed(found)
		}
		return r.store(key, found, account.ExpiresAt)
	})
}

var errUndecided = errors.New("the cluster is undecided")

// store stores the result of a review and returns the verdict that counts from now on.
func (r *reviews) store(key [sha256.Size]byte, found oauth2.Verdict, expires time.Time) (verdict, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.source.Now()
	last, there := r.entries[key]
	next := verdict{honoured: found == oauth2.Honoured, fresh: now.Add(reviewFresh), expires: expires}
	switch found {
	case oauth2.Honoured, oauth2.Dishonoured:
	case oauth2.Undecided:
		return verdict{}, errUndecided
	case oauth2.Unreachable:
		next.honoured, next.fresh = last.honoured || !there, now.Add(reviewAway)
	}
	r.makeRoom(now)
	r.entries[key] = next
	return next, nil
}

// makeRoom deletes the entries that no longer count, at most once a second. In between, any entry
// is evicted.
func (r *reviews) makeRoom(now time.Time) {
	if now.Sub(r.swept) >= time.Second {
		r.swept = now
		for key, v := range r.entries {
			if !now.Before(v.expires) || v.honoured && !now.Before(v.fresh) {
				delete(r.entries, key)
			}
		}
	}
	for key := range r.entries {
		if len(r.entries) < reviewEntries {
			return
		}
		delete(r.entries, key)
	}
}
