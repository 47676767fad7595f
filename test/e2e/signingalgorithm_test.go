// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// enable starts the manager again with other algorithms, whose keys sign as soon as the token
// server has read them.
func enable(t *testing.T, algorithms ...jws.Algorithm) {
	t.Helper()
	must(t, hallpass.StopManager())
	hallpass.SigningKeys.Algorithms = algorithms
	hallpass.SigningKeys.Lead, hallpass.SigningKeys.Skew = 2*time.Second, 0
	must(t, hallpass.StartManager(t.Context()))
}

// ordinaryKeys starts the manager with its ordinary policy, and waits until no key changes for a
// while.
func ordinaryKeys(t *testing.T) {
	t.Helper()
	must(t, hallpass.StopManager())
	hallpass.SigningKeys = keyring.DefaultPolicy(oauth2.MaxTokenLifetime)
	must(t, hallpass.StartManager(t.Context()))
	eventually(t, "the keys are at rest", func() bool {
		keys := get(t, &corev1.Secret{}, installation.RegistryNamespace, registration.KeysSecretName)
		ring, err := registration.DecodeKeys(keys.Data)
		must(t, err)
		now := time.Now()
		return ring.NextChange(now).Sub(now) > 10*time.Minute
	})
}

// TestAClientAsksForAnAlgorithm goes through the life of a second algorithm: not enabled,
// published, signing, withdrawn, taken away.
func TestAClientAsksForAnAlgorithm(t *testing.T) {
	defer ordinaryKeys(t)
	api := credentials(t, apply(t, "algorithms", newClient("api")))
	c := newClient("caller")
	c.Namespace = "algorithms"
	c.Spec.TokenSigningAlgorithm = "RS256"
	must(t, cluster.Create(t.Context(), c))
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonSigningAlgorithmNotEnabled)
	secret := credentials(t, c)
	status, body := post(t, secret, "token_url", url.Values{"grant_type": {"client_credentials"}})
	if status != http.StatusBadRequest || body["error"] != "unauthorized_client" {
		t.Errorf("a token of an algorithm that is not enabled: %d %v", status, body)
	}
	if status, _ = post(t, secret, "introspection_url", url.Values{"token": {fetch(t, api)}}); status != http.StatusOK {
		t.Errorf("the client may not introspect: %d", status)
	}

	enable(t, jws.ES256, jws.RS256)
	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	rs256 := fetchSoon(t, secret)
	provider, err := oidc.NewProvider(oidc.ClientContext(t.Context(), hallpass.HTTP), hallpass.Issuer.String())
	must(t, err)
	verify := func(token string, algorithm string) error {
		_, err := provider.Verifier(&oidc.Config{SkipClientIDCheck: true, SupportedSigningAlgs: []string{algorithm}}).Verify(t.Context(), token)
		return err
	}
	must(t, verify(rs256, oidc.RS256))
	must(t, verify(fetch(t, api), oidc.ES256))
	var metadata struct {
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	must(t, provider.Claims(&metadata))
	if !slices.Equal(metadata.Algorithms, []string{"ES256", "RS256"}) {
		t.Errorf("the metadata speaks of %v", metadata.Algorithms)
	}

	// A taint of the one leaves the other alone.
	message, err := jws.Parse(rs256)
	must(t, err)
	annotateKeys(t, v1alpha1.AnnotationTaint, message.Header.KeyID)
	eventually(t, "a token of the withdrawn key is inactive, and the next key signs", func() bool {
		_, old := post(t, api, "introspection_url", url.Values{"token": {rs256}})
		return old["active"] == false
	})
	fresh := fetchSoon(t, secret)
	if _, body := post(t, api, "introspection_url", url.Values{"token": {fresh}}); body["active"] != true {
		t.Errorf("a token of the next key: %v", body)
	}

	enable(t, jws.ES256)
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonSigningAlgorithmNotEnabled)
	eventually(t, "no token is signed with it any more", func() bool {
		status, _ := post(t, secret, "token_url", url.Values{"grant_type": {"client_credentials"}})
		return status == http.StatusBadRequest
	})
	if _, body := post(t, api, "introspection_url", url.Values{"token": {fresh}}); body["active"] != true {
		t.Errorf("the last token of an algorithm that was taken away: %v, want active until it expires", body)
	}
	must(t, verify(fresh, oidc.RS256))
}

// fetchSoon fetches a token as soon as the token server has read the keys that it requires.
func fetchSoon(t *testing.T, secret *corev1.Secret) (token string) {
	t.Helper()
	eventually(t, "there is a token", func() bool {
		_, body := post(t, secret, "token_url", url.Values{"grant_type": {"client_credentials"}})
		token, _ = body["access_token"].(string)
		return token != ""
	})
	return token
}

// annotateKeys follows docs/signing-keys.md to rotate now, and to withdraw a key that has leaked.
func annotateKeys(t *testing.T, annotation, value string) {
	t.Helper()
	eventually(t, "the keys are annotated", func() bool {
		var keys corev1.Secret
		must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.KeysSecretName}, &keys))
		metav1.SetMetaDataAnnotation(&keys.ObjectMeta, annotation, value)
		return cluster.Update(t.Context(), &keys) == nil
	})
}
