// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"slices"
	"sync"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// workloads finds the registrations of the clients that a workload authenticates. The zero value is
// empty.
type workloads struct {
	mu sync.RWMutex
	// only has the registration of the only client of a workload, which most are, and several
	// those of the others.
	only    map[Place]Place
	several map[Place][]Place
}

// move removes a registration from the clients of a workload and adds it to those of another one.
// The zero place is none.
func (w *workloads) move(lock, from, to Place) {
	if from == to {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if from != (Place{}) {
		w.set(from, slices.DeleteFunc(slices.Clone(w.locks(from)), func(l Place) bool { return l == lock }))
	}
	if to != (Place{}) {
		w.set(to, append(slices.Clone(w.locks(to)), lock))
	}
}

// locks are the registrations at a place, for a caller that holds the lock. They are not changed
// any more.
func (w *workloads) locks(at Place) []Place {
	if lock, is := w.only[at]; is {
		return []Place{lock}
	}
	return w.several[at]
}

// set stores the registrations at a place, for a caller that holds the lock.
func (w *workloads) set(at Place, locks []Place) {
	delete(w.only, at)
	delete(w.several, at)
	switch {
	case len(locks) == 1 && w.only == nil:
		w.only = map[Place]Place{at: locks[0]}
	case len(locks) == 1:
		w.only[at] = locks[0]
	case len(locks) > 1 && w.several == nil:
		w.several = map[Place][]Place{at: locks}
	case len(locks) > 1:
		w.several[at] = locks
	}
}

// of returns the registrations of the clients of a workload. They are not changed any more.
func (w *workloads) of(workload oauth2.Workload) []Place {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.locks(placeOfWorkload(workload))
}

// placeOfWorkload is the place of a workload; zero for none. Only that of a subject has a NUL.
func placeOfWorkload(w oauth2.Workload) Place {
	switch {
	case w == oauth2.Workload{}:
		return Place{}
	case w.Account != "":
		return PlaceOf(w.Namespace, w.Account)
	}
	return placeOf(w.Namespace + "\x00" + w.IssuerName + "\x00" + w.Subject)
}

// workloadOf is the place of the workload that authenticates a client; zero for none.
func workloadOf(c packed) Place {
	of := c.seldom()
	if of == nil {
		return Place{}
	}
	return placeOfWorkload(of.Workload())
}

// maxSearched bounds how many clients of one workload a request reads. A namespace can have more
// that are terminating.
const maxSearched = 64

// ClientsOf returns clients that a workload authenticates: one if there is no other, and two if
// there are more. One that is being deleted does not count.
func (m *Memory) ClientsOf(workload oauth2.Workload) []oauth2.Record {
	locks := m.Registry.workloads.of(workload)
	var found []oauth2.Record
	for _, lock := range locks[:min(len(locks), maxSearched)] {
		if record := m.records.at(lock); record.Names(workload) {
			if found = append(found, record); len(found) > 1 {
				break
			}
		}
	}
	return found
}
