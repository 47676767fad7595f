// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkRequest is requests of HTTP/1.1 on connections that are kept, and their answers: with a
// client secret, and with an assertion or a bearer token. It is the cost of net/http and of
// counting, which "uncounted" is without.
func BenchmarkRequest(b *testing.B) {
	const body = "grant_type=client_credentials"
	for name, headers := range map[string]string{"secret": "", "token": "Authorization: Bearer " + strings.Repeat("x", 1300) + "\r\n"} {
		request := []byte(fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n%sContent-Length: %d\r\n\r\n%s", headers, len(body), body))
		for kind, counts := range map[string]bool{"counted": true, "uncounted": false} {
			b.Run(name+", "+kind, func(b *testing.B) {
				listener, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				address := listener.Addr().String()
				if counts {
					listener = NewFairListener(listener, Bounds{})
				}
				server := NewHTTPServer(HTTPConfig{Log: slog.New(slog.DiscardHandler), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					w.WriteHeader(http.StatusOK)
					_, _ = w.Write([]byte("{}"))
				})})
				go func() { _ = HTTP(server, listener) }()
				defer func() { _ = server.Close() }()
				b.ReportAllocs()
				b.SetParallelism(8)
				b.RunParallel(func(pb *testing.PB) {
					conn, err := net.Dial("tcp", address) //nolint:noctx // on this host
					if err != nil {
						b.Error(err)
						return
					}
					defer func() { _ = conn.Close() }()
					for from := bufio.NewReader(conn); pb.Next(); {
						if err := exchange(conn, from, request); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// exchange sends a request and reads its answer, whose body has two bytes.
func exchange(conn net.Conn, from *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	for {
		line, err := from.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == len("\r\n") {
			_, err := from.Discard(2)
			return err
		}
	}
}
