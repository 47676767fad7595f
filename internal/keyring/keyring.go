// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keyring holds the keys that sign tokens and says which of them signs, and which of them verify, at an instant.
//
// A key lives by absolute instants: it is published in the JWK set (RFC 7517), becomes active, is retired when its successor
// becomes active, and is gone when the last token that it signed has expired. Whoever reads the ring switches at the same
// instant without talking to anybody. Rotate moves the lives on, Taint ends one at once, Merge is what a reader makes of a
// ring that it reads beside the one it holds.
//
// The package is pure: a Ring is a value that nothing changes, time is an argument and keys are made by a function that is
// one. It knows nothing of where a ring is kept, and depends on jws and the standard library alone.
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
	// ErrUnknownKey says that no key of the ring has that kid.
	ErrUnknownKey = errors.New("unknown signing key")
	// ErrTaintedKey says that the key was withdrawn with every token it signed.
	ErrTaintedKey = errors.New("withdrawn signing key")
	// ErrNoSigningKey says that no key of the ring signs at that instant.
	ErrNoSigningKey = errors.New("no active signing key")
)

// Ring is a set of signing keys with the instants of their lives. The zero Ring is empty. It prints no private key, and
// none of its methods changes it.
type Ring struct {
	keys []*SigningKey // by algorithm in the order of algorithms, and in it by ActiveAt
	// algorithms are the enabled ones, the default first, and then those that are on their way out.
	algorithms []jws.Algorithm
	tainted    []Taint
	// rotation is the last request for a rotation that was carried out.
	rotation string
	revision int64
	// asOf is the instant of the last Rotate that changed something; what became of a key since is reported by the next.
	asOf time.Time
	// keep is how long a key that is taken out of service at once still verifies.
	keep time.Duration

	byID  map[string]*SigningKey
	views []view
}

// Taint remembers a key that was withdrawn, so that no backup, copy or old cache brings it back.
type Taint struct {
	KeyID string    `json:"kid"`
	At    time.Time `json:"at"`
}

// unknownKeep is for a ring that no policy was applied to yet.
const unknownKeep = MinLead + time.Hour + RetirementMargin

// maxTaints bounds the memory of withdrawn keys; the oldest are forgotten.
const maxTaints = 256

// New makes a ring with one ES256 key that signs from now on. Rotate gives it successors.
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

// prepared sorts out what readers ask for often, and drops keys that are tainted: a taint always wins.
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

// Revision counts the changes of a ring. Of two copies of one ring the one with the higher revision is the later.
func (r Ring) Revision() int64 { return r.revision }

// SigningKey is the key that signs at that instant where a client asks for no algorithm. While the default algorithm has no
// active key yet, the one that it replaces goes on.
func (r Ring) SigningKey(now time.Time) (*SigningKey, error) {
	for _, algorithm := range r.algorithms {
		if key, err := r.SigningKeyFor(algorithm, now); err == nil {
			return key, nil
		}
	}
	return nil, ErrNoSigningKey
}

// SigningKeyFor is the key of an algorithm that signs at that instant.
func (r Ring) SigningKeyFor(algorithm jws.Algorithm, now time.Time) (*SigningKey, error) {
	for _, key := range slices.Backward(r.keys) {
		if key.Algorithm() == algorithm && key.State(now) == Active {
			return key, nil
		}
	}
	return nil, ErrNoSigningKey
}

// VerificationKey is the key with that kid. One that is published and does not sign yet verifies too: another replica's
// clock may be ahead of ours.
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

// Keys are the keys of the ring in the order of the JWK set.
func (r Ring) Keys() []*SigningKey { return slices.Clone(r.keys) }

// Tainted are the keys that were withdrawn, oldest first.
func (r Ring) Tainted() []Taint { return slices.Clone(r.tainted) }

// Algorithms are the algorithms of the keys in the ring, each once, the default first: those of tokens that are out, and
// those that will be, for verifiers that read them once and remember.
func (r Ring) Algorithms() []jws.Algorithm {
	return slices.DeleteFunc(slices.Clone(r.algorithms), func(a jws.Algorithm) bool {
		return !slices.ContainsFunc(r.keys, func(k *SigningKey) bool { return k.Algorithm() == a })
	})
}

// NextChange is the next instant at which a key changes its state, or the zero time if none will.
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

// instant is the form in which instants are kept: they survive being written and read.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
