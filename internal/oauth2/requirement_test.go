// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRequirementsAreReadFromQueries(t *testing.T) {
	for query, want := range map[string]Requirement{
		"audience=https://a.test/ns/shop":                {Audience: "https://a.test/ns/shop"},
		"audience=https%3A%2F%2Fa.test&scope=read":       {Audience: "https://a.test", Scopes: []string{"read"}},
		"scope=read+write&audience=urn:a":                {Audience: "urn:a", Scopes: []string{"read", "write"}},
		"audience=urn:a&scope=read%20write":              {Audience: "urn:a", Scopes: []string{"read", "write"}},
		"audience=urn:a&scope=read%2Bwrite":              {Audience: "urn:a", Scopes: []string{"read+write"}},
		"audience=" + strings.Repeat("a", 1<<10) + "&":   {Audience: strings.Repeat("a", 1<<10)},
		"audience=urn:a&scope=" + strings.Repeat("s", 9): {Audience: "urn:a", Scopes: []string{strings.Repeat("s", 9)}},
	} {
		got, err := ParseRequirementQuery(query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

func TestRequirementsThatAreNotUnderstoodAreRefused(t *testing.T) {
	for name, query := range map[string]string{
		"nothing":                        "",
		"a scope without an audience":    "scope=read",
		"an empty audience":              "audience=",
		"an empty scope":                 "audience=urn:a&scope=",
		"an audience without a value":    "audience",
		"two audiences":                  "audience=urn:a&audience=urn:b",
		"the same audience twice":        "audience=urn:a&audience=urn:a",
		"two scopes parameters":          "audience=urn:a&scope=read&scope=write",
		"a parameter that is not known":  "audience=urn:a&scopes=read",
		"a name in capitals":             "Audience=urn:a",
		"a semicolon":                    "audience=urn:a;scope=read",
		"a wrong escape":                 "audience=urn:a%zz",
		"an audience with a space":       "audience=urn:a+urn:b",
		"an audience with a line break":  "audience=urn:a%0d%0aX:y",
		"an audience with a quote":       "audience=%22",
		"two spaces between scopes":      "audience=urn:a&scope=read++write",
		"a quote in a scope":             "audience=urn:a&scope=%22",
		"a character beyond ASCII":       "audience=urn:%C3%A4",
		"an audience longer than 1 KiB":  "audience=" + strings.Repeat("a", 1<<10+1),
		"a scope longer than 1 KiB":      "audience=urn:a&scope=" + strings.Repeat("a", 1<<10+1),
		"a parameter without a name":     "audience=urn:a&=b",
		"the query of a caller appended": "audience=urn:a?audience=urn:b&x=y",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseRequirementQuery(query)
			if ReasonOf(err) != ReasonRequirementMalformed {
				t.Errorf("got %+v, %v", got, err)
			}
			if got.Refuses(&Claims{}) == "" || got.Refuses(&Claims{Audience: "urn:a"}) == "" {
				t.Error("what comes with the error lets somebody in")
			}
		})
	}
}

func TestRequirementsAreMet(t *testing.T) {
	claims := Claims{Audience: "urn:a", Scopes: []string{"read", "write"}}
	for name, c := range map[string]struct {
		required Requirement
		refuses  Reason
		scopes   bool
	}{
		"the audience alone":             {Requirement{Audience: "urn:a"}, "", true},
		"one of the scopes":              {Requirement{"urn:a", []string{"read"}}, "", true},
		"all scopes in another order":    {Requirement{"urn:a", []string{"write", "read"}}, "", true},
		"one scope more":                 {Requirement{"urn:a", []string{"read", "write", "admin"}}, "", false},
		"a scope in capitals":            {Requirement{"urn:a", []string{"READ"}}, "", false},
		"a part of a scope":              {Requirement{"urn:a", []string{"rea"}}, "", false},
		"another audience":               {Requirement{Audience: "urn:b"}, ReasonWrongAudience, true},
		"the beginning of the audience":  {Requirement{Audience: "urn:"}, ReasonWrongAudience, true},
		"an audience with a slash more":  {Requirement{Audience: "urn:a/"}, ReasonWrongAudience, true},
		"nothing is met by nothing":      {Requirement{}, ReasonWrongAudience, true},
		"another audience and the scope": {Requirement{"urn:b", []string{"read"}}, ReasonWrongAudience, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.required.Refuses(&claims); got != c.refuses {
				t.Errorf("refused because of %q, want %q", got, c.refuses)
			}
			if got := c.required.HasScopes(&claims); got != c.scopes {
				t.Errorf("has the scopes: %t", got)
			}
		})
	}
}

func TestBearerTokensAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		header []string
		token  string
		reason Reason
	}{
		"as RFC 6750 has it":       {[]string{"Bearer mF_9.B5f-4.1JqM"}, "mF_9.B5f-4.1JqM", ""},
		"the scheme in lower case": {[]string{"bearer a"}, "a", ""},
		"several spaces":           {[]string{"Bearer   a"}, "a", ""},
		"padding":                  {[]string{"Bearer a+/~=="}, "a+/~==", ""},
		"no header":                {nil, "", ReasonNoCredentials},
		"an empty header":          {[]string{""}, "", ReasonNoCredentials},
		"another scheme":           {[]string{"Basic YTpi"}, "", ReasonNoCredentials},
		"the scheme alone":         {[]string{"Bearer"}, "", ReasonMalformedCredential},
		"the scheme and a space":   {[]string{"Bearer "}, "", ReasonMalformedCredential},
		"padding alone":            {[]string{"Bearer =="}, "", ReasonMalformedCredential},
		"two headers":              {[]string{"Bearer a", "Bearer a"}, "", ReasonMalformedCredential},
		"two headers, one empty":   {[]string{"Bearer a", ""}, "", ReasonMalformedCredential},
		"two tokens":               {[]string{"Bearer a b"}, "", ReasonMalformedCredential},
		"two headers in one":       {[]string{"Bearer a, Bearer b"}, "", ReasonMalformedCredential},
		"a tab":                    {[]string{"Bearer\ta"}, "", ReasonNoCredentials},
		"a space at the end":       {[]string{"Bearer a "}, "", ReasonMalformedCredential},
		"padding in the middle":    {[]string{"Bearer a=b"}, "", ReasonMalformedCredential},
		"a character beyond ASCII": {[]string{"Bearer ä"}, "", ReasonMalformedCredential},
		"more than 8 KiB":          {[]string{"Bearer " + strings.Repeat("a", 8<<10+1)}, "", ReasonMalformedCredential},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := ParseBearer(c.header)
			if token.Reveal() != c.token || ReasonOf(err) != c.reason {
				t.Errorf("got a token of %d characters and %v, want %q", len(token.Reveal()), err, c.reason)
			}
		})
	}
}
