// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const minioPassword = "chosen-for-the-test"

// minioServer is a MinIO with the documented configuration.
type minioServer struct {
	address, caFile string
	programs        string // where minio, mc and the documented worker are
	printed         *output
}

// buildMinIO builds MinIO and mc, of the module beside this file, and the documented worker.
func buildMinIO(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for from, packages := range map[string][]string{"minio": {"github.com/minio/minio", "github.com/minio/mc"}, filepath.Join(docs, "minio"): {"./worker"}} {
		build := exec.CommandContext(t.Context(), "go", append([]string{"build", "-trimpath", "-o", dir + "/"}, packages...)...)
		build.Dir, build.Env = from, append(os.Environ(), "CGO_ENABLED=0")
		if printed, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %v: %v: %s", packages, err, printed)
		}
	}
	return dir
}

// startMinIO starts MinIO, which trusts the CA of Hallpass, and creates what the documented script
// creates.
func startMinIO(t *testing.T, issuer, audience, hallpassCA string) *minioServer {
	t.Helper()
	programs := buildMinIO(t)
	certFile, keyFile, caFile := certify(t)
	certificates := t.TempDir()
	must(t, os.Mkdir(filepath.Join(certificates, "CAs"), 0o700))
	for from, to := range map[string]string{certFile: "public.crt", keyFile: "private.key", hallpassCA: "CAs/hallpass.crt"} {
		must(t, os.Link(from, filepath.Join(certificates, to)))
	}
	config := configure(t, "minio/minio.env", "https://hallpass.example.com/resources/platform/minio", audience, "https://hallpass.example.com", issuer,
		"REPLACE_WITH_A_RANDOM_VALUE", minioPassword)
	m := &minioServer{address: strings.Replace(world.FreeAddress(t), "127.0.0.1", "localhost", 1), caFile: caFile, programs: programs}
	m.printed = runWith(t, []string{"MINIO_CONFIG_ENV_FILE=" + config, "MINIO_ROOT_USER=administrator", "MINIO_ROOT_PASSWORD=" + minioPassword, "MINIO_BROWSER=off"},
		filepath.Join(programs, "minio"), "server", "--certs-dir", certificates, "--address", m.address, t.TempDir())
	client := httpsClient(t, caFile)
	eventually(t, "MinIO is ready", func() bool {
		response, err := client.Get("https://" + m.address + "/minio/health/ready") //nolint:noctx // on loopback
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil && response.StatusCode == http.StatusOK
	})
	script := m.mc(t, "administrator:"+minioPassword, filepath.Join(docs, "minio", "setup.sh"), "store")
	if printed, err := script.CombinedOutput(); err != nil {
		t.Fatalf("create the bucket and its policies: %v: %s", err, printed)
	}
	return m
}

// mc is a command in whose environment mc has an alias for this MinIO with these credentials.
func (m *minioServer) mc(t *testing.T, credentials, name string, arguments ...string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, arguments...)
	command.Env = append(os.Environ(), "PATH="+m.programs+":"+os.Getenv("PATH"), "MC_CONFIG_DIR="+t.TempDir(), "SSL_CERT_FILE="+m.caFile,
		"MC_HOST_store=https://"+credentials+"@"+m.address)
	return command
}

// credentials asks for credentials for a token, and returns them or the refusal.
func (m *minioServer) credentials(t *testing.T, token string) (credentials, refusal string) {
	t.Helper()
	form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "WebIdentityToken": {token}, "DurationSeconds": {"31536000"}}
	response, err := httpsClient(t, m.caFile).PostForm("https://"+m.address, form) //nolint:noctx // on loopback
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	if response.StatusCode != http.StatusOK {
		return "", string(body)
	}
	var answer struct {
		Issued struct {
			AccessKeyID     string `xml:"AccessKeyId"`
			SecretAccessKey string
			SessionToken    string
			Expiration      time.Time
		} `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	}
	must(t, xml.Unmarshal(body, &answer))
	if life := time.Until(answer.Issued.Expiration); life > 15*time.Minute+time.Second {
		t.Errorf("the credentials live for %s, more than minio.env allows", life)
	}
	return answer.Issued.AccessKeyID + ":" + answer.Issued.SecretAccessKey + ":" + answer.Issued.SessionToken, ""
}

// byHMAC signs a token with a secret under the kid by which MinIO finds the secret of its
// configuration.
func byHMAC(secret, audience, claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	input := part(fmt.Appendf(nil, `{"alg":"HS256","typ":"at+jwt","kid":%q}`, audience)) + "." + part([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(input))
	return input + "." + part(mac.Sum(nil))
}

// MinIO issues credentials for tokens, with the policy of the token's scope. A worker stores
// objects over the end of its credentials, a rotation of the secret and one of the signing keys,
// until its client is suspended.
//
// MinIO takes longer to build than other tests take.
func TestMinIOIssuesCredentialsForTokens(t *testing.T) {
	if testing.Short() {
		t.Skip("make long")
	}
	listener := memory.Listen(t)
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	issuer := "https://localhost:" + port
	hallpass := memory.New(t, issuer)
	caFile := hallpass.Serve(listener)
	name, scopes := oauth2.ObjectName{Namespace: "platform", Name: "minio"}, []string{"orders.read", "orders.write", "other"}
	audience := issuer + "/resources/platform/minio"
	hallpass.Declare(oauth2.Resource{
		Identifier: audience, UID: "uid-of-minio", Namespace: name.Namespace, Name: name.Name, Scopes: scopes,
		Consents: []oauth2.Consent{{Namespaces: []string{memory.Namespace}, Scopes: scopes}},
	})
	register := func(client string, scopes ...string) string {
		id := hallpass.Register(client)
		hallpass.Change(id, func(c *oauth2.Client) { c.Access = []oauth2.Access{{Resource: name, Scopes: scopes}} })
		return id
	}
	worker, reader, both, other := register("worker", "orders.write"), register("reader", "orders.read"),
		register("both", "orders.read", "orders.write"), register("other", "other")
	hallpass.SetTokenLifetime(worker, 8*time.Second)
	m := startMinIO(t, issuer, audience, caFile)
	dir := mounted(t, hallpass, issuer, caFile, worker)
	printed := runWith(t, []string{
		"HALLPASS_DIR=" + dir, "RESOURCE=" + audience, "SCOPE=orders.write", "MINIO_URL=https://" + m.address, "MINIO_CA_FILE=" + m.caFile,
	}, filepath.Join(m.programs, "worker"))
	stores := func(when string) {
		t.Helper()
		before := strings.Count(printed.String(), "stored ")
		eventually(t, "the worker stores two objects "+when, func() bool { return strings.Count(printed.String(), "stored ") >= before+2 })
	}
	stores("at first")

	m.refusesBadTokens(t, hallpass, issuer, audience, reader, map[string]string{
		"another audience":       hallpass.Token(reader),
		"a scope without policy": hallpass.TokenFor(other, audience),
		"two scopes":             hallpass.TokenFor(both, audience),
	})
	credentials, refusal := m.credentials(t, hallpass.TokenFor(reader, audience))
	if refusal != "" {
		t.Fatalf("a client with one scope: %s", refusal)
	}
	if got, err := m.mc(t, credentials, filepath.Join(m.programs, "mc"), "cat", "store/orders/latest").Output(); err != nil || len(got) == 0 {
		t.Errorf("a client that may read: %q, %v", got, err)
	}
	writes := m.mc(t, credentials, filepath.Join(m.programs, "mc"), "pipe", "store/orders/latest")
	writes.Stdin = strings.NewReader("forged")
	if got, err := writes.CombinedOutput(); err == nil || !strings.Contains(string(got), "Insufficient permissions") {
		t.Errorf("a client that may read writes: %s, %v", got, err)
	}

	remount(t, dir, issuer, caFile, worker, newSecret(t, hallpass, worker))
	endFormer(hallpass, worker)
	hallpass.RotateKeys()
	tokens := tokensOf(hallpass, worker)
	eventually(t, "the worker has two more tokens", func() bool { return tokensOf(hallpass, worker) >= tokens+2 })
	stores("after the rotations")
	if text := printed.String(); strings.Contains(text, "write:") || strings.Contains(text, "read") {
		t.Errorf("the worker had an error: %s", text)
	}
	hallpass.Suspend(worker)
	eventually(t, "a suspended client gets no credentials", func() bool { return strings.Contains(printed.String(), "invalid_client") })
}

// refusesBadTokens asks for credentials with tokens that MinIO must refuse, and with one that it
// must accept.
func (m *minioServer) refusesBadTokens(t *testing.T, hallpass *memory.Server, issuer, audience, client string, bad map[string]string) {
	t.Helper()
	with := func(name string, value any) string {
		return tokenClaims(t, issuer, audience, client, map[string]any{"scope": "orders.read", name: value})
	}
	good := with("scope", "orders.read")
	if _, refusal := m.credentials(t, hallpass.Sign("at+jwt", good)); refusal != "" {
		t.Fatalf("a token that was made for this test: %s", refusal)
	}
	bad["nonsense"] = "a.b.c"
	bad["no signature"] = unsigned(good)
	bad["another key"] = memory.New(t, issuer).Sign("at+jwt", good)
	bad["an expired token"] = hallpass.Sign("at+jwt", with("exp", time.Now().Add(-time.Minute).Unix()))
	bad["an empty secret"] = byHMAC("", audience, good)
	for what, token := range bad {
		if _, refusal := m.credentials(t, token); !strings.Contains(refusal, "<Code>") {
			t.Errorf("%s: MinIO issues credentials", what)
		}
	}
}
