// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// loseRegistry notes that the registry has lost something: what it promised, and what it has
// handled.
func (h *history) loseRegistry() {
	h.harmed, h.asked, h.replaced, h.counted, h.confirmed, h.listed, h.lost = true, "", 0, 0, false, nil, len(h.audit)
	clear(h.promises)
}

// unprove notes that nothing proves the value in the Secret any more: what was replaced may get a
// whole overlap anew.
func (h *history) unprove() {
	h.unproven = true
	clear(h.bounds)
}

// forget notes that nothing is left which knows of a rotation: the registry was put back to before
// it, and the Secret proves nothing any more. What was current before the rotation may be inherited
// from a former Secret. The request was to replace that value, and does so again.
func (h *history) forget() {
	h.t.Helper()
	if h.registeredClient() == nil || !h.unproven {
		return
	}
	if stored, _ := h.registered("shop.app"); stored.Rotation.Handled != h.answered && stored.Rotation.Handled != h.rotatedFor {
		h.answered, h.rotatedFor = "", ""
	}
}

// rename gives the client's Secret another name. There may be a Secret of a client of before.
func (h *history) rename() {
	h.t.Helper()
	before := secretName(h.get("app"))
	h.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = []string{"", "other", "third"}[h.random.IntN(3)] })
	c := h.get("app")
	if name := secretName(c); name != before {
		found := h.own()
		former := found != nil && !metav1.IsControlledBy(found, c)
		h.annotated, h.unproven, h.harmed = nil, h.unproven || former, h.harmed || former
		if former {
			clear(h.bounds) // its value is adopted again where the registration is lost
		}
		if found != nil && h.registeredClient() != nil && !h.accepts("shop.app", string(found.Data[keyClientSecret])) {
			h.stale = string(found.Data[keyClientSecret])
		}
	}
}

// byOthers is an annotation, and a label, that is not ours.
const byOthers = "example.com/seen-by"

// isOfOthers reports whether an owner reference is not ours.
func isOfOthers(owner metav1.OwnerReference) bool { return owner.Kind == "ConfigMap" }

// copySecret copies the client's Secret, if it is there, to a name that was never the client's.
// Owner references are left out, as tools do.
func (h *history) copySecret() {
	h.t.Helper()
	if s := h.own(); s != nil && h.secret("copy") == nil {
		h.addForeign(&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "copy", Annotations: s.Annotations, Labels: s.Labels}, Type: s.Type, Data: s.Data,
		})
	}
}

// bringSecret creates a Secret that names the client, and speaks of a client of another namespace.
// Half of the time the client gets its name.
func (h *history) bringSecret() {
	h.t.Helper()
	name := []string{"app", "other", "third"}[h.random.IntN(3)]
	if h.secret(name) != nil || h.remembered(name) {
		return
	}
	value, err := oauth2.NewClientSecret(crand.Reader)
	h.must(err)
	h.addForeign(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{v1alpha1.AnnotationClient: "app"}},
		Type:       v1alpha1.SecretTypeClient,
		Data:       map[string][]byte{keyClientID: []byte("elsewhere.app"), "ID": []byte("elsewhere.app"), keyClientSecret: []byte(value.Value.Reveal())},
	})
	if h.random.IntN(2) == 0 {
		h.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = name })
	}
}

// remembered reports whether the registration remembers a name, as it is, as the cache has it, or
// in a backup. What has such a name counts as the client's.
func (h *history) remembered(name string) bool {
	h.t.Helper()
	for _, registry := range append(slices.Clone(h.registries), h.registry()) {
		for _, s := range registry {
			if slices.Contains(strings.Fields(s.Annotations[annotationNames]), name) {
				return true
			}
		}
	}
	for _, o := range h.cached {
		if slices.Contains(strings.Fields(o.GetAnnotations()[annotationNames]), name) {
			return true
		}
	}
	return false
}

func (h *history) addForeign(s *corev1.Secret) {
	h.t.Helper()
	s.Namespace = "shop"
	h.identify(s)
	h.must(h.server.Create(h.t.Context(), s))
	h.ofOthers = append(h.ofOthers, s)
}

// foreign reports whether the client has nothing to do with what has that name.
func (h *history) foreign(name string) bool {
	return slices.ContainsFunc(h.ofOthers, func(s *corev1.Secret) bool { return s.Name == name })
}

// annotate changes the metadata of the client's Secret, if it is there.
func (h *history) annotate(change func(*corev1.Secret)) {
	h.t.Helper()
	if s := h.own(); s != nil {
		change(s)
		h.must(h.server.Update(h.t.Context(), s))
		h.annotated = s
	}
}

// later lets time pass. A secret that is in its Secret and could not be confirmed ends meanwhile; a
// first one that could not be registered is not tried again.
func (h *history) later(d time.Duration) {
	h.t.Helper()
	if r := h.registeredClient(); r != nil && slices.ContainsFunc(r.Credentials.Verifiers, func(v oauth2.Verifier) bool { return v.Pending }) {
		h.harmed = true
		h.unprove()
	} else if r == nil && h.own() != nil {
		h.harmed = true
	}
	h.pass(d)
}

// harm does something to the client's Secret, if it is there.
func (h *history) harm(do func(*corev1.Secret) error) {
	h.t.Helper()
	if s := h.own(); s != nil {
		h.harmed, h.annotated = true, nil
		h.unprove()
		h.must(do(s))
	}
}

// refuseSome chooses which writes are refused from now on, and how.
func (h *history) refuseSome() {
	h.refuse = nil
	if h.random.IntN(2) == 0 {
		return
	}
	var kinds []error
	for _, answer := range answers() {
		kinds = append(kinds, answer.err)
	}
	slices.SortFunc(kinds, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	err, what, often := kinds[h.random.IntN(len(kinds))], h.random.IntN(5), 1+h.random.IntN(3)
	h.told = append(h.told, fmt.Sprintf("  one of %d writes of the %s: %v", often, []string{"Secret", "registration", "status", "deletion of a Secret", "all"}[what], err))
	h.refuse = func(verb string, o client.Object) error {
		_, isSecret := o.(*corev1.Secret)
		kind := 0
		switch {
		case verb == "status":
			kind = 2
		case isSecret && o.GetNamespace() == registryOfWorld:
			kind = 1
		case verb == "delete":
			kind = 3
		}
		if (what == 4 || what == kind || what == 0 && kind == 3) && h.random.IntN(often) == 0 {
			// what times out may be done
			if errors.Is(err, context.DeadlineExceeded) && h.random.IntN(2) == 0 {
				return lost{err}
			}
			return err
		}
		return nil
	}
}

// form is how a registration begins, and formOfNewer how one does that only a newer version reads.
const form, formOfNewer = `"version":1`, `"version":9,"minReader":9`

// isNewer reports whether only a newer version can read the registration.
func (h *history) isNewer() bool {
	h.t.Helper()
	return slices.ContainsFunc(h.registry(), func(s corev1.Secret) bool {
		_, err := registration.Decode(s.Data)
		return s.Type == registration.SecretType && errors.Is(err, wire.ErrNewer)
	})
}

// toggleNewer has a newer version write the registration, or has it as it was before.
func (h *history) toggleNewer() {
	h.t.Helper()
	h.loseRegistry()
	from, to := form, formOfNewer
	if h.isNewer() {
		from, to = to, from
	}
	for _, s := range h.registry() {
		if s.Type == registration.SecretType {
			for entry, text := range s.Data {
				s.Data[entry] = []byte(strings.Replace(string(text), from, to, 1))
			}
			h.must(h.server.Update(h.t.Context(), &s))
		}
	}
	h.noteNewer()
	if h.unproven = !h.goesOn(); h.unproven || h.newer == "" {
		h.unprove()
	}
}

// noteNewer notes what a newer version wrote.
func (h *history) noteNewer() {
	h.t.Helper()
	if h.newer = ""; h.isNewer() {
		_, s := h.stored()
		h.newer = s.ResourceVersion
	}
}

// stored is the registration, also one that only a newer version can read.
func (h *history) stored() (there bool, s corev1.Secret) {
	h.t.Helper()
	for _, s := range h.registry() {
		if s.Type == registration.SecretType {
			return true, s
		}
	}
	return false, s
}

// registry is what is in the registry.
func (h *history) registry() []corev1.Secret {
	h.t.Helper()
	return h.secretsIn(registryOfWorld)
}

// backups is how many backups of the registry there are.
const backups = 10

// putBack restores the registry as it was some steps ago. Half of the time it is restored as a
// whole, without a key of generations that is newer; otherwise what is newer stays.
func (h *history) putBack() {
	h.t.Helper()
	h.loseRegistry()
	backup := h.registries[h.random.IntN(len(h.registries))]
	whole := h.random.IntN(2) == 0
	for _, s := range h.registry() {
		is := func(saved corev1.Secret) bool { return saved.Name == s.Name }
		if whole || slices.ContainsFunc(backup, is) {
			h.must(h.server.Delete(h.t.Context(), &s))
		}
	}
	for _, s := range backup {
		s.ResourceVersion = ""
		h.identify(&s)
		h.must(client.IgnoreAlreadyExists(h.server.Create(h.t.Context(), &s)))
	}
	h.noteNewer()
	h.unproven = !h.goesOn()
	s := h.own()
	if s == nil || !h.precedes(s) {
		clear(h.bounds)
		return
	}
	// What the backup has as current was replaced when the value in the Secret was made, or
	// before.
	latest := h.provenBy(s).Made.Add(credential.PendingLife + h.get("app").Spec.Rotation.Overlap.Or(0) + time.Minute)
	for value, until := range h.bounds {
		if latest.After(until) {
			h.bounds[value] = latest
		}
		// What was replaced before the backup keeps its end, also if a clock that was ahead
		// has set it.
		if v := h.verifier(value); v.Replaced() && v.ExpiresAt.After(h.bounds[value]) {
			h.bounds[value] = v.ExpiresAt
		}
	}
}

// goesOn reports whether the value in the Secret has to outlive what was done to the registry: that
// has lost the client, or accepts the value, or is older than the Secret proves: in number, and in
// time.
func (h *history) goesOn() bool {
	h.t.Helper()
	c := h.get("app")
	s := h.own()
	if s == nil {
		return false
	}
	value := oauth2.NewSecret(string(s.Data[keyClientSecret]))
	if h.registeredClient() == nil {
		_, err := oauth2.ParseClientSecret(value)
		return err == nil
	}
	r, _ := h.registered("shop.app")
	return r.Client.UID == string(c.UID) && (h.accepts("shop.app", value.Reveal()) || h.precedes(s))
}

// precedes reports whether the registration is older than a Secret proves: in number, and in time.
func (h *history) precedes(s *corev1.Secret) bool {
	h.t.Helper()
	if h.registeredClient() == nil {
		return false
	}
	r, _ := h.registered("shop.app")
	proven := h.provenBy(s)
	// A clock that was turned back makes a proof older than what it replaced: it counts for
	// nothing.
	isLater := func(v oauth2.Verifier) bool {
		return !v.Pending && !v.Replaced() && v.CreatedAt.After(proven.Made.Add(credential.PendingLife))
	}
	return proven.Number > r.Rotation.Generation && !slices.ContainsFunc(r.Client.Credentials.Verifiers, isLater)
}
