// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/internal/registration"
)

// How many questions a look-up asks must not tell whether there is such a client.
func TestALookUpAsksAsMuchAboutAClientThatIsNotThere(t *testing.T) {
	data, err := registration.Encode(registration.Registration{Client: reporting})
	must(t, err)
	stored, err := json.Marshal(&corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Name: registration.SecretName(reporting.ID)},
		Type: registration.SecretType, Data: data,
	})
	must(t, err)
	object, err := json.Marshal(ownerObject(reporting, "8"))
	must(t, err)
	object = []byte(strings.Replace(string(object), "{", `{"apiVersion":"hallpass.dev/v1alpha1","kind":"OAuth2Client",`, 1))
	var asked atomic.Int64
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/secrets"):
			_, _ = w.Write([]byte(`{"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"100"},"items":[]}`))
		case strings.HasSuffix(r.URL.Path, registration.SecretName(reporting.ID)):
			_, _ = w.Write(stored)
		case strings.HasSuffix(r.URL.Path, "/namespaces/shop/oauth2clients/reporting"):
			_, _ = w.Write(object)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`))
		}
	}))
	defer api.Close()
	d, err := New(Config{REST: &rest.Config{Host: api.URL}, RegistryNamespace: "registry", Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	for _, id := range []string{reporting.ID, "shop.nobody", "nobody", "a/b.c%d", ".", "UPPER CASE"} {
		asked.Store(0)
		record, err := d.LookUp(t.Context(), id)
		must(t, err)
		if known := record.Client != nil && record.Owner != nil; known != (id == reporting.ID) || asked.Load() != 3 {
			t.Errorf("%q: known %t after %d questions", id, known, asked.Load())
		}
	}
}
