// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package attack_test attacks the token server's own binary while an honest client keeps fetching
// tokens.
package attack_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const maxMemory = 384 << 20

var must = world.Must

// TestAnHonestClientIsServedUnderAttack opens slow connections, resets HTTP/2 streams as soon as
// they are open (CVE-2023-44487) and sends wrong secrets, all at once and from other addresses than
// the honest client's. The honest client begins when each attack is under way, and not one of its
// requests may fail; each attack continued until it had made all of them.
func TestAnHonestClientIsServedUnderAttack(t *testing.T) {
	requests := world.Count(t, "HALLPASS_HONEST", 300)
	slow, resetters := world.Count(t, "HALLPASS_SLOW", 300), world.Count(t, "HALLPASS_RESETTERS", 2)
	rate := world.Count(t, "HALLPASS_WRONG", 500)
	s := start(t)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := &attack{address: s.address, clientID: s.clientID}
	attackers := a.begin(ctx, slow, resetters, rate)
	must(t, installation.Wait(ctx, "each attack goes on", func() (bool, error) { return a.beyond(counts{}), nil }))
	before, began := a.counts(), time.Now()

	var honest sync.WaitGroup
	var slowest atomic.Int64
	const callers = 4
	pace := time.NewTicker(time.Second / 100) // the most that the client sends in a second
	defer pace.Stop()
	for range callers {
		honest.Go(func() {
			for range requests / callers {
				<-pace.C
				asked := time.Now()
				if err := s.fetch(); err != nil {
					t.Errorf("the honest client is refused: %v", err)
				}
				slowest.Store(max(slowest.Load(), int64(time.Since(asked))))
			}
		})
	}
	honest.Wait()
	during, took := a.counts().less(before), time.Since(began)
	must(t, installation.Wait(ctx, "each attack still goes on", func() (bool, error) { return a.beyond(before), nil }))
	cancel()
	attackers.Wait()
	peak := s.peakMemory(t)
	t.Logf("%s: %d requests of the honest client, the slowest took %s; %d slow connections wanted, %d beginnings sent; "+
		"%.0f resets a second; %.0f wrong secrets a second answered; peak resident memory %d MiB",
		took.Round(time.Millisecond), requests/callers*callers, time.Duration(slowest.Load()).Round(time.Millisecond), slow, during.slow,
		float64(during.resets)/took.Seconds(), float64(during.guesses)/took.Seconds(), peak>>20)
	if peak >= maxMemory {
		t.Errorf("resident memory reached %d MiB", peak>>20)
	}
	if a.admitted.Load() > 0 {
		t.Errorf("%d wrong secrets were let in", a.admitted.Load())
	}
}

// server is the binary, and the honest client beside it.
type server struct {
	pid                      int
	address                  string
	clientID, secret, issuer string
	http                     *http.Client
}

func start(t *testing.T) *server {
	t.Helper()
	ctx := t.Context()
	program, err := installation.Program(ctx, "../../..", "tokenserver")
	must(t, err)
	w, err := world.Start(ctx, world.Options{})
	must(t, err)
	t.Cleanup(func() { _ = w.Stop() })
	callers, err := w.NewCallers(ctx, "shop", 1)
	must(t, err)
	kubeconfig, err := w.Plane.ServiceAccountKubeconfig(ctx, installation.SystemNamespace, installation.TokenServerAccount)
	must(t, err)

	s := &server{
		address: world.FreeAddress(t), issuer: w.Hallpass.Issuer.String(), http: w.Hallpass.HTTP, clientID: callers[0].ID, secret: callers[0].Secret,
	}
	certificates := filepath.Dir(w.Hallpass.CAFile)
	ops := world.FreeAddress(t)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	must(t, err)
	command := exec.Command(program, "--issuer="+s.issuer, "--kubeconfig="+kubeconfig, "--listen="+s.address, "--ops-listen="+ops, //nolint:noctx // ended below
		"--tls-cert-file="+filepath.Join(certificates, "tls.crt"), "--tls-key-file="+filepath.Join(certificates, "tls.key"))
	limit, err := installation.MemoryLimit(filepath.Join("..", "..", ".."), "tokenserver")
	must(t, err)
	command.Env = append(os.Environ(), limit)
	command.Stdout, command.Stderr = log, log
	must(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		_ = log.Close()
	})
	s.pid = command.Process.Pid
	must(t, installation.Wait(ctx, "the token server is ready", func() (bool, error) { return installation.Ready(ctx, "http://"+ops), nil }))
	must(t, s.fetch())
	return s
}

// fetch gets a token for the honest client.
func (s *server) fetch() error {
	_, port, _ := net.SplitHostPort(s.address)
	answer, err := s.http.PostForm("https://localhost:"+port+"/oauth2/token", url.Values{ //nolint:noctx // the client has a time limit
		"grant_type": {"client_credentials"}, "client_id": {s.clientID}, "client_secret": {s.secret},
	})
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %w", answer.Status, body, err)
	}
	return nil
}

// peakMemory is the most resident memory that the process had, in bytes.
func (s *server) peakMemory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if os.IsNotExist(err) {
		t.Skip("the peak of memory is read from /proc")
	}
	must(t, err)
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, err := strconv.Atoi(fields[1])
			must(t, err)
			return kib << 10
		}
	}
	t.Fatal("the process is gone")
	return 0
}
