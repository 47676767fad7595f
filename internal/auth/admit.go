// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Attempt is what counts of a request that a proxy holds back. Path, method, host and the headers
// that a caller can shape are not in it.
type Attempt struct {
	// Authorization are the values of that header.
	Authorization []string
	// Required is what the proxy's configuration requires, and RequirementError what is wrong
	// with it.
	Required         oauth2.Requirement
	RequirementError error
	// Source pays for what the request costs: the caller of a trusted proxy, or else the proxy.
	Source string
	At     time.Time
}

// Admit decides whether a request may pass: its token must be good, for the audience that is
// required, and have the scopes that are required. An error refuses; the Result then has only the
// Trail.
func (a *Authority) Admit(ctx context.Context, attempt Attempt) (result Result, err error) {
	place, err := a.Enter(attempt.Source)
	if err != nil {
		return result, err
	}
	defer place.Leave()
	if err := a.Fresh(); err != nil {
		return result, err
	}
	if attempt.RequirementError != nil {
		return result, attempt.RequirementError
	}
	result.Trail.Required = attempt.Required
	token, err := oauth2.ParseBearer(attempt.Authorization)
	if err != nil {
		return result, err
	}
	result, err = a.Check(ctx, &Request{Token: token.Reveal(), Payer: Payer{Source: attempt.Source}, Trail: result.Trail, At: attempt.At})
	if err != nil {
		return result, err
	}
	switch result.Denial {
	case "":
	case oauth2.ReasonTokenExpired:
		return result, oauth2.Refuse(oauth2.InvalidToken, result.Denial, "the access token has expired; fetch another one")
	case oauth2.ReasonWrongAudience:
		return result, oauth2.Refuse(oauth2.InvalidToken, result.Denial, "the access token is for another audience; fetch one with resource="+attempt.Required.Audience)
	default:
		return result, oauth2.Refuse(oauth2.InvalidToken, result.Denial, "the access token is not valid")
	}
	result.Trail.ClientID, result.Trail.Token.Scope = result.Claims.ClientID, strings.Join(result.Claims.Scopes, " ")
	if !attempt.Required.HasScopes(result.Claims) {
		return result, oauth2.Refuse(oauth2.InsufficientScope, oauth2.ReasonInsufficientScope, "the access token lacks a scope that is required here")
	}
	return result, nil
}

// ResourceMetadata is the URL where a client learns how to get a token for an audience, or "" if
// the audience is not a declared resource: RFC 9728.
func (a *Authority) ResourceMetadata(audience string) string {
	resource := a.Directory.ResourceByIdentifier(audience)
	if resource == nil {
		return ""
	}
	return a.Issuer.URL(oauth2.ResourceMetadataPath + "/resources/" + resource.Namespace + "/" + resource.Name)
}
