// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/keyring"
)

var issuedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// passedOn are the claims of a token that two clients have passed on.
func passedOn() *Claims {
	return &Claims{
		Issuer: "https://hallpass.test", Subject: "shop.web", Audience: "https://hallpass.test/resources/stock/api",
		ClientID: "orders.api", ClientUID: "uid-orders", Scopes: []string{"stock.read"}, ID: "AwMDAwMDAwMDAwMDAwMDAw",
		IssuedAt: issuedAt, ExpiresAt: issuedAt.Add(time.Minute), Actors: []string{"orders.api", "edge.gateway"},
		Ancestors: []Ancestor{
			{ID: "second", ClientID: "edge.gateway", ClientUID: "uid-edge", KeyID: "key-2", IssuedAt: issuedAt.Add(-time.Minute)},
			{ID: "first", ClientID: "shop.web", ClientUID: "uid-web", KeyID: "key-1", IssuedAt: issuedAt.Add(-2 * time.Minute)},
		},
	}
}

// The form of an exchanged token is a promise to offline verifiers and to other versions.
func TestTheFormOfAnExchangedToken(t *testing.T) {
	const want = `{"iss":"https://hallpass.test","sub":"shop.web","aud":"https://hallpass.test/resources/stock/api","client_id":"orders.api","client_uid":"uid-orders",` +
		`"act":{"sub":"orders.api","act":{"sub":"edge.gateway"}},` +
		`"ancestors":[{"jti":"second","client_id":"edge.gateway","client_uid":"uid-edge","kid":"key-2","iat":1772366340},` +
		`{"jti":"first","client_id":"shop.web","client_uid":"uid-web","kid":"key-1","iat":1772366280}],` +
		`"scope":"stock.read","jti":"AwMDAwMDAwMDAwMDAwMDAw","iat":1772366400,"exp":1772366460}`
	payload, err := passedOn().payload()
	if err != nil || string(payload) != want {
		t.Fatalf("%v\n%s", err, payload)
	}
	again, err := parseClaims(payload)
	if diff := cmp.Diff(passedOn(), again); diff != "" || err != nil || !again.soundChain() {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	const introspected = `{"active":true,"iss":"https://hallpass.test","sub":"shop.web","aud":"https://hallpass.test/resources/stock/api","client_id":"orders.api",` +
		`"client_uid":"uid-orders","sub_type":"client","act":{"sub":"orders.api","act":{"sub":"edge.gateway"}},"scope":"stock.read","token_type":"Bearer",` +
		`"jti":"AwMDAwMDAwMDAwMDAwMDAw","iat":1772366400,"exp":1772366460}`
	if answer, err := passedOn().Introspection(); err != nil || string(answer) != introspected {
		t.Errorf("%v\n%s", err, answer)
	}
}

func TestASoundChain(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Claims)
		sound  bool
	}{
		"two hops": {func(*Claims) {}, true},
		"one hop": {func(c *Claims) {
			c.Actors, c.Ancestors, c.Subject = c.Actors[:1], c.Ancestors[:1], "edge.gateway"
		}, true},
		"a client for itself":                     {func(c *Claims) { c.Subject, c.Actors, c.Ancestors = c.ClientID, nil, nil }, true},
		"another subject, and no actor":           {func(c *Claims) { c.Actors, c.Ancestors = nil, nil }, false},
		"a client for itself, with ancestors":     {func(c *Claims) { c.Subject, c.Actors = c.ClientID, nil }, false},
		"the actor is the subject":                {func(c *Claims) { c.Subject = c.ClientID; c.Ancestors[1].ClientID = c.ClientID }, false},
		"the latest actor is not the client":      {func(c *Claims) { c.Actors[0] = "orders.other" }, false},
		"an ancestor too few":                     {func(c *Claims) { c.Ancestors = c.Ancestors[:1] }, false},
		"an actor too few":                        {func(c *Claims) { c.Actors = c.Actors[:1] }, false},
		"no ancestors":                            {func(c *Claims) { c.Ancestors = nil }, false},
		"an ancestor of another client":           {func(c *Claims) { c.Ancestors[0].ClientID = "edge.other" }, false},
		"the first was not issued to the subject": {func(c *Claims) { c.Ancestors[1].ClientID = "shop.other" }, false},
		"the ancestors in another order":          {func(c *Claims) { c.Ancestors[0], c.Ancestors[1] = c.Ancestors[1], c.Ancestors[0] }, false},
		"it outlives an ancestor":                 {func(c *Claims) { c.ExpiresAt = c.Ancestors[1].IssuedAt.Add(time.Hour + time.Second) }, false},
		"it is of an OAuth2Token":                 {func(c *Claims) { c.TokenUID = "uid" }, false},
		"it has claims of its client":             {func(c *Claims) { c.Custom = []Claim{{Name: "groups", Value: "admins"}} }, false},
		"the subject is a person":                 {func(c *Claims) { c.Subject = "user:corp:x" }, true},
		"the subject is no whole person":          {func(c *Claims) { c.Subject = "user:corp" }, false},
		"it belongs to the grant of a person":     {func(c *Claims) { c.Subject, c.GrantID = "user:corp:x", "BAQEBAQEBAQEBAQEBAQEBA" }, true},
		"it belongs to a grant of no person":      {func(c *Claims) { c.GrantID = "BAQEBAQEBAQEBAQEBAQEBA" }, false},
		"its grant has no id of one":              {func(c *Claims) { c.Subject, c.GrantID = "user:corp:x", "BAQEBAQEBAQEBAQEBAQEB" }, false},
		"its grant has an id with bits too many":  {func(c *Claims) { c.Subject, c.GrantID = "user:corp:x", "BAQEBAQEBAQEBAQEBAQEBB" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			claims := passedOn()
			c.change(claims)
			if claims.soundChain() != c.sound {
				t.Errorf("sound: %t", !c.sound)
			}
		})
	}
}

// A token of a code or of a refresh token names its grant, and what it is exchanged for does, too:
// the end of the grant ends both.
func TestATokenNamesItsGrant(t *testing.T) {
	const grantID, member = "BAQEBAQEBAQEBAQEBAQEBA", `"grant_id":"BAQEBAQEBAQEBAQEBAQEBA"`
	issuer, err := ParseIssuer("https://hallpass.test", false)
	if err != nil {
		t.Fatal(err)
	}
	web, api := &Client{ID: "shop.web", UID: "uid-web", Namespace: "shop"}, &Client{ID: "orders.api", UID: "uid-orders", Namespace: "orders"}
	grant := Grant{Audience: "https://orders.test", Lifetime: time.Minute, Person: Person{"corp", "x"}, GrantID: grantID}
	first := issuer.claimsOf(web, grant, "AwMDAwMDAwMDAwMDAwMDAw", issuedAt)
	chain, err := first.ChainFor(api, "key-1")
	if err != nil {
		t.Fatal(err)
	}
	second := issuer.claimsOf(api, Grant{Audience: "https://stock.test", Lifetime: time.Minute, For: chain}, "AQEBAQEBAQEBAQEBAQEBAQ", issuedAt)
	for name, claims := range map[string]*Claims{"of a code": first, "exchanged": second} {
		payload, err := claims.payload()
		if err != nil || !strings.Contains(string(payload), member) {
			t.Errorf("%s: %v, %s", name, err, payload)
		}
		again, err := parseClaims(payload)
		if err != nil || !again.soundChain() || again.GrantID != grantID {
			t.Errorf("%s: read as %+v, %v", name, again, err)
		}
		again.own([]byte(again.ID))
		if again.GrantID != grantID {
			t.Errorf("%s: the copy has the grant %q", name, again.GrantID)
		}
		if answer, err := claims.Introspection(); err != nil || strings.Contains(string(answer), "grant_id") {
			t.Errorf("%s: introspection returns %s, %v", name, answer, err)
		}
	}
	if web.GrantTypes = AuthorizationCode; !first.KeepsGrantType(web) {
		t.Error("a client with authorization codes keeps its token")
	}
	if web.GrantTypes = JWTBearer; first.KeepsGrantType(web) {
		t.Error("a client without authorization codes keeps its token")
	}
}

// What this version does not know may restrict a token, so such a token is refused.
func TestAChainOfUnknownFormIsRefused(t *testing.T) {
	payload, err := passedOn().payload()
	if err != nil {
		t.Fatal(err)
	}
	deep := `{"sub":"a"}`
	for range MaxActors {
		deep = `{"sub":"a","act":` + deep + `}`
	}
	const act = `{"sub":"orders.api","act":{"sub":"edge.gateway"}}`
	for name, change := range map[string][2]string{
		"act is null":                         {act, `null`},
		"act is a text":                       {act, `"orders.api"`},
		"act is a list":                       {act, `[]`},
		"act without a sub":                   {act, `{"act":{"sub":"edge.gateway"}}`},
		"act with an empty sub":               {act, `{"sub":""}`},
		"act with a member twice":             {act, `{"sub":"orders.api","sub":"edge.gateway"}`},
		"act with another member":             {act, `{"sub":"orders.api","iss":"https://elsewhere.test","act":{"sub":"edge.gateway"}}`},
		"five actors":                         {act, deep},
		"ancestors are empty":                 {`"ancestors":[`, `"ancestors":[],"x":[`},
		"ancestors are null":                  {`"ancestors":[`, `"ancestors":null,"x":[`},
		"an ancestor without a UID":           {`"client_uid":"uid-edge",`, ``},
		"an ancestor with an empty UID":       {`"client_uid":"uid-edge"`, `"client_uid":""`},
		"an ancestor with a member of later":  {`"kid":"key-2"`, `"kid":"key-2","grant_id":"g"`},
		"an ancestor with another one for it": {`"kid":"key-2"`, `"grant_id":"key-2"`},
		"an ancestor with a member twice":     {`"kid":"key-2"`, `"jti":"other","jti":"second"`},
		"an ancestor that is a text":          {`{"jti":"second"`, `"text",{"jti":"second"`},
		"an ancestor issued at no time":       {`"iat":1772366340`, `"iat":"noon"`},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(string(payload), change[0], change[1], 1)
			if changed == string(payload) {
				t.Fatal("nothing was changed")
			}
			if claims, err := parseClaims([]byte(changed)); err == nil {
				t.Errorf("read as %+v", claims)
			}
		})
	}
}

// A version of before exchanged tokens refuses them all: they have another sub than client_id.
func TestNoExchangedTokenIsOneOfTheFirstVersion(t *testing.T) {
	for name, c := range map[string]struct{ subject, actor, client string }{
		"the subject exchanges":                       {"shop.web", "edge.gateway", "shop.web"},
		"the client of the token exchanges":           {"shop.web", "edge.gateway", "edge.gateway"},
		"the client exchanges what is its own anyway": {"shop.web", "shop.web", "shop.web"},
	} {
		claims := &Claims{Subject: c.subject, ClientID: c.actor}
		if _, err := claims.ChainFor(&Client{ID: c.client}, "key"); ReasonOf(err) != ReasonSubjectTokenNotPassedOn {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsExchanged(t *testing.T) {
	caller := &Client{ID: "stock.api"}
	four := passedOn()
	four.Actors, four.Ancestors = append(four.Actors, "a.a", "b.b"), append(four.Ancestors, Ancestor{}, Ancestor{})
	minted := passedOn()
	minted.TokenUID = "uid"
	for name, claims := range map[string]*Claims{"passed on four times": four, "of an OAuth2Token": minted} {
		if _, err := claims.ChainFor(caller, "key"); ReasonOf(err) != ReasonSubjectTokenNotPassedOn {
			t.Errorf("%s: %v", name, err)
		}
	}
	chain, err := passedOn().ChainFor(caller, "key-3")
	if err != nil {
		t.Fatal(err)
	}
	was := passedOn()
	want := &Chain{
		Subject: "shop.web", Actors: was.Actors, Audience: was.Audience, Until: was.ExpiresAt,
		Ancestors: append([]Ancestor{{ID: was.ID, ClientID: "orders.api", ClientUID: "uid-orders", KeyID: "key-3", IssuedAt: issuedAt}}, was.Ancestors...),
	}
	if diff := cmp.Diff(want, chain); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// No token of another type passes for an exchanged one, and a withdrawn key ends its descendants.
func TestAnExchangedTokenNeedsTheKeysOfItsAncestors(t *testing.T) {
	issuer, err := ParseIssuer("https://hallpass.test", false)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.New(issuedAt.Add(-24 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ring.SigningKey(issuedAt)
	if err != nil {
		t.Fatal(err)
	}
	was := passedOn()
	chain := &Chain{Subject: was.Subject, Actors: was.Actors[1:], Ancestors: was.Ancestors, Until: issuedAt.Add(30 * time.Second)}
	client := &Client{ID: "orders.api", UID: "uid-orders", Tokens: TokenForm{Claims: []Claim{{Name: "groups", Value: "admins"}}}}
	issue := func() Token {
		token, err := issuer.Issue(client, Grant{Audience: was.Audience, Scopes: was.Scopes, Lifetime: time.Hour, For: chain}, key, issuedAt, bytes.NewReader(bytes.Repeat([]byte{3}, 16)))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	if _, err := issuer.Validate(issue().Value.Reveal(), ring, issuedAt); ReasonOf(err) != ReasonTokenKeyUnknown {
		t.Errorf("the keys of its ancestors are unknown: %v", err)
	}
	chain.Ancestors[0].KeyID, chain.Ancestors[1].KeyID = key.ID(), key.ID()
	token := issue()
	claims, err := issuer.Validate(token.Value.Reveal(), ring, issuedAt)
	if err != nil {
		t.Fatal(err)
	}
	was.Ancestors[0].KeyID, was.Ancestors[1].KeyID, was.ExpiresAt = key.ID(), key.ID(), chain.Until
	if diff := cmp.Diff(was, claims); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if answer := string(token.Answer()); !strings.Contains(answer, `,"issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":30,`) {
		t.Error(strings.ReplaceAll(answer, token.Value.Reveal(), "TOKEN"))
	}
}

func TestExchangeRequests(t *testing.T) {
	const base = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"
	const access = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
	const subject = "&subject_token=a.b.c&subject_token_type=" + access
	const target = "&resource=https%3A%2F%2Fapi.test"
	for name, c := range map[string]struct {
		body string
		code ErrorCode
		says string
	}{
		"a resource":                         {subject + target, "", ""},
		"an audience":                        {subject + "&audience=https%3A%2F%2Fapi.test&scope=read+write", "", ""},
		"the type that is issued":            {subject + target + "&requested_token_type=" + access, "", ""},
		"no token":                           {target + "&subject_token_type=" + access, InvalidRequest, "subject_token is missing"},
		"no type of the token":               {target + "&subject_token=a.b.c", InvalidRequest, "subject_token_type must be"},
		"an ID token":                        {target + "&subject_token=a.b.c&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token", InvalidRequest, "subject_token_type must be"},
		"a JWT of another issuer":            {target + "&subject_token=a.b.c&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt", InvalidRequest, "subject_token_type must be"},
		"an actor":                           {subject + target + "&actor_token=a.b.c&actor_token_type=" + access, InvalidRequest, "actor_token is not supported"},
		"an empty actor":                     {subject + target + "&actor_token=", InvalidRequest, "actor_token is not supported"},
		"the type of an actor":               {subject + target + "&actor_token_type=" + access, InvalidRequest, "actor_token is not supported"},
		"a refresh token":                    {subject + target + "&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Arefresh_token", InvalidRequest, "requested_token_type must be"},
		"no target":                          {subject, InvalidRequest, "resource is missing"},
		"two resources":                      {subject + target + "&resource=https%3A%2F%2Fb.test", InvalidTarget, "one resource"},
		"a resource and an audience":         {subject + target + "&audience=https%3A%2F%2Fapi.test", InvalidTarget, "one resource"},
		"a target that is no URI":            {subject + "&audience=orders", InvalidTarget, "absolute URI"},
		"a scope that is none":               {subject + target + "&scope=%22", InvalidScope, "scope must be"},
		"a resource that has a fragment too": {subject + target + "%23x", InvalidTarget, "absolute URI"},
	} {
		t.Run(name, func(t *testing.T) {
			form, err := ParseForm(base + c.body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseExchangeRequest(form)
			if c.code == "" {
				if err != nil || got.Resource != "https://api.test" || got.SubjectToken.Reveal() != "a.b.c" || got.For != nil {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			refusal, ok := err.(*Error) //nolint:errorlint // it is that very error
			if !ok || refusal.Code != c.code || !strings.Contains(refusal.Description, c.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A grant type that came after the first release is allowed where a policy lists it, and by no
// policy that selects namespaces by labels of their owners.
func TestTokenExchangeTakesAPolicyThatListsIt(t *testing.T) {
	const exchange, credentials = "TokenExchange", "ClientCredentials"
	lists := Ceilings{GrantTypes: []string{credentials, exchange}, Permitted: []string{credentials, exchange}}
	unprotected, others := Ceilings{GrantTypes: lists.GrantTypes}, Ceilings{GrantTypes: []string{credentials}, Permitted: []string{credentials}}
	for name, c := range map[string]struct {
		ceilings Ceilings
		want     bool
	}{
		"no policy":                            {Ceilings{}, false},
		"a policy that lists it":               {lists, true},
		"one by labels that are not protected": {unprotected, false},
		"one that lists others":                {others, false},
		"one that does and one that does not":  {lists.And(others), false},
		"one that does and a silent one":       {lists.And(Ceilings{}), true},
		"a flag where no policies are read":    {Ceilings{Permitted: []string{exchange}}, true},
	} {
		if c.ceilings.AllowGrantType(exchange) != c.want {
			t.Errorf("%s: want %t", name, c.want)
		}
	}
	if !unprotected.AllowGrantType(credentials) {
		t.Error("client credentials take no policy")
	}
}

// FuzzChain looks for claims that are read and written as others, or that a verifier of before
// exchanged tokens would take for those of a client that acts for itself.
func FuzzChain(f *testing.F) {
	payload, err := passedOn().payload()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Add(fmt.Appendf(nil, `{"iss":"i","sub":"a","aud":"b","client_id":"a","client_uid":"u","jti":%q,"iat":1,"exp":2}`, base64.RawURLEncoding.EncodeToString(make([]byte, 16))))
	f.Fuzz(func(t *testing.T, payload []byte) {
		claims, err := parseClaims(payload)
		if err != nil || !claims.soundChain() {
			return
		}
		if claims.Exchanged() == (claims.Subject == claims.ClientID) || len(claims.Actors) > MaxActors {
			t.Fatalf("a chain that is none: %s", payload)
		}
		written, err := claims.payload()
		if err != nil {
			return // custom claims that no client has
		}
		again, err := parseClaims(written)
		if err != nil {
			t.Fatalf("%v: %s", err, written)
		}
		if diff := cmp.Diff(claims, again); diff != "" {
			t.Fatalf("(-first +again):\n%s", diff)
		}
	})
}
