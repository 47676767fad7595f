// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Issued is a token with its Trail.
type Issued struct {
	oauth2.Token

	Trail Trail
	At    time.Time
}

// Issue issues a token to a caller: RFC 6749 section 4.4. A grant that memory refuses is looked up,
// because the client may have been given it a moment ago.
func (a *Authority) Issue(ctx context.Context, caller *Caller, request oauth2.TokenRequest) (Issued, error) {
	return a.issue(ctx, caller, request, nil, nil)
}

// issue issues a token, and uses up the JWT that is its grant, if there is one. commit, if it is
// not nil, is called once the grant is decided, and refuses by an error.
func (a *Authority) issue(
	ctx context.Context, caller *Caller, request oauth2.TokenRequest, once *usedOnce, commit func() error,
) (issued Issued, err error) {
	issued.Trail = caller.Trail
	v, grant, record := a.look(PaidBy(caller.Client)), oauth2.Grant{}, caller.Record
	at, err := v.decide(ctx, caller.At, func(time.Time) (needs need, err error) {
		record = v.newer(caller.Record)
		grant, needs, err = a.grant(record.Client, request, &v)
		return needs, err
	})
	if err != nil {
		return issued, err
	}
	client := record.Client
	issuedAt, err := oauth2.IssueAt(at, record.RevokedBefore(), v.Revocations().RevokedBefore(client.ID, client.Namespace, request.Person))
	if err != nil {
		return issued, err
	}
	if chain := request.For; chain != nil && !issuedAt.Before(chain.Until) {
		return issued, oauth2.SubjectRefused()
	}
	key, err := oauth2.SigningKey(client, a.Directory.Ring(), at)
	if err != nil {
		return issued, err
	}
	issued.At = at
	if err := a.useUp(once, client.Namespace, at, oauth2.IdentityReplayed); err != nil {
		return issued, err
	}
	if commit != nil {
		if err := commit(); err != nil {
			return issued, err
		}
	}
	if issued.Token, err = a.Issuer.Issue(client, grant, key, issuedAt, a.Random); err != nil {
		return issued, err
	}
	a.verified.put(client.Namespace, issued.Value.Reveal(), issued.Verified)
	claims := issued.Claims
	issued.Trail.Token.ID, issued.Trail.Token.Audience, issued.Trail.Token.Scope = claims.ID, claims.Audience, strings.Join(claims.Scopes, " ")
	issued.Trail.actsFor(claims)
	return issued, nil
}

// Exchange issues a token to a caller in exchange for one that was sent to it: RFC 8693. A caller
// without the grant type learns that before its token is read.
func (a *Authority) Exchange(ctx context.Context, caller *Caller, request oauth2.ExchangeRequest) (Issued, error) {
	if request.CheckGrantType(caller.Client) != nil {
		v := a.look(PaidBy(caller.Client))
		var err error
		if caller, err = v.mayExchange(ctx, caller, request.TokenRequest); err != nil {
			return Issued{Trail: caller.Trail}, err
		}
	}
	subject, err := a.Check(ctx, &Request{
		Token: request.SubjectToken.Reveal(), Payer: PaidBy(caller.Client), Caller: caller.Client, Serves: true, Trail: caller.Trail, At: caller.At,
	})
	trail := subject.Trail
	trail.SubjectTokenID, trail.Token.ID = trail.Token.ID, ""
	if err != nil {
		return Issued{Trail: trail}, err
	}
	if trail.Denial = subject.Denial; subject.Denial != "" {
		return Issued{Trail: trail}, oauth2.SubjectRefused()
	}
	if request.For, err = subject.Claims.ChainFor(caller.Client, subject.keyID); err != nil {
		return Issued{Trail: trail}, err
	}
	return a.Issue(ctx, &Caller{Record: caller.Record, Trail: trail, At: subject.At}, request.TokenRequest)
}

// mayExchange returns a caller that has the grant type of its request by the record of the source:
// memory may lack a grant type that the client was given a moment ago.
func (v *view) mayExchange(ctx context.Context, caller *Caller, request oauth2.TokenRequest) (*Caller, error) {
	client, newer := caller.Client, *caller
	at, err := v.decide(ctx, caller.At, func(time.Time) (need, error) {
		newer.Record = v.newer(caller.Record)
		err := request.CheckGrantType(newer.Client)
		if err == nil {
			return need{}, nil
		}
		return need{lack: grantRefused, what: client.ID, audience: request.Resource}, err
	})
	newer.At = at
	return &newer, err
}

// newer is the record of a client that the source has returned, or else the known one. All of a
// decision is by one of them.
func (v *view) newer(known oauth2.Record) oauth2.Record {
	if v.has(grantRefused) && v.granted.Client.UID == known.Client.UID {
		return v.granted
	}
	return known
}

// grant decides what a client gets by a view.
func (a *Authority) grant(client *oauth2.Client, request oauth2.TokenRequest, v *view) (oauth2.Grant, need, error) {
	if v.has(grantRefused) && v.granted.Client == client {
		grant, err := a.requested(client, request, v.resources())
		return grant, need{}, err
	}
	grant, err := a.requested(client, request, v.Memory)
	if needs := a.grantNeeded(client, request.Resource, err, v); needs.lack != nothing {
		return oauth2.Grant{}, needs, err
	}
	return grant, need{}, err
}

// grantNeeded is what could mend the refusal of a grant at a resource: a newer registration of the
// client, and of the resource.
func (a *Authority) grantNeeded(client *oauth2.Client, resource string, refusal error, v *view) need {
	switch oauth2.ReasonOf(refusal) {
	case oauth2.ReasonTargetNotGranted, oauth2.ReasonScopeNotGranted, oauth2.ReasonGrantTypeNotAllowed:
	default:
		return need{}
	}
	audience := resource
	if audience == "" {
		audience = a.Issuer.ResourceIdentifier(client.DefaultResource)
		if known := v.Resource(client.DefaultResource); known != nil {
			audience = known.Identifier
		}
	}
	return need{lack: grantRefused, what: client.ID, audience: audience}
}

// requested decides about a request by the records given.
func (a *Authority) requested(client *oauth2.Client, request oauth2.TokenRequest, resources oauth2.Resources) (oauth2.Grant, error) {
	if err := request.CheckGrantType(client); err != nil {
		return oauth2.Grant{}, err
	}
	return a.Issuer.Grant(client, request, resources)
}
