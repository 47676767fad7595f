// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"iter"
	"time"

	"github.com/hallpass-dev/hallpass/internal/directory/memory"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

// remembered answers from memory alone: auth.Memory, and the keys of the cluster.
type remembered struct{ memory *memory.Memory }

// Record is what memory has of a client_id.
func (r remembered) Record(clientID string) oauth2.Record { return r.memory.Record(clientID) }

// ClientsOf returns clients that a workload authenticates; see memory.Memory.
func (r remembered) ClientsOf(workload oauth2.Workload) []oauth2.Record {
	return r.memory.ClientsOf(workload)
}

// Minted is what memory has of the OAuth2Token whose opaque tokens have that id.
func (r remembered) Minted(opaqueID string) oauth2.MintedRecord {
	return r.memory.Tokens.Lookup(opaqueID)
}

// Resource implements oauth2.Resources.
func (r remembered) Resource(name oauth2.ObjectName) *oauth2.Resource {
	return r.memory.Registry.Resources.Named(name)
}

// ResourceByIdentifier implements oauth2.Resources.
func (r remembered) ResourceByIdentifier(identifier string) *oauth2.Resource {
	return r.memory.Registry.Resources.Identified(identifier)
}

// TrustedIssuer is the trusted issuer of a name.
func (r remembered) TrustedIssuer(name string) *oauth2.TrustedIssuer {
	return r.memory.Registry.Issuers.Named(name)
}

// TrustedIssuerOf is the trusted issuer that has an iss.
func (r remembered) TrustedIssuerOf(iss string) *oauth2.TrustedIssuer {
	return r.memory.Registry.Issuers.Of(iss)
}

// LoginIssuers returns trusted issuers at which persons log in for the clients of a namespace; see
// memory.Issuers.
func (r remembered) LoginIssuers(namespace string) []*oauth2.TrustedIssuer {
	return r.memory.Registry.Issuers.ForLogin(namespace)
}

// MetadataClients reports whether a client for persons has an https URL as its client_id.
func (r remembered) MetadataClients() bool { return r.memory.Registry.MetadataClients() }

// Ring is the signing keys.
func (r remembered) Ring() keyring.Ring { return r.memory.Registry.Keys.Ring() }

// Sealing is the sealing keys; empty where people do not log in.
func (r remembered) Sealing() seal.Ring { return r.memory.Registry.Sealing.Ring() }

// RestoredBefore returns the instant before which all grants of persons are over; see
// memory.Memory.
func (r remembered) RestoredBefore() time.Time { return r.memory.RestoredBefore() }

// Trust is what memory has of the cluster that issues the tokens of service accounts.
func (r remembered) Trust() oauth2.Cluster { return r.memory.Trust() }

// Revocations are the revoked tokens, as far as memory knows.
func (r remembered) Revocations() *revocation.State { return &r.memory.Revocations.State }

// ClientEpochs are the instants before which OAuth2Clients revoke their tokens.
func (r remembered) ClientEpochs() iter.Seq[revocation.Selector] {
	return r.memory.Registry.ClientEpochs()
}
