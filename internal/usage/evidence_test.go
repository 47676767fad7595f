// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	day  = 24 * time.Hour
	soon = time.Minute
)

// healthy is a replica that has reported all since long ago.
func healthy(now time.Time) Replica {
	return Replica{
		Name: "healthy", StartedAt: now.Add(-30 * day), CoveredFrom: now.Add(-30 * day), CoveredUntil: now.Add(-soon), MaxStaleness: day, Complete: true,
	}
}

func TestJudge(t *testing.T) {
	now := noon
	longAgo := now.Add(-7 * day)
	with := func(change func(r *Replica)) []Replica {
		other := healthy(now)
		other.Name = "other"
		change(&other)
		return []Replica{healthy(now), other}
	}
	for name, row := range map[string]struct {
		replicas []Replica
		watched  time.Time
		used     Minute
		want     Finding
		replica  string
		ask      time.Time
	}{
		"nobody used it":                             {replicas: with(func(*Replica) {}), want: Unused},
		"it was used long ago":                       {replicas: with(func(*Replica) {}), used: MinuteOf(now.Add(-2 * day)), want: Unused},
		"it was used an hour ago":                    {replicas: with(func(*Replica) {}), used: MinuteOf(now.Add(-time.Hour)), want: NotUnusedForLong, ask: now.Add(day - time.Hour + time.Minute + clockSkew)},
		"it was replaced an hour ago":                {replicas: with(func(*Replica) {}), watched: now.Add(-time.Hour), want: NotUnusedForLong, ask: now.Add(day - time.Hour + clockSkew)},
		"it was used exactly so long ago":            {replicas: with(func(*Replica) {}), used: MinuteOf(now.Add(-day)), want: NotUnusedForLong, ask: now.Add(time.Minute + clockSkew)},
		"there is no report":                         {want: NotReported},
		"a replica has just begun":                   {replicas: with(func(r *Replica) { r.StartedAt, r.CoveredFrom, r.CoveredUntil = now, now, time.Time{} }), want: Unused},
		"only replicas that stopped are there":       {replicas: []Replica{{Name: "gone", StartedAt: longAgo, Stopped: true, Complete: true}}, want: NotReported},
		"one has stopped":                            {replicas: with(func(r *Replica) { r.Stopped, r.CoveredUntil = true, now.Add(-3*time.Hour) }), want: Unused},
		"a part of a report is missing":              {replicas: with(func(r *Replica) { r.Complete = false }), want: NotReported, replica: "other"},
		"a part of one that stopped is missing":      {replicas: with(func(r *Replica) { r.Stopped, r.Complete = true, false }), want: NotReported, replica: "other"},
		"a report lacks what was before an hour ago": {replicas: with(func(r *Replica) { r.CoveredFrom = now.Add(-time.Hour) }), want: NotUnusedForLong, ask: now.Add(day - time.Hour + clockSkew)},
		"a report is from the future":                {replicas: with(func(r *Replica) { r.CoveredUntil = now.Add(time.Hour) }), want: NotReported, replica: "other"},
		"a replica is silent for a little while":     {replicas: with(func(r *Replica) { r.CoveredUntil = now.Add(-29 * time.Minute) }), want: Unused},
		"a replica is silent for an hour": {
			replicas: with(func(r *Replica) { r.CoveredUntil = now.Add(-time.Hour) }),
			want:     NotReported, replica: "other", ask: now.Add(day - time.Hour + clockSkew),
		},
		"a replica was killed before it was replaced, and may not have heard of that": {
			replicas: with(func(r *Replica) { r.CoveredUntil = longAgo }), watched: now.Add(-20 * time.Hour),
			want: NotReported, replica: "other", ask: now.Add(4*time.Hour + clockSkew),
		},
		"a replica fell silent so long ago that it accepts nothing": {
			replicas: with(func(r *Replica) { r.CoveredUntil = now.Add(-3 * day) }), want: Unused,
		},
		"a replica may have used it until it accepted nothing any more": {
			replicas: with(func(r *Replica) { r.CoveredUntil = now.Add(-36 * time.Hour) }), want: NotUnusedForLong, ask: now.Add(12*time.Hour + 2*clockSkew),
		},
		"a replica without a limit is silent": {
			replicas: with(func(r *Replica) { r.CoveredUntil, r.MaxStaleness = now.Add(-20*day), 0 }), want: NotReported, replica: "other",
		},
	} {
		t.Run(name, func(t *testing.T) {
			watched := row.watched
			if watched.IsZero() {
				watched = longAgo
			}
			got := Judge(row.replicas, Question{WatchedSince: watched, LastUsed: row.used, UnusedFor: day, Now: now})
			if got.Finding != row.want || got.Replica != row.replica || !got.Ask.Equal(row.ask) {
				t.Errorf("%+v, want %s of %q, ask at %s", got, row.want, row.replica, row.ask)
			}
		})
	}
}

// process is one process of the token server in a made-up history. It follows the rules that Judge
// counts on.
type process struct {
	report Replica
	uses   []time.Time // that its report does not contain yet
	told   Minute
	heard  time.Time
	// cut means that it does not reach the API server, mute that it cannot write its report.
	cut, mute, opened, bridging bool
	vouched                     time.Time
	dead                        bool
	// snapshot is when the process, or one before it, last wrote down what it knew; zero if
	// there is no file.
	snapshot time.Time
	// busy means that the holder of the secret asks this process; no process else is asked.
	busy bool
}

type history struct {
	*rand.Rand

	t         *testing.T
	now       time.Time
	limit     time.Duration
	watched   time.Time
	processes []*process
	used      []time.Time
	unusedFor time.Duration
	names     int
}

// begin starts a process, beside a snapshot of that instant. Where the API server cannot be
// reached, it continues from it.
func (h *history) begin(snapshot time.Time, cut bool) {
	h.names++
	p := &process{
		cut: cut, mute: h.IntN(6) == 0, busy: h.IntN(5) == 0, heard: h.now,
		report: Replica{Name: fmt.Sprint("r", h.names), StartedAt: h.now, CoveredFrom: h.now, MaxStaleness: h.limit, Complete: true},
	}
	p.snapshot = snapshot
	if cut {
		p.bridging, p.heard = !snapshot.IsZero(), snapshot
	}
	h.processes = append(h.processes, p)
}

func (h *history) vouches(p *process) bool { return p.opened && h.now.Sub(p.vouched) <= h.limit }

// accepts are the rules of the token server.
func (h *history) accepts(p *process) bool {
	vouches := h.vouches(p)
	unheard := h.now.Sub(p.heard)
	aware := !p.heard.Before(h.watched)
	return !p.dead && unheard <= h.limit && (vouches || p.bridging || unheard <= UnheardLimit) && (vouches || !aware)
}

// write stores the report of a process if it can; what happened in the last minute may be missing.
func (h *history) write(p *process, stopped bool) bool {
	if p.cut || p.mute {
		return false
	}
	for _, u := range p.uses {
		p.told = max(p.told, MinuteOf(u))
	}
	p.uses = nil
	p.report.Stopped = stopped
	if until := h.now.Add(-time.Minute); until.After(p.report.StartedAt) {
		p.report.CoveredUntil = until
	}
	p.opened, p.vouched = true, oauth2.Later(p.report.StartedAt, p.report.CoveredUntil)
	return true
}

// step lets five minutes pass, and something happen to a process.
func (h *history) step() {
	h.now = h.now.Add(5 * time.Minute)
	for _, p := range h.processes {
		if p.dead {
			continue
		}
		if !p.cut {
			p.heard, p.bridging = h.now, false
			if h.vouches(p) {
				p.snapshot = h.now
			}
		}
		if p.busy && h.IntN(10) == 0 && h.accepts(p) {
			h.used = append(h.used, h.now)
			p.uses = append(p.uses, h.now)
		}
		h.write(p, false)
	}
	p := h.processes[h.IntN(len(h.processes))]
	if p.dead {
		return
	}
	switch h.IntN(120) {
	case 0: // killed, and started again beside its snapshot
		p.dead = true
		h.begin(p.snapshot, p.cut)
	case 1: // killed with its node
		p.dead = true
		h.begin(time.Time{}, false)
	case 2: // stopped in order; its snapshot goes only if its report could be closed
		p.dead = true
		if h.write(p, true) {
			p.snapshot = time.Time{}
		}
		h.begin(p.snapshot, p.cut || h.IntN(2) == 0)
	case 3, 4:
		p.cut = true
	case 5, 6, 7, 8:
		p.cut, p.mute = false, false
	case 9:
		p.mute = true
	}
}

// judge asks, and checks an answer that would end the secret against what really happened.
func (h *history) judge() bool {
	replicas, last := make([]Replica, 0, len(h.processes)), Minute(0)
	for _, p := range h.processes {
		if !p.opened {
			continue // no report contains it
		}
		replicas, last = append(replicas, p.report), max(last, p.told)
	}
	answer := Judge(replicas, Question{WatchedSince: h.watched, LastUsed: last, UnusedFor: h.unusedFor, Now: h.now})
	if answer.Finding != Unused {
		return false
	}
	for _, u := range h.used {
		if h.now.Sub(u) < h.unusedFor && h.now.Sub(u) > MaxSilence {
			h.t.Fatalf("at %s the secret is ended, which was used at %s", h.now, u)
		}
	}
	return true
}

func TestNoHistoryEndsASecretThatIsInUse(t *testing.T) {
	ended := 0
	for seed := range uint64(2000) {
		h := &history{
			Rand: rand.New(rand.NewPCG(seed, 0)), t: t, now: noon, limit: time.Duration(1+seed%24) * time.Hour, //nolint:gosec // a history to repeat
			unusedFor: time.Duration(1+seed%7) * time.Hour, watched: noon.Add(1000 * day),
		}
		for range 3 {
			h.begin(time.Time{}, false)
		}
		for range h.IntN(400) {
			h.step()
		}
		h.watched = h.now
		for range 900 {
			if h.step(); h.judge() {
				ended++
				break
			}
		}
	}
	if ended < 600 {
		t.Errorf("%d of 2000 histories end the secret; the others say nothing about when it is wrong to", ended)
	}
}

func TestAmongHealthyReplicasAnUnusedSecretEndsSoon(t *testing.T) {
	h := &history{t: t, Rand: rand.New(rand.NewPCG(1, 1)), now: noon, limit: day, unusedFor: time.Hour, watched: noon} //nolint:gosec // as above
	for range 3 {
		h.begin(time.Time{}, false)
	}
	for _, p := range h.processes {
		p.mute = false
	}
	for !h.judge() {
		h.now = h.now.Add(5 * time.Minute)
		for _, p := range h.processes {
			h.write(p, false)
		}
		if h.now.Sub(noon) > time.Hour+2*clockSkew+2*time.Minute {
			t.Fatal("it lives on")
		}
	}
}
