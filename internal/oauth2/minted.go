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

// MaxMinted bounds the tokens of one OAuth2Token that are good at once: the one in its Secret, the one before it, and those that
// may have been on their way there when the manager was stopped.
const MaxMinted = 4

// mintedTag separates these hashes from every other use of SHA-256.
const mintedTag = "hallpass.dev/minted-token/v1"

// Minted is the record of an OAuth2Token: the tokens that were made for software which cannot fetch its own. What is not in it is
// no token. It is never changed once it is shared.
type Minted struct {
	// UID, Namespace and Name are those of the OAuth2Token.
	UID, Namespace, Name string
	// ClientID and ClientUID are those of the client that the tokens speak for; ClientName is that of its OAuth2Client, which is
	// one of the same namespace.
	ClientID, ClientUID, ClientName string
	// Opaque says that the tokens are no JWTs: nobody but the token server can say whether they are good.
	Opaque bool
	// Tokens are those that are good until they expire, the newest last.
	Tokens []MintedToken
}

// MintedToken is what is kept of one token.
type MintedToken struct {
	// ID is its jti.
	ID string
	// Digest recognises its value under the UID of the OAuth2Token.
	Digest Digest
	// KeyID is the kid of the key that signed it; an opaque one has none.
	KeyID string
	// Audience and Scopes are what was granted.
	Audience string
	Scopes   []string
	// IssuedAt and ExpiresAt bound its life.
	IssuedAt, ExpiresAt time.Time
	// Alone says that the others end once this one is known to have reached its Secret.
	Alone bool
}

// Live reports whether the token has not expired at that instant.
func (t MintedToken) Live(now time.Time) bool { return now.Before(t.ExpiresAt) }

// MintedOwner is what the OAuth2Token itself says that can only deny, read from the object so that it holds without the manager.
type MintedOwner struct {
	UID         string
	Terminating bool
	// ClientName is the client that it names now.
	ClientName string
	// Scopes are the scopes that it asks for now; none stands for all that are granted.
	Scopes []string
}

// MintedRecord is all that is known of an OAuth2Token at one moment. Nil means not known; nothing unknown ever allows.
type MintedRecord struct {
	Minted *Minted
	Owner  *MintedOwner
}

// Unknown reports whether the record has too little to decide by, so that its source has to be asked: memory may be behind.
func (r MintedRecord) Unknown(tokenID string) bool {
	return r.Minted == nil || r.Owner == nil || r.Owner.UID != r.Minted.UID || tokenID != "" && !slices.ContainsFunc(r.Minted.Tokens, isToken(tokenID))
}

func isToken(id string) func(MintedToken) bool {
	return func(t MintedToken) bool { return t.ID == id }
}

// Narrow decides about a token by its record: the reason of a refusal, or the claims with the scopes that its OAuth2Token still asks
// for.
func (r MintedRecord) Narrow(claims Claims) (Claims, Reason) {
	switch {
	case r.Minted == nil:
		return Claims{}, ReasonTokenUnknown
	case r.Owner == nil:
		return Claims{}, ReasonTokenOwnerUnknown
	case r.Minted.UID == "", r.Owner.UID != r.Minted.UID, claims.TokenUID != r.Minted.UID, r.Owner.Terminating:
		return Claims{}, ReasonTokenOwnerGone
	case claims.ClientUID != r.Minted.ClientUID, r.Owner.ClientName != r.Minted.ClientName:
		return Claims{}, ReasonTokenClientChanged
	case !slices.ContainsFunc(r.Minted.Tokens, isToken(claims.ID)):
		return Claims{}, ReasonTokenReplaced
	}
	if len(r.Owner.Scopes) == 0 {
		return claims, ""
	}
	return claims.restrict(r.Owner.Scopes)
}

// OpaqueID is the id in the opaque tokens of an OAuth2Token. It is derived from the object's UID, which nobody chooses, so that
// whoever holds a token can find its record.
func OpaqueID(uid string) string {
	sum := sha256.Sum256([]byte("hallpass.dev/token-id/v1\x00" + uid))
	return credentialID(sum[:credentialIDLength])
}

// ParseOpaqueToken recognises an opaque token that Hallpass made; any other string is ErrMalformedCredential.
func ParseOpaqueToken(value Secret) (Credential, error) {
	return parseCredential(OpaqueTokenPrefix, value)
}

// DigestMinted hashes a token for the OAuth2Token of that UID, as DigestSecret does.
func DigestMinted(uid string, token Secret) Digest { return digest(mintedTag, uid, token) }

// IssueOpaque makes a token that is no JWT. What it says stands in the record alone.
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

// Minted is what is kept of a JWT that was made for an OAuth2Token.
func (t Token) Minted() MintedToken {
	return MintedToken{
		ID: t.Claims.ID, Digest: DigestMinted(t.Claims.TokenUID, t.Value), KeyID: t.KeyID, Audience: t.Claims.Audience, Scopes: t.Claims.Scopes,
		IssuedAt: t.Claims.IssuedAt, ExpiresAt: t.Claims.ExpiresAt,
	}
}

// Find is the token of the record with that value. It always makes MaxMinted comparisons of full length.
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

// ReadOpaque reads an opaque token by its record, as Verify reads a JWT: what it says, whatever it is worth by now. Its record has
// to be the one of the id in it.
func (i Issuer) ReadOpaque(token Secret, record MintedRecord, now time.Time) (Claims, error) {
	m := record.Minted
	if m == nil || !m.Opaque {
		return Claims{}, invalidToken(ReasonTokenUnknown, "the token is not one of this issuer's")
	}
	found, matches := m.Find(token)
	if !matches {
		return Claims{}, invalidToken(ReasonTokenReplaced, "the token is not one of this issuer's")
	}
	claims := Claims{
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
