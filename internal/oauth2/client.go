// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// The token lifetimes that a client may ask for.
const (
	MinTokenLifetime     = time.Minute
	MaxTokenLifetime     = time.Hour
	DefaultTokenLifetime = time.Hour
)

// Client is a registered client. A shared one is immutable.
type Client struct {
	// ID is the client_id.
	ID string
	// UID, Namespace and Name are those of the OAuth2Client. Verifiers and tokens are bound to
	// the UID.
	UID             string
	Namespace, Name string
	Suspended       bool
	Credentials     Credentials
	// Refused means that a policy forbids the client.
	Refused bool
	// GrantTypes are those that it may use.
	GrantTypes GrantTypes
	// Codes is set if AuthorizationCode is one of the grant types.
	Codes *Codes
	// Revocation is what the spec revokes; zero for nothing.
	Revocation Revocation
	// Scopes are the free-form scopes for the namespace's own audience.
	Scopes []string
	// Access is what it asks of declared resources; DefaultResource is meant by a request
	// without a resource.
	Access          []Access
	DefaultResource ObjectName
	// Labels are those that consents of resources select.
	Labels map[string]string
	Tokens TokenForm
}

// TokenForm is what the tokens of a client have in common.
type TokenForm struct {
	// Claims are the custom claims.
	Claims []Claim
	// Algorithm signs the tokens; empty means the default.
	Algorithm jws.Algorithm
	Lifetime  time.Duration
}

// Credentials are how a client authenticates: by a secret, by keys, as a service account, or by
// JWTs of a trusted issuer.
type Credentials struct {
	// Verifiers recognise its secrets; at most MaxVerifiers.
	Verifiers []Verifier
	// KeysOnly means that the client authenticates by private_key_jwt with one of Keys and by
	// nothing else. Without it Keys are ignored.
	KeysOnly bool
	Keys     jws.PackedKeys
	// MaxAssertionLife bounds how far ahead the exp of its assertions may be; zero means
	// DefaultAssertionLife. More than the constant of this name counts only for the assertions
	// that are the grant.
	MaxAssertionLife time.Duration
	// ServiceAccount is set if the client authenticates by tokens of that account and by
	// nothing else.
	ServiceAccount *ServiceAccount
	// Federated is set if the client authenticates by JWTs of a trusted issuer and by nothing
	// else.
	Federated *Federated
	// Public means that the client does not authenticate: a program on the machine of a
	// person, which can keep no secret (RFC 6749 section 2.1).
	Public bool
}

// BySecret reports whether the client authenticates by a secret.
func (c Credentials) BySecret() bool {
	return !c.Public && !c.KeysOnly && c.ServiceAccount == nil && c.Federated == nil
}

// Federated are the JWTs of a trusted issuer that authenticate the client; nil if there is no
// client, or it authenticates by something else.
func (c *Client) Federated() *Federated {
	if c == nil {
		return nil
	}
	return c.Credentials.Federated
}

// Workload is what authenticates a client without a credential of its own: a service account of its
// namespace, or a subject of a trusted issuer. Several clients may name one. It is comparable, and
// the zero Workload is none.
type Workload struct {
	// Namespace is that of the client.
	Namespace string
	// Account is a service account of the namespace. Without one there is a subject.
	Account             string
	IssuerName, Subject string
}

// Workload returns what authenticates the client; zero if it is none, or not one alone.
func (c *Client) Workload() Workload {
	switch account, federated := c.Credentials.ServiceAccount, c.Credentials.Federated; {
	case account != nil:
		return Workload{Namespace: c.Namespace, Account: account.Name}
	case federated != nil && federated.Subject != "":
		return Workload{Namespace: c.Namespace, IssuerName: federated.IssuerName, Subject: federated.Subject}
	}
	return Workload{}
}

// Revocation revokes the tokens of a client that were issued before an instant.
type Revocation struct {
	// Asked is the instant in the spec, and Before what the manager cut it back to when it
	// first saw it.
	Asked, Before time.Time
}

// Emptied is the record of a client whose owner is terminating: it allows nothing, and its name
// stays the lock on the client_id.
func (c Client) Emptied() Client {
	emptied := Client{
		ID: c.ID, UID: c.UID, Namespace: c.Namespace, Name: c.Name, Suspended: c.Suspended, Refused: c.Refused, Tokens: TokenForm{Lifetime: c.Tokens.Lifetime},
		GrantTypes: c.GrantTypes, Credentials: Credentials{KeysOnly: c.Credentials.KeysOnly, Public: c.Credentials.Public},
	}
	if c.Codes != nil { // without redirect URIs it gets no code, and no token for one
		emptied.Codes = &Codes{}
	}
	if account := c.Credentials.ServiceAccount; account != nil {
		emptied.Credentials.ServiceAccount = &ServiceAccount{Name: account.Name}
	}
	if federated := c.Credentials.Federated; federated != nil {
		emptied.Credentials.Federated = &Federated{IssuerName: federated.IssuerName}
	}
	return emptied
}

// IDIsName reports whether the client_id is <namespace>.<name>, as it is unless another one was
// chosen.
func (c *Client) IDIsName() bool {
	namespace, name, _ := strings.Cut(c.ID, ".")
	return namespace == c.Namespace && name == c.Name
}

// Owner has the fields of the OAuth2Client itself that can only deny. It is read from the object,
// so that a deletion or a suspension takes effect without the manager.
type Owner struct {
	UID         string
	Terminating bool
	Suspended   bool
	// RevokedBefore is the instant in the spec before which tokens are revoked.
	RevokedBefore time.Time
}

// Record is what is known about a client_id at one moment. Nil means unknown, and never allows.
type Record struct {
	Client *Client
	Owner  *Owner
}

// Denial returns why the client may not act now, or "". Issuing, introspection and every other use
// ask it. Registration and owner can each deny.
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

// TokenDenial returns why a token with these claims, valid in itself, is refused because of its
// client, or "". The record is that of the token's client_id.
func (r Record) TokenDenial(claims *Claims) Reason {
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

// RevokedBefore returns the instant before which the client's own object revokes tokens; zero for
// none. The instant of the owner counts until the manager has cut it back.
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

// Unknown reports whether the record lacks the client or the owner of the token, or has another
// one. Memory may be behind, so the source has to be asked.
func (r Record) Unknown(claims *Claims) bool {
	return r.Client == nil || r.Owner == nil || r.Client.UID != claims.ClientUID || r.Owner.UID != claims.ClientUID
}

// DecoyUID takes the place of the UID of an unknown client, so that its refusal costs the same.
const DecoyUID = "00000000-0000-0000-0000-000000000000"

// Authenticate decides whether a secret was presented of a client that may act. It returns the
// record and the matching verifier, or invalid_client. Each refused reading costs the same hashes
// and comparisons, whether the client is unknown, suspended or the secret is wrong.
func Authenticate(presented Presented, record func(clientID string) Record, now time.Time) (Record, Verifier, error) {
	reason := ReasonUnknownClient
	for _, reading := range presented.Readings {
		found := record(reading.ClientID)
		uid, verifiers := DecoyUID, []Verifier(nil)
		if found.Client != nil && found.Client.Credentials.BySecret() {
			uid, verifiers = found.Client.UID, found.Client.Credentials.Verifiers
		}
		place := match(verifiers, DigestSecret(uid, reading.Secret), now)
		denial := found.Denial()
		if place >= 0 && denial == "" {
			return found, verifiers[place], nil
		}
		// whatever the refusal is, so that each takes as long
		encoded := isEncoded(reading.Secret, uid, verifiers, now)
		switch {
		case found.Client == nil:
		case !found.Client.Credentials.BySecret():
			reason = ReasonWrongMethod
		case place >= 0, len(verifiers) == 0 && denial != "":
			// the record of a terminating owner is emptied
			reason = denial
		case encoded:
			reason = ReasonSecretNotDecoded
		default:
			reason = ReasonWrongSecret
		}
	}
	return Record{}, Verifier{}, refuseClient(reason)
}

// isEncoded reports whether a secret is one of the verifiers' in Base64, as "kubectl get secret -o
// yaml" prints it.
func isEncoded(secret Secret, uid string, verifiers []Verifier, now time.Time) bool {
	decoded, err := jws.DecodeBase64(secret.Reveal())
	return err == nil && len(decoded) >= minSecretLength && match(verifiers, DigestSecret(uid, NewSecret(string(decoded))), now) >= 0
}
