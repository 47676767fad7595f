// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
)

var (
	noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	key  = types.NamespacedName{Namespace: "shop", Name: "app"}
)

func object(change func(*corev1.ConfigMap)) *corev1.ConfigMap {
	o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		UID: "u", Generation: 3, ResourceVersion: "5", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"},
	}}
	if change != nil {
		change(o)
	}
	return o
}

// A reconciler is woken each millisecond, by its own writes for one, and fails each time that it
// may try.
func TestAfterTenSecondsThereAreThreeAttemptsAMinute(t *testing.T) {
	var b attempt.Backoff
	state := attempt.StateOf(object(nil), "7", "9")
	var tries []time.Time
	for now := noon; now.Before(noon.Add(5 * time.Minute)); now = now.Add(time.Millisecond) {
		if b.Wait(key, state, now) == 0 {
			b.Failed(key, state, state, now)
			tries = append(tries, now)
		}
	}
	soon, most := 0, 0
	for i, at := range tries {
		if at.Before(noon.Add(10 * time.Second)) {
			soon++
			continue
		}
		within := 0
		for _, later := range tries[i:] {
			if later.Before(at.Add(time.Minute)) {
				within++
			}
		}
		most = max(most, within)
	}
	if soon < 10 || soon > 12 || most > 3 {
		t.Errorf("%d attempts in the first ten seconds, and up to %d in a minute after those: %v", soon, most, tries)
	}
}

func TestOnlyOthersEndAPause(t *testing.T) {
	for name, c := range map[string]struct {
		now  attempt.State
		ends bool
	}{
		"nothing happens":                         {attempt.StateOf(object(nil), "7", "9"), false},
		"the status is written":                   {attempt.StateOf(object(func(o *corev1.ConfigMap) { o.ResourceVersion = "50" }), "7", "9"), false},
		"the cache has what the attempt wrote":    {attempt.StateOf(object(nil), "20", "9"), false},
		"it has the first of two writes":          {attempt.StateOf(object(nil), "19", "9"), false},
		"another generation":                      {attempt.StateOf(object(func(o *corev1.ConfigMap) { o.Generation++ }), "7", "9"), true},
		"an annotation":                           {attempt.StateOf(object(func(o *corev1.ConfigMap) { o.Annotations["c"] = "e" }), "7", "9"), true},
		"a label":                                 {attempt.StateOf(object(func(o *corev1.ConfigMap) { o.Labels = nil }), "7", "9"), true},
		"another object of that name":             {attempt.StateOf(object(func(o *corev1.ConfigMap) { o.UID = "v" }), "7", "9"), true},
		"a version that the attempt did not make": {attempt.StateOf(object(nil), "21", "9"), true},
		"the second object changes":               {attempt.StateOf(object(nil), "7", "10"), true},
		"the second object is deleted":            {attempt.StateOf(object(nil), "7", ""), true},
	} {
		t.Run(name, func(t *testing.T) {
			var b attempt.Backoff
			for range 12 {
				b.Failed(key, attempt.StateOf(object(nil), "7", "9"), attempt.StateOf(object(nil), "20", "9"), noon)
			}
			if wait := b.Wait(key, c.now, noon); wait == 0 != c.ends {
				t.Errorf("it waits for %s", wait)
			}
			if wait := b.Wait(key, c.now, noon); c.ends && wait != 0 {
				t.Errorf("it waits for %s after all", wait)
			}
		})
	}
}

// What an attempt created may not be in the cache for a while; once it was, another process deleted
// it.
func TestWhatWasCreatedAndIsDeletedEndsAPause(t *testing.T) {
	var b attempt.Backoff
	b.Failed(key, attempt.StateOf(object(nil), "", ""), attempt.StateOf(object(nil), "20", ""), noon)
	for step, c := range []struct {
		version string
		ends    bool
	}{{"", false}, {"20", false}, {"20", false}, {"", true}} {
		if wait := b.Wait(key, attempt.StateOf(object(nil), c.version, ""), noon); wait == 0 != c.ends {
			t.Errorf("step %d: it waits for %s", step, wait)
		}
	}
}

func TestASuccessBeginsAnew(t *testing.T) {
	var b attempt.Backoff
	state := attempt.StateOf(object(nil))
	for range 20 {
		b.Failed(key, state, state, noon)
	}
	b.End(key)
	if wait := b.Wait(key, state, noon); wait != 0 {
		t.Errorf("it waits for %s", wait)
	}
	b.Failed(key, state, state, noon)
	if wait := b.Wait(key, state, noon); wait != 5*time.Millisecond {
		t.Errorf("after one failure it waits for %s", wait)
	}
}

func TestAStateIsSmallHoweverManyLabelsThereAre(t *testing.T) {
	of := func(value string) attempt.State {
		o := object(nil)
		o.SetLabels(map[string]string{"a": value})
		return attempt.StateOf(o)
	}
	one, other := of(strings.Repeat("x", 1<<10)), of(strings.Repeat("x", 1<<10)+"y")
	if len(one.Object) > 64 || one == other || one != of(strings.Repeat("x", 1<<10)) {
		t.Errorf("states of %d bytes, equal %t", len(one.Object), one == other)
	}
}

func TestObjectsWaitEachOnItsOwn(t *testing.T) {
	var b attempt.Backoff
	state := attempt.StateOf(object(nil))
	for i := range 5000 { // the first ones are deleted, and no caller asks for them any more
		b.Failed(types.NamespacedName{Name: fmt.Sprint(i)}, state, state, noon.Add(time.Duration(i)*time.Second))
	}
	if b.Wait(key, state, noon) != 0 {
		t.Error("an object waits for others")
	}
	last := types.NamespacedName{Name: "4999"}
	if b.Wait(last, state, noon.Add(4999*time.Second)) == 0 {
		t.Error("the last one was forgotten")
	}
}

// A reconciler is woken by its own writes and by those of others, and makes an attempt when its
// pause is over, or when others have changed what it depends on.
func TestAnAttemptIsMadeOnceItsPauseIsOver(t *testing.T) {
	var b attempt.Backoff
	now, failure := noon, errors.New("refused")
	before := attempt.State{Object: "spec", Versions: [2]string{"1"}}
	const pause = 5 * time.Millisecond
	made := 0
	run := func(state attempt.State, err error) (reconcile.Result, error) {
		return b.Run(key, state, func() time.Time { return now }, func() (reconcile.Result, attempt.State, error) {
			made++
			return reconcile.Result{RequeueAfter: time.Hour}, state.Recorded(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "2"}}), err
		})
	}
	if result, err := run(before, failure); !errors.Is(err, failure) || !result.IsZero() || made != 1 {
		t.Errorf("the first attempt: %v, %v", result, err)
	}
	own := attempt.State{Object: "spec", Versions: [2]string{"2"}}
	if result, err := run(own, nil); err != nil || result.RequeueAfter != pause || made != 1 {
		t.Errorf("after its own write: %v, %v, %d attempts", result, err, made)
	}
	now = now.Add(pause)
	if _, err := run(own, failure); err == nil || made != 2 {
		t.Errorf("after the pause: %v, %d attempts", err, made)
	}
	if result, err := run(attempt.State{Object: "another spec"}, nil); err != nil || result.RequeueAfter != time.Hour || made != 3 {
		t.Errorf("after an edit: %v, %v, %d attempts", result, err, made)
	}
	if state := before.Recorded(nil); state != before {
		t.Errorf("nothing was stored: %v", state)
	}
	b.FailedWithin(key, before, before, now, attempt.Bounds{First: time.Minute, Last: time.Hour})
	if wait := b.Wait(key, before, now); wait != time.Minute {
		t.Errorf("with other bounds it waits for %s", wait)
	}
}
