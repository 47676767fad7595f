// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"testing"
	"time"
)

func TestWhatIsWrittenOfAToken(t *testing.T) {
	claims := Claims{
		Issuer: "https://tokens.example", Subject: "shop.web", Audience: "https://api.example/", ClientID: "shop.web", ClientUID: "u-1",
		Scopes: []string{"read", "write"}, ID: "id", IssuedAt: time.Unix(100, 0), ExpiresAt: time.Unix(3700, 0), TokenUID: "t-1",
		Custom: []Claim{{Name: "tier", Value: "gold"}},
	}
	bare := claims
	bare.Scopes, bare.TokenUID, bare.Custom = nil, "", nil
	written := func(bytes []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return string(bytes)
	}
	const subject = `"iss":"https://tokens.example","sub":"shop.web","aud":"https://api.example/","client_id":"shop.web","client_uid":"u-1"`
	for name, row := range map[string]struct{ got, want string }{
		"the payload": {
			written(claims.payload()),
			`{` + subject + `,"scope":"read write","jti":"id","iat":100,"exp":3700,"token_uid":"t-1","tier":"gold"}`,
		},
		"the payload of a token with nothing that may be left out": {
			written(bare.payload()), `{` + subject + `,"jti":"id","iat":100,"exp":3700}`,
		},
		"the introspection": {
			written(claims.Introspection()),
			`{"active":true,` + subject + `,"sub_type":"client","scope":"read write","token_type":"Bearer","jti":"id","iat":100,"exp":3700,"token_uid":"t-1","tier":"gold"}`,
		},
		"the introspection of a token without a scope": {
			written(bare.Introspection()),
			`{"active":true,` + subject + `,"sub_type":"client","token_type":"Bearer","jti":"id","iat":100,"exp":3700}`,
		},
		"the answer of the token endpoint": {
			string(Token{Verified: Verified{Claims: &claims}, Value: NewSecret("a.b.c")}.Answer()),
			`{"access_token":"a.b.c","token_type":"Bearer","expires_in":3600,"scope":"read write"}`,
		},
		"the answer of the token endpoint without a scope": {
			string(Token{Verified: Verified{Claims: &bare}, Value: NewSecret("a.b.c")}.Answer()),
			`{"access_token":"a.b.c","token_type":"Bearer","expires_in":3600}`,
		},
	} {
		if row.got != row.want {
			t.Errorf("%s is %s, want %s", name, row.got, row.want)
		}
	}
}
