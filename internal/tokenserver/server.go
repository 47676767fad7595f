// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tokenserver is the HTTP edge of the protocol: token endpoint (RFC 6749), introspection (RFC 7662), revocation
// (RFC 7009), keys (RFC 7517), metadata (RFC 8414) and the answers to proxies that let only good tokens pass (RFC 6750). It parses a request
// once, asks package oauth2 and answers; who is registered a Directory tells it. It knows no Kubernetes.
package tokenserver

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// Directory is where the token server learns of clients, resources and keys.
type Directory interface {
	oauth2.Resources
	TakenBack

	// Record and Ring answer from memory, at once.
	Record(clientID string) oauth2.Record
	Ring() keyring.Ring
	// LookUp asks the source of the memory itself. An error means that it did not answer.
	LookUp(ctx context.Context, clientID string) (oauth2.Record, error)
	// LookUpRing does the same about the keys; Ring has what it found from then on.
	LookUpRing(ctx context.Context) (keyring.Ring, error)
	// LookUpResource does so about an identifier; nil means that there is no such resource.
	LookUpResource(ctx context.Context, identifier string) (*oauth2.Resource, error)
	// Minted and LookUpMinted do as Record and LookUp about OAuth2Tokens, by the id in their opaque tokens.
	Minted(opaqueID string) oauth2.MintedRecord
	LookUpMinted(ctx context.Context, opaqueID string) (oauth2.MintedRecord, error)
}

// Usage remembers who used what last. It is told of every decision, so it must return at once.
type Usage interface {
	Note(use oauth2.Use)
}

// TakenBack is what was taken back, as far as memory knows.
type TakenBack interface {
	Revocations() *revocation.State
	// ClientEpochs are the instants before which clients take their own tokens back.
	ClientEpochs() []revocation.Selector
}

// Config is what a Server needs.
type Config struct {
	Issuer    oauth2.Issuer
	Directory Directory
	// RevocationStore keeps what is revoked; see Server.Run.
	RevocationStore revocation.Store
	// Cluster vouches for the tokens of service accounts; nil lets none in.
	Cluster Cluster
	// TrustedProxies are the addresses of the proxies whose X-Forwarded-For is believed, for what is written down.
	TrustedProxies []netip.Prefix
	// Usage is told who used what; nil if nobody asks.
	Usage Usage
	// Vouches reports whether what Usage is told will be heard of. Without that no watched secret is accepted; nil means that it is.
	Vouches func() bool
	// Audit gets one line per decision, a JSON object like those of a slog.JSONHandler, each in one Write; many at once.
	Audit io.Writer
	// Log is told what went wrong here.
	Log *slog.Logger
	// Metrics counts; see NewMetrics.
	Metrics *Metrics
	// Tracer makes a span of each request; nil makes none.
	Tracer trace.Tracer
	// TokenAliases are further paths of the token endpoint; see CheckAliases.
	TokenAliases []string
	// TokenByGet lets the token endpoint answer GET too, with credentials in the Authorization header only.
	TokenByGet bool
	// ClientRate is how many tokens a second one client may fetch; zero means DefaultClientRate.
	ClientRate int
	// IntrospectionAuthorities are those of whose certificates a caller of introspection needs one, beside its credentials; nil asks
	// for none.
	IntrospectionAuthorities func() *x509.CertPool
	// Stale reports that the directory's memory is too old to decide anything by; nil means that it never is.
	Stale func() bool
	// MaxInFlight is how many requests are worked on at once; zero means DefaultMaxInFlight.
	MaxInFlight int
	// Random makes the ids of tokens and of signed answers.
	Random io.Reader
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server answers requests from memory.
type Server struct {
	Config

	lookups lookups
	// failures are those by source and client; successes those by client; questions those by the caller and the client of the
	// token that it asks about.
	failures, successes, questions *budget.Budget
	// revocations are those by client.
	revocations *budget.Budget
	// feeds are pages of the feed by client.
	feeds                                    *budget.Budget
	inFlight, largeBodies, revoking, feeding *budget.Gate
	replays                                  replays
	journal                                  *revocation.Journal
	verified                                 *verified
	rendered                                 atomic.Pointer[renderedMetadata]
	reviews                                  *reviews
}

// New makes a Server.
func New(config Config) *Server {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.ClientRate == 0 {
		config.ClientRate = DefaultClientRate
	}
	if config.MaxInFlight == 0 {
		config.MaxInFlight = DefaultMaxInFlight
	}
	return &Server{
		Config:      config,
		lookups:     newLookups(config),
		failures:    perKey(failureBurst, failureInterval),
		successes:   perKey(clientBurstSeconds*config.ClientRate, time.Second/time.Duration(config.ClientRate)),
		questions:   perKey(failureBurst, failureInterval),
		inFlight:    budget.NewGate(config.MaxInFlight),
		largeBodies: budget.NewGate(maxLargeBodies),
		revoking:    budget.NewGate(maxRevoking),
		feeding:     budget.NewGate(maxFeeding),
		feeds:       perKey(feedBurst, feedInterval),
		revocations: perKey(clientBurstSeconds*config.ClientRate, time.Second/time.Duration(config.ClientRate)),
		journal:     revocation.NewJournal(config.RevocationStore, config.Now, config.Metrics.wrote, config.Log),
		verified:    newVerified(),
		replays:     replays{used: map[revocation.ID]time.Time{}},
		reviews:     newReviews(config),
	}
}

// The names of the endpoints in audit lines and metrics.
const (
	endpointToken      = "token"
	endpointIntrospect = "introspect"
	endpointRevoke     = "revoke"
	endpointFeed       = "revocations"
	endpointKeys       = "jwks"
	endpointMetadata   = "metadata"
	endpointForward    = "forward-auth"
	endpointExtAuthz   = "ext_authz"
	endpointNone       = "none"
)

// endpoints are all of them.
var endpoints = [...]string{
	endpointToken, endpointIntrospect, endpointRevoke, endpointFeed, endpointKeys, endpointMetadata, endpointForward, endpointExtAuthz, endpointNone,
}

// Handler is every route of the public port.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, tokenPath := range append([]string{oauth2.TokenPath}, s.TokenAliases...) {
		s.post(mux, tokenPath, endpointToken, s.token, s.TokenByGet)
	}
	s.post(mux, oauth2.IntrospectionPath, endpointIntrospect, s.introspect, false)
	s.post(mux, oauth2.RevocationPath, endpointRevoke, s.revoke, false)
	s.post(mux, oauth2.RevocationFeedPath, endpointFeed, s.revocationFeed, true)
	s.get(mux, oauth2.JWKSPath, endpointKeys, s.jwks)
	s.get(mux, oauth2.MetadataPath, endpointMetadata, s.metadata)
	s.get(mux, oauth2.DiscoveryPath, endpointMetadata, s.metadata)
	mux.Handle(oauth2.ForwardAuthPath, s.endpoint(endpointForward, s.forwardAuth)) // by any method: that of the caller says nothing
	s.get(mux, oauth2.ResourceMetadataPath+"/resources/{namespace}/{name}", endpointMetadata, s.resourceMetadata)
	nowhere := s.endpoint(endpointNone, notFound)
	mux.Handle("/", nowhere)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path.Clean(r.URL.Path) || !strings.HasPrefix(r.URL.Path, "/") {
			nowhere.ServeHTTP(w, r) // the mux would redirect, and credentials follow no redirect of ours
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// post routes an endpoint that only POST reaches, unless byGet lets GET in too; get one that GET and HEAD reach.
func (s *Server) post(mux *http.ServeMux, pattern, name string, handle formHandler, byGet bool) {
	mux.Handle("POST "+pattern, s.endpoint(name, s.withForm(s.readBody, handle)))
	allow := "POST"
	if byGet {
		allow = "GET, POST"
		mux.Handle("GET "+pattern, s.endpoint(name, s.withForm(readQuery, handle)))
		mux.Handle("HEAD "+pattern, s.endpoint(name, methodNotAllowed(allow)))
	}
	mux.Handle(pattern, s.endpoint(name, methodNotAllowed(allow)))
}

func (s *Server) get(mux *http.ServeMux, pattern, name string, handle handler) {
	mux.Handle("GET "+pattern, s.endpoint(name, handle))
	mux.Handle(pattern, s.endpoint(name, methodNotAllowed("GET, HEAD")))
}

// aliasLetters are the letters of an alias: those that no client, proxy or router reads in two ways.
const aliasLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-._~"

// CheckAliases refuses paths that cannot be further paths of the token endpoint: those that are not plain absolute paths, that
// are served already, or that are there twice.
func CheckAliases(aliases []string) error {
	served := []string{
		oauth2.TokenPath, oauth2.IntrospectionPath, oauth2.RevocationPath, oauth2.RevocationFeedPath, oauth2.JWKSPath, oauth2.MetadataPath, oauth2.DiscoveryPath,
		oauth2.ForwardAuthPath,
	}
	for _, alias := range aliases {
		switch {
		case !strings.HasPrefix(alias, "/") || path.Clean(alias) != alias || alias == "/" || strings.Trim(alias, aliasLetters) != "":
			return fmt.Errorf("%q is not a plain absolute path such as /services/oauth2/token.pxp", alias)
		case slices.Contains(served, alias), strings.HasPrefix(alias, oauth2.ResourceMetadataPath):
			return fmt.Errorf("%q is served already", alias)
		}
		served = append(served, alias)
	}
	return nil
}
