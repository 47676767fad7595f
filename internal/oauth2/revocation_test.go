// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

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
)

var revocationNoon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestTheIDOfOurTokensIsTheirJTI(t *testing.T) {
	raw := RevocationID{1, 2, 3, 0xff}
	if got := RevocationIDOf(raw.String()); got != raw {
		t.Errorf("%s is %x", raw, got)
	}
	seen := map[RevocationID]string{}
	for _, text := range []string{"", "a", raw.String(), raw.String() + "A", raw.String()[:21], raw.String()[:20] + "\r\n", "AQIDAAAAAAAAAAAAAAAAAB", "!QIDAAAAAAAAAAAAAAAAAA"} {
		id := RevocationIDOf(text)
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
	list := []Revocation{
		NewRevocation(RevocationID{1}, revocationNoon), NewRevocation(RevocationID{0xff, 15: 7}, revocationNoon.Add(1)),
		NewRevocation(RevocationID{}, time.Unix(-5, 0)), NewRevocation(RevocationID{2}, revocationNoon.AddDate(500, 0, 0)),
	}
	got, err := DecodeRevocations(EncodeRevocations(list))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(list, got); diff != "" {
		t.Error(diff)
	}
	if until := got[1].ExpiresAt(); !until.Equal(revocationNoon.Add(time.Second)) {
		t.Errorf("a fraction of a second is not rounded up: %s", until)
	}
	text := func(size int) string { return base64.StdEncoding.EncodeToString(make([]byte, size)) }
	for name, encoded := range map[string]string{
		"a part of one": text(19), "one and a part": text(21), "more than a batch has": text(20 * (MaxBatchRevocations + 1)),
		"no base64": "****", "bits beside the bytes": text(20)[:26] + "B=", "no padding": text(20)[:27],
		"a line break": text(20) + "\n", "lines of four": text(3) + "\r\n" + text(17),
	} {
		if _, err := DecodeRevocations(encoded); !errors.Is(err, ErrUnreadableRevocations) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeRevocations(f *testing.F) {
	f.Add("")
	f.Add(EncodeRevocations(make([]Revocation, 1)))
	f.Add(EncodeRevocations(make([]Revocation, 3)))
	f.Add("AAAA")
	f.Add("AAAA\n")
	f.Fuzz(func(t *testing.T, encoded string) {
		list, err := DecodeRevocations(encoded)
		if err == nil && EncodeRevocations(list) != encoded {
			t.Errorf("%q reads as %v", encoded, list)
		}
	})
}

func TestMergingKeepsEachOnceWithItsLaterEnd(t *testing.T) {
	at := func(id byte, minutes int) Revocation {
		return NewRevocation(RevocationID{id}, revocationNoon.Add(time.Duration(minutes)*time.Minute))
	}
	got := MergeRevocations(revocationNoon, []Revocation{at(3, 5), at(1, 5), at(2, 0)}, nil, []Revocation{at(1, 9), at(3, 1), at(4, -1)})
	if diff := cmp.Diff([]Revocation{at(1, 9), at(3, 5)}, got); diff != "" {
		t.Error(diff)
	}
}

// A set does what a map would, through additions, repetitions and sweeps.
func TestASetOfRevocationsIsAMap(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(1, 2)) //nolint:gosec // a test that can be repeated
	anID := func() RevocationID {
		n := random.Uint64()
		return RevocationID{byte(n & 3), byte(n >> 8 & 0xff), byte(n >> 16 & 3)}
	}
	var set RevocationSet
	model := map[RevocationID]uint32{}
	now := revocationNoon
	for step := range 20_000 {
		id := anID()
		r := NewRevocation(id, now.Add(time.Duration(random.IntN(120)-10)*time.Second))
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
				if (Revocation{ID: id, Until: until}).Expired(now) {
					delete(model, id)
				}
			}
		}
		probe := anID()
		until, there := model[probe]
		if set.Has(probe, now) != (there && !(Revocation{Until: until}).Expired(now)) {
			t.Fatalf("step %d: %x is there: %v", step, probe, set.Has(probe, now))
		}
		if set.Len() != len(model) {
			t.Fatalf("step %d: %d instead of %d", step, set.Len(), len(model))
		}
	}
	var paged []Revocation
	for from := (RevocationID{}); ; {
		page := set.From(from, 7, now)
		paged = append(paged, page...)
		if len(page) < 7 {
			break
		}
		from = page[6].ID
		paged = paged[:len(paged)-1] // the next page begins with it
	}
	if len(paged) != len(model) || !slices.IsSortedFunc(paged, compareRevocations) {
		t.Errorf("paged through %d instead of %d", len(paged), len(model))
	}
}

// A million live revocations take at most 64 MiB; what is measured here is below half of that, because the garbage collector lets
// a heap double.
func TestAMillionRevocationsAreSmall(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	set, id := &RevocationSet{}, RevocationID{}
	random := mathrand.New(mathrand.NewPCG(3, 4)) //nolint:gosec // a test that can be repeated
	for range 1_000_000 {
		binary.LittleEndian.PutUint64(id[:], random.Uint64())
		set.Add(NewRevocation(id, revocationNoon.Add(time.Hour)), revocationNoon)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if set.Len() != 1_000_000 {
		t.Fatalf("%d in the set", set.Len())
	}
	if after.HeapAlloc > before.HeapAlloc+32<<20 {
		t.Errorf("a million take %d KiB", (after.HeapAlloc-before.HeapAlloc)>>10)
	}
	set.Sweep(revocationNoon.Add(time.Hour))
	runtime.GC()
	runtime.ReadMemStats(&after)
	if after.HeapAlloc > before.HeapAlloc+1<<20 || set.Len() != 0 {
		t.Errorf("after they expired %d take %d KiB", set.Len(), (after.HeapAlloc-before.HeapAlloc)>>10)
	}
	runtime.KeepAlive(set)
}

func TestAnInstantToComeIsCutBackToTheSecondOfAsking(t *testing.T) {
	asked := revocationNoon.Add(300 * time.Millisecond)
	for name, c := range map[string]struct{ before, want time.Time }{
		"one in the past stays":                        {revocationNoon.Add(-time.Hour), revocationNoon.Add(-time.Hour)},
		"the second of asking stays":                   {revocationNoon, revocationNoon},
		"one to come takes the whole second of asking": {revocationNoon.AddDate(100, 0, 0), revocationNoon.Add(time.Second)},
	} {
		if got := CutBack(c.before, asked); !got.Equal(c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestSelectorsInQuarantineHoldBesideThoseOfObjects(t *testing.T) {
	var r Revocations
	before := func() time.Time { return r.RevokedBefore("shop.reporting", "shop") }
	quarantine := func(issued time.Time) func() {
		return func() {
			r.Quarantine(map[string]RevocationSelector{"q": {ClientID: "shop.reporting", IssuedBefore: issued}, "n": {Namespace: "orders", IssuedBefore: issued}})
		}
	}
	for _, step := range []struct {
		name string
		do   func()
		want time.Time
	}{
		{"one is in quarantine", quarantine(revocationNoon), revocationNoon},
		{"again, with less", quarantine(revocationNoon.Add(-time.Hour)), revocationNoon},
		{"again, with more", quarantine(revocationNoon.Add(time.Minute)), revocationNoon.Add(time.Minute)},
		{"nothing", func() { r.Quarantine(nil) }, revocationNoon.Add(time.Minute)},
		{"a list has none", func() { r.KeepSelected(nil) }, revocationNoon.Add(time.Minute)},
		{"an object says more", func() {
			r.Select("o", RevocationSelector{Namespace: "shop", IssuedBefore: revocationNoon.Add(time.Hour)})
		}, revocationNoon.Add(time.Hour)},
		{"it is too early to end", func() { r.EndQuarantine(revocationNoon) }, revocationNoon.Add(time.Hour)},
		{"the object is gone", func() { r.Deselect("o") }, revocationNoon.Add(time.Minute)},
		{"it is over", func() { r.EndQuarantine(revocationNoon.Add(time.Minute)) }, time.Time{}},
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
	var r Revocations
	claims := Claims{ID: RevocationID{9}.String(), ClientID: "shop.reporting", IssuedAt: revocationNoon, ExpiresAt: revocationNoon.Add(time.Hour)}
	revoked := func() bool { return r.Revoked(claims, "shop", revocationNoon) }
	if revoked() {
		t.Error("nothing was revoked")
	}
	selecting := func(name string, s RevocationSelector) func() { return func() { r.Select(name, s) } }
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"another client", selecting("a", RevocationSelector{ClientID: "shop.billing", IssuedBefore: revocationNoon.Add(1)}), false},
		{"another namespace", selecting("b", RevocationSelector{Namespace: "orders", IssuedBefore: revocationNoon.Add(1)}), false},
		{"a namespace that is called like the client", selecting("c", RevocationSelector{Namespace: "shop.reporting", IssuedBefore: revocationNoon.Add(1)}), false},
		{"the second of issue", selecting("d", RevocationSelector{ClientID: "shop.reporting", IssuedBefore: revocationNoon}), false},
		{"the client", selecting("e", RevocationSelector{ClientID: "shop.reporting", IssuedBefore: revocationNoon.Add(time.Second)}), true},
		{"an earlier one changes nothing", selecting("f", RevocationSelector{ClientID: "shop.reporting", IssuedBefore: revocationNoon.Add(-time.Hour)}), true},
		{"the object is gone", func() { r.Deselect("e") }, false},
		{"the namespace", selecting("g", RevocationSelector{Namespace: "shop", IssuedBefore: revocationNoon.Add(time.Second)}), true},
		{"a list without it", func() { r.KeepSelected(map[string]bool{"a": true}) }, false},
		{"an assertion with its id", func() {
			r.Learn(RevocationBatch{Assertions: []Revocation{NewRevocation(RevocationID{9}, claims.ExpiresAt)}}, revocationNoon)
		}, false},
		{"a batch", func() {
			r.Learn(RevocationBatch{Tokens: []Revocation{NewRevocation(RevocationID{9}, claims.ExpiresAt)}}, revocationNoon)
		}, true},
	} {
		step.do()
		if revoked() != step.want {
			t.Errorf("%s: revoked: %v", step.name, revoked())
		}
	}
	if !r.Used(RevocationID{9}, revocationNoon) || r.Used(RevocationID{9}, claims.ExpiresAt) || r.Used(RevocationID{8}, revocationNoon) {
		t.Error("the assertion is used until it expires, and no other one")
	}
	r.Sweep(claims.ExpiresAt)
	if tokens, assertions := r.Len(); tokens+assertions != 0 {
		t.Errorf("%d and %d are left after they expired", tokens, assertions)
	}
}

func BenchmarkRevocationSetHas(b *testing.B) {
	var set RevocationSet
	ids := make([]RevocationID, 1_000_000)
	for i := range ids {
		_, _ = rand.Read(ids[i][:])
		set.Add(NewRevocation(ids[i], revocationNoon.Add(time.Hour)), revocationNoon)
	}
	for i := 0; b.Loop(); i++ {
		set.Has(ids[i%len(ids)], revocationNoon)
	}
}

func TestWhoeverSaysItFirstTakesTokensBack(t *testing.T) {
	at := func(minutes int) time.Time { return revocationNoon.Add(time.Duration(minutes) * time.Minute) }
	for name, c := range map[string]struct {
		owner, asked, cut, want time.Time
	}{
		"nobody":                  {},
		"the object, in the past": {owner: at(-5), want: at(-5)},
		"the object, to come, before the manager has seen it": {owner: at(600), want: at(600)},
		"the object, to come, cut back by the manager":        {owner: at(600), asked: at(600), cut: at(0), want: at(0)},
		"another value than the manager has seen":             {owner: at(-1), asked: at(600), cut: at(-10), want: at(-1)},
		"an earlier value than the manager has seen":          {owner: at(-20), asked: at(600), cut: at(-10), want: at(-10)},
		"taken out of the object a moment ago":                {asked: at(600), cut: at(-10), want: at(-10)},
	} {
		record := Record{Client: &Client{UID: "u", RevocationAsked: c.asked, RevokedBefore: c.cut}, Owner: &Owner{UID: "u", RevokedBefore: c.owner}}
		if got := record.RevokedBefore(); !got.Equal(c.want) {
			t.Errorf("%s: %s", name, got)
		}
		claims := Claims{ClientUID: "u", IssuedAt: c.want}
		if c.want.IsZero() {
			claims.IssuedAt = revocationNoon
		}
		if got := record.TokenDenial(claims); got != "" {
			t.Errorf("%s: a token of that instant: %s", name, got)
		}
		if claims.IssuedAt = c.want.Add(-time.Second); !c.want.IsZero() && record.TokenDenial(claims) != ReasonTokenRevoked {
			t.Errorf("%s: a token of a second before is not refused", name)
		}
	}
}

func TestANewTokenIsNoneOfThoseTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		before []time.Time
		want   time.Time
	}{
		"nothing was taken back":          {nil, revocationNoon},
		"what was before":                 {[]time.Time{revocationNoon.Add(-time.Hour)}, revocationNoon},
		"up to the end of this second":    {[]time.Time{{}, revocationNoon.Add(time.Second)}, revocationNoon.Add(time.Second)},
		"what is to come for a long time": {[]time.Time{revocationNoon.Add(time.Hour)}, time.Time{}},
	} {
		got, err := IssueAt(revocationNoon, c.before...)
		if !got.Equal(c.want) || (err != nil) != c.want.IsZero() {
			t.Errorf("%s: %s %v", name, got, err)
		}
	}
}
