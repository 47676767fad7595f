// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package mcp_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const (
	byPlatform = memory.Namespace + ".by-platform"
	platform   = "https://gitlab.example.com"
)

// federate registers a client that authenticates by the JWTs of a platform, and writes one.
func (w *scene) federate(t *testing.T) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, jws.MinRSABits)
	world.Must(t, err)
	signer, err := jws.NewSigner(jws.RS256, key)
	world.Must(t, err)
	keys, err := jws.PackKeys(signer.Public())
	world.Must(t, err)
	w.hallpass.Trust(oauth2.TrustedIssuer{
		Name: "gitlab", UID: "uid-of-gitlab", Issuer: platform, Keys: oauth2.IssuerKeys{Set: keys}, Delegations: []oauth2.Delegation{{Namespaces: []string{memory.Namespace}}},
	})
	w.hallpass.Register(strings.TrimPrefix(byPlatform, memory.Namespace+"."), "deploy")
	w.hallpass.Change(byPlatform, func(c *oauth2.Client) {
		c.GrantTypes = oauth2.ClientCredentials | oauth2.JWTBearer
		c.Credentials = oauth2.Credentials{Federated: &oauth2.Federated{
			IssuerName: "gitlab", Claims: []oauth2.RequiredClaim{{Name: "project_id", Values: []string{"20"}}},
		}}
	})
	now := time.Now()
	payload, err := json.Marshal(map[string]any{
		"iss": platform, "sub": "project_path:my-group/my-project:ref_type:branch:ref:main", "aud": w.issuer, "project_id": "20",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": "job-1",
	})
	world.Must(t, err)
	token, err := signer.Sign("JWT", payload)
	world.Must(t, err)
	w.write(t, "token", token)
}

// exchangeable lets the client with a secret exchange the tokens of its namespace for those of a
// ledger, and returns one of another client.
func (w *scene) exchangeable() (token string) {
	caller := w.hallpass.Register("caller", "read")
	w.hallpass.Declare(oauth2.Resource{
		Identifier: "https://ledger.example.com", UID: "uid-of-ledger", Namespace: "ledger", Name: "api", Scopes: []string{"post"},
		Exchanged: []oauth2.Consent{{Namespaces: []string{memory.Namespace}, Scopes: []string{"post"}}},
	})
	w.hallpass.Change(bySecret, func(c *oauth2.Client) {
		c.GrantTypes = oauth2.ClientCredentials | oauth2.TokenExchange
		c.Access = append(c.Access, oauth2.Access{Resource: oauth2.ObjectName{Namespace: "ledger", Name: "api"}, Scopes: []string{"post"}})
	})
	return w.hallpass.Token(caller)
}

// openid-client, on which many Node programs are built, gets tokens by a secret, by a key and by
// the JWT of a platform, as assertion and as grant, and exchanges a token.
func TestOpenIDClientGetsTokens(t *testing.T) {
	t.Parallel()
	for method, c := range map[string]struct{ client, subject string }{
		"secret": {bySecret, bySecret}, "key": {byKey, byKey}, "federated": {byPlatform, byPlatform}, "grant": {byPlatform, byPlatform},
		"exchange": {bySecret, memory.Namespace + ".caller"},
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := newScene(t)
			w.federate(t)
			call := nodeProgram(t, w, "openid.mjs", method)
			call.Env = append(call.Env, "CLIENT_ID="+c.client, "CLIENT_SECRET="+w.hallpass.Secret(c.client),
				"SUBJECT_TOKEN="+w.exchangeable(), "TARGET=https://ledger.example.com")
			output, err := run(t, call)
			token := strings.TrimSpace(output)
			if err != nil || strings.Count(token, ".") != 2 {
				t.Fatalf("%v: %s\nthe audit log:\n%s", err, output, w.hallpass.Audit)
			}
			line := w.hallpass.Audit.String()
			if !strings.Contains(line, `"client_id":"`+c.client+`"`) {
				t.Errorf("the audit log:\n%s", line)
			}
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
			if err != nil || !strings.Contains(string(payload), `"sub":"`+c.subject+`"`) {
				t.Errorf("the token has %s, %v; want one of %s", payload, err, c.subject)
			}
		})
	}
}

// nodeProgram runs a program beside the libraries that npm installs by the lock file.
func nodeProgram(t *testing.T, w *scene, name string, arguments ...string) *exec.Cmd {
	t.Helper()
	call := node("", "")(t, w)
	call.Args = append([]string{call.Args[0], name}, arguments...)
	return call
}
