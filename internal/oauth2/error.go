// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// ErrorCode is an error code of the OAuth 2.0 registry.
type ErrorCode string

// The codes of responses: RFC 6749 section 5.2, RFC 6750 section 3.1, RFC 8707 section 2. Those
// from UnsupportedResponseType on are those of the authorization endpoint: RFC 6749 section
// 4.1.2.1, and from LoginRequired on OpenID Connect Core 1.0 section 3.1.2.6.
const (
	InvalidRequest          ErrorCode = "invalid_request"
	InvalidClient           ErrorCode = "invalid_client"
	InvalidGrant            ErrorCode = "invalid_grant"
	UnauthorizedClient      ErrorCode = "unauthorized_client"
	UnsupportedGrantType    ErrorCode = "unsupported_grant_type"
	InvalidScope            ErrorCode = "invalid_scope"
	InvalidTarget           ErrorCode = "invalid_target"
	InvalidToken            ErrorCode = "invalid_token"
	InsufficientScope       ErrorCode = "insufficient_scope"
	UnsupportedResponseType ErrorCode = "unsupported_response_type"
	ServerError             ErrorCode = "server_error"
	TemporarilyUnavailable  ErrorCode = "temporarily_unavailable"
	AccessDenied            ErrorCode = "access_denied"
	LoginRequired           ErrorCode = "login_required"
	RequestNotSupported     ErrorCode = "request_not_supported"
	RequestURINotSupported  ErrorCode = "request_uri_not_supported"
	RegistrationUnsupported ErrorCode = "registration_not_supported"
)

// Reason explains a decision in audit lines, metrics and conditions.
type Reason string

// The reasons of refusals. Those that callers must not distinguish share a code and a description.
const (
	ReasonMalformedRequest    Reason = "MalformedRequest"
	ReasonNoCredentials       Reason = "NoCredentials"
	ReasonSeveralMethods      Reason = "SeveralAuthenticationMethods"
	ReasonMalformedCredential Reason = "MalformedCredential"
	ReasonUnknownClient       Reason = "UnknownClient"
	ReasonWrongSecret         Reason = "WrongSecret"
	// ReasonSecretNotDecoded: the secret is the client's, and still encoded in Base64 as in a
	// manifest.
	ReasonSecretNotDecoded    Reason = "SecretNotDecoded"
	ReasonWrongMethod         Reason = "WrongAuthenticationMethod"
	ReasonWrongAssertion      Reason = "WrongAssertion"
	ReasonAssertionExpired    Reason = "AssertionExpired"
	ReasonAssertionReplayed   Reason = "AssertionReplayed"
	ReasonAssertionKeyUnknown Reason = "AssertionKeyUnknown"
	ReasonInvalidJWKS         Reason = "InvalidJWKS"
	ReasonAssertionAudience   Reason = "WrongAssertionAudience"
	ReasonAssertionTooLong    Reason = "AssertionLivesTooLong"
	ReasonWrongServiceAccount Reason = "WrongServiceAccount"
	ReasonSuspended           Reason = "Suspended"
	ReasonNotAllowedByPolicy  Reason = "NotAllowedByPolicy"
	ReasonOwnerGone           Reason = "OwnerGone"
	ReasonOwnerUnknown        Reason = "OwnerUnknown"
	ReasonUnsupportedGrant    Reason = "UnsupportedGrantType"
	ReasonScopeNotGranted     Reason = "ScopeNotGranted"
	ReasonTargetNotGranted    Reason = "TargetNotGranted"
	ReasonAlgorithmNotEnabled Reason = "SigningAlgorithmNotEnabled"
	ReasonAlgorithmNotReady   Reason = "SigningAlgorithmNotReady"
	ReasonNoSigningKey        Reason = "NoSigningKey"
	ReasonTokenMalformed      Reason = "TokenMalformed"
	// ReasonTokenClaimReserved: the token has a member that some reader takes for one that
	// Hallpass writes.
	ReasonTokenClaimReserved Reason = "TokenClaimReserved"
	ReasonTokenSignature     Reason = "TokenSignatureInvalid"
	ReasonTokenKeyUnknown    Reason = "TokenKeyUnknown"
	ReasonTokenKeyWithdrawn  Reason = "TokenKeyWithdrawn"
	ReasonTokenForeign       Reason = "TokenForeign"
	ReasonTokenExpired       Reason = "TokenExpired"
	ReasonTokenNotYetValid   Reason = "TokenNotYetValid"
	ReasonTokenClientChanged Reason = "TokenClientChanged"
	ReasonTokenRevoked       Reason = "TokenRevoked"
	ReasonTokenUnknown       Reason = "TokenUnknown"
	ReasonTokenOwnerUnknown  Reason = "TokenOwnerUnknown"
	ReasonTokenOwnerGone     Reason = "TokenOwnerGone"
	ReasonTokenReplaced      Reason = "TokenReplaced"
	ReasonNotForCaller       Reason = "NotForCaller"
	ReasonLookupUnavailable  Reason = "LookupUnavailable"
	// ReasonThrottled: the caller asks too often.
	ReasonThrottled Reason = "Throttled"
	// ReasonTokenOfAnother: a client wants to revoke what was issued to another one.
	ReasonTokenOfAnother Reason = "TokenOfAnotherClient"
	// ReasonRevocationNotDurable: a revocation was not written; it holds at this replica alone.
	ReasonRevocationNotDurable Reason = "RevocationNotDurable"
	// ReasonGrantNotDurable: what a grant of a person needs was not written, because the API
	// server did not answer in time, or there is no room for it: that a code is redeemed, that
	// a refresh token is replaced, or that the grant has ended.
	ReasonGrantNotDurable Reason = "GrantNotDurable"
	// ReasonWrongAudience: the token is good, but for another audience than the one that a
	// proxy requires.
	ReasonWrongAudience Reason = "WrongAudience"
	// ReasonInsufficientScope: the token is good and lacks a scope that a proxy requires.
	ReasonInsufficientScope Reason = "InsufficientScope"
	// ReasonRequirementMalformed: a proxy asks without its requirements.
	ReasonRequirementMalformed Reason = "RequirementMalformed"
	// ReasonIdentityTooLarge: the claims of the token do not fit into the headers for a proxy.
	ReasonIdentityTooLarge Reason = "IdentityTooLarge"
	// ReasonServiceAccountNotFound: the client's account is missing; its condition has the same
	// word.
	ReasonServiceAccountNotFound Reason = "ServiceAccountNotFound"
	// ReasonAccountTokenEnded: the cluster honours the token no more; its pod or account is
	// gone.
	ReasonAccountTokenEnded Reason = "ServiceAccountTokenEnded"
	// ReasonClientIDNeeded: the request names no client, and the service account or the subject
	// of its token does not identify one. The conditions of clients have the same word.
	ReasonClientIDNeeded Reason = "ClientIDNeeded"
	// ReasonIssuerNotFound: there is no trusted issuer of the name that the client has, or of
	// the iss in a request that names no client.
	ReasonIssuerNotFound Reason = "IssuerNotFound"
	// ReasonIssuerSuspended: the trusted issuer of the client is suspended.
	ReasonIssuerSuspended Reason = "IssuerSuspended"
	// ReasonOwnIssuer: the trusted issuer is this one, or that of the cluster.
	ReasonOwnIssuer Reason = "OwnIssuer"
	// ReasonNotAllowedByIssuer: the trusted issuer does not let the namespace of the client use
	// the JWT.
	ReasonNotAllowedByIssuer Reason = "NotAllowedByIssuer"
	// ReasonKeysStale: the keys of the trusted issuer could not be fetched for too long.
	ReasonKeysStale Reason = "KeysStale"
	// ReasonWrongSubject and ReasonWrongClaim: the JWT of the trusted issuer is not one that
	// the client names.
	ReasonWrongSubject Reason = "WrongSubject"
	ReasonWrongClaim   Reason = "WrongClaim"
	// ReasonGrantTypeNotAllowed: the client does not have the grant type of the request.
	ReasonGrantTypeNotAllowed Reason = "GrantTypeNotAllowed"
	// ReasonSubjectTokenRefused: the token that a client wants to exchange is not active, or
	// was not sent to the client.
	ReasonSubjectTokenRefused Reason = "SubjectTokenRefused"
	// ReasonSubjectTokenNotPassedOn: the token is one that is not exchanged.
	ReasonSubjectTokenNotPassedOn Reason = "SubjectTokenNotPassedOn"
	// ReasonTokenServersOutdated: a token server may not read exchanged tokens, or those of
	// persons.
	ReasonTokenServersOutdated Reason = "TokenServersOutdated"
	// ReasonPeopleNotServed: a program sent a person to log in.
	ReasonPeopleNotServed Reason = "PeopleNotServed"
	// ReasonRedirectNotAllowed: the redirect URI is missing, or is none of the client's. The
	// condition of the client has the same word if a policy does not allow one.
	ReasonRedirectNotAllowed Reason = "RedirectNotAllowed"
	// ReasonRequestNotSupported: the authorization request asks for another protocol than a
	// code with PKCE S256 in the query.
	ReasonRequestNotSupported Reason = "RequestNotSupported"
	// ReasonPKCENeeded: the request has no code_challenge of the method S256, or no
	// code_verifier.
	ReasonPKCENeeded Reason = "PKCENeeded"
	// ReasonLoginNotAvailable: there is no issuer, or more than one, at which persons log in
	// for the client; its condition has the same word.
	ReasonLoginNotAvailable Reason = "LoginNotAvailable"
	// ReasonTicketRefused: the ticket of a login was not sealed here, or has expired.
	ReasonTicketRefused Reason = "TicketRefused"
	// ReasonCodeRefused: the authorization code was not sealed here, has expired, or is that of
	// another client or redirect URI.
	ReasonCodeRefused Reason = "CodeRefused"
	// ReasonCodeExpired: the authorization code has expired.
	ReasonCodeExpired Reason = "CodeExpired"
	// ReasonCodeUsed: the authorization code was redeemed before. Its grant has ended.
	ReasonCodeUsed Reason = "CodeUsed"
	// ReasonWrongVerifier: the code_verifier is not that of the code_challenge.
	ReasonWrongVerifier Reason = "WrongCodeVerifier"
	// ReasonRefreshRefused: the refresh token was not sealed here, or is that of another
	// client.
	ReasonRefreshRefused Reason = "RefreshTokenRefused"
	// ReasonRefreshExpired: the refresh token has expired, or was not used for too long.
	ReasonRefreshExpired Reason = "RefreshTokenExpired"
	// ReasonRefreshReplaced: the refresh token was replaced by another one a short time ago.
	ReasonRefreshReplaced Reason = "RefreshTokenReplaced"
	// ReasonRefreshReused: the refresh token was replaced long ago, so that it may be stolen.
	// Its grant has ended.
	ReasonRefreshReused Reason = "RefreshTokenReused"
	// ReasonRefreshesUsedUp: the grant was refreshed as often as the client allows.
	ReasonRefreshesUsedUp Reason = "RefreshesUsedUp"
	// ReasonGrantEnded: the grant of the code or refresh token was revoked.
	ReasonGrantEnded Reason = "GrantEnded"
	// ReasonWrongIDToken: the ID token of the identity provider has not the form, the type, the
	// signature or the issuer that it needs.
	ReasonWrongIDToken Reason = "WrongIDToken"
	// ReasonIDTokenKeyUnknown: the identity provider does not publish the key of the ID token.
	ReasonIDTokenKeyUnknown Reason = "IDTokenKeyUnknown"
	// ReasonIDTokenExpired: the ID token has expired, is old, or is of the future.
	ReasonIDTokenExpired Reason = "IDTokenExpired"
	// ReasonIDTokenAudience: the ID token was issued to another client of the identity
	// provider.
	ReasonIDTokenAudience Reason = "WrongIDTokenAudience"
	// ReasonIDTokenNonce: the ID token is of another login.
	ReasonIDTokenNonce Reason = "WrongIDTokenNonce"
	// ReasonPersonNotAllowed: the claims or groups of the person are not those that may log in.
	ReasonPersonNotAllowed Reason = "PersonNotAllowed"
	// ReasonGroupsNotInToken: the identity provider has left out the groups, because the person
	// has too many.
	ReasonGroupsNotInToken Reason = "GroupsNotInToken"
	// ReasonPersonRefused: the person did not consent.
	ReasonPersonRefused Reason = "PersonRefused"
	// ReasonProviderRefused: the identity provider answered with an error, for example because
	// the person cancelled.
	ReasonProviderRefused Reason = "ProviderRefused"
	// ReasonProviderUnavailable: the identity provider could not be reached.
	ReasonProviderUnavailable Reason = "ProviderUnavailable"
	// ReasonProviderUnusable: the identity provider refused Hallpass, or its answer cannot be
	// used.
	ReasonProviderUnusable Reason = "ProviderUnusable"
)

// ProvesCaller reports whether only a caller with the credential of a client can be refused for the
// reason. Any caller that knows a client_id can cause the others.
func (r Reason) ProvesCaller() bool {
	return slices.Contains([]Reason{
		ReasonUnsupportedGrant, ReasonGrantTypeNotAllowed, ReasonTargetNotGranted, ReasonScopeNotGranted, ReasonAlgorithmNotEnabled,
		ReasonSubjectTokenRefused, ReasonSubjectTokenNotPassedOn,
		ReasonTokenOfAnother, ReasonSecretNotDecoded, ReasonAssertionReplayed, ReasonAccountTokenEnded,
	}, r)
}

// Error is a refusal.
type Error struct {
	// Code and Description are the error and error_description of the answer.
	Code        ErrorCode
	Description string
	// Reason is for the audit line and the metric; the caller does not see it.
	Reason Reason
	// Subject is what the request asked for and is not granted; empty if the reason suffices.
	// Of a scope it is the name, and for a request with a resource an @ and the resource; of a
	// resource it is the resource, or one of the constants.
	Subject string
	// RetryAfter is when another request makes sense; zero is unknown.
	RetryAfter time.Duration
}

// Error implements error with what the caller may see.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Description }

// Refuse returns a refusal; the caller sees the description.
func Refuse(code ErrorCode, reason Reason, description string) *Error {
	return &Error{Code: code, Description: description, Reason: reason}
}

// failedAuthentication begins the description of each refusal to authenticate a client.
const failedAuthentication = "client authentication failed"

// notAuthenticated names where the owner of a client finds the reason, whether there is such a
// client or not.
const notAuthenticated = failedAuthentication + "; status.refusals of the OAuth2Client has the reason, if such a client exists"

// refuseClient is the same response to every client that is not authenticated, whatever the reason.
func refuseClient(reason Reason) *Error {
	return Refuse(InvalidClient, reason, notAuthenticated)
}

// OfGrant is the refusal of a credential that was sent as the grant: an assertion or a password. It
// authenticates its client all the same, and the answer is another one: RFC 7523 section 3.1, RFC
// 6749 section 5.2. Other errors stay as they are.
func OfGrant(err error, credential string) error {
	refusal, ok := errors.AsType[*Error](err)
	if !ok || refusal.Code != InvalidClient {
		return err
	}
	ofGrant := *refusal
	ofGrant.Code, ofGrant.Description = InvalidGrant, "the "+credential+" is not accepted"+strings.TrimPrefix(refusal.Description, failedAuthentication)
	return &ofGrant
}

// Replayed refuses an assertion that was used before.
func Replayed() *Error { return refuseClient(ReasonAssertionReplayed) }

// WrongMethod refuses a credential of another kind than the client has.
func WrongMethod() *Error { return refuseClient(ReasonWrongMethod) }

// Ended refuses a token of a service account that its cluster does not honour any more.
func Ended() *Error { return refuseClient(ReasonAccountTokenEnded) }

// Unavailable refuses a request that cannot be decided now: 503 with Retry-After.
func Unavailable(retryAfter time.Duration) *Error {
	return &Error{
		Code: TemporarilyUnavailable, Reason: ReasonLookupUnavailable, RetryAfter: retryAfter,
		Description: "the client cannot be looked up right now; try again shortly",
	}
}

// ReasonOf returns the reason of an Error, or "" of another error.
func ReasonOf(err error) Reason {
	if refusal, ok := errors.AsType[*Error](err); ok {
		return refusal.Reason
	}
	return ""
}
