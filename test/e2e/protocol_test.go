// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// TestAClientWithKeysNeedsNoSecret goes from a secret to keys, to keys that cannot be read, and
// back.
func TestAClientWithKeysNeedsNoSecret(t *testing.T) {
	c := apply(t, "keyed", newClient("caller"))
	before := credentials(t, c)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	signer, err := jws.NewSigner(jws.ES256, private)
	must(t, err)
	jwk, err := signer.Public().JWK()
	must(t, err)
	set, err := json.Marshal(map[string]any{"keys": []any{jwk}})
	must(t, err)

	update(t, c, func() {
		c.Spec.Authentication = v1alpha1.AuthenticationSpec{
			Method: v1alpha1.ByPrivateKeyJWT, PrivateKeyJWT: v1alpha1.PrivateKeyJWTSpec{JWKS: string(set)},
		}
	})
	eventually(t, "the client secret leaves the Secret", func() bool {
		_, there := get(t, &corev1.Secret{}, "keyed", "caller").Data["client_secret"]
		return !there
	})
	after := get(t, &corev1.Secret{}, "keyed", "caller")
	if string(after.Data["client_id"]) != "keyed.caller" || len(after.Data["token_url"]) == 0 {
		t.Errorf("the Secret lost more than the client secret: %d entries", len(after.Data))
	}
	eventually(t, "an assertion is honoured", func() bool {
		return assert(t, after, signer) == http.StatusOK
	})
	eventually(t, "the old secret is refused", func() bool {
		status, _ := post(t, before, "token_url", url.Values{"grant_type": {"client_credentials"}})
		return status == http.StatusUnauthorized
	})

	update(t, c, func() { c.Spec.Authentication.PrivateKeyJWT.JWKS = `{"keys":[{"kty":"EC","\u0064":"AAAA"}]}` })
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonInvalidJWKS)
	eventually(t, "keys that are gone are refused", func() bool {
		return assert(t, after, signer) == http.StatusUnauthorized
	})
	eventually(t, "the audit line says it in the word of the condition", func() bool {
		return strings.Contains(hallpass.Log.String(), `"reason":"`+v1alpha1.ReasonInvalidJWKS+`"`)
	})

	update(t, c, func() { c.Spec.Authentication = v1alpha1.AuthenticationSpec{} })
	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	eventually(t, "there is a client secret again", func() bool {
		return len(get(t, &corev1.Secret{}, "keyed", "caller").Data["client_secret"]) > 0
	})
	fetch(t, get(t, &corev1.Secret{}, "keyed", "caller"))
}

// assert asks for a token with an assertion and answers the status.
func assert(t *testing.T, secret *corev1.Secret, signer *jws.Signer) int {
	t.Helper()
	return assertAs(t, secret, "keyed.caller", signer)
}

func assertAs(t *testing.T, secret *corev1.Secret, clientID string, signer *jws.Signer) int {
	t.Helper()
	payload, err := json.Marshal(map[string]any{
		"iss": clientID, "sub": clientID, "aud": hallpass.Issuer.String(), "exp": time.Now().Add(30 * time.Second).Unix(), "jti": rand.Text(),
	})
	must(t, err)
	signed, err := signer.Sign("JWT", payload)
	must(t, err)
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_assertion_type": {oauth2.AssertionType}, "client_assertion": {signed},
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, string(secret.Data["token_url"]), strings.NewReader(form.Encode()))
	must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := hallpass.HTTP.Do(request)
	must(t, err)
	must(t, response.Body.Close())
	return response.StatusCode
}
