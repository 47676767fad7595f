// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// legacy is the OAuth2Token of a history.
var legacy = types.NamespacedName{Namespace: "shop", Name: "legacy"}

// byOthers is an annotation, a label and a finalizer that is not ours.
const byOthers = "example.com/seen-by"

// isOfOthers reports whether an owner reference is not ours.
func isOfOthers(owner metav1.OwnerReference) bool { return owner.Kind == "ConfigMap" }

func entryOf(id string, expires time.Time) v1alpha1.RevocationEntries {
	return v1alpha1.RevocationEntries(revocation.Encode([]revocation.Entry{revocation.NewEntry(revocation.IDOf(id), expires)}))
}

func (h *history) toTheSecret() []action {
	scribble := func(entry string) func(*corev1.Secret) {
		return func(s *corev1.Secret) { s.Data[entry] = []byte("scribble") }
	}
	return []action{
		{"the Secret is deleted", func() {
			if s := h.own(); s != nil {
				h.harm()
				h.server.Must(h.server.Delete(h.t.Context(), s))
			}
		}},
		{"the token in the Secret is edited", func() { h.harm(); h.change(scribble(h.entry())) }},
		{"another entry of the Secret is edited", func() { h.change(scribble(keyExpiresAt)) }},
		{"the Secret is put back to what it was", func() {
			if s := h.own(); s != nil && len(h.older) > 0 {
				h.harm()
				s.Data = h.older[h.random.IntN(len(h.older))].Data
				h.server.Must(h.server.Update(h.t.Context(), s))
			}
		}},
		{"something else annotates the Secret", func() {
			h.annotate(func(s *corev1.Secret) {
				metav1.SetMetaDataAnnotation(&s.ObjectMeta, byOthers, strconv.Itoa(len(h.told)))
			})
		}},
		{"something else labels the Secret, owns it too and has a finalizer on it", func() {
			h.annotate(func(s *corev1.Secret) {
				metav1.SetMetaDataLabel(&s.ObjectMeta, byOthers, strconv.Itoa(len(h.told)))
				s.OwnerReferences = append(slices.DeleteFunc(s.OwnerReferences, isOfOthers),
					metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "reloader", UID: types.UID(strconv.Itoa(len(h.told)))})
				if s.DeletionTimestamp == nil {
					s.Finalizers = []string{byOthers}
				}
			})
		}},
		{"somebody copies the Secret", func() {
			if s := h.own(); s != nil && h.secret("shop", "copy") == nil {
				h.addForeign(&corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{Name: "copy", Annotations: s.Annotations, Labels: s.Labels}, Type: s.Type, Data: s.Data,
				})
			}
		}},
		{"a Secret of others has a name that the token may choose", h.bringSecret},
		{"the Secret loses its annotations", func() {
			h.stripped = true
			h.annotate(func(s *corev1.Secret) { s.Annotations = nil })
		}},
		{"the Secret loses its owner", func() {
			h.annotate(func(s *corev1.Secret) { s.OwnerReferences = slices.DeleteFunc(s.OwnerReferences, isOurs) })
		}},
	}
}

func isOurs(owner metav1.OwnerReference) bool { return !isOfOthers(owner) }

// change edits the token's Secret, if it is there.
func (h *history) change(do func(*corev1.Secret)) {
	h.t.Helper()
	if s := h.own(); s != nil {
		do(s)
		h.server.Must(h.server.Update(h.t.Context(), s))
	}
}

// annotate changes the metadata of the token's Secret, if it is there.
func (h *history) annotate(do func(*corev1.Secret)) {
	h.change(do)
	h.annotated = h.own()
}

// bringSecret creates a Secret that is another's. Half of the time the token gets its name.
func (h *history) bringSecret() {
	h.t.Helper()
	name := []string{"legacy", "second", "third"}[h.random.IntN(3)]
	if h.secret("shop", name) != nil {
		return
	}
	h.addForeign([]*corev1.Secret{
		{ObjectMeta: metav1.ObjectMeta{Name: name}, Type: corev1.SecretTypeOpaque, Data: map[string][]byte{keyToken: []byte("a value of others")}},
		{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{v1alpha1.AnnotationToken: "another"}},
			Type:       v1alpha1.SecretTypeToken, Data: map[string][]byte{keyToken: []byte("a.token.ofOthers")},
		},
	}[h.random.IntN(2)])
	if h.random.IntN(2) == 0 {
		h.editToken(func(o *v1alpha1.OAuth2Token) { o.Spec.Secret.Name = name })
	}
}

func (h *history) addForeign(s *corev1.Secret) {
	h.t.Helper()
	s.Namespace = "shop"
	h.server.Identify(s)
	h.server.Must(h.server.Create(h.t.Context(), s))
	h.ofOthers = append(h.ofOthers, s)
}

// freeName deletes the Secret that has the name of the token's and is not its own.
func (h *history) freeName() {
	h.t.Helper()
	name := secretName(h.object())
	s := h.secret("shop", name)
	if s == nil || h.own() != nil {
		return
	}
	h.ofOthers = slices.DeleteFunc(h.ofOthers, func(s *corev1.Secret) bool { return s.Name == name })
	h.harm()
	s.Finalizers = nil
	h.server.Must(h.server.Update(h.t.Context(), s))
	h.server.Must(client.IgnoreNotFound(h.server.Delete(h.t.Context(), s)))
}

func (h *history) toTheRegistry() []action {
	return []action{
		{"the record is deleted", func() { h.harm(); h.remove(h.recordOf()); h.noteNewer() }},
		{"the registry is put back to what it was", h.putBack},
		{"a newer version writes the record, or is rolled back", h.toggleNewer},
	}
}

// putBack restores the registry as it was some steps ago, without the signing keys: their
// controller merges those.
func (h *history) putBack() {
	h.t.Helper()
	h.harm()
	backup := h.registries[h.random.IntN(len(h.registries))]
	for _, s := range h.secrets(registryOfWorld) {
		if s.Type != registration.KeysSecretType {
			h.server.Must(h.server.Delete(h.t.Context(), s))
		}
	}
	for _, s := range backup {
		if s.Type != registration.KeysSecretType {
			s = s.DeepCopy()
			s.ResourceVersion = ""
			h.server.Identify(s)
			h.server.Must(client.IgnoreAlreadyExists(h.server.Create(h.t.Context(), s)))
		}
	}
	h.noteNewer()
}

// form is how a record begins, and formOfNewer how one does that only a newer version reads.
const form, formOfNewer = `"version":1`, `"version":9,"minReader":9`

// isNewer reports whether only a newer version can read the record.
func (h *history) isNewer() bool {
	h.t.Helper()
	s := h.secret(registryOfWorld, h.recordOf())
	if s == nil {
		return false
	}
	_, err := registration.DecodeToken(s.Data)
	return errors.Is(err, wire.ErrNewer)
}

// toggleNewer has a newer version write the record, or has it as it was before.
func (h *history) toggleNewer() {
	h.t.Helper()
	from, to := form, formOfNewer
	if h.isNewer() {
		from, to = to, from
	}
	if s := h.secret(registryOfWorld, h.recordOf()); s != nil {
		h.harm()
		for entry, text := range s.Data {
			s.Data[entry] = []byte(strings.Replace(string(text), from, to, 1))
		}
		h.server.Must(h.server.Update(h.t.Context(), s))
	}
	h.noteNewer()
}

// noteNewer notes what a newer version wrote.
func (h *history) noteNewer() {
	h.t.Helper()
	if h.newer = ""; h.isNewer() {
		h.newer = h.secret(registryOfWorld, h.recordOf()).ResourceVersion
	}
}

func (h *history) editToken(change func(o *v1alpha1.OAuth2Token)) {
	h.t.Helper()
	edit(h.world, &v1alpha1.OAuth2Token{}, "shop", "legacy", change)
}

// refreshing changes the spec of a Refreshing token: that of a Fixed one cannot be changed so.
func (h *history) refreshing(change func(o *v1alpha1.OAuth2Token)) func() {
	return func() {
		if h.object().Spec.Mode == v1alpha1.TokenRefreshing {
			h.editToken(change)
		}
	}
}

func (h *history) toTheSpec() []action {
	return []action{
		{"the Secret gets another name", h.rename}, {"the Secret gets another name", h.rename},
		{"the Secret gets two names one after the other, and the cache is late", func() {
			for range 2 {
				h.rename()
				h.reconcile(h.managers[0], false)
			}
		}},
		{"the entry gets another name", func() {
			h.editToken(func(o *v1alpha1.OAuth2Token) {
				o.Spec.Secret.Keys.Token = []v1alpha1.SecretKey{"", "TOKEN"}[h.random.IntN(2)]
			})
		}},
		{"the Secret gets a label, or loses it", func() {
			h.editToken(func(o *v1alpha1.OAuth2Token) {
				o.Spec.Secret.Labels = []v1alpha1.SecretLabels{nil, {"team": "shop"}, {"tier": "web"}}[h.random.IntN(3)]
			})
		}},
		{"the Secret has a template, which may be bad", func() {
			h.editToken(func(o *v1alpha1.OAuth2Token) {
				o.Spec.Secret.Template = []v1alpha1.SecretTemplate{nil, {"header": "Bearer $(token)"}, {"header": "$(nothing)"}}[h.random.IntN(3)]
			})
		}},
		{"the token is for other scopes", h.refreshing(func(o *v1alpha1.OAuth2Token) {
			o.Spec.Scopes = [][]v1alpha1.Scope{nil, {"s0"}, {"s0", "s1"}}[h.random.IntN(3)]
		})},
		{"the token is for another resource", h.refreshing(func(o *v1alpha1.OAuth2Token) {
			o.Spec.Resource = []string{"", identifierOfWorld}[h.random.IntN(2)]
		})},
		{"the token is another client's", h.refreshing(func(o *v1alpha1.OAuth2Token) {
			o.Spec.ClientRef.Name = []string{"app", "other"}[h.random.IntN(2)]
		})},
		{"it is deleted and made again", func() {
			o := h.object()
			h.server.Must(h.server.Delete(h.t.Context(), o))
			for _, m := range h.managers {
				m.gone = append(m.gone, o)
			}
			h.harm()
			h.make(o)
			h.noteNewer()
		}},
	}
}

func (h *history) rename() {
	h.t.Helper()
	h.editToken(func(o *v1alpha1.OAuth2Token) { o.Spec.Secret.Name = []string{"", "second", "third"}[h.random.IntN(3)] })
}

// collectGarbage deletes the Secrets of OAuth2Tokens that were deleted, as the garbage collector
// does in the end, and those that a finalizer holds.
func (h *history) collectGarbage() {
	h.t.Helper()
	o := h.object()
	for _, s := range h.secrets("shop") {
		ofDead := len(s.OwnerReferences) > 0 && !slices.ContainsFunc(s.OwnerReferences, func(owner metav1.OwnerReference) bool {
			return isOfOthers(owner) || owner.UID == o.UID
		})
		if !ofDead && s.DeletionTimestamp == nil {
			continue
		}
		if own := h.own(); own != nil && own.Name == s.Name {
			h.harm()
		}
		if len(s.Finalizers) > 0 {
			s.Finalizers = nil
			h.server.Must(h.server.Update(h.t.Context(), s))
		}
		h.server.Must(client.IgnoreNotFound(h.server.Delete(h.t.Context(), s)))
	}
}
