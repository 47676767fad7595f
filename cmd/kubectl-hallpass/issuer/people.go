// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Metadata are the endpoints of an authorization server at which people log in (RFC 8414).
type Metadata struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	// ChallengeMethods are the methods of PKCE (RFC 7636), and NamesIssuer is whether answers
	// name the issuer (RFC 9207).
	ChallengeMethods []string `json:"code_challenge_methods_supported"`
	NamesIssuer      bool     `json:"authorization_response_iss_parameter_supported"`
}

// ErrNoLogin means that no person can log in at an installation.
var ErrNoLogin = errors.New("the installation has no pages on which people log in")

// Discover fetches the metadata of an issuer. It refuses those of another issuer (RFC 8414 section
// 3.3), and those of a server that protects codes by less than PKCE with S256 and iss.
func (e *Endpoint) Discover(ctx context.Context, issuer string) (Metadata, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+oauth2.MetadataPath, nil)
	if err != nil || request.URL.Host == "" {
		return Metadata{}, fmt.Errorf("%q in the ConfigMap of the client is no URL", issuer)
	}
	body, err := e.do(request)
	if err != nil {
		return Metadata{}, err
	}
	var m Metadata
	switch err := json.Unmarshal(body, &m); {
	case err != nil || m.Token == "":
		return Metadata{}, fmt.Errorf("%s answers without the metadata of an authorization server; is it the issuer of Hallpass?", request.URL)
	case m.Issuer != issuer:
		return Metadata{}, fmt.Errorf("%s has the metadata of another issuer, %q", request.URL, m.Issuer)
	case m.Authorization == "":
		return Metadata{}, ErrNoLogin
	case !slices.Contains(m.ChallengeMethods, "S256") || !m.NamesIssuer:
		return Metadata{}, fmt.Errorf("%s announces neither PKCE with S256 nor iss in its answers, so a code would not be protected", request.URL)
	}
	for _, endpoint := range []string{m.Authorization, m.Token, m.Revocation} {
		if u, err := url.Parse(endpoint); err != nil || u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
			return Metadata{}, fmt.Errorf("%s names the endpoint %q, which is no https URL", request.URL, endpoint)
		}
	}
	return m, nil
}

// Code is an authorization code, and what proves that this program asked for it.
type Code struct {
	Value       string
	RedirectURI string
	Verifier    string
	Resource    string
}

// Tokens are an access token, and the refresh token for the next one if there is one.
type Tokens struct {
	Token

	Refresh oauth2.Secret
}

// Redeem redeems a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
func (e *Endpoint) Redeem(ctx context.Context, tokenURL string, code Code, now time.Time) (Tokens, error) {
	form := url.Values{
		"grant_type": {oauth2.GrantAuthorizationCode}, "code": {code.Value}, "redirect_uri": {code.RedirectURI}, "code_verifier": {code.Verifier},
	}
	if code.Resource != "" {
		form.Set("resource", code.Resource)
	}
	return e.tokens(ctx, tokenURL, form, now)
}

// Refresh fetches an access token with a refresh token (RFC 6749 section 6). An answer without a
// refresh token leaves the one that was sent in use.
func (e *Endpoint) Refresh(ctx context.Context, tokenURL string, refresh oauth2.Secret, now time.Time) (Tokens, error) {
	fetched, err := e.tokens(ctx, tokenURL, url.Values{"grant_type": {oauth2.GrantRefreshToken}, "refresh_token": {refresh.Reveal()}}, now)
	if err == nil && fetched.Refresh.Empty() {
		fetched.Refresh = refresh
	}
	return fetched, err
}

func (e *Endpoint) tokens(ctx context.Context, tokenURL string, form url.Values, now time.Time) (Tokens, error) {
	body, err := e.post(ctx, tokenURL, form)
	if err != nil {
		return Tokens{}, err
	}
	var answer struct {
		Type    string `json:"token_type"`
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Scope   string `json:"scope"`
		Seconds int64  `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Access == "" || !strings.EqualFold(answer.Type, "Bearer") {
		return Tokens{}, fmt.Errorf("%s answers without a bearer token; is it the token endpoint of Hallpass?", tokenURL)
	}
	end := now.Add(time.Duration(answer.Seconds) * time.Second)
	return Tokens{Token{oauth2.NewSecret(answer.Access), answer.Scope, end}, oauth2.NewSecret(answer.Refresh)}, nil
}
