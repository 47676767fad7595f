// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

var created = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func full() registration.Registration {
	return registration.Registration{
		Client: oauth2.Client{
			ID: "shop.reporting", UID: "uid-1", Namespace: "shop", Name: "reporting", Suspended: true,
			Scopes: []string{"read", "write"}, Tokens: oauth2.TokenForm{Lifetime: time.Hour},
			Credentials: oauth2.Credentials{Verifiers: []oauth2.Verifier{
				{ID: "a", Digest: oauth2.Digest{1}, CreatedAt: created},
				{ID: "b", Digest: oauth2.Digest{2}, CreatedAt: created, ExpiresAt: created.Add(time.Minute), Pending: true},
			}},
		},
		Rotation: credential.Rotation{Handled: "1", Planned: "2", PlannedBy: "b", Cause: "rotated"},
	}
}

// golden is a promise: a build that reads registrations has to read this one for ever, as what full
// returns.
const golden = `{"version":1,"clientID":"shop.reporting","owner":{"namespace":"shop","name":"reporting","uid":"uid-1"},"state":"suspended",` +
	`"verifiers":[{"id":"a","sha256":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","createdAt":"2026-01-02T03:04:05Z"},` +
	`{"id":"b","sha256":"AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","createdAt":"2026-01-02T03:04:05Z","expiresAt":"2026-01-02T03:05:05Z","pending":true}],` +
	`"scopes":["read","write"],"tokenLifetimeSeconds":3600,"rotation":{"handled":"1","planned":"2","plannedBy":"b","cause":"rotated"}}`

func TestARegistrationComesBackWhole(t *testing.T) {
	data, err := registration.Encode(full())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]byte{"client.json": []byte(golden)}, data); diff != "" {
		t.Errorf("stored form (-want +got):\n%s", diff)
	}
	got, err := registration.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFieldsThatAreNewerComeBack(t *testing.T) {
	r := full()
	r.Client.Tokens.Algorithm, r.Rotation.Generation = jws.RS256, 7
	data, err := registration.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := registration.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsNotSoundIsNotRead(t *testing.T) {
	for name, document := range map[string]string{
		"nothing":                           "",
		"not JSON":                          "client",
		"no version":                        strings.Replace(golden, `"version":1,`, "", 1),
		"a later version":                   strings.Replace(golden, `"version":1`, `"version":7`, 1),
		"no client_id":                      strings.Replace(golden, `"shop.reporting"`, `""`, 1),
		"a client_id with a colon":          strings.Replace(golden, `"shop.reporting"`, `"a:b"`, 1),
		"no UID":                            strings.Replace(golden, `"uid-1"`, `""`, 1),
		"no namespace":                      strings.Replace(golden, `"shop"`, `""`, 1),
		"a namespace with a dot":            strings.Replace(golden, `"shop"`, `"sh.op"`, 1),
		"no state":                          strings.Replace(golden, `"state":"suspended",`, "", 1),
		"an unknown state":                  strings.Replace(golden, `"suspended"`, `"open"`, 1),
		"an algorithm that does not sign":   strings.Replace(golden, `"tokenLifetimeSeconds"`, `"signingAlgorithm":"HS256","tokenLifetimeSeconds"`, 1),
		"no grant type that is known":       strings.Replace(golden, `"tokenLifetimeSeconds"`, `"grantTypes":["Password"],"tokenLifetimeSeconds"`, 1),
		"no lifetime":                       strings.Replace(golden, `"tokenLifetimeSeconds":3600,`, "", 1),
		"a lifetime over an hour":           strings.Replace(golden, "3600", "3601", 1),
		"a lifetime under a minute":         strings.Replace(golden, "3600", "59", 1),
		"a scope that is none":              strings.Replace(golden, `"read"`, `"re ad"`, 1),
		"a verifier without an id":          strings.Replace(golden, `"id":"a"`, `"id":""`, 1),
		"a short digest":                    strings.Replace(golden, "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AQAA", 1),
		"a long digest":                     strings.Replace(golden, "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 1),
		"a digest of zeros":                 strings.Replace(golden, "AQAA", "AAAA", 1),
		"a pending verifier for ever":       strings.Replace(golden, `"expiresAt":"2026-01-02T03:05:05Z",`, "", 1),
		"more verifiers than are looked at": strings.Replace(golden, `"verifiers":[`, `"verifiers":[`+strings.Repeat(`{"id":"c","sha256":"AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","createdAt":"2026-01-02T03:04:05Z"},`, 8), 1),
	} {
		t.Run(name, func(t *testing.T) {
			if document == golden {
				t.Fatal("the case changes nothing")
			}
			got, err := registration.Decode(map[string][]byte{"client.json": []byte(document)})
			if !errors.Is(err, registration.ErrUnreadable) {
				t.Errorf("%v, want ErrUnreadable", err)
			}
			if diff := cmp.Diff(registration.Registration{}, got); diff != "" {
				t.Errorf("something is read all the same:\n%s", diff)
			}
		})
	}
}

func TestARegistrationThatIsNotSoundIsNotWritten(t *testing.T) {
	broken := full()
	broken.Client.UID = ""
	if data, err := registration.Encode(broken); err == nil {
		t.Errorf("written as %s", data)
	}
}

func TestNamesAreStable(t *testing.T) {
	for clientID, want := range map[string]string{
		"shop.reporting":           "client-fpw3ill2efwoboenmxzhqmrtwsih2pdh",
		"LfXJilIBdzj5JPRn4xb5QQ..": "client-bnfzvkimidcbefesvk52deyupoh2zkkr",
	} {
		if got := registration.SecretName(clientID); got != want {
			t.Errorf("%s is registered as %s, want %s", clientID, got, want)
		}
	}
	valid := regexp.MustCompile(`^client-[a-z2-7]{32}$`)
	for _, clientID := range []string{"shop.reporting", "shop.Reporting", "LfXJilIBdzj5JPRn4xb5QQ..", ""} {
		if name := registration.SecretName(clientID); !valid.MatchString(name) {
			t.Errorf("%q is registered as %q", clientID, name)
		}
	}
	if registration.SecretName("a.bc") == registration.SecretName("a.b") {
		t.Error("two clients share a name")
	}
}

func TestALockHasOneName(t *testing.T) {
	name := registration.SecretName("shop.reporting")
	lock, ok := registration.LockIn(name)
	if !ok || lock != registration.LockOf("shop.reporting") {
		t.Fatalf("%s has the lock %x, %t", name, lock, ok)
	}
	for what, other := range map[string]string{
		"a line break before it": strings.Replace(name, "client-", "client-\n", 1), "a line break after it": name + "\r\n",
		"capitals": strings.ToUpper(name), "a letter more": name + "a", "eight letters more": name + "aaaaaaaa", "another prefix": "resource-" + name,
	} {
		if lock, ok := registration.LockIn(other); ok {
			t.Errorf("%s: %q has the lock %x", what, other, lock)
		}
	}
}

func FuzzDecode(f *testing.F) {
	withCodes := registration.Registration{Client: public()}
	withCodes.Client.Codes = wholeCodes()
	data, err := registration.Encode(withCodes)
	if err != nil {
		f.Fatal(err)
	}
	for _, whole := range []string{golden, string(data["client.json"])} {
		f.Add([]byte(whole))
		for i := 0; i < len(whole); i += 11 {
			f.Add([]byte(whole[:i]))
		}
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		read, err := registration.Decode(map[string][]byte{"client.json": document})
		if err != nil {
			if !errors.Is(err, registration.ErrUnreadable) {
				t.Errorf("%v is not ErrUnreadable", err)
			}
			return
		}
		// What was read can be written, and reads the same again.
		data, err := registration.Encode(read)
		if err != nil {
			t.Fatalf("cannot be written again: %v", err)
		}
		again, err := registration.Decode(data)
		if err != nil {
			t.Fatalf("cannot be read again: %v", err)
		}
		if second, err := registration.Encode(again); err != nil || string(second["client.json"]) != string(data["client.json"]) {
			t.Errorf("%s (%v), first %s", second, err, data)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data := map[string][]byte{"client.json": []byte(golden)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := registration.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAClientWithKeysComesBackWhole(t *testing.T) {
	set, err := jws.ParseKeySet([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	packed, err := jws.PackKeys(set.Keys...)
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string]jws.PackedKeys{"a key": packed, "keys that could not be read": ""} {
		want := full()
		want.Client.Credentials.Verifiers, want.Client.Credentials.KeysOnly, want.Client.Credentials.Keys = nil, true, keys
		want.Client.Tokens.Claims = []oauth2.Claim{{Name: "tier", Value: "gold"}, {Name: "teams", Values: []string{"a", "b"}}}
		data, err := registration.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := registration.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	both := full()
	both.Client.Credentials.KeysOnly = true
	if _, err := registration.Encode(both); err == nil {
		t.Error("a client with verifiers and keys is registered")
	}
	reserved := full()
	reserved.Client.Tokens.Claims = []oauth2.Claim{{Name: "sub", Value: "admin"}}
	if _, err := registration.Encode(reserved); err == nil {
		t.Error("a client that sets its sub is registered")
	}
}

// An earlier build stored RSA keys that are too expensive to verify with. They are left out, and
// the client stays.
func TestALargeRSAKeyThatIsStoredIsLeftOut(t *testing.T) {
	const rest = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}`
	large := `{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("_", 1365) + `w","kid":"large"}`
	slow := `{"kty":"RSA","e":"f____w","n":"` + strings.Repeat("_", 341) + `w","alg":"PS256","kid":"slow"}`
	verifiers := golden[strings.Index(golden, `"verifiers"`):strings.Index(golden, `"scopes"`)]
	for name, c := range map[string]struct {
		keys string
		want []string
	}{
		"a large key and another":   {large + "," + rest, []string{"a"}},
		"a slow key and another":    {slow + "," + rest, []string{"a"}},
		"no key but large and slow": {large + "," + slow, nil},
	} {
		document := strings.Replace(golden, verifiers, `"assertions":{"keys":[`+c.keys+`]},`, 1)
		got, err := registration.Decode(map[string][]byte{"client.json": []byte(document)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got.Client.Credentials.Keys.IDs()); diff != "" || !got.Client.Credentials.KeysOnly || got.Client.ID != "shop.reporting" {
			t.Errorf("%s: %+v (-want +got keys):\n%s", name, got.Client, diff)
		}
	}
}

func TestAClientWithAServiceAccountComesBackWhole(t *testing.T) {
	for name, uid := range map[string]string{"an account": "uid-of-worker", "an account that is not there": ""} {
		want := full()
		want.Client.Credentials.Verifiers, want.Client.Credentials.ServiceAccount = nil, &oauth2.ServiceAccount{Name: "worker", UID: uid}
		data, err := registration.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := registration.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if uid != "" && !strings.Contains(string(data["client.json"]), `"serviceAccount":{"name":"worker","uid":"uid-of-worker"}`) {
			t.Errorf("stored as %s", data["client.json"])
		}
	}
	for name, change := range map[string]func(c *oauth2.Client){
		"verifiers beside it": func(c *oauth2.Client) { c.Credentials.ServiceAccount = &oauth2.ServiceAccount{Name: "worker"} },
		"keys beside it": func(c *oauth2.Client) {
			c.Credentials.Verifiers, c.Credentials.KeysOnly, c.Credentials.ServiceAccount = nil, true, &oauth2.ServiceAccount{Name: "worker"}
		},
		"no name": func(c *oauth2.Client) {
			c.Credentials.Verifiers, c.Credentials.ServiceAccount = nil, &oauth2.ServiceAccount{UID: "uid"}
		},
	} {
		r := full()
		change(&r.Client)
		if _, err := registration.Encode(r); err == nil {
			t.Errorf("%s: registered", name)
		}
	}
}

// withClaims is a registration that an earlier manager wrote, when names were compared by case.
func withClaims(claims string) map[string][]byte {
	return map[string][]byte{"client.json": []byte(strings.Replace(golden, `"scopes"`, claims+`,"scopes"`, 1))}
}

// TestAStricterRuleDropsAClaimAndKeepsTheClient reads what was written before rules became
// stricter: the client stays, its secrets too.
func TestAStricterRuleDropsAClaimAndKeepsTheClient(t *testing.T) {
	many := `{"name":"https://example.com/0","value":"v"}`
	for i := range oauth2.MaxCustomClaims {
		many += fmt.Sprintf(`,{"name":"https://example.com/%d","value":"v"}`, i+1)
	}
	good := oauth2.Claim{Name: "tier", Value: "gold"}
	for name, c := range map[string]struct{ claim, dropped string }{
		"a name that differs from ours by case": {`{"name":"Aud","value":"https://victim.test"}`, "Aud"},
		"one that differs by a separator":       {`{"name":"client.id","value":"victim.frontend"}`, "client.id"},
		"one that readers act on":               {`{"name":"realm_access","values":["admin"]}`, "realm_access"},
		"one of .NET":                           {`{"name":"http://schemas.microsoft.com/ws/2008/06/identity/claims/role","value":"admin"}`, "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"},
		"a name twice":                          {`{"name":"tier","value":"silver"}`, "tier"},
		"a value that no token carries":         {`{"name":"https://example.com/a","value":"ä"}`, "https://example.com/a"},
		"a claim that says nothing":             {`{"name":"https://example.com/a"}`, "https://example.com/a"},
		"more bytes than a token carries":       {`{"name":"https://example.com/a","value":"` + strings.Repeat("v", 2048) + `"}`, "https://example.com/a"},
		"roles in another spelling":             {`{"name":"ROLES","value":"admin"}`, "ROLES"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := registration.Decode(withClaims(`"claims":[{"name":"tier","value":"gold"},` + c.claim + `]`))
			if err != nil {
				t.Fatal(err)
			}
			want := full()
			want.Client.Tokens.Claims, want.DroppedClaims = []oauth2.Claim{good}, []string{c.dropped}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, err := registration.Encode(got); err != nil {
				t.Errorf("what was read cannot be written again: %v", err)
			}
		})
	}
	got, err := registration.Decode(withClaims(`"claims":[` + many + `]`))
	if err != nil || len(got.Client.Tokens.Claims) != oauth2.MaxCustomClaims || len(got.DroppedClaims) != 1 {
		t.Errorf("of %d claims %d are kept and %q dropped, %v", oauth2.MaxCustomClaims+1, len(got.Client.Tokens.Claims), got.DroppedClaims, err)
	}
}

// TestClaimsThatFirstReadersRefuseStandApart: with one of these names in claims the first token
// server refuses the whole record.
func TestClaimsThatFirstReadersRefuseStandApart(t *testing.T) {
	want := full()
	want.Client.Tokens.Claims = []oauth2.Claim{
		{Name: "permissions", Value: "a"}, {Name: "tier", Value: "gold"},
		{Name: "roles", Values: []string{"b", "c"}}, {Name: "groups", Value: "d"}, {Name: "entitlements", Value: "e"},
	}
	data, err := registration.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	stored := `"claims":[{"name":"permissions","value":"a"},{"name":"tier","value":"gold"}],` +
		`"authorizationClaims":[{"name":"roles","values":["b","c"]},{"name":"groups","value":"d"},{"name":"entitlements","value":"e"}]`
	if !strings.Contains(string(data["client.json"]), stored) {
		t.Errorf("stored as %s", data["client.json"])
	}
	got, err := registration.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A token server of before may read a client only if it allows no more of it, and can read it.
func TestTheRecordOfWhatIsNewIsReadByWhoKnowsIt(t *testing.T) {
	keys := func(life time.Duration) func(*oauth2.Client) {
		return func(c *oauth2.Client) {
			c.Credentials = oauth2.Credentials{KeysOnly: true, MaxAssertionLife: life}
		}
	}
	for name, c := range map[string]struct {
		change func(*oauth2.Client)
		want   wire.Form
	}{
		"no grant types of its own":      {func(*oauth2.Client) {}, wire.Form{Version: 1}},
		"one beside client credentials":  {func(c *oauth2.Client) { c.GrantTypes = oauth2.ClientCredentials | oauth2.JWTBearer }, wire.Form{Version: 3, MinReader: 1}},
		"one without client credentials": {func(c *oauth2.Client) { c.GrantTypes = oauth2.JWTBearer }, wire.Form{Version: 3}},
		"assertions of ten minutes":      {keys(10 * time.Minute), wire.Form{Version: 1}},
		"assertions of thirty minutes":   {keys(30 * time.Minute), wire.Form{Version: 3}},
		"the name Ed25519":               {func(c *oauth2.Client) { c.Tokens.Algorithm = jws.Ed25519 }, wire.Form{Version: 3}},
		"codes beside client credentials": {func(c *oauth2.Client) {
			c.GrantTypes, c.Codes = oauth2.ClientCredentials|oauth2.AuthorizationCode, &oauth2.Codes{}
		}, wire.Form{Version: 5, MinReader: 1}},
		"codes, and the name Ed25519": {func(c *oauth2.Client) {
			c.GrantTypes, c.Codes, c.Tokens.Algorithm = oauth2.ClientCredentials|oauth2.AuthorizationCode, &oauth2.Codes{}, jws.Ed25519
		}, wire.Form{Version: 5, MinReader: 3}},
		"codes, and assertions of thirty minutes": {func(c *oauth2.Client) {
			keys(30 * time.Minute)(c)
			c.GrantTypes, c.Codes = oauth2.ClientCredentials|oauth2.AuthorizationCode, &oauth2.Codes{}
		}, wire.Form{Version: 5, MinReader: 3}},
		"codes beside another grant type": {func(c *oauth2.Client) {
			c.GrantTypes, c.Codes = oauth2.JWTBearer|oauth2.AuthorizationCode, &oauth2.Codes{}
		}, wire.Form{Version: 5}},
		"codes alone": {func(c *oauth2.Client) {
			c.GrantTypes, c.Codes = oauth2.AuthorizationCode, &oauth2.Codes{}
		}, wire.Form{Version: 5}},
		"a public client": {func(c *oauth2.Client) { *c = public() }, wire.Form{Version: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			r := full()
			c.change(&r.Client)
			data, err := registration.Encode(r)
			if err != nil {
				t.Fatal(err)
			}
			var form wire.Form
			if err := json.Unmarshal(data["client.json"], &form); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, form); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			got, err := registration.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// An earlier token server reads the record, and issues no tokens of persons.
func TestConsentsToPersonsStandApart(t *testing.T) {
	consent := func(namespace string) []oauth2.Consent {
		return []oauth2.Consent{{Namespaces: []string{namespace}, Scopes: []string{"read"}}}
	}
	r := oauth2.Resource{
		Identifier: "https://api.test", UID: "u", Namespace: "orders", Name: "api", Scopes: []string{"read"},
		Consents: consent("shop"), Users: consent("web"), UsersHeld: true, Exchanged: consent("edge"), ExchangedUsers: consent("chat"),
	}
	data, err := registration.EncodeResource(r)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		wire.Form `json:",inline"`

		Consents  []struct{ Namespaces []string } `json:"consents"`
		Exchanged []struct{ Namespaces []string } `json:"exchanged"`
	}
	if err := json.Unmarshal(data["resource.json"], &document); err != nil {
		t.Fatal(err)
	}
	if document.Form != (wire.Form{Version: 4, MinReader: 1}) || document.Consents[0].Namespaces[0] != "shop" || document.Exchanged[0].Namespaces[0] != "edge" {
		t.Errorf("%s", data["resource.json"])
	}
	got, err := registration.DecodeResource(data)
	if diff := cmp.Diff(r, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	r.ExchangedUsers[0].Scopes = []string{"not a scope"}
	if _, err := registration.EncodeResource(r); err == nil {
		t.Error("a consent to what is no scope is written")
	}
	r.Users, r.ExchangedUsers = nil, nil
	if _, err := registration.EncodeResource(r); err == nil {
		t.Error("tokens are held back that nobody consents to")
	}
}

// An earlier token server must not take the JWTs of persons for those of clients.
// Descriptions come back, and a version that does not know them reads the record.
func TestDescriptionsOfScopesComeBack(t *testing.T) {
	r := oauth2.Resource{
		Identifier: "https://api.test", UID: "u", Namespace: "shop", Name: "api", Scopes: []string{"read", "write"},
		Users:        []oauth2.Consent{{Namespaces: []string{"web"}, Scopes: []string{"read"}}},
		Descriptions: []oauth2.Description{{Scope: "read", Text: "Read orders, <b>all</b> of them"}},
	}
	data, err := registration.EncodeResource(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := registration.DecodeResource(data)
	if diff := cmp.Diff(r, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if got.Describe("read") != r.Descriptions[0].Text || got.Describe("write") != "" {
		t.Errorf("the scopes are described as %q and %q", got.Describe("read"), got.Describe("write"))
	}
	if document := string(data["resource.json"]); !strings.HasPrefix(document, `{"version":5,"minReader":1,`) {
		t.Errorf("an older version does not read %s", document)
	}
}

func TestTheUsesOfAnIssuerStandInItsRecord(t *testing.T) {
	for name, c := range map[string]struct {
		uses oauth2.IssuerUses
		form wire.Form
	}{
		"clients, as before": {0, wire.Form{Version: 2}},
		"both":               {oauth2.UseClient | oauth2.UsePerson, wire.Form{Version: 4, MinReader: 2}},
		"persons alone":      {oauth2.UsePerson, wire.Form{Version: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := oauth2.TrustedIssuer{Name: "corp", UID: "u", Issuer: "https://idp.test", Uses: c.uses}
			data, err := registration.EncodeIssuer(issuer)
			if err != nil {
				t.Fatal(err)
			}
			var form wire.Form
			if err := json.Unmarshal(data["issuer.json"], &form); err != nil || form != c.form {
				t.Errorf("%v %s", err, data["issuer.json"])
			}
			got, err := registration.DecodeIssuer(data)
			if diff := cmp.Diff(issuer, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	later := map[string][]byte{"issuer.json": []byte(`{"version":2,"name":"corp","uid":"u","issuer":"https://idp.test","state":"active","keys":null,"uses":["Device"]}`)}
	if _, err := registration.DecodeIssuer(later); !errors.Is(err, registration.ErrUnreadable) {
		t.Errorf("an issuer that is trusted for what is not known: %v", err)
	}
}

// An earlier token server reads the record, and issues no exchanged tokens.
func TestConsentsToExchangedTokensStandApart(t *testing.T) {
	r := oauth2.Resource{
		Identifier: "https://api.test", UID: "u", Namespace: "orders", Name: "api", Scopes: []string{"read"},
		Consents:  []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: []string{"read"}}},
		Exchanged: []oauth2.Consent{{Namespaces: []string{"edge"}, Scopes: []string{"read"}}}, ExchangeHeld: true,
	}
	data, err := registration.EncodeResource(r)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		wire.Form `json:",inline"`

		Consents []struct{ Namespaces []string } `json:"consents"`
	}
	if err := json.Unmarshal(data["resource.json"], &document); err != nil {
		t.Fatal(err)
	}
	if document.Form != (wire.Form{Version: 3, MinReader: 1}) || len(document.Consents) != 1 || document.Consents[0].Namespaces[0] != "shop" {
		t.Errorf("%s", data["resource.json"])
	}
	got, err := registration.DecodeResource(data)
	if diff := cmp.Diff(r, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	r.Exchanged[0].Scopes = []string{"not a scope"}
	if _, err := registration.EncodeResource(r); err == nil {
		t.Error("a consent to what is no scope is written")
	}
	r.Exchanged = nil
	if _, err := registration.EncodeResource(r); err == nil {
		t.Error("tokens are held back that nobody consents to")
	}
}
