// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/internal/restore"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// entry is what is left of a ConfigMap: its name and a value.
type entry struct{ name, value string }

// store has the values of ConfigMaps by their names. It knows which ones were deleted.
type store struct {
	mu      sync.Mutex
	values  map[string]string
	deleted map[string]bool
	lists   []restore.List
}

func (s *store) Resurrected(e entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deleted[e.name]
}

func (s *store) Apply(e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deleted[e.name] {
		e.value = "refused"
	}
	s.values[e.name] = e.value
}

func (s *store) Remove(e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, e.name)
	s.deleted[e.name] = true
}

func (s *store) Replace(list iter.Seq[entry], at restore.List) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists = append(s.lists, at)
	s.values = map[string]string{}
	for e := range list {
		s.values[e.name] = e.value
		if !at.Lost.IsZero() && !at.Waiting {
			delete(s.deleted, e.name)
		}
	}
}

func (s *store) all() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values)
}

// last is what was known about the last list.
func (s *store) last() restore.List {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lists[len(s.lists)-1]
}

// fixture is two sources of ConfigMaps, one of which a test reads, with its clock.
type fixture struct {
	*Watches

	first, second *Source[*corev1.ConfigMap, entry]
	store         *store
	added         []entry
	changes       int
	mu            sync.Mutex
	now           time.Time
}

func newFixture(client rest.Interface) *fixture {
	f := &fixture{now: noon, store: &store{values: map[string]string{}, deleted: map[string]bool{}}}
	f.Watches = New(Config{
		Log: slog.New(slog.DiscardHandler), Heard: func() {}, Changed: func() { f.changes++ },
		Now: func() time.Time {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.now
		},
	})
	kind := Kind[*corev1.ConfigMap, entry]{
		Client: client, Resource: "configmaps", Object: &corev1.ConfigMap{}, Store: f.store,
		Strip: func(c *corev1.ConfigMap) entry { return entry{c.Name, c.Data["value"]} },
		Added: func(e entry) { f.added = append(f.added, e) },
	}
	f.first = Add(f.Watches, kind)
	kind.Resource, kind.Added = "others", nil
	kind.Store = &store{values: map[string]string{}, deleted: map[string]bool{}}
	f.second = Add(f.Watches, kind)
	return f
}

// pass lets time pass.
func (f *fixture) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

func object(name, version, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, ResourceVersion: version}, Data: map[string]string{"value": value}}
}

// server is an API server that has ConfigMaps, and sends every watch one event at once.
type server struct {
	mu       sync.Mutex
	revision string
	objects  []*corev1.ConfigMap
	event    *corev1.ConfigMap
}

func (s *server) set(revision string, event *corev1.ConfigMap, objects ...*corev1.ConfigMap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision, s.event, s.objects = revision, event, objects
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	revision, event, objects := s.revision, s.event, slices.Clone(s.objects)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch query := r.URL.Query(); {
	case revision == "":
		w.WriteHeader(http.StatusServiceUnavailable)
	case query.Get("sendInitialEvents") == "true": // it does not stream lists
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`))
	case query.Get("watch") == "":
		list := corev1.ConfigMapList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMapList"}}
		list.ResourceVersion = revision
		for _, object := range objects {
			list.Items = append(list.Items, *object)
		}
		_, _ = w.Write(encoded(list))
	default:
		send := func(kind string, object *corev1.ConfigMap) {
			typed := object.DeepCopy()
			typed.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}
			_, _ = fmt.Fprintf(w, `{"type":%q,"object":%s}`, kind, encoded(typed))
		}
		if event != nil {
			send("MODIFIED", event)
			send("BOOKMARK", object("", event.ResourceVersion, ""))
		}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

func encoded(value any) []byte {
	document, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return document
}

// watched runs the first source against a server.
func watched(t *testing.T, s *server) (*fixture, *httptest.Server) {
	t.Helper()
	api := httptest.NewServer(s)
	f := newFixture(client(t, api.URL))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		f.first.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		api.CloseClientConnections()
		<-done
		api.Close()
	})
	return f, api
}

func client(t *testing.T, url string) rest.Interface {
	t.Helper()
	c, err := rest.RESTClientFor(&rest.Config{Host: url, APIPath: "/api", ContentConfig: rest.ContentConfig{
		GroupVersion: &corev1.SchemeGroupVersion, NegotiatedSerializer: scheme.Codecs.WithoutConversion(),
	}})
	must(t, err)
	return c
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
