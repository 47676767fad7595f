// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

var errAway = errors.New("the API server is away")

// memoryStore stores batches by their names, as the API server does, and fails as a test specifies.
type memoryStore struct {
	mu      sync.Mutex
	batches map[string]Batch
	writes  []time.Time
	// fail is the error of a write, by its number: before it is stored, or after it.
	fail func(write int) (before, after error)
}

func (s *memoryStore) WriteRevocations(_ context.Context, name string, batch Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, time.Now())
	var before, after error
	if s.fail != nil {
		before, after = s.fail(len(s.writes))
	}
	if before != nil {
		return before
	}
	if stored, there := s.batches[name]; there && (!slices.Equal(stored.Tokens, batch.Tokens) || !slices.Equal(stored.Assertions, batch.Assertions)) {
		return errors.New("one name, two batches")
	}
	s.batches[name] = Batch{Tokens: slices.Clone(batch.Tokens), Assertions: slices.Clone(batch.Assertions), Clients: slices.Clone(batch.Clients), Generations: slices.Clone(batch.Generations)}
	return after
}

// stored are all entries that are in the store.
func (s *memoryStore) stored() (all Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, batch := range s.batches {
		all.Tokens, all.Assertions = append(all.Tokens, batch.Tokens...), append(all.Assertions, batch.Assertions...)
		all.Generations = append(all.Generations, batch.Generations...)
		// numbers are those of one batch
		all.Clients = append(all.Clients, batch.Clients...)
	}
	return all
}

// attempts are the arguments of the calls of wrote.
type attempts struct {
	mu   sync.Mutex
	list []string
}

func (a *attempts) wrote(durable bool, pending int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, fmt.Sprintf("durable %t, pending %d", durable, pending))
}

func newJournal(store *memoryStore, now func() time.Time) (*Journal, *attempts) {
	store.batches = map[string]Batch{}
	var made attempts
	return NewJournal(store, now, made.wrote, slog.New(slog.DiscardHandler)), &made
}

// inBubble runs a test of a Journal that is running, by a clock that stands still while anything
// works.
func inBubble(t *testing.T, store *memoryStore, test func(t *testing.T, j *Journal, made *attempts)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		j, made := newJournal(store, time.Now)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { j.Run(ctx) })
		test(t, j, made)
		stop()
		running.Wait()
	})
}

// entry is a revocation that matters for another hour.
func entry(n byte) Entry { return NewEntry(ID{n}, time.Now().Add(time.Hour)) }

func TestARevocationIsStoredBeforeItsCallerContinues(t *testing.T) {
	var store memoryStore
	inBubble(t, &store, func(t *testing.T, j *Journal, made *attempts) {
		if err := j.Revoke(t.Context(), entry(1), Client{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := store.stored(); !slices.Equal(got.Tokens, []Entry{entry(1)}) || len(got.Assertions) != 0 {
			t.Errorf("stored %v", got)
		}
		if want := []string{"durable true, pending 0"}; !slices.Equal(made.list, want) {
			t.Errorf("attempts %v, want %v", made.list, want)
		}
	})
}

func TestRevocationsOfOneIntervalShareAWrite(t *testing.T) {
	var store memoryStore
	inBubble(t, &store, func(t *testing.T, j *Journal, _ *attempts) {
		if err := j.Revoke(t.Context(), entry(0), Client{}); err != nil {
			t.Fatal(err)
		}
		first := time.Now()
		var revoking sync.WaitGroup
		for n := range byte(40) {
			revoking.Go(func() {
				if err := j.Revoke(t.Context(), entry(n+1), Client{}); err != nil {
					t.Error(err)
				}
			})
		}
		revoking.Wait()
		synctest.Wait()
		if len(store.writes) != 2 || len(store.stored().Tokens) != 41 {
			t.Errorf("%d revocations took %d writes, want 41 and 2", len(store.stored().Tokens), len(store.writes))
		}
		if waited := store.writes[1].Sub(first); waited != revocationInterval {
			t.Errorf("the second write came %s after the first, want %s", waited, revocationInterval)
		}
	})
}

func TestAUsedAssertionWaitsForOthersUnlessATokenIsRevoked(t *testing.T) {
	for name, row := range map[string]struct {
		revoke bool
		want   time.Duration
	}{
		"assertions alone":   {false, assertionInterval},
		"a token is revoked": {true, revocationInterval},
	} {
		t.Run(name, func(t *testing.T) {
			var store memoryStore
			inBubble(t, &store, func(t *testing.T, j *Journal, _ *attempts) {
				if err := j.Revoke(t.Context(), entry(1), Client{}); err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				j.Use(entry(2), "shop")
				if row.revoke {
					if err := j.Revoke(t.Context(), entry(3), Client{}); err != nil {
						t.Fatal(err)
					}
				}
				<-time.After(2 * assertionInterval)
				synctest.Wait()
				if got := store.writes[1].Sub(begin); got != row.want {
					t.Errorf("it was written after %s, want %s", got, row.want)
				}
				used := NewEntry(ID{2}, begin.Add(time.Hour))
				used.Client = 1
				if got := store.stored(); !slices.Equal(got.Assertions, []Entry{used}) || !slices.Equal(got.Clients, []Client{{Namespace: "shop"}}) {
					t.Errorf("stored %v", got)
				}
			})
		})
	}
}

func TestAnErrorThatAMomentMendsIsNotSeen(t *testing.T) {
	for name, fail := range map[string]func(write int) (before, after error){
		"the store is away twice": func(write int) (before, after error) {
			if write < patience {
				return errAway, nil
			}
			return nil, nil
		},
		"the answer of the store is lost twice": func(write int) (before, after error) {
			if write < patience {
				return nil, errAway
			}
			return nil, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := memoryStore{fail: fail}
			inBubble(t, &store, func(t *testing.T, j *Journal, made *attempts) {
				if err := j.Revoke(t.Context(), entry(1), Client{}); err != nil {
					t.Errorf("told %v", err)
				}
				synctest.Wait()
				if len(store.batches) != 1 || len(store.writes) != patience {
					t.Errorf("%d batches after %d writes, want 1 and %d", len(store.batches), len(store.writes), patience)
				}
				if want := []string{"durable false, pending 1", "durable false, pending 1", "durable true, pending 0"}; !slices.Equal(made.list, want) {
					t.Errorf("attempts %v, want %v", made.list, want)
				}
			})
		})
	}
}

func TestAStoreThatIsAwayMakesNoPromiseAndIsTriedAgain(t *testing.T) {
	var back bool
	store := memoryStore{fail: func(int) (before, after error) {
		if back {
			return nil, nil
		}
		return errAway, nil
	}}
	inBubble(t, &store, func(t *testing.T, j *Journal, _ *attempts) {
		begin := time.Now()
		err := j.Revoke(t.Context(), entry(1), Client{})
		if oauth2.ReasonOf(err) != oauth2.ReasonRevocationNotDurable {
			t.Fatalf("got %v", err)
		}
		if refusal, ok := errors.AsType[*oauth2.Error](err); !ok || refusal.RetryAfter != commitRetry {
			t.Errorf("got %+v, want it to say when to ask again", err)
		}
		if waited := time.Since(begin); waited != firstBackoff+2*firstBackoff {
			t.Errorf("the caller waited %s, want the time of %d attempts", waited, patience)
		}
		begin = time.Now()
		if err := j.Revoke(t.Context(), entry(2), Client{}); oauth2.ReasonOf(err) != oauth2.ReasonRevocationNotDurable || !time.Now().Equal(begin) {
			t.Errorf("while the store fails: %v after %s, want the refusal at once", err, time.Since(begin))
		}
		store.mu.Lock()
		back = true
		store.mu.Unlock()
		<-time.After(lastBackoff + revocationInterval)
		if got := store.stored().Tokens; len(got) != 2 {
			t.Errorf("stored %v, want both without asking again", got)
		}
		if err := j.Revoke(t.Context(), entry(3), Client{}); err != nil {
			t.Errorf("the store is back: %v", err)
		}
	})
}

func TestACallerThatLeavesIsToldThatNothingIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := newJournal(&memoryStore{}, time.Now) // no process writes
		begin := time.Now()
		if err := j.Revoke(t.Context(), entry(1), Client{}); oauth2.ReasonOf(err) != oauth2.ReasonRevocationNotDurable || time.Since(begin) != commitTimeout {
			t.Errorf("got %v after %s, want no more than %s", err, time.Since(begin), commitTimeout)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		begin = time.Now()
		if err := j.Revoke(gone, entry(2), Client{}); oauth2.ReasonOf(err) != oauth2.ReasonRevocationNotDurable || !time.Now().Equal(begin) {
			t.Errorf("a caller that is gone: %v after %s", err, time.Since(begin))
		}
	})
}

func TestAFullQueueMakesNoPromise(t *testing.T) {
	var store memoryStore
	j, _ := newJournal(&store, func() time.Time { return noon })
	queued := 0
	queue := func(namespace string, count int) (joined int) {
		for range count {
			token := NewEntry(IDOf(fmt.Sprint(queued)), noon.Add(time.Hour))
			if in, _ := j.join(func(b *Batch) *[]Entry { return &b.Tokens }, token, Client{namespace + ".app", namespace}); in == nil {
				break
			}
			queued, joined = queued+1, joined+1
		}
		return joined
	}
	if joined := queue("flood", maxQueued); joined != lentQueue+queueShare {
		t.Fatalf("one namespace has %d of the queue", joined)
	}
	for n := range (maxQueued - queued) / queueShare {
		if joined := queue(fmt.Sprint("tenant", n), queueShare+1); joined != queueShare {
			t.Fatalf("tenant %d has %d beside the flood, want its share and no more", n, joined)
		}
	}
	if joined := queue("last", 1); joined != 0 || queued != maxQueued {
		t.Errorf("%d are queued, and more", queued)
	}
	if err := j.Revoke(t.Context(), NewEntry(IDOf("one more"), noon.Add(time.Hour)), shopApp); oauth2.ReasonOf(err) != oauth2.ReasonRevocationNotDurable {
		t.Errorf("got %v", err)
	}
	j.Use(NewEntry(ID{1}, noon.Add(time.Minute)), "shop") // is left out without an error
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j.Run(ctx)
	if tokens := store.stored().Tokens; len(tokens) != maxQueued || len(store.writes) != maxQueued/MaxBatch {
		t.Errorf("the end of the server wrote %d in %d batches", len(tokens), len(store.writes))
	}
	if j.pending() != 0 || j.held.borrowed != 0 || len(j.held.namespaces) != 0 || j.waited != 0 || len(j.lines)+len(j.byNamespace) != 0 {
		t.Errorf("an empty queue has %d entries, %d borrowed, of %d namespaces", j.pending(), j.held.borrowed, len(j.held.namespaces))
	}
	if joined := queue("flood", maxQueued); joined != lentQueue+queueShare {
		t.Errorf("then there is room for %d", joined)
	}
}

// TestTheRevocationsOfOneNamespaceDelayThoseOfNoOther: a namespace has queued as many as it may,
// and the store takes a second for each batch. A revocation in another namespace is in the next
// batch.
func TestTheRevocationsOfOneNamespaceDelayThoseOfNoOther(t *testing.T) {
	const slow = time.Second
	store := memoryStore{fail: func(int) (before, after error) {
		time.Sleep(slow) //nolint:forbidigo // of the bubble
		return nil, nil
	}}
	inBubble(t, &store, func(t *testing.T, j *Journal, _ *attempts) {
		for n := range lentQueue + queueShare {
			token := NewEntry(IDOf(fmt.Sprint(n)), time.Now().Add(time.Hour))
			if joined, _ := j.join(func(b *Batch) *[]Entry { return &b.Tokens }, token, Client{fmt.Sprint("flood.", n%50), "flood"}); joined == nil {
				t.Fatalf("the queue has no room for entry %d", n)
			}
		}
		for round := range 3 {
			begin := time.Now()
			if err := j.Revoke(t.Context(), entry(byte(round)), shopApp); err != nil {
				t.Errorf("round %d: %v", round, err)
			}
			if waited := time.Since(begin); waited > 2*slow+revocationInterval {
				t.Errorf("round %d waited %s, want the write that was under way and one more", round, waited)
			}
		}
		for j.count() > 0 {
			time.Sleep(slow) //nolint:forbidigo // of the bubble
		}
		if n := len(store.stored().Tokens); n != lentQueue+queueShare+3 {
			t.Errorf("%d tokens are stored", n)
		}
	})
}

// count is how many entries are not durable.
func (j *Journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.held.all
}

func TestNamespacesTakeTurnsInABatch(t *testing.T) {
	j, _ := newJournal(&memoryStore{}, func() time.Time { return noon })
	queue := func(namespace string, entries int) {
		for n := range entries {
			of := Client{fmt.Sprint(namespace, ".", n%3), namespace}
			if joined, _ := j.join(func(b *Batch) *[]Entry { return &b.Tokens }, revokedToken(n, noon), of); joined == nil {
				t.Fatal("the queue is full")
			}
		}
	}
	queue("flood", 2*MaxBatch)
	queue("one", 1)
	queue("two", 200)
	first := j.seal()
	of := map[string]int{}
	for _, token := range first.batch.Tokens {
		of[first.batch.clientOf(token).Namespace]++
	}
	want := map[string]int{"one": 1, "two": 200, "flood": (MaxBatch - 201) / bundleEntries * bundleEntries}
	if diff := cmp.Diff(want, of); diff != "" {
		t.Errorf("the tokens of the first batch (-want +got):\n%s", diff)
	}
	if again := j.seal(); again != first {
		t.Error("a batch that is not written yet is followed by another one")
	}
	j.settle(first, nil)
	if second := j.seal(); len(second.batch.Tokens) != MaxBatch || j.held.all != 2*MaxBatch-want["flood"] {
		t.Errorf("%d tokens in the second batch, %d are queued", len(second.batch.Tokens), j.held.all)
	}
}

func TestWhatHasExpiredIsNotWritten(t *testing.T) {
	now := noon
	var store memoryStore
	j, _ := newJournal(&store, func() time.Time { return now })
	j.Use(NewEntry(ID{1}, now.Add(time.Hour)), "shop")
	now = now.Add(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j.Run(ctx)
	if len(store.writes) != 0 || j.held.all != 0 || j.first != nil {
		t.Errorf("%d writes, %d entries wait", len(store.writes), j.held.all)
	}
}

func TestAJournalThatStopsGivesUpOnAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memoryStore{fail: func(int) (before, after error) { return errAway, nil }}
		j, _ := newJournal(&store, time.Now)
		j.Use(entry(1), "shop")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begin := time.Now()
		j.Run(ctx)
		if ended := time.Since(begin); ended != flushTimeout || len(store.writes) < patience {
			t.Errorf("it ended after %s and %d writes, want %s", ended, len(store.writes), flushTimeout)
		}
	})
}
