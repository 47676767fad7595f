// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package availability_test

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/faults"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// A replica remembers the tokens that it has made or verified, so many in each of two generations.
// What that takes goes up and down with a period of one generation, so that only the least of such
// a period can be compared.
const (
	remembered = 8 << 10
	// tokensSeldom is how often callers use a token, so that in a few seconds there are few of
	// them.
	tokensSeldom = 30
)

// figures are what must not grow.
type figures struct{ heap, goroutines, files, objects float64 }

// TestNothingGrows keeps a replica under mixed load while its way to the API server breaks in
// another way every now and then, and clients come and go. Afterwards it has the heap, the
// goroutines and the open files that it had before, and so has the registry its objects. make soak
// is the half hour.
func TestNothingGrows(t *testing.T) {
	length, every := world.Duration(t, "HALLPASS_SOAK", 0), world.Duration(t, "HALLPASS_FAULT_EVERY", time.Second)
	proxy, err := faults.NewProxy(plane.AdminConfig())
	must(t, err)
	t.Cleanup(proxy.Close)
	config, err := plane.ServiceAccountConfig(t.Context(), installation.SystemNamespace, installation.TokenServerAccount)
	must(t, err)
	kubeconfig, err := proxy.Kubeconfig(t.TempDir(), config)
	must(t, err)
	r := newReplica(t, "v1.0.0", func(r *replica) { r.kubeconfig = kubeconfig })
	r.waitReady(t)

	full := length > 0
	// what is made once is made now
	warm := startLoad(t, r.address, manner{perWay: 4, uses: tokensSeldom, roots: trusted(t)})
	warm.goOn(t, 3*requestsAFault, min(length/3, time.Minute))
	churn(t, "warm")
	warm.stop(t)
	if full {
		fetchMany(t, r, 2*remembered)
	}
	before := settled(t, r, full)

	load := startLoad(t, r.address, manner{perWay: 4, uses: tokensSeldom, pause: betweenSoaked(full), roots: trusted(t)})
	happened := map[string]int{}
	for n, end := 0, time.Now().Add(length); n < len(troubles) || time.Now().Before(end); n++ {
		fault := troubles[n%len(troubles)]
		fault.begin(proxy)
		load.goOn(t, requestsAFault, every/2)
		fault.end(proxy)
		churn(t, fmt.Sprintf("churn-%d", n))
		load.goOn(t, requestsAFault, every/2)
		happened[fault.name]++
	}
	load.stop(t)
	eventually(t, "the replica hears from the API server again", func() bool { return r.metric(t, "hallpass_apiserver_silence_seconds") < 90 })
	var after figures
	var grown []string
	more := func() bool {
		after = settled(t, r, full)
		grown = after.beyond(before, full)
		return len(grown) == 0
	}
	if full { // it has read whole periods
		more()
	} else if err := installation.Wait(t.Context(), "nothing has grown", func() (bool, error) { return more(), nil }); err != nil {
		t.Error(err)
	}
	t.Logf("faults: %v; before %+v, after %+v", happened, before, after)
	for _, what := range grown {
		t.Error(what)
	}
}

// requestsAFault is how many requests there are at least while the way is broken in one way, and
// again when it is mended.
const requestsAFault = 500

// goOn waits until a load has sent so many more requests, and for so long.
func (l *load) goOn(t *testing.T, requests int64, d time.Duration) {
	t.Helper()
	wanted := l.sent.Load() + requests
	pause(t.Context(), d)
	eventually(t, "the load goes on", func() bool { return l.sent.Load() >= wanted })
}

// beyond returns what is not as it was before.
func (f figures) beyond(before figures, full bool) (grown []string) {
	slack := 0.0
	if !full {
		slack = 2 << 20 // of what is made by the first load of a process
	}
	for name, f := range map[string]struct{ before, after, slack float64 }{
		"heap": {before.heap, f.heap, slack},
		// of connections to the API server that are just being renewed
		"goroutines": {before.goroutines, f.goroutines, 3},
		"open files": {before.files, f.files, 2},
		"objects":    {before.objects, f.objects, 0},
	} {
		if f.after > f.before*1.05+f.slack || f.after < f.before*0.95-f.slack {
			grown = append(grown, fmt.Sprintf("%s: %.0f before, %.0f after", name, f.before, f.after))
		}
	}
	return grown
}

// betweenSoaked is what callers wait between two requests: half an hour needs no more than some
// hundred a second.
func betweenSoaked(full bool) time.Duration {
	if full {
		return 20 * time.Millisecond
	}
	return 0
}

// trouble is what happens to the way to the API server.
type trouble struct {
	name       string
	begin, end func(*faults.Proxy)
}

var troubles = []trouble{
	{"the API server answers 503", func(p *faults.Proxy) { p.SetRefuse(true) }, func(p *faults.Proxy) { p.SetRefuse(false) }},
	{"watches say nothing", (*faults.Proxy).Freeze, (*faults.Proxy).Thaw},
	{"answers are slow", func(p *faults.Proxy) { p.SetDelay(300 * time.Millisecond) }, func(p *faults.Proxy) { p.SetDelay(0) }},
	{"connections break", (*faults.Proxy).Break, func(*faults.Proxy) {}},
}

// churn makes a client and deletes it again, with all that hangs on it.
func churn(t *testing.T, name string) {
	t.Helper()
	_, err := shared.NewCaller(t.Context(), namespace, name)
	must(t, err)
	must(t, cluster.Delete(t.Context(), &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}))
}

// settled is what the replica takes once the load is gone: the least of several looks, because
// connections end a moment late and the garbage collector looks now and then. In full it is the
// least of a whole period of the tokens that are remembered.
func settled(t *testing.T, r *replica, full bool) figures {
	t.Helper()
	steps := 1
	if full {
		steps = 9
	}
	least := figures{math.Inf(1), math.Inf(1), math.Inf(1), 0}
	for range steps {
		if full {
			fetchMany(t, r, remembered/8)
		}
		collections := r.metric(t, "go_gc_duration_seconds_count")
		caller := newCall(t, r.address)
		eventually(t, "the garbage collector has looked three times, and deleted clients are gone", func() bool {
			for range 200 { // makes garbage
				_ = caller.get("/oauth2/jwks")
			}
			return r.metric(t, "go_gc_duration_seconds_count") >= collections+3 && !leftovers(t)
		})
		caller.close()
		least.heap = min(least.heap, r.metric(t, "go_gc_heap_live_bytes"))
		for range 20 { // connections that were closed are gone in a moment
			least.goroutines = min(least.goroutines, r.metric(t, "go_goroutines"))
			least.files = min(least.files, r.metric(t, "process_open_fds"))
			pause(t.Context(), 50*time.Millisecond)
		}
	}
	least.objects = objects(t)
	return least
}

// fetchMany fetches that many tokens.
func fetchMany(t *testing.T, r *replica, n int) {
	t.Helper()
	const workers = 4
	var running sync.WaitGroup
	for i := range workers {
		c := newCall(t, r.address)
		running.Go(func() {
			for range n / workers {
				if _, err := c.token(callers[i%len(callers)]); err != nil {
					t.Error(err)
					return
				}
			}
			c.close()
		})
	}
	running.Wait()
}

// objects is how many there are in the registry and the namespace of the callers.
func objects(t *testing.T) float64 {
	t.Helper()
	n := 0
	for _, namespace := range []string{installation.RegistryNamespace, namespace} {
		for _, list := range []client.ObjectList{&corev1.SecretList{}, &v1alpha1.OAuth2ClientList{}, &v1alpha1.TokenRevocationList{}} {
			must(t, cluster.List(t.Context(), list, client.InNamespace(namespace)))
			n += meta.LenList(list)
		}
	}
	return float64(n)
}

// leftovers reports whether a client that was deleted has left something.
func leftovers(t *testing.T) bool {
	t.Helper()
	var clients v1alpha1.OAuth2ClientList
	must(t, cluster.List(t.Context(), &clients))
	var registrations corev1.SecretList
	must(t, cluster.List(t.Context(), &registrations, client.InNamespace(installation.RegistryNamespace), client.MatchingFields{"type": "hallpass.dev/registration"}))
	return len(registrations.Items) != len(clients.Items)
}
