// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// RevocationID names a token or a used assertion among those that are good no more: 128 bits, so that no two share one by chance.
type RevocationID [16]byte

// RevocationIDOf is the id of a token with that jti. Those of our own tokens are 128 random bits in base64url, which are the id as
// they are; any other text stands for itself by its hash.
func RevocationIDOf(tokenID string) RevocationID {
	var id RevocationID
	if len(tokenID) == base64.RawURLEncoding.EncodedLen(len(id)) {
		if raw, err := jws.DecodeBase64URL(tokenID); err == nil {
			return RevocationID(raw)
		}
	}
	sum := sha256.Sum256([]byte("hallpass token id\x00" + tokenID))
	return RevocationID(sum[:len(id)])
}

// AssertionIDOf is the id of an assertion: a hash over the length of the client_id, it and the jti, so that no two pairs have the
// same input.
func AssertionIDOf(clientID, id string) RevocationID {
	input := binary.BigEndian.AppendUint64(make([]byte, 0, 256), uint64(len(clientID)))
	sum := sha256.Sum256(append(append(input, clientID...), id...))
	return RevocationID(sum[:len(RevocationID{})])
}

// String is the id as it stands in the jti of a token.
func (id RevocationID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// Revocation says that what has this id is good no more, and until when that matters. It holds no pointer and takes 20 bytes.
type Revocation struct {
	ID RevocationID
	// Until is when it expires anyway, in seconds since 1970.
	Until uint32
}

// NewRevocation takes something back that expires at that instant.
func NewRevocation(id RevocationID, expiresAt time.Time) Revocation {
	seconds := expiresAt.Unix()
	if expiresAt.Nanosecond() > 0 {
		seconds++
	}
	return Revocation{ID: id, Until: uint32(min(max(seconds, 0), math.MaxUint32))}
}

// ExpiresAt is when it stops to matter.
func (r Revocation) ExpiresAt() time.Time { return time.Unix(int64(r.Until), 0).UTC() }

// Expired reports whether it does not matter any more.
func (r Revocation) Expired(now time.Time) bool { return !now.Before(r.ExpiresAt()) }

func compareRevocations(a, b Revocation) int { return bytes.Compare(a.ID[:], b.ID[:]) }

const (
	// MaxBatchRevocations bounds each list of a batch; one of that many takes 160 KiB.
	MaxBatchRevocations = 8192
	revocationSize      = len(RevocationID{}) + 4
)

// RevocationBatch is what is written at once: tokens that were revoked and assertions that were used.
type RevocationBatch struct {
	Tokens, Assertions []Revocation
}

// Len is how many there are in the batch.
func (b RevocationBatch) Len() int { return len(b.Tokens) + len(b.Assertions) }

// ExpiresAt is the end after which nothing in the batch matters.
func (b RevocationBatch) ExpiresAt() time.Time {
	latest := uint32(0)
	for _, list := range [][]Revocation{b.Tokens, b.Assertions} {
		for _, r := range list {
			latest = max(latest, r.Until)
		}
	}
	return time.Unix(int64(latest), 0).UTC()
}

// MergeRevocations puts what has not expired into one list, sorted by id and each id once, with the later end.
func MergeRevocations(now time.Time, lists ...[]Revocation) []Revocation {
	var merged []Revocation
	for _, list := range lists {
		for _, r := range list {
			if !r.Expired(now) {
				merged = append(merged, r)
			}
		}
	}
	slices.SortFunc(merged, func(a, b Revocation) int {
		if order := compareRevocations(a, b); order != 0 {
			return order
		}
		return int(int64(b.Until) - int64(a.Until))
	})
	return slices.CompactFunc(merged, func(a, b Revocation) bool { return a.ID == b.ID })
}

// ErrUnreadableRevocations is wrapped by every refusal to decode.
var ErrUnreadableRevocations = errors.New("unreadable revocations")

// EncodeRevocations writes the list of a batch in base64.
func EncodeRevocations(list []Revocation) string {
	return base64.StdEncoding.EncodeToString(PackRevocations(list))
}

// DecodeRevocations reads what EncodeRevocations wrote.
func DecodeRevocations(text string) ([]Revocation, error) {
	if len(text) > base64.StdEncoding.EncodedLen(MaxBatchRevocations*revocationSize) {
		return nil, fmt.Errorf("%w: %d characters are more than %d take", ErrUnreadableRevocations, len(text), MaxBatchRevocations)
	}
	packed, err := jws.DecodeBase64(text)
	if err != nil {
		return nil, fmt.Errorf("%w: they are not base64", ErrUnreadableRevocations)
	}
	return UnpackRevocations(packed)
}

// PackRevocations writes each as its id and its end, the most significant byte first.
func PackRevocations(list []Revocation) []byte {
	packed := make([]byte, 0, len(list)*revocationSize)
	for _, r := range list {
		packed = append(packed, r.ID[:]...)
		packed = binary.BigEndian.AppendUint32(packed, r.Until)
	}
	return packed
}

// UnpackRevocations reads what PackRevocations wrote.
func UnpackRevocations(packed []byte) ([]Revocation, error) {
	if len(packed)%revocationSize != 0 {
		return nil, fmt.Errorf("%w: %d bytes are not %d for each", ErrUnreadableRevocations, len(packed), revocationSize)
	}
	list := make([]Revocation, 0, len(packed)/revocationSize)
	for entry := range slices.Chunk(packed, revocationSize) {
		r := Revocation{Until: binary.BigEndian.Uint32(entry[len(RevocationID{}):])}
		copy(r.ID[:], entry)
		list = append(list, r)
	}
	return list, nil
}
