// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
)

const (
	// paceEvery is how often the CPU is compared with the share.
	paceEvery = 500 * time.Millisecond
	// maxLevel bounds a level where the machine is too busy to give the share.
	maxLevel = 50
	// quietLimit is how long a turn waits for what the turn before has left behind.
	quietLimit = 20 * time.Second
)

type measurement struct {
	settings

	world             *world
	honest            *honest
	spinners, tenants *child
	say               func(string, ...any)

	// base is the CPU that the installation uses for the honest tenant, as a share of the
	// machine.
	base            float64
	control, beside results
}

// results are what the honest tenant saw in the turns of one kind.
type results struct {
	samples

	shares []float64
}

// take measures all turns. The first one, of the honest tenant alone, is for its CPU.
func (m *measurement) take(ctx context.Context) error {
	alone := results{}
	if err := m.turn(ctx, nil, &alone); err != nil {
		return err
	}
	for range m.rounds {
		if err := m.turn(ctx, m.spinners, &m.control); err != nil {
			return err
		}
		if err := m.turn(ctx, m.tenants, &m.beside); err != nil {
			return err
		}
	}
	return nil
}

// turn has the honest tenant work beside spinners, beside hostile tenants, or alone.
func (m *measurement) turn(ctx context.Context, beside *child, into *results) error {
	if err := m.quiet(ctx); err != nil {
		return err
	}
	if beside != nil {
		if err := beside.level(beside.at); err != nil {
			return err
		}
	}
	settling := samples{}
	if err := m.honest.work(ctx, m.settle, &settling, m.paced(beside)); err != nil {
		return err
	}
	into.refused = append(into.refused, settling.refused...)
	began, used := time.Now(), m.used(beside)
	world := m.world.cpu()
	err := m.honest.work(ctx, m.settings.turn, &into.samples, m.paced(beside))
	machine := time.Since(began).Seconds() * float64(runtime.NumCPU())
	into.shares = append(into.shares, (m.used(beside)-used).Seconds()/machine-m.excess(beside))
	if beside != m.tenants {
		m.base = (m.world.cpu() - world).Seconds() / machine
	}
	if beside != nil {
		err = errors.Join(err, beside.level(0))
	}
	return err
}

// used is the CPU of what is paced: of spinners their own, of hostile tenants all that the
// installation uses too.
func (m *measurement) used(beside *child) time.Duration {
	switch beside {
	case nil:
		return 0
	case m.tenants:
		return beside.cpu() + m.world.cpu()
	}
	return beside.cpu()
}

// excess is the part of used that is not caused by what is paced.
func (m *measurement) excess(beside *child) float64 {
	if beside == m.tenants {
		return m.base
	}
	return 0
}

// paced compares the CPU of the child with the share, and sets its level by what it has used since
// the last time.
func (m *measurement) paced(beside *child) func() error {
	if beside == nil {
		return func() error { return nil }
	}
	last, at := m.used(beside), time.Now()
	return func() error {
		now, used := time.Now(), m.used(beside)
		measured := (used-last).Seconds()/(now.Sub(at).Seconds()*float64(runtime.NumCPU())) - m.excess(beside)
		last, at = used, now
		change := m.share / max(measured, m.share/4)
		return beside.level(min(beside.at*min(max(change, 0.75), 1.25), maxLevel))
	}
}

// quiet waits until the installation has done what a turn has left to do.
func (m *measurement) quiet(ctx context.Context) error {
	const idle = 0.05
	for end := time.Now().Add(quietLimit); time.Now().Before(end); {
		before := m.world.cpu()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
		if (m.world.cpu() - before).Seconds() < idle*float64(runtime.NumCPU()) {
			return nil
		}
	}
	return nil
}

// report prints both kinds of turns and their ratios, and fails for a refusal or a ratio beyond the
// goal.
func (m *measurement) report() error {
	m.say("%-17s %-10s %-38s %-38s %s", "the honest tenant", "CPU share", "apply -> Ready: n, p50, p99, max", "token request: n, p50, p99, max", "refused")
	row := func(name string, r *results) {
		m.say("%-17s %-10.2f %-38s %-38s %d", name, mean(r.shares), line(r.ready), line(r.tokens), len(r.refused))
	}
	row("beside spinners", &m.control)
	row("beside tenants", &m.beside)
	if got := min(mean(m.beside.shares), mean(m.control.shares)); got < m.share*0.9 {
		m.say("the machine is busy with other work: of a share of %.2f only %.2f was to be had. Repeat this where it is quiet.", m.share, got)
	}
	if m.stages {
		if err := m.reportStages(); err != nil {
			return err
		}
	}
	counted, err := m.tenants.end()
	m.say("what the hostile tenants did, by answer: %s", counted)
	errs := []error{err, m.compare("from apply to Ready", m.beside.ready, m.control.ready), m.compare("of token requests", m.beside.tokens, m.control.tokens)}
	for _, refused := range slices.Concat(m.control.refused, m.beside.refused) {
		errs = append(errs, fmt.Errorf("the honest tenant was refused: %s", refused))
	}
	return errors.Join(errs...)
}

// compare prints the ratio of a p99.
func (m *measurement) compare(what string, beside, control []time.Duration) error {
	ratio := float64(quantile(beside, .99)) / float64(max(quantile(control, .99), 1))
	m.say("the p99 %s is %.2f times that beside spinners", what, ratio)
	if m.goal > 0 && ratio > m.goal {
		return fmt.Errorf("the p99 %s is %.2f times that beside spinners; the goal is %.1f", what, ratio, m.goal)
	}
	return nil
}

func line(took []time.Duration) string {
	round := func(of float64) time.Duration { return quantile(took, of).Round(100 * time.Microsecond) }
	return fmt.Sprintf("%d, %s, %s, %s", len(took), round(.5), round(.99), round(1))
}

// quantile sorts what was measured.
func quantile(took []time.Duration, of float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(len(took)-1, int(of*float64(len(took))))]
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(max(len(values), 1))
}
