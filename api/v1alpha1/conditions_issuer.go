// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// ConditionKeysFresh is whether the keys of a trusted issuer could be fetched the last
	// time.
	ConditionKeysFresh = "KeysFresh"
	// ConditionOpenToPullRequests is True for a client whose JWT the job of a pull request
	// could have; otherwise it is absent. It does not affect Ready.
	ConditionOpenToPullRequests = "OpenToPullRequests"
)

// The reasons of the conditions of OAuth2TrustedIssuers, and of the clients that name them.
const (
	// ReasonTrusted: JWTs of the issuer are accepted.
	ReasonTrusted = "Trusted"
	// ReasonKeysFetched: the keys could be fetched the last time, or are in the spec.
	ReasonKeysFetched = "KeysFetched"
	// ReasonKeysNotFetched: the keys could not be fetched or read.
	ReasonKeysNotFetched = "KeysNotFetched"
	// ReasonKeysStale: the keys could not be fetched for longer than keys.maxAge.
	ReasonKeysStale = "KeysStale"
	// ReasonIssuerMismatch: the discovery document names another issuer.
	ReasonIssuerMismatch = "IssuerMismatch"
	// ReasonWeakKey: the issuer publishes a key that is too weak.
	ReasonWeakKey = "WeakKey"
	// ReasonIssuerConflict: an older OAuth2TrustedIssuer has the same issuer.
	ReasonIssuerConflict = "IssuerConflict"
	// ReasonOwnIssuer: the issuer is Hallpass or the cluster itself.
	ReasonOwnIssuer = "OwnIssuer"
	// ReasonAddressNotAllowed: the keys are at an address that may not be connected to.
	ReasonAddressNotAllowed = "AddressNotAllowed"
	// ReasonIssuerNotFound: no trusted issuer has the name that the client has.
	ReasonIssuerNotFound = "IssuerNotFound"
	// ReasonNotAllowedByIssuer: the trusted issuer does not let the namespace of the client use
	// the JWTs that the client names.
	ReasonNotAllowedByIssuer = "NotAllowedByIssuer"
	// ReasonOpenToPullRequests: the job of a pull request could have the JWT of the client.
	ReasonOpenToPullRequests = "OpenToPullRequests"
)

// IssuerTrusted is the condition of an issuer whose JWTs are accepted.
func IssuerTrusted() metav1.Condition {
	return metav1.Condition{
		Type: ConditionReady, Status: metav1.ConditionTrue, Reason: ReasonTrusted,
		Message: "JWTs of the issuer are accepted for the uses in spec.uses, for the OAuth2Clients of the namespaces in spec.namespaces.",
	}
}

// IssuerIsSuspended is the condition of an issuer that its spec suspends.
func IssuerIsSuspended() metav1.Condition {
	return notReady(ReasonSuspended, "The issuer is suspended: its JWTs are refused. Set spec.state to Active to resume it.")
}

// IssuerConflict is the condition of an issuer that an older object has, too.
func IssuerConflict(older string) metav1.Condition {
	return notReady(ReasonIssuerConflict, fmt.Sprintf(
		"OAuth2TrustedIssuer %q has the same issuer or trust domain and is older. Add the namespaces there, and delete this one.", older))
}

// OwnIssuer is the condition of an issuer that is Hallpass itself, or the cluster.
func OwnIssuer() metav1.Condition {
	return notReady(ReasonOwnIssuer, "The issuer is Hallpass, this cluster, or the default name that each cluster has for itself, which is the same in "+
		"each cluster. For pods of this cluster use authentication method ServiceAccount; start the API server of another cluster with a "+
		"--service-account-issuer of its own.")
}

// IssuerKeysFailed is the condition of an issuer that has no keys that can be used; what completes
// the sentence.
func IssuerKeysFailed(reason, what string) metav1.Condition {
	return notReady(reason, "JWTs of the issuer are refused, because its keys were not fetched: "+what+". It is tried again within five minutes.")
}

// IssuerKeysStale is the condition of an issuer whose keys are too old to be used.
func IssuerKeysStale(maxAge time.Duration, what string) metav1.Condition {
	return notReady(ReasonKeysStale, fmt.Sprintf(
		"JWTs of the issuer are refused, because its keys could not be fetched for longer than keys.maxAge (%s): %s. It is tried again within five minutes.",
		Text(maxAge), what))
}

// IssuerKeysFetched is the condition of an issuer whose keys could be fetched.
func IssuerKeysFetched() metav1.Condition {
	return metav1.Condition{
		Type: ConditionKeysFresh, Status: metav1.ConditionTrue, Reason: ReasonKeysFetched, Message: "status.keys are the keys that the issuer publishes.",
	}
}

// IssuerKeysKept is the condition of an issuer whose keys could not be fetched the last time; what
// completes the sentence.
func IssuerKeysKept(reason, what string) metav1.Condition {
	return metav1.Condition{
		Type: ConditionKeysFresh, Status: metav1.ConditionFalse, Reason: reason,
		Message: "The keys were not fetched: " + what + ". Those in status.keys are used until status.keysExpireAt.",
	}
}

// IssuerUnprotectedLabel is the condition of an issuer that selects namespaces by a label that
// their owners can set.
func IssuerUnprotectedLabel(label string, protected []string) metav1.Condition {
	return incomplete(ReasonUnprotectedLabel, unprotected(label, protected)+" The entry of spec.namespaces that selects by it has no effect; the others do.")
}

// IssuerSharedByNamespaces is the condition of an issuer that delegates the same JWTs to several
// namespaces; one and other are two of them.
func IssuerSharedByNamespaces(one, other string) metav1.Condition {
	return metav1.Condition{
		Type: ConditionClientIDNeeded, Status: metav1.ConditionTrue, Reason: ReasonClientIDNeeded,
		Message: fmt.Sprintf("spec.namespaces allows the namespaces %q and %q the same subjects. A request with such a JWT has to send client_id; without it, "+
			"the request is refused. Give their entries different subjectPrefixes, or different values of a claim.", one, other),
	}
}

// RegisteredFederatedToken is the condition of a client that authenticates by JWTs of a trusted
// issuer; which names them.
func RegisteredFederatedToken(issuerName, which string) metav1.Condition {
	return metav1.Condition{
		Type: ConditionReady, Status: metav1.ConditionTrue, Reason: ReasonRegistered,
		Message: fmt.Sprintf("The token endpoint honours the client with a JWT of OAuth2TrustedIssuer %q with %s. Send its client_id beside it.", issuerName, which),
	}
}

// IssuerNotFound is the condition of a client whose trusted issuer is not there or has no keys.
func IssuerNotFound(name string) metav1.Condition {
	return notReady(ReasonIssuerNotFound, fmt.Sprintf(
		"There is no OAuth2TrustedIssuer %q that is trusted. Ask the cluster's administrator to create it, or to read its conditions; or correct "+
			"spec.authentication.federatedToken.issuerName.", name))
}

// IssuersNotAvailable is the condition of a client that names a trusted issuer where the
// installation has none.
func IssuersNotAvailable() metav1.Condition {
	return notReady(ReasonIssuerNotFound, "This installation is restricted to chosen namespaces and has no OAuth2TrustedIssuers. Choose another "+
		"spec.authentication.method, or ask the administrator of Hallpass for an installation for the whole cluster.")
}

// NotAllowedByIssuer is the condition of a client whose namespace may not use the issuer.
func NotAllowedByIssuer(name string) metav1.Condition {
	return notReady(ReasonNotAllowedByIssuer, fmt.Sprintf(
		"OAuth2TrustedIssuer %q does not let this namespace use it. Ask the cluster's administrator to add the namespace to its spec.namespaces.", name))
}

// ReachesTooFar is the condition of a client that names JWTs which the issuer does not let its
// namespace use.
func ReachesTooFar(name string) metav1.Condition {
	return notReady(ReasonNotAllowedByIssuer, fmt.Sprintf(
		"OAuth2TrustedIssuer %q lets this namespace use it for other subjects or claims than spec.authentication.federatedToken names. Name a subject "+
			"below one of its prefixes and claims with values that it lists, or ask the cluster's administrator.", name))
}

// MethodNotListed is the condition of a client that authenticates in a way that no policy lists.
func MethodNotListed(method AuthenticationMethod) metav1.Condition {
	return notReady(ReasonNotAllowedByPolicy, fmt.Sprintf(
		"No OAuth2Policy allows the authentication method %[1]s in this namespace: the client gets no tokens. Choose another spec.authentication.method, or "+
			"ask the cluster's administrator to list %[1]s in spec.authenticationMethods of the policies of this namespace.", method))
}

// OpenToPullRequests is the condition of a client whose JWT the job of a pull request could have.
func OpenToPullRequests() metav1.Condition {
	return metav1.Condition{
		Type: ConditionOpenToPullRequests, Status: metav1.ConditionTrue, Reason: ReasonOpenToPullRequests,
		Message: "A user without the right to push could get a JWT of this client by a pull request or merge request. Require a claim that such a job does not " +
			"have in spec.authentication.federatedToken.claims: environment or ref of GitHub Actions, ref_protected \"true\" of GitLab.",
	}
}
