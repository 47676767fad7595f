// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
)

// authority is an authorization server at which people log in, as the token server and login are
// one from outside. It answers at once, as for a person who has a session at the provider.
type authority struct {
	*httptest.Server

	// answer changes the redirect of the authorization endpoint, and metadata the document.
	answer   func(url.Values)
	metadata func(map[string]any)
	// refresh is the error code of the refresh grant; empty for none.
	refresh string
	rotates bool
	none    bool // no refresh tokens

	mu       sync.Mutex
	codes    map[string]url.Values
	issued   int
	calls    []string
	revoked  []string
	asked    url.Values
	sentAuth bool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{codes: map[string]url.Values{}, rotates: true}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		document := map[string]any{
			"issuer": a.URL, "authorization_endpoint": a.URL + "/oauth2/authorize", "token_endpoint": a.URL + "/oauth2/token", "revocation_endpoint": a.URL + "/oauth2/revoke",
			"code_challenge_methods_supported": []string{"S256"}, "authorization_response_iss_parameter_supported": true,
		}
		if a.metadata != nil {
			a.metadata(document)
		}
		_ = json.NewEncoder(w).Encode(document)
	})
	mux.HandleFunc("GET /oauth2/authorize", a.authorize)
	mux.HandleFunc("POST /oauth2/token", a.token)
	mux.HandleFunc("POST /oauth2/revoke", func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.calls = append(a.calls, "revoke")
		a.revoked = append(a.revoked, r.PostFormValue("client_id")+" "+r.PostFormValue("token"))
		w.WriteHeader(http.StatusOK)
	})
	a.Server = httptest.NewTLSServer(mux)
	t.Cleanup(a.Close)
	return a
}

func (a *authority) authorize(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	query := r.URL.Query()
	a.asked = query
	code := fmt.Sprintf("code-%d", len(a.codes))
	a.codes[code] = query
	answer := url.Values{"code": {code}, "state": query["state"], "iss": {a.URL}}
	if a.answer != nil {
		a.answer(answer)
	}
	w.Header().Set("Location", query.Get("redirect_uri")+"?"+answer.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

// token redeems a code once, by the redirect URI and the verifier of its request, and refreshes.
func (a *authority) token(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = r.ParseForm()
	form := r.PostForm
	a.calls = append(a.calls, form.Get("grant_type"))
	_, _, a.sentAuth = r.BasicAuth()
	refuse := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":%q,"error_description":"for a test"}`, code)
	}
	scope := "read write"
	switch form.Get("grant_type") {
	case "authorization_code":
		begun, found := a.codes[form.Get("code")]
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		if !found || begun.Get("redirect_uri") != form.Get("redirect_uri") || begun.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) ||
			begun.Get("client_id") != form.Get("client_id") || begun.Get("resource") != form.Get("resource") {
			refuse("invalid_grant")
			return
		}
		delete(a.codes, form.Get("code"))
		if begun.Get("scope") != "" {
			scope = "read"
		}
	case "refresh_token":
		if a.refresh != "" || form.Get("refresh_token") != fmt.Sprintf("refresh-%d", a.issued) {
			refuse(a.refresh)
			return
		}
	default:
		refuse("unsupported_grant_type")
		return
	}
	a.issued++
	claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iss":"https://hallpass.example.com","sub":"user:corp:alice","client_id":"shop.cli","aud":"https://orders.example.com","exp":1,"jti":"%d"}`, a.issued))
	answer := map[string]any{"access_token": "e30." + claims + ".c2ln", "token_type": "Bearer", "expires_in": 3600, "scope": scope}
	switch {
	case a.none:
	case a.rotates:
		answer["refresh_token"] = fmt.Sprintf("refresh-%d", a.issued)
	case form.Get("grant_type") == "authorization_code":
		answer["refresh_token"] = fmt.Sprintf("refresh-%d", a.issued)
	default:
		a.issued-- // the token of the login stays the one that counts
	}
	body, err := json.Marshal(answer)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = w.Write(body)
}

// desk is a machine with a kubeconfig of a cluster that has one client and its ConfigMap.
type desk struct {
	*authority

	kubeconfig, cache string
	spec              map[string]any
	now               time.Time
	// browse is the browser.
	browse func(ctx context.Context, address string) error
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{
		authority: newAuthority(t), cache: t.TempDir(), now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC),
		spec: map[string]any{
			"grantTypes": []string{"AuthorizationCode"}, "redirectURIs": []string{"https://app.example.com/cb", "http://127.0.0.1/callback"},
			"authentication": map[string]any{"method": "None"}, "scopes": []string{"read"},
		},
	}
	client := func() map[string]any {
		return map[string]any{
			"apiVersion": "hallpass.dev/v1alpha1", "kind": "OAuth2Client", "metadata": map[string]any{"name": "cli", "namespace": "shop", "uid": "uid-1"},
			"spec": d.spec, "status": map[string]any{"clientID": "shop.cli", "configMap": map[string]any{"name": "cli"}},
		}
	}
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/apis/hallpass.dev/v1alpha1/namespaces/shop/oauth2clients/cli":
			_ = json.NewEncoder(w).Encode(client())
		case "/apis/hallpass.dev/v1alpha1/namespaces/shop/oauth2clients":
			_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "hallpass.dev/v1alpha1", "kind": "OAuth2ClientList", "items": []any{client()}})
		case "/api/v1/namespaces/shop/configmaps/cli":
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw})
			_ = json.NewEncoder(w).Encode(map[string]any{
				"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "cli", "namespace": "shop"},
				"data": map[string]string{"client_id": "shop.cli", "issuer_url": d.URL, "token_url": d.URL + "/oauth2/token", "ca.crt": string(ca)},
			})
		case "/apis/authentication.k8s.io/v1/selfsubjectreviews":
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview","status":{"userInfo":{"username":"alice"}}}`))
		case "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","status":{"allowed":true}}`))
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"details":{"name":"x"}}`))
		}
	}))
	t.Cleanup(cluster.Close)
	d.kubeconfig = kubeconfig(t, cluster.URL, &clientcmdapi.AuthInfo{})
	d.browse = d.follow
	return d
}

// follow opens a URL as a browser does, and follows its redirects.
func (d *desk) follow(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := d.Client().Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// run runs a command line at the desk.
func (d *desk) run(t *testing.T, line string) (code int, out, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var output, problems bytes.Buffer
	code = app.Run(ctx, append(strings.Fields(line), "--kubeconfig", d.kubeconfig), app.Environment{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &output, ErrOut: &problems}, CacheDir: d.cache,
		Now: func() time.Time { return d.now }, Open: d.browse,
	})
	return code, output.String(), problems.String()
}

// files are those that the commands keep.
func (d *desk) files(t *testing.T) (found []string) {
	t.Helper()
	err := filepath.WalkDir(d.cache, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want 0600", path, info, err)
		}
		found = append(found, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAPersonLogsInUsesATokenAndLogsOut(t *testing.T) {
	d := newDesk(t)
	code, out, said := d.run(t, "login cli")
	if code != app.ExitOK || out != "" || !strings.Contains(said, "You are logged in as user:corp:alice at client shop/cli, with the scopes read write.") {
		t.Fatalf("login: exit %d: %s%s", code, out, said)
	}
	if d.asked.Get("client_id") != "shop.cli" || d.asked.Get("code_challenge_method") != "S256" || d.asked.Get("response_type") != "code" || len(d.asked.Get("state")) < 43 ||
		!strings.HasPrefix(d.asked.Get("redirect_uri"), "http://127.0.0.1:") || !strings.HasSuffix(d.asked.Get("redirect_uri"), "/callback") || d.asked.Has("scope") {
		t.Errorf("the authorization request is %v", d.asked)
	}
	if d.sentAuth {
		t.Error("a public client sends Basic")
	}
	if len(d.files(t)) != 1 {
		t.Errorf("files: %q", d.files(t))
	}
	code, first, said := d.run(t, "token cli")
	if code != app.ExitOK || !strings.HasPrefix(first, "e30.") || said != "" {
		t.Fatalf("token: exit %d: %s", code, said)
	}
	code, who, said := d.run(t, "whoami")
	if code != app.ExitOK || !strings.Contains(who, "You are logged in as\n  user:corp:alice at client shop/cli for https://orders.example.com with read write, until 2026-11-30T13:00:00Z and renewed by token\n") {
		t.Errorf("whoami: exit %d: %s%s", code, who, said)
	}
	_, document, _ := d.run(t, "whoami --output json")
	for _, secret := range []string{strings.TrimSpace(first), "refresh-1"} {
		if strings.Contains(who+document, secret) {
			t.Errorf("whoami prints a token: %s%s", who, document)
		}
	}

	d.now = d.now.Add(59*time.Minute + 45*time.Second)
	if code, second, said := d.run(t, "token cli"); code != app.ExitOK || second == first {
		t.Fatalf("token after its end: exit %d: %s%s", code, second, said)
	}
	if code, _, said := d.run(t, "token cli --no-cache"); code != app.ExitOK {
		t.Fatalf("token --no-cache: exit %d: %s", code, said)
	}
	if want := []string{"authorization_code", "refresh_token", "refresh_token"}; !slices.Equal(d.calls, want) {
		t.Errorf("the token endpoint got %q, want %q", d.calls, want)
	}
	code, _, said = d.run(t, "logout")
	if code != app.ExitOK || said != "Ended 1 login.\nDeleted 0 tokens from this machine.\n" || len(d.revoked) != 1 || d.revoked[0] != "shop.cli refresh-3" {
		t.Errorf("logout: exit %d: %s, revoked %q", code, said, d.revoked)
	}
	if len(d.files(t)) != 0 {
		t.Errorf("after logout: %q", d.files(t))
	}
	if code, _, said := d.run(t, "token cli"); code != app.ExitFailed || !strings.Contains(said, "you are not logged in at client \"cli\" for this: kubectl hallpass login cli --namespace shop") {
		t.Errorf("token after logout: exit %d: %s", code, said)
	}
}

func TestALoginIsForAResourceAndItsScopes(t *testing.T) {
	d := newDesk(t)
	code, _, said := d.run(t, "login cli --resource https://orders.example.com --scope read,admin")
	if code != app.ExitOK || !strings.Contains(said, "Not granted: admin.") || d.asked.Get("scope") != "read admin" || d.asked.Get("resource") != "https://orders.example.com" {
		t.Fatalf("login: exit %d: %s, %v", code, said, d.asked)
	}
	const line = "token cli --namespace shop --resource https://orders.example.com --scope read,admin"
	if !strings.Contains(said, "For a token: kubectl hallpass "+line) {
		t.Errorf("it does not say how to go on: %s", said)
	}
	if code, _, said := d.run(t, line); code != app.ExitOK {
		t.Errorf("token: exit %d: %s", code, said)
	}
	if code, _, said := d.run(t, "token cli --scope read"); code != app.ExitFailed || !strings.Contains(said, "kubectl hallpass login cli --namespace shop --scope read") {
		t.Errorf("another request: exit %d: %s", code, said)
	}
}

// TestARefreshTokenThatIsNotReplacedStaysInUse: those of a grant that does not rotate.
func TestARefreshTokenThatIsNotReplacedStaysInUse(t *testing.T) {
	d := newDesk(t)
	d.rotates = false
	if code, _, said := d.run(t, "login cli"); code != app.ExitOK {
		t.Fatal(said)
	}
	for range 2 {
		d.now = d.now.Add(time.Hour)
		if code, _, said := d.run(t, "token cli"); code != app.ExitOK {
			t.Errorf("token: exit %d: %s", code, said)
		}
	}
}

func TestALoginThatHasEndedIsForgotten(t *testing.T) {
	d := newDesk(t)
	if code, _, said := d.run(t, "login cli"); code != app.ExitOK {
		t.Fatal(said)
	}
	d.now, d.refresh = d.now.Add(2*time.Hour), "temporarily_unavailable"
	if code, _, said := d.run(t, "token cli"); code != app.ExitFailed || !strings.Contains(said, "temporarily_unavailable") || len(d.files(t)) != 1 {
		t.Errorf("a token server that is away: exit %d: %s, %q", code, said, d.files(t))
	}
	d.refresh = "invalid_grant"
	if code, _, said := d.run(t, "token cli"); code != app.ExitFailed || !strings.Contains(said, "your login at client \"cli\" has ended") || !strings.Contains(said, "Log in again: kubectl hallpass login cli") {
		t.Errorf("token: exit %d: %s", code, said)
	}
	if len(d.files(t)) != 0 {
		t.Errorf("it is still kept: %q", d.files(t))
	}
	d.none = true
	if code, _, said := d.run(t, "login cli"); code != app.ExitOK {
		t.Fatal(said)
	}
	d.now = d.now.Add(2 * time.Hour)
	if code, _, said := d.run(t, "token cli"); code != app.ExitFailed || !strings.Contains(said, "gets no refresh tokens. Log in again") {
		t.Errorf("without a refresh token: exit %d: %s", code, said)
	}
	if code, _, said := d.run(t, "logout"); code != app.ExitOK || len(d.revoked) != 0 {
		t.Errorf("logout of what has expired: exit %d: %s, %q", code, said, d.revoked)
	}
}

func TestALoginThatCannotBeEndedIsReported(t *testing.T) {
	d := newDesk(t)
	if code, _, said := d.run(t, "login cli"); code != app.ExitOK {
		t.Fatal(said)
	}
	d.Close()
	code, _, said := d.run(t, "logout")
	if code != app.ExitFailed || !strings.Contains(said, "was deleted here, and not ended") || !strings.Contains(said, "kubectl hallpass revoke client cli --namespace shop") {
		t.Errorf("logout: exit %d: %s", code, said)
	}
	if len(d.files(t)) != 0 {
		t.Errorf("it is still kept: %q", d.files(t))
	}
}

// TestAnAnswerOfAnotherOneIsNotUsed has the browser bring what attackers would: the code of another
// login, an answer of another issuer, and errors.
func TestAnAnswerOfAnotherOneIsNotUsed(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(url.Values)
		says   string
	}{
		"no iss":           {func(v url.Values) { v.Del("iss") }, "the answer is from another issuer than the one that was asked, so it was not used"},
		"another iss":      {func(v url.Values) { v.Set("iss", "https://evil.example.com") }, "check which page asks for your password"},
		"a person refuses": {func(v url.Values) { v.Del("code"); v.Set("error", "access_denied") }, "you are not logged in: access_denied"},
		"a scope is refused": {func(v url.Values) {
			v.Del("code")
			v.Set("error", "invalid_scope")
			v.Set("error_description", "no such scope")
		}, "refuses the login: invalid_scope: no such scope"},
		"no code":           {func(v url.Values) { v.Del("code") }, "neither a code nor an error"},
		"a code of another": {func(v url.Values) { v.Set("code", "stolen") }, "invalid_grant: for a test. A code is good once, for a minute: start again"},
		"another state":     {func(v url.Values) { v.Set("state", "other") }, "the browser has brought no answer within 200ms. Start again: kubectl hallpass login cli --namespace shop"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.answer = c.answer
			timeout := "20s"
			if name == "another state" {
				timeout = "200ms"
			}
			code, _, said := d.run(t, "login cli --timeout "+timeout)
			if code != app.ExitFailed || !strings.Contains(said, c.says) {
				t.Errorf("exit %d: %s", code, said)
			}
			if len(d.files(t)) != 0 {
				t.Errorf("it is kept: %q", d.files(t))
			}
			if used := strings.Join(d.calls, ""); used != "" && name != "a code of another" {
				t.Errorf("the token endpoint got %s", used)
			}
		})
	}
}

func TestWhatStandsInTheWayOfALoginIsExplained(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*desk)
		says   string
	}{
		"a client with a secret": {func(d *desk) { delete(d.spec, "authentication") }, "This command is for a client with spec.authentication.method None"},
		"no authorization code":  {func(d *desk) { d.spec["grantTypes"] = []string{"ClientCredentials"} }, "spec.grantTypes has no AuthorizationCode"},
		"no redirect URI here":   {func(d *desk) { d.spec["redirectURIs"] = []string{"https://app.example.com/cb"} }, "Add http://127.0.0.1/callback to spec.redirectURIs"},
		"an installation without login": {func(d *desk) {
			d.metadata = func(m map[string]any) { delete(m, "authorization_endpoint") }
		}, "no pages on which people log in. An administrator installs them: login.enabled in the chart"},
		"the metadata of another issuer": {func(d *desk) {
			d.metadata = func(m map[string]any) { m["issuer"] = "https://evil.example.com" }
		}, "has the metadata of another issuer"},
		"a server without PKCE": {func(d *desk) {
			d.metadata = func(m map[string]any) { m["code_challenge_methods_supported"] = []string{"plain"} }
		}, "announces neither PKCE with S256 nor iss"},
		"a server without iss": {func(d *desk) {
			d.metadata = func(m map[string]any) { delete(m, "authorization_response_iss_parameter_supported") }
		}, "announces neither PKCE with S256 nor iss"},
		"pages without https": {func(d *desk) {
			d.metadata = func(m map[string]any) { m["authorization_endpoint"] = "http://login.example.com/oauth2/authorize" }
		}, "which is no https URL"},
		"a token server that is away": {func(d *desk) { d.Close() }, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.browse = func(context.Context, string) error { t.Error("a browser is opened"); return nil }
			c.change(d)
			if code, _, said := d.run(t, "login cli"); code != app.ExitFailed || !strings.Contains(said, c.says) {
				t.Errorf("exit %d: %s", code, said)
			}
		})
	}
	d := newDesk(t)
	if code, _, said := d.run(t, "login cli --timeout 0s"); code != app.ExitUsage || !strings.Contains(said, "is over at once") {
		t.Errorf("no time: exit %d: %s", code, said)
	}
}

// TestWithoutABrowserTheURLIsPrinted opens what is printed.
func TestWithoutABrowserTheURLIsPrinted(t *testing.T) {
	d := newDesk(t)
	d.browse = func(context.Context, string) error { t.Error("a browser is opened"); return nil }
	printed := make(chan string, 1)
	var output bytes.Buffer
	code := app.Run(t.Context(), []string{"login", "cli", "--no-browser", "--kubeconfig", d.kubeconfig}, app.Environment{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &output, ErrOut: writer(func(text string) {
			if _, rest, found := strings.Cut(text, "https://"); found && strings.HasPrefix(text, "Open this URL") {
				printed <- "https://" + strings.Fields(rest)[0]
				go func() { _ = d.follow(t.Context(), <-printed) }()
			}
		})}, CacheDir: d.cache, Now: func() time.Time { return d.now }, Open: d.browse,
	})
	if code != app.ExitOK || output.Len() != 0 || len(d.files(t)) != 1 {
		t.Errorf("exit %d: %s, %q", code, &output, d.files(t))
	}
}

// TestABrowserThatDoesNotOpenEndsNothing: the URL that is printed still works.
func TestABrowserThatDoesNotOpenEndsNothing(t *testing.T) {
	d := newDesk(t)
	d.browse = func(ctx context.Context, address string) error {
		go func() { _ = d.follow(ctx, address) }()
		return os.ErrNotExist
	}
	if code, _, said := d.run(t, "login cli"); code != app.ExitOK {
		t.Errorf("exit %d: %s", code, said)
	}
}

// writer is a function as a writer.
type writer func(string)

// Write implements io.Writer.
func (w writer) Write(b []byte) (int, error) { w(string(b)); return len(b), nil }
