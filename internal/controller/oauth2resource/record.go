// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2resource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// compile renders the spec as the record. What policies reserve is left out and named.
func (r *Reconciler) compile(ctx context.Context, object *v1alpha1.OAuth2Resource, s *state) error {
	var err error
	if s.ceilings, err = r.Policy.Ceilings(ctx, object.Namespace); err != nil {
		return err
	}
	s.resource = oauth2.Resource{
		Identifier: r.Policy.Identifier(object), UID: string(object.UID), Namespace: object.Namespace, Name: object.Name,
		DisplayName: object.Spec.DisplayName, TokenLifetime: object.Spec.TokenLifetime.Or(0),
	}
	for _, scope := range object.Spec.Scopes {
		if s.ceilings.Reserved(string(scope.Name)) {
			s.grants = new(v1alpha1.ReservedScope(string(scope.Name)))
			continue
		}
		s.resource.Scopes = append(s.resource.Scopes, string(scope.Name))
	}
	for _, c := range object.Spec.Introspection.Clients {
		s.resource.Introspectors = append(s.resource.Introspectors, oauth2.ObjectName{Namespace: string(c.Namespace), Name: c.Name})
	}
	for _, grant := range object.Spec.Grants {
		consent, err := r.consent(ctx, grant, s)
		if err != nil {
			return err
		}
		if err := r.findMissing(ctx, grant, s); err != nil {
			return err
		}
		if len(consent.Namespaces) == 0 {
			continue
		}
		s.add(grant, consent)
	}
	s.describe(object)
	return r.holdBack(ctx, s)
}

// describe adds the descriptions of the scopes for which a person may be asked.
func (s *state) describe(object *v1alpha1.OAuth2Resource) {
	r := &s.resource
	for _, scope := range object.Spec.Scopes {
		name := string(scope.Name)
		consents := func(c oauth2.Consent) bool { return slices.Contains(c.Scopes, name) }
		if scope.Description != "" && slices.Contains(r.Scopes, name) && slices.ContainsFunc(r.Users, consents) {
			r.Descriptions = append(r.Descriptions, oauth2.Description{Scope: name, Text: scope.Description})
		}
	}
}

// add adds the consent of a grant to each list that its subjects are for.
func (s *state) add(grant v1alpha1.ResourceGrant, consent oauth2.Consent) {
	user, exchanged := grant.For(v1alpha1.SubjectUser), grant.For(v1alpha1.SubjectExchanged)
	r := &s.resource
	if grant.For(v1alpha1.SubjectClient) {
		r.Consents = append(r.Consents, consent)
	}
	if user {
		r.Users = append(r.Users, consent)
	}
	if exchanged {
		r.Exchanged = append(r.Exchanged, consent)
	}
	if user && exchanged {
		r.ExchangedUsers = append(r.ExchangedUsers, consent)
	}
}

// findMissing finds the namespaces that a grant names and that do not exist, which may be
// misspelled.
func (r *Reconciler) findMissing(ctx context.Context, grant v1alpha1.ResourceGrant, s *state) error {
	if r.Policy.Namespaced() {
		return nil // it reads no namespaces
	}
	for _, namespace := range policy.Texts(grant.From.Namespaces) {
		exists, err := r.Policy.HasNamespace(ctx, namespace)
		if err != nil {
			return err
		}
		if !exists && !slices.Contains(s.missing, namespace) {
			s.missing = append(s.missing, namespace)
		}
	}
	return nil
}

// consent resolves a grant to names. A selector by labels that tenants can set selects nothing.
func (r *Reconciler) consent(ctx context.Context, grant v1alpha1.ResourceGrant, s *state) (oauth2.Consent, error) {
	consent := oauth2.Consent{Scopes: policy.Texts(grant.Scopes), Namespaces: policy.Texts(grant.From.Namespaces)}
	for key, value := range grant.From.ClientSelector.MatchLabels {
		if consent.ClientLabels == nil {
			consent.ClientLabels = map[string]string{}
		}
		consent.ClientLabels[key] = string(value)
	}
	slices.Sort(consent.Namespaces)
	selector := grant.From.NamespaceSelector
	if len(selector.MatchLabels) == 0 {
		return consent, nil
	}
	if r.Policy.Namespaced() {
		s.grants = new(v1alpha1.SelectorNotAvailable())
		return consent, nil
	}
	if label := r.Policy.Unprotected(selector); label != "" {
		s.grants = new(v1alpha1.UnprotectedLabel(label, r.Policy.ProtectedLabels))
		return consent, nil
	}
	var err error
	consent.Namespaces, err = r.Policy.Namespaces(ctx, selector)
	return consent, err
}

// findRecord reads what is stored under the resource's identifier. The record of a deleted resource
// is replaced.
func (r *Reconciler) findRecord(ctx context.Context, object *v1alpha1.OAuth2Resource, s *state) error {
	stored, err := publish.Read(ctx, r.Client, r.recordKey(s.resource.Identifier))
	if err != nil {
		return err
	}
	if stored == nil {
		return r.findFormerHolder(ctx, object, s)
	}
	s.stored = stored
	found, err := registration.DecodeResource(stored.Data)
	if err != nil {
		return r.findUnreadable(ctx, s, err)
	}
	if s.held = found.UID == s.resource.UID; s.held {
		s.before = found
		return nil
	}
	holder := types.NamespacedName{Namespace: found.Namespace, Name: found.Name}
	r.waiters.Wait(client.ObjectKeyFromObject(object), holder)
	// A refusal to answer is not an absence.
	gone, err := output.Gone(ctx, r.Live, "OAuth2Resource", holder, found.UID)
	switch {
	case err != nil:
		return err
	case gone:
		r.waiters.Done(client.ObjectKeyFromObject(object))
		return r.findFormerHolder(ctx, object, s)
	default:
		s.ready = new(v1alpha1.IdentifierConflict(s.resource.Identifier))
	}
	return nil
}

// findFormerHolder finds the resource that had a chosen identifier before its record was lost, as
// its status reports. The identifier stays its own: its record is written again, unless something
// is in its way, and then its status counts no clients.
func (r *Reconciler) findFormerHolder(ctx context.Context, object *v1alpha1.OAuth2Resource, s *state) error {
	if object.Spec.Identifier == "" || wasDeclared(object) {
		return nil
	}
	var resources v1alpha1.OAuth2ResourceList
	if err := r.Client.List(ctx, &resources, client.MatchingFields{indexByIdentifier: object.Spec.Identifier}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list the OAuth2Resources with the identifier %s: %w", object.Spec.Identifier, err)
	}
	for i := range resources.Items {
		if other := &resources.Items[i]; other.UID != object.UID && other.DeletionTimestamp.IsZero() && wasDeclared(other) {
			r.waiters.Wait(client.ObjectKeyFromObject(object), client.ObjectKeyFromObject(other))
			s.ready, s.again = new(v1alpha1.IdentifierConflict(s.resource.Identifier)), formerHolderAgain
			break
		}
	}
	return nil
}

// formerHolderAgain is how soon a resource searches again for the one that had its identifier.
const formerHolderAgain = time.Minute

// wasDeclared reports whether a resource had its identifier when it was reconciled last.
func wasDeclared(object *v1alpha1.OAuth2Resource) bool { return object.Status.Clients != nil }

// findUnreadable finds out whose a record is that cannot be read: its annotations name the
// resource. One that a newer version wrote stays as it is; any other is written again by the
// resource that it names, and is deleted once there is no such resource.
func (r *Reconciler) findUnreadable(ctx context.Context, s *state, why error) error {
	owner := types.NamespacedName{
		Namespace: s.stored.Annotations[v1alpha1.AnnotationResourceNamespace], Name: s.stored.Annotations[v1alpha1.AnnotationResource],
	}
	object := types.NamespacedName{Namespace: s.resource.Namespace, Name: s.resource.Name}
	isOwn := owner == object
	r.waiters.Wait(object, owner)
	switch {
	case errors.Is(why, wire.ErrNewer) && isOwn:
		s.ready = new(v1alpha1.UnreadableRecord())
	case errors.Is(why, wire.ErrNewer):
		s.ready = new(v1alpha1.IdentifierConflict(s.resource.Identifier))
	case !isOwn && owner.Name != "":
		err := r.Live.Get(ctx, owner, &v1alpha1.OAuth2Resource{})
		if err == nil {
			s.ready = new(v1alpha1.IdentifierConflict(s.resource.Identifier))
		}
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("ask for OAuth2Resource %s: %w", owner, err)
		}
	}
	if s.ready == nil {
		r.waiters.Done(object)
	}
	return nil
}

// checkRoom refuses a resource that is one too many in its namespace. One with a record stays.
func (r *Reconciler) checkRoom(ctx context.Context, object *v1alpha1.OAuth2Resource, s *state) error {
	limit := s.ceilings.Limits().Resources
	beyond, err := r.Policy.Beyond(ctx, object, limit)
	switch {
	case err != nil || !beyond:
	case s.held:
		s.limits = new(v1alpha1.KeptBeyondLimit(v1alpha1.TooManyResources(*limit)))
	default:
		s.ready = new(v1alpha1.TooManyResources(*limit))
	}
	return err
}

// checkIdentifier refuses a chosen identifier that means something else already, and one that no
// policy allows unless it is held already.
func (r *Reconciler) checkIdentifier(ctx context.Context, object *v1alpha1.OAuth2Resource, s *state) error {
	chosen := object.Spec.Identifier
	if chosen == "" {
		return nil
	}
	if within(chosen, r.Policy.Issuer.String()) || slices.ContainsFunc(r.ReservedIdentifiers, func(taken string) bool { return within(chosen, taken) }) {
		s.ready = new(v1alpha1.IdentifierReserved(chosen))
		if !s.held {
			return nil
		}
		s.held = false
		// it was published before its identifier was reserved
		return publish.Delete(ctx, r.Client, s.stored)
	}
	if !s.held && !s.ceilings.AllowResourceIdentifier(chosen) {
		s.ready = new(v1alpha1.IdentifierNotAllowed(chosen))
	}
	return nil
}

// within reports whether an identifier is another one, or below it.
func within(identifier, other string) bool {
	identifier, other = strings.ToLower(identifier), strings.ToLower(strings.TrimSuffix(other, "/"))
	return identifier == other || strings.HasPrefix(identifier, other+"/") || strings.HasPrefix(identifier, other+":")
}
