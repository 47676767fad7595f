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

// places remembers the last object of a kind that is within the limit of a namespace. So whether an
// object is one too many is one comparison, and takes a list only after the objects within the
// limit have changed.
type places struct {
	// followed means that created and deleted get each object; without that nothing is
	// remembered.
	followed bool

	mu   sync.Mutex
	last map[inhabitants]place
	// listing are the lists that run, so that a change is known to those of its namespace only.
	listing map[inhabitants]map[*listed]struct{}
}

// listed is a list of a namespace.
type listed struct{ changed bool }

type inhabitants struct{ kind, namespace string }

func inhabitantsOf(o client.Object) inhabitants {
	return inhabitants{fmt.Sprintf("%T", o), o.GetNamespace()}
}

// place is the last object within a limit. Where all objects are within it, object is nil and count
// the most that there can be.
type place struct {
	limit  int
	object client.Object
	count  int
}

// beyond reports whether a namespace has no place for an object. The function list returns the
// objects of the namespace.
func (p *places) beyond(o client.Object, limit int, list func() ([]client.Object, error)) (bool, error) {
	if limit == 0 {
		return true, nil
	}
	p.mu.Lock()
	known, there := p.last[inhabitantsOf(o)]
	p.mu.Unlock()
	if !there || known.limit != limit {
		var err error
		if known, err = p.find(inhabitantsOf(o), limit, list); err != nil {
			return false, err
		}
	}
	return known.object != nil && byAge(o, known.object) > 0, nil
}

// find lists the objects of a namespace for its place. It remembers the place unless an object of
// the namespace has changed meanwhile.
func (p *places) find(of inhabitants, limit int, list func() ([]client.Object, error)) (place, error) {
	run := p.begin(of)
	all, err := list()
	found := place{limit: limit, count: len(all)}
	if err == nil && len(all) >= limit {
		slices.SortFunc(all, byAge)
		found.object = all[limit-1]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if delete(p.listing[of], run); len(p.listing[of]) == 0 {
		delete(p.listing, of)
	}
	if err == nil && p.followed && !run.changed {
		if p.last == nil {
			p.last = map[inhabitants]place{}
		}
		p.last[of] = found
	}
	return found, err
}

// begin adds a list of a namespace.
func (p *places) begin(of inhabitants) *listed {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listing == nil {
		p.listing = map[inhabitants]map[*listed]struct{}{}
	}
	if p.listing[of] == nil {
		p.listing[of] = map[*listed]struct{}{}
	}
	run := &listed{}
	p.listing[of][run] = struct{}{}
	return run
}

// created is called with each new object. One that is listed already counts twice, which costs a
// list.
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
	for run := range p.listing[inhabitantsOf(o)] {
		run.changed = true
	}
	delete(p.last, inhabitantsOf(o))
}

// byAge orders objects as they take their places: the older ones first, by name where they were
// created in the same second.
func byAge(a, b client.Object) int {
	created, than := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	return cmp.Or(created.Compare(than.Time), strings.Compare(a.GetName(), b.GetName()))
}
