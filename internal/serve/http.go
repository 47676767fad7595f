// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// The bounds of a connection: each resource that a caller can use has a limit.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
	// maxStreams is RFC 9113 section 5.1.2. net/http closes a connection that resets streams
	// faster than their handlers return.
	maxStreams = 128
	// streamBuffer is the size of the longest body.
	streamBuffer = 64 << 10
	// connectionBuffer is what all streams of a connection may send ahead of the handlers: the
	// least of RFC 9113 section 6.9.2.
	connectionBuffer = 64 << 10
	// maxFrame is the least of RFC 9113 section 4.2: a connection keeps a buffer for the
	// longest frame.
	maxFrame    = 16 << 10
	pingAfter   = 30 * time.Second
	pingTimeout = 10 * time.Second
)

// HTTPConfig are the dependencies of an HTTP server.
type HTTPConfig struct {
	// Handler answers the requests.
	Handler http.Handler
	// TLS is the TLS configuration. If it is nil, the server serves plain HTTP.
	TLS *tls.Config
	// Log gets the errors of connections.
	Log *slog.Logger
	// Forwarded returns the source of a request that a trusted proxy forwards, and the zero
	// Prefix for other requests; nil trusts no proxy. It decides only whose request ends where
	// there is no room.
	Forwarded func(*http.Request) netip.Prefix
	// Idle is how long a connection without a request is kept; zero is the default.
	Idle time.Duration
	// Connection adds to the context of each connection, which is that of its requests; nil
	// adds nothing.
	Connection func(context.Context) context.Context
}

// NewHTTPServer returns an HTTP server with bounds on each connection. On connections of a
// FairListener, what requests hold is bounded too.
func NewHTTPServer(c HTTPConfig) *http.Server {
	server := &http.Server{
		Handler:           counted(c.Handler, c.Forwarded),
		ConnContext:       c.withConnection,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       cmp.Or(c.Idle, idleTimeout),
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: streamBuffer, MaxReceiveBufferPerConnection: connectionBuffer,
			MaxReadFrameSize: maxFrame,
			SendPingTimeout:  pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: writeTimeout,
		},
		ErrorLog: stdlog.New(connectionLog{c.Log}, "", 0),
	}
	if c.TLS != nil {
		server.TLSConfig = c.TLS.Clone()
		meterHTTP2(server)
	}
	return server
}

// meterHTTP2 has the frames of HTTP/2 counted. The server of net/http accepts connections of TLS
// only, so it is the same server from its own module.
func meterHTTP2(server *http.Server) {
	h2 := &http2.Server{}                                     //nolint:staticcheck // net/http has no way to wrap a connection of HTTP/2
	if err := http2.ConfigureServer(server, h2); err != nil { //nolint:staticcheck // as above
		// the cipher suites of the configuration are not those of HTTP/2: a fault of this
		// process
		panic(err)
	}
	server.TLSNextProto[http2.NextProtoTLS] = func(server *http.Server, c *tls.Conn, handler http.Handler) {
		ctx := context.Background()
		if base, ok := handler.(interface{ BaseContext() context.Context }); ok {
			ctx = base.BaseContext() // of the connection: it has what ConnContext added
		}
		conn, _, _ := Meter(c.NetConn(), c)
		h2.ServeConn(conn, &http2.ServeConnOpts{Context: ctx, BaseConfig: server, Handler: handler}) //nolint:staticcheck // as above
	}
}

// connectionLog is the error log of net/http. A caller's errors in TLS or HTTP are logged for
// debugging only; a panic is an error of this process.
type connectionLog struct{ log *slog.Logger }

// Write implements io.Writer.
func (c connectionLog) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.HasPrefix(line, []byte("http: panic")) || bytes.HasPrefix(line, []byte("http2: panic")) {
		level = slog.LevelError
	}
	c.log.Log(context.Background(), level, string(bytes.TrimSpace(line)))
	return len(line), nil
}

// HTTP serves until the server is shut down, which is no error. It serves with TLS if the server
// has a TLS configuration.
func HTTP(server *http.Server, listener net.Listener) error {
	if server.TLSConfig != nil {
		listener = handshakes{listener, server.TLSConfig}
	}
	err := server.Serve(listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", listener.Addr(), err)
}

// handshakes accepts connections of TLS.
type handshakes struct {
	net.Listener

	config *tls.Config
}

// Accept implements net.Listener. The handshake has a goroutine of its own, and the server waits
// for its result: the stack that it needs, 16 KiB, would else stay with the connection.
func (l handshakes) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // net/http checks the type of the error
	}
	c := tls.Server(accepted, l.config)
	if fair, ok := accepted.(*fairConn); ok {
		reading := make(chan struct{})
		fair.reading = reading
		go func() { // the server gets the error, and sets the deadline
			growStack()
			err := c.HandshakeContext(context.Background())
			if err == nil {
				fair.handshaken()
			}
			if plain := fair.listener.bounds.PlainHTTP; isPlainHTTP(err) && plain != nil {
				plain()
			}
		}()
		<-reading // now this handshake is the one that the server will wait for
	}
	return c, nil
}

// isPlainHTTP reports whether a handshake failed because the caller has sent a request without TLS.
// The server answers it with 400.
func isPlainHTTP(err error) bool {
	header, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok {
		return false
	}
	switch string(header.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PRI *":
		return true
	}
	return false
}

// CloseConnections ends connections without losing requests once stopping is true: one of HTTP/1.1
// ends with its response, and one of HTTP/2 with the responses to its open streams (net/http sends
// GOAWAY when it sees the header). If the server closed idle connections only, a request that a
// caller is just sending would be lost.
func CloseConnections(next http.Handler, stopping *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
