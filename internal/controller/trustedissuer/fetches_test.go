// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package trustedissuer

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hallpass-dev/hallpass/internal/controller/issuerkeys"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/issuers"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const uid types.UID = "uid"

// fetching is an issuer whose keys are fetched as time goes by.
type fetching struct {
	*testing.T

	issuer  *issuers.Issuer
	fetches fetches
	by      keyReader
	clock   *clocktesting.FakeClock
	source  keySource
}

func newFetching(t *testing.T) *fetching {
	t.Helper()
	network := &issuers.Network{}
	issuer := issuers.Start(t, network, "https://issuer.example.com", jws.ES256)
	return &fetching{
		T: t, issuer: issuer, by: keyReader{Fetcher: network.Fetcher()}, clock: clocktesting.NewFakeClock(noon),
		source: keySource{Source: issuerkeys.Source{Issuer: issuer.URL, CABundle: issuer.CA}},
	}
}

func (f *fetching) after(d time.Duration) fetch {
	f.Helper()
	f.clock.Step(d)
	return f.fetches.keys(f.Context(), uid, f.source, f.by, f.clock)
}

// TestAKeyIsKnownBeforeItSigns: one that is published 120 s before it signs is known by then, and
// one without lead within 70 s. e2e.TestAKeyOfAnIssuerIsHonouredInTime shows it by a real clock.
func TestAKeyIsKnownBeforeItSigns(t *testing.T) {
	f := newFetching(t)
	before := f.after(0)
	if before.keys == "" || !before.at.Equal(noon) || before.next.Sub(noon) > 70*time.Second {
		t.Fatalf("first fetched at %s, the next one at %s", before.at, before.next)
	}
	f.issuer.Rotate(jws.RS256)
	asked := f.issuer.Asked()
	for range 5 { // events of other objects
		if got := f.after(10 * time.Second); got.keys != before.keys {
			t.Fatal("the keys were fetched too early")
		}
	}
	if f.issuer.Asked() != asked {
		t.Errorf("the issuer was asked %d times between two fetches", f.issuer.Asked()-asked)
	}
	if got := f.after(10 * time.Second); got.keys == before.keys || !got.at.Equal(noon.Add(time.Minute)) {
		t.Errorf("after a minute the keys are those of %s", got.at)
	}
}

func TestAnIssuerThatIsAwayIsAskedLessAndLess(t *testing.T) {
	f := newFetching(t)
	good := f.after(0)
	f.issuer.Answer(issuers.KeysPath, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "away", http.StatusBadGateway) })
	for _, want := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 5 * time.Minute, 5 * time.Minute} {
		at := f.fetches.last[uid].next
		got := f.after(at.Sub(f.clock.Now()))
		if got.failed == nil || got.next.Sub(at) != want {
			t.Errorf("the next fetch comes after %s (%v), want %s", got.next.Sub(at), got.failed, want)
		}
		if got.keys != good.keys || !got.at.Equal(noon) {
			t.Error("the last good keys are forgotten")
		}
	}
	f.issuer.Answer(issuers.KeysPath, nil)
	if got := f.after(5 * time.Minute); got.failed != nil || got.next.Sub(f.clock.Now()) != time.Minute {
		t.Errorf("back again: %v, the next fetch at %s", got.failed, got.next)
	}
}

func TestAnotherSourceIsFetchedAtOnce(t *testing.T) {
	f := newFetching(t)
	f.after(0)
	asked := f.issuer.Asked()
	f.source.URL = f.issuer.URL + issuers.KeysPath
	if got := f.after(time.Second); got.failed != nil || f.issuer.Asked() != asked+1 {
		t.Errorf("%v, asked %d times", got.failed, f.issuer.Asked()-asked)
	}
	f.fetches.forget(uid)
	if f.after(time.Second); f.issuer.Asked() != asked+2 {
		t.Error("what was forgotten is not fetched")
	}
}

// TestKeysAreUsedForTheirAge: a fetch that brings no change is recorded a few times in that age,
// and what is on record ends with it.
func TestKeysAreUsedForTheirAge(t *testing.T) {
	f := newFetching(t)
	s := &state{now: noon, maxAge: 16 * time.Hour}
	take := func(d time.Duration) {
		fetched := f.after(d)
		s.now, s.failed, s.next = f.clock.Now(), fetched.failed, fetched.next
		s.takeFetched(fetched)
		s.before = new(s.issuer)
		s.issuer = oauth2.TrustedIssuer{}
	}
	take(0)
	if got := s.before; !got.Keys.FetchedAt.Equal(noon) || !got.Keys.Until.Equal(noon.Add(16*time.Hour)) {
		t.Fatalf("fetched at %s, used until %s", got.Keys.FetchedAt, got.Keys.Until)
	}
	f.issuer.Rotate(jws.EdDSA)
	f.source.URL = f.issuer.URL + issuers.KeysPath
	former := s.before.Keys.Set
	if take(0); s.before.Keys.Set == former {
		t.Error("keys of another source that were fetched in the same second are not recorded")
	}
	take(59 * time.Minute)
	if !s.before.Keys.FetchedAt.Equal(noon) {
		t.Error("a fetch that brings no change is recorded at once")
	}
	take(time.Minute)
	if !s.before.Keys.FetchedAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("after a sixteenth of the age the record is of %s", s.before.Keys.FetchedAt)
	}
	f.issuer.Answer(issuers.KeysPath, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "away", http.StatusBadGateway) })
	take(16*time.Hour - time.Second)
	s.issuer = *s.before
	if v, fresh := s.verdict(); v.Obstacle != nil || fresh.Status != "False" {
		t.Errorf("before the end of the age: %v, %v", v.Obstacle, fresh)
	}
	s.now = s.now.Add(time.Second)
	if v, _ := s.verdict(); v.Obstacle == nil || v.Obstacle.Reason != "KeysStale" || !v.Passing {
		t.Errorf("at the end of the age: %v", v.Obstacle)
	}
}

// A key that is published beside another one is used beside it, and one that is no longer published
// is not used. A set that has no key, or one kid twice, replaces none.
func TestKeysComeAndVanish(t *testing.T) {
	f := newFetching(t)
	first := f.issuer.Signer
	second, sameID := issuers.NewSigner(t, jws.ES256), issuers.NewSigner(t, jws.ES256)
	used := func(what string, want ...*jws.Signer) {
		t.Helper()
		ids := f.after(interval).keys.IDs()
		var wanted []string
		for _, signer := range want {
			wanted = append(wanted, signer.Public().ID)
		}
		if !slices.Equal(ids, wanted) {
			t.Errorf("%s: %v, want %v", what, ids, wanted)
		}
	}
	used("one", first)
	f.issuer.Publish(first, second)
	used("two", first, second)
	f.issuer.Publish(second)
	used("without the first", second)
	f.issuer.Publish()
	used("an empty set", second)
	f.issuer.Publish(first, second)
	f.after(LastRetry)
	used("both again", first, second)
	one, err := sameID.Public().JWK()
	if err != nil {
		t.Fatal(err)
	}
	other, err := first.Public().JWK()
	if err != nil {
		t.Fatal(err)
	}
	one.KeyID = other.KeyID
	document, err := json.Marshal(map[string]any{"keys": []jws.JWK{one, other}})
	if err != nil {
		t.Fatal(err)
	}
	f.issuer.Answer(issuers.KeysPath, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })
	used("one kid twice", first, second)
}
