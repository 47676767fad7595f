// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attempt

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Unanswered keeps by UID what writes change that were not answered, until it is known whether they
// were done. The zero Unanswered is ready to use.
type Unanswered[T any] struct{ changes Proposals[[]T] }

// Put adds a change. Of those of one object the first and the last are kept: while a cache is late,
// attempts after a write that was done begin where it did, and none of them can be done.
func (u *Unanswered[T]) Put(of metav1.Object, change T, now time.Time) {
	changes := append(u.Get(of.GetUID(), now), change)
	if last := len(changes) - 1; last > 1 {
		changes = []T{changes[0], changes[last]}
	}
	u.changes.Put(of, changes, now.Add(UnansweredFor))
}

// Get returns the changes of an object, the first one first.
func (u *Unanswered[T]) Get(uid types.UID, now time.Time) []T {
	changes, _ := u.changes.Get(uid, now)
	return changes
}

// Drop forgets the changes of an object: it is known which of them was done, or none will be.
func (u *Unanswered[T]) Drop(uid types.UID) { u.changes.Drop(uid) }
