// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package people_test has persons log in as they do in an installation: identity providers, client
// libraries and a browser that others have written, with login and the token server on a real
// control plane, each with the rights of its own service account.
package people_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/issuers"
	"github.com/hallpass-dev/hallpass/test/kit/people"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const (
	loginURL = "https://login.example.com"
	// webBack and nativeBack are where clients are sent their codes.
	webBack    = "https://portal.example.com/callback"
	nativeBack = "http://127.0.0.1:49152/callback"
)

// What all tests of this package share: an installation with login, and the example provider of
// zitadel/oidc.
var (
	root    string
	network = &issuers.Network{}
	shared  *world.World
	zitadel *people.Provider

	must = world.Must
)

func TestMain(m *testing.M) {
	address, err := installation.FreeAddress()
	if err == nil {
		root, err = world.Root()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	tokenServer := "localhost" + address[strings.LastIndex(address, ":"):]
	options := installation.Options{IssuerFetcher: network.Fetcher(), LoginURL: loginURL, LoginListen: tokenServer}
	world.Main(world.Options{Installation: options}, func(ctx context.Context, w *world.World) (code int, err error) {
		shared = w
		login, err := people.StartLogin(ctx, w, network, root, loginURL, tokenServer)
		if err != nil {
			return 1, err
		}
		defer func() { err = errors.Join(err, login.Stop()) }()
		if zitadel, err = people.StartZitadel(ctx, network, root, loginURL, "zitadel"); err != nil {
			return 1, err
		}
		defer zitadel.Stop()
		return m.Run(), nil
	})
}

// scene is a namespace whose clients send people to a provider. Beside it is the namespace of an
// API, whose name ends in -api.
type scene struct {
	provider  *people.Provider
	namespace string
	// api is the identifier of the API, and server a client that introspects its tokens.
	api    string
	server *corev1.Secret
}

// atZitadel is the scene of all tests that are not about a provider.
var atZitadel struct {
	once sync.Once
	*scene
}

func zitadelScene(t *testing.T) *scene {
	t.Helper()
	atZitadel.once.Do(func() { atZitadel.scene = sceneAt(t, zitadel, "at-zitadel") })
	if atZitadel.scene == nil {
		t.Fatal("the scene is not there, for the reason of an earlier test")
	}
	return atZitadel.scene
}

// sceneAt makes a scene, with a confidential client web and a public one, native.
func sceneAt(t *testing.T, provider *people.Provider, namespace string) *scene {
	t.Helper()
	s := &scene{provider: provider, namespace: namespace, api: shared.Hallpass.Issuer.String() + "/resources/" + namespace + "-api/api"}
	s.apply(t, `
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE}
---
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE-api}
---
apiVersion: v1
kind: Secret
metadata: {name: PROVIDER, namespace: hallpass-login}
stringData: {client_secret: provider-secret}
---
apiVersion: hallpass.dev/v1alpha1
kind: OAuth2Policy
metadata: {name: NAMESPACE}
spec:
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}
  grantTypes: [ClientCredentials, AuthorizationCode]
  authenticationMethods: [ClientSecret, None]
  redirectURIs: ["https://portal.example.com/*", "http://127.0.0.1/*"]
  clientIDs: ["https://agent.example.com/client.json"]
---
apiVersion: hallpass.dev/v1alpha1
kind: OAuth2Resource
metadata: {name: api, namespace: NAMESPACE-api}
spec:
  displayName: Orders
  scopes: [{name: orders.read, description: Read your orders}]
  grants:
  - {from: {namespaces: [NAMESPACE]}, scopes: [orders.read], subjects: [User]}
---
apiVersion: hallpass.dev/v1alpha1
kind: OAuth2Client
metadata: {name: server, namespace: NAMESPACE-api}
spec: {scopes: [none]}
---
apiVersion: hallpass.dev/v1alpha1
kind: OAuth2Client
metadata: {name: web, namespace: NAMESPACE}
spec:
  grantTypes: [AuthorizationCode]
  redirectURIs: ["https://portal.example.com/callback"]
  refreshTokens: {lifetime: 8h}
  loginIssuerName: PROVIDER
  access: [{resourceNamespace: NAMESPACE-api, resourceName: api, scopes: [orders.read]}]
---
apiVersion: hallpass.dev/v1alpha1
kind: OAuth2Client
metadata: {name: native, namespace: NAMESPACE}
spec:
  grantTypes: [AuthorizationCode]
  authentication: {method: None}
  redirectURIs: ["http://127.0.0.1/callback"]
  refreshTokens: {lifetime: 8h}
  loginIssuerName: PROVIDER
  access: [{resourceNamespace: NAMESPACE-api, resourceName: api, scopes: [orders.read]}]
`)
	s.trust(t, provider.Name)
	s.await(t)
	must(t, installation.Kubectl(t.Context(), shared.Plane, "wait", "hpc", "server", "--for=condition=Ready", "--timeout=3m", "--namespace", namespace+"-api"))
	s.server = s.secret(t, namespace+"-api", "server")
	return s
}

// await waits until each client of the scene has what it asks for.
func (s *scene) await(t *testing.T) {
	t.Helper()
	for _, condition := range []string{"Ready", "GrantsComplete"} {
		must(t, installation.Kubectl(t.Context(), shared.Plane, "wait", "hpc", "--all", "--for=condition="+condition, "--timeout=3m", "--namespace", s.namespace))
	}
}

// trust has the provider trusted. Secret names the Secret with the client secret there.
func (s *scene) trust(t *testing.T, secret string) {
	t.Helper()
	ca, err := json.Marshal(people.CA())
	must(t, err)
	s.apply(t, `
apiVersion: hallpass.dev/v1alpha1
kind: OAuth2TrustedIssuer
metadata: {name: PROVIDER}
spec:
  displayName: Example Corp
  issuer: `+s.provider.Issuer+`
  uses: [Person]
  caBundle: `+string(ca)+`
  namespaces:
  - from: {namespaces: [NAMESPACE]}
  login: {clientID: hallpass, clientSecretRef: {name: `+secret+`}}
`)
	must(t, installation.Kubectl(t.Context(), shared.Plane, "wait", "hpi", s.provider.Name, "--for=condition=Ready", "--timeout=3m"))
}

// apply applies YAML, in which NAMESPACE and PROVIDER stand for the names of the scene.
func (s *scene) apply(t *testing.T, manifests string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifests.yaml")
	text := strings.NewReplacer("NAMESPACE", s.namespace, "PROVIDER", s.provider.Name).Replace(manifests)
	must(t, os.WriteFile(file, []byte(text), 0o600))
	must(t, installation.Kubectl(t.Context(), shared.Plane, "apply", "--server-side", "-f", file))
}

func (s *scene) secret(t *testing.T, namespace, name string) *corev1.Secret {
	t.Helper()
	var secret corev1.Secret
	must(t, shared.Cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &secret))
	return &secret
}

// clientSecret is the secret of the client web; the client native has none.
func (s *scene) clientSecret(t *testing.T, name string) string {
	t.Helper()
	if name == "native" {
		return ""
	}
	return string(s.secret(t, s.namespace, name).Data["client_secret"])
}

// person is the sub of the person in tokens.
func (s *scene) person() string { return "user:" + s.provider.Name + ":" + s.provider.Subject }

// introspect asks as the API what a token is worth.
func (s *scene) introspect(t *testing.T, token string) map[string]any {
	t.Helper()
	_, found := shared.Post(t, s.server, shared.Hallpass.Issuer.URL("/oauth2/introspect"), url.Values{"token": {token}})
	return found
}

// isForPerson fails if a token does not act for the person at the client.
func (s *scene) isForPerson(t *testing.T, token, clientID string) {
	t.Helper()
	found := s.introspect(t, token)
	if found["active"] != true || found["sub"] != s.person() || found["sub_type"] != "user" || found["client_id"] != clientID {
		t.Errorf("introspected as %v, want one of %s at %s", found, s.person(), clientID)
	}
}

// hasEnded fails if a token is active.
func (s *scene) hasEnded(t *testing.T, what, token string) {
	t.Helper()
	if found := s.introspect(t, token); found["active"] != false {
		t.Errorf("%s: introspected as %v", what, found)
	}
}

// identity is what a proxy passes on about a token.
func (s *scene) identity(t *testing.T, token string) http.Header {
	t.Helper()
	address := shared.Hallpass.Issuer.URL("/forward-auth") + "?" + url.Values{"audience": {s.api}, "scope": {"orders.read"}}.Encode()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	must(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := shared.Hallpass.HTTP.Do(request)
	must(t, err)
	must(t, response.Body.Close())
	if response.StatusCode != http.StatusOK {
		t.Errorf("forward-auth answers %d %s", response.StatusCode, response.Header.Get("WWW-Authenticate"))
	}
	return response.Header
}
