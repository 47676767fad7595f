// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"time"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// lack is a result of memory that may be wrong only because a watch is late; table lists them.
type lack int

const (
	nothing lack = iota
	callerRefused
	accountRefused
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
	foreignIssuerUnknown
	foreignIssuerRefused
	subjectRefused
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
	perFailure: {Burst: attemptBurst, Interval: failureInterval},
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
	attemptBurst    = 8
	failureInterval = time.Second
	reviewBurst     = 500
	// keyInterval is between two look-ups of keys, if no share pays for more.
	keyInterval = 10 * time.Second
)

// row is what follows from a lack.
type row struct {
	// levels are those that each request spends, all or none.
	levels []int
	// refused means that a request whose look-up is not answered is refused as
	// LookupUnavailable; otherwise memory's result stands.
	refused bool
}

// table has for each lack the budget that pays for the request, and the answer if it cannot be
// sent; source.answer sends it. docs/architecture.md has the same table.
var table = [...]row{ //nolint:gochecknoglobals // a constant table
	// Authentication fails, for any reason that another registration could mend. If there is
	// nothing to ask, it costs no look-up, and a caller without a budget is throttled; each
	// further client_id costs another look-up. A request that is not decided for lack of
	// look-ups is no failed attempt.
	callerRefused: {levels: []int{perFailure, clients}, refused: true},
	// The token of a service account names no client and is good in itself, and memory has no
	// client, or several, that the account names. Each client costs another look-up.
	accountRefused: {levels: []int{perFailure, clients}, refused: true},
	// TargetNotGranted, ScopeNotGranted or GrantTypeNotAllowed for a token request. The
	// resource costs another one of grants.
	grantRefused: {levels: []int{perSubject, perPayer, clients, grants}},
	// TokenKeyUnknown.
	tokenKeyUnknown: {levels: []int{perPayer}},
	// The client of a token or its owner is missing, or has another UID.
	tokenClientUnknown: {levels: []int{perSubject, perPayer, clients}, refused: true},
	// The same of the client of an ancestor, or it lacks the grant type and its token is at
	// most memoryLag old. Each further client costs another look-up.
	ancestorUnknown: {levels: []int{perSubject, perPayer, clients}, refused: true},
	// TokenUnknown or TokenReplaced for an opaque token; for a JWT the record, its owner or the
	// jti is missing.
	mintedUnknown: {levels: []int{perSubject, perPayer, clients}, refused: true},
	// Memory grants less than a token has that is at most memoryLag old. The resource costs
	// another one of grants.
	scopeWithdrawn: {levels: []int{perSubject, perPayer, clients, grants}},
	// The caller may not see a token that is at most memoryLag old, and its audience is no
	// known resource.
	audienceUnknown: {levels: []int{perSubject, perPayer, grants}},
	// The trusted issuer of a person refuses a token that is at most memoryLag old, or an
	// identity assertion.
	issuerRefused: {levels: []int{perSubject, perPayer, clients}},
	// No trusted issuer has the iss of an identity assertion. Records have the names of
	// issuers, so a list answers it, which costs more than the record of a client.
	issuerUnknown: {levels: []int{perSubject, perPayer, grants}},
	// The client of an authorization request is unknown, may not act, or has not the redirect
	// URI or the grant type. The same of the client of a ticket.
	loginRefused: {levels: []int{perSubject, perPayer, clients}, refused: true},
	// The JWT of another issuer, or of a service account of another cluster, names no client,
	// and no trusted issuer has its iss. A list answers it, as for issuerUnknown; the trust
	// domain of a JWT-SVID costs another one.
	foreignIssuerUnknown: {levels: []int{perFailure, grants}, refused: true},
	// The trusted issuer refuses such a JWT, for a reason that a newer record could mend.
	foreignIssuerRefused: {levels: []int{perFailure, clients}, refused: true},
	// Such a JWT is good in itself, and memory has no client, or several, that its subject
	// identifies, or one that may not act. Each client costs another look-up.
	subjectRefused: {levels: []int{perFailure, clients}, refused: true},
}

// need is a lack in a request, and what the look-up is about.
type need struct {
	lack lack
	// what is a client_id, the name or the iss of an issuer, or the id in an opaque token;
	// audience identifies a resource.
	what, audience string
	// others are client_ids: those of ancestorUnknown, of which what is the first; or the trust
	// domain of the sub of a JWT, of which what is the iss.
	others []string
	// workload is that of accountRefused and subjectRefused.
	workload oauth2.Workload
}

// view is what a request is decided by: memory, and what the source answered to it.
type view struct {
	Memory

	source *source
	payer  Payer
	// presented are the credentials of a client that authenticates.
	presented oauth2.Presented

	// a bit for each lack that the source was asked for
	asked   uint
	callers map[string]oauth2.Record // callerRefused, accountRefused, subjectRefused
	// callerRefused, issuerRefused, issuerUnknown, foreignIssuerRefused, foreignIssuerUnknown
	issuers  map[string]*oauth2.TrustedIssuer
	client   oauth2.Record            // tokenClientUnknown, loginRefused
	former   map[string]oauth2.Record // ancestorUnknown
	minted   oauth2.MintedRecord      // mintedUnknown
	granted  oauth2.Record            // grantRefused, scopeWithdrawn
	resource *oauth2.Resource         // grantRefused, scopeWithdrawn, audienceUnknown

	// found is what memory has of the client_id foundOf: to look a client up takes a
	// microsecond.
	found   oauth2.Record
	foundOf string
}

func (v *view) has(lack lack) bool { return v.asked&(1<<lack) != 0 }

// caller is the record of a client that authenticates.
func (v *view) caller(clientID string) oauth2.Record {
	if v.has(callerRefused) {
		return v.callers[clientID]
	}
	return v.Record(clientID)
}

// look is what a request is decided by before the source is asked.
func (a *Authority) look(payer Payer) view {
	return view{Memory: a.Directory, source: a.source, payer: payer}
}

// memoryLag is how long after a token was issued a replica may lack the grant behind it.
const memoryLag = 10 * time.Second

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
		v.found, v.foundOf = oauth2.Record{}, ""
	}
}

// ask asks the source. answered means that the view has something that memory lacks.
func (v *view) ask(ctx context.Context, n need) (answered bool, refusal error) {
	row := table[n.lack]
	at, unnamed := row.levels, n.lack == callerRefused && len(v.presented.Candidates()) == 0 && v.presented.OnlyAccount() == nil
	if unnamed {
		at = at[:1]
	}
	err := v.source.spend(v.payer, n.what, at...)
	if err != nil && unnamed {
		return false, Throttled(failureInterval, "too many failed attempts for this client; try again later")
	}
	if err == nil {
		err = v.source.answer(ctx, v, n)
	}
	switch {
	case err == nil:
		// for that one the keys were looked up
		return n.lack != callerRefused || len(v.callers) > 0 || v.presented.OnlyAccount() != nil, nil
	case oauth2.ReasonOf(err) != "":
		return false, err
	case row.refused:
		return false, oauth2.Unavailable(lookupRetry)
	}
	return false, nil
}
