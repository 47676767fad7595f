// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// look is a read of a generation so many seconds after the object was created at noon.
func look(generation int64, seconds int) Look {
	return Look{Generation: generation, Created: noon, Now: noon.Add(time.Duration(seconds) * time.Second)}
}

func companionOf(conditions []metav1.Condition) string {
	if c := companion(conditions); c != nil {
		return c.Type
	}
	return ""
}

func TestWhatPassesIsStalledFiveMinutesIntoAGeneration(t *testing.T) {
	type step struct {
		look Look
		v    Verdict
		want string
	}
	ready := v1alpha1.Registered()
	good := Verdict{Ready: ready}
	waits := Verdict{Ready: ready, Obstacle: new(v1alpha1.ServiceAccountNotFound("worker")), Passing: true}
	troubled := Verdict{Ready: ready, Trouble: new(v1alpha1.WriteRefused("write", "no")), Passing: true}
	rejected := Verdict{Ready: ready, Obstacle: new(v1alpha1.SecretConflict("app"))}
	keys := Verdict{Ready: ready, Obstacle: new(v1alpha1.SigningAlgorithmNotReady("EdDSA")), Passing: true}
	for name, steps := range map[string][]step{
		"a new object":                          {{look(1, 0), waits, "Reconciling"}, {look(1, 299), waits, "Reconciling"}, {look(1, 301), waits, "Stalled"}},
		"one that was ready in between":         {{look(1, 0), waits, "Reconciling"}, {look(1, 60), good, ""}, {look(1, 120), waits, "Reconciling"}, {look(1, 301), waits, "Stalled"}},
		"an old one":                            {{look(1, 0), good, ""}, {look(1, 3600), waits, "Stalled"}},
		"a new spec of an old one":              {{look(1, 0), good, ""}, {look(2, 3600), waits, "Reconciling"}, {look(2, 3899), waits, "Reconciling"}, {look(2, 3901), waits, "Stalled"}},
		"a new spec of one that waits":          {{look(2, 0), waits, "Reconciling"}, {look(3, 200), waits, "Reconciling"}, {look(3, 499), waits, "Reconciling"}, {look(3, 501), waits, "Stalled"}},
		"a new spec of one that is stalled":     {{look(1, 900), waits, "Stalled"}, {look(2, 901), waits, "Reconciling"}},
		"an old spec that was brought about":    {{look(2, 0), good, ""}, {look(2, 10), waits, "Stalled"}},
		"a part of a spec":                      {{look(1, 0), troubled, "Reconciling"}, {look(1, 301), troubled, "Stalled"}, {look(1, 302), good, ""}},
		"what only a user can mend":             {{look(1, 0), rejected, "Stalled"}},
		"a key that signs at a known instant":   {{look(1, 0), keys, "Reconciling"}, {look(1, 36000), keys, "Reconciling"}},
		"another cause that passes has no more": {{look(1, 0), keys, "Reconciling"}, {look(1, 36000), waits, "Stalled"}},
	} {
		t.Run(name, func(t *testing.T) {
			var conditions []metav1.Condition
			for i, s := range steps {
				until := SetConditions(&conditions, s.look, s.v)
				if got := companionOf(conditions); got != s.want {
					t.Fatalf("step %d: %q, want %q: %+v", i, got, s.want, conditions)
				}
				if limited := s.want == "Reconciling" && s.v.Obstacle != keys.Obstacle; limited != until.After(s.look.Now) {
					t.Errorf("step %d: it becomes Stalled at %s", i, until)
				}
				if isReady := meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady); isReady != (s.v.Obstacle == nil) {
					t.Errorf("step %d: Ready is %t", i, isReady)
				}
			}
		})
	}
}

func TestACauseHasOneEvent(t *testing.T) {
	ready := v1alpha1.Registered()
	with := func(obstacle metav1.Condition, passing bool) Verdict {
		return Verdict{Ready: ready, Obstacle: &obstacle, Passing: passing}
	}
	refused := func(words string) Verdict { return with(v1alpha1.WriteRefused("write", words), true) }
	for name, c := range map[string]struct {
		generations []int64
		verdicts    []Verdict
		want        []string
	}{
		"a rejection":                       {[]int64{1, 1, 1}, []Verdict{with(v1alpha1.SecretConflict("a"), false), with(v1alpha1.SecretConflict("a"), false), {Ready: ready}}, []string{"Warning SecretConflict"}},
		"it comes back":                     {[]int64{1, 1, 1}, []Verdict{with(v1alpha1.SecretConflict("a"), false), {Ready: ready}, with(v1alpha1.SecretConflict("a"), false)}, []string{"Warning SecretConflict", "Warning SecretConflict"}},
		"the spec names another Secret":     {[]int64{1, 2}, []Verdict{with(v1alpha1.SecretConflict("a"), false), with(v1alpha1.SecretConflict("b"), false)}, []string{"Warning SecretConflict", "Warning SecretConflict"}},
		"another rejection":                 {[]int64{1, 2}, []Verdict{with(v1alpha1.SecretConflict("a"), false), with(v1alpha1.InvalidTemplate("a", "b"), false)}, []string{"Warning SecretConflict", "Warning InvalidTemplate"}},
		"a refusal whose words change":      {[]int64{1, 1, 1}, []Verdict{refused("at 1"), refused("at 2"), refused("at 3")}, []string{"Warning WriteRefused"}},
		"what is expected, and comes":       {[]int64{1, 1}, []Verdict{with(v1alpha1.SecretNotFound("a"), true), {Ready: ready}}, nil},
		"a step that is tried again":        {[]int64{1}, []Verdict{with(v1alpha1.Progressing("write"), true)}, nil},
		"a client that is suspended":        {[]int64{1}, []Verdict{{Ready: v1alpha1.Suspended()}}, nil},
		"a part of the spec that is not so": {[]int64{1, 1}, []Verdict{{Ready: ready, Trouble: new(v1alpha1.WriteRefused("write", "no"))}, {Ready: ready, Trouble: new(v1alpha1.WriteRefused("write", "no"))}}, []string{"Warning WriteRefused"}},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := events.NewFakeRecorder(10)
			var conditions []metav1.Condition
			for i, v := range c.verdicts {
				before := slices.Clone(conditions)
				SetConditions(&conditions, look(c.generations[i], i), v)
				Announce(recorder, &v1alpha1.OAuth2Client{}, before, conditions)
			}
			close(recorder.Events)
			var got []string
			for e := range recorder.Events {
				words := strings.Fields(e)
				got = append(got, words[0]+" "+words[1])
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestAPartWithoutEffectHasOneEvent(t *testing.T) {
	shared, open := v1alpha1.ClientIDNeeded("worker", "shop.app"), v1alpha1.OpenToPullRequests()
	lacks, has := v1alpha1.GrantsIncomplete("read", 0), v1alpha1.GrantsComplete()
	for name, c := range map[string]struct {
		before, after []metav1.Condition
		want          int
	}{
		"a scope that is not granted":                    {nil, []metav1.Condition{lacks}, 1},
		"all scopes are granted":                         {[]metav1.Condition{lacks}, []metav1.Condition{has}, 0},
		"a scope is granted no longer":                   {[]metav1.Condition{has}, []metav1.Condition{lacks}, 1},
		"another client names the service account":       {[]metav1.Condition{has}, []metav1.Condition{has, shared}, 1},
		"it still does":                                  {[]metav1.Condition{shared}, []metav1.Condition{shared}, 0},
		"it no longer does":                              {[]metav1.Condition{shared}, nil, 0},
		"the job of a pull request could have the token": {nil, []metav1.Condition{open}, 1},
		"a condition that is about something else":       {nil, []metav1.Condition{v1alpha1.RevocationsCollapsed()}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := events.NewFakeRecorder(10)
			Announce(recorder, &v1alpha1.OAuth2Client{}, c.before, c.after)
			if got := len(recorder.Events); got != c.want {
				t.Errorf("%d events, want %d", got, c.want)
			}
		})
	}
}

func TestAFailedAttemptKeepsWhatIsOnRecordInForce(t *testing.T) {
	ready, trouble := v1alpha1.ResourceDeclared(), new(v1alpha1.Progressing("write it"))
	was := []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	for name, c := range map[string]struct {
		conditions []metav1.Condition
		holds      bool
		obstacle   bool
	}{
		"of one that was never ready": {nil, false, true},
		"of one that was ready":       {was, false, false},
		"of one that has its record":  {nil, true, false},
	} {
		v, ok := Failure(c.conditions, c.holds, ready, trouble)
		if !ok || v.Trouble != trouble || (v.Obstacle != nil) != c.obstacle || !v.Passing || v.Ready.Reason != ready.Reason {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if _, ok := Failure(nil, false, ready, nil); ok {
		t.Error("nothing is reported of a lost race")
	}
}
