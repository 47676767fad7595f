// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"errors"
	"time"
)

// ErrorCode is an error code of the OAuth 2.0 registry.
type ErrorCode string

// The codes that Hallpass answers with: RFC 6749 section 5.2, RFC 6750 section 3.1, RFC 8707 section 2; the last two are
// of the registry's authorization endpoint and are what callers know for trouble on our side.
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

// Reason is the word that explains a decision in audit lines, metrics and, where it concerns the client as a whole, in
// the conditions of the object.
type Reason string

// The reasons for a refusal. Those that callers must not be able to tell apart share one ErrorCode and one description.
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
	// ReasonRevocationNotDurable: what was revoked could not be written; it holds at the replica that was asked.
	ReasonRevocationNotDurable Reason = "RevocationNotDurable"
	// ReasonWrongAudience: the token is good, but for another audience than the one that a proxy requires.
	ReasonWrongAudience Reason = "WrongAudience"
	// ReasonInsufficientScope: the token is good and lacks a scope that a proxy requires.
	ReasonInsufficientScope Reason = "InsufficientScope"
	// ReasonRequirementMalformed: a proxy asks without saying what it requires.
	ReasonRequirementMalformed Reason = "RequirementMalformed"
	// ReasonIdentityTooLarge: what the token says does not fit into the headers for a proxy.
	ReasonIdentityTooLarge Reason = "IdentityTooLarge"
	// ReasonServiceAccountNotFound: the account that the client names is not there; the client's condition has the same word.
	ReasonServiceAccountNotFound Reason = "ServiceAccountNotFound"
	// ReasonAccountTokenEnded: the cluster does not honour the token any more, because its pod or its account is gone.
	ReasonAccountTokenEnded Reason = "ServiceAccountTokenEnded"
)

// Error is a refusal: what the caller is told, and why for ourselves.
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

// Refuse makes a refusal; the description is for the caller's eyes.
func Refuse(code ErrorCode, reason Reason, description string) *Error {
	return &Error{Code: code, Description: description, Reason: reason}
}

// refuseClient is the one answer to a client that is not let in: the unknown client, the wrong secret and the suspended
// client get the same bytes, whatever the reason is.
func refuseClient(reason Reason) *Error {
	return Refuse(InvalidClient, reason, "client authentication failed")
}

// Replayed is the refusal of an assertion that was used before: the same bytes as for every client that is not let in.
func Replayed() *Error { return refuseClient(ReasonAssertionReplayed) }

// Ended is the refusal of a service account's token that its cluster does not honour any more.
func Ended() *Error { return refuseClient(ReasonAccountTokenEnded) }

// Unavailable is the refusal of a request that cannot be decided now: 503 with Retry-After, never invalid_client.
func Unavailable(retryAfter time.Duration) *Error {
	return &Error{
		Code: TemporarilyUnavailable, Reason: ReasonLookupUnavailable, RetryAfter: retryAfter,
		Description: "the client cannot be looked up right now; try again shortly",
	}
}

// ReasonOf is the reason of a refusal made in this package, or "" of any other error.
func ReasonOf(err error) Reason {
	if refusal, ok := errors.AsType[*Error](err); ok {
		return refusal.Reason
	}
	return ""
}
