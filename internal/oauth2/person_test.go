// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

func TestTheSubjectOfAPerson(t *testing.T) {
	for name, c := range map[string]struct {
		sub  string
		want Person
	}{
		"a number":                            {"user:corp:1234", Person{"corp", "1234"}},
		"a subject with colons":               {"user:corp:f:9b:x", Person{"corp", "f:9b:x"}},
		"a subject that begins with a colon":  {"user:corp::x", Person{"corp", ":x"}},
		"a subject that looks like a person":  {"user:corp:user:other:x", Person{"corp", "user:other:x"}},
		"a subject with other ASCII":          {`user:corp:auth0|a"\%,=`, Person{"corp", `auth0|a"\%,=`}},
		"the longest":                         {"user:" + strings.Repeat("i", 63) + ":" + strings.Repeat("s", 255), Person{strings.Repeat("i", 63), strings.Repeat("s", 255)}},
		"nothing":                             {"", Person{}},
		"a client":                            {"shop.web", Person{}},
		"no subject":                          {"user:corp:", Person{}},
		"no issuer":                           {"user::x", Person{}},
		"no second colon":                     {"user:corp", Person{}},
		"another case":                        {"User:corp:x", Person{}},
		"an issuer in capitals":               {"user:Corp:x", Person{}},
		"an issuer with a dot":                {"user:corp.x:y", Person{}},
		"an issuer that ends in a hyphen":     {"user:corp-:x", Person{}},
		"an issuer that is too long":          {"user:" + strings.Repeat("i", 64) + ":x", Person{}},
		"a subject that is too long":          {"user:corp:" + strings.Repeat("s", 256), Person{}},
		"a subject of 64 KiB":                 {"user:corp:" + strings.Repeat("s", 64<<10), Person{}},
		"a space at the end":                  {"user:corp:x ", Person{}},
		"a line break":                        {"user:corp:x\n", Person{}},
		"a letter that only looks like ASCII": {"user:corp:p\u0430ul", Person{}},
		"a zero byte":                         {"user:corp:x\x00", Person{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePerson(c.sub)
			if got != c.want || (err != nil) != c.want.IsZero() || err != nil && !errors.Is(err, ErrInvalidPerson) {
				t.Fatalf("read as %+v, %v", got, err)
			}
			if err == nil && got.String() != c.sub {
				t.Errorf("written as %q", got.String())
			}
			claims := &Claims{Subject: c.sub}
			if claims.Person() != c.want {
				t.Errorf("the token acts for %+v", claims.Person())
			}
			if ValidClientID(c.sub) && strings.HasPrefix(strings.ToLower(c.sub), "user:") {
				t.Error("a client_id may be the sub of a person")
			}
		})
	}
	if (Person{}).String() != "" {
		t.Error("no person has a sub")
	}
}

// No two persons have one sub, whatever issuers and subjects are.
func FuzzPerson(f *testing.F) {
	f.Add("corp", "x", "corp", "y")
	f.Add("corp", "a:b", "corp-a", "b")
	f.Add("a", "b:user:a:b", "a:b", "user:a:b")
	f.Fuzz(func(t *testing.T, issuer, subject, otherIssuer, otherSubject string) {
		one, err := NewPerson(issuer, subject)
		if err != nil {
			return
		}
		if again, err := ParsePerson(one.String()); again != one || err != nil {
			t.Fatalf("%+v is read as %+v: %v", one, again, err)
		}
		if other, err := NewPerson(otherIssuer, otherSubject); err == nil && other != one && other.String() == one.String() {
			t.Fatalf("%+v and %+v have one sub", one, other)
		}
		if ValidClientID(one.String()) {
			t.Fatalf("%s is a client_id too", one)
		}
	})
}

// ofPerson are the claims of a token that acts for a person.
func ofPerson() *Claims {
	return &Claims{
		Issuer: "https://hallpass.test", Subject: "user:corp:U019", Audience: "https://hallpass.test/resources/stock/api",
		ClientID: "shop.web", ClientUID: "uid-web", Scopes: []string{"stock.read"}, ID: "AwMDAwMDAwMDAwMDAwMDAw",
		IssuedAt: issuedAt, ExpiresAt: issuedAt.Add(time.Minute),
	}
}

// The form of such a token is a promise to offline verifiers and to other versions.
func TestTheFormOfATokenOfAPerson(t *testing.T) {
	const want = `{"iss":"https://hallpass.test","sub":"user:corp:U019","aud":"https://hallpass.test/resources/stock/api","client_id":"shop.web","client_uid":"uid-web",` +
		`"sub_type":"user","scope":"stock.read","jti":"AwMDAwMDAwMDAwMDAwMDAw","iat":1772366400,"exp":1772366460}`
	payload, err := ofPerson().payload()
	if err != nil || string(payload) != want {
		t.Fatalf("%v\n%s", err, payload)
	}
	again, err := parseClaims(payload)
	if diff := cmp.Diff(ofPerson(), again); diff != "" || err != nil || !again.soundChain() {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	const introspected = `{"active":true,"iss":"https://hallpass.test","sub":"user:corp:U019","aud":"https://hallpass.test/resources/stock/api","client_id":"shop.web",` +
		`"client_uid":"uid-web","sub_type":"user","scope":"stock.read","token_type":"Bearer","jti":"AwMDAwMDAwMDAwMDAwMDAw","iat":1772366400,"exp":1772366460}`
	if answer, err := ofPerson().Introspection(); err != nil || string(answer) != introspected {
		t.Errorf("%v\n%s", err, answer)
	}
	for name, change := range map[string][2]string{
		"no sub_type":                     {`"sub_type":"user",`, ``},
		"the sub_type of a client":        {`"sub_type":"user"`, `"sub_type":"client"`},
		"a sub_type of later":             {`"sub_type":"user"`, `"sub_type":"group"`},
		"a sub_type that is no text":      {`"sub_type":"user"`, `"sub_type":["user"]`},
		"two of them":                     {`"sub_type":"user"`, `"sub_type":"user","sub_type":"user"`},
		"the sub_type of another subject": {`"sub":"user:corp:U019"`, `"sub":"shop.web"`},
		"a spelling of sub_type":          {`"sub_type":"user"`, `"sub_type":"user","subType":"client"`},
	} {
		changed := strings.Replace(string(payload), change[0], change[1], 1)
		if claims, err := parseClaims([]byte(changed)); err == nil || changed == string(payload) {
			t.Errorf("%s: read as %+v", name, claims)
		}
	}
}

func TestASoundTokenOfAPerson(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Claims)
		sound  bool
	}{
		"a client for a person":          {func(*Claims) {}, true},
		"it is exchanged":                {func(c *Claims) { *c = *passedOn(); c.Subject = "user:corp:U019" }, true},
		"the person has no issuer":       {func(c *Claims) { c.Subject = "user::U019" }, false},
		"the person has no subject":      {func(c *Claims) { c.Subject = "user:corp:" }, false},
		"the client is the person":       {func(c *Claims) { c.ClientID, c.Subject = "user:corp", "user:corp" }, false},
		"the person is in capitals":      {func(c *Claims) { c.Subject = "USER:corp:U019" }, false},
		"it has ancestors and no actors": {func(c *Claims) { c.Ancestors = passedOn().Ancestors }, false},
		"it is of an OAuth2Token":        {func(c *Claims) { c.TokenUID = "uid" }, false},
		"it has claims of its client":    {func(c *Claims) { c.Custom = []Claim{{Name: "groups", Value: "admins"}} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			claims := ofPerson()
			c.change(claims)
			if claims.soundChain() != c.sound {
				t.Errorf("sound: %t", !c.sound)
			}
		})
	}
}

// The owner of the API decides for whom each client acts, and one consent is never another one.
func TestAConsentIsForASubject(t *testing.T) {
	const audience = "https://hallpass.test/resources/stock/api"
	issuer := Issuer{origin: "https://hallpass.test"}
	client := &Client{
		ID: "shop.web", Namespace: "shop", Tokens: TokenForm{Lifetime: time.Hour}, GrantTypes: ClientCredentials | JWTBearer | TokenExchange,
		Access: []Access{{ObjectName{"stock", "api"}, []string{"a", "b", "c", "d"}}},
	}
	to := func(scope string) []Consent {
		return []Consent{{Namespaces: []string{"shop"}, Scopes: []string{scope}}}
	}
	resource := &Resource{
		Identifier: audience, Namespace: "stock", Name: "api", Scopes: []string{"a", "b", "c", "d"},
		Consents: to("a"), Users: to("b"), Exchanged: to("c"), ExchangedUsers: to("d"),
	}
	person := Person{"corp", "U019"}
	chain := func(subject string) *Chain { return &Chain{Subject: subject, Audience: "https://elsewhere.test"} }
	for name, c := range map[string]struct {
		request TokenRequest
		claims  *Claims
		want    string
		acting  Acting
	}{
		"itself":                       {TokenRequest{}, &Claims{Subject: "shop.web"}, "a", 0},
		"a person":                     {TokenRequest{Person: person}, &Claims{Subject: person.String()}, "b", ForUser},
		"an exchanged token":           {TokenRequest{For: chain("edge.app")}, &Claims{Subject: "edge.app", Actors: []string{"shop.web"}}, "c", ForExchanged},
		"a person's token in exchange": {TokenRequest{For: chain(person.String())}, &Claims{Subject: person.String(), Actors: []string{"shop.web"}}, "d", ForUser | ForExchanged},
	} {
		t.Run(name, func(t *testing.T) {
			c.request.Resource = audience
			grant, err := issuer.Grant(client, c.request, resources{resource})
			if err != nil || !slices.Equal(grant.Scopes, []string{c.want}) {
				t.Fatalf("%v %v", grant.Scopes, err)
			}
			c.claims.ClientID, c.claims.Audience, c.claims.Scopes = client.ID, audience, client.Access[0].Scopes
			if c.claims.Acting() != c.acting {
				t.Errorf("it acts for %d", c.claims.Acting())
			}
			restricted, denial := issuer.Restrict(c.claims, client, resources{resource})
			if denial != "" || !slices.Equal(restricted.Scopes, []string{c.want}) {
				t.Errorf("a token is restricted to %+v %s", restricted, denial)
			}
			d := DeciderActing(client, resource, c.acting)
			if d.Decide(c.want) != Granted || d.Decide("a") == Granted != (c.want == "a") {
				t.Error("the condition is another one")
			}
			withdrawn := *resource
			withdrawn.Users, withdrawn.ExchangedUsers, withdrawn.Exchanged, withdrawn.Consents = nil, nil, nil, nil
			if _, err := issuer.Grant(client, c.request, resources{&withdrawn}); ReasonOf(err) != ReasonTargetNotGranted {
				t.Errorf("nothing is granted: %v", err)
			}
			for _, held := range []func(*Resource){func(r *Resource) { r.UsersHeld = true }, func(r *Resource) { r.ExchangeHeld = true }} {
				waits := *resource
				held(&waits)
				_, err := issuer.Grant(client, c.request, resources{&waits})
				if want := c.acting&ForUser != 0 && waits.UsersHeld || c.acting&ForExchanged != 0 && waits.ExchangeHeld; want != (ReasonOf(err) == ReasonTokenServersOutdated) {
					t.Errorf("held %t: %v", want, err)
				}
				if _, denial := issuer.Restrict(c.claims, client, resources{&waits}); denial != "" {
					t.Errorf("what is held back ends tokens: %s", denial)
				}
			}
		})
	}
	for name, request := range map[string]TokenRequest{
		"a person at the audience of the namespace": {Person: person, Resource: issuer.NamespaceAudience("shop")},
		"a person without a resource":               {Person: person},
	} {
		if grant, err := issuer.Grant(client, request, resources{resource}); ReasonOf(err) != ReasonTargetNotGranted {
			t.Errorf("%s: %+v %v", name, grant, err)
		}
	}
	byDefault := *client
	byDefault.DefaultResource = ObjectName{"stock", "api"}
	if grant, err := issuer.Grant(&byDefault, TokenRequest{Person: person}, resources{resource}); err != nil || grant.Audience != audience || grant.Person != person {
		t.Errorf("the default resource: %+v %v", grant, err)
	}
	own := &Claims{Subject: person.String(), ClientID: client.ID, Audience: issuer.NamespaceAudience("shop")}
	if _, denial := issuer.Restrict(own, client, resources{resource}); denial != ReasonTargetNotGranted {
		t.Errorf("a token of a person for the audience of a namespace: %q", denial)
	}
}

// resources are those of a test.
type resources []*Resource

func (r resources) Resource(name ObjectName) *Resource {
	for _, resource := range r {
		if name == (ObjectName{resource.Namespace, resource.Name}) {
			return resource
		}
	}
	return nil
}

func (r resources) ResourceByIdentifier(identifier string) *Resource {
	for _, resource := range r {
		if resource.Identifier == identifier {
			return resource
		}
	}
	return nil
}

func TestTheUsesOfAnIssuer(t *testing.T) {
	for name, c := range map[string]struct {
		names          []string
		known          bool
		client, person bool
		written        []string
	}{
		"of before there were others": {nil, true, true, false, nil},
		"clients":                     {[]string{"Client"}, true, true, false, nil},
		"persons":                     {[]string{"Person"}, true, false, true, []string{"Person"}},
		"both":                        {[]string{"Person", "Client"}, true, true, true, []string{"Client", "Person"}},
		"one of later beside it":      {[]string{"Person", "Device"}, true, false, true, []string{"Person"}},
		"one of later alone":          {[]string{"Device"}, false, true, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			uses, known := IssuerUsesOf(c.names)
			if known != c.known || known && (uses.Has(UseClient) != c.client || uses.Has(UsePerson) != c.person || !slices.Equal(uses.Names(), c.written)) {
				t.Errorf("%v %t", uses.Names(), known)
			}
		})
	}
	everything := []Delegation{{Namespaces: []string{"shop"}}}
	if (&TrustedIssuer{Uses: UsePerson, Delegations: everything}).Lets("shop", Federated{Subject: "x"}) {
		t.Error("an issuer for persons alone authenticates a client")
	}
}

// An access token of a person takes no more memory and no more work of one for the client itself.
func TestTokensOfClientsCostNoMore(t *testing.T) {
	claims := ofPerson()
	claims.Subject = claims.ClientID
	if n := testing.AllocsPerRun(100, func() {
		if claims.Acting() != 0 || !claims.soundChain() || claims.SubjectType() != SubjectIsClient {
			t.Error("no token of a client")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzIdentityAssertion compares every identity assertion that is accepted, whatever its payload,
// with the rules read by encoding/json.
func FuzzIdentityAssertion(f *testing.F) {
	const good = `{"iss":"https://idp.example.com","sub":"U019","aud":"https://hallpass.test","client_id":"shop.web","jti":"j1",` +
		`"iat":1772366400,"exp":1772366700,"scope":"stock.read","resource":"https://hallpass.test/resources/stock/api"}`
	f.Add(good)
	for _, change := range [][2]string{
		{`"aud":"https://hallpass.test"`, `"aud":["https://hallpass.test"]`},
		{`"aud":"https://hallpass.test"`, `"aud":["https://hallpass.test","https://x.test"]`},
		{`1772366700`, `1772366701`},
		{`"sub":"U019"`, `"sub":"U019","sub":"root"`},
		{`"sub":"U019"`, `"sub":"U 019"`},
		{`"sub"`, `"Sub"`},
		{`"client_id":"shop.web"`, `"client_id":"shop.other"`},
		{`"scope":"stock.read"`, `"cnf":{"jkt":"x"}`},
		{`"scope":"stock.read"`, `"tenant":"t1"`},
		{`"resource":"https://hallpass.test/resources/stock/api"`, `"resource":["https://a.test","https://b.test"]`},
	} {
		f.Add(strings.Replace(good, change[0], change[1], 1))
	}
	signer, err := jws.NewSigner(jws.EdDSA, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	keys, err := jws.PackKeys(signer.Public())
	if err != nil {
		f.Fatal(err)
	}
	issuer := &TrustedIssuer{
		Name: "corp", UID: "u", Issuer: "https://idp.example.com", Uses: UsePerson, Keys: IssuerKeys{Set: keys}, Delegations: []Delegation{{Namespaces: []string{"shop"}}},
	}
	client := &Client{ID: "shop.web", Namespace: "shop", Name: "web"}
	f.Fuzz(func(t *testing.T, payload string) {
		if len(payload) > 4096 || payload == "" {
			return
		}
		assertion, err := signer.Sign(IdentityAssertionType, []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		form, err := ParseForm("grant_type=" + GrantJWTBearer + "&assertion=" + assertion)
		if err != nil {
			t.Fatal(err)
		}
		if !IsPersonRequest(form) {
			t.Fatal("no request of a person")
		}
		var identity Identity
		request, err := ParsePersonRequest(form)
		if err == nil {
			identity, err = Federation{Issuer: "https://hallpass.test"}.Identify(request.Assertion, issuer, client, issuedAt)
		}
		if payload == good && err != nil {
			t.Fatalf("the assertion itself: %v", err)
		}
		if err != nil {
			return
		}
		var claims map[string]any
		if err := json.Unmarshal([]byte(payload), &claims); err != nil {
			t.Fatalf("accepted although %v: %q", err, payload)
		}
		issued, _ := claims["iat"].(float64)
		expires, _ := claims["exp"].(float64)
		list, _ := claims["aud"].([]any)
		isAudience := claims["aud"] == "https://hallpass.test" || slices.Equal(list, []any{"https://hallpass.test"})
		if claims["iss"] != "https://idp.example.com" || claims["client_id"] != "shop.web" || !isAudience || expires-issued > 300 ||
			claims["cnf"] != nil || claims["tenant"] != nil || identity.Person != (Person{"corp", fmt.Sprint(claims["sub"])}) {
			t.Fatalf("%+v is accepted: %q", identity, payload)
		}
		asked, err := identity.Request(request.TokenRequest)
		if err == nil && (asked.Person != identity.Person || claims["resource"] != nil && asked.Resource == "") {
			t.Fatalf("%+v is asked for: %q", asked, payload)
		}
	})
}
