// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAPanicIsLoggedAsAnErrorAndACallersMistakeIsNot(t *testing.T) {
	var log strings.Builder
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a fault of ours") })
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewHTTPServer(HTTPConfig{Handler: handler, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	server.StartTLS()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(server.URL, "https", "http", 1), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := http.DefaultClient.Do(request); err == nil { // without TLS
		_ = answer.Body.Close()
	}
	if request, err = http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody); err != nil {
		t.Fatal(err)
	}
	if answer, err := server.Client().Do(request); err == nil {
		_ = answer.Body.Close()
		t.Errorf("answered %d", answer.StatusCode)
	}
	server.Close()
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), `"level":"ERROR"`) || !strings.Contains(log.String(), "a fault of ours") {
		t.Errorf("%d lines: %s", lines, &log)
	}
}

func TestPlainHTTPAtThePortOfTLSIsCounted(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	server := NewHTTPServer(HTTPConfig{
		Handler: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler),
		TLS: &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12},
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	counted := make(chan struct{}, 8)
	served := make(chan error, 1)
	go func() {
		served <- HTTP(server, NewFairListener(listener, Bounds{PlainHTTP: func() { counted <- struct{}{} }}))
	}()

	send := func(text string) string {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_, _ = io.WriteString(c, text)
		answer, _ := io.ReadAll(c)
		return string(answer)
	}
	// neither TLS nor HTTP
	_ = send("\x00\x00\x00\x00\x00\x00\x00\x00")
	trusting := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // both ends are this test
	with, err := trusting.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = with.Close()
	if answer := send("POST /oauth2/token HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.Contains(answer, "400 Bad Request") {
		t.Errorf("plain HTTP is answered %q", answer)
	}
	<-counted
	if len(counted) > 0 {
		t.Error("more was counted than the one request of plain HTTP")
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
