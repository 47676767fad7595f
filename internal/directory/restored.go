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

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/restore"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// An etcd that is restored from a backup has forgotten what was denied since: a client that was suspended is active again, one that was
// deleted is back, a revocation is gone. A replica that ran meanwhile knows better, and so does its snapshot. It notices by what package
// restore proves, and quarantines what it refused: see quarantine.go.

// newMargin is how much older than what was heard last an object may be and still be new: clocks differ, and events take time. What is
// older and not known was deleted before; what is younger was made since.
const newMargin = 5 * time.Minute

// madeSince reports whether something that memory does not know was made after what was heard last, rather than forgotten by then.
func madeSince(created, heard time.Time) bool { return created.After(heard.Add(-newMargin)) }

// rememberer is a store that quarantines, of what it had before a restored list takes its place, what denied. The instant is when it had
// it.
type rememberer interface {
	remember(objects []any, heard time.Time)
}

// Restored counts how often the API server was proven to be restored from a backup.
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
		listed, _ := strconv.ParseUint(version, 10, 64) // one that is no number proves nothing
		proof := s.prove(objects, mark, listed, elapsed(heard, d.now()))
		if proof == restore.None {
			return
		}
		if !d.notice(notice{by: s, proof: proof, known: mark, seen: listed}) && proof == restore.Resurrected {
			return // the store refuses those objects until the notice is acted upon
		}
	}
	if found != nil {
		d.adoptSource(s, found)
	}
	if r, ok := s.store.(rememberer); ok {
		r.remember(objects, heard)
	}
}

// prove returns what a list proves.
func (s *source) prove(objects []any, mark, listed uint64, after time.Duration) restore.Proof {
	s.mu.Lock()
	newest := s.newest
	s.mu.Unlock()
	known := restore.Facts{Revision: mark, Newest: newest.version}
	seen := restore.Facts{Revision: listed, Newest: newest.listed(objects)}
	if proof := restore.Prove(known, seen, after); proof != restore.None {
		return proof
	}
	if slices.ContainsFunc(objects, s.isResurrected) {
		return restore.Resurrected
	}
	return restore.None
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

// listed is the version that the object has in a list; zero if it is not there.
func (n *newest) listed(objects []any) uint64 {
	for _, object := range objects {
		named, ok := object.(metav1.Object)
		if !ok || ownerName(named.GetNamespace(), named.GetName()) != n.name {
			continue
		}
		version, _ := strconv.ParseUint(named.GetResourceVersion(), 10, 64) // one that is no number proves nothing
		return version
	}
	return 0
}

// readmits reports whether objects that were gone may be there again, once what they had is in quarantine. While a notice waits they are
// refused as a whole.
func (d *Directory) readmits() bool { return !d.notices.isWaiting() }

// remember quarantines the tokens of clients that were refused and are not any more, and of those that are back.
func (s ownerStore) remember(objects []any, heard time.Time) {
	quarantined, allSoFar := map[string]revocation.Selector{}, oauth2.CutBack(s.now().Add(heldFor), s.now())
	var back []comeback
	for _, object := range objects {
		listed, ok := lightOwnerOf(object).(*lightOwner)
		if !ok {
			continue
		}
		seen := sight(resourceClients, listed.place, listed.owner.UID, listed.owner.Terminating)
		selector := revocation.Selector{ClientID: listed.clientID}
		switch before := s.records.owner(listed.place); {
		case seen.proves(s.known(seen)) != restore.None:
			selector.IssuedBefore = allSoFar
		case before == nil, before.UID != listed.owner.UID:
			if madeSince(listed.CreationTimestamp.Time, heard) {
				continue
			}
			selector.IssuedBefore = allSoFar
		case before.Suspended && !listed.owner.Suspended, before.Terminating && !listed.owner.Terminating:
			selector.IssuedBefore = allSoFar
		case before.RevokedBefore.After(listed.owner.RevokedBefore):
			selector.IssuedBefore = oauth2.CutBack(before.RevokedBefore, s.now())
		default:
			continue
		}
		quarantined[heldPrefix+"client/"+listed.clientID] = selector
		if !listed.owner.Terminating {
			back = append(back, comeback{listed, seen.object})
		}
	}
	s.revocations.Quarantine(quarantined)
	if s.readmits() {
		for _, client := range back {
			s.departed.forget(client.identity)
			s.records.putOwner(client.place, packOwner(client.owner))
		}
	}
}

// comeback is an OAuth2Client that may be there again.
type comeback struct {
	*lightOwner

	identity hash
}

// remember quarantines the OAuth2Tokens that were gone, or on their way out, and are back.
func (s tokenStore) remember(objects []any, heard time.Time) {
	readmits := s.readmits()
	for _, object := range objects {
		listed, ok := lightTokenOf(object).(*lightToken)
		if !ok || listed.owner.Terminating {
			continue
		}
		name := hashOf(ownerName(listed.Namespace, listed.Name))
		seen := sight(resourceTokens, name, listed.owner.UID, listed.owner.Terminating)
		before, _ := s.minted.owners.get(name)
		isKnown := before != nil && before.UID == listed.owner.UID
		if seen.proves(s.known(seen)) != restore.None || isKnown && before.Terminating ||
			!isKnown && !madeSince(listed.CreationTimestamp.Time, heard) {
			s.quarantineToken(listed, heard)
			if readmits {
				s.departed.forget(seen.object)
				s.minted.owners.put(name, listed.owner)
			}
		}
	}
}

// remember revokes the tokens of OAuth2Tokens that had been replaced or deleted and are back.
func (s secretStore) remember(objects []any, heard time.Time) {
	s.minted.rewind()
	for _, object := range objects {
		secret, ok := object.(*corev1.Secret)
		if !ok || secret.Type != registration.TokenSecretType {
			continue
		}
		m, err := mintedIn(secret)
		if err != nil {
			continue
		}
		known, _ := s.minted.records.get(hashOf(secret.Name))
		s.revokeForgotten(storedMinted{Minted: &m}, known, heard)
	}
}

// remember quarantines selectors that are gone or revoke less than before.
func (s revocationStore) remember(objects []any, _ time.Time) {
	listed := map[string]revocation.Selector{}
	for _, object := range objects {
		if read, err := light(object); err == nil && read.selector != nil {
			listed[read.Name] = *read.selector
		}
	}
	quarantined := map[string]revocation.Selector{}
	for name, selector := range s.revocations.Selectors() {
		if now, there := listed[name]; !strings.HasPrefix(name, heldPrefix) && (!there || now.IssuedBefore.Before(selector.IssuedBefore)) {
			quarantined[heldPrefix+name] = selector
		}
	}
	s.revocations.Quarantine(quarantined)
}
