// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

func aged(name string, seconds int) client.Object {
	return &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name, CreationTimestamp: metav1.NewTime(time.Unix(int64(seconds), 0)),
	}}
}

// TestPlacesAreThoseOfAList whatever is created and deleted, and whatever the limit becomes.
func TestPlacesAreThoseOfAList(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	places := places{followed: true}
	objects := map[string]client.Object{}
	list := func() ([]client.Object, error) { return slices.Collect(maps.Values(objects)), nil }
	limit := 5
	for i := range 5000 {
		name := fmt.Sprintf("c-%d", random.IntN(20))
		switch o := objects[name]; {
		case o != nil:
			delete(objects, name)
			places.deleted(o)
		default:
			objects[name] = aged(name, random.IntN(3))
			places.created(objects[name])
		}
		if i%500 == 0 {
			limit = random.IntN(20)
		}
		for _, o := range objects {
			before := 0
			for _, other := range objects {
				if byAge(other, o) < 0 {
					before++
				}
			}
			if beyond, err := places.beyond(o, limit, list); err != nil || beyond != (before >= limit) {
				t.Fatalf("%s with %d before it and a limit of %d: beyond %t, %v", o.GetName(), before, limit, beyond, err)
			}
		}
	}
}

// TestManyObjectsBeyondALimitTakeOneList however many are created and deleted.
func TestManyObjectsBeyondALimitTakeOneList(t *testing.T) {
	places := places{followed: true}
	lists := 0
	objects := []client.Object{aged("first", 1)}
	list := func() ([]client.Object, error) { lists++; return slices.Clone(objects), nil }
	for i := range 1000 {
		o := aged(fmt.Sprintf("c-%d", i), 2)
		objects = append(objects, o)
		places.created(o)
		if beyond, err := places.beyond(o, 1, list); err != nil || !beyond {
			t.Fatal(beyond, err)
		}
	}
	for _, o := range objects[1:] {
		places.deleted(o)
	}
	if beyond, err := places.beyond(objects[0], 1, list); err != nil || beyond || lists != 1 {
		t.Errorf("%d lists, want 1; the first one is beyond: %t, %v", lists, beyond, err)
	}
}

// TestFewObjectsBelowALimitTakeOneList as long as there can be no more than the limit.
func TestFewObjectsBelowALimitTakeOneList(t *testing.T) {
	places, lists := places{followed: true}, 0
	var objects []client.Object
	for i := range 100 {
		o := aged(fmt.Sprintf("c-%d", i), i)
		objects = append(objects, o)
		places.created(o)
		beyond, err := places.beyond(o, 102, func() ([]client.Object, error) { lists++; return slices.Clone(objects), nil })
		if err != nil || beyond {
			t.Fatal(beyond, err)
		}
	}
	if lists != 1 {
		t.Errorf("%d lists, want 1", lists)
	}
}

// TestAChangeDuringAListIsNotForgotten: what was listed before it is of no use afterwards.
func TestAChangeDuringAListIsNotForgotten(t *testing.T) {
	places := places{followed: true}
	older, later := aged("older", 1), aged("later", 2)
	beyond, err := places.beyond(later, 1, func() ([]client.Object, error) {
		places.created(older)
		return []client.Object{later}, nil
	})
	if err != nil || beyond {
		t.Fatal(beyond, err)
	}
	beyond, err = places.beyond(later, 1, func() ([]client.Object, error) { return []client.Object{older, later}, nil })
	if err != nil || !beyond {
		t.Errorf("the older one, which came meanwhile, was forgotten: %t, %v", beyond, err)
	}
}

// TestAChangeInAnotherNamespaceCostsNoList however often the other one creates and deletes.
func TestAChangeInAnotherNamespaceCostsNoList(t *testing.T) {
	places, lists := places{followed: true}, 0
	own, other := aged("own", 1), aged("other", 1)
	other.SetNamespace("warehouse")
	for range 100 {
		beyond, err := places.beyond(own, 1, func() ([]client.Object, error) {
			lists++
			places.created(other)
			places.deleted(other)
			return []client.Object{own}, nil
		})
		if err != nil || beyond {
			t.Fatal(beyond, err)
		}
	}
	if lists != 1 || len(places.listing) != 0 {
		t.Errorf("%d lists, want 1; %d are on record as running, want none", lists, len(places.listing))
	}
}
