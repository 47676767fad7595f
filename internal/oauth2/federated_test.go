// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	platform   = "https://gitlab.example.com"
	jobPayload = `{"iss":"https://gitlab.example.com","sub":"project_path:acme/shop:ref:main","aud":"https://hallpass.test",` +
		`"iat":1795435200,"nbf":1795435200,"exp":1795438800,"project_id":"20","ref_protected":true,"jti":"example-id"}`
)

// FuzzForeignToken compares every JWT of a trusted issuer that is accepted, whatever its payload,
// with the rules read by encoding/json.
func FuzzForeignToken(f *testing.F) {
	f.Add(jobPayload)
	for _, change := range [][2]string{
		{`"aud":"https://hallpass.test"`, `"aud":["https://hallpass.test"]`},
		{`"aud":"https://hallpass.test"`, `"aud":["https://hallpass.test","https://gitlab.example.com"]`},
		{"1795438800", "1795438801"},
		{"1795438800", "1.7954388e9"},
		{`"project_id":"20"`, `"project_id":20`},
		{`"project_id":"20"`, `"project_id":["20"]`},
		{`"project_id"`, `"Project_id"`},
		{`"ref_protected":true`, `"ref_protected":"true"`},
		{"ref:main", "ref:m\\u0061in"},
	} {
		f.Add(strings.Replace(jobPayload, change[0], change[1], 1))
	}
	signer, err := jws.NewSigner(jws.EdDSA, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	keys, err := jws.PackKeys(signer.Public())
	if err != nil {
		f.Fatal(err)
	}
	client := &oauth2.Client{
		ID: "shop.ci", UID: "uid", Namespace: "shop", Name: "ci", Credentials: oauth2.Credentials{Federated: &oauth2.Federated{
			IssuerName: "gitlab", SubjectPrefix: "project_path:acme/", Claims: []oauth2.RequiredClaim{claim("project_id", "20"), claim("ref_protected", "true")},
		}},
	}
	issuer := &oauth2.TrustedIssuer{Name: "gitlab", UID: "u", Issuer: platform, Keys: oauth2.IssuerKeys{Set: keys}, Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}}}
	by := oauth2.Federation{
		Issuer: "https://hallpass.test", Record: func(string) oauth2.Record { return oauth2.Record{Client: client, Owner: &oauth2.Owner{UID: "uid"}} },
		Trusted: func(string) *oauth2.TrustedIssuer { return issuer },
	}
	now := time.Unix(1795435200, 0)
	if err := jobReference(jobPayload, now); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		if len(payload) > 4096 || payload == "" {
			return
		}
		token, err := signer.Sign("JWT", []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		form, err := oauth2.ParseForm("client_id=shop.ci&client_assertion_type=" + oauth2.AssertionType + "&client_assertion=" + token)
		if err != nil {
			t.Fatal(err)
		}
		presented, err := oauth2.ParsePresented(nil, form)
		if err == nil && presented.Foreign() != nil {
			_, _, err = by.Authenticate(presented.Foreign(), now)
		}
		if payload == jobPayload && err != nil {
			t.Errorf("the JWT itself: %v", err)
		}
		if err != nil {
			return
		}
		if err := jobReference(payload, now); err != nil {
			t.Errorf("let in although %v: %q", err, payload)
		}
	})
}

// jobReference is the rules once more, without any of the code that they are compared with.
func jobReference(payload string, now time.Time) error {
	var claims map[string]any
	if err := json.Unmarshal([]byte(payload), &claims); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	subject, _ := claims["sub"].(string)
	isProject := claims["project_id"] == "20" || claims["project_id"] == float64(20)
	isProtected := claims["ref_protected"] == "true" || claims["ref_protected"] == true
	if claims["iss"] != platform || !strings.HasPrefix(subject, "project_path:acme/") || !isProject || !isProtected {
		return fmt.Errorf("it is of %v, %v, %v, %v", claims["iss"], claims["sub"], claims["project_id"], claims["ref_protected"])
	}
	if list, isList := claims["aud"].([]any); claims["aud"] != "https://hallpass.test" &&
		(!isList || !slices.Equal(list, []any{"https://hallpass.test"})) {
		return fmt.Errorf("aud is %v", claims["aud"])
	}
	expires, hasEnd := claims["exp"].(float64)
	issued, hasIssue := claims["iat"].(float64)
	since, _ := claims["nbf"].(float64)
	limit := float64(now.Unix() + 61)
	if !hasEnd || !hasIssue || expires-issued >= 3602 || expires < float64(now.Unix()-61) || issued > limit || since > limit {
		return fmt.Errorf("its times are %v, %v, %v", claims["iat"], claims["nbf"], claims["exp"])
	}
	return nil
}
