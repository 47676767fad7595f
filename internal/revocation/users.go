// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"strings"
	"sync"
	"time"
)

// The bounds of used assertions in memory, those of all replicas together. Only assertions that
// are signed by a registered key get in, and each leaves some minutes after it has expired. What
// others have used is always learned, so that nothing is used twice. Past a bound, this replica
// accepts no new one.
const (
	// maxUsed is how many there are in all. Beyond it are those that other replicas were
	// writing when it was reached: each has maxQueued at most.
	maxUsed = 576 << 10
	// usedLent is how many of them namespaces may have beyond their shares. What is not lent
	// is enough for the shares of 256 namespaces.
	usedLent = maxUsed - 256*usedShare
	// usedShare is how many each namespace may have, whatever others use.
	usedShare = 768
	// usedSweep is the least time between two sweeps that make room.
	usedSweep = time.Second
)

// usedSet is the set of used assertions.
type usedSet struct {
	set   Set
	users users
	// sweeping is held while the numbers of namespaces must not change their meaning.
	sweeping sync.Mutex
	// madeRoom is when expired assertions were removed to make room.
	madeRoom time.Time
}

// use is State.Use.
func (s *usedSet) use(assertion Entry, namespace string, now, past time.Time) (fresh, room bool) {
	if s.set.Has(assertion.ID, now) {
		return false, true
	}
	number, room := s.users.take(namespace)
	if !room {
		s.makeRoom(past)
		if number, room = s.users.take(namespace); !room {
			return false, false
		}
	}
	assertion.Client = number
	added, expired := s.set.use(assertion, now)
	if !added {
		s.users.leave(assertion)
	}
	return added || expired, true
}

// learn adds an assertion that was used at any replica, whatever room there is.
func (s *usedSet) learn(assertion Entry, namespace string, now time.Time) {
	assertion.Client = s.users.enter(namespace)
	if !s.set.Add(assertion, now) {
		s.users.leave(assertion)
	}
}

// makeRoom removes expired assertions, unless that was done a moment ago.
func (s *usedSet) makeRoom(past time.Time) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	if since := past.Sub(s.madeRoom); since >= usedSweep || since < 0 {
		s.madeRoom = past
		s.remove(past)
	}
}

// sweep removes expired assertions.
func (s *usedSet) sweep(now time.Time) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	s.remove(now)
}

// remove does so for a caller that holds sweeping.
func (s *usedSet) remove(now time.Time) {
	s.users.reclaim()
	s.set.sweep(func(assertion Entry) bool { return assertion.Expired(now) }, s.users.leave)
}

// part adds one of the Parts to a batch, with the namespaces of MaxClients at most.
func (s *usedSet) part(i int, batch *Batch) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	batch.Assertions = s.set.part(i, Parts)
	known, bound := numbers{}, len(batch.Clients)+MaxClients
	for i := range batch.Assertions {
		if used := &batch.Assertions[i]; used.Client != 0 {
			used.Client = known.within(bound, s.users.user(used.Client), batch)
		}
	}
}

// users counts the used assertions in memory by the namespaces of their clients, each of which has
// a number.
type users struct {
	mu      sync.Mutex
	numbers map[string]uint32
	// users are the namespaces by number. The number zero is that of assertions whose namespace
	// is not known. Free numbers are used again.
	users []user
	free  []uint32
	// all is the number of assertions, and borrowed that of those beyond the shares of their
	// namespaces.
	all, borrowed int
}

// user is a namespace, and how many assertions of it are in memory.
type user struct {
	namespace string
	used      int
}

// take counts one more assertion of a namespace if there is room for it. A namespace beyond its
// share borrows. One within its share has room although others had more than they may when what
// they used elsewhere arrived.
func (u *users) take(namespace string) (number uint32, room bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	room = u.all < maxUsed
	if number, there := u.numbers[namespace]; there && u.users[number].used >= usedShare {
		room = room && u.borrowed < usedLent
	} else {
		room = room || u.all-u.borrowed < maxUsed-usedLent
	}
	if !room {
		return 0, false
	}
	return u.add(namespace), true
}

// enter counts one more assertion of a namespace, and returns the number of the namespace. The
// namespace is empty if it is not known.
func (u *users) enter(namespace string) uint32 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.add(namespace)
}

// add does so for a caller that holds the lock.
func (u *users) add(namespace string) uint32 {
	number := u.number(namespace)
	if u.users[number].used >= shareOf(number) {
		u.borrowed++
	}
	u.users[number].used++
	u.all++
	return number
}

// number returns the number of a namespace, a new one if need be.
func (u *users) number(namespace string) uint32 {
	if u.numbers == nil {
		u.numbers, u.users = map[string]uint32{"": 0}, make([]user, 1)
	}
	number, there := u.numbers[namespace]
	if there {
		return number
	}
	// a request has it as a part of the record of its client
	namespace = strings.Clone(namespace)
	if last := len(u.free) - 1; last >= 0 {
		number, u.free = u.free[last], u.free[:last]
	} else {
		number = uint32(len(u.users)) //nolint:gosec // as many as there are entries, which are in memory
		u.users = append(u.users, user{})
	}
	u.numbers[namespace], u.users[number] = number, user{namespace: namespace}
	return number
}

// shareOf is how many assertions of a namespace are not borrowed. What is not known to be of any
// takes no share.
func shareOf(number uint32) int {
	if number == 0 {
		return 0
	}
	return usedShare
}

// leave stops counting an assertion.
func (u *users) leave(assertion Entry) {
	u.mu.Lock()
	defer u.mu.Unlock()
	of := &u.users[assertion.Client]
	if of.used > shareOf(assertion.Client) {
		u.borrowed--
	}
	of.used--
	u.all--
}

// reclaim frees the numbers of namespaces without assertions.
func (u *users) reclaim() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for namespace, number := range u.numbers {
		if number != 0 && u.users[number].used == 0 {
			delete(u.numbers, namespace)
			u.users[number], u.free = user{}, append(u.free, number)
		}
	}
}

// user returns the Client that a Batch has for assertions of the namespace with a number.
func (u *users) user(number uint32) Client {
	u.mu.Lock()
	defer u.mu.Unlock()
	return Client{Namespace: u.users[number].namespace}
}
