// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/restore"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

func TestASnapshotHasAllThatMemoryHas(t *testing.T) {
	before := filled(t)
	if before.records.get(clientRecord(t, precise).lock).client.whole == nil {
		t.Fatal("the test wants a client that has no short form")
	}
	read, err := ReadSnapshot(written(t, before))
	must(t, err)
	if !read.Heard.Equal(noon) || read.Marks["secrets"] != 100 {
		t.Errorf("up to date until %s, %v", read.Heard, read.Marks)
	}
	after := newFixture()
	load(after, read)
	if diff := cmp.Diff(known(before), known(after)); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	if n := len(after.tombstones.all()); n != 0 {
		t.Errorf("loading notes %d tombstones", n)
	}
}

// The list of a snapshot is no news: what it lacks was not deleted, and what is terminating in it
// went before.
func TestASnapshotNotesNoTombstone(t *testing.T) {
	before := filled(t)
	going := clientObject(reporting)
	going.Owner.Terminating = true
	before.Clients.Apply(going)
	want := before.tombstones.all()
	read, err := ReadSnapshot(written(t, before))
	must(t, err)
	after := newFixture()
	after.now = noon.Add(time.Hour)
	load(after, read)
	read.Records, read.Clients, read.Tokens = none[Record], none[Client], none[Token]
	load(after, read)
	if diff := cmp.Diff(want, after.tombstones.all(), cmp.AllowUnexported(tombstone{})); diff != "" || len(want) != 1 {
		t.Errorf("(-written +read):\n%s", diff)
	}
	if after.Record(reporting.ID).Client != nil || after.Tokens.Lookup(oauth2.OpaqueID(printer.UID)).Minted != nil || after.Registry.Keys.Ring().Empty() {
		t.Error("what a list lacks is there, or its signing keys are not")
	}
}

// none is an empty list.
func none[T any](func(T) bool) {}

func TestASnapshotKeepsAQuarantine(t *testing.T) {
	before := filled(t)
	want := map[string]quarantined{
		"fixed": {since: 105}, "refreshing": {until: noon.Add(time.Hour), since: 105}, "unlisted": {},
	}
	for uid, held := range want {
		before.Tokens.quarantine.Store(uid, held)
	}
	selectors := map[string]revocation.Selector{quarantinePrefix + "all": {ClientID: reporting.ID, IssuedBefore: noon}}
	before.Revocations.State.Quarantine(selectors)
	read, err := ReadSnapshot(written(t, before))
	must(t, err)
	after := newFixture()
	after.Begin(read)
	if diff := cmp.Diff(want, after.Tokens.quarantine.all(), cmp.AllowUnexported(quarantined{})); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	if diff := cmp.Diff(selectors, after.Revocations.State.Selectors()); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	if owner := after.Tokens.Judge(&oauth2.MintedOwner{UID: "unlisted"}, 1000); !owner.Terminating {
		t.Error("what was in quarantine is accepted")
	}
}

// Every byte counts: a file that differs in one of them, or is cut short anywhere, is none.
func TestACorruptSnapshotIsRefused(t *testing.T) {
	sound := written(t, filled(t))
	if _, err := ReadSnapshot(sound); err != nil {
		t.Fatal(err)
	}
	for i := range len(sound) {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			broken := sound[:i] + string([]byte{sound[i] ^ flip}) + sound[i+1:]
			if _, err := ReadSnapshot(broken); !errors.Is(err, errSnapshot) {
				t.Fatalf("byte %d of %d changed by %#x: %v", i, len(sound), flip, err)
			}
		}
		if _, err := ReadSnapshot(sound[:i]); !errors.Is(err, errSnapshot) {
			t.Fatalf("cut at byte %d of %d: %v", i, len(sound), err)
		}
	}
	if _, err := ReadSnapshot(sound + "x"); !errors.Is(err, errSnapshot) {
		t.Errorf("a byte too much: %v", err)
	}
}

// sealed is a document with a checksum that is right.
func sealed(document string) string {
	sum := sha256.Sum256([]byte(document))
	return document + string(sum[:])
}

// numbers are varints.
func numbers(list ...int64) string {
	var w wire.Writer
	for _, n := range list {
		w.Varint(n)
	}
	return string(w.Bytes)
}

func TestASnapshotOfAnotherBuildIsRefused(t *testing.T) {
	begin := snapshotMagic + numbers(snapshotVersion, noon.UnixNano(), 0)
	place := strings.Repeat("p", len(Place{}))
	empty := func(lists int) string { return strings.Repeat("\x00", lists) }
	if _, err := ReadSnapshot(sealed(begin + empty(10))); err != nil {
		t.Fatalf("an empty one: %v", err)
	}
	for name, document := range map[string]string{
		"of a later version":                 snapshotMagic + numbers(snapshotVersion+1),
		"of the version before":              snapshotMagic + numbers(snapshotVersion-1),
		"without a version":                  snapshotMagic,
		"of something else":                  "hallpass picture" + numbers(snapshotVersion),
		"without its lists":                  begin,
		"with a list too much":               begin + empty(11),
		"with a record of no form":           begin + "\x03" + empty(10),
		"with a client that is cut short":    begin + "\x01" + place + "\x02x" + empty(10),
		"with a registration of no JSON":     begin + "\x02" + "\x02n" + "\x2ehallpass.dev/registration" + "\x00" + empty(10),
		"with an owner of no JSON":           begin + empty(1) + "\x02" + place + "\x02x" + empty(9),
		"with an OAuth2Token of no JSON":     begin + empty(2) + "\x02" + place + "\x02x" + empty(8),
		"with revoked tokens of no entries":  begin + empty(7) + "\x02" + "\x02x\x00" + empty(5),
		"with used assertions of no entries": begin + empty(7) + "\x02" + "\x00\x02x" + empty(5),
		"with generations of no form":        begin + empty(7) + "\x02" + "\x00\x00\x00" + "\x02x" + empty(3),
		"with keys of no cluster":            begin + empty(9) + "\x02" + "\x02x\x02x" + empty(1),
	} {
		if _, err := ReadSnapshot(sealed(document)); !errors.Is(err, errSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// full is a writer of a file system that has room for so many bytes.
type full int

func (f *full) Write(p []byte) (int, error) {
	if *f -= full(len(p)); *f < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

func TestASnapshotThatCannotBeWrittenIsAnError(t *testing.T) {
	f := filled(t)
	sound := len(written(t, f))
	for _, room := range []int{0, sound - sha256.Size - 20, sound - 20} {
		if _, err := f.Write(new(full(room)), noon, nil); err == nil {
			t.Errorf("it is written into %d bytes of %d", room, sound)
		}
	}
	broken := reporting
	broken.Namespace = ""
	f.Registry.clients.put(Place{1}, packed{whole: &broken})
	if _, err := f.Write(&strings.Builder{}, noon, nil); err == nil {
		t.Error("a client without a namespace is written")
	}
}

// FuzzSnapshot looks for a document that is read and cannot be written, or not be read again.
func FuzzSnapshot(f *testing.F) {
	content := written(f, filled(f))
	f.Add([]byte(content[:len(content)-sha256.Size]))
	f.Add([]byte(snapshotMagic + "\x0e\x00\x00"))
	f.Fuzz(func(t *testing.T, document []byte) {
		s, err := ReadSnapshot(sealed(string(document)))
		if err != nil {
			return
		}
		m := newFixture()
		load(m, s)
		var again strings.Builder
		if _, err := m.Write(&again, s.Heard, s.Marks); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, err := ReadSnapshot(again.String()); err != nil {
			t.Fatalf("what was read and written cannot be read: %v", err)
		}
		for c := range s.Records {
			_ = c.Client()
		}
	})
}

// ofMany is a Memory with so many clients.
func ofMany(t testing.TB, clients int) *fixture {
	t.Helper()
	f := filled(t)
	for i := range clients {
		fillOrdinary(f.Memory, ordinary(i))
	}
	return f
}

func TestASnapshotOf100000ClientsIsSmall(t *testing.T) {
	clients := 100_000
	if testing.Short() {
		clients = 10_000
	}
	// the objects of filled take some of it, too
	if size := len(written(t, ofMany(t, clients))); size > 200*clients {
		t.Errorf("%d bytes, at most %d", size, 200*clients)
	}
}

// slow is a file into which something else is written at each write.
type slow func()

func (s slow) Write(p []byte) (int, error) {
	s()
	return len(p), nil
}

// No lock is held while the file is written: changes do not wait for it.
func TestMemoryChangesWhileASnapshotIsWritten(t *testing.T) {
	f := ofMany(t, 40_000)
	writes := 0
	change := func() {
		writes++
		f.Registry.Apply(clientRecord(t, reporting))
		f.Clients.Apply(clientObject(reporting))
		f.Tokens.Apply(tokenObject(printer))
		f.Revocations.Apply(Revocation{Name: "another", Selector: &revocation.Selector{Namespace: "orders", IssuedBefore: noon}})
		f.Clients.Remove(clientObject(pod))
	}
	_, err := f.Write(slow(change), noon, nil)
	must(t, err)
	if writes < 100 {
		t.Errorf("it is written in %d pieces", writes)
	}
}

func TestMemoryIsReadWhileListsAreStored(t *testing.T) {
	f := filled(t)
	records, clients := []Record{clientRecord(t, reporting), clientRecord(t, pod)}, []Client{clientObject(reporting), clientObject(pod)}
	for i := range 2 * burst {
		f.Registry.clients.put(Place{1, byte(i), byte(i >> 8)}, pack(ordinary(i)))
	}
	var running sync.WaitGroup
	running.Go(func() {
		for range 20 {
			f.Registry.Replace(slices.Values(records), restore.List{Version: 110})
			f.Clients.Replace(slices.Values(clients), restore.List{Version: 110})
			f.Release()
		}
	})
	running.Go(func() {
		for range 20 {
			_, err := f.Write(discard{}, noon, nil)
			if err != nil {
				t.Error(err)
			}
		}
	})
	for range 1000 {
		if record := f.Record(reporting.ID); record.Client == nil || record.Owner == nil {
			t.Fatalf("a client that is in every list is not there: %+v", record)
		}
	}
	running.Wait()
}

// Loading has to take 0.4 s at most.
func BenchmarkSnapshotOf100000Clients(b *testing.B) {
	f := ofMany(b, 100_000)
	content := written(b, f)
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			size, err := f.Write(discard{}, noon, nil)
			must(b, err)
			b.ReportMetric(float64(size), "bytes")
		}
	})
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, err := ReadSnapshot(content)
			must(b, err)
			load(newFixture(), s)
		}
	})
}

// discard is a file that takes everything.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
