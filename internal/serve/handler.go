// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// connectionKey is the key of a context whose value is the *fairConn of its request.
type connectionKey struct{}

// withConnection implements http.Server.ConnContext.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	if on, ok := acceptedOf(c).(*fairConn); ok {
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

// writers are those of counted requests, which are many and short-lived.
var writers = sync.Pool{New: func() any { return new(countedWriter) }} //nolint:gochecknoglobals // a pool of writers

// counted counts what requests hold. A request of a connection whose answers are not taken waits.
func counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		on, ok := r.Context().Value(connectionKey{}).(*fairConn)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if !on.load.begin(r.Context()) {
			panic(http.ErrAbortHandler) // the caller has given up
		}
		headers := len(r.Header) * nameBytes
		if r.ProtoMajor == 1 { // streams are counted by their frames
			headers += requestBytes
		}
		on.hold(headers)
		writer, _ := writers.Get().(*countedWriter)
		*writer = countedWriter{ResponseWriter: w, on: on}
		defer func() {
			writer.answer()
			on.hold(-headers)
			*writer = countedWriter{}
			writers.Put(writer)
			if r.ProtoMajor > 1 {
				r.Header = nil // until the caller has taken the answer, net/http holds the request
			}
		}()
		next.ServeHTTP(writer, r)
	})
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
		w.on.load.answered()
	}
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
