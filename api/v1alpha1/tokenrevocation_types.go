// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TokenRevocation revokes tokens before they expire. It has an effect in the registry namespace
// only. A TokenRevocation has either a selector, a batch or a redemption. A cluster administrator
// creates one with a selector, to revoke all tokens of a client or a namespace. The token servers
// create batches of single tokens, for the callers of the revocation endpoint, and redemptions, so
// that an authorization code is used once. If a client revokes too many tokens one by one, a token
// server replaces them by a selector, in an object whose name begins with "collapsed-". A
// TokenRevocation cannot be changed. Hallpass deletes it once all tokens that it revokes have
// expired, and a redemption minutes after its code has expired.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=hallpass
// +kubebuilder:printcolumn:name="Namespace",type=string,JSONPath=`.spec.selector.namespace`
// +kubebuilder:printcolumn:name="Client ID",type=string,JSONPath=`.spec.selector.clientID`
// +kubebuilder:printcolumn:name="Issued Before",type=string,JSONPath=`.spec.selector.issuedBefore`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Batch Until",type=string,JSONPath=`.spec.batch.expiresAt`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TokenRevocation struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of a Kubernetes object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec selects the revoked tokens. It cannot be changed; create another TokenRevocation
	// instead.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a TokenRevocation cannot be changed; create another one: both are in force"
	Spec TokenRevocationSpec `json:"spec,omitzero"`

	// status reports whether a selector matches a client. Batches and redemptions have no
	// status.
	// +optional
	Status TokenRevocationStatus `json:"status,omitzero"`
}

// TokenRevocationStatus reports whether a selector matches a client.
//
// +kubebuilder:validation:MinProperties=1
type TokenRevocationStatus struct {
	// observedGeneration is the metadata.generation that this status describes.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions contain Ready. It is False if the selector matches no client; the revocation
	// is in force all the same.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// TokenRevocationList is a list of TokenRevocations.
//
// +kubebuilder:object:root=true
type TokenRevocationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []TokenRevocation `json:"items"`
}

// TokenRevocationSpec selects the revoked tokens. Set exactly one of selector, batch and
// redemption.
//
// +kubebuilder:validation:XValidation:rule="[has(self.selector), has(self.batch), has(self.redemption)].filter(there, there).size() == 1",message="give a selector, such as selector: {issuedBefore: 2026-11-23T12:00:00Z, namespace: shop}; batch and redemption are for the token servers, and there is never more than one of the three"
type TokenRevocationSpec struct {
	RecordForm `json:",inline"` //nolint:kubeapilinter // inline fields are fields of the spec

	// selector revokes all tokens that were issued to a client, or to every client of a
	// namespace, or for a person, or for every person of an issuer, before a given time.
	// +optional
	Selector RevocationSelector `json:"selector,omitzero"`

	// batch revokes single tokens. Only the token servers and the manager write it; the manager
	// merges small batches.
	// +optional
	Batch RevocationBatch `json:"batch,omitzero"`

	// redemption records that an authorization code was redeemed. Only the token servers write
	// it.
	// +optional
	Redemption CodeRedemption `json:"redemption,omitzero"`
}

// CodeRedemption records that an authorization code was redeemed. The name of the object is derived
// from the code, so that a second request with the code fails.
type CodeRedemption struct {
	// clientID is the client_id of the client that redeemed the code.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	ClientID string `json:"clientID,omitempty"`

	// namespace is the namespace of that client.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// grantID is the id of the grant that the code began, which the claim grant_id of its
	// tokens has.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	GrantID string `json:"grantID,omitempty"`

	// attempt is the id of the request that redeemed the code.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Attempt string `json:"attempt,omitempty"`

	// expiresAt is the time at which the code expires.
	// +required
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}

// RevocationSelector selects tokens by client, namespace, person or issuer of persons, and by the
// time of issue. Set exactly one of namespace, clientID, subject and issuerName.
//
// +kubebuilder:validation:XValidation:rule="[has(self.namespace), has(self.clientID), has(self.subject), has(self.issuerName)].filter(there, there).size() == 1",message="a selector names one of namespace, clientID, subject and issuerName: exactly one of them"
type RevocationSelector struct {
	// issuedBefore is the time before which the selected tokens were issued, in whole seconds.
	// A time after the creation of this object means the time of its creation. To revoke all
	// tokens, set a time in the future.
	// +required
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('2020-01-01T00:00:00Z')",message="issuedBefore is too early: there is no older token; tokens issued before this time are revoked, so give for example the present time in UTC: 2026-11-23T12:00:00Z"
	IssuedBefore *metav1.Time `json:"issuedBefore,omitempty"`

	// namespace selects the tokens of all clients of that namespace.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="namespace is the name of a namespace: lower-case letters, digits and hyphens"
	Namespace string `json:"namespace,omitempty"`

	// clientID selects the tokens of the client with that client_id, such as shop.reporting.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="clientID is a client_id such as shop.reporting: printable ASCII without spaces"
	ClientID string `json:"clientID,omitempty"`

	// subject selects the tokens that act for a person, by their sub, such as
	// user:corp:00u1a2b3: user:, the name of the OAuth2TrustedIssuer, a colon and the subject
	// of the person there. It also selects those that were exchanged for such tokens.
	// +optional
	// +kubebuilder:validation:MinLength=8
	// +kubebuilder:validation:MaxLength=324
	// +kubebuilder:validation:XValidation:rule="self.matches('^user:[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?:[!-~]{1,255}$')",message="subject is the sub of a person, such as user:corp:00u1a2b3: user:, the name of an OAuth2TrustedIssuer, a colon, and 1 to 255 printable ASCII characters without spaces"
	Subject string `json:"subject,omitempty"`

	// issuerName selects the tokens that act for any person of the OAuth2TrustedIssuer with
	// that name. It selects no token of a client that authenticated by a JWT of the issuer.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="issuerName is the name of an OAuth2TrustedIssuer: lower-case letters, digits and hyphens"
	IssuerName string `json:"issuerName,omitempty"`
}

// RevocationEntries are at most 8192 entries of 20 bytes each, in base64: 16 bytes of an id, and
// its expiration time in seconds since 1970 as a 32-bit number, the most significant byte first.
//
// +kubebuilder:validation:MinLength=28
// +kubebuilder:validation:MaxLength=218456
// +kubebuilder:validation:Pattern=`^[A-Za-z0-9+/]+={0,2}$`
// +kubebuilder:validation:XValidation:rule="size(self) % 4 == 0 && (size(self) / 4 * 3 - (self.endsWith('==') ? 2 : self.endsWith('=') ? 1 : 0)) % 20 == 0",message="entries are 20 bytes each, in base64: 16 of the id and 4 of the end"
type RevocationEntries string

// RevocationGenerations is a list of generations in base64. It has no format: the API server
// decodes a string of the format byte by the alphabet of URLs where a rule looks at its field, and
// so refuses a plus sign and a slash.
//
// +kubebuilder:validation:MinLength=4
// +kubebuilder:validation:MaxLength=595288
// +kubebuilder:validation:Pattern=`^[A-Za-z0-9+/]+={0,2}$`
type RevocationGenerations string

// RevocationBatch lists single tokens, client assertions and earlier refresh tokens that are
// refused.
//
// +kubebuilder:validation:XValidation:rule="has(self.tokens) || has(self.assertions) || has(self.generations)",message="a batch needs tokens, assertions or generations"
type RevocationBatch struct {
	// tokens are the revoked tokens. The id of a token is its decoded jti. At most 8192.
	// +optional
	Tokens RevocationEntries `json:"tokens,omitempty"`

	// assertions are client assertions (RFC 7523) that were used, and that every replica
	// refuses. The id of an assertion is a hash of the client_id and the jti. At most 8192.
	// +optional
	Assertions RevocationEntries `json:"assertions,omitempty"`

	// origins record to which client each token was issued and when, so that the manager can
	// leave out tokens that a later selector revokes. Tokens without an origin are kept until
	// they expire. All numbers are signed varints (zig-zag), and a text is preceded by its
	// length. The list is a byte with the version (1) and the number of clients. For each
	// client, in the order of the tokens, follow the client_id, the namespace, the number of
	// its tokens, and for each token the time of issue in seconds since 1970, in four bytes,
	// the most significant first. After the clients come the namespaces whose clients used
	// assertions, in the order of the assertions. They have the form of a client, and count as
	// one: in the place of the client_id is a space and the number of assertions in decimal,
	// and the number of tokens is zero. At most 1,024 clients.
	// +optional
	// +kubebuilder:validation:MinLength=4
	// +kubebuilder:validation:MaxLength=524288
	Origins []byte `json:"origins,omitempty"`

	// generations record which refresh token of a grant counts: earlier ones were replaced. The
	// list, in base64, is a byte with the version (1) and the number of clients. For each
	// client follow the client_id, the namespace, the number of its grants, and for each grant
	// 28 bytes: 16 of its id, and as 32-bit numbers, the most significant byte first, the
	// number of the refresh token, the time from which earlier ones are refused, and the end of
	// the grant, in seconds since 1970. Other numbers and texts have the form of those in
	// origins. At most 4096 grants.
	// +optional
	Generations RevocationGenerations `json:"generations,omitempty"`

	// expiresAt is the time at which the last entry of the batch expires.
	// +required
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}

// Selection returns the selector as its author wrote it, and the creation time. A zero issuedBefore
// means that there is no selector.
func (t *TokenRevocation) Selection() (clientID, namespace string, issuedBefore, createdAt time.Time) {
	selector := t.Spec.Selector
	if selector.IssuedBefore != nil {
		issuedBefore = selector.IssuedBefore.Time
	}
	return selector.ClientID, selector.Namespace, issuedBefore, t.CreationTimestamp.Time
}

// SelectedPersons returns the person or the issuer of persons that the selector names.
func (t *TokenRevocation) SelectedPersons() (subject, issuerName string) {
	return t.Spec.Selector.Subject, t.Spec.Selector.IssuerName
}

// Form returns the version and the lowest version of a reader.
func (t *TokenRevocation) Form() (version, minReader int) { return t.Spec.Form() }

// Lists returns the encoded lists of the batch, and the origins of its entries.
func (t *TokenRevocation) Lists() (tokens, assertions string, origins []byte) {
	return string(t.Spec.Batch.Tokens), string(t.Spec.Batch.Assertions), t.Spec.Batch.Origins
}

// GrantList returns the encoded generations of the batch.
func (t *TokenRevocation) GrantList() string { return string(t.Spec.Batch.Generations) }

// Redeemed returns the redemption; a zero expiresAt means that there is none.
func (t *TokenRevocation) Redeemed() (clientID, namespace, grantID, attempt string, expiresAt time.Time) {
	redemption := t.Spec.Redemption
	if redemption.ExpiresAt != nil {
		expiresAt = redemption.ExpiresAt.Time
	}
	return redemption.ClientID, redemption.Namespace, redemption.GrantID, redemption.Attempt, expiresAt
}

// NewRevocationBatch returns a batch of encoded lists.
func NewRevocationBatch(tokens, assertions string, origins []byte, expiresAt time.Time) RevocationBatch {
	return RevocationBatch{
		Tokens: RevocationEntries(tokens), Assertions: RevocationEntries(assertions), Origins: origins, ExpiresAt: new(metav1.NewTime(expiresAt)),
	}
}

// NewTokenRevocation returns a TokenRevocation with a batch, labelled with its name so that one
// request can delete many.
func NewTokenRevocation(namespace, name string, batch RevocationBatch) *TokenRevocation {
	return &TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: map[string]string{LabelManagedBy: ManagedBy, LabelRevocationBatch: name},
		},
		Spec: TokenRevocationSpec{Batch: batch},
	}
}

// SetGenerations adds encoded generations, if there are any. The object then has a version; readers
// down to the oldest one ignore the list.
func (t *TokenRevocation) SetGenerations(encoded string, version, oldestReader int32) {
	if encoded != "" {
		t.Spec.Batch.Generations, t.Spec.RecordForm = RevocationGenerations(encoded), RecordForm{Version: version, MinReader: oldestReader}
	}
}

// NewRedemption returns a TokenRevocation with a redemption, labelled as one with a batch.
func NewRedemption(namespace, name string, redemption CodeRedemption, form RecordForm) *TokenRevocation {
	object := NewTokenRevocation(namespace, name, RevocationBatch{})
	object.Spec = TokenRevocationSpec{RecordForm: form, Redemption: redemption}
	return object
}
