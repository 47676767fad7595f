// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OAuth2Client is an application that fetches bearer tokens. Hallpass registers the client and
// writes its credentials into a Secret in the same namespace. The token endpoint issues tokens to
// callers that present these credentials.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=hpc,categories=hallpass
// +kubebuilder:printcolumn:name="Client ID",type=string,JSONPath=`.status.clientID`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Grants",type=string,JSONPath=`.status.conditions[?(@.type=="GrantsComplete")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Display Name",type=string,priority=1,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Last Used",type=date,priority=1,JSONPath=`.status.lastUsedAt`
// +kubebuilder:printcolumn:name="Next Rotation",type=string,priority=1,JSONPath=`.status.rotation.nextAt`
// +kubebuilder:printcolumn:name="Secret",type=string,priority=1,JSONPath=`.status['secret','configMap'].name`
// +kubebuilder:printcolumn:name="Resource",type=string,priority=1,JSONPath=`.status.resources`
// +kubebuilder:printcolumn:name="Scopes",type=string,priority=1,JSONPath=`.spec.scopes`
// +kubebuilder:selectablefield:JSONPath=`.spec.authentication.serviceAccount.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.authentication.federatedToken.subject`
//
// +kubebuilder:validation:XValidation:rule="(has(self.spec) && has(self.spec.clientID)) == (has(oldSelf.spec) && has(oldSelf.spec.clientID)) && (!has(self.spec) || !has(self.spec.clientID) || self.spec.clientID == oldSelf.spec.clientID)",message="spec.clientID is fixed when the OAuth2Client is created; create another OAuth2Client for another identifier, and delete this one once it is unused: its secrets and tokens end with it"
type OAuth2Client struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec configures the client. All fields are optional: a client with an empty spec has a
	// client secret, tokens that are valid for one hour, and no scopes.
	// +optional
	Spec OAuth2ClientSpec `json:"spec,omitzero"`

	// status is the observed state of the client. Hallpass writes it and never uses it as
	// input.
	// +optional
	Status OAuth2ClientStatus `json:"status,omitzero"`
}

// OAuth2ClientList is a list of OAuth2Clients.
//
// +kubebuilder:object:root=true
type OAuth2ClientList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []OAuth2Client `json:"items"`
}

// OAuth2ClientSpec configures a client.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.secret) && has(self.secret.source) && self.secret.source == 'Existing' && has(self.rotation) && has(self.rotation.interval))",message="rotation.interval is for Secrets that Hallpass writes; an Existing one is rotated by the tool that writes it"
// +kubebuilder:validation:XValidation:rule="!has(self.authentication) || !(has(self.authentication.privateKeyJWT) || has(self.authentication.serviceAccount) || has(self.authentication.federatedToken) || has(self.authentication.method) && self.authentication.method == 'None') || !has(self.rotation) && !(has(self.secret) && (has(self.secret.keys) && has(self.secret.keys.clientSecret) || has(self.secret.source) && self.secret.source == 'Existing'))",message="with PrivateKeyJWT, ServiceAccount, FederatedToken and None there is no client secret: leave out rotation, secret.keys.clientSecret and secret.source Existing"
// +kubebuilder:validation:XValidation:rule="!has(self.defaultResource) || has(self.access) && self.access.exists(a, a.resourceNamespace == self.defaultResource.namespace && a.resourceName == self.defaultResource.name)",message="defaultResource must be one of spec.access"
// +kubebuilder:validation:XValidation:rule="!has(self.authentication) || !has(self.authentication.privateKeyJWT) || !has(self.authentication.privateKeyJWT.maxAssertionLifetime) || has(self.grantTypes) && 'JWTBearer' in self.grantTypes || !self.authentication.privateKeyJWT.maxAssertionLifetime.matches('^([0-9]{1,6}[hms])+$') || duration(self.authentication.privateKeyJWT.maxAssertionLifetime) <= duration('10m')",message="maxAssertionLifetime above 10m requires JWTBearer in grantTypes: a client assertion may live for 10m at most"
// +kubebuilder:validation:XValidation:rule="(has(self.grantTypes) && 'AuthorizationCode' in self.grantTypes) == has(self.redirectURIs)",message="set redirectURIs if and only if grantTypes has AuthorizationCode"
// +kubebuilder:validation:XValidation:rule="has(self.redirectURIs) || !has(self.refreshTokens) && !has(self.consent) && !has(self.loginIssuerName)",message="refreshTokens, consent and loginIssuerName are for clients with AuthorizationCode in grantTypes"
// +kubebuilder:validation:XValidation:rule="!has(self.authentication) || !has(self.authentication.method) || self.authentication.method != 'None' || has(self.grantTypes) && self.grantTypes.all(g, g == 'AuthorizationCode')",message="with authentication method None, grantTypes is [AuthorizationCode]: without a person, nothing would authenticate the request"
// +kubebuilder:validation:XValidation:rule="!has(self.refreshTokens) || !has(self.refreshTokens.idleTimeout) || has(self.refreshTokens.maxRefreshes) || has(self.authentication) && has(self.authentication.method) && self.authentication.method == 'None'",message="refreshTokens.idleTimeout needs refreshTokens.maxRefreshes, or authentication method None: other refresh tokens are not replaced when they are used"
type OAuth2ClientSpec struct {
	// displayName is a name for people. kubectl get --output wide prints it, and the page on
	// which people allow the client what it asks for shows it beside the client_id. At most 100
	// characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	DisplayName string `json:"displayName,omitempty"`

	// description is a note for people, such as what the client does and which team runs it. At
	// most 2000 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2000
	Description string `json:"description,omitempty"`

	// contacts are the people who answer questions about the client (RFC 7591): e-mail
	// addresses, or URIs such as https://chat.example.com/shop. An OAuth2Policy can require at
	// least one. At most 8.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Contacts []Contact `json:"contacts,omitempty"`

	// clientID is the client identifier of an application that is migrated and keeps its
	// identifier. Defaults to <namespace>.<name>. The installation or an OAuth2Policy has to
	// allow it. Three kinds of values need an OAuth2Policy that lists the full value, without
	// *: with a colon (an https: or urn: URI), with a %, and of the form a.b. A value a.b is
	// refused if a namespace named a exists. The field cannot be changed, set or removed later.
	// At most 255 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="clientID is printable ASCII without spaces"
	// +kubebuilder:validation:XValidation:rule="!self.lowerAscii().matches('^((u|%(25)*[57]5)(s|%(25)*[57]3)(e|%(25)*[46]5)(r|%(25)*[57]2)|(s|%(25)*[57]3)(y|%(25)*[57]9)(s|%(25)*[57]3)(t|%(25)*[57]4)(e|%(25)*[46]5)(m|%(25)*[46]d))(:|%(25)*3a)')",message="clientID must not begin with user: or system:, percent-encoded or not, which are the prefixes of users and service accounts"
	// +kubebuilder:validation:XValidation:rule="!self.contains(':') || self.matches('^(https://|urn:)[]!#-)+-;=?-[_a-z~]+$')",message="a clientID with a colon is an https: or urn: URI, such as https://orders.example.com, without *"
	ClientID string `json:"clientID,omitempty"`

	// scopes are free-form scopes (RFC 6749 section 3.3) for the audience of the client's own
	// namespace. A token request without a scope is granted all of them. At most 64, each of at
	// most 128 characters. For scopes of an API that is declared as an OAuth2Resource, use
	// access.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`

	// access requests scopes of OAuth2Resources, in the client's own namespace or in others.
	// The owner of each resource grants scopes; status.grants reports the result. Its fields
	// are called resourceNamespace and resourceName; in spec.defaultResource they are called
	// namespace and name. At most 16.
	// +optional
	// +listType=map
	// +listMapKey=resourceNamespace
	// +listMapKey=resourceName
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Access []Access `json:"access,omitempty"`

	// defaultResource is the OAuth2Resource of token requests that have no parameter resource.
	// It must be one of spec.access. Its fields are called namespace and name; in spec.access
	// they are called resourceNamespace and resourceName. Defaults to the audience of the
	// client's own namespace.
	// +optional
	DefaultResource ResourceReference `json:"defaultResource,omitzero"`

	// tokenLifetime is the time for which a token of this client is valid, from 1m to 1h, in
	// whole seconds. Defaults to 1h. An OAuth2Policy or an OAuth2Resource can shorten it. A
	// change affects new tokens only.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) >= duration('1m') && duration(self) <= duration('1h')",message="tokenLifetime must be between 1m and 1h in whole seconds, such as 30m"
	TokenLifetime Duration `json:"tokenLifetime,omitempty"`

	// tokenSigningAlgorithm is the algorithm that signs the tokens of this client: ES256,
	// RS256, EdDSA, or Ed25519, which is the same under the name of RFC 9864. The installation
	// has to enable it. Defaults to the first of --signing-algorithms, which is ES256 unless
	// set otherwise.
	// +optional
	TokenSigningAlgorithm SigningAlgorithm `json:"tokenSigningAlgorithm,omitempty"`

	// claims are additional claims in every token of the client and in the response of
	// introspection. Use a name with '/' or ':', such as https://example.com/tier. Other names
	// require an OAuth2Policy that allows them, and the names of standard claims are refused.
	// At most 16, with at most 2048 characters in all.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.map(c, size(c.name) + (has(c.value) ? size(c.value) : 0) + (has(c.values) ? c.values.map(v, size(v)).sum() : 0)).sum() <= 2048",message="claims must be at most 2048 characters in all, names and values"
	Claims []Claim `json:"claims,omitempty"`

	// grantTypes are the grant types that the client may use at the token endpoint (RFC 7591
	// grant_types). Defaults to ClientCredentials. With JWTBearer (RFC 7523) the client sends
	// as the grant the JWT that it otherwise sends as its client assertion; this is for
	// programs that know no other way, such as Prometheus. Or it sends the identity assertion
	// of a person (ID-JAG) as the grant, and authenticates as always. With TokenExchange (RFC
	// 8693) it exchanges a token that was sent to it for one of another API, and acts there for
	// the same subject. With AuthorizationCode (RFC 6749 section 4.1, with PKCE) people log in
	// at an OAuth2TrustedIssuer, and the client acts for them; it needs redirectURIs. An
	// OAuth2Policy can forbid grant types, and has to list TokenExchange and AuthorizationCode.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	GrantTypes []GrantType `json:"grantTypes,omitempty"`

	// redirectURIs are the URIs to which a person may be sent with an authorization code.
	// Required with AuthorizationCode. The redirect_uri of a request has to be one of them
	// exactly; for http on localhost, 127.0.0.1 and [::1] without a port, it may have any port
	// (RFC 8252). An OAuth2Policy has to allow each of them in spec.redirectURIs. At most 16,
	// each of at most 512 characters.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	RedirectURIs []RedirectURI `json:"redirectURIs,omitempty"`

	// refreshTokens configures the refresh tokens of a client with AuthorizationCode. If unset,
	// it gets none.
	// +optional
	RefreshTokens RefreshTokensSpec `json:"refreshTokens,omitzero"`

	// consent is Always or WhenNeeded: whether a person is asked at each login what the client
	// may do. Defaults to WhenNeeded: the page is left out for a client that authenticates, has
	// an https redirect URI, and is of the namespace of the resource.
	// +optional
	Consent ConsentMode `json:"consent,omitempty"`

	// loginIssuerName is the name of the OAuth2TrustedIssuer at which people log in for a
	// client with AuthorizationCode. It needs spec.login, and its spec.namespaces has to list
	// the namespace of the client. Defaults to the only such issuer.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="loginIssuerName is the name of an OAuth2TrustedIssuer: lower-case letters, digits and '-'"
	LoginIssuerName string `json:"loginIssuerName,omitempty"`

	// authentication configures how the client authenticates. Defaults to a client secret that
	// Hallpass generates.
	// +optional
	Authentication AuthenticationSpec `json:"authentication,omitzero"`

	// secret configures the Secret with the credentials. For a client with method
	// ServiceAccount, FederatedToken or None it configures a ConfigMap with the client_id and
	// the URLs.
	// +optional
	Secret SecretSpec `json:"secret,omitzero"`

	// rotation configures when the client secret is replaced, and for how long the previous one
	// is accepted.
	// +optional
	Rotation RotationSpec `json:"rotation,omitzero"`

	// state is Active or Suspended. Defaults to Active. A suspended client gets no tokens, and
	// introspection, forward-auth and ext_authz refuse the tokens that it has. Its credentials
	// are kept. Set Active to resume.
	// +optional
	State ClientState `json:"state,omitempty"`

	// revokeTokensIssuedBefore revokes every token of this client that was issued before the
	// given time: introspection, forward-auth and ext_authz refuse them. The client can fetch
	// new tokens. A time in the future means the time at which Hallpass first reads it, so that
	// it revokes all tokens issued until then; to revoke again, set another value. If you
	// remove the field, tokens that have not expired are valid again.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('2020-01-01T00:00:00Z')",message="revokeTokensIssuedBefore is too early: there is no older token; tokens issued before this time are revoked, so give for example the present time in UTC: 2026-11-23T12:00:00Z"
	RevokeTokensIssuedBefore *metav1.Time `json:"revokeTokensIssuedBefore,omitempty"`
}

// GrantType is a grant type of the token endpoint.
//
// +kubebuilder:validation:Enum=ClientCredentials;JWTBearer;TokenExchange;AuthorizationCode
type GrantType string

// The grant types of an OAuth2Client.
const (
	// GrantClientCredentials is client_credentials, also of a client that names none.
	GrantClientCredentials GrantType = "ClientCredentials"
	// GrantJWTBearer is urn:ietf:params:oauth:grant-type:jwt-bearer.
	GrantJWTBearer GrantType = "JWTBearer"
	// GrantTokenExchange is urn:ietf:params:oauth:grant-type:token-exchange.
	GrantTokenExchange GrantType = "TokenExchange"
	// GrantAuthorizationCode is authorization_code, and refresh_token with it.
	GrantAuthorizationCode GrantType = "AuthorizationCode"
)

// Contact is an e-mail address or an absolute URI.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:rule="self.matches('^[^@[:space:][:cntrl:]]+@[^@[:space:][:cntrl:]]+$') || self.matches('^[a-zA-Z][-+.a-zA-Z0-9]*:[!-~]+$')",message="a contact is an e-mail address, or a URI such as https://chat.example.com/shop"
type Contact string

// Scope is one scope token of RFC 6749 section 3.3: printable ASCII without space, quotation mark
// and backslash.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule="self.matches('^[!#-[\\\\]-~]+$')",message="a scope is printable ASCII without spaces, quotation marks and backslashes (RFC 6749 section 3.3)"
type Scope string

// SigningAlgorithm is an algorithm that signs tokens (RFC 7518, RFC 8037).
//
// +kubebuilder:validation:Enum=ES256;RS256;EdDSA;Ed25519
type SigningAlgorithm string

// AuthenticationSpec configures how a client authenticates. The token endpoint accepts only this
// method.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="(has(self.method) && self.method == 'PrivateKeyJWT') == has(self.privateKeyJWT)",message="set privateKeyJWT if and only if method is PrivateKeyJWT"
// +kubebuilder:validation:XValidation:rule="(has(self.method) && self.method == 'ServiceAccount') == has(self.serviceAccount)",message="set serviceAccount if and only if method is ServiceAccount"
// +kubebuilder:validation:XValidation:rule="(has(self.method) && self.method == 'FederatedToken') == has(self.federatedToken)",message="set federatedToken if and only if method is FederatedToken"
type AuthenticationSpec struct {
	// method is ClientSecret, PrivateKeyJWT, ServiceAccount, FederatedToken or None. Defaults
	// to ClientSecret. With PrivateKeyJWT (RFC 7523) the client signs assertions with its own
	// key; its Secret contains the client_id and the URLs, and no client secret. With
	// ServiceAccount the client is a pod that sends the token of its service account; it has a
	// ConfigMap and no Secret. With FederatedToken the client runs outside of the cluster and
	// sends a JWT of an OAuth2TrustedIssuer; it has a ConfigMap and no Secret. With None the
	// client is a program on the machine of a person or in a browser, which can keep no secret
	// (a public client of RFC 6749); it has a ConfigMap and no Secret, and acts for people who
	// log in only. FederatedToken and None need an OAuth2Policy that lists them in
	// spec.authenticationMethods.
	// +optional
	Method AuthenticationMethod `json:"method,omitempty"`

	// privateKeyJWT configures the method PrivateKeyJWT. Required for this method.
	// +optional
	PrivateKeyJWT PrivateKeyJWTSpec `json:"privateKeyJWT,omitzero"`

	// serviceAccount configures the method ServiceAccount. Required for this method.
	// +optional
	ServiceAccount ServiceAccountSpec `json:"serviceAccount,omitzero"`

	// federatedToken configures the method FederatedToken. Required for this method.
	// +optional
	FederatedToken FederatedTokenSpec `json:"federatedToken,omitzero"`
}

// AuthenticationMethod is how a client authenticates.
//
// +kubebuilder:validation:Enum=ClientSecret;PrivateKeyJWT;ServiceAccount;FederatedToken;None
type AuthenticationMethod string

// The authentication methods of an OAuth2Client.
const (
	// ByClientSecret is the ordinary method, also of a client that names none:
	// client_secret_basic or client_secret_post.
	ByClientSecret AuthenticationMethod = "ClientSecret"
	// ByPrivateKeyJWT is private_key_jwt.
	ByPrivateKeyJWT AuthenticationMethod = "PrivateKeyJWT"
	// ByServiceAccount is a pod's token of its service account as the assertion of RFC 7523.
	ByServiceAccount AuthenticationMethod = "ServiceAccount"
	// ByFederatedToken is a JWT of an OAuth2TrustedIssuer as the assertion of RFC 7523.
	ByFederatedToken AuthenticationMethod = "FederatedToken"
	// ByNone is the method of a public client, which sends its client_id alone.
	ByNone AuthenticationMethod = "None"
)

// The fields that select the OAuth2Clients which name a service account, or a subject of a trusted
// issuer, in a field selector.
const (
	FieldServiceAccount = "spec.authentication.serviceAccount.name"
	FieldSubject        = "spec.authentication.federatedToken.subject"
)

// ServiceAccountSpec names the service account whose pods authenticate as the client.
type ServiceAccountSpec struct {
	// name is the name of a ServiceAccount in the namespace of the client. Its token is
	// accepted if the issuer is the only audience and the lifetime is at most one hour. If the
	// account is deleted and created again, the tokens of the new one are accepted. A token
	// request can leave out client_id while no other OAuth2Client names the account. Pods that
	// name no account have the account "default".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="serviceAccount.name must be the name of a ServiceAccount of this namespace: lower-case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`
}

// ClientState is whether a client can use and get tokens.
//
// +kubebuilder:validation:Enum=Active;Suspended
type ClientState string

// The states of an OAuth2Client.
const (
	// ClientActive is the ordinary state, also of a client that names none.
	ClientActive ClientState = "Active"
	// ClientSuspended refuses the client and every token it holds until it is Active again.
	ClientSuspended ClientState = "Suspended"
)
