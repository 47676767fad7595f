// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// far is how far below its limit the count of a namespace makes a list unnecessary. The count may be
// some events behind the cache.
const far = 1000

// listOf is an empty list for objects of the kind.
func listOf(o client.Object) client.ObjectList { //nolint:ireturn // one of three
	switch o.(type) {
	case *v1alpha1.OAuth2Client:
		return &v1alpha1.OAuth2ClientList{}
	case *v1alpha1.OAuth2Token:
		return &v1alpha1.OAuth2TokenList{}
	}
	return &v1alpha1.OAuth2ResourceList{}
}

// census counts the objects of each kind and namespace.
type census struct {
	mu     sync.Mutex
	counts map[inhabitants]int
	// synced report whether the first list of a kind has been counted.
	synced []toolscache.InformerSynced
}

type inhabitants struct{ kind, namespace string }

func kindOf(o any) string { return fmt.Sprintf("%T", o) }

func (c *census) add(kind, namespace string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := inhabitants{kind, namespace}
	if c.counts[key] += n; c.counts[key] <= 0 {
		delete(c.counts, key)
	}
}

// handler counts the objects of a kind.
func (c *census) handler(kind string) toolscache.ResourceEventHandlerFuncs {
	count := func(o any, n int) {
		key, err := toolscache.DeletionHandlingMetaNamespaceKeyFunc(o)
		if namespace, _, malformed := toolscache.SplitMetaNamespaceKey(key); err == nil && malformed == nil {
			c.add(kind, namespace, n)
		}
	}
	return toolscache.ResourceEventHandlerFuncs{AddFunc: func(o any) { count(o, 1) }, DeleteFunc: func(o any) { count(o, -1) }}
}

// below reports whether a namespace certainly has fewer objects than the limit.
func (c *census) below(limit int, o client.Object) bool {
	if c.counts == nil || slices.ContainsFunc(c.synced, func(synced toolscache.InformerSynced) bool { return !synced() }) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[inhabitants{kindOf(o), o.GetNamespace()}] <= limit-far
}

// Count begins to count objects as the cache brings them. Without it each object is compared with a
// list.
func (s *Source) Count(ctx context.Context, from cache.Cache) error {
	s.census.counts = map[inhabitants]int{}
	for _, object := range []client.Object{&v1alpha1.OAuth2Client{}, &v1alpha1.OAuth2Token{}, &v1alpha1.OAuth2Resource{}} {
		informer, err := from.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("count %T: %w", object, err)
		}
		counting, err := informer.AddEventHandler(s.census.handler(kindOf(object)))
		if err != nil {
			return fmt.Errorf("count %T: %w", object, err)
		}
		s.census.synced = append(s.census.synced, counting.HasSynced)
	}
	return nil
}

// Beyond reports whether an object is one too many in its namespace. The older ones come first, by
// name where they were created in the same second. An object that terminates takes its place until it
// is gone: a tenant can hold it with a finalizer.
func (s *Source) Beyond(ctx context.Context, o client.Object, limit *int) (bool, error) {
	if limit == nil || s.census.below(*limit, o) {
		return false, nil
	}
	list := listOf(o)
	if err := s.Client.List(ctx, list, client.InNamespace(o.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
		return false, fmt.Errorf("count what namespace %s has beside %s: %w", o.GetNamespace(), o.GetName(), err)
	}
	before := 0
	err := meta.EachListItem(list, func(item runtime.Object) error {
		if other, ok := item.(client.Object); ok && comesBefore(other, o) {
			before++
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("count what namespace %s has beside %s: %w", o.GetNamespace(), o.GetName(), err)
	}
	return before >= *limit, nil
}

func comesBefore(other, o client.Object) bool {
	created, than := other.GetCreationTimestamp(), o.GetCreationTimestamp()
	older := created.Compare(than.Time)
	return older < 0 || older == 0 && other.GetName() < o.GetName()
}

// NeedsRoom reports whether an object is beyond the limit of its namespace, by its conditions.
func NeedsRoom(conditions []metav1.Condition) bool {
	return slices.ContainsFunc(conditions, func(c metav1.Condition) bool {
		return c.Reason == v1alpha1.ReasonTooManyClients || c.Reason == v1alpha1.ReasonTooManyTokens || c.Reason == v1alpha1.ReasonTooManyResources
	})
}
