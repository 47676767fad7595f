// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/inventory"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// small has room for 100 bytes: 40 in a namespace, of which 10 are guaranteed, to two namespaces.
var small = Bounds{All: 100, Namespace: 40, Guaranteed: 10, Reserved: 20}

// filled has stored one record a namespace, named as the namespace.
func filled(bounds Bounds, held map[string]int) *Room {
	r := NewRoom(bounds)
	for namespace, weight := range held {
		r.settle(namespace, namespace, weight)
	}
	return r
}

func TestWhatARecordMayWeigh(t *testing.T) {
	for name, c := range map[string]struct {
		held              map[string]int
		record, namespace string
		want              int
	}{
		"the first record":                                 {nil, "new", "a", 40},
		"beside another record of its namespace":           {map[string]int{"a": 15}, "new", "a", 25},
		"a record that grows":                              {map[string]int{"a": 15}, "a", "a", 40},
		"of a namespace that has all it may have":          {map[string]int{"a": 40}, "new", "a", 0},
		"a record of a namespace that has all it may have": {map[string]int{"a": 40}, "a", "a", 40},
		"a record of a namespace that has more":            {map[string]int{"a": 50}, "a", "a", 50},
		"where something is lent":                          {map[string]int{"a": 40, "b": 30}, "new", "c", 30},
		"where little is left to lend":                     {map[string]int{"a": 40, "b": 40, "d": 15}, "new", "c", 5},
		"where all is lent, and nothing was guaranteed":    {map[string]int{"a": 40, "b": 40, "d": 20}, "new", "c", 0},
		"what is guaranteed where all else is lent":        {map[string]int{"a": 50, "b": 50}, "new", "b", 0},
		"another namespace where more than all is lent":    {map[string]int{"a": 200}, "new", "b", 10},
		"within what is guaranteed, where all is lent":     {map[string]int{"a": 90, "b": 4}, "new", "b", 6},
		"more namespaces than something is reserved for":   {map[string]int{"a": 8, "b": 8, "c": 4}, "new", "d", 40},
		"the name of a record of another namespace":        {map[string]int{"a": 40, "b": 40}, "a", "c", 20},
	} {
		t.Run(name, func(t *testing.T) {
			r := filled(small, c.held)
			allowance, err := r.Allowance(t.Context(), c.record, c.namespace)
			if err != nil || allowance.Record != c.want || allowance.Namespace != c.held[c.namespace] {
				t.Errorf("%+v (%v), want %d", allowance, err, c.want)
			}
			if !allowance.Fits(c.want) || allowance.Fits(c.want+1) {
				t.Error("it fits where it is not allowed, or the other way round")
			}
			if r.take(c.record, c.namespace, c.want+1, false) || !r.take(c.record, c.namespace, c.want, false) {
				t.Error("what is taken is not what is allowed")
			}
		})
	}
}

// What is guaranteed to a namespace is there, whatever others take before it.
func TestOneNamespaceTakesNothingThatIsGuaranteedToAnother(t *testing.T) {
	r := NewRoom(small)
	for i := range 1000 {
		r.take(fmt.Sprint(i), fmt.Sprint("hostile-", i%10), 3, false)
	}
	if taken := r.within + r.beyond; taken < 80 || taken > small.All {
		t.Fatalf("%d are taken", taken)
	}
	r = NewRoom(small)
	for i := range 1000 {
		r.take(fmt.Sprint(i), "hostile", 3, false)
	}
	for i := range 100 {
		r.take(fmt.Sprint("second", i), "second", 3, false)
	}
	if !r.take("a", "honest", small.Guaranteed, false) {
		t.Error("an honest namespace has nothing of what is guaranteed")
	}
}

func TestTheShippedBoundsGuaranteeWhatTheySay(t *testing.T) {
	b := BoundsOf(registration.MaxRecords, registration.MaxNamespaceRecords)
	r := NewRoom(b)
	for i := range 10 {
		for n, taken := 0, true; taken; n++ {
			taken = r.take(fmt.Sprint(i, "-", n), fmt.Sprint("hostile-", i), 16<<10, false)
		}
	}
	for i := range b.Reserved/b.Guaranteed - 10 {
		if !r.take(fmt.Sprint("honest-", i), fmt.Sprint("honest-", i), b.Guaranteed, false) {
			t.Fatalf("honest namespace %d has nothing of what is guaranteed", i)
		}
	}
	if taken := r.within + r.beyond; taken > b.All {
		t.Errorf("%d are taken, at most %d", taken, b.All)
	}
	const clients, ordinary = registration.MaxClients, 117
	r = NewRoom(b)
	for i := range clients {
		if !r.take(fmt.Sprint(i), fmt.Sprint("team-", i%50), ordinary, false) {
			t.Fatalf("client %d does not fit", i)
		}
	}
}

func TestWhatIsCountedOfARecord(t *testing.T) {
	r := NewRoom(small)
	is := func(what string, want map[string]int) {
		t.Helper()
		if diff := cmp.Diff(want, r.held); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		within, beyond := 0, 0
		for held := range maps.Values(r.held) {
			within, beyond = within+min(held, small.Guaranteed), beyond+max(0, held-small.Guaranteed)
		}
		if r.within != within || r.beyond != beyond {
			t.Errorf("%s: %d within and %d beyond, want %d and %d", what, r.within, r.beyond, within, beyond)
		}
	}
	r.take("x", "a", 12, false)
	is("before it is written", map[string]int{"a": 12})
	r.written("x", "a", 12, errors.New("refused"))
	is("after a failure", map[string]int{})
	r.take("x", "a", 12, false)
	r.settle("x", "a", 12)
	r.written("x", "a", 12, nil)
	is("after the write", map[string]int{"a": 12})
	r.take("x", "a", 5, false)
	is("until it is smaller", map[string]int{"a": 12})
	r.written("x", "a", 5, nil)
	is("once it is smaller", map[string]int{"a": 5})
	r.take("x", "b", 7, false)
	is("when another namespace takes its name", map[string]int{"b": 7})
	r.settle("x", "a", 0)
	is("when the cache learns that the former record is gone", map[string]int{"b": 7})
	r.written("x", "b", 7, nil)
	r.settle("x", "b", 0)
	is("after its deletion", map[string]int{})
	r.take("x", "a", 99, true)
	is("a forced one", map[string]int{"a": 99})
}

func TestWaitersAreWokenOnceThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := filled(small, map[string]int{"a": 40, "b": 38})
		woken := r.Woken("OAuth2Client")
		go func() { _ = r.Start(t.Context()) }()
		var got []string
		go func() {
			for event := range woken {
				got = append(got, event.Object.GetNamespace()+"/"+event.Object.GetName())
			}
		}()
		wait := func(namespace, name string, weight int) {
			if !r.Wait("OAuth2Client", types.NamespacedName{Namespace: namespace, Name: name}, namespace+"."+name, weight) {
				t.Errorf("%s/%s does not wait", namespace, name)
			}
		}
		is := func(what string, want ...string) {
			t.Helper()
			time.Sleep(Gather + 1) //nolint:forbidigo // of the bubble
			synctest.Wait()
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
			got = nil
		}
		wait("a", "first", 3)
		wait("a", "second", 3)
		wait("a", "large", 30)
		wait("b", "one", 10)
		wait("b", "deleted", 3)
		r.Done("OAuth2Client", types.NamespacedName{Namespace: "b", Name: "deleted"})
		is("while there is no room")
		r.settle("a", "a", 35)
		is("room for one of two in a namespace", "a/first")
		r.settle("a.first", "a", 3)
		r.settle("b", "b", 20)
		is("room in another namespace", "b/one")
		r.settle("a", "a", 0)
		is("room for all", "a/large", "a/second")
		if len(r.waiting) != 0 {
			t.Errorf("%v wait", r.waiting)
		}
		if r.Wait("OAuth2Client", types.NamespacedName{Namespace: "c", Name: "c"}, "c.c", 1) {
			t.Error("an object waits although there is room")
		}
		close(woken)
	})
}

// An object that was woken may not take its room: others are looked for again.
func TestWaitersAreLookedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := filled(small, map[string]int{"a": 40})
		woken := r.Woken("OAuth2Token")
		go func() { _ = r.Start(t.Context()) }()
		for _, name := range []string{"first", "second"} {
			r.Wait("OAuth2Token", types.NamespacedName{Namespace: "a", Name: name}, name, 30)
		}
		r.settle("a", "a", 0)
		for _, want := range []string{"first", "second"} {
			if event := <-woken; event.Object.GetName() != want {
				t.Errorf("%s is woken, want %s", event.Object.GetName(), want)
			}
		}
	})
}

func TestARecordWithoutRoomIsNotWritten(t *testing.T) {
	c := fake.NewClientBuilder().Build()
	r := NewRoom(Bounds{All: 1000, Namespace: 200, Guaranteed: 150, Reserved: 500})
	write := func(stored *corev1.Secret, namespace, name string, scopes int, forced bool) (*corev1.Secret, error) {
		client := oauth2.Client{
			ID: namespace + "." + name, Namespace: namespace, Name: name, UID: "u-" + name, Tokens: oauth2.TokenForm{Lifetime: oauth2.DefaultTokenLifetime},
			Scopes: slices.Repeat([]string{strings.Repeat("s", 9)}, scopes),
		}
		data, err := registration.Encode(registration.Registration{Client: client})
		if err != nil {
			t.Fatal(err)
		}
		return Write(t.Context(), c, stored, Record{
			NamespacedName: types.NamespacedName{Namespace: "registry", Name: registration.SecretName(client.ID)}, Of: "client " + client.ID,
			Type: registration.SecretType, Annotations: map[string]string{v1alpha1.AnnotationClientNamespace: namespace, v1alpha1.AnnotationClient: name},
			Data: data, Room: r, Forced: forced,
		})
	}
	first, err := write(nil, "shop", "first", 8, false)
	if err != nil {
		t.Fatal(err)
	}
	if stored, err := write(nil, "shop", "second", 8, false); !errors.Is(err, ErrNoRoom) || stored != nil {
		t.Errorf("a second record: %v", err)
	}
	if _, err := write(nil, "other", "first", 8, false); err != nil {
		t.Errorf("a record of another namespace: %v", err)
	}
	stored, err := write(first, "shop", "first", 20, false)
	if !errors.Is(err, ErrNoRoom) || stored != first {
		t.Errorf("a record that grows: %v", err)
	}
	if first, err = write(first, "shop", "first", 20, true); err != nil {
		t.Errorf("a forced record: %v", err)
	}
	if _, err = write(first, "shop", "first", 1, false); err != nil {
		t.Errorf("a record that becomes smaller: %v", err)
	}
	if _, err := write(nil, "shop", "second", 1, false); !errors.Is(err, ErrNoRoom) {
		t.Errorf("a second record of the least weight: %v", err) // both weigh 117
	}
	var written corev1.SecretList
	if err := c.List(t.Context(), &written); err != nil || len(written.Items) != 2 {
		t.Errorf("%d records are stored (%v)", len(written.Items), err)
	}
}

// A record is counted for the namespace that its annotations name.
func TestTheNamespaceOfARecord(t *testing.T) {
	for annotation, want := range map[string]string{
		v1alpha1.AnnotationClientNamespace: "shop", v1alpha1.AnnotationResourceNamespace: "shop", v1alpha1.AnnotationTokenNamespace: "shop", "another": "",
	} {
		secret := corev1.Secret{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{annotation: "shop"}}}
		if got := namespaceOf(secret.Annotations); got != want {
			t.Errorf("%s: %q, want %q", annotation, got, want)
		}
	}
}

// The records that the cache had at first are counted before anything is allowed.
func TestRecordsAreCountedAsTheCacheBringsThem(t *testing.T) {
	informers := &informertest.FakeInformers{}
	informer, err := informers.FakeInformerFor(t.Context(), &corev1.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	r := NewRoom(small)
	if err := r.Follow(t.Context(), informers, "registry"); err != nil {
		t.Fatal(err)
	}
	synced := r.synced
	r.synced = func() bool { return false }
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Allowance(ended, "x", "shop"); !errors.Is(err, context.Canceled) {
		t.Errorf("something is allowed before the records are counted: %v", err)
	}
	r.synced = synced
	record := func(namespace, name, owner string, size int) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{v1alpha1.AnnotationClientNamespace: owner}},
			Data:       map[string][]byte{"unreadable": make([]byte, size)},
		}
	}
	is := func(what string, want int) {
		t.Helper()
		if allowance, err := r.Allowance(t.Context(), "new", "shop"); err != nil || allowance.Namespace != want {
			t.Errorf("%s: %+v (%v), want %d", what, allowance, err, want)
		}
	}
	first := record("registry", "first", "shop", 7)
	informer.Add(first)
	informer.Add(record("registry", "second", "shop", 5))
	informer.Add(record("registry", "another", "other", 5))
	informer.Add(record("registry", "keys", "", 5))
	informer.Add(record("shop", "of-a-user", "shop", 5))
	is("after five Secrets", 12)
	informer.Update(first, record("registry", "first", "shop", 3))
	is("after a change", 8)
	informer.Delete(first)
	is("after a deletion", 5)
}

func TestTheRoomReportsTheNamespacesThatHoldTheMost(t *testing.T) {
	r := NewRoom(small)
	for i, namespace := range []string{"a", "b", "c", "b"} {
		r.take(fmt.Sprint(i), namespace, 1+i, false)
	}
	if held, limit := r.Bytes(); held != 10 || limit != small.All {
		t.Errorf("%d of %d bytes are held, want 10 of %d", held, limit, small.All)
	}
	want := []inventory.NamespaceBytes{{Namespace: "b", Bytes: 6}, {Namespace: "c", Bytes: 3}}
	if diff := cmp.Diff(want, r.Heaviest(2)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if all := r.Heaviest(10); len(all) != 3 {
		t.Errorf("%d namespaces: %v", len(all), all)
	}
}
