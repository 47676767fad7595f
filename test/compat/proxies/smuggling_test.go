// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package proxies_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// smuggles is how many requests each proxy is sent: some in every run of the tests, as many as
// HALLPASS_SMUGGLES sets for the whole.
func smuggles(t *testing.T) int {
	t.Helper()
	value := os.Getenv("HALLPASS_SMUGGLES")
	if value == "" {
		return 500
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNothingIsSmuggledPastAProxy sends requests that proxy and upstream may read in two ways.
// However the upstream reads them, it sees no identity but the one that was verified, and no path
// opens without the token that it needs.
func TestNothingIsSmuggledPastAProxy(t *testing.T) {
	const workers = 4
	total := smuggles(t)
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			p := k.start(t, w)
			var mu sync.Mutex
			var counted outcome
			var running sync.WaitGroup
			for worker := range workers {
				running.Go(func() {
					for i := worker; i < total; i += workers {
						s := w.smuggle(rand.New(rand.NewPCG(1, uint64(i)))) //nolint:gosec // cases, not secrets
						a, err := p.sendAndWait(t, s.request, 10*time.Second)
						problem := ""
						if err == nil && a.seen != nil {
							problem = k.smuggled(s, *a.seen)
						}
						mu.Lock()
						counted.add(a, err)
						mu.Unlock()
						if problem != "" {
							t.Errorf("case %d: %s\nsent: %s\nthe upstream saw %s %v", i, problem, redact(w, s.request), a.seen.URI, redact(w, fmt.Sprint(a.seen.Header)))
						}
					}
				})
			}
			running.Wait()
			t.Logf("%d requests: %d reached the upstream with an identity, %d without, %d were refused by 401 or 403, %d by another status, %d got no answer",
				total, counted.identified, counted.open, counted.refused, counted.malformed, counted.unanswered)
			if counted.identified < total/20 || counted.open < total/200 || counted.refused < total/20 {
				t.Error("too few requests of one sort: does the test still try what it should?")
			}
		})
	}
}

// outcome counts the results of requests.
type outcome struct{ identified, open, refused, malformed, unanswered int }

func (o *outcome) add(a answer, err error) {
	switch {
	case err != nil:
		o.unanswered++
	case a.seen != nil && len(identityOf(a.seen.Header)) > 0:
		o.identified++
	case a.seen != nil:
		o.open++
	case a.status == 401 || a.status == 403:
		o.refused++
	default:
		o.malformed++
	}
}

// smuggle is one request, and the callers whose good tokens are in its Authorization headers.
type smuggle struct {
	request string
	callers []caller
}

// smuggled returns what is wrong with what the upstream saw, or "".
func (k kind) smuggled(s smuggle, at seen) string {
	identity := identityOf(at.Header)
	readings := readings(at.URI)
	isOpen := func(reading string) bool { return reading == "/healthz" }
	isAdmin := func(reading string) bool { return reading == "/admin" || strings.HasPrefix(reading, "/admin/") }
	if len(identity) == 0 {
		if !slices.ContainsFunc(readings, func(reading string) bool { return !isOpen(reading) }) {
			return ""
		}
		return "a protected path opens without an identity"
	}
	for _, c := range s.callers {
		if !cmp.Equal(identity, k.identity(&c)) {
			continue
		}
		if authorization := at.Header.Values("Authorization"); len(authorization) != 1 || !strings.HasSuffix(authorization[0], " "+c.token) {
			return "the upstream sees another token than the one that was verified"
		}
		if slices.ContainsFunc(readings, isAdmin) && !strings.Contains(c.scopes, "write") {
			return "a path opens without the scope that it needs"
		}
		if expires := at.Header.Values("X-Auth-Expires"); len(expires) != 1 || len(expires[0]) != 10 {
			return fmt.Sprintf("X-Auth-Expires is %q", expires)
		}
		return ""
	}
	return fmt.Sprintf("the upstream sees an identity that was not verified: %v", identity)
}

// unreserved is a letter that means the same with percent-encoding and without (RFC 3986 section
// 6.2.2.2), but for the dot, of which that is what is to be found out.
var unreserved = regexp.MustCompile(`%(?:[46][1-9a-fA-F]|[57][0-9aA]|3[0-9]|2[dD]|5[fF]|7[eE])`)

// readings are the paths that upstreams may take a request target for: unchanged or decoded once,
// with dot segments resolved or not, "\" as "/" or not, with or without parameters of segments.
func readings(uri string) []string {
	if _, rest, absolute := strings.Cut(uri, "://"); absolute && !strings.HasPrefix(uri, "/") {
		_, rest, _ = strings.Cut(rest, "/")
		uri = "/" + rest
	}
	uri, _, _ = strings.Cut(uri, "?")
	uri, _, _ = strings.Cut(uri, "#")
	uri = unreserved.ReplaceAllStringFunc(uri, func(encoded string) string {
		decoded, err := url.PathUnescape(encoded)
		if err != nil {
			return encoded
		}
		return decoded
	})
	all := []string{uri}
	if decoded, err := url.PathUnescape(uri); err == nil {
		all = append(all, decoded)
	}
	for _, reading := range slices.Clone(all) {
		all = append(all, strings.ReplaceAll(reading, `\`, "/"))
	}
	for _, reading := range slices.Clone(all) {
		segments := strings.Split(reading, "/")
		for i := range segments {
			segments[i], _, _ = strings.Cut(segments[i], ";")
		}
		all = append(all, strings.Join(segments, "/"))
	}
	for _, reading := range slices.Clone(all) {
		all = append(all, path.Clean("/"+reading))
	}
	return all
}

// smuggle makes up a request.
func (w *world) smuggle(random *rand.Rand) smuggle {
	lines, callers := w.credentials(random)
	for range random.IntN(5) {
		lines = append(lines, w.header(random))
	}
	random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	method := pick(random, "GET", "GET", "GET", "HEAD", "OPTIONS", "DELETE")
	if method == "HEAD" {
		method = "GET" // what the upstream saw is in the body
	}
	request := method + " " + target(random) + " HTTP/1.1\r\nHost: orders.test\r\n" + strings.Join(lines, "\r\n")
	if !strings.Contains(request, "Connection:") {
		request += "\r\nConnection: close"
	}
	return smuggle{request: request + "\r\n\r\n", callers: callers}
}

// credentials are the header lines that present tokens, rightly or not, and whose good ones they
// are.
func (w *world) credentials(random *rand.Rand) ([]string, []caller) {
	bearer := func(c caller) string { return "Authorization: Bearer " + c.token }
	switch random.IntN(16) {
	case 0, 1, 2:
		return []string{bearer(w.reader)}, []caller{w.reader}
	case 3, 4:
		return []string{bearer(w.writer)}, []caller{w.writer}
	case 5:
		return []string{bearer(w.reader), bearer(w.twin)}, []caller{w.reader, w.twin}
	case 6:
		return []string{bearer(w.reader), bearer(w.writer)}, []caller{w.reader, w.writer}
	case 7:
		return []string{bearer(w.reader) + ", Bearer " + w.writer.token}, []caller{w.reader, w.writer}
	case 8:
		return []string{"authorization: bearer " + w.reader.token}, []caller{w.reader}
	case 9:
		// only those that never ask let it pass
		return []string{bearer(w.suspended)}, []caller{w.suspended}
	case 10:
		return []string{"Authorization: Bearer " + tamper(w.writer.token)}, nil
	case 11:
		return []string{
			pick(random, "X-Forwarded-Authorization", "Proxy-Authorization", "X-Authorization", "X_Authorization", "Authorization_", "X-Access-Token", "Cookie") +
				": Bearer " + w.writer.token,
		}, nil
	case 12:
		return []string{pick(random, "Authorization : Bearer ", "Authorization:\tBearer ", "Authorization: Bearer\r\n ", "\tAuthorization: Bearer ") + w.reader.token}, []caller{w.reader}
	case 13:
		return []string{bearer(w.reader), "Authorization:" + pick(random, "", " ", " Basic YTpi", " Bearer")}, []caller{w.reader}
	default:
		return nil, nil
	}
}

// header is a line that could make an upstream believe something, or a proxy drop something.
func (w *world) header(random *rand.Rand) string {
	switch random.IntN(6) {
	case 0:
		return "Connection: " + pick(random,
			"close, X-Auth-Client-Id", "X-Auth-Scopes", "Authorization", "close, Authorization", "keep-alive, x-auth-client-uid, x-auth-client-id", "X-Auth-Client-Id, X-Auth-Scopes, close")
	case 1:
		return pick(random, "X-Forwarded-Uri", "X-Original-Uri", "X-Original-Url", "X-Rewrite-Url", "X-Forwarded-Path", "X-Envoy-Original-Path", "X-Accel-Redirect") +
			": " + pick(random, "/healthz", "/orders/1", "/admin/users", "/?audience=x", "https://evil.test/healthz")
	case 2:
		return pick(random, "X-Forwarded-Method: OPTIONS", "X-Http-Method-Override: GET", "X-Forwarded-Host: evil.test", "X-Forwarded-For: 127.0.0.1",
			"Forwarded: for=127.0.0.1;host=evil.test", "User-Agent: kube-probe/1.37", "Accept: text/html", "Upgrade: h2c", "Te: trailers", "X-Forwarded-Prefix: /healthz")
	default:
		name := pick(random, "X-Auth-Client-Id", "X-Auth-Client-Uid", "X-Auth-Client-Namespace", "X-Auth-Scopes", "X-Auth-Audience", "X-Auth-Client-Id", "X-Auth-Scopes", "X-Auth-Subject", "X-Auth-Subject-Type", "X-Auth-User")
		return disguise(random, name) + pick(random, ": ", ":", ":\t", " : ", ": ") + pick(random, w.writer.id, "admin", "read write", "", "uid-of-"+w.writer.id, "a,b")
	}
}

// disguise spells the name of a header in a way that some upstream reads as that name.
func disguise(random *rand.Rand, name string) string {
	var spelt strings.Builder
	for i := range len(name) {
		switch letter := name[i : i+1]; {
		case letter == "-":
			spelt.WriteString(pick(random, "-", "-", "_", ".", "-"))
		case random.IntN(4) == 0:
			spelt.WriteString(pick(random, strings.ToUpper(letter), strings.ToLower(letter)))
		default:
			spelt.WriteString(letter)
		}
	}
	return spelt.String()
}

// target is a request target.
func target(random *rand.Rand) string {
	base := pick(random, "/orders/1", "/orders/1", "/healthz", "/healthz", "/admin/users", "/admin/users", "/admin")
	switch random.IntN(12) {
	case 0, 1, 2:
	case 3:
		base = encode(random, base)
	case 4:
		base = pick(random, "/healthz", "/orders", "/x", "/admin") + pick(random, "/..", "/%2e%2e", "/.%2e", "%2f..", "/..;", "%2f%2e%2e", "/..%2f..", `\..`, "%5c..", "/%252e%252e", ";/..", "/../.") + base
	case 5:
		base = "/" + pick(random, "/", "./", "%2f", "%2e/", `\`, ";/", "%5c", "x/../") + strings.TrimPrefix(base, "/")
	case 6:
		base += pick(random, "/", "/.", "/..", "%00", ";", ";a=b", "%20", "%23", "%3f", ".", "//", "%2f", "%2f..%2f..%2fhealthz", "/..%2f..%2fhealthz", "/../../healthz")
	case 7:
		base += pick(random, "#", "#/healthz", "?", "?/healthz", "?x=/../healthz", "?audience=x&scope=y", "#?x", "?access_token=x", "%3f/../../healthz", "%23/../../healthz")
	case 8:
		base = strings.ToUpper(base)
	case 9:
		base = pick(random, "http://orders.test", "http://evil.test", "https://orders.test:1", "http:/", "//evil.test") + base
	case 10:
		base = pick(random, "/%c0%ae%c0%ae", "/%ff", "/%u002e", "/%", "/%2", "/%0d%0a") + base
	default:
		base = strings.Replace(base, "/", pick(random, "/", "//", "/./", "/%2e/", "/x/../", "/;/"), 2)
	}
	return base
}

// encode writes some letters of a path in percent-encoding, once or twice.
func encode(random *rand.Rand, path string) string {
	var encoded strings.Builder
	percent := pick(random, "%", "%", "%25")
	for i := range len(path) {
		if i > 0 && random.IntN(4) == 0 {
			fmt.Fprintf(&encoded, "%s%02x", percent, path[i])
		} else {
			encoded.WriteByte(path[i])
		}
	}
	return encoded.String()
}

func pick(random *rand.Rand, from ...string) string { return from[random.IntN(len(from))] }

// redact takes the tokens out of what a test prints.
func redact(w *world, text string) string {
	for _, c := range []caller{w.reader, w.writer, w.twin, w.suspended} {
		text = strings.ReplaceAll(text, c.token, "TOKEN-OF-"+c.id)
	}
	return text
}

// What a proxy must not let happen is noticed when it happens.
func TestSmugglingIsNoticed(t *testing.T) {
	w := &world{
		reader: caller{id: "shop.reader", scopes: "read", token: "r"}, writer: caller{id: "shop.writer", scopes: "read write", token: "w"},
	}
	k := kind{namespace: "shop"}
	header := func(c caller, more ...string) http.Header {
		header := http.Header{"Authorization": {"Bearer " + c.token}, "X-Auth-Expires": {"1795435200"}}
		for name, value := range k.identity(&c) {
			header.Set(name, value)
		}
		for i := 0; i < len(more); i += 2 {
			header[more[i]] = append(header[more[i]], more[i+1])
		}
		return header
	}
	for name, c := range map[string]struct {
		seen    seen
		noticed bool
	}{
		"all is well":                             {seen{"/orders/1", header(w.reader)}, false},
		"the open path":                           {seen{"/healthz?x=y", http.Header{}}, false},
		"the open path with letters encoded":      {seen{"/h%65alth%7a", http.Header{}}, false},
		"a protected path without an identity":    {seen{"/orders/1", http.Header{}}, true},
		"one that is open only when it is read":   {seen{"/orders/..%2fhealthz", http.Header{}}, true},
		"another identity than the verified one":  {seen{"/orders/1", header(w.writer)}, true},
		"a second line with another identity":     {seen{"/orders/1", header(w.reader, "X-Auth-Client-Id", "admin")}, true},
		"an underscore":                           {seen{"/orders/1", header(w.reader, "X_auth_client_id", "admin")}, true},
		"a dot":                                   {seen{"/orders/1", header(w.reader, "X.auth-Client-Id", "admin")}, true},
		"another token beside the verified one":   {seen{"/orders/1", header(w.reader, "Authorization", "Bearer w")}, true},
		"an identity on the open path":            {seen{"/healthz", http.Header{"X-Auth-Client-Id": {"admin"}}}, true},
		"no identity where there should be one":   {seen{"/orders/1", http.Header{"Authorization": {"Bearer r"}}}, true},
		"a path that needs another scope":         {seen{"/admin/users", header(w.reader)}, true},
		"a path that needs it when it is decoded": {seen{"/x/%2e%2e/admin", header(w.reader)}, true},
		"a path that needs it, with parameters":   {seen{"/x/..;/admin", header(w.reader)}, true},
		"no end of the token":                     {seen{"/orders/1", header(w.reader, "X-Auth-Expires", "1795435201")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if problem := k.smuggled(smuggle{callers: []caller{w.reader}}, c.seen); (problem != "") != c.noticed {
				t.Errorf("noticed %q", problem)
			}
		})
	}
}
