// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The budget of live look-ups. They are needed in the moments between a change and its arrival by the watch; what asks for
// more is a stranger guessing or a client that is wrong for good.
const (
	lookupTimeout = 2 * time.Second
	lookupTotal   = 100 // look-ups at once, by everybody
	lookupRefill  = 20 * time.Millisecond
	lookupRetry   = 2 * time.Second  // what a caller without budget is told to wait
	keyInterval   = 10 * time.Second // between two look-ups of the keys, whoever causes them
	// What is asked about grants has a budget of its own: clients that ask for what they are not given are no reason to keep new
	// ones waiting.
	grantTotal  = 20
	grantRefill = 100 * time.Millisecond
)

var errKeyBudget = errors.New("the keys were looked up a moment ago")

// What look-ups of the keys share, and those of one resource; no client_id has a control character.
const (
	keyFlight      = "\x00keys"
	resourceFlight = "\x00resource "
	mintedFlight   = "\x00minted "
)

// lookups asks the directory's source about clients, within a budget for all. What one caller may ask its throttle says
// before. Requests about the same client that come at the same time share one question.
type lookups struct {
	directory Directory
	cluster   Cluster
	now       func() time.Time
	flights   *singleflight.Group
	budget    *budget.Budget
	grants    *budget.Budget
	keyBudget *budget.Budget
	trusted   *lastTrust
}

func newLookups(config Config) lookups {
	return lookups{
		directory: config.Directory, cluster: config.Cluster, now: config.Now, flights: &singleflight.Group{}, trusted: &lastTrust{},
		budget: shared(lookupTotal, lookupRefill), grants: shared(grantTotal, grantRefill), keyBudget: shared(1, keyInterval),
	}
}

// presented returns the records of the clients that were presented as the source has them now. Readings that cannot be
// right are not asked about; asked says whether any was. A service account's token may need a key of the cluster besides.
func (l lookups) presented(ctx context.Context, presented oauth2.Presented) (
	record func(clientID string) oauth2.Record, asked bool, err error,
) {
	if token := presented.AccountToken; token != nil {
		if err := l.trust(ctx, token); err != nil {
			return nil, false, err
		}
	}
	records := map[string]oauth2.Record{}
	for _, id := range presented.Candidates() {
		if records[id], err = l.client(ctx, id); err != nil {
			return nil, false, err
		}
	}
	return func(clientID string) oauth2.Record { return records[clientID] }, len(records) > 0, nil
}

// client asks about one client. No budget and no answer are the same to the caller: try again.
func (l lookups) client(ctx context.Context, clientID string) (oauth2.Record, error) {
	if !l.budget.Take(l.now(), budget.Key{}).OK {
		return oauth2.Record{}, oauth2.Unavailable(lookupRetry)
	}
	found, err, _ := l.flights.Do(clientID, func() (any, error) {
		// The question is shared, so one caller's hanging up must not end it for the others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
		defer cancel()
		return l.directory.LookUp(ctx, clientID)
	})
	record, ok := found.(oauth2.Record)
	if err != nil || !ok {
		return oauth2.Record{}, oauth2.Unavailable(lookupRetry)
	}
	return record, nil
}

// minted asks about one OAuth2Token, within the budget of clients: it is new as seldom as they are.
func (l lookups) minted(ctx context.Context, opaqueID string) (oauth2.MintedRecord, error) {
	if !l.budget.Take(l.now(), budget.Key{}).OK {
		return oauth2.MintedRecord{}, oauth2.Unavailable(lookupRetry)
	}
	found, err, _ := l.flights.Do(mintedFlight+opaqueID, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
		defer cancel()
		return l.directory.LookUpMinted(ctx, opaqueID)
	})
	record, ok := found.(oauth2.MintedRecord)
	if err != nil || !ok {
		return oauth2.MintedRecord{}, oauth2.Unavailable(lookupRetry)
	}
	return record, nil
}

// lookedUp is what memory has of resources, and the one that the source was asked about, if it has it.
type lookedUp struct {
	oauth2.Resources

	found *oauth2.Resource
}

func (l lookedUp) Resource(name oauth2.ObjectName) *oauth2.Resource {
	if l.found != nil && name == (oauth2.ObjectName{Namespace: l.found.Namespace, Name: l.found.Name}) {
		return l.found
	}
	return l.Resources.Resource(name)
}

func (l lookedUp) ResourceByIdentifier(identifier string) *oauth2.Resource {
	if l.found != nil && identifier == l.found.Identifier {
		return l.found
	}
	return l.Resources.ResourceByIdentifier(identifier)
}

// resource asks about one resource. Without an answer it is what memory has.
func (l lookups) resource(ctx context.Context, identifier string) lookedUp {
	memory := lookedUp{Resources: l.directory}
	if !l.grants.Take(l.now(), budget.Key{}).OK {
		return memory
	}
	found, err, _ := l.flights.Do(resourceFlight+identifier, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
		defer cancel()
		return l.directory.LookUpResource(ctx, identifier)
	})
	resource, ok := found.(*oauth2.Resource)
	if err != nil || !ok {
		return memory
	}
	return lookedUp{l.directory, resource}
}

// ring asks for the keys, of which a token names one that memory does not have: it may have been published a moment ago. A
// stranger can make up such names, so there is one look-up for everybody in ten seconds, and without one the answer is no.
func (l lookups) ring(ctx context.Context) (keyring.Ring, bool) {
	found, err, _ := l.flights.Do(keyFlight, func() (any, error) {
		if !l.keyBudget.Take(l.now(), budget.Key{}).OK {
			return nil, errKeyBudget
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
		defer cancel()
		return l.directory.LookUpRing(ctx)
	})
	ring, ok := found.(keyring.Ring)
	return ring, ok && err == nil
}
