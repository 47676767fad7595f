// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"math/big"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// AssertionType is the client_assertion_type of a JWT (RFC 7523 section 2.2).
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// The bounds of an assertion.
const (
	// DefaultAssertionLife bounds how far ahead exp may be: its jti is remembered until then. A
	// client may have another bound, from MinAssertionLife to MaxAssertionLife, or to
	// MaxGrantLife for an assertion that is the grant.
	DefaultAssertionLife = 5 * time.Minute
	MinAssertionLife     = time.Minute
	MaxAssertionLife     = 10 * time.Minute
	// MaxGrantLife is that of the assertions of the OpenTelemetry collector, which sends them
	// as the grant and has no setting for it.
	MaxGrantLife = 30 * time.Minute
	// assertionSkew is how far the client's clock may differ from ours.
	assertionSkew  = time.Minute
	maxAssertionID = 256
)

// isAssertionType reports whether an assertion may have this typ header; many have none.
func isAssertionType(messageType string) bool {
	switch messageType {
	case "", "JWT", "client-authentication+jwt":
		return true
	}
	return false
}

// Assertion is a JWT that a client signs with its own key (RFC 7523), not verified yet.
type Assertion struct {
	// ClientID is the client that it claims to be from.
	ClientID string
	message  jws.Message
	// isGrant is whether it is the grant of the request, and not a client assertion beside it.
	isGrant bool
}

// maxLife is how far ahead exp may be, by the client's bound.
func (a *Assertion) maxLife(bound time.Duration) time.Duration {
	bound = cmp.Or(bound, DefaultAssertionLife)
	if a.isGrant {
		return bound
	}
	return min(bound, MaxAssertionLife)
}

// UsedAssertion is an assertion that authenticated its client. Its ID is used up until ExpiresAt,
// when no clock that is allowed for accepts it any more.
type UsedAssertion struct {
	ID        string
	ExpiresAt time.Time
	// KeyID is the RFC 7638 thumbprint of the key that signed it, for the audit line.
	KeyID string
}

// parseClientAssertion parses the assertion that authenticates a client beside its grant.
func parseClientAssertion(form Form) (Presented, error) {
	if form.Get("client_assertion_type") != AssertionType {
		return Presented{}, refuseClient(ReasonWrongMethod)
	}
	return parseAssertion(form.Get("client_assertion"), form.Get("client_id"))
}

// ParseAssertionGrant parses the assertion that is the grant of a token request (RFC 7523 section
// 2.1), and authenticates its client as a client assertion does.
func ParseAssertionGrant(authorization []string, form Form) (Presented, error) {
	switch {
	case len(authorization) > 0, form.Get("client_secret") != "", form.Get("client_assertion") != "", form.Get("client_assertion_type") != "":
		return Presented{}, Refuse(InvalidRequest, ReasonSeveralMethods,
			"the assertion of this grant authenticates the client; send no other credential beside it")
	case form.Get("assertion") == "":
		return Presented{}, Refuse(InvalidRequest, ReasonMalformedRequest, "assertion is missing; send the JWT in the parameter assertion")
	}
	presented, err := parseAssertion(form.Get("assertion"), form.Get("client_id"))
	if presented.Assertion != nil {
		presented.Assertion.isGrant = true
	}
	return presented, err
}

// parseAssertion parses the assertion of a client or a pod, or a JWT of another issuer. A client_id
// beside the JWT names the client if it is another one than the subject.
func parseAssertion(assertion, id string) (Presented, error) {
	message, err := jws.Parse(assertion)
	if err != nil {
		return Presented{}, refuseClient(ReasonMalformedCredential)
	}
	claims, err := strictjson.ParseObject(string(message.Unverified()))
	if err != nil {
		return Presented{}, refuseClient(ReasonMalformedCredential)
	}
	subject, err := claims.String("sub")
	if err == nil && isAccountSubject(subject) {
		return parseAccountToken(assertion, id, subject, claims, message)
	}
	issuer, isForeign := namesOtherIssuer(claims, subject)
	switch {
	case err != nil:
		return Presented{}, refuseClient(ReasonMalformedCredential)
	case id == "" && isForeign && (isAssertionType(message.Header.Type) || message.Header.Type == typeJOSE):
		return Presented{Method: FederatedJWT, ForeignToken: &ForeignToken{Issuer: issuer, Subject: subject, message: message, claims: claims}}, nil
	case id != "" && id != subject && ValidClientID(id):
		return Presented{Method: FederatedJWT, ForeignToken: &ForeignToken{ClientID: id, message: message, claims: claims}}, nil
	case id != "" && id != subject, !ValidClientID(subject):
		return Presented{}, refuseClient(ReasonMalformedCredential)
	}
	return Presented{Method: PrivateKeyJWT, Assertion: &Assertion{ClientID: subject, message: message}}, nil
}

// AuthenticateAssertion decides whether an assertion is signed by a key of an active client and
// made for this issuer. The caller checks whether it was used before. Each path verifies one
// signature of the algorithm in the header, so that the time does not reveal which clients are
// registered.
func (i Issuer) AuthenticateAssertion(presented Presented, record func(clientID string) Record, now time.Time) (Record, UsedAssertion, error) {
	assertion := presented.Assertion
	found := record(assertion.ClientID)
	key, registered := found.Client.assertionKey(assertion.message.Header)
	payload, err := assertion.message.Verify(key)
	denial := found.Denial()
	switch {
	case found.Client == nil:
		return Record{}, UsedAssertion{}, refuseClient(ReasonUnknownClient)
	case !found.Client.Credentials.KeysOnly:
		return Record{}, UsedAssertion{}, refuseClient(ReasonWrongMethod)
	case found.Client.Credentials.Keys == "":
		// the condition of the client names what is wrong with its keys
		return Record{}, UsedAssertion{}, refuseClient(cmp.Or(denial, ReasonInvalidJWKS))
	case err != nil, !registered, !isAssertionType(assertion.message.Header.Type):
		return Record{}, UsedAssertion{}, refuseClient(ReasonWrongAssertion)
	}
	used, err := i.readAssertion(payload, found.Client, assertion, now)
	if err != nil {
		return Record{}, UsedAssertion{}, err
	}
	if denial != "" {
		return Record{}, UsedAssertion{}, refuseClient(denial)
	}
	if used.KeyID, err = jws.Thumbprint(key.Key); err != nil {
		return Record{}, UsedAssertion{}, refuseClient(ReasonWrongAssertion)
	}
	return found, used, nil
}

// assertionKey returns the client's key that the header selects: by kid, or the only one without a
// kid. If there is none, it returns a decoy of the same algorithm.
func (c *Client) assertionKey(header jws.Header) (key jws.PublicKey, registered bool) {
	if c != nil && c.Credentials.KeysOnly {
		if key, err := c.Credentials.Keys.Key(header); err == nil {
			return key, true
		}
	}
	return jws.PublicKey{Algorithm: header.Algorithm, Key: decoyKey(header.Algorithm)}, false
}

// decoyKey is a key that accepts no signature. Verifying with it costs as much as with a real one.
func decoyKey(algorithm jws.Algorithm) crypto.PublicKey {
	switch algorithm {
	case jws.RS256, jws.PS256:
		modulus := new(big.Int).Lsh(big.NewInt(1), jws.MinRSABits-1)
		return &rsa.PublicKey{N: modulus.SetBit(modulus, 0, 1), E: 1<<16 + 1}
	case jws.EdDSA:
		key := make(ed25519.PublicKey, ed25519.PublicKeySize)
		for i := range key {
			key[i] = 0x66
		}
		key[0] = 0x58 // the base point
		return key
	default:
		curve := elliptic.P256().Params()
		point := append([]byte{4}, append(curve.Gx.FillBytes(make([]byte, 32)), curve.Gy.FillBytes(make([]byte, 32))...)...)
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			panic("oauth2: internal error: the base point is not on its curve: " + err.Error())
		}
		return key
	}
}

// readAssertion checks the claims of RFC 7523 section 3 after the signature: the client as issuer
// and subject, this issuer as the only audience, an exp within the client's bound, and an id. The
// caller holds the client's key, so the error names the rule that its assertion breaks.
func (i Issuer) readAssertion(payload []byte, client *Client, assertion *Assertion, now time.Time) (UsedAssertion, error) {
	claims, err := strictjson.ParseObject(string(payload))
	if err != nil {
		return UsedAssertion{}, refuseAssertion(ReasonWrongAssertion, "its payload is not a JSON object with distinct members")
	}
	issuer, issuerErr := claims.String("iss")
	subject, subjectErr := claims.String("sub")
	id, idErr := claims.String("jti")
	expires, expiresErr := claims.Seconds("exp")
	since := int64(0)
	var sinceErr error
	for _, name := range []string{"nbf", "iat"} {
		if _, there := claims[name]; there {
			seconds, err := claims.Seconds(name)
			since, sinceErr = max(since, seconds), errors.Join(sinceErr, err)
		}
	}
	end, longest := time.Unix(expires, 0).UTC(), assertion.maxLife(client.Credentials.MaxAssertionLife)
	switch {
	case issuerErr != nil, subjectErr != nil, issuer != client.ID, subject != client.ID:
		return UsedAssertion{}, refuseAssertion(ReasonWrongAssertion, "iss and sub must both be the client_id")
	case !i.isOnlyAudience(claims["aud"]):
		return UsedAssertion{}, refuseAssertion(ReasonWrongAssertion, "aud must be the issuer and nothing else")
	case idErr != nil, len(id) > maxAssertionID:
		return UsedAssertion{}, refuseAssertion(ReasonWrongAssertion, "jti must be a string of 1 to 256 bytes")
	case expiresErr != nil, sinceErr != nil:
		return UsedAssertion{}, refuseAssertion(ReasonWrongAssertion, "exp must be there, and exp, nbf and iat must be numbers of seconds")
	case !now.Before(end.Add(assertionSkew)):
		return UsedAssertion{}, refuseAssertion(ReasonAssertionExpired, "it has expired: exp is in the past")
	case end.Sub(now) > longest+assertionSkew:
		return UsedAssertion{}, refuseAssertion(ReasonAssertionExpired, "exp is more than "+longest.String()+" ahead")
	case time.Unix(since, 0).After(now.Add(assertionSkew)):
		return UsedAssertion{}, refuseAssertion(ReasonAssertionExpired, "nbf or iat is in the future")
	}
	return UsedAssertion{ID: id, ExpiresAt: end.Add(assertionSkew)}, nil
}

// refuseAssertion refuses an assertion whose signature is good.
func refuseAssertion(reason Reason, rule string) *Error {
	return Refuse(InvalidClient, reason, failedAuthentication+": the signature of the assertion is good, but "+rule)
}

// isOnlyAudience reports whether aud is this issuer alone. An assertion for several servers could
// have been passed on by one of them.
func (i Issuer) isOnlyAudience(aud string) bool {
	only, ok := onlyAudience(aud)
	return ok && only == i.String()
}

// onlyAudience returns the only value of aud.
func onlyAudience(aud string) (string, bool) {
	raw := []byte(aud)
	var one *string
	if json.Unmarshal(raw, &one) == nil {
		if one == nil {
			return "", false
		}
		return *one, true
	}
	var list []*string
	if json.Unmarshal(raw, &list) != nil || len(list) != 1 || list[0] == nil {
		return "", false
	}
	return *list[0], true
}
