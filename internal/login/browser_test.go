// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/test/kit/axe"
)

// chrome is a Chromium with the names of a test, and with cookies of its own.
type chrome struct {
	context.Context //nolint:containedctx // chromedp finds the tab by it

	t *testing.T
	// problems are what the browser reports, such as violations of the policy.
	problems *synced
}

// open starts a Chromium that finds the hosts of the test, and an application that is the client.
func (w *world) open() chrome {
	w.t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			w.t.Fatal(err)
		}
		w.t.Skip("Chromium cannot be started, which apt-get install chromium installs")
	}
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
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("lang", "en-GB"), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", strings.Join(append(rules, "MAP * ~NOTFOUND"), ",")))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	w.t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	w.t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	w.t.Cleanup(cancel)
	c := chrome{ctx, w.t, &synced{}}
	must(w.t, chromedp.Do(ctx))
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return // the tab is closed
			}
			if m.IsException() || m.Source == "security" {
				_, _ = io.WriteString(c.problems, m.Text+"\n")
			}
		}
	}()
	return c
}

func (c chrome) do(actions ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	if err := chromedp.Do(c, actions...); err != nil {
		c.t.Fatalf("%v\n%s", err, c.text())
	}
}

// size makes the window as large, light or dark.
func (c chrome) size(width, height int64, scheme string) {
	c.t.Helper()
	c.do(chromedp.EmulateViewport(width, height))
	c.do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return chromedp.Void{}, err
	})
}

// withoutScript switches scripts off.
func (c chrome) withoutScript() {
	c.t.Helper()
	c.do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return chromedp.Void{}, err
	})
}

func (c chrome) text() string {
	// it is for a message
	text, _ := chromedp.Run(c, chromedp.Evaluate[string](`document.body?.innerText ?? ""`))
	return text
}

// until waits until an expression is true. While the tab goes to another page there may be no
// document.
func (c chrome) until(expression string) {
	c.t.Helper()
	for end := time.Now().Add(60 * time.Second); ; {
		done, err := chromedp.Run(c, chromedp.Evaluate[bool](`Boolean(`+expression+`)`, chromedp.EvalAwaitPromise))
		if err == nil && done {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("not so after a long time: %s: %v\n%s\n%s", expression, err, c.text(), c.problems)
		}
	}
}

func (c chrome) see(text string) {
	c.t.Helper()
	c.until(fmt.Sprintf("document.body?.innerText.includes(%q)", text))
}

func (c chrome) press(name string) {
	c.t.Helper()
	c.until(fmt.Sprintf(`(() => { const found = [...document.querySelectorAll("button, a")].find((e) => e.textContent.trim() === %q); found?.click(); return found !== undefined; })()`, name))
}

func TestAPersonLogsInWithChromium(t *testing.T) {
	for name, script := range map[string]bool{"with script": true, "without script": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.open()
			c.size(390, 844, "light")
			if !script {
				c.withoutScript()
			}
			c.do(chromedp.Navigate(authorize))
			c.see("Shop reports")
			if wide, err := chromedp.Run(c, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); err != nil || wide > 390 {
				t.Errorf("the page is %d pixels wide on a screen of 390: %v", wide, err)
			}
			c.press("Allow")
			c.see("Welcome to the application, code: true")

			c.do(chromedp.Navigate(authorize))
			c.press("Refuse")
			c.see("Welcome to the application, code: false, error: access_denied")
			if len(w.court.people) != 1 || c.problems.String() != "" {
				t.Errorf("%d logins, and the browser reports %s", len(w.court.people), c.problems)
			}
		})
	}
}

// TestTheBackButtonOfChromium: the page with the refresh is not in the history, and the consent
// page is asked for anew.
func TestTheBackButtonOfChromium(t *testing.T) {
	w := newWorld(t)
	c := w.open()
	c.do(chromedp.Navigate(authorize))
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
		c.do(chromedp.Navigate(address))
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{1440, 390, 320} {
				c.size(width, 900, scheme)
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
