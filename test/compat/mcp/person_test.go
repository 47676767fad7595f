// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package mcp_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
	"github.com/hallpass-dev/hallpass/test/kit/packages"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// An SDK gets a token for a person with the identity assertion of a company's provider, which the
// test signs in its place, and calls a tool.
func TestAnSDKActsForAPerson(t *testing.T) {
	t.Parallel()
	lock := packages.SDKs(t)
	for _, s := range []sdk{
		{name: "TypeScript", version: lock["@modelcontextprotocol/client"], provider: "CrossAppAccessProvider", client: bySecret, start: node("2", "person")},
		{name: "Python", version: lock["mcp 2"], provider: "IdentityAssertionOAuthProvider", client: bySecret, start: python("2", "person")},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newScene(t)
			w.serveVerifying(t)
			w.vouchForPerson(t)
			output, err := run(t, s.start(t, w))
			if err != nil || !strings.Contains(output, "you are "+s.client+", for user:corp:00u1\n") {
				t.Fatalf("the tool is not called: %v: %s\nthe audit log:\n%s", err, output, w.hallpass.Audit)
			}
			if log := w.hallpass.Audit.String(); !strings.Contains(log, `"sub":"user:corp:00u1"`) || !strings.Contains(log, `"subject_jti":"jag-1"`) {
				t.Errorf("no token acts for the person:\n%s", log)
			}
			if row := s.row(w.sent(t)); !strings.Contains(read(t, "docs/mcp.md"), row+"\n") {
				t.Errorf("docs/mcp.md lacks the row\n%s", row)
			}
		})
	}
}

// vouchForPerson trusts an issuer of persons, and writes its assertion of one for a client.
func (w *scene) vouchForPerson(t *testing.T) {
	t.Helper()
	const issuer = "https://idp.example.com"
	_, signer := w.newKey(t)
	keys, err := jws.PackKeys(signer.Public())
	world.Must(t, err)
	w.hallpass.Trust(oauth2.TrustedIssuer{
		Name: "corp", UID: "uid-of-corp", Issuer: issuer, Uses: oauth2.UsePerson, Keys: oauth2.IssuerKeys{Set: keys},
		Delegations: []oauth2.Delegation{{Namespaces: []string{memory.Namespace}}},
	})
	w.hallpass.Change(bySecret, func(c *oauth2.Client) { c.GrantTypes = oauth2.ClientCredentials | oauth2.JWTBearer })
	now := time.Now()
	payload, err := json.Marshal(map[string]any{
		"iss": issuer, "sub": "00u1", "aud": w.issuer, "client_id": bySecret, "resource": w.resource, "scope": "tools.call", "jti": "jag-1",
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	})
	world.Must(t, err)
	assertion, err := signer.Sign(oauth2.IdentityAssertionType, payload)
	world.Must(t, err)
	w.write(t, "person", assertion)
}
