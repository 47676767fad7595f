// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// ForeignToken is a JWT as an assertion that may be of a trusted issuer, not verified yet.
type ForeignToken struct {
	// ClientID is the client that the request names. Its registration names the issuer: nothing
	// in the JWT does.
	ClientID string
	message  jws.Message
	// claims are those of the payload if they were read already. They are not used before the
	// signature is verified.
	claims strictjson.Object
}

// UsedForeignToken is the JWT of a trusted issuer that authenticated a client.
type UsedForeignToken struct {
	// ID is its jti if that looks like an identifier, for the audit line.
	ID string
	// Once is set if the JWT is used up: its issuer and its jti, until ExpiresAt.
	Once *UsedOnce
}

// UsedOnce is what identifies a JWT that is accepted once.
type UsedOnce struct {
	Issuer, ID string
	ExpiresAt  time.Time
}

// Foreign returns the assertion as the JWT of a trusted issuer; nil if it is no JWT, or the request
// names no client. Only the registration of the client decides whether it is one.
func (p Presented) Foreign() *ForeignToken {
	switch {
	case p.ForeignToken != nil:
		return p.ForeignToken
	case p.Assertion != nil:
		return &ForeignToken{ClientID: p.Assertion.ClientID, message: p.Assertion.message}
	case p.AccountToken != nil && p.AccountToken.ClientID != "":
		return &ForeignToken{ClientID: p.AccountToken.ClientID, message: p.AccountToken.message}
	}
	return nil
}

// errNamesNoClient refuses the JWT of another issuer in a request without a client_id.
func errNamesNoClient() *Error {
	return Refuse(InvalidRequest, ReasonClientIDNeeded,
		"the issuer of the assertion is another one than its subject, and the request names no client; send client_id beside the assertion")
}

// namesOtherIssuer reports whether a JWT has the iss of an issuer outside: a client's own assertion
// has its client_id there.
func namesOtherIssuer(claims strictjson.Object, subject string) bool {
	issuer, err := claims.OptionalString("iss")
	return err == nil && strings.HasPrefix(issuer, "https://") && issuer != subject
}

// Federation is what JWTs of trusted issuers are verified by.
type Federation struct {
	// Issuer is this issuer, and Cluster that of the tokens of this cluster's service accounts.
	Issuer, Cluster string
	// Record returns a client by its client_id, and Trusted a trusted issuer by its name; nil
	// if there is none.
	Record  func(clientID string) Record
	Trusted func(name string) *TrustedIssuer
}

// Authenticate decides whether a JWT is one that a client names, of the trusted issuer that it
// names, which lets its namespace use it, and for this issuer only. Each path verifies one
// signature of the algorithm in the header, so that the time does not reveal which clients are
// registered. Every user of a platform can have JWTs signed there, so the answer describes what is
// wrong with a JWT only if its subject and claims are those that the client names.
func (f Federation) Authenticate(token *ForeignToken, now time.Time) (Record, UsedForeignToken, error) {
	found := f.Record(token.ClientID)
	federated := found.Client.Federated()
	var issuer *TrustedIssuer
	if federated != nil {
		issuer = f.Trusted(federated.IssuerName)
	}
	key, known := issuer.verificationKey(token.message.Header)
	payload, err := token.message.Verify(key)
	denial := found.Denial()
	reason := Reason("")
	switch {
	case found.Client == nil:
		reason = ReasonUnknownClient
	case federated == nil:
		reason = ReasonWrongMethod
	case issuer == nil:
		reason = cmp.Or(denial, ReasonIssuerNotFound)
	case f.isOwn(issuer.Issuer):
		reason = ReasonOwnIssuer
	case issuer.Suspended:
		reason = ReasonIssuerSuspended
	case !issuer.Lets(found.Client.Namespace, *federated):
		reason = ReasonNotAllowedByIssuer
	case issuer.isStale(now):
		reason = ReasonKeysStale
	case !known:
		reason = ReasonAssertionKeyUnknown
	case err != nil:
		reason = ReasonWrongAssertion
	}
	if reason != "" {
		return Record{}, UsedForeignToken{}, refuseClient(reason)
	}
	used, err := f.read(token, payload, issuer, found.Client, now)
	if err != nil {
		return Record{}, UsedForeignToken{}, err
	}
	if denial != "" {
		return Record{}, UsedForeignToken{}, refuseClient(denial)
	}
	return found, used, nil
}

// isOwn reports whether an issuer is this one, or that of the cluster. The manager does not publish
// such an issuer, and the cluster may have got its issuer since.
func (f Federation) isOwn(issuer string) bool {
	return SameIssuer(issuer, f.Issuer) || f.Cluster != "" && SameIssuer(issuer, f.Cluster)
}

// verificationKey returns the key that the header selects. If there is none, it returns a decoy of
// the same algorithm.
func (t *TrustedIssuer) verificationKey(header jws.Header) (key jws.PublicKey, known bool) {
	if t != nil && t.verifies(header.Algorithm) {
		if key, err := t.Keys.Key(header); err == nil {
			return key, true
		}
	}
	return jws.PublicKey{Algorithm: header.Algorithm, Key: decoyKey(header.Algorithm)}, false
}

// read checks the claims after the signature: first whose JWT it is, and then its audience and its
// times. The error names the rule that it breaks only if it is the JWT of the client.
func (f Federation) read(token *ForeignToken, payload []byte, issuer *TrustedIssuer, client *Client, now time.Time) (UsedForeignToken, error) {
	claims, messageType := token.claims, token.message.Header.Type
	if claims == nil {
		var err error
		if claims, err = strictjson.ParseObject(payload); err != nil {
			return UsedForeignToken{}, refuseClient(ReasonWrongAssertion)
		}
	}
	named, issuerErr := claims.String("iss")
	subject, subjectErr := claims.String("sub")
	federated := client.Credentials.Federated
	switch {
	case issuerErr != nil, named != issuer.Issuer, subjectErr != nil:
		return UsedForeignToken{}, refuseClient(ReasonWrongAssertion)
	case !federated.Binds(), !federated.subjectMatches(subject):
		return UsedForeignToken{}, refuseClient(ReasonWrongSubject)
	case !federated.claimsMatch(claims):
		return UsedForeignToken{}, refuseClient(ReasonWrongClaim)
	case !slices.ContainsFunc(issuer.Delegations, func(d Delegation) bool { return d.admits(client.Namespace, subject, claims) }):
		return UsedForeignToken{}, refuseClient(ReasonNotAllowedByIssuer)
	case !isAssertionType(messageType):
		return UsedForeignToken{}, refuseAssertion(ReasonWrongAssertion, "its typ is that of another kind of token")
	case !f.isAudience(claims["aud"], issuer.Audiences):
		return UsedForeignToken{}, refuseAssertion(ReasonAssertionAudience, "aud must be one audience that the issuer is trusted for and nothing else")
	}
	return readForeignTimes(claims, issuer, now)
}

// isAudience reports whether aud is one of the audiences, alone.
func (f Federation) isAudience(aud string, audiences []string) bool {
	only, ok := onlyAudience(aud)
	if len(audiences) == 0 {
		return ok && only == f.Issuer
	}
	return ok && slices.Contains(audiences, only)
}

// readTimes checks the times of a JWT of a trusted issuer, which lives as long at most, and returns
// its end. refuse words a refusal.
func readTimes(claims strictjson.Object, longest time.Duration, now time.Time, refuse func(Reason, string) *Error) (end time.Time, err error) {
	expires, expiresErr := claims.Seconds("exp")
	issued, issuedErr := claims.Seconds("iat")
	since, sinceErr := issued, error(nil)
	if _, there := claims["nbf"]; there {
		var notBefore int64
		notBefore, sinceErr = claims.Seconds("nbf")
		since = max(since, notBefore)
	}
	end = time.Unix(expires, 0).UTC()
	switch {
	case errors.Join(expiresErr, issuedErr, sinceErr) != nil:
		return end, refuse(ReasonWrongAssertion, "exp and iat must be there, and exp, iat and nbf must be numbers of seconds")
	case end.Sub(time.Unix(issued, 0)) > longest:
		return end, refuse(ReasonAssertionTooLong, "it lives longer than "+longest.String()+", from iat to exp")
	case !now.Before(end.Add(assertionSkew)):
		return end, refuse(ReasonAssertionExpired, "it has expired: exp is in the past")
	case time.Unix(since, 0).After(now.Add(assertionSkew)):
		return end, refuse(ReasonAssertionExpired, "nbf or iat is in the future")
	}
	return end, nil
}

// readForeignTimes checks the times of a JWT, and its jti where each is accepted once.
func readForeignTimes(claims strictjson.Object, issuer *TrustedIssuer, now time.Time) (UsedForeignToken, error) {
	end, err := readTimes(claims, cmp.Or(issuer.MaxLife, DefaultForeignLife), now, refuseAssertion)
	if err != nil {
		return UsedForeignToken{}, err
	}
	used := UsedForeignToken{ID: auditID(claims)}
	if !issuer.Once {
		return used, nil
	}
	id, err := claims.String("jti")
	if err != nil || len(id) > maxAssertionID {
		return UsedForeignToken{}, refuseAssertion(ReasonWrongAssertion, "jti must be a string of 1 to 256 bytes, because each JWT of this issuer is accepted once")
	}
	used.Once = &UsedOnce{Issuer: issuer.Issuer, ID: id, ExpiresAt: end.Add(assertionSkew)}
	return used, nil
}
