// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// permitting is what a policy allows that is for web applications.
func permitting() oauth2.Ceilings {
	return oauth2.Ceilings{
		AnyClientID: true, Permitted: []string{"None", "AuthorizationCode"},
		RedirectURIs: [][]string{{"https://*.shop.example.com/*", "http://localhost/*"}}, Lifetimes: oauth2.Lifetimes{Refresh: 24 * time.Hour},
	}
}

// withCodes is a public client with authorization codes.
func withCodes(name string) *v1alpha1.OAuth2Client {
	c := clientOfWorld(name)
	c.Namespace = "shop"
	c.Spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}
	c.Spec.Authentication.Method = v1alpha1.ByNone
	c.Spec.RedirectURIs = []v1alpha1.RedirectURI{"https://a.shop.example.com/callback", "http://localhost/callback"}
	c.Spec.LoginIssuerName = "corp"
	return c
}

func TestCodesAreCompiledWithinThePolicies(t *testing.T) {
	both := []string{"https://a.shop.example.com/callback", "http://localhost/callback"}
	for name, c := range map[string]struct {
		change func(*v1alpha1.OAuth2ClientSpec)
		want   *oauth2.Codes
	}{
		"no refresh tokens": {func(*v1alpha1.OAuth2ClientSpec) {}, &oauth2.Codes{RedirectURIs: both, IssuerName: "corp"}},
		"no codes":          {func(s *v1alpha1.OAuth2ClientSpec) { s.GrantTypes = nil }, nil},
		"a redirect URI that no policy allows": {
			func(s *v1alpha1.OAuth2ClientSpec) { s.RedirectURIs[0] = "https://a.evil.example/callback" },
			&oauth2.Codes{RedirectURIs: both[1:], IssuerName: "corp"},
		},
		"each time": {
			func(s *v1alpha1.OAuth2ClientSpec) { s.Consent = v1alpha1.ConsentAlways },
			&oauth2.Codes{RedirectURIs: both, IssuerName: "corp", AskAlways: true},
		},
		"a name for people": {
			func(s *v1alpha1.OAuth2ClientSpec) { s.DisplayName = "Reports of the month" },
			&oauth2.Codes{RedirectURIs: both, IssuerName: "corp", DisplayName: "Reports of the month"},
		},
		"the only issuer": {
			func(s *v1alpha1.OAuth2ClientSpec) { s.LoginIssuerName, s.Consent = "", v1alpha1.ConsentWhenNeeded },
			&oauth2.Codes{RedirectURIs: both},
		},
		"refresh tokens for the usual time": {
			func(s *v1alpha1.OAuth2ClientSpec) { s.RefreshTokens.IdleTimeout = "1h" },
			&oauth2.Codes{RedirectURIs: both, IssuerName: "corp", Refresh: oauth2.Refreshing{Lifetime: 8 * time.Hour, Idle: time.Hour}},
		},
		"refresh tokens for longer than policies allow": {
			func(s *v1alpha1.OAuth2ClientSpec) {
				s.RefreshTokens = v1alpha1.RefreshTokensSpec{MaxRefreshes: new(int32(7)), Lifetime: "2160h", IdleTimeout: "48h"}
			},
			&oauth2.Codes{RedirectURIs: both, IssuerName: "corp", Refresh: oauth2.Refreshing{
				Lifetime: 24 * time.Hour, Idle: 24 * time.Hour, Limited: true, Max: 7,
			}},
		},
		"no refresh at all": {
			func(s *v1alpha1.OAuth2ClientSpec) {
				s.RefreshTokens = v1alpha1.RefreshTokensSpec{MaxRefreshes: new(int32(0)), Lifetime: "1h"}
			},
			&oauth2.Codes{RedirectURIs: both, IssuerName: "corp"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := withCodes("web")
			c.change(&client.Spec)
			compiled := compile(client, seen{ceilings: permitting()})
			if diff := cmp.Diff(c.want, compiled.Codes); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if compiled.GrantTypes.Has(oauth2.AuthorizationCode) != (c.want != nil) {
				t.Errorf("grant types %v", compiled.GrantTypes.Names())
			}
		})
	}
}

func TestAClientWithCodesNamesWhatIsMissing(t *testing.T) {
	corp := &oauth2.TrustedIssuer{
		Name: "corp", Uses: oauth2.UsePerson, Login: &oauth2.Login{ClientID: "hallpass"}, Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}},
	}
	without, elsewhere, second, suspended := *corp, *corp, *corp, *corp
	without.Login, second.Name = nil, "second"
	suspended.Suspended = true
	elsewhere.Delegations = []oauth2.Delegation{{Namespaces: []string{"orders"}}}
	login := func(issuers ...*oauth2.TrustedIssuer) clientLogin {
		return clientLogin{url: "https://login.test", issuers: issuers, candidates: candidatesIn(issuers, "shop")}
	}
	for name, c := range map[string]struct {
		named   string
		login   clientLogin
		reason  string
		says    string
		awaited bool
	}{
		"nothing":                              {"corp", login(corp), "", "", true},
		"nothing, with one issuer to choose":   {"", login(corp, &elsewhere), "", "", true},
		"nothing, while it is suspended":       {"corp", login(&suspended), "", "", true},
		"an installation without login":        {"corp", clientLogin{issuers: []*oauth2.TrustedIssuer{corp}}, v1alpha1.ReasonLoginNotAvailable, "--login-url", false},
		"the issuer":                           {"corp", login(), v1alpha1.ReasonIssuerNotFound, "spec.loginIssuerName", true},
		"the consent of the issuer":            {"corp", login(&elsewhere), v1alpha1.ReasonNotAllowedByIssuer, "spec.namespaces", true},
		"the login of the issuer":              {"corp", login(&without), v1alpha1.ReasonLoginNotAvailable, "has no spec.login", true},
		"any issuer":                           {"", login(&elsewhere, &without), v1alpha1.ReasonLoginNotAvailable, "lets this namespace use it", true},
		"a choice, which only its owner makes": {"", login(corp, &second), v1alpha1.ReasonLoginNotAvailable, "(corp, second)", false},
	} {
		t.Run(name, func(t *testing.T) {
			client, s := &oauth2.Client{Namespace: "shop", Codes: &oauth2.Codes{IssuerName: c.named}}, seen{}
			s.login = c.login
			got := s.loginObstacle(client)
			if (got == nil) != (c.reason == "") || got != nil && (got.Reason != c.reason || !strings.Contains(got.Message, c.says)) {
				t.Errorf("%+v", got)
			}
			if s.login.awaited() != c.awaited {
				t.Errorf("awaited: %t", !c.awaited)
			}
			client.Codes = nil
			if got := s.loginObstacle(client); got != nil {
				t.Errorf("without codes: %+v", got)
			}
		})
	}
}

func TestRedirectURIsThatNoPolicyAllowsAreNamed(t *testing.T) {
	client := withCodes("web")
	if got := redirectsRefused(client, seen{ceilings: permitting()}); got != nil {
		t.Errorf("%+v", got)
	}
	got := redirectsRefused(client, seen{ceilings: oauth2.Ceilings{}})
	if got == nil || got.Reason != v1alpha1.ReasonRedirectNotAllowed || !strings.Contains(got.Message, `"https://a.shop.example.com/callback" (and 1 more)`) {
		t.Errorf("%+v", got)
	}
	client.Spec.GrantTypes = nil
	if got := redirectsRefused(client, seen{ceilings: oauth2.Ceilings{}}); got != nil {
		t.Errorf("without codes: %+v", got)
	}
}

// A client that must not grow keeps the redirect URIs that it had.
func TestARestrictedClientGetsNoNewRedirectURI(t *testing.T) {
	before := oauth2.Client{Codes: &oauth2.Codes{RedirectURIs: []string{"https://a.test/"}, DisplayName: "A"}}
	compiled := oauth2.Client{Codes: &oauth2.Codes{RedirectURIs: []string{"https://a.test/", "https://b.test/"}, IssuerName: "corp"}}
	if !restrict(&compiled, before) || !slices.Equal(compiled.Codes.RedirectURIs, before.Codes.RedirectURIs) || compiled.Codes.IssuerName != "corp" {
		t.Errorf("%+v", compiled.Codes)
	}
	if compiled.Codes.DisplayName != "" {
		t.Errorf("a name that was left out is back: %q", compiled.Codes.DisplayName)
	}
	if restrict(&compiled, before) {
		t.Error("what it had counts as new")
	}
	compiled.Codes.DisplayName = "A long name"
	if !restrict(&compiled, before) || compiled.Codes.DisplayName != "A" {
		t.Errorf("another name: %q", compiled.Codes.DisplayName)
	}
	if !restrict(&compiled, oauth2.Client{}) || len(compiled.Codes.RedirectURIs) > 0 {
		t.Errorf("a client without codes before: %+v", compiled.Codes)
	}
}

// recordLogin stores the record of the trusted issuer corp, which lets the namespace log in.
func (w *world) recordLogin() {
	w.t.Helper()
	data, err := registration.EncodeIssuer(oauth2.TrustedIssuer{
		Name: "corp", UID: "u", Issuer: "https://idp.test", Uses: oauth2.UsePerson, Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}},
		Login: &oauth2.Login{ClientID: "hallpass", SecretName: "corp", Scopes: []string{"openid"}},
	})
	w.must(err)
	w.must(w.server.Create(w.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: registryOfWorld, Name: registration.IssuerSecretName("corp")}, Type: registration.IssuerSecretType, Data: data,
	}))
}

func TestAPublicClientHasAConfigMapAndNoSecret(t *testing.T) {
	w := newWorld(t)
	w.r.Policy.Defaults, w.r.Installation.LoginURL = permitting(), "https://login.test"
	w.recordLogin()
	w.create(withCodes("web"))
	w.rest("web")
	var written corev1.ConfigMap
	w.must(w.server.Get(t.Context(), types.NamespacedName{Namespace: "shop", Name: "web"}, &written))
	want := map[string]string{
		"client_id": "shop.web", "issuer_url": "https://hallpass.test", "token_url": "https://hallpass.test/oauth2/token",
		"jwks_url": "https://hallpass.test/oauth2/jwks", "scope": "", "authorization_url": "https://login.test/oauth2/authorize",
	}
	if diff := cmp.Diff(want, written.Data); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if names := w.names(); len(names) > 0 {
		t.Errorf("it has the Secrets %q", names)
	}
	registered, _ := w.registered("shop.web")
	if by := registered.Client.Credentials; !by.Public || len(by.Verifiers) > 0 || registered.Client.Refused {
		t.Errorf("registered as %+v", registered.Client)
	}
	if ready := w.condition("web", v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue || ready.Message != v1alpha1.RegisteredPublic().Message {
		t.Errorf("%+v", ready)
	}
	if c := w.get("web"); c.Status.ConfigMap.Name != "web" || c.Status.Secret.Name != "" || len(c.Status.Credentials) > 0 {
		t.Errorf("%+v", c.Status)
	}
	// a client that gets a secret gives the ConfigMap up, and is not public any more
	w.edit("web", func(c *v1alpha1.OAuth2Client) { c.Spec.Authentication = v1alpha1.AuthenticationSpec{} })
	w.rest("web")
	if registered, _ = w.registered("shop.web"); registered.Client.Credentials.Public || !registered.Client.Credentials.BySecret() {
		t.Errorf("with a secret it is registered as %+v", registered.Client.Credentials)
	}
	if !w.accepts("shop.web", w.value("web")) {
		t.Error("its secret is refused")
	}
	if got := string(w.secret("web").Data["authorization_url"]); got != "https://login.test/oauth2/authorize" {
		t.Errorf("the Secret has the authorization URL %q", got)
	}
}

func TestAPublicClientThatNoPolicyAllowsIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		ceilings oauth2.Ceilings
		says     string
	}{
		"no policy":                      {oauth2.Ceilings{AnyClientID: true}, "None in spec.authenticationMethods"},
		"a policy for the grant type":    {oauth2.Ceilings{AnyClientID: true, Permitted: []string{"AuthorizationCode"}}, "None in spec.authenticationMethods"},
		"a policy for the method":        {oauth2.Ceilings{AnyClientID: true, Permitted: []string{"None"}}, "AuthorizationCode in spec.grantTypes"},
		"a policy without redirect URIs": {oauth2.Ceilings{AnyClientID: true, Permitted: []string{"None", "AuthorizationCode"}}, "spec.redirectURIs of the policies"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.r.Policy.Defaults, w.r.Installation.LoginURL = c.ceilings, "https://login.test"
			w.recordLogin()
			w.create(withCodes("web"))
			w.rest("web")
			ready := w.condition("web", v1alpha1.ConditionReady)
			if ready.Status != metav1.ConditionFalse || !strings.Contains(ready.Message, c.says) {
				t.Errorf("%+v", ready)
			}
			if stalled := w.condition("web", v1alpha1.ConditionStalled); stalled.Status != metav1.ConditionTrue {
				t.Errorf("it waits for nobody in particular: %+v", stalled)
			}
		})
	}
}

// Without a login the machine itself still gets tokens, and the client waits for its issuer.
func TestAClientWithoutALoginStillHasItsSecret(t *testing.T) {
	w := newWorld(t)
	w.r.Policy.Defaults, w.r.Installation.LoginURL = permitting(), "https://login.test"
	c := withCodes("web")
	c.Spec.Authentication = v1alpha1.AuthenticationSpec{}
	c.Spec.GrantTypes = append(c.Spec.GrantTypes, v1alpha1.GrantClientCredentials)
	w.create(c)
	w.rest("web")
	if !w.accepts("shop.web", w.value("web")) {
		t.Error("its secret is refused")
	}
	if ready := w.condition("web", v1alpha1.ConditionReady); ready.Reason != v1alpha1.ReasonIssuerNotFound {
		t.Errorf("%+v", ready)
	}
	if reconciling := w.condition("web", v1alpha1.ConditionReconciling); reconciling.Status != metav1.ConditionTrue {
		t.Errorf("it does not wait: %+v", w.get("web").Status.Conditions)
	}
	w.recordLogin()
	w.rest("web")
	if ready := w.condition("web", v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue {
		t.Errorf("%+v", ready)
	}
}
