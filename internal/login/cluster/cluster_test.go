// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/internal/login/cluster"
	"github.com/hallpass-dev/hallpass/internal/login/provider"
)

func TestASecretIsReadSeldomAndStaysInUse(t *testing.T) {
	status, value, asked := http.StatusOK, "one", 0
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if status == http.StatusOK {
			_, _ = fmt.Fprintf(w, `{"kind":"Secret","apiVersion":"v1","data":{"client_secret":%q}}`, base64.StdEncoding.EncodeToString([]byte(value+"\r\n")))
			return
		}
		_, _ = io.WriteString(w, fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`,
			map[int]string{http.StatusNotFound: "NotFound", http.StatusServiceUnavailable: "ServiceUnavailable"}[status], status))
	}))
	defer api.Close()
	now := time.Now()
	objects, err := cluster.New(&rest.Config{Host: api.URL}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	secrets := cluster.Secrets{Objects: objects, Namespace: "hallpass-login"}
	for _, step := range []struct {
		name   string
		later  time.Duration
		status int
		value  string
		again  bool
		want   string
		asked  int
	}{
		{"the API server is away at first", 0, http.StatusServiceUnavailable, "", false, "error", 1},
		{"it is read, without the end of its line", 0, http.StatusOK, "one", false, "one", 2},
		{"it is not read again for a minute", 59 * time.Second, http.StatusOK, "two", false, "one", 2},
		{"it is read again after a minute", time.Second, http.StatusOK, "two", false, "two", 3},
		{"it was refused a moment ago", 9 * time.Second, http.StatusOK, "three", true, "two", 3},
		{"it is refused", time.Second, http.StatusOK, "three", true, "three", 4},
		{"the API server is away", time.Hour, http.StatusServiceUnavailable, "", false, "three", 5},
		{"it is deleted", time.Minute, http.StatusNotFound, "", false, "none", 6},
		{"an absence counts for less", 10 * time.Second, http.StatusOK, "four", false, "four", 7},
	} {
		now, status, value = now.Add(step.later), step.status, step.value
		got, err := secrets.ClientSecret(t.Context(), "corp", step.again)
		switch {
		case errors.Is(err, provider.ErrNoSecret):
			got = "none"
		case err != nil:
			got = "error"
		}
		if got != step.want || asked != step.asked {
			t.Errorf("%s: %q after %d requests, want %q after %d", step.name, got, asked, step.want, step.asked)
		}
	}
}
