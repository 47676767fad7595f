// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// checkConsent checks whether the owner of the resource consents to Fixed tokens. A token that
// exists keeps its end.
func (g grants) checkConsent(ctx context.Context, object *v1alpha1.OAuth2Token, s *state, limit *time.Duration) error {
	if s.resource == nil {
		return nil
	}
	var declared v1alpha1.OAuth2Resource
	key := types.NamespacedName{Namespace: s.resource.Namespace, Name: s.resource.Name}
	// one that is gone consents to nothing
	if err := g.Client.Get(ctx, key, &declared); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read OAuth2Resource %s: %w", key, err)
	}
	s.unconsented = consent(object, s.resource, declared.Spec.MaxFixedTokenLifetime)
	switch {
	case declared.Spec.MaxFixedTokenLifetime == "" && s.resource.TokenLifetime > 0 && s.resource.Namespace == object.Namespace:
		*limit = min(*limit, s.resource.TokenLifetime)
	case s.unconsented != nil && len(s.record.Tokens) == 0:
		s.condition = s.unconsented
	case s.unconsented != nil:
		s.limits = new(v1alpha1.TokenKept(*s.unconsented))
	}
	return nil
}

// consent is why the owner of a resource does not let a token be made, or nil.
func consent(object *v1alpha1.OAuth2Token, resource *oauth2.Resource, longest v1alpha1.Duration) *metav1.Condition {
	name := policy.Key(oauth2.ObjectName{Namespace: resource.Namespace, Name: resource.Name})
	if longest == "" {
		if resource.Namespace == object.Namespace {
			return nil
		}
		return new(v1alpha1.TokenNotConsentedTo(name))
	}
	latest := object.CreationTimestamp.Add(longest.Or(0))
	if object.Spec.ExpirationTime.After(latest) {
		return new(v1alpha1.TokenLongerThanConsent(name, latest))
	}
	return nil
}
