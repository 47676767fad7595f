// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"net/netip"
	"slices"
	"testing"
)

// FuzzForwardedFor reads what a caller put into the header before a trusted proxy added its address.
func FuzzForwardedFor(f *testing.F) {
	f.Add("192.0.2.1", "198.51.100.7, 10.0.0.3")
	f.Add("", ",,,,,,,,,")
	auditor := New(Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	f.Fuzz(func(t *testing.T, first, second string) {
		if got := auditor.forwardedFor("10.0.0.1:80", []string{first, second + ", 192.0.2.55"}); got != "192.0.2.55" {
			t.Errorf("a caller made its address %q", got)
		}
		got := auditor.forwardedFor("10.0.0.1:80", slices.Repeat([]string{first, second}, 50))
		if _, err := netip.ParseAddr(got); err != nil && got != "" {
			if _, err := netip.ParsePrefix(got); err != nil {
				t.Errorf("%q is no address", got)
			}
		}
	})
}
