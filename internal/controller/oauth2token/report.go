// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// reports records the changes of a token for users and auditors.
type reports struct {
	*Config

	written status.Written
	contest status.Contest
	revoked *revocations
	copies  output.Copies
	// announced are the ids of the tokens that are known to be announced, the newest last. A
	// status may report none of them for a while.
	announced attempt.Proposals[[]string]
	// unanswered are the changes by writes of records that were not answered, until it is known
	// whether the writes were done.
	unanswered attempt.Unanswered[recordChange]
	// over are the ids of the Fixed tokens whose end has its audit line.
	over attempt.Proposals[string]
}

// recordChange is a write of a record.
type recordChange struct {
	before []oauth2.MintedToken
	after  oauth2.Minted
	at     time.Time
}

// announce writes the audit line, in the words of the token server's, and an event about a token
// that the user does not expect.
func (r *reports) announce(object *v1alpha1.OAuth2Token, s *state, reason string) {
	r.Audit.Info("decision", "endpoint", "manager", "outcome", "allowed", "cause", reason, "client_id", s.client.ID, "jti", s.current.ID,
		"aud", s.current.Audience, "scope", strings.Join(s.current.Scopes, " "), "token", object.Namespace+"/"+object.Name)
	note := map[string]string{
		reasonCreated:  "Wrote token %s to Secret %s",
		reasonRepaired: "Wrote token %s to Secret %s, which was missing or had been changed; the one before is refused",
		reasonChanged:  "Wrote token %s to Secret %s, because its claims, or the key that signed the one before, has changed",
		reasonRevoked:  "Wrote token %s to Secret %s, because the one before was revoked",
	}[reason]
	if note != "" {
		r.Recorder.Eventf(object, nil, corev1.EventTypeNormal, reason, "WriteSecret", note, s.current.ID, secretName(object))
	}
	r.remember(object, s.current.ID)
}

// remember notes that a token was announced.
func (r *reports) remember(object *v1alpha1.OAuth2Token, id string) {
	now := r.Clock.Now()
	known, _ := r.announced.Get(object.UID, now)
	if slices.Contains(known, id) {
		return
	}
	known = append(slices.Clone(known[max(0, len(known)-oauth2.MaxMinted+1):]), id)
	r.announced.Put(object, known, now.Add(attempt.UnansweredFor))
}

// announceFound announces a token that is in the Secret, and that was not announced by this manager
// nor by one that could write the status afterwards: the answer to its write was lost, or the
// manager that wrote it has ended then. Before a newer one is made, the one in the Secret is
// announced: one that is older than an announced one was announced too, and a late cache or a
// backup of the Secret has it.
func (r *reports) announceFound(object *v1alpha1.OAuth2Token, s *state) {
	if id := object.Status.TokenID; id != "" {
		r.remember(object, id)
	}
	known, _ := r.announced.Get(object.UID, r.Clock.Now())
	isKnown := func(t oauth2.MintedToken) bool { return slices.Contains(known, t.ID) }
	at := slices.IndexFunc(s.before, func(t oauth2.MintedToken) bool { return t.ID == s.current.ID })
	if s.found && at >= 0 && s.before[at].Cause != "" && !slices.ContainsFunc(s.before[at:], isKnown) {
		r.announce(object, s, s.before[at].Cause)
	}
}

// dropped writes an audit line about each token that is off the record by now: it has expired,
// unless it is a Fixed one and the status has reported its end, which has its line then; or it is
// not accepted any more, because another one replaced it or nothing allows it.
func (r *reports) dropped(object *v1alpha1.OAuth2Token, change recordChange) {
	for _, t := range change.before {
		kept := slices.ContainsFunc(change.after.Tokens, func(left oauth2.MintedToken) bool { return left.ID == t.ID })
		switch {
		case kept:
		case t.Live(change.at):
			r.ended(object, "ended", change.after.ClientID, t.ID)
		case object.Spec.Mode != v1alpha1.TokenFixed:
			r.ended(object, "expired", change.after.ClientID, t.ID)
		case !reportsEnd(object.Status, t.ID) && !r.isOver(object, t.ID):
			r.expired(object, change.after.ClientID, t.ID)
		}
	}
}

// reportDone writes the audit lines of a write of the record that was not answered, once the record
// shows that the write was done.
func (r *reports) reportDone(object *v1alpha1.OAuth2Token, read oauth2.Minted) {
	changes := r.unanswered.Get(object.UID, r.Clock.Now())
	sameID := func(a, b oauth2.MintedToken) bool { return a.ID == b.ID }
	at := slices.IndexFunc(changes, func(c recordChange) bool { return slices.EqualFunc(read.Tokens, c.after.Tokens, sameID) })
	if at >= 0 {
		r.unanswered.Drop(object.UID)
		r.dropped(object, changes[at])
	}
}

// expired writes the audit line about the end of a Fixed token. It has one, by the write of the
// record that drops it or by that of the status that reports it, whichever is first.
func (r *reports) expired(object *v1alpha1.OAuth2Token, clientID, id string) {
	r.over.Put(object, id, r.Clock.Now().Add(attempt.UnansweredFor))
	r.ended(object, "expired", clientID, id)
}

// isOver reports whether the end of a Fixed token has its audit line.
func (r *reports) isOver(object *v1alpha1.OAuth2Token, id string) bool {
	over, there := r.over.Get(object.UID, r.Clock.Now())
	return there && over == id
}

// reportsEnd reports whether a status reports that a token has expired.
func reportsEnd(reported v1alpha1.OAuth2TokenStatus, id string) bool {
	ready := meta.FindStatusCondition(reported.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Reason == v1alpha1.ReasonExpired && id != "" && reported.TokenID == id
}

func (r *reports) ended(object *v1alpha1.OAuth2Token, change, clientID, id string) {
	r.Audit.Info("credential", "change", change, "client_id", clientID, "owner", "OAuth2Token "+client.ObjectKeyFromObject(object).String(), "jti", id)
}

// failure reports a failed attempt in the status; see output.Failure. The token in the Secret is
// valid until it expires, whatever failed. What was not read stays as it was reported.
func (r *reports) failure(ctx context.Context, object *v1alpha1.OAuth2Token, s *state, failure error) error {
	now := r.Clock.Now()
	v := status.Verdict{
		Ready:   v1alpha1.TokenIssued(object.Spec.Mode, secretName(object)),
		Trouble: cmp.Or(s.noRoom, output.Failure(failure, object.Status.Conditions, "make the token")), Passing: true,
	}
	held, found := s.record.Find(output.Value(output.Data(s.secret), output.Entry(object.Spec.Secret.Keys.Token, keyToken), s.recorded))
	valid := found && held.Live(now) && !r.revoked.has(held, &s.client, now) && !s.isWithdrawn(held, now) && s.denial(r.Issuer, held) == ""
	over := hasExpired(object, now)
	switch {
	case over != nil && s.knowsEnd(object.Status):
		v.Obstacle = over
	case found && !held.Live(now) && object.Spec.Mode != v1alpha1.TokenFixed:
		v.Obstacle = new(v1alpha1.TokenNotReplaced(secretName(object), held.ExpiresAt))
	case v.Trouble == nil:
		return nil
	case !valid && (s.read || !meta.IsStatusConditionTrue(object.Status.Conditions, v1alpha1.ConditionReady)):
		v.Obstacle = v.Trouble
	}
	wanted := *object.Status.DeepCopy()
	status.SetConditions(&wanted.Conditions, status.LookAt(object, now), v)
	return r.patch(ctx, object, s, wanted)
}

// hasExpired is that the time of a Fixed token is over, or nil.
func hasExpired(object *v1alpha1.OAuth2Token, now time.Time) *metav1.Condition {
	if object.Spec.Mode != v1alpha1.TokenFixed || object.Spec.ExpirationTime.After(now) {
		return nil
	}
	return new(v1alpha1.TokenExpired(object.Spec.ExpirationTime.Time))
}

// knowsEnd reports whether the token of a status is on record, or was when it expired. Whatever
// else is in the way of a Fixed one, it is over for good once it has expired, and has one audit
// line.
func (s *state) knowsEnd(reported v1alpha1.OAuth2TokenStatus) bool {
	return s.onRecord(reported.TokenID) || reportsEnd(reported, reported.TokenID)
}

// onRecord reports whether the record that is stored has a token.
func (s *state) onRecord(id string) bool {
	return slices.ContainsFunc(s.before, func(t oauth2.MintedToken) bool { return t.ID == id })
}

// write reports what a reconcile has found, and returns when the object becomes Stalled; zero for
// never.
func (r *reports) write(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) (time.Time, error) {
	found := v1alpha1.OAuth2TokenStatus{
		ObservedGeneration: object.Generation, ClientID: s.record.ClientID, Conditions: slices.Clone(object.Status.Conditions),
	}
	now := r.Clock.Now()
	r.copies.Announce(r.Recorder, object, s.copies, now)
	fixed := object.Spec.Mode == v1alpha1.TokenFixed
	if s.secret != nil {
		found.Secret = v1alpha1.SecretReference{Name: s.secret.GetName()}
	}
	switch {
	case !s.found && !s.settled: // what was not read stays as it was reported
		was := object.Status
		found.Secret = cmp.Or(found.Secret, was.Secret)
		found.TokenID, found.Audience, found.Scopes = was.TokenID, was.Audience, was.Scopes
		found.IssuedAt, found.ExpiresAt = was.IssuedAt, was.ExpiresAt
	case s.found:
		found.TokenID, found.Audience = s.current.ID, s.current.Audience
		found.IssuedAt, found.ExpiresAt = metav1.NewTime(s.current.IssuedAt), metav1.NewTime(s.current.ExpiresAt)
		found.Scopes = scopesOf(s.current)
	}
	if over := hasExpired(object, now); over != nil && (s.condition == nil || s.knowsEnd(found)) {
		s.condition = over
	}
	v := status.Verdict{
		Ready: v1alpha1.TokenIssued(object.Spec.Mode, secretName(object)), Obstacle: cmp.Or(s.condition, s.refused), Trouble: s.unstable, Passing: s.passing,
	}
	if v.Obstacle == nil && !s.found {
		v.Obstacle = s.unstable
	}
	stalls := status.SetConditions(&found.Conditions, status.LookAt(object, now), v)
	var soon *metav1.Condition
	if fixed && s.found && !now.Before(credential.Warning(s.current)) && now.Before(s.current.ExpiresAt) {
		soon = new(v1alpha1.TokenExpiresSoon(s.current.ExpiresAt))
	}
	status.Set(&found.Conditions, object.Generation, v1alpha1.ConditionExpiresSoon, soon)
	status.Set(&found.Conditions, object.Generation, v1alpha1.ConditionWithinLimits, s.limits)
	return stalls, r.patch(ctx, object, s, found)
}

// patch writes the status if it differs, and then announces what is new in it.
func (r *reports) patch(ctx context.Context, object *v1alpha1.OAuth2Token, s *state, wanted v1alpha1.OAuth2TokenStatus) error {
	before := object.Status
	news := usagereport.CompleteToken(&wanted, object, r.Usage.Told(string(object.UID)))
	to := status.Reporter{Client: r.Client, Recorder: r.Recorder, Contest: &r.contest, Now: r.Clock.Now()}
	written, err := status.Write(ctx, to, object, &object.Status, wanted)
	id := wanted.TokenID
	ends := object.Spec.Mode == v1alpha1.TokenFixed && reportsEnd(wanted, id) && !reportsEnd(before, id) && s.onRecord(id) && !r.isOver(object, id)
	// A write that was not answered may be done, and then there is no other.
	if ends && (written || output.MayBeDone(err)) {
		r.expired(object, wanted.ClientID, id)
	}
	if !written {
		return err
	}
	r.written.Note(object)
	usagereport.Announce(r.Recorder, object, news)
	status.Announce(r.Recorder, object, before.Conditions, wanted.Conditions)
	return nil
}
