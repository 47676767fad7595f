// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"maps"
	"sync"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// resources are the records of declared resources. They change seldom and are read on every request.
type resources struct {
	mu           sync.RWMutex
	bySecret     map[string]*oauth2.Resource
	byName       map[oauth2.ObjectName]*oauth2.Resource
	byIdentifier map[string]*oauth2.Resource
}

func (r *resources) named(name oauth2.ObjectName) *oauth2.Resource {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byName[name]
}

func (r *resources) identified(identifier string) *oauth2.Resource {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byIdentifier[identifier]
}

// put stores the record of a Secret; nil removes it.
func (r *resources) put(secretName string, resource *oauth2.Resource) {
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
func (r *resources) keep(listed map[string]bool) {
	for name := range r.all() {
		if !listed[name] {
			r.put(name, nil)
		}
	}
}

// all returns the records by the names of their Secrets.
func (r *resources) all() map[string]*oauth2.Resource {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(r.bySecret)
}
