// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Selector takes back all that was issued before an instant, to a client or to every client of a namespace.
type Selector struct {
	// ClientID, Namespace or ClientUID says to whom; the others are empty.
	ClientID, Namespace, ClientUID string
	IssuedBefore                   time.Time
}

// selection is selectors by their names, and the instants that follow from them. Whoever asks for an instant takes no lock.
type selection struct {
	mu        sync.Mutex
	selectors map[string]Selector
	epochs    atomic.Pointer[epochs]
}

// epochs are the instants before which tokens are revoked. They are replaced whole.
type epochs struct{ byClient, byNamespace map[string]time.Time }

// before is the instant before which all tokens of a client are revoked; zero if there is none.
func (s *selection) before(clientID, namespace string) time.Time {
	known := s.epochs.Load()
	if known == nil {
		return time.Time{}
	}
	return later(known.byClient[clientID], known.byNamespace[namespace])
}

func (s *selection) all() map[string]Selector {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]Selector, len(s.selectors))
	maps.Copy(all, s.selectors)
	return all
}

// change makes the epochs anew if a function has changed the selectors.
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
			made.byClient[selector.ClientID] = later(made.byClient[selector.ClientID], selector.IssuedBefore)
		} else {
			made.byNamespace[selector.Namespace] = later(made.byNamespace[selector.Namespace], selector.IssuedBefore)
		}
	}
	s.epochs.Store(made)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
