// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
)

// reportFailure says in the status what could not be done yet, for a token that never was ready. One that is stays Ready: the token
// in its Secret is good. A write that lost a race is tried again at once and is nobody's news.
func (r *Reconciler) reportFailure(ctx context.Context, object *v1alpha1.OAuth2Token, w *world, failure error) error {
	if apierrors.IsConflict(failure) || apierrors.IsAlreadyExists(failure) || meta.IsStatusConditionTrue(object.Status.Conditions, v1alpha1.ConditionReady) {
		return nil
	}
	attempt := "make the token"
	if refused, ok := errors.AsType[*output.Error](failure); ok {
		attempt = refused.Error() // of the user's own namespace: a quota or a policy there
	}
	w.wait(attempt)
	return r.report(ctx, object, w)
}

// report writes the status that this look found to be true, if it differs.
func (r *Reconciler) report(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	found := v1alpha1.OAuth2TokenStatus{
		ObservedGeneration: object.Generation, ClientID: w.record.ClientID, Conditions: slices.Clone(object.Status.Conditions),
	}
	now := r.Clock.Now()
	fixed := object.Spec.Mode == v1alpha1.TokenFixed
	if w.secret != nil {
		found.Secret = v1alpha1.SecretReference{Name: w.secret.Name}
	}
	if w.found {
		found.TokenID, found.Audience = w.current.ID, w.current.Audience
		found.IssuedAt, found.ExpiresAt = metav1.NewTime(w.current.IssuedAt), metav1.NewTime(w.current.ExpiresAt)
		for _, scope := range w.current.Scopes {
			found.Scopes = append(found.Scopes, v1alpha1.Scope(scope))
		}
	}
	if fixed && w.condition == nil && !object.Spec.ExpirationTime.After(now) {
		w.condition = new(v1alpha1.TokenExpired(object.Spec.ExpirationTime.Time))
	}
	status.SetConditions(&found.Conditions, object.Generation, v1alpha1.TokenIssued(object.Spec.Mode, secretName(object)), w.condition, w.passing)
	warn(&found.Conditions, object, w, now)
	news := usagereport.CompleteToken(&found, object.Status, r.Usage.Told(string(object.UID)))
	if equality.Semantic.DeepEqual(object.Status, found) {
		return nil
	}
	before := object.DeepCopy()
	object.Status = found
	if err := r.Client.Status().Patch(ctx, object, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("write status of OAuth2Token %s/%s: %w", object.Namespace, object.Name, err)
	}
	r.written.Note(object)
	usagereport.Announce(r.Recorder, object, news)
	return nil
}

// warn sets ExpiresSoon ahead of the end of a Fixed token, and removes it otherwise.
func warn(conditions *[]metav1.Condition, object *v1alpha1.OAuth2Token, w *world, now time.Time) {
	if object.Spec.Mode != v1alpha1.TokenFixed || !w.found || now.Before(warning(w.current)) || !now.Before(w.current.ExpiresAt) {
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionExpiresSoon)
		return
	}
	soon := v1alpha1.TokenExpiresSoon(w.current.ExpiresAt)
	soon.ObservedGeneration = object.Generation
	meta.SetStatusCondition(conditions, soon)
}
