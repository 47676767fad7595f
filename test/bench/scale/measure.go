// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

const (
	// The goals for the manager: how many KiB of resident memory it holds a client, how many
	// times that it may hold at once after a restart, and how many times as long as bare
	// informers with the same objects a restarted one takes to read and reconcile them.
	mostAClient, mostAfterRestart, mostOfInformers = 4, 1.3, 2.5

	perNamespace = 100
	creators     = 16
	changes      = 20
)

// measure installs on a control plane of its own, creates the clients and reads everything once.
func measure(ctx context.Context, size int, s settings, say func(string, ...any)) (_ figures, err error) {
	found := figures{clients: size}
	w, err := start(ctx)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	steps := []func(context.Context, *figures) error{
		w.createAll, w.memory(s.settle), w.stayIdle(s.idle), w.restartManager, w.restartTokenServer, w.informer, w.changeSome, w.database,
	}
	if s.copies > 0 {
		steps = append(steps, w.copyStored(s.copies))
	}
	for _, step := range steps {
		if err := step(ctx, &found); err != nil {
			return found, err
		}
	}
	found.print(say)
	return found, nil
}

// createAll creates the clients as fast as the API server takes them, and waits until every one is
// Ready.
func (w *world) createAll(ctx context.Context, found *figures) error {
	for i := 0; i < found.clients; i += perNamespace {
		name, _ := nameOf(i)
		if err := w.cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	var err error
	if w.emptyDatabase, err = w.etcd.size(ctx); err != nil {
		return err
	}
	if w.emptyManager, err = w.manager.resident(); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	secrets, err := w.countSecrets(watching, found.clients)
	if err != nil {
		return err
	}
	ready, err := w.countReady(watching, found.clients)
	if err != nil {
		return err
	}
	started := time.Now()
	var creating errgroup.Group
	creating.SetLimit(creators)
	for i := range found.clients {
		creating.Go(func() error { return w.cluster.Create(ctx, newClient(i)) })
	}
	if err := creating.Wait(); err != nil {
		return err
	}
	accepted := time.Since(started)
	lastSecret, err := arrived(ctx, secrets, started)
	if err != nil {
		return err
	}
	lastReady, err := arrived(ctx, ready, started)
	if err != nil {
		return err
	}
	writes, err := w.managerWrites()
	if err != nil {
		return err
	}
	found.took("last client accepted after", accepted)
	found.took("last Secret there after", lastSecret)
	found.add("last Secret / last client accepted", lastSecret.Seconds()/accepted.Seconds(), "")
	found.took("last client Ready after", lastReady)
	found.add("clients Ready a second", float64(found.clients)/lastReady.Seconds(), "/s")
	found.add("writes of the manager a client", float64(writes)/float64(found.clients), "")
	return nil
}

// memory reads what the processes hold once all is quiet.
func (w *world) memory(settle time.Duration) func(ctx context.Context, found *figures) error {
	return func(_ context.Context, found *figures) error {
		time.Sleep(settle)
		manager, err := w.manager.resident()
		if err != nil {
			return err
		}
		tokenserver, err := w.tokenserver.resident()
		if err != nil {
			return err
		}
		w.perClient = w.held(manager, found.clients)
		found.add("resident memory of the manager", manager, "MiB")
		found.aim("memory of the manager a client", w.perClient, "KiB", mostAClient)
		found.add("resident memory of the token server", tokenserver, "MiB")
		return nil
	}
}

// held is what a manager of that resident memory holds a client, in KiB.
func (w *world) held(resident float64, clients int) float64 {
	return (resident - w.emptyManager) * 1024 / float64(clients)
}

// stayIdle counts what is written while nothing changes.
func (w *world) stayIdle(idle time.Duration) func(ctx context.Context, found *figures) error {
	return func(_ context.Context, found *figures) error {
		before, err := w.managerWrites()
		if err != nil {
			return err
		}
		time.Sleep(idle)
		after, err := w.managerWrites()
		found.add("writes of the manager in "+idle.String()+" without a change", float64(after-before), "")
		return err
	}
}

// restartManager starts a manager over unchanged clients and waits until it has reconciled each.
func (w *world) restartManager(ctx context.Context, found *figures) error {
	before, err := w.managerWrites()
	if err != nil {
		return err
	}
	w.manager.stop()
	started := time.Now()
	if err := w.startManager(ctx); err != nil {
		return err
	}
	if err := w.manager.reconciled(ctx, found.clients); err != nil {
		return err
	}
	w.lookedAt = time.Since(started)
	found.took("a restarted manager has looked at every client after", w.lookedAt)
	resident, err := w.manager.resident()
	if err != nil {
		return err
	}
	found.add("resident memory of the restarted manager", resident, "MiB")
	found.aim("memory of the restarted manager a client", w.held(resident, found.clients), "KiB", mostAClient*mostAfterRestart)
	found.add("memory of the restarted manager a client / before", w.held(resident, found.clients)/w.perClient, "")
	after, err := w.managerWrites()
	found.add("writes of the restarted manager", float64(after-before), "")
	return err
}

func (w *world) restartTokenServer(ctx context.Context, found *figures) error {
	w.tokenserver.stop()
	started := time.Now()
	if err := w.startTokenServer(ctx); err != nil {
		return err
	}
	found.took("a restarted token server is ready after", time.Since(started))
	resident, err := w.tokenserver.resident()
	found.add("resident memory of the restarted token server", resident, "MiB")
	return err
}

// changeSome changes clients one after the other: how long until a token has the new scope, which
// is a write by a user, one by the manager and one read by a replica.
func (w *world) changeSome(ctx context.Context, found *figures) error {
	var took []time.Duration
	for i := range changes {
		c := newClient(i * (found.clients / changes))
		if err := w.cluster.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return err
		}
		var credentials corev1.Secret
		if err := w.cluster.Get(ctx, client.ObjectKeyFromObject(c), &credentials); err != nil {
			return err
		}
		c.Spec.Scopes = append(c.Spec.Scopes, "new")
		started := time.Now()
		if err := w.cluster.Update(ctx, c); err != nil {
			return err
		}
		if err := w.granted(ctx, &credentials, "new"); err != nil {
			return err
		}
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	found.took("a change is in tokens after, p50", took[len(took)/2])
	found.took("a change is in tokens after, worst", took[len(took)-1])
	return nil
}

func nameOf(i int) (namespace, name string) {
	return fmt.Sprintf("team-%d", i/perNamespace), fmt.Sprintf("service-%d", i)
}

func newClient(i int) *v1alpha1.OAuth2Client {
	namespace, name := nameOf(i)
	return &v1alpha1.OAuth2Client{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.OAuth2ClientSpec{Scopes: []v1alpha1.Scope{"read", "write"}},
	}
}

// managerWrites is how much the manager has written; renewals of its lease are none, because it
// holds none here.
func (w *world) managerWrites() (int, error) {
	events, err := w.cp.AuditEvents()
	user := "system:serviceaccount:" + installation.SystemNamespace + ":" + installation.ManagerAccount
	events = slices.DeleteFunc(events, func(e controlplane.AuditEvent) bool { return e.User.Name != user || !e.IsWrite() })
	return len(events), err
}

// arrived waits for the instant at which the last of something was seen.
func arrived(ctx context.Context, last <-chan time.Time, since time.Time) (time.Duration, error) {
	select {
	case at, ok := <-last:
		if !ok {
			return 0, errors.New("the watch ended before all were seen")
		}
		return at.Sub(since), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
