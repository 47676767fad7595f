// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

const (
	// IdentityAssertionType is the typ of an identity assertion, by which a client acts for a
	// person (draft-ietf-oauth-identity-assertion-authz-grant, ID-JAG).
	IdentityAssertionType = "oauth-id-jag+jwt"
	// IdentityAssertionProfile is the value of authorization_grant_profiles_supported.
	IdentityAssertionProfile = "urn:ietf:params:oauth:grant-profile:id-jag"
	// maxIdentityLife bounds the time from iat to exp of an identity assertion.
	maxIdentityLife = 5 * time.Minute
	// maxIdentityTargets bounds the resources in one.
	maxIdentityTargets = 16
)

// IdentityAssertion is an identity assertion that is not verified yet.
type IdentityAssertion struct {
	// Issuer is the iss that it claims to have.
	Issuer  string
	message jws.Message
}

// PersonRequest is a token request of a client that acts for a person.
type PersonRequest struct {
	// Assertion names the person.
	Assertion *IdentityAssertion
	// TokenRequest is what is asked for. Its Person is added once the assertion was verified.
	TokenRequest
}

// IsPersonRequest reports whether a request with grant type jwt-bearer has an identity assertion.
// Its client authenticates by a credential of its own: any other assertion authenticates it.
func IsPersonRequest(form Form) bool {
	if form.Get("grant_type") != GrantJWTBearer {
		return false
	}
	message, err := jws.Parse(form.Get("assertion"))
	return err == nil && message.Header.Type == IdentityAssertionType
}

// ParsePersonRequest reads the parameters of a request for which IsPersonRequest is true.
func ParsePersonRequest(form Form) (PersonRequest, error) {
	request, err := ParseTokenRequest(form)
	if err != nil {
		return PersonRequest{}, err
	}
	message, err := jws.Parse(form.Get("assertion"))
	if err != nil {
		return PersonRequest{}, refuseIdentity(ReasonWrongAssertion, "it is no JWT")
	}
	claims, err := strictjson.ParseObject(string(message.Unverified()))
	if err != nil {
		return PersonRequest{}, refuseIdentity(ReasonWrongAssertion, "its payload is not a JSON object with distinct members")
	}
	issuer, err := claims.String("iss")
	if err != nil {
		return PersonRequest{}, refuseIdentity(ReasonWrongAssertion, "iss must be a string")
	}
	return PersonRequest{Assertion: &IdentityAssertion{Issuer: issuer, message: message}, TokenRequest: request}, nil
}

// refuseIdentity refuses an identity assertion. Its client has authenticated, and learns why.
func refuseIdentity(reason Reason, rule string) *Error {
	return Refuse(InvalidGrant, reason, "the identity assertion is not accepted: "+rule)
}

// IdentityReplayed refuses an identity assertion that was used before.
func IdentityReplayed() *Error {
	return refuseIdentity(ReasonAssertionReplayed, "it was used before; get another one from its issuer")
}

// Identity has the claims of a verified identity assertion.
type Identity struct {
	Person Person
	// Once is by what it is used up.
	Once UsedOnce
	// AuditID is its jti if that looks like an identifier.
	AuditID string

	scopes    []string
	hasScopes bool
	targets   []string
}

// Identify decides whether an identity assertion was made for a client, by an issuer that is
// trusted for persons and lets the namespace of the client use it. issuer is the trusted one that
// has its iss; nil if there is none.
func (f Federation) Identify(assertion *IdentityAssertion, issuer *TrustedIssuer, client *Client, now time.Time) (Identity, error) {
	switch {
	case issuer == nil:
		return Identity{}, refuseIdentity(ReasonIssuerNotFound, "no OAuth2TrustedIssuer with use Person has its iss")
	case f.isOwn(issuer.Issuer):
		return Identity{}, refuseIdentity(ReasonOwnIssuer, "its iss is this issuer, or that of the cluster")
	case issuer.Suspended:
		return Identity{}, refuseIdentity(ReasonIssuerSuspended, "its OAuth2TrustedIssuer is suspended")
	case !issuer.Uses.Has(UsePerson), !issuer.Delegates(client.Namespace):
		return Identity{}, refuseIdentity(ReasonNotAllowedByIssuer, "its OAuth2TrustedIssuer does not let the namespace of this client act for its persons")
	case issuer.isStale(now):
		return Identity{}, refuseIdentity(ReasonKeysStale, "the keys of its issuer could not be fetched for too long")
	}
	key, known := issuer.verificationKey(assertion.message.Header)
	payload, err := assertion.message.Verify(key)
	switch {
	case !known:
		return Identity{}, refuseIdentity(ReasonAssertionKeyUnknown, "its issuer does not publish the key in its header, or does not sign with its algorithm")
	case err != nil:
		return Identity{}, refuseIdentity(ReasonWrongAssertion, "its signature is wrong")
	case assertion.message.Header.Type != IdentityAssertionType:
		return Identity{}, refuseIdentity(ReasonWrongAssertion, "its typ must be "+IdentityAssertionType)
	}
	return f.readIdentity(payload, issuer, client, now)
}

// readIdentity checks the claims after the signature.
func (f Federation) readIdentity(payload []byte, issuer *TrustedIssuer, client *Client, now time.Time) (Identity, error) {
	claims, err := strictjson.ParseObject(string(payload))
	if err != nil {
		return Identity{}, refuseIdentity(ReasonWrongAssertion, "its payload is not a JSON object with distinct members")
	}
	named, issuerErr := claims.String("iss")
	clientID, clientErr := claims.String("client_id")
	person, personErr := issuer.personOf(claims)
	_, bound := claims["cnf"]
	_, detailed := claims["authorization_details"]
	switch {
	case issuerErr != nil, named != issuer.Issuer:
		return Identity{}, refuseIdentity(ReasonWrongAssertion, "its iss is that of another issuer")
	case clientErr != nil, clientID != client.ID:
		return Identity{}, refuseIdentity(ReasonWrongClaim, "its client_id must be that of the client which sends it")
	case !f.isAudience(claims["aud"], issuer.Audiences):
		return Identity{}, refuseIdentity(ReasonAssertionAudience, "aud must be one audience that the issuer is trusted for and nothing else")
	case personErr != nil:
		return Identity{}, refuseIdentity(ReasonWrongSubject, personErr.Error())
	case !issuer.admits(client.Namespace, person.Subject, claims):
		return Identity{}, refuseIdentity(ReasonNotAllowedByIssuer, "no entry of namespaces of its OAuth2TrustedIssuer for this client has its sub and its claims")
	case bound:
		return Identity{}, refuseIdentity(ReasonWrongClaim, "it is bound to a key (cnf), and such assertions are not supported")
	case detailed: // they may allow less than its scopes: RFC 9396
		return Identity{}, refuseIdentity(ReasonWrongClaim, "it has authorization_details, and such assertions are not supported")
	}
	once, err := readIdentityTimes(claims, issuer, now)
	if err != nil {
		return Identity{}, err
	}
	identity := Identity{Person: person, Once: once, AuditID: auditID(claims)}
	err = identity.readBounds(claims)
	return identity, err
}

// admits reports whether a delegation lets the clients of a namespace use a JWT. The subject of a
// person is unique within a tenant, if its issuer has several: then all entries that name a tenant
// have to name the same one, and the one that admits the JWT has to be one of them. Two persons
// would have one sub otherwise.
func (t *TrustedIssuer) admits(namespace, subject string, claims strictjson.Object) bool {
	_, ofTenant := claims[tenantClaim]
	if ofTenant && !t.hasOneTenant() {
		return false
	}
	return slices.ContainsFunc(t.Delegations, func(d Delegation) bool {
		return d.admits(namespace, subject, claims) && (!ofTenant || slices.ContainsFunc(d.Claims, isTenant))
	})
}

// tenantClaim is the claim that names the tenant of an issuer which has several.
const tenantClaim = "tenant"

func isTenant(r RequiredClaim) bool { return r.Name == tenantClaim }

// hasOneTenant reports whether the delegations name one tenant in all.
func (t *TrustedIssuer) hasOneTenant() bool {
	tenants := map[string]bool{}
	for _, d := range t.Delegations {
		for _, required := range d.Claims {
			if isTenant(required) {
				for _, tenant := range required.Values {
					tenants[tenant] = true
				}
			}
		}
	}
	return len(tenants) == 1
}

// readIdentityTimes checks the times of an identity assertion, and the jti by which it is used up.
func readIdentityTimes(claims strictjson.Object, issuer *TrustedIssuer, now time.Time) (UsedOnce, error) {
	longest := maxIdentityLife
	if issuer.MaxLife > 0 {
		longest = min(longest, issuer.MaxLife)
	}
	end, err := readTimes(claims, longest, now, refuseIdentity)
	if err != nil {
		return UsedOnce{}, err
	}
	id, err := claims.String("jti")
	if err != nil || len(id) > maxAssertionID {
		return UsedOnce{}, refuseIdentity(ReasonWrongAssertion, "jti must be a string of 1 to 256 bytes, because each identity assertion is accepted once")
	}
	return UsedOnce{Issuer: issuer.Issuer, ID: id, ExpiresAt: end.Add(assertionSkew)}, nil
}

// readBounds reads the scopes and the resources that the assertion is for.
func (i *Identity) readBounds(claims strictjson.Object) error {
	scope, err := claims.OptionalString("scope")
	if err == nil {
		i.scopes, err = ParseScope(scope)
	}
	if err != nil {
		return refuseIdentity(ReasonWrongClaim, "scope must be a string of scopes with one space between them")
	}
	_, i.hasScopes = claims["scope"]
	raw, there := claims["resource"]
	if !there {
		return nil
	}
	var one *string
	if json.Unmarshal([]byte(raw), &one) == nil && one != nil {
		i.targets = []string{*one}
		return nil
	}
	if json.Unmarshal([]byte(raw), &i.targets) != nil || len(i.targets) == 0 || len(i.targets) > maxIdentityTargets || slices.Contains(i.targets, "") {
		return refuseIdentity(ReasonWrongClaim, "resource must be a string, or a list of 1 to 16 strings")
	}
	return nil
}

// Request returns what the client gets for the person: what it asks for, if the assertion is for
// that.
func (i *Identity) Request(asked TokenRequest) (TokenRequest, error) {
	asked.Person = i.Person
	switch {
	case len(i.targets) == 0:
	case asked.Resource == "" && len(i.targets) == 1:
		asked.Resource = i.targets[0]
	case asked.Resource == "":
		return TokenRequest{}, refuseAbout(SubjectSeveralResources, InvalidTarget, ReasonTargetNotGranted, "the identity assertion is for several resources; send one of them as resource")
	case !slices.Contains(i.targets, asked.Resource):
		return TokenRequest{}, Refuse(InvalidTarget, ReasonTargetNotGranted, "the identity assertion is for another resource than the request; send that one, or leave out resource")
	}
	if !i.hasScopes {
		return asked, nil
	}
	for _, scope := range asked.Scopes {
		if !slices.Contains(i.scopes, scope) {
			return TokenRequest{}, Refuse(InvalidScope, ReasonScopeNotGranted, "the identity assertion does not have all scopes of the request; leave out scope for those that it has")
		}
	}
	if len(asked.Scopes) == 0 {
		asked.Within = i.scopes
		if len(i.scopes) == 0 {
			return TokenRequest{}, Refuse(InvalidScope, ReasonScopeNotGranted, "the identity assertion has no scope")
		}
	}
	return asked, nil
}
