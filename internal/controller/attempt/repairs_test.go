// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
)

// TestARepairThatDoesNotHoldIsDamped repairs as soon as it may for three hours.
func TestARepairThatDoesNotHoldIsDamped(t *testing.T) {
	var r attempt.Repairs
	owner := object(nil)
	var made []time.Time
	for now := noon; now.Before(noon.Add(3 * time.Hour)); now = now.Add(time.Second) {
		for r.Check(owner, now) == nil {
			r.Made(owner, now)
			made = append(made, now)
		}
	}
	atOnce, inTheLastHour := 0, 0
	for i, at := range made {
		if at.Equal(noon) {
			atOnce++
		}
		if !at.Before(noon.Add(2 * time.Hour)) {
			inTheLastHour++
		}
		if i > atOnce && at.Sub(made[i-1]) > 5*time.Minute {
			t.Errorf("repair %d came %s after the one before", i, at.Sub(made[i-1]))
		}
	}
	if atOnce != 5 || inTheLastHour < 11 || inTheLastHour > 12 || len(made) > 60 {
		t.Errorf("%d at once, %d in the last hour, %d in all", atOnce, inTheLastHour, len(made))
	}
}

func TestRepairsAreForgotten(t *testing.T) {
	for name, c := range map[string]struct {
		owner func(o *corev1.ConfigMap)
		after time.Duration
		free  bool
	}{
		"one moment later":                {nil, time.Millisecond, false},
		"the clock was set back":          {nil, -time.Hour, false},
		"one that has held long enough":   {nil, 10 * time.Minute, true},
		"the owner has another spec":      {func(o *corev1.ConfigMap) { o.Generation++ }, time.Millisecond, true},
		"the owner has an annotation":     {func(o *corev1.ConfigMap) { o.Annotations["c"] = "e" }, time.Millisecond, true},
		"another owner of that name":      {func(o *corev1.ConfigMap) { o.UID = "v" }, time.Millisecond, true},
		"the status of the owner changes": {func(o *corev1.ConfigMap) { o.ResourceVersion = "50" }, time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			var r attempt.Repairs
			for range 7 {
				r.Made(object(nil), noon)
			}
			err := r.Check(object(c.owner), noon.Add(c.after))
			if (err == nil) != c.free {
				t.Errorf("%v", err)
			}
			if damping := r.Damping(object(c.owner), noon.Add(c.after)); damping != nil && damping.Wait > damping.Pause {
				t.Errorf("it waits longer than a pause: %+v", damping)
			}
		})
	}
	var r attempt.Repairs
	for range 7 {
		r.Made(object(nil), noon)
	}
	r.Drop(object(nil))
	if r.Damping(object(nil), noon) != nil {
		t.Error("an owner that is gone is remembered")
	}
	for i := range 20000 { // they are bounded
		r.Made(object(func(o *corev1.ConfigMap) { o.UID = types.UID(fmt.Sprint(i)) }), noon.Add(time.Duration(i)))
	}
}
