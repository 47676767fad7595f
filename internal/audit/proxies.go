// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/budget"
)

// forwardedFor is the source that a request came from by the X-Forwarded-For of trusted proxies, or
// "", and its whole address as sourceOf returns it. Each proxy adds the address that it was called
// from at the end, so the list is read from there, and the first address that is no trusted proxy's
// is the caller's: whatever stands before it the caller may have made up. Audit lines show it, and
// budgets are divided by it; it decides nothing.
func (a *Auditor) forwardedFor(remoteAddr string, headers []string) (source, whole string) {
	if address := a.forwardedAddress(remoteAddr, headers); address.IsValid() {
		return a.sourceOf(address)
	}
	return "", ""
}

// Forwarded returns the source that a request came from by the X-Forwarded-For of trusted proxies,
// or the zero Prefix.
func (a *Auditor) Forwarded(r *http.Request) netip.Prefix {
	if address := a.forwardedAddress(r.RemoteAddr, r.Header["X-Forwarded-For"]); address.IsValid() {
		return a.Sources.Of(address)
	}
	return netip.Prefix{}
}

// forwardedAddress is the address that forwardedFor and Forwarded return the source of.
func (a *Auditor) forwardedAddress(remoteAddr string, headers []string) netip.Addr {
	return budget.Proxies(a.TrustedProxies).Caller(remoteAddr, headers)
}

// peer is the source that a connection comes from, and its whole address as sourceOf returns it.
func (a *Auditor) peer(remoteAddr string) (source, whole string) {
	address, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return "", ""
	}
	if address.Addr().Is4() { // its text is that of the source: one allocation less a request
		return remoteAddr[:strings.LastIndexByte(remoteAddr, ':')], ""
	}
	return a.sourceOf(address.Addr())
}

// sourceOf is the source that an address belongs to, and the whole address if the source is a
// network.
func (a *Auditor) sourceOf(address netip.Addr) (source, whole string) {
	of := a.Sources.Of(address)
	if of.IsSingleIP() {
		return of.Addr().String(), ""
	}
	return of.String(), address.WithZone("").String()
}

// networkOf is the widest network around a source that one party may have whole, or the source
// itself where its networks are no parties.
func (a *Auditor) networkOf(source string) string {
	prefix, err := netip.ParsePrefix(source)
	if err != nil {
		address, err := netip.ParseAddr(source)
		if err != nil {
			return source
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	networks, alone := a.Sources.Networks(prefix)
	if alone || len(networks) == 0 {
		return source
	}
	return networks[0].String()
}
