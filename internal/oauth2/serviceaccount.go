// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// maxAccountTokenLife bounds the time from iat to exp. A pod reuses the token, so this
// bounds the use of a stolen one while the cluster cannot be asked.
const maxAccountTokenLife = time.Hour

// serviceAccountPrefix begins the subject of such a token; no client_id has a colon.
const serviceAccountPrefix = "system:serviceaccount:"

// accountSkew is how far the clock of the cluster's issuer may be ahead of the local one.
const accountSkew = 30 * time.Second

// ServiceAccount is the Kubernetes service account of a client, in its own namespace.
type ServiceAccount struct {
	Name string
	// UID is the account's when the client was compiled; without one no token is accepted.
	UID string
}

// Cluster is the issuer of service account tokens and its keys. The zero Cluster knows none.
type Cluster struct {
	Issuer string
	Keys   jws.KeySet
}

// AccountToken is a service account token as an assertion, not verified yet.
type AccountToken struct {
	// ClientID is the client that the request names. If it is empty, the token is from the only
	// client that names the account.
	ClientID string
	// Account is the service account that the token names.
	Account ObjectName
	// Value is the token, for a TokenReview.
	Value Secret
	// issuer is the iss that it claims to have.
	issuer  string
	message jws.Message
}

// UsedAccountToken is a service account token that authenticated a client without its cluster.
type UsedAccountToken struct {
	// ID is its jti, for the audit line; the cluster's audit log has the same. It may be empty.
	ID string
	// Account is the user name in a TokenReview.
	Account, UID string
	ExpiresAt    time.Time
}

// isAccountSubject reports whether the subject is a service account and no client.
func isAccountSubject(subject string) bool { return strings.HasPrefix(subject, serviceAccountPrefix) }

// parseAccountToken parses the token of a pod. Its subject is the account, so a client_id beside it
// names the client.
func parseAccountToken(token, id, subject string, claims strictjson.Object, message jws.Message) (Presented, error) {
	namespace, name, _ := strings.Cut(strings.TrimPrefix(subject, serviceAccountPrefix), ":")
	if id != "" && !ValidClientID(id) || id == "" && (namespace == "" || name == "") {
		return Presented{}, refuseClient(ReasonMalformedCredential)
	}
	issuer, _ := claims.OptionalString("iss") // one that is no string is that of no issuer
	return Presented{Method: ServiceAccountJWT, AccountToken: &AccountToken{
		ClientID: id, Account: ObjectName{Namespace: namespace, Name: name}, Value: NewSecret(token), issuer: issuer, message: message,
	}}, nil
}

// ParsePassword parses the token of a service account that is the password of a request with the
// grant type password (RFC 6749 section 4.3). The token authenticates its client as it does in a
// client assertion, with the same checks and the same result, so that no password gets what another
// credential does not. The user name has to be that of the account: no person is named, and no
// password of a person is read.
func ParsePassword(authorization []string, form Form) (Presented, error) {
	user, token := form.Get("username"), form.Get("password")
	switch {
	case len(authorization) > 0, form.Get("client_secret") != "", form.Get("client_assertion") != "", form.Get("client_assertion_type") != "":
		return Presented{}, Refuse(InvalidRequest, ReasonSeveralMethods,
			"the password of this grant authenticates the client; send no other credential beside it")
	case user == "" || token == "":
		return Presented{}, Refuse(InvalidRequest, ReasonMalformedRequest,
			"username or password is missing; send the user name of a ServiceAccount, and its token for this issuer")
	}
	presented, err := parseAssertion(token, form.Get("client_id"))
	switch {
	case err != nil, presented.AccountToken == nil:
		return Presented{}, refuseClient(ReasonMalformedCredential)
	case user != serviceAccountPrefix+presented.AccountToken.Account.Namespace+":"+presented.AccountToken.Account.Name:
		return Presented{}, refuseClient(ReasonWrongServiceAccount)
	}
	presented.Method = PasswordOfAccount
	return presented, nil
}

// Knows reports whether the cluster has the key that the token names.
func (c Cluster) Knows(token *AccountToken) bool {
	_, err := c.Keys.Key(token.message.Header)
	return err == nil && c.Issuer != ""
}

// IsFinal reports whether a token was refused for every client, so that no look-up helps.
func IsFinal(err error) bool {
	final := []Reason{ReasonWrongAssertion, ReasonAssertionAudience, ReasonAssertionTooLong, ReasonAssertionExpired}
	return slices.Contains(final, ReasonOf(err))
}

// claimed returns the record of the client that the token claims to be from. several means that the
// request names no client, and the account more than one.
func (t *AccountToken) claimed(records []Record) (found Record, several bool) {
	for _, r := range records {
		if t.ClientID == "" && !r.Names(t.Account.Workload()) {
			continue
		}
		if found.Client != nil {
			return Record{}, true
		}
		found = r
	}
	return found, false
}

// Workload is a service account as the clients of its namespace name it.
func (o ObjectName) Workload() Workload { return Workload{Namespace: o.Namespace, Account: o.Name} }

// Names reports whether the client is authenticated by a workload. One whose owner is gone is not,
// even if it is still registered.
func (r Record) Names(w Workload) bool {
	return r.Client != nil && w != (Workload{}) && r.Client.Workload() == w && r.Denial() != ReasonOwnerGone
}

// AuthenticateAccount decides whether a token of this cluster is that of the service account of an
// active client, and for this issuer only. records has the clients that the token may be from.
// Without a client_id one of them has to name the account alone; if several do, the refusal of a
// token that is good in itself has that reason, and is sent once the cluster confirmed the token.
// Each path verifies one signature and reads the claims before the client, so that the time does
// not reveal who is registered. Only the cluster knows whether the account and the pod still exist.
func (i Issuer) AuthenticateAccount(presented Presented, cluster Cluster, records func(*AccountToken) []Record, now time.Time) (
	Record, UsedAccountToken, error,
) {
	token := presented.AccountToken
	found, several := token.claimed(records(token))
	claims, reason := cluster.verify(token.message, i, i.String(), now)
	used := claims.used()
	denial := found.Denial()
	switch {
	case reason != "":
	case several:
		return Record{}, used, Refuse(InvalidRequest, ReasonClientIDNeeded,
			"several OAuth2Clients name the service account of this token; send client_id")
	case found.Client == nil:
		reason = ReasonUnknownClient
	case found.Client.Credentials.ServiceAccount == nil:
		reason = ReasonWrongMethod
	case found.Client.Credentials.ServiceAccount.UID == "":
		reason = cmp.Or(denial, ReasonServiceAccountNotFound)
	case !claims.isOf(found.Client):
		reason = ReasonWrongServiceAccount
	default:
		reason = denial
	}
	if reason != "" {
		return Record{}, UsedAccountToken{}, refuseClient(reason)
	}
	return found, used, nil
}

// ParseAccountBearer parses the token of a service account that was sent as a bearer token.
func ParseAccountBearer(token Secret) (*AccountToken, error) {
	presented, err := parseAssertion(token.Reveal(), "")
	if err != nil || presented.AccountToken == nil {
		return nil, errNoAccountToken
	}
	return presented.AccountToken, nil
}

// VerifyAccount decides whether a token of this cluster is one of an account, for an audience and
// no other. Only the cluster knows whether the account and the pod still exist.
func (i Issuer) VerifyAccount(token *AccountToken, account ObjectName, audience string, cluster Cluster, now time.Time) (UsedAccountToken, error) {
	claims, reason := cluster.verify(token.message, i, audience, now)
	if reason == "" && account != (ObjectName{claims.namespace, claims.name}) {
		reason = ReasonWrongServiceAccount
	}
	if reason != "" {
		return UsedAccountToken{}, Refuse(InvalidToken, reason, "the token is none of the service account that this port is for, or is for another audience")
	}
	return claims.used(), nil
}

var errNoAccountToken = Refuse(InvalidToken, ReasonMalformedCredential, "the bearer token is not that of a service account")

// verify verifies the signature of a token by the cluster's key, and then the claims. own is the
// issuer that the token is presented to.
func (c Cluster) verify(message jws.Message, own Issuer, audience string, now time.Time) (accountClaims, Reason) {
	key, err := c.Keys.Key(message.Header)
	known := err == nil && c.Issuer != ""
	if !known {
		key = jws.PublicKey{Algorithm: message.Header.Algorithm, Key: decoyKey(message.Header.Algorithm)}
	}
	payload, err := message.Verify(key)
	switch {
	case !known:
		return accountClaims{}, ReasonAssertionKeyUnknown
	case err != nil, message.Header.Type != "" && message.Header.Type != "JWT":
		return accountClaims{}, ReasonWrongAssertion
	}
	return c.read(payload, own, audience, now)
}

// accountClaims are the claims of a service account's token that bind it.
type accountClaims struct {
	id, subject          string
	namespace, name, uid string
	expires              time.Time
}

// used is what the token proves once its signature and its claims were verified.
func (a accountClaims) used() UsedAccountToken {
	return UsedAccountToken{ID: a.id, Account: a.subject, UID: a.uid, ExpiresAt: a.expires}
}

// isOf reports whether the token is that of the client's service account, not of one that was made
// anew.
func (a accountClaims) isOf(c *Client) bool {
	return a.namespace == c.Namespace && a.name == c.Credentials.ServiceAccount.Name && a.uid == c.Credentials.ServiceAccount.UID
}

// read checks the claims after the signature. It refuses a cluster that issues in our own issuer's
// name: every pod's ordinary token would be valid here.
func (c Cluster) read(payload []byte, own Issuer, audience string, now time.Time) (accountClaims, Reason) {
	claims, err := strictjson.ParseObject(string(payload))
	if err != nil {
		return accountClaims{}, ReasonWrongAssertion
	}
	if issuer, err := claims.String("iss"); err != nil || issuer != c.Issuer || issuer == own.String() {
		return accountClaims{}, ReasonWrongAssertion
	}
	account, err := readAccount(claims)
	if err != nil {
		return accountClaims{}, ReasonWrongAssertion
	}
	if only, ok := onlyAudience(claims["aud"]); !ok || only != audience {
		return accountClaims{}, ReasonAssertionAudience
	}
	expires, expiresErr := claims.Seconds("exp")
	issued, issuedErr := claims.Seconds("iat")
	since := issued
	if _, there := claims["nbf"]; there {
		notBefore, err := claims.Seconds("nbf")
		if err != nil {
			return accountClaims{}, ReasonWrongAssertion
		}
		since = max(since, notBefore)
	}
	account.expires = time.Unix(expires, 0).UTC()
	switch {
	case expiresErr != nil, issuedErr != nil:
		return accountClaims{}, ReasonWrongAssertion
	case account.expires.Sub(time.Unix(issued, 0)) > maxAccountTokenLife:
		return accountClaims{}, ReasonAssertionTooLong
	case !now.Before(account.expires), time.Unix(since, 0).After(now.Add(accountSkew)):
		return accountClaims{}, ReasonAssertionExpired
	}
	return account, ""
}

// readAccount reads the account, of which sub and the claim kubernetes.io must agree.
func readAccount(claims strictjson.Object) (accountClaims, error) {
	account := accountClaims{id: auditID(claims)}
	private, err := strictjson.ParseObject(claims["kubernetes.io"])
	if err != nil {
		return accountClaims{}, err
	}
	inner, err := strictjson.ParseObject(private["serviceaccount"])
	if err != nil {
		return accountClaims{}, err
	}
	for _, claim := range []struct {
		from strictjson.Object
		name string
		into *string
	}{
		{claims, "sub", &account.subject}, {private, "namespace", &account.namespace}, {inner, "name", &account.name}, {inner, "uid", &account.uid},
	} {
		if *claim.into, err = claim.from.String(claim.name); err != nil {
			return accountClaims{}, err
		}
	}
	if account.subject != serviceAccountPrefix+account.namespace+":"+account.name {
		return accountClaims{}, jws.ErrMalformed
	}
	return account, nil
}

const maxAuditID = 64

// auditID returns the jti if it looks like an identifier. It decides nothing.
func auditID(claims strictjson.Object) string {
	id, err := claims.OptionalString("jti")
	if err != nil || len(id) > maxAuditID || !ValidClientID(id) {
		return ""
	}
	return id
}

// Verdict is the answer of a cluster about its token. Honoured allows it; Unreachable
// leaves the decision to what can be verified without the cluster.
type Verdict int

// The verdicts. Undecided means that the cluster is reachable and does not answer.
const (
	Undecided Verdict = iota
	Honoured
	Dishonoured
	Unreachable
)

// String is the verdict as metrics name it.
func (v Verdict) String() string {
	switch v {
	case Honoured:
		return "honoured"
	case Dishonoured:
		return "dishonoured"
	case Unreachable:
		return "unreachable"
	default:
		return "undecided"
	}
}
