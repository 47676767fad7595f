// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster_test compares the objects that an installation writes to a cluster, and the
// number of its API requests, with those of commit 37318f4.
package cluster_test

import (
	"context"
	"slices"
	"strings"
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

var (
	hallpass *installation.Running
	cluster  client.Client

	must, eventually = world.Must, world.Eventually
)

func TestMain(m *testing.M) {
	// Usage reports depend on time and are not compared here.
	options := installation.Options{UsageInterval: 24 * time.Hour, UsageRefresh: 24 * time.Hour}
	world.Main(world.Options{Installation: options}, func(_ context.Context, w *world.World) (int, error) {
		hallpass, cluster = w.Hallpass, w.Cluster
		return m.Run(), nil
	})
}

// patience is the timeout of a wait, for slow machines.
const patience = 5 * time.Minute

func namespace(t *testing.T, name string) {
	t.Helper()
	must(t, cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
}

// read reads an object and reports whether it exists.
func read(t *testing.T, object client.Object) bool {
	t.Helper()
	err := cluster.Get(t.Context(), client.ObjectKeyFromObject(object), object)
	must(t, client.IgnoreNotFound(err))
	return err == nil
}

// ready waits until the current generation of an object is Ready.
func ready(t *testing.T, object client.Object, conditions func() []metav1.Condition) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if read(t, object) {
			condition := meta.FindStatusCondition(conditions(), v1alpha1.ConditionReady)
			if condition != nil && condition.Status == metav1.ConditionTrue && condition.ObservedGeneration == object.GetGeneration() {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not ready: %+v", object.GetName(), conditions())
		}
	}
}

func clientReady(t *testing.T, c *v1alpha1.OAuth2Client) {
	t.Helper()
	ready(t, c, func() []metav1.Condition { return c.Status.Conditions })
}

// deleteAll deletes the objects of a test, so that the next test starts with an empty registry.
func deleteAll(t *testing.T, namespace string) {
	t.Helper()
	for _, kind := range []client.Object{&v1alpha1.OAuth2Token{}, &v1alpha1.OAuth2Resource{}, &v1alpha1.OAuth2Client{}} {
		must(t, cluster.DeleteAllOf(t.Context(), kind, client.InNamespace(namespace)))
	}
	gone(t)
}

// gone waits until the registry has no records.
func gone(t *testing.T) {
	t.Helper()
	eventually(t, "the records are deleted", func() bool {
		var secrets corev1.SecretList
		must(t, cluster.List(t.Context(), &secrets, client.InNamespace(installation.RegistryNamespace)))
		return !slices.ContainsFunc(secrets.Items, func(s corev1.Secret) bool {
			return slices.ContainsFunc([]string{"client-", "resource-", "token-"}, func(prefix string) bool { return strings.HasPrefix(s.Name, prefix) })
		})
	})
}
