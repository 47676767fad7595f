// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// TestLoginIsInstalledAndHasTheseRightsAndNoOthers applies the component to an API server, makes a
// pod of it as Pod Security admits it, and asks for each verb on each resource in each kind of
// namespace.
func TestLoginIsInstalledAndHasTheseRightsAndNoOthers(t *testing.T) {
	c := start(t)
	c.restrict(t, "shop")
	dir := withComponent(t, "login")
	_, complaints := c.kubectl(t, "apply", "--server-side", "-k", dir)
	// kustomize's own, which docs/install.md explains
	refuseWarnings(t, strings.ReplaceAll(complaints, "# Warning: 'vars' is deprecated.", ""))
	deployment, err := c.admin.AppsV1().Deployments(loginNamespace).Get(t.Context(), "hallpass-login", metav1.GetOptions{})
	must(t, err)
	if _, err := c.admin.CoreV1().Pods(loginNamespace).Create(t.Context(), podOf(deployment), metav1.CreateOptions{}); err != nil {
		t.Errorf("a pod of login: %v", err)
	}
	may := func(account string, a authorizationv1.ResourceAttributes) bool {
		t.Helper()
		groups := []string{"system:serviceaccounts", "system:serviceaccounts:" + loginNamespace, "system:authenticated"}
		review, err := c.admin.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: "system:serviceaccount:" + loginNamespace + ":" + account, Groups: groups, ResourceAttributes: &a},
		}, metav1.CreateOptions{})
		must(t, err)
		return review.Status.Allowed
	}
	eventually(t, func() bool {
		return may("hallpass-login", authorizationv1.ResourceAttributes{Namespace: loginNamespace, Verb: "get", Resource: "secrets", Name: "corp"})
	}, func() string { return "the roles are in force" })
	var got []string
	for _, r := range served(t, c) {
		resource, group, _ := strings.Cut(r.name, ".")
		resource, subresource, _ := strings.Cut(resource, "/")
		places := []string{""}
		if r.namespaced {
			places = append(places, loginNamespace, system, "hallpass-registry", "shop")
		}
		for _, place := range places {
			for _, name := range []string{"", "hallpass-ca", "any"} {
				for _, verb := range slices.Concat(verbs, special[r.name]) {
					a := authorizationv1.ResourceAttributes{Namespace: place, Verb: verb, Group: group, Resource: resource, Subresource: subresource, Name: name}
					if may("hallpass-login", a) && !may("a-stranger", a) {
						got = append(got, strings.TrimSpace(place+": "+r.name+" "+name)+": "+verb)
					}
				}
			}
		}
	}
	want := []string{
		"hallpass-system: configmaps hallpass-ca: get", "hallpass-login: secrets: get", "hallpass-login: secrets hallpass-ca: get", "hallpass-login: secrets any: get",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the rights of login (-want +got):\n%s", diff)
	}
}

// TestLoginReachesTheTokenServerAndNobodyElseDoes follows the connection: by the name in the
// certificate, to the Service, past both NetworkPolicies, to the port on which the token server
// listens. No other rule opens that port.
func TestLoginReachesTheTokenServerAndNobodyElseDoes(t *testing.T) {
	rendered, err := template(t, "--set", withLogin)
	must(t, err)
	for how, stream := range map[string]string{"helm": rendered, "kustomize": kustomize(t, withComponent(t, "login"))} {
		all := objects(t, stream)
		read := func(name string, object any) {
			t.Helper()
			if all[name] == nil {
				t.Fatalf("%s: there is no %s", how, name)
			}
			must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(all[name], object))
		}
		var service corev1.Service
		var server, pages appsv1.Deployment
		var in, out networkingv1.NetworkPolicy
		read("Service hallpass-system/hallpass-tokenserver", &service)
		read("Deployment hallpass-system/hallpass-tokenserver", &server)
		read("Deployment hallpass-login/hallpass-login", &pages)
		read("NetworkPolicy hallpass-system/hallpass-tokenserver", &in)
		read("NetworkPolicy hallpass-login/hallpass-login", &out)
		if args := pages.Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--token-server-url=https://"+service.Name+"."+service.Namespace+".svc:8444") {
			t.Errorf("%s: login is started with %q", how, args)
		}
		if !slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == 8444 && p.TargetPort.StrVal == "login" }) {
			t.Errorf("%s: the Service has the ports %v", how, service.Spec.Ports)
		}
		container := server.Spec.Template.Spec.Containers[0]
		if !slices.Contains(container.Args, "--login-listen=:8444") || !slices.ContainsFunc(container.Ports, func(p corev1.ContainerPort) bool { return p.Name == "login" && p.ContainerPort == 8444 }) {
			t.Errorf("%s: the token server is started with %q and %v", how, container.Args, container.Ports)
		}
		pod := networkingv1.NetworkPolicyPeer{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": loginNamespace}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "hallpass", "app.kubernetes.io/component": "login"}},
		}
		opened := 0
		for _, rule := range in.Spec.Ingress {
			if !slices.ContainsFunc(rule.Ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.IntVal == 8444 }) && len(rule.Ports) > 0 {
				continue
			}
			opened++
			if diff := cmp.Diff([]networkingv1.NetworkPolicyPeer{pod}, rule.From); diff != "" || len(rule.Ports) != 1 {
				t.Errorf("%s: who reaches the port for login (-want +got):\n%s", how, diff)
			}
		}
		if opened != 1 {
			t.Errorf("%s: %d rules open the port for login, want 1", how, opened)
		}
		if !slices.ContainsFunc(out.Spec.Egress, func(rule networkingv1.NetworkPolicyEgressRule) bool {
			return len(rule.To) == 1 && len(rule.Ports) == 1 && rule.Ports[0].Port.IntVal == 8444 && rule.To[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"] == system &&
				rule.To[0].PodSelector.MatchLabels["app.kubernetes.io/component"] == "tokenserver"
		}) {
			t.Errorf("%s: login does not reach the token server: %v", how, out.Spec.Egress)
		}
		token := pages.Spec.Template.Spec.Volumes[1].Projected.Sources[0].ServiceAccountToken
		if token.Audience != "https://hallpass.example.com/login" || *token.ExpirationSeconds != 3600 {
			t.Errorf("%s: the token is for %q", how, token.Audience)
		}
	}
}

// TestTheNotesOfLoginSayWhatIsMissing: the certificate and the registration at the provider.
func TestTheNotesOfLoginSayWhatIsMissing(t *testing.T) {
	const certificate = "wait for the Secret hallpass-login-tls there"
	for values, waits := range map[string]bool{withLogin: true, withLogin + ",login.certManager.enabled=true": false, withLogin + ",login.plainHTTP=true": false} {
		notes := notesOf(t, chart, values)
		if strings.Contains(notes, certificate) != waits || !strings.Contains(notes, "Register https://login.example.com/callback/NAME at the identity provider") {
			t.Errorf("%s: the notes are %s", values, notes)
		}
	}
	if notes := notesOf(t, chart, "issuer=https://hallpass.example.com"); strings.Contains(notes, "log in") {
		t.Errorf("without login the notes are %s", notes)
	}
}
