// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"log/slog"
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
