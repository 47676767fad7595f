// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// memoryInterval is the time between two reads of the memory of the process.
const memoryInterval = 2 * time.Second

// ReturnMemory returns memory to the operating system: at once, and within seconds whenever the
// process keeps much more than is live, until ctx ends. The runtime keeps what the next burst may
// need; a process that is idle for most of its life is measured, and scheduled, by what it keeps.
func ReturnMemory(ctx context.Context) {
	debug.FreeOSMemory()
	ticker := time.NewTicker(memoryInterval)
	defer ticker.Stop()
	before := readHeap()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := readHeap()
		if now.keepsMuch(before) {
			debug.FreeOSMemory()
		}
		before = now
	}
}

// heap is the heap of the process at an instant, in bytes.
type heap struct {
	allocated uint64 // since the process began
	live      uint64 // found by the last collection
	kept      uint64 // from the operating system
}

func readHeap() heap {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 { return samples[i].Value.Uint64() }
	return heap{allocated: value(0), live: value(1), kept: value(2) + value(3) + value(4)}
}

// keepsMuch reports whether much more is kept than is live: a quarter and 4 MiB in a burst, in
// which as much was allocated since before as is live, and an eighth and 2 MiB otherwise. The lists
// of a start are a burst, and are read from more memory than what follows needs. Scrapes of
// metrics, which read every client, are none.
func (h heap) keepsMuch(before heap) bool {
	spare := h.live/8 + 2<<20
	if h.allocated-before.allocated >= h.live {
		spare = h.live/4 + 4<<20
	}
	return h.kept > h.live+spare
}
