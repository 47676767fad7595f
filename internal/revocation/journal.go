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
	// maxAdvancing bounds the generations that wait, beside the entries: the refreshes of a
	// namespace leave room for its revocations.
	maxAdvancing  = 4 * MaxGenerations
	lentAdvancing = maxAdvancing * 3 / 4
)

// The bounds of both queues, by namespace.
var (
	queueBounds     = bounds{maxQueued, lentQueue, queueShare, 0, false}        //nolint:gochecknoglobals // a constant
	advancingBounds = bounds{maxAdvancing, lentAdvancing, queueShare, 0, false} //nolint:gochecknoglobals // a constant
)

// line is the bundles of a namespace that no commit has, the oldest first.
type line struct {
	namespace string
	bundles   []*bundle
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
	// waited counts the tokens and generations in lines, whose callers wait.
	waited int
	// first is the commit that is being written; nil if there is none.
	first *commit
	// held are the tokens and assertions that are not durable, and advancing the generations.
	held, advancing shares
	// failing means that the store refuses writes at the moment, so that callers do not wait.
	failing bool
	wake    chan struct{}
}

// NewJournal makes a Journal that Run writes to a store. It calls wrote after each attempt to write
// a batch, with the number of entries that are not durable yet.
func NewJournal(store Store, now func() time.Time, wrote func(durable bool, pending int), log *slog.Logger) *Journal {
	return &Journal{store: store, now: now, wrote: wrote, log: log, byNamespace: map[string]*line{}, wake: make(chan struct{}, 1)}
}

// Revoke queues the revocation of a client's token and waits until it is durable. After an error it
// may not be: the Journal keeps trying, but the caller must repeat the request.
func (j *Journal) Revoke(ctx context.Context, token Entry, of Client) error {
	joined, failing := j.join(tokensOf, token, of)
	if joined == nil || failing || !j.wait(ctx, joined) {
		return errNotDurable()
	}
	return nil
}

// Use queues an assertion that a client of a namespace used, and does not wait. If the queue has no
// room for it, it drops the assertion; this replica remembers it in its own memory.
func (j *Journal) Use(assertion Entry, namespace string) {
	j.join(assertionsOf, assertion, Client{Namespace: namespace})
}

// Advance queues a generation of a client's grant and waits until it is durable. Otherwise than a
// revocation it is dropped after an error: its client does not get the refresh token of that
// generation, and the one that it has must stay valid. Only a write that was under way then may
// have stored it.
func (j *Journal) Advance(ctx context.Context, g Generation, of Client) error {
	joined := j.joinAdvancing(g, of)
	if joined == nil {
		return errNotAdvanced()
	}
	if !j.wait(ctx, joined) {
		j.drop(joined, g)
		return errNotAdvanced()
	}
	return nil
}

// wait waits until a bundle is durable, and reports whether it is.
func (j *Journal) wait(ctx context.Context, joined *bundle) bool {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	select {
	case <-joined.done:
		return joined.durable
	case <-ctx.Done():
		return false
	}
}

func errNotDurable() error {
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: oauth2.ReasonRevocationNotDurable, RetryAfter: commitRetry,
		Description: "the revocation cannot be made durable right now; it holds here already, ask again until the answer is 200",
	}
}

func errNotAdvanced() error {
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: oauth2.ReasonGrantNotDurable, RetryAfter: commitRetry,
		Description: "the refresh token cannot be replaced right now; it stays valid, try again after Retry-After",
	}
}

func tokensOf(batch *Batch) *[]Entry     { return &batch.Tokens }
func assertionsOf(batch *Batch) *[]Entry { return &batch.Assertions }

// join adds an entry to a list of the last bundle of a namespace; joined is nil if the queue has no
// room for the namespace. failing means that the store refuses writes at the moment.
func (j *Journal) join(list func(*Batch) *[]Entry, r Entry, of Client) (joined *bundle, failing bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.held.room(of.Namespace, queueBounds) {
		return nil, j.failing
	}
	j.held.add(of.Namespace, queueBounds)
	joined = j.bundle(of.Namespace, func(batch *Batch) int { return len(*list(batch)) })
	if r.Client = 0; of != (Client{}) {
		r.Client = joined.number(of)
	}
	into := list(&joined.batch)
	if *into = append(*into, r); into == &joined.batch.Tokens {
		j.waited++
	}
	j.awake()
	return joined, j.failing
}

// joinAdvancing adds a generation to the last bundle of a namespace. It returns nil if the queue
// has no room for the namespace, or if the store refuses writes at the moment and something else
// waits, by which it will be noticed that the store accepts them again.
func (j *Journal) joinAdvancing(g Generation, of Client) *bundle {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.advancing.room(of.Namespace, advancingBounds) || j.failing && j.pending() > 0 {
		return nil
	}
	j.advancing.add(of.Namespace, advancingBounds)
	joined := j.bundle(of.Namespace, func(batch *Batch) int { return len(batch.Generations) })
	if g.Client = 0; of != (Client{}) {
		g.Client = joined.number(of)
	}
	joined.batch.Generations = append(joined.batch.Generations, g)
	j.waited++
	j.awake()
	return joined
}

// drop removes a generation from a bundle that is not durable.
func (j *Journal) drop(from *bundle, g Generation) {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := from.batch.Generations
	at := slices.IndexFunc(list, func(other Generation) bool { return other.Grant == g.Grant && other.Number == g.Number })
	if at < 0 || from.durable {
		return
	}
	// a write that is under way reads the former list
	from.batch.Generations = slices.Concat(list[:at], list[at+1:])
	j.advancing.remove(from.namespace, advancingBounds)
	if j.first != nil && slices.Contains(j.first.bundles, from) {
		j.first.gather()
		return
	}
	j.waited--
}

// dropAll removes the generations of a commit that is not durable.
func (j *Journal) dropAll(first *commit) {
	for _, p := range first.bundles {
		for range p.batch.Generations {
			j.advancing.remove(p.namespace, advancingBounds)
		}
		p.batch.Generations = nil
	}
	first.batch.Generations = nil
}

// pending is how many entries and generations are not durable.
func (j *Journal) pending() int { return j.held.all + j.advancing.all }

func (j *Journal) awake() {
	select {
	case j.wake <- struct{}{}:
	default: // it is awake
	}
}

// bundle returns the last bundle of a namespace, a new one if a list of it is full.
func (j *Journal) bundle(namespace string, size func(*Batch) int) *bundle {
	l := j.byNamespace[namespace]
	if l == nil {
		l = &line{namespace: namespace}
		j.byNamespace[namespace] = l
		j.lines = append(j.lines, l)
	}
	if n := len(l.bundles); n > 0 && size(&l.bundles[n-1].batch) < bundleEntries {
		return l.bundles[n-1]
	}
	added := &bundle{namespace: namespace, done: make(chan struct{})}
	l.bundles = append(l.bundles, added)
	return added
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
	case len(j.lines) == 0 && j.first == nil:
		return 0
	case j.waited == 0 && j.held.all <= MaxBatch:
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
		j.waited -= len(next.bundles[0].batch.Tokens) + len(next.bundles[0].batch.Generations)
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

// write tries once. An expired batch needs no write, and so does one whose generations were
// dropped.
func (j *Journal) write(ctx context.Context, first *commit) error {
	j.mu.Lock()
	batch := first.batch
	j.mu.Unlock()
	if !j.now().Before(batch.ExpiresAt()) {
		return nil
	}
	// An attempt that may have succeeded is not cancelled with the server.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	return j.store.WriteRevocations(ctx, first.name, batch)
}

// settle records the result of an attempt.
func (j *Journal) settle(first *commit, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first.attempts++
	switch {
	case err == nil:
		// a batch without entries proves nothing about the store
		j.failing = j.failing && first.batch.Len() == 0
		for _, p := range first.bundles {
			j.leave(p)
		}
		j.first = nil
		if first.attempts <= patience { // else the callers got an error
			first.end(true)
		}
	case first.attempts == patience:
		j.failing = true
		j.dropAll(first)
		first.end(false)
	}
	j.wrote(err == nil, j.pending())
}

// leave stops counting what a bundle has.
func (j *Journal) leave(p *bundle) {
	for range len(p.batch.Tokens) + len(p.batch.Assertions) {
		j.held.remove(p.namespace, queueBounds)
	}
	for range p.batch.Generations {
		j.advancing.remove(p.namespace, advancingBounds)
	}
}
