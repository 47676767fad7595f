// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// Bounds of the custom claims of a client.
const (
	MaxCustomClaims     = 16
	maxCustomClaimsSize = 2 << 10
)

// Claim is a custom claim: a string, or a list of strings where Values are there.
type Claim struct {
	Name   string
	Value  string
	Values []string
}

// ReservedClaims are the names that no client chooses: those of the token itself, and the registered ones that readers of
// tokens take for a statement of the issuer about identity or rights.
var ReservedClaims = []string{ //nolint:gochecknoglobals // a constant list
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "client_uid", "token_uid",
	"scope", "active", "token_type", "username", "name", "given_name", "family_name", "middle_name", "nickname",
	"preferred_username", "profile", "picture", "website", "email", "email_verified", "gender", "birthdate", "zoneinfo",
	"locale", "phone_number", "phone_number_verified", "address", "updated_at", "azp", "nonce", "auth_time", "at_hash",
	"c_hash", "s_hash", "acr", "amr", "sub_jwk", "cnf", "events", "toe", "txn",
	"sid", "act", "may_act", "roles", "groups", "entitlements", "authorization_details", "token_introspection", "vc",
	"vp", "sub_id", "jwk",
}

// CheckCustomClaims refuses claims that could be taken for the issuer's own, and more than a token can carry.
func CheckCustomClaims(claims []Claim) error {
	if len(claims) > MaxCustomClaims {
		return fmt.Errorf("%d custom claims, at most %d", len(claims), MaxCustomClaims)
	}
	size := 0
	for i, claim := range claims {
		named := func(other Claim) bool { return other.Name == claim.Name }
		if claim.Name == "" || slices.Contains(ReservedClaims, claim.Name) || slices.ContainsFunc(claims[:i], named) {
			return fmt.Errorf("the claim %q is empty, reserved or there twice", claim.Name)
		}
		if (claim.Value == "") == (len(claim.Values) == 0) {
			return fmt.Errorf("the claim %q needs either a value or values", claim.Name)
		}
		text := claim.Name + claim.Value + strings.Join(claim.Values, "")
		for j := range len(text) {
			if c := text[j]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
				return fmt.Errorf("the claim %q is not printable ASCII without quotation marks and backslashes", claim.Name)
			}
		}
		size += len(text)
	}
	if size > maxCustomClaimsSize {
		return errors.New("the custom claims have more than 2048 bytes")
	}
	return nil
}

// appendClaims adds custom claims to a JSON object that has members, none of theirs among them.
func appendClaims(object []byte, claims []Claim) ([]byte, error) {
	if len(claims) == 0 {
		return object, nil
	}
	members := make(map[string]any, len(claims))
	for _, claim := range claims {
		members[claim.Name] = claim.Value
		if len(claim.Values) > 0 {
			members[claim.Name] = claim.Values
		}
	}
	var custom bytes.Buffer
	encoder := json.NewEncoder(&custom)
	encoder.SetEscapeHTML(false) // an escape takes six bytes, and tokens travel in headers
	if err := encoder.Encode(members); err != nil {
		return nil, fmt.Errorf("encode custom claims: %w", err)
	}
	return slices.Concat(object[:len(object)-1], []byte{','}, bytes.TrimSpace(custom.Bytes())[1:]), nil
}

// customClaims reads the claims of a token that are not reserved, in the order of their names. What is neither a string nor a
// list of strings no client can have asked for; it is left out.
func customClaims(object jws.Object) []Claim {
	var claims []Claim
	for name, raw := range object {
		if slices.Contains(ReservedClaims, name) {
			continue
		}
		claim := Claim{Name: name}
		if json.Unmarshal([]byte(raw), &claim.Value) != nil && json.Unmarshal([]byte(raw), &claim.Values) != nil {
			continue
		}
		claims = append(claims, claim)
	}
	slices.SortFunc(claims, func(a, b Claim) int { return strings.Compare(a.Name, b.Name) })
	return claims
}
