// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	// pagesFresh is how long the token of the process with the pages counts without asking the
	// cluster again.
	pagesFresh = time.Minute
	// pagesEntries bounds the tokens that are remembered: those of a few replicas, of which
	// each has another one within the hour.
	pagesEntries = 64
)

// pages remembers the tokens that authenticate the process which has the pages.
type pages struct {
	flights flight[oauth2.Verdict]

	mu sync.Mutex
	// fresh are the instants until which tokens count.
	fresh map[[sha256.Size]byte]time.Time
}

func newPages() *pages { return &pages{fresh: map[[sha256.Size]byte]time.Time{}} }

// CheckPages decides whether a request comes from the process that has the pages for persons: its
// bearer token is one of a service account of this cluster, for an audience of its own. The cluster
// is asked whether it honours the token. While the cluster is unreachable, the verification here is
// enough, so that a login can continue.
func (a Logins) CheckPages(ctx context.Context, authorization []string, account oauth2.ObjectName, audience, source string) error {
	bearer, err := oauth2.ParseBearer(authorization)
	if err != nil {
		return err
	}
	key := sha256.Sum256([]byte(bearer.Reveal()))
	if a.pages.isFresh(key, a.Now()) {
		return nil
	}
	token, err := oauth2.ParseAccountBearer(bearer)
	if err != nil {
		return err
	}
	payer := Payer{Source: source}
	if err := a.source.trust(ctx, payer, token); err != nil {
		return err
	}
	now := a.Now()
	used, err := verify(a.verification, payer, now, func() (oauth2.UsedAccountToken, error) {
		return a.Issuer.VerifyAccount(token, account, audience, a.source.cluster(), now)
	})
	if err != nil {
		return err
	}
	found, err := a.pages.flights.ask(ctx, hex.EncodeToString(key[:]), reviewLimit, func(ctx context.Context) (oauth2.Verdict, error) {
		if err := a.source.spend(payer, "", accountReviews); err != nil {
			return oauth2.Undecided, err
		}
		verdict := a.Cluster.Review(ctx, bearer, used, audience)
		if a.Reviewed != nil {
			a.Reviewed(verdict)
		}
		return verdict, nil
	})
	switch {
	case err != nil, found == oauth2.Undecided:
		return oauth2.Unavailable(lookupRetry)
	case found == oauth2.Dishonoured:
		return oauth2.Refuse(oauth2.InvalidToken, oauth2.ReasonAccountTokenEnded, "the cluster honours the bearer token no more")
	case found == oauth2.Honoured:
		a.pages.remember(key, a.Now(), used.ExpiresAt)
	}
	return nil
}

// isFresh reports whether a token counts without asking again.
func (p *pages) isFresh(key [sha256.Size]byte, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Before(p.fresh[key])
}

// remember has a token count for a minute, until it expires.
func (p *pages) remember(key [sha256.Size]byte, now, expires time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other, until := range p.fresh {
		if !now.Before(until) || len(p.fresh) >= pagesEntries {
			delete(p.fresh, other)
		}
	}
	p.fresh[key] = now.Add(min(pagesFresh, expires.Sub(now)))
}
