// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"net/netip"
	"slices"
)

// Sources says which addresses are one source: the holder of a share where no client is
// authenticated.
type Sources struct {
	// OwnPrefixes are the installation's own prefixes of IPv6. In them each address is a source: the
	// pods of a node share a /64, and none can take the address of another.
	OwnPrefixes []netip.Prefix
}

// Of returns the source that an address belongs to: the address itself, or the /64 of an IPv6 address
// that is not in an own prefix, because one host may have all addresses of a /64.
func (s Sources) Of(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() && !slices.ContainsFunc(s.OwnPrefixes, func(own netip.Prefix) bool { return own.Contains(address) }) {
		bits = 64
	}
	source, err := address.Prefix(bits)
	if err != nil { // there is no address
		return netip.Prefix{}
	}
	return source
}
