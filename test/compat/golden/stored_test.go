// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package golden_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
	"github.com/hallpass-dev/hallpass/internal/usage"
	"github.com/hallpass-dev/hallpass/test/kit/golden"
)

// noon is the clock of the tests.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	reportingUID = "4c7b9b4e-3c0f-4a1e-9d8b-0d8f6a3b2c11"
	pinnedKeys   = "stored/signing-keys"
)

// clientKeys is spec.authentication.privateKeyJWT.jwks with a key of each type.
const clientKeys = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ed"},` +
	`{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},` +
	`{"kty":"RSA","alg":"PS256","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3` +
	`oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOp` +
	`bISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","kid":"rsa"}]}`

// registrations cover each authentication method, each state, and every field.
func registrations(t *testing.T) map[string]registration.Registration {
	t.Helper()
	set, err := jws.ParseKeySet([]byte(clientKeys))
	if err != nil || len(set.Unusable) > 0 {
		t.Fatal(err, set.Unusable)
	}
	keys, err := jws.PackKeys(set.Keys...)
	if err != nil {
		t.Fatal(err)
	}
	base := oauth2.Client{ID: "shop.reporting", UID: reportingUID, Namespace: "shop", Name: "reporting", Tokens: oauth2.TokenForm{Lifetime: time.Hour}}
	with := func(change func(c *oauth2.Client)) oauth2.Client {
		c := base
		change(&c)
		return c
	}
	return map[string]registration.Registration{
		"client-secret": {
			Client: with(func(c *oauth2.Client) {
				c.Credentials.Verifiers = []oauth2.Verifier{
					{ID: "ends", Digest: oauth2.Digest{1, 31: 1}, CreatedAt: noon.Add(-2 * time.Hour), ExpiresAt: noon.Add(time.Hour)},
					{ID: "watched", Digest: oauth2.Digest{2}, CreatedAt: noon.Add(-time.Hour), ExpiresAt: noon.Add(24 * time.Hour), WatchedSince: noon},
					{ID: "current", Digest: oauth2.Digest{3}, CreatedAt: noon},
					{ID: "pending", Digest: oauth2.Digest{4}, CreatedAt: noon.Add(time.Second), ExpiresAt: noon.Add(time.Hour), Pending: true},
				}
				c.Scopes = []string{"read", "write"}
				c.Tokens.Algorithm = jws.EdDSA
				c.Tokens.Lifetime = 90 * time.Second
				c.Revocation.Asked, c.Revocation.Before = noon.Add(time.Hour), noon.Add(-time.Minute)
				c.Access = []oauth2.Access{
					{Resource: oauth2.ObjectName{Namespace: "orders", Name: "api"}, Scopes: []string{"orders.read", "orders.write"}},
					{Resource: oauth2.ObjectName{Namespace: "shop", Name: "stock"}, Scopes: []string{"stock.read"}},
				}
				c.DefaultResource = oauth2.ObjectName{Namespace: "orders", Name: "api"}
				c.Labels = map[string]string{"team": "blue", "tier.example.com/level": "2"}
				c.Tokens.Claims = []oauth2.Claim{{Name: "https://example.com/tier", Value: "gold"}, {Name: "urn:example:teams", Values: []string{"a", "b"}}}
			}),
			Rotation: credential.Rotation{Handled: "r1", Planned: "r2", PlannedBy: "pending", First: "ends"},
		},
		"chosen-client-id": {Client: with(func(c *oauth2.Client) { c.ID, c.Suspended = "LfXJilIBdzj5JPRn4xb5QQ..", true })},
		"refused":          {Client: with(func(c *oauth2.Client) { c.Refused = true })},
		"keys":             {Client: with(func(c *oauth2.Client) { c.Credentials.KeysOnly, c.Credentials.Keys = true, keys })},
		"unreadable-keys":  {Client: with(func(c *oauth2.Client) { c.Credentials.KeysOnly = true })},
		"service-account": {Client: with(func(c *oauth2.Client) {
			c.Credentials.ServiceAccount = &oauth2.ServiceAccount{Name: "worker", UID: "7d1c0a52-6a4e-4f3f-9d0e-0d1e2f3a4b5c"}
		})},
		"federated": {Client: with(func(c *oauth2.Client) {
			c.Credentials.Federated = &oauth2.Federated{IssuerName: "github", SubjectPrefix: "repo:octo-org/octo-repo:", Claims: []oauth2.RequiredClaim{
				{Name: "repository_id", Values: []string{"74"}}, {Name: "environment", Values: []string{"prod", "stage"}},
			}}
		})},
		"grant-types": {Client: with(func(c *oauth2.Client) {
			c.Credentials.KeysOnly, c.Credentials.Keys, c.GrantTypes = true, keys, oauth2.ClientCredentials|oauth2.JWTBearer
		})},
		"jwt-bearer-alone": {Client: with(func(c *oauth2.Client) {
			c.Credentials.KeysOnly, c.Credentials.Keys, c.GrantTypes = true, keys, oauth2.JWTBearer
		})},
		"codes": {Client: with(func(c *oauth2.Client) {
			c.Credentials.KeysOnly, c.Credentials.Keys, c.GrantTypes = true, keys, oauth2.ClientCredentials|oauth2.AuthorizationCode
			c.Codes = &oauth2.Codes{
				RedirectURIs: []string{"https://shop.example.com/callback"}, IssuerName: "corp", DisplayName: "Reports", AskAlways: true,
				Refresh: oauth2.Refreshing{Lifetime: 8 * time.Hour, Limited: true, Max: 10},
			}
		})},
		"public": {Client: with(func(c *oauth2.Client) {
			c.ID, c.Credentials.Public, c.GrantTypes = "https://shop.example.com/client.json", true, oauth2.AuthorizationCode
			c.Codes = &oauth2.Codes{
				RedirectURIs: []string{"http://127.0.0.1/callback", "com.example.shop:/callback"},
				Refresh:      oauth2.Refreshing{Lifetime: 24 * time.Hour, Idle: time.Hour},
			}
		})},
		"no-service-account": {Client: with(func(c *oauth2.Client) { c.Credentials.ServiceAccount = &oauth2.ServiceAccount{Name: "worker"} })},
	}
}

func TestRegistrationsAreStoredAsBefore(t *testing.T) {
	for name, want := range registrations(t) {
		t.Run(name, func(t *testing.T) {
			dir := "stored/registrations/" + name
			data, err := registration.Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			golden.CompareData(t, dir, data)
			got, err := registration.Decode(golden.StoredData(t, dir))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the stored form is decoded to another value (-want +got):\n%s", diff)
			}
		})
	}
}

// 37318f4 accepted claims with plain names. Such claims may be dropped; the registration must stay
// readable.
func TestARegistrationWithAPlainClaimStaysReadable(t *testing.T) {
	got, err := registration.Decode(golden.StoredData(t, "stored/registrations/plain-claim"))
	if err != nil {
		t.Fatal(err)
	}
	got.Client.Tokens.Claims = nil
	want := registrations(t)["refused"]
	want.DroppedClaims = []string{"Aud"}
	want.Client.Refused, want.Client.Scopes = false, []string{"read"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNamesAreDerivedAsBefore(t *testing.T) {
	var names []byte
	for _, name := range []string{
		registration.SecretName("shop.reporting"), registration.SecretName("Shop.Reporting"), registration.SecretName("LfXJilIBdzj5JPRn4xb5QQ.."),
		registration.ResourceSecretName("https://hallpass.test/resources/orders/api"), registration.TokenSecretName(reportingUID),
		registration.OpaqueSecretName(oauth2.OpaqueID(reportingUID)), registration.KeysSecretName,
		registration.SecretType, registration.ResourceSecretType, registration.TokenSecretType, registration.KeysSecretType,
		registration.AnnotationClientID, registration.AnnotationResource, registration.Namespace,
	} {
		names = append(append(names, name...), '\n')
	}
	// With another name or digest, no stored record and no secret would be found.
	secret := oauth2.NewSecret("0123456789abcdefghijklmnopqrstuv")
	client, token := oauth2.DigestSecret(reportingUID, secret), oauth2.DigestMinted(reportingUID, secret)
	for file, got := range map[string][]byte{"stored/names.txt": names, "stored/digests.bin": slices.Concat(client[:], token[:])} {
		if diff := cmp.Diff(golden.Stored(t, file), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestSecretsAndTokensAreRecognisedAsBefore(t *testing.T) {
	made, err := oauth2.NewClientSecret(&counting{})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := oauth2.IssueOpaque(oauth2.Grant{TokenUID: printerUID, Lifetime: time.Hour}, noon, &counting{})
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "stored/client-secret.txt", []byte(made.Value.Reveal()))
	golden.Compare(t, "stored/opaque-token.txt", []byte(token.Reveal()))
	read, err := oauth2.ParseClientSecret(oauth2.NewSecret(string(golden.Stored(t, "stored/client-secret.txt"))))
	if err != nil || read.ID != "abcdefghijkl" {
		t.Errorf("a client secret is read as %s: %v", read.ID, err)
	}
	read, err = oauth2.ParseOpaqueToken(oauth2.NewSecret(string(golden.Stored(t, "stored/opaque-token.txt"))))
	if err != nil || read.ID != oauth2.OpaqueID(printerUID) {
		t.Errorf("an opaque token is read as %s: %v", read.ID, err)
	}
}

func TestResourceRecordsAreStoredAsBefore(t *testing.T) {
	for name, want := range map[string]oauth2.Resource{
		"full": {
			Identifier: "https://orders.example.com/api", UID: "r-uid", Namespace: "orders", Name: "api", DisplayName: "Orders of the <shop>",
			Scopes: []string{"orders.read", "orders.write"}, TokenLifetime: 10 * time.Minute,
			Consents: []oauth2.Consent{
				{Namespaces: []string{"billing", "shop"}, ClientLabels: map[string]string{"team": "blue", "tier": "2"}, Scopes: []string{"orders.read"}},
				{Namespaces: []string{"shop"}, Scopes: []string{"orders.read", "orders.write"}},
			},
			Introspectors: []oauth2.ObjectName{{Namespace: "gateway", Name: "envoy"}},
		},
		"least": {Identifier: "https://hallpass.test/resources/orders/api", UID: "r-uid", Namespace: "orders", Name: "api"},
		"exchanged": {
			Identifier: "https://hallpass.test/resources/orders/api", UID: "r-uid", Namespace: "orders", Name: "api", Scopes: []string{"orders.read"},
			Consents:  []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: []string{"orders.read"}}},
			Exchanged: []oauth2.Consent{{Namespaces: []string{"edge"}, Scopes: []string{"orders.read"}}}, ExchangeHeld: true,
		},
		"persons": {
			Identifier: "https://hallpass.test/resources/orders/api", UID: "r-uid", Namespace: "orders", Name: "api", Scopes: []string{"orders.read"},
			Users:     []oauth2.Consent{{Namespaces: []string{"chat", "web"}, Scopes: []string{"orders.read"}}},
			Exchanged: []oauth2.Consent{{Namespaces: []string{"chat"}, Scopes: []string{"orders.read"}}},
			UsersHeld: true, ExchangedUsers: []oauth2.Consent{{Namespaces: []string{"chat"}, Scopes: []string{"orders.read"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := "stored/resources/" + name
			data, err := registration.EncodeResource(want)
			if err != nil {
				t.Fatal(err)
			}
			golden.CompareData(t, dir, data)
			got, err := registration.DecodeResource(golden.StoredData(t, dir))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the stored form is decoded to another value (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIssuerRecordsAreStoredAsBefore(t *testing.T) {
	set, err := jws.ParseKeySet([]byte(clientKeys))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := jws.PackKeys(set.Keys...)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]oauth2.TrustedIssuer{
		"full": {
			Name: "github", UID: "i-uid", Issuer: "https://token.actions.githubusercontent.com", Suspended: true, Keys: oauth2.IssuerKeys{Set: keys, FetchedAt: noon, Until: noon.Add(24 * time.Hour)}, Algorithms: []jws.Algorithm{jws.RS256}, Audiences: []string{"https://hallpass.test"}, MaxLife: 10 * time.Minute,
			Once: true, Delegations: []oauth2.Delegation{
				{Namespaces: []string{"ci", "shop"}, SubjectPrefixes: []string{"repo:octo-org/"}, Claims: []oauth2.RequiredClaim{{Name: "repository_owner_id", Values: []string{"65"}}}},
				{Namespaces: []string{"orders"}},
			},
		},
		"least":               {Name: "github", UID: "i-uid", Issuer: "https://issuer.test"},
		"persons":             {Name: "corp", UID: "i-uid", Issuer: "https://issuer.test", Uses: oauth2.UsePerson},
		"clients-and-persons": {Name: "corp", UID: "i-uid", Issuer: "https://issuer.test", Uses: oauth2.UseClient | oauth2.UsePerson},
		"trust-domain": {
			Name: "spire", UID: "i-uid", Issuer: "spiffe://example.org", Keys: oauth2.IssuerKeys{Set: keys, FetchedAt: noon, Until: noon.Add(24 * time.Hour)},
			Delegations: []oauth2.Delegation{{Namespaces: []string{"ci"}, SubjectPrefixes: []string{"spiffe://example.org/ns/ci/"}}},
		},
		"login": {
			Name: "corp", UID: "i-uid", Issuer: "https://issuer.test", Uses: oauth2.UsePerson, DisplayName: "Corp", CABundle: []byte("PEM"),
			AllowedCIDRs: []string{"10.20.0.0/16"}, Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}},
			Login: &oauth2.Login{
				ClientID: "hallpass", SecretName: "corp", Scopes: []string{"openid", "groups"}, SubjectClaim: "oid",
				Claims: []oauth2.RequiredClaim{{Name: "hd", Values: []string{"example.com"}}}, Groups: []string{"staff"}, GroupsClaim: "roles",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := "stored/issuers/" + name
			data, err := registration.EncodeIssuer(want)
			if err != nil {
				t.Fatal(err)
			}
			golden.CompareData(t, dir, data)
			got, err := registration.DecodeIssuer(golden.StoredData(t, dir))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the stored form is decoded to another value (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTokenRecordsAreStoredAsBefore(t *testing.T) {
	token := func(id string, digest byte) oauth2.MintedToken {
		return oauth2.MintedToken{
			ID: id, Digest: oauth2.Digest{digest}, KeyID: "kid", Audience: "https://hallpass.test/ns/shop", Scopes: []string{"read"},
			IssuedAt: noon, ExpiresAt: noon.Add(time.Hour),
		}
	}
	opaque, alone := token("one", 1), token("two", 2)
	opaque.KeyID, opaque.Scopes, alone.Exclusive = "", nil, true
	record := oauth2.Minted{
		UID: "t-uid", Namespace: "shop", Name: "printer", ClientID: "shop.reporting", ClientUID: reportingUID, ClientName: "reporting",
	}
	jwts, opaques := record, record
	jwts.Tokens = []oauth2.MintedToken{token("one", 1), alone}
	opaques.Opaque, opaques.Tokens = true, []oauth2.MintedToken{opaque}
	for name, want := range map[string]oauth2.Minted{"jwt": jwts, "opaque": opaques, "none": record} {
		t.Run(name, func(t *testing.T) {
			dir := "stored/tokens/" + name
			data, err := registration.EncodeToken(want)
			if err != nil {
				t.Fatal(err)
			}
			golden.CompareData(t, dir, data)
			got, err := registration.DecodeToken(golden.StoredData(t, dir))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the stored form is decoded to another value (-want +got):\n%s", diff)
			}
		})
	}
}

// pinnedRing has at noon active, published, retired and withdrawn keys.
func pinnedRing(t *testing.T) keyring.Ring {
	t.Helper()
	ring, err := registration.DecodeKeys(golden.StoredData(t, pinnedKeys))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestSigningKeysAreStoredAsBefore(t *testing.T) {
	ring := pinnedRing(t)
	data, err := registration.EncodeKeys(ring)
	if err != nil {
		t.Fatal(err)
	}
	golden.CompareData(t, pinnedKeys, data)
	golden.Compare(t, "stored/jwks.json", append(ring.JWKS(noon), '\n'))
	states := map[string]bool{}
	for _, key := range ring.Keys() {
		states[string(key.Algorithm())+" "+string(key.State(noon))] = true
		message, err := jws.Parse(string(golden.Stored(t, "stored/signed/"+key.ID())))
		if err != nil {
			t.Fatal(err)
		}
		if payload, err := key.Verify(message); err != nil || string(payload) != `{"pinned":true}` {
			t.Errorf("key %s verifies %s: %v", key.ID(), payload, err)
		}
		signed, err := key.Sign("JWT", []byte(`{"pinned":true}`))
		if err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, "stored/signed/"+key.ID(), []byte(signed))
	}
	want := []string{
		"ES256 " + string(keyring.Active), "ES256 " + string(keyring.Published), "ES256 " + string(keyring.Retired),
		"EdDSA " + string(keyring.Active), "EdDSA " + string(keyring.Published), "RS256 " + string(keyring.Active),
		"RS256 " + string(keyring.Published), "RS256 " + string(keyring.Retired),
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(states))); diff != "" {
		t.Errorf("the states of the keys (-want +got):\n%s", diff)
	}
	if len(ring.Tainted()) != 1 || ring.Revision() == 0 {
		t.Errorf("%d withdrawn keys, revision %d", len(ring.Tainted()), ring.Revision())
	}
}

func TestUsesAreStoredAsBefore(t *testing.T) {
	minute := usage.MinuteOf
	want := []usage.Entry{
		{Key: usage.KeyOf(reportingUID), Seen: usage.Seen{
			Issued: minute(noon), Presented: minute(noon.Add(-time.Hour)),
			Credentials: []usage.Credential{{ID: "current", At: minute(noon)}, {ID: "ends", At: minute(noon.Add(-24 * time.Hour))}},
			Stale: []usage.Stale{
				{Use: oauth2.StaleUses[0], Count: 1, At: minute(noon.Add(-time.Minute)), Credential: "", Source: "192.0.2.7"},
				{Use: oauth2.StaleUses[1], Count: 300, At: minute(noon), Credential: "", Source: "2001:db8::/64"},
				{Use: oauth2.StaleUses[2], Count: 2, At: minute(noon.Add(-2 * time.Minute)), Credential: "ends", Source: ""},
			},
		}},
		{Key: usage.KeyOf("not a UUID"), Seen: usage.Seen{Presented: minute(noon.Add(-30 * 24 * time.Hour))}},
	}
	slices.SortFunc(want, func(a, b usage.Entry) int { return slices.Compare(a.Key[:], b.Key[:]) })
	golden.Compare(t, "stored/uses.bin", usage.Encode(want))
	got, _, err := usage.Decode(golden.Stored(t, "stored/uses.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the stored form is decoded to another value (-want +got):\n%s", diff)
	}
}

func TestRevocationsAreStoredAsBefore(t *testing.T) {
	want := []revocation.Entry{
		revocation.NewEntry(revocation.IDOf("AAAAAAAAAAAAAAAAAAAAAA"), noon.Add(time.Hour)),
		revocation.NewEntry(revocation.IDOf("an id of another form"), noon.Add(time.Hour+999*time.Millisecond)),
		revocation.NewEntry(revocation.AssertionIDOf("shop.reporting", "jti"), noon.Add(time.Minute)),
	}
	golden.Compare(t, "stored/revocations.txt", []byte(revocation.Encode(want)))
	got, err := revocation.Decode(string(golden.Stored(t, "stored/revocations.txt")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the stored form is decoded to another value (-want +got):\n%s", diff)
	}
}

func TestGenerationsAndRedemptionsAreStoredAsBefore(t *testing.T) {
	want := revocation.Batch{
		Clients: []revocation.Client{{ID: "shop.web", Namespace: "shop"}},
		Generations: []revocation.Generation{
			{Grant: revocation.IDOf("AAAAAAAAAAAAAAAAAAAAAA"), Number: 1, From: revocation.SecondsOf(noon), Until: revocation.SecondsOf(noon.Add(time.Hour))},
			{Grant: revocation.IDOf("BBBBBBBBBBBBBBBBBBBBBA"), Number: 300, From: revocation.SecondsOf(noon), Until: revocation.SecondsOf(noon.Add(8 * time.Hour)), Client: 1},
		},
	}
	const dir = "stored/grants"
	// With another name, a code could be redeemed once more.
	name := revocation.Redemption{CodeID: "AAAAAAAAAAAAAAAAAAAAAA"}.Name()
	golden.CompareData(t, dir, map[string][]byte{"generations.bin": want.PackGenerations(), "redemption.txt": []byte(name)})
	var got revocation.Batch
	if err := got.UnpackGenerations(golden.StoredData(t, dir)["generations.bin"]); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the stored form is decoded to another value (-want +got):\n%s", diff)
	}
}

func TestSealingKeysAreStoredAsBefore(t *testing.T) {
	const pinned = "stored/sealing-keys"
	ring, _, err := seal.Ring{}.Rotate(noon, noon, &counting{})
	if err != nil {
		t.Fatal(err)
	}
	ring, _, err = ring.Rotate(ring.Due(), noon, &counting{next: 100})
	if err != nil {
		t.Fatal(err)
	}
	ring = ring.WithRestored(noon)
	data, err := registration.EncodeSealing(ring)
	if err != nil {
		t.Fatal(err)
	}
	golden.CompareData(t, pinned, data)
	stored, err := registration.DecodeSealing(golden.StoredData(t, pinned))
	if err != nil || !stored.Same(ring) {
		t.Fatalf("the stored form is decoded to another ring: %v", err)
	}
	sealed, err := ring.Seal(seal.Refresh, "https://hallpass.test", []byte("state"), noon, &counting{})
	if err != nil {
		t.Fatal(err)
	}
	golden.CompareData(t, "stored/sealed", map[string][]byte{"refresh.txt": []byte(sealed)})
	if value, err := stored.Open(seal.Refresh, "https://hallpass.test", string(golden.StoredData(t, "stored/sealed")["refresh.txt"])); err != nil || string(value) != "state" {
		t.Errorf("a sealed value is opened as %s: %v", value, err)
	}
}

// counting is a deterministic source of randomness.
type counting struct{ next byte }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = c.next
		c.next++
	}
	return len(p), nil
}
