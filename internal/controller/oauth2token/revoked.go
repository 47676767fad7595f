// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	// minAge is the age at which a revoked token is replaced. A caller with the client's
	// credentials may revoke each token at once, and each replacement costs some writes.
	minAge = 10 * time.Second
	// sweepEvery is how often expired revocations are dropped.
	sweepEvery = time.Minute
)

// indexByTokenID finds the OAuth2Token in whose Secret the token with that jti is.
const indexByTokenID = "hallpass.dev/token-id"

func indexedTokenID(o client.Object) []string {
	token, ok := o.(*v1alpha1.OAuth2Token)
	if !ok || token.Status.TokenID == "" {
		return nil
	}
	return []string{revocation.IDOf(token.Status.TokenID).String()}
}

// revocations are those in the registry, in 28 bytes a token. They are for healing alone: the token
// servers refuse a revoked token whatever is known here.
type revocations struct {
	known revocation.State
	swept atomic.Int64
}

// learn adds a TokenRevocation, and returns the tokens in it that are new.
func (b *revocations) learn(object *v1alpha1.TokenRevocation, now time.Time) (news []revocation.ID) {
	selector, revoked, _ := revocation.Read(object) // an unreadable list revokes nothing
	if selector != nil {
		b.known.Select(object.Name, *selector)
		return nil
	}
	for _, token := range b.known.Learn(revocation.Batch{Tokens: revoked.Tokens, Clients: revoked.Clients}, now) {
		news = append(news, token.ID)
	}
	if last := b.swept.Load(); now.Unix()-last >= int64(sweepEvery/time.Second) && b.swept.CompareAndSwap(last, now.Unix()) {
		b.known.Sweep(now)
	}
	return news
}

// before is the instant before which all tokens of the client are revoked; zero if there is none.
func (b *revocations) before(c *oauth2.Client) time.Time {
	return oauth2.Later(b.known.RevokedBefore(c.ID, c.Namespace), c.Revocation.Before)
}

// has reports whether a token of the client was revoked.
func (b *revocations) has(token oauth2.MintedToken, c *oauth2.Client, now time.Time) bool {
	claims := oauth2.Claims{ID: token.ID, ClientID: c.ID, IssuedAt: token.IssuedAt}
	return token.IssuedAt.Before(c.Revocation.Before) || b.known.Revoked(claims, c.Namespace, now)
}
