// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

const (
	// refusalWritesPerSecond bounds the statuses and events about refusals, so that they change
	// at most five statuses a second. They have a rate of their own: with writesPerSecond it
	// makes twenty statuses a second, and refusals, which any caller can cause, delay no use.
	refusalWritesPerSecond = 10
	// maxRefused bounds the clients whose refusals are remembered. Beyond it the namespaces
	// with the most lose those that were refused least recently.
	maxRefused = 16 << 10
	// maxStored bounds the refusals that are remembered, some 10 MB: each process of a token
	// server has reports of its own, which outlast it by a week. Beyond it the namespaces with
	// the most lose the oldest.
	maxStored = 64 << 10
)

// Refusals are the refusals of clients in all reports, and how much of it statuses have. The status
// of a client changes for them once in refresh at most.
type Refusals struct {
	clock   clock.PassiveClock
	refresh time.Duration
	// namespaceOf returns the namespace of a client, empty if there is none or it is not known.
	namespaceOf func(usage.Key) string

	mu      sync.Mutex
	clients map[usage.Key]*refused
	// most bounds them; it is maxRefused.
	most int
	// stored is how many refusals they have of all reports, and mostStored bounds them; it is
	// maxStored.
	stored, mostStored int

	queue queue
	woken chan struct{}
}

type refused struct {
	slot

	// reported is the content of each report, by the names of the reports.
	reported map[string][]usage.Refusal
	// told is what may stand in the status, since toldAt.
	told   []usage.Refusal
	toldAt time.Time
}

func newRefusals(c clock.PassiveClock, refresh time.Duration) *Refusals {
	return &Refusals{
		clock: c, refresh: refresh, namespaceOf: ofNoNamespace,
		clients: map[usage.Key]*refused{}, most: maxRefused, mostStored: maxStored, woken: make(chan struct{}, 1),
	}
}

// Told returns the refusals that the status of the client of that UID may report.
func (r *Refusals) Told(uid string) []usage.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.clients[usage.KeyOf(uid)]; c != nil {
		return c.told
	}
	return nil
}

// ofNoNamespace is the namespace of every object until watches find them.
func ofNoNamespace(usage.Key) string { return "" }

// merge replaces the content of a report, which is sorted by client. It returns how many clients
// were forgotten because there are too many.
func (r *Refusals) merge(report string, refusals []usage.Refusal) (forgotten int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	for key, c := range r.clients {
		_, named := slices.BinarySearchFunc(refusals, key, func(r usage.Refusal, key usage.Key) int { return slices.Compare(r.Key[:], key[:]) })
		if !named {
			r.put(c, report, nil)
		}
	}
	for len(refusals) > 0 {
		key, n := refusals[0].Key, 0
		for ; n < len(refusals) && refusals[n].Key == key; n++ {
			// the clock of the replica may be ahead
			refusals[n].At = min(refusals[n].At, usage.MinuteOf(now))
		}
		r.store(report, key, refusals[:n], now)
		refusals = refusals[n:]
	}
	forgotten = r.shed(now)
	select {
	case r.woken <- struct{}{}:
	default:
	}
	return forgotten
}

// store stores the content of a report about one client.
func (r *Refusals) store(report string, key usage.Key, refusals []usage.Refusal, now time.Time) {
	// or one client would keep the whole report in memory
	recent := since(slices.Clone(refusals), now)
	if r.clients[key] == nil && len(recent) == 0 {
		return
	}
	c := r.client(key)
	r.put(c, report, recent)
	r.prune(c, now)
	if isNews(c.told, c.merged()) {
		r.queue.Add(&c.slot, oauth2.Later(now, c.toldAt.Add(r.refresh)))
	}
}

// client returns what is remembered of a client, in the line of its namespace. shed has to follow.
func (r *Refusals) client(key usage.Key) *refused {
	namespace := r.namespaceOf(key)
	c := r.clients[key]
	if c == nil {
		c = &refused{slot: slot{Item: key, Namespace: namespace}, reported: map[string][]usage.Refusal{}}
		r.clients[key] = c
	}
	if c.Namespace != namespace { // it was not known
		waits := c.Waits()
		r.queue.Remove(&c.slot)
		if c.Namespace = namespace; waits {
			r.queue.Add(&c.slot, c.Due())
		}
	}
	return c
}

// remind schedules the removal of the oldest refusal from a status, which may have it from a report
// that is gone.
func (r *Refusals) remind(key usage.Key, oldest time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue.Add(&r.client(key).slot, oldest.Add(usage.KeepRefusals+time.Minute))
	r.shed(r.clock.Now())
}

// put replaces the content of a report about a client.
func (r *Refusals) put(c *refused, report string, refusals []usage.Refusal) {
	r.stored += len(refusals) - len(c.reported[report])
	if len(refusals) == 0 {
		delete(c.reported, report)
		return
	}
	c.reported[report] = refusals
}

// prune drops the refusals of a client that are too old for its status.
func (r *Refusals) prune(c *refused, now time.Time) {
	for report, refusals := range c.reported {
		r.put(c, report, since(refusals, now))
	}
}

// since leaves the refusals that are recent enough for a status.
func since(refusals []usage.Refusal, now time.Time) []usage.Refusal {
	oldest := usage.MinuteOf(now.Add(-usage.KeepRefusals))
	return slices.DeleteFunc(refusals, func(r usage.Refusal) bool { return r.At < oldest })
}

// forget drops the content of a report that is deleted.
func (r *Refusals) forget(report string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clients {
		r.put(c, report, nil)
	}
}

// drop forgets a client that is no object of the cluster.
func (r *Refusals) drop(key usage.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.clients[key]; c != nil {
		r.remove(c)
	}
}

func (r *Refusals) remove(c *refused) {
	r.queue.Remove(&c.slot)
	for report := range c.reported {
		r.put(c, report, nil)
	}
	delete(r.clients, c.Item)
}

// merged adds up the content of the reports, by reason. The subject and the source are those of the
// last refusal.
func (c *refused) merged() []usage.Refusal {
	byReason := map[string]usage.Refusal{}
	for _, reported := range c.reported {
		for _, r := range reported {
			sum := byReason[r.Reason]
			count := sum.Count + min(r.Count, maxCount)
			if r.At >= sum.At {
				sum = r
			}
			sum.Count = min(count, maxCount)
			byReason[r.Reason] = sum
		}
	}
	merged := make([]usage.Refusal, 0, len(byReason))
	for _, r := range byReason {
		merged = append(merged, r)
	}
	usage.SortRefusals(merged)
	return merged
}

// maxCount bounds the count of a status.
const maxCount = 1_000_000_000

// isNews reports whether something was refused that is not in the status.
func isNews(told, merged []usage.Refusal) bool {
	return slices.ContainsFunc(merged, func(r usage.Refusal) bool {
		return !slices.ContainsFunc(told, func(t usage.Refusal) bool { return t.Reason == r.Reason && t.At >= r.At && t.Count >= r.Count })
	})
}

// next takes the client that is due out of the queue, and lets its status report what was refused.
func (r *Refusals) next() (key usage.Key, told []usage.Refusal, wait time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	due, wait := r.queue.Next(now, r.refresh)
	if due == nil {
		return key, nil, wait, false
	}
	key = due.Item
	c := r.clients[key]
	r.prune(c, now)
	c.told, c.toldAt = c.merged(), now
	if len(c.told) == 0 {
		delete(r.clients, key)
		return key, nil, 0, true
	}
	first := slices.MinFunc(c.told, func(a, b usage.Refusal) int { return cmp.Compare(a.At, b.At) })
	// to remove it from the status
	r.queue.Add(&c.slot, oauth2.Later(now.Add(r.refresh), first.At.Time().Add(usage.KeepRefusals+time.Minute)))
	return key, c.told, 0, true
}

// tellRefusals updates the status of one client after the other, refusalWritesPerSecond writes at
// the most, until the context ends.
func (r *Reconciler) tellRefusals(ctx context.Context) error {
	if !toolscache.WaitForCacheSync(ctx.Done(), r.clients.synced) {
		return nil // the manager stops
	}
	refusals := r.Ledger.Refusals
	for ctx.Err() == nil {
		key, told, wait, due := refusals.next()
		woken := refusals.woken
		if due {
			writes, err := r.tellRefused(ctx, key, told)
			if err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "cannot report what was refused to a client")
			}
			if writes > 0 {
				// the rate holds whatever comes in
				wait, woken = pause(writes, refusalWritesPerSecond), nil
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-woken:
		}
	}
	return nil
}

// tellRefused wakes a client whose status lacks what was refused. A report may name one that is
// gone, or that it made up.
func (r *Reconciler) tellRefused(ctx context.Context, key usage.Key, told []usage.Refusal) (writes int, err error) {
	name, there := r.clients.find(key)
	if !there {
		r.Ledger.Refusals.drop(key)
		return 0, nil
	}
	var c v1alpha1.OAuth2Client
	switch err := r.Client.Get(ctx, name, &c); {
	case apierrors.IsNotFound(err):
		r.Ledger.Refusals.drop(key)
		return 0, nil
	case err != nil:
		return 1, fmt.Errorf("read OAuth2Client %s: %w", name, err)
	}
	with := *c.Status.DeepCopy()
	news := CompleteRefusals(&with, &c, told, r.Clock.Now())
	if n := len(with.Refusals); n > 0 {
		r.Ledger.Refusals.remind(key, with.Refusals[n-1].LastRefusedAt.Time)
	}
	if equality.Semantic.DeepEqual(with.Refusals, c.Status.Refusals) {
		return 0, nil
	}
	select {
	case r.Clients <- event.GenericEvent{Object: &c}:
	case <-ctx.Done():
	}
	return 1 + len(news), nil
}
