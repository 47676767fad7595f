// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package codegrant_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func clientWith(redirectURIs ...string) *oauth2.Client {
	return &oauth2.Client{
		ID: "shop.web", UID: "uid", Namespace: "shop", Name: "web", GrantTypes: oauth2.AuthorizationCode, Codes: &oauth2.Codes{RedirectURIs: redirectURIs},
	}
}

// The attacks of RFC 9700 section 4.1 and of "An Empirical Study of OAuth redirect_uri Validation"
// (Innocenti et al., "OAuth 2.0 Redirect URI Validation Falls Short, Literally", 2023): path
// confusion, parameter pollution, and readers that see different hosts.
func TestRedirectsThatAreRefused(t *testing.T) {
	registered := []string{
		"https://app.example/cb", "https://app.example/cb?tenant=a", "https://app.example:8443/cb", "http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost/cb?x=1",
		"http://127.0.0.1:7777/fixed", "com.example.app:/cb", "cursor://anysphere.cursor/callback",
	}
	client := clientWith(registered...)
	for name, uri := range map[string]string{
		"nothing":                              "",
		"another host":                         "https://evil.example/cb",
		"a subdomain":                          "https://a.app.example/cb",
		"a host that ends the same":            "https://evilapp.example/cb",
		"a host that begins the same":          "https://app.example.evil.example/cb",
		"the host in another case":             "https://APP.example/cb",
		"the scheme in another case":           "HTTPS://app.example/cb",
		"the path in another case":             "https://app.example/CB",
		"http instead of https":                "http://app.example/cb",
		"the port that https has anyway":       "https://app.example:443/cb",
		"another port":                         "https://app.example:8444/cb",
		"a port that is empty":                 "https://app.example:/cb",
		"a slash at the end":                   "https://app.example/cb/",
		"no path":                              "https://app.example",
		"a longer path":                        "https://app.example/cb/../evil",
		"a longer path after the port":         "https://app.example:8443/cb/x",
		"a path that begins the same":          "https://app.example/cbevil",
		"a dot segment":                        "https://app.example/./cb",
		"two dot segments":                     "https://app.example/x/../cb",
		"an encoded dot segment":               "https://app.example/x/%2e%2e/cb",
		"a dot segment encoded twice":          "https://app.example/x/%252e%252e/cb",
		"an encoded letter":                    "https://app.example/%63b",
		"an encoded slash":                     "https://app.example%2Fcb",
		"two slashes":                          "https://app.example//cb",
		"a backslash":                          `https://app.example\cb`,
		"a backslash before another host":      `https://evil.example\@app.example/cb`,
		"a fragment":                           "https://app.example/cb#x",
		"an empty fragment":                    "https://app.example/cb#",
		"an encoded fragment":                  "https://app.example/cb%23",
		"a user":                               "https://app.example@evil.example/cb",
		"a user before the host":               "https://x@app.example/cb",
		"a user and a password":                "https://app.example:x@evil.example/cb",
		"a query":                              "https://app.example/cb?next=https://evil.example",
		"a query that adds to the registered":  "https://app.example/cb?tenant=a&code=stolen",
		"a query that replaces the registered": "https://app.example/cb?tenant=b",
		"an empty query":                       "https://app.example/cb?",
		"a parameter of the answer":            "https://app.example/cb?code=x",
		"a semicolon":                          "https://app.example/cb;x",
		"a space at the end":                   "https://app.example/cb ",
		"a space at the beginning":             " https://app.example/cb",
		"a line break":                         "https://app.example/cb\n",
		"a tab, which browsers remove":         "https://app.exam\tple/cb",
		"a zero byte":                          "https://app.example/cb\x00",
		"a letter that looks like another":     "https://\u0430pp.example/cb",
		"a host with a dot at the end":         "https://app.example./cb",
		"no scheme":                            "//app.example/cb",
		"a path alone":                         "/cb",
		"one slash":                            "https:/app.example/cb",
		"no slash":                             "https:app.example/cb",
		"three slashes":                        "https:///app.example/cb",
		"a wildcard":                           "https://*/cb",
		"a script":                             "javascript:alert(1)//https://app.example/cb",
		"data":                                 "data:text/html,x",
		"an address of version 4, another one": "http://127.0.0.2:1234/cb",
		"an address in another spelling":       "http://127.1:1234/cb",
		"an address as a number":               "http://2130706433:1234/cb",
		"localhost instead of the address":     "http://localhost:1234/cb",
		"the address instead of localhost":     "http://127.0.0.1:1234/cb?x=1",
		"localhost without its query":          "http://localhost:1234/cb",
		"localhost as a part of a host":        "http://localhost.evil.example/cb?x=1",
		"a loopback name with a user":          "http://127.0.0.1:1234@evil.example/cb",
		"a loopback name with another host":    "http://127.0.0.1.evil.example/cb",
		"a loopback name with https":           "https://127.0.0.1:1234/cb",
		"a port that is no number":             "http://127.0.0.1:x/cb",
		"a port with a sign":                   "http://127.0.0.1:+80/cb",
		"a port that begins with a zero":       "http://127.0.0.1:080/cb",
		"the port zero":                        "http://127.0.0.1:0/cb",
		"a port that is too high":              "http://127.0.0.1:65536/cb",
		"a loopback port that is empty":        "http://127.0.0.1:/cb",
		"another path on loopback":             "http://127.0.0.1:1234/other",
		"another port than a registered one":   "http://127.0.0.1:7778/fixed",
		"no port where one is registered":      "http://127.0.0.1/fixed",
		"a longer address of version 6":        "http://[0:0:0:0:0:0:0:1]:1234/cb",
		"an address of version 6 with a zone":  "http://[::1%25lo]:1234/cb",
		"an address of version 4 in version 6": "http://[::ffff:127.0.0.1]:1234/cb",
		"the scheme of an app in another case": "com.example.App:/cb",
		"the scheme of an app with a host":     "com.example.app://cb",
		"another path of an app":               "com.example.app:/cb/x",
		"a scheme that begins the same":        "com.example.app2:/cb",
		"a scheme with a port":                 "cursor://anysphere.cursor:1/callback",
		"a registered one and a second one":    "https://app.example/cb https://evil.example",
		"a registered one and a comma":         "https://app.example/cb,https://evil.example",
		"a registered one that is encoded":     url.QueryEscape("https://app.example/cb"),
		"a URI of more than 512 characters":    "https://app.example/cb?" + strings.Repeat("x", 512),
		"a name in an address of version 4":    "http://127.0.0.1\u3002:1234/cb",
		"a dot of another width":               "https://app\uff0eexample/cb",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := codegrant.Request{RedirectURI: uri}.Redirect(client)
			if _, reason := refusalOf(err); got != "" || reason != oauth2.ReasonRedirectNotAllowed {
				t.Errorf("%q is accepted as %q: %v", uri, got, err)
			}
		})
	}
	for _, uri := range slices.Concat(registered, []string{
		"http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", "http://[::1]:54321/cb", "http://localhost:8080/cb?x=1",
	}) {
		if got, err := (codegrant.Request{RedirectURI: uri}).Redirect(client); got != uri || err != nil {
			t.Errorf("%q is refused: %v", uri, err)
		}
	}
}

func TestAClientWithOneRedirectURIMayLeaveItOut(t *testing.T) {
	one := clientWith("https://app.example/cb")
	if got, err := (codegrant.Request{}).Redirect(one); got != "https://app.example/cb" || err != nil {
		t.Errorf("it is sent to %q: %v", got, err)
	}
	withoutCodes := clientWith("https://app.example/cb")
	withoutCodes.GrantTypes = oauth2.ClientCredentials
	noCodes := &oauth2.Client{GrantTypes: oauth2.AuthorizationCode}
	for name, client := range map[string]*oauth2.Client{
		"two":                         clientWith("https://app.example/cb", "https://app.example/other"),
		"none":                        clientWith(),
		"one that no client may have": clientWith("https://app.example/cb#x"),
		"another grant type":          withoutCodes,
		"no codes":                    noCodes,
	} {
		if got, err := (codegrant.Request{}).Redirect(client); got != "" || err == nil {
			t.Errorf("a client with %s is sent to %q", name, got)
		}
	}
	// what the record should not have is not used either
	for _, uri := range []string{"https://app.example/cb#x", "javascript:alert(1)", "http://app.example/cb", "https://app.example/*", "https://app.example/cb?state=1"} {
		if got, err := (codegrant.Request{RedirectURI: uri}).Redirect(clientWith(uri)); err == nil {
			t.Errorf("%q is sent to %q", uri, got)
		}
	}
}

func TestAnswersKeepTheRedirectURI(t *testing.T) {
	const issuer = "https://hallpass.example"
	for uri, want := range map[string]string{
		"https://app.example/cb":         "https://app.example/cb?code=a%2Bb&state=x%26y%3D%23&iss=https%3A%2F%2Fhallpass.example",
		"https://app.example":            "https://app.example?code=a%2Bb&state=x%26y%3D%23&iss=https%3A%2F%2Fhallpass.example",
		"https://app.example/cb?a=%41+b": "https://app.example/cb?a=%41+b&code=a%2Bb&state=x%26y%3D%23&iss=https%3A%2F%2Fhallpass.example",
		"https://app.example/cb?":        "https://app.example/cb?code=a%2Bb&state=x%26y%3D%23&iss=https%3A%2F%2Fhallpass.example",
		"https://app.example/cb?a&":      "https://app.example/cb?a&code=a%2Bb&state=x%26y%3D%23&iss=https%3A%2F%2Fhallpass.example",
		"com.example.app:/cb":            "com.example.app:/cb?code=a%2Bb&state=x%26y%3D%23&iss=https%3A%2F%2Fhallpass.example",
	} {
		if got := codegrant.CodeRedirect(uri, "a+b", "x&y=#", issuer); got != want {
			t.Errorf("%s is answered with\n%s, want\n%s", uri, got, want)
		}
	}
	refusal := oauth2.Refuse(oauth2.AccessDenied, oauth2.ReasonPersonRefused, "no \"quotes\"\r\nLocation: https://evil.example \u00e9")
	got := codegrant.ErrorRedirect("https://app.example/cb", refusal, "", issuer)
	if want := "https://app.example/cb?error=access_denied&error_description=no+%27quotes%27%27%27Location%3A+https%3A%2F%2Fevil.example+%27&iss=https%3A%2F%2Fhallpass.example"; got != want {
		t.Errorf("answered with\n%s, want\n%s", got, want)
	}
}

func TestWhereThePersonIsSent(t *testing.T) {
	for uri, want := range map[string][2]string{
		"https://app.example/cb":             {"app.example", "https://app.example"},
		"https://app.example:8443/cb":        {"app.example:8443", "https://app.example:8443"},
		"http://127.0.0.1:1234/cb":           {"127.0.0.1:1234", "http://127.0.0.1:1234"},
		"http://[::1]:1234/cb":               {"[::1]:1234", "http:"},
		"com.example.app:/cb":                {"com.example.app", "com.example.app:"},
		"cursor://anysphere.cursor/callback": {"cursor", "cursor:"},
	} {
		if got := [2]string{codegrant.RedirectHost(uri), codegrant.RedirectOrigin(uri)}; got != want {
			t.Errorf("%s is shown as %q, want %q", uri, got, want)
		}
	}
}

// FuzzRedirect looks for a redirect URI that is accepted and leads elsewhere, to a reader that
// decodes as net/url does.
func FuzzRedirect(f *testing.F) {
	client := clientWith("https://app.example/cb", "http://127.0.0.1/cb", "com.example.app:/cb")
	for _, uri := range []string{"https://app.example/cb", "http://127.0.0.1:80/cb", "com.example.app:/cb", "https://app.example@evil.example/cb", "http://127.0.0.1:1@x/cb"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		got, err := codegrant.Request{RedirectURI: uri}.Redirect(client)
		if err != nil || uri == "" {
			return
		}
		u, err := url.Parse(got)
		if err != nil || got != uri || u.Hostname() != "app.example" && u.Hostname() != "127.0.0.1" && u.Scheme != "com.example.app" || u.Path != "/cb" || u.User != nil || u.RawQuery != "" {
			t.Errorf("%q is accepted: %v, %v", uri, u, err)
		}
	})
}

// FuzzAnswer shows that an answer has the parameters that it was made of, whatever they are.
func FuzzAnswer(f *testing.F) {
	f.Add("x&y=#\r\n", "https://app.example/cb?a=b")
	f.Fuzz(func(t *testing.T, state, uri string) {
		if !oauth2.ValidRedirectURI(uri) {
			return
		}
		answer := codegrant.CodeRedirect(uri, "code", state, "https://hallpass.example")
		u, err := url.Parse(answer)
		if err != nil || !strings.HasPrefix(answer, uri) {
			t.Fatalf("%q of %q: %v", answer, uri, err)
		}
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil || query.Get("state") != state || len(query["code"]) != 1 || query.Get("code") != "code" || len(query["iss"]) != 1 || u.Fragment != "" {
			t.Errorf("%q is read as %v: %v", answer, query, err)
		}
	})
}
