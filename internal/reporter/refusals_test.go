// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

func refusedTo(namespace, uid string, reason oauth2.Reason, at time.Time) oauth2.Refused {
	return oauth2.Refused{Client: uid, Namespace: namespace, Reason: reason, At: at}
}

func TestRefusalsAreCountedByClientAndReason(t *testing.T) {
	table := NewRefusals()
	first := refusedTo("shop", "a", oauth2.ReasonScopeNotGranted, noon)
	first.Subject, first.Source = "orders.wrte", "192.0.2.7"
	table.Note(first)
	same := first
	same.Subject = "of-the-same-minute"
	table.Note(same)
	later := first
	later.At, later.Subject, later.Source = noon.Add(time.Minute), "orders.reed", "192.0.2.8"
	table.Note(later)
	table.Note(refusedTo("shop", "a", oauth2.ReasonWrongSecret, noon))
	table.Note(oauth2.Refused{Client: "b", Namespace: "shop", Reason: oauth2.ReasonScopeNotGranted, At: noon, Subject: "not printable\n", Source: strings.Repeat("1", 65)})
	minute := usage.MinuteOf(noon)
	want := []usage.Refusal{
		{Key: usage.KeyOf("a"), Reason: "ScopeNotGranted", Namespace: "shop", Count: 3, At: minute + 1, Subject: "orders.reed", Source: "192.0.2.8"},
		{Key: usage.KeyOf("a"), Reason: "WrongSecret", Namespace: "shop", Count: 1, At: minute},
		{Key: usage.KeyOf("b"), Reason: "ScopeNotGranted", Namespace: "shop", Count: 1, At: minute},
	}
	usage.SortRefusals(want)
	if diff := cmp.Diff(want, table.Entries(minute)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if left := table.Entries(minute + keepRefusals + 1); len(left) != 1 || left[0].At != minute+1 {
		t.Errorf("after seven days there are %v", left)
	}
	if left := table.Entries(minute + keepRefusals + 2); len(left) != 0 {
		t.Errorf("after seven days there are %v", left)
	}
}

// noteRefusals notes a refusal of each of n clients of a namespace.
func noteRefusals(table *Refusals, namespace string, n int, reason oauth2.Reason, at time.Time) {
	for i := range n {
		table.Note(refusedTo(namespace, fmt.Sprintf("%s-%d", namespace, i), reason, at))
	}
}

// held is how many entries each namespace has.
func held(t *refusalTable) map[string]int {
	held := map[string]int{}
	for _, entry := range t.entries {
		held[entry.namespace]++
	}
	return held
}

func TestAFloodOfRefusalsOfOneNamespaceDisplacesNoOther(t *testing.T) {
	for name, reason := range map[string]oauth2.Reason{"of callers without a credential": oauth2.ReasonWrongSecret, "of callers with one": oauth2.ReasonScopeNotGranted} {
		t.Run(name, func(t *testing.T) {
			refusals := NewRefusals()
			want := map[string]int{"shop": 1}
			noteRefusals(refusals, "shop", 1, reason, noon)
			noteRefusals(refusals, "hostile", 10*usage.MaxRefusals, reason, noon.Add(time.Hour))
			for i := range 200 {
				namespace := fmt.Sprint("late-", i)
				noteRefusals(refusals, namespace, 4, reason, noon.Add(2*time.Hour))
				want[namespace] = 4
			}
			noteRefusals(refusals, "hostile", 10*usage.MaxRefusals, reason, noon.Add(3*time.Hour))
			table := refusals.others
			if reason.ProvesCaller() {
				table = refusals.proven
			}
			got := held(table)
			if n := len(table.entries); n < roomyRefusals || n > tableRefusals || len(refusals.Entries(usage.MinuteOf(noon))) != n {
				t.Errorf("%d entries", n)
			}
			delete(got, "hostile")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("entries of the other namespaces (-want +got):\n%s", diff)
			}
		})
	}
}

func TestANamespaceWithoutRefusalsAlwaysGetsAPlace(t *testing.T) {
	refusals := NewRefusals()
	for i := range usage.MaxRefusals { // more namespaces than there are places
		namespace := fmt.Sprint("namespace-", i)
		noteRefusals(refusals, namespace, 2, oauth2.ReasonWrongSecret, noon)
		if n := held(refusals.others)[namespace]; n < 1 {
			t.Fatalf("namespace %d has none", i)
		}
	}
	if n := len(refusals.others.entries); n < roomyRefusals || n > tableRefusals {
		t.Errorf("%d entries", n)
	}
	if left := refusals.Entries(usage.MinuteOf(noon) + keepRefusals + 1); len(left)+len(refusals.others.entries) != 0 {
		t.Errorf("after seven days there are %d entries", len(left))
	}
}

func TestNamespacesGiveWayInTurn(t *testing.T) {
	refusals := NewRefusals()
	noteRefusals(refusals, "quiet", 2, oauth2.ReasonWrongSecret, noon)
	for _, namespace := range []string{"one", "two"} {
		noteRefusals(refusals, namespace, tableRefusals/2-1, oauth2.ReasonWrongSecret, noon)
	}
	noteRefusals(refusals, "late", 24, oauth2.ReasonWrongSecret, noon)
	const large = (roomyRefusals - 2) / 2
	want := map[string]int{"quiet": 2, "one": large, "two": large, "late": 24}
	if diff := cmp.Diff(want, held(refusals.others)); diff != "" {
		t.Errorf("entries of each namespace (-want +got):\n%s", diff)
	}
}

func TestTheLeastRecentRefusalMakesRoom(t *testing.T) {
	const most, dropped = tableRefusals, tableRefusals - roomyRefusals
	refusals := NewRefusals()
	uid := func(i int) string { return fmt.Sprint("client-", i) }
	for i := range most { // one a minute
		refusals.Note(refusedTo("shop", uid(i), oauth2.ReasonWrongSecret, noon.Add(time.Duration(i)*time.Minute)))
	}
	for i := range 100 { // the first client is refused each minute, beside others once
		at := noon.Add(time.Duration(most+i) * time.Minute)
		refusals.Note(refusedTo("shop", uid(0), oauth2.ReasonWrongSecret, at))
		refusals.Note(refusedTo("shop", uid(most+i), oauth2.ReasonWrongSecret, at))
	}
	count := map[usage.Key]uint64{}
	for _, r := range refusals.Entries(usage.MinuteOf(noon)) {
		count[r.Key] = r.Count
	}
	for i := range most + 100 {
		want := uint64(1)
		switch {
		case i == 0:
			want = 101
		case i <= dropped:
			want = 0
		}
		if got := count[usage.KeyOf(uid(i))]; got != want {
			t.Errorf("client %d is refused %d times, want %d", i, got, want)
		}
	}
}

// Any caller that knows the ids of the clients of a namespace can flood it.
func TestAFloodWithoutCredentialsDisplacesNoRefusalWithThem(t *testing.T) {
	proving := []oauth2.Reason{
		oauth2.ReasonScopeNotGranted, oauth2.ReasonTargetNotGranted, oauth2.ReasonUnsupportedGrant, oauth2.ReasonAlgorithmNotEnabled, oauth2.ReasonTokenOfAnother,
		oauth2.ReasonSecretNotDecoded, oauth2.ReasonAssertionReplayed, oauth2.ReasonAccountTokenEnded,
	}
	refusals := NewRefusals()
	for _, reason := range proving {
		refusals.Note(refusedTo("shop", "shop-0", reason, noon))
	}
	for _, reason := range []oauth2.Reason{
		oauth2.ReasonWrongSecret, oauth2.ReasonWrongMethod, oauth2.ReasonWrongAssertion, oauth2.ReasonMalformedRequest, oauth2.ReasonSuspended,
	} {
		noteRefusals(refusals, "shop", 2*usage.MaxRefusals, reason, noon.Add(time.Hour))
	}
	left := 0
	for _, r := range refusals.Entries(usage.MinuteOf(noon)) {
		if r.At == usage.MinuteOf(noon) && r.Count == 1 {
			left++
		}
	}
	if left != len(proving) {
		t.Errorf("%d of %d are left", left, len(proving))
	}
}

func TestARefusalOfAnUnknownClientIsNotReported(t *testing.T) {
	table := NewRefusals()
	table.Note(oauth2.Refused{Reason: oauth2.ReasonUnknownClient, At: noon, Source: "192.0.2.7"})
	if entries := table.Entries(usage.MinuteOf(noon)); len(entries) != 0 {
		t.Errorf("reported: %v", entries)
	}
}

func TestARepeatedRefusalAllocatesNothing(t *testing.T) {
	table := NewRefusals()
	refused := refusedTo("shop", "6f1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e5f", oauth2.ReasonWrongSecret, noon)
	table.Note(refused)
	if n := testing.AllocsPerRun(100, func() { table.Note(refused) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRefusalsAreReportedBesideTheUsesAndWaitForThem(t *testing.T) {
	w := newWorld(t)
	w.reporter.Refusals = NewRefusals()
	w.open()
	if first := w.first().Spec; first.Refusals != nil || first.Version != v1alpha1.UsageReportWithTokenVersion || first.TokenVersion != oauth2.TokenVersion {
		t.Errorf("a report without refusals has %v, version %d", first.Refusals, first.Version)
	}
	w.reporter.Refusals.Note(refusedTo("shop", "a", oauth2.ReasonWrongSecret, w.now))
	if writes := w.walk(time.Minute); len(writes) != 1 {
		t.Errorf("writes %v, want one", writes)
	}
	spec := w.first().Spec
	got, err := usage.DecodeRefusals(spec.Refusals)
	if err != nil || len(got) != 1 || got[0].Key != usage.KeyOf("a") || spec.Version != v1alpha1.UsageReportWithTokenVersion || spec.MinReader != 1 {
		t.Errorf("%v, %v, version %d, read from %d on", got, err, spec.Version, spec.MinReader)
	}
	if writes := w.walk(5 * time.Minute); len(writes) != 0 {
		t.Errorf("writes %v, want none while nothing is refused", writes)
	}
	writes := 0
	for range 40 { // ten minutes
		w.reporter.Refusals.Note(refusedTo("shop", "a", oauth2.ReasonWrongSecret, w.now))
		writes += len(w.walk(15 * time.Second))
	}
	if writes != 10 {
		t.Errorf("a flood causes %d writes in ten minutes, want one a minute", writes)
	}
	w.use("used")
	w.reporter.Refusals.Note(refusedTo("shop", "b", oauth2.ReasonWrongSecret, w.now))
	w.walk(time.Minute)
	if _, there := w.told()[usage.KeyOf("used")]; !there {
		t.Error("the use is not reported")
	}
}

// The writes of refusals never delay those of uses: of two parts that are due, that with uses is
// first.
func TestAUseIsWrittenBeforeARefusal(t *testing.T) {
	w := newWorld(t)
	w.reporter.Refusals = NewRefusals()
	w.reporter.parts = []*part{{}, {}}
	w.open()
	if err := w.reporter.write(t.Context(), 1, v1alpha1.UsageServing, w.reporter.look()); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(5 * time.Minute) // past the interval, before the sign of life
	w.reporter.Refusals.Note(refusedTo("shop", "a", oauth2.ReasonWrongSecret, w.now))
	for i := range 100 { // one that is in part 2
		if uid := fmt.Sprint("used-", i); usage.KeyOf(uid)[len(usage.Key{})-1]%2 == 1 {
			w.use(uid)
			break
		}
	}
	w.store.writes = nil
	for range 2 {
		if err := w.reporter.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.store.writes) != 2 || !strings.Contains(w.store.writes[0], "-2") || strings.Contains(w.store.writes[1], "-2") {
		t.Errorf("writes %v, want part 2 and then part 1", w.store.writes)
	}
}
