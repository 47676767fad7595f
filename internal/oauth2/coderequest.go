// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

// CodeRequest is a token request with an authorization code: RFC 6749 section 4.1.3, RFC 7636
// section 4.5.
type CodeRequest struct {
	Code, Verifier Secret
	// RedirectURI may be left out: OAuth 2.1 has it no longer. One that is sent is compared.
	RedirectURI string
	// Resource may name the resource that the code is for; "" is that one too.
	Resource string
}

// RefreshRequest is a token request with a refresh token: RFC 6749 section 6.
type RefreshRequest struct {
	Token Secret
	// Scopes are fewer than those of the grant; none means all of them.
	Scopes []string
	// Resource may name the resource that the grant is for; "" is that one too.
	Resource string
}

// ParseCodeRequest reads the parameters of a request with a code.
func ParseCodeRequest(form Form) (CodeRequest, error) {
	switch {
	case form.Get("code") == "":
		return CodeRequest{}, malformedForm("code is missing; send the code that the redirect has")
	case form.Get("code_verifier") == "":
		return CodeRequest{}, malformedForm("code_verifier is missing; send the one whose S256 hash is the code_challenge of the authorization request (RFC 7636)")
	}
	resource, err := optionalIndicator(form)
	return CodeRequest{
		Code: NewSecret(form.Get("code")), Verifier: NewSecret(form.Get("code_verifier")), RedirectURI: form.Get("redirect_uri"), Resource: resource,
	}, err
}

// ParseRefreshRequest reads the parameters of a request with a refresh token.
func ParseRefreshRequest(form Form) (RefreshRequest, error) {
	if form.Get("refresh_token") == "" {
		return RefreshRequest{}, malformedForm("refresh_token is missing; send the one of the last answer")
	}
	scopes, err := ParseScope(form.Get("scope"))
	if err != nil {
		return RefreshRequest{}, err
	}
	resource, err := optionalIndicator(form)
	return RefreshRequest{Token: NewSecret(form.Get("refresh_token")), Scopes: scopes, Resource: resource}, err
}

// optionalIndicator returns the resource indicator of a request, or "" if it has none.
func optionalIndicator(form Form) (string, error) {
	indicators := form.All(parameterResource)
	if len(indicators) == 0 {
		return "", nil
	}
	return onlyIndicator(indicators, "a code is for one resource; send that one, or leave out resource")
}
