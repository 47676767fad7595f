// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package auth authenticates clients, checks access tokens and issues them. It decides from memory.
// If memory's result is one that a late watch explains, it asks the source and decides again;
// source.go has the table. A decision is made for one instant, which its result carries: the one at
// which the last thing that it depends on was known. Results also carry a Trail, which has what the
// audit line and the usage report show of the decision.
//
// It knows no HTTP, no Kubernetes, no log and no metrics.
package auth

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

// Memory has the clients, resources, tokens and keys as the watches brought them. It answers at
// once.
type Memory interface {
	oauth2.Resources
	People

	Record(clientID string) oauth2.Record
	// ClientsOf returns clients that a workload authenticates: one if there is no other, and
	// two if there are more.
	ClientsOf(workload oauth2.Workload) []oauth2.Record
	// TrustedIssuer returns a trusted issuer by its name; nil if there is none.
	TrustedIssuer(name string) *oauth2.TrustedIssuer
	// TrustedIssuerOf returns the trusted issuer that has an iss; nil if there is none.
	TrustedIssuerOf(iss string) *oauth2.TrustedIssuer
	Ring() keyring.Ring
	// Minted returns an OAuth2Token by the id in its opaque tokens.
	Minted(opaqueID string) oauth2.MintedRecord
	Revocations() *revocation.State
	// ClientEpochs are the instants before which the tokens of clients are revoked.
	ClientEpochs() iter.Seq[revocation.Selector]
}

// People is what Memory has for the grants of persons.
type People interface {
	// LoginIssuers returns trusted issuers at which persons log in for the clients of a
	// namespace: one if there is no other, and two if there are more.
	LoginIssuers(namespace string) []*oauth2.TrustedIssuer
	// MetadataClients reports whether a client for persons has an https URL as its client_id.
	MetadataClients() bool
	// Sealing are the keys of tickets, codes and refresh tokens.
	Sealing() seal.Ring
	// RestoredBefore returns the instant before which all grants of persons are over, because
	// a backup of the registry was restored since; zero if there is none.
	RestoredBefore() time.Time
}

// Source is what Memory is a copy of. An error means that it did not answer.
type Source interface {
	LookUp(ctx context.Context, clientID string) (oauth2.Record, error)
	// LookUpClientsOf returns the client_ids of OAuth2Clients that name a workload: one if
	// there is no other, and two if there are more.
	LookUpClientsOf(ctx context.Context, workload oauth2.Workload) ([]string, error)
	// LookUpRing looks up the signing keys. Memory has the result from then on.
	LookUpRing(ctx context.Context) (keyring.Ring, error)
	// LookUpResource returns nil if there is no resource of that identifier.
	LookUpResource(ctx context.Context, identifier string) (*oauth2.Resource, error)
	// LookUpIssuer returns nil if there is no trusted issuer of that name.
	LookUpIssuer(ctx context.Context, name string) (*oauth2.TrustedIssuer, error)
	// LookUpIssuerOf returns nil if no trusted issuer has an iss.
	LookUpIssuerOf(ctx context.Context, iss string) (*oauth2.TrustedIssuer, error)
	LookUpMinted(ctx context.Context, opaqueID string) (oauth2.MintedRecord, error)
	// Redeem records durably that a code was redeemed. first is false if another attempt has
	// redeemed it before. An error is one that a client may see, and says nothing about it.
	Redeem(ctx context.Context, r revocation.Redemption) (first bool, err error)
}

// Directory is a memory together with its source.
type Directory interface {
	Memory
	Source
}

// Cluster is the issuer of the tokens of service accounts.
type Cluster interface {
	// Trust returns issuer and keys from memory.
	Trust() oauth2.Cluster
	// LookUpTrust asks the API server for them; Trust returns what it found from then on.
	LookUpTrust(ctx context.Context) error
	// Review asks the API server whether it still honours a token for that audience, as that
	// account's. Unreachable is an API server that does not answer at all, Undecided one that
	// does not answer this.
	Review(ctx context.Context, token oauth2.Secret, account oauth2.UsedAccountToken, audience string) oauth2.Verdict
}

// Config is what an Authority needs.
type Config struct {
	Issuer    oauth2.Issuer
	Directory Directory
	// Cluster issues the tokens of service accounts; nil accepts none.
	Cluster Cluster
	// Journal passes used assertions to the other replicas.
	Journal *revocation.Journal
	// Stale reports whether memory is too old to decide by; nil means never.
	Stale func() bool
	// Reports reports whether the use of a secret will be reported: without a report no watched
	// secret is accepted. nil means always.
	Reports func() bool
	// Reviewed is called with each verdict of the cluster.
	Reviewed func(oauth2.Verdict)
	// MaxInFlight is the number of requests that are worked on at once, of which each client
	// and each source is guaranteed some; zero means DefaultMaxInFlight.
	MaxInFlight int
	// Sources groups the addresses of callers: who has many addresses of a network has a part
	// of the shares of sources, and not all of them.
	Sources budget.Sources
	// Random makes the ids of tokens.
	Random io.Reader
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Past is an instant that is over for certain: used assertions that expired before are
	// forgotten. Nil means Now.
	Past func() time.Time
}

// DefaultMaxInFlight is the number of requests that are worked on at once unless Config has
// another. Look-ups, the only thing that a request waits for, have budgets far below it.
const DefaultMaxInFlight = 512

// Authority decides who calls and what a token is worth.
type Authority struct {
	Config

	source   *source
	reviews  *reviews
	verified *verified
	inFlight *inFlight
	pages    *pages

	verification *verification
}

// New makes an Authority.
func New(config Config) *Authority {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Past == nil {
		config.Past = config.Now
	}
	if config.MaxInFlight == 0 {
		config.MaxInFlight = DefaultMaxInFlight
	}
	asked := newSource(config)
	return &Authority{
		Config: config, source: asked, reviews: newReviews(asked), verified: newVerified(), verification: newVerification(),
		inFlight: newInFlight(config.MaxInFlight, config.Sources), pages: newPages(),
	}
}

// Fresh refuses while memory is too old to decide by: it still allows what was denied since.
func (a *Authority) Fresh() error {
	if a.Stale == nil || !a.Stale() {
		return nil
	}
	return unavailable(reasonStale, staleRetry, "this server has received nothing from the API server for so long that its state may not be used any more")
}

// The reasons of refusals that concern neither the client nor the token.
const (
	reasonStale         oauth2.Reason = "DirectoryStale"
	reasonUseUnreported oauth2.Reason = "UseUnreported"
	reasonOverloaded    oauth2.Reason = "Overloaded"
)

const (
	// A server that has just started is stale for a moment, and another replica may be current.
	staleRetry      = 5 * time.Second
	unreportedRetry = 5 * time.Second
	overloadRetry   = time.Second
	lookupRetry     = 2 * time.Second // Retry-After of a request without a budget or an answer
)

// Overloaded is the refusal of a request for which there is no room.
func Overloaded() error {
	return unavailable(reasonOverloaded, overloadRetry, "too many requests at once; try again shortly")
}

// Throttled is the refusal of a caller that asks too often.
func Throttled(wait time.Duration, description string) error {
	return unavailable(oauth2.ReasonThrottled, wait, description)
}

// unreported is the refusal of a secret that ends when it is unused, at a replica whose report is
// not read: another replica may accept it, and so may this one soon.
func unreported() error {
	return unavailable(reasonUseUnreported, unreportedRetry,
		"this client secret was replaced and cannot be accepted here right now; use the new one, or try again shortly")
}

func unavailable(reason oauth2.Reason, wait time.Duration, description string) error {
	return &oauth2.Error{Code: oauth2.TemporarilyUnavailable, Reason: reason, RetryAfter: wait, Description: description}
}
