// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revocation remembers which tokens are revoked (RFC 7009) and which client assertions were
// used (RFC 7523, section 3): single ones by id, and all tokens of a client or a namespace that
// were issued before an instant. Batch is the unit of storage, State the memory of one process,
// Feed the list of revocations for verifiers that poll it, and Journal the group commit of new
// revocations to a Store. The package stands on jws, keyring and oauth2, and knows neither HTTP nor
// Kubernetes.
package revocation

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

// ID identifies a revoked token or a used assertion. Its 128 bits make a collision by chance
// negligible.
type ID [16]byte

// IDOf returns the id of the token with a jti. The jti of our own tokens is 128 random bits in
// base64url, which are the id; any other jti is hashed.
func IDOf(tokenID string) ID {
	var id ID
	if len(tokenID) == base64.RawURLEncoding.EncodedLen(len(id)) {
		if raw, err := jws.DecodeBase64URL(tokenID); err == nil {
			return ID(raw)
		}
	}
	sum := sha256.Sum256([]byte("hallpass token id\x00" + tokenID))
	return ID(sum[:len(id)])
}

// AssertionIDOf returns the id of an assertion: a hash over the length of the client_id, the
// client_id and the jti, so that two pairs never have the same input.
func AssertionIDOf(clientID, id string) ID {
	input := binary.BigEndian.AppendUint64(make([]byte, 0, 256), uint64(len(clientID)))
	sum := sha256.Sum256(append(append(input, clientID...), id...))
	return ID(sum[:len(ID{})])
}

// String returns the id as the jti of our tokens contains it.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// Entry is one revocation: an id, and the expiry of what it identifies. It holds no pointer and
// takes 20 bytes.
type Entry struct {
	ID ID
	// Until is the expiry of the token or the assertion, in seconds since 1970.
	Until uint32
}

// NewEntry makes the Entry of a token or an assertion that expires at an instant.
func NewEntry(id ID, expiresAt time.Time) Entry {
	seconds := expiresAt.Unix()
	if expiresAt.Nanosecond() > 0 {
		seconds++
	}
	return Entry{ID: id, Until: uint32(min(max(seconds, 0), math.MaxUint32))}
}

// ExpiresAt is the instant from which the entry is not needed any more.
func (r Entry) ExpiresAt() time.Time { return time.Unix(int64(r.Until), 0).UTC() }

// Expired reports whether the entry is not needed any more.
func (r Entry) Expired(now time.Time) bool { return !now.Before(r.ExpiresAt()) }

func compareEntries(a, b Entry) int { return bytes.Compare(a.ID[:], b.ID[:]) }

const (
	// MaxBatch bounds each list of a batch. A full list takes 160 KiB.
	MaxBatch  = 8192
	entrySize = len(ID{}) + 4
)

// Batch is the unit of storage: revoked tokens and used assertions that are written together.
type Batch struct {
	Tokens, Assertions []Entry
}

// Len returns the number of entries in the batch.
func (b Batch) Len() int { return len(b.Tokens) + len(b.Assertions) }

// Encode returns the lists of the batch as they are stored, and the latest expiry.
func (b Batch) Encode() (tokens, assertions string, expiresAt time.Time) {
	return Encode(b.Tokens), Encode(b.Assertions), b.ExpiresAt()
}

// ExpiresAt returns the latest expiry in the batch.
func (b Batch) ExpiresAt() time.Time {
	latest := uint32(0)
	for _, list := range [][]Entry{b.Tokens, b.Assertions} {
		for _, r := range list {
			latest = max(latest, r.Until)
		}
	}
	return time.Unix(int64(latest), 0).UTC()
}

// Merge combines lists into one that is sorted by id, without duplicates and without expired
// entries. Of two entries of one id it keeps the later expiry.
func Merge(now time.Time, lists ...[]Entry) []Entry {
	var merged []Entry
	for _, list := range lists {
		for _, r := range list {
			if !r.Expired(now) {
				merged = append(merged, r)
			}
		}
	}
	slices.SortFunc(merged, func(a, b Entry) int {
		if order := compareEntries(a, b); order != 0 {
			return order
		}
		return int(int64(b.Until) - int64(a.Until))
	})
	return slices.CompactFunc(merged, func(a, b Entry) bool { return a.ID == b.ID })
}

// ErrUnreadable is wrapped by every refusal to decode.
var ErrUnreadable = errors.New("unreadable revocations")

// Encode encodes a list of a batch in base64.
func Encode(list []Entry) string {
	return base64.StdEncoding.EncodeToString(Pack(list))
}

// Decode decodes the output of Encode.
func Decode(text string) ([]Entry, error) {
	if len(text) > base64.StdEncoding.EncodedLen(MaxBatch*entrySize) {
		return nil, fmt.Errorf("%w: %d characters are more than %d take", ErrUnreadable, len(text), MaxBatch)
	}
	packed, err := jws.DecodeBase64(text)
	if err != nil {
		return nil, fmt.Errorf("%w: they are not base64", ErrUnreadable)
	}
	return Unpack(packed)
}

// Pack encodes each entry as its id and its expiry in big-endian byte order.
func Pack(list []Entry) []byte {
	packed := make([]byte, 0, len(list)*entrySize)
	for _, r := range list {
		packed = append(packed, r.ID[:]...)
		packed = binary.BigEndian.AppendUint32(packed, r.Until)
	}
	return packed
}

// Unpack decodes the output of Pack.
func Unpack(packed []byte) ([]Entry, error) {
	if len(packed)%entrySize != 0 {
		return nil, fmt.Errorf("%w: %d bytes are not %d for each", ErrUnreadable, len(packed), entrySize)
	}
	list := make([]Entry, 0, len(packed)/entrySize)
	for entry := range slices.Chunk(packed, entrySize) {
		r := Entry{Until: binary.BigEndian.Uint32(entry[len(ID{}):])}
		copy(r.ID[:], entry)
		list = append(list, r)
	}
	return list, nil
}
