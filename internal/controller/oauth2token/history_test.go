// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/test/kit/late"
)

// TestRandomHistoriesOfATokenEndWell: caches that are late, writes that are refused in every way,
// managers that end or that are two, and users who do what they may. HALLPASS_SEED replays one
// history, or the first of HALLPASS_HISTORIES. That and HALLPASS_HISTORY_STEPS make more and longer
// ones.
func TestRandomHistoriesOfATokenEndWell(t *testing.T) {
	t.Parallel()
	number := func(name string, otherwise int) int {
		if given, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return given
		}
		return otherwise
	}
	histories, steps := number("HALLPASS_HISTORIES", 50), number("HALLPASS_HISTORY_STEPS", 20)
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

// history is a random sequence of what happens to one OAuth2Token.
type history struct {
	*world
	*observed

	random *rand.Rand
	// told lists what has happened.
	told []string
	// leaps is by how much the clock was set.
	leaps time.Duration
	// registries are the registry before each of the last steps, older the Secret as it was.
	registries [][]*corev1.Secret
	older      []*corev1.Secret
	// unregistered is whether the controllers of clients and resources are late in this step.
	unregistered bool
	// nested is whether a manager works in the middle of another's reconcile.
	nested bool
}

// action is something that happens.
type action struct {
	name string
	do   func()
}

func newHistory(t *testing.T, seed uint64) *history {
	t.Helper()
	h := &history{world: newWorld(t), random: rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // a history has to be the same again
	h.observed = newObserved(h)
	h.server.Before, h.server.Done = h.before, h.done
	h.make(nil)
	return h
}

// make creates the OAuth2Token, with the Secret of one of before.
func (h *history) make(before *v1alpha1.OAuth2Token) {
	h.t.Helper()
	o := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "legacy"}}
	o.Spec.ClientRef.Name = "app"
	o.Spec.Mode = []v1alpha1.TokenMode{v1alpha1.TokenRefreshing, v1alpha1.TokenRefreshing, v1alpha1.TokenFixed}[h.random.IntN(3)]
	if before != nil {
		o.Spec.Secret = before.Spec.Secret
	}
	if o.Spec.Mode == v1alpha1.TokenFixed {
		life := []time.Duration{10 * time.Minute, 3 * time.Hour, 60 * time.Hour}[h.random.IntN(3)]
		o.Spec.ExpirationTime = &metav1.Time{Time: h.clock.Now().Truncate(time.Second).Add(life)}
	}
	o.Spec.Resource = []string{"", "", identifierOfWorld}[h.random.IntN(3)]
	h.create(o)
}

func (h *history) run(steps int) {
	h.t.Helper()
	defer func() { // a cleanup would hold the fixture in memory until all histories are over
		if h.t.Failed() {
			h.t.Logf("what happened:\n%s", strings.Join(h.told, "\n"))
		}
	}()
	for range steps {
		h.registries = append(h.registries[max(0, len(h.registries)-9):], h.secrets(registryOfWorld))
		if s := h.own(); s != nil {
			h.older = append(h.older[max(0, len(h.older)-4):], s)
		}
		h.step()
		h.neighbours()
		h.look()
	}
	h.end()
}

// neighbours are the other controllers, which work beside the one of OAuth2Tokens.
func (h *history) neighbours() {
	h.t.Helper()
	if h.unregistered = h.random.IntN(8) == 0; !h.unregistered {
		h.register()
	}
	h.rotateKeys(keyring.Order{})
	if h.random.IntN(2) == 0 {
		h.collect()
	}
	if h.random.IntN(4) == 0 {
		h.collectGarbage()
	}
}

// step is one thing that happens.
func (h *history) step() {
	h.t.Helper()
	acts := slices.Concat(h.toTheSecret(), h.toTheRegistry(), h.toTheSpec(), h.toTheClient(), h.toTheManager())
	act := acts[h.random.IntN(len(acts))]
	h.told = append(h.told, act.name)
	act.do()
}

func (h *history) toTheClient() []action {
	name := []string{"app", "app", "other"}[h.random.IntN(3)]
	editClient := func(change func(c *v1alpha1.OAuth2Client)) func() {
		return func() { edit(h.world, &v1alpha1.OAuth2Client{}, "shop", name, change) }
	}
	editResource := func(change func(r *v1alpha1.OAuth2Resource)) func() {
		return func() { edit(h.world, &v1alpha1.OAuth2Resource{}, "orders", "api", change) }
	}
	return []action{
		{"the scopes of " + name + " change", editClient(func(c *v1alpha1.OAuth2Client) {
			c.Spec.Scopes = [][]v1alpha1.Scope{{"s0", "s1"}, {"s0"}, {"s1"}, nil}[h.random.IntN(4)]
		})},
		{name + " is suspended, or active again", editClient(func(c *v1alpha1.OAuth2Client) {
			c.Spec.State = []v1alpha1.ClientState{v1alpha1.ClientActive, v1alpha1.ClientSuspended}[h.random.IntN(2)]
		})},
		{name + " gets another method", editClient(func(c *v1alpha1.OAuth2Client) {
			c.Spec.Authentication.Method = []v1alpha1.AuthenticationMethod{"", v1alpha1.ByPrivateKeyJWT}[h.random.IntN(2)]
		})},
		{name + " revokes its tokens", editClient(func(c *v1alpha1.OAuth2Client) {
			c.Spec.RevokeTokensIssuedBefore = &metav1.Time{Time: h.clock.Now().Add([]time.Duration{-time.Minute, 0, time.Hour}[h.random.IntN(3)])}
		})},
		{name + " asks for another resource, or not", editClient(func(c *v1alpha1.OAuth2Client) {
			c.Spec.Access = [][]v1alpha1.Access{nil, {{ResourceNamespace: "orders", ResourceName: "api"}}}[h.random.IntN(2)]
		})},
		{name + " is deleted, or made again", func() {
			c := late.Find(h.server, &v1alpha1.OAuth2Client{}, "shop", name)
			if c != nil {
				h.server.Must(h.server.Delete(h.t.Context(), c))
			}
			if c == nil || h.random.IntN(2) == 0 {
				h.create(&v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: v1alpha1.OAuth2ClientSpec{
					Scopes: []v1alpha1.Scope{"s0", "s1"}, Access: []v1alpha1.Access{{ResourceNamespace: "orders", ResourceName: "api"}},
				}})
			}
		}},
		{"the owner of the resource consents to other tokens", editResource(func(r *v1alpha1.OAuth2Resource) {
			r.Spec.MaxFixedTokenLifetime = []v1alpha1.Duration{"", "0s", "1h", "2000h"}[h.random.IntN(4)]
		})},
		{"the resource has other scopes", editResource(func(r *v1alpha1.OAuth2Resource) {
			r.Spec.Scopes = [][]v1alpha1.ResourceScope{{{Name: "s0"}}, {{Name: "s0"}, {Name: "s1"}}, {{Name: "s1"}}}[h.random.IntN(3)]
		})},
		{"a token is revoked", h.revokeToken},
		{"the tokens of " + name + ", or of the namespace, are revoked", func() {
			selecting := selecting("", "shop."+name, h.clock.Now().Truncate(time.Second))
			if h.random.IntN(2) == 0 {
				selecting = selectingNamespace(h.clock.Now().Truncate(time.Second))
			}
			selecting.Name = fmt.Sprintf("selecting-%d", len(h.revocations))
			h.revoke(selecting)
		}},
		{"a key is tainted", func() {
			if keys := h.ring.Keys(); len(keys) > 0 {
				h.rotateKeys(keyring.Order{Taint: []string{keys[h.random.IntN(len(keys))].ID()}})
			}
		}},
	}
}

func selectingNamespace(now time.Time) *v1alpha1.TokenRevocation { return selecting("shop", "", now) }

// revokeToken revokes the token in the Secret, as a caller who has it may.
func (h *history) revokeToken() {
	h.t.Helper()
	if t := h.tokens[h.held()]; t != nil {
		object := batchOf(t.ID)
		object.Name = fmt.Sprintf("batch-%d", len(h.revocations))
		object.Spec.Batch.Tokens = entryOf(t.ID, t.ExpiresAt)
		h.revoke(object)
	}
}

func (h *history) toTheManager() []action {
	return []action{
		{"a manager starts in the place of this one", func() {
			h.abandon()
			h.managers = []*manager{h.newManager()}
		}},
		{"a second manager begins, and the first does not know", func() {
			h.two = true
			h.managers = append(h.managers[len(h.managers)-1:], h.newManager())
		}},
		{"the installation allows another lifetime, and a manager starts", func() {
			h.abandon()
			h.limit = []time.Duration{time.Hour, 90 * 24 * time.Hour, 90 * 24 * time.Hour}[h.random.IntN(3)]
			h.managers = []*manager{h.newManager()}
		}},
		{"time passes", h.timePasses}, {"time passes", h.timePasses}, {"time passes", h.timePasses},
		{"the clock is set", func() {
			by := []time.Duration{-time.Minute, time.Hour, -time.Hour}[h.random.IntN(3)]
			h.leaps += by.Abs()
			h.pass(by)
			for _, t := range h.tokens {
				t.excused = t.excused || by < 0 // it may expire twice
			}
		}},
		{"writes are refused, or not any more", h.refuseSome}, {"writes are refused, or not any more", h.refuseSome},
	}
}

func (h *history) timePasses() {
	h.pass([]time.Duration{time.Second, 12 * time.Second, 6 * time.Minute, 25 * time.Minute, 2 * time.Hour, 30 * time.Hour}[h.random.IntN(6)])
}

func (h *history) pass(d time.Duration) { h.clock.SetTime(h.clock.Now().Add(d)) }

// answers are those of an API server that does not do a write, or does not answer that it has.
func answers() []error {
	secrets := schema.GroupResource{Resource: "secrets"}
	return []error{
		apierrors.NewForbidden(secrets, "legacy", errors.New(`admission webhook "guard" denied the request`)),
		apierrors.NewForbidden(secrets, "legacy", errors.New("exceeded quota: none, requested: secrets=1")),
		apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "legacy", nil),
		apierrors.NewConflict(secrets, "legacy", errors.New("changed")),
		apierrors.NewAlreadyExists(secrets, "legacy"),
		apierrors.NewServerTimeout(secrets, "create", 1),
		apierrors.NewTooManyRequests("slow down", 1),
		apierrors.NewInternalError(errors.New("etcdserver: leader changed")),
		&url.Error{Op: "Post", URL: "https://10.0.0.1", Err: errors.New("connection refused")},
		context.DeadlineExceeded, context.DeadlineExceeded, context.DeadlineExceeded,
	}
}

// refuseSome chooses which writes are refused from now on, and how.
func (h *history) refuseSome() {
	h.server.Refuse = nil
	if h.random.IntN(3) == 0 {
		return
	}
	all := answers()
	err, what, often := all[h.random.IntN(len(all))], h.random.IntN(5), 1+h.random.IntN(3)
	h.told = append(h.told, fmt.Sprintf("  one of %d writes of the %s: %v", often, []string{"Secret", "record", "status", "deletion of a Secret", "all"}[what], err))
	h.server.Refuse = func(verb string, o client.Object) error {
		kind := 0
		switch {
		case verb == "status":
			kind = 2
		case o.GetNamespace() == registryOfWorld:
			kind = 1
		case verb == "delete":
			kind = 3
		}
		if what != 4 && what != kind || h.random.IntN(often) > 0 || apierrors.IsAlreadyExists(err) && verb != "create" {
			return nil
		}
		// what times out may be done
		if errors.Is(err, context.DeadlineExceeded) && h.random.IntN(2) == 0 {
			return late.NewUnansweredError(err)
		}
		return err
	}
}

// before lets another manager work in the middle of a reconcile.
func (h *history) before(string, client.Object) {
	if h.nested || len(h.managers) < 2 || h.random.IntN(6) > 0 {
		return
	}
	h.nested = true
	defer func() { h.nested = false }()
	m := h.managers[h.random.IntN(len(h.managers))]
	if m == h.working {
		return
	}
	working := h.working
	h.reconcile(m, h.random.IntN(2) == 0)
	h.working = working
}

// look has a manager reconcile a few times, with a cache that is late for some kinds.
func (h *history) look() {
	h.t.Helper()
	for range 1 + h.random.IntN(2) {
		m := h.managers[h.random.IntN(len(h.managers))]
		h.reconcile(m, h.random.IntN(6) > 2)
		h.pass(time.Duration(h.random.IntN(1000)) * time.Millisecond)
	}
}

// reconcile has a manager reconcile once.
func (h *history) reconcile(m *manager, current bool) ctrl.Result {
	h.t.Helper()
	h.working = m
	if current {
		m.cache.Sync()
		m.notice(h.t.Context())
		for ; m.told < len(h.revocations); m.told++ {
			m.watches.tokensRevoked(h.t.Context(), h.revocations[m.told])
		}
		m.backoff.End(legacy) // by the watch that brought what has changed
	} else {
		prefixes := []string{"OAuth2Token ", "Secret shop/", "Secret " + registryOfWorld, "OAuth2Client ", "OAuth2Resource "}
		h.random.Shuffle(len(prefixes), func(i, j int) { prefixes[i], prefixes[j] = prefixes[j], prefixes[i] })
		prefixes = prefixes[:1+h.random.IntN(3)]
		if m.cache.Sync(prefixes...); slices.Contains(prefixes, "OAuth2Token ") {
			m.notice(h.t.Context())
		}
	}
	var o v1alpha1.OAuth2Token
	if err := m.Client.Get(h.t.Context(), legacy, &o); err != nil {
		return ctrl.Result{}
	}
	r := h.begin(m, current)
	var err error
	var result ctrl.Result
	result, err = m.Reconcile(h.t.Context(), &o)
	h.told = append(h.told, fmt.Sprintf("  %s look of %d at %s: %v %q", map[bool]string{true: "current", false: "late"}[current],
		m.number, h.clock.Now().Format(time.TimeOnly), err, h.server.Writes[r.writes:]))
	for _, line := range h.audit[r.lines:] {
		h.told = append(h.told, fmt.Sprintf("    %+v", line))
	}
	h.check(r, err)
	return result
}
