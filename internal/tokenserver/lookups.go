// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The budget of live look-ups. They are needed in the moments between a change and its arrival by the watch; what asks for
// more is a stranger guessing or a client that is wrong for good.
const (
	lookupTimeout  = 2 * time.Second
	lookupBurst    = 8           // look-ups at once, by source and client
	lookupInterval = time.Second // and one more in each
	lookupTotal    = 100         // look-ups at once, by everybody
	lookupRefill   = 20 * time.Millisecond
	lookupEntries  = 16 << 10        // sources and clients remembered
	lookupRetry    = 2 * time.Second // what a caller without budget is told to wait
)

// lookups asks the directory's source about clients, within a budget. Requests about the same client that come at the same
// time share one question.
type lookups struct {
	directory Directory
	now       func() time.Time
	flights   *singleflight.Group
	budget    *budget
}

func newLookups(directory Directory, now func() time.Time) lookups {
	return lookups{directory: directory, now: now, flights: &singleflight.Group{}, budget: newBudget()}
}

// presented returns the records of the clients that were presented as the source has them now. Readings that cannot be
// right are not asked about; asked says whether any was.
func (l lookups) presented(ctx context.Context, source string, presented oauth2.Presented) (
	record func(clientID string) oauth2.Record, asked bool, err error,
) {
	records := map[string]oauth2.Record{}
	for _, reading := range presented.Readings {
		if _, there := records[reading.ClientID]; there || !reading.WellFormed() {
			continue
		}
		if records[reading.ClientID], err = l.client(ctx, source, reading.ClientID); err != nil {
			return nil, false, err
		}
	}
	return func(clientID string) oauth2.Record { return records[clientID] }, len(records) > 0, nil
}

// client asks about one client. No budget and no answer are the same to the caller: try again.
func (l lookups) client(ctx context.Context, source, clientID string) (oauth2.Record, error) {
	if !l.budget.take(source, clientID, l.now()) {
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

// budget is a bounded table of token buckets by source and client under one bucket for all.
type budget struct {
	mu      sync.Mutex
	entries map[budgetKey]bucket
	total   bucket
}

type budgetKey struct{ source, clientID string }

func newBudget() *budget {
	return &budget{entries: make(map[budgetKey]bucket)}
}

// take spends one look-up if both buckets have one.
func (b *budget) take(source, clientID string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := budgetKey{source, clientID}
	own, ownLeft := b.entries[key].take(now, lookupBurst, lookupInterval)
	total, totalLeft := b.total.take(now, lookupTotal, lookupRefill)
	if !ownLeft || !totalLeft {
		return false
	}
	if len(b.entries) >= lookupEntries {
		b.evict(now)
	}
	b.entries[key], b.total = own, total
	return true
}

// evict makes room: entries whose bucket is full again say nothing, and if every one says something, any goes.
func (b *budget) evict(now time.Time) {
	for key, entry := range b.entries {
		if !entry.empty.After(now.Add(-lookupBurst * lookupInterval)) {
			delete(b.entries, key)
		}
	}
	for key := range b.entries {
		if len(b.entries) < lookupEntries {
			return
		}
		delete(b.entries, key)
	}
}

// bucket is a token bucket told by one instant: the one at which it was, or would have been, empty.
type bucket struct{ empty time.Time }

func (b bucket) take(now time.Time, burst int, interval time.Duration) (bucket, bool) {
	if full := now.Add(-time.Duration(burst) * interval); b.empty.Before(full) {
		b.empty = full
	}
	b.empty = b.empty.Add(interval)
	return b, !b.empty.After(now)
}
