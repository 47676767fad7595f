// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"path/filepath"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// electedManager starts a manager that works while it holds the lease.
func electedManager(t *testing.T) *process {
	t.Helper()
	m := &process{log: filepath.Join(t.TempDir(), "manager.log")}
	var err error
	m.Process, err = controlplane.StartProcess("manager", m.log, nil, program, "--kubeconfig="+kubeconfig, "--issuer=https://hallpass.test",
		"--metrics-bind-address=0", "--health-probe-bind-address=0")
	must(t, err)
	t.Cleanup(func() {
		m.kill(t)
		if t.Failed() {
			t.Logf("the manager's log:\n%s", m.logged(t))
		}
	})
	return m
}

func lease(t *testing.T) *coordinationv1.Lease {
	t.Helper()
	found := &coordinationv1.Lease{}
	must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: installation.SystemNamespace, Name: "hallpass-manager"}, found))
	return found
}

// watchHolders watches the lease. Each call of next waits for a write of it, and returns who holds
// it then.
func watchHolders(t *testing.T) (next func() string) {
	t.Helper()
	watching, ok := cluster.(client.WithWatch)
	if !ok {
		t.Fatalf("a client of type %T", cluster)
	}
	events, err := watching.Watch(t.Context(), &coordinationv1.LeaseList{}, &client.ListOptions{
		Namespace: installation.SystemNamespace, FieldSelector: fields.OneTermEqualSelector("metadata.name", "hallpass-manager"),
		Raw: &metav1.ListOptions{ResourceVersion: lease(t).ResourceVersion},
	})
	must(t, err)
	t.Cleanup(events.Stop)
	return func() string {
		t.Helper()
		select {
		case event := <-events.ResultChan():
			written, ok := event.Object.(*coordinationv1.Lease)
			if !ok {
				t.Fatalf("the watch of the lease ended: %v", event.Object)
			}
			return *written.Spec.HolderIdentity
		case <-time.After(limit):
			t.Fatal("the lease is not written")
			return ""
		}
	}
}

// TestAManagerOutlastsAnAPIServerThatHangs stops the API server for half a minute, as a
// defragmentation of etcd may. Then the manager ends in order, and the one that stands by has the
// lease at its next attempt.
func TestAManagerOutlastsAnAPIServerThatHangs(t *testing.T) {
	proxy.Reset()
	hang := 30 * time.Second
	if testing.Short() {
		hang = 13 * time.Second // longer than client-go continues by default
	}
	first := electedManager(t)
	first.synced(t)
	holder := *lease(t).Spec.HolderIdentity
	second := electedManager(t)

	must(t, plane.PauseAPIServer())
	select {
	case <-first.Done():
		t.Error("the manager ended while the API server hung")
	case <-time.After(hang):
	}
	must(t, plane.ResumeAPIServer())

	c := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "after-the-hang"}}
	create(t, c)
	must(t, installation.Wait(t.Context(), "the manager works", func() (bool, error) {
		err := cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady), err
	}))
	if got := *lease(t).Spec.HolderIdentity; got != holder {
		t.Errorf("the lease went from %s to %s", holder, got)
	}

	nextHolder := watchHolders(t)
	must(t, first.Stop())
	// A lease that runs out goes from one holder to the next. One that is handed over has none
	// meanwhile, and a manager takes such a lease at its next attempt.
	next := nextHolder()
	for next == holder { // it was renewed
		next = nextHolder()
	}
	if next != "" {
		t.Errorf("the manager that ended in order left the lease to run out, and %s took it", next)
	}
	for next == "" {
		next = nextHolder()
	}
	if next == holder {
		t.Error("the manager that ended has the lease again")
	}
	second.synced(t)
	must(t, cluster.Delete(t.Context(), c))
	must(t, installation.Wait(t.Context(), "the other manager works", func() (bool, error) {
		return !exists(t, installation.RegistryNamespace, registrationMeta(c).Name), nil
	}))
	must(t, second.Stop())
	settled = false
}
