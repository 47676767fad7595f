// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConditionClaimsComplete is whether tokens of the client carry every claim of spec.claims. It is
// absent if the spec has no claims, and does not affect Ready.
const ConditionClaimsComplete = "ClaimsComplete"

// The reasons of ConditionClaimsComplete beside ReasonGranted.
const (
	// ReasonClaimReserved: a claim has a name that no client may set.
	ReasonClaimReserved = "ClaimReserved"
	// ReasonClaimNotAllowed: no OAuth2Policy allows a claim that needs one.
	ReasonClaimNotAllowed = "ClaimNotAllowed"
)

// ClaimsComplete is the condition of a client whose tokens carry all its claims.
func ClaimsComplete() metav1.Condition {
	return metav1.Condition{
		Type: ConditionClaimsComplete, Status: metav1.ConditionTrue, Reason: ReasonGranted, Message: "Tokens carry every claim of spec.claims.",
	}
}

// ClaimsIncomplete is the condition of a client some of whose claims are left out: those that no
// client may set, and those that a policy would have to allow. One of the two lists may be empty.
func ClaimsIncomplete(reserved, notAllowed []string) metav1.Condition {
	condition := metav1.Condition{Type: ConditionClaimsComplete, Status: metav1.ConditionFalse}
	var sentences []string
	if len(notAllowed) > 0 {
		condition.Reason = ReasonClaimNotAllowed
		sentences = append(sentences, "Tokens do not carry "+strings.Join(notAllowed, ", ")+": a name without '/' and ':' requires an OAuth2Policy that "+
			"allows it with its value, and no policy of this namespace does. Use a URL of your own, such as https://example.com/tier, or ask the "+
			"cluster's administrator for an OAuth2Policy with the claim in spec.claims.")
	}
	if len(reserved) > 0 {
		condition.Reason = ReasonClaimReserved
		sentences = append(sentences, "Tokens do not carry "+strings.Join(reserved, ", ")+": APIs take claims with such names for "+
			"statements of the issuer, and no OAuth2Policy can allow them. Use a URL of your own, such as https://example.com/tier.")
	}
	condition.Message = strings.Join(sentences, " ")
	return condition
}
