// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

func TestCustomClaimsAreChecked(t *testing.T) {
	many := make([]oauth2.Claim, oauth2.MaxCustomClaims+1)
	for i := range many {
		many[i] = oauth2.Claim{Name: string(rune('a' + i)), Value: "v"}
	}
	for name, claims := range map[string][]oauth2.Claim{
		"a claim of the token itself":             {{Name: "iss", Value: "https://evil.test"}},
		"one that differs by case":                {{Name: "Aud", Value: "https://victim.test"}},
		"one that differs by a separator":         {{Name: "client-id", Value: "victim.frontend"}},
		"one with a separator more":               {{Name: "s_u.b", Value: "victim.frontend"}},
		"one that only ends in a colon":           {{Name: "sub:", Value: "victim.frontend"}},
		"one that a later release writes":         {{Name: "sub_type", Value: "user"}},
		"one that Keycloak's adapters act on":     {{Name: "realm_access", Value: "admin"}},
		"one that .NET acts on":                   {{Name: "http://schemas.microsoft.com/ws/2008/06/identity/claims/role", Value: "admin"}},
		"one that Cognito acts on":                {{Name: "cognito:groups", Values: []string{"admin"}}},
		"a name below ours":                       {{Name: "https://hallpass.dev/scope", Value: "admin"}},
		"a spelling of roles that is not roles":   {{Name: "Roles", Value: "admin"}},
		"a name twice":                            {{Name: "a", Value: "1"}, {Name: "a", Value: "2"}},
		"no name":                                 {{Value: "v"}},
		"nothing to say":                          {{Name: "a"}},
		"a value and values":                      {{Name: "a", Value: "1", Values: []string{"2"}}},
		"a quotation mark":                        {{Name: "a", Value: "\""}},
		"a line break in a name":                  {{Name: "a\n", Value: "v"}},
		"a name that begins with a separator":     {{Name: "_aud", Value: "v"}},
		"letters beyond ASCII":                    {{Name: "a", Value: "ä"}},
		"a letter that encoding/json takes for s": {{Name: "\u017fub", Value: "v"}},
		"a letter that encoding/json takes for k": {{Name: "to\u212aen_type", Value: "v"}},
		"more claims than a token takes":          many,
		"more bytes than a token takes":           {{Name: "a", Value: strings.Repeat("v", 2048)}},
	} {
		if oauth2.CheckCustomClaims(claims) == nil {
			t.Errorf("%s: accepted", name)
		}
		sound, dropped := oauth2.SoundClaims(claims)
		if len(dropped) == 0 || len(sound)+len(dropped) != len(claims) || oauth2.CheckCustomClaims(sound) != nil {
			t.Errorf("%s: of %d claims %d are kept and %q dropped", name, len(claims), len(sound), dropped)
		}
	}
	for _, good := range []oauth2.Claim{
		{Name: "a", Value: strings.Repeat("<", 2047)},
		{Name: "https://example.com/roles", Values: []string{"a", "b"}},
		{Name: "https://example.com/hallpass.dev/x", Value: "a path is its owner's"},
		{Name: "https://nothallpass.dev/x", Value: "v"},
		{Name: "roles", Values: []string{"shop-admin"}},
		{Name: "tier", Value: "gold"},
	} {
		if err := oauth2.CheckCustomClaims([]oauth2.Claim{good}); err != nil {
			t.Error(err)
		}
	}
}

// The CRD refuses at apply what the token server would not sign: the marks of the API's types have
// the same lists.
func TestTheCRDReservesTheSameNames(t *testing.T) {
	source, err := os.ReadFile("../../api/v1alpha1/oauth2client_claim_types.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := func(pattern string) []string {
		rule := regexp.MustCompile(pattern).FindSubmatch(source)
		if rule == nil {
			t.Fatalf("the API has no rule %s", pattern)
		}
		var names []string
		for _, name := range regexp.MustCompile(`'(\w+)'`).FindAllSubmatch(rule[1], -1) {
			names = append(names, string(name[1]))
		}
		return names
	}
	if diff := cmp.Diff(oauth2.ReservedClaims, listed(` in \[('iss'.+?)\]\)"`)); diff != "" {
		t.Errorf("reserved names in the code and in the CRD (-code +CRD):\n%s", diff)
	}
	if diff := cmp.Diff(oauth2.AuthorizationClaims, listed(`rule="self in \[(.+?)\]`)); diff != "" {
		t.Errorf("names that a policy allows in the code and in the CRD (-code +CRD):\n%s", diff)
	}
	if !strings.Contains(string(source), "self.lowerAscii().matches('"+oauth2.ReservedClaimAuthorities+"')") {
		t.Error("the CRD has another expression of reserved authorities than the code")
	}
}

// The names that were reserved at first stay reserved, but for those that a policy may allow now.
func TestNamesThatWereReservedStayReserved(t *testing.T) {
	first := strings.Fields(`iss sub aud exp nbf iat jti client_id client_uid token_uid scope active token_type username name given_name family_name
		middle_name nickname preferred_username profile picture website email email_verified gender birthdate zoneinfo locale phone_number
		phone_number_verified address updated_at azp nonce auth_time at_hash c_hash s_hash acr amr sub_jwk cnf events toe txn sid act may_act
		authorization_details token_introspection vc vp sub_id jwk`)
	further := strings.Fields("sub_type grant_id scp role realm_access resource_access upn oid tid azp kubernetes.io act ancestors")
	allowed := oauth2.Ceilings{DefaultClaims: []oauth2.ClaimRule{}}
	for _, name := range slices.Concat(first, further) {
		allowed.DefaultClaims = append(allowed.DefaultClaims, oauth2.ClaimRule{Name: name, Values: []string{"*"}})
		if got := issuer(t).DecideClaim(oauth2.Claim{Name: name, Value: "v"}, allowed); got != oauth2.ClaimReserved {
			t.Errorf("%s: %s whatever a policy says, want %s", name, got, oauth2.ClaimReserved)
		}
	}
}

func TestWhoDecidesAboutAClaim(t *testing.T) {
	rules := func(list ...oauth2.ClaimRule) oauth2.Ceilings {
		return oauth2.Ceilings{Claims: [][]oauth2.ClaimRule{list}}
	}
	roles := rules(
		oauth2.ClaimRule{Name: "roles", Values: []string{"shop-*", "viewer"}}, oauth2.ClaimRule{Name: "tier", Values: []string{"*"}},
		oauth2.ClaimRule{Name: "labels", Values: []string{"*,*"}},
		oauth2.ClaimRule{Name: "groups", Values: []string{"*", "*:nodes", "s*", "system:authenticated", "shop *"}},
	)
	const granted, notAllowed, reserved = oauth2.Granted, oauth2.ClaimNotAllowed, oauth2.ClaimReserved
	one := func(name string, values ...string) oauth2.Claim { return oauth2.Claim{Name: name, Values: values} }
	for name, c := range map[string]struct {
		claim    oauth2.Claim
		ceilings oauth2.Ceilings
		want     oauth2.Decision
	}{
		"a name with a slash needs no policy":                    {claim: one("example.com/tier", "gold"), want: granted},
		"a name with a colon needs no policy":                    {claim: one("urn:example:tier", "gold"), want: granted},
		"a plain name needs one":                                 {claim: one("tier", "gold"), want: notAllowed},
		"so do roles":                                            {claim: one("roles", "shop-admin"), want: notAllowed},
		"a policy allows a name and its values":                  {claim: one("roles", "shop-admin", "viewer"), ceilings: roles, want: granted},
		"a single value too":                                     {claim: oauth2.Claim{Name: "roles", Value: "viewer"}, ceilings: roles, want: granted},
		"one value that no pattern fits leaves out the claim":    {claim: one("roles", "shop-admin", "admin"), ceilings: roles, want: notAllowed},
		"a pattern fits the whole value":                         {claim: one("roles", "my-shop-admin"), ceilings: roles, want: notAllowed},
		"values are compared by case":                            {claim: one("roles", "Viewer"), ceilings: roles, want: notAllowed},
		"another name is not allowed":                            {claim: one("level", "1"), ceilings: roles, want: notAllowed},
		"another spelling of a plain name is another name":       {claim: one("Tier", "gold"), ceilings: roles, want: notAllowed},
		"another spelling of roles is refused":                   {claim: one("ro_les", "viewer"), ceilings: rules(oauth2.ClaimRule{Name: "ro_les", Values: []string{"*"}}), want: reserved},
		"a star fits no value of Kubernetes":                     {claim: one("groups", "system:masters"), ceilings: roles, want: notAllowed},
		"nor one in capitals":                                    {claim: one("groups", "System:Masters"), ceilings: roles, want: notAllowed},
		"nor one behind a space":                                 {claim: one("groups", " system:masters"), ceilings: roles, want: notAllowed},
		"nor the second of two in one text":                      {claim: one("groups", "shop-a system:masters"), ceilings: roles, want: notAllowed},
		"nor one behind a comma":                                 {claim: one("groups", "shop-a,system:masters"), ceilings: roles, want: notAllowed},
		"nor one that a star of several covers":                  {claim: one("labels", "shop-a,system:masters"), ceilings: roles, want: notAllowed},
		"nor one in brackets":                                    {claim: one("groups", "[system:masters]"), ceilings: roles, want: notAllowed},
		"nor one behind another sign":                            {claim: one("groups", "a=system:masters"), ceilings: roles, want: notAllowed},
		"a comma of the pattern fits a comma":                    {claim: one("labels", "shop-a,shop-b"), ceilings: roles, want: granted},
		"a star fits no bracket":                                 {claim: one("labels", "shop-a,[b]"), ceilings: roles, want: notAllowed},
		"a space of the pattern fits a space":                    {claim: one("groups", "shop admins"), ceilings: roles, want: granted},
		"a star fits no further space":                           {claim: one("groups", "shop admins system:masters"), ceilings: roles, want: notAllowed},
		"what is listed by its full text is allowed":             {claim: one("groups", "system:authenticated"), ceilings: roles, want: granted},
		"two policies have to agree":                             {claim: one("roles", "shop-admin"), ceilings: roles.And(rules(oauth2.ClaimRule{Name: "roles", Values: []string{"viewer"}})), want: notAllowed},
		"what both allow is allowed":                             {claim: one("roles", "viewer"), ceilings: roles.And(rules(oauth2.ClaimRule{Name: "roles", Values: []string{"viewer"}})), want: granted},
		"a policy that does not speak of claims changes nothing": {claim: one("roles", "viewer"), ceilings: roles.And(oauth2.Ceilings{}), want: granted},
		"the installation's rules hold without a policy":         {claim: one("tier", "gold"), ceilings: oauth2.Ceilings{DefaultClaims: roles.Claims[0]}, want: granted},
		"a policy takes their place":                             {claim: one("tier", "gold"), ceilings: oauth2.Ceilings{DefaultClaims: roles.Claims[0]}.And(rules(oauth2.ClaimRule{Name: "level", Values: []string{"*"}})), want: notAllowed},
		"a URL of the issuer is refused":                         {claim: one("https://hallpass.test/tier", "gold"), want: reserved},
		"without its scheme":                                     {claim: one("hallpass.test/tier", "gold"), want: reserved},
		"in capitals, with a port and a dot":                     {claim: one("HTTP://Hallpass.Test.:8443/tier", "gold"), want: reserved},
		"a URL of another host is not":                           {claim: one("https://hallpass.test.example.com/tier", "gold"), want: granted},
		"legacy claims of Kubernetes are refused":                {claim: one("kubernetes.io/serviceaccount/namespace", "kube-system"), want: reserved},
		"claims of .NET are refused":                             {claim: one("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", "admin"), want: reserved},
	} {
		t.Run(name, func(t *testing.T) {
			if got := issuer(t).DecideClaim(c.claim, c.ceilings); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestRulesAboutClaimsAreChecked(t *testing.T) {
	for name, rule := range map[string]oauth2.ClaimRule{
		"a reserved name":                 {Name: "Sub", Values: []string{"*"}},
		"a name that needs no rule":       {Name: "https://example.com/tier", Values: []string{"*"}},
		"no name":                         {Values: []string{"*"}},
		"no values":                       {Name: "tier"},
		"an empty value":                  {Name: "tier", Values: []string{""}},
		"a quotation mark":                {Name: "tier", Values: []string{`"`}},
		"a star for groups of Kubernetes": {Name: "groups", Values: []string{"system:*"}},
		"the same in capitals":            {Name: "groups", Values: []string{" SYSTEM:m*"}},
	} {
		if oauth2.CheckClaimRule(rule) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := oauth2.CheckClaimRule(oauth2.ClaimRule{Name: "groups", Values: []string{"system:masters", "shop-*"}}); err != nil {
		t.Error(err)
	}
}

// payloadNames are the members of a token with all that Hallpass writes.
func payloadNames(t *testing.T) []string {
	t.Helper()
	r := ring(t)
	key, err := r.SigningKey(now)
	must(t, err)
	grant := oauth2.Grant{Audience: "https://hallpass.test/ns/shop", Scopes: []string{"read"}, Lifetime: time.Hour, TokenUID: "uid-of-token"}
	token, err := issuer(t).Issue(shop(), grant, key, now, rand.Reader)
	must(t, err)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token.Value.Reveal(), ".")[1])
	must(t, err)
	object, err := strictjson.ParseObject(string(payload))
	must(t, err)
	return slices.Sorted(maps.Keys(object))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestATokenWithATwinOfOurNamesIsRefused signs tokens as a server did that knew only exact names.
func TestATokenWithATwinOfOurNamesIsRefused(t *testing.T) {
	i, r := issuer(t), ring(t)
	key, err := r.SigningKey(now)
	must(t, err)
	good := fmt.Sprintf(`"iss":"https://hallpass.test","sub":"shop.reporting","aud":"https://hallpass.test/ns/shop","client_id":"shop.reporting",`+
		`"client_uid":"uid-1","jti":"MDEyMzQ1Njc4OWFiY2RlZg","iat":%d,"exp":%d`, now.Unix(), now.Unix()+60)
	read := func(member string) error {
		token, err := key.Sign(oauth2.TokenType, []byte("{"+good+","+member+"}"))
		must(t, err)
		_, err = i.Validate(token, r, now)
		return err
	}
	names := append(payloadNames(t), "act", "ancestors") // of an exchanged token
	if len(names) != 12 {
		t.Fatalf("a token has the members %q; does this test still know them all?", names)
	}
	for _, name := range names {
		for _, twin := range twins(name) {
			if err := read(fmt.Sprintf("%q:%q", twin, "victim.frontend")); oauth2.ReasonOf(err) != oauth2.ReasonTokenClaimReserved {
				t.Errorf("a token with %q: %v, want the reason %s", twin, err, oauth2.ReasonTokenClaimReserved)
			}
		}
	}
	// What is no twin of a name that Hallpass writes does not end a token that was issued.
	for _, member := range []string{`"tier":"gold"`, `"Roles":["a"]`, `"Email":"a@example.com"`, `"scp":"admin"`, `"actor":{"sub":"a"}`, `"subscription":"a"`, `"sub:":"a"`} {
		if err := read(member); err != nil {
			t.Errorf("a token with %s: %v", member, err)
		}
	}
}

// TestATokenCarriesNoClaimBelowItsIssuer issues for a client whose registration does not know the
// issuer.
func TestATokenCarriesNoClaimBelowItsIssuer(t *testing.T) {
	client := shop()
	kept := oauth2.Claim{Name: "https://example.com/tier", Value: "gold"}
	client.Tokens.Claims = []oauth2.Claim{{Name: "https://hallpass.test/admin", Value: "yes"}, kept}
	r := ring(t)
	key, err := r.SigningKey(now)
	must(t, err)
	token, err := issuer(t).Issue(client, oauth2.Grant{Audience: "https://hallpass.test/ns/shop", Lifetime: time.Hour}, key, now, rand.Reader)
	must(t, err)
	read, err := issuer(t).Validate(token.Value.Reveal(), r, now)
	must(t, err)
	if diff := cmp.Diff([]oauth2.Claim{kept}, read.Custom); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

// twins are names that some reader takes for the name, which they are not.
func twins(name string) []string {
	title := strings.ToUpper(name[:1]) + name[1:]
	found := []string{title, strings.ToUpper(name), name[:1] + "_" + name[1:], name[:1] + "." + name[1:], name + "-"}
	for _, pair := range [][2]string{{"s", "\u017f"}, {"k", "\u212a"}, {"_", ""}, {"_", "-"}, {"_", "."}} {
		if strings.Contains(name, pair[0]) {
			found = append(found, strings.Replace(name, pair[0], pair[1], 1))
		}
	}
	return found
}

// FuzzNamesThatFold compares with encoding/json, which is how readers in Go fold: no claim that is
// accepted is read into a member that Hallpass writes.
func FuzzNamesThatFold(f *testing.F) {
	for _, name := range []string{"Aud", "\u017fcope", "to\u212aen_type", "CLIENT_ID", "tier", "https://example.com/sub"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if oauth2.CheckCustomClaims([]oauth2.Claim{{Name: name, Value: "forged"}}) != nil {
			return
		}
		document, err := json.Marshal(map[string]string{name: "forged"})
		must(t, err)
		var read struct {
			Issuer    string `json:"iss"`
			Subject   string `json:"sub"`
			Audience  string `json:"aud"`
			ClientID  string `json:"client_id"`
			ClientUID string `json:"client_uid"`
			Scope     string `json:"scope"`
			ID        string `json:"jti"`
			IssuedAt  string `json:"iat"`
			ExpiresAt string `json:"exp"`
			TokenUID  string `json:"token_uid"`
			Active    string `json:"active"`
			TokenType string `json:"token_type"`
			SubType   string `json:"sub_type"`
			GrantID   string `json:"grant_id"`
		}
		zero := read
		if err := json.Unmarshal(document, &read); err != nil || read != zero {
			t.Errorf("a claim named %q is read as %+v, %v", name, read, err)
		}
	})
}
