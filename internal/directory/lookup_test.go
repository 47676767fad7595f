// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// registryAPI is an API server that has one client. Each path can be made to answer otherwise.
type registryAPI struct {
	*httptest.Server

	asked  atomic.Int64
	before func(path string) (missing bool) // called before each answer
	date   time.Time                        // of each answer

	records map[string][]byte // further Secrets of the registry, by their names
}

func newRegistryAPI(t *testing.T, registrationVersion string, created time.Time) *registryAPI {
	t.Helper()
	data, err := registration.Encode(registration.Registration{Client: reporting})
	must(t, err)
	stored, err := json.Marshal(&corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: registration.SecretName(reporting.ID), ResourceVersion: registrationVersion},
		Type:       registration.SecretType, Data: data,
	})
	must(t, err)
	owner := typed(ownerObject(reporting, "8"))
	owner.CreationTimestamp = metav1.NewTime(created)
	object, err := json.Marshal(owner)
	must(t, err)
	api := &registryAPI{before: func(string) bool { return false }, date: noon}
	api.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.asked.Add(1)
		missing := api.before(r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Date", api.date.Format(http.TimeFormat))
		switch {
		case api.records[path.Base(r.URL.Path)] != nil:
			_, _ = w.Write(api.records[path.Base(r.URL.Path)])
		case !missing && strings.HasSuffix(r.URL.Path, "/secrets"):
			_, _ = w.Write([]byte(`{"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"200"},"items":[]}`))
		case !missing && strings.HasSuffix(r.URL.Path, registration.SecretName(reporting.ID)):
			_, _ = w.Write(stored)
		case !missing && strings.HasSuffix(r.URL.Path, "/namespaces/shop/oauth2clients/reporting"):
			_, _ = w.Write(object)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`))
		}
	}))
	t.Cleanup(api.Close)
	return api
}

func (api *registryAPI) directory(t *testing.T) *Directory {
	t.Helper()
	now := func() time.Time { return noon }
	d, err := New(Config{
		REST: &rest.Config{Host: api.URL}, RegistryNamespace: "registry", Log: slog.New(slog.DiscardHandler), Now: now, Clock: uncompared(now),
	})
	must(t, err)
	return d
}

// How many requests a look-up sends must not reveal whether there is such a client.
func TestALookUpAsksAsMuchAboutAClientThatIsNotThere(t *testing.T) {
	api := newRegistryAPI(t, "7", noon.Add(-time.Hour))
	d := api.directory(t)
	for _, id := range []string{reporting.ID, "shop.nobody", "nobody", "a/b.c%d", ".", "UPPER CASE"} {
		api.asked.Store(0)
		record, err := d.LookUp(t.Context(), id)
		must(t, err)
		if known := record.Client != nil && record.Owner != nil; known != (id == reporting.ID) || api.asked.Load() != 3 {
			t.Errorf("%q: known %t after %d questions", id, known, api.asked.Load())
		}
	}
}

// The clients of a service account are asked for by a field selector. Those that are being deleted
// are none.
func TestTheClientsOfAServiceAccountAreLookedUp(t *testing.T) {
	const object = `{"metadata":{"namespace":"shop","name":%q%s},"spec":{%s"authentication":{"method":"ServiceAccount","serviceAccount":{"name":"worker"}}}}`
	const deleted = `,"deletionTimestamp":"2026-11-23T12:00:00Z"`
	for name, c := range map[string]struct {
		items []string
		want  []string
	}{
		"none":                     {nil, nil},
		"one":                      {[]string{fmt.Sprintf(object, "a", "", "")}, []string{"shop.a"}},
		"one of a chosen id":       {[]string{fmt.Sprintf(object, "a", "", `"clientID":"legacy",`)}, []string{"legacy"}},
		"one beside a deleted one": {[]string{fmt.Sprintf(object, "a", deleted, ""), fmt.Sprintf(object, "b", "", "")}, []string{"shop.b"}},
		"three": {
			[]string{fmt.Sprintf(object, "a", "", ""), fmt.Sprintf(object, "b", "", ""), fmt.Sprintf(object, "c", "", "")}, []string{"shop.a", "shop.b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if got := r.URL.Query().Get("fieldSelector"); r.URL.Path != "/apis/hallpass.dev/v1alpha1/namespaces/shop/oauth2clients" ||
					got != "spec.authentication.serviceAccount.name=worker" || r.URL.Query().Get("limit") == "" {
					t.Errorf("asked %s", r.URL)
				}
				_, _ = fmt.Fprintf(w, `{"kind":"OAuth2ClientList","apiVersion":"hallpass.dev/v1alpha1","metadata":{"resourceVersion":"9"},"items":[%s]}`,
					strings.Join(c.items, ","))
			}))
			defer server.Close()
			d := (&registryAPI{Server: server}).directory(t)
			got, err := d.LookUpClientsOf(t.Context(), oauth2.Workload{Namespace: "shop", Account: "worker"})
			must(t, err)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	d := newRegistryAPI(t, "7", noon).directory(t)
	if ids, err := d.LookUpClientsOf(t.Context(), oauth2.Workload{Namespace: "../secrets", Account: "worker"}); err == nil {
		t.Errorf("a namespace that is none gives %v", ids)
	}
}

// An application may have its Secret before the registration is there, which is written at the same
// time.
func TestALookUpWaitsForTheRegistrationOfANewClient(t *testing.T) {
	for name, c := range map[string]struct {
		created time.Time
		comesAt int64 // the request about it that finds it
		want    bool
	}{
		"it is there":                             {noon, 1, true},
		"it comes soon":                           {noon, 4, true},
		"it does not come":                        {noon, 1000, false},
		"the client is new by a clock that is":    {noon.Add(5 * time.Second), 3, true},
		"nothing is on its way of an old client":  {noon.Add(-newFor), 2, false},
		"a client that was just made an hour ago": {noon.Add(-time.Hour), 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			api := newRegistryAPI(t, "7", c.created)
			var questions atomic.Int64
			api.before = func(path string) bool {
				return strings.HasSuffix(path, registration.SecretName(reporting.ID)) && questions.Add(1) < c.comesAt
			}
			record, err := api.directory(t).LookUp(t.Context(), reporting.ID)
			if err != nil || (record.Client != nil) != c.want {
				t.Errorf("found %+v, %v", record, err)
			}
			if questions.Load() > 10 {
				t.Errorf("%d questions about one registration", questions.Load())
			}
		})
	}
}

// The client and the response are dated by one clock, whatever the replica's shows.
func TestAClientIsNewForTenSecondsByTheClockThatDatedIt(t *testing.T) {
	for name, c := range map[string]struct {
		ahead, age time.Duration
		want       bool
	}{
		"the clocks agree":                               {0, time.Second, true},
		"the replica's is ahead by eleven seconds":       {11 * time.Second, time.Second, true},
		"the replica's is ahead by an hour":              {time.Hour, 9 * time.Second, true},
		"the replica's is behind by an hour":             {-time.Hour, time.Second, true},
		"the replica's is behind, and the client is old": {-time.Hour, newFor, false},
		"the replica's is ahead, and the client is old":  {time.Hour, newFor, false},
	} {
		t.Run(name, func(t *testing.T) {
			date := noon.Add(-c.ahead)
			api := newRegistryAPI(t, "7", date.Add(-c.age))
			api.date = date
			var questions atomic.Int64
			api.before = func(path string) bool {
				return strings.HasSuffix(path, registration.SecretName(reporting.ID)) && questions.Add(1) < 3
			}
			record, err := api.directory(t).LookUp(t.Context(), reporting.ID)
			if err != nil || (record.Client != nil) != c.want {
				t.Errorf("found %+v, %v", record, err)
			}
		})
	}
}

// Where an API server answers lists from a cache, that may take a tenth of a second, and an
// application must not wait for it.
func TestARegistrationThatIsNewsIsBelievedAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		version string
		waits   bool
	}{
		"written after all that memory knows": {version: "101"},
		"not newer than memory":               {version: "100", waits: true},
		"of a store that leapt ahead":         {version: "1000000101", waits: true},
		"of no version":                       {version: "", waits: true},
	} {
		t.Run(name, func(t *testing.T) {
			api := newRegistryAPI(t, c.version, noon)
			d := api.directory(t)
			must(t, d.source(resourceSecrets).Replace(nil, "100"))
			answered := make(chan struct{})
			api.before = func(path string) bool {
				if !strings.HasSuffix(path, "/secrets") {
					return false
				}
				if !c.waits {
					<-answered
				}
				return true // so that the caller that waits for it fails
			}
			record, err := d.LookUp(t.Context(), reporting.ID)
			close(answered)
			if (err != nil) != c.waits || (record.Client == nil) != c.waits {
				t.Errorf("found %+v, %v", record, err)
			}
		})
	}
}

// A replica of an older version, after a rollback, reads what a newer manager wrote.
func TestARecordThatCannotBeReadIsNotTakenForAbsent(t *testing.T) {
	api := newRegistryAPI(t, "7", noon.Add(-time.Hour))
	unreadable := func(kind, entry string) []byte {
		stored, err := json.Marshal(&corev1.Secret{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Name: "record", ResourceVersion: "7"},
			Type: corev1.SecretType(kind), Data: map[string][]byte{entry: []byte(`{"version":7}`)},
		})
		must(t, err)
		return stored
	}
	api.records = map[string][]byte{
		registration.SecretName("shop.newer"):            unreadable(registration.SecretType, "client.json"),
		registration.ResourceSecretName("https://api"):   unreadable(registration.ResourceSecretType, "resource.json"),
		registration.OpaqueSecretName("an-opaque-token"): unreadable(registration.TokenSecretType, "token.json"),
	}
	d := api.directory(t)
	_, client := d.LookUp(t.Context(), "shop.newer")
	_, resource := d.LookUpResource(t.Context(), "https://api")
	_, token := d.LookUpMinted(t.Context(), "an-opaque-token")
	for what, err := range map[string]error{"a registration": client, "a resource": resource, "a token": token} {
		if oauth2.ReasonOf(err) != oauth2.ReasonLookupUnavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	if found, err := d.LookUp(t.Context(), "shop.absent"); err != nil || found.Client != nil {
		t.Errorf("an absent client: %v, %v", found, err)
	}
}

// The record of a trusted issuer is found by its iss among those of all trusted issuers. One that
// cannot be read hides no other.
func TestATrustedIssuerIsLookedUpByItsIss(t *testing.T) {
	items := []corev1.Secret{{
		ObjectMeta: metav1.ObjectMeta{Name: registration.IssuerSecretName("broken"), ResourceVersion: "7"},
		Type:       registration.IssuerSecretType, Data: map[string][]byte{"issuer.json": []byte("{")},
	}}
	for name, iss := range map[string]string{"corp": "https://idp.test", "other": "https://other.test"} {
		data, err := registration.EncodeIssuer(oauth2.TrustedIssuer{Name: name, UID: "uid-of-" + name, Issuer: iss, Uses: oauth2.UsePerson})
		must(t, err)
		items = append(items, corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: registration.IssuerSecretName(name), ResourceVersion: "8"}, Type: registration.IssuerSecretType, Data: data,
		})
	}
	stored, err := json.Marshal(&corev1.SecretList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "SecretList"}, Items: items})
	must(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query().Get("fieldSelector"); r.URL.Path != "/api/v1/namespaces/registry/secrets" || got != "type=hallpass.dev/trusted-issuer" {
			t.Errorf("asked %s", r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(stored)
	}))
	defer server.Close()
	d := (&registryAPI{Server: server}).directory(t)
	for iss, want := range map[string]string{"https://idp.test": "corp", "https://idp.test/": "", "https://evil.test": ""} {
		issuer, err := d.LookUpIssuerOf(t.Context(), iss)
		if must(t, err); (issuer != nil) != (want != "") || issuer != nil && issuer.Name != want {
			t.Errorf("%s is %+v, want %q", iss, issuer, want)
		}
	}
}
