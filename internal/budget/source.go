// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"net/netip"
	"slices"
)

// Sources groups addresses into sources: the holder of a share where no client is authenticated.
type Sources struct {
	// OwnPrefixes are the installation's own prefixes. In them each address is a source: the
	// pods of a node share a /64 of IPv6, and none can take the address of another.
	OwnPrefixes []netip.Prefix
}

// Of returns the source that an address belongs to: the address itself, or the /64 of an IPv6
// address that is not in an own prefix, because one host may have all addresses of a /64.
func (s Sources) Of(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() && !s.own(address) {
		bits = 64
	}
	source, err := address.Prefix(bits)
	if err != nil { // there is no address
		return netip.Prefix{}
	}
	return source
}

// The networks around a source that one party may have whole, the widest first.
var (
	networksOf4 = []int{16, 24}     //nolint:gochecknoglobals // a constant
	networksOf6 = []int{32, 48, 56} //nolint:gochecknoglobals // a constant
)

// maxNetworks is how many networks are around a source at most.
const maxNetworks = 3

// Networks returns the networks around a source, the widest first: /16 and /24 of IPv4, and /32,
// /48 and /56 of IPv6. One party may have one of them whole, so its sources are compared with
// others network by network. alone means that these networks are no parties: in the own prefixes,
// and in private networks, all tenants of a cluster have addresses of each of them.
func (s Sources) Networks(source netip.Prefix) (networks []netip.Prefix, alone bool) {
	around, depth, alone := s.around(source)
	return around[:depth:depth], alone
}

// around is Networks without an allocation.
func (s Sources) around(source netip.Prefix) (networks [maxNetworks]netip.Prefix, depth int, alone bool) {
	address := source.Addr()
	if !address.IsValid() {
		return networks, 0, true
	}
	bits := networksOf6
	if address.Is4() {
		bits = networksOf4
	}
	for _, n := range bits {
		if network, err := address.Prefix(n); err == nil && n < source.Bits() {
			networks[depth] = network
			depth++
		}
	}
	return networks, depth, address.IsPrivate() || !address.IsGlobalUnicast() || s.own(address)
}

func (s Sources) own(address netip.Addr) bool {
	return slices.ContainsFunc(s.OwnPrefixes, func(own netip.Prefix) bool { return own.Contains(address) })
}
