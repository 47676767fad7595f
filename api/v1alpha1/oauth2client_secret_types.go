// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// SecretSpec configures the Secret with the credentials of a client. A Secret that Hallpass writes
// has the type hallpass.dev/oauth2-client. For a client with method ServiceAccount, FederatedToken
// or None, and for one with an Existing Secret, the same fields configure a ConfigMap.
//
// +kubebuilder:validation:XValidation:rule="!has(self.source) || self.source != 'Existing' || !has(self.deletionPolicy)",message="deletionPolicy is for Secrets that Hallpass writes; leave it out with source Existing"
// +kubebuilder:validation:XValidation:rule="!has(self.source) || self.source != 'Existing' || !has(self.template) || self.template.all(k, !self.template[k].matches('(^|[^$])([$][$])*[$][(]client_secret[)]'))",message="with source Existing, a template is rendered into a ConfigMap, which has no client secret; leave the variable client_secret out, and render that entry with the tool that writes the Secret"
type SecretSpec struct {
	// name is the name of the Secret in the namespace of the client. Defaults to the name of
	// the client. Hallpass does not change a Secret of that name that belongs to another owner.
	// If you change the name, Hallpass writes the new Secret with the same client secret and
	// then deletes the old one. Change the references of your pods too, because a pod that
	// refers to the old name cannot start.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="secret.name must be a valid Secret name: lower-case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`

	// source is Generated or Existing. Defaults to Generated: Hallpass generates the client
	// secret and writes the Secret. With Existing, another tool writes the Secret, such as
	// Sealed Secrets or External Secrets, and Hallpass reads it. An Existing Secret requires
	// the label hallpass.dev/credentials: "true" and a random client secret of at least 22
	// characters. If its client secret changes, Hallpass accepts the previous one for
	// rotation.overlap. Hallpass writes the other entries, such as the URLs and the CA, into a
	// ConfigMap of the same name. If you change Generated to Existing, Hallpass first reads the
	// Existing Secret, and then deletes the generated Secret. If you change it back, Hallpass
	// deletes the ConfigMap.
	// +optional
	Source SecretSource `json:"source,omitempty"`

	// keys renames entries of the Secret, for software that expects other names.
	// +optional
	Keys SecretKeys `json:"keys,omitzero"`

	// omit lists entries that the Secret does not contain, 1 to 9. The entries client_id and
	// client_secret cannot be omitted.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=9
	Omit []OmittedEntry `json:"omit,omitempty"`

	// template adds entries that are rendered from the others, for software that reads a
	// configuration file. $(client_id), $(client_secret), $(issuer_url), $(token_url),
	// $(jwks_url), $(introspection_url), $(scope), $(resource), $(internal_token_url),
	// $(authorization_url) and $(ca.crt) are replaced by the values, also if their entries are
	// renamed by keys. Write $$ for a dollar sign. $(internal_token_url) and $(ca.crt) are
	// empty if the installation has no such address or needs no such CA, and
	// $(authorization_url) is if the client has no such entry. With source Existing, the
	// entries are in the ConfigMap, and $(client_secret) cannot be used: let the tool that
	// writes the Secret render that entry. At most 8 entries of 4096 characters each.
	// +optional
	Template SecretTemplate `json:"template,omitempty"`

	// deletionPolicy is Delete or Retain. Defaults to Delete: the Secret is deleted together
	// with its OAuth2Client. With Retain the Secret is kept, and an OAuth2Client that is
	// created again under the same name uses it.
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// labels are added to the Secret. Labels that you remove here are removed from the Secret.
	// Labels of the domains kubernetes.io, k8s.io and hallpass.dev cannot be set, except four
	// of app.kubernetes.io/: name, component, part-of and version. At most 16.
	// +optional
	Labels SecretLabels `json:"labels,omitempty"`

	// annotations are added to the Secret, for example for a tool that reloads pods or copies
	// Secrets. Annotations that you remove here are removed from the Secret. Annotations of the
	// domains kubernetes.io, k8s.io and hallpass.dev cannot be set. At most 16, each of at most
	// 1024 characters.
	// +optional
	Annotations SecretAnnotations `json:"annotations,omitempty"`
}

// SecretTemplate maps the name of an additional entry of a Secret to its template.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=8
// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^[-._a-zA-Z0-9]+$') && k != '.' && !k.startsWith('..') && size(k) <= 253)",message="the name of an entry has letters, digits, '-', '_' and '.' only; it is not '.' and does not begin with '..'"
type SecretTemplate map[string]TemplateText

// SecretLabels are labels of a Secret.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=16
// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="the name of a label is like app or example.com/app: letters, digits, '-', '_' and '.'"
// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|hallpass[.]dev)/') || k.matches('^app[.]kubernetes[.]io/(name|component|part-of|version)$'))",message="labels in the domains kubernetes.io, k8s.io and hallpass.dev cannot be set on the Secret, except four of app.kubernetes.io/: name, component, part-of and version"
type SecretLabels map[string]LabelValue

// SecretAnnotations are annotations of a Secret.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=16
// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="the name of an annotation is like app or example.com/app: letters, digits, '-', '_' and '.'"
// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|hallpass[.]dev)/'))",message="annotations in the domains kubernetes.io, k8s.io and hallpass.dev cannot be set on the Secret"
type SecretAnnotations map[string]AnnotationValue

// SecretSource is who writes the Secret of a client.
//
// +kubebuilder:validation:Enum=Generated;Existing
type SecretSource string

// The sources of a client's Secret.
const (
	// SecretGenerated is a Secret that Hallpass writes, also of a client that names none.
	SecretGenerated SecretSource = "Generated"
	// SecretExisting is a Secret that Hallpass reads.
	SecretExisting SecretSource = "Existing"
)

// OmittedEntry is an entry of a Secret that can be omitted, by the name of its field in
// secret.keys.
//
// +kubebuilder:validation:Enum=IssuerURL;TokenURL;JWKSURL;IntrospectionURL;Scope;Resource;InternalTokenURL;AuthorizationURL;CACertificate
type OmittedEntry string

// The entries that may be left out.
const (
	OmitIssuerURL        OmittedEntry = "IssuerURL"
	OmitTokenURL         OmittedEntry = "TokenURL"
	OmitJWKSURL          OmittedEntry = "JWKSURL"
	OmitIntrospectionURL OmittedEntry = "IntrospectionURL"
	OmitScope            OmittedEntry = "Scope"
	OmitResource         OmittedEntry = "Resource"
	OmitInternalTokenURL OmittedEntry = "InternalTokenURL"
	OmitAuthorizationURL OmittedEntry = "AuthorizationURL"
	OmitCACertificate    OmittedEntry = "CACertificate"
)

// TemplateText is text with references to values of the client, such as $(client_id).
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=4096
type TemplateText string

// DeletionPolicy is what happens to the Secret when its OAuth2Client is deleted.
//
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

// The deletion policies.
const (
	// DeletionDelete removes the Secret with its client.
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionRetain keeps it.
	DeletionRetain DeletionPolicy = "Retain"
)

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="!format.labelValue().validate(self).hasValue()",message="the value of a label is letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
type LabelValue string

// AnnotationValue is the value of an annotation.
//
// +kubebuilder:validation:MaxLength=1024
type AnnotationValue string

// SecretKeys renames the entries of the Secret of a client. All entries must have different names.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="[[has(self.clientID) ? self.clientID : 'client_id', has(self.clientSecret) ? self.clientSecret : 'client_secret', has(self.issuerURL) ? self.issuerURL : 'issuer_url', has(self.tokenURL) ? self.tokenURL : 'token_url', has(self.jwksURL) ? self.jwksURL : 'jwks_url', has(self.introspectionURL) ? self.introspectionURL : 'introspection_url', has(self.scope) ? self.scope : 'scope', has(self.caCertificate) ? self.caCertificate : 'ca.crt'] + (has(self.resource) ? [self.resource] : []) + (has(self.internalTokenURL) ? [self.internalTokenURL] : []) + (has(self.authorizationURL) ? [self.authorizationURL] : [])].all(names, names.all(name, names.exists_one(other, other == name)))",message="two entries of the Secret would have the same name; entries that secret.keys does not rename keep their default names"
type SecretKeys struct {
	// clientID is the name of the entry with the client identifier. Defaults to client_id.
	// +optional
	ClientID SecretKey `json:"clientID,omitempty"`

	// clientSecret is the name of the entry with the client secret. Defaults to client_secret.
	// +optional
	ClientSecret SecretKey `json:"clientSecret,omitempty"`

	// issuerURL is the name of the entry with the URL of the issuer, at which discovery starts.
	// Defaults to issuer_url.
	// +optional
	IssuerURL SecretKey `json:"issuerURL,omitempty"`

	// tokenURL is the name of the entry with the URL of the token endpoint. Defaults to
	// token_url.
	// +optional
	TokenURL SecretKey `json:"tokenURL,omitempty"`

	// jwksURL is the name of the entry with the URL of the signing keys. Defaults to jwks_url.
	// +optional
	JWKSURL SecretKey `json:"jwksURL,omitempty"`

	// introspectionURL is the name of the entry with the URL of the introspection endpoint.
	// Defaults to introspection_url. A client with method None cannot introspect, and has no
	// such entry.
	// +optional
	IntrospectionURL SecretKey `json:"introspectionURL,omitempty"`

	// scope is the name of the entry with the scopes of the client, separated by spaces.
	// Defaults to scope. The entry is empty if spec.defaultResource is set: the owner of that
	// resource can withdraw a scope, and a token request without scopes is granted all that
	// remain.
	// +optional
	Scope SecretKey `json:"scope,omitempty"`

	// resource is the name of the entry with the default resource indicator (RFC 8707), for
	// software that has to send one. Defaults to resource. A client without spec.access has no
	// such entry. If another field of keys has the value resource, the Secret has no entry for
	// it either.
	// +optional
	Resource SecretKey `json:"resource,omitempty"`

	// internalTokenURL is the name of the entry with the URL of the token endpoint inside the
	// cluster, if the installation has one. Defaults to internal_token_url. If another field of
	// keys has the value internal_token_url, the Secret has no entry for this URL.
	// +optional
	InternalTokenURL SecretKey `json:"internalTokenURL,omitempty"`

	// authorizationURL is the name of the entry with the URL of the authorization endpoint, of
	// a client with AuthorizationCode in grantTypes. Defaults to authorization_url. If another
	// field of keys has the value authorization_url, the Secret has no entry for this URL.
	// +optional
	AuthorizationURL SecretKey `json:"authorizationURL,omitempty"`

	// caCertificate is the name of the entry with the CA certificate of the token server in
	// PEM. Defaults to ca.crt. The entry is absent if every machine trusts the certificate. If
	// the issuer has a certificate of a public CA, and the installation has an
	// internal_token_url, this CA is only for connections to internal_token_url.
	// +optional
	CACertificate SecretKey `json:"caCertificate,omitempty"`
}

// SecretKey is the name of an entry of a Secret.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",message="the name of an entry has letters, digits, '-', '_' and '.' only; it is not '.' and does not begin with '..'"
type SecretKey string
