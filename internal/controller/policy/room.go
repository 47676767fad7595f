// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// listOf is an empty list for objects of the kind.
func listOf(o client.Object) client.ObjectList {
	switch o.(type) {
	case *v1alpha1.OAuth2Client:
		return &v1alpha1.OAuth2ClientList{}
	case *v1alpha1.OAuth2Token:
		return &v1alpha1.OAuth2TokenList{}
	}
	return &v1alpha1.OAuth2ResourceList{}
}

func conditionsOf(o client.Object) []metav1.Condition {
	switch o := o.(type) {
	case *v1alpha1.OAuth2Client:
		return o.Status.Conditions
	case *v1alpha1.OAuth2Token:
		return o.Status.Conditions
	case *v1alpha1.OAuth2Resource:
		return o.Status.Conditions
	}
	return nil
}

// limitOf is the limit on objects of the kind.
func limitOf(limits oauth2.Numbers, o client.Object) *int {
	switch o.(type) {
	case *v1alpha1.OAuth2Client:
		return limits.Clients
	case *v1alpha1.OAuth2Token:
		return limits.Tokens
	}
	return limits.Resources
}

// Count begins to follow objects as the cache brings them. Without it each object is compared with
// a list.
func (s *Source) Count(ctx context.Context, from cache.Cache) error {
	s.places.followed = true
	for _, object := range []client.Object{&v1alpha1.OAuth2Client{}, &v1alpha1.OAuth2Token{}, &v1alpha1.OAuth2Resource{}} {
		informer, err := from.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("count %T: %w", object, err)
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(added any) {
				if o, ok := added.(client.Object); ok {
					s.places.created(o)
				}
			},
			DeleteFunc: func(deleted any) {
				if last, unknown := deleted.(toolscache.DeletedFinalStateUnknown); unknown {
					deleted = last.Obj
				}
				if o, ok := deleted.(client.Object); ok {
					s.places.deleted(o)
				}
			},
		})
		if err != nil {
			return fmt.Errorf("count %T: %w", object, err)
		}
	}
	return nil
}

// Beyond reports whether an object is one too many in its namespace. The older ones come first, by
// name where they were created in the same second. An object that terminates takes its place until
// it is gone: a tenant can hold it with a finalizer.
func (s *Source) Beyond(ctx context.Context, o client.Object, limit *int) (bool, error) {
	if limit == nil {
		return false, nil
	}
	return s.places.beyond(o, *limit, func() ([]client.Object, error) { return s.objects(ctx, o, o.GetNamespace()) })
}

// WaitingForRoom are the objects of a namespace that have been beyond its limit and are within it
// now.
func (s *Source) WaitingForRoom(ctx context.Context, like client.Object, namespace string) ([]types.NamespacedName, error) {
	ceilings, err := s.Ceilings(ctx, namespace)
	if apierrors.IsNotFound(err) {
		return nil, nil // the namespace is gone, and all that was in it
	}
	if err != nil {
		return nil, err
	}
	objects, err := s.objects(ctx, like, namespace)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(objects, byAge)
	if limit := limitOf(ceilings.Limits(), like); limit != nil {
		objects = objects[:min(len(objects), *limit)]
	}
	var waiting []types.NamespacedName
	for _, o := range objects {
		if NeedsRoom(conditionsOf(o)) {
			waiting = append(waiting, client.ObjectKeyFromObject(o))
		}
	}
	return waiting, nil
}

// objects are those of the kind in a namespace.
func (s *Source) objects(ctx context.Context, like client.Object, namespace string) ([]client.Object, error) {
	list := listOf(like)
	if err := s.Client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list each %T of namespace %s: %w", like, namespace, err)
	}
	var objects []client.Object
	err := meta.EachListItem(list, func(item runtime.Object) error {
		if o, ok := item.(client.Object); ok {
			objects = append(objects, o)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list each %T of namespace %s: %w", like, namespace, err)
	}
	return objects, nil
}

// NeedsRoom reports whether an object is beyond the limit of its namespace, by its conditions.
func NeedsRoom(conditions []metav1.Condition) bool {
	return slices.ContainsFunc(conditions, func(c metav1.Condition) bool {
		return c.Reason == v1alpha1.ReasonTooManyClients || c.Reason == v1alpha1.ReasonTooManyTokens || c.Reason == v1alpha1.ReasonTooManyResources
	})
}
