// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TooManyClients is the condition of a client beyond the limit of its namespace.
func TooManyClients(limit int) metav1.Condition {
	return notReady(ReasonTooManyClients, tooMany("OAuth2Clients", "clients", limit))
}

// TooManyTokens is the condition of an OAuth2Token beyond the limit of its namespace.
func TooManyTokens(limit int) metav1.Condition {
	return notReady(ReasonTooManyTokens, tooMany("OAuth2Tokens", "tokens", limit))
}

// TooManyResources is the condition of a resource beyond the limit of its namespace.
func TooManyResources(limit int) metav1.Condition {
	return notReady(ReasonTooManyResources, tooMany("OAuth2Resources", "resources", limit))
}

func tooMany(kind, flag string, limit int) string {
	return fmt.Sprintf("This namespace may have %d %s, and older ones take these places, those that are being deleted included. "+
		"Delete one that is not needed, or ask the cluster's administrator for a higher limit (an OAuth2Policy, or --max-%s).", limit, kind, flag)
}

// KeptBeyondLimit is the condition of an object that exists beyond the limit which a condition of
// TooManyClients, TooManyTokens or TooManyResources names.
func KeptBeyondLimit(tooMany metav1.Condition) metav1.Condition {
	return metav1.Condition{
		Type: ConditionWithinLimits, Status: metav1.ConditionFalse, Reason: tooMany.Reason,
		Message: "The limit was set or lowered later, and this object goes on. " + tooMany.Message,
	}
}

// ClientTooLarge is the condition of a client whose registration would be larger than it may be.
func ClientTooLarge(size, limit int) metav1.Condition {
	return notReady(ReasonTooLarge, "The client is too large to be registered as its spec says. A new client gets no tokens; one that was registered "+
		"before keeps what it had and still lists. "+clientSize(size, limit))
}

// LargeClientKept is the condition of a client that was registered before its size was limited.
func LargeClientKept(size, limit int) metav1.Condition {
	return metav1.Condition{
		Type: ConditionWithinLimits, Status: metav1.ConditionFalse, Reason: ReasonTooLarge,
		Message: "The client goes on as it is registered, and nothing can be added. " + clientSize(size, limit),
	}
}

// TokensTooLarge is the condition of a client whose tokens with all scopes at an audience would not fit
// into a header.
func TokensTooLarge(audience string, size, limit int) metav1.Condition {
	return notReady(ReasonTooLarge, tokenSize(audience, size, limit)+"Ask for fewer or shorter scopes and claims, or divide them among several "+
		"clients. Until then a token request has to name some of the scopes.")
}

// TokenTooLarge is the condition of an OAuth2Token whose token would not fit into a header.
func TokenTooLarge(audience string, size, limit int) metav1.Condition {
	return notReady(ReasonTooLarge, tokenSize(audience, size, limit)+"Name fewer scopes in an OAuth2Token, or have the client ask for fewer or shorter "+
		"scopes and claims.")
}

func tokenSize(audience string, size, limit int) string {
	return fmt.Sprintf("A token for %q with all its scopes and claims has up to %d bytes, and %d fit into an Authorization header of 8 KiB, which is "+
		"what proxies accept. ", audience, size, limit)
}

func clientSize(size, limit int) string {
	return fmt.Sprintf("Its scopes, access and claims, and with access its labels, take %d bytes in the registration, and %d are allowed. "+
		"Shorten them, or divide them among several clients.", size, limit)
}
