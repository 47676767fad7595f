// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package extauthz answers Envoy, and what is built on it, by its protocol ext_authz v3 over gRPC.
// What a route requires comes from the context extensions that Envoy's configuration gives the
// route. Package auth decides, as for /forward-auth. It knows no Kubernetes.
package extauthz

import (
	"context"
	"net/http"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/peer"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/audit"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Authority decides whether a request may pass; auth.Authority does.
type Authority interface {
	Admit(ctx context.Context, attempt auth.Attempt) (auth.Result, error)
	ResourceMetadata(audience string) string
}

// service is envoy.service.auth.v3.Authorization.
type service struct {
	authv3.UnimplementedAuthorizationServer

	authority Authority
	auditor   *audit.Auditor
}

// Check answers one request of Envoy's. It never returns an error and never panics: what Envoy
// does then is a setting of its own (failure_mode_allow), and a refusal must not depend on it.
func (s *service) Check(ctx context.Context, question *authv3.CheckRequest) (response *authv3.CheckResponse, err error) {
	defer func() {
		if recover() != nil {
			response, err = refused(answer.Answer{Status: http.StatusInternalServerError}), nil
		}
	}()
	caller, _ := peer.FromContext(ctx)
	if work, ok := workOf(caller); ok {
		if !work.Begin(ctx) {
			return nil, ctx.Err() //nolint:wrapcheck // Envoy has given up
		}
		defer work.End()
	}
	request := question.GetAttributes().GetRequest().GetHttp()
	ctx, record := s.auditor.Begin(ctx, audit.ExtAuthz, origin(caller, request))
	attempt := auth.Attempt{Authorization: values(request, "authorization"), Source: record.Payer(), At: record.Started}
	attempt.Required, attempt.RequirementError = requirement(question.GetAttributes().GetContextExtensions())
	result, refusal := s.authority.Admit(ctx, attempt)
	var identity answer.Identity
	if refusal == nil {
		identity, refusal = answer.IdentityOf(result.Claims, result.Client.Namespace)
	}
	if refusal != nil {
		denied := answer.Challenge{
			Required: attempt.Required, Metadata: s.authority.ResourceMetadata(attempt.Required.Audience), Page: answer.WantsPage(values(request, "accept")),
		}.Refusal(refusal)
		s.auditor.End(ctx, record, result.Trail, denied.Status, refusal)
		return refused(denied), nil
	}
	s.auditor.End(ctx, record, result.Trail, http.StatusOK, nil)
	return allowed(&identity, result.Verdict, request), nil
}

// origin is where a request came from: the proxy, and the headers that it sent about the caller.
func origin(proxy *peer.Peer, request *authv3.AttributeContext_HttpRequest) audit.Origin {
	from := audit.Origin{Traceparent: values(request, "traceparent"), ForwardedFor: values(request, "x-forwarded-for")}
	if ids := values(request, "x-request-id"); len(ids) == 1 {
		from.RequestID = ids[0]
	}
	if proxy != nil {
		from.RemoteAddr = proxy.Addr.String()
	}
	return from
}

// requirement reads what the route requires. A route without context extensions requires nothing
// that is known, and so admits no request.
func requirement(extensions map[string]string) (oauth2.Requirement, error) {
	parameters := make(map[string][]string, len(extensions))
	for name, value := range extensions {
		parameters[name] = []string{value}
	}
	return oauth2.ParseRequirement(parameters)
}

// values are those of a header of the request that is held back; Envoy sends headers in one of two
// shapes.
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
