// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// The namespaces with one client and with many.
const (
	few  = "few"
	many = "many"
)

// world is an API server with clients, behind a proxy that measures its requests.
type world struct {
	requests requests
	proxy    *httptest.Server
}

// populate creates the clients, with the status that a manager would have written.
func populate(ctx context.Context, cp *controlplane.ControlPlane, clients int) (*world, error) {
	cluster, err := installation.Connect(cp.AdminConfig())
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	for _, name := range []string{few, many} {
		if err := cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return nil, fmt.Errorf("create namespace %s: %w", name, err)
		}
	}
	if err := create(ctx, cluster, few, 0); err != nil {
		return nil, err
	}
	for i := range clients {
		if err := create(ctx, cluster, many, i); err != nil {
			return nil, err
		}
	}
	return newWorld(cp.AdminConfig())
}

func create(ctx context.Context, cluster client.Client, namespace string, number int) error {
	c := &v1alpha1.OAuth2Client{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("service-%05d", number)},
		Spec:       v1alpha1.OAuth2ClientSpec{DisplayName: fmt.Sprintf("Service %d", number), Scopes: []v1alpha1.Scope{"read", "write"}},
	}
	if err := cluster.Create(ctx, c); err != nil {
		return fmt.Errorf("create client %s: %w", c.Name, err)
	}
	registered := v1alpha1.Registered()
	registered.LastTransitionTime = metav1.Now()
	c.Status = v1alpha1.OAuth2ClientStatus{
		ObservedGeneration: c.Generation, ClientID: namespace + "." + c.Name, Secret: v1alpha1.SecretReference{Name: c.Name},
		Credentials: []v1alpha1.CredentialStatus{{ID: "abcdefghijkl", CreatedAt: metav1.Now()}}, Conditions: []metav1.Condition{registered},
		Grants: []v1alpha1.GrantStatus{{
			Audience: "https://id.example.com/" + namespace, Scopes: []v1alpha1.ScopeGrant{{Name: "read", Decision: "Granted"}, {Name: "write", Decision: "Granted"}},
		}},
	}
	if err := cluster.Status().Update(ctx, c); err != nil {
		return fmt.Errorf("write the status of client %s: %w", c.Name, err)
	}
	return nil
}

func newWorld(config *rest.Config) (*world, error) {
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect a proxy: %w", err)
	}
	apiServer, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("read the address of the API server: %w", err)
	}
	w := &world{}
	proxy := httputil.NewSingleHostReverseProxy(apiServer)
	proxy.Transport = transport
	w.proxy = httptest.NewServer(w.requests.measure(proxy))
	return w, nil
}

func (w *world) stop() { w.proxy.Close() }

// writeKubeconfig writes a file by which the plugin finds the proxy.
func (w *world) writeKubeconfig(file string) error {
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"c": {Server: w.proxy.URL}}, AuthInfos: map[string]*clientcmdapi.AuthInfo{"u": {}},
		Contexts: map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}}, CurrentContext: "x",
	}, file)
	if err != nil {
		return fmt.Errorf("write a kubeconfig: %w", err)
	}
	return nil
}

// requests are the times of requests to the API server.
type requests struct {
	mu    sync.Mutex
	total time.Duration
	count int
}

func (r *requests) measure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		started := time.Now()
		next.ServeHTTP(w, request)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.total += time.Since(started)
		r.count++
	})
}

func (r *requests) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total, r.count = 0, 0
}

// sum is the time in which there was a request, if there was one at a time.
func (r *requests) sum() (total time.Duration, count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total, r.count
}
