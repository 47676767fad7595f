// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package usage_test uses clients of a whole installation and looks at what is told of it: in their status, in events, and in
// the audit log of the API server, which knows what the telling costs.
package usage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// interval is how often the token server of this package reports.
const interval = time.Second

var (
	hallpass *installation.Running
	cluster  client.Client
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	ctx := context.Background()
	cp, err := controlplane.Start(ctx, controlplane.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = cp.Stop() }()
	options := installation.Options{UsageInterval: interval, UsageRefresh: interval}
	if hallpass, err = installation.Run(ctx, cp, filepath.Join("..", "..", ".."), options); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = hallpass.Stop() }()
	scheme := runtime.NewScheme()
	_, _ = clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)
	if cluster, err = client.New(cp.AdminConfig(), client.Options{Scheme: scheme}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// apply creates a client and waits until it is ready.
func apply(t *testing.T, namespace, name string) *v1alpha1.OAuth2Client {
	t.Helper()
	err := cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	c := &v1alpha1.OAuth2Client{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.OAuth2ClientSpec{Scopes: []v1alpha1.Scope{"read"}},
	}
	must(t, cluster.Create(t.Context(), c))
	eventually(t, name+" is ready", func() bool {
		read(t, c)
		for _, condition := range c.Status.Conditions {
			if condition.Type == v1alpha1.ConditionReady {
				return condition.Status == metav1.ConditionTrue
			}
		}
		return false
	})
	return c
}

func read(t *testing.T, c *v1alpha1.OAuth2Client) {
	t.Helper()
	must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
}

func credentials(t *testing.T, c *v1alpha1.OAuth2Client) *corev1.Secret {
	t.Helper()
	var secret corev1.Secret
	must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &secret))
	return &secret
}

func fetch(t *testing.T, credentials *corev1.Secret) string {
	t.Helper()
	return fetchFrom(t, string(credentials.Data["token_url"]), credentials)
}

// fetchFrom fetches a token at an endpoint. 503 asks to try again: a look-up took too long.
func fetchFrom(t *testing.T, endpoint string, credentials *corev1.Secret) string {
	t.Helper()
	var status int
	var body map[string]any
	eventually(t, "the token server decides", func() bool {
		status, body = post(t, credentials, endpoint, url.Values{"grant_type": {"client_credentials"}})
		return status != http.StatusServiceUnavailable
	})
	token, _ := body["access_token"].(string)
	if status != http.StatusOK || token == "" {
		t.Fatalf("fetch a token: %d %v", status, body)
	}
	return token
}

func introspect(t *testing.T, credentials *corev1.Secret, token string) bool {
	t.Helper()
	status, body := post(t, credentials, hallpass.Issuer.URL("/oauth2/introspect"), url.Values{"token": {token}})
	active, answered := body["active"].(bool)
	if status != http.StatusOK || !answered {
		t.Fatalf("introspect: %d %v", status, body)
	}
	return active
}

func post(t *testing.T, credentials *corev1.Secret, to string, form url.Values) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(string(credentials.Data["client_id"]), string(credentials.Data["client_secret"]))
	response, err := hallpass.HTTP.Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	must(t, err)
	body := map[string]any{}
	if len(content) > 0 {
		must(t, json.Unmarshal(content, &body))
	}
	return response.StatusCode, body
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := installation.FreeAddress()
	must(t, err)
	return address
}

// told are the events on a client with that reason.
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	must(t, installation.Wait(t.Context(), what, func() (bool, error) { return condition(), nil }))
}
