// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package codegrant

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Request is an authorization request (RFC 6749 section 4.1.1).
type Request struct {
	// ClientID and RedirectURI are as they were sent; RedirectURI is empty if it was left out.
	ClientID, RedirectURI string
	State                 string
	// Scopes are the scopes asked for, each once.
	Scopes []string
	// Resource is the resource indicator (RFC 8707), empty if there is none.
	Resource string
	// Challenge is the code_challenge of the method S256.
	Challenge string
	// AskConsent means that the client wants the person to be asked (prompt=consent).
	AskConsent bool

	// problem is the refusal that is reported to the client.
	problem error
}

// ParseRequest reads the query of an authorization request. It refuses one that does not name its
// client and its redirect URI beyond doubt, which a person has to be shown. Everything else that is
// wrong is reported by Check. Unknown parameters are ignored (RFC 6749 section 3.1).
func ParseRequest(query string) (Request, error) {
	form, repeated, err := oauth2.ParseQuery(query)
	if err != nil {
		return Request{}, err
	}
	r := Request{ClientID: form.Get("client_id"), RedirectURI: form.Get("redirect_uri"), State: form.Get("state")}
	switch {
	case slices.Contains(repeated, "client_id"), slices.Contains(repeated, "redirect_uri"):
		return Request{}, refuseRequest("client_id or redirect_uri is sent more than once; send each once")
	case r.ClientID == "":
		return Request{}, refuseRequest("client_id is missing; send that of an OAuth2Client")
	case !oauth2.ValidClientID(r.ClientID):
		return Request{}, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonUnknownClient, "client_id is not that of an OAuth2Client")
	case len(repeated) > 0:
		r.problem = refuseRequest("a parameter is sent more than once; send each once")
		return r, nil
	}
	r.problem = r.read(form)
	return r, nil
}

// Check returns the refusal that is reported to the client at its redirect URI, or nil.
func (r Request) Check() error { return r.problem }

// read reads the parameters beside those that name the client.
func (r *Request) read(form oauth2.Form) (err error) {
	if err := checkProtocol(form); err != nil {
		return err
	}
	prompts := strings.Fields(form.Get("prompt"))
	if slices.Contains(prompts, "none") {
		return oauth2.Refuse(oauth2.LoginRequired, oauth2.ReasonRequestNotSupported,
			"each authorization is a login: there is no session that prompt=none could use; leave out prompt")
	}
	r.AskConsent = slices.Contains(prompts, "consent")
	if r.Challenge, err = readChallenge(form); err != nil {
		return err
	}
	if r.Scopes, err = oauth2.ParseScope(form.Get("scope")); err != nil {
		return err
	}
	r.Resource, err = oauth2.ParseResource(form)
	return err
}

// checkProtocol refuses a request that asks for something else than a code in the query of the
// redirect URI.
func checkProtocol(form oauth2.Form) error {
	unsupported := func(code oauth2.ErrorCode, description string) error {
		return oauth2.Refuse(code, oauth2.ReasonRequestNotSupported, description)
	}
	switch responseType, mode := form.Get("response_type"), form.Get("response_mode"); {
	case form.Get("request") != "":
		return unsupported(oauth2.RequestNotSupported, "request objects are not supported; send the parameters themselves")
	case form.Get("request_uri") != "":
		return unsupported(oauth2.RequestURINotSupported, "request_uri is not supported; send the parameters themselves")
	case form.Get("registration") != "":
		return unsupported(oauth2.RegistrationUnsupported, "clients do not register themselves; an OAuth2Client registers them")
	case responseType == "":
		return refuseRequest("response_type is missing; send response_type=code")
	case responseType != "code":
		return unsupported(oauth2.UnsupportedResponseType, "this response_type is not supported; send response_type=code")
	case mode != "" && mode != "query":
		return unsupported(oauth2.InvalidRequest, "this response_mode is not supported; leave it out, or send response_mode=query")
	}
	return nil
}

// readChallenge reads the code_challenge (RFC 7636 section 4.3). It is required of each client, and
// plain is not supported: OAuth 2.1 section 4.1.1, RFC 9700 section 2.1.1.
func readChallenge(form oauth2.Form) (string, error) {
	challenge := form.Get("code_challenge")
	switch method := form.Get("code_challenge_method"); {
	case challenge == "":
		return "", refusePKCE("code_challenge is missing; each authorization request needs PKCE (RFC 7636) with code_challenge_method=S256")
	case method != "S256":
		return "", refusePKCE("code_challenge_method must be S256 (RFC 7636): plain, which is meant if it is left out, is not supported")
	case !isChallenge(challenge):
		return "", refusePKCE("code_challenge must be the SHA-256 of the code_verifier in base64url without padding (RFC 7636 section 4.2)")
	}
	return challenge, nil
}

const challengeLength = 43

func isChallenge(challenge string) bool {
	if len(challenge) != challengeLength || strings.ContainsAny(challenge, "\r\n") {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(challenge)
	return err == nil
}

func refusePKCE(description string) error {
	return oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonPKCENeeded, description)
}

func refuseRequest(description string) error {
	return oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, description)
}
