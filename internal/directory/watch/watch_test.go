// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"errors"
	"math"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/hallpass-dev/hallpass/internal/restore"
)

func TestWhatAWatchBringsIsStripped(t *testing.T) {
	f := newFixture(nil)
	light, err := f.first.Transformer()(object("a", "8", "1"))
	must(t, err)
	if read, ok := light.(*stripped[entry]); !ok || read.Name != "a" || read.ResourceVersion != "8" || read.value != (entry{"a", "1"}) {
		t.Errorf("stripped to %+v", light)
	}
	if other, err := f.first.Transformer()(&corev1.Secret{}); err != nil || other == nil {
		t.Errorf("another object becomes %v, %v", other, err)
	}
	must(t, f.first.Replace([]any{light, object("b", "9", "2")}, "10"))
	must(t, f.first.Add(object("c", "11", "3")))
	must(t, f.first.Update(object("b", "12", "4")))
	must(t, f.first.Delete(object("a", "13", "1")))
	must(t, f.first.Resync())
	if diff := cmp.Diff(map[string]string{"b": "4", "c": "3"}, f.store.all()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]entry{{"c", "3"}}, f.added, cmp.AllowUnexported(entry{})); diff != "" || f.changes != 4 {
		t.Errorf("%d changes, added (-want +got):\n%s", f.changes, diff)
	}
	if got := f.Marks(); got["configmaps"] != 13 || got["others"] != 0 {
		t.Errorf("the sources have come to %v", got)
	}
	for name, err := range map[string]error{
		"added": f.first.Add(&corev1.Secret{}), "listed": f.first.Replace([]any{&corev1.Secret{}}, "14"),
	} {
		if err == nil {
			t.Errorf("an object of another kind is %s", name)
		}
	}
}

func TestSilenceIsThatOfTheSourceFurthestBehind(t *testing.T) {
	f := newFixture(nil)
	if f.Silence() != math.MaxInt64 || !f.Heard().IsZero() || f.Unread() != "configmaps" || f.Synced() {
		t.Errorf("before anything was read: silence %s, unread %q", f.Silence(), f.Unread())
	}
	must(t, f.first.Replace(nil, "10"))
	if f.Unread() != "others" || f.Synced() || f.Silence() != math.MaxInt64 {
		t.Errorf("after one list: silence %s, unread %q", f.Silence(), f.Unread())
	}
	must(t, f.second.Replace(nil, "10"))
	if f.Unread() != "" || !f.Synced() || !f.Heard().Equal(noon) {
		t.Errorf("after both lists: up to date until %s, unread %q", f.Heard(), f.Unread())
	}
	f.pass(time.Hour)
	must(t, f.first.Bookmark("20"))
	if got := f.Silence(); got != time.Hour {
		t.Errorf("one has a bookmark, the other is silent: %s", got)
	}
	must(t, f.second.Delete(object("a", "21", "")))
	if got := f.Silence(); got != 0 {
		t.Errorf("the other has an event: silence %s", got)
	}
}

func TestNeitherASetClockNorASleepHidesAge(t *testing.T) {
	began := time.Now()
	set := began.Round(0)
	for name, c := range map[string]struct {
		from, to time.Time
		want     time.Duration
	}{
		"an hour by both clocks":            {began, began.Add(time.Hour), time.Hour},
		"the wall clock was set back":       {set, set.Add(-time.Hour), 0},
		"the machine slept: wall clock":     {set, set.Add(24 * time.Hour), 24 * time.Hour},
		"the instant of an earlier process": {set.Add(-time.Minute), began, time.Minute},
	} {
		if got := Elapsed(c.from, c.to); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestAListThatProvesARestoreSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		version string
		objects []any
		lately  func(t *testing.T, f *fixture)
		proven  bool
	}{
		"a list that is newer":                {version: "120", objects: []any{object("a", "115", "")}},
		"a list of no number":                 {version: "x", objects: []any{object("a", "115", "")}},
		"a list of a lower revision":          {version: "90", objects: []any{object("a", "8", "")}, proven: true},
		"a list of a revision far ahead":      {version: "1000000100", objects: []any{object("a", "115", "")}, proven: true},
		"the last object in an older version": {version: "120", objects: []any{object("a", "109", "")}, proven: true},
		"the last object is gone":             {version: "120"},
		"a deleted object is back": {
			version: "120", objects: []any{object("a", "115", ""), object("b", "7", "")}, proven: true,
			lately: func(t *testing.T, f *fixture) { must(t, f.first.Delete(object("b", "109", ""))) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(nil)
			must(t, f.first.Replace([]any{object("a", "8", ""), object("b", "7", "")}, "100"))
			must(t, f.second.Replace(nil, "100"))
			must(t, f.first.Update(object("a", "110", "")))
			if c.lately != nil {
				c.lately(t, f)
			}
			f.pass(time.Minute)
			must(t, f.first.Replace(c.objects, c.version))
			if got := f.store.last(); !got.Lost.IsZero() != c.proven || c.proven && !got.Lost.Equal(noon) {
				t.Errorf("proven: %+v", got)
			}
			if proven := f.Restored() == 1; proven != c.proven || (f.Trusted() != nil) != c.proven {
				t.Errorf("restored %d times, trusted: %v", f.Restored(), f.Trusted())
			}
			if !c.proven {
				return
			}
			// The other source is not trusted before it is listed too.
			must(t, f.second.Add(object("x", "130", "")))
			must(t, f.second.Bookmark("130"))
			if f.Marks()["others"] != 100 {
				t.Error("an event counts that follows what is not known")
			}
			must(t, f.second.Replace(nil, "90"))
			if err := f.Trusted(); err != nil {
				t.Errorf("after all lists: %v", err)
			}
		})
	}
}

// A second proof within a minute waits until the minute is over; until then the object is refused.
func TestASecondProofWaits(t *testing.T) {
	f := newFixture(nil)
	must(t, f.first.Replace([]any{object("a", "8", ""), object("b", "7", "")}, "100"))
	must(t, f.second.Replace(nil, "100"))
	must(t, f.first.Delete(object("a", "101", "")))
	must(t, f.first.Delete(object("b", "102", "")))
	must(t, f.first.Add(object("a", "103", "back")))
	if f.Restored() != 1 || !errors.Is(f.Trusted(), ErrRestored) || f.store.all()["a"] != "" {
		t.Fatalf("restored %d times, %v", f.Restored(), f.store.all())
	}
	if !f.first.Report(restore.Resurrected) || f.Restored() != 1 {
		t.Error("what is known already is not acted upon")
	}
	must(t, f.first.Replace([]any{object("a", "103", "back")}, "104"))
	must(t, f.second.Replace(nil, "104"))
	f.pass(30 * time.Second)
	for range 2 {
		must(t, f.first.Add(object("b", "105", "back")))
	}
	must(t, f.first.Replace([]any{object("a", "103", "back"), object("b", "105", "back")}, "106"))
	if got := f.store.last(); f.Restored() != 1 || !got.Waiting || !got.Lost.IsZero() || f.Trusted() != nil {
		t.Errorf("restored %d times, trusted: %v, %+v", f.Restored(), f.Trusted(), got)
	}
	f.ActOnWaiting()
	if f.Restored() != 1 {
		t.Error("it does not wait")
	}
	f.pass(time.Minute)
	f.ActOnWaiting()
	f.ActOnWaiting()
	if f.Restored() != 2 || f.Trusted() == nil {
		t.Errorf("restored %d times", f.Restored())
	}
	must(t, f.first.Replace([]any{object("b", "105", "back")}, "107"))
	if got := f.store.last(); got.Lost.IsZero() || got.Waiting || got.Restores != 2 {
		t.Errorf("the list afterwards: %+v", got)
	}
}

func TestTheListOfASnapshotIsLoadedUnlessTheSourceWasRead(t *testing.T) {
	saved := slices.Values([]entry{{"a", "1"}})
	f := newFixture(nil)
	f.first.Load() // there is none
	f.first.Save(saved, noon.Add(-time.Hour), 90)
	if len(f.store.all()) > 0 || f.Unread() == "" {
		t.Error("it is used before it is loaded")
	}
	f.first.Load()
	f.second.Save(saved, noon.Add(-2*time.Hour), 80)
	f.second.Load()
	if diff := cmp.Diff(restore.List{Version: 90, Saved: true}, f.store.last()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if f.Synced() || f.Silence() != 2*time.Hour || f.Marks()["configmaps"] != 90 || f.store.all()["a"] != "1" || f.changes > 0 {
		t.Errorf("synced %t, silence %s, %v", f.Synced(), f.Silence(), f.Marks())
	}
	must(t, f.first.Replace(nil, "100"))
	f.first.Save(saved, noon, 90)
	f.first.Load()
	if len(f.store.all()) > 0 {
		t.Error("a snapshot replaces a list")
	}
}

// A list that proves a restore beside a snapshot is compared with what the snapshot had.
func TestASnapshotKnowsThatTheStoreWasRestored(t *testing.T) {
	for name, c := range map[string]struct {
		version string
		lists   []restore.List
	}{
		"a list that is newer":       {version: "100", lists: []restore.List{{Version: 100}}},
		"a list of a lower revision": {version: "80", lists: []restore.List{{Version: 90, Saved: true}, {Version: 80, Lost: noon.Add(-time.Hour), Restores: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(nil)
			f.first.Save(slices.Values([]entry{{"a", "1"}}), noon.Add(-time.Hour), 90)
			must(t, f.first.Replace(nil, c.version))
			if diff := cmp.Diff(c.lists, f.store.lists); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAReflectorListsAndWatches(t *testing.T) {
	s := &server{}
	s.set("100", object("a", "110", "2"), object("a", "8", "1"))
	f, _ := watched(t, s)
	eventually(t, "the event is stored", func() bool { return f.store.all()["a"] == "2" })
	eventually(t, "the bookmark is known", func() bool { return f.Marks()["configmaps"] == 110 })
	if f.Restored() != 0 {
		t.Errorf("restored %d times", f.Restored())
	}
}

// The event is of a revision that is none of before: nothing in it proves that the store was
// restored.
func TestAWatchIsNotTrustedBeforeTheStoreWasAsked(t *testing.T) {
	s := &server{}
	s.set("110", object("a", "110", "2"), object("a", "8", "1"))
	f, api := watched(t, s)
	eventually(t, "the event is stored", func() bool { return f.store.all()["a"] == "2" })
	s.set("50", object("a", "120", "4"), object("a", "8", "3"))
	api.CloseClientConnections()
	eventually(t, "the restore is proven", func() bool { return f.Restored() == 1 })
	eventually(t, "everything is listed again", func() bool { return !f.store.last().Lost.IsZero() })
}

func TestALookUpAsksHowFarTheStoreIs(t *testing.T) {
	s := &server{}
	api := httptest.NewServer(s)
	t.Cleanup(api.Close)
	f := newFixture(client(t, api.URL))
	must(t, f.first.Replace(nil, "100"))
	must(t, f.second.Replace(nil, "100"))
	if err := f.first.Confirm(t.Context()); err == nil {
		t.Error("an API server that does not answer is as far as it should be")
	}
	s.set("100", nil)
	must(t, f.first.Confirm(t.Context()))
	newer := f.first.Newer()
	for version, want := range map[uint64]bool{0: false, 100: false, 101: true, 1_000_000_200: false} {
		if newer(version) != want {
			t.Errorf("version %d is newer: %t", version, !want)
		}
	}
	s.set("90", nil)
	if err := f.first.Confirm(t.Context()); err == nil || f.Restored() != 1 {
		t.Errorf("a store that is behind: %v, restored %d times", err, f.Restored())
	}
	s.set("200", nil)
	if err := f.first.Confirm(t.Context()); !errors.Is(err, ErrRestored) {
		t.Errorf("before everything was listed again: %v", err)
	}
}
