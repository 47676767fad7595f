// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

const registryNamespace = "hallpass-registry"

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func ownerMeta(uid types.UID, terminating bool) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: "shop", Name: "app", UID: uid}
	if terminating {
		m.Finalizers, m.DeletionTimestamp = []string{"shop.example.com/hold"}, new(metav1.NewTime(noon))
	}
	return m
}

func record(t *testing.T, name string, kind corev1.SecretType, data map[string][]byte, err error) *corev1.Secret {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: registryNamespace, Name: name, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
		Annotations: map[string]string{"example.com/backup": "no"},
	}, Type: kind, Data: data}
}

// A finalizer can keep an object for years. What is on record of it allows nothing from its
// deletion on, and stays the lock on its name.
func TestTheRecordOfATerminatingOwnerIsEmptied(t *testing.T) {
	c := oauth2.Client{
		ID: "shop.app", UID: "u", Namespace: "shop", Name: "app", Tokens: oauth2.TokenForm{Lifetime: time.Hour, Claims: []oauth2.Claim{{Name: "example.com/tier", Value: "gold"}}}, Scopes: []string{"read"}, Labels: map[string]string{"a": "b"},
		Access:      []oauth2.Access{{Resource: oauth2.ObjectName{Namespace: "orders", Name: "api"}, Scopes: []string{"read"}}},
		Credentials: oauth2.Credentials{Verifiers: []oauth2.Verifier{{ID: "a", Digest: oauth2.Digest{1}, CreatedAt: noon}}},
	}
	clientData, clientErr := registration.Encode(registration.Registration{Client: c, Rotation: credential.Rotation{Handled: "1"}})
	account := c
	account.Credentials = oauth2.Credentials{ServiceAccount: &oauth2.ServiceAccount{Name: "web", UID: "s"}}
	accountData, accountErr := registration.Encode(registration.Registration{Client: account})
	r := oauth2.Resource{Identifier: "https://api.test", UID: "u", Namespace: "shop", Name: "app", Scopes: []string{"read"}, Consents: []oauth2.Consent{
		{Namespaces: []string{"shop"}, Scopes: []string{"read"}},
	}}
	resourceData, resourceErr := registration.EncodeResource(r)
	m := oauth2.Minted{UID: "u", Namespace: "shop", Name: "app", ClientID: "shop.app", ClientUID: "c", ClientName: "app", Opaque: true, Tokens: []oauth2.MintedToken{
		{ID: "t", Digest: oauth2.Digest{1}, Audience: "https://api.test", IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)},
	}}
	tokenData, tokenErr := registration.EncodeToken(m)

	emptyClient := oauth2.Client{ID: "shop.app", UID: "u", Namespace: "shop", Name: "app", Tokens: oauth2.TokenForm{Lifetime: time.Hour}}
	emptyAccount := emptyClient
	emptyAccount.Credentials.ServiceAccount = &oauth2.ServiceAccount{Name: "web"}
	emptyToken := m
	emptyToken.Tokens = nil

	clientOf := func(m metav1.ObjectMeta) client.Object { return &v1alpha1.OAuth2Client{ObjectMeta: m} }
	resourceOf := func(m metav1.ObjectMeta) client.Object { return &v1alpha1.OAuth2Resource{ObjectMeta: m} }
	tokenOf := func(m metav1.ObjectMeta) client.Object { return &v1alpha1.OAuth2Token{ObjectMeta: m} }
	decodeClient := func(data map[string][]byte) (any, error) {
		r, err := registration.Decode(data)
		return r.Client, err
	}
	decodeResource := func(data map[string][]byte) (any, error) { return registration.DecodeResource(data) }
	decodeToken := func(data map[string][]byte) (any, error) { return registration.DecodeToken(data) }
	for name, row := range map[string]struct {
		stored *corev1.Secret
		owner  client.Object // in the cache and in the API server; nil for none
		decode func(map[string][]byte) (any, error)
		want   any // nil if the record is deleted
	}{
		"of a client": {
			record(t, "client", registration.SecretType, clientData, clientErr), clientOf(ownerMeta("u", true)), decodeClient, emptyClient,
		},
		"of a client that is a service account": {
			record(t, "client", registration.SecretType, accountData, accountErr), clientOf(ownerMeta("u", true)), decodeClient, emptyAccount,
		},
		"of a resource": {
			record(t, "resource", registration.ResourceSecretType, resourceData, resourceErr), resourceOf(ownerMeta("u", true)), decodeResource,
			oauth2.Resource{Identifier: r.Identifier, UID: r.UID, Namespace: r.Namespace, Name: r.Name},
		},
		"of a token": {
			record(t, "token", registration.TokenSecretType, tokenData, tokenErr), tokenOf(ownerMeta("u", true)), decodeToken, emptyToken,
		},
		"not of a client that lives": {
			record(t, "client", registration.SecretType, clientData, clientErr), clientOf(ownerMeta("u", false)), decodeClient, c,
		},
		"and deleted once another client has the name": {
			record(t, "client", registration.SecretType, clientData, clientErr), clientOf(ownerMeta("v", true)), decodeClient, nil,
		},
		"and deleted once the client is gone": {
			record(t, "client", registration.SecretType, clientData, clientErr), nil, decodeClient, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
				if err := add(scheme); err != nil {
					t.Fatal(err)
				}
			}
			building := fake.NewClientBuilder().WithScheme(scheme).WithObjects(row.stored.DeepCopy())
			if row.owner != nil {
				building = building.WithObjects(row.owner)
			}
			c := building.Build()
			var lines []string
			reconciler := &Reconciler{
				Client: c, Live: c, Policy: &policy.Source{}, RegistryNamespace: registryNamespace,
				Audit: funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{}),
			}
			var versions []string
			for range 2 { // the second run writes nothing
				var stored corev1.Secret
				err := c.Get(t.Context(), client.ObjectKeyFromObject(row.stored), &stored)
				if client.IgnoreNotFound(err) != nil {
					t.Fatal(err)
				}
				if err != nil {
					break
				}
				if _, err := reconciler.Reconcile(t.Context(), &stored); err != nil {
					t.Fatal(err)
				}
				if c.Get(t.Context(), client.ObjectKeyFromObject(row.stored), &stored) == nil {
					versions = append(versions, stored.ResourceVersion)
				}
			}
			ended := map[string]string{
				"of a client": `"credential"="a"`, "of a token": `"jti"="t"`,
				"and deleted once another client has the name": `"credential"="a"`, "and deleted once the client is gone": `"credential"="a"`,
			}[name]
			if said := strings.Join(lines, "\n"); (ended != "") != (len(lines) == 1) || ended != "" && !strings.Contains(said, ended) {
				t.Errorf("audit lines %q", lines)
			}
			var stored corev1.Secret
			err := c.Get(t.Context(), client.ObjectKeyFromObject(row.stored), &stored)
			if row.want == nil {
				if client.IgnoreNotFound(err) != nil || err == nil {
					t.Errorf("the record is there: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := row.decode(stored.Data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if stored.Annotations["example.com/backup"] != "no" || len(versions) != 2 || versions[0] != versions[1] {
				t.Errorf("annotations %v, versions %v", stored.Annotations, versions)
			}
		})
	}
}
