// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"
)

const (
	// before is the name of the binary that -against compares with.
	before = "before"
	// beforeGoal is the highest median of paired rounds that a change may leave on a path.
	beforeGoal = 1.03

	defaultRounds = 12
	// pairedRounds is the default with -against: a multiple of six, so that three servers stand in every order equally often.
	pairedRounds = 24
)

// complete sets the defaults that depend on other flags, and refuses what does not go together.
func (s *settings) complete() error {
	if s.rounds == 0 {
		s.rounds = defaultRounds
		if s.against != "" {
			s.rounds = pairedRounds
		}
	}
	if s.against == "" {
		return nil
	}
	if s.growth > 0 {
		return errors.New("-against and -growth do not go together: each of them says what the token server is compared with")
	}
	if _, err := exec.LookPath(s.against); err != nil {
		return fmt.Errorf("find the binary of -against: %w", err)
	}
	return nil
}

// startBefore starts the token servers of before, if -against names one, with the flags and the clients of the new ones.
func (w *world) startBefore(ctx context.Context) (err error) {
	if w.against == "" {
		return nil
	}
	if w.before, err = w.startTokenServer(ctx, w.against, before, false); err != nil {
		return err
	}
	w.beforeOverTLS, err = w.startTokenServer(ctx, w.against, before+"-tls", true)
	return err
}

// order is the order of the turns in a round. In twice as many rounds as there are servers, each stands at every place equally
// often, and stands before every other as often as after it.
func order[T any](servers []T, round int) []T {
	first := round / 2 % len(servers)
	turns := append(slices.Clone(servers[first:]), servers[:first]...)
	if round%2 == 1 {
		slices.Reverse(turns)
	}
	return turns
}

// pairing is what the two binaries did on one path.
type pairing struct {
	path        path
	now, before []turn
}

// besideBefore prints the table of -against: of each path the medians and quartiles of the rounds' own ratios.
func (s settings) besideBefore(pairings []pairing) {
	if s.against == "" {
		return
	}
	s.print("\nnew binary / binary of before, medians and quartiles of %d paired rounds\n", s.rounds)
	s.print("%-40s %-24s %7s %12s %7s %12s %6s\n", "path", "transport", "CPU", "spread", "time", "spread", "goal")
	missed := 0
	for _, p := range pairings {
		processor := paired(p.now, p.before, func(t turn) time.Duration { return t.processor })
		elapsed := paired(p.now, p.before, func(t turn) time.Duration { return t.elapsed })
		note := ""
		if at(processor, .5) > beforeGoal {
			missed++
			note = " missed"
		}
		s.print("%-40s %-24s %7.3f %5.2f-%-6.2f %7.3f %5.2f-%-6.2f %6.2f%s\n", p.path.name, p.path.transport,
			at(processor, .5), at(processor, .25), at(processor, .75), at(elapsed, .5), at(elapsed, .25), at(elapsed, .75), beforeGoal, note)
	}
	s.print("CPU above the goal on %d of %d paths\n", missed, len(pairings))
}

// paired is the ratios of a figure of two servers in each round, sorted.
func paired(now, then []turn, figure func(turn) time.Duration) []float64 {
	ratios := make([]float64, len(now))
	for i := range now {
		ratios[i] = float64(figure(now[i])) / float64(figure(then[i]))
	}
	slices.Sort(ratios)
	return ratios
}
