// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package people_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/hallpass-dev/hallpass/test/kit/keycloak"
	"github.com/hallpass-dev/hallpass/test/kit/packages"
	"github.com/hallpass-dev/hallpass/test/kit/people"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// TestPeopleOfOIDCProvider logs a person in at the provider of npm's oidc-provider.
func TestPeopleOfOIDCProvider(t *testing.T) {
	if version := packages.NodeVersion(t); version < 20 {
		t.Skipf("NOT RUN: oidc-provider needs Node 20 or later, and this is %d", version)
	}
	provider, err := people.StartOIDCProvider(network, packages.NPM(t, "test/compat/login/oidc-provider"), loginURL)
	must(t, err)
	t.Cleanup(provider.Stop)
	logInAt(t, sceneAt(t, provider, "at-oidc-provider"))
}

// TestPeopleOfKeycloak logs a person in at Keycloak, which takes a minute to start.
func TestPeopleOfKeycloak(t *testing.T) {
	if testing.Short() {
		t.Skip("make long")
	}
	if missing := keycloak.Missing(); missing != nil {
		packages.Missing(t, missing.Error())
	}
	provider, err := people.StartKeycloak(t.Context(), network, root, t.TempDir())
	must(t, err)
	t.Cleanup(provider.Stop)
	s := sceneAt(t, provider, "at-keycloak")
	logInAt(t, s)
	t.Run("with Chromium", func(t *testing.T) { logInWithChromium(t, s) })
}

// logInAt has a person log in for each client of a scene. The token names the person to whom asks
// about it, is replaced, and ends with its login.
func logInAt(t *testing.T, s *scene) {
	t.Helper()
	restored := t.Run("with another client secret", func(t *testing.T) {
		s.apply(t, `
apiVersion: v1
kind: Secret
metadata: {name: PROVIDER-wrong, namespace: hallpass-login}
stringData: {client_secret: another}
`)
		s.trust(t, s.provider.Name+"-wrong")
		s.logsIn(t, false, "Sign-in at your identity provider is not set up correctly")
		s.trust(t, s.provider.Name)
		s.logsIn(t, true, "")
	})
	if !restored {
		return
	}
	for client, back := range map[string]string{"web": webBack, "native": nativeBack} {
		t.Run(client, func(t *testing.T) {
			config, ctx := s.config(t, client, back)
			verifier := oauth2.GenerateVerifier()
			got := people.NewBrowser(t, network).LogIn(s.authorization(config, verifier), back, s.provider).Query()
			if got.Get("state") != "the-state" || got.Get("iss") != shared.Hallpass.Issuer.String() || got.Get("code") == "" {
				t.Fatalf("sent back with %v", got)
			}
			first, err := config.Exchange(ctx, got.Get("code"), oauth2.VerifierOption(verifier))
			must(t, err)
			s.isForPerson(t, first.AccessToken, config.ClientID)
			header := s.identity(t, first.AccessToken)
			for name, want := range map[string]string{"X-Auth-User": s.person(), "X-Auth-Subject-Type": "user", "X-Auth-Client-Id": config.ClientID} {
				if got := header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			first.Expiry = time.Now().Add(-time.Minute)
			second, err := config.TokenSource(ctx, first).Token()
			must(t, err)
			s.isForPerson(t, second.AccessToken, config.ClientID)
			if (second.RefreshToken != first.RefreshToken) != (client == "native") {
				t.Errorf("the refresh token of %s is replaced: %t", client, second.RefreshToken != first.RefreshToken)
			}
			s.revoke(t, config, second.RefreshToken)
			s.hasEnded(t, "the first token", first.AccessToken)
			s.hasEnded(t, "the second token", second.AccessToken)
			if _, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: second.RefreshToken}).Token(); err == nil {
				t.Error("a refresh token of a login that has ended is accepted")
			}
		})
	}
}

// logsIn waits until a person gets to the client, or to a page with a title instead.
func (s *scene) logsIn(t *testing.T, is bool, title string) {
	t.Helper()
	config, _ := s.config(t, "web", webBack)
	world.Eventually(t, fmt.Sprintf("a person gets to the client: %t, to a page: %q", is, title), func() bool {
		to, last := people.NewBrowser(t, network).Walk(s.authorization(config, oauth2.GenerateVerifier()), webBack, s.provider)
		return (to != nil) == is && last.Title() == title
	})
}

// config is a client of x/oauth2, which trusts the token server.
func (s *scene) config(t *testing.T, name, back string) (*oauth2.Config, context.Context) {
	t.Helper()
	config := &oauth2.Config{
		ClientID: s.namespace + "." + name, ClientSecret: s.clientSecret(t, name), RedirectURL: back, Scopes: []string{"openid", "offline_access", "orders.read"},
		Endpoint: oauth2.Endpoint{AuthURL: loginURL + "/oauth2/authorize", TokenURL: shared.Hallpass.Issuer.URL("/oauth2/token"), AuthStyle: oauth2.AuthStyleInParams},
	}
	return config, context.WithValue(t.Context(), oauth2.HTTPClient, shared.Hallpass.HTTP)
}

// authorization is the address of an authorization request.
func (s *scene) authorization(config *oauth2.Config, verifier string) string {
	return config.AuthCodeURL("the-state", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("resource", s.api))
}

// revoke revokes a token as its client.
func (s *scene) revoke(t *testing.T, config *oauth2.Config, token string) {
	t.Helper()
	form := url.Values{"token": {token}, "client_id": {config.ClientID}}
	if config.ClientSecret != "" {
		form.Set("client_secret", config.ClientSecret)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, shared.Hallpass.Issuer.URL("/oauth2/revoke"), strings.NewReader(form.Encode()))
	must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := shared.Hallpass.HTTP.Do(request)
	must(t, err)
	must(t, response.Body.Close())
	if response.StatusCode != http.StatusOK {
		t.Errorf("the revocation is answered %d", response.StatusCode)
	}
}
