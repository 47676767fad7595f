// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ClaimRule allows a claim of a plain name with values that a pattern fits. In a pattern each * stands for letters, digits and
// wordCharacters, and no pattern with a * fits a value of which a word begins with protectedValues.
type ClaimRule struct {
	Name   string
	Values []string
}

const (
	// wordCharacters are what a word of a value has beside letters and digits. At all others some reader cuts one text into several values.
	wordCharacters = "-_.:/@"
	// protectedValues begins the words that are allowed only by the full text of the value: the users and groups of Kubernetes itself.
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

// matchClaimValue reports whether a pattern fits a value. What is no word character of a value is that of the pattern, so that no *
// stands for it.
func matchClaimValue(pattern, value string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == value
	}
	return !isProtectedValue(value) && separators(strings.ReplaceAll(pattern, "*", "")) == separators(value) && matchSegment(pattern, value)
}

// isProtectedValue reports whether some reader takes a word of a value for one that begins with protectedValues.
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

// The decisions about a custom claim beside Granted. The same words are reasons of the condition ClaimsComplete.
const (
	// ClaimReserved: no client may set a claim of that name.
	ClaimReserved Decision = "ClaimReserved"
	// ClaimNotAllowed: a policy would have to allow the claim, and none does.
	ClaimNotAllowed Decision = "ClaimNotAllowed"
)

// DecideClaim decides about a claim that a client asks for in a namespace with these ceilings.
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

// CustomClaims are the claims that tokens of a client carry: a registration knows the names that every issuer reserves, and the issuer
// its own.
func (i Issuer) CustomClaims(client *Client) []Claim {
	own := func(claim Claim) bool { return i.ownsClaim(claim.Name) }
	if !slices.ContainsFunc(client.Claims, own) {
		return client.Claims
	}
	return slices.DeleteFunc(slices.Clone(client.Claims), own)
}
