// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revision"
)

// An etcd that is restored from a backup has forgotten what was denied since: a client that was suspended is active again, one that was
// deleted is back, a revocation is gone. A replica that ran meanwhile knows better, and so does its snapshot. It notices by revisions,
// which never go back otherwise, and by objects that are back although they were deleted, and keeps refusing the tokens that it refused.

// heldFor is how long what was refused before a restore is: until every token that was issued before has expired.
const heldFor = oauth2.MaxTokenLifetime + time.Hour

// heldPrefix begins the names of selectors that no object stands for; names of objects have no slash.
const heldPrefix = "restored/"

// rememberer is a store that keeps, of what it had before a restored list takes its place, what denied. The instant is when it had it.
type rememberer interface {
	remember(objects []any, heard time.Time)
}

// Restored counts how often the API server was found to have gone back in time.
func (d *Directory) Restored() int64 { return d.restored.Load() }

// beforeList looks at a list before it takes the place of what a source had.
func (d *Directory) beforeList(s *source, objects []any, version string) {
	synced, heard, mark := s.state()
	found := d.snapshot.found
	if synced {
		found = nil
	}
	if found != nil && mark == 0 {
		heard, mark = found.heard, found.marks[s.resource]
	}
	if heard.IsZero() {
		return // nothing was known before
	}
	if !s.isDistrusted() {
		listed, _ := strconv.ParseUint(version, 10, 64) // one that is no number says nothing
		switch {
		case revision.SetBack(mark, listed, elapsed(heard, d.now())):
			d.noticeSetBack(s, "the revision of a list", mark, listed)
		case s.older(objects):
			d.noticeSetBack(s, "an object of an older version", mark, listed)
		case slices.ContainsFunc(objects, s.revives):
			d.noticeSetBack(s, "an object that was deleted", mark, listed)
		default:
			return
		}
	}
	if found != nil {
		d.adoptSource(s, found)
	}
	if r, ok := s.store.(rememberer); ok {
		r.remember(objects, heard)
	}
}

// afterList adds to the first list of revocations what a snapshot knows to be revoked and a list could only have forgotten.
func (d *Directory) afterList(s *source) {
	if synced, _, _ := s.state(); !synced && s.resource == resourceRevocations && d.snapshot.found != nil {
		d.learnRevoked(d.snapshot.found.revoked)
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
func (s ownerStore) remember(objects []any, _ time.Time) {
	for _, object := range objects {
		listed, ok := lightOwnerOf(object).(*lightOwner)
		if !ok {
			continue
		}
		before, allSoFar := s.records.owner(hashOf(ownerName(listed.Namespace, listed.Name))), oauth2.CutBack(s.now().Add(heldFor), s.now())
		held := oauth2.RevocationSelector{ClientID: listed.clientID}
		switch {
		case s.revives(listed), before == nil, before.UID != listed.owner.UID,
			before.Suspended && !listed.owner.Suspended, before.Terminating && !listed.owner.Terminating:
			held.IssuedBefore = allSoFar
		case before.RevokedBefore.After(listed.owner.RevokedBefore):
			held.IssuedBefore = oauth2.CutBack(before.RevokedBefore, s.now())
		default:
			continue
		}
		s.hold("client/"+listed.clientID, held)
		s.departed.forget(identity(resourceClients, hashOf(ownerName(listed.Namespace, listed.Name)), listed.owner.UID))
	}
}

// remember holds back the OAuth2Tokens that were gone, or on their way out, and are back.
func (s tokenStore) remember(objects []any, _ time.Time) {
	for _, object := range objects {
		listed, ok := lightTokenOf(object).(*lightToken)
		if !ok {
			continue
		}
		name := hashOf(ownerName(listed.Namespace, listed.Name))
		before, _ := s.minted.owners.get(name)
		if s.revives(listed) || before == nil || before.UID != listed.owner.UID || before.Terminating && !listed.owner.Terminating {
			s.minted.held.Store(listed.owner.UID, true)
			s.departed.forget(identity(resourceTokens, name, listed.owner.UID))
		}
	}
}

// remember revokes the tokens of OAuth2Tokens that had been replaced and are back. Those that are younger than what was heard are new.
func (s secretStore) remember(objects []any, heard time.Time) {
	for _, object := range objects {
		secret, ok := object.(*corev1.Secret)
		if !ok || secret.Type != registration.TokenSecretType {
			continue
		}
		m, err := mintedIn(secret)
		before, known := s.minted.records.get(hashOf(secret.Name))
		if err != nil || !known {
			continue
		}
		for _, token := range m.Tokens {
			isToken := func(t oauth2.MintedToken) bool { return t.ID == token.ID }
			if token.IssuedAt.Before(heard) && !slices.ContainsFunc(before.Tokens, isToken) {
				s.revocations.Revoke(oauth2.NewRevocation(oauth2.RevocationIDOf(token.ID), token.ExpiresAt), s.now())
			}
		}
	}
}

// remember holds on to selectors that are gone or take back less than before.
func (s revocationStore) remember(objects []any, _ time.Time) {
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
	if before, held := d.revocations.Selectors()[heldPrefix+name]; held && before.IssuedBefore.After(selector.IssuedBefore) {
		selector = before
	}
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
