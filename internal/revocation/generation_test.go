// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// generation is a generation of the n-th grant of a test, which ends in eight hours.
func generation(n int, number uint32) Generation {
	g := Generation{Number: number, From: seconds(noon) + number, Until: seconds(noon.Add(8 * time.Hour))}
	binary.BigEndian.PutUint64(g.Grant[:], uint64(n)*0x9e3779b97f4a7c15) //nolint:gosec // a multiplier that spreads
	return g
}

// generations is all that a State has, in the order of the grants.
func (r *State) allGenerations() (list []Generation, clients []Client) {
	for i := range Parts {
		part := r.Part(i)
		for _, g := range part.Generations {
			clients = append(clients, part.client(g.Client))
			g.Client = 0
			list = append(list, g)
		}
	}
	return list, clients
}

// Replicas learn generations in any order, some twice, and several replicas may issue successors of
// one number at once.
func TestTheGenerationThatCountsDependsOnNoOrder(t *testing.T) {
	all := []Generation{generation(1, 1), generation(1, 2), generation(1, 2), generation(1, 3), generation(2, 7)}
	all[2].From += 30
	late := all[3]
	late.From -= 40
	all = append(all, late)
	want := []Generation{all[3], all[4]}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test that can be repeated
	for range 200 {
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		var r State
		var batches []Batch
		for _, g := range all {
			r.Advance(g, shopApp, noon)
			g.Client = 1
			batches = append(batches, Batch{Generations: []Generation{g}, Clients: []Client{shopApp}})
		}
		got, clients := r.allGenerations()
		slices.SortFunc(got, func(a, b Generation) int { return int(a.Number) - int(b.Number) })
		if diff := cmp.Diff(want, got); diff != "" || !slices.Equal(clients, []Client{shopApp, shopApp}) {
			t.Fatalf("of %v (-want +got):\n%s", clients, diff)
		}
		merged := Merge(Margins{Tokens: noon}, nil, batches...)
		var other State
		other.Learn(merged, noon)
		if again, _ := other.allGenerations(); len(merged.Generations) != 2 || len(merged.Clients) != 1 || len(again) != 2 {
			t.Fatalf("merged into %v", merged)
		}
		if g, there := other.Generation(want[0].Grant, noon); !there || g != want[0] {
			t.Fatalf("merged, %v counts, want %v", g, want[0])
		}
	}
}

func TestAGenerationCountsUntilTheEndOfItsGrant(t *testing.T) {
	var r State
	if _, there := r.Generation(ID{1}, noon); there {
		t.Error("a grant without a refresh has a generation")
	}
	g := generation(1, 4)
	r.Advance(g, shopApp, noon)
	r.Advance(generation(1, 3), shopApp, noon)
	end := time.Unix(int64(g.Until), 0)
	if got, there := r.Generation(g.Grant, end.Add(-time.Second)); !there || got != g {
		t.Errorf("%v counts, %t", got, there)
	}
	if _, there := r.Generation(g.Grant, end); there {
		t.Error("the grant has ended, and has a generation")
	}
	r.Sweep(end.Add(-time.Second))
	if r.Grants() != 1 {
		t.Error("a sweep removed it before the end of the grant")
	}
	r.Sweep(end)
	if r.Grants() != 0 || r.holders.grants.all != 0 || len(r.holders.grants.namespaces) != 0 {
		t.Errorf("%d are left, and %v are counted", r.Grants(), r.holders.grants)
	}
	r.Sweep(end)
	if len(r.holders.numbers) != 0 {
		t.Error("their client keeps its number")
	}
	r.Advance(g, shopApp, end)
	if r.Grants() != 0 {
		t.Error("a generation of a grant that has ended is learned")
	}
}

func TestTheGrantsWithGenerationsAreBounded(t *testing.T) {
	var r State
	advance := func(n int, of Client) error {
		g := generation(n, 1)
		err := r.RoomToAdvance(g.Grant, of)
		if err == nil {
			r.Advance(g, of, noon)
		}
		return err
	}
	for n := range (grantShare + lentGrants) / 2 {
		if err := advance(n, shopApp); err != nil {
			t.Fatalf("the %d. grant: %v", n, err)
		}
	}
	if err := advance(maxGrants, Client{"shop.other", "shop"}); oauth2.ReasonOf(err) != oauth2.ReasonGrantNotDurable {
		t.Errorf("beyond what is lent to a namespace: %v", err)
	}
	if err := r.RoomToAdvance(generation(0, 2).Grant, shopApp); err != nil {
		t.Errorf("the next generation of a grant that has one: %v", err)
	}
	for n := range grantShare {
		if err := advance(maxGrants+n, ordersApp); err != nil {
			t.Fatalf("the %d. grant of another namespace: %v", n, err)
		}
	}
	r.Sweep(noon.Add(9 * time.Hour))
	if r.Grants() != 0 || r.RoomToAdvance(ID{1}, shopApp) != nil {
		t.Errorf("%d are left once their grants have ended", r.Grants())
	}
}

// A person may be logged out of one client thousands of times. The end of a grant is bounded as
// what lives long, and no selector takes its place.
func TestTheEndOfAGrantIsNeverCollapsed(t *testing.T) {
	var r State
	g := generation(1, 1)
	r.Advance(g, shopApp, noon)
	r.Revoke(Entry{ID: g.Grant, Until: g.Until}, shopApp, noon)
	r.fill(0, maxOfClient+1, shopApp, noon)
	for _, selector := range r.excess() {
		r.Select(selector.Name(), selector)
	}
	r.Sweep(noon.Add(2 * time.Hour))
	if _, there := r.Generation(g.Grant, noon); !there || !r.Ended(g.Grant, noon.Add(7*time.Hour)) {
		t.Error("the end of a grant or its generation was collapsed")
	}
	if _, all := collapsedTokens(&r); all != 1 {
		t.Errorf("%d entries are left", all)
	}
	claims := oauth2.Claims{ID: ID{9}.String(), ClientID: shopApp.ID, GrantID: g.Grant.String(), IssuedAt: noon.Add(time.Hour)}
	if !r.Revoked(claims, "shop", noon.Add(2*time.Hour)) {
		t.Error("a token of the grant is valid")
	}
	if claims.GrantID = (ID{8}).String(); r.Revoked(claims, "shop", noon.Add(2*time.Hour)) {
		t.Error("a token of another grant is refused")
	}
	if err := r.RoomToEnd(g.Grant, shopApp); err != nil {
		t.Errorf("a grant that has ended: %v", err)
	}
	for n := range (lastingShare+lastingLent)/2 - 1 {
		r.Revoke(lastingToken(n), shopApp, noon)
	}
	if err := r.RoomToEnd(ID{7}, shopApp); oauth2.ReasonOf(err) != oauth2.ReasonGrantNotDurable {
		t.Errorf("beyond what is lent to the namespace: %v", err)
	}
}

func collapsedTokens(r *State) (assertions, tokens int) {
	tokens, assertions = r.Len()
	return assertions, tokens
}

func TestGenerationsReadAsTheyWereWritten(t *testing.T) {
	batch := Batch{Clients: []Client{ordersApp, shopApp}}
	for n := range 50 {
		g := generation(n, uint32(n))
		g.Client = uint32(n % 3)
		batch.Generations = append(batch.Generations, g)
	}
	read := Batch{Clients: []Client{shopApp}} // of tokens beside them
	if err := read.UnpackGenerations(batch.PackGenerations()); err != nil {
		t.Fatal(err)
	}
	of := func(b Batch) map[Generation]Client {
		found := map[Generation]Client{}
		for _, g := range b.Generations {
			client := b.client(g.Client)
			g.Client = 0
			found[g] = client
		}
		return found
	}
	if diff := cmp.Diff(of(batch), of(read)); diff != "" || len(read.Clients) != 2 {
		t.Errorf("%v (-want +got):\n%s", read.Clients, diff)
	}
	if packed := (Batch{Tokens: []Entry{{}}}).PackGenerations(); packed != nil {
		t.Errorf("no generations are %v", packed)
	}
}

func FuzzGenerations(f *testing.F) {
	f.Add(Batch{Generations: []Generation{generation(1, 2)}}.PackGenerations())
	f.Add([]byte{generationsVersion, 2, 0, 0, 0})
	f.Fuzz(func(t *testing.T, packed []byte) {
		var b Batch
		if err := b.UnpackGenerations(packed); err != nil {
			if b.Generations != nil || b.Clients != nil {
				t.Error("a list that is unreadable was read")
			}
			return
		}
		var again Batch
		if err := again.UnpackGenerations(b.PackGenerations()); err != nil || len(again.Generations) != len(b.Generations) {
			t.Errorf("written again: %v", err)
		}
	})
}

func TestAGenerationIsStoredBeforeItsCallerContinues(t *testing.T) {
	var store memoryStore
	inBubble(t, &store, func(t *testing.T, j *Journal, _ *attempts) {
		var callers sync.WaitGroup
		for n := range 3 {
			callers.Go(func() {
				if err := j.Advance(t.Context(), generation(n, 2), shopApp); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Go(func() {
			if err := j.Revoke(t.Context(), entry(1), shopApp); err != nil {
				t.Error(err)
			}
		})
		callers.Wait()
		if got := store.stored(); len(got.Generations) != 3 || len(got.Tokens) != 1 || len(store.writes) > 2 || got.client(got.Generations[0].Client) != shopApp {
			t.Errorf("%d writes stored %v", len(store.writes), got)
		}
		if j.count() != 0 || j.pending() != 0 {
			t.Errorf("%d wait", j.pending())
		}
	})
}

// The client of a refresh that failed has the former refresh token. If its successor counted later,
// when the client has not got it, the login would be over.
func TestAGenerationThatFailedIsNotStoredLater(t *testing.T) {
	var back bool
	store := memoryStore{fail: func(int) (before, after error) {
		if back {
			return nil, nil
		}
		return errAway, nil
	}}
	inBubble(t, &store, func(t *testing.T, j *Journal, _ *attempts) {
		if err := j.Advance(t.Context(), generation(1, 2), shopApp); oauth2.ReasonOf(err) != oauth2.ReasonGrantNotDurable {
			t.Fatalf("got %v", err)
		}
		if j.pending() != 0 {
			t.Errorf("%d wait", j.pending())
		}
		if err := j.Revoke(t.Context(), entry(1), shopApp); err == nil {
			t.Error("a revocation is durable while the store is away")
		}
		begin := time.Now()
		if err := j.Advance(t.Context(), generation(2, 2), shopApp); err == nil || !time.Now().Equal(begin) {
			t.Errorf("while the store fails and is tried: %v after %s", err, time.Since(begin))
		}
		store.mu.Lock()
		back = true
		store.mu.Unlock()
		<-time.After(lastBackoff + revocationInterval)
		if got := store.stored(); len(got.Generations) != 0 || len(got.Tokens) != 1 {
			t.Errorf("stored %v, want the revocation alone", got)
		}
		if err := j.Advance(t.Context(), generation(1, 2), shopApp); err != nil || len(store.stored().Generations) != 1 {
			t.Errorf("the store is back: %v", err)
		}
	})
}

// Where nothing but refreshes comes, one of them finds that the store is back.
func TestARefreshFindsThatTheStoreIsBack(t *testing.T) {
	store := memoryStore{fail: func(write int) (before, after error) {
		if write <= patience {
			return errAway, nil
		}
		return nil, nil
	}}
	inBubble(t, &store, func(t *testing.T, j *Journal, _ *attempts) {
		if err := j.Advance(t.Context(), generation(1, 2), shopApp); err == nil {
			t.Fatal("it is durable")
		}
		<-time.After(lastBackoff)
		for n := range 2 {
			if err := j.Advance(t.Context(), generation(n, 2), shopApp); err != nil {
				t.Errorf("the store is back: %v", err)
			}
		}
	})
}

func TestACallerOfAdvanceThatLeavesTakesItsGenerationAlong(t *testing.T) {
	store := memoryStore{fail: func(write int) (before, after error) {
		if write == 1 {
			<-time.After(2 * commitTimeout) // longer than callers wait
			return errAway, nil
		}
		return nil, nil
	}}
	inBubble(t, &store, func(t *testing.T, j *Journal, _ *attempts) {
		var callers sync.WaitGroup
		for n := range 2 {
			callers.Go(func() {
				if err := j.Advance(t.Context(), generation(n, 2), shopApp); err == nil {
					t.Error("it is durable")
				}
			})
		}
		callers.Go(func() { _ = j.Revoke(t.Context(), entry(1), ordersApp) })
		<-time.After(revocationInterval)
		callers.Go(func() { // in the next batch
			if err := j.Advance(t.Context(), generation(3, 2), shopApp); err == nil {
				t.Error("it is durable")
			}
		})
		callers.Wait()
		<-time.After(2*commitTimeout + lastBackoff)
		synctest.Wait()
		if got := store.stored(); len(got.Generations) != 0 || len(got.Tokens) != 1 || j.pending() != 0 || j.waited != 0 {
			t.Errorf("stored %v, %d wait", got, j.pending())
		}
	})
}

func TestRefreshesLeaveRoomForTheRevocationsOfTheirNamespace(t *testing.T) {
	j, _ := newJournal(&memoryStore{}, func() time.Time { return noon })
	joined := 0
	for j.joinAdvancing(generation(joined, 1), shopApp) != nil {
		joined++
	}
	if joined != lentAdvancing+queueShare {
		t.Errorf("a namespace has %d of the queue", joined)
	}
	for n := range queueShare {
		if j.joinAdvancing(generation(maxAdvancing+n, 1), ordersApp) == nil {
			t.Fatal("another namespace has not its share")
		}
	}
	if in, _ := j.join(tokensOf, revokedToken(1, noon), shopApp); in == nil {
		t.Error("there is no room for a revocation of the namespace")
	}
	for first := j.seal(); first != nil; first = j.seal() {
		if n := len(first.batch.Generations); n > MaxGenerations {
			t.Fatalf("a batch of %d generations", n)
		}
		j.settle(first, nil)
	}
	if j.pending() != 0 || j.waited != 0 || j.advancing.borrowed != 0 {
		t.Errorf("an empty queue has %d entries, %d waited for, %d borrowed", j.pending(), j.waited, j.advancing.borrowed)
	}
}

func TestRedemptionsAreBoundedByClientByNamespaceAndInAll(t *testing.T) {
	var r Redemptions
	name := func(n int) string { return Redemption{CodeID: fmt.Sprint(n)}.Name() }
	fill := func(begin, count int, of Client) (reserved int) {
		for n := range count {
			if err := r.Reserve(name(begin+n), of); err != nil {
				refusal, ok := errors.AsType[*oauth2.Error](err)
				if !ok || refusal.Code != oauth2.TemporarilyUnavailable || refusal.Reason != oauth2.ReasonGrantNotDurable || refusal.RetryAfter != redeemRetry {
					t.Fatal(err)
				}
				break
			}
			reserved++
		}
		return reserved
	}
	if n := fill(0, maxRedeemed, shopApp); n != maxRedeemedOfClient {
		t.Errorf("a client has %d", n)
	}
	if err := r.Reserve(name(0), shopApp); err != nil {
		t.Errorf("another attempt at a code that is redeemed: %v", err)
	}
	if n := fill(100_000, maxRedeemed, Client{"shop.other", "shop"}); n != lentRedeemed+redeemedShare-maxRedeemedOfClient {
		t.Errorf("another client of its namespace has %d", n)
	}
	if n := fill(200_000, maxRedeemed, ordersApp); n != redeemedShare {
		t.Errorf("another namespace has %d beside it, want its share", n)
	}
	if n := fill(300_000, maxRedeemed, Client{"third.app", "third"}); n != redeemedShare {
		t.Errorf("a third namespace has %d", n)
	}
	var all Redemptions
	for n, namespace := 0, 0; namespace < 2*maxRedeemed; namespace++ {
		if all.Reserve(name(n), Client{"web", fmt.Sprint("namespace-", namespace)}) == nil {
			n++
		}
	}
	if all.Len() != maxRedeemed {
		t.Errorf("as many namespaces as there are have %d in all, want %d", all.Len(), maxRedeemed)
	}
	r.Add(name(400_000), shopApp) // which another replica wrote
	r.Add(name(400_000), shopApp)
	before := r.Len()
	for n := range 10 {
		r.Remove(name(n))
		r.Remove(name(n))
	}
	if r.Len() != before-10 || fill(0, 10, shopApp) != 9 {
		t.Errorf("%d are left, and 9 fit beside the one of another replica", r.Len())
	}
	r.Keep(map[string]bool{name(200_000): true})
	if r.Len() != 1 || r.shares.all != 1 || r.shares.borrowed != 0 || len(r.clients) != 1 {
		t.Errorf("%d are left of one that is listed: %+v", r.Len(), r.shares)
	}
	r.Remove(name(200_000))
	if r.Len() != 0 || len(r.shares.namespaces) != 0 {
		t.Errorf("nothing is left, but %+v", r.shares)
	}
}
