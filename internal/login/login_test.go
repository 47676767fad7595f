// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/login"
	"github.com/hallpass-dev/hallpass/internal/loginport"
)

func TestAPersonLogsIn(t *testing.T) {
	w := newWorld(t)
	b := w.browser()

	asked := b.get(authorize)
	if asked.status != http.StatusOK {
		t.Fatalf("the authorization endpoint answers %d %s", asked.status, asked.body)
	}
	for _, text := range []string{
		"Shop reports", "shop.app", "<code>shop</code>", "Orders API", "<code>https://hallpass.example.com/resources/orders/api</code>", "app.example.net", "Read your orders", "orders.write", "orders.admin",
		"Example Corp", "corp.example.org", ">Allow<", ">Refuse<",
	} {
		if !strings.Contains(asked.body, text) {
			t.Errorf("the consent page lacks %q", text)
		}
	}
	if diff := cmp.Diff([]string{strings.TrimPrefix(authorize, loginURL+login.AuthorizePath+"?")}, w.court.queries); diff != "" {
		t.Errorf("the token server gets another query (-want +got):\n%s", diff)
	}
	if set := asked.header.Values("Set-Cookie"); len(set) != 1 || !strings.HasPrefix(set[0], "__Host-hallpass-") ||
		!strings.HasSuffix(set[0], "; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax") {
		t.Errorf("cookies: %q", set)
	}
	if w.corp.Asked() != 0 {
		t.Error("the provider was asked before the person consented")
	}

	left := b.do(http.MethodPost, loginURL+login.ConsentPath, asked.form(t, "allow"))
	to, err := url.Parse(left.onward(t))
	must(t, err)
	sent := to.Query()
	if got := to.Scheme + "://" + to.Host + to.Path; got != corpURL+"/authorize" {
		t.Errorf("the person is sent to %s", got)
	}
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "hallpass", "redirect_uri": loginURL + "/callback/corp", "scope": "openid email", "code_challenge_method": "S256", "prompt": "",
	} {
		if got := sent.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if len(sent.Get("code_challenge")) != 43 || len(sent.Get("nonce")) != 43 || len(sent.Get("state")) != 16+1+22 {
		t.Errorf("the request has %v", sent)
	}

	finished := b.get(b.get(to.String()).location)
	back, err := url.Parse(finished.location)
	must(t, err)
	if finished.status != http.StatusSeeOther || !strings.HasPrefix(finished.location, appURL+"?") ||
		!strings.HasPrefix(back.Query().Get("code"), codeMarker) || back.Query().Get("state") != appState || back.Query().Get("iss") != hallpass {
		t.Errorf("the person is sent to the client with %d %s", finished.status, finished.location)
	}
	if diff := cmp.Diff([]string{"alice"}, w.court.people); diff != "" {
		t.Errorf("who got a code (-want +got):\n%s", diff)
	}
	if left := b.cookies(); len(left) != 0 {
		t.Errorf("cookies are left: %v", left)
	}
}

// The address of docs/migrate.md, at the path of another server.
func TestTheAuthorizationEndpointHasAliases(t *testing.T) {
	page, err := os.ReadFile("../../docs/migrate.md")
	must(t, err)
	if !strings.Contains(string(page), "login --authorization-endpoint-alias="+webMethodsAuthorize+"\n") {
		t.Error("the page has another alias")
	}
	address := regexp.MustCompile(`(?m)^https://LOGIN(/\S+)$`).FindStringSubmatch(string(page))
	if address == nil {
		t.Fatal("the page has no address of the authorization endpoint")
	}
	for name, value := range map[string]string{"ID": "shop.app", "REDIRECT": url.QueryEscape(appURL), "SCOPE": "orders.read", "STATE": appState, "CHALLENGE": "x"} {
		address[1] = strings.ReplaceAll(address[1], "="+name, "="+value)
	}
	w := newWorld(t)
	path, query, _ := strings.Cut(address[1], "?")
	if asked := w.browser().get(loginURL + address[1]); path != webMethodsAuthorize || asked.title() != "Allow this application?" {
		t.Errorf("%s answers %d %s", path, asked.status, asked.body)
	}
	if diff := cmp.Diff([]string{query}, w.court.queries); diff != "" {
		t.Errorf("the token server gets another query (-want +got):\n%s", diff)
	}
}

func TestConsentIsNotAskedWhereItIsNotNeeded(t *testing.T) {
	w := newWorld(t)
	w.court.attempt.Consent.Needed = false
	b := w.browser()
	sent := b.get(authorize)
	if sent.status != http.StatusSeeOther || !strings.HasPrefix(sent.location, corpURL+"/authorize?") {
		t.Fatalf("the person is sent to %d %s", sent.status, sent.location)
	}
	if finished := b.get(b.get(sent.location).location); !strings.HasPrefix(finished.location, appURL+"?code=") {
		t.Errorf("%d %s", finished.status, finished.location)
	}
}

func TestThePersonChoosesAnotherAccount(t *testing.T) {
	b := newWorld(t).browser()
	form := b.get(authorize).form(t, "allow")
	form.Set("again", "yes")
	if to := b.do(http.MethodPost, loginURL+login.ConsentPath, form).onward(t); !strings.Contains(to, "&prompt=login&") {
		t.Errorf("the person is sent to %s", to)
	}
}

func TestThePersonRefuses(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	left := b.do(http.MethodPost, loginURL+login.ConsentPath, b.get(authorize).form(t, "refuse"))
	if to := left.onward(t); to != appURL+"?error=access_denied&iss=https%3A%2F%2Fhallpass.example.com&state="+appState {
		t.Errorf("the person is sent to %s", to)
	}
	if diff := cmp.Diff([]loginport.Ended{loginport.PersonRefused}, w.court.ended); diff != "" || len(b.cookies()) != 0 || w.corp.Asked() != 0 {
		t.Errorf("the attempt goes on (-want +got):\n%s", diff)
	}
}

// TestEachTabHasAnAttempt begins several logins in one browser and finishes all of them.
func TestEachTabHasAnAttempt(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	first, second := b.toProvider(), b.toProvider()
	for _, callback := range []string{second, first} {
		if finished := b.get(callback); finished.status != http.StatusSeeOther {
			t.Errorf("%d %s", finished.status, finished.body)
		}
	}
	if len(w.court.people) != 2 || len(b.cookies()) != 0 {
		t.Errorf("%d logins, and cookies %v", len(w.court.people), b.cookies())
	}
}

func TestABrowserHasABoundedNumberOfAttempts(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	oldest := b.get(authorize)
	for range 20 {
		if p := b.get(authorize); p.status != http.StatusOK {
			t.Fatalf("%d %s", p.status, p.body)
		}
	}
	if n := len(b.cookies()); n != 8 {
		t.Errorf("the browser has %d attempts", n)
	}
	if p := b.do(http.MethodPost, loginURL+login.ConsentPath, oldest.form(t, "allow")); p.title() != "This sign-in has ended" {
		t.Errorf("the oldest attempt: %d %s", p.status, p.body)
	}
	if finished := b.get(b.toProvider()); finished.status != http.StatusSeeOther {
		t.Errorf("the newest attempt: %d %s", finished.status, finished.body)
	}

	// The longest tickets fill the room that all cookies have together.
	b = w.browser()
	w.court.answer = func(a loginport.Attempt) loginport.BeginAnswer {
		a.Ticket += loginport.Opaque(strings.Repeat("x", loginport.MaxTicketBytes-len(a.Ticket)))
		w.court.attempts[a.Ticket] = a
		return loginport.BeginAnswer{Attempt: &a}
	}
	for range 5 {
		b.get(authorize)
	}
	size := 0
	for name, value := range b.cookies() {
		size += len(name) + len(value)
		if len(name)+len(value) > 4096 {
			t.Errorf("a cookie of %d bytes is more than browsers keep", len(name)+len(value))
		}
	}
	if size > 10<<10 || size < 6<<10 {
		t.Errorf("the cookies have %d bytes", size)
	}
	if finished := b.get(b.toProvider()); finished.status != http.StatusSeeOther {
		t.Errorf("an attempt with the longest ticket: %d %s", finished.status, finished.body)
	}
}

// TestNothingSecretIsLogged goes through logins that succeed and fail, and looks for what was
// marked.
func TestNothingSecretIsLogged(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	callback := b.toProvider()
	values := []string{"marker-"}
	for _, value := range b.cookies() {
		values = append(values, strings.Split(value, ":")[1:4]...)
	}
	b.get(callback)
	b.get(callback)
	w.court.err = &loginport.UnavailableError{}
	b.get(authorize)
	w.court.err = errAway
	b.get(authorize)
	text := w.log.String()
	if strings.Count(text, "\n") < 6 || !strings.Contains(text, `"client_id":"shop.app"`) || !strings.Contains(text, `"issuer_name":"corp"`) {
		t.Errorf("the log is %s", text)
	}
	for _, value := range values {
		if strings.Contains(text, value) {
			t.Errorf("the log has %q: %s", value, text)
		}
	}
}
