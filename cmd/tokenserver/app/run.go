// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package app is the token server as a whole: flags to Options, and Run, which serves until the
// context ends. The command is a shell around it, and the end-to-end tests start it on free ports.
package app

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/audit"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/directory"
	"github.com/hallpass-dev/hallpass/internal/extauthz"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/serve"
	"github.com/hallpass-dev/hallpass/internal/tokenserver"
)

// drainTimeout bounds how long requests in flight may take once the server stops.
const drainTimeout = 20 * time.Second

// heapHeadroom is a block without accesses, so that it takes no memory but counts as part of the
// heap: the garbage collector runs when the heap has doubled, and without it that is after every
// few hundred requests.
const heapHeadroom = 16 << 20

// Run serves until the context ends; then readiness goes first, and requests in flight finish.
func Run(ctx context.Context, o Options) error {
	headroom := make([]byte, heapHeadroom)
	defer runtime.KeepAlive(headroom)
	log := serve.NewLog(o.Log, o.Verbosity)
	registry, clock := newRegistry(), apiclock.New()
	metrics := audit.NewMetrics(registry)
	dir, reports, err := connect(o, clock, registry, metrics, log)
	if err != nil {
		return err
	}
	tracer, stopTracing, err := startTracing(ctx, o.TracesURL, log)
	if err != nil {
		return err
	}
	observe(registry, dir, o.Version)
	tlsConfig, err := security(o)
	if err != nil {
		return err
	}
	doors := newDoors(o, clock, dir, reports, tracer, metrics, tlsConfig, log)

	var stopping atomic.Bool
	public, ops := servers(doors, tlsConfig, log, serve.Ops{
		Memory: dir, Metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), Stopping: &stopping,
	})
	warn(log, o)

	room, closed := serve.NewRoom(serve.DefaultRoom), closings(metrics, log)
	open, err := openPorts(ctx, o, doors, tlsConfig, room, closed)
	if err != nil {
		return err
	}
	login := loginServer(o, doors, tlsConfig, log, &stopping)
	log.Info("serving", "version", o.Version, "issuer", o.Issuer.String(), "address", open.public.Addr().String())

	var running sync.WaitGroup
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	running.Go(func() { dir.Run(watching) })
	doors.work(watching, &running)
	reports.start(ctx)
	failed := start(&running, open.envoy.Serve,
		func() error { return serve.HTTP(public, bounded(open.public, room, closed, metrics, o)) },
		func() error { return serve.HTTP(ops, serve.NewFairListener(open.ops, opsBounds(o))) },
		func() error {
			if open.login == nil {
				return nil
			}
			return serve.HTTP(login, bounded(open.login, room, closed, metrics, o))
		})
	err = serve.UntilStopped(ctx, failed, &stopping, o.ShutdownLag)
	err = errors.Join(err, drain(ctx, func(ctx context.Context) error {
		defer stopTracing(ctx)
		defer open.envoy.Shutdown(ctx)
		return errors.Join(public.Shutdown(ctx), login.Shutdown(ctx), ops.Shutdown(ctx))
	}))
	reports.finish(ctx)
	stopWatching()
	running.Wait()
	log.Info("stopped")
	return errors.Join(err, reports.leave(dir))
}

// servers are those of the public and of the operations port.
func servers(d doors, config serve.TLS, log *slog.Logger, o serve.Ops) (public, ops *http.Server) {
	c := serve.HTTPConfig{
		Handler: serve.CloseConnections(o.Public(d.public), o.Stopping), TLS: config.Requesting, Log: log, Forwarded: d.auditor.Forwarded,
	}
	if config.ClientCAs != nil {
		c.Connection = tokenserver.WithConnection
	}
	return serve.NewHTTPServer(c), serve.NewHTTPServer(serve.HTTPConfig{Handler: o.Handler(), Log: log})
}

// doors are the endpoints for callers: the public port by HTTP, and ext_authz by gRPC.
type doors struct {
	public    http.Handler
	authority *auth.Authority
	auditor   *audit.Auditor
	collapser *revocation.Collapser
}

// work starts what runs to the end: requests in flight wait for the journal, and it flushes.
func (d doors) work(ctx context.Context, running *sync.WaitGroup) {
	running.Go(func() { d.authority.Journal.Run(ctx) })
	running.Go(func() { d.collapser.Run(ctx) })
	running.Go(func() { d.auditor.Run(ctx) })
}

func newDoors(
	o Options, clock *apiclock.Clock, dir *directory.Directory, reports *reporting, tracer trace.Tracer, metrics *audit.Metrics, config serve.TLS,
	log *slog.Logger,
) doors {
	authority := auth.New(auth.Config{
		Issuer: o.Issuer, Directory: dir, Cluster: dir, Random: rand.Reader, Reviewed: metrics.Reviewed, Sources: o.sources(),
		Journal: revocation.NewJournal(dir.RevocationStore(), time.Now, metrics.Wrote, log),
		Past:    clock.Forgotten,
		Stale:   func() bool { return dir.Stale() || reports.reporter.Unheard(dir) }, Reports: reports.reporter.Reporting,
	})
	auditor := audit.New(audit.Config{
		Lines: o.Log, Log: log, Metrics: metrics, Tracer: tracer, Usage: reports.gathered, Refusals: reports.refusals,
		TrustedProxies: o.TrustedProxies, Sources: o.sources(), PersonKey: o.PersonKey,
	})
	public := tokenserver.New(tokenserver.Config{
		Authority: authority, Auditor: auditor, Aliases: o.Aliases, TokenByGet: o.TokenByGet, PasswordGrant: o.PasswordGrant,
		ClientRate: o.ClientRate, IntrospectionAuthorities: config.ClientCAs, LoginURL: o.Login.URL,
	})
	collapser := revocation.NewCollapser(dir.Revocations(), dir.RevocationStore(), clock.Forgotten, metrics.Collapsed, log)
	return doors{public, authority, auditor, collapser}
}

// start serves ports until they are closed. An error of one ends the process.
func start(running *sync.WaitGroup, ports ...func() error) <-chan error {
	failed := make(chan error, len(ports))
	for _, port := range ports {
		running.Go(func() {
			if err := port(); err != nil {
				failed <- err
			}
		})
	}
	return failed
}

// ports are the open ones. login is nil unless persons are served.
type ports struct {
	envoy              extauthz.Port
	login, public, ops net.Listener
}

// openPorts opens all ports, or none.
func openPorts(ctx context.Context, o Options, d doors, config serve.TLS, room *serve.Room, closed *serve.Closings) (p ports, err error) {
	if p.envoy, err = openEnvoyPort(o, room, closed, d, config.Plain); err != nil {
		return ports{}, err
	}
	if p.login, err = openLoginPort(o.Login); err != nil {
		p.envoy.Shutdown(ctx)
		return ports{}, err
	}
	if p.public, p.ops, err = serve.Listen(o.Listen, o.OpsListen, o.Listening); err != nil {
		p.envoy.Shutdown(ctx)
		if p.login != nil {
			err = errors.Join(err, p.login.Close())
		}
		return ports{}, err
	}
	return p, nil
}

// connect prepares what talks to the API server: what is read of it, and what is reported to it.
func connect(
	o Options, clock *apiclock.Clock, registry *prometheus.Registry, metrics *audit.Metrics, log *slog.Logger,
) (*directory.Directory, *reporting, error) {
	reports, err := newReporting(o, registry, log)
	if err != nil {
		return nil, nil, err
	}
	dir, err := directory.New(directory.Config{
		REST: o.REST, RegistryNamespace: o.RegistryNamespace, Log: log, SnapshotFile: o.SnapshotFile, MaxStaleness: o.MaxStaleness,
		RevocationSeen: metrics.RevocationSeen, Reporting: reports.reporter.Reporting, Clock: clock,
	})
	if err != nil {
		return nil, nil, err
	}
	directory.RegisterMetrics(registry, dir)
	directory.RegisterClock(registry, clock)
	return dir, reports, nil
}

// drain lets what is in flight finish, within a bound.
func drain(ctx context.Context, shutdown func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	return shutdown(ctx)
}

// liveHeap is what of the heap was in use at the last garbage collection: what a leak raises, and a
// burst does not.
var liveHeap = regexp.MustCompile("^/gc/heap/live:bytes$")

// newRegistry has the metrics of every Go process.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.GoRuntimeMetricsRule{Matcher: liveHeap})),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}

// observe adds the metrics of the signing keys and of the build.
func observe(registry *prometheus.Registry, dir *directory.Directory, version string) {
	registry.MustRegister(audit.NewKeyMetrics(dir.Ring, time.Now))
	audit.RegisterBuild(registry, version)
}

// warn logs at every start which settings reduce security for old callers.
func warn(log *slog.Logger, o Options) {
	if !o.RequireHTTPS {
		log.Warn("HTTPS is switched off: credentials and tokens can be read on the network", "flag", "--require-https=false")
	}
	if o.TokenByGet {
		log.Warn("the token endpoint answers GET: what stands between may keep tokens and log requests", "flag", "--token-endpoint-allow-get")
	}
	if o.PasswordGrant {
		log.Warn("the grant type password is served: programs may ask persons for passwords that look right here, which RFC 9700 forbids", "flag", "--unsafe-password-grant")
	}
}

// openEnvoyPort opens the port for ext_authz if the options name one.
func openEnvoyPort(o Options, room *serve.Room, closed *serve.Closings, d doors, config *tls.Config) (extauthz.Port, error) {
	if o.ExtAuthzListen == "" {
		return extauthz.Port{}, nil
	}
	listener, err := net.Listen("tcp", o.ExtAuthzListen)
	if err != nil {
		return extauthz.Port{}, fmt.Errorf("open the port for ext_authz: %w", err)
	}
	if o.ExtAuthzListening != nil {
		o.ExtAuthzListening(listener.Addr().String())
	}
	return extauthz.NewPort(bounded(listener, room, closed, d.auditor.Metrics, o), d.authority, d.auditor, config, meter), nil
}

// loginServer is the server of the port for login. It is there without the port, too, so that it
// can be shut down.
func loginServer(o Options, d doors, config serve.TLS, log *slog.Logger, stopping *atomic.Bool) *http.Server {
	handler := tokenserver.NewLogin(tokenserver.LoginConfig{Authority: d.authority, Auditor: d.auditor, Account: o.Login.Account, Sources: o.sources()})
	return serve.NewHTTPServer(serve.HTTPConfig{Handler: serve.CloseConnections(handler, stopping), TLS: config.Plain, Log: log})
}

// openLoginPort opens the port for login if persons are served.
func openLoginPort(l LoginPort) (net.Listener, error) {
	if l.URL == "" {
		return nil, nil //nolint:nilnil // there is no port
	}
	listener, err := net.Listen("tcp", l.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the port for login: %w", err)
	}
	if l.Listening != nil {
		l.Listening(listener.Addr().String())
	}
	return listener, nil
}

// bounded limits what the callers of a port can make the process hold.
func bounded(listener net.Listener, room *serve.Room, closed *serve.Closings, metrics *audit.Metrics, o Options) net.Listener {
	return serve.NewFairListener(listener, serve.Bounds{
		Total: o.MaxConnections, PerSource: o.MaxConnectionsPerSource, Sources: o.sources(), Room: room, PlainHTTP: metrics.PlainHTTP, Closed: closed.Closed,
	})
}

// closings counts the connections that are closed for a bound, and logs some of them.
func closings(metrics *audit.Metrics, log *slog.Logger) *serve.Closings {
	// there from the start, so that the first one is an increase
	for _, bound := range serve.EachBound {
		metrics.Closed(string(bound), 0)
	}
	return &serve.Closings{Count: func(bound serve.Bound) { metrics.Closed(string(bound), 1) }, Log: log, Now: time.Now}
}

// meter is serve.Meter, for ext_authz.
func meter(accepted, plain net.Conn) (net.Conn, extauthz.Work, bool) { //nolint:ireturn // extauthz declares what it needs
	return serve.Meter(accepted, plain)
}

// opsRoom is the memory that the connections of the ops port may hold: 64 with a request each.
const opsRoom = 5 << 20

// opsBounds are those of the ops port, which a kubelet and a few Prometheus servers call. The port
// has its own Room: behind source NAT the callers of the public port have the address of the
// kubelet, and a full Room of both would refuse the probes.
func opsBounds(o Options) serve.Bounds {
	return serve.Bounds{Total: 64, PerSource: 32, Sources: o.sources(), Room: serve.NewRoom(opsRoom)}
}

// security loads the TLS configurations; without HTTPS there are none.
func security(o Options) (serve.TLS, error) {
	if !o.RequireHTTPS {
		return serve.TLS{}, nil
	}
	return serve.Files{
		Certificate: o.CertFile, Key: o.KeyFile, PublicCertificate: o.PublicCertFile, PublicKey: o.PublicKeyFile,
		ClientCAs: o.IntrospectionClientCAFile,
	}.TLS()
}
