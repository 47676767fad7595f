// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const shopAudience = testIssuer + "/ns/shop"

// forward is the request of a proxy about a request with that Authorization header.
func forward(query, authorization string) call {
	c := call{method: http.MethodGet, path: oauth2.ForwardAuthPath + "?" + query, header: http.Header{}}
	if authorization != "" {
		c.header.Set("Authorization", authorization)
	}
	return c
}

func TestForwardAuthLetsGoodTokensPass(t *testing.T) {
	for name, query := range map[string]string{
		"the audience":                "audience=" + shopAudience,
		"the audience and a scope":    "audience=" + url.QueryEscape(shopAudience) + "&scope=read",
		"the audience and all scopes": "scope=write+read&audience=" + shopAudience,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			answer := w.do(forward(query, "Bearer "+w.token(reporting)))
			if answer.Code != http.StatusOK || answer.Body.Len() != 0 {
				t.Fatalf("got %d %q", answer.Code, answer.Body)
			}
			checkHeaders(t, answer.Header(), http.Header{
				"X-Auth-Client-Id": {reporting}, "X-Auth-Client-Uid": {"uid-of-" + reporting}, "X-Auth-Client-Namespace": {"shop"},
				"X-Auth-Scopes": {"read write"}, "X-Auth-Audience": {shopAudience}, "X-Auth-Expires": {fmt.Sprint(noon.Add(time.Hour).Unix())},
				"X-Auth-Subject": {reporting}, "X-Auth-Subject-Type": {"client"}, "X-Auth-User": {""},
				"Cache-Control": {"no-store"}, "Vary": {"Authorization, Accept"}, "Www-Authenticate": nil,
			})
			line := w.lastAudit()
			got := []any{line["endpoint"], line["outcome"], line["client_id"], line["scope"], line["required_aud"]}
			if diff := cmp.Diff([]any{"forward-auth", "allowed", reporting, "read write", shopAudience}, got); diff != "" {
				t.Error("audit line (-want +got):\n" + diff)
			}
		})
	}
}

// An identity header that is empty is there all the same: what is not there, the caller's own one
// could take the place of.
func TestForwardAuthSendsEmptyIdentityHeadersToo(t *testing.T) {
	w := newWorld(t)
	w.dir.known[reporting].Client.Scopes = nil
	answer := w.do(forward("audience="+shopAudience, "Bearer "+w.token(reporting)))
	if got := answer.Header()["X-Auth-Scopes"]; answer.Code != http.StatusOK || len(got) != 1 || got[0] != "" {
		t.Errorf("%d, X-Auth-Scopes %q", answer.Code, got)
	}
}

func TestForwardAuthAnswersAsRFC6750Says(t *testing.T) {
	const query = "audience=" + shopAudience + "&scope=read"
	issue := func(w *world) string { return "Bearer " + w.token(reporting) }
	const bare = `Bearer realm="hallpass", scope="read"`
	const notValid = bare + `, error="invalid_token", error_description="the access token is not valid"`
	const notOne = bare + `, error="invalid_request", error_description="the Authorization header is not one bearer token"`
	const misconfigured = `Bearer realm="hallpass", error="invalid_request", error_description="the proxy in front does not send the ` +
		`audience that it requires, or sends it in an unknown form"`
	for name, c := range map[string]struct {
		query     string
		token     func(w *world) string
		after     func(w *world)
		status    int
		challenge string
		reason    oauth2.Reason
	}{
		"no token":                 {query, func(*world) string { return "" }, nil, 401, bare, oauth2.ReasonNoCredentials},
		"another scheme":           {query, func(*world) string { return "Basic YTpi" }, nil, 401, bare, oauth2.ReasonNoCredentials},
		"two tokens":               {query, func(w *world) string { return issue(w) + ", " + issue(w) }, nil, 401, notOne, oauth2.ReasonMalformedCredential},
		"no token at all of ours":  {query, func(*world) string { return "Bearer a.b.c" }, nil, 401, notValid, oauth2.ReasonTokenMalformed},
		"a tampered signature":     {query, func(w *world) string { return "Bearer " + tamper(w.token(reporting)) }, nil, 401, notValid, oauth2.ReasonTokenSignature},
		"a token of a foreign key": {query, func(*world) string { return issue(newWorld(t)) }, nil, 401, notValid, oauth2.ReasonTokenKeyUnknown},
		"a client secret":          {query, func(w *world) string { return "Bearer " + w.secrets[reporting] }, nil, 401, notValid, oauth2.ReasonTokenMalformed},
		"a token that has just ended": {query, issue, func(w *world) { w.now = noon.Add(time.Hour) }, 401,
			bare + `, error="invalid_token", error_description="the access token has expired; fetch another one"`, oauth2.ReasonTokenExpired},
		"another audience": {"audience=urn:other&scope=read", issue, nil, 401,
			bare + `, error="invalid_token", error_description="the access token is for another audience; fetch one with resource=urn:other"`, oauth2.ReasonWrongAudience},
		"a scope that the token lacks": {"audience=" + shopAudience + "&scope=read+admin", issue, nil, 403,
			`Bearer realm="hallpass", scope="read admin", error="insufficient_scope", error_description="the access token lacks a scope that is required here"`,
			oauth2.ReasonInsufficientScope},
		"the token of a suspended client": {query, issue, func(w *world) { w.dir.known[reporting].Owner.Suspended = true }, 401, notValid, oauth2.ReasonSuspended},
		"a suspended client without the scope": {"audience=" + shopAudience + "&scope=admin", issue, func(w *world) { w.dir.known[reporting].Owner.Suspended = true },
			401, `Bearer realm="hallpass", scope="admin", error="invalid_token", error_description="the access token is not valid"`, oauth2.ReasonSuspended},
		"the token of a client that is gone": {query, issue, func(w *world) { delete(w.dir.known, reporting); delete(w.dir.source, reporting) },
			401, notValid, oauth2.ReasonUnknownClient},
		"the token of a client made again": {query, issue, func(w *world) {
			again := w.dir.known[reporting]
			again.Client.UID, again.Owner.UID = "another", "another"
			w.dir.known[reporting], w.dir.source[reporting] = again, again
		}, 401, notValid, oauth2.ReasonTokenClientChanged},
		"nothing required":           {"", issue, nil, 401, misconfigured, oauth2.ReasonRequirementMalformed},
		"a scope alone":              {"scope=read", issue, nil, 401, misconfigured, oauth2.ReasonRequirementMalformed},
		"an audience twice":          {query + "&audience=" + shopAudience, issue, nil, 401, misconfigured, oauth2.ReasonRequirementMalformed},
		"an unknown parameter":       {query + "&x=y", issue, nil, 401, misconfigured, oauth2.ReasonRequirementMalformed},
		"nothing required, no token": {"", func(*world) string { return "" }, nil, 401, misconfigured, oauth2.ReasonRequirementMalformed},
		"more scopes than fit into headers": {query, issueAfter(func(w *world) {
			for i := range 30 {
				w.dir.known[reporting].Client.Scopes = append(w.dir.known[reporting].Client.Scopes, strings.Repeat("s", 100+i))
			}
		}), nil, 401, bare + `, error="invalid_token", error_description="the claims of the access token do not fit into headers; ask for fewer scopes"`,
			oauth2.ReasonIdentityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token := c.token(w)
			if c.after != nil {
				c.after(w)
			}
			answer := w.do(forward(c.query, token))
			if answer.Code != c.status {
				t.Errorf("got %d %s, want %d", answer.Code, answer.Body, c.status)
			}
			if diff := cmp.Diff(c.challenge, answer.Header().Get("WWW-Authenticate")); diff != "" {
				t.Error("WWW-Authenticate (-want +got):\n" + diff)
			}
			if got := w.lastAudit()["reason"]; got != string(c.reason) {
				t.Errorf("the audit line says %v, want %s", got, c.reason)
			}
			for name := range answer.Header() {
				if strings.HasPrefix(name, "X-Auth-") {
					t.Errorf("a refusal names somebody: %s", name)
				}
			}
		})
	}
}

// RFC 9728 section 5.1: a challenge for a declared resource has the URL of its metadata.
func TestForwardAuthNamesTheMetadataOfAResource(t *testing.T) {
	w := newWorld(t)
	w.dir.resources = []*oauth2.Resource{orders()}
	challenge := w.do(forward("audience="+ordersAPI, "")).Header().Get("WWW-Authenticate")
	_, named, _ := strings.Cut(challenge, `resource_metadata="`)
	named, _, _ = strings.Cut(named, `"`)
	if status, body := decode(t, w.do(call{method: http.MethodGet, path: strings.TrimPrefix(named, testIssuer)})); status != http.StatusOK || body["resource"] != ordersAPI {
		t.Errorf("%s leads to %d %v", challenge, status, body)
	}
}

// issueAfter changes the client before its token is issued.
func issueAfter(change func(w *world)) func(w *world) string {
	return func(w *world) string {
		change(w)
		return "Bearer " + w.token(reporting)
	}
}

// Where it cannot be decided, the answer is no, and when to ask again.
func TestForwardAuthIsClosedWhenTheSourceIsAway(t *testing.T) {
	w := newWorld(t)
	token := w.token(reporting)
	w.onlyAtSource(reporting)
	if answer := w.do(forward("audience="+shopAudience, "Bearer "+token)); answer.Code != http.StatusOK {
		t.Errorf("the source knows the client: %d %s", answer.Code, answer.Body)
	}
	w.dir.failing = errAway
	answer := w.do(forward("audience="+shopAudience, "Bearer "+token))
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
		t.Errorf("the source is away: %d %s, Retry-After %q", answer.Code, answer.Body, answer.Header().Get("Retry-After"))
	}
}

func TestForwardAuthShowsBrowsersAPage(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		query, authorization, accept string
		status                       int
		says                         string
	}{
		"without a token": {"audience=urn:a%26b&scope=read", "", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", 401,
			"<p>Refused: an access token is required.</p>\n<p>What is needed: the header <code>Authorization: Bearer TOKEN</code> with a token for " +
				"<code>urn:a&amp;b</code> and the scopes <code>read</code>.</p>"},
		"without the scope": {"audience=" + shopAudience + "&scope=admin", "Bearer " + w.token(reporting), "TEXT/HTML;q=0.1", 403,
			"<h1>403 Forbidden</h1>\n<p>Refused: the access token lacks a scope that is required here.</p>"},
		"with markup in the audience": {"audience=<script>", "", "text/html", 401, "<code>&lt;script&gt;</code>"},
		"without a requirement":       {"", "", "text/html", 401, "<p>Refused: the proxy in front does not send"},
	} {
		t.Run(name, func(t *testing.T) {
			question := forward(c.query, c.authorization)
			question.header.Set("Accept", c.accept)
			answer := w.do(question)
			if answer.Code != c.status || !strings.Contains(answer.Body.String(), c.says) {
				t.Errorf("got %d %s", answer.Code, answer.Body)
			}
			checkHeaders(t, answer.Header(), http.Header{
				"Content-Type": {"text/html; charset=utf-8"}, "Content-Security-Policy": {"default-src 'none'"}, "Cache-Control": {"no-store"},
			})
		})
	}
	question := forward("", "")
	question.header.Set("Accept", "application/json, text/htmlx, */*")
	if answer := w.do(question); answer.Header().Get("Content-Type") != "application/json" {
		t.Errorf("a program is shown %s", answer.Header().Get("Content-Type"))
	}
}

// Proxies keep an answer in a buffer of 4 KiB; what is longer, some of them cut.
func TestForwardAuthAnswersHaveLessThan4KiB(t *testing.T) {
	w := newWorld(t)
	public := httptest.NewServer(w.handler)
	defer public.Close()
	client := w.dir.known[reporting].Client
	client.Scopes = nil
	for len(strings.Join(client.Scopes, " ")) < 3<<10-500 {
		client.Scopes = append(client.Scopes, fmt.Sprintf("scope-number-%03d", len(client.Scopes)))
	}
	long := strings.Repeat("&", 1000)
	for name, c := range map[string]struct {
		call   call
		status int
	}{
		"the longest identity": {forward("audience="+shopAudience, "Bearer "+w.token(reporting)), 200},
		"a page about a long requirement": {call{header: http.Header{"Accept": {"text/html"}},
			path: oauth2.ForwardAuthPath + "?audience=" + url.QueryEscape(long) + "&scope=" + url.QueryEscape(long)}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, public.URL+c.call.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = c.call.header
			answer, err := public.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close() //nolint:errcheck // nothing is left to do
			var raw bytes.Buffer
			if err := answer.Write(&raw); err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != c.status || raw.Len() >= 4<<10 {
				t.Errorf("status %d, %d bytes", answer.StatusCode, raw.Len())
			}
			if length := answer.Header.Get("Content-Length"); (length == "0") != (c.status == http.StatusOK) || length == "" {
				t.Errorf("the Content-Length is %q", length)
			}
		})
	}
}

// FuzzForwardAuth is a metamorphic test. What decides is the Authorization header and the query
// that the proxy fixes; every other part of the request, whatever it holds, leaves status and
// identity as they were.
func FuzzForwardAuth(f *testing.F) {
	w := newWorld(f)
	tokens := []string{
		"", "Bearer " + w.token(reporting), "Bearer " + w.token(stranger), "Bearer " + tamper(w.token(reporting)),
		"bearer " + w.token(billing), "Bearer", "Basic YTpi", "Bearer a.b.c",
	}
	queries := []string{
		"audience=" + shopAudience, "audience=" + shopAudience + "&scope=read", "audience=" + shopAudience + "&scope=admin",
		"audience=urn:other", "", "scope=read", "audience=" + shopAudience + "&x=y",
	}
	for i := range 20 * len(tokens) * len(queries) {
		f.Add(i, i/len(tokens), "GET", fmt.Sprintf("X-Case-%d", i), fmt.Sprint(i), "")
	}
	f.Add(1, 0, "GET", "X-Forwarded-Uri", "/public", "body")
	f.Add(0, 1, "POST", "X-Auth-Client-Id", reporting, "token=x")
	f.Add(1, 3, "OPTIONS", "X-Original-URL", "/?audience="+shopAudience, "")
	f.Add(0, 0, "HEAD", "X-Forwarded-Authorization", tokens[1], "")
	f.Add(3, 0, "PUT", "User-Agent", "kube-probe/1.37", "")
	f.Add(1, 2, "GET", "X-Auth-Scopes", "admin", "")
	f.Add(0, 0, "GET", "Proxy-Authorization", tokens[1], "")
	f.Add(0, 0, "GET", "Cookie", "access_token="+tokens[1], "access_token="+tokens[1])
	f.Fuzz(func(t *testing.T, token, query int, method, name, value, body string) {
		if token < 0 || query < 0 || strings.EqualFold(name, "Authorization") {
			t.Skip("that is what decides")
		}
		if _, err := http.NewRequestWithContext(t.Context(), method, testIssuer, http.NoBody); err != nil {
			t.Skip("no such request reaches a handler")
		}
		authorization, required := tokens[token%len(tokens)], queries[query%len(queries)]
		ask := func(method, body string, change func(r *http.Request)) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), method, testIssuer+oauth2.ForwardAuthPath+"?"+required, strings.NewReader(body))
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			change(r)
			recorder := httptest.NewRecorder()
			w.handler.ServeHTTP(recorder, r)
			return recorder
		}
		plain := ask(http.MethodGet, "", func(*http.Request) {})
		changed := ask(method, body, func(r *http.Request) {
			seed := fnv.New64a()
			_, _ = seed.Write([]byte(name + value + body))
			spice(r, rand.New(rand.NewPCG(seed.Sum64(), 1)), tokens[1]) //nolint:gosec // cases, not secrets
			r.Header[name] = append(r.Header[name], value)
		})
		if diff := cmp.Diff(decided(plain), decided(changed)); diff != "" {
			t.Errorf("%s: %q in %q changes the decision (-plain +changed):\n%s", method, value, name, diff)
		}
		w.audit.Reset()
	})
}

// spice adds what a caller or a proxy may put beside the Authorization header.
func spice(r *http.Request, random *rand.Rand, token string) {
	for _, header := range []struct{ name, value string }{
		{"X-Forwarded-Uri", "/public"}, {"X-Forwarded-Method", "OPTIONS"}, {"X-Forwarded-For", "127.0.0.1"},
		{"X-Forwarded-Host", "hallpass.test"}, {"X-Forwarded-Prefix", "/x"}, {"Forwarded", "for=127.0.0.1"}, {"X-Original-Uri", "/healthz"},
		{"X-Original-Url", "/"}, {"X-Rewrite-Url", "/"}, {"X-Envoy-Original-Path", "/"}, {"X-Http-Method-Override", "GET"},
		{"User-Agent", "GoogleHC/1.0"}, {"X-Auth-Client-Id", "admin"}, {"X_auth_client_id", "admin"}, {"X.auth.client.id", "admin"},
		{"Connection", "authorization, x-auth-client-id"}, {"Cookie", "token=" + token}, {"Proxy-Authorization", token},
		{"X-Authorization", token}, {"X-Access-Token", token}, {"Accept", "text/html"}, {"Origin", "https://evil.test"},
		{"X-Request-Id", "id"}, {"Content-Type", "application/x-www-form-urlencoded"}, {"Te", "trailers"},
	} {
		if random.IntN(3) == 0 {
			r.Header.Add(header.name, header.value)
		}
	}
	if random.IntN(2) == 0 {
		r.Host = "evil.test"
		r.RemoteAddr = "203.0.113.9:1"
	}
}

// decided is what of an answer is the decision.
func decided(answer *httptest.ResponseRecorder) map[string][]string {
	decision := map[string][]string{"status": {fmt.Sprint(answer.Code)}}
	for name, values := range answer.Header() {
		if strings.HasPrefix(name, "X-Auth-") || name == "Www-Authenticate" {
			decision[name] = values
		}
	}
	return decision
}

// Tokens, good and bad ones, are in no audit line.
func TestForwardAuthLogsNoToken(t *testing.T) {
	w := newWorld(t)
	good, bad := w.token(reporting), tamper(w.token(reporting))
	for _, token := range []string{good, bad, w.secrets[reporting]} {
		for _, query := range []string{"audience=" + shopAudience, "audience=urn:other", "access_token=" + url.QueryEscape(token)} {
			w.do(forward(query, "Bearer "+token))
			w.do(forward(query, "Basic "+token))
		}
		for part := range strings.SplitSeq(token, ".") {
			if strings.Contains(w.audit.String(), part) {
				t.Error("a part of a token is in the log")
			}
		}
	}
	if lines := strings.Count(w.audit.String(), `"endpoint":"forward-auth"`); lines != 18 {
		t.Errorf("%d lines about 18 requests", lines)
	}
}
