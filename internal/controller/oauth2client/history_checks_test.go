// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// held is the value in the client's Secret; "" if there is none.
func (h *history) held() string {
	h.t.Helper()
	if s := h.own(); s != nil {
		return string(s.Data[keyClientSecret])
	}
	return ""
}

// own is the client's Secret; nil if there is none, or one that is not its own has its name. That
// of a client of before may be another client's if it has lost its annotations, or if others own it
// too.
func (h *history) own() *corev1.Secret {
	h.t.Helper()
	c := h.get("app")
	s := h.secret(secretName(c))
	if s == nil || h.foreign(s.Name) {
		return nil
	}
	if named := s.Annotations[v1alpha1.AnnotationClient] == c.Name && !slices.ContainsFunc(s.OwnerReferences, isOfOthers); !named && !metav1.IsControlledBy(s, c) {
		return nil
	}
	return s
}

// checkForeign is that what others own stays as it is.
func (h *history) checkForeign() {
	h.t.Helper()
	for _, was := range h.ofOthers {
		if s := h.secret(was.Name); s == nil || s.ResourceVersion != was.ResourceVersion {
			h.t.Fatalf("Secret %s is not the client's, and was changed or deleted: %v", was.Name, h.writes[max(0, len(h.writes)-6):])
		}
	}
}

// keepsOthers reports whether a Secret has what others had written on it before.
func keepsOthers(s, was *corev1.Secret) bool {
	owners := slices.DeleteFunc(slices.Clone(was.OwnerReferences), func(o metav1.OwnerReference) bool { return !isOfOthers(o) })
	kept := slices.DeleteFunc(slices.Clone(s.OwnerReferences), func(o metav1.OwnerReference) bool { return !isOfOthers(o) })
	return s.Annotations[byOthers] == was.Annotations[byOthers] && s.Labels[byOthers] == was.Labels[byOthers] && slices.EqualFunc(owners, kept, sameUID)
}

func sameUID(a, b metav1.OwnerReference) bool { return a.UID == b.UID }

// rests reports whether all is as the client asks for, and its Secret proves its value.
func (h *history) rests() bool {
	h.t.Helper()
	c, s, r := h.get("app"), h.own(), h.registeredClient()
	if s == nil || r == nil || r.UID != string(c.UID) || !metav1.IsControlledBy(s, c) || s.Annotations[v1alpha1.AnnotationClient] != c.Name {
		return false
	}
	ready := h.condition("app", v1alpha1.ConditionReady)
	isPending := func(v oauth2.Verifier) bool { return v.Pending }
	return ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == c.Generation && h.confirms(h.held()) &&
		!slices.ContainsFunc(r.Credentials.Verifiers, isPending) && h.provesGeneration()
}

// confirms reports whether a value is registered as the current one of this very client: a registry
// that is put back may have that of a client of before.
func (h *history) confirms(value string) bool {
	h.t.Helper()
	r := h.registeredClient()
	return r != nil && r.UID == string(h.get("app").UID) && slices.ContainsFunc(r.Credentials.Verifiers, func(v oauth2.Verifier) bool {
		return v.Digest == oauth2.DigestSecret(r.UID, oauth2.NewSecret(value)) && !v.Pending && v.ExpiresAt.IsZero()
	})
}

// provesGeneration reports whether the client's Secret proves the generation that is registered.
func (h *history) provesGeneration() bool {
	h.t.Helper()
	s := h.own()
	r, _ := h.registered("shop.app")
	proven := h.provenBy(s)
	return s != nil && proven.Number == r.Rotation.Generation
}

// provenBy is what a Secret proves of its value.
func (h *history) provenBy(s *corev1.Secret) credential.Generation {
	h.t.Helper()
	var key credential.GenerationKey
	for _, stored := range h.registry() {
		if stored.Type == registration.GenerationKeySecretType {
			var err error
			key, err = registration.DecodeGenerationKey(stored.Data)
			h.must(err)
		}
	}
	return key.Proven(string(h.get("app").UID), oauth2.NewSecret(string(s.Data[keyClientSecret])), s.Annotations[v1alpha1.AnnotationGeneration])
}

// checkConditions compares what a reconcile has just reported with what is there.
func (h *history) checkConditions() {
	h.t.Helper()
	c := h.get("app")
	ready := h.condition("app", v1alpha1.ConditionReady)
	works := h.registeredClient() != nil && h.accepts("shop.app", h.held())
	if ready.Status == metav1.ConditionTrue && !works || c.Status.ObservedGeneration != c.Generation {
		h.t.Fatalf("the status says %+v, and what is in the Secret is accepted: %t", c.Status, works)
	}
}

// check is what holds at any time: the manager lets no application hold a secret that is refused.
func (h *history) check() {
	h.t.Helper()
	h.checkForeign()
	h.checkNewer()
	h.checkCount()
	s := h.holder()
	if s == nil && h.secret(secretName(h.get("app"))) != nil {
		// the client has to have another name, and the end of its value is not seen
		h.confirmed = false
		return
	}
	value, name := "", secretName(h.get("app"))
	if s != nil {
		value, name = string(s.Data[keyClientSecret]), s.Name
	}
	news, written := h.audit[h.heard:], h.audited[h.heard:]
	h.heard = len(h.audit)
	h.checkChange(name, value, news, written)
	h.last, h.confirmed = value, h.confirms(value)
	h.checkPromises(news)
	h.checkAudit()
	if was := h.annotated; s == nil || was != nil && was.Name != name {
		h.annotated = nil // it was deleted, and another one is made
	} else if was != nil && !keepsOthers(s, was) {
		h.t.Fatalf("what others wrote on Secret %s is lost: %v", name, s.ObjectMeta)
	}
	if h.harmed || value == "" || value == h.stale {
		return
	}
	// The first Secret may be there before its registration: token servers wait for it.
	if r := h.registeredClient(); r != nil && !r.Suspended && !h.accepts("shop.app", value) {
		h.t.Fatalf("what is in Secret %s is refused: %q", name, h.writes[max(0, len(h.writes)-6):])
	}
}

// holder is the client's Secret. While its name is that of a Secret of others, it is the one under
// another name that has the current value.
func (h *history) holder() *corev1.Secret {
	h.t.Helper()
	c := h.get("app")
	if h.own() != nil || h.secret(secretName(c)) == nil {
		return h.own()
	}
	for _, name := range h.names() {
		if s := h.secret(name); metav1.IsControlledBy(s, c) && h.confirms(string(s.Data[keyClientSecret])) {
			return s
		}
	}
	return nil
}

// checkChange is what holds of the value in the client's Secret once it is another one.
func (h *history) checkChange(name, value string, news []string, written []time.Time) {
	h.t.Helper()
	known := !h.since[value].IsZero()
	if !known {
		h.values, h.since[value] = append(h.values, value), h.clock.Now()
	}
	if value == h.last {
		return
	}
	overlap := h.get("app").Spec.Rotation.Overlap.Or(0)
	if known && value != "" && value != h.latest && !h.harmed {
		h.t.Fatalf("a value that was replaced is in Secret %s again", name)
	}
	// The value of before may have a line, too: a registration that was put back has it as
	// pending.
	repaired, rotated := says(news, "repaired", value), says(news, "rotated", value)
	if repaired && !h.unproven && h.last != "" {
		h.t.Fatalf("a value was replaced that Secret %s proves", name)
	}
	if c := h.get("app"); rotated && c.Spec.Rotation.Interval == "" && h.answered == c.Annotations[v1alpha1.AnnotationRotate] {
		h.t.Fatalf("the value was rotated, and request %q was handled before", h.answered)
	} else if rotated {
		h.rotatedFor = c.Annotations[v1alpha1.AnnotationRotate]
	}
	if h.confirmed && (repaired || rotated) {
		h.replaced++
		if rotated {
			first := slices.IndexFunc(news, func(line string) bool {
				return strings.Contains(line, `"change"="rotated"`) || strings.Contains(line, `"change"="repaired"`)
			})
			h.promises[h.last] = written[first].Add(overlap - time.Second)
		}
	}
	for former := range h.since {
		if _, ends := h.bounds[former]; !ends && (repaired || rotated) {
			h.bounds[former] = h.clock.Now().Add(overlap + credential.PendingLife + time.Minute)
			// it was replaced before the clock was turned back
			if v := h.verifier(former); v.ExpiresAt.After(h.bounds[former]) {
				h.bounds[former] = v.ExpiresAt
			}
		}
	}
	delete(h.bounds, value)
	if value != "" {
		h.latest = value
	}
}

// checkAudit is that each secret that is registered has an audit line, and each that is not any
// more.
func (h *history) checkAudit() {
	h.t.Helper()
	c, r := h.get("app"), h.registeredClient()
	if h.rotatedFor != "" && h.rotatedFor == c.Status.Rotation.HandledRequest {
		h.answered = h.rotatedFor
	}
	if h.unanswered() {
		return // its lines come once the cache has the registration
	}
	news := h.audit[h.checked:]
	before := h.listed
	h.listed, h.checked = nil, len(h.audit)
	if r == nil || r.UID != string(c.UID) {
		return
	}
	for _, v := range r.Credentials.Verifiers {
		if v.Pending {
			continue
		}
		h.listed = append(h.listed, v.ID)
		if !h.unaudited[v.ID] && !audited(h.audit, v.ID, "made", "rotated", "repaired", "adopted") {
			h.t.Fatalf("no audit line says how secret %s came", v.ID)
		}
		// What a backup has as on its way may have been reported in another way before.
		if lines := h.audit[h.lost:]; !h.harmed && audited(lines, v.ID, "rotated") && audited(lines, v.ID, "repaired") {
			h.t.Fatalf("the audit lines say that secret %s was rotated and repaired", v.ID)
		}
	}
	for _, id := range before {
		if !slices.Contains(h.listed, id) && !audited(news, id, "expired", "ended", "replaced") {
			h.t.Fatalf("no audit line says how secret %s ended", id)
		}
	}
}

// unanswered reports whether a write of the registration was not answered, and the manager does not
// know yet whether it was done.
func (h *history) unanswered() bool {
	h.t.Helper()
	return len(h.r.memory.unanswered.Get(h.get("app").UID, h.clock.Now())) > 0
}

// skipAudit notes that the secrets that are registered may have no audit line, nor those that were,
// and those that have ended.
func (h *history) skipAudit() {
	h.t.Helper()
	h.listed = nil
	if r := h.registeredClient(); r != nil {
		maps.DeleteFunc(h.promises, func(value string, _ time.Time) bool { return !h.accepts("shop.app", value) })
		for _, v := range r.Credentials.Verifiers {
			h.unaudited[v.ID] = true
		}
	}
}

// audited reports whether an audit line is about one of the changes of a secret.
func audited(lines []string, id string, changes ...string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		isChange := func(change string) bool { return strings.Contains(line, fmt.Sprintf(`"change"=%q`, change)) }
		return slices.ContainsFunc(changes, isChange) && strings.Contains(line, fmt.Sprintf(`"credential"=%q`, id))
	})
}

// says reports whether an audit line reports a change of a value.
func says(lines []string, change, value string) bool {
	of, err := oauth2.ParseClientSecret(oauth2.NewSecret(value))
	return err == nil && audited(lines, of.ID, change)
}

// checkPromises is that what a rotation has replaced is accepted for its overlap, or an audit line
// says that it ended before; and that nothing is accepted for longer.
func (h *history) checkPromises(news []string) {
	h.t.Helper()
	r := h.registeredClient()
	for value, until := range h.promises {
		switch {
		case !h.clock.Now().Before(until), says(news, "ended", value):
			delete(h.promises, value)
		case r == nil, r.Suspended, h.unanswered():
		case !h.accepts("shop.app", value), h.verifier(value).Replaced() && h.verifier(value).ExpiresAt.Before(until):
			h.t.Fatalf("a value that was rotated out is refused before %s", until)
		}
	}
	for value, until := range h.bounds {
		if v := h.verifier(value); v.Replaced() && v.ExpiresAt.After(until) {
			h.t.Fatalf("a value that was replaced is accepted after %s", until)
		}
	}
}

// verifier is what is registered of a value; zero if nothing is.
func (h *history) verifier(value string) oauth2.Verifier {
	h.t.Helper()
	if r := h.registeredClient(); r != nil {
		for _, v := range r.Credentials.Verifiers {
			if v.Digest == oauth2.DigestSecret(r.UID, oauth2.NewSecret(value)) {
				return v
			}
		}
	}
	return oauth2.Verifier{}
}

func (h *history) registeredClient() *oauth2.Client {
	h.t.Helper()
	if !slices.ContainsFunc(h.registry(), func(s corev1.Secret) bool { return s.Type == registration.SecretType }) {
		return nil
	}
	if h.isNewer() {
		return nil
	}
	r, _ := h.registered("shop.app")
	return &r.Client
}

// checkCount is that a registration that is made again continues the generations.
func (h *history) checkCount() {
	h.t.Helper()
	r := h.registeredClient()
	if r == nil || r.UID != string(h.get("app").UID) {
		return
	}
	if stored, _ := h.registered("shop.app"); stored.Rotation.Generation < h.counted {
		h.t.Fatalf("generation %d is registered, and before it was %d", stored.Rotation.Generation, h.counted)
	}
}

// checkNewer is that what a newer version wrote stays as it is.
func (h *history) checkNewer() {
	h.t.Helper()
	if h.newer == "" {
		return
	}
	if there, s := h.stored(); !there || s.ResourceVersion != h.newer {
		h.t.Fatalf("the registration of a newer version was written over: %v", h.writes[max(0, len(h.writes)-6):])
	}
}
