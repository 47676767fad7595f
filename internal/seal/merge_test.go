// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/seal"
)

// rotated is the ring when its next key seals.
func rotated(t *testing.T, ring seal.Ring) (seal.Ring, time.Time) {
	t.Helper()
	due := ring.Due()
	next, changed, err := ring.Rotate(due, due, rand.Reader)
	if err != nil || !changed {
		t.Fatalf("changed %t, %v", changed, err)
	}
	keys := next.Keys()
	return next, keys[len(keys)-1].ActiveAt
}

// sealer is the id of the key that seals.
func sealer(t *testing.T, ring seal.Ring, now time.Time) string {
	t.Helper()
	sealed, err := ring.Seal(seal.Refresh, issuer, []byte("state"), now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range ring.Keys() {
		if alone := seal.Alone(key); opens(alone, sealed) {
			return key.ID()
		}
	}
	t.Fatal("no key of the ring has sealed it")
	return ""
}

func opens(ring seal.Ring, sealed string) bool {
	_, err := ring.Open(seal.Refresh, issuer, sealed)
	return err == nil
}

func TestARingFromABackupBringsNoKeyBack(t *testing.T) {
	backup := ringAt(t, start)
	held, now := rotated(t, backup)
	first, second := held.Keys()[0].ID(), held.Keys()[1].ID()
	if sealer(t, backup, now) != first || sealer(t, held, now) != second {
		t.Fatal("the keys do not follow each other")
	}
	merged := seal.Merge(held, backup, now)
	if got := sealer(t, merged, now); got != second || !merged.Same(held) {
		t.Errorf("%s seals, want the second key", got)
	}
	if other := seal.Merge(backup, held, now); !other.Same(merged) {
		t.Error("the order of the rings matters")
	}
	// a manager without memory goes on from the backup, whose last key is late
	anew, changed, err := backup.Rotate(now, now, rand.Reader)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	third := anew.Keys()[1]
	if third.ActiveAt.Sub(now) >= seal.Lead {
		t.Errorf("its next key seals %s later", third.ActiveAt.Sub(now))
	}
	merged = seal.Merge(held, anew, now)
	if sealer(t, merged, now) != second || sealer(t, merged, third.ActiveAt) != third.ID() || len(merged.Keys()) != 3 {
		t.Error("the key of the lost time seals until the new one does, and no longer")
	}
	if gone := merged.Keys()[0].GoneAt; gone.Before(third.ActiveAt.Add(seal.Keep)) {
		t.Error("the first key sealed until the third one did, and ends earlier than what it sealed")
	}
	sealed, err := held.Seal(seal.Refresh, issuer, nil, now, rand.Reader)
	if err != nil || !opens(merged, sealed) || opens(anew, sealed) {
		t.Error("what the lost key sealed opens where it is known, and nowhere else")
	}
}

func TestAKeyThatIsGoneStaysGone(t *testing.T) {
	backup := ringAt(t, start)
	held, _ := rotated(t, backup)
	gone := held.Keys()[0].GoneAt
	held, changed, err := held.Rotate(gone, gone, rand.Reader)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	if merged := seal.Merge(held, backup, gone); len(merged.Keys()) < 2 || merged.Keys()[0].GoneAt.IsZero() {
		t.Errorf("%d keys; the first one ends in time", len(merged.Keys()))
	}
	stale, _ := rotated(t, backup)
	if merged := seal.Merge(held, stale, stale.Keys()[0].GoneAt); merged.Keys()[0].ID() == backup.Keys()[0].ID() {
		t.Error("a key that is gone is back")
	}
}

func TestARestoreStaysKnown(t *testing.T) {
	ring := ringAt(t, start)
	if !ring.Restored().IsZero() {
		t.Error("a new ring was restored")
	}
	restored := ring.WithRestored(start.Add(time.Hour)).WithRestored(start)
	for name, r := range map[string]seal.Ring{
		"itself": restored, "merged with the backup": seal.Merge(restored, ring, start), "read": reread(t, restored),
	} {
		if !r.Restored().Equal(start.Add(time.Hour)) || r.Same(ring) || !r.Same(restored) {
			t.Errorf("%s: %s", name, r.Restored())
		}
	}
	if next, _ := rotated(t, restored); !next.Restored().Equal(restored.Restored()) {
		t.Error("the next key forgets it")
	}
	if again := reread(t, ring); !again.Restored().IsZero() || !again.Same(ring) {
		t.Error("a ring that was never restored is read as another one")
	}
}

func reread(t *testing.T, ring seal.Ring) seal.Ring {
	t.Helper()
	document, err := ring.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := seal.Decode(document)
	if err != nil {
		t.Fatal(err)
	}
	return read
}
