// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// dial connects by TCP.
func (a *answers) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// tlsOf connects by TLS for HTTP/1.1.
func (a *answers) tlsOf(t *testing.T) net.Conn {
	t.Helper()
	conn, err := a.tryTLS(t)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// tryTLS is tlsOf for a connection that may be refused.
func (a *answers) tryTLS(t *testing.T) (net.Conn, error) {
	t.Helper()
	conn := tls.Client(a.dial(t), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}) //nolint:gosec // the test's own server
	return conn, conn.HandshakeContext(t.Context())
}

// wideRequest is the beginning of a request with headers of few bytes.
func wideRequest() []byte {
	var b bytes.Buffer
	b.WriteString("GET / HTTP/1.1\r\nHost: x\r\n")
	for i := 0; b.Len() < 16<<10; i++ {
		fmt.Fprintf(&b, "%x:\n", i)
	}
	return b.Bytes()
}

// halfHello is a ClientHello without its last byte, in records.
func halfHello() []byte {
	const length = 60_000
	var b bytes.Buffer
	for hello := append([]byte{1, length >> 16, length >> 8, length & 0xff}, make([]byte, length-1)...); len(hello) > 0; {
		n := min(16<<10, len(hello))
		b.Write([]byte{22, 3, 1, byte(n >> 8), byte(n)}) //nolint:gosec // at most 16 KiB
		b.Write(hello[:n])
		hello = hello[n:]
	}
	return b.Bytes()
}

func TestWhatEndsNoRequestIsCounted(t *testing.T) {
	for name, c := range map[string]struct {
		send func(*testing.T, *answers)
		want int64
	}{
		"headers without their end": {func(t *testing.T, a *answers) { _, _ = a.tlsOf(t).Write(wideRequest()) }, 14 << 10 * headerFactor},
		"headers without their end, beside a request in one record": {func(t *testing.T, a *answers) {
			_, _ = a.tlsOf(t).Write(append([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), wideRequest()[:16<<10-100]...))
		}, 14 << 10 * headerFactor},
		"a ClientHello without its end": {func(t *testing.T, a *answers) { _, _ = a.dial(t).Write(halfHello()) }, 50_000 * messageFactor},
	} {
		t.Run(name, func(t *testing.T) {
			a := serveAnswers(t, &answers{}, DefaultRoom)
			c.send(t, a)
			waiting(t, fmt.Sprintf("less than %d bytes are counted", c.want), func() bool { return a.room.held.Load() >= c.want+connectionBytes })
		})
	}
}

// A message of TLS may begin once HTTP/2 was negotiated, and it brings no frame.
func TestAMessageOfTLSBesideStreamsIsCounted(t *testing.T) {
	a := newAccepting(t, DefaultRoom)
	a.offer("10.0.0.1")
	c := a.accept(0)
	plain, _, _ := Meter(c, &chunks{lengths: []int{10, 0, 10}})
	before := a.room.held.Load()
	read := func() {
		if _, err := plain.Read(make([]byte, 1<<10)); err != nil {
			t.Fatal(err)
		}
	}
	read()
	for range 16 {
		c.tookAhead(16 << 10)
	}
	if got := a.room.held.Load() - before; got < 250<<10*messageFactor {
		t.Errorf("%d bytes are counted of a message of 256 KiB", got)
	}
	read()
	if got := a.room.held.Load() - before; got < 250<<10*messageFactor {
		t.Errorf("%d bytes are counted of a message of 256 KiB after an empty read", got)
	}
	read()
	if got := a.room.held.Load() - before; got != 0 {
		t.Errorf("%d bytes are counted when a frame was read", got)
	}
}

// The server may answer requests before the goroutine of their handshake runs again.
func TestAHandshakeThatIsReportedLateCountsNothing(t *testing.T) {
	a := newAccepting(t, DefaultRoom)
	a.offer("10.0.0.1")
	c := a.accept(0)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 3<<10)))
	c.tookAhead(2 << 10) // the handshake
	c.tookAhead(3<<10 + int(headerBytes(r)))
	c.requested(httptest.NewRecorder(), r)
	c.handshaken()
	if got := c.ahead.bytes.Load(); got > 0 {
		t.Errorf("%d bytes are counted of a request that has ended", got)
	}
}

// chunks is what TLS returns of a connection.
type chunks struct {
	net.Conn

	lengths []int
}

func (c *chunks) Read([]byte) (int, error) {
	n := c.lengths[0]
	c.lengths = c.lengths[1:]
	return n, nil
}

// Else a connection that stays open would count more with each request.
func TestRequestsThatHaveEndedCountNothing(t *testing.T) {
	long := strings.Repeat("x", 7<<10)
	for name, request := range map[string]func() (*http.Request, error){
		"long headers": func() (*http.Request, error) {
			r, err := http.NewRequest(http.MethodGet, "/", nil) //nolint:noctx // written to a connection
			r.Header.Set("Authorization", "Bearer "+long)
			return r, err
		},
		"few headers": func() (*http.Request, error) { return http.NewRequest(http.MethodGet, "/", nil) }, //nolint:noctx // as above
		"a short body": func() (*http.Request, error) {
			return http.NewRequest(http.MethodPost, "/", strings.NewReader("grant_type=client_credentials")) //nolint:noctx // as above
		},
		"a body of 3 KiB": func() (*http.Request, error) {
			return http.NewRequest(http.MethodPost, "/", strings.NewReader(long[:3<<10])) //nolint:noctx // as above
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := serveAnswers(t, &answers{length: 10}, DefaultRoom)
			conn := a.tlsOf(t)
			counts := []int64{}
			for range 30 {
				r, err := request()
				if err != nil {
					t.Fatal(err)
				}
				r.Host = "x"
				if err := r.Write(conn); err != nil {
					t.Fatal(err)
				}
				if got := readAnswer(t, conn); got.Close { //nolint:bodyclose // it was read
					t.Fatal("the server closes the connection")
				}
				counts = append(counts, a.room.held.Load())
			}
			waiting(t, fmt.Sprintf("the requests stay counted: %d", counts), func() bool { return a.room.held.Load() < connectionBytes+32<<10 })
		})
	}
}

// The length of such a body shows only while it is read.
func TestABodyOfUnknownLengthEndsTheConnection(t *testing.T) {
	a := serveAnswers(t, &answers{length: 10}, DefaultRoom)
	conn := a.tlsOf(t)
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if !readAnswer(t, conn).Close { //nolint:bodyclose // it was read
		t.Error("the connection stays open")
	}
}

func readAnswer(t *testing.T, conn net.Conn) *http.Response {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return answer
}
