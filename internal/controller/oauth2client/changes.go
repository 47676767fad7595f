// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// ReasonCreated is the reason of the event about the first secret of a client. There is only one.
const ReasonCreated = "CredentialsCreated"

// The reasons of the other events on an OAuth2Client about its secrets.
const (
	reasonRotated  = "CredentialsRotated"
	reasonRepaired = "SecretRepaired"
	reasonExpired  = "CredentialExpired"
	reasonRetired  = "CredentialRetired"
	reasonEnded    = "CredentialEnded"
	reasonLeaves   = "GeneratedSecretDeleted"

	reasonRotationWaits  = "RotationWaits"
	reasonRotationFailed = "RotationFailed"
)

// What the audit lines call that a credential changes.
const (
	changeMade     = "made"
	changeRotated  = "rotated"
	changeRepaired = "repaired"
	changeAdopted  = "adopted"
	changeReplaced = "replaced"
	changeExpired  = "expired"
	changeRetired  = "retired"
	changeEnded    = "ended"
	changeRevoked  = "revoked"
)

// journal writes the changes of clients' credentials, as events and audit lines, each right after
// the write that made it true.
type journal struct {
	events.EventRecorder

	audit logr.Logger
}

// note writes an audit line about a secret of a client.
func (j journal) note(c *v1alpha1.OAuth2Client, change, id string, fields ...any) {
	j.line(c, change, append([]any{"credential", id}, fields...)...)
}

// revoked writes an audit line about all tokens of a client that were issued before an instant.
func (j journal) revoked(c *v1alpha1.OAuth2Client, before time.Time) {
	j.line(c, changeRevoked, "issued_before", before.UTC().Format(time.RFC3339))
}

func (j journal) line(c *v1alpha1.OAuth2Client, change string, fields ...any) {
	j.audit.Info("credential", append([]any{"change", change, "client_id", c.ClientID(), "client", client.ObjectKeyFromObject(c).String()}, fields...)...)
}

// minted reports a secret that was written to the user's Secret; noted is whether it has its audit
// line.
func (j journal) minted(c *v1alpha1.OAuth2Client, why credential.Reason, id string, noted bool) {
	change, reason, text := changeRepaired, reasonRepaired, "Wrote client secret %s to Secret %s, which was missing or had been changed"
	switch why {
	case credential.Created:
		change, reason, text = changeMade, ReasonCreated, "Wrote client secret %s to Secret %s"
	case credential.Rotated:
		change, reason, text = changeRotated, reasonRotated, "Wrote client secret %s to Secret %s in the place of the one before"
	case credential.Repaired, credential.None:
	}
	if !noted {
		j.note(c, change, id)
	}
	j.Eventf(c, nil, corev1.EventTypeNormal, reason, "WriteSecret", text, id, secretName(c))
}

// update is what a write of a registration changes of a client's credentials.
type update struct {
	before, after credential.Record
	// retired and declared are those of the plan.
	retired  []string
	declared string
	// announced is the id of the secret that an event has reported before it was confirmed.
	announced string
	// revoked is the instant before which all tokens are revoked from now on; zero if the write
	// does not change it.
	revoked time.Time
	at      time.Time
}

// updateOf is what a write changes that registers what a decision has.
func updateOf(before seen, wanted registration.Registration, d decision) update {
	u := update{
		before: before.record(), after: credential.Record{Verifiers: wanted.Client.Credentials.Verifiers, Rotation: wanted.Rotation},
		retired: d.plan.Retired, declared: d.plan.Declared, at: before.at.Earliest,
	}
	if at := wanted.Client.Revocation.Before; at.After(before.registered.Client.Revocation.Before) {
		u.revoked = at
	}
	return u
}

// sameSecrets reports whether two records have the same secrets in the same states, whatever their
// times are: an attempt that is repeated may plan other ones.
func sameSecrets(a, b credential.Record) bool {
	return slices.EqualFunc(a.Verifiers, b.Verifiers, func(v, w oauth2.Verifier) bool {
		return v.ID == w.ID && v.Pending == w.Pending && v.Replaced() == w.Replaced()
	})
}

// published reports what a write of the registration has changed of the secrets that reached a
// Secret.
func (j journal) published(c *v1alpha1.OAuth2Client, u update) {
	policy, before, after := policyOf(c), u.before, u.after
	for _, v := range before.Verifiers {
		if v.Pending || slices.ContainsFunc(after.Verifiers, sameID(v)) {
			continue
		}
		switch {
		case !v.Live(u.at):
			j.note(c, changeExpired, v.ID)
			j.Eventf(c, nil, corev1.EventTypeNormal, reasonExpired, "Expire", "Client secret %s is no longer accepted", v.ID)
		case slices.Contains(u.retired, v.ID):
			j.note(c, changeRetired, v.ID)
			j.Eventf(c, nil, corev1.EventTypeNormal, reasonRetired, "Retire",
				"Client secret %s is no longer accepted: it was replaced, and it has not been used for %s", v.ID, v1alpha1.Text(policy.UnusedFor))
		case !v.Replaced() && len(after.Verifiers) > 0:
			// there is no overlap, and no end was promised
			j.note(c, changeReplaced, v.ID)
		case len(after.Verifiers) > 0:
			j.note(c, changeEnded, v.ID, "promised", v.ExpiresAt.UTC().Format(time.RFC3339))
			j.Eventf(c, nil, corev1.EventTypeWarning, reasonEnded, "Replace",
				"Client secret %s is no longer accepted, before its overlap ends at %s: it made room for newer ones, of which %d are accepted at once",
				v.ID, v.ExpiresAt.UTC().Format(time.RFC3339), credential.MaxLive)
		default:
			j.note(c, changeEnded, v.ID)
			j.Eventf(c, nil, corev1.EventTypeWarning, reasonEnded, "Replace",
				"Client secret %s is no longer accepted: the client authenticates by %s", v.ID, methodName(c))
		}
	}
	for _, v := range after.Verifiers {
		was := slices.IndexFunc(before.Verifiers, sameID(v))
		switch {
		case v.Pending || v.Replaced() || was >= 0 && !before.Verifiers[was].Pending:
		case was >= 0 && u.announced != v.ID:
			// the manager that wrote the Secret has ended then
			j.minted(c, before.ReasonOf(v, policy), v.ID, false)
		case was >= 0:
		case after.Rotation.First == v.ID:
			j.note(c, changeMade, v.ID)
		default:
			j.note(c, changeAdopted, v.ID)
			if u.declared == v.ID {
				j.Eventf(c, nil, corev1.EventTypeNormal, reasonRotated, "ReadSecret",
					"Read client secret %s from Secret %s in the place of the one before", v.ID, secretName(c))
			}
		}
	}
	if !u.revoked.IsZero() {
		j.revoked(c, u.revoked)
	}
}

// leaves reports the generated Secrets that were deleted, because an Existing one takes their
// place.
func (j journal) leaves(c *v1alpha1.OAuth2Client, generated []string) {
	for _, name := range generated {
		j.Eventf(c, nil, corev1.EventTypeNormal, reasonLeaves, "DeleteSecret",
			"Secret %s, which Hallpass generated, was deleted: the client secret is read from Secret %s", name, secretName(c))
	}
}

func sameID(v oauth2.Verifier) func(oauth2.Verifier) bool {
	return func(other oauth2.Verifier) bool { return other.ID == v.ID }
}

// waiting emits an event when a rotation begins to wait or to fail, or does so for another reason.
func (j journal) waiting(c *v1alpha1.OAuth2Client, before v1alpha1.RotationStatus) {
	now := c.Status.Rotation
	if now.Reason == "" || now.Reason == before.Reason {
		return
	}
	reason := reasonRotationWaits
	if now.Reason == v1alpha1.RotationRefused {
		reason = reasonRotationFailed
	}
	j.Eventf(c, nil, corev1.EventTypeWarning, reason, "Rotate", "%s", now.Message)
}
