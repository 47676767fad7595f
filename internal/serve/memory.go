// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryInterval is the time between two reads of the memory of the process.
	memoryInterval = 10 * time.Second
	// idleMemory is how many bytes a heap may have beyond an eighth more than what is live.
	idleMemory = 2 << 20
)

// ReturnMemory returns memory to the operating system: at once, and within twenty seconds of the end
// of each burst until ctx ends. The runtime keeps what the next burst may need; a process that is
// idle for most of its life is measured, and scheduled, by what it keeps.
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
		if now.idleSince(before) {
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

// idleSince reports whether little was allocated since before, and much is kept. In a burst more is
// allocated than is live, so it has ended before its memory is returned. Scrapes of metrics, which
// read every client, allocate less.
func (h heap) idleSince(before heap) bool {
	return h.allocated-before.allocated < h.live && h.kept > h.live+h.live/8+idleMemory
}
