// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// ended returns why an ancestor of a token has ended, by its client, by a revocation of its own or
// by a selector, or because its client may no longer exchange; or "". All ancestors but the first
// token, which is the last of them, were exchanged. read has checked their keys, and no token
// outlives its ancestors.
func (v *view) ended(claims *oauth2.Claims, at time.Time) (oauth2.Reason, need) {
	for i := range claims.Ancestors {
		ancestor := claims.Ancestors[i].Claims()
		ancestor.Actors = claims.Actors[i+1:]
		if claims.Acting()&oauth2.ForUser != 0 {
			// all of a chain act for one person, and belong to one grant
			ancestor.Subject, ancestor.GrantID = claims.Subject, claims.GrantID
		}
		record := v.recordOf(ancestor)
		if denial := record.TokenDenial(ancestor); denial != "" {
			if record.Unknown(ancestor) {
				return denial, v.ancestorsNeeded(claims, ancestor.ClientID)
			}
			return denial, need{}
		}
		if v.Revocations().Revoked(*ancestor, record.Client.Namespace, at) {
			return oauth2.ReasonTokenRevoked, need{}
		}
		if !ancestor.KeepsGrantType(record.Client) {
			return oauth2.ReasonGrantTypeNotAllowed, v.grantTypeNeeded(ancestor, at)
		}
	}
	return "", need{}
}

// grantTypeNeeded is the client of an ancestor that lacks the grant type by memory. If the ancestor
// is young, the replica that issued it may have had a newer record.
func (v *view) grantTypeNeeded(ancestor *oauth2.Claims, at time.Time) need {
	if at.Sub(ancestor.IssuedAt) > memoryLag {
		return need{}
	}
	return need{lack: ancestorUnknown, what: ancestor.ClientID, others: []string{ancestor.ClientID}}
}

// recordOf is the record of the client of an ancestor.
func (v *view) recordOf(ancestor *oauth2.Claims) oauth2.Record {
	if record, there := v.former[ancestor.ClientID]; there {
		return record
	}
	return v.Record(ancestor.ClientID)
}

// ancestorsNeeded are the clients of ancestors that memory does not know, one of which is the
// first.
func (v *view) ancestorsNeeded(claims *oauth2.Claims, first string) need {
	needs := need{lack: ancestorUnknown, what: first, others: []string{first}}
	for i := range claims.Ancestors {
		ancestor := claims.Ancestors[i].Claims()
		if v.Record(ancestor.ClientID).Unknown(ancestor) && !slices.Contains(needs.others, ancestor.ClientID) {
			needs.others = append(needs.others, ancestor.ClientID)
		}
	}
	return needs
}
