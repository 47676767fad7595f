// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/test/kit/axe"
	"github.com/hallpass-dev/hallpass/test/kit/chromium"
)

// chrome is a Chromium with the names of a test, and with cookies of its own.
type chrome struct{ chromium.Tab }

// open starts a Chromium that finds the hosts of the test, and an application that is the client.
func (w *world) open() chrome {
	w.t.Helper()
	app := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(rw, "<!DOCTYPE html><title>app</title><p>Welcome to the application, code: %t, error: %s.", r.URL.Query().Has("code"), r.URL.Query().Get("error")) //nolint:gosec // the application of a test
	}))
	w.t.Cleanup(app.Close)
	w.network.Add("app.example.net", app.Listener.Addr().String())
	var rules []string
	for _, host := range []string{"example.com", "corp.example.org", "app.example.net"} {
		rules = append(rules, "MAP "+host+":443 "+w.network.Local(host))
	}
	ctx, stop, err := chromium.Start(context.Background(), chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", strings.Join(append(rules, "MAP * ~NOTFOUND"), ",")))
	if err != nil {
		chromium.Missing(w.t, err)
	}
	w.t.Cleanup(stop)
	return chrome{chromium.Open(ctx, w.t, 3*time.Minute)}
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

func (c chrome) press(name string) {
	c.T.Helper()
	c.Until("there is a button or a link "+name, fmt.Sprintf(`(() => { const found = [...document.querySelectorAll("button, a")].find((e) => e.textContent.trim() === %q); found?.click(); return found !== undefined; })()`, name))
}

func TestAPersonLogsInWithChromium(t *testing.T) {
	for name, script := range map[string]bool{"with script": true, "without script": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.open()
			c.Size(390, 844, "light")
			if !script {
				c.withoutScript()
			}
			c.Do(chromedp.Navigate(authorize))
			c.see("Shop reports")
			if wide, err := chromedp.Run(c, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); err != nil || wide > 390 {
				t.Errorf("the page is %d pixels wide on a screen of 390: %v", wide, err)
			}
			c.press("Allow")
			c.see("Welcome to the application, code: true")

			c.Do(chromedp.Navigate(authorize))
			c.press("Refuse")
			c.see("Welcome to the application, code: false, error: access_denied")
			if len(w.court.people) != 1 || c.Problems.String() != "" {
				t.Errorf("%d logins, and the browser reports %s", len(w.court.people), c.Problems)
			}
		})
	}
}

// TestTheBackButtonOfChromium: the page with the refresh is not in the history, and the consent
// page is asked for anew.
func TestTheBackButtonOfChromium(t *testing.T) {
	w := newWorld(t)
	c := w.open()
	c.Do(chromedp.Navigate(authorize))
	c.press("Allow")
	c.see("Welcome to the application, code: true")
	_, _ = chromedp.Run(c, chromedp.Evaluate[bool](`(history.back(), true)`))
	c.see("Allow this application?")
	c.press("Allow")
	c.see("Welcome to the application, code: true")
	if len(w.court.people) != 2 {
		t.Errorf("%d logins", len(w.court.people))
	}
}

// TestEachPageIsAccessible runs axe-core on the pages, light and dark, and looks whether anything
// is wider than a small screen. HALLPASS_PICTURES names a folder for screenshots.
func TestEachPageIsAccessible(t *testing.T) {
	source := axe.Source(t)
	w := newWorld(t)
	c := w.open()
	for name, address := range map[string]string{"consent": authorize, "nothing": loginURL + "/", "gone": loginURL + "/callback/corp?state=x", "refused": authorize} {
		w.court.answer = nil
		if name == "refused" {
			w.court.answer = func(loginport.Attempt) loginport.BeginAnswer {
				return loginport.BeginAnswer{Refusal: &loginport.Refusal{Code: "invalid_request", Description: "redirect_uri is not one of the client; compare it byte for byte", Reason: "RedirectNotAllowed"}}
			}
		}
		c.Do(chromedp.Navigate(address))
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{1440, 390, 320} {
				c.Size(width, 900, scheme)
				if dir := os.Getenv("HALLPASS_PICTURES"); dir != "" && width > 320 {
					picture, err := chromedp.Run(c, chromedp.FullScreenshot(100))
					must(t, err)
					must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("login-%s-%d-%s.png", name, width, scheme)), picture, 0o600))
				}
				if wide, err := chromedp.Run(c, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`)); err != nil || wide > width {
					t.Errorf("%s is %d pixels wide on a screen of %d: %v", name, wide, width, err)
				}
			}
			violations, err := chromedp.Run(c, chromedp.Evaluate[[]string](source+`; axe.run(document).then((r) => (r.passes.length < 8 ? ["nothing was checked"] : []).concat(r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target + " " + n.failureSummary).join("; "))))`, chromedp.EvalAwaitPromise))
			must(t, err)
			for _, v := range violations {
				t.Errorf("%s, %s: %s", name, scheme, v)
			}
		}
	}
}
