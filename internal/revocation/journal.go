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

// Store is where revocations are kept for good, and where every replica learns of them.
type Store interface {
	// WriteRevocations keeps a batch under a name. A name that is there already holds this very batch, and nothing changes. No
	// error means that the batch is durable; an error, that it may be or not.
	WriteRevocations(ctx context.Context, name string, batch Batch) error
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
	// maxCommits bounds the batches that wait for the store: 65,536 revocations in a bit more than 1 MiB.
	maxCommits = 8
)

// commit is one batch on its way. Its name is its own for ever, so that trying again cannot keep it twice.
type commit struct {
	name  string
	batch Batch
	// told is closed when it is durable, or was tried in vain so often that nobody should wait for it.
	told     chan struct{}
	durable  bool
	attempts int
}

// Journal is the group commit of revocations: what comes in together is written together, in the order in which it came. What
// could not be written is tried again until it could, or has expired.
type Journal struct {
	store Store
	now   func() time.Time
	wrote func(durable bool, pending int)
	log   *slog.Logger

	mu sync.Mutex
	// waiting are the commits that are not durable yet, the oldest first; only the last one takes more, and only if it is not being
	// written. sealed is how many do not.
	waiting []*commit
	sealed  int
	// failing says that the store takes nothing at the moment, and nobody should wait for it.
	failing bool
	wake    chan struct{}
}

// NewJournal makes a Journal that Run writes to a store. wrote is called after each attempt to write a batch, with the number of
// revocations that are not durable yet.
func NewJournal(store Store, now func() time.Time, wrote func(durable bool, pending int), log *slog.Logger) *Journal {
	return &Journal{store: store, now: now, wrote: wrote, log: log, wake: make(chan struct{}, 1)}
}

// Revoke has a revocation written and waits until it is durable. An error means that it is not known to be: it is still tried, but the
// caller must ask again.
func (j *Journal) Revoke(ctx context.Context, token Entry) error {
	joined, failing := j.join(func(batch *Batch) *[]Entry { return &batch.Tokens }, token)
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

// Use has a used assertion written, and does not wait. One for which there is no room is left out: this replica remembers it anyway.
func (j *Journal) Use(assertion Entry) {
	j.join(func(batch *Batch) *[]Entry { return &batch.Assertions }, assertion)
}

func errNotDurable() error {
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: oauth2.ReasonRevocationNotDurable, RetryAfter: commitRetry,
		Description: "the revocation cannot be made durable right now; it holds here already, ask again until the answer is 200",
	}
}

// join puts a revocation into one of the lists of the last commit; without room there is nil. failing says that its write will take
// a while.
func (j *Journal) join(list func(*Batch) *[]Entry, r Entry) (joined *commit, failing bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) > j.sealed {
		joined = j.waiting[len(j.waiting)-1]
		if len(*list(&joined.batch)) == MaxBatch {
			j.sealed++
			joined = nil
		}
	}
	if joined == nil {
		if len(j.waiting) == maxCommits {
			return nil, j.failing
		}
		joined = &commit{name: "batch-" + strings.ToLower(rand.Text()), told: make(chan struct{})}
		j.waiting = append(j.waiting, joined)
	}
	into := list(&joined.batch)
	*into = append(*into, r)
	select {
	case j.wake <- struct{}{}:
	default: // it is awake
	}
	return joined, j.failing
}

// Run writes until the context ends, and then what is left, if the store takes it in time.
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

// gather waits until there is something to write and the time for it has come.
func (j *Journal) gather(ctx context.Context, last time.Time) bool {
	timer := time.NewTimer(time.Until(last.Add(j.interval())))
	defer timer.Stop()
	if j.interval() == 0 {
		select {
		case <-ctx.Done():
		case <-j.wake:
		}
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-j.wake: // what came may be in more of a hurry
		return false
	}
}

// interval is how long after the last write the next one is due; zero if there is nothing to write.
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

// seal takes the oldest commit to be written: from now on its batch does not change. There may be none.
func (j *Journal) seal() *commit {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) == 0 {
		return nil
	}
	j.sealed = max(j.sealed, 1)
	return j.waiting[0]
}

// writeFirst writes the oldest commit, again and again until it is durable, has expired or the context ends.
func (j *Journal) writeFirst(ctx context.Context) {
	first := j.seal()
	for backoff := firstBackoff; first != nil; backoff = min(2*backoff, lastBackoff) {
		err := j.write(ctx, first)
		j.settle(first, err)
		if err == nil {
			return
		}
		j.log.WarnContext(ctx, "cannot write revocations; they hold at this replica and are tried again", "batch", first.name, "error", err)
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
func (j *Journal) write(ctx context.Context, first *commit) error {
	if !j.now().Before(first.batch.ExpiresAt()) {
		return nil
	}
	// A caller's time and the server's end are no reason to give up an attempt that may have succeeded.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	return j.store.WriteRevocations(ctx, first.name, first.batch)
}

// settle notes how an attempt went.
func (j *Journal) settle(first *commit, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first.attempts++
	switch {
	case err == nil:
		j.waiting = j.waiting[1:]
		j.sealed--
		j.failing = false
		if first.attempts <= patience { // later than that whoever waited was told no
			first.durable = true
			close(first.told)
		}
	case first.attempts == patience:
		j.failing = true
		close(first.told)
	}
	pending := 0
	for _, waiting := range j.waiting {
		pending += waiting.batch.Len()
	}
	j.wrote(err == nil, pending)
}
