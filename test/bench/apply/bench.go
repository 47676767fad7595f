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
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/faults"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

const (
	namespace  = "bench"
	settleTime = time.Minute
	settled    = 3 * time.Second
)

// bench is an installation on a control plane with a token server whose watches are held back.
type bench struct {
	cp       *controlplane.ControlPlane
	hallpass *installation.Running
	cluster  client.WithWatch
}

func start(ctx context.Context, lag time.Duration) (*bench, error) {
	cp, err := controlplane.Start(ctx, controlplane.Options{})
	if err != nil {
		return nil, err
	}
	b := &bench{cp: cp}
	if b.hallpass, err = installation.Run(ctx, cp, ".", installation.Options{
		TokenServerREST: func(config *rest.Config) {
			config.Wrap(func(next http.RoundTripper) http.RoundTripper { return faults.LateWatches{Next: next, Lag: lag} })
		},
	}); err != nil {
		return nil, errors.Join(err, cp.Stop())
	}
	if b.cluster, err = installation.Connect(cp.AdminConfig()); err != nil {
		return nil, errors.Join(err, b.hallpass.Stop(), cp.Stop())
	}
	if err := b.cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return nil, errors.Join(err, b.hallpass.Stop(), cp.Stop())
	}
	return b, nil
}

func (b *bench) stop() {
	if err := errors.Join(b.hallpass.Stop(), b.cp.Stop()); err != nil {
		fmt.Fprintln(os.Stderr, "stop:", err)
	}
}

// applyOneByOne times apply -> Ready, seen by a watch as kubectl wait sees it.
func (b *bench) applyOneByOne(ctx context.Context, clients int) error {
	var took []time.Duration
	for i := range clients {
		started := time.Now()
		if _, err := b.create(ctx, fmt.Sprintf("one-%d", i)); err != nil {
			return err
		}
		took = append(took, time.Since(started))
	}
	table("apply -> Ready", took)
	return nil
}

// watchIdle counts what the manager writes while nothing changes, from the API server's audit log,
// and then deletes the clients. Leader election, whose lease is renewed all the time, is off here.
func (b *bench) watchIdle(ctx context.Context, idle time.Duration) error {
	time.Sleep(settled) // events of the last client may still be on their way
	before, err := b.managerWrites()
	if err != nil {
		return err
	}
	time.Sleep(idle)
	after, err := b.managerWrites()
	if err != nil {
		return err
	}
	fmt.Printf("writes by the manager in %s without a change: %d (%d before)\n", idle, len(after)-len(before), len(before))
	for _, write := range after[len(before):] {
		fmt.Printf("  %s %+v\n", write.Verb, write.Object)
	}
	if len(after) > len(before) {
		return errors.New("the manager writes although nothing changes")
	}
	return b.cluster.DeleteAllOf(ctx, &v1alpha1.OAuth2Client{}, client.InNamespace(namespace))
}

// managerWrites is every write that the manager has asked for.
func (b *bench) managerWrites() ([]controlplane.AuditEvent, error) {
	events, err := b.cp.AuditEvents()
	if err != nil {
		return nil, err
	}
	user := "system:serviceaccount:" + installation.SystemNamespace + ":" + installation.ManagerAccount
	return slices.DeleteFunc(events, func(e controlplane.AuditEvent) bool { return e.User.Name != user || !e.IsWrite() }), nil
}

// fetchRightAfterReady creates a client, fetches a token the moment it is Ready, and deletes it.
func (b *bench) fetchRightAfterReady(ctx context.Context, rounds int) error {
	var took []time.Duration
	failed := 0
	for i := range rounds {
		c, err := b.create(ctx, fmt.Sprintf("round-%d", i))
		if err != nil {
			return err
		}
		var secret corev1.Secret
		if err := b.cluster.Get(ctx, client.ObjectKeyFromObject(c), &secret); err != nil {
			return fmt.Errorf("read credentials: %w", err)
		}
		started := time.Now()
		status, err := b.fetch(ctx, &secret)
		if err != nil {
			return err
		}
		took = append(took, time.Since(started))
		if status != http.StatusOK {
			failed++
			fmt.Printf("round %d: the first request got %d\n", i, status)
		}
		if err := b.cluster.Delete(ctx, c); err != nil {
			return fmt.Errorf("delete client: %w", err)
		}
		if (i+1)%100 == 0 {
			fmt.Fprintf(os.Stderr, "%d of %d rounds\n", i+1, rounds)
		}
	}
	table("first token after Ready", took)
	fmt.Printf("first requests that failed: %d of %d\n", failed, rounds)
	if failed > 0 {
		return errors.New("a first request failed")
	}
	return nil
}

// leftBehind waits until what the rounds made is gone, and compares.
func (b *bench) leftBehind(ctx context.Context, before counts) error {
	var after counts
	for deadline := time.Now().Add(settleTime); ; time.Sleep(time.Second) {
		var err error
		if after, err = b.count(ctx); err != nil {
			return err
		}
		// Idle connections hold goroutines for a while, so some noise is allowed; what
		// leaks by round is far above it.
		if after.registrations == before.registrations && after.secrets == before.secrets && after.goroutines <= before.goroutines+50 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("left behind: %+v, at the start %+v", after, before)
		}
	}
	fmt.Printf("left behind: %d registrations, %d Secrets; goroutines %d at the start, %d at the end\n",
		after.registrations-before.registrations, after.secrets-before.secrets, before.goroutines, after.goroutines)
	return nil
}

// counts is what may be left behind.
type counts struct{ registrations, secrets, goroutines int }

func (b *bench) count(ctx context.Context) (counts, error) {
	var registered, secrets corev1.SecretList
	ours := []client.ListOption{client.InNamespace(installation.RegistryNamespace), client.MatchingFields{"type": registration.SecretType}}
	if err := b.cluster.List(ctx, &registered, ours...); err != nil {
		return counts{}, fmt.Errorf("count registrations: %w", err)
	}
	if err := b.cluster.List(ctx, &secrets, client.InNamespace(namespace)); err != nil {
		return counts{}, fmt.Errorf("count Secrets: %w", err)
	}
	return counts{len(registered.Items), len(secrets.Items), runtime.NumGoroutine()}, nil
}

// create makes a client and returns when it is Ready.
func (b *bench) create(ctx context.Context, name string) (*v1alpha1.OAuth2Client, error) {
	c := &v1alpha1.OAuth2Client{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.OAuth2ClientSpec{Scopes: []v1alpha1.Scope{"read"}},
	}
	if err := b.cluster.Create(ctx, c); err != nil {
		return nil, fmt.Errorf("create client: %w", err)
	}
	watcher, err := b.cluster.Watch(ctx, &v1alpha1.OAuth2ClientList{}, client.InNamespace(namespace), client.MatchingFields{"metadata.name": name})
	if err != nil {
		return nil, fmt.Errorf("watch client: %w", err)
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		if c, ok := event.Object.(*v1alpha1.OAuth2Client); ok && meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
			return c, nil
		}
	}
	return nil, fmt.Errorf("client %s did not become Ready", name)
}

func (b *bench) fetch(ctx context.Context, credentials *corev1.Secret) (int, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, string(credentials.Data["token_url"]), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, fmt.Errorf("prepare request: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(string(credentials.Data["client_id"]), string(credentials.Data["client_secret"]))
	response, err := b.hallpass.HTTP.Do(request)
	if err != nil {
		return 0, fmt.Errorf("send request: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, nil
}
