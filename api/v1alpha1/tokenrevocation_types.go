// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TokenRevocation takes tokens back before they expire. It counts in the registry namespace only, and has one of two forms: a
// selector, which a cluster administrator makes with kubectl to take back everything that a client or a namespace was issued; or
// a batch of single tokens, which the token servers write for the callers of their revocation endpoint. Where a client revokes too many
// one by one, a token server writes a selector in their place, whose name begins with "collapsed-". It cannot be changed,
// and Hallpass deletes it once none of the tokens it takes back could still be valid.
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

	// spec says which tokens are taken back. It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a TokenRevocation cannot be changed; create another one"
	Spec TokenRevocationSpec `json:"spec,omitzero"`

	// status says whom a selector concerns. A batch has none.
	// +optional
	Status TokenRevocationStatus `json:"status,omitzero"`
}

// TokenRevocationStatus says whom a selector concerns.
//
// +kubebuilder:validation:MinProperties=1
type TokenRevocationStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions has Ready: False if there is no client that the selector names. The selector holds all the same.
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

// TokenRevocationSpec says which tokens are taken back.
//
// +kubebuilder:validation:XValidation:rule="has(self.selector) != has(self.batch)",message="give a selector, such as selector: {issuedBefore: 2026-11-23T12:00:00Z, namespace: shop}; batch is for the token servers, and there is never both"
type TokenRevocationSpec struct {
	RecordForm `json:",inline"` //nolint:kubeapilinter // inline fields are fields of the spec

	// selector takes back all that was issued to a client, or to every client of a namespace, before an instant.
	// +optional
	Selector RevocationSelector `json:"selector,omitzero"`

	// batch takes back single tokens. The token servers write it; the manager merges small ones.
	// +optional
	Batch RevocationBatch `json:"batch,omitzero"`
}

// RevocationSelector selects tokens by whom and when they were issued to.
//
// +kubebuilder:validation:XValidation:rule="has(self.namespace) != has(self.clientID)",message="a selector names either a namespace or a clientID: exactly one of them"
type RevocationSelector struct {
	// issuedBefore is the instant before which the tokens were issued, in whole seconds. One that is later than the creation of
	// this object means its creation: whoever wants all tokens back that there are gives any time to come.
	// +required
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('2020-01-01T00:00:00Z')",message="issuedBefore lies before every token there is; give the time up to which tokens are taken back, such as now in UTC: 2026-11-23T12:00:00Z"
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
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!-9;-~]+$')",message="clientID is a client_id such as shop.reporting: printable ASCII without spaces and colons"
	ClientID string `json:"clientID,omitempty"`
}

// RevocationEntries are up to 8192 times 20 bytes in base64: 16 of an id, and its end in seconds since 1970 as a 32-bit number, the
// most significant byte first.
//
// +kubebuilder:validation:MinLength=28
// +kubebuilder:validation:MaxLength=218456
// +kubebuilder:validation:Pattern=`^[A-Za-z0-9+/]+={0,2}$`
// +kubebuilder:validation:XValidation:rule="size(self) % 4 == 0 && (size(self) / 4 * 3 - (self.endsWith('==') ? 2 : self.endsWith('=') ? 1 : 0)) % 20 == 0",message="entries are 20 bytes each, in base64: 16 of the id and 4 of the end"
type RevocationEntries string

// RevocationBatch is single tokens and client assertions that are good no more.
//
// +kubebuilder:validation:XValidation:rule="has(self.tokens) || has(self.assertions)",message="a batch needs tokens or assertions"
type RevocationBatch struct {
	// tokens are the revoked tokens. The id of one is its jti, decoded; at most 8192.
	// +optional
	Tokens RevocationEntries `json:"tokens,omitempty"`

	// assertions are the client assertions that were used (RFC 7523), which no replica takes again. The id of one is made of a
	// hash of the client_id and the jti; at most 8192.
	// +optional
	Assertions RevocationEntries `json:"assertions,omitempty"`

	// origins say to which client the tokens were issued, and when, so that the manager can leave out those that a later selector
	// takes back. Tokens without one are kept until they expire. All numbers are signed varints (zig-zag), a text has its length before it: a
	// byte with the version (1) and the number of clients; then for each client, in the order of the tokens, the client_id, the namespace, the number of its
	// tokens, and of each token the second of issue since 1970 in four bytes, the most significant first. At most 1,024 clients.
	// +optional
	// +kubebuilder:validation:MinLength=4
	// +kubebuilder:validation:MaxLength=524288
	Origins []byte `json:"origins,omitempty"`

	// expiresAt is the latest end in the batch, for whoever looks at the object.
	// +required
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}

// Selection returns the selector as its author wrote it, and the creation time. A zero issuedBefore means that there is no selector.
func (t *TokenRevocation) Selection() (clientID, namespace string, issuedBefore, createdAt time.Time) {
	selector := t.Spec.Selector
	if selector.IssuedBefore != nil {
		issuedBefore = selector.IssuedBefore.Time
	}
	return selector.ClientID, selector.Namespace, issuedBefore, t.CreationTimestamp.Time
}

// Form returns the version and the lowest version of a reader.
func (t *TokenRevocation) Form() (version, minReader int) { return t.Spec.Form() }

// Lists returns the encoded lists of the batch, and the origins of its tokens.
func (t *TokenRevocation) Lists() (tokens, assertions string, origins []byte) {
	return string(t.Spec.Batch.Tokens), string(t.Spec.Batch.Assertions), t.Spec.Batch.Origins
}

// NewRevocationBatch returns a batch of encoded lists.
func NewRevocationBatch(tokens, assertions string, origins []byte, expiresAt time.Time) RevocationBatch {
	return RevocationBatch{
		Tokens: RevocationEntries(tokens), Assertions: RevocationEntries(assertions), Origins: origins, ExpiresAt: new(metav1.NewTime(expiresAt)),
	}
}

// NewTokenRevocation returns a TokenRevocation with a batch, labelled with its name so that one request can delete many.
func NewTokenRevocation(namespace, name string, batch RevocationBatch) *TokenRevocation {
	return &TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: map[string]string{LabelManagedBy: ManagedBy, LabelRevocationBatch: name},
		},
		Spec: TokenRevocationSpec{Batch: batch},
	}
}
