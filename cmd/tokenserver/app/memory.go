// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

// holding is something that a process holds in memory: how many at most, and the bytes of each.
type holding struct {
	what        string
	many, bytes int
}

// The sizes for which the memory of a container is shipped.
const (
	shippedClients = 100_000
	clientBytes    = 216 // a registration and its owner: TestBytes of directory/memory
	usedBytes      = 96  // what is gathered of the use of a client until it is reported
	snapshotBytes  = 256 // a client in the file of the snapshot
)

// holdings are what counts for GOMEMLIMIT. What callers can make the process hold is the room of
// package serve, whatever they do; the rest is bounded by what the cluster has.
func holdings() []holding {
	return []holding{
		{"the process at rest: libraries, metrics, budgets", 1, 16 << 20},
		{"headroom of the garbage collector", 1, heapHeadroom},
		{"clients", shippedClients, clientBytes},
		{"tombstones of what was deleted", 100_000, 48},
		{"use that is not reported yet", shippedClients, usedBytes},
		{"long bodies over HTTP/1.1", 64, oauth2.MaxFormBytes},
		{"pages of the feed of revocations, being rendered", 8, 1 << 20},
		{"connections, requests, bodies, answers that are not taken", 1, serve.DefaultRoom},
	}
}

// snapshotFile is the snapshot with the one that replaces it, which count for the container alone.
func snapshotFile() holding {
	return holding{"the snapshot and its successor", 2 * shippedClients, snapshotBytes}
}
