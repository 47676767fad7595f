// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"iter"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Selector revokes all tokens that a client, or every client of a namespace, was issued before an
// instant; or those that act for a person, or for each person of an issuer.
type Selector struct {
	// Exactly one of ClientID, Namespace, ClientUID, Subject and IssuerName is set. Subject is
	// the sub of a person, and IssuerName the name of an OAuth2TrustedIssuer.
	ClientID, Namespace, ClientUID string
	Subject, IssuerName            string
	IssuedBefore                   time.Time
	// Collapses is whether a token server wrote the selector in the place of single
	// revocations.
	Collapses bool
}

// Name returns the name of the TokenRevocation of a selector that collapses. It is a digest of the
// selector, and neither a name nor a selector can be changed. So a copy that a person edits is not
// taken for the work of a token server, whatever its labels are, and of two replicas that write the
// same one fails with AlreadyExists.
func (s Selector) Name() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "hallpass collapsed revocations\x00%s\x00%s\x00%d", s.ClientID, s.Namespace, s.IssuedBefore.Unix()))
	return "collapsed-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))
}

// subject is what a selector names: a client, a namespace, a person, or an issuer of persons.
type subject struct{ clientID, namespace, person, issuer string }

func (s Selector) subject() subject {
	return subject{clientID: s.ClientID, namespace: s.Namespace, person: s.Subject, issuer: s.IssuerName}
}

// subjectsOf are the subjects of the tokens of a client.
func subjectsOf(client Client) [2]subject {
	return [...]subject{{clientID: client.ID}, {namespace: client.Namespace}}
}

// subjectsFor are the subjects of the tokens that act for a person.
func subjectsFor(person oauth2.Person) [2]subject {
	return [...]subject{{person: person.String()}, {issuer: person.Issuer}}
}

// selection holds selectors by name, and the epoch of each subject. A change costs as much as the
// subject has selectors, whatever others have.
type selection struct {
	mu        sync.RWMutex
	selectors map[string]Selector
	epochs    map[subject]*epoch
	// some is whether there is an epoch. Without one, reading takes no lock.
	some atomic.Bool
}

// epoch is the instant before which the tokens of a subject are revoked: by all of its selectors,
// which it has by name, and by those that collapse.
type epoch struct {
	before, collapsed time.Time
	names             map[string]struct{}
}

func (e *epoch) add(s Selector) {
	e.before = oauth2.Later(e.before, s.IssuedBefore)
	if s.Collapses {
		e.collapsed = oauth2.Later(e.collapsed, s.IssuedBefore)
	}
}

// before returns the instant before which all tokens of one of two subjects are revoked; zero if
// there is none.
func (s *selection) before(of [2]subject) time.Time {
	return s.latest(of, func(e *epoch) time.Time { return e.before })
}

// collapsed returns the instant before which the tokens of a client are collapsed; zero if there is
// none.
func (s *selection) collapsed(client Client) time.Time {
	return s.latest(subjectsOf(client), func(e *epoch) time.Time { return e.collapsed })
}

// collapsedOf returns that instant of one subject.
func (s *selection) collapsedOf(of subject) time.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if e := s.epochs[of]; e != nil {
		return e.collapsed
	}
	return time.Time{}
}

func (s *selection) latest(subjects [2]subject, of func(*epoch) time.Time) (latest time.Time) {
	if !s.some.Load() {
		return latest
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, selected := range subjects {
		if e := s.epochs[selected]; e != nil {
			latest = oauth2.Later(latest, of(e))
		}
	}
	return latest
}

func (s *selection) all() map[string]Selector {
	all := map[string]Selector{}
	s.mu.RLock()
	defer s.mu.RUnlock()
	maps.Copy(all, s.selectors)
	return all
}

// set adds a selector, or replaces the one of its name.
func (s *selection) set(name string, selector Selector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.selectors == nil {
		s.selectors, s.epochs = map[string]Selector{}, map[subject]*epoch{}
	}
	s.unset(name)
	s.selectors[name] = selector
	of := s.epochs[selector.subject()]
	if of == nil {
		of = &epoch{names: map[string]struct{}{}}
		s.epochs[selector.subject()] = of
	}
	of.names[name] = struct{}{}
	of.add(selector)
	s.some.Store(true)
}

// remove removes the selector of a name; it is a no-op if there is none.
func (s *selection) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unset(name)
	s.some.Store(len(s.epochs) > 0)
}

// removeIf removes the selectors for which a function returns true.
func (s *selection) removeIf(drop func(name string, selector Selector) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, selector := range s.selectors {
		if drop(name, selector) {
			s.unset(name)
		}
	}
	s.some.Store(len(s.epochs) > 0)
}

// unset removes a selector for a caller that holds the lock.
func (s *selection) unset(name string) {
	selector, there := s.selectors[name]
	if !there {
		return
	}
	delete(s.selectors, name)
	of := s.epochs[selector.subject()]
	delete(of.names, name)
	if len(of.names) == 0 {
		delete(s.epochs, selector.subject())
		return
	}
	of.before, of.collapsed = time.Time{}, time.Time{}
	for other := range of.names {
		of.add(s.selectors[other])
	}
}

// effective are the latest instants by subject, as selectors.
func (s *selection) effective() iter.Seq[Selector] {
	return func(yield func(Selector) bool) {
		s.mu.RLock()
		defer s.mu.RUnlock()
		for of, e := range s.epochs {
			if !yield(Selector{ClientID: of.clientID, Namespace: of.namespace, Subject: of.person, IssuerName: of.issuer, IssuedBefore: e.before}) {
				return
			}
		}
	}
}
