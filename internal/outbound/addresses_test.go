// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package outbound_test

import (
	"net/netip"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/outbound"
)

func TestAddresses(t *testing.T) {
	allowed := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	for address, c := range map[string]struct{ alone, allowed bool }{
		"8.8.8.8": {true, true}, "2606:4700::1111": {true, true}, "::ffff:8.8.8.8": {true, true},
		"10.0.0.1": {false, true}, "172.31.0.1": {false, true}, "192.168.1.1": {false, true}, "100.64.0.1": {false, true}, "fd12::1": {false, true},
		"198.18.0.1": {false, true}, "64:ff9b::a00:1": {false, true}, "2002:a00:1::": {false, true}, "2001::1": {false, true}, "::ffff:10.0.0.1": {false, true},
		"127.0.0.1": {}, "::1": {}, "169.254.169.254": {}, "fe80::1": {}, "224.0.0.1": {}, "ff02::1": {}, "0.0.0.0": {}, "::": {}, "0.1.2.3": {},
		"255.255.255.255": {}, "::ffff:127.0.0.1": {}, "::ffff:169.254.169.254": {}, "fe80::1%eth0": {},
	} {
		a := netip.MustParseAddr(address)
		if got := outbound.MayDial(a, nil); got != c.alone {
			t.Errorf("%s: %v, want %v", address, got, c.alone)
		}
		if got := outbound.MayDial(a, allowed); got != c.allowed {
			t.Errorf("%s, allowed: %v, want %v", address, got, c.allowed)
		}
	}
	if outbound.MayDial(netip.Addr{}, allowed) {
		t.Error("no address at all")
	}
}
