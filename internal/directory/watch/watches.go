// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package watch lists and watches kinds of objects. It strips each object on arrival and passes the
// rest to a Store. It knows how old its data is, and lists everything again when etcd was restored
// from a backup. It does not depend on what the objects mean.
package watch

import (
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/restore"
)

// ErrRestored means that a restore was proven, and that not everything was read again since.
var ErrRestored = errors.New("the API server has an older revision than before, as after a restore of etcd, and was not read again yet")

// Config is what Watches need.
type Config struct {
	Log *slog.Logger
	Now func() time.Time
	// Heard is called whenever something arrives from an API server, and Changed after each
	// change of a store.
	Heard, Changed func()
	// Restored is called when the proof of a restore is acted upon; it may be nil.
	Restored func(at time.Time)
}

// Watches are the sources of one API server. Where one of them proves a restore, all list again.
type Watches struct {
	config Config

	// listing keeps the lists of all sources apart.
	listing  sync.Mutex
	sources  []*progress
	heard    atomic.Pointer[time.Time]
	hearing  sync.Mutex
	restored atomic.Int64
	notices  notices
}

// New returns Watches without a source.
func New(config Config) *Watches { return &Watches{config: config} }

// Heard is the instant until which the stores are up to date, for the source furthest behind. It is
// zero until every source was read.
func (w *Watches) Heard() time.Time {
	if heard := w.heard.Load(); heard != nil {
		return *heard
	}
	return time.Time{}
}

// hear computes what Heard returns: each request asks for it, and it changes with each event.
func (w *Watches) hear() {
	w.config.Heard()
	w.hearing.Lock()
	defer w.hearing.Unlock()
	var earliest time.Time
	for i, s := range w.sources {
		if _, heard, _ := s.state(); i == 0 || heard.Before(earliest) {
			earliest = heard // zero, if it was never read
		}
	}
	w.heard.Store(&earliest)
}

// Silence is how long ago the watch that is furthest behind last brought something; the longest
// duration until each was read.
func (w *Watches) Silence() time.Duration {
	heard := w.Heard()
	if heard.IsZero() {
		return math.MaxInt64
	}
	return Elapsed(heard, w.config.Now())
}

// Elapsed is the time between two readings of the clock: by the monotonic clock, which cannot be
// set, or by the wall clock, which runs while a machine is suspended, whichever is longer.
func Elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)), 0)
}

// Unread returns the resource of a source that was neither read nor loaded; empty if there is none.
func (w *Watches) Unread() string {
	for _, s := range w.sources {
		if _, heard, _ := s.state(); heard.IsZero() {
			return s.resource
		}
	}
	return ""
}

// Synced reports whether every source was read in full from the API server.
func (w *Watches) Synced() bool {
	return !slices.ContainsFunc(w.sources, func(s *progress) bool { return !s.isSynced() })
}

// Marks returns the resourceVersions that the sources have come to, by resource.
func (w *Watches) Marks() map[string]uint64 {
	marks := map[string]uint64{}
	for _, s := range w.sources {
		_, _, marks[s.resource] = s.state()
	}
	return marks
}

// Trusted returns an error from the proof of a restore until every source was listed again.
func (w *Watches) Trusted() error {
	if slices.ContainsFunc(w.sources, (*progress).isUntrusted) {
		return ErrRestored
	}
	return nil
}

// Restored is how often a restore was proven.
func (w *Watches) Restored() int64 { return w.restored.Load() }

// After the proof of a restore a replica lists everything again, and until then it answers from
// memory alone. So it does that once a minute at most.

// noticeInterval is the least time between two notices that are acted upon.
const noticeInterval = time.Minute

// notice is the proof of a restore: the source that found it, and the revisions if they are the
// proof.
type notice struct {
	by          *progress
	proof       restore.Proof
	known, seen uint64
}

// notices are the time at which one was acted upon, and the one that waits.
type notices struct {
	mu      sync.Mutex
	acted   time.Time
	waiting *notice
}

// notice records a proof by a source that is listed now, upon which the others list again. It
// returns false if that has to wait.
func (w *Watches) notice(n notice) bool {
	w.notices.mu.Lock()
	defer w.notices.mu.Unlock()
	if n.by.isUntrusted() {
		return true // it is known
	}
	if w.notices.isEarly(w.config.Now()) {
		if w.notices.waiting == nil {
			w.config.Log.Error("the API server may be restored once more; all is read again when a minute is over",
				"resource", n.by.resource, "proof", n.proof, "known", n.known, "seen", n.seen)
			w.notices.waiting = &n
		}
		return false
	}
	w.act(n)
	return true
}

// relist records a proof, upon which all sources list again. It reports false if that has to wait.
func (w *Watches) relist(n notice) bool {
	acted := w.notice(n)
	if acted {
		n.by.resync()
	}
	return acted
}

func (w *Watches) isWaiting() bool {
	w.notices.mu.Lock()
	defer w.notices.mu.Unlock()
	return w.notices.waiting != nil
}

// isEarly reports whether the last notice that was acted upon is less than noticeInterval ago.
func (n *notices) isEarly(now time.Time) bool {
	return !n.acted.IsZero() && Elapsed(n.acted, now) < noticeInterval
}

// act makes the other sources than that of a notice list again.
func (w *Watches) act(n notice) {
	w.notices.acted, w.notices.waiting = w.config.Now(), nil
	w.restored.Add(1)
	if w.config.Restored != nil {
		w.config.Restored(w.notices.acted)
	}
	w.config.Log.Error("the API server has an older revision than before, as after a restore of etcd: what this replica refused it still refuses",
		"resource", n.by.resource, "proof", n.proof, "known", n.known, "seen", n.seen)
	for _, s := range w.sources {
		if s != n.by {
			s.resync()
		}
	}
}

// ActOnWaiting acts upon the notice that waits once it is due.
func (w *Watches) ActOnWaiting() {
	w.notices.mu.Lock()
	defer w.notices.mu.Unlock()
	if waiting := w.notices.waiting; waiting != nil && !w.notices.isEarly(w.config.Now()) {
		w.act(*waiting)
		waiting.by.resync()
	}
}
