// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// TestRandomHistoriesOfAClientEndWell: a cache that is late, writes that are refused in every way, managers that
// end, and users who do what they may. HALLPASS_SEED replays one history, HALLPASS_HISTORIES and
// HALLPASS_HISTORY_STEPS make more and longer ones.
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
		first, histories = uint64(replayed), 1 //nolint:gosec // a seed is no size
	}
	for i := range uint64(histories) {
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
	// told is what has happened.
	told []string
	// harmed says that a user took away what the manager has written, since it was at rest.
	harmed bool
	// values are the client secrets that were in the Secret.
	values   []string
	requests int
}

func newHistory(t *testing.T, seed uint64) *history {
	t.Helper()
	h := &history{world: newWorld(t), random: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // a history has to be the same again
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what happened:\n%s", strings.Join(h.told, "\n"))
		}
	})
	c := clientOfWorld("app")
	c.Spec.Rotation.Overlap = []v1alpha1.Duration{"0s", "1h", "24h"}[h.random.IntN(3)]
	c.Spec.Rotation.Interval = []v1alpha1.Duration{"", "", "24h"}[h.random.IntN(3)]
	h.create(c)
	return h
}

func (h *history) run(steps int) {
	h.t.Helper()
	for range steps {
		h.step()
		h.look()
		h.check()
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
		{"a rotation is requested", func() { h.requests++; h.askToRotate("app", strconv.Itoa(h.requests)) }},
		{"the Secret is deleted", func() { h.harm(func(s *corev1.Secret) error { return h.server.Delete(h.t.Context(), s) }) }},
		{"the Secret is edited", func() {
			h.harm(func(s *corev1.Secret) error {
				s.Data[keyClientSecret] = []byte("scribble")
				return h.server.Update(h.t.Context(), s)
			})
		}},
		{"the registration is deleted", func() {
			h.harmed = true
			var list corev1.SecretList
			h.must(h.server.List(h.t.Context(), &list, client.InNamespace(registryOfWorld)))
			for i := range list.Items {
				h.must(h.server.Delete(h.t.Context(), &list.Items[i]))
			}
		}},
		{"the Secret gets another name", func() {
			h.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = []string{"", "other", "third"}[h.random.IntN(3)] })
		}},
		{"the entry gets another name", func() {
			h.edit("app", func(c *v1alpha1.OAuth2Client) {
				c.Spec.Secret.Keys.ClientID = v1alpha1.SecretKey([]string{"", "ID"}[h.random.IntN(2)])
			})
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
		{"a manager starts in the place of this one", h.start},
		{"time passes", func() {
			h.pass([]time.Duration{time.Second, time.Minute, 10 * time.Minute, 2 * time.Hour, 30 * time.Hour}[h.random.IntN(5)])
		}},
		{"the clock is set", func() { h.later([]time.Duration{-time.Minute, time.Hour, -time.Hour}[h.random.IntN(3)]) }},
		{"writes are refused, or not any more", h.refuseSome},
		{"it is deleted and made again", func() {
			c := h.get("app")
			again := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: "app", Annotations: c.Annotations}, Spec: c.Spec}
			h.must(h.server.Delete(h.t.Context(), c))
			h.create(again)
			h.harmed = true
		}},
	}
	act := acts[h.random.IntN(len(acts))]
	h.told = append(h.told, act.name)
	act.do()
}

// later lets time pass. A secret that is in its Secret and could not be confirmed ends meanwhile.
func (h *history) later(d time.Duration) {
	h.t.Helper()
	if r := h.registeredClient(); r != nil && slices.ContainsFunc(r.Credentials.Verifiers, func(v oauth2.Verifier) bool { return v.Pending }) {
		h.harmed = true
	}
	h.pass(d)
}

// harm does something to the client's Secret, if it is there.
func (h *history) harm(do func(*corev1.Secret) error) {
	h.t.Helper()
	if s := h.secret(secretName(h.get("app"))); s != nil {
		h.harmed = true
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
	err, what, often := kinds[h.random.IntN(len(kinds))], h.random.IntN(4), 1+h.random.IntN(3)
	h.told = append(h.told, fmt.Sprintf("  one of %d writes of the %s: %v", often, []string{"Secret", "registration", "status", "all"}[what], err))
	h.refuse = func(verb string, o client.Object) error {
		_, isSecret := o.(*corev1.Secret)
		kind := 0
		switch {
		case verb == "status":
			kind = 2
		case isSecret && o.GetNamespace() == registryOfWorld:
			kind = 1
		}
		if (what == 3 || what == kind) && h.random.IntN(often) == 0 {
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
		h.told = append(h.told, fmt.Sprintf("  look: %v", err))
		h.pass(time.Duration(h.random.IntN(1000)) * time.Millisecond)
	}
}

// checkConditions compares what a look has just reported with what is there.
func (h *history) checkConditions() {
	h.t.Helper()
	c := h.get("app")
	ready := h.condition("app", v1alpha1.ConditionReady)
	works := h.registeredClient() != nil && h.accepts("shop.app", h.value(secretName(c)))
	if ready.Status == metav1.ConditionTrue && !works || c.Status.ObservedGeneration != c.Generation {
		h.t.Fatalf("the status says %+v, and what is in the Secret is accepted: %t", c.Status, works)
	}
}

// check is what holds at any time: the manager lets no application hold a secret that is refused.
func (h *history) check() {
	h.t.Helper()
	name := secretName(h.get("app"))
	value := h.value(name)
	if value != "" {
		h.values = append(h.values, value)
	}
	if h.harmed || value == "" {
		return
	}
	// The first Secret may be there before its registration: token servers wait for it.
	if r := h.registeredClient(); r != nil && !r.Suspended && !h.accepts("shop.app", value) {
		h.t.Fatalf("what is in Secret %s is refused: %q", name, h.writes[max(0, len(h.writes)-6):])
	}
}

func (h *history) registeredClient() *oauth2.Client {
	h.t.Helper()
	var list corev1.SecretList
	h.must(h.server.List(h.t.Context(), &list, client.InNamespace(registryOfWorld)))
	if len(list.Items) == 0 {
		return nil
	}
	r, _ := h.registered("shop.app")
	return &r.Client
}

// end lets all come to rest, and looks at what has to be so then.
func (h *history) end() {
	h.t.Helper()
	h.refuse = nil
	h.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.State = v1alpha1.ClientActive })
	h.collectGarbage()
	quiet := 0
	for range 100 {
		h.sync()
		before := len(h.writes)
		_, err := h.reconcile("app")
		h.told = append(h.told, fmt.Sprintf("at the end: %v %q", err, h.writes[before:]))
		if quiet++; err != nil || len(h.writes) > before {
			quiet = 0
		}
		if quiet == 4 {
			break
		}
		h.pass(5 * time.Minute) // longer than a wait after a failure, or after a repair that did not hold
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
	var reported []string
	for _, credential := range c.Status.Credentials {
		reported = append(reported, credential.ID)
	}
	slices.Sort(kept)
	slices.Sort(reported)
	name := secretName(c)
	for what, wrong := range map[string]bool{
		"the Secret's value is refused":                                           !h.accepts("shop.app", h.value(name)),
		fmt.Sprintf("%d secrets are current", current):                            current != 1,
		fmt.Sprintf("the status lists %q, and registered are %q", reported, kept): !slices.Equal(kept, reported),
		"it is not Ready":                         h.condition("app", v1alpha1.ConditionReady).Status != metav1.ConditionTrue,
		"something is said to be in the way":      h.condition("app", v1alpha1.ConditionReconciling).Type != "" || h.condition("app", v1alpha1.ConditionStalled).Type != "",
		"the status speaks of another generation": c.Status.ObservedGeneration != c.Generation,
		"a request to rotate was swallowed":       c.Annotations[v1alpha1.AnnotationRotate] != c.Status.Rotation.HandledRequest && c.Status.Rotation.Reason == "",
		"a Secret under a former name is there":   len(h.names()) != 1,
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

// collectGarbage deletes the Secrets of clients that were deleted, as the garbage collector does in the end.
func (h *history) collectGarbage() {
	h.t.Helper()
	c := h.get("app")
	var list corev1.SecretList
	h.must(h.server.List(h.t.Context(), &list, client.InNamespace("shop")))
	for i := range list.Items {
		if !metav1.IsControlledBy(&list.Items[i], c) {
			h.must(h.server.Delete(h.t.Context(), &list.Items[i]))
		}
	}
}

// names are those of the Secrets in the client's namespace.
func (h *history) names() (names []string) {
	h.t.Helper()
	var list corev1.SecretList
	h.must(h.server.List(h.t.Context(), &list, client.InNamespace("shop")))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}
