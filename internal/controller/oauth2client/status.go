// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// announce emits the events about collapsed revocations, and about a first secret in its Secret.
func (r *Reconciler) announce(c *v1alpha1.OAuth2Client, s seen, d decision) {
	r.announceCollapsed(c, s)
	r.memory.copies.Announce(r.Recorder, c, s.copies, s.at.Earliest)
	first := d.plan.Record.Rotation.First
	holds := s.object != nil && first != "" && d.plan.Record.IDOf(s.value, policyOf(c)) == first
	if announced, _ := r.memory.announced.Get(c.UID, s.at.Earliest); holds && announced != first && len(c.Status.Credentials) == 0 {
		journal{r.Recorder, r.Audit}.minted(c, credential.Created, first, true)
	}
}

// statusOf is the status that a reconcile found to be true, and when the client becomes Stalled;
// zero for never.
func statusOf(c *v1alpha1.OAuth2Client, m method, s seen, d decision) (v1alpha1.OAuth2ClientStatus, time.Time) {
	found := v1alpha1.OAuth2ClientStatus{
		ObservedGeneration: c.Generation,
		ClientID:           d.client.ID,
		Rotation:           rotationOf(c, m, s, d),
		Grants:             d.grants,
		Resources:          grantedResources(d.grants),
		Conditions:         slices.Clone(c.Status.Conditions),
	}
	switch object := s.object.(type) {
	case *corev1.Secret:
		found.Secret = v1alpha1.SecretReference{Name: object.Name}
	case *corev1.ConfigMap:
		found.ConfigMap = v1alpha1.ConfigMapReference{Name: object.Name}
	}
	if m.source() == secretDeclared && !s.value.Empty() {
		found.Secret = v1alpha1.SecretReference{Name: secretName(c)}
	}
	if s.isWhereReported(c) {
		found.Secret, found.ConfigMap = c.Status.Secret, c.Status.ConfigMap
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
	currentFirst(found.Credentials)
	stalls := status.SetConditions(&found.Conditions, status.LookAt(c, s.at.Earliest), verdictOf(c, m, s, d))
	status.Set(&found.Conditions, c.Generation, v1alpha1.ConditionGrantsComplete, d.grantsCondition(c))
	status.Set(&found.Conditions, c.Generation, v1alpha1.ConditionKeysComplete, d.keys)
	status.Set(&found.Conditions, c.Generation, v1alpha1.ConditionClaimsComplete, d.claims)
	status.Set(&found.Conditions, c.Generation, v1alpha1.ConditionWithinLimits, d.limits)
	status.Set(&found.Conditions, c.Generation, v1alpha1.ConditionRevocationsCollapsed, s.collapsedCondition())
	status.Set(&found.Conditions, c.Generation, v1alpha1.ConditionClientIDNeeded, s.sharedCondition(c))
	status.Set(&found.Conditions, c.Generation, v1alpha1.ConditionOpenToPullRequests, s.pullRequestCondition(c))
	return found, stalls
}

// isWhereReported reports whether what is written for a registered client was not read under the
// name that its status has, and stays there: where a policy forbids the client nothing is read, and
// the spec may have a name that others have. If the registration is restored without names, only
// the status knows where the current value is; see inherit.
func (s seen) isWhereReported(c *v1alpha1.OAuth2Client) bool {
	switch name := secretName(c); {
	case !s.held || s.object != nil:
		return false
	case forbidden(c, s) != nil:
		return true
	case s.obstacle == nil || c.Status.Secret.Name == name || c.Status.ConfigMap.Name == name:
		return false
	}
	return s.obstacle.Reason == v1alpha1.ReasonSecretConflict || s.obstacle.Reason == v1alpha1.ReasonConfigMapConflict
}

// verdictOf is whether the client is ready by the observed state. After a failure it is if that
// state lets it authenticate.
func verdictOf(c *v1alpha1.OAuth2Client, m method, s seen, d decision) status.Verdict {
	v := status.Verdict{Ready: m.ready(), Obstacle: d.condition(), Trouble: d.failure}
	if v.Obstacle == nil && !s.authenticates(c, m) {
		v.Obstacle = d.failure
	}
	switch {
	case c.Spec.State == v1alpha1.ClientSuspended:
		v.Ready = v1alpha1.Suspended()
	case d.grantedNothing():
		v.Ready.Message += " It is granted none of the scopes that it asks for: see status.grants."
	}
	if s.conflict != nil {
		v.Ready.Message += " " + s.conflict.Message
	}
	if because := cmp.Or(v.Obstacle, v.Trouble); because != nil {
		switch because.Reason {
		case v1alpha1.ReasonProgressing, v1alpha1.ReasonSigningAlgorithmNotReady, v1alpha1.ReasonWriteRefused, v1alpha1.ReasonServiceAccountNotFound:
			v.Passing = true
		case v1alpha1.ReasonIssuerNotFound:
			v.Passing = !s.issuer.unavailable
		case v1alpha1.ReasonLoginNotAvailable:
			v.Passing = s.login.awaited()
		case v1alpha1.ReasonSecretNotFound:
			v.Passing = len(d.plan.Record.Verifiers) == 0 // else it was deleted
		}
	}
	return v
}

// authenticates reports whether what was seen of a client lets it authenticate: it is registered
// and not denied, a secret of its method is accepted, and what is written for it is there. A client
// with an Existing Secret can do without its ConfigMap.
func (s seen) authenticates(c *v1alpha1.OAuth2Client, m method) bool {
	denied, accepted := s.registered.Client.Suspended || s.registered.Client.Refused, s.record().Accepts(s.value, policyOf(c), s.at.Earliest)
	if !s.held || denied {
		return false
	}
	switch m.source() {
	case secretDeclared: // it can do without its ConfigMap
		return accepted
	case secretGenerated:
		return s.object != nil && !s.elsewhere && accepted
	case secretNone:
	}
	return s.object != nil
}

// rotationOf is the last rotation, the next one, and why one that is due or requested is not
// carried out.
func rotationOf(c *v1alpha1.OAuth2Client, m method, s seen, d decision) v1alpha1.RotationStatus {
	plan, request := d.plan, policyOf(c).Request
	found := v1alpha1.RotationStatus{
		HandledRequest: plan.Record.Rotation.Handled, Generation: plan.Record.Rotation.Generation, NextAt: metav1.NewTime(plan.Due),
	}
	switch {
	case !s.held:
		found.Generation = c.Status.Rotation.Generation
	case d.failure != nil:
		// a late cache may have it as it was before, and it may be deleted
		found.Generation = max(found.Generation, c.Status.Rotation.Generation)
	}
	switch {
	case request != "" && request == c.Status.Rotation.HandledRequest:
		// also where a registration of before was put back
		found.HandledRequest = request
	case !s.held:
		found.HandledRequest = unregisteredHandled(c)
	}
	requested := request != "" && request != found.HandledRequest
	isGenerated := m.source() == secretGenerated
	if isGenerated && d.obstacle != nil { // which no plan knows of
		found.NextAt = metav1.NewTime(plan.Record.AutomaticallyDue(policyOf(c)))
	}
	switch {
	case plan.Blocked:
		found.Reason, found.Message = v1alpha1.RotationTooManySecrets, fmt.Sprintf(
			"A rotation is due and waits: %d secrets are accepted already. It comes when the next of them ends, or at once with rotation.overlap 0s and without rotation.retireWhenUnusedFor.",
			credential.MaxLive)
	case plan.Reason == credential.Rotated && d.failure != nil:
		found.Reason, found.Message = v1alpha1.RotationRefused, "A rotation is due and fails: "+d.failure.Message
		if was := c.Status.Rotation.NextAt; !was.IsZero() && was.Time.Before(plan.Due) {
			found.NextAt = was // since when it has been due
		}
	case d.obstacle != nil && requested:
		found.Reason, found.Message = v1alpha1.RotationNotReady, fmt.Sprintf(
			"A rotation was requested and waits until the client is ready: %s.", d.obstacle.Reason)
	case d.obstacle != nil && !found.NextAt.IsZero() && !found.NextAt.After(s.at.Earliest):
		found.Reason, found.Message = v1alpha1.RotationNotReady, fmt.Sprintf(
			"A rotation is due and waits until the client is ready: %s.", d.obstacle.Reason)
	case !requested:
	case !isGenerated:
		found.Reason, found.Message = v1alpha1.RotationNotGenerated,
			"A rotation was requested, and no secret of this client is generated here. Write another value to the Existing Secret, or other keys to the spec."
	}
	return found
}

// unregisteredHandled is the request to rotate that counts as carried out for a client without a
// registration. If it was lost, only the status knows: see byGenerated.plan. What a new client came
// with is answered by its first secret, or by the one that it takes over, and a restored namespace
// rotates nothing.
func unregisteredHandled(c *v1alpha1.OAuth2Client) string {
	if c.Status.ObservedGeneration == 0 {
		return policyOf(c).Request
	}
	return c.Status.Rotation.HandledRequest
}

// reportFailure reports what could not be done. What is registered is what was before.
func (r *Reconciler) reportFailure(ctx context.Context, c *v1alpha1.OAuth2Client, m method, s seen, d decision, failure error) error {
	switch {
	case errors.Is(failure, publish.ErrNoRoom):
		// others took it since it was looked for, or another secret needs it
		d.failure = new(s.bytes.Condition(d.wants, s.held))
		if !s.held {
			d.obstacle = d.failure
		}
	default:
		d.failure = output.Failure(failure, c.Status.Conditions, "register the client")
	}
	if d.failure == nil {
		return nil
	}
	d.plan.Record = credential.Keep(s.record(), s.at).Record
	wanted, _ := statusOf(c, m, s, d)
	return r.report(ctx, c, wanted)
}

// reportUnseen reports that a read was refused. What it would have found stays as it was reported.
func (r *Reconciler) reportUnseen(ctx context.Context, c *v1alpha1.OAuth2Client, failure error) error {
	v := status.Verdict{Trouble: output.Failure(failure, c.Status.Conditions, "read the client"), Passing: true}
	if v.Trouble == nil {
		return nil
	}
	if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Status == metav1.ConditionTrue {
		v.Ready = *ready
	} else {
		v.Obstacle = v.Trouble
	}
	wanted := *c.Status.DeepCopy()
	wanted.ClientID = c.ClientID()
	status.SetConditions(&wanted.Conditions, status.LookAt(c, r.Clock.Now()), v)
	return r.report(ctx, c, wanted)
}

// rejections are the conditions that status.Announce reports. Scopes that the owner of a resource
// has not granted yet are expected, and a rotation that fails has an event of its own.
func rejections(reported v1alpha1.OAuth2ClientStatus) []metav1.Condition {
	rejected := slices.ContainsFunc(reported.Grants, decidedAs(oauth2.NotAllowedByPolicy))
	return slices.DeleteFunc(slices.Clone(reported.Conditions), func(c metav1.Condition) bool {
		return c.Type == v1alpha1.ConditionGrantsComplete && c.Reason == v1alpha1.ReasonNotGranted && !rejected ||
			c.Reason == v1alpha1.ReasonWriteRefused && reported.Rotation.Reason == v1alpha1.RotationRefused
	})
}

// report writes the status if it differs, and then announces what is new in it.
func (r *Reconciler) report(ctx context.Context, c *v1alpha1.OAuth2Client, wanted v1alpha1.OAuth2ClientStatus) error {
	news := usagereport.Complete(&wanted, c, r.Usage.Told(string(c.UID)))
	refused := usagereport.CompleteRefusals(&wanted, c, r.Usage.Refusals.Told(string(c.UID)), r.Clock.Now())
	if equality.Semantic.DeepEqual(c.Status, wanted) {
		return nil
	}
	if err := r.memory.reporting.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("wait to write the status of OAuth2Client %s/%s: %w", c.Namespace, c.Name, err)
	}
	defer r.memory.reporting.Release(1)
	before := c.Status
	to := status.Reporter{Client: r.Client, Recorder: r.Recorder, Contest: &r.memory.contest, Now: r.Clock.Now()}
	if _, err := status.Write(ctx, to, c, &c.Status, wanted); err != nil {
		return err
	}
	r.memory.written.Note(c)
	usagereport.Announce(r.Recorder, c, news)
	usagereport.AnnounceRefusals(r.Recorder, c, refused)
	status.Announce(r.Recorder, c, rejections(before), rejections(wanted))
	journal{r.Recorder, r.Audit}.waiting(c, before.Rotation)
	return nil
}

// whyKept is why a secret is still accepted although it was replaced; empty of the current one.
// Where that was not decided, the former status stays.
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
		return v1alpha1.KeptInUse, fmt.Sprintf("It ends once it has not been used for %s, or when its overlap is over.", v1alpha1.Text(unusedFor))
	case answer.Replica == "":
		return v1alpha1.KeptForWantOfProof, "No replica of the token server reports which secrets it accepts, so it may be in use."
	}
	return v1alpha1.KeptForWantOfProof, fmt.Sprintf("Replica %s of the token server may have accepted it: it has not reported all that it accepted since %s.",
		answer.Replica, answer.Since.UTC().Format(time.RFC3339))
}
