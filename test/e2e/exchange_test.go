// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// allowExchange lets the clients of a namespace exchange tokens.
func allowExchange(t *testing.T, namespace string) {
	t.Helper()
	makeNamespace(t, namespace, nil)
	p := policyOf(namespace, func(spec *v1alpha1.OAuth2PolicySpec) {
		spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantTokenExchange}
	})
	must(t, cluster.Create(t.Context(), p))
	t.Cleanup(func() { must(t, client.IgnoreNotFound(cluster.Delete(context.Background(), p))) })
}

func exchangingClient(name string, access ...v1alpha1.Access) *v1alpha1.OAuth2Client {
	c := newClient(name)
	c.Spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantTokenExchange}
	c.Spec.Access = access
	return c
}

// forExchanged is a grant for exchanged tokens alone.
func forExchanged(namespace string, scopes ...v1alpha1.Scope) v1alpha1.ResourceGrant {
	grant := grantTo(namespace, scopes...)
	grant.Subjects = []v1alpha1.GrantSubject{v1alpha1.SubjectExchanged}
	return grant
}

func exchangeFor(t *testing.T, credentials *corev1.Secret, token, resource string) (int, map[string]any) {
	t.Helper()
	return post(t, credentials, "token_url", url.Values{
		"grant_type": {oauth2.GrantTokenExchange}, "subject_token": {token}, "resource": {resource},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	})
}

// A token is passed on twice: web calls orders, orders calls stock, stock calls files.
func TestATokenIsPassedOnAsOwnersConsent(t *testing.T) {
	for _, namespace := range []string{"pass-orders", "pass-stock", "pass-files"} {
		allowExchange(t, namespace)
	}
	declared := func(namespace string, grants ...v1alpha1.ResourceGrant) *v1alpha1.OAuth2Resource {
		return declare(t, namespace, "api", v1alpha1.OAuth2ResourceSpec{Scopes: scopesNamed("call", "admin"), Grants: grants}, v1alpha1.ReasonDeclared)
	}
	orders := declared("pass-orders", grantTo("pass-web", "call"))
	stock, files := declared("pass-stock", forExchanged("pass-orders", "call")), declared("pass-files", forExchanged("pass-stock", "call"))
	resourceIs(t, files, v1alpha1.ConditionGrantsComplete, v1alpha1.ReasonGranted)

	web := newClient("web")
	web.Spec.Access = []v1alpha1.Access{accessTo("pass-orders", "api", "call"), accessTo("pass-stock", "api", "call")}
	user := credentials(t, apply(t, "pass-web", web))
	second := exchangingClient("api", accessTo("pass-stock", "api", "call", "admin"))
	one := credentials(t, apply(t, "pass-orders", second))
	two := credentials(t, apply(t, "pass-stock", exchangingClient("api", accessTo("pass-files", "api", "call"))))
	three := credentials(t, apply(t, "pass-files", exchangingClient("api")))
	decides(t, second, "read Granted", "call Granted", "admin NotAllowedByResource")

	tokenOf := func(status int, body map[string]any) string {
		t.Helper()
		token, _ := body["access_token"].(string)
		if status != http.StatusOK || token == "" || body["scope"] != "call" {
			t.Fatalf("%d %v", status, body)
		}
		return token
	}
	first := tokenOf(post(t, user, "token_url", url.Values{"grant_type": {"client_credentials"}, "resource": {orders.Status.Identifier}}))
	hop := tokenOf(exchangeFor(t, one, first, stock.Status.Identifier))
	last := tokenOf(exchangeFor(t, two, hop, files.Status.Identifier))
	_, found := post(t, three, "introspection_url", url.Values{"token": {last}})
	got := []any{found["active"], found["sub"], found["sub_type"], found["client_id"], found["act"], found["aud"]}
	want := []any{
		true, "pass-web.web", "client", "pass-stock.api", map[string]any{"sub": "pass-stock.api", "act": map[string]any{"sub": "pass-orders.api"}},
		files.Status.Identifier,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	for name, c := range map[string]struct {
		credentials     *corev1.Secret
		token, resource string
		code            string
	}{
		"a token that was not sent to the client":         {two, first, files.Status.Identifier, "invalid_request"},
		"a client without the grant type":                 {user, first, stock.Status.Identifier, "unauthorized_client"},
		"an API whose owner does not consent":             {one, first, files.Status.Identifier, "invalid_target"},
		"the API that the token is for":                   {one, first, orders.Status.Identifier, "invalid_target"},
		"a token that comes from the client itself":       {one, hop, stock.Status.Identifier, "invalid_request"},
		"what is consented to for exchanged tokens alone": {user, "", stock.Status.Identifier, "invalid_target"},
	} {
		status, body := exchangeFor(t, c.credentials, c.token, c.resource)
		if c.token == "" {
			status, body = post(t, c.credentials, "token_url", url.Values{"grant_type": {"client_credentials"}, "resource": {c.resource}})
		}
		if status != http.StatusBadRequest || body["error"] != c.code {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}

	// The first token ends, and with it all that it was exchanged for.
	user.Data["revocation_url"] = []byte(hallpass.Issuer.URL(oauth2.RevocationPath))
	if status, body := post(t, user, "revocation_url", url.Values{"token": {first}}); status != http.StatusOK {
		t.Fatalf("%d %v", status, body)
	}
	for token, server := range map[string]*corev1.Secret{hop: two, last: three} {
		eventually(t, "the token ends with its ancestor", func() bool {
			_, body := post(t, server, "introspection_url", url.Values{"token": {token}})
			return body["active"] == false
		})
	}
}

// An owner's word is asked again at each use.
func TestAConsentToExchangedTokensIsWithdrawn(t *testing.T) {
	allowExchange(t, "withdraw-orders")
	stock := declare(t, "withdraw-stock", "api", v1alpha1.OAuth2ResourceSpec{
		Scopes: scopesNamed("call"), Grants: []v1alpha1.ResourceGrant{forExchanged("withdraw-orders", "call")},
	}, v1alpha1.ReasonDeclared)
	user := credentials(t, apply(t, "withdraw-orders", newClient("web")))
	api := credentials(t, apply(t, "withdraw-orders", exchangingClient("api", accessTo("withdraw-stock", "api", "call"))))
	server := credentials(t, apply(t, "withdraw-stock", newClient("api")))
	var token string
	eventually(t, "the token is exchanged", func() bool {
		_, body := exchangeFor(t, api, fetch(t, user), stock.Status.Identifier)
		token, _ = body["access_token"].(string)
		return token != ""
	})
	active := func() bool {
		_, body := post(t, server, "introspection_url", url.Values{"token": {token}})
		return body["active"] == true
	}
	if !active() {
		t.Fatal("the token is not good")
	}
	updateResource(t, stock, func() { stock.Spec.Grants[0].Subjects = nil })
	eventually(t, "it is for clients alone now, and the token ends", func() bool { return !active() })
	if status, body := exchangeFor(t, api, fetch(t, user), stock.Status.Identifier); status != http.StatusBadRequest || body["error"] != "invalid_target" {
		t.Errorf("%d %v", status, body)
	}
}

// A token server that does not read exchanged tokens would refuse those that others issue.
func TestExchangedTokensWaitForEveryTokenServer(t *testing.T) {
	allowExchange(t, "mixed-orders")
	old := &v1alpha1.UsageReport{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: installation.RegistryNamespace, Name: "earlier-release", Annotations: map[string]string{v1alpha1.AnnotationAllowDeletion: "true"},
		},
		Spec: v1alpha1.UsageReportSpec{
			Replica: "earlier-release", Part: 1, Parts: 1, State: v1alpha1.UsageServing, StartedAt: metav1.Now(), CoveredUntil: metav1.Now(), Uses: []byte{1, 0, 0, 0},
		},
	}
	must(t, cluster.Create(t.Context(), old))
	t.Cleanup(func() { must(t, client.IgnoreNotFound(cluster.Delete(context.Background(), old))) })
	stock := declare(t, "mixed-stock", "api", v1alpha1.OAuth2ResourceSpec{
		Scopes: scopesNamed("call"), Grants: []v1alpha1.ResourceGrant{forExchanged("mixed-orders", "call")},
	}, v1alpha1.ReasonDeclared)
	resourceIs(t, stock, v1alpha1.ConditionGrantsComplete, v1alpha1.ReasonTokenServersOutdated)
	user := credentials(t, apply(t, "mixed-orders", newClient("web")))
	api := credentials(t, apply(t, "mixed-orders", exchangingClient("api", accessTo("mixed-stock", "api", "call"))))
	eventually(t, "no token is issued yet", func() bool {
		status, body := exchangeFor(t, api, fetch(t, user), stock.Status.Identifier)
		return status == http.StatusServiceUnavailable && body["error"] == "temporarily_unavailable"
	})
	old.Spec.State = v1alpha1.UsageStopped
	must(t, cluster.Update(t.Context(), old))
	resourceIs(t, stock, v1alpha1.ConditionGrantsComplete, v1alpha1.ReasonGranted)
	eventually(t, "tokens are issued", func() bool {
		status, _ := exchangeFor(t, api, fetch(t, user), stock.Status.Identifier)
		return status == http.StatusOK
	})
}

// Only a policy of a cluster administrator allows the grant type.
func TestNoNamespaceAllowsItselfToExchange(t *testing.T) {
	makeNamespace(t, "self-service", nil)
	c := createClient(t, "self-service", exchangingClient("api"))
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonNotAllowedByPolicy)
	allowExchange(t, "self-service")
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonRegistered)
}
