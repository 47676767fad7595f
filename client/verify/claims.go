// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/client/internal/strictjson"
)

// Claims are those of a verified token. They are shared by all calls with that token: do not change
// them.
type Claims struct {
	// Subject is for whom the token acts. Client and User return what it is.
	Subject string
	// ClientID is the client that was issued the token. ClientUID is another one for a client
	// that was deleted and created again: keep data under this.
	ClientID, ClientUID string
	Audience            string
	// ID is the jti.
	ID     string
	Scopes []string
	// Actors are the act.sub of a token exchange, the latest first (RFC 8693 section 4.1). Only
	// the first may decide anything.
	Actors           []string
	IssuedAt, Expiry time.Time
	// Extra has the other claims, as encoding/json decodes them.
	Extra map[string]any

	// ancestors are the tokens that this one was exchanged for, the latest first.
	ancestors []ancestor
	// grantID is the id of the grant of a person that the token belongs to. Its end ends the
	// token.
	grantID string
}

// userPrefix begins the subject of a person: user:<name of the issuer>:<subject there>.
const userPrefix = "user:"

// User returns the person for whom the token acts; ok is false if it acts for a client.
func (c *Claims) User() (issuer, subject string, ok bool) {
	rest, ok := strings.CutPrefix(c.Subject, userPrefix)
	if !ok {
		return "", "", false
	}
	issuer, subject, ok = strings.Cut(rest, ":")
	if !ok || issuer == "" || subject == "" {
		return "", "", false
	}
	return issuer, subject, true
}

// Client returns the client; ok is true only if the client acts for itself.
func (c *Claims) Client() (id string, ok bool) {
	if c.Subject != c.ClientID || len(c.Actors) > 0 {
		return "", false
	}
	return c.ClientID, true
}

// HasScopes reports whether the token has all of these scopes.
func (c *Claims) HasScopes(scopes ...string) bool {
	for _, scope := range scopes {
		if !slices.Contains(c.Scopes, scope) {
			return false
		}
	}
	return true
}

type contextKey struct{}

// NewContext returns a context with the claims of the caller, as Require gives it to handlers.
func NewContext(ctx context.Context, claims *Claims) context.Context {
	return context.WithValue(ctx, contextKey{}, claims)
}

// FromContext returns the claims of the caller in a handler behind Require.
func FromContext(ctx context.Context) (*Claims, bool) {
	claims, ok := ctx.Value(contextKey{}).(*Claims)
	return claims, ok
}

// maxActors bounds the nesting of act; Hallpass writes four.
const maxActors = 8

// parsed is a payload before its claims are checked.
type parsed struct {
	*Claims

	issuer string
	// Seconds since the epoch; notBefore is zero if it is not there.
	issuedAt, expiry, notBefore int64
}

// members are the claims of a payload as JSON. Reading them one by one, without a map, is a part of
// verifying a token that is hardly seen beside its signature.
type members struct {
	iss, sub, subType, aud, exp, nbf, iat, jti, clientID, clientUID, scope, act, ancestors, grantID string

	extra map[string]any
}

// at returns where the value of a claim goes, or nil.
func (m *members) at(name string) *string {
	switch name {
	case "iss":
		return &m.iss
	case "sub":
		return &m.sub
	case "sub_type":
		return &m.subType
	case "aud":
		return &m.aud
	case "exp":
		return &m.exp
	case "nbf":
		return &m.nbf
	case "iat":
		return &m.iat
	case "jti":
		return &m.jti
	case "client_id":
		return &m.clientID
	case "client_uid":
		return &m.clientUID
	case "scope":
		return &m.scope
	case "act":
		return &m.act
	case "ancestors":
		return &m.ancestors
	case "grant_id":
		return &m.grantID
	}
	return nil
}

var errTwice = errors.New("a claim is there twice")

// add adds a claim. It refuses a second one of a name, because two readers could see two different
// values.
func (m *members) add(name, raw string) error {
	if known := m.at(name); known != nil {
		if *known != "" {
			return errTwice
		}
		*known = raw
		return nil
	}
	if _, there := m.extra[name]; there {
		return errTwice
	}
	var value any
	if err := json.Unmarshal([]byte(raw), &value); err != nil {
		return err //nolint:wrapcheck // the caller does
	}
	if m.extra == nil {
		m.extra = map[string]any{}
	}
	m.extra[name] = value
	return nil
}

// parseClaims reads a payload whose signature is good. The claims are substrings of it.
func parseClaims(payload string, p *parsed) error {
	var m members
	if err := strictjson.EachMember(payload, m.add); err != nil {
		return err
	}
	p.Extra = m.extra
	var failure error
	text := func(name, raw string, required bool) string {
		if raw == "" && !required {
			return ""
		}
		value, err := strictjson.StringMember(name, raw)
		if err == nil && required && value == "" {
			err = errors.New(name + " is empty")
		}
		if err != nil && failure == nil {
			failure = err
		}
		return value
	}
	date := func(name, raw string) int64 {
		seconds, err := strictjson.ParseSeconds(name, raw)
		if err != nil && failure == nil {
			failure = err
		}
		return seconds
	}
	p.issuer, p.Subject, p.ClientID = text("iss", m.iss, true), text("sub", m.sub, true), text("client_id", m.clientID, true)
	p.grantID = text("grant_id", m.grantID, false)
	p.ID, p.ClientUID = text("jti", m.jti, true), text("client_uid", m.clientUID, false)
	subjectType := text("sub_type", m.subType, false)
	p.issuedAt, p.expiry = date("iat", m.iat), date("exp", m.exp)
	p.IssuedAt, p.Expiry = time.Unix(p.issuedAt, 0), time.Unix(p.expiry, 0)
	if m.nbf != "" {
		p.notBefore = date("nbf", m.nbf)
	}
	if scope := text("scope", m.scope, false); scope != "" {
		p.Scopes = strings.Split(scope, " ")
	}
	if strings.HasPrefix(m.aud, "[") { // RFC 7519 section 4.1.3
		var list []string
		if err := json.Unmarshal([]byte(m.aud), &list); err != nil || len(list) != 1 {
			return errors.New("aud has more or fewer than one audience")
		}
		p.Audience = list[0]
	} else {
		p.Audience = text("aud", m.aud, true)
	}
	if _, _, user := p.User(); failure == nil && subjectType != "" && user != (subjectType == "user") {
		failure = errors.New("sub_type is not that of sub")
	}
	if failure != nil {
		return failure
	}
	var err error
	if p.Actors, err = actors(m.act); err == nil {
		p.ancestors, err = parseAncestors(m.ancestors)
	}
	return err
}

// actors reads the chain of act.
func actors(raw string) ([]string, error) {
	var chain []string
	for raw != "" {
		object, err := strictjson.ParseObject(raw)
		if err != nil || len(chain) == maxActors {
			return nil, errors.New("act is no chain of actors")
		}
		subject, err := object.String("sub")
		if err != nil {
			return nil, errors.New("act has no sub")
		}
		chain = append(chain, subject)
		raw = object["act"]
	}
	return chain, nil
}
