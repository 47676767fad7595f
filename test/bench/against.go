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
	// before is the name of the server of -against.
	before = "before"
	// beforeGoal is the highest acceptable median ratio of CPU.
	beforeGoal = 1.03

	defaultRounds = 12
	// pairedRounds is the default with -against. In a multiple of six rounds, three servers run
	// in each order equally often.
	pairedRounds = 24
)

// complete sets defaults that depend on other flags, and validates the flags.
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
		return errors.New("-against and -growth cannot be combined")
	}
	if _, err := exec.LookPath(s.against); err != nil {
		return fmt.Errorf("find the binary of -against: %w", err)
	}
	return nil
}

// startBefore starts the token servers of -against, with the flags and clients of the new ones.
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

// order is the order of the turns in a round. Over 2n rounds of n servers, each server has each
// position twice, and runs before each other server in half of the rounds.
func order[T any](servers []T, round int) []T {
	first := round / 2 % len(servers)
	turns := append(slices.Clone(servers[first:]), servers[:first]...)
	if round%2 == 1 {
		slices.Reverse(turns)
	}
	return turns
}

// pairing has the turns of both binaries on a path.
type pairing struct {
	path        path
	now, before []turn
}

// besideBefore prints the table of -against: the medians and quartiles of the ratios of each round.
func (s settings) besideBefore(pairings []pairing) {
	if s.against == "" {
		return
	}
	s.print("\nratio of the new binary to that of -against, median and quartiles of %d paired rounds\n", s.rounds)
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

// paired are the ratios of two servers in each round, sorted.
func paired(now, then []turn, figure func(turn) time.Duration) []float64 {
	ratios := make([]float64, len(now))
	for i := range now {
		ratios[i] = float64(figure(now[i])) / float64(figure(then[i]))
	}
	slices.Sort(ratios)
	return ratios
}
