// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Two hundred long bodies of a hundred sources do not end. They lose their own connections, and
// take no room of the long bodies of another source.
func TestLongBodiesOfManySourcesTakeNoRoomOfOthers(t *testing.T) {
	const limit, sources = 32 << 20, 100
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	var began, closed, ofHonest atomic.Int64
	handler := newHandler(t, nil)
	server := NewHTTPServer(HTTPConfig{Log: slog.New(slog.DiscardHandler), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began.Add(1)
		handler.ServeHTTP(w, r)
	})})
	room := NewRoom(limit)
	go func() {
		_ = HTTP(server, NewFairListener(listener, Bounds{Room: room, Closed: func(_ Bound, source netip.Prefix) {
			closed.Add(1)
			if source.Addr() == netip.MustParseAddr("127.0.0.1") {
				ofHonest.Add(1)
			}
		}}))
	}()
	t.Cleanup(func() { _ = server.Close() })
	for i := range 2 * sources {
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(fmt.Sprintf("127.0.1.%d", i/2+1))}}
		conn, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		// it may be closed
		_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", oauth2.TokenPath, oauth2.MaxFormBytes, strings.Repeat("x", 16<<10))
	}
	waiting(t, "not all bodies are read or refused", func() bool {
		return began.Load()+closed.Load() >= 2*sources && room.leaving.Load() == 0
	})
	honest := &http.Transport{}
	defer honest.CloseIdleConnections()
	for i := range 20 {
		if err := sendLong(t.Context(), honest, "http://"+listener.Addr().String()); err != nil {
			t.Errorf("long body %d of another source: %v", i, err)
		}
	}
	if closed.Load() == 0 {
		t.Error("there is room for all")
	}
	if ofHonest.Load() != 0 {
		t.Errorf("%d connections of the source with few bodies were closed", ofHonest.Load())
	}
}

// sendLong sends a long body without credentials.
func sendLong(ctx context.Context, by *http.Transport, origin string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, origin+oauth2.TokenPath, strings.NewReader("grant_type=client_credentials&a="+strings.Repeat("x", 16<<10)))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := by.RoundTrip(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("it is answered %s: %w", answer.Status, err)
	}
	return nil
}
