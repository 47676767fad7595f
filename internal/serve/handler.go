// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
)

// connectionKey is the key of a context whose value is the *fairConn of its request.
type connectionKey struct{}

// withConnection implements http.Server.ConnContext.
func (config HTTPConfig) withConnection(ctx context.Context, c net.Conn) context.Context {
	if config.Connection != nil {
		ctx = config.Connection(ctx)
	}
	if on, ok := acceptedOf(c).(*fairConn); ok {
		if c == net.Conn(on) {
			on.handshaken() // there is none
		}
		return context.WithValue(ctx, connectionKey{}, on)
	}
	return ctx
}

// acceptedOf returns the connection below TLS.
func acceptedOf(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}

// requestStack is what most requests need of the stack.
const requestStack = 12 << 10

// writers are those of counted requests, which are many and short-lived.
var writers = sync.Pool{New: func() any { return new(countedWriter) }} //nolint:gochecknoglobals // a pool of writers

// counted counts what requests hold, by the source that a proxy names. A request of a connection
// whose answers are not taken waits.
func counted(next http.Handler, forwardedBy func(*http.Request) netip.Prefix) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		on, ok := r.Context().Value(connectionKey{}).(*fairConn)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		held := len(r.Header) * nameBytes
		if r.ProtoMajor == 1 { // streams are counted by their frames
			held += requestBytes + on.requested(w, r)
		} else {
			growStack()
		}
		if !on.begin(r.Context(), held) {
			panic(http.ErrAbortHandler) // the caller has given up
		}
		var forwarded *forwardedRequest
		if forwardedBy != nil {
			forwarded = on.forward(forwardedBy(r), w, r, held)
		}
		writer, _ := writers.Get().(*countedWriter)
		*writer = countedWriter{ResponseWriter: w, on: on}
		defer func() {
			writer.answer()
			forwarded.answered()
			on.hold(-held)
			*writer = countedWriter{}
			writers.Put(writer)
			if r.ProtoMajor > 1 {
				// until the caller has taken the answer, net/http holds the request
				r.Header = nil
			}
		}()
		next.ServeHTTP(writer, r)
	})
}

// growStack makes room on the stack of a goroutine that was made for one request, as for each
// stream of HTTP/2, or for a handshake. Grown here, it is copied once and has few frames; it would
// be copied twice further down, where it has many, for a fifteenth of the time of the request.
//
//go:noinline
func growStack() {
	var room [requestStack]byte
	runtime.KeepAlive(&room)
}

// begin lets a handler begin, and counts what its request holds. It returns false if the request
// ends before. What requested took off the bytes that were read ahead is counted here, so that all
// processors change the counts of a source once for it.
func (c *fairConn) begin(ctx context.Context, held int) bool {
	l := &c.load
	began := l.beginLocked(ctx)
	if began {
		cost := c.ahead.cost()
		l.add(held + cost - l.ahead)
		l.ahead = cost
	}
	l.mu.Unlock()
	if began {
		c.makeRoom()
	}
	return began
}

// hold adds to what the connection holds.
func (c *fairConn) hold(n int) {
	c.load.mu.Lock()
	c.load.add(n)
	c.load.mu.Unlock()
	if n > 0 {
		c.makeRoom()
	}
}

// makeRoom is called when something was added to what the connection holds.
func (c *fairConn) makeRoom() {
	if room := c.load.room; room.full() && c.load.counts() {
		room.evict(c)
	}
}

// countedWriter counts an answer from its first byte on.
type countedWriter struct {
	http.ResponseWriter

	on   *fairConn
	done bool
}

// Unwrap is for http.ResponseController.
func (w *countedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// answer counts the request as answered, once.
func (w *countedWriter) answer() {
	if !w.done {
		w.done = true
		if w.on.ahead.bytes.Load() < -freeBody { // a long body that is not read
			w.Header().Set("Connection", "close")
		}
		w.on.load.answered()
	}
}

// FlushError is for http.ResponseController. An answer that the connection has taken does not count
// as unread while its handler runs.
func (w *countedWriter) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if err == nil && w.done {
		w.done = false
		w.on.load.resume()
	}
	return err //nolint:wrapcheck // the error of the connection
}

// WriteHeader implements http.ResponseWriter.
func (w *countedWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.answer()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter. A long answer is held here until the connection takes it.
func (w *countedWriter) Write(p []byte) (int, error) {
	w.answer()
	if len(p) <= shortAnswer {
		return w.ResponseWriter.Write(p) //nolint:wrapcheck // the error of the connection
	}
	w.on.write(len(p))
	defer w.on.write(-len(p))
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // the error of the connection
}

// write counts a long answer that is being sent.
func (c *fairConn) write(n int) {
	c.load.mu.Lock()
	c.load.writing += n
	c.load.wake()
	c.load.mu.Unlock()
	c.hold(n)
}
