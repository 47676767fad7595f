// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package loginport is the contract between login, which serves pages to people, and the token
// server, which decides: the messages of the token server's second port, and a client of it. A
// login takes three calls. Begin decides about an authorization request (RFC 6749 section 4.1.1)
// before anything is shown. Resume returns the attempt of a ticket once more, for the replica of
// login at which the browser comes back: it has nothing but the ticket, and it must not believe a
// cookie which provider gets a client secret. Finish exchanges the ticket and the ID token of the
// person's identity provider for the URL that the browser is sent to. The package decides nothing
// and imports no other package of this module.
package loginport

import (
	"fmt"
	"io"
	"log/slog"
)

// Paths and form of the port. Each path takes POST with a JSON object, and answer with one. The
// caller authenticates with a token of its ServiceAccount as bearer token (RFC 6750 section 2.1),
// made for the audience that Audience returns.
const (
	BeginPath  = "/login/begin"
	ResumePath = "/login/resume"
	FinishPath = "/login/finish"
	MediaType  = "application/json"
)

// Bounds of messages.
const (
	// MaxRequestBytes bounds the body of a request.
	MaxRequestBytes = 64 << 10
	// MaxAnswerBytes bounds the body of an answer, which may contain a bundle of certificates.
	MaxAnswerBytes = 256 << 10
	// MaxTicketBytes bounds a ticket, so that it fits into a cookie. Begin refuses a request
	// whose ticket would be longer.
	MaxTicketBytes = 3 << 10
)

// Audience is the audience of the ServiceAccount token that authenticates login.
func Audience(issuer string) string { return issuer + "/login" }

// Opaque is a value that only the token server reads, or a token. It prints as REDACTED.
type Opaque string

// Format implements fmt.Formatter for every verb.
func (Opaque) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, "REDACTED") }

// LogValue implements slog.LogValuer.
func (Opaque) LogValue() slog.Value { return slog.StringValue("REDACTED") }

// BeginRequest is an authorization request as it arrived.
type BeginRequest struct {
	// Query is the query of the authorization request after the ? character, neither
	// decoded nor changed. For a request by POST it is the body.
	Query string `json:"query"`
	// Source is the address of the person's browser, for the audit line and for limits. It
	// decides nothing.
	Source string `json:"source,omitempty"`
}

// ResumeRequest asks for the attempt of a ticket. The answer is a BeginAnswer: the attempt with the
// same ticket and nonce, or what ended it, such as a client that was suspended meanwhile.
type ResumeRequest struct {
	Ticket Opaque `json:"ticket"`
	// Source is the address of the person's browser; see BeginRequest.
	Source string `json:"source,omitempty"`
}

// BeginAnswer has exactly one member. Refusal is set if the request proves no redirect URI: the
// person sees a page, and the browser is sent nowhere (RFC 9700 section 4.11). Redirect is set if
// the redirect URI is proven and the request is refused: it has error, state and iss. Attempt is
// set if the request is accepted.
type BeginAnswer struct {
	Refusal  *Refusal `json:"refusal,omitempty"`
	Redirect string   `json:"redirect,omitempty"`
	Attempt  *Attempt `json:"attempt,omitempty"`
}

// Refusal is the text of a page for the person. The texts contain nothing of the request.
type Refusal struct {
	// Code is an error code of RFC 6749 section 4.1.2.1 or 5.2.
	Code string `json:"code"`
	// Description has what is wrong and what to do, in one sentence without markup.
	Description string `json:"description"`
	// Reason is the word for it in audit lines, metrics and conditions, by which the operator
	// of the client finds more.
	Reason string `json:"reason"`
}

// Attempt is an authorization request that was accepted.
type Attempt struct {
	// Ticket contains the attempt, sealed by the token server. A holder of it and of a matching
	// ID token can finish the attempt, so it belongs in a cookie that scripts cannot read.
	Ticket Opaque `json:"ticket"`
	// ExpiresIn is how many seconds the ticket is valid.
	ExpiresIn int `json:"expiresIn"`
	// Nonce is the nonce of the authentication request at the provider (OpenID Connect Core 1.0
	// section 3.1.2.1). It is a hash of the ticket, and Finish requires it in the ID token.
	Nonce    string   `json:"nonce"`
	Provider Provider `json:"provider"`
	Consent  Consent  `json:"consent"`
}

// Provider is the identity provider of an attempt, which an OAuth2TrustedIssuer configures.
type Provider struct {
	// Name is the name of the OAuth2TrustedIssuer, and DisplayName its name for people, which
	// may be empty.
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
	// Issuer is the issuer URL, below which the discovery document is.
	Issuer string `json:"issuer"`
	// ClientID is the client_id of Hallpass at the provider.
	ClientID string `json:"clientID"`
	// SecretName is the Secret in the namespace of login whose entry client_secret
	// authenticates Hallpass at the provider.
	SecretName string `json:"secretName"`
	// Scopes are the scopes of the authentication request; openid is among them.
	Scopes []string `json:"scopes"`
	// CABundle verifies the certificate of the provider, in PEM. Empty means the certificate
	// authorities of the image.
	CABundle []byte `json:"caBundle,omitempty"`
	// AllowedCIDRs are the private addresses that may be dialled; without them only public
	// ones.
	AllowedCIDRs []string `json:"allowedCIDRs,omitempty"`
}

// Consent is the content of the consent page. Its texts were chosen by the owners of the client and
// of the API: they are text, and never markup.
type Consent struct {
	// Needed is set if the person must be asked. Otherwise the page is left out.
	Needed bool `json:"needed,omitempty"`
	// ClientID, ClientName and Namespace are the client: its client_id, the name for people
	// that its owner chose, which may be empty, and the namespace of its OAuth2Client.
	ClientID   string `json:"clientID"`
	ClientName string `json:"clientName,omitempty"`
	Namespace  string `json:"namespace"`
	// RedirectHost is where the person is sent afterwards: the host with its port, or the
	// scheme of a native application.
	RedirectHost string `json:"redirectHost"`
	// RedirectOrigin is the source expression that a Content-Security-Policy needs to allow
	// that redirect after a form, such as https://app.example.com or com.example.app:.
	RedirectOrigin string `json:"redirectOrigin"`
	// API is the identifier of the API, and APIName the name for people that its owner chose,
	// which may be empty.
	API     string `json:"api"`
	APIName string `json:"apiName,omitempty"`
	// Scopes are what the client will be granted, and LeftOut what it asked for in vain.
	Scopes  []Scope  `json:"scopes"`
	LeftOut []string `json:"leftOut,omitempty"`
}

// Scope is a scope, and what it allows in the words of the API's owner, which may be empty.
type Scope struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// FinishRequest ends an attempt: with the ID token of the provider, or with the reason why there is
// none. Exactly one of IDToken and Ended is set.
type FinishRequest struct {
	Ticket  Opaque `json:"ticket"`
	IDToken Opaque `json:"idToken,omitempty"`
	Ended   Ended  `json:"ended,omitempty"`
	// Source is the address of the person's browser; see BeginRequest.
	Source string `json:"source,omitempty"`
}

// Ended is why an attempt ends without an ID token.
type Ended string

// The ends of an attempt. The client gets access_denied for the first two,
// temporarily_unavailable for the third, and server_error for the last (RFC 6749 section 4.1.2.1).
const (
	// PersonRefused: the person did not consent.
	PersonRefused Ended = "PersonRefused"
	// ProviderRefused: the provider answered with an error, for example because the person
	// cancelled.
	ProviderRefused Ended = "ProviderRefused"
	// ProviderUnavailable: the provider could not be reached, or login is overloaded. It may
	// help to try again.
	ProviderUnavailable Ended = "ProviderUnavailable"
	// ProviderUnusable: the provider refuses Hallpass, or its answer cannot be used.
	ProviderUnusable Ended = "ProviderUnusable"
)

// FinishAnswer has exactly one member. Redirect is where the browser is sent, with a code or with
// an error, and with state and iss; treat it as a secret. Refusal is set if the ticket is of no
// use: it proves no redirect.
type FinishAnswer struct {
	Redirect Opaque   `json:"redirect,omitempty"`
	Refusal  *Refusal `json:"refusal,omitempty"`
}
