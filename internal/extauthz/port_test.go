// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package extauthz

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/serve"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
)

// counting is an Authority that counts its decisions.
type counting struct {
	Authority

	checks atomic.Int64
}

func (c *counting) Admit(ctx context.Context, attempt auth.Attempt) (auth.Result, error) {
	c.checks.Add(1)
	return c.Authority.Admit(ctx, attempt)
}

// Envoy that takes no answer gets 16 of them, and the next when it has taken them.
func TestAConnectionWhoseAnswersAreNotTakenGetsNoFurtherChecks(t *testing.T) {
	hallpass := memory.New(t, issuer)
	admitting := &counting{Authority: hallpass.Authority}
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(admitting, hallpass.Auditor, nil, func(accepted, plain net.Conn) (net.Conn, Work, bool) {
		return serve.Meter(accepted, plain)
	})
	go func() { _ = server.Serve(serve.NewFairListener(inner, serve.Bounds{})) }()
	t.Cleanup(server.Stop)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	f := http2.NewFramer(conn, conn)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = io.WriteString(conn, http2.ClientPreface)
	must(err)
	must(f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	message, err := proto.Marshal(&authv3.CheckRequest{})
	must(err)
	ask := func(stream uint32) {
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		encoder.SetMaxDynamicTableSize(0)
		for _, field := range []hpack.HeaderField{
			{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "localhost"},
			{Name: ":path", Value: authv3.Authorization_Check_FullMethodName}, {Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
		} {
			must(encoder.WriteField(field))
		}
		must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true}))
		must(f.WriteData(stream, true, append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...))) //nolint:gosec // a short message
	}
	// until reads frames until one of a type for a stream.
	until := func(kind http2.FrameType, stream uint32) {
		t.Helper()
		for {
			frame, err := f.ReadFrame()
			must(err)
			if header := frame.Header(); header.Type == kind && header.StreamID == stream {
				return
			}
		}
	}
	checks := func() int { return int(admitting.checks.Load()) }
	const taken = 16
	for i := range uint32(taken) {
		ask(2*i + 1)
		until(http2.FrameHeaders, 2*i+1)
	}
	ask(2*taken + 1)
	must(f.WritePing(false, [8]byte{1}))
	until(http2.FramePing, 0)
	if got := checks(); got != taken {
		t.Errorf("%d checks were answered, want %d", got, taken)
	}
	must(f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 16}))
	until(http2.FrameHeaders, 2*taken+1)
	deadline := time.Now().Add(10 * time.Second)
	for checks() != taken+1 && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if got := checks(); got != taken+1 {
		t.Errorf("%d checks were answered when the answers were taken, want %d", got, taken+1)
	}
}
