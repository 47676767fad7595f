// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers_test

import (
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
)

// onePEMLine is the content of a PEM block without its frame.
func onePEMLine(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	must(t, err)
	block, rest := pem.Decode(content)
	if block == nil || len(rest) > 0 {
		t.Fatalf("%s has not one PEM block", file)
	}
	lines := strings.Split(strings.TrimSpace(string(pem.EncodeToMemory(block))), "\n")
	return strings.Join(lines[1:len(lines)-1], "")
}

// claims are those of a token with the scope kube.view.
func claims(issuer, audience, client string, expires time.Time) string {
	return fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":%q,"client_id":%q,"client_uid":%q,"scope":"kube.view","jti":"MDEyMzQ1Njc4OWFiY2RlZg","iat":%d,"exp":%d}`,
		issuer, client, audience, client, memory.UID(client), time.Now().Add(-2*time.Minute).Unix(), expires.Unix())
}

// Clients of Hallpass call another cluster. The groups of a client come from the scopes that the
// owner of the cluster's OAuth2Resource consents to, and no claim of its own is one.
func TestClientsCallAnotherCluster(t *testing.T) {
	listener := memory.Listen(t)
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	issuer := "https://localhost:" + port
	hallpass := memory.New(t, issuer)
	caFile := hallpass.Serve(listener)
	audience := issuer + "/resources/platform/other-cluster"
	cluster := oauth2.ObjectName{Namespace: "platform", Name: "other-cluster"}
	hallpass.Declare(oauth2.Resource{
		Identifier: audience, UID: "uid-of-the-cluster", Namespace: cluster.Namespace, Name: cluster.Name, Scopes: []string{"kube.view", "kube.edit"},
		Consents: []oauth2.Consent{{Namespaces: []string{memory.Namespace}, Scopes: []string{"kube.view", "kube.edit"}}},
	})
	register := func(name string, scopes ...string) string {
		client := hallpass.Register(name)
		hallpass.Change(client, func(c *oauth2.Client) { c.Access = []oauth2.Access{{Resource: cluster, Scopes: scopes}} })
		return client
	}
	viewer, forger := register("viewer", "kube.view"), register("forger", "kube.edit")
	hallpass.SetClaims(forger, []oauth2.Claim{
		{Name: "groups", Values: []string{"system:masters", "hallpass:kube.view"}}, {Name: "roles", Values: []string{"hallpass:kube.view"}},
		{Name: "username", Value: "system:admin"},
	})
	config := configure(t, "kube-apiserver.yaml", "https://hallpass.example.com", issuer, "CA_OF_HALLPASS", onePEMLine(t, caFile))
	plane, err := controlplane.Start(t.Context(), controlplane.Options{APIServerFlags: []string{"--authentication-config=" + config}})
	must(t, err)
	t.Cleanup(func() { must(t, plane.Stop()) })
	must(t, installation.Kubectl(t.Context(), plane, "apply", "-f", docs+"/kube-apiserver-rbac.yaml"))

	as := func(token string) kubernetes.Interface {
		rest := plane.AdminConfig()
		rest.CertData, rest.KeyData, rest.BearerToken = nil, nil, token
		connected, err := kubernetes.NewForConfig(rest)
		must(t, err)
		return connected
	}
	list := func(token string) error {
		_, err := as(token).CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
		return err
	}
	good := hallpass.TokenFor(viewer, audience)
	eventually(t, "a client lists ConfigMaps", func() bool { return list(good) == nil })
	if _, err := as(good).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a client that may view lists Secrets: %v", err)
	}
	forged := hallpass.TokenFor(forger, audience)
	if err := list(forged); !apierrors.IsForbidden(err) {
		t.Errorf("a client with claims of its own: %v", err)
	}
	review, err := as(forged).AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	must(t, err)
	user := review.Status.UserInfo
	if user.Username != "hallpass:"+forger || user.UID != memory.UID(forger) || !slices.Equal(user.Groups, []string{"hallpass:kube.edit", "system:authenticated"}) {
		t.Errorf("Kubernetes takes the client for %v", user)
	}
	soon := time.Now().Add(time.Hour)
	for name, token := range map[string]string{
		"a token for another audience":   hallpass.Token(viewer),
		"a token that acts for somebody": hallpass.Sign("at+jwt", strings.Replace(claims(issuer, audience, viewer, soon), `"sub":"`+viewer, `"sub":"user:anna`, 1)),
		"a token that has expired":       hallpass.Sign("at+jwt", claims(issuer, audience, viewer, time.Now().Add(-time.Minute))),
		"a token by the key of another":  memory.New(t, issuer).Sign("at+jwt", claims(issuer, audience, viewer, soon)),
	} {
		if err := list(token); !apierrors.IsUnauthorized(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, list(hallpass.Sign("at+jwt", claims(issuer, audience, viewer, soon))))
	// kube-apiserver reads the keys again when its copy expires; the next key is in it
	hallpass.RotateKeys()
	must(t, list(hallpass.TokenFor(viewer, audience)))
	must(t, list(good))
}
