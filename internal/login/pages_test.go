// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/login"
	"github.com/hallpass-dev/hallpass/internal/login/provider"
	"github.com/hallpass-dev/hallpass/internal/loginport"
)

func TestEachErrorIsAPageThatSaysWhatToDo(t *testing.T) {
	refuse := func(reason, description string) func(*world, *browser) page {
		return func(w *world, b *browser) page {
			w.court.answer = func(loginport.Attempt) loginport.BeginAnswer {
				return loginport.BeginAnswer{Refusal: &loginport.Refusal{Code: "invalid_request", Description: description, Reason: reason}}
			}
			return b.get(authorize)
		}
	}
	// broken goes to the provider, breaks something, and comes back.
	broken := func(change func(*world)) func(*world, *browser) page {
		return func(w *world, b *browser) page {
			callback := b.toProvider()
			change(w)
			return b.get(callback)
		}
	}
	answer := func(parameters string) func(*world, *browser) page {
		return func(_ *world, b *browser) page {
			u, _ := url.Parse(b.toProvider())
			return b.get(loginURL + u.Path + "?state=" + u.Query().Get("state") + "&" + parameters)
		}
	}
	const (
		back  = `href="https://app.example.net/callback?error=server_error&amp;`
		later = `href="https://app.example.net/callback?error=temporarily_unavailable&amp;`
	)
	for name, c := range map[string]struct {
		play   func(*world, *browser) page
		status int
		title  string
		says   []string
	}{
		"an unknown client":              {refuse("UnknownClient", "no client has this client_id"), 400, "The application's request cannot be served", []string{"No client has this client_id.", "UnknownClient"}},
		"a redirect that is not allowed": {refuse("RedirectNotAllowed", "redirect_uri is not one of the client"), 400, "The application's request cannot be served", []string{"<p>redirect_uri is not one of the client.</p>", "not sent back"}},
		"the token server is away": {func(w *world, b *browser) page {
			w.court.err = &loginport.UnavailableError{RetryAfter: 7 * time.Second}
			return b.get(authorize)
		}, 503, "Sign-in is not available now", []string{"Try again in a minute"}},
		"the token server does not know login": {func(w *world, b *browser) page {
			w.court.err = loginport.ErrUnauthorized
			return b.get(authorize)
		}, 503, "Sign-in is not available now", []string{"inform the team that runs Hallpass"}},
		"the cookie is gone": {func(w *world, b *browser) page {
			return w.browser().do(http.MethodPost, loginURL+login.ConsentPath, b.get(authorize).form(w.t, "allow"))
		}, 400, "This sign-in has ended", []string{"allow cookies for this site", "start again"}},
		"the ticket is of yesterday": {broken(func(w *world) { clear(w.court.attempts) }), 400, "The application's request cannot be served",
			[]string{"The attempt has expired; start again in the application."}},
		"the provider has moved, and another server answers": {broken(func(w *world) {
			w.corp.Answer("/token", http.NotFound)
			w.network.Move("corp.example.org", "9.9.9.200")
		}), 502,
			"Your identity provider's answer cannot be used", []string{back}},
		"the provider fails": {broken(func(w *world) {
			w.corp.Answer("/token", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		}), 502, "Your identity provider does not answer", []string{later, "Try again in a minute", "ProviderUnreachable"}},
		"the provider's code is of yesterday": {broken(func(w *world) { clear(w.corp.granted) }), 502, "Your identity provider's answer cannot be used",
			[]string{back, "An old link", "ProviderRefusesCode"}},
		"the client secret is wrong": {broken(func(w *world) { w.corp.secret = "another" }), 502, "Sign-in at your identity provider is not set up correctly",
			[]string{back, "ProviderRefusesClient"}},
		"there is no client secret": {broken(func(w *world) { w.secrets.values = nil }), 502, "Sign-in at your identity provider is not set up correctly",
			[]string{back, "LoginSecretNotFound"}},
		"the cluster does not give the client secret": {broken(func(w *world) { w.secrets.err = errAway }), 503, "Sign-in is not available now", []string{later}},
		"the provider gives no ID token": {broken(func(w *world) {
			w.corp.Answer("/token", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"access_token":"a","token_type":"Bearer"}`))
			})
		}), 502, "Sign-in at your identity provider is not set up correctly", []string{back, "NoIDToken"}},
		"the provider lies about its issuer": {func(w *world, b *browser) page {
			w.corp.meta["issuer"] = "https://other.example.org"
			return b.do(http.MethodPost, loginURL+login.ConsentPath, b.get(authorize).form(w.t, "allow"))
		}, 502, "Your identity provider's answer cannot be used", []string{back, "IssuerMismatch"}},
		"the provider has an endpoint without TLS": {func(w *world, b *browser) page {
			w.corp.meta["token_endpoint"] = "http://corp.example.org/token"
			return b.do(http.MethodPost, loginURL+login.ConsentPath, b.get(authorize).form(w.t, "allow"))
		}, 502, "Sign-in at your identity provider is not set up correctly", []string{back, "BadMetadata"}},
		"the provider is at a private address": {func(w *world, b *browser) page {
			w.network.Move("corp.example.org", "10.0.0.7")
			return b.do(http.MethodPost, loginURL+login.ConsentPath, b.get(authorize).form(w.t, "allow"))
		}, 502, "Sign-in at your identity provider is not set up correctly", []string{back, "AddressNotAllowed"}},
		"the provider refuses the request": {answer("error=invalid_scope&error_description=marker-text"), 502, "Sign-in at your identity provider is not set up correctly",
			[]string{back, "ProviderRefusesRequest"}},
		"the provider is overloaded":        {answer("error=temporarily_unavailable"), 502, "Your identity provider does not answer", []string{later}},
		"the provider answers without code": {answer("session_state=x"), 502, "Your identity provider's answer cannot be used", []string{"Start again"}},
		"a form that says neither": {func(w *world, b *browser) page {
			return b.do(http.MethodPost, loginURL+login.ConsentPath, b.get(authorize).form(w.t, "perhaps"))
		}, 400, "The answer could not be read", []string{"Nothing was allowed"}},
		"another path": {func(_ *world, b *browser) page { return b.get(loginURL + "/") }, 404, "There is nothing to see here", []string{"Begin in the application"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			got := c.play(w, w.browser())
			if got.status != c.status || got.title() != c.title {
				t.Fatalf("the browser gets %d %q, want %d %q", got.status, got.title(), c.status, c.title)
			}
			for _, text := range append(c.says, "If you ask for help, say: reason <code>") {
				if !strings.Contains(got.body, text) {
					t.Errorf("the page lacks %q: %s", text, got.body)
				}
			}
			if strings.Contains(got.body, "marker-text") {
				t.Errorf("the page repeats what the provider says: %s", got.body)
			}
			checkHeaders(t, got)
		})
	}
}

func TestThePersonCancelsAtTheProvider(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	u, err := url.Parse(b.toProvider())
	must(t, err)
	back := b.get(loginURL + u.Path + "?error=access_denied&state=" + u.Query().Get("state"))
	if back.status != http.StatusSeeOther || !strings.Contains(back.location, "error=access_denied") || w.court.ended[0] != loginport.ProviderRefused || len(b.cookies()) != 0 {
		t.Errorf("%d %s, %v", back.status, back.location, w.court.ended)
	}
}

// TestAClientIsSuspendedHalfWay: the token server decides at each step, and its refusal reaches
// the client.
func TestAClientIsSuspendedHalfWay(t *testing.T) {
	const to = appURL + "?error=unauthorized_client&state=" + appState
	suspend := func(w *world) {
		w.court.resume = func(loginport.Attempt) (loginport.BeginAnswer, error) {
			return loginport.BeginAnswer{Redirect: to}, nil
		}
	}
	w := newWorld(t)
	b := w.browser()
	form := b.get(authorize).form(t, "allow")
	suspend(w)
	if got := b.do(http.MethodPost, loginURL+login.ConsentPath, form).onward(t); got != to || len(b.cookies()) != 0 {
		t.Errorf("after consent: %s, %v", got, b.cookies())
	}
	w = newWorld(t)
	b = w.browser()
	callback := b.toProvider()
	suspend(w)
	if got := b.get(callback); got.location != to || got.status != http.StatusSeeOther || len(b.cookies()) != 0 || w.corp.tokens != 0 {
		t.Errorf("after the provider: %d %s, %v", got.status, got.location, b.cookies())
	}
	w = newWorld(t)
	w.court.answer = func(loginport.Attempt) loginport.BeginAnswer { return loginport.BeginAnswer{Redirect: to} }
	if got := w.browser().get(authorize); got.location != to || got.status != http.StatusSeeOther {
		t.Errorf("at once: %d %s", got.status, got.location)
	}
}

// TestAClientSecretIsReplaced: the provider knows the next secret before login has read it.
func TestAClientSecretIsReplaced(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	w.corp.secret, w.secrets.next = "next", map[string]string{"corp": "next"}
	if finished := b.get(b.toProvider()); finished.status != http.StatusSeeOther || w.corp.tokens != 2 {
		t.Errorf("%d %s after %d requests", finished.status, finished.body, w.corp.tokens)
	}
}

func TestTheClientAuthenticatesAsTheProviderWants(t *testing.T) {
	w := newWorld(t)
	w.corp.meta["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
	basic := false
	w.corp.Answer("/token", func(rw http.ResponseWriter, r *http.Request) {
		_, _, basic = r.BasicAuth()
		w.corp.token(rw, r)
	})
	b := w.browser()
	if finished := b.get(b.toProvider()); finished.status != http.StatusSeeOther || basic {
		t.Errorf("%d %s, by Basic: %t", finished.status, finished.body, basic)
	}
}

func TestADiscoveryDocumentIsFetchedSeldom(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.now = func() time.Time { return now }
	asked := func() int {
		before := w.corp.Asked()
		for range 4 { // both replicas
			w.browser().do(http.MethodGet, authorize, nil)
		}
		return w.corp.Asked() - before
	}
	w.court.attempt.Consent.Needed = false
	if n := asked(); n != 2 {
		t.Errorf("%d requests at first", n)
	}
	now = now.Add(9 * time.Minute)
	if n := asked(); n != 0 {
		t.Errorf("%d requests nine minutes later", n)
	}
	now = now.Add(2 * time.Minute)
	w.corp.Answer("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	if n := asked(); n != 2 {
		t.Errorf("%d requests after it is old", n)
	}
	if sent := w.browser().get(authorize); sent.status != http.StatusSeeOther {
		t.Errorf("while the provider is away, the last document does not go on: %d %s", sent.status, sent.body)
	}
	now = now.Add(25 * time.Hour)
	if sent := w.browser().get(authorize); sent.title() != "Your identity provider does not answer" {
		t.Errorf("a day later: %d %s", sent.status, sent.body)
	}
}

func TestTextsOfOthersAreText(t *testing.T) {
	w := newWorld(t)
	w.court.attempt.Consent.ClientName = "<b>Bank\u202e\u0000</b> \u200b" + strings.Repeat("x", 600)
	w.court.attempt.Consent.Scopes[0].Description = `"><script>alert(1)</script>`
	w.court.attempt.Provider.DisplayName = "\u202e"
	p := w.browser().get(authorize)
	if strings.Contains(p.body, "<b>") || strings.Contains(p.body, "<script") || strings.ContainsAny(p.body, "\u202e\u200b\x00") || strings.Contains(p.body, strings.Repeat("x", 513)) {
		t.Errorf("the page is %s", p.body)
	}
	if !strings.Contains(p.body, "<bdi>corp</bdi>") {
		t.Error("a name without characters stands for the provider")
	}
}

func TestAnAddressThatABrowserWouldRunIsNoLink(t *testing.T) {
	w := newWorld(t)
	w.court.finish = func(loginport.FinishRequest) (loginport.FinishAnswer, error) {
		return loginport.FinishAnswer{Redirect: "JavaScript:alert(1)"}, nil
	}
	b := w.browser()
	if p := b.do(http.MethodPost, loginURL+login.ConsentPath, b.get(authorize).form(t, "refuse")); strings.Contains(p.body, "alert(1)") {
		t.Errorf("the page is %s", p.body)
	}
}

func TestTheStyleIsThatOfThePolicy(t *testing.T) {
	p := newWorld(t).browser().get(authorize)
	checkHeaders(t, p)
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(p.body)
	if style == nil {
		t.Fatal("the page has no style")
	}
	sum := sha256.Sum256([]byte(style[1]))
	if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(p.header.Get("Content-Security-Policy"), want) {
		t.Errorf("the policy lacks %s", want)
	}
	if !strings.Contains(p.header.Get("Content-Security-Policy"), "form-action 'self'") {
		t.Error("the form goes nowhere")
	}
}

func TestASourceIsLimited(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.now = func() time.Time { return now }
	limited := 0
	for range 2000 {
		answer := httptest.NewRecorder()
		w.server.Config.Handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if answer.Code == http.StatusTooManyRequests {
			limited++
			if answer.Header().Get("Retry-After") != "1" || !strings.Contains(answer.Body.String(), "Too many requests") {
				t.Fatalf("%v %s", answer.Header(), answer.Body)
			}
		}
	}
	if limited < 1000 || limited > 1200 { // each of two replicas lets 400 pass, and a share
		t.Errorf("%d of 2,000 requests were refused", limited)
	}
}

// TestOneProviderTakesNoRoomOfAnother: a provider that does not answer holds its requests, and
// people of another one log in meanwhile.
func TestOneProviderTakesNoRoomOfAnother(t *testing.T) {
	w := newWorld(t)
	slow := startCorp(t, w.network, "https://slow.example.org")
	release := make(chan struct{})
	slow.Answer("/token", func(http.ResponseWriter, *http.Request) { <-release })
	secrets := &secrets{values: map[string]string{"slow": corpSecret, "corp": corpSecret}}
	providers := provider.New(w.network.Outbound(), secrets, time.Now)
	of := func(c *corp, name string) loginport.Provider {
		return loginport.Provider{Name: name, Issuer: c.URL, ClientID: "hallpass", SecretName: name, CABundle: c.CA}
	}
	var waiting sync.WaitGroup
	busy := make(chan error, 300)
	for range 300 {
		waiting.Go(func() {
			_, err := providers.IDToken(t.Context(), of(slow, "slow"), provider.Answer{Code: "x"})
			if failure, ok := errors.AsType[*provider.Error](err); ok && failure.Reason == provider.ReasonBusy {
				busy <- err
			}
		})
	}
	if err := <-busy; err == nil { // there is no room for it any more
		t.Error("none waits")
	}
	_, err := providers.IDToken(t.Context(), of(w.corp, "corp"), provider.Answer{Code: "x"})
	if failure, ok := errors.AsType[*provider.Error](err); !ok || failure.Reason != provider.ReasonCodeRefused {
		t.Errorf("the other provider: %v", err)
	}
	close(release)
	waiting.Wait()
}

var _ provider.Secrets = (*secrets)(nil)
