// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// direction is the reads or the writes of a connection.
type direction struct {
	set func(*fairConn, time.Time) error
	// call reads or writes, and ends with what other does to the other end.
	call  func(*fairConn) error
	other func(net.Conn)
}

func directions() map[string]direction {
	const text = "ok"
	return map[string]direction{
		"read": {
			set:   (*fairConn).SetReadDeadline,
			call:  func(c *fairConn) error { _, err := io.ReadFull(c, make([]byte, len(text))); return err },
			other: func(c net.Conn) { _, _ = io.WriteString(c, text) },
		},
		"write": {
			set:   (*fairConn).SetWriteDeadline,
			call:  func(c *fairConn) error { _, err := io.WriteString(c, text); return err },
			other: func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, len(text))) },
		},
	}
}

// acceptPipe returns a connection that was accepted, and its other end.
func acceptPipe(t *testing.T) (*fairConn, net.Conn) {
	t.Helper()
	a := newAccepting(t, DefaultRoom)
	accepted, other := net.Pipe()
	a.offered <- accepted
	return a.accept(0), other
}

// A call ends by the deadline that was set last, whichever one is in force, and whether it was set
// before the call or meanwhile.
func TestACallEndsByTheDeadlineThatWasSetLast(t *testing.T) {
	const (
		never = time.Duration(0)
		past  = -100 * 365 * 24 * time.Hour
		comes = 10 * time.Second // when the other end does its part
	)
	for name, c := range map[string]struct {
		// deadlines from the call, and from a second after it
		before, meanwhile []time.Duration
		want              time.Duration
	}{
		"none":                              {[]time.Duration{never}, nil, comes},
		"one":                               {[]time.Duration{3 * time.Second}, nil, 3 * time.Second},
		"a past one":                        {[]time.Duration{past}, nil, 0},
		"a past one, removed":               {[]time.Duration{past, never}, nil, comes},
		"a past one, replaced":              {[]time.Duration{past, 3 * time.Second}, nil, 3 * time.Second},
		"removed":                           {[]time.Duration{time.Second, never}, nil, comes},
		"replaced by a later one":           {[]time.Duration{time.Second, 4 * time.Second}, nil, 4 * time.Second},
		"replaced by an earlier one":        {[]time.Duration{time.Hour, 4 * time.Second}, nil, 4 * time.Second},
		"none, meanwhile one":               {[]time.Duration{never}, []time.Duration{3 * time.Second}, 4 * time.Second},
		"meanwhile a past one":              {[]time.Duration{time.Hour}, []time.Duration{past}, time.Second},
		"meanwhile an earlier one":          {[]time.Duration{time.Hour}, []time.Duration{3 * time.Second}, 4 * time.Second},
		"meanwhile a later one":             {[]time.Duration{2 * time.Second}, []time.Duration{3 * time.Second}, 4 * time.Second},
		"meanwhile later than what is done": {[]time.Duration{2 * time.Second}, []time.Duration{time.Hour}, comes},
		"meanwhile removed":                 {[]time.Duration{2 * time.Second}, []time.Duration{never}, comes},
		"meanwhile removed, then one":       {[]time.Duration{2 * time.Second}, []time.Duration{never, 3 * time.Second}, 4 * time.Second},
	} {
		for of, d := range directions() {
			// what the call before has left in force
			for before, inForce := range map[string]time.Duration{"none": never, "a late one": 2 * time.Hour, "an early one": 1500 * time.Millisecond} {
				t.Run(of+", in force "+before+", "+name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						conn, other := acceptPipe(t)
						defer func() { _, _ = conn.Close(), other.Close() }()
						set := func(deadlines ...time.Duration) {
							for _, after := range deadlines {
								at := time.Time{}
								if after != never {
									at = time.Now().Add(after)
								}
								if err := d.set(conn, at); err != nil {
									t.Error(err)
								}
							}
						}
						set(inForce)
						go d.other(other)
						if err := d.call(conn); err != nil {
							t.Fatal(err)
						}
						set(c.before...)
						time.AfterFunc(time.Second, func() { set(c.meanwhile...) })
						time.AfterFunc(comes, func() { d.other(other) })
						began := time.Now()
						err := d.call(conn)
						if took := time.Since(began); took != c.want {
							t.Errorf("it ends after %s, want %s", took, c.want)
						}
						if passed := errors.Is(err, os.ErrDeadlineExceeded); passed == (c.want == comes) {
							t.Errorf("it ends with %v", err)
						}
					})
				})
			}
		}
	}
}

// What a write has sent before it runs into a deadline that was replaced is not sent again.
func TestAWriteThatGoesOnSendsEachByteOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, other := acceptPipe(t)
		defer func() { _, _ = conn.Close(), other.Close() }()
		received := make([]byte, 4)
		go func() {
			_, _ = io.ReadFull(other, received[:2])
			_ = conn.SetWriteDeadline(time.Time{})
			<-time.After(time.Minute) // of the bubble
			_, _ = io.ReadFull(other, received[2:])
		}()
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := io.WriteString(conn, "1234")
		synctest.Wait()
		if n != 4 || err != nil || string(received) != "1234" {
			t.Errorf("%d bytes were sent (%v), and %q received", n, err, received)
		}
	})
}

// net/http sets a deadline nine times for a request. At most two of them take a timer: where the
// read that waits for the next request has begun, it is ended by one.
func TestMostDeadlinesTakeNoTimer(t *testing.T) {
	conn, other := acceptPipe(t)
	defer func() { _, _ = conn.Close(), other.Close() }()
	var reads, writes atomic.Int32
	for puts, d := range map[*atomic.Int32]*deadline{&reads: &conn.reads, &writes: &conn.writes} {
		before := d.put
		d.put = func(conn net.Conn, at time.Time) error {
			puts.Add(1)
			return before(conn, at)
		}
	}
	const requests = 10
	for range requests {
		serveByDeadlines(t, conn, other)
	}
	if reads.Load() > 2*requests || writes.Load() > 1 {
		t.Errorf("for %d requests %d deadlines of reads and %d of writes were put in force", requests, reads.Load(), writes.Load())
	}
}

// serveByDeadlines sets deadlines as net/http does for a request.
func serveByDeadlines(t *testing.T, conn *fairConn, other net.Conn) {
	t.Helper()
	now := time.Now()
	ds := directions()
	done := make(chan error)
	_ = conn.SetReadDeadline(now.Add(idleTimeout))
	go ds["read"].other(other)
	if err := ds["read"].call(conn); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	_ = conn.SetReadDeadline(now.Add(readHeaderTimeout))
	_ = conn.SetReadDeadline(now.Add(readTimeout))
	_ = conn.SetWriteDeadline(now.Add(writeTimeout))
	_ = conn.SetReadDeadline(time.Time{})
	go func() { done <- ds["read"].call(conn) }()
	go ds["write"].other(other)
	if err := ds["write"].call(conn); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Unix(1, 0))
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	_ = conn.SetWriteDeadline(time.Time{})
}
