// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpccredentials "google.golang.org/grpc/credentials"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	tokenserver "github.com/hallpass-dev/hallpass/cmd/tokenserver/app"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// TestProxiesLearnOfASuspensionAtOnce asks both ways in which proxies ask, of a token server as the
// flags start it, before and after the client is suspended.
func TestProxiesLearnOfASuspensionAtOnce(t *testing.T) {
	c := apply(t, "edge", newClient("caller"))
	token := fetch(t, credentials(t, c))
	audience := hallpass.Issuer.NamespaceAudience("edge")
	envoy := startForEnvoy(t)
	forward := func() int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			hallpass.Issuer.URL("/forward-auth")+"?audience="+url.QueryEscape(audience), http.NoBody)
		must(t, err)
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := hallpass.HTTP.Do(request)
		must(t, err)
		must(t, response.Body.Close())
		if id := response.Header.Get("X-Auth-Client-Id"); (id == "edge.caller") != (response.StatusCode == http.StatusOK) {
			t.Errorf("%d names %q", response.StatusCode, id)
		}
		return response.StatusCode
	}
	check := func() codes.Code {
		response, err := envoy.Check(t.Context(), &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
			ContextExtensions: map[string]string{"audience": audience},
			Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
				Headers: map[string]string{"authorization": "Bearer " + token},
			}},
		}})
		if err != nil {
			return codes.Unavailable
		}
		return codes.Code(response.GetStatus().GetCode()) //nolint:gosec // 0 to 16
	}
	eventually(t, "Envoy's port answers", func() bool { return check() == codes.OK })
	if status := forward(); status != http.StatusOK {
		t.Errorf("forward-auth says %d of a good token", status)
	}
	update(t, c, func() { c.Spec.State = v1alpha1.ClientSuspended })
	eventually(t, "both refuse", func() bool { return forward() == http.StatusUnauthorized && check() == codes.Unauthenticated })
}

// startForEnvoy starts another replica, with the port that is closed unless a flag opens it.
func startForEnvoy(t *testing.T) authv3.AuthorizationClient { //nolint:ireturn // the generated code has only this
	t.Helper()
	config, err := hallpass.ControlPlane.ServiceAccountConfig(t.Context(), installation.SystemNamespace, installation.TokenServerAccount)
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	address, stopped := make(chan string, 1), make(chan error, 1)
	go func() {
		stopped <- tokenserver.Run(ctx, tokenserver.Options{
			Issuer: hallpass.Issuer, REST: config, RegistryNamespace: installation.RegistryNamespace,
			Listen: "localhost:0", OpsListen: "127.0.0.1:0", RequireHTTPS: true, ShutdownLag: time.Millisecond, Log: hallpass.Log,
			CertFile: filepath.Join(filepath.Dir(hallpass.CAFile), "tls.crt"), KeyFile: filepath.Join(filepath.Dir(hallpass.CAFile), "tls.key"),
			ExtAuthzListen: "localhost:0", ExtAuthzListening: func(at string) { address <- at },
		})
	}()
	t.Cleanup(func() {
		stop()
		must(t, <-stopped)
	})
	pem, err := os.ReadFile(hallpass.CAFile)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	_, port, err := net.SplitHostPort(<-address)
	must(t, err)
	connection, err := grpc.NewClient("localhost:"+port, grpc.WithTransportCredentials(
		grpccredentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots})))
	must(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return authv3.NewAuthorizationClient(connection)
}
