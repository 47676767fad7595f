// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/usage"
)

func someRefusals() []usage.Refusal {
	refusals := []usage.Refusal{
		{Key: usage.KeyOf("6f1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e5f"), Reason: "WrongSecret", Count: 12, At: 29_000_000, Source: "192.0.2.7"},
		{Key: usage.KeyOf("6f1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e5f"), Reason: "ScopeNotGranted", Count: 1, At: 28_999_000, Subject: "orders.wrte"},
		{Key: usage.KeyOf("another"), Reason: "Suspended", Count: math.MaxUint64, At: 29_000_001},
	}
	usage.SortRefusals(refusals)
	return refusals
}

func TestRefusalsAreReadAsTheyWereWritten(t *testing.T) {
	want := someRefusals()
	got, err := usage.DecodeRefusals(usage.EncodeRefusals(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRefusalsThatAreNotWholeAreNotRead(t *testing.T) {
	whole := usage.EncodeRefusals(someRefusals())
	twice := someRefusals()[:1]
	for name, data := range map[string][]byte{
		"nothing":             {},
		"another version":     append([]byte{2}, whole[1:]...),
		"more than there are": append(slices.Clone(whole), 0),
		"a reason with a space": usage.EncodeRefusals([]usage.Refusal{
			{Key: usage.KeyOf("a"), Reason: "Wrong Secret", Count: 1, At: 29_000_000},
		}),
		"no reason":       usage.EncodeRefusals([]usage.Refusal{{Key: usage.KeyOf("a"), Count: 1, At: 29_000_000}}),
		"none":            usage.EncodeRefusals([]usage.Refusal{{Key: usage.KeyOf("a"), Reason: "R", At: 29_000_000}}),
		"one twice":       usage.EncodeRefusals(append(twice, twice...)),
		"a long reason":   usage.EncodeRefusals([]usage.Refusal{{Reason: strings.Repeat("R", usage.MaxReason+1), Count: 1, At: 29_000_000}}),
		"a long subject":  usage.EncodeRefusals([]usage.Refusal{{Reason: "R", Count: 1, At: 29_000_000, Subject: strings.Repeat("s", usage.MaxSubject+1)}}),
		"too many":        usage.EncodeRefusals(manyRefusals(usage.MaxRefusals+1, "", "")),
		"too many bytes":  make([]byte, usage.MaxRefusalBytes+1),
		"without an end":  whole[:len(whole)-1],
		"a number of 2^6": {1, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := usage.DecodeRefusals(data); !errors.Is(err, usage.ErrUnreadable) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	for n := range whole {
		if _, err := usage.DecodeRefusals(whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are read", n, len(whole))
		}
	}
}

func manyRefusals(n int, subject, source string) []usage.Refusal {
	refusals := make([]usage.Refusal, n)
	for i := range refusals {
		refusals[i] = usage.Refusal{
			Key: usage.KeyOf(fmt.Sprint(i)), Reason: strings.Repeat("R", usage.MaxReason), Count: math.MaxUint64, At: usage.Minute(29_000_000 - i*1000),
			Subject: subject, Source: source,
		}
	}
	usage.SortRefusals(refusals)
	return refusals
}

// The longest refusals of several namespaces do not fit into a report.
func TestTheNamespaceWithTheLongestTextsLosesItsOldest(t *testing.T) {
	const of = 64
	subject, source := strings.Repeat("s", usage.MaxSubject), strings.Repeat("1", usage.MaxSource)
	full := manyRefusals(usage.MaxRefusals, subject, source)
	for i := range full {
		if full[i].Namespace = "hostile"; i%of == 0 {
			full[i].Namespace = "shop"
		}
	}
	encoded := usage.EncodeRefusals(full)
	got, err := usage.DecodeRefusals(encoded)
	if err != nil {
		t.Fatalf("%d bytes: %v", len(encoded), err)
	}
	var oldestWith, newestWithout usage.Minute = math.MaxUint32, 0
	for i, r := range got {
		switch {
		case full[i].Namespace == "shop" && (r.Subject != subject || r.Source != source):
			t.Errorf("refusal %d of namespace shop has lost its texts", i)
		case full[i].Namespace == "shop":
		case r.Subject == "":
			newestWithout = max(newestWithout, r.At)
		default:
			oldestWith = min(oldestWith, r.At)
		}
		r.Namespace, r.Subject, r.Source = full[i].Namespace, subject, source
		if diff := cmp.Diff(full[i], r); diff != "" {
			t.Errorf("refusal %d (-want +got):\n%s", i, diff)
		}
	}
	if newestWithout == 0 || newestWithout >= oldestWith {
		t.Errorf("one of minute %d has lost its texts, and one of minute %d has not", newestWithout, oldestWith)
	}
	if len(encoded) < usage.MaxRefusalBytes-usage.MaxSubject-usage.MaxSource {
		t.Errorf("%d bytes, although more texts fit in", len(encoded))
	}
	if full[0].Subject == "" {
		t.Error("what was encoded has lost its subject")
	}
}

func FuzzDecodeRefusals(f *testing.F) {
	f.Add([]byte{})
	f.Add(usage.EncodeRefusals(someRefusals()))
	f.Add(usage.EncodeRefusals([]usage.Refusal{{Key: usage.KeyOf("a"), Reason: "R", At: 29_000_000}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		refusals, err := usage.DecodeRefusals(data)
		if err != nil {
			return
		}
		for _, r := range refusals {
			if r.Count == 0 || r.At == 0 || r.Reason == "" || !usage.Printable(r.Reason, usage.MaxReason) || !usage.Printable(r.Subject, usage.MaxSubject) ||
				!usage.Printable(r.Source, usage.MaxSource) {
				t.Errorf("out of bounds: %+v", r)
			}
		}
		again, err := usage.DecodeRefusals(usage.EncodeRefusals(refusals))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(refusals, again); diff != "" {
			t.Error(diff)
		}
	})
}
