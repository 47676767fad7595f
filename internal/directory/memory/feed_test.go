// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"cmp"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/restore"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// feed is what a reader of the feed has after it has read on from a cursor.
type feed struct {
	Tokens []revocation.Entry
	Epochs []revocation.Selector
	Next   revocation.Cursor
}

func readFeed(f *fixture, since string) (read feed) {
	at, err := revocation.ParseCursor(since)
	if err != nil {
		panic(err)
	}
	for more := true; more; at = read.Next {
		page := f.Revocations.State.Feed(at, f.now)
		read.Tokens, read.Next, more = append(read.Tokens, page.Tokens...), page.Next, page.More
	}
	read.Epochs = slices.AppendSeq(f.Revocations.State.Epochs(), f.Registry.ClientEpochs())
	slices.SortFunc(read.Epochs, func(a, b revocation.Selector) int {
		return cmp.Or(cmp.Compare(a.ClientUID, b.ClientUID), cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.Namespace, b.Namespace), a.IssuedBefore.Compare(b.IssuedBefore))
	})
	for i := range read.Tokens {
		read.Tokens[i].Client = 0 // a number of one process
	}
	return read
}

// collapses is a selector that a token server wrote, and the batch of a client of which it leaves
// one token.
func collapses(shop revocation.Client) (selector, batch Revocation) {
	s := revocation.Selector{ClientID: shop.ID, IssuedBefore: noon.Add(-time.Minute), Collapses: true}
	selector = Revocation{Name: s.Name(), Version: 13, Selector: &s}
	batch = Revocation{Name: "own", Version: 12, WrittenAt: noon, Batch: revocation.Batch{Clients: []revocation.Client{shop}}}
	for i, issued := range []time.Duration{-2 * time.Minute, -time.Second} {
		entry := revocation.NewEntry(revocation.ID{byte(i + 40)}, noon.Add(issued+time.Hour))
		entry.IssuedAt, entry.Client = uint32(noon.Add(issued).Unix()), 1 //nolint:gosec // a date of our time
		batch.Batch.Tokens = append(batch.Batch.Tokens, entry)
	}
	return selector, batch
}

func TestTheFeedIsTheSameAfterAStartFromASnapshot(t *testing.T) {
	f, asked := filled(t), reporting
	asked.Revocation.Asked, asked.Revocation.Before = noon.Add(-time.Second), noon.Add(-time.Second)
	f.Registry.Apply(clientRecord(t, asked))
	shop := revocation.Client{ID: reporting.ID, Namespace: reporting.Namespace}
	selector, batch := collapses(shop)
	f.Revocations.Apply(batch)
	f.Revocations.Apply(selector)
	f.Revocations.Apply(Revocation{Name: "leaked", Version: 14, Selector: &revocation.Selector{ClientID: "orders.app", IssuedBefore: noon}})
	f.Revocations.State.Quarantine(map[string]revocation.Selector{
		quarantinePrefix + "a": {ClientID: "orders.old", IssuedBefore: noon.Add(-time.Minute)},
		quarantinePrefix + "b": {Namespace: "orders", IssuedBefore: noon.Add(-time.Hour)},
	})
	f.Revocations.State.Sweep(noon)
	before := readFeed(f, "")
	if len(before.Tokens) != 2 || len(before.Epochs) != 7 {
		t.Fatalf("the memory has %+v", before)
	}

	s, err := ReadSnapshot(written(t, f))
	must(t, err)
	g := newFixture()
	load(g, s)
	after := readFeed(g, "")
	after.Next = before.Next // the version of the file's list
	if diff := gocmp.Diff(before, after, gocmp.Comparer(func(a, b revocation.Cursor) bool { return a.String() == b.String() })); diff != "" {
		t.Errorf("read anew (-before +after):\n%s", diff)
	}
	if on := readFeed(g, before.Next.String()); !gocmp.Equal(on.Epochs, before.Epochs) {
		t.Errorf("read on (-before +after):\n%s", gocmp.Diff(before.Epochs, on.Epochs))
	}
	young := revocation.Entry{IssuedAt: 1}
	if (f.Revocations.State.Room(young, shop) == nil) != (g.Revocations.State.Room(young, shop) == nil) || !g.Revocations.State.Selectors()[selector.Name].Collapses {
		t.Error("the selector of a token server is another one after the start")
	}

	// The first list of the API server follows. What is in quarantine stays.
	g.Revocations.Replace(slices.Values([]Revocation{selector, batch, {Name: "leaked", Version: 14, Selector: &revocation.Selector{ClientID: "orders.app", IssuedBefore: noon}},
		{Name: "all", Version: 10, Selector: &revocation.Selector{Namespace: "shop", IssuedBefore: noon.Add(-time.Hour)}}}), restore.List{Version: 120})
	g.Revocations.State.Sweep(noon)
	listed := readFeed(g, before.Next.String())
	if diff := gocmp.Diff(before.Epochs, listed.Epochs); diff != "" {
		t.Errorf("after the first list (-before +after):\n%s", diff)
	}
	if diff := gocmp.Diff(before.Tokens, listed.Tokens); diff != "" {
		t.Errorf("the tokens of a reader that reads on over the first list (-before +after):\n%s", diff)
	}
}

// A replica revokes a token by a request, and does not see the batch that it wrote, because the
// watch is away until the manager has merged that batch. A reader that has read up to version 100,
// which is that of the snapshot too, must get the token all the same.
func TestATokenIsInTheFeedAlthoughItsBatchWasMergedUnseen(t *testing.T) {
	for name, start := range map[string]func(*fixture) *fixture{
		"the replica goes on": func(f *fixture) *fixture { return f },
		"the replica starts again, from a snapshot": func(f *fixture) *fixture {
			s, err := ReadSnapshot(written(t, f))
			must(t, err)
			g := newFixture()
			load(g, s)
			return g
		},
		"the replica starts again, and the API server is back": func(f *fixture) *fixture {
			s, err := ReadSnapshot(written(t, f))
			must(t, err)
			g := newFixture()
			g.Begin(s)
			return g
		},
	} {
		f := filled(t)
		token := revocation.NewEntry(revocation.ID{77}, noon.Add(time.Hour))
		f.Revocations.State.Revoke(token, revocation.Client{}, noon)
		f = start(f)
		f.Revocations.Replace(slices.Values([]Revocation{
			{Name: "merged", Version: 140, Batch: revocation.Batch{Tokens: []revocation.Entry{token}}},
		}), restore.List{Version: 150})
		if read := readFeed(f, "100"); !slices.Contains(read.Tokens, token) {
			t.Errorf("%s: the reader does not get the token", name)
		}
	}
}
