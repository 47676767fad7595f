// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/directory"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func terminating(c *v1alpha1.OAuth2Client, finalizer string) *v1alpha1.OAuth2Client {
	going := c.DeepCopy()
	going.DeletionTimestamp, going.Finalizers = new(metav1.Now()), []string{finalizer}
	return going
}

func knows(d *directory.Directory, r registered) bool {
	owner := d.Record(r.object.ClientID()).Owner
	return owner != nil && owner.UID == string(r.object.UID) && !owner.Terminating
}

// What a tenant can do with its own objects, at any pace and in any order, proves nothing, and
// harms no other tenant.
func TestNothingThatATenantDoesProvesARestore(t *testing.T) {
	for name, do := range map[string]func(t *testing.T, c *cluster, evil registered){
		"it keeps a deleted client with a finalizer": func(t *testing.T, c *cluster, evil registered) {
			c.apply(t, terminating(evil.object, "evil.example.com/hold"))
		},
		"it deletes a client in the foreground": func(t *testing.T, c *cluster, evil registered) {
			c.apply(t, terminating(evil.object, metav1.FinalizerDeleteDependents))
		},
		"it changes a client that is terminating": func(t *testing.T, c *cluster, evil registered) {
			going := terminating(evil.object, "evil.example.com/hold")
			for i := range 3 {
				going.Labels = map[string]string{"turn": fmt.Sprint(i)}
				c.apply(t, going.DeepCopy())
			}
		},
		"it deletes a client and makes it again": func(t *testing.T, c *cluster, evil registered) {
			c.apply(t, terminating(evil.object, "evil.example.com/hold"))
			c.remove(t, evil.object.DeepCopy())
			newRegistered(t, c, "evil", "held").apply(t, c)
		},
		"it makes a client again while no watch is open": func(t *testing.T, c *cluster, evil registered) {
			c.CloseClientConnections()
			c.remove(t, evil.object.DeepCopy())
			newRegistered(t, c, "evil", "held").apply(t, c)
			c.CloseClientConnections()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			evil := newRegistered(t, c, "evil", "held").apply(t, c)
			token := newMinted(c, "evil", "held", v1alpha1.TokenFixed, "jti")
			token.apply(t, c)
			d := c.watched(t)
			eventually(t, "the client is known", func() bool { return knows(d, evil) })
			do(t, c, evil)
			going := token.object.DeepCopy()
			going.DeletionTimestamp, going.Finalizers = new(metav1.Now()), []string{"evil.example.com/hold"}
			c.apply(t, going)
			for i := range 20 {
				// also over a connection that is new
				eventually(t, "the client is looked up", func() bool {
					_, err := d.LookUp(t.Context(), evil.object.ClientID())
					return err == nil
				})
				eventually(t, "the OAuth2Token is terminating", func() bool {
					record, err := d.LookUpMinted(t.Context(), oauth2.OpaqueID(token.record.UID))
					return err == nil && record.Owner.Terminating
				})
				if i%5 == 0 {
					c.CloseClientConnections()
				}
			}
			victim := newRegistered(t, c, "victim", "api").apply(t, c)
			grafana := newMinted(c, "victim", "grafana", v1alpha1.TokenFixed, "jti")
			grafana.apply(t, c)
			eventually(t, "another tenant's new client is known", func() bool { return knows(d, victim) })
			eventually(t, "another tenant's new token is good", func() bool { return grafana.good(d, c, "jti") })
			if d.Revocations().Revoked(victim.claims(c.now()), "victim", c.now()) {
				t.Error("what is issued to another tenant's new client is revoked")
			}
			if d.Restored() != 0 {
				t.Errorf("a restore was noticed %d times", d.Restored())
			}
		})
	}
}

// Each way in which an object that was gone comes to be seen proves that it is back.
func TestAnObjectThatWasGoneAndIsBackProvesARestore(t *testing.T) {
	for name, c := range map[string]struct {
		deny func(t *testing.T, c *cluster, gone registered)
		see  func(t *testing.T, c *cluster, d *directory.Directory, gone registered)
	}{
		"it was deleted, and is in a list":     {deny: deleted, see: listed},
		"it was terminating, and is in a list": {deny: held, see: listed},
		"it was deleted, and is changed": {deny: deleted, see: func(t *testing.T, c *cluster, _ *directory.Directory, gone registered) {
			changed := gone.object.DeepCopy()
			changed.Labels = map[string]string{"changed": "true"}
			c.apply(t, changed)
		}},
		"it was terminating, and is changed": {deny: held, see: func(t *testing.T, c *cluster, _ *directory.Directory, gone registered) {
			changed := gone.object.DeepCopy()
			changed.Labels = map[string]string{"changed": "true"}
			c.apply(t, changed)
		}},
		"it was deleted, and is looked up":     {deny: deleted, see: lookedUp},
		"it was terminating, and is looked up": {deny: held, see: lookedUp},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := newCluster(t)
			gone := newRegistered(t, cluster, "shop", "reporting").apply(t, cluster)
			d := cluster.watched(t)
			eventually(t, "the client is known", func() bool { return knows(d, gone) })
			backup := cluster.backup()
			c.deny(t, cluster, gone)
			eventually(t, "the client is gone", func() bool { return !knows(d, gone) })
			issued := cluster.now().Add(-time.Second)
			cluster.catchUp(backup)
			c.see(t, cluster, d, gone)
			eventually(t, "the restore is noticed", func() bool { return d.Restored() == 1 })
			eventually(t, "the client is there again", func() bool { return knows(d, gone) })
			if !d.Revocations().Revoked(gone.claims(issued), "shop", cluster.now()) {
				t.Error("a token of before is good again")
			}
			if d.Revocations().Revoked(gone.claims(cluster.now().Add(2*time.Second)), "shop", cluster.now()) {
				t.Error("a token that is issued afterwards is revoked")
			}
		})
	}
}

func deleted(t *testing.T, c *cluster, gone registered) { c.remove(t, gone.object.DeepCopy()) }

func held(t *testing.T, c *cluster, gone registered) {
	c.apply(t, terminating(gone.object, "example.com/hold"))
}

func listed(_ *testing.T, c *cluster, _ *directory.Directory, _ registered) { c.compact() }

func lookedUp(t *testing.T, _ *cluster, d *directory.Directory, gone registered) {
	eventually(t, "a look-up is refused", func() bool {
		_, err := d.LookUp(t.Context(), gone.object.ClientID())
		return err != nil || d.Restored() > 0
	})
}

// What is denied was known, or ought to have been; what is made meanwhile is new.
func TestOnlyWhatWasDeniedIsQuarantined(t *testing.T) {
	c := newCluster(t)
	suspended := newRegistered(t, c, "shop", "suspended").apply(t, c)
	unharmed := newRegistered(t, c, "shop", "unharmed").apply(t, c)
	unknown := newRegistered(t, c, "shop", "unknown")
	printer := newMinted(c, "shop", "printer", v1alpha1.TokenFixed, "replaced", "kept")
	printer.apply(t, c)
	d := c.watched(t)
	backup := c.backup()
	_, document := encode(t, unknown.object) // it was there before the first watch
	backup.objects[clients]["shop/unknown"] = document
	denied := suspended.object.DeepCopy()
	denied.Spec.State = v1alpha1.ClientSuspended
	c.apply(t, denied)
	replaced := printer
	replaced.record.Tokens = printer.record.Tokens[1:]
	c.apply(t, replaced.secret(t))
	eventually(t, "the client is suspended", func() bool { return d.Record("shop.suspended").Owner.Suspended })
	eventually(t, "the token is replaced", func() bool { return !printer.good(d, c, "replaced") })
	for range 50 { // so that the restored store stays behind
		c.apply(t, denied)
	}
	last := newRegistered(t, c, "shop", "last").apply(t, c)
	eventually(t, "the last change is known", func() bool { return knows(d, last) })
	issued := c.now().Add(-time.Second)
	c.restore(backup, 0)
	young := newRegistered(t, c, "shop", "young")
	young.object.CreationTimestamp = metav1.Time{}
	young.apply(t, c)
	issuing := newMinted(c, "shop", "new", v1alpha1.TokenFixed, "new")
	issuing.object.CreationTimestamp = metav1.Time{}
	issuing.record.Tokens[0].IssuedAt = c.now()
	issuing.apply(t, c)
	eventually(t, "the restore is noticed", func() bool { return d.Restored() == 1 })
	eventually(t, "the new client is known", func() bool { return knows(d, young) })
	eventually(t, "the new OAuth2Token is good", func() bool { return issuing.good(d, c, "new") })
	eventually(t, "the suspended client is active", func() bool { return knows(d, suspended) })
	for _, check := range []struct {
		of      registered
		revoked bool
	}{{suspended, true}, {unknown, true}, {unharmed, false}, {young, false}} {
		if got := d.Revocations().Revoked(check.of.claims(issued), "shop", c.now()); got != check.revoked {
			t.Errorf("a token of %s is revoked: %t", check.of.object.Name, got)
		}
	}
	if printer.good(d, c, "replaced") || !printer.good(d, c, "kept") {
		t.Error("the token that was replaced is good again, or the other one is not")
	}
	if d.Restored() != 1 {
		t.Errorf("the restore was noticed %d times", d.Restored())
	}
}

// JWTs are over after two hours. What lives longer stays refused until its
// record is written anew or its OAuth2Token is created again.
func TestADeletedOAuth2TokenThatIsBackStaysRefused(t *testing.T) {
	for name, then := range map[string]struct {
		mode v1alpha1.TokenMode
		do   func(t *testing.T, c *cluster, m *minted)
		// good has those of its tokens that are valid afterwards, and refused is whether
		// the OAuth2Token itself is.
		good    map[string]bool
		refused bool
	}{
		"a Fixed one, for good": {
			mode: v1alpha1.TokenFixed, good: map[string]bool{"old": false}, refused: true,
			do: func(_ *testing.T, c *cluster, _ *minted) { c.ahead.Add(int64(30 * 24 * time.Hour)) },
		},
		"a Refreshing one, for two hours": {
			mode: v1alpha1.TokenRefreshing, good: map[string]bool{"old": false},
			do: func(_ *testing.T, c *cluster, _ *minted) { c.ahead.Add(int64(2*time.Hour + time.Minute)) },
		},
		"a Refreshing one, for less than two hours": {
			mode: v1alpha1.TokenRefreshing, good: map[string]bool{"old": false}, refused: true,
			do: func(_ *testing.T, c *cluster, _ *minted) { c.ahead.Add(int64(2*time.Hour - time.Minute)) },
		},
		"a Refreshing one, until its record is written anew": {
			mode: v1alpha1.TokenRefreshing, good: map[string]bool{"old": false, "next": true},
			do: func(t *testing.T, c *cluster, m *minted) {
				m.add("next", c.now())
				c.apply(t, m.secret(t))
			},
		},
		"a Fixed one, until its record is written anew": {
			mode: v1alpha1.TokenFixed, good: map[string]bool{"old": false, "next": true},
			do: func(t *testing.T, c *cluster, m *minted) {
				m.add("next", c.now())
				c.apply(t, m.secret(t))
			},
		},
		"a Fixed one, until it is made again": {
			mode: v1alpha1.TokenFixed, good: map[string]bool{"old": false, "next": true},
			do: func(t *testing.T, c *cluster, m *minted) {
				m.remove(t, c)
				*m = newMinted(c, "shop", "printer", v1alpha1.TokenFixed)
				m.add("next", c.now())
				m.apply(t, c)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			token := newMinted(c, "shop", "printer", then.mode, "old")
			token.apply(t, c)
			d := c.watched(t)
			if !token.good(d, c, "old") {
				t.Fatal("before: the token is refused")
			}
			backup := c.backup()
			token.remove(t, c)
			eventually(t, "the token is gone", func() bool { return !token.good(d, c, "old") })
			c.catchUp(backup)
			token.object.Labels = map[string]string{"changed": "true"}
			c.apply(t, token.object)
			eventually(t, "the restore is noticed", func() bool { return d.Restored() == 1 })
			eventually(t, "it is read again", func() bool {
				record, err := d.LookUpMinted(t.Context(), oauth2.OpaqueID(token.record.UID))
				return err == nil && record.Owner != nil && d.Minted(oauth2.OpaqueID(token.record.UID)).Owner != nil
			})
			if record, err := d.LookUpMinted(t.Context(), oauth2.OpaqueID(token.record.UID)); err != nil || !record.Owner.Terminating || token.good(d, c, "old") {
				t.Fatalf("it is back: %+v, %v", record.Owner, err)
			}
			then.do(t, c, &token)
			for id, want := range then.good {
				if want {
					eventually(t, "the token "+id+" is good", func() bool { return token.good(d, c, id) })
				}
			}
			for id, want := range then.good {
				if token.good(d, c, id) != want {
					t.Errorf("the token %s is good: %t", id, !want)
				}
			}
			if record, err := d.LookUpMinted(t.Context(), oauth2.OpaqueID(token.record.UID)); err != nil || record.Owner.Terminating != then.refused {
				t.Errorf("afterwards: %+v, %v", record.Owner, err)
			}
			if d.Restored() != 1 {
				t.Errorf("the restore was noticed %d times", d.Restored())
			}
		})
	}
}

// However often something proves a restore, a replica reads everything again once a minute at most.
func TestASecondProofWaitsUntilAMinuteIsOver(t *testing.T) {
	c := newCluster(t)
	gone := []registered{newRegistered(t, c, "shop", "first").apply(t, c), newRegistered(t, c, "shop", "second").apply(t, c)}
	other := newRegistered(t, c, "shop", "other").apply(t, c)
	d := c.watched(t)
	for _, r := range gone {
		c.remove(t, r.object.DeepCopy())
	}
	eventually(t, "they are gone", func() bool { return !knows(d, gone[0]) && !knows(d, gone[1]) })
	// One object comes back after the other, each as none that the last list had.
	bring := func(r registered) {
		back := r.object.DeepCopy()
		back.Labels = map[string]string{"back": "true"}
		c.apply(t, back)
	}
	bring(gone[0])
	eventually(t, "the first is noticed, and all is read again", func() bool { return d.Restored() == 1 && knows(d, gone[0]) })
	eventually(t, "look-ups are answered again", func() bool {
		_, err := d.LookUp(t.Context(), other.object.ClientID())
		return err == nil
	})
	bring(gone[1])
	for range 20 {
		record, err := d.LookUp(t.Context(), gone[1].object.ClientID())
		if err != nil || !record.Owner.Terminating {
			t.Fatalf("the second is looked up: %+v, %v", record.Owner, err)
		}
		if record, err := d.LookUp(t.Context(), other.object.ClientID()); err != nil || record.Owner.Terminating {
			t.Fatalf("another one is looked up: %+v, %v", record.Owner, err)
		}
	}
	fresh := newRegistered(t, c, "shop", "fresh").apply(t, c)
	eventually(t, "what is made meanwhile is known", func() bool { return knows(d, fresh) })
	if d.Restored() != 1 || knows(d, gone[1]) {
		t.Errorf("noticed %d times; the second is there: %t", d.Restored(), knows(d, gone[1]))
	}
	c.ahead.Add(int64(time.Minute))
	eventually(t, "the second is noticed, and all is read again", func() bool { return d.Restored() == 2 && knows(d, gone[1]) })
	if !d.Revocations().Revoked(gone[1].claims(c.now().Add(-2*time.Minute)), "shop", c.now()) || d.Revocations().Revoked(fresh.claims(c.now()), "shop", c.now()) {
		t.Error("a token of before is good again, or one of a new client is not")
	}
}

// All clients are deleted by accident, and etcd is restored from a backup: each of them is in
// quarantine. The control is the first list of the same clients in the same run. What
// BenchmarkQuarantine measures is at most three times as long; work for each client that grows with
// their number would be more than thirty times as long here. What a busy machine does to one of the
// two is gone in another run.
func TestAQuarantineOfEverythingIsLinear(t *testing.T) {
	const slower, runs = 10, 3
	for run := range runs {
		first, restored := quarantineEverything(t)
		t.Logf("the first list took %s, the one of the backup %s", first, restored)
		if restored <= slower*first {
			return
		}
		if run == runs-1 {
			t.Errorf("%d times as long as the first list", restored/first)
		}
	}
}

// quarantineEverything returns how long the first list took, and the one of the backup.
func quarantineEverything(t *testing.T) (first, restored time.Duration) {
	t.Helper()
	const size = 8_000
	c := newCluster(t)
	documents := map[string][]byte{}
	for i := range size {
		_, document := encode(t, newRegistered(t, c, "shop", fmt.Sprintf("client-%d", i)).object)
		documents[fmt.Sprintf("shop/client-%d", i)] = document
	}
	c.etcd.objects[clients] = documents
	// the last that a list without it takes away
	marker := newRegistered(t, c, "shop", "marker")
	c.apply(t, marker.record)
	d := c.watched(t)
	first = c.taken(t, "the first list", func() bool { return d.Ready() == nil })
	backup := c.backup()
	c.mu.Lock()
	c.etcd.objects[clients] = nil
	c.mu.Unlock()
	c.compact()
	c.taken(t, "the list without them", func() bool { return true })
	c.apply(t, marker.object)
	eventually(t, "they are gone", func() bool { return knows(d, marker) })
	c.catchUp(backup)
	c.compact()
	revoked := func() bool {
		return d.Revocations().Revoked(oauth2.Claims{ClientID: "shop.client-0", IssuedAt: c.now().Add(-time.Minute)}, "shop", c.now())
	}
	restored = c.taken(t, "the list of the backup", func() bool { return !knows(d, marker) })
	if !revoked() || d.Restored() != 1 {
		t.Errorf("a token of before is good again; the restore was noticed %d times", d.Restored())
	}
	c.ahead.Add(int64(3 * time.Hour))
	eventually(t, "the quarantine is over", func() bool { return !revoked() })
	return first, restored
}
