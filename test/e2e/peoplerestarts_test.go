// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	tokenserver "github.com/hallpass-dev/hallpass/cmd/tokenserver/app"
	"github.com/hallpass-dev/hallpass/test/kit/people"
)

// All processes are started anew before each step of a login, and it continues: what is known of it
// is in the browser, in the client and in the API server.
func TestALoginOutlivesRestarts(t *testing.T) {
	if testing.Short() {
		t.Skip("each step takes a start of three processes")
	}
	provider := startProvider(t, "zitadel")
	const namespace = "people-restarts"
	makeNamespace(t, namespace, nil)
	policy := policyOf(namespace, func(spec *v1alpha1.OAuth2PolicySpec) {
		spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantAuthorizationCode}
		spec.AuthenticationMethods = []v1alpha1.AuthenticationMethod{v1alpha1.ByClientSecret, v1alpha1.ByNone}
		spec.RedirectURIs = []v1alpha1.RedirectURIPattern{"http://127.0.0.1/*"}
	})
	must(t, cluster.Create(t.Context(), policy))
	t.Cleanup(func() { must(t, client.IgnoreNotFound(cluster.Delete(context.Background(), policy))) })
	trust(t, &v1alpha1.OAuth2TrustedIssuer{
		ObjectMeta: metav1.ObjectMeta{Name: provider.Name},
		Spec: v1alpha1.OAuth2TrustedIssuerSpec{
			Issuer: provider.Issuer, Uses: []v1alpha1.IssuerUse{v1alpha1.IssuerPerson}, CABundle: people.CA(),
			Namespaces: []v1alpha1.IssuerNamespaces{{From: fromNamespace(namespace)}},
			Login:      v1alpha1.IssuerLoginSpec{ClientID: "hallpass", ClientSecretRef: v1alpha1.LoginSecretReference{Name: provider.Name}},
		},
	}, v1alpha1.ReasonTrusted)
	grant := grantTo(namespace, "call")
	grant.Subjects = []v1alpha1.GrantSubject{v1alpha1.SubjectUser}
	api := declare(t, namespace, "api", v1alpha1.OAuth2ResourceSpec{Scopes: scopesNamed("call"), Grants: []v1alpha1.ResourceGrant{grant}}, v1alpha1.ReasonDeclared)
	resourceIs(t, api, v1alpha1.ConditionGrantsComplete, v1alpha1.ReasonGranted)
	server := credentials(t, apply(t, namespace, newClient("server")))
	native := newClient("native")
	native.Spec.Scopes, native.Spec.GrantTypes = nil, []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}
	native.Spec.Access = []v1alpha1.Access{accessTo(namespace, "api", "call")}
	native.Spec.RedirectURIs = []v1alpha1.RedirectURI{"http://127.0.0.1/callback"}
	native.Spec.RefreshTokens = v1alpha1.RefreshTokensSpec{Lifetime: "8h"}
	native.Spec.Authentication.Method, native.Spec.LoginIssuerName = v1alpha1.ByNone, provider.Name
	apply(t, namespace, native)
	decides(t, native, "call Granted")

	p := startProcesses(t)
	b := people.NewBrowser(t, &network)
	b.Before = func(to *url.URL) {
		if to.Host == "login.example.com" {
			p.restart()
		}
	}
	config := &oauth2.Config{
		ClientID: namespace + ".native", RedirectURL: nativeBack, Scopes: []string{"call"},
		Endpoint: oauth2.Endpoint{AuthURL: peopleLogin + "/oauth2/authorize", TokenURL: p.replica.url + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams},
	}
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, hallpass.HTTP)
	verifier := oauth2.GenerateVerifier()
	back := b.LogIn(config.AuthCodeURL("the-state", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("resource", api.Status.Identifier)), nativeBack, provider).Query()
	if p.restarts < 3 { // authorize, consent, callback
		t.Errorf("%d restarts during the login", p.restarts)
	}
	p.restart()
	token, err := config.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier))
	must(t, err)
	for range 2 {
		p.restart()
		if found := introspectAt(t, p.replica, server, token.AccessToken); found["active"] != true || found["sub"] != peopleSubject {
			t.Fatalf("introspected as %v", found)
		}
		p.restart()
		before := token.RefreshToken
		token, err = config.TokenSource(ctx, &oauth2.Token{RefreshToken: before, Expiry: time.Now().Add(-time.Minute)}).Token()
		must(t, err)
		if token.RefreshToken == before {
			t.Error("the refresh token of a public client is not replaced")
		}
	}
	p.restart()
	// the code was used, also for processes that have not seen that
	if _, err := config.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier)); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("the code once more: %v", err)
	}
	p.restart()
	if found := introspectAt(t, p.replica, server, token.AccessToken); found["active"] != false {
		t.Errorf("after the second use of the code: %v", found)
	}
	t.Logf("%d restarts of the manager, the token server and login", p.restarts)
}

// processes are the manager, a token server and login, which have the same addresses after each
// start.
type processes struct {
	t         *testing.T
	replica   *replica
	restarts  int
	tokenFile string
	stopLogin func() error
	// the addresses of the token server, of its port for login, and of login
	public, port, login string
}

func startProcesses(t *testing.T) *processes {
	t.Helper()
	p := &processes{t: t, tokenFile: prepareLogin(t), public: freeAddress(t), port: freeAddress(t), login: freeAddress(t)}
	p.start()
	behindProxy(t, "login.example.com", p.login)
	return p
}

func (p *processes) start() {
	p.t.Helper()
	p.replica = startReplica(p.t, func(o *tokenserver.Options) {
		o.Listen = onLocalhost(p.t, p.public)
		servesLogin(o, onLocalhost(p.t, p.port), nil)
	})
	_, p.stopLogin = runLogin(p.t, p.tokenFile, p.port, p.login)
}

// onLocalhost is an address by the name in the certificate of the token server.
func onLocalhost(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	return net.JoinHostPort("localhost", port)
}

// restart ends all three, and starts them.
func (p *processes) restart() {
	p.t.Helper()
	p.restarts++
	must(p.t, p.stopLogin())
	must(p.t, p.replica.stop())
	must(p.t, hallpass.StopManager())
	must(p.t, hallpass.StartManager(p.t.Context()))
	hallpass.HTTP.CloseIdleConnections()
	p.start()
}
