// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/directory/watch"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/restore"
)

// store is an API server that has one OAuth2Client, or none, and sends every watch at once the
// events that the test chooses.
type store struct {
	mu       sync.Mutex
	revision uint64
	clients  []*v1alpha1.OAuth2Client
	event    *v1alpha1.OAuth2Client
}

func (s *store) set(revision uint64, event *v1alpha1.OAuth2Client, clients ...*v1alpha1.OAuth2Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision, s.event, s.clients = revision, event, clients
}

func typed(c *v1alpha1.OAuth2Client) *v1alpha1.OAuth2Client {
	c = c.DeepCopy()
	c.TypeMeta = metav1.TypeMeta{APIVersion: "hallpass.dev/v1alpha1", Kind: "OAuth2Client"}
	return c
}

// ServeHTTP implements http.Handler.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	revision, event, clients := s.revision, s.event, s.clients
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch query := r.URL.Query(); {
	case !strings.HasSuffix(r.URL.Path, "/oauth2clients"):
		_, _ = fmt.Fprintf(w, `{"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"%d"},"items":[]}`, revision)
	case query.Get("sendInitialEvents") == "true": // it does not stream lists
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`))
	case query.Get("watch") == "":
		list := v1alpha1.OAuth2ClientList{TypeMeta: metav1.TypeMeta{APIVersion: "hallpass.dev/v1alpha1", Kind: "OAuth2ClientList"}}
		list.ResourceVersion = strconv.FormatUint(revision, 10)
		for _, c := range clients {
			list.Items = append(list.Items, *typed(c))
		}
		answer(w, list)
	default:
		if event != nil {
			answer(w, map[string]any{"type": "MODIFIED", "object": typed(event)})
		}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

func answer(w http.ResponseWriter, value any) {
	document, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
	_, _ = w.Write(document)
}

// watching is a Directory that watches OAuth2Clients only.
func watching(t *testing.T, s *store) (*Directory, *httptest.Server) {
	t.Helper()
	api := httptest.NewServer(s)
	d, err := New(Config{REST: &rest.Config{Host: api.URL}, RegistryNamespace: "registry", Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	data, err := registration.Encode(registration.Registration{Client: reporting})
	must(t, d.sources.registry.Add(registrySecret(t, registration.SecretName(reporting.ID), registration.SecretType, data, err)))
	running.Go(func() { d.sources.clients.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		api.CloseClientConnections()
		running.Wait()
		api.Close()
	})
	return d, api
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !done(); pause(t.Context(), 5*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// The event is of a revision that is none of before: nothing in it shows that the store was
// restored.
func TestAWatchIsNotBelievedBeforeTheStoreWasAsked(t *testing.T) {
	for name, c := range map[string]struct {
		revision uint64
		version  string // of the client in lists
		noticed  int64
	}{
		"a store that was set back":         {revision: 50, version: "8", noticed: 1},
		"a store that was raised":           {revision: 1_000_000_050, version: "8", noticed: 1},
		"a store that went on as stores do": {revision: 120, version: "120"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &store{}
			s.set(110, suspendedObject(reporting, "110"), ownerObject(reporting, "8"))
			d, api := watching(t, s)
			state := func() *oauth2.Owner { return d.Record(reporting.ID).Owner }
			eventually(t, "the client is suspended", func() bool { return state() != nil && state().Suspended })
			s.set(c.revision, ownerObject(reporting, "120"), ownerObject(reporting, c.version))
			api.CloseClientConnections()
			eventually(t, "the client is active", func() bool { return !state().Suspended })
			claims := oauth2.Claims{ClientID: reporting.ID, IssuedAt: time.Now().Add(-time.Minute)}
			if revoked := d.Revocations().Revoked(claims, reporting.Namespace, time.Now()); revoked != (c.noticed > 0) || d.Restored() != c.noticed {
				t.Errorf("a token of before is revoked: %t; noticed %d times", revoked, d.Restored())
			}
		})
	}
}

func TestAnEventThatRevivesProvesARestore(t *testing.T) {
	s := &store{}
	s.set(110, suspendedObject(reporting, "110"), ownerObject(reporting, "8"))
	d, api := watching(t, s)
	eventually(t, "the client is known", func() bool {
		owner := d.Record(reporting.ID).Owner
		return owner != nil && owner.Suspended
	})
	must(t, d.sources.clients.Delete(ownerObject(reporting, "111")))
	s.set(130, ownerObject(reporting, "125"), ownerObject(reporting, "125"))
	api.CloseClientConnections()
	eventually(t, "it is back", func() bool { return d.Record(reporting.ID).Owner != nil })
	claims := oauth2.Claims{ClientID: reporting.ID, IssuedAt: time.Now().Add(-time.Minute)}
	if !d.Revocations().Revoked(claims, reporting.Namespace, time.Now()) || d.Restored() != 1 {
		t.Errorf("noticed %d times", d.Restored())
	}
}

func TestALookUpDoesNotBelieveAStoreThatIsBehind(t *testing.T) {
	registered, err := registration.Encode(registration.Registration{Client: reporting})
	must(t, err)
	secret, err := json.Marshal(&corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Name: registration.SecretName(reporting.ID)},
		Type: registration.SecretType, Data: registered,
	})
	must(t, err)
	for name, c := range map[string]struct {
		revision string
		before   func(t *testing.T, f *fixture)
		refused  bool
		noticed  int64
	}{
		"a store that is as far as memory": {revision: "102"},
		"a store that is further":          {revision: "200"},
		"a store that was set back":        {revision: "90", refused: true, noticed: 1},
		"a store that was not listed again": {revision: "200", refused: true, noticed: 1, before: func(_ *testing.T, f *fixture) {
			f.sources.registry.Report(restore.Moved)
		}},
		"a client that was deleted and is back": {revision: "200", refused: true, noticed: 1, before: func(t *testing.T, f *fixture) {
			must(t, f.source(resourceClients).Delete(ownerObject(reporting, "110")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, "")
			f.fill(t)
			object, err := json.Marshal(typed(ownerObject(reporting, "8")))
			must(t, err)
			f.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case strings.HasSuffix(r.URL.Path, "/secrets"):
					_, _ = fmt.Fprintf(w, `{"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":%q},"items":[]}`, c.revision)
				case strings.Contains(r.URL.Path, "/secrets/"):
					_, _ = w.Write(secret)
				default:
					_, _ = w.Write(object)
				}
			})
			if c.before != nil {
				c.before(t, f)
			}
			record, err := f.LookUp(t.Context(), reporting.ID)
			if (err != nil) != c.refused || c.refused && record.Client != nil || !c.refused && record.Owner == nil {
				t.Errorf("looked up %+v, %v", record, err)
			}
			if f.Restored() != c.noticed {
				t.Errorf("noticed %d times, want %d", f.Restored(), c.noticed)
			}
		})
	}
}

// What an OAuth2Token had before its present tokens was replaced, and is not good again because a
// backup has it.
func TestARestoredClusterRevivesNoReplacedOAuth2Token(t *testing.T) {
	f := newFixture(t, "")
	f.fill(t)
	record := func(ids ...string) *corev1.Secret {
		m := printer
		m.Tokens = nil
		for _, id := range ids {
			token := printer.Tokens[0]
			token.ID = id
			if id == "new" {
				token.IssuedAt = noon.Add(10 * time.Minute)
			}
			m.Tokens = append(m.Tokens, token)
		}
		data, err := registration.EncodeToken(m)
		return registrySecret(t, registration.TokenSecretName(m.UID), registration.TokenSecretType, data, err)
	}
	f.now = noon.Add(5 * time.Minute)
	must(t, f.source(resourceSecrets).Update(record("kept")))
	f.list(t, resourceSecrets, "5", record("replaced", "kept", "new"))
	for id, want := range map[string]bool{"replaced": true, "kept": false, "new": false} {
		if got := f.Revocations().Revoked(oauth2.Claims{ID: id, IssuedAt: noon}, "elsewhere", f.now); got != want {
			t.Errorf("%s is revoked: %t", id, got)
		}
	}
}

// tokenRecord is the Secret of the record of an OAuth2Token.
func tokenRecord(t *testing.T, version string, m oauth2.Minted) *corev1.Secret {
	t.Helper()
	data, err := registration.EncodeToken(m)
	secret := registrySecret(t, registration.TokenSecretName(m.UID), registration.TokenSecretType, data, err)
	secret.ResourceVersion = version
	return secret
}

// A store that has caught up cannot be recognised by its revisions; what is irrevocable is in the
// snapshot all the same.
func TestASnapshotKeepsWhatNobodyGivesBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "snapshot")
	before := newFixture(t, file)
	before.fill(t)
	ring := before.Ring()
	lost := ring.Keys()[0].ID()
	withdrawn, err := keyring.Rotate(ring, keyring.At(noon.Add(time.Minute)), keyring.DefaultPolicy(time.Hour), keyring.Order{Taint: []string{lost}}, keyring.Generate)
	must(t, err)
	secretOf := func(r keyring.Ring) *corev1.Secret {
		data, err := registration.EncodeKeys(r)
		return registrySecret(t, registration.KeysSecretName, registration.KeysSecretType, data, err)
	}
	must(t, before.source(resourceSecrets).Update(secretOf(withdrawn.Ring)))
	must(t, before.source(resourceTokens).Delete(&v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: printer.Namespace, Name: printer.Name, UID: "t"}}))
	if _, err := before.snapshots.save(); err != nil {
		t.Fatal(err)
	}
	after := newFixture(t, file)
	after.now = noon.Add(2 * time.Minute)
	after.snapshots.read()
	after.list(t, resourceSecrets, "200", secretOf(ring))
	after.list(t, resourceRevocations, "200")
	if _, err := after.Ring().VerificationKey(lost, after.now); err == nil {
		t.Error("a withdrawn key is back")
	}
	if !after.Revocations().Revoked(oauth2.Claims{ID: revoked.String(), IssuedAt: noon}, "", after.now) {
		t.Error("a revoked token is good again")
	}
	if after.Restored() != 0 {
		t.Error("nothing says so far that the store was set back")
	}
	after.list(t, resourceTokens, "200", &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: printer.Namespace, Name: printer.Name, UID: "t", ResourceVersion: "10"}})
	after.list(t, resourceSecrets, "201", secretOf(ring), tokenRecord(t, "10", printer))
	owner := after.Minted(oauth2.OpaqueID(printer.UID)).Owner
	if owner == nil || !owner.Terminating || after.Restored() != 1 {
		t.Errorf("an OAuth2Token that was deleted is back: %+v, noticed %d times", owner, after.Restored())
	}
}

func TestACallerIsToldThatTheStoreIsBehind(t *testing.T) {
	f := newFixture(t, "")
	f.fill(t)
	f.sources.registry.Report(restore.Moved)
	_, client := f.LookUp(t.Context(), reporting.ID)
	_, minted := f.LookUpMinted(t.Context(), "id")
	_, resource := f.LookUpResource(t.Context(), "https://api")
	_, issuer := f.LookUpIssuer(t.Context(), "github")
	_, vouching := f.LookUpIssuerOf(t.Context(), "https://idp.test")
	for what, err := range map[string]error{"client": client, "token": minted, "resource": resource, "issuer": issuer, "issuer by its iss": vouching} {
		if !errors.Is(err, watch.ErrRestored) {
			t.Errorf("the look-up of a %s: %v", what, err)
		}
	}
	must(t, f.source(resourceClients).Update(suspendedObject(reporting, "150")))
	if f.Record(reporting.ID).Owner.Suspended {
		t.Error("an event counts that is news of what is not known")
	}
	f.list(t, resourceClients, "5", suspendedObject(reporting, "150"), ownerObject(pod, "9"))
	must(t, f.source(resourceClients).Update(ownerObject(reporting, "151")))
	if f.Record(reporting.ID).Owner.Suspended || f.Restored() != 1 {
		t.Errorf("after the list events do not count; noticed %d times", f.Restored())
	}
}
