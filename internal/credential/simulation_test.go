// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

const (
	day = 24 * time.Hour
	// clockOffset is how far the clock of a manager is off, to either side.
	clockOffset = 15 * time.Second
	// slack is what two clocks and whole seconds may take from an overlap.
	slack = 2*clockOffset + 2*time.Second
	// latest is how late a manager looks that is killed and started, and kept from a write.
	latest = 3 * time.Hour
)

var (
	errRefused = errors.New("the write was refused")
	errKilled  = errors.New("the manager was killed")
)

// state is a client's registration and its Secret with their versions. The versions of two objects
// are never the same.
type state struct {
	record        credential.Record
	value         string
	generation    credential.Generation // what the Secret proves of the value
	recordVersion int                   // zero: there is none
	secretVersion int
}

// simulation is two managers that do not know of each other, the API server, and the applications
// that hold what they read from the Secret at some time.
type simulation struct {
	testing.TB

	random   *rand.Rand
	policy   credential.Policy
	now      time.Time // what no clock shows
	stored   state
	backup   state
	version  int
	managers []*manager
	secrets  int // that were minted

	// promised is until when a secret that was in the Secret has to be accepted, and used when
	// it was used last, by its id.
	promised map[string]time.Time
	used     map[string]time.Time
	// disorder is from the creation, or a disaster such as a restore, to the next reconcile
	// that succeeds: what the Secret holds may be refused meanwhile. disasters counts them.
	disorder  bool
	disasters int
	// lost means that the registration was lost, and nothing else has happened since.
	lost bool
	// older means the same of a registration that was restored and is older than the Secret.
	// changed is when the Secret got its value.
	older   bool
	changed time.Time
	// handled are the requests that were handled since the last disaster.
	handled map[string]bool
	faults  bool
	// refusesUntil is until when the Secret refuses each write, as with a quota that is used
	// up.
	refusesUntil time.Time
	minted       map[credential.Reason]int
}

// manager is one manager with what it remembers, what its cache has, and the reconcile that it is
// at.
type manager struct {
	offset time.Duration
	made   credential.Proposal
	until  time.Time
	cache  state
	step   func() (struct{}, bool)
	stop   func()
	began  int // the disasters before its look
}

func newSimulation(t testing.TB, seed uint64) *simulation {
	s := &simulation{
		TB: t, random: rand.New(rand.NewPCG(seed, seed)), now: start, faults: true, disorder: true, //nolint:gosec // a simulation is to be repeatable
		promised: map[string]time.Time{}, used: map[string]time.Time{}, handled: map[string]bool{}, minted: map[credential.Reason]int{},
	}
	pick := func(of ...time.Duration) time.Duration { return of[s.random.IntN(len(of))] }
	s.policy = credential.Policy{UID: testUID, Interval: pick(0, 4*time.Hour, 7*time.Hour+11*time.Second, day, 30*day)}
	if s.policy.Overlap = pick(0, 30*time.Minute, day, 45*day); s.policy.Interval > 0 {
		s.policy.Overlap = min(s.policy.Overlap, s.policy.Interval-time.Minute)
	}
	if s.policy.Overlap > time.Hour {
		s.policy.UnusedFor = pick(time.Hour, 0)
	}
	for range 2 {
		s.managers = append(s.managers, &manager{offset: s.upTo(2*clockOffset) - clockOffset})
	}
	return s
}

func (s *simulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.random.Int64N(int64(d) + 1))
}

// oneIn is true once in n times on average, while there are faults.
func (s *simulation) oneIn(n int) bool { return s.faults && s.random.IntN(n) == 0 }

// write changes what is stored, on the versions that were read. It may be refused, and its answer
// may be lost.
func (s *simulation) write(conflict bool, change func(version int)) error {
	if conflict || s.oneIn(20) {
		return errRefused
	}
	s.version++
	change(s.version)
	if s.oneIn(20) {
		return errRefused
	}
	return nil
}

func (s *simulation) writeRecord(on int, r credential.Record) (int, error) {
	err := s.write(on != s.stored.recordVersion, func(version int) {
		if now := r.Rotation.Handled; now != s.stored.record.Rotation.Handled {
			if s.handled[now] && !s.disorder {
				s.Fatalf("at %s request %q is handled again", s.now, now)
			}
			s.handled[now] = true
		}
		s.stored.record, s.stored.recordVersion = r, version
	})
	return s.version, err
}

func (s *simulation) writeSecret(on int, value string, generation credential.Generation) error {
	return s.write(on != s.stored.secretVersion || s.faults && s.now.Before(s.refusesUntil), func(version int) {
		if s.promise(); s.stored.value != value {
			s.changed = s.now
		}
		s.stored.value, s.stored.generation, s.stored.secretVersion = value, generation, version
		s.use()
	})
}

// proposal is what the memory of a manager has.
func (s *simulation) proposal(m *manager, now time.Time) credential.Proposal {
	if !now.Before(m.until) {
		s.secrets++
		minted, err := oauth2.NewClientSecret(letters{s.random})
		if err != nil {
			s.Fatal(err)
		}
		m.made, m.until = credential.Proposal{Credential: minted, At: keyring.At(now)}, now.Add(credential.YoungFor)
	}
	return m.made
}

type letters struct{ *rand.Rand }

func (l letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(l.Uint32()) //nolint:gosec // the lowest bits are as random as all
	}
	return len(p), nil
}

// idIn is the id in a secret, without the cost of reading the rest of it.
func idIn(value string) string {
	if len(value) < 15 {
		return ""
	}
	return value[3:15]
}

// promise notes that applications hold what the Secret has, which is about to be replaced.
func (s *simulation) promise() {
	if v := s.accepted(idIn(s.stored.value)); v.ID != "" && !v.Pending && !s.disorder {
		s.promised[v.ID] = s.now.Add(s.policy.Overlap - slack)
	}
}

// use has the secret in the Secret used.
func (s *simulation) use() { s.used[idIn(s.stored.value)] = s.now }

// uses are what a replica reports that lacks nothing.
func (s *simulation) uses(at time.Time) credential.Uses {
	if s.policy.UnusedFor == 0 {
		return credential.Uses{}
	}
	last := map[string]usage.Minute{}
	for _, v := range s.stored.record.Verifiers {
		if used, there := s.used[v.ID]; there {
			last[v.ID] = usage.MinuteOf(used)
		}
	}
	return credential.Uses{Read: true, LastUsed: last, Replicas: []usage.Replica{
		{Name: "web-1", StartedAt: start.Add(-day), CoveredFrom: start.Add(-day), CoveredUntil: at, Complete: true, MaxStaleness: day},
	}}
}

// look is what the controller does, with a pause before each write at which it may be killed and
// the other manager may write.
func (s *simulation) look(m *manager) iter.Seq[struct{}] {
	return func(yield func(struct{}) bool) {
		clock := func() time.Time { return s.now.Add(m.offset) }
		pause := func() error {
			if !yield(struct{}{}) {
				return errKilled
			}
			return nil
		}
		m.began = s.disasters
		saw, err := s.lookAt(m, clock, pause)
		older := func(m *manager) bool { return m.step != nil && m.began < s.disasters }
		if err == nil && !slices.ContainsFunc(s.managers, older) && saw.recordVersion == s.stored.recordVersion && saw.secretVersion == s.stored.secretVersion {
			s.disorder, s.lost, s.older = false, false, false
		}
		if err != nil { // it is tried again soon
			m.cache = state{recordVersion: -1, secretVersion: -1}
		}
	}
}

// lookAt returns what it ends with.
func (s *simulation) lookAt(m *manager, clock func() time.Time, pause func() error) (state, error) {
	had, now := m.cache, clock()
	repeats := now.Before(m.until)
	see := func(live bool) credential.Plan {
		saw := credential.Seen{Live: live, Present: had.secretVersion > 0, Value: oauth2.NewSecret(had.value), Generation: had.generation, Uses: s.uses(now)}
		return credential.Next(had.record, saw, s.policy, keyring.At(now))
	}
	plan := see(false)
	if plan.Reason != credential.None && had.recordVersion == 0 && had.secretVersion == 0 {
		return s.create(m, now, pause)
	}
	if plan.Reason != credential.None {
		if !repeats {
			if err := pause(); err != nil {
				return had, err
			}
		}
		had.value, had.generation, had.secretVersion = s.stored.value, s.stored.generation, s.stored.secretVersion
		plan = see(true)
	}
	if m.made.Is(oauth2.NewSecret(had.value)) {
		m.until = time.Time{}
	}
	publish := func() (err error) {
		if had.recordVersion > 0 && same(had.record, plan.Record) {
			return nil
		}
		if err := pause(); err != nil {
			return err
		}
		had.recordVersion, err = s.writeRecord(had.recordVersion, plan.Record)
		had.record = plan.Record
		return err
	}
	if plan.Reason != credential.None {
		s.mayMint(plan, had.record, now)
		plan = plan.Propose(s.proposal(m, now), s.policy)
		if err := errors.Join(publish(), pause()); err != nil {
			return had, err
		}
		if err := s.writeSecret(had.secretVersion, plan.Value.Reveal(), plan.Generation); err != nil {
			return had, err
		}
		had.secretVersion = s.stored.secretVersion
		s.minted[plan.Reason]++
		m.until = time.Time{}
		plan = plan.Commit(s.uses(now), s.policy, keyring.At(clock()))
	}
	s.mayRetire(plan, now)
	if err := publish(); err != nil || plan.Generation.Number == 0 || plan.Generation == had.generation || plan.Value.Reveal() != s.stored.value {
		return had, err
	}
	err := s.writeSecret(had.secretVersion, plan.Value.Reveal(), plan.Generation)
	had.secretVersion = s.stored.secretVersion
	return had, err
}

// create writes both at once, in either order.
func (s *simulation) create(m *manager, now time.Time, pause func() error) (state, error) {
	made := s.proposal(m, now)
	writes := []func() error{
		func() error {
			_, err := s.writeRecord(0, credential.Plan{}.Create(made, s.policy, keyring.At(now)).Record)
			return err
		},
		func() error { return s.writeSecret(0, made.Value.Reveal(), credential.Generation{}) },
	}
	if s.random.IntN(2) == 0 {
		slices.Reverse(writes)
	}
	var failed error
	for _, write := range writes {
		if err := pause(); err != nil {
			return s.stored, err
		}
		failed = errors.Join(failed, write())
	}
	return s.stored, failed
}

func same(a, b credential.Record) bool {
	return a.Rotation == b.Rotation && slices.EqualFunc(a.Verifiers, b.Verifiers, func(a, b oauth2.Verifier) bool {
		return a.ID == b.ID && a.Digest == b.Digest && a.Pending == b.Pending && a.ExpiresAt.Equal(b.ExpiresAt) && a.WatchedSince.Equal(b.WatchedSince)
	})
}

// mayMint checks that a rotation is asked for or due.
func (s *simulation) mayMint(plan credential.Plan, r credential.Record, now time.Time) {
	if plan.Reason != credential.Rotated {
		return
	}
	asked := s.policy.Request != "" && s.policy.Request != r.Rotation.Handled
	if due := !plan.Due.After(now); !asked && (s.policy.Interval == 0 || !due) {
		s.Fatalf("at %s a secret is rotated that nobody asked to rotate", s.now)
	}
}

// mayRetire checks that what is ended for being unused was unused.
func (s *simulation) mayRetire(plan credential.Plan, now time.Time) {
	for _, id := range plan.Retired {
		if at := s.used[id]; at.Add(s.policy.UnusedFor).After(now) {
			s.Fatalf("at %s a secret is retired that was used at %s", s.now, at)
		}
		delete(s.promised, id)
	}
}

// accepted is the verifier of a secret that the token server accepts.
func (s *simulation) accepted(id string) oauth2.Verifier {
	for _, v := range s.stored.record.Verifiers {
		if v.ID == id && v.Live(s.now) {
			return v
		}
	}
	return oauth2.Verifier{}
}

// check reads what is stored.
func (s *simulation) check() {
	current, live, pending := 0, 0, 0
	for _, v := range s.stored.record.Verifiers {
		switch {
		case !v.ExpiresAt.IsZero() && s.now.Sub(v.ExpiresAt) > latest && !s.disorder:
			s.Fatalf("at %s a secret is on record that ended at %s", s.now, v.ExpiresAt)
		case v.Pending:
			if pending++; v.ExpiresAt.IsZero() || v.ExpiresAt.After(v.CreatedAt.Add(credential.PendingLife)) {
				s.Fatalf("at %s a pending secret ends at %s", s.now, v.ExpiresAt)
			}
		case v.ExpiresAt.IsZero():
			current++
			live++
		default:
			longest := s.changed.Add(credential.PendingLife)
			if s.disorder || s.now.Before(longest) {
				longest = s.now
			}
			if live++; v.ExpiresAt.After(longest.Add(s.policy.Overlap + slack)) {
				s.Fatalf("at %s a replaced secret ends at %s", s.now, v.ExpiresAt)
			}
		}
	}
	if current > 1 || live > credential.MaxLive || live+pending > oauth2.MaxVerifiers || s.policy.Overlap == 0 && live > 1 {
		s.Fatalf("at %s %d secrets are current, %d accepted and %d pending", s.now, current, live, pending)
	}
	if s.stored.value != "" && !s.disorder && s.accepted(idIn(s.stored.value)).ID == "" {
		s.Fatalf("at %s the secret in the Secret is refused", s.now)
	}
	for id, until := range s.promised {
		switch {
		case !s.now.Before(until):
			delete(s.promised, id)
		case !s.disorder && s.accepted(id).ID == "":
			s.Fatalf("at %s a secret is refused that applications may hold until %s", s.now, until)
		}
	}
}

// disaster takes something away, or brings an old state back. What was promised before is void,
// unless it was the Secret alone.
func (s *simulation) disaster() {
	s.version++
	s.disasters++
	s.lost, s.older = false, false
	switch kind := s.random.IntN(5); kind {
	case 0: // the Secret is deleted
		if s.promise(); len(s.stored.record.Verifiers) >= credential.MaxLive {
			clear(s.promised) // a repair does not wait until a secret ends
		}
		s.stored.value, s.stored.secretVersion, s.disorder = "", 0, true
		return
	case 1: // the registration is lost
		s.lost = !s.disorder && !slices.ContainsFunc(s.managers, s.busy) && s.stored.secretVersion > 0
		s.stored.record, s.stored.recordVersion = credential.Record{}, 0
	case 4: // the registration is restored from a backup, and the Secret is not
		held := oauth2.NewSecret(s.stored.value)
		s.older = !s.disorder && !slices.ContainsFunc(s.managers, s.busy) && s.stored.secretVersion > 0 && s.backup.recordVersion > 0 &&
			(s.stored.generation.Number > s.backup.record.Rotation.Generation || s.backup.record.Accepts(held, s.policy, s.now))
		s.stored.record, s.stored.recordVersion = s.backup.record, s.version*min(s.backup.recordVersion, 1)
	case 2: // both are restored from a backup
		s.stored, s.changed = s.backup, s.now
		s.stored.recordVersion, s.stored.secretVersion = s.version*min(s.backup.recordVersion, 1), s.version*min(s.backup.secretVersion, 1)
	default: // a user edits the Secret
		s.stored.value, s.stored.secretVersion = "changed by hand", s.version
	}
	s.disorder = true
	clear(s.promised)
	clear(s.handled)
}

// happen lets the environment act.
func (s *simulation) happen(m *manager) {
	if s.oneIn(3000) {
		s.disaster()
	}
	if s.oneIn(3000) {
		s.backup = s.stored
	}
	if s.oneIn(4000) {
		s.refusesUntil = s.now.Add(20 * time.Minute)
	}
	if s.oneIn(1000) {
		s.policy.Request = fmt.Sprint("request ", s.version)
	}
	if s.oneIn(200) {
		m.offset = s.upTo(2*clockOffset) - clockOffset
	}
	if s.random.IntN(4) > 0 {
		s.use()
	}
}

// run lets time pass. While something is on its way it passes in seconds: what is written wakes the
// managers, and one that is killed is followed by another one within the life of a pending secret.
func (s *simulation) run(end time.Time) {
	for s.now.Before(end) {
		m := s.managers[s.random.IntN(len(s.managers))]
		step := 40 * time.Minute
		if s.disorder || slices.ContainsFunc(s.stored.record.Verifiers, func(v oauth2.Verifier) bool { return v.Pending }) ||
			slices.ContainsFunc(s.managers, s.busy) {
			step = 2 * time.Second
		}
		s.now = s.now.Add(time.Second + s.upTo(step))
		s.happen(m)
		s.wake(m)
		s.check()
	}
}

// busy reports whether a manager is in a reconcile, or has not read what is stored.
func (s *simulation) busy(m *manager) bool {
	return m.step != nil || m.cache.recordVersion != s.stored.recordVersion || m.cache.secretVersion != s.stored.secretVersion
}

// wake begins a reconcile, continues it, or kills the manager.
func (s *simulation) wake(m *manager) {
	if m.step == nil {
		// A cache is behind now and then, and not for both objects alike. That it is behind
		// with the record shows when the record is written. A manager that repeats a
		// proposal does not write it again, so no other one may write between its reads of
		// the two.
		if m.cache.recordVersion < 0 || !s.oneIn(5) || s.now.Before(m.until.Add(clockOffset)) {
			m.cache.record, m.cache.recordVersion = s.stored.record, s.stored.recordVersion
		}
		if m.cache.secretVersion < 0 || !s.oneIn(5) {
			m.cache.value, m.cache.generation, m.cache.secretVersion = s.stored.value, s.stored.generation, s.stored.secretVersion
		}
		m.step, m.stop = iter.Pull(s.look(m))
	}
	before, lost, older, repaired := s.stored.value, s.lost, s.older, s.minted[credential.Repaired]
	switch _, more := m.step(); {
	case !more:
		m.step = nil
	case s.oneIn(40), s.now.Before(s.refusesUntil) && s.oneIn(3):
		m.stop()
		m.step, m.until = nil, time.Time{}
	}
	if lost && s.stored.value != before {
		s.Fatalf("at %s the registration was lost, and the secret in the Secret was replaced", s.now)
	}
	if older && s.minted[credential.Repaired] > repaired {
		s.Fatalf("at %s the registration was restored, and the secret in the Secret was replaced", s.now)
	}
}

// settles checks that all comes to rest once there are no faults.
func (s *simulation) settles() {
	s.faults = false
	s.run(s.now.Add(max(s.policy.Overlap, s.policy.Interval) + day))
	m := s.managers[0]
	for m.step != nil {
		s.wake(m)
	}
	plan := credential.Next(s.stored.record, credential.Seen{Present: true, Value: oauth2.NewSecret(s.stored.value), Uses: s.uses(s.now)}, s.policy, keyring.At(s.now))
	if s.disorder || plan.Reason == credential.Repaired || plan.Record.IDOf(oauth2.NewSecret(s.stored.value), s.policy) == "" {
		s.Fatalf("after a day without faults the Secret is not registered: %+v", plan)
	}
	if s.policy.Interval == 0 && s.stored.record.Rotation.Handled != s.policy.Request {
		s.Fatalf("after a day without faults request %q is not handled, but %q is", s.policy.Request, s.stored.record.Rotation.Handled)
	}
}

// A year and more of a client: looks of two managers that do not know of each other, of which each
// may be killed before each write; writes that are refused, or whose answer is lost; caches that
// are behind; clocks that are moved; rotations by interval and by request; Secrets and
// registrations that are deleted, edited and restored.
func FuzzYears(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		s, span := newSimulation(t, seed), 400*day
		if testing.Short() {
			span = 120 * day
		}
		s.run(start.Add(span))
		s.settles()
		t.Logf("%+v: %d writes, %d secrets, minted %v", s.policy, s.version, s.secrets, s.minted)
		if !testing.Short() && s.minted[credential.Repaired] == 0 || s.policy.Interval > 0 && s.minted[credential.Rotated] < int(span/s.policy.Interval)*9/10 {
			t.Errorf("minted %v with %+v", s.minted, s.policy)
		}
	})
}
