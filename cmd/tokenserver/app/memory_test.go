// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"fmt"
	"log/slog"
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
	if held := sum(holdings()); held >= goal {
		t.Errorf("%d MiB are held, more than GOMEMLIMIT (%d MiB)", held>>20, goal>>20)
	}
	// nothing touches the headroom
	if all := goal - heapHeadroom + sum(outside()); all >= limit {
		t.Errorf("%d MiB do not fit the limit of %d MiB", all>>20, limit>>20)
	}
}

func TestTheDocsHaveTheTableOfMemory(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "token-server.md"))
	if err != nil {
		t.Fatal(err)
	}
	table := "| what | how many | bytes each | MiB |\n|---|---|---|---|\n"
	row := func(h holding) string {
		return fmt.Sprintf("| %s | %d | %d | %.1f |\n", h.what, h.many, h.bytes, float64(h.many*h.bytes)/(1<<20))
	}
	for _, h := range holdings() {
		table += row(h)
	}
	table += fmt.Sprintf("| sum, below `GOMEMLIMIT` of %d MiB | | | %.1f |\n", shipped(t, `GOMEMLIMIT, value: (\d+)MiB`)>>20, float64(sum(holdings()))/(1<<20))
	for _, h := range outside() {
		table += row(h)
	}
	if !strings.Contains(string(docs), table) {
		t.Errorf("docs/token-server.md lacks\n%s", table)
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
