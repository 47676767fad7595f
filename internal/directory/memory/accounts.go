// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"slices"
	"sync"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// accounts finds the registrations of the clients that name a service account. The zero value is
// empty.
type accounts struct {
	mu    sync.RWMutex
	locks map[Place][]Place // of the registrations, by the account
}

// move removes a registration from the clients of an account and adds it to those of another one.
// The zero place is none.
func (a *accounts) move(lock, from, to Place) {
	if from == to {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if from != (Place{}) {
		left := slices.DeleteFunc(slices.Clone(a.locks[from]), func(l Place) bool { return l == lock })
		if a.locks[from] = left; len(left) == 0 {
			delete(a.locks, from)
		}
	}
	if to != (Place{}) {
		if a.locks == nil {
			a.locks = map[Place][]Place{}
		}
		a.locks[to] = append(slices.Clone(a.locks[to]), lock)
	}
}

// of returns the registrations of the clients of an account. They are not changed any more.
func (a *accounts) of(account oauth2.ObjectName) []Place {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.locks[PlaceOf(account.Namespace, account.Name)]
}

// accountOf is the place of the service account that a client authenticates as; zero for none.
func accountOf(c packed) Place {
	of := c.seldom()
	if of == nil || of.Credentials.ServiceAccount == nil {
		return Place{}
	}
	return PlaceOf(of.Namespace, of.Credentials.ServiceAccount.Name)
}

// maxSearched bounds how many clients of one account a request reads. A namespace can have more
// that are terminating.
const maxSearched = 64

// ClientsOf returns clients that name a service account: one if there is no other, and two if there
// are more. One that is being deleted does not count.
func (m *Memory) ClientsOf(account oauth2.ObjectName) []oauth2.Record {
	locks := m.Registry.accounts.of(account)
	var found []oauth2.Record
	for _, lock := range locks[:min(len(locks), maxSearched)] {
		if record := m.records.at(lock); record.Names(account) {
			if found = append(found, record); len(found) > 1 {
				break
			}
		}
	}
	return found
}
