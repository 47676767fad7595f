// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// atOnce counts the answers of requests that are made at once, by status.
type atOnce struct {
	t       *testing.T
	world   *world
	running sync.WaitGroup

	mu       sync.Mutex
	answered map[string]map[int]int // by client_id
}

func (a *atOnce) ask(id string, c call) {
	a.running.Go(func() {
		code := a.world.do(c).Code
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.answered[id] == nil {
			a.answered[id] = map[int]int{}
		}
		a.answered[id][code]++
	})
}

// has fails the test unless a client has these answers by now, and the others of its requests wait.
func (a *atOnce) has(step, id string, want map[int]int) {
	a.t.Helper()
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !maps.Equal(a.answered[id], want) {
		a.t.Errorf("%s: %s has %v, want %v", step, id, a.answered[id], want)
	}
}

// slowStore stores nothing before it is released.
type slowStore struct {
	revocation.Store

	released chan struct{}
}

func (s slowStore) WriteRevocations(ctx context.Context, name string, batch revocation.Batch) error {
	<-s.released
	return s.Store.WriteRevocations(ctx, name, batch)
}

// While revocations wait for a slow API server, one namespace occupies what is lent and its share,
// and every other one has its share.
func TestAWaitingNamespaceLeavesOthersTheirRevocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := slowStore{&journal{batches: map[string]revocation.Batch{}}, make(chan struct{})}
		w := newWorld(t, func(c *settings) { c.store, c.ClientRate = store, 10_000 })
		const flood, others = lentRevoking + revokingShare, 3
		asked := &atOnce{t: t, world: w, answered: map[string]map[int]int{}}
		revoke := func(id string, count int) {
			tokens := make([]string, count)
			for i := range tokens {
				tokens[i] = w.token(id)
			}
			for _, token := range tokens {
				asked.ask(id, call{path: oauth2.RevocationPath, basic: id, body: "token=" + token})
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		var writing sync.WaitGroup
		writing.Go(func() { w.journal.Run(ctx) })

		revoke(reporting, flood/2)
		revoke(billing, flood/2)
		asked.has("as many as there is room for", reporting, nil)
		asked.has("of the same namespace", billing, nil)
		revoke(reporting, others)
		asked.has("then its own are refused", reporting, map[int]int{http.StatusServiceUnavailable: others})
		revoke(stranger, revokingShare)
		asked.has("another namespace has its share", stranger, nil)
		revoke(stranger, others)
		asked.has("and what is lent is occupied", stranger, map[int]int{http.StatusServiceUnavailable: others})
		close(store.released)
		asked.running.Wait()
		asked.has("at last", reporting, map[int]int{http.StatusOK: flood / 2, http.StatusServiceUnavailable: others})
		asked.has("at last", billing, map[int]int{http.StatusOK: flood / 2})
		asked.has("at last", stranger, map[int]int{http.StatusOK: revokingShare, http.StatusServiceUnavailable: others})
		revoke(reporting, others)
		asked.running.Wait()
		asked.has("there is room again", reporting, map[int]int{http.StatusOK: flood/2 + others, http.StatusServiceUnavailable: others})
		stop()
		writing.Wait()
	})
}

// slowDirectory has no epochs before it is released, so that a page takes long to render.
type slowDirectory struct {
	auth.Directory

	released chan struct{}
}

func (d slowDirectory) ClientEpochs() iter.Seq[revocation.Selector] {
	<-d.released
	return d.Directory.ClientEpochs()
}

func TestPagesOfTheFeedThatAreRenderedLeaveOthersTheirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		released := make(chan struct{})
		w := newWorld(t, func(c *settings) { c.auth.Directory = slowDirectory{c.auth.Directory, released} })
		asked := &atOnce{t: t, world: w, answered: map[string]map[int]int{}}
		read := func(id string, count int) {
			for range count {
				asked.ask(id, call{method: http.MethodGet, path: oauth2.RevocationFeedPath, basic: id})
			}
		}
		const flood = lentFeeding + 1 // and a share of one page
		read(reporting, flood)
		asked.has("as many as there is room for", reporting, nil)
		read(billing, 2)
		asked.has("then its namespace is refused", billing, map[int]int{http.StatusServiceUnavailable: 2})
		ids := []string{stranger}
		for n := range maxFeeding - flood {
			ids = append(ids, fmt.Sprintf("tenant-%d.app", n))
			w.register(ids[n+1])
		}
		last := ids[len(ids)-1]
		for _, id := range slices.Sorted(slices.Values(ids)) {
			if id == last {
				continue
			}
			read(id, 1)
			asked.has("another namespace has its share", id, nil)
			read(id, 1)
			asked.has("and no more", id, map[int]int{http.StatusServiceUnavailable: 1})
		}
		read(last, 1)
		asked.has("all places are taken", last, map[int]int{http.StatusServiceUnavailable: 1})
		close(released)
		asked.running.Wait()
		asked.has("at last", reporting, map[int]int{http.StatusOK: flood})
		asked.has("at last", stranger, map[int]int{http.StatusOK: 1, http.StatusServiceUnavailable: 1})
		read(last, 1)
		asked.running.Wait()
		asked.has("there is room again", last, map[int]int{http.StatusOK: 1, http.StatusServiceUnavailable: 1})
	})
}

// A client whose revocations cannot be collapsed is refused, and only it.
func TestAClientThatHoldsTooManyRevocationsIsRefused(t *testing.T) {
	w, kept := newRevokingWorld(t)
	token, other := w.token(reporting), w.token(stranger)
	for n := range 20_000 {
		entry := revocation.NewEntry(revocation.IDOf(fmt.Sprint(n)), w.now.Add(3600e9))
		entry.IssuedAt = uint32(w.now.Unix()) //nolint:gosec // a date of our time
		w.dir.revoked.Revoke(entry, revocation.Client{ID: reporting, Namespace: "shop"}, w.now)
	}
	if answer := w.revoke(reporting, token); answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %s", answer.Code, answer.Body)
	}
	if !w.active(reporting, token) {
		t.Error("a revocation that was refused holds all the same")
	}
	if answer := w.revoke(stranger, other); answer.Code != http.StatusOK {
		t.Errorf("another client got %d %s", answer.Code, answer.Body)
	}
	if tokens, _ := kept.kept(); len(tokens) != 1 {
		t.Errorf("%d revocations are written", len(tokens))
	}
}
