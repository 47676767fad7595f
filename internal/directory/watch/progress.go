// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// progress is whether a source was read in full, when it last brought an event, a
// bookmark or a list, and its resourceVersion.
//
// A quiet watch is not stale: the API server sends a bookmark about once a minute. If the
// connection hangs, or the API server is unavailable, nothing arrives. So an event, a bookmark or a
// list counts, and an open connection does not.
type progress struct {
	resource string

	mu     sync.Mutex
	synced bool
	heard  time.Time
	mark   uint64
	newest newest
	// untrusted is set from the proof of a restore until the next list; relist ends the
	// reflector so that another one lists.
	untrusted bool
	relist    context.CancelFunc
}

// state returns whether the source was read in full from the API server, when it last
// brought an event, a bookmark or a list, and its resourceVersion.
func (p *progress) state() (synced bool, heard time.Time, mark uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.synced, p.heard, p.mark
}

func (p *progress) isSynced() bool {
	synced, _, _ := p.state()
	return synced
}

// hear records a version that the API server has reached.
func (p *progress) hear(version string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = now
	if mark, err := strconv.ParseUint(version, 10, 64); err == nil {
		p.mark = max(p.mark, mark)
	}
}

// listed records that a list was stored.
func (p *progress) listed(last newest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.synced, p.mark, p.newest, p.untrusted = true, 0, last, false
}

// resume takes how far a snapshot had come.
func (p *progress) resume(heard time.Time, mark uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard, p.mark = heard, mark
}

// resync makes the source list again; until then no event counts.
func (p *progress) resync() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.untrusted = true
	if p.relist != nil {
		p.relist()
	}
}

func (p *progress) isUntrusted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.untrusted
}

// newest is the object of a source that changed last, and its resourceVersion.
type newest struct {
	namespace, name string
	version         uint64
}

// learn records an object that changed.
func (n *newest) learn(object metav1.Object) {
	if version := VersionOf(object); version > n.version {
		n.namespace, n.name, n.version = object.GetNamespace(), object.GetName(), version
	}
}

// versionIn returns the version of the object in a list; zero if it is not there.
func (n *newest) versionIn(objects []any) uint64 {
	for _, object := range objects {
		if named, ok := object.(metav1.Object); ok && named.GetNamespace() == n.namespace && named.GetName() == n.name {
			return VersionOf(named)
		}
	}
	return 0
}

// VersionOf is the resourceVersion of an object; zero if it is no number, which proves nothing.
func VersionOf(object metav1.Object) uint64 {
	version, _ := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	return version
}
