// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"net/netip"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/budget"
)

func TestTheSourceOfAnAddress(t *testing.T) {
	sources := budget.Sources{OwnPrefixes: []netip.Prefix{netip.MustParsePrefix("fd00:1:2::/48")}}
	for address, want := range map[string]string{
		"10.0.0.1":        "10.0.0.1/32",
		"::ffff:10.0.0.1": "10.0.0.1/32",
		"2001:db8::1":     "2001:db8::/64",
		"fe80::1%eth0":    "fe80::/64",
		"fd00:1:2:3::4":   "fd00:1:2:3::4/128",
		"fd00:1:3:3::4":   "fd00:1:3:3::/64",
	} {
		if got := sources.Of(netip.MustParseAddr(address)).String(); got != want {
			t.Errorf("%s is of source %s, want %s", address, got, want)
		}
	}
	if got := sources.Of(netip.Addr{}); got.IsValid() {
		t.Errorf("no address is of source %s", got)
	}
}
