// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// ofAccount makes a client of a service account that exists.
func (w *world) ofAccount(name, account string) *v1alpha1.OAuth2Client {
	w.t.Helper()
	c := clientOfWorld(name)
	c.Spec.Authentication.Method, c.Spec.Authentication.ServiceAccount.Name = v1alpha1.ByServiceAccount, account
	w.create(c)
	return c
}

func (w *world) conditionOf(name, kind string) *metav1.Condition {
	w.t.Helper()
	return meta.FindStatusCondition(w.get(name).Status.Conditions, kind)
}

func TestClientsOfOneServiceAccountNeedTheirClientID(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "worker", UID: "worker-uid"}})
	w.ofAccount("first", "worker")
	w.rest("first")
	if found := w.conditionOf("first", v1alpha1.ConditionClientIDNeeded); found != nil {
		t.Errorf("the only client: %+v", found)
	}
	second := w.ofAccount("second", "worker")
	w.ofAccount("other", "another")
	for _, name := range []string{"first", "second", "other"} {
		w.rest(name)
	}
	for _, name := range []string{"first", "second"} {
		found := w.conditionOf(name, v1alpha1.ConditionClientIDNeeded)
		if found == nil || found.Status != metav1.ConditionTrue || found.Reason != v1alpha1.ReasonClientIDNeeded ||
			!strings.Contains(found.Message, fmt.Sprintf("Send client_id %q", "shop."+name)) {
			t.Errorf("%s: %+v", name, found)
		}
		if ready := w.conditionOf(name, v1alpha1.ConditionReady); ready == nil || ready.Status != metav1.ConditionTrue {
			t.Errorf("%s is not Ready: %+v", name, ready)
		}
	}
	if found := w.conditionOf("other", v1alpha1.ConditionClientIDNeeded); found != nil {
		t.Errorf("a client of another account: %+v", found)
	}
	w.must(w.server.Delete(t.Context(), second))
	w.rest("first")
	if found := w.conditionOf("first", v1alpha1.ConditionClientIDNeeded); found != nil {
		t.Errorf("once it is the only client: %+v", found)
	}
}

func TestTheAccountDefaultIsReadyWithAWarning(t *testing.T) {
	w := newWorld(t)
	for _, account := range []string{"default", "worker"} {
		w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account, UID: "uid-of-account"}})
		w.ofAccount("of-"+account, account)
		w.rest("of-" + account)
		ready := w.conditionOf("of-"+account, v1alpha1.ConditionReady)
		warned := strings.Contains(ready.Message, "every pod of this namespace that names no ServiceAccount")
		if ready.Status != metav1.ConditionTrue || warned != (account == "default") {
			t.Errorf("%s: %+v", account, ready)
		}
	}
}

// However many clients name an account, a change of one wakes the other one of two, and no more.
func TestAChangeOfClientsOfOneAccountWakesFewOthers(t *testing.T) {
	w := newWorld(t)
	handlers := wakes{informers: names{w}, memory: &memory{}}.sharingWorkloads()
	woken := func(send func(q workqueue.TypedRateLimitingInterface[reconcile.Request])) (found []string) {
		t.Helper()
		q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		defer q.ShutDown()
		send(q)
		for q.Len() > 0 {
			request, _ := q.Get()
			found = append(found, request.Name)
			q.Done(request)
		}
		return found
	}
	check := func(what string, want, got []string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	created := func(c *v1alpha1.OAuth2Client, initial bool) []string {
		w.sync()
		return woken(func(q queue) { handlers.Create(t.Context(), event.CreateEvent{Object: c, IsInInitialList: initial}, q) })
	}
	first := w.ofAccount("first", "worker")
	check("the first client", nil, created(first, false))
	second := w.ofAccount("second", "worker")
	check("a second one", []string{"first"}, created(second, false))
	check("a second one of the first list", nil, created(second, true))
	third := w.ofAccount("third", "worker")
	check("a third one", nil, created(third, false))

	w.must(w.server.Delete(t.Context(), third))
	w.sync()
	check("the end of the third", nil, woken(func(q queue) { handlers.Delete(t.Context(), event.DeleteEvent{Object: third}, q) }))

	moved := second.DeepCopy()
	moved.Generation++
	moved.Spec.Authentication.ServiceAccount.Name = "another"
	w.must(w.server.Update(t.Context(), moved))
	w.sync()
	check("one that names another account", []string{"first"}, woken(func(q queue) {
		handlers.Update(t.Context(), event.UpdateEvent{ObjectOld: second, ObjectNew: moved}, q)
	}))
	reported := moved.DeepCopy()
	reported.Status.LastUsedAt = metav1.NewTime(time.Unix(1, 0))
	check("a change of its status", nil, woken(func(q queue) {
		handlers.Update(t.Context(), event.UpdateEvent{ObjectOld: moved, ObjectNew: reported}, q)
	}))
}

// Two clients of one subject of an issuer have the condition, and those of other issuers or
// namespaces have not.
func TestClientsOfOneSubjectNeedTheirClientID(t *testing.T) {
	w := newWorld(t)
	of := func(name, issuer, subject string) *v1alpha1.OAuth2Client {
		c := clientOfWorld(name)
		c.Spec.Authentication = v1alpha1.AuthenticationSpec{
			Method: v1alpha1.ByFederatedToken, FederatedToken: v1alpha1.FederatedTokenSpec{IssuerName: issuer, Subject: subject},
		}
		w.create(c)
		return c
	}
	of("first", "spire", "spiffe://example.org/a")
	second := of("second", "spire", "spiffe://example.org/a")
	of("other", "github", "spiffe://example.org/a")
	for _, name := range []string{"first", "second", "other"} {
		w.rest(name)
	}
	for name, want := range map[string]bool{"first": true, "second": true, "other": false} {
		found := w.conditionOf(name, v1alpha1.ConditionClientIDNeeded)
		if (found != nil) != want || want && !strings.Contains(found.Message, fmt.Sprintf("Send client_id %q with the JWT", "shop."+name)) {
			t.Errorf("%s: %+v", name, found)
		}
	}
	w.must(w.server.Delete(t.Context(), second))
	w.rest("first")
	if found := w.conditionOf("first", v1alpha1.ConditionClientIDNeeded); found != nil {
		t.Errorf("once it is the only client: %+v", found)
	}
}
