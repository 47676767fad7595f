// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"time"
)

// header explains the columns: CPU is the server's a request, as the mean of the quietest quarter
// of the rounds; ratio is that to the floor's, or to that with few clients; paired is the median of
// the rounds' own ratios, and spread the quartiles around it.
func (s settings) header() {
	s.print("\n%-40s %-24s %-15s %8s %6s %7s %12s %8s %9s %9s %6s\n",
		"path", "transport", "server", "CPU", "ratio", "paired", "spread", "req/s", "p50", "p99", "goal")
}

// row prints what was measured of one server on one path.
func (s settings) row(p path, floor, c *contestant) {
	ratios := paired(c.turns, floor.turns, func(t turn) time.Duration { return t.processor })
	var latencies []time.Duration
	var elapsed time.Duration
	for _, t := range c.turns {
		latencies = append(latencies, t.latencies...)
		elapsed += t.elapsed
	}
	slices.Sort(latencies)
	quiet := quietest(c.turns)
	goal := ""
	if c != floor && c.fixed == nil && p.goal > 0 {
		goal = fmt.Sprintf("%.2f", p.goal)
	}
	s.print("%-40s %-24s %-15s %6.1fµs %6.3f %7.3f %5.2f-%-6.2f %8.0f %9s %9s %6s\n",
		p.name, p.transport, c.name, quiet, quiet/quietest(floor.turns), at(ratios, .5), at(ratios, .25), at(ratios, .75),
		float64(len(latencies))/elapsed.Seconds(), at(latencies, .5).Round(time.Microsecond), at(latencies, .99).Round(time.Microsecond), goal)
}

// besideForwardAuth returns what a request of Envoy costs beside forward-auth on the floor over
// HTTP, where both were measured.
func (s settings) besideForwardAuth(results map[string][]*contestant) {
	http, envoy := results[forwarding], results[forEnvoy]
	if http == nil || envoy == nil {
		return
	}
	least := quietest(http[0].turns)
	s.print("%s costs %s %.2f and %s %.2f times what forward-auth costs the floor over %s\n", forEnvoy,
		envoy[0].name, quietest(envoy[0].turns)/least, envoy[1].name, quietest(envoy[1].turns)/least, plainHTTP)
}

// quietest is the mean of the cheapest quarter of the turns, in microseconds of CPU a request: what
// else the machine does makes a turn dearer and never cheaper.
func quietest(turns []turn) float64 {
	costs := make([]float64, len(turns))
	for i, t := range turns {
		costs[i] = float64(t.processor) / float64(time.Microsecond)
	}
	slices.Sort(costs)
	quarter := costs[:max(1, len(costs)/4)]
	sum := 0.0
	for _, cost := range quarter {
		sum += cost
	}
	return sum / float64(len(quarter))
}

// at is a quantile of sorted values.
func at[T any](sorted []T, share float64) T {
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}
