// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/oauth2client"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/packed"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

const (
	// measured is how many clients the caches are measured with.
	measured = 1000
	// mostAClient is what the caches may hold a client, in bytes. The garbage collector adds
	// half of it, and the queues and the rest of a manager have what is left of 4 KiB.
	mostAClient = 2 << 10
)

// TestTheCachesHoldLittleAClient measures the heap with the OAuth2Clients, their Secrets and their
// registrations in the informers of a manager, and in those of client-go beside it.
func TestTheCachesHoldLittleAClient(t *testing.T) {
	var informers packed.Informers
	trim := oauth2client.Trim(&informers)
	ours := heldAClient(t, informers.New, func(like client.Object) toolscache.TransformFunc {
		if secret, ok := like.(*corev1.Secret); ok && secret.Type == v1alpha1.SecretTypeClient {
			return trim
		}
		return nil
	})
	bare := heldAClient(t, toolscache.NewSharedIndexInformer, func(client.Object) toolscache.TransformFunc { return nil })
	t.Logf("%d bytes a client, %d in the informers of client-go", ours, bare)
	if ours > mostAClient || 3*ours > bare {
		t.Errorf("the caches hold %d bytes a client, want at most %d and a third of %d", ours, mostAClient, bare)
	}
}

type newInformer func(toolscache.ListerWatcher, kruntime.Object, time.Duration, toolscache.Indexers) toolscache.SharedIndexInformer

// heldAClient is by how much the heap grows, in bytes a client.
func heldAClient(t *testing.T, build newInformer, transform func(like client.Object) toolscache.TransformFunc) int {
	t.Helper()
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	var held []toolscache.SharedIndexInformer
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for _, object := range []func(i int) client.Object{clientOf, secretOf, registrationOf} {
		source := &toolscache.ListWatch{
			ListWithContextFunc: func(context.Context, metav1.ListOptions) (kruntime.Object, error) { return listOf(object), nil },
			WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
				return watch.NewFake(), nil
			},
		}
		informer := build(toolscache.ToListWatcherWithWatchListSemantics(source, listed{}), kind(object), 0,
			toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc})
		if err := informer.SetTransform(transform(object(0))); err != nil {
			t.Fatal(err)
		}
		go informer.RunWithContext(ctx)
		if !toolscache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			t.Fatal("an informer does not sync")
		}
		if n := len(informer.GetStore().ListKeys()); n != measured {
			t.Fatalf("an informer has %d of %d objects", n, measured)
		}
		held = append(held, informer)
	}
	after := heap()
	runtime.KeepAlive(held)
	return int(after-before) / measured //nolint:gosec // below the memory of the machine
}

// A Secret that names a client which does not exist takes no more than its name, also if it arrives
// before the clients do, as after a start.
func TestAStartKeepsNothingOfASecretWithoutAClient(t *testing.T) {
	var informers packed.Informers
	reached, known := make(chan struct{}), make(chan struct{})
	trim := oauth2client.Trim(&informers)
	clients := informerOf(t, &informers, &v1alpha1.OAuth2Client{}, nil, func() kruntime.Object {
		<-known
		return &v1alpha1.OAuth2ClientList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []v1alpha1.OAuth2Client{
			*clientOf(0).(*v1alpha1.OAuth2Client), //nolint:forcetypeassert,errcheck // it is one
		}}
	})
	secrets := informerOf(t, &informers, &corev1.Secret{}, func(o any) (any, error) {
		select {
		case <-reached:
		default:
			close(reached)
		}
		return trim(o)
	}, func() kruntime.Object {
		list := &corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
		for i := range 2 {
			list.Items = append(list.Items, *secretOf(i).(*corev1.Secret)) //nolint:forcetypeassert,errcheck // it is one
		}
		return list
	})
	<-reached
	close(known)
	if !toolscache.WaitForCacheSync(t.Context().Done(), clients.HasSynced, secrets.HasSynced) {
		t.Fatal("an informer does not sync")
	}
	for i, reduced := range []bool{false, true} {
		kept, _, err := secrets.GetStore().Get(secretOf(i))
		secret, ok := kept.(*corev1.Secret)
		if err != nil || !ok || output.Reduced(secret) != reduced {
			t.Errorf("of Secret %d the cache has %v, %v", i, kept, err)
		}
	}
}

// informerOf starts an informer that lists what list returns.
func informerOf(
	t *testing.T, informers *packed.Informers, like kruntime.Object, transform toolscache.TransformFunc, list func() kruntime.Object,
) toolscache.SharedIndexInformer {
	t.Helper()
	source := &toolscache.ListWatch{
		ListWithContextFunc:  func(context.Context, metav1.ListOptions) (kruntime.Object, error) { return list(), nil },
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return watch.NewFake(), nil },
	}
	informer := informers.New(toolscache.ToListWatcherWithWatchListSemantics(source, listed{}), like, 0, toolscache.Indexers{})
	if err := informer.SetTransform(transform); err != nil {
		t.Fatal(err)
	}
	go informer.RunWithContext(t.Context())
	return informer
}

type listed struct{}

func (listed) IsWatchListSemanticsUnSupported() bool { return true }

func kind(object func(i int) client.Object) kruntime.Object {
	if _, ok := object(0).(*v1alpha1.OAuth2Client); ok {
		return &v1alpha1.OAuth2Client{}
	}
	return &corev1.Secret{}
}

func listOf(object func(i int) client.Object) kruntime.Object {
	clients, secrets := &v1alpha1.OAuth2ClientList{}, &corev1.SecretList{}
	for i := range measured {
		switch o := object(i).(type) {
		case *v1alpha1.OAuth2Client:
			clients.Items = append(clients.Items, *o)
		case *corev1.Secret:
			secrets.Items = append(secrets.Items, *o)
		}
	}
	if len(clients.Items) > 0 {
		clients.ResourceVersion = "1"
		return clients
	}
	secrets.ResourceVersion = "1"
	return secrets
}

// metaOf is the metadata of an object as the API server returns it.
func metaOf(kind byte, i int, namespace, name string, annotations map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: types.UID(fmt.Sprintf("%c0000000-aaaa-4bbb-8ccc-%012x", kind, i)),
		ResourceVersion: fmt.Sprint(1_000_000 + i), Generation: 1, CreationTimestamp: metav1.NewTime(time.Unix(1_790_000_000, 0)),
		Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}, Annotations: annotations,
		ManagedFields: []metav1.ManagedFieldsEntry{{
			Manager: "hallpass-manager", Operation: metav1.ManagedFieldsOperationUpdate, FieldsType: "FieldsV1",
			FieldsV1: metav1.NewFieldsV1(fmt.Sprintf(`{"f:metadata":{"f:annotations":{".":{},"f:hallpass.dev/client":{}}},"f:type":{},"i":%d}`, i)),
		}},
	}
}

func names(i int) (namespace, name string) {
	return fmt.Sprintf("team-%d", i/100), fmt.Sprintf("service-%d", i)
}

// copied is an object with strings of its own, as it is after decoding.
func copied[T any](o T) *T {
	content, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	var c T
	if err := json.Unmarshal(content, &c); err != nil {
		panic(err)
	}
	return &c
}

func clientOf(i int) client.Object {
	namespace, name := names(i)
	issuer, _ := oauth2.ParseIssuer("https://hallpass.example.com", false)
	now := metav1.NewTime(time.Unix(1_790_000_000, 0))
	return copied(v1alpha1.OAuth2Client{
		ObjectMeta: metaOf('a', i, namespace, name, nil), Spec: v1alpha1.OAuth2ClientSpec{Scopes: []v1alpha1.Scope{"read", "write"}},
		Status: v1alpha1.OAuth2ClientStatus{
			ObservedGeneration: 1, ClientID: namespace + "." + name, Secret: v1alpha1.SecretReference{Name: name},
			Credentials: []v1alpha1.CredentialStatus{{ID: fmt.Sprintf("%012d", i), CreatedAt: now}},
			Grants: []v1alpha1.GrantStatus{{
				Audience: issuer.NamespaceAudience(namespace),
				Scopes:   []v1alpha1.ScopeGrant{{Name: "read", Decision: string(oauth2.Granted)}, {Name: "write", Decision: string(oauth2.Granted)}},
			}},
			Conditions: []metav1.Condition{with(v1alpha1.Registered(), now), with(v1alpha1.GrantsComplete(), now)},
		},
	})
}

func with(condition metav1.Condition, at metav1.Time) metav1.Condition {
	condition.LastTransitionTime, condition.ObservedGeneration = at, 1
	return condition
}

// secret is a client secret that is well-formed, and the same for all clients.
var secret, _ = oauth2.NewClientSecret(zeros{})

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func secretOf(i int) client.Object {
	namespace, name := names(i)
	m := metaOf('b', i, namespace, name, map[string]string{v1alpha1.AnnotationClient: name})
	m.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "OAuth2Client", Name: name, UID: clientOf(i).GetUID(), Controller: new(true), BlockOwnerDeletion: new(false),
	}}
	url := func(path string) []byte { return []byte("https://hallpass.example.com/oauth2/" + path) }
	return copied(corev1.Secret{ObjectMeta: m, Type: v1alpha1.SecretTypeClient, Data: map[string][]byte{
		"client_id": []byte(namespace + "." + name), "client_secret": []byte(secret.Value.Reveal()), "issuer_url": url(""), "token_url": url("token"),
		"jwks_url": url("jwks"), "introspection_url": url("introspect"), "scope": []byte("read write"), "ca.crt": make([]byte, 700),
	}})
}

func registrationOf(i int) client.Object {
	namespace, name := names(i)
	id := namespace + "." + name
	data, err := registration.Encode(registration.Registration{Client: oauth2.Client{
		ID: id, UID: string(clientOf(i).GetUID()), Namespace: namespace, Name: name, Scopes: []string{"read", "write"}, Tokens: oauth2.TokenForm{Lifetime: time.Hour},
		Credentials: oauth2.Credentials{Verifiers: []oauth2.Verifier{{
			ID: secret.ID, Digest: oauth2.DigestSecret(id, secret.Value), CreatedAt: time.Unix(1_790_000_000, 0).UTC(),
		}}},
	}})
	if err != nil {
		panic(err)
	}
	return copied(corev1.Secret{
		ObjectMeta: metaOf('c', i, registration.Namespace, registration.SecretName(id), map[string]string{
			registration.AnnotationClientID: id, v1alpha1.AnnotationClientNamespace: namespace, v1alpha1.AnnotationClient: name,
		}),
		Type: registration.SecretType, Data: data,
	})
}
