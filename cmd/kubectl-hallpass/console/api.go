// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// maxBody bounds the body of a request.
const maxBody = 256 << 10

// background is the header of requests that the page sends without its user: they do not put the
// end of the console off.
const background = "Hallpass-Background"

// fieldManager owns the fields that the console writes.
const fieldManager = "kubectl-hallpass-console"

// Handler answers the requests of browsers.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	s.mountReads(mux)
	s.mountWrites(mux)
	for _, pattern := range []string{"GET /{$}", "GET /scripts/", "GET /styles/"} {
		mux.Handle(pattern, s.static)
	}
	mux.HandleFunc("POST /api/enter", s.enter)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusNotFound, "there is no such page")
	})
	return guard(s.host, mux)
}

func (s *Server) mountReads(mux *http.ServeMux) {
	general, clients, tokens := generalRoutes{s}, clientRoutes{s}, tokenRoutes{s}
	resources, issuers, stream := resourceRoutes{s}, issuerRoutes{s}, streamRoutes{s}
	s.reads(mux, "GET /api/session", general.session)
	s.reads(mux, "POST /api/stay", general.stay)
	s.reads(mux, "GET /api/overview", general.overview)
	s.reads(mux, "GET /api/installation", general.installation)
	s.reads(mux, "GET /api/rights", general.rightsOf)
	s.reads(mux, "GET /api/clients/{namespace}/{name}", clients.client)
	s.reads(mux, "GET /api/clients/{namespace}/{name}/entries", clients.entries)
	s.reads(mux, "GET /api/clients/{namespace}/{name}/events", clients.clientEvents)
	s.reads(mux, "POST /api/clients/{namespace}/{name}/reveal", clients.reveal)
	s.reads(mux, "POST /api/clients/{namespace}/manifest", clients.manifest)
	s.reads(mux, "GET /api/tokens", tokens.tokens)
	s.reads(mux, "POST /api/tokens/{namespace}/{name}/reveal", tokens.revealToken)
	s.reads(mux, "GET /api/resources", resources.resources)
	s.reads(mux, "GET /api/resources/{namespace}/{name}", resources.resource)
	s.reads(mux, "POST /api/resources/{namespace}/manifest", resources.manifest)
	s.reads(mux, "GET /api/issuers", issuers.issuers)
	s.reads(mux, "GET /api/issuers/{name}", issuers.issuer)
	s.reads(mux, "GET /api/keys", general.keys)
	s.reads(mux, "GET /api/events", general.events)
	s.streams(mux, "GET /api/clients", stream.streamClients)
	s.streams(mux, "GET /api/watch", stream.watch)
}

func (s *Server) mountWrites(mux *http.ServeMux) {
	clients, tokens, resources := clientRoutes{s}, tokenRoutes{s}, resourceRoutes{s}
	s.writes(mux, "POST /api/clients/{namespace}", clients.createClient)
	s.writes(mux, "POST /api/clients/{namespace}/{name}/set", clients.set)
	s.writes(mux, "POST /api/clients/{namespace}/{name}/rotate", clients.rotate)
	s.writes(mux, "POST /api/clients/{namespace}/{name}/suspend", clients.suspend)
	s.writes(mux, "POST /api/clients/{namespace}/{name}/resume", clients.resume)
	s.writes(mux, "POST /api/clients/{namespace}/{name}/revoke", clients.revoke)
	s.writes(mux, "POST /api/clients/{namespace}/{name}/delete", remove(cluster.Clients()))
	s.writes(mux, "POST /api/clients/{namespace}/{name}/tokens", tokens.createToken)
	s.writes(mux, "POST /api/tokens/{namespace}/{name}/delete", remove(cluster.Tokens()))
	s.writes(mux, "POST /api/tokens/revoke", tokens.revokeToken)
	s.writes(mux, "POST /api/namespaces/{namespace}/revoke", tokens.revokeNamespace)
	s.writes(mux, "POST /api/people/revoke", tokens.revokePerson)
	s.writes(mux, "POST /api/resources/{namespace}", resources.createResource)
	s.writes(mux, "POST /api/resources/{namespace}/{name}/declare", resources.declare)
	s.writes(mux, "POST /api/resources/{namespace}/{name}/delete", remove(cluster.Resources()))
	s.writes(mux, "POST /api/resources/{namespace}/{name}/grant", resources.grant)
	s.writes(mux, "POST /api/resources/{namespace}/{name}/ungrant", resources.ungrant)
}

type answer func(ctx context.Context, c call) (any, error)

// reads adds a route that changes nothing in the cluster.
func (s *Server) reads(mux *http.ServeMux, pattern string, a answer) {
	s.streams(mux, pattern, func(w http.ResponseWriter, c call) { s.answer(w, c, a) })
}

// writes adds a route that changes the cluster.
func (s *Server) writes(mux *http.ServeMux, pattern string, a answer) {
	s.streams(mux, pattern, func(w http.ResponseWriter, c call) {
		if s.ReadOnly {
			writeError(w, http.StatusForbidden, "the console was started with --read-only, so it changes nothing. Start it without that flag")
			return
		}
		s.answer(w, c, a)
	})
}

// streams adds a route for callers with a token.
func (s *Server) streams(mux *http.ServeMux, pattern string, handle func(http.ResponseWriter, call)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !bearer || !s.door.admits(token) {
			writeError(w, http.StatusUnauthorized, "this page is not signed in. Press Enter in the terminal of the console to open it")
			return
		}
		if r.Header.Get(background) == "" {
			s.used()
		}
		namespace := r.PathValue("namespace")
		if namespace == "" {
			namespace = r.URL.Query().Get("namespace") // empty stands for all
		}
		if err := checkNames(namespace, r.PathValue("name")); err != nil {
			writeError(w, http.StatusBadRequest, show.Sentence(err))
			return
		}
		handle(w, call{Request: r, cluster: s.Cluster.In(namespace), name: r.PathValue("name")})
	})
}

func checkNames(namespace, name string) error {
	if namespace != "" {
		if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
			return fmt.Errorf("%q cannot be the name of a namespace: %s", namespace, problems[0])
		}
	}
	if name != "" {
		if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
			return fmt.Errorf("%q cannot be the name of an object: %s", name, problems[0])
		}
	}
	return nil
}

func (s *Server) answer(w http.ResponseWriter, c call, a answer) {
	content, err := within(c.Context(), s.Cluster, s.Timeout, func(ctx context.Context) (any, error) { return a(ctx, c) })
	if err != nil {
		writeError(w, status(err), show.Sentence(err))
		return
	}
	writeJSON(w, http.StatusOK, content)
}

// within calls a function that talks to the API server, for so long at most.
func within[T any](ctx context.Context, c *cluster.Client, timeout time.Duration, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	value, err := do(ctx)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		err = &slowError{cluster.Late(c.Config, timeout)}
	}
	return value, err
}

// slowError is an API server, or a login plugin, that did not answer in time.
type slowError struct{ sentence string }

func (e *slowError) Error() string { return e.sentence }

// inputError is a mistake in what the user has typed.
type inputError struct{ error }

func inputf(format string, args ...any) error { return inputError{fmt.Errorf(format, args...)} }

// status is the status of an error: that of the API server, or one of a gateway.
func status(err error) int {
	var input inputError
	var slow *slowError
	var api apierrors.APIStatus
	switch {
	case errors.As(err, &input):
		return http.StatusBadRequest
	case errors.As(err, &slow):
		return http.StatusGatewayTimeout
	case errors.As(err, &api) && api.Status().Code == http.StatusUnauthorized:
		// 401 is for the token of the console
		return http.StatusBadGateway
	case errors.As(err, &api) && api.Status().Code >= http.StatusBadRequest:
		return int(api.Status().Code)
	}
	return http.StatusBadGateway
}

// enter trades the code of a link for the token of the page.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Code string `json:"code"`
	}
	if err := decode(r, &body); err != nil {
		writeError(w, http.StatusBadRequest, show.Sentence(err))
		return
	}
	token, err := s.door.enter(body.Code)
	if err != nil {
		if errors.Is(err, errLinkUsed) {
			s.Warn("A link of the console was used a second time. If that was not you, end the console with Ctrl-C: another program can read your files.")
		}
		writeError(w, http.StatusForbidden, show.Sentence(err))
		return
	}
	s.used()
	writeJSON(w, http.StatusOK, map[string]string{"token": token})
}

// decode reads the body of a request.
func decode(r *http.Request, into any) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return inputf("the body of the request is no JSON")
	}
	reader := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	reader.DisallowUnknownFields()
	if err := reader.Decode(into); err != nil {
		return inputf("the body of the request cannot be read: %w", err)
	}
	return nil
}

func writeJSON(w http.ResponseWriter, code int, content any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(content) //nolint:errchkjson // views of plain values; the browser is gone
}

func writeError(w http.ResponseWriter, code int, sentence string) {
	writeJSON(w, code, map[string]string{"error": capital(strings.TrimSuffix(sentence, ".")) + "."})
}

// capital begins a sentence with a capital letter, unless it begins with a name such as client_id.
func capital(sentence string) string {
	if sentence == "" || strings.HasPrefix(sentence, "kubectl") {
		return sentence
	}
	return strings.ToUpper(sentence[:1]) + sentence[1:]
}
