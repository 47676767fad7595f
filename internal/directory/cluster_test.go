// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/directory"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

const (
	registryNamespace = "registry"

	secrets, clients, tokens, revocations = "secrets", "oauth2clients", "oauth2tokens", "tokenrevocations"
)

// cluster is an API server that speaks as much of the protocol as a Directory does: lists, watches
// and single objects, one revision for all. Its etcd can be restored from a backup.
type cluster struct {
	*httptest.Server

	mu      sync.Mutex
	etcd    etcd
	changed chan struct{}
	// listed gets the instant at which a whole list of OAuth2Clients is asked for.
	listed chan time.Time
	ahead  atomic.Int64 // of the clock of the machine

	t        testing.TB
	creating sync.Mutex
	// With refuses every creation fails, with mute the answer to one that succeeded is lost,
	// and with away every request fails.
	refuses, mute, away atomic.Bool
}

type etcd struct {
	revision uint64
	objects  map[string]map[string][]byte // documents by resource and by namespace/name
	events   []event
	// compacted is the revision from which on watches may begin.
	compacted uint64
}

type event struct {
	resource string
	revision uint64
	document []byte
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{t: t, etcd: etcd{revision: 100, objects: map[string]map[string][]byte{}}, changed: make(chan struct{}), listed: make(chan time.Time, 100)}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	t.Cleanup(c.CloseClientConnections)
	ring, err := keyring.New(time.Now())
	must(t, err)
	data, err := registration.EncodeKeys(ring)
	must(t, err)
	c.apply(t, registrySecret(registration.KeysSecretName, registration.KeysSecretType, data))
	return c
}

func (c *cluster) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// watched runs a Directory that has read everything.
func (c *cluster) watched(t testing.TB) *directory.Directory {
	t.Helper()
	d, err := directory.New(directory.Config{
		REST: &rest.Config{Host: c.URL}, RegistryNamespace: registryNamespace, Log: slog.New(slog.DiscardHandler), Now: c.now,
	})
	must(t, err)
	go d.Run(t.Context())
	eventually(t, "the directory is ready", func() bool { return d.Ready() == nil })
	return d
}

// apply creates or updates an object, as the API server does: it alone has the time at which it was
// made, and its version.
func (c *cluster) apply(t testing.TB, object metav1.Object) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.etcd.revision++
	if object.GetCreationTimestamp().Time.IsZero() {
		object.SetCreationTimestamp(metav1.NewTime(c.now()))
	}
	object.SetResourceVersion(strconv.FormatUint(c.etcd.revision, 10))
	resource, document := encode(t, object)
	kind := "ADDED"
	if c.etcd.objects[resource] == nil {
		c.etcd.objects[resource] = map[string][]byte{}
	}
	key := object.GetNamespace() + "/" + object.GetName()
	if _, there := c.etcd.objects[resource][key]; there {
		kind = "MODIFIED"
	}
	c.etcd.objects[resource][key] = document
	c.announce(resource, kind, document)
}

func (c *cluster) remove(t testing.TB, object metav1.Object) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.etcd.revision++
	object.SetResourceVersion(strconv.FormatUint(c.etcd.revision, 10))
	resource, document := encode(t, object)
	delete(c.etcd.objects[resource], object.GetNamespace()+"/"+object.GetName())
	c.announce(resource, "DELETED", document)
}

func (c *cluster) announce(resource, kind string, document []byte) {
	line := fmt.Appendf(nil, `{"type":%q,"object":%s}`, kind, document)
	c.etcd.events = append(c.etcd.events, event{resource, c.etcd.revision, line})
	close(c.changed)
	c.changed = make(chan struct{})
}

func (e etcd) clone() etcd {
	objects := map[string]map[string][]byte{}
	for resource, named := range e.objects {
		objects[resource] = maps.Clone(named)
	}
	return etcd{revision: e.revision, objects: objects}
}

func (c *cluster) backup() etcd {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.etcd.clone()
}

// restore puts a backup in place, of which so many revisions were written since, and starts the API
// server anew.
func (c *cluster) restore(backup etcd, written uint64) {
	c.mu.Lock()
	c.etcd = backup.clone()
	c.etcd.revision += written
	c.mu.Unlock()
	c.CloseClientConnections()
}

// catchUp restores a backup that has caught up with the revisions that were known: they prove
// nothing.
func (c *cluster) catchUp(backup etcd) {
	c.mu.Lock()
	known := c.etcd.revision
	c.mu.Unlock()
	c.restore(backup, known-backup.revision+1)
}

// taken is how long it took from the next list of OAuth2Clients until something is done.
func (c *cluster) taken(t testing.TB, what string, done func() bool) time.Duration {
	t.Helper()
	var sent time.Time
	select {
	case sent = <-c.listed:
	case <-time.After(3 * time.Minute):
		t.Fatalf("not in time: %s", what)
	}
	eventually(t, what, done)
	return time.Since(sent)
}

// compact ends every watch, which cannot continue where it was.
func (c *cluster) compact() {
	c.mu.Lock()
	c.etcd.revision++
	c.etcd.compacted = c.etcd.revision
	c.mu.Unlock()
	c.CloseClientConnections()
}

// ServeHTTP implements http.Handler.
func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	at := slices.IndexFunc(parts, func(part string) bool { return slices.Contains([]string{secrets, clients, tokens, revocations}, part) })
	switch query := r.URL.Query(); {
	case c.away.Load():
		refuse(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
	case at < 0:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	case r.Method == http.MethodPost:
		c.create(w, r, parts[at-1])
	case at == len(parts)-2:
		c.get(w, parts[at], parts[at-1]+"/"+parts[at+1])
	case query.Get("sendInitialEvents") == "true": // it does not stream lists
		refuse(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
	case query.Get("watch") != "":
		from, _ := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
		c.watch(w, r, parts[at], from)
	default:
		c.list(w, parts[at], query.Get("limit") == "1")
	}
}

func (c *cluster) get(w http.ResponseWriter, resource, key string) {
	c.mu.Lock()
	document, there := c.etcd.objects[resource][key]
	c.mu.Unlock()
	if !there {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
		return
	}
	_, _ = w.Write(document)
}

// create creates a TokenRevocation unless there is one of its name.
func (c *cluster) create(w http.ResponseWriter, r *http.Request, namespace string) {
	if c.refuses.Load() {
		refuse(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
		return
	}
	var object v1alpha1.TokenRevocation
	if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
		return
	}
	c.creating.Lock()
	defer c.creating.Unlock()
	c.mu.Lock()
	_, there := c.etcd.objects[revocations][namespace+"/"+object.Name]
	c.mu.Unlock()
	if there {
		refuse(w, http.StatusConflict, metav1.StatusReasonAlreadyExists)
		return
	}
	c.apply(c.t, &object)
	if c.mute.Load() { // stored, and the answer is lost
		refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError)
		return
	}
	w.WriteHeader(http.StatusCreated)
	c.get(w, revocations, namespace+"/"+object.Name)
}

func (c *cluster) list(w http.ResponseWriter, resource string, onlyOne bool) {
	if resource == clients && !onlyOne {
		select {
		case c.listed <- time.Now():
		default:
		}
	}
	c.mu.Lock()
	revision, documents := c.etcd.revision, slices.Collect(maps.Values(c.etcd.objects[resource]))
	c.mu.Unlock()
	if onlyOne {
		documents = documents[:min(1, len(documents))]
	}
	meta := kinds[resource]
	_, _ = fmt.Fprintf(w, `{"kind":"%sList","apiVersion":%q,"metadata":{"resourceVersion":"%d"},"items":[%s]}`,
		meta.Kind, meta.APIVersion, revision, bytes.Join(documents, []byte(",")))
}

func (c *cluster) watch(w http.ResponseWriter, r *http.Request, resource string, from uint64) {
	c.mu.Lock()
	compacted := c.etcd.compacted
	c.mu.Unlock()
	if from < compacted {
		refuse(w, http.StatusGone, metav1.StatusReasonExpired)
		return
	}
	out := http.NewResponseController(w)
	_ = out.Flush()
	for {
		c.mu.Lock()
		changed, events := c.changed, slices.Clone(c.etcd.events)
		c.mu.Unlock()
		for _, e := range events {
			if e.resource == resource && e.revision > from {
				from = e.revision
				_, _ = w.Write(e.document)
			}
		}
		_ = out.Flush()
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
	}
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, code)
}

var kinds = map[string]metav1.TypeMeta{
	secrets:     {Kind: "Secret", APIVersion: "v1"},
	clients:     {Kind: "OAuth2Client", APIVersion: "hallpass.dev/v1alpha1"},
	tokens:      {Kind: "OAuth2Token", APIVersion: "hallpass.dev/v1alpha1"},
	revocations: {Kind: "TokenRevocation", APIVersion: "hallpass.dev/v1alpha1"},
}

func encode(t testing.TB, object metav1.Object) (resource string, document []byte) {
	t.Helper()
	switch object := object.(type) {
	case *corev1.Secret:
		resource, object.TypeMeta = secrets, kinds[secrets]
	case *v1alpha1.OAuth2Client:
		resource, object.TypeMeta = clients, kinds[clients]
	case *v1alpha1.OAuth2Token:
		resource, object.TypeMeta = tokens, kinds[tokens]
	case *v1alpha1.TokenRevocation:
		resource, object.TypeMeta = revocations, kinds[revocations]
	default:
		t.Fatalf("no resource for %T", object)
	}
	document, err := json.Marshal(object)
	must(t, err)
	return resource, document
}

func registrySecret(name string, kind corev1.SecretType, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: registryNamespace, Name: name}, Type: kind, Data: data}
}

// registered is an OAuth2Client, which is there for an hour, with its registration.
type registered struct {
	object *v1alpha1.OAuth2Client
	record *corev1.Secret
}

func newRegistered(t testing.TB, c *cluster, namespace, name string) registered {
	t.Helper()
	object := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: newUID(), CreationTimestamp: metav1.NewTime(c.now().Add(-time.Hour)),
	}}
	data, err := registration.Encode(registration.Registration{Client: oauth2.Client{
		ID: object.ClientID(), UID: string(object.UID), Namespace: namespace, Name: name, Tokens: oauth2.TokenForm{Lifetime: time.Hour},
	}})
	must(t, err)
	return registered{object, registrySecret(registration.SecretName(object.ClientID()), registration.SecretType, data)}
}

func (r registered) apply(t testing.TB, c *cluster) registered {
	t.Helper()
	c.apply(t, r.record)
	c.apply(t, r.object)
	return r
}

// claims are those of a token that was issued to the client a while ago.
func (r registered) claims(issued time.Time) oauth2.Claims {
	return oauth2.Claims{ClientID: r.object.ClientID(), IssuedAt: issued, ID: "jti"}
}

// minted is an OAuth2Token, which is there for an hour, with its record.
type minted struct {
	object *v1alpha1.OAuth2Token
	record oauth2.Minted
}

func newMinted(c *cluster, namespace, name string, mode v1alpha1.TokenMode, tokenIDs ...string) minted {
	issued := c.now().Add(-time.Hour).Truncate(time.Second)
	object := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: newUID(), CreationTimestamp: metav1.NewTime(issued),
	}}
	object.Spec.Mode, object.Spec.ClientRef.Name = mode, "api"
	m := minted{object, oauth2.Minted{
		UID: string(object.UID), Namespace: namespace, Name: name, ClientID: namespace + ".api", ClientUID: "u", ClientName: "api",
		Opaque: mode == v1alpha1.TokenFixed,
	}}
	for _, id := range tokenIDs {
		m.add(id, issued)
	}
	return m
}

func (m *minted) add(id string, issued time.Time) {
	t := oauth2.MintedToken{ID: id, Digest: oauth2.Digest{1}, Audience: "a", Scopes: []string{"read"}, IssuedAt: issued, ExpiresAt: issued.Add(90 * 24 * time.Hour)}
	if !m.record.Opaque {
		t.KeyID = "kid"
	}
	m.record.Tokens = append(slices.Clone(m.record.Tokens), t)
}

func (m minted) secret(t testing.TB) *corev1.Secret {
	t.Helper()
	data, err := registration.EncodeToken(m.record)
	must(t, err)
	return registrySecret(registration.TokenSecretName(m.record.UID), registration.TokenSecretType, data)
}

func (m minted) apply(t testing.TB, c *cluster) {
	t.Helper()
	c.apply(t, m.secret(t))
	c.apply(t, m.object)
}

func (m minted) remove(t testing.TB, c *cluster) {
	t.Helper()
	c.remove(t, m.object)
	c.remove(t, m.secret(t))
}

// good reports whether a token of the record is: as the token server decides, by its OAuth2Token
// and by what is revoked.
func (m minted) good(d *directory.Directory, c *cluster, id string) bool {
	claims := oauth2.Claims{ClientID: m.record.ClientID, ClientUID: m.record.ClientUID, TokenUID: m.record.UID, ID: id, Scopes: []string{"read"}}
	for _, token := range m.record.Tokens {
		if token.ID == id {
			claims.IssuedAt = token.IssuedAt
		}
	}
	_, denial := d.Minted(oauth2.OpaqueID(m.record.UID)).Restrict(&claims)
	return denial == "" && !d.Revocations().Revoked(claims, m.record.Namespace, c.now())
}

func newUID() types.UID {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw)
	return types.UID(fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:]))
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
