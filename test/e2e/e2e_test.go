// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e_test walks the whole journey: both binaries' Run functions on a real control plane,
// with the rights of their own service accounts, called by the OAuth and OpenID Connect clients
// that people use.
package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// The installation that all tests of this package share.
var (
	shared   *world.World
	hallpass *installation.Running
	cluster  client.Client

	must, eventually, freeAddress, newClient = world.Must, world.Eventually, world.FreeAddress, world.NewClient
)

// mutationDetector makes client-go's caches look for objects that were changed in place, and panic.
// It is read before any code of this package runs.
const mutationDetector = "KUBE_CACHE_MUTATION_DETECTOR"

func TestMain(m *testing.M) {
	if os.Getenv(mutationDetector) == "" {
		err := syscall.Exec(os.Args[0], os.Args, append(os.Environ(), mutationDetector+"=true"))
		fmt.Fprintln(os.Stderr, "start again with", mutationDetector, err)
		os.Exit(1)
	}
	world.Main(world.Options{Installation: installation.Options{IssuerFetcher: network.Fetcher(), LoginURL: loginURL}}, func(ctx context.Context, w *world.World) (int, error) {
		use(w)
		code := m.Run()
		if code == 0 && everyTestRuns() {
			return 0, waitForUses(ctx)
		}
		return code, nil
	})
}

// loginURL is the origin of a login. None runs there.
const loginURL = "https://login.test"

// use makes a cluster the one that the functions of this package work in.
func use(w *world.World) { shared, hallpass, cluster = w, w.Hallpass, w.Cluster }

func root() string { return filepath.Join("..", "..") }

func TestAnOAuthLibraryFetchesATokenThatAnOIDCLibraryVerifies(t *testing.T) {
	c := apply(t, "library", &v1alpha1.OAuth2Client{
		ObjectMeta: metav1.ObjectMeta{Name: "caller"},
		Spec:       v1alpha1.OAuth2ClientSpec{Scopes: []v1alpha1.Scope{"read", "write"}, TokenLifetime: "10m"},
	})
	secret := credentials(t, c)
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, hallpass.HTTP)
	for name, style := range map[string]oauth2.AuthStyle{"Basic": oauth2.AuthStyleInHeader, "body": oauth2.AuthStyleInParams} {
		t.Run(name, func(t *testing.T) {
			config := clientcredentials.Config{
				ClientID: string(secret.Data["client_id"]), ClientSecret: string(secret.Data["client_secret"]),
				TokenURL: string(secret.Data["token_url"]), Scopes: []string{"read"}, AuthStyle: style,
			}
			asked := time.Now()
			token, err := config.Token(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(token.Expiry); token.TokenType != "Bearer" || left > 10*time.Minute || token.Expiry.Before(asked.Add(9*time.Minute)) {
				t.Errorf("token of type %s that expires in %s; want Bearer in 10 minutes", token.TokenType, left)
			}
			if token.Extra("scope") != "read" {
				t.Errorf("granted scope %v, want read", token.Extra("scope"))
			}
			provider, err := oidc.NewProvider(oidc.ClientContext(t.Context(), hallpass.HTTP), string(secret.Data["issuer_url"]))
			if err != nil {
				t.Fatal(err)
			}
			verified, err := provider.Verifier(&oidc.Config{ClientID: hallpass.Issuer.NamespaceAudience("library")}).Verify(ctx, token.AccessToken)
			if err != nil {
				t.Fatal(err)
			}
			if verified.Subject != "library.caller" {
				t.Errorf("sub = %q, want library.caller", verified.Subject)
			}
			if _, err := provider.Verifier(&oidc.Config{ClientID: "somebody-else"}).Verify(ctx, token.AccessToken); err == nil {
				t.Error("a verifier for another audience accepts the token")
			}
		})
	}
}

func TestIntrospectionAnswersTheTokensOwnNamespaceAlone(t *testing.T) {
	caller := credentials(t, apply(t, "inside", newClient("caller")))
	neighbour := credentials(t, apply(t, "inside", newClient("api")))
	stranger := credentials(t, apply(t, "outside", newClient("api")))
	token := fetch(t, caller)
	for who, want := range map[*corev1.Secret]bool{caller: true, neighbour: true, stranger: false} {
		status, body := post(t, who, "introspection_url", url.Values{"token": {token}})
		if active, _ := body["active"].(bool); status != http.StatusOK || active != want {
			t.Errorf("introspection by %s: %d %v, want active %t", who.Data["client_id"], status, body, want)
		}
		if !want && len(body) != 1 {
			t.Errorf("a stranger learns %v", body)
		}
	}
}

func TestTheFirstRequestRightAfterReadySucceeds(t *testing.T) {
	for i := range 50 {
		c := apply(t, "eager", newClient(fmt.Sprintf("client-%d", i)))
		if status, body := post(t, credentials(t, c), "token_url", url.Values{"grant_type": {"client_credentials"}}); status != http.StatusOK {
			t.Fatalf("round %d: %d %v", i, status, body)
		}
	}
}

func TestASuspendedClientIsRefusedAndItsTokensToo(t *testing.T) {
	c := apply(t, "suspension", newClient("caller"))
	secret := credentials(t, c)
	api := credentials(t, apply(t, "suspension", newClient("api")))
	token := fetch(t, secret)
	update(t, c, func() { c.Spec.State = v1alpha1.ClientSuspended })
	eventually(t, "the suspended client is refused", func() bool {
		status, body := post(t, secret, "token_url", url.Values{"grant_type": {"client_credentials"}})
		return status == http.StatusUnauthorized && body["error"] == "invalid_client"
	})
	if _, body := post(t, api, "introspection_url", url.Values{"token": {token}}); body["active"] != false {
		t.Errorf("the token of a suspended client: %v, want inactive", body)
	}
	update(t, c, func() { c.Spec.State = v1alpha1.ClientActive })
	eventually(t, "the client is let in again with the same secret", func() bool {
		status, _ := post(t, secret, "token_url", url.Values{"grant_type": {"client_credentials"}})
		return status == http.StatusOK
	})
}

func TestADeletedClientIsRefusedWithoutTheManagerToo(t *testing.T) {
	c := apply(t, "deletion", newClient("caller"))
	secret := credentials(t, c)
	api := credentials(t, apply(t, "deletion", newClient("api")))
	token := fetch(t, secret)
	if err := hallpass.StopManager(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := hallpass.StartManager(t.Context()); err != nil {
			t.Fatal(err)
		}
		key := client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.SecretName("deletion.caller")}
		eventually(t, "the manager sweeps the registration when it is back", func() bool {
			return apierrors.IsNotFound(cluster.Get(context.Background(), key, &corev1.Secret{}))
		})
	}()
	if err := cluster.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	deleted := time.Now()
	eventually(t, "the deleted client is refused", func() bool {
		status, _ := post(t, secret, "token_url", url.Values{"grant_type": {"client_credentials"}})
		return status == http.StatusUnauthorized
	})
	t.Logf("refused %s after the deletion", time.Since(deleted).Round(time.Millisecond))
	if _, body := post(t, api, "introspection_url", url.Values{"token": {token}}); body["active"] != false {
		t.Errorf("the token of a deleted client: %v, want inactive", body)
	}
}

func TestAClientCreatedAgainDoesNotReviveItsOldTokens(t *testing.T) {
	c := apply(t, "again", newClient("caller"))
	old := credentials(t, c)
	token := fetch(t, old)
	if err := cluster.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the old Secret is gone", func() bool {
		return apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKeyFromObject(old), &corev1.Secret{}))
	})
	fresh := credentials(t, apply(t, "again", newClient("caller")))
	if _, body := post(t, fresh, "introspection_url", url.Values{"token": {token}}); body["active"] != false {
		t.Errorf("a token from before the client was created again: %v, want inactive", body)
	}
	if status, _ := post(t, old, "token_url", url.Values{"grant_type": {"client_credentials"}}); status != http.StatusUnauthorized {
		t.Errorf("the old secret gets %d, want 401", status)
	}
}

func TestNoSecretAndNoTokenIsLogged(t *testing.T) {
	secret := credentials(t, apply(t, "canary", newClient("caller")))
	token := fetch(t, secret)
	post(t, secret, "introspection_url", url.Values{"token": {token}})
	for what, value := range map[string]string{
		"the client secret": string(secret.Data["client_secret"]), "the token": token, "the token's signature": token[strings.LastIndex(token, ".")+1:],
	} {
		if strings.Contains(hallpass.Log.String(), value) {
			t.Errorf("%s is in the log", what)
		}
		audit, err := os.ReadFile(hallpass.ControlPlane.AuditLog())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(audit), value) {
			t.Errorf("%s is in the API server's audit log", what)
		}
	}
	if !strings.Contains(hallpass.Log.String(), `"client_id":"canary.caller"`) {
		t.Error("the log has no line about the client at all")
	}
}

func apply(t *testing.T, namespace string, c *v1alpha1.OAuth2Client) *v1alpha1.OAuth2Client {
	t.Helper()
	return shared.Apply(t, namespace, c)
}

func update(t *testing.T, c *v1alpha1.OAuth2Client, change func()) {
	t.Helper()
	eventually(t, "the change is accepted", func() bool {
		if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil {
			t.Fatal(err)
		}
		change()
		return cluster.Update(t.Context(), c) == nil
	})
}

func credentials(t *testing.T, c *v1alpha1.OAuth2Client) *corev1.Secret {
	t.Helper()
	return shared.Credentials(t, c)
}

func fetch(t *testing.T, credentials *corev1.Secret) string {
	t.Helper()
	return shared.Fetch(t, credentials, string(credentials.Data["token_url"]))
}

// post sends a form to the URL in an entry of the credentials, with Basic authentication.
func post(t *testing.T, credentials *corev1.Secret, entry string, form url.Values) (int, map[string]any) {
	t.Helper()
	return shared.Post(t, credentials, string(credentials.Data[entry]), form)
}
