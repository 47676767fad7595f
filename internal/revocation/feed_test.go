// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

func numbered(n int, end time.Time) Entry {
	var id ID
	binary.BigEndian.PutUint64(id[4:], uint64(n)*0x9e3779b97f4a7c15) //nolint:gosec // any spread will do
	id[0] = byte(n * 151 >> 3 & 0xff)
	return NewEntry(id, end)
}

func TestCursorsOfTheFeed(t *testing.T) {
	for _, text := range []string{"0", "17", "18446744073709551615", "5." + (ID{3}).String()} {
		c, err := ParseCursor(text)
		if err != nil || c.String() != text {
			t.Errorf("%q reads as %q: %v", text, c, err)
		}
	}
	for _, text := range []string{"x", "-1", "01", "1.", "1.AA", "1." + (ID{}).String() + "A", "18446744073709551616", ".", "5.\n" + (ID{}).String(), "5." + (ID{}).String() + "\r\n", "+5", "5." + (ID{}).String()[:21] + "B"} {
		if _, err := ParseCursor(text); !errors.Is(err, errCursor) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseFeedCursor(f *testing.F) {
	f.Add("")
	f.Add("12")
	f.Add("12.AwAAAAAAAAAAAAAAAAAAAA\n")
	f.Add("12.AwAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCursor(text)
		if err == nil && text != "" && c.String() != text {
			t.Errorf("%q reads as %q", text, c)
		}
	})
}

// A client that revokes one token in each batch fills the order of arrival with batches. They count
// beside their tokens.
func TestTheOrderOfArrivalIsBoundedInBytes(t *testing.T) {
	entryBytes, batchBytes := int(reflect.TypeFor[Entry]().Size()), int(reflect.TypeFor[arrival]().Size())
	for name, each := range map[string]int{"batches of one": 1, "batches of ten": 10, "full batches": MaxBatch} {
		t.Run(name, func(t *testing.T) {
			var a arrivals
			version := uint64(0)
			for range 2*feedLog/each + 1 {
				version++
				a.note(version, make([]Entry, each, 2*each))
			}
			bytes, tokens := cap(a.batches)*batchBytes, 0
			for _, batch := range a.batches {
				bytes, tokens = bytes+cap(batch.tokens)*entryBytes, tokens+len(batch.tokens)
			}
			if most := MostArrivals * EntryBytes; bytes > most {
				t.Errorf("%d bytes, more than %d", bytes, most)
			}
			if tokens < feedLog/8 {
				t.Errorf("only %d revocations are kept", tokens)
			}
			if page, known := a.since(version-1, noon); !known || page.More {
				t.Errorf("the last batch is not there: %v, %t", page.Next, known)
			}
			if _, known := a.since(0, noon); known {
				t.Error("a reader that missed what was dropped is not told")
			}
		})
	}
}

// A reader that changes between replicas, one of which is behind and one of which was started late,
// receives every revocation, whatever was merged meanwhile and however little a replica remembers.
func TestTheFeedTellsEverythingAtWhateverReplica(t *testing.T) {
	type object struct {
		version uint64
		batch   Batch
		merged  bool
	}
	seeds := uint64(10)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		random := rand.New(rand.NewPCG(seed, 11)) //nolint:gosec // a test that can be repeated
		now, end := noon, noon.Add(time.Hour)
		replicas := [3]*State{{}, {}, {}}
		progress := [3]int{}
		var objects []object
		told, all := map[ID]bool{}, map[ID]bool{}
		cursor := Cursor{listing: true}
		made := 0
		for step := range 400 {
			next := object{version: uint64(10 * (step + 1))}
			if random.IntN(20) == 0 && len(objects) > 3 {
				next.merged = true
				for _, o := range objects[len(objects)-3:] {
					next.batch.Tokens = append(next.batch.Tokens, o.batch.Tokens...)
				}
			} else {
				for range 1 + random.IntN(600) {
					token := numbered(made, end)
					made++
					next.batch.Tokens = append(next.batch.Tokens, token)
					all[token.ID] = true
				}
				// by a request, before the watch brings it
				replicas[random.IntN(2)].Revoke(next.batch.Tokens[0], Client{}, now)
			}
			objects = append(objects, next)
			for i, r := range replicas {
				// started late: it lists what there is then
				if i == 2 && step < 300 {
					continue
				}
				for progress[i] < len(objects) && (i == 0 || random.IntN(3) > 0) {
					o := objects[progress[i]]
					r.LearnAt(o.version, o.batch, o.merged, now)
					progress[i]++
				}
			}
			if random.IntN(4) == 0 {
				i := random.IntN(3)
				if i == 2 && step < 300 {
					i = 0
				}
				page := replicas[i].Feed(cursor, now)
				if len(page.Tokens) > pageSize {
					t.Fatalf("a page of %d", len(page.Tokens))
				}
				for _, token := range page.Tokens {
					told[token.ID] = true
				}
				cursor = page.Next
			}
		}
		for more := true; more; {
			page := replicas[0].Feed(cursor, now)
			for _, token := range page.Tokens {
				told[token.ID] = true
			}
			cursor, more = page.Next, page.More
		}
		if len(told) != len(all) {
			t.Fatalf("seed %d: %d of %d are told", seed, len(told), len(all))
		}
		if page := replicas[0].Feed(cursor, now); len(page.Tokens) != 0 || page.Next != cursor {
			t.Errorf("a reader that has everything is told %d more", len(page.Tokens))
		}
	}
}

func TestAReplicaThatBeganWithASnapshotTellsEverythingAnew(t *testing.T) {
	var r State
	r.Learn(Batch{Tokens: []Entry{numbered(1, noon.Add(time.Hour))}}, noon)
	r.Resume(100)
	if page := r.Feed(Cursor{version: 50}, noon); len(page.Tokens) != 1 || page.Next.String() != "100" {
		t.Errorf("from before: %d tokens, next %s", len(page.Tokens), page.Next)
	}
	if page := r.Feed(Cursor{version: 100}, noon); len(page.Tokens) != 0 {
		t.Errorf("from then on: %d tokens", len(page.Tokens))
	}
	r.Rewind(60) // a backup was restored
	r.LearnAt(61, Batch{Tokens: []Entry{numbered(2, noon.Add(time.Hour))}}, false, noon)
	anew := r.Feed(Cursor{listing: true}, noon)
	if len(anew.Tokens) != 2 || anew.Next.String() != "61" {
		t.Errorf("read anew: %d tokens, next %s", len(anew.Tokens), anew.Next)
	}
	r.LearnAt(62, Batch{Tokens: []Entry{numbered(3, noon.Add(time.Hour))}}, false, noon)
	if page := r.Feed(anew.Next, noon); len(page.Tokens) != 1 {
		t.Errorf("and on: %d tokens", len(page.Tokens))
	}
}
