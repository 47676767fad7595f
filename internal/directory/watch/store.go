// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"iter"
	"runtime/debug"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/internal/restore"
)

// Store is where the values of one kind are stored. A Source calls it from one goroutine at a time.
type Store[T any] interface {
	// Resurrected reports whether an object that was deleted or terminating is there again.
	Resurrected(object T) bool
	// Apply stores an object that was added or changed.
	Apply(object T)
	// Remove removes an object that was deleted.
	Remove(object T)
	// Replace stores a whole list. What is not listed is gone.
	Replace(list iter.Seq[T], at restore.List)
}

// Kind is a kind of objects that is watched.
type Kind[K Object, T any] struct {
	Client              rest.Interface
	Resource, Namespace string
	// Object is an object of the kind.
	Object K
	// Strip returns what is left of an object.
	Strip func(object K) T
	// Added is called after an event has added an object; it may be nil.
	Added func(object T)
	Store Store[T]
}

// Object is an object of the API.
type Object interface {
	runtime.Object
	metav1.Object
}

// stripped is what is left of an object. A reflector holds a whole list before it passes it on:
// 100,000 Secrets would take 300 MB.
type stripped[T any] struct {
	metav1.ObjectMeta // what a reflector reads of an object

	value T
}

func (k Kind[K, T]) strip(object K) *stripped[T] {
	return &stripped[T]{metav1.ObjectMeta{
		Namespace: object.GetNamespace(), Name: object.GetName(), ResourceVersion: object.GetResourceVersion(),
	}, k.Strip(object)}
}

// freeDelay is how long after a list what it was read from has become garbage.
const freeDelay = time.Second

// FreeMemory returns the memory of a list that was read to the operating system. Lists are read at
// the start and after a long interruption of a watch.
func FreeMemory() { time.AfterFunc(freeDelay, debug.FreeOSMemory) }
