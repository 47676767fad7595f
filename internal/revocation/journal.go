// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Store keeps revocations durably and passes them to every replica.
type Store interface {
	// WriteRevocations stores a batch under a name. If the name exists, it holds the same batch,
	// and the call succeeds. nil means that the batch is durable; after an error it may be or not.
	WriteRevocations(ctx context.Context, name string, batch Batch) error
}

const (
	// revocationInterval is the shortest time between two writes. Revocations that arrive meanwhile
	// share the next write: a replica writes at most ten times a second.
	revocationInterval = 100 * time.Millisecond
	// assertionInterval is that time if only used assertions wait: no caller waits for their write.
	assertionInterval = time.Second
	// commitTimeout bounds the wait of a caller; commitRetry is the Retry-After of a failed one.
	commitTimeout = 5 * time.Second
	commitRetry   = 5 * time.Second
	writeTimeout  = 3 * time.Second
	firstBackoff  = 100 * time.Millisecond
	// patience is the number of attempts that a caller waits for: it sees no transient error.
	patience    = 3
	lastBackoff = 2 * time.Second
	// flushTimeout bounds the writes of a Journal that stops.
	flushTimeout = 5 * time.Second
	// maxQueued bounds the entries that wait for the store, some 1.8 MiB. Namespaces have lentQueue of
	// them beyond their shares of queueShare each: what is not lent is enough for 64 whole shares.
	maxQueued  = 8 * MaxBatch
	lentQueue  = maxQueued * 3 / 4
	queueShare = 256
)

// commit is a batch that is not durable yet. Its name is unique, so that a retry cannot store it
// twice.
type commit struct {
	name    string
	batch   Batch
	numbers numbers
	// held counts the entries by namespace.
	held map[string]int
	// done is closed when the batch is durable, or after as many failed attempts as callers wait
	// for.
	done     chan struct{}
	durable  bool
	attempts int
}

// Journal is the group commit of revocations: those that arrive within an interval share a write,
// and batches are written in order of arrival. A failed write is retried until it succeeds or the
// batch has expired.
type Journal struct {
	store Store
	now   func() time.Time
	wrote func(durable bool, pending int)
	log   *slog.Logger

	mu sync.Mutex
	// waiting are the commits that are not durable yet, oldest first. The first sealed of them
	// accept no more entries; at most the last accepts some.
	waiting []*commit
	sealed  int
	// held counts the entries of waiting by namespace, queued in all, and borrowed those beyond shares.
	held             map[string]int
	queued, borrowed int
	// failing means that the store refuses writes at the moment, so that callers do not wait.
	failing bool
	wake    chan struct{}
}

// NewJournal makes a Journal that Run writes to a store. It calls wrote after each attempt to write
// a batch, with the number of entries that are not durable yet.
func NewJournal(store Store, now func() time.Time, wrote func(durable bool, pending int), log *slog.Logger) *Journal {
	return &Journal{store: store, now: now, wrote: wrote, log: log, held: map[string]int{}, wake: make(chan struct{}, 1)}
}

// Revoke queues the revocation of a client's token and waits until it is durable. After an error it
// may not be: the Journal keeps trying, but the caller must repeat the request.
func (j *Journal) Revoke(ctx context.Context, token Entry, of Client) error {
	joined, failing := j.join(func(batch *Batch) *[]Entry { return &batch.Tokens }, token, of)
	if joined == nil || failing {
		return errNotDurable()
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	select {
	case <-joined.done:
		if joined.durable {
			return nil
		}
	case <-ctx.Done():
	}
	return errNotDurable()
}

// Use queues an assertion that a client of a namespace used, and does not wait. If the queue has no
// room for it, it drops the assertion; this replica remembers it in its own memory.
func (j *Journal) Use(assertion Entry, namespace string) {
	j.join(func(batch *Batch) *[]Entry { return &batch.Assertions }, assertion, Client{Namespace: namespace})
}

func errNotDurable() error {
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: oauth2.ReasonRevocationNotDurable, RetryAfter: commitRetry,
		Description: "the revocation cannot be made durable right now; it holds here already, ask again until the answer is 200",
	}
}

// join adds an entry to a list of the last commit; joined is nil if the queue has no room for the
// namespace. failing means that the store refuses writes at the moment.
func (j *Journal) join(list func(*Batch) *[]Entry, r Entry, of Client) (joined *commit, failing bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.enter(of.Namespace) {
		return nil, j.failing
	}
	if len(j.waiting) > j.sealed {
		joined = j.waiting[len(j.waiting)-1]
		if len(*list(&joined.batch)) == MaxBatch || r.IssuedAt != 0 && !joined.admits(of) {
			j.sealed++
			joined = nil
		}
	}
	if joined == nil {
		joined = &commit{name: "batch-" + strings.ToLower(rand.Text()), numbers: numbers{}, held: map[string]int{}, done: make(chan struct{})}
		j.waiting = append(j.waiting, joined)
	}
	if r.Client = 0; r.IssuedAt != 0 {
		r.Client = joined.numbers.of(of, &joined.batch)
	}
	joined.held[of.Namespace]++
	into := list(&joined.batch)
	*into = append(*into, r)
	select {
	case j.wake <- struct{}{}:
	default: // it is awake
	}
	return joined, j.failing
}

// enter reports whether the queue has room for one more entry of a namespace, and counts it.
func (j *Journal) enter(namespace string) bool {
	borrows := j.held[namespace] >= queueShare
	if j.queued == maxQueued || borrows && j.borrowed == lentQueue {
		return false
	}
	if borrows {
		j.borrowed++
	}
	j.queued++
	j.held[namespace]++
	return true
}

// leave counts entries of a namespace that are durable.
func (j *Journal) leave(namespace string, entries int) {
	before := j.held[namespace]
	j.queued -= entries
	j.borrowed -= max(before-queueShare, 0) - max(before-entries-queueShare, 0)
	if j.held[namespace] = before - entries; before == entries {
		delete(j.held, namespace)
	}
}

// admits reports whether the batch has room for a client.
func (c *commit) admits(of Client) bool {
	_, there := c.numbers[of]
	return there || len(c.batch.Clients) < MaxClients
}

// Run writes until the context ends, and then flushes the queue within flushTimeout.
func (j *Journal) Run(ctx context.Context) {
	var last time.Time
	for ctx.Err() == nil {
		if !j.gather(ctx, last) {
			continue
		}
		last = time.Now()
		j.writeFirst(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	for ctx.Err() == nil && j.seal() != nil {
		j.writeFirst(ctx)
	}
}

// gather waits until a write is due, and reports whether it is.
func (j *Journal) gather(ctx context.Context, last time.Time) bool {
	interval := j.interval()
	if interval == 0 {
		select {
		case <-ctx.Done():
		case <-j.wake:
		}
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(last.Add(interval))):
		return true
	case <-j.wake: // a new entry may make the write due earlier
		return false
	}
}

// interval returns how long after the last write the next is due; zero if the queue is empty.
func (j *Journal) interval() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case len(j.waiting) == 0:
		return 0
	case len(j.waiting) == 1 && len(j.waiting[0].batch.Tokens) == 0:
		return assertionInterval
	}
	return revocationInterval
}

// seal returns the oldest commit, whose batch does not change from now on; nil if the queue is
// empty.
func (j *Journal) seal() *commit {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) == 0 {
		return nil
	}
	j.sealed = max(j.sealed, 1)
	return j.waiting[0]
}

// writeFirst writes the oldest commit, with retries until it is durable, has expired or the context
// ends.
func (j *Journal) writeFirst(ctx context.Context) {
	first := j.seal()
	for backoff := firstBackoff; first != nil; backoff = min(2*backoff, lastBackoff) {
		err := j.write(ctx, first)
		j.settle(first, err)
		if err == nil {
			return
		}
		j.log.WarnContext(ctx, "cannot write revocations; they hold at this replica and are tried again", "batch", first.name, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}
	}
}

// write tries once. An expired batch needs no write.
func (j *Journal) write(ctx context.Context, first *commit) error {
	if !j.now().Before(first.batch.ExpiresAt()) {
		return nil
	}
	// An attempt that may have succeeded is not cancelled with the server.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	return j.store.WriteRevocations(ctx, first.name, first.batch)
}

// settle records the result of an attempt.
func (j *Journal) settle(first *commit, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first.attempts++
	switch {
	case err == nil:
		j.waiting = j.waiting[1:]
		for namespace, entries := range first.held {
			j.leave(namespace, entries)
		}
		j.sealed--
		j.failing = false
		if first.attempts <= patience { // after that, done is closed and the callers got an error
			first.durable = true
			close(first.done)
		}
	case first.attempts == patience:
		j.failing = true
		close(first.done)
	}
	j.wrote(err == nil, j.queued)
}
