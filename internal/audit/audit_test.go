// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"regexp"
	"testing"
)

// TestARequestIDNamesOneRequest, and each of its places has each digit in some.
func TestARequestIDNamesOneRequest(t *testing.T) {
	form := regexp.MustCompile("^[A-Z2-7]{26}$")
	seen, digits := map[string]bool{}, map[[2]int]bool{}
	for range 10_000 {
		id := newRequestID()
		if seen[id] || !form.MatchString(id) {
			t.Fatalf("%q is no id, or was there before", id)
		}
		seen[id] = true
		for place, digit := range []byte(id) {
			digits[[2]int{place, int(digit)}] = true
		}
	}
	// 128 bits: 4 are left for the last digit of either half
	if want := 24*32 + 2*16; len(digits) != want {
		t.Errorf("%d digits at all places, want %d", len(digits), want)
	}
}

func BenchmarkRequestID(b *testing.B) {
	for b.Loop() {
		_ = newRequestID()
	}
}
