// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"

	"github.com/hallpass-dev/hallpass/internal/audit"
)

// The bounds of a connection.
const (
	// Envoy sends all headers of a request, of which it accepts 60 KiB by default.
	maxQuestion       = 128 << 10
	maxHeaderBytes    = 16 << 10
	maxStreams        = 128
	connectionTimeout = 5 * time.Second
	idleTimeout       = 10 * time.Minute
	pingInterval      = 10 * time.Second
	// window is what a stream, and a connection, may send ahead of what is read: the least that
	// gRPC takes. Being set, it does not grow.
	window = 64 << 10
	// readBuffer is held by each connection. TLS has read what is beyond it already.
	readBuffer = 2 << 10
)

// Work admits the checks of a connection: serve.Work does.
type Work interface {
	// Begin waits while the answers of the connection are not taken. It returns false if the
	// check ends meanwhile.
	Begin(ctx context.Context) bool
	// End is called when the check is answered.
	End()
}

// Meter has what a connection holds counted: serve.Meter does. plain carries the frames of the
// accepted connection.
type Meter func(accepted, plain net.Conn) (net.Conn, Work, bool)

// NewServer makes a gRPC server that answers Check; nil as config serves without TLS. What checks
// hold is bounded if there is a meter.
func NewServer(authority Authority, auditor *audit.Auditor, config *tls.Config, meter ...Meter) *grpc.Server {
	security := insecure.NewCredentials()
	if config != nil {
		security = credentials.NewTLS(config)
	}
	if len(meter) > 0 {
		security = meteredCredentials{security, meter[0]}
	}
	server := grpc.NewServer(
		grpc.Creds(security),
		grpc.MaxRecvMsgSize(maxQuestion),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(window),
		grpc.ReadBufferSize(readBuffer),
		grpc.ConnectionTimeout(connectionTimeout),
		// Goroutines that stay keep their stacks, which grow deep in here: a tenth of what
		// an answer costs. Where all are busy there are more.
		grpc.NumStreamWorkers(uint32(runtime.GOMAXPROCS(0))), //nolint:gosec // a few
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingInterval, PermitWithoutStream: true}),
	)
	authv3.RegisterAuthorizationServer(server, &service{authority: authority, auditor: auditor})
	return server
}

// meteredCredentials have the frames of each connection counted. The handshake is where gRPC lets a
// connection be replaced.
type meteredCredentials struct {
	credentials.TransportCredentials

	meter Meter
}

// ServerHandshake implements credentials.TransportCredentials.
func (c meteredCredentials) ServerHandshake(accepted net.Conn) (net.Conn, credentials.AuthInfo, error) { //nolint:ireturn // gRPC wants it
	plain, info, err := c.TransportCredentials.ServerHandshake(accepted)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // gRPC compares it
	}
	metered, work, ok := c.meter(accepted, plain)
	if !ok {
		return plain, info, nil
	}
	return metered, meteredInfo{info, work}, nil
}

// meteredInfo is how a check finds its connection.
type meteredInfo struct {
	credentials.AuthInfo

	work Work
}

// workOf returns the Work of the connection of a check.
func workOf(caller *peer.Peer) (Work, bool) { //nolint:ireturn // it is what Meter returned
	if caller == nil {
		return nil, false
	}
	info, ok := caller.AuthInfo.(meteredInfo)
	return info.work, ok
}

// Port is a gRPC server with its listener. The zero value is a port that is not open.
type Port struct {
	server   *grpc.Server
	listener net.Listener
}

// NewPort returns a port that answers the connections of listener; nil as config serves without
// TLS.
func NewPort(listener net.Listener, authority Authority, auditor *audit.Auditor, config *tls.Config, meter Meter) Port {
	return Port{server: NewServer(authority, auditor, config, meter), listener: listener}
}

// Serve answers until Shutdown, which is no error. If the port is not open, it returns at once.
func (p Port) Serve() error {
	if p.server == nil {
		return nil
	}
	if err := p.server.Serve(p.listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve ext_authz at %s: %w", p.listener.Addr(), err)
	}
	return nil
}

// Shutdown closes the port. It waits for checks in flight until the context ends.
func (p Port) Shutdown(ctx context.Context) {
	if p.server == nil {
		return
	}
	defer context.AfterFunc(ctx, p.server.Stop)()
	p.server.GracefulStop()
	_ = p.listener.Close() // a server that never served has not closed it
}
