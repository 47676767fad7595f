// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package attempt spaces the attempts of reconcilers after a failure, and keeps the random value of
// a failed write, so that the next attempt writes the same one. It makes no request.
package attempt

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// firstPause and LastPause bound how long an object waits after a failed attempt: a registry
// namespace that comes back is full again in half a minute, and after ten seconds there are three a
// minute.
const (
	firstPause = 5 * time.Millisecond
	LastPause  = 30 * time.Second
)

const (
	// sweepAt is how many objects are in back-off before those that are gone are removed.
	sweepAt = 1024
	// the time without a request for an object after which it is taken for deleted.
	goneFor = 10 * time.Minute
)

// RateLimiter spaces the attempts of a controller whose own writes do not wake it while it fails.
func RateLimiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstPause, LastPause)
}

// Backoff spaces the attempts at each object also where events wake its reconciler, such as that of
// its own last write. Only what others do ends a pause. The zero Backoff is ready to use.
type Backoff struct {
	mu      sync.Mutex
	objects map[types.NamespacedName]*pause
	sweep   int
}

// pause is what is known of an object whose last attempt failed.
type pause struct {
	attempts int
	until    time.Time
	// before is the state that the last attempt began with, after the one that it left.
	before, after State
}

// State is what an attempt depends on and others may change.
type State struct {
	// Object is a digest of all of the object but its status: the labels may be many.
	Object string
	// Versions are the resourceVersions of the objects that are written for it, "" for one that
	// is not there.
	Versions [2]string
}

// Recorded is the state in which a record is stored, by what an attempt stored; nil if that is
// nothing.
func (s State) Recorded(stored *corev1.Secret) State {
	if stored != nil {
		s.Versions[0] = stored.ResourceVersion
	}
	return s
}

// StateOf is the state of an object with the versions of what is written for it: first that of its
// record.
func StateOf(o client.Object, versions ...string) State {
	digest := sha256.Sum256(fmt.Append(nil, o.GetUID(), o.GetGeneration(), o.GetAnnotations(), o.GetLabels()))
	s := State{Object: string(digest[:])}
	copy(s.Versions[:], versions)
	return s
}

// Run makes an attempt at an object in a state, unless the object waits after a failure. do returns
// the state that the attempt leaves.
func (b *Backoff) Run(
	key types.NamespacedName, before State, now func() time.Time, do func() (result reconcile.Result, after State, err error),
) (reconcile.Result, error) {
	if wait := b.Wait(key, before, now()); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	result, after, err := do()
	if err != nil {
		b.Failed(key, before, after, now())
		return reconcile.Result{}, err
	}
	b.End(key)
	return result, nil
}

// Wait is how long an object still has to wait in the state that the cache has of it; zero if it
// need not.
func (b *Backoff) Wait(key types.NamespacedName, state State, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.objects[key]
	if p == nil {
		return 0
	}
	if p.changed(state) {
		delete(b.objects, key)
		return 0
	}
	return max(p.until.Sub(now), 0)
}

// changed reports whether another writer than the last attempt made the state what it is. For a
// while a cache may show the state before the attempt.
func (p *pause) changed(now State) bool {
	if now.Object != p.before.Object {
		return true
	}
	for i, version := range now.Versions {
		switch {
		case version == p.after.Versions[i]:
			// what was there before does not come back by itself
			p.before.Versions[i] = version
		case version != p.before.Versions[i] && !older(version, p.after.Versions[i]):
			return true
		}
	}
	return false
}

// older reports whether a version is from before the attempt ended, such as that of its first
// write.
func older(version, after string) bool {
	order, err := resourceversion.CompareResourceVersion(version, after)
	return err == nil && order < 0
}

// Failed records that an attempt failed which began and ended in these states.
func (b *Backoff) Failed(key types.NamespacedName, before, after State, now time.Time) {
	b.FailedWithin(key, before, after, now, Bounds{firstPause, LastPause})
}

// Bounds are the pauses after the first failure, and after many.
type Bounds struct{ First, Last time.Duration }

// FailedWithin is Failed with other bounds of the pause.
func (b *Backoff) FailedWithin(key types.NamespacedName, before, after State, now time.Time, bounds Bounds) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.objects[key]
	if p == nil {
		b.forgetGone(now)
		p = &pause{}
		b.objects[key] = p
	}
	p.until = now.Add(doubled(bounds.First, bounds.Last, p.attempts))
	p.before, p.after = before, after
	p.attempts++
}

// doubled is a pause that doubles with each of so many before it, up to the last one.
func doubled(first, last time.Duration, before int) time.Duration {
	return min(first<<min(before, 20), last)
}

// End ends the pause of an object: an attempt succeeded, or others changed what it depends on.
func (b *Backoff) End(key types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, key)
}

// forgetGone keeps the table as large as there are objects that fail.
func (b *Backoff) forgetGone(now time.Time) {
	if b.objects == nil {
		b.objects, b.sweep = map[types.NamespacedName]*pause{}, sweepAt
	}
	if len(b.objects) < b.sweep {
		return
	}
	for key, p := range b.objects {
		if now.Sub(p.until) > goneFor {
			delete(b.objects, key)
		}
	}
	b.sweep = max(sweepAt, 2*len(b.objects))
}
