// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
)

// The environment of the simulation. Its clocks differ by five minutes at most, pair by pair.
const (
	clockOffset = 150 * time.Second // of any clock, to either side
	watchLag    = 55 * time.Minute
	lifetime    = time.Hour
	longestStep = 10 * time.Minute
)

// world is two managers that do not know of each other, three replicas, and the store between them.
type world struct {
	testing.TB

	random   *rand.Rand
	policy   keyring.Policy
	now      time.Time // what no clock shows
	managers []*manager
	replicas []*replica

	kept, copied keyring.Ring
	version      int
	order        keyring.Order

	published map[string]time.Time // kid -> when it could be read first
	signed    map[string]time.Time // kid -> exp of the last token that it signed
	tainted   map[string]bool
	writes    int
	// always are the algorithms that are enabled all the time, for clients that ask for them.
	always []jws.Algorithm
	// disorder is when keys are withdrawn and rings restored: a key may sign then that a
	// replica has not seen yet.
	disorder bool
	// wrongClocks is how often a manager looks with a clock that is wrong by up to three years.
	wrongClocks time.Duration
}

// bothRings is the policy of an installation where two algorithms are enabled.
var bothRings = func() keyring.Policy {
	both := policy
	both.Algorithms = []jws.Algorithm{jws.EdDSA, jws.ES256}
	return both
}()

type manager struct {
	offset time.Duration
	wakeAt time.Time
	held   keyring.Ring
}

type replica struct {
	offset time.Duration
	held   keyring.Ring
	coming []delivery
}

type delivery struct {
	at   time.Time
	ring keyring.Ring
}

// newWorld starts with one manager's first ring, which every replica has read.
func newWorld(t testing.TB, seed uint64, policy keyring.Policy) *world {
	w := &world{
		TB: t, random: rand.New(rand.NewPCG(seed, seed)), policy: policy, now: epoch, //nolint:gosec // a simulation is to be repeatable
		published: map[string]time.Time{}, signed: map[string]time.Time{}, tainted: map[string]bool{},
	}
	offset := func() time.Duration { return w.upTo(2*clockOffset) - clockOffset }
	for range 2 {
		w.managers = append(w.managers, &manager{offset: offset(), wakeAt: epoch})
	}
	w.manage()
	for range 3 {
		w.replicas = append(w.replicas, &replica{offset: offset(), held: w.kept})
	}
	return w
}

func (w *world) upTo(d time.Duration) time.Duration {
	return time.Duration(w.random.Int64N(int64(d) + 1))
}

// happens is true once in a span of time on average.
func (w *world) happens(every time.Duration) bool {
	return every > 0 && w.random.Int64N(int64(every/(longestStep/2))) == 0
}

// store writes the ring that the replicas read, as bytes, and puts it on the way to each of them.
func (w *world) store(ring keyring.Ring) {
	encoded, err := ring.Encode()
	if err != nil {
		w.Fatal(err)
	}
	if w.kept, err = keyring.Decode(encoded); err != nil {
		w.Fatal(err)
	}
	w.version++
	w.writes++
	for _, key := range w.kept.Keys() {
		if _, known := w.published[key.ID()]; !known {
			w.published[key.ID()] = w.now
		}
	}
	for _, r := range w.replicas {
		at := w.now.Add(w.upTo(watchLag))
		if len(r.coming) > 0 && r.coming[len(r.coming)-1].at.After(at) {
			at = r.coming[len(r.coming)-1].at
		}
		r.coming = append(r.coming, delivery{at, w.kept})
	}
}

// manage lets the managers that are awake do their work, step by step beside each other: all read
// before any writes. At each write one may crash, which loses what it holds in memory.
func (w *world) manage() {
	type decision struct {
		by      *manager
		ring    keyring.Ring
		version int
		changed bool
	}
	var decisions []decision
	for _, m := range w.managers {
		if w.now.Before(m.wakeAt) {
			continue
		}
		m.wakeAt = w.now.Add(w.upTo(time.Hour))
		clock := w.clock(m)
		ring := w.latest(m, clock.Earliest)
		rotation, err := keyring.Rotate(ring, clock, w.policy, w.order, keyring.Generate)
		if err != nil {
			w.Fatal(err)
		}
		decisions = append(decisions, decision{m, rotation.Ring, w.version, rotation.Changed || rotation.Ring.Revision() != w.kept.Revision()})
	}
	for _, d := range decisions {
		if w.crashes(d.by) {
			continue
		}
		if d.changed {
			if d.version != w.version {
				d.by.wakeAt = w.now // a conflict
				continue
			}
			w.store(d.ring)
		}
		d.by.held = d.ring
		if w.crashes(d.by) {
			continue
		}
		if d.version == w.version || d.changed {
			w.copied = d.ring
		}
	}
}

// clock is the time of a manager, which is wrong now and then.
func (w *world) clock(m *manager) keyring.Time {
	now := w.now.Add(m.offset)
	if !w.happens(w.wrongClocks) {
		return keyring.At(now)
	}
	wrong := now.Add(w.upTo(6*365*day) - 3*365*day)
	if wrong.Before(now) {
		return keyring.Time{Earliest: wrong, Latest: now}
	}
	return keyring.Time{Earliest: now, Latest: wrong}
}

// latest is what the controller continues from.
func (w *world) latest(m *manager, now time.Time) keyring.Ring {
	latest := w.kept
	for _, other := range []keyring.Ring{w.copied, m.held} {
		if latest.Empty() {
			latest = other
		} else if other.Revision() > latest.Revision() {
			merged := keyring.Merge(latest, other, now)
			latest = merged
		}
	}
	return latest
}

func (w *world) crashes(m *manager) bool {
	if len(w.replicas) == 0 || w.random.IntN(10) > 0 {
		return false
	}
	m.held = keyring.Ring{}
	m.wakeAt = w.now.Add(w.upTo(2 * time.Hour))
	if w.random.IntN(20) == 0 {
		m.wakeAt = w.now.Add(w.upTo(3 * day))
	}
	return true
}

// wake has the managers that run reconcile again, as a change of the Secret does.
func (w *world) wake() {
	for _, m := range w.managers {
		if m.wakeAt.Sub(w.now) < 2*time.Hour {
			m.wakeAt = w.now
		}
	}
}

// step lets some minutes pass, after which the replicas sign and verify.
func (w *world) step() {
	w.now = w.now.Add(time.Second + w.upTo(longestStep-time.Second))
	w.manage()
	for _, r := range w.replicas {
		for len(r.coming) > 0 && !r.coming[0].at.After(w.now) {
			w.take(r, r.coming[0].ring)
			r.coming = r.coming[1:]
		}
		// It starts anew. If it does so between the restoration of a backup and its repair,
		// it knows what the backup knew.
		if w.random.IntN(2000) == 0 && !w.kept.Empty() && w.kept.Revision() >= w.copied.Revision() {
			r.held, r.coming = w.kept, nil
		}
	}
	for _, r := range w.replicas {
		w.sign(r)
	}
	for kid, exp := range w.signed {
		live := false
		for _, r := range w.replicas {
			if local := w.now.Add(r.offset); local.Before(exp) {
				live = true
				w.verify(r, kid, local)
			}
		}
		if !live {
			delete(w.signed, kid)
		}
	}
}

func (w *world) take(r *replica, ring keyring.Ring) {
	merged := keyring.Merge(r.held, ring, w.now.Add(r.offset))
	r.held = merged
}

func (w *world) sign(r *replica) {
	local := w.now.Add(r.offset)
	key, err := r.held.SigningKey(local)
	if err != nil {
		w.Fatalf("at %s a replica cannot sign: %v", w.now, err)
	}
	w.signWith(key, local)
	for _, algorithm := range w.always {
		key, err := r.held.SigningKeyFor(algorithm, local)
		if err != nil && !w.disorder {
			w.Fatalf("at %s a replica cannot sign with %s: %v", w.now, algorithm, err)
		}
		if err == nil {
			w.signWith(key, local)
		}
	}
}

// signWith notes a token that ends with the longest lifetime.
func (w *world) signWith(key *keyring.SigningKey, local time.Time) {
	kid := key.ID()
	if _, before := w.signed[kid]; !before && !w.published[kid].Equal(epoch) && !w.disorder {
		if lead := w.now.Sub(w.published[kid]); lead < w.policy.Lead {
			w.Fatalf("at %s a key signs that was published for %s", w.now, lead)
		}
	}
	if exp := local.Add(lifetime); exp.After(w.signed[kid]) {
		w.signed[kid] = exp
	}
}

func (w *world) verify(r *replica, kid string, local time.Time) {
	_, err := r.held.VerificationKey(kid, local)
	// the live look-up of an unknown kid
	if errors.Is(err, keyring.ErrUnknownKey) && w.disorder && !w.kept.Empty() {
		w.take(r, w.kept)
		_, err = r.held.VerificationKey(kid, local)
	}
	if w.tainted[kid] && slices.ContainsFunc(r.held.Tainted(), func(t keyring.Taint) bool { return t.KeyID == kid }) {
		if !errors.Is(err, keyring.ErrTaintedKey) {
			w.Fatalf("at %s a replica accepts a withdrawn key: %v", w.now, err)
		}
		return
	}
	if err != nil && !w.tainted[kid] {
		w.Fatalf("at %s a replica refuses a token that has not expired: %v", w.now, err)
	}
}

// atMostThree checks what a verifier sees of a ring.
func (w *world) atMostThree(ring keyring.Ring, local time.Time) {
	count := map[jws.Algorithm]int{}
	for _, key := range ring.Keys() {
		if key.State(local) != keyring.Gone {
			count[key.Algorithm()]++
		}
	}
	for algorithm, n := range count {
		if n > 3 {
			w.Fatalf("at %s there are %d keys of %s", w.now, n, algorithm)
		}
	}
}

func years(t *testing.T, n int) time.Duration {
	t.Helper()
	if testing.Short() {
		return 120 * day
	}
	return time.Duration(n) * 365 * day
}

// Ten years of keys that live for a month, with clocks that differ by five minutes, watches that
// lag by 55, managers that crash at every write and do not know of each other: every token verifies
// at every replica from issue to exp, no key signs before it was published for its lead, there are
// three keys at most in the JWK set, and one is made a period.
func TestTenYears(t *testing.T) {
	w := newWorld(t, 0, policy)
	for end := epoch.Add(years(t, 10)); w.now.Before(end); {
		w.step()
		for _, r := range w.replicas {
			w.atMostThree(r.held, w.now.Add(r.offset))
		}
	}
	if most := int(w.now.Sub(epoch)/policy.Period) + 2; len(w.published) > most || len(w.published) < most*9/10 {
		t.Errorf("%d keys in %d periods", len(w.published), most-2)
	}
	if most := 2 * (len(w.published) + 1); w.writes > most {
		t.Errorf("%d writes for %d keys, want at most %d", w.writes, len(w.published), most)
	}
}

// Three years of two rings beside each other, each with a life of its own: what holds of one holds
// of both, and of their rotation at an administrator's word.
func TestYearsOfTwoRings(t *testing.T) {
	yearsOfTwoRings(t, newWorld(t, 5, bothRings), 3)
}

func yearsOfTwoRings(t *testing.T, w *world, n int) {
	t.Helper()
	w.always = bothRings.Algorithms
	for end := epoch.Add(years(t, n)); w.now.Before(end); {
		if w.happens(90 * day) {
			w.order.Rotation = fmt.Sprint(w.now.Unix())
		}
		w.step()
		for _, r := range w.replicas {
			w.atMostThree(r.held, w.now.Add(r.offset))
		}
	}
	if least := 2 * int(w.now.Sub(epoch)/policy.Period); len(w.published) < least {
		t.Errorf("%d keys, want at least %d", len(w.published), least)
	}
}

// The same with keys that live as shortly as the policy allows, so that every instant of a life
// falls together with others.
func TestTheShortestPeriod(t *testing.T) {
	short := policy
	short.Period = 2*short.Lead + short.Skew + short.Retirement
	if err := short.Validate(); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, 1, short)
	for end := epoch.Add(years(t, 1)); w.now.Before(end); {
		w.step()
		for _, r := range w.replicas {
			w.atMostThree(r.held, w.now.Add(r.offset))
		}
	}
	if most := int(w.now.Sub(epoch)/short.Period) + 2; len(w.published) > most {
		t.Errorf("%d keys in %d periods", len(w.published), most-2)
	}
}

// Three years in which an administrator rotates, changes algorithms and deletes the Secret, about
// once a week each.
func TestYearsOfOrders(t *testing.T) {
	w := newWorld(t, 3, policy)
	choices := [][]jws.Algorithm{{jws.EdDSA}, {jws.ES256}, {jws.ES256, jws.EdDSA}, {jws.EdDSA, jws.ES256}}
	for end := epoch.Add(years(t, 3)); w.now.Before(end); {
		if w.happens(7 * day) {
			w.order.Rotation = fmt.Sprint(w.now.Unix())
		}
		if w.happens(7 * day) {
			w.policy.Algorithms = choices[w.random.IntN(len(choices))]
		}
		if w.happens(7 * day) {
			w.kept = keyring.Ring{}
			w.version++
			w.wake()
		}
		w.step()
		w.atMostThree(w.kept, w.now)
	}
}

// A year in which managers look about twice a day with a clock that is years ahead or behind, and
// an administrator rotates.
func TestYearsOfWrongClocks(t *testing.T) {
	w := newWorld(t, 6, bothRings)
	w.wrongClocks = 12 * time.Hour
	yearsOfTwoRings(t, w, 1)
}

// Three years in which a key, whichever, is withdrawn about once a month, and an old copy of the
// ring restored as often.
func TestYearsOfTaints(t *testing.T) {
	t.Run("one ring", func(t *testing.T) { yearsOfTaints(t, policy) })
	t.Run("two rings", func(t *testing.T) { yearsOfTaints(t, bothRings) })
}

func yearsOfTaints(t *testing.T, policy keyring.Policy) {
	w := newWorld(t, 4, policy)
	w.always = policy.Algorithms
	w.disorder = true
	backup := w.kept
	for end := epoch.Add(years(t, 3)); w.now.Before(end); {
		if keys := w.kept.Keys(); w.happens(30*day) && len(keys) > 0 {
			kid := keys[w.random.IntN(len(keys))].ID()
			w.order.Taint = []string{kid}
			w.tainted[kid] = true
		}
		if w.happens(30 * day) {
			w.store(backup)
			w.wake()
		}
		if w.happens(30 * day) {
			backup = w.kept
		}
		w.step()
	}
}
