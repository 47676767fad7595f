// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package console_test uses the console of kubectl hallpass as its users do: in a real browser,
// with a real API server, a manager and a token server, and the rights of several users.
package console_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
	"github.com/hallpass-dev/hallpass/test/kit/chromium"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

var (
	shared *world.World

	must, eventually = world.Must, world.Eventually
)

func TestMain(m *testing.M) {
	world.Main(world.Options{}, func(_ context.Context, w *world.World) (int, error) {
		shared = w
		return m.Run(), nil
	})
}

// synced is a buffer that two goroutines use.
type synced struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *synced) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *synced) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// console is one that runs.
type console struct {
	// link is the file that the browser was opened with.
	link string
	// terminal is what was printed.
	terminal *synced
	// enter presses Enter in the terminal, and returns the next link.
	enter func() string
}

// open starts a console for a user, who is an administrator if the name is empty.
func open(t *testing.T, user, line string) console {
	t.Helper()
	if user != "" {
		line += " --as " + user + " --as-group system:authenticated"
	}
	return openWith(t, shared.Plane.Kubeconfig(), line)
}

// openWith starts a console with a kubeconfig.
func openWith(t *testing.T, kubeconfig, line string) console {
	t.Helper()
	return openAt(t, kubeconfig, line, time.Now)
}

// openAt starts a console with a clock.
func openAt(t *testing.T, kubeconfig, line string, now func() time.Time) console {
	t.Helper()
	args := append([]string{"console", "--kubeconfig", kubeconfig}, strings.Fields(line)...)
	ctx, cancel := context.WithCancel(t.Context())
	links := make(chan string, 1)
	typed, keyboard := io.Pipe()
	terminal := &synced{}
	ended := make(chan int, 1)
	go func() {
		ended <- app.Run(ctx, args, app.Environment{
			IOStreams: genericiooptions.IOStreams{In: typed, Out: io.Discard, ErrOut: terminal}, Version: "v0.0.0-test", CacheDir: t.TempDir(),
			Terminal: func() bool { return true }, Now: now,
			Browse: func(_ context.Context, file string) error {
				links <- file
				return nil
			},
		})
	}()
	t.Cleanup(func() {
		cancel()
		_ = keyboard.Close()
		<-ended
	})
	link := func() string {
		select {
		case file := <-links:
			return file
		case code := <-ended:
			ended <- code
			t.Fatalf("the console has ended with %d: %s", code, terminal)
		case <-time.After(2 * time.Minute):
			t.Fatalf("no browser was opened: %s", terminal)
		}
		return ""
	}
	return console{link: link(), terminal: terminal, enter: func() string {
		_, err := keyboard.Write([]byte("\n"))
		must(t, err)
		return link()
	}}
}

// oneChromium is one that the tests share; each has a context of its own in it. It ends with the
// process.
var oneChromium = sync.OnceValues(func() (context.Context, error) {
	ctx, _, err := chromium.Start(context.Background())
	return ctx, err
})

// tab is a tab of the browser.
type tab struct{ chromium.Tab }

// newTab opens a tab with cookies and storage of its own.
func newTab(t *testing.T) tab {
	t.Helper()
	browser, err := oneChromium()
	if err != nil {
		chromium.Missing(t, err)
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	return tab{chromium.Open(ctx, t, 10*time.Minute)}
}

// visit opens a console and waits for its first page.
func (b tab) visit(c console) {
	b.T.Helper()
	b.Do(chromedp.Navigate("file://" + c.link))
	b.see("Overview")
}

// to goes to a page of the console.
func (b tab) to(hash, until string) {
	b.T.Helper()
	b.Do(chromedp.Evaluate[chromedp.Void](`location.hash = ` + quoted(hash)))
	b.see(until)
}

// eval evaluates an expression of JavaScript; promises are waited for.
func eval[T any](b tab, expression string) T {
	b.T.Helper()
	value, err := chromedp.Run(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise, func(p *runtime.EvaluateParams) { p.UserGesture = new(true) }))
	if err != nil {
		b.T.Fatalf("%s: %v\n%s", expression, err, b.Text())
	}
	return value
}

// see waits until the page shows a text.
func (b tab) see(text string) {
	b.T.Helper()
	b.Until("the page shows "+text, `document.body?.innerText.includes(`+quoted(text)+`)`)
}

// gone waits until the page does not show a text.
func (b tab) gone(text string) {
	b.T.Helper()
	b.Until("the page does not show "+text, `!document.body?.innerText.includes(`+quoted(text)+`)`)
}

// press clicks the button or the link of a name, in the dialog if one is open.
func (b tab) press(name string) {
	b.T.Helper()
	b.Until("there is a button or a link "+name, `(() => {
		const inside = document.querySelector("dialog[open]") ?? document.body;
		const found = [...inside.querySelectorAll("button, a, summary")].find((e) => (e.getAttribute("aria-label") ?? e.textContent).trim() === `+quoted(name)+` && e.checkVisibility() && !e.disabled);
		found?.click();
		return found !== undefined;
	})()`)
}

// has reports whether there is a button or a link of a name.
func (b tab) has(name string) bool {
	b.T.Helper()
	return eval[bool](b, `[...document.querySelectorAll("button, a")].some((e) => (e.getAttribute("aria-label") ?? e.textContent).trim() === `+quoted(name)+` && e.checkVisibility())`)
}

// fill types into the field of a label, in the dialog if one is open.
func (b tab) fill(label, value string) {
	b.T.Helper()
	b.Until("there is a field "+label, `(() => {
		const inside = document.querySelector("dialog[open]") ?? document.body;
		const found = [...inside.querySelectorAll("label")].find((e) => e.textContent.trim() === `+quoted(label)+`);
		const control = found && document.getElementById(found.htmlFor);
		if (!control) return false;
		if (control.type === "checkbox" || control.type === "radio") { control.click(); return true; }
		control.focus();
		control.value = `+quoted(value)+`;
		control.dispatchEvent(new Event("input", { bubbles: true }));
		control.dispatchEvent(new Event("change", { bubbles: true }));
		return true;
	})()`)
}

// choose chooses a namespace at the top of the page.
func (b tab) choose(namespace string) {
	b.T.Helper()
	b.Do(chromedp.Evaluate[chromedp.Void](`(() => {
		const control = document.getElementById("namespace");
		control.value = ` + quoted(namespace) + `;
		control.dispatchEvent(new Event("change"));
	})()`))
}

// forget lets the page be left although its form was not sent.
func (b tab) forget() {
	b.T.Helper()
	b.Do(chromedp.Evaluate[chromedp.Void](`for (const form of document.querySelectorAll("form")) delete form.dataset.dirty`))
}

// typeInto types into the field that a selector finds.
func (b tab) typeInto(selector, value string) {
	b.T.Helper()
	b.Until("there is a field "+selector, `(() => {
		const control = document.querySelector(`+quoted(selector)+`);
		if (!control) return false;
		control.value = `+quoted(value)+`;
		control.dispatchEvent(new Event("input", { bubbles: true }));
		return true;
	})()`)
}

// quoted is a text as JavaScript writes it.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}

// namespace creates a namespace in which users have the roles of their names.
func namespace(t *testing.T, name string) {
	t.Helper()
	must(t, shared.Cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	for _, role := range []string{"view", "edit"} {
		must(t, shared.Cluster.Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role, Namespace: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: role}},
		}))
	}
}

// run types a command of the plugin, as an administrator.
func run(t *testing.T, line ...string) {
	t.Helper()
	output(t, line...)
}

// output is what a command of the plugin prints.
func output(t *testing.T, line ...string) string {
	t.Helper()
	var out, problems bytes.Buffer
	code := app.Run(t.Context(), append(line, "--kubeconfig", shared.Plane.Kubeconfig()), app.Environment{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &problems}, CacheDir: t.TempDir(),
	})
	if code != app.ExitOK {
		t.Fatalf("%s: %s", strings.Join(line, " "), &problems)
	}
	return out.String()
}

// ready reports whether all clients and tokens of a namespace have settled.
func ready(t *testing.T, namespace string) bool {
	t.Helper()
	var clients v1alpha1.OAuth2ClientList
	var tokens v1alpha1.OAuth2TokenList
	must(t, shared.Cluster.List(t.Context(), &clients, client.InNamespace(namespace)))
	must(t, shared.Cluster.List(t.Context(), &tokens, client.InNamespace(namespace)))
	for i := range clients.Items {
		if meta.FindStatusCondition(clients.Items[i].Status.Conditions, v1alpha1.ConditionReady) == nil {
			return false
		}
	}
	for i := range tokens.Items {
		if !meta.IsStatusConditionTrue(tokens.Items[i].Status.Conditions, v1alpha1.ConditionReady) {
			return false
		}
	}
	return true
}
