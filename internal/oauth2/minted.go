// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"time"
)

// MaxMinted bounds the valid tokens of one OAuth2Token: the one in its Secret, the one before it,
// and those that a stopped manager may have been writing.
const MaxMinted = 4

// Minted is the record of an OAuth2Token, whose tokens are for software that cannot fetch its own.
// Tokens that it lacks are invalid. A shared one is immutable.
type Minted struct {
	// UID, Namespace and Name are those of the OAuth2Token.
	UID, Namespace, Name string
	// ClientID, ClientUID and ClientName are those of the client, in the same namespace.
	ClientID, ClientUID, ClientName string
	// Opaque means that the tokens are no JWTs.
	Opaque bool
	// Tokens are sorted, the newest last.
	Tokens []MintedToken
}

// MintedToken is the record of one token.
type MintedToken struct {
	// ID is its jti.
	ID string
	// Digest is DigestMinted of its value.
	Digest Digest
	// KeyID is the kid of its key; empty for an opaque token.
	KeyID               string
	Audience            string
	Scopes              []string
	IssuedAt, ExpiresAt time.Time
	// Exclusive means that the others end once this one is known to be in its Secret.
	Exclusive bool
	// Cause is why it was made, for the manager that finds it in its Secret and in no status:
	// the one that wrote it may have ended. It is empty in a record that a version of before
	// the field wrote.
	Cause string
}

// Live reports whether the token has not expired.
func (t MintedToken) Live(now time.Time) bool { return now.Before(t.ExpiresAt) }

// MintedOwner has the fields of the OAuth2Token itself that can only deny.
type MintedOwner struct {
	UID         string
	Terminating bool
	ClientName  string
	// Scopes are those that it asks for now; none means all that are granted.
	Scopes []string
}

// MintedRecord is what is known about an OAuth2Token at one moment. Nil means unknown, and never
// allows.
type MintedRecord struct {
	Minted *Minted
	Owner  *MintedOwner
}

// Unknown reports whether the source has to be asked, because memory may be behind.
func (r MintedRecord) Unknown(tokenID string) bool {
	return r.Minted == nil || r.Owner == nil || r.Owner.UID != r.Minted.UID ||
		tokenID != "" && !r.emptied() && !slices.ContainsFunc(r.Minted.Tokens, isToken(tokenID))
}

// emptied reports whether the tokens are not on record because the OAuth2Token is terminating.
func (r MintedRecord) emptied() bool {
	return len(r.Minted.Tokens) == 0 && r.Owner != nil && r.Owner.UID == r.Minted.UID && r.Owner.Terminating
}

func isToken(id string) func(MintedToken) bool {
	return func(t MintedToken) bool { return t.ID == id }
}

// Restrict returns the claims with the scopes that the OAuth2Token still asks for, or the reason of
// a refusal.
func (r MintedRecord) Restrict(claims *Claims) (*Claims, Reason) {
	switch {
	case r.Minted == nil:
		return nil, ReasonTokenUnknown
	case r.Owner == nil:
		return nil, ReasonTokenOwnerUnknown
	case r.Minted.UID == "", r.Owner.UID != r.Minted.UID, claims.TokenUID != r.Minted.UID, r.Owner.Terminating:
		return nil, ReasonTokenOwnerGone
	case claims.ClientUID != r.Minted.ClientUID, r.Owner.ClientName != r.Minted.ClientName:
		return nil, ReasonTokenClientChanged
	case !slices.ContainsFunc(r.Minted.Tokens, isToken(claims.ID)):
		return nil, ReasonTokenReplaced
	}
	if len(r.Owner.Scopes) == 0 {
		return claims, ""
	}
	return claims.restrict(r.Owner.Scopes)
}

// OpaqueID is the id in the opaque tokens of an OAuth2Token, by which its record is found. It is
// derived from the UID, which no user can choose.
func OpaqueID(uid string) string {
	sum := sha256.Sum256([]byte("hallpass.dev/token-id/v1\x00" + uid))
	return credentialID(sum[:credentialIDLength])
}

// ParseOpaqueToken parses a generated opaque token, or returns ErrMalformedCredential.
func ParseOpaqueToken(value Secret) (Credential, error) {
	return parseCredential(OpaqueTokenPrefix, value)
}

// DigestMinted hashes a token for the OAuth2Token of that UID, as DigestSecret does.
func DigestMinted(uid string, token Secret) Digest {
	return digest("hallpass.dev/minted-token/v1", uid, token)
}

// IssueOpaque makes a token that is no JWT. Its record alone has the claims.
func IssueOpaque(grant Grant, now time.Time, random io.Reader) (Secret, MintedToken, error) {
	id := make([]byte, tokenIDBytes)
	if _, err := io.ReadFull(random, id); err != nil {
		return Secret{}, MintedToken{}, fmt.Errorf("read randomness for a token: %w", err)
	}
	made, err := newCredential(OpaqueTokenPrefix, OpaqueID(grant.TokenUID), random)
	if err != nil {
		return Secret{}, MintedToken{}, err
	}
	issuedAt := now.UTC().Truncate(time.Second)
	return made.Value, MintedToken{
		ID: base64.RawURLEncoding.EncodeToString(id), Digest: DigestMinted(grant.TokenUID, made.Value),
		Audience: grant.Audience, Scopes: grant.Scopes, IssuedAt: issuedAt, ExpiresAt: issuedAt.Add(grant.Lifetime),
	}, nil
}

// Minted returns the record of a JWT that was made for an OAuth2Token.
func (t Token) Minted() MintedToken {
	return MintedToken{
		ID: t.Claims.ID, Digest: DigestMinted(t.Claims.TokenUID, t.Value), KeyID: t.KeyID, Audience: t.Claims.Audience, Scopes: t.Claims.Scopes,
		IssuedAt: t.Claims.IssuedAt, ExpiresAt: t.Claims.ExpiresAt,
	}
}

// Find returns the token with that value. It always makes MaxMinted comparisons of full length.
func (m *Minted) Find(token Secret) (MintedToken, bool) {
	digest := DigestMinted(m.UID, token)
	var none Digest
	found := -1
	for i := range MaxMinted {
		candidate := &none
		if i < len(m.Tokens) {
			candidate = &m.Tokens[i].Digest
		}
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(candidate[:], digest[:]), i, found)
	}
	if found < 0 {
		return MintedToken{}, false
	}
	return m.Tokens[found], true
}

// ReadOpaque reads an opaque token by its record, as Verify reads a JWT. With the error of a token
// that is not valid at this time it returns the claims too.
func (i Issuer) ReadOpaque(token Secret, record MintedRecord, now time.Time) (*Claims, error) {
	m := record.Minted
	if m == nil || !m.Opaque {
		return nil, invalidToken(ReasonTokenUnknown, "the token is not one of this issuer's")
	}
	if record.emptied() {
		return nil, invalidToken(ReasonTokenOwnerGone, "the token is not one of this issuer's")
	}
	found, matches := m.Find(token)
	if !matches {
		return nil, invalidToken(ReasonTokenReplaced, "the token is not one of this issuer's")
	}
	claims := &Claims{
		Issuer: i.String(), Subject: m.ClientID, ClientID: m.ClientID, ClientUID: m.ClientUID, Audience: found.Audience, Scopes: found.Scopes,
		ID: found.ID, IssuedAt: found.IssuedAt, ExpiresAt: found.ExpiresAt, TokenUID: m.UID,
	}
	switch {
	case !now.Before(found.ExpiresAt):
		return claims, errTokenExpired
	case found.IssuedAt.After(now.Add(clockSkew)):
		return claims, errTokenNotYetValid
	}
	return claims, nil
}
