// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"fmt"
	"net/netip"
)

// Prefixes reads the values of a flag that may be repeated: addresses, and ranges of addresses.
func Prefixes(list *[]netip.Prefix) func(string) error {
	return func(value string) error {
		prefix, err := parsePrefix(value)
		*list = append(*list, prefix)
		return err
	}
}

// parsePrefix reads an address, or a range of addresses.
func parsePrefix(value string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(value); err == nil && address.Zone() == "" {
		return netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(value)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a range such as 10.0.0.0/8", value)
	}
	return prefix.Masked(), nil
}
