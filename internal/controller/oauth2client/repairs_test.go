// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// TestARepairThatDoesNotHoldIsDampedAndReported: something writes the Secret after each repair, at
// once.
func TestARepairThatDoesNotHoldIsDampedAndReported(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(w *world)
		// ready is whether what applications hold is accepted meanwhile.
		ready metav1.ConditionStatus
	}{
		"another client secret": {func(w *world) {
			if s := w.secret("app"); string(s.Data[keyClientSecret]) != "by something else" {
				s.Data[keyClientSecret] = []byte("by something else")
				w.must(w.server.Update(t.Context(), s))
			}
		}, metav1.ConditionFalse},
		"another URL": {func(w *world) {
			if s := w.secret("app"); string(s.Data[keyTokenURL]) != "https://elsewhere.example" {
				s.Data[keyTokenURL] = []byte("https://elsewhere.example")
				w.must(w.server.Update(t.Context(), s))
			}
		}, metav1.ConditionTrue},
		"the Secret is deleted": {func(w *world) {
			if s := w.secret("app"); s != nil {
				w.must(w.server.Delete(t.Context(), s))
			}
		}, metav1.ConditionFalse},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create(clientOfWorld("app"))
			w.rest("app")
			w.events()
			repairs := 0
			fight := func(during time.Duration) {
				for end := w.clock.Now().Add(during); w.clock.Now().Before(end); w.pass(10 * time.Second) {
					c.spoil(w)
					w.sync()
					before := len(w.writes)
					if _, err := w.reconcile("app"); err != nil {
						t.Fatal(err)
					}
					for _, write := range w.writes[before:] {
						if strings.HasSuffix(write, "Secret shop/app") {
							repairs++
						}
					}
				}
			}
			fight(2 * time.Hour)
			atFirst := repairs
			fight(time.Hour)
			if atFirst > 50 || repairs-atFirst > 12 || repairs == atFirst {
				t.Errorf("%d repairs, and %d in the hour after; want 12 an hour at most", atFirst, repairs-atFirst)
			}
			ready, stalled := w.condition("app", v1alpha1.ConditionReady), w.condition("app", v1alpha1.ConditionStalled)
			if ready.Status != c.ready || stalled.Reason != v1alpha1.ReasonRepairDoesNotHold || !strings.Contains(stalled.Message, "was changed again each time") {
				t.Errorf("Ready %+v, Stalled %+v", ready, stalled)
			}
			reported, registrations := 0, 0
			for _, event := range w.events() {
				if strings.HasPrefix(event, "Warning RepairDoesNotHold ") {
					reported++
				}
			}
			for _, write := range w.writes {
				if strings.Contains(write, registryOfWorld) {
					registrations++
				}
			}
			if reported != 1 || registrations > 3*repairs+1 {
				t.Errorf("%d events say so, and %d writes of the registration for %d repairs", reported, registrations, repairs)
			}
			w.tries("app", time.Hour, time.Minute) // it has ended
			if ready := w.condition("app", v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue || w.condition("app", v1alpha1.ConditionStalled).Type != "" {
				t.Errorf("once nothing writes the Secret any more: %+v", w.get("app").Status.Conditions)
			}
			if !w.accepts("shop.app", w.value("app")) {
				t.Error("the client secret is not accepted")
			}
		})
	}
}

func TestAChangeOfTheClientIsNoRepair(t *testing.T) {
	w := newWorld(t)
	w.create(clientOfWorld("app"))
	w.rest("app")
	for i := range 20 {
		w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Scopes = []v1alpha1.Scope{v1alpha1.Scope(fmt.Sprint("s", i))} })
		w.rest("app")
		if stalled := w.condition("app", v1alpha1.ConditionStalled); stalled.Type != "" {
			t.Fatalf("%+v", stalled)
		}
		if got := string(w.secret("app").Data[keyScope]); got != fmt.Sprint("s", i) {
			t.Fatalf("scope %q after change %d", got, i)
		}
	}
}

// TestAWriteThatAWebhookAltersIsOneRefusal: it is tried a few times a minute, and reported once.
func TestAWriteThatAWebhookAltersIsOneRefusal(t *testing.T) {
	w := newWorld(t)
	w.create(clientOfWorld("app"))
	w.rest("app")
	w.events()
	w.alter = func(o client.Object) {
		if s, ok := o.(*corev1.Secret); ok && s.Namespace == "shop" {
			s.Data[keyClientSecret] = []byte("altered by a webhook")
		}
	}
	w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "now"} })
	attempts, reports := 0, 0
	for end := w.clock.Now().Add(10 * time.Minute); w.clock.Now().Before(end); w.pass(time.Second) {
		w.sync()
		before := len(w.writes)
		_, _ = w.reconcile("app")
		for _, write := range w.writes[before:] {
			switch {
			case strings.HasSuffix(write, "Secret shop/app"):
				attempts++
			case strings.HasPrefix(write, "status "):
				reports++
			}
		}
	}
	if attempts < 10 || attempts > 40 || reports > 3 {
		t.Errorf("%d attempts in ten minutes, and %d reports; want two a minute, reported once", attempts, reports)
	}
	if ready := w.condition("app", v1alpha1.ConditionReady); ready.Reason != v1alpha1.ReasonWriteRefused {
		t.Errorf("Ready %+v", ready)
	}
}
