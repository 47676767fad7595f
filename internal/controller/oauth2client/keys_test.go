// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Sets of keys come from tools that put all of a client's keys into one (RFC 7517 section 5).
func TestAJWKSetMayHoldKeysThatAreNotForUs(t *testing.T) {
	const (
		ours       = `{"kty":"OKP","crv":"Ed25519","kid":"2026","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
		encryption = `{"kty":"OKP","crv":"Ed25519","use":"enc","kid":"enc","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
		curve      = `{"kty":"EC","crv":"P-521","kid":"p","x":"AA","y":"AA"}`
		unheardOf  = `{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`
		shared     = `{"kty":"oct","k":"AA"}`
		private    = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"AA"}`
	)
	for name, c := range map[string]struct {
		keys    []string
		refused bool
	}{
		"a key of ours":                        {keys: []string{ours}},
		"a key for encryption beside it":       {keys: []string{encryption, ours}},
		"a curve that is not supported":        {keys: []string{ours, curve}},
		"a type of key that is not known":      {keys: []string{unheardOf, ours}},
		"all of them":                          {keys: []string{unheardOf, curve, encryption, ours}},
		"none that is for us":                  {keys: []string{unheardOf, curve, encryption}, refused: true},
		"a shared key beside one of ours":      {keys: []string{ours, shared}, refused: true},
		"a private key beside one of ours":     {keys: []string{ours, private}, refused: true},
		"a private key that is not for us":     {keys: []string{ours, `{"kty":"AKP","d":"AA"}`}, refused: true},
		"a key of ours with a duplicate":       {keys: []string{ours, ours}, refused: true},
		"a key of ours that cannot be decoded": {keys: []string{ours, `{"kty":"OKP","crv":"Ed25519","kid":"b","x":"AA"}`}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			client := &v1alpha1.OAuth2Client{}
			client.Spec.Authentication.PrivateKeyJWT.JWKS = `{"keys":[` + strings.Join(c.keys, ",") + `]}`
			client.Spec.Authentication.PrivateKeyJWT.MaxAssertionLifetime = "10m"
			var registered oauth2.Client
			obstacle, incomplete := byKeys{base{client: client}}.compile(&registered, "")
			if (obstacle != nil) != c.refused || incomplete != nil {
				t.Fatalf("obstacle %+v, incomplete %+v", obstacle, incomplete)
			}
			if !c.refused && len(registered.Credentials.Keys.IDs()) != 1 {
				t.Errorf("%d keys", len(registered.Credentials.Keys.IDs()))
			}
			if registered.Credentials.MaxAssertionLife != 10*time.Minute {
				t.Errorf("assertions may live for %s", registered.Credentials.MaxAssertionLife)
			}
		})
	}
}

// The status lists a key that is not for signatures as ignored.
func TestTheStatusNamesTheKeysThatAreIgnored(t *testing.T) {
	const (
		ours       = `{"kty":"EC","crv":"P-256","kid":"ours","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
		encryption = `{"kty":"EC","crv":"P-256","use":"enc","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	)
	for keys, want := range map[string]string{
		ours:                    "The client can fetch tokens with assertions signed by its keys.",
		encryption + "," + ours: `The client can fetch tokens with assertions signed by its keys. Ignored: key 1: not supported: a key whose use is not "sig".`,
	} {
		client := &v1alpha1.OAuth2Client{}
		client.Spec.Authentication.PrivateKeyJWT.JWKS = `{"keys":[` + keys + `]}`
		if got := (byKeys{base{client: client}}).ready().Message; got != want {
			t.Errorf("the message is %q, want %q", got, want)
		}
	}
}
