// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// countedBody counts what is read of a body.
type countedBody struct {
	io.Reader

	read int
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += n
	return n, err
}

func (b *countedBody) Close() error { return nil }

func TestABodyThatNoEndpointReadsIsDiscarded(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, contentType string
		length, declared          int
		read                      int
		closes                    bool
	}{
		"of the key set":              {http.MethodGet, oauth2.JWKSPath, "", 5000, 5000, 5000, false},
		"of a proxy's request":        {http.MethodPost, oauth2.ForwardAuthPath, "", 8 << 10, 8 << 10, 8 << 10, false},
		"of the wrong method":         {http.MethodPut, oauth2.TokenPath, "", 100, 100, 100, false},
		"of the wrong media type":     {http.MethodPost, oauth2.TokenPath, "text/plain", 100, 100, 100, false},
		"at no endpoint":              {http.MethodPost, "/nothing", "", 100, 100, 100, false},
		"without a length":            {http.MethodPost, oauth2.ForwardAuthPath, "", 5000, -1, 5000, false},
		"too long":                    {http.MethodPost, oauth2.ForwardAuthPath, "", 8<<10 + 1, 8<<10 + 1, 0, true},
		"too long without a length":   {http.MethodPost, oauth2.ForwardAuthPath, "", 1 << 20, -1, 8<<10 + 1, true},
		"too long of the wrong type":  {http.MethodPost, oauth2.TokenPath, "text/plain", 1 << 20, 1 << 20, 0, true},
		"read whole, and then wrong":  {http.MethodPost, oauth2.TokenPath, "application/x-www-form-urlencoded", 20 << 10, 20 << 10, 20 << 10, false},
		"longer than a form may be":   {http.MethodPost, oauth2.TokenPath, "application/x-www-form-urlencoded", 1 << 20, 1 << 20, 64<<10 + 1, true},
		"of an introspection by POST": {http.MethodPost, oauth2.IntrospectionPath, "text/plain", 100, 100, 100, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			body := &countedBody{Reader: strings.NewReader(strings.Repeat("x", c.length))}
			r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, body)
			r.ContentLength = int64(c.declared)
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			answer := httptest.NewRecorder()
			w.handler.ServeHTTP(answer, r)
			if body.read != c.read {
				t.Errorf("%d bytes were read, want %d", body.read, c.read)
			}
			if closes := answer.Header().Get("Connection") == "close"; closes != c.closes {
				t.Errorf("the connection is to be closed: %t, want %t", closes, c.closes)
			}
		})
	}
}

// An answer over HTTP/2 must not be lost because its request had a body that no endpoint reads.
func TestAnAnswerOverHTTP2IsNotLostWithTheBody(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewUnstartedServer(w.handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for _, length := range []int{100, 8 << 10, 8<<10 + 1, 1 << 20} {
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+oauth2.ForwardAuthPath, strings.NewReader(strings.Repeat("x", length)))
				if err != nil {
					t.Error(err)
					return
				}
				answer, err := server.Client().Do(r)
				if err != nil {
					t.Errorf("a body of %d bytes: %v", length, err)
					return
				}
				if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusUnauthorized || answer.ProtoMajor != 2 {
					t.Errorf("a body of %d bytes: %s %s %s %v", length, answer.Proto, answer.Status, body, err)
				}
				_ = answer.Body.Close()
			})
		}
		calls.Wait()
	}
}

// stream is an answer over HTTP/2 that counts how often it was sent.
type stream struct {
	*httptest.ResponseRecorder

	sent int
}

func (s *stream) FlushError() error {
	s.sent++
	return nil
}

// net/http resets a stream whose body was not read when the handler returns, and curl loses an
// answer that it reads with the reset.
func TestAStreamIsResetAfterItsCallerHasHadTimeForTheAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		length int
		ends   bool // the caller ends the stream as soon as it has the answer
		sent   int
		delay  time.Duration
	}{
		"a long body": {maxDiscarded + 1, false, 1, resetDelay},
		"a long body of a caller who ends the stream": {maxDiscarded + 1, true, 1, 0},
		"a body that is discarded whole":              {maxDiscarded, false, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancel(t.Context())
				defer end()
				r := httptest.NewRequestWithContext(ctx, http.MethodPost, oauth2.ForwardAuthPath, strings.NewReader(strings.Repeat("x", c.length)))
				r.ProtoMajor = 2
				answer, began := &stream{ResponseRecorder: httptest.NewRecorder()}, time.Now()
				if c.ends {
					end()
				}
				w.handler.ServeHTTP(answer, r)
				if answer.Code != http.StatusUnauthorized || answer.Body.Len() == 0 {
					t.Errorf("the answer is %d %s", answer.Code, answer.Body)
				}
				if delay := time.Since(began); delay != c.delay || answer.sent != c.sent {
					t.Errorf("the answer was sent %d times and the stream ended after %s, want %d times and %s", answer.sent, delay, c.sent, c.delay)
				}
			})
		})
	}
}
