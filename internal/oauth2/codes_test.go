// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// ordersForPersons is an API whose owner consents to clients of shop and orders that act for
// persons.
func ordersForPersons() *oauth2.Resource {
	r := orders()
	r.Users = []oauth2.Consent{{Namespaces: []string{"orders", "shop"}, Scopes: []string{"orders.read", "orders.write"}}}
	return r
}

func askingForPersons(namespace string) *oauth2.Client {
	client := asking(namespace, nil)
	client.GrantTypes, client.Codes = oauth2.AuthorizationCode, &oauth2.Codes{}
	return client
}

func TestWhatAnAuthorizationRequestMayLeadTo(t *testing.T) {
	const redirect = "https://app.example/cb"
	withDefault, machine, unclaimed := askingForPersons("shop"), askingForPersons("shop"), askingForPersons("harbour")
	withDefault.DefaultResource = oauth2.ObjectName{Namespace: "orders", Name: "api"}
	machine.GrantTypes = oauth2.ClientCredentials
	both := []string{"orders.read", "orders.write"}
	held := ordersForPersons()
	held.UsersHeld = true
	ownsOpenID := ordersForPersons()
	ownsOpenID.Scopes = append(slices.Clone(ownsOpenID.Scopes), "email")
	ownsOpenID.Users[0].Scopes = append(slices.Clone(ownsOpenID.Users[0].Scopes), "email")
	asksEmail := askingForPersons("shop")
	asksEmail.Access = []oauth2.Access{{Resource: oauth2.ObjectName{Namespace: "orders", Name: "api"}, Scopes: []string{"orders.read", "email"}}}
	for name, c := range map[string]struct {
		client   *oauth2.Client
		scopes   []string
		resource string
		api      *oauth2.Resource
		want     oauth2.Offer
		refused  oauth2.Reason
	}{
		"all scopes":                        {askingForPersons("shop"), nil, ordersAPI, ordersForPersons(), oauth2.Offer{Audience: ordersAPI, Scopes: both, ConsentNeeded: true}, ""},
		"the default resource, by its name": {withDefault, nil, "", ordersForPersons(), oauth2.Offer{Audience: ordersAPI, Scopes: both, ConsentNeeded: true}, ""},
		"one scope":                         {askingForPersons("shop"), []string{"orders.write"}, ordersAPI, ordersForPersons(), oauth2.Offer{Audience: ordersAPI, Scopes: []string{"orders.write"}, ConsentNeeded: true}, ""},
		"some are left out": {
			askingForPersons("shop"), []string{"orders.purge", "orders.read", "nothing"}, ordersAPI, ordersForPersons(),
			oauth2.Offer{Audience: ordersAPI, Scopes: []string{"orders.read"}, LeftOut: []string{"orders.purge", "nothing"}, ConsentNeeded: true}, "",
		},
		"what libraries send is no error": {
			askingForPersons("shop"), []string{"openid", "orders.read", "offline_access", "profile", "email"}, ordersAPI, ordersForPersons(),
			oauth2.Offer{Audience: ordersAPI, Scopes: []string{"orders.read"}, ConsentNeeded: true}, "",
		},
		"what libraries send alone asks for all": {
			askingForPersons("shop"), []string{"openid", "offline_access"}, ordersAPI, ordersForPersons(), oauth2.Offer{Audience: ordersAPI, Scopes: both, ConsentNeeded: true}, "",
		},
		"a scope of the API of that name": {asksEmail, []string{"openid", "email"}, ordersAPI, ownsOpenID, oauth2.Offer{Audience: ordersAPI, Scopes: []string{"email"}, ConsentNeeded: true}, ""},
		"in the namespace of the API":     {askingForPersons("orders"), nil, ordersAPI, ordersForPersons(), oauth2.Offer{Audience: ordersAPI, Scopes: both}, ""},
		"none of the scopes":              {askingForPersons("shop"), []string{"orders.purge"}, ordersAPI, ordersForPersons(), oauth2.Offer{}, oauth2.ReasonScopeNotGranted},
		"a client for itself alone":       {machine, nil, ordersAPI, ordersForPersons(), oauth2.Offer{}, oauth2.ReasonGrantTypeNotAllowed},
		"an API for machines alone":       {askingForPersons("shop"), nil, ordersAPI, orders(), oauth2.Offer{}, oauth2.ReasonTargetNotGranted},
		"a namespace without a consent":   {unclaimed, nil, ordersAPI, ordersForPersons(), oauth2.Offer{}, oauth2.ReasonTargetNotGranted},
		"no API":                          {askingForPersons("shop"), nil, "https://elsewhere.test", ordersForPersons(), oauth2.Offer{}, oauth2.ReasonTargetNotGranted},
		"no default API":                  {askingForPersons("shop"), nil, "", ordersForPersons(), oauth2.Offer{}, oauth2.ReasonTargetNotGranted},
		"the audience of the namespace":   {askingForPersons("shop"), nil, "https://hallpass.test/ns/shop", ordersForPersons(), oauth2.Offer{}, oauth2.ReasonTargetNotGranted},
		"an older token server":           {askingForPersons("shop"), nil, ordersAPI, held, oauth2.Offer{}, oauth2.ReasonTokenServersOutdated},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := issuer(t).Offer(c.client, c.scopes, c.resource, "corp", redirect, declared{c.api})
			if reason := oauth2.ReasonOf(err); reason != c.refused || (err == nil) != (c.refused == "") {
				t.Fatalf("refused because of %q, want %q: %v", reason, c.refused, err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A scope that looks like one of OpenID Connect, and is withdrawn while the person logs in, does
// not become a request for all scopes.
func TestWhatAPersonWasShownIsAllThereIs(t *testing.T) {
	offer, err := issuer(t).Offer(askingForPersons("shop"), []string{"email"}, ordersAPI, "corp", "https://app.example/cb", declared{ordersForPersons()})
	if err != nil || len(offer.Scopes) != 2 {
		t.Fatalf("%+v, %v", offer, err)
	}
	if got, err := offer.Within([]string{"email"}); oauth2.ReasonOf(err) != oauth2.ReasonScopeNotGranted {
		t.Errorf("%+v is left, %v", got, err)
	}
	got, err := offer.Within([]string{"orders.write", "gone"})
	if err != nil || !slices.Equal(got.Scopes, []string{"orders.write"}) || got.Audience != ordersAPI || len(offer.Scopes) != 2 {
		t.Errorf("%+v is left of %+v, %v", got, offer, err)
	}
}

func TestWhenAPersonIsAsked(t *testing.T) {
	public, always := askingForPersons("orders"), askingForPersons("orders")
	public.Credentials.Public, always.Codes.AskAlways = true, true
	for name, c := range map[string]struct {
		client   *oauth2.Client
		redirect string
		want     bool
	}{
		"a client of the API's namespace that authenticates": {askingForPersons("orders"), "https://app.example/cb", false},
		"one that wants to ask":                              {always, "https://app.example/cb", true},
		"one that does not authenticate":                     {public, "https://app.example/cb", true},
		"one of another namespace":                           {askingForPersons("shop"), "https://app.example/cb", true},
		"one on the machine of the person":                   {askingForPersons("orders"), "http://127.0.0.1:1234/cb", true},
		"an app":                                             {askingForPersons("orders"), "com.example.app:/cb", true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := issuer(t).Offer(c.client, nil, ordersAPI, "corp", c.redirect, declared{ordersForPersons()})
			if err != nil || got.ConsentNeeded != c.want {
				t.Errorf("asked: %t, want %t: %v", got.ConsentNeeded, c.want, err)
			}
		})
	}
}

// What was offered is what is granted when the code is redeemed.
func TestAnOfferIsGranted(t *testing.T) {
	offer, err := issuer(t).Offer(askingForPersons("shop"), []string{"orders.read", "nothing"}, ordersAPI, "corp", "https://app.example/cb", declared{ordersForPersons()})
	if err != nil {
		t.Fatal(err)
	}
	person := oauth2.Person{Issuer: "corp", Subject: "9f3b"}
	request := oauth2.TokenRequest{GrantType: oauth2.AuthorizationCode, Resource: offer.Audience, Person: person, Within: offer.Scopes}
	grant, err := issuer(t).Grant(askingForPersons("shop"), request, declared{ordersForPersons()})
	want := oauth2.Grant{Audience: ordersAPI, Scopes: []string{"orders.read"}, Lifetime: 10 * time.Minute, Person: person}
	if diff := cmp.Diff(want, grant); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestWhereThePersonsOfAClientLogIn(t *testing.T) {
	at := func(name string, change func(*oauth2.TrustedIssuer)) *oauth2.TrustedIssuer {
		issuer := &oauth2.TrustedIssuer{Name: name, Uses: oauth2.UsePerson, Login: &oauth2.Login{ClientID: "hallpass"}, Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}}}
		if change != nil {
			change(issuer)
		}
		return issuer
	}
	noLogin := func(t *oauth2.TrustedIssuer) { t.Login = nil }
	elsewhere := func(t *oauth2.TrustedIssuer) { t.Delegations[0].Namespaces = []string{"other"} }
	forClients := func(t *oauth2.TrustedIssuer) { t.Uses = oauth2.UseClient }
	suspended := func(t *oauth2.TrustedIssuer) { t.Suspended = true }
	for name, c := range map[string]struct {
		named   string
		issuers []*oauth2.TrustedIssuer
		want    string
		denial  oauth2.Reason
	}{
		"the only one":                       {"", []*oauth2.TrustedIssuer{at("corp", nil), at("a", noLogin), at("b", elsewhere), at("c", forClients)}, "corp", ""},
		"the one that it names":              {"corp", []*oauth2.TrustedIssuer{at("other", nil), at("corp", nil)}, "corp", ""},
		"none":                               {"", nil, "", oauth2.ReasonLoginNotAvailable},
		"two":                                {"", []*oauth2.TrustedIssuer{at("other", nil), at("corp", nil)}, "", oauth2.ReasonLoginNotAvailable},
		"two, one of them suspended":         {"", []*oauth2.TrustedIssuer{at("other", suspended), at("corp", nil)}, "", oauth2.ReasonLoginNotAvailable},
		"the only one, suspended":            {"", []*oauth2.TrustedIssuer{at("corp", suspended)}, "corp", oauth2.ReasonIssuerSuspended},
		"one that is gone":                   {"corp", []*oauth2.TrustedIssuer{at("other", nil)}, "", oauth2.ReasonIssuerNotFound},
		"one without login":                  {"corp", []*oauth2.TrustedIssuer{at("corp", noLogin)}, "corp", oauth2.ReasonLoginNotAvailable},
		"one that the namespace may not use": {"corp", []*oauth2.TrustedIssuer{at("corp", elsewhere)}, "corp", oauth2.ReasonNotAllowedByIssuer},
		"one for clients":                    {"corp", []*oauth2.TrustedIssuer{at("corp", forClients)}, "corp", oauth2.ReasonNotAllowedByIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			client := askingForPersons("shop")
			client.Codes.IssuerName = c.named
			got, denial := client.LoginIssuer(c.issuers)
			if denial != c.denial || (got == nil) != (c.want == "") || got != nil && got.Name != c.want {
				t.Errorf("%+v, denied %q; want %q, denied %q", got, denial, c.want, c.denial)
			}
		})
	}
	if _, denial := asking("shop", nil).LoginIssuer([]*oauth2.TrustedIssuer{at("corp", nil)}); denial != oauth2.ReasonGrantTypeNotAllowed {
		t.Errorf("a client without codes: %q", denial)
	}
	var none *oauth2.TrustedIssuer
	if denial := none.LoginDenial("shop"); denial != oauth2.ReasonIssuerNotFound {
		t.Errorf("no issuer: %q", denial)
	}
}

func TestRedirectURIs(t *testing.T) {
	for _, uri := range []string{
		"https://app.example", "https://app.example/cb", "https://app.example:8443/cb?tenant=a", "https://192.0.2.1/cb", "https://localhost/cb",
		"http://localhost/cb", "http://127.0.0.1", "http://127.0.0.1:8080/", "http://[::1]/cb", "com.example.app:/cb", "com.example.app://host/cb", "cursor://anysphere.cursor/cb",
	} {
		if !oauth2.ValidRedirectURI(uri) {
			t.Errorf("%s is refused", uri)
		}
	}
	for _, uri := range []string{
		"", "app.example/cb", "//app.example/cb", "https:", "https://", "https:///cb", "https:/app.example", "https:app.example", "HTTPS://app.example/cb", "https://App.example/cb",
		"http://app.example/cb", "http://127.0.0.2/cb", "http://LOCALHOST/cb", "http://localhost.evil.example/cb", "http://[::1%25lo]/cb", "https://app.example./cb",
		"https://app.example/cb#", "https://app.example/cb#x", "https://user@app.example/cb", "https://@app.example/cb", "https://*.example/cb", "https://app.example/*",
		"https://app.example/a/../cb", "https://app.example/a/%2e%2e/cb", "https://app.example/a/%252e./cb", "https://app.example/./cb", "https://app.example/..%2fcb",
		"https://app.example:/cb", "https://app.example:0/cb", "https://app.example:080/cb", "https://app.example:65536/cb", "https://app.example:x/cb",
		"https://app.example/cb?code=x", "https://app.example/cb?a=b&state=x", "https://app.example/cb?%69ss=x", "https://app.example/cb?error=x", "https://app.example/cb?a;b",
		"https://app.example/c b", "https://app.example/cb\n", `https://app.example\cb`, "https://app.example/<script>", "https://\u0430pp.example/cb", "https://app.example/%zz",
		"javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "about:blank", "urn:ietf:wg:oauth:2.0:oob", "com.example.app:", "Com.example.app:/cb", "com.example.app:..",
	} {
		if oauth2.ValidRedirectURI(uri) {
			t.Errorf("%q is accepted", uri)
		}
	}
}
