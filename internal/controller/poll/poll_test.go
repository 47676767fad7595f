// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package poll

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// cluster is an API server that knows when it was asked by which namespace, and which objects were
// woken.
type cluster struct {
	client.Reader

	poller  *Poller
	waiting *Waiting

	mu      sync.Mutex
	objects map[types.NamespacedName]*metav1.PartialObjectMetadata
	failure error
	// restless has each answer differ from the one before.
	restless map[string]bool
	asked    map[string][]time.Time
	woken    map[string][]time.Time
}

// start runs a poller until the test ends; it is called in a bubble.
func start(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{
		objects: map[types.NamespacedName]*metav1.PartialObjectMetadata{}, restless: map[string]bool{},
		asked: map[string][]time.Time{}, woken: map[string][]time.Time{},
	}
	c.poller = New(c)
	c.waiting = c.poller.Of("OAuth2Client")
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = c.poller.Start(ctx) })
	running.Go(func() {
		for {
			select {
			case e := <-c.waiting.Woken:
				c.mu.Lock()
				c.woken[e.Object.GetNamespace()] = append(c.woken[e.Object.GetNamespace()], time.Now())
				c.mu.Unlock()
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return c
}

func (c *cluster) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked[key.Namespace] = append(c.asked[key.Namespace], time.Now())
	into, ok := o.(*metav1.PartialObjectMetadata)
	found := c.objects[key]
	switch {
	case !ok || into.Kind != "Secret":
		return errors.New("not the metadata of a Secret")
	case c.failure != nil:
		return c.failure
	case c.restless[key.Namespace]:
		into.UID = types.UID(strconv.Itoa(len(c.asked[key.Namespace])))
	case found == nil:
		return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
	default:
		*into = *found.DeepCopy()
	}
	return nil
}

func (c *cluster) locked(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// pass lets time pass, and what is due then be done.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the time of the bubble
	synctest.Wait()
}

func key(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

func (c *cluster) expect(namespace string, n int) {
	for i := range n {
		name := strconv.Itoa(i)
		c.waiting.Expect(key(namespace, name), Object{"Secret", name})
	}
}

// busiest is the largest number of instants within a second.
func busiest(all []time.Time) int {
	most, first := 0, 0
	for i, at := range all {
		for at.Sub(all[first]) >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func since(began time.Time, all []time.Time) []time.Duration {
	var seconds []time.Duration
	for _, at := range all {
		seconds = append(seconds, at.Sub(began).Truncate(time.Second))
	}
	return seconds
}

func TestAnObjectIsAskedForOftenAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, began := start(t), time.Now()
		c.expect("shop", 1)
		pass(15*time.Minute + time.Second)
		var want []time.Duration
		for at := Often; at <= OftenFor; at += Often {
			want = append(want, at)
		}
		for at := OftenFor + Seldom; at <= 15*time.Minute; at += Seldom {
			want = append(want, at)
		}
		if diff := cmp.Diff(want, since(began, c.asked["shop"])); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
	})
}

func TestNothingIsAskedWhileNothingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t)
		pass(time.Hour)
		c.expect("shop", 1)
		c.waiting.Expect(key("shop", "0"), Object{})
		var none *Waiting
		none.Expect(key("shop", "1"), Object{"Secret", "1"})
		pass(time.Hour)
		if len(c.asked) > 0 {
			t.Errorf("asked %v", c.asked)
		}
	})
}

func TestAChangeOfWhatIsWaitedForWakes(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*cluster, *metav1.PartialObjectMetadata)
		wakes  bool
	}{
		"nothing changes":                {func(*cluster, *metav1.PartialObjectMetadata) {}, false},
		"it is deleted":                  {func(c *cluster, _ *metav1.PartialObjectMetadata) { clear(c.objects) }, true},
		"it is made again":               {func(_ *cluster, o *metav1.PartialObjectMetadata) { o.UID = "2" }, true},
		"it may be read":                 {func(_ *cluster, o *metav1.PartialObjectMetadata) { o.Labels[v1alpha1.LabelCredentials] = "true" }, true},
		"it names an owner":              {func(_ *cluster, o *metav1.PartialObjectMetadata) { o.Annotations[v1alpha1.AnnotationClient] = "0" }, true},
		"it loses its owner":             {func(_ *cluster, o *metav1.PartialObjectMetadata) { o.OwnerReferences = nil }, true},
		"something else of it changes":   {func(_ *cluster, o *metav1.PartialObjectMetadata) { o.ResourceVersion, o.Labels["team"] = "9", "blue" }, false},
		"the API server does not answer": {func(c *cluster, _ *metav1.PartialObjectMetadata) { c.failure = errors.New("no answer") }, false},
		"it waits for another object by now": {func(c *cluster, _ *metav1.PartialObjectMetadata) {
			c.waiting.Expect(key("shop", "0"), Object{"Secret", "9"})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t)
				there := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
					UID: "1", Labels: map[string]string{}, Annotations: map[string]string{}, OwnerReferences: []metav1.OwnerReference{{UID: "3"}},
				}}
				w.locked(func() { w.objects[key("shop", "0")] = there })
				w.expect("shop", 1)
				pass(time.Minute)
				if len(w.woken["shop"]) != 1 {
					t.Fatalf("the first answer woke %d times, want once", len(w.woken["shop"]))
				}
				w.mu.Lock()
				c.change(w, there)
				w.mu.Unlock()
				w.expect("shop", 0) // the read that follows
				pass(2 * Often)
				if woken := len(w.woken["shop"]) > 1; woken != c.wakes {
					t.Errorf("woken: %t, want %t", woken, c.wakes)
				}
			})
		})
	}
}

// TestAThousandWaitsOfOneNamespaceDelayNoOther: the bulk is there first, and each of its answers
// wakes an object, which makes requests too.
func TestAThousandWaitsOfOneNamespaceDelayNoOther(t *testing.T) {
	for name, restless := range map[string]bool{"nothing changes": false, "each answer is another one": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := start(t)
				c.locked(func() { c.restless["bulk"] = restless })
				c.expect("bulk", 1000)
				pass(time.Minute)
				c.locked(func() {
					c.objects[key("shop", "0")] = &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{UID: "1"}}
				})
				c.expect("shop", 1)
				pass(time.Minute)
				deleted := time.Now()
				c.mu.Lock()
				clear(c.objects)
				c.mu.Unlock()
				pass(time.Minute)
				woken := c.woken["shop"]
				if len(woken) != 2 || woken[1].Sub(deleted) > Often+2*time.Second {
					t.Errorf("deleted at %s, woken at %s", deleted, woken)
				}
				var asked []time.Time
				for _, of := range c.asked {
					asked = append(asked, of...)
				}
				looks := len(c.woken["bulk"]) + len(woken)
				if most := busiest(c.asked["bulk"]); most > PerSecond || most < PerSecond/(1+lookSlots) {
					t.Errorf("%d requests for the bulk within a second, at most %d", most, PerSecond)
				}
				if total := len(asked) + lookSlots*looks; total > 3*60*PerSecond+lookSlots {
					t.Errorf("%d requests in three minutes, %d looks included, want at most %d", total, looks, 3*60*PerSecond)
				}
			})
		})
	}
}

func TestTwoKindsOfOneNameWaitForThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t)
		tokens := c.poller.Of("OAuth2Token")
		c.expect("shop", 1)
		tokens.Expect(key("shop", "0"), Object{"Secret", "0"})
		tokens.Expect(key("shop", "0"), Object{})
		pass(Often + time.Second)
		if len(c.asked["shop"]) != 1 {
			t.Errorf("asked %d times, want once for the client", len(c.asked["shop"]))
		}
	})
}

func TestWhatIsAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		condition *metav1.Condition
		want      Object
	}{
		"nothing is in the way":                  {nil, Object{}},
		"a Secret of that name is somebody's":    {new(v1alpha1.SecretConflict("x")), Object{"Secret", "x"}},
		"the Secret of a token is somebody's":    {new(v1alpha1.TokenSecretConflict("x")), Object{"Secret", "x"}},
		"a Secret is not there":                  {new(v1alpha1.SecretNotFound("x")), Object{"Secret", "x"}},
		"a Secret may not be read":               {new(v1alpha1.SecretNotLabelled("x")), Object{"Secret", "x"}},
		"a ConfigMap of that name is somebody's": {new(v1alpha1.ConfigMapConflict("x")), Object{"ConfigMap", "x"}},
		"a watch shows it":                       {new(v1alpha1.SecretTooWeak("x", "is short")), Object{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Expected("x", c.condition); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			// what a watch shows beside it does not hide it
			if got := Expected("x", new(v1alpha1.SecretTooWeak("x", "is short")), c.condition); got != c.want {
				t.Errorf("behind another condition: %+v, want %+v", got, c.want)
			}
		})
	}
}
