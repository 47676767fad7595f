// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/late"
)

// judge decides about tokens as the token servers do, by what is stored.
type judge struct {
	*world

	record    oauth2.MintedRecord
	clients   map[string]oauth2.Record
	resources policy.Declared
	now       time.Time
}

func (w *world) judge() judge {
	w.t.Helper()
	j := judge{world: w, clients: map[string]oauth2.Record{}, resources: policy.Declared{}, now: w.clock.Now()}
	o := w.object()
	j.record.Minted = w.minted(string(o.UID))
	j.record.Owner = &oauth2.MintedOwner{UID: string(o.UID), ClientName: o.Spec.ClientRef.Name, Scopes: policy.Texts(o.Spec.Scopes)}
	for _, name := range []string{"app", "other"} {
		var record oauth2.Record
		if s := w.secret(registryOfWorld, registration.SecretName("shop."+name)); s != nil {
			r, err := registration.Decode(s.Data)
			w.server.Must(err)
			record.Client = &r.Client
		}
		if c := late.Find(w.server, &v1alpha1.OAuth2Client{}, "shop", name); c != nil {
			record.Owner = &oauth2.Owner{UID: string(c.UID), Suspended: c.Spec.State == v1alpha1.ClientSuspended}
			if at := c.Spec.RevokeTokensIssuedBefore; at != nil {
				record.Owner.RevokedBefore = at.Time
			}
		}
		j.clients["shop."+name] = record
	}
	if s := w.secret(registryOfWorld, registration.ResourceSecretName(identifierOfWorld)); s != nil {
		r, err := registration.DecodeResource(s.Data)
		w.server.Must(err)
		j.resources[oauth2.ObjectName{Namespace: "orders", Name: "api"}] = &r
	}
	return j
}

// refusal is why a token is refused, or "".
func (j judge) refusal(value string) oauth2.Reason {
	claims, err := j.read(value)
	if err != nil {
		if reason := oauth2.ReasonOf(err); reason != "" {
			return reason
		}
		return oauth2.ReasonTokenMalformed
	}
	client := j.clients[claims.ClientID]
	if denial := client.TokenDenial(claims); denial != "" {
		return denial
	}
	if j.revoked.Revoked(*claims, client.Client.Namespace, j.now) {
		return oauth2.ReasonTokenRevoked
	}
	claims, denial := j.record.Restrict(claims)
	if denial != "" {
		return denial
	}
	_, denial = j.issuer.Restrict(claims, client.Client, j.resources)
	return denial
}

func (j judge) read(value string) (*oauth2.Claims, error) {
	if strings.HasPrefix(value, oauth2.OpaqueTokenPrefix) {
		return j.issuer.ReadOpaque(oauth2.NewSecret(value), j.record, j.now)
	}
	verified, err := j.issuer.Verify(value, j.ring, j.now)
	if err != nil {
		return nil, err
	}
	return verified.Claims, verified.Check(j.ring, j.now)
}

// lacks reports whether a token is not on record.
func (j judge) lacks(value string) bool {
	if j.record.Minted == nil {
		return true
	}
	_, found := j.record.Minted.Find(oauth2.NewSecret(value))
	return !found
}
