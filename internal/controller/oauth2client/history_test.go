// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
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
	"github.com/hallpass-dev/hallpass/internal/registration"
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
