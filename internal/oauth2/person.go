// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"errors"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// The values of sub_type: what the sub of a token is.
const (
	SubjectIsClient = "client"
	SubjectIsUser   = "user"
)

const (
	// MaxPersonSubject bounds the subject of a person, as OpenID Connect Core section 2 does.
	MaxPersonSubject = 255
	// personPrefix begins the sub of a person. No client_id begins with it: see ValidClientID.
	personPrefix    = "user:"
	maxIssuerLength = 63 // a DNS label
)

// Person is a person for whom a client acts. The zero Person is none: the client acts for itself.
type Person struct {
	// Issuer is the name of the OAuth2TrustedIssuer of the person, and Subject is
	// the person's subject there.
	Issuer, Subject string
}

// ErrInvalidPerson is wrapped by the refusals of a person.
var ErrInvalidPerson = errors.New("a person is user:<name of the OAuth2TrustedIssuer>:<subject>, " +
	"and the subject is 1 to 255 printable ASCII characters without space")

// NewPerson returns the person of an issuer with a subject. The subject may have colons: the name
// of an issuer has none, so that two persons never have one sub.
func NewPerson(issuer, subject string) (Person, error) {
	if len(issuer) > maxIssuerLength || !isLabel(issuer) || len(subject) > MaxPersonSubject || !isVisible(subject) {
		return Person{}, ErrInvalidPerson
	}
	return Person{Issuer: issuer, Subject: subject}, nil
}

// ParsePerson reads the sub of a person.
func ParsePerson(sub string) (Person, error) {
	rest, isPerson := strings.CutPrefix(sub, personPrefix)
	issuer, subject, whole := strings.Cut(rest, ":")
	if !isPerson || !whole {
		return Person{}, ErrInvalidPerson
	}
	return NewPerson(issuer, subject)
}

// isVisible reports whether s has visible ASCII characters, and nothing else. A space at an end
// would be lost in a header.
func isVisible(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c >= 0x7f {
			return false
		}
	}
	return s != ""
}

// IsZero reports whether there is no person.
func (p Person) IsZero() bool { return p == Person{} }

// String is the sub of the person; empty for the zero Person.
func (p Person) String() string {
	if p.IsZero() {
		return ""
	}
	return personPrefix + p.Issuer + ":" + p.Subject
}

// Person is the person for whom the token acts; the zero Person if it acts for a client.
func (c *Claims) Person() Person {
	if !c.forPerson() {
		return Person{}
	}
	// the zero Person is none of a token's: see soundSubject
	person, _ := ParsePerson(c.Subject)
	return person
}

// forPerson reports whether the token acts for a person.
func (c *Claims) forPerson() bool { return strings.HasPrefix(c.Subject, personPrefix) }

// SubjectType is the sub_type of the token.
func (c *Claims) SubjectType() string {
	if c.forPerson() {
		return SubjectIsUser
	}
	return SubjectIsClient
}

// Acting is for whom the token acts, as far as consents distinguish it.
func (c *Claims) Acting() (a Acting) {
	if c.forPerson() {
		a |= ForUser
	}
	if c.Exchanged() {
		a |= ForExchanged
	}
	return a
}

// soundPerson reports whether the token of a person is one that Hallpass issues. Custom claims
// would be taken for claims about the person.
func (c *Claims) soundPerson() bool {
	_, err := ParsePerson(c.Subject)
	return err == nil && c.TokenUID == "" && len(c.Custom) == 0
}

// appendSubjectType writes the sub_type of the token of a person. The tokens of clients have none.
func (c *Claims) appendSubjectType(o *strictjson.Builder) {
	if c.forPerson() {
		o.Text("sub_type", SubjectIsUser)
	}
}

var errSubjectType = errors.New("sub_type is not that of sub")

// checkSubjectType refuses a token whose sub_type is not that of its sub.
func (c *Claims) checkSubjectType(object strictjson.Object) error {
	written, err := object.OptionalString("sub_type")
	if err != nil || c.forPerson() != (written == SubjectIsUser) || !c.forPerson() && written != "" {
		return errSubjectType
	}
	return nil
}

// Acting is for whom a client acts. The zero Acting is for itself; both bits are for a person whose
// token was sent to the client.
type Acting uint8

const (
	// ForUser is for a person.
	ForUser Acting = 1 << iota
	// ForExchanged is for the subject of a token that the client exchanges.
	ForExchanged
)

// ConsentsTo are the consents of the owner to clients that act for others. One to exchanged tokens
// of persons comes from one grant that lists both: two grants, one for persons who log in at a
// client, and one for tokens that another client was sent, do not add up to it.
func (r *Resource) ConsentsTo(a Acting) []Consent {
	switch a {
	case ForUser:
		return r.Users
	case ForExchanged:
		return r.Exchanged
	case ForUser | ForExchanged:
		return r.ExchangedUsers
	default:
		return r.Consents
	}
}

// holds reports whether no such token is issued at the resource, because a token server may not
// read it.
func (r *Resource) holds(a Acting) bool {
	return a&ForUser != 0 && r.UsersHeld || a&ForExchanged != 0 && r.ExchangeHeld
}

// Actings are for whom the grant types let a client act beside itself.
func (g GrantTypes) Actings() (list []Acting) {
	if g.Has(JWTBearer) || g.Has(AuthorizationCode) {
		list = append(list, ForUser)
	}
	if g.Has(TokenExchange) {
		list = append(list, ForExchanged, ForUser|ForExchanged)
	}
	return list
}
