// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

var (
	shopApp   = Client{"shop.app", "shop"}
	ordersApp = Client{"orders.app", "orders"}
)

// revokedToken is the entry of the n-th token of a test, which was issued at an instant for an
// hour.
func revokedToken(n int, issued time.Time) Entry {
	r := numbered(n, issued.Add(time.Hour))
	r.IssuedAt = seconds(issued)
	binary.BigEndian.PutUint32(r.ID[1:], uint32(n)) //nolint:gosec // numbers are small
	return r
}

func claimsOf(r Entry, of Client) oauth2.Claims {
	return oauth2.Claims{ID: r.ID.String(), ClientID: of.ID, IssuedAt: time.Unix(int64(r.IssuedAt), 0), ExpiresAt: r.ExpiresAt()}
}

// fill revokes so many tokens of a client, one issued each millisecond.
func (r *State) fill(first, count int, of Client, from time.Time) {
	for n := range count {
		r.Revoke(revokedToken(first+n, from.Add(time.Duration(n)*time.Millisecond)), of, noon)
	}
}

// hasRoom reports whether there is room for one more token that may be collapsed.
func (r *State) hasRoom(of Client) bool { return r.Room(Entry{IssuedAt: 1}, of) == nil }

func TestTheInstantIsThatOfTheNewestOfTheOlderHalf(t *testing.T) {
	at := func(seconds ...uint32) []uint32 { return seconds }
	for name, c := range map[string]struct {
		issued []uint32
		want   int64
	}{
		"an even number":                       {at(4, 1, 3, 2), 2},
		"an odd number":                        {at(5, 4, 3, 2, 1), 2},
		"some of the same second":              {at(1, 2, 3, 3, 3, 4, 5, 6), 3},
		"nearly the whole half in this second": {at(1, 3, 3, 3, 3, 4, 5, 6), 4},
		"all in one second":                    {at(7, 7, 7, 7), 8},
		"two":                                  {at(1, 2), 2},
	} {
		if got := olderHalf(c.issued).Unix(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestPastItsBoundTheOlderHalfOfAClientBecomesOneSelector(t *testing.T) {
	var r State
	r.fill(0, maxOfClient, shopApp, noon)
	r.fill(50_000, 100, ordersApp, noon)
	if got := r.excess(); got != nil {
		t.Fatalf("within the bound: %v", got)
	}
	// Others wrote one more.
	late := revokedToken(maxOfClient, noon.Add(maxOfClient*time.Millisecond))
	late.Client = 1
	r.Learn(Batch{Tokens: []Entry{late}, Clients: []Client{shopApp}}, noon)
	instant := time.Unix(noon.Unix()+4, 0).UTC() // the 5,000th was issued 4.999 s after noon
	want := []Selector{{ClientID: shopApp.ID, IssuedBefore: instant, Collapses: true}}
	got := r.excess()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("past the bound (-want +got):\n%s", diff)
	}
	r.Sweep(noon)
	if tokens, _ := r.Len(); tokens != maxOfClient+1+100 {
		t.Errorf("%d tokens before the selector has come back: one is lost", tokens)
	}
	r.Select(got[0].Name(), got[0])
	r.Sweep(noon)
	if tokens, _ := r.Len(); tokens != maxOfClient+1+100-4_000 {
		t.Errorf("%d tokens are left", tokens)
	}
	for n := range maxOfClient + 1 {
		if token := revokedToken(n, noon.Add(time.Duration(n)*time.Millisecond)); !r.Revoked(claimsOf(token, shopApp), "shop", noon) {
			t.Fatalf("token %d is good again", n)
		}
	}
	if token := revokedToken(90_000, instant); r.Revoked(claimsOf(token, shopApp), "shop", noon) {
		t.Error("a younger token that nobody revoked is refused")
	}
	if r.excess() != nil {
		t.Error("another selector is written")
	}
}

func TestOnlyASelectorOfATokenServerRemovesEntries(t *testing.T) {
	whole := Selector{ClientID: shopApp.ID, IssuedBefore: noon.Add(time.Minute)}
	for name, c := range map[string]struct {
		selector Selector
		entry    func(*Entry)
		left     int
	}{
		"of a token server": {Selector{ClientID: shopApp.ID, IssuedBefore: whole.IssuedBefore, Collapses: true}, nil, 0},
		"of a token server, for the namespace": {
			Selector{Namespace: "shop", IssuedBefore: whole.IssuedBefore, Collapses: true}, nil, 0,
		},
		"of a person, who may delete it":         {whole, nil, 1},
		"for another client":                     {Selector{ClientID: ordersApp.ID, IssuedBefore: whole.IssuedBefore, Collapses: true}, nil, 1},
		"from the second in which it was issued": {Selector{ClientID: shopApp.ID, IssuedBefore: noon, Collapses: true}, nil, 1},
		"a token that is never collapsed": {
			Selector{ClientID: shopApp.ID, IssuedBefore: whole.IssuedBefore, Collapses: true}, func(r *Entry) { r.IssuedAt = 0 }, 1,
		},
	} {
		var r State
		token := revokedToken(1, noon)
		if c.entry != nil {
			c.entry(&token)
		}
		r.Revoke(token, shopApp, noon)
		r.Select("s", c.selector)
		r.Sweep(noon)
		if tokens, _ := r.Len(); tokens != c.left {
			t.Errorf("%s: %d left, want %d", name, tokens, c.left)
		}
		r.Deselect("s")
		if held := r.Revoked(claimsOf(token, shopApp), "shop", noon); held != (c.left == 1) {
			t.Errorf("%s: once the selector is deleted, revoked: %t", name, held)
		}
	}
}

func TestATokenThatLivesLongIsNeverCollapsed(t *testing.T) {
	for name, c := range map[string]struct {
		lives time.Duration
		want  uint32
	}{
		"an issued token": {oauth2.MaxTokenLifetime, seconds(noon)},
		"a minted token":  {oauth2.MaxTokenLifetime + time.Second, 0},
	} {
		got := EntryOf(&oauth2.Claims{ID: ID{1}.String(), IssuedAt: noon, ExpiresAt: noon.Add(c.lives)})
		want := NewEntry(ID{1}, noon.Add(c.lives))
		if want.IssuedAt = c.want; got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// Of all that live, the namespace that holds the most is collapsed first. One within its share may
// always add to it.
func TestTheNamespaceThatHoldsTheMostIsCollapsedFirst(t *testing.T) {
	type holding struct {
		namespace     string
		clients, each int
	}
	small, tiny := holding{"small", 2, 8_000}, holding{"tiny", 1, 1}
	for name, c := range map[string]struct {
		holdings  []holding
		selectors int    // of the first round
		prefix    string // of what they name
		refused   bool
	}{
		"within the bound":                      {[]holding{{"big", 25, 9_500}, small, tiny}, 0, "", false},
		"a namespace with large clients":        {[]holding{{"big", 27, 9_500}, small, tiny}, 3, "client big.", false},
		"a namespace with many small clients":   {[]holding{{"big", 520, 500}, small, tiny}, 1, "namespace big", false},
		"so much that collapsing is not enough": {[]holding{{"big", 35, 9_500}, small, tiny}, 19, "client big.", true},
		"one client in the place of all":        {[]holding{{"big", 1, 300_000}, small, tiny}, 1, "client big.", true},
	} {
		t.Run(name, func(t *testing.T) {
			var r State
			for _, h := range c.holdings {
				for n := range h.clients * h.each {
					r.holders.enter(Entry{IssuedAt: 1}, Client{fmt.Sprintf("%s.%d", h.namespace, n%h.clients), h.namespace})
				}
			}
			big := Client{"big.0", "big"}
			if full := !r.hasRoom(big); full != c.refused {
				t.Errorf("the namespace that holds the most is refused: %t", full)
			}
			for _, of := range []Client{{"small.0", "small"}, {"tiny.0", "tiny"}, {"new.app", "new"}} {
				if !r.hasRoom(of) {
					t.Errorf("%s is refused within its share", of.ID)
				}
			}
			groups, of := excessive(r.holders.all())
			if len(groups) != c.selectors {
				t.Errorf("%d selectors, want %d", len(groups), c.selectors)
			}
			for round := 0; len(groups) > 0 && round < 10; round++ {
				for _, g := range groups {
					named := "client " + g.selector.ClientID
					if g.selector.ClientID == "" {
						named = "namespace " + g.selector.Namespace
					}
					if !strings.HasPrefix(named, c.prefix) {
						t.Errorf("collapsed the %s", named)
					}
				}
				for number, h := range r.holders.all() {
					if of[number] != nil {
						for range h.live / 2 {
							r.holders.leave(Entry{IssuedAt: 1, Client: uint32(number)})
						}
					}
				}
				groups, of = excessive(r.holders.all())
			}
			if _, _, all := r.holders.count(Client{}); all > maxLive || !r.hasRoom(big) {
				t.Errorf("%d are left", all)
			}
			for _, h := range []holding{small, tiny} {
				for n := range h.clients {
					if live, _, _ := r.holders.count(Client{fmt.Sprintf("%s.%d", h.namespace, n), h.namespace}); live != h.each {
						t.Errorf("%s has lost %d", h.namespace, h.each-live)
					}
				}
			}
		})
	}
}

func TestAClientWhoseRevocationsCannotBeCollapsedIsRefused(t *testing.T) {
	var r State
	r.fill(0, hardOfClient-1, shopApp, noon)
	if !r.hasRoom(shopApp) {
		t.Error("refused below the bound")
	}
	r.fill(hardOfClient, 1, shopApp, noon)
	if r.hasRoom(shopApp) || !r.hasRoom(Client{"shop.other", "shop"}) || !r.hasRoom(ordersApp) {
		t.Error("past the bound the client is refused, and nobody else")
	}
	if refusal, ok := errors.AsType[*oauth2.Error](Full()); !ok || refusal.RetryAfter != commitRetry || refusal.Code != oauth2.TemporarilyUnavailable {
		t.Errorf("got %v", refusal)
	}
}

// selectorStore is where a Collapser writes.
type selectorStore struct {
	mu      sync.Mutex
	written []Selector
	err     error
}

func (s *selectorStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *selectorStore) WriteSelector(_ context.Context, selector Selector) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.written = append(s.written, selector)
	}
	return s.err
}

func TestASelectorIsWrittenUntilItHasComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r State
		var store selectorStore
		var attempts []bool
		c := NewCollapser(&r, &store, time.Now, func(durable bool) { attempts = append(attempts, durable) }, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.Run(ctx) })
		check := func(step string, wantAttempts ...bool) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(wantAttempts, attempts); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step, diff)
			}
			attempts = nil
		}
		now := time.Now()
		for n := range maxOfClient {
			r.Revoke(revokedToken(n, now.Add(-time.Duration(n)*time.Millisecond)), shopApp, now)
		}
		<-time.After(10 * collapseInterval)
		check("within the bound nothing is written")
		store.fail(errAway)
		r.Revoke(revokedToken(maxOfClient, now), shopApp, now)
		<-time.After(2 * collapseInterval)
		check("past it a refused write is tried again", false, false)
		store.fail(nil)
		<-time.After(collapseInterval)
		check("until it is stored", true)
		<-time.After(5 * collapseInterval)
		check("it may take a while to come back")
		if tokens, _ := r.Len(); tokens != maxOfClient+1 {
			t.Errorf("%d tokens meanwhile: one is lost", tokens)
		}
		<-time.After(arrivalTime)
		check("if it does not come, it is written again", true)
		if store.written[0] != store.written[1] {
			t.Errorf("%v is another one than %v", store.written[1], store.written[0])
		}
		r.Select(store.written[0].Name(), store.written[0])
		<-time.After(10 * arrivalTime)
		check("once it has come, nothing more is written")
		if tokens, _ := r.Len(); tokens > maxOfClient*3/4 {
			t.Errorf("%d tokens are left", tokens)
		}
		stop()
		running.Wait()
	})
}

// stream is a store of batches and selectors whose objects come to each replica in their order.
type stream struct {
	objects []Stored
	random  *rand.Rand
}

func (s *stream) WriteSelector(_ context.Context, selector Selector) error {
	if s.random.IntN(3) == 0 {
		return errAway
	}
	s.objects = append(s.objects, stored{
		Name: selector.Name(), ClientID: selector.ClientID, Namespace: selector.Namespace, IssuedBefore: selector.IssuedBefore, CreatedAt: noon.Add(time.Hour),
	})
	return nil
}

func (s *stream) writeBatch(batch Batch) {
	b := stored{Name: fmt.Sprint("batch-", len(s.objects))}
	b.Tokens, b.Assertions, b.Origins, _ = batch.Encode()
	s.objects = append(s.objects, b)
}

// replica reads a stream.
type replica struct {
	state     *State
	collapser *Collapser
	read      int
}

func (s *stream) replica() *replica {
	r := &replica{state: &State{}}
	r.collapser = NewCollapser(r.state, s, func() time.Time { return noon }, func(bool) {}, slog.New(slog.DiscardHandler))
	return r
}

func (r *replica) readOn(t *testing.T, s *stream, count int) {
	t.Helper()
	for ; count > 0 && r.read < len(s.objects); count-- {
		object := s.objects[r.read]
		selector, batch, err := Read(object)
		if err != nil {
			t.Fatal(err)
		}
		if selector != nil {
			r.state.Select(object.GetName(), *selector)
		}
		r.read++
		r.state.LearnAt(uint64(r.read), batch, false, noon) //nolint:gosec // small
	}
}

// Whatever replicas are started again, whichever writes fail and however late each one reads, no
// revocation that was stored is lost, and no client gets more room by it.
func TestNoRestartLosesARevocationOrMovesABound(t *testing.T) {
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 5)) //nolint:gosec // a test that can be repeated
		s := &stream{random: random}
		replicas := []*replica{s.replica(), s.replica(), s.replica()}
		var promised []Entry
		for step := range 400 {
			batch := Batch{Clients: []Client{shopApp, ordersApp}}
			for n := range 100 {
				r := revokedToken(step*100+n, noon.Add(time.Duration(step-random.IntN(1+step))*time.Second))
				if r.Client = 1; n == 0 {
					r.Client = 2
				}
				batch.Tokens = append(batch.Tokens, r)
			}
			at := random.IntN(len(replicas))
			for _, r := range batch.Tokens {
				replicas[at].state.Revoke(r, batch.Clients[r.Client-1], noon)
			}
			if random.IntN(10) > 0 {
				s.writeBatch(batch)
				promised = append(promised, batch.Tokens...)
			}
			if random.IntN(15) == 0 {
				replicas[random.IntN(len(replicas))] = s.replica()
			}
			for _, r := range replicas {
				r.readOn(t, s, random.IntN(6))
				if random.IntN(2) == 0 {
					r.collapser.collapse(t.Context())
				}
			}
		}
		selectors := 0
		for _, object := range s.objects {
			if _, _, before, _ := object.Selection(); !before.IsZero() {
				selectors++
			}
		}
		if most := 2 * len(replicas) * len(promised) / (maxOfClient / 4); selectors == 0 || selectors > most {
			t.Errorf("seed %d: %d selectors for %d revocations", seed, selectors, len(promised))
		}
		for i, r := range append(replicas, s.replica()) {
			for range 20 { // all is read, and every bound is kept
				r.readOn(t, s, len(s.objects))
				r.collapser.collapse(t.Context())
			}
			live, _, _ := r.state.holders.count(shopApp)
			if live > maxOfClient {
				t.Errorf("seed %d: replica %d holds %d", seed, i, live)
			}
			for _, token := range promised {
				of := shopApp
				if token.Client == 2 {
					of = ordersApp
				}
				if !r.state.Revoked(claimsOf(token, of), of.Namespace, noon) {
					t.Fatalf("seed %d: replica %d has lost a revocation of %s", seed, i, of.ID)
				}
			}
			if young := revokedToken(1<<20, noon.Add(400*time.Second)); r.state.Revoked(claimsOf(young, shopApp), "shop", noon) {
				t.Errorf("seed %d: a young token that nobody revoked is refused", seed)
			}
			if old := revokedToken(1<<20, noon); r.state.Revoked(claimsOf(old, ordersApp), "orders", noon) {
				t.Errorf("seed %d: another client pays", seed)
			}
		}
	}
}

func TestCountsStayTrueWhileRepliesAndSweepsCross(t *testing.T) {
	var r State
	var working sync.WaitGroup
	for worker := range 4 {
		working.Go(func() {
			for n := range 3_000 {
				of := Client{fmt.Sprint("c", n%7), fmt.Sprint("n", n%3)}
				// every second one expires at once
				lives := time.Duration(n%2) * time.Hour
				token := revokedToken(n*(1+worker%2), noon)
				token.Until = seconds(noon.Add(time.Second + lives))
				r.Revoke(token, of, noon)
			}
		})
	}
	working.Go(func() {
		for range 200 {
			r.Sweep(noon.Add(time.Second))
			r.Part(0)
			r.excess()
		}
	})
	working.Wait()
	counted := map[Client]int{}
	for i := range Parts {
		part := r.Part(i)
		for _, token := range part.Tokens {
			counted[part.clientOf(token)]++
		}
	}
	all := 0
	for of, want := range counted {
		all += want
		if got, _, _ := r.holders.count(of); got != want {
			t.Errorf("%v: counted %d, there are %d", of, got, want)
		}
	}
	if _, _, got := r.holders.count(Client{}); got != all || len(counted) != 21 {
		t.Errorf("counted %d in all, there are %d of %d clients", got, all, len(counted))
	}
}

// What a selector costs must not depend on how many there are of others.
func TestASelectorCostsTheSameHoweverManyThereAre(t *testing.T) {
	cost := func(others int) float64 {
		var r State
		for n := range others {
			of := fmt.Sprint("shop.", n)
			r.Select(of, Selector{ClientID: of, IssuedBefore: noon})
		}
		return testing.AllocsPerRun(100, func() {
			r.Select("a", Selector{ClientID: "shop.a", IssuedBefore: noon})
			r.Deselect("a")
		})
	}
	if few, many := cost(10), cost(20_000); many > few {
		t.Errorf("%g allocations beside ten others, %g beside 20,000", few, many)
	}
}

func TestTheFeedHasOneEpochForManySelectors(t *testing.T) {
	var r State
	for n := range 5 {
		r.Select(fmt.Sprint("c", n), Selector{ClientID: shopApp.ID, IssuedBefore: noon.Add(time.Duration(n) * time.Second)})
	}
	r.Select("n", Selector{Namespace: "orders", IssuedBefore: noon})
	got := r.Epochs()
	slices.SortFunc(got, func(a, b Selector) int { return a.IssuedBefore.Compare(b.IssuedBefore) })
	want := []Selector{{Namespace: "orders", IssuedBefore: noon}, {ClientID: shopApp.ID, IssuedBefore: noon.Add(4 * time.Second)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
