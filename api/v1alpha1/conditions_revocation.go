// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The condition of a client whose single revocations became an instant, and its reason.
const (
	// ConditionRevocationsCollapsed is True for a client whose many single revocations were
	// replaced by a time of issue. It is removed once all tokens that were issued before that
	// time have expired. It does not affect Ready.
	ConditionRevocationsCollapsed = "RevocationsCollapsed"
	// ReasonTooManyRevocations: more tokens were revoked one by one than are stored one by one.
	ReasonTooManyRevocations = "TooManyRevocations"
)

// RevocationsCollapsed is the condition of a client whose single revocations became an instant. It
// does not contain the instant: that moves with each collapse, and the status would be written as
// often.
func RevocationsCollapsed() metav1.Condition {
	return metav1.Condition{
		Type: ConditionRevocationsCollapsed, Status: metav1.ConditionTrue, Reason: ReasonTooManyRevocations,
		Message: "More tokens of this client, or of all clients of its namespace, were revoked one by one than are stored one by one. " +
			"A time of issue replaced the older half: every token that was issued before it is refused, also one that was not revoked. Later tokens are valid. " +
			"Set a shorter spec.tokenLifetime and let tokens expire, or fetch fewer, instead of revoking each.",
	}
}

// RevocationInForce is the condition of a TokenRevocation whose selector names a client or a
// namespace with clients.
func RevocationInForce() metav1.Condition {
	return metav1.Condition{
		Type: ConditionReady, Status: metav1.ConditionTrue, Reason: ReasonInForce, Message: "Tokens that the selector selects are refused.",
	}
}

// RevocationClientNotFound is the condition of a TokenRevocation whose selector names a client_id
// that no client has.
func RevocationClientNotFound(clientID string) metav1.Condition {
	return notReady(ReasonClientNotFound, fmt.Sprintf(
		"No client has the client_id %q, so this object revokes nothing now. A client_id is <namespace>.<name> of an OAuth2Client, or its spec.clientID. "+
			"If it is misspelt, create another TokenRevocation.", clientID))
}

// RevocationNamespaceWithoutClients is the condition of a TokenRevocation whose selector names a
// namespace without clients.
func RevocationNamespaceWithoutClients(namespace string) metav1.Condition {
	return notReady(ReasonClientNotFound, fmt.Sprintf(
		"There is no OAuth2Client in namespace %q, so this object revokes nothing now. If it is misspelt, create another TokenRevocation.", namespace))
}

// RevocationIssuerNotFound is the condition of a TokenRevocation whose selector names persons of an
// issuer that does not exist.
func RevocationIssuerNotFound(name string) metav1.Condition {
	return notReady(ReasonIssuerNotFound, fmt.Sprintf(
		"There is no OAuth2TrustedIssuer %q in force, so no token acts for its persons, and this object revokes nothing now. If it is misspelt, create another TokenRevocation.", name))
}
