// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

const version = 1

// The bounds of a stored ring; ten keys take a hundredth of them.
const (
	maxDocument = 256 << 10
	maxKeys     = 64
)

// ErrUnreadable is wrapped by every failure to decode a ring.
var ErrUnreadable = errors.New("unreadable key ring")

// wireRing is the stored form of a ring, with private keys.
type wireRing struct {
	Version     int             `json:"version"`
	Revision    int64           `json:"revision,omitempty"`
	AsOf        time.Time       `json:"asOf,omitzero"`
	Algorithms  []jws.Algorithm `json:"algorithms,omitempty"`
	KeepSeconds int64           `json:"keepSeconds,omitempty"`
	Rotation    string          `json:"rotation,omitempty"`
	Keys        []wireKey       `json:"keys"`
	Tainted     []Taint         `json:"tainted,omitempty"`
}

type wireKey struct {
	Algorithm   jws.Algorithm `json:"algorithm"`
	PKCS8       []byte        `json:"pkcs8"`
	PublishedAt time.Time     `json:"publishedAt,omitzero"`
	ActiveAt    time.Time     `json:"activeAt"`
	RetiredAt   time.Time     `json:"retiredAt,omitzero"`
	GoneAt      time.Time     `json:"goneAt,omitzero"`
}

// Encode encodes the ring with its private keys, for a place that only the two binaries can read.
func (r Ring) Encode() ([]byte, error) {
	w := wireRing{
		Version: version, Revision: r.revision, AsOf: r.asOf, Algorithms: r.algorithms,
		KeepSeconds: int64(r.keep / time.Second), Rotation: r.rotation, Tainted: r.tainted,
	}
	for _, key := range r.keys {
		der, err := x509.MarshalPKCS8PrivateKey(key.private)
		if err != nil {
			return nil, fmt.Errorf("encode key %s: %w", key.ID(), err)
		}
		w.Keys = append(w.Keys, wireKey{
			Algorithm: key.Algorithm(), PKCS8: der,
			PublishedAt: key.PublishedAt, ActiveAt: key.ActiveAt, RetiredAt: key.RetiredAt, GoneAt: key.GoneAt,
		})
	}
	document, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode key ring: %w", err)
	}
	return document, nil
}

// HasUnknown reports whether a stored ring that this build reads has members that it does not know.
// Written again, the ring would lose them.
func HasUnknown(document []byte) bool {
	if _, err := parse(document); err != nil {
		return false
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	return decoder.Decode(new(wireRing)) != nil
}

// Decode decodes a ring. It checks algorithms and key sizes, so that no weak key signs, and refuses
// an empty ring.
func Decode(document []byte) (Ring, error) {
	w, err := parse(document)
	if err != nil {
		return Ring{}, err
	}
	ring := Ring{
		algorithms: w.Algorithms, rotation: w.Rotation, revision: w.Revision,
		asOf: instant(w.AsOf), keep: time.Duration(w.KeepSeconds) * time.Second,
	}
	for _, taint := range w.Tainted {
		ring.tainted = append(ring.tainted, Taint{KeyID: taint.KeyID, At: instant(taint.At)})
	}
	seen := map[string]bool{}
	for i, wk := range w.Keys {
		key, err := wk.key()
		if err != nil {
			return Ring{}, fmt.Errorf("%w: key %d: %w", ErrUnreadable, i, err)
		}
		if seen[key.ID()] {
			return Ring{}, fmt.Errorf("%w: key %s is there twice", ErrUnreadable, key.ID())
		}
		seen[key.ID()] = true
		ring.keys = append(ring.keys, key)
	}
	if ring = ring.prepared(); ring.Empty() {
		return Ring{}, fmt.Errorf("%w: no keys", ErrUnreadable)
	}
	return ring, nil
}

// parse ignores unknown members; HasUnknown finds them.
func parse(document []byte) (wireRing, error) {
	var w wireRing
	if len(document) > maxDocument {
		return w, fmt.Errorf("%w: %d bytes, at most %d are read", ErrUnreadable, len(document), maxDocument)
	}
	var header struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(document, &header); err != nil {
		return w, fmt.Errorf("%w: not the JSON of a ring", ErrUnreadable)
	}
	if header.Version != version {
		return w, fmt.Errorf("%w: version %d, this build reads %d", ErrUnreadable, header.Version, version)
	}
	if err := json.Unmarshal(document, &w); err != nil {
		return w, fmt.Errorf("%w: not the JSON of a ring", ErrUnreadable)
	}
	const longest = 10 * 365 * 24 * 60 * 60
	if len(w.Keys) > maxKeys || w.KeepSeconds < 0 || w.KeepSeconds > longest || w.Revision < 0 {
		return w, fmt.Errorf("%w: a figure is out of bounds", ErrUnreadable)
	}
	for i, algorithm := range w.Algorithms {
		if !Signs(algorithm) || slices.Contains(w.Algorithms[:i], algorithm) {
			return w, fmt.Errorf("%w: algorithm %q", ErrUnreadable, algorithm)
		}
	}
	return w, nil
}

func (wk wireKey) key() (*SigningKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(wk.PKCS8)
	if err != nil {
		return nil, errors.New("not PKCS #8")
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("it cannot sign")
	}
	life := Life{PublishedAt: instant(wk.PublishedAt), ActiveAt: instant(wk.ActiveAt), RetiredAt: instant(wk.RetiredAt), GoneAt: instant(wk.GoneAt)}
	if wk.PublishedAt.IsZero() {
		life.PublishedAt = life.ActiveAt
	}
	switch {
	case wk.ActiveAt.IsZero(), life.PublishedAt.After(life.ActiveAt):
		return nil, errors.New("it has no active instant, or one before it is published")
	case life.RetiredAt.IsZero() != life.GoneAt.IsZero(), !life.RetiredAt.IsZero() && life.RetiredAt.Before(life.ActiveAt), life.GoneAt.Before(life.RetiredAt):
		return nil, errors.New("its instants are out of order")
	}
	return newSigningKey(wk.Algorithm, private, life)
}
