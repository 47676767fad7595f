// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// TokenType is the typ header of an access token (RFC 9068 section 2.1): no other JWT of this
// issuer can pass for one.
const TokenType = "at+jwt"

// tokenIDBytes is the size of a jti: 128 random bits.
const tokenIDBytes = 16

// Claims are the claims of an access token (RFC 9068 section 2.2). client_uid is the UID of the
// OAuth2Client, so that a client that was made anew is another one.
type Claims struct {
	Issuer    string
	Subject   string
	Audience  string
	ClientID  string
	ClientUID string
	Scopes    []string
	ID        string
	IssuedAt  time.Time
	ExpiresAt time.Time
	// TokenUID is the UID of the OAuth2Token; empty for a token that its client fetched.
	TokenUID string
	// GrantID is the id of the grant of a person that the token belongs to: 128 bits in
	// base64url. The end of the grant ends the token. It is empty for a token of no code and no
	// refresh token. A token that is exchanged for one of a grant belongs to the grant, too.
	GrantID string
	Custom  []Claim
	// Actors and Ancestors are those of an exchanged token, whose Subject is not its client;
	// the latest first.
	Actors    []string
	Ancestors []Ancestor
}

// Token is a new access token.
type Token struct {
	Verified

	Value Secret
	// Refresh is the refresh token that comes with it; empty without one.
	Refresh Secret
}

// Issue signs a token for a grant with the key of SigningKey.
func (i Issuer) Issue(client *Client, grant Grant, key *keyring.SigningKey, now time.Time, random io.Reader) (Token, error) {
	raw := make([]byte, tokenIDBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return Token{}, fmt.Errorf("read randomness for a token: %w", err)
	}
	var id [(tokenIDBytes*8 + 5) / 6]byte
	base64.RawURLEncoding.Encode(id[:], raw)
	claims := i.claimsOf(client, grant, "", now.UTC().Truncate(time.Second))
	claims.own(id[:])
	payload, err := claims.payload()
	if err != nil {
		return Token{}, err
	}
	signed, err := key.Sign(TokenType, payload)
	if err != nil {
		return Token{}, fmt.Errorf("sign token: %w", err)
	}
	if len(signed) > jws.MaxSize {
		return Token{}, ErrTokenTooLarge
	}
	return Token{Value: NewSecret(signed), Verified: Verified{Claims: claims, KeyID: key.ID()}}, nil
}

// ErrTokenTooLarge is the refusal of a token that no reader would accept.
var ErrTokenTooLarge = refuseAbout(SubjectTokenTooLarge, InvalidScope, ReasonScopeNotGranted, "the token would be longer than 8 KiB; ask for fewer scopes")

// claimsOf returns the claims of a token that is issued for a grant.
func (i Issuer) claimsOf(client *Client, grant Grant, id string, issuedAt time.Time) *Claims {
	claims := &Claims{
		Issuer:    i.String(),
		Subject:   client.ID,
		Audience:  grant.Audience,
		ClientID:  client.ID,
		ClientUID: client.UID,
		Scopes:    grant.Scopes,
		ID:        id,
		IssuedAt:  issuedAt,
		ExpiresAt: issuedAt.Add(grant.Lifetime),
		TokenUID:  grant.TokenUID,
		GrantID:   grant.GrantID,
		Custom:    i.CustomClaims(client),
	}
	if !grant.Person.IsZero() {
		// those of the client are not about the person
		claims.Subject, claims.Custom = grant.Person.String(), nil
	}
	if chain := grant.For; chain != nil {
		claims.Subject, claims.Ancestors, claims.GrantID = chain.Subject, chain.Ancestors, chain.GrantID
		claims.Actors = append([]string{client.ID}, chain.Actors...)
		// those of the client are not about the subject
		claims.Custom = nil
		if chain.Until.Before(claims.ExpiresAt) {
			claims.ExpiresAt = chain.Until
		}
	}
	return claims
}

// own copies all that the claims have of others, because a token is remembered for longer. Scopes
// may be parts of a body of 64 KiB, ancestors those of another token, and what is of a client or of
// a resource is a part of a record that may have been replaced since. It sets the id, too.
func (c *Claims) own(id []byte) {
	var all ownTexts
	size := len(id) + len(c.Subject) + len(c.Audience) + len(c.ClientID) + len(c.ClientUID) + len(c.GrantID)
	for _, scope := range c.Scopes {
		size += len(scope)
	}
	for _, actor := range c.Actors {
		size += len(actor)
	}
	for _, a := range c.Ancestors {
		size += len(a.ID) + len(a.ClientID) + len(a.ClientUID) + len(a.KeyID)
	}
	all.Grow(size) // it grows for custom claims, which few tokens have
	_, _ = all.Write(id)
	c.ID = all.String()
	c.Subject, c.Audience, c.ClientID, c.ClientUID = all.text(c.Subject), all.text(c.Audience), all.text(c.ClientID), all.text(c.ClientUID)
	c.GrantID = all.text(c.GrantID)
	c.Scopes, c.Actors = all.list(c.Scopes), all.list(c.Actors)
	c.Custom, c.Ancestors = slices.Clone(c.Custom), slices.Clone(c.Ancestors)
	for i := range c.Custom {
		claim := &c.Custom[i]
		claim.Name, claim.Value, claim.Values = all.text(claim.Name), all.text(claim.Value), all.list(claim.Values)
	}
	for i := range c.Ancestors {
		a := &c.Ancestors[i]
		a.ID, a.ClientID, a.ClientUID, a.KeyID = all.text(a.ID), all.text(a.ClientID), all.text(a.ClientUID), all.text(a.KeyID)
	}
}

// ownTexts are copies of texts, one behind the other.
type ownTexts struct{ strings.Builder }

func (t *ownTexts) text(s string) string {
	begin := t.Len()
	_, _ = t.WriteString(s)
	return t.String()[begin:]
}

func (t *ownTexts) list(list []string) []string {
	own := slices.Clone(list)
	for i := range own {
		own[i] = t.text(own[i])
	}
	return own
}

// The refusals of a token, all of code invalid_token.
var (
	errTokenMalformed     = invalidToken(ReasonTokenMalformed, "the token is not one of this issuer's")
	errTokenClaimReserved = invalidToken(ReasonTokenClaimReserved, "a claim of the token can be taken for one of the issuer's; fetch another token")
	errTokenForeign       = invalidToken(ReasonTokenForeign, "the token is not one of this issuer's")
	errTokenKeyUnknown    = invalidToken(ReasonTokenKeyUnknown, "the token is not one of this issuer's")
	errTokenKeyWithdrawn  = invalidToken(ReasonTokenKeyWithdrawn, "the key that signed the token was withdrawn")
	errTokenSignature     = invalidToken(ReasonTokenSignature, "the token is not one of this issuer's")
	errTokenExpired       = invalidToken(ReasonTokenExpired, "the token has expired")
	errTokenNotYetValid   = invalidToken(ReasonTokenNotYetValid, "the token is not valid yet")
)

func invalidToken(reason Reason, description string) *Error {
	return Refuse(InvalidToken, reason, description)
}

// clockSkew is how far ahead the clock of the issuing replica may have been.
const clockSkew = 5 * time.Minute

// Verified is an access token with a valid signature. Check decides whether it is valid at an
// instant.
type Verified struct {
	// Claims are shared and read-only.
	Claims *Claims
	// KeyID is the kid of its key, a thumbprint.
	KeyID string
}

// Verify verifies an access token regardless of the time: signature, type, then claims, all of
// which RFC 9068 section 2.2 requires.
func (i Issuer) Verify(token string, ring keyring.Ring, now time.Time) (Verified, error) {
	message, err := jws.Parse(token)
	if err != nil {
		return Verified{}, errTokenMalformed
	}
	key, err := verificationKey(message.Header.KeyID, ring, now)
	if err != nil {
		return Verified{}, err
	}
	payload, err := key.Verify(message)
	if err != nil {
		return Verified{}, errTokenSignature
	}
	if message.Header.Type != TokenType {
		return Verified{}, errTokenForeign
	}
	claims, err := parseClaims(payload)
	switch {
	case errors.Is(err, errTokenClaimReserved):
		return Verified{}, errTokenClaimReserved
	case err != nil:
		return Verified{}, errTokenMalformed
	case claims.Issuer != i.String(), !claims.soundChain():
		return Verified{}, errTokenForeign
	}
	return Verified{Claims: claims, KeyID: message.Header.KeyID}, nil
}

// Check decides whether a verified token is valid now: its key may be withdrawn, or it may have
// expired. exp has no leeway. Record.TokenDenial decides about its client.
func (v Verified) Check(ring keyring.Ring, now time.Time) error {
	if _, err := verificationKey(v.KeyID, ring, now); err != nil {
		return err
	}
	if err := v.Claims.checkAncestors(ring, now); err != nil {
		return err
	}
	return v.checkTime(now)
}

func (v Verified) checkTime(now time.Time) error {
	switch claims := v.Claims; {
	case !now.Before(claims.ExpiresAt):
		return errTokenExpired
	case claims.IssuedAt.After(now.Add(clockSkew)), claims.ExpiresAt.Sub(claims.IssuedAt) > MaxTokenLifetime:
		return errTokenNotYetValid
	}
	return nil
}

func verificationKey(kid string, ring keyring.Ring, now time.Time) (*keyring.SigningKey, error) {
	key, err := ring.VerificationKey(kid, now)
	switch {
	case errors.Is(err, keyring.ErrTaintedKey):
		return nil, errTokenKeyWithdrawn
	case err != nil:
		return nil, errTokenKeyUnknown
	}
	return key, nil
}

func parseClaims(payload []byte) (*Claims, error) {
	object, err := strictjson.ParseObject(string(payload))
	if err != nil {
		return nil, fmt.Errorf("read claims: %w", err)
	}
	claims := &Claims{}
	var failure error
	note := func(err error) {
		if failure == nil {
			failure = err
		}
	}
	text := func(name string) string {
		value, err := object.String(name)
		note(err)
		return value
	}
	date := func(name string) time.Time {
		seconds, err := object.Seconds(name)
		note(err)
		return time.Unix(seconds, 0).UTC()
	}
	claims.Issuer, claims.Subject, claims.Audience = text("iss"), text("sub"), text("aud")
	claims.ClientID, claims.ClientUID, claims.ID = text("client_id"), text("client_uid"), text("jti")
	claims.IssuedAt, claims.ExpiresAt = date("iat"), date("exp")
	scope, err := object.OptionalString("scope")
	note(err)
	claims.Scopes, err = ParseScope(scope)
	note(err)
	claims.TokenUID, err = object.OptionalString("token_uid")
	note(err)
	claims.GrantID, err = object.OptionalString("grant_id")
	note(err)
	claims.Actors, err = parseActors(object["act"])
	note(err)
	claims.Ancestors, err = parseAncestors(object["ancestors"])
	note(err)
	claims.Custom, err = customClaims(object)
	note(err)
	note(claims.checkSubjectType(object))
	return claims, failure
}
