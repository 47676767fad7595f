// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"slices"
	"time"
)

// Resource is a declared API as its record has it: the consent of its owner, with every selector resolved to names. It is never
// changed once it is shared.
type Resource struct {
	// Identifier is the resource indicator (RFC 8707), the aud of its tokens.
	Identifier string
	// UID, Namespace and Name are those of the OAuth2Resource that it was compiled from.
	UID, Namespace, Name string
	// DisplayName is for humans.
	DisplayName string
	// Scopes are those that can be granted.
	Scopes []string
	// Consents say who may have which of them.
	Consents []Consent
	// Introspectors are the clients that may ask about its tokens; without any, those of its namespace may.
	Introspectors []ObjectName
	// TokenLifetime is the longest that a token for it may live; zero sets no ceiling of its own.
	TokenLifetime time.Duration
}

// ObjectName names an object of a namespace.
type ObjectName struct{ Namespace, Name string }

// Consent gives scopes to the clients of some namespaces.
type Consent struct {
	// Namespaces are sorted, so that many of them cost a search and no walk.
	Namespaces []string
	// ClientLabels are labels that a client has to carry, all of them.
	ClientLabels map[string]string
	Scopes       []string
}

// Access is what a client asks of one resource.
type Access struct {
	Resource ObjectName
	Scopes   []string
}

// Resources finds resources by the names that clients ask for them by, and by the identifiers that tokens carry. Nil means that
// there is none; it is asked for on every request and answers from memory.
type Resources interface {
	Resource(name ObjectName) *Resource
	ResourceByIdentifier(identifier string) *Resource
}

// Decision is what becomes of one scope that a client asks for. The words stand in status.grants.
type Decision string

// The decisions. All but Granted refuse.
const (
	Granted              Decision = "Granted"
	ResourceNotFound     Decision = "ResourceNotFound"
	ScopeNotDefined      Decision = "ScopeNotDefined"
	NotAllowedByResource Decision = "NotAllowedByResource"
	NotAllowedByPolicy   Decision = "NotAllowedByPolicy"
)

// Decide is the one function that says what a client gets of a scope that it asks for on a resource: what it asks, cut by what
// the resource's owner allows. The manager asks it for the client's status, the token server when it issues and when it is asked
// about a token. Ceilings have cut both records before they come here.
func Decide(client *Client, resource *Resource, scope string) Decision {
	if resource == nil {
		return ResourceNotFound
	}
	if !slices.Contains(resource.Scopes, scope) {
		return ScopeNotDefined
	}
	for _, consent := range resource.Consents {
		if slices.Contains(consent.Scopes, scope) && consent.covers(client) {
			return Granted
		}
	}
	return NotAllowedByResource
}

func (c Consent) covers(client *Client) bool {
	if _, there := slices.BinarySearch(c.Namespaces, client.Namespace); !there {
		return false
	}
	for key, value := range c.ClientLabels {
		if found, there := client.Labels[key]; !there || found != value {
			return false
		}
	}
	return true
}

// granted are the scopes of an access that a client has.
func granted(client *Client, resource *Resource, asked []string) []string {
	var scopes []string
	for _, scope := range asked {
		if Decide(client, resource, scope) == Granted {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// introspects reports whether a client is one of those that the resource lets ask about its tokens.
func (r *Resource) introspects(client *Client) bool {
	if len(r.Introspectors) == 0 {
		return client.Namespace == r.Namespace
	}
	return slices.Contains(r.Introspectors, ObjectName{client.Namespace, client.Name})
}
