// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"net/http"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/issuers"
)

const (
	eastIssuer = "https://oidc.east.example.org"
	eastKeys   = "/openid/v1/jwks"
)

// otherCluster is a second API server, whose documents are published at eastIssuer.
type otherCluster struct {
	plane  *controlplane.ControlPlane
	admin  kubernetes.Interface
	issuer *issuers.Issuer
}

func startOtherCluster(t *testing.T) *otherCluster {
	t.Helper()
	plane, err := controlplane.Start(t.Context(), controlplane.Options{APIServerFlags: []string{
		"--service-account-issuer=" + eastIssuer, "--service-account-jwks-uri=" + eastIssuer + eastKeys,
	}})
	must(t, err)
	t.Cleanup(func() { must(t, plane.Stop()) })
	admin, err := kubernetes.NewForConfig(plane.AdminConfig())
	must(t, err)
	o := &otherCluster{plane: plane, admin: admin, issuer: issuers.Start(t, &network, eastIssuer, jws.RS256)}
	o.publish(t)
	return o
}

// publish copies the documents of the API server to where the issuer serves them, as they are.
func (o *otherCluster) publish(t *testing.T) {
	t.Helper()
	for _, path := range []string{issuers.DiscoveryPath, eastKeys} {
		document, err := o.admin.Discovery().RESTClient().Get().AbsPath(path).DoRaw(t.Context())
		must(t, err)
		o.issuer.Answer(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })
	}
}

// token is what a pod of a service account there mounts.
func (o *otherCluster) token(t *testing.T, namespace, account, audience string) string {
	t.Helper()
	request, err := o.admin.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), account, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: new(int64(3600))},
	}, metav1.CreateOptions{})
	must(t, err)
	return request.Status.Token
}

// TestAServiceAccountOfAnotherClusterFetchesAToken has the tokens, the discovery document and the
// keys from a real API server, which changes its key.
func TestAServiceAccountOfAnotherClusterFetchesAToken(t *testing.T) {
	const namespace = "east-jobs"
	allowFederation(t, namespace)
	east := startOtherCluster(t)
	for _, account := range []string{"nightly", "daily"} {
		_, err := east.admin.CoreV1().ServiceAccounts(metav1.NamespaceDefault).
			Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
		must(t, err)
	}
	o := trust(t, trusting("east-real", east.issuer, v1alpha1.IssuerNamespaces{
		From: fromNamespace(namespace), SubjectPrefixes: []v1alpha1.SubjectPrefix{"system:serviceaccount:default:"},
	}), v1alpha1.ReasonTrusted)
	apply(t, namespace, federatedClient("nightly", "east-real", v1alpha1.FederatedTokenSpec{Subject: "system:serviceaccount:default:nightly"}))
	answers := func(token string) int {
		t.Helper()
		status, body := present(t, namespace+".nightly", token)
		t.Logf("%d %v", status, body["error_description"])
		return status
	}
	before := east.token(t, metav1.NamespaceDefault, "nightly", hallpass.Issuer.String())
	if status := answers(before); status != http.StatusOK {
		t.Fatalf("a token of the other cluster: %d", status)
	}
	for name, token := range map[string]string{
		"of another account":   east.token(t, metav1.NamespaceDefault, "daily", hallpass.Issuer.String()),
		"for the other server": east.token(t, metav1.NamespaceDefault, "nightly", eastIssuer),
		"of this cluster":      projected(t, createAccount(t, namespace, "nightly"), ours()),
	} {
		if status := answers(token); status != http.StatusUnauthorized {
			t.Errorf("a token %s: %d", name, status)
		}
	}

	must(t, east.plane.StopAPIServer())
	must(t, east.plane.RotateAccountKey())
	must(t, east.plane.StartAPIServer(t.Context()))
	east.publish(t)
	// another source is fetched at once; the schedule has a test of its own
	updateIssuer(t, o, func() { o.Spec.AllowedCIDRs = []v1alpha1.CIDR{"10.20.0.0/16"} })
	after := east.token(t, metav1.NamespaceDefault, "nightly", hallpass.Issuer.String())
	eventually(t, "the new key of the other cluster is honoured", func() bool { return answers(after) == http.StatusOK })
	if status := answers(before); status != http.StatusOK {
		t.Errorf("a token by the key before, which is still published: %d", status)
	}
}
