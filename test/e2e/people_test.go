// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	login "github.com/hallpass-dev/hallpass/cmd/login/app"
	tokenserver "github.com/hallpass-dev/hallpass/cmd/tokenserver/app"
	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/test/kit/people"
)

const (
	peopleLogin = "https://login.example.com"
	peopleBack  = "https://portal.example.com/callback"
	nativeBack  = "http://127.0.0.1:49152/callback"
	// peopleSubject is the person of the provider.
	peopleSubject = "user:zitadel:id1"
)

// A person logs in at a provider that others have written, for a client that does not authenticate
// and for one that does, by the pages of login and a client library, and each end of the login ends
// all of its tokens.
func TestAPersonLogsIn(t *testing.T) {
	provider := startProvider(t, "zitadel")
	makeNamespace(t, "people", nil)
	policy := policyOf("people", func(spec *v1alpha1.OAuth2PolicySpec) {
		spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantAuthorizationCode}
		spec.AuthenticationMethods = []v1alpha1.AuthenticationMethod{v1alpha1.ByClientSecret, v1alpha1.ByNone}
		spec.RedirectURIs = []v1alpha1.RedirectURIPattern{"https://portal.example.com/*", "http://127.0.0.1/*"}
	})
	must(t, cluster.Create(t.Context(), policy))
	t.Cleanup(func() { must(t, client.IgnoreNotFound(cluster.Delete(context.Background(), policy))) })
	trust(t, &v1alpha1.OAuth2TrustedIssuer{
		ObjectMeta: metav1.ObjectMeta{Name: provider.Name},
		Spec: v1alpha1.OAuth2TrustedIssuerSpec{
			Issuer: provider.Issuer, Uses: []v1alpha1.IssuerUse{v1alpha1.IssuerPerson}, CABundle: people.CA(),
			Namespaces: []v1alpha1.IssuerNamespaces{{From: fromNamespace("people")}},
			Login:      v1alpha1.IssuerLoginSpec{ClientID: "hallpass", ClientSecretRef: v1alpha1.LoginSecretReference{Name: provider.Name}},
		},
	}, v1alpha1.ReasonTrusted)
	grant := grantTo("people", "call")
	grant.Subjects = []v1alpha1.GrantSubject{v1alpha1.SubjectUser}
	api := declare(t, "people-api", "api", v1alpha1.OAuth2ResourceSpec{Scopes: scopesNamed("call"), Grants: []v1alpha1.ResourceGrant{grant}}, v1alpha1.ReasonDeclared)
	resourceIs(t, api, v1alpha1.ConditionGrantsComplete, v1alpha1.ReasonGranted)
	server := credentials(t, apply(t, "people-api", newClient("server")))

	portal, native := newClient("portal"), newClient("native")
	for c, redirect := range map[*v1alpha1.OAuth2Client]v1alpha1.RedirectURI{portal: peopleBack, native: "http://127.0.0.1/callback"} {
		c.Spec.Scopes = nil // those of the namespace are not for persons
		c.Spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}
		c.Spec.Access = []v1alpha1.Access{accessTo("people-api", "api", "call")}
		c.Spec.RedirectURIs = []v1alpha1.RedirectURI{redirect}
		c.Spec.RefreshTokens = v1alpha1.RefreshTokensSpec{Lifetime: "8h"}
		c.Spec.LoginIssuerName = provider.Name
	}
	native.Spec.Authentication.Method = v1alpha1.ByNone
	secret := credentials(t, apply(t, "people", portal))
	apply(t, "people", native)
	for _, c := range []*v1alpha1.OAuth2Client{portal, native} {
		decides(t, c, "call Granted")
	}
	at := startLogin(t)

	for _, c := range []struct {
		name, secret, redirect string
	}{{"portal", string(secret.Data["client_secret"]), peopleBack}, {"native", "", nativeBack}} {
		t.Run(c.name, func(t *testing.T) {
			b := people.NewBrowser(t, &network)
			config := &oauth2.Config{
				ClientID: "people." + c.name, ClientSecret: c.secret, RedirectURL: c.redirect, Scopes: []string{"openid", "offline_access", "call"},
				Endpoint: oauth2.Endpoint{AuthURL: peopleLogin + "/oauth2/authorize", TokenURL: at.url + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams},
			}
			ctx := context.WithValue(t.Context(), oauth2.HTTPClient, hallpass.HTTP)
			verifier := oauth2.GenerateVerifier()
			back := b.LogIn(config.AuthCodeURL("the-state", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("resource", api.Status.Identifier)), c.redirect, provider).Query()
			if back.Get("state") != "the-state" || back.Get("iss") != hallpass.Issuer.String() || back.Get("code") == "" {
				t.Fatalf("sent back with %v", back)
			}
			first, err := config.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier))
			must(t, err)
			found := introspectAt(t, at, server, first.AccessToken)
			if found["active"] != true || found["sub"] != peopleSubject || found["sub_type"] != "user" || found["client_id"] != config.ClientID {
				t.Errorf("introspected as %v", found)
			}
			first.Expiry = time.Now().Add(-time.Minute)
			second, err := config.TokenSource(ctx, first).Token()
			must(t, err)
			if second.AccessToken == first.AccessToken || (second.RefreshToken != first.RefreshToken) != (c.secret == "") {
				t.Errorf("refreshed to %+v", second)
			}
			if _, err := config.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier)); err == nil {
				t.Error("a code is used twice")
			}
			eventually(t, "the second use of the code ends the grant", func() bool {
				return introspectAt(t, at, server, second.AccessToken)["active"] == false
			})
			if _, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: second.RefreshToken}).Token(); err == nil {
				t.Error("a refresh token of a grant that has ended is accepted")
			}

			verifier = oauth2.GenerateVerifier()
			back = b.LogIn(config.AuthCodeURL("again", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("resource", api.Status.Identifier)), c.redirect, provider).Query()
			third, err := config.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier))
			must(t, err)
			form := url.Values{"token": {third.RefreshToken}, "client_id": {config.ClientID}}
			if c.secret != "" {
				form.Set("client_secret", c.secret)
			}
			revoking, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at.url+"/oauth2/revoke", strings.NewReader(form.Encode()))
			must(t, err)
			revoking.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			response, err := hallpass.HTTP.Do(revoking)
			must(t, err)
			must(t, response.Body.Close())
			if response.StatusCode != http.StatusOK || introspectAt(t, at, server, third.AccessToken)["active"] != false {
				t.Errorf("revoked: %d", response.StatusCode)
			}
			// the other replica learns of it
			eventually(t, "the token server of the installation refuses it too", func() bool {
				_, found := post(t, server, "introspection_url", url.Values{"token": {third.AccessToken}})
				return found["active"] == false
			})
		})
	}
	t.Run("kubectl hallpass", func(t *testing.T) { logInWithKubectl(t, at, provider, "native", server) })
	b := people.NewBrowser(t, &network)
	if page := b.Get(peopleLogin + "/oauth2/authorize?client_id=people.unknown&redirect_uri=https%3A%2F%2Fevil.example.com"); page.Status != http.StatusBadRequest || page.Location != "" {
		t.Errorf("an unknown client: %d %s", page.Status, page.Location)
	}
}

// introspectAt introspects a token at a replica.
func introspectAt(t *testing.T, r *replica, as *corev1.Secret, token string) map[string]any {
	t.Helper()
	_, found := r.ask(t, as, "/oauth2/introspect", url.Values{"token": {token}})
	return found
}

// behindProxy answers for a host of example.com with the certificate of people.CA, and passes
// requests on.
func behindProxy(t *testing.T, host, address string) {
	t.Helper()
	to := &url.URL{Scheme: "http", Host: address}
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	network.Add(host, proxy.Listener.Addr().String())
}

// startProvider starts the example provider of zitadel/oidc under a name.
func startProvider(t *testing.T, name string) *people.Provider {
	t.Helper()
	top, err := filepath.Abs(root())
	must(t, err)
	provider, err := people.StartZitadel(t.Context(), &network, top, peopleLogin, name)
	must(t, err)
	t.Cleanup(provider.Stop)
	return provider
}

// startLogin starts login and a token server with the port for it, with the rights and the token of
// a ServiceAccount of login.
func startLogin(t *testing.T) *replica {
	t.Helper()
	tokenFile, port := prepareLogin(t), make(chan string, 1)
	server := startReplica(t, func(o *tokenserver.Options) {
		servesLogin(o, "localhost:0", func(address string) { port <- address })
	})
	public, _ := runLogin(t, tokenFile, <-port, "127.0.0.1:0")
	behindProxy(t, "login.example.com", public)
	return server
}

// servesLogin has a token server serve the port for login.
func servesLogin(o *tokenserver.Options, listen string, listening func(address string)) {
	o.Login = tokenserver.LoginPort{URL: peopleLogin, Listen: listen, Listening: listening}
	o.Login.Account.Namespace, o.Login.Account.Name = "hallpass-login", "login"
}

// prepareLogin makes what login needs, and returns a file with the token of its ServiceAccount.
func prepareLogin(t *testing.T) (tokenFile string) {
	t.Helper()
	makeNamespace(t, "hallpass-login", nil)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "hallpass-login", Name: "login"}}
	must(t, client.IgnoreAlreadyExists(cluster.Create(t.Context(), account)))
	must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(account), account))
	must(t, client.IgnoreAlreadyExists(cluster.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hallpass-login", Name: "zitadel"}, StringData: map[string]string{"client_secret": "provider-secret"},
	})))
	seconds := int64(3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{loginport.Audience(hallpass.Issuer.String())}, ExpirationSeconds: &seconds,
	}}
	must(t, cluster.SubResource("token").Create(t.Context(), account, request))
	tokenFile = filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(tokenFile, []byte(request.Status.Token), 0o600))
	return tokenFile
}

// runLogin starts login, which asks at a port of a token server, and returns its address. It ends
// with the test, or before.
func runLogin(t *testing.T, tokenFile, port, listen string) (address string, stop func() error) {
	t.Helper()
	listening, stopped := make(chan string, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() {
		stopped <- login.Run(ctx, login.Options{
			URL: peopleLogin, REST: hallpass.ControlPlane.AdminConfig(), Namespace: "hallpass-login", Listen: listen, OpsListen: "127.0.0.1:0",
			Server:      login.TokenServer{URL: "https://localhost:" + port[strings.LastIndex(port, ":")+1:], CA: hallpass.CAFile, TokenFile: tokenFile},
			Connections: login.Connections{Max: 100, MaxPerSource: 100}, Log: hallpass.Log, Outbound: network.Outbound(),
			Listening: func(public, _ string) { listening <- public },
		})
	}()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-stopped
	})
	t.Cleanup(func() { must(t, stop()) })
	return <-listening, stop
}
