// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"testing"
)

func TestMemoryIsReturnedAfterABurst(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		name        string
		before, now heap
		much        bool
	}{
		{"a burst goes on", heap{allocated: 100 * mib}, heap{allocated: 200 * mib, live: 40 * mib, kept: 53 * mib}, false},
		{"a burst goes on and needs less than before", heap{allocated: 100 * mib}, heap{allocated: 200 * mib, live: 40 * mib, kept: 55 * mib}, true},
		{"a burst has ended", heap{allocated: 200 * mib}, heap{allocated: 201 * mib, live: 40 * mib, kept: 53 * mib}, true},
		{"its memory was returned", heap{allocated: 201 * mib}, heap{allocated: 202 * mib, live: 40 * mib, kept: 44 * mib}, false},
		{"metrics are scraped", heap{allocated: 200 * mib}, heap{allocated: 230 * mib, live: 40 * mib, kept: 48 * mib}, true},
		{"the heap is small", heap{allocated: 8 * mib}, heap{allocated: 8 * mib, live: 4 * mib, kept: 6 * mib}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.now.keepsMuch(test.before); got != test.much {
				t.Errorf("it keeps much: %t, want %t", got, test.much)
			}
		})
	}
}

func TestTheHeapIsRead(t *testing.T) {
	if h := readHeap(); h.allocated == 0 || h.kept == 0 {
		t.Errorf("the heap is read as %+v", h)
	}
}
