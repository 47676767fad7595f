// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "hallpass.dev", Version: "v1alpha1"}

// AddToScheme registers the kinds of this package in a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&OAuth2Client{}, &OAuth2ClientList{},
		&OAuth2Resource{}, &OAuth2ResourceList{},
		&OAuth2Policy{}, &OAuth2PolicyList{},
		&OAuth2TrustedIssuer{}, &OAuth2TrustedIssuerList{},
		&TokenRevocation{}, &TokenRevocationList{},
		&OAuth2Token{}, &OAuth2TokenList{},
		&UsageReport{}, &UsageReportList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

// Names that users and the operator share.
const (
	// AnnotationRotate on an OAuth2Client asks for a new secret whenever its value is a new
	// one.
	AnnotationRotate = "hallpass.dev/rotate"
	// AnnotationRotateWithoutOverlap on an OAuth2Client with the value of AnnotationRotate has
	// that rotation refuse the secret that it replaces at once, whatever the overlap is.
	AnnotationRotateWithoutOverlap = "hallpass.dev/rotate-without-overlap"
	// AnnotationTaint on the Secret of the signing keys names keys by their kid, separated by
	// commas, that are withdrawn at once with every token they signed. AnnotationRotate there
	// asks for the next key to sign as soon as its lead allows.
	AnnotationTaint = "hallpass.dev/taint"
	// AnnotationAllowDeletion with the value "true" on a Secret of signing keys or a
	// UsageReport lets it be deleted; see config/admission.
	AnnotationAllowDeletion = "hallpass.dev/allow-deletion"
	// AnnotationTrustedIssuer on a record in the registry names the OAuth2TrustedIssuer that it
	// is of.
	AnnotationTrustedIssuer = "hallpass.dev/trusted-issuer-name"
	// AnnotationClient on a Secret or a ConfigMap names the OAuth2Client whose credentials it
	// holds.
	AnnotationClient = "hallpass.dev/client"
	// AnnotationClientNamespace and AnnotationTokenNamespace on a record in the registry name
	// the namespace of its owner, to find the owner when the record changes. Decisions read the
	// record itself.
	AnnotationClientNamespace = "hallpass.dev/client-namespace"
	AnnotationTokenNamespace  = "hallpass.dev/token-namespace"
	// AnnotationToken on a Secret names the OAuth2Token whose token it holds.
	AnnotationToken = "hallpass.dev/token"
	// AnnotationResource and AnnotationResourceNamespace on a record in the registry name the
	// OAuth2Resource that it was compiled from, to find it by when the record changes.
	// Decisions read the record itself.
	AnnotationResource          = "hallpass.dev/resource"
	AnnotationResourceNamespace = "hallpass.dev/resource-namespace"
	// AnnotationAdded on a Secret or a ConfigMap lists the labels and annotations that its
	// owner added, so that they can be removed.
	AnnotationAdded = "hallpass.dev/added"
	// AnnotationGeneration on the Secret of an OAuth2Client proves how often its client secret
	// was replaced, by a key of the registry.
	AnnotationGeneration = "hallpass.dev/generation"
	// SecretTypeClient is the type of every Secret that the operator writes for an
	// OAuth2Client.
	SecretTypeClient = "hallpass.dev/oauth2-client"
	// SecretTypeToken is the type of every Secret that the operator writes for an OAuth2Token.
	SecretTypeToken = "hallpass.dev/oauth2-token"
	// LabelClientConfig with the value "true" is on every ConfigMap that the operator writes
	// for an OAuth2Client.
	LabelClientConfig = "hallpass.dev/client-config"
	// LabelCredentials with the value "true" lets an OAuth2Client of source Existing read a
	// Secret.
	LabelCredentials = "hallpass.dev/credentials"
	// LabelRevocationBatch on a TokenRevocation that a token server or the manager wrote is the
	// object's own name, so that one request can delete many of them by name.
	LabelRevocationBatch = "hallpass.dev/revocation-batch"
	// LabelManagedBy and ManagedBy mark what the operator wrote.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedBy      = "hallpass"
)

// ClientID returns the client_id: the one in the spec, or <namespace>.<name>. A namespace contains
// no dot, so the two parts are unambiguous.
func (c *OAuth2Client) ClientID() string {
	if c.Spec.ClientID != "" {
		return c.Spec.ClientID
	}
	return c.Namespace + "." + c.Name
}
