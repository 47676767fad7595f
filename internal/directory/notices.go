// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/restore"
)

// A proof of a restore makes a replica read everything again, and until then it decides nothing that memory does not know. So it does that
// at most once a minute, whatever happens.

// noticeInterval is the least time between two notices that are acted upon.
const noticeInterval = time.Minute

// notice is a proof that the API server was restored: the source that it came by, and the revisions if they are the proof.
type notice struct {
	by          *source
	proof       restore.Proof
	known, seen uint64
}

// notices are when one was acted upon, and the one that waits because that is less than noticeInterval ago.
type notices struct {
	mu      sync.Mutex
	acted   time.Time
	waiting *notice
}

// setBack takes note of a proof, upon which all that is watched is listed again. It reports false if that has to wait.
func (d *Directory) setBack(n notice) bool {
	acted := d.notice(n)
	if acted {
		n.by.distrust()
	}
	return acted
}

// notice takes note of a proof by a source that is being listed: nothing counts any more but that list. It reports false if that has to
// wait for the other sources.
func (d *Directory) notice(n notice) bool {
	d.notices.mu.Lock()
	defer d.notices.mu.Unlock()
	if n.by.isDistrusted() {
		return true // it is known
	}
	if d.notices.isEarly(d.now()) {
		if d.notices.waiting == nil {
			d.log.Error("the API server may be restored once more; all is read again when a minute is over",
				"resource", n.by.resource, "proof", n.proof, "known", n.known, "seen", n.seen)
			d.notices.waiting = &n
		}
		return false
	}
	d.act(n)
	return true
}

func (n *notices) isWaiting() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.waiting != nil
}

// isEarly reports whether the last notice that was acted upon is less than noticeInterval ago.
func (n *notices) isEarly(now time.Time) bool {
	return !n.acted.IsZero() && elapsed(n.acted, now) < noticeInterval
}

// act lets nothing count any more that another source than that of a notice has read.
func (d *Directory) act(n notice) {
	d.notices.acted, d.notices.waiting = d.now(), nil
	d.restored.Add(1)
	d.log.Error("the API server has gone back in time, as after a restore of etcd: what this replica refused it goes on refusing",
		"resource", n.by.resource, "proof", n.proof, "known", n.known, "seen", n.seen)
	for _, s := range d.sources {
		if s != n.by {
			s.distrust()
		}
	}
}

// actOnWaiting acts upon the notice that waits once it is due.
func (d *Directory) actOnWaiting() {
	d.notices.mu.Lock()
	defer d.notices.mu.Unlock()
	if waiting := d.notices.waiting; waiting != nil && !d.notices.isEarly(d.now()) {
		d.act(*waiting)
		waiting.by.distrust()
	}
}
