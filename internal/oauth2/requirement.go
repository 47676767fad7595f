// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"slices"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// maxRequirementLength bounds each value of a requirement.
const maxRequirementLength = 1 << 10

// Requirement is what a proxy's configuration requires of an access token. No token meets the zero
// value.
type Requirement struct {
	// Audience is that of the token.
	Audience string
	// Scopes must all be in the token; there may be none.
	Scopes []string
}

var errRequirement = Refuse(InvalidRequest, ReasonRequirementMalformed,
	"the proxy in front does not send the audience that it requires, or sends it in an unknown form")

// ParseRequirementQuery reads a requirement from the query of a URL.
func ParseRequirementQuery(rawQuery string) (Requirement, error) {
	if len(rawQuery) > 3*maxRequirementLength {
		return Requirement{}, errRequirement
	}
	form, err := ParseForm(rawQuery)
	if err != nil || strings.IndexByte(rawQuery, ';') >= 0 { // some take it for another &
		return Requirement{}, errRequirement
	}
	var r Requirement
	for _, p := range form.parameters {
		if err := r.add(p.name, p.value); err != nil {
			return Requirement{}, err
		}
	}
	return r.whole()
}

// ParseRequirement parses a requirement: audience once, scope at most once. It refuses unknown
// names, which may be misspelt, and duplicates, of which a caller may have added one.
func ParseRequirement(parameters map[string][]string) (Requirement, error) {
	var r Requirement
	for name, values := range parameters {
		if len(values) != 1 {
			return Requirement{}, errRequirement
		}
		if err := r.add(name, values[0]); err != nil {
			return Requirement{}, err
		}
	}
	return r.whole()
}

// add adds a parameter.
func (r *Requirement) add(name, value string) error {
	if value == "" || len(value) > maxRequirementLength {
		return errRequirement
	}
	switch name {
	case "audience":
		r.Audience = value
		return nil
	case "scope":
		scopes, err := ParseScope(value)
		if err != nil {
			return errRequirement
		}
		r.Scopes = scopes
		return nil
	}
	return errRequirement
}

// whole returns the requirement after the last parameter.
func (r Requirement) whole() (Requirement, error) {
	// visible ASCII that needs no quoting: an audience is a URI
	if !ValidScopeToken(r.Audience) {
		return Requirement{}, errRequirement
	}
	return r, nil
}

// Refuses returns why a token with these claims is not for this audience, or "". See HasScopes.
func (r Requirement) Refuses(claims *Claims) Reason {
	if r.Audience == "" || claims.Audience != r.Audience {
		return ReasonWrongAudience
	}
	return ""
}

// HasScopes reports whether a token with these claims has every scope that is required.
func (r Requirement) HasScopes(claims *Claims) bool {
	return !slices.ContainsFunc(r.Scopes, func(scope string) bool { return !slices.Contains(claims.Scopes, scope) })
}

// The refusals of a request before its token is read.
var (
	errNoBearer        = Refuse(InvalidToken, ReasonNoCredentials, "an access token is required")
	errMalformedBearer = Refuse(InvalidRequest, ReasonMalformedCredential, "the Authorization header is not one bearer token")
)

// ParseBearer parses the values of an Authorization header: one, with the scheme Bearer and one
// token (RFC 6750 section 2.1).
func ParseBearer(authorization []string) (Secret, error) {
	switch len(authorization) {
	case 0:
		return Secret{}, errNoBearer
	case 1:
	default:
		return Secret{}, errMalformedBearer
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Secret{}, errNoBearer
	}
	token = strings.TrimLeft(token, " ")
	if !validBearer(token) {
		return Secret{}, errMalformedBearer
	}
	return NewSecret(token), nil
}

// validBearer reports whether s is a b64token of RFC 6750 section 2.1, of bounded length.
func validBearer(s string) bool {
	if len(s) > jws.MaxSize {
		return false
	}
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !bearerLetters[s[i]] {
			return false
		}
	}
	return s != ""
}

// bearerLetters are the characters of a b64token, as a table for speed.
var bearerLetters = func() (letters [256]bool) { //nolint:gochecknoglobals // a constant table
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		letters[c] = true
	}
	return letters
}()
