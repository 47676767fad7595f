// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/chromium"
)

// secretOf is the client secret of a client.
func secretOf(t *testing.T, namespace, name string) string {
	t.Helper()
	var s corev1.Secret
	must(t, shared.Cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &s))
	return string(s.Data["client_secret"])
}

func clientOf(t *testing.T, namespace, name string) *v1alpha1.OAuth2Client {
	t.Helper()
	var c v1alpha1.OAuth2Client
	must(t, shared.Cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &c))
	return &c
}

// markup is the whole page as markup, in which a secret would be found wherever it is.
func (b tab) markup() string {
	b.T.Helper()
	return eval[string](b, `document.documentElement.outerHTML + [...document.querySelectorAll("input, textarea")].map((e) => e.value).join()`)
}

// listens keeps what is copied, because the page may not read the clipboard.
func (b tab) listens() {
	b.T.Helper()
	eval[bool](b, `(() => {
		const write = navigator.clipboard.write.bind(navigator.clipboard);
		navigator.clipboard.write = async (items) => { window.copied = await (await items[0].getType("text/plain")).text(); };
		return true;
	})()`)
}

// TestTheLifeOfAClient is what the manuals of other systems have as screens: register, see the id,
// reveal, copy, change the secret, notes, a token with a date, suspend, revoke, delete.
func TestTheLifeOfAClient(t *testing.T) {
	namespace(t, "life")
	b := newTab(t)
	b.visit(open(t, "edit", "--namespace life"))

	b.press("Clients")
	b.see("No clients yet")
	b.press("New client")
	b.fill("Name", "reporting")
	b.fill("Display name", "Nightly report")
	b.fill("Notes", "Runs at two in the morning")
	b.fill("Contacts", "shop@example.com")
	b.fill("Scopes for the APIs of its own namespace", "read, write")
	b.see("description: Runs at two in the morning")
	b.see("- write")
	b.press("Create client")
	b.see("reporting is registered")
	secret := secretOf(t, "life", "reporting")
	b.see(secret) // once, plainly
	b.see("token_url")

	b.press("Go to the client")
	b.see("Secrets that are accepted")
	b.see("Client secret")
	if strings.Contains(b.markup(), secret) {
		t.Fatal("a masked secret is in the page")
	}
	b.see("hp_" + clientOf(t, "life", "reporting").Status.Credentials[0].ID + "_••••")

	b.press("Show Client secret")
	b.see(secret)
	b.Until("the live region reports it", `document.getElementById("status").textContent.includes("It hides in 30 seconds")`)
	if !b.has("Keep shown") || !eval[bool](b, `document.querySelector("button[aria-pressed=true]") !== null`) {
		t.Error("it cannot be kept shown")
	}
	b.press("Show Client secret")
	b.gone(secret)
	if strings.Contains(b.markup(), secret) {
		t.Error("a hidden secret is still in the page")
	}
	b.listens()
	b.press("Copy Client secret")
	b.Until("it is copied", `window.copied === `+quoted(secret))
	if strings.Contains(b.markup(), secret) {
		t.Error("a secret that was copied is in the page")
	}

	b.press("Rotate secret…")
	b.fill("Refuse the old secret at once", "")
	b.press("Rotate")
	b.see("has the new client secret")
	eventually(t, "there is a new secret", func() bool { return secretOf(t, "life", "reporting") != secret })
	b.see(clientOf(t, "life", "reporting").Status.Credentials[0].ID)

	b.press("Edit…")
	b.fill("Notes", "Runs at three now")
	b.press("Save")
	b.see("Runs at three now")

	b.press("New token…")
	b.fill("Name", "wall-display")
	b.fill("Expires on", time.Now().AddDate(0, 0, 20).UTC().Format(time.DateOnly))
	b.fill("Notes", "Floor 3")
	b.press("Create token")
	b.see("Token wall-display")
	b.press("Show Token")
	b.Until("the token is shown", `/hpt_|eyJ|hp/.test(document.querySelector("dialog code").textContent)`)
	b.press("Close")
	b.see("Floor 3")
	b.see("never")
	b.press("Delete token wall-display…")
	b.fill("Type the name wall-display", "another")
	b.press("Delete")
	b.see("type the name")
	b.fill("Type the name wall-display", "wall-display")
	b.press("Delete")
	b.gone("Floor 3")

	b.press("Suspend…")
	b.press("Suspend")
	b.see("Suspended")
	b.press("Resume")
	b.Until("it is ready again", `document.querySelector("main .title .pill").textContent === "Ready"`)
	b.press("Revoke tokens…")
	b.press("Revoke tokens")
	eventually(t, "the tokens are revoked", func() bool { return clientOf(t, "life", "reporting").Spec.RevokeTokensIssuedBefore != nil })
	b.see("are revoked")

	b.press("Delete…")
	b.fill("Type the name reporting", "reporting")
	b.press("Delete")
	b.see("No clients yet")
	eventually(t, "it is deleted", func() bool {
		return apierrors.IsNotFound(shared.Cluster.Get(t.Context(), client.ObjectKey{Namespace: "life", Name: "reporting"}, &v1alpha1.OAuth2Client{}))
	})
	if b.Problems.String() != "" {
		t.Errorf("the browser reports:\n%s", b.Problems)
	}
}

// TestRestrictingAnAPI grants scopes to a namespace and takes them away.
func TestRestrictingAnAPI(t *testing.T) {
	namespace(t, "caller")
	namespace(t, "owner")
	run(t, "create", "resource", "orders-api", "--namespace", "owner", "--scopes", "orders.read=Read orders,orders.write=Change orders")
	run(t, "create", "client", "invoices", "--namespace", "caller", "--access", "owner/orders-api=orders.read")
	b := newTab(t)
	b.visit(open(t, "", "--namespace owner"))
	b.to("#/clients/caller/invoices", "does not grant the scope")
	b.see("kubectl hallpass grant orders-api --namespace owner --to caller --scopes orders.read")
	b.to("#/resources", "orders-api")
	b.press("orders-api")
	b.see("No client: nothing is granted.")
	b.press("Grant scopes…")
	b.fill("Namespace of the clients", "caller")
	b.fill("orders.read", "")
	b.press("Grant")
	b.see("clients of namespace caller")
	b.to("#/clients/caller/invoices", "Granted")
	b.to("#/resources/owner/orders-api", "clients of namespace caller")
	b.press("Take away from caller…")
	b.press("Take away")
	b.see("No client: nothing is granted.")
}

// TestTheLifeOfAnAPI declares an API by its form, changes its scopes and consents, and deletes it.
func TestTheLifeOfAnAPI(t *testing.T) {
	namespace(t, "api-life")
	b := newTab(t)
	b.visit(open(t, "edit", "--namespace api-life"))
	b.to("#/resources", "No APIs are declared here")
	b.press("New API")
	b.fill("Name", "Not A Name")
	b.press("Create API")
	b.see("Name: ")
	b.fill("Name", "orders-api")
	b.fill("Display name", "Orders")
	b.fill("Scope", "orders.read")
	b.fill("Meaning", "Read orders, also old ones")
	b.fill("Namespaces whose clients may have all scopes", "web")
	b.see("description: Read orders, also old ones")
	b.see("- web")
	b.press("Create API")
	b.see("clients of namespace web")
	b.see("Read orders, also old ones")

	edited := func() v1alpha1.OAuth2ResourceSpec {
		var r v1alpha1.OAuth2Resource
		must(t, shared.Cluster.Get(t.Context(), client.ObjectKey{Namespace: "api-life", Name: "orders-api"}, &r))
		return r.Spec
	}
	b.press("Edit…")
	b.press("Add another scope")
	b.Until("there is another row", `document.querySelectorAll("dialog [data-row]").length === 2`)
	b.typeInto(`dialog [data-row]:last-child input`, "orders.write")
	b.press("Save")
	b.Until("it is saved", `document.querySelector("dialog") === null`)
	b.see("orders.write")
	if scopes := edited().Scopes; len(scopes) != 2 || scopes[1].Name != "orders.write" {
		t.Errorf("the scopes are %v", scopes)
	}
	b.press("Edit…")
	b.typeInto(`dialog [data-row]:first-child input`, "")
	b.typeInto(`dialog [data-row]:first-child .field:last-child input`, "")
	b.press("Save")
	b.see("still gives the scope")
	b.press("Cancel")
	b.press("Take away from web…")
	b.press("Take away")
	b.see("No client: nothing is granted.")
	b.press("Grant scopes…")
	b.fill("Namespace of the clients", "shop")
	b.fill("orders.write", "")
	b.press("Grant")
	b.see("clients of namespace shop")
	if grants := edited().Grants; len(grants) != 1 || grants[0].From.Namespaces[0] != "shop" {
		t.Errorf("the grants are %v", grants)
	}
	b.press("Delete…")
	b.fill("Type the name orders-api", "orders")
	b.press("Delete")
	b.see("type the name")
	b.fill("Type the name orders-api", "orders-api")
	b.press("Delete")
	b.see("No APIs are declared here")
	if b.Problems.String() != "" {
		t.Errorf("the browser reports:\n%s", b.Problems)
	}
}

// TestAClientOfATrustedIssuer is registered by an editor, who may not read the issuer, and seen by
// an administrator.
func TestAClientOfATrustedIssuer(t *testing.T) {
	namespace(t, "jobs")
	trust(t, "jobs-ci", "https://ci.jobs.example.com", "jobs")
	allowFederation(t, "jobs")
	b := newTab(t)
	b.visit(open(t, "edit", "--namespace jobs"))
	b.to("#/issuers", "only administrators of the cluster may read trusted issuers")
	b.to("#/new-client", "Manifest")
	b.fill("Name", "deploy")
	b.fill("A JWT of a trusted issuer", "")
	b.see("Name the trusted issuer of the JWTs")
	b.fill("Trusted issuer", "jobs-ci")
	b.see("every workload of the issuer could authenticate")
	b.fill("Begins with", "")
	b.fill("Subject (sub)", "repo:acme/")
	b.fill("Claim", "environment")
	b.fill("One of the values", "prod, staging")
	b.see("subjectPrefix: repo:acme/")
	b.see("- staging")
	b.press("Create client")
	b.see("deploy is registered")
	b.see("its workload sends a JWT of the issuer jobs-ci")
	b.press("Go to the client")
	b.see("a sub that begins with")
	for _, name := range []string{"Rotate secret…", "Show Client secret", "jobs-ci"} {
		if b.has(name) {
			t.Errorf("%s is offered", name)
		}
	}
	federated := clientOf(t, "jobs", "deploy").Spec.Authentication.FederatedToken
	if federated.SubjectPrefix != "repo:acme/" || len(federated.Claims) != 1 || len(federated.Claims[0].Values) != 2 {
		t.Errorf("it authenticates by %+v", federated)
	}

	admin := newTab(t)
	admin.visit(open(t, "", "--namespace jobs"))
	admin.to("#/new-client", "Manifest")
	admin.fill("A JWT of a trusted issuer", "")
	admin.Until("the issuers can be chosen", `[...document.querySelectorAll("select option")].some((o) => o.value === "jobs-ci")`)
	admin.forget()
	admin.to("#/clients/jobs/deploy", "Its JWT has")
	admin.press("jobs-ci")
	admin.see("clients of namespace jobs")
	admin.see("environment \"prod\" or \"staging\"")
	admin.Until("one client names it", namedByOne)
	var issuer v1alpha1.OAuth2TrustedIssuer
	must(t, shared.Cluster.Get(t.Context(), client.ObjectKey{Name: "jobs-ci"}, &issuer))
	change := client.MergeFrom(issuer.DeepCopy())
	issuer.Spec.State = v1alpha1.IssuerSuspended
	must(t, shared.Cluster.Patch(t.Context(), &issuer, change))
	admin.see("its JWTs are refused") // without a reload
	admin.see("kubectl patch hpi jobs-ci")
	admin.to("#/clients/jobs/deploy", "Its issuer jobs-ci is not ready, reason Suspended.")
	admin.to("#/issuers", "1 issuer")
	if b.Problems.String()+admin.Problems.String() != "" {
		t.Errorf("the browser reports:\n%s%s", b.Problems, admin.Problems)
	}
}

// TestRevokingInTheConsole revokes a token that was found somewhere, and all of a namespace: as an
// editor of the namespace, and as an administrator of the cluster.
func TestRevokingInTheConsole(t *testing.T) {
	namespace(t, "leak")
	run(t, "create", "client", "reporting", "--namespace", "leak", "--scopes", "read")
	eventually(t, "it is ready", func() bool { return ready(t, "leak") })
	found := strings.TrimSpace(output(t, "token", "reporting", "--namespace", "leak", "--no-cache"))
	b := newTab(t)
	b.visit(open(t, "edit", "--namespace leak"))
	b.to("#/tokens", "No tokens were handed out")
	b.press("Revoke a token…")
	b.fill("Token", "hpt_nonsense")
	b.press("Revoke")
	b.see("That is no whole token")
	b.fill("Token", "Bearer "+found)
	b.press("Revoke")
	b.see("The token of client reporting in namespace leak is revoked.")
	if strings.Contains(b.markup(), found) {
		t.Error("a token that was pasted is in the page")
	}
	b.press("Revoke all of the namespace…")
	b.fill("Type the name leak", "shop")
	b.press("Revoke all")
	b.see("Nothing is revoked: type the name")
	if clientOf(t, "leak", "reporting").Spec.RevokeTokensIssuedBefore != nil {
		t.Error("tokens are revoked although the name is wrong")
	}
	b.fill("Type the name leak", "leak")
	b.press("Revoke all")
	b.see("All tokens that were issued in namespace leak so far are revoked.")
	if clientOf(t, "leak", "reporting").Spec.RevokeTokensIssuedBefore == nil {
		t.Error("an editor has not revoked the tokens of the client")
	}

	if b.has("Revoke a person…") {
		t.Error("an editor of a namespace is offered to revoke a person")
	}

	admin := newTab(t)
	admin.visit(open(t, "", "--namespace leak"))
	admin.to("#/tokens", "No tokens were handed out")
	admin.press("Revoke a person…")
	admin.fill("Person", "corp/someone")
	admin.press("Revoke")
	admin.see("is no person")
	admin.fill("Person", "user:corp:00u1")
	admin.press("Revoke")
	admin.see("All tokens that act for user:corp:00u1 and were issued so far are revoked.")
	admin.press("Revoke all of the namespace…")
	admin.fill("Type the name leak", "leak")
	admin.press("Revoke all")
	admin.see("All tokens that were issued in namespace leak so far are revoked.")
	var revocations v1alpha1.TokenRevocationList
	must(t, shared.Cluster.List(t.Context(), &revocations))
	if !slices.ContainsFunc(revocations.Items, func(r v1alpha1.TokenRevocation) bool { return r.Spec.Selector.Subject == "user:corp:00u1" }) {
		t.Error("there is no TokenRevocation of the person")
	}
	if !slices.ContainsFunc(revocations.Items, func(r v1alpha1.TokenRevocation) bool { return r.Spec.Selector.Namespace == "leak" }) {
		t.Error("an administrator has created no TokenRevocation")
	}
}

// TestAUserWithoutRights sees no secret and no button that does something.
func TestAUserWithoutRights(t *testing.T) {
	namespace(t, "rights")
	run(t, "create", "client", "reporting", "--namespace", "rights", "--scopes", "read")
	run(t, "create", "resource", "api", "--namespace", "rights", "--scopes", "read", "--to", "web")
	eventually(t, "it has a secret", func() bool { return clientOf(t, "rights", "reporting").Status.Secret.Name != "" })
	forbidden := []string{"New client", "Edit…", "Rotate secret…", "Suspend…", "Revoke tokens…", "Delete…", "New token…", "Show Client secret", "Copy Client secret"}
	for _, c := range []struct{ name, user, flags string }{{"view", "view", ""}, {"an administrator with --read-only", "", " --read-only"}} {
		t.Run(c.name, func(t *testing.T) {
			b := newTab(t)
			b.visit(open(t, c.user, "--namespace rights"+c.flags))
			b.to("#/clients", "1 client")
			b.to("#/clients/rights/reporting", "May call")
			offered := forbidden
			if c.user == "" { // reading a secret changes nothing
				offered = forbidden[:7]
				b.see("read-only")
			} else {
				b.see("You may not read the Secret of this client")
			}
			for _, name := range offered {
				if b.has(name) {
					t.Errorf("%s is offered", name)
				}
			}
			for _, p := range []struct {
				hash, until string
				names       []string
			}{
				{"#/tokens", "No tokens were handed out", []string{"Revoke a token…", "Revoke all of the namespace…"}},
				{"#/resources", "1 resource", []string{"New API"}},
				{"#/resources/rights/api", "May be called by", []string{"Grant scopes…", "Edit…", "Delete…", "Take away from web…"}},
				{"#/new-resource", "New API", []string{"Create API"}}, {"#/new-client", "New client", []string{"Create client"}},
			} {
				b.to(p.hash, p.until)
				for _, name := range p.names {
					if b.has(name) {
						t.Errorf("%s: %s is offered", p.hash, name)
					}
				}
			}
			if strings.Contains(b.markup(), secretOf(t, "rights", "reporting")) {
				t.Error("the secret is in the page")
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		b := newTab(t)
		c := open(t, "nobody", "--namespace rights")
		b.Do(navigate(c))
		b.see("The role view of the namespace is enough; ask its administrator")
		b.to("#/clients", "The role view of the namespace is enough")
		b.to("#/keys", "an administrator of the cluster alone can list them")
	})
}

// TestTextIsNoMarkup fills every field that people write with markup, and checks every page.
func TestTextIsNoMarkup(t *testing.T) {
	namespace(t, "markup")
	must(t, shared.Cluster.Create(t.Context(), &v1alpha1.OAuth2Resource{
		ObjectMeta: meta1("markup", "api"), Spec: v1alpha1.OAuth2ResourceSpec{
			DisplayName: attack, Scopes: []v1alpha1.ResourceScope{{Name: "read", Description: attack}},
			Grants: []v1alpha1.ResourceGrant{{From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{"markup"}}, Scopes: []v1alpha1.Scope{"read"}}},
		},
	}))
	c := &v1alpha1.OAuth2Client{
		ObjectMeta: meta1("markup", "client"), Spec: v1alpha1.OAuth2ClientSpec{
			DisplayName: attack, Description: attack, Contacts: []v1alpha1.Contact{attackByLink}, Scopes: []v1alpha1.Scope{"read"},
			Access: []v1alpha1.Access{{ResourceNamespace: "markup", ResourceName: "api", Scopes: []v1alpha1.Scope{"read"}}},
		},
	}
	c.Annotations = map[string]string{"note": attack}
	must(t, shared.Cluster.Create(t.Context(), c))
	must(t, shared.Cluster.Create(t.Context(), &v1alpha1.OAuth2Token{
		ObjectMeta: meta1("markup", "token"), Spec: v1alpha1.OAuth2TokenSpec{ClientRef: v1alpha1.LocalClientReference{Name: "client"}, Mode: v1alpha1.TokenRefreshing, Description: attack},
	}))
	must(t, shared.Cluster.Create(t.Context(), &corev1.Event{
		ObjectMeta: meta1("markup", "event"), Reason: "Attack", Message: attack, Type: corev1.EventTypeWarning, Source: corev1.EventSource{Component: "test"},
		InvolvedObject: corev1.ObjectReference{APIVersion: "hallpass.dev/v1alpha1", Kind: "OAuth2Client", Namespace: "markup", Name: "client", UID: clientOf(t, "markup", "client").UID},
	}))
	eventually(t, "all has settled", func() bool { return ready(t, "markup") })
	b := newTab(t)
	b.visit(open(t, "", "--namespace markup"))
	for _, page := range []struct{ hash, until string }{
		{"#/", "Nothing needs attention"}, {"#/clients", "1 client"}, {"#/clients/markup/client", attack}, {"#/tokens", "1 token"}, {"#/resources", "1 resource"},
		{"#/resources/markup/api", attack}, {"#/events", attack}, {"#/clients?q=" + attack, "1 client"}, {"#/" + attack, "There is no such page"}, {"#/clients/markup/%3Cimg%20src%3Dx%3E", "cannot be the name"},
	} {
		b.to(page.hash, page.until)
		if eval[bool](b, `window.hacked !== undefined || document.querySelector("main img, main script, main iframe, main [onerror], main [onmouseover]") !== null || [...document.links].some((a) => a.protocol === "javascript:")`) {
			t.Errorf("%s: text has become markup:\n%s", page.hash, b.markup())
		}
	}
	if b.Problems.String() != "" {
		t.Errorf("the browser reports:\n%s", b.Problems)
	}
}

// TestTheDoor opens links as the owner of the machine does, and as others would.
func TestTheDoor(t *testing.T) {
	namespace(t, "door")
	run(t, "create", "client", "reporting", "--namespace", "door")
	c := open(t, "", "--namespace door")
	text, err := os.ReadFile(c.link)
	must(t, err)
	b := newTab(t)
	b.visit(c)
	origin, token := eval[string](b, `location.origin`), eval[string](b, `sessionStorage.getItem("hallpass-console-token")`)
	if address := eval[string](b, `location.href`); strings.Contains(address, "code") || strings.Contains(address, token) {
		t.Errorf("the address is %s", address)
	}
	if eval[string](b, `document.cookie`) != "" || eval[int](b, `localStorage.length`) != 0 {
		t.Error("the page has left something in a cookie or in localStorage")
	}
	if said := c.terminal.String(); strings.Contains(said, token) || strings.Contains(said, "code=") {
		t.Errorf("the terminal has the token: %s", said)
	}
	b.Do(reload())
	b.see("Overview")

	// A copy of the link that was made meanwhile, and the bare address.
	stolen := t.TempDir() + "/link.html"
	must(t, os.WriteFile(stolen, text, 0o600))
	other := newTab(t)
	other.Do(navigate(console{link: stolen}))
	other.see("This link was used before")
	eventually(t, "the terminal reports it", func() bool { return strings.Contains(c.terminal.String(), "a second time") })
	other.Do(navigateTo(origin + "/"))
	other.see("This page is not open")
	other.Do(navigate(console{link: c.enter()}))
	other.see("Overview")

	// Another server of this machine, such as one for development that was taken over.
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><title>evil</title><iframe src="`+origin+`/"></iframe>`)
	}))
	t.Cleanup(evil.Close)
	attacker := newTab(t)
	attacker.Do(navigateTo(evil.URL))
	for _, attempt := range []string{
		`fetch("ORIGIN/api/session", {headers: {Authorization: "Bearer TOKEN"}})`, `fetch("ORIGIN/api/session")`, `fetch("ORIGIN/scripts/main.js")`,
		`fetch("ORIGIN/api/clients/door/reporting/delete", {method: "POST", body: '{"name":"reporting"}', headers: {"Content-Type": "application/json", Authorization: "Bearer TOKEN"}})`,
	} {
		attempt = strings.NewReplacer("ORIGIN", origin, "TOKEN", token).Replace(attempt)
		if got := eval[string](attacker, attempt+`.then((r) => "answered with " + r.status, () => "refused")`); got != "refused" {
			t.Errorf("%s: %s", attempt, got)
		}
	}
	// Without CORS nothing can be read; what can be sent blindly changes nothing.
	eval[string](attacker, `fetch("`+origin+`/api/clients/door/reporting/suspend", {method: "POST", mode: "no-cors", body: "{}"}).then(() => "sent", () => "refused")`)
	if state := clientOf(t, "door", "reporting").Spec.State; state != "" {
		t.Errorf("the client is %s", state)
	}
	if framed := eval[int](attacker, `(() => { try { return frames[0].document.body.children.length } catch { return 0 } })()`); framed != 0 {
		t.Error("the page is in a frame")
	}
}

// TestWhatChangesMeanwhile changes and deletes objects while a page shows them.
func TestWhatChangesMeanwhile(t *testing.T) {
	namespace(t, "meanwhile")
	namespace(t, "elsewhere")
	run(t, "create", "client", "reporting", "--namespace", "meanwhile", "--scopes", "read")
	run(t, "create", "client", "far", "--namespace", "elsewhere", "--scopes", "read")
	run(t, "create", "resource", "api", "--namespace", "meanwhile", "--scopes", "read", "--to", "meanwhile")
	run(t, "create", "token", "display", "--namespace", "meanwhile", "--client", "reporting", "--expires-in", "60d")
	eventually(t, "all is ready", func() bool { return ready(t, "meanwhile") && ready(t, "elsewhere") })
	b := newTab(t)
	b.visit(open(t, "", "--namespace meanwhile"))

	b.to("#/clients/elsewhere/far", "May call")
	run(t, "set", "client", "far", "--namespace", "elsewhere", "--notes", "News from elsewhere")
	b.see("News from elsewhere")

	b.to("#/new-client", "Manifest")
	b.fill("Name", "half-typed")
	b.choose("elsewhere")
	b.press("Stay here")
	b.see("name: half-typed")
	if kept := eval[string](b, `document.getElementById("namespace").value + " " + document.querySelector("form input").value`); kept != "meanwhile half-typed" {
		t.Errorf("after staying there are %q", kept)
	}
	b.choose("elsewhere")
	b.press("Leave")
	b.see("In namespace elsewhere")
	b.choose("meanwhile")

	b.to("#/tokens", "1 token")
	b.press("Show token display…")
	b.see("It is in the Secret")
	run(t, "delete", "token", "display", "--namespace", "meanwhile", "--yes")
	b.press("Close")
	b.see("No tokens were handed out")

	b.to("#/clients/meanwhile/reporting", "May call")
	secret := secretOf(t, "meanwhile", "reporting")
	b.press("Show Client secret")
	b.press("Keep shown")
	b.see(secret)
	run(t, "delete", "client", "reporting", "--namespace", "meanwhile", "--yes")
	b.see(`There is no OAuth2Client "reporting"`)
	if strings.Contains(b.markup(), secret) {
		t.Error("the secret of a client that was deleted is shown")
	}
	b.press("Go to clients")
	b.see("No clients yet")

	b.to("#/resources/meanwhile/api", "May be called by")
	b.press("Grant scopes…")
	run(t, "delete", "resource", "api", "--namespace", "meanwhile", "--yes")
	b.see(`There is no OAuth2Resource "api"`)
	b.press("Cancel")
	if b.Problems.String() != "" {
		t.Errorf("the browser reports:\n%s", b.Problems)
	}
}

// TestManyTabs opens more tabs than a browser has connections to one address.
func TestManyTabs(t *testing.T) {
	namespace(t, "tabs")
	browser, err := oneChromium()
	if err != nil {
		chromium.Missing(t, err)
	}
	window, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	c := open(t, "", "--namespace tabs")
	first := tab{chromium.Open(window, t, 5*time.Minute)}
	first.visit(c)
	first.to("#/clients", "No clients yet")
	hide := func(b tab, hidden bool) {
		b.Do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
			`Object.defineProperty(document, "hidden", { value: %v, configurable: true }); document.dispatchEvent(new Event("visibilitychange"))`, hidden)))
	}
	hide(first, true) // a browser without a window shows all of its tabs
	for range 8 {
		ctx, cancel := chromedp.NewContext(window)
		t.Cleanup(cancel)
		b := tab{chromium.Open(ctx, t, 5*time.Minute)}
		b.Do(chromedp.Navigate("file://" + c.enter()))
		b.see("Nothing needs attention")
		hide(b, true)
	}
	run(t, "create", "client", "reporting", "--namespace", "tabs")
	hide(first, false)
	first.see("1 client")
	run(t, "set", "client", "reporting", "--namespace", "tabs", "--display-name", "Nightly report")
	first.see("Nightly report")
}
