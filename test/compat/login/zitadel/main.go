// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command zitadel is the example provider of zitadel/oidc with one client, hallpass, behind a proxy
// that has the certificate of its issuer: zitadel ISSUER REDIRECT-URI. It prints its address.
package main

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

func main() {
	issuer, redirect := os.Args[1], os.Args[2]
	storage.RegisterClients(storage.WebClient("hallpass", "provider-secret", redirect))
	handler := exampleop.SetupServer(issuer, storage.NewStorage(storage.NewUserStore(issuer)), slog.New(slog.NewTextHandler(io.Discard, nil)), false)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, handler)) //nolint:gosec // one test is its only caller
}
