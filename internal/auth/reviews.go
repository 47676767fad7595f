// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	// reviewFresh is how long a verdict counts without asking again.
	reviewFresh = 5 * time.Second
	// reviewAway is how long a token is not reviewed again after the API server was
	// unreachable, so that its requests do not wait for a review each.
	reviewAway = 5 * time.Second
	// reviewLimit bounds a review, within the time that a server has for its answer.
	reviewLimit = 9 * time.Second
	// reviewEntries bounds the verdicts that are remembered, about 2 MiB. Only tokens that
	// authenticate a client get in.
	reviewEntries = 16 << 10
	// reviewLent is how many of them namespaces may have beyond their shares, of reviewShare
	// each.
	reviewLent  = reviewEntries / 2
	reviewShare = 64
)

// reviews asks the cluster whether it still honours tokens that authenticate their clients by what
// can be read from them, and remembers the verdicts for a short while.
type reviews struct {
	source  *source
	flights flight[verdict]

	mu      sync.Mutex
	entries map[reviewKey]verdict
	// owned are the keys of each namespace, and places bounds how many it has.
	owned  map[string]map[reviewKey]struct{}
	places *budget.Places
	swept  time.Time
}

// reviewKey is the hash of a token.
type reviewKey [sha256.Size]byte

// verdict is the result of the last review of a token, which counts until it is no longer fresh.
// While the cluster is unreachable the last verdict counts: a refused token stays refused.
type verdict struct {
	honoured       bool
	fresh, expires time.Time
	namespace      string // of the client
}

func newReviews(source *source) *reviews {
	return &reviews{
		source: source, entries: map[reviewKey]verdict{}, owned: map[string]map[reviewKey]struct{}{},
		places: budget.NewPlaces(reviewEntries, reviewLent, reviewShare),
	}
}

// check decides whether a token that was verified here still counts. While the cluster is
// unreachable, the verification is enough: a pod must get its tokens when the API server is away,
// and the token ends within the hour. While it is undecided, the token is refused.
func (r *reviews) check(ctx context.Context, payer Payer, token oauth2.Secret, account oauth2.UsedAccountToken) error {
	key := reviewKey(sha256.Sum256([]byte(token.Reveal())))
	known, fresh := r.remembered(key)
	if !fresh {
		var err error
		if known, err = r.ask(ctx, key, payer, token, account); err != nil {
			return oauth2.Unavailable(lookupRetry)
		}
	}
	if !known.honoured {
		return oauth2.Ended()
	}
	return nil
}

// remembered is the last verdict on a token.
func (r *reviews) remembered(key reviewKey) (known verdict, fresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, there := r.entries[key]
	return known, there && r.source.Now().Before(known.fresh)
}

// ask has the token reviewed, once for all requests that bring it at the same time.
func (r *reviews) ask(
	ctx context.Context, key reviewKey, payer Payer, token oauth2.Secret, account oauth2.UsedAccountToken,
) (verdict, error) {
	return r.flights.ask(ctx, hex.EncodeToString(key[:]), reviewLimit, func(ctx context.Context) (verdict, error) {
		if err := r.source.spend(payer, "", accountReviews); err != nil {
			return verdict{}, err
		}
		found := r.source.Cluster.Review(ctx, token, account, r.source.Issuer.String())
		if r.source.Reviewed != nil {
			r.source.Reviewed(found)
		}
		return r.store(key, payer.Namespace, found, account.ExpiresAt)
	})
}

var errUndecided = errors.New("the cluster is undecided")

// store stores the result of a review and returns the verdict that counts from now on.
func (r *reviews) store(key reviewKey, namespace string, found oauth2.Verdict, expires time.Time) (verdict, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.source.Now()
	last, there := r.entries[key]
	// the name of the namespace is a part of the client's whole record
	next := verdict{
		honoured: found == oauth2.Honoured, fresh: now.Add(reviewFresh), expires: expires, namespace: strings.Clone(namespace),
	}
	switch found {
	case oauth2.Honoured, oauth2.Dishonoured:
	case oauth2.Undecided:
		return verdict{}, errUndecided
	case oauth2.Unreachable:
		next.honoured, next.fresh = last.honoured || !there, now.Add(reviewAway)
	}
	r.sweep(now)
	r.remember(key, next)
	return next, nil
}

// sweep deletes the entries that no longer count, at most once a second.
func (r *reviews) sweep(now time.Time) {
	if now.Sub(r.swept) < time.Second {
		return
	}
	r.swept = now
	for key, v := range r.entries {
		if !now.Before(v.expires) || v.honoured && !now.Before(v.fresh) {
			r.forget(key, v)
		}
	}
}

// remember stores a verdict. Where a namespace has no room, it replaces another verdict of that
// namespace, and without one it is not stored: it evicts none of another namespace.
func (r *reviews) remember(key reviewKey, v verdict) {
	if last, there := r.entries[key]; there {
		r.forget(key, last)
	}
	if !r.places.Enter(v.namespace) {
		for other := range r.owned[v.namespace] {
			r.forget(other, r.entries[other])
			break
		}
		if !r.places.Enter(v.namespace) {
			return
		}
	}
	owned := r.owned[v.namespace]
	if owned == nil {
		owned = map[reviewKey]struct{}{}
		r.owned[v.namespace] = owned
	}
	owned[key], r.entries[key] = struct{}{}, v
}

func (r *reviews) forget(key reviewKey, v verdict) {
	delete(r.entries, key)
	delete(r.owned[v.namespace], key)
	if len(r.owned[v.namespace]) == 0 {
		delete(r.owned, v.namespace)
	}
	r.places.Leave(v.namespace)
}
