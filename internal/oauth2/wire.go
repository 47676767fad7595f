// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// tokenTypeBearer is the token_type of every token (RFC 6750 section 6.1.1).
const tokenTypeBearer = "Bearer"

// usualSize is about what a payload or an introspection takes.
const usualSize = 512

// payload is what an access token says (RFC 9068 section 2.2).
func (c Claims) payload() ([]byte, error) {
	o := strictjson.NewBuilder(make([]byte, 0, usualSize))
	c.whose(o)
	return c.which(o.Words("scope", c.Scopes))
}

// Introspection is what is said of the token while it is active (RFC 7662 section 2.2).
func (c Claims) Introspection() ([]byte, error) {
	o := strictjson.NewBuilder(make([]byte, 0, usualSize)).Bool("active", true)
	c.whose(o)
	o.Words("scope", c.Scopes).Text("token_type", tokenTypeBearer)
	return c.which(o)
}

// whose writes whom a token was issued to, and for whom.
func (c Claims) whose(o *strictjson.Builder) {
	o.Text("iss", c.Issuer).Text("sub", c.Subject).Text("aud", c.Audience).Text("client_id", c.ClientID).Text("client_uid", c.ClientUID)
}

// which writes what tells one token from others of its client, and ends the object.
func (c Claims) which(o *strictjson.Builder) ([]byte, error) {
	o.Text("jti", c.ID).Number("iat", c.IssuedAt.Unix()).Number("exp", c.ExpiresAt.Unix())
	if c.TokenUID != "" {
		o.Text("token_uid", c.TokenUID)
	}
	return appendClaims(o.End(), c.Custom)
}

// Answer is the answer of the token endpoint (RFC 6749 section 5.1). The scope is in it unless none is granted.
func (t Token) Answer() []byte {
	value := t.Value.Reveal()
	return strictjson.NewBuilder(make([]byte, 0, len(value)+usualSize/2)).Text("access_token", value).Text("token_type", tokenTypeBearer).
		Number("expires_in", int64(t.Claims.ExpiresAt.Sub(t.Claims.IssuedAt)/time.Second)).Words("scope", t.Claims.Scopes).End()
}
