// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace/noop"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	// refusalRate is how many refusals of one source and reason have a line each in a second.
	// Of more there is one line a second.
	refusalRate = 10
	// refusalWindow is the time that one line stands for.
	refusalWindow = time.Second
	// refusalEntries bounds the sources and reasons that are counted at once, at most 4 MiB.
	// Sources beyond sourceEntries are counted together by their network, so that who has all
	// addresses of a network hides no refusal of others; and beyond refusalEntries all together
	// by reason, so that no line is lost and none is added.
	refusalEntries = 2 << 10
	sourceEntries  = refusalEntries * 3 / 4
)

// refusals counts the refusals of each source and reason. It keeps those that have no line of their
// own until their second is over.
type refusals struct {
	mu      sync.Mutex
	entries map[refusalKey]*refusalCount
}

type refusalKey struct {
	source string
	reason oauth2.Reason
}

// refusalCount is what was refused within the second that began at since.
type refusalCount struct {
	since      time.Time
	seen, held int
	// flood means that the second before had more than refusalRate, so that none has a line of
	// its own.
	flood bool
	// first is the first of those held, and status its status.
	first  Record
	status int
}

// hold reports whether a refusal is counted in a later line in place of having one of its own.
// networkOf is the network that a source is counted with where there is no room for it.
func (s *refusals) hold(r *Record, networkOf func(source string) string, now time.Time, status int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := s.count(refusalKey{r.Payer(), r.Reason}, networkOf, now)
	count.seen++
	if !count.flood && count.seen <= refusalRate {
		return false
	}
	if count.held++; count.held == 1 {
		count.first, count.status = r.detached(), status
	}
	return true
}

// count is the count of a source and reason, or of those that it is counted with.
func (s *refusals) count(key refusalKey, networkOf func(source string) string, now time.Time) *refusalCount {
	if s.entries == nil {
		s.entries = map[refusalKey]*refusalCount{}
	}
	count, there := s.entries[key]
	if !there && len(s.entries) >= sourceEntries {
		key.source = networkOf(key.source)
		count, there = s.entries[key]
	}
	if !there && len(s.entries) >= refusalEntries {
		key.source = ""
		count, there = s.entries[key]
	}
	if !there {
		count = &refusalCount{since: now}
		s.entries[key] = count
	}
	return count
}

// detached is a copy of a record that keeps nothing of the request in memory but its own short
// strings.
func (r *Record) detached() Record {
	d, trail := *r, &r.Trail
	d.span = noop.Span{}
	d.CallerID, d.Source, d.ForwardedFor = strings.Clone(r.CallerID), strings.Clone(r.Source), strings.Clone(r.ForwardedFor)
	d.SourceAddress, d.ForwardedAddress, d.subject = strings.Clone(r.SourceAddress), strings.Clone(r.ForwardedAddress), strings.Clone(r.subject)
	short := func(value string) string { return strings.Clone(repeated(value)) }
	d.Trail = auth.Trail{
		ClientID: short(r.clientID()), Method: trail.Method, Credential: short(trail.Credential),
		Token: auth.TokenTrail{
			ID: short(trail.Token.ID), ClientID: short(trail.Token.ClientID), Audience: short(trail.Token.Audience), Scope: short(trail.Token.Scope),
		},
		Required: oauth2.Requirement{Audience: short(trail.Required.Audience)}, Denial: trail.Denial,
	}
	if required := strings.Join(trail.Required.Scopes, " "); required != "" {
		d.Trail.Required.Scopes = []string{short(required)}
	}
	return d
}

// due returns a copy of the counts that have a line to write: those whose second is over, or all.
// Counts without a flood are deleted.
func (s *refusals) due(now time.Time, all bool) []refusalCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []refusalCount
	for key, count := range s.entries {
		if !all && now.Sub(count.since) < refusalWindow && !now.Before(count.since) {
			continue
		}
		if count.held > 0 {
			due = append(due, *count)
		}
		if count.seen <= refusalRate {
			delete(s.entries, key)
			continue
		}
		*count = refusalCount{since: now, flood: true}
	}
	return due
}

// Run writes the lines that stand for several refusals, each second until the context ends, and
// then what is left.
func (a *Auditor) Run(ctx context.Context) {
	tick := time.NewTicker(refusalWindow)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			a.writeHeld(true)
			return
		case <-tick.C:
			a.writeHeld(false)
		}
	}
}

// writeHeld writes a line for each source and reason whose refusals were held for a second, or for
// all.
func (a *Auditor) writeHeld(all bool) {
	now := a.Now()
	for _, count := range a.refusals.due(now, all) {
		a.write(&count.first, now, count.status, count.held)
	}
}
