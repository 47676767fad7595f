// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package loginport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/loginport"
)

// answering is a transport that gives one answer.
type answering struct {
	status                        int
	mediaType, retryAfter, answer string
}

// RoundTrip implements http.RoundTripper.
func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status, Request: r, Body: io.NopCloser(strings.NewReader(a.answer)),
		Header: http.Header{"Content-Type": {a.mediaType}, "Retry-After": {a.retryAfter}},
	}, nil
}

// FuzzAnswer gives the client any answer: it is an answer of the contract, with exactly one member,
// or an error that repeats nothing of it.
func FuzzAnswer(f *testing.F) {
	const ok, media = http.StatusOK, loginport.MediaType
	f.Add(ok, media, "", `{"attempt":{"ticket":"t","expiresIn":600,"provider":{"caBundle":"UEVN"},"consent":{"scopes":[{"name":"read"}]}}}`)
	f.Add(ok, media+"; charset=utf-8", "", `{"redirect":"https://app.example.com/?code=c"}`)
	f.Add(ok, media, "", `{"refusal":{"code":"invalid_request","description":"d","reason":"R"},"attempt":null}`)
	f.Add(ok, media, "", `{"redirect":"a","redirect":"b","attempt":{}}`)
	f.Add(ok, "text/html", "", `{"redirect":"https://app.example.com"}`)
	f.Add(http.StatusServiceUnavailable, media, "7", `{"error":"temporarily_unavailable"}`)
	f.Add(http.StatusTooManyRequests, media, "99999999999", ``)
	f.Add(http.StatusUnauthorized, media, "-1", ``)
	f.Fuzz(func(t *testing.T, status int, mediaType, retryAfter, answer string) {
		const marker = "a marker in the answer"
		client := loginport.Client{
			BaseURL: "https://tokens.example.com", Token: func() (string, error) { return "pod-token", nil },
			// a redirect is an answer
			HTTP: &http.Client{
				Transport:     answering{status, mediaType, retryAfter, strings.ReplaceAll(answer, "x", marker)},
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			},
		}
		check := func(err error, answers int) {
			t.Helper()
			switch {
			case err == nil && (status != http.StatusOK || answers != 1):
				t.Errorf("%d %q: %d members", status, answer, answers)
			case err != nil && (strings.Contains(err.Error(), marker) || strings.Contains(err.Error(), "pod-token")):
				t.Errorf("the error repeats the answer or the token: %v", err)
			}
			if away, ok := errors.AsType[*loginport.UnavailableError](err); ok && (away.RetryAfter < 0 || away.RetryAfter > 24*time.Hour) {
				t.Errorf("Retry-After %q is %s", retryAfter, away.RetryAfter)
			}
		}
		for _, attempt := range []func(context.Context) (loginport.BeginAnswer, error){
			func(ctx context.Context) (loginport.BeginAnswer, error) {
				return client.Begin(ctx, loginport.BeginRequest{})
			},
			func(ctx context.Context) (loginport.BeginAnswer, error) {
				return client.Resume(ctx, loginport.ResumeRequest{})
			},
		} {
			got, err := attempt(t.Context())
			check(err, count(got.Refusal != nil, got.Redirect != "", got.Attempt != nil))
		}
		finished, err := client.Finish(t.Context(), loginport.FinishRequest{})
		check(err, count(finished.Refusal != nil, finished.Redirect != ""))
	})
}

func count(set ...bool) (n int) {
	for _, is := range set {
		if is {
			n++
		}
	}
	return n
}
