// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The bounds of live single revocations of all writers. A replica reads the revocations of all
// replicas, so that neither their number nor a restart moves a bound. Past a bound the older half
// of what a client or a namespace holds becomes one selector.
const (
	// maxOfClient is how many a client holds.
	maxOfClient = 10_000
	// maxLive is how many there are in all: 8 MiB of memory, 7 in the snapshot, and 12
	// MiB of etcd. Past it the namespace that holds the most is collapsed first.
	maxLive = 1 << 18
	// shareOfNamespace is how many a namespace may always add.
	shareOfNamespace = 1 << 14
	// worthwhile is how many a client holds that is collapsed alone. A namespace with smaller
	// ones is collapsed as a whole, so that the selectors are fewer than what they replace.
	worthwhile = 1_000
	// hardOfClient and hardLive are where revocations are refused, because collapsing does not
	// keep up: selectors cannot be written, or do not arrive.
	hardOfClient = 2 * maxOfClient
	hardLive     = maxLive + maxLive/4 - maxLasting
	// maxLasting is how many revocations of tokens there are in all that live for more than an
	// hour. They are not collapsed, and stay until their tokens expire, which takes months.
	// Namespaces have what is left of lastingLent beyond their shares of lastingShare each:
	// what is never lent is enough for 48 whole shares, and for parts of shares beyond.
	maxLasting   = maxLive * 3 / 16
	lastingLent  = maxLasting * 7 / 16
	lastingShare = 512
)

// Full is the refusal of a revocation for which there is no room.
func Full() error {
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: oauth2.ReasonRevocationNotDurable, RetryAfter: commitRetry,
		Description: "this client or its namespace has revoked too many tokens one by one; the token is not revoked yet, ask again until the answer is 200",
	}
}

// FullOfLasting is the refusal of a revocation of a token that lives for more than an hour, for
// which there is no room.
func FullOfLasting() error {
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: oauth2.ReasonRevocationNotDurable, RetryAfter: commitRetry,
		Description: "too many tokens of this namespace that live for more than an hour are revoked one by one; the token is not revoked: " +
			"delete its OAuth2Token, which ends it",
	}
}

// Room returns nil if there is room for the revocation of a token of a client, and its refusal
// otherwise. For a namespace within its share there always is room for a token that may be
// collapsed.
func (r *State) Room(token Entry, of Client) error {
	if token.lasts() {
		if !r.tokens.holds(token.ID) && !r.holders.hasRoomToLast(of.Namespace) {
			return FullOfLasting()
		}
		return nil
	}
	if client, namespace, all := r.holders.count(of); namespace >= shareOfNamespace && (client >= hardOfClient || all >= hardLive) {
		return Full()
	}
	return nil
}

// group is what one selector collapses: the tokens of a client, or of a namespace.
type group struct {
	selector Selector
	issued   []uint32 // of each of its tokens
}

// excess returns the selectors that bring what there is below the bounds.
func (r *State) excess() []Selector {
	r.sweeping.Lock()
	defer r.sweeping.Unlock()
	groups, of := excessive(r.holders.all())
	if len(groups) == 0 {
		return nil
	}
	r.tokens.each(func(token Entry) {
		if !token.lasts() && int(token.Client) < len(of) && of[token.Client] != nil {
			of[token.Client].issued = append(of[token.Client].issued, token.IssuedAt)
		}
	})
	r.holders.over.Store(true) // until a sweep has removed what the selectors revoke
	var selectors []Selector
	for _, g := range groups {
		if len(g.issued) > 1 {
			g.selector.IssuedBefore, g.selector.Collapses = olderHalf(g.issued), true
			selectors = append(selectors, g.selector)
		}
	}
	return selectors
}

// olderHalf returns the instant of issue of the newest token of the older half. A selector revokes
// what was issued before its instant. So where most of that half was issued in this very second, it
// is the next one, and the selector collapses a quarter at least.
func olderHalf(issued []uint32) time.Time {
	slices.Sort(issued)
	newest := issued[len(issued)/2-1]
	if older, _ := slices.BinarySearch(issued, newest); older < len(issued)/4 || older == 0 {
		newest++
	}
	return time.Unix(int64(newest), 0).UTC()
}

// excessive returns the groups to collapse, and by number the group of each client.
func excessive(holding []holder) (groups []*group, of []*group) {
	of = make([]*group, len(holding))
	add := func(s Selector, numbers ...int) {
		g := &group{selector: s}
		groups = append(groups, g)
		for _, number := range numbers {
			of[number] = g
		}
	}
	live, namespaces := 0, map[string]*tenant{}
	for number, h := range holding {
		if h.live == 0 {
			continue
		}
		in := namespaces[h.Namespace]
		if in == nil {
			in = &tenant{name: h.Namespace}
			namespaces[h.Namespace] = in
		}
		left := int(h.live)
		if h.live > maxOfClient {
			add(Selector{ClientID: h.ID}, number)
			left -= int(h.live) / 2
		} else {
			in.clients = append(in.clients, number)
		}
		in.live += left
		live += left
	}
	for live > maxLive && len(namespaces) > 0 {
		var most *tenant
		for _, in := range namespaces {
			if most == nil || in.live > most.live || in.live == most.live && in.name < most.name {
				most = in
			}
		}
		freed := most.collapse(holding, add)
		if live -= freed; freed == 0 {
			delete(namespaces, most.name)
		}
	}
	return groups, of
}

// tenant is a namespace, what it holds, and its clients that are not collapsed yet.
type tenant struct {
	name    string
	live    int
	clients []int
}

// collapse adds the group of the client that holds the most, or of all that are left if that is
// little. It returns how many tokens that collapses.
func (t *tenant) collapse(holding []holder, add func(Selector, ...int)) (freed int) {
	if len(t.clients) == 0 {
		return 0
	}
	most := slices.MaxFunc(t.clients, func(a, b int) int { return cmp.Compare(holding[a].live, holding[b].live) })
	if holding[most].live >= worthwhile {
		add(Selector{ClientID: holding[most].ID}, most)
		freed = int(holding[most].live) / 2
		t.clients = slices.DeleteFunc(t.clients, func(number int) bool { return number == most })
	} else {
		add(Selector{Namespace: t.name}, t.clients...)
		for _, number := range t.clients {
			freed += int(holding[number].live)
		}
		freed, t.clients = freed/2, nil
	}
	t.live -= freed
	return freed
}

// SelectorStore keeps selectors durably and passes them to every replica.
type SelectorStore interface {
	// WriteSelector stores a selector under its Name. If the name exists, the call succeeds.
	WriteSelector(ctx context.Context, selector Selector) error
}

const (
	// collapseInterval is how often a replica checks the bounds. Of several replicas the first
	// one writes: until the others check, they have read its selector.
	collapseInterval = time.Second
	// arrivalTime is how long a selector that was written may take to arrive, before another
	// one is written for its subject.
	arrivalTime = 10 * time.Second
)

// Collapser keeps the single revocations in a State within their bounds. An entry leaves memory
// when the selector that revokes its token has come back from the store, so that it is durable at
// any time.
type Collapser struct {
	state *State
	store SelectorStore
	now   func() time.Time
	wrote func(durable bool)
	log   *slog.Logger
	// written are the selectors that have not come back.
	written map[subject]written
}

// written is the instant of a selector that was written, and until when it may come back.
type written struct{ issuedBefore, until time.Time }

// NewCollapser makes a Collapser. It calls wrote after each attempt to write a selector.
func NewCollapser(state *State, store SelectorStore, now func() time.Time, wrote func(durable bool), log *slog.Logger) *Collapser {
	return &Collapser{state: state, store: store, now: now, wrote: wrote, log: log, written: map[subject]written{}}
}

// Run checks the bounds until the context ends.
func (c *Collapser) Run(ctx context.Context) {
	ticker := time.NewTicker(collapseInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.collapse(ctx)
		}
	}
}

// collapse writes the selectors that the bounds need. One that cannot be written is tried again at
// the next check.
func (c *Collapser) collapse(ctx context.Context) {
	if !c.state.holders.over.Swap(false) {
		return
	}
	now := c.now()
	c.state.Sweep(now)
	maps.DeleteFunc(c.written, func(of subject, w written) bool {
		return !now.Before(w.until) || !c.state.selected.collapsedOf(of).Before(w.issuedBefore)
	})
	for _, selector := range c.state.excess() {
		if _, coming := c.written[selector.subject()]; coming {
			continue
		}
		log := c.log.With("clientID", selector.ClientID, "namespace", selector.Namespace, "issuedBefore", selector.IssuedBefore)
		err := c.write(ctx, selector)
		c.wrote(err == nil)
		if err != nil {
			log.WarnContext(ctx, "cannot collapse single revocations into a selector; it is tried again", "error", err)
			continue
		}
		log.InfoContext(ctx, "collapsed single revocations into a selector")
		c.written[selector.subject()] = written{selector.IssuedBefore, now.Add(arrivalTime)}
	}
}

func (c *Collapser) write(ctx context.Context, selector Selector) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return c.store.WriteSelector(ctx, selector)
}
