// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Selector revokes all tokens that a client, or every client of a namespace, was issued before an
// instant.
type Selector struct {
	// Exactly one of ClientID, Namespace and ClientUID is set.
	ClientID, Namespace, ClientUID string
	IssuedBefore                   time.Time
}

// selection holds selectors by name, and the instants computed from them. Reading an instant takes
// no lock.
type selection struct {
	mu        sync.Mutex
	selectors map[string]Selector
	epochs    atomic.Pointer[epochs]
}

// epochs are the instants before which tokens are revoked. They are immutable and replaced as a
// whole.
type epochs struct{ byClient, byNamespace map[string]time.Time }

// before returns the instant before which all tokens of a client are revoked; zero if there is
// none.
func (s *selection) before(clientID, namespace string) time.Time {
	known := s.epochs.Load()
	if known == nil {
		return time.Time{}
	}
	return oauth2.Later(known.byClient[clientID], known.byNamespace[namespace])
}

func (s *selection) all() map[string]Selector {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]Selector, len(s.selectors))
	maps.Copy(all, s.selectors)
	return all
}

// remove removes the selectors that a function reports.
func (s *selection) remove(drop func(name string, selector Selector) bool) {
	s.change(func(selectors map[string]Selector) bool {
		before := len(selectors)
		maps.DeleteFunc(selectors, drop)
		return len(selectors) != before
	})
}

// change runs a function that may change the selectors, and recomputes the epochs if it did.
func (s *selection) change(change func(selectors map[string]Selector) (changed bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.selectors == nil {
		s.selectors = map[string]Selector{}
	}
	if !change(s.selectors) {
		return
	}
	made := &epochs{byClient: map[string]time.Time{}, byNamespace: map[string]time.Time{}}
	for _, selector := range s.selectors {
		if selector.ClientID != "" {
			made.byClient[selector.ClientID] = oauth2.Later(made.byClient[selector.ClientID], selector.IssuedBefore)
		} else {
			made.byNamespace[selector.Namespace] = oauth2.Later(made.byNamespace[selector.Namespace], selector.IssuedBefore)
		}
	}
	s.epochs.Store(made)
}
