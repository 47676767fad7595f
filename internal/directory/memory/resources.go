// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"maps"
	"sync"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Resources are the declared resources. They change seldom and are read on every request.
type Resources struct {
	mu           sync.RWMutex
	bySecret     map[string]*oauth2.Resource
	byName       map[oauth2.ObjectName]*oauth2.Resource
	byIdentifier map[string]*oauth2.Resource
}

// Named returns the declared resource of a name; nil if there is none.
func (r *Resources) Named(name oauth2.ObjectName) *oauth2.Resource {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byName[name]
}

// Identified returns the declared resource of an identifier; nil if there is none.
func (r *Resources) Identified(identifier string) *oauth2.Resource {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byIdentifier[identifier]
}

// put stores the record of a Secret; nil removes it.
func (r *Resources) put(secretName string, resource *oauth2.Resource) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before := r.bySecret[secretName]; before != nil {
		delete(r.bySecret, secretName)
		delete(r.byIdentifier, before.Identifier)
		// A resource that was made anew with another identifier has its name already.
		if name := (oauth2.ObjectName{Namespace: before.Namespace, Name: before.Name}); r.byName[name] == before {
			delete(r.byName, name)
		}
	}
	if resource == nil {
		return
	}
	if r.bySecret == nil {
		r.bySecret, r.byName, r.byIdentifier = map[string]*oauth2.Resource{}, map[oauth2.ObjectName]*oauth2.Resource{}, map[string]*oauth2.Resource{}
	}
	r.bySecret[secretName] = resource
	r.byName[oauth2.ObjectName{Namespace: resource.Namespace, Name: resource.Name}] = resource
	r.byIdentifier[resource.Identifier] = resource
}

// keep removes the records of the Secrets that are not listed.
func (r *Resources) keep(listed map[string]bool) {
	for name := range r.all() {
		if !listed[name] {
			r.put(name, nil)
		}
	}
}

// all returns the records by the names of their Secrets.
func (r *Resources) all() map[string]*oauth2.Resource {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(r.bySecret)
}
