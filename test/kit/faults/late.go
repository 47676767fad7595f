// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"io"
	"net/http"
	"time"
)

// LateWatches holds back what watches deliver, as a slow network or a busy API server would.
type LateWatches struct {
	Next http.RoundTripper
	Lag  time.Duration
}

// RoundTrip implements http.RoundTripper.
func (l LateWatches) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := l.Next.RoundTrip(request)
	if err == nil && request.URL.Query().Get("watch") != "" {
		response.Body = &lateBody{ReadCloser: response.Body, lag: l.Lag}
	}
	return response, err
}

// lateBody delivers each piece after the lag. Pieces that come meanwhile wait in the connection, so
// each is at least that late.
type lateBody struct {
	io.ReadCloser

	lag time.Duration
}

// Read implements io.Reader.
func (b *lateBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		time.Sleep(b.lag)
	}
	return n, err
}
