// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// printer is a record with one opaque token, and the token.
func printer(t testing.TB) (oauth2.Secret, oauth2.MintedRecord) {
	t.Helper()
	grant := oauth2.Grant{Audience: "https://hallpass.test/ns/shop", Scopes: []string{"read", "write"}, Lifetime: 24 * time.Hour, TokenUID: "t"}
	value, token, err := oauth2.IssueOpaque(grant, mintedAt, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m := &oauth2.Minted{
		UID: "t", Namespace: "shop", Name: "printer", ClientID: "shop.legacy", ClientUID: "c", ClientName: "legacy", Opaque: true,
		Tokens: []oauth2.MintedToken{token},
	}
	return value, oauth2.MintedRecord{Minted: m, Owner: &oauth2.MintedOwner{UID: "t", ClientName: "legacy"}}
}

var mintedAt = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func issuerForMinted(t testing.TB) oauth2.Issuer {
	t.Helper()
	issuer, err := oauth2.ParseIssuer("https://hallpass.test", false)
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

func TestAnOpaqueTokenSaysWhatItsRecordSays(t *testing.T) {
	value, record := printer(t)
	parsed, err := oauth2.ParseOpaqueToken(value)
	if err != nil || parsed.ID != oauth2.OpaqueID("t") {
		t.Fatalf("the token names %q, its record is under %q: %v", parsed.ID, oauth2.OpaqueID("t"), err)
	}
	got, err := issuerForMinted(t).ReadOpaque(value, record, mintedAt.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := &oauth2.Claims{
		Issuer: "https://hallpass.test", Subject: "shop.legacy", ClientID: "shop.legacy", ClientUID: "c", Audience: "https://hallpass.test/ns/shop",
		Scopes: []string{"read", "write"}, ID: record.Minted.Tokens[0].ID, IssuedAt: mintedAt, ExpiresAt: mintedAt.Add(24 * time.Hour), TokenUID: "t",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got):\n" + diff)
	}
	if _, err := oauth2.ParseClientSecret(value); err == nil {
		t.Error("an opaque token passes for a client secret")
	}
}

func TestAnOpaqueTokenThatIsNotOnRecordIsRefused(t *testing.T) {
	value, record := printer(t)
	other, _ := printer(t)
	ofAnother, _, err := oauth2.IssueOpaque(oauth2.Grant{Lifetime: time.Hour, TokenUID: "other"}, mintedAt, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	withoutOpaque := *record.Minted
	withoutOpaque.Opaque = false
	copied := *record.Minted
	copied.UID = "thief"
	emptied := oauth2.MintedRecord{Minted: new(*record.Minted), Owner: new(*record.Owner)}
	emptied.Minted.Tokens, emptied.Owner.Terminating = nil, true
	if emptied.Unknown("any") {
		t.Error("the API server is asked about a token whose record is emptied")
	}
	for name, c := range map[string]struct {
		token  oauth2.Secret
		record oauth2.MintedRecord
		at     time.Time
		want   oauth2.Reason
	}{
		"without a record":                        {value, oauth2.MintedRecord{}, mintedAt, oauth2.ReasonTokenUnknown},
		"another token of the same OAuth2Token":   {other, record, mintedAt, oauth2.ReasonTokenReplaced},
		"a token of another OAuth2Token":          {ofAnother, record, mintedAt, oauth2.ReasonTokenReplaced},
		"a record of JWTs":                        {value, oauth2.MintedRecord{Minted: &withoutOpaque, Owner: record.Owner}, mintedAt, oauth2.ReasonTokenUnknown},
		"a hash that was copied to another owner": {value, oauth2.MintedRecord{Minted: &copied, Owner: record.Owner}, mintedAt, oauth2.ReasonTokenReplaced},
		"the last instant of its life":            {value, record, mintedAt.Add(24*time.Hour - time.Nanosecond), ""},
		"its end":                                 {value, record, mintedAt.Add(24 * time.Hour), oauth2.ReasonTokenExpired},
		"long before it was made":                 {value, record, mintedAt.Add(-time.Hour), oauth2.ReasonTokenNotYetValid},
		"an OAuth2Token that is terminating":      {value, emptied, mintedAt, oauth2.ReasonTokenOwnerGone},
		"nothing":                                 {oauth2.Secret{}, record, mintedAt, oauth2.ReasonTokenReplaced},
	} {
		if _, err := issuerForMinted(t).ReadOpaque(c.token, c.record, c.at); oauth2.ReasonOf(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// scopesOf are the scopes of claims, of which there are none after a denial.
func scopesOf(claims *oauth2.Claims) []string {
	if claims == nil {
		return nil
	}
	return claims.Scopes
}

func TestWhatTheOAuth2TokenSaysNowCanOnlyDeny(t *testing.T) {
	value, record := printer(t)
	claims, err := issuerForMinted(t).ReadOpaque(value, record, mintedAt)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(r *oauth2.MintedRecord, claims *oauth2.Claims)
		scopes string
		want   oauth2.Reason
	}{
		"as it was made":             {func(*oauth2.MintedRecord, *oauth2.Claims) {}, "read write", ""},
		"the same scopes and others": {func(r *oauth2.MintedRecord, _ *oauth2.Claims) { r.Owner.Scopes = []string{"fly", "write", "read"} }, "read write", ""},
		"fewer scopes":               {func(r *oauth2.MintedRecord, _ *oauth2.Claims) { r.Owner.Scopes = []string{"write"} }, "write", ""},
		"other scopes":               {func(r *oauth2.MintedRecord, _ *oauth2.Claims) { r.Owner.Scopes = []string{"fly"} }, "", oauth2.ReasonScopeNotGranted},
		"no record":                  {func(r *oauth2.MintedRecord, _ *oauth2.Claims) { r.Minted = nil }, "", oauth2.ReasonTokenUnknown},
		"an object that is unknown":  {func(r *oauth2.MintedRecord, _ *oauth2.Claims) { r.Owner = nil }, "", oauth2.ReasonTokenOwnerUnknown},
		"an object that is gone":     {func(r *oauth2.MintedRecord, _ *oauth2.Claims) { r.Owner = &oauth2.MintedOwner{} }, "", oauth2.ReasonTokenOwnerGone},
		"an object made again":       {func(r *oauth2.MintedRecord, _ *oauth2.Claims) { r.Owner.UID = "t2" }, "", oauth2.ReasonTokenOwnerGone},
		"an object on its way out":   {func(r *oauth2.MintedRecord, _ *oauth2.Claims) { r.Owner.Terminating = true }, "", oauth2.ReasonTokenOwnerGone},
		"another client":             {func(r *oauth2.MintedRecord, _ *oauth2.Claims) { r.Owner.ClientName = "other" }, "", oauth2.ReasonTokenClientChanged},
		"a client made again":        {func(r *oauth2.MintedRecord, _ *oauth2.Claims) { r.Minted.ClientUID = "c2" }, "", oauth2.ReasonTokenClientChanged},
		"a token of another object":  {func(_ *oauth2.MintedRecord, claims *oauth2.Claims) { claims.TokenUID = "u" }, "", oauth2.ReasonTokenOwnerGone},
		"a token that was replaced":  {func(r *oauth2.MintedRecord, _ *oauth2.Claims) { r.Minted.Tokens = nil }, "", oauth2.ReasonTokenReplaced},
	} {
		minted, owner, said := *record.Minted, *record.Owner, *claims
		changed := oauth2.MintedRecord{Minted: &minted, Owner: &owner}
		c.change(&changed, &said)
		got, denial := changed.Restrict(&said)
		if scopes := strings.Join(scopesOf(got), " "); denial != c.want || scopes != c.scopes {
			t.Errorf("%s: %q with %q, want %q with %q", name, denial, scopes, c.want, c.scopes)
		}
	}
	if diff := cmp.Diff([]string{"read", "write"}, record.Minted.Tokens[0].Scopes); diff != "" {
		t.Error("the record was changed:\n" + diff)
	}
}

func FuzzParseOpaqueToken(f *testing.F) {
	value, record := printer(f)
	for _, seed := range []string{value.Reveal(), "", "hpt_", "hp_" + value.Reveal()[4:], value.Reveal() + "x", strings.ToUpper(value.Reveal())} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := oauth2.ParseOpaqueToken(oauth2.NewSecret(s))
		if err == nil && (len(s) != len(value.Reveal()) || !strings.HasPrefix(s, oauth2.OpaqueTokenPrefix+parsed.ID+"_")) {
			t.Errorf("%q has the id %q", s, parsed.ID)
		}
		if _, err := issuerForMinted(t).ReadOpaque(oauth2.NewSecret(s), record, mintedAt); (err == nil) != (s == value.Reveal()) {
			t.Errorf("%q: %v", s, err)
		}
	})
}
