// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The reasons of the events on an OAuth2Client.
const (
	reasonCreated  = "CredentialsCreated"
	reasonRotated  = "CredentialsRotated"
	reasonRepaired = "SecretRepaired"
	reasonExpired  = "CredentialExpired"
	reasonRetired  = "CredentialRetired"
)

// announceMinted tells of a new client secret, right after the write that made it true.
func (r *Reconciler) announceMinted(c *v1alpha1.OAuth2Client, reason, credentialID string) {
	note := map[string]string{
		reasonCreated:  "Wrote client secret %s to Secret %s",
		reasonRotated:  "Wrote client secret %s to Secret %s in the place of the one before",
		reasonRepaired: "Wrote client secret %s to Secret %s, which was missing or had been changed",
	}[reason]
	r.Recorder.Eventf(c, nil, corev1.EventTypeNormal, reason, "WriteSecret", note, credentialID, secretName(c))
}

// announce tells of what became true with the registration. That there is a first secret shows once the Secret has it.
func (r *Reconciler) announce(c *v1alpha1.OAuth2Client, w *world) {
	if first := w.registration.Rotation.First; w.holds(first) && !w.announced && len(c.Status.Credentials) == 0 {
		r.announceMinted(c, reasonCreated, first)
	}
	if w.declared != "" {
		r.Recorder.Eventf(c, nil, corev1.EventTypeNormal, reasonRotated, "ReadSecret",
			"Read client secret %s from Secret %s in the place of the one before", w.declared, secretName(c))
	}
	for _, id := range w.expired {
		r.Recorder.Eventf(c, nil, corev1.EventTypeNormal, reasonExpired, "Expire", "Client secret %s is no longer accepted", id)
	}
	for _, id := range w.retired {
		r.Recorder.Eventf(c, nil, corev1.EventTypeNormal, reasonRetired, "Retire",
			"Client secret %s is no longer accepted: it was replaced, and nobody has used it for %s", id, w.policy.UnusedFor)
	}
}

// holds reports whether the secret of that id is the one in the client's Secret.
func (w *world) holds(id string) bool {
	if w.secret == nil || id == "" {
		return false
	}
	digest := oauth2.DigestSecret(w.policy.UID, w.value)
	return slices.ContainsFunc(w.registration.Client.Verifiers, func(v oauth2.Verifier) bool { return v.ID == id && v.Digest == digest })
}

// noteExpired notes the secrets that settling dropped because their time was over. Proposals that nobody ever had are not
// worth a word.
func (w *world) noteExpired(before []oauth2.Verifier, now time.Time) {
	for _, v := range before {
		if !v.Pending && !v.Live(now) {
			w.expired = append(w.expired, v.ID)
		}
	}
}

// status is the status that this look found to be true.
func (w *world) status(c *v1alpha1.OAuth2Client) v1alpha1.OAuth2ClientStatus {
	found := v1alpha1.OAuth2ClientStatus{
		ObservedGeneration: c.Generation,
		ClientID:           w.registration.Client.ID,
		Rotation:           v1alpha1.RotationStatus{HandledRequest: w.registration.Rotation.Handled, NextAt: metav1.NewTime(w.due)},
		Grants:             w.grants,
		Conditions:         slices.Clone(c.Status.Conditions),
	}
	if w.secret != nil {
		found.Secret = v1alpha1.SecretReference{Name: w.secret.Name}
	}
	if w.configMap != nil {
		found.ConfigMap = v1alpha1.ConfigMapReference{Name: w.configMap.Name}
	}
	for _, v := range w.registration.Client.Verifiers {
		if !v.Pending {
			why := w.whyKept(c, v)
			found.Credentials = append(found.Credentials, v1alpha1.CredentialStatus{
				ID: v.ID, CreatedAt: metav1.NewTime(v.CreatedAt), ExpiresAt: metav1.NewTime(v.ExpiresAt),
				KeptReason: why.reason, KeptMessage: why.message,
			})
		}
	}
	if w.blocked {
		found.Rotation.Message = fmt.Sprintf(
			"A rotation is due and waits: %d secrets are accepted already. It comes when the next of them ends, or at once with rotation.overlap 0s.", credential.MaxLive)
	}
	setConditions(&found.Conditions, c, w.condition)
	setOrRemove(&found.Conditions, c, v1alpha1.ConditionGrantsComplete, w.grantsCondition(c))
	setOrRemove(&found.Conditions, c, v1alpha1.ConditionKeysComplete, w.keysCondition)
	setOrRemove(&found.Conditions, c, v1alpha1.ConditionClaimsComplete, w.claimsCondition)
	return found
}

// setOrRemove sets a condition that is only there for some clients.
func setOrRemove(conditions *[]metav1.Condition, c *v1alpha1.OAuth2Client, kind string, wanted *metav1.Condition) {
	if wanted == nil {
		meta.RemoveStatusCondition(conditions, kind)
		return
	}
	wanted.ObservedGeneration = c.Generation
	meta.SetStatusCondition(conditions, *wanted)
}

// setConditions derives Ready and its companions of kstatus.
func setConditions(conditions *[]metav1.Condition, c *v1alpha1.OAuth2Client, obstacle *metav1.Condition) {
	ready := v1alpha1.Registered()
	switch c.Spec.Authentication.Method {
	case v1alpha1.ByPrivateKeyJWT:
		ready = v1alpha1.RegisteredKeys()
	case v1alpha1.ByServiceAccount:
		ready = v1alpha1.RegisteredServiceAccount(c.Spec.Authentication.ServiceAccount.Name)
	case v1alpha1.ByClientSecret:
	}
	if c.Spec.State == v1alpha1.ClientSuspended {
		ready = v1alpha1.Suspended()
	}
	passing := obstacle != nil && (obstacle.Reason == v1alpha1.ReasonProgressing || obstacle.Reason == v1alpha1.ReasonSigningAlgorithmNotReady)
	status.SetConditions(conditions, c.Generation, ready, obstacle, passing)
}

// reportFailure says in the status what could not be done yet, for a client that never was ready. One that is stays Ready:
// the token endpoint honours it. A write that lost a race is tried again at once and is nobody's news.
func (r *Reconciler) reportFailure(ctx context.Context, c *v1alpha1.OAuth2Client, w *world, failure error) error {
	if apierrors.IsConflict(failure) || apierrors.IsAlreadyExists(failure) || meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
		return nil
	}
	attempt := "register the client"
	if refused, ok := errors.AsType[*output.Error](failure); ok {
		attempt = refused.Error() // of the user's own namespace: a quota or a policy there
	}
	w.condition = new(v1alpha1.Progressing(attempt))
	return r.report(ctx, c, w.status(c))
}

// report writes the status if it differs, with what is told of the client's use, and tells of stale uses once they stand there.
func (r *Reconciler) report(ctx context.Context, c *v1alpha1.OAuth2Client, status v1alpha1.OAuth2ClientStatus) error {
	news := usagereport.Complete(&status, c.Status, r.Usage.Told(string(c.UID)))
	if equality.Semantic.DeepEqual(c.Status, status) {
		return nil
	}
	if err := r.reporting.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("wait to write the status of OAuth2Client %s/%s: %w", c.Namespace, c.Name, err)
	}
	defer r.reporting.Release(1)
	before := c.DeepCopy()
	c.Status = status
	if err := r.Client.Status().Patch(ctx, c, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("write status of OAuth2Client %s/%s: %w", c.Namespace, c.Name, err)
	}
	r.written.Note(c)
	usagereport.Announce(r.Recorder, c, news)
	return nil
}
