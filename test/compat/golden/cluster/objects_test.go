// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/test/kit/golden"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

const jwks = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ed"}]}`

// pinned are clients of each authentication method, and one with all fields.
func pinned() []*v1alpha1.OAuth2Client {
	specs := map[string]v1alpha1.OAuth2ClientSpec{
		"least": {},
		"full": {
			DisplayName: "All fields", Description: "A client with all fields.", Scopes: []v1alpha1.Scope{"read", "write"},
			Access: []v1alpha1.Access{
				{ResourceNamespace: "pinned", ResourceName: "api", Scopes: []v1alpha1.Scope{"api.read", "api.write"}},
				{ResourceNamespace: "pinned", ResourceName: "none", Scopes: []v1alpha1.Scope{"x"}},
			},
			DefaultResource: v1alpha1.ResourceReference{Namespace: "pinned", Name: "api"}, TokenLifetime: "10m",
			Claims: []v1alpha1.Claim{{Name: "https://example.com/tier", Value: "gold"}, {Name: "urn:example:teams", Values: []v1alpha1.ClaimValue{"a", "b"}}},
			Secret: v1alpha1.SecretSpec{
				Name: "full-credentials", Keys: v1alpha1.SecretKeys{ClientID: "ID", ClientSecret: "SECRET", TokenURL: "TOKEN_URL"},
				Omit: []v1alpha1.OmittedEntry{v1alpha1.OmitJWKSURL, v1alpha1.OmitCACertificate},
				Template: v1alpha1.SecretTemplate{
					"config.ini": "id = $(client_id)\nsecret = $(client_secret)\nurl = $(token_url)\nprice = $$5\n",
				},
				DeletionPolicy: v1alpha1.DeletionRetain,
				Labels:         v1alpha1.SecretLabels{"team": "blue"}, Annotations: v1alpha1.SecretAnnotations{"example.com/note": "of the test"},
			},
			Rotation: v1alpha1.RotationSpec{Interval: "720h", Overlap: "24h"},
		},
		"suspended": {State: v1alpha1.ClientSuspended},
		"keys": {Authentication: v1alpha1.AuthenticationSpec{
			Method: v1alpha1.ByPrivateKeyJWT, PrivateKeyJWT: v1alpha1.PrivateKeyJWTSpec{JWKS: jwks},
		}},
		"pod": {Authentication: v1alpha1.AuthenticationSpec{
			Method: v1alpha1.ByServiceAccount, ServiceAccount: v1alpha1.ServiceAccountSpec{Name: "worker"},
		}},
		"existing": {Secret: v1alpha1.SecretSpec{Source: v1alpha1.SecretExisting, Name: "brought-along"}},
	}
	var clients []*v1alpha1.OAuth2Client
	for name, spec := range specs {
		clients = append(clients, &v1alpha1.OAuth2Client{
			ObjectMeta: metav1.ObjectMeta{Namespace: "pinned", Name: name, Labels: map[string]string{"team": "blue"}}, Spec: spec,
		})
	}
	slices.SortFunc(clients, func(a, b *v1alpha1.OAuth2Client) int { return strings.Compare(a.Name, b.Name) })
	return clients
}

// TestObjectsAreWrittenAsBefore creates objects of each kind and compares the result: the Secrets
// and ConfigMaps of users, the records of the registry, and statuses. Random values and timestamps
// are replaced by placeholders.
func TestObjectsAreWrittenAsBefore(t *testing.T) {
	namespace(t, "pinned")
	must(t, cluster.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "pinned", Name: "worker"}}))
	must(t, cluster.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "pinned", Name: "brought-along", Labels: map[string]string{v1alpha1.LabelCredentials: "true"}},
		Data:       map[string][]byte{"client_secret": []byte("Vv9KqE0pX3sZr7TnB2yLwQ8mJd4HcU6a")},
	}))
	resource := &v1alpha1.OAuth2Resource{
		ObjectMeta: metav1.ObjectMeta{Namespace: "pinned", Name: "api"},
		Spec: v1alpha1.OAuth2ResourceSpec{
			DisplayName: "The API", Scopes: []v1alpha1.ResourceScope{{Name: "api.read", Description: "Reads."}, {Name: "api.write"}},
			Grants: []v1alpha1.ResourceGrant{{
				From: v1alpha1.GrantSource{
					Namespaces:     []v1alpha1.NamespaceName{"pinned", "other"},
					ClientSelector: v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{"team": "blue"}},
				},
				Scopes: []v1alpha1.Scope{"api.read"},
			}},
			Introspection: v1alpha1.IntrospectionSpec{Clients: []v1alpha1.ClientReference{{Namespace: "pinned", Name: "least"}}},
			TokenLifetime: "20m",
		},
	}
	must(t, cluster.Create(t.Context(), resource))
	ready(t, resource, func() []metav1.Condition { return resource.Status.Conditions })
	for _, c := range pinned() {
		must(t, cluster.Create(t.Context(), c))
		if c.Name == "suspended" {
			eventually(t, "the client is suspended", func() bool { return read(t, c) && c.Status.ObservedGeneration == c.Generation })
			continue
		}
		clientReady(t, c)
	}
	for name, spec := range map[string]v1alpha1.OAuth2TokenSpec{
		"refreshing": {Mode: v1alpha1.TokenRefreshing, Scopes: []v1alpha1.Scope{"write"}, Resource: hallpass.Issuer.NamespaceAudience("pinned")},
		"fixed":      {Mode: v1alpha1.TokenFixed, ExpirationTime: new(metav1.NewTime(time.Now().Add(24 * time.Hour))), Description: "Of a printer.", Resource: hallpass.Issuer.NamespaceAudience("pinned")},
	} {
		spec.ClientRef = v1alpha1.LocalClientReference{Name: "full"}
		token := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: "pinned", Name: name}, Spec: spec}
		must(t, cluster.Create(t.Context(), token))
		ready(t, token, func() []metav1.Condition { return token.Status.Conditions })
	}
	quiet(t) // the status of the resource counts clients with a delay
	golden.Compare(t, "objects.txt", []byte(everything(t)))
	deleteAll(t, "pinned")
}

// everything is the text of all objects of the test and all records of the registry.
func everything(t *testing.T) string {
	t.Helper()
	var texts []string
	for _, list := range []client.ObjectList{&corev1.SecretList{}, &corev1.ConfigMapList{}} {
		for _, in := range []string{"pinned", installation.RegistryNamespace} {
			must(t, cluster.List(t.Context(), list, client.InNamespace(in)))
			texts = append(texts, written(t, list)...)
		}
	}
	for _, list := range []client.ObjectList{&v1alpha1.OAuth2ClientList{}, &v1alpha1.OAuth2TokenList{}, &v1alpha1.OAuth2ResourceList{}} {
		must(t, cluster.List(t.Context(), list, client.InNamespace("pinned")))
		texts = append(texts, written(t, list)...)
	}
	slices.Sort(texts)
	return strings.Join(texts, "\n")
}

// written are the texts of the objects in a list, without spec and without the metadata that the
// API server adds.
func written(t *testing.T, list client.ObjectList) []string {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(list)
	must(t, err)
	items, _ := content["items"].([]any)
	var texts []string
	for _, item := range items {
		object, _ := item.(map[string]any)
		meta, _ := object["metadata"].(map[string]any)
		name, _ := meta["name"].(string)
		// the record has the names of replicas
		if name == "kube-root-ca.crt" || name == usagereport.RecordName {
			continue
		}
		for _, added := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"} {
			delete(meta, added)
		}
		delete(object, "spec")
		reveal(t, object)
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err := encoder.Encode(object)
		must(t, err)
		kind := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", list), "*v1."), "List")
		texts = append(texts, named(fmt.Sprintf("# %s %s/%s\n%s", strings.TrimPrefix(kind, "*v1alpha1."), meta["namespace"], name, text.String())))
	}
	return texts
}

// reveal decodes the data of a Secret. Signing keys are replaced by a placeholder.
func reveal(t *testing.T, object map[string]any) {
	t.Helper()
	data, _ := object["data"].(map[string]any)
	for name, value := range data {
		var raw []byte
		if encoded, err := json.Marshal(value); err != nil || json.Unmarshal(encoded, &raw) != nil {
			continue // a ConfigMap is not encoded
		}
		if data[name] = string(raw); name == "ring.json" {
			data[name] = "RING"
		}
	}
}

// names are the placeholders.
var names = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`https://localhost:\d+`), "https://ISSUER"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`-----BEGIN [^"]*-----END CERTIFICATE-----(\\n)?`), "CERTIFICATE"},
	{regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`), "JWT"},
	{regexp.MustCompile(`hp_[A-Za-z0-9_-]{30,}`), "SECRET"},
	{regexp.MustCompile(`hpt_[A-Za-z0-9_-]{30,}`), "TOKEN"},
	{regexp.MustCompile(`("tokenID": ")[\w-]{22}`), "${1}ID"},
	{regexp.MustCompile(`resource-[a-z2-7]{32}`), "resource-HASH"},
	{regexp.MustCompile(`(\\"(?:sha256|digest)\\":\\")[A-Za-z0-9+/=]+`), "${1}DIGEST"},
	{regexp.MustCompile(`(\\"kid\\":\\")[\w-]{43}`), "${1}KID"},
	{regexp.MustCompile(`(\\"(?:id|first|plannedBy)\\":\\"|"id": ")[\w-]{12,22}`), "${1}ID"},
	{regexp.MustCompile(`(\\"(?:issuedAt|expiresAt)\\":)\d+`), "${1}SECONDS"},
	{regexp.MustCompile(`token-[a-z2-7]{12}`), "token-ID"},
}

func named(text string) string {
	for _, n := range names {
		text = n.pattern.ReplaceAllString(text, n.name)
	}
	return text
}
