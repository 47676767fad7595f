// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

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

// ID names a token or a used assertion among those that are good no more: 128 bits, so that no two share one by chance.
type ID [16]byte

// IDOf is the id of a token with that jti. Those of our own tokens are 128 random bits in base64url, which are the id as
// they are; any other text stands for itself by its hash.
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

// AssertionIDOf is the id of an assertion: a hash over the length of the client_id, it and the jti, so that no two pairs have the
// same input.
func AssertionIDOf(clientID, id string) ID {
	input := binary.BigEndian.AppendUint64(make([]byte, 0, 256), uint64(len(clientID)))
	sum := sha256.Sum256(append(append(input, clientID...), id...))
	return ID(sum[:len(ID{})])
}

// String is the id as it stands in the jti of a token.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// Entry says that what has this id is good no more, and until when that matters. It holds no pointer and takes 20 bytes.
type Entry struct {
	ID ID
	// Until is when it expires anyway, in seconds since 1970.
	Until uint32
}

// NewEntry takes something back that expires at that instant.
func NewEntry(id ID, expiresAt time.Time) Entry {
	seconds := expiresAt.Unix()
	if expiresAt.Nanosecond() > 0 {
		seconds++
	}
	return Entry{ID: id, Until: uint32(min(max(seconds, 0), math.MaxUint32))}
}

// ExpiresAt is when it stops to matter.
func (r Entry) ExpiresAt() time.Time { return time.Unix(int64(r.Until), 0).UTC() }

// Expired reports whether it does not matter any more.
func (r Entry) Expired(now time.Time) bool { return !now.Before(r.ExpiresAt()) }

func compareRevocations(a, b Entry) int { return bytes.Compare(a.ID[:], b.ID[:]) }

const (
	// MaxBatch bounds each list of a batch; one of that many takes 160 KiB.
	MaxBatch       = 8192
	revocationSize = len(ID{}) + 4
)

// Batch is what is written at once: tokens that were revoked and assertions that were used.
type Batch struct {
	Tokens, Assertions []Entry
}

// Len is how many there are in the batch.
func (b Batch) Len() int { return len(b.Tokens) + len(b.Assertions) }

// ExpiresAt is the end after which nothing in the batch matters.
func (b Batch) ExpiresAt() time.Time {
	latest := uint32(0)
	for _, list := range [][]Entry{b.Tokens, b.Assertions} {
		for _, r := range list {
			latest = max(latest, r.Until)
		}
	}
	return time.Unix(int64(latest), 0).UTC()
}

// Merge puts what has not expired into one list, sorted by id and each id once, with the later end.
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
		if order := compareRevocations(a, b); order != 0 {
			return order
		}
		return int(int64(b.Until) - int64(a.Until))
	})
	return slices.CompactFunc(merged, func(a, b Entry) bool { return a.ID == b.ID })
}

// ErrUnreadable is wrapped by every refusal to decode.
var ErrUnreadable = errors.New("unreadable revocations")

// Encode writes the list of a batch in base64.
func Encode(list []Entry) string {
	return base64.StdEncoding.EncodeToString(Pack(list))
}

// Decode reads what Encode wrote.
func Decode(text string) ([]Entry, error) {
	if len(text) > base64.StdEncoding.EncodedLen(MaxBatch*revocationSize) {
		return nil, fmt.Errorf("%w: %d characters are more than %d take", ErrUnreadable, len(text), MaxBatch)
	}
	packed, err := jws.DecodeBase64(text)
	if err != nil {
		return nil, fmt.Errorf("%w: they are not base64", ErrUnreadable)
	}
	return Unpack(packed)
}

// Pack writes each as its id and its end, the most significant byte first.
func Pack(list []Entry) []byte {
	packed := make([]byte, 0, len(list)*revocationSize)
	for _, r := range list {
		packed = append(packed, r.ID[:]...)
		packed = binary.BigEndian.AppendUint32(packed, r.Until)
	}
	return packed
}

// Unpack reads what Pack wrote.
func Unpack(packed []byte) ([]Entry, error) {
	if len(packed)%revocationSize != 0 {
		return nil, fmt.Errorf("%w: %d bytes are not %d for each", ErrUnreadable, len(packed), revocationSize)
	}
	list := make([]Entry, 0, len(packed)/revocationSize)
	for entry := range slices.Chunk(packed, revocationSize) {
		r := Entry{Until: binary.BigEndian.Uint32(entry[len(ID{}):])}
		copy(r.ID[:], entry)
		list = append(list, r)
	}
	return list, nil
}
