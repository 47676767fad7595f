// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package answer_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// headers are those of an answer, each of which must be there once.
func headers(t *testing.T, a answer.Answer) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, header := range a.Header {
		if _, there := all[header.Name]; there || header.Name != http.CanonicalHeaderKey(header.Name) {
			t.Errorf("header %s is there twice, or not in the form of net/http", header.Name)
		}
		all[header.Name] = header.Value
	}
	return all
}

const json = "Content-Type: " + answer.JSON

// with are the headers of an answer that nothing may store, and further ones.
func with(further ...string) map[string]string {
	all := map[string]string{
		"Cache-Control": "no-store", "Pragma": "no-cache", "Vary": "Authorization, Accept", "X-Content-Type-Options": "nosniff",
	}
	for _, line := range further {
		name, value, _ := strings.Cut(line, ": ")
		all[name] = value
	}
	return all
}

func TestRefusals(t *testing.T) {
	const basic = `Basic realm="hallpass", charset="UTF-8"`
	required := answer.Challenge{Required: oauth2.Requirement{Audience: "urn:a", Scopes: []string{"read", "write"}}, Metadata: "https://h.test/m"}
	challenge := `Bearer realm="hallpass", scope="read write", resource_metadata="https://h.test/m"`
	refuse := func(code oauth2.ErrorCode, reason oauth2.Reason) *oauth2.Error {
		return oauth2.Refuse(code, reason, "why")
	}
	later := func(reason oauth2.Reason) error {
		return &oauth2.Error{Code: oauth2.TemporarilyUnavailable, Reason: reason, RetryAfter: 1500 * time.Millisecond, Description: "why"}
	}
	body := func(code string) string { return `{"error":"` + code + `","error_description":"why"}` }
	for name, c := range map[string]struct {
		got    answer.Answer
		status int
		header map[string]string
		body   string
	}{
		"a client that does not authenticate": {
			answer.Refusal(refuse(oauth2.InvalidClient, "r")), 401, with(json, "Www-Authenticate: "+basic), body("invalid_client"),
		},
		"a malformed request": {
			answer.Refusal(refuse(oauth2.InvalidRequest, "r")), 400, with(json), body("invalid_request"),
		},
		"what cannot be decided now": {
			answer.Refusal(later(oauth2.ReasonLookupUnavailable)), 503, with(json, "Retry-After: 2"), body("temporarily_unavailable"),
		},
		"a caller that asks too often": {
			answer.Refusal(later(oauth2.ReasonThrottled)), 429, with(json, "Retry-After: 2"), body("temporarily_unavailable"),
		},
		"a method that is not allowed": {
			answer.Refusal(answer.ByHTTP(405, "POST", "why")), 405,
			with(json, "Allow: POST"), body("invalid_request"),
		},
		"a fault of ours has no detail": {
			answer.Refusal(errors.New("the disk is full")), 500, with(json), `{"error":"server_error"}`,
		},
		"a fault of ours behind a proxy has no detail": {
			required.Refusal(errors.New("the disk is full")), 500, with(json), `{"error":"server_error"}`,
		},
		"a request without a token gets no error": {
			required.Refusal(refuse(oauth2.InvalidToken, oauth2.ReasonNoCredentials)), 401,
			with(json, "Www-Authenticate: "+challenge), body("invalid_token"),
		},
		"proxies know no 400": {
			required.Refusal(refuse(oauth2.InvalidRequest, "r")), 401,
			with(json, "Www-Authenticate: "+challenge+`, error="invalid_request", error_description="why"`), body("invalid_request"),
		},
		"a token without a scope": {
			answer.Challenge{}.Refusal(refuse(oauth2.InsufficientScope, "r")), 403,
			with(json, `Www-Authenticate: Bearer realm="hallpass", error="insufficient_scope", error_description="why"`),
			body("insufficient_scope"),
		},
		"what cannot be decided now, behind a proxy": {
			required.Refusal(later("r")), 503, with(json, "Retry-After: 2"), body("temporarily_unavailable"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.got.Status != c.status || string(c.got.Body) != c.body {
				t.Errorf("%d %s", c.got.Status, c.got.Body)
			}
			if diff := cmp.Diff(c.header, headers(t, c.got)); diff != "" {
				t.Error("headers (-want +got):\n" + diff)
			}
		})
	}
}

func TestAPageForAHuman(t *testing.T) {
	required := oauth2.Requirement{Audience: "urn:<a>", Scopes: []string{"read"}}
	page := answer.Challenge{Required: required, Page: true}.Refusal(oauth2.Refuse(oauth2.InvalidToken, "r", "<why>"))
	got := headers(t, page)
	if page.Status != 401 || got["Content-Type"] != "text/html; charset=utf-8" || got["Content-Security-Policy"] != "default-src 'none'" {
		t.Errorf("%d %v", page.Status, got)
	}
	for _, part := range []string{"<h1>401 Unauthorized</h1>", "&lt;why&gt;", "<code>urn:&lt;a&gt;</code>", "<code>read</code>"} {
		if !strings.Contains(string(page.Body), part) {
			t.Errorf("no %s in %s", part, page.Body)
		}
	}
	required.Audience = "urn:" + strings.Repeat("a", 1<<10)
	if page := (answer.Challenge{Required: required, Page: true}).Refusal(oauth2.Refuse(oauth2.InvalidToken, "r", "why")); len(page.Body) > 1<<10 {
		t.Errorf("a page of %d bytes", len(page.Body))
	}
}

func TestWhoWantsAPage(t *testing.T) {
	for accept, want := range map[string]bool{
		"text/html,application/xhtml+xml;q=0.9": true, "application/json, Text/HTML;q=0.1": true, "*/*": false, "text/*": false, "": false,
	} {
		if answer.WantsPage([]string{accept}) != want {
			t.Errorf("Accept %q: want %t", accept, want)
		}
	}
}

func TestIdentities(t *testing.T) {
	claims := oauth2.Claims{Subject: "shop.reporting", ClientID: "shop.reporting", ClientUID: "uid", Audience: "urn:a", ExpiresAt: time.Unix(1700000000, 0)}
	for name, c := range map[string]struct {
		scopes []string
		want   map[string]string
	}{
		"a client with scopes": {[]string{"read", "write"}, with(
			"X-Auth-Client-Id: shop.reporting", "X-Auth-Client-Uid: uid", "X-Auth-Client-Namespace: shop",
			"X-Auth-Scopes: read write", "X-Auth-Audience: urn:a", "X-Auth-Expires: 1700000000",
			"X-Auth-Subject: shop.reporting", "X-Auth-Subject-Type: client", "X-Auth-User: ",
		)},
		"empty headers are sent too": {nil, with(
			"X-Auth-Client-Id: shop.reporting", "X-Auth-Client-Uid: uid", "X-Auth-Client-Namespace: shop",
			"X-Auth-Scopes: ", "X-Auth-Audience: urn:a", "X-Auth-Expires: 1700000000",
			"X-Auth-Subject: shop.reporting", "X-Auth-Subject-Type: client", "X-Auth-User: ",
		)},
		"more than fits":                 {[]string{strings.Repeat("s", 3<<10)}, nil},
		"what some proxies would change": {[]string{"caf\u00e9"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			claims.Scopes = c.scopes
			identity, err := answer.IdentityOf(&claims, "shop")
			if c.want == nil {
				if oauth2.ReasonOf(err) != oauth2.ReasonIdentityTooLarge {
					t.Errorf("%v", err)
				}
				return
			}
			got := identity.Answer()
			if diff := cmp.Diff(c.want, headers(t, got)); diff != "" || err != nil || got.Status != 200 || len(got.Body) > 0 {
				t.Errorf("%v %d %s (-want +got):\n%s", err, got.Status, got.Body, diff)
			}
		})
	}
}

// An upstream reads who calls and for whom in headers of their own.
func TestTheIdentityOfAnExchangedToken(t *testing.T) {
	claims := oauth2.Claims{
		Subject: "shop.web", ClientID: "orders.api", ClientUID: "uid", Actors: []string{"orders.api", "edge.gateway"}, Audience: "urn:a",
		ExpiresAt: time.Unix(1700000000, 0),
	}
	identity, err := answer.IdentityOf(&claims, "orders")
	if err != nil {
		t.Fatal(err)
	}
	want := with(
		"X-Auth-Client-Id: orders.api", "X-Auth-Client-Uid: uid", "X-Auth-Client-Namespace: orders", "X-Auth-Scopes: ", "X-Auth-Audience: urn:a",
		"X-Auth-Expires: 1700000000", "X-Auth-Subject: shop.web", "X-Auth-Subject-Type: client", "X-Auth-User: ",
	)
	if diff := cmp.Diff(want, headers(t, identity.Answer())); diff != "" {
		t.Error(diff)
	}
}

func TestWhatMayBeStored(t *testing.T) {
	body := []byte("{}")
	for name, c := range map[string]struct {
		got    answer.Answer
		status int
		header map[string]string
		body   string
	}{
		"nothing of a token": {answer.Private(answer.JSON, body), 200, with(json), "{}"},
		"nothing of nothing": {answer.Private("", nil), 200, with(), ""},
		"keys": {
			answer.Public("application/jwk-set+json", body, 15*time.Minute), 200,
			map[string]string{"Cache-Control": "public, max-age=900", "X-Content-Type-Options": "nosniff", "Content-Type": "application/jwk-set+json"}, "{}",
		},
		"a page of the feed, if its reader asks each time": {
			answer.Tagged(answer.JSON, body, `"t"`, false), 200,
			map[string]string{
				"Etag": `"t"`, "Cache-Control": "private, no-cache", "Vary": "Authorization", "X-Content-Type-Options": "nosniff", "Content-Type": answer.JSON,
			}, "{}",
		},
		"one that its reader has": {
			answer.Tagged(answer.JSON, body, `"t"`, true), 304, map[string]string{"Etag": `"t"`, "Cache-Control": "private, no-cache", "Vary": "Authorization"}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.header, headers(t, c.got)); diff != "" || c.got.Status != c.status || string(c.got.Body) != c.body {
				t.Errorf("%d %s (-want +got):\n%s", c.got.Status, c.got.Body, diff)
			}
		})
	}
}
