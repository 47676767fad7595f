// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// MaxActors bounds the clients that a token was passed on by, one after the other.
const MaxActors = 4

// TokenVersion is the newest version of access tokens that this build reads. Version 1 has no
// tokens whose sub is not their client, and version 2 none of persons.
const TokenVersion = 3

// The versions of access tokens that first had them.
const (
	VersionWithExchanged = 2
	VersionWithPersons   = 3
)

// Ancestor is a token that another one was exchanged for. Whatever ends the ancestor ends the other
// one.
type Ancestor struct {
	ID                  string
	ClientID, ClientUID string
	// KeyID is the kid of the key that signed it.
	KeyID    string
	IssuedAt time.Time
}

// Claims returns the claims of the ancestor by which it may be revoked.
func (a Ancestor) Claims() *Claims {
	return &Claims{ID: a.ID, ClientID: a.ClientID, ClientUID: a.ClientUID, IssuedAt: a.IssuedAt}
}

// Chain is what a token has of the one that it is exchanged for.
type Chain struct {
	// Subject is the sub of both.
	Subject string
	// Actors are the clients before the one that exchanges, the latest first.
	Actors []string
	// Ancestors are the token that is exchanged and its own ancestors, the latest first.
	Ancestors []Ancestor
	// GrantID is that of both.
	GrantID string
	// Audience is that of the token that is exchanged, and Until the end of both.
	Audience string
	Until    time.Time
}

// acting is for whom a client acts with a token of the chain.
func (c *Chain) acting() Acting {
	return (&Claims{Subject: c.Subject}).Acting() | ForExchanged
}

// Exchanged reports whether the token was exchanged for another one, and not issued to its client
// for the client itself.
func (c *Claims) Exchanged() bool { return len(c.Actors) > 0 }

// KeepsGrantType reports whether the client of the token still has the grant type by which it got
// the token. It may have got a token for itself by any.
func (c *Claims) KeepsGrantType(client *Client) bool {
	switch {
	case c.Exchanged():
		return client.GrantTypes.Has(TokenExchange)
	case c.GrantID != "":
		return client.GrantTypes.Has(AuthorizationCode)
	case c.forPerson():
		return client.GrantTypes.Has(JWTBearer)
	}
	return true
}

// soundGrant reports whether the token belongs to no grant, or acts for a person and has the id of
// a grant.
func (c *Claims) soundGrant() bool {
	return c.GrantID == "" || c.forPerson() && ValidGrantID(c.GrantID)
}

// ValidGrantID reports whether a text is 128 bits in base64url, as the id of a grant is.
func ValidGrantID(id string) bool {
	var raw [grantIDBytes]byte
	if len(id) != base64.RawURLEncoding.EncodedLen(len(raw)) {
		return false
	}
	_, err := jws.AppendBase64URL(raw[:0], id)
	return err == nil
}

// grantIDBytes is the size of the id of a grant.
const grantIDBytes = 16

// soundChain reports whether subject, actors and ancestors are those of a token that Hallpass
// issues: either the client acts for itself or for a person, or it is the latest actor, each
// ancestor was issued to the actor before, and the first one to the subject, unless that is a
// person. No token outlives an ancestor.
func (c *Claims) soundChain() bool {
	person := c.forPerson()
	if person && !c.soundPerson() || !c.soundGrant() {
		return false
	}
	if !c.Exchanged() {
		return (person || c.Subject == c.ClientID) && len(c.Ancestors) == 0
	}
	last := len(c.Ancestors) - 1
	if c.Subject == c.ClientID || c.Actors[0] != c.ClientID || c.TokenUID != "" || len(c.Custom) > 0 ||
		len(c.Actors) != len(c.Ancestors) || !person && c.Ancestors[last].ClientID != c.Subject {
		return false
	}
	for i, ancestor := range c.Ancestors {
		if i < last && ancestor.ClientID != c.Actors[i+1] || c.ExpiresAt.Sub(ancestor.IssuedAt) > MaxTokenLifetime {
			return false
		}
	}
	return true
}

// checkAncestors refuses a token whose ancestor is signed by a key that is withdrawn.
func (c *Claims) checkAncestors(ring keyring.Ring, now time.Time) error {
	for i := range c.Ancestors {
		if _, err := verificationKey(c.Ancestors[i].KeyID, ring, now); err != nil {
			return err
		}
	}
	return nil
}

// actorSize is that of an actor without its client_id.
const actorSize = len(`{"sub":"","act":}`)

// act returns the claim act (RFC 8693 section 4.1); nil if the client acts for itself.
func (c *Claims) act() []byte {
	var nested []byte
	for _, actor := range slices.Backward(c.Actors) {
		o := strictjson.NewBuilder(make([]byte, 0, len(nested)+len(actor)+actorSize)).Text("sub", actor)
		if nested != nil {
			o.Raw("act", nested)
		}
		nested = o.End()
	}
	return nested
}

// appendActors writes act, if the token was exchanged.
func (c *Claims) appendActors(o *strictjson.Builder) {
	if c.Exchanged() {
		o.Raw("act", c.act())
	}
}

// appendAncestors writes the ancestors, if the token was exchanged.
func (c *Claims) appendAncestors(o *strictjson.Builder) {
	if !c.Exchanged() {
		return
	}
	var room [chainSize]byte
	list := append(make([]byte, 0, len(c.Ancestors)*chainSize), '[')
	for i, a := range c.Ancestors {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, strictjson.NewBuilder(room[:0]).Text("jti", a.ID).Text("client_id", a.ClientID).Text("client_uid", a.ClientUID).
			Text("kid", a.KeyID).Number("iat", a.IssuedAt.Unix()).End()...)
	}
	o.Raw("ancestors", append(list, ']'))
}

var (
	errActors    = errors.New("act is no chain of actors")
	errAncestors = errors.New("ancestors are no list of tokens")
)

// parseActors reads act. A member that this version does not know may restrict the token, so it
// makes the token unreadable.
func parseActors(raw string) ([]string, error) {
	var actors []string
	for raw != "" {
		object, err := strictjson.ParseObject(raw)
		if err != nil || len(actors) == MaxActors {
			return nil, errActors
		}
		actor, err := object.String("sub")
		raw = object["act"]
		delete(object, "sub")
		delete(object, "act")
		if err != nil || len(object) > 0 {
			return nil, errActors
		}
		actors = append(actors, actor)
	}
	return actors, nil
}

// parseAncestors reads the ancestors, as strictly as parseActors.
func parseAncestors(raw string) ([]Ancestor, error) {
	if raw == "" {
		return nil, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(raw), &list); err != nil || len(list) == 0 || len(list) > MaxActors {
		return nil, errAncestors
	}
	ancestors := make([]Ancestor, len(list))
	for i, element := range list {
		var err error
		if ancestors[i], err = parseAncestor(element); err != nil {
			return nil, err
		}
	}
	return ancestors, nil
}

func parseAncestor(raw []byte) (Ancestor, error) {
	const members = 5
	object, err := strictjson.ParseObject(string(raw))
	if err != nil || len(object) != members {
		return Ancestor{}, errAncestors
	}
	text := func(name string) string {
		value, failure := object.String(name)
		err = errors.Join(err, failure)
		return value
	}
	ancestor := Ancestor{ID: text("jti"), ClientID: text("client_id"), ClientUID: text("client_uid"), KeyID: text("kid")}
	issued, failure := object.Seconds("iat")
	if err = errors.Join(err, failure); err != nil {
		return Ancestor{}, errAncestors
	}
	ancestor.IssuedAt = time.Unix(issued, 0).UTC()
	return ancestor, nil
}
