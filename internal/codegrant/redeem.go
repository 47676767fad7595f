// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package codegrant

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Redemption is a request to redeem a code (RFC 6749 section 4.1.3) beside the authentication of
// its client.
type Redemption struct {
	// Code is the sealed code.
	Code                  oauth2.Secret
	RedirectURI, Verifier string
	// Resource is empty, or that of the authorization request (RFC 8707 section 2.2).
	Resource string
}

// ParseRedemption reads the parameters of a token request with grant type authorization_code. The
// parameter scope has no meaning there.
func ParseRedemption(form oauth2.Form) (Redemption, error) {
	resource, err := oauth2.ParseResource(form)
	if err != nil {
		return Redemption{}, err
	}
	r := Redemption{
		Code: oauth2.NewSecret(form.Get("code")), RedirectURI: form.Get("redirect_uri"), Verifier: form.Get("code_verifier"), Resource: resource,
	}
	switch {
	case r.Code.Empty():
		return Redemption{}, refuseRequest("code is missing; send that of the redirect")
	case r.Verifier == "":
		return Redemption{}, refusePKCE("code_verifier is missing; send that of which code_challenge was made (RFC 7636 section 4.5)")
	}
	return r, nil
}

// RefuseCode refuses a code that does not open, or is that of another client.
func RefuseCode() error {
	return refuseGrant(oauth2.ReasonCodeRefused, "the code is not valid for this client; let the person log in again")
}

// CodeUsed refuses a code that was redeemed before (RFC 6749 section 4.1.2). Its grant has ended.
func CodeUsed() error {
	return refuseGrant(oauth2.ReasonCodeUsed, "the code was used before, and what was issued for it is revoked; let the person log in again")
}

// Check decides whether a client may redeem the code, before the redemption is written. A client
// that is not the one of the code cannot end its grant that way.
func (c Code) Check(client *oauth2.Client, request Redemption, now time.Time) error {
	isRedirect := request.RedirectURI == c.RedirectURI || request.RedirectURI == "" && c.RedirectOmitted
	switch {
	case client.ID != c.ClientID, client.UID != c.ClientUID:
		return RefuseCode()
	case !isRedirect:
		return refuseGrant(oauth2.ReasonCodeRefused, "redirect_uri must be that of the authorization request, character by character")
	case !ProvesVerifier(c.Challenge, request.Verifier):
		return refuseGrant(oauth2.ReasonWrongVerifier, "code_verifier is not that of which code_challenge was made (RFC 7636 section 4.6)")
	case !now.Before(c.ExpiresAt):
		return refuseGrant(oauth2.ReasonCodeExpired, "the code has expired: redeem it within a minute; let the person log in again")
	case request.Resource != "" && request.Resource != c.Resource:
		return refuseTarget()
	}
	return nil
}

// Request is what is granted for the code: what the person was shown, as far as it is granted yet.
func (c Code) Request() oauth2.TokenRequest {
	return oauth2.TokenRequest{GrantType: oauth2.AuthorizationCode, Resource: c.Resource, Person: c.Person, Within: c.Scopes}
}

func refuseGrant(reason oauth2.Reason, description string) error {
	return oauth2.Refuse(oauth2.InvalidGrant, reason, description)
}

func refuseTarget() error {
	return oauth2.Refuse(oauth2.InvalidTarget, oauth2.ReasonTargetNotGranted,
		"the person logged in for another resource; leave out resource, or let the person log in for that one")
}
