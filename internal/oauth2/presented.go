// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"net/url"
	"slices"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// AuthMethod is a client authentication method by its registered name (RFC 8414 section 2).
type AuthMethod string

// The client authentication methods that Hallpass knows.
const (
	ClientSecretBasic AuthMethod = "client_secret_basic"
	ClientSecretPost  AuthMethod = "client_secret_post"
	PrivateKeyJWT     AuthMethod = "private_key_jwt"
	// ServiceAccountJWT is the token of a Kubernetes service account as the assertion (RFC 7523
	// section 2.2). The name is not registered, so metadata does not list it.
	ServiceAccountJWT AuthMethod = "service_account_jwt"
	// FederatedJWT is the JWT of a trusted issuer as the assertion. The name is not registered
	// either.
	FederatedJWT AuthMethod = "federated_jwt"
	// PasswordOfAccount is the token of a Kubernetes service account as the password of the
	// grant type password. The name is not registered either.
	PasswordOfAccount AuthMethod = "service_account_password"
	// NoAuthentication is that of a public client, which names itself and proves nothing.
	NoAuthentication AuthMethod = "none"
)

// Bounds of credentials in a request.
const (
	maxClientIDLength = 320 // a namespace of 63, a dot, a name of 253, and some air
	maxSecretLength   = 1024
)

// minSecretLength is the shortest accepted client secret: 22 characters of base64url hold 128 bits.
const minSecretLength = 22

// Presented are the credentials of a request, by one method (RFC 6749 section 2.3).
type Presented struct {
	Method AuthMethod
	// Readings are the ways to read a secret, the standard one first. Only Basic has two: RFC
	// 6749 section 2.3.1 wants id and secret form-encoded, and many clients do not encode them.
	Readings []Reading
	// Assertion is set for private_key_jwt, AccountToken for the token of a pod, ForeignToken
	// for a JWT whose subject is another one than the client that the request names. See
	// Foreign.
	Assertion    *Assertion
	AccountToken *AccountToken
	ForeignToken *ForeignToken
	// PublicID is the client_id of a request that presents nothing else; see PresentPublic.
	PublicID string
}

// Reading is one way to read a client_id and a secret.
type Reading struct {
	ClientID string
	Secret   Secret
}

// ClientID is the client_id as the standard reads it, for the audit line.
func (p Presented) ClientID() string {
	switch {
	case p.Assertion != nil:
		return p.Assertion.ClientID
	case p.AccountToken != nil:
		return p.AccountToken.ClientID
	case p.ForeignToken != nil:
		return p.ForeignToken.ClientID
	case p.PublicID != "":
		return p.PublicID
	}
	return p.Readings[0].ClientID
}

// Candidates are the client_ids, without duplicates, of well-formed readings: the source may be
// asked about them. There are none of a JWT whose request names no client.
func (p Presented) Candidates() []string {
	var ids []string
	for _, reading := range p.Readings {
		if reading.wellFormed() && !slices.Contains(ids, reading.ClientID) {
			ids = append(ids, reading.ClientID)
		}
	}
	if p.Assertion != nil {
		ids = append(ids, p.Assertion.ClientID)
	}
	if p.ForeignToken != nil && p.ForeignToken.ClientID != "" {
		ids = append(ids, p.ForeignToken.ClientID)
	}
	if p.AccountToken != nil && p.AccountToken.ClientID != "" {
		ids = append(ids, p.AccountToken.ClientID)
	}
	if p.PublicID != "" {
		ids = append(ids, p.PublicID)
	}
	return ids
}

// OnlyAccount is the service account of a token that names no client; nil for anything else.
func (p Presented) OnlyAccount() *ObjectName {
	if p.AccountToken == nil || p.AccountToken.ClientID != "" {
		return nil
	}
	return &p.AccountToken.Account
}

// OnlySubject is the JWT of a trusted issuer in a request that names no client; nil for anything
// else.
func (p Presented) OnlySubject() *ForeignToken {
	if p.ForeignToken == nil || p.ForeignToken.ClientID != "" {
		return nil
	}
	return p.ForeignToken
}

// wellFormed reports whether the secret could have been given out. Others are refused without a
// look-up, so that unauthenticated callers cannot cause requests to the API server.
func (r Reading) wellFormed() bool {
	if !ValidClientID(r.ClientID) || len(r.Secret.Reveal()) < minSecretLength {
		return false
	}
	if !strings.HasPrefix(r.Secret.Reveal(), ClientSecretPrefix) {
		return true
	}
	_, err := ParseClientSecret(r.Secret)
	return err == nil
}

// ParsePresented parses the credentials of an Authorization header and a form. A client_id in the
// form beside Basic is no second credential; a client_secret is.
func ParsePresented(authorization []string, form Form) (Presented, error) {
	formID, formSecret := form.Get("client_id"), form.Get("client_secret")
	byAssertion := form.Get("client_assertion") != "" || form.Get("client_assertion_type") != ""
	switch {
	case len(authorization) > 1, len(authorization) == 1 && formSecret != "", byAssertion && (len(authorization) == 1 || formSecret != ""):
		return Presented{}, Refuse(InvalidRequest, ReasonSeveralMethods,
			"the client is authenticated in more than one way; use one")
	case len(authorization) == 1:
		return parseBasic(authorization[0])
	case byAssertion:
		return parseClientAssertion(form)
	case formSecret == "":
		return Presented{}, refuseClient(ReasonNoCredentials)
	case formID == "":
		return Presented{}, Refuse(InvalidRequest, ReasonMalformedRequest, "client_secret is sent without client_id; send both")
	}
	return Presented{Method: ClientSecretPost, Readings: []Reading{{formID, NewSecret(formSecret)}}}.bounded()
}

// PresentPublic returns the client_id of a request without any credential (RFC 6749 section 3.2.1).
// ok is false for a request that has one, or no client_id. Only endpoints at which public clients
// are served ask for it.
func PresentPublic(authorization []string, form Form) (presented Presented, ok bool) {
	id := form.Get("client_id")
	for _, credential := range []string{"client_secret", "client_assertion", "client_assertion_type"} {
		if form.Get(credential) != "" {
			return Presented{}, false
		}
	}
	if len(authorization) > 0 || !ValidClientID(id) || LooksSecret(id) {
		return Presented{}, false
	}
	return Presented{Method: NoAuthentication, PublicID: id}, true
}

// AuthenticatePublic returns the record of a public client that may act. It proves nothing about
// the caller: what is issued to such a client is bound to a code or a token that it presents. The
// answer about a client that has to authenticate is the one to a request without credentials.
func AuthenticatePublic(presented Presented, record func(clientID string) Record) (Record, error) {
	found := record(presented.PublicID)
	reason := found.Denial()
	if reason != ReasonUnknownClient && !found.Client.Credentials.Public {
		reason = ReasonNoCredentials
	}
	if reason != "" {
		return Record{}, refuseClient(reason)
	}
	return found, nil
}

// parseBasic reads RFC 7617 Basic credentials both ways.
func parseBasic(header string) (Presented, error) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return Presented{}, refuseClient(ReasonWrongMethod)
	}
	decoded, err := jws.DecodeBase64(strings.TrimLeft(encoded, " "))
	if err != nil {
		return Presented{}, refuseClient(ReasonMalformedCredential)
	}
	text := string(decoded)
	id, secret, found := strings.Cut(text, ":")
	switch {
	case !found:
		return Presented{}, refuseClient(ReasonMalformedCredential)
	case isCutURI(id, secret):
		return Presented{}, Refuse(InvalidClient, ReasonMalformedCredential,
			"client authentication failed: in Basic a client_id with a colon is form-encoded (RFC 6749 section 2.3.1)")
	}
	asSent := Reading{id, NewSecret(secret)}
	presented := Presented{Method: ClientSecretBasic, Readings: []Reading{asSent}}
	if strings.ContainsAny(text, "%+") {
		formID, idErr := url.QueryUnescape(id)
		formSecret, secretErr := url.QueryUnescape(secret)
		if idErr == nil && secretErr == nil {
			presented.Readings = []Reading{{formID, NewSecret(formSecret)}, asSent}
		}
	}
	return presented.bounded()
}

// isCutURI reports whether Basic credentials were cut at the first colon of a client_id that is a
// URI.
func isCutURI(id, secret string) bool {
	switch id {
	case "https":
		return strings.HasPrefix(secret, "//") && strings.Contains(secret, ":")
	case "urn":
		return strings.Contains(secret, ":")
	}
	return false
}

func (p Presented) bounded() (Presented, error) {
	for _, r := range p.Readings {
		if r.ClientID == "" || r.Secret.Empty() || len(r.ClientID) > maxClientIDLength || len(r.Secret.Reveal()) > maxSecretLength {
			return Presented{}, refuseClient(ReasonMalformedCredential)
		}
	}
	return p, nil
}
