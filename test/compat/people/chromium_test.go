// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package people_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"golang.org/x/oauth2"

	"github.com/hallpass-dev/hallpass/test/kit/chromium"
)

// TestAPersonLogsInWithChromium goes from a web application to the provider and back, through the
// port of login and with nothing in its place, on a screen of 390 pixels.
func TestAPersonLogsInWithChromium(t *testing.T) {
	logInWithChromium(t, zitadelScene(t))
}

func logInWithChromium(t *testing.T, s *scene) {
	t.Helper()
	for name, script := range map[string]bool{"with script": true, "without script": false} {
		t.Run(name, func(t *testing.T) {
			c := s.openChromium(t)
			c.Size(390, 844, "light")
			if !script {
				c.withoutScript()
			}
			c.Do(chromedp.Navigate("https://portal.example.com/"))
			c.see(s.namespace + ".web")
			c.see("Read your orders")
			if wide, err := chromedp.Run(c, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); err != nil || wide > 390 {
				t.Errorf("the page is %d pixels wide on a screen of 390: %v", wide, err)
			}
			if problems := c.Problems.String(); problems != "" {
				t.Errorf("the browser reports %s", problems)
			}
			c.press(`[...document.querySelectorAll("button")].find((e) => e.textContent.trim() === "Allow")`)
			for field, typed := range s.provider.Typed {
				c.Until("there is a field "+field, fmt.Sprintf(`(() => { const e = document.querySelector('input[name=%s]'); if (e) e.value = %q; return e !== null; })()`, field, typed))
			}
			c.press(`document.querySelector('input[name=password]').form.querySelector('[type=submit]')`)
			c.see("Welcome " + s.person())
			if cookies, err := chromedp.Run(c, chromedp.Evaluate[string](`document.cookie`)); err != nil || cookies != "" {
				t.Errorf("the application sees the cookies %q, %v", cookies, err)
			}

			c.Do(chromedp.Navigate("https://portal.example.com/"))
			c.press(`[...document.querySelectorAll("button")].find((e) => e.textContent.trim() === "Refuse")`)
			c.see("You are not logged in: access_denied")
		})
	}
}

// chrome is a Chromium that finds the hosts of the test.
type chrome struct{ chromium.Tab }

// openChromium starts a Chromium, and a web application that is the client web.
func (s *scene) openChromium(t *testing.T) chrome {
	t.Helper()
	config, ctx := s.config(t, "web", webBack)
	verifier := oauth2.GenerateVerifier()
	portal := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		switch {
		case r.URL.Path != "/callback":
			http.Redirect(w, r, s.authorization(config, verifier), http.StatusSeeOther)
			return
		case query.Get("state") != "the-state" || query.Get("iss") != shared.Hallpass.Issuer.String():
			t.Errorf("the application is sent %v", query)
		case query.Has("error"):
			_, _ = fmt.Fprintf(w, "<!DOCTYPE html><title>portal</title><p>You are not logged in: %s", html.EscapeString(query.Get("error")))
			return
		}
		token, err := config.Exchange(ctx, query.Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Errorf("the code is not redeemed: %v", err)
			return
		}
		_, _ = fmt.Fprintf(w, "<!DOCTYPE html><title>portal</title><p>Welcome %v", s.introspect(t, token.AccessToken)["sub"])
	}))
	t.Cleanup(portal.Close)
	rules := []string{"MAP portal.example.com:443 " + portal.Listener.Addr().String()}
	for _, host := range []string{"login.example.com", s.provider.Name + ".example.com"} {
		rules = append(rules, "MAP "+host+":443 "+network.Local(host))
	}
	browser, stop, err := chromium.Start(context.Background(), chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", strings.Join(append(rules, "MAP * ~NOTFOUND"), ",")))
	if err != nil {
		chromium.Missing(t, err)
	}
	t.Cleanup(stop)
	return chrome{chromium.Open(browser, t, 3*time.Minute)}
}

// withoutScript switches scripts off.
func (c chrome) withoutScript() {
	c.T.Helper()
	c.Do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return chromedp.Void{}, err
	})
}

func (c chrome) see(text string) {
	c.T.Helper()
	c.Until("the page shows "+text, fmt.Sprintf("document.body?.innerText.includes(%q)", text))
}

// press waits for an element, and presses it.
func (c chrome) press(element string) {
	c.T.Helper()
	c.Until("there is "+element, fmt.Sprintf(`(() => { const e = %s; e?.click(); return Boolean(e); })()`, element))
}
