// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"net/http"

	"k8s.io/client-go/rest"
)

// httpClient is the HTTP client of a kubeconfig. A login plugin of the kubeconfig may wait for a
// person and notices no end of a request, so a request with one ends without it.
func httpClient(config *rest.Config) (*http.Client, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil || config.ExecProvider == nil {
		return client, err //nolint:wrapcheck // the callers name the purpose
	}
	return &http.Client{Transport: impatient{client.Transport}, Timeout: client.Timeout}, nil
}

// impatient returns when the context of a request ends, also if the transport does not.
type impatient struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t impatient) RoundTrip(r *http.Request) (*http.Response, error) {
	type result struct {
		response *http.Response
		err      error
	}
	done := make(chan result, 1)
	go func() {
		response, err := t.next.RoundTrip(r) //nolint:bodyclose // the caller closes it, or the goroutine below
		done <- result{response, err}
	}()
	select {
	case got := <-done:
		return got.response, got.err
	case <-r.Context().Done():
	}
	select { // it may have noticed the end itself
	case got := <-done:
		return got.response, got.err
	default:
		go func() {
			if late := <-done; late.response != nil {
				_ = late.response.Body.Close() // the caller has left
			}
		}()
		return nil, r.Context().Err() //nolint:wrapcheck // http.Client wraps it
	}
}
