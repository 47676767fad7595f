// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/internal/credential"
)

// TestALateRegistrationLowersNoGeneration: the cache has the registration of before a rotation, and
// a write is refused. If registration and Secret are lost then, only the status has the generation.
func TestALateRegistrationLowersNoGeneration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(clientOfWorld("app"))
	w.rest("app")
	_, registered := w.registered("shop.app")
	key := w.key(registered)
	late := w.cached[key]
	w.askToRotate("app", "1")
	w.rest("app")
	before := w.get("app").Status.Rotation.Generation
	w.sync()
	w.cached[key] = late
	w.refuse = func(verb string, o client.Object) error {
		if verb != "status" && o.GetNamespace() == registryOfWorld {
			return errForbidden
		}
		return nil
	}
	if _, err := w.reconcile("app"); err == nil {
		t.Fatalf("no write was refused: %q", w.writes)
	}
	if now := w.get("app").Status.Rotation.Generation; before != 1 || now != before {
		t.Errorf("generation %d is reported, and before it was %d", now, before)
	}
}

// TestALostRegistrationIsNoNewClient: a cache that is late has neither the registration, which was
// lost, nor the Secret that was made again. The value in it is that of applications.
func TestALostRegistrationIsNoNewClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(clientOfWorld("app"))
	w.rest("app")
	w.must(w.r.Client.Delete(t.Context(), w.secret("app")))
	w.rest("app")
	value := w.value("app")
	_, registered := w.registered("shop.app")
	w.must(w.r.Client.Delete(t.Context(), registered))
	delete(w.cached, w.key(w.secret("app")))
	delete(w.cached, w.key(registered))
	if _, err := w.reconcile("app"); err != nil {
		t.Errorf("the first look after that: %v", err)
	}
	w.pass(credential.PendingLife + time.Minute)
	w.rest("app")
	if w.value("app") != value || !w.accepts("shop.app", value) {
		t.Errorf("the value was replaced, or is refused: %q", w.writes)
	}
}

// TestAFirstSecretThatIsRegisteredIsNotMadeAgain: its Secret was refused, and a late cache has only
// the status that reports it. The manager has forgotten the value by now.
func TestAFirstSecretThatIsRegisteredIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(clientOfWorld("app"))
	w.refuse = func(_ string, o client.Object) error {
		if o.GetNamespace() == "shop" && w.kind(o) == "Secret" {
			return errForbidden
		}
		return nil
	}
	w.sync()
	if _, err := w.reconcile("app"); err == nil || len(w.get("app").Status.Credentials) != 1 {
		t.Fatalf("%v, status %+v", err, w.get("app").Status)
	}
	w.refuse = nil
	w.pass(credential.PendingLife + time.Minute)
	w.sync("OAuth2Client ")
	if _, err := w.reconcile("app"); err == nil || w.secret("app") != nil {
		t.Errorf("%v, and there is a Secret with a value that is refused: %q", err, w.writes)
	}
	w.rest("app")
	if value := w.value("app"); !w.accepts("shop.app", value) {
		t.Errorf("what is in the Secret is refused: %q", w.writes)
	}
}
