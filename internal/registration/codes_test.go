// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

func public() oauth2.Client {
	return oauth2.Client{
		ID: "https://shop.example.com/client.json", UID: "uid-1", Namespace: "shop", Name: "web", Tokens: oauth2.TokenForm{Lifetime: time.Hour},
		GrantTypes: oauth2.AuthorizationCode, Credentials: oauth2.Credentials{Public: true},
		Codes: &oauth2.Codes{RedirectURIs: []string{"https://shop.example.com/callback"}},
	}
}

func wholeCodes() *oauth2.Codes {
	return &oauth2.Codes{
		RedirectURIs: []string{"https://shop.example.com/callback", "http://localhost/callback"}, IssuerName: "corp", DisplayName: "Reports of the month", AskAlways: true,
		Refresh: oauth2.Refreshing{Lifetime: 8 * time.Hour, Idle: time.Hour, Limited: true, Max: 10},
	}
}

func TestAClientWithCodesComesBackWhole(t *testing.T) {
	for name, change := range map[string]func(*oauth2.Client){
		"a public client":             func(*oauth2.Client) {},
		"all fields":                  func(c *oauth2.Client) { c.Codes = wholeCodes() },
		"refreshes without a limit":   func(c *oauth2.Client) { c.Codes.Refresh = oauth2.Refreshing{Lifetime: 2160 * time.Hour} },
		"no redirect URI that may be": func(c *oauth2.Client) { c.Codes.RedirectURIs = nil },
		"a client with a secret": func(c *oauth2.Client) {
			c.GrantTypes = oauth2.ClientCredentials | oauth2.AuthorizationCode
			c.Credentials = full().Client.Credentials
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := registration.Registration{Client: public()}
			change(&want.Client)
			data, err := registration.Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := registration.Decode(data)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if !registration.Same(data, data) {
				t.Error("it is not the same as itself")
			}
			emptied, err := registration.Encode(registration.Registration{Client: want.Client.Emptied()})
			if err != nil {
				t.Fatalf("emptied: %v", err)
			}
			read, err := registration.Decode(emptied)
			if err != nil || len(read.Client.Codes.RedirectURIs) > 0 || read.Client.Codes.Refresh != (oauth2.Refreshing{}) {
				t.Errorf("emptied, it still gets codes: %+v, %v", read.Client.Codes, err)
			}
		})
	}
}

// A record that is not sound could allow a client what its spec does not.
func TestCodesThatAreNotSoundAreNeitherWrittenNorRead(t *testing.T) {
	for name, change := range map[string]func(*oauth2.Client){
		"codes without the grant type":     func(c *oauth2.Client) { c.GrantTypes = 0 },
		"the grant type without codes":     func(c *oauth2.Client) { c.Codes = nil },
		"a public client with credentials": func(c *oauth2.Client) { c.GrantTypes |= oauth2.ClientCredentials },
		"a public client with exchange":    func(c *oauth2.Client) { c.GrantTypes |= oauth2.TokenExchange },
		"a public client with a secret":    func(c *oauth2.Client) { c.Credentials.Verifiers = full().Client.Credentials.Verifiers },
		"a public client with keys":        func(c *oauth2.Client) { c.Credentials.KeysOnly = true },
		"a public client with an account":  func(c *oauth2.Client) { c.Credentials.ServiceAccount = &oauth2.ServiceAccount{Name: "worker"} },
		"a public client with an issuer": func(c *oauth2.Client) {
			c.Credentials.Federated = &oauth2.Federated{IssuerName: "github", Subject: "a"}
		},
		"a redirect URI that is none":      func(c *oauth2.Client) { c.Codes.RedirectURIs = []string{"javascript:alert(1)"} },
		"too many redirect URIs":           func(c *oauth2.Client) { c.Codes.RedirectURIs = slices.Repeat(c.Codes.RedirectURIs, 17) },
		"refresh tokens that never expire": func(c *oauth2.Client) { c.Codes.Refresh = oauth2.Refreshing{Limited: true, Max: 1} },
		"refresh tokens that live too long": func(c *oauth2.Client) {
			c.Codes.Refresh = oauth2.Refreshing{Lifetime: 2160*time.Hour + time.Second}
		},
		"refresh tokens idle for longer than they live": func(c *oauth2.Client) {
			c.Codes.Refresh = oauth2.Refreshing{Lifetime: time.Hour, Idle: 2 * time.Hour}
		},
		"fractions of a second": func(c *oauth2.Client) { c.Codes.Refresh = oauth2.Refreshing{Lifetime: time.Hour + 1} },
		"too many refreshes": func(c *oauth2.Client) {
			c.Codes.Refresh = oauth2.Refreshing{Lifetime: time.Hour, Limited: true, Max: 10_001}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := registration.Registration{Client: public()}
			change(&r.Client)
			if data, err := registration.Encode(r); err == nil {
				t.Errorf("written as %s", data)
			}
		})
	}
	data, err := registration.Encode(registration.Registration{Client: public()})
	if err != nil {
		t.Fatal(err)
	}
	whole := string(data["client.json"])
	for name, document := range map[string]string{
		"a public client that has secrets": strings.Replace(whole, `"public":true`, `"public":true,"verifiers":[{"id":"a","sha256":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","createdAt":"2026-01-02T03:04:05Z"}]`, 1),
		"no codes":                         strings.Replace(whole, `,"codes":{"redirectURIs":["https://shop.example.com/callback"]}`, "", 1),
		"an open redirect":                 strings.Replace(whole, "https://shop.example.com/callback", "https://*/callback", 1),
		"other grant types":                strings.Replace(whole, `["AuthorizationCode"]`, `["ClientCredentials","AuthorizationCode"]`, 1),
	} {
		if document == whole {
			t.Errorf("%s: the case changes nothing in %s", name, whole)
		}
		if _, err := registration.Decode(map[string][]byte{"client.json": []byte(document)}); !errors.Is(err, registration.ErrUnreadable) {
			t.Errorf("%s: %v, want ErrUnreadable", name, err)
		}
	}
}

// What redirect URIs take is listed, so that a record has room for the secrets.
func TestRedirectURIsAreListed(t *testing.T) {
	client := public()
	// more than each client weighs at least
	client.Codes.RedirectURIs[0] += strings.Repeat("a", 200)
	before, weight := registration.Listed(client), registration.WeighClient(client)
	client.Codes.RedirectURIs = append(client.Codes.RedirectURIs, "https://shop.example.com/"+strings.Repeat("a", 75))
	if more := registration.Listed(client) - before; more != 103 {
		t.Errorf("a redirect URI of 100 letters takes %d bytes", more)
	}
	if more := registration.WeighClient(client) - weight; more < 100 {
		t.Errorf("a redirect URI of 100 letters weighs %d bytes", more)
	}
}

func corp() oauth2.TrustedIssuer {
	return oauth2.TrustedIssuer{
		Name: "corp", UID: "u", Issuer: "https://idp.test", Uses: oauth2.UsePerson, DisplayName: "Corp", CABundle: []byte("PEM"),
		AllowedCIDRs: []string{"10.0.0.0/8"},
		Login: &oauth2.Login{
			ClientID: "hallpass", SecretName: "corp", Scopes: []string{"openid", "profile"}, SubjectClaim: "oid",
			Claims: []oauth2.RequiredClaim{{Name: "hd", Values: []string{"example.com"}}}, Groups: []string{"staff"}, GroupsClaim: "roles",
		},
	}
}

func TestTheLoginOfAnIssuerComesBackWhole(t *testing.T) {
	want := corp()
	data, err := registration.EncodeIssuer(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := registration.DecodeIssuer(data)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if !strings.HasPrefix(string(data["issuer.json"]), `{"version":5,"minReader":4,`) {
		t.Errorf("a reader that knows persons, and no login, cannot read %s", data["issuer.json"])
	}
	want.Uses |= oauth2.UseClient
	if data, err = registration.EncodeIssuer(want); err != nil || !strings.HasPrefix(string(data["issuer.json"]), `{"version":5,"minReader":2,`) {
		t.Errorf("a reader that knows clients alone cannot read %s, %v", data["issuer.json"], err)
	}
}

func TestALoginThatIsNotSoundIsNotWritten(t *testing.T) {
	for name, change := range map[string]func(*oauth2.TrustedIssuer){
		"it is not trusted for persons":        func(t *oauth2.TrustedIssuer) { t.Uses = 0 },
		"no client_id":                         func(t *oauth2.TrustedIssuer) { t.Login.ClientID = "" },
		"no Secret":                            func(t *oauth2.TrustedIssuer) { t.Login.SecretName = "" },
		"no openid":                            func(t *oauth2.TrustedIssuer) { t.Login.Scopes = []string{"profile"} },
		"persons by address":                   func(t *oauth2.TrustedIssuer) { t.Login.SubjectClaim = "Email" },
		"a group without a name":               func(t *oauth2.TrustedIssuer) { t.Login.Groups = []string{""} },
		"a claim without values":               func(t *oauth2.TrustedIssuer) { t.Login.Claims[0].Values = nil },
		"how its host is reached, and no more": func(t *oauth2.TrustedIssuer) { t.Login = nil },
	} {
		issuer := corp()
		change(&issuer)
		if data, err := registration.EncodeIssuer(issuer); err == nil {
			t.Errorf("%s: written as %s", name, data)
		}
	}
}
