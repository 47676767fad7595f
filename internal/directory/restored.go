// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// An etcd that is restored from a backup has forgotten what was denied since: a client that was suspended is active again, one that was
// deleted is back, a revocation is gone. A replica that ran meanwhile knows better. It notices by resourceVersions, which can be compared
// and never go back otherwise, and keeps refusing the tokens that it refused. Keys need nothing: a withdrawn one stays withdrawn in
// every ring that a replica merges, and revoked tokens stay revoked until they expire.

// heldFor is how long what was refused before a restore is: until every token that was issued before has expired.
const heldFor = oauth2.MaxTokenLifetime + time.Hour

// heldPrefix begins the names of selectors that no object stands for; names of objects have no slash.
const heldPrefix = "restored/"

// rememberer is a store that keeps, of what it had before a restored list takes its place, what denied.
type rememberer interface {
	remember(objects []any)
}

// Restored counts the lists that were older than what was known before.
func (d *Directory) Restored() int64 { return d.restored.Load() }

// beforeList looks at a list before it takes the place of what a source had.
func (d *Directory) beforeList(s *source, objects []any, version string) {
	synced, _, mark := s.state()
	if p := d.snapshot.found; p != nil && !synced && mark == 0 {
		mark = p.marks[s.resource]
	}
	listed, err := strconv.ParseUint(version, 10, 64)
	if err != nil || listed >= mark && !s.older(objects) {
		return
	}
	d.restored.Add(1)
	d.log.Error("the API server has gone back in time, as after a restore of etcd: what this replica refused it goes on refusing",
		"resource", s.resource, "known", mark, "listed", listed)
	if p := d.snapshot.found; p != nil && !synced {
		d.adoptSource(s, p)
	}
	if r, ok := s.store.(rememberer); ok {
		r.remember(objects)
	}
}

// newest is the object of a source that changed last, and its resourceVersion.
type newest struct {
	name    string
	version uint64
}

// learn takes note of an object that changed.
func (n *newest) learn(object metav1.Object) {
	if version, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64); err == nil && version > n.version {
		n.name, n.version = ownerName(object.GetNamespace(), object.GetName()), version
	}
}

// older reports whether the object that changed last has an older version in a list. That tells a restore whose revisions were raised, so
// that no watch goes on as if nothing had happened.
func (s *source) older(objects []any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, object := range objects {
		named, ok := object.(metav1.Object)
		if !ok || ownerName(named.GetNamespace(), named.GetName()) != s.newest.name {
			continue
		}
		version, err := strconv.ParseUint(named.GetResourceVersion(), 10, 64)
		return err == nil && version < s.newest.version
	}
	return false
}

// remember holds back the tokens of clients that were refused and are not any more, and of those that are back.
func (s ownerStore) remember(objects []any) {
	for _, object := range objects {
		listed, ok := lightOwnerOf(object).(*lightOwner)
		if !ok {
			continue
		}
		before := s.owners.get(listed.Namespace, listed.Name)
		if before != nil && before.UID == listed.owner.UID && (!before.Suspended || listed.owner.Suspended) &&
			(!before.Terminating || listed.owner.Terminating) {
			continue
		}
		s.hold("client/"+listed.clientID, oauth2.RevocationSelector{
			ClientID: listed.clientID, IssuedBefore: oauth2.CutBack(s.now().Add(heldFor), s.now()), // all that were issued so far
		})
	}
}

// remember holds on to selectors that are gone or take back less than before.
func (s revocationStore) remember(objects []any) {
	listed := map[string]oauth2.RevocationSelector{}
	for _, object := range objects {
		if whole, ok := object.(*v1alpha1.TokenRevocation); ok {
			object = readRevocation(whole)
		}
		if read, ok := object.(*lightRevocation); ok && read.selector != nil {
			listed[read.Name] = *read.selector
		}
	}
	for name, selector := range s.revocations.Selectors() {
		if strings.HasPrefix(name, heldPrefix) {
			continue
		}
		if now, there := listed[name]; !there || now.IssuedBefore.Before(selector.IssuedBefore) {
			s.hold(name, selector)
		}
	}
}

// hold keeps a selector in force although no object says so.
func (d *Directory) hold(name string, selector oauth2.RevocationSelector) {
	d.revocations.Select(heldPrefix+name, selector)
	d.held.Store(heldPrefix+name, d.now().Add(heldFor))
}

// keepHeld adds what is held to the names of selectors that are in force.
func (d *Directory) keepHeld(listed map[string]bool) {
	d.held.Range(func(name, _ any) bool {
		if name, ok := name.(string); ok {
			listed[name] = true
		}
		return true
	})
}

// holdAgain takes over what a process before this one held.
func (d *Directory) holdAgain(p *picture) {
	for name, selector := range p.revoked.Selectors() {
		if short, held := strings.CutPrefix(name, heldPrefix); held {
			d.hold(short, selector)
		}
	}
}

// release ends what was held long enough.
func (d *Directory) release() {
	d.held.Range(func(name, until any) bool {
		text, isText := name.(string)
		end, isTime := until.(time.Time)
		if isText && isTime && d.now().After(end) {
			d.held.Delete(name)
			d.revocations.Deselect(text)
		}
		return true
	})
}
