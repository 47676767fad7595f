// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// refusalOf creates an object of a kind with a spec in YAML, for nothing but the answer; "" if it
// is accepted.
func refusalOf(t *testing.T, kind, spec string) string {
	t.Helper()
	var fields map[string]any
	must(t, yaml.Unmarshal([]byte(spec), &fields))
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "hallpass.dev/v1alpha1", "kind": kind, "metadata": map[string]any{"generateName": "spec-"}, "spec": fields,
	}}
	if kind == "OAuth2Client" {
		o.SetNamespace("specs")
	}
	err := cluster.Create(t.Context(), o, client.DryRunAll, client.FieldValidation("Strict"))
	switch {
	case err == nil:
		return ""
	case strings.Contains(err.Error(), "evaluating rule"):
		t.Errorf("a rule broke down instead of saying what is wrong: %v", err)
	}
	return err.Error()
}

func compareRefusals(t *testing.T, kind string, wants map[string]string) {
	t.Helper()
	for spec, want := range wants {
		if got := refusalOf(t, kind, spec); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want a refusal that says %q", spec, got, want)
		}
	}
}

func TestTheAPIServerRefusesBadCodes(t *testing.T) {
	makeNamespace(t, "specs", nil)
	const (
		public   = "grantTypes: [AuthorizationCode], authentication: {method: None}, redirectURIs: ['https://a.test/cb']"
		private  = "grantTypes: [ClientCredentials, AuthorizationCode], redirectURIs: ['https://a.test/cb']"
		both     = "set redirectURIs if and only if grantTypes has AuthorizationCode"
		alone    = "with authentication method None, grantTypes is [AuthorizationCode]"
		fields   = "refreshTokens, consent and loginIssuerName are for clients with AuthorizationCode in grantTypes"
		noSecret = "leave out rotation, secret.keys.clientSecret and secret.source Existing"
		lifetime = "refreshTokens.lifetime must be between 5m and 2160h (90 days) in whole seconds, such as 8h"
		idle     = "refreshTokens.idleTimeout must not be longer than refreshTokens.lifetime, which is 8h if it is left out"
		rotating = "refreshTokens.idleTimeout needs refreshTokens.maxRefreshes, or authentication method None"
	)
	compareRefusals(t, "OAuth2Client", map[string]string{
		"{" + public + "}":  "",
		"{" + private + "}": "",
		"{grantTypes: [AuthorizationCode, JWTBearer, ClientCredentials, TokenExchange], redirectURIs: ['https://a.test/cb']}": "",
		"{grantTypes: [AuthorizationCode]}":                                                                    both,
		"{redirectURIs: ['https://a.test/cb']}":                                                                both,
		"{grantTypes: [JWTBearer], redirectURIs: ['https://a.test/cb']}":                                       both,
		"{authentication: {method: None}}":                                                                     alone,
		"{authentication: {method: None}, grantTypes: [ClientCredentials]}":                                    alone,
		"{" + strings.Replace(private, "redirect", "authentication: {method: None}, redirect", 1) + "}":        alone,
		"{" + public + ", rotation: {overlap: 1h}}":                                                            noSecret,
		"{" + public + ", secret: {source: Existing}}":                                                         noSecret,
		"{" + public + ", secret: {keys: {clientSecret: a}}}":                                                  noSecret,
		"{" + public + ", secret: {keys: {authorizationURL: AUTHORIZE}, omit: [AuthorizationURL]}}":            "",
		"{secret: {keys: {tokenURL: a, authorizationURL: a}}}":                                                 "two entries of the Secret would have the same name",
		"{" + public + ", consent: Always}":                                                                    "",
		"{" + public + ", consent: Never}":                                                                     `supported values: "Always", "WhenNeeded"`,
		"{consent: Always}":                                                                                    fields,
		"{loginIssuerName: corp}":                                                                              fields,
		"{refreshTokens: {lifetime: 8h}}":                                                                      fields,
		"{" + public + ", loginIssuerName: corp}":                                                              "",
		"{" + public + ", loginIssuerName: 'https://corp'}":                                                    "loginIssuerName is the name of an OAuth2TrustedIssuer",
		"{" + public + ", refreshTokens: {}}":                                                                  "should have at least 1 properties",
		"{" + public + ", refreshTokens: {maxRefreshes: 0}}":                                                   "",
		"{" + public + ", refreshTokens: {maxRefreshes: 10000, lifetime: 2160h, idleTimeout: 2160h}}":          "",
		"{" + public + ", refreshTokens: {maxRefreshes: 10001}}":                                               "less than or equal to 10000",
		"{" + public + ", refreshTokens: {maxRefreshes: -1}}":                                                  "greater than or equal to 0",
		"{" + public + ", refreshTokens: {lifetime: 5m}}":                                                      "",
		"{" + public + ", refreshTokens: {lifetime: 4m59s}}":                                                   lifetime,
		"{" + public + ", refreshTokens: {lifetime: 2160h1s}}":                                                 lifetime,
		"{" + public + ", refreshTokens: {lifetime: soon, idleTimeout: 1h}}":                                   "a duration is written in whole hours",
		"{" + public + ", refreshTokens: {idleTimeout: 8h}}":                                                   "",
		"{" + public + ", refreshTokens: {idleTimeout: 8h1s}}":                                                 idle,
		"{" + public + ", refreshTokens: {lifetime: 1h, idleTimeout: 61m}}":                                    idle,
		"{" + public + ", refreshTokens: {idleTimeout: 1m}}":                                                   "refreshTokens.idleTimeout must be at least 5m",
		"{" + private + ", refreshTokens: {lifetime: 1h}}":                                                     "",
		"{" + private + ", refreshTokens: {lifetime: 1h, idleTimeout: 1h}}":                                    rotating,
		"{" + private + ", refreshTokens: {lifetime: 1h, idleTimeout: 1h, maxRefreshes: 9}}":                   "",
		"{clientID: 'https://vscode.dev/oauth/client-metadata.json', " + public + "}":                          "",
		"{grantTypes: [AuthorizationCode], redirectURIs: ['https://a.test/cb', 'https://a.test/cb']}":          "Duplicate value",
		"{grantTypes: [AuthorizationCode], redirectURIs: []}":                                                  "should have at least 1 items",
		"{grantTypes: [AuthorizationCode], redirectURIs: [" + manyURIs(16) + "]}":                              "",
		"{grantTypes: [AuthorizationCode], redirectURIs: [" + manyURIs(17) + "]}":                              "must have at most 16 items",
		"{grantTypes: [AuthorizationCode], redirectURIs: ['https://a.test/" + strings.Repeat("a", 498) + "']}": "may not be more than 512",
	})
}

func manyURIs(n int) string {
	uris := make([]string, n)
	for i := range uris {
		uris[i] = fmt.Sprintf("'https://a.test/%d'", i)
	}
	return strings.Join(uris, ", ")
}

// TestTheAPIServerRefusesWhatNoBrowserMayBeSentTo also compares the rules of the CRD with the one
// of the token server: what the API server accepts is never refused later.
func TestTheAPIServerRefusesWhatNoBrowserMayBeSentTo(t *testing.T) {
	makeNamespace(t, "specs", nil)
	for uri, accepted := range map[string]bool{
		"https://app.example.com":                          true,
		"https://app.example.com/callback":                 true,
		"https://app.example.com:8443/a/b?c=d&e=%20f":      true,
		"https://app.example.com/cb?to=https://a.example":  true,
		"https://app.example.com:65535/":                   true,
		"https://xn--bcher-kva.example/":                   true,
		"https://app.example.com/.well-known/a.b":          true,
		"http://localhost/callback":                        true,
		"http://localhost:3000/callback?x=/y":              true,
		"http://127.0.0.1/callback":                        true,
		"http://[::1]:8080/":                               true,
		"com.example.shop:/callback":                       true,
		"com.example.shop://callback":                      true,
		"cursor://anysphere.cursor-retrieval/oauth/done?a": true,
		"/callback":                                false,
		"//app.example.com/callback":               false,
		"https:app.example.com":                    false,
		"https://":                                 false,
		"https:///callback":                        false,
		"HTTPS://app.example.com/":                 false,
		"https://App.example.com/":                 false,
		"https://app.example.com./":                false,
		"https://app.example.com:port/":            false,
		"https://app.example.com:/":                false,
		"https://app.example.com:0/":               false,
		"https://app.example.com:080/":             false,
		"https://app.example.com:65536/":           false,
		"https://evil.example?.shop.example.com/":  false,
		"https://me@app.example.com/":              false,
		"https://app.example.com@evil.example/":    false,
		`https://evil.example\.shop.example.com/`:  false,
		"https://app.example.com/callback#":        false,
		"https://app.example.com/*":                false,
		"https://app.example.com/a/../b":           false,
		"https://app.example.com/a/./b":            false,
		"https://app.example.com/a/.":              false,
		"https://app.example.com/a/%2e%2E/b":       false,
		"https://app.example.com/a/%252e%252e/b":   false,
		"https://app.example.com/a%":               false,
		"https://app.example.com/a%zz":             false,
		"https://app.example.com/a b":              false,
		"https://app.example.com/ä":                false,
		"https://app.example.com/cb?code=a":        false,
		"https://app.example.com/cb?a=b&state":     false,
		"https://app.example.com/cb?%63ode=a":      false,
		"https://app.example.com/cb?a=b;c":         false,
		"http://app.example.com/callback":          false,
		"http://localhost.example.com/callback":    false,
		"http://localhost@evil.example/":           false,
		"http://127.0.0.2/":                        false,
		"http://[::1]evil.example/":                false,
		"javascript://app.example.com/%0aalert(1)": false,
		"javascript:alert(1)":                      false,
		"data:/x":                                  false,
		"file:///etc/passwd":                       false,
		"ws://localhost/":                          false,
		"mailto:/a":                                false,
		"view-source:https://app.example.com/":     false,
		"urn:ietf:wg:oauth:2.0:oob":                false,
		"com.example.shop:callback":                false,
		"com.example.shop://me@evil.example/":      false,
		"1com.example.shop:/callback":              false,
	} {
		got := refusalOf(t, "OAuth2Client", fmt.Sprintf("{grantTypes: [AuthorizationCode], redirectURIs: ['%s']}", uri))
		if (got == "") != accepted || !accepted && !strings.Contains(got, "redirect URI") {
			t.Errorf("%s: %q", uri, got)
		}
		if accepted && !oauth2.ValidRedirectURI(uri) {
			t.Errorf("%s: the API server accepts what the token server refuses", uri)
		}
	}
}

func TestTheAPIServerRefusesBadPoliciesAboutCodes(t *testing.T) {
	const pattern = "a pattern is printable ASCII without spaces that begins with a scheme in full"
	compareRefusals(t, "OAuth2Policy", map[string]string{
		"{grantTypes: [ClientCredentials, JWTBearer, TokenExchange, AuthorizationCode]}":                           "",
		"{authenticationMethods: [ClientSecret, PrivateKeyJWT, ServiceAccount, FederatedToken, None]}":             "",
		"{redirectURIs: ['https://*.shop.example.com/*', 'http://localhost/*', 'cursor://*', 'com.example.a:/*']}": "",
		"{redirectURIs: ['*']}":                     pattern,
		"{redirectURIs: ['http*://a.example/*']}":   pattern,
		"{redirectURIs: ['https://a.example/a b']}": pattern,
		"{redirectURIs: ['javascript:*']}":          pattern,
		"{redirectURIs: []}":                        "should have at least 1 items",
		"{redirectURIs: [" + manyURIs(32) + "]}":    "",
		"{redirectURIs: [" + manyURIs(33) + "]}":    "must have at most 32 items",
		"{maxRefreshLifetime: 24h}":                 "",
		"{maxRefreshLifetime: 4m}":                  "maxRefreshLifetime must be between 5m and 2160h",
		"{maxRefreshLifetime: 2161h}":               "maxRefreshLifetime must be between 5m and 2160h",
		"{maxRefreshLifetime: never}":               "a duration is written in whole hours",
	})
}

func TestTheAPIServerRefusesBadLogins(t *testing.T) {
	const least = "clientID: hallpass, clientSecretRef: {name: corp}"
	issuer := func(uses, login string) string {
		return fmt.Sprintf("{issuer: 'https://bad-logins.example.com', uses: [%s], login: {%s}}", uses, login)
	}
	compareRefusals(t, "OAuth2TrustedIssuer", map[string]string{
		issuer("Person", least):                                                            "",
		issuer("Client, Person", least):                                                    "",
		issuer("Client", least):                                                            "login needs Person in uses",
		issuer("Person", "clientID: hallpass"):                                             "clientSecretRef",
		issuer("Person", "clientSecretRef: {name: corp}"):                                  "clientID",
		issuer("Person", "clientID: 'a b', clientSecretRef: {name: corp}"):                 "login.clientID is printable ASCII without spaces",
		issuer("Person", "clientID: a, clientSecretRef: {name: ../corp}"):                  "clientSecretRef.name must be a valid Secret name",
		issuer("Person", least+", scopes: [openid, profile]"):                              "",
		issuer("Person", least+", scopes: [profile]"):                                      "login.scopes must have openid",
		issuer("Person", least+", subjectClaim: oid"):                                      "",
		issuer("Person", least+", subjectClaim: email"):                                    "login.subjectClaim cannot be email",
		issuer("Person", least+", subjectClaim: EMAIL"):                                    "login.subjectClaim cannot be email",
		issuer("Person", least+", subjectClaim: aud"):                                      "login.subjectClaim is the name of a claim",
		issuer("Person", least+", allowed: {}"):                                            "should have at least 1 properties",
		issuer("Person", least+", allowed: {groups: [staff, admins]}"):                     "",
		issuer("Person", least+", allowed: {groups: [staff, staff]}"):                      "Duplicate value",
		issuer("Person", least+", allowed: {claims: [{name: hd, values: [example.com]}]}"): "",
		issuer("Person", least+", allowed: {claims: [{name: aud, values: [a]}]}"):          "have rules of their own",
		issuer("Person", least+", allowed: {claims: [{name: hd}]}"):                        "values",
		issuer("Person", least+", groupsClaim: roles, allowed: {groups: [staff]}"):         "",
		issuer("Person", least+", groupsClaim: roles"):                                     "groupsClaim is for allowed.groups",
	})
}

func TestTheSubjectClaimOfALoginIsImmutable(t *testing.T) {
	o := delegating("subject-claim", "subject-claim")
	o.Spec.Uses = []v1alpha1.IssuerUse{v1alpha1.IssuerPerson}
	o.Spec.Login = loginOf("corp")
	create(t, o)
	for name, c := range map[string]struct {
		change  func(*v1alpha1.IssuerLoginSpec)
		refused bool
	}{
		"another claim":               {func(l *v1alpha1.IssuerLoginSpec) { l.SubjectClaim = "oid" }, true},
		"the usual claim by its name": {func(l *v1alpha1.IssuerLoginSpec) { l.SubjectClaim = "sub" }, false},
		"another client":              {func(l *v1alpha1.IssuerLoginSpec) { l.ClientID = "other" }, false},
		"no login":                    {func(l *v1alpha1.IssuerLoginSpec) { *l = v1alpha1.IssuerLoginSpec{} }, false},
	} {
		changed := o.DeepCopy()
		c.change(&changed.Spec.Login)
		err := cluster.Patch(t.Context(), changed, client.MergeFrom(o), client.DryRunAll)
		if apierrors.IsInvalid(err) != c.refused || !c.refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A claim that names people cannot be changed by way of an issuer without a login either.
func TestTheSubjectClaimIsImmutableWithoutALogin(t *testing.T) {
	plain, byClaim := delegating("subject-none", "subject-claim"), loggingIn("subject-oid", "subject-claim")
	plain.Spec.Uses = []v1alpha1.IssuerUse{v1alpha1.IssuerPerson}
	byClaim.Spec.Login.SubjectClaim = "oid"
	create(t, plain)
	create(t, byClaim)
	for name, c := range map[string]struct {
		of      *v1alpha1.OAuth2TrustedIssuer
		login   v1alpha1.IssuerLoginSpec
		refused bool
	}{
		"a login is added":                      {plain, loginOf("corp"), false},
		"a login with another claim is added":   {plain, byClaim.Spec.Login, true},
		"a login with another claim is removed": {byClaim, v1alpha1.IssuerLoginSpec{}, true},
	} {
		changed := c.of.DeepCopy()
		changed.Spec.Login = c.login
		err := cluster.Patch(t.Context(), changed, client.MergeFrom(c.of), client.DryRunAll)
		if apierrors.IsInvalid(err) != c.refused || !c.refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func loginOf(secret string) v1alpha1.IssuerLoginSpec {
	return v1alpha1.IssuerLoginSpec{ClientID: "hallpass", ClientSecretRef: v1alpha1.LoginSecretReference{Name: secret}}
}

// loggingIn is a trusted issuer at which people log in for the clients of a namespace.
func loggingIn(name, namespace string) *v1alpha1.OAuth2TrustedIssuer {
	o := delegating(name, namespace)
	o.Spec.Uses, o.Spec.Login = []v1alpha1.IssuerUse{v1alpha1.IssuerPerson}, loginOf(name)
	return o
}

// permittingCodes lets the clients of a namespace have codes, and be public.
func permittingCodes(namespace string) *v1alpha1.OAuth2Policy {
	return policyOf(namespace, func(spec *v1alpha1.OAuth2PolicySpec) {
		spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantAuthorizationCode}
		spec.AuthenticationMethods = []v1alpha1.AuthenticationMethod{v1alpha1.ByClientSecret, v1alpha1.ByNone}
		spec.RedirectURIs = []v1alpha1.RedirectURIPattern{"https://*.shop.example.com/*", "http://localhost/*"}
	})
}

// webClient is a public client in a namespace.
func webClient(namespace, name string) *v1alpha1.OAuth2Client {
	c := newIn(namespace, name)
	c.Spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}
	c.Spec.Authentication.Method = v1alpha1.ByNone
	c.Spec.RedirectURIs = []v1alpha1.RedirectURI{"https://a.shop.example.com/callback"}
	return c
}

// TestAPublicClientIsRegistered with a policy, an issuer, and an identifier that is the address of
// its metadata (client ID metadata documents, which are not fetched).
func TestAPublicClientIsRegistered(t *testing.T) {
	const id = "https://vscode.example.com/oauth/client-metadata.json"
	policy := permittingCodes("public")
	policy.Spec.ClientIDs = []v1alpha1.IdentifierPattern{id}
	policy.Spec.MaxRefreshLifetime = "24h"
	create(t, policy)
	create(t, loggingIn("public-corp", "public"))
	c := webClient("public", "editor")
	c.Spec.ClientID = id
	c.Spec.RefreshTokens = v1alpha1.RefreshTokensSpec{Lifetime: "48h"}
	create(t, c)
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonRegistered)
	clientIs(t, c, v1alpha1.ConditionGrantsComplete, v1alpha1.ReasonNotAllowedByPolicy)
	if c.Status.ClientID != id || c.Status.ConfigMap.Name != "editor" || c.Status.Secret.Name != "" {
		t.Errorf("%+v", c.Status)
	}
	var written corev1.ConfigMap
	must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &written))
	if written.Data["client_id"] != id || written.Data["authorization_url"] != loginURL+"/oauth2/authorize" || written.Data["introspection_url"] != "" {
		t.Errorf("%+v", written.Data)
	}
	var secret corev1.Secret
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &secret); !apierrors.IsNotFound(err) {
		t.Errorf("it has a Secret: %v", err)
	}
	token := newToken("public", "printer", "editor", v1alpha1.TokenRefreshing)
	create(t, token)
	eventually(t, "the OAuth2Token of a public client is refused", func() bool {
		return hasReason(t, token, "OAuth2Token/"+v1alpha1.ReasonMethodNotSupported)
	})
}

// TestAnInstallationWithoutLoginSaysSo starts the manager without --login-url.
func TestAnInstallationWithoutLoginSaysSo(t *testing.T) {
	create(t, permittingCodes("no-login"))
	create(t, loggingIn("no-login-corp", "no-login"))
	c := webClient("no-login", "web")
	create(t, c)
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonRegistered)
	restart := func(url string) {
		must(t, hallpass.StopManager())
		hallpass.LoginURL = url
		must(t, hallpass.StartManager(context.WithoutCancel(t.Context())))
	}
	restart("")
	t.Cleanup(func() { restart(loginURL) })
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonLoginNotAvailable)
	clientIs(t, c, v1alpha1.ConditionStalled, v1alpha1.ReasonLoginNotAvailable)
}

// waitsOfCodes are the cases of OAuth2Clients with authorization codes, by reason.
func waitsOfCodes() map[string]waitCase {
	redirecting := permittingCodes("waits-redirect")
	redirecting.Spec.RedirectURIs = []v1alpha1.RedirectURIPattern{"https://b.shop.example.com/*"}
	without := loggingIn("waits-login", "waits-login")
	without.Spec.Login = v1alpha1.IssuerLoginSpec{}
	return map[string]waitCase{
		v1alpha1.ReasonRedirectNotAllowed: {
			before: []client.Object{redirecting, loggingIn("waits-redirect", "waits-redirect")}, object: webClient("waits-redirect", "app"),
			change: edited(redirecting, func(p *v1alpha1.OAuth2Policy) {
				p.Spec.RedirectURIs = append(p.Spec.RedirectURIs, "https://a.shop.example.com/*")
			}),
		},
		v1alpha1.ReasonLoginNotAvailable: {
			before: []client.Object{permittingCodes("waits-login"), without}, object: webClient("waits-login", "app"),
			change: edited(without, func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Login = loginOf("waits-login") }),
		},
	}
}

// TestAClientWaitsForTheIssuerAtWhichPeopleLogIn by its name: none, one that lets no client of the
// namespace, one that does.
func TestAClientWaitsForTheIssuerAtWhichPeopleLogIn(t *testing.T) {
	create(t, permittingCodes("login-issuer"))
	c := webClient("login-issuer", "web")
	c.Spec.LoginIssuerName = "login-issuer-corp"
	create(t, c)
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonIssuerNotFound)
	issuer := loggingIn("login-issuer-corp", "login-elsewhere")
	create(t, issuer)
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonNotAllowedByIssuer)
	edited(issuer, func(o *v1alpha1.OAuth2TrustedIssuer) { o.Spec.Namespaces[0].From = fromNamespace("login-issuer") })(t)
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonRegistered)
	eventually(t, "the issuer counts the client that names it", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(issuer), issuer))
		return issuer.Status.Clients != nil && *issuer.Status.Clients == 1
	})
	// a second issuer does not matter to a client that names one, and does to one that does not
	create(t, loggingIn("login-issuer-other", "login-issuer"))
	unnamed := webClient("login-issuer", "unnamed")
	create(t, unnamed)
	clientIs(t, unnamed, v1alpha1.ConditionReady, v1alpha1.ReasonLoginNotAvailable)
	clientIs(t, c, v1alpha1.ConditionReady, v1alpha1.ReasonRegistered)
	must(t, cluster.Delete(t.Context(), &v1alpha1.OAuth2TrustedIssuer{ObjectMeta: metav1.ObjectMeta{Name: "login-issuer-other"}}))
	clientIs(t, unnamed, v1alpha1.ConditionReady, v1alpha1.ReasonRegistered)
}
