// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package grpcauth has interceptors for gRPC: a server requires access tokens of Hallpass, and a
// client sends them.
//
//	server := grpc.NewServer(
//		grpc.UnaryInterceptor(grpcauth.UnaryServer(verifier, "orders.read")),
//		grpc.StreamInterceptor(grpcauth.StreamServer(verifier, "orders.read")))
//	conn, err := grpc.NewClient(target, tls,
//		grpc.WithUnaryInterceptor(grpcauth.UnaryClient(source)),
//		grpc.WithStreamInterceptor(grpcauth.StreamClient(source)))
package grpcauth

import (
	"context"
	"errors"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hallpass-dev/hallpass/client/token"
	"github.com/hallpass-dev/hallpass/client/verify"
)

// UnaryServer passes a call on if its token is good and has all of these scopes. verify.FromContext
// returns the claims in the handler. Other calls end with Unauthenticated, PermissionDenied, or
// Unavailable if the token cannot be verified now.
func UnaryServer(v *verify.Verifier, scopes ...string) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		claims, err := authorize(ctx, v, scopes)
		if err != nil {
			return nil, err
		}
		return handler(verify.NewContext(ctx, claims), request)
	}
}

// StreamServer does for streams what UnaryServer does for calls. The token is verified when the
// stream begins, and not again.
func StreamServer(v *verify.Verifier, scopes ...string) grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		claims, err := authorize(stream.Context(), v, scopes)
		if err != nil {
			return err
		}
		return handler(server, &authorized{stream, verify.NewContext(stream.Context(), claims)})
	}
}

// authorized is a stream whose context has the claims.
type authorized struct {
	grpc.ServerStream

	ctx context.Context //nolint:containedctx // grpc.ServerStream has one
}

// Context implements grpc.ServerStream.
func (a *authorized) Context() context.Context { return a.ctx }

// authorize returns the claims of a call. Its errors repeat nothing of the token.
func authorize(ctx context.Context, v *verify.Verifier, scopes []string) (*verify.Claims, error) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) != 1 {
		return nil, status.Error(codes.Unauthenticated, "the call needs one token in the metadata authorization")
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, status.Error(codes.Unauthenticated, "the metadata authorization has no Bearer token")
	}
	claims, err := v.Verify(ctx, strings.TrimLeft(raw, " "))
	switch {
	case errors.Is(err, verify.ErrUnavailable):
		return nil, status.Error(codes.Unavailable, "tokens cannot be verified now")
	case err != nil:
		return nil, status.Error(codes.Unauthenticated, "the token is not valid here")
	case !claims.HasScopes(scopes...):
		return nil, status.Error(codes.PermissionDenied, "the token lacks a scope")
	}
	return claims, nil
}

// UnaryClient sends a token with each call. If the call ends with Unauthenticated, it drops the
// token and makes the call once more with another one. Over a connection without TLS a call fails.
func UnaryClient(source *token.Source) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		first, err := source.Token(ctx)
		if err != nil {
			return failed(err)
		}
		call := func(t token.Token) error {
			return invoke(ctx, method, request, reply, conn, append(slices.Clip(opts), grpc.PerRPCCredentials(credentials{t}))...)
		}
		err = call(first)
		if status.Code(err) != codes.Unauthenticated {
			return err
		}
		source.Invalidate(first)
		another, tokenErr := source.Token(ctx)
		if tokenErr != nil || another.Reveal() == first.Reveal() {
			return err
		}
		return call(another)
	}
}

// StreamClient sends a token with each stream. It does not repeat a stream.
func StreamClient(source *token.Source) grpc.StreamClientInterceptor {
	return func(
		ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		t, err := source.Token(ctx)
		if err != nil {
			return nil, failed(err)
		}
		return streamer(ctx, desc, conn, method, append(slices.Clip(opts), grpc.PerRPCCredentials(credentials{t}))...)
	}
}

// failed is the error of a call without a token.
func failed(err error) error {
	code := codes.Unauthenticated
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, token.ErrUnavailable):
		code = codes.Unavailable
	}
	return status.Error(code, err.Error())
}

// credentials are those of one call.
type credentials struct{ token token.Token }

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (c credentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + c.token.Reveal()}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (credentials) RequireTransportSecurity() bool { return true }
