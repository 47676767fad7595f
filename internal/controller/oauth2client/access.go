// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2resources,verbs=get;list;watch

// method is how a client authenticates.
func method(c *v1alpha1.OAuth2Client) v1alpha1.AuthenticationMethod {
	if m := c.Spec.Authentication.Method; m != "" {
		return m
	}
	return v1alpha1.ByClientSecret
}

// compileAccess renders what the client asks of resources. Its labels are what their owners tell clients apart by.
func compileAccess(c *v1alpha1.OAuth2Client, compiled *oauth2.Client) {
	if len(c.Spec.Access) == 0 {
		return
	}
	compiled.Labels = c.Labels
	compiled.DefaultResource = oauth2.ObjectName{Namespace: string(c.Spec.DefaultResource.Namespace), Name: c.Spec.DefaultResource.Name}
	for _, access := range c.Spec.Access {
		asked := oauth2.Access{Resource: oauth2.ObjectName{Namespace: string(access.ResourceNamespace), Name: access.ResourceName}}
		for _, scope := range access.Scopes {
			asked.Scopes = append(asked.Scopes, string(scope))
		}
		compiled.Access = append(compiled.Access, asked)
	}
}

// compileClaims renders the claims that tokens of the client carry, and the condition about those that they do not.
func (r *Reconciler) compileClaims(c *v1alpha1.OAuth2Client, w *world) {
	if len(c.Spec.Claims) == 0 {
		return
	}
	var reserved, notAllowed []string
	for _, asked := range c.Spec.Claims {
		claim := oauth2.Claim{Name: string(asked.Name), Value: string(asked.Value)}
		for _, value := range asked.Values {
			claim.Values = append(claim.Values, string(value))
		}
		switch r.Issuer.DecideClaim(claim, w.ceilings) {
		case oauth2.Granted:
			w.registration.Client.Claims = append(w.registration.Client.Claims, claim)
		case oauth2.ClaimNotAllowed:
			notAllowed = append(notAllowed, strconv.Quote(claim.Name))
		default:
			reserved = append(reserved, strconv.Quote(claim.Name))
		}
	}
	w.claimsCondition = new(v1alpha1.ClaimsComplete())
	if len(reserved)+len(notAllowed) > 0 {
		w.claimsCondition = new(v1alpha1.ClaimsIncomplete(reserved, notAllowed))
	}
}

// findPolicy reads what is laid down about the client and compiles it by that, and asks for each scope what becomes of it.
func (r *Reconciler) findPolicy(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	var err error
	if w.ceilings, err = r.Policy.Ceilings(ctx, c.Namespace); err != nil {
		return err
	}
	w.registration.Client = compile(c, w.ceilings)
	r.compileClaims(c, w)
	if len(c.Spec.Scopes) > 0 {
		own := v1alpha1.GrantStatus{Audience: r.Issuer.NamespaceAudience(c.Namespace)}
		for _, scope := range c.Spec.Scopes {
			own.Scopes = append(own.Scopes, v1alpha1.ScopeGrant{Name: scope, Decision: string(w.ceilings.FreeForm(string(scope)))})
		}
		w.grants = append(w.grants, own)
	}
	for _, access := range w.registration.Client.Access {
		resource, err := r.Policy.Resource(ctx, access.Resource)
		if err != nil {
			return err
		}
		w.grants = append(w.grants, decide(&w.registration.Client, access, resource))
	}
	return nil
}

// decide asks the function that the token server asks, too.
func decide(c *oauth2.Client, access oauth2.Access, resource *oauth2.Resource) v1alpha1.GrantStatus {
	status := v1alpha1.GrantStatus{
		Resource: v1alpha1.ResourceReference{Namespace: v1alpha1.NamespaceName(access.Resource.Namespace), Name: access.Resource.Name},
	}
	for _, scope := range access.Scopes {
		decision := oauth2.Decide(c, resource, scope)
		if decision == oauth2.Granted {
			status.Audience = resource.Identifier
		}
		status.Scopes = append(status.Scopes, v1alpha1.ScopeGrant{Name: v1alpha1.Scope(scope), Decision: string(decision)})
	}
	return status
}

// checkPolicy refuses what policies forbid. An identifier that is registered already stays the client's, and so does a place in
// a namespace that is full.
func (r *Reconciler) checkPolicy(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	switch {
	case w.registration.Client.Refused:
		w.condition = new(v1alpha1.MethodNotAllowed(method(c)))
	case w.held:
	case c.Spec.ClientID != "" && !w.ceilings.AllowClientID(c.Spec.ClientID):
		w.condition = new(v1alpha1.ClientIDNotAllowed())
	case w.ceilings.Limited:
		return r.checkRoom(ctx, c, w)
	}
	return nil
}

// checkRoom counts the clients of the namespace that come before this one: the older ones, by name where they are of one second.
func (r *Reconciler) checkRoom(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	var clients v1alpha1.OAuth2ClientList
	if err := r.Client.List(ctx, &clients, client.InNamespace(c.Namespace)); err != nil {
		return fmt.Errorf("count the clients of namespace %s: %w", c.Namespace, err)
	}
	before := 0
	for i := range clients.Items {
		other := &clients.Items[i]
		older := other.CreationTimestamp.Compare(c.CreationTimestamp.Time)
		if other.DeletionTimestamp.IsZero() && (older < 0 || older == 0 && other.Name < c.Name) {
			before++
		}
	}
	if before >= w.ceilings.MaxClients {
		w.condition = new(v1alpha1.TooManyClients(w.ceilings.MaxClients))
	}
	return nil
}

// grantsCondition is GrantsComplete, or nil for a client that asks for nothing.
func (w *world) grantsCondition(c *v1alpha1.OAuth2Client) *metav1.Condition {
	first, missing := "", 0
	for _, grant := range w.grants {
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
	if lifetime := w.registration.Client.TokenLifetime; c.Spec.TokenLifetime.Or(0) > lifetime {
		return new(v1alpha1.LifetimeCut(lifetime))
	}
	if len(w.grants) == 0 {
		return nil
	}
	return new(v1alpha1.GrantsComplete())
}

// explain says about one scope why it is missing and who can do something about it.
func explain(grant v1alpha1.GrantStatus, scope v1alpha1.ScopeGrant) string {
	resource := fmt.Sprintf("OAuth2Resource %q of namespace %q", grant.Resource.Name, grant.Resource.Namespace)
	switch oauth2.Decision(scope.Decision) {
	case oauth2.ResourceNotFound:
		return strings.ToUpper(resource[:1]) + resource[1:] + " does not exist or is not ready."
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
