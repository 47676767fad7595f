// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package usage_test uses clients of a whole installation and checks what is reported of it: in
// their status, in events, and in the audit log of the API server, which has the cost of the
// reports.
package usage_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// interval is how often the token server of this package reports.
const interval = time.Second

var (
	shared   *world.World
	hallpass *installation.Running
	cluster  client.Client

	must, eventually, freeAddress = world.Must, world.Eventually, world.FreeAddress
)

func TestMain(m *testing.M) {
	options := installation.Options{UsageInterval: interval, UsageRefresh: interval}
	world.Main(world.Options{Installation: options}, func(_ context.Context, w *world.World) (int, error) {
		shared, hallpass, cluster = w, w.Hallpass, w.Cluster
		return m.Run(), nil
	})
}

// apply creates a client and waits until it is ready.
func apply(t *testing.T, namespace, name string) *v1alpha1.OAuth2Client {
	t.Helper()
	return shared.Apply(t, namespace, world.NewClient(name))
}

func read(t *testing.T, c *v1alpha1.OAuth2Client) {
	t.Helper()
	must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
}

func fetch(t *testing.T, credentials *corev1.Secret) string {
	t.Helper()
	return shared.Fetch(t, credentials, string(credentials.Data["token_url"]))
}

func introspect(t *testing.T, credentials *corev1.Secret, token string) bool {
	t.Helper()
	status, body := shared.Post(t, credentials, hallpass.Issuer.URL("/oauth2/introspect"), url.Values{"token": {token}})
	active, answered := body["active"].(bool)
	if status != http.StatusOK || !answered {
		t.Fatalf("introspect: %d %v", status, body)
	}
	return active
}

// told has the events on a client with that reason.
func told(t *testing.T, c *v1alpha1.OAuth2Client, reason string) []eventsv1.Event {
	t.Helper()
	return toldOf(t, c.Namespace, c.Name, reason)
}

func toldOf(t *testing.T, namespace, name, reason string) []eventsv1.Event {
	t.Helper()
	var list eventsv1.EventList
	must(t, cluster.List(t.Context(), &list, client.InNamespace(namespace)))
	var found []eventsv1.Event
	for i := range list.Items {
		if e := list.Items[i]; e.Regarding.Name == name && e.Reason == reason {
			found = append(found, e)
		}
	}
	return found
}
