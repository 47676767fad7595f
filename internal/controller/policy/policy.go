// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy finds out for the reconcilers what the OAuth2Policies of a cluster allow in a
// namespace, and what the owner of a resource has consented to. It reads from the cache and writes
// nothing; deciding is the business of package oauth2.
package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// IndexByAccess finds the OAuth2Clients that ask for a resource, by Key of its name.
const IndexByAccess = "spec.access"

// IndexByIssuer finds the OAuth2Clients that name a trusted issuer: the one whose JWTs authenticate
// them, or the one at which people log in.
const IndexByIssuer = "spec.authentication.federatedToken.issuerName"

// IssuersOf are the trusted issuers that a client names, each once.
func IssuersOf(c *v1alpha1.OAuth2Client) (names []string) {
	for _, name := range []string{c.Spec.Authentication.FederatedToken.IssuerName, c.Spec.LoginIssuerName} {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Key is the value of IndexByAccess.
func Key(name oauth2.ObjectName) string { return name.Namespace + "/" + name.Name }

// Source reads policies, and what the owners of resources declare.
type Source struct {
	Client            client.Reader
	Issuer            oauth2.Issuer
	RegistryNamespace string
	// Defaults hold in a namespace that no policy selects, and for what no policy speaks of.
	Defaults oauth2.Ceilings
	// ProtectedLabels are the labels of namespaces that their owners cannot set.
	ProtectedLabels []string
	// Only are the namespaces that the manager works in; none stands for all.
	Only []string
	// Room bounds what the records of each namespace take in the memory of the token servers;
	// nil for no bound.
	Room *publish.Room

	places places
}

// Namespaced reports whether the manager works in chosen namespaces, without a right to read
// policies.
func (s *Source) Namespaced() bool { return len(s.Only) > 0 }

// Covers reports whether the manager works in a namespace.
func (s *Source) Covers(namespace string) bool {
	return !s.Namespaced() || slices.Contains(s.Only, namespace)
}

// What is read to decide. Of namespaces only the metadata is kept.
//
// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2policies,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch

// IndexClients makes IndexByAccess; it is called once.
func IndexClients(ctx context.Context, mgr ctrl.Manager) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.OAuth2Client{}, IndexByAccess, AccessOf); err != nil {
		return fmt.Errorf("index OAuth2Clients by what they ask for: %w", err)
	}
	return nil
}

// AccessOf are the values of IndexByAccess.
func AccessOf(o client.Object) []string {
	c, ok := o.(*v1alpha1.OAuth2Client)
	if !ok {
		return nil
	}
	var keys []string
	for _, access := range c.Spec.Access {
		keys = append(keys, Key(oauth2.ObjectName{Namespace: string(access.ResourceNamespace), Name: access.ResourceName}))
	}
	return keys
}

// Ceilings are what holds in a namespace: the defaults alone, where policies cannot be read.
func (s *Source) Ceilings(ctx context.Context, namespace string) (oauth2.Ceilings, error) {
	if s.Namespaced() {
		return s.Defaults, nil
	}
	var policies v1alpha1.OAuth2PolicyList
	if err := s.Client.List(ctx, &policies, client.UnsafeDisableDeepCopy); err != nil {
		return oauth2.Ceilings{}, fmt.Errorf("list OAuth2Policies: %w", err)
	}
	ceilings := s.Defaults
	for i := range policies.Items {
		spec := &policies.Items[i].Spec
		selected, err := s.selects(ctx, spec.NamespaceSelector, namespace)
		if err != nil {
			return oauth2.Ceilings{}, err
		}
		if selected {
			ceilings = ceilings.And(s.ceilingsOf(spec))
		}
	}
	return ceilings, nil
}

// ceilingsOf are those of one policy. What it allows counts only if it selects by protected labels.
func (s *Source) ceilingsOf(spec *v1alpha1.OAuth2PolicySpec) oauth2.Ceilings {
	ceilings := oauth2.Ceilings{
		Lifetimes:        oauth2.Lifetimes{Token: spec.MaxTokenLifetime.Or(0), Refresh: spec.MaxRefreshLifetime.Or(0)},
		NoFreeFormScopes: spec.FreeFormScopes == v1alpha1.FreeFormScopesForbidden,
		ContactsRequired: spec.Contacts == v1alpha1.ContactsRequired,
		Methods:          Texts(spec.AuthenticationMethods),
		GrantTypes:       Texts(spec.GrantTypes),
		ReservedScopes:   Texts(spec.ReservedScopes),
	}
	if spec.MaxFixedTokenLifetime != "" {
		ceilings.Lifetimes.Fixed = new(spec.MaxFixedTokenLifetime.Or(0))
	}
	ceilings.Numbers = oauth2.Numbers{Clients: number(spec.MaxClients), Tokens: number(spec.MaxTokens), Resources: number(spec.MaxResources)}
	if s.Unprotected(spec.NamespaceSelector) != "" {
		ceilings.Lifetimes.Refresh = min(ceilings.Lifetimes.Refresh, oauth2.DefaultRefreshLifetime)
		return ceilings
	}
	ceilings.Permitted = slices.Concat(ceilings.Methods, ceilings.GrantTypes)
	if len(spec.ClientIDs) > 0 {
		ceilings.ClientIDs = [][]string{Texts(spec.ClientIDs)}
	}
	if len(spec.RedirectURIs) > 0 {
		ceilings.RedirectURIs = [][]string{Texts(spec.RedirectURIs)}
	}
	if len(spec.ResourceIdentifiers) > 0 {
		ceilings.ResourceIdentifiers = [][]string{Texts(spec.ResourceIdentifiers)}
	}
	if len(spec.Claims) > 0 {
		rules := make([]oauth2.ClaimRule, 0, len(spec.Claims))
		for _, claim := range spec.Claims {
			rules = append(rules, oauth2.ClaimRule{Name: string(claim.Name), Values: Texts(claim.Values)})
		}
		ceilings.Claims = [][]oauth2.ClaimRule{rules}
	}
	return ceilings
}

func number(limit *int32) *int {
	if limit == nil {
		return nil
	}
	return new(int(*limit))
}

// Texts are the values of a list of the API as the core takes them; nil for none.
func Texts[T ~string](list []T) []string {
	var texts []string
	for _, value := range list {
		texts = append(texts, string(value))
	}
	return texts
}

// Unprotected is a label of the selector that is not protected, or "".
func (s *Source) Unprotected(selector v1alpha1.LabelMatch) string {
	for _, label := range slices.Sorted(maps.Keys(selector.MatchLabels)) {
		if !slices.Contains(s.ProtectedLabels, label) {
			return label
		}
	}
	return ""
}

// selects reports whether a selector selects a namespace. One that the cache lacks is an error.
func (s *Source) selects(ctx context.Context, selector v1alpha1.LabelMatch, namespace string) (bool, error) {
	if len(selector.MatchLabels) == 0 {
		return true, nil
	}
	found := NamespaceMetadata()
	if err := s.Client.Get(ctx, types.NamespacedName{Name: namespace}, found); err != nil {
		return false, fmt.Errorf("read namespace %s: %w", namespace, err)
	}
	return carries(found.Labels, selector), nil
}

// HasNamespace reports whether the cluster has a namespace, as far as the manager can see.
func (s *Source) HasNamespace(ctx context.Context, name string) (bool, error) {
	if s.Namespaced() {
		return s.Covers(name), nil
	}
	err := s.Client.Get(ctx, types.NamespacedName{Name: name}, NamespaceMetadata())
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("read namespace %s: %w", name, err)
	}
	return err == nil, nil
}

// Namespaces are the names of the namespaces that a selector selects, sorted.
func (s *Source) Namespaces(ctx context.Context, selector v1alpha1.LabelMatch) ([]string, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := s.Client.List(ctx, list); err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	names := []string{}
	for i := range list.Items {
		if carries(list.Items[i].Labels, selector) {
			names = append(names, list.Items[i].Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func carries(labels map[string]string, selector v1alpha1.LabelMatch) bool {
	for key, value := range selector.MatchLabels {
		if found, there := labels[key]; !there || found != string(value) {
			return false
		}
	}
	return true
}

// NamespaceMetadata is the metadata of a namespace, to read into or to watch.
func NamespaceMetadata() *metav1.PartialObjectMetadata {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return namespace
}

// KeepLabels drops what the cache of namespaces does not need: selectors use labels alone.
func KeepLabels(object any) (any, error) {
	namespace, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	return &metav1.PartialObjectMetadata{TypeMeta: namespace.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Name: namespace.Name, UID: namespace.UID, ResourceVersion: namespace.ResourceVersion, DeletionTimestamp: namespace.DeletionTimestamp,
		Labels: namespace.Labels,
	}}, nil
}

// Identifier is the identifier of a resource: the one it chose, or the one that it has by its name.
func (s *Source) Identifier(r *v1alpha1.OAuth2Resource) string {
	if r.Spec.Identifier != "" {
		return r.Spec.Identifier
	}
	return s.Issuer.ResourceIdentifier(oauth2.ObjectName{Namespace: r.Namespace, Name: r.Name})
}

// Declared are the resources that a client asks for, read before the decision, which is made on
// values.
type Declared map[oauth2.ObjectName]*oauth2.Resource

// Resource implements oauth2.Resources.
func (d Declared) Resource(name oauth2.ObjectName) *oauth2.Resource { return d[name] }

// ResourceByIdentifier implements oauth2.Resources.
func (d Declared) ResourceByIdentifier(identifier string) *oauth2.Resource {
	for _, resource := range d {
		if resource != nil && resource.Identifier == identifier {
			return resource
		}
	}
	return nil
}

// Resource is the record of an OAuth2Resource as the token server has it; nil if it has none of its
// own. Where a newer version wrote a record that this one cannot read, the error wraps
// wire.ErrNewer: what it grants is not known, and the resource has its identifier alone.
func (s *Source) Resource(ctx context.Context, name oauth2.ObjectName) (*oauth2.Resource, error) {
	if !s.Covers(name.Namespace) {
		return nil, nil //nolint:nilnil // no controller here makes a record of it
	}
	var object v1alpha1.OAuth2Resource
	err := s.Client.Get(ctx, types.NamespacedName(name), &object)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // an absence is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("read OAuth2Resource %s: %w", Key(name), err)
	}
	key := types.NamespacedName{Namespace: s.RegistryNamespace, Name: registration.ResourceSecretName(s.Identifier(&object))}
	stored, err := publish.Read(ctx, s.Client, key)
	if err != nil || stored == nil {
		return nil, err // without a record it is not declared yet
	}
	resource, err := registration.DecodeResource(stored.Data)
	if errors.Is(err, wire.ErrNewer) {
		return &oauth2.Resource{Identifier: s.Identifier(&object)}, fmt.Errorf("read OAuth2Resource %s: %w", Key(name), err)
	}
	if errors.Is(err, registration.ErrUnreadable) || resource.UID != string(object.UID) {
		return nil, nil //nolint:nilnil // it grants nothing
	}
	return &resource, err
}
