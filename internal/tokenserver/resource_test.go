// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const ordersAPI = testIssuer + "/resources/orders/api"

// orders is an API of the namespace orders that grants reading to the namespace shop.
func orders() *oauth2.Resource {
	return &oauth2.Resource{
		Identifier: ordersAPI, UID: "uid-of-orders-api", Namespace: "orders", Name: "api", DisplayName: "Orders",
		Scopes:   []string{"orders.read", "orders.write"},
		Consents: []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: []string{"orders.read"}}},
	}
}

// asks makes a client ask for all of the API's scopes, in memory and at the source.
func (w *world) asks(id string) {
	record := w.dir.known[id]
	client := *record.Client
	client.Access = []oauth2.Access{{
		Resource: oauth2.ObjectName{Namespace: "orders", Name: "api"}, Scopes: []string{"orders.read", "orders.write"},
	}}
	record.Client = &client
	w.dir.known[id], w.dir.source[id] = record, record
}

// answerOf fetches a token with further parameters.
func (w *world) answerOf(id string, parameters url.Values) (int, map[string]any) {
	w.t.Helper()
	parameters.Set("grant_type", "client_credentials")
	return decode(w.t, w.do(call{basic: id, body: parameters.Encode()}))
}

func decode(t testing.TB, answer interface {
	Result() *http.Response
}) (int, map[string]any) {
	t.Helper()
	result := answer.Result()
	defer func() { _ = result.Body.Close() }()
	var body map[string]any
	if err := json.NewDecoder(result.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return result.StatusCode, body
}

func TestOneResourceARequest(t *testing.T) {
	for name, c := range map[string]struct {
		parameters url.Values
		scope, err string
	}{
		"no resource":                         {url.Values{}, "read write", ""},
		"the API":                             {url.Values{"resource": {ordersAPI}}, "orders.read", ""},
		"a scope of the API":                  {url.Values{"resource": {ordersAPI}, "scope": {"orders.read"}}, "orders.read", ""},
		"a scope that the API did not grant":  {url.Values{"resource": {ordersAPI}, "scope": {"orders.write"}}, "", "invalid_scope"},
		"a scope of the namespace at the API": {url.Values{"resource": {ordersAPI}, "scope": {"read"}}, "", "invalid_scope"},
		"a scope of the API at the namespace": {url.Values{"scope": {"orders.read"}}, "", "invalid_scope"},
		"another resource":                    {url.Values{"resource": {"https://elsewhere.test/"}}, "", "invalid_target"},
		"the same resource twice":             {url.Values{"resource": {ordersAPI, ordersAPI}}, "", "invalid_target"},
		"two resources":                       {url.Values{"resource": {ordersAPI, testIssuer + "/ns/shop"}}, "", "invalid_target"},
		"a resource that is no absolute URI":  {url.Values{"resource": {"orders"}}, "", "invalid_target"},
		"a resource with a fragment":          {url.Values{"resource": {ordersAPI + "#x"}}, "", "invalid_target"},
		"a resource with an empty fragment":   {url.Values{"resource": {ordersAPI + "#"}}, "", "invalid_target"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.dir.resources = []*oauth2.Resource{orders()}
			w.asks(reporting)
			status, body := w.answerOf(reporting, c.parameters)
			if c.err != "" {
				if status != http.StatusBadRequest || body["error"] != c.err {
					t.Errorf("%d %v, want %s", status, body, c.err)
				}
				return
			}
			if status != http.StatusOK || body["scope"] != c.scope {
				t.Errorf("%d %v, want the scope %q", status, body, c.scope)
			}
		})
	}
}

// What memory does not grant yet the source may: a client is given a resource and asks for it at
// once.
func TestAGrantIsLookedUpBeforeItIsRefused(t *testing.T) {
	w := newWorld(t)
	before := w.dir.known[reporting]
	w.asks(reporting)
	w.dir.known[reporting] = before
	w.dir.resourcesAtSource = []*oauth2.Resource{orders()}
	status, body := w.answerOf(reporting, url.Values{"resource": {ordersAPI}})
	if status != http.StatusOK || body["aud"] != nil || body["scope"] != "orders.read" {
		t.Fatalf("%d %v, want a token", status, body)
	}
	token, _ := body["access_token"].(string)
	// A replica that does not know the API either is asked about the token.
	_, said := decode(t, w.do(w.introspect(stranger, token)))
	if said["active"] != true || said["aud"] != ordersAPI {
		t.Errorf("the API learns %v", said)
	}
	w.dir.failing = errAway
	if status, body := w.answerOf(reporting, url.Values{"resource": {ordersAPI}}); status != http.StatusBadRequest || body["error"] != "invalid_target" {
		t.Errorf("without an answer of the source: %d %v, want what memory says", status, body)
	}
}

// The record that grants decides all: what else changed with the grant holds too.
func TestALookedUpGrantComesWithTheRevocationsBesideIt(t *testing.T) {
	w := newWorld(t)
	before := w.dir.known[reporting]
	w.asks(reporting)
	w.dir.known[reporting] = before
	w.dir.resourcesAtSource = []*oauth2.Resource{orders()}
	newer, owner := w.dir.source[reporting], *before.Owner
	owner.RevokedBefore = w.now.AddDate(1, 0, 0)
	newer.Owner = &owner
	w.dir.source[reporting] = newer
	if status, body := w.answerOf(reporting, url.Values{"resource": {ordersAPI}}); status != http.StatusServiceUnavailable {
		t.Errorf("%d %v, want a refusal: the tokens of a year are revoked", status, body)
	}
}

// A client that asks for what it is not granted soon asks the source nothing more.
func TestRefusedGrantsDrawLittleOnTheSource(t *testing.T) {
	w := newWorld(t)
	for range 1000 {
		if status, body := w.answerOf(reporting, url.Values{"resource": {ordersAPI}}); status != http.StatusBadRequest {
			t.Fatalf("%d %v", status, body)
		}
	}
	if asked := w.dir.lookedUp(); asked > failureBurst {
		t.Errorf("1,000 refusals asked the source %d times", asked)
	}
}

func TestAWithdrawnGrantEndsEverywhere(t *testing.T) {
	w := newWorld(t)
	w.dir.resources = []*oauth2.Resource{orders()}
	w.asks(reporting)
	_, body := w.answerOf(reporting, url.Values{"resource": {ordersAPI}})
	token, _ := body["access_token"].(string)
	passes := func() int {
		header := http.Header{"Authorization": {"Bearer " + token}}
		target := oauth2.ForwardAuthPath + "?" + url.Values{"audience": {ordersAPI}, "scope": {"orders.read"}}.Encode()
		return w.do(call{method: http.MethodGet, path: target, header: header}).Code
	}
	if _, said := decode(t, w.do(w.introspect(stranger, token))); said["active"] != true || passes() != http.StatusOK {
		t.Fatalf("before: %v, %d", said, passes())
	}
	withdrawn := orders()
	withdrawn.Consents = nil
	w.dir.resources = []*oauth2.Resource{withdrawn}
	if _, said := decode(t, w.do(w.introspect(stranger, token))); len(said) != 1 || said["active"] != false || passes() != http.StatusUnauthorized {
		t.Errorf("after: %v, %d", said, passes())
	}
	if reason := w.lastAudit()["reason"]; reason != string(oauth2.ReasonTargetNotGranted) {
		t.Errorf("the audit line says %v", reason)
	}
}

// RFC 9701: aud is the caller, typ its own, and there is neither sub nor exp beside the members of
// the token.
func TestSignedIntrospection(t *testing.T) {
	w := newWorld(t)
	token := w.token(reporting)
	signed := func(caller, token string, accept ...string) (http.Header, string) {
		c := w.introspect(caller, token)
		c.header = http.Header{"Accept": accept, "Content-Type": {"application/x-www-form-urlencoded"}}
		answer := w.do(c)
		if answer.Code != http.StatusOK {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
		return answer.Header(), answer.Body.String()
	}
	read := func(body string) map[string]any {
		message, err := jws.Parse(body)
		if err != nil {
			t.Fatal(err)
		}
		key, err := w.dir.ring.VerificationKey(message.Header.KeyID, w.now)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := key.Verify(message)
		if err != nil || message.Header.Type != oauth2.IntrospectionTokenType {
			t.Fatalf("typ %q: %v", message.Header.Type, err)
		}
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatal(err)
		}
		return claims
	}
	header, body := signed(billing, token, "application/json;q=0.5, "+signedIntrospection)
	if header.Get("Content-Type") != signedIntrospection || !strings.Contains(header.Get("Vary"), "Accept") {
		t.Errorf("header %v", header)
	}
	claims := read(body)
	said, _ := claims["token_introspection"].(map[string]any)
	if claims["aud"] != billing || claims["iss"] != testIssuer || said["active"] != true || said["client_id"] != reporting {
		t.Errorf("claims %v", claims)
	}
	if id, _ := claims["jti"].(string); len(claims) != 5 || len(id) != 22 {
		t.Errorf("more than iss, aud, iat, jti and token_introspection: %v", claims)
	}
	if _, again := signed(billing, token, signedIntrospection); read(again)["jti"] == claims["jti"] || again == body {
		t.Error("the same input was signed twice")
	}
	if _, body := signed(stranger, token, signedIntrospection); cmp.Diff(map[string]any{"active": false}, read(body)["token_introspection"]) != "" {
		t.Errorf("a stranger reads %v", read(body))
	}
	// Neither passes for the other.
	if _, answer := signed(reporting, body); answer != inactive {
		t.Errorf("a signed answer introspected: %s", answer)
	}
	for _, accept := range [][]string{nil, {"*/*"}, {"application/*"}, {"application/json"}, {signedIntrospection + ";q=0"}, {"nonsense;;"}} {
		if _, body := signed(billing, token, accept...); !strings.HasPrefix(body, `{"active":true`) {
			t.Errorf("Accept %v: %s", accept, body)
		}
	}
}

func TestResourceMetadata(t *testing.T) {
	w := newWorld(t)
	chosen := orders()
	chosen.Identifier, chosen.Name, chosen.DisplayName = "https://api.orders.test/v1", "public", ""
	w.dir.resources = []*oauth2.Resource{orders(), chosen}
	for name, c := range map[string]struct {
		path   string
		status int
		want   map[string]any
	}{
		"a resource": {"/resources/orders/api", http.StatusOK, map[string]any{
			"resource": ordersAPI, "resource_name": "Orders", "authorization_servers": []any{testIssuer},
			"scopes_supported": []any{"orders.read", "orders.write"}, "bearer_methods_supported": []any{"header"},
		}},
		"one with an identifier of its own": {"/resources/orders/public", http.StatusOK, map[string]any{
			"resource": "https://api.orders.test/v1", "authorization_servers": []any{testIssuer},
			"scopes_supported": []any{"orders.read", "orders.write"}, "bearer_methods_supported": []any{"header"},
		}},
		"nothing":             {"/resources/orders/nothing", http.StatusNotFound, nil},
		"no resource's place": {"", http.StatusNotFound, nil},
	} {
		t.Run(name, func(t *testing.T) {
			answer := w.do(call{method: http.MethodGet, path: oauth2.ResourceMetadataPath + c.path})
			status, body := decode(t, answer)
			if status != c.status {
				t.Fatalf("%d, want %d", status, c.status)
			}
			if c.want == nil {
				return
			}
			if diff := cmp.Diff(c.want, body); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if answer.Header().Get("Cache-Control") != "public, max-age=900" {
				t.Errorf("Cache-Control %q", answer.Header().Get("Cache-Control"))
			}
		})
	}
	_, body := decode(t, w.do(call{method: http.MethodGet, path: oauth2.MetadataPath}))
	if scopes, there := body["scopes_supported"]; there {
		t.Errorf("the metadata of the issuer names the scopes of resources: %v", scopes)
	}
}

// A token that is older than what memory may lag behind by is decided by memory alone.
func TestOldTokensCauseNoLookUps(t *testing.T) {
	w := newWorld(t)
	w.dir.resources = []*oauth2.Resource{orders()}
	w.asks(reporting)
	_, body := w.answerOf(reporting, url.Values{"resource": {ordersAPI}})
	token, _ := body["access_token"].(string)
	w.dir.resources = nil
	w.now = w.now.Add(memoryLag + time.Second)
	if _, said := decode(t, w.do(w.introspect(reporting, token))); said["active"] != false || w.dir.lookedUp() != 0 {
		t.Errorf("%v after %d look-ups", said, w.dir.lookedUp())
	}
}
