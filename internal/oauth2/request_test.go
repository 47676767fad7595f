// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func basic(credentials string) []string {
	return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))}
}

func form(t testing.TB, body string) oauth2.Form {
	t.Helper()
	f, err := oauth2.ParseForm(body)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func codeOf(err error) oauth2.ErrorCode {
	if refusal, ok := err.(*oauth2.Error); ok { //nolint:errorlint // the functions return it as it is
		return refusal.Code
	}
	return ""
}

func TestForms(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want map[string]string
		code oauth2.ErrorCode
	}{
		"parameters are decoded":            {body: "a=b+c%21&d=e", want: map[string]string{"a": "b c!", "d": "e"}},
		"a value may hold an equals sign":   {body: "a=b=c", want: map[string]string{"a": "b=c"}},
		"an empty value counts as left out": {body: "a=&b", want: map[string]string{"a": "", "b": ""}},
		"empty pairs are nothing":           {body: "&&a=b&", want: map[string]string{"a": "b"}},
		"an empty body is no parameters":    {body: "", want: map[string]string{"a": ""}},
		"a semicolon separates nothing":     {body: "a=b;c=d", want: map[string]string{"a": "b;c=d"}},
		"a parameter twice":                 {body: "a=b&a=b", code: oauth2.InvalidRequest},
		"a parameter twice, once escaped":   {body: "a=b&%61=c", code: oauth2.InvalidRequest},
		"a parameter twice, once empty":     {body: "a=b&a=", code: oauth2.InvalidRequest},
		"a broken escape":                   {body: "a=%zz", code: oauth2.InvalidRequest},
		"a broken escape in a name":         {body: "%z=a", code: oauth2.InvalidRequest},
		"a value without a name":            {body: "=a", code: oauth2.InvalidRequest},
		"a value that is not UTF-8":         {body: "a=%ff", code: oauth2.InvalidRequest},
		"32 parameters are read":            {body: parameters(32), want: map[string]string{"p0": "v", "p31": "v"}},
		"33 are too many":                   {body: parameters(33), code: oauth2.InvalidRequest},
		"a body over 64 KiB is too long":    {body: "a=" + strings.Repeat("b", oauth2.MaxFormBytes), code: oauth2.InvalidRequest},
		"a body of 64 KiB is read":          {body: "a=" + strings.Repeat("b", oauth2.MaxFormBytes-2), want: map[string]string{"c": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := oauth2.ParseForm(c.body)
			if codeOf(err) != c.code {
				t.Fatalf("%v, want %q", err, c.code)
			}
			for parameter, want := range c.want {
				if got := f.Get(parameter); got != want {
					t.Errorf("%s = %q, want %q", parameter, got, want)
				}
			}
		})
	}
	t.Run("a resource may repeat", func(t *testing.T) {
		got := form(t, "resource=a&resource=b&resource=").All("resource")
		if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a form does not print itself", func(t *testing.T) {
		if printed := fmt.Sprintf("%+v %#v", form(t, "client_secret=canary"), form(t, "client_secret=canary")); strings.Contains(printed, "canary") {
			t.Error(printed)
		}
	})
}

func parameters(n int) string {
	var body []string
	for i := range n {
		body = append(body, fmt.Sprintf("p%d=v", i))
	}
	return strings.Join(body, "&")
}

// reading is an oauth2.Reading that can be compared and shown.
type reading struct{ ID, Secret string }

func TestPresentedCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		authorization []string
		body          string
		method        oauth2.AuthMethod
		want          []reading
		code          oauth2.ErrorCode
	}{
		"RFC 6749 section 2.3.1, Basic": {
			authorization: []string{"Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3"}, method: oauth2.ClientSecretBasic,
			want: []reading{{"s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"}},
		},
		"RFC 6749 section 2.3.1, body": {
			body: "grant_type=refresh_token&client_id=s6BhdRkqt3&client_secret=7Fjfp0ZBr1KtDRbnfVdmIw", method: oauth2.ClientSecretPost,
			want: []reading{{"s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"}},
		},
		"Basic in any case": {authorization: []string{"bAsIc YTpi"}, method: oauth2.ClientSecretBasic, want: []reading{{"a", "b"}}},
		"an https: URI, form-encoded": {
			authorization: basic("https%3A%2F%2Fa.test:b"), method: oauth2.ClientSecretBasic,
			want: []reading{{"https://a.test", "b"}, {"https%3A%2F%2Fa.test", "b"}},
		},
		"an https: URI as it is in Basic": {authorization: basic("https://a.test:b"), code: oauth2.InvalidClient},
		"a urn: URI as it is in Basic":    {authorization: basic("urn:example:a:b"), code: oauth2.InvalidClient},
		"a client called https":           {authorization: basic("https:b:c"), method: oauth2.ClientSecretBasic, want: []reading{{"https", "b:c"}}},
		"a client called urn":             {authorization: basic("urn:b"), method: oauth2.ClientSecretBasic, want: []reading{{"urn", "b"}}},
		"a URI in the body": {
			body: "client_id=urn%3Aexample%3Aa&client_secret=b", method: oauth2.ClientSecretPost, want: []reading{{"urn:example:a", "b"}},
		},
		"a secret may hold a colon":              {authorization: basic("a:b:c"), method: oauth2.ClientSecretBasic, want: []reading{{"a", "b:c"}}},
		"form-encoded and as sent":               {authorization: basic("a%2Eb:c+d"), method: oauth2.ClientSecretBasic, want: []reading{{"a.b", "c d"}, {"a%2Eb", "c+d"}}},
		"as sent where it decodes to nothing":    {authorization: basic("a:100%"), method: oauth2.ClientSecretBasic, want: []reading{{"a", "100%"}}},
		"a client_id beside Basic means nothing": {authorization: basic("a:b"), body: "client_id=other", method: oauth2.ClientSecretBasic, want: []reading{{"a", "b"}}},
		"a client_secret beside Basic":           {authorization: basic("a:b"), body: "client_secret=b", code: oauth2.InvalidRequest},
		"two Authorization headers":              {authorization: append(basic("a:b"), basic("a:b")...), code: oauth2.InvalidRequest},
		"a secret without an id":                 {body: "client_secret=b", code: oauth2.InvalidRequest},
		"an id without a secret":                 {body: "client_id=a", code: oauth2.InvalidClient},
		"nothing at all":                         {code: oauth2.InvalidClient},
		"another scheme":                         {authorization: []string{"Bearer abc"}, code: oauth2.InvalidClient},
		"an empty header":                        {authorization: []string{""}, code: oauth2.InvalidClient},
		"Basic with a line break":                {authorization: []string{"Basic YT\r\npi"}, code: oauth2.InvalidClient},
		"Basic with a line break after it":       {authorization: []string{"Basic YTpi\n"}, code: oauth2.InvalidClient},
		"Basic that is not base64":               {authorization: []string{"Basic a:b"}, code: oauth2.InvalidClient},
		"Basic without a colon":                  {authorization: basic("ab"), code: oauth2.InvalidClient},
		"Basic without an id":                    {authorization: basic(":b"), code: oauth2.InvalidClient},
		"Basic without a secret":                 {authorization: basic("a:"), code: oauth2.InvalidClient},
		"a secret that is too long":              {authorization: basic("a:" + strings.Repeat("b", 1025)), code: oauth2.InvalidClient},
		"an id that is too long":                 {body: "client_secret=b&client_id=" + strings.Repeat("a", 321), code: oauth2.InvalidClient},
	} {
		t.Run(name, func(t *testing.T) {
			presented, err := oauth2.ParsePresented(c.authorization, form(t, c.body))
			if codeOf(err) != c.code || (err != nil) != (c.code != "") {
				t.Fatalf("%v, want %q", err, c.code)
			}
			var got []reading
			for _, r := range presented.Readings {
				got = append(got, reading{r.ClientID, r.Secret.Reveal()})
			}
			if diff := cmp.Diff(c.want, got); diff != "" || presented.Method != c.method {
				t.Errorf("method %q, want %q; readings (-want +got):\n%s", presented.Method, c.method, diff)
			}
		})
	}
}

func TestScopes(t *testing.T) {
	for name, c := range map[string]struct {
		scope string
		want  []string
		bad   bool
	}{
		"none":                  {scope: ""},
		"one":                   {scope: "read", want: []string{"read"}},
		"several, each once":    {scope: "b a b", want: []string{"b", "a"}},
		"every character":       {scope: "!#[]~:/?", want: []string{"!#[]~:/?"}},
		"two spaces":            {scope: "a  b", bad: true},
		"a space before":        {scope: " a", bad: true},
		"a space behind":        {scope: "a ", bad: true},
		"a quotation mark":      {scope: `a"b`, bad: true},
		"a backslash":           {scope: `a\b`, bad: true},
		"a tab":                 {scope: "a\tb", bad: true},
		"a letter beyond ASCII": {scope: "ä", bad: true},
		"the end of ASCII":      {scope: "\x7f", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := oauth2.ParseScope(c.scope)
			if (codeOf(err) == oauth2.InvalidScope) != c.bad {
				t.Fatalf("%v, want refused %t", err, c.bad)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTokenRequests(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want oauth2.TokenRequest
		code oauth2.ErrorCode
	}{
		"the grant alone": {body: "grant_type=client_credentials", want: oauth2.TokenRequest{GrantType: oauth2.ClientCredentials}},
		"with scope and resource": {
			body: "grant_type=client_credentials&scope=a+b&resource=https%3A%2F%2Fx",
			want: oauth2.TokenRequest{GrantType: oauth2.ClientCredentials, Scopes: []string{"a", "b"}, Resource: "https://x"},
		},
		"an assertion as the grant": {body: "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer", want: oauth2.TokenRequest{GrantType: oauth2.JWTBearer}},
		"no grant type":             {body: "scope=a", code: oauth2.InvalidRequest},
		"an empty grant type":       {body: "grant_type=", code: oauth2.InvalidRequest},
		"another grant type":        {body: "grant_type=password", code: oauth2.UnsupportedGrantType},
		"another case":              {body: "grant_type=Client_Credentials", code: oauth2.UnsupportedGrantType},
		"a bad scope":               {body: "grant_type=client_credentials&scope=a++b", code: oauth2.InvalidScope},
		"two resources":             {body: "grant_type=client_credentials&resource=a&resource=b", code: oauth2.InvalidTarget},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := oauth2.ParseTokenRequest(form(t, c.body))
			if codeOf(err) != c.code {
				t.Fatalf("%v, want %q", err, c.code)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIssuers(t *testing.T) {
	for raw, ok := range map[string]bool{
		"https://hallpass.example.com":      true,
		"https://hallpass.example.com:8443": true,
		"https://127.0.0.1:8443":            true,
		"http://hallpass.example.com":       false,
		"https://hallpass.example.com/":     false,
		"https://hallpass.example.com/path": false,
		"https://hallpass.example.com?a=b":  false,
		"https://hallpass.example.com#a":    false,
		"https://user@hallpass.example.com": false,
		"https://Hallpass.example.com":      false,
		"https://":                          false,
		"https://:8443":                     false,
		"hallpass.example.com":              false,
		"ftp://hallpass.example.com":        false,
		"":                                  false,
		"https://hallpass.example.com\n":    false,
	} {
		if _, err := oauth2.ParseIssuer(raw, false); (err == nil) != ok {
			t.Errorf("%q: %v, want ok %t", raw, err, ok)
		}
	}
	if _, err := oauth2.ParseIssuer("http://localhost:8080", true); err != nil {
		t.Errorf("plain HTTP where it is allowed: %v", err)
	}
}

func FuzzParseForm(f *testing.F) {
	for _, seed := range []string{"", "a=b", "a=%zz", "grant_type=client_credentials&scope=a+b", "resource=a&resource=b", "&=&", parameters(40)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		parsed, err := oauth2.ParseForm(body)
		if err != nil {
			if codeOf(err) != oauth2.InvalidRequest {
				t.Errorf("%v is not invalid_request", err)
			}
			return
		}
		// The standard library may be more lenient, but has to see the same values.
		values, err := url.ParseQuery(strings.ReplaceAll(body, ";", "%3B"))
		if err != nil {
			t.Fatalf("%q is read here and not by net/url: %v", body, err)
		}
		for name := range values {
			if name != "resource" && parsed.Get(name) != values.Get(name) {
				t.Errorf("%s = %q here and %q in net/url", name, parsed.Get(name), values.Get(name))
			}
		}
	})
}

func FuzzParsePresented(f *testing.F) {
	for _, seed := range []string{"", "Basic YTpi", "Basic", "Bearer x", "Basic Og==", "basic  YTpi", "Basic YSUyRTpiK2M=", basic("https%3A%2F%2Fa.test:b")[0], basic("urn:a:b:c")[0]} {
		f.Add(seed, "")
		f.Add(seed, "client_id=a&client_secret=b")
	}
	f.Fuzz(func(t *testing.T, authorization, body string) {
		parsed, err := oauth2.ParseForm(body)
		if err != nil {
			return
		}
		presented, err := oauth2.ParsePresented([]string{authorization}, parsed)
		if err != nil {
			if code := codeOf(err); code != oauth2.InvalidClient && code != oauth2.InvalidRequest {
				t.Errorf("%v is neither invalid_client nor invalid_request", err)
			}
			return
		}
		if len(presented.Readings) == 0 || len(presented.Readings) > 2 {
			t.Errorf("%d readings", len(presented.Readings))
		}
		if last := presented.Readings[len(presented.Readings)-1].ClientID; presented.Method == oauth2.ClientSecretBasic && strings.Contains(last, ":") {
			t.Errorf("%q is read as it was sent in Basic", last)
		}
		for _, r := range presented.Readings {
			if r.ClientID == "" || r.Secret.Empty() {
				t.Error("an empty credential is presented")
			}
		}
	})
}

func FuzzParseScope(f *testing.F) {
	for _, seed := range []string{"", "a", "a b", " a", "a  b", "\"", "é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, scope string) {
		tokens, err := oauth2.ParseScope(scope)
		if err != nil {
			return
		}
		for _, token := range tokens {
			if !oauth2.ValidScopeToken(token) {
				t.Errorf("%q is read from %q", token, scope)
			}
		}
	})
}
