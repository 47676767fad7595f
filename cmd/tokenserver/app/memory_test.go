// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-dev/hallpass/internal/audit"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

// shipped is a figure in MiB of the deployment of the token server.
func shipped(t *testing.T, pattern string) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "tokenserver", "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(content)
	if found == nil {
		t.Fatalf("the deployment has no %s", pattern)
	}
	mib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return mib << 20
}

func TestAllThatIsHeldFitsTheContainer(t *testing.T) {
	goal, limit := shipped(t, `GOMEMLIMIT, value: (\d+)MiB`), shipped(t, `limits: {memory: (\d+)Mi}`)
	if held := withReserve(sum(holdings(registration.MaxRecords))); held > goal {
		t.Errorf("%d MiB are held, with the reserve, more than GOMEMLIMIT (%d MiB)", held>>20, goal>>20)
	}
	// nothing touches the headroom
	if all := withReserve(goal - heapHeadroom + sum(outside(registration.MaxRecords))); all > limit {
		t.Errorf("%d MiB, with the reserve, do not fit the limit of %d MiB", all>>20, limit>>20)
	}
}

// withReserve is of what bytes are 95 %: the table estimates, and a row may be a little short.
func withReserve(bytes int) int { return bytes * 20 / 19 }

func TestTheDocsHaveTheTableOfMemory(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "token-server.md"))
	if err != nil {
		t.Fatal(err)
	}
	table := "| what | how many | bytes each | MiB |\n|---|---|---|---|\n"
	row := func(h holding) string {
		return fmt.Sprintf("| %s | %d | %d | %.1f |\n", h.what, h.many, h.bytes, float64(h.many*h.bytes)/(1<<20))
	}
	for _, h := range holdings(registration.MaxRecords) {
		table += row(h)
	}
	table += fmt.Sprintf("| sum, below `GOMEMLIMIT` of %d MiB | | | %.1f |\n", shipped(t, `GOMEMLIMIT, value: (\d+)MiB`)>>20, float64(sum(holdings(registration.MaxRecords)))/(1<<20))
	for _, h := range outside(registration.MaxRecords) {
		table += row(h)
	}
	if !strings.Contains(string(docs), table) {
		t.Errorf("docs/token-server.md lacks\n%s", table)
	}
}

// TestTheDocsHaveTheMemoryOfMoreRecords: what the processes are given for a larger bound of the
// records, by the table of memory. Its first row is what is shipped.
func TestTheDocsHaveTheMemoryOfMoreRecords(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	table := "| `--max-records-memory` | clients with a secret | clients with a JWK set of 2 KB | `GOMEMLIMIT` | limit of the container | size of the snapshot's volume |\n" +
		"|---|---|---|---|---|---|\n"
	for _, records := range []int{registration.MaxRecords, 2 * registration.MaxRecords, 4 * registration.MaxRecords, 8 * registration.MaxRecords} {
		goal := above(withReserve(sum(holdings(records))), 16)
		files := outside(records)
		limit, volume := above(withReserve(goal-heapHeadroom+sum(files)), 16), above(withReserve(sum(files[:len(files)-1])), 32)
		table += fmt.Sprintf("| %s | %d | %d | %dMiB | %dMi | %dMi |\n", serve.Bytes(records), registration.ClientsIn(records), records/keyClient, goal>>20, limit>>20, volume>>20)
		if err := checkMemory(records, int64(goal)); err != nil {
			t.Errorf("the token server does not start with what the page says: %v", err)
		}
		if records > registration.MaxRecords {
			continue
		}
		if goal != shipped(t, `GOMEMLIMIT, value: (\d+)MiB`) || limit != shipped(t, `limits: {memory: (\d+)Mi}`) || volume != shipped(t, `sizeLimit: (\d+)Mi`) {
			t.Errorf("shipped is something else than %d MiB, %d MiB and %d MiB", goal>>20, limit>>20, volume>>20)
		}
	}
	if !strings.Contains(string(docs), table) {
		t.Errorf("docs/operations.md lacks\n%s", table)
	}
}

// above rounds up to so many MiB.
func above(bytes, mib int) int { return (bytes/(mib<<20) + 1) * (mib << 20) }

func TestMoreRecordsTakeMoreMemory(t *testing.T) {
	for name, c := range map[string]struct {
		records int
		limit   int64
		want    string
	}{
		"as shipped":                          {registration.MaxRecords, 320 << 20, ""},
		"as shipped, with less memory":        {registration.MaxRecords, 100 << 20, ""},
		"twice as much with as little memory": {2 * registration.MaxRecords, 320 << 20, "--max-records-memory=22.5Mi takes a GOMEMLIMIT of at least 342MiB, and it is 320MiB"},
		"twice as much":                       {2 * registration.MaxRecords, 342 << 20, ""},
		"without a limit":                     {4 * registration.MaxRecords, math.MaxInt64, ""},
		"too little":                          {registration.LeastRecords - 1, math.MaxInt64, "not between 1Mi and 512Mi"},
		"too much":                            {registration.MostRecords + 1, math.MaxInt64, "not between 1Mi and 512Mi"},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkMemory(c.records, c.limit)
			if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// callers is a listener with connections from addresses.
type callers chan netip.Addr

// caller is a connection from an address.
type caller struct {
	net.Conn

	address netip.Addr
}

func (c caller) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.address, 1))
}

func (c caller) Close() error { return nil }

func (c callers) Accept() (net.Conn, error) {
	if address, ok := <-c; ok {
		return caller{address: address}, nil
	}
	return nil, net.ErrClosed
}

func (c callers) Close() error   { return nil }
func (c callers) Addr() net.Addr { return &net.TCPAddr{} }

// TestPodsOfOneIPv6Subnet: the pods of a node, and on some clouds those of all nodes, share a /64.
func TestPodsOfOneIPv6Subnet(t *testing.T) {
	for name, c := range map[string]struct {
		own  []netip.Prefix
		want int
	}{
		"in an own prefix": {[]netip.Prefix{netip.MustParsePrefix("2600:1f14:abc:de00::/56")}, 60 * 20},
		"elsewhere":        {nil, serve.DefaultMaxConnectionsPerSource},
	} {
		t.Run(name, func(t *testing.T) {
			offered := make(callers, 60*20)
			for pod := range byte(60) {
				address := netip.MustParseAddr("2600:1f14:abc:de00:5::").As16()
				address[15] = pod
				for range 20 {
					offered <- netip.AddrFrom16(address)
				}
			}
			close(offered)
			registry := prometheus.NewRegistry()
			metrics := audit.NewMetrics(registry)
			closed := closings(metrics, slog.New(slog.DiscardHandler))
			listener := bounded(offered, serve.NewRoom(serve.DefaultRoom), closed, metrics, Options{OwnPrefixes: c.own})
			accepted := 0
			for {
				if _, err := listener.Accept(); err != nil {
					break
				}
				accepted++
			}
			if accepted != c.want {
				t.Errorf("%d of 1200 connections accepted, want %d", accepted, c.want)
			}
		})
	}
}

// Connections are divided as audit lines and budgets are.
func TestConnectionsAreDividedBySource(t *testing.T) {
	offered := make(callers, 10)
	registry, lines := prometheus.NewRegistry(), &bytes.Buffer{}
	metrics := audit.NewMetrics(registry)
	closed := closings(metrics, slog.New(slog.NewJSONHandler(lines, nil)))
	listener := bounded(offered, serve.NewRoom(serve.DefaultRoom), closed, metrics, Options{MaxConnectionsPerSource: 1, OwnPrefixes: []netip.Prefix{netip.MustParsePrefix("fd00:1::/32")}})
	for _, address := range []string{"fd00:1::1", "fd00:1::2", "2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"} {
		offered <- netip.MustParseAddr(address)
	}
	close(offered)
	accepted := []string{}
	for {
		c, err := listener.Accept()
		if err != nil {
			break
		}
		accepted = append(accepted, c.RemoteAddr().String())
	}
	want := []string{"[fd00:1::1]:1", "[fd00:1::2]:1", "[2001:db8::1]:1", "192.0.2.1:1", "192.0.2.2:1"}
	if diff := cmp.Diff(want, accepted); diff != "" {
		t.Errorf("connections that were accepted (-want +got):\n%s", diff)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, family := range families {
		if family.GetName() == "hallpass_connections_closed_total" {
			for _, m := range family.GetMetric() {
				counted[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if diff := cmp.Diff(map[string]float64{"source": 1, "total": 0, "memory": 0}, counted); diff != "" {
		t.Errorf("connections that were closed (-want +got):\n%s", diff)
	}
	if !strings.Contains(lines.String(), `"bound":"source","source":"2001:db8::/64"`) {
		t.Errorf("the log is %s", lines)
	}
}

// Behind source NAT, the kubelet and the callers of the public port have one address.
func TestAFullRoomOfThePublicPortClosesNoProbe(t *testing.T) {
	const connections = 32
	closedOf := func(bounds serve.Bounds) (closed int) {
		bounds.Closed = func(serve.Bound, netip.Prefix) { closed++ }
		offered := make(callers, connections)
		for range connections {
			offered <- netip.MustParseAddr("192.0.2.1")
		}
		close(offered)
		listener := serve.NewFairListener(offered, bounds)
		for {
			if _, err := listener.Accept(); err != nil {
				return closed
			}
		}
	}
	if got := closedOf(serve.Bounds{Room: serve.NewRoom(1)}); got != connections {
		t.Errorf("a port without room closed %d connections, want %d", got, connections)
	}
	if got := closedOf(opsBounds(Options{})); got != 0 {
		t.Errorf("the ops port closed %d connections", got)
	}
}
