// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package golden_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/golden"
)

const (
	registry      = "hallpass-registry"
	clusterIssuer = "https://kubernetes.default.svc"
	clusterKeys   = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"cluster"}]}`
	printerUID    = "t-uid"
	listVersion   = "120" // of every list
)

// apiServer is a fake API server that lists the golden files and records writes.
type apiServer struct {
	*httptest.Server

	objects map[string][]any
	// open blocks lists and watches until it is closed.
	open chan struct{}

	mu      sync.Mutex
	written map[string][]byte // the last body by path
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	s := &apiServer{written: map[string][]byte{}, open: make(chan struct{}), objects: map[string][]any{
		"secrets":          registrySecrets(t),
		"oauth2clients":    {owner("OAuth2Client", "shop", "reporting", reportingUID)},
		"oauth2tokens":     {printer()},
		"tokenrevocations": {stored(t, "stored/objects/token-revocation-batch.json"), stored(t, "stored/objects/token-revocation-selector.json")},
	}}
	mux := http.NewServeMux()
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		}
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", text(`{"issuer":"`+clusterIssuer+`"}`))
	mux.HandleFunc("GET /openid/v1/jwks", text(clusterKeys))
	mux.HandleFunc("POST /", s.write)
	mux.HandleFunc("PUT /", s.write)
	mux.HandleFunc("GET /", s.list)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.CloseClientConnections)
	return s
}

func (s *apiServer) rest() *rest.Config { return &rest.Config{Host: s.URL} }

// write records a write and responds with the object.
func (s *apiServer) write(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var object map[string]any
	if err = errors.Join(err, json.Unmarshal(body, &object)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if meta, ok := object["metadata"].(map[string]any); ok {
		meta["resourceVersion"] = "10"
	}
	s.mu.Lock()
	s.written[r.Method+" "+r.URL.Path] = body
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	encode(w, object)
}

// last is the body of the last write to a path.
func (s *apiServer) last(path string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written[path]
}

// list responds to LIST and WATCH, with or without initial events.
func (s *apiServer) list(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.open:
	case <-r.Context().Done():
		return
	}
	resource := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	objects, ok := s.objects[resource]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	query := r.URL.Query()
	if query.Get("watch") == "" {
		encode(w, map[string]any{"kind": "List", "apiVersion": "v1", "metadata": map[string]string{"resourceVersion": listVersion}, "items": objects})
		return
	}
	if query.Get("sendInitialEvents") == "true" {
		for _, object := range objects {
			encode(w, map[string]any{"type": "ADDED", "object": object})
		}
		kind := metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: kinds[resource]}
		if resource == "secrets" {
			kind.APIVersion = "v1"
		}
		encode(w, map[string]any{"type": "BOOKMARK", "object": metav1.PartialObjectMetadata{TypeMeta: kind, ObjectMeta: metav1.ObjectMeta{
			ResourceVersion: listVersion, Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"},
		}}})
	}
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// encode writes a line of JSON. If the connection is closed, the client retries.
func encode(w io.Writer, object any) { _ = json.NewEncoder(w).Encode(object) } //nolint:errchkjson // the objects are those of the tests

var kinds = map[string]string{
	"secrets": "Secret", "oauth2clients": "OAuth2Client", "oauth2tokens": "OAuth2Token", "tokenrevocations": "TokenRevocation",
}

// stored is an object that commit 37318f4 wrote, with the metadata that the API server adds.
func stored(t *testing.T, name string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(golden.Stored(t, name), &object); err != nil {
		t.Fatal(err)
	}
	meta, _ := object["metadata"].(map[string]any)
	meta["resourceVersion"], meta["uid"], meta["creationTimestamp"] = "9", name, "2026-11-23T11:50:00Z"
	return object
}

// registrySecrets are Secrets of the registry with data that commit 37318f4 wrote.
func registrySecrets(t *testing.T) []any {
	t.Helper()
	secret := func(name string, kind corev1.SecretType, dir string) *corev1.Secret {
		return &corev1.Secret{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Namespace: registry, Name: name, UID: types.UID(name), ResourceVersion: "7"},
			Type:       kind, Data: golden.StoredData(t, dir),
		}
	}
	return []any{
		secret(registration.SecretName("shop.reporting"), registration.SecretType, "stored/registrations/client-secret"),
		secret(registration.ResourceSecretName("https://orders.example.com/api"), registration.ResourceSecretType, "stored/resources/full"),
		secret(registration.KeysSecretName, registration.KeysSecretType, pinnedKeys),
		secret(registration.TokenSecretName(printerUID), registration.TokenSecretType, "stored/tokens/opaque"),
	}
}

func owner(kind, namespace, name, uid string) map[string]any {
	return map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind,
		"metadata": map[string]any{"namespace": namespace, "name": name, "uid": uid, "resourceVersion": "8", "generation": 1},
		"spec":     map[string]any{"scopes": []string{"read", "write"}},
	}
}

func printer() map[string]any {
	object := owner("OAuth2Token", "shop", "printer", printerUID)
	object["spec"] = map[string]any{"clientRef": map[string]string{"name": "reporting"}}
	return object
}
