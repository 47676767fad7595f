// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"time"
)

// MaxVerifiers bounds the verifiers of a client, pending ones included. Every authentication
// compares with as many, so that the time does not reveal their number.
const MaxVerifiers = 8

// Digest is the hash of a secret.
type Digest [sha256.Size]byte

// DigestSecret hashes a secret with the UID of its owner, so that a copied verifier is useless. One
// round of SHA-256 is enough for 128 random bits; a slow hash would let unauthenticated callers use
// up the CPU.
func DigestSecret(uid string, secret Secret) Digest {
	return digest("hallpass.dev/client-secret/v1", uid, secret)
}

// digest hashes a secret. The tag separates its uses of SHA-256.
func digest(tag, uid string, secret Secret) Digest {
	buffer := append(make([]byte, 0, 256), tag...)
	buffer = binary.BigEndian.AppendUint32(buffer, uint32(len(uid))) //nolint:gosec // UIDs are bounded by the API server
	buffer = append(buffer, uid...)
	return sha256.Sum256(append(buffer, secret.Reveal()...))
}

// Verifier verifies one secret of a client.
type Verifier struct {
	// ID is the id inside a generated secret.
	ID string
	// Digest is DigestSecret of the secret.
	Digest    Digest
	CreatedAt time.Time
	// ExpiresAt is the end of its validity; zero for none.
	ExpiresAt time.Time
	// WatchedSince is the instant since which a replaced secret ends once it is unused; zero if
	// that was not asked for. A replica accepts it only while its usage report is up to date.
	WatchedSince time.Time
	// Pending means that the secret is not known to have reached its Secret. It is accepted,
	// and has an end until it is confirmed.
	Pending bool
}

// Watched reports whether each use of the secret must be reported.
func (v Verifier) Watched() bool { return !v.WatchedSince.IsZero() }

// Live reports whether the secret is accepted at an instant.
func (v Verifier) Live(now time.Time) bool {
	return v.ExpiresAt.IsZero() || now.Before(v.ExpiresAt)
}

// match returns the index of the live verifier with that digest, or -1. It always makes
// MaxVerifiers comparisons.
func match(verifiers []Verifier, digest Digest, now time.Time) int {
	var none Verifier
	found := -1
	for i := range MaxVerifiers {
		candidate, there, live := &none, 0, 0
		if i < len(verifiers) {
			candidate, there = &verifiers[i], 1
		}
		if candidate.Live(now) {
			live = 1
		}
		hit := subtle.ConstantTimeCompare(candidate.Digest[:], digest[:]) & there & live
		found = subtle.ConstantTimeSelect(hit, i, found)
	}
	return found
}
