// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

const (
	owners    = "apis"    // the namespace of the resources
	tenants   = "tenants" // the namespace of the clients
	shared    = "shared"  // the resource that all clients ask for
	both      = "both"    // the scope of it that is granted all the time
	toggled   = "toggled" // and the one that comes and goes
	writers   = 16
	patience  = 20 * time.Minute
	lookAgain = 50 * time.Millisecond
)

// world is an installation with its clients and resources.
type world struct {
	settings

	cp       *controlplane.ControlPlane
	hallpass *installation.Running
	cluster  client.Client
}

func start(ctx context.Context, s settings) (*world, error) {
	cp, err := controlplane.Start(ctx, controlplane.Options{})
	if err != nil {
		return nil, err
	}
	w := &world{settings: s, cp: cp}
	if w.hallpass, err = installation.Run(ctx, cp, s.root, installation.Options{}); err != nil {
		return nil, errors.Join(err, cp.Stop())
	}
	config := cp.AdminConfig()
	config.QPS = -1
	w.cluster, err = installation.Connect(config)
	for _, namespace := range []string{owners, tenants} {
		if err == nil {
			err = w.cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
		}
	}
	if err != nil {
		return nil, errors.Join(err, w.hallpass.Stop(), cp.Stop())
	}
	return w, nil
}

// each does something for all numbers up to n, several at once.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// resource is a resource that gives scopes to all clients.
func resource(name string, scopes ...v1alpha1.Scope) *v1alpha1.OAuth2Resource {
	return &v1alpha1.OAuth2Resource{
		ObjectMeta: metav1.ObjectMeta{Namespace: owners, Name: name},
		Spec: v1alpha1.OAuth2ResourceSpec{
			Scopes: []v1alpha1.ResourceScope{{Name: both}, {Name: toggled}},
			Grants: []v1alpha1.ResourceGrant{{From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{tenants}}, Scopes: scopes}},
		},
	}
}

func clientName(i int) string { return fmt.Sprintf("client-%d", i) }

// apiOf is the resource that a client asks for beside the shared one.
func (w *world) apiOf(i int) string { return fmt.Sprintf("api-%d", i%max(w.resources-1, 1)) }

// populate makes the resources and the clients, and waits until the status of all is as it should
// be.
func (w *world) populate(ctx context.Context) error {
	if err := w.cluster.Create(ctx, resource(shared, both)); err != nil {
		return fmt.Errorf("create the shared resource: %w", err)
	}
	err := each(ctx, w.resources-1, func(ctx context.Context, i int) error {
		return w.cluster.Create(ctx, resource(fmt.Sprintf("api-%d", i), both, toggled))
	})
	if err != nil {
		return fmt.Errorf("create resources: %w", err)
	}
	started := time.Now()
	err = each(ctx, w.clients, func(ctx context.Context, i int) error {
		ask := func(name string) v1alpha1.Access {
			return v1alpha1.Access{ResourceNamespace: owners, ResourceName: name, Scopes: []v1alpha1.Scope{both, toggled}}
		}
		return w.cluster.Create(ctx, &v1alpha1.OAuth2Client{
			ObjectMeta: metav1.ObjectMeta{Namespace: tenants, Name: clientName(i)},
			Spec:       v1alpha1.OAuth2ClientSpec{Access: []v1alpha1.Access{ask(shared), ask(w.apiOf(i))}},
		})
	})
	if err != nil {
		return fmt.Errorf("create clients: %w", err)
	}
	w.say("clients created after", time.Since(started))
	if err := w.settled(ctx, both); err != nil {
		return err
	}
	w.say("all of them Ready, with their grants in the status, after", time.Since(started))
	return nil
}

func (w *world) say(what string, took time.Duration) {
	_, _ = fmt.Fprintf(w.output, "%-60s %s\n", what, took.Round(time.Millisecond))
}

// settled waits until the status of every client has exactly these scopes of the shared resource as
// granted.
func (w *world) settled(ctx context.Context, scopes ...string) error {
	slices.Sort(scopes)
	right := func(c *v1alpha1.OAuth2Client) bool {
		var granted []string
		for _, grant := range c.Status.Grants {
			for _, scope := range grant.Scopes {
				if grant.Resource.Name == shared && scope.Decision == string(oauth2.Granted) {
					granted = append(granted, string(scope.Name))
				}
			}
		}
		slices.Sort(granted)
		return slices.Equal(granted, scopes) && meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady)
	}
	// Reading all of them costs the API server something, so the more there are the less often
	// that is done.
	between := lookAgain + time.Duration(w.clients)*time.Millisecond
	for deadline := time.Now().Add(patience); ; time.Sleep(between) {
		var clients v1alpha1.OAuth2ClientList
		if err := w.cluster.List(ctx, &clients, client.InNamespace(tenants)); err != nil {
			return fmt.Errorf("list clients: %w", err)
		}
		wrong := slices.IndexFunc(clients.Items, func(c v1alpha1.OAuth2Client) bool { return !right(&c) })
		if wrong < 0 && len(clients.Items) == w.clients {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("the clients did not come to rest")
		}
	}
}

// changeGrants gives and takes a scope that every client asks for, and times until a token request
// shows it.
func (w *world) changeGrants(ctx context.Context) error {
	var secret corev1.Secret
	if err := w.cluster.Get(ctx, client.ObjectKey{Namespace: tenants, Name: clientName(0)}, &secret); err != nil {
		return fmt.Errorf("read credentials: %w", err)
	}
	var took []time.Duration
	for i := range w.changes {
		scopes, want := []v1alpha1.Scope{both, toggled}, both+" "+toggled
		if i%2 == 1 {
			scopes, want = scopes[:1], both
		}
		var r v1alpha1.OAuth2Resource
		if err := w.cluster.Get(ctx, client.ObjectKey{Namespace: owners, Name: shared}, &r); err != nil {
			return fmt.Errorf("read the shared resource: %w", err)
		}
		before := r.DeepCopy()
		r.Spec.Grants[0].Scopes = scopes
		started := time.Now()
		if err := w.cluster.Patch(ctx, &r, client.MergeFrom(before)); err != nil {
			return fmt.Errorf("change grants: %w", err)
		}
		for {
			granted, err := w.fetch(ctx, &secret)
			if err != nil {
				return err
			}
			if granted == want {
				break
			}
			if time.Since(started) > patience {
				return errors.New("a change of grants is not honoured")
			}
		}
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	w.say("a changed grant honoured by the token server, p50", took[len(took)/2])
	w.say("a changed grant honoured by the token server, worst", took[len(took)-1])
	last := time.Now()
	want := []string{both}
	if w.changes%2 == 1 {
		want = append(want, toggled)
	}
	err := w.settled(ctx, want...)
	w.say("the status of all clients has followed the last change after", time.Since(last))
	return err
}

// fetch fetches a token for the shared resource and returns its scope.
func (w *world) fetch(ctx context.Context, credentials *corev1.Secret) (string, error) {
	identifier := w.hallpass.Issuer.ResourceIdentifier(oauth2.ObjectName{Namespace: owners, Name: shared})
	form := url.Values{"grant_type": {oauth2.GrantClientCredentials}, "resource": {identifier}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, string(credentials.Data["token_url"]), strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("prepare request: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(string(credentials.Data["client_id"]), string(credentials.Data["client_secret"]))
	response, err := w.hallpass.HTTP.Do(request)
	if err != nil {
		return "", fmt.Errorf("fetch a token: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Scope string `json:"scope"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("read an answer: %w", err)
	}
	return answer.Scope, nil
}

// observed waits until the status of every resource is of its present spec and counts all clients,
// which follows them by a second: what a manager that is stopped before leaves undone, the next one
// writes.
func (w *world) observed(ctx context.Context) error {
	asking := map[string]int32{shared: int32(w.clients)} //nolint:gosec // a few thousand
	for i := range w.clients {
		asking[w.apiOf(i)]++
	}
	behind := func(r v1alpha1.OAuth2Resource) bool {
		return r.Status.ObservedGeneration != r.Generation || r.Status.Clients == nil || *r.Status.Clients != asking[r.Name]
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(lookAgain) {
		var resources v1alpha1.OAuth2ResourceList
		if err := w.cluster.List(ctx, &resources, client.InNamespace(owners)); err != nil {
			return fmt.Errorf("list resources: %w", err)
		}
		if !slices.ContainsFunc(resources.Items, behind) {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("the resources did not come to rest")
		}
	}
}

// restart lets a new manager begin, times until a new client is Ready, and counts what it writes
// about the rest.
func (w *world) restart(ctx context.Context) error {
	if err := w.observed(ctx); err != nil {
		return err
	}
	if err := w.hallpass.StopManager(); err != nil {
		return err
	}
	late := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: tenants, Name: "late"}}
	if err := w.cluster.Create(ctx, late); err != nil {
		return fmt.Errorf("create a client: %w", err)
	}
	started := time.Now()
	if err := w.hallpass.StartManager(ctx); err != nil {
		return err
	}
	for !meta.IsStatusConditionTrue(late.Status.Conditions, v1alpha1.ConditionReady) {
		if time.Since(started) > patience {
			return errors.New("a restarted manager does not work")
		}
		time.Sleep(lookAgain)
		if err := w.cluster.Get(ctx, client.ObjectKeyFromObject(late), late); err != nil {
			return fmt.Errorf("read a client: %w", err)
		}
	}
	w.say("a restarted manager has made a client Ready after", time.Since(started))
	time.Sleep(w.idle)
	user := "system:serviceaccount:" + installation.SystemNamespace + ":" + installation.ManagerAccount
	events, err := w.cp.AuditEvents()
	if err != nil {
		return err
	}
	writes := 0
	for _, e := range events {
		aboutLate := e.Object.Name == late.Name || e.Object.Name == registration.SecretName(late.ClientID()) || e.Object.Resource == "events"
		if e.User.Name == user && e.IsWrite() && e.Time.After(started) && !aboutLate {
			_, _ = fmt.Fprintf(w.output, "  %s %+v\n", e.Verb, e.Object)
			writes++
		}
	}
	_, _ = fmt.Fprintf(w.output, "%-60s %d\n", "writes of the restarted manager about what has not changed", writes)
	if writes > 0 {
		return errors.New("the manager writes although nothing has changed")
	}
	return nil
}
