// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// history is a random sequence of what users and operators do to a few clients, while managers come
// and go.
type history struct {
	random   *rand.Rand
	clients  []*v1alpha1.OAuth2Client
	managers []*process
	requests int
}

// TestRandomHistoriesEndWell replays histories by their seeds. A seed that ever failed stays in the
// list; HALLPASS_SEED adds one; HALLPASS_STEPS and HALLPASS_CLIENTS make them longer and wider. The
// last seed is new in each run, and the name of its test has it.
func TestRandomHistoriesEndWell(t *testing.T) {
	seeds := []uint64{1, 2}
	if given, err := strconv.ParseUint(os.Getenv("HALLPASS_SEED"), 10, 64); err == nil {
		seeds = append(seeds, given)
	}
	seeds = append(seeds, uint64(time.Now().UnixNano()))
	for i, seed := range seeds {
		managers := 1 + 2*(i%2) // one, and three at once without an election
		t.Run(fmt.Sprintf("seed %d with %d managers", seed, managers), func(t *testing.T) {
			run(t, seed, managers)
		})
	}
}

func run(t *testing.T, seed uint64, managers int) {
	t.Helper()
	steps, clients := world.Count(t, "HALLPASS_STEPS", 60), world.Count(t, "HALLPASS_CLIENTS", 6)
	proxy.Reset()
	h := &history{random: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // a history has to be the same again
	for range managers {
		h.managers = append(h.managers, startManager(t))
	}
	for i := range clients {
		c := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("history-%d-%d", seed, i)}}
		c.Spec.Rotation.Overlap = []v1alpha1.Duration{"0s", "1h"}[i%2]
		create(t, c)
		h.clients = append(h.clients, c)
	}
	for range steps {
		h.step(t)
		time.Sleep(time.Duration(h.random.IntN(40)) * time.Millisecond)
	}
	h.settle(t)
	for _, m := range h.managers {
		m.kill(t)
	}
}

// step does one thing.
func (h *history) step(t *testing.T) {
	t.Helper()
	i := h.random.IntN(len(h.clients))
	c := h.clients[i]
	switch h.random.IntN(8) {
	case 0, 1:
		h.requests++
		h.edit(t, c, func() { c.Annotations = map[string]string{v1alpha1.AnnotationRotate: strconv.Itoa(h.requests)} })
	case 2:
		must(t, client.IgnoreNotFound(cluster.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name}})))
	case 3:
		registered := registrationMeta(c)
		must(t, client.IgnoreNotFound(cluster.Delete(t.Context(), &corev1.Secret{ObjectMeta: registered})))
	case 4:
		h.edit(t, c, func() { c.Spec.Scopes = []v1alpha1.Scope{v1alpha1.Scope(fmt.Sprintf("s%d", h.random.IntN(9)))} })
	case 5: // deleted, and created again under the same name
		must(t, client.IgnoreNotFound(cluster.Delete(t.Context(), c)))
		again := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name}, Spec: c.Spec}
		create(t, again)
		h.clients[i] = again
	case 6: // a manager dies, another takes its place
		m := h.random.IntN(len(h.managers))
		h.managers[m].kill(t)
		h.managers[m] = startManager(t)
	case 7:
		h.edit(t, c, func() {
			c.Spec.State = []v1alpha1.ClientState{v1alpha1.ClientActive, v1alpha1.ClientSuspended}[h.random.IntN(2)]
		})
	}
}

// edit changes a client and tries again if the manager wrote in between.
func (h *history) edit(t *testing.T, c *v1alpha1.OAuth2Client, change func()) {
	t.Helper()
	must(t, installation.Wait(t.Context(), "the change is accepted", func() (bool, error) {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		change()
		return cluster.Update(t.Context(), c) == nil, nil
	}))
}

// settle waits until everything has come to rest and checks what has to be true then.
func (h *history) settle(t *testing.T) {
	t.Helper()
	for _, c := range h.clients {
		h.edit(t, c, func() { c.Spec.State = v1alpha1.ClientActive })
	}
	h.managers[0].quiet(t, func() bool {
		for _, c := range h.clients {
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
			if c.Status.ObservedGeneration != c.Generation || !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
				return false
			}
			if request := c.Annotations[v1alpha1.AnnotationRotate]; request != "" && c.Status.Rotation.HandledRequest != request && c.Status.Rotation.Message == "" {
				return false
			}
			if len(problems(t, operation{}, c, held{})) > 0 {
				return false
			}
		}
		return true
	}, func() string {
		for _, c := range h.clients {
			if found := problems(t, operation{}, c, held{}); len(found) > 0 {
				return fmt.Sprintf("%s: %v", c.Name, found)
			}
		}
		return "statuses are behind"
	})
}
