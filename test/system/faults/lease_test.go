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

// TestAManagerOutlastsAnAPIServerThatHangs stops the API server for half a minute, as a defragmentation of etcd may. Then the manager
// ends in order, and the one that stands by has the lease at its next attempt.
func TestAManagerOutlastsAnAPIServerThatHangs(t *testing.T) {
	proxy.Reset()
	hang := 30 * time.Second
	if testing.Short() {
		hang = 13 * time.Second // longer than what client-go goes on for unless it is told to
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

	before := lease(t).Spec.RenewTime.Time
	must(t, first.Stop())
	must(t, installation.Wait(t.Context(), "the other manager has the lease", func() (bool, error) {
		held := *lease(t).Spec.HolderIdentity
		return held != "" && held != holder, nil
	}))
	got := lease(t).Spec
	if waited := got.AcquireTime.Sub(before); waited >= time.Duration(*got.LeaseDurationSeconds)*time.Second {
		t.Errorf("the lease was taken over %s after its last renewal, which is when it would have run out", waited)
	}
	second.synced(t)
	must(t, cluster.Delete(t.Context(), c))
	must(t, installation.Wait(t.Context(), "the other manager works", func() (bool, error) {
		return !exists(t, installation.RegistryNamespace, registrationMeta(c).Name), nil
	}))
	must(t, second.Stop())
	settled = false
}
