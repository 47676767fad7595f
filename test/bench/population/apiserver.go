// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package population

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// APIServer lists the population and delivers what changes of it, as far as the token server asks:
// the Secrets of the registry and the OAuth2Clients, whole or as a stream (WatchList). Of every
// other kind it has no object. Reports of use are accepted and forgotten. A redemption of a code is
// accepted, delivered as a change, and listed no more.
type APIServer struct {
	population *Population
	listener   net.Listener
	server     *http.Server
	ca         []byte // in PEM

	mu       sync.Mutex
	version  int
	watchers map[chan event]bool
	// redeemed are the redemptions that have not been deleted, and redeemers who watches them.
	redeemed  []*v1alpha1.TokenRevocation
	redeemers map[chan event]bool
}

// event is one line of a watch on the Secrets.
type event struct {
	Type   string `json:"type"`
	Object any    `json:"object"`
}

// Serve starts the API server on a free port of this machine, with TLS and HTTP/2 as a real one.
func (p *Population) Serve() (*APIServer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &APIServer{population: p, listener: listener, version: 1, watchers: map[chan event]bool{}, redeemers: map[chan event]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/namespaces/"+registration.Namespace+"/secrets", s.secrets)
	mux.HandleFunc("GET /apis/hallpass.dev/v1alpha1/{resource}", s.custom)
	mux.HandleFunc("GET /apis/hallpass.dev/v1alpha1/namespaces/"+registration.Namespace+"/{resource}", s.custom)
	const reports = "/apis/hallpass.dev/v1alpha1/namespaces/" + registration.Namespace + "/usagereports"
	mux.HandleFunc("POST "+reports, s.accept)
	mux.HandleFunc("PUT "+reports+"/{name}", s.accept)
	mux.HandleFunc("POST "+revocationsPath, s.revoke)
	var certificate tls.Certificate
	certificate, s.ca = certificateOfTests()
	s.server = &http.Server{ //nolint:gosec // on loopback, for one caller of the benchmark
		Handler: mux, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = s.server.ServeTLS(listener, "", "") }()
	return s, nil
}

// certificateOfTests is one for the addresses of this machine, and its authority.
func certificateOfTests() (tls.Certificate, []byte) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	return server.TLS.Certificates[0], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// CA is the authority of its certificate, in PEM.
func (s *APIServer) CA() []byte { return s.ca }

const revocationsPath = "/apis/hallpass.dev/v1alpha1/namespaces/" + registration.Namespace + "/tokenrevocations"

// Revocations is where TokenRevocations are created.
func (s *APIServer) Revocations() string {
	return "https://" + s.listener.Addr().String() + revocationsPath
}

// revoke creates a TokenRevocation. It does not compare the name with those that exist: servers
// that are compared redeem the same codes.
func (s *APIServer) revoke(w http.ResponseWriter, r *http.Request) {
	var created v1alpha1.TokenRevocation
	if err := json.NewDecoder(r.Body).Decode(&created); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	created.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "TokenRevocation"}
	created.CreationTimestamp, created.Generation = metav1.Now(), 1
	created.ManagedFields = managed(`{"f:metadata":{"f:labels":{".":{},"f:app.kubernetes.io/managed-by":{},"f:hallpass.dev/revocation-batch":{}}},` +
		`"f:spec":{".":{},"f:minReader":{},"f:redemption":{".":{},"f:attempt":{},"f:clientID":{},"f:expiresAt":{},"f:grantID":{},"f:namespace":{}},"f:version":{}}}`)
	s.mu.Lock()
	s.version++
	created.ResourceVersion, created.UID = strconv.Itoa(s.version), types.UID(strconv.Itoa(s.version))
	if strings.HasPrefix(created.Name, "redeemed-") {
		s.redeemed = append(s.redeemed, &created)
		for watcher := range s.redeemers {
			watcher <- event{"ADDED", &created}
		}
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(created) //nolint:errchkjson // as below
}

// DeleteRedemptions deletes all redemptions, as the manager does when their codes have expired.
func (s *APIServer) DeleteRedemptions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, object := range s.redeemed {
		for watcher := range s.redeemers {
			watcher <- event{"DELETED", object}
		}
	}
	s.redeemed = nil
}

// Stop ends it at once.
func (s *APIServer) Stop() error { return s.server.Close() }

// WriteKubeconfig writes a file by which a client finds the API server.
func (s *APIServer) WriteKubeconfig(path string) error {
	const config = `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c"}}],` +
		`"clusters":[{"name":"c","cluster":{"server":"https://ADDRESS","certificate-authority-data":"CA"}}]}`
	filled := strings.NewReplacer("ADDRESS", s.listener.Addr().String(), `"CA"`, strconv.Quote(base64.StdEncoding.EncodeToString(s.ca))).Replace(config)
	return os.WriteFile(path, []byte(filled), 0o600)
}

// Touch sends an event as if the registration of a client was written again.
func (s *APIServer) Touch(c Client) error {
	secret, err := s.secretOf(c)
	if err == nil {
		s.broadcast(secret)
	}
	return err
}

// TouchKeys sends an event as if the signing keys were written again.
func (s *APIServer) TouchKeys() error {
	secret, err := s.keys()
	if err == nil {
		s.broadcast(secret)
	}
	return err
}

func (s *APIServer) broadcast(secret *corev1.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	secret.ResourceVersion = strconv.Itoa(s.version)
	for watcher := range s.watchers {
		watcher <- event{"MODIFIED", secret}
	}
}

func (s *APIServer) secrets(w http.ResponseWriter, r *http.Request) {
	objects := func(yield func(any) error) error {
		secret, err := s.keys()
		if err != nil {
			return err
		}
		if err := yield(secret); err != nil {
			return err
		}
		if err := s.others(yield); err != nil {
			return err
		}
		for _, c := range s.population.all() {
			secret, err := s.secretOf(c)
			if err != nil {
				return err
			}
			if err := yield(secret); err != nil {
				return err
			}
		}
		return nil
	}
	changes, leave := s.watch(s.watchers)
	defer leave()
	deliver(w, r, metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, objects, changes)
}

// watch adds a watcher.
func (s *APIServer) watch(watchers map[chan event]bool) (changes chan event, leave func()) {
	changes = make(chan event, 1<<14)
	s.mu.Lock()
	defer s.mu.Unlock()
	watchers[changes] = true
	return changes, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(watchers, changes)
	}
}

// kinds are the kinds of our group by their resources.
var kinds = map[string]string{ //nolint:gochecknoglobals // a constant table
	"oauth2clients": "OAuth2Client", "oauth2resources": "OAuth2Resource", "oauth2policies": "OAuth2Policy", "oauth2tokens": "OAuth2Token",
	"tokenrevocations": "TokenRevocation",
}

func (s *APIServer) custom(w http.ResponseWriter, r *http.Request) {
	kind, known := kinds[r.PathValue("resource")]
	if !known {
		http.NotFound(w, r)
		return
	}
	meta := metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind}
	var changes chan event
	if kind == "TokenRevocation" {
		var leave func()
		changes, leave = s.watch(s.redeemers)
		defer leave()
	}
	deliver(w, r, meta, func(yield func(any) error) error {
		if kind != "OAuth2Client" {
			return nil
		}
		for _, c := range s.population.all() {
			object := &v1alpha1.OAuth2Client{TypeMeta: meta, ObjectMeta: c.meta(c.Namespace, c.Name, c.UID)}
			object.Spec.Scopes = []v1alpha1.Scope{"read", "write"}
			if err := yield(object); err != nil {
				return err
			}
		}
		return nil
	}, changes)
}

// accept answers a write with what was written, under the next version.
func (s *APIServer) accept(w http.ResponseWriter, r *http.Request) {
	var report v1alpha1.UsageReport
	if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.version++
	report.ResourceVersion = strconv.Itoa(s.version)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(report) //nolint:errchkjson // as below
}

// deliver answers LIST, and WATCH with or without the objects that are there already.
func deliver(w http.ResponseWriter, r *http.Request, meta metav1.TypeMeta, objects func(yield func(any) error) error, changes <-chan event) {
	w.Header().Set("Content-Type", "application/json")
	query := r.URL.Query()
	if query.Get("watch") == "" {
		list := struct {
			metav1.TypeMeta
			metav1.ListMeta `json:"metadata"`

			Items []any `json:"items"`
		}{metav1.TypeMeta{APIVersion: meta.APIVersion, Kind: meta.Kind + "List"}, metav1.ListMeta{ResourceVersion: "1"}, []any{}}
		_ = objects(func(object any) error { list.Items = append(list.Items, object); return nil })
		_ = json.NewEncoder(w).Encode(list) //nolint:errchkjson // if it does not arrive, the caller asks again
		return
	}
	stream := json.NewEncoder(w)
	if query.Get("sendInitialEvents") == "true" {
		if objects(func(object any) error { return stream.Encode(event{"ADDED", object}) }) != nil {
			return
		}
		end := metav1.PartialObjectMetadata{TypeMeta: meta, ObjectMeta: metav1.ObjectMeta{
			ResourceVersion: "1", Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"},
		}}
		if err := stream.Encode(event{"BOOKMARK", end}); err != nil {
			return
		}
	}
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case change := <-changes:
			if err := stream.Encode(change); err != nil {
				return
			}
		}
	}
}

func (s *APIServer) keys() (*corev1.Secret, error) {
	data, err := registration.EncodeKeys(s.population.Ring)
	if err != nil {
		return nil, err
	}
	return secret(Client{}.meta(registration.Namespace, registration.KeysSecretName, "keys"), registration.KeysSecretType, data), nil
}

// others delivers the records that Machines and People need.
func (s *APIServer) others(yield func(any) error) error {
	var records []*corev1.Secret
	if machines := s.population.Machines; machines != nil {
		more, err := machines.records()
		if err != nil {
			return err
		}
		records = append(records, more...)
	}
	if people := s.population.People; people != nil {
		more, err := people.records()
		if err != nil {
			return err
		}
		records = append(records, more...)
	}
	for _, record := range records {
		if err := yield(record); err != nil {
			return err
		}
	}
	return nil
}

func (s *APIServer) secretOf(c Client) (*corev1.Secret, error) {
	data, err := registration.Encode(c.Registration())
	if err != nil {
		return nil, err
	}
	return secret(c.meta(registration.Namespace, registration.SecretName(c.ID), "r-"+c.UID), registration.SecretType, data), nil
}

func secret(meta metav1.ObjectMeta, secretType corev1.SecretType, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: meta, Type: secretType, Data: data}
}

// meta is as long as that of an object which was written by a real manager.
func (c Client) meta(namespace, name, uid string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: types.UID(uid), ResourceVersion: "1", Generation: 1,
		Labels:      map[string]string{"app.kubernetes.io/managed-by": "hallpass"},
		Annotations: map[string]string{registration.AnnotationClientID: c.ID},
		ManagedFields: managed(`{"f:data":{".":{},"f:client.json":{}},"f:metadata":{"f:annotations":{".":{},` +
			`"f:hallpass.dev/client-id":{}},"f:labels":{".":{},"f:app.kubernetes.io/managed-by":{}}},"f:type":{}}`),
	}
}

// managed is what the API server stores about who wrote the fields of an object.
func managed(fields string) []metav1.ManagedFieldsEntry {
	return []metav1.ManagedFieldsEntry{{
		Manager: "hallpass-manager", Operation: metav1.ManagedFieldsOperationUpdate, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields),
	}}
}
