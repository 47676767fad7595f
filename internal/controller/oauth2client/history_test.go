// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// TestRandomHistoriesOfAClientEndWell: a cache that is late, writes that are refused in every way,
// managers that end, and users who do what they may. HALLPASS_SEED replays one history, or the
// first of HALLPASS_HISTORIES. That and HALLPASS_HISTORY_STEPS make more and longer ones.
func TestRandomHistoriesOfAClientEndWell(t *testing.T) {
	t.Parallel()
	number := func(name string, otherwise int) int {
		if given, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return given
		}
		return otherwise
	}
	histories, steps := number("HALLPASS_HISTORIES", 200), number("HALLPASS_HISTORY_STEPS", 20)
	first, replayed := uint64(1), number("HALLPASS_SEED", 0)
	if replayed != 0 {
		first, histories = uint64(replayed), number("HALLPASS_HISTORIES", 1) //nolint:gosec // a seed is no size
	}
	for i := range uint64(histories) { //nolint:gosec // a number of histories
		seed := first + i
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			newHistory(t, seed).run(steps)
		})
	}
}

// history is a random sequence of what happens to one client.
type history struct {
	*world

	random *rand.Rand
	// told lists what has happened.
	told []string
	// newer is the version of the registration that only a newer version can read; "" if there
	// is none.
	newer string
	// harmed is whether a user removed what the manager has written, since it was at rest; see
	// rests.
	harmed bool
	// unproven is whether a user removed what proves the value in the Secret: a repair may
	// replace it.
	unproven bool
	// rested is whether it was at rest by the last look.
	rested bool
	// stripped is whether a Secret has lost the list of the labels that its client has added.
	stripped bool
	// values are the client secrets that were in the Secret, and since when.
	values []string
	last   string
	since  map[string]time.Time
	// confirmed is whether last was accepted, and no more on its way.
	confirmed bool
	// promises are until when the values are accepted that were replaced at least, bounds until
	// when at most.
	promises, bounds map[string]time.Time
	// listed are the ids that were registered by the last look, pending ones aside.
	listed []string
	// rotatedFor is the last request to rotate after which there was a rotation, or that the
	// client came with. It is answered once the status reports it as handled: if a registration
	// is lost or put back, only the status knows.
	rotatedFor, answered string
	// replaced is how many values have taken the place of a confirmed one, since the registry
	// lost something.
	replaced int64
	// counted is the generation that the status had when the registration was deleted; 0 once
	// another one was put in its place.
	counted int64
	// asked is the value in the Secret when a rotation was requested last; "" once a lost
	// registration takes what is in the Secret for the answer.
	asked string
	// stale is a value that had ended already when its Secret, which could not be deleted,
	// became the client's again. Until that Secret can be written, it stays there.
	stale string
	// heard is how many audit lines were looked at, lost how many there were when the registry
	// lost something.
	heard, lost, requests int
	// checked is how many audit lines there were when checkAudit compared them last. unaudited
	// are the ids of secrets that have no line: the manager ended before it knew that the write
	// of their registration was done.
	checked   int
	unaudited map[string]bool
	// annotated is the Secret as others have changed its metadata last.
	annotated *corev1.Secret
	// ofOthers are the Secrets in the client's namespace that are not its own, as they were
	// created.
	ofOthers []*corev1.Secret
	// leaps is by how much the clock was set.
	leaps time.Duration
	// latest is the last value that was in the Secret.
	latest string
	// registries are the registry before each of the last steps.
	registries [][]corev1.Secret
}

func newHistory(t *testing.T, seed uint64) *history {
	t.Helper()
	h := &history{world: newWorld(t), since: map[string]time.Time{}, unaudited: map[string]bool{}, promises: map[string]time.Time{}, bounds: map[string]time.Time{}, random: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // a history has to be the same again
	c := clientOfWorld("app")
	c.Spec.Rotation.Overlap = []v1alpha1.Duration{"0s", "1h", "24h"}[h.random.IntN(3)]
	c.Spec.Rotation.Interval = []v1alpha1.Duration{"", "", "24h"}[h.random.IntN(3)]
	h.create(c)
	return h
}

func (h *history) run(steps int) {
	h.t.Helper()
	defer func() { // a cleanup would hold the fixture in memory until all histories are over
		if h.t.Failed() {
			h.t.Logf("what happened:\n%s", strings.Join(h.told, "\n"))
		}
	}()
	for range steps {
		h.registries = append(h.registries[max(0, len(h.registries)-backups+1):], h.registry())
		h.step()
		h.forget()
		h.look()
		h.check()
		if h.rested {
			h.harmed, h.unproven = false, false
		}
	}
	h.end()
}

// step is one thing that happens.
func (h *history) step() {
	h.t.Helper()
	acts := []struct {
		name string
		do   func()
	}{
		{"a rotation is requested", func() {
			h.requests++
			h.askToRotate("app", strconv.Itoa(h.requests))
			// A client that was never reconciled takes what is in the Secret for the
			// answer.
			c, r := h.get("app"), h.registeredClient()
			if c.Status.ObservedGeneration > 0 || r != nil && r.UID == string(c.UID) {
				h.asked = h.held()
			}
		}},
		{"the Secret is deleted", func() { h.harm(func(s *corev1.Secret) error { return h.server.Delete(h.t.Context(), s) }) }},
		{"the Secret is edited", func() {
			h.harm(func(s *corev1.Secret) error {
				s.Data[keyClientSecret] = []byte("scribble")
				return h.server.Update(h.t.Context(), s)
			})
		}},
		{"the registration is deleted", func() {
			h.loseRegistry()
			h.counted = h.get("app").Status.Rotation.Generation
			for _, s := range h.registry() {
				if s.Type == registration.SecretType {
					h.must(h.server.Delete(h.t.Context(), &s))
				}
			}
			h.noteNewer()
			h.unproven = !h.goesOn()
		}},
		{"the registry is put back to what it was", h.putBack},
		{"a newer version writes the registration, or is rolled back", h.toggleNewer},
		{"the Secret gets another name", h.rename},
		{"the Secret gets two names one after the other, and the cache is late", func() {
			for range 2 {
				h.rename()
				h.sync("OAuth2Client ", "Secret "+registryOfWorld)
				before := len(h.writes)
				_, err := h.reconcile("app")
				h.told = append(h.told, fmt.Sprintf("  look: %v %q", err, h.writes[before:]))
			}
		}},
		{"the entry gets another name", func() {
			h.edit("app", func(c *v1alpha1.OAuth2Client) {
				c.Spec.Secret.Keys.ClientID = v1alpha1.SecretKey([]string{"", "ID"}[h.random.IntN(2)])
			})
		}},
		{"the Secret gets a label, or loses it", func() {
			h.edit("app", func(c *v1alpha1.OAuth2Client) {
				c.Spec.Secret.Labels = []v1alpha1.SecretLabels{nil, {"team": "shop"}, {"tier": "web"}}[h.random.IntN(3)]
			})
		}},
		{"something else annotates the Secret", func() {
			h.annotate(func(s *corev1.Secret) {
				metav1.SetMetaDataAnnotation(&s.ObjectMeta, byOthers, strconv.Itoa(len(h.told)))
			})
		}},
		{"something else labels the Secret and owns it too", func() {
			h.annotate(func(s *corev1.Secret) {
				metav1.SetMetaDataLabel(&s.ObjectMeta, byOthers, strconv.Itoa(len(h.told)))
				s.OwnerReferences = append(slices.DeleteFunc(s.OwnerReferences, isOfOthers),
					metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "reloader", UID: types.UID(strconv.Itoa(len(h.told)))})
			})
		}},
		{"somebody copies the Secret", h.copySecret},
		{"a Secret from elsewhere has a name that the client may choose", h.bringSecret},
		{"the Secret loses its annotations", func() {
			h.unprove()
			h.stripped = true
			h.annotate(func(s *corev1.Secret) { s.Annotations = nil })
		}},
		{"the scopes change", func() {
			h.edit("app", func(c *v1alpha1.OAuth2Client) {
				c.Spec.Scopes = []v1alpha1.Scope{v1alpha1.Scope(fmt.Sprintf("s%d", h.random.IntN(9)))}
			})
		}},
		{"it is suspended, or active again", func() {
			h.edit("app", func(c *v1alpha1.OAuth2Client) {
				c.Spec.State = []v1alpha1.ClientState{v1alpha1.ClientActive, v1alpha1.ClientSuspended}[h.random.IntN(2)]
			})
		}},
		{"a manager starts in the place of this one", func() {
			if h.unanswered() {
				h.skipAudit()
			}
			h.start()
		}},
		{"time passes", func() {
			h.later([]time.Duration{time.Second, time.Minute, 10 * time.Minute, 2 * time.Hour, 30 * time.Hour}[h.random.IntN(5)])
		}},
		{"the clock is set", func() {
			by := []time.Duration{-time.Minute, time.Hour, -time.Hour}[h.random.IntN(3)]
			h.leaps += by.Abs()
			h.later(by)
			// the overlap of one that is not confirmed begins then
			for value, until := range h.promises {
				h.promises[value] = until.Add(min(by, 0))
			}
			for i := h.heard; i < len(h.audited); i++ {
				h.audited[i] = h.audited[i].Add(min(by, 0))
			}
		}},
		{"writes are refused, or not any more", h.refuseSome},
		{"it is deleted and made again", func() {
			c := h.get("app")
			again := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: "app", Annotations: c.Annotations}, Spec: c.Spec}
			h.must(h.server.Delete(h.t.Context(), c))
			h.create(again)
			h.loseRegistry()
			h.unprove()
			h.annotated, h.answered, h.rotatedFor = nil, "", c.Annotations[v1alpha1.AnnotationRotate]
		}},
	}
	act := acts[h.random.IntN(len(acts))]
	h.told = append(h.told, act.name)
	act.do()
}

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

// look reconciles a few times, with a cache that is late for some kinds.
func (h *history) look() {
	h.t.Helper()
	for range 1 + h.random.IntN(2) {
		current := false
		switch h.random.IntN(6) {
		case 0:
			h.sync("OAuth2Client ")
		case 1:
			h.sync("Secret shop/", "OAuth2Client ")
		case 2:
			h.sync("Secret "+registryOfWorld, "OAuth2Client ")
		default:
			h.sync()
			current = true
		}
		before := len(h.writes)
		_, err := h.reconcile("app")
		if current && slices.Contains(h.writes[before:], "status OAuth2Client shop/app") {
			h.checkConditions()
		}
		h.told = append(h.told, fmt.Sprintf("  look: %v %q", err, h.writes[before:]))
		h.rested = current && err == nil && len(h.writes) == before && h.rests()
		h.pass(time.Duration(h.random.IntN(1000)) * time.Millisecond)
	}
}

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
	_, waits := h.r.memory.unanswered.Get(h.get("app").UID, h.clock.Now())
	return waits
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

// end lets all come to rest, and checks what has to be so then.
func (h *history) end() {
	h.t.Helper()
	h.refuse = nil
	if h.isNewer() {
		h.told = append(h.told, "a newer version is rolled back")
		h.toggleNewer()
	}
	h.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.State = v1alpha1.ClientActive })
	h.collectGarbage()
	h.later(h.leaps) // until a clock that was turned back is where it was
	quiet := 0
	for range 100 {
		h.sync()
		before := len(h.writes)
		_, err := h.reconcile("app")
		h.told = append(h.told, fmt.Sprintf("at the end: %v %q", err, h.writes[before:]))
		h.check()
		if quiet++; err != nil || len(h.writes) > before {
			quiet = 0
		}
		if quiet == 4 {
			break
		}
		// longer than a wait after a failure, or after a repair that did not hold
		h.pass(5 * time.Minute)
	}
	c := h.get("app")
	if quiet < 4 && c.Spec.Rotation.Interval == "" {
		h.t.Fatalf("it is not at rest: %q", h.writes[max(0, len(h.writes)-6):])
	}
	r, _ := h.registered("shop.app")
	current, kept := 0, []string(nil)
	for _, v := range r.Client.Credentials.Verifiers {
		if !v.Pending {
			kept = append(kept, v.ID)
		}
		if !v.Pending && v.ExpiresAt.IsZero() {
			current++
		}
	}
	name := secretName(c)
	labels := map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}
	for key, value := range c.Spec.Secret.Labels {
		labels[key] = string(value)
	}
	var reported []string
	for _, listed := range c.Status.Credentials {
		reported = append(reported, listed.ID)
	}
	slices.Sort(kept)
	slices.Sort(reported)
	for what, wrong := range map[string]bool{
		"the Secret has other labels than its client asks for":                              !h.stripped && !maps.Equal(labels, ownLabels(h.secret(name))),
		"the Secret's value is refused":                                                     !h.accepts("shop.app", h.value(name)),
		fmt.Sprintf("%d secrets are current", current):                                      current != 1,
		fmt.Sprintf("the status lists %q, and registered are %q", reported, kept):           !slices.Equal(kept, reported),
		"the Secret does not prove its generation":                                          !h.provesGeneration(),
		fmt.Sprintf("of %d replacements %d are counted", h.replaced, r.Rotation.Generation): r.Rotation.Generation < h.replaced,
		"the status reports another generation":                                             c.Status.Rotation.Generation != r.Rotation.Generation,
		"it is not Ready":                                                                   h.condition("app", v1alpha1.ConditionReady).Status != metav1.ConditionTrue,
		"something is said to be in the way":                                                h.condition("app", v1alpha1.ConditionReconciling).Type != "" || h.condition("app", v1alpha1.ConditionStalled).Type != "",
		"the status speaks of another generation":                                           c.Status.ObservedGeneration != c.Generation,
		"a request to rotate was swallowed":                                                 c.Annotations[v1alpha1.AnnotationRotate] != c.Status.Rotation.HandledRequest && c.Status.Rotation.Reason == "",
		"a request to rotate was handled without a rotation":                                h.asked != "" && h.asked == h.value(name) && c.Annotations[v1alpha1.AnnotationRotate] == c.Status.Rotation.HandledRequest,
		"an audit line waits":                                                               h.unanswered(),
		"a Secret under a former name is there":                                             len(h.names()) != 1+len(h.ofOthers),
	} {
		if wrong {
			h.t.Errorf("%s: status %+v, Secrets %q", what, c.Status, h.names())
		}
	}
	said := strings.Join(slices.Concat(h.audit, h.events(), []string{fmt.Sprint(c.Status)}), "\n")
	if slices.ContainsFunc(h.values, func(value string) bool { return len(value) > 20 && strings.Contains(said, value) }) {
		h.t.Error("a client secret is in a line, an event or a condition")
	}
}

// ownLabels are the labels of a Secret without those of others.
func ownLabels(s *corev1.Secret) map[string]string {
	own := maps.Clone(s.Labels)
	delete(own, byOthers)
	return own
}

// collectGarbage deletes the Secrets of clients that were deleted, as the garbage collector does in
// the end. What has the client's name and is not its own is deleted by a user.
func (h *history) collectGarbage() {
	h.t.Helper()
	c := h.get("app")
	h.annotated = nil
	h.ofOthers = slices.DeleteFunc(h.ofOthers, func(s *corev1.Secret) bool { return s.Name == secretName(c) })
	var list corev1.SecretList
	h.must(h.server.List(h.t.Context(), &list, client.InNamespace("shop")))
	for i := range list.Items {
		if !metav1.IsControlledBy(&list.Items[i], c) && !h.foreign(list.Items[i].Name) {
			h.unproven = h.unproven || list.Items[i].Name == secretName(c)
			h.must(h.server.Delete(h.t.Context(), &list.Items[i]))
		}
	}
}
