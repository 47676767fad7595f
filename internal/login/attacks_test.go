// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/login"
	"github.com/hallpass-dev/hallpass/internal/loginport"
)

// TestAttacks plays the attacks of RFC 9700 and of the papers on OpenID Connect that concern the
// origin of login. Each ends with a page, and no code is issued.
func TestAttacks(t *testing.T) {
	const consentURL = loginURL + login.ConsentPath
	set := func(address, name, value string) string {
		u, _ := url.Parse(address)
		query := u.Query()
		query.Set(name, value)
		u.RawQuery = query.Encode()
		return u.String()
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		play func(w *world, attacker, victim *browser) page
		want string
	}{
		"CSRF on the callback: the victim opens the answer that the attacker got": {func(_ *world, attacker, victim *browser) page {
			return victim.get(attacker.toProvider())
		}, "This sign-in has ended"},
		"CSRF on the callback, while the victim has an attempt of its own": {func(_ *world, attacker, victim *browser) page {
			own, foreign := victim.toProvider(), attacker.toProvider()
			u, _ := url.Parse(foreign)
			return victim.get(set(own, "code", u.Query().Get("code")))
			// PKCE: the code was made for another verifier
		}, "Your identity provider's answer cannot be used"},
		"the callback before the person has consented": {func(_ *world, _, victim *browser) page {
			form := victim.get(authorize).form(victim.t, "allow")
			return victim.get(loginURL + "/callback/corp?code=x&iss=" + corpURL + "&state=" + form.Get("attempt") + ".")
		}, "This sign-in continued in another tab"},
		"CSRF on consent: the attacker's form with the attempt of the victim": {func(_ *world, attacker, victim *browser) page {
			form, foreign := victim.get(authorize).form(victim.t, "allow"), attacker.get(authorize).form(victim.t, "allow")
			form.Set("proof", foreign.Get("proof"))
			return victim.do(http.MethodPost, consentURL, form)
		}, "This did not come from the page that asked you"},
		"CSRF on consent: the attacker's own attempt in the browser of the victim": {func(_ *world, attacker, victim *browser) page {
			return victim.do(http.MethodPost, consentURL, attacker.get(authorize).form(victim.t, "allow"))
		}, "This sign-in has ended"},
		"consent from another site": {func(_ *world, _, victim *browser) page {
			form := victim.get(authorize).form(victim.t, "allow")
			return victim.do(http.MethodPost, consentURL, form, header("Origin", "https://evil.example"), header("Sec-Fetch-Site", "cross-site"))
		}, "This did not come from the page that asked you"},
		"consent from another host of the same domain": {func(_ *world, _, victim *browser) page {
			form := victim.get(authorize).form(victim.t, "allow")
			return victim.do(http.MethodPost, consentURL, form, header("Origin", "https://app.example.com"), header("Sec-Fetch-Site", "same-site"))
		}, "This did not come from the page that asked you"},
		"consent by a link": {func(_ *world, _, victim *browser) page {
			form := victim.get(authorize).form(victim.t, "allow")
			return victim.get(consentURL + "?" + form.Encode())
		}, "There is nothing to see here"},
		"cookie tossing: a second cookie of the name": {func(_ *world, _, victim *browser) page {
			form := victim.get(authorize).form(victim.t, "allow")
			return victim.do(http.MethodPost, consentURL, form, func(r *http.Request) {
				r.AddCookie(&http.Cookie{Name: "__Host-hallpass-" + form.Get("attempt"), Value: "1:tossed:::tossed"}) //nolint:gosec // a cookie that a browser sends
			})
		}, "This sign-in has ended"},
		"cookie tossing: a cookie without the prefix": {func(w *world, attacker, _ *browser) page {
			form := attacker.get(authorize).form(w.t, "allow")
			value := attacker.cookies()["__Host-hallpass-"+form.Get("attempt")]
			return w.browser().do(http.MethodPost, consentURL, form, func(r *http.Request) {
				r.AddCookie(&http.Cookie{Name: "hallpass-" + form.Get("attempt"), Value: value}) //nolint:gosec // a cookie that a browser sends
			})
		}, "This sign-in has ended"},
		"a cookie that was made up": {func(_ *world, _, victim *browser) page {
			id := strings.Repeat("A", 16)
			return victim.do(http.MethodPost, consentURL, url.Values{"attempt": {id}, "proof": {"p"}, "decision": {"allow"}}, func(r *http.Request) {
				r.AddCookie(&http.Cookie{Name: "__Host-hallpass-" + id, Value: "1:p:::made-up"}) //nolint:gosec // a cookie that a browser sends
			})
		}, "The application's request cannot be served"},
		"mix-up: another provider answers at its own address": {func(_ *world, _, victim *browser) page {
			return victim.get(strings.Replace(victim.toProvider(), "/callback/corp", "/callback/other", 1))
		}, "The answer came from another identity provider"},
		"mix-up: iss names another provider": {func(_ *world, _, victim *browser) page {
			return victim.get(set(victim.toProvider(), "iss", "https://other.example.org"))
		}, "Your identity provider's answer cannot be used"},
		"mix-up: the provider promises iss, and it was taken out": {func(w *world, _, victim *browser) page {
			w.corp.meta["authorization_response_iss_parameter_supported"] = true
			return victim.get(set(victim.toProvider(), "iss", ""))
		}, "Your identity provider's answer cannot be used"},
		"code substitution: the code of another person's login": {func(_ *world, attacker, victim *browser) page {
			u, _ := url.Parse(attacker.toProvider())
			return victim.get(set(victim.toProvider(), "code", u.Query().Get("code")))
		}, "Your identity provider's answer cannot be used"},
		"another tab: the state of an attempt with the secret of another": {func(_ *world, _, victim *browser) page {
			one, two := victim.toProvider(), victim.toProvider()
			u, _ := url.Parse(one)
			v, _ := url.Parse(two)
			id, _, _ := strings.Cut(u.Query().Get("state"), ".")
			_, secret, _ := strings.Cut(v.Query().Get("state"), ".")
			return victim.get(set(one, "state", id+"."+secret))
		}, "This sign-in continued in another tab"},
		"the same page in two tabs: the first goes on after the second": {func(_ *world, _, victim *browser) page {
			form := victim.get(authorize).form(victim.t, "allow")
			first := victim.get(victim.do(http.MethodPost, consentURL, form).onward(victim.t)).location
			victim.do(http.MethodPost, consentURL, form)
			return victim.get(first)
		}, "This sign-in continued in another tab"},
		"a parameter twice": {func(_ *world, _, victim *browser) page {
			return victim.get(victim.toProvider() + "&code=other")
		}, "Your identity provider's answer cannot be used"},
		// a server reads 256 KiB of what is left before it closes the connection, so that
		// the browser gets the page
		"a form beyond its limit": {func(_ *world, _, victim *browser) page {
			return victim.do(http.MethodPost, consentURL, url.Values{"attempt": {strings.Repeat("a", 128<<10)}})
		}, "The answer could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			got := c.play(w, w.browser(), w.browser())
			if got.title() != c.want || got.status < 400 || got.location != "" || got.header.Get("Refresh") != "" {
				t.Errorf("the browser gets %d %q to %q, want the page %q", got.status, got.title(), got.location, c.want)
			}
			if len(w.court.people) != 0 {
				t.Errorf("%v got a code", w.court.people)
			}
			checkHeaders(t, got)
		})
	}
}

// checkHeaders: no page can be framed, runs anything, loads anything, is stored, or leaks its
// address.
func checkHeaders(t *testing.T, p page) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000",
	} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	policy := p.header.Get("Content-Security-Policy")
	for _, directive := range []string{"default-src 'none'; ", "form-action '", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, directive) {
			t.Errorf("the policy %q lacks %s", policy, directive)
		}
	}
	for _, word := range []string{"unsafe", "script-src", "*", "http"} {
		if strings.Contains(policy, word) {
			t.Errorf("the policy %q has %s", policy, word)
		}
	}
	if strings.Contains(p.body, "<script") {
		t.Error("the page has a script")
	}
}

func TestAForgedCookieChoosesNoProvider(t *testing.T) {
	// Everything but the ticket may be forged, so nothing but the ticket decides where a secret
	// is sent: a cookie has no field for it.
	w := newWorld(t)
	evil := startCorp(t, w.network, "https://evil.example.org")
	b := w.browser()
	form := b.get(authorize).form(t, "allow")
	form.Set("issuer", evil.URL)
	form.Set("provider", evil.URL)
	to := b.do(http.MethodPost, loginURL+login.ConsentPath, form).onward(t)
	b.get(strings.Replace(b.get(to).location, "/callback/corp", "/callback/evil", 1) + "&token_endpoint=" + evil.URL)
	if evil.Asked() != 0 {
		t.Error("the address of the attacker was asked")
	}
}

func TestTheBackButton(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	asked := b.get(authorize)
	form := asked.form(t, "allow")
	callback := b.get(b.do(http.MethodPost, loginURL+login.ConsentPath, form).onward(t)).location
	b.get(callback)
	for name, p := range map[string]page{
		"to the provider's answer": b.get(callback), "to the consent page": b.do(http.MethodPost, loginURL+login.ConsentPath, form),
	} {
		if p.title() != "This sign-in has ended" || p.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, p.status, p.body)
		}
	}
	if len(w.court.people) != 1 {
		t.Errorf("%d codes", len(w.court.people))
	}
	if again := b.get(authorize); again.title() != "Allow this application?" {
		t.Errorf("the authorization request once more: %d %s", again.status, again.body)
	}
}

// TestNothingIsAnOpenRedirect sends requests that name an address of the attacker in every place.
func TestNothingIsAnOpenRedirect(t *testing.T) {
	w := newWorld(t)
	w.court.answer = func(loginport.Attempt) loginport.BeginAnswer {
		return loginport.BeginAnswer{Refusal: &loginport.Refusal{Code: "invalid_request", Description: "redirect_uri is not one of the client", Reason: "RedirectNotAllowed"}}
	}
	b := w.browser()
	const evil = "https%3A%2F%2Fevil.example"
	for _, path := range []string{
		login.AuthorizePath + "?redirect_uri=" + evil, "/callback/corp?error=access_denied&state=" + evil, "/callback/" + evil + "?code=x&iss=" + evil,
		"//evil.example/", "/%5Cevil.example", "/" + evil, login.ConsentPath + "?to=" + evil,
	} {
		p := b.get(loginURL + path)
		if p.location != "" || p.status < 400 || strings.Contains(p.body, "evil.example") {
			t.Errorf("%s leads to %d %q, or repeats it: %s", path, p.status, p.location, p.body)
		}
	}
}
