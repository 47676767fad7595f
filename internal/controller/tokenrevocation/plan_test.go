// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenrevocation

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// entries are some revocations that end at an instant.
func entries(first, n int, end time.Time) []revocation.Entry {
	list := make([]revocation.Entry, n)
	for i := range list {
		var id revocation.ID
		binary.BigEndian.PutUint32(id[:], uint32(first+i)) //nolint:gosec // small numbers
		list[i] = revocation.NewEntry(id, end)
	}
	return list
}

func batchObject(name string, created time.Time, batch revocation.Batch) v1alpha1.TokenRevocation {
	return v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(created)},
		Spec:       v1alpha1.TokenRevocationSpec{Batch: v1alpha1.NewRevocationBatch(batch.Encode())},
	}
}

// batchOf is a batch of tokens that were issued to a client at an instant.
func batchOf(of revocation.Client, issued time.Time, tokens []revocation.Entry) revocation.Batch {
	for i := range tokens {
		tokens[i].IssuedAt, tokens[i].Client = uint32(issued.Unix()), 1 //nolint:gosec // a date of our time
	}
	return revocation.Batch{Tokens: tokens, Clients: []revocation.Client{of}}
}

// collapsedObject is a selector as a token server writes it.
func collapsedObject(s revocation.Selector, created time.Time) v1alpha1.TokenRevocation {
	return v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Name: s.Name(), CreationTimestamp: metav1.NewTime(created)},
		Spec: v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{
			ClientID: s.ClientID, Namespace: s.Namespace, IssuedBefore: new(metav1.NewTime(s.IssuedBefore)),
		}},
	}
}

func selectorObject(issuedBefore, created time.Time) v1alpha1.TokenRevocation {
	return v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Name: "selector", CreationTimestamp: metav1.NewTime(created)},
		Spec:       v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{IssuedBefore: new(metav1.NewTime(issuedBefore)), Namespace: "shop"}},
	}
}

func redemptionObject(expiresAt time.Time) v1alpha1.TokenRevocation {
	return *v1alpha1.NewRedemption("registry", "redeemed", v1alpha1.CodeRedemption{
		ClientID: "shop.app", Namespace: "shop", GrantID: "g", Attempt: "a", ExpiresAt: new(metav1.NewTime(expiresAt)),
	}, v1alpha1.RecordForm{Version: revocation.Version, MinReader: revocation.OldestReader})
}

func generationOf(grant byte, number uint32, until time.Time) revocation.Generation {
	return revocation.Generation{Grant: revocation.ID{grant}, Number: number, From: revocation.SecondsOf(noon), Until: revocation.SecondsOf(until), Client: 1}
}

func generationsObject(name string, list ...revocation.Generation) v1alpha1.TokenRevocation {
	batch := revocation.Batch{Generations: list, Clients: []revocation.Client{{ID: "shop.app", Namespace: "shop"}}}
	object := batchObject(name, noon, batch)
	object.SetGenerations(batch.EncodeGenerations(), revocation.Version, revocation.OldestReader)
	return object
}

// ofForm is a TokenRevocation in the form of another version.
func ofForm(object v1alpha1.TokenRevocation, version, minReader int32) v1alpha1.TokenRevocation {
	object.Spec.RecordForm = v1alpha1.RecordForm{Version: version, MinReader: minReader}
	return object
}

func TestWhatANewerVersionWroteIsMergedIntoNothing(t *testing.T) {
	var objects []v1alpha1.TokenRevocation
	for i := range 2 * mergeFrom {
		of := batchObject(fmt.Sprintf("b%d", i), noon, revocation.Batch{Tokens: entries(i, 1, noon.Add(time.Hour))})
		objects = append(objects, ofForm(of, 3, 1))
	}
	if p := decide(objects, time.Hour, noon); len(p.merges)+len(p.expired)+len(p.superseded) > 0 {
		t.Errorf("%+v", p)
	}
}

func TestARevocationIsDeletedWhenNothingItTakesBackCanLive(t *testing.T) {
	tokens := func(end time.Time) revocation.Batch { return revocation.Batch{Tokens: entries(0, 3, end)} }
	for name, c := range map[string]struct {
		object  v1alpha1.TokenRevocation
		expired bool
	}{
		"a batch whose tokens live":                         {batchObject("b", noon, tokens(noon.Add(time.Second))), false},
		"a batch whose tokens may live by another clock":    {batchObject("b", noon, tokens(noon.Add(-tokenMargin+time.Second))), false},
		"a batch whose tokens have expired by every clock":  {batchObject("b", noon, tokens(noon.Add(-tokenMargin))), true},
		"used assertions that have expired by every clock":  {batchObject("b", noon, revocation.Batch{Assertions: entries(0, 1, noon.Add(-assertionMargin))}), true},
		"a token among assertions that have expired":        {batchObject("b", noon, revocation.Batch{Assertions: entries(0, 1, noon.Add(-time.Hour)), Tokens: entries(1, 1, noon)}), false},
		"a selector of just now":                            {selectorObject(noon, noon), false},
		"a selector of the lifetime of a token ago":         {selectorObject(noon.Add(-time.Hour), noon), false},
		"a selector from before every token there can be":   {selectorObject(noon.Add(-time.Hour-tokenMargin), noon), true},
		"a selector to come, made before every token":       {selectorObject(noon.AddDate(1, 0, 0), noon.Add(-time.Hour-tokenMargin-time.Second)), true},
		"a selector to come, made in the last token's time": {selectorObject(noon.AddDate(1, 0, 0), noon.Add(-time.Hour-tokenMargin)), false},
		"a batch that a newer version wrote":                {ofForm(batchObject("b", noon, tokens(noon.Add(-time.Hour))), 3, 1), false},
		"a batch that only newer versions can read":         {ofForm(batchObject("b", noon, tokens(noon.Add(-time.Hour))), 3, 0), false},
		"a selector that a newer version wrote":             {ofForm(selectorObject(noon.AddDate(-1, 0, 0), noon), 3, 1), false},
		"a redemption whose code is valid":                  {redemptionObject(noon.Add(time.Minute)), false},
		"a redemption whose code is valid by another clock": {redemptionObject(noon.Add(-revocation.RedemptionMargin)), false},
		"a redemption whose code has expired":               {redemptionObject(noon.Add(-revocation.RedemptionMargin - redemptionsTogether)), true},
		"generations of grants that have not ended":         {generationsObject("b", generationOf(1, 1, noon.Add(-tokenMargin+time.Second))), false},
		"generations of grants that have ended":             {generationsObject("b", generationOf(1, 1, noon.Add(-tokenMargin))), true},
		"something that newer versions alone know":          {v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Name: "redemption"}}, false},
		"something that cannot be read": {v1alpha1.TokenRevocation{Spec: v1alpha1.TokenRevocationSpec{
			Batch: v1alpha1.RevocationBatch{Tokens: "****"},
		}}, false},
	} {
		p := decide([]v1alpha1.TokenRevocation{c.object}, time.Hour, noon)
		if expired := len(p.expired) == 1; expired != c.expired || len(p.merges) != 0 {
			t.Errorf("%s: expired %t, %d merges", name, expired, len(p.merges))
		}
		waits := c.object.Spec.Version > revocation.Version || c.object.Spec.Batch.Tokens == "****" || c.object.Name == "redemption"
		if !c.expired && !waits && !p.next.After(noon) {
			t.Errorf("%s: next is %s", name, p.next)
		}
	}
}

func TestSmallBatchesAreMerged(t *testing.T) {
	end := noon.Add(time.Hour)
	batches := func(n, each int) []v1alpha1.TokenRevocation {
		var objects []v1alpha1.TokenRevocation
		for i := range n {
			objects = append(objects, batchObject(fmt.Sprintf("b%03d", i), noon.Add(time.Duration(i)*time.Second), revocation.Batch{Tokens: entries(i*each, each, end)}))
		}
		return objects
	}
	for name, c := range map[string]struct {
		objects []v1alpha1.TokenRevocation
		want    []int // how many each merge takes
	}{
		"nothing":                          {nil, nil},
		"too few to be worth it":           {batches(mergeFrom-1, 5), nil},
		"just enough":                      {batches(mergeFrom, 5), []int{mergeFrom}},
		"two full ones and some that wait": {batches(2*20+3, revocation.MaxBatch/20), []int{20, 20}},
		"big ones":                         {batches(40, small+1), nil},
		"assertions alone":                 {[]v1alpha1.TokenRevocation{batchObject("a", noon, revocation.Batch{Assertions: entries(0, 5, end)})}, nil},
	} {
		p := decide(c.objects, time.Hour, noon)
		var got []int
		for _, m := range p.merges {
			got = append(got, len(m.from))
			if len(m.batch.Tokens) > revocation.MaxBatch {
				t.Errorf("%s: a batch of %d", name, len(m.batch.Tokens))
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: merges %v, want %v", name, got, c.want)
		}
	}
}

func TestOfTheSelectorsOfTokenServersTheNewestOfEachClientIsKept(t *testing.T) {
	of := func(clientID, namespace string, minutes int) v1alpha1.TokenRevocation {
		return collapsedObject(revocation.Selector{ClientID: clientID, Namespace: namespace, IssuedBefore: noon.Add(time.Duration(minutes) * time.Minute)}, noon)
	}
	copied := func(object v1alpha1.TokenRevocation, change func(*v1alpha1.TokenRevocation)) v1alpha1.TokenRevocation {
		object.Labels = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}
		change(&object)
		return object
	}
	renamed := func(o *v1alpha1.TokenRevocation) { o.Name = "by-a-person" }
	moved := func(o *v1alpha1.TokenRevocation) {
		o.Spec.Selector.IssuedBefore = new(metav1.NewTime(noon.Add(-30 * time.Minute)))
	}
	objects := []v1alpha1.TokenRevocation{
		of("shop.app", "", -3), of("shop.app", "", -1), of("shop.app", "", -2),
		of("orders.app", "", -5),
		of("", "shop", -4), of("", "shop", -3),
		// a person made these of what kubectl showed
		copied(of("shop.app", "", -4), renamed),
		copied(of("shop.app", "", -6), moved),
		selectorObject(noon.Add(-10*time.Minute), noon),
	}
	p := decide(objects, time.Hour, noon)
	var got []string
	for _, o := range p.superseded {
		got = append(got, o.Name)
	}
	want := []string{objects[0].Name, objects[2].Name, objects[4].Name}
	if diff := cmp.Diff(want, got); diff != "" || len(p.expired) != 0 {
		t.Errorf("%d expired; superseded (-want +got):\n%s", len(p.expired), diff)
	}
	// cut back to its creation, it revokes less
	objects[1].CreationTimestamp = metav1.NewTime(noon.Add(-time.Hour))
	if p := decide(objects[:2], time.Hour, noon); len(p.superseded) != 1 || p.superseded[0].Name != objects[1].Name {
		t.Errorf("superseded %v", p.superseded)
	}
}

func TestABatchLosesWhatASelectorOfATokenServerRevokes(t *testing.T) {
	shop, orders := revocation.Client{ID: "shop.app", Namespace: "shop"}, revocation.Client{ID: "orders.app", Namespace: "orders"}
	end, issued := noon.Add(time.Hour), noon.Add(-time.Minute)
	instant := issued.Add(time.Second)
	person := collapsedObject(revocation.Selector{ClientID: shop.ID, IssuedBefore: instant}, noon)
	person.Name = "by-a-person"
	for name, c := range map[string]struct {
		batch    revocation.Batch
		selector v1alpha1.TokenRevocation
		expired  bool
	}{
		"all of it": {batchOf(shop, issued, entries(0, 9, end)), collapsedObject(revocation.Selector{ClientID: shop.ID, IssuedBefore: instant}, noon), true},
		"all of it, by namespace": {
			batchOf(shop, issued, entries(0, 9, end)), collapsedObject(revocation.Selector{Namespace: "shop", IssuedBefore: instant}, noon), true,
		},
		"a selector of a person":  {batchOf(shop, issued, entries(0, 9, end)), person, false},
		"another client":          {batchOf(orders, issued, entries(0, 9, end)), collapsedObject(revocation.Selector{ClientID: shop.ID, IssuedBefore: instant}, noon), false},
		"younger tokens":          {batchOf(shop, instant, entries(0, 9, end)), collapsedObject(revocation.Selector{ClientID: shop.ID, IssuedBefore: instant}, noon), false},
		"tokens without a client": {revocation.Batch{Tokens: entries(0, 9, end)}, collapsedObject(revocation.Selector{ClientID: shop.ID, IssuedBefore: instant}, noon), false},
		"used assertions beside it": {
			revocation.Batch{Tokens: batchOf(shop, issued, entries(0, 9, end)).Tokens, Clients: []revocation.Client{shop}, Assertions: entries(20, 1, end)},
			collapsedObject(revocation.Selector{ClientID: shop.ID, IssuedBefore: instant}, noon), false,
		},
	} {
		p := decide([]v1alpha1.TokenRevocation{batchObject("b", noon, c.batch), c.selector}, time.Hour, noon)
		if expired := len(p.expired) == 1 && p.expired[0].Name == "b"; expired != c.expired {
			t.Errorf("%s: deleted %t", name, expired)
		}
	}
	// A big batch with few tokens left is small.
	objects := []v1alpha1.TokenRevocation{collapsedObject(revocation.Selector{ClientID: shop.ID, IssuedBefore: instant}, noon)}
	for i := range mergeFrom {
		old, young := batchOf(shop, issued, entries(i*10_000, small, end)), batchOf(shop, instant, entries(i*10_000+small, 5, end))
		objects = append(objects, batchObject(fmt.Sprint("b", i), noon, revocation.Batch{Tokens: append(old.Tokens, young.Tokens...), Clients: old.Clients}))
	}
	p := decide(objects, time.Hour, noon)
	if len(p.merges) != 1 || len(p.merges[0].batch.Tokens) != 5*mergeFrom || p.merges[0].batch.Clients[0] != shop {
		t.Errorf("%d merges", len(p.merges))
	}
}

// A generation that is lost makes a refresh token count again that was replaced.
func TestMergedGenerationsAreTheHighestOfEachGrant(t *testing.T) {
	end := noon.Add(8 * time.Hour)
	objects := []v1alpha1.TokenRevocation{redemptionObject(noon), collapsedObject(revocation.Selector{ClientID: "shop.app", IssuedBefore: noon.Add(time.Hour)}, noon)}
	for i := range 2 * mergeFrom {
		objects = append(objects, generationsObject(fmt.Sprintf("b%02d", i), generationOf(byte(i%4), uint32(40-i), end), generationOf(100+byte(i), 1, noon.Add(-time.Hour))))
	}
	p := decide(objects, time.Hour, noon)
	if len(p.merges) != 1 || len(p.merges[0].from) != 2*mergeFrom {
		t.Fatalf("%d merges", len(p.merges))
	}
	for _, g := range p.merges[0].batch.Generations {
		if want := 40 - uint32(g.Grant[0]); g.Number != want {
			t.Errorf("grant %d has number %d, want %d", g.Grant[0], g.Number, want)
		}
	}
	if n := len(p.merges[0].batch.Generations); n != 4 {
		t.Errorf("%d grants, want those that have not ended", n)
	}
	objects[2] = generationsObject("b00", generationOf(0, 41, end))
	if decide(objects, time.Hour, noon).merges[0].name() == p.merges[0].name() {
		t.Error("a merge of other generations has the same name")
	}
}

func TestBigListsOfGenerationsAreNotMerged(t *testing.T) {
	var objects []v1alpha1.TokenRevocation
	for i := range mergeFrom {
		var list []revocation.Generation
		for n := range revocation.MaxGenerations / mergeFrom * 2 {
			g := generationOf(byte(i), 1, noon.Add(time.Hour))
			g.Grant[1], g.Grant[2] = byte(n), byte(n>>8)
			list = append(list, g)
		}
		objects = append(objects, generationsObject(fmt.Sprintf("b%02d", i), list...))
	}
	if p := decide(objects, time.Hour, noon); len(p.merges) != 0 {
		t.Errorf("a merge of %d generations", len(p.merges[0].batch.Generations))
	}
}

func TestAMergedBatchHasRoomForSoManyClients(t *testing.T) {
	var objects []v1alpha1.TokenRevocation
	for i := range 2 * mergeFrom {
		batch := revocation.Batch{}
		for n := range revocation.MaxClients / mergeFrom {
			of := revocation.Client{ID: fmt.Sprintf("shop.%d-%d", i, n), Namespace: "shop"}
			batch.Clients = append(batch.Clients, of)
			token := batchOf(of, noon, entries(i*1_000+n, 1, noon.Add(time.Hour))).Tokens[0]
			token.Client = uint32(len(batch.Clients)) //nolint:gosec // few
			batch.Tokens = append(batch.Tokens, token)
		}
		objects = append(objects, batchObject(fmt.Sprintf("b%02d", i), noon, batch))
	}
	merges := decide(objects, time.Hour, noon).merges
	if len(merges) != 2 {
		t.Fatalf("%d merges, want 2", len(merges))
	}
	for _, m := range merges {
		if len(m.batch.Clients) != revocation.MaxClients {
			t.Errorf("a batch of %d clients", len(m.batch.Clients))
		}
	}
}

func TestTheNameOfAMergedBatchSaysWhatItIsMadeOf(t *testing.T) {
	group := make([]v1alpha1.TokenRevocation, mergeFrom)
	for i := range group {
		group[i] = batchObject(fmt.Sprint("b", i), noon, revocation.Batch{Tokens: entries(i, 1, noon.Add(time.Hour))})
	}
	one, again := decide(group, time.Hour, noon).merges[0], decide(slices.Clone(group), time.Hour, noon.Add(time.Second)).merges[0]
	if one.name() != again.name() {
		t.Error("the same merge has another name a second later")
	}
	merged := batchObject(one.name(), noon, one.batch)
	// A manager was killed between the two: what it has made is merged again with what it is
	// made of, under another name.
	p := decide(append(slices.Clone(group), merged), time.Hour, noon)
	if len(p.merges) != 1 || p.merges[0].name() == one.name() || len(p.merges[0].from) != len(group)+1 || len(p.merges[0].batch.Tokens) != len(one.batch.Tokens) {
		t.Errorf("merged again: %d merges", len(p.merges))
	}
	group[0].UID = "another"
	if decide(group, time.Hour, noon).merges[0].name() == one.name() {
		t.Error("the merge of another object has the same name")
	}
}

// registry is the objects as an API server has them, for managers that are killed anywhere and read
// old lists.
type registry map[string]v1alpha1.TokenRevocation

// TestNoOrderOfTwoManagersLosesARevocation lets two managers work on lists as old as they like,
// with every write possibly their last, while token servers write on: batches, and selectors in the
// place of what clients have too many of.
func TestNoOrderOfTwoManagersLosesARevocation(t *testing.T) {
	clients := []revocation.Client{{ID: "shop.app", Namespace: "shop"}, {ID: "shop.other", Namespace: "shop"}, {ID: "orders.app", Namespace: "orders"}}
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a test that can be repeated
		world, now := registry{}, noon
		var lists [][]v1alpha1.TokenRevocation
		written, revoked := 0, map[revocation.Entry]revocation.Client{}
		for step := range 40 {
			now = now.Add(time.Duration(random.IntN(240)) * time.Second)
			for range random.IntN(30) {
				of, issued := clients[random.IntN(len(clients))], now.Add(-time.Duration(random.IntN(600))*time.Second)
				batch := batchOf(of, issued, entries(written, 1+random.IntN(3), issued.Add(time.Duration(600+random.IntN(3000))*time.Second)))
				written += len(batch.Tokens)
				name := fmt.Sprintf("batch-%d-%d", step, written)
				world[name] = batchObject(name, now, batch)
				for _, r := range batch.Tokens {
					revoked[r] = of
				}
			}
			if random.IntN(3) == 0 {
				s := revocation.Selector{ClientID: clients[random.IntN(len(clients))].ID, IssuedBefore: now.Add(-time.Duration(random.IntN(900)) * time.Second)}
				if random.IntN(4) == 0 {
					s.ClientID, s.Namespace = "", "shop"
				}
				world[s.Name()] = collapsedObject(s, now)
			}
			lists = append(lists, slices.Collect(maps.Values(world)))
			old := lists[max(0, len(lists)-1-random.IntN(4))]
			world.run(decide(old, time.Hour, now), random)
			world.check(t, revoked, now)
		}
		if len(world) == 0 {
			t.Error("nothing is left at all")
		}
	}
}

// run carries out a plan up to a write that is the last one.
func (w registry) run(p plan, random *rand.Rand) {
	writes := 1 + random.IntN(30)
	last := func() bool { writes--; return writes < 0 }
	for _, m := range p.merges {
		if last() {
			return
		}
		if _, there := w[m.name()]; !there {
			w[m.name()] = batchObject(m.name(), noon, m.batch)
		}
		for _, o := range m.from {
			if last() {
				return
			}
			delete(w, o.Name)
		}
	}
	for _, o := range slices.Concat(p.superseded, p.expired) {
		if last() {
			return
		}
		delete(w, o.Name)
	}
}

// check looks for every revocation that still matters.
func (w registry) check(t *testing.T, revoked map[revocation.Entry]revocation.Client, now time.Time) {
	t.Helper()
	found, selected := map[revocation.Entry]bool{}, map[revocation.Client]time.Time{}
	for _, object := range w {
		list, err := revocation.Decode(string(object.Spec.Batch.Tokens))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			found[r] = true
		}
		if selector, _, _ := revocation.Read(&object); selector != nil {
			of := revocation.Client{ID: selector.ClientID, Namespace: selector.Namespace}
			selected[of] = oauth2.Later(selected[of], selector.IssuedBefore)
		}
	}
	for r, of := range revoked {
		issued := time.Unix(int64(r.IssuedAt), 0)
		bySelector := issued.Before(selected[revocation.Client{ID: of.ID}]) || issued.Before(selected[revocation.Client{Namespace: of.Namespace}])
		if plain := (revocation.Entry{ID: r.ID, Until: r.Until}); !r.Expired(now) && !found[plain] && !bySelector {
			t.Fatalf("revocation %x is lost", r.ID)
		}
	}
}
