// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/budget"
)

// FuzzForwardedFor reads what a caller put into the header before a trusted proxy added its
// address.
func FuzzForwardedFor(f *testing.F) {
	f.Add("192.0.2.1", "198.51.100.7, 10.0.0.3")
	f.Add("", ",,,,,,,,,")
	auditor := New(Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	f.Fuzz(func(t *testing.T, first, second string) {
		if got, _ := auditor.forwardedFor("10.0.0.1:80", []string{first, second + ", 192.0.2.55"}); got != "192.0.2.55" {
			t.Errorf("a caller made its address %q", got)
		}
		got, _ := auditor.forwardedFor("10.0.0.1:80", slices.Repeat([]string{first, second}, 50))
		if _, err := netip.ParseAddr(got); err != nil && got != "" {
			if _, err := netip.ParsePrefix(got); err != nil {
				t.Errorf("%q is no address", got)
			}
		}
	})
}

func TestTheSourceOfARequest(t *testing.T) {
	auditor := New(Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00:1:2:ffff::/64")},
		Sources:        budget.Sources{OwnPrefixes: []netip.Prefix{netip.MustParsePrefix("fd00:1:2::/48")}},
	})
	for name, c := range map[string]struct {
		remote    string
		forwarded []string
		// source is that of the connection, and payer the one that pays. address is that of
		// the caller, which uses and refusals are reported with.
		source, payer, address string
	}{
		"an IPv4 address":                                {"192.0.2.1:80", nil, "192.0.2.1", "192.0.2.1", "192.0.2.1"},
		"an IPv4 address in IPv6":                        {"[::ffff:192.0.2.1]:80", nil, "192.0.2.1", "192.0.2.1", "192.0.2.1"},
		"an IPv6 address is its /64":                     {"[2001:db8:1:2:3::4]:80", nil, "2001:db8:1:2::/64", "2001:db8:1:2::/64", "2001:db8:1:2:3::4"},
		"within an own prefix it is the address":         {"[fd00:1:2:3::4]:80", nil, "fd00:1:2:3::4", "fd00:1:2:3::4", "fd00:1:2:3::4"},
		"beside an own prefix it is the /64":             {"[fd00:1:3:3::4]:80", nil, "fd00:1:3:3::/64", "fd00:1:3:3::/64", "fd00:1:3:3::4"},
		"the caller of a trusted proxy":                  {"10.0.0.1:80", []string{"192.0.2.1"}, "10.0.0.1", "192.0.2.1", "192.0.2.1"},
		"the caller of a trusted proxy in an own prefix": {"[fd00:1:2:ffff::1]:80", []string{"fd00:1:2:3::4"}, "fd00:1:2:ffff::1", "fd00:1:2:3::4", "fd00:1:2:3::4"},
		"the caller of a trusted proxy from elsewhere":   {"10.0.0.1:80", []string{"2001:db8:1:2:3::4"}, "10.0.0.1", "2001:db8:1:2::/64", "2001:db8:1:2:3::4"},
		"what the caller of a proxy made up":             {"10.0.0.1:80", []string{"203.0.113.9, 192.0.2.1, 10.0.0.7"}, "10.0.0.1", "192.0.2.1", "192.0.2.1"},
		"a proxy that is not trusted":                    {"192.0.2.9:80", []string{"192.0.2.1"}, "192.0.2.9", "192.0.2.9", "192.0.2.9"},
		"a trusted proxy that names no caller":           {"10.0.0.1:80", nil, "10.0.0.1", "10.0.0.1", "10.0.0.1"},
		"no address":                                     {"@", nil, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, record := auditor.Begin(t.Context(), Token, Origin{RemoteAddr: c.remote, ForwardedFor: c.forwarded})
			if record.Source != c.source || record.Payer() != c.payer || record.caller() != c.address {
				t.Errorf("source %q, payer %q, address %q; want %q, %q and %q", record.Source, record.Payer(), record.caller(), c.source, c.payer, c.address)
			}
		})
	}
}

// TestALineHasTheWholeAddress: limits divide callers by network, and an administrator looks for one
// pod.
func TestALineHasTheWholeAddress(t *testing.T) {
	auditor := New(Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("fd00::/16")}, Sources: budget.Sources{OwnPrefixes: []netip.Prefix{netip.MustParsePrefix("fd01::/16")}}})
	for name, c := range map[string]struct {
		remote, forwarded string
		want, lacks       string
	}{
		"IPv4":                         {"192.0.2.1:80", "", `"source":"192.0.2.1"`, "_address"},
		"IPv6 in an own prefix":        {"[fd01:1:2:3::4]:80", "", `"source":"fd01:1:2:3::4"`, "_address"},
		"IPv6":                         {"[2001:db8:1:2:3::4]:80", "", `"source":"2001:db8:1:2::/64","source_address":"2001:db8:1:2:3::4"`, "forwarded"},
		"IPv6 through a proxy":         {"[fd00:1:2:3::4]:80", "2001:db8::5", `"source_address":"fd00:1:2:3::4","forwarded_address":"2001:db8::5"`, "repeated"},
		"IPv4 through a proxy of IPv4": {"10.0.0.1:80", "192.0.2.1", `"source":"10.0.0.1"`, "_address"},
	} {
		t.Run(name, func(t *testing.T) {
			_, record := auditor.Begin(t.Context(), Token, Origin{RemoteAddr: c.remote, ForwardedFor: []string{c.forwarded}})
			*record = record.detached()
			if line := string(record.line(nil, record.Started, 200, 1)); !strings.Contains(line, c.want) || strings.Contains(line, c.lacks) {
				t.Errorf("the line is %s", line)
			}
		})
	}
}
