// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The reasons of the conditions of clients with AuthorizationCode.
const (
	// ReasonRedirectNotAllowed: no OAuth2Policy allows a redirect URI of the client.
	ReasonRedirectNotAllowed = "RedirectNotAllowed"
	// ReasonLoginNotAvailable: people cannot log in for the client.
	ReasonLoginNotAvailable = "LoginNotAvailable"
)

// RegisteredPublic is the condition of a client that does not authenticate.
func RegisteredPublic() metav1.Condition {
	return metav1.Condition{
		Type: ConditionReady, Status: metav1.ConditionTrue, Reason: ReasonRegistered,
		Message: "The client can send people to the authorization endpoint, and redeem the codes that it gets with its client_id and PKCE. It has no secret.",
	}
}

// RedirectNotAllowed is the condition of a client with a redirect URI that no policy allows. more
// is how many others there are.
func RedirectNotAllowed(uri string, more int) metav1.Condition {
	others := ""
	if more > 0 {
		others = fmt.Sprintf(" (and %d more)", more)
	}
	return notReady(ReasonRedirectNotAllowed, fmt.Sprintf(
		"The OAuth2Policies of this namespace do not allow the redirect URI %q%s: no person is sent there. Remove it from spec.redirectURIs, or ask the "+
			"cluster's administrator to list it in spec.redirectURIs of the policies of this namespace. The others are in force.", uri, others))
}

// LoginNotInstalled is the condition of a client for which people would log in, where the
// installation has no login.
func LoginNotInstalled() metav1.Condition {
	return notReady(ReasonLoginNotAvailable, "This installation has no login for people, so no code is issued. Ask the administrator of Hallpass to install it "+
		"(--login-url), or remove AuthorizationCode from spec.grantTypes.")
}

// NoLoginIssuer is the condition of a client whose namespace may use no issuer with a login.
func NoLoginIssuer() metav1.Condition {
	return notReady(ReasonLoginNotAvailable, "No OAuth2TrustedIssuer with spec.login lets this namespace use it, so people cannot log in. Ask the cluster's "+
		"administrator to add the namespace to its spec.namespaces.")
}

// SeveralLoginIssuers is the condition of a client whose namespace may use several issuers with a
// login.
func SeveralLoginIssuers(names []string) metav1.Condition {
	return notReady(ReasonLoginNotAvailable, fmt.Sprintf(
		"This namespace may use several OAuth2TrustedIssuers at which people can log in (%s). Set spec.loginIssuerName to one of them.", strings.Join(names, ", ")))
}

// IssuerHasNoLogin is the condition of a client that names an issuer without a login.
func IssuerHasNoLogin(name string) metav1.Condition {
	return notReady(ReasonLoginNotAvailable, fmt.Sprintf(
		"OAuth2TrustedIssuer %q has no spec.login, so people cannot log in at it. Name another one in spec.loginIssuerName, or ask the cluster's administrator.", name))
}

// LoginIssuerNotFound is the condition of a client that names an issuer for logins which is not
// there, or has no keys.
func LoginIssuerNotFound(name string) metav1.Condition {
	return notReady(ReasonIssuerNotFound, fmt.Sprintf(
		"There is no OAuth2TrustedIssuer %q that is trusted, so people cannot log in at it. Ask the cluster's administrator to create it, or to read its "+
			"conditions; or correct spec.loginIssuerName.", name))
}

// RefreshLifetimeCut is the condition of a client whose refresh tokens live shorter than it asks
// for.
func RefreshLifetimeCut(to time.Duration) metav1.Condition {
	return incomplete(ReasonNotAllowedByPolicy, fmt.Sprintf(
		"The OAuth2Policies of this namespace limit the lifetime of refresh tokens to %s, which is 8h where none sets spec.maxRefreshLifetime.", Text(to)))
}
