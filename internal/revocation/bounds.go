// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

// The bounds of what the memory of a process holds, from which its size is computed.
const (
	// EntryBytes is the size of an Entry.
	EntryBytes = 28
	// MostLive is how many revocations there are at most: those at which more are refused. The
	// revocations of tokens that live long are among them.
	MostLive = hardLive + maxLasting
	// MostArrivals is how many revocations the order of arrival takes the memory of.
	MostArrivals = feedLog
	// MostQueued is how many entries wait in a Journal for their write, and MostAdvancing how
	// many generations.
	MostQueued    = maxQueued
	MostAdvancing = maxAdvancing
	// MostUsed is how many used assertions there are at which no more are accepted, whichever
	// replicas accepted them.
	MostUsed = maxUsed
	// MostGrants is how many grants with a generation there are.
	MostGrants = maxGrants
	// MostRedeemed is how many redeemed codes there are at which no code is redeemed.
	MostRedeemed = maxRedeemed
)
