// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/client/internal/trust"
)

const (
	keysPath     = "/oauth2/jwks"
	feedPath     = "/oauth2/revocations"
	metadataPath = "/.well-known/oauth-protected-resource"

	// maxAhead is how far ahead the clock of the issuer may be.
	maxAhead = 5 * time.Minute
	// maxLife is how long an access token lives at most. The feed has revocations for so long.
	maxLife = time.Hour
)

// Verifier verifies the tokens for one audience. It is safe for concurrent use. It needs no Close.
type Verifier struct {
	issuer, audience string
	options          options
	keys             keys
	feed             feed
	seen             seen

	// header is that of the latest good token.
	header atomic.Pointer[header]

	scratches sync.Pool // of *scratch

	// epoch counts the changes of keys and revocations: a verdict of an earlier one is checked
	// against both again.
	epoch atomic.Uint64
	// calm is the instant in nanoseconds until which neither the keys are due for renewal nor
	// the feed is late.
	calm atomic.Int64
}

// New makes a verifier for the tokens of an issuer for one audience: status.identifier of the API's
// OAuth2Resource, or <issuer>/ns/<namespace>. It sends no request.
func New(issuer, audience string, opts ...Option) (*Verifier, error) {
	v := &Verifier{issuer: issuer, audience: audience, options: options{leeway: defaultLeeway}}
	for _, option := range opts {
		if err := option(&v.options); err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
	}
	parsed, err := url.Parse(issuer)
	switch {
	case err != nil || parsed.Host == "" || issuer != parsed.Scheme+"://"+parsed.Host:
		return nil, fmt.Errorf("verify: the issuer %q is not an origin such as https://hallpass.example.com", issuer)
	case audience == "":
		return nil, errors.New("verify: the audience is empty: use status.identifier of the OAuth2Resource, or <issuer>/ns/<namespace>")
	case v.options.contradictions > 1:
		return nil, errors.New("verify: use one of FailOpen and FailClosed")
	}
	v.keys = keys{url: issuer + keysPath, caFile: v.options.caFile, clients: trust.Clients{Fixed: v.options.client}, changed: v.change}
	if v.options.keysURL != "" {
		v.keys.url = v.options.keysURL
	}
	for _, address := range []string{issuer, v.keys.url} {
		if !strings.HasPrefix(address, "https://") && (!v.options.plainHTTP || !strings.HasPrefix(address, "http://")) {
			return nil, fmt.Errorf("verify: %q is not https; WithPlainHTTP accepts http", address)
		}
	}
	if v.options.metadataURL == "" && strings.HasPrefix(audience, issuer+"/resources/") && quotable(audience) {
		v.options.metadataURL = issuer + metadataPath + strings.TrimPrefix(audience, issuer)
	}
	return v, nil
}

// Verify returns the claims of a token that is good now. Other tokens are an ErrInvalidToken; an
// ErrUnavailable decides nothing about the token. It checks no scope: Claims.HasScopes does.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Claims, error) {
	now := time.Now()
	if known := v.seen.get(raw); known != nil {
		if known.epoch.Load() == v.epoch.Load() && now.Unix() < known.until && now.UnixNano() < v.calm.Load() {
			return &known.claims, nil
		}
		return v.again(ctx, known, now)
	}
	s, _ := v.scratches.Get().(*scratch)
	if s == nil {
		s = &scratch{}
	}
	defer v.scratches.Put(s)
	m, err := v.parse(raw, s)
	if err != nil {
		return nil, invalid("%w", err)
	}
	if m.typ != tokenType {
		return nil, invalid("%w", errType)
	}
	epoch := v.epoch.Load()
	key, err := v.keys.key(ctx, m.keyID, now)
	if err != nil {
		return nil, err
	}
	if err := key.verify(&m); err != nil {
		return nil, invalid("%w", err)
	}
	kept := string(m.kept)
	known := &verdict{raw: kept[:len(raw)], keyID: m.keyID, key: key}
	claims := &known.claims
	if known.until, err = v.judge(kept[len(raw):], claims, now); err != nil {
		return nil, err
	}
	if err := v.ancestorKeys(ctx, claims, now); err != nil {
		return nil, err
	}
	known.epoch.Store(epoch)
	if err := v.revoked(claims, now); err != nil {
		return nil, err
	}
	v.seen.put(known)
	if m.newHeader {
		segment, _, _ := strings.Cut(known.raw, ".")
		v.header.Store(&header{segment, m.algorithm, m.keyID, m.typ})
	}
	v.settle(now)
	return claims, nil
}

// again checks what may have changed about a token whose signature is known to be good: the time,
// its key, and whether it was revoked.
func (v *Verifier) again(ctx context.Context, known *verdict, now time.Time) (*Claims, error) {
	if now.Unix() >= known.until {
		v.seen.drop(known)
		return nil, ErrExpired
	}
	epoch := v.epoch.Load()
	key, err := v.keys.key(ctx, known.keyID, now)
	if err != nil {
		return nil, err
	}
	if !key.same(known.key) {
		v.seen.drop(known)
		return nil, invalid("%w", errUnknownKey)
	}
	if err := v.ancestorKeys(ctx, &known.claims, now); err != nil {
		return nil, err
	}
	if err := v.revoked(&known.claims, now); err != nil {
		return nil, err
	}
	known.epoch.Store(epoch)
	v.settle(now)
	return &known.claims, nil
}

// same reports whether two keys verify the same signatures.
func (k *publicKey) same(other *publicKey) bool {
	if k == other {
		return true
	}
	key, ok := k.key.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && k.algorithm == other.algorithm && key.Equal(other.key)
}

// judge reads the claims of RFC 9068 section 2.2 and checks them, after the signature. Until is the
// second from which on the token is not accepted.
func (v *Verifier) judge(payload string, into *Claims, now time.Time) (until int64, err error) {
	p := parsed{Claims: into}
	if err := parseClaims(payload, &p); err != nil {
		return 0, invalid("%w", err)
	}
	until = p.expiry + int64(v.options.leeway/time.Second)
	latest := now.Unix() + int64(maxAhead/time.Second)
	switch {
	case p.issuer != v.issuer:
		return 0, invalid("it is of another issuer")
	case p.Audience != v.audience:
		return 0, invalid("it is for another audience")
	case now.Unix() >= until:
		return 0, ErrExpired
	case p.issuedAt > latest, p.notBefore > latest:
		return 0, invalid("it is not valid yet: compare the clocks")
	case p.expiry-p.issuedAt > int64(maxLife/time.Second):
		return 0, invalid("it lives for more than an hour")
	}
	return until, v.subject(into)
}

// subject decides whether the API accepts for whom the token acts.
func (v *Verifier) subject(c *Claims) error {
	if reserved(c.ClientID) {
		return invalid("its client_id is none of a client")
	}
	_, _, user := c.User()
	exchanged := len(c.Actors) > 0
	switch {
	case user && !v.options.users, exchanged && !v.options.exchanged:
		return ErrSubject
	case !user && reserved(c.Subject), !user && !exchanged && c.Subject != c.ClientID:
		return ErrSubject
	case exchanged && (c.Actors[0] != c.ClientID || c.Subject == c.ClientID):
		return invalid("its actor is not its client")
	case !c.soundAncestors(user):
		return invalid("it does not name the tokens that it was exchanged for")
	}
	return nil
}

// reserved reports whether a name begins as those of persons and of Kubernetes do.
func reserved(name string) bool {
	lower := strings.ToLower(name[:min(len(name), len("system:"))])
	return strings.HasPrefix(lower, userPrefix) || strings.HasPrefix(lower, "system:")
}

// change is called after the keys or the revocations changed.
func (v *Verifier) change() {
	v.epoch.Add(1)
	v.calm.Store(0)
}

// settle computes until when keys and feed need not be checked for a token that was seen before.
func (v *Verifier) settle(now time.Time) {
	if v.calm.Load() > now.UnixNano() {
		return
	}
	until := int64(math.MaxInt64)
	if set := v.keys.current.Load(); set != nil {
		until = min(set.freshTill.UnixNano(), set.fetched.Add(maxStale).UnixNano())
	}
	if v.options.closedAfter > 0 {
		until = min(until, v.feed.lateAt.Load())
	}
	v.calm.Store(until)
}
