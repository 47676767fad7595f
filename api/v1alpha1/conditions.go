// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The types of the conditions, in the vocabulary of kstatus: Ready is always there; Reconciling is
// True while Hallpass works on the desired state or waits for it; Stalled is True if only a change
// by a user can fix it. The last two are removed once they are no longer true.
const (
	ConditionReady       = "Ready"
	ConditionReconciling = "Reconciling"
	ConditionStalled     = "Stalled"
	// ConditionGrantsComplete is whether every requested scope, or every declared grant, is
	// granted. It does not affect Ready.
	ConditionGrantsComplete = "GrantsComplete"
	// ConditionKeysComplete is False for a client some of whose keys are left out; otherwise it
	// is absent. It does not affect Ready.
	ConditionKeysComplete = "KeysComplete"
	// ConditionClientIDNeeded is True for a client whose ServiceAccount or subject other
	// clients of the namespace name, too, and for an issuer that delegates one subject to
	// several namespaces; otherwise it is absent. It does not affect Ready.
	ConditionClientIDNeeded = "ClientIDNeeded"
	// ConditionWithinLimits is False for an object that exceeds a limit which was set or
	// lowered after the object was accepted; otherwise it is absent. It does not affect Ready.
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
	// ReasonClientIDNotAllowed: neither the installation nor an OAuth2Policy lets the client
	// choose its identifier.
	ReasonClientIDNotAllowed = "ClientIDNotAllowed"
	// ReasonClientIDReserved: the client_id is one of those that the clients of a namespace
	// have.
	ReasonClientIDReserved = "ClientIDReserved"
	// ReasonNotAllowedByPolicy: an OAuth2Policy forbids what the client is or asks for.
	ReasonNotAllowedByPolicy = "NotAllowedByPolicy"
	// ReasonTooManyClients: the namespace has as many clients as it may have.
	ReasonTooManyClients = "TooManyClients"
	// ReasonTooManyTokens: the namespace has as many OAuth2Tokens as it may have.
	ReasonTooManyTokens = "TooManyTokens"
	// ReasonTooManyResources: the namespace has as many OAuth2Resources as it may have.
	ReasonTooManyResources = "TooManyResources"
	// ReasonTooManyBytes: the records of the namespace take as much memory of the token servers
	// as they may.
	ReasonTooManyBytes = "TooManyBytes"
	// ReasonTooLarge: the record of the object, or a token, would be larger than it may be.
	ReasonTooLarge = "TooLarge"
	// ReasonGranted: all that is asked for is granted.
	ReasonGranted = "Granted"
	// ReasonNotGranted: a requested scope is not granted; status.grants has the reason.
	ReasonNotGranted = "NotGranted"
	// ReasonInvalidTemplate: a template does not parse, names an unknown value or hides another
	// entry.
	ReasonInvalidTemplate = "InvalidTemplate"
	// ReasonSecretNotFound: the Existing Secret is not there.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretNotLabelled: the Existing Secret does not carry the label that lets it be
	// read.
	ReasonSecretNotLabelled = "SecretNotLabelled"
	// ReasonSecretKeyNotFound: the Existing Secret has no entry with a client secret, or an
	// empty one.
	ReasonSecretKeyNotFound = "SecretKeyNotFound"
	// ReasonSecretTooWeak: the client secret in the Existing Secret is short or no random
	// value.
	ReasonSecretTooWeak = "SecretTooWeak"
	// ReasonClientIDMismatch: the Existing Secret names another client_id.
	ReasonClientIDMismatch = "ClientIDMismatch"
	// ReasonInvalidJWKS: spec.authentication.privateKeyJWT.jwks is not a set of public keys.
	ReasonInvalidJWKS = "InvalidJWKS"
	// ReasonUnsupportedRSAKey: spec.authentication.privateKeyJWT.jwks has an RSA key that is
	// too expensive to verify with.
	ReasonUnsupportedRSAKey = "UnsupportedRSAKey"
	// ReasonSigningAlgorithmNotEnabled: spec.tokenSigningAlgorithm is none of the
	// installation's.
	ReasonSigningAlgorithmNotEnabled = "SigningAlgorithmNotEnabled"
	// ReasonSigningAlgorithmNotReady: no key of spec.tokenSigningAlgorithm signs yet; the first
	// is published already.
	ReasonSigningAlgorithmNotReady = "SigningAlgorithmNotReady"
	// ReasonServiceAccountNotFound: spec.authentication.serviceAccount names an account that is
	// not there.
	ReasonServiceAccountNotFound = "ServiceAccountNotFound"
	// ReasonClientIDNeeded: other clients name the ServiceAccount or the subject, so a token
	// alone does not identify the client. The issuer of such tokens may have it, too.
	ReasonClientIDNeeded = "ClientIDNeeded"
	// ReasonConfigMapConflict: a ConfigMap of the wanted name is there and is not this
	// client's.
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
// ignored names the keys of the set that are not for that, and why.
func RegisteredKeys(ignored ...string) metav1.Condition {
	registered := Registered()
	registered.Message = "The client can fetch tokens with assertions signed by its keys."
	if len(ignored) > 0 {
		registered.Message += " Ignored: " + strings.Join(ignored, "; ") + "."
	}
	return registered
}

// RegisteredServiceAccount is the condition of a client that the token endpoint honours by the
// tokens of a service account.
func RegisteredServiceAccount(name string) metav1.Condition {
	registered := Registered()
	registered.Message = fmt.Sprintf("Pods of ServiceAccount %q can fetch tokens with the token of that account.", name)
	if name == defaultServiceAccount {
		registered.Message += " Warning: every pod of this namespace that names no ServiceAccount has this one, so each of them is this client. " +
			"Name a ServiceAccount that only the pods of this client have."
	}
	return registered
}

// defaultServiceAccount is the account of pods that name none.
const defaultServiceAccount = "default"

// ClientIDNeeded is the condition of a client whose service account other clients name.
func ClientIDNeeded(account, clientID string) metav1.Condition {
	return metav1.Condition{
		Type: ConditionClientIDNeeded, Status: metav1.ConditionTrue, Reason: ReasonClientIDNeeded,
		Message: fmt.Sprintf("Other OAuth2Clients of this namespace name ServiceAccount %q, too. Send client_id %q with the token of that account; "+
			"a request without client_id is refused. Or give each client a ServiceAccount of its own.", account, clientID),
	}
}

// SubjectShared is the condition of a client whose subject other clients of its namespace name.
func SubjectShared(clientID string) metav1.Condition {
	return metav1.Condition{
		Type: ConditionClientIDNeeded, Status: metav1.ConditionTrue, Reason: ReasonClientIDNeeded,
		Message: fmt.Sprintf("Other OAuth2Clients of this namespace name the subject of spec.authentication.federatedToken, too. Send client_id %q with "+
			"the JWT; a request without client_id is refused.", clientID),
	}
}

// ServiceAccountNotFound is the condition of a client whose service account is not there.
func ServiceAccountNotFound(name string) metav1.Condition {
	return notReady(ReasonServiceAccountNotFound, fmt.Sprintf(
		"ServiceAccount %q does not exist in this namespace, so no caller can get a token as this client. "+
			"Create it, or correct spec.authentication.serviceAccount.name.", name))
}

// ConfigMapConflict is the condition of a client whose ConfigMap's name is taken by a ConfigMap
// that is not its own.
func ConfigMapConflict(name string) metav1.Condition {
	return notReady(ReasonConfigMapConflict, fmt.Sprintf(
		"ConfigMap %q exists and does not belong to this client; Hallpass did not change it. "+
			"Choose another spec.secret.name, or delete that ConfigMap if it is not needed.", name))
}

// ConfigMapNotWritten is why a client with an Existing Secret has no ConfigMap.
func ConfigMapNotWritten(name string) metav1.Condition {
	return notReady(ReasonConfigMapConflict, fmt.Sprintf(
		"ConfigMap %q exists and does not belong to this client, so Hallpass does not write the URLs and the CA there. "+
			"Delete or rename that ConfigMap if your application needs them.", name))
}

// GeneratedStays is the message of a condition about the Secret that Hallpass generated for it,
// while the Existing one cannot be used.
func GeneratedStays(secretName string) string {
	return fmt.Sprintf("Secret %q, which Hallpass generated, is deleted as soon as the other one can be used.", secretName)
}

// InvalidJWKS is the condition of a client whose keys cannot be read; why is the reason.
func InvalidJWKS(why string) metav1.Condition {
	return notReady(ReasonInvalidJWKS, "The client gets no tokens until its keys can be used. Could not "+why+".")
}

// UnsupportedRSAKey is the condition of a client some of whose RSA keys are left out; why has the
// key and what to use instead.
func UnsupportedRSAKey(why string) metav1.Condition {
	return metav1.Condition{
		Type: ConditionKeysComplete, Status: metav1.ConditionFalse, Reason: ReasonUnsupportedRSAKey,
		Message: "An RSA key is left out, and assertions that it signs are refused; the other keys are used. Replace the key. Could not " + why + ".",
	}
}

// Suspended is the condition of a client that its spec suspends.
func Suspended() metav1.Condition {
	return notReady(ReasonSuspended,
		"The client is suspended: it gets no tokens and those it has are refused. Set spec.state to Active to resume it.")
}

// ClientIDConflict is the condition of a client whose client_id another client has. It does not
// name that client, which may be another tenant's.
func ClientIDConflict(clientID string) metav1.Condition {
	return notReady(ReasonClientIDConflict, fmt.Sprintf(
		"The client_id %q is taken by another OAuth2Client. It becomes free when that one is deleted; until then use another name.", clientID))
}

// SecretConflict is the condition of a client whose Secret's name is taken by a Secret that is not
// its own.
func SecretConflict(secretName string) metav1.Condition {
	return notReady(ReasonSecretConflict, fmt.Sprintf(
		"Secret %q exists and does not belong to this client; Hallpass did not change it. "+
			"Choose another spec.secret.name, or delete that Secret if it is not needed.", secretName))
}

// ClientIDNotAllowed is the condition of a client that chose its identifier where the installation
// does not allow that.
func ClientIDNotAllowed() metav1.Condition {
	return notReady(ReasonClientIDNotAllowed,
		"Neither the installation nor an OAuth2Policy of this namespace lets the client choose this client_id. Create the client without "+
			"spec.clientID, or ask the administrator of Hallpass for an OAuth2Policy that allows it in spec.clientIDs, or for --allow-client-id.")
}

// ClientIDNotNamed is the condition of a client that chose an identifier which a policy has to list
// as it is.
func ClientIDNotNamed(clientID string) metav1.Condition {
	return notReady(ReasonClientIDNotAllowed, fmt.Sprintf(
		"No OAuth2Policy of this namespace lists the client_id %q as it is. An identifier with a colon or a %%, or of the form <namespace>.<name>, needs that: "+
			"patterns with * do not allow it. Create the client without spec.clientID, or ask the administrator of Hallpass to list it in "+
			"spec.clientIDs of an OAuth2Policy.", clientID))
}

// ClientIDReserved is the condition of a client that chose an identifier of the form that the
// clients of another namespace have.
func ClientIDReserved(clientID, namespace string) metav1.Condition {
	return notReady(ReasonClientIDReserved, fmt.Sprintf(
		"The client_id %q has the form of the clients of namespace %q, which exists. Create the client without spec.clientID or with another "+
			"one; it becomes free when that namespace is deleted.", clientID, namespace))
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
			"Hallpass reads it at once if it has the label, and within a minute otherwise.",
		secretName, LabelCredentials))
}

// SecretNotLabelled is the condition of a client whose Existing Secret lacks the label.
func SecretNotLabelled(secretName string) metav1.Condition {
	return notReady(ReasonSecretNotLabelled, fmt.Sprintf(
		"Secret %q exists without the label %s: \"true\". Add it to let Hallpass read the Secret.", secretName, LabelCredentials))
}

// SecretKeyNotFound is the condition of a client whose Existing Secret has nothing in the entry
// that is read.
func SecretKeyNotFound(secretName, entry string) metav1.Condition {
	return notReady(ReasonSecretKeyNotFound, fmt.Sprintf(
		"Secret %q has no client secret in the entry %q. Add it, or set spec.secret.keys.clientSecret to the entry that has it; the last good "+
			"one keeps working.", secretName, entry))
}

// SecretTooWeak is the condition of a client whose Existing Secret holds nothing that could be a
// client secret.
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

// SigningAlgorithmNotEnabled is the condition of a client that asks for tokens which the
// installation does not sign.
func SigningAlgorithmNotEnabled(algorithm SigningAlgorithm, enabled string) metav1.Condition {
	return notReady(ReasonSigningAlgorithmNotEnabled, fmt.Sprintf(
		"This installation does not sign tokens with %s but with %s. Change or remove spec.tokenSigningAlgorithm, or ask the administrator of "+
			"Hallpass to add it to --signing-algorithms; until then the token endpoint answers unauthorized_client.", algorithm, enabled))
}

// SigningAlgorithmNotReady is the condition of a client whose algorithm was enabled a short while
// ago.
func SigningAlgorithmNotReady(algorithm SigningAlgorithm) metav1.Condition {
	return notReady(ReasonSigningAlgorithmNotReady, fmt.Sprintf(
		"The first key of %s is published and does not sign yet, so that verifiers can fetch it before its first token. The client becomes ready "+
			"without a change once the key signs; until then the token endpoint answers temporarily_unavailable.", algorithm))
}

// Progressing is the condition of a client that a failed step keeps from being ready; the step is
// tried again. The attempt names what was being done, never the error of the API server, which may
// name other tenants' objects.
func Progressing(attempt string) metav1.Condition {
	return notReady(ReasonProgressing, fmt.Sprintf("Could not %s yet; trying again.", attempt))
}

// Reconciling is the kstatus condition that accompanies a condition which passes without a user's
// help.
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
