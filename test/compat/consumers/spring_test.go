// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// springWorld is a token server, a resource and its API in Spring.
type springWorld struct {
	hallpass                     *memory.Server
	issuer, caFile, jar          string
	resource                     oauth2.Resource
	reader, writer, introspector string
	introspectorDir              string
}

// buildSpring has Maven build the documented programs, with the decoder that verifiers use.
func buildSpring(t *testing.T) (jar string) {
	t.Helper()
	installed(t, "java")
	installed(t, "mvn")
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join(docs, "spring"))))
	const decoder = "src/main/java/com/example/ResourceServer.java"
	must(t, os.Link(filepath.Join(docs, "../verify/java", decoder), filepath.Join(dir, decoder)))
	build := exec.CommandContext(t.Context(), "mvn", "--batch-mode", "--quiet", "package")
	build.Dir = dir
	if printed, err := build.CombinedOutput(); err != nil {
		t.Fatalf("mvn package: %v: %s", err, printed)
	}
	return filepath.Join(dir, "target", "orders.jar")
}

func newSpringWorld(t *testing.T) *springWorld {
	t.Helper()
	w := &springWorld{jar: buildSpring(t)}
	listener := memory.Listen(t)
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	w.issuer = "https://localhost:" + port
	w.hallpass = memory.New(t, w.issuer)
	w.caFile = w.hallpass.Serve(listener)
	scopes := []string{"orders.read", "orders.write"}
	w.resource = oauth2.Resource{
		Identifier: w.issuer + "/resources/" + memory.Namespace + "/orders", UID: "uid-of-orders", Namespace: memory.Namespace, Name: "orders", Scopes: scopes,
		Consents: []oauth2.Consent{{Namespaces: []string{memory.Namespace}, Scopes: scopes}},
	}
	w.hallpass.Declare(w.resource)
	register := func(name, scope string) string {
		// with a scope of the same name for the APIs of its own namespace
		id := w.hallpass.Register(name, scope)
		w.hallpass.Change(id, func(c *oauth2.Client) {
			c.Access = []oauth2.Access{{Resource: oauth2.ObjectName{Namespace: w.resource.Namespace, Name: w.resource.Name}, Scopes: []string{scope}}}
		})
		return id
	}
	w.reader, w.writer, w.introspector = register("reader", "orders.read"), register("writer", "orders.write"), w.hallpass.Register("orders-api")
	w.introspectorDir = mounted(t, w.hallpass, w.issuer, w.caFile, w.introspector)
	return w
}

// start starts the API and returns its URL.
func (w *springWorld) start(t *testing.T, introspect bool) (url string) {
	t.Helper()
	address := world.FreeAddress(t)
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	runWith(t, []string{
		"HALLPASS_DIR=" + w.introspectorDir, "ISSUER=" + w.issuer, "AUDIENCE=" + w.resource.Identifier, "PORT=" + port, "INTROSPECT=" + strconv.FormatBool(introspect),
	}, "java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar", w.jar)
	url = "http://" + address + "/orders"
	eventually(t, "the API answers", func() bool { return get(t, url, "") == "401 Bearer" })
	return url
}

// get returns the status and the challenge of an answer; empty if there is none.
func get(t *testing.T, url, token string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	must(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	challenge, _, _ := strings.Cut(response.Header.Get("WWW-Authenticate"), ",")
	challenge, _, _ = strings.Cut(challenge, " resource_metadata=") // of Spring's own
	return strings.TrimSpace(strconv.Itoa(response.StatusCode) + " " + challenge)
}

const (
	springAccepts     = "200"
	springRefuses     = `401 Bearer error="invalid_token"`
	springLacksAScope = `403 Bearer error="insufficient_scope"`
)

// Spring Security verifies tokens itself, and asks about them. A client authenticates by an
// assertion of its own key.
//
// Maven and the JVMs take longer than other tests.
func TestSpringVerifiesAndAsksAboutTokens(t *testing.T) {
	if testing.Short() {
		t.Skip("make long")
	}
	w := newSpringWorld(t)
	good := w.hallpass.TokenFor(w.reader, w.resource.Identifier)
	claims := func(others map[string]any) string {
		return tokenClaims(t, w.issuer, w.resource.Identifier, w.reader, others)
	}
	verifying, asking := w.start(t, false), w.start(t, true)
	for what, url := range map[string]string{"verifying": verifying, "asking": asking} {
		for name, c := range map[string]struct{ token, want string }{
			"a token with the scope": {good, springAccepts},
			"one without the scope":  {w.hallpass.TokenFor(w.writer, w.resource.Identifier), springLacksAScope},
			"another audience":       {w.hallpass.Token(w.reader), springRefuses},
			"another key":            {memory.New(t, w.issuer).Sign("at+jwt", claims(map[string]any{"scope": "orders.read"})), springRefuses},
			"another type":           {w.hallpass.Sign("JWT", claims(map[string]any{"scope": "orders.read"})), springRefuses},
			"an expired token":       {w.hallpass.Sign("at+jwt", claims(map[string]any{"scope": "orders.read", "exp": time.Now().Add(-time.Minute).Unix()})), springRefuses},
			"nonsense":               {"a.b.c", springRefuses},
		} {
			if got := get(t, url, c.token); got != c.want {
				t.Errorf("%s, %s: %s, want %s", what, name, got, c.want)
			}
		}
	}

	remount(t, w.introspectorDir, w.issuer, w.caFile, w.introspector, newSecret(t, w.hallpass, w.introspector))
	endFormer(w.hallpass, w.introspector)
	w.hallpass.RotateKeys()
	next := w.hallpass.TokenFor(w.reader, w.resource.Identifier)
	for what, url := range map[string]string{"verifying": verifying, "asking": asking} {
		for name, token := range map[string]string{"the next key": next, "the key of before": good} {
			if got := get(t, url, token); got != springAccepts {
				t.Errorf("%s after the rotations, a token by %s: %s", what, name, got)
			}
		}
	}
	w.callsByAssertion(t, verifying)
	w.hallpass.Authority.Directory.Revocations().Select("leaked", revocation.Selector{ClientID: w.reader, IssuedBefore: time.Now().Add(time.Second)})
	eventually(t, "the API that asks refuses a revoked token", func() bool { return get(t, asking, next) == springRefuses })
	if got := get(t, verifying, next); got != springAccepts {
		t.Errorf("the API that verifies, a revoked token: %s; the page says that it accepts it", got)
	}
}

// callsByAssertion runs the documented client, which has a key and no secret.
func (w *springWorld) callsByAssertion(t *testing.T, url string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	keys, err := jws.PackKeys(jws.PublicKey{ID: "2026", Algorithm: jws.ES256, Key: private.Public()})
	must(t, err)
	w.hallpass.Change(w.reader, func(c *oauth2.Client) { c.Credentials = oauth2.Credentials{KeysOnly: true, Keys: keys} })
	point, err := private.PublicKey.Bytes()
	must(t, err)
	scalar, err := private.Bytes()
	must(t, err)
	part := base64.RawURLEncoding.EncodeToString
	key, err := json.Marshal(map[string]string{
		"kty": "EC", "crv": "P-256", "kid": "2026", "alg": "ES256", "x": part(point[1:33]), "y": part(point[33:]), "d": part(scalar),
	})
	must(t, err)
	keyFile := filepath.Join(t.TempDir(), "key.json")
	must(t, os.WriteFile(keyFile, key, 0o600))
	call := exec.CommandContext(t.Context(), "java", "-Xmx128m", "-cp", w.jar, "-Dloader.main=com.example.KeyCaller",
		"org.springframework.boot.loader.launch.PropertiesLauncher")
	call.Env = append(os.Environ(), "HALLPASS_DIR="+mounted(t, w.hallpass, w.issuer, w.caFile, w.reader), "KEY_FILE="+keyFile,
		"RESOURCE="+w.resource.Identifier, "API_URL="+url)
	if printed, err := call.CombinedOutput(); err != nil || !strings.HasSuffix(string(printed), "200\n") {
		t.Errorf("a client with a key: %v: %s", err, printed)
	}
}
