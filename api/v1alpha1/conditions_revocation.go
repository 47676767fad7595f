// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The condition of a client whose single revocations became an instant, and its reason.
const (
	// ConditionRevocationsCollapsed is True for a client so many of whose tokens were revoked one by one that an instant took their
	// place, and is removed once no token from before that instant can be valid. It does not keep the client from being Ready.
	ConditionRevocationsCollapsed = "RevocationsCollapsed"
	// ReasonTooManyRevocations: more tokens were revoked one by one than are stored one by one.
	ReasonTooManyRevocations = "TooManyRevocations"
)

// RevocationsCollapsed is the condition of a client whose single revocations became an instant. It does not say which instant: that
// moves with each collapse, and the status would be written as often.
func RevocationsCollapsed() metav1.Condition {
	return metav1.Condition{
		Type: ConditionRevocationsCollapsed, Status: metav1.ConditionTrue, Reason: ReasonTooManyRevocations,
		Message: "More tokens of this client, or of all clients of its namespace, were revoked one by one than are stored one by one. " +
			"The older half became an instant: every token that was issued before it is refused, also one that was not revoked. Younger tokens are valid. " +
			"Give tokens a shorter spec.tokenLifetime and let them expire, or fetch fewer, instead of revoking each.",
	}
}

// RevocationInForce is the condition of a TokenRevocation whose selector names a client or a namespace with clients.
func RevocationInForce() metav1.Condition {
	return metav1.Condition{
		Type: ConditionReady, Status: metav1.ConditionTrue, Reason: ReasonInForce, Message: "Tokens that the selector selects are refused.",
	}
}

// RevocationClientNotFound is the condition of a TokenRevocation whose selector names a client_id that no client has.
func RevocationClientNotFound(clientID string) metav1.Condition {
	return notReady(ReasonClientNotFound, fmt.Sprintf(
		"No client has the client_id %q, so nothing is revoked by this. It is <namespace>.<name> of an OAuth2Client unless the client chose another one. "+
			"Create another TokenRevocation if it is misspelt.", clientID))
}

// RevocationNamespaceWithoutClients is the condition of a TokenRevocation whose selector names a namespace without clients.
func RevocationNamespaceWithoutClients(namespace string) metav1.Condition {
	return notReady(ReasonClientNotFound, fmt.Sprintf(
		"There is no OAuth2Client in namespace %q, so nothing is revoked by this. Create another TokenRevocation if it is misspelt.", namespace))
}
