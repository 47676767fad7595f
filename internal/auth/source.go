// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// lack is a result of memory that may be wrong only because a watch is late; table lists them.
type lack int

const (
	nothing lack = iota
	callerRefused
	accountRefused
	clusterKeyUnknown
	verdictOld
	grantRefused
	tokenKeyUnknown
	tokenClientUnknown
	ancestorUnknown
	mintedUnknown
	scopeWithdrawn
	audienceUnknown
	issuerRefused
	issuerUnknown
	loginRefused
)

// The levels of the budget of look-ups. They are needed in the moments between a change and its
// arrival by the watch; a caller that needs more is guessing, or wrong for good.
const (
	perFailure     = iota // failed attempts, by source and client
	perSubject            // by payer and the client or OAuth2Token that the request is about
	perPayer              // all requests of one client, or of one source that asks as a proxy
	clients               // of clients and OAuth2Tokens, by all payers
	grants                // of grants, which are no reason to keep new clients waiting
	ringReads             // of the signing keys: any caller can make up a key id
	accountKeys           // of the keys of service accounts: any caller can make up a key id
	accountReviews        // thousands of pods may start at once, each with a token of its own
)

// The budget itself. Nothing locks a client out: secrets are random, and a lock is a way to deny
// service. A secret that is right by memory is accepted, however many failed before it. Of what all
// payers share, each namespace and each source has a share that no other can use up.
var levels = []budget.Level{ //nolint:gochecknoglobals // a constant list
	perFailure: {Burst: attemptBurst, Interval: time.Second},
	perSubject: {Burst: attemptBurst, Interval: time.Second},
	perPayer:   {Burst: 50, Interval: 50 * time.Millisecond},
	clients: {Burst: 100, Interval: 20 * time.Millisecond, Shared: true, Shares: []budget.Share{
		bySource: {Burst: 8, Interval: time.Second}, byNamespace: {Burst: 16, Interval: 500 * time.Millisecond},
	}},
	grants: {Burst: 20, Interval: 100 * time.Millisecond, Shared: true, Shares: []budget.Share{
		bySource: {Burst: 4, Interval: 2 * time.Second}, byNamespace: {Burst: 4, Interval: time.Second},
	}},
	ringReads: {Burst: 1, Interval: keyInterval, Shared: true, Shares: []budget.Share{
		bySource: {Burst: 1, Interval: 3 * keyInterval}, byNamespace: {Burst: 1, Interval: 3 * keyInterval},
	}},
	accountKeys: {Burst: 1, Interval: keyInterval, Shared: true, Shares: []budget.Share{
		bySource: {Burst: 1, Interval: 3 * keyInterval},
	}},
	accountReviews: {Burst: reviewBurst, Interval: 5 * time.Millisecond, Shared: true, Shares: []budget.Share{
		bySource: {}, byNamespace: {Burst: 50, Interval: 100 * time.Millisecond},
	}},
}

const (
	attemptBurst = 8
	reviewBurst  = 500
	keyInterval  = 10 * time.Second // between two look-ups of keys, if no share pays for more
)

// row is what follows from a lack.
type row struct {
	// each are the levels that each request spends, all or none. once are those that requests
	// which share a look-up spend together.
	each, once []int
	// refused means that a request whose look-up is not answered is refused as
	// LookupUnavailable; otherwise memory's result stands.
	refused bool
}

// unanswered is the refusal of a request whose look-up is not answered, or nil.
func (r row) unanswered() error {
	if r.refused {
		return oauth2.Unavailable(lookupRetry)
	}
	return nil
}

// table has for each lack the budget that pays for the request, and the answer if it cannot be
// sent. source.ask and reviews.ask send the requests. docs/architecture.md has the same table.
var table = [...]row{ //nolint:gochecknoglobals // a constant table
	// Authentication fails, for any reason that another registration could mend. If there is
	// nothing to ask, it costs no look-up, and a caller without a budget is throttled; each
	// further client_id costs another look-up. A request that is not decided for lack of
	// look-ups is no failed attempt.
	callerRefused: {each: []int{perFailure, clients}, refused: true},
	// The token of a service account names no client and is good in itself, and memory has no
	// client, or several, that the account names. Each client costs another look-up.
	accountRefused: {each: []int{perFailure, clients}, refused: true},
	// The token of a service account names a key that the cluster is not known to have.
	clusterKeyUnknown: {once: []int{accountKeys}, refused: true},
	// The last review of the token of a service account is older than reviewFresh.
	verdictOld: {once: []int{accountReviews}, refused: true},
	// TargetNotGranted, ScopeNotGranted or GrantTypeNotAllowed for a token request. The
	// resource costs another one of grants.
	grantRefused: {each: []int{perSubject, perPayer, clients, grants}},
	// TokenKeyUnknown.
	tokenKeyUnknown: {each: []int{perPayer}, once: []int{ringReads}},
	// The client of a token or its owner is missing, or has another UID.
	tokenClientUnknown: {each: []int{perSubject, perPayer, clients}, refused: true},
	// The same of the client of an ancestor, or it lacks the grant type and its token is at
	// most memoryLag old. Each further client costs another look-up.
	ancestorUnknown: {each: []int{perSubject, perPayer, clients}, refused: true},
	// TokenUnknown or TokenReplaced for an opaque token; for a JWT the record, its owner or the
	// jti is missing.
	mintedUnknown: {each: []int{perSubject, perPayer, clients}, refused: true},
	// Memory grants less than a token has that is at most memoryLag old. The resource costs
	// another one of grants.
	scopeWithdrawn: {each: []int{perSubject, perPayer, clients, grants}},
	// The caller may not see a token that is at most memoryLag old, and its audience is no
	// known resource.
	audienceUnknown: {each: []int{perSubject, perPayer, grants}},
	// The trusted issuer of a person refuses a token that is at most memoryLag old, or an
	// identity assertion.
	issuerRefused: {each: []int{perSubject, perPayer, clients}},
	// No trusted issuer has the iss of an identity assertion. Records have the names of
	// issuers, so a list answers it, which costs more than the record of a client.
	issuerUnknown: {each: []int{perSubject, perPayer, grants}},
	// The client of an authorization request is unknown, may not act, or has not the redirect
	// URI or the grant type. The same of the client of a ticket.
	loginRefused: {each: []int{perSubject, perPayer, clients}, refused: true},
}

// need is a lack in a request, and what the look-up is about.
type need struct {
	lack lack
	// what is a client_id, the name or the iss of an issuer, or the id in an opaque token;
	// audience identifies a resource.
	what, audience string
	// others are client_ids: those of ancestorUnknown, of which what is the first.
	others []string
}

// view is what a request is decided by: memory, and what the source answered to it.
type view struct {
	Memory

	source *source
	payer  Payer
	// presented are the credentials of a client that authenticates.
	presented oauth2.Presented

	// a bit for each lack that the source was asked for
	asked    uint
	callers  map[string]oauth2.Record         // callerRefused, accountRefused
	issuers  map[string]*oauth2.TrustedIssuer // callerRefused, issuerRefused, issuerUnknown
	client   oauth2.Record                    // tokenClientUnknown, loginRefused
	former   map[string]oauth2.Record         // ancestorUnknown
	minted   oauth2.MintedRecord              // mintedUnknown
	granted  oauth2.Record                    // grantRefused, scopeWithdrawn
	resource *oauth2.Resource                 // grantRefused, scopeWithdrawn, audienceUnknown
}

func (v *view) has(lack lack) bool { return v.asked&(1<<lack) != 0 }

// caller is the record of a client that authenticates.
func (v *view) caller(clientID string) oauth2.Record {
	if v.has(callerRefused) {
		return v.callers[clientID]
	}
	return v.Record(clientID)
}

// callersOf are the records of the clients that the token of a service account may be from.
func (v *view) callersOf(token *oauth2.AccountToken) []oauth2.Record {
	switch {
	case token.ClientID != "":
		return []oauth2.Record{v.caller(token.ClientID)}
	case v.has(accountRefused):
		return slices.Collect(maps.Values(v.callers))
	}
	return v.ClientsOf(token.Account)
}

// look is what a request is decided by before the source is asked.
func (a *Authority) look(payer Payer) view {
	return view{Memory: a.Directory, source: a.source, payer: payer}
}

// decide calls `judge`, which decides by the view. While the decision lacks something that the
// source was not asked for yet, it asks the source and decides again, from the start and at the
// instant of the answer. It returns the instant of the last decision. An error refuses.
func (v *view) decide(ctx context.Context, at time.Time, judge func(time.Time) (need, error)) (time.Time, error) {
	for {
		needs, err := judge(at)
		if needs.lack == nothing || v.has(needs.lack) {
			return at, err
		}
		answered, refusal := v.ask(ctx, needs)
		at = v.source.Now()
		if refusal != nil {
			return at, refusal
		}
		if !answered {
			return at, err
		}
		v.asked |= 1 << needs.lack
	}
}

const (
	lookupTimeout = 2 * time.Second
	// memoryLag is how long after a token was issued a replica may lack the grant behind it.
	memoryLag = 10 * time.Second
)

// source asks for what memory lacks, within the budget. Requests that lack the same share a
// look-up.
type source struct {
	Config

	budget *budget.Budget

	clients   flight[oauth2.Record]
	accounts  flight[[]string]
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

// ask asks the source. answered means that the view has something that memory lacks.
func (v *view) ask(ctx context.Context, n need) (answered bool, refusal error) {
	s, row := v.source, table[n.lack]
	each := row.each
	nothing := n.lack == callerRefused && len(v.presented.Candidates()) == 0 && v.presented.OnlyAccount() == nil
	if nothing {
		each = each[:1]
	}
	err := s.spend(each, v.payer, n.what)
	switch {
	case err != nil && nothing:
		return false, Throttled(levels[perFailure].Interval, "too many failed attempts for this client; try again later")
	case err != nil:
	case n.lack == callerRefused:
		if v.callers, err = s.callers(ctx, v.payer, v.presented); err == nil {
			v.issuers, err = s.issuersOf(ctx, v.payer, v.presented, v.callers)
		}
	case n.lack == accountRefused:
		v.callers, err = s.callersOf(ctx, v.payer, *v.presented.OnlyAccount())
	case n.lack == tokenKeyUnknown:
		err = s.ring(ctx, v.payer)
	case n.lack == tokenClientUnknown, n.lack == loginRefused:
		v.client, err = s.client(ctx, n.what)
	case n.lack == ancestorUnknown:
		v.former, err = s.each(ctx, v.payer, n.others, 1)
	case n.lack == mintedUnknown:
		v.minted, err = s.mintedToken(ctx, n.what)
	case n.lack == issuerRefused:
		v.issuers, err = s.issuerNamed(ctx, n.what)
	case n.lack == issuerUnknown:
		v.issuers, err = s.issuerOf(ctx, n.what)
	case n.lack == audienceUnknown:
		v.resource, err = s.resource(ctx, n.audience)
	default: // grantRefused, scopeWithdrawn
		if v.granted, err = s.client(ctx, n.what); err == nil && v.granted.Denial() != "" {
			err = errDenied
		}
		if err == nil && s.spend([]int{grants}, v.payer, "") == nil {
			if v.resource, err = s.resource(ctx, n.audience); oauth2.ReasonOf(err) == "" {
				err = nil // without an answer that of memory
			}
		}
	}
	switch {
	case err == nil:
		// for that one the keys were looked up
		return n.lack != callerRefused || len(v.callers) > 0 || v.presented.OnlyAccount() != nil, nil
	case oauth2.ReasonOf(err) != "":
		return false, err
	}
	return false, row.unanswered()
}

// spend spends one look-up at each level, or at none.
func (s *source) spend(at []int, payer Payer, what string) error {
	var keys [4]budget.Key
	for i, level := range at {
		keys[i] = payer.key(level, what)
	}
	if !s.budget.Take(s.Now(), keys[:len(at)]...).OK {
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

// callersOf looks up the clients that name a service account: first which, and then each.
func (s *source) callersOf(ctx context.Context, payer Payer, account oauth2.ObjectName) (map[string]oauth2.Record, error) {
	ids, err := s.accounts.ask(ctx, account.Namespace+"/"+account.Name, lookupTimeout, func(ctx context.Context) ([]string, error) {
		return s.Directory.LookUpClientsOf(ctx, account)
	})
	if err != nil {
		return nil, err
	}
	return s.each(ctx, payer, ids, 0)
}

// each looks up clients, of which some are paid for.
func (s *source) each(ctx context.Context, payer Payer, ids []string, paid int) (map[string]oauth2.Record, error) {
	found := map[string]oauth2.Record{}
	for i, id := range ids {
		if i >= paid {
			if err := s.spend([]int{clients}, payer, ""); err != nil {
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
	return s.clients.ask(ctx, id, lookupTimeout, func(ctx context.Context) (oauth2.Record, error) {
		return s.Directory.LookUp(ctx, id)
	})
}

func (s *source) mintedToken(ctx context.Context, id string) (oauth2.MintedRecord, error) {
	return s.minted.ask(ctx, id, lookupTimeout, func(ctx context.Context) (oauth2.MintedRecord, error) {
		return s.Directory.LookUpMinted(ctx, id)
	})
}

func (s *source) resource(ctx context.Context, identifier string) (*oauth2.Resource, error) {
	return s.resources.ask(ctx, identifier, lookupTimeout, func(ctx context.Context) (*oauth2.Resource, error) {
		return s.Directory.LookUpResource(ctx, identifier)
	})
}

// ring has memory read the signing keys again: a key may have been published a moment ago. Payers
// share no look-up here, because one without a budget would have it refused for all.
func (s *source) ring(ctx context.Context, payer Payer) error {
	_, err := s.rings.ask(ctx, payer.holder(), lookupTimeout, func(ctx context.Context) (keyring.Ring, error) {
		if err := s.spend(table[tokenKeyUnknown].once, payer, ""); err != nil {
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
		_ = s.spend(table[clusterKeyUnknown].once, payer, "")
		return struct{}{}, nil
	}); err != nil {
		return table[clusterKeyUnknown].unanswered()
	}
	return nil
}

// flight shares one look-up, and its answer, between the requests that need it at the same time.
type flight[T any] struct{ group singleflight.Group }

// ask asks within a time limit. The look-up is shared, so a caller that hangs up does not end it.
func (f *flight[T]) ask(ctx context.Context, key string, limit time.Duration, question func(context.Context) (T, error)) (T, error) {
	found, err, _ := f.group.Do(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		return question(ctx)
	})
	answer, _ := found.(T)
	return answer, err //nolint:wrapcheck // it is the error of the look-up
}
