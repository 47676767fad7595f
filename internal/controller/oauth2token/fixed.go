// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// refusal is why the token servers refuse the Fixed token in the Secret, or nil. It is not
// replaced, because a person has copied it: the condition reports that it is refused.
func (g grants) refusal(object *v1alpha1.OAuth2Token, s *state) *metav1.Condition {
	switch {
	case object.Spec.Mode != v1alpha1.TokenFixed || !s.found:
		return nil
	case s.revoked:
		return new(v1alpha1.TokenRevoked(secretName(object)))
	}
	denial := s.denial(g.Issuer, s.current)
	if denial == "" {
		return nil
	}
	reason := v1alpha1.ReasonTargetNotGranted
	if denial == oauth2.ReasonScopeNotGranted {
		reason = v1alpha1.ReasonScopeNotGranted
	}
	return new(v1alpha1.TokenNotGranted(reason, s.client.Name, scopesOf(s.current), s.current.Audience))
}

// denial is why the client may not have a token any more: it is granted nothing of it; or "".
func (s *state) denial(issuer oauth2.Issuer, t oauth2.MintedToken) oauth2.Reason {
	if s.declared == nil {
		return ""
	}
	claims := &oauth2.Claims{ClientID: s.client.ID, ClientUID: s.client.UID, Audience: t.Audience, Scopes: t.Scopes, TokenUID: s.record.UID}
	_, denial := issuer.Restrict(claims, &s.client, s.declared)
	return denial
}

// isWithdrawn reports whether the key that signed a token is one no more.
func (s *state) isWithdrawn(t oauth2.MintedToken, now time.Time) bool {
	if s.ring.Empty() || t.KeyID == "" {
		return false
	}
	_, err := s.ring.VerificationKey(t.KeyID, now)
	return err != nil
}

// scopesOf are the scopes of a token as the status has them.
func scopesOf(t oauth2.MintedToken) (scopes []v1alpha1.Scope) {
	for _, scope := range t.Scopes {
		scopes = append(scopes, v1alpha1.Scope(scope))
	}
	return scopes
}
