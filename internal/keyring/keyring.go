// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keyring decides which keys sign and verify tokens at an instant.
//
// A key lives by absolute instants: it is published in the JWK set (RFC 7517), becomes active, is
// retired when its successor becomes active, and is gone when the last token that it signed has
// expired. So all readers of a ring switch at the same instant. Rotate advances the lives, Taint
// withdraws a key at once, and Merge combines the ring of a reader with one that it reads.
//
// The package is pure: a Ring is immutable, time and the generation of keys are arguments. It
// depends on jws and the standard library alone.
package keyring

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

var (
	// ErrUnknownKey means that the ring has no key with that kid.
	ErrUnknownKey = errors.New("unknown signing key")
	// ErrTaintedKey means that the key was withdrawn.
	ErrTaintedKey = errors.New("withdrawn signing key")
	// ErrNoSigningKey means that no key signs at that instant.
	ErrNoSigningKey = errors.New("no active signing key")
)

// Ring is an immutable set of signing keys. The zero Ring is empty. It prints no private key.
type Ring struct {
	keys []*SigningKey // by algorithm in the order of algorithms, and in it by ActiveAt
	// algorithms are the enabled ones, the default first, and then those that are being
	// withdrawn.
	algorithms []jws.Algorithm
	tainted    []Taint
	// rotation is the last order for a rotation that was carried out.
	rotation string
	revision int64
	// asOf is the instant of the last Rotate that changed something. The next reports changes
	// since.
	asOf time.Time
	// keep is how long a key that is retired at once still verifies.
	keep time.Duration

	byID  map[string]*SigningKey
	views []view
}

// Taint records a withdrawn key, so that no backup or copy restores it.
type Taint struct {
	KeyID string    `json:"kid"`
	At    time.Time `json:"at"`
}

// unknownKeep is the keep of a ring before its first policy.
const unknownKeep = minLead + time.Hour + RetirementMargin

// maxTaints bounds the records of withdrawn keys; the oldest are dropped.
const maxTaints = 256

// New makes a ring with one ES256 key that signs from now on.
func New(now time.Time) (Ring, error) {
	private, err := Generate(jws.ES256)
	if err != nil {
		return Ring{}, err
	}
	at := instant(now)
	key, err := newSigningKey(jws.ES256, private, Life{PublishedAt: at, ActiveAt: at})
	if err != nil {
		return Ring{}, err
	}
	return Ring{keys: []*SigningKey{key}, algorithms: []jws.Algorithm{jws.ES256}, asOf: at, keep: unknownKeep}.prepared(), nil
}

// prepared sorts the keys, indexes them, and drops the tainted ones.
func (r Ring) prepared() Ring {
	slices.SortFunc(r.tainted, func(a, b Taint) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.KeyID, b.KeyID)) })
	if surplus := len(r.tainted) - maxTaints; surplus > 0 {
		r.tainted = slices.Clone(r.tainted[surplus:])
	}
	r.keys = slices.DeleteFunc(slices.Clone(r.keys), func(k *SigningKey) bool { return r.isTainted(k.ID()) })
	for _, key := range r.keys {
		if !slices.Contains(r.algorithms, key.Algorithm()) {
			r.algorithms = append(slices.Clone(r.algorithms), key.Algorithm())
		}
	}
	slices.SortStableFunc(r.keys, func(a, b *SigningKey) int {
		return cmp.Or(cmp.Compare(slices.Index(r.algorithms, a.Algorithm()), slices.Index(r.algorithms, b.Algorithm())), a.ActiveAt.Compare(b.ActiveAt))
	})
	r.byID = make(map[string]*SigningKey, len(r.keys))
	for _, key := range r.keys {
		r.byID[key.ID()] = key
	}
	r.views = render(r.keys)
	return r
}

// Empty reports whether the ring has no key at all.
func (r Ring) Empty() bool { return len(r.keys) == 0 }

// Revision counts the changes of a ring: of two copies the higher one is newer.
func (r Ring) Revision() int64 { return r.revision }

// SigningKey returns the key that signs by default. Until the default algorithm has an active key,
// that of the one before it signs.
func (r Ring) SigningKey(now time.Time) (*SigningKey, error) {
	for _, algorithm := range r.algorithms {
		if key, err := r.SigningKeyFor(algorithm, now); err == nil {
			return key, nil
		}
	}
	return nil, ErrNoSigningKey
}

// SigningKeyFor returns the key of an algorithm that signs.
func (r Ring) SigningKeyFor(algorithm jws.Algorithm, now time.Time) (*SigningKey, error) {
	for _, key := range slices.Backward(r.keys) {
		if key.Algorithm() == algorithm && key.State(now) == Active {
			return key, nil
		}
	}
	return nil, ErrNoSigningKey
}

// VerificationKey returns the key with that kid. A published key verifies before it signs: the
// clock of another replica may be ahead.
func (r Ring) VerificationKey(kid string, now time.Time) (*SigningKey, error) {
	key, there := r.byID[kid]
	switch {
	case there && key.State(now) != Gone:
		return key, nil
	case r.isTainted(kid):
		return nil, ErrTaintedKey
	}
	return nil, ErrUnknownKey
}

func (r Ring) isTainted(kid string) bool {
	return slices.ContainsFunc(r.tainted, func(t Taint) bool { return t.KeyID == kid })
}

// Keys returns the keys in the order of the JWK set.
func (r Ring) Keys() []*SigningKey { return slices.Clone(r.keys) }

// Tainted returns the withdrawn keys, oldest first.
func (r Ring) Tainted() []Taint { return slices.Clone(r.tainted) }

// Algorithms returns the algorithms of the keys, without duplicates, the default first. Verifiers
// that read them once need those of present and future tokens.
func (r Ring) Algorithms() []jws.Algorithm {
	return slices.DeleteFunc(slices.Clone(r.algorithms), func(a jws.Algorithm) bool {
		return !slices.ContainsFunc(r.keys, func(k *SigningKey) bool { return k.Algorithm() == a })
	})
}

// NextChange returns the next instant at which a key changes its state; zero if there is none.
func (r Ring) NextChange(now time.Time) time.Time {
	var next time.Time
	for _, key := range r.keys {
		for _, at := range []time.Time{key.ActiveAt, key.RetiredAt, key.GoneAt} {
			if at.After(now) && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return next
}

// Format implements fmt.Formatter for every verb.
func (r Ring) Format(state fmt.State, _ rune) {
	_, _ = fmt.Fprintf(state, "ring of %d keys", len(r.keys))
}

// LogValue implements slog.LogValuer.
func (r Ring) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// instant truncates a time to the precision of the stored form.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
