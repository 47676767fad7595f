// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// tokenTypeBearer is the token_type of every token (RFC 6750 section 6.1.1).
const tokenTypeBearer = "Bearer"

// usualSize is the approximate size of a payload or an introspection response, and chainSize that
// of each ancestor and its actor in it.
const (
	usualSize = 512
	chainSize = 320
)

// payload returns the payload of an access token (RFC 9068 section 2.2).
func (c *Claims) payload() ([]byte, error) {
	o := strictjson.NewBuilder(make([]byte, 0, usualSize+len(c.Ancestors)*chainSize))
	c.appendSubject(o)
	c.appendSubjectType(o)
	c.appendActors(o)
	c.appendAncestors(o)
	if c.GrantID != "" {
		o.Text("grant_id", c.GrantID)
	}
	return c.appendTokenID(o.Words("scope", c.Scopes))
}

// Introspection returns the introspection response for an active token (RFC 7662 section 2.2).
func (c *Claims) Introspection() ([]byte, error) {
	o := strictjson.NewBuilder(make([]byte, 0, usualSize)).Bool("active", true)
	c.appendSubject(o)
	o.Text("sub_type", c.SubjectType())
	c.appendActors(o)
	o.Words("scope", c.Scopes).Text("token_type", tokenTypeBearer)
	return c.appendTokenID(o)
}

// appendSubject writes the claims that identify the client and the audience of a token.
func (c *Claims) appendSubject(o *strictjson.Builder) {
	o.Text("iss", c.Issuer).Text("sub", c.Subject).Text("aud", c.Audience).Text("client_id", c.ClientID).Text("client_uid", c.ClientUID)
}

// appendTokenID writes the claims of one token and the custom claims, and ends the object.
func (c *Claims) appendTokenID(o *strictjson.Builder) ([]byte, error) {
	o.Text("jti", c.ID).Number("iat", c.IssuedAt.Unix()).Number("exp", c.ExpiresAt.Unix())
	if c.TokenUID != "" {
		o.Text("token_uid", c.TokenUID)
	}
	return appendClaims(o.End(), c.Custom)
}

// Answer returns the response of the token endpoint (RFC 6749 section 5.1).
func (t Token) Answer() []byte {
	value := t.Value.Reveal()
	size := len(value) + len(t.Refresh.Reveal()) + usualSize/4
	if t.Claims.Exchanged() {
		size += len(tokenTypeAccess)
	}
	o := strictjson.NewBuilder(make([]byte, 0, size)).Text("access_token", value)
	if t.Claims.Exchanged() {
		o.Text("issued_token_type", tokenTypeAccess) // RFC 8693 section 2.2.1
	}
	o.Text("token_type", tokenTypeBearer).Number("expires_in", int64(t.Claims.ExpiresAt.Sub(t.Claims.IssuedAt)/time.Second))
	if !t.Refresh.Empty() {
		o.Text("refresh_token", t.Refresh.Reveal())
	}
	return o.Words("scope", t.Claims.Scopes).End()
}
