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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
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

func selectorObject(issuedBefore, created time.Time) v1alpha1.TokenRevocation {
	return v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Name: "selector", CreationTimestamp: metav1.NewTime(created)},
		Spec:       v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{IssuedBefore: new(metav1.NewTime(issuedBefore)), Namespace: "shop"}},
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
		"something that cannot be read": {v1alpha1.TokenRevocation{Spec: v1alpha1.TokenRevocationSpec{
			Batch: v1alpha1.RevocationBatch{Tokens: "****"},
		}}, false},
	} {
		p := decide([]v1alpha1.TokenRevocation{c.object}, time.Hour, noon)
		if expired := len(p.expired) == 1; expired != c.expired || len(p.merges) != 0 {
			t.Errorf("%s: expired %t, %d merges", name, expired, len(p.merges))
		}
		if !c.expired && c.object.Spec.Batch.Tokens != "****" && !p.next.After(noon) {
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
	// A manager was killed between the two: what it has made is merged again with what it is made of, under another name.
	p := decide(append(slices.Clone(group), merged), time.Hour, noon)
	if len(p.merges) != 1 || p.merges[0].name() == one.name() || len(p.merges[0].from) != len(group)+1 || len(p.merges[0].batch.Tokens) != len(one.batch.Tokens) {
		t.Errorf("merged again: %d merges", len(p.merges))
	}
	group[0].UID = "another"
	if decide(group, time.Hour, noon).merges[0].name() == one.name() {
		t.Error("the merge of another object has the same name")
	}
}

// registry is the objects as an API server has them, for managers that are killed anywhere and look at old lists.
type registry map[string]v1alpha1.TokenRevocation

// TestNoOrderOfTwoManagersLosesARevocation lets two managers work on lists as old as they like, with every write possibly their last,
// while token servers write on.
func TestNoOrderOfTwoManagersLosesARevocation(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a test that can be repeated
		world, now := registry{}, noon
		var lists [][]v1alpha1.TokenRevocation
		written, revoked := 0, map[revocation.Entry]bool{}
		for step := range 40 {
			now = now.Add(time.Duration(random.IntN(240)) * time.Second)
			for range random.IntN(30) {
				batch := revocation.Batch{Tokens: entries(written, 1+random.IntN(3), now.Add(time.Duration(1+random.IntN(3600))*time.Second))}
				written += len(batch.Tokens)
				name := fmt.Sprintf("batch-%d-%d", step, written)
				world[name] = batchObject(name, now, batch)
				for _, r := range batch.Tokens {
					revoked[r] = true
				}
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

// run does what a plan says up to a write that is the last one.
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
	for _, o := range p.expired {
		if last() {
			return
		}
		delete(w, o.Name)
	}
}

// check looks for every revocation that still matters.
func (w registry) check(t *testing.T, revoked map[revocation.Entry]bool, now time.Time) {
	t.Helper()
	found := map[revocation.Entry]bool{}
	for _, object := range w {
		list, err := revocation.Decode(string(object.Spec.Batch.Tokens))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			found[r] = true
		}
	}
	for r := range revoked {
		if !r.Expired(now) && !found[r] {
			t.Fatalf("revocation %x is lost", r.ID)
		}
	}
}
