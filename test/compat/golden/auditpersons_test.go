// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package golden_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// persons are requests for the token of a person, and an introspection of it.
func persons() map[string]func(w *auditFixture) {
	prepare := func(w *auditFixture) {
		w.dir.issuers["github"].Uses = oauth2.UsePerson
		w.dir.resources[0].Users = w.dir.resources[0].Consents
		w.dir.known["shop.reporting"].Client.GrantTypes = oauth2.JWTBearer
	}
	bring := func(w *auditFixture, subject string) string {
		assertion := w.sign(w.key(jws.RS256), oauth2.IdentityAssertionType, fmt.Sprintf(
			`{"iss":"https://issuer.test","sub":%q,"aud":%q,"client_id":"shop.reporting","jti":"jag-1","iat":%d,"exp":%d,"resource":%q,"scope":"orders.read"}`,
			subject, issuerOfTests, noon.Unix(), noon.Add(5*time.Minute).Unix(), ordersAPI))
		answer := w.send(request{method: http.MethodPost, path: oauth2.TokenPath, header: w.basic("shop.reporting"), form: url.Values{
			"grant_type": {oauth2.GrantJWTBearer}, "assertion": {assertion},
		}})
		var token struct {
			Value string `json:"access_token"`
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &token); err != nil {
			w.t.Fatal(err)
		}
		return token.Value
	}
	introspect := func(w *auditFixture, token string) {
		w.send(request{method: http.MethodPost, path: oauth2.IntrospectionPath, header: w.basic("orders.gateway"), form: url.Values{"token": {token}}})
	}
	hashed := func(w *auditFixture) { w.audit.PersonKey = []byte("0123456789abcdef0123456789abcdef") }
	return map[string]func(w *auditFixture){
		"person: a token, and its introspection": func(w *auditFixture) { prepare(w); introspect(w, bring(w, "00u1")) },
		"person: hashed, a token, and its introspection": func(w *auditFixture) {
			prepare(w)
			hashed(w)
			introspect(w, bring(w, "00u1"))
		},
		"person: hashed, forward-auth": func(w *auditFixture) {
			prepare(w)
			hashed(w)
			w.forwardAuth(url.Values{"audience": {ordersAPI}}, []string{"Bearer " + bring(w, "00u1")})
		},
		"person: a subject with a space":      func(w *auditFixture) { prepare(w); bring(w, "x y") },
		"person: without consent to a person": func(w *auditFixture) { prepare(w); w.dir.resources[0].Users = nil; bring(w, "00u1") },
		"person: of an issuer that is gone":   func(w *auditFixture) { prepare(w); clear(w.dir.issuers); bring(w, "00u1") },
		"person: a second time":               func(w *auditFixture) { prepare(w); bring(w, "00u1"); bring(w, "00u1") },
	}
}
