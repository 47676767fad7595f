// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"errors"
	"time"
)

// ErrorCode is an error code of the OAuth 2.0 registry.
type ErrorCode string

// The codes of responses: RFC 6749 section 5.2, RFC 6750 section 3.1, RFC 8707 section 2. The last
// two are those of the authorization endpoint.
const (
	InvalidRequest         ErrorCode = "invalid_request"
	InvalidClient          ErrorCode = "invalid_client"
	UnauthorizedClient     ErrorCode = "unauthorized_client"
	UnsupportedGrantType   ErrorCode = "unsupported_grant_type"
	InvalidScope           ErrorCode = "invalid_scope"
	InvalidTarget          ErrorCode = "invalid_target"
	InvalidToken           ErrorCode = "invalid_token"
	InsufficientScope      ErrorCode = "insufficient_scope"
	ServerError            ErrorCode = "server_error"
	TemporarilyUnavailable ErrorCode = "temporarily_unavailable"
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
	// ReasonTokenClaimReserved: the token has a member that some reader takes for one that Hallpass writes.
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
	// ReasonWrongAudience: the token is good, but for another audience than the one that a proxy requires.
	ReasonWrongAudience Reason = "WrongAudience"
	// ReasonInsufficientScope: the token is good and lacks a scope that a proxy requires.
	ReasonInsufficientScope Reason = "InsufficientScope"
	// ReasonRequirementMalformed: a proxy asks without saying what it requires.
	ReasonRequirementMalformed Reason = "RequirementMalformed"
	// ReasonIdentityTooLarge: what the token says does not fit into the headers for a proxy.
	ReasonIdentityTooLarge Reason = "IdentityTooLarge"
	// ReasonServiceAccountNotFound: the client's account is missing; its condition has the same
	// word.
	ReasonServiceAccountNotFound Reason = "ServiceAccountNotFound"
	// ReasonAccountTokenEnded: the cluster honours the token no more; its pod or account is gone.
	ReasonAccountTokenEnded Reason = "ServiceAccountTokenEnded"
)

// Error is a refusal.
type Error struct {
	// Code and Description are the error and error_description of the answer.
	Code        ErrorCode
	Description string
	// Reason is for the audit line and the metric; the caller does not see it.
	Reason Reason
	// RetryAfter says when asking again makes sense; zero says nothing.
	RetryAfter time.Duration
}

// Error implements error with what the caller may see.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Description }

// Refuse returns a refusal; the caller sees the description.
func Refuse(code ErrorCode, reason Reason, description string) *Error {
	return &Error{Code: code, Description: description, Reason: reason}
}

// refuseClient is the same response to every client that is not authenticated, whatever the reason.
func refuseClient(reason Reason) *Error {
	return Refuse(InvalidClient, reason, "client authentication failed")
}

// Replayed refuses an assertion that was used before.
func Replayed() *Error { return refuseClient(ReasonAssertionReplayed) }

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
