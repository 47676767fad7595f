// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command scale measures how the installation grows with the number of its clients: the real
// manager and token server beside the embedded control plane, with as many OAuth2Clients as are
// asked for, created in bulk. After all sizes it prints by which power of the number of clients
// each figure grows: 1 is in proportion, 0 is not at all.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hallpass-dev/hallpass/test/bench/program"
)

// settings are the flags.
type settings struct {
	sizes  string
	copies int
	idle   time.Duration
	settle time.Duration
	output io.Writer
}

func main() {
	s := settings{output: os.Stdout}
	flag.StringVar(&s.sizes, "sizes", "1000,10000", "numbers of clients, separated by commas; each size has a control plane of its own")
	flag.DurationVar(&s.idle, "idle", 10*time.Second, "how long to watch for writes while nothing changes")
	flag.DurationVar(&s.settle, "settle", 150*time.Second, "how long the memory of the processes is left to settle: the runtime gives back within minutes what a burst took")
	flag.IntVar(&s.copies, "copies", 0, "at last write so many copies of what etcd holds for one client, and tell what they take; 0 writes none")
	ctrl.SetLogger(logr.Discard()) // or its client complains that it has none
	program.Run("bench-scale", func(ctx context.Context) error { return run(ctx, s) })
}

func run(ctx context.Context, s settings) error {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(s.output, format, args...) }
	say("%s %s/%s, %d CPUs for the control plane and all else; etcd without fsync\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	var all []figures
	for field := range strings.SplitSeq(s.sizes, ",") {
		size, err := strconv.Atoi(field)
		if err != nil || size < 1 {
			return fmt.Errorf("%q is not a number of clients", field)
		}
		found, err := measure(ctx, size, s, say)
		if err != nil {
			return fmt.Errorf("%d clients: %w", size, err)
		}
		all = append(all, found)
	}
	var missed []string
	for i := range all {
		if i > 0 {
			grow(all[i-1], all[i], say)
		}
		missed = append(missed, all[i].missed()...)
	}
	if len(missed) > 0 {
		return fmt.Errorf("goals are missed: %s", strings.Join(missed, "; "))
	}
	return nil
}

// goalsFrom is the number of clients from which on the goals hold: with fewer, what a process has
// without clients decides the figures.
const goalsFrom = 10_000

// figures are what was measured at one size, in the order of measuring.
type figures struct {
	clients int
	lines   []figure
}

// figure has a goal, which its value should not exceed, or the zero goal if it has none.
type figure struct {
	name  string
	value float64
	unit  string
	goal  float64
}

func (f *figures) add(name string, value float64, unit string) {
	f.lines = append(f.lines, figure{name: name, value: value, unit: unit})
}

// aim adds a figure with a goal.
func (f *figures) aim(name string, value float64, unit string, goal float64) {
	f.lines = append(f.lines, figure{name, value, unit, goal})
}

// missed are the figures beyond their goals, as sentences.
func (f *figures) missed() (missed []string) {
	for _, line := range f.lines {
		if f.clients >= goalsFrom && line.goal > 0 && line.value > line.goal {
			missed = append(missed, strings.TrimSpace(fmt.Sprintf("with %d clients, %s is %.2f %s", f.clients, line.name, line.value, line.unit))+
				fmt.Sprintf(", and the goal is at most %g", line.goal))
		}
	}
	return missed
}

func (f *figures) took(name string, d time.Duration) { f.add(name, d.Seconds(), "s") }

func (f *figures) print(say func(string, ...any)) {
	say("\n%d clients\n", f.clients)
	for _, line := range f.lines {
		text := fmt.Sprintf("  %-60s %10.3f %s", line.name, line.value, line.unit)
		if line.goal > 0 {
			text += fmt.Sprintf(" (goal %g)", line.goal)
		}
		say("%s\n", text)
	}
}

// grow prints the exponent of each figure between two sizes.
func grow(small, large figures, say func(string, ...any)) {
	say("\ngrowth from %d to %d clients, as the power of their number\n", small.clients, large.clients)
	times := math.Log(float64(large.clients) / float64(small.clients))
	for i, line := range large.lines {
		before := small.lines[i].value
		if before <= 0 || line.value <= 0 {
			say("  %-60s %10s\n", line.name, "-")
			continue
		}
		say("  %-60s %10.2f\n", line.name, math.Log(line.value/before)/times)
	}
}
