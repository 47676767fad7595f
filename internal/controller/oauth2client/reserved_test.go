// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// reasonWith creates a client with a chosen client_id, and a policy that lists one unless it is
// empty, and returns the reason of its condition.
func (w *world) reasonWith(clientID, listed string) string {
	w.t.Helper()
	if listed != "" {
		w.r.Policy.Defaults.ClientIDs = [][]string{{listed}}
	}
	w.create(&v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: v1alpha1.OAuth2ClientSpec{ClientID: clientID}})
	return w.reason()
}

func (w *world) reason() string {
	w.t.Helper()
	w.rest("app")
	return meta.FindStatusCondition(w.get("app").Status.Conditions, v1alpha1.ConditionReady).Reason
}

func (w *world) createNamespace(name string) {
	w.t.Helper()
	w.must(w.server.Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
}

func TestWhichClientIDsANamespaceReserves(t *testing.T) {
	for name, c := range map[string]struct {
		id, listed string
		// there and not there are with and without a namespace "web".
		there, notThere string
	}{
		"a listed one that may be a client's of it":            {"web.app", "web.app", v1alpha1.ReasonClientIDReserved, v1alpha1.ReasonRegistered},
		"a listed one in capitals":                             {"Web.App", "Web.App", v1alpha1.ReasonClientIDReserved, v1alpha1.ReasonRegistered},
		"a listed one that is encoded":                         {"web%2Eapp", "web%2Eapp", v1alpha1.ReasonClientIDReserved, v1alpha1.ReasonRegistered},
		"a listed one of another first label":                  {"web2.app", "web2.app", v1alpha1.ReasonRegistered, v1alpha1.ReasonRegistered},
		"one that is not listed is told nothing of namespaces": {"web.app", "", v1alpha1.ReasonClientIDNotAllowed, v1alpha1.ReasonClientIDNotAllowed},
		"nor is one that a pattern fits":                       {"web.app", "web.*", v1alpha1.ReasonClientIDNotAllowed, v1alpha1.ReasonClientIDNotAllowed},
		"nor is an encoded one":                                {"web%2Eapp", "", v1alpha1.ReasonClientIDNotAllowed, v1alpha1.ReasonClientIDNotAllowed},
		"one that no client of it can have":                    {"web.app_v2", "", v1alpha1.ReasonRegistered, v1alpha1.ReasonRegistered},
		"one with an empty label":                              {"web..", "", v1alpha1.ReasonRegistered, v1alpha1.ReasonRegistered},
	} {
		t.Run(name, func(t *testing.T) {
			without, with := newWorld(t), newWorld(t)
			if got := without.reasonWith(c.id, c.listed); got != c.notThere {
				t.Errorf("without the namespace %s, want %s", got, c.notThere)
			}
			with.createNamespace("web")
			if got := with.reasonWith(c.id, c.listed); got != c.there {
				t.Errorf("with the namespace %s, want %s", got, c.there)
			}
		})
	}
}

func TestAClientThatLosesItsRegistrationKeepsItsID(t *testing.T) {
	for name, existing := range map[string]bool{"with a generated Secret": false, "with an Existing one": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.r.Policy.Defaults.ClientIDs = [][]string{{"web.app"}}
			c := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: v1alpha1.OAuth2ClientSpec{ClientID: "web.app"}}
			if existing {
				c.Spec.Secret.Source = v1alpha1.SecretExisting
				w.create(declaredSecret("app", "u2Fv9Qk1ZpX7mB4nT0sJcA"))
			}
			w.create(c)
			w.rest("app")
			w.createNamespace("web")
			_, lost := w.registered("web.app")
			w.must(w.server.Delete(t.Context(), lost))
			w.start()
			w.r.Policy.Defaults.ClientIDs = [][]string{{"web.app"}}
			if got := w.reason(); got != v1alpha1.ReasonRegistered {
				t.Errorf("it is %s", got)
			}
			w.registered("web.app")
		})
	}
	t.Run("but not one that never had it", func(t *testing.T) {
		w := newWorld(t)
		w.createNamespace("web")
		w.reasonWith("web.app", "web.app")
		if got := w.reason(); got != v1alpha1.ReasonClientIDReserved {
			t.Errorf("it is %s", got)
		}
	})
}

// TestALostRegistrationIsNotTakenByAClientThatWaits: that one is reconciled first after a start of
// the manager. It has the id once the client that had it is deleted, or may not have it any more.
func TestALostRegistrationIsNotTakenByAClientThatWaits(t *testing.T) {
	for name, ends := range map[string]func(w *world){
		"the holder stays":      nil,
		"the holder is deleted": func(w *world) { w.must(w.server.Delete(t.Context(), w.get("holder"))) },
		"something is in its way": func(w *world) {
			w.must(w.server.Create(t.Context(), &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "of-others"}, Data: map[string][]byte{"a": []byte("b")},
			}))
			w.edit("holder", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = "of-others" })
		},
	} {
		// the other client has the id by its name, too
		for _, chosen := range []string{"shop.rival", ""} {
			testLostRegistration(t, fmt.Sprintf("%s, chosen %q", name, chosen), chosen, ends)
		}
	}
}

func testLostRegistration(t *testing.T, name, chosen string, ends func(w *world)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		w := newWorld(t)
		w.r.Policy.Defaults.ClientIDs = [][]string{{"shop.rival"}}
		for name, id := range map[string]string{"holder": "shop.rival", "rival": chosen} {
			c := clientOfWorld(name)
			c.Spec.ClientID = id
			w.create(c)
		}
		w.rest("holder")
		w.rest("rival")
		held := w.value("holder")
		_, lost := w.registered("shop.rival")
		w.must(w.server.Delete(t.Context(), lost))
		w.start()
		w.r.Policy.Defaults.ClientIDs = [][]string{{"shop.rival"}}
		w.sync()
		result, err := w.reconcile("rival")
		w.must(err)
		if got := w.condition("rival", v1alpha1.ConditionReady).Reason; got != v1alpha1.ReasonClientIDConflict || w.secret("rival") != nil {
			t.Errorf("the client that waits is %s", got)
		}
		if result.RequeueAfter != time.Minute {
			t.Errorf("it looks again after %s", result.RequeueAfter)
		}
		if ends != nil {
			ends(w)
			waiting := w.r.memory.waiters.Deleted(types.NamespacedName{Namespace: "shop", Name: "holder"})
			if !slices.Equal(waiting, []types.NamespacedName{{Namespace: "shop", Name: "rival"}}) {
				t.Errorf("%v are woken once the client is deleted that had the id", waiting)
			}
			w.sync()
			_, err := w.reconcile("holder")
			w.must(err)
			w.rest("rival")
			if r, _ := w.registered("shop.rival"); r.Client.Name != "rival" || !w.accepts("shop.rival", w.value("rival")) {
				t.Errorf("%s has the id", r.Client.Name)
			}
			return
		}
		w.rest("holder")
		w.rest("rival")
		if r, _ := w.registered("shop.rival"); r.Client.Name != "holder" || w.value("holder") != held || !w.accepts("shop.rival", held) {
			t.Errorf("%s has the id", r.Client.Name)
		}
	})
}
