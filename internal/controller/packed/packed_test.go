// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package packed

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// kinds are those that the manager has in its caches.
func kinds() []metav1.Object {
	return []metav1.Object{
		&v1alpha1.OAuth2Client{}, &v1alpha1.OAuth2Token{}, &v1alpha1.OAuth2Resource{}, &v1alpha1.OAuth2Policy{},
		&v1alpha1.TokenRevocation{}, &v1alpha1.UsageReport{}, &corev1.Secret{}, &corev1.ConfigMap{}, &metav1.PartialObjectMetadata{},
	}
}

// fill sets every field of a value, or leaves some zero.
func fill(random *rand.Rand, v reflect.Value, sparse bool) {
	if sparse && random.IntN(3) == 0 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		texts := []string{`{"version":1,"clientID":"` + strings.Repeat(`a","uid":"`, 20) + `","`, "{" + strings.Repeat("\x01\n", 90), "x", known[random.IntN(len(known))], "3f0c8c1e-4d5a-4f0b-9d55-0a1b2c3d4e5f", fmt.Sprint(random.Uint64()), string(make([]byte, 300))}
		v.SetString(texts[random.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(random.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(random.Int64() >> (64 - v.Type().Bits()) >> random.IntN(v.Type().Bits()))
	case reflect.Uint8:
		v.SetUint(random.Uint64() & 0xff)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(random, v.Elem(), sparse)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(random, v.Index(0), sparse)
		fill(random, v.Index(1), sparse)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(random, key, false)
			fill(random, value, sparse)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		if v.Type() == timeType {
			v.Set(reflect.ValueOf(metav1.NewTime(time.Unix(random.Int64N(1<<33), random.Int64N(1e9)))))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "ManagedFields" { // which is left out
				fill(random, v.Field(i), sparse)
			}
		}
	default:
		panic(v.Type().String())
	}
}

// TestNoFieldIsLost packs and unpacks each kind with random contents in each field that it has.
func TestNoFieldIsLost(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	for _, example := range kinds() {
		kind := reflect.TypeOf(example).Elem()
		for i := range 300 {
			original := reflect.New(kind)
			fill(random, original.Elem(), i%2 == 1)
			packed, err := pack(kind, original.Interface())
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := packed.(*object); !ok {
				t.Fatalf("%s was not packed", kind)
			}
			if diff := cmp.Diff(original.Interface(), unpack(packed), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s (-packed +unpacked):\n%s", kind, diff)
			}
			key, err := toolscache.MetaNamespaceKeyFunc(packed)
			if want, _ := toolscache.MetaNamespaceKeyFunc(original.Interface()); err != nil || key != want {
				t.Errorf("the key of a packed %s is %q, %v; want %q", kind, key, err, want)
			}
		}
	}
}

// TestHandlers get what there is and then each event, unpacked, whenever they are added.
func TestHandlers(t *testing.T) {
	changes := watch.NewFake()
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Secret{*secret("a", "1")}}, nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return changes, nil },
	}
	var informers Informers
	i := informers.New(toolscache.ToListWatcherWithWatchListSemantics(source, noWatchList{}), &corev1.Secret{}, 0, toolscache.Indexers{
		toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc,
	})
	if err := i.SetTransform(nil); err != nil {
		t.Fatal(err)
	}
	byValue := func(o any) ([]string, error) {
		_, value, _ := strings.Cut(text(o), "=")
		return []string{value}, nil
	}
	if err := i.AddIndexers(toolscache.Indexers{"value": byValue}); err != nil {
		t.Fatal(err)
	}
	early, late, removed := make(log, 10), make(log, 10), make(log, 10)
	if _, err := i.AddEventHandler(early); err != nil {
		t.Fatal(err)
	}
	go i.RunWithContext(t.Context())
	early.wants(t, "add a=1 listed") // which may come before the informer is synced
	if !toolscache.WaitForCacheSync(t.Context().Done(), i.HasSynced) {
		t.Fatal("the informer is not synced")
	}
	if !informers.Absent(&corev1.Secret{}, types.NamespacedName{Namespace: "shop", Name: "b"}) ||
		informers.Absent(&corev1.Secret{}, types.NamespacedName{Namespace: "shop", Name: "a"}) ||
		informers.Absent(&corev1.ConfigMap{}, types.NamespacedName{Namespace: "shop", Name: "b"}) {
		t.Error("the wrong ones are absent")
	}
	registered, err := i.AddEventHandlerWithOptions(late, toolscache.HandlerOptions{})
	if err != nil || !toolscache.WaitForCacheSync(t.Context().Done(), registered.HasSynced) {
		t.Fatal(err, "or it is not synced")
	}
	late.wants(t, "add a=1 listed")
	handle, err := i.AddEventHandlerWithResyncPeriod(removed, 0)
	if err != nil {
		t.Fatal(err)
	}
	removed.wants(t, "add a=1 listed")
	if err := i.RemoveEventHandler(handle); err != nil {
		t.Fatal(err)
	}
	changes.Modify(secret("a", "2"))
	changes.Add(secret("b", "1"))
	changes.Delete(secret("a", "2"))
	for _, want := range []string{"update a=1 a=2", "add b=1", "delete a=2"} {
		early.wants(t, want)
		late.wants(t, want)
	}
	if len(removed) > 0 {
		t.Error("a handler that was removed gets events")
	}
	found, err := i.GetIndexer().ByIndex("value", "1")
	if diff := cmp.Diff([]any{secret("b", "1")}, found); diff != "" || err != nil {
		t.Errorf("by index: %v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([]types.NamespacedName{{Namespace: "shop", Name: "b"}}, informers.Names(&corev1.Secret{})); diff != "" {
		t.Error("(-want +got):\n", diff)
	}
	visited := 0
	if err := Each(t.Context(), &informers, func(*corev1.Secret) { visited++ }); err != nil || visited != 1 {
		t.Errorf("%d visited, %v", visited, err)
	}
}

// shared counts the objects that handlers get, and how often they are unpacked.
type shared struct {
	toolscache.ResourceEventHandlerFuncs

	mu   sync.Mutex
	got  int
	seen map[*corev1.Secret]bool
	// first is called at the first object.
	first func()
}

func (s *shared) OnAdd(o any, _ bool) {
	if s.first != nil {
		s.first()
		s.first = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	secret, _ := o.(*corev1.Secret)
	s.got++
	s.seen[secret] = true
}

// TestHandlersThatAreAddedAtOnceShareWhatIsUnpacked while another handler is being added.
func TestHandlersThatAreAddedAtOnceShareWhatIsUnpacked(t *testing.T) {
	const objects, handlers = 10, 8
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			list := &corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
			for n := range objects {
				list.Items = append(list.Items, *secret(fmt.Sprint(n), "1"))
			}
			return list, nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return watch.NewFake(), nil },
	}
	i := new(Informers).New(toolscache.ToListWatcherWithWatchListSemantics(source, noWatchList{}), &corev1.Secret{}, 0, toolscache.Indexers{})
	if err := i.SetTransform(nil); err != nil {
		t.Fatal(err)
	}
	go i.RunWithContext(t.Context())
	if !toolscache.WaitForCacheSync(t.Context().Done(), i.HasSynced) {
		t.Fatal("the informer is not synced")
	}
	others := &shared{seen: map[*corev1.Secret]bool{}}
	all, ok := i.(*informer)
	if !ok {
		t.Fatalf("it is a %T", i)
	}
	var adding sync.WaitGroup
	first := &shared{seen: map[*corev1.Secret]bool{}, first: func() {
		for range handlers {
			adding.Go(func() {
				if _, err := i.AddEventHandler(others); err != nil {
					t.Error(err)
				}
			})
		}
		for arrived := 0; arrived < handlers; goruntime.Gosched() {
			all.waiting.Lock()
			arrived = len(all.arriving)
			all.waiting.Unlock()
		}
	}}
	if _, err := i.AddEventHandler(first); err != nil {
		t.Fatal(err)
	}
	adding.Wait()
	if first.got != objects || others.got != handlers*objects || len(others.seen) != objects {
		t.Errorf("%d and %d objects are added, want %d and %d; %d are unpacked for the latter", first.got, others.got, objects, handlers*objects, len(others.seen))
	}
}

// TestEachVisitsEveryObjectAsItIs although they have the same memory one after the other.
func TestEachVisitsEveryObjectAsItIs(t *testing.T) {
	full := secret("a", "1")
	full.Labels, full.Type, full.OwnerReferences = map[string]string{"team": "a"}, "t", []metav1.OwnerReference{{Name: "o"}}
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Secret{*full, *secret("b", "2"), *secret("c", "3")}}, nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return watch.NewFake(), nil },
	}
	var informers Informers
	i := informers.New(toolscache.ToListWatcherWithWatchListSemantics(source, noWatchList{}), &corev1.Secret{}, 0, toolscache.Indexers{})
	if err := i.SetTransform(nil); err != nil {
		t.Fatal(err)
	}
	go i.RunWithContext(t.Context())
	visited, same := map[string]*corev1.Secret{}, map[*corev1.Secret]bool{}
	for range 5 { // in any order
		if err := Each(t.Context(), &informers, func(s *corev1.Secret) {
			visited[s.Name], same[s] = s.DeepCopy(), true
		}); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]*corev1.Secret{"a": full, "b": secret("b", "2"), "c": secret("c", "3")}
	if diff := cmp.Diff(want, visited, cmpopts.EquateEmpty()); diff != "" || len(same) > 5 {
		t.Errorf("%d objects are unpacked (-want +got):\n%s", len(same), diff)
	}
}

func TestNamesAreFoundByAnIndex(t *testing.T) {
	in := func(namespace, name string) corev1.Secret {
		return corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: "1"}}
	}
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Secret{in("shop", "a"), in("shop", "b"), in("orders", "a")}}, nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return watch.NewFake(), nil },
	}
	var informers Informers
	i := informers.New(toolscache.ToListWatcherWithWatchListSemantics(source, noWatchList{}), &corev1.Secret{}, 0, toolscache.Indexers{
		// as a cache of controller-runtime indexes
		"field:name": func(o any) ([]string, error) {
			secret, ok := unpack(o).(*corev1.Secret)
			if !ok {
				return nil, nil
			}
			return []string{"__all_namespaces/" + secret.Name, secret.Namespace + "/" + secret.Name}, nil
		},
	})
	if err := i.SetTransform(nil); err != nil {
		t.Fatal(err)
	}
	go i.RunWithContext(t.Context())
	informers.Await(&corev1.Secret{})
	for of, want := range map[[2]string][]string{
		{"shop", "a"}: {"shop/a"}, {"", "a"}: {"orders/a", "shop/a"}, {"", "b"}: {"shop/b"}, {"orders", "b"}: nil,
	} {
		names, err := informers.Indexed(&corev1.Secret{}, "name", of[0], of[1])
		var got []string
		for _, name := range names {
			got = append(got, name.String())
		}
		if slices.Sort(got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", of, got, err, want)
		}
	}
	if _, err := informers.Indexed(&corev1.Secret{}, "other", "", "a"); err == nil {
		t.Error("there is no such index, and no error")
	}
}

// TestAnObjectIsUnpackedOnceForAllIndexes as it was before an event, and as it is then.
func TestAnObjectIsUnpackedOnceForAllIndexes(t *testing.T) {
	changes := watch.NewFake()
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Secret{*secret("a", "1"), *secret("b", "1")}}, nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return changes, nil },
	}
	i := new(Informers).New(toolscache.ToListWatcherWithWatchListSemantics(source, noWatchList{}), &corev1.Secret{}, 0, toolscache.Indexers{})
	if err := i.SetTransform(nil); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	asked, unpacked := 0, map[*corev1.Secret]bool{}
	for n := range 4 {
		if err := i.AddIndexers(toolscache.Indexers{fmt.Sprint(n): func(o any) ([]string, error) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			secret, _ := o.(*corev1.Secret)
			unpacked[secret] = true
			return []string{string(secret.Data["v"])}, nil
		}}); err != nil {
			t.Fatal(err)
		}
	}
	events := make(log, 10)
	if _, err := i.AddEventHandler(events); err != nil {
		t.Fatal(err)
	}
	go i.RunWithContext(t.Context())
	listed := []string{<-events, <-events}
	slices.Sort(listed)
	if want := []string{"add a=1 listed", "add b=1 listed"}; !slices.Equal(listed, want) {
		t.Fatalf("got %q, want %q", listed, want)
	}
	changes.Modify(secret("b", "2"))
	events.wants(t, "update b=1 b=2")
	mu.Lock()
	defer mu.Unlock()
	// two when they are listed, and one of them again before the change
	if most := 2 + 2; len(unpacked) > most || asked < 4*(2+2) {
		t.Errorf("%d objects are unpacked for %d questions, want at most %d", len(unpacked), asked, most)
	}
	for n, want := range []int{1, 1, 1, 1} {
		if found, err := i.GetIndexer().ByIndex(fmt.Sprint(n), "2"); len(found) != want || err != nil {
			t.Errorf("index %d has %d objects, %v", n, len(found), err)
		}
	}
}

type noWatchList struct{}

func (noWatchList) IsWatchListSemanticsUnSupported() bool { return true }

func secret(name, value string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, ResourceVersion: value}, Data: map[string][]byte{"v": []byte(value)},
	}
}

// log is an event handler that writes down what it gets.
type log chan string

func (l log) wants(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-l:
		if got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	case <-time.After(time.Minute):
		t.Fatalf("no %q", want)
	}
}

func text(o any) string {
	secret, ok := o.(*corev1.Secret)
	if !ok {
		return fmt.Sprintf("%T", o)
	}
	return secret.Name + "=" + string(secret.Data["v"])
}

func (l log) OnAdd(o any, listed bool) {
	l <- "add " + text(o) + map[bool]string{true: " listed"}[listed]
}
func (l log) OnUpdate(before, after any) { l <- "update " + text(before) + " " + text(after) }
func (l log) OnDelete(o any)             { l <- "delete " + text(o) }
