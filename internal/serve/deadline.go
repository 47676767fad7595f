// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"cmp"
	"errors"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// epoch is the instant from which deadlines are counted.
var epoch = time.Now() //nolint:gochecknoglobals // a constant of the process

const (
	// ended is a deadline in the first years of the clock, by which net/http ends a read.
	ended      = math.MinInt64
	firstYears = 1 << 29 // seconds
)

// deadline is the deadline of the reads, or of the writes, of a connection. net/http sets nine for
// a request of HTTP/1.1, most of which it replaces before it reads or writes, and each changes a
// timer of the runtime. So a deadline is put in force by the call that it would end, and one that
// is later than the one in force only when a call runs into the latter: the call then continues.
// No call continues beyond the deadline that was set last.
type deadline struct {
	// put is SetReadDeadline or SetWriteDeadline.
	put func(net.Conn, time.Time) error
	// calls is how many reads or writes are under way.
	calls atomic.Int32
	// wanted is what was set last, and inForce what the connection has: nanoseconds since
	// epoch, or 0 for none. mu guards changes of inForce.
	wanted, inForce atomic.Int64
	mu              sync.Mutex
}

// set sets the deadline. A call that is under way ends by it if it is earlier than before.
func (d *deadline) set(conn net.Conn, at time.Time) error {
	switch {
	case at.IsZero():
		d.wanted.Store(0)
	case at.Unix() < firstYears:
		d.wanted.Store(ended)
	default:
		d.wanted.Store(cmp.Or(int64(at.Sub(epoch)), 1))
	}
	if d.calls.Load() > 0 {
		return d.hasten(conn)
	}
	return nil
}

// begin is called before a read or a write, and end after it. It returns false if the call has
// ended: net/http ends the read that waits for the next request, mostly before it has begun. A
// connection that takes no deadline is closed, so that the call has an error of its own.
func (d *deadline) begin(conn net.Conn) bool {
	d.calls.Add(1) // before it loads what set stores, which loads this after it
	if d.wanted.Load() == ended {
		return false
	}
	_ = d.hasten(conn)
	return true
}

func (d *deadline) end() { d.calls.Add(-1) }

// hasten puts the deadline in force if it is earlier than the one that is.
func (d *deadline) hasten(conn net.Conn) error {
	if !d.late(d.wanted.Load()) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.late(d.wanted.Load()) {
		return d.enforce(conn)
	}
	return nil
}

// late reports whether a call would end too late for the wanted deadline, or has ended before.
func (d *deadline) late(wanted int64) bool {
	inForce := d.inForce.Load()
	return earlier(wanted, inForce) || inForce == ended && wanted != ended
}

// extends reports whether a call that ended with err is repeated: it ran into a deadline that was
// replaced by a later one, which is in force now.
func (d *deadline) extends(conn net.Conn, err error) bool {
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return earlier(d.inForce.Load(), d.wanted.Load()) && d.enforce(conn) == nil
}

// enforce puts the wanted deadline in force. The caller has locked mu. Where an earlier one is set
// meanwhile, set may have seen the one before and put nothing in force.
func (d *deadline) enforce(conn net.Conn) error {
	for {
		wanted, at := d.wanted.Load(), time.Time{}
		switch wanted {
		case 0:
		case ended:
			at = time.Unix(1, 0)
		default:
			at = epoch.Add(time.Duration(wanted))
		}
		d.inForce.Store(wanted)
		if err := d.put(conn, at); err != nil || !d.late(d.wanted.Load()) {
			return err
		}
	}
}

// earlier reports whether a deadline is earlier than another one; 0 is none.
func earlier(one, other int64) bool { return one != 0 && (other == 0 || one < other) }

// SetDeadline implements net.Conn.
func (c *fairConn) SetDeadline(at time.Time) error {
	return errors.Join(c.reads.set(c.Conn, at), c.writes.set(c.Conn, at))
}

// SetReadDeadline implements net.Conn.
func (c *fairConn) SetReadDeadline(at time.Time) error { return c.reads.set(c.Conn, at) }

// SetWriteDeadline implements net.Conn.
func (c *fairConn) SetWriteDeadline(at time.Time) error { return c.writes.set(c.Conn, at) }

// receive reads by the deadline.
func (c *fairConn) receive(p []byte) (n int, err error) {
	defer c.reads.end()
	if !c.reads.begin(c.Conn) {
		return 0, os.ErrDeadlineExceeded
	}
	for n, err = c.Conn.Read(p); n == 0 && c.reads.extends(c.Conn, err); {
		n, err = c.Conn.Read(p)
	}
	return n, err //nolint:wrapcheck // the server checks for io.EOF
}

// Write implements net.Conn.
func (c *fairConn) Write(p []byte) (n int, err error) {
	defer c.writes.end()
	if !c.writes.begin(c.Conn) {
		return 0, os.ErrDeadlineExceeded
	}
	for n, err = c.Conn.Write(p); c.writes.extends(c.Conn, err); {
		var more int
		more, err = c.Conn.Write(p[n:])
		n += more
	}
	return n, err //nolint:wrapcheck // the server checks the error
}
