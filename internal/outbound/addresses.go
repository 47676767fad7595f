// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"net/netip"
	"slices"
)

// notPublic are the ranges that are no public addresses: private ones, those of documentation and
// benchmarks, and those that another address is embedded in.
var notPublic = prefixes( //nolint:gochecknoglobals // a constant table
	"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fc00::/7", "fec0::/10",
)

// never are the ranges that cannot be allowed, beside those that netip knows: this network, and the
// broadcast address.
var never = prefixes("0.0.0.0/8", "255.255.255.255/32") //nolint:gochecknoglobals // a constant table

func prefixes(list ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(list))
	for i, s := range list {
		parsed[i] = netip.MustParsePrefix(s)
	}
	return parsed
}

// MayDial reports whether an address may be connected to: a public one, or one in the ranges that
// are allowed.
func MayDial(address netip.Addr, allowed []netip.Prefix) bool {
	address = address.Unmap()
	within := func(ranges []netip.Prefix) bool {
		return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(address) })
	}
	switch {
	case !address.IsValid(), address.Zone() != "", address.IsLoopback(), address.IsLinkLocalUnicast(), address.IsMulticast(), address.IsUnspecified(),
		within(never):
		return false
	case within(notPublic):
		return within(allowed)
	}
	return true
}
