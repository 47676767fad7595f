// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"slices"
	"strings"
	"time"
)

// Ceilings are what the clients and resources of a namespace may have at most. The zero value sets none beyond those that hold
// for everybody, and allows no chosen identifier.
type Ceilings struct {
	// Methods are the names of the authentication methods that clients may use; nil allows all.
	Methods []string
	// TokenLifetime is the longest that a token may live; zero leaves it at MaxTokenLifetime.
	TokenLifetime time.Duration
	// FixedTokenLifetime is the longest that a token with a chosen end may live; it counts only if FixedLimited is set, and zero
	// forbids any then.
	FixedTokenLifetime time.Duration
	FixedLimited       bool
	// MaxClients is how many clients there may be; it counts only if Limited is set.
	MaxClients int
	Limited    bool
	// NoFreeFormScopes leaves clients the scopes of declared resources only.
	NoFreeFormScopes bool
	// ReservedScopes are names that may not be used.
	ReservedScopes []string
	// ClientIDs and ResourceIdentifiers are patterns of identifiers that may be chosen: one list a policy, each of which has to
	// have a pattern that fits. Without a list nothing may be chosen, unless AnyClientID says otherwise.
	ClientIDs, ResourceIdentifiers [][]string
	// AnyClientID lets clients choose where no list speaks of it.
	AnyClientID bool
	// Claims are rules about claims of plain names: one list a policy, each of which has to allow a claim. DefaultClaims hold where
	// there is no list.
	Claims        [][]ClaimRule
	DefaultClaims []ClaimRule
}

// And narrows ceilings by further ones: what holds is what both allow.
func (c Ceilings) And(further Ceilings) Ceilings {
	switch {
	case c.Methods == nil:
		c.Methods = further.Methods
	case further.Methods != nil:
		both := []string{} // not nil even if they have none in common: nil allows all
		for _, method := range c.Methods {
			if slices.Contains(further.Methods, method) {
				both = append(both, method)
			}
		}
		c.Methods = both
	}
	if further.TokenLifetime > 0 && (c.TokenLifetime == 0 || further.TokenLifetime < c.TokenLifetime) {
		c.TokenLifetime = further.TokenLifetime
	}
	if further.FixedLimited && (!c.FixedLimited || further.FixedTokenLifetime < c.FixedTokenLifetime) {
		c.FixedTokenLifetime, c.FixedLimited = further.FixedTokenLifetime, true
	}
	if further.Limited && (!c.Limited || further.MaxClients < c.MaxClients) {
		c.MaxClients, c.Limited = further.MaxClients, true
	}
	c.NoFreeFormScopes = c.NoFreeFormScopes || further.NoFreeFormScopes
	c.ReservedScopes = slices.Concat(c.ReservedScopes, further.ReservedScopes)
	c.ClientIDs = slices.Concat(c.ClientIDs, further.ClientIDs)
	c.ResourceIdentifiers = slices.Concat(c.ResourceIdentifiers, further.ResourceIdentifiers)
	c.Claims = slices.Concat(c.Claims, further.Claims)
	return c
}

// AllowMethod reports whether clients may authenticate by a method.
func (c Ceilings) AllowMethod(method string) bool {
	return c.Methods == nil || slices.Contains(c.Methods, method)
}

// AllowClientID reports whether a client may choose an identifier.
func (c Ceilings) AllowClientID(id string) bool {
	if len(c.ClientIDs) == 0 {
		return c.AnyClientID
	}
	return allow(c.ClientIDs, id)
}

// AllowResourceIdentifier reports whether a resource may choose an identifier.
func (c Ceilings) AllowResourceIdentifier(identifier string) bool {
	return len(c.ResourceIdentifiers) > 0 && allow(c.ResourceIdentifiers, identifier)
}

// AllowClaim reports whether a client may have a claim of a plain name.
func (c Ceilings) AllowClaim(claim Claim) bool {
	allows := func(rules []ClaimRule) bool {
		return slices.ContainsFunc(rules, func(rule ClaimRule) bool { return rule.allows(claim) })
	}
	if len(c.Claims) == 0 {
		return allows(c.DefaultClaims)
	}
	return !slices.ContainsFunc(c.Claims, func(rules []ClaimRule) bool { return !allows(rules) })
}

func allow(lists [][]string, s string) bool {
	for _, patterns := range lists {
		if !slices.ContainsFunc(patterns, func(pattern string) bool { return matchPattern(pattern, s) }) {
			return false
		}
	}
	return true
}

// Lifetime is the lifetime that a client gets which asks for one.
func (c Ceilings) Lifetime(asked time.Duration) time.Duration {
	if c.TokenLifetime > 0 {
		return min(asked, c.TokenLifetime)
	}
	return asked
}

// FixedLifetime is how long a token with a chosen end may live where the installation has a limit, and whether any is forbidden.
func (c Ceilings) FixedLifetime(installation time.Duration) (limit time.Duration, forbidden bool) {
	limit = installation
	if c.FixedLimited {
		limit = min(limit, c.FixedTokenLifetime)
	}
	return limit, limit <= 0
}

// FreeForm decides about a free-form scope.
func (c Ceilings) FreeForm(scope string) Decision {
	if c.NoFreeFormScopes || c.Reserved(scope) {
		return NotAllowedByPolicy
	}
	return Granted
}

// Reserved reports whether a scope's name may not be used.
func (c Ceilings) Reserved(scope string) bool { return slices.Contains(c.ReservedScopes, scope) }

// matchPattern reports whether a pattern fits: literal text in which each * stands for any characters but a slash, and one that
// is all there is after the last slash for the rest. A star in the place of a host's label never reaches into the path.
func matchPattern(pattern, s string) bool {
	for pattern != "*" {
		segment, patternRest, more := strings.Cut(pattern, "/")
		text, rest, moreText := strings.Cut(s, "/")
		if !matchSegment(segment, text) || more != moreText {
			return false
		}
		if !more {
			return true
		}
		pattern, s = patternRest, rest
	}
	return true
}

// matchSegment finds the parts between the stars from left to right, so that it costs no more than the length of both whatever
// the pattern is.
func matchSegment(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	first, middle, last := parts[0], parts[1:len(parts)-1], parts[len(parts)-1]
	rest, begins := strings.CutPrefix(s, first)
	if !begins {
		return false
	}
	rest, ends := strings.CutSuffix(rest, last)
	if !ends {
		return false
	}
	for _, part := range middle {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return true
}
