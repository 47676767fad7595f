// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package trustedissuer

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/issuerkeys"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/jws"
)

// report writes the status if it differs.
func (r *Reconciler) report(ctx context.Context, object *v1alpha1.OAuth2TrustedIssuer, s *state) error {
	found := v1alpha1.OAuth2TrustedIssuerStatus{ObservedGeneration: object.Generation, Conditions: slices.Clone(object.Status.Conditions)}
	clients, err := r.countClients(ctx, object.Name)
	if err != nil {
		return err
	}
	found.Clients = new(clients)
	if s.refusal == nil {
		found.Keys = keysOf(s.issuer.Keys.Set)
		if !s.issuer.Keys.FetchedAt.IsZero() {
			found.FetchedAt, found.KeysExpireAt = metav1.NewTime(s.issuer.Keys.FetchedAt), metav1.NewTime(s.issuer.Keys.Until)
		}
	}
	verdict, fresh := s.verdict()
	status.SetConditions(&found.Conditions, status.LookAt(object, s.now), verdict)
	status.Set(&found.Conditions, object.Generation, v1alpha1.ConditionKeysFresh, fresh)
	status.Set(&found.Conditions, object.Generation, v1alpha1.ConditionGrantsComplete, s.partial)
	status.Set(&found.Conditions, object.Generation, v1alpha1.ConditionClientIDNeeded, s.shared())
	return r.patch(ctx, object, found)
}

// Each passes every OAuth2TrustedIssuer of the cache to a function that must not change it.
func (r *Reconciler) Each(ctx context.Context, visit func(*v1alpha1.OAuth2TrustedIssuer)) error {
	var all v1alpha1.OAuth2TrustedIssuerList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list the OAuth2TrustedIssuers: %w", err)
	}
	for i := range all.Items {
		visit(&all.Items[i])
	}
	return nil
}

// verdict is whether JWTs of the issuer are accepted, and whether its keys are fresh; nil where no
// keys are looked for.
func (s *state) verdict() (v status.Verdict, fresh *metav1.Condition) {
	v.Ready = v1alpha1.IssuerTrusted()
	if s.issuer.Suspended {
		v.Ready = v1alpha1.IssuerIsSuspended()
	}
	// what is on record stays in force behind an obstacle, also of an issuer not to trust
	if v.Obstacle = cmp.Or(s.obstacle, s.refusal); v.Obstacle != nil {
		return v, nil
	}
	isStale := !s.issuer.Keys.Until.IsZero() && !s.now.Before(s.issuer.Keys.Until)
	if s.failed == nil && s.issuer.Keys.Set != "" && !isStale {
		return v, new(v1alpha1.IssuerKeysFetched())
	}
	failed := cmp.Or(s.failed, &issuerkeys.Error{Reason: v1alpha1.ReasonKeysNotFetched, What: "it was not tried yet"})
	fresh = new(v1alpha1.IssuerKeysKept(failed.Reason, failed.What))
	switch {
	case s.issuer.Keys.Set == "":
		v.Obstacle = new(v1alpha1.IssuerKeysFailed(failed.Reason, failed.What))
	case isStale:
		v.Obstacle = new(v1alpha1.IssuerKeysStale(s.maxAge, failed.What))
	default:
		return v, fresh
	}
	fresh.Message = v.Obstacle.Message
	v.Passing = !failed.Endless
	return v, fresh
}

// shared warns of an issuer whose JWTs several namespaces may use; nil if each is one namespace's.
func (s *state) shared() *metav1.Condition {
	one, other, shared := s.issuer.SharedByNamespaces()
	if s.refusal != nil || !shared {
		return nil
	}
	return new(v1alpha1.IssuerSharedByNamespaces(one, other))
}

// keysOf are the keys as the status has them, in the order of their ids.
func keysOf(packed jws.PackedKeys) (keys []v1alpha1.IssuerKey) {
	for _, jwk := range packed.JWKs() {
		key, err := packed.Key(jws.Header{KeyID: jwk.KeyID, Algorithm: jwk.Algorithm})
		if err != nil {
			continue
		}
		id, err := jws.Thumbprint(key.Key)
		if err != nil || slices.ContainsFunc(keys, func(k v1alpha1.IssuerKey) bool { return k.ID == id }) {
			continue
		}
		keys = append(keys, v1alpha1.IssuerKey{ID: id, Algorithm: v1alpha1.IssuerAlgorithm(jwk.Algorithm)})
	}
	slices.SortFunc(keys, func(a, b v1alpha1.IssuerKey) int { return cmp.Compare(a.ID, b.ID) })
	return keys
}

func (r *Reconciler) countClients(ctx context.Context, name string) (int32, error) {
	var clients v1alpha1.OAuth2ClientList
	if err := r.Client.List(ctx, &clients, client.MatchingFields{policy.IndexByIssuer: name}, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("list the clients that name OAuth2TrustedIssuer %s: %w", name, err)
	}
	return int32(min(len(clients.Items), 1<<30)), nil
}

// reportFailure reports what could not be done; see output.Failure. What is on record of the issuer
// is trusted.
func (r *Reconciler) reportFailure(ctx context.Context, object *v1alpha1.OAuth2TrustedIssuer, s *state, failure error) error {
	before := object.Status.Conditions
	v, ok := status.Failure(before, false, v1alpha1.IssuerTrusted(), output.Failure(failure, before, "write the record of the issuer"))
	if !ok {
		return nil
	}
	wanted := *object.Status.DeepCopy()
	status.SetConditions(&wanted.Conditions, status.LookAt(object, s.now), v)
	return r.patch(ctx, object, wanted)
}

// patch writes the status if it differs, and then announces what is rejected.
func (r *Reconciler) patch(ctx context.Context, object *v1alpha1.OAuth2TrustedIssuer, wanted v1alpha1.OAuth2TrustedIssuerStatus) error {
	return status.Report(ctx, status.Reporter{Client: r.Client, Recorder: r.Recorder, Contest: &r.contest, Now: r.Clock.Now()}, object, &object.Status, wanted,
		func(s v1alpha1.OAuth2TrustedIssuerStatus) []metav1.Condition { return s.Conditions })
}
