// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// lookUps is how often one may need a look-up, so that the token server's budget of them is not
// what is measured.
const lookUps = 25 * time.Millisecond

// applyBesideSecrets times the creation of a plain Secret, the least that any way to a credential
// can cost, and from the creation of a client to its Secret and to the first token that its Secret
// gets, in turns.
func (b *bench) applyBesideSecrets(ctx context.Context, clients int) error {
	var plain, secret, token []time.Duration
	pace := time.NewTicker(lookUps)
	defer pace.Stop()
	for i := range clients {
		<-pace.C
		least := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("plain-%d", i)},
			Data:       map[string][]byte{"client_id": []byte("bench.plain"), "client_secret": make([]byte, 64), "ca.crt": make([]byte, 1024)},
		}
		started := time.Now()
		if err := b.cluster.Create(ctx, least); err != nil {
			return fmt.Errorf("create a plain Secret: %w", err)
		}
		plain = append(plain, time.Since(started))
		if err := b.cluster.Delete(ctx, least); err != nil {
			return fmt.Errorf("delete a plain Secret: %w", err)
		}
		toSecret, toToken, err := b.applyOnce(ctx, fmt.Sprintf("beside-%d", i))
		if err != nil {
			return err
		}
		secret, token = append(secret, toSecret), append(token, toToken)
	}
	table("one plain Secret", plain)
	table("apply -> Secret", secret)
	table("apply -> first token", token)
	ratio := func(took []time.Duration, share float64) float64 {
		return float64(at(took, share)) / float64(at(plain, share))
	}
	fmt.Printf("apply -> Secret takes %.2f times a plain Secret at p50, %.2f at p99; apply -> first token %.2f and %.2f\n",
		ratio(secret, .5), ratio(secret, .99), ratio(token, .5), ratio(token, .99))
	return b.cluster.DeleteAllOf(ctx, &v1alpha1.OAuth2Client{}, client.InNamespace(namespace))
}

// applyOnce creates a client under a watch that is open already.
func (b *bench) applyOnce(ctx context.Context, name string) (toSecret, toToken time.Duration, err error) {
	watcher, err := b.cluster.Watch(ctx, &corev1.SecretList{}, client.InNamespace(namespace), client.MatchingFields{"metadata.name": name})
	if err != nil {
		return 0, 0, fmt.Errorf("watch the client's Secret: %w", err)
	}
	defer watcher.Stop()
	started := time.Now()
	if err := b.cluster.Create(ctx, &v1alpha1.OAuth2Client{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.OAuth2ClientSpec{Scopes: []v1alpha1.Scope{"read"}},
	}); err != nil {
		return 0, 0, fmt.Errorf("create client: %w", err)
	}
	event, ok := <-watcher.ResultChan()
	if !ok {
		return 0, 0, errors.New("the watch of the client's Secret ended")
	}
	credentials, ok := event.Object.(*corev1.Secret)
	if !ok {
		return 0, 0, fmt.Errorf("the watch of the client's Secret says %v", event)
	}
	toSecret = time.Since(started)
	status, err := b.fetch(ctx, credentials)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the first request with a new Secret got %d", status)
	}
	return toSecret, time.Since(started), err
}

// at is a quantile of sorted values.
func at(sorted []time.Duration, share float64) time.Duration {
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// table sorts what was measured and prints a line of percentiles.
func table(what string, took []time.Duration) {
	slices.Sort(took)
	round := func(share float64) time.Duration { return at(took, share).Round(100 * time.Microsecond) }
	fmt.Printf("%-28s n=%-5d p50 %-9s p90 %-9s p99 %-9s max %s\n", what, len(took), round(.5), round(.9), round(.99), round(1))
}
