// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package app is login as a whole: flags to Options, and Run, which serves until the context ends.
package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	// The image has no certificate authorities of a system.
	_ "golang.org/x/crypto/x509roots/fallback"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/login"
	"github.com/hallpass-dev/hallpass/internal/login/cluster"
	"github.com/hallpass-dev/hallpass/internal/login/provider"
	"github.com/hallpass-dev/hallpass/internal/serve"
)

const (
	// drainTimeout bounds how long requests in flight may take once login stops.
	drainTimeout = 20 * time.Second
	// room is the memory that the connections of the public port may hold, and opsRoom that of
	// the other port. DefaultMaxConnections that wait for a request fit into room.
	room    = 48 << 20
	opsRoom = 5 << 20
	// idle is how long a browser may keep a connection without a request. Each person has
	// another one, and few requests.
	idle = 20 * time.Second
)

// Run serves until the context ends; then readiness goes first, and requests in flight finish.
func Run(ctx context.Context, o Options) error {
	log := serve.NewLog(o.Log, o.Verbosity)
	registry := newRegistry(o.Version)
	handler, sources, err := pages(o, registry, log)
	if err != nil {
		return err
	}
	var config serve.TLS
	if o.RequireHTTPS {
		if config, err = (serve.Files{Certificate: o.CertFile, Key: o.KeyFile}).TLS(); err != nil {
			return err
		}
	} else {
		log.Warn("HTTPS is switched off: between the proxy and this process codes can be read on the network", "flag", "--require-https=false")
	}
	publicListener, opsListener, err := serve.Listen(o.Listen, o.OpsListen, o.Listening)
	if err != nil {
		return err
	}
	log.Info("serving", "version", o.Version, "url", o.URL, "address", publicListener.Addr().String())

	var stopping atomic.Bool
	metrics := serve.Ops{Metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), Stopping: &stopping}
	public := serve.NewHTTPServer(serve.HTTPConfig{
		Handler: serve.CloseConnections(metrics.Public(handler), &stopping), TLS: config.Plain, Log: log, Forwarded: sources.forwarded, Idle: idle,
	})
	ops := serve.NewHTTPServer(serve.HTTPConfig{Handler: metrics.Handler(), Log: log})
	closed := newClosings(registry, log)

	var running sync.WaitGroup
	failed := make(chan error, 2)
	start := func(server *http.Server, listener net.Listener, bounds serve.Bounds) {
		running.Go(func() {
			if err := serve.HTTP(server, serve.NewFairListener(listener, bounds)); err != nil {
				failed <- err
			}
		})
	}
	start(public, publicListener, serve.Bounds{
		Total: o.Connections.Max, PerSource: o.Connections.MaxPerSource, Sources: sources.rule, Room: serve.NewRoom(room), Closed: closed.Closed,
	})
	start(ops, opsListener, serve.Bounds{Total: 64, PerSource: 32, Sources: sources.rule, Room: serve.NewRoom(opsRoom)})
	err = serve.UntilStopped(ctx, failed, &stopping, o.ShutdownLag)
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err = errors.Join(err, public.Shutdown(draining), ops.Shutdown(draining))
	running.Wait()
	log.Info("stopped")
	return err
}

// pages makes what answers browsers.
func pages(o Options, registry prometheus.Registerer, log *slog.Logger) (http.Handler, sources, error) {
	from := sources{proxies: o.Connections.TrustedProxies, rule: budget.Sources{OwnPrefixes: o.Connections.OwnPrefixes}}
	objects, err := cluster.New(o.REST, time.Now)
	if err != nil {
		return nil, from, err
	}
	server := login.New(login.Config{
		URL: o.URL, Aliases: o.Aliases, Judge: o.Server.client(objects),
		Providers: provider.New(o.Outbound, cluster.Secrets{Objects: objects, Namespace: o.Namespace}, time.Now),
		Source:    from.of, Sources: from.rule, Log: log, Metrics: login.NewMetrics(registry), Now: time.Now,
	})
	return server.Handler(), from, nil
}

// sources finds where requests come from.
type sources struct {
	proxies budget.Proxies
	rule    budget.Sources
}

// forwarded is the source of a request that a trusted proxy forwards.
func (s sources) forwarded(r *http.Request) netip.Prefix {
	if address := s.proxies.Caller(r.RemoteAddr, r.Header["X-Forwarded-For"]); address.IsValid() {
		return s.rule.Of(address)
	}
	return netip.Prefix{}
}

// of is the source of a request.
func (s sources) of(r *http.Request) netip.Prefix {
	if source := s.forwarded(r); source.IsValid() {
		return source
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	return s.rule.Of(peer.Addr())
}

// newRegistry has the metrics of every Go process and of the build.
func newRegistry(version string) *prometheus.Registry {
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "hallpass_login_build_info", Help: "Always 1, by the version of the build."}, []string{"version"})
	info.WithLabelValues(version).Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info)
	return registry
}

// newClosings counts the connections that are closed for a bound, and logs some of them.
func newClosings(registry prometheus.Registerer, log *slog.Logger) *serve.Closings {
	closed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hallpass_connections_closed_total", Help: "Connections of the public port that were closed for a bound, by the bound.",
	}, []string{"bound"})
	registry.MustRegister(closed)
	// there from the start, so that the first one is an increase
	for _, bound := range serve.EachBound {
		closed.WithLabelValues(string(bound))
	}
	return &serve.Closings{Count: func(bound serve.Bound) { closed.WithLabelValues(string(bound)).Inc() }, Log: log, Now: time.Now}
}
