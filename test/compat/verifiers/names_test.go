// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verifiers_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/memory"
)

// spelled are reserved names as their standards spell them; oauth2.ReservedClaims has all of them
// folded.
var spelled = strings.Fields(`client_id client_uid token_uid token_type sub_type grant_id may_act given_name family_name middle_name preferred_username
	email_verified phone_number phone_number_verified updated_at auth_time at_hash c_hash s_hash sub_jwk authorization_details token_introspection
	sub_id realm_access resource_access allowed-origins session_state unique_name user_id kubernetes.io`)

// authorizations are names that a policy may allow; each other spelling is reserved.
var authorizations = oauth2.AuthorizationClaims

// stolen are the values by which a claim would pass for the victim's.
func stolen(name, issuer string) string {
	folded := strings.Map(func(r rune) rune {
		if strings.ContainsRune("_-.:", r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
	switch folded {
	case "aud":
		return issuer + "/ns/victim"
	case "scope", "scopes", "scp":
		return "read admin"
	case "sub", "clientid":
		return "victim.frontend"
	case "clientuid":
		return "uid-of-victim.frontend"
	default:
		return "forged"
	}
}

// twinsOf are the name itself and what readers that fold case or separators take for it.
func twinsOf(name string) []string {
	title := strings.ToUpper(name[:1]) + name[1:]
	var camel strings.Builder
	for i, part := range strings.Split(name, "_") {
		if i > 0 && part != "" {
			part = strings.ToUpper(part[:1]) + part[1:]
		}
		camel.WriteString(part)
	}
	return []string{
		name, title, strings.ToUpper(name), camel.String(), strings.ReplaceAll(name, "_", "-"), strings.ReplaceAll(name, "_", "."),
		name[:1] + "_" + name[1:], name + "-", name + ".", name + ":", name[:1] + "/" + name[1:],
	}
}

// forgedClaims are claims of every reserved name and its twins, in lists that an earlier manager
// accepted in one client.
func forgedClaims(issuer string) [][]oauth2.Claim {
	names := slices.Concat(oauth2.ReservedClaims, spelled)
	var twins []string
	for _, name := range names {
		twins = append(twins, twinsOf(name)...)
	}
	for _, name := range authorizations {
		twins = append(twins, twinsOf(name)[1:]...)
	}
	twins = slices.DeleteFunc(twins, func(name string) bool { return slices.Contains(authorizations, name) })
	slices.Sort(twins)
	var lists [][]oauth2.Claim
	for chunk := range slices.Chunk(slices.Compact(twins), oauth2.MaxCustomClaims-1) {
		var claims []oauth2.Claim
		for _, name := range chunk {
			claims = append(claims, oauth2.Claim{Name: name, Value: stolen(name, issuer)})
		}
		lists = append(lists, claims)
	}
	return lists
}

// stored is what a manager of before stored of a client with these claims, as this build reads it.
func stored(t *testing.T, id string, claims []oauth2.Claim) []oauth2.Claim {
	t.Helper()
	type member struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	var members []member
	for _, claim := range claims {
		members = append(members, member{claim.Name, claim.Value})
	}
	list, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	document := fmt.Sprintf(`{"version":1,"clientID":%q,"owner":{"namespace":"shop","name":"a","uid":"u"},"state":"active",`+
		`"tokenLifetimeSeconds":3600,"claims":%s}`, id, list)
	read, err := registration.Decode(map[string][]byte{"client.json": []byte(document)})
	if err != nil {
		t.Fatal(err)
	}
	return read.Client.Tokens.Claims
}

// TestNoReaderTakesAClaimForOneOfOurs registers clients as a manager of before did, with claims of
// every reserved name and its twins by case and separators, and reads their tokens and the
// introspection of these with readers that fold names and with the documented verifiers.
func TestNoReaderTakesAClaimForOneOfOurs(t *testing.T) {
	listener := memory.Listen(t)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	issuer := "https://localhost:" + port
	hallpass := memory.New(t, issuer)
	caFile := hallpass.Serve(listener)
	var tokens, passed, refused []string
	kept := oauth2.Claim{Name: "https://example.com/team", Value: "blue"}
	for i, forged := range forgedClaims(issuer) {
		caller := hallpass.Register(fmt.Sprintf("caller-%d", i), "read", "write")
		hallpass.SetClaims(caller, stored(t, caller, append(forged, kept)))
		token := hallpass.Token(caller)
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		answer := hallpass.Introspect(caller, token)
		for what, document := range map[string][]byte{"the token": payload, "introspection": answer} {
			readsTheSame(t, what, document)
			for _, claim := range forged {
				if strings.Contains(string(document), fmt.Sprintf("%q:%q", claim.Name, claim.Value)) {
					t.Errorf("%s says %s: %s", what, claim.Name, document)
				}
			}
			if !strings.Contains(string(document), `"https://example.com/team":"blue"`) {
				t.Errorf("%s lacks the claim that is allowed: %s", what, document)
			}
		}
		var registered struct {
			jwt.RegisteredClaims
			ClientID string `json:"client_id"`
			Scope    string `json:"scope"`
		}
		if _, _, err := jwt.NewParser().ParseUnverified(token, &registered); err != nil || registered.Subject != caller ||
			registered.ClientID != caller || registered.Scope != "read write" || !slices.Equal(registered.Audience, []string{hallpass.Audience}) {
			t.Errorf("golang-jwt reads %+v, %v", registered, err)
		}
		tokens = append(tokens, token)
		passed = append(passed, "passed "+caller+" "+memory.UID(caller))
		refused = append(refused, "refused")
	}
	if len(tokens) < 50 {
		t.Fatalf("only %d tokens; does this test still know the names?", len(tokens))
	}
	input := strings.Join(tokens, "\n") + "\n"
	for name, command := range verifiers() {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(passed, verify(t, command(t), issuer, hallpass.Audience, caFile, input)); diff != "" {
				t.Errorf("at the audience of the tokens (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(refused, verify(t, command(t), issuer, issuer+"/ns/victim", caFile, input)); diff != "" {
				t.Errorf("at the victim's audience (-want +got):\n%s", diff)
			}
		})
	}
}

// readsTheSame reads an object twice: by exact names, and with encoding/json into a struct, which
// folds them. Both must see the same.
func readsTheSame(t *testing.T, what string, document []byte) {
	t.Helper()
	var exact map[string]any
	if err := json.Unmarshal(document, &exact); err != nil {
		t.Fatalf("%s is no object: %v: %s", what, err, document)
	}
	names := slices.Concat(oauth2.ReservedClaims, spelled, authorizations)
	slices.Sort(names)
	names = slices.Compact(names)
	var fields []reflect.StructField
	for i, name := range names {
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("Field%d", i), Type: reflect.TypeFor[any](), Tag: reflect.StructTag(fmt.Sprintf("json:%q", name)),
		})
	}
	folded := reflect.New(reflect.StructOf(fields))
	if err := json.Unmarshal(document, folded.Interface()); err != nil {
		t.Fatalf("%s cannot be read: %v: %s", what, err, document)
	}
	for i, name := range names {
		if diff := cmp.Diff(exact[name], folded.Elem().Field(i).Interface()); diff != "" {
			t.Errorf("%s of %s, read by its exact name and by a reader that folds (-exact +folded):\n%s", name, what, diff)
		}
	}
}
