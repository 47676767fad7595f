// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
)

const day = 24 * time.Hour

var policy = keyring.Policy{
	Algorithms: []jws.Algorithm{jws.EdDSA}, Period: 30 * day, Lead: time.Hour, Retirement: 75 * time.Minute, Skew: 5 * time.Minute,
}

// counted makes Ed25519 keys from a counter, so that a test is repeatable, and keys of other
// algorithms as they come.
func counted() func(jws.Algorithm) (crypto.Signer, error) {
	var count uint64
	return func(algorithm jws.Algorithm) (crypto.Signer, error) {
		if algorithm != jws.EdDSA {
			return keyring.Generate(algorithm)
		}
		count++
		seed := make([]byte, ed25519.SeedSize)
		binary.BigEndian.PutUint64(seed, count)
		return ed25519.NewKeyFromSeed(seed), nil
	}
}

// walk is a ring that time passes by.
type walk struct {
	testing.TB

	ring     keyring.Ring
	policy   keyring.Policy
	now      time.Time
	generate func(jws.Algorithm) (crypto.Signer, error)
}

func newWalk(t testing.TB, policy keyring.Policy) *walk {
	w := &walk{TB: t, policy: policy, now: epoch, generate: counted()}
	w.rotate(keyring.Order{})
	return w
}

// rotate rotates, checks that a second time there is nothing to do, and returns what changed.
func (w *walk) rotate(order keyring.Order) []keyring.Change {
	w.Helper()
	rotation, err := keyring.Rotate(w.ring, keyring.At(w.now), w.policy, order, w.generate)
	if err != nil {
		w.Fatal(err)
	}
	again, err := keyring.Rotate(rotation.Ring, keyring.At(w.now), w.policy, order, w.generate)
	if err != nil || again.Changed || len(again.Changes) > 0 || !again.Next.Equal(rotation.Next) {
		w.Fatalf("there is something to do a second time: %+v (%v)", again, err)
	}
	if !rotation.Changed && len(rotation.Changes) > 0 {
		w.Fatalf("changes %v of a ring that did not change", rotation.Changes)
	}
	w.ring = rotation.Ring
	return rotation.Changes
}

// pass lets time pass, with a rotation at each instant at which one is due.
func (w *walk) pass(span time.Duration) {
	w.Helper()
	end := w.now.Add(span)
	for next := w.ring.NextChange(w.now); !next.IsZero() && !next.After(end); next = w.ring.NextChange(w.now) {
		w.now = next
		w.rotate(keyring.Order{})
	}
	w.now = end
	w.rotate(keyring.Order{})
}

// states are the keys of an algorithm in the order of their lives.
func (w *walk) states(algorithm jws.Algorithm) []keyring.State {
	var states []keyring.State
	for _, key := range w.ring.Keys() {
		if key.Algorithm() == algorithm {
			states = append(states, key.State(w.now))
		}
	}
	return states
}

func (w *walk) want(algorithm jws.Algorithm, want ...keyring.State) {
	w.Helper()
	if diff := cmp.Diff(want, w.states(algorithm)); diff != "" {
		w.Fatalf("keys of %s at %s (-want +got):\n%s", algorithm, w.now, diff)
	}
}

func (w *walk) signing() *keyring.SigningKey {
	w.Helper()
	key, err := w.ring.SigningKey(w.now)
	if err != nil {
		w.Fatalf("at %s: %v", w.now, err)
	}
	return key
}

func TestTheFirstKeySignsAtOnceAndTheNextIsPublishedAhead(t *testing.T) {
	w := newWalk(t, policy)
	w.want(jws.EdDSA, keyring.Active, keyring.Published)
	if _, err := w.ring.SigningKey(w.now.Add(-policy.Skew)); err != nil {
		t.Errorf("a replica whose clock is behind: %v", err)
	}
}

func TestAKeyIsPublishedActiveRetiredAndGone(t *testing.T) {
	w := newWalk(t, policy)
	first := w.signing().ID()
	second := w.ring.Keys()[1].ID()
	w.pass(policy.Period - policy.Skew - time.Second)
	w.want(jws.EdDSA, keyring.Active, keyring.Published)
	w.now = w.now.Add(time.Second)
	changes := w.rotate(keyring.Order{})
	w.want(jws.EdDSA, keyring.Retired, keyring.Active, keyring.Published)
	if w.signing().ID() != second {
		t.Error("the key that was published ahead does not sign")
	}
	third := w.ring.Keys()[2].ID()
	want := []keyring.Change{
		{KeyID: first, Algorithm: jws.EdDSA, State: keyring.Retired, At: w.now},
		{KeyID: second, Algorithm: jws.EdDSA, State: keyring.Active, At: w.now},
		{KeyID: third, Algorithm: jws.EdDSA, State: keyring.Published, At: w.now},
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	retired := w.now
	w.pass(policy.Retirement - time.Second)
	if _, err := w.ring.VerificationKey(first, w.now); err != nil {
		t.Errorf("the last token of the retired key has not expired: %v", err)
	}
	w.now = retired.Add(policy.Retirement)
	if _, err := w.ring.VerificationKey(first, w.now); !errors.Is(err, keyring.ErrUnknownKey) {
		t.Errorf("before anybody rotates: %v, want ErrUnknownKey", err)
	}
	changes = w.rotate(keyring.Order{})
	if diff := cmp.Diff([]keyring.Change{{KeyID: first, Algorithm: jws.EdDSA, State: keyring.Gone, At: w.now}}, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	w.want(jws.EdDSA, keyring.Active, keyring.Published)
}

func TestAnOverdueRotationNeverStopsSigning(t *testing.T) {
	w := newWalk(t, policy)
	w.now = epoch.Add(5 * policy.Period)
	second := w.signing().ID()
	w.rotate(keyring.Order{})
	if w.signing().ID() != second {
		t.Error("a key that nobody knew signs at once")
	}
	w.want(jws.EdDSA, keyring.Active, keyring.Published)
	next := w.ring.Keys()[1]
	if want := w.now.Add(policy.Lead + policy.Skew); !next.ActiveAt.Equal(want) {
		t.Errorf("the next key signs from %s, want %s", next.ActiveAt, want)
	}
}

func TestARotationOnRequestIsCarriedOutOnce(t *testing.T) {
	w := newWalk(t, policy)
	w.pass(day)
	first := w.signing()
	w.rotate(keyring.Order{Rotation: "a"})
	w.want(jws.EdDSA, keyring.Retired, keyring.Active, keyring.Published)
	second := w.signing()
	if second.ID() == first.ID() {
		t.Fatal("nothing was rotated")
	}
	// A replica that reads it an hour later has signed with the first key until then.
	if _, err := w.ring.VerificationKey(first.ID(), w.now.Add(policy.Lead+policy.Retirement-time.Second)); err != nil {
		t.Errorf("the first key is gone before the tokens of a replica that was late: %v", err)
	}
	w.pass(time.Minute)
	w.rotate(keyring.Order{Rotation: "a"})
	if w.signing().ID() != second.ID() {
		t.Error("the request was carried out twice")
	}
	w.rotate(keyring.Order{Rotation: "b"})
	if w.signing().ID() != second.ID() {
		t.Error("a key signs that was not published for its lead")
	}
	w.pass(policy.Lead + policy.Skew + policy.Retirement)
	if w.signing().ID() == second.ID() {
		t.Error("the second request was not carried out once its key was published long enough")
	}
}

func TestATaintWithdrawsAKeyAndItsTokensAtOnce(t *testing.T) {
	w := newWalk(t, policy)
	w.pass(time.Minute)
	backup := w.ring
	first, second := w.ring.Keys()[0].ID(), w.ring.Keys()[1].ID()
	changes := w.rotate(keyring.Order{Taint: []string{first, "unknown"}})
	if w.signing().ID() != second {
		t.Error("the published next key does not sign")
	}
	if _, err := w.ring.SigningKey(w.now.Add(-policy.Skew)); err != nil {
		t.Errorf("a replica whose clock is behind: %v", err)
	}
	if _, err := w.ring.VerificationKey(first, w.now); !errors.Is(err, keyring.ErrTaintedKey) {
		t.Errorf("%v, want ErrTaintedKey", err)
	}
	if slices.Contains(published(t, w.ring, w.now), first) {
		t.Error("the withdrawn key is in the JWK set")
	}
	want := []keyring.Change{
		{KeyID: first, Algorithm: jws.EdDSA, State: keyring.Tainted, At: w.now},
		{KeyID: second, Algorithm: jws.EdDSA, State: keyring.Active, At: w.now.Add(-policy.Skew)},
		{KeyID: w.ring.Keys()[1].ID(), Algorithm: jws.EdDSA, State: keyring.Published, At: w.now},
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	for name, pair := range map[string][2]keyring.Ring{"the backup is read": {w.ring, backup}, "the backup was held": {backup, w.ring}} {
		merged := keyring.Merge(pair[0], pair[1], w.now)
		if _, err := merged.VerificationKey(first, w.now); !errors.Is(err, keyring.ErrTaintedKey) {
			t.Errorf("%s: %v, want ErrTaintedKey", name, err)
		}
		if key, err := merged.SigningKey(w.now); err == nil && key.ID() == first {
			t.Errorf("%s: the withdrawn key signs", name)
		}
	}
}

func TestATaintOfAnyKeyLeavesAKeyThatSignsAndANextOne(t *testing.T) {
	for _, state := range []keyring.State{keyring.Published, keyring.Active, keyring.Retired} {
		t.Run(string(state), func(t *testing.T) {
			w := newWalk(t, policy)
			w.pass(policy.Period)
			w.want(jws.EdDSA, keyring.Retired, keyring.Active, keyring.Published)
			index := slices.Index(w.states(jws.EdDSA), state)
			w.rotate(keyring.Order{Taint: []string{w.ring.Keys()[index].ID()}})
			w.signing()
			if states := w.states(jws.EdDSA); !slices.Contains(states, keyring.Published) || len(states) > 3 {
				t.Errorf("%v", states)
			}
		})
	}
	t.Run("all at once", func(t *testing.T) {
		w := newWalk(t, policy)
		var all []string
		for _, key := range w.ring.Keys() {
			all = append(all, key.ID())
		}
		w.rotate(keyring.Order{Taint: all})
		w.want(jws.EdDSA, keyring.Active, keyring.Published)
	})
	t.Run("while its algorithm is on its way out", func(t *testing.T) {
		w := newWalk(t, policy)
		w.pass(day)
		w.policy.Algorithms = []jws.Algorithm{jws.ES256}
		w.rotate(keyring.Order{})
		first := w.signing()
		w.rotate(keyring.Order{Taint: []string{first.ID()}})
		if w.signing().ID() == first.ID() {
			t.Error("the withdrawn key signs")
		}
	})
}

func TestAnotherAlgorithmComesByTheSameLife(t *testing.T) {
	w := newWalk(t, policy)
	w.pass(day)
	old := w.signing()
	w.policy.Algorithms = []jws.Algorithm{jws.ES256}
	changed := w.now
	w.rotate(keyring.Order{})
	w.want(jws.ES256, keyring.Published)
	if w.signing().ID() != old.ID() {
		t.Error("a key signs that was not published for its lead")
	}
	w.pass(policy.Lead + policy.Skew)
	w.want(jws.ES256, keyring.Active, keyring.Published)
	w.want(jws.EdDSA, keyring.Retired)
	if diff := cmp.Diff([]jws.Algorithm{jws.ES256, jws.EdDSA}, w.ring.Algorithms()); diff != "" {
		t.Errorf("algorithms (-want +got):\n%s", diff)
	}
	w.pass(policy.Retirement)
	w.want(jws.EdDSA)
	if elapsed := w.now.Sub(changed); elapsed > 3*time.Hour {
		t.Errorf("it took %s", elapsed)
	}
}

func TestAChangeOfMindAboutTheAlgorithmNeverStopsSigning(t *testing.T) {
	w := newWalk(t, policy)
	other := policy
	other.Algorithms = []jws.Algorithm{jws.ES256}
	for range 60 {
		w.policy, other = other, w.policy
		for range 4 {
			w.pass(5 * time.Minute)
			w.signing()
			for _, algorithm := range []jws.Algorithm{jws.ES256, jws.EdDSA} {
				if states := w.states(algorithm); len(states) > 3 {
					t.Fatalf("%s: %v", algorithm, states)
				}
			}
		}
	}
}

func TestARingWhoseOnlySigningKeyIsWithdrawnSignsAtOnceWithANewOne(t *testing.T) {
	both := policy
	both.Algorithms = []jws.Algorithm{jws.EdDSA, jws.ES256}
	w := newWalk(t, both)
	other, err := w.ring.SigningKeyFor(jws.EdDSA, w.now)
	if err != nil {
		t.Fatal(err)
	}
	var kids []string
	for _, key := range w.ring.Keys() {
		if key.Algorithm() == jws.ES256 {
			kids = append(kids, key.ID())
		}
	}
	w.rotate(keyring.Order{Taint: kids})
	key, err := w.ring.SigningKeyFor(jws.ES256, w.now)
	if err != nil || slices.Contains(kids, key.ID()) {
		t.Errorf("ES256 is signed with %v (%v), want a new key", key, err)
	}
	w.want(jws.ES256, keyring.Active, keyring.Published)
	if key, err := w.ring.SigningKeyFor(jws.EdDSA, w.now); err != nil || key.ID() != other.ID() {
		t.Errorf("the other ring signs with %v (%v), want %v", key, err, other)
	}
}

func TestAClientMayAskForAnAlgorithmThatIsEnabled(t *testing.T) {
	both := policy
	both.Algorithms = []jws.Algorithm{jws.EdDSA, jws.ES256}
	w := newWalk(t, both)
	for _, algorithm := range both.Algorithms {
		if key, err := w.ring.SigningKeyFor(algorithm, w.now); err != nil || key.Algorithm() != algorithm {
			t.Errorf("%s: %v (%v)", algorithm, key, err)
		}
	}
	if w.signing().Algorithm() != jws.EdDSA {
		t.Error("the first algorithm is not the default")
	}
	if _, err := w.ring.SigningKeyFor(jws.RS256, w.now); !errors.Is(err, keyring.ErrNoSigningKey) {
		t.Errorf("RS256: %v, want ErrNoSigningKey", err)
	}
	w.policy.Algorithms = []jws.Algorithm{jws.ES256, jws.EdDSA}
	w.rotate(keyring.Order{})
	if w.signing().Algorithm() != jws.ES256 {
		t.Error("two algorithms that both sign do not change places at once")
	}
	w.pass(3 * policy.Period)
	for _, algorithm := range both.Algorithms {
		if states := w.states(algorithm); !slices.Contains(states, keyring.Active) || !slices.Contains(states, keyring.Published) {
			t.Errorf("%s: %v", algorithm, states)
		}
	}
}

func TestLongerTokensKeepTheKeysThatSignThemLonger(t *testing.T) {
	w := newWalk(t, policy)
	w.policy.Retirement = 5 * time.Hour
	w.rotate(keyring.Order{})
	first := w.signing()
	if got := first.GoneAt.Sub(first.RetiredAt); got != 5*time.Hour {
		t.Errorf("retired for %s", got)
	}
}

func TestALostKeyGoesOnVerifying(t *testing.T) {
	w := newWalk(t, policy)
	w.pass(day)
	held := w.ring
	lost := w.signing().ID()
	elsewhere := newWalk(t, policy)
	elsewhere.generate = keyring.Generate
	elsewhere.ring = keyring.Ring{}
	elsewhere.now = w.now
	elsewhere.rotate(keyring.Order{})
	merged := keyring.Merge(held, elsewhere.ring, w.now)
	if key, err := merged.SigningKey(w.now); err != nil || key.ID() != elsewhere.signing().ID() {
		t.Errorf("%v signs (%v), not the key that every new replica knows", key, err)
	}
	for after, want := range map[time.Duration]error{0: nil, policy.Lead + policy.Retirement - time.Second: nil, policy.Lead + policy.Retirement: keyring.ErrUnknownKey} {
		if _, err := merged.VerificationKey(lost, w.now.Add(after)); !errors.Is(err, want) {
			t.Errorf("after %s: %v, want %v", after, err, want)
		}
	}
	if same := keyring.Merge(held, held, w.now); len(same.Keys()) != len(held.Keys()) || same.Revision() != held.Revision() {
		t.Errorf("merged with itself: %v", same)
	}
}

func TestAKeyWhoseSuccessorIsWithdrawnElsewhereSignsOn(t *testing.T) {
	w := newWalk(t, policy)
	w.pass(day)
	backup := w.ring
	w.rotate(keyring.Order{Taint: []string{w.ring.Keys()[1].ID()}})
	merged := keyring.Merge(w.ring, backup, w.now)
	if _, err := merged.SigningKey(w.now.Add(10 * policy.Period)); err != nil {
		t.Errorf("with nobody to repair the ring: %v", err)
	}
}

func TestAPolicyThatVerifiersCouldNotFollowIsRefused(t *testing.T) {
	if err := policy.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*keyring.Policy){
		"no algorithm":                  func(p *keyring.Policy) { p.Algorithms = nil },
		"an algorithm twice":            func(p *keyring.Policy) { p.Algorithms = []jws.Algorithm{jws.ES256, jws.ES256} },
		"an algorithm that is not made": func(p *keyring.Policy) { p.Algorithms = []jws.Algorithm{jws.PS256} },
		"a shared key":                  func(p *keyring.Policy) { p.Algorithms = []jws.Algorithm{"HS256"} },
		"no lead":                       func(p *keyring.Policy) { p.Lead = 0 },
		"a lead of less than an hour":   func(p *keyring.Policy) { p.Lead = time.Hour - 1 },
		"no retirement":                 func(p *keyring.Policy) { p.Retirement = 0 },
		"the margin alone":              func(p *keyring.Policy) { p.Retirement = keyring.RetirementMargin },
		"no skew":                       func(p *keyring.Policy) { p.Skew = 0 },
		"no period":                     func(p *keyring.Policy) { p.Period = 0 },
		"a period shorter than a life":  func(p *keyring.Policy) { p.Period = 3 * time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			wrong := policy
			change(&wrong)
			if err := wrong.Validate(); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := keyring.Rotate(keyring.Ring{}, keyring.At(epoch), keyring.Policy{}, keyring.Order{}, keyring.Generate); err == nil {
		t.Error("Rotate takes a policy in which nothing is set")
	}
}

func TestAFailureToMakeAKeyChangesNothing(t *testing.T) {
	failure := errors.New("no entropy")
	w := newWalk(t, policy)
	w.now = epoch.Add(policy.Period)
	rotation, err := keyring.Rotate(w.ring, keyring.At(w.now), policy, keyring.Order{}, func(jws.Algorithm) (crypto.Signer, error) { return nil, failure })
	if !errors.Is(err, failure) || rotation.Changed {
		t.Errorf("%v (%v)", rotation, err)
	}
	w.signing()
}

func TestARotatedRingComesBackWhole(t *testing.T) {
	both := policy
	both.Algorithms = []jws.Algorithm{jws.EdDSA, jws.ES256}
	w := newWalk(t, both)
	w.pass(2 * both.Period)
	w.rotate(keyring.Order{Rotation: "a", Taint: []string{w.ring.Keys()[0].ID()}})
	encoded, err := w.ring.Encode()
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := keyring.Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	rotation, err := keyring.Rotate(decoded, keyring.At(w.now), both, keyring.Order{Rotation: "a"}, w.generate)
	if err != nil || rotation.Changed {
		t.Errorf("after reading it there is something to do: %v (%v)", rotation.Changes, err)
	}
	if again, err := decoded.Encode(); err != nil || string(again) != string(encoded) {
		t.Errorf("encoded again: %s (%v), want %s", again, err, encoded)
	}
	for i := range encoded {
		if _, err := keyring.Decode(encoded[:i]); !errors.Is(err, keyring.ErrUnreadable) {
			t.Fatalf("cut after %d bytes: %v, want ErrUnreadable", i, err)
		}
		broken := slices.Clone(encoded)
		broken[i] ^= 0x55
		if _, err := keyring.Decode(broken); err != nil && !errors.Is(err, keyring.ErrUnreadable) {
			t.Fatalf("broken at %d: %v, want ErrUnreadable or nothing", i, err)
		}
	}
}

func TestLookUpsAllocateNothing(t *testing.T) {
	both := policy
	both.Algorithms = []jws.Algorithm{jws.EdDSA, jws.ES256}
	w := newWalk(t, both)
	kid := w.signing().ID()
	if allocations := testing.AllocsPerRun(100, func() {
		_, err := w.ring.SigningKey(w.now)
		_, errFor := w.ring.SigningKeyFor(jws.ES256, w.now)
		_, errVerify := w.ring.VerificationKey(kid, w.now)
		if len(w.ring.JWKS(w.now)) == 0 || err != nil || errFor != nil || errVerify != nil {
			t.Fatal(err, errFor, errVerify)
		}
	}); allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// published are the kids in the JWK set.
func published(t testing.TB, ring keyring.Ring, now time.Time) []string {
	t.Helper()
	var set struct {
		Keys []struct {
			KeyID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(ring.JWKS(now), &set); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", ring.JWKS(now), err))
	}
	var ids []string
	for _, key := range set.Keys {
		ids = append(ids, key.KeyID)
	}
	return ids
}
