// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/axe"
	"github.com/hallpass-dev/hallpass/test/kit/golden"
)

// seed makes a client with everything that a page can show, and an API that it calls.
func seed(t *testing.T, shop, orders string) {
	t.Helper()
	namespace(t, shop)
	namespace(t, orders)
	run(t, "create", "resource", "orders-api", "--namespace", orders, "--display-name", "Orders", "--scopes", "orders.read=Read orders,orders.write=Change and cancel orders", "--to", "web")
	run(t, "grant", "orders-api", "--namespace", orders, "--to", shop, "--scopes", "orders.read")
	run(t, "create", "client", "checkout", "--namespace", shop, "--display-name", "Checkout", "--notes", "Places orders for the web shop. Ask the storefront team before you rotate its secret.",
		"--contacts", "storefront@example.com", "--scopes", "cart,stock", "--access", orders+"/orders-api=orders.read,orders.write", "--rotate-every", "720h")
	run(t, "create", "client", "reporting", "--namespace", shop, "--display-name", "Nightly report", "--scopes", "read")
	run(t, "create", "client", "warehouse", "--namespace", shop, "--service-account", "warehouse", "--scopes", "stock")
	run(t, "create", "client", "kiosk", "--namespace", shop, "--display-name", "Old kiosk", "--scopes", "read")
	run(t, "suspend", "kiosk", "--namespace", shop)
	trust(t, shop+"-ci", "https://ci."+shop+".example.com", shop)
	allowFederation(t, shop)
	run(t, "create", "client", "deploy", "--namespace", shop, "--display-name", "Deployment job", "--issuer", shop+"-ci", "--subject-prefix", "repo:acme/", "--claim", "environment=prod,staging", "--scopes", "deploy")
	run(t, "create", "token", "wall-display", "--namespace", shop, "--client", "reporting", "--expires-in", "30d", "--notes", "Wall display on floor 3")
	run(t, "create", "token", "label-printer", "--namespace", shop, "--client", "checkout", "--expires-in", "6d", "--scopes", "stock", "--notes", "Printer in the dispatch room")
	run(t, "create", "token", "erp-bridge", "--namespace", shop, "--client", "checkout", "--scopes", "cart")
	eventually(t, "all is ready", func() bool { return ready(t, shop) })
}

// allowFederation lets the clients of a namespace authenticate by the JWTs of trusted issuers.
func allowFederation(t *testing.T, namespace string) {
	t.Helper()
	policy := &v1alpha1.OAuth2Policy{ObjectMeta: metav1.ObjectMeta{Name: namespace}, Spec: v1alpha1.OAuth2PolicySpec{
		NamespaceSelector:     v1alpha1.LabelMatch{MatchLabels: map[string]v1alpha1.LabelValue{"kubernetes.io/metadata.name": v1alpha1.LabelValue(namespace)}},
		AuthenticationMethods: []v1alpha1.AuthenticationMethod{v1alpha1.ByClientSecret, v1alpha1.ByServiceAccount, v1alpha1.ByFederatedToken},
	}}
	must(t, shared.Cluster.Create(t.Context(), policy))
	t.Cleanup(func() { must(t, shared.Cluster.Delete(context.Background(), policy)) })
}

// trust creates an issuer that a namespace may use. Its keys are in its spec: one of RFC 8037.
func trust(t *testing.T, name, issuer, namespace string) {
	t.Helper()
	o := &v1alpha1.OAuth2TrustedIssuer{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.OAuth2TrustedIssuerSpec{
		DisplayName: "The CI platform", Issuer: issuer, Uses: []v1alpha1.IssuerUse{v1alpha1.IssuerClient},
		Keys: v1alpha1.IssuerKeysSpec{
			Source: v1alpha1.KeysInline, JWKS: `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		},
		Namespaces: []v1alpha1.IssuerNamespaces{{
			From:            v1alpha1.NamespaceSource{Namespaces: []v1alpha1.NamespaceName{v1alpha1.NamespaceName(namespace)}},
			SubjectPrefixes: []v1alpha1.SubjectPrefix{"repo:acme/"},
			Claims:          []v1alpha1.RequiredClaim{{Name: "environment", Values: []v1alpha1.RequiredValue{"prod", "staging"}}},
		}},
	}}
	must(t, shared.Cluster.Create(t.Context(), o))
	t.Cleanup(func() { must(t, client.IgnoreNotFound(shared.Cluster.Delete(context.Background(), o))) })
}

// pageOf are all pages, and a text that each shows when it is complete.
type pageOf struct{ name, hash, until string }

func pages(shop, orders string) []pageOf {
	return []pageOf{
		{"overview", "#/", "Installation"}, {"clients", "#/clients", "5 clients"}, {"client", "#/clients/" + shop + "/checkout", "Fetch a token with curl"},
		{"new-client", "#/new-client", "Manifest"}, {"new-resource", "#/new-resource", "Manifest"}, {"tokens", "#/tokens", "3 tokens"}, {"resources", "#/resources", "resource"},
		{"resource", "#/resources/" + orders + "/orders-api", "May be called by"},
		{"issuers", "#/issuers", "1 issuer"}, {"issuer", "#/issuers/" + shop + "-ci", "May be named by"}, {"federated", "#/clients/" + shop + "/deploy", "Its JWT has"}, {"keys", "#/keys", "Active"}, {"events", "#/events", "The newest is first"},
	}
}

// TestEveryPageIsAccessible runs axe-core on every page and dialog, light and dark, and looks
// whether anything is wider than a small screen, or than a wide one with large text.
func TestEveryPageIsAccessible(t *testing.T) {
	source := axe.Source(t)
	seed(t, "axe-shop", "axe-orders")
	b := newTab(t)
	b.visit(open(t, "", "--namespace axe-shop"))
	b.Do(chromedp.Evaluate[chromedp.Void](source))
	check := func(where string) {
		t.Helper()
		for _, scheme := range []string{"light", "dark"} {
			b.Size(1280, 900, scheme)
			violations := eval[[]string](b, `axe.run(document).then((r) => (r.passes.length < 10 ? ["nothing was checked"] : []).concat(r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target + " " + n.failureSummary).join("; "))))`)
			for _, v := range violations {
				t.Errorf("%s, %s: %s", where, scheme, v)
			}
		}
	}
	fits := func(where string) {
		t.Helper()
		b.Size(320, 640, "light")
		if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > 320 {
			t.Errorf("%s is %d pixels wide on a screen of 320: %s", where, wide, eval[string](b, `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > 321 && e.checkVisibility()).map((e) => e.tagName + "." + e.className).slice(0, 5).join()`))
		}
		b.Size(1280, 900, "light")
		if wide := eval[int](b, `(() => { document.documentElement.style.fontSize = "200%"; const w = document.documentElement.scrollWidth; document.documentElement.style.fontSize = ""; return w; })()`); wide > 1280 {
			t.Errorf("%s is %d pixels wide with text of 200 %% on a screen of 1280", where, wide)
		}
	}
	for _, page := range pages("axe-shop", "axe-orders") {
		b.to(page.hash, page.until)
		fits(page.name)
		check(page.name)
	}
	b.to("#/new-client", "Manifest")
	b.fill("A JWT of a trusted issuer", "")
	b.see("The subject of its JWT")
	fits("a new client of a trusted issuer")
	check("a new client of a trusted issuer")
	b.forget()
	b.to("#/clients/axe-shop/checkout", "Fetch a token with curl")
	for _, dialog := range []string{"Edit…", "Rotate secret…", "New token…", "Delete…"} {
		b.press(dialog)
		b.Until("a dialog is open", `document.querySelector("dialog[open]") !== null`)
		check(dialog)
		b.press("Cancel")
	}
	b.press("Show Client secret")
	b.Until("it is shown", `document.querySelector("button[aria-pressed=true]") !== null`)
	check("a secret that is shown")
	for _, dialogs := range []struct {
		hash, until string
		names       []string
	}{
		{"#/tokens", "3 tokens", []string{"Revoke a token…", "Revoke a person…", "Revoke all of the namespace…"}},
		{"#/resources/axe-orders/orders-api", "May be called by", []string{"Grant scopes…", "Edit…", "Delete…"}},
	} {
		b.to(dialogs.hash, dialogs.until)
		for _, dialog := range dialogs.names {
			b.press(dialog)
			b.Until("a dialog is open", `document.querySelector("dialog[open]") !== null`)
			check(dialog)
			b.press("Cancel")
		}
	}
	if b.Problems.String() != "" {
		t.Errorf("the browser reports:\n%s", b.Problems)
	}
}

// TestForcedColours has the browser replace all colours by those of the system, as Windows does for
// high contrast: what a colour or a background says has to be there without it.
func TestForcedColours(t *testing.T) {
	seed(t, "forced-shop", "forced-orders")
	b := newTab(t)
	b.Size(1280, 900, "light")
	b.visit(open(t, "", "--namespace forced-shop"))
	b.Media("forced-colors", "active")
	if !eval[bool](b, `matchMedia("(forced-colors: active)").matches`) {
		t.Fatal("the browser does not force colours")
	}
	// A control or a state whose edge was its background alone has none now.
	flat := `[...document.querySelectorAll("main button:not(th button), main .button, input:not([type=radio], [type=checkbox]), select, textarea, .pill, .panel, dialog, pre")].filter((e) => e.checkVisibility()).filter((e) => {
		const s = getComputedStyle(e);
		return e.matches("pre") ? s.color === s.backgroundColor : parseFloat(s.borderTopWidth) < 1 || s.borderTopStyle === "none" || s.borderTopColor === s.backgroundColor;
	}).map((e) => e.tagName + "." + e.className + " " + e.textContent.slice(0, 30))`
	// The dot of a state is a background.
	dots := `[...document.querySelectorAll(".pill")].filter((e) => getComputedStyle(e, "::before").backgroundColor === getComputedStyle(e).backgroundColor).length`
	for _, page := range pages("forced-shop", "forced-orders") {
		b.to(page.hash, page.until)
		if lost := eval[[]string](b, flat); len(lost) > 0 {
			t.Errorf("%s: without an edge: %q", page.name, lost)
		}
		if n := eval[int](b, dots); n > 0 {
			t.Errorf("%s: %d states lose their dot", page.name, n)
		}
		edge := func(which string) string {
			return eval[string](b, `getComputedStyle(document.querySelector("`+which+`")).borderBottomColor`)
		}
		if current := "#pages a[aria-current]"; eval[bool](b, `document.querySelector("`+current+`") !== null`) && edge(current) == edge("#pages a:not([aria-current])") {
			t.Errorf("%s: the current page cannot be told from the others", page.name)
		}
	}
	b.to("#/clients/forced-shop/checkout", "Fetch a token with curl")
	pressed := `(() => { const s = getComputedStyle(document.querySelector('[data-key="show Client secret"]')); return s.borderTopColor + s.outlineStyle; })()`
	before := eval[string](b, pressed)
	b.press("Show Client secret")
	b.Until("it is pressed", `document.querySelector("button[aria-pressed=true]") !== null`)
	if eval[string](b, pressed) == before {
		t.Error("a pressed button looks as one that is not")
	}
	b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-key="Edit…"]').focus()`), chromedp.KeyEvent(kb.Tab))
	if !eval[bool](b, `parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2 && getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
		t.Error("the focus has no ring")
	}
}

// volatile is what differs from run to run.
var volatile = []golden.Volatile{
	{Pattern: regexp.MustCompile(`hp_[a-z2-7]{12}`), Text: "hp_ID"},
	{Pattern: regexp.MustCompile(`\b[a-z2-7]{12}\b`), Text: "ID"},
	{Pattern: regexp.MustCompile(`[A-Z][a-z]{2} \d+, \d{4}, \d+:\d\d [AP]M UTC`), Text: "DATE"},
	{Pattern: regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), Text: "TIME"},
	{Pattern: regexp.MustCompile(`just now|\d+ (second|minute)s? ago|this minute`), Text: "AGO"},
	{Pattern: regexp.MustCompile(`in \d+ (minute|hour|day|month)s?|tomorrow|next month`), Text: "AHEAD"},
	{Pattern: regexp.MustCompile(`(127\.0\.0\.1|localhost):\d+`), Text: "ADDRESS"},
}

// TestTheKeyboard goes through the page of a client and through a form with the keyboard alone, and
// reads pages in the order in which a screen reader does.
func TestTheKeyboard(t *testing.T) {
	seed(t, "keys-shop", "keys-orders")
	b := newTab(t)
	b.Size(1280, 900, "light")
	b.visit(open(t, "", "--namespace keys-shop"))
	b.to("#/clients/keys-shop/checkout", "Fetch a token with curl")
	b.Until("the focus is at the heading", `document.activeElement.tagName === "H1"`)

	golden.Text(t, "keyboard.golden", b.reached(), volatile)

	b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-key="Suspend…"]').focus()`), chromedp.KeyEvent(kb.Enter))
	b.Until("a dialog is open and has the focus", `document.querySelector("dialog[open]")?.contains(document.activeElement)`)
	b.Do(chromedp.KeyEvent(kb.Escape))
	b.Until("the focus is back", `document.querySelector("dialog") === null && document.activeElement.textContent === "Suspend…"`)
	b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-key="show Client secret"]').focus()`), chromedp.KeyEvent(" "))
	b.Until("the secret is shown", `document.activeElement.getAttribute("aria-pressed") === "true"`)
	b.Do(chromedp.KeyEvent(" "))
	b.Until("the secret is hidden", `document.activeElement.getAttribute("aria-pressed") === "false"`)

	golden.Text(t, "reading-order.golden", b.reading(), volatile)

	b.to("#/issuers/keys-shop-ci", "May be named by")
	b.Until("its client is counted", namedByOne)
	golden.Text(t, "reading-order-issuer.golden", b.reading(), volatile)
	b.to("#/new-client", "Manifest")
	b.fill("A JWT of a trusted issuer", "")
	golden.Text(t, "keyboard-new-client.golden", b.reached(), volatile)
}

// namedByOne is that the page of an issuer has counted one client.
const namedByOne = `[...document.querySelectorAll("dt")].some((e) => e.textContent === "Clients that name it" && e.nextSibling.textContent === "1")`

// reached are the controls of a page in the order in which the key Tab reaches them.
func (b tab) reached() string {
	b.T.Helper()
	var reached strings.Builder
	b.Do(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur(), document.body.focus(), scrollTo(0, 0), getSelection().removeAllRanges()`))
	b.Do(chromedp.Evaluate[chromedp.Void](`(() => { const first = document.getElementById("skip"); first.focus(); })()`))
	for range 200 {
		name := eval[string](b, `(() => { const e = document.activeElement; return e === document.body ? "" : e.tagName.toLowerCase() + " " + (e.getAttribute("aria-label") ?? e.labels?.[0]?.textContent ?? e.textContent).trim().slice(0, 60) + (e.matches(":focus-visible") ? "" : " WITHOUT A RING"); })()`)
		if name == "" {
			break
		}
		fmt.Fprintln(&reached, name)
		b.Do(chromedp.KeyEvent(kb.Tab))
	}
	return reached.String()
}

// reading is the page in the order in which a screen reader reads it.
func (b tab) reading() string {
	b.T.Helper()
	result, err := chromedp.Run(b, func(ctx context.Context, target *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
		return cdp.Call(ctx, target, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	})
	must(b.T, err)
	return reading(result.Nodes)
}

// reading are the names of the accessibility tree of the page in their order, without its head,
// with the roles that are read.
func reading(nodes []*accessibility.Node) string {
	byID := map[accessibility.NodeID]*accessibility.Node{}
	for _, n := range nodes {
		byID[n.NodeID] = n
	}
	text := func(v *accessibility.Value) string {
		var s string
		if v == nil || json.Unmarshal(v.Value, &s) != nil {
			return ""
		}
		return s
	}
	var out strings.Builder
	var walk func(n *accessibility.Node)
	walk = func(n *accessibility.Node) {
		role, name := text(n.Role), text(n.Name)
		if !n.Ignored && name != "" && role != "InlineTextBox" && role != "RootWebArea" {
			fmt.Fprintf(&out, "%s: %s\n", role, strings.Join(strings.Fields(name), " "))
		}
		for _, id := range n.ChildIDs {
			if child := byID[id]; child != nil && (role != "button" && role != "link" && role != "heading") {
				walk(child)
			}
		}
	}
	for _, n := range nodes {
		if text(n.Role) == "main" {
			walk(n)
		}
	}
	return out.String()
}

// TestTheLongestNamesFit has names, scopes and texts as long as they may be.
func TestTheLongestNamesFit(t *testing.T) {
	inNamespace, name, scope := strings.Repeat("n", 63), strings.Repeat("a", 253), strings.Repeat("s", 100)
	namespace(t, inNamespace)
	run(t, "create", "resource", name, "--namespace", inNamespace, "--display-name", strings.Repeat("W", 100), "--scopes", scope+"="+strings.Repeat("d", 150), "--to", inNamespace)
	run(t, "create", "client", name, "--namespace", inNamespace, "--scopes", scope, "--access", inNamespace+"/"+name+"="+scope, "--display-name", strings.Repeat("W", 100),
		"--notes", strings.Repeat("x", 1500), "--contacts", strings.Repeat("c", 60)+"@example.com")
	run(t, "create", "token", strings.Repeat("t", 253), "--namespace", inNamespace, "--client", name, "--expires-in", "6d", "--notes", strings.Repeat("n", 200))
	eventually(t, "all is ready", func() bool { return ready(t, inNamespace) })
	b := newTab(t)
	b.visit(open(t, "", "--namespace "+inNamespace))
	for _, page := range []pageOf{
		{"overview", "#/", "Installation"}, {"clients", "#/clients", "1 client"}, {"client", "#/clients/" + inNamespace + "/" + name, "Wrote client secret"}, {"tokens", "#/tokens", "1 token"},
		{"resources", "#/resources", "1 resource"}, {"resource", "#/resources/" + inNamespace + "/" + name, "May be called by"}, {"events", "#/events", "Wrote client secret"},
		{"not there", "#/clients/" + inNamespace + "/" + name[1:], "There is no"}, {"new-client", "#/new-client", "Manifest"},
	} {
		b.to(page.hash, page.until)
		for _, screen := range []struct {
			width        int64
			text, panels string
			// With large text a table scrolls in its panel.
		}{{320, "", ".panel"}, {768, "", ".panel"}, {1280, "", ".panel"}, {1280, "200%", "main"}} {
			b.Size(screen.width, 900, "light")
			wide := eval[string](b, `(() => {
				document.documentElement.style.fontSize = "`+screen.text+`";
				const wide = [document.documentElement, ...document.querySelectorAll("`+screen.panels+`")].filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.tagName + " " + e.clientWidth + " " + e.scrollWidth);
				document.documentElement.style.fontSize = "";
				return wide.join(", ");
			})()`)
			if wide != "" {
				t.Errorf("%s on a screen of %d %s: %s", page.name, screen.width, screen.text, wide)
			}
		}
	}
}
