// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unsafe"

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
		_, err = w.Issue(t.Context(), caller, request)
		must(t, err)
	}
	if after := heldBy(); after > before+tokens*padding/4 {
		t.Errorf("%d tokens hold %d bytes", tokens, after-before)
	}
	runtime.KeepAlive(w)
}

// What is read of a token are parts of its payload, which may be much longer: an exchanged token that
// is remembered must not keep that alive.
func TestAnExchangedTokenDoesNotHoldTheOneBefore(t *testing.T) {
	w := newChained(t)
	first, _, _ := w.hops()
	one, err := w.exchange(gateway, first, w.stockAPI)
	must(t, err)
	read, err := w.Issuer.Verify(one.Value.Reveal(), w.memory.ring, w.now)
	must(t, err)
	chain, err := read.Claims.Exchange(w.memory.clients[warehouse].Client, read.KeyID)
	must(t, err)
	ancestor := read.Claims.Ancestors[0]
	parts := map[*byte]string{}
	for _, text := range []string{
		read.Claims.Subject, read.Claims.Actors[0], read.Claims.ID, read.Claims.ClientID, read.Claims.ClientUID, ancestor.ID, ancestor.ClientID, ancestor.ClientUID, ancestor.KeyID,
	} {
		parts[unsafe.StringData(text)] = text //nolint:gosec // only compared
	}
	kept := append([]string{chain.Subject}, chain.Actors...)
	for _, a := range chain.Ancestors {
		kept = append(kept, a.ID, a.ClientID, a.ClientUID, a.KeyID)
	}
	for _, text := range kept {
		if part := parts[unsafe.StringData(text)]; part != "" { //nolint:gosec // only compared
			t.Errorf("%q is a part of the token that was exchanged", part)
		}
	}
}
