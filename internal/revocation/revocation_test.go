// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	mathrand "math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestTheIDOfOurTokensIsTheirJTI(t *testing.T) {
	raw := ID{1, 2, 3, 0xff}
	if got := IDOf(raw.String()); got != raw {
		t.Errorf("%s is %x", raw, got)
	}
	seen := map[ID]string{}
	for _, text := range []string{"", "a", raw.String(), raw.String() + "A", raw.String()[:21], raw.String()[:20] + "\r\n", "AQIDAAAAAAAAAAAAAAAAAB", "!QIDAAAAAAAAAAAAAAAAAA"} {
		id := IDOf(text)
		if other, there := seen[id]; there {
			t.Errorf("%q and %q have one id", text, other)
		}
		seen[id] = text
	}
	if AssertionIDOf("ab", "c") == AssertionIDOf("a", "bc") {
		t.Error("two pairs of client and jti have one id")
	}
}

func TestRevocationsReadAsTheyWereWritten(t *testing.T) {
	list := []Entry{
		NewEntry(ID{1}, noon), NewEntry(ID{0xff, 15: 7}, noon.Add(1)),
		NewEntry(ID{}, time.Unix(-5, 0)), NewEntry(ID{2}, noon.AddDate(500, 0, 0)),
	}
	got, err := Decode(Encode(list))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(list, got); diff != "" {
		t.Error(diff)
	}
	if until := got[1].ExpiresAt(); !until.Equal(noon.Add(time.Second)) {
		t.Errorf("a fraction of a second is not rounded up: %s", until)
	}
	text := func(size int) string { return base64.StdEncoding.EncodeToString(make([]byte, size)) }
	for name, encoded := range map[string]string{
		"a part of one": text(19), "one and a part": text(21), "more than a batch has": text(20 * (MaxBatch + 1)),
		"no base64": "****", "bits beside the bytes": text(20)[:26] + "B=", "no padding": text(20)[:27],
		"a line break": text(20) + "\n", "lines of four": text(3) + "\r\n" + text(17),
	} {
		if _, err := Decode(encoded); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeRevocations(f *testing.F) {
	f.Add("")
	f.Add(Encode(make([]Entry, 1)))
	f.Add(Encode(make([]Entry, 3)))
	f.Add("AAAA")
	f.Add("AAAA\n")
	f.Fuzz(func(t *testing.T, encoded string) {
		list, err := Decode(encoded)
		if err == nil && Encode(list) != encoded {
			t.Errorf("%q reads as %v", encoded, list)
		}
	})
}

func TestMergingKeepsEachOnceWithItsLaterEnd(t *testing.T) {
	at := func(id byte, minutes int) Entry {
		return NewEntry(ID{id}, noon.Add(time.Duration(minutes)*time.Minute))
	}
	of := func(r Entry, issued uint32, client uint32) Entry {
		r.IssuedAt, r.Client = issued, client
		return r
	}
	shop, orders := Client{"shop.app", "shop"}, Client{"orders.app", "orders"}
	batches := []Batch{
		{Tokens: []Entry{at(3, 5), of(at(1, 5), 7, 1), at(2, 0)}, Assertions: []Entry{at(8, 0), at(9, 1)}, Clients: []Client{shop}},
		{},
		{Tokens: []Entry{of(at(1, 9), 7, 2), of(at(3, 5), 7, 1), at(4, -1), of(at(5, 5), 6, 2), of(at(6, 5), 6, 1)}, Clients: []Client{orders, shop}},
	}
	covered := func(r Entry, client Client) bool { return client == shop && r.IssuedAt < 7 }
	got := Merge(Margins{Tokens: noon, Assertions: noon.Add(-time.Second)}, covered, batches...)
	want := Batch{
		Tokens:     []Entry{of(at(1, 9), 7, 1), of(at(3, 5), 7, 2), of(at(6, 5), 6, 2)},
		Assertions: []Entry{at(8, 0), at(9, 1)},
		Clients:    []Client{shop, orders},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A set does what a map would, through additions, repetitions and sweeps.
func TestASetOfRevocationsIsAMap(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(1, 2)) //nolint:gosec // a test that can be repeated
	anID := func() ID {
		n := random.Uint64()
		return ID{byte(n & 3), byte(n >> 8 & 0xff), byte(n >> 16 & 3)}
	}
	var set Set
	model := map[ID]uint32{}
	now := noon
	for step := range 20_000 {
		id := anID()
		r := NewEntry(id, now.Add(time.Duration(random.IntN(120)-10)*time.Second))
		_, there := model[id]
		if news := set.Add(r, now); news != (!there && !r.Expired(now)) {
			t.Fatalf("step %d: adding %v: news %v", step, r, news)
		}
		if !r.Expired(now) {
			model[id] = max(model[id], r.Until)
		}
		if step%500 == 0 {
			now = now.Add(10 * time.Second)
			set.Sweep(now)
			for id, until := range model {
				if (Entry{ID: id, Until: until}).Expired(now) {
					delete(model, id)
				}
			}
		}
		probe := anID()
		until, there := model[probe]
		if set.Has(probe, now) != (there && !(Entry{Until: until}).Expired(now)) {
			t.Fatalf("step %d: %x is there: %v", step, probe, set.Has(probe, now))
		}
		if set.Len() != len(model) {
			t.Fatalf("step %d: %d instead of %d", step, set.Len(), len(model))
		}
	}
	var paged []Entry
	for from := (ID{}); ; {
		page := set.From(from, 7, now)
		paged = append(paged, page...)
		if len(page) < 7 {
			break
		}
		from = page[6].ID
		paged = paged[:len(paged)-1] // the next page begins with it
	}
	if len(paged) != len(model) || !slices.IsSortedFunc(paged, compareEntries) {
		t.Errorf("paged through %d instead of %d", len(paged), len(model))
	}
}

// A million live revocations take at most 64 MiB; what is measured here is below half of that,
// because the garbage collector lets a heap double.
func TestAMillionRevocationsAreSmall(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	set, id := &Set{}, ID{}
	random := mathrand.New(mathrand.NewPCG(3, 4)) //nolint:gosec // a test that can be repeated
	for range 1_000_000 {
		binary.LittleEndian.PutUint64(id[:], random.Uint64())
		set.Add(NewEntry(id, noon.Add(time.Hour)), noon)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if set.Len() != 1_000_000 {
		t.Fatalf("%d in the set", set.Len())
	}
	if after.HeapAlloc > before.HeapAlloc+32<<20 {
		t.Errorf("a million take %d KiB", (after.HeapAlloc-before.HeapAlloc)>>10)
	}
	set.Sweep(noon.Add(time.Hour))
	runtime.GC()
	runtime.ReadMemStats(&after)
	if after.HeapAlloc > before.HeapAlloc+1<<20 || set.Len() != 0 {
		t.Errorf("after they expired %d take %d KiB", set.Len(), (after.HeapAlloc-before.HeapAlloc)>>10)
	}
	runtime.KeepAlive(set)
}

func TestSelectorsInQuarantineHoldBesideThoseOfObjects(t *testing.T) {
	var r State
	before := func() time.Time { return r.RevokedBefore("shop.reporting", "shop") }
	quarantine := func(issued time.Time) func() {
		return func() {
			r.Quarantine(map[string]Selector{"q": {ClientID: "shop.reporting", IssuedBefore: issued}, "n": {Namespace: "orders", IssuedBefore: issued}})
		}
	}
	for _, step := range []struct {
		name string
		do   func()
		want time.Time
	}{
		{"one is in quarantine", quarantine(noon), noon},
		{"again, with less", quarantine(noon.Add(-time.Hour)), noon},
		{"again, with more", quarantine(noon.Add(time.Minute)), noon.Add(time.Minute)},
		{"nothing", func() { r.Quarantine(nil) }, noon.Add(time.Minute)},
		{"a list has none", func() { r.KeepSelected(nil) }, noon.Add(time.Minute)},
		{"an object says more", func() {
			r.Select("o", Selector{Namespace: "shop", IssuedBefore: noon.Add(time.Hour)})
		}, noon.Add(time.Hour)},
		{"it is too early to end", func() { r.EndQuarantine(noon) }, noon.Add(time.Hour)},
		{"the object is gone", func() { r.Deselect("o") }, noon.Add(time.Minute)},
		{"it is over", func() { r.EndQuarantine(noon.Add(time.Minute)) }, time.Time{}},
	} {
		step.do()
		if got := before(); !got.Equal(step.want) {
			t.Errorf("%s: revoked before %s, want %s", step.name, got, step.want)
		}
	}
	if left := r.Selectors(); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestRevocationsAreHonouredByIDAndBySelector(t *testing.T) {
	var r State
	claims := oauth2.Claims{ID: ID{9}.String(), ClientID: "shop.reporting", IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}
	revoked := func() bool { return r.Revoked(claims, "shop", noon) }
	if revoked() {
		t.Error("nothing was revoked")
	}
	selecting := func(name string, s Selector) func() { return func() { r.Select(name, s) } }
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"another client", selecting("a", Selector{ClientID: "shop.billing", IssuedBefore: noon.Add(1)}), false},
		{"another namespace", selecting("b", Selector{Namespace: "orders", IssuedBefore: noon.Add(1)}), false},
		{"a namespace that is called like the client", selecting("c", Selector{Namespace: "shop.reporting", IssuedBefore: noon.Add(1)}), false},
		{"the second of issue", selecting("d", Selector{ClientID: "shop.reporting", IssuedBefore: noon}), false},
		{"the client", selecting("e", Selector{ClientID: "shop.reporting", IssuedBefore: noon.Add(time.Second)}), true},
		{"an earlier one changes nothing", selecting("f", Selector{ClientID: "shop.reporting", IssuedBefore: noon.Add(-time.Hour)}), true},
		{"the object is gone", func() { r.Deselect("e") }, false},
		{"the namespace", selecting("g", Selector{Namespace: "shop", IssuedBefore: noon.Add(time.Second)}), true},
		{"a list without it", func() { r.KeepSelected(map[string]bool{"a": true}) }, false},
		{"an assertion with its id", func() {
			r.Learn(Batch{Assertions: []Entry{NewEntry(ID{9}, claims.ExpiresAt)}}, noon)
		}, false},
		{"a batch", func() {
			r.Learn(Batch{Tokens: []Entry{NewEntry(ID{9}, claims.ExpiresAt)}}, noon)
		}, true},
	} {
		step.do()
		if revoked() != step.want {
			t.Errorf("%s: revoked: %v", step.name, revoked())
		}
	}
	if !r.Used(ID{9}, noon) || r.Used(ID{9}, claims.ExpiresAt) || r.Used(ID{8}, noon) {
		t.Error("the assertion is used until it expires, and no other one")
	}
	r.Sweep(claims.ExpiresAt)
	if tokens, assertions := r.Len(); tokens+assertions != 0 {
		t.Errorf("%d and %d are left after they expired", tokens, assertions)
	}
}

func TestTheTokensOfAPersonAreRevoked(t *testing.T) {
	const sub = "user:corp:U1"
	later := noon.Add(time.Second)
	for name, c := range map[string]struct {
		selector Selector
		sub      string
		want     bool
	}{
		"the person":                                 {Selector{Subject: sub, IssuedBefore: later}, sub, true},
		"the issuer":                                 {Selector{IssuerName: "corp", IssuedBefore: later}, sub, true},
		"the second of issue":                        {Selector{Subject: sub, IssuedBefore: noon}, sub, false},
		"another person":                             {Selector{Subject: "user:corp:U2", IssuedBefore: later}, sub, false},
		"a person whose subject is longer":           {Selector{Subject: sub, IssuedBefore: later}, sub + "1", false},
		"that person of another issuer":              {Selector{Subject: "user:corp-b:U1", IssuedBefore: later}, sub, false},
		"another issuer":                             {Selector{IssuerName: "corp-b", IssuedBefore: later}, sub, false},
		"an issuer whose name begins like it":        {Selector{IssuerName: "cor", IssuedBefore: later}, sub, false},
		"the client of that token":                   {Selector{ClientID: "shop.web", IssuedBefore: later}, sub, true},
		"a client whose id is the name of an issuer": {Selector{IssuerName: "shop", IssuedBefore: later}, "shop.web", false},
		"a client, of a person's selector":           {Selector{Subject: sub, IssuedBefore: later}, "shop.web", false},
	} {
		t.Run(name, func(t *testing.T) {
			var r State
			r.Select("one", c.selector)
			claims := oauth2.Claims{ID: ID{9}.String(), Subject: c.sub, ClientID: "shop.web", IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}
			if r.Revoked(claims, "shop", noon) != c.want {
				t.Errorf("revoked: %t", !c.want)
			}
			if person := claims.Person(); c.want && c.selector.ClientID == "" && !r.RevokedBefore("", "", person).Equal(later) {
				t.Errorf("a new token of the person: %s", r.RevokedBefore("", "", person))
			}
			r.Quarantine(r.Selectors())
			r.Deselect("one")
			if r.Revoked(claims, "shop", noon) != c.want {
				t.Error("the selector does not hold while its object is missing")
			}
			for _, epoch := range r.Epochs() {
				if epoch.subject() != c.selector.subject() {
					t.Errorf("the feed has %+v", epoch)
				}
			}
		})
	}
}

func BenchmarkRevocationSetHas(b *testing.B) {
	var set Set
	ids := make([]ID, 1_000_000)
	for i := range ids {
		_, _ = rand.Read(ids[i][:])
		set.Add(NewEntry(ids[i], noon.Add(time.Hour)), noon)
	}
	for i := 0; b.Loop(); i++ {
		set.Has(ids[i%len(ids)], noon)
	}
}
