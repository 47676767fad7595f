// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// A request has the names of its client as parts of the client's record, which may take 64 KiB and
// be gone long before what the client revoked or used.
func TestMemoryKeepsNoRecord(t *testing.T) {
	const clients, length = 200, 60 << 10
	heap := func() int {
		var stats runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int(stats.HeapAlloc) //nolint:gosec // there is not that much memory
	}
	for name, note := range map[string]func(*State, Entry, Client){
		"a revocation": func(s *State, token Entry, of Client) { s.Revoke(token, of, noon) },
		"of a token that lives long": func(s *State, token Entry, of Client) {
			token.IssuedAt = 0
			s.Revoke(token, of, noon)
		},
		"an assertion": func(s *State, used Entry, of Client) { s.Use(used, of.Namespace, noon, noon) },
	} {
		t.Run(name, func(t *testing.T) {
			var state State
			before := heap()
			for i := range clients {
				id := fmt.Sprintf("shop%03d.payments", i)
				for range 2 { // an assignment to a map may replace its key
					record := strings.Repeat("x", length) + id
					of := Client{record[length:], record[length : length+len("shop000")]}
					jti := fmt.Sprintf("%d %p", i, &record)
					note(&state, EntryOf(&oauth2.Claims{ID: jti, IssuedAt: noon, ExpiresAt: noon.Add(oauth2.MaxTokenLifetime)}), of)
				}
			}
			if after := heap(); after > before+clients*length/4 {
				t.Errorf("%d clients hold %d bytes", clients, after-before)
			}
			runtime.KeepAlive(&state)
		})
	}
}
