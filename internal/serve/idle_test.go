// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What an idle connection takes is measured, and the default number of them fits the room.
func TestAnIdleConnectionTakesWhatIsCounted(t *testing.T) {
	for protocol, want := range map[string]int{"http/1.1": 24 << 10, "h2": 26<<10 + 512} {
		t.Run(protocol, func(t *testing.T) {
			const connections = 200
			a := serveAnswers(t, &answers{length: 100}, DefaultRoom)
			a.idle(t, protocol) // what the first one makes for all
			before, conns := inUse(), make([]net.Conn, connections)
			for i := range conns {
				conns[i] = a.idle(t, protocol)
			}
			waiting(t, "requests are still counted", func() bool { return a.room.held.Load() <= int64((connections+1)*want) })
			if counted := int(a.room.held.Load()) / (connections + 1); counted < want-1<<10 {
				t.Errorf("%d bytes are counted of each, want %d", counted, want)
			}
			took := (inUse() - before) / connections
			t.Logf("each takes %d bytes", took)
			// a tenth for its caller's half, and for what else runs here
			most := want + want/10
			if raced() {
				most = 2 * want // stacks are larger
			}
			if took > most {
				t.Errorf("each takes %d bytes, and %d are counted", took, want)
			}
			if all := DefaultMaxConnections * want; all > DefaultRoom {
				t.Errorf("%d of them take %d bytes, more than the room (%d)", DefaultMaxConnections, all, DefaultRoom)
			}
			runtime.KeepAlive(conns)
		})
	}
}

// idle opens a connection, has one request answered and keeps the connection of TCP alone: what the
// process holds from then on is the server's half.
func (a *answers) idle(t *testing.T, protocol string) net.Conn {
	t.Helper()
	plain, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plain.Close() })
	conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}) //nolint:gosec // the test's own server
	ask := askStream
	if protocol == "http/1.1" {
		ask = askRequest
	}
	if err := ask(conn); err != nil {
		t.Fatal(err)
	}
	return plain
}

// askRequest has a request of HTTP/1.1 answered.
func askRequest(conn net.Conn) error {
	_, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	answer, errOfAnswer := http.ReadResponse(bufio.NewReader(conn), nil)
	if err := errors.Join(err, errOfAnswer); err != nil {
		return err
	}
	return answer.Body.Close()
}

// askStream has a request of HTTP/2 answered.
func askStream(conn net.Conn) error {
	var block bytes.Buffer
	headers, f := hpack.NewEncoder(&block), http2.NewFramer(conn, conn)
	var errs []error
	for header := range strings.SplitSeq(":method=GET :scheme=https :authority=localhost :path=/", " ") {
		name, value, _ := strings.Cut(header, "=")
		errs = append(errs, headers.WriteField(hpack.HeaderField{Name: name, Value: value}))
	}
	_, err := conn.Write([]byte(http2.ClientPreface))
	errs = append(errs, err, f.WriteSettings(), f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return err
		}
		if data, ok := frame.(*http2.DataFrame); ok && data.StreamEnded() {
			return nil
		}
	}
}

// raced reports whether the race detector is on.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// inUse is the memory of the process that is in use: live objects, and stacks.
func inUse() int {
	runtime.GC()
	runtime.GC() // what pools hold is collected by the second one
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	return int(samples[0].Value.Uint64() + samples[1].Value.Uint64()) //nolint:gosec // there is not that much memory
}

// As many connections as may be open can be idle at once, of as few sources as may have them.
func TestAsManyConnectionsAsMayBeOpenCanBeIdle(t *testing.T) {
	a := newAccepting(t, DefaultRoom)
	for _, address := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"} {
		for range DefaultMaxConnectionsPerSource {
			a.offer(address)
			a.accept(26<<10 + 512 - connectionBytes)
		}
	}
	if len(a.closed) > 0 {
		t.Errorf("connections were closed: %v", a.closed)
	}
}
