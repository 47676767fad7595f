// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// Journal is where revocations are kept for good, and where every replica learns of them.
type Journal interface {
	// WriteRevocations keeps a batch under a name. A name that is there already holds this very batch, and nothing changes. No
	// error means that the batch is durable; an error, that it may be or not.
	WriteRevocations(ctx context.Context, name string, batch revocation.Batch) error
}

// How revocations are gathered. Those that come while the last write is younger than its interval share the next one, so that a
// replica writes ten times a second at the most, and a revocation waits half of that on average.
const (
	revocationInterval = 100 * time.Millisecond
	// assertionInterval is how long used assertions wait for others if no token is revoked meanwhile: nobody waits for them.
	assertionInterval = time.Second
	// commitTimeout is how long a caller waits for the write; commitRetry is what it is told to wait if it was in vain.
	commitTimeout = 5 * time.Second
	commitRetry   = 5 * time.Second
	writeTimeout  = 3 * time.Second
	firstBackoff  = 100 * time.Millisecond
	// patience is how many attempts a caller waits for: an error that a moment mends it does not see.
	patience    = 3
	lastBackoff = 2 * time.Second
	// flushTimeout is how long a server that stops goes on writing what it could not write so far.
	flushTimeout = 5 * time.Second
	// maxCommits bounds the batches that wait for the journal: 65,536 revocations in a bit more than 1 MiB.
	maxCommits = 8
)

// commit is one batch on its way. Its name is its own for ever, so that trying again cannot keep it twice.
type commit struct {
	name  string
	batch revocation.Batch
	// told is closed when it is durable, or was tried in vain so often that nobody should wait for it.
	told     chan struct{}
	durable  bool
	attempts int
}

// commits is the group commit of revocations: what comes in together is written together, in the order in which it came. What
// could not be written is tried again until it could, or has expired.
type commits struct {
	journal Journal
	metrics *Metrics
	log     *slog.Logger
	now     func() time.Time

	mu sync.Mutex
	// waiting are the commits that are not durable yet, the oldest first; only the last one takes more, and only if it is not being
	// written. sealed is how many do not.
	waiting []*commit
	sealed  int
	// failing says that the journal takes nothing at the moment, and nobody should wait for it.
	failing bool
	wake    chan struct{}
}

func newCommits(config Config) *commits {
	return &commits{
		journal: config.Journal, metrics: config.Metrics, log: config.Log, now: config.Now, wake: make(chan struct{}, 1),
	}
}

// revoke has a revocation written and waits until it is durable. An error means that it is not known to be: it is still tried, but the
// caller must ask again.
func (c *commits) revoke(ctx context.Context, token revocation.Entry) error {
	joined, failing := c.join(func(batch *revocation.Batch) *[]revocation.Entry { return &batch.Tokens }, token)
	if joined == nil || failing {
		return errNotDurable()
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	select {
	case <-joined.told:
		if joined.durable {
			return nil
		}
	case <-ctx.Done():
	}
	return errNotDurable()
}

// use has a used assertion written, and does not wait. One for which there is no room is left out: this replica remembers it anyway.
func (c *commits) use(assertion revocation.Entry) {
	c.join(func(batch *revocation.Batch) *[]revocation.Entry { return &batch.Assertions }, assertion)
}

func errNotDurable() error {
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: oauth2.ReasonRevocationNotDurable, RetryAfter: commitRetry,
		Description: "the revocation cannot be made durable right now; it holds here already, ask again until the answer is 200",
	}
}

// join puts a revocation into one of the lists of the last commit; without room there is nil. failing says that its write will take
// a while.
func (c *commits) join(list func(*revocation.Batch) *[]revocation.Entry, r revocation.Entry) (joined *commit, failing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) > c.sealed {
		joined = c.waiting[len(c.waiting)-1]
		if len(*list(&joined.batch)) == revocation.MaxBatch {
			c.sealed++
			joined = nil
		}
	}
	if joined == nil {
		if len(c.waiting) == maxCommits {
			return nil, c.failing
		}
		joined = &commit{name: "batch-" + strings.ToLower(rand.Text()), told: make(chan struct{})}
		c.waiting = append(c.waiting, joined)
	}
	into := list(&joined.batch)
	*into = append(*into, r)
	select {
	case c.wake <- struct{}{}:
	default: // it is awake
	}
	return joined, c.failing
}

// run writes until the context ends, and then what is left, if the journal takes it in time.
func (c *commits) run(ctx context.Context) {
	var last time.Time
	for ctx.Err() == nil {
		if !c.gather(ctx, last) {
			continue
		}
		last = time.Now()
		c.writeFirst(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	for ctx.Err() == nil && c.seal() != nil {
		c.writeFirst(ctx)
	}
}

// gather waits until there is something to write and the time for it has come.
func (c *commits) gather(ctx context.Context, last time.Time) bool {
	timer := time.NewTimer(time.Until(last.Add(c.interval())))
	defer timer.Stop()
	if c.interval() == 0 {
		select {
		case <-ctx.Done():
		case <-c.wake:
		}
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-c.wake: // what came may be in more of a hurry
		return false
	}
}

// interval is how long after the last write the next one is due; zero if there is nothing to write.
func (c *commits) interval() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.waiting) == 0:
		return 0
	case len(c.waiting) == 1 && len(c.waiting[0].batch.Tokens) == 0:
		return assertionInterval
	}
	return revocationInterval
}

// seal takes the oldest commit to be written: from now on its batch does not change. There may be none.
func (c *commits) seal() *commit {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		return nil
	}
	c.sealed = max(c.sealed, 1)
	return c.waiting[0]
}

// writeFirst writes the oldest commit, again and again until it is durable, has expired or the context ends.
func (c *commits) writeFirst(ctx context.Context) {
	first := c.seal()
	for backoff := firstBackoff; first != nil; backoff = min(2*backoff, lastBackoff) {
		err := c.write(ctx, first)
		c.settle(first, err)
		if err == nil {
			return
		}
		c.log.WarnContext(ctx, "cannot write revocations; they hold at this replica and are tried again", "batch", first.name, "error", err)
		timer := time.NewTimer(backoff)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// write tries once. What has expired needs no writing.
func (c *commits) write(ctx context.Context, first *commit) error {
	if !c.now().Before(first.batch.ExpiresAt()) {
		return nil
	}
	// A caller's time and the server's end are no reason to give up an attempt that may have succeeded.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	return c.journal.WriteRevocations(ctx, first.name, first.batch)
}

// settle notes how an attempt went.
func (c *commits) settle(first *commit, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first.attempts++
	switch {
	case err == nil:
		c.waiting = c.waiting[1:]
		c.sealed--
		c.failing = false
		if first.attempts <= patience { // later than that whoever waited was told no
			first.durable = true
			close(first.told)
		}
	case first.attempts == patience:
		c.failing = true
		close(first.told)
	}
	pending := 0
	for _, waiting := range c.waiting {
		pending += waiting.batch.Len()
	}
	c.metrics.wrote(err == nil, pending)
}
