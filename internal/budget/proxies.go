// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"net/netip"
	"slices"
	"strings"
)

// maxHops bounds how many proxies of one request are read.
const maxHops = 16

// Proxies are the proxies whose X-Forwarded-For is believed.
type Proxies []netip.Prefix

// Caller returns the address that a request came from by the X-Forwarded-For of trusted proxies, or
// the zero Addr.
func (p Proxies) Caller(remoteAddr string, headers []string) netip.Addr {
	if len(p) == 0 || len(headers) == 0 {
		return netip.Addr{}
	}
	hop, err := netip.ParseAddrPort(remoteAddr)
	if err != nil || !p.trust(hop.Addr()) {
		return netip.Addr{}
	}
	looked := 0
	for _, header := range slices.Backward(headers) {
		for header != "" {
			last := header
			if comma := strings.LastIndexByte(header, ','); comma >= 0 {
				header, last = header[:comma], header[comma+1:]
			} else {
				header = ""
			}
			address, err := netip.ParseAddr(strings.TrimSpace(last))
			if looked++; err != nil || looked > maxHops {
				return netip.Addr{}
			}
			if !p.trust(address) {
				return address
			}
		}
	}
	return netip.Addr{}
}

func (p Proxies) trust(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	return slices.ContainsFunc(p, func(proxy netip.Prefix) bool { return proxy.Contains(address) })
}
