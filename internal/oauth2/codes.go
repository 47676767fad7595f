// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Codes is how a client gets authorization codes, and the refresh tokens that come with them.
type Codes struct {
	// RedirectURIs are where a person may be sent with a code.
	RedirectURIs []string
	// IssuerName is the OAuth2TrustedIssuer at which persons log in; "" means the only one that
	// the namespace may use.
	IssuerName string
	// DisplayName is the name for people that the owner of the client chose, which may be
	// empty.
	DisplayName string
	// AskAlways asks the person each time, also where no consent is needed.
	AskAlways bool
	Refresh   Refreshing
}

// Refreshing bounds the refresh tokens of a grant. The zero value gives none.
type Refreshing struct {
	// Lifetime is how long after the login the last refresh token of a grant expires.
	Lifetime time.Duration
	// Idle, if it is not zero, ends a grant that is not refreshed for so long.
	Idle time.Duration
	// Limited means that a grant is refreshed at most Max times.
	Limited bool
	Max     int
}

// Login is how persons log in at a trusted issuer.
type Login struct {
	// ClientID is the client_id of Hallpass at the issuer, and SecretName the Secret in the
	// namespace of login that has the client secret.
	ClientID, SecretName string
	// Scopes are those of the authentication request, openid among them.
	Scopes []string
	// SubjectClaim is the claim that is the subject of a person; "" means sub.
	SubjectClaim string
	// Claims are required of each ID token. Groups, unless it is empty, requires one of these
	// values in GroupsClaim, of which "" means groups.
	Claims      []RequiredClaim
	Groups      []string
	GroupsClaim string
}

// identityScopes are those of OpenID Connect Core 1.0 sections 3.1.2.1, 5.4 and 11. Libraries send
// them without being asked, so that they are never an error. Where an API defines a scope of such a
// name, it is a scope like others.
var identityScopes = []string{"openid", "offline_access", "profile", "email"} //nolint:gochecknoglobals // a constant list

// WithoutIdentityScopes removes openid, offline_access, profile and email from scopes that were
// asked for, unless they are among those that are to be had.
func WithoutIdentityScopes(asked, available []string) []string {
	return slices.DeleteFunc(slices.Clone(asked), func(scope string) bool {
		return slices.Contains(identityScopes, scope) && !slices.Contains(available, scope)
	})
}

// Offer is what a person can let a client have.
type Offer struct {
	// Audience is the identifier of the resource, also if the request named none.
	Audience string
	// Scopes are those that the client will have, and LeftOut those that it asked for in vain.
	Scopes, LeftOut []string
	// ConsentNeeded means that the person has to be asked.
	ConsentNeeded bool
}

// Offer decides what an authorization request of a client may lead to, for a person who logs in at
// an issuer and is sent to a proven redirect URI. A scope that is not to be had is left out, and
// the request is refused if there is no other. It asks the same function as a token request, which
// decides once more when the code is redeemed.
func (i Issuer) Offer(client *Client, scopes []string, resource, issuerName, redirectURI string, resources Resources) (Offer, error) {
	// the subject is not known yet, and consents do not distinguish persons
	request := TokenRequest{GrantType: AuthorizationCode, Resource: resource, Person: Person{Issuer: issuerName}}
	if err := request.CheckGrantType(client); err != nil {
		return Offer{}, err
	}
	grant, err := i.target(client, request, resources)
	if err != nil {
		return Offer{}, err
	}
	offer := Offer{Audience: grant.Audience, Scopes: grant.Scopes}
	found := resources.ResourceByIdentifier(grant.Audience)
	offer.ConsentNeeded = found == nil || found.consentNeeded(client, redirectURI)
	asked := WithoutIdentityScopes(scopes, grant.Scopes)
	if len(asked) == 0 {
		return offer, nil
	}
	offer.Scopes = nil
	for _, scope := range asked {
		if slices.Contains(grant.Scopes, scope) {
			offer.Scopes = append(offer.Scopes, scope)
		} else {
			offer.LeftOut = append(offer.LeftOut, scope)
		}
	}
	if len(offer.Scopes) == 0 {
		return Offer{}, scopeNotGranted(client, asked[0], request)
	}
	return offer, nil
}

// Within returns the offer without the scopes that a person was not shown. It is called when a
// request is decided once more, after the person has seen the offer.
func (o Offer) Within(shown []string) (Offer, error) {
	o.Scopes = slices.DeleteFunc(slices.Clone(o.Scopes), func(scope string) bool { return !slices.Contains(shown, scope) })
	if len(o.Scopes) == 0 {
		return Offer{}, Refuse(InvalidScope, ReasonScopeNotGranted, "the scopes of this login are granted no more; start again in the application")
	}
	return o, nil
}

// consentNeeded reports whether a person has to be asked before a client is sent a code. No person
// is asked for a client that no other program can pass for, of the namespace that the API is of.
func (r *Resource) consentNeeded(client *Client, redirectURI string) bool {
	return client.Codes == nil || client.Codes.AskAlways || client.Credentials.Public ||
		!strings.HasPrefix(redirectURI, "https://") || client.Namespace != r.Namespace
}

// LoginIssuer returns the trusted issuer at which persons log in for the client: the one that it
// names, or the only one that its namespace may use. The reason is why there is none.
func (c *Client) LoginIssuer(issuers []*TrustedIssuer) (*TrustedIssuer, Reason) {
	if c.Codes == nil {
		return nil, ReasonGrantTypeNotAllowed
	}
	if c.Codes.IssuerName != "" {
		at := slices.IndexFunc(issuers, func(t *TrustedIssuer) bool { return t.Name == c.Codes.IssuerName })
		if at < 0 {
			return nil, ReasonIssuerNotFound
		}
		return issuers[at], issuers[at].LoginDenial(c.Namespace)
	}
	var only *TrustedIssuer
	for _, issuer := range issuers {
		switch {
		case issuer.Login == nil || !issuer.Uses.Has(UsePerson) || !issuer.Delegates(c.Namespace):
		case only != nil:
			return nil, ReasonLoginNotAvailable
		default:
			only = issuer
		}
	}
	if only == nil {
		return nil, ReasonLoginNotAvailable
	}
	return only, only.LoginDenial(c.Namespace)
}

// LoginDenial returns why no person can log in at the issuer for clients of a namespace, or "".
func (t *TrustedIssuer) LoginDenial(namespace string) Reason {
	switch {
	case t == nil:
		return ReasonIssuerNotFound
	case t.Suspended:
		return ReasonIssuerSuspended
	case t.Login == nil:
		return ReasonLoginNotAvailable
	case !t.Uses.Has(UsePerson), !t.Delegates(namespace):
		return ReasonNotAllowedByIssuer
	}
	return ""
}

const maxRedirectURI = 512

// unusableSchemes begin no redirect URI: a browser would run or show what follows, or open a file.
var unusableSchemes = []string{ //nolint:gochecknoglobals // a constant list
	"javascript", "data", "vbscript", "blob", "file", "filesystem", "about", "view-source", "ws", "wss", "ftp", "mailto", "tel", "urn",
}

// answerParameters are those of an authorization response, so that no redirect URI has them.
var answerParameters = []string{ //nolint:gochecknoglobals // a constant list
	"code", "state", "iss", "error", "error_description", "error_uri", "response",
}

// ValidRedirectURI reports whether a client may have a redirect URI at all: with https, with http
// on a loopback name, or with a scheme of its own (RFC 8252 section 7). It is compared as text, so
// that it has one spelling: no user, fragment, wildcard, dot segment or character that browsers
// rewrite.
func ValidRedirectURI(uri string) bool {
	if len(uri) > maxRedirectURI || !isVisible(uri) || strings.ContainsAny(uri, "#*\\\"<>^`{|}") {
		return false
	}
	scheme, rest, _ := strings.Cut(uri, ":")
	u, err := url.Parse(uri)
	if err != nil || scheme != strings.ToLower(scheme) || u.Scheme != scheme || u.User != nil || rest == "" || hasDotSegment(u) || answers(u) {
		return false
	}
	host := u.Hostname()
	switch scheme {
	case "https":
		return strings.HasPrefix(rest, "//") && host != "" && host == strings.ToLower(host) && !strings.HasSuffix(host, ".") && validPort(u)
	case "http":
		return slices.Contains(loopbackNames, host) && validPort(u)
	}
	return !slices.Contains(unusableSchemes, scheme)
}

var loopbackNames = []string{"127.0.0.1", "::1", "localhost"} //nolint:gochecknoglobals // a constant list

// validPort reports whether a URL has no port, or a number as browsers write it.
func validPort(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && number > 0 && strconv.FormatUint(number, 10) == port
}

// hasDotSegment reports whether a segment of the path is . or .., also percent-encoded: a browser
// removes it.
func hasDotSegment(u *url.URL) bool {
	for segment := range strings.SplitSeq(u.Path+"/"+u.Opaque, "/") {
		if segment = decoded(segment); segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// answers reports whether the query has a parameter of an authorization response, or one that two
// readers split differently.
func answers(u *url.URL) bool {
	query, err := url.ParseQuery(u.RawQuery)
	return err != nil || slices.ContainsFunc(answerParameters, query.Has)
}
