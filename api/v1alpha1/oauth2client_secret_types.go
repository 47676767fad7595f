// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// SecretSpec says where the credentials of a client go and how that Secret looks. A Secret that Hallpass writes always has
// the type hallpass.dev/oauth2-client. A client with method ServiceAccount has a ConfigMap instead, of which the same is said.
//
// +kubebuilder:validation:XValidation:rule="!has(self.source) || self.source != 'Existing' || !(has(self.labels) || has(self.annotations) || has(self.template) || has(self.omit) || has(self.deletionPolicy) || has(self.keys) && (has(self.keys.issuerURL) || has(self.keys.tokenURL) || has(self.keys.jwksURL) || has(self.keys.introspectionURL) || has(self.keys.scope) || has(self.keys.resource) || has(self.keys.internalTokenURL) || has(self.keys.caCertificate)))",message="a Secret of source Existing is only read: labels, annotations, template, omit, deletionPolicy and all keys but clientID and clientSecret are for Secrets that Hallpass writes"
type SecretSpec struct {
	// name of the Secret in the client's namespace; left out it is the client's own name. A Secret of that name that is
	// not this client's is never touched. If the name changes, the Secret of the old name is deleted once the new one is
	// written with the same client secret: a pod that refers to the old name does not start any more.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="secret.name must be a valid Secret name: lower-case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`

	// source is Generated or Existing; left out it is Generated. An Existing Secret is the user's own, as Sealed Secrets or
	// External Secrets make it: it is read and never written, has to carry the label hallpass.dev/credentials: "true", and
	// the client secret in it has to be random, at least 22 characters. Changing it by hand is a rotation with overlap.
	// +optional
	Source SecretSource `json:"source,omitempty"`

	// keys renames entries of the Secret for software that expects other names.
	// +optional
	Keys SecretKeys `json:"keys,omitzero"`

	// omit leaves entries out of the Secret. client_id and client_secret are always there.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Omit []OmittedEntry `json:"omit,omitempty"`

	// template adds entries that are rendered from the others, for software that reads a file: $(client_id),
	// $(client_secret), $(issuer_url), $(token_url), $(jwks_url), $(introspection_url), $(scope), $(resource),
	// $(internal_token_url) and $(ca.crt) stand for the values, whatever their entries are called; $$ is a dollar sign. At most 8 entries of 4096 characters.
	// +optional
	Template SecretTemplate `json:"template,omitempty"`

	// deletionPolicy is Delete or Retain; left out it is Delete. A retained Secret outlives its OAuth2Client, and one
	// that is created again under the same name takes it up.
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// labels are put on the Secret, and taken off again when they are removed here. Of the kubernetes.io, k8s.io and hallpass.dev
	// domains app.kubernetes.io/name, component, part-of and version can be set. At most 16.
	// +optional
	Labels SecretLabels `json:"labels,omitempty"`

	// annotations are put on the Secret, such as those that a reloader or a reflector looks for, and taken off again when they
	// are removed here. The kubernetes.io, k8s.io and hallpass.dev domains are not for users. At most 16, each of at most 1024
	// characters.
	// +optional
	Annotations SecretAnnotations `json:"annotations,omitempty"`
}

// SecretTemplate is further entries of a Secret with the text that they are rendered from.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=8
// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^[-._a-zA-Z0-9]+$') && k != '.' && !k.startsWith('..') && size(k) <= 253)",message="an entry of a Secret is named with letters, digits, '-', '_' and '.', and neither is '.' nor begins with '..'"
type SecretTemplate map[string]TemplateText

// SecretLabels are labels to put on a Secret.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=16
// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="a label is named like app or example.com/app: letters, digits, '-', '_' and '.'"
// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|hallpass[.]dev)/') || k.matches('^app[.]kubernetes[.]io/(name|component|part-of|version)$'))",message="labels in the domains kubernetes.io, k8s.io and hallpass.dev cannot be set on the Secret, but for app.kubernetes.io/name, component, part-of and version"
type SecretLabels map[string]LabelValue

// SecretAnnotations are annotations to put on a Secret.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=16
// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="an annotation is named like app or example.com/app: letters, digits, '-', '_' and '.'"
// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|hallpass[.]dev)/'))",message="annotations in the domains kubernetes.io, k8s.io and hallpass.dev cannot be set on the Secret"
type SecretAnnotations map[string]AnnotationValue

// SecretSource says whose a client's Secret is.
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

// OmittedEntry is an entry that may be left out of a Secret, by its field in secret.keys.
//
// +kubebuilder:validation:Enum=IssuerURL;TokenURL;JWKSURL;IntrospectionURL;Scope;Resource;InternalTokenURL;CACertificate
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
	OmitCACertificate    OmittedEntry = "CACertificate"
)

// TemplateText is text with references to a client's values.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=4096
type TemplateText string

// DeletionPolicy says what becomes of a Secret when its OAuth2Client is deleted.
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

// SecretKeys names the entries of the Secret that holds a client's credentials.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="[[has(self.clientID) ? self.clientID : 'client_id', has(self.clientSecret) ? self.clientSecret : 'client_secret', has(self.issuerURL) ? self.issuerURL : 'issuer_url', has(self.tokenURL) ? self.tokenURL : 'token_url', has(self.jwksURL) ? self.jwksURL : 'jwks_url', has(self.introspectionURL) ? self.introspectionURL : 'introspection_url', has(self.scope) ? self.scope : 'scope', has(self.caCertificate) ? self.caCertificate : 'ca.crt'] + (has(self.resource) ? [self.resource] : []) + (has(self.internalTokenURL) ? [self.internalTokenURL] : [])].all(names, names.all(name, names.exists_one(other, other == name)))",message="secret.keys must name every entry of the Secret differently, the default names included"
type SecretKeys struct {
	// clientID is the entry that holds the client identifier; left out it is client_id.
	// +optional
	ClientID SecretKey `json:"clientID,omitempty"`

	// clientSecret is the entry that holds the client secret; left out it is client_secret.
	// +optional
	ClientSecret SecretKey `json:"clientSecret,omitempty"`

	// issuerURL is the entry that holds the issuer's URL, where discovery starts; left out it is issuer_url.
	// +optional
	IssuerURL SecretKey `json:"issuerURL,omitempty"`

	// tokenURL is the entry that holds the URL of the token endpoint; left out it is token_url.
	// +optional
	TokenURL SecretKey `json:"tokenURL,omitempty"`

	// jwksURL is the entry that holds the URL of the signing keys; left out it is jwks_url.
	// +optional
	JWKSURL SecretKey `json:"jwksURL,omitempty"`

	// introspectionURL is the entry that holds the URL of the introspection endpoint; left out it is introspection_url.
	// +optional
	IntrospectionURL SecretKey `json:"introspectionURL,omitempty"`

	// scope is the entry that holds the client's scopes, separated by spaces; left out it is scope. It is empty for a client with a
	// spec.defaultResource, whose owner may withdraw a scope: a request without scopes is given all that are granted.
	// +optional
	Scope SecretKey `json:"scope,omitempty"`

	// resource is the entry that holds the resource indicator (RFC 8707) which a token request without one means, for software that has
	// to send it; left out it is resource. A client without spec.access has no such entry, and it gives way to an entry
	// of yours with that name.
	// +optional
	Resource SecretKey `json:"resource,omitempty"`

	// internalTokenURL is the entry that holds the URL of the token endpoint for callers inside the cluster, where the installation has
	// one beside the issuer; left out it is internal_token_url. It gives way to an entry of yours with that name.
	// +optional
	InternalTokenURL SecretKey `json:"internalTokenURL,omitempty"`

	// caCertificate is the entry that holds the certificate authority of the token server in PEM, where it is Hallpass's
	// own; left out it is ca.crt.
	// +optional
	CACertificate SecretKey `json:"caCertificate,omitempty"`
}

// SecretKey is the name of an entry of a Secret.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",message="an entry of a Secret is named with letters, digits, '-', '_' and '.', and neither is '.' nor begins with '..'"
type SecretKey string
