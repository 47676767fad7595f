// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	alice = "6f1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e5f"
	bob   = "0a1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e60"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

func TestKeys(t *testing.T) {
	if KeyOf(alice) == KeyOf(strings.ToUpper(alice)) {
		t.Error("two texts of a UUID have one key")
	}
	if KeyOf(alice) == KeyOf(bob) || KeyOf("uid-1") == KeyOf("uid-2") {
		t.Error("two UIDs have one key")
	}
	if want := (Key{0x6f, 0x1d, 0x3c, 0x1e, 0x0c, 0x1b, 0x4a, 0x57, 0x9d, 0x0a, 0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f}); KeyOf(alice) != want {
		t.Errorf("the key of a UUID is %x, want its bytes", KeyOf(alice))
	}
	if n := testing.AllocsPerRun(100, func() { KeyOf(alice) }); n > 0 {
		t.Errorf("the key of a UUID takes %v allocations", n)
	}
}

func TestMergingNeverGoesBack(t *testing.T) {
	now := MinuteOf(at(60))
	var merged Seen
	steps := []struct {
		name string
		seen Seen
		news bool
		want Seen
	}{
		{"the first report is news", Seen{Issued: 10, Credentials: []Credential{{"a", 10}}}, true, Seen{Issued: 10, Credentials: []Credential{{"a", 10}}}},
		{"the same again is none", Seen{Issued: 10, Credentials: []Credential{{"a", 10}}}, false, Seen{Issued: 10, Credentials: []Credential{{"a", 10}}}},
		{"an earlier one neither", Seen{Issued: 9, Credentials: []Credential{{"a", 2}}}, false, Seen{Issued: 10, Credentials: []Credential{{"a", 10}}}},
		{
			"another secret is", Seen{Credentials: []Credential{{"b", 4}}}, true,
			Seen{Issued: 10, Credentials: []Credential{{"a", 10}, {"b", 4}}},
		},
		{
			"what is ahead of the clock is cut", Seen{Presented: now + 1000}, true,
			Seen{Issued: 10, Presented: now, Credentials: []Credential{{"a", 10}, {"b", 4}}},
		},
		{
			"a stale use keeps its address", Seen{Stale: []Stale{{Use: oauth2.RevokedTokenUsed, Count: 3, At: 7, Source: "192.0.2.1"}}}, true,
			Seen{
				Issued: 10, Presented: now, Credentials: []Credential{{"a", 10}, {"b", 4}},
				Stale: []Stale{{Use: oauth2.RevokedTokenUsed, Count: 3, At: 7, Source: "192.0.2.1"}},
			},
		},
	}
	for _, step := range steps {
		if news := merged.Merge(step.seen, now); news != step.news {
			t.Errorf("%s: news is %t", step.name, news)
		}
		if diff := cmp.Diff(step.want, merged); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

// entriesOf is so many clients with all that a report can hold of one.
func entriesOf(clients int) []Entry {
	entries := make([]Entry, 0, clients)
	for i := range clients {
		uid := fmt.Sprintf("%08x-0c1b-4a57-9d0a-0a1b2c3d%04x", i, i*7919%(1<<16))
		used := MinuteOf(at(i % 600))
		seen := Seen{Credentials: []Credential{{fmt.Sprintf("abcdefgh%04d", i%10000), used}}}
		if i%3 != 0 {
			seen.Issued = used
		}
		if i%2 == 0 {
			seen.Presented = used
		}
		if i%10 == 0 {
			late := MinuteOf(at(i % 500))
			seen.Credentials = append(seen.Credentials, Credential{"zzzzzzzzzzzz", late})
			seen.Stale = []Stale{{Use: oauth2.PreviousSecretUsed, Count: 1, At: late, Credential: "zzzzzzzzzzzz", Source: "2001:db8::/64"}}
		}
		entries = append(entries, Entry{KeyOf(uid), seen})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return entries
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	for _, clients := range []int{0, 1, 1000} {
		entries := entriesOf(clients)
		decoded, _, err := Decode(Encode(entries))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(entries, decoded); diff != "" {
			t.Errorf("%d clients (-want +got):\n%s", clients, diff)
		}
	}
}

// partsOf are the parts of entries.
func partsOf(entries []Entry, losses ...Loss) func(part, n int) ([]Entry, []Loss) {
	return func(part, n int) ([]Entry, []Loss) {
		of := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return PartOf(e.Key, n) != part })
		if part > 0 {
			return of, nil
		}
		return of, losses
	}
}

func TestAHundredThousandClientsFitIntoAFewReports(t *testing.T) {
	entries := entriesOf(100_000)
	parts, whole := Split(1, partsOf(entries))
	if !whole || len(parts) > 32 {
		t.Fatalf("%d parts, whole %t", len(parts), whole)
	}
	total := 0
	for i, part := range parts {
		decoded, _, err := Decode(part)
		if err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
		total += len(decoded)
	}
	if total != len(entries) {
		t.Errorf("%d of %d clients are in the parts", total, len(entries))
	}
	t.Logf("%d parts of at most %d bytes", len(parts), MaxReport)
	if fewer, _ := Split(len(parts), partsOf(entriesOf(10))); len(fewer) != len(parts) {
		t.Error("parts become fewer, and clients move into ones that are written later")
	}
}

func TestADamagedReportIsRefusedWhole(t *testing.T) {
	for name, good := range map[string][]byte{
		"without losses": Encode(entriesOf(20)),
		"with losses":    Encode(entriesOf(20), Loss{"hostile", MinuteOf(noon)}, Loss{"other", 1}),
	} {
		if _, _, err := Decode(good); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for cut := range good {
			if _, _, err := Decode(good[:cut]); !errors.Is(err, ErrUnreadable) {
				t.Fatalf("%s, the first %d of %d bytes: %v", name, cut, len(good), err)
			}
		}
		if _, _, err := Decode(append(bytes.Clone(good), 0)); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s, a byte too many: %v", name, err)
		}
	}
	good := Encode(entriesOf(20))
	for name, other := range map[string][]byte{
		"a number in more bytes than it takes": append([]byte{0x81, 0}, good[1:]...),
		"a base that is no instant's":          append([]byte{1, 5}, Encode(nil)[2:]...),
	} {
		if entries, _, err := Decode(other); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %+v, %v", name, entries, err)
		}
	}
	twice := entriesOf(1)
	if _, _, err := Decode(Encode(append(twice, twice[0]))); !errors.Is(err, ErrUnreadable) {
		t.Errorf("one client twice: %v", err)
	}
}

// FuzzDecode reads reports that the token server did not write: nothing panics, nothing grows, and
// what is read can be written.
func FuzzDecode(f *testing.F) {
	f.Add(Encode(nil))
	f.Add(Encode(entriesOf(3)))
	f.Add(Encode(entriesOf(2), Loss{"hostile", 1}, Loss{"other", MinuteOf(noon)}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, losses, err := Decode(data)
		if err != nil {
			return
		}
		if len(entries)*len(Key{}) > len(data) {
			t.Fatalf("%d entries of %d bytes", len(entries), len(data))
		}
		if len(losses) > MaxLosses || lostUntil(losses, "") > maxMinute {
			t.Fatalf("losses %v", losses)
		}
		if again := Encode(entries, losses...); !bytes.Equal(again, data) {
			t.Fatalf("%x reads as %+v, which is written as %x", data, entries, again)
		}
		var merged Seen
		for _, e := range entries {
			merged.Merge(e.Seen, MinuteOf(noon))
			if merged.Last() > MinuteOf(noon) || len(merged.Credentials) > MaxCredentials || len(merged.Stale) > len(oauth2.StaleUses) {
				t.Fatalf("merged into %+v", merged)
			}
		}
	})
}
