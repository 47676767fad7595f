// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attack_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/faults"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const (
	guessesASecond = 200 // of each source
	freshNamespace = "fresh"
	// watchLag is how late the token server gets a client: later than the client's first
	// request.
	watchLag = 500 * time.Millisecond
)

// TestNewClientsAreServedWhileOthersGuess has many sources present made-up credentials: of clients
// that there are not, and of those that will be created next. Meanwhile clients are created, and
// each sends its first request as soon as it is Ready, from an address of its own. None may fail,
// although the token server has not read the client yet. The same request from an address that
// guesses is answered, or gets a Retry-After, and is never refused.
func TestNewClientsAreServedWhileOthersGuess(t *testing.T) {
	clients, sources := 1000, 20
	if testing.Short() {
		clients, sources = 50, 5
	}
	w, err := world.Start(t.Context(), world.Options{Installation: installation.Options{TokenServerREST: func(config *rest.Config) {
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return faults.LateWatches{Next: next, Lag: watchLag} })
	}}})
	must(t, err)
	t.Cleanup(func() { _ = w.Stop() })
	must(t, w.Cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: freshNamespace}}))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g := &guessers{url: w.Hallpass.Issuer.URL(oauth2.TokenPath)}
	guessing := g.begin(ctx, w, sources)
	must(t, installation.Wait(ctx, "each source guesses", func() (bool, error) { return g.answered.Load() > int64(sources)*10, nil }))
	began, before := time.Now(), g.answered.Load()

	var failed, waited atomic.Int64
	const appliers = 4
	var applying sync.WaitGroup
	for applier := range appliers {
		applying.Go(func() {
			for i := applier; i < clients; i += appliers {
				g.next.Store(int64(i))
				fresh, err := readyClient(ctx, w, nameOf(i))
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				own := from(1)
				own.IP = net.IPv4(127, 1, byte(i/250), byte(1+i%250)) //nolint:gosec // there are fewer than 65,000
				if got := requestFrom(ctx, w, own, fresh); got.status != http.StatusOK {
					failed.Add(1)
					t.Errorf("the first request of client %d: %s", i, got)
				}
				switch got := requestFrom(ctx, w, guesser(i%sources), fresh); {
				case got.status == http.StatusServiceUnavailable && got.retryAfter != "":
					waited.Add(1)
				case got.status != http.StatusOK:
					t.Errorf("a request of client %d from an address that guesses: %s, want 503 with Retry-After", i, got)
				}
			}
		})
	}
	applying.Wait()
	guesses, took := g.answered.Load()-before, time.Since(began)
	cancel()
	guessing.Wait()
	t.Logf("%s: %d of %d first requests failed; %d were told to wait at an address that guesses; %d sources made %.0f guesses a second",
		took.Round(time.Millisecond), failed.Load(), clients, waited.Load(), sources, float64(guesses)/took.Seconds())
	if g.admitted.Load() > 0 {
		t.Errorf("%d made-up credentials were admitted", g.admitted.Load())
	}
	if waited.Load() == 0 {
		t.Error("no request was told to wait; does the attack use up anything?")
	}
}

func nameOf(i int) string { return fmt.Sprintf("new-%d", i) }

// guesser is the address of a source that guesses.
func guesser(i int) *net.TCPAddr { return from(100 + i) }

// guessers present made-up credentials.
type guessers struct {
	url string
	// next is the last client that is being created.
	next                         atomic.Int64
	answered, admitted, madeUpID atomic.Int64
}

// begin has each source guess, until the context ends. A source has some connections.
func (g *guessers) begin(ctx context.Context, w *world.World, sources int) *sync.WaitGroup {
	const connections = 4
	var running sync.WaitGroup
	for i := range sources {
		for range connections {
			running.Go(func() {
				via := clientFrom(w, guesser(i))
				defer via.CloseIdleConnections()
				tick := time.NewTicker(time.Second * connections / guessesASecond)
				defer tick.Stop()
				for n := 0; ; n++ {
					select {
					case <-ctx.Done():
						return
					case <-tick.C:
						g.guess(ctx, via, n)
					}
				}
			})
		}
	}
	return &running
}

// guess presents a made-up secret of one of the clients that come next, or of a client that there
// is not.
func (g *guessers) guess(ctx context.Context, via *http.Client, n int) {
	const ahead = 4
	id := freshNamespace + "." + nameOf(int(g.next.Load())+n%ahead)
	if n%2 == 0 {
		id = fmt.Sprintf("made-up.client-%d", g.madeUpID.Add(1))
	}
	secret, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		return
	}
	answer := post(ctx, via, g.url, world.Caller{ID: id, Secret: secret.Value.Reveal()})
	if answer.status > 0 {
		g.answered.Add(1)
	}
	if answer.status == http.StatusOK {
		g.admitted.Add(1)
	}
}

// readyClient creates a client and returns its credentials once it is Ready.
func readyClient(ctx context.Context, w *world.World, name string) (world.Caller, error) {
	c := world.NewClient(name)
	c.Namespace = freshNamespace
	if err := w.Cluster.Create(ctx, c); err != nil {
		return world.Caller{}, err
	}
	if err := installation.Wait(ctx, name+" is ready", func() (bool, error) {
		err := w.Cluster.Get(ctx, client.ObjectKeyFromObject(c), c)
		return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady), err
	}); err != nil {
		return world.Caller{}, err
	}
	var secret corev1.Secret
	err := w.Cluster.Get(ctx, client.ObjectKeyFromObject(c), &secret)
	return world.Caller{ID: string(secret.Data["client_id"]), Secret: string(secret.Data["client_secret"])}, err
}

// reply is what a token request is answered.
type reply struct {
	status           int
	retryAfter, body string
}

func (r reply) String() string {
	return fmt.Sprintf("%d, Retry-After %q, %s", r.status, r.retryAfter, r.body)
}

// requestFrom sends a token request on a new connection from an address of this host.
func requestFrom(ctx context.Context, w *world.World, source *net.TCPAddr, as world.Caller) reply {
	via := clientFrom(w, source)
	defer via.CloseIdleConnections()
	return post(ctx, via, w.Hallpass.Issuer.URL(oauth2.TokenPath), as)
}

// clientFrom connects from an address of this host, and trusts the installation.
func clientFrom(w *world.World, source *net.TCPAddr) *http.Client {
	var trusted *tls.Config
	if transport, ok := w.Hallpass.HTTP.Transport.(*http.Transport); ok {
		trusted = transport.TLSClientConfig
	}
	dialer := &net.Dialer{LocalAddr: source}
	return &http.Client{Timeout: w.Hallpass.HTTP.Timeout, Transport: &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: trusted}}
}

func post(ctx context.Context, via *http.Client, to string, as world.Caller) reply {
	form := url.Values{"grant_type": {"client_credentials"}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form))
	if err != nil {
		return reply{body: err.Error()}
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(as.ID, as.Secret)
	response, err := via.Do(request)
	if err != nil {
		return reply{body: err.Error()}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{body: err.Error()}
	}
	return reply{response.StatusCode, response.Header.Get("Retry-After"), string(body)}
}
