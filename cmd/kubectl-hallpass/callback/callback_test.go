// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package callback_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/callback"
)

const issuer = "https://hallpass.example.com"

func listen(t *testing.T, redirect string) *callback.Receiver {
	t.Helper()
	u, err := url.Parse(redirect)
	if err != nil {
		t.Fatal(err)
	}
	r, err := callback.Listen(t.Context(), u, callback.Expected{State: "the-state", Issuer: issuer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// browse answers a request as the receiver does.
func browse(t *testing.T, r *callback.Receiver, method, address string) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	r.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), method, address, nil))
	return recorder
}

func TestTheBestRedirectURIIsChosen(t *testing.T) {
	for name, c := range map[string]struct {
		uris []string
		want string
	}{
		"an address before a name":       {[]string{"http://localhost/cb", "http://127.0.0.1/cb"}, "http://127.0.0.1/cb"},
		"a free port before a fixed one": {[]string{"http://127.0.0.1:8000/cb", "http://localhost/cb"}, "http://localhost/cb"},
		"IPv6":                           {[]string{"https://app.example.com/cb", "http://[::1]/cb"}, "http://[::1]/cb"},
		"a fixed port":                   {[]string{"http://127.0.0.1:8000/cb"}, "http://127.0.0.1:8000/cb"},
		"only others":                    {[]string{"https://127.0.0.1/cb", "com.example.app:/cb", "http://127.0.0.1.example.com/cb", "http://a@127.0.0.1/cb", "http://192.0.2.1/", "::"}, ""},
		"none":                           {nil, ""},
	} {
		u, err := callback.Choose(c.uris)
		switch {
		case c.want == "" && !errors.Is(err, callback.ErrNoRedirect):
			t.Errorf("%s: %v, %v", name, u, err)
		case c.want != "" && (err != nil || u.String() != c.want):
			t.Errorf("%s: %v, %v, want %s", name, u, err, c.want)
		}
	}
}

func TestTheReceiverListensOnLoopbackAtAFreePort(t *testing.T) {
	for redirect, begins := range map[string]string{"http://127.0.0.1/callback?a=b": "http://127.0.0.1:", "http://localhost/callback?a=b": "http://localhost:"} {
		r := listen(t, redirect)
		u, err := url.Parse(r.RedirectURI())
		if err != nil || u.Port() == "" || u.Port() == "0" || !strings.HasPrefix(r.RedirectURI(), begins) || u.RequestURI() != "/callback?a=b" {
			t.Errorf("%s: %s, %v", redirect, r.RedirectURI(), err)
		}
		taken, err := url.Parse("http://127.0.0.1:" + u.Port() + "/callback")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := callback.Listen(t.Context(), taken, callback.Expected{}); err == nil {
			t.Errorf("%s: a second program listens at the same port", redirect)
		}
	}
}

// TestWhatIsNoAnswerEndsNothing: another page, another host and another login leave the receiver
// waiting, and the answer that comes afterwards counts.
func TestWhatIsNoAnswerEndsNothing(t *testing.T) {
	r := listen(t, "http://127.0.0.1/callback")
	good := r.RedirectURI() + "?code=c&state=the-state&iss=" + url.QueryEscape(issuer)
	u, err := url.Parse(r.RedirectURI())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		method, address string
		status          int
	}{
		"another state":              {http.MethodGet, r.RedirectURI() + "?code=stolen&state=other&iss=" + issuer, http.StatusBadRequest},
		"no state":                   {http.MethodGet, r.RedirectURI() + "?code=stolen&iss=" + issuer, http.StatusBadRequest},
		"an error without the state": {http.MethodGet, r.RedirectURI() + "?error=access_denied&iss=" + issuer, http.StatusBadRequest},
		"two states":                 {http.MethodGet, good + "&state=other", http.StatusBadRequest},
		"two codes":                  {http.MethodGet, good + "&code=other", http.StatusBadRequest},
		"two issuers":                {http.MethodGet, good + "&iss=https://other.example.com", http.StatusBadRequest},
		"another path":               {http.MethodGet, "http://" + u.Host + "/favicon.ico?" + strings.SplitN(good, "?", 2)[1], http.StatusNotFound},
		"a form":                     {http.MethodPost, good, http.StatusNotFound},
		"a name that leads here":     {http.MethodGet, strings.Replace(good, "127.0.0.1", "evil.example.com", 1), http.StatusMisdirectedRequest},
		"another port":               {http.MethodGet, strings.Replace(good, u.Host, "127.0.0.1:1", 1), http.StatusMisdirectedRequest},
	} {
		if got := browse(t, r, c.method, c.address); got.Code != c.status {
			t.Errorf("%s: status %d, want %d", name, got.Code, c.status)
		}
	}
	if got := browse(t, r, http.MethodGet, good); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), "Return to the terminal") {
		t.Errorf("the answer: %d: %s", got.Code, got.Body)
	}
	if got := browse(t, r, http.MethodGet, strings.Replace(good, "code=c", "code=other", 1)); got.Code != http.StatusGone {
		t.Errorf("a second answer: status %d", got.Code)
	}
	if code, err := r.Await(t.Context()); code != "c" || err != nil {
		t.Errorf("the code is %q, %v", code, err)
	}
}

func TestAnAnswerThatIsNoCodeIsAnError(t *testing.T) {
	var refusal *callback.RefusedError
	for query, is := range map[string]func(error) bool{
		"code=c&state=the-state":                                                                 func(err error) bool { return errors.Is(err, callback.ErrForeignIssuer) },
		"code=c&state=the-state&iss=https://hallpass.example.com/":                               func(err error) bool { return errors.Is(err, callback.ErrForeignIssuer) },
		"error=access_denied&state=the-state&iss=https://other.example.com":                      func(err error) bool { return errors.Is(err, callback.ErrForeignIssuer) },
		"state=the-state&iss=" + issuer:                                                          func(err error) bool { return strings.Contains(err.Error(), "neither a code nor an error") },
		"error=access_denied&error_description=the+person+refused&state=the-state&iss=" + issuer: func(err error) bool { return errors.As(err, &refusal) && refusal.Description == "the person refused" },
		"error=invalid_scope&code=c&state=the-state&iss=" + issuer:                               func(err error) bool { return errors.As(err, &refusal) && refusal.Error() == "invalid_scope" },
	} {
		r := listen(t, "http://127.0.0.1/callback")
		if got := browse(t, r, http.MethodGet, r.RedirectURI()+"?"+query); got.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d", query, got.Code)
		}
		if code, err := r.Await(t.Context()); code != "" || err == nil || !is(err) {
			t.Errorf("%s: %q, %v", query, code, err)
		}
	}
}

// TestNoPageHasAnythingOfTheRequest: what a page shows is a constant, and no other page frames it.
func TestNoPageHasAnythingOfTheRequest(t *testing.T) {
	r := listen(t, "http://127.0.0.1/callback")
	for _, address := range []string{r.RedirectURI() + "?state=%3Cmark%3E&code=%3Cmark%3E", r.RedirectURI() + "?state=the-state&error=mark&error_description=mark"} {
		got := browse(t, r, http.MethodGet, address)
		if strings.Contains(got.Body.String(), "mark") || strings.Contains(got.Body.String(), "<script") {
			t.Errorf("the page has %s", got.Body)
		}
		header := got.Result().Header
		if header.Get("Cache-Control") != "no-store" || header.Get("Referrer-Policy") != "no-referrer" || !strings.Contains(header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("its headers are %v", header)
		}
	}
}

func TestTheReceiverServesTheBrowserAndEnds(t *testing.T) {
	r := listen(t, "http://127.0.0.1/callback")
	pages := make(chan string, 1)
	go func() {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.RedirectURI()+"?code=c&state=the-state&iss="+issuer, nil)
		if err != nil {
			pages <- err.Error()
			return
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			pages <- err.Error()
			return
		}
		defer func() { _ = response.Body.Close() }()
		body, _ := io.ReadAll(response.Body)
		pages <- string(body)
	}()
	if code, err := r.Await(t.Context()); code != "c" || err != nil {
		t.Errorf("the code is %q, %v", code, err)
	}
	if page := <-pages; !strings.Contains(page, "You can close this window") {
		t.Errorf("the browser shows %s", page)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := listen(t, "http://127.0.0.1/callback").Await(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("after an interruption: %v", err)
	}
}

// FuzzAnswer sends the receiver any request. No request panics it, no page repeats one, and a code
// comes out only of a request with the state and the issuer that are expected.
func FuzzAnswer(f *testing.F) {
	f.Add(http.MethodGet, "127.0.0.1:8000", "/callback?code=c&state=the-state&iss="+url.QueryEscape(issuer))
	f.Add(http.MethodGet, "127.0.0.1:8000", "/callback?error=access_denied&state=the-state&iss="+issuer)
	f.Add(http.MethodGet, "127.0.0.1:8000", "/callback?code=c;state=the-state&iss="+issuer)
	f.Add(http.MethodGet, "evil.example.com", "/callback?code=c&code=d&state=%00")
	f.Add(http.MethodPost, "127.0.0.1:8000", "/%63allback/../callback?code=c")
	f.Fuzz(func(t *testing.T, method, host, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" {
			return
		}
		r := listen(t, "http://127.0.0.1/callback")
		here, err := url.Parse(r.RedirectURI())
		if err != nil {
			t.Fatal(err)
		}
		if host == "127.0.0.1:8000" { // a port that is known
			host = here.Host
		}
		request := (&http.Request{Method: method, Host: host, URL: u, RequestURI: target, Header: http.Header{}, Body: http.NoBody}).WithContext(t.Context())
		recorder := httptest.NewRecorder()
		r.ServeHTTP(recorder, request)
		query, _ := url.ParseQuery(u.RawQuery)
		ours := method == http.MethodGet && host == here.Host && u.Path == "/callback" && query.Get("state") == "the-state" && query.Get("iss") == issuer
		if recorder.Code == http.StatusOK && (!ours || query.Get("code") == "" || query.Get("error") != "") {
			t.Errorf("%s %s %s is an answer", method, host, target)
		}
		if code := query.Get("code"); len(code) > 40 && strings.Contains(recorder.Body.String(), code) {
			t.Errorf("the page repeats %s", target)
		}
		if recorder.Code != http.StatusOK {
			return
		}
		if code, err := r.Await(t.Context()); err != nil || code != query.Get("code") {
			t.Errorf("%s: the code is %q, %v", target, code, err)
		}
	})
}
