// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc"

	"github.com/hallpass-dev/hallpass/internal/audit"
)

// Port is a gRPC server with its listener. The zero value is a port that is not open.
type Port struct {
	server   *grpc.Server
	listener net.Listener
}

// NewPort returns a port that answers the connections of listener; nil as config serves without TLS.
func NewPort(listener net.Listener, authority Authority, auditor *audit.Auditor, config *tls.Config) Port {
	return Port{server: NewServer(authority, auditor, config), listener: listener}
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
