// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/netip"
	"slices"
	"strings"
)

// maxHops bounds how many proxies of one request are looked at.
const maxHops = 16

// forwardedFor is the address that a request came from by what trusted proxies say in X-Forwarded-For, or "". Each proxy adds the
// address that it was called from at the end, so the list is read from there, and the first address that is no trusted proxy's is
// the caller's: whatever stands before it the caller may have made up. It is written down and decides nothing.
func (s *Server) forwardedFor(remoteAddr string, headers []string) string {
	if len(s.TrustedProxies) == 0 || len(headers) == 0 {
		return ""
	}
	hop, err := netip.ParseAddrPort(remoteAddr)
	if err != nil || !s.trusts(hop.Addr()) {
		return ""
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
				return ""
			}
			if !s.trusts(address) {
				return written(address)
			}
		}
	}
	return ""
}

func (s *Server) trusts(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	return slices.ContainsFunc(s.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(address) })
}
