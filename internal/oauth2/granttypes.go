// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"fmt"
	"slices"
	"strings"
)

// The values of the parameter grant_type.
const (
	// GrantClientCredentials is RFC 6749 section 4.4.
	GrantClientCredentials = "client_credentials"
	// GrantJWTBearer is RFC 7523 section 2.1.
	GrantJWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	// GrantTokenExchange is RFC 8693.
	GrantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	// GrantAuthorizationCode is RFC 6749 section 4.1.3, and GrantRefreshToken its section 6.
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	// GrantPassword is RFC 6749 section 4.3, which RFC 9700 section 2.4 forbids. See
	// ParsePassword for what is served of it.
	GrantPassword = "password"
)

// GrantTypes are the grant types of a client. The zero value is ClientCredentials alone, as of a
// client that names none.
type GrantTypes uint8

// The grant types.
const (
	ClientCredentials GrantTypes = 1 << iota
	JWTBearer
	TokenExchange
	// AuthorizationCode lets the client use authorization codes, and the refresh tokens that
	// come with them.
	AuthorizationCode
)

// grantTypes has the name of each grant type in the API and in the stored form, and its value of
// the parameter.
var grantTypes = [...]struct { //nolint:gochecknoglobals // a constant table
	bit             GrantTypes
	name, parameter string
}{
	{ClientCredentials, "ClientCredentials", GrantClientCredentials},
	{JWTBearer, "JWTBearer", GrantJWTBearer},
	{TokenExchange, "TokenExchange", GrantTokenExchange},
	{AuthorizationCode, "AuthorizationCode", GrantAuthorizationCode},
}

// GrantTypesOf returns the grant types of the names, which are those of the API. ok is false if
// there are names and none is known. Unknown ones beside others are left out: they allow nothing.
func GrantTypesOf(names []string) (g GrantTypes, ok bool) {
	for _, grantType := range grantTypes {
		if slices.Contains(names, grantType.name) {
			g |= grantType.bit
		}
	}
	if g == ClientCredentials {
		return 0, true
	}
	return g, g != 0 || len(names) == 0
}

// Names are the names of the grant types; nil for the zero value.
func (g GrantTypes) Names() (names []string) {
	for _, grantType := range grantTypes {
		if g&grantType.bit != 0 {
			names = append(names, grantType.name)
		}
	}
	return names
}

// Has reports whether a grant type is one of them.
func (g GrantTypes) Has(grantType GrantTypes) bool {
	if g == 0 {
		g = ClientCredentials
	}
	return g&grantType != 0
}

// SupportedGrantTypes are the values of the parameter grant_type that the token endpoint knows.
// Those about persons are among them if people are served, and password if that is.
func SupportedGrantTypes(people, password bool) (parameters []string) {
	for _, grantType := range grantTypes {
		if grantType.bit != AuthorizationCode {
			parameters = append(parameters, grantType.parameter)
		}
	}
	if people {
		parameters = append(parameters, GrantAuthorizationCode, GrantRefreshToken)
	}
	if password {
		parameters = append(parameters, GrantPassword)
	}
	return parameters
}

// grantTypeOf is the grant type of a value of the parameter; zero if it is not known.
func grantTypeOf(parameter string) GrantTypes {
	for _, grantType := range grantTypes {
		if grantType.parameter == parameter {
			return grantType.bit
		}
	}
	return 0
}

// CheckGrantType refuses the request of a client that does not have its grant type.
func (r TokenRequest) CheckGrantType(client *Client) error {
	if client.GrantTypes.Has(r.GrantType) {
		return nil
	}
	return Refuse(UnauthorizedClient, ReasonGrantTypeNotAllowed, fmt.Sprintf(
		"this client does not have the grant type of the request; add %s to spec.grantTypes of the OAuth2Client", strings.Join(r.GrantType.Names(), ", ")))
}
