// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// mistaken is the namespace of a developer who makes mistakes, and has the role edit there and no
// right elsewhere.
const mistaken = "mistaken"

// developer is a user with the role edit in one namespace.
type developer struct {
	t      *testing.T
	client client.Client
	// server is the URL of a token server.
	server string
}

// TestTenMistakes makes each of them, and compares what the developer then sees word by word: the
// answer, a condition, or an event.
func TestTenMistakes(t *testing.T) {
	program, err := installation.Program(t.Context(), filepath.Join("..", "..", ".."), "tokenserver")
	must(t, err)
	_, endpoint := startReplica(t, program)
	d := newDeveloper(t, strings.TrimSuffix(endpoint, "/oauth2/token"))
	declareForeignAPI(t)
	for name, mistake := range map[string]func(*developer, *v1alpha1.OAuth2Client, *corev1.Secret){
		"a wrong scope":                        wrongScope,
		"a resource that is forgotten":         forgottenResource,
		"two resources":                        twoResources,
		"a malformed resource":                 malformedResource,
		"a grant that is missing":              missingGrant,
		"a misspelled namespace":               misspelledNamespace,
		"a wrong secret":                       wrongSecret,
		"a secret that is still encoded":       encodedSecret,
		"a token for another audience":         wrongAudience,
		"the parameter of another server":      foreignParameter,
		"http instead of https":                plainHTTP,
		"another certificate authority":        wrongAuthority,
		"a token that has expired":             expired,
		"a revoked token, which is no mistake": revoked,
	} {
		t.Run(name, func(t *testing.T) {
			of := &developer{t, d.client, d.server}
			c := of.newClient(strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), ",", ""))
			var secret corev1.Secret
			must(t, of.client.Get(t.Context(), client.ObjectKeyFromObject(c), &secret))
			mistake(of, c, &secret)
		})
	}
}

func wrongScope(d *developer, c *v1alpha1.OAuth2Client, secret *corev1.Secret) {
	d.isAnswered(d.fetch(secret, url.Values{"scope": {"reed"}}), http.StatusBadRequest, "invalid_scope",
		"the scope reed is not granted to this client at its default audience; "+elsewhere)
	d.isTold(c, "ScopeNotGranted", `The scope "reed" is not granted to this client at its default audience, which a request without the parameter resource is for. `+orElsewhere)
}

// What the answer and the status have about a scope that may be granted at another audience.
const (
	elsewhere = "if status.grants of its OAuth2Client lists the scope for another audience, send that audience as resource; " +
		"otherwise ask the owner of the API for a grant"
	orElsewhere = "If status.grants lists the scope for another audience, send that audience as the parameter resource. " +
		"Otherwise ask for a scope of spec.scopes or status.grants, or ask the owner of the API for a grant."
)

// forgottenResource asks for a scope that is granted, without the resource that it is granted at.
func forgottenResource(d *developer, c *v1alpha1.OAuth2Client, secret *corev1.Secret) {
	resource := &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: mistaken, Name: "items"}}
	resource.Spec = v1alpha1.OAuth2ResourceSpec{
		Scopes: []v1alpha1.ResourceScope{{Name: "items.read"}},
		Grants: []v1alpha1.ResourceGrant{{From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{mistaken}}, Scopes: []v1alpha1.Scope{"items.read"}}},
	}
	must(d.t, d.client.Create(d.t.Context(), resource))
	before := client.MergeFrom(c.DeepCopy())
	c.Spec.Access = []v1alpha1.Access{{ResourceNamespace: mistaken, ResourceName: "items", Scopes: []v1alpha1.Scope{"items.read"}}}
	must(d.t, d.client.Patch(d.t.Context(), c, before))
	indicator := hallpass.Issuer.URL("/resources/" + mistaken + "/items")
	eventually(d.t, "the scope is granted at the resource", func() bool {
		must(d.t, d.client.Get(d.t.Context(), client.ObjectKeyFromObject(c), c))
		return slices.ContainsFunc(c.Status.Grants, func(g v1alpha1.GrantStatus) bool {
			return g.Audience == indicator && g.Scopes[0].Decision == string(oauth2.Granted)
		})
	})
	d.isAnswered(d.fetch(secret, url.Values{"scope": {"items.read"}}), http.StatusBadRequest, "invalid_scope",
		"the scope items.read is not granted to this client at its default audience; "+elsewhere)
	d.isTold(c, "ScopeNotGranted", `The scope "items.read" is not granted to this client at its default audience, which a request without the parameter resource is for. `+orElsewhere)
	eventually(d.t, "the same request with the resource is granted", func() bool {
		return d.fetch(secret, url.Values{"scope": {"items.read"}, "resource": {indicator}}).status == http.StatusOK
	})
}

func twoResources(d *developer, c *v1alpha1.OAuth2Client, secret *corev1.Secret) {
	d.isAnswered(d.fetch(secret, url.Values{"resource": {"https://orders.example.com", "https://items.example.com"}}), http.StatusBadRequest, "invalid_target",
		"a token is for one resource; send one resource a request")
	d.isTold(c, "TargetNotGranted", "The request has several parameters named resource, and a token is for one. Send a request for each resource.")
}

func malformedResource(d *developer, c *v1alpha1.OAuth2Client, secret *corev1.Secret) {
	d.isAnswered(d.fetch(secret, url.Values{"resource": {"orders"}}), http.StatusBadRequest, "invalid_target",
		"resource must be an absolute URI without a fragment (RFC 8707 section 2)")
	d.isTold(c, "TargetNotGranted", "The parameter resource of the request is not an absolute URI without a fragment. Send an audience of status.grants.")
}

func missingGrant(d *developer, c *v1alpha1.OAuth2Client, secret *corev1.Secret) {
	d.hasCondition(c, v1alpha1.ConditionGrantsComplete,
		`OAuth2Resource "orders" of namespace "foreign" does not grant the scope "orders.read" to this client; ask its owner for a grant. `+
			"The other scopes are granted; status.grants lists each decision.")
	indicator := hallpass.Issuer.URL("/resources/foreign/orders")
	d.isAnswered(d.fetch(secret, url.Values{"resource": {indicator}}), http.StatusBadRequest, "invalid_target",
		"the client is granted nothing at "+indicator+"; send as resource an audience of status.grants of its OAuth2Client, or ask the owner of the API for a grant")
	d.isTold(c, "TargetNotGranted",
		fmt.Sprintf("Nothing is granted to this client at %q. Send as resource an audience of status.grants, or ask the owner of the API for a grant.", indicator))
}

func misspelledNamespace(d *developer, _ *v1alpha1.OAuth2Client, _ *corev1.Secret) {
	resource := &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: mistaken, Name: "misspelled"}}
	resource.Spec = v1alpha1.OAuth2ResourceSpec{
		Scopes: []v1alpha1.ResourceScope{{Name: "read"}},
		Grants: []v1alpha1.ResourceGrant{{
			From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{"gatway"}}, Scopes: []v1alpha1.Scope{"read"},
		}},
	}
	must(d.t, d.client.Create(d.t.Context(), resource))
	has := func(message string) {
		d.t.Helper()
		eventually(d.t, "the condition of the resource says "+message, func() bool {
			must(d.t, d.client.Get(d.t.Context(), client.ObjectKeyFromObject(resource), resource))
			condition := meta.FindStatusCondition(resource.Status.Conditions, v1alpha1.ConditionGrantsComplete)
			return condition != nil && condition.Message == message
		})
	}
	has(`Every scope and grant is honoured. Namespace "gatway", which a grant names, does not exist: check the spelling, or create it.`)
	must(d.t, cluster.Create(d.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "gatway"}}))
	has("Every scope and grant is honoured.")
}

func wrongSecret(d *developer, c *v1alpha1.OAuth2Client, secret *corev1.Secret) {
	secret.Data["client_secret"] = []byte(strings.Repeat("x", 43))
	d.isAnswered(d.fetch(secret, nil), http.StatusUnauthorized, "invalid_client", notAuthenticated)
	d.isTold(c, "WrongSecret", fmt.Sprintf("The client secret is not one of this client. Read client_id and client_secret from Secret %q again, "+
		"and restart pods that took them from the environment.", secret.Name))
}

func encodedSecret(d *developer, c *v1alpha1.OAuth2Client, secret *corev1.Secret) {
	secret.Data["client_secret"] = []byte(base64.StdEncoding.EncodeToString(secret.Data["client_secret"]))
	d.isAnswered(d.fetch(secret, nil), http.StatusUnauthorized, "invalid_client", notAuthenticated)
	d.isTold(c, "SecretNotDecoded", "The client secret is right, and still encoded in Base64. Decode it: kubectl get secret -o yaml prints values in Base64.")
}

func wrongAudience(d *developer, _ *v1alpha1.OAuth2Client, secret *corev1.Secret) {
	d.isRefusedAtProxy(d.token(secret), "https://orders.example.com", "the access token is for another audience; fetch one with resource=https://orders.example.com")
}

func foreignParameter(d *developer, c *v1alpha1.OAuth2Client, secret *corev1.Secret) {
	d.isAnswered(d.fetch(secret, url.Values{"audience": {"https://orders.example.com"}, "scope": {"orders.read"}}), http.StatusBadRequest, "invalid_scope",
		"the scope orders.read is not granted to this client at its default audience; "+elsewhere+"; the parameter audience has no meaning here: send resource")
	d.isTold(c, "ScopeNotGranted", `The scope "orders.read" is not granted to this client at its default audience, which a request without the parameter resource is for. `+orElsewhere)
}

func plainHTTP(d *developer, _ *v1alpha1.OAuth2Client, _ *corev1.Secret) {
	request, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, strings.Replace(d.server, "https", "http", 1)+"/oauth2/token", http.NoBody)
	must(d.t, err)
	response, err := http.DefaultClient.Do(request)
	must(d.t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	must(d.t, err)
	if response.StatusCode != http.StatusBadRequest || string(body) != "Client sent an HTTP request to an HTTPS server.\n" {
		d.t.Errorf("%d %q", response.StatusCode, body)
	}
}

func wrongAuthority(d *developer, _ *v1alpha1.OAuth2Client, secret *corev1.Secret) {
	get := func(roots *x509.CertPool) error {
		caller := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
		defer caller.CloseIdleConnections()
		request, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.server+"/oauth2/jwks", http.NoBody)
		must(d.t, err)
		response, err := caller.Do(request)
		if err == nil {
			err = response.Body.Close()
		}
		return err
	}
	if err := get(x509.NewCertPool()); err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		d.t.Errorf("without the authority: %v", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(secret.Data["ca.crt"]) {
		d.t.Fatalf("Secret %s has no certificate in ca.crt", secret.Name)
	}
	if err := get(roots); err != nil {
		d.t.Errorf("with ca.crt of the Secret: %v", err)
	}
}

func expired(d *developer, c *v1alpha1.OAuth2Client, _ *corev1.Secret) {
	d.isRefusedAtProxy(expiredToken(d.t, c), hallpass.Issuer.NamespaceAudience(mistaken), "the access token has expired; fetch another one")
	d.hasEvent(c, "ExpiredTokenUsed", "Refused an expired token; renew tokens before they expire")
}

func revoked(d *developer, c *v1alpha1.OAuth2Client, secret *corev1.Secret) {
	token := d.token(secret)
	if status, body := shared.Post(d.t, secret, d.server+"/oauth2/revoke", url.Values{"token": {token}}); status != http.StatusOK {
		d.t.Fatalf("revoke: %d %v", status, body)
	}
	if status, body := shared.Post(d.t, secret, d.server+"/oauth2/introspect", url.Values{"token": {token}}); status != http.StatusOK || body["active"] != false {
		d.t.Errorf("introspect: %d %v", status, body)
	}
	d.hasEvent(c, "RevokedTokenUsed", "Refused a revoked token, sent from 127.0.0.1")
}

const notAuthenticated = "client authentication failed; status.refusals of the OAuth2Client has the reason, if such a client exists"

// newDeveloper binds the role edit to a user in one namespace.
func newDeveloper(t *testing.T, server string) *developer {
	t.Helper()
	const user = "developer"
	must(t, cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: mistaken}}))
	must(t, cluster.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: mistaken, Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}))
	config := rest.CopyConfig(hallpass.ControlPlane.AdminConfig())
	config.Impersonate.UserName = user
	connected, err := installation.Connect(config)
	must(t, err)
	d := &developer{t, connected, server}
	eventually(t, "the developer may work in the namespace", func() bool {
		return connected.List(t.Context(), &v1alpha1.OAuth2ClientList{}, client.InNamespace(mistaken)) == nil
	})
	for _, namespace := range []string{installation.SystemNamespace, installation.RegistryNamespace, "foreign"} {
		for _, list := range []client.ObjectList{&corev1.SecretList{}, &corev1.PodList{}, &corev1.EventList{}, &v1alpha1.OAuth2ClientList{}} {
			if err := connected.List(t.Context(), list, client.InNamespace(namespace)); !apierrors.IsForbidden(err) {
				t.Errorf("the developer lists %T in %s: %v", list, namespace, err)
			}
		}
	}
	return d
}

// declareForeignAPI declares an API of another namespace, which grants nothing.
func declareForeignAPI(t *testing.T) {
	t.Helper()
	must(t, cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "foreign"}}))
	resource := &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: "foreign", Name: "orders"}}
	resource.Spec.Scopes = []v1alpha1.ResourceScope{{Name: "orders.read"}}
	must(t, cluster.Create(t.Context(), resource))
	eventually(t, "the API is declared", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(resource), resource))
		return meta.IsStatusConditionTrue(resource.Status.Conditions, v1alpha1.ConditionReady)
	})
}

// newClient creates a client of its own for a mistake, which asks for a scope of the namespace and
// one of the foreign API.
func (d *developer) newClient(name string) *v1alpha1.OAuth2Client {
	d.t.Helper()
	c := world.NewClient(name)
	c.Namespace = mistaken
	c.Spec.Access = []v1alpha1.Access{{ResourceNamespace: "foreign", ResourceName: "orders", Scopes: []v1alpha1.Scope{"orders.read"}}}
	must(d.t, d.client.Create(d.t.Context(), c))
	eventually(d.t, "the client is ready", func() bool {
		must(d.t, d.client.Get(d.t.Context(), client.ObjectKeyFromObject(c), c))
		return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady)
	})
	return c
}

// answered is an answer of the token endpoint.
type answered struct {
	status int
	body   map[string]any
}

// fetch asks for a token until the answer is a decision.
func (d *developer) fetch(secret *corev1.Secret, further url.Values) (last answered) {
	d.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}}
	maps.Copy(form, further)
	eventually(d.t, "the token server decides", func() bool {
		last.status, last.body = shared.Post(d.t, secret, d.server+"/oauth2/token", form)
		return last.status != http.StatusServiceUnavailable
	})
	return last
}

func (d *developer) token(secret *corev1.Secret) string {
	d.t.Helper()
	return shared.Fetch(d.t, secret, d.server+"/oauth2/token")
}

func (d *developer) isAnswered(got answered, status int, code, description string) {
	d.t.Helper()
	if got.status != status || got.body["error"] != code || got.body["error_description"] != description {
		body, err := json.Marshal(got.body)
		must(d.t, err)
		d.t.Errorf("answered %d %s\nwant %d, %s: %s", got.status, body, status, code, description)
	}
}

// isTold expects one refusal with its message in the status and in an event.
func (d *developer) isTold(c *v1alpha1.OAuth2Client, reason, message string) {
	d.t.Helper()
	eventually(d.t, "the status has the refusal", func() bool {
		must(d.t, d.client.Get(d.t.Context(), client.ObjectKeyFromObject(c), c))
		return len(c.Status.Refusals) > 0
	})
	got := c.Status.Refusals[0]
	if len(c.Status.Refusals) != 1 || got.Reason != reason || got.Message != message || got.Count != 1 || got.Source != "127.0.0.1" || got.LastRefusedAt.IsZero() {
		d.t.Errorf("status.refusals %+v, want once %s: %s", c.Status.Refusals, reason, message)
	}
	if !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
		d.t.Errorf("the refusal has made the client not ready: %+v", c.Status.Conditions)
	}
	d.hasEvent(c, reason, "Refused once, last from 127.0.0.1. "+message)
}

// hasEvent expects an event, as kubectl describe lists it.
func (d *developer) hasEvent(c *v1alpha1.OAuth2Client, reason, message string) {
	d.t.Helper()
	var seen []string
	eventually(d.t, "an event says: "+message, func() bool {
		var list corev1.EventList
		must(d.t, d.client.List(d.t.Context(), &list, client.InNamespace(c.Namespace)))
		seen = nil
		for i := range list.Items {
			e := &list.Items[i]
			if e.InvolvedObject.UID != c.UID || e.Reason != reason {
				continue
			}
			if seen = append(seen, e.Message); e.Message == message && e.Type == corev1.EventTypeWarning {
				return true
			}
		}
		if len(seen) > 0 {
			d.t.Fatalf("the event says %q, want %q", seen, message)
		}
		return false
	})
}

func (d *developer) hasCondition(c *v1alpha1.OAuth2Client, kind, message string) {
	d.t.Helper()
	var got *metav1.Condition
	eventually(d.t, "the client has the condition "+kind, func() bool {
		must(d.t, d.client.Get(d.t.Context(), client.ObjectKeyFromObject(c), c))
		got = meta.FindStatusCondition(c.Status.Conditions, kind)
		return got != nil
	})
	if got.Message != message {
		d.t.Errorf("%s says %q, want %q", kind, got.Message, message)
	}
}

// isRefusedAtProxy sends a token to forward-auth, as the proxy before an API does.
func (d *developer) isRefusedAtProxy(token, audience, description string) {
	d.t.Helper()
	request, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.server+"/forward-auth?audience="+url.QueryEscape(audience), http.NoBody)
	must(d.t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := hallpass.HTTP.Do(request)
	must(d.t, err)
	must(d.t, response.Body.Close())
	want := `error="invalid_token", error_description="` + description + `"`
	if challenge := response.Header.Get("WWW-Authenticate"); response.StatusCode != http.StatusUnauthorized || !strings.Contains(challenge, want) {
		d.t.Errorf("answered %d, WWW-Authenticate: %s\nwant 401 with %s", response.StatusCode, challenge, want)
	}
}
