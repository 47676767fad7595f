// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/directory"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

// attemptOf is an attempt at the n-th code of a test.
func attemptOf(n int, attempt string) revocation.Redemption {
	return revocation.Redemption{
		CodeID: fmt.Sprint("code ", n), GrantID: fmt.Sprint("grant-", n), Attempt: attempt,
		Client: revocation.Client{ID: "shop.web", Namespace: "shop"}, ExpiresAt: time.Now().Add(time.Minute),
	}
}

// Three replicas are sent each code at once. One attempt is the first.
func TestACodeIsRedeemedOnceAtHoweverManyReplicas(t *testing.T) {
	c := newCluster(t)
	replicas := []*directory.Directory{c.watched(t), c.watched(t), c.watched(t)}
	const codes = 200
	var first [codes]atomic.Int64
	// A caller whose request takes too long has to try again.
	redeem := func(replica *directory.Directory, attempt revocation.Redemption) (won bool) {
		eventually(t, "an attempt is decided", func() bool {
			var err error
			won, err = replica.Redeem(t.Context(), attempt)
			return err == nil
		})
		return won
	}
	for n := range codes {
		var callers sync.WaitGroup
		for at, replica := range replicas {
			callers.Go(func() {
				if redeem(replica, attemptOf(n, fmt.Sprint("attempt-", at))) {
					first[n].Add(1)
				}
			})
		}
		callers.Wait()
	}
	for n := range codes {
		if count := first[n].Load(); count != 1 {
			t.Fatalf("%d attempts at code %d are the first", count, n)
		}
	}
	for _, replica := range replicas {
		eventually(t, "each replica counts all", func() bool { return replica.Redemptions() == codes })
	}
}

func TestAnAttemptWhoseAnswerIsLostFindsItself(t *testing.T) {
	c := newCluster(t)
	d := c.watched(t)
	c.mute.Store(true)
	if first, err := d.Redeem(t.Context(), attemptOf(1, "one")); !first || err != nil {
		t.Errorf("first %t, %v", first, err)
	}
	c.mute.Store(false)
	for attempt, want := range map[string]bool{"one": true, "two": false} {
		if first, err := d.Redeem(t.Context(), attemptOf(1, attempt)); first != want || err != nil {
			t.Errorf("attempt %s: first %t, %v", attempt, first, err)
		}
	}
	other := attemptOf(1, "one")
	other.GrantID = "another"
	if first, err := d.Redeem(t.Context(), other); first || err != nil {
		t.Errorf("the same attempt for another grant: first %t, %v", first, err)
	}
}

func TestACodeIsNotRedeemedWhileTheAPIServerIsAway(t *testing.T) {
	c := newCluster(t)
	d := c.watched(t)
	c.refuses.Store(true)
	first, err := d.Redeem(t.Context(), attemptOf(1, "one"))
	refusal, ok := errors.AsType[*oauth2.Error](err)
	if first || !ok || refusal.Code != oauth2.TemporarilyUnavailable || refusal.RetryAfter == 0 || refusal.Reason != oauth2.ReasonGrantNotDurable {
		t.Fatalf("first %t, %v", first, err)
	}
	if d.Redemptions() != 0 {
		t.Error("a redemption that was not created is counted")
	}
	c.refuses.Store(false)
	if first, err := d.Redeem(t.Context(), attemptOf(1, "two")); !first || err != nil {
		t.Errorf("the API server is back: first %t, %v", first, err)
	}
}

func TestARedemptionThatIsDeletedIsCountedNoLonger(t *testing.T) {
	c := newCluster(t)
	d := c.watched(t)
	for n := range 3 {
		if _, err := d.Redeem(t.Context(), attemptOf(n, "one")); err != nil {
			t.Fatal(err)
		}
	}
	object := &v1alpha1.TokenRevocation{}
	object.Namespace, object.Name = registryNamespace, attemptOf(0, "").Name()
	c.remove(t, object)
	eventually(t, "two are left", func() bool { return d.Redemptions() == 2 })
	c.compact() // the next list has those that are left
	if tokens, _ := d.Revocations().Len(); tokens != 0 {
		t.Errorf("redemptions revoke %d tokens", tokens)
	}
	again := c.watched(t)
	eventually(t, "a replica that starts counts them", func() bool { return again.Redemptions() == 2 })
}

// applySealing stores sealing keys.
func applySealing(t *testing.T, c *cluster, ring seal.Ring) {
	t.Helper()
	data, err := registration.EncodeSealing(ring)
	must(t, err)
	c.apply(t, registrySecret(registration.SealingSecretName, registration.SealingSecretType, data))
}

func TestABackupBringsNoSealingKeyBackAndEndsTheGrantsOfBefore(t *testing.T) {
	c := newCluster(t)
	began := time.Now().Add(-seal.Interval)
	first, _, err := seal.Ring{}.Rotate(began, began, rand.Reader)
	must(t, err)
	applySealing(t, c, first)
	d := c.watched(t)
	if !d.RestoredBefore().IsZero() {
		t.Fatal("a store that was never restored was")
	}
	backup := c.backup()
	second, _, err := first.Rotate(first.Due(), began, rand.Reader)
	must(t, err)
	applySealing(t, c, second)
	eventually(t, "the second key is known", func() bool { return d.Sealing().Same(second) })
	for n := range 5 { // written since the backup
		c.apply(t, registrySecret(fmt.Sprint("other-", n), "Opaque", nil))
	}
	noticed := time.Now()
	c.restore(backup, 0)
	eventually(t, "the restore is noticed", func() bool { return d.Restored() > 0 && d.Ready() == nil })
	if before := d.RestoredBefore(); before.Before(noticed) {
		t.Errorf("grants begun before %s are over, and the restore was at %s", before, noticed)
	}
	now := time.Now()
	sealed, err := d.Sealing().Seal(seal.Refresh, "https://hallpass.test", []byte("state"), now, rand.Reader)
	must(t, err)
	if _, err := first.Open(seal.Refresh, "https://hallpass.test", sealed); err == nil {
		t.Error("the first key seals again")
	}
	if _, err := second.Open(seal.Refresh, "https://hallpass.test", sealed); err != nil {
		t.Error("the second key does not seal any more")
	}
}

// A process that starts while the API server is away knows as much as the one before.
func TestTheSnapshotHasGenerationsSealingKeysAndTheRestore(t *testing.T) {
	c := newCluster(t)
	ring, _, err := seal.Ring{}.Rotate(time.Now(), time.Now(), rand.Reader)
	must(t, err)
	applySealing(t, c, ring.WithRestored(time.Now().Add(-time.Minute)))
	file := filepath.Join(t.TempDir(), "snapshot")
	open := func() *directory.Directory {
		d, err := directory.New(directory.Config{
			REST: &rest.Config{Host: c.URL}, RegistryNamespace: registryNamespace, Log: slog.New(slog.DiscardHandler), Now: c.now, SnapshotFile: file,
		})
		must(t, err)
		go d.Run(t.Context())
		return d
	}
	d := open()
	eventually(t, "the directory is ready", func() bool { return d.Ready() == nil })
	g := revocation.Generation{Grant: revocation.ID{7}, Number: 3, From: revocation.SecondsOf(time.Now()), Until: revocation.SecondsOf(time.Now().Add(time.Hour))}
	must(t, d.RevocationStore().WriteRevocations(t.Context(), "batch-1", revocation.Batch{Generations: []revocation.Generation{g}}))
	eventually(t, "the generation is known", func() bool {
		found, there := d.Revocations().Generation(g.Grant, time.Now())
		return there && found == g
	})
	written := time.Now()
	eventually(t, "the snapshot is written", func() bool { return d.Snapshot().At.After(written) })
	c.away.Store(true)
	after := open()
	eventually(t, "the snapshot serves", func() bool { return after.Bridging() })
	if found, there := after.Revocations().Generation(g.Grant, time.Now()); !there || found != g {
		t.Errorf("the generation is %v", found)
	}
	if !after.Sealing().Same(d.Sealing()) || after.Sealing().Empty() || !after.RestoredBefore().Equal(d.RestoredBefore()) || after.RestoredBefore().IsZero() {
		t.Errorf("%v, restored before %s", after.Sealing(), after.RestoredBefore())
	}
}
