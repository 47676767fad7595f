// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// movedClock is the clock of a page that a test moves by passTime: timers of ten seconds and more
// wait for it, and shorter ones are the browser's.
const movedClock = `(() => {
	const later = window.setTimeout.bind(window), never = window.clearTimeout.bind(window), now = Date.now;
	const waiting = new Map();
	let passed = 0, id = 1e9;
	const wait = (call, delay, every) => { waiting.set(++id, { at: passed + delay, call, every }); return id; };
	window.setTimeout = (call, delay = 0, ...args) => delay < 10_000 ? later(call, delay, ...args) : wait(() => call(...args), delay, 0);
	window.setInterval = (call, delay, ...args) => wait(() => call(...args), delay, delay);
	window.clearTimeout = window.clearInterval = (one) => { if (!waiting.delete(one)) never(one); };
	Date.now = () => now() + passed;
	window.passTime = (span) => {
		const end = passed + span;
		for (;;) {
			const [one, timer] = [...waiting].sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
			if (!timer || timer.at > end) break;
			passed = Math.max(passed, timer.at);
			if (timer.every) timer.at += timer.every;
			else waiting.delete(one);
			timer.call();
		}
		passed = end;
	};
})()`

// moved gives the pages of a tab a clock that the test moves.
func (b tab) moved() {
	b.T.Helper()
	b.Do(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: movedClock})
		return chromedp.Void{}, err
	})
}

// pass lets time pass on the page.
func (b tab) pass(d time.Duration) {
	b.T.Helper()
	eval[bool](b, fmt.Sprintf(`(passTime(%d), true)`, d.Milliseconds()))
}

// TestASecretHidesAgain moves the clock of the page: after 30 seconds a secret is gone from it,
// unless its user keeps it shown.
func TestASecretHidesAgain(t *testing.T) {
	namespace(t, "hides")
	run(t, "create", "client", "reporting", "--namespace", "hides", "--scopes", "read")
	eventually(t, "it is ready", func() bool { return ready(t, "hides") })
	secret := secretOf(t, "hides", "reporting")
	b := newTab(t)
	b.moved()
	b.visit(open(t, "", "--namespace hides"))
	b.to("#/clients/hides/reporting", "Fetch a token with curl")

	b.press("Show Client secret")
	b.see(secret)
	b.Until("the live region reports it", `document.getElementById("status").textContent === "Client secret shown. It hides in 30 seconds."`)
	if role := eval[string](b, `document.getElementById("status").getAttribute("role")`); role != "status" {
		t.Errorf("the live region has the role %q", role)
	}
	b.pass(30*time.Second - time.Millisecond)
	if !strings.Contains(b.markup(), secret) {
		t.Fatal("it is hidden before 30 seconds are over")
	}
	eval[bool](b, `(document.querySelector('[data-key="keep Client secret"]').focus(), true)`)
	b.pass(time.Millisecond)
	b.Until("the live region reports the end", `document.getElementById("status").textContent === "Client secret hidden."`)
	if strings.Contains(b.markup(), secret) {
		t.Error("a secret that is hidden is in the page")
	}
	if !eval[bool](b, `document.activeElement.dataset.key === "show Client secret" && document.activeElement.getAttribute("aria-pressed") === "false"`) {
		t.Error("the focus is lost with the button that it was on")
	}

	b.press("Show Client secret")
	b.see(secret)
	b.press("Keep shown")
	b.Until("the live region reports it", `document.getElementById("status").textContent.includes("stays shown until you hide it")`)
	b.pass(time.Hour)
	if !strings.Contains(b.markup(), secret) {
		t.Error("it is hidden although it was to be kept shown")
	}
	b.press("Show Client secret")
	b.gone(secret)
	if strings.Contains(b.markup(), secret) {
		t.Error("a secret that is hidden is in the page")
	}
}

// clock is the clock of a console.
type clock struct {
	mu   sync.Mutex
	gone time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.gone)
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone += d
}

// TestTheIdleEnd moves the clocks of a console and of its page: it warns of the end, and of a form
// that was not sent, can be kept, and ends.
func TestTheIdleEnd(t *testing.T) {
	namespace(t, "idle")
	var server clock
	b := newTab(t)
	b.moved()
	c := openAt(t, shared.Plane.Kubeconfig(), "--namespace idle --idle 10m", server.now)
	b.visit(c)
	b.to("#/new-client", "Manifest")
	// as time passes for both
	pass := func(d time.Duration) {
		server.pass(d)
		b.pass(d)
	}
	// waits until the server has answered as many requests to stay: one that arrives after its
	// clock has moved puts the end off by more
	stays := func(n int) {
		t.Helper()
		b.Until(fmt.Sprintf("the server has answered %d requests to stay", n),
			fmt.Sprintf(`performance.getEntriesByType("resource").filter((e) => e.name.endsWith("/api/stay")).length === %d`, n))
	}
	warning := `document.querySelector("#notices [role=alert]")?.textContent ?? ""`

	pass(7 * time.Minute)
	b.Until("the page has asked when the end is", asked)
	if text := eval[string](b, warning); text != "" {
		t.Errorf("three minutes before the end: %s", text)
	}
	pass(70 * time.Second)
	b.Until("it warns", `(`+warning+`).includes("It ends in about 2 min.")`)
	if text := eval[string](b, warning); strings.Contains(text, "A form") {
		t.Errorf("no form has entries: %s", text)
	}
	eval[bool](b, holdSession)
	pass(20 * time.Second)
	b.Until("the server has answered when the end is", `window.answered === true`)
	b.press("Stay")
	b.Until("the warning is gone", `(`+warning+`) === ""`)
	eval[bool](b, `(release(), true)`)
	b.Until("the page has asked when the end is", asked)
	if text := eval[string](b, warning); text != "" {
		t.Errorf("an answer from before the end was put off warns of it: %s", text)
	}

	b.fill("Name", "half-written")
	stays(2) // of the typing
	pass(9 * time.Minute)
	b.Until("it warns of the form", `(`+warning+`).includes("A form on this page has entries that were not sent")`)
	b.press("Stay")
	b.Until("the warning is gone", `(`+warning+`) === ""`)
	stays(3)
	pass(7 * time.Minute)
	b.Until("the page has asked when the end is", asked)
	if text := eval[string](b, warning); text != "" {
		t.Errorf("the end was not put off: %s", text)
	}

	server.pass(5 * time.Minute)
	eventually(t, "the console ends", func() bool { return strings.Contains(c.terminal.String(), "was not used for 10m0s") })
	b.pass(time.Minute)
	b.Until("the page reports the end", `(`+warning+`).includes("The console has ended") && (`+warning+`).includes("Copy what you have typed")`)
	if typed := eval[string](b, `document.querySelector("[data-key=name]").value`); typed != "half-written" {
		t.Errorf("the form has lost its entries: %q", typed)
	}
}

// holdSession keeps the next answer of when the end is from the page, until release is called.
const holdSession = `(() => {
	const send = window.fetch;
	window.fetch = async (...call) => {
		const answer = await send(...call);
		if (String(call[0]).includes("/api/session") && !window.answered) {
			window.answered = true;
			await new Promise((resolve) => { window.release = resolve; });
		}
		return answer;
	};
	return true;
})()`

// asked waits for an answer that was sent after those of the page.
const asked = `fetch("/api/session", { headers: { Authorization: "Bearer " + sessionStorage.getItem("hallpass-console-token"), "Hallpass-Background": "1" } }).then((r) => r.ok)`
