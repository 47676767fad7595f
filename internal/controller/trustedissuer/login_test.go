// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package trustedissuer

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The record of an issuer without a login is as before, so that an upgrade does not write it again.
func TestOnlyTheRecordOfALoginSaysHowItsHostIsReached(t *testing.T) {
	spec := v1alpha1.OAuth2TrustedIssuerSpec{DisplayName: "Corp", CABundle: []byte("PEM"), AllowedCIDRs: []v1alpha1.CIDR{"10.0.0.0/8"}}
	var got oauth2.TrustedIssuer
	compileLogin(&spec, &got)
	if diff := cmp.Diff(oauth2.TrustedIssuer{}, got); diff != "" {
		t.Errorf("without a login (-want +got):\n%s", diff)
	}
	spec.Login = v1alpha1.IssuerLoginSpec{ClientID: "hallpass", ClientSecretRef: v1alpha1.LoginSecretReference{Name: "corp-secret"}}
	compileLogin(&spec, &got)
	want := oauth2.TrustedIssuer{
		DisplayName: "Corp", CABundle: []byte("PEM"), AllowedCIDRs: []string{"10.0.0.0/8"},
		Login: &oauth2.Login{ClientID: "hallpass", SecretName: "corp-secret", Scopes: []string{"openid"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the least login (-want +got):\n%s", diff)
	}
	spec.Login.Scopes, spec.Login.SubjectClaim, spec.Login.GroupsClaim = []v1alpha1.Scope{"openid", "groups"}, "oid", "roles"
	spec.Login.Allowed = v1alpha1.LoginAllowedSpec{
		Claims: []v1alpha1.RequiredClaim{{Name: "hd", Values: []v1alpha1.RequiredValue{"example.com"}}}, Groups: []v1alpha1.RequiredValue{"staff"},
	}
	compileLogin(&spec, &got)
	want.Login = &oauth2.Login{
		ClientID: "hallpass", SecretName: "corp-secret", Scopes: []string{"openid", "groups"}, SubjectClaim: "oid", GroupsClaim: "roles",
		Claims: []oauth2.RequiredClaim{{Name: "hd", Values: []string{"example.com"}}}, Groups: []string{"staff"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with all fields (-want +got):\n%s", diff)
	}
}
