// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package codegrant

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// How long a ticket and a code are valid.
const (
	TicketLifetime = 10 * time.Minute
	CodeLifetime   = time.Minute
)

const (
	// form is the version of the encoded values.
	form = 1
	// idSize is the size of the random ids, in bytes.
	idSize = 16
	// maxTicket bounds an encoded ticket, so that a sealed one is not longer than
	// loginport.MaxTicketBytes.
	maxTicket = 2248
	// maxScopes bounds the scopes of an encoded value.
	maxScopes = 256
)

// ErrUnreadable is wrapped by the refusals of an encoded value: it has another version, or is
// damaged. The person has to log in again.
var ErrUnreadable = errors.New("unreadable sealed value")

// Ticket is an authorization request that was accepted, while the person logs in.
type Ticket struct {
	ClientID, ClientUID string
	// RedirectURI is the proven redirect URI. RedirectOmitted means that the request left it
	// out.
	RedirectURI     string
	RedirectOmitted bool
	State           string
	Challenge       string
	// Resource is the identifier of the resource, and Scopes are what the person was shown.
	Resource string
	Scopes   []string
	// IssuerName and IssuerUID are those of the OAuth2TrustedIssuer at which the person logs
	// in.
	IssuerName, IssuerUID string
	ExpiresAt             time.Time
}

// Code is an authorization code.
type Code struct {
	// ID names what is written when the code is redeemed: 32 hexadecimal digits.
	ID string
	// Grant is the id of the grant that begins with the code.
	Grant               string
	ClientID, ClientUID string
	RedirectURI         string
	RedirectOmitted     bool
	Challenge           string
	Resource            string
	Scopes              []string
	Person              oauth2.Person
	IssuerUID           string
	AuthTime, ExpiresAt time.Time
}

// Refresh is a refresh token.
type Refresh struct {
	// Grant is the id of the grant, and Generation which of its refresh tokens this one is.
	Grant      string
	Generation uint32
	// Refreshes is how often the grant was refreshed.
	Refreshes           int
	ClientID, ClientUID string
	Resource            string
	Scopes              []string
	Person              oauth2.Person
	IssuerUID           string
	// Began is when the person logged in, and IssuedAt when this token was issued.
	Began, IssuedAt time.Time
	// ExpiresAt is the absolute end of the grant.
	ExpiresAt time.Time
}

// NewCode returns a code for a person who has logged in with a ticket.
func NewCode(ticket Ticket, person oauth2.Person, authTime, now time.Time, random io.Reader) (Code, error) {
	var ids [2 * idSize]byte
	if _, err := io.ReadFull(random, ids[:]); err != nil {
		return Code{}, fmt.Errorf("read randomness for a code: %w", err)
	}
	return Code{
		ID: hex.EncodeToString(ids[:idSize]), Grant: base64.RawURLEncoding.EncodeToString(ids[idSize:]),
		ClientID: ticket.ClientID, ClientUID: ticket.ClientUID, RedirectURI: ticket.RedirectURI, RedirectOmitted: ticket.RedirectOmitted,
		Challenge: ticket.Challenge, Resource: ticket.Resource, Scopes: ticket.Scopes, Person: person, IssuerUID: ticket.IssuerUID,
		AuthTime: wholeSeconds(authTime), ExpiresAt: wholeSeconds(now.Add(CodeLifetime)),
	}, nil
}

func wholeSeconds(t time.Time) time.Time { return time.Unix(t.Unix(), 0).UTC() }

// Fits refuses a ticket that is longer than a cookie may be.
func (t Ticket) Fits() error {
	if len(t.Encode()) > maxTicket {
		return refuseRequest("the request is too long; send a shorter state, or a scope with fewer scopes")
	}
	return nil
}

// Encode returns the bytes that are sealed.
func (t Ticket) Encode() []byte {
	w := wire.Writer{}
	w.Byte(form)
	writeTexts(&w, t.ClientID, t.ClientUID, t.RedirectURI, t.State, t.Challenge, t.Resource, t.IssuerName, t.IssuerUID)
	writeBool(&w, t.RedirectOmitted)
	writeList(&w, t.Scopes)
	writeTimes(&w, t.ExpiresAt)
	return w.Bytes
}

// DecodeTicket reads what Encode returned.
func DecodeTicket(value []byte) (t Ticket, err error) {
	r := open(value)
	readTexts(&r, &t.ClientID, &t.ClientUID, &t.RedirectURI, &t.State, &t.Challenge, &t.Resource, &t.IssuerName, &t.IssuerUID)
	t.RedirectOmitted = readBool(&r)
	t.Scopes = readList(&r)
	readTimes(&r, &t.ExpiresAt)
	if !r.Done() {
		return Ticket{}, fmt.Errorf("%w: ticket", ErrUnreadable)
	}
	return t, nil
}

// Encode returns the bytes that are sealed.
func (c Code) Encode() []byte {
	w := wire.Writer{}
	w.Byte(form)
	writeTexts(&w, c.ID, c.Grant, c.ClientID, c.ClientUID, c.RedirectURI, c.Challenge, c.Resource, c.Person.Issuer, c.Person.Subject, c.IssuerUID)
	writeBool(&w, c.RedirectOmitted)
	writeList(&w, c.Scopes)
	writeTimes(&w, c.AuthTime, c.ExpiresAt)
	return w.Bytes
}

// DecodeCode reads what Encode returned.
func DecodeCode(value []byte) (c Code, err error) {
	r := open(value)
	var issuer, subject string
	readTexts(&r, &c.ID, &c.Grant, &c.ClientID, &c.ClientUID, &c.RedirectURI, &c.Challenge, &c.Resource, &issuer, &subject, &c.IssuerUID)
	c.RedirectOmitted = readBool(&r)
	c.Scopes = readList(&r)
	readTimes(&r, &c.AuthTime, &c.ExpiresAt)
	if c.Person, err = oauth2.NewPerson(issuer, subject); err != nil || !r.Done() || !isCodeID(c.ID) || !isGrant(c.Grant) {
		return Code{}, fmt.Errorf("%w: code", ErrUnreadable)
	}
	return c, nil
}

// Encode returns the bytes that are sealed.
func (r Refresh) Encode() []byte {
	w := wire.Writer{}
	w.Byte(form)
	writeTexts(&w, r.Grant, r.ClientID, r.ClientUID, r.Resource, r.Person.Issuer, r.Person.Subject, r.IssuerUID)
	w.Uvarint(uint64(r.Generation))
	w.Uvarint(uint64(r.Refreshes)) //nolint:gosec // it counts from zero
	writeList(&w, r.Scopes)
	writeTimes(&w, r.Began, r.IssuedAt, r.ExpiresAt)
	return w.Bytes
}

// maxRefreshes bounds the number in a refresh token.
const maxRefreshes = 1 << 31

// DecodeRefresh reads what Encode returned.
func DecodeRefresh(value []byte) (refresh Refresh, err error) {
	r := open(value)
	var issuer, subject string
	readTexts(&r, &refresh.Grant, &refresh.ClientID, &refresh.ClientUID, &refresh.Resource, &issuer, &subject, &refresh.IssuerUID)
	generation, refreshes := r.Uvarint(), r.Uvarint()
	refresh.Scopes = readList(&r)
	readTimes(&r, &refresh.Began, &refresh.IssuedAt, &refresh.ExpiresAt)
	refresh.Person, err = oauth2.NewPerson(issuer, subject)
	if err != nil || !r.Done() || generation >= maxRefreshes || refreshes >= maxRefreshes || !isGrant(refresh.Grant) {
		return Refresh{}, fmt.Errorf("%w: refresh token", ErrUnreadable)
	}
	refresh.Generation, refresh.Refreshes = uint32(generation), int(refreshes)
	return refresh, nil
}

// isCodeID reports whether s is the id of a code in its one spelling, which names an object.
func isCodeID(s string) bool {
	id, err := hex.DecodeString(s)
	return err == nil && len(id) == idSize && hex.EncodeToString(id) == s
}

// isGrant reports whether s is the id of a grant in its one spelling.
func isGrant(s string) bool {
	id, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && len(id) == idSize && base64.RawURLEncoding.EncodeToString(id) == s
}

// open begins to read a value. The Reader has failed if the value has another version.
func open(value []byte) wire.Reader {
	r := wire.NewReader(string(value))
	if r.Byte() != form {
		r.Fail()
	}
	return r
}

func writeTexts(w *wire.Writer, texts ...string) {
	for _, text := range texts {
		w.Text(text)
	}
}

func readTexts(r *wire.Reader, texts ...*string) {
	for _, text := range texts {
		*text = r.Text()
	}
}

func writeBool(w *wire.Writer, b bool) {
	if b {
		w.Byte(1)
	} else {
		w.Byte(0)
	}
}

func readBool(r *wire.Reader) bool {
	b := r.Byte()
	if b > 1 {
		r.Fail()
	}
	return b == 1
}

func writeList(w *wire.Writer, list []string) {
	w.Uvarint(uint64(len(list)))
	writeTexts(w, list...)
}

func readList(r *wire.Reader) (list []string) {
	n := r.Uvarint()
	if n > maxScopes {
		r.Fail()
		return nil
	}
	for range n {
		list = append(list, r.Text())
	}
	return list
}

func writeTimes(w *wire.Writer, times ...time.Time) {
	for _, t := range times {
		w.Varint(t.Unix())
	}
}

func readTimes(r *wire.Reader, times ...*time.Time) {
	for _, t := range times {
		*t = time.Unix(r.Varint(), 0).UTC()
	}
}
