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

	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// Bounds of the custom claims of a client.
const (
	MaxCustomClaims     = 16
	maxCustomClaimsSize = 2 << 10
)

// Claim is a custom claim: a string, or a list of strings if Values is set.
type Claim struct {
	Name   string
	Value  string
	Values []string
}

// CheckCustomClaims refuses claims that could be taken for the issuer's own, and too many.
func CheckCustomClaims(claims []Claim) error {
	var sum claimSum
	for _, claim := range claims {
		if err := sum.add(claim); err != nil {
			return err
		}
	}
	return nil
}

// SoundClaims returns the claims that CheckCustomClaims accepts together, and the names of the
// others: after a rule became stricter, the rest of a registration stays valid.
func SoundClaims(claims []Claim) (sound []Claim, dropped []string) {
	var sum claimSum
	for _, claim := range claims {
		if sum.add(claim) != nil {
			dropped = append(dropped, claim.Name)
			continue
		}
		sound = append(sound, claim)
	}
	return sound, dropped
}

// claimSum is the part of the bounds that is used up.
type claimSum struct {
	names []string
	size  int
}

// add counts a claim, or refuses it.
func (s *claimSum) add(claim Claim) error {
	switch {
	case len(s.names) == MaxCustomClaims:
		return fmt.Errorf("more than %d custom claims", MaxCustomClaims)
	case classify(claim.Name) == reservedName, slices.Contains(s.names, claim.Name):
		return fmt.Errorf("the claim %q is reserved or there twice", claim.Name)
	case (claim.Value == "") == (len(claim.Values) == 0):
		return fmt.Errorf("the claim %q needs either a value or values", claim.Name)
	}
	text := claim.Name + claim.Value + strings.Join(claim.Values, "")
	switch {
	case !validClaimText(text):
		return fmt.Errorf("the claim %q is not printable ASCII without quotation marks and backslashes", claim.Name)
	case s.size+len(text) > maxCustomClaimsSize:
		return errors.New("the custom claims have more than 2048 bytes")
	}
	s.names, s.size = append(s.names, claim.Name), s.size+len(text)
	return nil
}

// validClaimText reports whether a text is printable ASCII without quotation marks and backslashes.
func validClaimText(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendClaims adds custom claims to a JSON object with members of other names.
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

// customClaims returns the claims of a token that Hallpass did not write, sorted by name. It
// refuses a token with a confusable member, and skips what no client can have asked for.
func customClaims(object strictjson.Object) ([]Claim, error) {
	var claims []Claim
	for name, raw := range object {
		if slices.Contains(writtenClaims, name) {
			continue
		}
		if confusable(name) {
			return nil, errTokenClaimReserved
		}
		claim := Claim{Name: name}
		if classify(name) == reservedName ||
			json.Unmarshal([]byte(raw), &claim.Value) != nil && json.Unmarshal([]byte(raw), &claim.Values) != nil {
			continue
		}
		claims = append(claims, claim)
	}
	slices.SortFunc(claims, func(a, b Claim) int { return strings.Compare(a.Name, b.Name) })
	return claims, nil
}
