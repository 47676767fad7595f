// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// closingsBySource counts the sources for which a Room had something closed.
type closingsBySource struct {
	mu    sync.Mutex
	count map[string]int
}

func (c *closingsBySource) closed(_ Bound, source netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == nil {
		c.count = map[string]int{}
	}
	c.count[source.Addr().String()]++
}

func (c *closingsBySource) of(source string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count[source]
}

// One caller of a proxy sends bodies that do not end, on the connection of HTTP/2 that has the
// requests of all callers of the proxy. It loses its own requests, and no other caller loses one.
func TestTheSourceBehindAProxyThatHoldsTheMostLosesItsRequests(t *testing.T) {
	const limit = 4 << 20
	var closings closingsBySource
	a := serveAnswers(t, &answers{length: 100, bodies: true, closed: closings.closed}, limit)
	proxy := a.call(t, "127.0.0.1", 1<<16)
	from := func(address string) hpack.HeaderField {
		return hpack.HeaderField{Name: "x-forwarded-for", Value: address}
	}
	honest := proxy.openWith(false, from("203.0.113.7"))
	waiting(t, "the request is not read", func() bool { return a.handled.Load() == 1 })
	// several times what there is room for, and no more at once than their handlers begin
	for i := range int64(4 * limit / requestBytes) {
		proxy.openWith(false, from("198.51.100.1"))
		waiting(t, "the request is not read", func() bool { return a.handled.Load() == i+2 })
	}
	if n := closings.of("198.51.100.1"); n < 3*limit/requestBytes {
		t.Errorf("%d requests of the source with the most were ended", n)
	}
	waiting(t, "more is held than there is room for", func() bool { return a.room.held.Load() <= limit && a.room.leaving.Load() == 0 })
	for range 20 {
		proxy.answered(proxy.openWith(true, from("203.0.113.8")))
	}
	proxy.must(proxy.WriteData(honest, true, []byte("a=b")))
	proxy.answered(honest)
	other := a.call(t, "127.0.0.2", 1<<16)
	other.answered(other.open(true))
	for _, source := range []string{"127.0.0.1", "127.0.0.2", "203.0.113.7", "203.0.113.8"} {
		if n := closings.of(source); n > 0 {
			t.Errorf("%d requests or connections of %s were ended", n, source)
		}
	}
}

// What a proxy holds that belongs to no source behind it is not given back by the end of requests.
func TestAProxyThatTakesNoAnswersLosesItsConnections(t *testing.T) {
	const limit = 4 << 20
	var closings closingsBySource
	a := serveAnswers(t, &answers{length: 100, closed: closings.closed}, limit)
	for range 20 {
		c, err := a.tryCall(t, "127.0.0.1", 0)
		if err != nil {
			break
		}
		for range maxUnread {
			c.openWith(true, hpack.HeaderField{Name: "x-forwarded-for", Value: "198.51.100.1"})
		}
	}
	waiting(t, "no connection of the proxy was closed", func() bool { return closings.of("127.0.0.1") > 0 })
	waiting(t, "more is held than there is room for", func() bool { return a.room.held.Load() <= limit && a.room.leaving.Load() == 0 })
}

func TestRequestsBehindAProxyEndWhereThereIsNoRoom(t *testing.T) {
	type request struct {
		source string
		length int64
	}
	for name, c := range map[string]struct {
		requests []request
		other    int // what the proxy holds beside them
		ends     []int
	}{
		"the longest of the source with the most": {
			[]request{{"198.51.100.1", 10}, {"203.0.113.1", 5000}, {"198.51.100.1", 9000}, {"198.51.100.1", 1000}}, 0, []int{2, 3},
		},
		"those of the network with the most": {
			[]request{{"203.0.113.1", 60000}, {"198.51.100.1", 30000}, {"198.51.100.2", 30001}, {"198.51.100.3", 30000}}, 0, []int{2},
		},
		"those of a private network each for itself": {
			[]request{{"10.0.0.1", 60000}, {"10.0.0.2", 30000}, {"10.0.0.3", 30001}, {"10.0.0.4", 30000}}, 0, []int{0},
		},
		"one whose length is not known is as long as it may be": {[]request{{"10.0.0.1", 60000}, {"10.0.0.2", -1}}, 0, []int{1}},
		"none if the proxy holds more than its requests":        {[]request{{"10.0.0.1", 60000}}, 1 << 20, nil},
		"none if there is none":                                 {nil, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccepting(t, DefaultRoom)
			a.offer("192.0.2.1")
			conn := a.accept(c.other)
			var all []*forwardedRequest
			for _, sent := range c.requests {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
				r.ProtoMajor, r.ContentLength = 2, sent.length
				conn.hold(requestBytes)
				all = append(all, conn.forward(budgetOf(sent.source), httptest.NewRecorder(), r, 0))
			}
			held := a.room.held.Load()
			for i, want := range c.ends {
				if _, ended := conn.load.holder.endOne(a.room); !ended || !all[want].ended {
					t.Fatalf("end %d is not that of request %d", i, want)
				}
			}
			if len(c.ends) == 0 {
				if of, ended := conn.load.holder.endOne(a.room); ended {
					t.Errorf("a request of %s is ended", of)
				}
			}
			if want := int64(len(c.ends) * requestBytes); a.room.leaving.Load() != want || conn.load.holder.held.Load() != held-want {
				t.Errorf("%d bytes are leaving, of %d that end", a.room.leaving.Load(), want)
			}
			for _, f := range all {
				f.answered()
			}
			if left := &conn.load.holder.forwarded; a.room.leaving.Load() != 0 || conn.load.holder.held.Load() != held || left.held != 0 || len(left.sources)+len(left.networks) > 0 {
				t.Errorf("after all are answered %d bytes are leaving, and %d of %d sources are left", a.room.leaving.Load(), left.held, len(left.sources))
			}
		})
	}
}

func budgetOf(source string) netip.Prefix {
	address := netip.MustParseAddr(source)
	return netip.PrefixFrom(address, address.BitLen())
}

// A request of HTTP/1.1 behind a proxy ends with its connection, and that of another source stays.
func TestARequestOfHTTP1BehindAProxyEnds(t *testing.T) {
	const limit = 2 << 20
	var closings closingsBySource
	a := serveAnswers(t, &answers{length: 100, bodies: true, closed: closings.closed}, limit)
	send := func(conn net.Conn, source string) {
		_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %s\r\nContent-Length: 16384\r\n\r\n", source)
	}
	honest := a.tlsOf(t)
	send(honest, "203.0.113.7")
	waiting(t, "the request is not read", func() bool { return a.handled.Load() == 1 })
	for range 100 {
		// where there is no room the proxy gets no further connection
		if conn, err := a.tryTLS(t); err == nil {
			send(conn, "198.51.100.1")
		}
	}
	waiting(t, "no request of the source with the most was ended", func() bool { return closings.of("198.51.100.1") > 0 })
	if _, err := io.WriteString(honest, strings.Repeat("x", 16384)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.ReadFull(honest, answer); err != nil || string(answer) != "HTTP/1.1 200" {
		t.Errorf("the other source gets %q, %v", answer, err)
	}
	if n := closings.of("203.0.113.7"); n > 0 {
		t.Errorf("%d requests of the other source were ended", n)
	}
}
