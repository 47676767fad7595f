// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package codegrant_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

var aDay = oauth2.Refreshing{Lifetime: 24 * time.Hour}

func TestRefreshDecisions(t *testing.T) {
	const minute = time.Minute
	later := now.Add
	limited := oauth2.Refreshing{Lifetime: 24 * time.Hour, Limited: true, Max: 3}
	idle := oauth2.Refreshing{Lifetime: 24 * time.Hour, Idle: time.Hour}
	for name, c := range map[string]struct {
		generation uint32
		refreshes  int
		issued     time.Duration // after now
		known      codegrant.Known
		limits     oauth2.Refreshing
		stays      bool // it does not rotate
		at         time.Duration
		outcome    codegrant.Outcome
		next       uint32 // the generation
		reason     oauth2.Reason
	}{
		"the first refresh": {at: time.Hour, outcome: codegrant.Rotate, next: 1},
		"a later one":       {generation: 7, known: codegrant.Known{Generation: 7, From: later(0)}, at: time.Hour, outcome: codegrant.Rotate, next: 8},
		"at a replica that does not know the generation":    {generation: 7, known: codegrant.Known{Generation: 5, From: later(0)}, at: time.Hour, outcome: codegrant.Rotate, next: 8},
		"a client that authenticates":                       {stays: true, at: time.Hour, outcome: codegrant.Keep},
		"a client that authenticates, as often as it likes": {stays: true, refreshes: 0, at: 23 * time.Hour, outcome: codegrant.Keep},
		"a retry in the last moment":                        {generation: 6, known: codegrant.Known{Generation: 7, From: later(time.Hour + minute)}, at: time.Hour + minute - 1, outcome: codegrant.Retry, next: 7},
		"a retry too late":                                  {generation: 6, known: codegrant.Known{Generation: 7, From: later(time.Hour + minute)}, at: time.Hour + minute, outcome: codegrant.Reuse, reason: oauth2.ReasonRefreshReused},
		"an old one":                                        {generation: 2, known: codegrant.Known{Generation: 7, From: later(0)}, at: time.Hour, outcome: codegrant.Reuse, reason: oauth2.ReasonRefreshReused},
		"an old one within a minute of another refresh":     {generation: 2, known: codegrant.Known{Generation: 7, From: later(time.Hour + minute)}, at: time.Hour, reason: oauth2.ReasonRefreshReplaced},
		"two refreshes within a minute, and a retry of the first": {
			generation: 5, issued: time.Hour, known: codegrant.Known{Generation: 7, From: later(time.Hour + 80*time.Second)}, at: time.Hour + 50*time.Second, outcome: codegrant.Retry, next: 7,
		},
		"a client that began to authenticate, an old one": {
			stays: true, generation: 6, known: codegrant.Known{Generation: 7, From: later(0)}, at: time.Hour, outcome: codegrant.Reuse, reason: oauth2.ReasonRefreshReused,
		},
		"a grant that was revoked":                   {known: codegrant.Known{Ended: true}, at: time.Hour, reason: oauth2.ReasonGrantEnded},
		"an old one of a grant that was revoked":     {known: codegrant.Known{Generation: 7, From: later(0), Ended: true}, at: time.Hour, reason: oauth2.ReasonGrantEnded},
		"the end of the grant":                       {at: 24 * time.Hour, reason: oauth2.ReasonRefreshExpired},
		"an old one after the end of the grant":      {known: codegrant.Known{Generation: 7, From: later(0)}, at: 24 * time.Hour, reason: oauth2.ReasonRefreshExpired},
		"a lifetime that was shortened":              {limits: oauth2.Refreshing{Lifetime: time.Hour}, at: time.Hour, reason: oauth2.ReasonRefreshExpired},
		"a lifetime that was made longer":            {limits: oauth2.Refreshing{Lifetime: 48 * time.Hour}, at: 24 * time.Hour, reason: oauth2.ReasonRefreshExpired},
		"a client whose refresh tokens were removed": {limits: oauth2.Refreshing{Idle: 1}, at: 1, reason: oauth2.ReasonRefreshExpired},
		"in use":                       {limits: idle, issued: 2 * time.Hour, at: 3*time.Hour - 1, outcome: codegrant.Rotate, next: 1},
		"idle":                         {limits: idle, issued: 2 * time.Hour, at: 3 * time.Hour, reason: oauth2.ReasonRefreshExpired},
		"idle, and it does not rotate": {limits: idle, stays: true, at: 3 * time.Hour, outcome: codegrant.Keep},
		"the last refresh":             {limits: limited, generation: 2, refreshes: 2, known: codegrant.Known{Generation: 2}, at: time.Hour, outcome: codegrant.Rotate, next: 3},
		"one more":                     {limits: limited, generation: 3, refreshes: 3, known: codegrant.Known{Generation: 3}, at: time.Hour, reason: oauth2.ReasonRefreshesUsedUp},
		"the last one once more, within a minute":       {limits: limited, generation: 2, refreshes: 2, known: codegrant.Known{Generation: 3, From: later(time.Hour + minute)}, at: time.Hour, outcome: codegrant.Retry, next: 3},
		"the last one once more, as there was no other": {limits: limited, generation: 2, refreshes: 2, known: codegrant.Known{Generation: 3, From: later(0)}, at: time.Hour, reason: oauth2.ReasonRefreshesUsedUp},
		"a limit that was lowered":                      {limits: limited, generation: 9, refreshes: 9, known: codegrant.Known{Generation: 9}, at: time.Hour, reason: oauth2.ReasonRefreshesUsedUp},
		"an old one where there is a limit":             {limits: limited, generation: 1, refreshes: 1, known: codegrant.Known{Generation: 3}, at: time.Hour, outcome: codegrant.Reuse, reason: oauth2.ReasonRefreshReused},
	} {
		t.Run(name, func(t *testing.T) {
			code := codeOf(t)
			limits := c.limits
			if limits == (oauth2.Refreshing{}) {
				limits = aDay
			}
			refresh, ok := codegrant.NewRefresh(code, aDay, now)
			if !ok {
				t.Fatal("there is no refresh token")
			}
			refresh.Generation, refresh.Refreshes, refresh.IssuedAt = c.generation, c.refreshes, now.Add(c.issued)
			next, outcome, err := refresh.Judge(c.known, limits, !c.stays, now.Add(c.at))
			if _, reason := refusalOf(err); outcome != c.outcome || reason != c.reason || (err == nil) != (c.reason == "") {
				t.Fatalf("outcome %d because of %q, want %d and %q: %v", outcome, reason, c.outcome, c.reason, err)
			}
			switch c.outcome {
			case codegrant.Rotate, codegrant.Retry:
				if next.Generation != c.next || next.Refreshes != c.refreshes+1 || next.Grant != refresh.Grant || !next.ExpiresAt.Equal(refresh.ExpiresAt) || !next.Began.Equal(now) {
					t.Errorf("the next one is %+v", next)
				}
			case codegrant.Refused, codegrant.Reuse:
				if next.Grant != "" {
					t.Errorf("there is a next one: %+v", next)
				}
			case codegrant.Keep:
				if next.Generation != refresh.Generation || next.Refreshes != refresh.Refreshes {
					t.Errorf("the next one is %+v", next)
				}
			}
		})
	}
}

func TestWhichClientsHaveRefreshTokens(t *testing.T) {
	for name, c := range map[string]struct {
		limits oauth2.Refreshing
		want   bool
	}{
		"none":            {oauth2.Refreshing{}, false},
		"without a limit": {aDay, true},
		"one refresh":     {oauth2.Refreshing{Lifetime: time.Hour, Limited: true, Max: 1}, true},
		"no refresh":      {oauth2.Refreshing{Lifetime: time.Hour, Limited: true}, false},
	} {
		if _, ok := codegrant.NewRefresh(codeOf(t), c.limits, now); ok != c.want {
			t.Errorf("a client with %s has a refresh token: %t", name, ok)
		}
	}
	confidential, public, limited := clientWith(), clientWith(), clientWith()
	public.Credentials.Public, limited.Codes.Refresh.Limited = true, true
	if codegrant.Rotates(confidential) || !codegrant.Rotates(public) || !codegrant.Rotates(limited) || codegrant.Rotates(&oauth2.Client{}) {
		t.Error("other refresh tokens rotate than those of public clients and those with a limit")
	}
	refresh := refreshOf(t)
	other := clientWith()
	other.UID = "other"
	if refresh.Check(confidential) != nil || refresh.Check(other) == nil {
		t.Error("a refresh token is accepted from another client, or not from its own")
	}
}

// cluster is three token servers with clocks that differ, and what is durable about a grant. Each
// replica knows at once what it has written, and what another one has written a few seconds later.
type cluster struct {
	random  *rand.Rand
	offsets [3]time.Duration
	writes  []write
	// earliest means that the earlier of two instants of one generation counts, which leaves
	// honest clients less time; otherwise the later does, which leaves a thief more.
	earliest bool
	ended    bool
}

type write struct {
	number  uint32
	from    time.Time
	visible [3]time.Time
}

const (
	clockOffset = 10 * time.Second
	lag         = 5 * time.Second
)

func newCluster(random *rand.Rand) *cluster {
	c := &cluster{random: random}
	for i := range c.offsets {
		c.offsets[i] = c.upTo(2*clockOffset) - clockOffset
	}
	return c
}

func (c *cluster) upTo(d time.Duration) time.Duration {
	return time.Duration(c.random.Int64N(int64(d)))
}

// known is what a replica knows: the highest generation, from one of its instants.
func (c *cluster) known(replica int, at time.Time) (k codegrant.Known) {
	k.Ended = c.ended
	for _, w := range c.writes {
		switch {
		case at.Before(w.visible[replica]), w.number < k.Generation:
		case w.number > k.Generation, w.from.Before(k.From) == c.earliest:
			k.Generation, k.From = w.number, w.from
		}
	}
	return k
}

// refresh is a request at some replica. lost means that the grant is over.
func (c *cluster) refresh(token codegrant.Refresh, limits oauth2.Refreshing, at time.Time) (next codegrant.Refresh, lost bool) {
	replica := c.random.IntN(3)
	clock := at.Add(c.offsets[replica])
	next, outcome, err := token.Judge(c.known(replica, at), limits, true, clock)
	switch outcome {
	case codegrant.Rotate:
		w := write{number: next.Generation, from: clock.Add(codegrant.Grace)}
		for i := range w.visible {
			w.visible[i] = at.Add(c.upTo(lag))
		}
		w.visible[replica] = at
		if c.writes = append(c.writes, w); len(c.writes) > 32 {
			c.writes = c.writes[1:]
		}
	case codegrant.Reuse:
		c.ended = true
	case codegrant.Refused, codegrant.Keep, codegrant.Retry:
	}
	return next, err != nil
}

// An honest client does not lose a grant. It loses answers and requests, repeats them for up to
// half a minute, and has up to three processes that read one stored token and refresh at once, of
// which the last answer is stored.
func TestHonestClientsLoseNoGrant(t *testing.T) {
	const refreshes, eachGrant = 100_000, 200
	random := rand.New(rand.NewPCG(24, 1)) //nolint:gosec // a simulation with a seed
	limits := oauth2.Refreshing{Lifetime: 90 * 24 * time.Hour, Limited: true, Max: eachGrant}
	done, requests, retries := 0, 0, 0
	for done < refreshes {
		c := newCluster(random)
		c.earliest = true
		at := now
		token, ok := codegrant.NewRefresh(codeOf(t), limits, at)
		if !ok {
			t.Fatal("there is no refresh token")
		}
		for round := range eachGrant {
			at = at.Add(time.Minute + c.upTo(8*time.Hour))
			if at.Sub(now) > 80*24*time.Hour {
				break
			}
			stored, answered := token, false
			processes := 1
			if random.IntN(4) == 0 {
				processes = 2 + random.IntN(2)
			}
			for range processes {
				begin := c.upTo(10 * time.Second)
				for try := range 8 {
					requests++
					retries += min(try, 1)
					lostRequest, lostAnswer := random.IntN(4) == 0, random.IntN(4) == 0
					if lostRequest && try < 7 {
						begin += c.upTo(3 * time.Second)
						continue
					}
					next, lost := c.refresh(token, limits, at.Add(begin))
					if lost {
						t.Fatalf("round %d of a grant: refused at %s after %d refreshes; known %+v, presented generation %d", round, at, done, c.writes, token.Generation)
					}
					if lostAnswer && try < 7 {
						begin += c.upTo(3 * time.Second)
						continue
					}
					stored, answered = next, true
					break
				}
			}
			if !answered || stored.Refreshes != round+1 {
				t.Fatalf("round %d: refresh %d, answered %t", round, stored.Refreshes, answered)
			}
			token = stored
			done++
		}
	}
	t.Logf("%d refreshes of honest clients in %d requests, %d of them retries: 0 lost", done, requests, retries)
	if retries < refreshes/10 {
		t.Errorf("%d retries are too few to show anything", retries)
	}
}

// A thief copies a refresh token and uses it once within the minute in which the honest client
// refreshes, so that both have a successor. The thief uses its own at any other times. At
// the next but one refresh of the honest client, at the latest, the grant is over for both.
func TestAThiefIsFound(t *testing.T) {
	const schedules = 1000
	random := rand.New(rand.NewPCG(24, 2)) //nolint:gosec // a simulation with a seed
	atNext, atNextButOne := 0, 0
	for range schedules {
		c := newCluster(random)
		interval := func() time.Duration { return 5*time.Minute + c.upTo(4*time.Hour) }
		token, ok := codegrant.NewRefresh(codeOf(t), aDay, now)
		if !ok {
			t.Fatal("there is no refresh token")
		}
		at := now
		refresh := func(token codegrant.Refresh) codegrant.Refresh {
			next, lost := c.refresh(token, aDay, at)
			if lost {
				t.Fatalf("an honest refresh is refused before anything is stolen: generation %d", token.Generation)
			}
			return next
		}
		for range random.IntN(5) {
			at = at.Add(20 * time.Minute)
			token = refresh(token)
		}
		// the thief is first, or the honest client is
		at = at.Add(20 * time.Minute)
		first := refresh(token)
		at = at.Add(c.upTo(codegrant.Grace - 2*clockOffset - lag))
		second := refresh(token)
		honest, thief := first, second
		if random.IntN(2) == 0 {
			honest, thief = second, first
		}
		found := -1
		for round := 1; round <= 2 && found < 0; round++ {
			begin := at
			at = at.Add(interval())
			// the thief refreshes before the honest client does, in one of the two
			// rounds at least, and not within a minute of it
			if round == 2 || random.IntN(2) == 0 {
				thiefAt := begin.Add(2*time.Minute + c.upTo(at.Sub(begin)-4*time.Minute))
				if next, lost := c.refresh(thief, aDay, thiefAt); !lost {
					thief = next
				}
			}
			next, lost := c.refresh(honest, aDay, at)
			if lost {
				found = round
			}
			honest = next
		}
		if found < 0 || !c.ended {
			t.Fatalf("the thief is not found after two refreshes of the honest client: ended %t, %+v", c.ended, c.writes)
		}
		if found == 1 {
			atNext++
		} else {
			atNextButOne++
		}
		if _, lost := c.refresh(thief, aDay, at.Add(time.Second)); !lost {
			t.Fatal("the thief refreshes after the end of the grant")
		}
	}
	t.Logf("found at the next refresh of the honest client: %d, at the next but one: %d", atNext, atNextButOne)
	if atNext == 0 || atNextButOne == 0 {
		t.Error("the schedules are all of one kind")
	}
}

// A thief that copied a token and comes late finds that it is replaced, and ends the grant.
func TestAnOldTokenEndsTheGrant(t *testing.T) {
	random := rand.New(rand.NewPCG(24, 3)) //nolint:gosec // a simulation with a seed
	for range 1000 {
		c := newCluster(random)
		token, ok := codegrant.NewRefresh(codeOf(t), aDay, now)
		if !ok {
			t.Fatal("there is no refresh token")
		}
		stolen, at := token, now
		for range 1 + random.IntN(5) {
			at = at.Add(10*time.Minute + c.upTo(time.Hour))
			token, _ = c.refresh(token, aDay, at)
		}
		if _, lost := c.refresh(stolen, aDay, at.Add(2*time.Minute)); !lost || !c.ended {
			t.Fatalf("a token that was replaced is refreshed: generation %d, known %+v", stolen.Generation, c.writes)
		}
		if _, lost := c.refresh(token, aDay, at.Add(3*time.Minute)); !lost {
			t.Fatal("the grant goes on")
		}
	}
}
