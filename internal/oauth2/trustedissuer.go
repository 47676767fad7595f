// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// The bounds of the life of a trusted issuer's JWT, from iat to exp.
const (
	MinForeignLife     = time.Minute
	MaxForeignLife     = 24 * time.Hour
	DefaultForeignLife = time.Hour
)

// TrustedIssuer is an issuer outside of Hallpass whose JWTs authenticate clients, or name the
// person for whom a client acts. A shared one is immutable.
type TrustedIssuer struct {
	// Name is that of the OAuth2TrustedIssuer, and UID its UID.
	Name, UID string
	// Issuer is the iss of its JWTs, or the SPIFFE ID of a trust domain; see TrustDomainID.
	Issuer    string
	Uses      IssuerUses
	Suspended bool
	Keys      IssuerKeys
	// Algorithms sign its JWTs; none stands for all.
	Algorithms []jws.Algorithm
	// Audiences are the values of aud of which a JWT has exactly one; none stands for our
	// issuer.
	Audiences []string
	// MaxLife bounds the time from iat to exp; zero means DefaultForeignLife.
	MaxLife time.Duration
	// Once accepts each JWT once.
	Once bool
	// Delegations are the namespaces whose clients may use it.
	Delegations []Delegation
	// Login is set if persons may log in at the issuer. DisplayName is its name for them, and
	// CABundle (PEM) and AllowedCIDRs are how its host is reached.
	Login        *Login
	DisplayName  string
	CABundle     []byte
	AllowedCIDRs []string
}

// IssuerKeys are the keys of an issuer, and when they are used.
type IssuerKeys struct {
	Set jws.PackedKeys
	// FetchedAt is when the keys were fetched, and Until when they are no longer used. Keys
	// that are not fetched have neither.
	FetchedAt, Until time.Time
}

// IssuerUses are what the JWTs of an issuer are trusted for. The zero value is UseClient alone, and
// no use follows from another one.
type IssuerUses uint8

// The uses of an issuer.
const (
	// UseClient authenticates clients.
	UseClient IssuerUses = 1 << iota
	// UsePerson names persons.
	UsePerson
)

// issuerUses has the name of each use in the API and in the stored form.
var issuerUses = [...]struct { //nolint:gochecknoglobals // a constant table
	bit  IssuerUses
	name string
}{{UseClient, "Client"}, {UsePerson, "Person"}}

// IssuerUsesOf returns the uses of the names, which are those of the API. ok is false if there are
// names and none is known. Unknown ones beside others are left out: they allow nothing.
func IssuerUsesOf(names []string) (u IssuerUses, ok bool) {
	for _, use := range issuerUses {
		if slices.Contains(names, use.name) {
			u |= use.bit
		}
	}
	if u == UseClient {
		return 0, true
	}
	return u, u != 0 || len(names) == 0
}

// Names are the names of the uses; nil for the zero value.
func (u IssuerUses) Names() (names []string) {
	for _, use := range issuerUses {
		if u&use.bit != 0 {
			names = append(names, use.name)
		}
	}
	return names
}

// Has reports whether a use is one of them.
func (u IssuerUses) Has(use IssuerUses) bool {
	if u == 0 {
		u = UseClient
	}
	return u&use != 0
}

// Delegation lets the clients of namespaces use a trusted issuer.
type Delegation struct {
	// Namespaces are sorted.
	Namespaces []string
	// SubjectPrefixes are beginnings of sub, of which a JWT has one; none stands for all.
	SubjectPrefixes []string
	// Claims are required of each JWT.
	Claims []RequiredClaim
}

// RequiredClaim is a claim that a JWT must have, with one of the values.
type RequiredClaim struct {
	Name   string
	Values []string
}

// Federated are the JWTs of a trusted issuer that authenticate a client. One of Subject,
// SubjectPrefix and Claims is set at least.
type Federated struct {
	IssuerName             string
	Subject, SubjectPrefix string
	Claims                 []RequiredClaim
}

// Binds reports whether it names any JWT at all: without a subject, a prefix and claims it would
// accept each JWT of the issuer.
func (f Federated) Binds() bool {
	return f.Subject != "" || f.SubjectPrefix != "" || len(f.Claims) > 0
}

// maxTrustedIssuer bounds the issuer of an OAuth2TrustedIssuer.
const maxTrustedIssuer = 255

// MayBeIssuer reports whether a trusted issuer may have an iss at all.
func MayBeIssuer(iss string) bool {
	return len(iss) <= maxTrustedIssuer && strings.HasPrefix(iss, "https://")
}

// SameIssuer reports whether two issuers are one to most readers: they may differ by the case of
// letters and by slashes at the end.
func SameIssuer(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, "/"), strings.TrimRight(b, "/"))
}

// IsClusterDefault reports whether an issuer has a name that each cluster uses for itself by
// default, so that it is the same in each cluster.
func IsClusterDefault(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	return host == "kubernetes" || host == "kubernetes.default" || host == "kubernetes.default.svc" || strings.HasPrefix(host, "kubernetes.default.svc.")
}

// Lets reports whether the issuer lets the clients of a namespace use the JWTs that a client names.
// A client with claims alone is let, and each JWT is compared with the delegation.
func (t *TrustedIssuer) Lets(namespace string, f Federated) bool {
	return t.Uses.Has(UseClient) && slices.ContainsFunc(t.Delegations, func(d Delegation) bool { return d.lets(namespace, f) })
}

// Delegates reports whether the issuer lets a namespace use any of its JWTs.
func (t *TrustedIssuer) Delegates(namespace string) bool {
	return slices.ContainsFunc(t.Delegations, func(d Delegation) bool { return d.hasNamespace(namespace) })
}

// issued reports whether the claims of a JWT are those of the issuer. A JWT-SVID has the trust
// domain in its sub, and its iss has no meaning.
func (t *TrustedIssuer) issued(claims strictjson.Object) bool {
	if t.isSPIFFE() {
		subject, err := claims.String("sub")
		return err == nil && trustDomainOf(subject) == t.Issuer
	}
	issuer, err := claims.String("iss")
	return err == nil && issuer == t.Issuer
}

// workloadOf returns the workload that a JWT is from, and its claims. The workload is zero if the
// delegations admit the JWT for no namespace, or for several.
func (t *TrustedIssuer) workloadOf(token *ForeignToken, payload []byte) (w Workload, claims strictjson.Object, _ error) {
	claims, err := token.read(payload)
	if err != nil {
		return w, nil, err
	}
	subject, err := claims.String("sub")
	if err != nil || !t.issued(claims) {
		return w, nil, refuseClient(ReasonWrongAssertion)
	}
	for _, d := range t.Delegations {
		for _, namespace := range d.Namespaces {
			switch {
			case w.Namespace == namespace, !d.admits(namespace, subject, claims):
			case w.Namespace != "":
				return Workload{}, claims, nil
			default:
				w = Workload{Namespace: namespace, IssuerName: t.Name, Subject: subject}
			}
		}
	}
	return w, claims, nil
}

// SharedByNamespaces returns two namespaces to which the delegations could admit one JWT; ok is
// false if there are none. A request with such a JWT has to name its client.
func (t *TrustedIssuer) SharedByNamespaces() (one, other string, ok bool) {
	if !t.Uses.Has(UseClient) {
		return "", "", false
	}
	for i, d := range t.Delegations {
		for _, e := range t.Delegations[i:] {
			names := slices.Concat(d.Namespaces, e.Namespaces)
			slices.Sort(names)
			if names = slices.Compact(names); len(names) > 1 && d.overlaps(e) {
				return names[0], names[1], true
			}
		}
	}
	return "", "", false
}

// overlaps reports whether two delegations could admit one JWT, but for their namespaces.
func (d Delegation) overlaps(e Delegation) bool {
	meet := len(d.SubjectPrefixes) == 0 || len(e.SubjectPrefixes) == 0 || slices.ContainsFunc(d.SubjectPrefixes, func(a string) bool {
		return slices.ContainsFunc(e.SubjectPrefixes, func(b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) })
	})
	return meet && !slices.ContainsFunc(d.Claims, func(a RequiredClaim) bool {
		return slices.ContainsFunc(e.Claims, func(b RequiredClaim) bool {
			return a.Name == b.Name && !slices.ContainsFunc(a.Values, func(value string) bool { return slices.Contains(b.Values, value) })
		})
	})
}

// PersonDenial returns why clients of a namespace may not act for a person of the issuer, or "".
// It is asked each time that a token of the person is used.
func (t *TrustedIssuer) PersonDenial(namespace, subject string) Reason {
	admits := func(d Delegation) bool { return d.hasNamespace(namespace) && d.hasPrefixOf(subject) }
	switch {
	case t == nil:
		return ReasonIssuerNotFound
	case t.Suspended:
		return ReasonIssuerSuspended
	case !t.Uses.Has(UsePerson), !slices.ContainsFunc(t.Delegations, admits):
		return ReasonNotAllowedByIssuer
	}
	return ""
}

func (d Delegation) hasNamespace(namespace string) bool {
	_, found := slices.BinarySearch(d.Namespaces, namespace)
	return found
}

func (d Delegation) lets(namespace string, f Federated) bool {
	if !d.hasNamespace(namespace) || !f.Binds() {
		return false
	}
	if begin := cmp.Or(f.Subject, f.SubjectPrefix); begin != "" && !d.hasPrefixOf(begin) {
		return false
	}
	return !slices.ContainsFunc(d.Claims, func(required RequiredClaim) bool {
		return slices.ContainsFunc(f.Claims, func(c RequiredClaim) bool { return c.Name == required.Name && !c.within(required) })
	})
}

func (d Delegation) hasPrefixOf(subject string) bool {
	return len(d.SubjectPrefixes) == 0 || slices.ContainsFunc(d.SubjectPrefixes, func(prefix string) bool { return strings.HasPrefix(subject, prefix) })
}

// within reports whether each value of the claim is one of another's.
func (c RequiredClaim) within(other RequiredClaim) bool {
	return !slices.ContainsFunc(c.Values, func(value string) bool { return !slices.Contains(other.Values, value) })
}

// admits reports whether the JWT of a client of a namespace is one of the delegation's.
func (d Delegation) admits(namespace, subject string, claims strictjson.Object) bool {
	return d.hasNamespace(namespace) && d.hasPrefixOf(subject) && haveClaims(claims, d.Claims)
}

// subjectMatches and claimsMatch compare a JWT with the client.
func (f Federated) subjectMatches(subject string) bool {
	if f.Subject != "" {
		return subject == f.Subject
	}
	return strings.HasPrefix(subject, f.SubjectPrefix)
}

func (f Federated) claimsMatch(claims strictjson.Object) bool { return haveClaims(claims, f.Claims) }

func haveClaims(claims strictjson.Object, required []RequiredClaim) bool {
	return !slices.ContainsFunc(required, func(r RequiredClaim) bool {
		value, ok := claimText(claims[r.Name])
		return !ok || !slices.Contains(r.Values, value)
	})
}

// claimText returns the text that a claim is compared by: that of a string, and the JSON form of a
// whole number, of true and of false. No other value is compared.
func claimText(raw string) (string, bool) {
	switch {
	case raw == "":
		return "", false
	case raw[0] == '"':
		value, err := strictjson.StringMember("", raw)
		return value, err == nil
	case raw == "true", raw == "false":
		return raw, true
	}
	digits := strings.TrimPrefix(raw, "-")
	return raw, strings.Trim(digits, "0123456789") == ""
}

// verifies reports whether the issuer signs with an algorithm.
func (t *TrustedIssuer) verifies(algorithm jws.Algorithm) bool {
	return len(t.Algorithms) == 0 || slices.Contains(t.Algorithms, algorithm)
}

// isStale reports whether its keys are too old to be used.
func (t *TrustedIssuer) isStale(now time.Time) bool {
	return !t.Keys.Until.IsZero() && !now.Before(t.Keys.Until)
}
