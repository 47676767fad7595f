// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/reporter"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

// holding is something that a process holds in memory: how many at most, and the bytes of each.
type holding struct {
	what        string
	many, bytes int
}

// The sizes for which the memory of a container is shipped.
const (
	shippedClients = registration.MaxClients
	// clientSlots are those of the table of clients and their owners, which is a power of two
	// and never fuller than seven eighths, and clientSlot is the size of each.
	clientSlots, clientSlot = 1 << 17, 89
	// a client and its owner in the file of the snapshot, beside the record.
	snapshotBytes = 90
	// liveRevocations are those at which more are refused: a quarter more than the bound, past
	// which they are collapsed.
	liveRevocations = (1 << 18) + (1 << 16)
	usedAssertions  = 384 << 10 // of each replica
	entryBytes      = 28        // a revocation.Entry; what a file has of it is no more
	socketBytes     = 4 << 10   // an idle connection, in the kernel
)

// holdings are what counts for GOMEMLIMIT. The room of package serve bounds what callers without
// credentials can make the process hold; the other tables have bounds of their own.
func holdings() []holding {
	return []holding{
		{"the process at rest: libraries, metrics, budgets", 1, 12 << 20},
		{"headroom of the garbage collector", 1, heapHeadroom},
		{"the table of clients and their owners", clientSlots, clientSlot},
		{"records of clients, resources and minted tokens", 1, registration.MaxRecords},
		{"tombstones of deleted objects", 100_000, 60},
		{"uses of nine days", 1, reporter.MaxBytes},
		{"a report of them, while one is put together", 1, reporter.MaxBytes / 2},
		{"live revocations", liveRevocations, entryBytes},
		{"client assertions that this replica saw", usedAssertions, 32},
		{"client assertions that it and two others wrote", 3 * usedAssertions, entryBytes},
		{"verdicts on service accounts' tokens", 16 << 10, 192},
		{"tokens whose signature is known to be good", 16 << 10, 900},
		{"refusals counted for a later audit line", 2 << 10, 2 << 10},
		{"pages of the feed of revocations, being rendered", 8, 512 << 10},
		{"connections, requests, bodies, answers that are not taken", 1, serve.DefaultRoom},
		{"the same of the ops port", 1, opsRoom},
	}
}

// outside are what counts for the limit of the container alone.
func outside() []holding {
	return []holding{
		{"clients and their owners in the snapshot and its successor", 2 * shippedClients, snapshotBytes},
		{"records in both", 2, registration.MaxRecords},
		{"revocations in both", 2 * liveRevocations, entryBytes},
		{"assertions in both", 2 * 3 * usedAssertions, 20},
		{"sockets", serve.DefaultMaxConnections, socketBytes},
	}
}

// sum adds up what a table holds.
func sum(table []holding) (bytes int) {
	for _, h := range table {
		bytes += h.many * h.bytes
	}
	return bytes
}
