// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"testing"
	"time"
)

// listsAgain makes client-go begin with a LIST; otherwise it has the watch deliver what is there.
const listsAgain = "KUBE_FEATURE_WatchListClient=false"

// TestOperationsArriveThroughABadNetwork does what changes credentials while the way to the API
// server is bad in one way, and then no more.
func TestOperationsArriveThroughABadNetwork(t *testing.T) {
	for name, network := range map[string]struct{ worsen, mend func() }{
		"it refuses":              {func() { proxy.SetRefuse(true) }, func() { proxy.SetRefuse(false) }},
		"it is slow":              {func() { proxy.SetDelay(100 * time.Millisecond) }, func() { proxy.SetDelay(0) }},
		"its watches stand still": {proxy.Freeze, proxy.Thaw},
		"its lists are old":       {func() { proxy.SetReplay(true) }, func() { proxy.SetReplay(false) }},
	} {
		t.Run(name, func(t *testing.T) {
			for _, what := range []string{"create", "rotate", "repair a deleted Secret", "delete"} {
				t.Run(what, func(t *testing.T) {
					op := operations()[what]
					c, before, m := prepare(t, op, listsAgain)
					t.Cleanup(network.mend)
					network.worsen()
					op.do(t, c)
					if name == "its lists are old" {
						// A manager that starts now sees the cluster as it
						// was, and must not act on that for good.
						m.kill(t)
						m = startManager(t, listsAgain)
					}
					time.Sleep(2 * silence)
					network.mend()
					m.settles(t, op, c, before)
					m.kill(t)
				})
			}
		})
	}
}
