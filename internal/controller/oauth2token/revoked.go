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
	// calm is how old a token is at least when the next one takes its place because it was taken back: whoever has the client's
	// credentials may revoke a token as soon as it is there, and each one costs some writes.
	calm = 10 * time.Second
	// sweepEvery is how often what has expired is forgotten.
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

// takenBack is what the registry says was taken back, in 20 bytes a token. It is for healing alone: the token servers refuse such
// a token whatever is known here.
type takenBack struct {
	tokens   revocation.Set
	selected revocation.State
	swept    atomic.Int64
}

// learn adds a TokenRevocation, and returns the tokens in it that are new.
func (b *takenBack) learn(object *v1alpha1.TokenRevocation, now time.Time) (news []revocation.ID) {
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

// before is the instant before which all tokens of the client are taken back; zero if there is none.
func (b *takenBack) before(c *oauth2.Client) time.Time {
	before := b.selected.RevokedBefore(c.ID, c.Namespace)
	if c.RevokedBefore.After(before) {
		return c.RevokedBefore
	}
	return before
}

// has reports whether a token of the client was taken back.
func (b *takenBack) has(token oauth2.MintedToken, c *oauth2.Client, now time.Time) bool {
	return token.IssuedAt.Before(b.before(c)) || b.tokens.Has(revocation.IDOf(token.ID), now)
}
