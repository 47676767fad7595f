// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Cluster vouches for the tokens of service accounts.
type Cluster interface {
	// Trust answers from memory who issues them and by which keys they are known.
	Trust() oauth2.Cluster
	// LookUpTrust asks the API server itself; Trust has what it found from then on.
	LookUpTrust(ctx context.Context) error
	// Review asks the API server whether it still honours a token for that audience, as that account's. Unreachable is an API server
	// that answers nothing at all, and Undecided one that does not answer this.
	Review(ctx context.Context, token oauth2.Secret, account oauth2.UsedAccountToken, audience string) oauth2.Verdict
}

const (
	// reviewFresh is how long a verdict counts without asking again.
	reviewFresh = 5 * time.Second
	// reviewAway is how long a token is not reviewed again after the API server was unreachable, so that its requests do not wait for
	// a review each.
	reviewAway = 5 * time.Second
	// reviewLimit bounds a review, within the time that a server has for its answer.
	reviewLimit = 9 * time.Second
	// reviewEntries bounds the verdicts that are remembered, about 2 MiB. Only tokens that authenticate a client get in.
	reviewEntries = 16 << 10
	// The budget of reviews, for all clients together: thousands of pods may start at once, each with a token of its own.
	reviewBurst  = 500
	reviewRefill = 5 * time.Millisecond
)

// reviews asks the cluster whether it still honours tokens that authenticate their clients by what can be read from them, and
// remembers what it said for a short while.
type reviews struct {
	cluster  Cluster
	audience string
	now      func() time.Time
	metrics  *Metrics
	flights  singleflight.Group
	budget   *budget.Budget

	mu      sync.Mutex
	entries map[[sha256.Size]byte]verdict
	swept   time.Time
}

// verdict is what the cluster said of one token, which counts until it is no longer fresh. While the cluster is unreachable the last
// verdict counts: a refused token stays refused.
type verdict struct {
	honoured       bool
	fresh, expires time.Time
}

func newReviews(config Config) *reviews {
	return &reviews{
		cluster: config.Cluster, audience: config.Issuer.String(), now: config.Now, metrics: config.Metrics,
		budget: shared(reviewBurst, reviewRefill), entries: map[[sha256.Size]byte]verdict{},
	}
}

// check decides whether a token that was verified here still counts. While the cluster is unreachable, the verification is enough: a pod
// must get its tokens when the API server is away, and the token ends within the hour. While it is undecided, nobody is let in.
func (r *reviews) check(ctx context.Context, token oauth2.Secret, account oauth2.UsedAccountToken) error {
	key := sha256.Sum256([]byte(token.Reveal()))
	known, fresh := r.remembered(key)
	if !fresh {
		asked, ok := r.ask(ctx, key, token, account)
		if !ok {
			return oauth2.Unavailable(lookupRetry)
		}
		known = asked
	}
	if !known.honoured {
		return oauth2.Ended()
	}
	return nil
}

// remembered is the last verdict on a token; without any, one that was verified is taken for honoured.
func (r *reviews) remembered(key [sha256.Size]byte) (known verdict, fresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, there := r.entries[key]
	if !there {
		known.honoured = true
	}
	return known, there && r.now().Before(known.fresh)
}

// ask has the token reviewed, once for all requests that bring it at the same time.
func (r *reviews) ask(ctx context.Context, key [sha256.Size]byte, token oauth2.Secret, account oauth2.UsedAccountToken) (verdict, bool) {
	found, _, _ := r.flights.Do(hex.EncodeToString(key[:]), func() (any, error) {
		if !r.budget.Take(r.now(), budget.Key{}).OK {
			return oauth2.Undecided, nil
		}
		// The question is shared, so one caller's hanging up must not end it for the others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewLimit)
		defer cancel()
		said := r.cluster.Review(ctx, token, account, r.audience)
		r.metrics.reviewed(said)
		r.note(key, said, account.ExpiresAt)
		return said, nil
	})
	switch found {
	case oauth2.Honoured, oauth2.Dishonoured:
		return verdict{honoured: found == oauth2.Honoured}, true
	case oauth2.Unreachable:
		known, _ := r.remembered(key)
		return known, true
	}
	return verdict{}, false
}

func (r *reviews) note(key [sha256.Size]byte, said oauth2.Verdict, expires time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	last, there := r.entries[key]
	switch said {
	case oauth2.Honoured, oauth2.Dishonoured:
		r.makeRoom(now)
		r.entries[key] = verdict{honoured: said == oauth2.Honoured, fresh: now.Add(reviewFresh), expires: expires}
	case oauth2.Unreachable:
		r.makeRoom(now)
		r.entries[key] = verdict{honoured: last.honoured || !there, fresh: now.Add(reviewAway), expires: expires}
	case oauth2.Undecided:
	}
}

// makeRoom drops what says nothing any more. It looks through the table once a second at the most; in between any entry makes way.
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

// trust makes sure that the key which a token names was asked for at the API server. A stranger can make up such names, so there
// is one look-up for everybody in ten seconds, or two after a failure; a name that was not there then is unknown. An error means
// that nobody could say.
func (l lookups) trust(ctx context.Context, token *oauth2.AccountToken) error {
	if l.cluster == nil || l.cluster.Trust().Knows(token) {
		return nil
	}
	_, err, _ := l.flights.Do(trustFlight, func() (any, error) {
		l.trusted.mu.Lock()
		defer l.trusted.mu.Unlock()
		if l.now().Before(l.trusted.next) {
			return nil, l.trusted.err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
		defer cancel()
		l.trusted.err = l.cluster.LookUpTrust(ctx)
		l.trusted.next = l.now().Add(keyInterval)
		if l.trusted.err != nil {
			l.trusted.next = l.now().Add(lookupRetry)
		}
		return nil, l.trusted.err
	})
	if err != nil {
		return oauth2.Unavailable(lookupRetry)
	}
	return nil
}

// trustFlight is what look-ups of the cluster's keys share; no client_id has a control character.
const trustFlight = "\x00cluster"

// lastTrust is what became of the last look-up of the cluster's keys, and when the next one may be.
type lastTrust struct {
	mu   sync.Mutex
	next time.Time
	err  error
}
