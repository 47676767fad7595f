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
	// Issuer and Subject are what the JWT claims to have, if the request names no client.
	Issuer, Subject string
	message         jws.Message
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

// Foreign returns the assertion as the JWT of a trusted issuer; nil if it is no JWT, or that of a
// service account and the request names no client. If the request names a client, only its
// registration decides whether it is one.
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

// ForeignAccount returns the token of a service account, in a request that names no client, as the
// JWT of the issuer that it claims to have: that of another cluster. It is nil for anything else,
// and without an iss that a trusted issuer may have.
func (p Presented) ForeignAccount() *ForeignToken {
	if p.OnlyAccount() == nil || !strings.HasPrefix(p.AccountToken.issuer, "https://") {
		return nil
	}
	account := p.AccountToken
	return &ForeignToken{
		Issuer: account.issuer, Subject: serviceAccountPrefix + account.Account.Namespace + ":" + account.Account.Name, message: account.message,
	}
}

// errNamesNoClient refuses the JWT of a trusted issuer in a request without a client_id.
func errNamesNoClient() *Error {
	return Refuse(InvalidRequest, ReasonClientIDNeeded,
		"the subject of the assertion does not identify one OAuth2Client, and the request names none; send client_id beside the assertion")
}

// namesOtherIssuer returns the issuer outside that a JWT claims to be of: its iss, which is the
// client_id in a client's own assertion, or the trust domain of its sub.
func namesOtherIssuer(claims strictjson.Object, subject string) (issuer string, is bool) {
	issuer, err := claims.OptionalString("iss")
	if err == nil && strings.HasPrefix(issuer, "https://") && issuer != subject {
		return issuer, true
	}
	issuer = trustDomainOf(subject)
	return issuer, issuer != ""
}

// isType reports whether a JWT of the issuer may have this typ header. JWT-SVID section 2.2 has
// another one.
func (t *TrustedIssuer) isType(messageType string) bool {
	return isAssertionType(messageType) || t.isSPIFFE() && messageType == typeJOSE
}

const typeJOSE = "JOSE"

// OfTrustDomain returns the JWT as one of the trust domain of its sub, whatever its iss; nil if its
// sub is no SPIFFE ID.
func (t *ForeignToken) OfTrustDomain() *ForeignToken {
	domain := trustDomainOf(t.Subject)
	if domain == "" {
		return nil
	}
	token := *t
	token.Issuer = domain
	return &token
}

// Federation is what JWTs of trusted issuers are verified by.
type Federation struct {
	// Issuer is this issuer, and Cluster that of the tokens of this cluster's service accounts.
	Issuer, Cluster string
	// Record returns a client by its client_id, and Trusted a trusted issuer by its name; nil
	// if there is none.
	Record  func(clientID string) Record
	Trusted func(name string) *TrustedIssuer
	// TrustedOf returns the trusted issuer that has an iss; nil if there is none. ClientsOf
	// returns clients that name a workload: one if there is no other, and two if there are
	// more. Both are asked about a request that names no client.
	TrustedOf func(iss string) *TrustedIssuer
	ClientsOf func(Workload) []Record
}

// Authenticate decides whether a JWT is one that a client names, of the trusted issuer that it
// names, which lets its namespace use it, and for this issuer only. Each path verifies one
// signature of the algorithm in the header, so that the time does not reveal which clients are
// registered. Every user of a platform can have JWTs signed there, so the answer describes what is
// wrong with a JWT only if its subject and claims are those that the client names.
func (f Federation) Authenticate(token *ForeignToken, now time.Time) (Record, UsedForeignToken, error) {
	if token.ClientID == "" {
		return f.authenticateSubject(token, now)
	}
	found := f.Record(token.ClientID)
	federated := found.Client.Federated()
	var issuer *TrustedIssuer
	if federated != nil {
		issuer = f.Trusted(federated.IssuerName)
	}
	payload, reason := f.verify(token, issuer, now)
	switch {
	case found.Client == nil:
		reason = ReasonUnknownClient
	case federated == nil:
		reason = ReasonWrongMethod
	case issuer == nil:
		reason = cmp.Or(found.Denial(), reason)
	}
	if reason != "" {
		return Record{}, UsedForeignToken{}, refuseClient(reason)
	}
	return f.admit(token, payload, issuer, found, now)
}

// authenticateSubject decides about a JWT in a request that names no client. Its iss selects the
// issuer, and its subject the client: if the issuer delegates the JWT to one namespace, the only
// client there that names the subject. Otherwise the request has to name its client, so that no
// tenant takes the JWTs of another one by naming their subject first.
func (f Federation) authenticateSubject(token *ForeignToken, now time.Time) (Record, UsedForeignToken, error) {
	issuer := f.TrustedOf(token.Issuer)
	payload, reason := f.verify(token, issuer, now)
	if reason != "" {
		return Record{}, UsedForeignToken{}, refuseClient(reason)
	}
	workload, claims, err := issuer.workloadOf(token, payload)
	if err != nil {
		return Record{}, UsedForeignToken{}, err
	}
	if workload != (Workload{}) {
		if clients := f.ClientsOf(workload); len(clients) == 1 {
			return f.admit(token, payload, issuer, clients[0], now)
		}
	}
	// only who has a JWT that is good in itself learns that
	if _, err := f.readUse(token, claims, issuer, now); err != nil {
		return Record{}, UsedForeignToken{}, err
	}
	return Record{}, UsedForeignToken{}, errNamesNoClient()
}

// WorkloadOf returns the workload that a JWT claims to be from, in a request that names no client;
// zero if it is none, or not one alone.
func (f Federation) WorkloadOf(token *ForeignToken) Workload {
	issuer := f.TrustedOf(token.Issuer)
	if issuer == nil {
		return Workload{}
	}
	workload, _, err := issuer.workloadOf(token, token.message.Unverified())
	if err != nil {
		return Workload{}
	}
	return workload
}

// verify verifies the signature of a JWT. Without an issuer, or for one that may not be used, it
// does so in vain and returns the reason of the refusal.
func (f Federation) verify(token *ForeignToken, issuer *TrustedIssuer, now time.Time) (payload []byte, _ Reason) {
	key, known := issuer.verificationKey(token.message.Header)
	payload, err := token.message.Verify(key)
	switch {
	case issuer == nil:
		return nil, ReasonIssuerNotFound
	case f.isOwn(issuer.Issuer):
		return nil, ReasonOwnIssuer
	case issuer.Suspended:
		return nil, ReasonIssuerSuspended
	case !issuer.Uses.Has(UseClient):
		return nil, ReasonNotAllowedByIssuer
	case issuer.isStale(now):
		return nil, ReasonKeysStale
	case !known:
		return nil, ReasonAssertionKeyUnknown
	case err != nil:
		return nil, ReasonWrongAssertion
	}
	return payload, ""
}

// admit decides whether a verified JWT of an issuer is one of a client.
func (f Federation) admit(token *ForeignToken, payload []byte, issuer *TrustedIssuer, found Record, now time.Time) (Record, UsedForeignToken, error) {
	if !issuer.Lets(found.Client.Namespace, *found.Client.Credentials.Federated) {
		return Record{}, UsedForeignToken{}, refuseClient(ReasonNotAllowedByIssuer)
	}
	used, err := f.read(token, payload, issuer, found.Client, now)
	if err != nil {
		return Record{}, UsedForeignToken{}, err
	}
	if denial := found.Denial(); denial != "" {
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
		if key, err := t.Keys.Set.Key(header); err == nil {
			return key, true
		}
	}
	return jws.PublicKey{Algorithm: header.Algorithm, Key: decoyKey(header.Algorithm)}, false
}

// read checks the claims after the signature: first whose JWT it is, and then its audience and its
// times. The error names the rule that it breaks only if it is the JWT of the client.
func (f Federation) read(token *ForeignToken, payload []byte, issuer *TrustedIssuer, client *Client, now time.Time) (UsedForeignToken, error) {
	claims, err := token.read(payload)
	if err != nil {
		return UsedForeignToken{}, err
	}
	subject, subjectErr := claims.String("sub")
	federated := client.Credentials.Federated
	switch {
	case !issuer.issued(claims), subjectErr != nil:
		return UsedForeignToken{}, refuseClient(ReasonWrongAssertion)
	case !federated.Binds(), !federated.subjectMatches(subject):
		return UsedForeignToken{}, refuseClient(ReasonWrongSubject)
	case !federated.claimsMatch(claims):
		return UsedForeignToken{}, refuseClient(ReasonWrongClaim)
	case !slices.ContainsFunc(issuer.Delegations, func(d Delegation) bool { return d.admits(client.Namespace, subject, claims) }):
		return UsedForeignToken{}, refuseClient(ReasonNotAllowedByIssuer)
	}
	return f.readUse(token, claims, issuer, now)
}

// read parses the payload, unless it was parsed already.
func (t *ForeignToken) read(payload []byte) (strictjson.Object, error) {
	if t.claims != nil {
		return t.claims, nil
	}
	claims, err := strictjson.ParseObject(string(payload))
	if err != nil {
		return nil, refuseClient(ReasonWrongAssertion)
	}
	return claims, nil
}

// readUse checks that a JWT is an assertion for this issuer, now.
func (f Federation) readUse(token *ForeignToken, claims strictjson.Object, issuer *TrustedIssuer, now time.Time) (UsedForeignToken, error) {
	switch {
	case !issuer.isType(token.message.Header.Type):
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
	issued, err := claims.Seconds("iat")
	return readTimesSince(claims, issued, err, longest, now, refuse)
}

// readTimesSince is readTimes of a JWT that was issued at an instant.
func readTimesSince(
	claims strictjson.Object, issued int64, issuedErr error, longest time.Duration, now time.Time, refuse func(Reason, string) *Error,
) (end time.Time, err error) {
	expires, expiresErr := claims.Seconds("exp")
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
	issued, err := claims.Seconds("iat")
	if _, there := claims["iat"]; !there && issuer.isSPIFFE() {
		issued, err = now.Unix(), nil // JWT-SVID section 3 does not require it
	}
	end, err := readTimesSince(claims, issued, err, cmp.Or(issuer.MaxLife, DefaultForeignLife), now, refuseAssertion)
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
