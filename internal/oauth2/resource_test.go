// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// declared are resources in the order in which they were declared.
type declared []*oauth2.Resource

func (d declared) Resource(name oauth2.ObjectName) *oauth2.Resource {
	for _, r := range d {
		if r.Namespace == name.Namespace && r.Name == name.Name {
			return r
		}
	}
	return nil
}

func (d declared) ResourceByIdentifier(identifier string) *oauth2.Resource {
	for _, r := range d {
		if r.Identifier == identifier {
			return r
		}
	}
	return nil
}

const ordersAPI = "https://hallpass.test/resources/orders/api"

// orders is an API that grants reading to the namespace shop and writing to its clients with a
// label.
func orders() *oauth2.Resource {
	return &oauth2.Resource{
		Identifier: ordersAPI, UID: "uid-of-orders-api", Namespace: "orders", Name: "api", Scopes: []string{"orders.read", "orders.write", "orders.purge"},
		Consents: []oauth2.Consent{
			{Namespaces: []string{"depot", "shop"}, Scopes: []string{"orders.read"}},
			{Namespaces: []string{"shop"}, ClientLabels: map[string]string{"tier": "trusted"}, Scopes: []string{"orders.write"}},
		},
		TokenLifetime: 10 * time.Minute,
	}
}

// asking is a client of a namespace that asks for everything at the API.
func asking(namespace string, labels map[string]string) *oauth2.Client {
	return &oauth2.Client{
		ID: namespace + ".caller", UID: "uid-of-caller", Namespace: namespace, Name: "caller", Labels: labels, Scopes: []string{"own"},
		Tokens: oauth2.TokenForm{Lifetime: time.Hour}, Access: []oauth2.Access{{
			Resource: oauth2.ObjectName{Namespace: "orders", Name: "api"}, Scopes: []string{"orders.read", "orders.write", "orders.purge", "orders.fly"},
		}},
	}
}

func TestDecisions(t *testing.T) {
	trusted := map[string]string{"tier": "trusted", "app": "x"}
	for name, c := range map[string]struct {
		client   *oauth2.Client
		resource *oauth2.Resource
		scope    string
		want     oauth2.Decision
	}{
		"a scope for the namespace":                   {asking("shop", nil), orders(), "orders.read", oauth2.Granted},
		"a scope for another namespace":               {asking("depot", nil), orders(), "orders.read", oauth2.Granted},
		"a namespace that is in no grant":             {asking("harbour", trusted), orders(), "orders.read", oauth2.NotAllowedByResource},
		"a namespace that begins like one":            {asking("sho", nil), orders(), "orders.read", oauth2.NotAllowedByResource},
		"the API's own namespace without a grant":     {asking("orders", trusted), orders(), "orders.read", oauth2.NotAllowedByResource},
		"a scope for clients with a label":            {asking("shop", trusted), orders(), "orders.write", oauth2.Granted},
		"without the label":                           {asking("shop", nil), orders(), "orders.write", oauth2.NotAllowedByResource},
		"with another value of the label":             {asking("shop", map[string]string{"tier": "guest"}), orders(), "orders.write", oauth2.NotAllowedByResource},
		"the label in another namespace":              {asking("depot", trusted), orders(), "orders.write", oauth2.NotAllowedByResource},
		"a scope that is defined and granted to none": {asking("shop", trusted), orders(), "orders.purge", oauth2.NotAllowedByResource},
		"a scope that is not defined":                 {asking("shop", trusted), orders(), "orders.fly", oauth2.ScopeNotDefined},
		"no resource":                                 {asking("shop", trusted), nil, "orders.read", oauth2.ResourceNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			if got := oauth2.Decide(c.client, c.resource, c.scope); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestGrantsAtResources(t *testing.T) {
	const elsewhere = "https://elsewhere.test/api"
	withDefault := asking("shop", nil)
	withDefault.DefaultResource = oauth2.ObjectName{Namespace: "orders", Name: "api"}
	ungranted := asking("harbour", nil)
	ungranted.DefaultResource = withDefault.DefaultResource
	own := func(namespace string) string { return "https://hallpass.test/ns/" + namespace }
	for name, c := range map[string]struct {
		client  *oauth2.Client
		request oauth2.TokenRequest
		want    oauth2.Grant
		refused oauth2.ErrorCode
	}{
		"no resource means the namespace": {asking("shop", nil), oauth2.TokenRequest{}, oauth2.Grant{Audience: own("shop"), Scopes: []string{"own"}, Lifetime: time.Hour}, ""},
		"a resource gives what it granted": {
			asking("shop", nil), oauth2.TokenRequest{Resource: ordersAPI},
			oauth2.Grant{Audience: ordersAPI, Scopes: []string{"orders.read"}, Lifetime: 10 * time.Minute}, "",
		},
		"a scope of the namespace is none of the resource's": {asking("shop", nil), oauth2.TokenRequest{Resource: ordersAPI, Scopes: []string{"own"}}, oauth2.Grant{}, oauth2.InvalidScope},
		"a scope of the resource is none of the namespace's": {asking("shop", nil), oauth2.TokenRequest{Scopes: []string{"orders.read"}}, oauth2.Grant{}, oauth2.InvalidScope},
		"one scope too many":                 {asking("shop", nil), oauth2.TokenRequest{Resource: ordersAPI, Scopes: []string{"orders.read", "orders.write"}}, oauth2.Grant{}, oauth2.InvalidScope},
		"a resource that grants nothing":     {asking("harbour", nil), oauth2.TokenRequest{Resource: ordersAPI}, oauth2.Grant{}, oauth2.InvalidTarget},
		"a resource that is not asked for":   {asking("shop", nil), oauth2.TokenRequest{Resource: elsewhere}, oauth2.Grant{}, oauth2.InvalidTarget},
		"the audience of another namespace":  {asking("shop", nil), oauth2.TokenRequest{Resource: own("orders")}, oauth2.Grant{}, oauth2.InvalidTarget},
		"the identifier in capitals":         {asking("shop", nil), oauth2.TokenRequest{Resource: strings.ToUpper(ordersAPI)}, oauth2.Grant{}, oauth2.InvalidTarget},
		"the identifier with a slash":        {asking("shop", nil), oauth2.TokenRequest{Resource: ordersAPI + "/"}, oauth2.Grant{}, oauth2.InvalidTarget},
		"a default resource":                 {withDefault, oauth2.TokenRequest{}, oauth2.Grant{Audience: ordersAPI, Scopes: []string{"orders.read"}, Lifetime: 10 * time.Minute}, ""},
		"the namespace beside a default":     {withDefault, oauth2.TokenRequest{Resource: own("shop")}, oauth2.Grant{Audience: own("shop"), Scopes: []string{"own"}, Lifetime: time.Hour}, ""},
		"a default resource without a grant": {ungranted, oauth2.TokenRequest{}, oauth2.Grant{}, oauth2.InvalidTarget},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := issuer(t).Grant(c.client, c.request, declared{orders()})
			if codeOf(err) != c.refused {
				t.Fatalf("refused with %v, want %q", err, c.refused)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAWithdrawnGrantEndsForTokensThatAreOut(t *testing.T) {
	client := asking("shop", map[string]string{"tier": "trusted"})
	claims := oauth2.Claims{Audience: ordersAPI, ClientID: client.ID, ClientUID: client.UID, Scopes: []string{"orders.read", "orders.write"}}
	without := func(change func(*oauth2.Resource)) declared {
		r := orders()
		change(r)
		return declared{r}
	}
	unasked := asking("shop", nil)
	unasked.Access = nil
	for name, c := range map[string]struct {
		client    *oauth2.Client
		resources declared
		scopes    []string
		denial    oauth2.Reason
	}{
		"nothing has changed":            {client, declared{orders()}, []string{"orders.read", "orders.write"}, ""},
		"one scope was withdrawn":        {client, without(func(r *oauth2.Resource) { r.Consents = r.Consents[:1] }), []string{"orders.read"}, ""},
		"all scopes were withdrawn":      {client, without(func(r *oauth2.Resource) { r.Consents = nil }), nil, oauth2.ReasonTargetNotGranted},
		"the scopes are not defined":     {client, without(func(r *oauth2.Resource) { r.Scopes = nil }), nil, oauth2.ReasonTargetNotGranted},
		"the resource is gone":           {client, nil, nil, oauth2.ReasonTargetNotGranted},
		"the client lost its label":      {asking("shop", nil), declared{orders()}, []string{"orders.read"}, ""},
		"the client asks for it no more": {unasked, declared{orders()}, nil, oauth2.ReasonTargetNotGranted},
	} {
		t.Run(name, func(t *testing.T) {
			got, denial := issuer(t).Restrict(&claims, c.client, c.resources)
			if scopes := scopesOf(got); denial != c.denial || !slices.Equal(scopes, c.scopes) {
				t.Errorf("%v, denied %q; want %v, denied %q", scopes, denial, c.scopes, c.denial)
			}
		})
	}
	own := oauth2.Claims{Audience: "https://hallpass.test/ns/shop", Scopes: []string{"own", "gone"}}
	if got, denial := issuer(t).Restrict(&own, client, nil); denial != "" || !slices.Equal(scopesOf(got), []string{"own"}) {
		t.Errorf("a free-form scope: %v %q", scopesOf(got), denial)
	}
	own.Scopes = []string{"gone"}
	if _, denial := issuer(t).Restrict(&own, client, nil); denial != oauth2.ReasonScopeNotGranted {
		t.Errorf("no free-form scope is left: %q", denial)
	}
	own.Scopes = nil
	if _, denial := issuer(t).Restrict(&own, client, nil); denial != "" {
		t.Errorf("a token that never had a scope: %q", denial)
	}
}

func TestWhoMayIntrospectAtAResource(t *testing.T) {
	claims := oauth2.Claims{Audience: ordersAPI, ClientID: "shop.caller", ClientUID: "uid-of-caller"}
	named := orders()
	named.Introspectors = []oauth2.ObjectName{{Namespace: "gate", Name: "proxy"}}
	for name, c := range map[string]struct {
		namespace, client string
		resources         declared
		want              bool
	}{
		"the resource's namespace":                     {"orders", "api", declared{orders()}, true},
		"another namespace":                            {"gate", "proxy", declared{orders()}, false},
		"a client that is named":                       {"gate", "proxy", declared{named}, true},
		"another one beside it":                        {"gate", "other", declared{named}, false},
		"the resource's namespace, which is not named": {"orders", "api", declared{named}, false},
		"a neighbour of the token's client":            {"shop", "other", declared{orders()}, false},
		"nobody, once the resource is gone":            {"orders", "api", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			caller := &oauth2.Client{ID: c.namespace + "." + c.client, UID: "another", Namespace: c.namespace, Name: c.client}
			if got := issuer(t).MayIntrospect(caller, &claims, c.resources); got != c.want {
				t.Errorf("%t, want %t", got, c.want)
			}
		})
	}
}

// TestGrantsAgainstAModel compares what is granted with a model that walks over everything there
// is, on random objects.
func TestGrantsAgainstAModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // reproducible
	const worlds = 100_000
	granted := 0
	for range worlds {
		resources, client := randomWorld(random)
		request := oauth2.TokenRequest{Resource: pick(random, "", ordersAPI, "https://a.test/x", "https://hallpass.test/ns/"+client.Namespace, "https://hallpass.test/ns/b")}
		for _, scope := range []string{"r", "w", "x"} {
			if random.IntN(4) == 0 {
				request.Scopes = append(request.Scopes, scope)
			}
		}
		got, err := issuer(t).Grant(client, request, resources)
		audience, scopes := model(client, request, resources)
		if (err == nil) != (audience != "") || got.Audience != audience || !sameSet(got.Scopes, scopes) {
			t.Fatalf("granted %q %v (%v), the model says %q %v\nclient %+v\nrequest %+v\nresources %v",
				got.Audience, got.Scopes, err, audience, scopes, client, request, resources)
		}
		if audience != "" {
			granted++
			claims := oauth2.Claims{Audience: got.Audience, Scopes: got.Scopes}
			if kept, denial := issuer(t).Restrict(&claims, client, resources); denial != "" || !sameSet(scopesOf(kept), got.Scopes) {
				t.Fatalf("granted %v and introspected as %v %q", got.Scopes, scopesOf(kept), denial)
			}
		}
	}
	if granted < worlds/20 || granted > worlds*19/20 {
		t.Errorf("%d of %d worlds grant: the worlds are too alike", granted, worlds)
	}
}

// model computes the grant of a request: for every scope that exists, whether every party allows
// it.
func model(client *oauth2.Client, request oauth2.TokenRequest, resources declared) (audience string, scopes []string) {
	own := "https://hallpass.test/ns/" + client.Namespace
	wanted := request.Resource
	if wanted == "" {
		wanted = own
		if client.DefaultResource.Name != "" {
			wanted = "nowhere"
			for _, r := range resources {
				if r.Namespace == client.DefaultResource.Namespace && r.Name == client.DefaultResource.Name {
					wanted = r.Identifier
				}
			}
		}
	}
	var has []string
	for _, scope := range []string{"r", "w", "x"} {
		if wanted == own && slices.Contains(client.Scopes, scope) || wanted != own && modelConsent(client, wanted, scope, resources) {
			has = append(has, scope)
		}
	}
	if wanted != own && len(has) == 0 {
		return "", nil
	}
	for _, scope := range request.Scopes {
		if !slices.Contains(has, scope) {
			return "", nil
		}
	}
	if len(request.Scopes) > 0 {
		has = request.Scopes
	}
	return wanted, has
}

func modelConsent(client *oauth2.Client, identifier, scope string, resources declared) bool {
	for _, r := range resources {
		for _, access := range client.Access {
			for _, consent := range r.Consents {
				yes := r.Identifier == identifier && access.Resource.Namespace == r.Namespace && access.Resource.Name == r.Name &&
					slices.Contains(access.Scopes, scope) && slices.Contains(r.Scopes, scope) && slices.Contains(consent.Scopes, scope) &&
					slices.Contains(consent.Namespaces, client.Namespace)
				for key, value := range consent.ClientLabels {
					yes = yes && client.Labels[key] == value
				}
				if yes {
					return true
				}
			}
		}
	}
	return false
}

func randomWorld(random *rand.Rand) (declared, *oauth2.Client) {
	some := func(from ...string) []string {
		var chosen []string
		for _, s := range from {
			if random.IntN(2) == 0 {
				chosen = append(chosen, s)
			}
		}
		return chosen
	}
	labels := func() map[string]string {
		if random.IntN(2) == 0 {
			return nil
		}
		return map[string]string{"k": pick(random, "1", "2")}
	}
	var resources declared
	for i, identifier := range []string{ordersAPI, "https://a.test/x"} {
		if random.IntN(5) == 0 {
			continue
		}
		r := &oauth2.Resource{Identifier: identifier, Namespace: pick(random, "a", "b"), Name: fmt.Sprint(i), Scopes: some("r", "w", "x")}
		for range random.IntN(3) {
			r.Consents = append(r.Consents, oauth2.Consent{Namespaces: some("a", "b", "c"), ClientLabels: labels(), Scopes: some("r", "w", "x")})
		}
		resources = append(resources, r)
	}
	client := &oauth2.Client{Namespace: pick(random, "a", "b", "c"), Labels: labels(), Scopes: some("r", "w", "x"), Tokens: oauth2.TokenForm{Lifetime: time.Hour}}
	for _, namespace := range []string{"a", "b"} {
		for _, name := range []string{"0", "1"} {
			if random.IntN(2) == 0 {
				client.Access = append(client.Access, oauth2.Access{
					Resource: oauth2.ObjectName{Namespace: namespace, Name: name}, Scopes: some("r", "w", "x"),
				})
			}
		}
	}
	if len(client.Access) > 0 && random.IntN(3) == 0 {
		client.DefaultResource = client.Access[random.IntN(len(client.Access))].Resource
	}
	return resources, client
}

func pick(random *rand.Rand, from ...string) string { return from[random.IntN(len(from))] }

func sameSet(a, b []string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

func TestPatterns(t *testing.T) {
	for name, c := range map[string]struct {
		pattern string
		fits    []string
		not     []string
	}{
		"literal text":            {"https://a.test/x", []string{"https://a.test/x"}, []string{"https://a.test/x/", "https://a.test/", "https://a.test/X", "xhttps://a.test/x"}},
		"what is below a path":    {"https://a.test/x/*", []string{"https://a.test/x/", "https://a.test/x/y", "https://a.test/x/y/z"}, []string{"https://a.test/x", "https://a.test/xy"}},
		"a host's label":          {"https://*.a.test/*", []string{"https://b.a.test/", "https://b.c.a.test/x/y"}, []string{"https://a.test/", "https://evil.test/b.a.test/", "https://b.a.test.evil.test/", "https://b.a.test"}},
		"one segment of a path":   {"https://a.test/*/x", []string{"https://a.test/b/x", "https://a.test//x"}, []string{"https://a.test/b/c/x", "https://a.test/b/xy"}},
		"part of a segment":       {"svc-*-v*", []string{"svc-a-v1", "svc--v", "svc-a-v-v2"}, []string{"svc-a", "svc-a-w1", "svc-a-v1/x"}},
		"everything":              {"*", []string{"", "a", "a/b"}, nil},
		"stars side by side":      {"a**b", []string{"ab", "axxb"}, []string{"a", "a/b"}},
		"beginning and end share": {"ab*ba", []string{"abba", "abxba"}, []string{"aba"}},
	} {
		t.Run(name, func(t *testing.T) {
			ceilings := oauth2.Ceilings{ClientIDs: [][]string{{"never", c.pattern}}, ResourceIdentifiers: [][]string{{c.pattern}}}
			for _, s := range c.fits {
				if oauth2.ValidClientID(s) && !oauth2.IsExactClientID(s) && !ceilings.AllowClientID(s) || !ceilings.AllowResourceIdentifier(s) {
					t.Errorf("%q does not fit %q", s, c.pattern)
				}
			}
			for _, s := range c.not {
				if ceilings.AllowClientID(s) || ceilings.AllowResourceIdentifier(s) {
					t.Errorf("%q fits %q", s, c.pattern)
				}
			}
		})
	}
}

func TestPoliciesNarrowEachOther(t *testing.T) {
	none := oauth2.Ceilings{AnyClientID: true}
	one := oauth2.Ceilings{
		Methods: []string{"ClientSecret", "PrivateKeyJWT"}, Lifetimes: oauth2.Lifetimes{Token: 30 * time.Minute}, Numbers: oauth2.Numbers{Clients: new(5), Tokens: new(7)},
		ReservedScopes: []string{"admin"}, ClientIDs: [][]string{{"a*"}}, ResourceIdentifiers: [][]string{{"https://a.test/*"}},
	}
	other := oauth2.Ceilings{
		Methods: []string{"PrivateKeyJWT", "ServiceAccount"}, Lifetimes: oauth2.Lifetimes{Token: 10 * time.Minute}, Numbers: oauth2.Numbers{Clients: new(3), Resources: new(0)}, NoFreeFormScopes: true,
		ClientIDs: [][]string{{"*b"}},
	}
	if c := none.And(oauth2.Ceilings{}); !c.AllowMethod("anything") || c.Lifetime(time.Hour) != time.Hour || c.Limits() != (oauth2.Numbers{}) || !c.AllowClientID("x") ||
		c.AllowResourceIdentifier("https://a.test/x") || c.FreeForm("admin") != oauth2.Granted {
		t.Errorf("a policy that says nothing: %+v", c)
	}
	for name, c := range map[string]oauth2.Ceilings{"one way": none.And(one).And(other), "the other way": none.And(other).And(one)} {
		t.Run(name, func(t *testing.T) {
			if c.AllowMethod("ClientSecret") || !c.AllowMethod("PrivateKeyJWT") || c.AllowMethod("ServiceAccount") {
				t.Errorf("methods %v", c.Methods)
			}
			if c.Lifetime(time.Hour) != 10*time.Minute || c.Lifetime(time.Minute) != time.Minute {
				t.Errorf("lifetime %s", c.Lifetime(time.Hour))
			}
			c.DefaultNumbers = oauth2.Numbers{Clients: new(1), Tokens: new(100), Resources: new(100)}
			if diff := cmp.Diff(oauth2.Numbers{Clients: new(3), Tokens: new(7), Resources: new(0)}, c.Limits()); diff != "" {
				t.Errorf("limits (-want +got):\n%s", diff)
			}
			if c.FreeForm("read") != oauth2.NotAllowedByPolicy || !c.Reserved("admin") || c.Reserved("read") {
				t.Errorf("scopes: %+v", c)
			}
			if !c.AllowClientID("ab") || c.AllowClientID("a") || c.AllowClientID("b") || !c.AllowResourceIdentifier("https://a.test/x") {
				t.Errorf("identifiers: %+v", c)
			}
		})
	}
	defaults := oauth2.Ceilings{DefaultNumbers: oauth2.Numbers{Clients: new(10), Tokens: new(20)}}.And(oauth2.Ceilings{Numbers: oauth2.Numbers{Clients: new(50)}})
	if diff := cmp.Diff(oauth2.Numbers{Clients: new(50), Tokens: new(20)}, defaults.Limits()); diff != "" {
		t.Errorf("a policy takes the place of the defaults that it speaks of (-want +got):\n%s", diff)
	}
	disjoint := oauth2.Ceilings{Methods: []string{"A"}}.And(oauth2.Ceilings{Methods: []string{"B"}})
	if disjoint.AllowMethod("A") || disjoint.AllowMethod("B") {
		t.Error("policies with no method in common allow one")
	}
}
