// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tokenserver is the HTTP edge of the protocol: token endpoint (RFC 6749), introspection (RFC 7662), keys
// (RFC 7517) and metadata (RFC 8414). It parses a request once, asks package oauth2 and answers; who is registered a
// Directory tells it. It knows no Kubernetes.
package tokenserver

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Directory is where the token server learns of clients and keys.
type Directory interface {
	// Record and Ring answer from memory, at once.
	Record(clientID string) oauth2.Record
	Ring() keyring.Ring
	// LookUp asks the source of the memory itself. An error means that it did not answer.
	LookUp(ctx context.Context, clientID string) (oauth2.Record, error)
}

// Config is what a Server needs.
type Config struct {
	Issuer    oauth2.Issuer
	Directory Directory
	// Audit gets one line per decision.
	Audit *slog.Logger
	// Metrics counts; see NewMetrics.
	Metrics *Metrics
	// Random makes token ids.
	Random io.Reader
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server answers requests from memory.
type Server struct {
	Config

	lookups lookups
}

// New makes a Server.
func New(config Config) *Server {
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Server{Config: config, lookups: newLookups(config.Directory, config.Now)}
}

// Handler is every route of the public port.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	s.post(mux, oauth2.TokenPath, "token", s.token)
	s.post(mux, oauth2.IntrospectionPath, "introspect", s.introspect)
	s.get(mux, oauth2.JWKSPath, "jwks", s.jwks)
	s.get(mux, oauth2.MetadataPath, "metadata", s.metadata)
	s.get(mux, oauth2.DiscoveryPath, "metadata", s.metadata)
	mux.Handle("/", s.endpoint("none", notFound))
	return mux
}

// post routes an endpoint that only POST reaches; get one that GET and HEAD reach.
func (s *Server) post(mux *http.ServeMux, path, name string, handle handler) {
	mux.Handle("POST "+path, s.endpoint(name, handle))
	mux.Handle(path, s.endpoint(name, methodNotAllowed("POST")))
}

func (s *Server) get(mux *http.ServeMux, path, name string, handle handler) {
	mux.Handle("GET "+path, s.endpoint(name, handle))
	mux.Handle(path, s.endpoint(name, methodNotAllowed("GET, HEAD")))
}
