// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// places remembers the last object of a kind that is within the limit of a namespace. So whether an object
// is one too many is one comparison, and takes a list only after the objects within the limit have changed.
type places struct {
	// followed says that created and deleted get each object; without that nothing is remembered.
	followed bool

	mu   sync.Mutex
	last map[inhabitants]place
	// changes counts what may have changed a place.
	changes uint64
}

type inhabitants struct{ kind, namespace string }

func inhabitantsOf(o client.Object) inhabitants {
	return inhabitants{fmt.Sprintf("%T", o), o.GetNamespace()}
}

// place is the last object within a limit. Where all objects are within it, object is nil and count the
// most that there can be.
type place struct {
	limit  int
	object client.Object
	count  int
}

// beyond reports whether a namespace has no place for an object. The function list returns the objects of
// the namespace.
func (p *places) beyond(o client.Object, limit int, list func() ([]client.Object, error)) (bool, error) {
	if limit == 0 {
		return true, nil
	}
	p.mu.Lock()
	known, there := p.last[inhabitantsOf(o)]
	changes := p.changes
	p.mu.Unlock()
	if !there || known.limit != limit {
		all, err := list()
		if err != nil {
			return false, err
		}
		known = place{limit: limit, count: len(all)}
		if len(all) >= limit {
			slices.SortFunc(all, byAge)
			known.object = all[limit-1]
		}
		p.remember(inhabitantsOf(o), known, changes)
	}
	return known.object != nil && byAge(o, known.object) > 0, nil
}

// remember keeps a place unless something has changed since.
func (p *places) remember(of inhabitants, found place, changes uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.followed || p.changes != changes {
		return
	}
	if p.last == nil {
		p.last = map[inhabitants]place{}
	}
	p.last[of] = found
}

// created is called with each new object. One that is listed already counts twice, which costs a list.
func (p *places) created(o client.Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, there := p.last[inhabitantsOf(o)]
	if there && known.object == nil && known.count+1 <= known.limit {
		known.count++
		p.last[inhabitantsOf(o)] = known
		return
	}
	p.change(o, known)
}

// deleted is called with each object that is gone.
func (p *places) deleted(o client.Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, there := p.last[inhabitantsOf(o)]; !there || known.object != nil {
		p.change(o, known)
	}
}

// change drops the place of a namespace, unless an object is beyond it.
func (p *places) change(o client.Object, known place) {
	if known.object != nil && byAge(o, known.object) > 0 {
		return
	}
	p.changes++
	delete(p.last, inhabitantsOf(o))
}

// byAge orders objects as they take their places: the older ones first, by name where they were created in
// the same second.
func byAge(a, b client.Object) int {
	created, than := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	return cmp.Or(created.Compare(than.Time), strings.Compare(a.GetName(), b.GetName()))
}
