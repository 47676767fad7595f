// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"

	"google.golang.org/grpc"

	"github.com/hallpass-dev/hallpass/internal/extauthz"
)

// envoyPort is the port on which Envoy asks by ext_authz. The zero value is closed: nothing listens.
type envoyPort struct {
	server   *grpc.Server
	listener net.Listener
}

// openEnvoyPort opens the port if the flags name one. It has the serving certificate of the public port, or none like it.
func openEnvoyPort(o Options, decider extauthz.Decider, config *tls.Config) (envoyPort, error) {
	if o.ExtAuthzListen == "" {
		return envoyPort{}, nil
	}
	listener, err := net.Listen("tcp", o.ExtAuthzListen)
	if err != nil {
		return envoyPort{}, fmt.Errorf("open the port for ext_authz: %w", err)
	}
	if o.ExtAuthzListening != nil {
		o.ExtAuthzListening(listener.Addr().String())
	}
	return envoyPort{server: extauthz.NewServer(decider, config), listener: bounded(listener, o)}, nil
}

// start answers until shutdown.
func (p envoyPort) start(running *sync.WaitGroup, failed chan<- error) {
	if p.server == nil {
		return
	}
	running.Go(func() {
		if err := p.server.Serve(p.listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			failed <- fmt.Errorf("serve ext_authz at %s: %w", p.listener.Addr(), err)
		}
	})
}

// shutdown lets questions in flight finish, at the longest until the context ends.
func (p envoyPort) shutdown(ctx context.Context) {
	if p.server == nil {
		return
	}
	defer context.AfterFunc(ctx, p.server.Stop)()
	p.server.GracefulStop()
	_ = p.listener.Close() // a server that never served has not closed it
}
