// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/credential"
)

// reports tells users and auditors what became of a token.
type reports struct {
	client   client.Client
	recorder events.EventRecorder
	audit    logr.Logger
	clock    clock.PassiveClock
	usage    *usagereport.Ledger
	written  status.Written
}

// announce writes the audit line, in the words of the token server's, and tells of a token that nobody would expect.
func (r *reports) announce(object *v1alpha1.OAuth2Token, w *world, reason string) {
	r.audit.Info("decision", "endpoint", "manager", "outcome", "allowed", "cause", reason, "client_id", w.client.ID, "jti", w.current.ID,
		"aud", w.current.Audience, "scope", strings.Join(w.current.Scopes, " "), "token", object.Namespace+"/"+object.Name)
	note := map[string]string{
		reasonCreated:  "Wrote token %s to Secret %s",
		reasonRepaired: "Wrote token %s to Secret %s, which was missing or had been changed; the one before is refused",
		reasonChanged:  "Wrote token %s to Secret %s, because what it may say, or the key that signed the one before, has changed",
		reasonRevoked:  "Wrote token %s to Secret %s, because the one before was revoked",
	}[reason]
	if note != "" {
		r.recorder.Eventf(object, nil, corev1.EventTypeNormal, reason, "WriteSecret", note, w.current.ID, secretName(object))
	}
}

// failure says in the status what could not be done yet, for a token that never was ready. One that is stays Ready: the token
// in its Secret is good. A write that lost a race is tried again at once and is nobody's news.
func (r *reports) failure(ctx context.Context, object *v1alpha1.OAuth2Token, w *world, failure error) error {
	condition := output.Failure(failure, object.Status.Conditions, "make the token")
	if condition == nil {
		return nil
	}
	w.condition, w.passing = condition, true
	return r.write(ctx, object, w)
}

// write writes the status that this look found to be true, if it differs.
func (r *reports) write(ctx context.Context, object *v1alpha1.OAuth2Token, w *world) error {
	found := v1alpha1.OAuth2TokenStatus{
		ObservedGeneration: object.Generation, ClientID: w.record.ClientID, Conditions: slices.Clone(object.Status.Conditions),
	}
	now := r.clock.Now()
	fixed := object.Spec.Mode == v1alpha1.TokenFixed
	if w.secret != nil {
		found.Secret = v1alpha1.SecretReference{Name: w.secret.GetName()}
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
	news := usagereport.CompleteToken(&found, object.Status, r.usage.Told(string(object.UID)))
	written, err := status.Patch(ctx, r.client, object, &object.Status, found)
	if !written {
		return err
	}
	r.written.Note(object)
	usagereport.Announce(r.recorder, object, news)
	return nil
}

// warn sets ExpiresSoon ahead of the end of a Fixed token, and removes it otherwise.
func warn(conditions *[]metav1.Condition, object *v1alpha1.OAuth2Token, w *world, now time.Time) {
	if object.Spec.Mode != v1alpha1.TokenFixed || !w.found || now.Before(credential.Warning(w.current)) || !now.Before(w.current.ExpiresAt) {
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionExpiresSoon)
		return
	}
	soon := v1alpha1.TokenExpiresSoon(w.current.ExpiresAt)
	soon.ObservedGeneration = object.Generation
	meta.SetStatusCondition(conditions, soon)
}
