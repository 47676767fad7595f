// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// TokenRequest is a request to the token endpoint beside the client's authentication.
type TokenRequest struct {
	// GrantType is one grant type.
	GrantType GrantTypes
	// Scopes are the scopes asked for; none means all that are granted.
	Scopes []string
	// Resource is the resource indicator asked for (RFC 8707); "" means the default.
	Resource string
	// Audience means that the request has the parameter of that name, by which other servers
	// know the resource. It carries no meaning, and a refusal names it.
	Audience bool
	// For is set if the token is exchanged for another one.
	For *Chain
	// Person is the person for whom the client acts; zero if it acts for itself. Within, if it
	// is not empty, bounds the scopes of a request without scopes.
	Person Person
	Within []string
	// GrantID is the id of the grant whose code or refresh token the request presents; empty
	// for other grant types.
	GrantID string
}

// ParseTokenRequest reads the parameters of a token request that do not authenticate its client.
// ParseExchangeRequest reads those of a token exchange.
func ParseTokenRequest(form Form) (TokenRequest, error) {
	grantType := grantTypeOf(form.Get("grant_type"))
	switch {
	case grantType == ClientCredentials, grantType == JWTBearer:
	case form.Get("grant_type") == "":
		return TokenRequest{}, Refuse(InvalidRequest, ReasonMalformedRequest,
			"grant_type is missing; send grant_type=client_credentials")
	case form.Get("grant_type") == GrantPassword:
		return TokenRequest{}, Refuse(UnsupportedGrantType, ReasonUnsupportedGrant,
			"the grant type password is not supported, because it gives the password of a person to a program (RFC 9700 section 2.4); "+
				"for what to use instead, client_credentials or a login of the person, see docs/migrate.md of Hallpass")
	default:
		return TokenRequest{}, Refuse(UnsupportedGrantType, ReasonUnsupportedGrant,
			"this grant type is not supported: clients authenticate as themselves, without the login of a person; send grant_type=client_credentials")
	}
	return parseTokenRequest(form, grantType)
}

// ParsePasswordRequest reads the parameters of a request whose client ParsePassword has named. It
// asks for what the same client gets by client_credentials.
func ParsePasswordRequest(form Form) (TokenRequest, error) {
	return parseTokenRequest(form, ClientCredentials)
}

func parseTokenRequest(form Form, grantType GrantTypes) (TokenRequest, error) {
	scopes, err := ParseScope(form.Get("scope"))
	if err != nil {
		return TokenRequest{}, err
	}
	request := TokenRequest{GrantType: grantType, Scopes: scopes, Audience: form.Get("audience") != ""}
	if request.Resource, err = ParseResource(form); err != nil {
		return TokenRequest{}, err
	}
	return request, nil
}

// ParseResource reads the resource indicator of a request (RFC 8707 section 2); "" if it has none.
func ParseResource(form Form) (string, error) {
	resources := form.All(parameterResource)
	if len(resources) == 0 {
		return "", nil
	}
	return onlyIndicator(resources, "a token is for one resource; send one resource a request")
}

// onlyIndicator returns the resource indicator of a request, which names one at least. several is
// the refusal of more than one.
func onlyIndicator(indicators []string, several string) (string, error) {
	switch {
	case len(indicators) > 1:
		return "", refuseAbout(SubjectSeveralResources, InvalidTarget, ReasonTargetNotGranted, several)
	case !validIndicator(indicators[0]):
		return "", refuseAbout(SubjectMalformedResource, InvalidTarget, ReasonTargetNotGranted,
			"resource must be an absolute URI without a fragment (RFC 8707 section 2)")
	}
	return indicators[0], nil
}

// validIndicator reports whether s has the shape of a resource indicator (RFC 8707 section 2).
func validIndicator(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && u.Fragment == "" && s[len(s)-1] != '#'
}

// Grant is the content of a token.
type Grant struct {
	Audience string
	Scopes   []string
	Lifetime time.Duration
	// TokenUID is the UID of the OAuth2Token, if the client does not ask itself.
	TokenUID string
	// For is set if the token is exchanged for another one.
	For *Chain
	// Person is the person for whom the client acts; zero if it acts for itself, or the token
	// is exchanged.
	Person Person
	// GrantID is the id of the grant of the person that the token belongs to, if there is one.
	GrantID string
}

// Grant decides what the client gets: all that it asks for, or a refusal. A token names one
// audience: a scope claim for two would carry the consent of one to the other.
func (i Issuer) Grant(client *Client, request TokenRequest, resources Resources) (Grant, error) {
	grant, err := i.target(client, request, resources)
	if err != nil {
		return Grant{}, err
	}
	if len(request.Scopes) == 0 {
		return grant.within(request, client)
	}
	for _, scope := range request.Scopes {
		if !slices.Contains(grant.Scopes, scope) {
			return Grant{}, scopeNotGranted(client, scope, request)
		}
	}
	grant.Scopes = request.Scopes
	return grant, nil
}

// within leaves out the scopes that the request is not for.
func (g Grant) within(request TokenRequest, client *Client) (Grant, error) {
	if len(request.Within) == 0 {
		return g, nil
	}
	var scopes []string
	for _, scope := range g.Scopes {
		if slices.Contains(request.Within, scope) {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) == 0 {
		return Grant{}, scopeNotGranted(client, request.Within[0], request)
	}
	g.Scopes = scopes
	return g, nil
}

const (
	// MaxSubject bounds the Subject of an Error.
	MaxSubject = 72
	// maxNamed bounds the name of a scope or a resource in it.
	maxNamed = 64
)

// The subjects that are no name. Neither a scope nor a resource that is named has an @.
const (
	SubjectSeveralResources  = "@several"
	SubjectMalformedResource = "@malformed"
	SubjectTokenTooLarge     = "@large"
)

func refuseAbout(subject string, code ErrorCode, reason Reason, description string) *Error {
	return &Error{Code: code, Reason: reason, Subject: subject, Description: description}
}

// The refusals of a grant. What they name cannot have the characters that error_description
// excludes.
func scopeNotGranted(client *Client, scope string, request TokenRequest) *Error {
	if request.Resource == "" {
		return notGranted(client, InvalidScope, ReasonScopeNotGranted, scope, request,
			"the scope %s is not granted to this client at its default audience; if status.grants of its OAuth2Client lists the scope for another audience, "+
				"send that audience as resource; otherwise ask the owner of the API for a grant")
	}
	refusal := notGranted(client, InvalidScope, ReasonScopeNotGranted, scope, request,
		"the scope %s is not granted to this client at that resource; ask for scopes of status.grants of its OAuth2Client, or ask the owner of the API for a grant")
	refusal.Subject += "@"
	if !client.mayBeSecret(request.Resource) && len(refusal.Subject)+len(request.Resource) <= MaxSubject {
		refusal.Subject += request.Resource
	}
	return refusal
}

func targetNotGranted(client *Client, request TokenRequest) *Error {
	rest := "it needs spec.access, and the owner of the API a grant whose subjects have "
	switch request.acting() {
	case ForUser:
		rest = " for persons; " + rest + "User"
	case ForExchanged:
		rest = " for exchanged tokens; " + rest + "Exchanged"
	case ForUser | ForExchanged:
		rest = " for exchanged tokens; " + rest + "both Exchanged and User"
	default:
		rest = "; send as resource an audience of status.grants of its OAuth2Client, or ask the owner of the API for a grant"
	}
	return notGranted(client, InvalidTarget, ReasonTargetNotGranted, cmp.Or(request.Resource, "spec.defaultResource"), request,
		"the client is granted nothing at %s"+rest)
}

func notGranted(client *Client, code ErrorCode, reason Reason, subject string, request TokenRequest, format string) *Error {
	named := subject
	switch {
	case client.mayBeSecret(subject):
		subject, named = "", "what was asked for"
	case len(subject) > maxNamed:
		subject = subject[:maxNamed] + "..."
		named = subject
	}
	description := fmt.Sprintf(format, named)
	if request.Audience {
		description += "; the parameter audience has no meaning here: send resource"
	}
	return &Error{Code: code, Reason: reason, Subject: subject, Description: description}
}

// mayBeSecret reports whether a scope or a resource that is not granted may be a credential in the
// wrong parameter. Refusals are in statuses and events, which more people may read than Secrets.
func (c *Client) mayBeSecret(text string) bool {
	digest := DigestSecret(c.UID, NewSecret(text))
	isItsOwn := func(v Verifier) bool { return v.Digest == digest }
	return !ValidScopeToken(text) || strings.ContainsAny(text, "@?") || LooksSecret(text) || slices.ContainsFunc(c.Credentials.Verifiers, isItsOwn)
}

// acting is for whom the request lets its client act.
func (r *TokenRequest) acting() Acting {
	switch {
	case r.For != nil:
		return r.For.acting()
	case !r.Person.IsZero():
		return ForUser
	}
	return 0
}

// target returns all that the client may have at an audience, or at its default one. The audience
// of a namespace has no owner who could consent to clients that act for others.
func (i Issuer) target(client *Client, request TokenRequest, resources Resources) (Grant, error) {
	own, indicator, acting := i.NamespaceAudience(client.Namespace), request.Resource, request.acting()
	switch {
	case acting == 0 && (indicator == own || indicator == "" && client.DefaultResource == (ObjectName{})):
		return Grant{Audience: own, Scopes: client.Scopes, Lifetime: client.Tokens.Lifetime}, nil
	case request.For != nil && indicator == request.For.Audience:
		return Grant{}, Refuse(InvalidTarget, ReasonTargetNotGranted, "the subject_token is for this audience already; a token is exchanged for another one")
	}
	for _, access := range client.Access {
		resource := resources.Resource(access.Resource)
		if resource == nil || indicator != "" && resource.Identifier != indicator ||
			indicator == "" && access.Resource != client.DefaultResource {
			continue
		}
		scopes := resource.granted(client, acting, access.Scopes)
		switch {
		case len(scopes) == 0:
			return Grant{}, targetNotGranted(client, request)
		case resource.holds(acting):
			return Grant{}, held(acting)
		}
		return Grant{
			Audience: resource.Identifier, Scopes: scopes, Lifetime: resource.lifetime(client), For: request.For, Person: request.Person,
			GrantID: request.GrantID,
		}, nil
	}
	return Grant{}, targetNotGranted(client, request)
}

func (r *Resource) lifetime(client *Client) time.Duration {
	if r.TokenLifetime > 0 {
		return min(r.TokenLifetime, client.Tokens.Lifetime)
	}
	return client.Tokens.Lifetime
}

// Restrict returns the claims of a valid token with the scopes that the client is still granted, so
// that a withdrawn consent takes effect before the token expires. It returns the reason if none is
// left, or the audience is gone, and for a token of a person or an exchanged one if the client no
// longer has the grant type.
func (i Issuer) Restrict(claims *Claims, client *Client, resources Resources) (*Claims, Reason) {
	if !claims.KeepsGrantType(client) {
		return nil, ReasonGrantTypeNotAllowed
	}
	has, ok := claims.grantedNow(client, i.NamespaceAudience(client.Namespace), resources)
	if !ok {
		return nil, ReasonTargetNotGranted
	}
	return claims.restrict(has)
}

// restrict removes the scopes that are not allowed. Claims that lose their last scope are refused.
func (c *Claims) restrict(allowed []string) (*Claims, Reason) {
	refused := func(scope string) bool { return !slices.Contains(allowed, scope) }
	if !slices.ContainsFunc(c.Scopes, refused) {
		return c, ""
	}
	restricted := *c
	restricted.Scopes = slices.DeleteFunc(slices.Clone(c.Scopes), refused)
	if len(restricted.Scopes) == 0 {
		return nil, ReasonScopeNotGranted
	}
	return &restricted, ""
}
