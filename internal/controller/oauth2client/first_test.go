// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// Of two managers that made the first secret of a client at once, one may have written the registration and the other the Secret.
func TestTheSecretOfAManagerThatWasAsQuickIsRegistered(t *testing.T) {
	theirs, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	first := func(verifiers ...oauth2.Verifier) registration.Registration {
		r := registered(verifiers...)
		r.Rotation.First = "a"
		return r
	}
	for name, c := range map[string]struct {
		registration registration.Registration
		value        oauth2.Secret
		later        time.Duration
		want         string
	}{
		"the registration has its first secret, and the Secret another one": {
			first(of("a", 0)), theirs.Value, time.Minute, "a, " + theirs.ID + " pending until 6m0s",
		},
		"the registration is not there":                             {registered(), theirs.Value, time.Minute, theirs.ID + " pending until 6m0s"},
		"they have the same one":                                    {first(of("a", 0)), oauth2.NewSecret("a"), time.Minute, "a"},
		"somebody wrote it by hand":                                 {first(of("a", 0)), oauth2.NewSecret("hp_made_up"), time.Minute, "a"},
		"too late for another manager":                              {first(of("a", 0)), theirs.Value, credential.PendingLife, "a"},
		"a secret was rotated since":                                {first(of("a", 0), of("b", time.Minute)), theirs.Value, 2 * time.Minute, "a, b"},
		"another secret is current":                                 {first(of("b", time.Minute)), theirs.Value, 2 * time.Minute, "b"},
		"the registration was not written together with the Secret": {registered(of("a", 0)), theirs.Value, time.Minute, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Reconciler{Clock: clocktesting.NewFakePassiveClock(start.Add(c.later))}
			w := &world{policy: credential.Policy{UID: testUID}, registration: c.registration, value: c.value}
			r.adopt(w)
			if got := sketch(w.registration); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// A proposal takes the mark of a first secret away, so that a secret which was rotated out is never taken for that of a quick manager.
func TestNoSecretIsTheFirstOneAfterARotation(t *testing.T) {
	minted, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	before := registered(of("a", 0))
	before.Rotation.First = "a"
	after := propose(before, minted, credential.Policy{UID: testUID}, start)
	settled, found := settle(after, minted.Value, credential.Policy{UID: testUID}, start)
	if !found || settled.Rotation.First != "" || justCreated(settled, start) {
		t.Errorf("%t: %+v", found, settled.Rotation)
	}
}

func TestTheCacheIsWaitedForAsLongAsItMayTake(t *testing.T) {
	var f firsts
	c := &v1alpha1.OAuth2Client{}
	c.UID = testUID
	if f.unseen(c, start) {
		t.Error("nothing was written")
	}
	f.wrote(c, start)
	if !f.unseen(c, start.Add(unseenFor-time.Second)) {
		t.Error("what was just written is taken for lost")
	}
	if f.unseen(c, start.Add(unseenFor)) {
		t.Error("what never comes is waited for without end")
	}
	f.wrote(c, start)
	f.seen(c)
	if f.unseen(c, start) {
		t.Error("what the cache has is waited for")
	}
}

const testUID = "0b7c1f3e-7f4b-4d69-9b0e-6a3f3a0f2d11"

var start = time.Date(2026, time.March, 1, 9, 30, 0, 0, time.UTC)

// sketch draws the verifiers of a registration: its name, whether it is pending, and when it ends, seen from start.
func sketch(r registration.Registration) string {
	drawn := make([]string, 0, len(r.Client.Verifiers))
	for _, v := range r.Client.Verifiers {
		line := v.ID
		if v.Pending {
			line += " pending"
		}
		if !v.ExpiresAt.IsZero() {
			line += " until " + v.ExpiresAt.Sub(start).String()
		}
		drawn = append(drawn, line)
	}
	return strings.Join(drawn, ", ")
}

// of makes a verifier of a secret that is called as its id and was made so long after start.
func of(id string, made time.Duration) oauth2.Verifier {
	return oauth2.Verifier{ID: id, Digest: oauth2.DigestSecret(testUID, oauth2.NewSecret(id)), CreatedAt: start.Add(made)}
}

func registered(verifiers ...oauth2.Verifier) registration.Registration {
	return registration.Registration{Client: oauth2.Client{UID: testUID, Verifiers: verifiers}}
}
