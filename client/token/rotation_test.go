// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-dev/hallpass/client/token"
)

// calls has an API called once in a while until stop, from several goroutines, and counts the calls
// that fail.
func calls(t *testing.T, source *token.Source, e *endpoint, every time.Duration) (stop func() (made, failed int)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var made, failed atomic.Int64
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for ctx.Err() == nil {
				got, err := source.Token(t.Context())
				made.Add(1)
				if err != nil || !e.good(got.Reveal()) {
					failed.Add(1)
					if failed.Load() < 5 {
						t.Logf("a call failed: %v", err)
					}
				}
				pause(ctx, every)
			}
		})
	}
	return func() (int, int) {
		cancel()
		group.Wait()
		time.Sleep(time.Minute) // a request in flight ends within 30 seconds
		return int(made.Load()), int(failed.Load())
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// A rotation writes the Secret first. The token server learns of it some seconds later, and the
// kubelet changes the files within a minute or two.
func TestHundredRotations(t *testing.T) {
	for name, c := range map[string]struct {
		overlap             time.Duration
		serverLag, kubelets time.Duration
	}{
		"overlap 0s, the kubelet is late":              {0, 0, 90 * time.Second},
		"overlap 24h, the kubelet is late":             {24 * time.Hour, 0, 90 * time.Second},
		"overlap 24h, the token server is late":        {24 * time.Hour, 35 * time.Minute, 0},
		"overlap of 5m, the token server is at lags":   {5 * time.Minute, 2 * time.Second, time.Second},
		"overlap 0s, both at once as far as one knows": {0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEndpoint()
				e.secrets["secret-0"] = time.Time{}
				m := newMount(t, entries("secret-0"))
				source := newSource(t, token.Secret(m.dir), e, token.WithOverlap(c.overlap))
				stop := calls(t, source, e, 15*time.Second)
				for i := 1; i <= 100; i++ {
					time.Sleep(41*time.Minute + time.Duration(i)*13*time.Second)
					learn := func() {
						time.Sleep(c.serverLag)
						e.set(func(e *endpoint) {
							e.secrets["secret-"+strconv.Itoa(i-1)] = e.now().Add(c.overlap)
							e.secrets["secret-"+strconv.Itoa(i)] = time.Time{}
						})
					}
					mount := func() {
						time.Sleep(c.kubelets)
						m.write(t, entries("secret-"+strconv.Itoa(i)))
					}
					var both sync.WaitGroup
					both.Go(learn)
					both.Go(mount)
					both.Wait()
				}
				made, failed := stop()
				if failed > 0 || made < 10_000 {
					t.Errorf("%d of %d calls failed", failed, made)
				}
			})
		})
	}
}

// While the API server is away, the token server answers 503 to what it would have to look up; here
// to everything, for as long as a token lives on after its renewal is due.
func TestTheTokenServerAnswers503(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint()
		e.secrets["secret"] = time.Time{}
		source := newSource(t, token.Secret(newMount(t, entries("secret")).dir), e)
		stop := calls(t, source, e, 5*time.Second)
		for i := range 20 {
			time.Sleep(37*time.Minute + time.Duration(i)*time.Minute)
			e.set(func(e *endpoint) { e.fails = unavailable("2") })
			time.Sleep(18 * time.Minute)
			e.set(func(e *endpoint) { e.fails = nil })
		}
		if made, failed := stop(); failed > 0 {
			t.Errorf("%d of %d calls failed", failed, made)
		}
	})
}

// A token server that rolls refuses connections for some seconds, while clients start.
func TestTheTokenServerRolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint()
		e.secrets["secret"] = time.Time{}
		e.life = time.Minute
		e.fails = func(*http.Request) (*httptest.ResponseRecorder, error) {
			if time.Now().Second()%15 < 6 {
				return nil, errors.New("connection refused")
			}
			return nil, nil
		}
		for range 10 {
			source := newSource(t, token.Secret(newMount(t, entries("secret")).dir), e)
			stop := calls(t, source, e, time.Second)
			time.Sleep(10*time.Minute + 3*time.Second)
			if made, failed := stop(); failed > 0 {
				t.Errorf("%d of %d calls failed", failed, made)
			}
		}
	})
}

// The server's clock is five minutes from the client's. An assertion is dated, a secret is not.
func TestClocksDiffer(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	for _, ahead := range []time.Duration{-5 * time.Minute, 5 * time.Minute} {
		for _, life := range []time.Duration{time.Minute, time.Hour} {
			for name, credential := range map[string]func(dir string) token.Credential{
				"secret": token.Secret, "key": func(string) token.Credential { return token.PrivateKey(clientID, key, "") },
			} {
				t.Run(fmt.Sprintf("%s, %s, life %s", name, ahead, life), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						e := newEndpoint()
						e.secrets["secret"], e.key, e.life, e.ahead = time.Time{}, key.Public(), life, ahead
						source := newSource(t, credential(newMount(t, entries("secret")).dir), e, token.WithIssuer(issuer))
						stop := calls(t, source, e, 3*time.Second)
						time.Sleep(5 * time.Hour)
						if made, failed := stop(); failed > 0 {
							t.Errorf("%d of %d calls failed", failed, made)
						}
					})
				})
			}
		}
	}
}

func TestAFallBackIsTriedOnceAndOnlyWithinTheOverlap(t *testing.T) {
	type step struct {
		wait   time.Duration
		secret string // that the files have
		want   []string
		fails  bool
	}
	for name, c := range map[string]struct {
		overlap time.Duration
		steps   []step
	}{
		"the one before is tried once, and the new one first each time": {time.Hour, []step{
			{0, "old", []string{"old"}, false},
			{time.Minute, "unknown", []string{"unknown", "old"}, false},
			{time.Minute, "unknown", []string{"unknown", "old"}, false},
			{time.Minute, "new", []string{"new"}, false},
		}},
		"not after the overlap": {time.Hour, []step{
			{0, "old", []string{"old"}, false},
			{time.Hour, "unknown", []string{"unknown"}, true},
		}},
		"one that was never accepted is not tried": {time.Hour, []step{
			{0, "wrong", []string{"wrong"}, true},
			{time.Minute, "unknown", []string{"unknown"}, true},
		}},
		"no overlap": {0, []step{
			{0, "old", []string{"old"}, false},
			{time.Minute, "unknown", []string{"unknown"}, true},
		}},
		"the same one is not tried twice": {time.Hour, []step{
			{0, "ends", []string{"ends"}, false},
			{2 * time.Minute, "ends", []string{"ends"}, true},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEndpoint()
				e.secrets["old"], e.secrets["new"], e.secrets["ends"] = time.Time{}, time.Time{}, time.Now().Add(time.Minute)
				m := newMount(t, entries("old"))
				source := newSource(t, token.Secret(m.dir), e, token.WithOverlap(c.overlap))
				for i, step := range c.steps {
					time.Sleep(step.wait)
					m.write(t, entries(step.secret))
					var tried []string
					e.set(func(e *endpoint) {
						e.fails = func(r *http.Request) (*httptest.ResponseRecorder, error) {
							_, secret, _ := r.BasicAuth()
							tried = append(tried, secret)
							return nil, nil
						}
					})
					got, err := source.Token(t.Context())
					if (err != nil) != step.fails || err != nil && !errors.Is(err, token.ErrInvalidClient) {
						t.Errorf("step %d: %v", i, err)
					}
					if fmt.Sprint(tried) != fmt.Sprint(step.want) {
						t.Errorf("step %d: tried %v, want %v", i, tried, step.want)
					}
					if err == nil {
						source.Invalidate(got)
					}
				}
			})
		})
	}
}

func unavailable(retryAfter string) func(*http.Request) (*httptest.ResponseRecorder, error) {
	return func(*http.Request) (*httptest.ResponseRecorder, error) {
		w := httptest.NewRecorder()
		w.Header().Set("Retry-After", retryAfter)
		refuse(w, http.StatusServiceUnavailable, "temporarily_unavailable", "the client cannot be looked up right now; try again shortly")
		return w, nil
	}
}

func newSource(t *testing.T, c token.Credential, e *endpoint, options ...token.Option) *token.Source {
	t.Helper()
	source, err := token.New(c, append(options, token.WithHTTPClient(e.client()))...)
	must(t, err)
	return source
}
