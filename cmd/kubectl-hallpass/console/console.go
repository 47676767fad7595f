// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package console serves the local web page of kubectl hallpass console. It answers on loopback
// alone, with the rights of its caller in the cluster, to the one browser that a link has brought.
// It keeps no secret: each is read when it is asked for, one at a time, and answered.
package console

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/issuer"
)

//go:embed assets
var embedded embed.FS

// Options are what a console needs.
type Options struct {
	// Cluster has the rights of the caller. Its namespace is the one that the pages begin with.
	Cluster *cluster.Client
	// Context and User are shown on every page.
	Context, User string
	// Version is that of the plugin.
	Version string
	// Registry and System are the namespaces of the registrations and of the processes.
	Registry, System string
	// AllNamespaces begins with the objects of all namespaces.
	AllNamespaces bool
	// ReadOnly refuses everything that changes the cluster.
	ReadOnly bool
	// Idle is after how long without use the console ends.
	Idle time.Duration
	// Timeout is how long the API server, and a login plugin of the kubeconfig, may take to
	// answer.
	Timeout time.Duration
	// Dir is where links are written: a directory that the caller alone can read.
	Dir string
	// Dial connects to the token server, to revoke a token; nil stands for the network.
	Dial issuer.Dial
	// Now is the clock.
	Now func() time.Time
	// Warn prints a sentence in the terminal.
	Warn func(string)
}

// Server is a console.
type Server struct {
	Options

	host   string
	door   *door
	rights *rights
	static http.Handler

	mu     sync.Mutex
	endsAt time.Time
}

// New makes a console that is reached at host, an address and a port.
func New(o Options, host string) (*Server, error) {
	assets, err := fs.Sub(embedded, "assets")
	if err != nil {
		return nil, fmt.Errorf("read the files of the console: %w", err)
	}
	s := &Server{Options: o, host: host, door: newDoor(o.Now, o.Dir), static: http.FileServerFS(assets)}
	s.rights = &rights{now: o.Now, known: map[rightKey]known{}}
	s.used()
	return s, nil
}

// Origin is the URL of the page, without the code of a link.
func (s *Server) Origin() string { return "http://" + s.host }

// Link writes a file that opens the console in a browser, once, within 30 seconds.
func (s *Server) Link() (string, error) { return s.door.open(s.Origin()) }

// Serve answers until the context ends, or until the console was not used for Idle.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server := &http.Server{
		Handler:           s.Handler(), //nolint:contextcheck // each request has its own
		ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		// streams end with the console
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.untilIdle(ctx)
	stop()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(closing) != nil {
		_ = server.Close() // what is left is a request that waits for the API server
	}
	if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the console: %w", err)
	}
	return nil
}

// untilIdle returns when the context ends or the console was not used for long. Links that are too
// old are deleted meanwhile.
func (s *Server) untilIdle(ctx context.Context) {
	for {
		left := s.ends().Sub(s.Now())
		if left <= 0 {
			s.Warn(fmt.Sprintf("The console was not used for %s, so it ends.", s.Idle))
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(left, time.Second)):
			s.door.expire()
		}
	}
}

// used puts the end off.
func (s *Server) used() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endsAt = s.Now().Add(s.Idle)
}

func (s *Server) ends() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.endsAt
}
