// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// provider is an identity provider, which signs with RS256.
type provider struct {
	key  *rsa.PrivateKey
	keys jws.PackedKeys
}

func newProvider(t testing.TB) provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, jws.MinRSABits)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := jws.PackKeys(jws.PublicKey{ID: "its-key", Algorithm: jws.RS256, Key: key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	return provider{key, keys}
}

// sign returns a JWT with a header.
func (p provider) sign(t testing.TB, header, payload string) string {
	t.Helper()
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

const (
	usualHeader = `{"alg":"RS256","typ":"JWT","kid":"its-key"}`
	loginNonce  = "3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

// filled replaces $iat, $exp, $old and $nonce in the claims of a table.
func filled(payload string) string {
	return strings.NewReplacer(
		"$iat", fmt.Sprint(now.Unix()-2), "$exp", fmt.Sprint(now.Unix()+3598), "$old", fmt.Sprint(now.Unix()-7200), "$nonce", loginNonce,
	).Replace(payload)
}

// ID tokens of providers, with the names and the forms of their claims. Values are made up, and
// times are those of the test. The sources were read on 2026-11-30.
func TestIDTokensOfProviders(t *testing.T) {
	const (
		// Microsoft, "ID token claims reference" of learn.microsoft.com. Only v1.0 tokens
		// have x5t.
		entra = `{"aud":"6731de76-14a6-49ae-97bc-6eba6914391e","iss":"https://login.microsoftonline.com/3338040d-6c67-4c5b-b112-36a304b66dad/v2.0",` +
			`"iat":$iat,"nbf":$iat,"exp":$exp,"email":"abeli@example.com","groups":["0ab1b56c-7d72-4a8f-9d3f-9c4e0d2c8f11","9f3b2d54-0a33-4f35-9e5c-0d5f0c6fd0aa"],` +
			`"name":"Abe Lincoln","nonce":"$nonce","oid":"00000000-0000-0000-66f3-3332eca7ea81","preferred_username":"abeli@example.com",` +
			`"rh":"0.AX0A.","sub":"AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ","tid":"3338040d-6c67-4c5b-b112-36a304b66dad","uti":"fqiBqXLPj0eQa82S-IYFAA","ver":"2.0"}`
		// Instead of the groups of a person who has more than 200: the section on the
		// overage claim of the same documentation.
		entraOverage = `"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.windows.net/3338040d/users/00000000/getMemberObjects"}}`
		// Okta: a token in the group rabbitmq-users of 2023-06-30, with nonce and groups,
		// which it did not ask for. The header has no typ.
		okta = `{"sub":"00uid4BxXw6I6TV4m0g3","name":"John Doe","email":"john.doe@example.com","ver":1,"iss":"https://acme.okta.com","aud":"0oaulob4BFVa4zQvt0g3",` +
			`"iat":$iat,"exp":$exp,"jti":"ID.radCQMOQUmyvcTBmmIL0J6BaS60apUEiC7-vI7pOmkw","amr":["pwd"],"idp":"00o1xyz","nonce":"$nonce",` +
			`"preferred_username":"john.doe@example.com","auth_time":$old,"at_hash":"fPlsvVszI29LU2UhDyJ9vg","groups":["Everyone","staff"]}`
		// Google: dev.fyicenter.com/1001053 of 2022-02-04, which has accounts.google.com as
		// iss and email_verified as text, and the type TokenPayload of google-auth-library.
		google = `{"iss":"https://accounts.google.com","azp":"1234987819200.apps.googleusercontent.com","aud":"1234987819200.apps.googleusercontent.com",` +
			`"sub":"10769150350006150715113082367","at_hash":"HK6E_P6Dh8Y93mRNtsDB1Q","hd":"example.com","email":"jsmith@example.com","email_verified":true,` +
			`"iat":$iat,"exp":$exp,"nonce":"$nonce"}`
		// Keycloak: tokens of 2025-03-11 and 2025-05-28 (Keycloak 26) in two public
		// READMEs. The groups of its mapper have their path by default.
		keycloak = `{"exp":$exp,"iat":$iat,"auth_time":$old,"jti":"f47e28a8-1106-43fa-bc55-29c69735d005","iss":"https://keycloak.example.com/realms/acme","aud":"hallpass",` +
			`"sub":"139d80d5-0cf9-4edb-a2ab-8aed2c121acd","typ":"ID","azp":"hallpass","nonce":"$nonce","sid":"a2fbba19-3ec2-45c4-866b-0179502d3a76",` +
			`"at_hash":"SVG6Dl6cqfTy6IxzBy1urw","acr":"1","email_verified":true,"name":"John Doe","groups":["/staff"],"preferred_username":"john","email":"john@example.com"}`
		// AD FS: a token of 2022-09-08 in a comment of qwc-services/qwc-oidc-auth. A claim
		// of groups is text if there is one group.
		adfs = `{"aud":"c8699d44-facf-4329-b2c2-ff1f8c385beb","iss":"https://sts.example.com/adfs","iat":$iat,"nbf":$iat,"exp":$exp,"auth_time":$old,"nonce":"$nonce",` +
			`"sub":"E8uMvTw4EzVtNJjAGGkn/HLxB5lsxPvUz9N8v2ONw6w=","upn":"john.doe@example.com","unique_name":"DOMAIN\\USER","group":"staff",` +
			`"pwd_url":"https://sts.example.com/adfs/portal/updatepassword/","pwd_exp":"1733602","sid":"S-1-5-21-111884681-232138482-1136263860-54956",` +
			`"apptype":"Confidential","appid":"c8699d44-facf-4329-b2c2-ff1f8c385beb","authmethod":"http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/windows",` +
			`"ver":"1.0","scp":"profile email openid"}`
	)
	atEntra := oauth2.Login{ClientID: "6731de76-14a6-49ae-97bc-6eba6914391e", SubjectClaim: "oid"}
	withGroup := func(l oauth2.Login, claim string, groups ...string) oauth2.Login {
		l.Groups, l.GroupsClaim = groups, claim
		return l
	}
	withClaim := func(l oauth2.Login, claims ...oauth2.RequiredClaim) oauth2.Login { l.Claims = claims; return l }
	atOkta, atGoogle := oauth2.Login{ClientID: "0oaulob4BFVa4zQvt0g3"}, oauth2.Login{ClientID: "1234987819200.apps.googleusercontent.com"}
	atKeycloak, atADFS := oauth2.Login{ClientID: "hallpass"}, oauth2.Login{ClientID: "c8699d44-facf-4329-b2c2-ff1f8c385beb"}
	const entraIssuer = "https://login.microsoftonline.com/3338040d-6c67-4c5b-b112-36a304b66dad/v2.0"
	p := newProvider(t)
	manyGroups := make([]string, 200)
	for i := range manyGroups {
		manyGroups[i] = fmt.Sprintf(`"%08d-7d72-4a8f-9d3f-9c4e0d2c8f11"`, i)
	}
	for name, c := range map[string]struct {
		payload, header, issuer string
		login                   oauth2.Login
		subject                 string
		authenticated           int64 // seconds before now
		want                    oauth2.Reason
	}{
		"Entra, by oid": {
			payload: entra, issuer: entraIssuer, login: withGroup(atEntra, "", "9f3b2d54-0a33-4f35-9e5c-0d5f0c6fd0aa"),
			subject: "00000000-0000-0000-66f3-3332eca7ea81", authenticated: 2,
		},
		"Entra, by sub, which is another one for each application": {
			payload: entra, issuer: entraIssuer, login: oauth2.Login{ClientID: atEntra.ClientID}, subject: "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", authenticated: 2,
		},
		"Entra v1.0, with x5t": {
			payload: strings.Replace(entra, "login.microsoftonline.com/3338040d-6c67-4c5b-b112-36a304b66dad/v2.0", "sts.windows.net/3338040d-6c67-4c5b-b112-36a304b66dad/", 1),
			header:  `{"typ":"JWT","alg":"RS256","x5t":"its-key","kid":"its-key"}`, issuer: "https://sts.windows.net/3338040d-6c67-4c5b-b112-36a304b66dad/",
			login: atEntra, subject: "00000000-0000-0000-66f3-3332eca7ea81", authenticated: 2,
		},
		"Entra, of another tenant": {
			payload: strings.Replace(entra, "3338040d-6c67-4c5b-b112-36a304b66dad/v2.0", "9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", 1), issuer: entraIssuer,
			login: atEntra, want: oauth2.ReasonWrongIDToken,
		},
		"Entra, a person of other groups": {
			payload: entra, issuer: entraIssuer, login: withGroup(atEntra, "", "11111111-0a33-4f35-9e5c-0d5f0c6fd0aa"), want: oauth2.ReasonPersonNotAllowed,
		},
		"Entra, a person of 200 groups": {
			payload: strings.Replace(entra, `"0ab1b56c-7d72-4a8f-9d3f-9c4e0d2c8f11"`, strings.Join(manyGroups, ","), 1), issuer: entraIssuer,
			login: withGroup(atEntra, "", "00000199-7d72-4a8f-9d3f-9c4e0d2c8f11"), subject: "00000000-0000-0000-66f3-3332eca7ea81", authenticated: 2,
		},
		"Entra, a person of more groups than it sends": {
			payload: overage(entra, entraOverage), issuer: entraIssuer, login: withGroup(atEntra, "", "9f3b2d54-0a33-4f35-9e5c-0d5f0c6fd0aa"), want: oauth2.ReasonGroupsNotInToken,
		},
		"Entra, groups that are left out another way": {
			payload: overage(entra, `"hasgroups":true`), issuer: entraIssuer, login: withGroup(atEntra, "", "9f3b2d54-0a33-4f35-9e5c-0d5f0c6fd0aa"), want: oauth2.ReasonGroupsNotInToken,
		},
		"Entra, groups that are left out and not asked for": {
			payload: overage(entra, entraOverage), issuer: entraIssuer, login: atEntra, subject: "00000000-0000-0000-66f3-3332eca7ea81", authenticated: 2,
		},
		"Entra, an address as subject": {
			payload: entra, issuer: entraIssuer, login: oauth2.Login{ClientID: atEntra.ClientID, SubjectClaim: "email"}, want: oauth2.ReasonWrongSubject,
		},
		"Okta, without typ": {
			payload: okta, header: `{"kid":"its-key","alg":"RS256"}`, issuer: "https://acme.okta.com", login: withGroup(atOkta, "groups", "staff"),
			subject: "00uid4BxXw6I6TV4m0g3", authenticated: 7200,
		},
		"Okta, an access token of its own": {
			payload: strings.Replace(okta, `"aud":"0oaulob4BFVa4zQvt0g3"`, `"aud":"https://acme.okta.com"`, 1), issuer: "https://acme.okta.com", login: atOkta, want: oauth2.ReasonIDTokenAudience,
		},
		"Google, of a domain": {
			payload: google, issuer: "https://accounts.google.com", login: withClaim(atGoogle, claim("hd", "example.com"), claim("email_verified", "true")),
			subject: "10769150350006150715113082367", authenticated: 2,
		},
		"Google, a private account where a domain is required": {
			payload: strings.Replace(google, `"hd":"example.com",`, "", 1), issuer: "https://accounts.google.com", login: withClaim(atGoogle, claim("hd", "example.com")), want: oauth2.ReasonPersonNotAllowed,
		},
		"Google, of another client of the same project": {
			payload: strings.Replace(google, `"azp":"1234987819200.`, `"azp":"1234987819200-android.`, 1), issuer: "https://accounts.google.com", login: atGoogle, want: oauth2.ReasonIDTokenAudience,
		},
		"Google, with the issuer of before": {
			payload: strings.Replace(google, "https://accounts.google.com", "accounts.google.com", 1), issuer: "https://accounts.google.com", login: atGoogle, want: oauth2.ReasonWrongIDToken,
		},
		"Keycloak": {
			payload: keycloak, issuer: "https://keycloak.example.com/realms/acme", login: withGroup(atKeycloak, "groups", "/staff"),
			subject: "139d80d5-0cf9-4edb-a2ab-8aed2c121acd", authenticated: 7200,
		},
		"Keycloak, with a second audience of a mapper": {
			payload: strings.Replace(keycloak, `"aud":"hallpass"`, `"aud":["hallpass","orders"]`, 1), issuer: "https://keycloak.example.com/realms/acme", login: atKeycloak,
			subject: "139d80d5-0cf9-4edb-a2ab-8aed2c121acd", authenticated: 7200,
		},
		"Keycloak before 8, with nbf 0": {
			payload: strings.Replace(keycloak, `"iat":$iat`, `"nbf":0,"iat":$iat`, 1), issuer: "https://keycloak.example.com/realms/acme", login: atKeycloak,
			subject: "139d80d5-0cf9-4edb-a2ab-8aed2c121acd", authenticated: 7200,
		},
		"Keycloak, groups without the path": {
			payload: keycloak, issuer: "https://keycloak.example.com/realms/acme", login: withGroup(atKeycloak, "groups", "staff"), want: oauth2.ReasonPersonNotAllowed,
		},
		"AD FS, one group, which is no list": {
			payload: adfs, header: `{"typ":"JWT","alg":"RS256","x5t":"its-key","kid":"its-key"}`, issuer: "https://sts.example.com/adfs", login: withGroup(atADFS, "group", "staff"),
			subject: "E8uMvTw4EzVtNJjAGGkn/HLxB5lsxPvUz9N8v2ONw6w=", authenticated: 7200,
		},
		"AD FS, auth_time as text, as in its access tokens": {
			payload: strings.Replace(adfs, `"auth_time":$old`, `"auth_time":"2026-03-01T10:00:00.566Z"`, 1), issuer: "https://sts.example.com/adfs", login: atADFS,
			subject: "E8uMvTw4EzVtNJjAGGkn/HLxB5lsxPvUz9N8v2ONw6w=", authenticated: 2,
		},
		"AD FS, an access token, which has another issuer": {
			payload: strings.Replace(adfs, "https://sts.example.com/adfs", "http://sts.example.com/adfs/services/trust", 1), issuer: "https://sts.example.com/adfs", login: atADFS, want: oauth2.ReasonWrongIDToken,
		},
	} {
		t.Run(name, func(t *testing.T) {
			header := c.header
			if header == "" {
				header = usualHeader
			}
			issuer := &oauth2.TrustedIssuer{
				Name: "corp", Issuer: c.issuer, Uses: oauth2.UsePerson, Keys: oauth2.IssuerKeys{Set: p.keys}, Login: &c.login, Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}},
			}
			got, err := issuer.LogIn(p.sign(t, header, filled(c.payload)), loginNonce, "shop", now)
			if reason := oauth2.ReasonOf(err); reason != c.want || (err == nil) != (c.want == "") {
				t.Fatalf("refused because of %q: %v", reason, err)
			}
			want := oauth2.LoggedIn{}
			if c.want == "" {
				want = oauth2.LoggedIn{Person: oauth2.Person{Issuer: "corp", Subject: c.subject}, AuthTime: time.Unix(now.Unix()-c.authenticated, 0).UTC()}
			}
			if got != want {
				t.Errorf("logged in %+v, want %+v", got, want)
			}
		})
	}
}

// overage replaces the groups of a token of Microsoft Entra ID.
func overage(entra, instead string) string {
	before, rest, _ := strings.Cut(entra, `"groups":[`)
	_, after, _ := strings.Cut(rest, "]")
	return before + instead + after
}

// Each change of a good ID token, of its header or of its issuer is refused, with its reason.
func TestAttacksByIDTokens(t *testing.T) {
	p := newProvider(t)
	good := map[string]any{
		"iss": "https://idp.example", "sub": "1234", "aud": "hallpass", "nonce": loginNonce, "iat": now.Unix(), "exp": now.Unix() + 300, "groups": []string{"staff"}, "hd": "example.com",
	}
	type world struct {
		claims  map[string]any
		header  string
		payload string // instead of claims
		issuer  oauth2.TrustedIssuer
		nonce   string
		space   string
		token   func(string) string
	}
	set := func(name string, value any) func(*world) {
		return func(w *world) {
			w.claims[name] = value
			if value == nil {
				delete(w.claims, name)
			}
		}
	}
	header := func(header string) func(*world) { return func(w *world) { w.header = header } }
	for name, c := range map[string]struct {
		change func(*world)
		want   oauth2.Reason
	}{
		"none":                                       {func(*world) {}, ""},
		"two audiences and azp":                      {func(w *world) { w.claims["aud"], w.claims["azp"] = []string{"other", "hallpass"}, "hallpass" }, ""},
		"a clock that is 59 seconds ahead":           {func(w *world) { w.claims["iat"] = now.Unix() + 59 }, ""},
		"a login that took ten minutes":              {set("iat", now.Unix()-600), ""},
		"a token of a month, as some can be made":    {set("exp", now.Unix()+2592000), ""},
		"a typ in lower case":                        {header(`{"alg":"RS256","typ":"jwt","kid":"its-key"}`), ""},
		"aud of another client":                      {set("aud", "other"), oauth2.ReasonIDTokenAudience},
		"aud in another case":                        {set("aud", "Hallpass"), oauth2.ReasonIDTokenAudience},
		"no aud":                                     {set("aud", nil), oauth2.ReasonIDTokenAudience},
		"no audience in aud":                         {set("aud", []string{}), oauth2.ReasonIDTokenAudience},
		"aud that has no text":                       {set("aud", []any{"hallpass", 1}), oauth2.ReasonIDTokenAudience},
		"two audiences without azp":                  {set("aud", []string{"hallpass", "other"}), oauth2.ReasonIDTokenAudience},
		"the same audience twice without azp":        {set("aud", []string{"hallpass", "hallpass"}), oauth2.ReasonIDTokenAudience},
		"two audiences and azp of another client":    {func(w *world) { w.claims["aud"], w.claims["azp"] = []string{"hallpass", "other"}, "other" }, oauth2.ReasonIDTokenAudience},
		"azp of another client":                      {set("azp", "other"), oauth2.ReasonIDTokenAudience},
		"azp that is empty":                          {set("azp", ""), oauth2.ReasonIDTokenAudience},
		"azp that is no text":                        {set("azp", true), oauth2.ReasonIDTokenAudience},
		"an issuer without client_id and aud empty":  {func(w *world) { w.issuer.Login = &oauth2.Login{}; w.claims["aud"] = "" }, oauth2.ReasonIDTokenAudience},
		"the nonce of another ticket":                {func(w *world) { w.nonce = "another" }, oauth2.ReasonIDTokenNonce},
		"no nonce":                                   {set("nonce", nil), oauth2.ReasonIDTokenNonce},
		"no nonce for a login without one":           {func(w *world) { w.nonce = ""; delete(w.claims, "nonce") }, oauth2.ReasonIDTokenNonce},
		"an empty nonce for a login without one":     {func(w *world) { w.nonce, w.claims["nonce"] = "", "" }, oauth2.ReasonIDTokenNonce},
		"a list of nonces":                           {set("nonce", []string{loginNonce}), oauth2.ReasonIDTokenNonce},
		"iss of another issuer":                      {set("iss", "https://evil.example"), oauth2.ReasonWrongIDToken},
		"iss with a slash at the end":                {set("iss", "https://idp.example/"), oauth2.ReasonWrongIDToken},
		"no iss":                                     {set("iss", nil), oauth2.ReasonWrongIDToken},
		"iat of eleven minutes ago":                  {set("iat", now.Unix()-661), oauth2.ReasonIDTokenExpired},
		"iat in the future":                          {set("iat", now.Unix()+61), oauth2.ReasonIDTokenExpired},
		"nbf in the future":                          {set("nbf", now.Unix()+61), oauth2.ReasonIDTokenExpired},
		"no iat":                                     {set("iat", nil), oauth2.ReasonWrongIDToken},
		"iat as text":                                {set("iat", "1795435200"), oauth2.ReasonWrongIDToken},
		"expired":                                    {func(w *world) { w.claims["iat"], w.claims["exp"] = now.Unix()-300, now.Unix()-60 }, oauth2.ReasonIDTokenExpired},
		"no exp":                                     {set("exp", nil), oauth2.ReasonWrongIDToken},
		"no sub":                                     {set("sub", nil), oauth2.ReasonWrongSubject},
		"sub that is a number":                       {set("sub", 1234), oauth2.ReasonWrongSubject},
		"sub that is empty":                          {set("sub", ""), oauth2.ReasonWrongSubject},
		"sub with a space":                           {set("sub", "john doe"), oauth2.ReasonWrongSubject},
		"sub with a space at the end":                {set("sub", "1234 "), oauth2.ReasonWrongSubject},
		"sub with a letter that looks like another":  {set("sub", "p\u0430ul"), oauth2.ReasonWrongSubject},
		"sub of 256 characters":                      {set("sub", strings.Repeat("s", 256)), oauth2.ReasonWrongSubject},
		"no sub beside the claim of the subject":     {func(w *world) { w.issuer.Login.SubjectClaim = "hd"; delete(w.claims, "sub") }, oauth2.ReasonWrongSubject},
		"no claim of the subject":                    {func(w *world) { w.issuer.Login.SubjectClaim = "oid" }, oauth2.ReasonWrongSubject},
		"email as the claim of the subject":          {func(w *world) { w.issuer.Login.SubjectClaim, w.claims["email"] = "email", "a@example.com" }, oauth2.ReasonWrongSubject},
		"a claim that the issuer requires":           {set("hd", "evil.example"), oauth2.ReasonPersonNotAllowed},
		"a claim that the issuer requires, as list":  {set("hd", []string{"example.com"}), oauth2.ReasonPersonNotAllowed},
		"other groups":                               {set("groups", []string{"Staff", "/staff", "staff "}), oauth2.ReasonPersonNotAllowed},
		"no groups":                                  {set("groups", nil), oauth2.ReasonPersonNotAllowed},
		"groups that are no list":                    {set("groups", map[string]bool{"staff": true}), oauth2.ReasonPersonNotAllowed},
		"groups in a text":                           {set("groups", "staff,other"), oauth2.ReasonPersonNotAllowed},
		"a namespace that may not use the issuer":    {func(w *world) { w.space = "other" }, oauth2.ReasonNotAllowedByIssuer},
		"a prefix that the person does not have":     {func(w *world) { w.issuer.Delegations[0].SubjectPrefixes = []string{"employee:"} }, oauth2.ReasonNotAllowedByIssuer},
		"a claim that the namespace requires":        {func(w *world) { w.issuer.Delegations[0].Claims = []oauth2.RequiredClaim{claim("hd", "shop.example")} }, oauth2.ReasonNotAllowedByIssuer},
		"a tenant where no entry names one":          {set("tenant", "acme"), oauth2.ReasonNotAllowedByIssuer},
		"an issuer that names clients alone":         {func(w *world) { w.issuer.Uses = oauth2.UseClient }, oauth2.ReasonNotAllowedByIssuer},
		"an issuer without login":                    {func(w *world) { w.issuer.Login = nil }, oauth2.ReasonLoginNotAvailable},
		"an issuer that is suspended":                {func(w *world) { w.issuer.Suspended = true }, oauth2.ReasonIssuerSuspended},
		"keys that are stale":                        {func(w *world) { w.issuer.Keys.Until = now }, oauth2.ReasonKeysStale},
		"a key that is not published":                {header(`{"alg":"RS256","typ":"JWT","kid":"other"}`), oauth2.ReasonIDTokenKeyUnknown},
		"an algorithm that the issuer does not list": {func(w *world) { w.issuer.Algorithms = []jws.Algorithm{jws.ES256} }, oauth2.ReasonIDTokenKeyUnknown},
		"the algorithm of another key":               {header(`{"alg":"ES256","typ":"JWT","kid":"its-key"}`), oauth2.ReasonIDTokenKeyUnknown},
		"alg none":                                   {header(`{"alg":"none","typ":"JWT","kid":"its-key"}`), oauth2.ReasonWrongIDToken},
		"alg none without a signature": {func(w *world) {
			w.header = `{"alg":"none"}`
			w.token = func(s string) string { return s[:strings.LastIndexByte(s, '.')+1] }
		}, oauth2.ReasonWrongIDToken},
		"alg HS256 with the public key": {func(w *world) {
			w.header = `{"alg":"HS256","typ":"JWT","kid":"its-key"}`
			w.token = func(s string) string {
				input := s[:strings.LastIndexByte(s, '.')]
				mac := hmac.New(sha256.New, p.key.N.Bytes())
				mac.Write([]byte(input))
				return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
			}
		}, oauth2.ReasonWrongIDToken},
		"a key in the header":           {header(`{"alg":"RS256","typ":"JWT","kid":"its-key","jwk":{"kty":"RSA"}}`), oauth2.ReasonWrongIDToken},
		"an access token of RFC 9068":   {header(`{"alg":"RS256","typ":"at+jwt","kid":"its-key"}`), oauth2.ReasonWrongIDToken},
		"an identity assertion":         {header(`{"alg":"RS256","typ":"oauth-id-jag+jwt","kid":"its-key"}`), oauth2.ReasonWrongIDToken},
		"a logout token":                {header(`{"alg":"RS256","typ":"logout+jwt","kid":"its-key"}`), oauth2.ReasonWrongIDToken},
		"a changed signature":           {func(w *world) { w.token = func(s string) string { return s[:len(s)-8] + "AAAAAAAA" } }, oauth2.ReasonWrongIDToken},
		"a claim twice":                 {func(w *world) { w.payload = `{"sub":"1234","sub":"5678"}` }, oauth2.ReasonWrongIDToken},
		"no object":                     {func(w *world) { w.payload = `["sub"]` }, oauth2.ReasonWrongIDToken},
		"no JWT":                        {func(w *world) { w.token = func(string) string { return "opaque" } }, oauth2.ReasonWrongIDToken},
		"a token that is encrypted":     {func(w *world) { w.token = func(s string) string { return s + ".a.b" } }, oauth2.ReasonWrongIDToken},
		"a token of more than 32 KiB":   {set("picture", strings.Repeat("x", 25<<10)), oauth2.ReasonWrongIDToken},
		"a token that is almost as big": {set("picture", strings.Repeat("x", 23<<10)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := world{claims: maps.Clone(good), header: usualHeader, nonce: loginNonce, space: "shop", token: func(s string) string { return s }}
			w.issuer = oauth2.TrustedIssuer{
				Name: "corp", Issuer: "https://idp.example", Uses: oauth2.UsePerson, Keys: oauth2.IssuerKeys{Set: p.keys}, Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}},
				Login: &oauth2.Login{ClientID: "hallpass", Claims: []oauth2.RequiredClaim{claim("hd", "example.com")}, Groups: []string{"staff"}},
			}
			c.change(&w)
			payload, err := json.Marshal(w.claims)
			if err != nil {
				t.Fatal(err)
			}
			if w.payload != "" {
				payload = []byte(w.payload)
			}
			got, err := w.issuer.LogIn(w.token(p.sign(t, w.header, string(payload))), w.nonce, w.space, now)
			if reason := oauth2.ReasonOf(err); reason != c.want || (err == nil) != (c.want == "") {
				t.Errorf("refused because of %q, want %q: %v", reason, c.want, err)
			}
			if (got != oauth2.LoggedIn{}) != (c.want == "") {
				t.Errorf("logged in %+v", got)
			}
		})
	}
}

// FuzzLogIn compares every ID token that logs a person in, whatever its payload, with the rules
// read by encoding/json.
func FuzzLogIn(f *testing.F) {
	payload := fmt.Sprintf(`{"iss":"https://idp.example","sub":"1234","aud":"hallpass","azp":"hallpass","nonce":%q,"iat":%d,"exp":%d,"groups":["staff"]}`, loginNonce, now.Unix(), now.Unix()+300)
	f.Add(payload)
	for _, change := range [][2]string{
		{`"aud":"hallpass"`, `"aud":["hallpass","other"]`},
		{`"azp":"hallpass",`, ``},
		{`["staff"]`, `"staff"`},
		{`["staff"]`, `["staff",null]`},
		{`"1234"`, `"12\u00334"`},
		{`"sub"`, `"Sub"`},
		{`"sub":"1234"`, `"sub":"1234","auth_time":12`},
	} {
		f.Add(strings.Replace(payload, change[0], change[1], 1))
	}
	signer, err := jws.NewSigner(jws.EdDSA, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	keys, err := jws.PackKeys(signer.Public())
	if err != nil {
		f.Fatal(err)
	}
	issuer := &oauth2.TrustedIssuer{
		Name: "corp", Issuer: "https://idp.example", Uses: oauth2.UsePerson, Keys: oauth2.IssuerKeys{Set: keys}, Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}},
		Login: &oauth2.Login{ClientID: "hallpass", Groups: []string{"staff"}},
	}
	f.Fuzz(func(t *testing.T, payload string) {
		if payload == "" || len(payload) > 4096 {
			return
		}
		token, err := signer.Sign("JWT", []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		got, err := issuer.LogIn(token, loginNonce, "shop", now)
		if err != nil {
			return
		}
		var claims map[string]any
		if err := json.Unmarshal([]byte(payload), &claims); err != nil {
			t.Fatalf("%s is no JSON: %v", payload, err)
		}
		list := func(claim any) []any {
			if list, ok := claim.([]any); ok {
				return list
			}
			return []any{claim}
		}
		has := func(list []any, value string) bool {
			for _, v := range list {
				if v == value {
					return true
				}
			}
			return false
		}
		aud := list(claims["aud"])
		if !has(aud, "hallpass") || len(aud) > 1 && claims["azp"] != "hallpass" || claims["nonce"] != loginNonce || claims["iss"] != issuer.Issuer ||
			!has(list(claims["groups"]), "staff") || claims["sub"] != got.Person.Subject {
			t.Errorf("%s logs in %+v", payload, got)
		}
	})
}

// A person has one sub, whether they log in or a client sends an identity assertion.
func TestLoginAndIdentityAssertionHaveOneSubject(t *testing.T) {
	p := newProvider(t)
	issuer := &oauth2.TrustedIssuer{
		Name: "corp", Issuer: "https://idp.example", Uses: oauth2.UsePerson, Keys: oauth2.IssuerKeys{Set: p.keys}, Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}},
		Login: &oauth2.Login{ClientID: "hallpass", SubjectClaim: "oid"},
	}
	claims := fmt.Sprintf(`{"iss":"https://idp.example","sub":"pairwise","oid":"9f3b","aud":"https://hallpass.test","client_id":"shop.web","jti":"1","iat":%d,"exp":%d}`, now.Unix(), now.Unix()+60)
	form, err := oauth2.ParseForm("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=" + p.sign(t, `{"alg":"RS256","typ":"oauth-id-jag+jwt","kid":"its-key"}`, claims))
	if err != nil {
		t.Fatal(err)
	}
	request, err := oauth2.ParsePersonRequest(form)
	if err != nil {
		t.Fatal(err)
	}
	client := &oauth2.Client{ID: "shop.web", Namespace: "shop"}
	identity, err := oauth2.Federation{Issuer: "https://hallpass.test"}.Identify(request.Assertion, issuer, client, now)
	if want := (oauth2.Person{Issuer: "corp", Subject: "9f3b"}); err != nil || identity.Person != want {
		t.Errorf("an identity assertion is for %+v, want %+v: %v", identity.Person, want, err)
	}
}
