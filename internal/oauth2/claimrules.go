// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ClaimRule allows a claim with a plain name whose values match a pattern. A * stands for letters,
// digits and wordCharacters. No pattern with a * matches a value that has a word beginning with
// protectedValues.
type ClaimRule struct {
	Name   string
	Values []string
}

const (
	// wordCharacters belong to words, like letters and digits. Some readers split values at all
	// others.
	wordCharacters = "-_.:/@"
	// protectedValues begins the users and groups of Kubernetes itself. Only the full text
	// allows them.
	protectedValues = "system:"
)

// CheckClaimRule refuses a rule that could allow nothing, or something that no rule may.
func CheckClaimRule(rule ClaimRule) error {
	switch classify(rule.Name) {
	case reservedName:
		return fmt.Errorf("the claim %q is reserved: no client may set it", rule.Name)
	case resistantName:
		return fmt.Errorf("the claim %q needs no rule, because its name has a '/' or ':'", rule.Name)
	case plainName:
	}
	if len(rule.Values) == 0 {
		return fmt.Errorf("the claim %q needs patterns of its values", rule.Name)
	}
	for _, pattern := range rule.Values {
		if pattern == "" || !validClaimText(pattern) {
			return fmt.Errorf("%q is not printable ASCII without quotation marks and backslashes", pattern)
		}
		if strings.Contains(pattern, "*") && isProtectedValue(pattern) {
			return errors.New("a value that begins with system: is allowed by its full text only, without *")
		}
	}
	return nil
}

// allows reports whether the rule allows a claim with all its values.
func (r ClaimRule) allows(claim Claim) bool {
	if r.Name != claim.Name {
		return false
	}
	values := claim.Values
	if len(values) == 0 {
		values = []string{claim.Value}
	}
	return !slices.ContainsFunc(values, func(value string) bool {
		return !slices.ContainsFunc(r.Values, func(pattern string) bool { return matchClaimValue(pattern, value) })
	})
}

// matchClaimValue reports whether a pattern matches a value. A * never stands for a separator.
func matchClaimValue(pattern, value string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == value
	}
	return !isProtectedValue(value) && separators(strings.ReplaceAll(pattern, "*", "")) == separators(value) && matchSegment(pattern, value)
}

// isProtectedValue reports whether a word of a value begins with protectedValues.
func isProtectedValue(value string) bool {
	for word := range strings.FieldsFuncSeq(strings.ToLower(value), isSeparator) {
		if strings.HasPrefix(word, protectedValues) {
			return true
		}
	}
	return false
}

func isSeparator(c rune) bool {
	letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	return !letter && (c < '0' || '9' < c) && !strings.ContainsRune(wordCharacters, c)
}

func separators(s string) int {
	n := 0
	for _, c := range s {
		if isSeparator(c) {
			n++
		}
	}
	return n
}

// The decisions about a custom claim beside Granted. They are also reasons of ClaimsComplete.
const (
	// ClaimReserved: no client may set a claim of that name.
	ClaimReserved Decision = "ClaimReserved"
	// ClaimNotAllowed: a policy would have to allow the claim, and none does.
	ClaimNotAllowed Decision = "ClaimNotAllowed"
)

// DecideClaim decides about a claim that a client asks for.
func (i Issuer) DecideClaim(claim Claim, ceilings Ceilings) Decision {
	class := classify(claim.Name)
	switch {
	case class == reservedName, i.ownsClaim(claim.Name):
		return ClaimReserved
	case class == plainName && !ceilings.AllowClaim(claim):
		return ClaimNotAllowed
	default:
		return Granted
	}
}

// CustomClaims returns the claims in tokens of a client: those of the registration without names of
// the issuer's own host.
func (i Issuer) CustomClaims(client *Client) []Claim {
	own := func(claim Claim) bool { return i.ownsClaim(claim.Name) }
	if !slices.ContainsFunc(client.Tokens.Claims, own) {
		return client.Tokens.Claims
	}
	return slices.DeleteFunc(slices.Clone(client.Tokens.Claims), own)
}
