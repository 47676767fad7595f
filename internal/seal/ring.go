// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"cmp"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

const (
	secretSize = 32
	idSize     = 8
	// version is that of the stored form.
	version = 1
	// maxKeys bounds a stored ring; a ring that is rotated has five.
	maxKeys = 64
)

// The life of a key.
const (
	// Interval is how long a key seals.
	Interval = 30 * 24 * time.Hour
	// Lead is how long a key is in the ring before it seals, so that every replica has it.
	Lead = time.Hour
	// soon is the lead of a key that is late: the one before has sealed for longer than
	// Interval, because no manager ran, or because the ring is from a backup.
	soon = 2 * time.Minute
	// Keep is how long a key opens after it has sealed for the last time: as long as the
	// longest refresh token is valid, and a margin for clocks.
	Keep = MaxLife + 24*time.Hour
	// MaxLife bounds the life of what is sealed.
	MaxLife = 90 * 24 * time.Hour
)

// id names a key. It is derived from the secret, so that no id names two keys.
type id [idSize]byte

// Key is a sealing key: 256 random bits. It prints as its id.
type Key struct {
	// ActiveAt is when it begins to seal, RetiredAt when its successor does, and GoneAt when it
	// no longer opens. The latter two are zero for the last key.
	ActiveAt, RetiredAt, GoneAt time.Time

	id id
	// secret is a pointer, so that fmt does not follow it where it ignores Format
	secret  *[secretSize]byte
	ciphers map[Purpose]cipher.AEAD
}

func newKey(secret [secretSize]byte, activeAt time.Time) (*Key, error) {
	ciphers, err := derive(secret[:])
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte("hallpass sealing key "), secret[:]...))
	return &Key{ActiveAt: activeAt.UTC(), id: id(sum[:idSize]), secret: &secret, ciphers: ciphers}, nil
}

// ID names the key.
func (k *Key) ID() string { return hex.EncodeToString(k.id[:]) }

// Format implements fmt.Formatter for every verb.
func (k *Key) Format(state fmt.State, _ rune) {
	_, _ = io.WriteString(state, "sealing key "+k.ID())
}

// Ring is the sealing keys, in the order in which they seal. A shared one is immutable.
type Ring struct {
	keys []*Key
	// restored is the last instant at which the ring was in a store that was restored from a
	// backup; zero if there was none.
	restored time.Time
}

// Format implements fmt.Formatter for every verb.
func (r Ring) Format(state fmt.State, _ rune) {
	_, _ = fmt.Fprintf(state, "%d sealing keys", len(r.keys))
}

// Keys are the keys in the order in which they seal.
func (r Ring) Keys() []*Key { return slices.Clone(r.keys) }

// Has reports whether the ring has a key.
func (r Ring) Has(key *Key) bool { return r.byID(key.id) != nil }

// Empty reports whether there is no key.
func (r Ring) Empty() bool { return len(r.keys) == 0 }

// Restored is the instant before which whatever was begun is over, because the store of the ring
// was restored from a backup then; zero if it never was.
func (r Ring) Restored() time.Time { return r.restored }

// WithRestored returns the ring of a store that was restored at an instant.
func (r Ring) WithRestored(at time.Time) Ring {
	if at = at.UTC().Truncate(time.Second); at.After(r.restored) {
		r.restored = at
	}
	return r
}

// Merge returns a ring with the keys of both that still open at an instant which is over for
// certain, past. A key that has retired in one of them is retired. So a ring from a backup brings
// none back: the last key of both seals.
func Merge(held, read Ring, past time.Time) Ring {
	merged := Ring{restored: held.restored}.WithRestored(read.restored)
	for _, key := range slices.Concat(read.keys, held.keys) {
		if other := merged.byID(key.id); other != nil {
			other.retireAs(key)
			continue
		}
		own := *key
		merged.keys = append(merged.keys, &own)
	}
	slices.SortStableFunc(merged.keys, func(a, b *Key) int { return cmp.Or(a.ActiveAt.Compare(b.ActiveAt), bytes.Compare(a.id[:], b.id[:])) })
	for i, key := range merged.keys[:max(len(merged.keys)-1, 0)] {
		if key.GoneAt.IsZero() { // the ring that has its successor does not have it
			key.RetiredAt = merged.keys[i+1].ActiveAt
			key.GoneAt = key.RetiredAt.Add(Keep)
		}
	}
	merged.keys = slices.DeleteFunc(merged.keys, func(key *Key) bool { return key.goneBy(past) })
	return merged
}

// retireAs takes the later end from another copy of the key: what it has sealed until then opens.
func (k *Key) retireAs(other *Key) {
	if other.GoneAt.After(k.GoneAt) {
		k.RetiredAt, k.GoneAt = other.RetiredAt, other.GoneAt
	}
}

func (k *Key) goneBy(past time.Time) bool { return !k.GoneAt.IsZero() && !past.Before(k.GoneAt) }

// Same reports whether two rings are stored as the same.
func (r Ring) Same(other Ring) bool {
	return r.restored.Equal(other.restored) && slices.EqualFunc(r.keys, other.keys, func(a, b *Key) bool {
		return a.id == b.id && a.ActiveAt.Equal(b.ActiveAt) && a.RetiredAt.Equal(b.RetiredAt) && a.GoneAt.Equal(b.GoneAt)
	})
}

// active is the last key that may seal. If the clock is behind all keys, it is the first: a clock
// does not stop logins.
func (r Ring) active(now time.Time) *Key {
	for _, key := range slices.Backward(r.keys) {
		if !now.Before(key.ActiveAt) {
			return key
		}
	}
	if r.Empty() {
		return nil
	}
	return r.keys[0]
}

func (r Ring) byID(wanted id) *Key {
	for _, key := range r.keys {
		if key.id == wanted {
			return key
		}
	}
	return nil
}

// Rotate returns the ring as it has to be now, and whether that is another one. A key is added at
// the earlier clock, now, and removed at an instant that is over for certain, past.
func (r Ring) Rotate(now, past time.Time, random io.Reader) (rotated Ring, changed bool, err error) {
	rotated.restored = r.restored
	rotated.keys = slices.DeleteFunc(slices.Clone(r.keys), func(key *Key) bool { return key.goneBy(past) })
	changed = len(rotated.keys) < len(r.keys)
	activeAt := now
	if n := len(rotated.keys); n > 0 {
		last := rotated.keys[n-1]
		if now.Before(last.ActiveAt.Add(Interval - Lead)) {
			return rotated, changed, nil
		}
		activeAt = now.Add(Lead)
		if !now.Before(last.ActiveAt.Add(Interval)) {
			activeAt = now.Add(soon)
		}
		retired := *last
		retired.RetiredAt, retired.GoneAt = activeAt.UTC(), activeAt.UTC().Add(Keep)
		rotated.keys[n-1] = &retired
	}
	var secret [secretSize]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return Ring{}, false, fmt.Errorf("read randomness for a sealing key: %w", err)
	}
	key, err := newKey(secret, activeAt)
	if err != nil {
		return Ring{}, false, err
	}
	rotated.keys = append(rotated.keys, key)
	return rotated, true, nil
}

// Due is when Rotate changes the ring next.
func (r Ring) Due() time.Time {
	var due time.Time
	for i, key := range r.keys {
		at := key.GoneAt
		if i == len(r.keys)-1 {
			at = key.ActiveAt.Add(Interval - Lead)
		}
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	return due
}

type wireRing struct {
	Version  int       `json:"version"`
	Keys     []wireKey `json:"keys"`
	Restored time.Time `json:"restored,omitzero"`
}

type wireKey struct {
	Secret    []byte    `json:"secret"`
	ActiveAt  time.Time `json:"activeAt"`
	RetiredAt time.Time `json:"retiredAt,omitzero"`
	GoneAt    time.Time `json:"goneAt,omitzero"`
}

// ErrUnreadable is wrapped by every failure to decode a ring.
var ErrUnreadable = errors.New("unreadable sealing keys")

// Encode encodes the ring with its secrets, for a place that only the two binaries can read.
func (r Ring) Encode() ([]byte, error) {
	w := wireRing{Version: version, Restored: r.restored}
	for _, key := range r.keys {
		w.Keys = append(w.Keys, wireKey{key.secret[:], key.ActiveAt, key.RetiredAt, key.GoneAt})
	}
	document, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode sealing keys: %w", err)
	}
	return document, nil
}

// Decode decodes a ring, also of a later version: whether this one can read that is for the caller
// to check. It refuses an empty ring.
func Decode(document []byte) (Ring, error) {
	var w wireRing
	if err := json.Unmarshal(document, &w); err != nil {
		return Ring{}, fmt.Errorf("%w: it is not a JSON object of the stored form", ErrUnreadable)
	}
	if w.Version < version || len(w.Keys) == 0 || len(w.Keys) > maxKeys {
		return Ring{}, fmt.Errorf("%w: version %d with %d keys", ErrUnreadable, w.Version, len(w.Keys))
	}
	ring := Ring{restored: w.Restored.UTC()}
	for i, stored := range w.Keys {
		if len(stored.Secret) != secretSize {
			return Ring{}, fmt.Errorf("%w: key %d has not %d bytes", ErrUnreadable, i, secretSize)
		}
		key, err := newKey([secretSize]byte(stored.Secret), stored.ActiveAt)
		if err != nil {
			return Ring{}, fmt.Errorf("%w: key %d: %w", ErrUnreadable, i, err)
		}
		if ring.byID(key.id) != nil || i > 0 && key.ActiveAt.Before(ring.keys[i-1].ActiveAt) {
			return Ring{}, fmt.Errorf("%w: key %d is there twice or out of order", ErrUnreadable, i)
		}
		key.RetiredAt, key.GoneAt = stored.RetiredAt.UTC(), stored.GoneAt.UTC()
		if stored.GoneAt.IsZero() {
			key.RetiredAt, key.GoneAt = time.Time{}, time.Time{}
		}
		ring.keys = append(ring.keys, key)
	}
	return ring, nil
}
