// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-dev/hallpass/client/token"
)

func simple(t *testing.T, options ...token.Option) (*token.Source, *endpoint) {
	t.Helper()
	e := newEndpoint()
	e.secrets["secret"] = time.Time{}
	return newSource(t, token.Secret(newMount(t, entries("secret")).dir), e, options...), e
}

func TestManyCallersCauseOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, e := simple(t)
		e.fails = func(*http.Request) (*httptest.ResponseRecorder, error) {
			time.Sleep(time.Second)
			return nil, nil
		}
		// at first, and when the token is due for renewal, and when it has expired
		for range 3 {
			var group sync.WaitGroup
			for range 10_000 {
				group.Go(func() {
					if _, err := source.Token(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			time.Sleep(42 * time.Minute)
		}
		if e.asked() != 3 {
			t.Errorf("%d requests", e.asked())
		}
	})
}

func TestATokenIsRenewedBetween60And67PercentOfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, last := time.Hour, time.Duration(0)
		for range 200 {
			source, e := simple(t)
			begin := time.Now()
			for e.asked() < 2 {
				if _, err := source.Token(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				synctest.Wait()
			}
			age := time.Since(begin) - time.Second
			first, last = min(first, age), max(last, age)
		}
		if first < 36*time.Minute || first > 37*time.Minute || last < 39*time.Minute || last > 40*time.Minute+time.Second {
			t.Errorf("renewed after %s to %s", first, last)
		}
	})
}

func TestARenewalKeepsNoCallerWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, e := simple(t)
		old, err := source.Token(t.Context())
		must(t, err)
		time.Sleep(45 * time.Minute)
		e.set(func(e *endpoint) {
			e.fails = func(r *http.Request) (*httptest.ResponseRecorder, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
		})
		begin := time.Now()
		got, err := source.Token(t.Context())
		if err != nil || got.Reveal() != old.Reveal() || time.Since(begin) != 0 {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		// the old one is not handed out in its last ten seconds
		time.Sleep(15*time.Minute - 9*time.Second)
		if _, err := source.Token(t.Context()); !errors.Is(err, token.ErrUnavailable) {
			t.Errorf("an expiring token was handed out: %v", err)
		}
	})
}

func TestRetryAfterIsKept(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			source, e := simple(t)
			e.fails = func(*http.Request) (*httptest.ResponseRecorder, error) {
				if len(e.instants()) > 3 {
					return nil, nil
				}
				w := httptest.NewRecorder()
				w.Header().Set("Retry-After", "7")
				refuse(w, status, "temporarily_unavailable", "")
				return w, nil
			}
			begin := time.Now()
			if _, err := source.Token(t.Context()); err != nil || time.Since(begin) < 21*time.Second {
				t.Errorf("%v after %s", err, time.Since(begin))
			}
			at := e.instants()
			for i := 1; i < len(at); i++ {
				if gap := at[i].Sub(at[i-1]); gap < 7*time.Second || gap > 8*time.Second {
					t.Errorf("%s between two attempts", gap)
				}
			}
		})
	}
}

func TestALongRetryAfterIsReportedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, e := simple(t)
		e.fails = unavailable("60")
		for range 50 {
			begin := time.Now()
			_, err := source.Token(t.Context())
			answer, ok := errors.AsType[*token.Error](err)
			if !errors.Is(err, token.ErrUnavailable) || !ok || answer.RetryAfter != time.Minute || answer.Status != 503 || time.Since(begin) != 0 {
				t.Fatalf("%v after %s", err, time.Since(begin))
			}
		}
		if e.asked() != 1 {
			t.Errorf("%d requests within Retry-After", e.asked())
		}
		e.set(func(e *endpoint) { e.fails = nil })
		time.Sleep(67 * time.Second)
		if _, err := source.Token(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestRefusalsAreNotRepeatedInALoop(t *testing.T) {
	for name, c := range map[string]struct {
		option token.Option
		want   error
	}{
		"client": {nil, token.ErrInvalidClient},
		"scope":  {token.WithScopes("denied"), token.ErrInvalidScope},
		"target": {token.WithResource("urn:denied"), token.ErrInvalidTarget},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEndpoint()
				e.secrets["right"] = time.Time{}
				first := "right"
				var options []token.Option
				if c.option == nil {
					first = "wrong"
				} else {
					options = append(options, c.option)
				}
				m := newMount(t, entries(first))
				source := newSource(t, token.Secret(m.dir), e, options...)
				for range 600 {
					if _, err := source.Token(t.Context()); !errors.Is(err, c.want) {
						t.Fatal(err)
					}
					time.Sleep(100 * time.Millisecond)
				}
				if e.asked() < 4 || e.asked() > 12 {
					t.Errorf("%d requests in a minute", e.asked())
				}
				if c.option == nil { // the files change: there is no pause
					m.write(t, entries("right"))
					if _, err := source.Token(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

func TestACallerWaitsAsLongAsItsContextAndTheRequestGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, e := simple(t)
		e.fails = func(r *http.Request) (*httptest.ResponseRecorder, error) {
			pause(r.Context(), 5*time.Second)
			return nil, r.Context().Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if _, err := source.Token(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		if _, err := source.Token(t.Context()); err != nil || e.asked() != 1 {
			t.Errorf("%v, %d requests", err, e.asked())
		}
		if _, err := source.Token(ctx); err != nil {
			t.Errorf("a token at hand needs no context: %v", err)
		}
	})
}

func TestInvalidateWorksOnceASecondAndForTheCurrentTokenAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, e := simple(t)
		first, err := source.Token(t.Context())
		must(t, err)
		source.Invalidate(first)
		second, err := source.Token(t.Context())
		must(t, err)
		source.Invalidate(second) // within the second
		source.Invalidate(first)
		if again, err := source.Token(t.Context()); err != nil || again.Reveal() != second.Reveal() || first.Reveal() == second.Reveal() {
			t.Errorf("%v, %q, %q, %q", err, first.Reveal(), second.Reveal(), again.Reveal())
		}
		time.Sleep(2 * time.Second)
		source.Invalidate(first) // an old one
		if again, err := source.Token(t.Context()); err != nil || again.Reveal() != second.Reveal() {
			t.Error("an old token dropped the current one")
		}
		source.Invalidate(second)
		if again, err := source.Token(t.Context()); err != nil || again.Reveal() == second.Reveal() || e.asked() != 3 {
			t.Errorf("%v, %d requests", err, e.asked())
		}
	})
}

func TestARequestHasWhatWasConfigured(t *testing.T) {
	e := newEndpoint()
	id := "https://agent.test/with:colon"
	e.fails = func(r *http.Request) (*httptest.ResponseRecorder, error) {
		user, password, _ := r.BasicAuth()
		if user != url.QueryEscape(id) || password != url.QueryEscape("a+b%c:d/=") {
			t.Errorf("Basic has %q and %q", user, password)
		}
		if r.Form.Has("client_id") || r.Form.Has("client_secret") {
			t.Error("there are two methods of authentication")
		}
		return nil, nil
	}
	m := newMount(t, map[string]string{"client_id": id, "client_secret": "a+b%c:d/=\n", "token_url": "https://unreachable.test/oauth2/token", "internal_token_url": issuer + "/oauth2/token"})
	source := newSource(t, token.Secret(m.dir), e, token.WithScopes("read", "write"), token.WithResource("urn:orders"))
	if _, err := source.Token(t.Context()); !errors.Is(err, token.ErrInvalidClient) {
		t.Error(err)
	}
	if got := e.last().Encode(); got != "grant_type=client_credentials&resource=urn%3Aorders&scope=read+write" {
		t.Error(got)
	}
}

func TestEveryCredentialAuthenticates(t *testing.T) {
	elliptic256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	dir := newMount(t, map[string]string{"client_id": clientID, "token_url": issuer + "/oauth2/token", "issuer_url": issuer}).dir
	tokenFile := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(tokenFile, []byte("from-the-cluster\n"), 0o600))
	type credential struct {
		c       token.Credential
		options []token.Option
		key     crypto.PublicKey
	}
	cases := map[string]credential{
		"service account": {c: token.ServiceAccount(tokenFile, dir)},
		"federated":       {c: token.Federated(tokenFile, clientID), options: []token.Option{token.WithIssuer(issuer)}},
		"federated, by a function": {
			c:       token.FederatedFunc(func(context.Context) (string, error) { return "from-the-cluster", nil }, clientID),
			options: []token.Option{token.WithIssuer(issuer)},
		},
		"federated, mounted": {c: token.Federated(tokenFile, ""), options: []token.Option{token.WithConfig(dir)}},
	}
	for name, key := range map[string]crypto.Signer{"ES256": elliptic256, "EdDSA": edwards, "RS256": long} {
		cases[name] = credential{token.PrivateKey("", key, "kid"), []token.Option{token.WithConfig(dir)}, key.Public()}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
		must(t, err)
		file := filepath.Join(t.TempDir(), "tls.key")
		must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
		cases[name+" in a file"] = credential{token.PrivateKeyFile(clientID, file), []token.Option{token.WithIssuer(issuer)}, key.Public()}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint()
			e.assertions["from-the-cluster"], e.key = true, c.key
			source := newSource(t, c.c, e, c.options...)
			if _, err := source.Token(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// The error of a function that has no token is one of the credential, and stays what it is.
func TestATokenOfAnotherIssuerThatCannotBeHad(t *testing.T) {
	away := errors.New("the agent is away")
	for want, fetch := range map[error]func(context.Context) (string, error){
		away:                     func(context.Context) (string, error) { return "", away },
		token.ErrCredential:      func(context.Context) (string, error) { return "", nil },
		context.DeadlineExceeded: func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() },
	} {
		synctest.Test(t, func(t *testing.T) {
			source := newSource(t, token.FederatedFunc(fetch, clientID), newEndpoint(), token.WithIssuer(issuer))
			if _, err := source.Token(t.Context()); !errors.Is(err, want) || !errors.Is(err, token.ErrCredential) {
				t.Errorf("not %v: %v", want, err)
			}
		})
	}
}

// A file of a key or a token that is replaced is used from the next request on.
func TestReplacedFilesAreUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint()
		file := filepath.Join(t.TempDir(), "token")
		source := newSource(t, token.Federated(file, clientID), e, token.WithIssuer(issuer))
		if _, err := source.Token(t.Context()); !errors.Is(err, token.ErrCredential) || !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		for i := range 3 {
			content := fmt.Sprint("token-", i)
			must(t, os.WriteFile(file, []byte(content), 0o600))
			e.set(func(e *endpoint) { e.assertions = map[string]bool{content: true} })
			if _, err := source.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
			if e.last().Get("client_assertion") != content {
				t.Errorf("used %q", e.last().Get("client_assertion"))
			}
			time.Sleep(time.Hour)
		}
	})
}

// The entries of a directory are of one version, however often the kubelet swaps it meanwhile.
func TestEntriesAreOfOneVersion(t *testing.T) {
	pair := func(i int) map[string]string {
		m := entries(fmt.Sprint("secret-", i))
		m["client_id"] = fmt.Sprint("client-", i)
		return m
	}
	m := newMount(t, pair(0))
	// A read meets at most four swaps, one of them begun before: the fifth attempt is the last.
	swaps := make(chan struct{}, 3)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; i <= 300; i++ {
			<-swaps
			m.write(t, pair(i))
		}
	}()
	e := newEndpoint()
	e.fails = func(r *http.Request) (*httptest.ResponseRecorder, error) {
		id, secret, _ := r.BasicAuth()
		if strings.TrimPrefix(id, "client-") != strings.TrimPrefix(secret, "secret-") {
			t.Errorf("%s with %s", id, secret)
		}
		return nil, nil
	}
	source := newSource(t, token.Secret(m.dir), e)
	for swapping := true; swapping; {
		select {
		case <-done:
			swapping = false
		default:
		}
		for len(swaps) < cap(swaps) {
			swaps <- struct{}{}
		}
		if _, err := source.Post(t.Context(), "/oauth2/introspect", nil); errors.Is(err, token.ErrCredential) {
			t.Fatal(err)
		}
	}
}

func TestACAIsTrustedAsItChanges(t *testing.T) {
	e := newEndpoint()
	e.secrets["secret"] = time.Time{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		e.set(func(e *endpoint) { e.serve(w, r) })
	})
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	other, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(2), IsCA: true}, &x509.Certificate{}, key.Public(), key)
	must(t, err)
	mounted := entries("secret")
	mounted["token_url"] = server.URL + "/oauth2/token"
	mounted["ca.crt"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other}))
	m := newMount(t, mounted)
	source, err := token.New(token.Secret(m.dir))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := source.Token(ctx); err == nil {
		t.Fatal("an authority is trusted that is not in ca.crt")
	}
	mounted["ca.crt"] = string(ca)
	m.write(t, mounted)
	if _, err := source.Token(t.Context()); err != nil {
		t.Error(err)
	}
	mounted["ca.crt"] = "nothing"
	m.write(t, mounted)
	if _, err := source.Post(t.Context(), "/oauth2/token", url.Values{"grant_type": {"client_credentials"}}); !errors.Is(err, token.ErrCredential) {
		t.Error(err)
	}
}

// A redirect would carry the credential to another server.
func TestNoRedirectIsFollowed(t *testing.T) {
	source, e := simple(t)
	e.fails = func(*http.Request) (*httptest.ResponseRecorder, error) {
		w := httptest.NewRecorder()
		w.Header().Set("Location", "https://evil.test/oauth2/token")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return w, nil
	}
	_, err := source.Token(t.Context())
	if answer, ok := errors.AsType[*token.Error](err); !ok || answer.Status != http.StatusTemporaryRedirect || e.asked() != 1 {
		t.Errorf("%v, %d requests", err, e.asked())
	}
}

func TestAnswersThatAreNoTokens(t *testing.T) {
	for name, body := range map[string]string{
		"no JSON": "<html>", "no token": `{"token_type":"Bearer","expires_in":3600}`, "another type": `{"access_token":"a","token_type":"DPoP","expires_in":3600}`,
		"no life": `{"access_token":"a","token_type":"Bearer"}`, "negative": `{"access_token":"a","token_type":"Bearer","expires_in":-1}`,
		"a line": `{"access_token":"a\nX: y","token_type":"Bearer","expires_in":3600}`, "too long": strings.Repeat(" ", 2<<20),
	} {
		source, e := simple(t)
		e.fails = func(*http.Request) (*httptest.ResponseRecorder, error) {
			w := httptest.NewRecorder()
			_, _ = w.WriteString(body)
			return w, nil
		}
		if got, err := source.Token(t.Context()); err == nil || got.Reveal() != "" {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestBadInputIsRefusedWithWhatToDo(t *testing.T) {
	for name, option := range map[string]token.Option{
		"resource": token.WithResource("orders"), "fragment": token.WithResource("urn:a#b"), "scope": token.WithScopes("a b"), "client": token.WithHTTPClient(nil),
		"issuer": token.WithIssuer("https://hallpass.test/path"), "overlap": token.WithOverlap(-time.Second),
	} {
		if _, err := token.New(token.Secret("/"), option); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := token.New(nil); err == nil {
		t.Error("no credential: accepted")
	}
	empty := t.TempDir()
	plain := newMount(t, map[string]string{"client_id": "a", "client_secret": "b", "token_url": "http://hallpass.test/oauth2/token"}).dir
	none := newMount(t, map[string]string{"client_id": "a", "client_secret": "b"}).dir
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	for want, c := range map[string]token.Credential{
		"no client_id or no client_secret": token.Secret(empty),
		"no such file":                     token.Secret(filepath.Join(empty, "missing", "file")),
		"WithPlainHTTP":                    token.Secret(plain),
		"token endpoint is missing":        token.Secret(none),
		"the client_id is missing":         token.PrivateKey("", curve, ""),
		"URL of the token endpoint":        token.PrivateKeyFile("a", pemFile(t, weak)),
		"no private key in PEM":            token.PrivateKeyFile("a", filepath.Join(plain, "client_id")),
	} {
		source, err := token.New(c)
		must(t, err)
		if _, err = source.Token(t.Context()); !errors.Is(err, token.ErrCredential) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for name, c := range map[string]token.Credential{"P-384": token.PrivateKey("a", curve, ""), "RSA of 1024 bits": token.PrivateKeyFile("a", pemFile(t, weak))} {
		source, err := token.New(c, token.WithIssuer(issuer))
		must(t, err)
		if _, err := source.Token(t.Context()); !errors.Is(err, token.ErrCredential) || !strings.Contains(err.Error(), "neither ECDSA on P-256") {
			t.Errorf("%s: %v", name, err)
		}
	}
	source, _ := simple(t)
	for _, path := range []string{"https://evil.test/", "//evil.test/", "oauth2"} {
		if _, err := source.Post(t.Context(), path, nil); err == nil {
			t.Errorf("a credential was sent to %s", path)
		}
	}
}

func pemFile(t *testing.T, key *rsa.PrivateKey) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600))
	return file
}

func TestNothingPrintsATokenOrASecret(t *testing.T) {
	const secret = "hp_very-secret"
	e := newEndpoint()
	e.secrets[secret] = time.Time{}
	dir := newMount(t, entries(secret)).dir
	source := newSource(t, token.Secret(dir), e)
	got, err := source.Token(t.Context())
	must(t, err)
	type holder struct {
		hidden token.Token
		Source *token.Source
		Shown  token.Token
	}
	h := holder{got, source, got}
	var all strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		for _, value := range []any{got, &got, h, &h, []token.Token{got}, source, token.Token{}} {
			fmt.Fprintf(&all, verb+"\n", value)
		}
	}
	encoded, err := json.Marshal(map[string]any{"token": got, "held": h, "tokens": map[string]token.Token{"a": got}})
	must(t, err)
	all.Write(encoded)
	var lines bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&lines, nil), slog.NewTextHandler(&lines, nil)} {
		slog.New(handler).Info("a token", "token", got, "pointer", &got, "held", h, "source", source)
	}
	all.Write(lines.Bytes())
	text, err := got.MarshalText()
	must(t, err)
	all.Write(text)
	all.WriteString(got.String() + got.GoString() + source.GoString())
	for _, hidden := range []string{got.Reveal(), secret, fmt.Sprintf("%x", got.Reveal())} {
		if strings.Contains(all.String(), hidden) {
			t.Errorf("%q is in %s", hidden, all.String())
		}
	}
	if strings.Count(all.String(), "REDACTED") < 40 {
		t.Error("tokens are not printed as REDACTED")
	}
	e.set(func(e *endpoint) { e.secrets = nil })
	source = newSource(t, token.Secret(dir), e)
	if _, err := source.Token(t.Context()); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("an error has the secret: %v", err)
	}
}

// The module links what it promises, and nothing else.
func TestImports(t *testing.T) {
	output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "github.com/hallpass-dev/hallpass/client/...").Output()
	must(t, err)
	for path := range strings.FieldsSeq(string(output)) {
		if !strings.HasPrefix(path, "github.com/hallpass-dev/hallpass/client/") && path != "golang.org/x/oauth2" && path != "golang.org/x/oauth2/internal" {
			t.Errorf("the module imports %s", path)
		}
	}
	if !strings.Contains(string(output), "golang.org/x/oauth2") {
		t.Errorf("go list printed %q", output)
	}
}
