// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package sealingkeys

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

const issuer = "https://hallpass.test"

// installation is an API server with nothing but the sealing keys, and a count of what is written.
type installation struct {
	testing.TB
	client.Client

	now    apiclock.Time
	writes int
	lines  []string
	// answer is the answer to writes, which are done; nil in most tests.
	answer error
}

func newInstallation(t testing.TB) *installation {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	i := &installation{TB: t, now: apiclock.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}
	i.Client = interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).Build(), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			i.writes++
			return errors.Join(c.Create(ctx, o, options...), i.answer)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			i.writes++
			return errors.Join(c.Update(ctx, o, options...), i.answer)
		},
	})
	return i
}

func (i *installation) manager() *Reconciler {
	return &Reconciler{
		Client: i.Client, Live: i.Client, Time: func() apiclock.Time { return i.now }, RegistryNamespace: "registry", Random: rand.Reader,
		Audit: funcr.New(func(_, args string) { i.lines = append(i.lines, args) }, funcr.Options{}),
	}
}

func (i *installation) reconcile(r *Reconciler) time.Duration {
	i.Helper()
	result, err := r.Reconcile(i.Context(), ctrl.Request{})
	if err != nil {
		i.Fatal(err)
	}
	return result.RequeueAfter
}

func (i *installation) pass(d time.Duration) { i.now = apiclock.At(i.now.Earliest.Add(d)) }

func (i *installation) secret() *corev1.Secret {
	i.Helper()
	var secret corev1.Secret
	if err := i.Get(i.Context(), types.NamespacedName{Namespace: "registry", Name: "hallpass-sealing-keys"}, &secret); err != nil {
		i.Fatal(err)
	}
	return &secret
}

func (i *installation) ring() seal.Ring {
	i.Helper()
	ring, err := registration.DecodeSealing(i.secret().Data)
	if err != nil {
		i.Fatal(err)
	}
	return ring
}

// restore puts the data of a backup in place.
func (i *installation) restore(data map[string][]byte) {
	i.Helper()
	secret := i.secret()
	secret.Data = data
	if err := i.Update(i.Context(), secret); err != nil {
		i.Fatal(err)
	}
}

func TestTheFirstManagerMakesAKeyAndTheNextFindsIt(t *testing.T) {
	i := newInstallation(t)
	i.reconcile(i.manager())
	ring := i.ring()
	if i.writes != 1 || len(ring.Keys()) != 1 || i.secret().Type != registration.SealingSecretType {
		t.Fatalf("%d writes, %d keys", i.writes, len(ring.Keys()))
	}
	i.reconcile(i.manager())
	if i.writes != 1 || !i.ring().Same(ring) {
		t.Errorf("a second manager wrote %d times", i.writes-1)
	}
	if len(i.lines) != 1 || !strings.Contains(i.lines[0], ring.Keys()[0].ID()) {
		t.Errorf("the audit lines are %q", i.lines)
	}
}

func TestAWriteThatIsNotAnsweredHasItsLine(t *testing.T) {
	i := newInstallation(t)
	r := i.manager()
	i.answer = context.DeadlineExceeded
	if _, err := r.Reconcile(t.Context(), ctrl.Request{}); !errors.Is(err, i.answer) || len(i.lines) > 0 {
		t.Fatalf("%v, and the lines %q", err, i.lines)
	}
	i.answer = nil
	i.reconcile(r)
	i.reconcile(r)
	if len(i.lines) != 1 || !strings.Contains(i.lines[0], i.ring().Keys()[0].ID()) {
		t.Errorf("the audit lines are %q", i.lines)
	}
}

// Months of rotations: each key is published before it seals, and what it sealed opens for as long
// as the longest refresh token lives.
func TestMonthsOfRotations(t *testing.T) {
	i := newInstallation(t)
	r := i.manager()
	type sealed struct {
		value string
		at    time.Time
	}
	var all []sealed
	published := map[string]time.Time{}
	for day := range 130 {
		for range 24 {
			i.reconcile(r)
			for _, key := range i.ring().Keys() {
				if _, there := published[key.ID()]; !there {
					published[key.ID()] = i.now.Earliest
				}
			}
			i.pass(time.Hour)
		}
		i.reconcile(r)
		ring, now := i.ring(), i.now.Earliest
		value, err := ring.Seal(seal.Refresh, issuer, []byte("state"), now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, sealed{value, now}); day%10 != 9 {
			continue
		}
		for _, s := range all {
			_, err := ring.Open(seal.Refresh, issuer, s.value)
			if lives := now.Sub(s.at) < seal.MaxLife; lives && err != nil {
				t.Fatalf("on day %d, what was sealed at %s does not open", day, s.at)
			}
		}
	}
	for _, key := range i.ring().Keys() {
		if lead := key.ActiveAt.Sub(published[key.ID()]); lead < 0 {
			t.Errorf("key %s sealed %s before it was published", key.ID(), -lead)
		}
	}
	if len(published) != 5 || i.writes > 10 || len(i.ring().Keys()) > 6 {
		t.Errorf("%d keys were made, %d writes, %d are there", len(published), i.writes, len(i.ring().Keys()))
	}
}

func TestASecretThatIsDeletedIsWrittenAgain(t *testing.T) {
	i := newInstallation(t)
	r := i.manager()
	i.reconcile(r)
	ring := i.ring()
	if err := i.Delete(t.Context(), i.secret()); err != nil {
		t.Fatal(err)
	}
	i.reconcile(r)
	if !i.ring().Same(ring) {
		t.Error("the manager had the keys, and made others")
	}
}

func TestABackupBringsNoRetiredKeyBackAndEndsTheGrantsOfBefore(t *testing.T) {
	i := newInstallation(t)
	r, standby := i.manager(), i.manager()
	i.reconcile(r)
	backup, first := i.secret().Data, i.ring().Keys()[0].ID()
	for range 31 * 24 {
		i.pass(time.Hour)
		i.reconcile(r)
	}
	if keys := i.ring().Keys(); len(keys) != 2 {
		t.Fatalf("%d keys", len(keys))
	}
	i.restore(backup)
	at := i.now.Earliest
	for _, manager := range []*Reconciler{r, standby} {
		manager.Restored()
	}
	i.reconcile(r)
	ring := i.ring()
	if keys := ring.Keys(); len(keys) != 2 || keys[0].ID() != first || keys[0].RetiredAt.IsZero() || !ring.Restored().Equal(at) {
		t.Errorf("the keys are %v, restored at %s", keys, ring.Restored())
	}
	writes := i.writes
	i.pass(time.Minute)
	i.reconcile(r)
	i.reconcile(standby)
	if i.writes != writes || !i.ring().Restored().Equal(at) {
		t.Errorf("%d more writes, restored at %s", i.writes-writes, i.ring().Restored())
	}
	// a manager that had no memory
	i.restore(backup)
	i.reconcile(i.manager())
	keys := i.ring().Keys()
	if last := keys[len(keys)-1]; last.ID() == first || last.ActiveAt.Sub(i.now.Earliest) > 5*time.Minute {
		t.Errorf("key %s is the last, active at %s", last.ID(), last.ActiveAt)
	}
}

func TestWhatCannotBeReadIsLeftAlone(t *testing.T) {
	i := newInstallation(t)
	i.reconcile(i.manager())
	for name, document := range map[string]string{"damaged": "{", "of a newer version": `{"version":99,"keys":[]}`} {
		i.restore(map[string][]byte{"sealing.json": []byte(document)})
		i.writes = 0
		i.reconcile(i.manager())
		if i.writes != 0 || string(i.secret().Data["sealing.json"]) != document {
			t.Errorf("%s: %d writes", name, i.writes)
		}
	}
}

func TestAClockThatIsWrongDeletesNoKey(t *testing.T) {
	i := newInstallation(t)
	r := i.manager()
	i.reconcile(r)
	i.pass(seal.Interval)
	i.reconcile(r)
	before := len(i.ring().Keys())
	i.now = apiclock.Time{Earliest: i.now.Earliest, Latest: i.now.Earliest.Add(10 * seal.Keep)}
	i.reconcile(r)
	if len(i.ring().Keys()) != before {
		t.Error("a key was deleted or made by the wrong clock")
	}
}
