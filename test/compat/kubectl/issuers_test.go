// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl_test

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
)

// inlineKeys is a set with a key of RFC 8037.
const inlineKeys = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

// trust creates an issuer whose keys are in its spec. It is deleted with the test.
func trust(t *testing.T, name, issuer string, change func(*v1alpha1.OAuth2TrustedIssuerSpec)) {
	t.Helper()
	o := &v1alpha1.OAuth2TrustedIssuer{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.OAuth2TrustedIssuerSpec{
		Issuer: issuer, Uses: []v1alpha1.IssuerUse{v1alpha1.IssuerClient}, Keys: v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysInline, JWKS: inlineKeys},
		Namespaces: []v1alpha1.IssuerNamespaces{{From: v1alpha1.NamespaceSource{Namespaces: []v1alpha1.NamespaceName{"jobs"}}}},
	}}
	if change != nil {
		change(&o.Spec)
	}
	must(t, shared.Cluster.Create(t.Context(), o))
	t.Cleanup(func() { must(t, client.IgnoreNotFound(shared.Cluster.Delete(context.Background(), o))) })
}

// TestIssuers is what an administrator and tenants read about trusted issuers and their clients.
func TestIssuers(t *testing.T) {
	if r := (shell{}).run(t, "get issuers", ""); r.code != app.ExitOK || r.err != "There are no issuers in the cluster.\n" {
		t.Errorf("without an issuer: exit %d: %s%s", r.code, r.out, r.err)
	}
	namespaces(t, "jobs")
	policy := &v1alpha1.OAuth2Policy{ObjectMeta: metav1.ObjectMeta{Name: "jobs"}, Spec: v1alpha1.OAuth2PolicySpec{
		NamespaceSelector:     v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{"kubernetes.io/metadata.name": "jobs"}},
		AuthenticationMethods: []v1alpha1.AuthenticationMethod{v1alpha1.ByClientSecret, v1alpha1.ByFederatedToken},
	}}
	must(t, shared.Cluster.Create(t.Context(), policy))
	t.Cleanup(func() { must(t, shared.Cluster.Delete(context.Background(), policy)) })
	trust(t, "cluster", "https://kubernetes.default.svc", nil)
	trust(t, "east", "https://oidc.east.example.com", func(s *v1alpha1.OAuth2TrustedIssuerSpec) {
		s.DisplayName, s.Reuse = "The cluster east", v1alpha1.ReuseOnce
		s.Namespaces[0].SubjectPrefixes = []v1alpha1.SubjectPrefix{"system:serviceaccount:jobs:"}
	})
	trust(t, "github", "https://token.actions.githubusercontent.com", func(s *v1alpha1.OAuth2TrustedIssuerSpec) {
		s.Algorithms = []v1alpha1.IssuerAlgorithm{"EdDSA"}
		s.Namespaces[0].Claims = []v1alpha1.RequiredClaim{{Name: "repository_owner_id", Values: []v1alpha1.RequiredValue{"65", "66"}}}
	})
	trust(t, "unused", "https://unused.example.com", func(s *v1alpha1.OAuth2TrustedIssuerSpec) { s.Namespaces = nil })
	trust(t, "west", "https://oidc.west.example.com", func(s *v1alpha1.OAuth2TrustedIssuerSpec) { s.State = v1alpha1.IssuerSuspended })
	for _, flags := range []string{
		"deploy --issuer github --claim repository_id=74 --claim repository_owner_id=65", "lost --issuer missing --subject a", "nightly --issuer east --subject system:serviceaccount:jobs:nightly",
		"own --issuer cluster --subject a", "stray --issuer east --subject system:serviceaccount:other:a", "weekly --issuer west --subject a",
	} {
		shell{user: "edit"}.ok(t, "create client "+flags+" --namespace jobs")
	}
	issuers := map[string]string{"cluster": "OwnIssuer", "east": "Trusted", "github": "Trusted", "unused": "Trusted", "west": "Suspended"}
	clients := map[string]string{
		"deploy": "Registered", "lost": "IssuerNotFound", "nightly": "Registered", "own": "IssuerNotFound", "stray": "NotAllowedByIssuer", "weekly": "Registered",
	}
	eventually(t, "all are handled", func() bool { return areReady(t, issuers, clients) })
	transcript(t, "issuers.golden", []step{
		{user: "edit", line: "get issuers"},
		{line: "get issuers"},
		{line: "get issuers --output wide --namespace jobs"},
		{line: "get issuers east west --output name"},
		{line: "get issuers east --output jsonpath={.status.clients}"},
		{line: "get issuers --all-namespaces --selector a=b"},
		{line: "describe issuer cluster"},
		{line: "describe issuer east"},
		{line: "describe issuer github"},
		{line: "describe issuer unused west"},
		{user: "view", line: "describe issuer east"},
		{user: "view", line: "get clients --namespace jobs"},
		{user: "view", line: "describe client deploy --namespace jobs"},
		{user: "view", line: "describe client nightly --namespace jobs"},
		{line: "describe client weekly --namespace jobs"},
		{user: "view", line: "describe client lost --namespace jobs"},
		{line: "why deploy --namespace jobs"},
		{user: "view", line: "why deploy --namespace jobs"},
		{line: "why lost --namespace jobs"},
		{line: "why own --namespace jobs"},
		{user: "view", line: "why own --namespace jobs"},
		{line: "why stray --namespace jobs"},
		{line: "why weekly --namespace jobs"},
		{user: "edit", line: "rotate nightly --namespace jobs"},
		{user: "edit", line: "get secret nightly --namespace jobs --entry client_id"},
		{user: "edit", line: "token nightly --namespace jobs"},
	})
	if r := (shell{}).run(t, "doctor --namespace jobs", ""); !strings.Contains(r.out, "problem  trusted issuers: 1 of 5 are not ready, and their JWTs are refused: cluster (OwnIssuer).\n"+
		"         -> kubectl hallpass describe issuer cluster\n") {
		t.Errorf("doctor says:\n%s", r.out)
	}
	if r := (shell{user: "view"}).run(t, "doctor --namespace jobs", ""); !strings.Contains(r.out, "unknown  trusted issuers: ") {
		t.Errorf("doctor says to a tenant:\n%s", r.out)
	}
}

// areReady reports whether the conditions Ready of these issuers, and of these clients of the
// namespace jobs, have the reasons, and whether the clients are counted.
func areReady(t *testing.T, issuers, clients map[string]string) bool {
	t.Helper()
	var trusted v1alpha1.OAuth2TrustedIssuerList
	must(t, shared.Cluster.List(t.Context(), &trusted))
	var naming v1alpha1.OAuth2ClientList
	must(t, shared.Cluster.List(t.Context(), &naming, client.InNamespace("jobs")))
	named := map[string]int32{}
	got := map[string]string{}
	for _, c := range naming.Items {
		named[c.Spec.Authentication.FederatedToken.IssuerName]++
		got[c.Name] = reasonOf(c.Status.Conditions)
	}
	if !maps.Equal(got, clients) {
		return false
	}
	clear(got)
	for _, i := range trusted.Items {
		if got[i.Name] = reasonOf(i.Status.Conditions); i.Status.Clients == nil || *i.Status.Clients != named[i.Name] {
			return false
		}
	}
	return maps.Equal(got, issuers)
}

func reasonOf(conditions []metav1.Condition) string {
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Reason
	}
	return ""
}

// TestAClusterWithoutIssuersIsExamined has an API server that does not serve them, as that of an
// installation for chosen namespaces.
func TestAClusterWithoutIssuersIsExamined(t *testing.T) {
	namespaces(t, "chosen")
	kubeconfig := proxied(t, "/oauth2trustedissuers", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	sh := shell{kubeconfig: kubeconfig}
	if r := sh.run(t, "doctor --namespace chosen", ""); !strings.Contains(r.out, "ok       trusted issuers: The cluster has no OAuth2TrustedIssuers") {
		t.Errorf("doctor says:\n%s%s", r.out, r.err)
	}
	if r := sh.run(t, "get issuers", ""); r.code != app.ExitFailed || !strings.Contains(r.err, "An installation for chosen namespaces has none") {
		t.Errorf("exit %d: %s%s", r.code, r.out, r.err)
	}
}
