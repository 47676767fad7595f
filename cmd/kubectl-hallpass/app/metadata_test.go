// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
)

// published serves one document, whose text has ADDRESS for its own address.
func published(t *testing.T, status int, contentType, document string) (address string, web http.RoundTripper) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(strings.ReplaceAll(document, "ADDRESS", address)))
	})
	server.StartTLS()
	t.Cleanup(server.Close)
	address = server.URL + "/client.json"
	return address, server.Client().Transport
}

// create runs create client, and returns the exit code, the manifest and standard error.
func create(t *testing.T, web http.RoundTripper, args ...string) (code int, manifest, problems string) {
	t.Helper()
	var out, said bytes.Buffer
	args = append([]string{"create", "client", "editor", "--dry-run=client", "--output=yaml", "--kubeconfig", kubeconfig(t, "https://127.0.0.1:1", &clientcmdapi.AuthInfo{})}, args...)
	code = app.Run(t.Context(), args, app.Environment{IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &said}, Web: web})
	return code, out.String(), said.String()
}

func TestAClientIsCreatedFromItsMetadata(t *testing.T) {
	address, web := published(t, http.StatusOK, "application/cimd+json; charset=utf-8", `{"client_id":"ADDRESS","client_name":"Editor","contacts":["a@example.com"],
		"redirect_uris":["http://localhost/callback"],"grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],"token_endpoint_auth_method":"none"}`)
	code, manifest, said := create(t, web, "--from-metadata", address, "--contacts", "b@example.com")
	want := `apiVersion: hallpass.dev/v1alpha1
kind: OAuth2Client
metadata:
  name: editor
  namespace: shop
spec:
  authentication:
    method: None
  clientID: ` + address + `
  contacts:
  - b@example.com
  displayName: Editor
  grantTypes:
  - AuthorizationCode
  redirectURIs:
  - http://localhost/callback
`
	if code != 0 || manifest != want {
		t.Errorf("exit code %d, manifest:\n%s\nwant:\n%s%s", code, manifest, want, said)
	}
	if !strings.Contains(said, "left out: urn:ietf:params:oauth:grant-type:device_code") || !strings.Contains(said, "An OAuth2Policy has to list the clientID "+address) {
		t.Errorf("said: %s", said)
	}

	address, web = published(t, http.StatusOK, "application/json", `{"client_id":"ADDRESS","grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{"kty":"OKP"}]}}`)
	code, manifest, said = create(t, web, "--from-metadata", address)
	if code != 0 || !strings.Contains(manifest, "method: PrivateKeyJWT") || !strings.Contains(manifest, `jwks: '{"keys":[{"kty":"OKP"}]}'`) || strings.Contains(manifest, "redirectURIs") {
		t.Errorf("exit code %d, manifest of a client that signs:\n%s%s", code, manifest, said)
	}
}

func TestClientMetadataThatCannotBeTaken(t *testing.T) {
	const good = `{"client_id":"ADDRESS","redirect_uris":["http://localhost/callback"],"token_endpoint_auth_method":"none"}`
	for name, c := range map[string]struct {
		status                      int
		contentType, document, want string
		further                     []string
	}{
		"not there":          {status: http.StatusNotFound, contentType: "application/json", document: good, want: "answers 404 Not Found"},
		"elsewhere":          {status: http.StatusFound, contentType: "application/json", document: good, want: "without a redirect"},
		"a page":             {status: http.StatusOK, contentType: "text/html", document: good, want: `is "text/html", and that of a client metadata document is application/json`},
		"a large one":        {status: http.StatusOK, contentType: "application/json", document: good + strings.Repeat(" ", 64<<10), want: "larger than 64 KiB"},
		"another client":     {status: http.StatusOK, contentType: "application/json", document: `{"client_id":"https://a.example.com/b"}`, want: "letter by letter"},
		"authenticated both": {status: http.StatusOK, contentType: "application/json", document: good, further: []string{"--service-account=worker", "--public"}, want: "leave out --public"},
		"nowhere to go":      {status: http.StatusOK, contentType: "application/json", document: `{"client_id":"ADDRESS","token_endpoint_auth_method":"none"}`, want: "Give them with --redirect-uri"},
		"nothing to prove": {
			status: http.StatusOK, contentType: "application/json", document: `{"client_id":"ADDRESS","grant_types":["client_credentials"],"token_endpoint_auth_method":"none"}`,
			want: "nothing authenticates a request",
		},
	} {
		address, web := published(t, c.status, c.contentType, c.document)
		if code, manifest, said := create(t, web, append(c.further, "--from-metadata", address)...); code == 0 || manifest != "" || !strings.Contains(said, c.want) {
			t.Errorf("%s: exit code %d, said %q, want %q\n%s", name, code, said, c.want, manifest)
		}
	}
	address, _ := published(t, http.StatusOK, "application/json", good)
	if code, _, said := create(t, http.DefaultTransport, "--from-metadata", address); code != 1 || !strings.Contains(said, "It is verified by the CAs of this machine") {
		t.Errorf("a certificate of nobody: exit code %d, %s", code, said)
	}
	if code, _, said := create(t, nil, "--from-metadata", ""); code != 2 || !strings.Contains(said, `"" is no https URL`) {
		t.Errorf("an empty address: exit code %d, %s", code, said)
	}
	if code, _, said := create(t, nil, "--from-metadata", "https://127.0.0.1:1/client.json"); code != 1 || !strings.Contains(said, "Check the address") {
		t.Errorf("nobody there: exit code %d, %s", code, said)
	}
	if code, _, said := create(t, nil, "--from-metadata", "http://app.example.com/client.json"); code != 2 || !strings.Contains(said, "is no https URL") {
		t.Errorf("an address without TLS: exit code %d, %s", code, said)
	}
}

func TestFlagsReplaceMembersOfTheMetadata(t *testing.T) {
	const (
		public = `{"client_id":"ADDRESS","client_name":"Editor","scope":"a b","contacts":["a@example.com","a@example.com"],"redirect_uris":["http://localhost/callback"],
			"token_endpoint_auth_method":"none","jwks":{"keys":[]}}`
		signing = `{"client_id":"ADDRESS","redirect_uris":["https://app.example.com/callback"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{"kty":"OKP"}]}}`
		machine = `{"client_id":"ADDRESS","grant_types":["client_credentials"],"redirect_uris":["https://app.example.com/callback"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[]}}`
	)
	for name, c := range map[string]struct {
		document          string
		flags             []string
		want, without     string
		said, nothingSaid string
	}{
		"keys of a client that signs nothing": {public, nil, "method: None", "privateKeyJWT", "are not taken, because it does not name their API: a b", ""},
		"a service account for nothing":       {public, []string{"--service-account=worker"}, "method: ServiceAccount", "method: None", "", ""},
		"a service account for a key":         {signing, []string{"--service-account=worker"}, "method: ServiceAccount", "privateKeyJWT", "", ""},
		"an issuer for a key":                 {signing, []string{"--issuer=github", "--subject=a"}, "method: FederatedToken", "privateKeyJWT", "", ""},
		"nothing for a key":                   {signing, []string{"--public"}, "method: None", "privateKeyJWT", "", ""},
		"no name for a name":                  {public, []string{"--display-name="}, "clientID", "displayName", "", ""},
		"scopes for scopes":                   {public, []string{"--scopes=c"}, "- c", "- a\n", "", "are not taken"},
		"no people":                           {machine, nil, "- ClientCredentials", "redirectURIs", "An OAuth2Policy has to list the clientID", "redirect URIs"},
	} {
		address, web := published(t, http.StatusOK, "application/json", c.document)
		code, manifest, said := create(t, web, append(c.flags, "--from-metadata", address)...)
		if code != 0 || !strings.Contains(manifest, c.want) || strings.Contains(manifest, c.without) || !strings.Contains(said, c.said) || c.nothingSaid != "" && strings.Contains(said, c.nothingSaid) {
			t.Errorf("%s: exit code %d, manifest:\n%s%s", name, code, manifest, said)
		}
		if strings.Count(manifest, "a@example.com") > 1 {
			t.Errorf("%s: a contact is there twice:\n%s", name, manifest)
		}
	}
}
