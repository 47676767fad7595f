// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package world

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// NewClient is an OAuth2Client that asks for the scope read.
func NewClient(name string) *v1alpha1.OAuth2Client {
	return &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.OAuth2ClientSpec{Scopes: []v1alpha1.Scope{"read"}}}
}

// Apply creates a client in a namespace, which it creates if need be, and waits until it is ready.
func (w *World) Apply(t testing.TB, namespace string, c *v1alpha1.OAuth2Client) *v1alpha1.OAuth2Client {
	t.Helper()
	err := w.Cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	c.Namespace = namespace
	Must(t, w.Cluster.Create(t.Context(), c))
	Eventually(t, c.Name+" is ready", func() bool {
		Must(t, w.Cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady)
	})
	return c
}

// Caller has the credentials of a client.
type Caller struct{ ID, Secret string }

// NewCaller creates a client and waits for its Secret.
func (w *World) NewCaller(ctx context.Context, namespace, name string) (Caller, error) {
	c := NewClient(name)
	c.Namespace = namespace
	if err := w.Cluster.Create(ctx, c); err != nil {
		return Caller{}, fmt.Errorf("create a client: %w", err)
	}
	var secret corev1.Secret
	err := installation.Wait(ctx, "a client has its Secret", func() (bool, error) {
		err := w.Cluster.Get(ctx, client.ObjectKeyFromObject(c), &secret)
		return err == nil, client.IgnoreNotFound(err)
	})
	return Caller{string(secret.Data["client_id"]), string(secret.Data["client_secret"])}, err
}

// NewCallers creates a namespace and some clients in it.
func (w *World) NewCallers(ctx context.Context, namespace string, n int) ([]Caller, error) {
	if err := w.Cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return nil, fmt.Errorf("create namespace %s: %w", namespace, err)
	}
	callers := make([]Caller, n)
	for i := range callers {
		var err error
		if callers[i], err = w.NewCaller(ctx, namespace, fmt.Sprintf("caller-%d", i)); err != nil {
			return nil, err
		}
	}
	return callers, nil
}

// Credentials is the Secret of a client.
func (w *World) Credentials(t testing.TB, c *v1alpha1.OAuth2Client) *corev1.Secret {
	t.Helper()
	var secret corev1.Secret
	Must(t, w.Cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &secret))
	return &secret
}

// Fetch fetches a token at an endpoint. An answer 503 asks to try again: a look-up took too long.
func (w *World) Fetch(t testing.TB, credentials *corev1.Secret, endpoint string) string {
	t.Helper()
	var status int
	var body map[string]any
	Eventually(t, "the token server decides", func() bool {
		status, body = w.Post(t, credentials, endpoint, url.Values{"grant_type": {"client_credentials"}})
		return status != http.StatusServiceUnavailable
	})
	token, _ := body["access_token"].(string)
	if status != http.StatusOK || token == "" {
		t.Fatalf("fetch a token: %d %v", status, body)
	}
	return token
}

// Post sends a form with Basic authentication, and decodes the JSON of the answer.
func (w *World) Post(t testing.TB, credentials *corev1.Secret, to string, form url.Values) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	Must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(string(credentials.Data["client_id"]), string(credentials.Data["client_secret"]))
	response, err := w.Hallpass.HTTP.Do(request)
	Must(t, err)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	Must(t, err)
	body := map[string]any{}
	if err := json.Unmarshal(content, &body); err != nil && len(content) > 0 {
		t.Fatalf("%s is not JSON: %v", content, err)
	}
	return response.StatusCode, body
}

// Must ends the test with an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually polls until a condition holds.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	Must(t, installation.Wait(t.Context(), what, func() (bool, error) { return condition(), nil }))
}

// betweenCounts is so long that counting thousands of objects is a small part of the machine's
// work.
const betweenCounts = 2 * time.Second

// EventuallyNone counts until nothing is left. It fails when the count stays the same for as long
// as Eventually waits, so that a slow machine only takes longer.
func EventuallyNone(t testing.TB, what string, left func() int) {
	t.Helper()
	for remaining := left(); remaining > 0; time.Sleep(betweenCounts) {
		before := remaining
		Eventually(t, fmt.Sprintf("%s: fewer than %d are left", what, before), func() bool {
			remaining = left()
			return remaining < before
		})
	}
}

// FreeAddress is an address on loopback that no process listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	address, err := installation.FreeAddress()
	Must(t, err)
	return address
}

// Count is a number that a target of make sets in the environment: small in every run of the tests.
func Count(t testing.TB, name string, otherwise int) int {
	t.Helper()
	return setting(t, name, otherwise, strconv.Atoi)
}

// Duration is a duration that a target of make sets in the environment: short in every run of the
// tests.
func Duration(t testing.TB, name string, otherwise time.Duration) time.Duration {
	t.Helper()
	return setting(t, name, otherwise, time.ParseDuration)
}

func setting[T any](t testing.TB, name string, otherwise T, parse func(string) (T, error)) T {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		return otherwise
	}
	parsed, err := parse(value)
	Must(t, err)
	return parsed
}
