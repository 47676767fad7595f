// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"time"
)

// MaxVerifiers bounds the verifiers of one client: the live ones and the pending ones beside them. Every authentication
// compares against as many, so that the time it takes does not tell how many there are.
const MaxVerifiers = 8

// verifierTag separates these hashes from every other use of SHA-256.
const verifierTag = "hallpass.dev/client-secret/v1"

// Digest is what is kept of a secret.
type Digest [sha256.Size]byte

// DigestSecret hashes a secret for the object of that UID: a verifier copied to another client, or left over from a
// deleted one of the same name, verifies nothing. One round of SHA-256 is enough for secrets that are random, 128 bits or
// more; a slow hash would only give strangers a lever on our CPU.
func DigestSecret(uid string, secret Secret) Digest {
	return digest(verifierTag, uid, secret)
}

func digest(tag, uid string, secret Secret) Digest {
	buffer := append(make([]byte, 0, 256), tag...)
	buffer = binary.BigEndian.AppendUint32(buffer, uint32(len(uid))) //nolint:gosec // UIDs are bounded by the API server
	buffer = append(buffer, uid...)
	return sha256.Sum256(append(buffer, secret.Reveal()...))
}

// Verifier recognises one secret of a client without holding it.
type Verifier struct {
	// ID names the secret; it is the id inside a generated one.
	ID string
	// Digest is DigestSecret of the secret under its owner's UID.
	Digest Digest
	// CreatedAt is when the secret was made.
	CreatedAt time.Time
	// ExpiresAt is the first instant at which the secret is no longer accepted; zero for a secret without an end.
	ExpiresAt time.Time
	// WatchedSince is the instant since which the secret is replaced and to end once nobody uses it; zero if nobody asked for that. A
	// replica accepts such a secret only while what it notes of its use is heard of.
	WatchedSince time.Time
	// Pending marks a secret that is not known to have reached its Secret object yet. It is accepted like any other, and
	// has an end until it is confirmed.
	Pending bool
}

// Watched reports whether it matters that each use of the secret is heard of.
func (v Verifier) Watched() bool { return !v.WatchedSince.IsZero() }

// Live reports whether the secret is still accepted at that instant.
func (v Verifier) Live(now time.Time) bool {
	return v.ExpiresAt.IsZero() || now.Before(v.ExpiresAt)
}

// match returns the place of the verifier of a live secret with that digest, or a negative one. It looks at MaxVerifiers in full, whether
// or not there are as many.
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
