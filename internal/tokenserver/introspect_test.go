// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func (w *world) introspect(caller, token string) call {
	return call{path: oauth2.IntrospectionPath, basic: caller, body: "token=" + url.QueryEscape(token)}
}

func TestIntrospectionDescribesTokensToThoseConcerned(t *testing.T) {
	for name, caller := range map[string]string{
		"the client that it was issued to":         reporting,
		"another client of the audience namespace": billing,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			answer := w.do(w.introspect(caller, w.token(reporting)))
			var body map[string]any
			if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if id, _ := body["jti"].(string); len(id) != 22 {
				t.Errorf("jti %q", id)
			}
			delete(body, "jti")
			want := map[string]any{
				"active": true, "iss": testIssuer, "sub": reporting, "aud": testIssuer + "/ns/shop", "client_id": reporting,
				"client_uid": "uid-of-" + reporting, "sub_type": "client", "scope": "read write", "token_type": "Bearer",
				"iat": float64(noon.Unix()), "exp": float64(noon.Add(time.Hour).Unix()),
			}
			if diff := cmp.Diff(want, body); diff != "" {
				t.Error("answer (-want +got):\n" + diff)
			}
			checkHeaders(t, answer.Header(), http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}})
		})
	}
}

// Whatever the reason, the caller reads the same bytes; only the audit line knows.
func TestIntrospectionSaysNoWithOneBody(t *testing.T) {
	issue := func(w *world) string { return w.token(reporting) }
	for name, c := range map[string]struct {
		caller string
		token  func(w *world) string
		after  func(w *world)
		denial oauth2.Reason
	}{
		"a token that never was":                               {reporting, func(*world) string { return "a.b.c" }, nil, oauth2.ReasonTokenMalformed},
		"a token of a foreign key":                             {reporting, func(*world) string { return newWorld(t).token(reporting) }, nil, oauth2.ReasonTokenKeyUnknown},
		"a tampered signature":                                 {reporting, func(w *world) string { return tamper(w.token(reporting)) }, nil, oauth2.ReasonTokenSignature},
		"another namespace's token":                            {stranger, issue, nil, oauth2.ReasonNotForCaller},
		"a token that has just ended":                          {reporting, issue, func(w *world) { w.now = noon.Add(time.Hour) }, oauth2.ReasonTokenExpired},
		"a token a second past its end":                        {reporting, issue, func(w *world) { w.now = noon.Add(time.Hour + time.Second) }, oauth2.ReasonTokenExpired},
		"the token of a suspended client":                      {billing, issue, func(w *world) { w.dir.known[reporting].Owner.Suspended = true }, oauth2.ReasonSuspended},
		"the token of a client that its registration suspends": {billing, issue, func(w *world) { w.dir.known[reporting].Client.Suspended = true }, oauth2.ReasonSuspended},
		"the token of a client that is going":                  {billing, issue, func(w *world) { w.dir.known[reporting].Owner.Terminating = true }, oauth2.ReasonOwnerGone},
		"the token of a client that is gone":                   {billing, issue, func(w *world) { delete(w.dir.known, reporting); delete(w.dir.source, reporting) }, oauth2.ReasonUnknownClient},
		"the token of a client made again under its name": {billing, issue, func(w *world) {
			again := w.dir.known[reporting]
			again.Client.UID, again.Owner.UID = "another", "another"
			w.dir.known[reporting], w.dir.source[reporting] = again, again
		}, oauth2.ReasonTokenClientChanged},
		"a token with a twin of one of our claims": {reporting, func(w *world) string {
			key, err := w.dir.ring.SigningKey(w.now)
			if err != nil {
				t.Fatal(err)
			}
			token, err := key.Sign("at+jwt", fmt.Appendf(nil, `{"iss":%q,"sub":%q,"aud":%q,"client_id":%q,"client_uid":%q,"jti":"a","iat":%d,"exp":%d,"Scope":"admin"}`,
				testIssuer, reporting, testIssuer+"/ns/shop", reporting, "uid-of-"+reporting, noon.Unix(), noon.Add(time.Hour).Unix()))
			if err != nil {
				t.Fatal(err)
			}
			return token
		}, nil, oauth2.ReasonTokenClaimReserved},
		"a client secret": {reporting, func(w *world) string { return w.secrets[reporting] }, nil, oauth2.ReasonTokenMalformed},
		"a token of another type": {reporting, func(w *world) string {
			key, err := w.dir.ring.SigningKey(w.now)
			if err != nil {
				t.Fatal(err)
			}
			token, err := key.Sign("JWT", []byte(`{"iss":"`+testIssuer+`"}`))
			if err != nil {
				t.Fatal(err)
			}
			return token
		}, nil, oauth2.ReasonTokenForeign},
		"a token hint is no help": {reporting, func(*world) string { return "x&token_type_hint=access_token" }, nil, oauth2.ReasonTokenMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token := c.token(w)
			if c.after != nil {
				c.after(w)
			}
			answer := w.do(w.introspect(c.caller, token))
			if answer.Code != http.StatusOK || answer.Body.String() != `{"active":false}` {
				t.Errorf("got %d %s", answer.Code, answer.Body)
			}
			if got := w.lastAudit()["token_denial"]; got != string(c.denial) {
				t.Errorf("the audit line says %v, want %s", got, c.denial)
			}
		})
	}
}

func TestCustomClaimsAreInTokensAndIntrospection(t *testing.T) {
	w := newWorld(t)
	w.dir.known[reporting].Client.Tokens.Claims = []oauth2.Claim{{Name: "teams", Values: []string{"<a>", "b"}}, {Name: "tier", Value: "gold"}}
	token := w.token(reporting)
	claims, err := w.validate(token, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w.dir.known[reporting].Client.Tokens.Claims, claims.Custom); diff != "" {
		t.Error("claims (-want +got):\n" + diff)
	}
	// The claims of the token count, not the client's spec by now.
	w.dir.known[reporting].Client.Tokens.Claims = nil
	answer := w.do(w.introspect(billing, token))
	if !strings.HasSuffix(answer.Body.String(), `,"teams":["<a>","b"],"tier":"gold"}`) {
		t.Errorf("got %s", answer.Body)
	}
}

func TestTheLargestTokenIsStillRead(t *testing.T) {
	w := newWorld(t)
	c := w.dir.known[reporting].Client
	c.Tokens.Claims = []oauth2.Claim{{Name: "a", Value: strings.Repeat("<", 2047)}}
	if answer := w.do(w.introspect(billing, w.token(reporting))); !strings.HasPrefix(answer.Body.String(), `{"active":true`) {
		t.Errorf("got %s", answer.Body)
	}
	c.Scopes = nil
	for i := range 64 {
		c.Scopes = append(c.Scopes, strings.Repeat("s", 100+i))
	}
	c.Scopes = append(c.Scopes, "read")
	if answer := w.do(call{basic: reporting, body: grant + "&scope=read"}); answer.Code != http.StatusOK {
		t.Errorf("one of many scopes: %d %s", answer.Code, answer.Body)
	}
	if answer := w.do(call{basic: reporting, body: grant}); answer.Code != http.StatusBadRequest {
		t.Errorf("a token that nobody reads is issued: %d", answer.Code)
	}
}

func TestIntrospectionUntilTheLastSecond(t *testing.T) {
	w := newWorld(t)
	token := w.token(reporting)
	w.now = noon.Add(time.Hour - time.Second)
	if answer := w.do(w.introspect(reporting, token)); !strings.HasPrefix(answer.Body.String(), `{"active":true`) {
		t.Errorf("a second before exp: %s", answer.Body)
	}
}

func TestIntrospectionRefusesCallers(t *testing.T) {
	w := newWorld(t)
	token := w.token(reporting)
	for name, c := range map[string]struct {
		call   call
		status int
	}{
		"nobody":                       {call{body: "token=" + token}, 401},
		"the token as its own witness": {call{body: "token=" + token, header: http.Header{"Authorization": {"Bearer " + token}}}, 401},
		"a suspended client":           {call{basic: suspended, body: "token=" + token}, 401},
		"no token":                     {call{basic: reporting}, 400},
		"an empty token":               {call{basic: reporting, body: "token="}, 400},
		"two tokens":                   {call{basic: reporting, body: "token=a&token=b"}, 400},
		"GET":                          {call{basic: reporting, method: http.MethodGet}, 405},
		"JSON":                         {call{basic: reporting, header: http.Header{"Content-Type": {"application/json"}}}, 415},
	} {
		t.Run(name, func(t *testing.T) {
			c.call.path = oauth2.IntrospectionPath
			answer := w.do(c.call)
			if answer.Code != c.status || !strings.HasPrefix(answer.Body.String(), `{"error":"invalid_`) {
				t.Errorf("got %d %s, want %d", answer.Code, answer.Body, c.status)
			}
		})
	}
}

// A token of a client that this replica does not know is looked up, and where that is not possible
// the answer is not "no".
func TestIntrospectionLooksUpTheClientOfAToken(t *testing.T) {
	w := newWorld(t)
	token := w.token(reporting)
	w.onlyAtSource(reporting)
	if answer := w.do(w.introspect(billing, token)); !strings.HasPrefix(answer.Body.String(), `{"active":true`) {
		t.Errorf("the source knows the client: %d %s", answer.Code, answer.Body)
	}
	w.dir.failing = errAway
	answer := w.do(w.introspect(billing, token))
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
		t.Errorf("the source is away: %d %s, Retry-After %q", answer.Code, answer.Body, answer.Header().Get("Retry-After"))
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
