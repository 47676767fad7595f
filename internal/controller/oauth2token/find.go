// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// state is what a reconciliation found, brought forward by each step.
type state struct {
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
	// revoked says that it was revoked.
	revoked bool
	ca      string
	// condition is why there is no valid token; nil if nothing is in the way. passing says that it ends
	// without a user's help.
	condition *metav1.Condition
	passing   bool
}

// recordKey is where the record of an OAuth2Token is stored.
func (r *Reconciler) recordKey(object *v1alpha1.OAuth2Token) types.NamespacedName {
	return types.NamespacedName{Namespace: r.registry, Name: registration.TokenSecretName(string(object.UID))}
}

// findRecord reads the record of the tokens that were made before.
func (r *Reconciler) findRecord(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	s.record = oauth2.Minted{UID: string(object.UID), Namespace: object.Namespace, Name: object.Name, Opaque: object.Spec.Mode == v1alpha1.TokenFixed}
	stored, err := publish.Read(ctx, r.client, r.recordKey(object))
	if err != nil || stored == nil {
		return err
	}
	s.stored = stored
	// One that cannot be read, or is of another owner, allows nothing. Its name is derived from this UID, so it is written again.
	if found, err := registration.DecodeToken(stored.Data); err == nil && found.UID == s.record.UID {
		s.record.Tokens, s.former = found.Tokens, found.ClientUID
	}
	return nil
}

// checkLifetime refuses a Fixed token that would live longer than allowed, also one that was made when
// it was allowed.
func (r *Reconciler) checkLifetime(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	if object.Spec.Mode != v1alpha1.TokenFixed {
		return nil
	}
	ceilings, err := r.grants.policy.Ceilings(ctx, object.Namespace)
	if err != nil {
		return err
	}
	limit, forbidden := ceilings.FixedLifetime(r.maxLifetime)
	if s.resource != nil && s.resource.TokenLifetime > 0 {
		limit = min(limit, s.resource.TokenLifetime)
	}
	end, latest := object.Spec.ExpirationTime.Time, object.CreationTimestamp.Add(limit)
	switch {
	case forbidden:
		s.condition = new(v1alpha1.TokensForbidden())
	case end.After(latest):
		s.condition = new(v1alpha1.TokenExpirationTooLate(latest))
	case len(s.record.Tokens) == 0 && !end.After(r.clock.Now()):
		s.condition = new(v1alpha1.TokenNeverValid(end))
		return nil
	default:
		s.grant.Lifetime = end.Sub(r.clock.Now().Truncate(time.Second))
		return nil
	}
	if s.stored == nil {
		return nil
	}
	s.record.Tokens = nil // what is not allowed any more ends
	return r.publish(ctx, object, s)
}
