// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/client/internal/trust"
)

const (
	// renewFrom and renewTo are the parts of a token's life between which it is renewed.
	renewFrom, renewTo = 0.60, 2.0 / 3
	// spareLife is what remains of a token that is not used any more: the API may get it later
	// than it was sent. Of a short token it is a tenth.
	spareLife = 10 * time.Second
	// patience is how long callers wait for a token at most, whatever their contexts.
	patience = 30 * time.Second
	// The pause after a failed request doubles from minPause to maxPause.
	minPause, maxPause = 100 * time.Millisecond, 30 * time.Second
	// refusedPause is the least pause after an answer that another attempt does not change,
	// such as invalid_scope. It ends when the files of the credential change.
	refusedPause = time.Second
	// invalidEvery is how often Invalidate has an effect, so that an API that accepts no token
	// does not cause a token request for each call.
	invalidEvery = time.Second
)

// Source is a source of tokens for one client and one API. It is safe for concurrent use. It needs
// no Close: it has no goroutine but those of requests in flight, which end within 30 seconds.
type Source struct {
	credential Credential
	options    options
	server     trust.Clients

	current atomic.Pointer[held]

	mu          sync.Mutex
	flight      *flight
	failure     failure
	accepted    accepted
	skew        time.Duration // of the server's clock against ours
	invalidated time.Time
}

// held is the token that a source has.
type held struct {
	token    Token
	received time.Time
	// renewAfter and usable are ages: from the first a new token is fetched, from the second
	// this one is not handed out.
	renewAfter, usable time.Duration
}

// flight is the request that is under way.
type flight struct {
	done chan struct{}
	// These are set before done is closed.
	token Token
	err   error
}

// failure is the latest answer that was no success. Before retryAt there is no other request.
type failure struct {
	err     error
	retryAt time.Time
	count   int
	// credential is the one that was refused.
	credential [sha256.Size]byte
}

// accepted is the credential that the token server accepted last.
type accepted struct {
	proof proof
	at    time.Time
}

// New makes a source. It reads no file and sends no request: the first Token does.
func New(c Credential, opts ...Option) (*Source, error) {
	if c == nil {
		return nil, errors.New("token: the credential is nil")
	}
	s := &Source{credential: c, options: options{overlap: DefaultOverlap}}
	for _, option := range opts {
		if err := option(&s.options); err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
	}
	s.server.Fixed = s.options.client
	return s, nil
}

// String implements fmt.Stringer.
func (*Source) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (*Source) GoString() string { return redacted }

// Format implements fmt.Formatter: each verb prints REDACTED.
func (*Source) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (*Source) LogValue() slog.Value { return slog.StringValue(redacted) }

// Token returns a token that is good for some more seconds at least. It waits only if the source
// has none: until the context ends, and for 30 seconds at most. The error then has the latest
// answer of the token server.
func (s *Source) Token(ctx context.Context) (Token, error) {
	now := time.Now()
	if h := s.current.Load(); h != nil {
		switch age := elapsed(h.received, now); {
		case age < h.renewAfter:
			return h.token, nil
		case age < h.usable:
			s.renew(ctx, now)
			return h.token, nil
		}
	}
	return s.wait(ctx)
}

// renew begins to fetch a token, unless a failure asks to wait.
func (s *Source) renew(ctx context.Context, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight == nil && (s.failure.err == nil || !now.Before(s.failure.retryAt)) {
		s.begin(ctx)
	}
}

// wait waits for the request in flight, which it begins if there is none.
func (s *Source) wait(ctx context.Context) (Token, error) {
	if err := ctx.Err(); err != nil {
		return Token{}, fmt.Errorf("fetch a token: %w", err)
	}
	s.mu.Lock()
	f := s.flight
	if f == nil {
		// A flight that ended since the caller looked may have left a token.
		if h := s.current.Load(); h != nil && elapsed(h.received, time.Now()) < h.renewAfter {
			s.mu.Unlock()
			return h.token, nil
		}
		f = s.begin(ctx)
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		if f.err != nil {
			return Token{}, fmt.Errorf("fetch a token: %w", f.err)
		}
		return f.token, nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.failure.err != nil {
			return Token{}, fmt.Errorf("fetch a token: %w; the attempt before: %w", ctx.Err(), s.failure.err)
		}
		return Token{}, fmt.Errorf("fetch a token: %w", ctx.Err())
	}
}

// begin starts a flight. The caller holds the lock. The flight outlives the context of the caller,
// because others wait for it too, and keeps its values.
func (s *Source) begin(ctx context.Context) *flight {
	f := &flight{done: make(chan struct{})}
	s.flight = f
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		h, err := s.fetch(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			s.current.Store(h)
			f.token = h.token
		}
		f.err = err
		s.flight = nil
		close(f.done)
	}()
	return f
}

// fetch asks for a token until there is an answer that another attempt does not change, or until
// the context ends before another attempt may be made.
func (s *Source) fetch(ctx context.Context) (*held, error) {
	for {
		read, err := s.credential.read(ctx, &s.options)
		if err != nil {
			return nil, err
		}
		if err := s.pause(ctx, read.proof); err != nil {
			return nil, err
		}
		h, err := s.attempt(ctx, read)
		s.mu.Lock()
		if err == nil {
			s.failure = failure{}
			s.mu.Unlock()
			return h, nil
		}
		s.failure.note(err, read.proof, time.Now())
		s.mu.Unlock()
		if !errors.Is(err, ErrUnavailable) {
			return nil, err
		}
	}
}

// note records a failed attempt.
func (f *failure) note(err error, with proof, now time.Time) {
	pause := refusedPause
	if errors.Is(err, ErrUnavailable) {
		pause = minPause
	}
	pause = min(pause<<min(f.count, 16), maxPause)
	pause -= time.Duration(rand.Float64() * float64(pause) / 2) //nolint:gosec // jitter
	if answer, ok := errors.AsType[*Error](err); ok {
		pause = max(pause, answer.RetryAfter+time.Duration(rand.Float64()*float64(answer.RetryAfter)/10)) //nolint:gosec // jitter
	}
	*f = failure{err: err, retryAt: now.Add(pause), count: f.count + 1, credential: with.id}
}

// pause waits until another attempt may be made. It returns the failure before if that is too late,
// or if only other files of the credential would make a difference.
func (s *Source) pause(ctx context.Context, with proof) error {
	s.mu.Lock()
	last := s.failure
	s.mu.Unlock()
	pause := time.Until(last.retryAt)
	if last.err == nil || pause <= 0 {
		return nil
	}
	if !errors.Is(last.err, ErrUnavailable) {
		if last.credential != with.id {
			return nil
		}
		return last.err
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause {
		return last.err
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return last.err
	}
}

// Invalidate drops a token that an API refused with 401 and invalid_token: it was revoked, or its
// key was withdrawn. It has no effect if the source has another token by now, and at most once a
// second.
func (s *Source) Invalidate(t Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, now := s.current.Load(), time.Now()
	if h == nil || h.token.Reveal() != t.Reveal() || !s.invalidated.IsZero() && elapsed(s.invalidated, now) < invalidEvery {
		return
	}
	s.invalidated = now
	s.current.Store(nil)
}
