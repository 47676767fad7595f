// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"fmt"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hallpass-dev/hallpass/internal/usage"
)

// namespaced has refusals of clients whose UIDs begin with their namespaces, such as shop/1.
func namespaced(clock *clocktesting.FakePassiveClock) (r *Refusals, report func(name string, at int, uids ...string) int) {
	r = newRefusals(clock, 10*time.Minute)
	namespaces := map[usage.Key]string{}
	r.namespaceOf = func(key usage.Key) string { return namespaces[key] }
	return r, func(name string, at int, uids ...string) int {
		refusals := make([]usage.Refusal, 0, len(uids))
		for _, uid := range uids {
			namespaces[usage.KeyOf(uid)], _, _ = strings.Cut(uid, "/")
			refusals = append(refusals, refusal(uid, "WrongSecret", 1, at))
		}
		usage.SortRefusals(refusals)
		return r.merge(name, refusals)
	}
}

// clientsOf are n clients of a namespace.
func clientsOf(namespace string, from, n int) (uids []string) {
	for i := range n {
		uids = append(uids, fmt.Sprint(namespace, "/", from+i))
	}
	return uids
}

// remembered is how many clients of each namespace are remembered.
func remembered(r *Refusals) map[string]int {
	n := map[string]int{}
	for _, c := range r.clients {
		n[c.Namespace]++
	}
	return n
}

// One namespace has more refused clients than are remembered, in the reports of many replicas.
func TestAFloodOfRefusalsInReportsDisplacesNoOtherNamespace(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(at(0))
	r, report := namespaced(clock)
	report("early", 0, "shop/early")
	clock.SetTime(at(60))
	for i := range 2 * maxRefused / 1024 {
		report(fmt.Sprint("flood-", i), 60, clientsOf("hostile", i*1024, 1024)...)
	}
	if forgotten := report("late", 60, "shop/late"); forgotten != 0 {
		t.Errorf("%d are forgotten for one client", forgotten)
	}
	got := remembered(r)
	if got["shop"] != 2 || got["hostile"] < maxRefused/2 || len(r.clients) > maxRefused || r.queue.Len() != len(r.clients) {
		t.Errorf("remembered %v, %d wait", got, r.queue.Len())
	}
	shop := map[usage.Key]bool{usage.KeyOf("shop/early"): true, usage.KeyOf("shop/late"): true}
	for range 4 { // two namespaces in turn
		key, _, _, _ := r.next()
		delete(shop, key)
	}
	if len(shop) != 0 {
		t.Errorf("%d clients of the other namespace wait for longer than two turns of the flood", len(shop))
	}
}

// The table of a replica has room for 1,024 clients, and its report names others each minute.
func TestAReportReplacesWhatItHadBefore(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(at(0))
	r, report := namespaced(clock)
	for now := range 100 {
		clock.SetTime(at(now))
		report("replica", now, append(clientsOf("hostile", now*100, 100), "shop/1")...)
		if r.stored != 101 {
			t.Fatalf("minute %d: %d refusals are remembered of a report with 101", now, r.stored)
		}
		drainRefusals(r)
	}
	r.merge("replica", nil)
	if r.stored != 0 {
		t.Errorf("%d refusals of a report without any", r.stored)
	}
}

func TestMoreNamespacesThanClientsAreRemembered(t *testing.T) {
	r, report := namespaced(clocktesting.NewFakePassiveClock(at(10)))
	r.most = 8
	for i := range 20 {
		if report(fmt.Sprint("report-", i), i/2, fmt.Sprint("namespace-", i, "/1")); len(r.clients) > r.most || len(r.clients) == 0 {
			t.Fatalf("%d clients", len(r.clients))
		}
	}
	if got := remembered(r); got["namespace-19"] != 1 || got["namespace-0"] != 0 {
		t.Errorf("the least recent one is not what makes room: %v", got)
	}
}

// A client whose status was just written is remembered, or its status could change again at once.
func TestAClientWhoseStatusWasJustWrittenIsForgottenLast(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(at(0))
	r, report := namespaced(clock)
	r.most = 8
	report("first", 0, "hostile/told")
	drainRefusals(r)
	clock.SetTime(at(5))
	for i := range 10 {
		report(fmt.Sprint("report-", i), 5, clientsOf("hostile", i*4, 4)...)
	}
	if r.Told("hostile/told") == nil {
		t.Error("it is forgotten before others")
	}
	clock.SetTime(at(30))
	for i := range 10 {
		report(fmt.Sprint("later-", i), 30, clientsOf("hostile", 100+i*4, 4)...)
	}
	if r.Told("hostile/told") != nil {
		t.Error("it is remembered longer than others")
	}
}

// The refusals of one namespace's few clients fill the table, by reports of many processes.
func TestTheRefusalsOfOneNamespaceDisplaceThoseOfNoOther(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(at(0))
	r, report := namespaced(clock)
	r.mostStored = 80
	report("early", 0, clientsOf("shop", 0, 10)...)
	for now := range 100 {
		clock.SetTime(at(now))
		report(fmt.Sprint("process-", now), now, clientsOf("hostile", 0, 5)...)
	}
	stored := map[string]int{}
	for _, c := range r.clients {
		for _, refusals := range c.reported {
			stored[c.Namespace] += len(refusals)
		}
	}
	if stored["shop"] != 10 || stored["hostile"] < 40 || r.stored > r.mostStored {
		t.Errorf("%v refusals are remembered, %d in all", stored, r.stored)
	}
}

// An object may be reported before the watch has it.
func TestAClientJoinsTheLineOfItsNamespaceOnceThatIsKnown(t *testing.T) {
	r := newRefusals(clocktesting.NewFakePassiveClock(at(0)), time.Minute)
	r.merge("one", []usage.Refusal{refusal("c", "WrongSecret", 1, 0)})
	r.namespaceOf = func(usage.Key) string { return "shop" }
	r.merge("one", []usage.Refusal{refusal("c", "WrongSecret", 2, 0)})
	if got := remembered(r); got["shop"] != 1 || r.queue.LenOf("shop") != 1 {
		t.Errorf("remembered %v, %d wait", got, r.queue.Len())
	}
}

// The clients of one namespace were all used before one of another namespace.
func TestTheUsesOfOneNamespaceDelayThoseOfNoOther(t *testing.T) {
	l := NewLedger(clocktesting.NewFakePassiveClock(noon), time.Hour)
	l.watchNamespaces(func(key usage.Key) string {
		if key == usage.KeyOf("shop/1") {
			return "shop"
		}
		return "busy"
	})
	for _, uid := range clientsOf("busy", 0, 10_000) {
		l.merge([]usage.Entry{used(uid, noon.Add(-time.Hour))})
	}
	l.merge([]usage.Entry{used("shop/1", noon)})
	first, _, _, _ := l.next()  //nolint:dogsled // the others are tested elsewhere
	second, _, _, _ := l.next() //nolint:dogsled // as above
	if shop := usage.KeyOf("shop/1"); first != shop && second != shop {
		t.Error("the use of the other namespace is not among the first two")
	}
}
