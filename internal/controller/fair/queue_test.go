// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package fair

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
)

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// add is a request that is added: "a/1" at once, "a/1 low" with a low priority, "a/1 later" after a
// second.
type add string

func (a add) to(q queue) {
	what, how, _ := strings.Cut(string(a), " ")
	namespace, name, _ := strings.Cut(what, "/")
	var o priorityqueue.AddOpts
	switch how {
	case "low":
		o.Priority = new(handler.LowPriority)
	case "later":
		o.After = time.Second
	case "low, later":
		o.Priority, o.After = new(handler.LowPriority), time.Second
	case "again":
		o.RateLimited = true
	}
	q.AddWithOpts(o, request(namespace, name))
}

func TestTheOrderOfAQueue(t *testing.T) {
	for name, c := range map[string]struct {
		added []add
		want  string
	}{
		"requests of one namespace come in their order": {[]add{"a/1", "a/2", "a/3"}, "a/1 a/2 a/3"},
		"namespaces take turns":                         {[]add{"a/1", "a/2", "a/3", "b/1", "b/2", "c/1"}, "a/1 b/1 c/1 a/2 b/2 a/3"},
		"a request that waits is there once":            {[]add{"a/1", "a/1", "a/2", "a/1 low"}, "a/1 a/2"},
		"a low priority waits":                          {[]add{"a/1 low", "b/1 low", "c/1"}, "c/1 a/1(-100) b/1(-100)"},
		"a priority is raised":                          {[]add{"a/1 low", "a/2 low", "a/2"}, "a/2 a/1(-100)"},
		"a priority is not lowered":                     {[]add{"a/1", "a/1 low", "b/1"}, "a/1 b/1"},
		"a request that was served comes again":         {[]add{"a/1 low", "a/1", "a/2", "a/3"}, "a/1 a/2 a/3"},
		"what is added for later has its turn then":     {[]add{"a/1 later", "b/1"}, "b/1 a/1"},
		"what is added for later keeps its priority":    {[]add{"a/1 low, later"}, "a/1(-100)"},
		"what failed comes again":                       {[]add{"a/1 again"}, "a/1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue("", attempt.RateLimiter(), func(r reconcile.Request) string { return r.Namespace })
				defer q.ShutDown()
				for _, a := range c.added {
					a.to(q)
				}
				var served []string
				for range strings.FieldsSeq(c.want) {
					got, priority, _ := q.GetWithPriority()
					text := got.String()
					if priority != 0 {
						text += "(" + strconv.Itoa(priority) + ")"
					}
					served = append(served, text)
					q.Done(got)
				}
				if diff := cmp.Diff(c.want, strings.Join(served, " ")); diff != "" || q.Len() > 0 {
					t.Errorf("%d are left (-want +got):\n%s", q.Len(), diff)
				}
			})
		})
	}
}

// TestUrgentWorkThatNeverEnds leaves turns for what is less urgent.
func TestUrgentWorkThatNeverEnds(t *testing.T) {
	q := newQueue("", attempt.RateLimiter(), func(r reconcile.Request) string { return r.Namespace })
	defer q.ShutDown()
	for i := range 3 {
		add("low/" + strconv.Itoa(i) + " low").to(q)
	}
	served := 0
	for turn := range 3 * lowerEvery {
		add("busy/" + strconv.Itoa(turn)).to(q)
		got, _ := q.Get()
		q.Done(got)
		if got.Namespace == "low" {
			served++
		}
	}
	if served != 3 {
		t.Errorf("%d of 3 requests of a low priority were served in %d turns", served, 3*lowerEvery)
	}
}

// TestARequestDuringItsReconciliationComesAgain and keeps the priority that it was added with.
func TestARequestDuringItsReconciliationComesAgain(t *testing.T) {
	q := newQueue("", attempt.RateLimiter(), func(r reconcile.Request) string { return r.Namespace })
	defer q.ShutDown()
	add("a/1").to(q)
	working, _, _ := q.GetWithPriority()
	add("a/1 low").to(q)
	if q.Len() != 0 {
		t.Error("a request is served twice at once")
	}
	q.Done(working)
	if again, priority, _ := q.GetWithPriority(); again != working || priority != handler.LowPriority {
		t.Errorf("%s came again with priority %d, want %s with %d", again, priority, working, handler.LowPriority)
	}
}

// TestBulkOfOneNamespaceDelaysNoOther: whatever one namespace has queued, that of another one is at
// most the next but one.
func TestBulkOfOneNamespaceDelaysNoOther(t *testing.T) {
	for _, bulk := range []add{"bulk/", "low/"} {
		q := newQueue("", attempt.RateLimiter(), func(r reconcile.Request) string { return r.Namespace })
		for i := range 10_000 {
			a := bulk + add(strconv.Itoa(i))
			if bulk == "low/" {
				a += " low"
			}
			a.to(q)
		}
		first, _ := q.Get()
		add("other/1 low").to(q)
		for turn := 1; ; turn++ {
			got, _ := q.Get()
			if got == request("other", "1") {
				break
			}
			if turn > lowerEvery {
				t.Fatalf("%d requests of %s, which came before, were served before that of another namespace", turn, first.Namespace)
			}
		}
		q.ShutDown()
	}
}

// TestAStartLeavesLittleMemory: what a start lists waits in the backlog, each request once, and the
// queue underneath never has many of them.
func TestAStartLeavesLittleMemory(t *testing.T) {
	const objects = 10 * maxAdmitted
	q := newQueue("", attempt.RateLimiter(), func(r reconcile.Request) string { return r.Namespace })
	defer q.ShutDown()
	for range 2 {
		for i := range objects {
			add("a/" + strconv.Itoa(i) + " low").to(q)
		}
	}
	// one of those in the backlog becomes urgent
	add("a/" + strconv.Itoa(objects-1)).to(q)
	served := map[reconcile.Request]int{}
	for q.Len() > 0 {
		if n := q.TypedRateLimitingInterface.Len(); n > maxAdmitted+1 {
			t.Fatalf("the queue underneath has %d requests", n)
		}
		got, priority, _ := q.GetWithPriority()
		if want := len(served) == 0; want != (priority == 0) {
			t.Errorf("%s was served as number %d with priority %d", got, len(served), priority)
		}
		served[got]++
		q.Done(got)
	}
	if len(served) != objects || len(q.backlog.admitted) != 0 {
		t.Errorf("%d of %d were served, %d are left", len(served), objects, len(q.backlog.admitted))
	}
	for request, times := range served {
		if times > 1 && request != (reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "a", Name: strconv.Itoa(objects - 1)}}) {
			t.Errorf("%s was served %d times", request, times)
		}
	}
}

func BenchmarkQueue(b *testing.B) {
	q := newQueue("", attempt.RateLimiter(), func(r reconcile.Request) string { return r.Namespace })
	defer q.ShutDown()
	requests := make([]reconcile.Request, 1000)
	for i := range requests {
		requests[i] = request("team-"+strconv.Itoa(i%50), strconv.Itoa(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		q.AddWithOpts(priorityqueue.AddOpts{}, requests...)
		for range requests {
			got, _ := q.Get()
			q.Done(got)
		}
	}
}
