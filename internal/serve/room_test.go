// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/hallpass-dev/hallpass/internal/budget"
)

// answers is a server on a FairListener whose handler counts its requests.
type answers struct {
	address string
	room    *Room
	handled atomic.Int64
	length  int
	working chan struct{} // what a handler waits for, if it is not nil
	flushed chan struct{} // what a handler waits for when its answer is sent, if it is not nil
	bodies  bool          // the handler reads bodies
	closed  func(Bound, netip.Prefix)
}

func serveAnswers(t *testing.T, a *answers, limit int) *answers {
	t.Helper()
	certificates := httptest.NewUnstartedServer(nil)
	certificates.StartTLS()
	t.Cleanup(certificates.Close)
	config := certificates.TLS.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a.address, a.room = listener.Addr().String(), NewRoom(limit)
	server := NewHTTPServer(HTTPConfig{TLS: config, Log: slog.New(slog.DiscardHandler), Forwarded: forwardedBy, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.handled.Add(1)
		if a.working != nil {
			<-a.working
		}
		if a.bodies {
			// what was read of a body that is ended is answered, too
			_, _ = io.Copy(io.Discard, r.Body)
		}
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(make([]byte, a.length)) // the caller may be gone
		if a.flushed != nil {
			_ = http.NewResponseController(w).Flush()
			<-a.flushed
		}
	})})
	go func() {
		_ = HTTP(server, NewFairListener(listener, Bounds{Room: a.room, Sources: budget.Sources{}, Closed: a.closed}))
	}()
	t.Cleanup(func() { _ = server.Close() })
	return a
}

// forwardedBy is the source that a header of a request names.
func forwardedBy(r *http.Request) netip.Prefix {
	address, err := netip.ParseAddr(r.Header.Get("X-Forwarded-For"))
	if err != nil {
		return netip.Prefix{}
	}
	return budget.Sources{}.Of(address)
}

// h2Caller is an HTTP/2 connection of which a test writes the frames.
type h2Caller struct {
	*http2.Framer

	t    *testing.T
	conn net.Conn
	next uint32
	// frames are those that the server sent.
	frames chan http2.FrameHeader
}

// call connects from an address, and takes no more than window of each answer.
func (a *answers) call(t *testing.T, from string, window uint32) *h2Caller {
	t.Helper()
	c, err := a.tryCall(t, from, window)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tryCall is call where the server may refuse the connection.
func (a *answers) tryCall(t *testing.T, from string, window uint32) (*h2Caller, error) {
	t.Helper()
	dialer := &tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}},
		Config:    &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}, //nolint:gosec // the test's own server
	}
	conn, err := dialer.DialContext(t.Context(), "tcp", a.address)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &h2Caller{Framer: http2.NewFramer(conn, conn), t: t, conn: conn, next: 1, frames: make(chan http2.FrameHeader, 10_000)}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return nil, err
	}
	if err := c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.frames)
		for {
			frame, err := c.ReadFrame()
			if err != nil {
				return
			}
			c.frames <- frame.Header()
		}
	}()
	return c, nil
}

func (c *h2Caller) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// open opens a stream and returns its id.
func (c *h2Caller) open(whole bool) uint32 {
	c.t.Helper()
	return c.openWith(whole)
}

// openWith is open, with further headers.
func (c *h2Caller) openWith(whole bool, headers ...hpack.HeaderField) uint32 {
	c.t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "localhost"}, {Name: ":path", Value: "/"},
	}, headers...) {
		c.must(encoder.WriteField(field))
	}
	stream := c.next
	c.next += 2
	err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: whole, EndHeaders: true})
	if err != nil {
		c.t.Logf("the connection is closed: %v", err)
	}
	return stream
}

// answered waits for the end of a stream's answer.
func (c *h2Caller) answered(stream uint32) {
	c.t.Helper()
	for frame := range c.frames {
		if frame.StreamID == stream && (frame.Type == http2.FrameRSTStream || frame.Flags.Has(http2.FlagDataEndStream) && frame.Type != http2.FrameSettings) {
			return
		}
	}
	c.t.Fatalf("the connection ended before the answer of stream %d", stream)
}

// began waits for the beginning of a stream's answer.
func (c *h2Caller) began(stream uint32) {
	c.t.Helper()
	for frame := range c.frames {
		if frame.StreamID == stream && frame.Type == http2.FrameHeaders {
			return
		}
	}
	c.t.Fatalf("the connection ended before the answer of stream %d", stream)
}

// waiting waits until a condition holds.
func waiting(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func TestAConnectionWhoseAnswersAreNotTakenGetsNoFurtherWork(t *testing.T) {
	for name, c := range map[string]struct{ length, unread int }{
		"16 answers":             {100, maxUnread},
		"one answer of 64 KiB":   {maxUnreadBytes, 1},
		"two answers of 40 KiB":  {40 << 10, 2},
		"eight answers of 8 KiB": {8 << 10, 6}, // beside 4 KiB for each
	} {
		t.Run(name, func(t *testing.T) {
			a := serveAnswers(t, &answers{length: c.length}, DefaultRoom)
			caller := a.call(t, "127.0.0.1", 0)
			for range c.unread {
				caller.began(caller.open(true))
			}
			waits := caller.open(true)
			caller.must(caller.WritePing(false, [8]byte{1}))
			for frame := range caller.frames {
				if frame.Type == http2.FramePing {
					break
				}
			}
			if got := a.handled.Load(); got != int64(c.unread) {
				t.Errorf("%d requests were worked on, want %d", got, c.unread)
			}
			caller.must(caller.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}))
			caller.must(caller.WriteWindowUpdate(0, 1<<20))
			caller.answered(waits)
			if got := a.handled.Load(); got != int64(c.unread)+1 {
				t.Errorf("%d requests were worked on when the answers were taken, want %d", got, c.unread+1)
			}
		})
	}
}

func TestRequestsAtWorkAreNotLimitedByConnection(t *testing.T) {
	a := serveAnswers(t, &answers{length: 100, working: make(chan struct{})}, DefaultRoom)
	caller := a.call(t, "127.0.0.1", 1<<16)
	for range maxStreams {
		caller.open(true)
	}
	waiting(t, "not all requests are worked on at once", func() bool { return a.handled.Load() == maxStreams })
	close(a.working)
}

// A handler that has sent its answer may delay the end of the stream.
func TestAnAnswerThatWasSentIsNotUnreadWhileItsHandlerGoesOn(t *testing.T) {
	a := serveAnswers(t, &answers{length: 100, flushed: make(chan struct{})}, DefaultRoom)
	caller := a.call(t, "127.0.0.1", 1<<16)
	last := uint32(0)
	for range maxStreams {
		last = caller.open(true)
	}
	waiting(t, "answers that were sent hold up further requests", func() bool { return a.handled.Load() == maxStreams })
	close(a.flushed)
	caller.answered(last)
	caller.answered(caller.open(true))
}

func TestWhereThereIsNoRoomTheSourceThatHoldsTheMostLosesAConnection(t *testing.T) {
	const limit = 4 << 20
	for name, whole := range map[string]bool{"answers that are not taken": true, "bodies that are not read": false} {
		t.Run(name, func(t *testing.T) {
			a := serveAnswers(t, &answers{length: 100, working: make(chan struct{})}, limit)
			if whole {
				close(a.working)
			} else {
				t.Cleanup(func() { close(a.working) })
			}
			honest := a.call(t, "127.0.0.1", 1<<16)
			kept := honest.open(true)
			waiting(t, "the request is not worked on", func() bool { return a.handled.Load() == 1 })
			var lost atomic.Int64
			for range 20 {
				c, err := a.tryCall(t, "127.0.0.2", 0)
				if err != nil {
					lost.Add(1)
					continue
				}
				for range maxUnread {
					stream := c.open(whole)
					if !whole {
						// the connection may be closed already
						_ = c.WriteData(stream, false, make([]byte, 2<<10))
					}
				}
				go func() {
					for range c.frames { // until the connection ends
					}
					lost.Add(1)
				}()
			}
			waiting(t, "no connection of the hostile source was closed", func() bool { return lost.Load() > 0 })
			waiting(t, "more is held than there is room for", func() bool { return a.room.held.Load() <= limit && a.room.leaving.Load() == 0 })
			if whole {
				honest.answered(kept)
				honest.answered(honest.open(true))
				return
			}
			honest.must(honest.WritePing(false, [8]byte{1}))
			for frame := range honest.frames {
				if frame.Type == http2.FramePing {
					return
				}
			}
			t.Error("the connection of the other source was closed")
		})
	}
}

// accepting is a FairListener in memory.
type accepting struct {
	*FairListener

	t       *testing.T
	offered chan net.Conn
	room    *Room
	closed  map[string]Bound // why a connection of that address was closed
}

func newAccepting(t *testing.T, limit int) accepting {
	t.Helper()
	a := accepting{t: t, offered: make(chan net.Conn, 10), room: NewRoom(limit), closed: map[string]Bound{}}
	a.FairListener = NewFairListener(offered{a.offered}, Bounds{Sources: budget.Sources{}, Room: a.room, Closed: func(bound Bound, source netip.Prefix) {
		address := source.Addr().String()
		if _, twice := a.closed[address]; twice {
			t.Errorf("a connection of %s is reported twice", address)
		}
		a.closed[address] = bound
	}})
	return a
}

// offer has a connection from an address wait to be accepted.
func (a accepting) offer(address string) *peer {
	p := &peer{address: netip.AddrPortFrom(netip.MustParseAddr(address), 4000)}
	a.offered <- p
	return p
}

// accept accepts the next connection, and has it hold n bytes beside those of a connection.
func (a accepting) accept(n int) *fairConn {
	a.t.Helper()
	conn, err := a.Accept()
	if err != nil {
		a.t.Fatal(err)
	}
	c, ok := conn.(*fairConn)
	if !ok {
		a.t.Fatalf("it is a %T", conn)
	}
	c.hold(n)
	return c
}

func TestAConnectionIsEvictedForOneThatAdds(t *testing.T) {
	for name, c := range map[string]struct {
		adds string // the source of the connection that adds more than there is room for
		// how often each connection is closed: a small one, a large one, and the one that
		// adds
		want []int
	}{
		"of its source, that holds the most, it is the one that adds":  {"10.0.0.1", []int{0, 0, 1}},
		"of another source it is the largest of the one with the most": {"10.0.0.2", []int{0, 1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccepting(t, 1<<20)
			peers := []*peer{a.offer("10.0.0.1"), a.offer("10.0.0.1"), a.offer(c.adds)}
			a.accept(100 << 10)
			a.accept(600 << 10)
			a.accept(300 << 10)
			waiting(t, "not the right connection is closed", func() bool {
				closed := []int{}
				for _, p := range peers {
					closed = append(closed, int(p.closed.Load()))
				}
				return slices.Equal(closed, c.want)
			})
		})
	}
}

// Else the memory of connections that their server has not dropped yet would count as free.
func TestAnEvictedConnectionCountsUntilItsServerDropsIt(t *testing.T) {
	a := newAccepting(t, 1<<20)
	a.offer("10.0.0.1")
	c := a.accept(640 << 10)
	held := c.load.held.Load()
	c.evict(BoundMemory)
	other := a.offer("10.0.0.2")
	adding := a.accept(700 << 10) // with what is leaving, more than a quarter above the room
	waiting(t, "the connection that adds too much is open", func() bool { return other.closed.Load() == 1 })
	_ = adding.Close()
	third := a.offer("10.0.0.3")
	last := a.accept(0)
	c.hold(1000)
	if a.room.leaving.Load() < held || c.load.held.Load() != held || third.closed.Load() != 0 {
		t.Errorf("%d bytes are leaving, of which %d by a connection of %d", a.room.leaving.Load(), c.load.held.Load(), held)
	}
	if diff := cmp.Diff(map[string]Bound{"10.0.0.1": BoundMemory, "10.0.0.2": BoundMemory}, a.closed); diff != "" {
		t.Errorf("connections that were reported as closed (-want +got):\n%s", diff)
	}
	_ = last.Close()
	_ = c.Close()
	_ = c.Close() // twice, as net/http may
	if a.room.held.Load() != 0 || a.room.leaving.Load() != 0 || len(a.room.holders) != 0 {
		t.Errorf("%d bytes of %d sources are held, %d are leaving", a.room.held.Load(), len(a.room.holders), a.room.leaving.Load())
	}
}

func TestWhenTheRoomIsAlmostFullTheSourceWithTheMostGetsNoFurtherConnection(t *testing.T) {
	a := newAccepting(t, 1<<20)
	a.offer("10.0.0.1")
	a.offer("10.0.0.2")
	a.accept(800 << 10)
	a.accept(100 << 10)
	refused := a.offer("10.0.0.1")
	a.offer("10.0.0.2")
	a.offer("10.0.0.3")
	for _, want := range []string{"10.0.0.2", "10.0.0.3"} {
		if got := a.accept(0).source.Addr().String(); got != want {
			t.Errorf("a connection of %s was accepted, want %s", got, want)
		}
	}
	if refused.closed.Load() != 1 {
		t.Error("the connection that was not accepted is open")
	}
	if diff := cmp.Diff(map[string]Bound{"10.0.0.1": BoundMemory}, a.closed); diff != "" {
		t.Errorf("connections that were reported as closed (-want +got):\n%s", diff)
	}
}

func TestWhatAConnectionHoldsIsGivenBack(t *testing.T) {
	for name, end := range map[string]func(*h2Caller, uint32){
		"when its answers are taken": func(c *h2Caller, s uint32) {
			c.must(c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}))
			c.answered(s)
		},
		"when its streams are reset": func(c *h2Caller, s uint32) { c.must(c.WriteRSTStream(s, http2.ErrCodeCancel)) },
		"when it is closed":          func(c *h2Caller, _ uint32) { _ = c.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			a := serveAnswers(t, &answers{length: 10 << 10}, DefaultRoom)
			caller := a.call(t, "127.0.0.1", 0)
			waiting(t, "the connection is not counted", func() bool { return a.room.held.Load() > connectionBytes+framesBytes })
			stream := caller.open(true)
			caller.began(stream)
			if held := a.room.held.Load(); held < connectionBytes+framesBytes+requestBytes {
				t.Errorf("%d bytes are held while an answer is not taken", held)
			}
			end(caller, stream)
			waiting(t, "something is still held", func() bool {
				held := a.room.held.Load()
				return held == 0 || held > connectionBytes+framesBytes && held < connectionBytes+framesBytes+requestBytes
			})
		})
	}
}

func TestFramesAreFoundInPartsOfAnyLength(t *testing.T) {
	var sent bytes.Buffer
	sent.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&sent, nil)
	for i := range uint32(5) {
		if err := f.WriteData(2*i+1, i%2 == 0, make([]byte, i)); err != nil {
			t.Fatal(err)
		}
	}
	for size := 1; size < sent.Len(); size++ {
		found := frames{skip: len(preface)}
		var streams uint32
		for rest := sent.Bytes(); len(rest) > 0; {
			part := rest[:min(size, len(rest))]
			rest = rest[len(part):]
			for len(part) > 0 {
				var h frame
				var ok bool
				if h, part, ok = found.next(part); ok && h.length == int(streams) && h.stream == 2*streams+1 {
					streams++
				}
			}
		}
		if streams != 5 {
			t.Fatalf("%d frames were found in parts of %d bytes, want 5", streams, size)
		}
	}
}

func TestAWaitingRequestEndsWithItsContext(t *testing.T) {
	l := load{open: make([]stream, maxUnread+1)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l.begin(ctx) {
		t.Error("the request is worked on although its connection takes no answers")
	}
	if l.working != 0 {
		t.Errorf("%d requests count as worked on", l.working)
	}
}

// The server queues what it owes a caller who reads nothing.
func TestFramesOfControlThatAreNotTakenEndTheConnection(t *testing.T) {
	for name, ask := range map[string]func(*http2.Framer) error{
		"PING":                     func(f *http2.Framer) error { return f.WritePing(false, [8]byte{1}) },
		"SETTINGS":                 func(f *http2.Framer) error { return f.WriteSettings() },
		"PRIORITY":                 func(f *http2.Framer) error { return f.WritePriority(1, http2.PriorityParam{StreamDep: 1}) },
		"DATA of an ended stream":  func(f *http2.Framer) error { return f.WriteData(1, false, nil) },
		"RST_STREAM of an old one": func(f *http2.Framer) error { return f.WriteRSTStream(1, http2.ErrCodeCancel) },
	} {
		t.Run(name, func(t *testing.T) {
			var asked bytes.Buffer
			asked.WriteString(http2.ClientPreface)
			f := http2.NewFramer(&asked, nil)
			for range maxControl + 1 {
				if err := ask(f); err != nil {
					t.Fatal(err)
				}
			}
			a := newAccepting(t, DefaultRoom)
			a.offer("10.0.0.1")
			c := a.accept(0)
			plain, _, _ := Meter(c, streaming{&asked})
			before := a.room.held.Load()
			read := make([]byte, len(http2.ClientPreface)+maxControl*9/2)
			if _, err := plain.Read(read); err != nil {
				t.Fatalf("fewer frames than are allowed end the connection: %v", err)
			}
			if got := a.room.held.Load() - before; got < 100*controlBytes {
				t.Errorf("%d bytes are counted", got)
			}
			if _, err := plain.Write(make([]byte, writeBuffer)); err != nil || a.room.held.Load() == before {
				t.Errorf("after a part of what is queued nothing is counted; the error is %v", err)
			}
			if _, err := io.ReadFull(plain, make([]byte, asked.Len())); !errors.Is(err, errFlood) {
				t.Errorf("the error is %v, want %v", err, errFlood)
			}
			if _, err := plain.Write(make([]byte, 100)); err != nil || a.room.held.Load() >= before+controlBytes {
				t.Errorf("after all that is queued %d bytes are counted; the error is %v", a.room.held.Load()-before, err)
			}
		})
	}
}

// streaming is a connection that carries given frames.
type streaming struct{ *bytes.Buffer }

func (streaming) Write(p []byte) (int, error)      { return len(p), nil }
func (streaming) Close() error                     { return nil }
func (streaming) LocalAddr() net.Addr              { return nil }
func (streaming) RemoteAddr() net.Addr             { return nil }
func (streaming) SetDeadline(time.Time) error      { return nil }
func (streaming) SetReadDeadline(time.Time) error  { return nil }
func (streaming) SetWriteDeadline(time.Time) error { return nil }

func TestFramesOfControlThatAreTakenDoNotEndTheConnection(t *testing.T) {
	a := serveAnswers(t, &answers{length: 10}, DefaultRoom)
	caller := a.call(t, "127.0.0.1", 1<<16)
	for range 3 * maxControl {
		caller.must(caller.WritePing(false, [8]byte{1}))
		for frame := range caller.frames {
			if frame.Type == http2.FramePing {
				break
			}
		}
	}
	caller.answered(caller.open(true))
}
