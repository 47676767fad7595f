// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// wireRegistration is the stored form of a client. Its names are a promise to other versions of the
// two binaries: a field may be added, with the version raised, if a reader that ignores it allows
// no more than before; anything else raises minReader too.
type wireRegistration struct {
	wire.Form `json:",inline"`

	ClientID             string         `json:"clientID"`
	Owner                wireOwner      `json:"owner"`
	State                wireState      `json:"state"`
	Verifiers            []wireVerifier `json:"verifiers,omitempty"`
	Scopes               []string       `json:"scopes,omitempty"`
	TokenLifetimeSeconds int64          `json:"tokenLifetimeSeconds"`
	SigningAlgorithm     jws.Algorithm  `json:"signingAlgorithm,omitempty"`
	Rotation             wireRotation   `json:"rotation,omitzero"`
	// Assertions is there if the client authenticates by private_key_jwt alone. It has no
	// verifiers then, so that a reader which ignores this admits no client.
	Assertions *wireKeySet `json:"assertions,omitempty"`
	Claims     []wireClaim `json:"claims,omitempty"`
	// AuthorizationClaims are the claims of the names in authorizationClaims; a reader that
	// ignores them issues tokens without.
	AuthorizationClaims []wireClaim `json:"authorizationClaims,omitempty"`
	// ServiceAccount is there if the client authenticates by that account's tokens alone. It
	// has no verifiers and no keys then.
	ServiceAccount *wireServiceAccount `json:"serviceAccount,omitempty"`
	// Federated is there if the client authenticates by JWTs of a trusted issuer alone. It has
	// nothing else to authenticate by then, so that a reader which ignores this admits no
	// client. It raises the version, because a manager that does not know the method would give
	// the client a secret.
	Federated *wireFederated `json:"federated,omitempty"`
	// GrantTypes is there if the client has other grant types than client credentials alone. It
	// raises the oldest reader too if client credentials are not among them, because a reader
	// that ignores it allows them.
	GrantTypes []string `json:"grantTypes,omitempty"`
	// Public is there if the client does not authenticate. It has nothing to authenticate by
	// then, and no grant type but AuthorizationCode, so that the oldest reader is one that
	// knows it.
	Public bool `json:"public,omitempty"`
	// Codes is there if AuthorizationCode is one of the grant types; a reader that ignores both
	// issues no codes.
	Codes *wireCodes `json:"codes,omitempty"`
	// Access and what goes with it only add audiences; a reader that ignores them issues for
	// the namespace's own.
	Access          []wireAccess      `json:"access,omitempty"`
	DefaultResource wireName          `json:"defaultResource,omitzero"`
	Labels          map[string]string `json:"labels,omitempty"`
	// Revoked is spec.revokeTokensIssuedBefore and what it was cut back to; a reader that
	// ignores it uses the field of the object, which revokes more.
	Revoked wireRevoked `json:"revoked,omitzero"`
}

// authorizationClaims are the names that the first readers of registrations refused in Claims, and
// the whole record with them.
var authorizationClaims = []string{"roles", "groups", "entitlements"} //nolint:gochecknoglobals // a constant list

type wireRevoked struct {
	Asked  time.Time `json:"asked,omitzero"`
	Before time.Time `json:"before,omitzero"`
}

type wireName struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

type wireAccess struct {
	wireName

	Scopes []string `json:"scopes"`
}

// wireServiceAccount is an account of the owner's namespace; without a UID it admits no client.
type wireServiceAccount struct {
	Name string `json:"name"`
	UID  string `json:"uid,omitempty"`
}

// wireFederated are the JWTs of a trusted issuer; without a subject, a prefix and claims it admits
// no client.
type wireFederated struct {
	IssuerName    string         `json:"issuerName"`
	Subject       string         `json:"subject,omitempty"`
	SubjectPrefix string         `json:"subjectPrefix,omitempty"`
	Claims        []wireRequired `json:"claims,omitempty"`
}

// wireCodes is how a client gets authorization codes; without redirect URIs it gets none.
type wireCodes struct {
	RedirectURIs []string `json:"redirectURIs,omitempty"`
	IssuerName   string   `json:"issuerName,omitempty"`
	// DisplayName is for people; a reader that ignores it shows the client_id alone.
	DisplayName string `json:"displayName,omitempty"`
	AskAlways   bool   `json:"askAlways,omitempty"`
	// Refresh is there if the client gets refresh tokens.
	Refresh *wireRefresh `json:"refresh,omitempty"`
}

type wireRefresh struct {
	LifetimeSeconds int64 `json:"lifetimeSeconds"`
	IdleSeconds     int64 `json:"idleSeconds,omitempty"`
	// Max is there if the number of refreshes is limited.
	Max *int `json:"max,omitempty"`
}

func toCodes(c *oauth2.Codes) *wireCodes {
	if c == nil {
		return nil
	}
	w := &wireCodes{RedirectURIs: c.RedirectURIs, IssuerName: c.IssuerName, DisplayName: c.DisplayName, AskAlways: c.AskAlways}
	if r := c.Refresh; r != (oauth2.Refreshing{}) {
		w.Refresh = &wireRefresh{LifetimeSeconds: int64(r.Lifetime / time.Second), IdleSeconds: int64(r.Idle / time.Second)}
		if r.Limited {
			w.Refresh.Max = new(r.Max)
		}
	}
	return w
}

func (w *wireCodes) codes() *oauth2.Codes {
	if w == nil {
		return nil
	}
	c := &oauth2.Codes{RedirectURIs: w.RedirectURIs, IssuerName: w.IssuerName, DisplayName: w.DisplayName, AskAlways: w.AskAlways}
	if r := w.Refresh; r != nil {
		c.Refresh = oauth2.Refreshing{Lifetime: time.Duration(r.LifetimeSeconds) * time.Second, Idle: time.Duration(r.IdleSeconds) * time.Second}
		if r.Max != nil {
			c.Refresh.Limited, c.Refresh.Max = true, *r.Max
		}
	}
	return c
}

type wireRequired struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// wireKeySet is a JWK set; without keys it admits no client.
type wireKeySet struct {
	Keys []jws.JWK `json:"keys"`
	// MaxLifeSeconds is there if assertions may live for another time than usual. A reader of
	// before the field ignores it, and allows less.
	MaxLifeSeconds int64 `json:"maxLifeSeconds,omitempty"`
}

type wireClaim struct {
	Name   string   `json:"name"`
	Value  string   `json:"value,omitempty"`
	Values []string `json:"values,omitempty"`
}

type wireRotation struct {
	Handled   string `json:"handled,omitempty"`
	Planned   string `json:"planned,omitempty"`
	PlannedBy string `json:"plannedBy,omitempty"`
	// Cause is there while plannedBy is on its way to its Secret. A reader that ignores it
	// infers it for the audit line.
	Cause string `json:"cause,omitempty"`
	First string `json:"first,omitempty"`
	// Generation is lost where a writer of before the field writes the record; the client's
	// Secret proves it then.
	Generation int64 `json:"generation,omitempty"`
}

type wireOwner struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

type wireState string

const (
	wireActive    wireState = "active"
	wireSuspended wireState = "suspended"
	wireRefused   wireState = "refused"
)

type wireVerifier struct {
	ID        string    `json:"id"`
	SHA256    []byte    `json:"sha256"`
	CreatedAt time.Time `json:"createdAt"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	Pending   bool      `json:"pending,omitempty"`
	// WatchedSince is there if the secret is to end once it is unused; a reader that ignores it
	// writes reports without the time that it may run without contact, and those end nothing.
	WatchedSince time.Time `json:"watchedSince,omitzero"`
}

// formerMaxLife is the longest life of assertions that readers of before version 3 accept.
const formerMaxLife = 10 * time.Minute

// formFor is the form of the registration of a client. Most are as the first version wrote them, so
// that an upgrade does not write each of them again.
func formFor(c oauth2.Client) wire.Form {
	if c.Codes != nil || c.Credentials.Public {
		return formWithCodes(c)
	}
	switch {
	case !c.GrantTypes.Has(oauth2.ClientCredentials), c.Credentials.MaxAssertionLife > formerMaxLife, c.Tokens.Algorithm == jws.Ed25519:
		return wire.Form{Version: grantTypeVersion}
	case c.GrantTypes != 0:
		return wire.Form{Version: grantTypeVersion, MinReader: firstVersion}
	case c.Credentials.Federated != nil:
		return wire.Form{Version: federatedVersion, MinReader: firstVersion}
	}
	return wire.Form{Version: firstVersion}
}

// formWithCodes is the form of the registration of a client with authorization codes. A reader that
// knows none takes the client for one with its other grant types. Without client credentials it
// would allow those instead, or nothing at all.
func formWithCodes(c oauth2.Client) wire.Form {
	switch {
	case !c.GrantTypes.Has(oauth2.ClientCredentials):
		return wire.Form{Version: codeVersion}
	case c.Credentials.MaxAssertionLife > formerMaxLife, c.Tokens.Algorithm == jws.Ed25519:
		return wire.Form{Version: codeVersion, MinReader: grantTypeVersion}
	}
	return wire.Form{Version: codeVersion, MinReader: firstVersion}
}

func toWire(r Registration) wireRegistration {
	c := r.Client
	w := wireRegistration{
		Form:                 formFor(c),
		ClientID:             c.ID,
		Owner:                wireOwner{Namespace: c.Namespace, Name: c.Name, UID: c.UID},
		State:                wireActive,
		Scopes:               c.Scopes,
		TokenLifetimeSeconds: int64(c.Tokens.Lifetime / time.Second),
		SigningAlgorithm:     c.Tokens.Algorithm,
		Rotation:             wireRotation(r.Rotation),
		Revoked:              wireRevoked{c.Revocation.Asked.UTC(), c.Revocation.Before.UTC()},
		DefaultResource:      wireName(c.DefaultResource),
		Labels:               c.Labels,
		GrantTypes:           c.GrantTypes.Names(),
		Public:               c.Credentials.Public,
		Codes:                toCodes(c.Codes),
	}
	switch {
	case c.Suspended:
		w.State = wireSuspended
	case c.Refused:
		w.State = wireRefused
	}
	for _, access := range c.Access {
		w.Access = append(w.Access, wireAccess{wireName(access.Resource), access.Scopes})
	}
	for _, v := range c.Credentials.Verifiers {
		w.Verifiers = append(w.Verifiers, wireVerifier{
			ID: v.ID, SHA256: v.Digest[:], CreatedAt: v.CreatedAt.UTC(), ExpiresAt: v.ExpiresAt.UTC(), Pending: v.Pending,
			WatchedSince: v.WatchedSince.UTC(),
		})
	}
	for _, claim := range c.Tokens.Claims {
		if slices.Contains(authorizationClaims, claim.Name) {
			w.AuthorizationClaims = append(w.AuthorizationClaims, wireClaim(claim))
			continue
		}
		w.Claims = append(w.Claims, wireClaim(claim))
	}
	if c.Credentials.ServiceAccount != nil {
		w.ServiceAccount = &wireServiceAccount{Name: c.Credentials.ServiceAccount.Name, UID: c.Credentials.ServiceAccount.UID}
	}
	if f := c.Credentials.Federated; f != nil {
		w.Federated = &wireFederated{IssuerName: f.IssuerName, Subject: f.Subject, SubjectPrefix: f.SubjectPrefix, Claims: toRequired(f.Claims)}
	}
	if !c.Credentials.KeysOnly {
		return w
	}
	w.Assertions = &wireKeySet{Keys: c.Credentials.Keys.JWKs(), MaxLifeSeconds: int64(c.Credentials.MaxAssertionLife / time.Second)}
	return w
}

func (w wireRegistration) registration() (Registration, error) {
	c := oauth2.Client{
		ID:        w.ClientID,
		UID:       w.Owner.UID,
		Namespace: w.Owner.Namespace,
		Name:      w.Owner.Name,
		Scopes:    w.Scopes,
		Tokens:    oauth2.TokenForm{Lifetime: time.Duration(w.TokenLifetimeSeconds) * time.Second, Algorithm: w.SigningAlgorithm},
		Labels:    w.Labels,

		DefaultResource: oauth2.ObjectName(w.DefaultResource),
		Revocation:      oauth2.Revocation{Asked: w.Revoked.Asked, Before: w.Revoked.Before},
		Codes:           w.Codes.codes(),
	}
	c.Credentials.Public = w.Public
	var known bool
	if c.GrantTypes, known = oauth2.GrantTypesOf(w.GrantTypes); !known {
		return Registration{}, fmt.Errorf("of the grant types %q none is known", w.GrantTypes)
	}
	switch w.State {
	case wireActive:
	case wireSuspended:
		c.Suspended = true
	case wireRefused:
		c.Refused = true
	default:
		return Registration{}, fmt.Errorf("state %q is unknown", w.State)
	}
	for _, access := range w.Access {
		c.Access = append(c.Access, oauth2.Access{Resource: oauth2.ObjectName(access.wireName), Scopes: access.Scopes})
	}
	for _, v := range w.Verifiers {
		verifier := oauth2.Verifier{ID: v.ID, CreatedAt: v.CreatedAt, ExpiresAt: v.ExpiresAt, Pending: v.Pending, WatchedSince: v.WatchedSince}
		if copy(verifier.Digest[:], v.SHA256) != len(verifier.Digest) || len(v.SHA256) != len(verifier.Digest) {
			return Registration{}, fmt.Errorf("the digest of verifier %s has not %d bytes", v.ID, len(verifier.Digest))
		}
		c.Credentials.Verifiers = append(c.Credentials.Verifiers, verifier)
	}
	for _, claim := range slices.Concat(w.Claims, w.AuthorizationClaims) {
		c.Tokens.Claims = append(c.Tokens.Claims, oauth2.Claim(claim))
	}
	var dropped []string
	c.Tokens.Claims, dropped = oauth2.SoundClaims(c.Tokens.Claims)
	if w.ServiceAccount != nil {
		c.Credentials.ServiceAccount = &oauth2.ServiceAccount{Name: w.ServiceAccount.Name, UID: w.ServiceAccount.UID}
	}
	if f := w.Federated; f != nil {
		c.Credentials.Federated = &oauth2.Federated{IssuerName: f.IssuerName, Subject: f.Subject, SubjectPrefix: f.SubjectPrefix, Claims: fromRequired(f.Claims)}
	}
	c.Credentials.KeysOnly = w.Assertions != nil
	if c.Credentials.KeysOnly {
		c.Credentials.MaxAssertionLife = time.Duration(w.Assertions.MaxLifeSeconds) * time.Second
	}
	if c.Credentials.KeysOnly && len(w.Assertions.Keys) > 0 {
		document, err := json.Marshal(w.Assertions)
		if err != nil {
			return Registration{}, fmt.Errorf("read keys: %w", err)
		}
		set, err := jws.ParseKeySet(document)
		if err != nil {
			return Registration{}, fmt.Errorf("read keys: %w", err)
		}
		if c.Credentials.Keys, err = jws.PackKeys(set.Keys...); err != nil {
			return Registration{}, fmt.Errorf("read keys: %w", err)
		}
	}
	return Registration{Client: c, Rotation: credential.Rotation(w.Rotation), DroppedClaims: dropped}, nil
}
