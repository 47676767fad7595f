// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// RedirectURI is a URI to which the browser of a person is sent with an authorization code.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule="self.matches('^([]!$&-)+-;=?-[_a-z~]|%[0-9a-fA-F]{2})+$') && !self.contains('..') && !self.matches('/[.]([/?]|$)') && !self.matches('%(25)*2[eE]')",message="a redirect URI has the characters of a URI (RFC 3986), and neither a fragment nor '*', nor segments '.' and '..'"
// +kubebuilder:validation:XValidation:rule="!self.matches('[?].*;') && !self.matches('[?&][^=&]*%') && !self.matches('[?&](code|state|iss|error|error_description|error_uri|response)([=&]|$)')",message="the query of a redirect URI has no parameter of an authorization response (code, state, iss, error, error_description, error_uri, response), no ';', and no '%' in a name"
// +kubebuilder:validation:XValidation:rule="self.matches('^(https://[a-z0-9]([-.a-z0-9]*[a-z0-9])?|http://(localhost|127[.]0[.]0[.]1|[[]::1]))(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/.*)?$') || self.matches('^[a-z][-+.a-z0-9]*:(//[-._~a-zA-Z0-9]*(/.*)?|/([^/].*)?)$') && !self.matches('^(https?|javascript|vbscript|data|blob|file|filesystem|about|view-source|ftp|wss?|mailto|tel|urn):')",message="a redirect URI is https, or http on localhost, 127.0.0.1 or [::1], or has the scheme of a native application, such as com.example.shop:/callback; its host is lower-case ASCII without a user, and a query follows a path"
type RedirectURI string

// RefreshTokensSpec configures the refresh tokens of a client.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.idleTimeout) || !self.idleTimeout.matches('^([0-9]{1,6}[hms])+$') || has(self.lifetime) && !self.lifetime.matches('^([0-9]{1,6}[hms])+$') || duration(self.idleTimeout) <= duration(has(self.lifetime) ? self.lifetime : '8h')",message="refreshTokens.idleTimeout must not be longer than refreshTokens.lifetime, which is 8h if it is left out"
type RefreshTokensSpec struct {
	// maxRefreshes is how often the tokens of one login can be refreshed, from 0 to 10000. If
	// unset, there is no such limit. With 0 the client gets no refresh tokens. With a limit
	// each refresh replaces the refresh token.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	MaxRefreshes *int32 `json:"maxRefreshes,omitempty"`

	// lifetime is the time from the login after which the person has to log in again, from 5m
	// to 2160h, in whole seconds. A refresh does not extend it. Defaults to 8h. An OAuth2Policy
	// can shorten it, and more than 8h needs an OAuth2Policy that sets spec.maxRefreshLifetime.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('5m') && duration(self) <= duration('2160h')",message="refreshTokens.lifetime must be between 5m and 2160h (90 days) in whole seconds, such as 8h"
	Lifetime Duration `json:"lifetime,omitempty"`

	// idleTimeout is the time after which a refresh token that was not used is refused, from 5m
	// to lifetime, in whole seconds. If unset, refresh tokens are accepted until lifetime ends.
	// It needs refresh tokens that are replaced by each refresh: those of method None, or with
	// maxRefreshes.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('5m')",message="refreshTokens.idleTimeout must be at least 5m, in whole seconds"
	IdleTimeout Duration `json:"idleTimeout,omitempty"`
}

// ConsentMode is whether a person is asked each time.
//
// +kubebuilder:validation:Enum=Always;WhenNeeded
type ConsentMode string

// Whether a person is asked each time.
const (
	// ConsentAlways asks at each login.
	ConsentAlways ConsentMode = "Always"
	// ConsentWhenNeeded does not ask for a client that authenticates, has an https redirect
	// URI, and is of the namespace of the resource.
	ConsentWhenNeeded ConsentMode = "WhenNeeded"
)
