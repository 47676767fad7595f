// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/reporter"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

// holding is something that a process holds in memory: how many at most, and the bytes of each.
type holding struct {
	what        string
	many, bytes int
	// code are the types of the code that have it, as docs/threat-model.md names those that
	// callers and tenants share.
	code []string
}

// The sizes for which the memory of a container is shipped.
const (
	// clientSlot is the size of each slot of the table of clients and their owners.
	clientSlot = 89
	// a client and its owner in the file of the snapshot, beside the record.
	snapshotBytes = 90
	// setBytes is what each entry of a revocation.Set takes, with the spare capacity of its
	// lists.
	setBytes = 32
	// holderBytes is what a client takes that has revocations: its names, a number, and counts.
	holderBytes = 160
	// queuedBytes is what an entry takes that waits for its write, with its client.
	queuedBytes = 80
	// namespaces are those that a cluster has at most (kubernetes.io, "Considerations for large
	// clusters"), and namespaceBytes what each takes that has entries of every kind.
	namespaces     = 10_000
	namespaceBytes = 640
	// waitingAssertions are those that nine other replicas were writing when a bound was
	// reached.
	waitingAssertions = 9 * revocation.MostQueued
	// usedNamespaces are the namespaces of assertions in a file: 64 parts name 1,024 each.
	usedNamespaces  = 64 << 10
	grantBytes      = 44 // of each generation, in a map
	redemptionBytes = 88
	// sourceBytes is what a source of connections takes, and the networks around it.
	sourceBytes = 2 << 10
	socketBytes = 4 << 10 // an idle connection, in the kernel
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
		{"the process at rest: libraries, metrics, budgets", 1, 12 << 20, []string{
			"auth.inFlight", "auth.pages", "auth.source", "auth.verification", "budget.Budget", "budget.Places", "directory.contact", "revocation.Collapser",
			"revocation.epoch", "revocation.selection", "serve.Batch",
			"tokenserver.clientRate", "tokenserver.loginPort", "tokenserver.revokeEndpoint", "tokenserver.tokenEndpoint",
		}},
		{"headroom of the garbage collector", 1, heapHeadroom, nil},
		{"the table of clients and their owners", clientSlots(registration.ClientsIn(records)), clientSlot, []string{"memory.table"}},
		{"records of clients, resources and minted tokens", 1, records, []string{
			"memory.Issuers", "memory.Resources", "memory.Snapshot", "memory.listedRecords", "memory.own", "memory.quarantine", "memory.workloads",
		}},
		{"tombstones of deleted objects", 100_000, 60, []string{"memory.tombstones"}},
		{"uses of nine days", 1, reporter.MaxBytes, []string{"reporter.Gatherer", "reporter.shard"}},
		{"a report of them, while one is put together", 1, reporter.MaxBytes / 2, nil},
		{"refusals for the status of clients", 2 << 10, 512, []string{"reporter.refusalTable"}},
		{"metrics of namespaces", 1000, 2 << 10, []string{"audit.namespaces"}},
		{"live revocations", revocation.MostLive, setBytes, []string{"revocation.Set"}},
		{"clients that have any", registration.ClientsIn(records), holderBytes, []string{"revocation.holders"}},
		{"revocations in order of arrival", revocation.MostArrivals, revocation.EntryBytes, []string{"revocation.arrivals"}},
		{"revocations, assertions and generations that wait for their write", revocation.MostQueued + revocation.MostAdvancing, queuedBytes, []string{"revocation.Journal", "revocation.bundle", "revocation.commit"}},
		{"namespaces that have any of these", namespaces, namespaceBytes, []string{"revocation.shares", "revocation.users"}},
		{"generations of grants", revocation.MostGrants, grantBytes, []string{"revocation.generations"}},
		{"redeemed codes", revocation.MostRedeemed, redemptionBytes, []string{"revocation.Redemptions"}},
		{"used client assertions of all replicas", revocation.MostUsed, setBytes, []string{"revocation.Set"}},
		{"those that nine other replicas accepted meanwhile", waitingAssertions, setBytes, []string{"revocation.Set"}},
		{"verdicts on service accounts' tokens", 16 << 10, 192, []string{"auth.reviews"}},
		{"tokens whose signature is known to be good", 1, auth.MaxVerifiedBytes, []string{"auth.verified"}},
		{"refusals counted for a later audit line", 2 << 10, 2 << 10, []string{"audit.refusals"}},
		{"pages of the feed of revocations, being rendered", 8, 512 << 10, []string{"tokenserver.feedEndpoint"}},
		{"connections, requests, bodies, answers that are not taken", 1, serve.DefaultRoom, []string{
			"auth.call", "auth.flight", "auth.view", "serve.Room", "serve.behind", "serve.fairConn", "serve.forwarded", "serve.load",
		}},
		{"sources of connections, and the networks around them", serve.DefaultMaxConnections, sourceBytes, []string{"serve.crowd", "serve.group", "serve.holder"}},
		{"the same of the ops port", 1, opsRoom, nil},
	}
}

// outside are what counts for the limit of the container alone.
func outside(records int) []holding {
	return []holding{
		{"clients and their owners in the snapshot and its successor", 2 * registration.ClientsIn(records), snapshotBytes, nil},
		{"records in both", 2, records, nil},
		{"revocations in both", 2 * revocation.MostLive, revocation.EntryBytes, nil},
		{"generations in both", 2 * revocation.MostGrants, revocation.EntryBytes, nil},
		{"assertions in both", 2 * (revocation.MostUsed + waitingAssertions), 20, nil},
		{"namespaces of assertions in both", 2 * usedNamespaces, 75, nil},
		{"sockets", serve.DefaultMaxConnections, socketBytes, nil},
	}
}

// sum adds up what a table holds.
func sum(table []holding) (bytes int) {
	for _, h := range table {
		bytes += h.many * h.bytes
	}
	return bytes
}
