// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConditionExpiresSoon is True shortly before a Fixed token expires; otherwise it is absent.
const ConditionExpiresSoon = "ExpiresSoon"

// The reasons of the conditions of OAuth2Tokens.
const (
	// ReasonIssued: the token in the Secret is good.
	ReasonIssued = "Issued"
	// ReasonExpired: the time of a Fixed token is over.
	ReasonExpired = "Expired"
	// ReasonRevoked: a Fixed token was revoked, and is not replaced.
	ReasonRevoked = "Revoked"
	// ReasonExpirationTooLate: a Fixed token would live longer than it may.
	ReasonExpirationTooLate = "ExpirationTooLate"
	// ReasonClientNotFound: the OAuth2Client that the token names is not there.
	ReasonClientNotFound = "ClientNotFound"
	// ReasonClientNotReady: the token endpoint does not honour the OAuth2Client that the token
	// names.
	ReasonClientNotReady = "ClientNotReady"
	// ReasonMethodNotSupported: the OAuth2Client authenticates by something that cannot be
	// copied, so that no token is made for it.
	ReasonMethodNotSupported = "MethodNotSupported"
	// ReasonScopeNotGranted: the client is not granted a scope that the token asks for.
	ReasonScopeNotGranted = "ScopeNotGranted"
	// ReasonNotAllowedByResource: the owner of the resource does not consent to a Fixed token,
	// or not to one that long.
	ReasonNotAllowedByResource = "NotAllowedByResource"
	// ReasonTargetNotGranted: the client is granted nothing at the resource that the token asks
	// for.
	ReasonTargetNotGranted = "TargetNotGranted"
)

// TokenIssued is the condition of a token that is good.
func TokenIssued(mode TokenMode, secretName string) metav1.Condition {
	message := fmt.Sprintf("Secret %q holds a token that is replaced before it expires.", secretName)
	if mode == TokenFixed {
		message = fmt.Sprintf("Secret %q holds the token.", secretName)
	}
	return metav1.Condition{Type: ConditionReady, Status: metav1.ConditionTrue, Reason: ReasonIssued, Message: message}
}

// TokenExpiresSoon warns of the end of a Fixed token.
func TokenExpiresSoon(end time.Time) metav1.Condition {
	return metav1.Condition{
		Type: ConditionExpiresSoon, Status: metav1.ConditionTrue, Reason: ConditionExpiresSoon,
		Message: fmt.Sprintf("The token expires at %s. Create another OAuth2Token, hand its token over, and delete this one.", end.UTC().Format(time.RFC3339)),
	}
}

// TokenExpired is the condition of a Fixed token whose time is over.
func TokenExpired(end time.Time) metav1.Condition {
	return notReady(ReasonExpired, fmt.Sprintf(
		"The token expired at %s and is refused. Create another OAuth2Token with a later expirationTime, and delete this one.", end.UTC().Format(time.RFC3339)))
}

// TokenRevoked is the condition of a Fixed token that was revoked.
func TokenRevoked(secretName string) metav1.Condition {
	return notReady(ReasonRevoked, fmt.Sprintf(
		"The token in Secret %q was revoked and is refused. A Fixed token is not replaced; delete the Secret to get another token.", secretName))
}

// TokenNeverValid is the condition of a Fixed token that was asked for after its end.
func TokenNeverValid(end time.Time) metav1.Condition {
	return notReady(ReasonExpired, fmt.Sprintf(
		"spec.expirationTime, %s, had passed before a token could be issued. Create another OAuth2Token with a later one.", end.UTC().Format(time.RFC3339)))
}

// TokenExpirationTooLate is the condition of a Fixed token that would live longer than the
// installation, a policy or the owner of the resource allows.
func TokenExpirationTooLate(latest time.Time) metav1.Condition {
	return notReady(ReasonExpirationTooLate, fmt.Sprintf(
		"spec.expirationTime is later than %s, which is the latest that is allowed here. Create another OAuth2Token with an earlier one, "+
			"or ask the administrator of Hallpass to raise --max-token-lifetime or the limit of an OAuth2Policy.", latest.UTC().Format(time.RFC3339)))
}

// TokensForbidden is the condition of a Fixed token where a policy, or the owner of the resource,
// forbids any.
func TokensForbidden() metav1.Condition {
	return notReady(ReasonNotAllowedByPolicy,
		"No token with a chosen expirationTime is allowed here. Use mode Refreshing, or ask the administrator of Hallpass.")
}

// TokenNotConsentedTo is the condition of a Fixed token for a resource whose owner consents to none
// of this namespace.
func TokenNotConsentedTo(resource string) metav1.Condition {
	return notReady(ReasonNotAllowedByResource, fmt.Sprintf(
		"The owner of OAuth2Resource %q has not set maxFixedTokenLifetime, so clients of other namespaces get no token with a chosen "+
			"expirationTime for it. Use mode Refreshing, or ask the owner to set it.", resource))
}

// TokenLongerThanConsent is the condition of a Fixed token that would live longer than the owner of
// the resource consents to.
func TokenLongerThanConsent(resource string, latest time.Time) metav1.Condition {
	return notReady(ReasonNotAllowedByResource, fmt.Sprintf(
		"spec.expirationTime is later than %s, which is the latest that the owner of OAuth2Resource %q allows by maxFixedTokenLifetime. Create "+
			"another OAuth2Token with an earlier one, or ask the owner to allow more.", latest.UTC().Format(time.RFC3339), resource))
}

// TokenKept is the condition of a Fixed token that exists although the owner of the resource allows
// no such token any more.
func TokenKept(notAllowed metav1.Condition) metav1.Condition {
	return metav1.Condition{
		Type: ConditionWithinLimits, Status: metav1.ConditionFalse, Reason: notAllowed.Reason,
		Message: "The token was issued before, and keeps its expirationTime. " + notAllowed.Message,
	}
}

// TokenClientNotFound is the condition of a token whose client is not there.
func TokenClientNotFound(name string) metav1.Condition {
	return notReady(ReasonClientNotFound, fmt.Sprintf(
		"OAuth2Client %q does not exist in this namespace. Create it, or create an OAuth2Token that names another one.", name))
}

// TokenClientNotReady is the condition of a token whose client gets no tokens.
func TokenClientNotReady(name, why string) metav1.Condition {
	return notReady(ReasonClientNotReady, fmt.Sprintf("OAuth2Client %q gets no tokens now (%s); see its conditions.", name, why))
}

// TokenMethodNotSupported is the condition of a token for a client without a client secret.
func TokenMethodNotSupported(name string, method AuthenticationMethod) metav1.Condition {
	return notReady(ReasonMethodNotSupported, fmt.Sprintf(
		"OAuth2Client %q authenticates by %s, so it has no credential that can be copied; a token in a Secret would be one. "+
			"Name a client with method ClientSecret.", name, method))
}

// TokenNotGranted is the condition of a token that asks for more than its client is granted.
func TokenNotGranted(reason, client string, scopes []Scope, resource string) metav1.Condition {
	what := "what it asks for"
	if len(scopes) > 0 {
		names := make([]string, 0, len(scopes))
		for _, scope := range scopes {
			names = append(names, string(scope))
		}
		what = fmt.Sprintf("every scope of %q", strings.Join(names, " "))
	}
	where := "its default audience"
	if resource != "" {
		where = fmt.Sprintf("the resource %q", resource)
	}
	return notReady(reason, fmt.Sprintf(
		"OAuth2Client %q is not granted %s at %s. Its status.grants has the decisions; ask for fewer scopes, or ask the owner of the resource to grant them.", client, what, where))
}

// TokenSecretConflict is the condition of a token whose Secret's name is taken by a Secret that is
// not its own.
func TokenSecretConflict(secretName string) metav1.Condition {
	return notReady(ReasonSecretConflict, fmt.Sprintf(
		"Secret %q exists and does not belong to this OAuth2Token; Hallpass did not change it. "+
			"Choose another spec.secret.name, or delete that Secret if it is not needed.", secretName))
}
