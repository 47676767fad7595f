// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// state is what a reconciliation found, brought forward by each step.
type state struct {
	// client is the registered client, as the token server has it.
	client oauth2.Client
	grant  oauth2.Grant
	// end is when a Fixed token expires.
	end time.Time
	// declared are the resources that the client asks for; nil if one cannot be read.
	declared policy.Declared
	// resource is the declared resource that the token is for, if it is for one.
	resource *oauth2.Resource
	// former is the UID of the client that the tokens on record were made for, if there are
	// any.
	former string
	// record is as it should be by now; stored is the Secret that it was read from or written
	// to.
	record oauth2.Minted
	stored *corev1.Secret
	// before are the tokens that stored has.
	before []oauth2.MintedToken
	delivered
	// ring has the signing keys, once they were read.
	ring keyring.Ring
	ca   string
	judged
}

// judged is what is in the way of a token.
type judged struct {
	// unconsented is why the owner of the resource would not let a Fixed token be made now, or
	// nil.
	unconsented *metav1.Condition
	// limits is the limit beyond which the OAuth2Token exists, or nil.
	limits *metav1.Condition
	// refused is why the Fixed token in the Secret is refused, or nil.
	refused *metav1.Condition
	// noRoom is why the record is not written, or nil.
	noRoom *metav1.Condition
	// unstable is that repairs of the Secret do not hold, or nil.
	unstable *metav1.Condition
	// condition is why there is no valid token; nil if nothing is in the way. passing is
	// whether it ends without a user's help.
	condition *metav1.Condition
	passing   bool
}

// delivered is what is in the user's namespace.
type delivered struct {
	// secret is the user's Secret, if it is there and this token's; value is the token in it,
	// or to be in it.
	secret client.Object
	value  oauth2.Secret
	// read is whether the Secret was read.
	read bool
	// current is the token in it, if found. settled is whether that was looked for, revoked
	// whether it was revoked.
	current                 oauth2.MintedToken
	found, settled, revoked bool
	// copies are the names of Secrets that only name the OAuth2Token.
	copies []string
}

// recordKey is where the record of an OAuth2Token is stored.
func (r *Reconciler) recordKey(object *v1alpha1.OAuth2Token) types.NamespacedName {
	return types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.TokenSecretName(string(object.UID))}
}

// findRecord reads the record of the tokens that were made before.
func (r *Reconciler) findRecord(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	s.record = oauth2.Minted{UID: string(object.UID), Namespace: object.Namespace, Name: object.Name, Opaque: object.Spec.Mode == v1alpha1.TokenFixed}
	stored, err := publish.Read(ctx, r.Client, r.recordKey(object))
	if err != nil || stored == nil {
		return err
	}
	s.stored = stored
	// One that is damaged, or of another owner, allows nothing. Its name is derived from this
	// UID, so it is written again.
	switch found, err := registration.DecodeToken(stored.Data); {
	case err == nil && found.UID == s.record.UID:
		s.record.Tokens, s.before, s.former = found.Tokens, found.Tokens, found.ClientUID
		r.reports.reportDone(object, found)
	case errors.Is(err, wire.ErrNewer):
		s.condition = new(v1alpha1.UnreadableRecord())
	}
	return nil
}

// checkRoom refuses an OAuth2Token that is one too many in its namespace. One on record stays.
func (r *Reconciler) checkRoom(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	ceilings, err := r.Policy.Ceilings(ctx, object.Namespace)
	if err != nil {
		return err
	}
	limit := ceilings.Limits().Tokens
	beyond, err := r.Policy.Beyond(ctx, object, limit)
	switch {
	case err != nil || !beyond:
	case s.former == "":
		s.condition = new(v1alpha1.TooManyTokens(*limit))
	default:
		s.limits = new(v1alpha1.KeptBeyondLimit(v1alpha1.TooManyTokens(*limit)))
	}
	return err
}

// checkLifetime refuses a Fixed token that would live longer than allowed, also one that was made
// when it was allowed.
func (r *Reconciler) checkLifetime(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	if object.Spec.Mode != v1alpha1.TokenFixed {
		return nil
	}
	ceilings, err := r.Policy.Ceilings(ctx, object.Namespace)
	if err != nil {
		return err
	}
	limit, forbidden := ceilings.FixedLifetime(r.MaxLifetime)
	if err := r.grants.checkConsent(ctx, object, s, &limit); err != nil || s.condition != nil {
		return err
	}
	end, latest := object.Spec.ExpirationTime.Time, object.CreationTimestamp.Add(limit)
	switch {
	case forbidden:
		s.condition = new(v1alpha1.TokensForbidden())
	case end.After(latest):
		s.condition = new(v1alpha1.TokenExpirationTooLate(latest))
	case len(s.record.Tokens) == 0 && !end.After(r.Clock.Now()):
		s.condition = new(v1alpha1.TokenNeverValid(end))
		return nil
	default:
		s.end = end
		return nil
	}
	if s.stored == nil {
		return nil
	}
	s.record.Tokens = nil // what is not allowed any more ends
	return r.publish(ctx, object, s)
}

// grants reads what the token endpoint decides by, and decides by it.
type grants struct{ *Config }

// findClient reads the client's registration: the token server decides by the same record.
func (g grants) findClient(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	name := object.Spec.ClientRef.Name
	var named v1alpha1.OAuth2Client
	err := g.Client.Get(ctx, types.NamespacedName{Namespace: object.Namespace, Name: name}, &named)
	if apierrors.IsNotFound(err) {
		s.condition, s.passing = new(v1alpha1.TokenClientNotFound(name)), true
		return nil
	}
	if err != nil {
		return fmt.Errorf("read OAuth2Client %s/%s: %w", object.Namespace, name, err)
	}
	stored, err := publish.Read(ctx, g.Client, types.NamespacedName{Namespace: g.RegistryNamespace, Name: registration.SecretName(named.ClientID())})
	if err != nil {
		return err
	}
	var found registration.Registration
	if stored != nil {
		found, err = registration.Decode(stored.Data)
	}
	if stored == nil || err != nil || found.Client.UID != string(named.UID) {
		s.condition, s.passing = new(v1alpha1.TokenClientNotReady(name, "it is not registered")), true
		return nil //nolint:nilerr // the condition reports it, and the registration wakes the controller
	}
	s.client = found.Client
	s.record.ClientID, s.record.ClientUID, s.record.ClientName = s.client.ID, s.client.UID, s.client.Name
	if s.former != s.client.UID {
		// another client of that name is not the one that they speak for
		s.record.Tokens = nil
	}
	owner := oauth2.Owner{
		UID: string(named.UID), Terminating: !named.DeletionTimestamp.IsZero(), Suspended: named.Spec.State == v1alpha1.ClientSuspended,
	}
	switch denial := (oauth2.Record{Client: &s.client, Owner: &owner}).Denial(); {
	case !s.client.Credentials.BySecret():
		s.condition = new(v1alpha1.TokenMethodNotSupported(name, named.Spec.Authentication.Method))
	case denial != "":
		s.condition = new(v1alpha1.TokenClientNotReady(name, string(denial)))
	}
	return nil
}

// decide asks the function that the token endpoint asks what the client gets.
func (g grants) decide(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	declared, unreadable := policy.Declared{}, false
	for _, access := range s.client.Access {
		resource, err := g.Policy.Resource(ctx, access.Resource)
		if err != nil && !errors.Is(err, wire.ErrNewer) {
			return err
		}
		declared[access.Resource], unreadable = resource, unreadable || err != nil
	}
	request := oauth2.TokenRequest{Resource: object.Spec.Resource, Scopes: policy.Texts(object.Spec.Scopes)}
	var err error
	s.grant, err = g.Issuer.Grant(&s.client, request, declared)
	if err != nil && unreadable { // it may be granted by what only a newer version can read
		s.condition = new(v1alpha1.UnreadableResource())
		return nil
	}
	if err != nil {
		reason := v1alpha1.ReasonTargetNotGranted
		if oauth2.ReasonOf(err) == oauth2.ReasonScopeNotGranted {
			reason = v1alpha1.ReasonScopeNotGranted
		}
		s.condition = new(v1alpha1.TokenNotGranted(reason, s.client.Name, object.Spec.Scopes, object.Spec.Resource))
		return nil
	}
	if !unreadable {
		s.declared = declared
	}
	s.resource = declared.ResourceByIdentifier(s.grant.Audience)
	s.grant.TokenUID = string(object.UID)
	if size := g.Issuer.TokenSize(&s.client, s.grant); size > oauth2.MaxBearer && s.former == "" && !s.record.Opaque {
		s.condition = new(v1alpha1.TokenTooLarge(s.grant.Audience, size, oauth2.MaxBearer))
	}
	return nil
}

// findCA reads the CA that is needed to trust the issuer.
func (g grants) findCA(ctx context.Context, _ *v1alpha1.OAuth2Token, s *state) (err error) {
	s.ca, s.condition, err = output.ReadCA(ctx, g.Client, g.CABundle)
	s.passing = s.condition != nil
	return err
}
