// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Ceilings limit the clients and resources of a namespace. The zero value sets no limit of its own
// and allows no chosen identifier.
type Ceilings struct {
	// Methods are the names of the authentication methods that clients may use; nil allows all
	// but those of NeedsPolicy.
	Methods []string
	// Permitted are the methods and grant types that a policy lists which may permit something.
	Permitted []string
	// GrantTypes are the names of the grant types that clients may use; nil allows all but
	// those of NeedsPolicy.
	GrantTypes []string
	// Lifetimes limit how long tokens live.
	Lifetimes Lifetimes
	// Numbers limit the objects of the namespace. DefaultNumbers apply to a kind without a
	// limit.
	Numbers, DefaultNumbers Numbers
	// NoFreeFormScopes leaves clients the scopes of declared resources only.
	NoFreeFormScopes bool
	// ReservedScopes are names that may not be used.
	ReservedScopes []string
	// ClientIDs and ResourceIdentifiers are patterns of identifiers that may be chosen, and
	// RedirectURIs of redirect URIs: a list per policy, each of which must match. Without a
	// list nothing may be chosen, except by AnyClientID.
	ClientIDs, ResourceIdentifiers, RedirectURIs [][]string
	// ContactsRequired refuses clients that name no contacts.
	ContactsRequired bool
	// AnyClientID allows every client_id that is not exact if there is no list.
	AnyClientID bool
	// Claims are rules about claims with plain names: a list per policy, each of which must
	// allow a claim. DefaultClaims apply if there is no list.
	Claims        [][]ClaimRule
	DefaultClaims []ClaimRule
}

// Lifetimes are the longest that tokens of each kind may live.
type Lifetimes struct {
	// Token is that of a token; zero leaves it at MaxTokenLifetime.
	Token time.Duration
	// Fixed limits tokens with a chosen end; zero forbids them, and nil sets no limit.
	Fixed *time.Duration
	// Refresh is that of refresh tokens; zero stands for DefaultRefreshLifetime.
	Refresh time.Duration
}

func (l Lifetimes) and(further Lifetimes) Lifetimes {
	lower := func(a, b time.Duration) time.Duration {
		if a == 0 || b > 0 && b < a {
			return b
		}
		return a
	}
	if l.Fixed == nil || further.Fixed != nil && *further.Fixed < *l.Fixed {
		l.Fixed = further.Fixed
	}
	return Lifetimes{lower(l.Token, further.Token), l.Fixed, lower(l.Refresh, further.Refresh)}
}

// Numbers are the most objects of each kind that a namespace may have; nil sets no limit.
type Numbers struct{ Clients, Tokens, Resources *int }

func (n Numbers) and(further Numbers) Numbers {
	lower := func(a, b *int) *int {
		if a == nil || b != nil && *b < *a {
			return b
		}
		return a
	}
	return Numbers{lower(n.Clients, further.Clients), lower(n.Tokens, further.Tokens), lower(n.Resources, further.Resources)}
}

// Limits returns the limits on the objects of the namespace.
func (c Ceilings) Limits() Numbers {
	n, d := c.Numbers, c.DefaultNumbers
	return Numbers{cmp.Or(n.Clients, d.Clients), cmp.Or(n.Tokens, d.Tokens), cmp.Or(n.Resources, d.Resources)}
}

// And returns what both ceilings allow.
func (c Ceilings) And(further Ceilings) Ceilings {
	c.Methods, c.GrantTypes = inBoth(c.Methods, further.Methods), inBoth(c.GrantTypes, further.GrantTypes)
	c.Permitted = slices.Concat(c.Permitted, further.Permitted)
	c.Lifetimes = c.Lifetimes.and(further.Lifetimes)
	c.Numbers = c.Numbers.and(further.Numbers)
	c.ContactsRequired = c.ContactsRequired || further.ContactsRequired
	c.NoFreeFormScopes = c.NoFreeFormScopes || further.NoFreeFormScopes
	c.ReservedScopes = slices.Concat(c.ReservedScopes, further.ReservedScopes)
	c.ClientIDs = slices.Concat(c.ClientIDs, further.ClientIDs)
	c.ResourceIdentifiers = slices.Concat(c.ResourceIdentifiers, further.ResourceIdentifiers)
	c.RedirectURIs = slices.Concat(c.RedirectURIs, further.RedirectURIs)
	c.Claims = slices.Concat(c.Claims, further.Claims)
	return c
}

// inBoth returns the names that two lists allow, of which nil allows all.
func inBoth(one, other []string) []string {
	switch {
	case one == nil:
		return other
	case other == nil:
		return one
	}
	both := []string{} // not nil even if they have none in common
	for _, name := range one {
		if slices.Contains(other, name) {
			both = append(both, name)
		}
	}
	return both
}

// permitted are the methods and grant types that came after the first release.
var permitted = append((TokenExchange | AuthorizationCode).Names(), "FederatedToken", "None") //nolint:gochecknoglobals // a constant list

// NeedsPolicy reports whether a method or a grant type is allowed only where a policy lists it.
func NeedsPolicy(name string) bool { return slices.Contains(permitted, name) }

// AllowMethod reports whether clients may authenticate by a method.
func (c Ceilings) AllowMethod(method string) bool { return c.allowName(c.Methods, method) }

// AllowGrantType reports whether clients may have a grant type.
func (c Ceilings) AllowGrantType(name string) bool { return c.allowName(c.GrantTypes, name) }

func (c Ceilings) allowName(listed []string, name string) bool {
	return (listed == nil || slices.Contains(listed, name)) && (!NeedsPolicy(name) || slices.Contains(c.Permitted, name))
}

// AllowClientID reports whether a client may choose an identifier. One that is exact has to be in a
// list as it is.
func (c Ceilings) AllowClientID(id string) bool {
	isListed := func(patterns []string) bool { return slices.Contains(patterns, id) }
	switch {
	case !ValidClientID(id):
		return false
	case IsExactClientID(id) && (strings.Contains(id, "*") || !slices.ContainsFunc(c.ClientIDs, isListed)):
		return false
	case len(c.ClientIDs) == 0:
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

// Lifetime cuts a requested lifetime.
func (c Ceilings) Lifetime(asked time.Duration) time.Duration {
	if c.Lifetimes.Token > 0 {
		return min(asked, c.Lifetimes.Token)
	}
	return asked
}

// Refreshing cuts the lifetime of refresh tokens.
func (c Ceilings) Refreshing(asked Refreshing) Refreshing {
	asked.Lifetime = min(asked.Lifetime, cmp.Or(c.Lifetimes.Refresh, DefaultRefreshLifetime))
	asked.Idle = min(asked.Idle, asked.Lifetime)
	return asked
}

// FixedLifetime returns the limit of a token with a chosen end, given the installation's limit.
func (c Ceilings) FixedLifetime(installation time.Duration) (limit time.Duration, forbidden bool) {
	limit = installation
	if c.Lifetimes.Fixed != nil {
		limit = min(limit, *c.Lifetimes.Fixed)
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

// matchPattern matches a pattern in which each * stands for any characters but a slash; one that is
// all of the last segment matches the rest. So a * in a host never reaches into the path.
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

// matchSegment finds the parts between the stars from left to right, in linear time.
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
