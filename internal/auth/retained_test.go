// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// heldBy returns the heap memory in use, garbage not counted.
func heldBy() int {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc) //nolint:gosec // there is not that much memory
}

// The memory of verified tokens counts some hundred bytes a token, so a token must not keep alive
// what a caller sent beside it.
func TestATokenThatIsRememberedDoesNotHoldTheRequest(t *testing.T) {
	const tokens, padding = 200, 60 << 10
	w := newChained(t)
	caller := w.caller(reporting)
	before := heldBy()
	for i := range tokens {
		form, err := oauth2.ParseForm(fmt.Sprintf("grant_type=client_credentials&scope=orders.read&resource=%s&n=%d&padding=%s",
			w.ordersAPI, i, strings.Repeat("x", padding)))
		must(t, err)
		request, err := oauth2.ParseTokenRequest(form)
		must(t, err)
		_, err = w.Issue(t.Context(), &caller, request)
		must(t, err)
	}
	if after := heldBy(); after > before+tokens*padding/4 {
		t.Errorf("%d tokens hold %d bytes", tokens, after-before)
	}
	runtime.KeepAlive(w)
}
