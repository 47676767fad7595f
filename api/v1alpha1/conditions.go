// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The types of the conditions, in the vocabulary of kstatus: Ready is always there; Reconciling says that the wanted state
// is being worked on or waited for; Stalled says that only a change by a user can mend it. The last two are removed once
// they are no longer true.
const (
	ConditionReady       = "Ready"
	ConditionReconciling = "Reconciling"
	ConditionStalled     = "Stalled"
	// ConditionGrantsComplete says whether all that was asked for, or declared, is granted. It does not keep anything from being
	// Ready.
	ConditionGrantsComplete = "GrantsComplete"
	// ConditionKeysComplete is False for a client some of whose keys are left out, and is removed otherwise. It does not keep the
	// client from being Ready.
	ConditionKeysComplete = "KeysComplete"
	// ConditionWithinLimits is False for an object that exists beyond a limit, because the limit was set or lowered later. It is
	// removed otherwise, and does not keep the object from being Ready.
	ConditionWithinLimits = "WithinLimits"
)

// The reasons of the conditions. The token server's audit line and metrics use the same words.
const (
	// ReasonRegistered: the token endpoint honours the client.
	ReasonRegistered = "Registered"
	// ReasonSuspended: the spec suspends the client.
	ReasonSuspended = "Suspended"
	// ReasonClientIDConflict: another live OAuth2Client holds the client_id.
	ReasonClientIDConflict = "ClientIDConflict"
	// ReasonSecretConflict: a Secret of the wanted name is there and is not this client's.
	ReasonSecretConflict = "SecretConflict"
	// ReasonClientIDNotAllowed: the installation does not let clients choose their identifiers.
	ReasonClientIDNotAllowed = "ClientIDNotAllowed"
	// ReasonNotAllowedByPolicy: an OAuth2Policy forbids what the client is or asks for.
	ReasonNotAllowedByPolicy = "NotAllowedByPolicy"
	// ReasonTooManyClients: the namespace has as many clients as it may have.
	ReasonTooManyClients = "TooManyClients"
	// ReasonTooManyTokens: the namespace has as many OAuth2Tokens as it may have.
	ReasonTooManyTokens = "TooManyTokens"
	// ReasonTooManyResources: the namespace has as many OAuth2Resources as it may have.
	ReasonTooManyResources = "TooManyResources"
	// ReasonTooLarge: the record of the object, or a token, would be larger than it may be.
	ReasonTooLarge = "TooLarge"
	// ReasonGranted: all that is asked for is granted.
	ReasonGranted = "Granted"
	// ReasonNotGranted: something that is asked for is not granted; status.grants says what and why.
	ReasonNotGranted = "NotGranted"
	// ReasonInvalidTemplate: a template does not parse, names an unknown value or hides another entry.
	ReasonInvalidTemplate = "InvalidTemplate"
	// ReasonSecretNotFound: the Existing Secret is not there.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretNotLabelled: the Existing Secret does not carry the label that lets it be read.
	ReasonSecretNotLabelled = "SecretNotLabelled"
	// ReasonSecretKeyNotFound: the Existing Secret has no entry with a client secret, or an empty one.
	ReasonSecretKeyNotFound = "SecretKeyNotFound"
	// ReasonSecretTooWeak: the client secret in the Existing Secret is short or no random value.
	ReasonSecretTooWeak = "SecretTooWeak"
	// ReasonClientIDMismatch: the Existing Secret names another client_id.
	ReasonClientIDMismatch = "ClientIDMismatch"
	// ReasonInvalidJWKS: spec.authentication.privateKeyJWT.jwks is not a set of public keys.
	ReasonInvalidJWKS = "InvalidJWKS"
	// ReasonUnsupportedRSAKey: spec.authentication.privateKeyJWT.jwks has an RSA key that is too expensive to verify with.
	ReasonUnsupportedRSAKey = "UnsupportedRSAKey"
	// ReasonSigningAlgorithmNotEnabled: spec.tokenSigningAlgorithm is none of the installation's.
	ReasonSigningAlgorithmNotEnabled = "SigningAlgorithmNotEnabled"
	// ReasonSigningAlgorithmNotReady: no key of spec.tokenSigningAlgorithm signs yet; the first is published already.
	ReasonSigningAlgorithmNotReady = "SigningAlgorithmNotReady"
	// ReasonServiceAccountNotFound: spec.authentication.serviceAccount names an account that is not there.
	ReasonServiceAccountNotFound = "ServiceAccountNotFound"
	// ReasonConfigMapConflict: a ConfigMap of the wanted name is there and is not this client's.
	ReasonConfigMapConflict = "ConfigMapConflict"
	// ReasonProgressing: a step did not succeed yet and is tried again.
	ReasonProgressing = "Progressing"
)

// Registered is the condition of a client that the token endpoint honours.
func Registered() metav1.Condition {
	return metav1.Condition{
		Type:    ConditionReady,
		Status:  metav1.ConditionTrue,
		Reason:  ReasonRegistered,
		Message: "The client can fetch tokens with the credentials in its Secret.",
	}
}

// RegisteredKeys is the condition of a client that the token endpoint honours by assertions.
func RegisteredKeys() metav1.Condition {
	registered := Registered()
	registered.Message = "The client can fetch tokens with assertions signed by its keys."
	return registered
}

// RegisteredServiceAccount is the condition of a client that the token endpoint honours by the tokens of a service account.
func RegisteredServiceAccount(name string) metav1.Condition {
	registered := Registered()
	registered.Message = fmt.Sprintf("Pods of ServiceAccount %q can fetch tokens with the token of that account.", name)
	return registered
}

// ServiceAccountNotFound is the condition of a client whose service account is not there.
func ServiceAccountNotFound(name string) metav1.Condition {
	return notReady(ReasonServiceAccountNotFound, fmt.Sprintf(
		"ServiceAccount %q does not exist in this namespace, so that nobody gets a token as this client. "+
			"Create it, or correct spec.authentication.serviceAccount.name.", name))
}

// ConfigMapConflict is the condition of a client whose ConfigMap's name is taken by a ConfigMap that is not its own.
func ConfigMapConflict(name string) metav1.Condition {
	return notReady(ReasonConfigMapConflict, fmt.Sprintf(
		"ConfigMap %q exists and does not belong to this client; it was not touched. "+
			"Choose another spec.secret.name, or delete that ConfigMap if nobody needs it.", name))
}

// InvalidJWKS is the condition of a client whose keys cannot be read; why says what is wrong with them.
func InvalidJWKS(why string) metav1.Condition {
	return notReady(ReasonInvalidJWKS, "The client gets no tokens until its keys can be used. Could not "+why+".")
}

// UnsupportedRSAKey is the condition of a client some of whose RSA keys are left out; why says which and what to use.
func UnsupportedRSAKey(why string) metav1.Condition {
	return metav1.Condition{
		Type: ConditionKeysComplete, Status: metav1.ConditionFalse, Reason: ReasonUnsupportedRSAKey,
		Message: "An RSA key is left out, and assertions that it signs are refused; the other keys are used. Replace the key. Could not " + why + ".",
	}
}

// Suspended is the condition of a client that its spec suspends.
func Suspended() metav1.Condition {
	return notReady(ReasonSuspended,
		"The client is suspended: it gets no tokens and those it has are refused. Set spec.state to Active to let it in again.")
}

// ClientIDConflict is the condition of a client whose client_id another one holds. It does not say which: the holder may
// be another tenant's.
func ClientIDConflict(clientID string) metav1.Condition {
	return notReady(ReasonClientIDConflict, fmt.Sprintf(
		"The client_id %q is taken by another OAuth2Client. It becomes free when that one is deleted; until then use another name.", clientID))
}

// SecretConflict is the condition of a client whose Secret's name is taken by a Secret that is not its own.
func SecretConflict(secretName string) metav1.Condition {
	return notReady(ReasonSecretConflict, fmt.Sprintf(
		"Secret %q exists and does not belong to this client; it was not touched. "+
			"Choose another spec.secret.name, or delete that Secret if nobody needs it.", secretName))
}

// ClientIDNotAllowed is the condition of a client that chose its identifier where the installation does not allow that.
func ClientIDNotAllowed() metav1.Condition {
	return notReady(ReasonClientIDNotAllowed,
		"This installation does not let clients choose their client_id. Create the client without spec.clientID, or ask whoever "+
			"runs Hallpass to start the manager with --allow-client-id.")
}

// InvalidTemplate is the condition of a client one of whose templates cannot be rendered.
func InvalidTemplate(entry, problem string) metav1.Condition {
	return notReady(ReasonInvalidTemplate, fmt.Sprintf(
		"The template of entry %q cannot be rendered: %s. Correct spec.secret.template; until then the Secret stays as it is.", entry, problem))
}

// SecretNotFound is the condition of a client whose Existing Secret is not there.
func SecretNotFound(secretName string) metav1.Condition {
	return notReady(ReasonSecretNotFound, fmt.Sprintf(
		"Secret %q does not exist. Create it with the label %s: \"true\" and the client secret in it; nothing is generated in its place. "+
			"With the label it is noticed at once, without it within a minute.",
		secretName, LabelCredentials))
}

// SecretNotLabelled is the condition of a client whose Existing Secret lacks the label.
func SecretNotLabelled(secretName string) metav1.Condition {
	return notReady(ReasonSecretNotLabelled, fmt.Sprintf(
		"Secret %q exists without the label %s: \"true\". Add it to let Hallpass read the Secret.", secretName, LabelCredentials))
}

// SecretKeyNotFound is the condition of a client whose Existing Secret has nothing in the entry that is read.
func SecretKeyNotFound(secretName, entry string) metav1.Condition {
	return notReady(ReasonSecretKeyNotFound, fmt.Sprintf(
		"Secret %q has no client secret in the entry %q. Put it there, or name the entry that has it in spec.secret.keys.clientSecret; the last good "+
			"one keeps working.", secretName, entry))
}

// SecretTooWeak is the condition of a client whose Existing Secret holds nothing that could be a client secret.
func SecretTooWeak(secretName, problem string) metav1.Condition {
	return notReady(ReasonSecretTooWeak, fmt.Sprintf(
		"The client secret in Secret %q %s. Use a random value, such as the output of openssl rand -base64 32; the last good one keeps working.",
		secretName, problem))
}

// ClientIDMismatch is the condition of a client whose Existing Secret names another client_id.
func ClientIDMismatch(secretName, clientID string) metav1.Condition {
	return notReady(ReasonClientIDMismatch, fmt.Sprintf(
		"Secret %q names another client_id than this client's, %q. Correct or remove that entry; the last good secret keeps working.", secretName, clientID))
}

// SigningAlgorithmNotEnabled is the condition of a client that asks for tokens which the installation does not sign.
func SigningAlgorithmNotEnabled(algorithm SigningAlgorithm, enabled string) metav1.Condition {
	return notReady(ReasonSigningAlgorithmNotEnabled, fmt.Sprintf(
		"This installation does not sign tokens with %s but with %s. Change or remove spec.tokenSigningAlgorithm, or ask whoever runs "+
			"Hallpass to add it to --signing-algorithms; until then the token endpoint answers unauthorized_client.", algorithm, enabled))
}

// SigningAlgorithmNotReady is the condition of a client whose algorithm was enabled a short while ago.
func SigningAlgorithmNotReady(algorithm SigningAlgorithm) metav1.Condition {
	return notReady(ReasonSigningAlgorithmNotReady, fmt.Sprintf(
		"The first key of %s is published and does not sign yet, so that verifiers know it before its first token. The client becomes ready on "+
			"its own when it does; until then the token endpoint answers temporarily_unavailable.", algorithm))
}

// Progressing is the condition of a client that a failed step keeps from being ready; the step is tried again. The
// attempt says what was being done, never the error of the API server, which may name other tenants' objects.
func Progressing(attempt string) metav1.Condition {
	return notReady(ReasonProgressing, fmt.Sprintf("Could not %s yet; trying again.", attempt))
}

// Reconciling is the kstatus condition that accompanies a condition which passes without a user's help.
func Reconciling(because metav1.Condition) metav1.Condition {
	return metav1.Condition{Type: ConditionReconciling, Status: metav1.ConditionTrue, Reason: because.Reason, Message: because.Message}
}

// Stalled is the kstatus condition that accompanies a condition which only a user can mend.
func Stalled(because metav1.Condition) metav1.Condition {
	return metav1.Condition{Type: ConditionStalled, Status: metav1.ConditionTrue, Reason: because.Reason, Message: because.Message}
}

func notReady(reason, message string) metav1.Condition {
	return metav1.Condition{Type: ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: message}
}
