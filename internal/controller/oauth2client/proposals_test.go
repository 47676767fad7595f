// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// encode tries whether the verifiers may be published.
func encode(r registration.Registration) error {
	r.Client.ID, r.Client.Namespace, r.Client.Name, r.Client.TokenLifetime = "shop.app", "shop", "app", time.Hour
	_, err := registration.Encode(r)
	return err
}

// The Secret refuses each write for days. Whatever is proposed meanwhile, what reached the Secret before stays to its end.
func TestFailedWritesPushOutNoSecretThatApplicationsHold(t *testing.T) {
	r := registered(of("c", 2*time.Hour), of("b", time.Hour, until(90*24*time.Hour)), of("a", 0, until(80*24*time.Hour)))
	for try := range 1000 {
		now := start.Add(3*time.Hour + time.Duration(try)*time.Second)
		id := fmt.Sprint("try", try)
		r = propose(r, oauth2.Credential{ID: id, Value: oauth2.NewSecret(id)}, wish{uid: testUID}, now)
		for _, value := range []string{"a", "b", "c", id} {
			if !slices.ContainsFunc(r.Client.Verifiers, func(v oauth2.Verifier) bool { return v.ID == value && v.Live(now) }) {
				t.Fatalf("after %d tries %s is gone: %s", try, value, sketch(r))
			}
		}
		if err := encode(r); err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing that Hallpass writes has as many secrets that reached a Secret. Such a record is not made to fit by taking one of them away.
func TestARecordThatIsFullOfSecretsIsNotWritten(t *testing.T) {
	var all []oauth2.Verifier
	for i := range oauth2.MaxVerifiers {
		all = append(all, of(fmt.Sprint(i), time.Duration(i), until(time.Hour)))
	}
	r := propose(registered(all...), oauth2.Credential{ID: "new", Value: oauth2.NewSecret("new")}, wish{uid: testUID}, start)
	if err := encode(r); err == nil || len(r.Client.Verifiers) != oauth2.MaxVerifiers+1 {
		t.Errorf("%v: %s", err, sketch(r))
	}
}

// The first secret of a client was registered and its Secret could not be written: the next attempt changes nothing in the registration.
func TestAFirstSecretThatIsTriedAgainStaysTheFirst(t *testing.T) {
	first := oauth2.Credential{ID: "a", Value: oauth2.NewSecret("a")}
	before := registered(of("a", 0))
	before.Rotation = registration.Rotation{Handled: "one", First: "a"}
	if again := propose(before, first, wish{uid: testUID, request: "one"}, start); !cmp.Equal(before, again, digests) {
		t.Errorf("%s %+v", sketch(again), again.Rotation)
	}
	asked := propose(before, first, wish{uid: testUID, request: "two"}, start)
	settled, found := settle(asked, first.Value, wish{uid: testUID, request: "two"}, start)
	if want := (registration.Rotation{Handled: "two"}); !found || settled.Rotation != want || len(settled.Client.Verifiers) != 1 {
		t.Errorf("%t: %s %+v", found, sketch(settled), settled.Rotation)
	}
}
