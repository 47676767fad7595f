// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/directory"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/issuers"
)

// vouch signs an identity assertion for a client.
func vouch(t *testing.T, issuer *issuers.Issuer, clientID, resource, jti string) string {
	t.Helper()
	now := time.Now()
	payload, err := json.Marshal(map[string]any{
		"iss": issuer.URL, "sub": "00u1", "aud": hallpass.Issuer.String(), "client_id": clientID, "resource": resource, "scope": "call openid", "jti": jti,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	})
	must(t, err)
	assertion, err := issuer.Signer.Sign(oauth2.IdentityAssertionType, payload)
	must(t, err)
	return assertion
}

// A client acts for a person with the assertion of an issuer, where the owner of the API consents,
// until an administrator revokes the person.
func TestAClientActsForAPersonUntilSheIsRevoked(t *testing.T) {
	issuer := issuers.Start(t, &network, "https://idp.example.com", jws.ES256)
	trusted := trusting("person-corp", issuer, v1alpha1.IssuerNamespaces{From: fromNamespace("person-web")})
	trusted.Spec.Uses = []v1alpha1.IssuerUse{v1alpha1.IssuerPerson}
	trust(t, trusted, v1alpha1.ReasonTrusted)
	// a token server whose memory does not have the issuer yet
	unread, err := directory.New(directory.Config{
		REST: rightsOf(t, installation.TokenServerAccount), RegistryNamespace: installation.RegistryNamespace, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	for iss, want := range map[string]string{issuer.URL: "person-corp", issuer.URL + "/": ""} {
		found, err := unread.LookUpIssuerOf(t.Context(), iss)
		if must(t, err); (found != nil) != (want != "") || found != nil && found.Name != want {
			t.Errorf("the issuer %s is looked up as %+v", iss, found)
		}
	}
	grant := grantTo("person-web", "call")
	grant.Subjects = []v1alpha1.GrantSubject{v1alpha1.SubjectUser}
	api := declare(t, "person-api", "api", v1alpha1.OAuth2ResourceSpec{Scopes: scopesNamed("call"), Grants: []v1alpha1.ResourceGrant{grant}}, v1alpha1.ReasonDeclared)
	resourceIs(t, api, v1alpha1.ConditionGrantsComplete, v1alpha1.ReasonGranted)
	c := newClient("web")
	c.Spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantJWTBearer}
	c.Spec.Access = []v1alpha1.Access{accessTo("person-api", "api", "call")}
	web := credentials(t, apply(t, "person-web", c))
	decides(t, c, "read Granted", "call Granted")
	server := credentials(t, apply(t, "person-api", newClient("api")))

	bring := func(jti string) (int, map[string]any) {
		return post(t, web, "token_url", url.Values{
			"grant_type": {oauth2.GrantJWTBearer}, "assertion": {vouch(t, issuer, "person-web.web", api.Status.Identifier, jti)},
		})
	}
	status, body := bring("one")
	token, _ := body["access_token"].(string)
	if status != http.StatusOK || body["scope"] != "call" {
		t.Fatalf("%d %v", status, body)
	}
	introspect := func() map[string]any {
		_, found := post(t, server, "introspection_url", url.Values{"token": {token}})
		return found
	}
	found := introspect()
	got := []any{found["active"], found["sub"], found["sub_type"], found["client_id"], found["aud"]}
	if diff := cmp.Diff([]any{true, "user:person-corp:00u1", "user", "person-web.web", api.Status.Identifier}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if status, body := bring("one"); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		t.Errorf("an assertion is used twice: %d %v", status, body)
	}
	status, body = post(t, web, "token_url", url.Values{"grant_type": {"client_credentials"}, "resource": {api.Status.Identifier}})
	if status != http.StatusBadRequest || body["error"] != "invalid_target" {
		t.Errorf("the client has what is consented to for people alone: %d %v", status, body)
	}

	must(t, cluster.Create(t.Context(), &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: "person-revoked"},
		Spec: v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{
			Subject: "user:person-corp:00u1", IssuedBefore: new(metav1.NewTime(time.Now().Add(time.Hour))),
		}},
	}))
	ends := func(what string) {
		t.Helper()
		eventually(t, what, func() bool { return introspect()["active"] == false })
	}
	ends("the token of the person is revoked")
	if status, body = bring("two"); status != http.StatusOK {
		t.Fatalf("%d %v", status, body)
	}
	if token, _ = body["access_token"].(string); introspect()["active"] != true {
		t.Error("a token that was issued later is revoked too")
	}
	updateIssuer(t, trusted, func() { trusted.Spec.State = v1alpha1.IssuerSuspended })
	ends("the issuer is suspended")
	if status, body := bring("three"); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		t.Errorf("a suspended issuer brings a person: %d %v", status, body)
	}
}
