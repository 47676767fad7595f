// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package poll asks the API server by name for the objects that other objects wait for and no watch
// shows: Secrets that are not of our type and ConfigMaps without our label. The manager may read
// them, and holds none of them in memory. While nothing waits, nothing is asked.
package poll

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/fair"
)

// An object is requested once in Often for OftenFor, and once in Seldom after that.
const (
	Often    = 5 * time.Second
	OftenFor = 10 * time.Minute
	Seldom   = time.Minute
)

const (
	// PerSecond is how many requests are made in a second for all that wait. Namespaces take
	// turns.
	PerSecond = 20
	slot      = time.Second / PerSecond
	// lookSlots are for the requests of an object that is woken: it reads its owner, what it
	// waits for, and the owner of that.
	lookSlots = 3
	workers   = 4
	timeout   = 5 * time.Second
)

// Object is an object that another one of its namespace waits for. The zero Object is none.
type Object struct{ Kind, Name string }

// Expected is the object of that name that an object waits for by the first of its conditions that
// names one. A nil condition names none.
func Expected(name string, conditions ...*metav1.Condition) Object {
	for _, condition := range conditions {
		if condition == nil {
			continue
		}
		switch condition.Reason {
		case v1alpha1.ReasonSecretConflict, v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonSecretNotLabelled:
			return Object{"Secret", name}
		case v1alpha1.ReasonConfigMapConflict:
			return Object{"ConfigMap", name}
		}
	}
	return Object{}
}

// Poller asks. It is a Runnable of the manager.
type Poller struct {
	live  client.Reader
	queue workqueue.TypedDelayingInterface[reconcile.Request]

	mu    sync.Mutex
	waits map[reconcile.Request]*wait
	// free is when the next request may be made.
	free time.Time
}

// wait is that an object waits for another one.
type wait struct {
	object types.NamespacedName
	of     *Waiting
	on     Object
	since  time.Time
	// answer is the last one, if asked.
	answer string
	asked  bool
}

// New returns a Poller that asks the API server itself.
func New(live client.Reader) *Poller {
	return &Poller{live: live, queue: fair.NewQueue("poll"), waits: map[reconcile.Request]*wait{}}
}

// Waiting are the objects of one kind that wait. A nil Waiting asks for nothing.
type Waiting struct {
	poller *Poller
	kind   string
	// Woken gets the objects for which something has changed.
	Woken chan event.GenericEvent
}

// Of returns those of a kind.
func (p *Poller) Of(kind string) *Waiting {
	return &Waiting{p, kind, make(chan event.GenericEvent)}
}

// Expect has an object woken when the object changes that it waits for, also once if that has
// changed since it was read. It is called with each result of a read; with the zero Object nothing
// is asked any more.
func (w *Waiting) Expect(object types.NamespacedName, on Object) {
	if w == nil {
		return
	}
	request := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: object.Namespace, Name: w.kind + "/" + object.Name}}
	p := w.poller
	p.mu.Lock()
	defer p.mu.Unlock()
	switch known := p.waits[request]; {
	case on == Object{}:
		delete(p.waits, request)
	case known == nil || known.on != on:
		p.waits[request] = &wait{object: object, of: w, on: on, since: time.Now()}
		p.queue.AddAfter(request, Often)
	}
}

// Start implements manager.Runnable.
func (p *Poller) Start(ctx context.Context) error {
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for request, shutdown := p.queue.Get(); !shutdown; request, shutdown = p.queue.Get() {
				p.look(ctx, request)
				p.queue.Done(request)
			}
		})
	}
	<-ctx.Done()
	p.queue.ShutDown()
	working.Wait()
	return nil
}

// look asks for what an object waits for, and wakes it if the answer is another one. The first
// answer always wakes it: it may not be the one that the object has seen.
func (p *Poller) look(ctx context.Context, request reconcile.Request) {
	w := p.waiting(request)
	if w == nil || !p.pause(ctx, 1) {
		return
	}
	answer, err := p.ask(ctx, w.object.Namespace, w.on)
	if p.changed(request, w, answer, err) && p.pause(ctx, lookSlots) {
		select {
		case w.of.Woken <- event.GenericEvent{Object: &metav1.PartialObjectMetadata{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.object.Namespace, Name: w.object.Name},
		}}:
		case <-ctx.Done():
		}
	}
}

func (p *Poller) waiting(request reconcile.Request) *wait {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waits[request]
}

// changed notes an answer, and when the next one is due, and reports whether it differs from the
// last one.
func (p *Poller) changed(request reconcile.Request, w *wait, answer string, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waits[request] != w {
		return false
	}
	again := Often
	if time.Since(w.since) >= OftenFor {
		again = Seldom
	}
	p.queue.AddAfter(request, again)
	if err != nil || w.asked && w.answer == answer {
		return false
	}
	w.answer, w.asked = answer, true
	return true
}

// pause waits until so many requests may be made, and takes their time. It returns false if ctx
// ends.
func (p *Poller) pause(ctx context.Context, requests int) bool {
	p.mu.Lock()
	now := time.Now()
	begin := now
	if p.free.After(now) {
		begin = p.free
	}
	p.free = begin.Add(time.Duration(requests) * slot)
	p.mu.Unlock()
	select {
	case <-time.After(begin.Sub(now)):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// ask reads the metadata of an object. The answer is what decides whose the object is and whether
// it may be read; it is empty if there is no object.
func (p *Poller) ask(ctx context.Context, namespace string, o Object) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(o.Kind))
	err := p.live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: o.Name}, found)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("ask for %s %s/%s: %w", o.Kind, namespace, o.Name, err)
	}
	parts := []string{string(found.UID)}
	for _, label := range []string{v1alpha1.LabelCredentials, v1alpha1.LabelClientConfig} {
		parts = append(parts, found.Labels[label])
	}
	for _, annotation := range []string{v1alpha1.AnnotationClient, v1alpha1.AnnotationToken} {
		parts = append(parts, found.Annotations[annotation])
	}
	for _, owner := range found.OwnerReferences {
		parts = append(parts, string(owner.UID))
	}
	return strings.Join(parts, "\n"), nil
}
