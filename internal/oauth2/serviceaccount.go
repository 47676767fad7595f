// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// MaxServiceAccountTokenLife is how long a service account's token may live in all, from iat to exp. It is used again and again
// until the kubelet replaces it, so that its life is the only bound on a stolen one while nobody can be asked about it.
const MaxServiceAccountTokenLife = time.Hour

// serviceAccountPrefix begins the subject of every service account's token; no client_id has a colon.
const serviceAccountPrefix = "system:serviceaccount:"

// ServiceAccount is the Kubernetes service account that a client authenticates as. It is of the client's own namespace.
type ServiceAccount struct {
	Name string
	// UID is the account's when the client was compiled; empty while there is none, and then nobody is let in.
	UID string
}

// Cluster is what a cluster says of the tokens of its service accounts: who issues them, and by which keys they are known.
// The zero Cluster knows none.
type Cluster struct {
	Issuer string
	Keys   jws.KeySet
}

// AccountToken is a service account's token that a pod presents as its assertion, beside its client_id. Nothing of it was verified.
type AccountToken struct {
	// ClientID is whom it claims to be from.
	ClientID string
	// Value is the token itself, to have it reviewed.
	Value   Secret
	message jws.Message
}

// UsedAccountToken is a service account's token that authenticated a client by what can be read from it alone.
type UsedAccountToken struct {
	// ID is its jti, for the audit line; the cluster's own audit log has the same one. Empty if it has none.
	ID string
	// Account is the account's user name as a TokenReview has it, and UID the account's.
	Account, UID string
	// ExpiresAt is when it ends.
	ExpiresAt time.Time
}

// isAccountSubject reports whether the subject of an assertion is a service account's and not a client's.
func isAccountSubject(subject string) bool { return strings.HasPrefix(subject, serviceAccountPrefix) }

// parseAccountToken takes what a pod presents. Its subject is the account, so that the client has to be named beside it.
func parseAccountToken(form Form, message jws.Message) (Presented, error) {
	id := form.Get("client_id")
	if id == "" {
		return Presented{}, Refuse(InvalidRequest, ReasonMalformedRequest, "the token of a service account is sent without client_id")
	}
	if !ValidClientID(id) {
		return Presented{}, refuseClient(ReasonMalformedCredential)
	}
	return Presented{Method: ServiceAccountJWT, AccountToken: &AccountToken{
		ClientID: id, Value: NewSecret(form.Get("client_assertion")), message: message,
	}}, nil
}

// Knows reports whether the cluster has the key that the token names.
func (c Cluster) Knows(token *AccountToken) bool {
	_, err := c.Keys.Key(token.message.Header)
	return err == nil && c.Issuer != ""
}

// RefusedAsItIs reports whether a service account's token was refused for what it is, whoever the client: nothing that could be
// looked up would make it a good one.
func RefusedAsItIs(err error) bool {
	final := []Reason{ReasonWrongAssertion, ReasonAssertionAudience, ReasonAssertionTooLong, ReasonAssertionExpired}
	return slices.Contains(final, ReasonOf(err))
}

// AuthenticateAccount decides whether a token is of the service account of a client that may act, issued by this cluster for
// this issuer and nobody else. The records are asked for by client_id. Each path verifies one signature and reads the claims
// before it looks at the client, so that nothing tells who is registered. Whether the account, or the pod that the token is
// bound to, is still there only the cluster knows.
func (i Issuer) AuthenticateAccount(presented Presented, cluster Cluster, record func(clientID string) Record, now time.Time) (
	Record, UsedAccountToken, error,
) {
	token := presented.AccountToken
	found := record(token.ClientID)
	claims, reason := i.verifyAccountToken(token.message, cluster, now)
	denial := found.Denial()
	switch {
	case reason != "":
	case found.Client == nil:
		reason = ReasonUnknownClient
	case found.Client.Credentials.ServiceAccount == nil:
		reason = ReasonWrongMethod
	case found.Client.Credentials.ServiceAccount.UID == "":
		reason = ReasonServiceAccountNotFound
	case !claims.isOf(found.Client):
		reason = ReasonWrongServiceAccount
	default:
		reason = denial
	}
	if reason != "" {
		return Record{}, UsedAccountToken{}, refuseClient(reason)
	}
	return found, UsedAccountToken{ID: claims.id, Account: claims.subject, UID: claims.uid, ExpiresAt: claims.expires}, nil
}

// verifyAccountToken verifies the signature, by the key of the cluster that the header names, and then the claims.
func (i Issuer) verifyAccountToken(message jws.Message, cluster Cluster, now time.Time) (accountClaims, Reason) {
	key, err := cluster.Keys.Key(message.Header)
	known := err == nil && cluster.Issuer != ""
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
	return i.readAccountToken(payload, cluster.Issuer, now)
}

// accountClaims are the claims of a service account's token that bind it.
type accountClaims struct {
	id, subject          string
	namespace, name, uid string
	expires              time.Time
}

// isOf reports whether the token is of the client's service account: of that name, in the client's own namespace, and the very
// account that was there when the client was compiled. One that is deleted and made again is another one.
func (a accountClaims) isOf(c *Client) bool {
	return a.namespace == c.Namespace && a.name == c.Credentials.ServiceAccount.Name && a.uid == c.Credentials.ServiceAccount.UID
}

// readAccountToken checks the claims of a token whose signature is good. A cluster that issues in our own name would make every
// pod's ordinary token one for us: nobody is let in then.
func (i Issuer) readAccountToken(payload []byte, clusterIssuer string, now time.Time) (accountClaims, Reason) {
	claims, err := strictjson.ParseObject(payload)
	if err != nil {
		return accountClaims{}, ReasonWrongAssertion
	}
	if issuer, err := claims.String("iss"); err != nil || issuer != clusterIssuer || issuer == i.String() {
		return accountClaims{}, ReasonWrongAssertion
	}
	account, err := readAccount(claims)
	if err != nil {
		return accountClaims{}, ReasonWrongAssertion
	}
	if !i.isOnlyAudience(claims["aud"]) {
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
	case account.expires.Sub(time.Unix(issued, 0)) > MaxServiceAccountTokenLife:
		return accountClaims{}, ReasonAssertionTooLong
	case !now.Before(account.expires), time.Unix(since, 0).After(now.Add(assertionSkew)):
		return accountClaims{}, ReasonAssertionExpired
	}
	return account, ""
}

// readAccount reads whose token it is. The subject and the claim of Kubernetes' own say the same.
func readAccount(claims strictjson.Object) (accountClaims, error) {
	account := accountClaims{id: auditID(claims)}
	private, err := strictjson.ParseObject([]byte(claims["kubernetes.io"]))
	if err != nil {
		return accountClaims{}, err
	}
	inner, err := strictjson.ParseObject([]byte(private["serviceaccount"]))
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

// maxAuditID bounds the jti that is noted; Kubernetes makes UUIDs.
const maxAuditID = 64

// auditID is the jti, if it has the shape of an identifier; nothing is decided by it.
func auditID(claims strictjson.Object) string {
	id, err := claims.OptionalString("jti")
	if err != nil || len(id) > maxAuditID || !ValidClientID(id) {
		return ""
	}
	return id
}

// Verdict is what a cluster says when it is asked whether it still honours a token of its own. Only Honoured lets anybody in,
// and Unreachable whoever was let in by what can be verified without it.
type Verdict int

// The verdicts. Undecided is that of a cluster which is there and does not answer the question.
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
