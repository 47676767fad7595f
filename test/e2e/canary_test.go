// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// canaries are what must be seen nowhere, by what they are.
type canaries map[string]string

// shortest is how long a value has to be to differ from an ordinary word.
const shortest = 16

func (c canaries) add(what, value string) {
	if len(value) >= shortest {
		c[what] = value
	}
}

// addToken adds a JWS, and its signature alone: half a token in a log is as good as a whole one for
// an attacker with the other half.
func (c canaries) addToken(what, token string) {
	c.add(what, token)
	c.add("the signature of "+what, token[strings.LastIndex(token, ".")+1:])
}

// public are the entries of Secrets that hold nothing secret.
var public = regexp.MustCompile(`^(client_id|CLIENT_ID|.*_url|scope|expires_at|ca\.crt|tls\.crt|namespace)$`)

// addSecrets adds everything confidential in the Secrets of the cluster: values, the lines of keys
// in PEM, and the private keys and verifiers in our own records.
func (c canaries) addSecrets(t *testing.T) {
	t.Helper()
	var secrets corev1.SecretList
	must(t, cluster.List(t.Context(), &secrets))
	inRecords := regexp.MustCompile(`"(?:pkcs8|sha256)":"([^"]+)"`)
	for i := range secrets.Items {
		secret := &secrets.Items[i]
		for entry, value := range secret.Data {
			what := fmt.Sprintf("%s of Secret %s/%s", entry, secret.Namespace, secret.Name)
			switch {
			case public.MatchString(entry):
			case inRecords.Match(value):
				for n, found := range inRecords.FindAllSubmatch(value, -1) {
					c.add(fmt.Sprintf("%s, record %d", what, n), string(found[1]))
				}
			case bytes.Contains(value, []byte("PRIVATE KEY")):
				for block, rest := pem.Decode(value); block != nil; block, rest = pem.Decode(rest) {
					c.add(what, base64.StdEncoding.EncodeToString(block.Bytes)[:48])
				}
			case !json.Valid(value): // a registration without verifiers is no secret
				c.add(what, string(value))
			}
		}
	}
}

// spellings are the forms in which a value may turn up.
func spellings(value string) []string {
	forms := []string{value, url.QueryEscape(value)}
	for shift := range 3 { // base64 of a text that it is a part of, wherever in it that begins
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + value))
		inner := encoded[shift+1 : len(encoded)-3]
		forms = append(forms, inner, strings.NewReplacer("+", "-", "/", "_").Replace(inner))
	}
	return forms
}

// leaks lists which canary is in which place. It goes through each place once, however many
// canaries there are.
func leaks(places map[string][]byte, c canaries) []string {
	type start [12]byte
	type form struct{ what, text string }
	forms := map[start][]form{}
	for what, value := range c {
		for _, text := range spellings(value) {
			key := start([]byte(text)[:len(start{})])
			forms[key] = append(forms[key], form{what, text})
		}
	}
	found := map[string]bool{}
	for place, content := range places {
		for i := range max(0, len(content)-len(start{})+1) {
			for _, candidate := range forms[start(content[i:i+len(start{})])] {
				if bytes.HasPrefix(content[i:], []byte(candidate.text)) {
					found[candidate.what+" is in "+place] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// A search that finds nothing proves nothing unless it would find something.
func TestTheSearchFindsWhatIsPlanted(t *testing.T) {
	secret, err := oauth2.NewClientSecret(rand.Reader)
	must(t, err)
	value := secret.Value.Reveal()
	c := canaries{}
	c.add("a secret", value)
	for name, planted := range map[string]string{
		"as it is":                value,
		"in a query":              "GET /?client_secret=" + url.QueryEscape(value+"&"),
		"in base64":               base64.StdEncoding.EncodeToString([]byte(value)),
		"in the Basic header":     base64.StdEncoding.EncodeToString([]byte("canary.caller:" + value)),
		"in base64 with one more": base64.StdEncoding.EncodeToString([]byte("x" + value)),
		"in base64url with two":   base64.RawURLEncoding.EncodeToString([]byte("xx" + value + "yy")),
		"in JSON":                 `{"secret":"` + value + `"}`,
	} {
		if found := leaks(map[string][]byte{"a log": []byte("before " + planted + " after")}, c); len(found) != 1 {
			t.Errorf("%s it is not found", name)
		}
	}
	if found := leaks(map[string][]byte{"a log": []byte(strings.ToUpper(value))}, c); len(found) > 0 {
		t.Errorf("found although it is not there: %v", found)
	}
}

// loud is both binaries as processes of their own that log as much as they can, and a collector of
// traces.
type loud struct {
	dir     string
	manager *controlplane.Process
	server  *controlplane.Process
	url     string // of the token server
	metrics map[string]string
	traces  *collected
}

// collected keeps the bodies of requests.
type collected struct {
	mu     sync.Mutex
	bodies bytes.Buffer
}

func (c *collected) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return
		}
		body = unpacked
	}
	_, _ = io.Copy(&c.bodies, body)
}

// startLoud starts the manager in the place of the quiet one, and one more token server.
func startLoud(t *testing.T) *loud {
	t.Helper()
	l := &loud{dir: t.TempDir(), traces: &collected{}}
	collector := httptest.NewServer(l.traces)
	t.Cleanup(collector.Close)
	start := func(name, account string, flags ...string) *controlplane.Process {
		program, err := installation.Program(t.Context(), root(), name)
		must(t, err)
		kubeconfig, err := hallpass.ControlPlane.ServiceAccountKubeconfig(t.Context(), installation.SystemNamespace, account)
		must(t, err)
		process, err := controlplane.StartProcess(name, filepath.Join(l.dir, name+".log"), nil, append([]string{
			program, "--v=7", "--kubeconfig=" + kubeconfig, "--issuer=" + hallpass.Issuer.String(),
		}, flags...)...)
		must(t, err)
		return process
	}
	public, ops, metrics := freeAddress(t), freeAddress(t), freeAddress(t)
	l.url = "https://localhost" + public[strings.LastIndex(public, ":"):]
	l.metrics = map[string]string{"manager": "http://" + metrics + "/metrics", "tokenserver": "http://" + ops + "/metrics"}
	must(t, hallpass.StopManager())
	l.manager = start("manager", installation.ManagerAccount, "--serving-dns-names=localhost", "--metrics-bind-address="+metrics, "--health-probe-bind-address=0")
	certificates := filepath.Dir(hallpass.CAFile)
	l.server = start("tokenserver", installation.TokenServerAccount, "--listen="+public, "--ops-listen="+ops, "--shutdown-lag=0s",
		"--tls-cert-file="+filepath.Join(certificates, "tls.crt"), "--tls-key-file="+filepath.Join(certificates, "tls.key"),
		"--otlp-endpoint="+collector.URL, "--token-endpoint-allow-get", "--usage-interval=1s")
	t.Cleanup(func() {
		must(t, l.stop())
		must(t, hallpass.StartManager(context.Background()))
	})
	must(t, installation.Wait(t.Context(), "the loud token server is ready", func() (bool, error) { return installation.Ready(t.Context(), "http://"+ops), nil }))
	return l
}

func (l *loud) stop() error {
	if err := l.server.Stop(); err != nil {
		return err
	}
	return l.manager.Stop()
}

// ask sends a request to the loud token server, and answers the body and the headers in one text.
func (l *loud) ask(t *testing.T, method, path string, form url.Values, header http.Header) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, l.url+path, strings.NewReader(form.Encode()))
	must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	maps.Copy(request.Header, header)
	response, err := hallpass.HTTP.Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, fmt.Sprint(response.Header) + string(body)
}

// places are all that a user can read who may not read Secrets.
func (l *loud) places(t *testing.T) map[string][]byte {
	t.Helper()
	places := map[string][]byte{"the log of the quiet processes": []byte(hallpass.Log.String())}
	for name, address := range l.metrics {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		must(t, err)
		response, err := http.DefaultClient.Do(request)
		must(t, err)
		places["the metrics of "+name], err = io.ReadAll(response.Body)
		must(t, err)
		must(t, response.Body.Close())
	}
	must(t, l.stop()) // which sends the last traces away
	for _, name := range []string{"manager", "tokenserver"} {
		content, err := os.ReadFile(filepath.Join(l.dir, name+".log"))
		must(t, err)
		places["the log of "+name] = content
	}
	l.traces.mu.Lock()
	places["the traces"] = bytes.Clone(l.traces.bodies.Bytes())
	l.traces.mu.Unlock()
	audit, err := os.ReadFile(hallpass.ControlPlane.AuditLog())
	must(t, err)
	places["the API server's audit log"] = audit
	kinds := slices.DeleteFunc(strings.Fields(string(kubectl(t, "api-resources", "--verbs=list", "--output=name"))), func(kind string) bool {
		return kind == "secrets"
	})
	places["the objects of all kinds but Secrets"] = kubectl(t, "get", strings.Join(kinds, ","), "--all-namespaces", "--output=json", "--show-managed-fields")
	return places
}

func kubectl(t *testing.T, args ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), hallpass.ControlPlane.Kubectl(), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+hallpass.ControlPlane.Kubeconfig())
	output, err := command.Output()
	if err != nil {
		t.Fatalf("kubectl %v: %v", args, err)
	}
	return output
}

// TestNothingSecretIsSeenAnywhere runs every kind of credential through everything, right and
// wrong, at the most verbose level, and looks for them in all that is written on the way.
func TestNothingSecretIsSeenAnywhere(t *testing.T) {
	l := startLoud(t)
	c := canaries{}
	basic := func(id, secret string) http.Header {
		return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}}
	}
	grant := url.Values{"grant_type": {"client_credentials"}}
	with := func(pairs ...string) url.Values {
		form := url.Values{"grant_type": {"client_credentials"}}
		for i := 0; i < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		return form
	}
	issued := func(what string, status int, answer string) string {
		t.Helper()
		token := regexp.MustCompile(`"access_token":"([^"]+)"`).FindStringSubmatch(answer)
		if status != http.StatusOK || token == nil {
			t.Fatalf("%s: %d %s", what, status, answer)
		}
		c.addToken(what, token[1])
		return token[1]
	}

	// Every kind of client, with its token.
	generated := newClient("generated")
	generated.Spec.Secret.Template = map[string]v1alpha1.TemplateText{"env": "SECRET=$(client_secret)"}
	generated.Spec.Claims = []v1alpha1.Claim{{Name: "https://example.com/tier", Value: "gold"}}
	secret := credentials(t, apply(t, "canaries", generated))
	id, value := string(secret.Data["client_id"]), string(secret.Data["client_secret"])
	status, answer := l.ask(t, http.MethodPost, oauth2.TokenPath, grant, basic(id, value))
	token := issued("the token of a generated secret", status, answer)

	brought := "brought-" + rand.Text()
	weak := "weakweakweakweakweak"
	for name, clientSecret := range map[string]string{"existing": brought, "weak": weak} {
		must(t, cluster.Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "canaries", Name: name, Labels: map[string]string{v1alpha1.LabelCredentials: "true"}},
			Data:       map[string][]byte{"client_secret": []byte(clientSecret)},
		}))
	}
	existing := newClient("existing")
	existing.Spec.Secret.Source = v1alpha1.SecretExisting
	apply(t, "canaries", existing)
	status, answer = l.ask(t, http.MethodPost, oauth2.TokenPath, with("client_id", "canaries.existing", "client_secret", brought), nil)
	issued("the token of an existing secret", status, answer)
	refused := newClient("weak")
	refused.Namespace, refused.Spec.Secret.Source = "canaries", v1alpha1.SecretExisting
	must(t, cluster.Create(t.Context(), refused))
	condition(t, refused, metav1.ConditionFalse, v1alpha1.ReasonSecretTooWeak)

	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	signer, err := jws.NewSigner(jws.ES256, private)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	c.add("the private key of a client", base64.StdEncoding.EncodeToString(der))
	jwk, err := signer.Public().JWK()
	must(t, err)
	set, err := json.Marshal(map[string]any{"keys": []any{jwk}})
	must(t, err)
	keyed := newClient("keyed")
	keyed.Spec.Authentication = v1alpha1.AuthenticationSpec{Method: v1alpha1.ByPrivateKeyJWT, PrivateKeyJWT: v1alpha1.PrivateKeyJWTSpec{JWKS: string(set)}}
	apply(t, "canaries", keyed)
	claims, err := json.Marshal(map[string]any{
		"iss": "canaries.keyed", "sub": "canaries.keyed", "aud": hallpass.Issuer.String(), "exp": time.Now().Add(30 * time.Second).Unix(), "jti": rand.Text(),
	})
	must(t, err)
	assertion, err := signer.Sign("JWT", claims)
	must(t, err)
	c.addToken("an assertion", assertion)
	asserted := with("client_assertion_type", oauth2.AssertionType, "client_assertion", assertion)
	status, answer = l.ask(t, http.MethodPost, oauth2.TokenPath, asserted, nil)
	issued("the token of an assertion", status, answer)

	account := createAccount(t, "canaries", "worker")
	apply(t, "canaries", accountClient("podded", "worker"))
	mounted := projected(t, account, ours())
	c.addToken("the token of a service account", mounted)
	status, answer = l.ask(t, http.MethodPost, oauth2.TokenPath,
		with("client_assertion_type", oauth2.AssertionType, "client_assertion", mounted, "client_id", "canaries.podded"), nil)
	issued("the token of a pod", status, answer)

	l.handOut(t, c, basic(id, value))

	// Everything that can go wrong with them, and what callers put into the wrong place.
	typo := value[:len(value)-1] + "!"
	c.add("a mistyped secret", typo)
	bearer := http.Header{"Authorization": {"Bearer " + token}}
	query := func(name, value string) string {
		return oauth2.TokenPath + "?grant_type=client_credentials&" + name + "=" + url.QueryEscape(value)
	}
	refusals := map[string][]byte{}
	for what, try := range map[string]func() (int, string){
		"a mistyped secret":      func() (int, string) { return l.ask(t, http.MethodPost, oauth2.TokenPath, grant, basic(id, typo)) },
		"id and secret swapped":  func() (int, string) { return l.ask(t, http.MethodPost, oauth2.TokenPath, grant, basic(value, id)) },
		"the token as client_id": func() (int, string) { return l.ask(t, http.MethodPost, oauth2.TokenPath, grant, basic(assertion, "x")) },
		"the secret as grant": func() (int, string) {
			return l.ask(t, http.MethodPost, oauth2.TokenPath, with("grant_type", value), basic(id, value))
		},
		"the secret as scope": func() (int, string) {
			return l.ask(t, http.MethodPost, oauth2.TokenPath, with("scope", value), basic(id, value))
		},
		"the secret as resource": func() (int, string) {
			return l.ask(t, http.MethodPost, oauth2.TokenPath, with("resource", value), basic(id, value))
		},
		"the secret as a parameter": func() (int, string) {
			return l.ask(t, http.MethodPost, oauth2.TokenPath, with(value, value, "scope", "no"), basic(id, value))
		},
		"the secret in the query":  func() (int, string) { return l.ask(t, http.MethodGet, query("client_secret", value), nil, nil) },
		"the token in the query":   func() (int, string) { return l.ask(t, http.MethodGet, query("access_token", token), nil, nil) },
		"the token in a path":      func() (int, string) { return l.ask(t, http.MethodGet, "/"+token, nil, nil) },
		"the token as method":      func() (int, string) { return l.ask(t, strings.ReplaceAll(token, ".", "-"), oauth2.TokenPath, nil, nil) },
		"the token as credentials": func() (int, string) { return l.ask(t, http.MethodPost, oauth2.TokenPath, grant, bearer) },
		"the assertion again":      func() (int, string) { return l.ask(t, http.MethodPost, oauth2.TokenPath, asserted, nil) },
		"the token as request id": func() (int, string) {
			return l.ask(t, http.MethodPost, oauth2.TokenPath, nil, http.Header{"X-Request-Id": {token}})
		},
		"the secret as request id": func() (int, string) {
			return l.ask(t, http.MethodPost, oauth2.TokenPath, nil, http.Header{"X-Request-Id": {value}})
		},
		"the token as trace state": func() (int, string) {
			return l.ask(t, http.MethodPost, oauth2.TokenPath, nil, http.Header{"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, "Tracestate": {"a=" + value}, "Baggage": {"a=" + value}})
		},
		"the token asked about": func() (int, string) {
			return l.ask(t, http.MethodPost, oauth2.IntrospectionPath, url.Values{"token": {token}}, basic(id, value))
		},
		"the secret asked about": func() (int, string) {
			return l.ask(t, http.MethodPost, oauth2.IntrospectionPath, url.Values{"token": {value}}, basic(id, value))
		},
		"a pod's token asked about": func() (int, string) {
			return l.ask(t, http.MethodPost, oauth2.IntrospectionPath, url.Values{"token": {mounted}}, basic(id, value))
		},
		"an assertion asked about": func() (int, string) {
			return l.ask(t, http.MethodPost, oauth2.IntrospectionPath, url.Values{"token": {assertion}}, basic(id, value))
		},
		"the secret as the kind": func() (int, string) {
			return l.ask(t, http.MethodPost, oauth2.TokenPath, with("client_assertion_type", value, "client_assertion", assertion), nil)
		},
		"a proxy's request": func() (int, string) {
			return l.ask(t, http.MethodGet, "/forward-auth?audience="+url.QueryEscape(hallpass.Issuer.NamespaceAudience("canaries")), nil, bearer)
		},
		"a proxy's request, mistyped": func() (int, string) {
			return l.ask(t, http.MethodGet, "/forward-auth?audience=x", nil, http.Header{"Authorization": {"Bearer " + token + "x"}})
		},
		"a proxy's request, a secret": func() (int, string) {
			return l.ask(t, http.MethodGet, "/forward-auth?scope="+url.QueryEscape(value), nil, bearer)
		},
		"no TLS": func() (int, string) { return speakPlainly(t, l.url, value) },
	} {
		status, answer := try()
		t.Logf("%s: %d", what, status)
		refusals["the answer to "+what] = []byte(answer)
	}

	// What the operator does with secrets.
	update(t, generated, func() { metav1.SetMetaDataAnnotation(&generated.ObjectMeta, v1alpha1.AnnotationRotate, "now") })
	eventually(t, "the secret is rotated", func() bool {
		return string(credentials(t, generated).Data["client_secret"]) != value
	})
	c.addSecrets(t) // the new ones too
	c.add("the rotated secret", value)
	for _, account := range []string{installation.ManagerAccount, installation.TokenServerAccount} {
		kubeconfig, err := hallpass.ControlPlane.ServiceAccountKubeconfig(t.Context(), installation.SystemNamespace, account)
		must(t, err)
		own, err := os.ReadFile(strings.TrimSuffix(kubeconfig, ".kubeconfig") + ".token")
		must(t, err)
		c.addToken("the process's own token, of "+account, string(own))
	}

	places := l.places(t)
	for place, want := range map[string]string{ // the search looks where something is
		"the log of manager": `"name":"generated"`, "the log of tokenserver": `"client_id":"canaries.generated"`, "the traces": "canaries.keyed",
		"the API server's audit log": "canaries", "the metrics of tokenserver": `reason="WrongSecret"`, "the metrics of manager": "oauth2client",
		"the objects of all kinds but Secrets": "RevokedTokenUsed",
	} {
		if !bytes.Contains(places[place], []byte(want)) {
			t.Errorf("%s, of %d bytes, says nothing of %q", place, len(places[place]), want)
		}
	}
	if len(c) < 20 {
		t.Errorf("only %d values are looked for", len(c))
	}
	maps.Copy(places, refusals)
	for _, leak := range leaks(places, c) {
		t.Error(leak)
	}
	total := 0
	for _, content := range places {
		total += len(content)
	}
	t.Logf("looked for %d values in %d places of %d bytes in all", len(c), len(places), total)
}

// speakPlainly sends a request with a secret in it to the TLS port without TLS.
func speakPlainly(t *testing.T, address, secret string) (int, string) {
	t.Helper()
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "https://"))
	must(t, err)
	defer func() { _ = connection.Close() }()
	must(t, connection.SetDeadline(time.Now().Add(time.Minute)))
	_, err = fmt.Fprintf(connection, "POST /oauth2/token?client_secret=%s HTTP/1.1\r\nHost: localhost\r\nX-Secret: %s\r\n\r\n", secret, secret)
	must(t, err)
	answer, _ := io.ReadAll(connection)
	return 0, string(answer)
}
