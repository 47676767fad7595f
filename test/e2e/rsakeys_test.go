// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
)

// TestALargeRSAKeyOfAnEarlierBuildIsLeftOut creates a client with such a key while the API server
// does not refuse it, as an earlier build did, and continues with today's rules.
func TestALargeRSAKeyOfAnEarlierBuildIsLeftOut(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	signer, err := jws.NewSigner(jws.ES256, private)
	must(t, err)
	large := jws.PublicKey{ID: "large", Algorithm: jws.RS256, Key: &rsa.PublicKey{
		E: 65537, N: new(big.Int).SetBit(new(big.Int).Lsh(big.NewInt(1), 8191), 0, 1),
	}}
	set := func(keys ...jws.PublicKey) v1alpha1.AuthenticationSpec {
		var jwks struct {
			Keys []jws.JWK `json:"keys"`
		}
		for _, key := range keys {
			jwk, err := key.JWK()
			must(t, err)
			jwks.Keys = append(jwks.Keys, jwk)
		}
		document, err := json.Marshal(jwks)
		must(t, err)
		return v1alpha1.AuthenticationSpec{Method: v1alpha1.ByPrivateKeyJWT, PrivateKeyJWT: v1alpha1.PrivateKeyJWTSpec{JWKS: string(document)}}
	}
	keysComplete := func(c *v1alpha1.OAuth2Client) *metav1.Condition {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionKeysComplete)
	}

	c := apply(t, "rsakeys", newClient("caller")) // its namespace is there from now on
	must(t, cluster.Delete(t.Context(), c))
	c = newClient("old")
	c.Namespace, c.Spec.Authentication = "rsakeys", set(large, signer.Public())
	if err := cluster.Create(t.Context(), c.DeepCopy()); err == nil || !strings.Contains(err.Error(), "jwks must not hold an RSA key of more than 4096 bits") {
		t.Fatalf("a new client with such a key: %v", err)
	}
	withoutRules(t, func() {
		eventually(t, "the client is created", func() bool { return cluster.Create(t.Context(), c) == nil })
	})

	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	found := keysComplete(c)
	if found == nil || found.Status != metav1.ConditionFalse || found.Reason != v1alpha1.ReasonUnsupportedRSAKey ||
		!strings.Contains(found.Message, "key 1: ") || !strings.Contains(found.Message, "use 2048 to 4096 bits and exponent 65537") {
		t.Fatalf("KeysComplete: %+v", found)
	}
	secret := credentials(t, c)
	eventually(t, "an assertion of the other key is honoured", func() bool { return assertAs(t, secret, "rsakeys.old", signer) == http.StatusOK })

	update(t, c, func() { c.Spec.DisplayName = "changed under today's rules" })
	eventually(t, "the status follows", func() bool {
		found := keysComplete(c)
		return found != nil && found.ObservedGeneration == c.Generation
	})
	update(t, c, func() { c.Spec.Authentication = set(signer.Public()) })
	eventually(t, "a set without the key is complete", func() bool { return keysComplete(c) == nil })

	alone := newClient("alone")
	alone.Namespace, alone.Spec.Authentication = "rsakeys", set(large)
	jwks := &alone.Spec.Authentication.PrivateKeyJWT.JWKS
	*jwks = strings.Replace(*jwks, `"n":`, `"\u006e":`, 1) // which the rule does not see
	must(t, cluster.Create(t.Context(), alone))
	condition(t, alone, metav1.ConditionFalse, v1alpha1.ReasonInvalidJWKS)
}

// withoutRules does something while the API server does not know the rules about the size of RSA
// keys.
func withoutRules(t *testing.T, do func()) {
	t.Helper()
	at := []string{
		"schema", "openAPIV3Schema", "properties", "spec", "properties", "authentication", "properties", "privateKeyJWT", "properties", "jwks", "x-kubernetes-validations",
	}
	change := func(of func(rules []any) []any) (before []any) {
		eventually(t, "the CRD is changed", func() bool {
			crd := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}}
			must(t, cluster.Get(t.Context(), client.ObjectKey{Name: "oauth2clients.hallpass.dev"}, crd))
			versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
			must(t, err)
			version, ok := versions[0].(map[string]any)
			if !ok {
				t.Fatal("the CRD has no version")
			}
			before, _, err = unstructured.NestedSlice(version, at...)
			must(t, err)
			must(t, unstructured.SetNestedSlice(version, of(slices.Clone(before)), at...))
			must(t, unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions"))
			return cluster.Update(t.Context(), crd) == nil
		})
		return before
	}
	rules := change(func(rules []any) []any { return rules[:1] })
	defer change(func([]any) []any { return rules })
	do()
}
