// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

const (
	// evidenceAgain is how soon reports are asked again that prove nothing yet: they come every ten minutes at least.
	evidenceAgain = 5 * time.Minute
	// evidenceSoon is how soon they are asked again while a manager that has just started reads them.
	evidenceSoon = time.Second
)

// retire ends the replaced secrets of which all replicas of the token server together prove that nobody has used them for long enough,
// and says of the others why they live on.
func (r *Reconciler) retire(ctx context.Context, _ *v1alpha1.OAuth2Client, w *world) error {
	if !slices.ContainsFunc(w.registration.Client.Verifiers, oauth2.Verifier.Watched) {
		return nil
	}
	now := r.Clock.Now()
	var reports v1alpha1.UsageReportList
	if err := r.Client.List(ctx, &reports, client.InNamespace(r.RegistryNamespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("read what the token server reports of secrets in use: %w", err)
	}
	evidence := r.Usage.Evidence(reports.Items)
	if !evidence.Read {
		w.evidenceAt = now.Add(evidenceSoon)
		return nil
	}
	w.kept = map[string]kept{}
	w.registration.Client.Verifiers = slices.DeleteFunc(slices.Clone(w.registration.Client.Verifiers), func(v oauth2.Verifier) bool {
		return v.Watched() && r.unused(v, evidence, w, now)
	})
	return nil
}

// unused judges one secret.
func (r *Reconciler) unused(v oauth2.Verifier, evidence usagereport.Evidence, w *world, now time.Time) bool {
	answer := usage.Judge(evidence.Replicas, usage.Question{
		WatchedSince: v.WatchedSince, LastUsed: r.Usage.LastUsed(w.policy.UID, v.ID), UnusedFor: w.policy.UnusedFor, Now: now,
	})
	if answer.Finding == usage.Unused {
		w.retired = append(w.retired, v.ID)
		return true
	}
	w.kept[v.ID] = keptBecause(answer, w.policy)
	again := answer.Ask
	if again.Before(now.Add(evidenceAgain)) {
		again = now.Add(evidenceAgain)
	}
	if w.evidenceAt.IsZero() || again.Before(w.evidenceAt) {
		w.evidenceAt = again
	}
	return false
}

// kept is why a replaced secret is still accepted.
type kept struct {
	reason  v1alpha1.KeptReason
	message string
}

// keptForOverlap is why one is that nothing else ends.
var keptForOverlap = kept{v1alpha1.KeptForOverlap, "It is accepted until its overlap is over."} //nolint:gochecknoglobals // a constant

// whyKept is why a secret is still accepted although it was replaced; empty of the current one. Where nobody has judged, what the
// status says already stays.
func (w *world) whyKept(c *v1alpha1.OAuth2Client, v oauth2.Verifier) kept {
	switch {
	case !v.Replaced():
		return kept{}
	case !v.Watched():
		return keptForOverlap
	case w.kept != nil:
		return w.kept[v.ID]
	}
	for _, credential := range c.Status.Credentials {
		if credential.ID == v.ID {
			return kept{credential.KeptReason, credential.KeptMessage}
		}
	}
	return kept{}
}

// keptBecause says it without an instant that moves with each use: the status would be written as often.
func keptBecause(answer usage.Answer, p credential.Policy) kept {
	switch {
	case answer.Finding == usage.NotUnusedForLong:
		return kept{v1alpha1.KeptInUse, fmt.Sprintf("It ends once nobody has used it for %s, or when its overlap is over.", p.UnusedFor)}
	case answer.Replica == "":
		return kept{v1alpha1.KeptForWantOfProof, "No replica of the token server reports which secrets it accepts, so it may be in use."}
	default:
		return kept{v1alpha1.KeptForWantOfProof, fmt.Sprintf("Replica %s of the token server may have accepted it: it has not reported all that it accepted since %s.",
			answer.Replica, answer.Since.UTC().Format(time.RFC3339))}
	}
}
