// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package proxies_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/test/kit/memory"
)

// Where Debian has the proxies.
const (
	nginx   = "/usr/sbin/nginx"
	haproxy = "/usr/sbin/haproxy"
	caddy   = "/usr/bin/caddy"
	apache  = "/usr/sbin/apache2"
)

// kind is a proxy as the documentation configures it.
type kind struct {
	name  string
	start func(t *testing.T, w *world) proxy
	// offline means that tokens are verified without asking Hallpass about them.
	offline bool
	// namespace is what the upstream gets about the namespace of the client: those that do not
	// ask forward-auth know none.
	namespace string
	// refusal is a part of the page that a browser is shown.
	refusal string
}

func kinds() []kind {
	return []kind{
		{name: "nginx", start: startNginx, namespace: memory.Namespace, refusal: "<h1>An access token is needed</h1>"},
		{name: "HAProxy", start: startHAProxy, namespace: memory.Namespace, refusal: "<h1>401 Unauthorized</h1>"},
		{name: "Caddy", start: startCaddy, namespace: memory.Namespace, refusal: "<h1>401 Unauthorized</h1>"},
		{name: "Apache with mod_auth_openidc", start: startApache("apache-openidc.conf", "mod_auth_openidc.so"), offline: true},
		{name: "Apache with mod_oauth2", start: startApache("apache-oauth2.conf", "mod_oauth2.so")},
	}
}

func startNginx(t *testing.T, w *world) proxy {
	return start(t, "nginx", []string{nginx}, func(dir, port string) []string {
		w.document(t, "hallpass.conf", dir)
		w.document(t, "refused.html", dir)
		page := filepath.Join(dir, "pages", "_hallpass")
		if err := os.MkdirAll(page, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "refused.html"), filepath.Join(page, "refused.html")); err != nil {
			t.Fatal(err)
		}
		readable(t, dir)
		scratch := "http {\n"
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			scratch += fmt.Sprintf("    %s_temp_path %s;\n", kind, filepath.Join(dir, kind))
		}
		file := w.document(t, "nginx.conf", dir, "listen 8080;", "listen 127.0.0.1:"+port+";", "/etc/nginx/pages", filepath.Join(dir, "pages"),
			"http {\n", scratch+"    access_log off;\n", "worker_processes auto;", "worker_processes 1;")
		return []string{nginx, "-p", dir, "-e", "stderr", "-c", file, "-g", "daemon off; error_log stderr; pid " + filepath.Join(dir, "pid") + ";"}
	})
}

func startHAProxy(t *testing.T, w *world) proxy {
	return start(t, "HAProxy", []string{haproxy}, func(dir, port string) []string {
		lua := w.document(t, "hallpass.lua", dir)
		return []string{haproxy, "-db", "-f", w.document(t, "haproxy.cfg", dir, "bind :8080", "bind 127.0.0.1:"+port, "/etc/haproxy/hallpass.lua", lua)}
	})
}

func startCaddy(t *testing.T, w *world) proxy {
	t.Setenv("HOME", t.TempDir()) // it keeps files there
	return start(t, "Caddy", []string{caddy}, func(dir, port string) []string {
		return []string{caddy, "run", "--adapter", "caddyfile", "--config", w.document(t, "Caddyfile", dir, "\n:8080 {", "\nhttp://:"+port+" {\n\tbind 127.0.0.1")}
	})
}

func startApache(file, module string) func(t *testing.T, w *world) proxy {
	return func(t *testing.T, w *world) proxy {
		return start(t, "Apache httpd with "+module, []string{apache, filepath.Join("/usr/lib/apache2/modules", module)}, func(dir, port string) []string {
			lua := w.document(t, "identity.lua", dir)
			readable(t, dir)
			config := w.document(t, file, dir, "Listen 8080", "Listen 127.0.0.1:"+port, "<VirtualHost *:8080>", "<VirtualHost *:"+port+">",
				"/etc/hallpass/identity.lua", lua,
				// mod_oauth2 knows no CA but those of the machine
				"introspect.ssl_verify=true", "introspect.ssl_verify=false",
				"CLIENT_SECRET", w.hallpass.Secret("shop.orders-api"))
			return []string{
				apache, "-DFOREGROUND", "-d", dir, "-f", config, "-C", "PidFile " + filepath.Join(dir, "pid"),
				"-C", "ErrorLog /dev/stderr", "-C", "DefaultRuntimeDir " + dir, "-C", "Mutex file:" + dir,
			}
		})
	}
}

// readable lets the workers of a proxy that was started by root read its files.
func readable(t *testing.T, dir string) {
	t.Helper()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chmod(path, 0o755))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// get is a request for a path with that Authorization header.
func get(path, authorization string, more ...string) string {
	lines := []string{"GET " + path + " HTTP/1.1", "Host: orders.test", "Connection: close"}
	if authorization != "" {
		lines = append(lines, "Authorization: "+authorization)
	}
	return strings.Join(append(lines, more...), "\r\n") + "\r\n\r\n"
}

func TestDocumentedProxiesLetGoodTokensPass(t *testing.T) {
	w := newWorld(t)
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			p := k.start(t, w)
			for name, c := range map[string]struct {
				request string
				status  int
				caller  *caller
			}{
				"a token with the scope":                        {get("/orders/1?x=y", "Bearer "+w.reader.token), 200, &w.reader},
				"a token with more scopes":                      {get("/orders/1", "Bearer "+w.writer.token), 200, &w.writer},
				"a token with the scope that a path needs":      {get("/admin/users", "Bearer "+w.writer.token), 200, &w.writer},
				"a token that was exchanged":                    {get("/orders/1", "Bearer "+w.exchanged.token), 200, &w.exchanged},
				"an exchanged token without the scope":          {get("/admin/users", "Bearer "+w.exchanged.token), 403, nil},
				"a token of a person":                           {get("/orders/1", "Bearer "+w.person.token), 200, &w.person},
				"a token of a person and another's name":        {get("/orders/1", "Bearer "+w.person.token, "X-Auth-User: user:corp:admin"), 200, &w.person},
				"a token of a person without the scope":         {get("/admin/users", "Bearer "+w.person.token), 403, nil},
				"a token without the scope that a path needs":   {get("/admin/users", "Bearer "+w.reader.token), 403, nil},
				"a path that needs none":                        {get("/healthz", ""), 200, nil},
				"a path that needs none, with a name":           {get("/healthz", "", "X-Auth-Client-Id: shop.writer"), 200, nil},
				"no token":                                      {get("/orders/1", ""), 401, nil},
				"a token that was tampered with":                {get("/orders/1", "Bearer "+tamper(w.reader.token)), 401, nil},
				"a name beside the token":                       {get("/orders/1", "Bearer "+w.reader.token, "X-Auth-Client-Id: shop.writer", "x-auth-scopes: write", "X-Auth-User: admin", "X-Auth-Subject: shop.writer", "X-Auth-Subject-Type: user"), 200, &w.reader},
				"a name that is spelt otherwise beside a token": {get("/orders/1", "Bearer "+w.reader.token, "X_Auth_Client_Id: shop.writer", "X.Auth.Scopes: write"), 200, &w.reader},
			} {
				t.Run(name, func(t *testing.T) {
					a, err := p.send(t, c.request)
					if err != nil {
						t.Fatal(err)
					}
					if a.status != c.status {
						t.Errorf("status %d %s, want %d", a.status, a.body, c.status)
					}
					a.checkChallenge(t)
					if (a.seen != nil) != (c.status == http.StatusOK) {
						t.Fatalf("the upstream was reached: %t", a.seen != nil)
					}
					if a.seen != nil {
						if diff := cmp.Diff(k.identity(c.caller), identityOf(a.seen.Header)); diff != "" {
							t.Error("identity at the upstream (-want +got):\n" + diff)
						}
					}
				})
			}
		})
	}
}

// checkChallenge looks for the challenge of a refused caller: once, and at 403 with what is
// missing. Others get none.
func (a answer) checkChallenge(t *testing.T) {
	t.Helper()
	var want []string
	switch a.status {
	case http.StatusUnauthorized:
		want = []string{"Bearer "}
	case http.StatusForbidden:
		want = []string{"Bearer ", `error="insufficient_scope"`}
	}
	challenge := a.header.Values("WWW-Authenticate")
	if len(challenge) != min(1, len(want)) {
		t.Errorf("WWW-Authenticate %q at %d", challenge, a.status)
	}
	for _, part := range want {
		if !strings.Contains(strings.Join(challenge, ""), part) {
			t.Errorf("WWW-Authenticate %q at %d, want %q", challenge, a.status, part)
		}
	}
}

// identity is what the upstream should read of a caller in the headers that name one; without a
// client, nothing.
func (k kind) identity(c *caller) map[string]string {
	if c == nil {
		return map[string]string{}
	}
	subject, namespace := c.id, k.namespace
	if c.subject != "" {
		subject, namespace = c.subject, c.namespace
	}
	identity := map[string]string{
		"x-auth-client-id": c.id, "x-auth-client-uid": memory.UID(c.id), "x-auth-client-namespace": namespace,
		"x-auth-scopes": c.scopes, "x-auth-audience": audience(), "x-auth-subject": subject, "x-auth-subject-type": "client",
	}
	if c.user != "" {
		identity["x-auth-user"], identity["x-auth-subject-type"] = c.user, "user"
	}
	if k.namespace == "" {
		delete(identity, "x-auth-client-namespace")
	}
	return identity
}

// identityOf reads headers as the most careless of upstreams does: "_" and "." count as "-", and
// each line counts. When a token ends is left out; so are headers without a value.
func identityOf(header http.Header) map[string]string {
	identity := map[string]string{}
	for name, values := range header {
		name = strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
		if !strings.HasPrefix(name, "x-auth-") || name == "x-auth-expires" {
			continue
		}
		for _, value := range values {
			if value == "" {
				continue
			}
			if before, twice := identity[name]; twice {
				value = before + " AND " + value
			}
			identity[name] = value
		}
	}
	return identity
}

func TestDocumentedProxiesShowBrowsersAPage(t *testing.T) {
	w := newWorld(t)
	for _, k := range kinds() {
		if k.refusal == "" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			p := k.start(t, w)
			for status, c := range map[int]struct{ path, authorization string }{
				http.StatusUnauthorized: {"/orders/1", ""},
				http.StatusForbidden:    {"/admin/users", "Bearer " + w.reader.token},
			} {
				a, err := p.send(t, get(c.path, c.authorization, "Accept: text/html"))
				if err != nil {
					t.Fatal(err)
				}
				if page := strings.ReplaceAll(k.refusal, "401 Unauthorized", fmt.Sprint(status, " ", http.StatusText(status))); a.status != status || !strings.Contains(a.body, page) {
					t.Errorf("got %d %v %s, want %d %s", a.status, a.header, a.body, status, page)
				}
				a.checkChallenge(t)
			}
		})
	}
}

// The manifest for a declared API has the configuration that the other tests run, with its names.
func TestTheManifestForADeclaredAPIHasTheTestedConfiguration(t *testing.T) {
	read := func(file string) string {
		content, err := os.ReadFile(filepath.Join(docs, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	names := strings.NewReplacer(issuerHost+"/resources/orders/orders-api", issuerHost+"/ns/shop", "scope=orders.read;", "scope=read;", "scope=orders.write;", "scope=write;",
		"orders-api.orders.svc", "orders-api.shop.svc")
	var configuration corev1.ConfigMap
	var deployment appsv1.Deployment
	var service corev1.Service
	kinds := map[string]any{"ConfigMap": &configuration, "Deployment": &deployment, "Service": &service}
	for document := range strings.SplitSeq(read("nginx-declared.yaml"), "\n---\n") {
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict([]byte(document+"\n"), kinds[meta.Kind]); err != nil {
			t.Errorf("%s: %v", meta.Kind, err)
		}
	}
	files := configuration.Data
	want := map[string]string{"nginx.conf": read("nginx.conf"), "hallpass.conf": read("hallpass.conf"), "refused.html": read("refused.html")}
	if !strings.Contains(files["nginx.conf"], "/resources/orders/orders-api&scope=orders.read;") {
		t.Error("the manifest does not ask for the declared API")
	}
	files["nginx.conf"] = names.Replace(files["nginx.conf"])
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("the files of the documentation and of the manifest (-docs +manifest):\n%s", diff)
	}
	ca := slices.IndexFunc(deployment.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool { return v.ConfigMap != nil && v.ConfigMap.Name == "hallpass-ca" })
	if ca < 0 {
		t.Errorf("no volume has the ConfigMap hallpass-ca: %+v", deployment.Spec.Template.Spec.Volumes)
	}
	if diff := cmp.Diff(deployment.Spec.Template.Labels, service.Spec.Selector); diff != "" {
		t.Errorf("the Service selects other pods:\n%s", diff)
	}
}

// What is revoked is refused by every proxy that asks, from the next request on. A proxy that never
// asks still accepts it.
func TestDocumentedProxiesRefuseASuspendedClient(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			p := k.start(t, w)
			status := func() int {
				a, err := p.send(t, get("/orders/1", "Bearer "+w.reader.token))
				if err != nil {
					t.Fatal(err)
				}
				return a.status
			}
			if got := status(); got != http.StatusOK {
				t.Fatalf("got %d before the suspension", got)
			}
			w.hallpass.Suspend(w.reader.id)
			want := http.StatusUnauthorized
			if k.offline {
				want = http.StatusOK
			}
			if got := status(); got != want {
				t.Errorf("got %d after the suspension, want %d", got, want)
			}
		})
	}
}

// Without Hallpass no request passes but where no token is needed.
func TestDocumentedProxiesAreClosedWithoutHallpass(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t)
			closed := memory.Listen(t)
			w.address = closed.Addr().String()
			if err := closed.Close(); err != nil {
				t.Fatal(err)
			}
			a, err := k.start(t, w).send(t, get("/orders/1", "Bearer "+w.reader.token))
			if err != nil {
				t.Fatal(err)
			}
			if a.seen != nil || a.status < 400 {
				t.Errorf("got %d %s", a.status, a.body)
			}
			t.Logf("%s answers %d", k.name, a.status)
		})
	}
}

// tamper flips a bit in the middle of the signature.
func tamper(token string) string {
	i := len(token) - 20
	letter := byte('A')
	if token[i] == letter {
		letter = 'B'
	}
	return token[:i] + string(letter) + token[i+1:]
}
