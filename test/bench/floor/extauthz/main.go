// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command extauthz is the least that an answer to Envoy by ext_authz can cost in Go: a bare gRPC
// server that looks the SHA-256 of the token up in a map and gives an answer of the same bytes as
// the token server's. It is not in the floor over HTTP, because what gRPC and the types of Envoy
// leave in the heap would have that collected less often.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/hallpass-dev/hallpass/test/bench/population"
)

func main() {
	file := flag.String("fixture", "", "what the driver has prepared")
	listen := flag.String("listen", "", "address of gRPC, without TLS")
	flag.Parse()
	if err := run(*file, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "extauthz:", err)
		os.Exit(1)
	}
}

func run(file, listen string) error {
	fixture, err := population.ReadFixture(file)
	if err != nil {
		return err
	}
	f := &floor{Fixture: fixture, allowed: &authv3.CheckResponse{}}
	if err := proto.Unmarshal(f.Check, f.allowed); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, service{floor: f})
	return server.Serve(listener)
}

// floor is what the answers are made from.
type floor struct {
	population.Fixture

	allowed *authv3.CheckResponse
}

// service is envoy.service.auth.v3.Authorization.
type service struct {
	authv3.UnimplementedAuthorizationServer

	floor *floor
}

// Check admits every caller with a token that was seen before.
func (s service) Check(_ context.Context, question *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	token, found := strings.CutPrefix(question.GetAttributes().GetRequest().GetHttp().GetHeaders()["authorization"], "Bearer ")
	if !found || !s.floor.Saw(token) {
		return &authv3.CheckResponse{Status: &status.Status{Code: int32(codes.Unauthenticated)}}, nil
	}
	return s.floor.allowed, nil
}
