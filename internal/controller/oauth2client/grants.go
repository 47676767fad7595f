// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2resources,verbs=get;list;watch

func grantsOf(c *v1alpha1.OAuth2Client, compiled *oauth2.Client, issuer oauth2.Issuer, s seen) []v1alpha1.GrantStatus {
	var grants []v1alpha1.GrantStatus
	if len(c.Spec.Scopes) > 0 {
		own := v1alpha1.GrantStatus{Audience: issuer.NamespaceAudience(c.Namespace)}
		for _, scope := range c.Spec.Scopes {
			decision := s.ceilings.FreeForm(string(scope))
			if decision == oauth2.Granted && !slices.Contains(compiled.Scopes, string(scope)) {
				continue // limitSize has removed it, and reports that
			}
			own.Scopes = append(own.Scopes, v1alpha1.ScopeGrant{Name: scope, Decision: string(decision)})
		}
		if len(own.Scopes) > 0 {
			grants = append(grants, own)
		}
	}
	for _, access := range compiled.Access {
		_, newer := s.newer[access.Resource]
		grants = append(grants, decideGrant(compiled, access, s.resources[access.Resource], newer))
	}
	return grants
}

// undecided is the decision about scopes of a resource whose record only a newer version can read.
const undecided oauth2.Decision = v1alpha1.ReasonNewerVersion

// decideGrant asks the function that the token server asks, too. A record that is newer is not one
// that is missing: a token server of that version may grant what it has.
func decideGrant(c *oauth2.Client, access oauth2.Access, resource *oauth2.Resource, newer bool) v1alpha1.GrantStatus {
	status := v1alpha1.GrantStatus{
		Resource: v1alpha1.ResourceReference{Namespace: v1alpha1.NamespaceName(access.Resource.Namespace), Name: access.Resource.Name},
	}
	deciders := oauth2.Deciders(c, resource, c.GrantTypes)
	for _, scope := range access.Scopes {
		decision := deciders[0].Decide(scope)
		if decision == oauth2.NotAllowedByResource && slices.ContainsFunc(deciders, func(d oauth2.Decider) bool { return d.Decide(scope) == oauth2.Granted }) {
			decision = oauth2.Granted
		}
		if newer {
			decision = undecided
		}
		if decision == oauth2.Granted {
			status.Audience = resource.Identifier
		}
		status.Scopes = append(status.Scopes, v1alpha1.ScopeGrant{Name: v1alpha1.Scope(scope), Decision: string(decision)})
	}
	return status
}

// grantsCondition is GrantsComplete, or nil for a client that asks for nothing.
func (d decision) grantsCondition(c *v1alpha1.OAuth2Client) *metav1.Condition {
	first, missing := "", 0
	for _, grant := range d.grants {
		for _, scope := range grant.Scopes {
			if scope.Decision == string(oauth2.Granted) {
				continue
			}
			if missing++; missing == 1 {
				first = explain(grant, scope)
			}
		}
	}
	if missing > 0 {
		return new(v1alpha1.GrantsIncomplete(first, missing-1))
	}
	if lifetime := d.client.Tokens.Lifetime; c.Spec.TokenLifetime.Or(0) > lifetime {
		return new(v1alpha1.LifetimeCut(lifetime))
	}
	if codes := d.client.Codes; codes != nil && c.Spec.RefreshTokens.Lifetime.Or(0) > codes.Refresh.Lifetime && codes.Refresh.Lifetime > 0 {
		return new(v1alpha1.RefreshLifetimeCut(codes.Refresh.Lifetime))
	}
	if len(d.grants) == 0 {
		return nil
	}
	return new(v1alpha1.GrantsComplete())
}

// grantedNothing reports whether the client asks for scopes and has none of them.
func (d decision) grantedNothing() bool {
	may := func(grant v1alpha1.GrantStatus) bool {
		return decidedAs(oauth2.Granted)(grant) || decidedAs(undecided)(grant)
	}
	return len(d.grants) > 0 && !slices.ContainsFunc(d.grants, may)
}

// decidedAs returns the function that reports whether a decision was made about any scope of a
// grant.
func decidedAs(decision oauth2.Decision) func(v1alpha1.GrantStatus) bool {
	return func(grant v1alpha1.GrantStatus) bool {
		return slices.ContainsFunc(grant.Scopes, func(scope v1alpha1.ScopeGrant) bool { return scope.Decision == string(decision) })
	}
}

// explain explains why one scope is missing and who can grant it.
func explain(grant v1alpha1.GrantStatus, scope v1alpha1.ScopeGrant) string {
	resource := fmt.Sprintf("OAuth2Resource %q of namespace %q", grant.Resource.Name, grant.Resource.Namespace)
	switch oauth2.Decision(scope.Decision) {
	case oauth2.ResourceNotFound:
		return strings.ToUpper(resource[:1]) + resource[1:] + " does not exist or is not ready."
	case undecided:
		return resource + " has a record that a newer version of Hallpass wrote, and this version cannot read it: run the manager in that version."
	case oauth2.ScopeNotDefined:
		return fmt.Sprintf("%s does not define the scope %q.", resource, scope.Name)
	case oauth2.NotAllowedByResource:
		return fmt.Sprintf("%s does not grant the scope %q to this client; ask its owner for a grant.", resource, scope.Name)
	case oauth2.NotAllowedByPolicy:
		return fmt.Sprintf("An OAuth2Policy does not allow the scope %q.", scope.Name)
	default:
		return ""
	}
}

// checkAlgorithm asks the function that the token endpoint asks why there is no key of the client's
// algorithm, and when that may change. The client stays registered: it can introspect.
func checkAlgorithm(c *v1alpha1.OAuth2Client, registered *oauth2.Client, s seen) (*metav1.Condition, time.Time) {
	if c.Spec.TokenSigningAlgorithm == "" {
		return nil, time.Time{}
	}
	// Their controller reports keys that are missing or unreadable, and a change wakes this
	// one.
	if s.keys == nil {
		return new(v1alpha1.Progressing("find the signing keys")), time.Time{}
	}
	ring := *s.keys
	next := nextChangeOf(ring, registered.Tokens.Algorithm, s.at.Earliest)
	_, err := oauth2.SigningKey(registered, ring, s.at.Earliest)
	switch reason := oauth2.ReasonOf(err); {
	case reason == oauth2.ReasonAlgorithmNotEnabled:
		return new(v1alpha1.SigningAlgorithmNotEnabled(c.Spec.TokenSigningAlgorithm, enabledIn(ring, s.at.Earliest))), next
	case err != nil:
		return new(v1alpha1.SigningAlgorithmNotReady(c.Spec.TokenSigningAlgorithm)), next
	}
	return nil, next
}

// nextChangeOf is when the client's algorithm may begin or end to have a key that signs.
func nextChangeOf(ring keyring.Ring, algorithm jws.Algorithm, now time.Time) time.Time {
	var next time.Time
	for _, key := range ring.Keys() {
		for _, at := range []time.Time{key.ActiveAt, key.RetiredAt} {
			if key.Algorithm() == algorithm && at.After(now) {
				next = credential.Earliest(next, at)
			}
		}
	}
	return next
}

// enabledIn lists the algorithms that sign, the default first.
func enabledIn(ring keyring.Ring, now time.Time) string {
	var enabled []string
	for _, algorithm := range ring.Algorithms() {
		if _, err := ring.SigningKeyFor(algorithm, now); err == nil {
			enabled = append(enabled, string(algorithm))
		}
	}
	return strings.Join(enabled, ", ")
}
