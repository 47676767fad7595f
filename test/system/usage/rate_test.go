// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

const (
	// activeClients is how many clients are used at once, unless HALLPASS_ACTIVE sets another
	// number.
	activeClients = 60
	// maxWrites is how many writes a second the reports may cost in all.
	maxWrites = 20
)

func TestManyActiveClientsCostTwentyWritesASecondAtTheMost(t *testing.T) {
	clients := activeClients
	if value := os.Getenv("HALLPASS_ACTIVE"); value != "" {
		var err error
		clients, err = strconv.Atoi(value)
		must(t, err)
	}
	const namespace = "active"
	secrets := createAll(t, namespace, clients)
	begun := time.Now()
	each(secrets, func(secret *corev1.Secret) { fetch(t, secret) })
	used := time.Since(begun)
	patience := time.Now().Add(3*time.Minute + time.Duration(clients)*time.Second/10)
	for told := 0; told < clients; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatalf("only %d of %d clients are told of", told, clients)
		}
		var list v1alpha1.OAuth2ClientList
		must(t, cluster.List(t.Context(), &list, client.InNamespace(namespace)))
		told = 0
		for i := range list.Items {
			if !list.Items[i].Status.LastUsedAt.IsZero() {
				told++
			}
		}
	}
	took := time.Since(begun)
	var perSecond map[int64]int
	eventually(t, "the audit log has the write of every status", func() bool {
		var statuses int
		perSecond, statuses = tellingWrites(t, begun)
		return statuses >= clients
	})
	most := 0
	for second, writes := range perSecond {
		most = max(most, writes)
		if writes > maxWrites {
			t.Errorf("%d writes in the second %d", writes, second)
		}
	}
	t.Logf("%d clients were used within %s and told of within %s; at most %d writes in a second", clients,
		used.Round(time.Millisecond), took.Round(time.Millisecond), most)
}

// TestAFloodOfWrongSecretsChangesFiveStatusesASecondAtTheMost sends each of many clients' ids with
// a wrong secret. The time that it takes until the last status has it bounds the rate.
func TestAFloodOfWrongSecretsChangesFiveStatusesASecondAtTheMost(t *testing.T) {
	const clients, perSecond = 30, 5
	const namespace = "flooded"
	secrets := createAll(t, namespace, clients)
	begun := time.Now()
	each(secrets, func(secret *corev1.Secret) {
		secret.Data["client_secret"] = []byte(strings.Repeat("x", 43))
		eventually(t, "the wrong secret is refused", func() bool {
			status, _ := shared.Post(t, secret, hallpass.Issuer.URL("/oauth2/token"), url.Values{"grant_type": {"client_credentials"}})
			return status == http.StatusUnauthorized
		})
	})
	eventually(t, "each client has its refusal", func() bool {
		var list v1alpha1.OAuth2ClientList
		must(t, cluster.List(t.Context(), &list, client.InNamespace(namespace)))
		for i := range list.Items {
			if len(list.Items[i].Status.Refusals) == 0 {
				return false
			}
		}
		return true
	})
	if took, least := time.Since(begun), (clients-1)*time.Second/perSecond; took < least {
		t.Errorf("%d statuses were changed within %s, want %s or more", clients, took.Round(time.Millisecond), least)
	}
}

// tellingWrites counts the writes since then that the reports of use cost, by the second, and those
// of statuses among them.
func tellingWrites(t *testing.T, since time.Time) (perSecond map[int64]int, statuses int) {
	t.Helper()
	events, err := hallpass.ControlPlane.AuditEvents()
	must(t, err)
	perSecond = map[int64]int{}
	for i := range events {
		if e := &events[i]; e.Time.After(since) && tellsOfUse(e) {
			perSecond[e.Time.Unix()]++
			if e.Object.Resource == "oauth2clients" {
				statuses++
			}
		}
	}
	return perSecond, statuses
}

// createAll makes so many clients and waits until all have their credentials and their statuses are
// at rest.
func createAll(t *testing.T, namespace string, clients int) []*corev1.Secret {
	t.Helper()
	err := cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	for i := range clients {
		must(t, cluster.Create(t.Context(), &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("client-%d", i)}}))
	}
	var list corev1.SecretList
	for deadline := time.Now().Add(3*time.Minute + time.Duration(clients)*100*time.Millisecond); ; time.Sleep(200 * time.Millisecond) {
		var made v1alpha1.OAuth2ClientList
		must(t, cluster.List(t.Context(), &made, client.InNamespace(namespace)))
		ready := 0
		for i := range made.Items {
			if len(made.Items[i].Status.Credentials) > 0 {
				ready++
			}
		}
		if ready == clients {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d of %d clients are ready", ready, clients)
		}
	}
	must(t, cluster.List(t.Context(), &list, client.InNamespace(namespace)))
	var secrets []*corev1.Secret
	for i := range list.Items {
		if list.Items[i].Type == v1alpha1.SecretTypeClient {
			secrets = append(secrets, &list.Items[i])
		}
	}
	if len(secrets) != clients {
		t.Fatalf("%d Secrets for %d clients", len(secrets), clients)
	}
	return secrets
}

// each does something with all Secrets, several at a time.
func each(secrets []*corev1.Secret, do func(*corev1.Secret)) {
	var running sync.WaitGroup
	const workers = 8
	for worker := range workers {
		running.Go(func() {
			for i := worker; i < len(secrets); i += workers {
				do(secrets[i])
			}
		})
	}
	running.Wait()
}

// tellsOfUse returns whether a request belongs to the reports of use: a report, or a status or an
// event about it.
func tellsOfUse(e *controlplane.AuditEvent) bool {
	if !e.IsWrite() || !strings.HasPrefix(e.User.Name, "system:serviceaccount:hallpass-system:") {
		return false
	}
	switch e.Object.Resource {
	case "usagereports", "events":
		return true
	case "oauth2clients":
		return strings.Contains(string(e.Request), "lastUsedAt") || strings.Contains(string(e.Request), "staleUses")
	}
	return false
}
