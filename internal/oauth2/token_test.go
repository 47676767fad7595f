// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func issuer(t testing.TB) oauth2.Issuer {
	t.Helper()
	i, err := oauth2.ParseIssuer("https://hallpass.test", false)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func ring(t testing.TB) keyring.Ring {
	t.Helper()
	r, err := keyring.New(now.Add(-24 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func shop() *oauth2.Client {
	return &oauth2.Client{
		ID: "shop.reporting", UID: "uid-1", Namespace: "shop", Name: "reporting",
		Scopes: []string{"read", "write"}, Tokens: oauth2.TokenForm{Lifetime: 30 * time.Minute},
	}
}

func issue(t testing.TB, r keyring.Ring) oauth2.Token {
	t.Helper()
	key, err := r.SigningKey(now)
	if err != nil {
		t.Fatal(err)
	}
	i := issuer(t)
	grant, err := i.Grant(shop(), oauth2.TokenRequest{}, declared{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := i.Issue(shop(), grant, key, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestGrants(t *testing.T) {
	audience := "https://hallpass.test/ns/shop"
	for name, c := range map[string]struct {
		request oauth2.TokenRequest
		want    oauth2.Grant
		code    oauth2.ErrorCode
	}{
		"no scope means all of them":            {want: oauth2.Grant{Audience: audience, Scopes: []string{"read", "write"}, Lifetime: 30 * time.Minute}},
		"scopes are narrowed":                   {request: oauth2.TokenRequest{Scopes: []string{"write"}}, want: oauth2.Grant{Audience: audience, Scopes: []string{"write"}, Lifetime: 30 * time.Minute}},
		"the namespace's audience may be named": {request: oauth2.TokenRequest{Resource: audience}, want: oauth2.Grant{Audience: audience, Scopes: []string{"read", "write"}, Lifetime: 30 * time.Minute}},
		"one scope too many refuses the whole":  {request: oauth2.TokenRequest{Scopes: []string{"read", "admin"}}, code: oauth2.InvalidScope},
		"scopes are case-sensitive":             {request: oauth2.TokenRequest{Scopes: []string{"Read"}}, code: oauth2.InvalidScope},
		"another namespace's audience":          {request: oauth2.TokenRequest{Resource: "https://hallpass.test/ns/other"}, code: oauth2.InvalidTarget},
		"a prefix of the audience":              {request: oauth2.TokenRequest{Resource: "https://hallpass.test/ns/sho"}, code: oauth2.InvalidTarget},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := issuer(t).Grant(shop(), c.request, declared{})
			if codeOf(err) != c.code {
				t.Fatalf("%v, want %q", err, c.code)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A refusal names what was asked for, in an answer, a status and an event, and never a credential
// that was sent in its place.
func TestARefusedGrantRepeatsNoCredential(t *testing.T) {
	const brought = "Tr0ub4dor-and-3-of-the-owners-own"
	made, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	client := shop()
	client.Credentials.Verifiers = []oauth2.Verifier{{ID: "b", Digest: oauth2.DigestSecret(client.UID, oauth2.NewSecret(brought))}}
	for asked, named := range map[string]bool{
		"orders.write": true, brought: false, made.Value.Reveal(): false, oauth2.OpaqueTokenPrefix + "x": false, "eyJhbGciOiJFUzI1NiJ9.e30.c2ln": false,
		"https://user:password@orders.test": false, "https://orders.test/?token=x": false,
	} {
		_, err := issuer(t).Grant(client, oauth2.TokenRequest{Scopes: []string{asked}}, declared{})
		refusal, ok := errors.AsType[*oauth2.Error](err)
		if !ok || (refusal.Subject == asked) != named || strings.Contains(refusal.Description, asked) != named {
			t.Errorf("scope %q: %+v", asked, refusal)
		}
	}
}

func TestAnIssuedTokenSaysWhatWasGranted(t *testing.T) {
	r := ring(t)
	token := issue(t, r)
	got, err := issuer(t).Validate(token.Value.Reveal(), r, now)
	if err != nil {
		t.Fatal(err)
	}
	want := &oauth2.Claims{
		Issuer: "https://hallpass.test", Subject: "shop.reporting", Audience: "https://hallpass.test/ns/shop",
		ClientID: "shop.reporting", ClientUID: "uid-1", Scopes: []string{"read", "write"}, ID: token.Claims.ID,
		IssuedAt: now, ExpiresAt: now.Add(30 * time.Minute),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(token.Claims, got); diff != "" {
		t.Errorf("issued and read claims differ:\n%s", diff)
	}
	if other := issue(t, r); len(token.Claims.ID) != 22 || other.Claims.ID == token.Claims.ID {
		t.Errorf("token ids %q and %q, want two of 128 random bits", token.Claims.ID, other.Claims.ID)
	}
}

func TestATokenIsValidUntilTheSecondOfItsExp(t *testing.T) {
	r := ring(t)
	token := issue(t, r).Value.Reveal()
	for at, want := range map[time.Duration]oauth2.Reason{
		// the clock of the replica that issued it may be ahead
		-5 * time.Minute:                 "",
		-5*time.Minute - time.Second:     oauth2.ReasonTokenNotYetValid,
		0:                                "",
		30*time.Minute - time.Second:     "",
		30*time.Minute - time.Nanosecond: "",
		30 * time.Minute:                 oauth2.ReasonTokenExpired,
		30*time.Minute + time.Second:     oauth2.ReasonTokenExpired,
	} {
		if _, err := issuer(t).Validate(token, r, now.Add(at)); oauth2.ReasonOf(err) != want {
			t.Errorf("at %s: %v, want %q", at, err, want)
		}
	}
}

// sign makes a token of any claims with the ring's own key.
func sign(t testing.TB, r keyring.Ring, messageType string, payload any) string {
	t.Helper()
	key, err := r.SigningKey(now)
	if err != nil {
		t.Fatal(err)
	}
	raw, isRaw := payload.(string)
	if !isRaw {
		encoded, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		raw = string(encoded)
	}
	token, err := key.Sign(messageType, []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func soundClaims() map[string]any {
	return map[string]any{
		"iss": "https://hallpass.test", "sub": "shop.reporting", "aud": "https://hallpass.test/ns/shop", "client_id": "shop.reporting",
		"client_uid": "uid-1", "scope": "read", "jti": "id", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
}

// TestEachClaimIsNeeded signs tokens with our own key that lack one thing each, so that nothing but
// the check of that thing can refuse them.
func TestEachClaimIsNeeded(t *testing.T) {
	r := ring(t)
	i := issuer(t)
	if _, err := i.Validate(sign(t, r, oauth2.TokenType, soundClaims()), r, now); err != nil {
		t.Fatalf("the sound token is refused: %v", err)
	}
	for claim := range soundClaims() {
		for what, change := range map[string]func(map[string]any){
			"missing":      func(c map[string]any) { delete(c, claim) },
			"null":         func(c map[string]any) { c[claim] = nil },
			"empty":        func(c map[string]any) { c[claim] = "" },
			"a boolean":    func(c map[string]any) { c[claim] = true },
			"an array":     func(c map[string]any) { c[claim] = []string{fmt.Sprint(c[claim])} },
			"negative":     func(c map[string]any) { c[claim] = -1 },
			"a fraction":   func(c map[string]any) { c[claim] = 1.5 },
			"out of range": func(c map[string]any) { c[claim] = 1e30 },
		} {
			if claim == "scope" && (what == "missing" || what == "empty") {
				continue // a token need not have scopes
			}
			changed := maps.Clone(soundClaims())
			change(changed)
			if _, err := i.Validate(sign(t, r, oauth2.TokenType, changed), r, now); err == nil {
				t.Errorf("a token whose %s is %s is accepted", claim, what)
			}
		}
	}
	for name, c := range map[string]struct {
		messageType string
		payload     any
	}{
		"another type":            {"JWT", soundClaims()},
		"an ID token's type":      {"", soundClaims()},
		"the type in capitals":    {"AT+JWT", soundClaims()},
		"another issuer":          {oauth2.TokenType, with("iss", "https://hallpass.test.evil.example")},
		"another subject":         {oauth2.TokenType, with("sub", "shop.other")},
		"a lifetime over an hour": {oauth2.TokenType, with("exp", now.Add(time.Hour+time.Second).Unix())},
		"a scope that is none":    {oauth2.TokenType, with("scope", "a  b")},
		"a claim twice":           {oauth2.TokenType, strings.Replace(encode(t, soundClaims()), "{", `{"sub":"shop.reporting",`, 1)},
		"an array for claims":     {oauth2.TokenType, "[]"},
		"nothing for claims":      {oauth2.TokenType, "null"},
	} {
		if _, err := i.Validate(sign(t, r, c.messageType, c.payload), r, now); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := i.Validate(sign(t, ring(t), oauth2.TokenType, soundClaims()), r, now); oauth2.ReasonOf(err) != oauth2.ReasonTokenKeyUnknown {
		t.Errorf("a token of another ring: %v", err)
	}
}

func with(claim string, value any) map[string]any {
	c := soundClaims()
	c[claim] = value
	return c
}

func encode(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestDeniedRecords(t *testing.T) {
	client, owner := shop(), &oauth2.Owner{UID: "uid-1"}
	suspended := *shop()
	suspended.Suspended = true
	nameless := *shop()
	nameless.UID = ""
	for name, c := range map[string]struct {
		record oauth2.Record
		want   oauth2.Reason
	}{
		"registered and owned":                 {oauth2.Record{Client: client, Owner: owner}, ""},
		"nothing known":                        {oauth2.Record{}, oauth2.ReasonUnknownClient},
		"no registration":                      {oauth2.Record{Owner: owner}, oauth2.ReasonUnknownClient},
		"an owner that nobody knows":           {oauth2.Record{Client: client}, oauth2.ReasonOwnerUnknown},
		"an owner of another UID":              {oauth2.Record{Client: client, Owner: &oauth2.Owner{UID: "uid-2"}}, oauth2.ReasonOwnerGone},
		"an owner that is gone":                {oauth2.Record{Client: client, Owner: &oauth2.Owner{}}, oauth2.ReasonOwnerGone},
		"neither has a UID":                    {oauth2.Record{Client: &nameless, Owner: &oauth2.Owner{}}, oauth2.ReasonOwnerGone},
		"an owner on its way out":              {oauth2.Record{Client: client, Owner: &oauth2.Owner{UID: "uid-1", Terminating: true}}, oauth2.ReasonOwnerGone},
		"suspended by the registration":        {oauth2.Record{Client: &suspended, Owner: owner}, oauth2.ReasonSuspended},
		"suspended by the owner, manager down": {oauth2.Record{Client: client, Owner: &oauth2.Owner{UID: "uid-1", Suspended: true}}, oauth2.ReasonSuspended},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.record.Denial(); got != c.want {
				t.Errorf("denial %q, want %q", got, c.want)
			}
			claims := oauth2.Claims{ClientUID: "uid-1"}
			if got := c.record.TokenDenial(&claims); got != c.want {
				t.Errorf("denial of a token %q, want %q", got, c.want)
			}
		})
	}
	if got := (oauth2.Record{Client: client, Owner: owner}).TokenDenial(&oauth2.Claims{ClientUID: "uid-0"}); got != oauth2.ReasonTokenClientChanged {
		t.Errorf("a token of the client's predecessor: %q", got)
	}
}

func TestAuthentication(t *testing.T) {
	secret := func() oauth2.Credential {
		made, err := oauth2.NewClientSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	current, overlapping, pending, expired, stranger := secret(), secret(), secret(), secret(), secret()
	client := shop()
	verifier := func(c oauth2.Credential, expiresAt time.Time, pending bool) oauth2.Verifier {
		return oauth2.Verifier{ID: c.ID, Digest: oauth2.DigestSecret(client.UID, c.Value), ExpiresAt: expiresAt, Pending: pending}
	}
	client.Credentials.Verifiers = []oauth2.Verifier{
		verifier(current, time.Time{}, false), verifier(overlapping, now.Add(time.Second), false),
		verifier(pending, now.Add(time.Minute), true), verifier(expired, now, false),
		{ID: "copied", Digest: oauth2.DigestSecret("another-uid", stranger.Value)},
	}
	active := oauth2.Record{Client: client, Owner: &oauth2.Owner{UID: client.UID}}
	suspended := oauth2.Record{Client: client, Owner: &oauth2.Owner{UID: client.UID, Suspended: true}}
	gone := oauth2.Record{Client: client, Owner: &oauth2.Owner{}}
	emptied := oauth2.Record{Client: new(client.Emptied()), Owner: &oauth2.Owner{UID: client.UID, Terminating: true}}
	for name, c := range map[string]struct {
		record oauth2.Record
		secret oauth2.Secret
		want   string
		reason oauth2.Reason
	}{
		"the current secret":               {active, current.Value, current.ID, ""},
		"one in its overlap":               {active, overlapping.Value, overlapping.ID, ""},
		"one that is pending":              {active, pending.Value, pending.ID, ""},
		"one whose time is over":           {active, expired.Value, "", oauth2.ReasonWrongSecret},
		"another client's verifier":        {active, stranger.Value, "", oauth2.ReasonWrongSecret},
		"no secret":                        {active, oauth2.Secret{}, "", oauth2.ReasonWrongSecret},
		"an unknown client":                {oauth2.Record{}, current.Value, "", oauth2.ReasonUnknownClient},
		"a suspended client":               {suspended, current.Value, "", oauth2.ReasonSuspended},
		"a suspended client, wrong secret": {suspended, stranger.Value, "", oauth2.ReasonWrongSecret},
		"a deleted client":                 {gone, current.Value, "", oauth2.ReasonOwnerGone},
		"a client that is terminating":     {emptied, current.Value, "", oauth2.ReasonOwnerGone},
	} {
		t.Run(name, func(t *testing.T) {
			presented := oauth2.Presented{Method: oauth2.ClientSecretBasic, Readings: []oauth2.Reading{{ClientID: client.ID, Secret: c.secret}}}
			record, verifier, err := oauth2.Authenticate(presented, func(string) oauth2.Record { return c.record }, now)
			if verifier.ID != c.want || oauth2.ReasonOf(err) != c.reason || (record.Client != nil) != (c.want != "") {
				t.Errorf("verifier %q (%v), want %q because of %q", verifier.ID, err, c.want, c.reason)
			}
			if err != nil && err.Error() != "invalid_client: client authentication failed; status.refusals of the OAuth2Client has the reason, if such a client exists" {
				t.Errorf("the caller can tell why: %v", err)
			}
		})
	}
	t.Run("the second reading may be the right one", func(t *testing.T) {
		presented := oauth2.Presented{Readings: []oauth2.Reading{{ClientID: "decoded", Secret: current.Value}, {ClientID: client.ID, Secret: current.Value}}}
		_, _, err := oauth2.Authenticate(presented, func(id string) oauth2.Record {
			if id == client.ID {
				return active
			}
			return oauth2.Record{}
		}, now)
		if err != nil {
			t.Error(err)
		}
	})
}

func TestWhoMayIntrospect(t *testing.T) {
	claims := oauth2.Claims{ClientID: "shop.reporting", ClientUID: "uid-1", Audience: "https://hallpass.test/ns/shop"}
	for name, c := range map[string]struct {
		caller oauth2.Client
		want   bool
	}{
		"the token's client":                        {oauth2.Client{ID: "shop.reporting", UID: "uid-1", Namespace: "shop"}, true},
		"a neighbour":                               {oauth2.Client{ID: "shop.api", UID: "uid-9", Namespace: "shop"}, true},
		"a stranger":                                {oauth2.Client{ID: "other.api", UID: "uid-9", Namespace: "other"}, false},
		"a namespace that begins alike":             {oauth2.Client{ID: "sho.api", UID: "uid-9", Namespace: "sho"}, false},
		"a namesake of another UID, from elsewhere": {oauth2.Client{ID: "shop.reporting", UID: "uid-2", Namespace: "other"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := issuer(t).MayIntrospect(&c.caller, &claims, declared{}); got != c.want {
				t.Errorf("%t, want %t", got, c.want)
			}
		})
	}
}

func FuzzValidate(f *testing.F) {
	r := ring(f)
	token := issue(f, r).Value.Reveal()
	f.Add(token)
	f.Add(token[:len(token)-1])
	f.Add("..")
	f.Add(sign(f, r, "JWT", soundClaims()))
	i := issuer(f)
	f.Fuzz(func(t *testing.T, s string) {
		claims, err := i.Validate(s, r, now)
		if err == nil && (claims.Issuer != i.String() || claims.ClientUID == "" || claims.ID == "") {
			t.Errorf("accepted without an identity: %+v", claims)
		}
	})
}

func BenchmarkIssue(b *testing.B) {
	r := ring(b)
	key, err := r.SigningKey(now)
	if err != nil {
		b.Fatal(err)
	}
	i, client := issuer(b), shop()
	b.ReportAllocs()
	for b.Loop() {
		grant, err := i.Grant(client, oauth2.TokenRequest{}, declared{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := i.Issue(client, grant, key, now, rand.Reader); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	r := ring(b)
	token, i := issue(b, r).Value.Reveal(), issuer(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Validate(token, r, now); err != nil {
			b.Fatal(err)
		}
	}
}
