// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// DefaultTokenLifetime and the bounds around it are what a client may ask for.
const (
	MinTokenLifetime     = time.Minute
	MaxTokenLifetime     = time.Hour
	DefaultTokenLifetime = time.Hour
)

// Client is a registered client as its registration has it. It is never changed once it is shared.
type Client struct {
	// ID is the client_id.
	ID string
	// UID is the UID of the OAuth2Client it was compiled from; verifiers and tokens are bound to it.
	UID string
	// Namespace and Name are those of that OAuth2Client.
	Namespace, Name string
	// Suspended refuses the client whatever else is true.
	Suspended   bool
	Credentials Credentials
	// Refused says that a policy forbids the client as it is.
	Refused bool
	// Revocation is the one that the spec asks for; zero if it asks for none.
	Revocation Revocation
	// Scopes are the free-form scopes that it may have on its namespace's own audience.
	Scopes []string
	// Access is what it asks of declared resources; DefaultResource is the one that a request without a resource means, if any.
	Access          []Access
	DefaultResource ObjectName
	// Labels are the labels that resources tell clients apart by.
	Labels map[string]string
	// Claims are the custom claims of its tokens.
	Claims []Claim
	// Algorithm is what its tokens are signed with; empty means the default.
	Algorithm jws.Algorithm
	// TokenLifetime is how long its tokens live.
	TokenLifetime time.Duration
}

// Credentials are how a client authenticates: by a secret, by keys, or as a service account.
type Credentials struct {
	// Verifiers recognise its secrets; at most MaxVerifiers.
	Verifiers []Verifier
	// KeysOnly means that the client authenticates by private_key_jwt with one of Keys and by nothing
	// else. Without it Keys are ignored.
	KeysOnly bool
	Keys     []jws.PublicKey
	// ServiceAccount is set if the client authenticates by tokens of that account and by nothing else.
	ServiceAccount *ServiceAccount
}

// BySecret reports whether the client authenticates by a secret.
func (c Credentials) BySecret() bool { return !c.KeysOnly && c.ServiceAccount == nil }

// Revocation revokes the tokens of a client that were issued before an instant.
type Revocation struct {
	// Asked is the instant in the spec, and Before what the manager cut it back to when it first saw it.
	Asked, Before time.Time
}

// IDIsName reports whether the client_id is <namespace>.<name>, as it is unless another one was chosen.
func (c *Client) IDIsName() bool {
	namespace, name, _ := strings.Cut(c.ID, ".")
	return namespace == c.Namespace && name == c.Name
}

// Owner is what the object behind a registration says that can only deny: it is read from the OAuth2Client itself, so that
// a deletion or a suspension holds before, and without, the manager's writing anything.
type Owner struct {
	UID         string
	Terminating bool
	Suspended   bool
	// RevokedBefore is the instant before which tokens are taken back, as the spec says it.
	RevokedBefore time.Time
}

// Record is all that is known of a client_id at one moment. Nil means not known; nothing unknown ever allows.
type Record struct {
	Client *Client
	Owner  *Owner
}

// Denial is why the client behind the record may not act now, or "" if it may. Issuing, introspection and every other use
// of a client ask this one function. Whichever source denies first is right: the registration or the owner.
func (r Record) Denial() Reason {
	switch {
	case r.Client == nil:
		return ReasonUnknownClient
	case r.Owner == nil:
		return ReasonOwnerUnknown
	case r.Client.UID == "", r.Owner.UID != r.Client.UID, r.Owner.Terminating:
		return ReasonOwnerGone
	case r.Client.Suspended, r.Owner.Suspended:
		return ReasonSuspended
	case r.Client.Refused:
		return ReasonNotAllowedByPolicy
	}
	return ""
}

// TokenDenial is why a token with these claims, valid in itself, is refused because of the client it was issued to, or ""
// if it is not. The record is the one of the token's client_id.
func (r Record) TokenDenial(claims Claims) Reason {
	if denial := r.Denial(); denial != "" {
		return denial
	}
	if claims.ClientUID != r.Client.UID {
		return ReasonTokenClientChanged
	}
	if claims.IssuedAt.Before(r.RevokedBefore()) {
		return ReasonTokenRevoked
	}
	return ""
}

// RevokedBefore is the instant before which the client's own object takes its tokens back; zero if it takes none. What the object says
// counts as it stands until the manager has cut it back.
func (r Record) RevokedBefore() time.Time {
	var before time.Time
	if r.Client != nil {
		before = r.Client.Revocation.Before
	}
	if r.Owner != nil && (r.Client == nil || !r.Owner.RevokedBefore.Equal(r.Client.Revocation.Asked)) {
		before = Later(before, r.Owner.RevokedBefore)
	}
	return before
}

// Unknown reports whether the record has too little to decide about a token: its client, or the client's owner, is not there
// or is another one than the token's. It may be that memory is behind, so the source has to be asked.
func (r Record) Unknown(claims Claims) bool {
	return r.Client == nil || r.Owner == nil || r.Client.UID != claims.ClientUID || r.Owner.UID != claims.ClientUID
}

// decoyUID stands in for the UID of a client that is not there, so that refusing it costs the same hash.
const decoyUID = "00000000-0000-0000-0000-000000000000"

// Authenticate decides whether what was presented is the secret of a client that may act. The records are asked for by
// client_id. It returns the record and the verifier that matched, or invalid_client. The unknown client, the wrong
// secret and the suspended client walk the same path: one hash and the same comparisons for each reading.
func Authenticate(presented Presented, record func(clientID string) Record, now time.Time) (Record, Verifier, error) {
	reason := ReasonUnknownClient
	for _, reading := range presented.Readings {
		found := record(reading.ClientID)
		uid, verifiers := decoyUID, []Verifier(nil)
		if found.Client != nil && found.Client.Credentials.BySecret() {
			uid, verifiers = found.Client.UID, found.Client.Credentials.Verifiers
		}
		place := match(verifiers, DigestSecret(uid, reading.Secret), now)
		denial := found.Denial()
		if place >= 0 && denial == "" {
			return found, verifiers[place], nil
		}
		switch {
		case found.Client == nil:
		case !found.Client.Credentials.BySecret():
			reason = ReasonWrongMethod
		case place >= 0:
			reason = denial
		default:
			reason = ReasonWrongSecret
		}
	}
	return Record{}, Verifier{}, refuseClient(reason)
}
