// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"slices"
	"time"
)

// Resource is a declared API, with the consent of its owner resolved to names. A shared one is
// immutable.
type Resource struct {
	// Identifier is the resource indicator (RFC 8707), the aud of its tokens.
	Identifier           string
	UID, Namespace, Name string
	DisplayName          string
	Scopes               []string
	Consents             []Consent
	// Users are the consents to clients that act for a person. UsersHeld means that no such
	// token is issued, because a token server may not read it.
	Users     []Consent
	UsersHeld bool
	// Exchanged are the consents to tokens that a client was issued in exchange for another
	// one. ExchangeHeld is UsersHeld for these.
	Exchanged    []Consent
	ExchangeHeld bool
	// ExchangedUsers are the consents to such tokens that act for a person.
	ExchangedUsers []Consent
	// Descriptions are what scopes allow, for a person who is asked for consent. They may be
	// missing.
	Descriptions []Description
	// Introspectors may introspect its tokens; if there are none, the clients of its namespace
	// may.
	Introspectors []ObjectName
	// TokenLifetime limits its tokens; zero sets no limit.
	TokenLifetime time.Duration
}

// Description is what a scope allows, in the words of the API's owner.
type Description struct{ Scope, Text string }

// Describe returns the description of a scope; "" if there is none.
func (r *Resource) Describe(scope string) string {
	for _, d := range r.Descriptions {
		if d.Scope == scope {
			return d.Text
		}
	}
	return ""
}

// AllConsents are the consents of each list of the resource.
func (r *Resource) AllConsents() []Consent {
	return slices.Concat(r.Consents, r.Users, r.Exchanged, r.ExchangedUsers)
}

// ObjectName names an object of a namespace.
type ObjectName struct{ Namespace, Name string }

// Consent gives scopes to the clients of some namespaces.
type Consent struct {
	// Namespaces are sorted, for a binary search.
	Namespaces []string
	// ClientLabels are labels that a client must all have.
	ClientLabels map[string]string
	Scopes       []string
}

// Access is what a client asks of one resource.
type Access struct {
	Resource ObjectName
	Scopes   []string
}

// Resources finds resources in memory by name and by identifier; nil means that there is none.
type Resources interface {
	Resource(name ObjectName) *Resource
	ResourceByIdentifier(identifier string) *Resource
}

// Decision is the decision about one scope. status.grants contains it.
type Decision string

// The decisions. All but Granted refuse.
const (
	Granted              Decision = "Granted"
	ResourceNotFound     Decision = "ResourceNotFound"
	ScopeNotDefined      Decision = "ScopeNotDefined"
	NotAllowedByResource Decision = "NotAllowedByResource"
	NotAllowedByPolicy   Decision = "NotAllowedByPolicy"
)

// decideBy decides by some of the consents of a resource.
func decideBy(consents []Consent, client *Client, resource *Resource, scope string) Decision {
	if !slices.Contains(resource.Scopes, scope) {
		return ScopeNotDefined
	}
	for _, consent := range consents {
		if consent.covers(client) && slices.Contains(consent.Scopes, scope) {
			return Granted
		}
	}
	return NotAllowedByResource
}

func (c Consent) covers(client *Client) bool {
	if _, there := slices.BinarySearch(c.Namespaces, client.Namespace); !there {
		return false
	}
	return carries(client.Labels, c.ClientLabels)
}

// carries reports whether labels include all that are wanted.
func carries(labels, wanted map[string]string) bool {
	for key, value := range wanted {
		if found, there := labels[key]; !there || found != value {
			return false
		}
	}
	return true
}

// granted returns the scopes that a client has among those that it asks for, by the consents to
// clients that act so.
func (r *Resource) granted(client *Client, acting Acting, asked []string) []string {
	d := DeciderActing(client, r, acting)
	var scopes []string
	for _, scope := range asked {
		if d.Decide(scope) == Granted {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// introspects reports whether the client may introspect tokens of the resource.
func (r *Resource) introspects(client *Client) bool {
	if len(r.Introspectors) == 0 {
		return client.Namespace == r.Namespace
	}
	return slices.Contains(r.Introspectors, ObjectName{client.Namespace, client.Name})
}
