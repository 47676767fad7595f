// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import "github.com/hallpass-dev/hallpass/internal/oauth2"

// Trail is what the audit line and the usage report show of a decision. It holds no secret and no
// token, and what a caller chose is in it only once its shape was checked. It is a value: each step
// of a decision returns what it was given together with what it adds.
type Trail struct {
	// ClientID is the client that calls, or that the token of a proxied request was issued to.
	// Method and Credential are how it authenticated.
	ClientID   string
	Method     oauth2.AuthMethod
	Credential string
	// Namespace and ClientUID are those of the client that calls, if there is such a client,
	// authenticated or not. They are for metrics, and for what its owner learns of refusals.
	Namespace, ClientUID string
	// Token describes the token: the issued one, or the one that was presented if it is
	// verifiably ours.
	Token TokenTrail
	// SubjectTokenID is the jti of the token that the caller wants to exchange, or of the
	// identity assertion of a person.
	SubjectTokenID string
	OfLogin

	// Required is what a proxy's configuration requires of the token.
	Required oauth2.Requirement
	// Denial is why an introspected token is inactive, or why one need not be revoked.
	Denial oauth2.Reason
	// Revoked means that the token was revoked durably.
	Revoked bool
	// Used is what was used.
	Used Used
}

// TokenTrail describes a token. ID is its jti, and ClientID the client that it was issued to.
type TokenTrail struct {
	ID, ClientID, Audience, Scope string
	// Subject is the sub of the token if it is not the client that the token was issued to.
	Subject string
}

// OfLogin describes a login of a person, or what it led to.
type OfLogin struct {
	// GrantID is the grant that a token is of: all tokens of one login have it.
	GrantID string
	// Browser is the address of the person who logs in, as login reports it.
	Browser string
}

// describe adds the token that the claims are of. They are nil unless it is verifiably ours.
// namespace is that of its client; empty if the client is not known.
func (t *Trail) describe(claims *oauth2.Claims, namespace string) {
	if claims == nil {
		return
	}
	t.Token.ID, t.Token.ClientID, t.Token.Audience = claims.ID, claims.ClientID, claims.Audience
	t.actsFor(claims)
	t.Used.TokenOf, t.Used.Token, t.Used.TokenNamespace = claims.ClientUID, claims.TokenUID, namespace
}

// actsFor adds the subject of a token, if it is not the client of the token.
func (t *Trail) actsFor(claims *oauth2.Claims) {
	t.Token.Subject = ""
	if claims.Acting() != 0 {
		t.Token.Subject = claims.Subject
	}
}

// Used is what a request used, as far as it was proven. It is empty for a secret that did not match
// and for a token whose signature is not ours, so that a forgery that names a client is no use of
// it.
type Used struct {
	// Caller is the UID of the client that authenticated, and Secret the id of its client
	// secret, if it used one. Replaced means that there is a newer secret.
	Caller, Secret string
	Replaced       bool
	// TokenOf is the UID of the client that the presented token was issued to, and Token the
	// one of its OAuth2Token, if it has one. TokenNamespace is the namespace of both; empty if
	// the client is not known.
	TokenOf, Token, TokenNamespace string
}
