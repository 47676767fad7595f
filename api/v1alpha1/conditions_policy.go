// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The reasons of the conditions of OAuth2Resources and OAuth2Policies.
const (
	// ReasonDeclared: tokens are issued for the resource.
	ReasonDeclared = "Declared"
	// ReasonIdentifierConflict: another live OAuth2Resource holds the identifier.
	ReasonIdentifierConflict = "IdentifierConflict"
	// ReasonIdentifierNotAllowed: no OAuth2Policy lets the namespace choose the identifier.
	ReasonIdentifierNotAllowed = "IdentifierNotAllowed"
	// ReasonIdentifierReserved: the identifier means something else already.
	ReasonIdentifierReserved = "IdentifierReserved"
	// ReasonUnprotectedLabel: a selector uses a label that the owner of a namespace can
	// set.
	ReasonUnprotectedLabel = "UnprotectedLabel"
	// ReasonTokenServersOutdated: a token server may not read exchanged tokens, or those of
	// persons.
	ReasonTokenServersOutdated = "TokenServersOutdated"
	// ReasonSelectorNotAvailable: the installation reads no labels of namespaces.
	ReasonSelectorNotAvailable = "SelectorNotAvailable"
	// ReasonReservedScope: an OAuth2Policy reserves the name of a scope.
	ReasonReservedScope = "ReservedScope"
	// ReasonInForce: the policy holds in the namespaces that it selects.
	ReasonInForce = "InForce"
)

// ResourceDeclared is the condition of a resource that tokens are issued for.
func ResourceDeclared() metav1.Condition {
	return metav1.Condition{
		Type: ConditionReady, Status: metav1.ConditionTrue, Reason: ReasonDeclared,
		Message: "Clients that spec.grants names can fetch tokens for status.identifier.",
	}
}

// IdentifierConflict is the condition of a resource whose identifier another resource has. It does
// not name that resource.
func IdentifierConflict(identifier string) metav1.Condition {
	return notReady(ReasonIdentifierConflict, fmt.Sprintf(
		"The identifier %q, or one that differs from it by case alone, is taken by another OAuth2Resource. It becomes free when that one "+
			"is deleted; until then declare the resource with another identifier.", identifier))
}

// IdentifierNotAllowed is the condition of a resource that chose an identifier which no policy
// allows.
func IdentifierNotAllowed(identifier string) metav1.Condition {
	return notReady(ReasonIdentifierNotAllowed, fmt.Sprintf(
		"No OAuth2Policy lets this namespace use the identifier %q. Create the resource without spec.identifier, or ask the cluster's "+
			"administrator for a policy with it in spec.resourceIdentifiers.", identifier))
}

// IdentifierReserved is the condition of a resource that chose an identifier which means something
// else already.
func IdentifierReserved(identifier string) metav1.Condition {
	return notReady(ReasonIdentifierReserved, fmt.Sprintf(
		"The identifier %q belongs to the issuer or to the Kubernetes API server. Create the resource without spec.identifier, or with one "+
			"of your own.", identifier))
}

// ResourceTooLarge is the condition of a resource whose record would be larger than the limit, in
// bytes.
func ResourceTooLarge(limit int) metav1.Condition {
	return notReady(ReasonTooLarge, "The grants select more namespaces than one record can name. Clients that had a grant before keep the scopes that spec "+
		"still grants them, and no other client is granted any. "+resourceSize(limit))
}

// LargeResourceKept is the condition of a resource whose record, of a size in bytes, was written
// before its size was limited.
func LargeResourceKept(size, limit int) metav1.Condition {
	return metav1.Condition{
		Type: ConditionWithinLimits, Status: metav1.ConditionFalse, Reason: ReasonTooLarge,
		Message: fmt.Sprintf("The resource keeps working as it is, but nothing can be added to its grants: its record has %d KiB. ", kib(int64(size))) +
			resourceSize(limit),
	}
}

func resourceSize(limit int) string {
	return fmt.Sprintf("The record of a resource may have %d KiB, most of which are the names of namespaces and scopes. Select fewer namespaces, or divide "+
		"the scopes among several resources; grants with the same clientSelector share one list.", kib(int64(limit)))
}

// ConsentComplete is the condition of a resource whose grants are all honoured. missing are the
// namespaces that they name and that do not exist.
func ConsentComplete(missing []string) metav1.Condition {
	message := "Every scope and grant is honoured."
	if len(missing) > 0 {
		message += fmt.Sprintf(" Namespace %q, which a grant names, does not exist", missing[0])
		if more := len(missing) - 1; more > 0 {
			message += fmt.Sprintf(" (and %d more)", more)
		}
		message += ": check the spelling, or create it."
	}
	return metav1.Condition{Type: ConditionGrantsComplete, Status: metav1.ConditionTrue, Reason: ReasonGranted, Message: message}
}

// ReservedScope is the condition of a resource one of whose scopes a policy reserves.
func ReservedScope(scope string) metav1.Condition {
	return incomplete(ReasonReservedScope, fmt.Sprintf(
		"An OAuth2Policy reserves the scope name %q, so no client is granted it here. Use another name; the other scopes are granted.", scope))
}

// UnprotectedLabel is the condition of a resource that selects namespaces by a label that their
// owners can set.
func UnprotectedLabel(label string, protected []string) metav1.Condition {
	return incomplete(ReasonUnprotectedLabel, unprotected(label, protected)+" The grant that selects by it has no effect; the others do.")
}

// TokenServersOutdated is the condition of a resource with a grant for exchanged tokens while token
// servers run that do not read them, or none has reported. outdated are these token servers.
func TokenServersOutdated(outdated []string) metav1.Condition {
	message := "Not all subjects of the grants are in force yet: no token server has reported which tokens it reads. Wait until one is ready."
	if len(outdated) > 0 {
		message = fmt.Sprintf("Not all subjects of the grants are in force yet: token server %q", outdated[0])
		if more := len(outdated) - 1; more > 0 {
			message += fmt.Sprintf(" (and %d more)", more)
		}
		message += " does not read the tokens of all of them. Finish the upgrade. A token server that was killed counts for 30 minutes."
	}
	return incomplete(ReasonTokenServersOutdated, message)
}

// SelectorNotAvailable is the condition of a resource that selects namespaces where the
// installation reads no labels of them.
func SelectorNotAvailable() metav1.Condition {
	return incomplete(ReasonSelectorNotAvailable, "This installation is restricted to chosen namespaces and reads no labels of namespaces. List them by "+
		"name in from.namespaces. The grant that selects by labels has no effect; the others do.")
}

// PolicyInForce is the condition of a policy that holds.
func PolicyInForce() metav1.Condition {
	return metav1.Condition{
		Type: ConditionReady, Status: metav1.ConditionTrue, Reason: ReasonInForce, Message: "The policy holds in the namespaces that it selects.",
	}
}

// PolicyUnprotectedLabel is the condition of a policy that would allow something by a label that
// tenants can set.
func PolicyUnprotectedLabel(label string, protected []string) metav1.Condition {
	return notReady(ReasonUnprotectedLabel, unprotected(label, protected)+
		" Its limits apply, but it permits nothing: no clientIDs, redirectURIs, resourceIdentifiers and claims, no FederatedToken and None, no TokenExchange "+
		"and AuthorizationCode, and no maxRefreshLifetime beyond 8h.")
}

func unprotected(label string, protected []string) string {
	return fmt.Sprintf("The owner of a namespace can set the label %q. Select by one of %s, or ask the administrator of Hallpass to protect it "+
		"(--protected-namespace-label).", label, strings.Join(protected, ", "))
}

// GrantsComplete is the condition of a client that has all that it asks for.
func GrantsComplete() metav1.Condition {
	return metav1.Condition{
		Type: ConditionGrantsComplete, Status: metav1.ConditionTrue, Reason: ReasonGranted, Message: "Every scope that is asked for is granted.",
	}
}

// GrantsIncomplete is the condition of a client that lacks something; what names the first scope
// that is missing, and more is how many others are.
func GrantsIncomplete(what string, more int) metav1.Condition {
	rest := "The other scopes are granted"
	switch {
	case more == 1:
		rest = "One more scope is not granted"
	case more > 1:
		rest = fmt.Sprintf("%d more scopes are not granted", more)
	}
	return incomplete(ReasonNotGranted, what+" "+rest+"; status.grants lists each decision.")
}

// LifetimeCut is the condition of a client whose tokens live shorter than it asks for.
func LifetimeCut(to time.Duration) metav1.Condition {
	return incomplete(ReasonNotAllowedByPolicy, fmt.Sprintf("An OAuth2Policy limits the lifetime of tokens of this namespace to %s.", Text(to)))
}

// MethodNotAllowed is the condition of a client that authenticates in a way that a policy forbids.
func MethodNotAllowed(method AuthenticationMethod) metav1.Condition {
	return notReady(ReasonNotAllowedByPolicy, fmt.Sprintf(
		"An OAuth2Policy forbids the authentication method %s in this namespace: the client gets no tokens. Choose another "+
			"spec.authentication.method, or ask the cluster's administrator.", method))
}

// GrantTypeNotAllowed is the condition of a client with a grant type that no policy allows.
func GrantTypeNotAllowed(grantType GrantType) metav1.Condition {
	return notReady(ReasonNotAllowedByPolicy, fmt.Sprintf(
		"No OAuth2Policy allows the grant type %[1]s in this namespace: the client gets no tokens. Choose another one in spec.grantTypes, which is "+
			"ClientCredentials if it is left out, or ask the cluster's administrator to list %[1]s in spec.grantTypes of the policies of this namespace. Where the manager works in chosen "+
			"namespaces there are none: the flag --allow-grant-type allows TokenExchange.",
		grantType))
}

// ContactsMissing is the condition of a client without contacts where a policy requires some.
func ContactsMissing() metav1.Condition {
	return notReady(ReasonNotAllowedByPolicy,
		"An OAuth2Policy requires spec.contacts in this namespace. Add an e-mail address or a URI at which its team can be reached.")
}

func incomplete(reason, message string) metav1.Condition {
	return metav1.Condition{Type: ConditionGrantsComplete, Status: metav1.ConditionFalse, Reason: reason, Message: message}
}
