// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/restore"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// The objects of the tests: two clients in the short form and one without it, an OAuth2Token and a
// resource.
var (
	reporting = oauth2.Client{
		ID: "shop.reporting", Namespace: "shop", Name: "reporting", UID: "4c7b9b4e-3c0f-4a1e-9d8b-0d8f6a3b2c11", Tokens: oauth2.TokenForm{Lifetime: time.Hour},
		Scopes: []string{"read"}, Credentials: oauth2.Credentials{Verifiers: []oauth2.Verifier{{ID: "k1", Digest: oauth2.Digest{1}, CreatedAt: noon}}},
	}
	pod = oauth2.Client{
		ID: "shop.pod", Namespace: "shop", Name: "pod", UID: "not a UUID", Tokens: oauth2.TokenForm{Lifetime: time.Minute},
		Credentials: oauth2.Credentials{ServiceAccount: &oauth2.ServiceAccount{Name: "pod", UID: "u"}}, Revocation: oauth2.Revocation{Before: noon.Add(-time.Minute)},
	}
	precise = oauth2.Client{
		ID: "shop.precise", Namespace: "shop", Name: "precise", UID: "5d7b9b4e-3c0f-4a1e-9d8b-0d8f6a3b2c11", Tokens: oauth2.TokenForm{Lifetime: time.Hour},
		Credentials: oauth2.Credentials{Verifiers: []oauth2.Verifier{{ID: "k1", Digest: oauth2.Digest{1}, CreatedAt: noon.Add(time.Nanosecond)}}},
	}
	printer = oauth2.Minted{
		UID: "t", Namespace: "shop", Name: "printer", ClientID: reporting.ID, ClientUID: reporting.UID, ClientName: reporting.Name, Opaque: true,
		Tokens: []oauth2.MintedToken{{
			ID: "jti", Digest: oauth2.Digest{2}, Audience: "https://hallpass.test/ns/shop", Scopes: []string{"read"}, IssuedAt: noon, ExpiresAt: noon.Add(time.Hour),
		}},
	}
	github = oauth2.TrustedIssuer{
		Name: "github", UID: "i", Issuer: "https://issuer.test", Keys: oauth2.IssuerKeys{FetchedAt: noon, Until: noon.Add(time.Hour)}, Algorithms: []jws.Algorithm{jws.RS256},
		Audiences: []string{"a"}, MaxLife: time.Hour, Once: true,
		Delegations: []oauth2.Delegation{{
			Namespaces: []string{"shop"}, SubjectPrefixes: []string{"repo:acme/"}, Claims: []oauth2.RequiredClaim{{Name: "owner", Values: []string{"1"}}},
		}},
	}
	orders = oauth2.Resource{Identifier: "https://hallpass.test/resources/orders/api", Namespace: "orders", Name: "api", UID: "r", Scopes: []string{"orders.read"}}
)

const (
	testDiscovery = `{"issuer":"https://cluster.test"}`
	testKeys      = `{"keys":[{"use":"sig","kty":"OKP","crv":"Ed25519","kid":"a","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
)

// A token and an assertion that a TokenRevocation contains.
var revoked, used = revocation.ID{1}, revocation.ID{2}

// fixture is a Memory whose clock is the test's.
type fixture struct {
	*Memory

	now time.Time
	// past is an instant that is over for certain; zero stands for now.
	past time.Time
}

func newFixture() *fixture {
	f := &fixture{now: noon}
	f.Memory = New(func() time.Time { return f.now }, func() time.Time {
		if f.past.IsZero() {
			return f.now
		}
		return f.past
	})
	return f
}

// filled is a Memory that has something of each kind.
func filled(t testing.TB) *fixture {
	t.Helper()
	f := newFixture()
	ring, err := keyring.New(noon)
	must(t, err)
	f.Registry.Replace(slices.Values([]Record{
		clientRecord(t, reporting), clientRecord(t, pod), clientRecord(t, precise), resourceRecord(t, orders), issuerRecord(t, github), tokenRecord(t, 7, printer), keysRecord(t, ring),
	}), restore.List{Version: 100})
	f.Clients.Replace(slices.Values([]Client{clientObject(reporting), clientObject(pod), clientObject(precise)}), restore.List{Version: 101})
	f.Tokens.Replace(slices.Values([]Token{tokenObject(printer)}), restore.List{Version: 102})
	f.Revocations.Replace(slices.Values([]Revocation{
		{Name: "batch", Version: 11, Batch: revocation.Batch{
			Tokens:     []revocation.Entry{revocation.NewEntry(revoked, noon.Add(2*time.Hour))},
			Assertions: []revocation.Entry{revocation.NewEntry(used, noon.Add(2*time.Hour))},
		}},
		{Name: "all", Version: 10, Selector: &revocation.Selector{Namespace: "shop", IssuedBefore: noon.Add(-time.Hour)}},
	}), restore.List{Version: 103})
	trust, err := ReadTrust([]byte(testDiscovery), []byte(testKeys))
	must(t, err)
	f.SetTrust(trust)
	return f
}

func recordOf(t testing.TB, name, kind string, version uint64, data map[string][]byte, err error) Record {
	t.Helper()
	must(t, err)
	r, err := DecodeRecord(name, kind, version, data)
	must(t, err)
	return r
}

func clientRecord(t testing.TB, c oauth2.Client) Record {
	t.Helper()
	data, err := registration.Encode(registration.Registration{Client: c})
	return recordOf(t, registration.SecretName(c.ID), registration.SecretType, 7, data, err)
}

func resourceRecord(t testing.TB, r oauth2.Resource) Record {
	t.Helper()
	data, err := registration.EncodeResource(r)
	return recordOf(t, registration.ResourceSecretName(r.Identifier), registration.ResourceSecretType, 7, data, err)
}

func issuerRecord(t testing.TB, i oauth2.TrustedIssuer) Record {
	t.Helper()
	keys, err := jws.PackKeys(mustKeySet(t).Keys...)
	must(t, err)
	i.Keys.Set = keys
	data, err := registration.EncodeIssuer(i)
	return recordOf(t, registration.IssuerSecretName(i.Name), registration.IssuerSecretType, 7, data, err)
}

func mustKeySet(t testing.TB) jws.KeySet {
	t.Helper()
	set, err := jws.ParseKeySet([]byte(testKeys))
	must(t, err)
	return set
}

func tokenRecord(t testing.TB, version uint64, m oauth2.Minted) Record {
	t.Helper()
	data, err := registration.EncodeToken(m)
	return recordOf(t, registration.TokenSecretName(m.UID), registration.TokenSecretType, version, data, err)
}

func keysRecord(t testing.TB, ring keyring.Ring) Record {
	t.Helper()
	data, err := registration.EncodeKeys(ring)
	return recordOf(t, registration.KeysSecretName, registration.KeysSecretType, 7, data, err)
}

// clientObject is the OAuth2Client of a registration, as a watch reads it.
func clientObject(c oauth2.Client) Client {
	return Client{
		Place: PlaceOf(c.Namespace, c.Name), Tenant: TenantOf(c.Namespace), Owner: oauth2.Owner{UID: c.UID}, ClientID: c.ID, CreatedAt: noon.Add(-time.Hour),
	}
}

// tokenObject is the OAuth2Token of a record.
func tokenObject(m oauth2.Minted) Token {
	return Token{
		Place: PlaceOf(m.Namespace, m.Name), Tenant: TenantOf(m.Namespace), Owner: &oauth2.MintedOwner{UID: m.UID, ClientName: m.ClientName, Scopes: []string{"read"}},
		Fixed: true, CreatedAt: noon.Add(-time.Hour),
	}
}

// known is what callers see of a Memory.
func known(f *fixture) map[string]any {
	ring, _ := f.Registry.Keys.Ring().Encode()
	return map[string]any{
		"reporting": f.Record(reporting.ID), "pod": f.Record(pod.ID), "precise": f.Record(precise.ID), "resource": f.Registry.Resources.Identified(orders.Identifier),
		"issuer": f.Registry.Issuers.Named(github.Name), "named": f.Registry.Resources.Named(oauth2.ObjectName{Namespace: orders.Namespace, Name: orders.Name}), "token": f.Tokens.Lookup(oauth2.OpaqueID(printer.UID)),
		"keys": string(ring), "cluster": f.Trust().Issuer, "cluster keys": len(f.Trust().Keys.Keys), "epochs": slices.Collect(f.Registry.ClientEpochs()),
		"revoked": f.Revocations.State.Revoked(oauth2.Claims{ID: revoked.String(), IssuedAt: noon}, "", noon), "used": f.Revocations.State.Used(used, noon),
		"revoked before": f.Revocations.State.RevokedBefore(reporting.ID, "shop").Unix(),
	}
}

// written is the snapshot of a Memory.
func written(t testing.TB, f *fixture) string {
	t.Helper()
	var content strings.Builder
	size, err := f.Write(&content, f.now, map[string]uint64{"secrets": 100})
	must(t, err)
	if size != int64(content.Len()) {
		t.Errorf("%d bytes are written, %d returned", content.Len(), size)
	}
	return content.String()
}

// load makes a Memory serve from a snapshot.
func load(f *fixture, s *Snapshot) {
	f.Begin(s)
	saved := restore.List{Version: s.Marks["secrets"], Saved: true}
	f.Registry.Replace(s.Records, saved)
	f.Clients.Replace(s.Clients, saved)
	f.Tokens.Replace(s.Tokens, saved)
	f.Revocations.Replace(s.Revocations, saved)
	f.TrustSaved(s)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
