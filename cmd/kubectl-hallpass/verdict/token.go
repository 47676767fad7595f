// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Claims are the claims of a token that a verdict needs. They are not verified.
type Claims struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	Subject   string `json:"sub"`
	ClientID  string `json:"client_id"`
	ClientUID string `json:"client_uid"`
	Scope     string `json:"scope"`
	ID        string `json:"jti"`
	TokenUID  string `json:"token_uid"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
}

// ErrNotAToken means that a text is no access token of Hallpass.
var ErrNotAToken = errors.New("that is no access token of Hallpass: it is neither a JWT (three parts with dots between them) nor begins with hpt_. " +
	"Give the token alone, without the word Bearer")

// Decode returns the header and the claims of a JWT as JSON, without verifying anything.
func Decode(token oauth2.Secret) (header, claims json.RawMessage, err error) {
	parts := strings.Split(strings.TrimSpace(token.Reveal()), ".")
	if len(parts) != 3 {
		return nil, nil, ErrNotAToken
	}
	for i, into := range []*json.RawMessage{&header, &claims} {
		decoded, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || !json.Valid(decoded) {
			return nil, nil, ErrNotAToken
		}
		*into = decoded
	}
	return header, claims, nil
}

// ReadClaims reads the claims of a JWT, without verifying anything.
func ReadClaims(token oauth2.Secret) (Claims, error) {
	_, document, err := Decode(token)
	if err != nil {
		return Claims{}, err
	}
	var claims Claims
	if err := json.Unmarshal(document, &claims); err != nil || claims.ClientID == "" || claims.ExpiresAt == 0 {
		return Claims{}, ErrNotAToken
	}
	return claims, nil
}

// Namespace is the namespace in a client_id of the form <namespace>.<name>; empty for another one.
func (c Claims) Namespace() string {
	namespace, _, found := strings.Cut(c.ClientID, ".")
	if !found {
		return ""
	}
	return namespace
}

// OfToken checks a JWT by its claims and its client, which is nil if there is none of that
// client_id.
func OfToken(claims Claims, c *v1alpha1.OAuth2Client, now time.Time) Verdict {
	expires, issued := time.Unix(claims.ExpiresAt, 0), time.Unix(claims.IssuedAt, 0)
	switch {
	case !now.Before(expires):
		return Verdict{Reason: string(oauth2.ReasonTokenExpired), Sentence: fmt.Sprintf("The token expired at %s.", instant(expires)),
			Do: "Fetch another one: software has to fetch a token again before it expires."}
	case c == nil:
		return Verdict{Reason: string(oauth2.ReasonOwnerGone), Sentence: fmt.Sprintf("There is no OAuth2Client with the client_id %q.", claims.ClientID),
			Do: "The client was deleted. Create it again, and fetch a token with its new secret."}
	case claims.ClientUID != string(c.UID):
		return Verdict{Reason: string(oauth2.ReasonTokenClientChanged),
			Sentence: fmt.Sprintf("The token was issued to an earlier client with the client_id %q: the client was deleted and created again at %s.",
				claims.ClientID, instant(c.CreationTimestamp.Time)),
			Do: "Fetch a token with the client's new secret."}
	case c.Spec.State == v1alpha1.ClientSuspended, c.DeletionTimestamp != nil:
		return *state(c)
	case revoked(c, issued, now):
		return Verdict{Reason: string(oauth2.ReasonTokenRevoked),
			Sentence: fmt.Sprintf("The token was issued at %s, and spec.revokeTokensIssuedBefore of the client revokes those that were issued before.", instant(issued)),
			Do:       "Fetch another token."}
	}
	return claimsAllowed(claims, c)
}

// revoked reports whether the field of the client certainly revokes a token. A time in the future
// means the time at which the manager read it, which only the token servers know.
func revoked(c *v1alpha1.OAuth2Client, issued, now time.Time) bool {
	before := c.Spec.RevokeTokensIssuedBefore
	return before != nil && !before.After(now) && issued.Before(before.Time)
}

func claimsAllowed(claims Claims, c *v1alpha1.OAuth2Client) Verdict {
	if lost := lostScopes(claims, c); len(lost) > 0 {
		return Verdict{Reason: string(oauth2.ReasonInsufficientScope),
			Sentence: fmt.Sprintf("The token is valid but for %s: it is not granted any more, and Hallpass does not count it.", list("scope", lost)),
			Do:       fmt.Sprintf("kubectl hallpass why %s --namespace %s --resource %s --scope %s", c.Name, c.Namespace, claims.Audience, lost[0])}
	}
	v := Verdict{Allowed: true, Sentence: fmt.Sprintf("Nothing that its client shows speaks against the token: it is for %s with the scopes %q and valid until %s, unless it was revoked by itself or with its whole namespace.",
		claims.Audience, claims.Scope, instant(time.Unix(claims.ExpiresAt, 0)))}
	if before := c.Spec.RevokeTokensIssuedBefore; before != nil {
		v.Do = "spec.revokeTokensIssuedBefore of the client is set to a time in the future, which means the time at which the manager read it: " +
			"if the token is older than that change, fetch another one."
	}
	if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Status != "True" {
		v.Do = strings.TrimSpace(v.Do + " Its client gets no new tokens: " + ready.Message)
	}
	return v
}

// lostScopes are the scopes of a token that its client is not granted any more.
func lostScopes(claims Claims, c *v1alpha1.OAuth2Client) (lost []string) {
	var has []string
	for _, g := range c.Status.Grants {
		if g.Audience != claims.Audience {
			continue
		}
		for _, s := range g.Scopes {
			if s.Decision == string(oauth2.Granted) {
				has = append(has, string(s.Name))
			}
		}
	}
	for scope := range strings.FieldsSeq(claims.Scope) {
		if !slices.Contains(has, scope) {
			lost = append(lost, scope)
		}
	}
	return lost
}

// OfOpaque checks an opaque token by its OAuth2Token, which is nil if none has it.
func OfOpaque(t *v1alpha1.OAuth2Token, now time.Time) Verdict {
	if t == nil {
		return Verdict{Reason: string(oauth2.ReasonTokenUnknown), Sentence: "No OAuth2Token that you may see has this token.",
			Do: "It was deleted, which revokes its token, or it is in another namespace: try --namespace or --all-namespaces."}
	}
	switch ready := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady); {
	case t.DeletionTimestamp != nil:
		return Verdict{Reason: string(oauth2.ReasonTokenOwnerGone), Sentence: fmt.Sprintf("OAuth2Token %q is being deleted, which revokes its token.", t.Name),
			Do: "Create another OAuth2Token: kubectl hallpass create token --help"}
	case !t.Status.ExpiresAt.IsZero() && !now.Before(t.Status.ExpiresAt.Time):
		return Verdict{
			Reason: string(oauth2.ReasonTokenExpired), Sentence: fmt.Sprintf("The token of OAuth2Token %q expired at %s.", t.Name, instant(t.Status.ExpiresAt.Time)),
			Do: "Create another OAuth2Token with a later end, and delete this one: kubectl hallpass create token --help",
		}
	case ready == nil || ready.Status != "True":
		v := Verdict{Reason: v1alpha1.ReasonProgressing, Sentence: fmt.Sprintf("The manager has not handled OAuth2Token %q yet.", t.Name)}
		if ready != nil {
			v.Reason, v.Sentence = ready.Reason, ready.Message
		}
		return v
	}
	return Verdict{Allowed: true, Sentence: fmt.Sprintf("Nothing in the cluster speaks against the token of OAuth2Token %q: it is for %s and valid until %s.",
		t.Name, t.Status.Audience, instant(t.Status.ExpiresAt.Time))}
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }
