// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/console"
)

const secretValue = "hp_abcdefghijkl_THISISTHESECRETOFTHECLIENTANDNOTHINGELSE"

// apiServer is an API server with a few objects, by their paths.
type apiServer struct {
	mu      sync.Mutex
	objects map[string]string
	// forbidden are rights that the caller lacks: verb and resource.
	forbidden map[string]bool
	requests  []string
	// answer is called instead if it is set.
	answer http.HandlerFunc
}

const (
	clientsPath   = "/apis/hallpass.dev/v1alpha1/namespaces/shop/oauth2clients"
	resourcesPath = "/apis/hallpass.dev/v1alpha1/namespaces/shop/oauth2resources"
	tokensPath    = "/apis/hallpass.dev/v1alpha1/namespaces/shop/oauth2tokens"
	secretsPath   = "/api/v1/namespaces/shop/secrets"
	issuersPath   = "/apis/hallpass.dev/v1alpha1/oauth2trustedissuers"
)

func newAPIServer() *apiServer {
	return &apiServer{forbidden: map[string]bool{}, objects: map[string]string{
		clientsPath + "/reporting": `{"apiVersion":"hallpass.dev/v1alpha1","kind":"OAuth2Client","metadata":{"name":"reporting","namespace":"shop","uid":"u1","generation":1},
			"spec":{"displayName":"Report"},"status":{"observedGeneration":1,"clientID":"shop.reporting","secret":{"name":"reporting"},
			"credentials":[{"id":"abcdefghijkl"}],"conditions":[{"type":"Ready","status":"True","reason":"Registered","message":"Registered."}]}}`,
		tokensPath + "/display": `{"apiVersion":"hallpass.dev/v1alpha1","kind":"OAuth2Token","metadata":{"name":"display","namespace":"shop","uid":"u2"},
			"spec":{"clientRef":{"name":"reporting"},"mode":"Fixed"},"status":{"secret":{"name":"display"}}}`,
		resourcesPath + "/api": `{"apiVersion":"hallpass.dev/v1alpha1","kind":"OAuth2Resource","metadata":{"name":"api","namespace":"shop","uid":"u3","resourceVersion":"1"},
			"spec":{"scopes":[{"name":"read"}]}}`,
		issuersPath + "/github": `{"apiVersion":"hallpass.dev/v1alpha1","kind":"OAuth2TrustedIssuer","metadata":{"name":"github","uid":"u4","generation":1},
			"spec":{"issuer":"https://token.example.com","uses":["Client"],"namespaces":[{"from":{"namespaces":["shop"]},"subjectPrefixes":["repo:acme/"],
			"claims":[{"name":"environment","values":["prod","staging"]}]}]},
			"status":{"observedGeneration":1,"keys":[{"id":"k1","algorithm":"RS256"}],"clients":2,
			"conditions":[{"type":"Ready","status":"False","reason":"KeysStale","message":"The keys are too old."}]}}`,
		// "read" in Base64 and so on: the values of a Secret.
		secretsPath + "/reporting": `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"reporting","namespace":"shop"},"data":{"client_id":"c2hvcC5yZXBvcnRpbmc=",
			"client_secret":"` + encoded(secretValue) + `","token_url":"aHR0cHM6Ly9pZC5leGFtcGxlLmNvbS9vYXV0aDIvdG9rZW4="}}`,
		secretsPath + "/display": `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"display","namespace":"shop"},"data":{"token":"` + encoded(secretValue) + `"}}`,
	}}
}

func encoded(text string) string {
	return base64.StdEncoding.EncodeToString([]byte(text))
}

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.answer != nil {
		a.answer(w, r)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, r.Method+" "+r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	body, _ := io.ReadAll(r.Body) // of this process
	object, there := a.objects[r.URL.Path]
	switch {
	case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
		var review struct {
			Spec struct {
				ResourceAttributes struct{ Verb, Resource string } `json:"resourceAttributes"`
			} `json:"spec"`
		}
		_ = json.Unmarshal(body, &review)
		asked := review.Spec.ResourceAttributes
		allowed := !a.forbidden[asked.Verb+" "+asked.Resource]
		_ = json.NewEncoder(w).Encode(map[string]any{ //nolint:errchkjson // it can be encoded
			"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": map[string]any{}, "status": map[string]any{"allowed": allowed},
		})
	case r.Method == http.MethodPatch && there:
		patched, err := jsonpatch.MergePatch([]byte(object), body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a.objects[r.URL.Path] = string(patched)
		_, _ = w.Write(patched)
	case r.Method == http.MethodPost:
		var created struct {
			Metadata struct{ Name string } `json:"metadata"`
		}
		_ = json.Unmarshal(body, &created)
		a.objects[r.URL.Path+"/"+created.Metadata.Name] = string(body)
		_, _ = w.Write(body)
	case r.Method == http.MethodDelete && there:
		delete(a.objects, r.URL.Path)
		_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"Status","status":"Success"}`)
	case there:
		_, _ = io.WriteString(w, object)
	case r.Method == http.MethodGet && slices.Contains([]string{"oauth2clients", "oauth2resources", "oauth2tokens", "oauth2trustedissuers", "events", "namespaces"}, filepath.Base(r.URL.Path)):
		items := []json.RawMessage{}
		for path, item := range a.objects {
			if filepath.Dir(path) == r.URL.Path {
				items = append(items, json.RawMessage(item))
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "hallpass.dev/v1alpha1", "kind": "List", "metadata": map[string]any{}, "items": items}) //nolint:errchkjson // as above
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"NotFound","code":404,"message":"not there","details":{"name":"x"}}`)
	}
}

func (a *apiServer) get(path string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.objects[path]
}

// sent are the requests that change something, without access reviews.
func (a *apiServer) sent() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.requests), func(r string) bool {
		return strings.HasPrefix(r, "GET ") || strings.HasSuffix(r, "reviews")
	})
}

// running is a console that answers.
type running struct {
	*console.Server

	t     *testing.T
	api   *apiServer
	host  string
	dir   string
	clock *clock
	ended chan error
	said  func() string
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func start(t *testing.T, change func(*console.Options)) *running {
	t.Helper()
	api := newAPIServer()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	c, err := cluster.New(&rest.Config{Host: server.URL}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var said strings.Builder
	r := &running{t: t, api: api, host: listener.Addr().String(), dir: t.TempDir(), clock: &clock{now: time.Now()}, ended: make(chan error, 1)}
	r.said = func() string {
		mu.Lock()
		defer mu.Unlock()
		return said.String()
	}
	o := console.Options{
		Cluster: c, Context: "test", User: "ana", Version: "v0", Registry: "hallpass-registry", System: "hallpass-system", Idle: time.Hour, Timeout: time.Minute,
		Dir: r.dir, Now: r.clock.Now, Warn: func(sentence string) {
			mu.Lock()
			defer mu.Unlock()
			said.WriteString(sentence + "\n")
		},
	}
	if change != nil {
		change(&o)
	}
	if r.Server, err = console.New(o, r.host); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() { r.ended <- r.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

// code makes a link, and returns the code in it.
func (r *running) code() string {
	r.t.Helper()
	file, err := r.Link()
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	return regexp.MustCompile(`#code=(\w+)`).FindStringSubmatch(string(text))[1]
}

// header is what the page sends with a request, and the changes that a test makes to it. An empty
// value leaves a header out.
type header map[string]string

// send sends a request as the page does.
func (r *running) send(method, path, body string, changes header) (int, string, http.Header) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.host+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	sent := header{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
	if method != http.MethodGet {
		sent["Origin"], sent["Content-Type"] = "http://"+r.host, "application/json"
	}
	maps.Copy(sent, changes)
	for name, value := range sent {
		switch {
		case name == "Host":
			request.Host = value
		case value != "":
			request.Header.Set(name, value)
		}
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // it was read
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response.StatusCode, string(answer), response.Header
}

// enter trades a link, and returns the header that has the token.
func (r *running) enter() header {
	r.t.Helper()
	status, body, _ := r.send(http.MethodPost, "/api/enter", `{"code":"`+r.code()+`"}`, nil)
	if status != http.StatusOK {
		r.t.Fatalf("%d %s", status, body)
	}
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		r.t.Fatal(err)
	}
	return header{"Authorization": "Bearer " + answer.Token}
}

func with(a header, changes header) header {
	both := header{}
	for _, h := range []header{a, changes} {
		maps.Copy(both, h)
	}
	return both
}

// routes are all requests of the page; those that change the cluster have writes.
var routes = []struct {
	method, path, body string
	writes             bool
}{
	{http.MethodGet, "/api/session", "", false},
	{http.MethodPost, "/api/stay", "{}", false},
	{http.MethodGet, "/api/overview?namespace=shop", "", false},
	{http.MethodGet, "/api/installation", "", false},
	{http.MethodGet, "/api/rights?namespace=shop", "", false},
	{http.MethodGet, "/api/clients?namespace=shop", "", false},
	{http.MethodGet, "/api/clients/shop/reporting", "", false},
	{http.MethodGet, "/api/clients/shop/reporting/entries", "", false},
	{http.MethodGet, "/api/clients/shop/reporting/events", "", false},
	{http.MethodPost, "/api/clients/shop/reporting/reveal", `{"entry":"client_secret"}`, false},
	{http.MethodPost, "/api/clients/shop/manifest", `{"name":"new"}`, false},
	{http.MethodGet, "/api/tokens?namespace=shop", "", false},
	{http.MethodPost, "/api/tokens/shop/display/reveal", "{}", false},
	{http.MethodGet, "/api/resources?namespace=shop", "", false},
	{http.MethodGet, "/api/resources/shop/api", "", false},
	{http.MethodGet, "/api/issuers", "", false},
	{http.MethodGet, "/api/issuers/github", "", false},
	{http.MethodGet, "/api/keys", "", false},
	{http.MethodGet, "/api/events?namespace=shop", "", false},
	{http.MethodPost, "/api/clients/shop", `{"name":"new"}`, true},
	{http.MethodPost, "/api/clients/shop/reporting/set", `{"notes":"x"}`, true},
	{http.MethodPost, "/api/clients/shop/reporting/rotate", `{"now":true}`, true},
	{http.MethodPost, "/api/clients/shop/reporting/suspend", "{}", true},
	{http.MethodPost, "/api/clients/shop/reporting/resume", "{}", true},
	{http.MethodPost, "/api/clients/shop/reporting/revoke", "{}", true},
	{http.MethodPost, "/api/clients/shop/reporting/delete", `{"name":"reporting"}`, true},
	{http.MethodPost, "/api/clients/shop/reporting/tokens", `{"name":"t"}`, true},
	{http.MethodPost, "/api/tokens/shop/display/delete", `{"name":"display"}`, true},
	{http.MethodPost, "/api/resources/shop/manifest", `{"name":"new"}`, false},
	{http.MethodPost, "/api/tokens/revoke?namespace=shop", `{"token":"hpt_x"}`, true},
	{http.MethodPost, "/api/namespaces/shop/revoke", `{"name":"shop"}`, true},
	{http.MethodPost, "/api/people/revoke", `{"subject":"user:corp:00u1"}`, true},
	{http.MethodPost, "/api/resources/shop", `{"name":"new"}`, true},
	{http.MethodPost, "/api/resources/shop/api/declare", `{"scopes":[{"name":"read"},{"name":"write"}]}`, true},
	{http.MethodPost, "/api/resources/shop/api/delete", `{"name":"api"}`, true},
	{http.MethodPost, "/api/resources/shop/api/grant", `{"namespace":"web","scopes":["read"]}`, true},
	{http.MethodPost, "/api/resources/shop/api/ungrant", `{"namespace":"web","scopes":["read"]}`, true},
}

// TestTheBatteryKnowsEveryRoute reads the routes of the server.
func TestTheBatteryKnowsEveryRoute(t *testing.T) {
	source, err := os.ReadFile("api.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`s\.(reads|writes|streams)\(mux, "(GET|POST) (/api/[^"]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(found) < 25 {
		t.Fatalf("%d routes; does this test still read them right?", len(found))
	}
	for _, f := range found {
		pattern := strings.NewReplacer("{namespace}", "shop", "{name}", "(reporting|display|api|github)").Replace(f[3])
		matches := regexp.MustCompile("^" + pattern + `(\?.*)?$`)
		known := f[3] == "/api/watch" || slices.ContainsFunc(routes, func(r struct {
			method, path, body string
			writes             bool
		}) bool {
			return r.method == f[2] && matches.MatchString(r.path) && r.writes == (f[1] == "writes")
		})
		if !known {
			t.Errorf("the battery does not send %s %s", f[2], f[3])
		}
	}
}

// TestNothingIsAnsweredToOthers sends every request as another program than the page would.
func TestNothingIsAnsweredToOthers(t *testing.T) {
	r := start(t, nil)
	mine := r.enter()
	_, number, _ := strings.Cut(r.host, ":")
	port := ":" + number
	for name, attack := range map[string]struct {
		changes header
		status  int
	}{
		"rebinding: another host name":          {header{"Host": "evil.example" + port}, http.StatusForbidden},
		"rebinding: localhost":                  {header{"Host": "localhost" + port}, http.StatusForbidden},
		"rebinding: the host without its port":  {header{"Host": "127.0.0.1"}, http.StatusForbidden},
		"rebinding: another port":               {header{"Host": "127.0.0.1:1"}, http.StatusForbidden},
		"another origin":                        {header{"Origin": "https://evil.example"}, http.StatusForbidden},
		"another server of the same host":       {header{"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}, http.StatusForbidden},
		"an origin that is opaque":              {header{"Origin": "null"}, http.StatusForbidden},
		"the origin with another scheme":        {header{"Origin": "https://" + r.host}, http.StatusForbidden},
		"another site, by Sec-Fetch-Site":       {header{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		"the same site, which is another port":  {header{"Sec-Fetch-Site": "same-site"}, http.StatusForbidden},
		"typed into the browser":                {header{"Sec-Fetch-Site": "none"}, http.StatusForbidden},
		"a browser without Sec-Fetch-Site":      {header{"Sec-Fetch-Site": ""}, http.StatusForbidden},
		"a link that looks like the page":       {header{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, http.StatusForbidden},
		"no token":                              {header{"Authorization": ""}, http.StatusUnauthorized},
		"another token":                         {header{"Authorization": "Bearer " + strings.Repeat("A", 52)}, http.StatusUnauthorized},
		"an empty token":                        {header{"Authorization": "Bearer "}, http.StatusUnauthorized},
		"the token as a cookie":                 {header{"Authorization": "", "Cookie": "token=" + strings.TrimPrefix(mine["Authorization"], "Bearer ")}, http.StatusUnauthorized},
		"the token with another way to send it": {header{"Authorization": "Basic " + strings.TrimPrefix(mine["Authorization"], "Bearer ")}, http.StatusUnauthorized},
	} {
		for _, route := range append(slices.Clone(routes), routes[0]) {
			status, body, _ := r.send(route.method, route.path, route.body, with(mine, attack.changes))
			if status != attack.status {
				t.Errorf("%s: %s %s is answered with %d", name, route.method, route.path, status)
			}
			if strings.Contains(body, secretValue) || strings.Contains(body, "reporting") {
				t.Errorf("%s: %s %s answers %s", name, route.method, route.path, body)
			}
		}
	}
	for _, route := range routes {
		if route.method == http.MethodPost {
			if status, _, _ := r.send(route.method, route.path, route.body, with(mine, header{"Origin": ""})); status != http.StatusForbidden {
				t.Errorf("without an Origin: %s is answered with %d", route.path, status)
			}
		}
		// Browsers send forms and texts without a CORS preflight, and JSON with one.
		if route.method == http.MethodPost && route.path != "/api/stay" && !strings.HasSuffix(route.path, "suspend") && !strings.HasSuffix(route.path, "resume") &&
			!strings.HasSuffix(route.path, "revoke") && !strings.HasSuffix(route.path, "display/reveal") {
			if status, _, _ := r.send(route.method, route.path, route.body, with(mine, header{"Content-Type": "text/plain"})); status != http.StatusBadRequest {
				t.Errorf("as text/plain: %s is answered with %d", route.path, status)
			}
		}
	}
	if sent := r.api.sent(); len(sent) > 0 {
		t.Errorf("the attacks have reached the API server: %v", sent)
	}
}

// TestThePageItselfIsNoSecretAndNoFrame opens the page as others may, and may not.
func TestThePageItselfIsNoSecretAndNoFrame(t *testing.T) {
	r := start(t, nil)
	for name, c := range map[string]struct {
		path    string
		changes header
		status  int
	}{
		"by a link, which is a file":      {"/", header{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, http.StatusOK},
		"typed":                           {"/", header{"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, http.StatusOK},
		"in a frame of another site":      {"/", header{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, http.StatusForbidden},
		"as a script of another site":     {"/scripts/main.js", header{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "script"}, http.StatusForbidden},
		"as a script of another port":     {"/scripts/main.js", header{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "script"}, http.StatusForbidden},
		"as a script of the page":         {"/scripts/main.js", header{"Sec-Fetch-Dest": "script"}, http.StatusOK},
		"with the host name of an attack": {"/", header{"Host": "evil.example"}, http.StatusForbidden},
		"another file":                    {"/../console.go", nil, http.StatusNotFound},
		"a file beside":                   {"/scripts/../../api.go", nil, http.StatusNotFound},
	} {
		status, _, _ := r.send(http.MethodGet, c.path, "", c.changes)
		if status != c.status && (c.status != http.StatusNotFound || status/100 == 2) {
			t.Errorf("%s: %s is answered with %d, not %d", name, c.path, status, c.status)
		}
	}
}

// TestEveryAnswerHasTheHeaders checks pages, answers and errors.
func TestEveryAnswerHasTheHeaders(t *testing.T) {
	r := start(t, nil)
	mine := r.enter()
	for _, c := range []struct {
		method, path string
		changes      header
	}{
		{http.MethodGet, "/", nil}, {http.MethodGet, "/scripts/main.js", nil}, {http.MethodGet, "/styles/console.css", nil}, {http.MethodGet, "/api/session", mine},
		{http.MethodGet, "/api/session", nil}, {http.MethodGet, "/nothing", nil}, {http.MethodGet, "/", header{"Host": "evil.example"}},
		{http.MethodOptions, "/api/session", header{"Access-Control-Request-Method": "GET", "Origin": "https://evil.example"}}, {http.MethodGet, "/api/clients?namespace=shop", mine},
	} {
		_, _, got := r.send(c.method, c.path, "", c.changes)
		for name, part := range map[string]string{
			"Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer",
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Content-Security-Policy": "require-trusted-types-for 'script'; trusted-types 'none'",
		} {
			if !strings.Contains(got.Get(name), part) {
				t.Errorf("%s %s: %s is %q", c.method, c.path, name, got.Get(name))
			}
		}
		if policy := got.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s %s: the policy is %s", c.method, c.path, policy)
		}
		for name := range got {
			if strings.HasPrefix(name, "Access-Control-") || name == "Set-Cookie" {
				t.Errorf("%s %s: the answer has %s", c.method, c.path, name)
			}
		}
	}
}

// TestALinkIsGoodOnce trades a link twice, too late, and one that is invented.
func TestALinkIsGoodOnce(t *testing.T) {
	r := start(t, nil)
	trade := func(code string) (int, string) {
		status, body, _ := r.send(http.MethodPost, "/api/enter", `{"code":"`+code+`"}`, nil)
		return status, body
	}
	code := r.code()
	files, _ := filepath.Glob(filepath.Join(r.dir, "*"))
	if len(files) != 1 {
		t.Fatalf("%d files", len(files))
	}
	info, err := os.Stat(files[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the link has the mode %v: %v", info.Mode(), err)
	}
	if strings.Contains(files[0], code) {
		t.Errorf("the name of the file, which is an argument of the browser, has the code: %s", files[0])
	}
	if status, body := trade(code); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if _, err := os.Stat(files[0]); err == nil {
		t.Error("the file of a link that was used is still there")
	}
	if status, body := trade(code); status != http.StatusForbidden || !strings.Contains(body, "used before") {
		t.Errorf("the second use is answered with %d %s", status, body)
	}
	if said := r.said(); !strings.Contains(said, "a second time") {
		t.Errorf("the terminal reads %q", said)
	}
	late := r.code()
	r.clock.move(30 * time.Second)
	if status, body := trade(late); status != http.StatusForbidden || !strings.Contains(body, "too old") {
		t.Errorf("a link after 30 seconds is answered with %d %s", status, body)
	}
	if status, body := trade("INVENTED"); status != http.StatusForbidden || !strings.Contains(body, "not of this console") {
		t.Errorf("an invented link is answered with %d %s", status, body)
	}
}

// TestReadOnlyHoldsAtTheServer sends what a page could that ignores the flag.
func TestReadOnlyHoldsAtTheServer(t *testing.T) {
	r := start(t, func(o *console.Options) { o.ReadOnly = true })
	mine := r.enter()
	for _, route := range routes {
		status, body, _ := r.send(route.method, route.path, route.body, mine)
		if refused := status == http.StatusForbidden && strings.Contains(body, "--read-only"); refused != route.writes {
			t.Errorf("%s %s: %d %s", route.method, route.path, status, body)
		}
	}
	if sent := r.api.sent(); len(sent) > 0 {
		t.Errorf("the API server got %v", sent)
	}
	_, body, _ := r.send(http.MethodGet, "/api/rights?namespace=shop", "", mine)
	for _, name := range []string{"create", "change", "delete", "createToken", "deleteToken", "grant", "revoke"} {
		if !strings.Contains(body, `"`+name+`":false`) {
			t.Errorf("%s is offered: %s", name, body)
		}
	}
}

// TestSecretsAreAnsweredOneByOneAlone looks for the secret in every other answer.
func TestSecretsAreAnsweredOneByOneAlone(t *testing.T) {
	r := start(t, nil)
	mine := r.enter()
	for _, route := range routes {
		if route.writes {
			continue
		}
		status, body, _ := r.send(route.method, route.path, route.body, mine)
		has := strings.Contains(body, secretValue) || strings.Contains(body, encoded(secretValue))
		if reveals := strings.HasSuffix(route.path, "/reveal"); has != reveals || reveals && status != http.StatusOK {
			t.Errorf("%s %s: the secret is there: %v, with the status %d", route.method, route.path, has, status)
		}
	}
	if status, body, _ := r.send(http.MethodPost, "/api/clients/shop/reporting/reveal", `{"entry":"other"}`, mine); status != http.StatusBadRequest {
		t.Errorf("an entry that is not there: %d %s", status, body)
	}
}

// TestAFederatedClientIsShownByItsJWT has no secret that could be shown or rotated.
func TestAFederatedClientIsShownByItsJWT(t *testing.T) {
	r := start(t, nil)
	r.api.mu.Lock()
	r.api.objects[clientsPath+"/deploy"] = `{"apiVersion":"hallpass.dev/v1alpha1","kind":"OAuth2Client","metadata":{"name":"deploy","namespace":"shop","uid":"u9"},
		"spec":{"authentication":{"method":"FederatedToken","federatedToken":{"issuerName":"github","subject":"repo:a","claims":[{"name":"environment","values":["prod"]}]}}},
		"status":{"configMap":{"name":"deploy"}}}`
	r.api.mu.Unlock()
	_, body, _ := r.send(http.MethodGet, "/api/clients/shop/deploy", "", r.enter())
	for _, text := range []string{
		`"authentication":"a JWT of OAuth2TrustedIssuer github; ConfigMap deploy has the URLs"`, `"jwt":["sub \"repo:a\"","environment \"prod\""]`,
		`"notRotatable":"Client \"deploy\" has no client secret`,
	} {
		if !strings.Contains(body, text) {
			t.Errorf("%s is missing: %s", text, body)
		}
	}
}

// TestAnIssuerIsShownWithWhatToDo is what an administrator reads whose issuer has stale keys, and
// an owner of a client that names it.
func TestAnIssuerIsShownWithWhatToDo(t *testing.T) {
	r := start(t, nil)
	r.api.mu.Lock()
	r.api.objects[clientsPath+"/deploy"] = `{"apiVersion":"hallpass.dev/v1alpha1","kind":"OAuth2Client","metadata":{"name":"deploy","namespace":"shop","uid":"u9"},
		"spec":{"authentication":{"method":"FederatedToken","federatedToken":{"issuerName":"github","subject":"repo:acme/a"}}},
		"status":{"conditions":[{"type":"Ready","status":"True","reason":"Registered"}]}}`
	r.api.mu.Unlock()
	mine := r.enter()
	for path, texts := range map[string][]string{
		"/api/issuers/github": {
			`"health":"KeysStale"`, `"next":"let the manager reach the issuer by https`, `"clients":"clients of namespace shop","jwt":"JWTs with a sub that begins with \"repo:acme/\", environment \"prod\" or \"staging\""`,
			`"keys":[{"id":"k1","algorithm":"RS256"}]`, `"uses":"Client"`, "kind: OAuth2TrustedIssuer",
		},
		"/api/issuers":             {`"health":"KeysStale"`, `"clients":2`},
		"/api/clients/shop/deploy": {`"text":"Its issuer github is not ready, reason KeysStale."`, `"issuer":"github"`},
	} {
		status, body, _ := r.send(http.MethodGet, path, "", mine)
		for _, text := range texts {
			if status != http.StatusOK || !strings.Contains(body, text) {
				t.Errorf("%s: %d, and %s is missing: %s", path, status, text, body)
			}
		}
	}
}

// TestWhatIsTypedIsChecked sends mistakes.
func TestWhatIsTypedIsChecked(t *testing.T) {
	r := start(t, nil)
	mine := r.enter()
	for path, c := range map[string]struct{ body, want string }{
		"/api/clients/shop/reporting/delete":   {`{"name":"report"}`, `type the name`},
		"/api/clients/shop":                    {`{"name":""}`, "give the client a name"},
		"/api/clients/shop/manifest":           {`{"name":"A b"}`, "cannot be the name"},
		"/api/clients/shop/reporting/tokens":   {`{"name":"t","expiresAt":"2001-01-01"}`, "is over"},
		"/api/clients/Shop_/reporting/suspend": {`{}`, "namespace"},
		"/api/clients/shop/reporting/set":      {`{"unknown":1}`, "cannot be read"},
		"/api/resources/shop/api/grant":        {`{"namespace":"","scopes":[]}`, "give the namespace"},
		"/api/clients/shop/manifest?1":         {`{"name":"a","federated":{"issuer":""}}`, "name the trusted issuer"},
		"/api/clients/shop/manifest?2":         {`{"name":"a","federated":{"issuer":"github"}}`, "every workload of the issuer"},
		"/api/people/revoke":                   {`{"subject":"corp/00u1"}`, "is no person"},
		"/api/clients/shop/manifest?3":         {`{"name":"a","federated":{"issuer":"github","claims":[{"name":"a","values":[]}]}}`, "at least one value"},
	} {
		status, body, _ := r.send(http.MethodPost, path, c.body, mine)
		if status != http.StatusBadRequest || !strings.Contains(strings.ToLower(body), strings.ToLower(c.want)) {
			t.Errorf("%s %s: %d %s", path, c.body, status, body)
		}
	}
	if sent := r.api.sent(); len(sent) > 0 {
		t.Errorf("the API server got %v", sent)
	}
}

// TestWritesReachTheAPIServer does what the buttons do.
func TestWritesReachTheAPIServer(t *testing.T) {
	r := start(t, nil)
	mine := r.enter()
	do := func(path, body string) {
		t.Helper()
		if status, answer, _ := r.send(http.MethodPost, path, body, mine); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	has := func(path, part string) {
		t.Helper()
		if object := r.api.get(path); !strings.Contains(object, part) {
			t.Errorf("%s does not have %s: %s", path, part, object)
		}
	}
	do("/api/clients/shop", `{"name":"new","displayName":"New","contacts":["a@example.com"],"scopes":["read"],"access":["orders/api=orders.read"]}`)
	has(clientsPath+"/new", `"resourceNamespace":"orders"`)
	do("/api/clients/shop", `{"name":"jobs","federated":{"issuer":"github","subjectPrefix":"repo:acme/","claims":[{"name":"ref","values":["a, b","c"]}]}}`)
	has(clientsPath+"/jobs", `"federatedToken":{"claims":[{"name":"ref","values":["a, b","c"]}],"issuerName":"github","subjectPrefix":"repo:acme/"}`)
	do("/api/clients/shop/reporting/set", `{"displayName":"","notes":"Runs at night","contacts":[]}`)
	has(clientsPath+"/reporting", `"description":"Runs at night"`)
	if object := r.api.get(clientsPath + "/reporting"); strings.Contains(object, "displayName") {
		t.Errorf("the display name is still there: %s", object)
	}
	do("/api/clients/shop/reporting/suspend", "{}")
	has(clientsPath+"/reporting", `"state":"Suspended"`)
	do("/api/clients/shop/reporting/resume", "{}")
	has(clientsPath+"/reporting", `"state":"Active"`)
	do("/api/clients/shop/reporting/revoke", "{}")
	has(clientsPath+"/reporting", "revokeTokensIssuedBefore")
	do("/api/people/revoke", `{"subject":"user:corp:00u1"}`)
	has("/apis/hallpass.dev/v1alpha1/namespaces/hallpass-registry/tokenrevocations/", `"subject":"user:corp:00u1"`)
	do("/api/clients/shop/reporting/tokens", `{"name":"board","expiresAt":"2099-01-31","notes":"Board"}`)
	has(tokensPath+"/board", `"expirationTime":"2099-01-31T00:00:00Z"`)
	do("/api/clients/shop/reporting/delete", `{"name":"reporting"}`)
	if object := r.api.get(clientsPath + "/reporting"); object != "" {
		t.Errorf("it is still there: %s", object)
	}
}

// TestTheConsoleEndsWhenNobodyUsesIt moves the clock: the page's own requests do not count as use.
func TestTheConsoleEndsWhenNobodyUsesIt(t *testing.T) {
	r := start(t, nil)
	mine := r.enter()
	r.clock.move(50 * time.Minute)
	if status, body, _ := r.send(http.MethodGet, "/api/session", "", with(mine, header{"Hallpass-Background": "1"})); status != http.StatusOK || !strings.Contains(body, `"endsIn":600`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := r.send(http.MethodPost, "/api/stay", "{}", mine); status != http.StatusOK {
		t.Errorf("%d", status)
	}
	r.clock.move(50 * time.Minute)
	if status, body, _ := r.send(http.MethodGet, "/api/session", "", with(mine, header{"Hallpass-Background": "1"})); status != http.StatusOK || !strings.Contains(body, `"endsIn":600`) {
		t.Errorf("after stay: %d %s", status, body)
	}
	r.clock.move(time.Hour)
	err := <-r.ended
	r.ended <- err
	if err != nil || !strings.Contains(r.said(), "The console was not used") {
		t.Errorf("%v, and the terminal reads %q", err, r.said())
	}
}

// TestAnAPIServerThatDoesNotAnswer is what a page reads while a login plugin waits for a person.
func TestAnAPIServerThatDoesNotAnswer(t *testing.T) {
	r := start(t, func(o *console.Options) { o.Timeout = 10 * time.Millisecond })
	mine := r.enter()
	released := make(chan struct{})
	defer close(released)
	r.api.answer = func(http.ResponseWriter, *http.Request) { <-released }
	status, body, _ := r.send(http.MethodGet, "/api/resources?namespace=shop", "", mine)
	if status < 500 || !strings.Contains(body, "Check the network") {
		t.Errorf("%d %s", status, body)
	}
}

// TestAnAnswerOfTheAPIServerIsASentence is what a page reads that is refused.
func TestAnAnswerOfTheAPIServerIsASentence(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body, want string
	}{
		"forbidden":                {http.StatusForbidden, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"no"}`, "The role view of the namespace is enough"},
		"a login that has expired": {http.StatusUnauthorized, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401,"message":"no"}`, "Log in again"},
		"no CRDs":                  {http.StatusNotFound, `404 page not found`, "Install Hallpass there"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil)
			mine := r.enter()
			r.api.answer = func(w http.ResponseWriter, _ *http.Request) {
				if strings.HasPrefix(c.body, "{") {
					w.Header().Set("Content-Type", "application/json")
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}
			status, body, _ := r.send(http.MethodGet, "/api/resources?namespace=shop", "", mine)
			if status == http.StatusOK || status == http.StatusUnauthorized || !strings.Contains(body, c.want) {
				t.Errorf("%d %s", status, body)
			}
			if _, body, _ := r.send(http.MethodGet, "/api/clients?namespace=shop", "", mine); !strings.Contains(body, c.want) {
				t.Errorf("the stream: %s", body)
			}
		})
	}
}

// TestTheFilesOfThePage: nothing of them comes from elsewhere, and nothing makes markup of text.
func TestTheFilesOfThePage(t *testing.T) {
	files, _ := filepath.Glob("assets/*/*")
	files = append(files, "assets/index.html")
	if len(files) < 12 {
		t.Fatalf("%d files", len(files))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "localStorage", "document.cookie", "EventSource", "@import"} {
			if bytes.Contains(text, []byte(bad)) {
				t.Errorf("%s has %s", file, bad)
			}
		}
		for _, address := range regexp.MustCompile(`https?://[^\s"'<)]+`).FindAllString(string(text), -1) {
			if !strings.HasPrefix(address, "http://www.w3.org/") {
				t.Errorf("%s names %s", file, address)
			}
		}
	}
	page, err := os.ReadFile("assets/index.html")
	if err != nil {
		t.Fatal(err)
	}
	if inline := regexp.MustCompile(`(?i)<style|style=|\son\w+=|<script(?:>|[^>]*>[^<])`).Find(page); inline != nil {
		t.Errorf("index.html has inline code: %s", inline)
	}
}
