// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package signingkeys

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// emitted are the types and reasons of the events since it was called last.
func (i *installation) emitted() (events []string) {
	for len(i.events.Events) > 0 {
		words := strings.Fields(<-i.events.Events)
		events = append(events, words[0]+" "+words[1])
	}
	return events
}

// TestWhatAnAnnotationCannotHaveIsReportedOnce reconciles several times, as events and the time do.
func TestWhatAnAnnotationCannotHaveIsReportedOnce(t *testing.T) {
	// differ has the clocks of the manager and of the API server differ by a day.
	differ := func(shown time.Time) apiclock.Time {
		return apiclock.Time{Earliest: shown, Latest: shown.Add(24 * time.Hour)}
	}
	for name, c := range map[string]struct {
		annotation, value string
		time              func(time.Time) apiclock.Time
		want              []string
		// after is what is reported once the value is another one, or the clocks agree.
		then  string
		after []string
	}{
		"a kid that no key has is tainted": {v1alpha1.AnnotationTaint, "typo", nil, []string{"Warning UnknownSigningKey"}, "typo,other", []string{"Warning UnknownSigningKey"}},
		"a kid that is spelled right now":  {v1alpha1.AnnotationTaint, "typo", nil, []string{"Warning UnknownSigningKey"}, "", nil},
		"a rotation that waits for the clocks": {
			v1alpha1.AnnotationRotate, "now", differ, []string{"Warning SigningKeyRotationWaits"}, "now", []string{"Normal SigningKeyRotationOrdered"},
		},
		"a rotation that is carried out": {v1alpha1.AnnotationRotate, "now", nil, []string{"Normal SigningKeyRotationOrdered"}, "now", nil},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInstallation(t)
			r := i.manager()
			i.reconcile(r)
			if c.time != nil {
				i.time = c.time
			}
			i.annotate(c.annotation, c.value)
			for range 3 {
				i.reconcile(r)
			}
			if got := i.emitted(); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			i.time = apiclock.At
			i.annotate(c.annotation, c.then)
			for range 3 {
				i.reconcile(r)
			}
			if got := i.emitted(); !slices.Equal(got, c.after) {
				t.Errorf("then %q, want %q", got, c.after)
			}
			if i.ring(registration.KeysSecretName).Empty() {
				t.Error("there are no keys")
			}
		})
	}
}
