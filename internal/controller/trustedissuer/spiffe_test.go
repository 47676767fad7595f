// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package trustedissuer

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// bundle is a SPIFFE bundle with a key of X.509-SVIDs and one of JWT-SVIDs.
const bundle = `{"spiffe_sequence":3,"spiffe_refresh_hint":300,"keys":[` +
	`{"use":"x509-svid","kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","x5c":["MIIB"]},` +
	`{"use":"jwt-svid","kid":"k1","kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`

func trustDomain() *v1alpha1.OAuth2TrustedIssuer {
	return &v1alpha1.OAuth2TrustedIssuer{
		ObjectMeta: metav1.ObjectMeta{Name: "spire", UID: "u"},
		Spec: v1alpha1.OAuth2TrustedIssuerSpec{
			Type: v1alpha1.IssuerSPIFFE, SPIFFE: v1alpha1.IssuerSPIFFESpec{TrustDomain: "example.org"}, Uses: []v1alpha1.IssuerUse{v1alpha1.IssuerClient},
		},
	}
}

// A trust domain is known by its SPIFFE ID, and only the keys for JWT-SVIDs of its bundle are used,
// wherever it comes from.
func TestATrustDomainIsCompiled(t *testing.T) {
	o := trustDomain()
	s := &state{}
	if err := (&Reconciler{}).compile(t.Context(), o, s); err != nil {
		t.Fatal(err)
	}
	want := oauth2.TrustedIssuer{Name: "spire", UID: "u", Issuer: "spiffe://example.org"}
	if diff := cmp.Diff(want, s.issuer); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	used := func(what string, packed jws.PackedKeys, failed error) {
		t.Helper()
		if ids := packed.IDs(); failed != nil || !cmp.Equal(ids, []string{"k1"}) {
			t.Errorf("%s: %v, %v", what, ids, failed)
		}
	}
	o.Spec.Keys = v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysInline, JWKS: bundle}
	err := (&Reconciler{}).findKeys(t.Context(), o, s)
	used("in the spec", s.issuer.Keys.Set, err)

	o.Spec.Keys = v1alpha1.IssuerKeysSpec{Source: v1alpha1.KeysInConfigMap, ConfigMap: v1alpha1.IssuerConfigMap{Name: "spire-bundle", Key: "bundle.spiffe"}}
	api := &configMaps{data: map[types.NamespacedName]map[string]string{{Namespace: "hallpass-system", Name: "spire-bundle"}: {"bundle.spiffe": bundle}}}
	f := newFetching(t)
	f.by, f.source = keyReader{api: api, namespace: "hallpass-system"}, sourceOf(o)
	got := f.after(0)
	if got.failed != nil {
		t.Fatal(got.failed)
	}
	used("in a ConfigMap", got.keys, nil)

	// the key of an OIDC issuer has no such use
	api.data[types.NamespacedName{Namespace: "hallpass-system", Name: "spire-bundle"}] = map[string]string{"bundle.spiffe": mapped}
	if got := f.after(interval); got.failed == nil || !strings.Contains(got.failed.What, "jwt-svid") {
		t.Errorf("a JWK set that is no bundle: %v", got.failed)
	}
}

// An issuer that delegates one subject to two namespaces has a condition.
func TestAnIssuerSaysWhichNamespacesShareItsJWTs(t *testing.T) {
	s := &state{issuer: oauth2.TrustedIssuer{Delegations: []oauth2.Delegation{{Namespaces: []string{"ci"}}, {Namespaces: []string{"shop"}}}}}
	found := s.shared()
	if found == nil || found.Type != v1alpha1.ConditionClientIDNeeded || found.Status != metav1.ConditionTrue || !strings.Contains(found.Message, `"ci" and "shop"`) {
		t.Errorf("got %+v", found)
	}
	s.issuer.Delegations = s.issuer.Delegations[:1]
	if found := s.shared(); found != nil {
		t.Errorf("of one namespace: %+v", found)
	}
}
