// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bulk_test shows that however much one namespace has the manager do, another one waits for
// its share of the work and not for all of it.
package bulk_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

var w *world.World

var must = world.Must

func TestMain(m *testing.M) {
	world.Main(world.Options{}, func(_ context.Context, started *world.World) (int, error) {
		w = started
		return m.Run(), nil
	})
}

const (
	creators = 16
	// rounds is how many first Secrets are waited for, before and during the bulk.
	rounds = 9
	// promised is how long another tenant's first Secret may take. Where the machine needs
	// longer than that, without the bulk or for as many writes beside it, it may take slower
	// times as long.
	promised = time.Second
	slower   = 4
	// writes is how many requests the manager makes for a first Secret, about.
	writes = 5
	poll   = 2 * time.Millisecond
)

// namespace makes a namespace with a label by which the policies here select it.
func namespace(t *testing.T, name string) {
	t.Helper()
	must(t, w.Cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"bulk": name}}}))
}

// createAll creates n objects of a namespace.
func createAll(t *testing.T, n int, object func(i int) client.Object) {
	t.Helper()
	var creating errgroup.Group
	creating.SetLimit(creators)
	for i := range n {
		creating.Go(func() error { return w.Cluster.Create(t.Context(), object(i)) })
	}
	must(t, creating.Wait())
}

// times are how long first Secrets took, and as many writes of the test after each; the longest at
// last.
type times struct{ secrets, writes []time.Duration }

func (s times) longest() (secret, written time.Duration) {
	return s.secrets[rounds-1], s.writes[rounds-1]
}

// firstSecrets measures the first Secrets of some objects, one after the other.
func firstSecrets(t *testing.T, object func(i int) client.Object) (took times) {
	t.Helper()
	for i := range rounds {
		o := object(i)
		started := time.Now()
		must(t, w.Cluster.Create(t.Context(), o))
		err := w.Cluster.Get(t.Context(), client.ObjectKeyFromObject(o), &corev1.Secret{})
		for ; apierrors.IsNotFound(err); err = w.Cluster.Get(t.Context(), client.ObjectKeyFromObject(o), &corev1.Secret{}) {
			time.Sleep(poll)
		}
		must(t, err)
		took.secrets = append(took.secrets, time.Since(started))
		started = time.Now()
		for range writes {
			must(t, w.Cluster.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: o.GetNamespace(), GenerateName: "written-"}}))
		}
		took.writes = append(took.writes, time.Since(started))
	}
	slices.Sort(took.secrets)
	slices.Sort(took.writes)
	return took
}

func clientIn(namespace, name string) func(int) client.Object {
	return func(i int) client.Object {
		c := world.NewClient(fmt.Sprintf("%s-%d", name, i))
		c.Namespace = namespace
		return c
	}
}

func tokenIn(namespace, name string) func(int) client.Object {
	return func(i int) client.Object {
		return &v1alpha1.OAuth2Token{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("%s-%d", name, i)},
			Spec:       v1alpha1.OAuth2TokenSpec{ClientRef: v1alpha1.LocalClientReference{Name: "caller"}, Mode: v1alpha1.TokenRefreshing},
		}
	}
}

// compare compares first Secrets with those that came before the bulk.
func compare(t *testing.T, of string, before, during times) {
	t.Helper()
	alone, _ := before.longest()
	beside, written := during.longest()
	t.Logf("first Secrets of %s took %s and at most %s; beside the bulk %s and at most %s, and %d writes at most %s",
		of, before.secrets[rounds/2], alone, during.secrets[rounds/2], beside, writes, written)
	if limit := max(promised, slower*alone, slower*written); beside > limit {
		t.Errorf("a first Secret of %s took %s beside the bulk of another namespace, want at most %s", of, beside, limit)
	}
}

// countClients is how many clients of a namespace have the reason in their condition Ready.
func countClients(t *testing.T, namespace, reason string) int {
	t.Helper()
	var clients v1alpha1.OAuth2ClientList
	must(t, w.Cluster.List(t.Context(), &clients, client.InNamespace(namespace)))
	return len(slices.DeleteFunc(clients.Items, func(c v1alpha1.OAuth2Client) bool {
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		return ready == nil || ready.Reason != reason
	}))
}

// countUnsettledTokens is how many OAuth2Tokens of a namespace are neither minted nor known to have
// no room for their records.
func countUnsettledTokens(t *testing.T, namespace string) int {
	t.Helper()
	var tokens v1alpha1.OAuth2TokenList
	must(t, w.Cluster.List(t.Context(), &tokens, client.InNamespace(namespace)))
	return len(slices.DeleteFunc(tokens.Items, func(o v1alpha1.OAuth2Token) bool {
		ready := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && (ready.Status == metav1.ConditionTrue || ready.Reason == v1alpha1.ReasonTooManyBytes)
	}))
}

// limitClients limits the clients of a namespace.
func limitClients(t *testing.T, namespace string, most int32) {
	t.Helper()
	policy := &v1alpha1.OAuth2Policy{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: v1alpha1.OAuth2PolicySpec{
			NamespaceSelector: v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{"bulk": v1alpha1.LabelValue(namespace)}}, MaxClients: new(most),
		},
	}
	must(t, w.Cluster.Create(t.Context(), policy))
	world.Eventually(t, "the policy is in force", func() bool {
		must(t, w.Cluster.Get(t.Context(), client.ObjectKeyFromObject(policy), policy))
		return policy.Status.ObservedGeneration > 0
	})
}

// TestManyClientsAreDeletedAtOnce that there was no room for.
func TestManyClientsAreDeletedAtOnce(t *testing.T) {
	bulk := 1500
	if testing.Short() {
		bulk = 150
	}
	namespace(t, "deleting")
	namespace(t, "beside-deleting")
	limitClients(t, "deleting", 1)
	w.Apply(t, "deleting", world.NewClient("a-first-one")) // before the others also by name
	createAll(t, bulk, clientIn("deleting", "bulk"))
	world.EventuallyNone(t, "all but one have no room", func() int { return bulk - countClients(t, "deleting", v1alpha1.ReasonTooManyClients) })
	before := firstSecrets(t, clientIn("beside-deleting", "before"))
	var deleting errgroup.Group
	deleting.Go(func() error {
		return w.Cluster.DeleteAllOf(t.Context(), &v1alpha1.OAuth2Client{}, client.InNamespace("deleting"))
	})
	compare(t, "clients", before, firstSecrets(t, clientIn("beside-deleting", "during")))
	must(t, deleting.Wait())
}

// TestRoomIsGivenAwayAfterABurst to as many clients as there is room for.
func TestRoomIsGivenAwayAfterABurst(t *testing.T) {
	namespace(t, "room")
	limitClients(t, "room", 3)
	for i := range 10 { // in the order of their names, which decides among those of one second
		must(t, w.Cluster.Create(t.Context(), clientIn("room", "c")(i)))
	}
	world.Eventually(t, "three are registered", func() bool {
		return countClients(t, "room", v1alpha1.ReasonRegistered) == 3 && countClients(t, "room", v1alpha1.ReasonTooManyClients) == 7
	})
	var clients v1alpha1.OAuth2ClientList
	must(t, w.Cluster.List(t.Context(), &clients, client.InNamespace("room")))
	for i := range clients.Items {
		if meta.IsStatusConditionTrue(clients.Items[i].Status.Conditions, v1alpha1.ConditionReady) {
			must(t, w.Cluster.Delete(t.Context(), &clients.Items[i]))
		}
	}
	world.Eventually(t, "three others are registered", func() bool {
		return countClients(t, "room", v1alpha1.ReasonRegistered) == 3 && countClients(t, "room", v1alpha1.ReasonTooManyClients) == 4
	})
}

// TestAResourceIsEditedAgainAndAgain that many OAuth2Tokens of one namespace are for.
func TestAResourceIsEditedAgainAndAgain(t *testing.T) {
	bulk := 10_000
	if testing.Short() {
		bulk = 100
	}
	namespace(t, "tokens")
	namespace(t, "beside-tokens")
	resource := &v1alpha1.OAuth2Resource{
		ObjectMeta: metav1.ObjectMeta{Namespace: "tokens", Name: "api"},
		Spec: v1alpha1.OAuth2ResourceSpec{
			Scopes: []v1alpha1.ResourceScope{{Name: "read"}},
			Grants: []v1alpha1.ResourceGrant{{From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{"tokens"}}, Scopes: []v1alpha1.Scope{"read"}}},
		},
	}
	must(t, w.Cluster.Create(t.Context(), resource))
	c := world.NewClient("caller")
	c.Spec.Access = []v1alpha1.Access{{ResourceNamespace: "tokens", ResourceName: "api", Scopes: []v1alpha1.Scope{"read"}}}
	w.Apply(t, "tokens", c)
	w.Apply(t, "beside-tokens", world.NewClient("caller"))
	createAll(t, bulk, tokenIn("tokens", "bulk"))
	world.EventuallyNone(t, "each token is minted, or has no room", func() int { return countUnsettledTokens(t, "tokens") })
	clientsBefore, tokensBefore := firstSecrets(t, clientIn("beside-tokens", "before")), firstSecrets(t, tokenIn("beside-tokens", "token-before"))
	editing, stop := context.WithCancel(t.Context())
	var editor errgroup.Group
	editor.Go(func() error { return editEverySecond(editing, resource) })
	clients, tokens := firstSecrets(t, clientIn("beside-tokens", "during")), firstSecrets(t, tokenIn("beside-tokens", "token-during"))
	stop()
	must(t, editor.Wait())
	compare(t, "clients", clientsBefore, clients)
	compare(t, "OAuth2Tokens", tokensBefore, tokens)
}

// editEverySecond adds a scope to a resource every second, until the context ends.
func editEverySecond(ctx context.Context, resource *v1alpha1.OAuth2Resource) error {
	for i := 0; ; i++ {
		patch := client.MergeFrom(resource.DeepCopy())
		resource.Spec.Scopes = append(resource.Spec.Scopes[:1:1], v1alpha1.ResourceScope{Name: v1alpha1.Scope(fmt.Sprintf("edit-%d", i))})
		if err := w.Cluster.Patch(ctx, resource, patch); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}
