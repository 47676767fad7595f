// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// observed is what was seen in a history, and what has to hold of it.
type observed struct {
	// working is the manager that reconciles.
	working *manager
	// tokens are those that were in the Secret, by their values.
	tokens map[string]*seen
	// issued are the managers that have reported a token as issued, by jti, ended those that
	// have reported its end, owed the tokens that ended by a write that was not answered.
	issued map[string][]int
	ended  map[string][]int
	owed   map[string]bool
	// harmed is whether a user or a backup has taken away what managers wrote, since all was at
	// rest.
	harmed bool
	// stripped is whether a Secret has lost the list of the labels that the token has added.
	stripped bool
	// annotated is the Secret as others have changed its metadata last.
	annotated *corev1.Secret
	// ofOthers are the Secrets in the namespace that are not the token's, as they were created.
	ofOthers []*corev1.Secret
	// newer is the version of the record that only a newer version can read; "" if there is
	// none.
	newer string
	// two is whether there were two managers at a time.
	two bool
	// reconciled counts the reconciles.
	reconciled int
}

// seen is a token that was in the Secret.
type seen struct {
	oauth2.MintedToken

	uid, clientUID string
	// excused is whether its lines may be missing: what was known of it is lost.
	excused bool
	// dead is whether another token was to stand alone.
	dead bool
}

func newObserved(*history) *observed {
	return &observed{tokens: map[string]*seen{}, issued: map[string][]int{}, ended: map[string][]int{}, owed: map[string]bool{}}
}

// run is one reconcile.
type run struct {
	manager *manager
	current bool
	// accepted are the tokens that were accepted before.
	accepted []string
	writes   int
	lines    int
	number   int
	// reported is the token that the status has, as the cache has it, and over whether it
	// reports that it has expired.
	reported string
	over     bool
}

// harm notes that what managers wrote was taken away.
func (h *history) harm() {
	h.harmed, h.annotated = true, nil
	for _, t := range h.tokens {
		t.excused = true
	}
	clear(h.owed)
}

// abandon notes that the managers end, and what they know is lost.
func (h *history) abandon() { h.abandonAllBut(nil) }

func (h *history) abandonAllBut(left *manager) {
	uid := h.object().UID
	for _, m := range h.managers {
		if waits := len(m.reports.unanswered.Get(uid, h.clock.Now())) > 0; waits && m != left {
			clear(h.owed)
			for _, t := range h.tokens {
				t.excused = true
			}
		}
	}
}

// entry is the name of the entry with the token.
func (h *history) entry() string {
	if name := h.object().Spec.Secret.Keys.Token; name != "" {
		return string(name)
	}
	return keyToken
}

// own is the token's Secret; nil if there is none, or one that is not its own has its name.
func (h *history) own() *corev1.Secret {
	h.t.Helper()
	o := h.object()
	s := h.secret("shop", secretName(o))
	if s == nil || slices.ContainsFunc(h.ofOthers, func(of *corev1.Secret) bool { return of.Name == s.Name }) {
		return nil
	}
	named := s.Annotations[v1alpha1.AnnotationToken] == o.Name && !slices.ContainsFunc(s.OwnerReferences, isOfOthers)
	if !named && !metav1.IsControlledBy(s, o) {
		return nil
	}
	return s
}

// held is the token in the Secret; "" if there is none.
func (h *history) held() string {
	h.t.Helper()
	s := h.own()
	if s == nil {
		return ""
	}
	for _, value := range s.Data {
		if h.tokens[string(value)] != nil {
			return string(value)
		}
	}
	return string(s.Data[h.entry()])
}

// done notes the tokens that managers write into Secrets.
func (h *history) done(verb string, o client.Object) {
	s, isSecret := o.(*corev1.Secret)
	if !isSecret || s.Namespace != "shop" || verb == "delete" {
		return
	}
	for _, owner := range s.OwnerReferences {
		minted := h.minted(string(owner.UID))
		for _, value := range s.Data {
			if h.tokens[string(value)] != nil {
				continue
			}
			var t oauth2.MintedToken
			found := false
			if minted != nil {
				t, found = minted.Find(oauth2.NewSecret(string(value)))
			}
			if found {
				h.tokens[string(value)] = &seen{MintedToken: t, uid: minted.UID, clientUID: minted.ClientUID}
			} else if isToken(string(value)) && !h.two {
				h.fail("a token was written into Secret %s before its record", s.Name)
			}
		}
	}
}

// isToken reports whether a value is a token, opaque or a JWT.
func isToken(value string) bool {
	return !strings.Contains(value, " ") && (strings.HasPrefix(value, oauth2.OpaqueTokenPrefix) || strings.Count(value, ".") == 2)
}

// begin notes what there is before a reconcile.
func (h *history) begin(m *manager, current bool) run {
	h.t.Helper()
	h.reconciled++
	r := run{manager: m, current: current, writes: len(h.server.Writes), lines: len(h.audit), number: h.reconciled}
	judge := h.judge()
	for value := range h.tokens {
		if judge.refusal(value) == "" {
			r.accepted = append(r.accepted, value)
		}
	}
	var o v1alpha1.OAuth2Token
	if m.Client.Get(h.t.Context(), legacy, &o) == nil {
		r.reported, r.over = o.Status.TokenID, reportsEnd(o.Status, o.Status.TokenID)
	}
	return r
}

// check is what holds after a reconcile.
func (h *history) check(r run, err error) {
	h.t.Helper()
	h.checkOthers()
	judge := h.judge()
	h.checkLines(r)
	h.checkEnds(r, judge)
	alone := h.reconciled == r.number
	if r.current && alone && (err == nil || slices.Contains(h.server.Writes[r.writes:], "status OAuth2Token shop/legacy")) {
		h.checkConditions(judge, err)
	}
	h.harmed = h.harmed || h.forbidden()
	h.checkSecret(judge)
	if r.current && alone && err == nil && len(h.server.Writes) == r.writes && h.condition(v1alpha1.ConditionReady).Status == metav1.ConditionTrue {
		h.checkRest(judge)
		h.harmed = false
	}
}

// fail ends the history.
func (h *history) fail(format string, arguments ...any) {
	h.t.Helper()
	h.t.Fatalf(format+": %q", append(arguments, h.server.Writes[max(0, len(h.server.Writes)-6):])...)
}

// checkOthers is that what others own, and what a newer version wrote, stays as it is.
func (h *history) checkOthers() {
	h.t.Helper()
	for _, was := range h.ofOthers {
		if s := h.secret("shop", was.Name); s == nil || s.ResourceVersion != was.ResourceVersion {
			h.fail("Secret %s is not the token's, and was changed or deleted", was.Name)
		}
	}
	if h.newer != "" {
		if s := h.secret(registryOfWorld, h.recordOf()); s == nil || s.ResourceVersion != h.newer {
			h.fail("the record of a newer version was written over")
		}
	}
	s := h.own()
	if was := h.annotated; s == nil || was != nil && was.Name != s.Name {
		h.annotated = nil // it was deleted, and another one is made
	} else if was != nil && !keepsOthers(s, was) {
		h.fail("what others wrote on Secret %s is lost: %v", s.Name, s.ObjectMeta)
	}
}

// keepsOthers reports whether a Secret has what others had written on it before.
func keepsOthers(s, was *corev1.Secret) bool {
	of := func(s *corev1.Secret) []metav1.OwnerReference {
		return slices.DeleteFunc(slices.Clone(s.OwnerReferences), isOurs)
	}
	sameUID := func(a, b metav1.OwnerReference) bool { return a.UID == b.UID }
	return s.Annotations[byOthers] == was.Annotations[byOthers] && s.Labels[byOthers] == was.Labels[byOthers] &&
		slices.EqualFunc(of(was), of(s), sameUID) && slices.Equal(was.Finalizers, s.Finalizers)
}

// checkLines is that no audit line is false, and none is written twice.
func (h *history) checkLines(r run) {
	h.t.Helper()
	for _, line := range h.audit[r.lines:] {
		if line.by != r.manager.number {
			continue // of a manager that has worked meanwhile
		}
		if line.why != "" {
			h.checkIssued(r, line)
			continue
		}
		delete(h.owed, line.id)
		// Of two managers each writes a line where it cannot know of the other's.
		if by := h.ended[line.id]; !h.excused(line.id) && (slices.Contains(by, line.by) || len(by) > 0 && r.reported == line.id && r.over) {
			h.fail("two audit lines say that token %s has ended", line.id)
		}
		h.ended[line.id] = append(h.ended[line.id], line.by)
	}
}

func (h *history) checkIssued(r run, line auditLine) {
	h.t.Helper()
	by := h.issued[line.id]
	switch t := h.byID(line.id); {
	case t == nil:
		h.fail("an audit line says that token %s was issued, and it was in no Secret", line.id)
	case slices.Contains(by, line.by), len(by) > 0 && r.reported == line.id:
		h.fail("two audit lines say that token %s was issued", line.id)
	}
	h.issued[line.id] = append(by, line.by)
	fresh := h.byID(line.id)
	for _, t := range h.tokens {
		if t.uid == fresh.uid && t.ID != fresh.ID && len(by) == 0 &&
			(line.why == reasonRepaired || line.why == reasonChanged && !covers(fresh.MintedToken, t.MintedToken)) {
			t.dead = true
		}
	}
}

func (h *history) byID(id string) *seen {
	for _, t := range h.tokens {
		if t.ID == id {
			return t
		}
	}
	return nil
}

func (h *history) excused(id string) bool {
	t := h.byID(id)
	return t == nil || t.excused
}

// checkEnds is that a token which was accepted before a reconcile is accepted after it, or has an
// audit line about its end.
func (h *history) checkEnds(r run, judge judge) {
	h.t.Helper()
	for _, value := range r.accepted {
		t, reason := h.tokens[value], judge.refusal(value)
		said := slices.ContainsFunc(h.audit[r.lines:], func(line auditLine) bool { return line.id == t.ID && line.why == "" })
		switch {
		case reason == "", said:
		case slices.ContainsFunc(h.managers, h.hasUnanswered):
			h.owed[t.ID] = true
		default:
			h.fail("token %s is refused (%s), and no audit line says so", t.ID, reason)
		}
	}
}

func (h *history) hasUnanswered(m *manager) bool {
	return len(m.reports.unanswered.Get(h.object().UID, h.clock.Now())) > 0
}

// checkConditions compares what a reconcile has just reported with what is there.
func (h *history) checkConditions(judge judge, err error) {
	h.t.Helper()
	o, ready, value := h.object(), h.condition(v1alpha1.ConditionReady), h.held()
	t := h.tokens[value]
	refusal := judge.refusal(value)
	id := ""
	if t != nil {
		id = t.ID
	}
	switch {
	case err == nil && o.Status.ObservedGeneration != o.Generation:
		h.fail("the status is about generation %d, and the object has %d", o.Status.ObservedGeneration, o.Generation)
	case ready.Status == metav1.ConditionTrue && h.own() == nil:
		h.fail("the status says %q, and there is no Secret", ready.Message)
	case ready.Status == metav1.ConditionTrue && refusal != "" && !h.tolerates(t, refusal):
		h.fail("the status says %q, and what is in the Secret is refused (%s)", ready.Message, refusal)
	case err == nil && o.Status.TokenID != id && ready.Status == metav1.ConditionTrue, o.Status.TokenID != "" && h.byID(o.Status.TokenID) == nil:
		h.fail("the status names token %q, and the Secret has %q", o.Status.TokenID, id)
	}
}

// tolerates reports whether a refusal need not show: a token that was revoked a moment after its
// issue is replaced a moment later, and one that a clock which was ahead has dated is accepted
// soon. What is not registered yet, managers do not know.
func (h *history) tolerates(t *seen, refusal oauth2.Reason) bool {
	now := h.clock.Now()
	return h.unregistered || t != nil && (refusal == oauth2.ReasonTokenNotYetValid ||
		refusal == oauth2.ReasonTokenRevoked && t.KeyID != "" && now.Before(t.IssuedAt.Add(minAge)))
}

// forbidden reports whether a manager ends the token, because it would live longer than the
// installation allows.
func (h *history) forbidden() bool {
	o := h.object()
	return o.Spec.Mode == v1alpha1.TokenFixed && slices.ContainsFunc(h.managers, func(m *manager) bool {
		return o.Spec.ExpirationTime.After(o.CreationTimestamp.Add(m.MaxLifetime))
	})
}

// checkSecret is that the token in the Secret is on record at any time, while there is one manager.
// With two, which a lease excludes but for moments, it is so at the end.
func (h *history) checkSecret(judge judge) {
	h.t.Helper()
	value := h.held()
	t := h.tokens[value]
	if h.harmed || t == nil || t.uid != string(h.object().UID) || !t.Live(h.clock.Now()) {
		return
	}
	if m := judge.record.Minted; m != nil && m.ClientUID != t.clientUID {
		return // another client is to be the token's
	}
	if s := h.own(); s != nil && s.DeletionTimestamp != nil {
		return // a finalizer of a user keeps what was deleted
	}
	if len(h.managers) > 1 {
		return // one may end what the other has just written: the next reconcile finds that
	}
	switch reason := judge.refusal(value); reason {
	case oauth2.ReasonTokenReplaced, oauth2.ReasonTokenUnknown, oauth2.ReasonTokenOwnerUnknown, oauth2.ReasonTokenOwnerGone:
		h.fail("token %s in the Secret is refused (%s)", t.ID, reason)
	}
}

// checkRest is what holds where nothing is left to do.
func (h *history) checkRest(judge judge) {
	h.t.Helper()
	held := h.held()
	for value, t := range h.tokens {
		if value == held {
			t.dead = false // it may have been put back
		}
		if t.dead && judge.refusal(value) == "" {
			h.fail("token %s was replaced by one that was to stand alone, and is accepted", t.ID)
		}
	}
}

func (h *history) condition(kind string) metav1.Condition {
	h.t.Helper()
	if found := meta.FindStatusCondition(h.object().Status.Conditions, kind); found != nil {
		return *found
	}
	return metav1.Condition{}
}
