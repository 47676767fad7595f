// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Store keeps revocations durably and passes them to every replica.
type Store interface {
	// WriteRevocations stores a batch under a name. If the name exists, it holds the same
	// batch, and the call succeeds. nil means that the batch is durable; after an error it may
	// be or not.
	WriteRevocations(ctx context.Context, name string, batch Batch) error
}

const (
	// revocationInterval is the shortest time between two writes. Revocations that arrive
	// meanwhile share the next write: a replica writes at most ten times a second.
	revocationInterval = 100 * time.Millisecond
	// assertionInterval is that time if only used assertions wait: no caller waits for their
	// write.
	assertionInterval = time.Second
	// commitTimeout bounds the wait of a caller; commitRetry is the Retry-After of a failed
	// one.
	commitTimeout = 5 * time.Second
	commitRetry   = 5 * time.Second
	writeTimeout  = 3 * time.Second
	firstBackoff  = 100 * time.Millisecond
	// patience is the number of attempts that a caller waits for: it sees no transient error.
	patience    = 3
	lastBackoff = 2 * time.Second
	// flushTimeout bounds the writes of a Journal that stops.
	flushTimeout = 5 * time.Second
	// maxQueued bounds the entries that wait for the store, some 1.8 MiB. Namespaces have
	// lentQueue of them beyond their shares of queueShare each: what is not lent is enough for
	// 64 whole shares.
	maxQueued  = 8 * MaxBatch
	lentQueue  = maxQueued * 3 / 4
	queueShare = 256
)

// bundleEntries bounds each list of a bundle.
const bundleEntries = 64

// bundle is entries of one namespace that are written, and become durable, together.
type bundle struct {
	namespace string
	batch     Batch
	// done is closed when the bundle is durable, or after as many failed attempts as callers
	// wait for.
	done    chan struct{}
	durable bool
}

// line is the bundles of a namespace that no commit has, the oldest first.
type line struct {
	namespace string
	bundles   []*bundle
}

// commit is a batch that is not durable yet. Its name is unique, so that a retry cannot store it
// twice.
type commit struct {
	name     string
	batch    Batch
	numbers  numbers
	bundles  []*bundle
	attempts int
}

// Journal is the group commit of revocations: those that arrive within an interval share a write.
// Where more wait than fit into a batch, namespaces take turns: however many entries of one wait,
// those of another one are in the next batch, but for the number of namespaces. A failed write is
// retried until it succeeds or the batch has expired.
type Journal struct {
	store Store
	now   func() time.Time
	wrote func(durable bool, pending int)
	log   *slog.Logger

	mu sync.Mutex
	// lines are the namespaces with bundles, in the order of their turns.
	lines       []*line
	byNamespace map[string]*line
	// tokens counts the tokens in lines.
	tokens int
	// first is the commit that is being written; nil if there is none.
	first *commit
	// held counts the entries that are not durable by namespace, queued in all, and borrowed
	// those beyond shares.
	held             map[string]int
	queued, borrowed int
	// failing means that the store refuses writes at the moment, so that callers do not wait.
	failing bool
	wake    chan struct{}
}

// NewJournal makes a Journal that Run writes to a store. It calls wrote after each attempt to write
// a batch, with the number of entries that are not durable yet.
func NewJournal(store Store, now func() time.Time, wrote func(durable bool, pending int), log *slog.Logger) *Journal {
	return &Journal{store: store, now: now, wrote: wrote, log: log, byNamespace: map[string]*line{}, held: map[string]int{}, wake: make(chan struct{}, 1)}
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

// join adds an entry to a list of the last bundle of a namespace; joined is nil if the queue has no
// room for the namespace. failing means that the store refuses writes at the moment.
func (j *Journal) join(list func(*Batch) *[]Entry, r Entry, of Client) (joined *bundle, failing bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.enter(of.Namespace) {
		return nil, j.failing
	}
	joined = j.bundle(of.Namespace, list)
	if r.Client = 0; of != (Client{}) {
		r.Client = joined.number(of)
	}
	into := list(&joined.batch)
	if *into = append(*into, r); into == &joined.batch.Tokens {
		j.tokens++
	}
	select {
	case j.wake <- struct{}{}:
	default: // it is awake
	}
	return joined, j.failing
}

// bundle returns the last bundle of a namespace, a new one if a list of it is full.
func (j *Journal) bundle(namespace string, list func(*Batch) *[]Entry) *bundle {
	l := j.byNamespace[namespace]
	if l == nil {
		l = &line{namespace: namespace}
		j.byNamespace[namespace] = l
		j.lines = append(j.lines, l)
	}
	if n := len(l.bundles); n > 0 && len(*list(&l.bundles[n-1].batch)) < bundleEntries {
		return l.bundles[n-1]
	}
	added := &bundle{namespace: namespace, done: make(chan struct{})}
	l.bundles = append(l.bundles, added)
	return added
}

// number returns the number of a client of the bundle, to which it is added if need be.
func (p *bundle) number(of Client) uint32 {
	at := slices.Index(p.batch.Clients, of)
	if at < 0 {
		at = len(p.batch.Clients)
		p.batch.Clients = append(p.batch.Clients, of)
	}
	return uint32(at + 1) //nolint:gosec // as many as there are tokens
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

// admits reports whether the batch has room for a bundle.
func (c *commit) admits(p *bundle) bool {
	clients := len(c.batch.Clients)
	for _, client := range p.batch.Clients {
		if _, there := c.numbers[client]; !there {
			clients++
		}
	}
	return len(c.batch.Tokens)+len(p.batch.Tokens) <= MaxBatch && len(c.batch.Assertions)+len(p.batch.Assertions) <= MaxBatch && clients <= MaxClients
}

// add adds a bundle to the batch.
func (c *commit) add(p *bundle) {
	c.bundles = append(c.bundles, p)
	c.batch.Tokens = append(c.batch.Tokens, c.numbered(p.batch, p.batch.Tokens)...)
	c.batch.Assertions = append(c.batch.Assertions, c.numbered(p.batch, p.batch.Assertions)...)
}

// numbered returns a list of a bundle with the numbers that clients have in the batch.
func (c *commit) numbered(from Batch, list []Entry) []Entry {
	list = slices.Clone(list)
	for i, r := range list {
		if r.Client != 0 {
			list[i].Client = c.numbers.of(from.clientOf(r), &c.batch)
		}
	}
	return list
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
	case j.queued == 0:
		return 0
	case j.tokens == 0 && j.queued <= MaxBatch:
		return assertionInterval
	}
	return revocationInterval
}

// seal returns the commit that is to be written; nil if the queue is empty. Namespaces take turns
// in a new one, a bundle each.
func (j *Journal) seal() *commit {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.first != nil || len(j.lines) == 0 {
		return j.first
	}
	j.first = &commit{name: "batch-" + strings.ToLower(rand.Text()), numbers: numbers{}}
	for len(j.lines) > 0 && j.first.admits(j.lines[0].bundles[0]) {
		next := j.lines[0]
		j.first.add(next.bundles[0])
		j.tokens -= len(next.bundles[0].batch.Tokens)
		j.lines = j.lines[1:]
		if next.bundles = next.bundles[1:]; len(next.bundles) > 0 {
			j.lines = append(j.lines, next)
		} else {
			delete(j.byNamespace, next.namespace)
		}
	}
	return j.first
}

// writeFirst writes a commit, with retries until it is durable, has expired or the context
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
		for _, p := range first.bundles {
			j.leave(p.namespace, p.batch.Len())
		}
		j.first, j.failing = nil, false
		if first.attempts <= patience { // else the callers got an error
			first.end(true)
		}
	case first.attempts == patience:
		j.failing = true
		first.end(false)
	}
	j.wrote(err == nil, j.queued)
}

// end has the callers of all bundles continue.
func (c *commit) end(durable bool) {
	for _, p := range c.bundles {
		p.durable = durable
		close(p.done)
	}
}
