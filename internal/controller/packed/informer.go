// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package packed has the informers of the manager's caches. An informer holds each object as one
// string, a quarter of what the object takes, and unpacks it whenever it is read or an event
// handler gets it. A cache with these informers needs no deep copies: each reader gets an object of
// its own.
package packed

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/internal/wire"
)

// Informers are the informers of one manager. Its zero value is ready to use.
type Informers struct {
	// Stopped ends Await, because the manager stops. Without it nothing does.
	Stopped <-chan struct{}

	mu     sync.RWMutex
	byKind map[reflect.Type][]*informer
}

// New is toolscache.NewSharedIndexInformer, packed. It is for the option NewInformer of a cache.
func (i *Informers) New(
	source toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers,
) toolscache.SharedIndexInformer {
	kind := reflect.TypeOf(example).Elem()
	added := newInformer(toolscache.NewSharedIndexInformer(source, example, resync, indexers), kind, indexers)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.byKind == nil {
		i.byKind = map[reflect.Type][]*informer{}
	}
	i.byKind[kind] = append(i.byKind[kind], added)
	return added
}

// of returns the informers of a kind.
func (i *Informers) of(like client.Object) []*informer {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.byKind[reflect.TypeOf(like).Elem()]
}

// Absent reports whether there is no object of that kind and name. It waits until each informer of
// the kind has all that there is. Without informers it reports nothing absent.
func (i *Informers) Absent(like client.Object, key types.NamespacedName) bool {
	i.Await(like)
	informers := i.of(like)
	for _, one := range informers {
		if _, there, err := one.SharedIndexInformer.GetIndexer().GetByKey(key.String()); there || err != nil || !one.HasSynced() {
			return false
		}
	}
	return len(informers) > 0
}

// Await waits until each informer of a kind has all that there is. It returns at once if the kind
// has no informers.
func (i *Informers) Await(like client.Object) {
	for _, one := range i.of(like) {
		select {
		case <-one.HasSyncedChecker().Done():
		case <-i.Stopped:
		}
	}
}

// Each hands the objects of a kind on, one after the other, so that never more than one is
// unpacked. The next one has the memory of the one before, so visit must not keep it. Each waits
// until all that there are have been read.
func Each[T client.Object](ctx context.Context, i *Informers, visit func(T)) error {
	var like T
	for _, one := range i.of(like) {
		if !toolscache.WaitForCacheSync(ctx.Done(), one.HasSynced) {
			return fmt.Errorf("wait until each %s has been read: %w", one.kind.Name(), ctx.Err())
		}
		v := reflect.New(one.kind)
		for _, packed := range one.SharedIndexInformer.GetIndexer().List() {
			from, ok := packed.(*object)
			if !ok {
				continue // each that has its kind is packed
			}
			v.Elem().SetZero()
			from.unpackInto(v)
			if o, ok := reflect.TypeAssert[T](v); ok {
				visit(o)
			}
		}
	}
	return nil
}

// Names are the names of all objects of a kind.
func (i *Informers) Names(like client.Object) []types.NamespacedName {
	var names []types.NamespacedName
	for _, one := range i.of(like) {
		for _, from := range one.SharedIndexInformer.GetIndexer().List() {
			if o, ok := from.(*object); ok {
				meta := o.GetObjectMeta()
				names = append(names, types.NamespacedName{Namespace: meta.GetNamespace(), Name: meta.GetName()})
			}
		}
	}
	return names
}

// allNamespaces is what a cache has in the values of its indexes for objects of any namespace.
const allNamespaces = "__all_namespaces"

// Indexed are the names of the objects of a namespace, or of all namespaces if it is empty, that a
// field index of the cache has under a value. It unpacks none of them.
func (i *Informers) Indexed(like client.Object, field, namespace, value string) ([]types.NamespacedName, error) {
	var names []types.NamespacedName
	for _, one := range i.of(like) {
		// as the cache names its indexes
		keys, err := one.SharedIndexInformer.GetIndexer().IndexKeys("field:"+field, cmp.Or(namespace, allNamespaces)+"/"+value)
		if err != nil {
			return nil, fmt.Errorf("find each %s of %q by its %s: %w", one.kind.Name(), namespace, field, err)
		}
		for _, key := range keys {
			in, name, _ := strings.Cut(key, "/")
			names = append(names, types.NamespacedName{Namespace: in, Name: name})
		}
	}
	return names, nil
}

// object is an object of an informer, packed. It has the namespace, the name and the version of the
// object, in this order, and then the rest.
type object struct {
	kind reflect.Type
	form string
}

// GetObjectMeta implements metav1.ObjectMetaAccessor.
func (o *object) GetObjectMeta() metav1.Object {
	r := wire.NewReader(o.form)
	return readHeader(&r)
}

// header is what stores and queues read of an object. They read nothing else.
type header struct {
	metav1.Object

	namespace, name, version string
}

func readHeader(r *wire.Reader) *header {
	return &header{namespace: decodeText(r), name: decodeText(r), version: decodeText(r)}
}

// GetNamespace implements metav1.Object.
func (h *header) GetNamespace() string { return h.namespace }

// GetName implements metav1.Object.
func (h *header) GetName() string { return h.name }

// GetResourceVersion implements metav1.Object.
func (h *header) GetResourceVersion() string { return h.version }

// pack packs an object of a kind; what is no object stays as it is.
func pack(kind reflect.Type, from any) (any, error) {
	if v := reflect.ValueOf(from); !v.IsValid() || v.Type() != reflect.PointerTo(kind) {
		return from, nil
	}
	rest := reflect.New(kind)
	rest.Elem().Set(reflect.ValueOf(from).Elem())
	accessor, ok := reflect.TypeAssert[metav1.Object](rest)
	if !ok {
		return from, nil
	}
	namespace, name, version := accessor.GetNamespace(), accessor.GetName(), accessor.GetResourceVersion()
	var w wire.Writer
	for _, s := range []string{namespace, name, version} {
		encodeText(&w, s)
	}
	accessor.SetNamespace("")
	accessor.SetName("")
	accessor.SetResourceVersion("")
	accessor.SetManagedFields(nil)
	if applied := accessor.GetAnnotations(); applied[corev1.LastAppliedConfigAnnotation] != "" {
		applied = maps.Clone(applied)
		// the object once more, for kubectl alone
		delete(applied, corev1.LastAppliedConfigAnnotation)
		accessor.SetAnnotations(applied)
	}
	if err := encodeStruct(&w, rest.Elem()); err != nil {
		return nil, fmt.Errorf("pack %s %s/%s: %w", kind.Name(), namespace, name, err)
	}
	return &object{kind, string(w.Bytes)}, nil
}

// unpack returns the object again; what was not packed stays as it is.
func unpack(from any) any {
	switch o := from.(type) {
	case *object:
		v := reflect.New(o.kind)
		o.unpackInto(v)
		return v.Interface()
	case toolscache.DeletedFinalStateUnknown:
		o.Obj = unpack(o.Obj)
		return o
	}
	return from
}

// unpackInto unpacks the object into what a pointer to its kind points to, which is zero.
func (o *object) unpackInto(v reflect.Value) {
	r := wire.NewReader(o.form)
	read := readHeader(&r)
	decodeStruct(&r, v.Elem())
	if accessor, ok := reflect.TypeAssert[metav1.Object](v); ok {
		// many keep a name, none should keep the form with it
		accessor.SetNamespace(strings.Clone(read.namespace))
		accessor.SetName(strings.Clone(read.name))
		accessor.SetResourceVersion(read.version)
	}
}

func unpackAll(from []any) []any {
	all := make([]any, len(from))
	for i := range from {
		all[i] = unpack(from[i])
	}
	return all
}

// informer packs what is stored, and unpacks what is read. It unpacks an event once for all
// handlers.
type informer struct {
	toolscache.SharedIndexInformer
	handlers

	kind     reflect.Type
	indexers toolscache.Indexers
	lately   lately
}

// lately are the objects that were unpacked last for the indexes: the store asks one index after
// the other for its values of the same object, before and after a change.
type lately struct {
	mu       sync.Mutex
	packed   [2]*object
	unpacked [2]any
	next     int
}

// unpack is unpack for a function that does not change the object.
func (l *lately) unpack(from any) any {
	o, ok := from.(*object)
	if !ok {
		return unpack(from)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.packed {
		if l.packed[i] == o {
			l.next = 1 - i
			return l.unpacked[i]
		}
	}
	i := l.next
	l.packed[i], l.unpacked[i], l.next = o, unpack(o), 1-i
	return l.unpacked[i]
}

func newInformer(inner toolscache.SharedIndexInformer, kind reflect.Type, indexers toolscache.Indexers) *informer {
	i := &informer{SharedIndexInformer: inner, kind: kind, indexers: maps.Clone(indexers)}
	i.feed, i.failure = inner.AddEventHandler(&i.handlers)
	return i
}

// SetTransform implements toolscache.SharedInformer: what the transform returns is packed.
func (i *informer) SetTransform(transform toolscache.TransformFunc) error {
	return i.SharedIndexInformer.SetTransform(func(from any) (any, error) { //nolint:wrapcheck // it is a decorator
		if _, packed := from.(*object); packed {
			return from, nil // the store of a list has transformed it already
		}
		if transform != nil {
			var err error
			if from, err = transform(from); err != nil {
				return nil, err
			}
		}
		return pack(i.kind, from)
	})
}

// AddEventHandler implements toolscache.SharedInformer.
func (i *informer) AddEventHandler(handler toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	return i.add(handler, i.SharedIndexInformer.GetStore())
}

// AddEventHandlerWithResyncPeriod implements toolscache.SharedInformer. The period is that of the
// informer.
func (i *informer) AddEventHandlerWithResyncPeriod(
	handler toolscache.ResourceEventHandler, _ time.Duration,
) (toolscache.ResourceEventHandlerRegistration, error) {
	return i.AddEventHandler(handler)
}

// AddEventHandlerWithOptions implements toolscache.SharedInformer. The options are those of the
// informer.
func (i *informer) AddEventHandlerWithOptions(
	handler toolscache.ResourceEventHandler, _ toolscache.HandlerOptions,
) (toolscache.ResourceEventHandlerRegistration, error) {
	return i.AddEventHandler(handler)
}

// RemoveEventHandler implements toolscache.SharedInformer.
func (i *informer) RemoveEventHandler(handle toolscache.ResourceEventHandlerRegistration) error {
	i.remove(handle)
	return nil
}

// AddIndexers implements toolscache.SharedIndexInformer. Index functions do not change objects.
func (i *informer) AddIndexers(indexers toolscache.Indexers) error {
	wrapped := toolscache.Indexers{}
	for name, values := range indexers {
		wrapped[name] = func(from any) ([]string, error) { return values(i.lately.unpack(from)) }
	}
	maps.Copy(i.indexers, indexers)
	return i.SharedIndexInformer.AddIndexers(wrapped) //nolint:wrapcheck // it is a decorator
}

// GetStore implements toolscache.SharedInformer.
func (i *informer) GetStore() toolscache.Store { return i.GetIndexer() }

// GetIndexer implements toolscache.SharedIndexInformer.
func (i *informer) GetIndexer() toolscache.Indexer {
	return indexer{i.SharedIndexInformer.GetIndexer(), i.indexers}
}

// indexer unpacks what is read.
type indexer struct {
	toolscache.Indexer

	indexers toolscache.Indexers
}

// GetIndexers implements toolscache.Indexer: the functions take unpacked objects.
func (i indexer) GetIndexers() toolscache.Indexers { return i.indexers }

// Get implements toolscache.Store.
func (i indexer) Get(like any) (any, bool, error) {
	found, there, err := i.Indexer.Get(like)
	return unpack(found), there, err
}

// GetByKey implements toolscache.Store.
func (i indexer) GetByKey(key string) (any, bool, error) {
	found, there, err := i.Indexer.GetByKey(key)
	return unpack(found), there, err
}

// List implements toolscache.Store.
func (i indexer) List() []any { return unpackAll(i.Indexer.List()) }

// Index implements toolscache.Indexer.
func (i indexer) Index(name string, like any) ([]any, error) {
	found, err := i.Indexer.Index(name, like)
	return unpackAll(found), err
}

// ByIndex implements toolscache.Indexer.
func (i indexer) ByIndex(name, value string) ([]any, error) {
	found, err := i.Indexer.ByIndex(name, value)
	return unpackAll(found), err
}
