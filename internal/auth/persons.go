// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// ActFor issues a token with which a caller acts for a person, named by an identity assertion. The
// assertion is used up when the token is granted.
func (a Grants) ActFor(ctx context.Context, caller *Caller, request oauth2.PersonRequest) (Issued, error) {
	if err := request.CheckGrantType(caller.Client); err != nil {
		return Issued{Trail: caller.Trail}, err
	}
	v, identity := a.look(PaidBy(caller.Client)), oauth2.Identity{}
	at, err := v.decide(ctx, caller.At, func(at time.Time) (needs need, err error) {
		identity, needs, err = v.identify(a.verification, caller.Client, request.Assertion, at)
		return needs, err
	})
	if err != nil {
		return Issued{Trail: caller.Trail}, err
	}
	caller.At = at
	caller.Trail.SubjectTokenID, caller.Trail.Token.Subject = identity.AuditID, identity.Person.String()
	asked, err := identity.Request(request.TokenRequest)
	if err != nil {
		return Issued{Trail: caller.Trail}, err
	}
	return a.issue(ctx, caller, asked, usedOnceBy(identity.Once), nil)
}

// identify verifies an identity assertion by a view. Its issuer may have published the key, or may
// be trusted, only a moment ago.
func (v *view) identify(
	checks *verification, client *oauth2.Client, assertion *oauth2.IdentityAssertion, at time.Time,
) (oauth2.Identity, need, error) {
	issuer := v.issuerOf(assertion.Issuer)
	federation := oauth2.Federation{Issuer: v.source.Issuer.String(), Cluster: v.source.cluster().Issuer}
	identity, err := verify(checks, v.payer, at, func() (oauth2.Identity, error) {
		return federation.Identify(assertion, issuer, client, at)
	})
	switch oauth2.ReasonOf(err) {
	case oauth2.ReasonIssuerNotFound:
		if oauth2.MayBeIssuer(assertion.Issuer) {
			return identity, need{lack: issuerUnknown, what: assertion.Issuer}, err
		}
		return identity, need{}, err
	case oauth2.ReasonAssertionKeyUnknown, oauth2.ReasonNotAllowedByIssuer, oauth2.ReasonIssuerSuspended, oauth2.ReasonKeysStale:
		return identity, need{lack: issuerRefused, what: issuer.Name}, err
	default:
		return identity, need{}, err
	}
}

// usedOnceBy is by what a JWT of a trusted issuer is used up. No client_id has a space.
func usedOnceBy(once oauth2.UsedOnce) *usedOnce {
	return &usedOnce{revocation.AssertionIDOf("issuer "+once.Issuer, once.ID), once.ExpiresAt}
}

// personDenial returns why the token of a person is refused because of the issuer of the person, or
// "". The client that the person was brought to is that of the token, or of the first one that it
// was exchanged for.
func (v *view) personDenial(claims *oauth2.Claims, client *oauth2.Client, at time.Time) (denial oauth2.Reason, needs need) {
	person := claims.Person()
	if person.IsZero() {
		return "", need{}
	}
	namespace := client.Namespace
	if first := len(claims.Ancestors) - 1; first >= 0 {
		known := v.recordOf(claims.Ancestors[first].Claims()).Client
		if known == nil { // memory has lost it since ended found it
			return oauth2.ReasonUnknownClient, need{}
		}
		namespace = known.Namespace
	}
	denial = v.issuer(person.Issuer).PersonDenial(namespace, person.Subject)
	if denial != "" && at.Sub(claims.IssuedAt) <= memoryLag {
		needs = need{lack: issuerRefused, what: person.Issuer}
	}
	return denial, needs
}
