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
	return fmt.Sprintf("This namespace may have %d %s, and has as many older ones, including those that are being deleted. "+
		"Delete one that is not needed, or ask the cluster's administrator for a higher limit (an OAuth2Policy, or --max-%s).", limit, kind, flag)
}

// KeptBeyondLimit is the condition of an object that exists beyond the limit which a condition of
// TooManyClients, TooManyTokens or TooManyResources names.
func KeptBeyondLimit(tooMany metav1.Condition) metav1.Condition {
	return metav1.Condition{
		Type: ConditionWithinLimits, Status: metav1.ConditionFalse, Reason: tooMany.Reason,
		Message: "The limit was set or lowered later, and this object keeps working. " + tooMany.Message,
	}
}

// ClientTooLarge is the condition of a client whose registration would be larger than it may be.
func ClientTooLarge(size, limit int) metav1.Condition {
	return notReady(ReasonTooLarge, "The client is too large to be registered with its spec. A new client gets no tokens; one that was registered "+
		"before keeps the scopes and claims that it had and that its spec still lists. "+clientSize(size, limit))
}

// LargeClientKept is the condition of a client that was registered before its size was limited.
func LargeClientKept(size, limit int) metav1.Condition {
	return metav1.Condition{
		Type: ConditionWithinLimits, Status: metav1.ConditionFalse, Reason: ReasonTooLarge,
		Message: "The client keeps working as it is registered, but nothing can be added. " + clientSize(size, limit),
	}
}

// TokensTooLarge is the condition of a client whose tokens with all scopes at an audience would not
// fit into a header.
func TokensTooLarge(audience string, size, limit int) metav1.Condition {
	return notReady(ReasonTooLarge, tokenSize(audience, size, limit)+"Ask for fewer or shorter scopes and claims, or divide them among several "+
		"clients. Until then a token request has to name some of the scopes.")
}

// TokenTooLarge is the condition of an OAuth2Token whose token would not fit into a header.
func TokenTooLarge(audience string, size, limit int) metav1.Condition {
	return notReady(ReasonTooLarge, tokenSize(audience, size, limit)+"Name fewer scopes in an OAuth2Token, or let the client ask for fewer or shorter "+
		"scopes and claims.")
}

func tokenSize(audience string, size, limit int) string {
	return fmt.Sprintf("A token for %q with all its scopes and claims has up to %d bytes, and %d fit into an Authorization header of 8 KiB, the limit "+
		"of common proxies. ", audience, size, limit)
}

func clientSize(size, limit int) string {
	return fmt.Sprintf("Its scopes, access and claims, and with access its labels, take %d bytes in the registration, and %d are allowed. "+
		"Shorten them, or divide them among several clients.", size, limit)
}

// Bytes are what the records of a namespace take in the memory of a token server. They are in no
// object.
// +kubebuilder:object:generate=false
type Bytes struct {
	// Record is what the record of an object would take.
	Record int64 //nolint:kubeapilinter // in no object
	// Held is what the records of the namespace take, Limit what they may take at most, and
	// Guaranteed what they may take whatever other namespaces hold.
	Held, Limit, Guaranteed int64 //nolint:kubeapilinter // as above
}

// TooManyBytes is the condition of an object whose record there is no room for in the memory of the
// token servers. What an object that is on record has added to its spec is not.
func TooManyBytes(b Bytes, onRecord bool) metav1.Condition {
	effect := "It is not on record, and works once there is room. "
	if onRecord {
		effect = "What was added to its spec has no effect until there is room; the rest keeps working. "
	}
	// The message has nothing that other namespaces change: each change of it is a write.
	return notReady(ReasonTooManyBytes, fmt.Sprintf("There is no room for the record of this object in the memory of the token servers: it would take "+
		"%d KiB, and the records of this namespace take %d KiB. %s"+
		"A namespace may have %d KiB, of which %d KiB are guaranteed and the rest is lent while all namespaces together leave room. "+
		"Delete objects of this namespace that are not needed, or shorten JWK sets, scopes and grants. If that is not possible, or other namespaces "+
		"have all that is lent, ask the cluster's administrator for more (--max-records-memory and --max-namespace-records-memory of the manager).",
		kib(b.Record), kib(b.Held), effect, kib(b.Limit), kib(b.Guaranteed)))
}

// kib is a size in KiB, rounded up.
func kib(size int64) int64 { return (size + 1<<10 - 1) >> 10 }
