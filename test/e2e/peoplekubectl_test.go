// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	plugin "github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/app"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/people"
)

// pluginOf runs kubectl hallpass for a person, whose browser logs in at a provider.
type pluginOf struct {
	t        *testing.T
	at       *replica
	browser  *people.Browser
	provider *people.Provider
	cache    string
	later    time.Duration // that has passed
}

func newPluginOf(t *testing.T, at *replica, provider *people.Provider) *pluginOf {
	t.Helper()
	return &pluginOf{t: t, at: at, browser: people.NewBrowser(t, &network), provider: provider, cache: t.TempDir()}
}

func (p *pluginOf) run(line string) (out, said string) {
	p.t.Helper()
	var output, problems bytes.Buffer
	code := plugin.Run(p.t.Context(), append(strings.Fields(line), "--kubeconfig", hallpass.ControlPlane.Kubeconfig()), plugin.Environment{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &output, ErrOut: &problems}, CacheDir: p.cache,
		Now: func() time.Time { return time.Now().Add(p.later) },
		// the issuer is the installation, and the replica beside it has the port for login
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == strings.TrimPrefix(hallpass.Issuer.String(), "https://") {
				address = strings.TrimPrefix(p.at.url, "https://")
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
		Open: p.open,
	})
	if code != plugin.ExitOK {
		p.t.Fatalf("%s: exit %d: %s", line, code, &problems)
	}
	return strings.TrimSpace(output.String()), problems.String()
}

// open is the browser.
func (p *pluginOf) open(ctx context.Context, address string) error {
	asked, err := url.Parse(address)
	if err != nil {
		return err
	}
	back := p.browser.LogIn(address, asked.Query().Get("redirect_uri"), p.provider)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, back.String(), http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// logInWithKubectl has a person log in at a public client by kubectl hallpass, use a token, have
// the next one fetched by the refresh token, and log out.
func logInWithKubectl(t *testing.T, at *replica, provider *people.Provider, client string, server *corev1.Secret) {
	t.Helper()
	p := newPluginOf(t, at, provider)
	run := func(line string) (out, said string) {
		t.Helper()
		return p.run(line + " --namespace people")
	}
	request := client + " --resource people-api/api"
	if _, said := run("login " + request); !strings.Contains(said, "You are logged in as "+peopleSubject+" at client people/"+client+", with the scopes call.") {
		t.Errorf("login: %s", said)
	}
	first, _ := run("token " + request)
	if found := introspectAt(t, at, server, first); found["active"] != true || found["sub"] != peopleSubject {
		t.Errorf("introspected as %v", found)
	}
	if who, _ := run("whoami"); !strings.Contains(who, peopleSubject+" at client people/"+client) || strings.Contains(who, first) {
		t.Errorf("whoami: %s", who)
	}
	p.later = time.Hour
	second, _ := run("token " + request)
	if found := introspectAt(t, at, server, second); second == first || found["active"] != true {
		t.Errorf("the next token is introspected as %v", found)
	}
	if _, said := run("logout"); !strings.Contains(said, "Ended 1 login.") {
		t.Errorf("logout: %s", said)
	}
	for name, token := range map[string]string{"first": first, "second": second} {
		if introspectAt(t, at, server, token)["active"] != false {
			t.Errorf("after logout the %s token is active", name)
		}
	}
}

// TestThePageAboutPeopleIsTyped does what docs/people.md has, from the trust of a provider to
// logout, with its manifests and commands. The Secret is that of docs/login.md. What is of the
// provider is replaced: its address, and the groups, which that provider does not send.
func TestThePageAboutPeopleIsTyped(t *testing.T) {
	provider := startProvider(t, "corp")
	for _, namespace := range []string{"shop", "orders"} {
		makeNamespace(t, namespace, nil)
	}
	ca, err := json.Marshal(people.CA())
	must(t, err)
	replaced := strings.NewReplacer(
		"  issuer: https://idp.example.com", "  issuer: "+provider.Issuer+"\n  caBundle: "+string(ca), `client_secret: "…"`, "client_secret: provider-secret",
		"    allowed: {groups: [staff]}\n    groupsClaim: groups\n", "",
	)
	fenced := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	var objects []string
	for _, block := range fenced.FindAllStringSubmatch(page(t, "people.md"), -1) {
		if login, isPart := strings.CutPrefix(block[1], "  login:"); isPart {
			objects[0] += "  login:" + login // of the issuer, which comes first
			continue
		}
		objects = append(objects, block[1])
	}
	at := startLogin(t)
	for _, block := range fenced.FindAllStringSubmatch(page(t, "login.md"), -1) {
		if strings.Contains(block[1], "kind: Secret") {
			objects = append(objects, block[1])
		}
	}
	file := filepath.Join(t.TempDir(), "people.yaml")
	must(t, os.WriteFile(file, []byte(replaced.Replace(strings.Join(objects, "---\n"))), 0o600))
	kubectl := func(args ...string) {
		t.Helper()
		must(t, installation.Kubectl(t.Context(), hallpass.ControlPlane, args...))
	}
	kubectl("apply", "--server-side", "-f", file)
	t.Cleanup(func() {
		must(t, installation.Kubectl(context.Background(), hallpass.ControlPlane, "delete", "--ignore-not-found", "--wait=false", "-f", file))
	})
	kubectl("wait", "--for=condition=Ready", "--timeout=3m", "oauth2trustedissuer", "corp")
	kubectl("wait", "--for=condition=GrantsComplete", "--timeout=3m", "--namespace=shop", "oauth2client", "reports-cli", "assistant")
	server := credentials(t, apply(t, "orders", newClient("server")))

	p, ran := newPluginOf(t, at, provider), 0
	var token string
	for line := range strings.Lines(page(t, "people.md")) {
		command := regexp.MustCompile(`^\$ .*kubectl hallpass ([^)\n]*)`).FindStringSubmatch(line)
		if command == nil {
			continue
		}
		out, said := p.run(command[1])
		switch verb, _, _ := strings.Cut(command[1], " "); verb {
		case "login":
			if !strings.Contains(said, "You are logged in as user:corp:id1 at client shop/reports-cli, with the scopes orders.read.") {
				t.Errorf("login: %s", said)
			}
		case "token":
			token, _ = strings.CutPrefix(out, "Authorization: Bearer ")
			if found := introspectAt(t, at, server, token); found["active"] != true || found["sub"] != "user:corp:id1" || found["client_id"] != "shop.reports-cli" {
				t.Errorf("introspected as %v", found)
			}
		case "whoami":
			if !strings.Contains(out, "user:corp:id1 at client shop/reports-cli") {
				t.Errorf("whoami: %s", out)
			}
		case "logout":
			if introspectAt(t, at, server, token)["active"] != false {
				t.Error("after logout the token is active")
			}
		}
		ran++
	}
	if ran != 4 {
		t.Errorf("%d commands of the page were run", ran)
	}
}

// page is a page of docs.
func page(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root(), "docs", name))
	must(t, err)
	return string(content)
}
