// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	core "github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// TestCallersKeepTheClientIDOfAnotherServer gives clients the identifiers that callers bring along,
// and uses them as a standard library does: in the body, in Basic, and in assertions.
func TestCallersKeepTheClientIDOfAnotherServer(t *testing.T) {
	const uri = "https://orders.moved.example/v1?a=b"
	ids := map[string]string{
		"plain": "orders-prod_1", "dotted": "123-abc.apps.googleusercontent.com", "capitals": "Orders.Api", "uri": uri, "urn": "urn:example:moved:orders",
	}
	policy := policyOf("moved", func(spec *v1alpha1.OAuth2PolicySpec) {
		spec.ClientIDs = []v1alpha1.IdentifierPattern{"orders-*"}
		for _, id := range ids {
			spec.ClientIDs = append(spec.ClientIDs, v1alpha1.IdentifierPattern(id))
		}
	})
	create(t, policy)
	for name, id := range ids {
		t.Run(name, func(t *testing.T) {
			c := newClient(name)
			c.Spec.ClientID = id
			secret := credentials(t, apply(t, "moved", c))
			if got := string(secret.Data["client_id"]); got != id {
				t.Errorf("the Secret has the client_id %q", got)
			}
			callsAs(t, secret, id)
			status, body := post(t, secret, "token_url", url.Values{"grant_type": {"client_credentials"}})
			wanted := http.StatusOK
			if strings.Contains(id, ":") {
				wanted = http.StatusUnauthorized
			}
			description, _ := body["error_description"].(string)
			if status != wanted || status != http.StatusOK && !strings.Contains(description, "form-encoded") {
				t.Errorf("as it is in Basic: %d %v", status, body)
			}
		})
	}
	t.Run("assertion", func(t *testing.T) {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		signer, err := jws.NewSigner(jws.ES256, private)
		must(t, err)
		jwk, err := signer.Public().JWK()
		must(t, err)
		set, err := json.Marshal(map[string]any{"keys": []any{jwk}})
		must(t, err)
		c := newClient("keyed")
		must(t, cluster.Delete(t.Context(), &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "moved", Name: "uri"}}))
		c.Spec.ClientID, c.Spec.Authentication = uri, v1alpha1.AuthenticationSpec{
			Method: v1alpha1.ByPrivateKeyJWT, PrivateKeyJWT: v1alpha1.PrivateKeyJWTSpec{JWKS: string(set)},
		}
		secret := credentials(t, apply(t, "moved", c))
		eventually(t, "an assertion is honoured", func() bool { return assertAs(t, secret, uri, signer) == http.StatusOK })
	})
	if audit := hallpass.Log.String(); !strings.Contains(audit, `"client_id":"`+uri+`"`) {
		t.Error("no audit line has the URI")
	}
}

// callsAs fetches tokens in the body and in form-encoded Basic, and checks what verifiers and
// proxies get.
func callsAs(t *testing.T, secret *corev1.Secret, id string) {
	t.Helper()
	namespace := secret.Namespace
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, hallpass.HTTP)
	provider, err := oidc.NewProvider(oidc.ClientContext(t.Context(), hallpass.HTTP), hallpass.Issuer.String())
	must(t, err)
	for how, style := range map[string]oauth2.AuthStyle{"Basic": oauth2.AuthStyleInHeader, "body": oauth2.AuthStyleInParams} {
		config := clientcredentials.Config{
			ClientID: id, ClientSecret: string(secret.Data["client_secret"]), TokenURL: string(secret.Data["token_url"]), AuthStyle: style,
		}
		token, err := config.Token(ctx)
		if err != nil {
			t.Errorf("%s: %v", how, err)
			continue
		}
		verified, err := provider.Verifier(&oidc.Config{ClientID: hallpass.Issuer.NamespaceAudience(namespace)}).Verify(ctx, token.AccessToken)
		must(t, err)
		if verified.Subject != id {
			t.Errorf("%s: sub %q", how, verified.Subject)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			hallpass.Issuer.URL(core.ForwardAuthPath)+"?audience="+url.QueryEscape(hallpass.Issuer.NamespaceAudience(namespace)), http.NoBody)
		must(t, err)
		token.SetAuthHeader(request)
		response, err := hallpass.HTTP.Do(request)
		must(t, err)
		must(t, response.Body.Close())
		if got := response.Header.Get("X-Auth-Client-Id"); response.StatusCode != http.StatusOK || got != id {
			t.Errorf("%s: forward-auth answers %d for the client %q", how, response.StatusCode, got)
		}
	}
}

// TestNoClientIDIsTakenForThatOfANamespace lets a policy name an identifier before there is a
// namespace of its first label, and one after.
func TestNoClientIDIsTakenForThatOfANamespace(t *testing.T) {
	const first, second = "brand-new.app", "brand-new.worker"
	pattern := policyOf("lookalikes", func(spec *v1alpha1.OAuth2PolicySpec) {
		spec.ClientIDs = []v1alpha1.IdentifierPattern{"*", "brand-new.*", "https://moved.example/*"}
	})
	create(t, pattern)
	early := clientWith("lookalikes", func(spec *v1alpha1.OAuth2ClientSpec) { spec.ClientID = first })
	create(t, early)
	condition(t, early, metav1.ConditionFalse, v1alpha1.ReasonClientIDNotAllowed)
	byPattern := clientWith("lookalikes", func(spec *v1alpha1.OAuth2ClientSpec) { spec.ClientID = "https://moved.example/app" })
	byPattern.Name = "uri"
	create(t, byPattern)
	condition(t, byPattern, metav1.ConditionFalse, v1alpha1.ReasonClientIDNotAllowed)
	edited(pattern, func(p *v1alpha1.OAuth2Policy) {
		p.Spec.ClientIDs = append(p.Spec.ClientIDs, first, second)
	})(t)
	condition(t, early, metav1.ConditionTrue, v1alpha1.ReasonRegistered)

	must(t, cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "brand-new"}}))
	lost := get(t, &corev1.Secret{}, installation.RegistryNamespace, registration.SecretName(first))
	must(t, cluster.Delete(t.Context(), lost))
	eventually(t, "the registration is written again although the namespace is there", func() bool {
		var again corev1.Secret
		return cluster.Get(t.Context(), client.ObjectKeyFromObject(lost), &again) == nil && again.UID != lost.UID
	})
	own := newIn("brand-new", "app")
	create(t, own)
	condition(t, own, metav1.ConditionFalse, v1alpha1.ReasonClientIDConflict)
	callsAs(t, credentials(t, early), first)
	late := clientWith("lookalikes", func(spec *v1alpha1.OAuth2ClientSpec) { spec.ClientID = second })
	late.Name = "late"
	create(t, late)
	condition(t, late, metav1.ConditionFalse, v1alpha1.ReasonClientIDReserved)
	must(t, cluster.Delete(t.Context(), early))
	condition(t, own, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	fetch(t, credentials(t, own))
	must(t, cluster.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "brand-new"}}))
	condition(t, late, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
}
