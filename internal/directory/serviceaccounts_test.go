// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	testAudience  = "https://hallpass.test"
	testDiscovery = `{"issuer":"https://cluster.test","jwks_uri":"https://elsewhere.test/keys","id_token_signing_alg_values_supported":["RS256"]}`
	testKeys      = `{"keys":[{"use":"sig","kty":"OKP","crv":"Ed25519","kid":"a","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},` +
		`{"use":"sig","kty":"EC","kid":"b","crv":"P-384","alg":"ES384","x":"AA","y":"AA"}]}`
)

// apiServer answers with the bodies that a test gives it, by path, and 500 where there is none.
type apiServer struct {
	mu     sync.Mutex // there are probes beside requests
	bodies map[string]string
	status int
	asked  []string
	review map[string]any // the last one that was sent
}

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.Method+" "+r.URL.Path)
	if r.Method == http.MethodPost {
		_ = json.NewDecoder(r.Body).Decode(&a.review)
	}
	w.Header().Set("Content-Type", "application/json")
	body, there := a.bodies[r.URL.Path]
	if !there {
		body = `{"kind":"Status","apiVersion":"v1","status":"Failure","code":500}`
		a.status = http.StatusInternalServerError
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = io.WriteString(w, body)
}

// newDirectory is one whose API server answers like that.
func newDirectory(t *testing.T, api *apiServer) (*Directory, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	d, err := New(Config{REST: &rest.Config{Host: server.URL}, RegistryNamespace: "registry", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return d, server
}

func TestTheKeysOfTheClusterAreReadFromTheAPIServerItself(t *testing.T) {
	api := &apiServer{bodies: map[string]string{discoveryPath: testDiscovery, keysPath: testKeys}}
	d, server := newDirectory(t, api)
	if got := d.Trust(); got.Issuer != "" || len(got.Keys.Keys) > 0 {
		t.Errorf("before it was asked: %v", got)
	}
	if err := d.LookUpTrust(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The address that the document names is not dialled, and a key on a curve that is not
	// supported is passed over.
	if diff := cmp.Diff([]string{"GET " + discoveryPath, "GET " + keysPath}, api.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if got := d.Trust(); got.Issuer != "https://cluster.test" || len(got.Keys.Keys) != 1 || got.Keys.Keys[0].ID != "a" {
		t.Errorf("trusts %v", got)
	}
	for name, broken := range map[string]map[string]string{
		"no issuer":          {discoveryPath: `{"issuer":""}`, keysPath: testKeys},
		"two issuers":        {discoveryPath: `{"issuer":"a","issuer":"b"}`, keysPath: testKeys},
		"no document":        {keysPath: testKeys},
		"no keys":            {discoveryPath: testDiscovery},
		"an empty key set":   {discoveryPath: testDiscovery, keysPath: `{"keys":[]}`},
		"no key of use":      {discoveryPath: testDiscovery, keysPath: `{"keys":[{"kty":"EC","crv":"P-384"}]}`},
		"an endless key set": {discoveryPath: testDiscovery, keysPath: `{"keys":[` + strings.Repeat(" ", 64<<10) + `]}`},
		"a private key":      {discoveryPath: testDiscovery, keysPath: strings.Replace(testKeys, `"kid":"a"`, `"kid":"a","d":"AA"`, 1)},
	} {
		api.bodies, api.status = broken, 0
		if err := d.LookUpTrust(t.Context()); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	server.Close()
	if err := d.LookUpTrust(t.Context()); err == nil {
		t.Error("read from an API server that is away")
	}
	if got := d.Trust(); len(got.Keys.Keys) != 1 {
		t.Errorf("after failures: %v, want what was held", got)
	}
}

func TestTheAPIServerReviewsTokens(t *testing.T) {
	const good = `{"authenticated":true,"audiences":["https://hallpass.test"],"user":{"username":"system:serviceaccount:shop:worker","uid":"uid-of-worker"}}`
	for name, c := range map[string]struct {
		status string
		code   int
		want   oauth2.Verdict
	}{
		"a good token":                           {status: good, want: oauth2.Honoured},
		"a token that is over":                   {status: `{"authenticated":false,"error":"[invalid bearer token]"}`, want: oauth2.Dishonoured},
		"a yes that is none":                     {status: strings.Replace(good, `"authenticated":true,`, "", 1), want: oauth2.Dishonoured},
		"no answer to the question":              {status: `{}`, want: oauth2.Dishonoured},
		"an answer about no audience":            {status: strings.Replace(good, `"audiences":["https://hallpass.test"],`, "", 1), want: oauth2.Dishonoured},
		"an answer about another audience":       {status: strings.Replace(good, testAudience, "https://cluster.test", 1), want: oauth2.Dishonoured},
		"another account":                        {status: strings.Replace(good, ":worker", ":default", 1), want: oauth2.Dishonoured},
		"an account of that name, made again":    {status: strings.Replace(good, "uid-of-worker", "uid-of-another", 1), want: oauth2.Dishonoured},
		"a right that is missing":                {code: http.StatusForbidden, want: oauth2.Undecided},
		"credentials of ours that are not known": {code: http.StatusUnauthorized, want: oauth2.Undecided},
		"an API that is not served":              {code: http.StatusNotFound, want: oauth2.Undecided},
		"an API server in trouble":               {code: http.StatusInternalServerError, want: oauth2.Undecided},
		"an API server that starts":              {code: http.StatusServiceUnavailable, want: oauth2.Undecided},
		"an API server that has too much to do":  {code: http.StatusTooManyRequests, want: oauth2.Undecided},
		"a balancer without an API server":       {code: http.StatusBadGateway, want: oauth2.Undecided},
		"an API server that cannot reach etcd":   {code: http.StatusGatewayTimeout, want: oauth2.Undecided},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":` + c.status + `}`
			if c.code != 0 {
				body = fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d}`, c.code)
			}
			api := &apiServer{bodies: map[string]string{reviewsPath: body}, status: c.code}
			d, _ := newDirectory(t, api)
			account := oauth2.UsedAccountToken{Account: "system:serviceaccount:shop:worker", UID: "uid-of-worker"}
			if got := d.Review(t.Context(), oauth2.NewSecret("token"), account, testAudience); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
			if diff := cmp.Diff(map[string]any{"token": "token", "audiences": []any{testAudience}}, api.review["spec"]); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("an API server that is away", func(t *testing.T) {
		d, server := newDirectory(t, &apiServer{})
		server.Close()
		if got := d.Review(context.Background(), oauth2.NewSecret("token"), oauth2.UsedAccountToken{}, testAudience); got != oauth2.Unreachable {
			t.Errorf("%v, want unreachable", got)
		}
	})
}

// It takes two reviews of two seconds.
func TestAReviewIsUndecidedIfTheAPIServerAnswersEverythingElse(t *testing.T) {
	held := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == reviewsPath {
			<-held
		}
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(func() { close(held); server.Close() })
	d, err := New(Config{REST: &rest.Config{Host: server.URL}, RegistryNamespace: "registry", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Review(context.Background(), oauth2.NewSecret("token"), oauth2.UsedAccountToken{}, testAudience); got != oauth2.Undecided {
		t.Errorf("%v, want undecided", got)
	}
}

// given is an answer of an API server; the zero one is none.
type given struct {
	status int
	body   string
}

// stalling is an API server that answers each path as a test configures, and leaves the other
// requests without an answer.
type stalling struct {
	mu      sync.Mutex
	answers map[string]func(n int) given // by path; n counts the requests for it from 1
	asked   map[string]int
	closed  error // why no connection can be made
}

func (s *stalling) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked[r.URL.Path]++
	var answer given
	if answers := s.answers[r.URL.Path]; answers != nil {
		answer = answers(s.asked[r.URL.Path])
	}
	closed := s.closed
	s.mu.Unlock()
	if closed != nil {
		return nil, closed
	}
	if answer == (given{}) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{
		StatusCode: answer.status, Header: http.Header{"Content-Type": {"application/json"}, "Retry-After": {"1"}},
		Body: io.NopCloser(strings.NewReader(answer.body)), Request: r,
	}, nil
}

// directory is one that such an API server is behind.
func (s *stalling) directory(t *testing.T) *Directory {
	t.Helper()
	s.asked = map[string]int{}
	d, err := New(Config{REST: &rest.Config{Host: "http://api.test", Transport: s}, RegistryNamespace: "registry", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAReviewWithoutAnAnswer(t *testing.T) {
	always := func(status int, body string) func(int) given {
		return func(int) given { return given{status, body} }
	}
	yes := `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true,"audiences":["https://hallpass.test"],` +
		`"user":{"username":"system:serviceaccount:shop:worker","uid":"uid-of-worker"}}}`
	no := `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":false}}`
	second := func(status int, body string) func(int) given {
		return func(n int) given {
			if n > 1 {
				return given{status, body}
			}
			return given{}
		}
	}
	for name, c := range map[string]struct {
		reviews, probes func(int) given
		closed          error
		want            oauth2.Verdict
		took            time.Duration
	}{
		"while probes are answered":                         {nil, always(200, "ok"), nil, oauth2.Undecided, 4 * time.Second},
		"while probes are refused":                          {nil, always(403, "{}"), nil, oauth2.Undecided, 4 * time.Second},
		"while probes are answered by an error":             {nil, always(500, "{}"), nil, oauth2.Undecided, 4 * time.Second},
		"that is answered yes when asked again":             {second(201, yes), always(200, "ok"), nil, oauth2.Honoured, 2 * time.Second},
		"that is answered no when asked again":              {second(201, no), always(200, "ok"), nil, oauth2.Dishonoured, 2 * time.Second},
		"that is put off when asked again":                  {second(429, "{}"), always(200, "ok"), nil, oauth2.Undecided, 2 * time.Second},
		"nor a probe":                                       {nil, nil, nil, oauth2.Unreachable, 5 * time.Second},
		"because nobody can connect":                        {nil, nil, errors.New("connection refused"), oauth2.Unreachable, 0},
		"that is put off at once is not taken for one":      {always(429, "{}"), nil, nil, oauth2.Undecided, 0},
		"that fails at once, even if nothing else answers":  {always(503, "{}"), nil, nil, oauth2.Undecided, 0},
		"that is answered by something that is no review":   {always(200, "<html>"), nil, nil, oauth2.Undecided, 0},
		"that is answered yes at once is not taken for one": {always(201, yes), nil, nil, oauth2.Honoured, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := &stalling{answers: map[string]func(int) given{reviewsPath: c.reviews, livePath: c.probes}, closed: c.closed}
				d, began := api.directory(t), time.Now()
				account := oauth2.UsedAccountToken{Account: "system:serviceaccount:shop:worker", UID: "uid-of-worker"}
				got := d.Review(t.Context(), oauth2.NewSecret("token"), account, testAudience)
				if took := time.Since(began); got != c.want || took != c.took {
					t.Errorf("%v after %s, want %v after %s", got, took, c.want, c.took)
				}
			})
		})
	}
}

// An event from a moment before the API server fell silent neither refuses nor admits a caller.
func TestReviewsOfAnAPIServerThatFallsSilentShareAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := func(int) given { return given{200, "ok"} }
		api := &stalling{answers: map[string]func(int) given{discoveryPath: live, keysPath: live}}
		d := api.directory(t)
		_ = d.LookUpTrust(t.Context()) // the API server has answered
		reviewAll := func(want oauth2.Verdict, took time.Duration) {
			t.Helper()
			began := time.Now()
			var running sync.WaitGroup
			for i := range 20 {
				running.Go(func() {
					if got := d.Review(t.Context(), oauth2.NewSecret(fmt.Sprint("token-", i)), oauth2.UsedAccountToken{}, testAudience); got != want {
						t.Errorf("token %d: %v, want %v", i, got, want)
					}
				})
			}
			running.Wait()
			if got := time.Since(began); got != took {
				t.Errorf("%v after %s, want it after %s", want, got, took)
			}
		}
		reviewAll(oauth2.Unreachable, 5*time.Second)
		if api.asked[livePath] != 1 || api.asked[reviewsPath] != 20 {
			t.Errorf("asked %v, want 20 reviews and one probe", api.asked)
		}
		reviewAll(oauth2.Unreachable, time.Second) // it is known to be silent

		api.mu.Lock()
		api.answers[livePath] = live
		api.mu.Unlock()
		reviewAll(oauth2.Undecided, 500*time.Millisecond+2*time.Second)
	})
}
