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
	// minAge is the age at which a revoked token is replaced. A caller with the client's credentials may
	// revoke each token at once, and each replacement costs some writes.
	minAge = 10 * time.Second
	// sweepEvery is how often expired revocations are dropped.
	sweepEvery = time.Minute
)

// indexByTokenID finds the OAuth2Token in whose Secret the Refreshing token with that jti is.
const indexByTokenID = "hallpass.dev/token-id"

func indexedTokenID(o client.Object) []string {
	token, ok := o.(*v1alpha1.OAuth2Token)
	if !ok || token.Spec.Mode != v1alpha1.TokenRefreshing || token.Status.TokenID == "" {
		return nil
	}
	return []string{revocation.IDOf(token.Status.TokenID).String()}
}

// revocations are those in the registry, in 20 bytes a token. They are for healing alone: the token
// servers refuse a revoked token whatever is known here.
type revocations struct {
	tokens   revocation.Set
	selected revocation.State
	swept    atomic.Int64
}

// learn adds a TokenRevocation, and returns the tokens in it that are new.
func (b *revocations) learn(object *v1alpha1.TokenRevocation, now time.Time) (news []revocation.ID) {
	selected, revoked, _ := revocation.Read(object) // an unreadable list revokes nothing
	if selected != nil {
		b.selected.Select(object.Name, *selected)
		return nil
	}
	for _, token := range revoked.Tokens {
		if b.tokens.Add(token, now) {
			news = append(news, token.ID)
		}
	}
	if last := b.swept.Load(); now.Unix()-last >= int64(sweepEvery/time.Second) && b.swept.CompareAndSwap(last, now.Unix()) {
		b.tokens.Sweep(now)
	}
	return news
}

// before is the instant before which all tokens of the client are revoked; zero if there is none.
func (b *revocations) before(c *oauth2.Client) time.Time {
	before := b.selected.RevokedBefore(c.ID, c.Namespace)
	if c.Revocation.Before.After(before) {
		return c.Revocation.Before
	}
	return before
}

// has reports whether a token of the client was revoked.
func (b *revocations) has(token oauth2.MintedToken, c *oauth2.Client, now time.Time) bool {
	return token.IssuedAt.Before(b.before(c)) || b.tokens.Has(revocation.IDOf(token.ID), now)
}
