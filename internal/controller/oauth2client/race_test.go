// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"maps"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestARepairThatIsRepeatedTakesNothingFromAnotherManager: the first manager has registered a secret as
// pending and could not write it. Its cache shows nothing of what a second manager has done since.
func TestARepairThatIsRepeatedTakesNothingFromAnotherManager(t *testing.T) {
	w := newWorld(t)
	w.create(clientOfWorld("app"))
	w.rest("app")
	first, second := w.r, w.manager()
	w.must(w.server.Delete(t.Context(), w.secret("app")))
	w.refuse = refuseSecrets(apierrors.NewServerTimeout(schema.GroupResource{Resource: "secrets"}, "create", 0))
	w.sync()
	if _, err := w.reconcile("app"); err == nil {
		t.Fatal("the Secret was written")
	}
	w.refuse = nil
	w.sync()
	w.pass(time.Second) // longer than the pause after a failure
	late := maps.Clone(w.cached)
	w.r = second
	w.rest("app")
	current := w.value("app")
	if !w.accepts("shop.app", current) {
		t.Fatal("the second manager did not repair the Secret")
	}
	w.must(w.server.Delete(t.Context(), w.secret("app"))) // so that the first one finds it missing again
	w.r, w.cached = first, late
	if _, err := w.reconcile("app"); !apierrors.IsConflict(err) {
		t.Errorf("the first manager repeats its repair: %v, want a conflict", err)
	}
	if value := w.value("app"); value != "" {
		t.Error("it wrote the Secret on a registration that was changed since it read it")
	}
	w.rest("app")
	r, _ := w.registered("shop.app")
	currents := 0
	for _, v := range r.Client.Credentials.Verifiers {
		if !v.Pending && v.ExpiresAt.IsZero() {
			currents++
		}
	}
	if currents != 1 || !w.accepts("shop.app", w.value("app")) {
		t.Errorf("at rest %d secrets are current: %q", currents, w.writes)
	}
}
