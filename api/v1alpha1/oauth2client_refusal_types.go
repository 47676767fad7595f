// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MaxRefusals bounds status.refusals.
const MaxRefusals = 8

// RefusalStatus is what the token server refused to a client for one reason.
type RefusalStatus struct {
	// reason is why the requests were refused: the reason of the audit line and of the event.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Reason string `json:"reason,omitempty"`

	// count is the number of refused requests that the replicas of the token server have
	// reported. Each replica counts from 0 when it starts. Its count is dropped about a week
	// after it has ended.
	// +required
	// +kubebuilder:validation:Minimum=1
	Count int64 `json:"count,omitempty"`

	// lastRefusedAt is the time of the last refusal, to the minute.
	// +required
	LastRefusedAt metav1.Time `json:"lastRefusedAt,omitzero"`

	// source is the address that one of the last of these requests came from.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Source string `json:"source,omitempty"`

	// message is what was wrong and what to do.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// Text is the text of the event about the refusals.
func (r RefusalStatus) Text() string {
	times, from := "once", ""
	if r.Count > 1 {
		times = fmt.Sprintf("%d times", r.Count)
	}
	if r.Source != "" {
		from = ", last from " + r.Source
	}
	return fmt.Sprintf("Refused %s%s. %s", times, from, r.Message)
}

// refusalMessages describe what is wrong with a request that is refused for a reason, and what to
// do.
var refusalMessages = map[string]string{ //nolint:gochecknoglobals // a constant table
	"SecretNotDecoded":           "The client secret is right, and still encoded in Base64. Decode it: kubectl get secret -o yaml prints values in Base64.",
	"WrongAuthenticationMethod":  "The request authenticates by another method than spec.authentication.method. Use that method, or change the spec.",
	"WrongAssertion":             "The client assertion is not signed by a key of spec.authentication or of the trusted issuer, or its claims are wrong. Compare it with the rules in docs/authentication.md.",
	"AssertionExpired":           "The client assertion has expired, or its exp is too far ahead. Check the clock of the caller, and spec.authentication.privateKeyJWT.maxAssertionLifetime.",
	"IssuerNotFound":             "There is no OAuth2TrustedIssuer of the name in spec.authentication.federatedToken that is trusted. The condition Ready has the reason.",
	"IssuerSuspended":            "The OAuth2TrustedIssuer of the client is suspended. Ask the cluster's administrator.",
	"OwnIssuer":                  "The OAuth2TrustedIssuer of the client is Hallpass or this cluster. Use authentication method ServiceAccount for pods of this cluster.",
	"NotAllowedByIssuer":         "The OAuth2TrustedIssuer does not let this namespace use the JWT. Compare its spec.namespaces with the sub and the claims of the JWT.",
	"KeysStale":                  "The keys of the OAuth2TrustedIssuer could not be fetched for too long. Its conditions have the reason.",
	"WrongSubject":               "The sub of the JWT is not the one in spec.authentication.federatedToken. Decode the JWT and compare the two.",
	"WrongClaim":                 "A claim of the JWT does not have one of the values in spec.authentication.federatedToken.claims. Decode the JWT and compare them.",
	"AssertionReplayed":          "The client assertion was used before. Sign one for each request, with a jti of its own.",
	"AssertionKeyUnknown":        "The cluster or the trusted issuer has no key that signed the token. Check that the pod runs in this cluster, or that the JWT is of the issuer.",
	"WrongAssertionAudience":     "The token of the pod or the JWT is for another audience. Set the issuer of Hallpass as its only audience.",
	"AssertionLivesTooLong":      "The token of the pod is valid for more than an hour, or the JWT for more than maxTokenLifetime of its issuer. Set expirationSeconds: 3600 in the projected volume.",
	"InvalidJWKS":                "The keys in spec.authentication.privateKeyJWT.jwks cannot be used. The conditions have the reason.",
	"WrongServiceAccount":        "The token is of another ServiceAccount. Set serviceAccountName of the pod, or spec.authentication.serviceAccount.name.",
	"ServiceAccountNotFound":     "The ServiceAccount of spec.authentication.serviceAccount.name does not exist. Create it in this namespace.",
	"ServiceAccountTokenEnded":   "The pod or the ServiceAccount of the token was deleted. Read the mounted token again.",
	"Suspended":                  "The client is suspended. Set spec.state to Active when it may fetch tokens again.",
	"NotAllowedByPolicy":         "An OAuth2Policy does not allow this client. Its condition Ready names the field.",
	"UnsupportedGrantType":       "The request has another grant type. Send grant_type=client_credentials.",
	"RedirectNotAllowed":         "The redirect_uri of the request is none of spec.redirectURIs that the policies allow. Send one of them exactly, or add it to the spec.",
	"RequestNotSupported":        "The authorization request asks for another protocol. Send response_type=code with PKCE in the query, and no request object.",
	"PKCENeeded":                 "The request has no code_challenge of method S256, or no code_verifier. Use a library with PKCE (RFC 7636), and enable it.",
	"LoginNotAvailable":          "People cannot log in for this client. Its condition Ready has the reason.",
	"CodeRefused":                "The code was not issued here, or to another client or redirect URI. Send redirect_uri as in the authorization request.",
	"CodeExpired":                "The code has expired: redeem it within a minute. The person has to log in again.",
	"CodeUsed":                   "The code was redeemed before, so its grant has ended. Redeem each code once; the person has to log in again.",
	"WrongCodeVerifier":          "The code_verifier is not that of the code_challenge. Keep it between the two requests, for each login.",
	"RefreshTokenRefused":        "The refresh token was not issued here, or to another client. The person has to log in again.",
	"RefreshTokenExpired":        "The refresh token has expired, or was not used for spec.refreshTokens.idleTimeout. The person has to log in again.",
	"RefreshTokenReplaced":       "The refresh token was replaced a short time ago. Use the one of the last answer, and store each new one in one place.",
	"RefreshTokenReused":         "A refresh token was used that had been replaced, so it may be stolen, and its grant has ended. Store each new refresh token, in one place.",
	"RefreshesUsedUp":            "The tokens of a login were refreshed spec.refreshTokens.maxRefreshes times. The person has to log in again.",
	"GrantEnded":                 "The grant was revoked. The person has to log in again.",
	"GrantNotDurable":            "The end or the next refresh of a grant could not be stored. Try again after Retry-After.",
	"NoSealingKey":               "There is no key that seals codes and refresh tokens. Ask the administrator of Hallpass.",
	"TicketRefused":              "The login took longer than ten minutes, or its ticket is of another installation. Begin it again.",
	"WrongIDToken":               "The identity provider answered with an ID token that cannot be used. Ask the cluster's administrator to compare its spec with the OAuth2TrustedIssuer.",
	"IDTokenKeyUnknown":          "The identity provider does not publish the key of the ID token. The conditions of the OAuth2TrustedIssuer have more.",
	"IDTokenExpired":             "The ID token of the identity provider has expired, is old, or is of the future. Check the clocks.",
	"WrongIDTokenAudience":       "The ID token of the identity provider is for another client. Ask the cluster's administrator to correct spec.login.clientID of the OAuth2TrustedIssuer.",
	"WrongIDTokenNonce":          "The ID token of the identity provider is of another login. Begin the login again.",
	"PersonNotAllowed":           "The person may not log in: spec.login.allowed or spec.namespaces of the OAuth2TrustedIssuer does not let them. Ask the cluster's administrator.",
	"GroupsNotInToken":           "The identity provider left the groups of the person out of the ID token, because there are too many. Ask the cluster's administrator to limit them there.",
	"PersonRefused":              "The person did not consent. Nothing is wrong.",
	"ProviderRefused":            "The identity provider did not log the person in, for example because the person cancelled.",
	"ProviderUnavailable":        "The identity provider could not be reached. The log of login has the cause.",
	"ProviderUnusable":           "The identity provider refused Hallpass, or its answer could not be used. The log of login has the cause.",
	"SubjectTokenRefused":        "The token to exchange is not active, or was not sent to this client. Only a client that may introspect the tokens of its audience exchanges them.",
	"SubjectTokenNotPassedOn":    "The token to exchange is one that is not exchanged. The error_description of the answer names why.",
	"GrantTypeNotAllowed":        "The client does not have the grant type of the request. Add it to spec.grantTypes, or send another grant_type.",
	"MalformedRequest":           "The request is malformed. The error_description of the answer names what is wrong.",
	"SigningAlgorithmNotEnabled": "No key signs with spec.tokenSigningAlgorithm. Choose an algorithm that the condition Ready lists.",
	"TokenOfAnotherClient":       "The request revokes a token that was issued to another client. Let that client revoke it, or create a TokenRevocation.",
}

// The messages about what %s names.
const (
	secretRefused = "The client secret is not one of this client. Read client_id and client_secret from %s again, and restart pods that took them from the environment."
	scopeRefused  = "The scope %s is not granted to this client at %s. If status.grants lists the scope for another audience, send that audience as the parameter resource. %s"
	atDefault     = "its default audience, which a request without the parameter resource is for"
	askForGrant   = "Otherwise ask the owner of the API for a grant."
	askForOwn     = "Otherwise ask for a scope of spec.scopes or status.grants, or ask the owner of the API for a grant."
	targetRefused = "Nothing is granted to this client at %s. Send as resource an audience of status.grants, or ask the owner of the API for a grant."
	otherRefused  = "docs/audit.md has for each reason what to do."
)

// refusedSubjects describe what is wrong with a request whose subject is no name.
var refusedSubjects = map[string]string{ //nolint:gochecknoglobals // a constant table
	"@several":   "The request has several parameters named resource, and a token is for one. Send a request for each resource.",
	"@malformed": "The parameter resource of the request is not an absolute URI without a fragment. Send an audience of status.grants.",
	"@large":     "The token would be longer than 8 KiB. Ask for fewer scopes in a request.",
}

// RefusalMessage describes what to do about a refusal. The subject is what the request asked for,
// empty if that is not known: a resource, a scope, or a scope, an @ and a resource. What begins
// with an @ is another mistake.
func RefusalMessage(reason, subject, secretName string) string {
	switch {
	case refusedSubjects[subject] != "":
		return refusedSubjects[subject]
	case reason == ReasonScopeNotGranted:
		return scopeMessage(subject)
	case reason == ReasonTargetNotGranted && subject == "":
		return fmt.Sprintf(targetRefused, "the resource that was asked for")
	case reason == ReasonTargetNotGranted:
		return fmt.Sprintf(targetRefused, fmt.Sprintf("%q", subject))
	case reason == "WrongSecret" && secretName == "":
		return fmt.Sprintf(secretRefused, "the Secret")
	case reason == "WrongSecret":
		return fmt.Sprintf(secretRefused, fmt.Sprintf("Secret %q", secretName))
	}
	if message, there := refusalMessages[reason]; there {
		return message
	}
	return otherRefused
}

func scopeMessage(subject string) string {
	scope, resource, hasResource := strings.Cut(subject, "@")
	named, audience, otherwise := "that was asked for", atDefault, askForOwn
	if scope != "" {
		named = fmt.Sprintf("%q", scope)
	}
	switch {
	case resource != "":
		audience, otherwise = fmt.Sprintf("%q", resource), askForGrant
	case hasResource:
		audience, otherwise = "the resource of the request", askForGrant
	}
	return fmt.Sprintf(scopeRefused, named, audience, otherwise)
}
