// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2resource

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// report writes the status if it differs.
func (r *Reconciler) report(ctx context.Context, object *v1alpha1.OAuth2Resource, s *state) error {
	found := v1alpha1.OAuth2ResourceStatus{
		ObservedGeneration: object.Generation, Identifier: s.resource.Identifier, Conditions: slices.Clone(object.Status.Conditions),
	}
	if s.ready == nil || s.held {
		if err := r.count(ctx, object, s, &found); err != nil {
			return err
		}
	}
	found.ScopeNames = scopeNames(found.Scopes)
	status.SetConditions(&found.Conditions, status.LookAt(object, time.Now()), status.Verdict{Ready: v1alpha1.ResourceDeclared(), Obstacle: s.ready})
	grants := cmp.Or(s.grants, new(v1alpha1.ConsentComplete(s.missing)))
	status.Set(&found.Conditions, object.Generation, v1alpha1.ConditionGrantsComplete, grants)
	status.Set(&found.Conditions, object.Generation, v1alpha1.ConditionWithinLimits, s.limits)
	return r.patch(ctx, object, found)
}

// reportFailure reports what could not be done; see output.Failure. What is on record of the
// resource is granted.
func (r *Reconciler) reportFailure(ctx context.Context, object *v1alpha1.OAuth2Resource, s *state, failure error) error {
	before := object.Status.Conditions
	v, ok := status.Failure(before, s.held, v1alpha1.ResourceDeclared(), output.Failure(failure, before, "write the record of the resource"))
	if !ok {
		return nil
	}
	wanted := *object.Status.DeepCopy()
	status.SetConditions(&wanted.Conditions, status.LookAt(object, time.Now()), v)
	return r.patch(ctx, object, wanted)
}

// patch writes the status if it differs, and then announces what is rejected.
func (r *Reconciler) patch(ctx context.Context, object *v1alpha1.OAuth2Resource, wanted v1alpha1.OAuth2ResourceStatus) error {
	return status.Report(ctx, status.Reporter{Client: r.Client, Recorder: r.Recorder, Contest: &r.contest, Now: time.Now()}, object, &object.Status, wanted,
		func(s v1alpha1.OAuth2ResourceStatus) []metav1.Condition { return s.Conditions })
}

// count asks the function that grants what it gives to each client that asks.
func (r *Reconciler) count(ctx context.Context, object *v1alpha1.OAuth2Resource, s *state, found *v1alpha1.OAuth2ResourceStatus) error {
	name := oauth2.ObjectName{Namespace: object.Namespace, Name: object.Name}
	var clients v1alpha1.OAuth2ClientList
	if err := r.Client.List(ctx, &clients, client.MatchingFields{policy.IndexByAccess: policy.Key(name)}); err != nil {
		return fmt.Errorf("list the clients that ask for OAuth2Resource %s: %w", policy.Key(name), err)
	}
	holders := map[v1alpha1.Scope]int32{}
	var total int32
	for i := range clients.Items {
		c := &clients.Items[i]
		asking := &oauth2.Client{Namespace: c.Namespace, Labels: c.Labels}
		grantTypes, _ := oauth2.GrantTypesOf(policy.Texts(c.Spec.GrantTypes))
		holds := false
		for _, access := range c.Spec.Access {
			if (oauth2.ObjectName{Namespace: string(access.ResourceNamespace), Name: access.ResourceName}) != name {
				continue
			}
			deciders := oauth2.Deciders(asking, &s.resource, grantTypes)
			for _, scope := range access.Scopes {
				if slices.ContainsFunc(deciders, func(d oauth2.Decider) bool { return d.Decide(string(scope)) == oauth2.Granted }) {
					holders[scope]++
					holds = true
				}
			}
		}
		if holds {
			total++
		}
	}
	found.Clients = new(total)
	for _, scope := range s.resource.Scopes {
		found.Scopes = append(found.Scopes, v1alpha1.ScopeHolders{Name: v1alpha1.Scope(scope), Clients: new(holders[v1alpha1.Scope(scope)])})
	}
	return nil
}
