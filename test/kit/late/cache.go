// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package late

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// Cache is the cache of a manager: it has what was synced last.
type Cache struct {
	cache.Cache

	// Has reports whether the cache has objects like this one at all.
	Has func(o client.Object) bool
	// Index returns the values of an index for an object.
	Index func(o client.Object, field string) []string

	server *Server
	// objects are those that it has, by kind and name.
	objects map[string]client.Object
}

// NewCache returns a Cache that has everything there is.
func NewCache(s *Server, has func(client.Object) bool, index func(client.Object, string) []string) *Cache {
	c := &Cache{Has: has, Index: index, server: s}
	c.Sync()
	return c
}

// Sync brings to the cache all objects whose keys begin with one of the prefixes, or all.
func (c *Cache) Sync(prefixes ...string) {
	c.server.t.Helper()
	if c.objects == nil {
		c.objects = map[string]client.Object{}
	}
	late := func(key string) bool {
		return len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
	}
	maps.DeleteFunc(c.objects, func(key string, _ client.Object) bool { return !late(key) })
	for _, kind := range c.server.kinds {
		c.server.All(kind, "", func(o client.Object) {
			if key := c.server.Key(o); c.Has(o) && !late(key) {
				c.objects[key] = o
			}
		})
	}
}

// Get implements client.Reader.
func (c *Cache) Get(ctx context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	if _, partial := o.(*metav1.PartialObjectMetadata); partial {
		return c.server.Get(ctx, key, o)
	}
	found := c.objects[c.server.kind(o)+" "+key.String()]
	if found == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: c.server.kind(o)}, key.Name)
	}
	reflect.ValueOf(o).Elem().Set(reflect.ValueOf(found.DeepCopyObject()).Elem())
	return nil
}

// List implements client.Reader.
func (c *Cache) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	var items []runtime.Object
	for _, object := range c.like(list) {
		if (o.Namespace == "" || object.GetNamespace() == o.Namespace) && c.selected(object, o) {
			items = append(items, object.DeepCopyObject())
		}
	}
	return meta.SetList(list, items)
}

func (c *Cache) selected(object client.Object, o client.ListOptions) bool {
	if o.FieldSelector == nil {
		return true
	}
	for _, requirement := range o.FieldSelector.Requirements() {
		if !slices.Contains(c.Index(object, requirement.Field), requirement.Value) {
			return false
		}
	}
	return true
}

// like are the objects of a kind, by their names.
func (c *Cache) like(o runtime.Object) (found []client.Object) {
	for _, key := range slices.Sorted(maps.Keys(c.objects)) {
		if strings.HasPrefix(key, c.server.kind(o)+" ") {
			found = append(found, c.objects[key])
		}
	}
	return found
}

// Names are those of the objects of a kind.
func (c *Cache) Names(like client.Object) (names []types.NamespacedName) {
	for _, o := range c.like(like) {
		names = append(names, client.ObjectKeyFromObject(o))
	}
	return names
}

// Indexed are the names of the objects of a kind that an index has under a value.
func (c *Cache) Indexed(like client.Object, field, namespace, value string) (names []types.NamespacedName, err error) {
	for _, o := range c.like(like) {
		if (namespace == "" || o.GetNamespace() == namespace) && slices.Contains(c.Index(o, field), value) {
			names = append(names, client.ObjectKeyFromObject(o))
		}
	}
	return names, nil
}

// Client returns a client that reads what the cache has and writes to the API server.
func (c *Cache) Client() client.Client {
	s := c.server
	return interceptor.NewClient(s.WithWatch, interceptor.Funcs{
		Get: func(ctx context.Context, _ client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			return c.Get(ctx, key, o, options...)
		},
		List: func(ctx context.Context, _ client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			return c.List(ctx, list, options...)
		},
		Create: func(ctx context.Context, _ client.WithWatch, o client.Object, options ...client.CreateOption) error {
			return s.write("create", o, func(o client.Object) error { return s.create(ctx, o, options...) })
		},
		Update: func(ctx context.Context, _ client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			return s.write("update", o, func(o client.Object) error { return s.Update(ctx, o, options...) })
		},
		Delete: func(ctx context.Context, _ client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			return s.write("delete", o, func(o client.Object) error { return s.Delete(ctx, o, options...) })
		},
		SubResourcePatch: func(ctx context.Context, _ client.Client, sub string, o client.Object, p client.Patch, options ...client.SubResourcePatchOption) error {
			return s.write("status", o, func(o client.Object) error { return s.SubResource(sub).Patch(ctx, o, p, options...) })
		},
	})
}

// Secrets reads from the cache the Secrets of one type alone, as a cache of those does.
func (c *Cache) Secrets(kind corev1.SecretType) *SecretCache {
	return &SecretCache{Cache: c, kind: kind}
}

// SecretCache is a cache of the Secrets of one type.
type SecretCache struct {
	*Cache

	kind corev1.SecretType
}

// Get implements client.Reader.
func (s *SecretCache) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	if err := s.Cache.Get(ctx, key, o, options...); err != nil {
		return err
	}
	if secret, ok := o.(*corev1.Secret); ok && secret.Type != s.kind {
		return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
	}
	return nil
}
