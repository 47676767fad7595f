// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"slices"
	"time"
)

// tokenTypeAccess is the only type of tokens that are exchanged and issued (RFC 8693 section 3).
const tokenTypeAccess = "urn:ietf:params:oauth:token-type:access_token"

// ExchangeRequest is a token exchange: RFC 8693 section 2.1.
type ExchangeRequest struct {
	// SubjectToken is the token that was sent to the client.
	SubjectToken Secret
	// TokenRequest is what is asked for. Its Chain is added once the token was checked.
	TokenRequest
}

// ParseExchangeRequest reads the parameters of a token exchange.
func ParseExchangeRequest(form Form) (ExchangeRequest, error) {
	asked := form.Get("requested_token_type")
	subject := form.Get("subject_token")
	switch {
	case subject == "":
		return ExchangeRequest{}, malformedForm("subject_token is missing; send the access token that was sent to this client")
	case form.Get("subject_token_type") != tokenTypeAccess:
		return ExchangeRequest{}, malformedForm("subject_token_type must be " + tokenTypeAccess + ": tokens of other types are not exchanged")
	case form.has("actor_token"), form.has("actor_token_type"):
		return ExchangeRequest{}, malformedForm("actor_token is not supported: the actor is the client that authenticates")
	case asked != "" && asked != tokenTypeAccess:
		return ExchangeRequest{}, malformedForm("requested_token_type must be " + tokenTypeAccess + " or left out: no other type is issued")
	}
	scopes, err := ParseScope(form.Get("scope"))
	if err != nil {
		return ExchangeRequest{}, err
	}
	targets := form.All(parameterResource)
	if audience := form.Get("audience"); audience != "" {
		targets = append(targets, audience)
	}
	if len(targets) == 0 {
		return ExchangeRequest{}, malformedForm("resource is missing; send the identifier of the API that the token is for")
	}
	target, err := onlyIndicator(targets, "a token is for one API; send one resource, or one audience, and not both")
	if err != nil {
		return ExchangeRequest{}, err
	}
	return ExchangeRequest{SubjectToken: NewSecret(subject), TokenRequest: TokenRequest{GrantType: TokenExchange, Scopes: scopes, Resource: target}}, nil
}

// SubjectRefused refuses a token that is not active, or was not sent to the client. One answer to
// all of them keeps a client from learning about tokens that it may not introspect.
func SubjectRefused() *Error {
	return Refuse(InvalidRequest, ReasonSubjectTokenRefused,
		"the subject_token is no active access token that was sent to this client: the client must be one that may introspect the tokens of its audience")
}

// ChainFor returns what a token that is issued to a client in exchange has of this one, which is
// active, was sent to the client and is signed by the key of an id. It refuses tokens that are not
// passed on.
func (c *Claims) ChainFor(client *Client, keyID string) (*Chain, error) {
	refuse := func(description string) (*Chain, error) {
		return nil, Refuse(InvalidRequest, ReasonSubjectTokenNotPassedOn, description)
	}
	switch {
	case c.TokenUID != "":
		return refuse("the subject_token was made by an OAuth2Token; only tokens that a client fetched are exchanged")
	case c.ClientID == client.ID, c.Subject == client.ID:
		return refuse("the subject_token acts for this client itself; fetch a token with grant_type=client_credentials")
	case len(c.Actors) == MaxActors:
		return refuse("the subject_token was passed on four times already, and is not passed on again")
	}
	self := Ancestor{ID: c.ID, ClientID: c.ClientID, ClientUID: c.ClientUID, KeyID: keyID, IssuedAt: c.IssuedAt}
	return &Chain{
		Subject: c.Subject, Actors: c.Actors, Ancestors: append([]Ancestor{self}, c.Ancestors...), GrantID: c.GrantID, Audience: c.Audience,
		Until: c.ExpiresAt,
	}, nil
}

// heldRetry is the Retry-After while token servers of an earlier version run.
const heldRetry = time.Minute

// held refuses a token that is issued only once every token server reads it.
func held(acting Acting) *Error {
	such := "tokens of persons"
	if acting&ForExchanged != 0 {
		such = "exchanged tokens"
	}
	return &Error{
		Code: TemporarilyUnavailable, Reason: ReasonTokenServersOutdated, RetryAfter: heldRetry,
		Description: such + " are issued once every token server has reported that it reads them; " +
			"the condition GrantsComplete of the OAuth2Resource changes then",
	}
}

// grantedNow returns the scopes that the client of a token has at the audience of the token now,
// for the subject of the token. own is the audience of the client's namespace. ok is false if it
// has none, and needs some.
func (c *Claims) grantedNow(client *Client, own string, resources Resources) (scopes []string, ok bool) {
	if c.Audience == own {
		return client.Scopes, c.Acting() == 0
	}
	resource := resources.ResourceByIdentifier(c.Audience)
	if resource == nil {
		return nil, false
	}
	at := slices.IndexFunc(client.Access, func(a Access) bool { return a.Resource == ObjectName{resource.Namespace, resource.Name} })
	if at < 0 {
		return nil, false
	}
	scopes = resource.granted(client, c.Acting(), client.Access[at].Scopes)
	return scopes, len(scopes) > 0
}
