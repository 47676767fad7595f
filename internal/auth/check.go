// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Request asks about an access token.
type Request struct {
	Token string
	// Payer pays for what the request costs others than its caller.
	Payer Payer
	// Caller is the client that introspects the token; nil if a proxy requires a token for
	// Trail.Required.
	Caller *oauth2.Client
	// Serves means that the token must have been sent to the caller: the caller serves its
	// audience.
	Serves bool
	// Trail is what is known of the caller, if anything is. That of the result has the token,
	// too.
	Trail Trail
	// At is when the request was read, or its caller authenticated.
	At time.Time
}

// Verdict is a denial, or the claims of the token and the client it was issued to.
type Verdict struct {
	Denial oauth2.Reason
	// Claims are nil unless the token is verifiably ours. They are shared and read-only.
	Claims *oauth2.Claims
	Client *oauth2.Client
	// keyID is the kid of the key that signed the token; empty for an opaque one.
	keyID string
}

// Result is a verdict at an instant.
type Result struct {
	Verdict

	Trail Trail
	At    time.Time
}

// Read reads a token of this issuer and reports whether it is valid in itself, regardless of its
// client. An error means that it cannot be decided.
func (a *Authority) Read(ctx context.Context, q *Request) (result Result, err error) {
	v := a.look(q.Payer)
	result.Trail = q.Trail
	result.At, err = v.decide(ctx, q.At, func(at time.Time) (needs need, _ error) {
		result.Verdict, needs = a.read(q, &v, at)
		return needs, nil
	})
	return result, err
}

// Check decides whether a token is good. Introspection, forward-auth and ext_authz all ask it, so
// that what is revoked at one of them is revoked at all. An error means that it cannot be decided,
// and refuses.
func (a *Authority) Check(ctx context.Context, q *Request) (result Result, err error) {
	v := a.look(q.Payer)
	result.Trail = q.Trail
	result.At, err = v.decide(ctx, q.At, func(at time.Time) (needs need, _ error) {
		result.Verdict, needs = a.check(q, &v, at)
		return needs, nil
	})
	result.Trail.describe(result.Claims, v.namespaceOf(result.Verdict))
	return result, err
}

// namespaceOf is the namespace of the client of a token; empty if the client is not known.
func (v *view) namespaceOf(result Verdict) string {
	if result.Client != nil {
		return result.Client.Namespace
	}
	if result.Claims == nil {
		return ""
	}
	if client := v.clientOf(result.Claims).Client; client != nil && client.UID == result.Claims.ClientUID {
		return client.Namespace
	}
	return ""
}

// read reads a token by the keys or the records of the view.
func (a *Authority) read(q *Request, v *view, at time.Time) (result Verdict, needs need) {
	opaque, err := oauth2.ParseOpaqueToken(oauth2.NewSecret(q.Token))
	if err == nil {
		result.Claims, err = a.Issuer.ReadOpaque(opaque.Value, v.mintedOf(opaque.ID), at)
	} else {
		var read oauth2.Verified
		read, err = a.readSigned(q, v, at)
		result.Claims, result.keyID = read.Claims, read.KeyID
	}
	result.Denial = oauth2.ReasonOf(err)
	switch {
	case result.Denial == oauth2.ReasonTokenKeyUnknown:
		needs = need{lack: tokenKeyUnknown}
	case opaque.ID != "" && (result.Denial == oauth2.ReasonTokenUnknown || result.Denial == oauth2.ReasonTokenReplaced):
		needs = need{lack: mintedUnknown, what: opaque.ID}
	}
	return result, needs
}

// readSigned reads a JWT. Of one that was verified before it checks only what may have changed.
func (a *Authority) readSigned(q *Request, v *view, at time.Time) (oauth2.Verified, error) {
	token, ring := q.Token, v.Ring()
	if read, there := a.verified.get(token); there {
		return read, read.Check(ring, at)
	}
	read, err := verify(a.verification, q.Payer, at, func() (oauth2.Verified, error) { return a.Issuer.Verify(token, ring, at) })
	if err != nil {
		return oauth2.Verified{}, err
	}
	if err = read.Check(ring, at); err == nil {
		a.verified.put(v.namespaceOf(Verdict{Claims: read.Claims}), token, read)
	}
	return read, err
}

// check decides about a token by the view. The steps are in the order in which they deny.
func (a *Authority) check(q *Request, v *view, at time.Time) (Verdict, need) {
	result, needs := a.read(q, v, at)
	if result.Denial != "" {
		return result, needs
	}
	claims := result.Claims
	if result.Denial, needs = v.concerns(q, claims, at); result.Denial != "" {
		return result, needs
	}
	record := v.clientOf(claims)
	if result.Denial = record.TokenDenial(claims); result.Denial != "" {
		if record.Unknown(claims) {
			needs = need{lack: tokenClientUnknown, what: claims.ClientID}
		}
		return result, needs
	}
	result.Client = record.Client
	if v.Revocations().Revoked(*claims, record.Client.Namespace, at) {
		result.Denial = oauth2.ReasonTokenRevoked
		return result, needs
	}
	if result.Denial, needs = v.ended(claims, at); result.Denial != "" {
		return result, needs
	}
	if result.Denial, needs = v.personDenial(claims, record.Client, at); result.Denial != "" {
		return result, needs
	}
	if claims.TokenUID != "" {
		id := oauth2.OpaqueID(claims.TokenUID)
		minted := v.mintedOf(id)
		restricted, denial := minted.Restrict(claims)
		if result.Denial = denial; denial != "" {
			if minted.Unknown(claims.ID) {
				needs = need{lack: mintedUnknown, what: id}
			}
			return result, needs
		}
		claims = restricted
		if minted.Minted.Opaque { // a JWT has them itself
			whole := *claims
			whole.Custom = a.Issuer.CustomClaims(record.Client)
			claims = &whole
		}
	}
	restricted, denial := a.restrict(claims, record.Client, v)
	if (denial != "" || restricted != claims) && at.Sub(claims.IssuedAt) <= memoryLag {
		needs = need{lack: scopeWithdrawn, what: claims.ClientID, audience: claims.Audience}
	}
	if result.Denial = denial; denial == "" {
		result.Claims = restricted
	}
	return result, needs
}

// concerns returns why a token that is valid in itself is not for the caller or the proxy.
func (v *view) concerns(q *Request, claims *oauth2.Claims, at time.Time) (denial oauth2.Reason, needs need) {
	if q.Caller == nil {
		return q.Trail.Required.Refuses(claims), need{}
	}
	issuer := v.source.Issuer
	var allowed bool
	if q.Serves {
		allowed = q.Caller.Serves(claims.Audience, issuer.NamespaceAudience(q.Caller.Namespace), v.resources())
	} else {
		allowed = issuer.MayIntrospect(q.Caller, claims, v.resources())
	}
	if allowed {
		return "", need{}
	}
	if v.ResourceByIdentifier(claims.Audience) == nil && at.Sub(claims.IssuedAt) <= memoryLag {
		needs = need{lack: audienceUnknown, what: claims.ClientID, audience: claims.Audience}
	}
	return oauth2.ReasonNotForCaller, needs
}

// restrict cuts the scopes of a token to those that its client is granted now. If memory grants
// less than a young token has, the replica that issued it may have had newer records.
func (a *Authority) restrict(claims *oauth2.Claims, client *oauth2.Client, v *view) (*oauth2.Claims, oauth2.Reason) {
	if v.has(scopeWithdrawn) && v.granted.TokenDenial(claims) == "" {
		return a.Issuer.Restrict(claims, v.granted.Client, v.resources())
	}
	return a.Issuer.Restrict(claims, client, v.Memory)
}

// clientOf is the record of the client of a token.
func (v *view) clientOf(claims *oauth2.Claims) oauth2.Record {
	if v.has(tokenClientUnknown) {
		return v.client
	}
	if v.foundOf != claims.ClientID {
		v.found, v.foundOf = v.Record(claims.ClientID), claims.ClientID
	}
	return v.found
}

// mintedOf is the record of an OAuth2Token.
func (v *view) mintedOf(opaqueID string) oauth2.MintedRecord {
	if v.has(mintedUnknown) {
		return v.minted
	}
	return v.Minted(opaqueID)
}

// resources are those of memory, and the one that the source was asked about.
func (v *view) resources() oauth2.Resources { //nolint:ireturn // of two kinds
	if v.resource == nil {
		return v.Memory
	}
	return foundResource{v.Memory, v.resource}
}

type foundResource struct {
	oauth2.Resources

	found *oauth2.Resource
}

func (f foundResource) Resource(name oauth2.ObjectName) *oauth2.Resource {
	if name == (oauth2.ObjectName{Namespace: f.found.Namespace, Name: f.found.Name}) {
		return f.found
	}
	return f.Resources.Resource(name)
}

func (f foundResource) ResourceByIdentifier(identifier string) *oauth2.Resource {
	if identifier == f.found.Identifier {
		return f.found
	}
	return f.Resources.ResourceByIdentifier(identifier)
}
