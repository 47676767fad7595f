// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// operated is a cluster on which both processes run.
type operated struct {
	*cluster

	hallpass *installation.Running
	objects  client.Client
}

func startNarrow(t *testing.T) *operated {
	t.Helper()
	n := &operated{cluster: share(t, ofNamespaced)}
	for _, namespace := range []string{"shop", "orders", "elsewhere"} {
		n.restrict(t, namespace)
	}
	n.start(t, installation.Options{Kustomization: ofNamespaced, Namespaces: []string{"shop", "orders"}, AllowGrantTypes: []string{string(v1alpha1.GrantTokenExchange)}})
	t.Cleanup(func() { must(t, n.hallpass.Stop()) })
	return n
}

// begin starts both processes for the whole cluster on what is installed already.
func (n *operated) begin(t *testing.T) {
	t.Helper()
	n.start(t, installation.Options{Kustomization: "config/namespaces"})
	running := n.hallpass
	t.Cleanup(func() {
		if n.hallpass == running { // and was not stopped before
			must(t, running.Stop())
		}
	})
}

func (n *operated) start(t *testing.T, options installation.Options) {
	t.Helper()
	var err error
	n.hallpass, err = installation.Run(t.Context(), n.ControlPlane, root, options)
	must(t, err)
	n.objects, err = installation.Connect(n.AdminConfig())
	must(t, err)
}

func (n *operated) create(t *testing.T, o client.Object) {
	t.Helper()
	must(t, n.objects.Create(t.Context(), o))
}

// await waits until an object has a condition for a reason.
func (n *operated) await(t *testing.T, o client.Object, kind, reason string) {
	t.Helper()
	var found *metav1.Condition
	eventually(t, func() bool {
		must(t, n.objects.Get(t.Context(), client.ObjectKeyFromObject(o), o))
		switch object := o.(type) {
		case *v1alpha1.OAuth2Client:
			found = meta.FindStatusCondition(object.Status.Conditions, kind)
		case *v1alpha1.OAuth2Resource:
			found = meta.FindStatusCondition(object.Status.Conditions, kind)
		}
		return found != nil && found.Reason == reason
	}, func() string { return o.GetName() + " has " + reason + "; it has " + describe(found) })
}

func describe(c *metav1.Condition) string {
	if c == nil {
		return "no such condition"
	}
	return c.Reason + ": " + c.Message
}

// token asks for one with what is in the client's Secret.
func (n *operated) token(t *testing.T, namespace, name string, form url.Values) (status int) {
	t.Helper()
	var secret corev1.Secret
	must(t, n.objects.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &secret))
	form.Set("grant_type", "client_credentials")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, string(secret.Data["token_url"]), strings.NewReader(form.Encode()))
	must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(string(secret.Data["client_id"]), string(secret.Data["client_secret"]))
	response, err := n.hallpass.HTTP.Do(request)
	if err != nil {
		// a server that starts again has another address, which the Secret gets in a moment
		t.Logf("no answer yet: %v", err)
		return 0
	}
	must(t, response.Body.Close())
	return response.StatusCode
}

func eventually(t *testing.T, condition func() bool, what func() string) {
	t.Helper()
	if err := installation.Wait(t.Context(), "it is so", func() (bool, error) { return condition(), nil }); err != nil {
		t.Fatalf("%v: %s", err, what())
	}
}

// TestAManagerWorksInItsNamespacesWithRightsInTheseAlone walks what a cluster-wide installation
// does, with the roles of config/namespaced and no others: the API server refuses the manager
// nothing that it asks for.
func TestAManagerWorksInItsNamespacesWithRightsInTheseAlone(t *testing.T) {
	n := startNarrow(t)
	consenting := func(name string, from v1alpha1.GrantSource) *v1alpha1.OAuth2Resource {
		return &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: "orders", Name: name}, Spec: v1alpha1.OAuth2ResourceSpec{
			Scopes: []v1alpha1.ResourceScope{{Name: "orders.read"}},
			Grants: []v1alpha1.ResourceGrant{{Scopes: []v1alpha1.Scope{"orders.read"}, From: from}},
		}}
	}
	byName := consenting("by-name", v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{"shop"}})
	byLabel := consenting("by-label", v1alpha1.GrantSource{NamespaceSelector: v1alpha1.LabelMatch{
		MatchLabels: map[string]v1alpha1.LabelValue{"kubernetes.io/metadata.name": "shop"},
	}})
	n.create(t, byName)
	n.create(t, byLabel)
	n.await(t, byName, v1alpha1.ConditionReady, v1alpha1.ReasonDeclared)
	n.await(t, byLabel, v1alpha1.ConditionGrantsComplete, v1alpha1.ReasonSelectorNotAvailable)

	// there are no trusted issuers, and the condition says so
	job := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "job"}}
	job.Spec.Authentication = v1alpha1.AuthenticationSpec{
		Method: v1alpha1.ByFederatedToken, FederatedToken: v1alpha1.FederatedTokenSpec{IssuerName: "github", Subject: "repo:octo-org/octo-repo:environment:prod"},
	}
	n.create(t, job)
	n.await(t, job, v1alpha1.ConditionReady, v1alpha1.ReasonIssuerNotFound)
	if ready := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady); !strings.Contains(ready.Message, "restricted to chosen namespaces") {
		t.Errorf("the condition says %q", ready.Message)
	}

	caller := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "caller"}, Spec: v1alpha1.OAuth2ClientSpec{
		Scopes: []v1alpha1.Scope{"read"},
		// which a flag allows, because there are no policies
		GrantTypes: []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantTokenExchange},
		Access: []v1alpha1.Access{
			{ResourceNamespace: "orders", ResourceName: "by-name", Scopes: []v1alpha1.Scope{"orders.read"}},
			{ResourceNamespace: "orders", ResourceName: "by-label", Scopes: []v1alpha1.Scope{"orders.read"}},
			{ResourceNamespace: "elsewhere", ResourceName: "unknown", Scopes: []v1alpha1.Scope{"x"}},
		},
	}}
	outside := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "elsewhere", Name: "outside"}, Spec: v1alpha1.OAuth2ClientSpec{Scopes: []v1alpha1.Scope{"read"}}}
	n.create(t, outside)
	n.create(t, caller)
	n.await(t, caller, v1alpha1.ConditionReady, v1alpha1.ReasonRegistered)
	for resource, want := range map[string]int{"by-name": http.StatusOK, "by-label": http.StatusBadRequest} {
		if got := n.token(t, "shop", "caller", url.Values{"resource": {n.hallpass.Issuer.String() + "/resources/orders/" + resource}}); got != want {
			t.Errorf("a token for %s: %d, want %d", resource, got, want)
		}
	}

	must(t, n.objects.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "caller"}}))
	eventually(t, func() bool {
		err := n.objects.Get(t.Context(), client.ObjectKeyFromObject(caller), &corev1.Secret{})
		return err == nil && n.token(t, "shop", "caller", url.Values{}) == http.StatusOK
	}, func() string { return "the Secret is healed" })
	must(t, n.hallpass.StopManager())
	must(t, n.hallpass.StartManager(t.Context()))
	must(t, n.objects.Delete(t.Context(), caller))
	record := client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.SecretName("shop.caller")}
	eventually(t, func() bool { return apierrors.IsNotFound(n.objects.Get(t.Context(), record, &corev1.Secret{})) }, func() string { return "the registration is removed" })

	must(t, n.objects.Get(t.Context(), client.ObjectKeyFromObject(outside), outside))
	if len(outside.Status.Conditions) > 0 {
		t.Errorf("a client outside the namespaces has the conditions %v", outside.Status.Conditions)
	}
	events, err := n.AuditEvents()
	must(t, err)
	asked := 0
	for _, event := range events {
		if event.User.Name != "system:serviceaccount:"+system+":"+installation.ManagerAccount {
			continue
		}
		asked++
		if event.Response.Code == http.StatusForbidden {
			t.Errorf("the manager was refused: %s %+v", event.Verb, event.Object)
		}
		if !slices.Contains([]string{"", "shop", "orders", system, installation.RegistryNamespace}, event.Object.Namespace) {
			t.Errorf("the manager asked for %s %+v", event.Verb, event.Object)
		}
	}
	if asked == 0 {
		t.Error("the audit log has nothing of the manager")
	}
}
