// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// world is what one look found, brought forward by each step.
type world struct {
	// client is the registered client, as the token server has it.
	client oauth2.Client
	grant  oauth2.Grant
	// resource is the declared resource that the token is for, if it is for one.
	resource *oauth2.Resource
	// former is the UID of the client that the tokens on record were made for, if there are any.
	former string
	// record is as it should be by now; stored is the Secret that it was read from or written to.
	record oauth2.Minted
	stored *corev1.Secret
	// secret is the user's Secret, if it is there and this token's; value is the token in it.
	secret client.Object
	value  oauth2.Secret
	// current is the token in the Secret, if found.
	current oauth2.MintedToken
	found   bool
	// takenBack says that it was revoked.
	takenBack bool
	ca        string
	// condition is why there is no good token; nil if nothing is in the way. passing says that it goes without a user's help.
	condition *metav1.Condition
	passing   bool
}

// recordKey is where the record of an OAuth2Token is stored.
func (r *Reconciler) recordKey(object *v1alpha1.OAuth2Token) types.NamespacedName {
	return types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.TokenSecretName(string(object.UID))}
}

// findRecord reads what is kept of the tokens that were made before.
func (r *Reconciler) findRecord(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	w.record = oauth2.Minted{UID: string(object.UID), Namespace: object.Namespace, Name: object.Name, Opaque: object.Spec.Mode == v1alpha1.TokenFixed}
	stored, err := publish.Read(ctx, r.Client, r.recordKey(object))
	if err != nil || stored == nil {
		return err
	}
	w.stored = stored
	// One that cannot be read, or is of another owner, allows nothing. Its name is derived from this UID, so it is written again.
	if found, err := registration.DecodeToken(stored.Data); err == nil && found.UID == w.record.UID {
		w.record.Tokens, w.former = found.Tokens, found.ClientUID
	}
	return nil
}

// findClient reads the client as the token server has it: what is granted is decided on the same record.
func (r *Reconciler) findClient(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	name := object.Spec.ClientRef.Name
	var named v1alpha1.OAuth2Client
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: object.Namespace, Name: name}, &named)
	if apierrors.IsNotFound(err) {
		w.condition = new(v1alpha1.TokenClientNotFound(name))
		return nil
	}
	if err != nil {
		return fmt.Errorf("read OAuth2Client %s/%s: %w", object.Namespace, name, err)
	}
	stored, err := publish.Read(ctx, r.Client, types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.SecretName(named.ClientID())})
	if err != nil {
		return err
	}
	var found registration.Registration
	if stored != nil {
		found, err = registration.Decode(stored.Data)
	}
	if stored == nil || err != nil || found.Client.UID != string(named.UID) {
		w.condition, w.passing = new(v1alpha1.TokenClientNotReady(name, "it is not registered")), true
		return nil //nolint:nilerr // the condition says it, and the registration wakes us
	}
	w.client = found.Client
	w.record.ClientID, w.record.ClientUID, w.record.ClientName = w.client.ID, w.client.UID, w.client.Name
	if w.former != w.client.UID {
		w.record.Tokens = nil // another client of that name is not the one that they speak for
	}
	owner := oauth2.Owner{
		UID: string(named.UID), Terminating: !named.DeletionTimestamp.IsZero(), Suspended: named.Spec.State == v1alpha1.ClientSuspended,
	}
	switch denial := (oauth2.Record{Client: &w.client, Owner: &owner}).Denial(); {
	case !w.client.BySecret():
		w.condition = new(v1alpha1.TokenMethodNotSupported(name, named.Spec.Authentication.Method))
	case denial != "":
		w.condition = new(v1alpha1.TokenClientNotReady(name, string(denial)))
	}
	return nil
}

// consents are the resources that a client asks for, read before the decision, which is made on values.
type consents map[oauth2.ObjectName]*oauth2.Resource

// Resource implements oauth2.Resources.
func (c consents) Resource(name oauth2.ObjectName) *oauth2.Resource { return c[name] }

// ResourceByIdentifier implements oauth2.Resources.
func (c consents) ResourceByIdentifier(identifier string) *oauth2.Resource {
	for _, resource := range c {
		if resource != nil && resource.Identifier == identifier {
			return resource
		}
	}
	return nil
}

// decide asks the function that the token endpoint asks what the client gets.
func (r *Reconciler) decide(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	declared := consents{}
	for _, access := range w.client.Access {
		resource, err := r.Policy.Resource(ctx, access.Resource)
		if err != nil {
			return err
		}
		declared[access.Resource] = resource
	}
	request := oauth2.TokenRequest{Resource: object.Spec.Resource}
	for _, scope := range object.Spec.Scopes {
		request.Scopes = append(request.Scopes, string(scope))
	}
	var err error
	w.grant, err = r.Issuer.Grant(&w.client, request, declared)
	if err != nil {
		reason := v1alpha1.ReasonTargetNotGranted
		if oauth2.ReasonOf(err) == oauth2.ReasonScopeNotGranted {
			reason = v1alpha1.ReasonScopeNotGranted
		}
		w.condition = new(v1alpha1.TokenNotGranted(reason, w.client.Name, object.Spec.Scopes, object.Spec.Resource))
		return nil
	}
	w.resource = declared.ResourceByIdentifier(w.grant.Audience)
	w.grant.TokenUID = string(object.UID)
	return nil
}

// checkLifetime refuses a Fixed token that would live longer than it may, also one that was made when it was allowed.
func (r *Reconciler) checkLifetime(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	if object.Spec.Mode != v1alpha1.TokenFixed {
		return nil
	}
	ceilings, err := r.Policy.Ceilings(ctx, object.Namespace)
	if err != nil {
		return err
	}
	limit, forbidden := ceilings.FixedLifetime(r.MaxLifetime)
	if w.resource != nil && w.resource.TokenLifetime > 0 {
		limit = min(limit, w.resource.TokenLifetime)
	}
	end, latest := object.Spec.ExpirationTime.Time, object.CreationTimestamp.Add(limit)
	switch {
	case forbidden:
		w.condition = new(v1alpha1.TokensForbidden())
	case end.After(latest):
		w.condition = new(v1alpha1.TokenExpirationTooLate(latest))
	case len(w.record.Tokens) == 0 && !end.After(r.Clock.Now()):
		w.condition = new(v1alpha1.TokenNeverValid(end))
		return nil
	default:
		w.grant.Lifetime = end.Sub(r.Clock.Now().Truncate(time.Second))
		return nil
	}
	if w.stored == nil {
		return nil
	}
	w.record.Tokens = nil // what is not allowed any more ends
	return r.publish(ctx, object, w)
}

// findCA reads the CA that is needed to trust the issuer.
func (r *Reconciler) findCA(ctx context.Context, _ *v1alpha1.OAuth2Token, w *world) (err error) {
	w.ca, w.condition, err = output.ReadCA(ctx, r.Client, r.CABundle)
	w.passing = w.condition != nil
	return err
}
