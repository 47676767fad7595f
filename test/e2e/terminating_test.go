// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

const restoredMetric = "hallpass_registry_restored_total"

// A tenant keeps deleted clients alive, with finalizers and by deletion in the foreground, and asks
// for tokens as them all the time. That looks like no restore of etcd, and what another tenant
// makes meanwhile works at once.
func TestTerminatingClientsHarmNobodyElse(t *testing.T) {
	api := credentials(t, apply(t, "bystander", newClient("api")))
	apply(t, "bystander", newClient("legacy"))
	tokenServer, manager := restoredByTokenServer(t), restoredByManager(t)
	held := terminate(t, "terminating", 20)
	refused, stop := attack(t, held)
	var fixed []string
	for i := range 10 {
		token := newToken("bystander", fmt.Sprintf("fixed-%d", i), "legacy", v1alpha1.TokenFixed)
		fixed = append(fixed, minted(t, token))
	}
	var issued []string
	for i := range 20 {
		fresh := apply(t, "bystander", newClient(fmt.Sprintf("fresh-%d", i)))
		// the first request right after Ready
		issued = append(issued, fetch(t, credentials(t, fresh)))
	}
	release(t, held)
	for _, c := range held[:5] { // made again under the name of one that was terminating
		again := newClient(c.object.Name)
		eventually(t, "the deleted client is gone", func() bool {
			return apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKeyFromObject(c.object), &v1alpha1.OAuth2Client{}))
		})
		fetch(t, credentials(t, apply(t, "terminating", again)))
	}
	eventually(t, "the attack goes on", func() bool { return refused.Load() > 100 })
	stop()
	for i, value := range append(fixed, issued...) {
		if !isActive(t, api, value) {
			t.Errorf("token %d of the other tenant is refused", i)
		}
	}
	if now := restoredByTokenServer(t); now != tokenServer {
		t.Errorf("the token server noticed a restore: %s", now)
	}
	if now := restoredByManager(t); now != manager {
		t.Errorf("the manager noticed a restore: %v", now)
	}
}

// terminatingClient is an OAuth2Client that is terminating, and what its application has.
type terminatingClient struct {
	object *v1alpha1.OAuth2Client
	secret *corev1.Secret
}

const holdFinalizer = "terminating.example.com/hold"

// terminate makes clients and deletes them, every other one in the foreground. A finalizer keeps
// them.
func terminate(t *testing.T, namespace string, count int) []terminatingClient {
	t.Helper()
	var held []terminatingClient
	for i := range count {
		c := newClient(fmt.Sprintf("held-%d", i))
		c.Finalizers = []string{holdFinalizer}
		apply(t, namespace, c)
		held = append(held, terminatingClient{c, credentials(t, c)})
	}
	t.Cleanup(func() {
		for _, c := range held {
			_ = unhold(context.WithoutCancel(t.Context()), c.object)
		}
	})
	for i, c := range held {
		policy := metav1.DeletePropagationBackground
		if i%2 == 0 {
			policy = metav1.DeletePropagationForeground
		}
		must(t, cluster.Delete(t.Context(), c.object, client.PropagationPolicy(policy)))
		var object v1alpha1.OAuth2Client
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c.object), &object))
		if object.DeletionTimestamp.IsZero() {
			t.Fatalf("%s is not terminating", object.Name)
		}
	}
	return held
}

func release(t *testing.T, held []terminatingClient) {
	t.Helper()
	for _, c := range held {
		eventually(t, "the finalizer is removed", func() bool { return unhold(t.Context(), c.object) == nil })
	}
}

// unhold removes the finalizer of a client that is terminating.
func unhold(ctx context.Context, c *v1alpha1.OAuth2Client) error {
	var object v1alpha1.OAuth2Client
	if err := cluster.Get(ctx, client.ObjectKeyFromObject(c), &object); err != nil {
		return client.IgnoreNotFound(err)
	}
	if object.UID != c.UID {
		return nil
	}
	object.Finalizers = nil
	return client.IgnoreNotFound(cluster.Update(ctx, &object))
}

// attack asks for tokens as clients that are terminating, until it is stopped, and counts the
// refusals.
func attack(t *testing.T, held []terminatingClient) (refused *atomic.Int64, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var attacking sync.WaitGroup
	refused = &atomic.Int64{}
	attacking.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-time.After(25 * time.Millisecond):
			}
			if !granted(ctx, held[i%len(held)].secret) {
				refused.Add(1)
			}
		}
	})
	t.Cleanup(cancel)
	return refused, func() {
		cancel()
		attacking.Wait()
	}
}

// granted reports whether a client gets a token.
func granted(ctx context.Context, credentials *corev1.Secret) bool {
	form := strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, string(credentials.Data["token_url"]), form)
	if err != nil {
		return false
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(string(credentials.Data["client_id"]), string(credentials.Data["client_secret"]))
	response, err := hallpass.HTTP.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// restoredByTokenServer is the line of the token server's metric.
func restoredByTokenServer(t *testing.T) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, hallpass.Ops+"/metrics", http.NoBody)
	must(t, err)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	must(t, err)
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, restoredMetric+" ") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatal("the token server counts no restores")
	return ""
}

// restoredByManager is how many restores the manager of this process has counted.
func restoredByManager(t *testing.T) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	must(t, err)
	for _, family := range families {
		if family.GetName() == restoredMetric {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("the manager counts no restores")
	return 0
}
