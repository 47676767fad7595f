// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tokenserver "github.com/hallpass-dev/hallpass/cmd/tokenserver/app"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// TestAStoppingTokenServerWithdrawsItsReadinessAndFinishesWhatItBegan stops a second replica in the
// middle of a request.
func TestAStoppingTokenServerWithdrawsItsReadinessAndFinishesWhatItBegan(t *testing.T) {
	secret := credentials(t, apply(t, "stopping", newClient("caller")))
	config, err := hallpass.ControlPlane.ServiceAccountConfig(t.Context(), installation.SystemNamespace, installation.TokenServerAccount)
	must(t, err)
	type addresses struct{ public, ops string }
	listening := make(chan addresses, 1)
	stopped := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		stopped <- tokenserver.Run(ctx, tokenserver.Options{
			Issuer: hallpass.Issuer, REST: config, RegistryNamespace: installation.RegistryNamespace,
			Listen: "localhost:0", OpsListen: "127.0.0.1:0", RequireHTTPS: true, ShutdownLag: 500 * time.Millisecond, Log: hallpass.Log,
			CertFile: filepath.Join(filepath.Dir(hallpass.CAFile), "tls.crt"), KeyFile: filepath.Join(filepath.Dir(hallpass.CAFile), "tls.key"),
			Listening: func(public, ops string) { listening <- addresses{public, ops} },
		})
	}()
	at := <-listening
	ops := "http://" + at.ops
	eventually(t, "the second replica is ready", func() bool { return installation.Ready(t.Context(), ops) })
	_, port, _ := strings.Cut(strings.TrimPrefix(at.public, "["), "]:")
	if port == "" {
		_, port, _ = strings.Cut(at.public, ":")
	}

	// A request whose body is still on its way when the stop comes.
	body, rest := io.Pipe()
	began := make(chan struct{})
	trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: sync.OnceFunc(func() { close(began) })})
	request, err := http.NewRequestWithContext(trace, http.MethodPost, "https://localhost:"+port+"/oauth2/token", body)
	must(t, err)
	// which the server answers once it reads the body
	request.Header.Set("Expect", "100-continue")
	transport, ok := hallpass.HTTP.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("a transport of type %T", hallpass.HTTP.Transport)
	}
	patient := transport.Clone()
	patient.ExpectContinueTimeout = time.Minute
	defer patient.CloseIdleConnections()
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(string(secret.Data["client_id"]), string(secret.Data["client_secret"]))
	status := make(chan int, 1)
	go func() {
		response, err := (&http.Client{Transport: patient}).Do(request)
		if err != nil {
			t.Errorf("the request in flight: %v", err)
			status <- 0
			return
		}
		_ = response.Body.Close()
		status <- response.StatusCode
	}()
	<-began
	_, err = io.WriteString(rest, "grant_type=client_")
	must(t, err)
	stop()
	eventually(t, "readiness is withdrawn", func() bool { return !installation.Ready(t.Context(), ops) })
	_, err = io.WriteString(rest, "credentials")
	must(t, err)
	must(t, rest.Close())
	if got := <-status; got != http.StatusOK {
		t.Errorf("the request in flight got %d, want 200", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("the token server ended with %v", err)
	}
}
