// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/login/provider"
	"github.com/hallpass-dev/hallpass/internal/loginport"
)

// The paths of the origin. A provider answers at CallbackPath with the name of its
// OAuth2TrustedIssuer, so that the answer of one provider is never taken for that of another (RFC
// 9700 section 4.4.2.2).
const (
	AuthorizePath = "/oauth2/authorize"
	ConsentPath   = "/consent"
	CallbackPath  = "/callback/"
)

// Judge is the token server, which decides. loginport.Client implements it.
type Judge interface {
	Begin(ctx context.Context, request loginport.BeginRequest) (loginport.BeginAnswer, error)
	Resume(ctx context.Context, request loginport.ResumeRequest) (loginport.BeginAnswer, error)
	Finish(ctx context.Context, request loginport.FinishRequest) (loginport.FinishAnswer, error)
}

// Config are the dependencies of the pages.
type Config struct {
	// URL is the origin of login, without a slash at the end.
	URL   string
	Judge Judge
	// Aliases are further paths of the authorization endpoint. Serves reports which paths are
	// taken.
	Aliases []string
	// Providers are where people authenticate.
	Providers *provider.Providers
	// Source returns where a request comes from, for limits and the log.
	Source func(*http.Request) netip.Prefix
	// Sources is the rule by which sources share limits.
	Sources budget.Sources
	Log     *slog.Logger
	Metrics *Metrics
	Now     func() time.Time
}

// Server answers browsers.
type Server struct {
	Config

	limits *budget.Budget
	lines  *budget.Budget
	// unlogged counts the requests without a line since the last line.
	unlogged atomic.Int64
}

// New makes a Server.
func New(c Config) *Server {
	shares := []budget.Share{{Burst: 20, Interval: 500 * time.Millisecond, Sources: &c.Sources}}
	return &Server{
		Config: c,
		// A source has 20 requests at once and 2 a second for itself, and all have 200 a
		// second.
		limits: budget.New(budget.Level{Shared: true, Burst: 400, Interval: 5 * time.Millisecond, Shares: shares}),
		// Lines of the log cost as much as the request.
		lines: budget.New(budget.Level{Shared: true, Burst: 200, Interval: 20 * time.Millisecond, Shares: shares}),
	}
}

// Handler returns all routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	authorize := s.page("authorize", s.authorize)
	for _, path := range append([]string{AuthorizePath}, s.Aliases...) {
		mux.Handle("GET "+path, authorize)
	}
	mux.Handle("POST "+ConsentPath, s.page("consent", s.consent))
	mux.Handle("GET "+CallbackPath+"{issuer}", s.page("callback", s.callback))
	other := s.page("other", func(*http.Request) reply { return message(nothingHere) })
	mux.Handle("/", other)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// the mux would send the browser to the clean path
		if path.Clean(r.URL.Path) != r.URL.Path {
			other.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// Serves reports whether a path is that of a page, so that it cannot be an alias.
func Serves(path string) bool {
	return path == AuthorizePath || path == ConsentPath || strings.HasPrefix(path+"/", CallbackPath)
}

// page answers a request of one route: it checks the limits, and writes what the route returns.
func (s *Server) page(route string, answer func(*http.Request) reply) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun, source := s.Now(), s.Source(r)
		// An origin behind a proxy may have another Host than the browser sees.
		foreign := sameOrigin.Check(r) != nil && r.Header.Get("Origin") != s.URL
		var result reply
		switch decision := s.limits.Take(begun, budget.Key{Who: source.String()}); {
		case !decision.OK:
			result = message(tooMany).after(decision.Wait)
		case foreign:
			result = message(crossSite)
		default:
			result = answer(r)
		}
		if result.content != nil && result.status >= http.StatusBadRequest {
			result.id = random(6)
			result.content.ID = result.id
		}
		s.write(w, result)
		s.record(r.Context(), entry{route: route, source: source, took: s.Now().Sub(begun), reply: result})
	})
}

// sourceOf is the source as the token server wants it.
func (s *Server) sourceOf(r *http.Request) string {
	source := s.Source(r)
	if !source.IsValid() {
		return ""
	}
	return source.Addr().String()
}

// callbackURL is where a provider answers.
func (s *Server) callbackURL(of loginport.Provider) string {
	return strings.TrimSuffix(s.URL, "/") + CallbackPath + of.Name
}

// entry is what is recorded of a request.
type entry struct {
	route  string
	source netip.Prefix
	took   time.Duration
	reply  reply
}

// record counts a request and logs it. Nothing that the browser has sent is in the line but its
// source: no query, no cookie and no form.
func (s *Server) record(ctx context.Context, e entry) {
	s.Metrics.requests.WithLabelValues(e.route, statusText(e.reply.status), e.reply.reason).Inc()
	if !s.lines.Take(s.Now(), budget.Key{Who: e.source.String()}).OK {
		s.unlogged.Add(1)
		return
	}
	fields := []slog.Attr{
		slog.String("endpoint", e.route), slog.Int("status", e.reply.status), slog.String("source", e.source.Addr().String()),
		slog.Int64("duration_ms", e.took.Milliseconds()),
	}
	for _, field := range []slog.Attr{
		slog.String("reason", e.reply.reason), slog.String("request_id", e.reply.id), slog.String("issuer_name", e.reply.issuer),
		slog.String("client_id", e.reply.client), slog.String("error", e.reply.internal),
	} {
		if field.Value.String() != "" {
			fields = append(fields, field)
		}
	}
	if n := s.unlogged.Swap(0); n > 0 {
		fields = append(fields, slog.Int64("others_since_the_last", n))
	}
	level := slog.LevelInfo
	if e.reply.internal != "" {
		level = slog.LevelError
	}
	s.Log.LogAttrs(ctx, level, "login", fields...)
}

// Metrics are those of the pages.
type Metrics struct{ requests *prometheus.CounterVec }

// NewMetrics makes Metrics and registers them.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hallpass_login_requests_total", Help: "Requests of browsers, by endpoint, status and reason; without a reason nothing was refused.",
		}, []string{"endpoint", "code", "reason"}),
	}
	registry.MustRegister(m.requests)
	return m
}
