// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"maps"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// TestARepairThatIsRepeatedTakesNothingFromAnotherManager: the first manager has registered a
// secret as pending and could not write it. Its cache shows nothing of what a second manager has
// done since.
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
	// so that the first one finds it missing again
	w.must(w.server.Delete(t.Context(), w.secret("app")))
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

// TestALateCacheGivesTheCurrentSecretNoEnd: it still has the value that was replaced. If the
// manager ended then, the one that applications hold would be refused after the overlap.
func TestALateCacheGivesTheCurrentSecretNoEnd(t *testing.T) {
	t.Run("of a generated Secret", func(t *testing.T) {
		w := newWorld(t)
		w.create(clientOfWorld("app"))
		w.rest("app")
		old := w.secret("app")
		w.rotate("1")
		w.sync()
		w.cached[w.key(old)] = old
		w.checkCurrent(func() {
			s := w.secret("app")
			s.Data[keyClientSecret] = old.Data[keyClientSecret]
			w.must(w.server.Update(t.Context(), s))
		})
	})
	t.Run("of an Existing one", func(t *testing.T) {
		w := newWorld(t)
		first, second := declaredSecret("app", "u2Fv9Qk1ZpX7mB4nT0sJcA"), declaredSecret("app", "Xb3kL8vN2qRt5YwZ0aDfGh")
		w.create(first)
		c := clientOfWorld("app")
		c.Spec.Secret.Source = v1alpha1.SecretExisting
		w.create(c)
		w.rest("app")
		old := w.secret("app")
		w.must(w.server.Delete(t.Context(), old))
		w.create(second)
		w.rest("app")
		w.sync()
		old.ResourceVersion = ""
		w.r.Declared = declaredOfWorld{server: fake.NewClientBuilder().WithScheme(w.server.Scheme()).WithObjects(old).Build()}
		w.checkCurrent(func() {
			s := w.secret("app")
			s.Data = old.Data
			w.must(w.server.Update(t.Context(), s))
		})
	})
}

// checkCurrent reconciles with a cache that has the value of before. The value in the Secret stays
// current, until putBack puts that of before back.
func (w *world) checkCurrent(putBack func()) {
	w.t.Helper()
	ended := func() time.Time {
		r, _ := w.registered("shop.app")
		for _, v := range r.Client.Credentials.Verifiers {
			if v.Digest == oauth2.DigestSecret(r.Client.UID, oauth2.NewSecret(w.value("app"))) {
				return v.ExpiresAt
			}
		}
		w.t.Fatal("what is in the Secret is not registered")
		return time.Time{}
	}
	before := len(w.writes)
	if _, err := w.reconcile("app"); err != nil || !ended().IsZero() || len(w.writes) != before {
		w.t.Errorf("%v, the current secret ends at %s: %q", err, ended(), w.writes[before:])
	}
	putBack()
	if _, err := w.reconcile("app"); err != nil || !ended().IsZero() || len(w.writes) == before {
		w.t.Errorf("%v, the secret that was put back ends at %s: %q", err, ended(), w.writes[before:])
	}
}

// TestAFirstSecretIsRegisteredByTheNextAttempt: its registration was refused, and the cache lacks
// the Secret, which has the value already.
func TestAFirstSecretIsRegisteredByTheNextAttempt(t *testing.T) {
	w := newWorld(t)
	w.create(clientOfWorld("app"))
	w.refuse = func(_ string, o client.Object) error {
		if o.GetNamespace() == registryOfWorld {
			return errForbidden
		}
		return nil
	}
	w.sync()
	if _, err := w.reconcile("app"); err == nil {
		t.Fatal("it is registered")
	}
	w.refuse = nil
	w.pass(time.Second) // longer than the pause after a failure
	w.sync("OAuth2Client ")
	_, _ = w.reconcile("app")
	if value := w.value("app"); !w.accepts("shop.app", value) {
		t.Errorf("what is in the Secret is refused: %q", w.writes)
	}
	w.rest("app")
}
