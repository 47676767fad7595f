// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package extauthz answers Envoy, and what is built on it, by its protocol ext_authz v3 over gRPC. What a route requires comes
// from the context extensions that Envoy's configuration gives the route; the decision is the token server's, the same as at
// /forward-auth. It knows no Kubernetes and decides nothing itself.
package extauthz

import (
	"context"
	"crypto/tls"
	"net/http"
	"runtime"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/tokenserver"
)

// Decider decides whether a request may pass; tokenserver.Server does.
type Decider interface {
	ExtAuthz(ctx context.Context, attempt tokenserver.Attempt, from tokenserver.Origin) tokenserver.Decision
}

// The bounds of a connection.
const (
	maxQuestion       = 128 << 10 // Envoy sends all headers of a request, of which it takes 60 KiB unless told otherwise
	maxHeaderBytes    = 16 << 10
	maxStreams        = 128
	connectionTimeout = 5 * time.Second
	idleTimeout       = 10 * time.Minute
	pingInterval      = 10 * time.Second
)

// NewServer makes a gRPC server that answers Check; nil as config serves without TLS.
func NewServer(decider Decider, config *tls.Config) *grpc.Server {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxQuestion),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(connectionTimeout),
		// Goroutines that go on keep their stacks, which grow deep in here: a tenth of what an answer costs. Where all are busy there are more.
		grpc.NumStreamWorkers(uint32(runtime.GOMAXPROCS(0))), //nolint:gosec // a few
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingInterval, PermitWithoutStream: true}),
	}
	if config != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	server := grpc.NewServer(options...)
	authv3.RegisterAuthorizationServer(server, &service{decider: decider})
	return server
}

// service is envoy.service.auth.v3.Authorization.
type service struct {
	authv3.UnimplementedAuthorizationServer

	decider Decider
}

// Check answers one question of Envoy's. It never returns an error and never panics: what Envoy does then is a setting of its
// own (failure_mode_allow), and a refusal must not depend on it.
func (s *service) Check(ctx context.Context, question *authv3.CheckRequest) (answer *authv3.CheckResponse, err error) {
	defer func() {
		if recover() != nil {
			answer, err = refused(tokenserver.Decision{Status: http.StatusInternalServerError}), nil
		}
	}()
	request := question.GetAttributes().GetRequest().GetHttp()
	attempt := tokenserver.Attempt{Authorization: values(request, "authorization")}
	attempt.Requirement, attempt.RequirementError = requirement(question.GetAttributes().GetContextExtensions())
	for _, accept := range values(request, "accept") {
		attempt.Page = attempt.Page || tokenserver.WantsPage(accept)
	}
	from := tokenserver.Origin{Traceparent: values(request, "traceparent"), ForwardedFor: values(request, "x-forwarded-for")}
	if ids := values(request, "x-request-id"); len(ids) == 1 {
		from.RequestID = ids[0]
	}
	if proxy, ok := peer.FromContext(ctx); ok {
		from.RemoteAddr = proxy.Addr.String()
	}
	decision := s.decider.ExtAuthz(ctx, attempt, from)
	if !decision.Allowed() {
		return refused(decision), nil
	}
	return allowed(decision, request), nil
}

// requirement reads what the route requires. A route without context extensions requires nothing that is known, and so
// lets nobody in.
func requirement(extensions map[string]string) (oauth2.Requirement, error) {
	parameters := make(map[string][]string, len(extensions))
	for name, value := range extensions {
		parameters[name] = []string{value}
	}
	return oauth2.ParseRequirement(parameters)
}

// values are those of a header of the request that is held back; Envoy sends headers in one of two shapes.
func values(request *authv3.AttributeContext_HttpRequest, name string) []string {
	var found []string
	if value, ok := request.GetHeaders()[name]; ok {
		found = append(found, value)
	}
	for _, header := range request.GetHeaderMap().GetHeaders() {
		if header.GetKey() != name {
			continue
		}
		if raw := header.GetRawValue(); len(raw) > 0 {
			found = append(found, string(raw))
		} else {
			found = append(found, header.GetValue())
		}
	}
	return found
}
