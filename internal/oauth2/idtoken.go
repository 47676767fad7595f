// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

const (
	// maxIDToken bounds an ID token. One of Microsoft Entra ID with 200 groups has about 14
	// KiB.
	maxIDToken = 32 << 10
	// maxIDTokenAge bounds the time since iat: a login takes ten minutes at most, and the nonce
	// is not known before.
	maxIDTokenAge = 10 * time.Minute
	// anyLife is no bound of the time from iat to exp, which is the decision of the identity
	// provider, and does not matter where iat is bounded.
	anyLife = time.Duration(math.MaxInt64)

	subjectClaim = "sub"
	emailClaim   = "email"
	groupsClaim  = "groups"
)

// LoggedIn is what an ID token proves about a login.
type LoggedIn struct {
	Person Person
	// AuthTime is when the person authenticated at the identity provider. It may be long ago.
	AuthTime time.Time
}

// LogIn decides whether an ID token of the issuer (OpenID Connect Core 1.0 section 3.1.3.7) logs a
// person in: whether it was issued to Hallpass, for the login with the nonce, and for a person who
// may log in, for the clients of a namespace.
func (t *TrustedIssuer) LogIn(idToken, nonce, namespace string, now time.Time) (LoggedIn, error) {
	if denial := t.LoginDenial(namespace); denial != "" {
		return LoggedIn{}, refuseLogin(denial)
	}
	if t.isStale(now) {
		return LoggedIn{}, &Error{
			Code: TemporarilyUnavailable, Reason: ReasonKeysStale,
			Description: "the keys of the identity provider could not be fetched for too long; ask the operator of Hallpass",
		}
	}
	message, err := jws.ParseUpTo(idToken, maxIDToken)
	if err != nil {
		return LoggedIn{}, refuseIDToken(ReasonWrongIDToken, "it is no JWT with a signature that is supported, or it is too long")
	}
	key, known := t.verificationKey(message.Header)
	payload, err := message.Verify(key)
	switch {
	case !known:
		return LoggedIn{}, refuseIDToken(ReasonIDTokenKeyUnknown, "the identity provider does not publish the key in its header, or does not sign with its algorithm")
	case err != nil:
		return LoggedIn{}, refuseIDToken(ReasonWrongIDToken, "its signature is wrong")
	case message.Header.Type != "" && !strings.EqualFold(message.Header.Type, "JWT"):
		return LoggedIn{}, refuseIDToken(ReasonWrongIDToken, "its typ is that of another kind of token")
	}
	return t.readIDToken(payload, nonce, namespace, now)
}

// readIDToken checks the claims after the signature.
func (t *TrustedIssuer) readIDToken(payload []byte, nonce, namespace string, now time.Time) (LoggedIn, error) {
	claims, err := strictjson.ParseObject(string(payload))
	if err != nil {
		return LoggedIn{}, refuseIDToken(ReasonWrongIDToken, "its payload is not a JSON object with distinct members")
	}
	named, issuerErr := claims.String("iss")
	its, nonceErr := claims.String("nonce")
	switch {
	case issuerErr != nil, named != t.Issuer:
		return LoggedIn{}, refuseIDToken(ReasonWrongIDToken, "its iss is that of another issuer")
	case !isIssuedTo(claims, t.Login.ClientID):
		return LoggedIn{}, refuseIDToken(ReasonIDTokenAudience, "aud must be the client_id of Hallpass at the identity provider, and azp too, if it is there or if aud has several values")
	case nonceErr != nil, nonce == "", its != nonce:
		return LoggedIn{}, refuseIDToken(ReasonIDTokenNonce, "its nonce is not that of this login")
	}
	at, err := readLoginTimes(claims, now)
	if err != nil {
		return LoggedIn{}, err
	}
	person, err := t.personOf(claims)
	if err != nil {
		return LoggedIn{}, refuseIDToken(ReasonWrongSubject, err.Error())
	}
	if err := t.mayLogIn(person, namespace, claims); err != nil {
		return LoggedIn{}, err
	}
	return LoggedIn{Person: person, AuthTime: at}, nil
}

// isIssuedTo reports whether an ID token was issued to a client (sections 2 and 3.1.3.7): it is the
// only audience, or one of several and the authorized party.
func isIssuedTo(claims strictjson.Object, clientID string) bool {
	audiences, err := claims.Strings("aud")
	party, partyErr := claims.OptionalString("azp")
	_, hasParty := claims["azp"]
	switch {
	case err != nil, partyErr != nil, clientID == "", !slices.Contains(audiences, clientID):
		return false
	case hasParty:
		return party == clientID
	}
	return len(audiences) == 1
}

// readLoginTimes checks the times of an ID token, and returns when the person authenticated.
func readLoginTimes(claims strictjson.Object, now time.Time) (time.Time, error) {
	refuse := func(reason Reason, rule string) *Error {
		if reason == ReasonAssertionExpired {
			return refuseIDToken(ReasonIDTokenExpired, rule)
		}
		return refuseIDToken(ReasonWrongIDToken, rule)
	}
	if _, err := readTimes(claims, anyLife, now, refuse); err != nil {
		return time.Time{}, err
	}
	seconds, err := claims.Seconds("iat") // readTimes has read it
	issued := time.Unix(seconds, 0).UTC()
	if err != nil || issued.Before(now.Add(-maxIDTokenAge-assertionSkew)) {
		return time.Time{}, refuseIDToken(ReasonIDTokenExpired, "its iat is too long ago: it is of an earlier login")
	}
	// AD FS may write it as text, and it decides nothing
	seconds, err = claims.Seconds("auth_time")
	if at := time.Unix(seconds, 0).UTC(); err == nil && at.Before(issued) {
		return at, nil
	}
	return issued, nil
}

// personOf returns the person of the claims of a JWT. The claim of the subject is the same for ID
// tokens and identity assertions, so that a person has one sub however a client acts for them.
func (t *TrustedIssuer) personOf(claims strictjson.Object) (Person, error) {
	name := subjectClaim
	if t.Login != nil {
		name = cmp.Or(t.Login.SubjectClaim, subjectClaim)
	}
	_, subErr := claims.String(subjectClaim)
	subject, err := claims.String(name)
	person, personErr := NewPerson(t.Name, subject)
	switch {
	case name == emailClaim:
		return Person{}, errors.New("email is no subject: an address can change hands")
	case subErr != nil:
		return Person{}, errors.New("sub must be there, and must be a string")
	case err != nil, personErr != nil:
		return Person{}, fmt.Errorf("%s must be 1 to %d printable ASCII characters without space", name, MaxPersonSubject)
	}
	return person, nil
}

// mayLogIn decides whether a person may log in, for the clients of a namespace.
func (t *TrustedIssuer) mayLogIn(person Person, namespace string, claims strictjson.Object) error {
	switch {
	case !t.admits(namespace, person.Subject, claims):
		return refuseLogin(ReasonNotAllowedByIssuer)
	case !haveClaims(claims, t.Login.Claims):
		return refuseLogin(ReasonPersonNotAllowed)
	case len(t.Login.Groups) == 0:
		return nil
	}
	name := cmp.Or(t.Login.GroupsClaim, groupsClaim)
	if _, there := claims[name]; !there && leavesOut(claims, name) {
		return refuseLogin(ReasonGroupsNotInToken)
	}
	groups, err := claims.Strings(name)
	isAllowed := func(group string) bool { return slices.Contains(t.Login.Groups, group) }
	if err != nil || !slices.ContainsFunc(groups, isAllowed) {
		return refuseLogin(ReasonPersonNotAllowed)
	}
	return nil
}

// leavesOut reports whether the claims refer to another place for a claim (OpenID Connect Core 1.0
// section 5.6.2), as Microsoft Entra ID does for a person of more than 200 groups.
func leavesOut(claims strictjson.Object, name string) bool {
	elsewhere, err := strictjson.ParseObject(claims["_claim_names"])
	_, is := elsewhere[name]
	return err == nil && is || claims["hasgroups"] == "true"
}

// refuseIDToken refuses an ID token. Neither the client nor the person can mend that.
func refuseIDToken(reason Reason, rule string) *Error {
	return Refuse(ServerError, reason, "the ID token of the identity provider is not accepted: "+rule)
}

// refuseLogin refuses a person, or each person. The description names who can change that.
func refuseLogin(reason Reason) *Error {
	description, known := loginRefusals[reason]
	if !known {
		description = "the OAuth2TrustedIssuer does not let this person use the clients of this namespace; ask the operator of Hallpass"
	}
	return Refuse(AccessDenied, reason, description)
}

var loginRefusals = map[Reason]string{ //nolint:gochecknoglobals // a constant table
	ReasonPersonNotAllowed:  "this person may not log in: spec.login.allowed of the OAuth2TrustedIssuer has other claims or groups; ask the operator of Hallpass",
	ReasonGroupsNotInToken:  "the identity provider leaves out the groups of this person, because they are too many; let it send only those that are assigned to Hallpass",
	ReasonIssuerSuspended:   "the OAuth2TrustedIssuer is suspended; ask the operator of Hallpass",
	ReasonIssuerNotFound:    noLogin,
	ReasonLoginNotAvailable: noLogin,
}

const noLogin = "there is no OAuth2TrustedIssuer at which persons can log in for this client; ask the operator of Hallpass"
