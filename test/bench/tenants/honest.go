// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	kitworld "github.com/hallpass-dev/hallpass/test/kit/world"
)

const (
	honestNamespace = "honest"
	// applyEvery and fetchEvery are the pace of the honest tenant.
	applyEvery = 200 * time.Millisecond
	fetchEvery = 20 * time.Millisecond
	// patience is how long the honest tenant waits for what is not a measurement.
	patience = time.Minute
)

// samples are what the honest tenant saw.
type samples struct {
	mu            sync.Mutex
	ready, tokens []time.Duration
	applied       []applied
	refused       []string
}

// applied is a client of the honest tenant: when it was applied, and when it was seen to be Ready.
type applied struct {
	name         string
	began, ready time.Time
}

func (s *samples) addApplied(a applied) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready, s.applied = append(s.ready, a.ready.Sub(a.began)), append(s.applied, a)
}

func (s *samples) add(to *[]time.Duration, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*to = append(*to, took)
}

func (s *samples) refuse(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, fmt.Sprintf(format, args...))
}

// honest is the tenant that is measured.
type honest struct {
	cluster client.WithWatch
	http    *http.Client
	issuer  string
	steady  caller

	mu      sync.Mutex
	applied int
	waiting map[string]chan struct{} // by the name of a client that is not Ready yet
}

// caller is a client with a secret.
type caller struct{ id, secret string }

func newHonest(ctx context.Context, w *world) (*honest, error) {
	h := &honest{http: httpFrom("127.0.0.1"), issuer: w.issuer, waiting: map[string]chan struct{}{}}
	var err error
	if h.cluster, err = tenant(ctx, w.cp.AdminConfig(), honestNamespace); err != nil {
		return nil, err
	}
	watcher, err := h.cluster.Watch(ctx, &v1alpha1.OAuth2ClientList{}, client.InNamespace(honestNamespace))
	if err != nil {
		return nil, fmt.Errorf("watch the clients of the honest tenant: %w", err)
	}
	go func() {
		for event := range watcher.ResultChan() {
			if c, ok := event.Object.(*v1alpha1.OAuth2Client); ok && meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
				h.isReady(c.Name)
			}
		}
	}()
	if err := h.apply(ctx, "steady", &samples{}); err != nil {
		return nil, err
	}
	h.steady, err = credentials(ctx, h.cluster, honestNamespace, "steady")
	return h, err
}

func (h *honest) isReady(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ready, there := h.waiting[name]; there {
		close(ready)
		delete(h.waiting, name)
	}
}

// work applies clients and fetches tokens for a time, whether those before are finished or not, and
// calls pace now and then. It returns when everything is done that was begun.
func (h *honest) work(ctx context.Context, d time.Duration, into *samples, pace func() error) error {
	var begun sync.WaitGroup
	defer begun.Wait()
	apply, fetch, paced := time.NewTicker(applyEvery), time.NewTicker(fetchEvery), time.NewTicker(paceEvery)
	defer apply.Stop()
	defer fetch.Stop()
	defer paced.Stop()
	end := time.After(d)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			return nil
		case <-apply.C:
			h.applied++
			name := fmt.Sprintf("new-%d", h.applied)
			begun.Go(func() {
				if err := h.newClient(ctx, name, into); err != nil {
					into.refuse("%v", err)
				}
			})
		case <-fetch.C:
			begun.Go(func() { h.fetch(ctx, h.steady, into) })
		case <-paced.C:
			if err := pace(); err != nil {
				return err
			}
		}
	}
}

// newClient applies a client, sends its first request once it is Ready, and deletes it.
func (h *honest) newClient(ctx context.Context, name string, into *samples) error {
	if err := h.apply(ctx, name, into); err != nil {
		return err
	}
	fresh, err := credentials(ctx, h.cluster, honestNamespace, name)
	if err != nil {
		return err
	}
	h.fetch(ctx, fresh, into)
	c := kitworld.NewClient(name)
	c.Namespace = honestNamespace
	return h.cluster.Delete(ctx, c)
}

// apply creates a client and waits until the watch reports that it is Ready.
func (h *honest) apply(ctx context.Context, name string, into *samples) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ready := make(chan struct{})
	h.mu.Lock()
	h.waiting[name] = ready
	h.mu.Unlock()
	c := kitworld.NewClient(name)
	c.Namespace = honestNamespace
	began := time.Now()
	if err := h.cluster.Create(ctx, c); err != nil {
		return fmt.Errorf("apply client %s: %w", name, err)
	}
	select {
	case <-ready:
		into.addApplied(applied{name, began, time.Now()})
		return nil
	case <-ctx.Done():
		return fmt.Errorf("client %s is not Ready: %w", name, ctx.Err())
	}
}

func (h *honest) fetch(ctx context.Context, as caller, into *samples) {
	began := time.Now()
	status, body, err := postAs(ctx, h.http, h.issuer+oauth2.TokenPath, as, url.Values{"grant_type": {"client_credentials"}})
	if err != nil || status != http.StatusOK {
		into.refuse("a token for %s: %d %s %v", as.id, status, body, err)
		return
	}
	into.add(&into.tokens, time.Since(began))
}

// credentials reads the Secret of a client.
func credentials(ctx context.Context, cluster client.Client, namespace, name string) (caller, error) {
	var secret corev1.Secret
	if err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &secret); err != nil {
		return caller{}, fmt.Errorf("read the Secret of client %s: %w", name, err)
	}
	return caller{string(secret.Data["client_id"]), string(secret.Data["client_secret"])}, nil
}

// postAs sends a form, with Basic authentication unless the caller has no secret.
func postAs(ctx context.Context, via *http.Client, to string, as caller, form url.Values) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if as.secret != "" {
		request.SetBasicAuth(as.id, as.secret)
	}
	response, err := via.Do(request)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), errors.Join(err, response.Body.Close())
}
