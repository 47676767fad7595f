// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// The reasons of the events on an OAuth2Client.
const (
	reasonCreated  = "CredentialsCreated"
	reasonRotated  = "CredentialsRotated"
	reasonRepaired = "SecretRepaired"
	reasonExpired  = "CredentialExpired"
	reasonRetired  = "CredentialRetired"
)

// announceMinted reports a new client secret, right after the write that made it true.
func (r *Reconciler) announceMinted(c *v1alpha1.OAuth2Client, why credential.Reason, credentialID string) {
	reason, note := reasonRepaired, "Wrote client secret %s to Secret %s, which was missing or had been changed"
	switch why {
	case credential.Created:
		reason, note = reasonCreated, "Wrote client secret %s to Secret %s"
	case credential.Rotated:
		reason, note = reasonRotated, "Wrote client secret %s to Secret %s in the place of the one before"
	case credential.Repaired, credential.None:
	}
	r.Recorder.Eventf(c, nil, corev1.EventTypeNormal, reason, "WriteSecret", note, credentialID, secretName(c))
}

// announce emits the events about the registration, and about a first secret in its Secret.
func (r *Reconciler) announce(c *v1alpha1.OAuth2Client, s seen, d decision) {
	r.announceCollapsed(c, s)
	plan, policy := d.plan, policyOf(c)
	first := plan.Record.Rotation.First
	holds := s.object != nil && first != "" && plan.Record.IDOf(s.value, policy) == first
	if holds && !d.announced && len(c.Status.Credentials) == 0 {
		r.announceMinted(c, credential.Created, first)
	}
	if plan.Declared != "" {
		r.Recorder.Eventf(c, nil, corev1.EventTypeNormal, reasonRotated, "ReadSecret",
			"Read client secret %s from Secret %s in the place of the one before", plan.Declared, secretName(c))
	}
	for _, id := range plan.Expired {
		r.Recorder.Eventf(c, nil, corev1.EventTypeNormal, reasonExpired, "Expire", "Client secret %s is no longer accepted", id)
	}
	for _, id := range plan.Retired {
		r.Recorder.Eventf(c, nil, corev1.EventTypeNormal, reasonRetired, "Retire",
			"Client secret %s is no longer accepted: it was replaced, and nobody has used it for %s", id, policy.UnusedFor)
	}
}

// statusOf is the status that a look found to be true.
func statusOf(c *v1alpha1.OAuth2Client, m method, s seen, d decision) v1alpha1.OAuth2ClientStatus {
	found := v1alpha1.OAuth2ClientStatus{
		ObservedGeneration: c.Generation,
		ClientID:           d.client.ID,
		Rotation:           v1alpha1.RotationStatus{HandledRequest: d.plan.Record.Rotation.Handled, NextAt: metav1.NewTime(d.plan.Due)},
		Grants:             d.grants,
		Conditions:         slices.Clone(c.Status.Conditions),
	}
	switch object := s.object.(type) {
	case *corev1.Secret:
		found.Secret = v1alpha1.SecretReference{Name: object.Name}
	case *corev1.ConfigMap:
		found.ConfigMap = v1alpha1.ConfigMapReference{Name: object.Name}
	}
	if s.unreadable() { // what is on record is not known
		found.Secret, found.ConfigMap, found.Credentials, found.Rotation = c.Status.Secret, c.Status.ConfigMap, c.Status.Credentials, c.Status.Rotation
	}
	for _, v := range d.plan.Record.Verifiers {
		if !v.Pending {
			reason, message := whyKept(c, d.plan, v)
			found.Credentials = append(found.Credentials, v1alpha1.CredentialStatus{
				ID: v.ID, CreatedAt: metav1.NewTime(v.CreatedAt), ExpiresAt: metav1.NewTime(v.ExpiresAt),
				KeptReason: reason, KeptMessage: message,
			})
		}
	}
	if d.plan.Blocked {
		found.Rotation.Message = fmt.Sprintf(
			"A rotation is due and waits: %d secrets are accepted already. It comes when the next of them ends, or at once with rotation.overlap 0s.",
			credential.MaxLive)
	}
	ready, obstacle := m.ready(), d.condition()
	if c.Spec.State == v1alpha1.ClientSuspended {
		ready = v1alpha1.Suspended()
	}
	if c.Spec.State != v1alpha1.ClientSuspended && d.grantedNothing() {
		ready.Message += " It is granted none of the scopes that it asks for: see status.grants."
	}
	passing := obstacle != nil && (obstacle.Reason == v1alpha1.ReasonProgressing || obstacle.Reason == v1alpha1.ReasonSigningAlgorithmNotReady)
	status.SetConditions(&found.Conditions, c.Generation, ready, obstacle, passing)
	status.Set(&found.Conditions, c.Generation, v1alpha1.ConditionGrantsComplete, d.grantsCondition(c))
	status.Set(&found.Conditions, c.Generation, v1alpha1.ConditionKeysComplete, d.keys)
	status.Set(&found.Conditions, c.Generation, v1alpha1.ConditionClaimsComplete, d.claims)
	status.Set(&found.Conditions, c.Generation, v1alpha1.ConditionWithinLimits, d.limits)
	status.Set(&found.Conditions, c.Generation, v1alpha1.ConditionRevocationsCollapsed, s.collapsedCondition())
	return found
}

// reportFailure reports what could not be done yet, for a client that never was ready. One that is
// stays Ready: the token endpoint honours it.
func (r *Reconciler) reportFailure(ctx context.Context, c *v1alpha1.OAuth2Client, m method, s seen, d decision, failure error) error {
	if d.obstacle = output.Failure(failure, c.Status.Conditions, "register the client"); d.obstacle == nil {
		return nil
	}
	return r.report(ctx, c, statusOf(c, m, s, d))
}

// report writes the status if it differs, and then announces stale uses.
func (r *Reconciler) report(ctx context.Context, c *v1alpha1.OAuth2Client, wanted v1alpha1.OAuth2ClientStatus) error {
	news := usagereport.Complete(&wanted, c.Status, r.Usage.Told(string(c.UID)))
	if equality.Semantic.DeepEqual(c.Status, wanted) {
		return nil
	}
	if err := r.reporting.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("wait to write the status of OAuth2Client %s/%s: %w", c.Namespace, c.Name, err)
	}
	defer r.reporting.Release(1)
	if _, err := status.Patch(ctx, r.Client, c, &c.Status, wanted); err != nil {
		return err
	}
	r.memory.written.Note(c)
	usagereport.Announce(r.Recorder, c, news)
	return nil
}

// whyKept is why a secret is still accepted although it was replaced; empty of the current one.
// Where it was not judged, what the status says already stays.
func whyKept(c *v1alpha1.OAuth2Client, plan credential.Plan, v oauth2.Verifier) (v1alpha1.KeptReason, string) {
	switch {
	case !v.Replaced():
		return "", ""
	case !v.Watched():
		return v1alpha1.KeptForOverlap, "It is accepted until its overlap is over."
	case plan.Kept != nil:
		return keptBecause(plan.Kept[v.ID], policyOf(c).UnusedFor)
	}
	for _, before := range c.Status.Credentials {
		if before.ID == v.ID {
			return before.KeptReason, before.KeptMessage
		}
	}
	return "", ""
}

// keptBecause names no instant that moves with each use: the status would be written as often.
func keptBecause(answer usage.Answer, unusedFor time.Duration) (v1alpha1.KeptReason, string) {
	switch {
	case answer.Finding == usage.NotUnusedForLong:
		return v1alpha1.KeptInUse, fmt.Sprintf("It ends once nobody has used it for %s, or when its overlap is over.", unusedFor)
	case answer.Replica == "":
		return v1alpha1.KeptForWantOfProof, "No replica of the token server reports which secrets it accepts, so it may be in use."
	}
	return v1alpha1.KeptForWantOfProof, fmt.Sprintf("Replica %s of the token server may have accepted it: it has not reported all that it accepted since %s.",
		answer.Replica, answer.Since.UTC().Format(time.RFC3339))
}
