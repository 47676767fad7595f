// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const lookupTimeout = 2 * time.Second

// source asks for what memory lacks, within the budget. Requests that lack the same share a
// look-up.
type source struct {
	Config

	budget *budget.Budget

	clients   flight[oauth2.Record]
	workloads flight[[]string]
	minted    flight[oauth2.MintedRecord]
	issuers   flight[*oauth2.TrustedIssuer]
	resources flight[*oauth2.Resource]
	rings     flight[keyring.Ring]
	trusts    flight[struct{}]
	// trustNext is when the cluster's keys may be looked up again, in Unix nanoseconds, because
	// the last look-up failed.
	trustNext atomic.Int64
}

func newSource(config Config) *source {
	of := slices.Clone(levels)
	for i := range of {
		if of[i].Shares = slices.Clone(of[i].Shares); of[i].Shared {
			of[i].Shares[bySource].Sources = &config.Sources
		}
	}
	return &source{Config: config, budget: budget.New(of...)}
}

var (
	errBudget = errors.New("the budget is spent")
	errDenied = errors.New("the source denies the client")
)

// answer asks for what a view lacks. It is no part of the table: through a function in a variable,
// the view of each request would be allocated.
func (s *source) answer(ctx context.Context, v *view, n need) (err error) {
	switch n.lack {
	case callerRefused:
		if v.callers, err = s.callers(ctx, v.payer, v.presented); err == nil {
			v.issuers, err = s.issuersOf(ctx, v.payer, v.presented, v.callers)
		}
	case accountRefused, subjectRefused:
		v.callers, err = s.callersOf(ctx, v.payer, n.workload)
	case tokenKeyUnknown:
		err = s.ring(ctx, v.payer)
	case tokenClientUnknown, loginRefused:
		v.client, err = s.client(ctx, n.what)
	case ancestorUnknown:
		v.former, err = s.each(ctx, v.payer, n.others, 1)
	case mintedUnknown:
		v.minted, err = s.mintedToken(ctx, n.what)
	case issuerRefused, foreignIssuerRefused:
		v.issuers, err = s.issuerNamed(ctx, n.what)
	case issuerUnknown:
		v.issuers, err = s.issuerOf(ctx, n.what)
	case foreignIssuerUnknown:
		if v.issuers, err = s.issuerOf(ctx, n.what); err == nil && v.issuers == nil && len(n.others) > 0 {
			v.issuers, err = s.trustDomain(ctx, v.payer, n.others[0])
		}
	case audienceUnknown:
		v.resource, err = s.resource(ctx, n.audience)
	case grantRefused, scopeWithdrawn:
		err = s.grant(ctx, v, n)
	case nothing:
	}
	return err
}

// grant asks for a client and, if there is a budget for it, for a resource. Without an answer about
// the resource that of memory stands.
func (s *source) grant(ctx context.Context, v *view, n need) (err error) {
	if v.granted, err = s.client(ctx, n.what); err != nil {
		return err
	}
	if v.granted.Denial() != "" {
		return errDenied
	}
	if s.spend(v.payer, "", grants) == nil {
		v.resource, err = s.resource(ctx, n.audience)
	}
	if oauth2.ReasonOf(err) == "" {
		err = nil
	}
	return err
}

// spend spends one look-up at each level, or at none.
func (s *source) spend(payer Payer, what string, levels ...int) error {
	var keys [4]budget.Key
	for i, level := range levels {
		keys[i] = payer.key(level, what)
	}
	if !s.budget.Take(s.Now(), keys[:len(levels)]...).OK {
		return errBudget
	}
	return nil
}

// callers looks up the clients that were presented. Readings that cannot be right are not asked
// about.
func (s *source) callers(ctx context.Context, payer Payer, presented oauth2.Presented) (map[string]oauth2.Record, error) {
	if presented.AccountToken != nil && !s.isFederated(presented.AccountToken.ClientID) {
		if err := s.trust(ctx, payer, presented.AccountToken); err != nil {
			return nil, err
		}
	}
	return s.each(ctx, payer, presented.Candidates(), 1)
}

// each looks up clients, of which some are paid for.
func (s *source) each(ctx context.Context, payer Payer, ids []string, paid int) (map[string]oauth2.Record, error) {
	found := map[string]oauth2.Record{}
	for i, id := range ids {
		if i >= paid {
			if err := s.spend(payer, "", clients); err != nil {
				return nil, err
			}
		}
		record, err := s.client(ctx, id)
		if err != nil {
			return nil, err
		}
		found[id] = record
	}
	return found, nil
}

func (s *source) client(ctx context.Context, id string) (oauth2.Record, error) {
	return s.clients.current(ctx, id, lookupTimeout, func(ctx context.Context) (oauth2.Record, error) {
		return s.Directory.LookUp(ctx, id)
	})
}

func (s *source) mintedToken(ctx context.Context, id string) (oauth2.MintedRecord, error) {
	return s.minted.current(ctx, id, lookupTimeout, func(ctx context.Context) (oauth2.MintedRecord, error) {
		return s.Directory.LookUpMinted(ctx, id)
	})
}

func (s *source) resource(ctx context.Context, identifier string) (*oauth2.Resource, error) {
	return s.resources.current(ctx, identifier, lookupTimeout, func(ctx context.Context) (*oauth2.Resource, error) {
		return s.Directory.LookUpResource(ctx, identifier)
	})
}

// ring has memory read the signing keys again: a key may have been published a moment ago. Payers
// share no look-up here, because one without a budget would have it refused for all.
func (s *source) ring(ctx context.Context, payer Payer) error {
	_, err := s.rings.ask(ctx, payer.holder(), lookupTimeout, func(ctx context.Context) (keyring.Ring, error) {
		if err := s.spend(payer, "", ringReads); err != nil {
			return keyring.Ring{}, err
		}
		return s.Directory.LookUpRing(ctx)
	})
	return err
}

// trust makes sure that the API server was asked for the key that a token names. Payers share no
// look-up here, as in ring. A key that was not there then is unknown. A look-up that failed is paid
// for by no payer, and delays the next one by lookupRetry.
func (s *source) trust(ctx context.Context, payer Payer, token *oauth2.AccountToken) error {
	if s.Cluster == nil || s.Cluster.Trust().Knows(token) {
		return nil
	}
	if _, err := s.trusts.ask(ctx, payer.holder(), lookupTimeout, func(ctx context.Context) (struct{}, error) {
		if s.Now().UnixNano() < s.trustNext.Load() || !s.budget.Has(s.Now(), payer.key(accountKeys, "")) {
			return struct{}{}, errBudget
		}
		if err := s.Cluster.LookUpTrust(ctx); err != nil {
			s.trustNext.Store(s.Now().Add(lookupRetry).UnixNano())
			return struct{}{}, err
		}
		// the request was sent, also if another caller has spent the budget meanwhile
		_ = s.spend(payer, "", accountKeys)
		return struct{}{}, nil
	}); err != nil {
		return oauth2.Unavailable(lookupRetry)
	}
	return nil
}
