// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"

	"github.com/hallpass-dev/hallpass/internal/auth"
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
	// clientSlot is the size of each slot of the table of clients and their owners.
	clientSlot = 89
	// a client and its owner in the file of the snapshot, beside the record.
	snapshotBytes = 90
	// liveRevocations are those at which more are refused: a quarter more than the bound, past
	// which they are collapsed. Those of tokens that live long are among them.
	liveRevocations = (1 << 18) + (1 << 16)
	entryBytes      = 28 // a revocation.Entry; what a file has of it is no more
	// usedAssertions are those at which a replica accepts no more, whichever replicas accepted
	// them, and waitingAssertions those that the nine others were writing then.
	usedAssertions    = 576 << 10
	waitingAssertions = 9 * 64 << 10
	usedBytes         = 32 // of each, with the spare capacity of their lists
	// usedNamespaces are the namespaces of assertions in a file: 64 parts name 1,024 each.
	usedNamespaces = 64 << 10
	// grants are those with a generation at which there are no more, of 44 bytes in a map, and
	// redemptions those at which no code is redeemed.
	grants          = 1 << 16
	grantBytes      = 44
	redemptions     = 1 << 13
	redemptionBytes = 88
	socketBytes     = 4 << 10 // an idle connection, in the kernel
)

// clientSlots are the slots of the table of clients and their owners, which are a power of two and
// never fuller than seven eighths.
func clientSlots(clients int) int {
	slots := 1
	for clients > slots/8*7 {
		slots *= 2
	}
	return slots
}

// checkMemory refuses a bound of the records that is above the shipped one and for which a
// GOMEMLIMIT is too low.
func checkMemory(records int, limit int64) error {
	if records < registration.LeastRecords || records > registration.MostRecords {
		return fmt.Errorf("--max-records-memory=%s is not between %s and %s",
			serve.Bytes(records), serve.Bytes(registration.LeastRecords), serve.Bytes(registration.MostRecords))
	}
	if needed := sum(holdings(records)); records > registration.MaxRecords && limit < int64(needed) {
		return fmt.Errorf("--max-records-memory=%s takes a GOMEMLIMIT of at least %dMiB, and it is %dMiB: "+
			"raise it together with the memory limit of the container (docs/operations.md has the values)",
			serve.Bytes(records), needed>>20+1, limit>>20)
	}
	return nil
}

// holdings are what counts for GOMEMLIMIT. The room of package serve bounds what callers without
// credentials can make the process hold, records bounds those of all namespaces, and the other
// tables have bounds of their own.
func holdings(records int) []holding {
	return []holding{
		{"the process at rest: libraries, metrics, budgets", 1, 12 << 20},
		{"headroom of the garbage collector", 1, heapHeadroom},
		{"the table of clients and their owners", clientSlots(registration.ClientsIn(records)), clientSlot},
		{"records of clients, resources and minted tokens", 1, records},
		{"tombstones of deleted objects", 100_000, 60},
		{"uses of nine days", 1, reporter.MaxBytes},
		{"a report of them, while one is put together", 1, reporter.MaxBytes / 2},
		{"live revocations", liveRevocations, entryBytes},
		{"generations of grants", grants, grantBytes},
		{"redeemed codes", redemptions, redemptionBytes},
		{"used client assertions of all replicas", usedAssertions, usedBytes},
		{"those that nine other replicas accepted meanwhile", waitingAssertions, usedBytes},
		{"verdicts on service accounts' tokens", 16 << 10, 192},
		{"tokens whose signature is known to be good", 1, auth.MaxVerifiedBytes},
		{"refusals counted for a later audit line", 2 << 10, 2 << 10},
		{"pages of the feed of revocations, being rendered", 8, 512 << 10},
		{"connections, requests, bodies, answers that are not taken", 1, serve.DefaultRoom},
		{"the same of the ops port", 1, opsRoom},
	}
}

// outside are what counts for the limit of the container alone.
func outside(records int) []holding {
	return []holding{
		{"clients and their owners in the snapshot and its successor", 2 * registration.ClientsIn(records), snapshotBytes},
		{"records in both", 2, records},
		{"revocations in both", 2 * liveRevocations, entryBytes},
		{"generations in both", 2 * grants, entryBytes},
		{"assertions in both", 2 * (usedAssertions + waitingAssertions), 20},
		{"namespaces of assertions in both", 2 * usedNamespaces, 75},
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
